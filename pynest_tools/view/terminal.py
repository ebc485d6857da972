# SPDX-License-Identifier: GPL-2.0-or-later
"""What the command line shows: progress, results, the state of the installation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ..runs.metrics import Metrics, of_set, tested_set_of
from ..runs.specification import RunSpecification
from ..runs.summary import TrainingResult

if TYPE_CHECKING:
    from pandas import DataFrame

#: What says how well a network does, the first one that there is: key, name, form.
SCORES = (("accuracy", "accuracy", "{:.1%}"), ("r2", "R²", "{:.3f}"), ("apical_error", "apical error", "{:.3g} mV"))


def headline(metrics: Mapping[str, Any]) -> str:
    """Accuracy, R² or apical error, and the loss (mV²)."""
    key, name, _ = _kind(metrics)
    return f"{name} {_score(metrics)}  loss {metrics['loss']:{'.3g' if key == 'apical_error' else '.4f'}}"


def _kind(metrics: Mapping[str, Any]) -> tuple[str, str, str]:
    return next(kind for kind in SCORES if kind[0] in metrics)


def _score(metrics: Mapping[str, Any]) -> str:
    key, _, form = _kind(metrics)
    return form.format(metrics[key])


def tested(record: Mapping[str, Any]) -> tuple[str, Metrics]:
    """What the test of a record was on, "validation" or "test", and what it said."""
    name = tested_set_of([record])
    return name, of_set(record, name)


class _Bars:
    """One progress bar for each run; plain lines without a terminal.

    Parameters
    ----------
    console : Console
        Where to show them.
    specs : mapping of str to RunSpecification
        The runs by name.
    """

    def __init__(self, console: Console, specs: Mapping[str, RunSpecification]) -> None:
        self._console, self._specs = console, specs
        self._shown = dict.fromkeys(specs, -1)  # samples at the last test that was printed
        self._bars = Progress(
            TextColumn("{task.description}"),
            TextColumn("epoch {task.completed:.4g}/{task.total:.0f}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[metrics]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        width = max(map(len, specs))
        self._tasks = {
            name: self._bars.add_task(name.ljust(width), total=spec.training.epochs, metrics="")
            for name, spec in specs.items()
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def _show(self, name: str, epochs: float, record: Metrics, *, told: str) -> None:
        tested_on, metrics = tested(record)
        text = f"{tested_on} {headline(metrics)}"
        self._bars.update(self._tasks[name], completed=epochs, metrics=text)
        if not self._console.is_terminal and record["samples"] > self._shown[name]:
            self._shown[name] = record["samples"]
            of = self._specs[name].training.epochs
            self._console.print(f"{told}epoch {record['epoch']:.4g}/{of}  {text}", soft_wrap=True)


class TrainingDisplay(_Bars):
    """Progress of a run: epoch, score, loss and time left.

    Parameters
    ----------
    console : Console
        Where to show it.
    spec : RunSpecification
        The run.
    """

    def __init__(self, console: Console, spec: RunSpecification) -> None:
        self._name = spec.task.name
        super().__init__(console, {self._name: spec})

    def __enter__(self) -> TrainingDisplay:
        self._bars.start()
        return self

    def update(self, epochs: float, record: Metrics) -> None:
        """Show how many epochs are done, and the record of the last test."""
        self._show(self._name, epochs, record, told="")


class ComparisonDisplay(_Bars):
    """Progress of several runs by name, as that of one."""

    def __enter__(self) -> ComparisonDisplay:
        self._bars.start()
        return self

    def update(self, name: str, epochs: float, record: Metrics) -> None:
        """Show how many epochs of a run are done, and the record of its last test."""
        self._show(name, epochs, record, told=f"{name}  ")


def comparison_table(results: Mapping[str, TrainingResult], baselines: Mapping[str, Mapping[str, float]]) -> Table:
    """What the runs reached, one a line, and the baselines below; scores are those on the test set."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    first = next((result.last for result in results.values() if result.last), {"accuracy": 0.0})
    _, score, _ = _kind(first)
    table.add_column("test set", no_wrap=True)
    for heading in (score, "loss (mV²)", "100 % from", "apical (mV)", "time (s)"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, result in results.items():
        test, stable = result.test, result.stable_from_epoch
        apical = result.records[-1].get("apical_error", 0.0) if result.records else 0.0
        table.add_row(
            name,
            _score(test) if test else "-",
            f"{test['loss']:.3g}" if test else "-",
            "diverged" if result.diverged else "-" if stable is None else f"{stable:g}",
            f"{apical:.2g}" if apical > 0.0 else "",
            f"{result.wall_s:.1f}",
        )
    table.add_section()
    for name, scores in baselines.items():
        table.add_row(name, _baseline(first, scores["test"]), "", "", "", "")
    return table


def result_table(result: TrainingResult) -> Table:
    """What a run reached, with the baselines beside it, and which set each number is on."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    if result.test is not None:
        _add_scores(table, "test", result.test, f"test set, {result.tested_weights} weights")
        for name, scores in result.baselines.items():
            table.add_row(f"  {name}", _baseline(result.test, scores["test"]), "test set, for comparison")
    if result.records and result.tested_on == "validation":
        _add_scores(table, "validation", result.last, f"validation set, epoch {result.epochs:.4g}")
        best = result.best
        if best is not None and best < len(result.records) - 1:
            record = result.records[best]
            told = f"chosen on the validation set, epoch {record['epoch']:.4g}"
            table.add_row("  best", _score(of_set(record, "validation")), told)
    elif result.records and result.test is None:
        _add_scores(table, "test", result.last, f"test set, after epoch {result.epochs:.4g}")
    stable = result.stable_from_epoch
    if stable is not None:
        table.add_row("stable from epoch", f"{stable:.4g}", f"all since at 100 %, {result.tested_on} set")
    table.add_row("epochs", f"{result.epochs:.4g}", f"in {result.wall_s:.1f} s")
    table.add_row("share of Python", f"{result.python_share:.1%}", "of the wall time")
    return table


def rates_text(record: Mapping[str, Any], psi: float | None = None) -> str:
    """Mean rates of all layers in a test: of a member of a cell's population, and of the cell that stands for psi of them."""
    rates = record["rate_mean"].items()
    told = "Mean rates of a member of a cell's population (Hz): " + ", ".join(
        f"{name} {rate:.0f}" for name, rate in rates
    )
    if psi is None:
        return told
    return f"{told}; of a cell, psi = {psi:g} of them (kHz): " + ", ".join(
        f"{name} {psi * rate / 1000.0:.3g}" for name, rate in rates
    )


def _add_scores(table: Table, name: str, metrics: Mapping[str, Any], told: str) -> None:
    key, kind, _ = _kind(metrics)
    table.add_row(f"{name} {kind}", f"[bold]{_score(metrics)}[/bold]", told)
    if key == "apical_error":
        table.add_row(f"{name} interneuron error", f"{metrics['interneuron_error']:.3g} /ms²", "mean squared, of rates")
    table.add_row(f"{name} loss", f"{metrics['loss']:.4g} mV²", "mean squared error")
    errors = metrics.get("rmse", {})
    for target, error in (errors if isinstance(errors, dict) else {"": errors}).items():
        table.add_row(f"{name} error {target}".rstrip(), f"{error:.4g}", "root mean squared, in the data's unit")


def _baseline(metrics: Mapping[str, Any], value: float) -> str:
    _, _, form = _kind(metrics)
    return form.format(value)


def evaluation_table(results: Sequence[Metrics], baselines: Mapping[str, Mapping[str, float]], told: str) -> Table:
    """What evaluations of one network said: mean, and with several the standard deviation."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    first = results[0]
    for key, label, form in (_kind(first), ("loss", "loss", "{:.4g} mV²")):
        each = [result[key] for result in results]
        spread = f" ± {form.format(stdev(each))}" if len(each) > 1 else ""
        table.add_row(label, f"[bold]{form.format(mean(each))}{spread}[/bold]", told)
    errors = first.get("rmse", {})
    for target in errors if isinstance(errors, dict) else [""]:
        each = [r["rmse"][target] if target else r["rmse"] for r in results]
        table.add_row(f"error {target}".rstrip(), f"{mean(each):.4g}", "root mean squared, in the data's unit")
    for name, scores in baselines.items():
        table.add_row(f"  {name}", _baseline(first, scores["test"]), "test set, for comparison")
    return table


def trained_table(circuits: DataFrame) -> Table:
    """Trained circuits that come with the package."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("name", "backend", "seed", "epochs", "test set", "made by"):
        table.add_column(
            heading, justify="right" if heading in ("seed", "epochs", "test set") else "left", overflow="fold"
        )
    for name, row in circuits.iterrows():
        score = _score(dict(row.dropna()))
        table.add_row(str(name), row["backend"], str(row["seed"]), f"{row['epochs']:g}", score, row["command"])
    return table


def remarks(spec: RunSpecification) -> list[str]:
    """What a user should know of a run before it begins: of the circuit, and of the data."""
    return [*spec.network.warnings(), *getattr(getattr(spec.task, "preprocessing", None), "notes", ())]


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
