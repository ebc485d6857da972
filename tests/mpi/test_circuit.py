# SPDX-License-Identifier: GPL-2.0-or-later
"""A PyNEST script on several processes: spikes, potentials, signals between partner cells, and weights."""

from __future__ import annotations

import functools
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from conftest import launch

SCRIPT = Path(__file__).with_name("circuit.py")
ORDER = {"potentials": ("times", "senders"), "spikes": ("times", "senders"), "weights": ("source", "target")}


@functools.cache
def alone(model, threads=1):
    """The script without mpirun."""
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder) / "alone", model, processes=0, threads=threads)


def run(folder, model, *, processes, threads=1):
    """What all processes have seen together, in an order that does not depend on their number."""
    folder.mkdir()
    done = launch(processes, SCRIPT, folder, threads, model)
    assert done.returncode == 0, done.stdout + done.stderr
    parts = [np.load(path) for path in sorted(folder.iterdir())]
    assert len(parts) == max(processes, 1)
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].files}
    for kind, keys in ORDER.items():
        order = np.lexsort([found[f"{kind}_{key}"] for key in keys])
        found |= {name: values[order] for name, values in found.items() if name.startswith(kind)}
    assert len(found["weights_weight"]) == (0 if model == "partners" else 3 * 2 * 3)
    assert len(found["potentials_V_soma"]) == 500 * 8  # NEST records the last step of a run with the next one
    assert np.ptp(found["potentials_V_nudge"][np.isfinite(found["potentials_V_nudge"])]) > 0.01
    return found


def assert_identical(found, expected):
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


# the circuit has 8 cells
@pytest.mark.parametrize(("model", "n"), [*product(("neuron", "population", "options"), (1, 2, 3, 4)), ("neuron", 9)])
def test_processes_are_as_good_as_threads(tmp_path, model, n):
    threads = alone(model, threads=n)
    assert len(threads["spikes_times"]) > 1000
    assert_identical(run(tmp_path / "processes", model, processes=n), threads)


@pytest.mark.parametrize("split", [(2, 2), (2, 3), (3, 2)])
def test_hybrids_agree(tmp_path, split):
    processes, threads = split
    expected = alone("population", threads=processes * threads)
    found = run(tmp_path / "hybrid", "population", processes=processes, threads=threads)
    for name, values in expected.items():
        # NEST sums the inputs of a cell in another order
        np.testing.assert_allclose(found[name], values, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_partners_nudge_each_other_across_processes_as_on_one(tmp_path, n):
    assert_identical(run(tmp_path / "split", "partners", processes=n), alone("partners"))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_rates_do_not_depend_on_the_number_of_processes(tmp_path, n):
    found = run(tmp_path / "split", "rate", processes=n)
    for name, values in alone("rate").items():
        # NEST sums the inputs of a dendrite in another order
        np.testing.assert_allclose(found[name], values, rtol=1e-12, atol=1e-12, err_msg=name)
