# SPDX-License-Identifier: GPL-2.0-or-later
"""Command line: ``pyramidal train | resume | compare | evaluate | plot | doctor``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import tomlkit
import tomlkit.exceptions
from rich.console import Console
from rich.table import Table

from . import __version__
from .errors import UserError
from .kernel.parallel import end_job, end_job_on_exceptions, n_processes, rank
from .networks import BACKENDS, build_network
from .networks.backend import DivergenceError
from .runs.checkpoint import load_checkpoint
from .runs.comparison import compare as compare_runs
from .runs.folder import Metrics, RunFolder, default_folder
from .runs.specification import RunSpecification, read_toml
from .runs.summary import TrainingResult
from .runs.training import evaluate as evaluate_network
from .runs.training import resume as resume_run
from .runs.training import train as train_network
from .settings import merged, suggestion
from .view.terminal import ComparisonDisplay, TrainingDisplay, comparison_table, doctor_table, result_table


class _Failure(click.ClickException):
    """What went wrong in the run, as one sentence without traceback."""

    exit_code = 1


class _BadInput(_Failure):
    """What is wrong with the user's input."""

    exit_code = 2


class _Interruption(_Failure):
    """Ctrl-C; the shell's exit code for it."""

    exit_code = 130


class _Commands(click.Group):
    """Turns the errors that a user can cause into a sentence and an exit code; a process that fails ends an MPI job."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        end_job_on_exceptions()
        try:
            return super().main(*args, **kwargs)
        except SystemExit as end:
            if end.code and n_processes() > 1:
                end_job(int(end.code))
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise _BadInput(str(error)) from error
        except DivergenceError as error:
            raise _Failure(f"the network diverged: {error}") from error
        except KeyboardInterrupt as error:
            raise _Interruption("interrupted") from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pyramidal")
def main() -> None:
    """Dendritic cortical microcircuits that learn with spikes, in stock NEST."""


@main.command()
@click.argument("task", metavar="TASK")
@click.option("--backend", type=click.Choice(BACKENDS), help="What computes the network [spiking].")
@click.option("--seed", type=int, help="Seed of weights, order of samples, and spikes.")
@click.option("--epochs", type=int, help="Epochs of training.")
@click.option("--threads", type=int, help="Threads of the simulator.")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with entries that differ from the defaults.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One entry, e.g. network.neuron.psi=50.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the run [runs/TASK-BACKEND-seedSEED].")
@click.option("--overwrite", is_flag=True, help="Replace the run that the folder holds.")
def train(
    task: str,
    backend: str | None,
    seed: int | None,
    epochs: int | None,
    threads: int | None,
    config: Path | None,
    settings: tuple[str, ...],
    output: Path | None,
    overwrite: bool,
) -> None:
    """Train a network on a task.

    Later sources win: the task's defaults, --config, --set, the other options. The folder of the run keeps
    config.toml (complete), metrics.jsonl, summary.json, checkpoint/ and figures/.
    """
    options = {"backend": backend, "seed": seed, "epochs": epochs, "threads": threads}
    spec = _specification(task, config, settings, options)
    folder = RunFolder.create(output or default_folder(spec), spec, overwrite=overwrite)
    console = _console()
    with TrainingDisplay(console, spec) as display:
        result = train_network(spec, folder, display.update)
    _conclude(console, folder, spec, result)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--epochs", type=click.IntRange(min=0), help="Epochs of training in all [as the run was begun].")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the simulator [as the run was begun].")
def resume(folder: Path, epochs: int | None, threads: int | None) -> None:
    """Continue a run from its last checkpoint, as if it had never been interrupted."""
    run = RunFolder.open(folder)
    spec = run.read_specification(epochs, threads)
    console = _console()
    with TrainingDisplay(console, spec) as display:
        result = resume_run(run, epochs, display.update, threads=threads)
    _conclude(console, run, spec, result)


@main.command()
@click.argument("task", metavar="TASK")
@click.option("--backends", default=",".join(BACKENDS), show_default=True, help="Which to compare.")
@click.option("--seed", type=int, help="Seed of weights, order of samples, and spikes.")
@click.option("--epochs", type=int, help="Epochs of training.")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with entries that differ from the defaults.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One entry, e.g. network.neuron.psi=50.")
@click.option("--jobs", type=click.IntRange(min=1), help="Runs at a time [one per core].")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the runs [runs/compare-TASK-seedSEED].")
@click.option("--overwrite", is_flag=True, help="Replace the runs that the folder holds.")
def compare(
    task: str,
    backends: str,
    seed: int | None,
    epochs: int | None,
    config: Path | None,
    settings: tuple[str, ...],
    jobs: int | None,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Train the same circuit with several backends, from the same weights.

    Each run is kept in a subfolder with the name of its backend; comparison.png shows them side by side.
    """
    if n_processes() > 1:
        raise UserError("compare runs every backend in a process of its own: start it without mpirun")
    names = list(dict.fromkeys(name.strip() for name in backends.split(",")))
    for name in names:
        if name not in BACKENDS:
            raise UserError(f"backend {name!r} is unknown; {suggestion(name, list(BACKENDS))}")
    options = {"seed": seed, "epochs": epochs}
    specs = {name: _specification(task, config, settings, options | {"backend": name}) for name in names}
    spec = specs[names[0]]
    folder = output or Path("runs") / f"compare-{task}-seed{spec.seed}"
    console = _console()
    with ComparisonDisplay(console, specs) as display:
        results = compare_runs(specs, folder, display.update, jobs=jobs, overwrite=overwrite)
    baselines = results[names[0]].baselines
    from .view.figures import comparison_figure  # slow to import

    figure, sizes = folder / "comparison.png", "-".join(str(size) for size in spec.network.sizes)
    records = {name: result.records for name, result in results.items()}
    comparison_figure(records, baselines, f"{task}: {sizes}, seed {spec.seed}").savefig(figure)
    console.print(comparison_table(results, baselines))
    console.print(f"Kept in {folder}/, figure in {figure}", soft_wrap=True)
    diverged = {name: result.diverged for name, result in results.items() if result.diverged is not None}
    if diverged:
        raise _Failure("\n".join(f"{name} diverged: {why}" for name, why in diverged.items()))
    if any(result.interrupted for result in results.values()):
        raise _Interruption("interrupted; what was reached is kept")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def evaluate(folder: Path) -> None:
    """Test the weights that a run has kept."""
    run = RunFolder.open(folder)
    spec = run.read_specification()
    weights = load_checkpoint(run.checkpoint, spec.network.sizes).weights
    simulator_seed = np.random.SeedSequence(spec.seed).spawn(4)[3]  # the first three made the run
    metrics = evaluate_network(build_network(spec.backend, spec.network, weights, simulator_seed), spec.task.test_set())
    table = Table.grid(padding=(0, 2))
    table.add_row("test accuracy", f"{metrics['test_accuracy']:.1%}")
    table.add_row("test loss", f"{metrics['test_loss']:.4g} mV²")
    for name, value in spec.task.baselines().items():
        table.add_row(name, f"{value:.1%}")
    _console().print(table)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def plot(folder: Path) -> None:
    """Draw the figure of a run anew."""
    run = RunFolder.open(folder)
    spec = run.read_specification()
    _save_figure(run, spec, run.read_metrics(), spec.task.baselines())
    _console().print(f"Figure in {run.figure}", soft_wrap=True)


