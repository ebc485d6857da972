# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures and Markdown tables of a study, made from its table; nothing is computed but means over seeds and how sure they are.

A table has one row a run: first the columns of the axes, then ``seed``, ``status``, ``reason``, and one column for each report.
"""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator, PercentFormatter
from pandas import DataFrame, Series

from ..errors import UserError
from .figures import BLUE, GREY, INK, SERIES, VERMILLION, tidy

MOST_PANELS = 4  # in a row
MOST_COLOURS = len(SERIES)  # beyond, lines are told apart by a scale of colours, or by their dashes
WIDE = 30.0  # factor that positive values span from which on their axis is logarithmic
RESAMPLES = 9999  # of the bootstrap: the ends of the interval are then known to some 2 % of its width
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))

#: Panels of one row: width and height of the axes (inches) by their number.
SIZES = {1: (4.9, 3.1), 2: (4.0, 2.8), 3: (3.4, 2.6), 4: (2.7, 2.4)}


# ----------------------------------------------------------------------------------------------- what a table holds


@dataclass(frozen=True)
class _Column:
    """An axis of the study: its values in the order in which they are shown, and their words."""

    name: str
    label: str
    numeric: bool
    values: tuple[Any, ...]
    words: Mapping[Any, str]

    def named(self, value: Any) -> str:
        """The value with the name of its column, "delay = 0.1 ms"; a text that speaks for itself alone."""
        word = self.words[value]
        if not self.numeric and word not in ("true", "false") and any(c.isalpha() for c in word):
            return word
        words, unit = _unit(self.label)
        return f"{words} = {word} {unit}".rstrip()

    @property
    def logarithmic(self) -> bool:
        """Whether positive numbers span more than a factor 10, and lie more evenly by their logarithms."""
        if not self.numeric or len(self.values) < 2 or self.values[0] <= 0 or self.values[-1] <= 10 * self.values[0]:
            return False
        gaps = np.diff(np.array(self.values, dtype=float)), np.diff(np.log(np.array(self.values, dtype=float)))
        linear, logarithmic = (float(np.std(gap) / np.mean(gap)) for gap in gaps)
        return logarithmic <= linear

    def at(self, value: Any) -> float:
        """Where a value stands along an axis."""
        return float(value) if self.numeric else float(self.values.index(value))


@dataclass(frozen=True)
class _Report:
    """A column of results: what it is called, and how it is written."""

    name: str
    label: str
    percent: bool
    r2: bool
    stable: bool

    def text(self, value: float) -> str:
        """As written in a figure."""
        return f"{100.0 * value:.3g} %" if self.percent else _number(value, 3)


def default_plot(table: DataFrame, axes: Sequence[str], reports: Sequence[str]) -> dict[str, str | None]:
    """What is drawn along x, as y, as lines and as panels if the study does not say so.

    Axes that move together count as one, and the one that tells their values apart stands for all (a text before numbers). The numeric
    axis with most values becomes x, of the others that with most values the lines, the next the panels.

    Parameters
    ----------
    table : DataFrame
        One row a run.
    axes, reports : sequence of str
        Its columns.

    Returns
    -------
    dict
        ``x``, ``y``, ``lines``, ``panels``, as `study_figure` takes them; None where there is nothing to tell apart.
    """
    if not reports:
        raise UserError("the study reports nothing that could be drawn; add a [report.NAME] to it")
    table = _normal(table, axes)
    free = [_column(name, {}, table) for name in axes]
    free = [column for column in free if len(column.values) > 1]
    free.sort(key=lambda column: (-len(column.values), column.numeric))  # stable: else in the order of the study
    leading: list[_Column] = []
    for column in free:
        if not any(_determines(table, other.name, column.name) for other in leading):
            leading.append(column)
    x = next((column for column in leading if column.numeric), leading[0] if leading else None)
    others = [column.name for column in leading if column is not x]
    lines, panels, *_ = [*others, None, None]
    return {"x": x.name if x else "seed", "y": reports[0], "lines": lines, "panels": panels}


def part_of(table: DataFrame, only: Mapping[str, Any]) -> DataFrame:
    """The runs with given values.

    Parameters
    ----------
    table : DataFrame
        One row a run.
    only : mapping of str to value
        Values by column. They are compared as numbers where both are numbers, else as text, and also as figures and tables write them.

    Returns
    -------
    DataFrame
        The rows for which all are so.

    Raises
    ------
    UserError
        If there is no such column, or no such run.
    """
    for name, wanted in only.items():
        _known(table, name)
        column = _column(name, {}, _normal(table, [name]))
        text = _text(wanted).casefold()
        fitting = [
            value
            for value in column.values
            if text in (_text(value).casefold(), column.words[value].casefold())
            or (column.numeric and _is_number(text) and math.isclose(float(text), value, rel_tol=1e-9))
        ]
        if not fitting:
            told = ", ".join(column.words.values()) or "none"
            raise UserError(f"no run has {name} = {_text(wanted)}; give one of its values: {told}")
        table = table[_normal(table, [name])[name].isin(fitting)]
    return table


def _axes(table: DataFrame) -> list[str]:
    """The columns before that of the seed."""
    names = [str(name) for name in table.columns]
    return names[: names.index("seed")] if "seed" in names else []


def _known(table: DataFrame, *names: str | None) -> None:
    for name in names:
        if name is not None and name not in table.columns:
            known = [str(column) for column in table.columns]
            near = get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]}?" if near else f"the columns are {', '.join(known)}"
            raise UserError(f"the table has no column {name}; {meant}")


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    return "–" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _normal(table: DataFrame, names: Iterable[str]) -> DataFrame:
    """The table with each of the columns either of finite numbers or of text."""
    table = table.copy()
    for name in names:
        values = table[name]
        if name == "seed" or not _is_numeric(values):
            table[name] = values.map(_text)
    return table


def _is_numeric(values: Series[Any]) -> bool:
    kinds = pd.api.types
    return bool(kinds.is_numeric_dtype(values) and not kinds.is_bool_dtype(values) and not values.isna().any())


def _column(name: str, labels: Mapping[str, str], *tables: DataFrame) -> _Column:
    """A column of normal tables: numbers in their order, texts as they come."""
    values = list(dict.fromkeys(value for table in tables for value in table[name].tolist()))
    numeric = all(not isinstance(value, str) for value in values)
    if numeric:
        values.sort()
    words = dict(zip(values, _spelled(values), strict=True)) if numeric else {value: str(value) for value in values}
    return _Column(name, labels.get(name, name.replace("_", " ")), numeric, tuple(values), words)


def _report(name: str, labels: Mapping[str, str], metrics: Mapping[str, str]) -> _Report:
    words = f"{name} {metrics.get(name, '')}".lower()
    percent, r2 = "accuracy" in words, "r2" in words
    label = labels.get(name, "R²" if name == "r2" else name.replace("_", " "))
    return _Report(name, f"{label} (%)" if percent and "%" not in label else label, percent, r2, "stable_from" in words)


def _determines(table: DataFrame, one: str, other: str) -> bool:
    pairs = table[[one, other]].drop_duplicates()
    return len(pairs) == len(pairs[one].drop_duplicates())


def _grouped(table: DataFrame, names: Sequence[str]) -> dict[tuple[Hashable, ...], DataFrame]:
    """Runs by their values of the columns, in the order of the table."""
    if not names:
        return {(): table}
    return {tuple(key): part for key, part in table.groupby(list(names), sort=False)}


def _values(table: DataFrame, name: str) -> Series[float]:
    """Results as numbers, not a number where there is none."""
    values = np.asarray(pd.to_numeric(table[name], errors="coerce"), dtype=float)
    return Series(np.where(np.isfinite(values), values, np.nan), index=table.index)


def _known_values(table: DataFrame, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return _values(table, name).dropna().to_numpy(dtype=float)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of a few values: percentile bootstrap, the same whenever it is asked for.

    Parameters
    ----------
    values : sequence of float
        Results of several seeds.

    Returns
    -------
    low, high : float
        Of two values they are the values themselves, of one it twice.
    """
    if len(values) < 2:
        return values[0], values[0]
    from scipy.stats import bootstrap  # slow to import

    sample = (np.asarray(values, dtype=float),)
    found = bootstrap(sample, np.mean, method="percentile", n_resamples=RESAMPLES, rng=0).confidence_interval
    return float(found.low), float(found.high)


