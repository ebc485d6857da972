# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed specification of a study: what its runs have in common, what is varied, what is reported, drawn and compared."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError, ValidationInfo, model_validator

from ..errors import SpecificationError, UserError
from ..networks.parameters import as_tuple
from ..runs.specification import RunSpecification, make_task, read_toml, task_name
from ..settings import Settings, explain, merged, nested, suggestion
from ..tasks import Task
from .axes import (
    MOST_RUNS,
    TAKEN,
    Axis,
    Choices,
    Range,
    axes_of,
    columns_of,
    flat,
    is_number,
    is_own,
    keys_of_runs,
    last_part,
    point_text,
    points_of,
    refuse_bad_name,
    text_of,
    variables_of,
)
from .formula import Formula
from .reports import ReportSpecification, default_reports, refuse_bad_objective, refuse_bad_report, score_of

LONGEST_NAME = 80  # characters of a cell's name
HASH_DIGITS = 8  # of a point, in names that would be longer or not its own


def _seeds(given: Any) -> Any:
    number = given if type(given) is int else len(given) if isinstance(given, list | tuple) else 0
    seeds = range(1, number + 1) if type(given) is int and number <= MOST_RUNS else given
    well = 1 <= number <= MOST_RUNS and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not well or len({*seeds}) < number:
        raise ValueError(f"must be a list such as [1, 2], none twice, or how many, 1 to {MOST_RUNS}; got {given!r}")
    return tuple(seeds)


def _one_or_more(given: Any) -> Any:
    return (given,) if isinstance(given, Mapping) else as_tuple(given)


def _tables(given: Any) -> Any:
    if isinstance(given, Mapping):
        raise ValueError("lists that move together are written below [[zip]], in two brackets: there may be several")
    return as_tuple(given)


class PlotSpecification(Settings):
    """A figure: which columns it shows, and where."""

    x: str | None = Field(default=None, description="column on the x axis; by default the first with numbers")
    y: str | None = Field(default=None, description="report that is shown; by default the first")
    lines: str | None = Field(default=None, description="column with a line for each value; by default the next axis")
    panels: str | None = Field(default=None, description="column with a panel for each value; by default the one after")
    heat: bool = Field(default=False, description="a heat map over x and lines")


class ReferenceSpecification(Settings):
    """Values of others, to compare with."""

    file: str = Field(description="JSON list of records with columns of axes and of reports, beside the study's file")
    label: str = Field(default="reference", description="what it is called in figures and tables")


class SearchSpecification(Settings):
    """A search for the best run, in place of a grid."""

    trials: int = Field(ge=1, le=MOST_RUNS, description="points that are tried")
    sampler: Literal["tpe", "random"] = Field(default="tpe", description="how points are chosen")
    objective: str | None = Field(
        default=None,
        description="key of a record that decides; by default accuracy, R² or apical error of the validation set",
    )
    direction: Literal["maximize", "minimize"] | None = Field(
        default=None, description="by default maximize for accuracy and R², minimize for others"
    )
    prune: bool = Field(default=True, description="end trials early that are worse than the median of former ones")
    seed: int = Field(default=1, ge=0, description="seed of the sampler")
    space: dict[str, Any] = Field(description="ranges and choices by key of a run")


@dataclass(frozen=True)
class Cell:
    """A point of a study, and the runs there.

    Attributes
    ----------
    point : dict
        Value by column, in the order of the axes.
    seeds : tuple of int
        Seeds of its runs.
    name : str
        Its own among the cells of the study, safe for file systems; empty if nothing is varied.
    """

    point: dict[str, Any]
    seeds: tuple[int, ...]
    name: str
    _run: RunSpecification = field(repr=False)

    def specification(self, seed: int) -> RunSpecification:
        """The run with one of the seeds."""
        return self._run.model_copy(update={"seed": seed})

    def run_name(self, seed: int) -> str:
        """Name of the folder of that run."""
        return f"{self.name}-seed{seed}" if self.name else f"seed{seed}"


