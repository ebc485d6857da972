# SPDX-License-Identifier: GPL-2.0-or-later
"""dendritic_error_rate_synapse and pyramidal_rate_neuron: the rule, step by step, and what users rely on."""

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from traces import softplus

H = 0.1
BASAL, APICAL = 2, 3


def circuit(nest, n_steps, *, receptor=BASAL, delay=H, trial=None, other_delay=None, **rule):
    """A source of random rates, its target, and the rates (1/ms); learning, recorded, not yet simulated."""
    rates = np.random.default_rng(1).uniform(0.0, 2.0, n_steps)
    source = nest.Create("stimulus_neuron", params={"psi": 1.0, "stimulus_values": rates, "trial_duration": H})
    target = nest.Create("pyramidal_rate_neuron", params={"I_e": 0.2, **(trial or {})})
    nest.CopyModel("dendritic_error_rate_synapse", "learning", {"eta": 0.05, **rule})
    nest.Connect(
        source, target, syn_spec={"synapse_model": "learning", "receptor_type": receptor, "delay": delay, "weight": 0.7}
    )
    if other_delay is not None:  # decides min_delay
        nest.Connect(
            source, target, syn_spec={"synapse_model": "sic_connection", "receptor_type": 1, "delay": other_delay}
        )
    name = "error_basal" if receptor == BASAL else "error_apical"
    meter = nest.Create("multimeter", {"record_from": [name], "interval": H})
    nest.Connect(meter, target)
    return source, target, rates, lambda: np.array(meter.get("events", name))


def connection(nest):
    return nest.GetConnections(synapse_model="learning")


def direct_sum(errors, rates, n, delay, tau_s, tau_Delta, eta):
    """What errors (of steps 1, 2, ...) and rates change in a weight until time n (steps), by plain sums."""
    D = round(delay / H)
    products = []
    for k in range(1, n - D + 1):
        if tau_s == 0.0:
            trace = rates[k + D - 2]  # the rate of step k + D - 1
        else:
            trace = sum(np.exp(-(k + D - m) * H / tau_s) * rates[m - 1] * H / tau_s for m in range(1, k + D))
        products.append(errors[k - 1] * trace)
    held = sum(np.exp(-(n - D - k) * H / tau_Delta) * p for k, p in enumerate(products, 1)) if tau_Delta > 0.0 else 0.0
    return eta * H * (sum(products) - held)


@pytest.mark.parametrize("receptor", [BASAL, APICAL], ids=["basal", "apical"])
@pytest.mark.parametrize(("tau_s", "tau_Delta"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 3.0)])
@pytest.mark.parametrize(("delay", "other_delay"), [(0.1, None), (0.5, 0.1), (0.5, 0.3), (0.3, None)])
def test_weight_is_the_sum_of_errors_times_traces(nest, receptor, tau_s, tau_Delta, delay, other_delay):
    n = 90
    settings = {
        "receptor": receptor,
        "delay": delay,
        "other_delay": other_delay,
        "tau_s": tau_s,
        "tau_Delta": tau_Delta,
    }
    _, _, rates, errors = circuit(nest, n + 20, **settings)
    nest.Simulate(n * H)
    weight = connection(nest).weight
    nest.Simulate(2 * H)  # the meter gives the last step away after its slice
    # the rates of the last slice have not arrived when the weight is read
    behind = round(min(delay, other_delay or delay) / H) - 1
    expected = direct_sum(errors(), rates, n - behind, delay, tau_s, tau_Delta, eta=0.05)
    assert abs(expected) > 0.01
    assert weight - 0.7 == pytest.approx(expected, rel=1e-12)  # sums of 90 terms in another order


def test_steady_course_is_the_closed_form(nest):
    """Constant rate and error: W = W0 + eta x r (t - tau_Delta (1 - exp(-t / tau_Delta)))."""
    source = nest.Create("stimulus_neuron", params={"psi": 1.0, "stimulus_values": [2.0]})
    target = nest.Create("pyramidal_rate_neuron", params={"I_e": 0.19})  # u~ = 1 mV
    nest.CopyModel("dendritic_error_rate_synapse", "learning", {"eta": 1e-9, "tau_Delta": 5.0})
    nest.Connect(
        source, target, syn_spec={"synapse_model": "learning", "receptor_type": BASAL, "delay": H, "weight": 0.0}
    )
    nest.Simulate(20.0)
    x = softplus(1.0) - softplus(0.0)
    expected = 1e-9 * x * 2.0 * (20.0 - 5.0 * (1.0 - np.exp(-20.0 / 5.0)))
    # the first error meets the rate after one step of 200, and the filter is read a step later: h / t, twice
    assert connection(nest).weight == pytest.approx(expected, rel=0.015)


