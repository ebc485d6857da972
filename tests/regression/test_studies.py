# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole studies from the command line: killed, shared, resumed, searched, on dask; they come to what an undisturbed one comes to."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from pynest_tools.studies.study import open_study

WALL = {"wall_s", "samples_per_s", "python_share", "simulation_s"}
COMMAND = [sys.executable, "-m", "pynest_tools", "study"]

GRID = """
title = "Bars with spikes"
seeds = 3

[base]
task.name = "bars"
training = {{ epochs = {epochs}, test_interval = 1 }}
network.hidden = [10]
network.trial = {{ t_pres = 4.0, t_learn_on = 2.0, t_readout_on = 3.0, t_pres_test = 4.0, t_readout_on_test = 3.0 }}

[grid]
network.neuron.psi = [20.0, 50.0, 100.0]
network.neuron.tau_apical = [0.5, 1.0, 2.0]
"""


def run(*arguments, **options):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, **options)


def ended(folder):
    return len(list(folder.glob("runs/*/summary.json")))


def without_wall(record):
    return {key: value for key, value in record.items() if key not in WALL}


def contents(folder):
    """What every file of a study says, wall times aside."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                found[name] = {key: arrays[key].tolist() for key in arrays.files if key not in WALL}
        elif path.suffix == ".jsonl":
            found[name] = [without_wall(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.suffix == ".json":
            found[name] = without_wall(json.loads(path.read_text()))
        elif path.name == "table.csv":
            found[name] = pd.read_csv(path).drop(columns="wall_s").to_csv()
        elif path.suffix != ".parquet":  # has what the CSV has
            found[name] = path.read_bytes()
    return found


@pytest.mark.slow
def test_killed_twice_and_shared_by_two_it_is_what_it_would_have_been(tmp_path):
    """3 x 3 points and 3 seeds."""
    file = tmp_path / "grid.toml"
    file.write_text(GRID.format(epochs=3))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    result = run(file, "--output", whole)
    assert result.returncode == 0, result.stderr
    assert ended(whole) == 27
    for enough in (4, 11):
        study = subprocess.Popen([*COMMAND, str(file), "--output", str(broken)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 300.0
        while ended(broken) < enough:
            assert study.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        study.send_signal(signal.SIGKILL)
        study.wait()
    before = ended(broken)
    assert 11 <= before < 27
    parts = [
        subprocess.Popen([*COMMAND, str(file), "--output", str(broken), "--part", f"{i}/2", "--jobs", "1"],
                         stdout=subprocess.PIPE, text=True)
        for i in (1, 2)
    ]  # fmt: skip
    told = [part.communicate()[0] for part in parts]
    assert [part.returncode for part in parts] == [0, 0]
    done = [
        {line.split("] ")[1].split(": ")[0] for line in text.splitlines() if ": validation" in line} for text in told
    ]
    assert not done[0] & done[1]  # none was run by both
    assert len(done[0] | done[1]) == 27 - before
    assert min(map(len, done)) > 0
    assert contents(broken) == contents(whole)


@pytest.mark.slow
def test_only_what_has_changed_begins_anew(tmp_path):
    file, folder = tmp_path / "grid.toml", tmp_path / "study"
    text = GRID.format(epochs=1).replace("seeds = 3", "seeds = 1").replace("[0.5, 1.0, 2.0]", "[1.0]")
    file.write_text(text)
    assert run(file, "--output", folder).returncode == 0
    stamps = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/summary.json")}
    file.write_text(
        text.replace("[20.0, 50.0, 100.0]", "[20.0, 50.0]").replace("[set]", "")
        + '[set]\nnetwork.weights.up = "[psi / 50]"\n'
    )
    result = run(file, "--output", folder)
    assert "1 of them have ended before; 1 have another specification than before and begin anew" in result.stdout
    again = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/summary.json")}
    changed = [path.parent.name for path in stamps if again[path] != stamps[path]]
    assert changed == [
        "psi=20,tau_apical=1-seed1"
    ]  # psi = 50 has the bound 1 of before; that of psi = 100 is no longer asked for
    assert list(open_study(folder).table["psi"]) == [20.0, 50.0]


@pytest.mark.slow
def test_runs_that_diverge_or_fail_are_results(tmp_path):
    """One learns so fast that it diverges, the folder of another one is damaged."""
    file, folder = tmp_path / "study.toml", tmp_path / "study"
    file.write_text(
        'seeds = 2\n[base]\ntask.name = "bars"\nbackend = "ode"\ntraining = { epochs = 2, test_interval = 1 }\n'
        "network.trial = { t_pres = 4.0, t_learn_on = 2.0, t_readout_on = 3.0, t_pres_test = 4.0, t_readout_on_test = 3.0 }\n"
        "network.plasticity = { Wmin = -1e9, Wmax = 1e9 }\n"
        "[grid]\nnetwork.plasticity.eta_up = [0.01, 1e7]\nnetwork.plasticity.tau_s = [1.0, 2.0]\n"
    )
    damaged = folder / "runs" / "eta_up=0.01,tau_s=2-seed1"
    damaged.mkdir(parents=True)
    (damaged / "config.toml").write_text("no = [toml")
    result = run(file, "--output", folder)
    assert result.returncode == 0, result.stderr
    assert "5 runs did not come to their end; the table says why" in result.stdout
    table = open_study(folder).table.set_index("run")
    assert set(table.index[table["status"] == "diverged"]) == {
        f"eta_up=10000000,tau_s={tau}-seed{seed}" for tau in (1, 2) for seed in (1, 2)
    }
    assert "no membrane can be 150 mV from rest" in table.loc["eta_up=10000000,tau_s=1-seed1", "reason"]
    assert table.loc["eta_up=0.01,tau_s=2-seed1", "status"] == "failed"
    assert "is not valid TOML" in table.loc["eta_up=0.01,tau_s=2-seed1", "reason"]
    for good in ("eta_up=0.01,tau_s=1-seed1", "eta_up=0.01,tau_s=1-seed2", "eta_up=0.01,tau_s=2-seed2"):
        assert table.loc[good, "status"] == "done"
        assert table.loc[good, "epochs"] == 2


SEARCH = """
[base]
task.name = "digits"
backend = "steady"
training = {{ epochs = 2, test_interval = 1 }}
network.hidden = [20]

