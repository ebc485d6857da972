# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures, made from data; nothing is computed or loaded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from ..runs.metrics import tested_set_of

# Okabe & Ito (2008): told apart with every kind of colour vision
BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
INK, GREY, PALE = "#333333", "#707070", "#E8E8E8"

TRAINING: dict[str, Any] = {
    "color": BLUE,
    "linewidth": 1.2,
    "zorder": 3,
    "label": "part of the training set, presented as in a test",
}
TEST: dict[str, Any] = {
    "color": VERMILLION,
    "linewidth": 1.8,
    "marker": "o",
    "markersize": 4,
}
APICAL: dict[str, Any] = {"color": GREEN, "linewidth": 1.4}

SERIES = ((BLUE, "o"), (GREEN, "s"), (ORANGE, "^"), (PURPLE, "v"), (VERMILLION, "D"))

#: What says how well a network does, the first one that there is: heading and label of its panel.
SCORES = {
    "accuracy": ("Accuracy", "correct samples (%)"),
    "r2": ("Explained variance", "R²"),
    "interneuron_error": ("Interneuron error", "interneuron error (1/ms²)"),
}

MOST_COUNTS = 20  # classes of a confusion matrix whose numbers can still be read

Records = Sequence[Mapping[str, Any]]
Baselines = Mapping[str, Mapping[str, float]]


def tidy(axes: Axes, heading: str, x: str, y: str) -> None:
    """Give axes the style of the project's figures.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        What to style.
    heading : str
        Written above, on the left.
    x, y : str
        Labels with units.
    """
    axes.set_title(heading, loc="left", fontsize=10, fontweight="bold", color=INK)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.tick_params(which="both", labelsize=8.5, length=3, color=GREY, labelcolor=INK)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)


def training_figure(records: Records, baselines: Baselines, title: str = "") -> Figure:
    """Course of a training run: loss, accuracy, R² or (without targets) interneuron error, apical error, rates.

    Parameters
    ----------
    records : sequence of dict
        Records of a run (`TrainingResult.records`, metrics.jsonl).
    baselines : dict
        Yardsticks by name, each with its score by set; each becomes a labelled line.
    title : str
        Written above the panels.

    Returns
    -------
    Figure
        Not attached to any window; save it with ``figure.savefig(path)``.
    """
    tested_on, score = _kind(records)
    figure = Figure(figsize=(15.0, 3.5), dpi=150)
    loss, gap, accuracy, labels, apical, gap_2, rates, names = figure.subplots(
        1, 8, width_ratios=(10, 2.4, 10, 5.2, 10, 3.0, 10, 2)
    )
    for room in (gap, labels, gap_2, names):  # for axis labels, and for the names of lines
        room.remove()
    figure.subplots_adjust(left=0.05, right=0.985, bottom=0.15, top=0.80, wspace=0.0)
    for axes, heading, y in (
        (loss, "Loss", "mean squared error (mV²)"),
        (accuracy, *SCORES[score]),
        (apical, "Apical error of hidden cells", "mean |apical potential| (mV)"),
        (rates, "Rates", "mean rate of a member (Hz)"),
    ):
        _tidy_course(axes, heading, y, records)

    test = TEST | {"label": f"{tested_on} set"}
    _curve(loss, records, "train_loss", TRAINING)
    _curve(loss, records, f"{tested_on}_loss", test)
    _scale_logarithmically(loss)

    clip = {"clip_on": score == "r2"}  # that of a network that has not learned yet is far below 0
    _curve(accuracy, records, f"train_{score}", TRAINING | clip)
    _curve(accuracy, records, f"{tested_on}_{score}", test | clip)
    _scale_score(accuracy, baselines, tested_on, score)

    _curve(apical, records, "apical_error", APICAL)
    apical.set_ylim(bottom=0.0)

    _draw_rates(rates, records)

    left = loss.get_position().x0
    figure.text(left, 0.955, title, fontsize=11, color=INK, va="center")
    figure.legend(
        *loss.get_legend_handles_labels(), loc="center right", bbox_to_anchor=(0.99, 0.955), ncols=2,
        frameon=False, fontsize=9, labelcolor=INK,
    )  # fmt: skip
    return figure