def _left_out(table: DataFrame, name: str, *, means: bool = True) -> str:
    """Which runs have no value, and why; and which are in means though they did not end well. Empty if there is nothing to tell."""
    has = _values(table, name).notna()
    status = table["status"].astype(str) if "status" in table.columns else Series("done", index=table.index)
    lost, kept = (_tally(status[chosen]) for chosen in (~has, has & (status != "done")))
    total, sentences = len(table), []
    if lost:
        told = "; means are over the others" if means and has.any() else ""
        sentences.append(f"{_listed(lost, total)}{told}.")
    if kept and means:
        told = "counts with the value it had" if sum(kept.values()) == 1 else "count with the values they had"
        sentences.append(f"{_listed(kept, total, more=bool(lost))}, and {told}.")
    return " ".join(sentences)


def _tally(status: Series[str]) -> Counter[str]:
    words = {"failed": "failed", "diverged": "diverged", "pruned": "pruned", "done": "without a value"}
    return Counter(status.map(lambda name: words.get(name, "not done yet")))


def _listed(counts: Counter[str], total: int, *, more: bool = False) -> str:
    (first, n), *rest = counts.most_common()
    verb = {"pruned": "was " if n == 1 else "were ", "diverged": "", "failed": ""}.get(
        first, "is " if n == 1 else "are "
    )
    head = (
        f"{n} others" if more and n > 1 else "1 other" if more else f"{n} of {total} {'run' if total == 1 else 'runs'}"
    )
    return ", ".join([f"{head} {verb}{first}", *(f"{count} {word}" for word, count in rest)])


# ------------------------------------------------------------------------------------------------------- numbers


def _number(value: float, digits: int) -> str:
    """A number with so many digits; powers of ten where it is very small or large."""
    rounded = float(f"{value:.{digits}g}")
    if rounded != 0.0 and not 1e-4 <= abs(rounded) < 1e5:
        mantissa, power = f"{rounded:.{digits - 1}e}".split("e")
        mantissa = f"{float(mantissa):g}"
        ten = "10" + str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return ten if mantissa == "1" else f"-{ten}" if mantissa == "-1" else f"{mantissa}·{ten}"
    return f"{rounded:.12g}"


def _spelled(values: Sequence[float]) -> list[str]:
    """Numbers with as few digits as tell them apart; whole ones in full."""
    for digits in range(3, 13):
        words = [str(int(v)) if v == int(v) and abs(v) < 1e5 else _number(v, digits) for v in values]
        if len(set(words)) == len(words):
            break
    return words


def _unit(label: str) -> tuple[str, str]:
    """Words and unit of a label such as "delay (ms)"."""
    words, bracket, unit = label.rpartition(" (")
    return (words, unit[:-1]) if bracket and unit.endswith(")") and len(unit) <= 12 else (label, "")


# ------------------------------------------------------------------------------------------------- figure of a study


