# SPDX-License-Identifier: GPL-2.0-or-later
"""Trials inside the kernel: reset, stimuli, read-out, the clock, and divergence. No random number reaches a potential."""

import math
import re

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from plasticity_circuit import ms, parrots, random_chunks
from traces import Traces

PERIOD = 253  # steps; no multiple of a slice of 5
TRIALS = {"trial_duration": 25.3, "trial_reset": True}
STIMULI = [2.0, -1.0, 3.0, 1.0]
NAMES = ("V_soma", "V_basal", "V_apical", "V_nudge", "V_prospective", "rate", "error_basal", "error_apical")
NAN = float("nan")


def connect(nest, pre, post, receptor, delay, weight, model="static_synapse"):
    syn_spec = {"synapse_model": model, "weight": weight, "delay": ms(delay), "receptor_type": receptor}
    nest.Connect(pre, post, syn_spec=syn_spec)


class Network:
    """A stimulus, two cells that nudge each other, spikes and currents from cells and from devices; traces of both cells.

    Parameters
    ----------
    stimuli : list of float
        One for each trial.
    n_trials : int
        Trials in which the prescribed spikes are repeated.
    min_delay : int
        Smallest delay (steps).
    trials
        Parameters of the clock.
    """

    def __init__(self, nest, stimuli, n_trials, min_delay, **trials):
        short, long = min_delay, 17
        onsets = PERIOD * np.arange(n_trials)[:, np.newaxis]
        # phases at which spikes are emitted (steps): after the onset, and at the end, where they are under way at the next onset
        in_trial = np.ravel(onsets + np.array([1, 2, 3, 5, 40, 41, 240, 251, 252, 253]))
        counts = 1 + np.arange(in_trial.size) % 2
        generator = nest.Create("spike_generator", params={"spike_times": ms(in_trial), "spike_multiplicities": counts})
        current = nest.Create("dc_generator", params={"amplitude": 0.2})
        stimulus = nest.Create("stimulus_neuron", params={"stimulus_values": stimuli, "psi": 1.0, **trials})
        self.cells = nest.Create("pyramidal_neuron", 2, {"psi": 0.1, "I_e": 0.1, **trials})
        self.cells.set(latent_equilibrium=[True, False], C_m=[1.0, 3.0])
        a, b = self.cells
        current_after = nest.Create("dc_generator", params={"amplitude": -0.07})  # is updated after the cells
        connect(nest, stimulus, a, 2, short, 1.0, "sic_connection")
        connect(nest, stimulus, b, 3, long, -1.0, "sic_connection")
        connect(nest, stimulus, b, 4, short, 2.0, "rate_connection_delayed")
        connect(nest, a, b, 4, long, 1.0, "rate_connection_delayed")
        connect(nest, b, a, 4, short, 1.0, "rate_connection_delayed")
        connect(nest, a, b, 2, short, 2.0, "sic_connection")
        late = np.ravel(np.tile(np.arange(10) >= 4, n_trials))  # the first spikes of a parrot take a while
        pre = parrots(nest, [(in_trial[late], counts[late])], min_delay)
        for cell, receptor, delay, weight in [
            (a, 2, short, 0.8),
            (a, 1, long, 0.1),
            (b, 3, long, -0.6),
            (b, 2, short + 3, 0.5),
        ]:
            connect(nest, pre, cell, receptor, delay, weight)
            connect(nest, generator, cell, receptor, delay, 0.3 * weight)
            if (
                receptor > 1
            ):  # dendrites; plastic synapses, which do not learn, bring their spikes by a way of their own
                connect(nest, pre, cell, receptor, delay, 0.4 * weight, "dendritic_error_synapse")
        for device in (current, current_after):
            nest.Connect(device, a, syn_spec={"delay": ms(short)})
            nest.Connect(device, b, syn_spec={"delay": ms(long)})
        self.nest = nest
        self.traces = Traces(nest, self.cells, NAMES)

    def run(self, n_steps, chunks=None):
        """Traces of n_steps steps, each shape (2, n_steps)."""
        for chunk in (*(chunks or [n_steps]), 20):  # the recorder hands out its values a slice later
            self.nest.Simulate(float(ms(chunk)))
        return {name: self.traces[name][:, :n_steps] for name in NAMES}


