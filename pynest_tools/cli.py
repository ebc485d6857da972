# SPDX-License-Identifier: GPL-2.0-or-later
"""Command line: ``pyramidal train | resume | compare | evaluate | predict | plot | doctor``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from . import __version__
from .cli_studies import study
from .errors import Remark, UserError
from .kernel.parallel import end_job, end_job_on_exceptions, n_processes, rank
from .networks import BACKENDS
from .networks.backend import DivergenceError
from .runs.api import Run, open_run
from .runs.comparison import compare as compare_runs
from .runs.disk import told, write_in_one_step
from .runs.folder import RunFolder, default_folder
from .runs.metrics import Metrics, too_fast
from .runs.specification import RunSpecification, read_toml, task_name
from .runs.summary import TrainingResult
from .runs.trained import load_trained
from .runs.trained import trained as trained_circuits
from .runs.training import resume as resume_run
from .runs.training import train as train_network
from .settings import merged, nested, parse_entry, parse_value, suggestion
from .tasks import Samples, task_names
from .tasks.files import Raw, read_raw
from .tasks.protocol import Baselines, baselines_of
from .view.output import new_console, note
from .view.terminal import (
    ComparisonDisplay,
    TrainingDisplay,
    comparison_table,
    doctor_table,
    evaluation_table,
    rates_text,
    remarks,
    result_table,
    trained_table,
)

Command = Callable[..., Any]


class _Failure(click.ClickException):
    """What went wrong in the run, as one sentence without traceback."""

    exit_code = 1


class _BadInput(_Failure):
    """What is wrong with the user's input."""

    exit_code = 2


class _Interruption(_Failure):
    """Ctrl-C; the shell's exit code for it."""

    exit_code = 130


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """A remark as a note; what else libraries warn of as ever."""
    if issubclass(category, Remark):
        note(message)
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno, line), err=True, nl=False)


class _Commands(click.Group):
    """Turns the errors that a user can cause into a sentence and an exit code; a process that fails ends an MPI job."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        end_job_on_exceptions()
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
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


def _options_of_a_run(command: Command) -> Command:
    """Options by which train and compare say what is to be run."""
    for option in reversed((
        click.option("--data", metavar="FILE", help="The task's data: .npz, .csv, IDX images, or openml:NAME (docs/data.md)."),
        click.option("--target", metavar="COLUMN", help="Column of a CSV file that is to be learned; several with commas."),
        click.option("--hidden", metavar="N[,N...]", help="Cells of the hidden layers; the others follow from the task."),
        click.option("--seed", type=int, help="Seed of weights, order of samples, and spikes."),
        click.option("--epochs", type=int, help="Epochs of training."),
        click.option("--config", type=click.Path(path_type=Path), help="TOML file with entries that differ from the defaults."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One entry, e.g. network.neuron.psi=50."),
    )):  # fmt: skip
        command = option(command)
    return command


@main.command()
@click.argument("task", required=False)
@click.option(
    "--backend", type=click.Choice(BACKENDS), help="What computes the network [spiking, or as the task says]."
)
@_options_of_a_run
@click.option("--threads", type=int, help="Threads of the simulator.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the run [runs/TASK-BACKEND-seedSEED...].")
@click.option("--overwrite", is_flag=True, help="Replace the run that the folder holds.")
def train(
    task: str | None,
    config: Path | None,
    settings: tuple[str, ...],
    output: Path | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Train a network on a task.

    TASK is one of those that `pyramidal tasks` lists, or data, with --data, for your own. Later sources win: the task's
    defaults, --config, --set, the other options. The folder of the run keeps config.toml (complete), metrics.jsonl, summary.json,
    checkpoint/ and figures/.
    """
    spec = _specification(task, config, settings, options)
    folder = RunFolder(output or default_folder(spec))
    console = new_console()
    with folder.lock:
        folder.begin(spec, overwrite=overwrite)
        _tell(console, remarks(spec))
        with TrainingDisplay(console, spec) as display:
            result = train_network(spec, folder, display.update)
        _conclude(console, folder, spec, result)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--epochs", type=click.IntRange(min=0), help="Epochs of training in all [as the run was begun].")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the simulator [as the run was begun].")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="An entry that is other from here on; it is recorded."
)
def resume(folder: Path, settings: tuple[str, ...], **options: Any) -> None:
    """Continue a run from its last checkpoint, as if it had never been interrupted."""
    run = open_run(folder)
    changes = _entries(None, settings, options)
    console = new_console()
    with run.folder.lock:
        spec = run.specification_from_here(changes)
        with TrainingDisplay(console, spec) as display:
            result = resume_run(run.folder, spec, display.update, changes)
        _conclude(console, run.folder, spec, result)


