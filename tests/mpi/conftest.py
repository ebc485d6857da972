# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs of several processes; `make mpi` runs these tests with a NEST that has MPI."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pynest_tools.kernel.nest_probe import probe
from pynest_tools.runs.checkpoint import load_checkpoint
from pynest_tools.runs.folder import RunFolder

SHORT = [
    "--set", "network.trial.t_pres=4.0", "--set", "network.trial.t_learn_on=2.0", "--set", "network.trial.t_readout_on=3.0",
    "--set", "network.trial.t_pres_test=4.0", "--set", "network.trial.t_readout_on_test=3.0",
]  # fmt: skip
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",  # containers
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",  # more processes than cores
}
#: The command line, but for the figures, which take a second; one test is about them.
WITHOUT_FIGURE = ("-c", "from pynest_tools import cli; cli._save_figures = lambda *_: None; cli.main()")
#: Where jobs start: not in the project, whose sources would go before the package that is installed.
HERE = Path(__file__).parent
TIMEOUT_S = 300

reason = "NEST has no MPI" if not probe().has_mpi else "there is no mpirun" if not shutil.which("mpirun") else ""


def pytest_collection_modifyitems(items):
    for item in items:
        if reason and Path(item.fspath).parent == HERE:
            item.add_marker(pytest.mark.skip(reason=f"{reason}: make mpi"))


def command(n_processes, *arguments, mpirun=()):
    """How to run Python with these arguments on some processes, and mpirun with others."""
    python = [sys.executable, *map(str, arguments)]
    return python if n_processes == 0 else ["mpirun", *mpirun, "-np", str(n_processes), *python]


def launch(n_processes, *arguments, mpirun=()):
    """Run Python and wait; 0 processes: without mpirun."""
    return subprocess.run(
        command(n_processes, *arguments, mpirun=mpirun),
        cwd=HERE, capture_output=True, text=True, env=os.environ | ENVIRONMENT, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip


def train(folder, *, processes=1, threads=1, epochs=2, arguments=()):
    """A short run of bars; returns its metrics without times, and its weights."""
    options = ["--epochs", epochs, "--set", "training.test_interval=1", "--threads", threads, "--output", folder]
    done = launch(processes, *WITHOUT_FIGURE, "train", "bars", *SHORT, *options, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return read(folder)


@functools.cache
def reference(*, processes=1, threads=1, epochs=2, arguments=()):
    """The same, where only what comes out matters: each run once."""
    with tempfile.TemporaryDirectory() as folder:
        return train(Path(folder) / "run", processes=processes, threads=threads, epochs=epochs, arguments=arguments)


def read(folder):
    """Metrics without times, and weights, of a run."""
    run = RunFolder.open(folder)
    weights = load_checkpoint(run.checkpoint, run.read_specification().network).weights
    clock = ("wall_s", "samples_per_s")
    records = [{k: v for k, v in record.items() if k not in clock} for record in run.read_metrics()]
    return records, dict(weights.named())


def flat(value, name=""):
    """All numbers of nested records and lists, each with its place."""
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(entry, f"{name}/{key}")
    else:
        yield name, value


def assert_identical(run, other):
    """Bit by bit."""
    assert run[0] == other[0]
    for name, matrix in run[1].items():
        np.testing.assert_array_equal(matrix, other[1][name], err_msg=name)


def assert_close(run, other, tolerance=1e-12):
    for record, expected in zip(run[0], other[0], strict=True):
        assert dict(flat(record)) == pytest.approx(dict(flat(expected)), rel=tolerance, abs=tolerance)
    for name, matrix in run[1].items():
        np.testing.assert_allclose(matrix, other[1][name], rtol=0, atol=tolerance, err_msg=name)