def assert_identical(a, b):
    for name in NAMES:
        assert np.array_equal(a[name], b[name], equal_nan=True), name


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("min_delay", [1, 5])
def test_after_a_reset_as_in_a_fresh_network(nest, min_delay, threads):
    """Bit for bit, although spikes, currents and signals were under way when the trial began."""
    fresh_kernel(nest, threads=threads)
    together = Network(nest, STIMULI, len(STIMULI), min_delay, **TRIALS).run(PERIOD * len(STIMULI))
    for k, stimulus in enumerate(STIMULI):
        fresh_kernel(nest)
        alone = Network(nest, [stimulus], 1, min_delay).run(PERIOD)
        assert_identical({name: values[:, PERIOD * k : PERIOD * (k + 1)] for name, values in together.items()}, alone)
        assert all(np.nanmax(np.abs(alone[name])) > 0.1 for name in NAMES)


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("min_delay", [1, 5])
@pytest.mark.parametrize("chunks", [None, [PERIOD] * len(STIMULI)], ids=["random", "whole trials"])
def test_one_simulation_of_many_trials_or_many(nest, min_delay, resets, chunks):
    """Also if parameters are set in between: the clock goes on."""
    n_steps = PERIOD * len(STIMULI)
    trials = TRIALS | {"trial_reset": resets, "readout_start": 11.0, "readout_stop": 25.3}
    network = Network(nest, STIMULI, len(STIMULI), min_delay, **trials)
    once = network.run(n_steps)
    readout = np.array(network.cells.readout_V_soma)
    fresh_kernel(nest)
    chunked = Network(nest, STIMULI, len(STIMULI), min_delay, **trials)
    for chunk in chunks or random_chunks(n_steps, np.random.default_rng(min_delay)):
        nest.Simulate(float(ms(chunk)))
        chunked.cells.set(I_e=0.1, learning=True, trial_reset=resets)
    assert_identical(chunked.run(n_steps, [1]), once)
    assert np.array_equal(np.array(chunked.cells.readout_V_soma), readout)
    assert readout.shape == (2, len(STIMULI))


def test_without_reset_the_state_is_kept(nest):
    """A stimulus that stays is no event: trials without reset are one long trial."""
    long = Network(nest, [2.0], 4, 1).run(4 * PERIOD)
    fresh_kernel(nest)
    assert_identical(Network(nest, [2.0] * 4, 4, 1, trial_duration=25.3).run(4 * PERIOD), long)


@pytest.mark.parametrize("stop", [20.0, 25.3])
def test_readout_is_the_mean_over_its_window(nest, stop):
    trials = TRIALS | {"readout_start": 11.0, "readout_stop": stop}
    network = Network(nest, STIMULI, len(STIMULI), 5, **trials)
    traces = network.run(PERIOD * len(STIMULI))
    window = np.arange(110, round(stop / 0.1))
    for name in ("V_soma", "V_basal", "V_apical"):
        means = [[v[PERIOD * k + window].mean() for k in range(len(STIMULI))] for v in traces[name]]
        # rounding of a sum of some hundred potentials
        assert np.allclose(network.cells.get(f"readout_{name}"), means, rtol=1e-12, atol=0)
        assert np.ptp(means) > 0.1


def test_stimulus_of_each_trial(nest):
    """Value k in trial k for stimulus_duration, nothing for NaN and after the last."""
    trials = {"trial_start": 5.0, "trial_duration": 20.0, "stimulus_duration": 12.0}
    cell = nest.Create("stimulus_neuron", params={"stimulus_values": [1.5, NAN, -2.0], **trials})
    traces = Traces(nest, cell, ["stimulus", "V_prospective", "rate"])
    nest.Simulate(100.1)
    expected = np.full(1000, NAN)
    expected[50:170] = 1.5
    expected[450:570] = -2.0
    for name in ("stimulus", "V_prospective"):
        assert np.array_equal(traces[name][0], expected, equal_nan=True)
    assert np.array_equal(traces["rate"][0], 100.0 * np.nan_to_num(np.maximum(expected, 0.0)))


def test_first_trial_in_the_future(nest):
    """Before trial_start there is no trial: no reset, no read-out; the state of before is lost at trial_start."""
    start = 40
    trials = {"trial_start": 4.0, "readout_start": 0.0, "readout_stop": 5.0}
    cell = nest.Create("pyramidal_neuron", params=TRIALS | trials | {"I_e": 0.3, "gamma": 0.0})
    traces = Traces(nest, cell, ["V_soma"])
    nest.Simulate(float(ms(start)))
    assert len(cell.readout_V_soma) == 0
    assert cell.V_soma > 0.5
    nest.Simulate(40.0)
    V = traces["V_soma"][0]
    assert np.array_equal(V[start : 2 * start], V[:start])
    assert np.array_equal(V[start + PERIOD : start + PERIOD + 100], V[start : start + 100])
    assert len(cell.readout_V_soma) == 2


