# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of a study in Markdown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from pandas import DataFrame

from ..errors import UserError
from .study_values import (
    Report,
    axes_of,
    column_of,
    grouped,
    hidden_axes,
    known_values,
    normal,
    refuse_unknown,
    report_of,
    told_of_left_out,
    values_of,
    words_and_unit,
)


def markdown_table(
    table: DataFrame,
    value: str,
    *,
    rows: str | Sequence[str],
    columns: str | None = None,
    labels: Mapping[str, str] = {},
    metrics: Mapping[str, str] = {},
    digits: int = 3,
) -> str:
    """One result by one or more axes, as a Markdown table: mean ± standard deviation over seeds.

    Parameters
    ----------
    table : DataFrame
        One row a run.
    value : str
        The report.
    rows : str or sequence of str
        Axes whose values begin the rows.
    columns : str, optional
        Axis whose values head the columns.
    labels, metrics : mapping of str to str
        Words of columns, and what reports are of, as for `study_figure`.
    digits : int
        Significant digits of means; accuracies are percentages with one decimal.

    Returns
    -------
    str
        Lines of a table, and one that says over how many seeds, and which runs are left out. Where seeds have no value of
        ``stable_from_epoch``, its columns say the median, and how many of how many have one.

    Raises
    ------
    UserError
        If a column is unknown, or runs differ in an axis that is not named.
    """
    by = [rows] if isinstance(rows, str) else list(rows)
    refuse_unknown(table, value, columns, *by)
    named = [*by, columns] if columns else by
    table = normal(table, dict.fromkeys([*axes_of(table), *named]))
    _refuse_mixed(table, named)
    report = report_of(value, labels, metrics)
    if not columns:
        return _markdown(table, by, [report], labels, digits)
    across = column_of(columns, labels, table)
    places = [column_of(name, labels, table) for name in by]
    cells = grouped(table, named)
    text = _Cells(table, named, report, digits)
    words, unit = words_and_unit(across.label)
    headings = [f"{across.words[item]} {unit}" if unit else across.named(item) for item in across.values]
    head = [*(place.label for place in places), *headings]
    lines = [
        [*(place.words[part] for place, part in zip(places, key, strict=True)),
         *(text(cells.get((*key, item))) for item in across.values)]
        for key in grouped(table, by)
    ]  # fmt: skip
    numbers = [*(place.numeric for place in places), *(True for _ in across.values)]
    left_out = told_of_left_out(table, value, means=not report.stable)
    over = f"by {words}" if unit else ""
    return _lines(head, lines, numbers, f"{_capital(' '.join([report.label, over]).strip())}: {text.told}", left_out)


def markdown_overview(
    table: DataFrame,
    axes: Sequence[str],
    reports: Sequence[str],
    *,
    labels: Mapping[str, str] = {},
    metrics: Mapping[str, str] = {},
    digits: int = 3,
) -> str:
    """All results of a study as a Markdown table, one row for each point.

    Parameters
    ----------
    table : DataFrame
        One row a run.
    axes, reports : sequence of str
        Its columns.
    labels, metrics, digits
        As for `markdown_table`.

    Returns
    -------
    str
        Lines of a table, and one that says what its numbers are.
    """
    refuse_unknown(table, *axes, *reports)
    table = normal(table, axes)
    return _markdown(table, list(axes), [report_of(name, labels, metrics) for name in reports], labels, digits)


def _markdown(
    table: DataFrame, by: Sequence[str], reports: Sequence[Report], labels: Mapping[str, str], digits: int
) -> str:
    """A row for each point, a column for each report; one more for what became of the runs unless all is well."""
    places = [column_of(name, labels, table) for name in by]
    texts = [_Cells(table, by, report, digits) for report in reports]
    well = "status" not in table.columns or set(table["status"]) <= {"done"}
    lines = [
        [*(place.words[part] for place, part in zip(places, key, strict=True)),
         *(text(part) for text in texts), *([] if well else [_states(part)])]
        for key, part in grouped(table, by).items()
    ]  # fmt: skip
    head = [*(c.label for c in places), *(report.label for report in reports), *([] if well else ["runs"])]
    numbers = [*(place.numeric for place in places), *(True for _ in reports), *([] if well else [False])]
    kinds: dict[str, list[str]] = {}
    for report, text in zip(reports, texts, strict=True):
        kinds.setdefault(text.told, []).append(report.label)
    told = [f"{', '.join(names)}: {kind}" if len(kinds) > 1 else kind for kind, names in kinds.items()]
    left_out = told_of_left_out(table, reports[0].name, means=not reports[0].stable) if len(reports) == 1 else ""
    return _lines(head, lines, numbers, *told, left_out)


