# SPDX-License-Identifier: GPL-2.0-or-later
"""Continuous signals: potentials by rate_connection_delayed, rates by sic_connection; no random number is drawn."""

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from plasticity_circuit import ms, random_chunks
from traces import Traces

H = 0.1  # ms
N_STEPS = 400
NAMES = ("V_soma", "V_basal", "V_apical", "V_nudge", "V_prospective", "rate")
NAN = float("nan")


def connect(nest, pre, post, receptor, delay, weight=1.0):
    """A potential to receptor 4, a rate to any other; the delay is in steps."""
    model = "rate_connection_delayed" if receptor == 4 else "sic_connection"
    syn_spec = {"synapse_model": model, "weight": weight, "delay": ms(delay), "receptor_type": receptor}
    nest.Connect(pre, post, syn_spec=syn_spec)


class Network:
    """Four cells, the first driven by a stimulus in trials of 13 ms, with rates and potentials going around.

    A parameter min_delay (steps) brings in a further connection of this delay, which has no effect.
    """

    def __init__(self, nest, min_delay=5):
        self.nest = nest
        trials = {"trial_duration": 13.0, "stimulus_duration": 8.0}
        stimulus = nest.Create(
            "stimulus_neuron", params={"stimulus_values": [3.0, NAN, -1.0, 2.0], "psi": 1.0, **trials}
        )
        self.cells = nest.Create("pyramidal_neuron", 4, {"psi": 0.1, "t_ref": 1000.0})  # spikes go nowhere
        self.cells.set(latent_equilibrium=[True, False, True, False], I_e=[0.1, 0.2, -0.1, 0.0])
        a, b, c, d = self.cells
        connect(nest, stimulus, a, 2, 5)
        connect(nest, stimulus, b, 4, 7, 2.0)
        connect(nest, a, c, 4, 5, 0.7)
        connect(nest, b, c, 4, 17, -1.3)
        connect(nest, a, d, 2, 6, 3.0)
        connect(nest, b, d, 2, 9, -11.0)
        connect(nest, c, a, 3, 8, 2.0)
        connect(nest, d, b, 1, 5, 0.5)
        connect(nest, d, a, 4, 6)
        idle = nest.Create("parrot_neuron", 2)
        nest.Connect(idle[0], idle[1], syn_spec={"delay": ms(min_delay)})
        self.traces = Traces(nest, self.cells, NAMES)

    def run(self, chunks=(N_STEPS,)):
        """Traces of the first N_STEPS steps, each shape (4, N_STEPS)."""
        for chunk in (*chunks, 20):  # the recorder hands out its values a slice later
            self.nest.Simulate(float(ms(chunk)))
        return {name: self.traces[name][:, :N_STEPS] for name in NAMES}


def delayed(values, steps):
    """Values that arrive after a number of steps; NaN before."""
    return np.concatenate([np.full(steps, NAN), values])[: values.size]


def test_potentials_arrive_exactly(nest):
    """V_nudge is the weighted sum of what the senders were, each with its delay; before the first signal there is none."""
    traces = Network(nest).run()
    a, b, _, d = traces["V_prospective"]
    first, second = 0.7 * delayed(a, 5), -1.3 * delayed(b, 17)
    expected = np.where(np.isnan(second), first, first + second)
    assert np.array_equal(traces["V_nudge"][2], expected, equal_nan=True)
    assert np.array_equal(traces["V_nudge"][0], delayed(d, 6), equal_nan=True)
    assert np.all(np.isnan(traces["V_nudge"][3]))
    # a teacher: 2 x 3 mV for 8 ms, nothing in the second trial, a negative potential in the third
    teacher = np.full(N_STEPS, NAN)
    for trial, value in enumerate([6.0, NAN, -2.0, 4.0]):
        teacher[130 * trial + 7 : 130 * trial + 87] = value
    assert np.array_equal(traces["V_nudge"][1], teacher[:N_STEPS], equal_nan=True)


