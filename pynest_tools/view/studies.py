# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures of a study, made from its table; nothing is computed but means over seeds, and how sure they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator, PercentFormatter
from pandas import DataFrame

from ..errors import UserError
from .figures import BLUE, GREY, INK, SERIES, VERMILLION
from .sheet import Sheet, plain, size_of, width_of, wrapped_text
from .study_values import (
    Column,
    Report,
    axes_of,
    column_of,
    grouped,
    hidden_axes,
    known_values,
    normal,
    number_text,
    refuse_unknown,
    report_of,
    told_of_left_out,
    values_of,
    words_and_unit,
)

MOST_COLOURS = len(SERIES)  # beyond, lines are told apart by a scale of colours, or by their dashes
WIDE = 30.0  # factor that positive values span from which on their axis is logarithmic
RESAMPLES = 9999  # of the bootstrap: the ends of the interval are then known to some 2 % of its width
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))


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
    refuse_unknown(table, x, y, lines, panels)
    drawn = [name for name in (x, lines, panels) if name is not None]
    table = normal(table, dict.fromkeys([*axes_of(table), *drawn]))
    _refuse_hidden(table, drawn)
    if reference is not None:
        reference = _comparable(reference, table, y, dict.fromkeys((x, lines) if heat else (x,)))
    report = report_of(y, labels, metrics)
    others = [reference] if reference is not None else []
    columns = {name: column_of(name, labels, table, *(o for o in others if name in o.columns)) for name in drawn}
    within = [columns[panels]] if panels else []
    if heat:
        if lines is None:
            raise UserError("a heat map needs a second axis; give it as lines")
        return _heat_figure(table, columns[x], columns[lines], within, report, title, reference, reference_label)
    return _line_figure(
        table, columns[x], columns[lines] if lines else None, within, report, title, baselines, reference, reference_label
    )  # fmt: skip


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


def _refuse_hidden(table: DataFrame, drawn: Sequence[str]) -> None:
    """Refuse to draw if runs at one point differ in more than their seed."""
    hidden = hidden_axes(table, drawn)
    if hidden:
        first = column_of(hidden[0], {}, table)
        raise UserError(
            f"the runs differ in {' and '.join(hidden)}, too, which the figure does not show; give them as lines or panels, "
            f"or draw a part: pyramidal study plot FOLDER --only {hidden[0]}={first.words[first.values[0]]}"
        )


def _comparable(reference: DataFrame, table: DataFrame, y: str, open_: Iterable[str | None]) -> DataFrame | None:
    """What a reference says of y where the study is, but for the axes that may reach beyond; None if nothing."""
    if y not in reference.columns:
        return None
    names = [name for name in axes_of(table) if name in reference.columns]
    reference = normal(reference, names)
    reference = reference[values_of(reference, y).notna()]
    for name in set(names).difference(open_):
        reference = reference[reference[name].isin(table[name]) | reference[name].isna()]
    return None if reference.empty else reference


def _line_figure(
    table: DataFrame,
    x: Column,
    lines: Column | None,
    panels: Sequence[Column],
    report: Report,
    title: str,
    baselines: Mapping[str, float],
    reference: DataFrame | None,
    reference_label: str,
) -> Figure:
    headings = [(value, panels[0].named(value)) for value in _present(panels[0], table)] if panels else [(None, "")]
    n_lines = len(lines.values) if lines else 1
    width, height = size_of(len(headings))
    width = max(width, 0.3 * len(x.values) * (1.0 if x.numeric else 1.6)) if len(headings) == 1 else width
    sheet = Sheet(len(headings), width, height)
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
        _scale_x(axes, x, width, _present(x, table))
    _name_baselines(sheet.rightmost, baselines, height)
    handles, words = _legend(lines, table, styles, reference, reference_label, line=x.numeric)
    counts = grouped(table[values_of(table, report.name).notna()], [c.name for c in (x, lines, *panels) if c])
    seeds = sorted({len(part) for part in counts.values()})
    note = [_means_told(seeds), told_of_left_out(table, report.name)]
    if unseen:
        note.append(f"{unseen} {'point lies' if unseen == 1 else 'points lie'} below the axis.")
    speaking = lines is None or all(map(lines.speaks_for_itself, lines.values))
    heading = "" if lines is None or speaking else words_and_unit(lines.label)[0]
    sheet.finish(title, handles, words, heading, " ".join(filter(None, note)))
    return sheet.figure


def _means_told(seeds: Sequence[int]) -> str:
    if not seeds or seeds[-1] < 2:
        return ""
    n = f"{seeds[0]}" if seeds[0] == seeds[-1] else f"{seeds[0]} to {seeds[-1]}"
    return f"Mean over {n} seeds with its 95 % interval (bootstrap)."


def _present(column: Column, table: DataFrame) -> list[Any]:
    """Values of a column that runs of the study have."""
    own = set(table[column.name])
    return [value for value in column.values if value in own]


