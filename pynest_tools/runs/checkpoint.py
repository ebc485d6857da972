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
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..archive import read_archive
from ..errors import Remark, UserError
from ..kernel.parallel import n_processes, rank, wait_for_all
from ..networks.backend import FloatArray, Weights
from ..networks.microcircuit import Microcircuit
from ..networks.weights import weights_from

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


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep_former: bool = False) -> None:
    """Write a checkpoint and then remove the former ones; of several MPI processes, each writes its share.

    Parameters
    ----------
    folder : Path
        Where checkpoints of the run are; made if needed. A new one appears in it in one step, when it is whole and on disk.
    checkpoint : Checkpoint
        What to keep.
    keep_former : bool
        Whether the former ones stay, until `remove_others` is called.

    Raises
    ------
    OSError
        If it cannot be written; the former ones are still there.
    """
    place = _place(folder, checkpoint)
    scratch = folder / f"{place.name}.part"
    if rank() == 0:
        shutil.rmtree(scratch, ignore_errors=True)
    wait_for_all()
    try:
        _write_share(scratch, checkpoint)
    except OSError:
        shutil.rmtree(scratch, ignore_errors=True)  # room for others
        raise
    wait_for_all()
    if rank() == 0:
        shutil.rmtree(place, ignore_errors=True)
        scratch.rename(place)
        if not keep_former:
            remove_others(folder, checkpoint)


def remove_others(folder: Path, checkpoint: Checkpoint) -> None:
    """Remove all checkpoints but this one, and what is left of unfinished ones; nothing if this one is not there."""
    place = _place(folder, checkpoint)
    if rank() == 0 and place.is_dir():
        for other in folder.glob(f"{PREFIX}*"):
            if other != place:
                shutil.rmtree(other, ignore_errors=True)


def _place(folder: Path, checkpoint: Checkpoint) -> Path:
    return folder / f"{PREFIX}{checkpoint.state['epoch']:08d}-{checkpoint.state['position']:08d}"


def _write_share(folder: Path, checkpoint: Checkpoint) -> None:
    """Write what of a checkpoint this process writes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / PART.format(rank())).open("wb") as file:
        arrays: dict[str, Any] = {name: matrix[rank() :: n_processes()] for name, matrix in checkpoint.weights.named()}
        arrays |= {"processes": n_processes(), "state": json.dumps(checkpoint.state)}
        np.savez(file, simulation_s=checkpoint.simulation_s, **arrays)
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(folder: Path, circuit: Microcircuit, samples: float = np.inf) -> Checkpoint:
    """Read the last whole checkpoint; of one that is damaged a `Remark` tells, if there is one before it.

    Parameters
    ----------
    folder : Path
        Where checkpoints of the run are.
    circuit : Microcircuit
        What the weights must fit.
    samples : float
        Most samples that may have been learned by then.

    Raises
    ------
    UserError
        If there is none, or none that can be read and fits.
    """
    faults: list[UserError] = []
    for place in reversed(whole_checkpoints(folder)):
        try:
            found = _read(place, circuit)
        except UserError as error:
            faults.append(error)
            continue
        if found.state["samples"] > samples:
            continue
        for fault in faults:
            warnings.warn(f"{fault}; the checkpoint before it counts, {place}", Remark, stacklevel=2)
        return found
    if faults:
        raise faults[0]
    raise UserError(
        f"{folder} holds no checkpoint: the run ended before its first test; pyramidal resume begins it once more"
    )


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a whole checkpoint, damaged or not."""
    return bool(whole_checkpoints(folder))


def _read(place: Path, circuit: Microcircuit) -> Checkpoint:
    path = place / PART.format(0)
    arrays = read_archive(path, copies=1)
    try:
        state = json.loads(str(arrays.pop("state")))
        simulation_s, processes = float(arrays.pop("simulation_s")), int(arrays.pop("processes"))
        if not all(type(state[key]) is int and state[key] >= 0 for key in ("epoch", "position", "samples")):
            raise ValueError("its place in the samples is none")
        np.random.default_rng().bit_generator.state = state["order"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a checkpoint: {error}") from error
    shares = [arrays, *(read_archive(place / PART.format(r), copies=1) for r in range(1, processes))]
    try:
        matrices = {name: _interleaved([share[name] for share in shares]) for name in arrays}
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(f"the shares of {processes} processes in {place} do not fit each other: {error}") from error
    return Checkpoint(weights_from(matrices, circuit, path), state, simulation_s)


def _interleaved(shares: list[FloatArray]) -> FloatArray:
    """The matrix of which share r of n holds the rows r, r + n, r + 2 n, ..."""
    matrix = np.empty((sum(map(len, shares)), *shares[0].shape[1:]), shares[0].dtype)
    for r, share in enumerate(shares):
        matrix[r :: len(shares)] = share
    return matrix


def whole_checkpoints(folder: Path) -> list[Path]:
    """All whole checkpoints, the latest last."""
    return sorted(path for path in folder.glob(f"{PREFIX}*") if path.suffix != ".part")
