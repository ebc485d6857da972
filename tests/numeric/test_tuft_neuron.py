# SPDX-License-Identifier: GPL-2.0-or-later
"""Cells with an apical tuft: four compartments, their receptors, errors, currents and the plateau of the tuft."""

import numpy as np
import pytest
from cell_oracle import PARAMETERS, PLATEAU, TUFT, phi, simulate
from kernel_setup import fresh_kernel
from traces import Traces

H = 0.1  # ms
ROUNDING = 1e-12  # of the propagators of some hundred steps, relative to the largest value
SOFTPLUS = 1e-10  # the transfer function of the models is accurate to 1e-11
MODELS = ("pyramidal_tuft_neuron", "pyramidal_tuft_rate_neuron")
RECEPTORS = {"soma": 1, "basal": 2, "apical": 3, "tuft": 4, "nudge": 5}
CURRENTS = {"I_stim": 0, "I_stim_basal": 1, "I_stim_apical": 2, "I_stim_tuft": 3}


def assert_same(observed, expected, tolerance=ROUNDING):
    assert np.max(np.abs(expected)) > 1e-3
    np.testing.assert_allclose(observed, expected, rtol=0, atol=tolerance * np.max(np.abs(expected)))


def send(nest, cells, receptor, values, *, weight=1.0, duration=10.0, delay=H, synapse="sic_connection"):
    """A source whose rate has one value for each trial."""
    source = nest.Create("stimulus_neuron", params={"stimulus_values": values, "psi": 1.0, "trial_duration": duration})
    nest.Connect(
        source, cells, syn_spec={"synapse_model": synapse, "weight": weight, "delay": delay, "receptor_type": receptor}
    )
    return source


# ---- receptors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [*MODELS, "pyramidal_tuft_population"])
def test_receptors(nest, model):
    assert nest.GetDefaults(model, "receptor_types") == RECEPTORS | CURRENTS
    target = nest.Create(model)
    text = (
        r"receptor_type {} of {} takes no {}: spikes and rates go to soma = 1, basal = 2, apical = 3 or tuft = 4, potentials "
        r"\(rate_connection_delayed\) to nudge = 5, currents to I_stim = 0, I_stim_basal = 1, I_stim_apical = 2 or "
        r"I_stim_tuft = 3, recorders to 0, which is the default"
    )
    cases = [
        ("parrot_neuron", {"receptor_type": 5}, "spikes"),
        ("parrot_neuron", {"receptor_type": 0}, "spikes"),
        ("stimulus_neuron", {"synapse_model": "sic_connection", "receptor_type": 5}, "rates"),
        ("stimulus_neuron", {"synapse_model": "rate_connection_delayed", "receptor_type": 4}, "potentials"),
        ("dc_generator", {"receptor_type": 4}, "currents"),
    ]
    for source, spec, signal in cases:
        with pytest.raises(
            nest.NESTErrors.UnknownReceptorType, match=text.format(spec["receptor_type"], model, signal)
        ):
            nest.Connect(nest.Create(source), target, syn_spec=spec)
    pre = nest.Create("stimulus_neuron")
    for synapse in ("dendritic_error_synapse", "dendritic_error_rate_synapse", "dendritic_error_reference_synapse"):
        message = f"{synapse} needs a compartment with a dendritic error: connect it to receptor_type 'basal', 'apical' or 'tuft' of"
        with pytest.raises(nest.NESTError, match=f"{message} {model}"):
            nest.Connect(pre, target, syn_spec={"synapse_model": synapse, "receptor_type": 1})
    assert nest.num_connections == 0


