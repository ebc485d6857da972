# SPDX-License-Identifier: GPL-2.0-or-later
"""From features to rates of input cells and back, by what the training set is like.

Every encoding is fitted to the features of the training set, of shape (n, features), and has `n_inputs`, `rates(x)` and its inverse.
Rates lie between `low` and `high` (1/ms); values beyond those of the training set are clipped. A feature that is constant in the
training set is kept. Of images, all pixels have one range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .samples import FloatArray

EncodingName = Literal["range", "complement", "quantile", "onoff"]
KNOTS = 1000  # values of a feature that the quantile encoding keeps: ranks are then exact to 0.1 %


class Encoding(Protocol):
    """What every encoding has."""

    @property
    def n_inputs(self) -> int:
        """Number of input cells."""
        ...

    def rates(self, x: FloatArray) -> FloatArray:
        """Rates (n, n_inputs) of features (n, features)."""
        ...

    def inverse(self, rates: FloatArray) -> FloatArray:
        """Features (n, features) of rates (n, n_inputs)."""
        ...


@dataclass(frozen=True, eq=False)
class RangeEncoding:
    """Smallest to largest training value of each feature become `low` to `high`.

    r = low + (high - low) (x - min) / (max - min); inverse x = min + (max - min) (r - low) / (high - low).
    """

    low: float
    high: float
    smallest: FloatArray
    largest: FloatArray

    @classmethod
    def fit(cls, x: FloatArray, low: float, high: float, *, together: bool = False) -> RangeEncoding:
        """Encoding of the training features x; `together`: with one range for all."""
        smallest, largest = x.min(axis=0), x.max(axis=0)
        if together:
            smallest, largest = np.full_like(smallest, smallest.min()), np.full_like(largest, largest.max())
        return cls(low, high, smallest, largest)

    @property
    def n_inputs(self) -> int:
        """One input cell for each feature."""
        return len(self.smallest)

    def rates(self, x: FloatArray) -> FloatArray:
        """Rates (n, features); `low` for constant features."""
        span = self.largest - self.smallest
        share = (x - self.smallest) / np.where(span > 0.0, span, 1.0).astype(span.dtype)
        np.clip(share, 0.0, 1.0, out=share)
        share *= span > 0.0
        return _between(share, self.low, self.high)

    def inverse(self, rates: FloatArray) -> FloatArray:
        """Features (n, features)."""
        return self.smallest + (self.largest - self.smallest) * _share(rates, self.low, self.high)


@dataclass(frozen=True, eq=False)
class ComplementEncoding(RangeEncoding):
    """Two input cells for each feature: that of `RangeEncoding`, and one that falls as the other rises.

    r_up as there, r_down = low + high - r_up; inverse as there, of the mean of r_up and low + high - r_down. First the rising cells
    of all features, then the falling ones. Their sum is constant: it does for the cells what a bias does, which the circuit has not
    (Kriener et al. 2021 present Yin-Yang so).
    """

    @property
    def n_inputs(self) -> int:
        """Two input cells for each feature."""
        return 2 * len(self.smallest)

    def rates(self, x: FloatArray) -> FloatArray:
        """Rates (n, 2 features): rising, then falling."""
        rising = super().rates(x)
        return np.concatenate([rising, self.low + self.high - rising], axis=1)

    def inverse(self, rates: FloatArray) -> FloatArray:
        """Features (n, features)."""
        rising, falling = np.split(np.asarray(rates), 2, axis=1)
        return super().inverse(0.5 * (rising + self.low + self.high - falling))


@dataclass(frozen=True, eq=False)
class QuantileEncoding:
    """The rank of a value among the training values of its feature: every rate between `low` and `high` is about equally frequent.

    r = low + (high - low) q(x), where q is the mean rank of equal values, scaled to 0 for the smallest and 1 for the largest training
    value, and linear between neighbouring values; inverse x = q^-1((r - low) / (high - low)). Of more than 1000 values, 1000 are kept.
    """

    low: float
    high: float
    values: FloatArray  # those of all features, one feature after the other
    ranks: FloatArray  # of these values, 0 ... 1
    ends: NDArray[np.int64]  # where each feature ends

    @classmethod
    def fit(cls, x: FloatArray, low: float, high: float, *, together: bool = False) -> QuantileEncoding:
        """Encoding of the training features x; ranks are those of a feature of its own, `together` or not."""
        tables = [_rank_table(column) for column in x.T]
        values, ranks = (np.concatenate(part) for part in zip(*tables, strict=True))
        return cls(low, high, values, ranks, np.cumsum([len(table[0]) for table in tables]))

    @property
    def n_inputs(self) -> int:
        """One input cell for each feature."""
        return len(self.ends)

    def rates(self, x: FloatArray) -> FloatArray:
        """Rates (n, features); `low` for constant features."""
        columns = [np.interp(x[:, i], values, ranks) for i, (values, ranks) in enumerate(self._tables())]
        return _between(np.stack(columns, axis=1), self.low, self.high)

    def inverse(self, rates: FloatArray) -> FloatArray:
        """Features (n, features)."""
        share = _share(rates, self.low, self.high)
        columns = [np.interp(share[:, i], ranks, values) for i, (values, ranks) in enumerate(self._tables())]
        return np.stack(columns, axis=1)

    def _tables(self) -> list[tuple[FloatArray, FloatArray]]:
        ends = self.ends[:-1]
        return list(zip(np.split(self.values, ends), np.split(self.ranks, ends), strict=True))


@dataclass(frozen=True, eq=False)
class OnOffEncoding:
    """Signed features as two input cells each: one for what is above zero, one for what is below.

    With m, the largest magnitude in the training set, r_on = low + (high - low) max(x, 0) / m, and r_off the same of -x; inverse
    x = m (r_on - r_off) / (high - low). First the on cells of all features, then their off cells. A feature that is always 0 has rate
    `low`.
    """

    low: float
    high: float
    largest: FloatArray  # magnitude of each feature

    @classmethod
    def fit(cls, x: FloatArray, low: float, high: float, *, together: bool = False) -> OnOffEncoding:
        """Encoding of the training features x; `together`: with one magnitude for all."""
        largest = np.maximum(x.max(axis=0), -x.min(axis=0))
        return cls(low, high, np.full_like(largest, largest.max()) if together else largest)

    @property
    def n_inputs(self) -> int:
        """Two input cells for each feature."""
        return 2 * len(self.largest)

    def rates(self, x: FloatArray) -> FloatArray:
        """Rates (n, 2 features): on, then off."""
        share = x / np.where(self.largest > 0.0, self.largest, 1.0).astype(self.largest.dtype)
        share *= self.largest > 0.0
        return _between(np.concatenate([np.clip(share, 0, 1), np.clip(-share, 0, 1)], axis=1), self.low, self.high)

    def inverse(self, rates: FloatArray) -> FloatArray:
        """Features (n, features)."""
        on, off = np.split(np.asarray(rates), 2, axis=1)
        return self.largest * (on - off) / (self.high - self.low)


ENCODINGS: dict[str, Any] = {
    "range": RangeEncoding,
    "complement": ComplementEncoding,
    "quantile": QuantileEncoding,
    "onoff": OnOffEncoding,
}


def _between(share: FloatArray, low: float, high: float) -> FloatArray:
    """Rates of shares 0 ... 1, in place."""
    share *= high - low
    share += low
    return share


def _share(rates: FloatArray, low: float, high: float) -> FloatArray:
    return np.asarray((np.asarray(rates) - low) / (high - low))


def _rank_table(column: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distinct values of a feature, ascending, and their mean ranks scaled to 0 ... 1."""
    values, counts = np.unique(column, return_counts=True)
    middle = np.cumsum(counts) - 0.5 * (counts + 1)  # mean of the ranks 0 ... n - 1 of equal values
    span = middle[-1] - middle[0]
    middle = (middle - middle[0]) / (span or 1.0)
    if len(values) > KNOTS:
        kept = np.linspace(0, len(values) - 1, KNOTS).round().astype(np.int64)
        values, middle = values[kept], middle[kept]
    return values, middle
