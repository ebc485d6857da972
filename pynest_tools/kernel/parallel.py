# SPDX-License-Identifier: GPL-2.0-or-later
"""MPI, where NEST has it: which process this is, sums over all of them, and how a job ends.

Without MPI, and with a single process, there is nothing to do, and mpi4py is not needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, NoReturn, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

T = TypeVar("T")

#: What the launchers of Open MPI, MPICH and SLURM tell every process: their number, and which one it is.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
_RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")


def n_processes() -> int:
    """Number of MPI processes that were launched together, 1 without MPI."""
    return next((int(os.environ[name]) for name in _SIZES if name in os.environ), 1)


def rank() -> int:
    """Which of the MPI processes this is, 0 without MPI."""
    return next((int(os.environ[name]) for name in _RANKS if name in os.environ), 0) if n_processes() > 1 else 0


def _world() -> Any:
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise UserError(
            f"{n_processes()} MPI processes need mpi4py and a NEST with MPI: make mpi provides both (docs/mpi.md)"
        ) from error
    return MPI


def sum_over_processes(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the arrays of all processes, which have the same shape, in place."""
    if n_processes() > 1:
        mpi = _world()
        mpi.COMM_WORLD.Allreduce(mpi.IN_PLACE, array)
    return array


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    if n_processes() > 1:
        _world().COMM_WORLD.Barrier()


def in_first(work: Callable[[], T]) -> T:
    """What `work` returns in the first process, in all of them, once it is done; a UserError that it raises there is raised in all."""
    if n_processes() == 1:
        return work()
    said: tuple[Any, UserError | None] = None, None
    if rank() == 0:
        try:
            said = work(), None
        except UserError as error:
            said = None, error
    result, refusal = _world().COMM_WORLD.bcast(said)
    if refusal is not None:
        raise refusal
    return cast(T, result)


def end_job_on_exceptions() -> None:
    """Let an exception that nobody catches end all processes, after its traceback; without MPI it does as ever."""
    if n_processes() > 1:
        sys.excepthook = _end_job_with_traceback


def _end_job_with_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> NoReturn:
    sys.__excepthook__(kind, error, trace)
    end_job(1)


def end_job(code: int) -> NoReturn:
    """End all processes: the others would wait for this one for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    if n_processes() > 1:
        with suppress(UserError):
            _world().COMM_WORLD.Abort(code)
    sys.exit(code)
