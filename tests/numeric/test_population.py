# SPDX-License-Identifier: GPL-2.0-or-later
"""Populations: the spikes of a cell and step as one event, and nothing else different."""

import math

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from traces import Traces

from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.spiking import SpikingMicrocircuit
from pynest_tools.networks.weights import initial_weights

PSI = 100.0
KINDS = ("neuron", "population")


def learning_network(nest, kind, *, threads=1, min_delay=0.1, **cell):
    """Inputs with different rates onto cells that excite each other's apical dendrites; spikes, potentials and weights."""
    fresh_kernel(nest, threads=threads)
    nest.rng_seed = 5
    pre = nest.Create(f"stimulus_{kind}", 12, {"psi": PSI})
    pre.set([{"stimulus_values": [value]} for value in np.linspace(0.0, 1.1, 12)])  # from silence to 11 spikes a step
    post = nest.Create(f"pyramidal_{kind}", 4, {"psi": PSI, **cell})
    nest.CopyModel("dendritic_error_synapse", "up", {"eta": 1e-9, "tau_Delta": 3.0})
    nest.CopyModel("dendritic_error_psp_synapse", "pi", {"eta": 1e-10, "tau_m": 5.0})
    syn_spec = {"weight": 1e-2, "delay": min_delay}
    nest.Connect(pre, post, "all_to_all", syn_spec | {"synapse_model": "up", "receptor_type": 2})
    nest.Connect(post, post, "all_to_all", {"synapse_model": "pi", "receptor_type": 3, "weight": -2e-4, "delay": 1.7})
    nest.Connect(pre, post, "all_to_all", {"receptor_type": 1, "weight": 1e-4, "delay": min_delay})
    spikes, potentials = nest.Create("spike_recorder"), nest.Create("multimeter", params={"record_from": ["V_soma"]})
    nest.Connect(pre + post, spikes)
    nest.Connect(potentials, post)
    nest.Simulate(120.0)
    events = spikes.get("events")
    order = np.lexsort((events["senders"], events["times"]))
    plastic = [nest.GetConnections(synapse_model=name) for name in ("up", "pi")]
    return {
        "times": events["times"][order],
        "senders": events["senders"][order],
        "V_soma": potentials.get("events", "V_soma"),
        "weights": np.concatenate([np.array(c.weight)[np.lexsort((c.source, c.target))] for c in plastic]),
    }


@pytest.mark.parametrize("min_delay", [0.1, 0.5])
@pytest.mark.parametrize("threads", [1, 2])
def test_same_spikes_potentials_and_weights(nest, threads, min_delay):
    one, other = (learning_network(nest, kind, threads=threads, min_delay=min_delay) for kind in KINDS)
    assert np.array_equal(one["times"], other["times"])
    assert np.array_equal(one["senders"], other["senders"])
    assert one["times"].size > 10_000
    # n times the same weight are added n times, or once: rounding
    assert other["V_soma"] == pytest.approx(one["V_soma"], rel=1e-10, abs=1e-12)
    assert np.ptp(one["weights"][:48]) > 1e-4
    assert other["weights"] == pytest.approx(one["weights"], rel=1e-10, abs=0)


def test_same_training(nest):
    """A microcircuit learns the same, sample by sample, whichever transmission its specification names."""
    weights, outputs = [], []
    rng = np.random.default_rng(3)
    stimuli, targets = rng.uniform(0.0, 1.0, (12, 6)), rng.uniform(0.0, 1.0, (12, 2))
    for transmission in ("spikes", "population"):
        circuit = Microcircuit(sizes=(6, 5, 2), transmission=transmission)
        network = SpikingMicrocircuit(circuit, initial_weights(circuit, np.random.default_rng(1)), seed=1)
        outputs.append(network.run(stimuli, targets, learn=True).output)
        weights.append(np.concatenate([matrix.ravel() for _, matrix in network.get_weights().named()]))
    assert outputs[1] == pytest.approx(outputs[0], rel=1e-9)  # rounding, as above
    assert weights[1] == pytest.approx(weights[0], rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_mean_and_variance(nest, kind):
    """Input to a dendrite has the mean psi W r and, as it is Poisson, the variance psi W^2 r tau_b^-1 / 2 for small h."""
    fresh_kernel(nest)
    nest.rng_seed = 8
    rate, weight, tau, n = 0.4, 0.03, 5.0, 50
    pre = nest.Create(f"stimulus_{kind}", n, {"psi": PSI, "stimulus_values": [rate]})
    post = nest.Create("pyramidal_neuron", n, {"psi": 1.0, "tau_basal": tau})
    nest.Connect(pre, post, "one_to_one", {"receptor_type": 2, "weight": weight, "delay": 0.1})
    recorder = nest.Create("multimeter", params={"record_from": ["V_basal"], "start": 50.0, "interval": 5 * tau})
    nest.Connect(recorder, post)
    nest.Simulate(50.0 + 100 * 5 * tau)
    V = recorder.get("events", "V_basal")  # 5000 values, nearly independent
    h = 0.1
    decay = np.exp(-h / tau)
    variance = (
        PSI * rate * weight**2 / h * (1 - decay) ** 2 / (1 - decay**2)
    )  # of the autoregression of the time stepping
    assert V.mean() == pytest.approx(PSI * rate * weight, abs=4 * np.sqrt(variance / V.size))
    assert V.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / V.size))  # four standard errors of a Gaussian's


