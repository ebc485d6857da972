# SPDX-License-Identifier: GPL-2.0-or-later
"""What circuits with options descend: the slope of the loss, and the limit of weak nudging."""

import numpy as np
import pytest
from circuit_variants import LAYERS
from scipy.integrate import quad

from pynest_tools.networks.backend import Weights
from pynest_tools.networks.backprop import BackpropNetwork
from pynest_tools.networks.gradient import circuit_gains, descent, predictions
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.steady import SteadyMicrocircuit
from pynest_tools.networks.transfer import relative_slope, transfer, transfer_slope
from pynest_tools.networks.weights import forward_weights, initial_weights, self_predicting_weights

SIZES = (6, 8, 5, 3)
CELLS = {"gamma": 0.8, "beta": 1.3, "theta": 0.2, "g_L": 0.04, "g_basal": 0.12, "g_apical": 0.07}
VARIANTS = {
    "biases": {"bias_rate": 0.7, "weights": {"bias": 0.5}},
    "missing": {"connectivity": {"up": 0.6}},
    "tuft": {"neuron": {"g_tuft": 0.05}},
    "release": {"connectivity": {"release": 0.6}, "bias_rate": 0.7, "weights": {"bias": 0.5}},
    "logistic": {"neuron": {"transfer": "logistic"}},
    "threshold-linear": {"neuron": {"transfer": "threshold-linear", "theta": -0.3}},
    "layers": {"layer": LAYERS},
    "all": {
        "bias_rate": 0.7,
        "weights": {"bias": 0.5},
        "connectivity": {"up": 0.8},
        "neuron": {"g_tuft": 0.05, "transfer": "logistic"},
        "layer": LAYERS,
    },
}
DALE = {"dale": True, "bias_rate": 0.7, "weights": {"bias": 0.5}, "connectivity": {"up": 0.8}}


def circuit_of(variant, eta=1.0, **neuron):
    entries = {
        "sizes": SIZES,
        "plasticity": {"eta_up": eta, "eta_ip": 0.0, "eta_pi": 0.0},
        "trial": {"t_pres": 1.0, "t_learn_on": 0.0, "t_readout_on": 0.0},  # the change is eta times error times rate
        **variant,
    }
    entries["neuron"] = {**CELLS, **variant.get("neuron", {}), **neuron}
    return Microcircuit.model_validate(entries)


def symmetric_weights(circuit, seed=1):
    """Self-predicting, with W_down = W_up^T, also where synapses are missing."""
    drawn = initial_weights(circuit, np.random.default_rng(seed))
    back = [np.ascontiguousarray(up[:, :n].T) for up, n in zip(drawn.up[1:], SIZES[1:])]
    return self_predicting_weights(Weights(drawn.up, drawn.ip, drawn.pi, back), circuit)


def samples_of(n, seed=3):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.0, 1.0, (n, SIZES[0])), rng.uniform(-1.0, 1.0, (n, SIZES[-1]))


def parameters_of(circuit, layer):
    """Of the cells of P_layer, as they were given."""
    given = circuit.model_dump()
    return {
        name: given["layer"][name][layer - 1] if given["layer"].get(name) else given["neuron"][name]
        for name in (*CELLS, "g_tuft")
    } | {"transfer": given["neuron"]["transfer"]}


def rate(u, cells):
    x = cells["beta"] * (u - cells["theta"])
    form = {
        "softplus": lambda x: max(x, 0.0) + np.log1p(np.exp(-abs(x))),
        "logistic": lambda x: 1.0 / (1.0 + np.exp(-x)),
        "threshold-linear": lambda x: max(x, 0.0),
    }[cells["transfer"]]
    return cells["gamma"] * form(x)


