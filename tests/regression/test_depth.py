# SPDX-License-Identifier: GPL-2.0-or-later
"""Circuits of several hidden layers learn with the defaults that their tasks have for them."""

import pytest

from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import train_seeds

SEEDS = (1, 2, 3, 4, 5)


@pytest.mark.slow
@pytest.mark.parametrize("n_hidden", [2, 3, 5])
def test_bars_are_learned_at_any_depth(n_hidden):
    changes = {"backend": "steady", "network": {"hidden": [30] * n_hidden}, "training": {"stop_after": 5}}
    spec = RunSpecification.for_task("bars", changes)
    for seed, result in zip(SEEDS, train_seeds(spec, SEEDS), strict=True):
        assert result.diverged is None, f"seed {seed}"
        assert result.stable_from_epoch is not None, f"seed {seed}"
        assert result.stable_from_epoch <= 60, f"seed {seed}"  # 5 to 15 were seen, 35 with 5 hidden layers


@pytest.mark.slow
def test_digits_are_learned_with_three_hidden_layers():
    """Better than the linear classifier's 95.3 %, which 10 of 40 epochs are enough for."""
    changes = {"network": {"hidden": [60] * 3}, "training": {"epochs": 10, "test_interval": 10}}
    results = train_seeds(RunSpecification.for_task("digits", changes), SEEDS[:3])
    for result in results:
        assert (
            result.test["accuracy"] > result.baselines["linear classifier"]["test"] - 0.01
        )  # its standard error: 1.1 %


@pytest.mark.slow
def test_the_weights_that_one_layer_begins_with_do_not_do_for_three():
    """What balance is for: the same run with weights within 1 mV ms, and feedback at random, learns nothing in that time."""
    changes = {
        "backend": "steady",
        "network": {"hidden": [30] * 3, "weights": {"up": 1.0, "down": 1.0, "aligned": False}},
        "training": {"epochs": 40},
    }
    results = train_seeds(RunSpecification.for_task("bars", changes), SEEDS)
    assert all(result.diverged is not None or result.last["accuracy"] < 1.0 for result in results)
