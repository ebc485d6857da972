# SPDX-License-Identifier: GPL-2.0-or-later
"""Wrong connections and values are refused with a sentence that helps, and nothing is changed."""

import numpy as np
import pytest
from kernel_setup import fresh_kernel

PLASTIC = ("dendritic_error_synapse", "dendritic_error_reference_synapse")


def same(a, b):
    """Whether two dictionaries of parameters are the same; NaN equals NaN."""
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) or (a[k] != a[k] and b[k] != b[k]) for k in a)


# ---- connections --------------------------------------------------------------------------------------------------------

#: What is said of a receptor that does not take such a signal.
RECEPTORS = (
    r"receptor_type {} of {} takes no {}: spikes and rates go to soma = 1, basal = 2 or apical = 3, potentials "
    r"\(rate_connection_delayed\) to nudge = 4, currents and recorders to 0, which is the default"
)
WRONG_RECEPTORS = {
    "none": (0, RECEPTORS.format(0, "pyramidal_neuron", "spikes")),
    "soma": (1, "{model} needs a compartment with a dendritic error: connect it to receptor_type 'basal' or 'apical'"),
    "nudge": (4, RECEPTORS.format(4, "pyramidal_neuron", "spikes")),
    "unknown": (7, RECEPTORS.format(7, "pyramidal_neuron", "spikes")),
}


@pytest.mark.parametrize(("receptor", "message"), WRONG_RECEPTORS.values(), ids=WRONG_RECEPTORS.keys())
@pytest.mark.parametrize("model", PLASTIC)
def test_wrong_receptor(nest, model, receptor, message):
    cell, pre = nest.Create("pyramidal_neuron"), nest.Create("parrot_neuron")
    assert cell.receptor_types == {"soma": 1, "basal": 2, "apical": 3, "nudge": 4}
    with pytest.raises(nest.NESTError, match=message.format(model=model)):
        nest.Connect(pre, cell, syn_spec={"synapse_model": model, "receptor_type": receptor})
    assert nest.num_connections == 0


@pytest.mark.parametrize("cell", ["pyramidal_neuron", "pyramidal_population", "pyramidal_rate_neuron"])
def test_a_forgotten_receptor_names_those_that_there_are(nest, cell):
    """Spikes, rates, potentials, currents and recorders; PyNEST's class of the error is NEST's own."""
    target = nest.Create(cell)
    assert nest.GetDefaults(cell, "receptor_types") == {"soma": 1, "basal": 2, "apical": 3, "nudge": 4}
    cases = [
        ("parrot_neuron", {}, 0, "spikes"),
        ("poisson_generator", {}, 0, "spikes"),
        ("stimulus_neuron", {"synapse_model": "sic_connection"}, 0, "rates"),
        ("stimulus_neuron", {"synapse_model": "rate_connection_delayed"}, 0, "potentials"),
        ("dc_generator", {"receptor_type": 2}, 2, "currents"),
        ("multimeter", {"receptor_type": 1}, 1, "recorders"),
    ]
    for source, spec, receptor, signal in cases:
        with pytest.raises(nest.NESTErrors.UnknownReceptorType, match=RECEPTORS.format(receptor, cell, signal)):
            nest.Connect(nest.Create(source), target, syn_spec=spec)
    assert nest.num_connections == 0


@pytest.mark.parametrize("model", PLASTIC)
def test_wrong_target(nest, model):
    target, pre = nest.Create("iaf_psc_alpha"), nest.Create("parrot_neuron")
    message = f"{model} needs a target that archives dendritic errors, such as pyramidal_neuron; iaf_psc_alpha does not"
    with pytest.raises(nest.NESTError, match=message):
        nest.Connect(pre, target, syn_spec={"synapse_model": model})
    with pytest.raises(nest.NESTError, match="does not support spike input"):
        nest.Connect(pre, nest.Create("stimulus_neuron"), syn_spec={"synapse_model": model, "receptor_type": 2})
    assert nest.num_connections == 0


@pytest.mark.parametrize("device", ["poisson_generator", "spike_generator"])
@pytest.mark.parametrize("model", PLASTIC)
def test_devices_cannot_be_learned_from(nest, model, device):
    """NEST draws the spikes of a generator after the synapse, so that they would be learned in every step."""
    cell, generator = nest.Create("pyramidal_neuron"), nest.Create(device)
    message = f"{model} learns from neurons, {device} is a device: put a parrot_neuron between it and the target"
    with pytest.raises(nest.NESTError, match=message):
        nest.Connect(generator, cell, syn_spec={"synapse_model": model, "receptor_type": 2})


