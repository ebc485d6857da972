# SPDX-License-Identifier: GPL-2.0-or-later
"""What `frozen` means: no dynamics, no errors, no spikes and no signals, while time goes on for all synapses.

Expected weights come from plasticity_oracle.Replay with the recorded errors, 0 where the cell was frozen.
"""

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from plasticity_circuit import H, ms
from plasticity_oracle import Replay, Rule
from traces import Traces

RULE = Rule(1e-3, tau_s=5.0, tau_Delta=10.0)
MODELS = ["dendritic_error_synapse", "dendritic_error_psp_synapse", "dendritic_error_reference_synapse"]
TRIALS = {"trial_duration": 30.3, "trial_reset": True}
DELAY = 3  # steps
CHUNKS = [(False, 413), (True, 507), (False, 311), (True, 1), (False, 700)]  # frozen, how long (steps)


def relay(nest, steps, delay=1):
    """A neuron that emits a spike in each of these steps."""
    generator = nest.Create("spike_generator", params={"spike_times": ms(np.asarray(steps) - delay)})
    parrot = nest.Create("parrot_neuron")
    nest.Connect(generator, parrot, syn_spec={"delay": ms(delay)})
    return parrot


def run_in_chunks(nest, cell, chunks=CHUNKS):
    """Freeze and thaw; after each chunk the time (steps) and the weights of the model 'plastic', by source."""
    course = []
    for frozen, steps in chunks:
        cell.frozen = frozen
        assert cell.frozen == frozen
        nest.Simulate(float(ms(steps)))
        assert cell.frozen == frozen
        synapses = nest.GetConnections(synapse_model="plastic")
        order = np.argsort(np.atleast_1d(synapses.source))
        course.append((round(nest.biological_time / H), np.atleast_1d(synapses.weight)[order]))
    return course


def recorded_errors(nest, recorder, n_steps):
    """Errors of all steps, 0 where nothing was recorded; the recorder hands out the last ones only after a further slice."""
    nest.Simulate(1.0)
    events = recorder.get("events")
    errors = np.zeros(n_steps)
    steps = np.round(events["times"] / H).astype(int)
    seen = steps <= n_steps
    errors[steps[seen] - 1] = events["error_basal"][seen]
    return errors, steps


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("trials", [{}, TRIALS], ids=["endless", "resets"])
@pytest.mark.parametrize("threads", [1, 3])
def test_weights_are_exact_while_frozen_and_afterwards(nest, model, trials, threads):
    """Frequent, rare and early spikes, some of them while the cell is frozen, and resets then."""
    fresh_kernel(nest, threads=threads)
    n_steps = sum(steps for _, steps in CHUNKS)
    cell = nest.Create("pyramidal_neuron", params={"psi": 10.0, "I_e": 0.1, **trials})
    trains = [np.arange(20, n_steps, 50), np.array([30, 1900]), np.array([25]), np.array([600, 601, 1500])]
    rule = RULE
    if model == "dendritic_error_psp_synapse":
        rule = Rule(RULE.eta, tau_s=RULE.tau_s, tau_Delta=RULE.tau_Delta, tau_m=8.0)
    parameters = {"eta": rule.eta, "tau_s": rule.tau_s, "tau_Delta": rule.tau_Delta, "weight": 0.0}
    nest.CopyModel(model, "plastic", parameters | ({"tau_m": rule.tau_m} if rule.tau_m else {}))
    for train in trains:
        syn_spec = {"synapse_model": "plastic", "receptor_type": 2, "delay": ms(DELAY)}
        nest.Connect(relay(nest, train), cell, syn_spec=syn_spec)
    recorder = nest.Create("multimeter", params={"interval": H, "record_from": ["error_basal"]})
    nest.Connect(recorder, cell)
    course = run_in_chunks(nest, cell)
    errors, steps = recorded_errors(nest, recorder, n_steps)

    ends = np.cumsum([length for _, length in CHUNKS])
    asleep = [np.arange(end - length + 1, end + 1) for (frozen, length), end in zip(CHUNKS, ends) if frozen]
    assert not np.isin(steps, np.concatenate(asleep)).any()
    resets = set(range(0, n_steps, 303)) if trials else set()
    for i, train in enumerate(trains):
        replay = Replay(rule, errors, DELAY, 0.0, resets)
        for time, weights in course:
            while train.size and train[0] < time:  # a spike of the last step is delivered when the next one begins
                last = replay.spikes(train[0], 1)[-1]
                train = train[1:]
            if model == "dendritic_error_reference_synapse":  # shows the weight of the last spike
                expected = last if replay.time is not None else 0.0
            else:
                expected = replay.read(time)
            # some thousand additions of errors of up to 5 / ms, times eta h s < 1e-3: rounding is below 1e-12 of their sum
            assert weights[i] == pytest.approx(expected, rel=1e-10, abs=1e-13)
    assert np.ptp(course[-1][1]) > 0.01


