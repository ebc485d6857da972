# SPDX-License-Identifier: GPL-2.0-or-later
"""Draw how angle and accuracy went while feedback was learned: course.png, from the runs of the study in this folder.

Usage: pyramidal study experiments/learned_feedback && python experiments/learned_feedback/run.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import pynest_tools as pt
from pynest_tools.view.figures import BLUE, GREEN, GREY, ORANGE, VERMILLION, tidy

HERE = Path(__file__).parent
COLOURS = {
    "fixed, random": GREY,
    "prediction": ORANGE,
    "alignment": VERMILLION,
    "transposed": GREEN,
    "fixed, aligned at birth": BLUE,
}


def draw(study: pt.Study) -> Figure:
    """Means over seeds, and the range of all seeds; a network that diverged is drawn until then."""
    figure = Figure(figsize=(8.0, 3.4), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    for rule, colour in COLOURS.items():
        runs = [run for run in study.runs if run.cell.point["rule"] == rule]
        for axes, value in (
            (left, lambda record: record["angle"]["down_1"]),
            (right, lambda record: 100.0 * record["validation_accuracy"]),
        ):
            courses = [[(r["epoch"], value(r)) for r in run.folder.read_metrics()] for run in runs]
            longest = max(courses, key=len)
            epochs = [epoch for epoch, _ in longest]
            values = np.array([[v for _, v in course] + [np.nan] * (len(longest) - len(course)) for course in courses])
            axes.plot(epochs, np.nanmean(values, axis=0), color=colour, linewidth=1.6, label=rule)
            axes.fill_between(
                epochs, np.nanmin(values, axis=0), np.nanmax(values, axis=0), color=colour, alpha=0.18, linewidth=0
            )
    left.set_ylim(0.0, 100.0)
    right.set_ylim(0.0, 100.0)
    tidy(left, "Angle between down and the transpose of up", "epoch", "angle (°)")
    tidy(right, "Accuracy on the validation set", "epoch", "accuracy (%)")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    draw(pt.open_study(folder)).savefig(HERE / "course.png")
