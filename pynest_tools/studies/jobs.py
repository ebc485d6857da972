# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process does for a study: claim runs, and train those that nobody else has.

A run is claimed by the lock of its folder (runs/lock.py), which nobody can hold twice, and which ends with whoever holds it.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from ..networks import NUMPY_BACKENDS
from ..runs.disk import told, write_in_one_step
from ..runs.lock import FolderLock, InUseError
from ..runs.metrics import Metrics
from ..runs.training import resume, train, train_seeds
from ..runs.workers import Send
from .study import DIVERGED, DONE, RUNNING, StudyRun

#: Weights of a network up to which seeds are trained side by side: numpy is called as often for all as for one, and beyond, calls are
#: not what takes the time (docs/studies.md has the measurement).
MOST_WEIGHTS_TOGETHER = 30_000


class Progress(NamedTuple):
    """How far runs are that are trained together."""

    names: tuple[str, ...]
    epochs: float
    epochs_in_all: int
    record: Metrics


def together(run: StudyRun) -> bool:
    """Whether a run is trained side by side with those of other seeds; with random numbers of its own it is not."""
    circuit = run.specification.network
    weights = sum(a * b for a, b in pairwise(circuit.sizes))
    is_small = run.specification.backend in NUMPY_BACKENDS and weights <= MOST_WEIGHTS_TOGETHER
    return is_small and not circuit.is_random


def work(runs: tuple[StudyRun, ...], send: Send) -> dict[str, tuple[str, str]]:
    """Train runs of one point, side by side or one after the other; returns status and reason of each by its name.

    Parameters
    ----------
    runs : tuple of StudyRun
        Those of them that somebody else is writing are left to that one, and are RUNNING; those that have ended stay as they are.
    send : callable
        Is given `Progress`.
    """
    with ExitStack() as stack:
        mine, found = [], {}
        for run in runs:
            try:
                stack.enter_context(run.folder.lock)
            except InUseError as error:
                found[run.name] = RUNNING, str(error)
                continue
            mine.append(run)
        todo = [run for run in mine if run.kept()[0] not in (DONE, DIVERGED)]
        for run in todo:
            run.folder.failure.unlink(missing_ok=True)
        if todo:
            _train(todo, send)
        return found | {run.name: run.kept() for run in mine}


def _train(runs: list[StudyRun], send: Send) -> None:
    begun, epochs = [run.is_begun for run in runs], runs[0].specification.training.epochs
    for run, is_begun in zip(runs, begun, strict=True):
        if not is_begun:
            run.folder.begin(run.specification, overwrite=True)
    if len(runs) > 1 and together(runs[0]):
        names = tuple(run.name for run in runs)
        seeds, folders = [run.seed for run in runs], [run.folder for run in runs]
        train_seeds(runs[0].specification, seeds, partial(_tell, send, names, epochs), folders=folders)
        return
    for run, is_begun in zip(runs, begun, strict=True):
        tell = partial(_tell, send, (run.name,), epochs)
        if is_begun:
            resume(run.folder, run.specification, tell)
        else:
            train(run.specification, run.folder, tell)


def _tell(send: Send, names: tuple[str, ...], in_all: int, epochs: float, record: Metrics) -> None:
    send(Progress(names, epochs, in_all, record))


def note_failure(run: StudyRun, reason: str) -> None:
    """Keep why a run could not go on, unless somebody else has taken it up."""
    try:
        with FolderLock(run.folder.path), told(run.folder.failure, "start the study once more"):
            write_in_one_step(run.folder.failure, lambda file: file.write(f"{reason}\n".encode()))
    except InUseError:
        pass


def failure_of(error: Any) -> str:
    """A reason in one line."""
    return " ".join(str(error).split())
