# SPDX-License-Identifier: GPL-2.0-or-later
"""Clipping, setting a weight, the learning gate and resets, against plasticity_oracle.py."""

import numpy as np
import pytest
from plasticity_circuit import Circuit, H, ms, parrots, random_chunks
from plasticity_oracle import Rule, clipped_weights, weight_at_end, weight_course

# Differences of the oracle's cumulative sums, relative to the largest weight of the run: 1e-12 is 5000 roundings.
ROUNDING = 1e-12


def assert_course(observed, expected):
    """Weights of one synapse at several times, or of several synapses of one rule."""
    assert np.any(expected != 0)
    assert observed == pytest.approx(expected, rel=1e-9, abs=ROUNDING * np.abs(expected).max())


# ---- clipping -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("min_delay", [1, 5])
@pytest.mark.parametrize("tau_Delta", [0.0, 10.0])
def test_clipped_at_every_spike(nest, tau_Delta, min_delay):
    circuit = Circuit(nest, 4000, min_delay=min_delay, quiet=min_delay)
    rule = Rule(1e-2, 3.0, tau_Delta, Wmin=-0.1, Wmax=0.05)
    names = {delay: circuit.connect(rule, "basal", delay) for delay in (5, 17)}
    circuit.simulate(circuit.n_steps)
    weights = {delay: circuit.weights(name) for delay, name in names.items()}
    errors = circuit.errors("basal")
    for delay, observed in weights.items():
        at_bounds = 0
        for weight, (steps, counts) in zip(observed, circuit.trains, strict=True):
            course = weight_course(rule, errors, steps, counts, delay)
            expected = clipped_weights(rule, course, [*steps, circuit.n_steps], 0.0)
            at_bounds += np.sum((expected == rule.Wmin) | (expected == rule.Wmax))
            # rounding, relative to the unclipped integral, whose differences are clipped
            assert weight == pytest.approx(expected[-1], rel=0, abs=ROUNDING * np.abs(course).max())
        assert at_bounds > 100  # else the test shows nothing


def test_no_wind_up(nest):
    """A weight that has long been at its bound leaves it as soon as the error changes its sign."""
    rule = Rule(1e-14, 1.0, 0.0, Wmin=-1e-12, Wmax=5e-13)  # without effect on the cell
    trial = {"trial_duration": 100.0, "psi": 1.0}
    cell = nest.Create("pyramidal_neuron", params={"tau_apical": 0.0, "gamma": 0.0, **trial})
    for values, weight in (
        ([1.0, 0.0], -1.0),
        ([0.0, 1.0], 1.0),
    ):  # v_a is -1 mV in the first trial, 1 mV in the second
        drive = nest.Create("stimulus_neuron", params={"stimulus_values": values, **trial})
        syn_spec = {"synapse_model": "sic_connection", "weight": weight, "delay": H, "receptor_type": 3}
        nest.Connect(drive, cell, syn_spec=syn_spec)
    nest.CopyModel("dendritic_error_synapse", "plastic", {"eta": rule.eta, "tau_s": rule.tau_s, "tau_Delta": 0.0})
    nest.SetDefaults("plastic", {"Wmin": rule.Wmin, "Wmax": rule.Wmax, "weight": 0.0})
    spikes = np.arange(2, 2000)
    pre = parrots(nest, [(spikes, np.ones(spikes.size, dtype=int))])
    nest.Connect(pre, cell, syn_spec={"synapse_model": "plastic", "delay": H, "receptor_type": 3})
    plastic = nest.GetConnections(synapse_model="plastic")
    nest.Simulate(100.0)
    assert plastic.weight == rule.Wmax
    nest.Simulate(1.0)
    # the stimulus takes a step to arrive, the error another one to reach the synapse; 8 steps with error -1 and the trace of a
    # spike in every step, 1 / (1 - a) before the decay by a
    a = np.exp(-H / rule.tau_s)
    # rounding, and the effect on the cell, 5e-13 of its potential
    assert plastic.weight == pytest.approx(rule.Wmax - 8 * rule.eta * H * a / (1 - a), rel=1e-9, abs=0)


# ---- setting a weight ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [1, 2, 17])
def test_a_weight_is_set_exactly_and_loses_nothing(nest, delay):
    """What the filter still holds is added after the setting."""
    circuit = Circuit(nest, 3000)
    rule = Rule(1e-12, 3.0, 30.0)  # without effect on the cell
    name = circuit.connect(rule, "basal", delay)
    circuit.simulate(1001)
    values = np.linspace(-1e-9, 1e-9, len(circuit.trains))
    circuit.set_weights(name, values)
    assert np.array_equal(circuit.weights(name), values)
    circuit.simulate(circuit.n_steps - 1001)
    weights = circuit.weights(name)
    errors = circuit.errors("basal")
    for weight, value, (steps, counts) in zip(weights, values, circuit.trains, strict=True):
        course = weight_course(rule, errors, steps, counts, delay)
        assert_course(np.array([weight]), np.array([value + course[-1] - course[1001]]))


