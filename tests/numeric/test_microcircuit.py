# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole circuit: self-prediction, reset, threads, weights in and out."""

import re

import numpy as np
import pytest

from pynest_tools.networks import build_network
from pynest_tools.networks.backend import MAX_POTENTIAL, DivergenceError
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.rate import RateMicrocircuit
from pynest_tools.networks.spiking import SpikingMicrocircuit
from pynest_tools.networks.weights import initial_weights

STATIC = {"eta_up": 0.0, "eta_ip": 0.0, "eta_pi": 0.0}


def course(*, t_pres, t_readout_on, **others):
    """The same times for training and tests."""
    return {
        "t_pres": t_pres,
        "t_pres_test": t_pres,
        "t_learn_on": 0.0,
        "t_readout_on": t_readout_on,
        "t_readout_on_test": t_readout_on,
        **others,
    }


def noise_free(sizes=(5, 8, 6, 3), *, threads=1, **trial):
    return Microcircuit.model_validate(
        {
            "sizes": sizes,
            "plasticity": STATIC,
            # the reach of a sum of 8 inputs of about 1/ms stays below 10 mV
            "weights": {"up": 0.5, "down": 0.5},
            "trial": course(**({"t_pres": 100.0, "t_readout_on": 90.0} | trial)),
            "simulation": {"threads": threads},
        }
    )


def build(circuit, seed=1):
    return SpikingMicrocircuit(circuit, initial_weights(circuit, np.random.default_rng(seed)), seed)


def build_rates(circuit):
    return RateMicrocircuit(circuit, initial_weights(circuit, np.random.default_rng(1)))


def stimuli(n, circuit, seed=2):
    return np.random.default_rng(seed).uniform(0.0, 1.0, (n, circuit.sizes[0]))


def state(network):
    """Every potential of the network."""
    return np.concatenate(
        [
            np.ravel(cells.get(name))
            for cells in (*network.pyramidal, *network.interneurons)
            for name in ("V_soma", "V_basal", "V_apical", "V_prospective")
        ]
    )


@pytest.mark.parametrize("sizes", [(5, 8, 3), (5, 8, 6, 3), (4, 1, 1)])
def test_self_predicting_circuit_is_at_peace(nest, sizes):
    circuit = noise_free(sizes)
    network = build_rates(circuit)
    for stimulus in stimuli(3, circuit):
        network.run(stimulus[np.newaxis], None, learn=False)
        for layer in network.pyramidal[:-1]:
            # 100 ms are 100 dendritic time constants; what is left is rounding of potentials of some mV
            assert np.max(np.abs(layer.get("V_apical"))) < 1e-9
        for cells in (*network.pyramidal, *network.interneurons):
            assert np.max(np.abs(cells.get("error_basal"))) < 1e-9
            assert np.min(cells.get("rate")) > 0.0


def test_without_self_prediction_there_are_errors(nest):
    circuit = Microcircuit.model_validate({**noise_free().model_dump(), "weights": {"self_predicting": False}})
    network = build_rates(circuit)
    assert network.run(stimuli(1, circuit), None, learn=False).apical_error[0] > 0.01


def test_target_makes_errors(nest):
    circuit = noise_free(t_pres=300.0, t_readout_on=290.0)  # the somatic time constant is 4 ms: 70 of them
    network = build_rates(circuit)
    inputs = stimuli(1, circuit)
    prediction = network.run(inputs, None, learn=False).output
    taught = network.run(inputs, prediction + 1.0, learn=False)
    # from its prediction, nudging moves the output towards the target by the teacher's share of the conductance
    neuron = circuit.neuron
    share = neuron.g_nudge / (neuron.g_L + neuron.g_basal + neuron.g_nudge)
    moved = share * (prediction + 1.0 - taught.prediction)
    np.testing.assert_allclose(taught.output - taught.prediction, moved, rtol=1e-9)
    assert taught.apical_error[0] > 0.01


def test_spike_noise_falls_with_the_root_of_psi(nest):
    psi = np.array([25.0, 100.0, 400.0, 1600.0])
    errors = []
    for value in psi:
        circuit = Microcircuit.model_validate(
            {
                "sizes": (5, 8, 3),
                "plasticity": STATIC,
                "neuron": {"psi": value},
                "trial": course(t_pres=20.0, t_readout_on=19.0),
            }
        )
        network = build(circuit)
        errors.append(np.mean(network.run(stimuli(60, circuit), None, learn=False).apical_error))
    slope = np.polyfit(np.log(psi), np.log(errors), 1)[0]
    # 60 samples of 3 independent sources of noise: 6 % a point, 0.03 for the slope over a factor of 64; three of these
    assert slope == pytest.approx(-0.5, abs=0.09)


