# SPDX-License-Identifier: GPL-2.0-or-later
"""Excitatory and inhibitory cells learn, and stay what they are."""

import numpy as np
import pytest

from pynest_tools.networks.weights import weight_limits
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import train_seeds


@pytest.mark.slow
def test_bars_are_learned_by_excitatory_and_inhibitory_cells():
    changes = {
        "backend": "steady",
        "network": {
            "hidden": [30],
            "dale": True,
            "weights": {"up": 0.5, "down": 0.5, "aligned": True},
            "neuron": {"beta": 8.0, "gamma": 0.125},
            "plasticity": {"eta_up": [0.03, 0.003], "eta_ip": "match", "eta_pi": 0.0, "Wmin": -20.0, "Wmax": 20.0},
        },
        "training": {"epochs": 100, "test_interval": 20, "stop_after": 2},
    }
    spec = RunSpecification.for_task("bars", changes)
    for result in train_seeds(spec, range(1, 6)):
        assert [record["validation_accuracy"] for record in result.records[-2:]] == [1.0, 1.0]
        for name, layers in weight_limits(spec.network).items():
            for matrix, (low, high) in zip(getattr(result.weights, name), layers, strict=True):
                assert np.all((matrix >= low) & (matrix <= high)), name