# ---- potentials ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latent_equilibrium", [True, False])
@pytest.mark.parametrize("kind", ["neuron", "rate_neuron"])
def test_a_tuft_without_input_halves_the_weights(nest, kind, latent_equilibrium):
    """Conductances g / 2 and g / 2 with apical weights W are one of g with W / 2: potentials, rates and errors."""
    nest.rng_seed = 3
    p = PARAMETERS | {"latent_equilibrium": latent_equilibrium, "error_with_h": True}
    g, weight = p["g_apical"], -0.7
    cells = [
        nest.Create(f"pyramidal_{kind}", params=p),
        nest.Create(f"pyramidal_tuft_{kind}", params=p | {"g_apical": g / 2.0, "g_tuft": g / 2.0}),
    ]
    rng = np.random.default_rng(1)
    values = {name: rng.uniform(0.0, 4.0, 6) for name in ("basal", "apical", "nudge", "soma")}
    names = ["V_soma", "V_basal", "V_apical", "V_prospective", "rate", "error_basal", "error_apical"]
    traces = []
    for cell, share in zip(cells, (0.5, 1.0)):
        receptors = cell.receptor_types
        send(nest, cell, receptors["basal"], values["basal"])
        send(nest, cell, receptors["apical"], values["apical"], weight=share * weight)
        send(nest, cell, receptors["soma"], values["soma"], weight=0.1)
        send(nest, cell, receptors["nudge"], values["nudge"], synapse="rate_connection_delayed")
        traces.append(Traces(nest, cell, names))
    nest.Simulate(60.0)
    for name in names:
        assert_same(traces[1][name], traces[0][name])


@pytest.mark.parametrize("model", MODELS)
def test_a_current_onto_each_compartment(nest, model):
    """Steady states: v = I / g_L of a dendrite, u = (I + sum g v) / g_total, v_a their mean by conductance."""
    p = PARAMETERS | TUFT | {"I_e": 0.0, "gamma": 0.0}
    currents = {"I_stim": 0.3, "I_stim_basal": 0.05, "I_stim_apical": -0.04, "I_stim_tuft": 0.08}
    names = ["V_soma", "V_prospective", "V_basal", "V_lateral", "V_tuft", "V_apical"]
    g_total = p["g_L"] + p["g_basal"] + p["g_apical"] + p["g_tuft"]
    for chosen in [*([name] for name in currents), list(currents)]:
        fresh_kernel(nest)
        cell = nest.Create(model, params=p)
        for name in chosen:
            generator = nest.Create("dc_generator", params={"amplitude": currents[name]})
            nest.Connect(generator, cell, syn_spec={"receptor_type": cell.receptor_types[name], "delay": H})
        nest.Simulate(300.0)  # 40 of the longest time constant, that of the soma
        drive = {name: currents[name] if name in chosen else 0.0 for name in currents}
        v = {name: drive[f"I_stim_{name}"] / p["g_L"] for name in ("basal", "apical", "tuft")}
        u = (drive["I_stim"] + sum(p[f"g_{name}"] * v[name] for name in v)) / g_total
        apical = (p["g_apical"] * v["apical"] + p["g_tuft"] * v["tuft"]) / (p["g_apical"] + p["g_tuft"])
        expected = dict(zip(names, [u, u, v["basal"], v["apical"], v["tuft"], apical]))
        assert abs(u) > 0.05
        for name in names:
            assert cell.get(name) == pytest.approx(expected[name], rel=1e-12, abs=1e-13), (chosen, name)


def test_without_apical_conductances_there_is_no_apical_potential(nest):
    cell = nest.Create(MODELS[1], params={"g_apical": 0.0, "g_tuft": 0.0})
    for receptor in (3, 4):
        send(nest, cell, receptor, [1.0], duration=0.0)
    nest.Simulate(20.0)
    assert (cell.V_apical, cell.error_apical) == (0.0, 0.0)
    assert cell.V_lateral == pytest.approx(1.0, rel=1e-7)  # 19.8 ms are 20 time constants
    assert cell.V_soma == 0.0


# ---- errors -------------------------------------------------------------------------------------------------------------


