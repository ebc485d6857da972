# SPDX-License-Identifier: GPL-2.0-or-later
"""alignment_synapse and alignment_rate_synapse: the rule as a plain loop, and what it learns in closed form.

Two cells i -> j, forward weight W / psi (mV ms), rate R = psi r_i of cell i (1/ms, constant), both delays D and D' in steps. In step n
the dendrite of cell j and the innovation of cell i are

    v_b(n) = (1 - P) sum_l P^l W / psi n_i(n - D - l) / h,         P = exp(-h / tau_basal)
    X_i(n) = (1 - e) sum_l e^l (n_i(n - l) / h - psi r_i),         e = exp(-h / tau_innovation)

With numbers of spikes n_i that are Poisson and independent, Var n_i = psi r_i h, both sums have in common what was sent up to the step
n - M, M = max(D, D'): a geometric series,

    Cov(v_b(n), X_i(n - D')) = W r_i K,      K = (1 - P) (1 - e) P^(M - D) e^(M - D') / (h (1 - P e))       (1/ms)

Cell j has the rate psi phi(alpha_j v_b + const), with slope phi' everywhere that v_b goes, and the expected change in a step is

    E[c_j X_i] = h psi phi' alpha_j W r_i K .

Normalised weights are psi times those of spikes. With eta / psi^2 and alpha / psi^2 they follow, for any psi,

    dW_norm / dt = eta phi' alpha_j W r_i K - alpha r_i r_j W_norm .
"""

import math

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from plasticity_circuit import parrots, spike_counts
from traces import Traces

H = 0.1  # ms
SOMA, BASAL, APICAL = 1, 2, 3
RULE = {"eta": 0.02, "alpha": 0.1, "tau_innovation": 2.0}  # mV ms^2, ms, ms

# ---- the rule as a loop ---------------------------------------------------------------------------------------------------


def steps(recorder, n_steps):
    """Number of spikes in the steps 0, 1, ..., n_steps; none in step 0."""
    times = np.round(np.asarray(recorder.get("events", "times")) / H).astype(int)
    return np.bincount(times[times <= n_steps], minlength=n_steps + 1)


def plain_loop(
    n_pre, n_post, R, delay, weight, *, eta, alpha, tau_innovation, tau_baseline=math.inf, resets=(), learns=None
):
    """Weight after every step n = 0, 1, ...; arrays are by step, with index 0 for the time before the first one."""
    e = math.exp(-H / tau_innovation) if tau_innovation > 0 else 0.0
    b = math.exp(-H / tau_baseline)  # 1 if there is none
    X = np.zeros(R.size)
    fast = slow = 0.0
    for n in range(1, R.size):
        if n - 1 in resets:
            fast = slow = 0.0
        innovation = n_post[n] / H - R[n]
        fast = e * fast + (1 - e) * innovation
        slow = b * slow + (1 - b) * innovation
        X[n] = fast - slow
    learns = np.ones(R.size, dtype=bool) if learns is None else learns
    course = np.full(R.size, weight)
    for n in range(1, R.size):
        m = n - delay
        if n_pre[n] > 0 and m >= 1 and learns[m] and not any(m <= r < n for r in resets):
            a = alpha * R[m] * n_pre[n]
            growth = (1 - math.exp(-a)) / a if a > 0 else 1.0
            weight = math.exp(-a) * weight + eta * X[m] * n_pre[n] * growth
        course[n] = weight
    return course


class Pair:
    """A cell that fires irregularly and prescribed presynaptic spikes, both recorded."""

    def __init__(self, nest, n_steps, *, delay=2, rate=3000.0, rule=RULE, model="alignment_synapse", **cell):
        self.nest, self.n_steps, self.delay, self.rule = nest, n_steps, delay, rule
        rng = np.random.default_rng(5)
        self.cell = nest.Create("pyramidal_neuron", params={"psi": 20.0, "I_e": 0.1, "g_apical": 0.0, **cell})
        noise = nest.Create("poisson_generator", params={"rate": 2000.0})
        nest.Connect(noise, self.cell, syn_spec={"receptor_type": BASAL, "weight": 0.3, "delay": H})
        self.train = spike_counts(rate, 2, n_steps, rng)  # in Hz
        self.pre = parrots(nest, [self.train])
        nest.CopyModel(model, "aligning", rule)
        spec = {"synapse_model": "aligning", "receptor_type": APICAL, "delay": delay * H, "weight": 0.7}
        nest.Connect(self.pre, self.cell, syn_spec=spec)
        self.spikes = nest.Create("spike_recorder")
        nest.Connect(self.cell, self.spikes)
        self.traces = Traces(nest, self.cell, ["rate"])

    def connection(self):
        return self.nest.GetConnections(synapse_model="aligning")

    def expected(self, **others):
        """The loop over what was recorded; a further slice, as recorders hand out the last step late."""
        self.nest.Simulate(3 * H)
        n_pre = np.zeros(self.n_steps + 1)
        n_pre[self.train[0]] = self.train[1]
        R = np.concatenate([[0.0], self.traces["rate"][0]])[: self.n_steps + 1]
        return plain_loop(n_pre, steps(self.spikes, self.n_steps), R, self.delay, 0.7, **self.rule, **others)


