# SPDX-License-Identifier: GPL-2.0-or-later
"""Running a study: which runs are left, several at a time, here or where dask has workers, whatever becomes of a single one."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Literal

from ..errors import UserError
from ..kernel.parallel import n_processes
from ..runs.disk import told, write_in_one_step
from ..runs.lock import NAME as LOCK
from ..runs.lock import FolderLock, InUseError
from ..runs.workers import Job, Outcome, run_jobs
from .jobs import Progress, failure_of, note_failure, together, work
from .specification import StudySpecification
from .study import DIVERGED, DONE, FAILED, FILE, RUNNING, Study, StudyRun, open_study

Executor = Literal["local", "dask"]
PATIENCE = 60.0  # s that others may take to write the study's own small files


class Observer:
    """Is told what happens in a study; this one takes no notice."""

    def planned(self, study: Study, ended: Sequence[StudyRun], left: Sequence[StudyRun]) -> None:
        """Which runs have ended before, and which are left."""

    def progress(self, progress: Progress) -> None:
        """How far runs are."""

    def ended(self, run: StudyRun, status: str, reason: str) -> None:
        """A run has ended for this time: done, diverged, failed, pruned, interrupted, or running if somebody else has it."""

    def note(self, sentence: str) -> None:
        """What a user should know."""


def run_study(
    source: str | Path,
    output: str | Path | None = None,
    *,
    jobs: int | None = None,
    part: tuple[int, int] = (1, 1),
    executor: Executor = "local",
    scheduler: str | None = None,
    observer: Observer | None = None,
) -> Study:
    """Run what is left of a study.

    Every run is one as `pynest_tools.train` makes it, in a process of its own, or beside those of other seeds if it is small and of
    numpy. It goes on from its last test if it was killed. A run whose specification has changed begins anew. One that diverges or
    fails is told in the table; the others go on, and one that has failed is tried again next time.

    Parameters
    ----------
    source : str or Path
        The study's file, or its folder to go on.
    output : str or Path, optional
        Its folder; runs/study-NAME otherwise, NAME being that of the file, or of its folder if the file is called study.toml.
    jobs : int, optional
        Processes at a time; one for each core otherwise, divided by the threads of a run.
    part : tuple of int
        (i, n): one of n calls, at the same time on machines that share the folder, of which none does what another is doing.
    executor : str
        "local", or "dask" for the workers of a dask cluster, one run at a time each.
    scheduler : str, optional
        Address of dask's scheduler; a cluster on this machine otherwise.
    observer : Observer, optional
        Is told what happens.

    Returns
    -------
    Study
        Its table is written.

    Raises
    ------
    UserError
        If that is no study, or something that is needed is not installed.
    """
    if n_processes() > 1:
        raise UserError(
            "a study starts a process for each run: start it without mpirun; to share it, --part i/n (docs/studies.md)"
        )
    study = _prepare(Path(source), None if output is None else Path(output))
    observer = observer or Observer()
    if executor == "dask":
        study = Study(study.path.absolute(), study.specification)  # workers may be somewhere else
    if executor == "dask" and study.specification.search is not None:
        raise UserError("a search needs every test of its trials, which dask does not tell: leave --executor out")
    try:
        if study.specification.search is not None:
            from .search import search

            search(study, jobs or _cores(), part[0], observer)
        else:
            left = _Left(study, part, observer)
            if executor == "dask":
                from .cluster import run_on_dask

                run_on_dask(left.next, left.end, scheduler)
            else:
                run_jobs(left.next, jobs or left.workers(), left.hear, left.end)
            left.close()
    finally:
        with exclusively(study.path):
            study.write_table()
    return study


def default_output(source: Path) -> Path:
    """Folder of a study whose place was not given."""
    name = source.resolve().parent.name if source.name == FILE else source.stem
    return Path("runs") / f"study-{name}"


def _prepare(source: Path, output: Path | None) -> Study:
    """Make the folder of a study, with its file and that of its reference."""
    if source.is_dir():
        if output is not None:
            raise UserError(f"{source} is the folder of a study already: leave --output out")
        return open_study(source)
    specification = StudySpecification.from_toml(source)
    study = Study(output or default_output(source), specification)
    files = {study.path / FILE: source}
    if specification.reference is not None:
        files[study.path / specification.reference.file] = source.parent / specification.reference.file
    with exclusively(study.path):
        for place, original in files.items():
            content = original.read_bytes()
            if not place.exists() or place.read_bytes() != content:
                with told(place, f"pyramidal study {source}"):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    write_in_one_step(place, partial(_write, content))
    return study


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


@contextmanager
def exclusively(folder: Path) -> Iterator[FolderLock]:
    """Hold the folder of a study, which others hold for moments only."""
    lock, deadline = FolderLock(folder), time.monotonic() + PATIENCE
    while True:
        try:
            lock.__enter__()
        except InUseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            break
    try:
        yield lock
    finally:
        lock.__exit__(None, None, None)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class _Left:
    """Runs that are left to this part of a study: next job, and what becomes of each.

    Parameters
    ----------
    study : Study
        The study.
    part : tuple of int
        (i, n): every n-th job is this part's own; when they are done it helps with those of the others.
    observer : Observer
        Is told what happens.
    """

    def __init__(self, study: Study, part: tuple[int, int], observer: Observer) -> None:
        self.observer = observer
        status = {run.name: run.status()[0] for run in study.runs}
        ended = [run for run in study.runs if status[run.name] in (DONE, DIVERGED)]
        left = [run for run in study.runs if status[run.name] not in (DONE, DIVERGED)]
        for run in ended:
            _sweep(run)
        jobs = _jobs(left)
        number, of = part
        own = [job for i, job in enumerate(_jobs(study.runs)) if i % of == number - 1]
        names = {run.name for job in own for run in job.arguments[0]}
        mine = [job for job in jobs if job.arguments[0][0].name in names]
        others = [job for job in jobs if job not in mine]
        if others and not _has_locks(study.path):
            observer.note(
                f"without locks part {number} of {of} does its own runs alone; start a part again if it has died"
            )
            others = []
        self._queue = deque([*mine, *reversed(others)])  # from the far end, where they will come last
        self._held: list[Job] = []
        observer.planned(study, ended, [run for job in self._queue for run in job.arguments[0]])

    def workers(self) -> int:
        """How many processes keep all cores busy."""
        threads = [run.specification.network.simulation.threads for job in self._queue for run in job.arguments[0]]
        return max(1, _cores() // max(threads, default=1))

    def next(self) -> Job | None:
        """The next job, or None. Runs that others hold come last: they may have been left by then."""
        self._queue.extend(self._held)
        self._held = []
        while self._queue:
            job = self._queue.popleft()
            runs: tuple[StudyRun, ...] = job.arguments[0]
            statuses = {run.status()[0] for run in runs}
            if statuses <= {DONE, DIVERGED}:  # another part has been faster
                self._tell(runs)
            elif statuses <= {DONE, DIVERGED, RUNNING}:
                self._held.append(job)
            else:
                return job
        return None

    def close(self) -> None:
        """Tell of runs that others still hold."""
        for job in self._held:
            self._tell(job.arguments[0])

    def _tell(self, runs: Sequence[StudyRun]) -> None:
        for run in runs:
            self.observer.ended(run, *run.status())

    def hear(self, job: Job, message: object) -> None:
        """Pass on what a process tells."""
        if isinstance(message, Progress):
            self.observer.progress(message)
        else:
            self.observer.note(f"{job.name}: {message}")

    def end(self, job: Job, outcome: Outcome) -> None:
        """Take note of what has become of the runs of a job; of several, each is tried alone when all have failed together."""
        runs: tuple[StudyRun, ...] = job.arguments[0]
        if outcome.error is None:
            for run in runs:
                if outcome.value[run.name][0] == RUNNING:
                    self._held.append(_job((run,)))
                else:
                    self.observer.ended(run, *outcome.value[run.name])
        elif len(runs) > 1:
            self._queue.extend(_job((run,)) for run in runs)
        else:
            reason = failure_of(outcome.error)
            note_failure(runs[0], reason)
            self.observer.ended(runs[0], FAILED, reason)


def _sweep(run: StudyRun) -> None:
    """Remove the lock that a process has left which was killed just after it had ended a run."""
    if (run.folder.path / LOCK).exists():
        with suppress(InUseError), run.folder.lock:
            pass


def _jobs(runs: Sequence[StudyRun]) -> list[Job]:
    """Jobs of one run, or of all seeds of a point that are trained side by side."""
    alone = [(run,) for run in runs if not together(run)]
    small = sorted((run for run in runs if together(run)), key=lambda run: run.cell.name)
    groups = [tuple(group) for _, group in groupby(small, key=lambda run: run.cell.name)]
    order = {run.name: i for i, run in enumerate(runs)}
    return [_job(group) for group in sorted([*alone, *groups], key=lambda group: order[group[0].name])]


def _job(runs: tuple[StudyRun, ...]) -> Job:
    name = runs[0].name if len(runs) == 1 else f"{runs[0].cell.name or 'seeds'} ({len(runs)} seeds)"
    return Job(name, work, (runs,))


def _has_locks(folder: Path) -> bool:
    with exclusively(folder) as lock:
        return lock.excludes