def test_the_tuft_has_the_windows_of_the_basal_dendrite_and_an_error_of_its_own(nest):
    """In the steady state, without trace and filter: dW/dt = eta e r within the window, nothing outside."""
    p = PARAMETERS | TUFT | {"I_e": 0.2}
    rate, eta, weight = 1.5, 1e-5, {"basal": 0.2, "apical": -0.3, "tuft": 0.4}
    trial = {"trial_start": 200.0, "trial_duration": 100.0, "learning_start": 20.0, "learning_stop": 50.0}
    trial |= {
        "free_learning_start": 60.0,
        "free_learning_stop": 70.0,
        "learning_basal": "both",
        "learning_apical": "taught",
    }
    cell = nest.Create(MODELS[1], params=p | trial)
    nest.SetDefaults("dendritic_error_rate_synapse", {"eta": eta, "tau_Delta": 0.0})
    rule = {"synapse": "dendritic_error_rate_synapse", "duration": 0.0}
    sources = {name: send(nest, cell, RECEPTORS[name], [rate], weight=w, **rule) for name, w in weight.items()}
    nest.Simulate(200.0)
    g_total = p["g_L"] + p["g_basal"] + p["g_apical"] + p["g_tuft"]
    v = {name: rate * w for name, w in weight.items()}
    u = (p["I_e"] + sum(p[f"g_{name}"] * v[name] for name in v)) / g_total
    apical = (p["g_apical"] * v["apical"] + p["g_tuft"] * v["tuft"]) / (p["g_apical"] + p["g_tuft"])
    errors = {
        "basal": phi(u, p) - phi(p["g_basal"] * v["basal"] / g_total, p),
        "apical": -apical,
        "tuft": phi(u, p) - phi(v["tuft"], p),
    }
    for name, error in errors.items():
        assert cell.get(f"error_{name}") == pytest.approx(error, rel=1e-9)  # exp(-200 / 4.6) is gone; softplus to 1e-11
    nest.Simulate(100.0)
    learned = {
        name: nest.GetConnections(source, synapse_model="dendritic_error_rate_synapse").weight
        for name, source in sources.items()
    }
    for name, duration in {"basal": 40.0, "apical": 30.0, "tuft": 40.0}.items():
        change = learned[name] - weight[name]
        # the weights move by 1e-3 of their size, and errors with them
        assert change == pytest.approx(eta * errors[name] * rate * duration, rel=5e-3), name


def test_spikes_teach_the_tuft_as_the_reference_does(nest):
    """The O(1) synapse and the one that steps over every error."""
    initial, weights = 0.05, []
    for synapse in ("dendritic_error_synapse", "dendritic_error_reference_synapse"):
        fresh_kernel(nest, seed=5)
        source = nest.Create("stimulus_neuron", 3, {"stimulus_values": [0.5], "psi": 20.0})
        cell = nest.Create("pyramidal_tuft_neuron", params=PARAMETERS | TUFT | {"psi": 20.0})
        learning = {"eta": 1e-4, "tau_s": 2.0, "tau_Delta": 3.0}
        nest.CopyModel(synapse, "learning", learning)
        nest.Connect(
            source, cell, syn_spec={"synapse_model": "learning", "receptor_type": 4, "delay": H, "weight": initial}
        )
        nest.Simulate(100.0)
        weights.append(np.array(nest.GetConnections(synapse_model="learning").weight))
    changes = np.array(weights) - initial
    assert np.all(np.abs(changes) > 1e-3)
    # the reference's weight is that at the last spike, some 0.1 ms before the end of 100 ms
    assert changes[1] == pytest.approx(changes[0], rel=5e-3)


# ---- plateau ------------------------------------------------------------------------------------------------------------