def loss(circuit, up, stimulus, target):
    """Bregman divergence between target and output of one sample, by quadrature; nothing of the package."""
    rates = list(stimulus)
    for layer, matrix in enumerate(up, start=1):
        if circuit.bias_rate > 0.0:
            rates.append(circuit.bias_rate)
        if circuit.dale:
            rates = rates + rates
        cells = parameters_of(circuit, layer)
        total = cells["g_L"] + cells["g_basal"]
        if layer < len(up):
            total += cells["g_apical"] + cells["g_tuft"]
        arrives = [sum(w * r for w, r in zip(row, rates) if not np.isnan(w)) for row in matrix]
        v = [cells["g_basal"] / total * circuit.connectivity.release * each for each in arrives]
        rates = [rate(each, cells) for each in v]
    kink = cells["theta"]
    found = 0.0
    for output, t in zip(v, target):
        points = [kink] if min(output, t) < kink < max(output, t) else None
        found += quad(lambda s, v=output: rate(s, cells) - rate(v, cells), output, t, epsabs=1e-13, points=points)[0]
    return found


@pytest.mark.parametrize("variant", [*VARIANTS.values(), DALE], ids=[*VARIANTS, "dale"])
def test_backpropagation_is_the_slope_of_the_loss(variant):
    """Of every weight there is, those of biases and of inhibitory partners included; 0 where there is no synapse."""
    circuit = circuit_of(variant)
    up = initial_weights(circuit, np.random.default_rng(2)).up
    (stimulus,), (target,) = samples_of(1)
    found = descent(circuit, up, stimulus[np.newaxis], target[np.newaxis])
    step = 1e-4
    for layer, matrix in enumerate(up):
        chosen = np.random.default_rng(layer).permutation(matrix.size)[:25]
        for index in zip(*np.unravel_index(chosen, matrix.shape)):
            if np.isnan(matrix[index]):
                assert found[layer][index] == 0.0
                continue
            losses = []
            for sign in (1.0, -1.0):
                moved = [m.copy() for m in up]
                moved[layer][index] += sign * step
                losses.append(loss(circuit, moved, stimulus, target))
            slope = (losses[0] - losses[1]) / (2.0 * step)
            # the central difference is good to step^2 = 1e-8 times third derivatives of order 1, the losses to 1e-13 / step
            assert found[layer][index] == pytest.approx(-slope, abs=2e-8), (layer, index)


@pytest.mark.parametrize("kind", ["softplus", "logistic", "threshold-linear"])
def test_slopes_of_the_transfer_functions(kind):
    neuron = circuit_of({"neuron": {"transfer": kind}}).neuron
    u = np.linspace(-60.0, 60.0, 241) + 0.013  # beside the kink
    step = 1e-5
    difference = (transfer(u + step, neuron) - transfer(u - step, neuron)) / (2.0 * step)
    # the difference loses 1e-16 of rates of some 60 / ms, over 1e-5 mV
    np.testing.assert_allclose(transfer_slope(u, neuron), difference, rtol=1e-6, atol=1e-9)
    active = transfer(u, neuron) > 1e-3  # rates are exact to 1e-16 / ms
    ratio = transfer_slope(u, neuron)[active] / transfer(u, neuron)[active]
    np.testing.assert_allclose(relative_slope(u, neuron)[active], ratio, rtol=1e-12)
    limit = {"softplus": neuron.beta, "logistic": neuron.beta, "threshold-linear": 0.0}[kind]  # exp(beta u) far below
    assert relative_slope(np.array([-60.0, -2000.0]), neuron) == pytest.approx([limit, limit], rel=1e-12)


def changes_of(circuit, weights, stimuli, targets):
    """What the samples change in `up`, per unit of eta."""
    network = SteadyMicrocircuit(circuit, weights, batch_size=len(stimuli))
    network.run(stimuli, targets, learn=True)
    return [(after - before) / circuit.eta_up[0] for after, before in zip(network.get_weights().up, weights.up)]


