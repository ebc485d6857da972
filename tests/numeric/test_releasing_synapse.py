# SPDX-License-Identifier: GPL-2.0-or-later
"""releasing_dendritic_error_synapse and its counterpart for rates: what is released, and that the rest is the rule without.

A dendrite that follows at once (tau_basal = 0) tells what arrives in a step: h V is the sum of the weights of all spikes.
"""

import math

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from plasticity_circuit import parrots, random_chunks, spike_counts
from plasticity_oracle import Rule, weight_at_end, weight_course
from scipy import stats
from test_rate_synapse import direct_sum
from traces import Traces

H = 0.1  # ms
BASAL, APICAL = 2, 3
MODEL, RATE_MODEL = "releasing_dendritic_error_synapse", "releasing_dendritic_error_rate_synapse"


def arrived(nest, sources, n_steps, *, model=MODEL, cell=None, spec=None, **parameters):
    """What one synapse of weight 1 from each source releases in the steps 0, 1, ..., n_steps - 1, shape (n_sources, n_steps).

    A synapse from each source leads to a cell of its own; what is of step n arrives in the next one.
    """
    targets = nest.Create("pyramidal_neuron", len(sources), {"g_basal": 0.0, "tau_basal": 0.0, **(cell or {})})
    nest.CopyModel(model, "releasing", parameters)
    syn_spec = {"synapse_model": "releasing", "receptor_type": BASAL, "delay": H, "weight": 1.0, **(spec or {})}
    nest.Connect(sources, targets, "one_to_one", syn_spec)
    traces = Traces(nest, targets, ["V_basal"])
    nest.Simulate((n_steps + 2) * H)
    return H * traces["V_basal"][:, :n_steps]


def constant_counts(nest, n, count, n_steps):
    """Presynaptic cells that have this number of spikes in every step from the second one on."""
    steps = np.arange(2, n_steps + 1)
    return parrots(nest, [(steps, np.full(steps.size, count))] * n)


# ---- how many -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.5, 0.1, 0.83])
@pytest.mark.parametrize("count", [1, 7])
def test_released_spikes_are_binomial(nest, p, count):
    """Mean, variance and all probabilities; independent of each other in time and between synapses."""
    n, n_steps = 20, 1500
    sources = constant_counts(nest, n, count, n_steps)
    released = arrived(nest, sources, n_steps, release_probability=p)[:, 2:]
    assert np.array_equal(released, np.round(released))
    size, variance = released.size, count * p * (1 - p)
    assert released.mean() == pytest.approx(count * p, abs=4 * math.sqrt(variance / size))
    # four standard errors of the variance of a binomial variable, of kurtosis 3 + (1 - 6 p (1 - p)) / variance; for a fair coin they
    # are 0, and the square of the mean's error is left
    kurtosis = 3 + (1 - 6 * p * (1 - p)) / variance
    assert released.var() == pytest.approx(variance, rel=4 * math.sqrt((kurtosis - 1) / size) + 16 / size)
    observed = np.bincount(released.astype(int).ravel(), minlength=count + 1)
    expected = size * stats.binom.pmf(np.arange(count + 1), count, p)
    likely = expected > 5
    observed = np.append(observed[likely], observed[~likely].sum())
    expected = np.append(expected[likely], expected[~likely].sum())
    keep = expected > 0
    assert stats.chisquare(observed[keep], expected[keep]).pvalue > 1e-3  # a sound generator fails for one seed in 1000
    x = (released - count * p) / math.sqrt(variance)
    for lag in (1, 2, 7):
        assert np.mean(x[:, lag:] * x[:, :-lag]) == pytest.approx(0.0, abs=4 / math.sqrt(size))
    for other in (1, 2, 5):
        assert np.mean(x * np.roll(x, other, axis=0)) == pytest.approx(0.0, abs=4 / math.sqrt(size))


