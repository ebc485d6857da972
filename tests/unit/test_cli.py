# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: options, sentences instead of tracebacks, exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import types

import pytest
from click.testing import CliRunner

from pynest_tools.cli import main
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.tasks import BUILT_IN


@pytest.fixture
def pyramidal(tmp_path, monkeypatch):
    """Runs a command in an empty folder and returns its result."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return CliRunner().invoke(main, arguments)

    return run


def sentence(result):
    """The one sentence of a user's error."""
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.slow
def test_train_evaluate_plot(pyramidal, networks, tmp_path):
    trained = pyramidal("train", "bars", "--epochs", "20", "--seed", "3", "--output", "out")
    assert trained.exit_code == 0, trained.output
    folder = tmp_path / "out"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    best = json.loads((folder / "summary.json").read_text())["best"]["epoch"]
    assert names == {
        "config.toml",
        "metrics.jsonl",
        "summary.json",
        "checkpoint/epoch-00000020-00000000/rank-0.npz",
        f"checkpoint/best/epoch-{best:08d}-00000000/rank-0.npz",
        "figures/confusion.png",
        "figures/training.png",
    }
    for record in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()):
        said = f"accuracy {record['validation_accuracy']:.1%}  loss {record['validation_loss']:.4f}"
        assert trained.stdout.count(f"epoch {record['epoch']}/20  validation {said}") == 1
    for words in (
        "test accuracy",
        "chance",
        "37.5%",
        "test set",
        "Mean rates of a member of a cell's population (Hz): P_0",
        "Kept in out/",
    ):
        assert words in trained.stdout

    for name in ("training", "confusion"):
        (folder / "figures" / f"{name}.png").unlink()
    plotted = pyramidal("plot", str(folder))
    assert plotted.exit_code == 0, plotted.output
    assert (folder / "figures" / "training.png").is_file()
    assert (folder / "figures" / "confusion.png").is_file()


def test_evaluations_have_a_spread_and_are_kept(pyramidal, networks, tmp_path):
    assert pyramidal("train", "bars", "--epochs", "2", "--output", "out").exit_code == 0
    evaluated = pyramidal("evaluate", "out", "--seed", "5", "--repeats", "3", "--best")
    assert evaluated.exit_code == 0, evaluated.output
    assert re.search(r"accuracy +[0-9.]+% ± [0-9.]+% +test set, best weights, mean of 3", evaluated.stdout)
    assert "chance" in evaluated.stdout
    kept = [json.loads(line) for line in (tmp_path / "out" / "evaluations.jsonl").read_text().splitlines()]
    assert [(one["seed"], one["weights"], one["data"]) for one in kept] == [(n, "best", "test set") for n in (5, 6, 7)]
    assert len({network.seed for network in networks[-3:]}) == 3


def test_a_configuration_that_names_its_task_is_enough(pyramidal, networks, tmp_path):
    (tmp_path / "my.toml").write_text('[task]\nname = "bars"\n[training]\nepochs = 1\n')
    assert pyramidal("train", "--config", "my.toml", "--output", "out").exit_code == 0
    assert RunSpecification.from_toml(tmp_path / "out" / "config.toml").task.name == "bars"
    (tmp_path / "other.toml").write_text("[training]\nepochs = 1\n")
    assert "which task? Name it, as in pyramidal train bars" in sentence(pyramidal("train", "--config", "other.toml"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "sizes"),
    [
        (["--set", "network.sizes=9,20,3"], (9, 20, 3)),
        (["--set", "network.sizes=[9, 20, 3]"], (9, 20, 3)),
        (["--hidden", "20"], (9, 20, 3)),
        (["--hidden", "20,10"], (9, 20, 10, 3)),
        (["--set", "network.hidden=20"], (9, 20, 3)),
    ],
)
def test_sizes_in_every_way_of_writing(pyramidal, networks, tmp_path, setting, sizes):
    result = pyramidal(
        "train", "bars", "--epochs", "0", *setting, "--set", "network.plasticity.eta_up=0.01", "--output", "out"
    )
    assert result.exit_code == 0, result.output
    assert RunSpecification.from_toml(tmp_path / "out" / "config.toml").network.sizes == sizes


