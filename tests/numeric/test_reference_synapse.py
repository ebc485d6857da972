# SPDX-License-Identifier: GPL-2.0-or-later
"""dendritic_error_synapse against dendritic_error_reference_synapse, which steps over every error."""

import numpy as np
import pytest
from plasticity_circuit import Circuit, random_chunks
from plasticity_oracle import Rule

MODELS = ("dendritic_error_synapse", "dendritic_error_reference_synapse")
TRIAL = {"trial_duration": 25.3, "learning_start": 3.0, "learning_stop": 21.0}
CASES = {
    "one endless trial": {},
    "slices of 5 steps": {"min_delay": 5},
    "learning window": TRIAL,
    "windows of each dendrite": TRIAL
    | {"free_learning_stop": 2.0, "learning_basal": "both", "learning_apical": "free", "trial_reset": True},
    "resets": TRIAL | {"trial_reset": True},
    "resets within slices": TRIAL | {"trial_reset": True, "min_delay": 5},
    "resets within the delay": {"trial_duration": 1.3, "trial_reset": True, "min_delay": 5, "I_e": 0.1},
    "two threads": {"threads": 2},
    "spikes as errors": {"error_from_spikes": True, "error_with_h": True},
}
TIME_CONSTANTS = {"tau_s below": (3.0, 30.0), "tau_s above": (10.0, 1.0), "equal": (2.0, 2.0), "no filter": (3.0, 0.0)}


def transmitted(circuit, rule, receptor, delay):
    """Weight recorders of two synapse models on the same spikes."""
    recorders = {}
    for model in MODELS:
        recorders[model] = circuit.nest.Create("weight_recorder")
        circuit.connect(rule, receptor, delay, model=model, weight_recorder=recorders[model])
    return recorders


def assert_same_weights(recorders, scale):
    """The two models have transmitted the same weights; returns them by presynaptic cell."""
    fast, reference = (recorders[model].get("events") for model in MODELS)
    weights = {}
    for source in np.unique(reference["senders"]):
        a, b = fast["senders"] == source, reference["senders"] == source
        assert np.array_equal(fast["times"][a], reference["times"][b])
        weights[source] = fast["weights"][a]
        # rounding of running sums over e^2, relative to the largest change
        assert np.allclose(weights[source], reference["weights"][b], rtol=1e-9, atol=1e-9 * scale)
    return weights


@pytest.mark.parametrize(("tau_s", "tau_Delta"), TIME_CONSTANTS.values(), ids=TIME_CONSTANTS.keys())
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_same_weights_as_step_by_step(nest, case, tau_s, tau_Delta):
    """Without bounds that are reached, on both dendrites and for several delays."""
    circuit = Circuit(nest, 1500, **case)
    rule = Rule(1e-9, tau_s, tau_Delta)
    pairs = {}
    for receptor in ("basal", "apical"):
        for delay in (5, 17) if circuit.min_delay == 5 else (1, 2, 17):
            pairs[receptor, delay] = transmitted(circuit, rule, receptor, delay)
    for chunk in random_chunks(circuit.n_steps, np.random.default_rng(9), longest=300):
        circuit.simulate(chunk)
    for (receptor, _), recorders in pairs.items():
        fast = recorders[MODELS[0]].get("events")
        weights = assert_same_weights(recorders, np.abs(fast["weights"]).max())
        assert len(weights) == len(circuit.trains)
        if receptor == "basal":
            assert all(np.ptp(w) > 0 for w in weights.values() if w.size > 2)


@pytest.mark.parametrize("case", [CASES["one endless trial"], CASES["resets within slices"]], ids=["endless", "resets"])
def test_same_weights_with_bounds(nest, case):
    circuit = Circuit(nest, 3000, **case)
    rule = Rule(1e-3, 3.0, 10.0, Wmin=-0.02, Wmax=0.03)
    recorders = transmitted(circuit, rule, "basal", 17)
    circuit.simulate(circuit.n_steps)
    weights = np.concatenate(list(assert_same_weights(recorders, rule.Wmax).values()))
    assert np.mean((weights == rule.Wmin) | (weights == rule.Wmax)) > 0.1
    assert np.mean((weights > rule.Wmin) & (weights < rule.Wmax)) > 0.1


def test_connected_later(nest):
    """Both learn from the first spike after Connect; errors that a silent synapse still has to read do not matter."""
    circuit = Circuit(nest, 1500)
    rule = Rule(1e-9, 3.0, 10.0)
    pairs = [transmitted(circuit, rule, "basal", 17)]
    circuit.simulate(700)
    pairs += [transmitted(circuit, rule, receptor, 2) for receptor in ("basal", "apical")]
    circuit.simulate(800)
    for recorders in pairs:
        fast = recorders[MODELS[0]].get("events")
        assert_same_weights(recorders, np.abs(fast["weights"]).max())
    assert fast["times"].min() > 70.0