def study_figure(
    table: DataFrame,
    *,
    x: str,
    y: str,
    lines: str | None = None,
    panels: str | None = None,
    heat: bool = False,
    title: str = "",
    labels: Mapping[str, str] = {},
    metrics: Mapping[str, str] = {},
    baselines: Mapping[str, float] = {},
    reference: DataFrame | None = None,
    reference_label: str = "reference",
) -> Figure:
    """A result over one, two or three axes of a study: means over seeds with 95 % bootstrap intervals.

    Parameters
    ----------
    table : DataFrame
        One row a run: columns of the axes, ``seed``, ``status``, and one for each report.
    x, y : str
        Axis along which, and report that is drawn.
    lines, panels : str, optional
        Axes whose values become lines, and panels.
    heat : bool
        A map over x and lines with the mean in each field instead of lines.
    title : str
        Written above.
    labels : mapping of str to str
        Words with units by column, "delay of a synapse (ms)".
    metrics : mapping of str to str
        What each report is of, "validation_accuracy"; accuracies are drawn in percent.
    baselines : mapping of str to float
        Yardsticks by name; each becomes a dashed line. Not in a map.
    reference : DataFrame, optional
        Values to compare with: y, and some of x, lines and panels; what it lacks holds for all of its values.
    reference_label : str
        Where they are from.

    Returns
    -------
    Figure
        Not attached to any window; save it with ``figure.savefig(path)``.

    Raises
    ------
    UserError
        If a column is unknown, a map has no lines, or runs differ in an axis that is not drawn.
    """
    _known(table, x, y, lines, panels)
    drawn = [name for name in (x, lines, panels) if name is not None]
    table = _normal(table, dict.fromkeys([*_axes(table), *drawn]))
    _refuse_hidden(table, drawn)
    if reference is not None:
        _known(reference, y)
        reference = _normal(reference, [name for name in drawn if name in reference.columns])
        reference = reference[_values(reference, y).notna()]
    report = _report(y, labels, metrics)
    others = [reference] if reference is not None else []
    columns = {name: _column(name, labels, table, *(o for o in others if name in o.columns)) for name in drawn}
    within = [columns[panels]] if panels else []
    if heat:
        if lines is None:
            raise UserError("a heat map needs a second axis; give it as lines")
        return _heat_figure(table, columns[x], columns[lines], within, report, title, reference, reference_label)
    return _line_figure(
        table, columns[x], columns[lines] if lines else None, within, report, title, baselines, reference, reference_label
    )  # fmt: skip


def _refuse_hidden(table: DataFrame, drawn: Sequence[str]) -> None:
    """Refuse to draw if runs at one point differ in more than their seed."""
    hidden = [
        name
        for name in _axes(table)
        if name not in drawn and any(part[name].nunique() > 1 for part in _grouped(table, drawn).values())
    ]
    if hidden:
        value = _column(hidden[0], {}, table).values[0]
        raise UserError(
            f"the runs differ in {' and '.join(hidden)}, too, which the figure does not show; give them as lines or panels, "
            f"or draw a part: pyramidal study plot FOLDER --only {hidden[0]}={value:{'g' if not isinstance(value, str) else ''}}"
        )


