# SPDX-License-Identifier: GPL-2.0-or-later
"""MNIST-1D: ten signals of 40 points, stretched, shifted and blurred (Greydanus and Kobak 2024, arXiv:2011.14439).

The package of the authors, `mnist1d`, makes the samples with its default arguments: 4000 to learn from and 1000 to test. Signals have
either sign; every point has two input cells, one for its positive and one for its negative part (`encoding.OnOffEncoding`).
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..errors import UserError
from .dataset import DatasetTask, stratified_split
from .encoding import OnOffEncoding
from .samples import FloatArray, Samples, one_hot

POINTS = 40
N_CLASSES = 10
VALIDATION = 0.125  # of the training samples of each class: about 500 of 4000
SPLIT_SEED = 0


class Mnist1d(DatasetTask):
    """About 3500 signals to learn, 500 to choose by, 1000 to test."""

    name: Literal["mnist1d"] = Field(default="mnist1d", description="MNIST-1D, ten kinds of signals of 40 points")
    lo: float = Field(default=0.0, ge=0.0, description="rate of an input at 0 or at the other sign, 1/ms")
    hi: float = Field(default=1.0, ge=0.0, description="rate of an input at the largest magnitude, 1/ms")

    @property
    def n_inputs(self) -> int:
        """Two cells for each point: its positive and its negative part."""
        return 2 * POINTS

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return N_CLASSES

    def training_set(self) -> Samples:
        """Signals that are learned."""
        return self._part(0)

    def validation_set(self) -> Samples:
        """Signals by which models are chosen."""
        return self._part(1)

    def test_set(self) -> Samples:
        """Signals that decide nothing."""
        return self._part(2)

    @staticmethod
    def default_run() -> dict[str, Any]:
        """Entries of a `RunSpecification` that suit this task."""
        return {
            "backend": "steady",
            "network": {
                "hidden": [100],
                "neuron": {"beta": 8.0, "gamma": 0.125, "theta": 0.0, "g_nudge": 0.06, "g_target": 0.06},
                "weights": {"up": [1.0, 0.09], "down": 0.1, "aligned": True},
                "plasticity": {
                    "eta_up": [0.125, 7.5e-6],
                    "eta_ip": "match",
                    "eta_pi": 0.0,
                    "Wmin": -20.0,
                    "Wmax": 20.0,
                },
            },
            "training": {
                "epochs": 100,
                "test_interval": 10,
                "batch_size": 5,
                "schedule": {"up": {"kind": "cosine", "final": 0.02}},
            },
        }

    def _part(self, which: int) -> Samples:
        parts = _signals()
        encoding = OnOffEncoding.fit(parts[0][0], self.lo, self.hi, together=True)
        signals, labels = parts[which]
        return one_hot(encoding.rates(signals), labels, N_CLASSES)


@cache
def _signals() -> list[tuple[FloatArray, NDArray[np.int64]]]:
    """Signals (n, 40) and labels (n,) of training, validation and test set."""
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ImportError as error:
        raise UserError(
            "the task mnist1d needs the package of that name, which makes its samples: pip install 'nest-pyramidal[mnist1d]'"
        ) from error
    states = np.random.get_state(), random.getstate()  # noqa: NPY002 -- the package seeds what belongs to everybody
    try:
        made = make_dataset(get_dataset_args())
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
    x, y = np.asarray(made["x"], dtype=np.float64), np.asarray(made["y"], dtype=np.int64)
    training, validation = stratified_split(y, [VALIDATION], np.random.default_rng(SPLIT_SEED))
    test = np.asarray(made["x_test"], dtype=np.float64), np.asarray(made["y_test"], dtype=np.int64)
    return [(x[training], y[training]), (x[validation], y[validation]), test]