def test_rates_arrive_exactly(nest):
    """A rate drives a dendrite as spikes of the same mean would, without noise."""
    traces = Network(nest).run()
    a, b = traces["rate"][:2]
    rate = np.nan_to_num(3.0 * delayed(a, 6)) + np.nan_to_num(-11.0 * delayed(b, 9))
    decay = np.exp(-H / 1.0)
    v, expected = 0.0, []
    for value in rate:
        v = decay * v + (1 - decay) * value
        expected.append(v)
    assert np.ptp(expected) > 1
    # the signal is multiplied by h and divided by it again: rounding
    assert np.allclose(traces["V_basal"][3], expected, rtol=0, atol=1e-13 * np.max(np.abs(expected)))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("min_delay", [1, 3, 5])
def test_the_same_for_any_slices_threads_and_calls(nest, min_delay, threads):
    """Bit for bit: two signals at most come together, and the sum of two does not depend on their order."""
    reference = Network(nest).run()
    rng = np.random.default_rng(min_delay)
    for chunks in ([N_STEPS], random_chunks(N_STEPS, rng, longest=13)):
        fresh_kernel(nest, threads=threads)
        traces = Network(nest, min_delay).run(chunks)
        assert nest.min_delay == ms(min_delay)
        for name in NAMES:
            assert np.array_equal(traces[name], reference[name], equal_nan=True), name
    assert all(np.nanmax(np.abs(reference[name])) > 0.1 for name in NAMES)


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("delay", [1, 10])
def test_no_phantom_of_0_mV_at_the_beginning(nest, delay, resets):
    """Cells that nudge each other are not nudged before the first signal arrives."""
    cells = nest.Create("pyramidal_neuron", 2, {"I_e": 0.5, "trial_duration": 20.0, "trial_reset": resets})
    connect(nest, cells, cells, 4, delay)
    traces = Traces(nest, cells, NAMES)
    nest.Simulate(50.0)
    potential, nudge = traces["V_prospective"], traces["V_nudge"]
    assert np.all(np.isnan(nudge[:, :delay]))
    onsets = (0, 200, 400) if resets else (0,)
    expected = delayed(2 * potential[0], delay)  # both cells are the same, and nudge themselves, too
    for onset in onsets:
        expected[onset : onset + delay] = NAN  # what was on its way is lost in a reset
    assert np.array_equal(nudge, [expected, expected], equal_nan=True)
    # the first step is that of a cell without a partner
    assert potential[0, 0] == 0.5 / (0.03 + 0.1 + 0.06)


@pytest.mark.parametrize("looks", [False, True], ids=["", "GetConnections"])
@pytest.mark.parametrize("step", [200, 203], ids=["between slices", "within a slice"])
def test_network_that_grows_between_simulations(nest, step, looks):
    """NEST forgets the signals of the last slice when something is connected: then there is no signal, not one of 0 mV."""
    teacher = nest.Create("stimulus_neuron", params={"stimulus_values": [5.0]})
    cells = nest.Create("pyramidal_neuron", 2)
    old, new = cells
    connect(nest, teacher, old, 4, 5)
    connect(nest, teacher, old, 2, 17)  # fixes the range of delays
    traces = Traces(nest, cells, ["V_nudge", "V_prospective"])
    nest.Simulate(float(ms(step)))
    connect(nest, teacher, new, 4, 7)
    connect(nest, old, new, 4, 6)
    if looks:
        nest.GetConnections()
    nest.Simulate(20.0)
    nudge_old, nudge_new = traces["V_nudge"]
    expected = np.full(nudge_old.size, 5.0)
    expected[:5] = NAN
    if step == 200:
        expected[200:205] = NAN
    assert np.array_equal(nudge_old, expected, equal_nan=True)
    # the teacher sends the whole slice, 200 to 205; the old cell had no listener, and sends what it is from now on
    from_teacher = np.where(np.arange(expected.size) < 200 + 7, NAN, 5.0)
    from_old = delayed(traces["V_prospective"][0], 6)
    from_old[: step + 6] = NAN
    expected = np.where(np.isnan(from_old), from_teacher, np.nan_to_num(from_teacher) + from_old)
    assert np.array_equal(nudge_new, expected, equal_nan=True)