@pytest.mark.parametrize(("count", "p"), [(150.0, 0.3), (3000.0, 0.71), (20.0, 0.5)])
def test_populations_of_many_spikes(nest, count, p):
    """Thinned Poisson numbers are Poisson: mean and variance of what arrives are p times those of what is sent."""
    n, n_steps = 10, 1000 if count < 1000 else 100
    sources = nest.Create("stimulus_population", n, {"psi": 10 * count, "stimulus_values": [1.0]})
    recorder = nest.Create("spike_recorder")
    nest.Connect(sources, recorder)
    released = arrived(nest, sources, n_steps, release_probability=p)[:, 2:]
    size = released.size
    assert released.mean() == pytest.approx(count * p, abs=4 * math.sqrt(count * p / size))
    assert released.var() == pytest.approx(count * p, rel=4 * math.sqrt((2 + 1 / (count * p)) / size))
    # given what was sent, it is binomial
    times = np.round(recorder.get("events", "times") / H).astype(int)
    senders = recorder.get("events", "senders") - sources.tolist()[0]
    sent = np.zeros((n, n_steps + 3))
    np.add.at(sent, (senders, times), 1)
    sent = sent[:, 2:n_steps]  # of step n in column n of `released`, which begins at 2
    z = (released - p * sent) / np.sqrt(p * (1 - p) * sent)
    assert z.mean() == pytest.approx(0.0, abs=4 / math.sqrt(size))
    assert z.var() == pytest.approx(1.0, abs=4 * math.sqrt(2 / size))


def test_neurons_and_populations_release_the_same(nest):
    """Spikes of a step that come one by one are released as those that come as a number."""
    results = []
    for kind in ("neuron", "population"):
        fresh_kernel(nest, seed=3)
        sources = nest.Create(f"stimulus_{kind}", 5, {"psi": 1.0})
        sources.set([{"stimulus_values": [value]} for value in (0.0, 1.0, 10.0, 100.0, 1500.0)])
        results.append(arrived(nest, sources, 300, release_probability=0.4))
    assert np.array_equal(*results)
    assert 300 * 0.4 * 100 < results[0][-1].sum() < 300 * 0.4 * 200  # 150 spikes a step, of which 0.4 arrive


def test_probabilities_that_end_early(nest):
    """Of 0.5 and 0.25 few bits are looked at; the frequency is right to four standard errors."""
    for p in (0.5, 0.25, 0.75, 2.0**-10, 1 - 2.0**-10):
        fresh_kernel(nest)
        sources = constant_counts(nest, 10, 70, 300)
        released = arrived(nest, sources, 300, release_probability=p)[:, 2:]
        n = released.size * 70
        assert released.sum() / n == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / n))


# ---- what is learned ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tau_Delta", [0.0, 5.0])
@pytest.mark.parametrize("delay", [1, 17])
def test_weights_are_those_of_the_released_spikes(nest, delay, tau_Delta):
    """A static twin with the same key tells what was released; the weight is the oracle's plain sum for it."""
    n_steps, rule = 4000, Rule(1e-12, 3.0, tau_Delta)
    rng = np.random.default_rng(1)
    trains = [spike_counts(rate, 2, n_steps, rng) for rate in (50.0, 1000.0, 20_000.0)]
    sources = parrots(nest, trains)
    twins = nest.Create("pyramidal_neuron", 3, {"gamma": 0.0, "tau_basal": 0.0})
    cell = nest.Create("pyramidal_neuron", params={"gamma": 0.3, "I_e": 0.2})
    noise = nest.Create("poisson_generator", params={"rate": 1000.0})
    nest.Connect(noise, cell, syn_spec={"receptor_type": BASAL, "weight": 0.3, "delay": H})
    nest.Connect(noise, cell, syn_spec={"receptor_type": 1, "weight": 0.1, "delay": H})
    common = {"release_probability": 0.35, "tau_s": 3.0, "tau_Delta": tau_Delta}
    nest.CopyModel(MODEL, "learning", {"eta": rule.eta, "weight": 0.0, **common})
    nest.CopyModel(MODEL, "static", common)
    keys = np.array([[11, 12, 13]])
    spec = {"synapse_model": "learning", "receptor_type": BASAL, "delay": delay * H, "key": keys}
    nest.Connect(sources, cell, "all_to_all", spec)
    for source, twin, key in zip(sources, twins, keys[0].tolist()):
        spec = {"synapse_model": "static", "receptor_type": BASAL, "delay": H, "key": key}
        nest.Connect(source, twin, syn_spec=spec)
    potentials, errors = Traces(nest, twins, ["V_basal"]), Traces(nest, cell, ["error_basal"])
    for chunk in random_chunks(n_steps, np.random.default_rng(2), longest=400):
        nest.Simulate(chunk * H)
    connections = nest.GetConnections(synapse_model="learning")
    weights = np.array(connections.weight)[np.argsort(connections.source)]
    assert sorted(connections.key) == [11, 12, 13]
    nest.Simulate(3 * H)
    released = np.round(H * potentials["V_basal"]).astype(int)  # of step n in column n
    x = errors["error_basal"][0][:n_steps]
    for weight, (steps, counts), found in zip(weights, trains, released):
        mine = np.flatnonzero(found[: n_steps + 1])
        assert np.all(found[steps] <= counts)
        assert found.sum() == found[steps].sum()
        if counts.sum() > 100:
            assert 0.2 < found.sum() / counts.sum() < 0.5
        expected = weight_at_end(rule, x, mine, found[mine], delay, 0.0)
        assert expected != 0.0
        assert weight == pytest.approx(expected, rel=1e-9)  # rounding of running sums, as without release