def _line_figure(
    table: DataFrame,
    x: _Column,
    lines: _Column | None,
    panels: Sequence[_Column],
    report: _Report,
    title: str,
    baselines: Mapping[str, float],
    reference: DataFrame | None,
    reference_label: str,
) -> Figure:
    headings = [(value, panels[0].named(value)) for value in _present(panels[0], table)] if panels else [(None, "")]
    n_lines = len(lines.values) if lines else 1
    width, height = _size(len(headings))
    width = max(width, 0.3 * len(x.values) * (1.0 if x.numeric else 1.6)) if len(headings) == 1 else width
    sheet = _Sheet(len(headings), width, height)
    styles = _styles(lines)
    for axes, (panel, heading) in zip(sheet.panels, headings, strict=True):
        part = table if panel is None else table[table[panels[0].name] == panel]
        sheet.tidy(axes, heading, x.label, report.label)
        for i, value in enumerate(lines.values if lines else (None,)):
            of_line = part if lines is None else part[part[lines.name] == value]
            shift = 0.0 if x.numeric or n_lines == 1 else 0.5 * ((i + 0.5) / n_lines - 0.5)
            _draw_points(axes, of_line, x, report, styles[i], shift)
            if reference is not None:
                here = _where(
                    reference, {c.name: v for c, v in ((lines, value), (panels[0] if panels else None, panel)) if c}
                )
                if lines is None or lines.name in reference.columns or i == 0:
                    _draw_reference(
                        axes, here, x, report, styles[i] if lines and lines.name in reference.columns else None
                    )
        for value in baselines.values():
            axes.axhline(value, color=GREY, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
    unseen = _scale_y(sheet.panels, report)
    for axes in sheet.panels:
        _scale_x(axes, x, width)
    _name_baselines(sheet.rightmost, baselines, height)
    handles, words = _legend(lines, table, styles, reference, reference_label, line=x.numeric)
    counts = _grouped(table[_values(table, report.name).notna()], [c.name for c in (x, lines, *panels) if c])
    seeds = sorted({len(part) for part in counts.values()})
    note = [_means_told(seeds), _left_out(table, report.name)]
    if unseen:
        note.append(f"{unseen} {'point lies' if unseen == 1 else 'points lie'} below the axis.")
    heading = _unit(lines.label)[0] if lines and (lines.numeric or set(lines.values) <= {"true", "false"}) else ""
    sheet.finish(title, handles, words, heading, " ".join(filter(None, note)))
    return sheet.figure


def _means_told(seeds: Sequence[int]) -> str:
    if not seeds or seeds[-1] < 2:
        return ""
    n = f"{seeds[0]}" if seeds[0] == seeds[-1] else f"{seeds[0]} to {seeds[-1]}"
    return f"Mean over {n} seeds with its 95 % interval (bootstrap)."


def _present(column: _Column, table: DataFrame) -> list[Any]:
    """Values of a column that runs of the study have."""
    own = set(table[column.name])
    return [value for value in column.values if value in own]


def _where(table: DataFrame, values: Mapping[str, Any]) -> DataFrame:
    """Rows with the values, as far as the table knows the columns."""
    for name, value in values.items():
        if name in table.columns:
            table = table[table[name] == value]
    return table


def _styles(lines: _Column | None) -> list[dict[str, Any]]:
    """Colour, marker and dashes of each line; of few lines each is thinner than that below it, so that equal ones show."""
    n = len(lines.values) if lines else 1
    if n <= MOST_COLOURS:
        return [
            {"color": color, "marker": marker, "linewidth": 2.6 - 0.3 * i if n > 1 else 1.8,
             "markersize": 6.5 - 0.6 * i if n > 1 else 5.0, "zorder": 3 + 0.01 * i}
            for i, (color, marker) in zip(range(n), SERIES, strict=False)
        ]  # fmt: skip
    shapes = cycle(marker for _, marker in SERIES)
    if lines and lines.numeric:
        colors = [to_hex(color) for color in colormaps["viridis"](np.linspace(0.0, 0.92, n))]
        dashes: list[Any] = ["-"] * n
    else:
        colors = [SERIES[i % MOST_COLOURS][0] for i in range(n)]
        dashes = [DASHES[i // MOST_COLOURS % len(DASHES)] for i in range(n)]
    return [
        {"color": color, "marker": marker, "linewidth": 1.5, "markersize": 4.5, "linestyle": dash, "zorder": 3}
        for color, marker, dash in zip(colors, shapes, dashes, strict=False)
    ]


def _draw_points(
    axes: Axes, table: DataFrame, x: _Column, report: _Report, style: Mapping[str, Any], shift: float
) -> None:
    """Means with their intervals, joined by a line along numbers."""
    points = []
    for value in x.values:
        values = _known_values(table[table[x.name] == value], report.name)
        if len(values):
            points.append((x.at(value) + shift, float(np.mean(values)), *interval(values.tolist())))
    if not points:
        return
    at, mean, low, high = zip(*points, strict=True)
    if any(a < b for a, b in zip(low, high, strict=True)):
        axes.vlines(at, low, high, color=style["color"], linewidth=1.3, alpha=0.6, zorder=2.5, clip_on=False)
    line = {"linestyle": "none"} if not x.numeric else {}
    axes.plot(at, mean, clip_on=report.r2, markeredgecolor="white", markeredgewidth=0.5, **{**style, **line})


def _draw_reference(axes: Axes, table: DataFrame, x: _Column, report: _Report, style: Mapping[str, Any] | None) -> None:
    """Thin and grey, with an open marker of the shape of the line it is to be compared with."""
    grey: dict[str, Any] = {"color": GREY, "linewidth": 1.0, "linestyle": (0, (1, 1.5)), "zorder": 2}
    if table.empty:
        return
    if x.name not in table.columns:
        axes.axhline(float(np.mean(_known_values(table, report.name))), **grey)
        return
    means = [(v, float(np.mean(_known_values(part, report.name)))) for (v,), part in _grouped(table, [x.name]).items()]
    points = sorted((x.at(value), mean) for value, mean in means)
    if not x.numeric:
        grey["linestyle"] = "none"
    axes.plot(*zip(*points, strict=True), clip_on=report.r2, **grey, **_open(style["marker"] if style else "o"))


def _open(marker: str) -> dict[str, Any]:
    return {
        "marker": marker,
        "markersize": 4.5,
        "markerfacecolor": "white",
        "markeredgecolor": GREY,
        "markeredgewidth": 1.0,
    }


def _legend(
    lines: _Column | None,
    table: DataFrame,
    styles: Sequence[Mapping[str, Any]],
    reference: DataFrame | None,
    reference_label: str,
    *,
    line: bool,
) -> tuple[list[Any], list[str]]:
    """Handles and words of the lines that the study has, and of the reference."""
    handles: list[Any] = []
    words = []
    shown: list[Mapping[str, Any]] = []
    if lines:
        unit = _unit(lines.label)[1] if lines.numeric else ""
        own = _present(lines, table)
        for value, style in zip(lines.values, styles, strict=True):
            if value in own:
                shown.append(style)
                look = {**style, "linestyle": style.get("linestyle", "-") if line else "none"}
                handles.append(Line2D([], [], markeredgecolor="white", markeredgewidth=0.5, **look))
                words.append(f"{lines.words[value]} {unit}".rstrip())
    if reference is not None and not reference.empty:
        own_lines = bool(lines and lines.name in reference.columns)
        markers = [style["marker"] for style in shown][:MOST_COLOURS] if own_lines else ["o"]
        grey: dict[str, Any] = {"color": GREY, "linewidth": 1.0, "linestyle": (0, (1, 1.5)) if line else "none"}
        handles.append(tuple(Line2D([], [], **grey, **_open(marker)) for marker in dict.fromkeys(markers)))
        words.append(reference_label)
    return handles, words


def _scale_y(panels: Sequence[Axes], report: _Report) -> int:
    """Percent, R², logarithmic or as it is, the same for all panels; returns how many points lie below R² = -1, which is not drawn."""
    axes = panels[0]
    values = np.array([v for panel in panels for line in panel.lines for v in np.asarray(line.get_ydata(), float)])
    if report.percent:
        axes.set_ylim(0.0, 1.03)
        axes.set_yticks(np.linspace(0.0, 1.0, 5))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=None))
    elif report.r2:
        lowest = float(np.min(values, initial=0.0))
        axes.set_ylim(max(1.1 * lowest, -1.0) if lowest < -0.03 else -0.03, 1.03)
        return int(np.sum(values < -1.0))
    elif len(values) and _is_wide(values):
        axes.set_yscale("log")
        _log_ticks(axes.yaxis, *axes.get_ylim())
    elif len(values):
        low, high = axes.get_ylim()
        if np.min(values) >= 0.0 and low < 0.3 * high:
            axes.set_ylim(bottom=0.0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value, 6)))
    else:
        axes.set_yticks([])
    return 0


