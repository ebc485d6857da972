# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the processes of an MPI job this is, as launchers tell it."""

from __future__ import annotations

import numpy as np
import pytest

from pynest_tools.kernel import parallel


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in (*parallel._SIZES, *parallel._RANKS):
        monkeypatch.delenv(name, raising=False)


def test_without_a_launcher_there_is_one_process():
    assert (parallel.n_processes(), parallel.rank()) == (1, 0)
    array = np.arange(3.0)
    assert parallel.sum_over_processes(array) is array
    parallel.wait_for_all()
    with pytest.raises(SystemExit, match="3"):
        parallel.end_job(3)


@pytest.mark.parametrize(("size", "rank"), list(zip(parallel._SIZES, parallel._RANKS)))
def test_launchers(monkeypatch, size, rank):
    monkeypatch.setenv(size, "4")
    monkeypatch.setenv(rank, "3")
    assert (parallel.n_processes(), parallel.rank()) == (4, 3)


def test_a_rank_without_a_job_means_nothing(monkeypatch):
    """In an allocation of SLURM there is a rank, but the program runs alone."""
    monkeypatch.setenv("SLURM_PROCID", "2")
    assert (parallel.n_processes(), parallel.rank()) == (1, 0)


def test_an_exception_ends_the_job(monkeypatch, capsys):
    monkeypatch.setattr(parallel.sys, "excepthook", parallel.sys.__excepthook__)
    parallel.end_job_on_exceptions()
    assert parallel.sys.excepthook is parallel.sys.__excepthook__  # alone, Python does what it always does
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    parallel.end_job_on_exceptions()
    ended = []
    monkeypatch.setattr(parallel, "end_job", ended.append)
    parallel.sys.excepthook(ValueError, ValueError("a bad file"), None)
    assert ended == [1]
    assert "ValueError: a bad file" in capsys.readouterr().err