def plateau_inputs(n):
    """Tuft and soma driven apart, together, and neither: 4 times n / 4 steps."""
    tuft = np.repeat([0.0, 1.6, 1.6, 0.0], n // 4)
    soma = np.repeat([0.5, -2.0, 0.5, -2.0], n // 4)
    return tuft, soma


@pytest.mark.parametrize("model", MODELS)
def test_the_plateau_is_that_of_the_equations(nest, model):
    """Every step, with the spikes that were drawn, against a loop in numpy."""
    nest.rng_seed = 4
    n = 1600
    p = PARAMETERS | TUFT | PLATEAU | {"I_e": 0.0, "psi": 25.0, "transfer_function": 2}
    if "rate" in model:
        del p["psi"]
    cell = nest.Create(model, params=p)
    tuft, soma = plateau_inputs(n)
    send(nest, cell, 4, tuft[:: n // 4], duration=n // 4 * H)
    changes = {"amplitude_times": [H, *(np.arange(1, 4) * n // 4 * H + H)], "amplitude_values": soma[:: n // 4]}
    generator = nest.Create("step_current_generator", params=changes)
    nest.Connect(generator, cell, syn_spec={"delay": H})
    spikes = [] if "rate" in model else ["n_spikes"]
    names = ["V_tuft", "plateau", "V_soma", "V_apical", "rate", "error_tuft", "error_basal"]
    traces = Traces(nest, cell, names + spikes + ["I_tuft", "V_prospective"])
    nest.Simulate(n * H + H)

    arrived = {"tuft": np.concatenate([[0.0], tuft])[:n]}
    current = {"soma": np.concatenate([[0.0, 0.0], soma])[:n]}
    emitted = traces["n_spikes"][0, :n] if spikes else None
    expected = simulate(p, n, H, inputs=arrived, currents=current, spikes=emitted)
    for name in names:
        assert_same(traces[name][0, :n], expected[name])
    assert np.max(traces["plateau"]) > 0.5


def test_the_plateau_is_supralinear_and_needs_output(nest):
    """Steady states: P = V sigma((v - theta) / s) (1 - exp(-r / gamma)); without output 0; together more than both alone."""
    # uncoupled from the soma, so that rate and tuft can be chosen apart; threshold-linear, so that there is silence
    p = (
        PARAMETERS
        | TUFT
        | PLATEAU
        | {"g_tuft": 0.0, "g_L": 1.0, "g_basal": 0.0, "g_apical": 0.0, "theta": 0.0, "transfer_function": 2}
    )
    tuft, soma = [0.0, 1.6, 1.6, 0.0], [0.5, -1.0, 0.5, -1.0]
    cells = nest.Create("pyramidal_tuft_rate_neuron", 4, p)
    cells.I_e = soma
    for k in range(4):
        send(nest, cells[k], 4, [tuft[k]], duration=0.0)
    nest.Simulate(400.0)  # 66 time constants of the plateau
    rate = np.maximum(0.0, p["gamma"] * p["beta"] * np.array(soma))
    sigmoid = 1.0 / (1.0 + np.exp(-(np.array(tuft) - p["theta_plateau"]) / p["slope_plateau"]))
    expected = p["V_plateau"] * sigmoid * (1.0 - np.exp(-rate / p["gamma"]))
    assert np.array(cells.plateau) == pytest.approx(expected, rel=1e-12)
    assert np.array(cells.V_tuft) == pytest.approx(np.array(tuft) + expected, rel=1e-12)
    soma_alone, tuft_alone, both, neither = cells.plateau
    assert tuft_alone == neither == 0.0
    assert both > 5.0 * (soma_alone + tuft_alone)


@pytest.mark.parametrize("model", MODELS)
def test_without_a_plateau_its_parameters_change_no_bit(nest, model):
    traces = []
    for changed in ({}, {"theta_plateau": -5.0, "slope_plateau": 0.1, "tau_plateau": 1.0}):
        fresh_kernel(nest, seed=3)
        cell = nest.Create(model, params=PARAMETERS | TUFT | changed | {"I_e": 0.3})
        send(nest, cell, 4, [2.0, 1.0])
        found = Traces(nest, cell, ["V_soma", "V_tuft", "rate", "error_tuft", "plateau"])
        nest.Simulate(30.0)
        traces.append({name: found[name] for name in ("V_soma", "V_tuft", "rate", "error_tuft", "plateau")})
    for name, values in traces[0].items():
        assert np.array_equal(values, traces[1][name])
    assert np.all(traces[0]["plateau"] == 0.0)
    assert np.ptp(traces[0]["V_tuft"]) > 0.5


# ---- populations, many spikes, threads ----------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_the_population_is_the_neuron(nest, threads):
    """The same spikes and potentials, with inputs onto the tuft, a plateau and a noise current."""
    results = []
    options = {"V_plateau": 2.0, "theta_plateau": 0.3, "sigma_noise": 0.02}
    options |= {"output_gain_values": [0.5, 1.5], "trial_duration": 40.0}
    for kind in ("neuron", "population"):
        fresh_kernel(nest, threads=threads, seed=8)
        pre = nest.Create(f"stimulus_{kind}", 6, {"stimulus_values": [0.4], "psi": 100.0})
        cells = nest.Create(f"pyramidal_tuft_{kind}", 4, PARAMETERS | TUFT | options | {"psi": 100.0})
        for receptor in (2, 4):
            nest.Connect(pre, cells, "all_to_all", {"receptor_type": receptor, "weight": 0.003, "delay": H})
        recorder = nest.Create("spike_recorder")
        nest.Connect(cells, recorder)
        traces = Traces(nest, cells, ["V_soma", "plateau", "I_noise"])
        nest.Simulate(100.0)
        events = recorder.get("events")
        order = np.lexsort((events["senders"], events["times"]))
        spikes = [events[name][order] for name in ("times", "senders")]
        results.append((spikes, [traces[name] for name in ("V_soma", "plateau", "I_noise")]))
    assert np.array_equal(results[0][0], results[1][0])
    assert len(results[0][0][0]) > 5000
    for a, b in zip(results[0][1], results[1][1]):
        assert np.ptp(a) > 1e-3
        assert b == pytest.approx(a, rel=1e-9, abs=1e-11)  # n times a weight are added at once, or one by one


def test_many_spikes_are_the_rate(nest):
    """Potentials of the spiking cell, its plateau included, come to those of the rate cell as 1 / sqrt(psi)."""
    p = PARAMETERS | TUFT | PLATEAU | {"theta_plateau": 0.5, "I_e": 0.1}
    distance = []
    for psi in (1e2, 1e4):
        fresh_kernel(nest, seed=2)
        spiking = nest.Create("pyramidal_tuft_population", 50, p | {"psi": psi})
        rate = nest.Create("pyramidal_tuft_rate_neuron", params=p)
        for cells in (spiking, rate):
            send(nest, cells, 4, [1.0], duration=0.0)
            send(nest, cells, 2, [0.5], duration=0.0)
        nest.Simulate(60.0)
        difference = np.array(spiking.plateau) - rate.plateau
        assert rate.plateau > 0.3
        distance.append(np.sqrt(np.mean(difference**2)))
    # the root mean square of 50 cells is known to 10 %, twice; four standard errors
    assert distance[0] / distance[1] == pytest.approx(10.0, rel=0.6)


def test_threads_do_not_matter(nest):
    results = []
    for threads in (1, 2):
        fresh_kernel(nest, threads=threads)
        cells = nest.Create("pyramidal_tuft_rate_neuron", 5, PARAMETERS | TUFT | PLATEAU)
        cells.I_e = [0.1, 0.2, 0.3, 0.4, 0.5]
        nest.SetDefaults("dendritic_error_rate_synapse", {"eta": 1e-3, "tau_Delta": 2.0})
        for receptor in (2, 3, 4):
            spec = {
                "synapse_model": "dendritic_error_rate_synapse",
                "delay": 0.3,
                "weight": 0.1,
                "receptor_type": receptor,
            }
            nest.Connect(cells, cells, "all_to_all", spec)
        nest.Simulate(40.0)
        weights = nest.GetConnections(synapse_model="dendritic_error_rate_synapse")
        order = np.lexsort((weights.receptor, weights.source, weights.target))
        results.append((cells.get(["V_soma", "V_tuft", "plateau", "error_tuft"]), np.array(weights.weight)[order]))
    assert results[0][0] == results[1][0]
    assert np.ptp(results[0][1]) > 1e-3
    assert np.array_equal(results[0][1], results[1][1])
