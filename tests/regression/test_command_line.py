# SPDX-License-Identifier: GPL-2.0-or-later
"""The installed command, as a user meets it: processes, signals, messages, exit codes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

SHORT = [
    "--set",
    "network.trial.t_pres=10.0",
    "--set",
    "network.trial.t_learn_on=5.0",
    "--set",
    "network.trial.t_readout_on=8.0",
]
EVERY_EPOCH = ["--set", "training.test_interval=1"]
# A shell that starts the tests in the background has them, and their children, ignore Ctrl-C.
HEED_CTRL_C = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('pynest_tools', run_name='__main__')"
)


def pyramidal(*arguments, env=None, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "pynest_tools", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | (env or {}),
        cwd=cwd,
        timeout=300,
        check=False,
    )


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_clock(folder):
    """What does not depend on how fast the machine is."""
    return [{k: v for k, v in record.items() if k not in ("wall_s", "samples_per_s")} for record in metrics(folder)]


@pytest.mark.slow
def test_train_evaluate_plot(tmp_path):
    folder = tmp_path / "run"
    trained = pyramidal("train", "bars", "--epochs", 2, "--seed", 3, "--output", folder, *EVERY_EPOCH, *SHORT)
    assert trained.returncode == 0, trained.stderr
    assert "test accuracy" in trained.stdout
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["task"] == "bars"
    assert summary["backend"] == "spiking"
    assert summary["seed"] == 3
    assert summary["epochs"] == 2
    assert 0.0 <= summary["python_share"] < 1.0
    assert summary["versions"]["nest"] == "3.10.0"
    assert [record["epoch"] for record in metrics(folder)] == [0, 1, 2]
    figure = folder / "figures" / "training.png"
    assert figure.stat().st_size > 10_000
    figure.unlink()
    assert pyramidal("plot", folder).returncode == 0
    assert figure.exists()
    evaluated = pyramidal("evaluate", folder)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "test set, last weights" in evaluated.stdout
    assert [json.loads(line)["accuracy"] for line in (folder / "evaluations.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_same_seed_same_metrics(tmp_path):
    for name in ("a", "b"):
        assert pyramidal("train", "bars", "--epochs", 2, "--output", tmp_path / name, *SHORT).returncode == 0
    assert without_clock(tmp_path / "a") == without_clock(tmp_path / "b")


@pytest.mark.slow
def test_existing_folder_is_not_overwritten(tmp_path):
    folder = tmp_path / "run"
    arguments = ("train", "bars", "--backend", "backprop", "--epochs", 1, "--output", folder)
    assert pyramidal(*arguments).returncode == 0
    before = (folder / "metrics.jsonl").read_bytes()
    again = pyramidal(*arguments)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    assert "Traceback" not in again.stderr
    assert (folder / "metrics.jsonl").read_bytes() == before


@pytest.mark.slow
def test_interrupt_keeps_what_was_reached(tmp_path):
    folder = tmp_path / "run"
    arguments = ["train", "bars", "--epochs", "100000", "--output", str(folder), *EVERY_EPOCH, *SHORT]
    process = subprocess.Popen(
        [sys.executable, "-c", HEED_CTRL_C, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 120
        while not (folder / "metrics.jsonl").exists() or len(metrics(folder)) < 3:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted after epoch" in errors
    assert "Traceback" not in errors
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["interrupted"] is True
    assert summary["epochs"] == metrics(folder)[-1]["epoch"] >= 2
    assert f"to go on from the last test: pyramidal resume {folder}" in errors
    assert pyramidal("evaluate", folder).returncode == 0


@pytest.mark.slow
def test_diverging_run_stops_and_says_where(tmp_path):
    folder = tmp_path / "run"
    wild = [
        "--set",
        "network.plasticity.eta_up=500.0",
        "--set",
        "network.plasticity.Wmax=1e9",
        "--set",
        "network.plasticity.Wmin=-1e9",
    ]
    run = pyramidal("train", "bars", "--epochs", 20, "--output", folder, *SHORT, *wild)
    assert run.returncode == 1
    message = " ".join(run.stderr.split())
    assert "the network diverge" in message
    assert "epoch 1, sample" in message
    assert re.search(r"cell \d+ of P_\d: a prospective potential became \S+ mV", message)
    assert f"pyramidal resume {folder} --set network.plasticity.eta_up=250" in message
    assert "Traceback" not in run.stderr
    assert json.loads((folder / "summary.json").read_text())["diverged"]


@pytest.mark.slow
def test_missing_module(tmp_path):
    nowhere = {"PYRAMIDAL_MODULE": str(tmp_path / "nothing.so")}
    run = pyramidal("train", "bars", "--epochs", 1, "--output", tmp_path / "run", env=nowhere)
    assert run.returncode == 2
    assert "is not built" in run.stderr
    assert "pip install ." in run.stderr
    assert "Traceback" not in run.stderr
    doctor = pyramidal("doctor", env=nowhere)
    assert doctor.returncode == 1
    assert "pip install ." in doctor.stdout


@pytest.mark.slow
def test_module_of_another_nest(tmp_path):
    """A library that asks for a symbol that NEST does not have is refused, and the interpreter lives."""
    source = tmp_path / "other.cpp"
    source.write_text('extern "C" void a_symbol_of_another_nest(); void* module = (void*)a_symbol_of_another_nest;\n')
    library = tmp_path / "pyramidalmodule.so"
    subprocess.run(["g++", "-shared", "-fPIC", "-Wl,-z,now", str(source), "-o", str(library)], check=True)
    run = pyramidal("doctor", env={"PYRAMIDAL_MODULE": str(library)})
    assert run.returncode == 1
    message = " ".join(run.stdout.split())
    assert "built for another NEST" in message
    assert "a_symbol_of_another_nest" in message
    assert "pip install --force-reinstall" in message


@pytest.mark.slow
def test_doctor():
    run = pyramidal("doctor")
    assert run.returncode == 0, run.stdout + run.stderr
    for word in ("python", "NEST", "MPI", "ABI", "module", "the synapse learned"):
        assert word in run.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "bars", "--set", "network.neuron.psy=5"], "did you mean psi"),
        (["train", "bars", "--set", "network.sizes=[9, 30, 4]"], "the last size must be 3"),
        (["train", "bars", "--set", "network.plasticity.tau_s=-1.0"], "network.plasticity.tau_s"),
        (["train", "chess"], "chess"),
        (["evaluate", "no/such/run"], "no/such/run"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, arguments, message):
    run = pyramidal(*arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert message in " ".join(run.stderr.split())
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_compare(tmp_path):
    """Every backend begins with the same weights, is kept as a run of its own, and stands in table and figure."""
    folder = tmp_path / "all"
    compared = pyramidal("compare", "bars", "--epochs", 1, "--output", folder, *SHORT)
    assert compared.returncode == 0, compared.stderr
    backends = ["spiking", "rate", "ode", "steady", "backprop"]
    for name in backends:
        assert f"{name}  epoch 1/1  validation accuracy" in compared.stdout
        summary = json.loads((folder / name / "summary.json").read_text())
        assert (summary["backend"], summary["epochs"]) == (name, 1)
    losses = {name: metrics(folder / name) for name in backends}
    for before, after in zip(losses["rate"], losses["ode"], strict=True):
        assert before["validation_loss"] == pytest.approx(after["validation_loss"], rel=1e-9)  # the same network twice
    for name in ("spiking", "steady", "backprop"):  # noise of spikes and slow somata aside
        assert losses[name][0]["validation_loss"] == pytest.approx(losses["ode"][0]["validation_loss"], rel=0.1)
    assert (folder / "comparison.png").stat().st_size > 10_000
    assert "linear classifier" in compared.stdout
    again = pyramidal("compare", "bars", "--backends", "backprop", "--epochs", 1, "--output", folder)
    assert again.returncode == 2
    assert "is not empty" in again.stderr
    # weights move between backends
    shutil.rmtree(folder / "steady" / "checkpoint")
    (folder / "rate" / "checkpoint").rename(folder / "steady" / "checkpoint")
    evaluated = pyramidal("evaluate", folder / "steady")
    assert evaluated.returncode == 0, evaluated.stderr


@pytest.mark.slow
def test_killed_at_any_instant_a_run_can_be_resumed(tmp_path):
    """SIGKILL at 20 random instants: metrics and weights are those of the run that was never killed."""
    last = "epoch-00000040-00000000"
    arguments = ["--epochs", 40, "--set", "training.test_interval=2", *SHORT]
    assert pyramidal("train", "bars", *arguments, "--output", tmp_path / "whole").returncode == 0
    whole = without_clock(tmp_path / "whole")
    with np.load(tmp_path / "whole" / "checkpoint" / last / "rank-0.npz") as archive:
        weights = {name: archive[name] for name in archive.files}
    run = tmp_path / "killed"
    rng = np.random.default_rng(1)
    program = [sys.executable, "-m", "pynest_tools"]
    start = [*program, "train", "bars", *map(str, arguments), "--output", str(run)]
    resume = [*program, "resume", str(run)]
    command, kills = start, 0
    while kills < 20:
        kept = list(run.glob("checkpoint/epoch-*[0-9]"))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # one process while it trains, with a checkpoint every 70 ms, the next one while it starts, which takes 2 s; but not
        # before the very first checkpoint, when there is nothing to resume
        training = kills % 2 == 0
        while process.poll() is None and list(run.glob("checkpoint/epoch-*[0-9]")) in ([], kept if training else []):
            time.sleep(0.01)
        try:
            process.wait(timeout=rng.uniform(0.0, 0.5 if training else 2.0))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        assert process.wait() in (0, -signal.SIGKILL)
        command = resume
        if process.returncode == 0 and kills < 20:  # all was done before it could be killed: once more from the start
            shutil.rmtree(run)
            command = start
    assert pyramidal("resume", run).returncode == 0
    assert without_clock(run) == whole
    with np.load(run / "checkpoint" / last / "rank-0.npz") as archive:
        for name in set(archive.files) - {"simulation_s"}:
            np.testing.assert_array_equal(archive[name], weights[name], err_msg=name)
    assert {path.name for path in (run / "checkpoint").iterdir()} == {last, "best"}
