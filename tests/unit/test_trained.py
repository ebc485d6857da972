# SPDX-License-Identifier: GPL-2.0-or-later
"""Trained circuits that come with the package: put on the shelf, listed, loaded, refused when damaged."""

import numpy as np
import pytest
from click.testing import CliRunner

import pynest_tools as pt
from pynest_tools.cli import main
from pynest_tools.errors import UserError
from pynest_tools.runs import trained as shelf

NAME = "bars-9-8-3"
COMMAND = "pyramidal train bars --backend steady"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of bars, and a shelf that holds it alone."""
    monkeypatch.setattr(shelf, "SHELF", tmp_path / "shelf")
    pt.train({"hidden": [8]}, "bars", backend="steady", training={"epochs": 4}, output=tmp_path / "run")
    shelf.keep_trained(tmp_path / "run", NAME, COMMAND)
    return pt.open_run(tmp_path / "run")


def test_the_shelf_is_listed(run):
    circuits = pt.trained()
    assert list(circuits.index) == [NAME]
    row = circuits.loc[NAME]
    assert (row["task"], row["backend"], row["seed"], row["epochs"]) == ("bars", "steady", 1, 4)
    assert row["sizes"] == [9, 8, 3]
    assert row["weights"] == 9 * 8 + 8 * 3 + 3 * (8 * 3)
    assert row["accuracy"] == run.result.test["accuracy"]
    assert row["command"] == COMMAND


@pytest.mark.parametrize(("task", "told"), [("teacher_student", "r2"), ("self_prediction", "apical_error")])
def test_what_counts_is_what_the_task_is_about(tmp_path, monkeypatch, task, told):
    monkeypatch.setattr(shelf, "SHELF", tmp_path / "shelf")
    circuit = {"hidden": [8], "plasticity": {"eta_pi": 0.001}}  # steps of 40 ms are too long for larger rates
    result = pt.train(circuit, task, backend="steady", training={"epochs": 1}, output=tmp_path / "run")
    shelf.keep_trained(tmp_path / "run", "other", COMMAND)
    assert pt.trained().loc["other"][told] == result.test[told]
    assert "other" in CliRunner().invoke(main, ["trained"]).output


def test_what_is_loaded_is_the_run(run):
    loaded = pt.load_trained(NAME)
    assert loaded.specification == run.specification
    for (name, got), (_, wanted) in zip(loaded.weights().named(), run.weights().named(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=0, err_msg=name)  # 24 bits
    (got,), (wanted,) = loaded.evaluate(), run.evaluate()
    assert got["accuracy"] == wanted["accuracy"]
    assert got["loss"] == pytest.approx(wanted["loss"], rel=1e-5)  # 24 bits of every weight
    assert loaded.records == run.records[-1:]


def test_on_the_command_line(run):
    listed = CliRunner().invoke(main, ["trained"])
    assert NAME in listed.output
    told = CliRunner().invoke(main, ["evaluate", "--trained", NAME])
    assert told.exit_code == 0, told.output
    assert f"{run.result.test['accuracy']:.1%}" in told.output
    assert not pt.load_trained(NAME).folder.evaluations.exists()


def test_damaged_weights_are_refused(run):
    (file,) = (shelf.SHELF / NAME).glob("checkpoint/*/*.npz")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        pt.load_trained(NAME)


@pytest.mark.parametrize("arguments", [[], ["run", "--trained", NAME]])
def test_one_thing_is_evaluated(run, arguments):
    told = CliRunner().invoke(main, ["evaluate", *arguments])
    assert told.exit_code == 2
    assert "--trained" in told.output


def test_an_unknown_name_is_refused_with_a_known_one(run):
    with pytest.raises(UserError, match=f"did you mean {NAME}"):
        pt.load_trained("bars-9-8-4")


def test_a_run_that_has_not_ended_is_refused(run, tmp_path):
    pt.train(
        {"hidden": [8]}, "bars", backend="steady", training={"epochs": 1, "final_test": False}, output=tmp_path / "r"
    )
    with pytest.raises(UserError, match="final_test"):
        shelf.keep_trained(tmp_path / "r", "other", COMMAND)


def test_where_data_lie_is_another_machines_business(run):
    with pytest.raises(UserError, match="data is not a known key"):
        pt.load_trained(NAME, task={"data": "somewhere"})


@pytest.mark.parametrize("name", pt.trained().index)
def test_the_circuits_of_the_package_are_whole(name):
    loaded = pt.load_trained(name)
    card = pt.trained().loc[name]
    assert list(loaded.specification.network.sizes) == card["sizes"]
    assert [len(matrix) for matrix in loaded.weights().up] == card["sizes"][1:]
    assert loaded.result.test["accuracy"] == card["accuracy"]
    assert "/" not in str(getattr(loaded.specification.task, "data", ""))