@pytest.mark.parametrize("change", ["replaced", "refused"])
def test_signals_that_are_lost_unnoticed(nest, change):
    """Buffers that GetConnections has set up anew are noticed though there are as many connections as before."""
    teacher = nest.Create("stimulus_neuron", params={"stimulus_values": [5.0]})
    cell, other = nest.Create("pyramidal_neuron", 2)
    relays = nest.Create("parrot_neuron", 2)
    nest.Connect(relays[0], relays[1], syn_spec={"delay": 0.5})
    connect(nest, teacher, cell, 4, 5)
    traces = Traces(nest, cell, ["V_nudge"])
    nest.Simulate(20.0)
    if change == "replaced":
        nest.GetConnections(relays[0], relays[1]).disconnect()
        connect(nest, teacher, other, 4, 5)
    else:
        with pytest.raises(nest.NESTError):
            nest.Connect(relays[0], cell, syn_spec={"receptor_type": 2, "delay": 1000.0})
    nest.GetConnections()
    nest.Simulate(20.0)
    expected = np.full(395, 5.0)
    expected[:5] = expected[200:205] = NAN
    assert np.array_equal(traces["V_nudge"][0][:395], expected, equal_nan=True)


def test_disconnecting_loses_no_signal(nest):
    """Nor do nodes that are only looked at."""
    cell, idle = nest.Create("pyramidal_neuron"), nest.Create("parrot_neuron", 2)
    connect(nest, nest.Create("stimulus_neuron", params={"stimulus_values": [5.0]}), cell, 4, 5)
    nest.Connect(idle[0], idle[1])
    traces = Traces(nest, cell, ["V_nudge"])
    nest.Simulate(20.0)
    nest.Disconnect(nest.GetConnections(idle[0], idle[1]))
    nest.Simulate(20.0)
    nest.GetConnections()
    nest.Simulate(20.0)
    assert set(traces["V_nudge"][0, 5:]) == {5.0}


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("delay", [5, 6, 17])
@pytest.mark.parametrize("cell_first", [True, False])
def test_stock_generator_as_teacher(nest, cell_first, delay, reset):
    """The amplitude of a step_rate_generator is a potential that nudges, after the delay, whichever is updated first in a slice."""
    schedule = {"amplitude_times": [10.0, 20.0, 30.1], "amplitude_values": [5.0, -2.0, np.nan]}
    models = {"pyramidal_neuron": {}, "step_rate_generator": schedule}
    if reset:
        models["pyramidal_neuron"] = {"trial_duration": 12.3, "trial_reset": True}  # in the middle of slices
    nodes = {model: nest.Create(model, params=models[model]) for model in sorted(models, reverse=not cell_first)}
    cell = nodes["pyramidal_neuron"]
    connect(nest, nodes["step_rate_generator"], cell, 4, delay)
    idle = nest.Create("parrot_neuron", 2)
    nest.Connect(idle[0], idle[1], syn_spec={"delay": 0.5})  # the smallest delay: slices of 5 steps
    traces = Traces(nest, cell, ["V_nudge"])
    nest.Simulate(50.0)
    V = traces["V_nudge"][0]
    sent = np.full(V.size + 1, np.nan)  # by the time at which it is sent (steps)
    sent[1:100], sent[100:200], sent[200:301] = 0.0, 5.0, -2.0
    expected = np.array([sent[k - delay] if k >= delay else np.nan for k in range(1, V.size + 1)])
    for r in (123, 246, 369) if reset else ():
        expected[r : r + delay] = np.nan  # what was on its way is lost
    assert np.array_equal(V, expected, equal_nan=True)