@main.command()
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Check Python, NEST and the module, and simulate two neurons."""
    from .kernel.doctor import report  # imports NEST

    rows = report()
    _console().print(doctor_table(rows))
    if any(ok is False for _, _, ok in rows):
        ctx.exit(_Failure.exit_code)


def _console() -> Console:
    """Where to print; of several MPI processes, the first one prints."""
    return Console(highlight=False, quiet=rank() > 0)


def _specification(
    task: str, config: Path | None, settings: tuple[str, ...], options: Mapping[str, str | int | None]
) -> RunSpecification:
    """The run that the command line asks for."""
    entries: dict[str, Any] = read_toml(config) if config is not None else {}
    for setting in settings:
        entries = merged(entries, _entry(setting))
    for name, key in (
        ("backend", "backend"),
        ("seed", "seed"),
        ("epochs", "training.epochs"),
        ("threads", "network.simulation.threads"),
    ):
        value = options.get(name)
        if value is not None:
            entries = merged(entries, _nested(key, value))
    named = entries.get("task", {}).get("name", task) if isinstance(entries.get("task", {}), dict) else task
    if named != task:
        raise UserError(f"the configuration is for task {named}, not {task}; run pyramidal train {named}")
    return RunSpecification.for_task(task, entries)


def _entry(setting: str) -> dict[str, Any]:
    """Nested dictionary of one KEY=VALUE; the value is TOML, or else a text."""
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set needs KEY=VALUE, such as network.neuron.psi=50, got {setting!r}")
    try:
        value = tomlkit.parse(f"value = {text}").unwrap()["value"]
    except tomlkit.exceptions.TOMLKitError:
        value = text.strip()
    return _nested(key.strip(), value)


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _conclude(console: Console, folder: RunFolder, spec: RunSpecification, result: TrainingResult) -> None:
    """Draw and print what a run reached; raises _Failure or _Interruption if it has not ended well."""
    _save_figure(folder, spec, result.records, result.baselines)
    console.print(result_table(result))
    console.print(f"Kept in {folder.path}/, figure in {folder.figure}", soft_wrap=True)
    if result.diverged is not None:
        raise _Failure(f"stopped, the network diverged: {result.diverged}")
    if result.interrupted:
        raise _Interruption(
            f"interrupted after epoch {result.epochs} of {spec.training.epochs}; "
            f"to go on from the last test: pyramidal resume {folder.path}"
        )


def _save_figure(
    folder: RunFolder, spec: RunSpecification, records: list[Metrics], baselines: dict[str, float]
) -> None:
    if rank() > 0:
        return
    sizes = "-".join(str(size) for size in spec.network.sizes)
    title = f"{spec.task.name}: {sizes}, {spec.backend}, seed {spec.seed}"
    from .view.figures import training_figure  # slow to import

    try:
        folder.figure.parent.mkdir(exist_ok=True)
        training_figure(records, baselines, title).savefig(folder.figure)
    except OSError as error:
        raise UserError(f"cannot write the figure {folder.figure}: {error.strerror or error}") from error