@pytest.mark.parametrize(
    ("model", "receptor", "signal"), [("rate_connection_delayed", 2, "potentials"), ("sic_connection", 4, "rates")]
)
def test_signals_to_wrong_receptors(nest, model, receptor, signal):
    cells = nest.Create("pyramidal_neuron", 2)
    with pytest.raises(nest.NESTError, match=RECEPTORS.format(receptor, "pyramidal_neuron", signal)):
        nest.Connect(cells[0], cells[1], syn_spec={"synapse_model": model, "receptor_type": receptor})


def test_other_time_constants_on_the_same_dendrite(nest):
    cell, pre = nest.Create("pyramidal_neuron"), nest.Create("parrot_neuron")
    nest.CopyModel(PLASTIC[0], "fast", {"tau_s": 1.0, "tau_Delta": 2.0})
    nest.CopyModel(PLASTIC[0], "slow", {"tau_s": 1.0, "tau_Delta": 30.0})
    nest.Connect(pre, cell, syn_spec={"synapse_model": "fast", "receptor_type": 2})
    message = (
        "slow: all plastic synapses onto one compartment must have the same time constants; there are synapses with "
    )
    message += "tau_s = 1 and tau_Delta = 2 ms, got tau_s = 1 and tau_Delta = 30 ms"
    with pytest.raises(nest.NESTError, match=message):
        nest.Connect(pre, cell, syn_spec={"synapse_model": "slow", "receptor_type": 2})
    nest.Connect(pre, cell, syn_spec={"synapse_model": "slow", "receptor_type": 3})  # the other dendrite is free
    assert nest.num_connections == 2


# ---- synapse parameters -------------------------------------------------------------------------------------------------

BAD_RULES = {
    "tau_s negative": ({"tau_s": -1.0}, "tau_s must be positive, got -1 ms"),
    "tau_s zero": ({"tau_s": 0.0}, "tau_s must be positive, got 0 ms"),
    "tau_s nan": ({"tau_s": float("nan")}, "tau_s must be positive, got nan ms"),
    "tau_Delta negative": (
        {"eta": 1.0, "tau_Delta": -2.0},
        "tau_Delta must be positive, or 0 for no filter, got -2 ms",
    ),
    "bounds": ({"Wmin": 1.0, "Wmax": -1.0}, "Wmin must not exceed Wmax, got 1 and -1 mV ms"),
    "eta": ({"eta": float("inf")}, "eta must be a finite number, got inf"),
    "default weight": (
        {"Wmax": 0.5, "weight": 0.7},
        r"the weight must lie in \[Wmin, Wmax\] = \[-inf, 0.5\] mV ms, got 0.7",
    ),
}


@pytest.mark.parametrize(("parameters", "message"), BAD_RULES.values(), ids=BAD_RULES.keys())
def test_constants_of_the_rule(nest, parameters, message):
    before = nest.GetDefaults(PLASTIC[0])
    with pytest.raises(nest.NESTError, match=rf"{message} \(copied\)"):
        nest.CopyModel(PLASTIC[0], "copied", parameters)
    if "weight" in parameters:
        return  # NEST sets the common properties of a model first
    with pytest.raises(nest.NESTError, match=rf"{message} \({PLASTIC[0]}\)"):
        nest.SetDefaults(PLASTIC[0], parameters)
    assert same(before, nest.GetDefaults(PLASTIC[0]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"eta": 1.0, "tau_s": 0.0}, "tau_s > 0 ms is required"),
        ({"eta": 1.0, "tau_Delta": -2.0}, "tau_Delta >= 0 ms is required"),
        ({"eta": 1.0, "Wmin": 1.0, "Wmax": -1.0}, "Wmax >= Wmin is required"),
    ],
)
def test_constants_of_the_reference(nest, parameters, message):
    before = nest.GetDefaults(PLASTIC[1])
    with pytest.raises(nest.NESTError, match=f"{PLASTIC[1]}: {message}"):
        nest.SetDefaults(PLASTIC[1], parameters)
    assert same(before, nest.GetDefaults(PLASTIC[1]))


