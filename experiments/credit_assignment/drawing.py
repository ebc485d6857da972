# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure of the experiment, made from data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MultipleLocator
from rules import ESTIMATORS, FEEDBACKS, Array, Matrices

from pynest_tools.view.figures import BLUE, GREEN, GREY, INK, VERMILLION, tidy

ORANGE, PURPLE, SKY = "#E69F00", "#CC79A7", "#56B4E9"  # further colours of Okabe & Ito (2008)

STYLES: dict[str, dict[str, Any]] = {
    "symmetric": {"color": BLUE, "linewidth": 2.0},
    "sign-concordant": {"color": GREEN, "linewidth": 2.0},
    "random": {"color": ORANGE, "linewidth": 2.0},
    "wrong sign": {"color": VERMILLION, "linewidth": 2.0},
    "weight perturbation": {"color": PURPLE, "linewidth": 1.4},
    "node perturbation": {"color": SKY, "linewidth": 1.4},
    "gradient": {"color": INK, "linewidth": 1.3, "dashes": (4.0, 2.0)},
    "gradient, output layer only": {"color": GREY, "linewidth": 1.3, "dashes": (1.5, 1.5)},
}
WEAKLY: dict[str, Any] = {"color": BLUE, "linewidth": 1.3, "dashes": (3.0, 1.5)}
LABELS = {
    "symmetric": "symmetric feedback",
    "sign-concordant": "sign-concordant feedback",
    "random": "random, fixed feedback",
    "wrong sign": "feedback of wrong sign",
    "gradient": "gradient (loss only)",
    "gradient, output layer only": "gradient, output layer only (loss only)",
}
WEAK = 0.01  # weak nudging, of the circuit's
WINDOW = 50  # updates over which the noisy angles of perturbations are averaged


@dataclass(frozen=True)
class Course:
    """What happened while one rule changed the weights.

    Attributes
    ----------
    cosines : ndarray, shape (updates, layers + 1, networks)
        Of the change and the gradient, in each layer and, last, of all weights with the gradient times `Problem.rates`.
    loss : ndarray, shape (updates + 1, networks)
        Mean squared error of the outputs without a teacher (mV^2).
    accuracy : ndarray, shape (updates + 1, networks)
        Share of patterns told correctly.
    ups : list of list of ndarray
        Weights before every update (mV ms).
    """

    cosines: Array
    loss: Array
    accuracy: Array
    ups: list[Matrices]


@dataclass(frozen=True)
class Averages:
    """Measured and predicted angles of averages over perturbations.

    Attributes
    ----------
    measured : ndarray, shape (counts, networks)
        Angles (degrees).
    parameters : ndarray, shape (networks,)
        P of the prediction.
    """

    measured: Array
    parameters: Array

    def predicted(self, counts: Array) -> Array:
        """Angles (degrees) expected of M averages, shape (counts,): with the mean over networks of cos^2."""
        m = np.asarray(counts, dtype=float)[:, np.newaxis]
        return degrees(np.sqrt(np.mean(m / (m + self.parameters - 1.0), axis=1)))


def degrees(cosines: Array) -> Array:
    """Angles (degrees) of cosines."""
    return np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))


