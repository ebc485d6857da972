# SPDX-License-Identifier: GPL-2.0-or-later
"""What a study varies: lists of values by key of a run, and ranges in which a search looks."""

from __future__ import annotations

import difflib
import json
import keyword
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from ..errors import SpecificationError
from ..networks.parameters import as_tuple
from ..runs.specification import RunSpecification
from ..settings import Settings, explain

SPACES = ("linspace", "logspace")
DIGITS = 12  # significant ones of evenly spaced values, so that 0.1 + 0.2 is 0.3
LARGEST = 1e300  # of evenly spaced values
MOST_RUNS = 10_000  # of a study
#: Columns that every table has.
TAKEN = ("seed", "status", "reason", "epochs", "wall_s", "run")
SIMILAR = 0.85  # of difflib: bakend, but not training_set


@dataclass(frozen=True)
class Axis:
    """Values that move together: one list of [grid], or the lists of a [[zip]].

    Attributes
    ----------
    keys : dict of str to str
        Dotted key of a run, or a name of the user's own, by column of the table.
    values : dict of str to tuple
        Values by column, all of the same length.
    """

    keys: dict[str, str]
    values: dict[str, tuple[Any, ...]]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def points(self) -> list[dict[str, Any]]:
        """Value by column, for each point of the axis."""
        return [{column: values[i] for column, values in self.values.items()} for i in range(len(self))]

    @property
    def naming(self) -> tuple[str, ...]:
        """Columns that tell the points apart: the first that does alone, or all."""
        for column, values in self.values.items():
            if len({text_of(value).casefold() for value in values}) == len(self):
                return (column,)
        return tuple(self.keys)

    @property
    def numbers(self) -> str | None:
        """The first column that has numbers only, if there is one."""
        return next((column for column, values in self.values.items() if all(map(is_number, values))), None)


