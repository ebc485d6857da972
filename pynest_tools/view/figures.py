# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures, made from data; nothing is computed or loaded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

# Okabe & Ito (2008): told apart with every kind of colour vision
BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
INK, GREY, PALE = "#333333", "#707070", "#E8E8E8"

TRAINING: dict[str, Any] = {
    "color": BLUE,
    "linewidth": 1.2,
    "zorder": 3,
    "label": "training samples, as they are learned",
}
TEST: dict[str, Any] = {
    "color": VERMILLION,
    "linewidth": 1.8,
    "marker": "o",
    "markersize": 4,
    "label": "test",
}
APICAL: dict[str, Any] = {"color": GREEN, "linewidth": 1.4}

SERIES = ((BLUE, "o"), (GREEN, "s"), (ORANGE, "^"), (PURPLE, "v"), (VERMILLION, "D"))

Records = Sequence[Mapping[str, float]]


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


def training_figure(records: Records, baselines: Mapping[str, float], title: str = "") -> Figure:
    """Course of a training run: loss, accuracy, apical error.

    Parameters
    ----------
    records : sequence of dict
        Records of a run (`TrainingResult.records`, metrics.jsonl).
    baselines : dict
        Accuracies to compare with, by name; each becomes a labelled line.
    title : str
        Written above the panels.

    Returns
    -------
    Figure
        Not attached to any window; save it with ``figure.savefig(path)``.
    """
    figure = Figure(figsize=(12.0, 3.5), dpi=150)
    loss, gap, accuracy, labels, apical = figure.subplots(1, 5, width_ratios=(10, 2.2, 10, 4.2, 10))
    gap.remove()
    labels.remove()  # room for the names of the baselines
    figure.subplots_adjust(left=0.06, right=0.985, bottom=0.15, top=0.80, wspace=0.0)
    last_epoch = max((record["epoch"] for record in records), default=1)
    for axes, heading, unit in (
        (loss, "Loss", "mean squared error (mV²)"),
        (accuracy, "Accuracy", "correct samples (%)"),
        (apical, "Apical error of hidden cells", "mean |apical potential| (mV)"),
    ):
        _tidy_course(axes, heading, unit, last_epoch)

    _curve(loss, records, "train_loss", TRAINING)
    _curve(loss, records, "test_loss", TEST)
    loss.set_yscale("log")
    low, high = loss.get_ylim()
    loss.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 100.0 * low else (1.0,)))
    loss.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    loss.yaxis.set_minor_formatter(NullFormatter())

    _curve(accuracy, records, "train_accuracy", TRAINING)
    _curve(accuracy, records, "test_accuracy", TEST)
    _scale_accuracy(accuracy, baselines)

    _curve(apical, records, "apical_error", APICAL)
    apical.set_ylim(bottom=0.0)

    left = loss.get_position().x0
    figure.text(left, 0.955, title, fontsize=11, color=INK, va="center")
    figure.legend(
        *loss.get_legend_handles_labels(), loc="center right", bbox_to_anchor=(0.99, 0.955), ncols=2,
        frameon=False, fontsize=9, labelcolor=INK,
    )  # fmt: skip
    return figure


def comparison_figure(runs: Mapping[str, Records], baselines: Mapping[str, float], title: str = "") -> Figure:
    """Course of several runs of one task: test loss and test accuracy.

    Parameters
    ----------
    runs : mapping of str to sequence of dict
        Records of each run by its name.
    baselines : dict
        Accuracies to compare with, by name; each becomes a labelled line.
    title : str
        Written above the panels.

    Returns
    -------
    Figure
        Not attached to any window; save it with ``figure.savefig(path)``.
    """
    figure = Figure(figsize=(9.5, 3.9), dpi=150)
    loss, accuracy = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.075, right=0.90, bottom=0.14, top=0.74, wspace=0.24)
    last_epoch = max((record["epoch"] for records in runs.values() for record in records), default=1)
    for axes, heading, unit in (
        (loss, "Test loss", "mean squared error (mV²)"),
        (accuracy, "Test accuracy", "correct samples (%)"),
    ):
        _tidy_course(axes, heading, unit, last_epoch)
    for i, ((name, records), (color, marker)) in enumerate(zip(runs.items(), cycle(SERIES), strict=False)):
        thinner = max(0.0, 1.0 - 0.2 * i)  # curves that lie on top of each other stay visible
        style = {"color": color, "marker": marker, "label": name, "zorder": 3 + i}
        style |= {"linewidth": 1.2 + 1.6 * thinner, "markersize": 3.0 + 4.0 * thinner}
        _curve(loss, records, "test_loss", style)
        _curve(accuracy, records, "test_accuracy", style)
    loss.set_yscale("log")
    loss.yaxis.set_minor_formatter(NullFormatter())
    _scale_accuracy(accuracy, baselines)
    left = loss.get_position().x0
    figure.text(left, 0.955, title, fontsize=11, color=INK, va="center")
    figure.legend(
        *loss.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(left - 0.015, 0.875), ncols=len(runs),
        frameon=False, fontsize=9, labelcolor=INK, columnspacing=1.6,
    )  # fmt: skip
    return figure


def _tidy_course(axes: Axes, heading: str, y: str, last_epoch: float) -> None:
    tidy(axes, heading, "epoch", y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, steps=[1, 2, 5, 10]))
    axes.set_xlim(0.0, max(last_epoch, 1))


def _scale_accuracy(axes: Axes, baselines: Mapping[str, float]) -> None:
    """Percent, and a labelled line for each baseline."""
    for name, value in baselines.items():
        axes.axhline(value, color=GREY, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
        _beside(axes, value, name.replace(" ", "\n"))
    axes.set_ylim(0.0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=None))


def _curve(axes: Axes, records: Records, key: str, style: Mapping[str, Any]) -> None:
    points = [(record["epoch"], record[key]) for record in records if key in record]
    if points:
        epochs, values = zip(*points, strict=True)
        axes.plot(epochs, values, clip_on=False, **style)


def _beside(axes: Axes, value: float, text: str) -> None:
    """Label a horizontal line at its right end, outside the axes where no curve runs."""
    axes.annotate(
        text, (1.0, value), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
        va="center", fontsize=8, color=GREY, annotation_clip=False, linespacing=0.95,
    )  # fmt: skip
