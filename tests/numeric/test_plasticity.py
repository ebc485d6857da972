# SPDX-License-Identifier: GPL-2.0-or-later
"""Weights of dendritic_error_synapse against the rule as a plain sum (plasticity_oracle.py), which shares no code with it."""

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from plasticity_circuit import RECEPTORS, Circuit, ms, parrots, random_chunks, spike_counts
from plasticity_oracle import Rule, clipped_weights, weight_at_end, weight_course

# Rounding of running sums that span e^2, against plain sums over all steps; measured 1e-12.
EXACT = {"rel": 1e-9, "abs": 0}

TIME_CONSTANTS = {
    "equal": (1.0, 1.0),
    "tau_s slightly below": (1.0, 1.0 + 1e-7),
    "tau_s slightly above": (1.0 + 1e-7, 1.0),
    "tau_s below": (1.0, 30.0),
    "tau_s above": (10.0, 1.0),
    "one step": (0.1, 3.0),
    "long": (100.0, 30.0),
    "no filter": (3.0, 0.0),
}


def assert_sums(circuit, weights, rule, receptor, delay):
    """The weights, read at the end of the run, are the sums."""
    errors = circuit.errors(receptor)
    for weight, (steps, counts) in zip(weights, circuit.trains, strict=True):
        expected = weight_at_end(rule, errors, steps, counts, delay, 0.0)
        assert expected != 0
        assert weight == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize(("tau_s", "tau_Delta"), TIME_CONSTANTS.values(), ids=TIME_CONSTANTS.keys())
def test_weights_equal_the_sum(nest, tau_s, tau_Delta):
    """Rates from 0.5 Hz to 10 spikes in every step, three delays, basal and apical synapses at once."""
    circuit = Circuit(nest, 20_000)
    rules = {"basal": Rule(1e-12, tau_s, tau_Delta), "apical": Rule(-1e-12, tau_s, tau_Delta)}
    names = {(r, d): circuit.connect(rules[r], r, d) for r in rules for d in (1, 2, 17)}
    circuit.simulate(circuit.n_steps)
    weights = {key: circuit.weights(name) for key, name in names.items()}
    for (receptor, delay), values in weights.items():
        assert_sums(circuit, values, rules[receptor], receptor, delay)


def test_trace_shorter_than_a_step(nest):
    """With tau_s = h / 1000 a trace has gone before it meets an error: the weights stay, they do not become NaN."""
    circuit = Circuit(nest, 1000)
    names = [circuit.connect(Rule(1.0, 1e-4, tau_Delta), r, 2) for r, tau_Delta in (("basal", 10.0), ("apical", 1e-5))]
    circuit.simulate(circuit.n_steps)
    for name in names:
        # 500 e-foldings instead of 1000 by design (power_table.h): 1e-217
        assert np.max(np.abs(circuit.weights(name))) < 1e-200


@pytest.mark.parametrize("chunked", [False, True], ids=["one Simulate", "many"])
@pytest.mark.parametrize(("tau_s", "tau_Delta"), [(1.0, 30.0), (10.0, 1.0)], ids=["tau_s below", "tau_s above"])
def test_slices_of_several_steps(nest, tau_s, tau_Delta, chunked):
    """With a smallest delay of 5 steps spikes arrive late and five steps of them at once."""
    circuit = Circuit(nest, 4000, min_delay=5, quiet=5, threads=2)  # later spikes would not have arrived at the end
    rule = Rule(1e-12, tau_s, tau_Delta)
    names = {(r, d): circuit.connect(rule, r, d) for r in RECEPTORS for d in (5, 17)}
    for chunk in random_chunks(circuit.n_steps, np.random.default_rng(2)) if chunked else [circuit.n_steps]:
        circuit.simulate(chunk)
    weights = {key: circuit.weights(name) for key, name in names.items()}
    for (receptor, delay), values in weights.items():
        assert_sums(circuit, values, rule, receptor, delay)


