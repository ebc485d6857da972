# SPDX-License-Identifier: GPL-2.0-or-later
"""From labels or values to potentials of output cells and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError
from .protocol import Kind
from .samples import FloatArray

StatedKind = Literal["auto", "classification", "regression"]
MANY_VALUES = 20  # distinct whole numbers above which it is not clear that they are classes ...
MANY_OF_ALL = 0.1  # ... if so large a share of the samples differ
SHOWN = 5  # names in a message


def kind_of_targets(y: NDArray[Any], stated: StatedKind = "auto") -> Kind:
    """Whether targets are classes or values.

    Parameters
    ----------
    y : ndarray, shape (n,) or (n, n_targets)
        Targets as they were given.
    stated : str
        What the user says; "auto": numbers that are not whole, and several columns, are values, all else are classes.

    Raises
    ------
    UserError
        If it cannot be told, or cannot be what was stated.
    """
    several = y.ndim == 2 and y.shape[1] > 1
    numbers = np.issubdtype(y.dtype, np.number)
    if stated == "classification" and several:
        raise UserError(
            f"a class is one label a sample, and y has {y.shape[1]} columns: name one of them, "
            "or make labels of them, such as y.argmax(axis=1)"
        )
    if stated == "regression" and not (numbers or several):
        raise UserError(
            f"targets of a regression are numbers, got {_some(y.ravel())}: give numbers or state kind = classification"
        )
    if stated != "auto":
        return stated
    if several:
        return "regression"
    if not numbers:
        return "classification"
    if np.any(y != np.round(y)):
        return "regression"
    distinct = len(np.unique(y))
    if distinct > MANY_VALUES and distinct > MANY_OF_ALL * len(y):
        raise UserError(
            f"the targets are whole numbers with {distinct} different values in {len(y)} samples, which may be classes or "
            "values: state kind = classification or kind = regression"
        )
    return "classification"


def check_finite_targets(y: NDArray[Any]) -> None:
    """Raise UserError if one of the targets (n,) or (n, n_targets) is no finite number."""
    if y.dtype.kind == "f" and not np.all(np.isfinite(y)):
        rows = y.reshape(len(y), -1)
        sample, target = np.argwhere(~np.isfinite(rows))[0]
        which = f"target {target}" if rows.shape[1] > 1 else "the target"
        raise UserError(f"{which} of sample {sample} is {rows[sample, target]:g}: fill it in or leave the sample out")


@dataclass(frozen=True, eq=False)
class ClassTargets:
    """Each class has an output cell, whose target is `high` where the class is shown and `low` elsewhere (mV)."""

    low: float
    high: float
    classes: NDArray[Any]

    @classmethod
    def fit(cls, y: ArrayLike, low: float, high: float) -> ClassTargets:
        """Targets for the classes of the training labels y, in ascending order.

        Raises
        ------
        UserError
            If there are fewer than two.
        """
        classes = _distinct(_labels(y))
        if len(classes) < 2:
            raise UserError(f"all training samples are of one class, {_some(classes)}: there is nothing to tell apart")
        return cls(low, high, classes)

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def indices(self, y: ArrayLike) -> NDArray[np.int64]:
        """Index of each label among the classes, shape (n,).

        Raises
        ------
        UserError
            If a label is none of them.
        """
        labels = _labels(y)
        index = {label: i for i, label in enumerate(self.classes.tolist())}
        found = np.array([index.get(label, -1) for label in labels.tolist()], dtype=np.int64)
        if np.any(found < 0):
            unknown = _distinct(labels[found < 0])
            raise UserError(
                f"the training set has no sample of class {_some(unknown)}, only of {_some(self.classes)}: what is not learned "
                "cannot be told; add such samples to the training set or leave them out"
            )
        return found

    def targets(self, y: ArrayLike) -> FloatArray:
        """Potentials (n, classes) (mV) of labels (n,)."""
        return np.where(np.eye(self.n_outputs, dtype=bool)[self.indices(y)], self.high, self.low)

    def decode(self, potentials: FloatArray) -> NDArray[Any]:
        """Labels (n,) of potentials (n, classes): the class with the largest."""
        return np.asarray(self.classes[np.argmax(potentials, axis=-1)])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The fields as plain arrays."""
        classes = self.classes
        if classes.dtype.hasobject:
            try:
                classes = np.array(json.dumps({"labels": classes.tolist()}))
            except TypeError as error:
                raise UserError(f"labels must be text, numbers or truth values to be kept: {error}") from error
        return {"low": np.array(self.low), "high": np.array(self.high), "classes": classes}

    @classmethod
    def from_arrays(cls, low: float, high: float, classes: Any) -> ClassTargets:
        """The same from `arrays`."""
        if isinstance(classes, str):
            labels = json.loads(classes)["labels"]
            classes = np.empty(len(labels), dtype=object)
            classes[:] = labels
        return cls(low, high, classes)


