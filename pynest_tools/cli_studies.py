# SPDX-License-Identifier: GPL-2.0-or-later
"""Command line of studies: ``pyramidal study FILE``, ``pyramidal study plot | table FOLDER``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from .errors import UserError
from .runs.disk import told, write_in_one_step
from .settings import parse_entry, suggestion
from .studies.axes import Range
from .studies.execution import Executor, Observer, exclusively, run_study
from .studies.jobs import Progress
from .studies.search import best_of
from .studies.specification import PlotSpecification
from .studies.study import DIVERGED, DONE, FAILED, RUNNING, Study, StudyRun, open_study
from .view.output import new_console, note
from .view.study_display import StudyDisplay
from .view.terminal import headline, tested


class _RunUnlessNamed(click.Group):
    """Takes what is no command for the file of a study to be run."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RunUnlessNamed, subcommand_metavar="FILE | FOLDER | COMMAND [ARGS]...")
def study() -> None:
    """Run a grid of runs, or a search, and show what came out.

    pyramidal study FILE.toml runs what is left of a study (docs/studies.md); pyramidal study FOLDER goes on with one. Options:
    pyramidal study run --help.
    """


@study.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE | FOLDER")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the study [runs/study-NAME].")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes at a time [one per core].")
@click.option(
    "--part", metavar="I/N", default="1/1", help="One of N calls that share the folder, as in an array of SLURM."
)
@click.option("--executor", type=click.Choice(["local", "dask"]), default="local", help="Where runs are [local].")
@click.option("--scheduler", metavar="ADDRESS", help="Scheduler of dask [a cluster on this machine].")
def run(
    source: Path, output: Path | None, jobs: int | None, part: str, executor: Executor, scheduler: str | None
) -> None:
    """Run what is left of a study; the word run may be left out.

    Runs that have ended stay, those that were interrupted go on from their last test, and those whose specification has changed begin
    anew. The folder keeps study.toml, runs/, table.csv, table.parquet and figures.
    """
    console = new_console()
    with _Told(console) as observer:
        found = run_study(
            source, output, jobs=jobs, part=_part(part), executor=executor, scheduler=scheduler, observer=observer
        )
    if found.specification.search is not None:
        _tell_best(console, found)
    figures = _draw(found, found.specification.plots)
    console.print(f"Kept in {found.path}/, figure in {', '.join(map(str, figures))}", soft_wrap=True)
    if observer.bad:
        console.print(f"{observer.bad} runs did not come to their end; the table says why", soft_wrap=True)


@study.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--x", metavar="NAME", help="Column on the x axis.")
@click.option("--y", metavar="NAME", help="Report that is shown.")
@click.option("--lines", metavar="NAME", help="Column with a line for each value.")
@click.option("--panels", metavar="NAME", help="Column with a panel for each value.")
@click.option("--heat/--no-heat", default=None, help="A map over x and lines instead of lines.")
@click.option("--only", multiple=True, metavar="NAME=VALUE", help="A part of the runs.")
@click.option("--output", type=click.Path(path_type=Path), help="The figure [figure.png in the folder].")
def plot(folder: Path, only: tuple[str, ...], output: Path | None, **given: Any) -> None:
    """Draw what a study has reached so far; without options as its file says."""
    found = open_study(folder)
    given = {name: value for name, value in given.items() if value is not None}
    if given or only:
        plots = [PlotSpecification(**given)]
        _refuse_unknown(
            found, [given[name] for name in ("x", "lines", "panels") if name in given], [*found.columns, "seed"]
        )
        _refuse_unknown(found, [given["y"]] if "y" in given else [], _reports(found))
    else:
        plots = list(found.specification.plots)
    new_console().print(f"Figure in {', '.join(map(str, _draw(found, plots, only, output)))}", soft_wrap=True)


@study.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--value", metavar="NAME", help="Report that is told [all of them, a row for each point].")
@click.option("--rows", metavar="NAME[,NAME...]", help="Columns whose values begin the rows.")
@click.option("--columns", metavar="NAME", help="Column whose values head the columns.")
@click.option("--only", multiple=True, metavar="NAME=VALUE", help="A part of the runs.")
def table(folder: Path, value: str | None, rows: str | None, columns: str | None, only: tuple[str, ...]) -> None:
    """Write what a study has reached so far as a table in Markdown."""
    from .view.study_tables import markdown_overview, markdown_table
    from .view.study_values import part_of

    found = open_study(folder)
    words: dict[str, Any] = {"labels": found.specification.labels, "metrics": _metrics(found)}
    data = part_of(found.table, _entries(only))
    if value is None and rows is None and columns is None:
        click.echo(markdown_overview(data, found.columns, list(found.specification.reports), **words))
        return
    chosen = value or _reports(found)[0]
    names = [name.strip() for name in rows.split(",")] if rows else [n for n in found.columns if n != columns]
    _refuse_unknown(found, [chosen], _reports(found))
    _refuse_unknown(found, [*names, *([columns] if columns else [])], [*found.columns, "seed"])
    click.echo(markdown_table(data, chosen, rows=names, columns=columns, **words))