def _refuse_mixed(table: DataFrame, named: Sequence[str]) -> None:
    hidden = hidden_axes(table, named)
    if hidden:
        raise UserError(
            f"the runs differ in {' and '.join(hidden)}, too; give rows, columns or a part (--only) that tell them apart"
        )


class _Cells:
    """How the fields of a report are written, the same way in all of a table.

    Attributes
    ----------
    told : str
        What the numbers are.
    """

    def __init__(self, table: DataFrame, by: Sequence[str], report: Report, digits: int) -> None:
        self._report, self._digits = report, digits
        counts = {len(known_values(part, report.name)) for part in grouped(table, by).values()} - {0}
        self._median = report.stable and bool(values_of(_ended(table), report.name).isna().any())
        self._n = len(counts) > 1
        most = max(counts, default=0)
        seeds = f" over {most} seeds" if len(counts) == 1 else " (number of seeds)"
        if self._median:
            self.told = "median over the seeds that have one (how many of all)."
        else:
            self.told = f"mean ± standard deviation{seeds}." if most > 1 else "one seed each."

    def __call__(self, part: DataFrame | None) -> str:
        """Mean ± standard deviation, or median (k of n); a dash where nothing is known."""
        values = np.array([]) if part is None else known_values(part, self._report.name)
        if part is not None and self._median:
            n = len(_ended(part))
            told = self._text(float(np.median(values)))[0] if len(values) else "–"
            return f"{told} ({len(values)} of {max(n, len(values))})" if n or len(values) else "–"
        if not len(values):
            return "–"
        mean, form = self._text(float(np.mean(values)))
        spread = f" ± {self._spread(float(np.std(values, ddof=1)), form)}" if len(values) > 1 else ""
        return f"{mean}{spread} ({len(values)})" if self._n else f"{mean}{spread}"

    def _text(self, value: float) -> tuple[str, str]:
        """A number, and the format in which its deviation is written."""
        if self._report.percent:
            return f"{100.0 * value:.1f}", ".1f"
        rounded = abs(float(f"{value:.{self._digits}g}"))
        if rounded != 0.0 and not 1e-4 <= rounded < 1e6:
            return f"{value:.{self._digits - 1}e}", f".{self._digits - 1}e"
        power = math.floor(math.log10(rounded)) if rounded else 0
        form = f".{max(self._digits - 1 - power, 0)}f"
        whole = value == int(value)
        return (f"{value:.0f}", form) if whole else (f"{value:{form}}", form)

    def _spread(self, value: float, form: str) -> str:
        text = f"{100.0 * value if self._report.percent else value:{form}}"
        # a deviation below the digits of its mean is not nothing
        return f"{value:.2g}" if value and not self._report.percent and not float(text) else text


def _ended(table: DataFrame) -> DataFrame:
    """Runs that could have become stable: those that did all their epochs, or diverged."""
    return table[table["status"].isin(("done", "diverged"))] if "status" in table.columns else table


def _states(part: DataFrame) -> str:
    return ", ".join(f"{n} {status}" for status, n in Counter(part["status"].astype(str)).items())


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lines(head: Sequence[str], lines: Sequence[Sequence[str]], numbers: Sequence[bool], *notes: str) -> str:
    """A table in GitHub's Markdown whose columns also stand below each other as text, numbers to the right, and notes below."""
    cells = [[" ".join(text.split()).replace("|", r"\|") for text in line] for line in (head, *lines)]
    widths = [max(3, *(len(line[i]) for line in cells)) for i in range(len(head))]
    rule = [f"{'-' * (width - 1)}:" if number else "-" * width for width, number in zip(widths, numbers, strict=True)]
    cells.insert(1, rule)
    written = [
        "| "
        + " | ".join(
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(line, widths, numbers, strict=True)
        )
        + " |"
        for line in cells
    ]
    note = " ".join(_capital(note) for note in notes if note)
    return "\n".join([*written, *(["", note] if note else [])]) + "\n"