class Range(Settings):
    """Numbers between two bounds, in which a search looks; whole ones if the bounds are written as such."""

    low: int | float = Field(description="smallest value")
    high: int | float = Field(description="largest value")
    log: bool = Field(default=False, description="whether factors count, not differences")
    step: int | float | None = Field(default=None, gt=0, description="distance of values from low on; none: any value")

    @property
    def is_int(self) -> bool:
        """Whether values are whole numbers."""
        return all(not isinstance(number, float) for number in (self.low, self.high, self.step))

    @property
    def first(self) -> int | float:
        """A value of the range."""
        return self.low

    @model_validator(mode="after")
    def _possible(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low must lie below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be positive with log = true, got {self.low}")
        if self.log and self.step is not None:
            raise ValueError("a range with log = true has no steps: leave step out, or log")
        return self


class Choices(Settings):
    """Values of which a search takes one."""

    choices: Annotated[tuple[Any, ...], BeforeValidator(as_tuple), Field(min_length=1)] = Field(
        description="the values"
    )

    @property
    def first(self) -> Any:
        """A value of the choice."""
        return self.choices[0]


def is_number(value: Any) -> bool:
    """Whether a value is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def axes_of(grid: Mapping[str, Any], zips: Sequence[Mapping[str, Any]]) -> tuple[Axis, ...]:
    """Axes of a study, those of the grid first.

    Raises
    ------
    SpecificationError
        If a leaf is no list of values, lists of a zip differ in length, a point is there twice, or two keys have the same column.
    """
    parts = [("grid", {key: values}) for key, values in _lists(grid, "grid").items()]
    for i, table in enumerate(zips):
        if not (lists := _lists(table, f"zip[{i}]")):
            raise SpecificationError(f"zip[{i}] is empty: give lists that move together, or leave it out")
        parts.append((f"zip[{i}]", lists))
    columns = columns_of([key for _, lists in parts for key in lists])
    return tuple(_axis(place, lists, columns) for place, lists in parts)


def _axis(place: str, lists: Mapping[str, tuple[Any, ...]], columns: Mapping[str, str]) -> Axis:
    if len({len(values) for values in lists.values()}) > 1:
        told = ", ".join(f"{key} has {len(values)}" for key, values in lists.items())
        raise SpecificationError(f"lists of a [[zip]] move together and must be equally long, but in {place} {told}")
    keys = {column: key for column, key in columns.items() if key in lists}
    axis = Axis(keys, {column: lists[key] for column, key in keys.items()})
    points = axis.points()
    for i, point in enumerate(points):
        if point in points[:i]:
            raise SpecificationError(f"{place} has {point_text(point)} twice: leave one out")
    return axis


def _lists(table: Mapping[str, Any], place: str) -> dict[str, tuple[Any, ...]]:
    """Lists of values by dotted key."""
    found = flat(table, place, lambda leaf: any(space in leaf for space in SPACES))
    return {key: _values(leaf, f"{place}.{key}") for key, leaf in found.items()}


def _values(leaf: Any, place: str) -> tuple[Any, ...]:
    if isinstance(leaf, Mapping):
        return _evenly_spaced(leaf, place)
    if not isinstance(leaf, list | tuple) or not leaf:
        raise SpecificationError(
            f"{place} must be a list of values, such as [10, 100], or {{ logspace = [first, last, number] }}, got {leaf!r}"
        )
    return tuple(leaf)


def _evenly_spaced(leaf: Mapping[str, Any], place: str) -> tuple[float, ...]:
    (name, given), *more = leaf.items()
    well = not more and name in SPACES and isinstance(given, list | tuple) and len(given) == 3
    well = well and all(is_number(number) and abs(number) < LARGEST for number in given)
    if not (well and isinstance(given[2], int) and 2 <= given[2] <= MOST_RUNS):
        example = f"{place} = {{ {name if name in SPACES else SPACES[0]} = [1.0, 100.0, 5] }}"
        raise SpecificationError(
            f"write first value, last value, and how many, at least 2: {example}; got {dict(leaf)}"
        )
    first, last, number = given
    if name == "logspace" and min(first, last) <= 0:
        raise SpecificationError(f"{place}: values of logspace must be positive, got {first} and {last}")
    shares = [i / (number - 1) for i in range(number)]
    if name == "logspace":
        exact = [first ** (1.0 - share) * last**share for share in shares]
    else:
        exact = [first * (1.0 - share) + last * share for share in shares]
    values = [float(f"{value:.{DIGITS}g}") for value in exact]
    if isinstance(first, int) and isinstance(last, int) and all(value.is_integer() for value in values):
        return tuple(map(int, values))
    return tuple(values)


def variables_of(space: Mapping[str, Any]) -> dict[str, Range | Choices]:
    """Ranges and choices of a search by dotted key.

    Raises
    ------
    SpecificationError
        If there is none, or one is no possible range or choice.
    """

    def is_leaf(table: Mapping[str, Any]) -> bool:
        return any(not isinstance(table.get(name, {}), Mapping) for name in ("low", "high", "choices"))

    found: dict[str, Range | Choices] = {}
    for key, leaf in flat(space, "search.space", is_leaf).items():
        if not isinstance(leaf, Mapping):
            raise SpecificationError(
                f"search.space.{key} must be a range, such as {{ low = 1, high = 100 }}, or {{ choices = [...] }}, got {leaf!r}"
            )
        model: type[Range] | type[Choices] = Choices if "choices" in leaf else Range
        try:
            found[key] = model.model_validate(dict(leaf))
        except ValidationError as error:
            lines = explain(error, model).splitlines()
            raise SpecificationError("\n".join(f"search.space.{key}: {line}" for line in lines)) from error
    if not found:
        raise SpecificationError(
            "search.space is empty: say what is searched, such as network.neuron.psi = { low = 1, high = 100 }"
        )
    return found


def flat(table: Mapping[str, Any], place: str, is_leaf: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """Leaves of a nested table by dotted key; raises SpecificationError if a table is empty, or a key is there twice."""

    def leaves(inner: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for name, value in inner.items():
            key = f"{path}.{name}" if path else str(name)
            if isinstance(value, Mapping) and not is_leaf(value):
                if not value:
                    raise SpecificationError(f"{place}.{key} is empty: leave it out")
                yield from leaves(value, key)
            else:
                yield key, value

    found: dict[str, Any] = {}
    for key, value in leaves(table, ""):
        if key in found:
            raise SpecificationError(f"{place}.{key} is there twice: leave one out")
        found[key] = value
    return found


def columns_of(keys: Sequence[str]) -> dict[str, str]:
    """Keys by the column that they have in the table, the last part of each.

    Raises
    ------
    SpecificationError
        If two have the same column, one's column is taken, or a name of the user's own cannot be one.
    """
    found: dict[str, str] = {}
    for key in keys:
        column = last_part(key)
        if key == "seed":
            raise SpecificationError("seed is no axis: say which seeds every point has with seeds = [1, 2]")
        if is_own(key):
            refuse_bad_name(key)
        advice = f'a name of your own, which has another column, and say in [set] that {key} = "that name"'
        if column in TAKEN:
            raise SpecificationError(
                f"{key} is the name of a column that every table has: use another one"
                if is_own(key)
                else f"{key} would have the column {column}, which every table has: use {advice}"
            )
        if found.get(column) == key:
            raise SpecificationError(f"{key} is varied twice: leave one out")
        if column in found:
            raise SpecificationError(f"{found[column]} and {key} would both have the column {column}: use {advice}")
        found[column] = key
    return found


def refuse_bad_name(name: str) -> None:
    """Raise SpecificationError if a name of the user's own cannot stand in formulas, or looks like a key of a run."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise SpecificationError(f"{name!r} cannot be a name in formulas: use one word of letters, digits and _")
    close = difflib.get_close_matches(name, RunSpecification.model_fields, n=1, cutoff=SIMILAR)
    if close:
        raise SpecificationError(
            f"{name} is no key of a run; did you mean {close[0]}? A name of your own must differ more"
        )


def is_own(key: str) -> bool:
    """Whether a key is a name of the user's own, and no key of a run."""
    return "." not in key and key not in RunSpecification.model_fields


def last_part(key: str) -> str:
    """What follows the last dot."""
    return key.rpartition(".")[2]


def keys_of_runs(model: type[BaseModel] = RunSpecification, path: str = "") -> Iterator[str]:
    """Dotted keys of all entries that any run has."""
    if path == "network.":
        yield "network.hidden"  # what stands for sizes
    for name, field in model.model_fields.items():
        yield f"{path}{name}"
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from keys_of_runs(inner, f"{path}{name}.")


def points_of(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """All combinations: value by column, the last axis changing fastest.

    Raises
    ------
    SpecificationError
        If there are more than a study can have.
    """
    number = math.prod(len(axis) for axis in axes)
    if number > MOST_RUNS:
        raise SpecificationError(f"the axes have {number} combinations, more than {MOST_RUNS}: vary less, or search")
    return [
        {column: value for part in parts for column, value in part.items()}
        for parts in product(*(axis.points() for axis in axes))
    ]


def text_of(value: Any) -> str:
    """A value as it is written in the name of a folder, the same for 50 and 50.0."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, Mapping):
        return "+".join(f"{key}={text_of(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return "+".join(map(text_of, value))
    return str(value)


def point_text(point: Mapping[str, Any]) -> str:
    """A point in words, such as delay = 0.1, condition = 20 ms."""
    return ", ".join(
        f"{column} = {value if isinstance(value, str) else json.dumps(value, default=str)}"
        for column, value in point.items()
    )