class _Told(Observer):
    """Shows a study that runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._display: StudyDisplay | None = None
        self._shown: set[str] = set()
        self.bad = 0

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._display is not None:
            self._display.__exit__(None, None, None)

    def planned(self, study: Study, ended: Sequence[StudyRun], left: Sequence[StudyRun]) -> None:
        """See `studies.execution.Observer`."""
        again = sum(each.is_another for each in left)
        told = f"{study.specification.title or study.path.name}: {len(ended) + len(left)} runs"
        told += f", {len(ended)} of them have ended before" if ended else ""
        told += f"; {again} have another specification than before and begin anew" if again else ""
        self._console.print(told, soft_wrap=True)
        work = {} if study.specification.search else {each.name: _work(each) for each in left}
        self._display = StudyDisplay(self._console, len(ended) + len(left), done=len(ended), work=work)
        self._display.__enter__()

    def progress(self, progress: Progress) -> None:
        """See `studies.execution.Observer`."""
        assert self._display is not None
        for name in progress.names:
            if name not in self._shown:
                self._shown.add(name)
                self._display.begin(name, progress.epochs_in_all, progress.epochs)
            alone = len(progress.names) == 1  # else the record is of one of them, and the others have their own
            self._display.update(name, progress.epochs, progress.record if alone else None)

    def ended(self, run: StudyRun, status: str, reason: str) -> None:
        """See `studies.execution.Observer`."""
        assert self._display is not None
        here = run.name in self._shown
        self._shown.discard(run.name)
        self.bad += status in (DIVERGED, FAILED)
        if status == RUNNING or (status == DONE and not here):
            status, reason = "elsewhere", ""
        elif status == DONE:
            tested_on, metrics = tested(run.folder.read_metrics()[-1])
            reason = f"{tested_on} {headline(metrics)}"
        self._display.end(run.name, status, reason)

    def note(self, sentence: str) -> None:
        """See `studies.execution.Observer`."""
        note(sentence)


def _work(run: StudyRun) -> float:
    """How much there is to do, relative to others: biological time, if it is simulated step by step."""
    spec = run.specification
    trial = spec.network.trial
    stepped = spec.backend in ("spiking", "rate", "ode")
    return spec.training.epochs * (trial.t_pres + trial.t_relax if stepped else 1.0)


def _part(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"--part needs I/N with I from 1 to N, such as 2/8, got {text!r}")
    return int(found[1]), int(found[2])


def _entries(only: Sequence[str]) -> dict[str, Any]:
    return {key: value for entry in only for key, value in parse_entry(entry).items()}


def _reports(study: Study) -> list[str]:
    return [*study.specification.reports, "epochs", "wall_s"]


def _metrics(study: Study) -> dict[str, str]:
    return {name: report.metric for name, report in study.specification.reports.items()}


def _refuse_unknown(study: Study, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"{study.path} has no column {name}; {suggestion(name, list(known))}")


def _tell_best(console: Console, study: Study) -> None:
    best = best_of(study)
    if best is None:
        console.print("no trial has come to its end")
        return
    point = ", ".join(f"{name} = {value}" for name, value in best.cell.point.items())
    objective = study.specification.objective
    folder = study.run_of(best.cell, best.cell.seeds[0]).folder.path
    console.print(
        f"best: {best.cell.name} with {objective} {best.value:.4g} ({point}). The test set has not been read; once: "
        f"pyramidal evaluate '{folder}'",
        soft_wrap=True,
    )


def _draw(
    study: Study, plots: Sequence[PlotSpecification], only: Sequence[str] = (), output: Path | None = None
) -> list[Path]:
    """Draw the figures of a study; returns where they are."""
    from .view.studies import search_figure, study_figure
    from .view.study_values import part_of

    spec = study.specification
    data = part_of(study.table, _entries(only))
    words: dict[str, Any] = {"title": spec.title, "labels": spec.labels, "metrics": _metrics(study)}
    if spec.search is not None:
        objective = next((name for name, each in spec.reports.items() if each.metric == spec.objective), None)
        if objective is None:
            raise UserError(f"the figure needs a report of what is searched, such as [report.{spec.objective}]")
        logarithmic = [name for name, v in spec.variables.items() if isinstance(v, Range) and v.log]
        figures = [
            search_figure(
                data, study.columns, objective, logarithmic=logarithmic, maximize=spec.direction == "maximize", **words
            )
        ]
    else:
        reference: dict[str, Any] = {"reference": study.reference}
        if spec.reference is not None:
            reference["reference_label"] = spec.reference.label
        figures = []
        for each in plots:
            plot = spec.completed(each)
            names = {name: getattr(plot, name) for name in ("x", "y", "lines", "panels", "heat")}
            baselines = _baselines(study, plot.y)
            figures.append(study_figure(data, **names, baselines=baselines, **reference, **words))
    places = [output or study.path / f"figure{f'-{i}' if i > 1 else ''}.png" for i in range(1, len(figures) + 1)]
    with exclusively(study.path) if output is None else nullcontext():
        for place, figure in zip(places, figures, strict=True):
            with told(place, f"pyramidal study plot {study.path} draws it"):
                place.parent.mkdir(parents=True, exist_ok=True)
                write_in_one_step(place, partial(figure.savefig, format="png"))
    return places


def _baselines(study: Study, y: str | None) -> dict[str, float]:
    """Yardsticks for a report that is an accuracy or R² of a set."""
    report = study.specification.reports.get(y or "")
    name, _, score = report.metric.partition("_") if report else ("", "", "")
    if score not in ("accuracy", "r2"):
        return {}
    return {words: scores[name] for words, scores in study.baselines.items() if name in scores}