def _is_wide(values: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    return bool(np.min(values) > 0.0 and np.max(values) > WIDE * np.min(values))


def _log_ticks(axis: Any, low: float, high: float) -> None:
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 200.0 * low else (1.0,), numticks=9))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value, 3)))
    axis.set_minor_formatter(NullFormatter())


def _scale_x(axes: Axes, x: _Column, width: float) -> None:
    """Ticks at the values, with words as far as there is room for them."""
    at = [x.at(value) for value in x.values]
    if not x.numeric:
        room = width / max(len(at), 1) - 0.1
        words = [_wrapped(_plain(x.words[value]), room, 8.5) for value in x.values]
        if all(_inches(line, 8.5) <= room for word in words for line in word.split("\n")) and not _broken(x, words):
            axes.set_xticks(at, words)
        else:
            words = [_wrapped(_plain(x.words[value]), 1.7, 8.5) for value in x.values]
            axes.set_xticks(at, words, rotation=35, ha="right", rotation_mode="anchor", linespacing=0.95)
        axes.set_xlim(-0.6, len(at) - 0.4)
        return
    if x.logarithmic:
        axes.set_xscale("log")
    scaled = np.log(at) if x.logarithmic else np.array(at)
    span = float(scaled[-1] - scaled[0])
    margin = 0.05 * span or 0.5
    ends = scaled[0] - margin, scaled[-1] + margin
    axes.set_xlim(*(np.exp(ends) if x.logarithmic and span else ends))
    inches = (scaled - ends[0]) / (ends[1] - ends[0]) * width
    words, free = [], -math.inf
    for value, place in zip(x.values, inches, strict=True):
        half = 0.5 * _inches(x.words[value], 8.5)
        fits = place - half > free
        words.append(x.words[value] if fits else "")
        free = place + half + 0.08 if fits else free
    axes.set_xticks(at, words)
    axes.xaxis.set_minor_locator(NullLocator())


def _broken(x: _Column, words: Sequence[str]) -> bool:
    """Whether a word was cut, or there are more than three lines of them."""
    whole = {part for value in x.values for part in _plain(x.words[value]).split()}
    return any(len(word.split("\n")) > 3 or not set(word.split()) <= whole for word in words)


def _name_baselines(axes: Axes, baselines: Mapping[str, float], height: float) -> None:
    """Name dashed lines at their right ends, none on another."""
    low, high = axes.get_ylim()
    logarithmic = axes.get_yscale() == "log"
    free = -math.inf
    for value, name in sorted((value, name) for name, value in baselines.items()):
        if not low <= value <= high:
            continue
        part = math.log(value / low) / math.log(high / low) if logarithmic else (value - low) / (high - low)
        text = _wrapped(name, 0.9, 8.0)
        half = 0.5 * (text.count("\n") + 1) * 8.0 * 1.2 / 72.0 / height
        part = max(part, free + half)
        free = part + half
        axes.annotate(
            text, (1.0, part), xycoords="axes fraction", xytext=(4, 0), textcoords="offset points", va="center",
            fontsize=8, color=GREY, annotation_clip=False, linespacing=1.1,
        )  # fmt: skip


# --------------------------------------------------------------------------------------------------------- heat map


def _heat_figure(
    table: DataFrame,
    x: _Column,
    y: _Column,
    panels: Sequence[_Column],
    report: _Report,
    title: str,
    reference: DataFrame | None,
    reference_label: str,
) -> Figure:
    """Maps over x and y, one for each panel, and those of the reference."""
    maps: list[tuple[str, DataFrame, bool]] = []
    if panels:
        maps += [(panels[0].named(v), table[table[panels[0].name] == v], True) for v in _present(panels[0], table)]
    else:
        maps.append(("" if reference is None else "this study", table, True))
    if reference is not None and x.name in reference.columns and y.name in reference.columns:
        split = panels and panels[0].name in reference.columns
        parts = _grouped(reference, [panels[0].name]) if split else {(): reference}
        maps += [
            (", ".join([reference_label, *(panels[0].named(v) for v in key)]), part, False)
            for key, part in parts.items()
        ]
    means = [_means(part, x, y, report) for _, part, _ in maps]
    known = np.concatenate([values[np.isfinite(values)] for values in means])
    norm = _norm(known, report)
    width, height = max(2.6, 0.72 * len(x.values)), max(1.8, 0.5 * len(y.values))
    sheet = _Sheet(len(maps), width, height)
    for axes, (heading, part, own), values in zip(sheet.panels, maps, means, strict=True):
        sheet.tidy(axes, heading, x.label, y.label)
        _draw_map(axes, part if own else None, values, x, y, report, norm)
        _scale_fields(axes, x, y, width)
    note = [_left_out(table, report.name)]
    counts = {
        len(part)
        for part in _grouped(
            table[_values(table, report.name).notna()], [x.name, y.name, *(p.name for p in panels)]
        ).values()
    }
    if counts and max(counts) > 1:
        n = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
        note.insert(0, f"Mean over {n} seeds.")
    sheet.finish(title or report.label, [], [], "", " ".join(filter(None, note)), below=report.label if title else "")
    return sheet.figure