def test_sample_after_reset_is_that_of_a_fresh_network(nest):
    circuit = noise_free()
    inputs = stimuli(3, circuit)
    targets = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [np.nan, 0.5, 1.0]])
    network = build_rates(circuit)
    together = network.run(inputs, targets, learn=True)
    after_three = state(network)
    for k, (stimulus, target) in enumerate(zip(inputs, targets, strict=True)):
        network = build_rates(circuit)
        alone = network.run(stimulus[np.newaxis], target[np.newaxis], learn=True)
        np.testing.assert_array_equal(alone.output[0], together.output[k])
        np.testing.assert_array_equal(alone.apical_error[0], together.apical_error[k])
    np.testing.assert_array_equal(state(network), after_three)


@pytest.mark.parametrize(
    ("projection", "row", "cell"),
    [("up", 2, "cell 2 of P_1"), ("ip", 1, "cell 1 of I_1"), ("up_2", 0, "cell 0 of P_2")],
)
def test_divergence_names_trial_layer_and_cell(nest, projection, row, cell):
    circuit = noise_free((3, 4, 2), t_pres=5.0, t_readout_on=4.0)
    weights = initial_weights(circuit, np.random.default_rng(1))
    matrix = weights.up[1] if projection == "up_2" else getattr(weights, projection)[0]
    matrix[row] = 1e4  # mV ms; rates are of the order of 1/ms
    network = RateMicrocircuit(circuit, weights)
    with pytest.raises(DivergenceError) as caught:
        network.run(stimuli(2, circuit), None, learn=False)
    assert caught.value.cell == cell
    assert caught.value.trial == 0
    message = rf"{cell}: a prospective potential became -?[\d.e+]+ mV, but no membrane can be {MAX_POTENTIAL:g} mV from rest; lower .*"
    assert re.fullmatch(message, str(caught.value))


def test_divergence_counts_trials(nest):
    circuit = noise_free((3, 4, 2), t_pres=5.0, t_readout_on=4.0)
    network = RateMicrocircuit(circuit, initial_weights(circuit, np.random.default_rng(1)))
    inputs = stimuli(4, circuit)
    inputs[2] *= 1e6
    with pytest.raises(DivergenceError) as caught:
        network.run(inputs, None, learn=False)
    assert caught.value.trial == 2


@pytest.mark.parametrize("sizes", [(4, 5, 3, 2), (2, 1, 1)])
@pytest.mark.parametrize("n", [1, 3])
def test_result_holds_every_cell_in_the_order_of_the_layers(nest, sizes, n):
    """P_1, I_1, P_2, I_2, ..., P_N; the read-out window is the last step, whose potentials the cells still have."""
    circuit = noise_free(sizes, t_pres=5.0, t_readout_on=4.9)
    network = RateMicrocircuit(circuit, initial_weights(circuit, np.random.default_rng(1)))
    targets = np.full((n, sizes[-1]), 2.0)
    result = network.run(stimuli(n, circuit), targets, learn=False)
    first, *later = network.pyramidal
    order = [first, *(cells for both in zip(network.interneurons, later) for cells in both)]
    V_soma, V_apical = (np.concatenate([np.atleast_1d(c.get(v)) for c in order]) for v in ("V_soma", "V_apical"))
    np.testing.assert_array_equal(result.V_soma[-1], V_soma)
    np.testing.assert_array_equal(result.output[-1], np.atleast_1d(later[-1].V_soma))
    # v^ of a cell without apical dendrite is 10/13 of v_b; rounding
    np.testing.assert_allclose(result.prediction[-1], np.atleast_1d(later[-1].V_basal) / 1.3, rtol=1e-15)
    hidden = np.concatenate([np.atleast_1d(c.V_apical) for c in network.pyramidal[:-1]])
    np.testing.assert_allclose(result.apical_error[-1], np.mean(np.abs(hidden)), rtol=1e-14)
    assert result.V_soma.shape == (n, len(V_apical))
    assert len(np.unique(V_soma)) == len(V_soma)