@pytest.mark.parametrize("filters", [{"tau_innovation": tau} for tau in (0.0, 2.0, 30.0)] + [{"tau_baseline": 9.0}])
@pytest.mark.parametrize("delay", [1, 2, 17])
def test_the_weight_is_that_of_the_loop(nest, delay, filters):
    """Read several times, several spikes in a step among those of the presynaptic cell."""
    pair = Pair(nest, 1000, delay=delay, rate=9000.0, rule=RULE | filters)
    assert pair.train[1].max() > 2
    observed = []
    for _ in range(4):
        nest.Simulate(250 * H)
        observed.append(pair.connection().weight)
    course = pair.expected()[249::250]  # spikes of the last step have not been delivered when the weight is read
    assert np.ptp(course) > 0.01
    # rounding of 1000 steps, in the order of the loop: some 1e-15 each of weights of order 1
    np.testing.assert_allclose(observed, course, rtol=1e-12, atol=1e-12)


def test_nothing_is_learned_without_activity(nest):
    """Neither while the presynaptic cell is silent nor while the postsynaptic one is."""
    silent_post = Pair(nest, 300, gamma=0.0)
    nest.Simulate(400 * H)
    assert silent_post.train[1].sum() > 50
    assert silent_post.connection().weight == 0.7
    fresh_kernel(nest)
    silent_pre = Pair(nest, 300)
    silent_pre.pre.set({})  # a parrot has no settings: its last spike is at 300
    nest.Simulate(310 * H)
    before = silent_pre.connection().weight
    assert before != 0.7
    nest.Simulate(300 * H)
    assert silent_pre.spikes.n_events > 1000
    assert silent_pre.connection().weight == before


PERIOD = 83  # steps
TRIAL = {"trial_duration": PERIOD * H, "learning_start": 2.0, "learning_stop": 6.0}


@pytest.mark.parametrize("reset", [False, True], ids=["keep", "reset"])
@pytest.mark.parametrize("delay", [1, 9])
@pytest.mark.parametrize(("windows", "filters"), [("taught", {}), ("both", {}), ("both", {"tau_baseline": 9.0})])
def test_learning_windows_and_resets(nest, reset, delay, windows, filters):
    """The window is that of the basal dendrite, though the synapse is on the apical one; the filter goes on outside of it."""
    pair = Pair(
        nest,
        1000,
        delay=delay,
        rule=RULE | {"alpha": 0.001} | filters,  # all of the run counts in the end
        trial_reset=reset,
        learning_basal=windows,
        learning_apical="free",
        free_learning_start=7.0,
        free_learning_stop=8.2,
        **TRIAL,
    )
    nest.Simulate(1001 * H)
    observed = pair.connection().weight
    phase = (np.arange(1001) - 1) % PERIOD  # of the beginning of a step
    learns = (phase >= 20) & (phase < 60)
    if windows == "both":
        learns |= (phase >= 70) & (phase < 82)
    resets = set(range(PERIOD, 1001, PERIOD)) if reset else ()
    expected = pair.expected(resets=resets, learns=learns)[-1]
    assert observed == pytest.approx(expected, rel=1e-12)
    assert abs(expected - pair.expected(resets=resets)[-1]) > 1e-3  # without a window
    if reset:
        assert abs(expected - pair.expected(learns=learns)[-1]) > 1e-6  # without resets