def _means(table: DataFrame, x: _Column, y: _Column, report: _Report) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Mean by [y, x], not a number where there is none."""
    means = np.full((len(y.values), len(x.values)), np.nan)
    for (row, column), part in _grouped(table, [y.name, x.name]).items():
        values = _known_values(part, report.name)
        if len(values):
            means[y.values.index(row), x.values.index(column)] = np.mean(values)
    return means


def _norm(values: np.ndarray[Any, np.dtype[np.float64]], report: _Report) -> Normalize:
    """Colours from pale to dark over the values, of which the lowest is not yet white."""
    if not len(values):
        return Normalize(0.0, 1.0)
    low, high = float(np.min(values)), float(np.max(values))
    if not report.percent and not report.r2 and _is_wide(values):
        return LogNorm(low * (low / high) ** 0.2, high * (high / low) ** 0.1)
    span = (high - low) or abs(high) or 1.0
    return Normalize(low - 0.2 * span, high + 0.1 * span)


def _draw_map(
    axes: Axes,
    runs: DataFrame | None,
    values: np.ndarray[Any, np.dtype[np.float64]],
    x: _Column,
    y: _Column,
    report: _Report,
    norm: Normalize,
) -> None:
    colours = colormaps["Blues"]
    axes.imshow(
        np.ma.masked_invalid(values), cmap=colours, norm=norm, aspect="auto", origin="lower" if y.numeric else "upper"
    )
    for (row, column), value in np.ndenumerate(values):
        if math.isfinite(value):
            dark = sum(w * c for w, c in zip((0.3, 0.59, 0.11), colours(norm(value))[:3], strict=True)) < 0.58
            text, color, size = report.text(value), "white" if dark else INK, 9.5
        else:
            text, color, size = _why(runs, {x.name: x.values[column], y.name: y.values[row]}), GREY, 8.0
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=color)


def _why(runs: DataFrame | None, values: Mapping[str, Any]) -> str:
    """What became of the runs of a field without a value."""
    here = DataFrame() if runs is None else _where(runs, values)
    if here.empty or "status" not in here.columns:
        return "–"
    (status, _), *_ = Counter(map(str, here["status"])).most_common()
    return {"waiting": "not run", "done": "–"}.get(status, status)


def _scale_fields(axes: Axes, x: _Column, y: _Column, width: float) -> None:
    """A tick in the middle of each field, white lines between them."""
    place = _Column(x.name, x.label, False, x.values, x.words)
    _scale_x(axes, place, width)
    axes.set_xlim(-0.5, len(x.values) - 0.5)
    axes.set_yticks(range(len(y.values)), [_wrapped(_plain(y.words[value]), 1.6, 8.5) for value in y.values])
    axes.set_xticks(np.arange(0.5, len(x.values) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(y.values) - 1), minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color="white", linewidth=2.0)
    axes.tick_params(which="both", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)


# -------------------------------------------------------------------------------------------------------- the sheet


def _size(n: int) -> tuple[float, float]:
    return SIZES[_row_length(n)]


def _row_length(n: int) -> int:
    """How many of n panels stand in a row, so that rows are about equally long."""
    return math.ceil(n / math.ceil(n / MOST_PANELS))


class _Sheet:
    """A figure of equal panels, whose axes have a given size whatever stands around them.

    Parameters
    ----------
    n : int
        Panels; at most four in a row.
    width, height : float
        Of each panel's axes (inches).
    share_x : bool
        Whether all are drawn along the same x. They always share y.
    """

    def __init__(self, n: int, width: float, height: float, *, share_x: bool = True) -> None:
        self._n, self._width, self._height, self._share_x = n, width, height, share_x
        self._across = _row_length(n)
        self._down = math.ceil(n / self._across)
        size = (self._across * (width + 0.3) + 0.8, self._down * (height + 0.9) + 0.5)
        self.figure = Figure(figsize=size, dpi=150, layout="constrained")
        FigureCanvasAgg(self.figure)
        grid = self.figure.subplots(self._down, self._across, squeeze=False, sharex=share_x, sharey=True).ravel()
        for spare in grid[n:]:
            spare.remove()
        self.panels: list[Axes] = list(grid[:n])

    @property
    def rightmost(self) -> Axes:
        """The panel at the right end of the first row."""
        return self.panels[self._across - 1]

    def tidy(self, axes: Axes, heading: str, x: str, y: str) -> None:
        """Style of the project; labels of shared axes only where they end."""
        i = self.panels.index(axes)
        first, lowest = i % self._across == 0, i + self._across >= self._n or not self._share_x
        tidy(
            axes,
            _wrapped(_plain(heading), self._width, 10.0, weight="bold"),
            _wrapped(x, self._width, 9.0) if lowest else "",
            _wrapped(y, self._height, 9.0) if first else "",
        )
        axes.tick_params(labelleft=first, labelbottom=True)

    def finish(
        self, title: str, handles: Sequence[Any], words: Sequence[str], heading: str, note: str, below: str = ""
    ) -> None:
        """Write title and legend above, a note below, and give all of it room.

        Parameters
        ----------
        title, note : str
            Above, and small and grey below; wrapped.
        handles, words : sequence
            Of the legend.
        heading : str
            Of the legend.
        below : str
            Small and grey below the title.
        """
        figure = self.figure
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.03)
        canvas: Any = figure.canvas
        figure.draw_without_rendering()
        box, (wide, high) = self.panels[0].get_position(), figure.get_size_inches()
        left = box.x0 * wide
        wide = max(wide + self._across * (self._width - box.width * wide), 4.2)
        high += self._down * (self._height - box.height * high)
        room = wide - left - 0.15
        head, texts = 0.1, []
        for text, size, color in ((title, 11.0, INK), (below, 9.0, GREY)):
            if text:
                wrapped = _wrapped(_plain(text), room, size)
                texts.append((head, wrapped, size, color))
                head += (wrapped.count("\n") + 1) * size * 1.25 / 72.0 + 0.05
        legend_at = head
        legend = None
        if handles:
            legend = self._legend(handles, [_wrapped(_plain(word), room - 0.6, 9.0) for word in words], heading, room)
            head += legend.get_window_extent(canvas.get_renderer()).height / figure.dpi + 0.08
        foot = 0.0
        if note:
            note = _wrapped(note, room, 8.0)
            foot = (note.count("\n") + 1) * 8.0 * 1.25 / 72.0 + 0.1
        figure.set_size_inches(wide, high + head + foot)
        total = high + head + foot
        engine.set(rect=(0.0, foot / total, 1.0, high / total))
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        left = self.panels[0].get_position().x0
        for at, text, size, color in texts:
            figure.text(left, 1.0 - at / total, text, fontsize=size, color=color, va="top", linespacing=1.2)
        if legend is not None:
            legend.set_bbox_to_anchor((left, 1.0 - legend_at / total), transform=figure.transFigure)
        if note:
            figure.text(left, 0.08 / total, note, fontsize=8, color=GREY, va="bottom", linespacing=1.2)

    def _legend(self, handles: Sequence[Any], words: Sequence[str], heading: str, room: float) -> Any:
        """A legend with as many columns as there is room for (inches)."""
        canvas: Any = self.figure.canvas
        for columns in range(len(handles), 0, -1):
            legend = self.figure.legend(
                handles, words, loc="upper left", ncols=columns, frameon=False, fontsize=9, labelcolor=INK,
                title=heading or None, title_fontsize=9, alignment="left", borderpad=0.0, borderaxespad=0.0,
                handlelength=2.2, columnspacing=1.6, handler_map={tuple: HandlerTuple(ndivide=None, pad=0.6)},
            )  # fmt: skip
            legend.get_title().set_color(GREY)
            if columns == 1 or legend.get_window_extent(canvas.get_renderer()).width / self.figure.dpi <= room:
                break
            legend.remove()
        return legend


def _plain(text: str) -> str:
    """Text of the user's in which a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def _inches(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line of text."""
    if not text.strip():
        return 0.0
    return float(TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight)).get_extents().width) / 72.0