def draw_angles(axes: Axes, courses: dict[str, Course], weak: Array, layer: int) -> None:
    """Angles of a layer over the updates, mean over networks; in the hidden layer also from the smallest to the largest."""
    n = len(courses["symmetric"].cosines)
    for name in FEEDBACKS:
        angles = degrees(courses[name].cosines[:, layer])
        axes.plot(angles.mean(axis=-1), **STYLES[name])
        if layer == 0:
            band = (angles.min(axis=-1), angles.max(axis=-1))
            axes.fill_between(np.arange(n), *band, color=STYLES[name]["color"], alpha=0.15, linewidth=0)
    for name in ESTIMATORS:
        cosines = courses[name].cosines[: n // WINDOW * WINDOW, layer]
        windows = cosines.reshape(-1, WINDOW * cosines.shape[-1])
        axes.plot((np.arange(len(windows)) + 0.5) * WINDOW, degrees(windows.mean(axis=-1)), **STYLES[name])
    axes.plot(np.arange(len(weak)) * n / len(weak), degrees(weak[:, layer]).mean(axis=-1), **WEAKLY)
    axes.axhline(90.0, color=GREY, linewidth=0.8, zorder=1)
    axes.set_xlim(0, n)


def draw_loss(axes: Axes, courses: dict[str, Course]) -> None:
    """Loss over the updates: the geometric mean of the networks."""
    for name, style in STYLES.items():
        loss = courses[name].loss
        x = np.arange(len(loss), dtype=float)
        axes.plot(x, np.exp(np.log(loss).mean(axis=-1)), **style)
        axes.set_xlim(0, len(loss) - 1)
    axes.set_yscale("log")
    axes.set_ylim(1e-4, 5.0)


def draw_averages(axes: Axes, counts: Sequence[int], averages: dict[str, Averages], later: int) -> None:
    """Angles of averages over M perturbations, measured (markers) and predicted (lines)."""
    m = np.geomspace(counts[0], counts[-1], 200)
    shown = {
        "weights": (PURPLE, "o", "weights"),
        "cells": (INK, "^", "cells, ∂L/∂v̂ of one pattern"),
        "nodes": (SKY, "o", "cells, update 0"),
        "nodes later": (SKY, "s", f"cells, update {later}"),
    }
    for name, (color, marker, label) in shown.items():
        own = averages[name]
        axes.plot(m, own.predicted(m), color=color, linewidth=1.4)
        p = float(own.parameters.mean())
        text = f"{label}: P = {p:.0f}" if p > 10.0 else f"{label}: P = {p:.1f}"
        angles = own.measured.mean(axis=-1)
        axes.plot(counts, angles, marker, color=color, markersize=5.5, clip_on=False, label=text)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.025, 0.985), ncols=2,
        frameon=False, fontsize=8.5, labelcolor=INK, handletextpad=0.2,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(counts[0], counts[-1])


def figure_of(
    courses: dict[str, Course],
    weak: Array,
    counts: Sequence[int],
    averages: dict[str, Averages],
    later: int,
    title: str,
) -> Figure:
    """Angles of both layers, loss, and angles of averaged perturbations."""
    figure = Figure(figsize=(12.0, 8.0), dpi=150)
    (hidden, output), (loss, averaged) = figure.subplots(2, 2)
    figure.subplots_adjust(left=0.06, right=0.985, bottom=0.065, top=0.83, wspace=0.16, hspace=0.46)
    update = "update (8 patterns each)"
    draw_angles(hidden, courses, weak, 0)
    tidy(hidden, "Hidden layer: weight change and gradient", update, "angle (degrees)")
    draw_angles(output, courses, weak, 1)
    tidy(output, "Output layer: weight change and gradient", update, "angle (degrees)")
    draw_loss(loss, courses)
    tidy(loss, "Loss without teacher", update, "mean squared error (mV²)")
    draw_averages(averaged, counts, averages, later)
    tidy(
        averaged,
        "Averages over perturbations and gradient",
        "perturbations averaged, M",
        "angle (degrees)",
    )
    averaged.set_title(averaged.get_title("left"), loc="left", fontsize=10, fontweight="bold", color=INK, pad=36)
    hidden.set_ylim(0.0, 180.0)
    hidden.yaxis.set_major_locator(MultipleLocator(45.0))
    for axes in (output, averaged):
        axes.set_ylim(0.0, 93.0)
        axes.yaxis.set_major_locator(MultipleLocator(15.0))
    figure.text(0.06, 0.97, title, fontsize=11, color=INK, va="center")
    order = [*FEEDBACKS, "gradient", *ESTIMATORS, "gradient, output layer only"]
    lines = [Line2D([], [], label=LABELS.get(name, name), **STYLES[name]) for name in order]
    lines.insert(4, Line2D([], [], label=f"symmetric, nudging × {WEAK:g} (angle only)", **WEAKLY))
    figure.legend(
        handles=lines, loc="center left", bbox_to_anchor=(0.053, 0.915), ncols=3,
        frameon=False, fontsize=9, labelcolor=INK, columnspacing=1.6,
    )  # fmt: skip
    return figure