def test_a_sleeping_cell_is_silent(nest):
    """While it is frozen nothing is learned, and its innovation decays."""
    pair = Pair(nest, 900)
    nest.Simulate(300 * H)
    pair.cell.frozen = True
    before = pair.connection().weight
    nest.Simulate(300 * H)
    after = pair.connection().weight
    # spikes of the last step are delivered in the first slice, with what the cell did before it slept
    assert after == pytest.approx(before, abs=0.05)
    nest.Simulate(100 * H)
    assert pair.connection().weight == after


@pytest.mark.parametrize("model", ["alignment_synapse", "alignment_synapse_lbl"])
def test_delivered_with_the_new_weight(nest, model):
    pair = Pair(nest, 200, model=model, tau_apical=0.0)
    recorder = nest.Create("weight_recorder")
    nest.CopyModel("aligning", "recorded", {"weight_recorder": recorder})
    spec = {"synapse_model": "recorded", "receptor_type": APICAL, "delay": 2 * H, "weight": 0.7}
    nest.Connect(pair.pre, pair.cell, syn_spec=spec)
    potential = Traces(nest, pair.cell, ["V_apical"])
    nest.Simulate(210 * H)
    course = pair.expected()
    n, counts = pair.train
    events = recorder.get("events")
    last = np.cumsum(counts) - 1  # of the spikes of a step, which come one by one
    np.testing.assert_allclose(np.round(events["times"] / H).astype(int), np.repeat(n, counts))
    np.testing.assert_allclose(events["weights"][last], course[n], rtol=1e-12)
    # h V is the sum of weights of both synapses, two steps later; a step's first spikes are a little behind
    arrived = H * potential["V_apical"][0][n[n < 190] + 1] / (2 * counts[n < 190])
    single = counts[n < 190] == 1
    assert single.sum() > 20
    np.testing.assert_allclose(arrived[single], course[n[n < 190]][single], rtol=1e-12)


def test_bounds(nest):
    """Clipped at every spike."""
    Pair(nest, 2000, rule=RULE | {"eta": 0.01, "alpha": 1e-3, "Wmin": 0.6, "Wmax": 0.8}, rate=9000.0)
    recorder = nest.Create("weight_recorder")
    nest.SetDefaults("aligning", {"weight_recorder": recorder})
    nest.Simulate(2000 * H)
    weights = recorder.get("events", "weights")
    assert weights.min() == 0.6
    assert weights.max() == 0.8
    assert np.mean((weights > 0.6) & (weights < 0.8)) > 0.05


# ---- populations, threads -------------------------------------------------------------------------------------------------


def loop_of_cells(nest, kind, *, threads=1):
    """Weights of feedback, which moves nothing, from 5 upper cells to 12 lower ones."""
    fresh_kernel(nest, threads=threads, seed=4)
    cell = {"psi": 50.0, "I_e": 0.2, "g_apical": 0.0, "trial_duration": 15.0, "trial_reset": True}
    low, high = (nest.Create(f"pyramidal_{kind}", n, cell) for n in (12, 5))
    weights = np.random.default_rng(3).uniform(0.0, 1.0, (5, 12)) / 50.0
    nest.Connect(low, high, "all_to_all", {"receptor_type": BASAL, "weight": weights, "delay": H})
    nest.CopyModel("alignment_synapse", "aligning", {"eta": 1e-4, "alpha": 1e-4, "tau_innovation": 1.0, "weight": 1e-3})
    nest.Connect(high, low, "all_to_all", {"synapse_model": "aligning", "receptor_type": APICAL, "delay": 2 * H})
    nest.Simulate(60.0)
    found = nest.GetConnections(synapse_model="aligning").get(["source", "target", "weight"])
    return np.array(found["weight"])[np.lexsort((found["source"], found["target"]))]


def test_threads_agree(nest):
    """Without random numbers, which differ with the number of threads: these cells expect a spike in 1e6 ms and send none."""
    results = []
    trains = [spike_counts(3000.0, 2, 600, np.random.default_rng(k)) for k in range(4)]
    for threads in (1, 2):
        fresh_kernel(nest, threads=threads)
        cells = nest.Create("pyramidal_neuron", 3, {"psi": 1e-6, "g_apical": 0.0})
        rule = {"eta": 1e4, "alpha": 2e4, "tau_innovation": 1.0, "weight": 0.1}
        nest.CopyModel("alignment_synapse", "aligning", rule)
        pre = parrots(nest, trains)
        nest.Connect(pre, cells, syn_spec={"synapse_model": "aligning", "receptor_type": APICAL, "delay": 3 * H})
        nest.Connect(pre, cells, syn_spec={"receptor_type": BASAL, "weight": 0.3, "delay": H})
        nest.Simulate(65.0)
        found = nest.GetConnections(synapse_model="aligning").get(["source", "target", "weight"])
        results.append(np.array(found["weight"])[np.lexsort((found["source"], found["target"]))])
    assert np.all(np.abs(results[0] - 0.1) > 1e-3)
    assert np.array_equal(*results)