def _where(table: DataFrame, values: Mapping[str, Any]) -> DataFrame:
    """Rows with the values, or for all of them, as far as the table knows the columns."""
    for name, value in values.items():
        if name in table.columns:
            table = table[(table[name] == value) | table[name].isna()]
    return table


def _styles(lines: Column | None) -> list[dict[str, Any]]:
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
    axes: Axes, table: DataFrame, x: Column, report: Report, style: Mapping[str, Any], shift: float
) -> None:
    """Means with their intervals, joined by a line along numbers."""
    points = []
    for value in x.values:
        values = known_values(table[table[x.name] == value], report.name)
        if len(values):
            points.append((x.at(value) + shift, float(np.mean(values)), *interval(values.tolist())))
    if not points:
        return
    at, mean, low, high = zip(*points, strict=True)
    if any(a < b for a, b in zip(low, high, strict=True)):
        axes.vlines(at, low, high, color=style["color"], linewidth=1.3, alpha=0.6, zorder=2.5, clip_on=False)
    line = {"linestyle": "none"} if not x.numeric else {}
    axes.plot(at, mean, clip_on=report.r2, markeredgecolor="white", markeredgewidth=0.5, **{**style, **line})


def _draw_reference(axes: Axes, table: DataFrame, x: Column, report: Report, style: Mapping[str, Any] | None) -> None:
    """Thin and grey, with an open marker of the shape of the line it is to be compared with."""
    grey: dict[str, Any] = {"color": GREY, "linewidth": 1.0, "linestyle": (0, (1, 1.5)), "zorder": 2}
    if table.empty:
        return
    if x.name not in table.columns:
        axes.axhline(float(np.mean(known_values(table, report.name))), **grey)
        return
    means = [(v, float(np.mean(known_values(part, report.name)))) for (v,), part in grouped(table, [x.name]).items()]
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
    lines: Column | None,
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
    compared: list[str] = []
    if lines:
        unit = words_and_unit(lines.label)[1] if lines.numeric else ""
        own = _present(lines, table)
        for value, style in zip(lines.values, styles, strict=True):
            if value in own:
                if reference is not None and value in set(reference.get(lines.name, ())):
                    compared.append(style["marker"])
                look = {**style, "linestyle": style.get("linestyle", "-") if line else "none"}
                handles.append(Line2D([], [], markeredgecolor="white", markeredgewidth=0.5, **look))
                words.append(f"{lines.words[value]} {unit}".rstrip())
    if reference is not None:
        markers = compared[:MOST_COLOURS] or ["o"]
        grey: dict[str, Any] = {"color": GREY, "linewidth": 1.0, "linestyle": (0, (1, 1.5)) if line else "none"}
        handles.append(tuple(Line2D([], [], **grey, **_open(marker)) for marker in dict.fromkeys(markers)))
        words.append(reference_label)
    return handles, words


def _scale_y(panels: Sequence[Axes], report: Report) -> int:
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
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number_text(value, 6)))
    else:
        axes.set_yticks([])
    return 0


def _is_wide(values: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    return bool(np.min(values) > 0.0 and np.max(values) > WIDE * np.min(values))


def _log_ticks(axis: Any, low: float, high: float) -> None:
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 200.0 * low else (1.0,), numticks=9))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number_text(value, 3)))
    axis.set_minor_formatter(NullFormatter())


def _scale_x(axes: Axes, x: Column, width: float, named: Sequence[Any] | None = None) -> None:
    """Ticks at the values, or those of them that are named, with words as far as there is room for them."""
    at = [x.at(value) for value in x.values]
    if not x.numeric:
        room = width / max(len(at), 1) - 0.1
        words = [wrapped_text(plain(x.words[value]), room, 8.5) for value in x.values]
        if all(width_of(line, 8.5) <= room for word in words for line in word.split("\n")) and not _broken(x, words):
            axes.set_xticks(at, words)
        else:
            words = [wrapped_text(plain(x.words[value]), 1.7, 8.5) for value in x.values]
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
    ticks: dict[float, str] = {}
    free = -math.inf
    for value, place in zip(x.values, inches, strict=True):
        if named is not None and value not in named:
            continue
        half = 0.5 * width_of(x.words[value], 8.5)
        fits = place - half > free
        ticks[x.at(value)] = x.words[value] if fits else ""
        free = place + half + 0.08 if fits else free
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.xaxis.set_minor_locator(NullLocator())


