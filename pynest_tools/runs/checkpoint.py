# SPDX-License-Identifier: GPL-2.0-or-later
"""Checkpoints: all that a run needs to go on, written so that the last whole one survives whatever happens.

A checkpoint is a folder checkpoint/epoch-<whole epochs>-<samples of the next epoch> with a NumPy archive of plain arrays,
rank-<number>.npz, by each MPI process; without MPI there is rank-0.npz alone, with all rows:

- up_1, up_2, ..., ip_1, ..., pi_1, ..., down_1, ...: weights, normalised (mV ms), [post, pre]; of n processes, number r writes the
  rows r, r + n, r + 2 n, ...;
- processes: how many have written;
- state: where the run is in its samples, with the state of the generator that draws them (JSON text; stream.py);
- simulation_s: wall time spent in the simulator (s).

Everything else is at rest at that moment, and NEST's random numbers are seeded anew from the seed of the run and the place. A run may
go on with any other number of processes. The folder checkpoint/best holds the same of the best test so far.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..kernel.parallel import n_processes, rank, wait_for_all
from ..networks.backend import FloatArray, Weights
from ..networks.weights import read_arrays, weights_from

PREFIX = "epoch-"
PART = "rank-{}.npz"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State of a run between two chunks.

    Attributes
    ----------
    weights : Weights
        Normalised (mV ms), [post, pre].
    state : dict
        Where the run is in its samples (`Stream.state`).
    simulation_s : float
        Wall time spent in the simulator so far (s).
    """

    weights: Weights
    state: dict[str, Any]
    simulation_s: float


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and then remove the former ones; of several MPI processes, each writes its share.

    Parameters
    ----------
    folder : Path
        Where checkpoints of the run are; made if needed. A new one appears in it in one step, when it is whole and on disk.
    checkpoint : Checkpoint
        What to keep.
    """
    place = folder / f"{PREFIX}{checkpoint.state['epoch']:08d}-{checkpoint.state['position']:08d}"
    scratch = folder / f"{place.name}.part"
    if rank() == 0:
        shutil.rmtree(scratch, ignore_errors=True)
    wait_for_all()
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / PART.format(rank())).open("wb") as file:
        arrays: dict[str, Any] = {name: matrix[rank() :: n_processes()] for name, matrix in checkpoint.weights.named()}
        arrays |= {"processes": n_processes(), "state": json.dumps(checkpoint.state)}
        np.savez(file, simulation_s=checkpoint.simulation_s, **arrays)
        file.flush()
        os.fsync(file.fileno())
    wait_for_all()
    if rank() == 0:
        shutil.rmtree(place, ignore_errors=True)
        scratch.rename(place)
        for former in _whole(folder)[:-1]:
            shutil.rmtree(former, ignore_errors=True)


def load_checkpoint(folder: Path, sizes: Sequence[int]) -> Checkpoint:
    """Read the last whole checkpoint.

    Parameters
    ----------
    folder : Path
        Where checkpoints of the run are.
    sizes : sequence of int
        Cells per layer that the weights must fit.

    Raises
    ------
    UserError
        If there is none, or it cannot be read or does not fit.
    """
    whole = _whole(folder)
    if not whole:
        raise UserError(f"{folder} holds no checkpoint: the run ended before its first test")
    path = whole[-1] / PART.format(0)
    arrays = read_arrays(path)
    try:
        state = json.loads(str(arrays.pop("state")))
        simulation_s, processes = float(arrays.pop("simulation_s")), int(arrays.pop("processes"))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is not a checkpoint: {error}") from error
    shares = [arrays, *(read_arrays(whole[-1] / PART.format(r)) for r in range(1, processes))]
    matrices = {name: _interleaved([share[name] for share in shares]) for name in arrays}
    return Checkpoint(weights_from(matrices, sizes, path), state, simulation_s)


def _interleaved(shares: list[FloatArray]) -> FloatArray:
    """The matrix of which share r of n holds the rows r, r + n, r + 2 n, ..."""
    matrix = np.empty((sum(map(len, shares)), *shares[0].shape[1:]))
    for r, share in enumerate(shares):
        matrix[r :: len(shares)] = share
    return matrix


def _whole(folder: Path) -> list[Path]:
    """All whole checkpoints, the latest last."""
    return sorted(path for path in folder.glob(f"{PREFIX}*") if path.suffix != ".part")