def test_populations_agree_with_neurons(nest):
    """A population's event and its spikes one by one are the same rule, for one and for two threads."""
    for threads in (1, 2):
        one, other = (loop_of_cells(nest, kind, threads=threads) for kind in ("neuron", "population"))
        assert np.all(np.abs(one - 1e-3) > 1e-7)
        # exp(-a) applied c times, or exp(-a c) once: rounding of 1000 spikes
        np.testing.assert_allclose(other, one, rtol=1e-10)


# ---- what is learned ------------------------------------------------------------------------------------------------------

GAIN = {"gamma": 0.01, "beta": 100.0}  # phi(u) = u to 1e-17 from 0.4 mV on: beta u > 40 (pyramidal_neuron)
G_L, G_BASAL = 0.03, 0.1  # nS
ALPHA_J = G_BASAL / (G_L + G_BASAL)  # g_apical = 0: feedback is learned and moves nothing
TAU_BASAL, TAU_INNOVATION = 1.0, 1.0


def overlap(D, D_back, tau_basal=TAU_BASAL, tau_innovation=TAU_INNOVATION):
    """K of the docstring (1/ms)."""
    P = math.exp(-H / tau_basal)
    e = math.exp(-H / tau_innovation) if tau_innovation > 0 else 0.0
    M = max(D, D_back)
    return (1 - P) * (1 - e) * P ** (M - D) * e ** (M - D_back) / (H * (1 - P * e))


def cells(nest, n, psi, u):
    """Populations that would rest at u mV without input and whose rate is their potential."""
    current = np.broadcast_to(u, n) * (G_L + G_BASAL)
    cell = {"psi": psi, "g_apical": 0.0, "tau_basal": TAU_BASAL, **GAIN}
    group = nest.Create("pyramidal_population", n, cell)
    group.I_e = list(current)
    return group


@pytest.mark.slow
@pytest.mark.parametrize(
    ("D", "D_back", "tau_innovation", "tau_baseline"),
    [(1, 1, 1.0, 0.0), (1, 4, 1.0, 0.0), (4, 1, 1.0, 0.0), (1, 2, 3.0, 0.0), (1, 1, 0.0, 0.0), (1, 2, 1.0, 4.0)],
)
@pytest.mark.parametrize("psi", [5.0, 40.0])
def test_expected_change(nest, psi, D, D_back, tau_innovation, tau_baseline):
    """Many pairs; the change of normalised weights is that of the docstring whatever psi, less the one of a baseline's filter."""
    n, T, W, eta, r_i = 400, 300.0, 1.0, 1e-3, 1.0
    low, high = cells(nest, n, psi, r_i), cells(nest, n, psi, 0.5)
    filters = {"tau_innovation": tau_innovation, "tau_baseline": tau_baseline}
    nest.CopyModel("alignment_synapse", "aligning", {"eta": eta / psi**2, **filters})
    nest.Connect(low, high, "one_to_one", {"receptor_type": BASAL, "weight": W / psi, "delay": D * H})
    spec = {"synapse_model": "aligning", "receptor_type": APICAL, "delay": D_back * H, "weight": 0.0}
    nest.Connect(high, low, "one_to_one", spec)
    warm_up = 20.0  # ms: twenty time constants of the dendrite, or five of the longest filter, before the count begins
    nest.Simulate(warm_up)
    connections = nest.GetConnections(synapse_model="aligning")
    before = np.array(connections.weight)
    nest.Simulate(T)
    change = psi * (np.array(connections.weight) - before)
    K = overlap(D, D_back, tau_innovation=tau_innovation)
    if tau_baseline > 0.0:
        K -= overlap(D, D_back, tau_innovation=tau_baseline)
    expected = eta * ALPHA_J * W * r_i * K * T
    error = change.std() / math.sqrt(n)
    assert error < 0.2 * expected
    assert change.mean() == pytest.approx(expected, abs=4 * error)