@pytest.mark.slow
def test_a_run_may_go_on_with_other_settings_which_are_recorded(pyramidal, networks, tmp_path):
    assert pyramidal("train", "bars", "--epochs", "10", "--output", "out").exit_code == 0
    arguments = ["--epochs", "20", "--threads", "2", "--set", "network.plasticity.eta_up=0.005,0.001"]
    result = pyramidal("resume", "out", *arguments)
    assert result.exit_code == 0, result.output
    spec = RunSpecification.from_toml(tmp_path / "out" / "config.toml")
    assert (spec.training.epochs, spec.network.simulation.threads, spec.network.eta_up) == (20, 2, (0.005, 0.001))
    (change,) = map(json.loads, (tmp_path / "out" / "changes.jsonl").read_text().splitlines())
    assert (change["epoch"], change["samples"]) == (10, 240)
    assert change["set"]["network"]["plasticity"] == {"eta_up": [0.005, 0.001]}
    rates = [json.loads(line).get("eta_up") for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert rates == [None, [0.01, 0.003], [0.005, 0.001]]
    for setting, words in (
        ("network.sizes=9,4,3", "sizes cannot change"),
        ("seed=2", "seed cannot change"),
        ("psi=3", "psi is not"),
    ):
        assert words in sentence(pyramidal("resume", "out", "--set", setting))


@pytest.mark.slow
def test_a_run_does_not_end_before_what_it_has_learned(pyramidal, networks, tmp_path):
    """Refused before anything is written, as what is no run at all is."""
    assert pyramidal("train", "bars", "--epochs", "10", "--output", "out").exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    said = sentence(pyramidal("resume", "out", "--epochs", "9"))
    assert "training.epochs = 9 is less than what out has learned by its last test" in said
    assert "give 10 or more, or begin a new run" in said
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert pyramidal("resume", "out", "--epochs", "10").exit_code == 0


@pytest.mark.slow
def test_an_answer_that_standard_output_cannot_hold_is_said(pyramidal, networks, tmp_path):
    table = "a,b,y\n" + "1,2,文\n2,1,中\n" * 10
    (tmp_path / "mine.csv").write_text(table, encoding="utf-8")
    arguments = ["--data", "mine.csv", "--backend", "backprop", "--epochs", "1", "--output", "out"]
    assert pyramidal("train", "data", *arguments).exit_code == 0
    predict = [sys.executable, "-m", "pynest_tools", "predict", "out", "--data", "mine.csv"]
    western = os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(predict, env=western, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert "the standard output has no character" in result.stderr
    assert "name a file with --output, or set PYTHONIOENCODING=utf-8" in result.stderr
    assert pyramidal("predict", "out", "--data", "mine.csv", "--output", "answers.csv").exit_code == 0
    assert (tmp_path / "answers.csv").read_text(encoding="utf-8").startswith("y\n")


@pytest.mark.slow
def test_finished_runs_are_compared(pyramidal, networks, tmp_path):
    for seed in "12":
        assert pyramidal("train", "bars", "--epochs", "2", "--seed", seed, "--output", f"run{seed}").exit_code == 0
    compared = pyramidal("compare", "run1", "run2")
    assert compared.exit_code == 0, compared.output
    assert all(words in compared.stdout for words in ("run1", "run2", "chance", "test set", "accuracy"))
    assert (tmp_path / "comparison.png").is_file()
    assert "none is not the folder of a run" in sentence(pyramidal("compare", "run1", "none"))


@pytest.mark.slow
def test_settings_of_a_run_decide_its_folder(pyramidal, networks, tmp_path):
    for psi in ("50", "60"):
        assert pyramidal("train", "bars", "--epochs", "0", "--set", f"network.neuron.psi={psi}").exit_code == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_known_tasks_are_listed(pyramidal):
    assert pyramidal("tasks").stdout.split()[: len(BUILT_IN)] == list(BUILT_IN)


def test_sources_of_the_specification_and_their_order(pyramidal, networks, tmp_path):
    (tmp_path / "my.toml").write_text("seed = 5\n[training]\nepochs = 9\n[network.neuron]\npsi = 50\nbeta = 2\n")
    arguments = ["--config", "my.toml", "--set", "network.neuron.psi=25", "--set", "seed=6", "--seed", "7"]
    arguments += ["--set", "network.trial.between=keep", "--set", "network.plasticity.eta_ip=[0.1]"]
    result = pyramidal("train", "bars", *arguments, "--epochs", "1", "--threads", "2", "--output", "out")
    assert result.exit_code == 0, result.output
    run = RunSpecification.from_toml(tmp_path / "out" / "config.toml")
    assert (run.seed, run.training.epochs, run.network.simulation.threads) == (7, 1, 2)
    assert (run.network.neuron.psi, run.network.neuron.beta) == (25.0, 2.0)
    assert (run.network.trial.between, run.network.eta_ip) == ("keep", (0.1,))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bar"], "task 'bar' is unknown; did you mean bars?"),
        (
            ["bars", "--set", "network.neuron.phi=3"],
            "network.neuron.phi is not a known key; did you mean psi",
        ),
        (["bars", "--set", "network.sizes=[4,5,3]"], "the first size must be 9"),
        (["bars", "--set", "psi"], "--set needs KEY=VALUE"),
        (["bars", "--set", "task=3"], "task"),
        (["bars", "--set", "task.name=digits"], "the configuration is for task digits, not bars"),
        (["bars", "--epochs", "-1"], "training.epochs must be greater than or equal to 0, got -1"),
        (["bars", "--config", "none.toml"], "cannot read none.toml"),
        (["bars", "--output", "file/run"], "cannot write to the output folder file/run: Not a directory"),
        (["bars", "--output", "full"], "not empty; name another one with --output, or replace"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(pyramidal, networks, tmp_path, arguments, words):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").write_text("")
    assert words in sentence(pyramidal("train", *arguments))
    assert networks == []
    assert {path.name for path in tmp_path.iterdir()} == {"file", "full"}


@pytest.mark.slow
def test_a_run_is_replaced_only_on_demand(pyramidal, networks):
    assert pyramidal("train", "bars", "--epochs", "1").exit_code == 0
    assert "--overwrite" in sentence(pyramidal("train", "bars", "--epochs", "1"))
    assert pyramidal("train", "bars", "--epochs", "1", "--overwrite").exit_code == 0


def test_ctrl_c_says_what_was_reached(pyramidal, networks, failing, tmp_path):
    failing(at=24 * 4 + 1, by="ctrl-c")
    result = pyramidal("train", "bars", "--epochs", "20", "--set", "training.test_interval=2", "--output", "out")
    assert result.exit_code == 130
    assert "interrupted after epoch 4 of 20; to go on from the last test: pyramidal resume out" in result.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["interrupted"] is True
    assert (tmp_path / "out" / "figures" / "training.png").is_file()


def test_divergence_is_said_with_epoch_and_sample(pyramidal, networks, failing, tmp_path):
    failing(at=30, by="divergence")
    result = pyramidal("train", "bars", "--output", "out")
    assert result.exit_code == 1
    assert "diverged: epoch 2, sample 7 of 24: cell 3 of P_1: a somatic potential became 1e9 mV" in result.stderr
    assert "pyramidal resume out --set network.plasticity.eta_up=0.005,0.0015" in result.stderr
    assert "sample 7" in json.loads((tmp_path / "out" / "summary.json").read_text())["diverged"]


@pytest.mark.parametrize("command", ["evaluate", "plot"])
def test_a_folder_without_a_run_is_said(pyramidal, networks, command):
    assert "nowhere is not the folder of a run" in sentence(pyramidal(command, "nowhere"))


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (None, 0), (False, 1)])
def test_doctor_shows_the_report(pyramidal, monkeypatch, ok, code):
    fake = types.ModuleType("pynest_tools.kernel.doctor")
    fake.report = lambda: [("NEST", "3.10.0", ok), ("MPI", "no", None)]
    monkeypatch.setitem(sys.modules, "pynest_tools.kernel.doctor", fake)
    result = pyramidal("doctor")
    assert result.exit_code == code
    assert "3.10.0" in result.stdout


def test_nothing_but_a_backend_imports_nest():
    code = "import sys, pynest_tools.cli; sys.exit('nest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "pynest_tools", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("pyramidal, version")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "which task?"),
        (["bars", "--backends", "ode,stedy"], "backend 'stedy' is unknown; did you mean steady?"),
        (["bar", "--backends", "ode"], "task 'bar' is unknown; did you mean bars?"),
        (["bars", "--set", "training.batch_size=8"], "batch_size must be 1 with backend spiking"),
    ],
)
def test_comparison_of_what_cannot_be(pyramidal, arguments, words):
    assert words in sentence(pyramidal("compare", *arguments))
