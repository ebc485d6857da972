# SPDX-License-Identifier: GPL-2.0-or-later
"""What depth does to rates, errors and the gradient: docs/theory, "Depth"."""

import numpy as np
import pytest

from pynest_tools.networks.gradient import circuit_gains, descent, predictions
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.steady import SteadyMicrocircuit
from pynest_tools.networks.transfer import transfer
from pynest_tools.networks.weights import initial_weights
from pynest_tools.runs.specification import RunSpecification, SpecificationError

DEPTHS = [1, 2, 3, 4, 5]


def balanced(sizes, beta=2.0, eta=1e-3, **neuron):
    """A circuit whose weights are balanced, nearly linear above threshold for large beta."""
    return Microcircuit.model_validate(
        {
            "sizes": sizes,
            "neuron": {"beta": beta, "gamma": 1.0 / beta, **neuron},
            "weights": {"up": "balanced", "down": "balanced", "aligned": True},
            "plasticity": {"eta_up": eta, "eta_ip": 0.0, "eta_pi": 0.0, "Wmin": -20.0, "Wmax": 20.0},
            "trial": {
                "t_pres": 1.0,
                "t_learn_on": 0.0,
                "t_readout_on": 0.0,
            },  # the change is eta times error times rate
        }
    )


def samples(n_inputs, n_outputs, n=4):
    rng = np.random.default_rng(3)
    return rng.uniform(0.0, 1.0, (n, n_inputs)), rng.uniform(0.0, 1.0, (n, n_outputs))


@pytest.mark.parametrize("slope", [1.0, 0.25])
def test_balanced_rates_keep_their_size(slope):
    """Of rectified cells with any slope, in the mean over weights."""
    n, hidden = 200, 5
    beta = 1000.0  # 1/mV, as good as a rectifier for potentials of some 0.1 mV
    circuit = balanced([n] * (hidden + 2), beta=beta, gamma=slope / beta)
    stimuli, _ = samples(n, n)
    squares = []
    for seed in range(20):
        v = predictions(circuit, initial_weights(circuit, np.random.default_rng(seed)).up, stimuli)
        squares.append(
            [np.mean(transfer(layer, circuit.neuron) ** 2) for layer in v[:-1]] + [np.mean((slope * v[-1]) ** 2)]
        )
    # the mean square of a layer of n rectified cells scatters by sqrt(5 / n) = 16 % about that of the layer before (its fourth moment
    # is 6 times its squared second); six layers and 20 seeds leave 16 % sqrt(6 / 20) = 9 %, of which three are allowed
    np.testing.assert_allclose(np.mean(squares, axis=0), np.mean(stimuli**2), rtol=0.27)


@pytest.mark.parametrize("n_hidden", DEPTHS)
def test_balanced_feedback_gives_every_layer_the_same_step(n_hidden):
    circuit = balanced([9, *[7] * n_hidden, 3], g_nudge=0.02, g_target=0.03)
    gains = circuit_gains(circuit)
    shares = [0.1 / 0.19] * n_hidden + [0.1 / 0.13]  # alpha, of the default conductances
    np.testing.assert_allclose(np.multiply(gains, shares), 0.03 / 0.16, rtol=1e-12)  # lambda_N; roundings


@pytest.mark.parametrize("n_hidden", DEPTHS)
def test_without_a_target_nothing_errs(n_hidden):
    circuit = balanced([6, *[8] * n_hidden, 3])
    weights = initial_weights(circuit, np.random.default_rng(1))
    stimuli, _ = samples(6, 3)
    network = SteadyMicrocircuit(circuit, weights, batch_size=4)
    found = network.run(stimuli, np.full((4, 3), np.nan), learn=True)
    # fixed points are found to 1e-11 mV, and weights of 5 mV ms from 8 cells reach the apical dendrite
    assert np.max(found.apical_error) < 1e-9
    for before, after in zip(weights.up, network.get_weights().up, strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-11)  # eta = 1e-3 times such errors


def distance_from_gradient(n_hidden, g_target):
    """Angle (degrees) of the change of each layer to the gradient, and error of its length over that of eta c times the gradient."""
    circuit = balanced([6, *[20] * n_hidden, 3], g_nudge=0.06, g_target=g_target)
    weights = initial_weights(circuit, np.random.default_rng(1))
    stimuli, targets = samples(6, 3)
    network = SteadyMicrocircuit(circuit, weights, batch_size=4)
    network.run(stimuli, targets, learn=True)
    angles, lengths = [], []
    steepest = descent(circuit, weights.up, stimuli, targets)
    for after, before, slope, gain in zip(
        network.get_weights().up, weights.up, steepest, circuit_gains(circuit), strict=True
    ):
        change, wanted = (after - before) / 1e-3, gain * slope
        cosine = np.sum(change * wanted) / np.linalg.norm(change) / np.linalg.norm(wanted)
        angles.append(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
        lengths.append(abs(np.linalg.norm(change) / np.linalg.norm(wanted) - 1.0))
    return np.array(angles), np.array(lengths)


@pytest.mark.parametrize("n_hidden", DEPTHS)
def test_a_weak_teacher_makes_any_depth_descend_the_gradient(n_hidden):
    """Direction and length of the change in every layer, with feedback larger than the transpose; errors fall as g_target does."""
    strong, weak = (distance_from_gradient(n_hidden, g) for g in (1e-4, 1e-5))
    for a, b in zip(strong, weak, strict=True):
        # a tenth, within the second order of the larger, 1e-4 / 0.13 times loop gains of some 10: a few per cent
        assert np.all(b < 0.11 * a + 1e-5)
    assert np.max(weak[0]) < 0.1
    assert np.max(weak[1]) < 0.01


def test_unbalanced_gains_shrink_with_depth():
    """Of plain transposes, as the test above would not see: each layer below the last loses kappa (1 - lambda) / alpha."""
    circuit = balanced([6, 20, 20, 20, 3])
    bounds = circuit.weight_bounds["up"]
    plain = circuit.model_copy(update={"weights": circuit.weights.model_copy(update={"down": bounds[1:]})})
    gains = circuit_gains(plain)
    kept = 0.06 / 0.19 * (1.0 - 0.06 / 0.19) / (0.1 / 0.19)
    np.testing.assert_allclose(np.divide(gains[:2], gains[1:3]), kept, rtol=1e-12)  # roundings


def test_balanced_feedback_needs_apical_dendrites():
    changes = {"network": {"neuron": {"g_apical": 0.0}, "weights": {"down": "balanced"}}}
    with pytest.raises(SpecificationError, match='"balanced" needs apical dendrites'):
        RunSpecification.for_task("bars", changes)