@pytest.mark.parametrize("delay", [1, 2, 17])
def test_reading_gives_the_present_weight(nest, delay):
    """A weight that is read is the one of that moment, errors since the last spike included."""
    circuit = Circuit(nest, 4000)
    rule = Rule(1e-12, 3.0, 10.0)
    name = circuit.connect(rule, "basal", delay)
    times, weights = [], []
    for chunk in random_chunks(circuit.n_steps, np.random.default_rng(3)):
        circuit.simulate(chunk)
        times.append(round(nest.biological_time / rule.h))
        weights.append(circuit.weights(name))
    errors = circuit.errors("basal")
    for observed, (steps, counts) in zip(np.transpose(weights), circuit.trains, strict=True):
        expected = weight_course(rule, errors, steps, counts, delay)[times]
        # differences of the oracle's own cumulative sums: relative to the largest weight of the run
        assert observed == pytest.approx(expected, rel=1e-9, abs=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("min_delay", [1, 5])
def test_reading_changes_nothing(nest, min_delay):
    """A run in which all weights are read after each of many short Simulate calls ends with the same weights, bit for bit."""
    ends = []
    for reads in (False, True):
        fresh_kernel(nest)
        circuit = Circuit(nest, 2000, min_delay=min_delay)
        name = circuit.connect(Rule(1e-3, 3.0, 10.0), "basal", 17)
        for chunk in random_chunks(circuit.n_steps, np.random.default_rng(4)):
            circuit.simulate(chunk)
            if reads:
                circuit.weights(name)
        ends.append(circuit.weights(name))
    assert np.ptp(ends[0]) > 0
    assert np.array_equal(*ends)


@pytest.mark.parametrize("receptor", RECEPTORS)
def test_connections_made_between_simulations(nest, receptor):
    """A synapse made at time T learns from the spikes after T."""
    circuit = Circuit(nest, 3000)
    rule = Rule(1e-12, 3.0, 10.0)
    circuit.connect(rule, "basal", 17)  # fixes the range of delays
    start = 1000
    circuit.simulate(start)
    names = {delay: circuit.connect(rule, receptor, delay) for delay in (1, 2, 17)}
    circuit.simulate(circuit.n_steps - start)
    weights = {delay: circuit.weights(name) for delay, name in names.items()}
    errors = circuit.errors(receptor).copy()
    if receptor == "apical":
        errors[:start] = 0.0  # a dendrite archives errors from its first plastic synapse on
    for delay, values in weights.items():
        for weight, (steps, counts) in zip(values, circuit.trains, strict=True):
            later = steps > start
            expected = weight_at_end(rule, errors, steps[later], counts[later], delay, 0.0)
            assert weight == pytest.approx(expected, **EXACT)
            assert expected != 0 or not later.any()


@pytest.mark.parametrize("delay", [1, 2, 17])
def test_transmitted_weights(nest, delay):
    """Spikes carry the weight of the time at which they were emitted, and this is what a weight recorder sees."""
    circuit = Circuit(nest, 3000)
    recorder = nest.Create("weight_recorder")
    rule = Rule(0.01, 3.0, 10.0, Wmin=-0.3, Wmax=0.2)
    circuit.connect(rule, "basal", delay, weight_recorder=recorder)
    circuit.simulate(circuit.n_steps)
    errors = circuit.errors("basal")
    events = recorder.get("events")
    for source, (steps, counts) in zip(circuit.inputs.tolist(), circuit.trains, strict=True):
        mine = events["senders"] == source
        in_time = (
            events["times"][mine] < ms(circuit.n_steps) - 1e-9
        )  # later ones were sent while the recorder was read out
        course = weight_course(rule, errors, steps, counts, delay)
        steps, counts = steps[steps < circuit.n_steps], counts[: np.sum(steps < circuit.n_steps)]
        expected = np.repeat(clipped_weights(rule, course, steps, 0.0), counts)  # one by one
        assert np.allclose(events["times"][mine][in_time], np.repeat(ms(steps), counts))
        # 1e-11 mV ms are 5e-11 of the range of the weights: rounding of the oracle's cumulative sums
        assert np.allclose(events["weights"][mine][in_time], expected, rtol=0, atol=1e-11)
    assert events["weights"].max() == rule.Wmax
    assert events["weights"].min() == rule.Wmin


def test_labelled_synapses_and_copies(nest):
    """Copies have their own constants; a labelled copy keeps its label, and both learn as the model does."""
    circuit = Circuit(nest, 2000)
    rules = {"dendritic_error_synapse": Rule(1e-12, 3.0, 10.0), "dendritic_error_synapse_lbl": Rule(2e-12, 3.0, 10.0)}
    names = {}
    for model, rule in rules.items():
        parameters = {"synapse_label": 7} if model.endswith("_lbl") else {}
        names[model] = circuit.connect(rule, "basal", 2, model=model, **parameters)
    circuit.simulate(circuit.n_steps)
    assert set(nest.GetConnections(synapse_label=7).synapse_model) == {names["dendritic_error_synapse_lbl"]}
    weights = {model: circuit.weights(name) for model, name in names.items()}
    for model, rule in rules.items():
        assert_sums(circuit, weights[model], rule, "basal", 2)


def test_threads_agree(nest):
    """With prescribed errors and spikes no random number is drawn: one and two threads give the same weights, bit for bit."""
    results = []
    rng = np.random.default_rng(5)
    trains = [spike_counts(rate, 2, 3000, rng) for rate in (50.0, 5000.0)]
    currents = rng.normal(0.0, 1.0, 30)
    for threads in (1, 2):
        fresh_kernel(nest, threads=threads)
        cells = nest.Create("pyramidal_neuron", 3, {"gamma": 0.0})  # without spikes
        drive = nest.Create(
            "spike_generator", params={"spike_times": np.arange(1.0, 301.0, 10.0), "spike_weights": currents}
        )
        inputs = parrots(nest, trains)
        nest.Connect(drive, cells, syn_spec={"delay": 0.1, "receptor_type": 3})
        nest.CopyModel(
            "dendritic_error_synapse", "plastic", {"eta": 1e-4, "tau_s": 3.0, "tau_Delta": 10.0, "weight": 0.0}
        )
        nest.Connect(inputs, cells, syn_spec={"synapse_model": "plastic", "delay": 0.2, "receptor_type": 3})
        nest.Simulate(300.0)
        connections = nest.GetConnections(synapse_model="plastic")
        weights = dict(zip(zip(connections.source, connections.target), connections.weight))
        results.append([weights[key] for key in sorted(weights)])
    assert np.ptp(results[0]) > 0
    assert results[0] == results[1]
