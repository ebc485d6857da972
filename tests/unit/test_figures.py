# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures show the data they are given."""

from __future__ import annotations

import numpy as np
import pytest

from pynest_tools.view.figures import comparison_figure, confusion_figure, training_figure

RECORDS = [
    {
        "epoch": 0,
        "train_loss": 0.6,
        "train_accuracy": 0.3,
        "validation_loss": 0.5,
        "validation_accuracy": 0.25,
        "rate_mean": {"P_0": 300.0, "I_1": 20.0},
    },
    {
        "epoch": 2,
        "train_loss": 0.3,
        "train_accuracy": 0.75,
        "apical_error": 0.05,
        "validation_loss": 0.2,
        "validation_accuracy": 1,
        "rate_mean": {"P_0": 300.0, "I_1": 40.0},
    },
]
CHANCE = {"chance": {"validation": 0.375, "test": 0.4}}


def test_panels_show_the_records_with_units():
    loss, accuracy, apical, rates = training_figure(RECORDS, CHANCE, "bars").axes
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [(0, 0.6), (2, 0.3)])
    np.testing.assert_array_equal(loss.lines[1].get_xydata(), [(0, 0.5), (2, 0.2)])
    np.testing.assert_array_equal(accuracy.lines[1].get_xydata(), [(0, 0.25), (2, 1)])
    np.testing.assert_array_equal(accuracy.lines[2].get_ydata(), [0.375, 0.375])  # of the set that is shown
    np.testing.assert_array_equal(apical.lines[0].get_xydata(), [(2, 0.05)])
    np.testing.assert_array_equal(rates.lines[1].get_xydata(), [(0, 20.0), (2, 40.0)])
    assert [axes.get_ylabel() for axes in (loss, apical, rates)] == [
        "mean squared error (mV²)", "mean |apical potential| (mV)", "mean rate of a member (Hz)",
    ]  # fmt: skip


def test_the_legend_says_which_set_a_curve_is_on():
    said = [text.get_text() for text in training_figure(RECORDS, {}).legends[0].get_texts()]
    assert said == ["part of the training set, presented as in a test", "validation set"]
    renamed = [{key.replace("validation", "test"): value for key, value in record.items()} for record in RECORDS]
    assert training_figure(renamed, {}).legends[0].get_texts()[1].get_text() == "test set"


def test_a_regression_shows_r_squared():
    records = [{key.replace("accuracy", "r2"): value for key, value in record.items()} for record in RECORDS]
    figure = training_figure(records, {"mean": {"validation": -0.01, "test": 0.0}}, "sine")
    assert figure.axes[1].get_ylabel() == "R²"
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), [0.25, 1.0])


def test_without_targets_the_interneuron_error_takes_the_place_of_a_score():
    records = [
        {key.replace("accuracy", "interneuron_error"): value for key, value in record.items()} for record in RECORDS
    ]
    figure = training_figure(records, {}, "self_prediction")
    assert (figure.axes[1].get_title("left"), figure.axes[1].get_yscale()) == ("Interneuron error", "log")
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), [0.25, 1.0])
    beside = comparison_figure({"ode": records}, {}, "self_prediction")
    assert (beside.axes[1].get_ylabel(), beside.axes[1].get_yscale()) == ("interneuron error (1/ms²)", "log")


@pytest.mark.parametrize("n", [0, 1])
def test_a_run_that_hardly_began_has_a_figure(n, tmp_path):
    training_figure(RECORDS[:n], {}).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_comparison_shows_every_run_in_panels_of_its_own_before_the_others():
    other = [{**RECORDS[0], "validation_loss": 0.7}, RECORDS[1]]
    figure = comparison_figure({"spiking": RECORDS, "ode": other}, CHANCE, "bars")
    loss, other_loss, _, accuracy = figure.axes
    assert [axes.get_title("left") for axes in (loss, other_loss)] == ["spiking", "ode"]
    np.testing.assert_array_equal(loss.lines[-1].get_xydata(), [(0, 0.5), (2, 0.2)])
    np.testing.assert_array_equal(other_loss.lines[-1].get_xydata(), [(0, 0.7), (2, 0.2)])
    np.testing.assert_array_equal(accuracy.lines[-1].get_ydata(), [0.375, 0.375])
    assert "validation set" in figure.texts[0].get_text()


def test_confusion_shows_numbers_and_names():
    axes = confusion_figure([[3, 1], [0, 2]], ["cat", "dog"], "pets").axes[0]
    assert [text.get_text() for text in axes.texts] == ["3", "1", "2"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0.0, 1.0]])
