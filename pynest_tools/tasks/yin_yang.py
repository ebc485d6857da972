# SPDX-License-Identifier: GPL-2.0-or-later
"""Yin-Yang: points in the plane, three classes that no line divides (Kriener, Göltz and Petrovici 2021, arXiv:2102.08211).

With R the radius of the big circle around (R, R), r that of the small dots, d_left and d_right the distances of a point from the
centres of the dots, (R/2, R) and (3R/2, R):

- dot: d_left < r or d_right < r;
- yin: no dot, and r < d_left <= R/2, or y > R and d_right > R/2;
- yang: everything else in the circle.

Each sample draws its class first and then points in the square until one lies in it, so that the classes are equally frequent although
their areas are not. Random numbers are drawn as by the authors' generator: with the same seeds these are its samples.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from .dataset import DatasetTask
from .samples import FloatArray, Samples, one_hot

R, DOT = 0.5, 0.1  # radius of the circle and of the dots (authors' recipe)
TRAINING, VALIDATION, TEST = (5000, 42), (1000, 41), (1000, 40)  # samples and seeds (authors' recipe)
YANG, YIN, DOTS = range(3)


class YinYang(DatasetTask):
    """5000 points to learn, 1000 to choose by, 1000 to test; inputs x, y, 1 - x, 1 - y."""

    name: Literal["yin_yang"] = Field(default="yin_yang", description="points of the Yin-Yang figure, in three classes")
    lo: float = Field(default=0.0, ge=0.0, description="rate of an input at coordinate 0, 1/ms")
    hi: float = Field(default=1.0, ge=0.0, description="rate of an input at coordinate 1, 1/ms")
    span: float = Field(default=3.0, gt=0.0, description="target of the class shown, mV; that of the others is 0")

    @property
    def n_inputs(self) -> int:
        """Two coordinates, and what is left of each to 1."""
        return 4

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return 3

    def training_set(self) -> Samples:
        """The points that are learned."""
        return self._samples(*TRAINING)

    def validation_set(self) -> Samples:
        """The points by which models are chosen."""
        return self._samples(*VALIDATION)

    def test_set(self) -> Samples:
        """The points that decide nothing."""
        return self._samples(*TEST)

    @staticmethod
    def default_run() -> dict[str, Any]:
        """Entries of a `RunSpecification` that suit this task, found for steady states.

        A steep transfer function for sharp borders, feedback that starts as the transpose of the forward weights, and a last layer
        that learns so slowly that it stays so.
        """
        return {
            "backend": "steady",
            "network": {
                "hidden": [120],
                "neuron": {"beta": 8.0, "gamma": 0.125, "theta": 0.0, "g_nudge": 0.06, "g_target": 0.06},
                "weights": {"up": [2.0, 0.5], "down": 0.1, "aligned": True},
                "plasticity": {"eta_up": [0.105, 1e-5], "eta_ip": 3.5e-5, "eta_pi": 0.0, "Wmin": -20.0, "Wmax": 20.0},
            },
            "training": {
                "epochs": 300,
                "test_interval": 10,
                "batch_size": 2,
                "schedule": {
                    "up": {"kind": "cosine", "final": 0.02, "warmup": [3.0, 0.0]},
                    "ip": {"kind": "cosine", "final": 0.02},
                },
            },
        }

    def _samples(self, n: int, seed: int) -> Samples:
        points, labels = _points(n, seed)
        inputs = np.concatenate([points, 1.0 - points], axis=1)
        return one_hot(self.lo + (self.hi - self.lo) * inputs, labels, self.n_outputs, high=self.span)


def label_of(x: float, y: float) -> int:
    """Class of a point in the circle."""
    d_left, d_right = (np.hypot(x - centre, y - R) for centre in (0.5 * R, 1.5 * R))
    if d_left < DOT or d_right < DOT:
        return DOTS
    return YIN if d_left <= 0.5 * R or (y > R and d_right > 0.5 * R) else YANG


@cache
def _points(n: int, seed: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Points (n, 2) and their classes (n,)."""
    rng = np.random.RandomState(seed)  # the authors' generator of random numbers
    points, labels = np.empty((n, 2)), np.empty(n, dtype=np.int64)
    for i in range(n):
        labels[i] = rng.randint(3)
        while True:
            x, y = 2.0 * R * rng.rand(2)
            if np.hypot(x - R, y - R) <= R and label_of(x, y) == labels[i]:
                break
        points[i] = x, y
    return points, labels