class StudySpecification(Settings):
    """Everything that determines a study."""

    title: str = Field(default="", description="what the study is about")
    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds)] = Field(
        default=(1,), description="seeds of every point, or how many: 1 ... n"
    )
    where: str | None = Field(
        default=None, description="formula of columns and seed; runs for which it is false are left out"
    )
    base: dict[str, Any] = Field(description="entries of all runs that differ from the defaults of their task")
    grid: dict[str, Any] = Field(default={}, description="lists of values by key, of which there is every combination")
    zip: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_tables)] = Field(
        default=(), description="lists that move together, each table one more axis of the grid"
    )
    set: dict[str, Any] = Field(default={}, description="entries that follow from others, as formulas")
    report: dict[str, ReportSpecification] = Field(default={}, description="columns of the table")
    reference: ReferenceSpecification | None = Field(default=None, description="values to compare with")
    plot: Annotated[tuple[PlotSpecification, ...], BeforeValidator(_one_or_more)] = Field(
        default=(PlotSpecification(),), description="figures"
    )
    labels: dict[str, str] = Field(default={}, description="words with units for columns")
    search: SearchSpecification | None = Field(default=None, description="search instead of a grid")

    _axes: tuple[Axis, ...] = PrivateAttr(())
    _variables: dict[str, Range | Choices] = PrivateAttr({})
    _keys: dict[str, str] = PrivateAttr({})  # by column
    _formulas: dict[str, Formula] = PrivateAttr({})
    _tasks: dict[str, Task] = PrivateAttr(default_factory=dict)
    _cells: list[Cell] = PrivateAttr(default_factory=list)
    _task: Task = PrivateAttr()
    _reference: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @classmethod
    def from_toml(cls, path: str | Path) -> StudySpecification:
        """Read a study from a TOML file; the file of its reference lies beside it.

        Raises
        ------
        SpecificationError
            If a file cannot be read, or describes no possible study; every run of the study is looked at.
        """
        entries = read_toml(path)
        try:
            return cls.from_entries(entries, Path(path).parent)
        except SpecificationError as error:
            raise SpecificationError(f"{path}: {error}") from error

    @classmethod
    def from_entries(cls, entries: Mapping[str, Any], directory: str | Path = ".") -> StudySpecification:
        """The study of nested entries, as `from_toml` finds them in a file of that directory.

        Raises
        ------
        SpecificationError
            If they describe no possible study.
        """
        try:
            return cls.model_validate(dict(entries), context={"directory": Path(directory)})
        except ValidationError as error:
            raise SpecificationError(explain(error, cls)) from error

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What is varied, the grid first; none in a search."""
        return self._axes

    @property
    def variables(self) -> dict[str, Range | Choices]:
        """What is searched, by column; empty without a search."""
        return self._variables

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of what is varied or searched."""
        return tuple(self._keys)

    @property
    def task(self) -> Task:
        """The task of the first run."""
        return self._task

    @property
    def reports(self) -> dict[str, ReportSpecification]:
        """Columns of the table that tell what came out: those of the study, or those that suit its task."""
        return self.report or default_reports(self.task)

    @property
    def plots(self) -> tuple[PlotSpecification, ...]:
        """Figures, with what the study leaves open."""
        return tuple(self.completed(plot) for plot in self.plot)

    @property
    def reference_records(self) -> list[dict[str, Any]]:
        """Values to compare with: records with columns of axes and of reports, and columns that move with those."""
        return [dict(record) for record in self._reference]

    @property
    def objective(self) -> str:
        """Key of a record by which a search decides."""
        given = self.search.objective if self.search else None
        return given or f"validation_{score_of(self.task)}"

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Whether a search looks for the largest or the smallest."""
        if self.search and self.search.direction:
            return self.search.direction
        return "maximize" if self.objective.endswith(("_accuracy", "_r2")) else "minimize"

    def cells(self) -> list[Cell]:
        """Points of the study, the last axis changing fastest; none in a search, which makes its own."""
        return list(self._cells)

    def cell_of(self, params: Mapping[str, Any], number: int) -> Cell:
        """The cell of a trial.

        Parameters
        ----------
        params : mapping of str to object
            Value by column, of all `columns`.
        number : int
            Number of the trial.

        Raises
        ------
        SpecificationError
            If it is no possible run.
        """
        point = {column: params[column] for column in self.columns}
        run = self._run(point).changed({"training": {"final_test": False}})  # the test set must not decide
        return Cell(point, self.seeds, f"trial-{number:04d}", run)

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> StudySpecification:
        if "seed" in self.base:
            raise ValueError(
                "base.seed is for seeds: say which seeds every point has with seeds = [1, 2], before [base]"
            )
        try:
            task_name(self.base)
        except SpecificationError as error:
            raise ValueError(
                'base.task.name is missing: state the task, such as task.name = "bars" in [base]'
            ) from error
        self._read_axes()
        self._read_formulas()
        self._build()
        self._check_reports()
        self._check_plots()
        directory = info.context["directory"] if info.context else Path()
        self._read_reference(directory)
        return self

    def _read_axes(self) -> None:
        if self.search is None:
            self._axes = axes_of(self.grid, self.zip)
            self._keys = {column: key for axis in self._axes for column, key in axis.keys.items()}
            return
        for name in ("grid", "zip", "where"):
            if getattr(self, name):
                raise SpecificationError(
                    f"{name} and search exclude each other: a search chooses its points; leave one out"
                )
        variables = variables_of(self.search.space)
        self._keys = columns_of(list(variables))
        self._variables = {column: variables[key] for column, key in self._keys.items()}

    def _read_formulas(self) -> None:
        """Formulas of [set], each after those whose values it needs."""
        entries = flat(self.set, "set", lambda _: False)
        for key, text in entries.items():
            if key == "seed" or key in self._keys.values():
                raise SpecificationError(
                    f"set.{key} is given by {'seeds' if key == 'seed' else 'the axes'}: leave one out"
                )
            if is_own(key):
                refuse_bad_name(key)
                if key in self.columns:
                    raise SpecificationError(f"set.{key} is a column of the axes already: use another name")
            if not isinstance(text, str):
                raise SpecificationError(f"set.{key} must be a formula in quotes, got {text!r}; or put it into [base]")
        times = Counter(map(last_part, entries))
        key_of = {last_part(key): key for key in entries if times[last_part(key)] == 1}
        key_of = {name: key for name, key in key_of.items() if name not in self.columns}
        formulas = {
            key: _formula(text, f"set.{key}", [*self.columns, *(name for name, own in key_of.items() if own != key)])
            for key, text in entries.items()
        }
        needs = {key: [key_of[name] for name in sorted(f.names) if name in key_of] for key, f in formulas.items()}
        try:
            self._formulas = {key: formulas[key] for key in TopologicalSorter(needs).static_order()}
        except CycleError as error:
            raise SpecificationError(
                f"formulas of [set] need each other in a circle: {', '.join(error.args[1])}"
            ) from error
        used = {name for formula in formulas.values() for name in formula.names}
        for key in (*self._keys.values(), *entries):
            if is_own(key) and key not in used:
                self._refuse_idle(key, used)

    def _refuse_idle(self, name: str, used: Container[str]) -> None:
        """Raise unless a name that no formula uses is only a word for what moves with it."""
        mates = next((axis.keys for axis in self.axes if name in axis.keys), {name: name})
        meant = [key for key in keys_of_runs() if last_part(key) == name]
        if meant or all(is_own(key) and key not in used for key in mates.values()):
            instead = f"write {' or '.join(meant)}, or use it" if meant else "use it"
            raise SpecificationError(
                f"{name} is a name of your own, and changes nothing: {instead} in a formula of [set]"
            )

    def _build(self) -> None:
        """Build every run, so that none fails after others have taken their time."""
        if self.search is not None:
            first = {column: variable.first for column, variable in self._variables.items()}
            self._task = self._run(first).task
            return
        where = None if self.where is None else _formula(self.where, "where", [*self.columns, "seed"])
        points = []
        for point in points_of(self.axes):
            seeds = tuple(seed for seed in self.seeds if where is None or _is_wanted(where, point, seed))
            if seeds:
                points.append((point, seeds))
        if not points:
            raise SpecificationError(f'where = "{self.where}" leaves no run: it is false everywhere')
        if (number := sum(len(seeds) for _, seeds in points)) > MOST_RUNS:
            raise SpecificationError(
                f"the study has {number} runs, more than {MOST_RUNS}: vary less, or take fewer seeds"
            )
        naming = [column for axis in self.axes for column in axis.naming]
        names = _names([{column: point[column] for column in naming} for point, _ in points])
        runs = [self._run(point) for point, _ in points]
        for (point, seeds), name, run in zip(points, names, runs, strict=True):
            self._cells.append(Cell(point, seeds, name, run))
        self._task = runs[0].task

    def _run(self, point: Mapping[str, Any]) -> RunSpecification:
        """The run at a point, with any seed."""
        entries: dict[str, Any] = self.base
        values = dict(point)
        try:
            for column, key in self._keys.items():
                if not is_own(key):
                    entries = merged(entries, nested(key, point[column]))
            for key, formula in self._formulas.items():
                value = _value(formula, values, f"set.{key}")
                values.setdefault(last_part(key), value)
                if not is_own(key):
                    entries = merged(entries, nested(key, value))
            return RunSpecification.for_task(self._made(entries), entries)
        except UserError as error:
            told = str(error)
            raise SpecificationError(f"at {point_text(point)}: {told}" if point else told) from error

    def _made(self, entries: Mapping[str, Any]) -> Task:
        """The task of a run; runs with the same entries share one."""
        key = json.dumps(entries["task"], default=str)
        if key not in self._tasks:
            self._tasks[key] = make_task(task_name(entries), entries["task"])
        return self._tasks[key]

    def _check_reports(self) -> None:
        for name, report in self.reports.items():
            if name in TAKEN or name in self.columns:
                raise SpecificationError(f"the table has a column {name} already: give report.{name} another name")
            refuse_bad_report(report, self.task, f"report.{name}")
        if self.search is not None:
            refuse_bad_objective(self.objective, self.task)

    def _check_plots(self) -> None:
        reports = [*self.reports, "epochs", "wall_s"]
        for i, plot in enumerate(self.plot):
            place = "plot" if len(self.plot) == 1 else f"plot[{i}]"
            for role in ("x", "lines", "panels"):
                column = getattr(plot, role)
                if column is not None and column not in (known := [*self.columns, "seed"]):
                    raise SpecificationError(f"{place}.{role} = {column} is no column; {suggestion(column, known)}")
            if plot.y is not None and plot.y not in reports:
                raise SpecificationError(f"{place}.y = {plot.y} is no report; {suggestion(plot.y, reports)}")
            given = [column for column in (plot.x, plot.lines, plot.panels) if column is not None]
            if len(dict.fromkeys(given)) < len(given):
                raise SpecificationError(f"{place} has a column twice in x, lines and panels: leave one out")
            if plot.heat and self.completed(plot).lines is None:
                raise SpecificationError(f"{place}.heat = true needs two axes, for x and lines: leave heat out")
        known = [*self.columns, *self.reports, *TAKEN]
        for column in self.labels:
            if column not in known:
                raise SpecificationError(f"labels.{column} is no column; {suggestion(column, known)}")

    def completed(self, plot: PlotSpecification) -> PlotSpecification:
        """The figure with what is left open: the first axis with numbers, then the others in their order."""
        given = (plot.x, plot.lines, plot.panels)
        free = [axis for axis in self.axes if not any(column in axis.keys for column in given)]
        x = plot.x
        if x is None:
            axis = next((axis for axis in free if axis.numbers), free[0] if free else None)
            free = [other for other in free if other is not axis]
            x = (axis.numbers or next(iter(axis.keys))) if axis else next(iter(self.variables), "seed")
        rest = iter([next(iter(axis.keys)) for axis in free])
        lines = plot.lines if plot.lines is not None else next(rest, None)
        panels = plot.panels if plot.panels is not None else next(rest, None)
        y = plot.y if plot.y is not None else next(iter(self.reports))
        return plot.model_copy(update={"x": x, "y": y, "lines": lines, "panels": panels})

    def _read_reference(self, directory: Path) -> None:
        if self.reference is None:
            return
        path = directory / self.reference.file
        try:
            records = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SpecificationError(f"reference.file: cannot read {path}: {error}") from error
        if not isinstance(records, list) or not all(isinstance(record, Mapping) for record in records):
            raise SpecificationError(f"reference.file: {path} must hold a list of records, such as [{{...}}, {{...}}]")
        known = [*self.columns, *self.reports]
        for i, record in enumerate(records, start=1):
            place = f"record {i} of {path}"
            for column, value in record.items():
                if column not in known:
                    raise SpecificationError(f"{place} has {column}, which is no column; {suggestion(column, known)}")
                if column in self.reports and value is not None and not is_number(value):
                    raise SpecificationError(f"{place}: {column} must be a number or null, got {value!r}")
                self._refuse_unknown_word(column, value, place)
            if not any(column in self.reports for column in record):
                raise SpecificationError(f"{place} has no report to compare; {suggestion('', list(self.reports))}")
        self._reference = [self._with_mates(record) for record in records]

    def _with_mates(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A record with the columns that follow from its own, since they move with them."""
        found = dict(record)
        for axis in self.axes:
            own = {column: record[column] for column in axis.keys if column in record}
            points = [point for point in axis.points() if own and own.items() <= point.items()]
            for column in axis.keys:
                if points and all(point[column] == points[0][column] for point in points):
                    found[column] = points[0][column]
        return found

    def _refuse_unknown_word(self, column: str, value: Any, place: str) -> None:
        values = next((axis.values[column] for axis in self.axes if column in axis.keys), ())
        words = [word for word in values if isinstance(word, str)]
        if isinstance(value, str) and words and value not in words:
            raise SpecificationError(f"{place}: {column} is never {value!r} in this study; {suggestion(value, words)}")