def test_weight_out_of_bounds(nest):
    cell, pre = nest.Create("pyramidal_neuron"), nest.Create("parrot_neuron")
    nest.CopyModel(PLASTIC[0], "bounded", {"Wmin": -1.0, "Wmax": 0.5, "weight": 0.0})
    message = r"the weight must lie in \[Wmin, Wmax\] = \[-1, 0.5\] mV ms, got {} \(bounded\)"
    with pytest.raises(nest.NESTError, match=message.format(2)):
        nest.Connect(pre, cell, syn_spec={"synapse_model": "bounded", "receptor_type": 2, "weight": 2.0})
    assert nest.num_connections == 0
    nest.Connect(pre, cell, syn_spec={"synapse_model": "bounded", "receptor_type": 2, "weight": 0.25})
    connection = nest.GetConnections(synapse_model="bounded")
    with pytest.raises(nest.NESTError, match=message.format("-3")):
        connection.weight = -3.0
    assert connection.weight == 0.25


WEIGHTED = (
    "dendritic_error_psp_synapse",
    "dendritic_error_rate_synapse",
    "releasing_dendritic_error_synapse",
    "releasing_dendritic_error_rate_synapse",
    "alignment_synapse",
    "alignment_rate_synapse",
)


@pytest.mark.parametrize("model", [*PLASTIC, *WEIGHTED])
def test_weight_that_is_no_finite_number(nest, model):
    rates = model.endswith("rate_synapse")
    cell = nest.Create("pyramidal_neuron")
    pre = nest.Create("stimulus_neuron" if rates else "parrot_neuron")
    syn_spec = {"synapse_model": model, "receptor_type": 2}
    nest.Connect(pre, cell, syn_spec=syn_spec)
    connection = nest.GetConnections(synapse_model=model)
    for weight in (float("inf"), float("-inf"), float("nan")):
        with pytest.raises(nest.NESTError, match="the weight must be a finite number"):
            connection.weight = weight
        with pytest.raises(nest.NESTError, match="the weight must be a finite number"):
            nest.SetDefaults(model, {"weight": weight})
    assert connection.weight == 1.0


def test_time_constants_after_all_synapses_are_gone(nest):
    """A dendrite whose plastic synapses were disconnected, learned ones too, takes others."""
    cell, pre = nest.Create("pyramidal_neuron", params={"I_e": 0.1}), nest.Create("stimulus_neuron", 2)
    for tau_s in (1.0, 2.0, 5.0):
        name = f"plastic_{tau_s}"
        nest.CopyModel("dendritic_error_synapse", name, {"eta": 1e-8, "tau_s": tau_s, "weight": 0.01})
        nest.Connect(pre, cell, syn_spec={"synapse_model": name, "receptor_type": 2})
        pre.stimulus_values = [1.0]
        nest.Simulate(20.0)
        pre.stimulus_values = []  # NEST crashes if a spike is under way when the last synapse of a model goes (docs/upstream.md)
        nest.Simulate(5.0)
        synapses = nest.GetConnections(synapse_model=name)
        assert np.all(np.array(synapses.weight) > 0.01)
        nest.Disconnect(synapses[0])
        nest.CopyModel("dendritic_error_synapse", f"other_{tau_s}", {"tau_s": 9.0})
        with pytest.raises(
            nest.NESTError, match=f"there are synapses with tau_s = {tau_s:g} and tau_Delta = 1 ms, got"
        ):
            nest.Connect(pre, cell, syn_spec={"synapse_model": f"other_{tau_s}", "receptor_type": 2})
        nest.Disconnect(synapses[1])


@pytest.mark.parametrize("threads", [1, 2])
def test_rule_changed_while_there_are_connections(nest, threads):
    fresh_kernel(nest, threads=threads)
    cells, pre = nest.Create("pyramidal_neuron", 3), nest.Create("parrot_neuron")
    nest.CopyModel(PLASTIC[0], "plastic", {"eta": 0.1})
    nest.Connect(pre, cells, syn_spec={"synapse_model": "plastic", "receptor_type": 2})
    before = nest.GetDefaults("plastic")
    for change in ({"eta": 0.2}, {"tau_s": 2.0, "Wmax": 5.0}, {"tau_Delta": 3.0}):
        with pytest.raises(
            nest.NESTError, match="eta and the time constants of plastic cannot change while there are connections"
        ):
            nest.SetDefaults("plastic", change)
    assert same(before, nest.GetDefaults("plastic"))
    nest.SetDefaults("plastic", {"eta": 0.1, "Wmax": 5.0})  # the same eta, and bounds, are no other rule
    assert nest.GetDefaults("plastic", "Wmax") == 5.0
    nest.CopyModel("plastic", "other", {"eta": 0.2})  # as the message advises
    assert nest.GetDefaults("other", "eta") == 0.2


