# SPDX-License-Identifier: GPL-2.0-or-later
"""Samples: what input cells are shown, and what output cells should say to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """n samples in the order of presentation.

    If several networks are trained side by side, both arrays have a first axis for them.

    Attributes
    ----------
    stimuli : ndarray, shape (n, n_inputs)
        Rates of the input cells (1/ms, normalised).
    targets : ndarray, shape (n, n_outputs)
        Potentials that the output cells should reach (mV); NaN: any.
    """

    stimuli: FloatArray
    targets: FloatArray

    @classmethod
    def from_arrays(cls, x: ArrayLike, y: ArrayLike, *, low: float = 0.0, high: float = 1.0) -> Samples:
        """Samples of arrays of your own.

        Parameters
        ----------
        x : array_like, shape (n, n_inputs)
            Rates of the input cells (1/ms), not negative; inputs of about 0 to 1 suit the default circuit.
        y : array_like
            Whole numbers, shape (n,): classes 0, 1, ..., each with an output cell of its own. Other numbers, shape (n,) or
            (n, n_outputs): potentials that the output cells should reach (mV).
        low, high : float
            Targets of an output cell for all other classes and for its own (mV).

        Raises
        ------
        UserError
            If the arrays are not of this kind.
        """
        stimuli, values = _numbers(x, "x"), np.asarray(y)
        if stimuli.ndim != 2 or len(stimuli) == 0:
            raise UserError(f"x must have one row a sample and one column an input, got shape {stimuli.shape}")
        if len(values) != len(stimuli):
            raise UserError(f"x has {len(stimuli)} samples and y has {len(values)}: give one target for each sample")
        if np.any(stimuli < 0.0):
            row, column = np.argwhere(stimuli < 0.0)[0]
            raise UserError(
                f"x[{row}, {column}] is {stimuli[row, column]:g}: a rate is not negative; shift or split it"
            )
        if np.issubdtype(values.dtype, np.integer):
            if values.ndim != 1 or values.min() < 0:
                raise UserError("classes must be one whole number a sample, 0, 1, ...; for potentials give floats")
            return one_hot(stimuli, values.astype(np.int64), int(values.max()) + 1, low, high)
        targets = _numbers(values, "y")
        return cls(stimuli, targets[:, np.newaxis] if targets.ndim == 1 else targets)

    def __len__(self) -> int:
        """Number of samples."""
        return int(self.stimuli.shape[-2])

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each sample, shape (n,): the index of its largest target."""
        return np.asarray(np.argmax(self.targets, axis=-1))

    def take(self, order: Any) -> Samples:
        """The samples at the indices `order` (or in that slice); stimulus and target of a sample move together."""
        return Samples(self.stimuli[..., order, :], self.targets[..., order, :])


def one_hot(
    stimuli: FloatArray, labels: NDArray[np.int64], n_classes: int, low: float = 0.0, high: float = 1.0
) -> Samples:
    """Samples whose target is `high` at the output of their class and `low` elsewhere.

    Parameters
    ----------
    stimuli : ndarray, shape (n, n_inputs)
        Rates of the input cells (1/ms, normalised).
    labels : ndarray of int, shape (n,)
        Class of each sample, 0 ... n_classes - 1.
    n_classes : int
        Number of outputs.
    low, high : float
        Targets (mV).
    """
    return Samples(stimuli, np.where(np.eye(n_classes, dtype=bool)[labels], high, low))


def _numbers(values: ArrayLike, name: str) -> FloatArray:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} must hold numbers: {error}") from error
    if not np.all(np.isfinite(found)):
        raise UserError(f"{name}{list(map(int, np.argwhere(~np.isfinite(found))[0]))} is not a finite number")
    return found
