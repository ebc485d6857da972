# SPDX-License-Identifier: GPL-2.0-or-later
"""What the command line shows: progress, results, the state of the installation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ..runs.folder import Metrics
from ..runs.specification import RunSpecification
from ..runs.summary import TrainingResult


class TrainingDisplay:
    """Progress bar with epoch, test accuracy, test loss and time left; plain lines without a terminal.

    Parameters
    ----------
    console : Console
        Where to show it.
    spec : RunSpecification
        The run.
    """

    def __init__(self, console: Console, spec: RunSpecification) -> None:
        self._console, self._epochs = console, spec.training.epochs
        self._shown = -1.0  # epoch of the last test that was printed
        self._bar = Progress(
            TextColumn(f"{spec.task.name}  epoch {{task.fields[epoch]}}/{{task.total:.0f}}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[metrics]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=self._epochs, epoch=0, metrics="")

    def __enter__(self) -> TrainingDisplay:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, epochs: float, test: Metrics) -> None:
        """Show how many epochs are done, and the record of the epoch that was tested last."""
        metrics = f"accuracy {test['test_accuracy']:.1%}  loss {test['test_loss']:.4f}"
        self._bar.update(self._task, completed=epochs, epoch=int(epochs), metrics=metrics)
        if not self._console.is_terminal and test["epoch"] > self._shown:
            self._shown = test["epoch"]
            self._console.print(f"epoch {self._shown:.0f}/{self._epochs}  {metrics}")


class ComparisonDisplay:
    """One progress bar per run with its test accuracy; plain lines without a terminal.

    Parameters
    ----------
    console : Console
        Where to show it.
    specs : mapping of str to RunSpecification
        The runs by name.
    """

    def __init__(self, console: Console, specs: Mapping[str, RunSpecification]) -> None:
        self._console = console
        self._shown = dict.fromkeys(specs, -1.0)  # epoch of the last test that was printed
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("epoch {task.fields[epoch]}/{task.total:.0f}  {task.fields[metrics]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        width = max(map(len, specs))
        self._tasks = {
            name: self._bars.add_task(name.ljust(width), total=spec.training.epochs, epoch=0, metrics="")
            for name, spec in specs.items()
        }

    def __enter__(self) -> ComparisonDisplay:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def update(self, name: str, epochs: float, test: Metrics) -> None:
        """Show how many epochs of a run are done, and the record of the epoch that was tested last."""
        metrics = f"accuracy {test['test_accuracy']:.1%}"
        self._bars.update(self._tasks[name], completed=epochs, epoch=int(epochs), metrics=metrics)
        if not self._console.is_terminal and test["epoch"] > self._shown[name]:
            self._shown[name] = test["epoch"]
            self._console.print(f"{name}  epoch {test['epoch']:.0f}  {metrics}  loss {test['test_loss']:.4f}")


def comparison_table(results: Mapping[str, TrainingResult], baselines: Mapping[str, float]) -> Table:
    """What the runs reached, one a line, and the baselines below."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("", "accuracy", "loss (mV²)", "100 % from", "apical (mV)", "time (s)"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, result in results.items():
        test, stable = result.last_test or {}, result.stable_from_epoch
        table.add_row(
            name,
            f"{test['test_accuracy']:.1%}" if test else "-",
            f"{test['test_loss']:.3g}" if test else "-",
            "diverged" if result.diverged else "-" if stable is None else str(stable),
            f"{test['apical_error']:.2g}" if test.get("apical_error", 0.0) > 0.0 else "",
            f"{result.wall_s:.1f}",
        )
    table.add_section()
    for name, value in baselines.items():
        table.add_row(name, f"{value:.1%}", "", "", "", "")
    return table


def result_table(result: TrainingResult) -> Table:
    """What a run reached, with the baselines beside the accuracy."""
    test = result.last_test
    stable = result.stable_from_epoch
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    if test is not None:
        accuracy = test["test_accuracy"]
        table.add_row(
            "test accuracy", f"[bold]{accuracy:.3f}  ({accuracy:.1%})[/bold]", f"after epoch {test['epoch']:.0f}"
        )
        for name, value in result.baselines.items():
            table.add_row(f"  {name}", f"{value:.3f}  ({value:.1%})", "for comparison")
        table.add_row("test loss", f"{test['test_loss']:.4g} mV²", "mean squared error")
    table.add_row("stable from epoch", "-" if stable is None else str(stable), "every test since at 100 %")
    table.add_row("epochs", str(result.epochs), f"in {result.wall_s:.1f} s")
    table.add_row("share of Python", f"{result.python_share:.1%}", "of the wall time")
    return table


def doctor_table(rows: Iterable[tuple[str, str, bool | None]]) -> Table:
    """State of the installation: name, value, and whether it is as it must be (None: only told)."""
    marks = {True: "[green]ok[/green]", False: "[bold red]fault[/bold red]", None: ""}
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # a path is of no use when it is cut off
    table.add_column(no_wrap=True)
    for name, value, ok in rows:
        table.add_row(name, str(value), marks[ok])
    return table
