# SPDX-License-Identifier: GPL-2.0-or-later
"""The same task, from the same weights, on several backends at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from queue import Queue
from typing import Any

from .folder import RunFolder
from .lock import FolderLock
from .metrics import Metrics
from .specification import RunSpecification
from .summary import TrainingResult
from .training import train

Report = Callable[[str, float, Metrics], None]
_Message = tuple[str, float, Metrics]


def compare(
    specs: Mapping[str, RunSpecification],
    folder: Path,
    on_progress: Report | None = None,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
) -> dict[str, TrainingResult]:
    """Train several runs at a time, each in a process of its own, since NEST holds one network.

    Parameters
    ----------
    specs : mapping of str to RunSpecification
        The runs by name. Runs of one seed and one kind of initial weights begin with the same weights and present the same samples
        in the same order, whatever their backend.
    folder : Path
        Each run is kept in its subfolder of that name.
    on_progress : callable, optional
        Called with the name of a run, the number of epochs done, and the record of its last test.
    jobs : int, optional
        Runs at a time; one per core by default.
    overwrite : bool
        Whether former runs in these folders may be replaced.

    Returns
    -------
    dict
        What each run reached, in the order of `specs`.

    Raises
    ------
    UserError
        If a folder is in use.
    """
    folders = {name: RunFolder(folder / name) for name in specs}
    if not overwrite:
        for each in folders.values():
            each.refuse_former()
    with FolderLock(folder):
        return _compared(specs, folders, on_progress, jobs, overwrite=overwrite)


def _compared(
    specs: Mapping[str, RunSpecification],
    folders: Mapping[str, RunFolder],
    on_progress: Report | None,
    jobs: int | None,
    *,
    overwrite: bool,
) -> dict[str, TrainingResult]:
    # a forked process would inherit a NEST kernel, and those of workers.py would not know a task that is of the calling script
    context = get_context("spawn")
    with context.Manager() as manager:
        reports: Queue[_Message | None] = manager.Queue()
        listener = threading.Thread(target=_listen, args=(reports, on_progress))
        listener.start()
        try:
            workers = min(len(specs), jobs or len(os.sched_getaffinity(0)))
            with ProcessPoolExecutor(workers, mp_context=context) as pool:
                futures = {
                    name: pool.submit(_train, name, spec, folders[name], reports, overwrite=overwrite)
                    for name, spec in specs.items()
                }
                return {name: future.result() for name, future in futures.items()}
        finally:
            reports.put(None)
            listener.join()


def _train(name: str, spec: RunSpecification, folder: RunFolder, reports: Any, *, overwrite: bool) -> TrainingResult:
    """In a process of its own, which holds the folder: train, and report."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core per run; for threads of NEST the specification counts
    with folder.lock:
        folder.begin(spec, overwrite=overwrite)
        return train(spec, folder, lambda epochs, test: reports.put((name, epochs, test)))


def _listen(reports: Queue[_Message | None], on_progress: Report | None) -> None:
    while (message := reports.get()) is not None:
        if on_progress is not None:
            on_progress(*message)
