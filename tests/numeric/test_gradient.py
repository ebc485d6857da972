# SPDX-License-Identifier: GPL-2.0-or-later
"""The circuit descends the gradient of a loss: backpropagation, the limit of weak nudging, and the loss itself."""

import numpy as np
import pytest
from scipy.integrate import quad

from pynest_tools.networks.backend import Weights
from pynest_tools.networks.backprop import BackpropNetwork
from pynest_tools.networks.gradient import circuit_gains, descent, predictions
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.steady import SteadyMicrocircuit
from pynest_tools.networks.transfer import transfer, transfer_slope
from pynest_tools.networks.weights import initial_weights, self_predicting_weights

CELLS = {"gamma": 0.8, "beta": 1.3, "theta": 0.2, "g_L": 0.04, "g_basal": 0.12, "g_apical": 0.07}


def circuit_of(sizes, eta=1.0, **neuron):
    return Microcircuit.model_validate(
        {
            "sizes": sizes,
            "neuron": {**CELLS, **neuron},
            "plasticity": {"eta_up": eta, "eta_ip": 0.0, "eta_pi": 0.0},
            "trial": {
                "t_pres": 1.0,
                "t_learn_on": 0.0,
                "t_readout_on": 0.0,
            },  # the change is eta times error times rate
        }
    )


def symmetric_weights(circuit, seed=1):
    """Self-predicting, with W_down = W_up^T."""
    drawn = initial_weights(circuit, np.random.default_rng(seed))
    back = [np.ascontiguousarray(up.T) for up in drawn.up[1:]]
    return self_predicting_weights(Weights(drawn.up, drawn.ip, drawn.pi, back), circuit)


def softplus(x):
    return max(x, 0.0) + np.log1p(np.exp(-abs(x)))


def rate(u):
    return CELLS["gamma"] * softplus(CELLS["beta"] * (u - CELLS["theta"]))


def loss(up, stimulus, target):
    """Bregman divergence between target and output of one sample, by quadrature, cell by cell."""
    hidden = CELLS["g_basal"] / (CELLS["g_L"] + CELLS["g_basal"] + CELLS["g_apical"])
    rates = stimulus
    for matrix in up[:-1]:
        rates = np.array([rate(hidden * sum(w * r for w, r in zip(row, rates))) for row in matrix])
    output = CELLS["g_basal"] / (CELLS["g_L"] + CELLS["g_basal"]) * (up[-1] @ rates)
    return sum(quad(lambda s, v=v: rate(s) - rate(v), v, t, epsabs=1e-13)[0] for v, t in zip(output, target))


@pytest.mark.parametrize("sizes", [(4, 5, 3), (4, 5, 3, 2)])
def test_backpropagation_is_the_slope_of_the_loss(sizes):
    circuit = circuit_of(sizes)
    rng = np.random.default_rng(2)
    up = initial_weights(circuit, rng).up
    stimulus, target = rng.uniform(0.0, 1.0, sizes[0]), rng.uniform(-1.0, 1.0, sizes[-1])
    found = descent(circuit, up, stimulus[np.newaxis], target[np.newaxis])
    step = 1e-4
    for layer, matrix in enumerate(up):
        for index in np.ndindex(matrix.shape):
            losses = []
            for sign in (1.0, -1.0):
                moved = [m.copy() for m in up]
                moved[layer][index] += sign * step
                losses.append(loss(moved, stimulus, target))
            slope = (losses[0] - losses[1]) / (2.0 * step)
            # the central difference is good to step^2 = 1e-8 times third derivatives of order 1, the losses to 1e-13 / step
            assert found[layer][index] == pytest.approx(-slope, abs=2e-8)


def test_slope_of_the_transfer_function():
    circuit = circuit_of((2, 2, 2))
    u = np.linspace(-60.0, 60.0, 241)
    step = 1e-5
    difference = (transfer(u + step, circuit.neuron) - transfer(u - step, circuit.neuron)) / (2.0 * step)
    np.testing.assert_allclose(transfer_slope(u, circuit.neuron), difference, rtol=1e-6, atol=1e-9)
    assert np.array_equal(
        transfer_slope(np.array([-2000.0, 2000.0]), circuit.neuron), [0.0, CELLS["gamma"] * CELLS["beta"]]
    )


def changes_of_the_circuit(circuit, weights, stimuli, targets):
    """What the samples change in `up`, per unit of eta."""
    eta = circuit.eta_up[0]
    network = SteadyMicrocircuit(circuit, weights, batch_size=len(stimuli))
    network.run(stimuli, targets, learn=True)
    return [(after - before) / eta for after, before in zip(network.get_weights().up, weights.up)]


def angle(a, b):
    """Between two matrices (degrees)."""
    return np.degrees(np.arccos(np.clip(np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b), -1.0, 1.0)))


@pytest.mark.parametrize("nudging", ["g_nudge", "g_target"])
@pytest.mark.parametrize("sizes", [(6, 8, 3), (6, 8, 5, 3), (6, 7, 6, 5, 3)], ids=["1 hidden", "2 hidden", "3 hidden"])
def test_weakly_nudged_circuit_descends_the_gradient(sizes, nudging):
    """Direction and length of the change of every layer, and both errors fall in proportion to the nudging.

    That of the teacher alone is enough, however strongly partners nudge their interneurons.
    """
    rng = np.random.default_rng(3)
    stimuli, targets = rng.uniform(0.0, 1.0, (4, sizes[0])), rng.uniform(-1.0, 1.0, (4, sizes[-1]))
    angles, lengths = [], []
    for g in (1e-2, 1e-3, 1e-4):
        circuit = circuit_of(sizes, eta=1e-3, **{nudging: g})
        weights = symmetric_weights(circuit)
        changes = changes_of_the_circuit(circuit, weights, stimuli, targets)
        steepest = descent(circuit, weights.up, stimuli, targets)
        angles.append([angle(a, b) for a, b in zip(changes, steepest)])
        gains = circuit_gains(circuit)
        lengths.append([np.linalg.norm(a) / np.linalg.norm(c * b) - 1 for a, b, c in zip(changes, steepest, gains)])
    assert np.max(angles[-1]) < 1.0
    assert np.max(np.abs(lengths[-1])) < 0.01
    for errors in (np.abs(angles), np.abs(lengths)):
        # first order in g: ten times less each, within the second order of the largest, 10 %
        assert np.all(errors[2] < 0.13 * errors[1] + 1e-3)
        assert np.all(errors[1] < 0.2 * errors[0] + 1e-3)