def test_a_window_that_is_moved_begins_anew(nest):
    """No mean over parts of two windows; a setting that leaves the window alone leaves the mean alone."""
    trials = {"trial_duration": 40.0, "readout_start": 5.0, "readout_stop": 15.0}
    cell = nest.Create("pyramidal_neuron", params=trials | {"gamma": 0.0, "I_e": 0.1})
    traces = Traces(nest, cell, ["V_soma"])
    nest.Simulate(10.0)
    cell.set(learning=False, trial_reset=True, stimulus_duration=3.0)
    nest.Simulate(40.0)
    cell.readout_stop = 20.0
    nest.Simulate(20.0)
    V = traces["V_soma"][0]
    expected = [V[50:150].mean(), V[500:600].mean()]
    assert cell.readout_V_soma == pytest.approx(expected, rel=1e-12)  # rounding of a sum of a hundred potentials


def test_clock_that_is_set_between_two_runs(nest):
    """Within Prepare and Cleanup, too, new trials begin at once: stimulus, reset, read-out."""
    trials = {"trial_duration": 30.0, "trial_reset": True, "readout_start": 10.0, "readout_stop": 30.0}
    results = []
    for prepared in (False, True):
        fresh_kernel(nest)
        run = nest.Run if prepared else nest.Simulate
        source = nest.Create("stimulus_neuron", params={"stimulus_values": [1.0], "psi": 1.0, "trial_duration": 30.0})
        cell = nest.Create("pyramidal_neuron", params={"gamma": 0.0})
        connect(nest, source, cell, 2, 1, 1.0, "sic_connection")
        traces = Traces(nest, cell, ["V_basal"])
        if prepared:
            nest.Prepare()
        run(47.0)
        cell.set(trial_start=47.0, **trials)
        source.set(trial_start=47.0, stimulus_values=[2.0, 3.0])
        run(60.0)
        cell.trial_start = source.trial_start = 107.0
        run(30.0)
        if prepared:
            nest.Cleanup()
        V = traces["V_basal"][0]
        results.append((V[:1360], np.array(cell.readout_V_basal)))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])
    assert results[1][1] == pytest.approx([2.0], rel=1e-3)  # the dendrite has settled to exp(-10) of its 2 mV


def test_times_beyond_any_run(nest):
    """An infinite trial, and times that a double holds but no clock, are 'never'; nothing overflows."""
    for never in (math.inf, 1e300):
        cell = nest.Create("pyramidal_neuron", params={"trial_duration": never, "learning_stop": never, "I_e": 0.1})
        other = nest.Create("pyramidal_neuron", params={"I_e": 0.1, "readout_start": 1.0, "readout_stop": never})
        late = nest.Create("pyramidal_neuron", params={"trial_start": never, "trial_reset": True, "I_e": 0.1})
        nest.Simulate(20.0)
        assert cell.V_soma == other.V_soma == late.V_soma > 0.1
        nest.ResetKernel()
        fresh_kernel(nest)


@pytest.mark.parametrize("steps", [2**33, 2**33 + 1, 10**12 + 7, 2**45 + 3])
def test_long_times_are_multiples_within_their_rounding(nest, steps):
    """Steps times 0.1 ms, to the nearest double, is accepted, and means that number of steps; half a step more is not."""
    cell = nest.Create("pyramidal_neuron")
    cell.trial_duration = steps * 0.1
    assert cell.trial_duration == pytest.approx(steps * 0.1, rel=1e-15)
    with pytest.raises(nest.NESTError, match="trial_duration must be a multiple of the resolution"):
        cell.trial_duration = (steps + 0.5) * 0.1