def test_recorders_see_what_was_released(nest):
    recorder = nest.Create("weight_recorder")
    sources = constant_counts(nest, 4, 1, 500)
    released = arrived(nest, sources, 500, release_probability=0.3, weight_recorder=recorder)
    events = recorder.get("events")
    times = np.round(events["times"] / H).astype(int)
    for source, found in zip(sources.tolist(), released):
        mine = np.sort(times[(events["senders"] == source) & (times < 500)])
        assert np.array_equal(mine, np.flatnonzero(found))


def network(nest, model, *, threads=1, delay=H, seed=2, trial=None, **parameters):
    """Weights that parrots learn on cells without random numbers; sorted by target and source.

    Sums are the same in any order: weights onto the soma are a power of 2, and what is learned is below the rounding of potentials.
    """
    fresh_kernel(nest, threads=threads, seed=seed)
    trains = [spike_counts(rate, 6, 700, np.random.default_rng(7)) for rate in (300.0, 5000.0, 30_000.0)]
    pre = parrots(nest, trains, 5)
    cells = nest.Create("pyramidal_neuron", 4, {"psi": 1e-9, **(trial or {})})
    cells.I_e = [0.1, 0.2, 0.3, 0.4]
    nest.CopyModel(model, "plastic", {"eta": 1e-9, "tau_Delta": 3.0, "weight": 0.0, **parameters})
    spec = {"synapse_model": "plastic", "receptor_type": BASAL, "delay": delay}
    nest.Connect(pre, cells, "all_to_all", spec)
    nest.Connect(pre, cells, "all_to_all", {"receptor_type": 1, "weight": 2.0**-9, "delay": delay})
    nest.Simulate(75.0)
    found = nest.GetConnections(synapse_model="plastic").get(["source", "target", "weight"])
    return np.array(found["weight"])[np.lexsort((found["source"], found["target"]))]


LEARNED_BY_TRIALS = {"trial_duration": 10.0, "trial_reset": True, "learning_stop": 8.0}


@pytest.mark.parametrize("per_trial", [False, True], ids=["per spike", "per trial"])
@pytest.mark.parametrize("delay", [H, 0.5, 1.7])
def test_threads_agree(nest, per_trial, delay):
    parameters = {"release_probability": 0.6, "release_per_trial": per_trial}
    one, two = (network(nest, MODEL, threads=t, delay=delay, trial=LEARNED_BY_TRIALS, **parameters) for t in (1, 2))
    assert np.all(one != 0.0)
    assert np.max(np.abs(one)) < 1e-13
    assert np.array_equal(one, two)
    assert not np.array_equal(one, network(nest, MODEL, delay=delay, trial=LEARNED_BY_TRIALS, seed=3, **parameters))


@pytest.mark.parametrize("per_trial", [False, True], ids=["per spike", "per trial"])
def test_certain_release_is_the_synapse_without(nest, per_trial):
    """Bit for bit."""
    without = network(nest, "dendritic_error_synapse", delay=0.4)
    assert np.all(without != 0.0)
    assert np.array_equal(without, network(nest, MODEL, delay=0.4, release_per_trial=per_trial))


