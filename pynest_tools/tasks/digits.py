# SPDX-License-Identifier: GPL-2.0-or-later
"""Digits: scikit-learn's bundled handwritten digits, 8 x 8 pixels (UCI, Alpaydin & Kaynak 1998)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from .dataset import DatasetTask, stratified_split
from .deep import deep_network
from .samples import Samples, one_hot

LARGEST_PIXEL = 16.0  # pixels of the data set count 0 ... 16
TEST, VALIDATION = 0.2, 0.1  # parts of each class


class Digits(DatasetTask):
    """1797 images of the digits 0 to 9; a fifth of each class is held out for testing, a tenth for validation."""

    name: Literal["digits"] = Field(default="digits", description="scikit-learn's handwritten digits of 8 x 8 pixels")
    lo: float = Field(default=0.0, ge=0.0, description="rate of an input at a white pixel, 1/ms")
    hi: float = Field(default=1.0, ge=0.0, description="rate of an input at a black pixel, 1/ms")
    split_seed: int = Field(
        default=0, ge=0, description="seed of the split; apart from the run's, so that runs compare"
    )

    @property
    def n_inputs(self) -> int:
        """Number of pixels."""
        return 64

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return 10

    def training_set(self) -> Samples:
        """The images that may be learned."""
        return self._subset(0)

    def validation_set(self) -> Samples:
        """The images by which models are chosen."""
        return self._subset(2)

    def test_set(self) -> Samples:
        """The images that decide nothing."""
        return self._subset(1)

    @staticmethod
    def default_run() -> dict[str, Any]:
        """Entries of a `RunSpecification` that suit this task."""
        return {
            "network": {
                "sizes": [64, 60, 10],
                # few spikes at rest, and dendrites slow enough to average over what there is
                "neuron": {
                    "gamma": 0.33,
                    "beta": 3.0,
                    "theta": 0.3,
                    "psi": 50.0,
                    "tau_basal": 3.0,
                    "tau_apical": 3.0,
                },
                "plasticity": {
                    "eta_up": [0.2, 0.005],
                    "eta_ip": 0.04,
                    "eta_pi": 0.004,
                    "tau_s": 3.0,
                    "Wmin": -1.0,
                    "Wmax": 1.0,
                },
                # strong random feedback would turn the noise of the spikes into drift of the weights
                "weights": {"up": [0.5, 0.1], "down": 0.05, "ip": 0.1, "pi": 0.05},
                "trial": {
                    "t_pres": 14.0,
                    "t_learn_on": 8.0,
                    "t_readout_on": 8.0,
                    "t_pres_test": 50.0,
                    "t_readout_on_test": 25.0,
                },
            },
            "training": {"epochs": 15, "test_interval": 3},
        }

    @staticmethod
    def deep_run(hidden: Sequence[int]) -> dict[str, Any]:
        """Entries of a `RunSpecification` that suit this task with several hidden layers, found for steady states."""
        network = deep_network(hidden, first=0.025, others=0.015, beta=8.0)
        return {
            "backend": "steady",
            "network": {
                **network,
                "neuron": {
                    **network["neuron"],
                    "g_nudge": 0.03,
                },  # weak, or the loops of many layers weaken the teacher
                "trial": {
                    "t_pres": 50.0,
                    "t_learn_on": 10.0,
                    "t_readout_on": 35.0,
                    "t_pres_test": 50.0,
                    "t_readout_on_test": 35.0,
                },
            },
            "training": {
                "epochs": 40,
                "test_interval": 5,
                "batch_size": 5,
                "schedule": {"up": {"kind": "cosine"}},
            },
        }

    def _subset(self, part: int) -> Samples:
        pixels, labels = _images()
        chosen = _split(self.split_seed)[part]
        rates = self.lo + (self.hi - self.lo) * pixels / LARGEST_PIXEL
        return one_hot(rates[chosen], labels[chosen], self.n_outputs)


@cache
def _images() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All images (1797, 64), pixels 0 ... 16, and their labels (1797,)."""
    from sklearn.datasets import load_digits  # slow to import

    data = load_digits()
    return np.asarray(data.data, dtype=np.float64), np.asarray(data.target, dtype=np.int64)


@cache
def _split(seed: int) -> list[NDArray[np.int64]]:
    """Indices of the images of training, test and validation set, with the same share of each class."""
    return stratified_split(_images()[1], [TEST, VALIDATION], np.random.default_rng(seed))
