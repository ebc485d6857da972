# SPDX-License-Identifier: GPL-2.0-or-later
"""Own data through the command line: trained, evaluated on new raw data, predicted, when the file is gone, when it has changed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import make_classification

import pynest_tools as pt
from pynest_tools.cli import main

LABELS = np.array(["north", "east", "south", "west"])


def pyramidal(*arguments):
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run, and new data of the same kind."""
    folder = tmp_path_factory.mktemp("own")
    x, y = make_classification(500, 12, n_informative=6, n_classes=4, class_sep=2.0, random_state=1)
    np.savez(folder / "mine.npz", x=x[:300], y=LABELS[y[:300]])
    np.savez(folder / "new.npz", x=x[300:], y=LABELS[y[300:]])
    np.savez(folder / "features.npz", x=x[300:])
    arguments = ["--data", str(folder / "mine.npz"), "--hidden", "20", "--backend", "steady", "--epochs", "30"]
    result = pyramidal("train", "data", *arguments, "--output", str(folder / "run"))
    assert result.exit_code == 0, result.output
    return folder


def test_sizes_follow_and_the_run_keeps_what_the_data_were(run):
    spec = pt.open_run(run / "run").specification
    assert spec.network.sizes == (12, 20, 4)
    kept = json.loads((run / "run" / "data.json").read_text())
    assert len(kept["sha256"]) == 64
    assert set(LABELS) == set(json.loads((run / "run" / "data.json").read_text())["classes"])
    summary = json.loads((run / "run" / "summary.json").read_text())
    assert summary["test"]["accuracy"] > summary["baselines"]["chance"]["test"] + 0.2


def test_new_raw_data_are_evaluated_and_predicted_alike_even_without_the_file(run):
    (run / "mine.npz").rename(run / "moved.npz")
    try:
        evaluated = pyramidal("evaluate", str(run / "run"), "--data", str(run / "new.npz"))
        assert evaluated.exit_code == 0, evaluated.output
        assert "new.npz, last weights" in evaluated.stdout
        predicted = pyramidal("predict", str(run / "run"), "--data", str(run / "features.npz"))
        assert predicted.exit_code == 0, predicted.output
        header, *answers = predicted.stdout.split()
        truth = np.load(run / "new.npz")["y"]
        (kept,) = map(json.loads, (run / "run" / "evaluations.jsonl").read_text().splitlines())
        assert header == "prediction"
        assert np.mean(np.array(answers) == truth) == kept["accuracy"]
        missing = pyramidal("evaluate", str(run / "run"))
        assert missing.exit_code == 2
        assert "mine.npz" in missing.stderr
        truthless = pyramidal("evaluate", str(run / "run"), "--data", str(run / "features.npz"))
        assert "does not say what is true" in truthless.stderr
    finally:
        (run / "moved.npz").rename(run / "mine.npz")


def test_other_features_are_refused_with_both_numbers(run, tmp_path):
    np.savez(tmp_path / "narrow.npz", x=np.zeros((3, 5)))
    refused = pyramidal("predict", str(run / "run"), "--data", str(tmp_path / "narrow.npz"))
    assert refused.exit_code == 2
    assert "5 features, and 12" in refused.stderr


def test_resume_refuses_a_file_that_has_changed(run):
    original = (run / "mine.npz").read_bytes()
    with np.load(run / "mine.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    try:
        np.savez(run / "mine.npz", x=x + 1.0, y=y)
        refused = pyramidal("resume", str(run / "run"), "--epochs", "31")
        assert refused.exit_code == 2
        assert "the data of the run have changed since it began: their SHA-256 was" in refused.stderr
    finally:
        (run / "mine.npz").write_bytes(original)


@pytest.mark.slow
def test_a_regression_from_a_table_in_the_datas_unit(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(0.0, 2.0 * np.pi, 300)
    rows = "".join(f"{a:.6f},{20.0 + 5.0 * np.sin(a):.6f}\n" for a in x)
    (tmp_path / "tide.csv").write_text(f"hour,level (cm)\n{rows}")
    arguments = [
        "--data",
        str(tmp_path / "tide.csv"),
        "--target",
        "level (cm)",
        "--backend",
        "steady",
        "--output",
        str(tmp_path / "run"),
    ]
    result = pyramidal("train", "data", *arguments)
    assert result.exit_code == 0, result.output
    assert "test error level (cm)" in result.stdout
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    linear = summary["baselines"]["linear model"]["test"]
    assert summary["test"]["r2"] > linear + 0.2
    # the spread of 5 sin(x) is 5/sqrt(2) cm: R² and the error in cm say the same
    spread = summary["test"]["rmse"]["level (cm)"] / np.sqrt(1.0 - summary["test"]["r2"])
    assert spread == pytest.approx(5.0 / np.sqrt(2.0), rel=0.15)  # of 60 samples
    answers = pt.open_run(tmp_path / "run").predict([[np.pi / 2.0], [1.5 * np.pi]])
    assert answers[0] > 22.0
    assert answers[1] < 18.0
