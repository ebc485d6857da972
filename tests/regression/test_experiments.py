# SPDX-License-Identifier: GPL-2.0-or-later
"""What the experiments' READMEs claim, where it is quick to see."""

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def script(name):
    """The run.py of an experiment as a module."""
    spec = importlib.util.spec_from_file_location(f"{name}_run", EXPERIMENTS / name / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(backend, condition, t_pres, seed):
    """One run of the experiment latent_equilibrium, in a process of its own."""
    run = script("latent_equilibrium")
    config = run.read_toml(EXPERIMENTS / "latent_equilibrium" / "config.toml")
    parameters = next(entry for entry in config["backend"] if entry["name"] == backend)
    return run.measure(parameters, condition, t_pres, [seed], config["epochs"])


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "t_pres"), [("ode", 1.0), ("rate", 2.0), ("spiking", 5.0)])
def test_latent_equilibrium_learns_in_milliseconds(backend, t_pres):
    """All of five seeds, while without it none learns from such short presentations."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        cases = [("with", seed) for seed in range(1, 6)] + [("without", 1)]
        futures = [pool.submit(measure, backend, condition, t_pres, seed) for condition, seed in cases]
        results = [future.result() for future in futures]
    assert all(result["stable_from"] != [None] for result in results[:-1]), results
    assert results[-1]["stable_from"] == [None]
    assert results[-1]["accuracy"][0] < 0.9


@pytest.mark.slow
def test_the_experiment_on_credit_assignment_runs(tmp_path):
    command = [sys.executable, EXPERIMENTS / "credit_assignment" / "run.py", "--quick", "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figure.png").stat().st_size > 10_000
