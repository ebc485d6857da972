# SPDX-License-Identifier: GPL-2.0-or-later
"""Checkpoints: all that a run needs to go on, written so that the last whole one survives whatever happens.

A checkpoint is a folder checkpoint/epoch-<number of completed epochs> with one NumPy archive, rank-0.npz, of plain arrays:

- up_1, up_2, ..., ip_1, ..., pi_1, ..., down_1, ...: weights, normalised (mV ms), [post, pre];
- epoch: number of completed epochs;
- order: state of the generator that shuffles the samples (JSON text);
- simulation_s: wall time spent in the simulator (s).

Everything else is at rest at that moment, and NEST's random numbers are seeded anew from the seed of the run and the epoch.
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

from .errors import UserError
from .networks.backend import Weights
from .networks.weights import read_arrays, weights_from

PREFIX = "epoch-"
PART = "rank-0.npz"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State of a run between two chunks.

    Attributes
    ----------
    epoch : int
        Number of completed epochs.
    weights : Weights
        Normalised (mV ms), [post, pre].
    order : dict
        State of the generator that shuffles the samples (`numpy.random.BitGenerator.state`).
    simulation_s : float
        Wall time spent in the simulator so far (s).
    """

    epoch: int
    weights: Weights
    order: dict[str, Any]
    simulation_s: float


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and then remove the former ones.

    Parameters
    ----------
    folder : Path
        Where checkpoints of the run are; made if needed. A new one appears in it in one step, when it is whole and on disk.
    checkpoint : Checkpoint
        What to keep.
    """
    place = folder / f"{PREFIX}{checkpoint.epoch:08d}"
    scratch = folder / f"{place.name}.part"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    with (scratch / PART).open("wb") as file:
        arrays: dict[str, Any] = dict(checkpoint.weights.named())
        arrays |= {"epoch": checkpoint.epoch, "order": json.dumps(checkpoint.order)}
        np.savez(file, simulation_s=checkpoint.simulation_s, **arrays)
        file.flush()
        os.fsync(file.fileno())
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
    path = whole[-1] / PART
    arrays = read_arrays(path)
    try:
        epoch, order = int(arrays.pop("epoch")), json.loads(str(arrays.pop("order")))
        simulation_s = float(arrays.pop("simulation_s"))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is not a checkpoint: {error}") from error
    return Checkpoint(epoch, weights_from(arrays, sizes, path), order, simulation_s)


def _whole(folder: Path) -> list[Path]:
    """All whole checkpoints, the latest last."""
    return sorted(path for path in folder.glob(f"{PREFIX}*") if path.suffix != ".part")