def test_state_is_kept_or_relaxes_on_request(nest):
    results = {}
    for between, t_relax in (("keep", 0.0), ("relax", 5.0), ("relax", 200.0), ("reset", 0.0)):
        circuit = noise_free(t_pres=2.0, t_readout_on=1.0, between=between, t_relax=t_relax)
        results[between, t_relax] = build_rates(circuit).run(stimuli(2, circuit), None, learn=False).output[1]
    fresh = results["reset", 0.0]
    assert np.max(np.abs(results["keep", 0.0] - fresh)) > 1e-3
    assert np.max(np.abs(results["relax", 5.0] - fresh)) > 1e-6
    # without input every cell still fires at phi(0): relaxing leads to that state, not to rest
    assert np.max(np.abs(results["relax", 200.0] - fresh)) > 1e-3


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_agree_without_noise(nest, threads):
    circuit = noise_free(threads=threads)
    network = build_rates(circuit)
    result = network.run(stimuli(2, circuit), np.ones((2, 3)), learn=False)
    reference = build_rates(noise_free())
    expected = reference.run(stimuli(2, circuit), np.ones((2, 3)), learn=False)
    np.testing.assert_array_equal(result.output, expected.output)


def test_same_seed_same_run(nest):
    circuit = Microcircuit(sizes=(9, 6, 3))
    runs = []
    for seed in (1, 1, 2):
        network = build(circuit, seed=3)
        nest.rng_seed = seed
        network.run(stimuli(3, circuit), np.ones((3, 3)), learn=True)
        runs.append(network.get_weights().up[0])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_weights_come_back_as_they_were_set(nest):
    circuit = Microcircuit(
        sizes=(4, 5, 3, 2), plasticity={"eta_up": [0.01, 0.0, 0.003], "eta_ip": 0.004, "eta_pi": 0.01}
    )
    network = build(circuit, seed=1)
    network.run(stimuli(2, circuit), np.ones((2, 2)), learn=True)
    other = initial_weights(circuit, np.random.default_rng(9))
    network.set_weights(other)
    for (name, expected), (_, got) in zip(other.named(), network.get_weights().named(), strict=True):
        # division and multiplication by psi
        np.testing.assert_allclose(got, expected, rtol=4e-16, atol=0, err_msg=name)


def test_tests_do_not_learn_and_training_does(nest):
    circuit = Microcircuit(sizes=(4, 5, 2))
    network = build(circuit)
    before = network.get_weights()
    network.run(stimuli(3, circuit), None, learn=False)
    for (name, expected), (_, got) in zip(before.named(), network.get_weights().named(), strict=True):
        np.testing.assert_array_equal(got, expected, err_msg=name)
    network.run(stimuli(3, circuit), np.ones((3, 2)), learn=True)
    after = dict(network.get_weights().named())
    for name, matrix in before.named():
        assert np.array_equal(after[name], matrix) == name.startswith("down"), name


@pytest.mark.parametrize("backend", ["spiking", "rate", "ode", "steady", "backprop"])
def test_weights_stay_within_their_normalised_bounds(nest, backend):
    """Targets far above and far below what the outputs say drive weights to both bounds, and no further."""
    low, high = -0.6, 0.7  # mV ms, just beyond the initial weights
    circuit = Microcircuit.model_validate(
        {
            "sizes": (4, 6, 2),
            # the error of an output is some 0.3/ms for 40 ms, rates are 0.5/ms: a sample would change its weights by 5 mV ms
            "plasticity": {"eta_up": (0.0, 1.0), "eta_ip": 0.0, "eta_pi": 0.0, "Wmin": low, "Wmax": high},
            "weights": {"up": 0.5, "down": 0.5, "ip": 0.5, "pi": 0.5},
            "trial": course(t_pres=50.0, t_readout_on=40.0),
        }
    )
    weights = initial_weights(circuit, np.random.default_rng(1))
    network = build_network(backend, circuit, weights, np.random.SeedSequence(1))
    network.run(stimuli(3, circuit), np.tile([3.0, -3.0], (3, 1)), learn=True)
    learned = network.get_weights().up[1]
    rounding = 1e-14  # of W / psi and back
    assert np.max(learned, axis=1)[0] == pytest.approx(high, rel=rounding)
    assert np.min(learned, axis=1)[1] == pytest.approx(low, rel=rounding)
    assert np.all((learned >= low * (1 + rounding)) & (learned <= high * (1 + rounding)))