@pytest.mark.parametrize("tau_s", [0.0, 1.0])
@pytest.mark.parametrize("delay", [0.1, 0.4])
def test_reset_is_a_long_silence(nest, tau_s, delay):
    """After the reset of the target all that a trial can teach is in the weight, and nothing of it is met again."""
    n, tau_Delta = 60, 2.0
    trial = {"trial_duration": n * H, "trial_reset": True, "learning_stop": n * H}
    _, target, rates, errors = circuit(nest, 3 * n, delay=delay, trial=trial, tau_s=tau_s, tau_Delta=tau_Delta)
    nest.Simulate(n * H)
    target.learning = False
    nest.Simulate(n * H)
    after = connection(nest).weight
    silent = np.concatenate([rates[:n], np.zeros(20 * n)])  # no rates and no errors any more
    x = np.concatenate([errors()[:n], np.zeros(20 * n)])
    expected = direct_sum(x, silent, 15 * n, delay, tau_s, tau_Delta, eta=0.05)
    assert after - 0.7 == pytest.approx(expected, rel=1e-9)  # 15 n are 90 ms: exp(-45) is left in the filter
    nest.Simulate(n * H)
    assert connection(nest).weight == after


def test_weight_that_is_set_is_set_exactly_and_pending_terms_remain(nest):
    n = 50
    final, courses = [], []
    for steps in ((n, 2 * n), (n, n, n)):
        fresh_kernel(nest)
        circuit(
            nest, 4 * n, tau_Delta=2.0, receptor=APICAL, trial={"learning_stop": n * H}
        )  # -v_a, which no soma moves
        for i, duration in enumerate(steps):
            nest.Simulate(duration * H)
            if i == 0:
                before = connection(nest).weight
                connection(nest).weight = before + 0.0
                assert connection(nest).weight == before
        final.append(connection(nest).weight)
        courses.append(final[-1] - before)
    assert final[0] == pytest.approx(final[1], rel=1e-14)
    assert abs(courses[0]) > 1e-4  # what the filter held when learning stopped
    connection(nest).weight = 0.123456789
    assert connection(nest).weight == 0.123456789


def test_weight_stays_within_its_bounds_without_winding_up(nest):
    source = nest.Create("stimulus_neuron", params={"psi": 1.0, "stimulus_values": [1.0]})
    target = nest.Create("pyramidal_rate_neuron", params={"I_e": 1.0, "g_apical": 0.0})
    nest.CopyModel("dendritic_error_rate_synapse", "learning", {"eta": 0.01, "Wmin": -0.5, "Wmax": 0.5})
    nest.Connect(
        source, target, syn_spec={"synapse_model": "learning", "receptor_type": BASAL, "delay": H, "weight": 0.0}
    )
    nest.Simulate(500.0)
    assert connection(nest).weight == 0.5
    target.I_e = -1.0
    nest.Simulate(5.0)  # a synapse that had wound up would need hundreds
    assert connection(nest).weight < 0.5
    with pytest.raises(nest.NESTError, match=r"the weight must lie in \[Wmin, Wmax\] = \[-0.5, 0.5\] mV ms, got 0.6"):
        connection(nest).weight = 0.6
    assert connection(nest).weight < 0.5


def test_threads_agree(nest):
    weights = np.arange(12.0).reshape(4, 3) / 10.0
    runs = []
    for threads in (1, 2):
        fresh_kernel(nest, threads=threads)
        sources = nest.Create("stimulus_neuron", 3, {"psi": 1.0, "stimulus_values": [1.0, 0.5], "trial_duration": 2.0})
        targets = nest.Create("pyramidal_rate_neuron", 4, {"I_e": 0.1})
        nest.CopyModel("dendritic_error_rate_synapse", "learning", {"eta": 0.05})
        spec = {"synapse_model": "learning", "receptor_type": BASAL, "delay": H, "weight": weights}
        nest.Connect(sources, targets, "all_to_all", spec)
        nest.Simulate(4.0)
        found = connection(nest).get(["source", "target", "weight"])
        runs.append(np.array(found["weight"])[np.lexsort((found["source"], found["target"]))])
    assert np.all(np.abs(runs[0] - weights.ravel()) > 1e-3)
    np.testing.assert_array_equal(runs[0], runs[1])


