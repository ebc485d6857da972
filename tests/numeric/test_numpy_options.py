# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of circuits in the numpy backends: fixed points, self-prediction, what is learned and what is drawn."""

import numpy as np
import pytest
from circuit_variants import LAYERS, LEARNING

from pynest_tools.networks.backend import Weights
from pynest_tools.networks.backprop import BackpropNetwork
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.ode import OdeMicrocircuit
from pynest_tools.networks.steady import SteadyMicrocircuit
from pynest_tools.networks.variation import Variation
from pynest_tools.networks.weights import initial_weights, weight_limits

BOUNDS = dict.fromkeys(("up", "down", "ip", "pi"), 0.5)  # loops through the hidden layers are stable
SIZES = (5, 8, 6, 3)
#: What draws nothing.
FIXED = {
    "biases": {"bias_rate": 0.7, "weights": {"bias": 0.4}},
    "dale": {"dale": True, "bias_rate": 0.7, "weights": {"bias": 0.4}},
    "missing": {"connectivity": {"up": 0.6, "down": 0.7}},
    "tuft": {"neuron": {"g_tuft": 0.04}},
    "release": {"connectivity": {"release": 0.6}, "bias_rate": 0.7, "weights": {"bias": 0.4}},
    "logistic": {"neuron": {"transfer": "logistic", "theta": 0.3, "beta": 1.5, "gamma": 0.8}},
    "threshold-linear": {"neuron": {"transfer": "threshold-linear", "theta": -0.3, "beta": 1.5, "gamma": 0.8}},
    "layers": {"layer": LAYERS},
    "h": {"neuron": {"error_with_h": True}},
    "prediction": {"neuron": {"g_tuft": 0.04}, "plasticity": {"down": "prediction", "eta_down": 0.1}},
    "synaptic filter": {"neuron": {"tau_syn": 2.0}},
    "ramp": {"trial": {"t_target_ramp": 5.0}},
}
#: What draws for every learned sample.
DRAWN = {
    "dropout": {"connectivity": {"dropout": 0.3}},
    "dropout with tuft": {
        "connectivity": {"dropout": 0.3},
        "neuron": {"g_tuft": 0.04, "error_with_h": True},
        "plasticity": {"down": "prediction", "eta_down": 0.1},
    },
    "dropout with partners": {"connectivity": {"dropout": 0.3, "up": 0.8}, "dale": True, "bias_rate": 0.7},
    "dropconnect": {"connectivity": {"dropconnect": 0.6}, "bias_rate": 0.7, "weights": {"bias": 0.4}},
    "alignment": {"plasticity": {"down": "alignment", "eta_down": 0.05, "decay_down": 0.01}},
    "alignment with all": {
        "connectivity": {"dropout": 0.3, "down": 0.7, "up": 0.8},
        "neuron": {"g_tuft": 0.04},
        "plasticity": {"down": "alignment", "eta_down": 0.05, "decay_down": 0.01},
    },
}


def circuit_of(variant, sizes=SIZES, **settings):
    """A circuit with an option; tables of `settings` go over the option's, and both over those of all."""
    entries = {"sizes": sizes, "plasticity": LEARNING, "weights": {**BOUNDS, "self_predicting": False}}
    for changes in (variant, settings):
        for name, value in changes.items():
            entries[name] = {**entries.get(name, {}), **value} if isinstance(value, dict) else value
    if "layer" in entries and len(sizes) != len(SIZES):  # as many layers as there are
        entries["layer"] = {name: np.resize(values, len(sizes) - 1).tolist() for name, values in LAYERS.items()}
    return Microcircuit.model_validate(entries)


def weights_of(circuit, seed=1):
    return initial_weights(circuit, np.random.default_rng(seed))


def samples_of(circuit, n, seed=2):
    rng = np.random.default_rng(seed)
    targets = rng.uniform(0.0, 1.0, (n, circuit.sizes[-1]))
    targets[0, 0] = np.nan  # an output without a target
    return rng.uniform(0.0, 1.0, (n, circuit.sizes[0])), targets