# ---- a draw for a trial ---------------------------------------------------------------------------------------------------

PERIOD = 40  # steps


@pytest.mark.parametrize("slice_steps", [1, 7])
def test_a_synapse_is_there_for_all_of_a_trial(nest, slice_steps):
    """Or not at all; drawn anew in the next trial, and always there while nothing is learned, and before the first trial."""
    n, n_trials, p, start = 60, 30, 0.4, 23
    n_steps = start + n_trials * PERIOD
    trains = [(np.arange(1 + slice_steps, n_steps + 1), np.full(n_steps - slice_steps, 3))] * n
    sources = parrots(nest, trains, slice_steps)
    cell = {"trial_duration": PERIOD * H, "trial_start": start * H}
    targets = nest.Create("pyramidal_neuron", n, {"gamma": 0.0, "tau_basal": 0.0, **cell})
    nest.CopyModel(MODEL, "releasing", {"release_probability": p, "release_per_trial": True})
    spec = {"synapse_model": "releasing", "receptor_type": BASAL, "delay": slice_steps * H, "weight": 1.0}
    nest.Connect(sources, targets, "one_to_one", spec)
    traces = Traces(nest, targets, ["V_basal"])
    taught = 20  # trials
    nest.Simulate((start + taught * PERIOD) * H)
    assert nest.min_delay == pytest.approx(slice_steps * H)
    targets.learning = False
    nest.Simulate(((n_trials - taught) * PERIOD + 2 * slice_steps) * H)
    # spikes of step n arrive slice_steps later, in this column
    found = H * traces["V_basal"][:, slice_steps - 1 :]
    before, trials = found[:, slice_steps + 1 : start + 1], found[:, start + 1 : n_steps + 1]
    assert np.all(before == 3.0)
    trials = trials.reshape(n, n_trials, PERIOD)
    mask = trials[:, :taught, 0] > 0
    learned = np.broadcast_to((mask * 3.0 / p)[:, :, None], (n, taught, PERIOD))
    np.testing.assert_allclose(trials[:, :taught], learned, rtol=1e-12)
    assert np.all(trials[:, taught:] == 3.0)
    error = 4 * math.sqrt(p * (1 - p) / mask.size)
    assert mask.mean() == pytest.approx(p, abs=error)
    x = (mask - p) / math.sqrt(p * (1 - p))
    assert np.mean(x[:, 1:] * x[:, :-1]) == pytest.approx(0.0, abs=4 / math.sqrt(mask.size))
    assert np.mean(x * np.roll(x, 1, axis=0)) == pytest.approx(0.0, abs=4 / math.sqrt(mask.size))


