# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures show the data they are given."""

from __future__ import annotations

import numpy as np
import pytest

from pynest_tools.view.figures import comparison_figure, training_figure

RECORDS = [
    {"epoch": 0, "test_loss": 0.5, "test_accuracy": 0.25},
    {"epoch": 1, "train_loss": 0.4, "train_accuracy": 0.5, "apical_error": 0.1},
    {
        "epoch": 2,
        "train_loss": 0.3,
        "train_accuracy": 0.75,
        "apical_error": 0.05,
        "test_loss": 0.2,
        "test_accuracy": 1,
    },
]


def test_panels_show_the_records_with_units():
    loss, accuracy, apical = training_figure(RECORDS, {"chance": 0.375}, "bars").axes
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [(1, 0.4), (2, 0.3)])
    np.testing.assert_array_equal(loss.lines[1].get_xydata(), [(0, 0.5), (2, 0.2)])
    np.testing.assert_array_equal(accuracy.lines[1].get_xydata(), [(0, 0.25), (2, 1)])
    np.testing.assert_array_equal(accuracy.lines[2].get_ydata(), [0.375, 0.375])
    np.testing.assert_array_equal(apical.lines[0].get_xydata(), [(1, 0.1), (2, 0.05)])
    assert [axes.get_ylabel() for axes in (loss, apical)] == [
        "mean squared error (mV²)", "mean |apical potential| (mV)",
    ]  # fmt: skip


@pytest.mark.parametrize("n", [0, 1])
def test_a_run_that_hardly_began_has_a_figure(n, tmp_path):
    training_figure(RECORDS[:n], {}).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_comparison_shows_the_tests_of_every_run():
    other = [{**RECORDS[0], "test_loss": 0.7}, *RECORDS[1:]]
    figure = comparison_figure({"spiking": RECORDS, "ode": other}, {"chance": 0.375}, "bars")
    loss, accuracy = figure.axes
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [(0, 0.5), (2, 0.2)])
    np.testing.assert_array_equal(loss.lines[1].get_xydata(), [(0, 0.7), (2, 0.2)])
    np.testing.assert_array_equal(accuracy.lines[2].get_ydata(), [0.375, 0.375])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["spiking", "ode"]