def _wrapped(text: str, room: float, size: float, weight: str = "normal") -> str:
    """Text in lines of at most so many inches; one with a formula stays in one."""
    width = _inches(text, size, weight)
    if width <= room or text.replace(r"\$", "").count("$") > 1:
        return text
    for letters in range(min(len(text) - 1, int(1.3 * len(text) * room / width) + 1), 0, -1):
        lines = textwrap.wrap(text, letters)
        if all(_inches(line, size, weight) <= room for line in lines):
            break
    return "\n".join(lines)


# -------------------------------------------------------------------------------------------------------- Markdown


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
    _known(table, value, columns, *by)
    named = [*by, columns] if columns else by
    table = _normal(table, dict.fromkeys([*_axes(table), *named]))
    _refuse_mixed(table, named)
    report = _report(value, labels, metrics)
    if not columns:
        return _markdown(table, by, [report], labels, digits)
    across = _column(columns, labels, table)
    places = [_column(name, labels, table) for name in by]
    cells = _grouped(table, named)
    text = _Cells(table, named, report, digits)
    head = [*(place.label for place in places), *(across.named(item) for item in across.values)]
    lines = [
        [*(place.words[part] for place, part in zip(places, key, strict=True)),
         *(text(cells.get((*key, item))) for item in across.values)]
        for key in _grouped(table, by)
    ]  # fmt: skip
    numbers = [*(place.numeric for place in places), *(True for _ in across.values)]
    return _lines(head, lines, numbers, f"{_capital(report.label)}: {text.told}", _left_out(table, value))


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
    _known(table, *axes, *reports)
    table = _normal(table, axes)
    return _markdown(table, list(axes), [_report(name, labels, metrics) for name in reports], labels, digits)


def _markdown(
    table: DataFrame, by: Sequence[str], reports: Sequence[_Report], labels: Mapping[str, str], digits: int
) -> str:
    """A row for each point, a column for each report; one more for what became of the runs unless all is well."""
    places = [_column(name, labels, table) for name in by]
    texts = [_Cells(table, by, report, digits) for report in reports]
    well = "status" not in table.columns or set(table["status"]) <= {"done"}
    lines = [
        [*(place.words[part] for place, part in zip(places, key, strict=True)),
         *(text(part) for text in texts), *([] if well else [_states(part)])]
        for key, part in _grouped(table, by).items()
    ]  # fmt: skip
    head = [*(c.label for c in places), *(report.label for report in reports), *([] if well else ["runs"])]
    numbers = [*(place.numeric for place in places), *(True for _ in reports), *([] if well else [False])]
    told = list(dict.fromkeys(text.told for text in texts))
    if len(told) > 1:
        told = [f"{_capital(report.label)}: {text.told}" for report, text in zip(reports, texts, strict=True)]
    left_out = _left_out(table, reports[0].name) if len(reports) == 1 else ""
    return _lines(head, lines, numbers, *told, left_out)


def _refuse_mixed(table: DataFrame, named: Sequence[str]) -> None:
    hidden = [
        name
        for name in _axes(table)
        if name not in named and any(part[name].nunique() > 1 for part in _grouped(table, named).values())
    ]
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

    def __init__(self, table: DataFrame, by: Sequence[str], report: _Report, digits: int) -> None:
        self._report, self._digits = report, digits
        counts = {len(_known_values(part, report.name)) for part in _grouped(table, by).values()} - {0}
        self._median = report.stable and bool(_values(_ended(table), report.name).isna().any())
        self._n = len(counts) > 1
        most = max(counts, default=0)
        seeds = f" over {most} seeds" if len(counts) == 1 else " (number of seeds)"
        if self._median:
            self.told = "median (seeds that have one of all)."
        else:
            self.told = f"mean ± standard deviation{seeds}." if most > 1 else "one seed each."

    def __call__(self, part: DataFrame | None) -> str:
        """Mean ± standard deviation, or median (k of n); a dash where nothing is known."""
        values = np.array([]) if part is None else _known_values(part, self._report.name)
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