@pytest.mark.parametrize("when", [1000, 1003], ids=["between slices", "within a slice"])
@pytest.mark.parametrize("delay", [5, 17])
def test_spikes_on_their_way_when_a_weight_is_set(nest, delay, when):
    """With slices of 5 steps the last spikes have not arrived: all that they contribute comes after the setting."""
    circuit = Circuit(nest, 3000, min_delay=5, quiet=5)
    rule = Rule(1e-12, 3.0, 30.0)
    name = circuit.connect(rule, "basal", delay)
    circuit.simulate(when)
    before = circuit.weights(name)
    circuit.set_weights(name, np.full(len(circuit.trains), 1e-9))
    circuit.simulate(circuit.n_steps - when)
    weights = circuit.weights(name)
    errors = circuit.errors("basal")
    arrived_until = 5 * ((when - 1) // 5)  # a slice begins with the delivery of the spikes of the one before
    late = 0
    for weight, at_set, (steps, counts) in zip(weights, before, circuit.trains, strict=True):
        arrived = steps <= arrived_until
        late += np.sum(~arrived & (steps <= when))
        seen = weight_course(rule, errors, steps[arrived], counts[arrived], delay)[when]
        course = weight_course(rule, errors, steps, counts, delay)
        scale = np.abs(course).max()
        assert at_set == pytest.approx(seen, rel=1e-9, abs=ROUNDING * scale)
        assert weight == pytest.approx(1e-9 + course[-1] - seen, rel=1e-9, abs=ROUNDING * scale)
    assert late > 0


# ---- the learning gate --------------------------------------------------------------------------------------------------


def test_learning_switched_between_simulations(nest):
    """While `learning` is off no error counts; synapses and their traces are not touched."""
    circuit = Circuit(nest, 4000)
    rule = Rule(1e-12, 30.0, 10.0)
    names = {delay: circuit.connect(rule, "basal", delay) for delay in (1, 17)}
    gate = np.zeros(circuit.n_steps)
    rng = np.random.default_rng(6)
    now = 0
    for chunk in random_chunks(circuit.n_steps, rng, longest=400):
        learns = bool(rng.integers(2))
        circuit.cell.learning = learns
        gate[now : now + chunk] = learns
        circuit.simulate(chunk)
        now += chunk
    weights = {delay: circuit.weights(name) for delay, name in names.items()}
    errors = circuit.errors("basal")
    assert 0.2 < gate.mean() < 0.8
    for delay, observed in weights.items():
        expected = [weight_at_end(rule, gate * errors, *train, delay, 0.0) for train in circuit.trains]
        assert_course(observed, np.array(expected))


@pytest.mark.parametrize("start", [0, 137], ids=["trials from the start", "first trial later"])
def test_learning_window_of_trials(nest, start):
    trial = {"trial_duration": 30.0, "learning_start": 5.0, "learning_stop": 20.0, "trial_start": float(ms(start))}
    circuit = Circuit(nest, 3000, **trial)
    rule = Rule(1e-12, 30.0, 10.0)
    names = {delay: circuit.connect(rule, "apical", delay) for delay in (1, 17)}
    for chunk in random_chunks(circuit.n_steps, np.random.default_rng(7), longest=600):
        circuit.simulate(chunk)
    weights = {delay: circuit.weights(name) for delay, name in names.items()}
    errors = circuit.errors("apical")
    phase = (np.arange(circuit.n_steps) - start) % 300  # of the beginning of each step
    gate = (phase >= 50) & (phase < 200) & (np.arange(circuit.n_steps) >= start)
    for delay, observed in weights.items():
        expected = [weight_at_end(rule, gate * errors, *train, delay, 0.0) for train in circuit.trains]
        assert_course(observed, np.array(expected))


# ---- resets -------------------------------------------------------------------------------------------------------------

RESETS = {
    "equal time constants": (1.0, 1.0, 253),
    "tau_s below": (1.0, 30.0, 253),
    "tau_s above": (10.0, 1.0, 253),
    "no filter": (3.0, 0.0, 253),
    "shorter than the delay": (3.0, 10.0, 7),
    "shorter than a slice": (3.0, 10.0, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize(("tau_s", "tau_Delta", "period"), RESETS.values(), ids=RESETS.keys())
def test_reset_is_an_endless_silence(nest, tau_s, tau_Delta, period):
    """Weights at many times of a run of trials with resets, those of the resets among them."""
    circuit = Circuit(nest, 3000, trial_duration=float(ms(period)), trial_reset=True)
    rule = Rule(1e-12, tau_s, tau_Delta)
    names = {
        (receptor, delay): circuit.connect(rule, receptor, delay)
        for receptor in ("basal", "apical")
        for delay in (1, 2, 17)
    }
    resets = list(range(0, circuit.n_steps, period))
    times = {*np.cumsum(random_chunks(circuit.n_steps, np.random.default_rng(8), longest=300)).tolist()}
    times = sorted(times | {*resets[2:100:9], *(r + 1 for r in resets[3:100:9])})
    weights = {key: [] for key in names}
    for chunk in np.diff([0, *times]):
        circuit.simulate(chunk)
        for key, name in names.items():
            weights[key].append(circuit.weights(name))
    for (receptor, delay), observed in weights.items():
        errors = circuit.errors(receptor)
        for values, (steps, counts) in zip(np.transpose(observed), circuit.trains, strict=True):
            course = weight_course(rule, errors, steps, counts, delay, resets)
            assert_course(values, course[times])


@pytest.mark.parametrize(("tau_s", "tau_Delta", "period"), RESETS.values(), ids=RESETS.keys())
def test_resets_within_slices(nest, tau_s, tau_Delta, period):
    """Spikes that arrive after a reset, but were emitted before, belong to the time before it."""
    # the current makes errors even where no spike arrives before the next reset
    trial = {"trial_duration": float(ms(period)), "trial_reset": True, "I_e": 0.1}
    circuit = Circuit(nest, 3000, min_delay=5, quiet=5, **trial)
    rule = Rule(1e-12, tau_s, tau_Delta)
    names = {delay: circuit.connect(rule, "basal", delay) for delay in (5, 17)}
    circuit.simulate(circuit.n_steps)
    weights = {delay: circuit.weights(name) for delay, name in names.items()}
    errors = circuit.errors("basal")
    resets = range(0, circuit.n_steps, period)
    for delay, observed in weights.items():
        expected = [weight_course(rule, errors, *train, delay, resets)[-1] for train in circuit.trains]
        assert_course(observed, np.array(expected))