def test_many_freezes_with_silent_synapses_and_disconnection(nest):
    """What crashed: epochs that an archive which has fallen behind does not have. Here only that it runs, and the memory."""
    for seed in range(3):
        fresh_kernel(nest, seed=seed + 1)
        rng = np.random.default_rng(seed)
        cell = nest.Create("pyramidal_neuron", params={"psi": 10.0, "I_e": 0.1, **(TRIALS if seed else {})})
        generators = nest.Create("poisson_generator", 30)
        generators.rate = list(rng.uniform(0.5, 200, 30))
        pre = nest.Create("parrot_neuron", 30)
        nest.Connect(generators, pre, "one_to_one")
        nest.CopyModel("dendritic_error_synapse", "plastic", {"eta": 1e-5, "tau_Delta": 10.0, "weight": 0.0})
        nest.Connect(pre, cell, syn_spec={"synapse_model": "plastic", "receptor_type": 2, "delay": 0.3})
        for _ in range(40):
            cell.frozen = bool(rng.random() < 0.5)
            nest.Simulate(float(ms(rng.integers(1, 2000))))
            synapses = nest.GetConnections(synapse_model="plastic")
            if len(synapses) > 10 and rng.random() < 0.2:
                nest.Disconnect(synapses[int(rng.integers(len(synapses)))])
        assert np.all(np.abs(nest.GetConnections(synapse_model="plastic").weight) < 1.0)
        assert 0 < cell.archive_bytes < 20_000  # as test_archive_memory bounds them


def test_rate_synapse_does_not_learn_while_frozen(nest):
    """The filter adds what it held; then the weight stands still, and afterwards it grows as before."""
    source = nest.Create("stimulus_neuron", params={"psi": 1.0, "stimulus_values": [1.0]})
    cell = nest.Create("pyramidal_rate_neuron", params={"I_e": 0.1})
    nest.CopyModel("dendritic_error_rate_synapse", "plastic", {"eta": 1e-3, "tau_Delta": 1.0, "weight": 0.0})
    nest.Connect(source, cell, syn_spec={"synapse_model": "plastic", "receptor_type": 2, "delay": H})
    traces = Traces(nest, cell, ["error_basal"])
    course = run_in_chunks(nest, cell, [(False, 500), (True, 500), (False, 500)])
    (_, [first]), (_, [second]), (_, [third]) = course
    nest.Simulate(1.0)  # the recorder hands out the last steps only after a further slice
    errors = traces["error_basal"][0][:1000]
    # tau_s = 0: the trace is the rate, 1 / ms, so that an error adds eta h to the weight, in the end
    assert second == pytest.approx(1e-3 * H * errors[:500].sum(), rel=1e-9)
    # what a filter of 1 ms holds of a steady error, and the last one, which has not met it yet; the error still changes by 1e-5 a step
    held = 1 / (1 - np.exp(-H / 1.0)) + 1
    assert second - first == pytest.approx(1e-3 * H * errors[499] * held, rel=1e-3)
    # what the filter held when the run ended is missing: as much as came late in the first part
    assert third - second == pytest.approx(1e-3 * H * (errors[500:].sum() - errors[999] * held), rel=1e-5)