def misfits_after_learning(eta_ip, share_of_match):
    """How far W_ip is from f W_up after one step from the self-predicting start, with ever weaker teachers (mV ms)."""
    found = []
    for g_target in (1e-2, 1e-3, 1e-4):
        circuit = circuit_of((6, 8, 5, 3), g_target=g_target)
        plasticity = circuit.plasticity.model_copy(update={"eta_up": (0.03, 0.02, 0.01), "eta_ip": eta_ip})
        circuit = circuit.model_copy(update={"plasticity": plasticity})
        if share_of_match is not None:
            rates = tuple(share_of_match * eta for eta in circuit.eta_ip)
            circuit = circuit.model_copy(update={"plasticity": plasticity.model_copy(update={"eta_ip": rates})})
        rng = np.random.default_rng(3)
        stimuli, targets = rng.uniform(0.0, 1.0, (4, 6)), rng.uniform(-1.0, 1.0, (4, 3))
        network = SteadyMicrocircuit(circuit, symmetric_weights(circuit), batch_size=4)
        network.run(stimuli, targets, learn=True)
        weights = network.get_weights()
        hidden = (CELLS["g_L"] + CELLS["g_basal"]) / (CELLS["g_L"] + CELLS["g_basal"] + CELLS["g_apical"])
        pairs = zip(weights.ip, weights.up[1:], (hidden, 1.0))
        found.append([np.max(np.abs(ip - factor * up)) for ip, up, factor in pairs])
    return np.array(found)


def test_matched_interneurons_follow_the_next_layer_as_it_learns():
    """What they miss is of second order in the nudging, in every layer; with any other learning rate it is of first order."""
    matched = misfits_after_learning("match", None)
    # a hundredth each time, within the third order of the largest, 10 %
    assert np.all(matched[1:] < 0.0115 * matched[:-1])
    for share in (0.5, 0.9):
        slower = misfits_after_learning("match", share)
        assert np.all(slower[1:] > 0.085 * slower[:-1])  # a tenth
        assert np.all(slower[-1] > 20.0 * matched[-1])


def test_with_wrong_feedback_it_does_not():
    """The test above can fail: without symmetry the hidden weights go elsewhere, with the wrong sign uphill."""
    circuit = circuit_of((6, 8, 3), eta=1e-3, g_nudge=1e-3)
    rng = np.random.default_rng(3)
    stimuli, targets = rng.uniform(0.0, 1.0, (4, 6)), rng.uniform(-1.0, 1.0, (4, 3))
    weights = symmetric_weights(circuit)
    steepest = descent(circuit, weights.up, stimuli, targets)[0]
    drawn = rng.uniform(-1.0, 1.0, weights.down[0].shape)
    for down, low, high in ((drawn, 20.0, 160.0), (-weights.down[0], 179.0, 180.0)):
        others = self_predicting_weights(Weights(weights.up, weights.ip, weights.pi, [down]), circuit)
        assert low < angle(changes_of_the_circuit(circuit, others, stimuli, targets)[0], steepest) <= high


def test_the_yardstick_learns_as_fast_as_the_weakly_nudged_circuit():
    circuit = circuit_of((6, 8, 5, 3), eta=1e-3, g_nudge=1e-4)
    rng = np.random.default_rng(3)
    stimuli, targets = rng.uniform(0.0, 1.0, (4, 6)), rng.uniform(-1.0, 1.0, (4, 3))
    weights = symmetric_weights(circuit)
    network = BackpropNetwork(circuit, weights, batch_size=4)
    before = network.run(stimuli, None, learn=False)
    np.testing.assert_array_equal(before.output, predictions(circuit, weights.up, stimuli)[-1])
    network.run(stimuli, targets, learn=True)
    of_circuit = changes_of_the_circuit(circuit, weights, stimuli, targets)
    for got, initial, wanted in zip(network.get_weights().up, weights.up, of_circuit):
        # first order in g_nudge, as above
        np.testing.assert_allclose((got - initial) / 1e-3, wanted, rtol=0.05, atol=0.01 * np.max(np.abs(wanted)))
    for name in ("ip", "pi", "down"):
        for got, initial in zip(getattr(network.get_weights(), name), getattr(weights, name)):
            np.testing.assert_array_equal(got, initial)


def test_the_prediction_of_a_circuit_without_teacher_is_the_feedforward_network():
    circuit = circuit_of((6, 8, 5, 3))
    stimuli = np.random.default_rng(3).uniform(0.0, 1.0, (4, 6))
    weights = symmetric_weights(circuit)
    steady = SteadyMicrocircuit(circuit, weights).run(stimuli, None, learn=False)
    # self-predicting: the apical dendrites are silent; fixed points are found to 1e-11 mV
    np.testing.assert_allclose(steady.output, predictions(circuit, weights.up, stimuli)[-1], rtol=0, atol=1e-10)
    assert np.max(steady.apical_error) < 1e-10