[search]
trials = {trials}

[search.space]
rate = {{ low = 1e-3, high = 1.0, log = true }}

[set]
network.plasticity.eta_up = "[rate, rate / 5]"
"""


@pytest.mark.slow
def test_a_search_goes_on_as_if_it_had_never_ended(tmp_path):
    """Ten trials; killed in the middle of one, then resumed. The test set is read by none."""
    pytest.importorskip("optuna", reason="a search needs Optuna: pip install 'nest-pyramidal[search]'")
    file = tmp_path / "search.toml"
    file.write_text(SEARCH.format(trials=10))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    result = run(file, "--output", whole, "--jobs", 1)
    assert result.returncode == 0, result.stderr
    study = subprocess.Popen([*COMMAND, str(file), "--output", str(broken), "--jobs", "1"], stdout=subprocess.DEVNULL)
    while not (broken / "runs" / "trial-0004-seed1" / "metrics.jsonl").exists():
        assert study.poll() is None
        time.sleep(0.01)
    study.kill()
    study.wait()
    result = run(broken, "--jobs", 1)
    assert result.returncode == 0, result.stderr
    one, other = open_study(whole), open_study(broken)
    columns = ["rate", "seed", "status", "accuracy", "loss", "epochs", "run"]
    assert len(one.table) == 10
    assert one.table[columns].equals(other.table[columns])
    assert set(one.table["status"]) <= {"done", "pruned"}
    done = one.table[one.table["status"] == "done"]
    assert (
        f"best: {done.loc[done['accuracy'].idxmax(), 'run'].removesuffix('-seed1')} with validation_accuracy"
        in result.stdout
    )
    assert all(json.loads(path.read_text())["test"] is None for path in whole.glob("runs/*/summary.json"))


@pytest.mark.slow
def test_dask_runs_what_a_study_runs(tmp_path):
    pytest.importorskip(
        "distributed", reason="--executor dask needs dask.distributed: pip install 'nest-pyramidal[dask]'"
    )
    file = tmp_path / "grid.toml"
    file.write_text(GRID.format(epochs=1).replace("seeds = 3", "seeds = 1").replace("[0.5, 1.0, 2.0]", "[1.0]"))
    result = run(file, "--output", tmp_path / "here")
    assert result.returncode == 0, result.stderr
    result = run(file, "--output", tmp_path / "dask", "--executor", "dask")
    assert result.returncode == 0, result.stderr
    assert contents(tmp_path / "dask") == contents(tmp_path / "here")


@pytest.mark.slow
def test_what_is_missing_is_said_in_a_sentence(tmp_path):
    """Without the libraries that are optional."""
    code = (
        "import sys\n"
        "for name in ('optuna', 'distributed'): sys.modules[name] = None\n"
        "from pynest_tools.cli import main; main()"
    )
    file = tmp_path / "search.toml"
    file.write_text(SEARCH.format(trials=1))
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID.format(epochs=1))
    for arguments, told in (
        ([file], "a search needs Optuna: pip install 'nest-pyramidal[search]'"),
        ([grid, "--executor", "dask"], "--executor dask needs dask.distributed: pip install 'nest-pyramidal[dask]'"),
    ):
        command = [sys.executable, "-c", code, "study", *map(str, arguments), "--output", str(tmp_path / "study")]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr.strip()) == (2, f"Error: {told}")


@pytest.mark.slow
def test_ctrl_c_ends_all_and_keeps_the_table(tmp_path):
    file, folder = tmp_path / "grid.toml", tmp_path / "study"
    file.write_text(GRID.format(epochs=2).replace("seeds = 3", "seeds = 1"))
    heard = [
        "env",
        "--default-signal=INT",
    ]  # a shell has it ignored by what it runs in the background, as these tests may be
    study = subprocess.Popen(
        [*heard, *COMMAND, str(file), "--output", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while ended(folder) < 1:
        assert study.poll() is None
        time.sleep(0.01)
    study.send_signal(signal.SIGINT)
    assert study.communicate()[1].strip() == "Error: interrupted"
    assert study.returncode == 130
    table = open_study(folder).table
    assert "running" not in set(table["status"])  # all processes are gone
    assert list(pd.read_csv(folder / "table.csv")["status"]) == list(table["status"])
    assert 1 <= (table["status"] == "done").sum() < 9