def test_large_numbers_of_spikes(nest):
    """Above 30 spikes a step the number comes from NEST's own generator: mean and variance are those of Poisson."""
    fresh_kernel(nest)
    nest.rng_seed = 9
    for mean in (0.02, 3.0, 29.0, 31.0, 400.0):
        fresh_kernel(nest)
        source = nest.Create("stimulus_population", params={"psi": 10 * mean, "stimulus_values": [1.0]})
        recorder = nest.Create("spike_recorder")
        nest.Connect(source, recorder)
        steps = 20_000 if mean < 1 else 2000
        nest.Simulate(steps * 0.1)
        times = np.round(recorder.get("events", "times") / 0.1).astype(int)
        counts = np.bincount(times, minlength=steps + 1)[1 : steps + 1]
        assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / steps)), mean
        # variance of the sample variance of a Poisson distribution
        assert counts.var() == pytest.approx(mean, abs=4 * np.sqrt((mean + 2 * mean**2) / steps)), mean


def test_distribution_of_spike_counts(nest):
    """All probabilities, not only two moments: chi-squared against the Poisson distribution."""
    from scipy import stats

    fresh_kernel(nest)
    nest.rng_seed = 10
    mean, steps = 4.0, 50_000
    source = nest.Create("stimulus_population", params={"psi": 10 * mean, "stimulus_values": [1.0]})
    recorder = nest.Create("spike_recorder")
    nest.Connect(source, recorder)
    nest.Simulate(steps * 0.1)
    times = np.round(recorder.get("events", "times") / 0.1).astype(int)
    counts = np.bincount(times, minlength=steps + 1)[1 : steps + 1]
    observed = np.bincount(np.minimum(counts, 13), minlength=14)
    expected = steps * np.append(stats.poisson.pmf(np.arange(13), mean), stats.poisson.sf(12, mean))
    assert stats.chisquare(observed, expected).pvalue > 1e-3  # a sound generator fails for one seed in a thousand


def test_silent_populations_send_nothing(nest):
    fresh_kernel(nest)
    pre = nest.Create("stimulus_population", 10, {"stimulus_values": [0.0]})
    post = nest.Create("pyramidal_population", 3, {"theta": 800.0})
    nest.Connect(pre, post, "all_to_all", {"synapse_model": "dendritic_error_synapse", "receptor_type": 2})
    nest.Simulate(1.0)
    before = len(nest.spike_buffer_resize_log["global_max_spikes_sent"])  # the first entry may be of a kernel before
    nest.Simulate(50.0)
    assert nest.off_grid_spiking
    sent = nest.spike_buffer_resize_log["global_max_spikes_sent"][before:]
    assert max(sent, default=0) <= 1  # 1 is an empty buffer's end marker


def test_targets_that_do_not_understand_are_refused(nest):
    for kind in ("stimulus", "pyramidal"):
        source = nest.Create(f"{kind}_population")
        with pytest.raises(nest.NESTError, match=f"{kind}_population sends all spikes of a step as one event"):
            nest.Connect(source, nest.Create("iaf_psc_exp"))
    assert nest.num_connections == 0


#: Synapses that carry the number of spikes of an event, and those that have nothing to do with spikes.
CARRIERS = [
    "static_synapse",
    "static_synapse_hom_w",
    "dendritic_error_synapse",
    "dendritic_error_psp_synapse",
    "releasing_dendritic_error_synapse",
    "alignment_synapse",
]
OF_SIGNALS = [
    "rate_connection_delayed",
    "sic_connection",
    "dendritic_error_rate_synapse",
    "releasing_dendritic_error_rate_synapse",
    "alignment_rate_synapse",
]


def refusal(nest, kind, model):
    """What is said when cells of this kind are to be connected by the model; None if they are."""
    receptor = 4 if "rate_connection_delayed" in model else 2
    source, target = nest.Create(f"pyramidal_{kind}"), nest.Create(f"pyramidal_{kind}")
    before = nest.num_connections
    try:
        nest.Connect(source, target, syn_spec={"synapse_model": model, "receptor_type": receptor})
    except nest.NESTError as error:
        return str(error)
    assert nest.num_connections == before + 1
    return None