def test_weights_of_a_trial_that_a_synapse_misses(nest):
    """What is learned is the oracle's sum for spikes that count 1 / p, or not at all."""
    n_steps, p, rule = 20 * PERIOD, 0.5, Rule(1e-12, 3.0, 2.0)
    train = spike_counts(3000.0, 2, n_steps, np.random.default_rng(1))
    source = parrots(nest, [train])
    trial = {"trial_duration": PERIOD * H, "trial_reset": True}
    cell = nest.Create("pyramidal_neuron", params={"I_e": 0.2, **trial})
    twin = nest.Create("pyramidal_neuron", params={"gamma": 0.0, "tau_basal": 0.0, **trial})
    common = {"release_probability": p, "release_per_trial": True, "tau_s": 3.0, "tau_Delta": 2.0}
    nest.CopyModel(MODEL, "learning", {"eta": rule.eta, "weight": 0.0, **common})
    nest.CopyModel(MODEL, "static", common)
    for name, target in (("learning", cell), ("static", twin)):
        nest.Connect(source, target, syn_spec={"synapse_model": name, "receptor_type": BASAL, "delay": H, "key": 5})
    potential, errors = Traces(nest, twin, ["V_basal"]), Traces(nest, cell, ["error_basal"])
    nest.Simulate(n_steps * H)
    weight = nest.GetConnections(synapse_model="learning").weight
    nest.Simulate(2 * H)
    found = H * potential["V_basal"][0]
    steps, counts = train
    is_there = np.zeros(20, dtype=bool)
    is_there[np.unique((np.flatnonzero(found[: n_steps + 1]) - 1) // PERIOD)] = True
    assert 4 < is_there.sum() < 16  # a fair coin is out of this range in 1 of 100 seeds
    released = np.where(is_there[(steps - 1) // PERIOD], counts / p, 0.0)
    x = errors["error_basal"][0][:n_steps]
    expected = weight_course(rule, x, steps, released, 1, range(PERIOD, n_steps, PERIOD))[-1]
    assert expected != 0.0
    assert weight == pytest.approx(expected, rel=1e-9)


# ---- keys -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_trial", [False, True], ids=["per spike", "per trial"])
def test_synapses_with_the_same_key_release_together(nest, per_trial):
    sources = constant_counts(nest, 3, 1, 400)
    released = arrived(
        nest,
        sources,
        400,
        release_probability=0.5,
        release_per_trial=per_trial,
        cell={"trial_duration": 1.0},
        spec={"key": np.array([8, 8, 9])},
    )
    assert np.array_equal(released[0], released[1])
    assert 0.3 < np.mean(released[0][2:] != released[2][2:]) < 0.7
    assert list(nest.GetConnections(synapse_model="releasing").key) == [8, 8, 9]


def test_keys_without_choice(nest):
    """They differ between cells and receptors, and can be read and given to others."""
    pre, post = nest.Create("parrot_neuron", 4), nest.Create("pyramidal_neuron", 5)
    for receptor in (BASAL, APICAL):
        nest.Connect(pre, post, syn_spec={"synapse_model": MODEL, "receptor_type": receptor})
    keys = nest.GetConnections(synapse_model=MODEL).key
    assert len(set(keys)) == 40
    assert min(keys) >= 0
    other = nest.Create("pyramidal_neuron")
    nest.Connect(pre[0], other, syn_spec={"synapse_model": MODEL, "receptor_type": BASAL, "key": keys[7]})
    assert nest.GetConnections(target=other).key == keys[7]


# ---- rates ----------------------------------------------------------------------------------------------------------------


def rates_onto_a_cell(nest, n_steps, *, delay, p, per_trial, period=1, tau_s=0.0, tau_Delta=0.0):
    """Random rates, their target, and a static twin of the synapse."""
    rates = np.random.default_rng(1).uniform(0.5, 2.0, n_steps + 20)
    source = nest.Create("stimulus_neuron", params={"psi": 1.0, "stimulus_values": rates, "trial_duration": H})
    trial = {"trial_duration": period * H, "trial_start": H}
    cell = nest.Create("pyramidal_rate_neuron", params={"I_e": 0.2, **trial})
    twin = nest.Create("pyramidal_rate_neuron", params={"tau_basal": 0.0, **trial})
    common = {"release_probability": p, "release_per_trial": per_trial, "tau_s": tau_s, "tau_Delta": tau_Delta}
    nest.CopyModel(RATE_MODEL, "learning", {"eta": 0.05, **common})
    nest.CopyModel(RATE_MODEL, "static", common)
    for name, target, weight in (("learning", cell, 0.7), ("static", twin, 1.0)):
        spec = {"synapse_model": name, "receptor_type": BASAL, "delay": delay * H, "weight": weight, "key": 3}
        nest.Connect(source, target, syn_spec=spec)
    return rates, Traces(nest, cell, ["error_basal"]), Traces(nest, twin, ["V_basal"])


@pytest.mark.parametrize(("tau_s", "tau_Delta"), [(0.0, 0.0), (1.0, 2.0)])
@pytest.mark.parametrize("delay", [1, 4])
@pytest.mark.parametrize("per_trial", [False, True], ids=["mean", "per trial"])
def test_rates(nest, per_trial, delay, tau_s, tau_Delta):
    """Transmitted is p times the rate, or the rate over p or nothing for all of a trial; the weight is the sum for that."""
    n, p, period = 240, 0.4, 12
    rates, errors, potential = rates_onto_a_cell(
        nest, n, delay=delay, p=p, per_trial=per_trial, period=period, tau_s=tau_s, tau_Delta=tau_Delta
    )
    nest.Simulate(n * H)
    weight = nest.GetConnections(synapse_model="learning").weight
    nest.Simulate(2 * delay * H)
    received = n - (delay - 1)
    found = potential["V_basal"][0][delay : delay + received - 1]  # of the steps 1, 2, ...
    factor = found / rates[: received - 1]
    if per_trial:
        trial = (np.arange(1, received) - 1 - 1) // period  # the first begins after the first step
        m = np.array([factor[trial == k][0] > 0 for k in range(trial.max() + 1)])
        assert factor[0] == pytest.approx(1.0, rel=1e-12)  # before the first trial
        np.testing.assert_allclose(factor[1:], m[trial[1:]] / p, rtol=1e-12)
        assert 0.15 < m.mean() < 0.75  # 20 draws: 99 %
    else:
        np.testing.assert_allclose(factor, p, rtol=1e-12)
    released = np.append(found, found[-1])  # the last one counts in no error
    x = errors["error_basal"][0]
    x[0] = 0.0  # nothing is learned before the first trial
    expected = direct_sum(x, released, received, delay * H, tau_s, tau_Delta, eta=0.05)
    assert abs(expected) > 0.01
    assert weight - 0.7 == pytest.approx(expected, rel=1e-12)


def test_certain_release_of_rates_is_the_synapse_without(nest):
    weights = []
    for model in ("dendritic_error_rate_synapse", RATE_MODEL):
        fresh_kernel(nest)
        source = nest.Create(
            "stimulus_neuron", params={"psi": 1.0, "stimulus_values": [1.0, 0.3], "trial_duration": 3.0}
        )
        cell = nest.Create("pyramidal_rate_neuron", params={"I_e": 0.2})
        nest.CopyModel(model, "learning", {"eta": 0.05, "tau_s": 1.0})
        nest.Connect(source, cell, syn_spec={"synapse_model": "learning", "receptor_type": BASAL, "delay": 0.3})
        nest.Simulate(20.0)
        weights.append(nest.GetConnections(synapse_model="learning").weight)
    assert weights[0] == weights[1] != 1.0


# ---- contract -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, RATE_MODEL])
def test_defaults(nest, model):
    synapse, other = nest.GetDefaults(model), nest.GetDefaults(model.removeprefix("releasing_"))
    for key in ("eta", "tau_s", "tau_Delta", "Wmin", "Wmax", "weight", "delay"):
        assert synapse[key] == other[key]
    assert (synapse["release_probability"], synapse["release_per_trial"]) == (1.0, False)


@pytest.mark.parametrize("model", [MODEL, RATE_MODEL])
@pytest.mark.parametrize("p", [0.0, -0.5, 1.5, math.nan])
def test_bad_probabilities_change_nothing(nest, model, p):
    before = nest.GetDefaults(model)
    message = rf"release_probability must be above 0, and 1 at most, got .* \({model}\)"
    with pytest.raises(nest.NESTError, match=message):
        nest.SetDefaults(model, {"eta": 0.5, "release_probability": p})
    assert nest.GetDefaults(model) == before


@pytest.mark.parametrize("model", [MODEL, RATE_MODEL])
def test_bad_keys_and_wrong_targets(nest, model):
    source = nest.Create("stimulus_neuron" if model == RATE_MODEL else "parrot_neuron")
    cell = nest.Create("pyramidal_neuron")
    spec = {"synapse_model": model, "receptor_type": BASAL}
    with pytest.raises(nest.NESTError, match="key must not be negative, got -3"):
        nest.Connect(source, cell, syn_spec=spec | {"key": -3})
    with pytest.raises(nest.NESTError, match=f"{model} needs a target that archives dendritic errors"):
        nest.Connect(source, nest.Create("iaf_psc_alpha"), syn_spec=spec)
    assert nest.num_connections == 0
    nest.Connect(source, cell, syn_spec=spec | {"key": 3})
    connection = nest.GetConnections(synapse_model=model)
    with pytest.raises(nest.NESTError, match="key must not be negative, got -1"):
        connection.set(key=-1, weight=5.0)
    assert (connection.key, connection.weight) == (3, 1.0)
    nest.Disconnect(connection)
    assert nest.num_connections == 0