def _formula(text: str, place: str, known: Sequence[str]) -> Formula:
    try:
        formula = Formula(text)
        formula.refuse_unknown(list(known))
    except UserError as error:
        raise SpecificationError(f'{place} = "{shorten(text, LONGEST_NAME)}": {error}') from error
    return formula


def _value(formula: Formula, values: Mapping[str, Any], place: str) -> Any:
    try:
        return formula(values)
    except UserError as error:
        raise SpecificationError(f'{place} = "{formula.text}": {error}') from error


def _is_wanted(where: Formula, point: Mapping[str, Any], seed: int) -> bool:
    values = {**point, "seed": seed}
    found = _value(where, values, f"at {point_text(values)}: where")
    if not isinstance(found, bool):
        raise SpecificationError(f'where = "{where.text}" must be true or false, got {found!r} at {point_text(values)}')
    return found


def _names(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of points for folders; where two would be the same, or one too long, with a hash of the point."""
    names = [re.sub(r"[^A-Za-z0-9.,_=+-]+", "-", ",".join(f"{c}={text_of(v)}" for c, v in p.items())) for p in points]
    counts = Counter(name.casefold() for name in names)  # some file systems take a and A for the same
    return [
        name
        if len(name) <= LONGEST_NAME and counts[name.casefold()] == 1
        else f"{name[: LONGEST_NAME - HASH_DIGITS - 1]}-{_hash(p)}"
        for name, p in zip(names, points, strict=True)
    ]


def _hash(point: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(point, default=str).encode()).hexdigest()[:HASH_DIGITS]