def changes_of(backend, circuit, weights, stimuli, targets, batch_size=1, seed=3):
    """What samples change in the weights, once the filters of the synapses have run dry; and the network."""
    network = backend(circuit, weights, batch_size, seed)
    network.run(stimuli, targets, learn=True)
    network.run(stimuli[:1], None, learn=False)
    return {n: a - b for (n, a), (_, b) in zip(network.get_weights().named(), weights.named(), strict=True)}, network


def assert_same(results, expected, tolerance):
    for name in ("V_soma", "prediction", "apical_error", "interneuron_error"):
        got, wanted = getattr(results, name), getattr(expected, name)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance, err_msg=name)


def assert_same_weights(weights, expected, tolerance):
    for (name, got), (_, wanted) in zip(weights.named(), expected.named(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance, err_msg=name)


# ---- Self-prediction -----------------------------------------------------------------------------------------------------

#: The noise of alignment is no part of the prediction.
PREDICTING = {name: v for name, v in {**FIXED, **DRAWN}.items() if "alignment" not in name}


@pytest.mark.slow
@pytest.mark.parametrize("variant", PREDICTING.values(), ids=PREDICTING)
@pytest.mark.parametrize("backend", [OdeMicrocircuit, SteadyMicrocircuit])
def test_a_circuit_that_predicts_itself_has_no_errors(backend, variant):
    """In any depth, also with the cells and synapses that a sample has lost: without a target nothing is learned."""
    for depth in range(1, 6):
        sizes = (4, *(5, 6, 4, 5, 6)[:depth], 3)
        windows = {"t_pres": 310.0, "t_learn_on": 300.0, "t_readout_on": 300.0}
        windows |= {"t_pres_test": 310.0, "t_readout_on_test": 300.0}
        coarse = {"h": 0.5, "delay": 0.5}  # steady states do not depend on the step
        circuit = circuit_of(variant, sizes, weights={"self_predicting": True}, trial=windows, simulation=coarse)
        if circuit.plasticity.down == "prediction":  # the tuft predicts nothing yet
            circuit = circuit.model_copy(
                update={"plasticity": circuit.plasticity.model_copy(update={"eta_down": (0.0,)})}
            )
        weights = weights_of(circuit)
        stimuli = samples_of(circuit, 2)[0]
        nobody = np.full((2, 3), np.nan)
        changes, network = changes_of(backend, circuit, weights, stimuli, nobody, batch_size=2)
        test = network.run(stimuli, None, learn=False)
        # rounding of potentials of order 1 mV; dendrites and prospective potentials follow within some ms in every layer
        assert np.max(test.apical_error) < 1e-12
        # squared, and of somata, which follow with 15 ms and less: exp(-300 / 15)^2
        assert np.max(test.interneuron_error) < 1e-16
        assert np.max(np.std(test.V_soma, axis=0)) > 0.01  # it does respond
        for name, change in changes.items():
            assert np.nanmax(np.abs(change)) < 1e-12, (depth, name)


# ---- Continuous time and steady states -----------------------------------------------------------------------------------


ALIGNING = {name: v for name, v in DRAWN.items() if "alignment" in name}
SETTLING = {name: v for name, v in {**FIXED, **DRAWN}.items() if name not in ALIGNING}


def long_trial(variant, learning, scale=1e-8):
    """A circuit that has settled after 150 ms, and then learns for a time (ms), next to nothing."""
    end = 150.0 + learning
    trial = {
        "t_pres": end,
        "t_learn_on": 150.0,
        "t_readout_on": end - 0.2,
        "t_pres_test": 300.0,
        "t_readout_on_test": 299.8,
    }
    own = variant.get("plasticity", {})
    rates = {**LEARNING, **{name: own[name] for name in ("eta_down", "decay_down") if name in own}}
    slow = {name: scale * rate for name, rate in rates.items()} | {"tau_s": 0.0}
    return circuit_of(variant, trial=trial, plasticity=slow, simulation={"h": 0.2, "delay": 0.2})


def learned(circuit):
    """What `ode` and `steady` learn from three samples side by side, and the networks."""
    stimuli, targets = samples_of(circuit, 3)
    both = [
        changes_of(backend, circuit, weights_of(circuit), stimuli, targets, batch_size=3)
        for backend in (OdeMicrocircuit, SteadyMicrocircuit)
    ]
    return zip(*both)


@pytest.mark.slow
@pytest.mark.parametrize("variant", SETTLING.values(), ids=SETTLING)
def test_the_steady_state_is_the_end_of_a_long_trial_and_learns_the_same(variant):
    """Potentials, and changes of weights to first order in the learning rates; both draw the same for every sample."""
    circuit = long_trial(variant, 150.0)
    (of_ode, of_steady), networks = learned(circuit)
    stimuli, targets = samples_of(circuit, 3)
    # weights have moved by 1e-7, and potentials by a few times that
    assert_same(*(network.run(stimuli, targets, learn=True) for network in networks), 5e-6)
    for network in networks:
        network.set_weights(weights_of(circuit))
    for shown in (targets, None):
        assert_same(*(network.run(stimuli, shown, learn=False) for network in networks), 1e-8)
    for name, wanted in of_ode.items():
        # 750 steps, each rounded to 1e-16; the second order is 1e-6, fixed points are found to 1e-11 mV
        np.testing.assert_allclose(of_steady[name], wanted, rtol=1e-5, atol=1e-12, err_msg=name)
    if circuit.plasticity.down == "prediction":
        assert np.nanmin([np.nanmax(np.abs(of_ode[f"down_{k}"])) for k in (1, 2)]) > 1e-9  # else it says little


@pytest.mark.slow
@pytest.mark.parametrize("variant", ALIGNING.values(), ids=ALIGNING)
def test_of_alignment_it_is_so_but_for_the_time_after_the_noise_has_changed_its_sign(variant):
    """The share of that time, some ms, in what is learned falls as time goes on; steps are compared with those of NEST elsewhere."""
    distance, size = [], []
    for learning in (100.0, 400.0):
        (of_ode, of_steady), _ = learned(long_trial(variant, learning))
        plastic = [name for name, change in of_ode.items() if np.nanmax(np.abs(change)) > 0.0]
        distance.append([np.nanmax(np.abs(of_ode[name] - of_steady[name])) / learning for name in plastic])
        size.append([np.nanmax(np.abs(of_steady[name])) / learning for name in plastic])
    assert {"up_1", "ip_1", "pi_1", "down_1", "down_2"} <= set(plastic)
    np.testing.assert_allclose(size[1], size[0], rtol=1e-3)
    # a quarter; potentials are the same to 1e-4 of what is learned
    assert np.all(np.array(distance[1]) < 0.27 * np.array(distance[0]) + 1e-4 * np.array(size[1]))
    assert np.all(np.array(distance[1]) < 0.25 * np.array(size[1]))  # else it says little


def test_gains_are_those_of_predicting_cells_too():
    """An interneuron has the gain of its partner, outputs and theirs have none."""
    circuit = circuit_of(DRAWN["dropout"], (4, 50, 40, 30, 3))
    gain, noise = Variation(circuit, 1).draw(200)
    layers = circuit.layers
    assert noise is None
    for interneurons, predicted in (("I_1", "P_2"), ("I_2", "P_3")):
        np.testing.assert_array_equal(gain[:, layers[interneurons]], gain[:, layers[predicted]])
    for cells in ("I_3", "P_4"):
        np.testing.assert_array_equal(gain[:, layers[cells]], 1.0)
    hidden = np.concatenate([gain[:, layers[f"P_{k}"]] for k in (1, 2, 3)], axis=1)
    assert set(np.unique(hidden)) == {0.0, 1.0 / 0.7}
    # mean 1, variance q / (1 - q); 4 standard errors
    assert hidden.mean() == pytest.approx(1.0, abs=4.0 * np.sqrt(0.3 / 0.7 / hidden.size))


# ---- What is drawn -------------------------------------------------------------------------------------------------------

ALL_DRAWN = {
    "connectivity": {"dropout": 0.3, "dropconnect": 0.6},
    "plasticity": {"down": "alignment", "eta_down": 0.01},
}


def test_draws_do_not_depend_on_how_samples_are_cut():
    circuit = circuit_of(ALL_DRAWN)
    sequence = np.random.SeedSequence(7, spawn_key=(2, 5))
    whole, parts, other = Variation(circuit, sequence), Variation(circuit, sequence), Variation(circuit, 7)
    at_once = next(whole.batches(12, 12))
    pieces = [*parts.batches(5, 2), *parts.batches(7, 3)]
    assert [len(piece.gain) for piece in pieces] == [2, 2, 1, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([piece.gain for piece in pieces]), at_once.gain)
    np.testing.assert_array_equal(np.concatenate([piece.noise for piece in pieces]), at_once.noise)
    for level, mask in enumerate(at_once.masks):
        np.testing.assert_array_equal(np.concatenate([piece.masks[level] for piece in pieces]), mask)
    assert np.any(other.draw(12)[1] != at_once.noise)


def test_masks_are_those_of_up_also_for_ip():
    circuit = circuit_of({"connectivity": {"dropconnect": 0.6}, "bias_rate": 1.0})
    first, *others = Variation(circuit, 1).masks(400)
    assert first.shape == (400, 8, 6)
    for mask, n in zip(others, SIZES[2:]):
        np.testing.assert_array_equal(mask[:, :n], mask[:, n:])
    # mean 1, variance (1 - p) / p; 4 standard errors
    assert first.mean() == pytest.approx(1.0, abs=4.0 * np.sqrt(0.4 / 0.6 / first.size))


@pytest.mark.parametrize("backend", [OdeMicrocircuit, SteadyMicrocircuit])
def test_samples_learn_the_same_in_one_call_and_in_several(backend):
    slow = {name: eta / 100.0 for name, eta in LEARNING.items()}
    trial = {"t_pres": 5.0, "t_learn_on": 1.0, "t_readout_on": 3.0}
    circuit = circuit_of(ALL_DRAWN, plasticity=slow, trial=trial)
    stimuli, targets = samples_of(circuit, 6)
    whole, parts, other = (backend(circuit, weights_of(circuit), 2, seed) for seed in (4, np.random.SeedSequence(4), 5))
    whole.run(stimuli, targets, learn=True)
    for part in (slice(0, 2), slice(2, 6)):
        parts.run(stimuli[part], targets[part], learn=True)
        parts.run(stimuli, None, learn=False)  # draws nothing
    other.run(stimuli, targets, learn=True)
    whole.run(stimuli, None, learn=False)
    assert_same_weights(parts.get_weights(), whole.get_weights(), 0.0)
    assert np.any(other.get_weights().up[1] != whole.get_weights().up[1])


@pytest.mark.parametrize("backend", [OdeMicrocircuit, SteadyMicrocircuit])
def test_tests_have_all_cells_and_synapses_and_no_noise(backend):
    circuit, plain = circuit_of(ALL_DRAWN), circuit_of({})
    stimuli = samples_of(circuit, 3)[0]
    results = [backend(c, weights_of(plain)).run(stimuli, None, learn=False) for c in (circuit, plain)]
    assert_same(*results, 0.0)


@pytest.mark.parametrize("backend", [OdeMicrocircuit, SteadyMicrocircuit])
def test_cells_that_drop_out_learn_and_teach_nothing(backend):
    trial = {"t_pres": 5.0, "t_learn_on": 1.0, "t_readout_on": 3.0}
    circuit = circuit_of(DRAWN["dropout with tuft"], trial=trial)
    stimuli, targets = samples_of(circuit, 1)
    targets[...] = 1.0
    weights = weights_of(circuit)
    changes, _ = changes_of(backend, circuit, weights, stimuli, targets, seed=3)
    (gain,), _ = Variation(circuit, 3).draw(1)
    silent = {name: gain[cells] == 0.0 for name, cells in circuit.layers.items()}
    for own, name in (
        (silent["P_1"], "up_1"),
        (silent["P_2"], "up_2"),
        (silent["I_1"], "ip_1"),
        (silent["P_1"], "down_1"),
    ):
        assert 0 < np.sum(own) < len(own)
        assert np.all((changes[name] == 0.0).all(axis=1) == own), name
    assert np.all((changes["up_3"] == 0.0).all(axis=0) == silent["P_2"])
    assert np.all((changes["pi_1"] == 0.0).all(axis=0) == silent["I_1"])


def test_dropout_leaves_the_mean_rates_that_a_layer_gets():
    """With one linear layer above: the mean input over samples is that of a test."""
    linear = {"transfer": "threshold-linear", "theta": -5.0, "g_apical": 0.0}  # all cells are active
    circuit = circuit_of({"neuron": linear, "connectivity": {"dropout": 0.4}}, (4, 30, 3))
    stimuli = np.tile(samples_of(circuit, 1)[0], (4000, 1))
    nobody = np.full((4000, 3), np.nan)
    still = circuit.model_copy(update={"plasticity": circuit.plasticity.model_copy(update={"eta_up": (1e-12,)})})
    network = SteadyMicrocircuit(still, weights_of(circuit), 4000)
    varied = network.run(stimuli, nobody, learn=True).prediction
    plain = network.run(stimuli[:1], None, learn=False).prediction[0]
    error = np.std(varied, axis=0) / np.sqrt(len(varied))
    assert np.all(np.abs(varied.mean(axis=0) - plain) < 4.0 * error)
    assert np.all(error < 0.05 * np.abs(plain).max())


def test_the_noise_current_has_its_variance_and_its_time():
    """Of a cell without input and its low-pass filter: u <- d u + (1 - d) I / g, I <- e I + sigma sqrt(1 - e^2) N(0, 1)."""
    h, sigma, tau = 0.1, 0.05, 2.0
    windows = {"t_pres_test": 80.0, "t_readout_on_test": 79.9}
    neuron = {"sigma_noise": sigma, "tau_noise": tau, "latent_equilibrium": False}
    circuit = circuit_of({"neuron": neuron, "trial": windows}, (2, 3, 2))
    nothing = Weights(**{f: [0.0 * m for m in getattr(weights_of(circuit), f)] for f in ("up", "ip", "pi", "down")})
    stimuli = np.ones((1500, 2))
    V = OdeMicrocircuit(circuit, nothing).run(stimuli, None, learn=False).V_soma
    again = OdeMicrocircuit(circuit, nothing).run(stimuli, None, learn=False).V_soma
    np.testing.assert_array_equal(V, again)
    n = circuit.neuron
    for cells, g in (("P_1", n.g_hidden), ("P_2", n.g_point)):
        e, d = np.exp(-h / tau), np.exp(-h * g / n.C_m)
        variance = (sigma / g) ** 2 * (1.0 - d) ** 2 / (1.0 - d**2) * (1.0 + d * e) / (1.0 - d * e)
        own = V[:, circuit.layers[cells]]
        # 80 ms are 10 time constants; the variance of n numbers has the relative standard error sqrt(2 / n)
        assert np.mean(own**2) == pytest.approx(variance, rel=4.0 * np.sqrt(2.0 / own.size))
        assert abs(np.mean(own)) < 4.0 * np.sqrt(variance / own.size)
    assert abs(np.corrcoef(V[:, 0], V[:, 1])[0, 1]) < 4.0 / np.sqrt(len(V))


# ---- Missing synapses, Dale's law, bounds --------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [OdeMicrocircuit, SteadyMicrocircuit, BackpropNetwork])
def test_missing_synapses_stay_missing_and_others_as_if_they_were_zero(backend):
    """Also of networks side by side, each with its own."""
    slow = {name: eta / 30.0 for name, eta in LEARNING.items()}
    trial = {"t_pres": 5.0, "t_learn_on": 1.0, "t_readout_on": 3.0}
    circuit = circuit_of(FIXED["missing"], plasticity=slow, trial=trial)
    above_zero = {"Wmin": 0.01}  # to which what is missing does not get either
    positive = circuit.model_copy(update={"plasticity": circuit.plasticity.model_copy(update=above_zero)})
    drawn = [weights_of(circuit, seed) for seed in (1, 2)]
    masks = [{name: np.isnan(m) for name, m in each.named()} for each in drawn]
    assert np.any(masks[0]["up_2"] != masks[1]["up_2"])
    samples = [samples_of(circuit, 4, seed) for seed in (3, 4)]
    for own in (circuit, positive):
        network = backend(own, Weights.stack(drawn))
        stimuli, targets = (np.stack(part) for part in zip(*samples))
        network.run(stimuli, targets, learn=True)
        network.run(stimuli, None, learn=False)  # the filters of the synapses run dry
        now = network.get_weights()
        # what is missing transmits nothing either: potentials are those of a new network with these weights
        outputs = [each.run(stimuli, None, learn=False).output for each in (network, backend(own, now))]
        np.testing.assert_array_equal(*outputs)
        found = now.unstack()
        network.set_weights(Weights.stack(drawn))
        for mask, got, before, kept in zip(masks, found, drawn, network.get_weights().unstack()):
            for (name, matrix), (_, old), (_, same) in zip(got.named(), before.named(), kept.named()):
                np.testing.assert_array_equal(np.isnan(matrix), mask[name], err_msg=name)
                np.testing.assert_array_equal(same, old)
                if name.startswith("up"):
                    assert np.nanmax(np.abs(matrix - old)) > 1e-6
                    low = own.plasticity.Wmin
                    assert np.all(np.isnan(matrix) | (matrix >= low))
    # alone, and with zeros in the place of NaN: potentials are the same
    zeros = Weights(*([np.nan_to_num(m) for m in getattr(drawn[0], f)] for f in ("up", "ip", "pi", "down")))
    whole = circuit_of({}, trial=trial)
    results = [
        backend(c, w).run(samples[0][0], None, learn=False).output for c, w in ((circuit, drawn[0]), (whole, zeros))
    ]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("backend", [OdeMicrocircuit, SteadyMicrocircuit, BackpropNetwork])
def test_no_weight_changes_its_sign_under_dales_law(backend):
    """Learning rates that would move many of them through 0: these stay there."""
    trial = {"t_pres": 6.0, "t_learn_on": 1.0, "t_readout_on": 3.0}
    fast = {"eta_up": 2.0, "eta_ip": 2.0, "eta_pi": 0.5, "down": "prediction", "eta_down": 2.0}
    if backend is BackpropNetwork:
        fast |= {"down": "static", "eta_down": 0.0}
    circuit = circuit_of(FIXED["dale"], plasticity=fast, trial=trial, neuron={"g_tuft": 0.04}, weights={"up": 0.2})
    weights = weights_of(circuit)
    network = backend(circuit, weights)
    stimuli, targets = samples_of(circuit, 10)
    network.run(stimuli, targets, learn=True)
    limits = weight_limits(circuit)
    at_zero = 0
    for (name, after), (_, before) in zip(network.get_weights().named(), weights.named()):
        kind, layer = name.split("_")
        low, high = limits[kind][int(layer) - 1]
        assert np.all((after >= low) & (after <= high)), name
        n = before.shape[1] // 2 if kind in ("up", "ip") else {"down": before.shape[1], "pi": 0}[kind]
        assert np.all(after[:, :n] >= 0.0), name
        assert np.all(after[:, n:] <= 0.0), name
        at_zero += np.sum((after == 0.0) & (before != 0.0))
    assert at_zero > 5


def test_a_partner_subtracts_what_its_cell_sends():
    """A network under Dale's law whose weights are what an ordinary one's are split into has the same steady states."""
    ordinary, split = circuit_of(FIXED["biases"]), circuit_of(FIXED["dale"])
    drawn = weights_of(ordinary)
    halves = {
        name: [np.concatenate([np.maximum(m, 0.0), np.minimum(m, 0.0)], axis=1) for m in getattr(drawn, name)]
        for name in ("up", "ip")
    }
    weights = Weights(halves["up"], halves["ip"], drawn.pi, drawn.down)
    stimuli, targets = samples_of(ordinary, 5)
    networks = [SteadyMicrocircuit(ordinary, drawn), SteadyMicrocircuit(split, weights)]
    # fixed points are found to 1e-11 mV
    assert_same(*(network.run(stimuli, targets, learn=False) for network in networks), 1e-9)


# ---- Alignment -----------------------------------------------------------------------------------------------------------


def aligning(sizes=(5, 8, 6, 3), **plasticity):
    """A circuit that predicts itself, in which only `down` learns, for 1 ms."""
    rule = {"eta_up": 0.0, "eta_ip": 0.0, "eta_pi": 0.0, "down": "alignment", **plasticity}
    trial = {"t_pres": 1.0, "t_learn_on": 0.0, "t_readout_on": 0.0}
    return circuit_of({"plasticity": rule, "trial": trial, "weights": {"self_predicting": True}}, sizes)


def rates_and_slopes(circuit, weights, stimulus):
    """Of a softplus network that predicts itself, layer by layer; by hand."""
    rates, slopes = [stimulus], []
    for matrix, alpha in zip(weights.up, circuit.prediction_factors):
        v = alpha * (matrix @ rates[-1])
        rates.append(np.log1p(np.exp(v)))
        slopes.append(1.0 / (1.0 + np.exp(-v)))
    return rates[1:], slopes


@pytest.mark.slow
def test_the_expected_change_by_alignment_is_that_of_linear_response():
    """E dW_ij = T eta r_i phi'_j alpha W_up,ji: the mean over samples, within its standard error."""
    n, groups = 1000, 20
    circuit = aligning(eta_down=1e-3, noise_down=0.1)
    weights = weights_of(circuit)
    stimulus = samples_of(circuit, 1)[0][0]
    rates, slopes = rates_and_slopes(circuit, weights, stimulus)
    stimuli, nobody = np.tile(stimulus, (n, 1)), np.full((n, 3), np.nan)
    found = [
        changes_of(SteadyMicrocircuit, circuit, weights, stimuli, nobody, batch_size=n, seed=seed)[0]
        for seed in range(groups)
    ]
    for k in (1, 2):
        each = np.array([change[f"down_{k}"] for change in found]) / n
        mean, error = each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(groups)
        drive = circuit.prediction_factors[k] * slopes[k] * weights.up[k].T  # d s_j / d r_i
        wanted = 1e-3 * rates[k - 1][:, np.newaxis] * drive
        # one number for all synapses: how much of what is expected there is
        share = np.sum(mean * wanted / error**2) / np.sum(wanted**2 / error**2)
        share_error = 1.0 / np.sqrt(np.sum(wanted**2 / error**2))
        assert share_error < 0.04  # else it says little
        assert abs(share - 1.0) < 4.0 * share_error + 0.01  # the second order in the noise, 0.1^2
        assert np.all(np.abs(mean - wanted) < 4.5 * error + 0.01 * np.max(np.abs(wanted)))  # 66 synapses


@pytest.mark.parametrize("backend", [OdeMicrocircuit, SteadyMicrocircuit])
def test_alignment_decays_while_both_cells_are_active(backend):
    """W exp(-alpha r_i r_j T), from dW/dt = -alpha r_i r_j W; the noise, and what is learned from it, are next to nothing."""
    alpha, duration = 0.4, 40.0
    circuit = aligning(eta_down=1e-40, noise_down=1e-9, decay_down=alpha)
    windows = {"t_pres": 100.0, "t_learn_on": 100.0 - duration, "t_readout_on": 90.0}
    neuron = circuit.neuron.model_copy(update={"g_apical": 0.0})  # rates do not change with down
    circuit = circuit.model_copy(update={"trial": circuit.trial.model_copy(update=windows), "neuron": neuron})
    weights = weights_of(circuit)
    stimuli = samples_of(circuit, 1)[0]
    rates, _ = rates_and_slopes(circuit, weights, stimuli[0])
    changes, _ = changes_of(backend, circuit, weights, stimuli, np.full((1, 3), np.nan))
    if backend is OdeMicrocircuit:
        duration -= 0.1  # the first rates meet the cells of one step before they learn
    for k in (1, 2):
        kept = np.exp(-alpha * duration * np.outer(rates[k - 1], rates[k]))
        assert np.max(kept) < 0.9
        down = weights.down[k - 1]
        # noise of 1e-9 in the rates
        np.testing.assert_allclose(changes[f"down_{k}"] + down, kept * down, rtol=0, atol=1e-7)


@pytest.mark.parametrize("backend", [OdeMicrocircuit, SteadyMicrocircuit])
def test_silent_cells_change_nothing_by_alignment(backend):
    """Neither a silent postsynaptic cell nor a silent presynaptic one."""
    circuit = aligning(eta_down=0.1, decay_down=0.2)
    neuron = {"transfer": "threshold-linear", "theta": 0.05, "g_apical": 0.0}  # so that no feedback wakes silent cells
    neuron = circuit.neuron.model_copy(update=neuron)
    windows = circuit.trial.model_copy(update={"t_pres": 30.0, "t_learn_on": 10.0, "t_readout_on": 20.0})
    circuit = circuit.model_copy(update={"neuron": neuron, "trial": windows})
    weights = weights_of(circuit)
    for matrix in (*weights.up, *weights.ip):
        matrix[...] = np.abs(matrix)
        matrix[0] = 0.0  # cell 0 of every layer, and the interneurons that predict it, stay below threshold
    stimuli = samples_of(circuit, 2)[0]
    changes, _ = changes_of(backend, circuit, weights, stimuli, np.full((2, 3), np.nan), batch_size=2)
    for k in (1, 2):
        change = changes[f"down_{k}"]
        assert np.all(change[0] == 0.0)
        assert np.all(change[:, 0] == 0.0)
        assert np.all(change[1:, 1:] != 0.0)


@pytest.mark.slow
def test_feedback_aligns_itself_with_the_transpose():
    """From random weights, to the fixed point of the mean change, W_ij = eta / alpha <r_i phi'_j> / <r_i r_j> alpha_j W_up,ji."""
    eta, alpha, n = 1e-3, 1e-3, 25_000
    circuit = aligning((5, 10, 8, 6), eta_down=eta, decay_down=alpha, noise_down=0.3)
    neuron = circuit.neuron.model_copy(update={"g_apical": 0.0})  # rates do not change with down
    circuit = circuit.model_copy(update={"neuron": neuron})
    weights = weights_of(circuit)
    network = SteadyMicrocircuit(circuit, weights, 250)
    rng = np.random.default_rng(5)
    found = [weights.down]
    for _ in range(2):
        network.run(rng.uniform(0.0, 2.0, (n, 5)), np.full((n, 6), np.nan), learn=True)
        found.append(network.get_weights().down)
    each = [rates_and_slopes(circuit, weights, stimulus) for stimulus in rng.uniform(0.0, 2.0, (1000, 5))]
    for k in (1, 2):
        r_i, r_j, slope = (np.array(values) for values in zip(*((r[k - 1], r[k], s[k]) for r, s in each)))
        factor = circuit.prediction_factors[k] * (r_i.T @ slope) / (r_i.T @ r_j)
        fixed_point = eta / alpha * factor * weights.up[k].T
        before, _, after = (matrices[k - 1] for matrices in found)
        for goal in (weights.up[k].T, fixed_point):
            assert angle(before, goal) > 70.0
            # weights fluctuate with the noise of the other cells of some 1 / (alpha r_i r_j) = 1000 samples
            assert angle(after, goal) < 15.0
        assert np.sum(after * fixed_point) / np.sum(fixed_point**2) == pytest.approx(1.0, abs=0.1)


def angle(a, b):
    """Between two matrices (degrees)."""
    return np.degrees(np.arccos(np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)))