@pytest.mark.parametrize("window", ["learning", "free_learning", "readout"])
def test_window_that_ends_before_it_begins(nest, window):
    cell = nest.Create("pyramidal_neuron", params={f"{window}_stop": 20.0})
    with pytest.raises(
        nest.NESTError, match=f"{window}_start must not exceed {window}_stop, got 30 ms and 20 ms; set both"
    ):
        cell.set({f"{window}_start": 30.0})
    assert cell.get(f"{window}_start") == 0.0
    cell.set({f"{window}_start": 20.0})


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinite_stimulus(nest, value):
    """Infinity is neither silence nor a stimulus."""
    source = nest.Create("stimulus_neuron", params={"stimulus_values": [1.0, NAN]})
    with pytest.raises(nest.NESTError, match="stimulus_values must be finite numbers, or NaN for a trial without"):
        source.stimulus_values = [1.0, value]
    assert np.array_equal(source.stimulus_values, [1.0, NAN], equal_nan=True)


def test_time_that_is_set_back(nest):
    """Without plastic synapses everything begins anew; with them there is a sentence, and nothing is lost."""
    trials = {"trial_duration": 50.0, "trial_reset": True, "readout_start": 10.0, "readout_stop": 50.0}
    cell = nest.Create("pyramidal_neuron", params=trials)
    source = nest.Create("stimulus_neuron", params={"psi": 1.0, "stimulus_values": [1.0] * 20, "trial_duration": 50.0})
    connect(nest, source, cell, 2, 1, 0.02)
    connect(nest, source, cell, 2, 1, 1.0, "sic_connection")
    nest.Simulate(250.0)
    first = np.array(cell.readout_V_basal)
    # 1 mV of the rate and 0.02 mV of the spikes, which are some 40 in a window: 0.003 mV are a standard deviation of its mean
    noise = 6 * 0.003
    assert first[-1] == pytest.approx(1.02, abs=noise)
    nest.biological_time = 0.0
    for each in (cell, source):
        each.trial_start = 0.0
    nest.Simulate(250.0)
    assert np.array(cell.readout_V_basal) == pytest.approx(first, abs=2 * noise)  # other random numbers
    assert len(cell.readout_V_basal) == 5


@pytest.mark.parametrize(
    "model", ["dendritic_error_synapse", "dendritic_error_reference_synapse", "dendritic_error_rate_synapse"]
)
def test_time_that_is_set_back_under_plastic_synapses(nest, model):
    cell = nest.Create("pyramidal_neuron", params={"I_e": 0.1})
    source = nest.Create("stimulus_neuron", params={"stimulus_values": [1.0]})
    nest.CopyModel(model, "plastic", {"eta": 1e-6})
    nest.Connect(source, cell, syn_spec={"synapse_model": "plastic", "receptor_type": 2})
    nest.Simulate(50.0)
    nest.biological_time = 0.0
    learned = nest.GetConnections(synapse_model="plastic").weight
    assert learned > 1.0
    for _ in range(2):  # a refusal changes nothing
        with pytest.raises(
            nest.NESTError, match="biological_time was set back, but the plastic synapses onto pyramidal_neuron 1"
        ):
            nest.Simulate(50.0)


def test_time_that_is_set_back_after_all_plastic_synapses_are_gone(nest):
    """Synapses that are no more forbid nothing; others may come."""
    cell, relay = nest.Create("pyramidal_neuron", params={"I_e": 0.1, "gamma": 0.0}), nest.Create("parrot_neuron")
    syn_spec = {"synapse_model": "dendritic_error_synapse", "receptor_type": 2}
    nest.Connect(relay, cell, syn_spec=syn_spec)
    nest.Simulate(50.0)
    nest.Disconnect(nest.GetConnections(synapse_model="dendritic_error_synapse"))
    nest.biological_time = 0.0
    nest.Connect(relay, cell, syn_spec={"receptor_type": 2})
    nest.Simulate(50.0)
    nest.Connect(relay, cell, syn_spec=syn_spec)
    nest.Simulate(50.0)
    assert cell.archive_bytes > 0


def test_next_batch_of_trials(nest):
    """Setting trial_start begins a new count of trials, and forgets the means of the old one, half a window included."""
    cell = nest.Create("pyramidal_neuron", params=TRIALS | {"gamma": 0.0, "readout_start": 5.0, "readout_stop": 15.0})
    source = nest.Create("stimulus_neuron", params=TRIALS | {"stimulus_values": [1.0, 2.0, 3.0], "psi": 1.0})
    connect(nest, source, cell, 2, 1, 1.0, "sic_connection")
    nest.Simulate(25.3 * 2 + 10.0)  # five ms of the third window
    first = np.array(cell.readout_V_basal)
    now = nest.biological_time
    for node in (cell, source):
        node.trial_start = now
    source.stimulus_values = [2.0, 1.0]
    assert len(cell.readout_V_basal) == 0
    nest.Simulate(25.3 * 2)
    assert np.array_equal(cell.readout_V_basal, first[::-1])