# ----------------------------------------------------------------------------------------------- figure of a search


def search_figure(
    table: DataFrame,
    parameters: Sequence[str],
    objective: str,
    *,
    title: str = "",
    labels: Mapping[str, str] = {},
    metrics: Mapping[str, str] = {},
    logarithmic: Sequence[str] = (),
    maximize: bool = True,
) -> Figure:
    """Course of a search, and its objective over each of the parameters.

    Parameters
    ----------
    table : DataFrame
        One row a run, in the order of the trials; runs that differ in nothing but the seed are one trial.
    parameters : sequence of str
        Columns that were searched.
    objective : str
        The report that was to become large (or small).
    title : str
        Written above.
    labels, metrics : mapping of str to str
        Words of columns, and what reports are of, as for `study_figure`.
    logarithmic : sequence of str
        Parameters that were sampled by their logarithm.
    maximize : bool
        Whether large objectives are good.

    Returns
    -------
    Figure
        Not attached to any window; save it with ``figure.savefig(path)``.
    """
    _known(table, objective, *parameters)
    table = _normal(table, parameters)
    report = _report(objective, labels, metrics)
    columns = [_column(name, labels, table) for name in parameters]
    trials = [
        _Trial(number, part, columns, report)
        for number, part in enumerate(
            _grouped(table, ["trial"] if "trial" in table.columns else parameters).values(), 1
        )
    ]
    complete = [trial for trial in trials if trial.value is not None and not trial.pruned]
    best = (max if maximize else min)(complete, key=lambda trial: trial.value or 0.0, default=None)
    width, height = _size(1 + len(columns))
    sheet = _Sheet(1 + len(columns), width, height, share_x=False)
    course, *others = sheet.panels
    sheet.tidy(course, "", "trial", report.label)
    if complete:
        so_far = (np.maximum if maximize else np.minimum).accumulate([trial.value or 0.0 for trial in complete])
        numbers = [*(trial.number for trial in complete), len(trials)]
        course.step(numbers, [*so_far, so_far[-1]], where="post", color=VERMILLION, linewidth=1.4, zorder=2)
    _draw_trials(course, [(trial.number, trial) for trial in trials], best)
    course.set_xlim(0.0, len(trials) + 1.0)
    course.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    for axes, column in zip(others, columns, strict=True):
        sheet.tidy(axes, "", column.label, report.label)
        _draw_trials(axes, [(trial.at[column.name], trial) for trial in trials], best)
        if not column.numeric:
            _scale_x(axes, column, width)
            continue
        if column.name in logarithmic:
            axes.set_xscale("log")
            _log_ticks(axes.xaxis, *axes.get_xlim())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value, 6)))
    _scale_y(sheet.panels, report)
    handles, words = _trial_legend(trials, best, report)
    sheet.finish(title, handles, words, "", _left_out(table, objective, means=False))
    return sheet.figure


class _Trial:
    """What one trial of a search gave: the mean of its seeds, and where it stands along each parameter."""

    def __init__(self, number: int, runs: DataFrame, columns: Sequence[_Column], report: _Report) -> None:
        values = _known_values(runs, report.name)
        self.number = number
        self.value = float(np.mean(values)) if len(values) else None
        self.pruned = "status" in runs.columns and bool((runs["status"] == "pruned").any())
        self.at = {column.name: column.at(runs[column.name].tolist()[0]) for column in columns}
        self.words = [column.named(runs[column.name].tolist()[0]) for column in columns]


DOT: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": BLUE, "markersize": 5.0, "markeredgecolor": "white",
                       "markeredgewidth": 0.5, "zorder": 4}  # fmt: skip
PRUNED: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": GREY, "markersize": 3.5, "markerfacecolor": "white",
                          "markeredgewidth": 0.8, "zorder": 3}  # fmt: skip
RING: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": VERMILLION, "markersize": 10.0, "markerfacecolor": "none",
                        "markeredgewidth": 1.6, "zorder": 5}  # fmt: skip


def _draw_trials(axes: Axes, trials: Sequence[tuple[float, _Trial]], best: _Trial | None) -> None:
    """Dots, small open ones for what was pruned, and a ring around the best."""
    for style, chosen in (
        (DOT, [(at, trial.value) for at, trial in trials if not trial.pruned]),
        (PRUNED, [(at, trial.value) for at, trial in trials if trial.pruned]),
        (RING, [(at, trial.value) for at, trial in trials if trial is best]),
    ):
        known = [(at, value) for at, value in chosen if value is not None]
        if known:
            axes.plot(*zip(*known, strict=True), clip_on=False, **style)


def _trial_legend(trials: Sequence[_Trial], best: _Trial | None, report: _Report) -> tuple[list[Any], list[str]]:
    """What the marks are, and the best trial in words."""
    shown: list[tuple[Mapping[str, Any], str]] = [(DOT, "trial")]
    if any(trial.pruned and trial.value is not None for trial in trials):
        shown.append((PRUNED, "pruned"))
    if best is not None and best.value is not None:
        shown.append(({"color": VERMILLION, "linewidth": 1.4}, "best so far"))
        shown.append((RING, f"best, trial {best.number}: {report.text(best.value)} at {', '.join(best.words)}"))
    return [Line2D([], [], **style) for style, _ in shown], [words for _, words in shown]