@dataclass(frozen=True, eq=False)
class ValueTargets:
    """Each value has an output cell; smallest and largest training value become `low` and `high` (mV).

    u = low + (high - low) (y - min) / (max - min), without clipping; inverse y = min + (max - min) (u - low) / (high - low).
    """

    low: float
    high: float
    smallest: FloatArray
    largest: FloatArray

    @classmethod
    def fit(cls, y: ArrayLike, low: float, high: float, names: Sequence[str] = ()) -> ValueTargets:
        """Targets for the training values y of shape (n,) or (n, n_outputs).

        Raises
        ------
        UserError
            If a target is constant.
        """
        values = _values(y)
        smallest, largest = values.min(axis=0), values.max(axis=0)
        for i in np.flatnonzero(smallest == largest):
            name = repr(names[int(i)]) if names else f"number {i}"
            raise UserError(
                f"target {name} is {smallest[i]:g} in every training sample: there is nothing to learn; leave it out"
            )
        return cls(low, high, smallest, largest)

    @property
    def n_outputs(self) -> int:
        """Number of values."""
        return len(self.smallest)

    def targets(self, y: ArrayLike) -> FloatArray:
        """Potentials (n, n_outputs) (mV) of values (n,) or (n, n_outputs)."""
        values = _values(y)
        if values.shape[1] != self.n_outputs:
            raise UserError(f"there are {values.shape[1]} targets a sample, and {self.n_outputs} were learned")
        share = (values - self.smallest) / (self.largest - self.smallest)
        return np.asarray(self.low + (self.high - self.low) * share)

    def decode(self, potentials: FloatArray) -> NDArray[Any]:
        """Values (n, n_outputs) in the data's unit of potentials (n, n_outputs)."""
        share = (np.asarray(potentials) - self.low) / (self.high - self.low)
        return np.asarray(self.smallest + (self.largest - self.smallest) * share)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The fields as plain arrays."""
        return {
            "low": np.array(self.low),
            "high": np.array(self.high),
            "smallest": self.smallest,
            "largest": self.largest,
        }

    @classmethod
    def from_arrays(cls, low: float, high: float, smallest: FloatArray, largest: FloatArray) -> ValueTargets:
        """The same from `arrays`."""
        return cls(low, high, smallest, largest)


def _labels(y: ArrayLike) -> NDArray[Any]:
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise UserError(f"a class is one label a sample, and y has shape {labels.shape}")
    check_finite_targets(labels)
    return labels


def _values(y: ArrayLike) -> FloatArray:
    try:
        values = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"targets of a regression are numbers: {error}") from error
    values = values[:, np.newaxis] if values.ndim == 1 else values
    if values.ndim != 2:
        raise UserError(f"y must have one row a sample and one column a target, got shape {values.shape}")
    check_finite_targets(values)
    return values


def _distinct(labels: NDArray[Any]) -> NDArray[Any]:
    """Distinct labels, ascending; those that cannot be compared by type and text."""
    if not labels.dtype.hasobject:
        return np.unique(labels)
    found = list(dict.fromkeys(labels.tolist()))
    try:
        found.sort()
    except TypeError:
        found.sort(key=lambda label: (type(label).__name__, repr(label)))
    distinct = np.empty(len(found), dtype=object)
    distinct[:] = found
    return distinct


def _some(values: NDArray[Any]) -> str:
    shown = [repr(value) for value in values[:SHOWN].tolist()]
    return ", ".join(shown) + (f" and {len(values) - SHOWN} more" if len(values) > SHOWN else "")