def angle(a, b):
    """Between two matrices (degrees); sines, since cosines of small angles have no digits left."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return np.degrees(2.0 * np.arcsin(min(np.linalg.norm(a - b) / 2.0, 1.0)))


def assert_proportional(errors):
    """First order in the nudging: ten times less each, within the second order of the largest, 10 %."""
    errors = np.abs(errors)
    assert np.all(errors[2] < 0.13 * errors[1] + 1e-3)
    assert np.all(errors[1] < 0.2 * errors[0] + 1e-3)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_weakly_nudged_circuits_descend_the_gradient(variant):
    """Direction and length of the change of every layer."""
    stimuli, targets = samples_of(4)
    angles, lengths = [], []
    for g in (1e-2, 1e-3, 1e-4):
        circuit = circuit_of(variant, eta=1e-3, g_target=g)
        weights = symmetric_weights(circuit)
        changes = [np.nan_to_num(change) for change in changes_of(circuit, weights, stimuli, targets)]
        steepest = descent(circuit, weights.up, stimuli, targets)
        angles.append([angle(a, b) for a, b in zip(changes, steepest)])
        gains = circuit_gains(circuit)
        lengths.append([np.linalg.norm(a) / np.linalg.norm(c * b) - 1 for a, b, c in zip(changes, steepest, gains)])
    assert np.max(angles[-1]) < 1.0
    assert np.max(np.abs(lengths[-1])) < 0.01
    assert_proportional(angles)
    assert_proportional(lengths)


def test_with_dales_law_the_output_layer_descends_the_gradient_and_no_feedback_is_right_for_the_others():
    """Both halves of `up` do; `down` has one sign, and the transpose of the net weights has both."""
    stimuli, targets = samples_of(4)
    angles = []
    for g in (1e-2, 1e-3, 1e-4):
        circuit = circuit_of(DALE, eta=1e-3, g_target=g)
        weights = initial_weights(circuit, np.random.default_rng(1))
        steepest = descent(circuit, weights.up, stimuli, targets)[-1]
        change = changes_of(circuit, weights, stimuli, targets)[-1]
        free = (weights.up[-1] != 0.0) & ~np.isnan(weights.up[-1])  # a weight of 0 can go one way only
        half = free.shape[1] // 2
        assert np.any(free[:, :half])
        assert np.any(free[:, half:])
        angles.append([angle(np.where(free, change, 0.0), np.where(free, steepest, 0.0))])
    assert_proportional(angles)
    net = forward_weights(weights.up[-1], circuit, 2)
    assert np.any(net < 0.0)
    assert np.nanmin(weights.down[-1]) >= 0.0


def test_an_error_with_h_descends_the_loss_of_each_sample_in_a_metric_of_its_own():
    """The change of a sample is that of the gradient, times h(v^) of the postsynaptic cell; of many samples it is no gradient."""
    (stimuli, targets), distance = samples_of(1), []
    for g in (1e-2, 1e-3, 1e-4):
        plain, with_h = (circuit_of({}, eta=1e-3, g_target=g, error_with_h=on) for on in (False, True))
        weights = symmetric_weights(plain)
        v = predictions(plain, weights.up, stimuli)
        steepest = descent(with_h, weights.up, stimuli, targets)
        changes = changes_of(with_h, weights, stimuli, targets)
        gains = circuit_gains(plain)
        wanted = [
            c * relative_slope(layer[0], plain.neuron)[:, np.newaxis] * step
            for c, layer, step in zip(gains, v, steepest)
        ]
        distance.append([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(changes, wanted)])
        assert all(np.sum(change * step) > 0.0 for change, step in zip(changes, steepest))
    assert np.max(distance[-1]) < 0.01
    assert_proportional(distance)
    with pytest.raises(ValueError, match="follows no gradient"):
        circuit_gains(with_h)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_yardstick_learns_as_fast_as_the_weakly_nudged_circuit(variant):
    circuit = circuit_of(variant, eta=1e-3, g_target=1e-4)
    stimuli, targets = samples_of(4)
    weights = symmetric_weights(circuit)
    network = BackpropNetwork(circuit, weights, batch_size=4)
    before = network.run(stimuli, None, learn=False)
    of_circuit = SteadyMicrocircuit(circuit, weights).run(stimuli, None, learn=False)
    # fixed points are found to 1e-11 mV
    np.testing.assert_allclose(of_circuit.output, before.output, rtol=0, atol=1e-10)
    network.run(stimuli, targets, learn=True)
    for got, initial, wanted in zip(
        network.get_weights().up, weights.up, changes_of(circuit, weights, stimuli, targets)
    ):
        # first order in g_target
        largest = np.nanmax(np.abs(wanted))
        np.testing.assert_allclose((got - initial) / 1e-3, wanted, rtol=0.05, atol=0.01 * largest)