@pytest.mark.parametrize("calls_off", [True, False])
def test_a_spike_at_an_onset_is_lost_only_if_there_is_a_reset(nest, calls_off):
    """It is under way when the onset is reached; only then is it known whether there will be a reset."""
    cell = nest.Create("pyramidal_neuron", params={"trial_duration": 10.0, "trial_reset": True, "gamma": 0.0})
    generator = nest.Create("spike_generator", params={"spike_times": [10.0]})
    connect(nest, generator, cell, 2, 3, 1.0)
    nest.Simulate(10.0)
    if calls_off:
        cell.trial_reset = False
    nest.Simulate(1.0)
    # 1 mV ms in a step of 0.1 ms, which moves a dendrite of 1 ms; it has arrived after 0.3 ms and decays for 0.7 ms
    expected = 10.0 * (1.0 - np.exp(-0.1)) * np.exp(-0.7) if calls_off else 0.0
    assert cell.V_basal == pytest.approx(expected, rel=1e-12)


# ---- divergence ---------------------------------------------------------------------------------------------------------

MESSAGE = (
    r"the network diverges: the prospective potential of pyramidal_neuron {} became .* mV in trial {}, at {} ms; lower"
)


def diverging(nest, n_cells, index, threads, delay=1):
    """Cells of which one is driven beyond 1 V in the third trial of 10 ms; returns it."""
    fresh_kernel(nest, threads=threads)
    trials = {"trial_duration": 10.0}
    cells = nest.Create("pyramidal_neuron", n_cells, trials | {"psi": 0.1})
    source = nest.Create("stimulus_neuron", params={"stimulus_values": [1.0, 2.0, 1e4, 1.0], "psi": 1.0, **trials})
    connect(nest, source, cells[index], 1, delay, 1.0, "sic_connection")
    return cells[index]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("delay", [1, 5])
@pytest.mark.parametrize("index", [0, 1])
def test_divergence_names_cell_trial_and_time(nest, index, delay, threads):
    """With any number of threads; those that do not diverge must not wait for the one that does."""
    cell = diverging(nest, 6, index, threads, delay)
    message = MESSAGE.format(cell.global_id, 2, re.escape(f"{20.1 + delay * 0.1:g}"))
    with pytest.raises(nest.NESTError, match=message):
        nest.Simulate(40.0)
    assert nest.biological_time <= 21.0
    # after a reset of the kernel nothing is left of it
    fresh_kernel(nest, threads=threads)
    nest.Create("pyramidal_neuron", 3)
    nest.Simulate(10.0)


def test_divergence_at_the_end_of_a_run(nest):
    """Threads stop together when a slice begins: the next run says what happened in the last step of this one."""
    cell = diverging(nest, 6, 1, threads=2)
    nest.Simulate(20.2)
    with pytest.raises(nest.NESTError, match=MESSAGE.format(cell.global_id, 2, "20.2")):
        nest.Simulate(1.0)


def test_divergence_with_more_threads_than_cells(nest):
    """A thread without a cell cannot stop, so the run goes on to its end; the next one says what happened."""
    cell = diverging(nest, 1, 0, threads=3, delay=10)
    nest.Simulate(40.0)
    with pytest.raises(nest.NESTError, match=MESSAGE.format(cell.global_id, 2, "21.1")):
        nest.Simulate(1.0)


def test_a_single_endless_trial_from_rest(nest):
    """A reset at the onset of the only trial loses nothing that comes later, from devices either."""
    traces = []
    for trial in ({}, {"trial_reset": True}):
        fresh_kernel(nest)
        cell = nest.Create("pyramidal_neuron", params=trial)
        generator = nest.Create("spike_generator", params={"spike_times": [1.0, 2.0, 2.1]})
        nest.Connect(generator, cell, syn_spec={"receptor_type": 2, "delay": 0.1})
        traces.append(Traces(nest, cell, ["V_soma"]))
        nest.Simulate(5.0)
        traces[-1] = traces[-1]["V_soma"]
    assert np.ptp(traces[0]) > 0
    assert np.array_equal(*traces)
