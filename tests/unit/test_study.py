# SPDX-License-Identifier: GPL-2.0-or-later
"""The runs of a study, their table, and the command line that shows them."""

import fcntl
import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import pynest_tools as pt
from pynest_tools.cli import main
from pynest_tools.errors import Remark, UserError
from pynest_tools.runs import lock
from pynest_tools.runs.folder import RunFolder
from pynest_tools.studies import jobs as jobs_module
from pynest_tools.studies.execution import Observer, default_output, run_study
from pynest_tools.studies.jobs import together, work
from pynest_tools.studies.reports import ReportSpecification
from pynest_tools.studies.study import open_study, reported

TEXT = """
title = "Hidden cells"
seeds = [1, 2]

[base]
task.name = "bars"
backend = "backprop"
training = { epochs = 3, test_interval = 1 }

[grid]
network.hidden = [[5], [10]]

[report]
accuracy.metric = "validation_accuracy"
loss = { metric = "validation_loss", tests = 2 }

[reference]
file = "others.json"
label = "others"

[labels]
loss = "loss (mV²)"
"""


class Observed(Observer):
    """Keeps what it is told."""

    def __init__(self):
        self.before, self.left, self.done, self.notes = [], [], {}, []

    def planned(self, study, ended, left):
        self.before, self.left = [run.name for run in ended], [run.name for run in left]

    def ended(self, run, status, reason):
        self.done[run.name] = status

    def note(self, sentence):
        self.notes.append(sentence)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A study of four small runs."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "hidden.toml").write_text(TEXT)
    (folder / "others.json").write_text(json.dumps([{"hidden": [5], "accuracy": 0.5}]))
    observed = Observed()
    return run_study(folder / "hidden.toml", folder / "ran", jobs=1, observer=observed), observed


@pytest.fixture
def copy(ran, tmp_path):
    """The same in a folder of its own."""
    shutil.copytree(ran[0].path, tmp_path / "copy")
    return tmp_path / "copy"


NAMES = ["hidden=5-seed1", "hidden=10-seed1", "hidden=5-seed2", "hidden=10-seed2"]


def test_every_point_and_seed_is_an_ordinary_run(ran):
    study, observed = ran
    assert observed.done == dict.fromkeys(NAMES, "done")
    assert [run.name for run in study.runs] == NAMES  # something of everything, soon
    for name, hidden, seed in zip(NAMES, (5, 10, 5, 10), (1, 1, 2, 2)):
        run = pt.open_run(study.path / "runs" / name)
        assert run.specification.network.sizes == (9, hidden, 3)
        assert run.specification.seed == seed
        alone = pt.train(
            {"hidden": [hidden]}, "bars", backend="backprop", seed=seed, training={"epochs": 3, "test_interval": 1}
        )
        assert run.result.last["loss"] == pytest.approx(
            alone.last["loss"], rel=1e-9
        )  # sums in another order, side by side


def test_the_table_tells_what_the_runs_reached(ran):
    study, _ = ran
    table = study.table
    assert list(table.columns) == ["hidden", "seed", "status", "reason", "accuracy", "loss", "epochs", "wall_s", "run"]
    assert list(table["hidden"]) == [5, 10, 5, 10]
    for _, row in table.iterrows():
        records = pt.open_run(study.path / "runs" / row["run"]).records
        assert row["accuracy"] == records[-1]["validation_accuracy"]
        assert row["loss"] == pytest.approx(np.mean([record["validation_loss"] for record in records[-2:]]), rel=1e-15)
        assert row["epochs"] == 3
        assert row["status"] == "done"
    kept = pd.read_csv(study.csv, dtype={"reason": str}).fillna({"reason": ""})
    pd.testing.assert_frame_equal(kept, table, check_dtype=False)
    pd.testing.assert_frame_equal(pd.read_parquet(study.parquet), table, check_dtype=False)


@pytest.mark.slow
def test_a_table_with_one_and_several_hidden_layers_is_kept_whole(tmp_path):
    """60 and [60, 60] are a number and a text; a column of Parquet has one type."""
    file = tmp_path / "study.toml"
    text = TEXT.replace("[[5], [10]]", "[[5], [5, 5]]").replace("[1, 2]", "[1]").replace("epochs = 3", "epochs = 0")
    file.write_text(text[: text.index("[reference]")], encoding="utf-8")
    study = run_study(file, tmp_path / "study")
    assert list(pd.read_parquet(study.parquet)["hidden"]) == ["5", "[5, 5]"]
    assert list(pd.read_csv(study.csv)["hidden"]) == ["5", "[5, 5]"]


def test_without_its_runs_a_study_has_its_table(copy):
    table = open_study(copy).table
    baselines = open_study(copy).baselines
    assert set(baselines) == {"linear classifier", "chance"}
    shutil.rmtree(copy / "runs")
    pd.testing.assert_frame_equal(open_study(copy).table, table, check_dtype=False)
    assert open_study(copy).baselines == baselines