def _broken(x: Column, words: Sequence[str]) -> bool:
    """Whether a word was cut, or there are more than three lines of them."""
    whole = {part for value in x.values for part in plain(x.words[value]).split()}
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
        text = wrapped_text(name, 0.9, 8.0)
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
    x: Column,
    y: Column,
    panels: Sequence[Column],
    report: Report,
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
        parts = grouped(reference, [panels[0].name]) if split else {(): reference}
        maps += [
            (", ".join([reference_label, *(panels[0].named(v) for v in key)]), part, False)
            for key, part in parts.items()
        ]
    means = [_means(part, x, y, report) for _, part, _ in maps]
    known = np.concatenate([values[np.isfinite(values)] for values in means])
    norm = _norm(known, report)
    width, height = max(2.6, 0.72 * len(x.values)), max(1.8, 0.5 * len(y.values))
    sheet = Sheet(len(maps), width, height)
    for axes, (heading, part, own), values in zip(sheet.panels, maps, means, strict=True):
        sheet.tidy(axes, heading, x.label, y.label)
        _draw_map(axes, part if own else None, values, x, y, report, norm)
        _scale_fields(axes, x, y, width)
    note = [told_of_left_out(table, report.name)]
    counts = {
        len(part)
        for part in grouped(
            table[values_of(table, report.name).notna()], [x.name, y.name, *(p.name for p in panels)]
        ).values()
    }
    if counts and max(counts) > 1:
        n = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
        note.insert(0, f"Mean over {n} seeds.")
    sheet.finish(title or report.label, [], [], "", " ".join(filter(None, note)), below=report.label if title else "")
    return sheet.figure


def _means(table: DataFrame, x: Column, y: Column, report: Report) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Mean by [y, x], not a number where there is none."""
    means = np.full((len(y.values), len(x.values)), np.nan)
    for (row, column), part in grouped(table, [y.name, x.name]).items():
        values = known_values(part, report.name)
        if len(values):
            means[y.values.index(row), x.values.index(column)] = np.mean(values)
    return means


def _norm(values: np.ndarray[Any, np.dtype[np.float64]], report: Report) -> Normalize:
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
    x: Column,
    y: Column,
    report: Report,
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


def _scale_fields(axes: Axes, x: Column, y: Column, width: float) -> None:
    """A tick in the middle of each field, white lines between them."""
    place = Column(x.name, x.label, False, x.values, x.words)
    _scale_x(axes, place, width)
    axes.set_xlim(-0.5, len(x.values) - 0.5)
    axes.set_yticks(range(len(y.values)), [wrapped_text(plain(y.words[value]), 1.6, 8.5) for value in y.values])
    axes.set_xticks(np.arange(0.5, len(x.values) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(y.values) - 1), minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color="white", linewidth=2.0)
    axes.tick_params(which="both", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)


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
    refuse_unknown(table, objective, *parameters)
    table = normal(table, parameters).dropna(subset=list(parameters))
    report = report_of(objective, labels, metrics)
    columns = [column_of(name, labels, table) for name in parameters]
    trials = [
        _Trial(number, part, columns, report)
        for number, part in enumerate(grouped(table, ["trial"] if "trial" in table.columns else parameters).values())
    ]
    complete = [trial for trial in trials if trial.value is not None and not trial.pruned]
    best = (max if maximize else min)(complete, key=lambda trial: trial.value or 0.0, default=None)
    width, height = size_of(1 + len(columns))
    sheet = Sheet(1 + len(columns), width, height, share_x=False)
    course, *others = sheet.panels
    sheet.tidy(course, "", "trial", report.label)
    if complete:
        so_far = (np.maximum if maximize else np.minimum).accumulate([trial.value or 0.0 for trial in complete])
        numbers = [*(trial.number for trial in complete), len(trials) - 1]
        course.step(numbers, [*so_far, so_far[-1]], where="post", color=VERMILLION, linewidth=1.4, zorder=2)
    _draw_trials(course, [(trial.number, trial) for trial in trials], best)
    course.set_xlim(-0.5, max(len(trials), 1) - 0.5)
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
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number_text(value, 6)))
    _scale_y(sheet.panels, report)
    handles, words = _trial_legend(trials, best, report)
    sheet.finish(title, handles, words, "", told_of_left_out(table, objective, means=False))
    return sheet.figure


class _Trial:
    """What one trial of a search gave: the mean of its seeds, and where it stands along each parameter."""

    def __init__(self, number: int, runs: DataFrame, columns: Sequence[Column], report: Report) -> None:
        values = known_values(runs, report.name)
        self.number = number
        self.value = float(np.mean(values)) if len(values) else None
        self.pruned = "status" in runs.columns and bool((runs["status"] == "pruned").any())
        self.at = {column.name: column.at(runs[column.name].tolist()[0]) for column in columns}
        self.told = ", ".join(column.named(runs[column.name].tolist()[0], digits=3) for column in columns)


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


def _trial_legend(trials: Sequence[_Trial], best: _Trial | None, report: Report) -> tuple[list[Any], list[str]]:
    """What the marks are, and the best trial in words."""
    shown: list[tuple[Mapping[str, Any], str]] = [(DOT, "trial")]
    if any(trial.pruned and trial.value is not None for trial in trials):
        shown.append((PRUNED, "pruned"))
    if best is not None and best.value is not None:
        shown.append(({"color": VERMILLION, "linewidth": 1.4}, "best so far"))
        shown.append((RING, f"best, trial {best.number}: {report.text(best.value)} at {best.told}"))
    return [Line2D([], [], **style) for style, _ in shown], [words for _, words in shown]