def test_delay_changed_after_a_spike(nest):
    cell, pre = nest.Create("pyramidal_neuron"), nest.Create("parrot_neuron")
    nest.Connect(nest.Create("spike_generator", params={"spike_times": [5.0]}), pre)
    nest.Connect(pre, cell, syn_spec={"synapse_model": PLASTIC[0], "receptor_type": 2, "delay": 1.0})
    connection = nest.GetConnections(synapse_model=PLASTIC[0])
    connection.delay = 2.0
    nest.Simulate(10.0)
    connection.delay = 2.0  # no change
    message = "the delay cannot change after the first spike; disconnect, and connect anew with 1 ms"
    with pytest.raises(nest.NESTError, match=message):
        connection.set(delay=1.0, weight=3.0)
    assert connection.delay == 2.0
    assert connection.weight == 1.0


# ---- neuron parameters --------------------------------------------------------------------------------------------------

BAD_CELLS = {
    "C_m": ({"C_m": 0.0}, "C_m > 0 pF is required, got 0"),
    "g_L": ({"g_L": -0.1}, "g_L >= 0 nS is required, got -0.1"),
    "g_nudge": ({"g_nudge": -0.1}, "g_nudge >= 0 nS is required, got -0.1"),
    "tau_basal": ({"tau_basal": -1.0}, "tau_basal >= 0 ms is required, got -1"),
    "tau_apical": ({"tau_apical": float("nan")}, "tau_apical >= 0 ms is required, got nan"),
    "psi": ({"psi": 0.0}, "psi > 0 is required, got 0"),
    "beta": ({"beta": 0.0}, "beta > 0"),
    "t_ref": ({"t_ref": -1.0}, "t_ref >= 0 ms is required"),
    "duration off the grid": (
        {"trial_duration": 0.25},
        "trial_duration must be a multiple of the resolution, 0.1 ms, .* got 0.25 ms",
    ),
    "start negative": ({"trial_start": -5.0}, "trial_start must be a multiple of the resolution, 0.1 ms, .* got -5 ms"),
    "target off the grid": ({"stimulus_start": 1.23}, "stimulus_start must be a multiple of the resolution"),
    "free phase off the grid": (
        {"free_learning_stop": 1.23},
        "free_learning_stop must be a multiple of the resolution",
    ),
    "windows": (
        {"learning_apical": "later"},
        "pyramidal_neuron: learning_apical must be 'taught', 'free' or 'both', got 'later'",
    ),
    "stop nan": ({"learning_stop": float("nan")}, "learning_stop must be a multiple of the resolution"),
    "stimulus off the grid": ({"stimulus_duration": 1.23}, "stimulus_duration must be a multiple of the resolution"),
    "read-out too long": ({"readout_stop": 31.0}, "readout_stop must not exceed trial_duration, got 31 ms and 30 ms"),
    "no list": ({"stimulus_values": "abc"}, "Failed to cast 'stimulus_values'"),
    "unknown": ({"tau_m": 10.0}, "tau_m"),
}


@pytest.mark.parametrize(("parameters", "message"), BAD_CELLS.values(), ids=BAD_CELLS.keys())
def test_parameters_of_the_neuron(nest, parameters, message):
    """Other values that are set with a bad one are not set either, and the state stays as it was."""
    cell = nest.Create("pyramidal_neuron", params={"I_e": 0.3, "trial_duration": 30.0, "stimulus_values": [1.0, 2.0]})
    nest.Simulate(5.0)
    before = cell.get()
    assert before["V_soma"] > 0
    others = {} if "tau_m" in parameters else {"I_e": 9.0, "learning": False}  # NEST names an unknown key after setting
    with pytest.raises(nest.NESTError, match=message):
        cell.set(others | parameters)
    assert same(before, cell.get())


def test_parameters_of_the_stimulus(nest):
    cell = nest.Create("stimulus_neuron")
    before = cell.get()
    with pytest.raises(nest.NESTError, match="psi > 0 is required, got -1"):
        cell.set(psi=-1.0, stimulus_values=[1.0])
    assert same(before, cell.get())
