# SPDX-License-Identifier: GPL-2.0-or-later
"""Autoencoder: say again what is shown, through fewer cells (lecture "Plasticity as optimization": the target is the input).

Output i has the target u_i = span x_i (mV), where x_i in 0 ... 1 is pixel i of the image that the inputs show.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from .dataset import DatasetTask
from .digits import LARGEST_PIXEL, Digits
from .protocol import Kind
from .samples import FloatArray, Samples

HIDDEN = 16  # cells of the bottleneck of the default circuit


class Autoencoder(DatasetTask):
    """Regression of the 64 pixels of a digit on themselves; the split is that of the task digits."""

    name: Literal["autoencoder"] = Field(
        default="autoencoder", description="digits of 8 x 8 pixels, to be said again through fewer cells"
    )
    span: float = Field(default=1.0, gt=0.0, description="target of an output at a black pixel, mV; at a white one 0")
    split_seed: int = Field(
        default=0, ge=0, description="seed of the split; apart from the run's, so that runs compare"
    )

    @property
    def kind(self) -> Kind:
        """Pixels, not classes."""
        return "regression"

    @property
    def n_inputs(self) -> int:
        """Number of pixels."""
        return 64

    @property
    def n_outputs(self) -> int:
        """Number of pixels."""
        return 64

    def training_set(self) -> Samples:
        """Images that are learned."""
        return self._same(self._digits.training_set())

    def validation_set(self) -> Samples:
        """Images by which models are chosen."""
        return self._same(self._digits.validation_set())

    def test_set(self) -> Samples:
        """Images that decide nothing."""
        return self._same(self._digits.test_set())

    def decode(self, potentials: FloatArray) -> FloatArray:
        """Pixels 0 ... 16 (n, 64) of potentials (n, 64) (mV)."""
        return np.asarray(LARGEST_PIXEL / self.span * potentials)

    def baselines(self) -> dict[str, dict[str, float]]:
        """R² of as many principal components as the default circuit has hidden cells, and of the mean of the training images.

        Principal components are the best that a linear autoencoder can do. Without a bottleneck a linear model would be perfect.
        """
        from sklearn.decomposition import PCA  # slow to import
        from sklearn.metrics import r2_score

        train, parts = self.training_set(), {"validation": self.validation_set(), "test": self.test_set()}
        components = PCA(HIDDEN, svd_solver="full").fit(train.targets)
        scores: dict[str, dict[str, float]] = {f"PCA ({HIDDEN})": {}, "mean": {}}
        for part, samples in parts.items():
            x = samples.targets
            said = components.inverse_transform(components.transform(x)), np.broadcast_to(components.mean_, x.shape)
            for name, values in zip(scores, said, strict=True):
                scores[name][part] = float(r2_score(x, values, multioutput="variance_weighted"))
        return scores

    @staticmethod
    def default_run() -> dict[str, Any]:
        """Entries of a `RunSpecification` that suit this task."""
        return {
            "backend": "steady",
            "network": {
                "hidden": [HIDDEN],
                "neuron": {"beta": 1.0, "gamma": 0.8, "theta": 0.0, "g_nudge": 0.06, "g_target": 0.06},
                "weights": {"up": [0.4, 0.3], "down": 0.1, "aligned": True},
                "plasticity": {"eta_up": [0.05, 2e-4], "eta_ip": "match", "eta_pi": 0.0, "Wmin": -20.0, "Wmax": 20.0},
            },
            "training": {
                "epochs": 100,
                "test_interval": 10,
                "batch_size": 5,
                "schedule": {"up": {"kind": "cosine", "final": 0.02}},
            },
        }

    @property
    def _digits(self) -> Digits:
        return Digits(split_seed=self.split_seed)

    def _same(self, samples: Samples) -> Samples:
        return Samples(samples.stimuli, self.span * samples.stimuli)