@pytest.mark.slow
@pytest.mark.parametrize("psi", [5.0, 40.0])
def test_weights_become_the_transpose(nest, psi):
    """Weights of 100 copies of a layer: from 0 they approach (eta / alpha) alpha_j K up^T / r_j, with rate alpha r_i r_j."""
    copies, T = 100, 600.0
    eta, alpha = 0.02, 0.004
    up = np.array([[1.0, 0.2, 0.0], [0.4, 0.8, 0.6]])  # normalised, of 3 lower cells onto 2 upper ones
    r_low = np.array([0.6, 1.0, 1.6])
    low = cells(nest, 3 * copies, psi, np.tile(r_low, copies))
    high = cells(nest, 2 * copies, psi, 0.5)
    nest.CopyModel(
        "alignment_synapse",
        "aligning",
        {"eta": eta / psi**2, "alpha": alpha / psi**2, "tau_innovation": TAU_INNOVATION},
    )
    for k in range(copies):
        below, above = low[3 * k : 3 * k + 3], high[2 * k : 2 * k + 2]
        nest.Connect(below, above, "all_to_all", {"receptor_type": BASAL, "weight": up / psi, "delay": H})
        spec = {"synapse_model": "aligning", "receptor_type": APICAL, "delay": H, "weight": 0.0}
        nest.Connect(above, below, "all_to_all", spec)
    nest.Simulate(T)
    found = nest.GetConnections(synapse_model="aligning").get(["source", "target", "weight"])
    order = np.lexsort((found["source"], found["target"]))
    back = psi * np.array(found["weight"])[order].reshape(copies, 3, 2)
    r_high = 0.5 + ALPHA_J * up @ r_low
    steady = eta / alpha * ALPHA_J * overlap(1, 1) * up.T / r_high
    expected = steady * (1 - np.exp(-alpha * np.outer(r_low, r_high) * T))
    error = back.std(axis=0) / math.sqrt(copies)
    # Beside four standard errors: the weight and the rate of cell j, which have fluctuations of the last TAU in common, lower the mean
    # by TAU / (1 / (alpha r_i r_j)) of it, below 2 %.
    np.testing.assert_array_less(np.abs(back.mean(axis=0) - expected), 4 * error + 0.02 * steady)
    mean = back.mean(axis=0) * r_high
    angle = np.sum(mean * up.T) / np.linalg.norm(mean) / np.linalg.norm(up)
    assert angle > 0.97


