# SPDX-License-Identifier: GPL-2.0-or-later
"""Teacher and student: learn the function that another network computes (thesis, "function approximator").

The teacher is what a circuit of 15-15-5 cells says without feedback. For signed inputs s, drawn uniformly from [-1, 1]^15,

    r = gamma log(1 + exp(beta c_1 W_1 s)),    u = c_2 W_2 r,

with W_1 (15 x 15) and W_2 (5 x 15) drawn uniformly from [-1, 1] mV ms, gamma = 0.8 /ms, beta = 1 /mV, and the share of the basal
dendrite in hidden and in output cells, c_1 = g_b / (g_L + g_b + g_a) and c_2 = g_b / (g_L + g_b). Targets are the potentials u (mV).

A rate has no sign: the student has two input cells for each input, max(s, 0) and max(-s, 0), as in the thesis. A student whose weights
from the second are minus those from the first and which has at least 15 hidden cells can be the teacher.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
from pydantic import Field

from .dataset import DatasetTask
from .protocol import Kind
from .samples import FloatArray, Samples

N_INPUTS, N_HIDDEN, N_OUTPUTS = 15, 15, 5  # of the teacher (thesis)
G_L, G_BASAL, G_APICAL = 0.03, 0.1, 0.06  # nS (thesis, table of defaults)
GAMMA, BETA = 0.8, 1.0  # 1/ms, 1/mV (thesis, function approximator)
TRAINING, VALIDATION, TEST = 2000, 500, 500  # samples


class TeacherStudent(DatasetTask):
    """Regression of five potentials on fifteen signed inputs; 2000 samples to learn, 500 to choose by, 500 to test."""

    name: Literal["teacher_student"] = Field(
        default="teacher_student", description="the function that a network of 15-15-5 cells computes"
    )
    teacher_seed: int = Field(default=0, ge=0, description="seed of the teacher's weights and of the samples")

    @property
    def kind(self) -> Kind:
        """Potentials, not classes."""
        return "regression"

    @property
    def n_inputs(self) -> int:
        """Two input cells for each signed input."""
        return 2 * N_INPUTS

    @property
    def n_outputs(self) -> int:
        """Output cells of the teacher."""
        return N_OUTPUTS

    @property
    def target_names(self) -> tuple[str, ...]:
        """The outputs."""
        return tuple(f"output {i} (mV)" for i in range(N_OUTPUTS))

    def training_set(self) -> Samples:
        """Samples that are learned."""
        return _samples(self.teacher_seed).take(slice(TRAINING))

    def validation_set(self) -> Samples:
        """Samples by which models are chosen."""
        return _samples(self.teacher_seed).take(slice(TRAINING, TRAINING + VALIDATION))

    def test_set(self) -> Samples:
        """Samples that decide nothing."""
        return _samples(self.teacher_seed).take(slice(TRAINING + VALIDATION, None))

    def decode(self, potentials: FloatArray) -> FloatArray:
        """The potentials themselves (mV)."""
        return potentials

    @staticmethod
    def default_run() -> dict[str, Any]:
        """Entries of a `RunSpecification` that suit this task: a student of the teacher's size (thesis)."""
        return {
            "backend": "steady",
            "network": {
                "hidden": [N_HIDDEN],
                "neuron": {"beta": BETA, "gamma": GAMMA, "theta": 0.0, "g_nudge": 0.06, "g_target": 0.06},
                "weights": {"up": [1.0, 1.0], "down": 0.3, "aligned": True},
                "plasticity": {"eta_up": [0.25, 0.0025], "eta_ip": "match", "eta_pi": 0.0, "Wmin": -20.0, "Wmax": 20.0},
            },
            "training": {
                "epochs": 100,
                "test_interval": 10,
                "batch_size": 5,
                "schedule": {"up": {"kind": "cosine", "final": 0.02}},
            },
        }


def teacher(s: FloatArray, W_1: FloatArray, W_2: FloatArray) -> FloatArray:
    """Potentials (n, 5) (mV) of the teacher's outputs for signed inputs s (n, 15)."""
    c_hidden, c_output = G_BASAL / (G_L + G_BASAL + G_APICAL), G_BASAL / (G_L + G_BASAL)
    rates = GAMMA * np.log1p(np.exp(BETA * c_hidden * s @ W_1.T))
    return np.asarray(c_output * rates @ W_2.T)


@cache
def _samples(seed: int) -> Samples:
    rng = np.random.default_rng(seed)
    W_1, W_2 = rng.uniform(-1.0, 1.0, (N_HIDDEN, N_INPUTS)), rng.uniform(-1.0, 1.0, (N_OUTPUTS, N_HIDDEN))
    s = rng.uniform(-1.0, 1.0, (TRAINING + VALIDATION + TEST, N_INPUTS))
    return Samples(np.concatenate([np.maximum(s, 0.0), np.maximum(-s, 0.0)], axis=1), teacher(s, W_1, W_2))
