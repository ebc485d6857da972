# SPDX-License-Identifier: GPL-2.0-or-later
"""Self-prediction: the circuit learns to expect its own feedback, with nothing else to do (thesis, "self-predicting state").

Inputs are drawn uniformly, and outputs have no target. Interneurons can learn to copy the layer above them (ip), and apical dendrites
to expect what comes from there (pi), until nothing is left to send back.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from ..settings import Settings
from .protocol import Kind
from .samples import Samples

HELD_OUT = 20  # samples of the validation set, and of the test set
VALIDATION_SEED, TEST_SEED = 20_001, 20_002  # as nobody draws training samples


class SelfPrediction(Settings):
    """Random inputs and free outputs; each epoch has new samples, and two sets of 20 are held out."""

    name: Literal["self_prediction"] = Field(
        default="self_prediction", description="random inputs and free outputs: the circuit learns to predict itself"
    )
    n_inputs: int = Field(default=5, ge=1, description="input cells (thesis)")
    n_outputs: int = Field(default=3, ge=1, description="output cells (thesis)")
    n_samples: int = Field(default=10, ge=1, description="samples of an epoch, new ones in each")
    lo: float = Field(default=0.0, ge=0.0, description="lowest rate of an input, 1/ms")
    hi: float = Field(default=1.0, ge=0.0, description="highest rate of an input, 1/ms")

    @model_validator(mode="after")
    def _lo_is_below_hi(self) -> SelfPrediction:
        if self.lo > self.hi:
            raise ValueError(f"lo = {self.lo} 1/ms is above hi = {self.hi} 1/ms; exchange them")
        return self

    @property
    def kind(self) -> Kind:
        """Outputs are free."""
        return "free"

    def epoch(self, rng: np.random.Generator) -> Samples:
        """New samples.

        Parameters
        ----------
        rng : numpy.random.Generator
            Draws them.
        """
        return self._drawn(rng, self.n_samples)

    def validation_set(self) -> Samples:
        """Samples on which the course of a run is told."""
        return self._drawn(np.random.default_rng(VALIDATION_SEED), HELD_OUT)

    def test_set(self) -> Samples:
        """Samples that decide nothing."""
        return self._drawn(np.random.default_rng(TEST_SEED), HELD_OUT)

    def _drawn(self, rng: np.random.Generator, n: int) -> Samples:
        return Samples(rng.uniform(self.lo, self.hi, (n, self.n_inputs)), np.full((n, self.n_outputs), np.nan))

    @staticmethod
    def default_run() -> dict[str, Any]:
        """Entries of a `RunSpecification` that suit this task: a circuit of 5-8-3 cells whose `up` is static (thesis)."""
        return {
            "network": {
                "hidden": [8],
                "neuron": {"psi": 250.0},
                "weights": {"up": 1.0, "down": 1.0, "ip": 1.0, "pi": 1.0, "self_predicting": False},
                "plasticity": {"eta_up": 0.0, "eta_ip": 0.02375, "eta_pi": 0.05},
                "trial": {"t_learn_on": 10.0},
            },
            "training": {"epochs": 1000, "tests_per_decade": 10},
        }
