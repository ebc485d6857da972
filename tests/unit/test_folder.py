# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a run: never overwritten silently, never half-written."""

from __future__ import annotations

import json
import os
import re
import resource

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
    assert folder.figures.is_dir()
    assert folder.read_metrics() == []


def test_default_folders_of_other_settings_are_others():
    others = [{"training": {"epochs": 20}}, {"network": {"neuron": {"psi": 50.0}}}, {"task": {"lo": 0.2}}]
    names = {str(default_folder(RunSpecification.for_task("bars", {"seed": 4, **changes}))) for changes in others}
    assert len(names) == 3
    assert all(re.fullmatch(r"runs/bars-spiking-seed4-[0-9a-f]{6}", name) for name in names)
    assert default_folder(RunSpecification.for_task("bars", {"seed": 4, "backend": "ode"})).name == "bars-ode-seed4"


def test_data_that_have_changed_are_refused(tmp_path):
    class Data:
        sha256 = "1a"

        def describe(self):
            return {"sha256": self.sha256}

    folder, data = RunFolder.create(tmp_path, SPEC), Data()
    folder._write_data(data)
    folder.refuse_other_data(data)
    data.sha256 = "2b"
    with pytest.raises(
        UserError, match="their SHA-256 was 1a and is now 2b; put the former data back, or begin a new run"
    ):
        folder.refuse_other_data(data)


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


def record(epoch, loss):
    scores = {"validation_loss": loss, "validation_accuracy": 0.5, "validation_confusion": [[1, 0], [1, 0]]}
    return {"epoch": epoch, "samples": 24 * epoch, **scores, "rate_mean": {"P_0": 500.0}, "wall_s": 1.5}


def test_metrics_are_on_disk_at_once_and_survive_a_torn_line(tmp_path):
    folder = RunFolder.create(tmp_path, SPEC)
    records = [record(0, 0.5), record(1, 0.1 + 0.2)]
    for n, each in enumerate(records, start=1):
        folder.append(folder.metrics, each)
        assert folder.read_metrics() == records[:n]
    with folder.metrics.open("a") as file:
        file.write('{"epoch": 2, "tra')
    assert folder.read_metrics() == records


def test_of_a_record_that_does_not_fit_on_the_disk_nothing_stays(tmp_path):
    folder = RunFolder.create(tmp_path, SPEC)
    folder.append(folder.metrics, record(0, 0.5))
    before = folder.metrics.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))  # bytes; Python ignores the signal
    try:
        with pytest.raises((OSError, UserError)):
            folder.append(folder.metrics, record(1, 0.4))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert folder.metrics.read_bytes() == before


def test_records_of_tests_after_the_checkpoint_are_forgotten(tmp_path):
    folder = RunFolder.create(tmp_path, SPEC)
    records = [record(epoch, 0.5) for epoch in range(4)]
    for each in records:
        folder.append(folder.metrics, each)
    assert folder.forget_metrics_after(48) == records[:3]
    assert folder.read_metrics() == records[:3]


@pytest.mark.parametrize(
    "line", ["no json", "[]", "{}", '{"epoch": 1}', "[" * 100_000, json.dumps(record(1, 0.5) | {"rate_mean": 3})]
)
def test_a_damaged_line_is_said_and_the_last_one_left_out(tmp_path, line):
    folder = RunFolder.create(tmp_path, SPEC)
    whole = json.dumps(record(0, 0.5))
    folder.metrics.write_text(f"{whole}\n{line}\n")
    assert folder.read_metrics() == [record(0, 0.5)]
    folder.metrics.write_text(f"{whole}\n{line}\n{whole}\n")
    with pytest.raises(
        UserError, match=r"cannot read the metrics .*: line 2 is damaged; take it out, the others are whole"
    ):
        folder.read_metrics()


def test_a_line_after_a_torn_one_is_a_line_of_its_own(tmp_path):
    folder = RunFolder.create(tmp_path, SPEC)
    folder.evaluations.write_text('{"seed": 0}\n{"seed": 1, "lo')
    folder.append(folder.evaluations, {"seed": 2})
    assert folder.evaluations.read_text().splitlines() == ['{"seed": 0}', '{"seed": 1, "lo', '{"seed": 2}']


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"test": 3}', '{"test": null, "baselines": {"chance": {"tes": 1}}}']
)
def test_a_damaged_summary_is_said(tmp_path, content):
    folder = RunFolder.create(tmp_path, SPEC)
    assert folder.read_summary() == {}
    folder.summary.write_text(content)
    with pytest.raises(UserError, match=r"summary\.json"):
        folder.read_summary()


def test_summary_is_replaced_whole(tmp_path):
    folder = RunFolder.create(tmp_path, SPEC)
    folder.write_summary({"epochs": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_summary({"epochs": float("nan")})
    assert json.loads(folder.summary.read_text()) == {"epochs": 1}


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"is not the folder of a run: it has no config\.toml"):
        RunFolder.open(tmp_path)