# ---- rates ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delay", "other_delay"), [(1, None), (4, 1), (4, 3), (3, None)])
def test_rates_against_the_loop(nest, delay, other_delay):
    """The postsynaptic cell is a spiking one: its innovation is that of its spikes; c = r h in every step."""
    n = 240
    rates = np.random.default_rng(1).uniform(0.0, 2.0, n + 40)
    source = nest.Create("stimulus_neuron", params={"psi": 1.0, "stimulus_values": rates, "trial_duration": H})
    cell = nest.Create("pyramidal_neuron", params={"psi": 20.0, "I_e": 0.2})
    rule = RULE | {"eta": 0.05}
    nest.CopyModel("alignment_rate_synapse", "aligning", rule)
    spec = {"synapse_model": "aligning", "receptor_type": APICAL, "delay": delay * H, "weight": 0.7}
    nest.Connect(source, cell, syn_spec=spec)
    if other_delay is not None:  # decides min_delay
        spec = {"synapse_model": "sic_connection", "receptor_type": SOMA, "delay": other_delay * H}
        nest.Connect(source, cell, syn_spec=spec)
    spikes, traces = nest.Create("spike_recorder"), Traces(nest, cell, ["rate"])
    nest.Connect(cell, spikes)
    nest.Simulate(n * H)
    observed = nest.GetConnections(synapse_model="aligning").weight
    nest.Simulate(2 * (other_delay or delay) * H)  # recorders hand out the last steps a slice later
    received = n - (other_delay or delay)  # the rates of the last slice come with the next one
    R = np.concatenate([[0.0], traces["rate"][0]])[: received + 1]
    c = np.concatenate([[0.0], rates[:received] * H])
    expected = plain_loop(c, steps(spikes, received), R, delay, 0.7, **rule)[-1]
    assert abs(expected - 0.7) > 0.01
    assert observed == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("model", "receptor"), [("pyramidal_rate_neuron", "apical"), ("pyramidal_tuft_rate_neuron", "tuft")]
)
def test_rates_with_known_noise_against_the_loop(nest, model, receptor):
    """The innovation is z sqrt(r) where r + z sqrt(r) is sent; z is drawn anew in every step."""
    n = 240
    rng = np.random.default_rng(1)
    rates, z = rng.uniform(0.0, 2.0, n + 40), rng.normal(size=n + 40)
    source = nest.Create("stimulus_neuron", params={"psi": 1.0, "stimulus_values": rates, "trial_duration": H})
    cell = nest.Create(model, params={"I_e": 0.2, "noise_values": z, "trial_duration": H})
    rule = RULE | {"eta": 0.5}
    nest.CopyModel("alignment_rate_synapse", "aligning", rule)
    spec = {"synapse_model": "aligning", "receptor_type": cell.receptor_types[receptor], "delay": 3 * H, "weight": 0.7}
    nest.Connect(source, cell, syn_spec=spec)
    nest.Connect(source, cell, syn_spec={"synapse_model": "sic_connection", "receptor_type": SOMA, "delay": H})
    traces = Traces(nest, cell, ["rate", "innovation"])
    nest.Simulate(n * H)
    observed = nest.GetConnections(synapse_model="aligning").weight
    nest.Simulate(2 * H)
    received = n - 1
    sent, R = np.zeros(n), np.zeros(n)
    sent[1:] = traces["rate"][0][:received]
    R[1:] = sent[1:] - traces["innovation"][0][:received]
    np.testing.assert_allclose(sent[1:] - R[1:], z[:received] * np.sqrt(R[1:]), rtol=1e-9)  # of differences
    c = np.concatenate([[0.0], rates[:received] * H])
    expected = plain_loop(c, sent * H, R, 3, 0.7, **rule)[-1]
    assert abs(expected - 0.7) > 0.01
    assert observed == pytest.approx(expected, rel=1e-12)


# ---- contract -------------------------------------------------------------------------------------------------------------


def sources(nest, model):
    return nest.Create("stimulus_neuron" if "rate" in model else "parrot_neuron")


MODELS = ["alignment_synapse", "alignment_rate_synapse"]


@pytest.mark.parametrize("model", MODELS)
def test_defaults(nest, model):
    synapse = nest.GetDefaults(model)
    assert [synapse[key] for key in ("eta", "alpha", "tau_innovation", "tau_baseline", "weight")] == [
        0.0,
        0.0,
        10.0,
        0.0,
        1.0,
    ]
    assert (synapse["Wmin"], synapse["Wmax"]) == (-np.inf, np.inf)


@pytest.mark.parametrize("model", MODELS)
def test_wrong_connections(nest, model):
    cell, source = nest.Create("pyramidal_neuron"), sources(nest, model)
    spec = {"synapse_model": model, "receptor_type": APICAL}
    with pytest.raises(
        nest.NESTError,
        match=f"{model} needs a compartment with a dendritic error: connect it to receptor_type 'basal' or 'apical'",
    ):
        nest.Connect(source, cell, syn_spec=spec | {"receptor_type": SOMA})
    with pytest.raises(nest.NESTError, match=r"receptor_type 4 of pyramidal_neuron takes no (spikes|rates)"):
        nest.Connect(source, cell, syn_spec=spec | {"receptor_type": 4})
    message = f"{model} needs a target that knows what it sends beyond its expected rate, such as pyramidal_neuron; "
    with pytest.raises(nest.NESTError, match=message + "iaf_psc_alpha does not"):
        nest.Connect(source, nest.Create("iaf_psc_alpha"), syn_spec=spec)
    if model == "alignment_synapse":
        with pytest.raises(nest.NESTError, match="poisson_generator is a device: put a parrot_neuron between"):
            nest.Connect(nest.Create("poisson_generator"), cell, syn_spec=spec)
    assert nest.num_connections == 0