@pytest.mark.parametrize("kind", ["neuron", "population"])
def test_a_frozen_cell_sends_nothing(nest, kind):
    """No spikes, no potential, no rate: partners are as if it were not there."""
    cell = nest.Create(f"pyramidal_{kind}", params={"psi": 50.0, "I_e": 0.2})
    partner, listener, alone = nest.Create("pyramidal_neuron", 3, {"gamma": 0.0})
    nest.Connect(cell, partner, syn_spec={"synapse_model": "rate_connection_delayed", "receptor_type": 4, "delay": H})
    nest.Connect(cell, listener, syn_spec={"synapse_model": "sic_connection", "receptor_type": 2, "delay": H})
    recorder = nest.Create("spike_recorder")
    nest.Connect(cell, recorder)
    partner.I_e = alone.I_e = 0.05
    nest.Simulate(200.0)
    assert abs(partner.V_soma - alone.V_soma) > 0.05
    assert listener.V_basal > 0.1
    cell.frozen = True
    held = cell.get(["V_soma", "V_basal", "V_prospective"])
    nest.Simulate(200.0)
    assert cell.get(["V_soma", "V_basal", "V_prospective"]) == held
    # 200 ms are 30 time constants of the soma and 200 of the dendrite
    assert partner.V_soma == pytest.approx(alone.V_soma, rel=1e-12)
    assert abs(listener.V_basal) < 1e-12
    assert recorder.events["times"].max() <= 200.0
    cell.frozen = False
    nest.Simulate(100.0)
    assert abs(partner.V_soma - alone.V_soma) > 0.05
    assert recorder.events["times"].max() > 290.0


@pytest.mark.parametrize("model", ["pyramidal_neuron", "stimulus_neuron"])
def test_a_teacher_that_is_frozen_from_the_start_does_not_nudge(nest, model):
    """No signal is not a signal of 0 mV."""
    teacher = nest.Create(model, params={"stimulus_values": [3.0]})
    teacher.frozen = True
    pupil, alone = nest.Create("pyramidal_neuron", 2, {"gamma": 0.0, "I_e": 0.1})
    syn_spec = {"synapse_model": "rate_connection_delayed", "receptor_type": 4, "delay": 0.5}
    nest.Connect(teacher, pupil, syn_spec=syn_spec)
    traces = Traces(nest, pupil + alone, ["V_soma", "V_nudge"])
    nest.Simulate(20.0)
    assert np.array_equal(*traces["V_soma"])
    assert np.isnan(traces["V_nudge"]).all()


def test_what_arrives_while_frozen_is_lost(nest):
    """Spikes that arrive then leave no trace; one that is under way when the cell thaws arrives."""
    cell = nest.Create("pyramidal_neuron", params={"gamma": 0.0})
    never = nest.Create("pyramidal_neuron", params={"gamma": 0.0})
    late = relay(nest, [195])
    nest.Connect(relay(nest, [110, 150, 190]), cell, syn_spec={"receptor_type": 2, "delay": 0.5, "weight": 1.0})
    for each in (cell, never):
        nest.Connect(late, each, syn_spec={"receptor_type": 2, "delay": 2.0, "weight": 1.0})
    traces = Traces(nest, never, ["V_basal"])
    again = Traces(nest, cell, ["V_basal"])
    for frozen in (False, True, False):
        cell.frozen = frozen
        nest.Simulate(10.0)
    nest.Simulate(1.0)
    assert np.array_equal(again["V_basal"][0], np.delete(traces["V_basal"][0], np.arange(100, 200)))
    assert again["V_basal"].max() > 0.5


def test_trials_go_on_while_frozen(nest):
    """Read-outs are counted on, those of a frozen cell are of potentials that stand still, and an onset brings it to rest."""
    trials = {"trial_duration": 10.0, "readout_start": 2.0, "readout_stop": 10.0}
    for resets in (False, True):
        fresh_kernel(nest)
        cell = nest.Create("pyramidal_neuron", params={"gamma": 0.0, "I_e": 0.1, "trial_reset": resets, **trials})
        nest.Simulate(15.0)
        cell.frozen = True
        held = cell.V_soma
        nest.Simulate(20.0)
        cell.frozen = False
        nest.Simulate(15.0)
        means = cell.readout_V_soma
        assert len(means) == 5
        assert held > 0.1
        # mean of a constant, rounded a hundred times
        assert means[2] == pytest.approx(0.0 if resets else held, rel=1e-12)
        assert cell.V_soma > held


def test_frozen_is_refused_during_a_run(nest):
    cell = nest.Create("pyramidal_neuron")
    nest.Prepare()
    with pytest.raises(nest.NESTError, match="frozen can be set only before Prepare and after Cleanup"):
        cell.frozen = True
    nest.Run(1.0)
    nest.Cleanup()
    assert not cell.frozen
    cell.frozen = True
    nest.Prepare()
    assert cell.frozen
    nest.Cleanup()
    assert cell.frozen
    cell.frozen = False
    nest.Simulate(1.0)
    assert not cell.frozen