def confusion_figure(confusion: Sequence[Sequence[int]], classes: Sequence[str] = (), title: str = "") -> Figure:
    """Which classes are taken for which: number of samples, colour by share of the class.

    Parameters
    ----------
    confusion : sequence, shape (n_classes, n_classes)
        Number of samples [class, answer].
    classes : sequence of str
        Names; numbers otherwise.
    title : str
        Written above.

    Returns
    -------
    Figure
        Not attached to any window; save it with ``figure.savefig(path)``.
    """
    counts = np.asarray(confusion)
    n = len(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(3.2, 0.36 * n + 1.6)
    figure = Figure(figsize=(side, side), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    names = list(classes) or [str(i) for i in range(n)]
    axes.set_xticks(range(n), names, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(range(n), names)
    if n <= MOST_COUNTS:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if share[row, column] > 0.5 else INK
                axes.text(column, row, str(count), ha="center", va="center", fontsize=7.5, color=colour)
    tidy(axes, title, "answer", "class")
    axes.grid(False)
    return figure


def comparison_figure(runs: Mapping[str, Records], baselines: Baselines, title: str = "") -> Figure:
    """Course of several runs of one task, each in panels of its own with the others pale behind it: loss, and score.

    The score is accuracy or R², or without targets the interneuron error.

    Parameters
    ----------
    runs : mapping of str to sequence of dict
        Records of each run by its name.
    baselines : dict
        Yardsticks by name, each with its score by set; each becomes a labelled line.
    title : str
        Written above the panels.

    Returns
    -------
    Figure
        Not attached to any window; save it with ``figure.savefig(path)``.
    """
    every = [record for records in runs.values() for record in records]
    tested_on, score = _kind(every)
    _, unit = SCORES[score]
    figure = Figure(figsize=(2.3 * len(runs) + 1.4, 4.6), dpi=150)
    panels = figure.subplots(2, len(runs), sharex=True, sharey="row", squeeze=False)
    figure.subplots_adjust(
        left=0.95 / (2.3 * len(runs) + 1.4), right=1.0 - 1.1 / (2.3 * len(runs) + 1.4), bottom=0.11, top=0.86
    )
    for i, ((name, records), (color, marker)) in enumerate(zip(runs.items(), cycle(SERIES), strict=False)):
        style = {"color": color, "marker": marker, "linewidth": 1.8, "markersize": 4, "zorder": 3}
        for axes, key, y in ((panels[0, i], "loss", "loss (mV²)"), (panels[1, i], score, unit)):
            _tidy_course(axes, name if key == "loss" else "", y if i == 0 else "", every, label_x=key != "loss")
            for other in runs.values():
                _curve(
                    axes,
                    other,
                    f"{tested_on}_{key}",
                    {"color": PALE, "linewidth": 1.4, "zorder": 2, "clip_on": key == "r2"},
                )
            _curve(axes, records, f"{tested_on}_{key}", style | {"clip_on": key == "r2"})
    panels[0, 0].set_yscale("log")
    panels[0, 0].yaxis.set_minor_formatter(NullFormatter())
    for axes in panels[1]:
        _scale_score(axes, baselines if axes is panels[1, -1] else {}, tested_on, score)
    figure.text(panels[0, 0].get_position().x0, 0.95, f"{title}, {tested_on} set", fontsize=11, color=INK, va="center")
    return figure


def _kind(records: Records) -> tuple[str, str]:
    """What the runs were tested on, and the key of their score."""
    tested_on = tested_set_of(records)
    known = (score for score in SCORES if any(f"{tested_on}_{score}" in record for record in records))
    return tested_on, next(known, "accuracy")


def _tidy_course(axes: Axes, heading: str, y: str, records: Records, *, label_x: bool = True) -> None:
    tidy(axes, heading, "epoch" if label_x else "", y)
    last = max((record["epoch"] for record in records), default=1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=last >= 4, nbins=5, steps=[1, 2, 5, 10]))
    axes.set_xlim(0.0, last or 1)


def _scale_score(axes: Axes, baselines: Baselines, tested_on: str, score: str) -> None:
    """Percent or R², and a labelled line for each baseline; errors on a logarithmic axis."""
    if score == "interneuron_error":
        _scale_logarithmically(axes)
        return
    lowest = -0.03 if score == "r2" else 0.0  # what is worse than the mean by far is not drawn
    for name, scores in baselines.items():
        value = scores[tested_on]
        if value >= lowest:
            axes.axhline(value, color=GREY, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
            _beside(axes, value, name.replace(" ", "\n"))
    axes.set_ylim(lowest, 1.03)
    if score == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=None))


def _scale_logarithmically(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 100.0 * low else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_rates(axes: Axes, records: Records) -> None:
    """Mean rate of every layer, named at its end."""
    layers = list(records[-1].get("rate_mean", {})) if records else []
    ends = []
    for name, (color, _) in zip(layers, cycle(SERIES), strict=False):
        points = [(record["epoch"], record["rate_mean"][name]) for record in records if name in record["rate_mean"]]
        epochs, values = zip(*points, strict=True)
        inter = name.startswith("I")  # dashed, and above their partners, which they copy
        line: dict[str, Any] = {"linestyle": "--" if inter else "-", "zorder": 4 if inter else 3}
        axes.plot(epochs, values, color=color, linewidth=1.4, clip_on=False, **line)
        ends.append((values[-1], name, color))
    axes.set_ylim(bottom=0.0)
    top = axes.get_ylim()[1]
    at = -np.inf
    for value, name, color in sorted(ends):
        at = max(value, at + 0.07 * top)  # so that names do not lie on each other
        axes.annotate(
            name, (1.0, at), xycoords=("axes fraction", "data"), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=8, color=color, annotation_clip=False,
        )  # fmt: skip


def _curve(axes: Axes, records: Records, key: str, style: Mapping[str, Any]) -> None:
    points = [(record["epoch"], record[key]) for record in records if key in record]
    if points:
        epochs, values = zip(*points, strict=True)
        axes.plot(epochs, values, **{"clip_on": False, **style})


def _beside(axes: Axes, value: float, text: str) -> None:
    """Label a horizontal line at its right end, outside the axes where no curve runs."""
    axes.annotate(
        text, (1.0, value), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
        va="center", fontsize=8, color=GREY, annotation_clip=False, linespacing=0.95,
    )  # fmt: skip
