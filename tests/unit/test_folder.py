# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a run: never overwritten silently, never half-written."""

from __future__ import annotations

import json
import os

import pytest

from pynest_tools.errors import UserError
from pynest_tools.runs.folder import RunFolder, default_folder
from pynest_tools.runs.specification import RunSpecification

SPEC = RunSpecification.for_task("bars", {"seed": 4})


def test_default_folder_names_the_run():
    assert str(default_folder(SPEC)) == os.path.join("runs", "bars-spiking-seed4")


def test_new_folder_holds_the_resolved_specification(tmp_path):
    folder = RunFolder.create(tmp_path / "a" / "b", SPEC)
    assert RunSpecification.from_toml(folder.config) == SPEC
    assert folder.figure.parent.is_dir()
    assert folder.read_metrics() == []


def test_a_run_may_go_on_for_longer_and_with_other_threads(tmp_path):
    folder = RunFolder.create(tmp_path / "run", SPEC)
    assert folder.read_specification() == SPEC
    changed = folder.read_specification(epochs=7, threads=3)
    assert (changed.training.epochs, changed.network.simulation.threads) == (7, 3)
    assert changed.network.neuron == SPEC.network.neuron


def test_an_empty_folder_is_taken(tmp_path):
    assert RunFolder.create(tmp_path, SPEC).config.is_file()


def test_an_existing_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"is not empty; .*--output.*--overwrite"):
        RunFolder.create(tmp_path, SPEC)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_overwriting_replaces_the_run_and_nothing_else(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for name in ("metrics.jsonl", "summary.json"):
        (tmp_path / name).write_text("{}\n")
    (tmp_path / "checkpoint" / "epoch-00000007").mkdir(parents=True)
    folder = RunFolder.create(tmp_path, SPEC, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {
        "notes.txt",
        "config.toml",
        "metrics.jsonl",
        "figures",
    }
    assert folder.read_metrics() == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")  # not even root can make a folder in a file
    with pytest.raises(UserError, match=r"cannot write to the output folder .*: Not a directory; .*--output"):
        RunFolder.create(tmp_path / "file" / "run", SPEC)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_read_only_folder_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"cannot write to the output folder .*: Permission denied"):
        RunFolder.create(tmp_path / "run", SPEC)


def test_metrics_are_on_disk_at_once_and_survive_a_torn_line(tmp_path):
    folder = RunFolder.create(tmp_path, SPEC)
    records = [{"epoch": 0, "test_loss": 0.5}, {"epoch": 1, "train_loss": 0.1 + 0.2}]
    for n, record in enumerate(records, start=1):
        folder.append_metrics(record)
        assert folder.read_metrics() == records[:n]
    with folder.metrics.open("a") as file:
        file.write('{"epoch": 2, "tra')
    assert folder.read_metrics() == records


def test_broken_metrics_are_said(tmp_path):
    folder = RunFolder.create(tmp_path, SPEC)
    folder.metrics.write_text("no json\n")
    with pytest.raises(UserError, match="cannot read the metrics"):
        folder.read_metrics()


def test_summary_is_replaced_whole(tmp_path):
    folder = RunFolder.create(tmp_path, SPEC)
    folder.write_summary({"epochs": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_summary({"epochs": float("nan")})
    assert json.loads(folder.summary.read_text()) == {"epochs": 1}


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"is not the folder of a run: it has no config\.toml"):
        RunFolder.open(tmp_path)
