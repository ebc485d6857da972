# SPDX-License-Identifier: GPL-2.0-or-later
"""Progress of a study: how many runs have ended, how the others stand, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from ..runs.metrics import Metrics
from .terminal import headline, tested


def duration(seconds: float) -> str:
    """A time to be read at a glance: 40 s, 12 min, 3.5 h, 2.1 days."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h" if seconds < 48.0 * 3600.0 else f"{seconds / 86400.0:.1f} days"


@dataclass
class _Run:
    """A run that is going on."""

    began: float  # s
    epochs: float
    bar: TaskID
    text: str = ""


class StudyDisplay:
    """A bar for all runs, and a line below for each that is going on; without a terminal, a line whenever a run ends.

    Parameters
    ----------
    console : Console
        Where to show it.
    total : int
        Number of runs of the study.
    done : int
        How many of them had ended before.
    work : mapping of str to float
        How much each of the runs ahead has to do, by its name and relative to the others; 1 for those that are not named.
        The time that is left is told from what share of it was done since.
    clock : callable
        The time (s).
    """

    def __init__(
        self,
        console: Console,
        total: int,
        *,
        done: int = 0,
        work: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._total, self._done, self._clock = console, total, done, clock
        self._work = dict(work or {})
        self._ahead = dict(self._work)  # of each run by its name
        self._unnamed = max(total - done - len(self._work), 0)  # runs of which nothing is known yet
        self._gone = 0.0  # work since the start
        self._start = clock()
        self._runs: dict[str, _Run] = {}
        self._overall = Progress(
            TextColumn("{task.fields[runs]}", markup=False),
            BarColumn(bar_width=None),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            expand=True,
            get_time=clock,
        )
        self._bar = self._overall.add_task("", total=1.0, runs=f"{done}/{total} runs", left="")
        name = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._each = Progress(
            TextColumn("{task.description}", markup=False, table_column=name),
            TextColumn("epoch {task.completed:.4g}/{task.total:.0f}"),
            TextColumn("{task.fields[metrics]}", markup=False),
            console=console,
            expand=True,
            get_time=clock,
        )
        self._live = Live(Group(self._overall, self._each), console=console)

    def __enter__(self) -> StudyDisplay:
        self._start = self._clock()
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    @property
    def left(self) -> float | None:
        """The time that the rest will take (s); None as long as nothing was done."""
        ahead = sum(self._ahead.values()) + self._unnamed
        return (self._clock() - self._start) * ahead / self._gone if self._gone > 0.0 else None

    def begin(self, name: str, epochs_total: float, epochs_done: float = 0.0) -> None:
        """Show a run that begins, or goes on where it was interrupted."""
        self._name(name)
        bar = self._each.add_task(name, total=epochs_total, metrics="")
        self._each.update(bar, completed=epochs_done)
        self._runs[name] = _Run(self._clock(), epochs_total, bar)
        self._ahead[name] = self._share_ahead(name, epochs_done)
        self._show()

    def update(self, name: str, epochs: float, record: Metrics | None) -> None:
        """Show how many epochs of a run are done, and the record of its last test, if that is known."""
        run = self._runs[name]
        if record is not None:
            tested_on, metrics = tested(record)
            run.text = f"{tested_on} {headline(metrics)}"
        self._each.update(run.bar, completed=epochs, metrics=run.text)
        ahead = self._share_ahead(name, epochs)
        self._gone += max(self._ahead[name] - ahead, 0.0)
        self._ahead[name] = ahead
        self._show()

    def end(self, name: str, status: str, text: str = "") -> None:
        """Tell of a run that has ended.

        Parameters
        ----------
        name : str
            The run. One that never began here was done elsewhere.
        status : str
            done, diverged, failed, pruned, interrupted (it is still to be done), or elsewhere (another process has it).
        text : str
            What came out, or what went wrong; else its last test is told.
        """
        self._name(name)
        run = self._runs.pop(name, None)
        told = [text or (run.text if run else "")]
        if run:
            self._each.remove_task(run.bar)
            told.append(duration(self._clock() - run.began))
        if status == "done" and run:  # also if it stopped early, since others will, too
            self._gone += self._ahead[name]
        if status != "interrupted":
            self._done += 1
            self._ahead[name] = 0.0
        self._show()
        if not self._console.is_terminal or status in ("diverged", "failed"):
            said = ", ".join([*([status] if status != "done" else []), *filter(None, told)])
            left = self._left_text()
            line = f"[{self._done}/{self._total}] {name}: {said}{f'; {left}' if left else ''}"
            self._console.print(line, soft_wrap=True, markup=False, highlight=False)

    def _name(self, name: str) -> None:
        """Count a run as one that is known."""
        if name not in self._ahead:
            self._unnamed = max(self._unnamed - 1, 0)
            self._ahead[name] = 1.0

    def _share_ahead(self, name: str, epochs: float) -> float:
        of = self._runs[name].epochs
        return self._work.get(name, 1.0) * (max(1.0 - epochs / of, 0.0) if of else 1.0)

    def _left_text(self) -> str:
        left = self.left
        return f"about {duration(left)} left" if left and self._done < self._total else ""

    def _show(self) -> None:
        runs = self._done + sum(task.percentage for task in self._each.tasks) / 100.0
        self._overall.update(
            self._bar,
            completed=runs / max(self._total, 1),
            runs=f"{self._done}/{self._total} runs",
            left=self._left_text(),
        )
