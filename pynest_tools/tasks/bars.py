# SPDX-License-Identifier: GPL-2.0-or-later
"""Bars: tell horizontal, vertical and diagonal bars of 3 x 3 pixels apart (thesis, "bars")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ..settings import Settings
from .dataset import yardsticks
from .deep import deep_network
from .samples import Samples, one_hot

SIDE = 3  # pixels
PRESENTATIONS = 3  # of each pattern in an epoch (thesis: 24 samples)
HORIZONTAL, VERTICAL, DIAGONAL = range(3)


class Bars(Settings):
    """Three horizontal, three vertical and two diagonal bars, to be told apart by kind."""

    name: Literal["bars"] = Field(
        default="bars", description="3 horizontal, 3 vertical and 2 diagonal bars of 3 x 3 pixels"
    )
    lo: float = Field(default=0.1, ge=0.0, description="rate of an input off the bar, 1/ms (thesis)")
    hi: float = Field(default=1.0, ge=0.0, description="rate of an input on the bar, 1/ms (thesis)")

    @property
    def n_inputs(self) -> int:
        """Number of pixels."""
        return SIDE * SIDE

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return 3

    def validation_set(self) -> Samples:
        """The same as the test set: the 8 patterns are all that there are, for training too."""
        return self.test_set()

    def test_set(self) -> Samples:
        """The 8 patterns, once each."""
        lines = np.eye(SIDE)
        horizontal = [np.outer(line, np.ones(SIDE)) for line in lines]
        vertical = [np.outer(np.ones(SIDE), line) for line in lines]
        diagonal = [lines, lines[::-1]]
        on = np.array([*horizontal, *vertical, *diagonal]).reshape(-1, self.n_inputs)
        labels = np.repeat([HORIZONTAL, VERTICAL, DIAGONAL], [SIDE, SIDE, 2])
        return one_hot(np.where(on > 0, self.hi, self.lo), labels, self.n_outputs)

    def epoch(self, rng: np.random.Generator) -> Samples:
        """One epoch: each pattern three times, shuffled.

        Parameters
        ----------
        rng : numpy.random.Generator
            Decides the order.
        """
        patterns = self.test_set()
        order = np.tile(np.arange(len(patterns)), PRESENTATIONS)
        return patterns.take(rng.permutation(order))

    def baselines(self) -> dict[str, dict[str, float]]:
        """Accuracy of a logistic regression, and of always answering the most frequent class.

        No linear classifier can tell bars apart: the three horizontal ones add up to the same as the three vertical ones.
        """
        patterns = self.test_set()
        return yardsticks("classification", patterns, validation=patterns, test=patterns)

    @staticmethod
    def default_run() -> dict[str, Any]:
        """Entries of a `RunSpecification` that suit this task (thesis: 9-30-3 and its table of defaults)."""
        return {"network": {"sizes": [9, 30, 3]}, "training": {"epochs": 200, "test_interval": 10}}

    @staticmethod
    def deep_run(hidden: Sequence[int]) -> dict[str, Any]:
        """Entries of a `RunSpecification` that suit this task with several hidden layers, found for steady states and rates."""
        network = deep_network(hidden, first=0.1, others=0.024, beta=4.0)
        return {
            "backend": "steady",
            "network": {
                **network,
                "neuron": {**network["neuron"], "tau_apical": 5.0},  # which averages over noise
                "trial": {"t_learn_on": 20.0},  # when these dendrites have settled
            },
            "training": {"epochs": 60, "test_interval": 5, "schedule": {"up": {"kind": "cosine"}}},
        }