@pytest.mark.parametrize("model", MODELS)
def test_the_same_time_constants_for_a_cell(nest, model):
    cell, source = nest.Create("pyramidal_neuron"), sources(nest, model)
    nest.CopyModel(model, "slow", {"tau_innovation": 30.0})
    nest.CopyModel(model, "based", {"tau_baseline": 50.0})
    nest.Connect(source, cell, syn_spec={"synapse_model": model, "receptor_type": APICAL})
    message = "{}: all alignment synapses onto one cell must have the same tau_innovation and tau_baseline; there are synapses "
    for receptor in (BASAL, APICAL):
        for other, found in (("slow", "30 and 0"), ("based", "10 and 50")):
            with pytest.raises(nest.NESTError, match=f"{message.format(other)}with 10 and 0 ms, got {found} ms"):
                nest.Connect(source, cell, syn_spec={"synapse_model": other, "receptor_type": receptor})
    nest.Disconnect(nest.GetConnections(synapse_model=model))
    nest.Connect(source, cell, syn_spec={"synapse_model": "slow", "receptor_type": APICAL})
    assert nest.num_connections == 1


def test_a_synapse_that_comes_later_begins_anew(nest):
    """All synapses of a cell go, it runs on, and another one comes: what it meets is not what was kept for the others."""
    pair = Pair(nest, 400)
    others = pair.connection()
    # NEST crashes if a spike is under way when the last synapse of a model goes (docs/upstream.md)
    nest.Connect(
        pair.pre, nest.Create("pyramidal_neuron"), syn_spec={"synapse_model": "aligning", "receptor_type": APICAL}
    )
    nest.Simulate(205 * H)
    nest.Disconnect(others)
    nest.CopyModel("alignment_synapse", "other", RULE | {"tau_innovation": 1e9, "alpha": 0.0})
    spec = {"synapse_model": "other", "receptor_type": APICAL, "delay": 2 * H, "weight": 0.0}
    nest.Connect(pair.pre, pair.cell, syn_spec=spec)
    nest.Simulate(200 * H)
    # a filter of 1e9 ms holds nothing yet: 20 ms / 1e9 ms of some 100 spikes per ms, times 60 spikes and eta
    assert abs(nest.GetConnections(synapse_model="other").weight) < 1e-4


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"eta": math.inf}, "eta must be a finite number, got inf"),
        ({"alpha": -1.0}, "alpha must be positive, or 0 for no decay, got -1 ms"),
        ({"alpha": math.nan}, "alpha must be positive, or 0 for no decay, got nan ms"),
        ({"tau_innovation": -1.0}, "tau_innovation must be positive, or 0 for no filter, got -1 ms"),
        ({"tau_baseline": math.inf}, "tau_baseline must be positive, or 0 for no baseline, got inf ms"),
        ({"Wmin": 1.0, "Wmax": 0.0}, "Wmin must not exceed Wmax, got 1 and 0 mV ms"),
        ({"weight": math.nan}, "the weight must be a finite number"),
    ],
)
def test_bad_parameters_change_nothing(nest, model, parameters, message):
    before = nest.GetDefaults(model)
    with pytest.raises(nest.NESTError, match=message):
        nest.SetDefaults(model, ({} if "weight" in parameters else {"eta": 0.5}) | parameters)
    assert nest.GetDefaults(model) == before


@pytest.mark.parametrize("model", MODELS)
def test_weights_are_set_exactly_within_their_bounds(nest, model):
    cell, source = nest.Create("pyramidal_neuron"), sources(nest, model)
    nest.CopyModel(model, "bounded", {"Wmin": -1.0, "Wmax": 0.5, "weight": 0.0})
    message = r"the weight must lie in \[Wmin, Wmax\] = \[-1, 0.5\] mV ms, got {} \(bounded\)"
    spec = {"synapse_model": "bounded", "receptor_type": APICAL}
    with pytest.raises(nest.NESTError, match=message.format(2)):
        nest.Connect(source, cell, syn_spec=spec | {"weight": 2.0})
    assert nest.num_connections == 0
    nest.Connect(source, cell, syn_spec=spec | {"weight": 0.25})
    connection = nest.GetConnections(synapse_model="bounded")
    with pytest.raises(nest.NESTError, match=message.format("-3")):
        connection.weight = -3.0
    assert connection.weight == 0.25
    connection.weight = 0.123456789
    assert connection.weight == 0.123456789
    for key in ("tau_innovation", "tau_baseline"):
        message = "tau_innovation and tau_baseline of bounded cannot change while there are connections"
        with pytest.raises(nest.NESTError, match=message):
            nest.SetDefaults("bounded", {key: 3.0})
    nest.SetDefaults("bounded", {"eta": 3.0, "alpha": 1.0})
