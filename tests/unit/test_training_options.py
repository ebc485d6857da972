# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of circuits with options: what a run does for them between samples, and that it goes on with all of it."""

from __future__ import annotations

import numpy as np
import pytest

import pynest_tools as pt
from pynest_tools.networks.weights import with_transposed_feedback
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import train, train_seeds

OPTIONS = {
    "masks and biases": {"connectivity": {"up": 0.7, "down": 0.7}, "bias_rate": 1.0, "weights": {"bias": 0.2}},
    "Dale": {"dale": True},
    "dropout": {"connectivity": {"dropout": 0.3}},
    "DropConnect": {"connectivity": {"dropconnect": 0.6}},
    "alignment": {"plasticity": {"down": "alignment", "eta_down": 1e-4, "decay_down": 1e-4}},
    "prediction": {"plasticity": {"down": "prediction", "eta_down": 1e-3}, "neuron": {"g_tuft": 0.06}},
    "transposition": {"plasticity": {"down": "transpose", "eta_pi": 0.0}},
}


def run_of(options, *, backend="steady", epochs=4, **training):
    entries = {"hidden": [6], **options}
    weights = {"up": 0.3, "down": 0.3, **options.get("weights", {})}
    return RunSpecification.for_task(
        "bars",
        {
            "backend": backend,
            "network": entries | {"weights": weights},
            "training": {"epochs": epochs, "test_interval": 2, **training},
        },
    )


@pytest.mark.parametrize("name", list(OPTIONS))
def test_a_run_goes_on_as_if_it_had_never_ended(tmp_path, name):
    """Whole, and in two halves; also with batches, of which the last of an epoch is smaller."""
    spec = run_of(OPTIONS[name], batch_size=5)
    whole = train(spec)
    half = spec.changed({"training": {"epochs": 2}})
    pt.train(half.network, "bars", backend="steady", training=half.training.model_dump(), output=tmp_path / "run")
    resumed = pt.resume(tmp_path / "run", changes={"training": {"epochs": 4}})
    for (matrix, got), (_, wanted) in zip(resumed.weights.named(), whole.weights.named(), strict=True):
        np.testing.assert_array_equal(got, wanted, err_msg=matrix)


def test_transposed_feedback_follows_while_training():
    spec = run_of(OPTIONS["transposition"])
    weights = train(spec).weights
    wanted = with_transposed_feedback(weights, spec.network)
    np.testing.assert_array_equal(weights.down[0], wanted.down[0])
    np.testing.assert_array_equal(weights.pi[0], -weights.down[0])
    assert not np.array_equal(weights.down[0], spec.initial_weights().down[0])


def test_a_learning_rate_of_feedback_has_a_schedule_and_is_told():
    spec = run_of(OPTIONS["prediction"]).changed({"training": {"schedule": {"down": {"kind": "cosine"}}}})
    rates = [record["eta_down"][0] for record in train(spec).records[1:]]
    # middles of epochs 1 and 3 of 4; final + (1 - final) (1 + cos(pi x)) / 2
    assert rates == pytest.approx([1e-3 * (0.02 + 0.98 * 0.5 * (1.0 + np.cos(np.pi * x))) for x in (0.375, 0.875)])


def test_learned_feedback_moves_and_static_feedback_does_not():
    for name in ("alignment", "prediction"):
        spec = run_of(OPTIONS[name])
        result = train(spec)
        assert not np.array_equal(result.weights.down[0], spec.initial_weights().down[0])
        assert result.records[0]["angle"] != result.records[-1]["angle"]
    still = run_of({})
    np.testing.assert_array_equal(train(still).weights.down[0], still.initial_weights().down[0])


@pytest.mark.parametrize("name", ["dropout", "DropConnect", "alignment"])
def test_seeds_that_draw_numbers_are_those_of_runs_of_their_own(name):
    spec = run_of(OPTIONS[name])
    for seed, result in zip((1, 2), train_seeds(spec, (1, 2)), strict=True):
        alone = train(spec.model_copy(update={"seed": seed}))
        np.testing.assert_array_equal(result.weights.up[0], alone.weights.up[0])