def test_every_synapse_model_is_refused_but_those_that_carry_numbers(nest):
    """All that NEST has, and copies of them; a model that a later NEST brings is refused until it is said to carry numbers."""
    models = nest.synapse_models
    assert len(models) > 60
    for model in models:
        nest.CopyModel(model, f"copy_of_{model}")
        for name in (model, f"copy_of_{model}"):
            of_neurons, of_populations = refusal(nest, "neuron", name), refusal(nest, "population", name)
            if model.removesuffix("_lbl").removesuffix("_hpc") in CARRIERS + OF_SIGNALS:
                assert (
                    (of_neurons is None) == (of_populations is None) == (not model.endswith("_hpc"))
                )  # they know no receptors
            elif of_neurons is None:
                assert f"which {name} does not understand: take static_synapse" in of_populations
            else:
                assert of_populations is not None


@pytest.mark.parametrize("model", CARRIERS)
@pytest.mark.parametrize("threads", [1, 2])
def test_carriers_deliver_every_spike(nest, model, threads):
    """The dendrite gets the sum of the weights of all spikes that the recorder counts."""
    fresh_kernel(nest, threads=threads)
    nest.SetDefaults(model, {"weight": 0.25})
    source = nest.Create("stimulus_population", params={"psi": 500.0, "stimulus_values": [1.0]})
    target = nest.Create("pyramidal_neuron", params={"gamma": 0.0, "tau_basal": 0.0})
    nest.Connect(source, target, syn_spec={"synapse_model": model, "receptor_type": 2, "delay": 0.1})
    recorder = nest.Create("spike_recorder")
    nest.Connect(source, recorder)
    traces = Traces(nest, target, ["V_basal"])
    nest.Simulate(20.2)
    counts = np.bincount(np.round(recorder.events["times"] / 0.1).astype(int), minlength=203)
    # h V is the sum of the weights of a step; eta is 0, so that plastic ones stay as they are
    arrived = 0.1 * traces["V_basal"][0] / 0.25
    assert arrived[1:200] == pytest.approx(counts[1:200], rel=1e-12)
    assert counts[1:200].min() > 20


@pytest.mark.parametrize("kind", ["neuron", "population"])
def test_nest_counts_the_spikes(nest, kind):
    """local_spike_counter is the number of spikes, however they travel; with targets or without."""
    cells = nest.Create(f"stimulus_{kind}", 3, {"psi": 100.0, "stimulus_values": [1.0]})
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Connect(cells[0], nest.Create("pyramidal_neuron", 2, {"gamma": 0.0}), syn_spec={"receptor_type": 2})
    nest.Simulate(50.0)
    assert recorder.n_events > 10_000
    assert nest.local_spike_counter == recorder.n_events


def test_more_spikes_than_can_be_sent(nest):
    """None are left out silently: a population sends up to 1e9 a step, a neuron up to 1e6, then the run stops with the reason."""
    for kind, psi in (("neuron", 9e6), ("population", 9e9)):
        fresh_kernel(nest)
        cell = nest.Create(f"stimulus_{kind}", params={"psi": psi, "stimulus_values": [1.0]})
        recorder = nest.Create("spike_recorder")
        post = nest.Create("pyramidal_neuron", params={"gamma": 0.0, "tau_basal": 0.0})
        nest.Connect(cell, post, syn_spec={"receptor_type": 2, "delay": 0.1, "weight": 1.0 / psi})
        if kind == "neuron":
            nest.Connect(cell, recorder)
        nest.Simulate(0.3)
        # h V = sum of weights: psi h spikes of 1 / psi, give or take five standard deviations of at least 9e5 spikes
        assert 0.1 * post.V_basal == pytest.approx(0.1, rel=5 / math.sqrt(psi * 0.1))
        cell.psi = 3 * psi
        message = "lower psi" if kind == "population" else "lower psi, or take a population"
        with pytest.raises(
            nest.NESTError,
            match=f"stimulus_{kind} 1 has more than 10{{6,9}} spikes in the step that ends at 0.4 ms.*{message}",
        ):
            nest.Simulate(0.3)


def test_no_refractory_time(nest):
    cells = nest.Create("pyramidal_population", 2)
    with pytest.raises(nest.NESTError, match="t_ref must be 0, got 2 ms"):
        cells.set({"t_ref": 2.0, "psi": 5.0})
    assert cells.get("psi") == (100.0, 100.0)
    with pytest.raises(nest.NESTError, match="t_ref must be 0"):
        nest.SetDefaults("pyramidal_population", {"t_ref": 2.0})


def test_precise_spikes_of_other_models_count_once(nest):
    """An off-grid spike of a stock neuron has a positive offset, which is no number of spikes."""
    fresh_kernel(nest)
    precise = nest.Create("iaf_psc_exp_ps", params={"I_e": 1000.0})
    cell, recorder = nest.Create("pyramidal_neuron", params={"tau_basal": 1e6}), nest.Create("spike_recorder")
    nest.Connect(precise, cell, syn_spec={"receptor_type": 2, "weight": 1e6, "delay": 0.1})
    nest.Connect(precise, recorder)
    nest.Simulate(100.0)
    n = np.sum(recorder.get("events", "times") < 99.8)
    assert n > 3
    assert cell.V_basal == pytest.approx(n, rel=2e-4)  # decay over 100 of 10^6 ms
