# SPDX-License-Identifier: GPL-2.0-or-later
"""Initial weights, the self-predicting state, weights on disk."""

from __future__ import annotations

import numpy as np
import pytest

from pynest_tools.networks.weights import initial_weights
from pynest_tools.runs.specification import InitialWeights, Microcircuit, NeuronParameters, PlasticityParameters

SIZES = (4, 6, 5, 3)


def circuit(**changes):
    return Microcircuit(sizes=SIZES, plasticity=PlasticityParameters(eta_up=0.01), **changes)


def softplus(u):
    return np.logaddexp(0.0, u)


def test_shapes_are_post_by_pre():
    shapes = {name: matrix.shape for name, matrix in initial_weights(circuit(), np.random.default_rng(0)).named()}
    assert shapes == {
        "up_1": (6, 4), "up_2": (5, 6), "up_3": (3, 5),
        "ip_1": (5, 6), "ip_2": (3, 5),
        "pi_1": (6, 5), "pi_2": (5, 3),
        "down_1": (6, 5), "down_2": (5, 3),
    }  # fmt: skip


def test_weights_are_uniform_and_follow_the_seed():
    large = Microcircuit(sizes=[100, 100, 10], weights=InitialWeights(up=[2.0, 0.5], self_predicting=False))
    first, again, other = (initial_weights(large, np.random.default_rng(seed)).up[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert -2.0 <= first.min() < -1.99
    assert 1.99 < first.max() <= 2.0
    assert first.mean() == pytest.approx(0.0, abs=4 * 4.0 / np.sqrt(12 * first.size))  # 4 standard errors
    assert 0.49 < np.max(initial_weights(large, np.random.default_rng(1)).up[1]) <= 0.5


def test_self_prediction_leaves_up_and_down_as_drawn():
    drawn = initial_weights(circuit(weights=InitialWeights(self_predicting=False)), np.random.default_rng(1))
    predicting = initial_weights(circuit(), np.random.default_rng(1))
    for name in ("up", "down"):
        for a, b in zip(getattr(drawn, name), getattr(predicting, name), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("self_predicting", [True, False])
def test_aligned_feedback_is_the_scaled_transpose_and_changes_nothing_else_that_is_drawn(self_predicting):
    bounds = {"up": (1.0, 0.5, 2.0), "down": (0.25, 1.0), "self_predicting": self_predicting}
    drawn, aligned = (
        initial_weights(circuit(weights=InitialWeights(**bounds, aligned=aligned)), np.random.default_rng(1))
        for aligned in (False, True)
    )
    for layer, scale in enumerate((0.5, 0.5)):  # 0.25 / 0.5 and 1.0 / 2.0 mV ms
        np.testing.assert_array_equal(aligned.down[layer], scale * aligned.up[layer + 1].T)
        assert np.max(np.abs(aligned.down[layer])) <= bounds["down"][layer]
        assert np.any(aligned.down[layer] != drawn.down[layer])
        expected = -aligned.down[layer] if self_predicting else drawn.pi[layer]
        np.testing.assert_array_equal(aligned.pi[layer], expected)
    for name in ("up", "ip"):
        for a, b in zip(getattr(drawn, name), getattr(aligned, name), strict=True):
            np.testing.assert_array_equal(a, b)


def test_self_predicting_state_has_no_errors():
    """Steady state by hand, from the inputs upwards with apical dendrites taken at rest; then check that."""
    g_L, g_b, g_a, g_nudge = 0.03, 0.1, 0.07, 0.05  # nS
    neuron = NeuronParameters(g_L=g_L, g_basal=g_b, g_apical=g_a, g_nudge=g_nudge)
    rng = np.random.default_rng(7)
    weights = initial_weights(circuit(neuron=neuron), rng)

    rates = [rng.uniform(0.0, 1.0, SIZES[0])]
    potentials = []
    for up in weights.up:
        g_apical = 0.0 if len(potentials) == len(SIZES) - 2 else g_a  # outputs have no apical dendrite
        potentials.append(g_b * (up @ rates[-1]) / (g_L + g_b + g_apical))
        rates.append(softplus(potentials[-1]))

    for layer in range(len(SIZES) - 2):
        v_basal = weights.ip[layer] @ rates[layer + 1]
        partner = potentials[layer + 1]
        u_interneuron = (g_b * v_basal + g_nudge * partner) / (g_L + g_b + g_nudge)
        np.testing.assert_allclose(g_b * v_basal / (g_L + g_b), u_interneuron, atol=1e-13)  # its own error
        v_apical = weights.down[layer] @ rates[layer + 2] + weights.pi[layer] @ softplus(u_interneuron)
        np.testing.assert_allclose(v_apical, 0.0, atol=1e-13)