@main.command()
@click.argument("what", nargs=-1, metavar="TASK | RUN RUN...")
@click.option("--backends", default=",".join(BACKENDS), show_default=True, help="Which to compare.")
@_options_of_a_run
@click.option("--jobs", type=click.IntRange(min=1), help="Runs at a time [one per core].")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the runs [runs/compare-TASK-seedSEED].")
@click.option("--overwrite", is_flag=True, help="Replace the runs that the folder holds.")
def compare(
    what: tuple[str, ...],
    backends: str,
    config: Path | None,
    settings: tuple[str, ...],
    jobs: int | None,
    output: Path | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Train the same circuit with several backends, from the same weights; or compare runs that are there.

    Each run is kept in a subfolder with the name of its backend; comparison.png shows them side by side.
    """
    if what and all((Path(each) / "config.toml").is_file() for each in what):
        _compare_finished([open_run(each) for each in what], output or Path("comparison.png"))
        return
    if len(what) > 1:
        missing = next(each for each in what if not (Path(each) / "config.toml").is_file())
        raise UserError(
            f"{missing} is not the folder of a run: it has no config.toml; compare takes a task, or folders of runs"
        )
    if n_processes() > 1:
        raise UserError("compare runs every backend in a process of its own: start it without mpirun")
    names = list(dict.fromkeys(name.strip() for name in backends.split(",")))
    for name in names:
        if name not in BACKENDS:
            raise UserError(f"backend {name!r} is unknown; {suggestion(name, list(BACKENDS))}")
    task = what[0] if what else None
    specs = {name: _specification(task, config, settings, options | {"backend": name}) for name in names}
    spec = specs[names[0]]
    folder = output or Path("runs") / f"compare-{spec.task.name}-seed{spec.seed}"
    console = new_console()
    _tell(console, remarks(spec))
    with ComparisonDisplay(console, specs) as display:
        results = compare_runs(specs, folder, display.update, jobs=jobs, overwrite=overwrite)
    baselines = next((result.baselines for result in results.values() if result.baselines), {})
    figure = folder / "comparison.png"
    _save_comparison(figure, {name: result.records for name, result in results.items()}, baselines, spec)
    console.print(comparison_table(results, baselines))
    console.print(f"Kept in {folder}/, figure in {figure}", soft_wrap=True)
    diverged = {name: result.diverged for name, result in results.items() if result.diverged is not None}
    if diverged:
        raise _Failure("\n".join(f"{name} diverged: {why}" for name, why in diverged.items()))
    if any(result.interrupted for result in results.values()):
        raise _Interruption("interrupted; what was reached is kept")


def _compare_finished(runs: list[Run], output: Path) -> None:
    """Show runs that are there side by side."""
    tasks = {run.trained.task.name for run in runs}
    if len(tasks) > 1:
        raise UserError(f"runs of different tasks cannot be compared: {', '.join(sorted(tasks))}")
    names = [run.folder.path.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.folder.path) for run in runs]
    results = {name: run.result for name, run in zip(names, runs, strict=True)}
    baselines = next((result.baselines for result in results.values() if result.baselines), {})
    figure = output / "comparison.png" if output.is_dir() else output
    _save_comparison(figure, {name: result.records for name, result in results.items()}, baselines, runs[0].trained)
    console = new_console()
    console.print(comparison_table(results, baselines))
    console.print(f"Figure in {figure}", soft_wrap=True)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--trained", "name", metavar="NAME", help="A circuit of pyramidal trained instead of a run.")
@click.option(
    "--data",
    metavar="FILE",
    help="New raw data instead of the run's test set; with --trained, where the task's data lie.",
)
@click.option("--best", is_flag=True, help="The weights of the best test instead of those of the last.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the spikes.")
@click.option(
    "--repeats", type=click.IntRange(min=1), default=1, show_default=True, help="Evaluations, each with other spikes."
)
def evaluate(folder: Path | None, name: str | None, data: str | None, best: bool, seed: int, repeats: int) -> None:
    """Test the weights that a run has kept, on its test set or on new data; the results are kept in the run."""
    if (folder is None) == (name is None):
        raise UserError("name the folder of a run, or a circuit with --trained NAME, and not both")
    seeds = range(seed, seed + repeats)
    if name is not None:
        run = load_trained(name, task={"data": data} if data else None)
        results = run.evaluate(seeds=seeds)
        on = f"test set, {name}"
    else:
        assert folder is not None
        run = open_run(folder)
        results = _evaluated(run, data, best, seeds)
        on = f"{'test set' if data is None else Path(data).name}, {'best' if best else 'last'} weights"
    on += f", mean of {repeats}" if repeats > 1 else ""
    baselines = baselines_of(run.specification.task) if (name or data is None) and rank() == 0 else {}
    new_console().print(evaluation_table(results, baselines, on))


def _evaluated(run: Run, data: str | None, best: bool, seeds: range) -> list[Metrics]:
    """Evaluations of a run, which it keeps."""
    samples = None if data is None else _samples(run, data)
    with run.folder.lock:
        results = run.evaluate(samples, best=best, seeds=seeds)
        for own_seed, metrics in zip(seeds, results, strict=True):
            record = {"data": data or "test set", "weights": "best" if best else "last", "seed": own_seed, **metrics}
            run.folder.append(run.folder.evaluations, record, f"pyramidal evaluate {run.folder.path} once more")
    return results


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data", metavar="FILE", required=True, help="Raw features, of the kind that the run was trained on.")
@click.option("--best", is_flag=True, help="The weights of the best test instead of those of the last.")
@click.option("--output", type=click.Path(path_type=Path), help="CSV file for the answers [standard output].")
def predict(folder: Path, data: str, best: bool, output: Path | None) -> None:
    """Answers of a trained network to new data, one line a sample."""
    run = open_run(folder)
    answers = run.predict(_raw(run, data).x, best=best)
    header = ",".join(getattr(run.trained.task, "target_names", ()) or ["prediction"])
    lines = [header, *(",".join(map(str, row if answers.ndim > 1 else [row])) for row in answers.tolist())]
    text = "\n".join(lines) + "\n"
    if output is None:
        try:
            click.echo(text, nl=False)
        except UnicodeEncodeError as error:
            raise UserError(
                f"the standard output has no character {error.object[error.start]!a} ({error.encoding}): name a file with --output, "
                "or set PYTHONIOENCODING=utf-8"
            ) from error
    else:
        with told(output, "predict once more"):
            write_in_one_step(output, lambda file: file.write(text.encode()))
        new_console().print(f"{len(answers)} answers in {output}", soft_wrap=True)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def plot(folder: Path) -> None:
    """Draw the figures of a run anew."""
    run = open_run(folder)
    _save_figures(run.folder, run.trained, run.result)
    new_console().print(f"Figures in {run.folder.figures}/", soft_wrap=True)


@main.command()
def trained() -> None:
    """List the trained circuits that come with the package."""
    new_console().print(trained_table(trained_circuits()))


@main.command()
def tasks() -> None:
    """List the tasks that are known, those of installed packages last."""
    for name in task_names():
        click.echo(name)


@main.command()
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Check Python, NEST and the module, and simulate two neurons."""
    from .kernel.doctor import report  # imports NEST

    rows = report()
    new_console().print(doctor_table(rows))
    if any(ok is False for _, _, ok in rows):
        ctx.exit(_Failure.exit_code)


def _tell(console: Console, sentences: Sequence[str]) -> None:
    for sentence in sentences:
        console.print(f"[yellow]note:[/yellow] {sentence}", soft_wrap=True)


def _specification(
    task: str | None, config: Path | None, settings: tuple[str, ...], options: Mapping[str, Any]
) -> RunSpecification:
    """The run that the command line asks for."""
    entries = _entries(config, settings, options)
    named = task_name(entries) if isinstance(entries.get("task"), dict) and "name" in entries["task"] else None
    if task is None and named is None and options.get("data") is not None:
        named = "data"
    if task is None and named is None:
        raise UserError(
            f"which task? Name it, as in pyramidal train {task_names()[0]}, or give a --config that names it; "
            f"known are {', '.join(task_names())}"
        )
    if task is not None and named is not None and named != task:
        raise UserError(
            f"the configuration is for task {named}, not {task}; leave {task} out, or the name in the configuration"
        )
    return RunSpecification.for_task(task or str(named), entries)


#: Entries that options of the command line stand for.
OPTIONS = {
    "backend": "backend",
    "seed": "seed",
    "epochs": "training.epochs",
    "threads": "network.simulation.threads",
    "data": "task.data",
    "target": "task.target",
    "hidden": "network.hidden",
}


def _entries(config: Path | None, settings: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a run by their sources; later ones win."""
    entries: dict[str, Any] = read_toml(config) if config is not None else {}
    for setting in settings:
        entries = merged(entries, parse_entry(setting))
    for name, value in options.items():
        if value is not None:
            entries = merged(
                entries, nested(OPTIONS[name], parse_value(value) if name in ("hidden", "target") else value)
            )
    return entries


def _raw(run: Run, data: str) -> Raw:
    """New raw data of the kind that the run has learned."""
    known = run.preprocessing
    if known is None:
        raise UserError(f"the task {run.trained.task.name} makes its own data: it cannot be given others with --data")
    return read_raw(data, known.target_names, known.feature_names)


def _samples(run: Run, data: str) -> Samples:
    """Samples of new raw data, made as those of the run."""
    raw = _raw(run, data)
    if raw.y is None or run.preprocessing is None:
        raise UserError(f"{data} does not say what is true, there is only x: pyramidal predict tells the answers")
    return run.preprocessing.samples(raw.x, raw.y)


def _conclude(console: Console, folder: RunFolder, spec: RunSpecification, result: TrainingResult) -> None:
    """Draw and print what a run reached; raises _Failure or _Interruption if it has not ended well."""
    console.print(result_table(result))
    if result.records:
        psi = spec.network.neuron.psi if spec.backend == "spiking" else None
        console.print(rates_text(result.records[-1], psi), soft_wrap=True)
        fast = too_fast(result.records[-1])
        _tell(console, [fast] if fast else [])
    _save_figures(folder, spec, result)
    console.print(f"Kept in {folder.path}/, figures in {folder.figures}/", soft_wrap=True)
    if result.diverged is not None:
        raise _Failure(
            f"stopped, the network diverged: {result.diverged}\nThe last test is kept. To go on from it with lower learning rates: "
            f"pyramidal resume {folder.path} --set network.plasticity.eta_up={_halved(spec.network.plasticity.eta_up)}"
        )
    if result.interrupted:
        raise _Interruption(
            f"interrupted after epoch {result.epochs:.4g} of {spec.training.epochs}; "
            f"to go on from the last test: pyramidal resume {folder.path}"
        )


def _halved(rates: Sequence[float]) -> str:
    return ",".join(f"{rate / 2:g}" for rate in rates)


def _title(spec: RunSpecification) -> str:
    sizes = "-".join(str(size) for size in spec.network.sizes)
    return f"{spec.task.name}: {sizes}"


def _save_figures(folder: RunFolder, spec: RunSpecification, result: TrainingResult) -> None:
    if rank() > 0:
        return
    from .view.figures import confusion_figure, training_figure  # slow to import

    title = f"{_title(spec)}, {spec.backend}, seed {spec.seed}"
    _save_figure(folder.figures / "training.png", training_figure(result.records, result.baselines, title), folder)
    said = result.test or result.last
    if "confusion" in said:
        on = "test" if result.test is not None else result.tested_on
        names = [str(label) for label in getattr(getattr(spec.task, "preprocessing", None), "classes_", ())]
        figure = confusion_figure(said["confusion"], names, f"{spec.task.name}: {on} set")
        _save_figure(folder.figures / "confusion.png", figure, folder)


def _save_figure(path: Path, figure: Any, folder: RunFolder | None = None) -> None:
    again = "compare the runs once more" if folder is None else f"pyramidal plot {folder.path} draws it"
    with told(path, again):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_in_one_step(path, lambda file: figure.savefig(file, format="png"))


def _save_comparison(
    path: Path, records: Mapping[str, list[Metrics]], baselines: Baselines, spec: RunSpecification
) -> None:
    from .view.figures import comparison_figure  # slow to import

    _save_figure(path, comparison_figure(records, baselines, f"{_title(spec)}, seed {spec.seed}"))


main.add_command(study)