def test_a_run_is_found_by_its_point(ran):
    study, _ = ran
    assert study.run(hidden=[10], seed=2).folder.path.name == "hidden=10-seed2"
    for wanted in ({"hidden": [10]}, {"hidden": [7]}, {"layers": 3}):
        with pytest.raises(UserError, match=r"runs of the study have .* its columns are hidden, seed"):
            study.run(**wanted)


@pytest.mark.slow
def test_what_has_ended_stays_and_what_is_missing_is_done(copy):
    shutil.rmtree(copy / "runs" / NAMES[2])
    stamps = {name: (copy / "runs" / name / "summary.json").stat().st_mtime_ns for name in NAMES if name != NAMES[2]}
    observed = Observed()
    run_study(copy, jobs=1, observer=observed)
    assert observed.left == [NAMES[2]]
    assert observed.done == {NAMES[2]: "done"}
    assert stamps == {name: (copy / "runs" / name / "summary.json").stat().st_mtime_ns for name in stamps}


def test_statuses(copy):
    """As the folders say."""
    runs = copy / "runs"
    (runs / NAMES[0] / "summary.json").unlink()
    (runs / NAMES[1] / "failure.txt").write_text("no memory\n")
    summary = json.loads((runs / NAMES[2] / "summary.json").read_text())
    (runs / NAMES[2] / "summary.json").write_text(json.dumps(summary | {"diverged": "epoch 3: too much"}))
    (runs / NAMES[3] / "config.toml").unlink()
    table = open_study(copy).table
    assert list(table["status"]) == ["interrupted", "failed", "diverged", "waiting"]
    assert list(table["reason"]) == ["", "no memory", "epoch 3: too much", ""]
    assert np.isnan(table["accuracy"][3])
    folder = RunFolder(runs / NAMES[0])
    with folder.lock:
        assert open_study(copy).table["status"][0] == "running"
    assert not lock.is_held(folder.path)
    (runs / NAMES[1] / "failure.txt").unlink()
    (runs / NAMES[1] / "summary.json").write_text("[1, 2")
    table = open_study(copy).table
    assert table["status"][1] == "failed"
    assert "cannot read" in table["reason"][1]


def test_who_holds_a_run_keeps_it(copy):
    """Its seeds are trained by others then."""
    shutil.rmtree(copy / "runs" / NAMES[0])
    (copy / "runs" / NAMES[2] / "summary.json").unlink()
    study = open_study(copy)
    runs = tuple(run for run in study.runs if run.name in (NAMES[0], NAMES[2]))
    file = copy / "runs" / NAMES[2] / ".lock"
    holder = os.open(file, os.O_RDWR | os.O_CREAT)
    fcntl.fcntl(holder, fcntl.F_OFD_SETLK, lock._whole_file(fcntl.F_WRLCK))
    messages = []
    found = work(runs, messages.append)
    os.close(holder)
    assert found[NAMES[0]] == ("done", "")
    assert found[NAMES[2]][0] == "running"
    assert {name for message in messages for name in message.names} == {NAMES[0]}


@pytest.mark.slow
def test_what_another_part_lets_go_is_taken_up(copy):
    """It dies while this one does other runs; it had begun both seeds of a point."""
    for name in NAMES:
        shutil.rmtree(copy / "runs" / name)
    held = []
    for name in (NAMES[0], NAMES[2]):
        (copy / "runs" / name).mkdir(parents=True)
        held.append(os.open(copy / "runs" / name / ".lock", os.O_RDWR | os.O_CREAT))
        fcntl.fcntl(held[-1], fcntl.F_OFD_SETLK, lock._whole_file(fcntl.F_WRLCK))

    class Killing(Observed):
        """The other part dies when the first run of this one has ended."""

        def ended(self, run, status, reason):
            while held:
                os.close(held.pop())
            super().ended(run, status, reason)

    observed = Killing()
    run_study(copy, jobs=1, observer=observed)
    assert list(observed.done) == [NAMES[1], NAMES[3], NAMES[0], NAMES[2]]
    assert set(observed.done.values()) == {"done"}


@pytest.mark.slow
def test_a_part_begins_with_its_own(copy):
    shutil.rmtree(copy / "runs")
    observed = Observed()
    run_study(copy, jobs=1, part=(2, 2), observer=observed)
    order = list(observed.done)
    assert {name.partition("-seed")[0] for name in order[:2]} == {"hidden=10"}  # its own job: both seeds
    assert set(order) == set(NAMES)


@pytest.mark.slow
def test_without_locks_a_part_does_its_own_alone(copy, monkeypatch):
    shutil.rmtree(copy / "runs")
    real = fcntl.fcntl

    def none(file, command, *rest):
        if command == fcntl.F_OFD_SETLK:
            raise OSError(38, "Function not implemented")
        return real(file, command, *rest)

    monkeypatch.setattr(lock.fcntl, "fcntl", none)
    observed = Observed()
    with pytest.warns(Remark, match="has no locks"):
        run_study(copy, jobs=1, part=(1, 2), observer=observed)
    assert set(observed.done) == {NAMES[0], NAMES[2]}
    assert any("without locks part 1 of 2 does its own runs alone" in note for note in observed.notes)