# ---- contract -----------------------------------------------------------------------------------------------------------


def test_names_and_defaults(nest):
    cell = nest.GetDefaults("pyramidal_rate_neuron")
    spiking = nest.GetDefaults("pyramidal_neuron")
    for name in ("C_m", "g_L", "g_basal", "g_apical", "g_nudge", "tau_basal", "tau_apical", "gamma", "beta", "theta"):
        assert cell[name] == spiking[name], name
    assert cell["latent_equilibrium"] == spiking["latent_equilibrium"]
    assert cell["error_with_h"] == spiking["error_with_h"]
    assert not {"psi", "t_ref", "error_from_spikes"} & set(cell)
    assert cell["receptor_types"] == {"soma": 1, "basal": 2, "apical": 3, "nudge": 4}
    recordables = {"V_soma", "V_basal", "V_apical", "V_prospective", "rate", "error_basal", "error_apical"}
    assert recordables <= set(cell["recordables"])
    synapse = nest.GetDefaults("dendritic_error_rate_synapse")
    assert (synapse["eta"], synapse["tau_s"], synapse["tau_Delta"]) == (0.0, 0.0, 1.0)
    assert (synapse["Wmin"], synapse["Wmax"]) == (-np.inf, np.inf)


def test_wrong_connections(nest):
    cell, source = nest.Create("pyramidal_rate_neuron"), nest.Create("stimulus_neuron")
    spec = {"synapse_model": "dendritic_error_rate_synapse", "receptor_type": BASAL}
    with pytest.raises(
        nest.NESTError, match="needs a compartment with a dendritic error: connect it to receptor_type 'basal'"
    ):
        nest.Connect(source, cell, syn_spec=spec | {"receptor_type": 1})
    with pytest.raises(nest.NESTError, match=r"receptor_type 4 of pyramidal_rate_neuron takes no rates: .*basal = 2"):
        nest.Connect(source, cell, syn_spec=spec | {"receptor_type": 4})
    target = "needs a target that archives dendritic errors, such as pyramidal_rate_neuron; iaf_psc_alpha does not"
    with pytest.raises(nest.NESTError, match=target):
        nest.Connect(source, nest.Create("iaf_psc_alpha"), syn_spec=spec)
    with pytest.raises(nest.NESTError):  # NEST's own words: these cells send no rates
        nest.Connect(nest.Create("iaf_psc_alpha"), cell, syn_spec=spec)
    with pytest.raises(nest.NESTError, match="pyramidal_rate_neuron sends its rate and no spikes: connect it with"):
        nest.Connect(cell, nest.Create("pyramidal_neuron"), syn_spec={"receptor_type": BASAL})
    assert nest.num_connections == 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tau_s", -1.0, "tau_s must be positive, or 0 for no trace, got -1 ms"),
        ("tau_Delta", -1.0, "tau_Delta must be positive, or 0 for no filter, got -1 ms"),
        ("eta", np.inf, "eta must be a finite number"),
    ],
)
def test_bad_parameters_change_nothing(nest, key, value, message):
    before = nest.GetDefaults("dendritic_error_rate_synapse")
    with pytest.raises(nest.NESTError, match=message):
        nest.SetDefaults("dendritic_error_rate_synapse", {"eta": 0.5, key: value})
    assert nest.GetDefaults("dendritic_error_rate_synapse")["eta"] == before["eta"]


def test_resolution_may_change_after_the_model_was_loaded(nest):
    """Factors of a step are those of the resolution at which it is simulated."""
    weights = []
    for h in (0.1, 0.05):
        fresh_kernel(nest)
        nest.resolution = h
        nest.CopyModel("dendritic_error_rate_synapse", "learning", {"eta": 0.01, "tau_s": 2.0})
        source = nest.Create("stimulus_neuron", params={"psi": 1.0, "stimulus_values": [2.0]})
        target = nest.Create("pyramidal_rate_neuron", params={"I_e": 0.19})
        nest.Connect(
            source,
            target,
            syn_spec={"synapse_model": "learning", "receptor_type": BASAL, "delay": 0.1},
        )
        nest.Simulate(20.0)
        weights.append(nest.GetConnections(source, target).weight)
    assert weights[0] != weights[1]
    assert weights[0] == pytest.approx(weights[1], rel=0.01)  # first order in h
