# SPDX-License-Identifier: GPL-2.0-or-later
"""From raw features and targets to samples and back, by what the training set is like; kept with a run for the data to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError
from .encoding import ENCODINGS, Encoding, EncodingName
from .protocol import Kind
from .samples import FloatArray, Samples
from .targets import ClassTargets, StatedKind, ValueTargets, kind_of_targets

MANY_NAMES = 8  # names in a note


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """Encoding of features as rates, and of targets as potentials, fitted to a training set.

    Attributes
    ----------
    kind : str
        "classification" or "regression".
    feature_names, target_names : tuple of str
        Columns of the data; empty if they have no names. A classification has one target.
    image_shape : tuple of int, optional
        Rows and columns, if a sample is an image.
    notes : tuple of str
        What the user should know, one sentence each.
    """

    kind: Kind
    encoding: EncodingName
    features: Encoding
    outputs: ClassTargets | ValueTargets
    n_features: int
    feature_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        *,
        kind: StatedKind = "auto",
        encoding: EncodingName = "range",
        low: float = 0.0,
        high: float = 1.0,
        target_low: float = 0.0,
        target_high: float = 1.0,
        feature_names: Sequence[str] = (),
        target_names: Sequence[str] = (),
        image_shape: tuple[int, int] | None = None,
    ) -> Preprocessing:
        """Preprocessing for a training set.

        Parameters
        ----------
        x : array_like, shape (n, features)
            Raw features.
        y : array_like, shape (n,) or (n, n_targets)
            Labels, or values.
        kind : str
            "classification", "regression", or "auto": `kind_of_targets`.
        encoding : str
            "range", "complement", "quantile" or "onoff": see `pynest_tools.tasks.encoding`.
        low, high : float
            Smallest and largest rate of an input cell (1/ms).
        target_low, target_high : float
            Potentials for classes that are not shown and for the one that is, or for the smallest and the largest training value (mV).
        feature_names, target_names : sequence of str
            Names of the columns, for messages and for data to come.
        image_shape : tuple of int, optional
            Rows and columns, if a sample is an image.

        Raises
        ------
        UserError
            If the data cannot be learned; the message says why.
        """
        x = checked_features(x, feature_names)
        y = np.asarray(y)
        check_lengths(x, y)
        found = kind_of_targets(y, kind)
        return cls(
            kind=found,
            encoding=encoding,
            features=ENCODINGS[encoding].fit(x, low, high, together=image_shape is not None),
            outputs=ValueTargets.fit(y, target_low, target_high, target_names)
            if found == "regression"
            else ClassTargets.fit(y, target_low, target_high),
            n_features=x.shape[1],
            feature_names=tuple(feature_names),
            target_names=tuple(target_names),
            image_shape=image_shape,
            notes=_notes(x, feature_names),
        )

    @property
    def n_inputs(self) -> int:
        """Number of input cells."""
        return self.features.n_inputs

    @property
    def n_outputs(self) -> int:
        """Number of output cells."""
        return self.outputs.n_outputs

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in the order of the output cells; a regression has no such attribute."""
        if isinstance(self.outputs, ClassTargets):
            return self.outputs.classes
        raise AttributeError("a regression has no classes")

    def rates(self, x: ArrayLike) -> FloatArray:
        """Rates of the input cells.

        Parameters
        ----------
        x : array_like, shape (n, features)
            Raw features, as many as in the training set. 32-bit numbers give 32-bit rates.

        Returns
        -------
        ndarray, shape (n, n_inputs)
            Rates (1/ms).

        Raises
        ------
        UserError
            If there are other features than in the training set, or one is not finite.
        """
        x = checked_features(x, self.feature_names)
        if x.shape[1] != self.n_features:
            images = f" (images of {_pixels(self.image_shape)})" if self.image_shape else ""
            raise UserError(
                f"a sample has {x.shape[1]} features, and {self.n_features}{images} were learned: "
                "give the same ones, in the same order"
            )
        return self.features.rates(x)

    def inverse(self, rates: ArrayLike) -> FloatArray:
        """Raw features (n, features) that have these rates (n, n_inputs)."""
        return self.features.inverse(np.asarray(rates, dtype=np.float64))

    def targets(self, y: ArrayLike) -> FloatArray:
        """Potentials (n, n_outputs) (mV) for labels (n,) or values (n,) or (n, n_outputs)."""
        return self.outputs.targets(y)

    def decode(self, potentials: FloatArray) -> NDArray[Any]:
        """What potentials (n, n_outputs) (mV) mean: labels (n,), or values (n, n_outputs) in the data's unit."""
        return self.outputs.decode(potentials)

    def samples(self, x: ArrayLike, y: ArrayLike) -> Samples:
        """Samples of raw features and labels or values."""
        rates, targets = self.rates(x), self.targets(y)
        check_lengths(rates, targets)
        return Samples(rates, targets)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as plain arrays, which `numpy.savez` keeps without pickle."""
        return {
            "kind": np.array(self.kind),
            "encoding": np.array(self.encoding),
            "n_features": np.array(self.n_features),
            "feature_names": np.array(self.feature_names, dtype=np.str_),
            "target_names": np.array(self.target_names, dtype=np.str_),
            "image_shape": np.array(self.image_shape or (), dtype=np.int64),
            "notes": np.array(self.notes, dtype=np.str_),
            **{f"features.{name}": np.asarray(value) for name, value in vars(self.features).items()},
            **{f"outputs.{name}": value for name, value in self.outputs.arrays().items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Preprocessing:
        """The same again from `arrays`.

        Raises
        ------
        UserError
            If the arrays are not those of a preprocessing.
        """
        try:
            kind, encoding = str(arrays["kind"]), str(arrays["encoding"])
            of: Any = ValueTargets if kind == "regression" else ClassTargets
            image = tuple(int(n) for n in arrays["image_shape"])
            return cls(
                kind=kind,  # type: ignore[arg-type]
                encoding=encoding,  # type: ignore[arg-type]
                features=ENCODINGS[encoding](**_fields(arrays, "features.")),
                outputs=of.from_arrays(**_fields(arrays, "outputs.")),
                n_features=int(arrays["n_features"]),
                feature_names=tuple(arrays["feature_names"].tolist()),
                target_names=tuple(arrays["target_names"].tolist()),
                image_shape=(image[0], image[1]) if image else None,
                notes=tuple(arrays["notes"].tolist()),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"these are not the arrays of a preprocessing: {error}") from error


def checked_features(x: ArrayLike, names: Sequence[str] = ()) -> FloatArray:
    """Features as numbers of shape (n, features); whole numbers and truth values become 64-bit numbers.

    Raises
    ------
    UserError
        If they are not of this kind, or one is not finite.
    """
    found = np.asarray(x)
    if found.dtype.kind not in "fiub":
        raise UserError(
            f"features must be numbers, got an array of {found.dtype}: replace text by numbers, "
            "categories by columns of 0 and 1"
        )
    if found.ndim != 2:
        raise UserError(f"x must have one row a sample and one column a feature, got shape {found.shape}")
    if found.size == 0:
        raise UserError(f"x is empty: it has {found.shape[0]} samples of {found.shape[1]} features")
    if found.dtype != np.float32:
        found = found.astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        totals = found.sum(axis=0, dtype=np.float64)  # a sum, since a mask of all would take memory
    if not np.all(np.isfinite(totals)):
        for j in range(found.shape[1]):
            bad = np.flatnonzero(~np.isfinite(found[:, j]))
            if len(bad):
                name = f" (column {names[j]!r})" if len(names) == found.shape[1] else ""
                raise UserError(
                    f"x[{bad[0]}, {j}]{name} is {found[bad[0], j]:g}: fill it in or leave the sample out; "
                    f"{len(bad)} samples have no finite number there"
                )
    return found


def check_lengths(x: NDArray[Any], y: NDArray[Any]) -> None:
    """Raise UserError unless there is one target a sample."""
    if y.ndim == 0 or len(x) != len(y):
        raise UserError(
            f"x has {len(x)} samples and y has {y.size if y.ndim == 0 else len(y)}: give one target for each"
        )


def _notes(x: FloatArray, names: Sequence[str]) -> tuple[str, ...]:
    constant = np.flatnonzero(x.min(axis=0) == x.max(axis=0))
    if len(constant) == 0:
        return ()
    shown = [repr(names[i]) if len(names) else str(i) for i in constant[:MANY_NAMES]]
    more = f" and {len(constant) - MANY_NAMES} more" if len(constant) > MANY_NAMES else ""
    if len(constant) == 1:
        return (f"feature {shown[0]} is constant in the training set: it is kept, and tells nothing apart",)
    return (
        f"features {', '.join(shown)}{more} are constant in the training set: they are kept, and tell nothing apart",
    )


def _fields(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, Any]:
    found = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    return {name: value.item() if value.ndim == 0 else value for name, value in found.items()}


def _pixels(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]} pixels"