def test_small_networks_of_numpy_are_trained_side_by_side(ran, monkeypatch):
    (run, *_) = ran[0].runs
    assert together(run)
    monkeypatch.setattr(jobs_module, "MOST_WEIGHTS_TOGETHER", 9 * 5 + 5 * 3 - 1)
    assert not together(run)


RECORDS = [
    {"epoch": 0, "validation_loss": 3.0, "validation_accuracy": 0.5, "rate_mean": {"P_1": 1.0}, "eta_up": [0.1, 0.2], "wall_s": 1.0},
    {"epoch": 1, "validation_loss": 1.0, "validation_accuracy": 1.0, "rate_mean": {"P_1": 2.0}, "eta_up": [0.3, 0.4], "wall_s": 2.0},
    {"epoch": 2, "validation_loss": 2.0, "validation_accuracy": 1.0, "rate_mean": {"P_1": 6.0}, "eta_up": [0.5, 0.6], "wall_s": 3.0},
]  # fmt: skip


@pytest.mark.parametrize(
    ("report", "value"),
    [
        ({"metric": "validation_loss"}, 2.0),
        ({"metric": "validation_loss", "tests": 2}, 1.5),
        ({"metric": "validation_loss", "at": "best"}, 1.0),
        ({"metric": "rate_mean.P_1", "tests": 3}, 3.0),
        ({"metric": "eta_up.1"}, 0.6),
        ({"metric": "rate_mean.P_9"}, None),
        ({"metric": "stable_from_epoch"}, 1),
        ({"metric": "stable_from_epoch", "tests": 2}, 1),
        ({"metric": "stable_from_epoch", "tests": 3}, None),
        ({"metric": "epochs"}, 2.0),
        ({"metric": "wall_s"}, 9.0),
        ({"metric": "test_loss"}, 0.25),
    ],
)
def test_reports(report, value):
    summary = {"wall_s": 9.0, "test": {"loss": 0.25}}
    assert reported(ReportSpecification(**report), RECORDS, summary) == value
    assert reported(ReportSpecification(**report), [], {}) is None


def test_of_a_task_without_validation_set_the_tests_are_told():
    records = [{"epoch": e, "test_loss": float(e), "test_accuracy": 0.0, "wall_s": 0.0} for e in range(4)]
    assert reported(ReportSpecification(metric="test_loss", tests=2), records, {"test": {"loss": 9.0}}) == 2.5


# ---- the command line ----------------------------------------------------------------------------------------------------


def invoke(*arguments):
    return CliRunner().invoke(main, ["study", *map(str, arguments)])


def test_figures_and_tables(copy, tmp_path):
    result = invoke("plot", copy)
    assert result.exit_code == 0, result.output
    assert (copy / "figure.png").stat().st_size > 10_000
    result = invoke("plot", copy, "--x", "seed", "--y", "loss", "--lines", "hidden", "--output", tmp_path / "other.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "other.png").is_file()
    overview = invoke("table", copy).output
    assert "| hidden | accuracy (%) |" in " ".join(overview.split())
    assert "loss (mV²)" in overview
    one = invoke("table", copy, "--value", "loss", "--rows", "hidden", "--only", "seed=1").output
    (row,) = [line for line in one.splitlines() if line.replace(" ", "").startswith("|5|")]
    table = open_study(copy).table
    wanted = table[(table["hidden"] == 5) & (table["seed"] == 1)]["loss"].item()
    assert float(row.split("|")[2]) == pytest.approx(wanted, rel=5e-3)  # three digits are written


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["plot", "{none}"], "is not the folder of a study: it has no study.toml"),
        (["{none}.toml"], "cannot read"),
        (["{study}", "--output", "elsewhere"], "is the folder of a study already: leave --output out"),
        (["{study}", "--part", "3/2"], "--part needs I/N with I from 1 to N, such as 2/8, got '3/2'"),
        (["{study}", "--part", "one"], "--part needs I/N"),
        (["plot", "{study}", "--x", "hiden"], "has no column hiden; did you mean hidden?"),
        (["plot", "{study}", "--y", "losss"], "has no column losss; did you mean loss?"),
        (["table", "{study}", "--value", "hidden"], "has no column hidden; known are accuracy, loss, epochs, wall_s"),
    ],
)
def test_refusals(arguments, told, ran, tmp_path):
    places = {"none": tmp_path / "none", "study": ran[0].path}
    result = invoke(*(argument.format(**places) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert told in " ".join(result.output.split())


def test_a_study_has_no_mpi(ran, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    with pytest.raises(UserError, match="start it without mpirun"):
        run_study(ran[0].path)


def test_the_folder_has_the_name_of_the_file(tmp_path):
    assert default_output(tmp_path / "psi.toml").as_posix() == "runs/study-psi"
    (tmp_path / "delays").mkdir()
    assert default_output(tmp_path / "delays" / "study.toml").as_posix() == "runs/study-delays"
