# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: options, sentences instead of tracebacks, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import types

import pytest
from click.testing import CliRunner

from pynest_tools.cli import main
from pynest_tools.runs.specification import RunSpecification


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


def test_train_evaluate_plot(pyramidal, networks, tmp_path):
    trained = pyramidal("train", "bars", "--epochs", "20", "--seed", "3")
    assert trained.exit_code == 0, trained.output
    folder = tmp_path / "runs" / "bars-spiking-seed3"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "config.toml",
        "metrics.jsonl",
        "summary.json",
        "checkpoint/epoch-00000020/rank-0.npz",
        "figures/training.png",
    }
    assert json.loads((folder / "summary.json").read_text())["epochs"] == 20
    tests = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()][::10]
    for test in tests:
        line = f"epoch {test['epoch']}/20  accuracy {test['test_accuracy']:.1%}  loss {test['test_loss']:.4f}"
        assert trained.stdout.count(line) == 1
    for words in ("test accuracy", "chance", "37.5%", "runs/bars-spiking-seed3"):
        assert words in trained.stdout

    evaluated = pyramidal("evaluate", str(folder))
    assert evaluated.exit_code == 0, evaluated.output
    assert "test accuracy" in evaluated.stdout

    (folder / "figures" / "training.png").unlink()
    plotted = pyramidal("plot", str(folder))
    assert plotted.exit_code == 0, plotted.output
    assert (folder / "figures" / "training.png").is_file()


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


def test_a_run_is_replaced_only_on_demand(pyramidal, networks):
    assert pyramidal("train", "bars", "--epochs", "1").exit_code == 0
    assert "--overwrite" in sentence(pyramidal("train", "bars", "--epochs", "1"))
    assert pyramidal("train", "bars", "--epochs", "1", "--overwrite").exit_code == 0


def test_ctrl_c_says_what_was_reached(pyramidal, networks, failing, tmp_path):
    failing(at=24 * 4 + 1, by="ctrl-c")
    networks.prepare["chunk_samples"] = 24
    result = pyramidal("train", "bars", "--epochs", "20", "--output", "out")
    assert result.exit_code == 130
    assert "interrupted after epoch 4 of 20; to go on from the last test: pyramidal resume out" in result.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["interrupted"] is True
    assert (tmp_path / "out" / "figures" / "training.png").is_file()


def test_divergence_is_said_with_epoch_and_sample(pyramidal, networks, failing, tmp_path):
    failing(at=30, by="divergence")
    result = pyramidal("train", "bars", "--output", "out")
    assert result.exit_code == 1
    assert "diverged: epoch 2, sample 7 of 24: V_soma of hidden cell 3 is 1e9 mV" in result.stderr
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
        (["bars", "--backends", "ode,stedy"], "backend 'stedy' is unknown; did you mean steady?"),
        (["bar", "--backends", "ode"], "task 'bar' is unknown; did you mean bars?"),
        (["bars", "--set", "training.batch_size=8"], "batch_size must be 1 with backend spiking"),
    ],
)
def test_comparison_of_what_cannot_be(pyramidal, arguments, words):
    assert words in sentence(pyramidal("compare", *arguments))
