# SPDX-License-Identifier: GPL-2.0-or-later
"""Work in processes of its own, several at a time: NEST holds one network, and what crashes must not take the rest with it.

A process is started for every job and ends with it; it is told what to do, and tells what it has to tell, through a socket. When
whoever started it dies, it dies, too, and lets go of what it holds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from ..errors import Remark, UserError

Send = Callable[[Any], None]

#: Threads of numerical libraries in a process, unless the environment says otherwise: there is a process for every core.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
PR_SET_PDEATHSIG = 1  # prctl(2)
ENDED = "ended by whoever started it"  # what is told of a job that on_message has ended
MAIN = "import sys; sys.path[:] = {path!r}; from pynest_tools.runs.workers import main; main({file})"


@dataclass(frozen=True)
class Job:
    """What a process is to do.

    Attributes
    ----------
    name : str
        Of the job.
    work : callable
        Found in a module; is called with `arguments` and, last, a function that sends a message to whoever has started it.
    arguments : tuple
        Can be pickled, as can the messages and what is returned.
    """

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a job: the value that it has returned, or the reason why it has none."""

    value: Any = None
    error: str | None = None


@dataclass
class _Running:
    """A job in its process."""

    job: Job
    process: subprocess.Popen[bytes]
    line: Connection


def run_jobs(
    next_job: Callable[[], Job | None],
    n_workers: int,
    on_message: Callable[[Job, Any], bool | None],
    on_end: Callable[[Job, Outcome], None],
) -> None:
    """Do jobs, so many at a time, until there are none.

    An exception, Ctrl-C as well, ends all processes at once.

    Parameters
    ----------
    next_job : callable
        Gives the next job, or None if there is none at present; it is asked again when one has ended.
    n_workers : int
        Jobs at a time.
    on_message : callable
        Called with a job and each of its messages; if it returns true, the job is ended.
    on_end : callable
        Called with a job that has ended, and its outcome.
    """
    running: dict[Connection, _Running] = {}
    try:
        while True:
            while len(running) < n_workers and (job := next_job()) is not None:
                started = _start(job)
                running[started.line] = started
            if not running:
                return
            for line in wait(list(running)):
                assert isinstance(line, Connection)
                _hear(running[line], running, on_message, on_end)
    finally:
        for each in running.values():
            _end(each)


def _hear(
    of: _Running,
    running: dict[Connection, _Running],
    on_message: Callable[[Job, Any], bool | None],
    on_end: Callable[[Job, Outcome], None],
) -> None:
    """Take a message of a process, or notice its end."""
    try:
        said = of.line.recv()
    except (EOFError, ConnectionError):
        code = of.process.wait()
        said = Outcome(error=f"its process died ({_cause(code)})")
    if not isinstance(said, Outcome):
        if not on_message(of.job, said):
            return
        said = Outcome(error=ENDED)
    del running[of.line]
    _end(of)
    on_end(of.job, said)


def _start(job: Job) -> _Running:
    ours, theirs = Pipe()
    path = [os.path.abspath(each) for each in sys.path]
    with theirs:
        file = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN.format(path=path, file=file)],
            pass_fds=[file],
            env=ENVIRONMENT | os.environ,
            stdin=subprocess.DEVNULL,
        )
    ours.send((job.work, job.arguments))
    return _Running(job, process, ours)


def _end(running: _Running) -> None:
    running.line.close()
    running.process.kill()
    running.process.wait()


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, as when memory is exhausted" if -code == signal.SIGKILL else name


def main(file: int) -> None:
    """In the process: do the job that comes through an open file, and tell its outcome."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who has started it decides
    ctypes.CDLL(None).prctl(
        PR_SET_PDEATHSIG, signal.SIGKILL
    )  # at once; the thread below waits until NEST has finished a call
    line = Connection(file)
    work, arguments = line.recv()
    threading.Thread(target=_die_with, args=(line,), daemon=True).start()
    warnings.showwarning = lambda message, category, *rest: (
        line.send(Remark(str(message))) if issubclass(category, Remark) else None
    )
    try:
        line.send(Outcome(work(*arguments, line.send)))
    except UserError as error:
        line.send(Outcome(error=str(error)))
    except Exception as error:  # whatever it is, the other jobs go on
        traceback.print_exc()
        line.send(Outcome(error=f"{type(error).__name__}: {error}"))


def _die_with(line: Connection) -> None:
    """End this process when the other end of the line closes."""
    try:
        line.recv()
    except (EOFError, OSError):
        os._exit(1)
