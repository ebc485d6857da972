# SPDX-License-Identifier: GPL-2.0-or-later
"""A teacher that comes late, and what learns before it does: potentials in closed form, weights against plasticity_oracle.py.

The oracle gets the recorded errors, set to 0 outside of the windows in which a projection is to learn.
"""

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from plasticity_circuit import RECEPTORS, Circuit, ms
from plasticity_oracle import Rule, weight_course
from traces import Traces

from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.rate import RateMicrocircuit
from pynest_tools.networks.spiking import SpikingMicrocircuit
from pynest_tools.networks.weights import initial_weights

H = 0.1  # ms

# ---- a late teacher -----------------------------------------------------------------------------------------------------


def nudged(nest, n_steps, delay=3, **teacher):
    """Somatic potentials of a cell at rest at 2 mV that a teacher nudges towards -1 mV."""
    cell = nest.Create(
        "pyramidal_neuron", params={"gamma": 0.0, "I_e": 0.38, "trial_duration": 30.0, "trial_reset": True}
    )
    source = nest.Create("stimulus_neuron", params={"stimulus_values": [-1.0, -1.0], **teacher})
    spec = {"synapse_model": "rate_connection_delayed", "receptor_type": 4, "delay": ms(delay)}
    nest.Connect(source, cell, syn_spec=spec)
    traces = Traces(nest, cell, ["V_soma", "V_nudge"])
    nest.Simulate(float(ms(n_steps + 10)))
    return traces["V_soma"][0][:n_steps], traces["V_nudge"][0][:n_steps]


def test_a_late_teacher_is_none_before_and_nudges_then(nest):
    """Bit for bit as without it until its signal arrives; then relaxation in closed form, and back when it ends."""
    period, on, off, delay = 300, 120, 180, 3
    trial = {
        "trial_duration": float(ms(period)),
        "stimulus_start": float(ms(on)),
        "stimulus_duration": float(ms(off - on)),
    }
    V, V_nudge = nudged(nest, 2 * period, delay, **trial)
    fresh_kernel(nest)
    free, _ = nudged(nest, 2 * period, delay, stimulus_duration=0.0)
    g_rest, g_nudge, C_m = 0.19, 0.06, 1.0  # nS, nS, pF: defaults
    for onset in (0, period):
        first, last = onset + on + delay, onset + off + delay  # steps in which its signal arrives
        assert np.array_equal(V[onset:first], free[onset:first])
        assert np.all(np.isnan(V_nudge[onset:first]))
        assert np.all(V_nudge[first:last] == -1.0)
        assert np.all(np.isnan(V_nudge[last : onset + period]))
        t = H * np.arange(1, off - on + 1)
        V_inf = (0.38 - g_nudge) / (g_rest + g_nudge)
        nudging = V_inf + (V[first - 1] - V_inf) * np.exp(-t * (g_rest + g_nudge) / C_m)
        # rounding of 60 steps of exponential Euler, exact for constant input
        assert np.allclose(V[first:last], nudging, rtol=1e-13, atol=0)
        t = H * np.arange(1, period - off - delay + 1)
        released = 2.0 + (V[last - 1] - 2.0) * np.exp(-t * g_rest / C_m)
        assert np.allclose(V[last : onset + period], released, rtol=1e-13, atol=0)
        assert abs(V[last - 1] - free[last - 1]) > 0.5


def test_a_late_teacher_is_one_whose_trial_begins_later(nest):
    late, _ = nudged(nest, 200, stimulus_start=9.0, stimulus_duration=4.0)
    fresh_kernel(nest)
    other, _ = nudged(nest, 200, trial_start=9.0, stimulus_duration=4.0)
    assert np.array_equal(late, other)


# ---- windows of each dendrite ---------------------------------------------------------------------------------------------

PERIOD, FREE, TAUGHT = 253, (20, 90), (120, 240)  # steps
CLOCK = {
    "trial_duration": float(ms(PERIOD)),
    "free_learning_start": float(ms(FREE[0])),
    "free_learning_stop": float(ms(FREE[1])),
    "learning_start": float(ms(TAUGHT[0])),
    "learning_stop": float(ms(TAUGHT[1])),
}
WINDOWS = {"taught": [TAUGHT], "free": [FREE], "both": [FREE, TAUGHT]}


def masked(errors, windows, period=PERIOD):
    """Errors of the steps 1, 2, ..., which begin at 0, 1, ..., outside of the windows 0."""
    phase = np.arange(errors.size) % period
    inside = np.any([(start <= phase) & (phase < stop) for start, stop in windows], axis=0)
    return np.where(inside, errors, 0.0)


RULES = {
    # without effect on the cell
    "dendritic_error_synapse": (Rule(1e-12, 3.0, 5.0), {}),
    "dendritic_error_psp_synapse": (Rule(1e-12, 3.0, 5.0, tau_m=8.0), {"tau_m": 8.0}),
}


@pytest.mark.parametrize("model", RULES)
@pytest.mark.parametrize("reset", [False, True], ids=["keep", "reset"])
@pytest.mark.parametrize(("basal", "apical"), [("taught", "free"), ("both", "taught"), ("free", "both")])
def test_weights_are_learned_in_the_windows_of_their_dendrite(nest, basal, apical, reset, model):
    """For a short and a long delay; dendritic_error_reference_synapse is compared in test_reference_synapse.py."""
    rule, others = RULES[model]
    cell = {"learning_basal": basal, "learning_apical": apical, "trial_reset": reset, **CLOCK}
    circuit = Circuit(nest, 1500, **cell)
    names = {(r, d): circuit.connect(rule, r, d, model=model, **others) for r in RECEPTORS for d in (1, 17)}
    assert (circuit.cell.learning_basal, circuit.cell.learning_apical) == (basal, apical)
    circuit.simulate(circuit.n_steps)
    weights = {key: circuit.weights(name) for key, name in names.items()}
    resets = range(PERIOD, circuit.n_steps, PERIOD) if reset else ()
    for (receptor, delay), observed in weights.items():
        errors = circuit.errors(receptor)
        ours = masked(errors, WINDOWS[basal if receptor == "basal" else apical])
        for weight, (steps, counts) in zip(observed, circuit.trains, strict=True):
            expected, ungated = (weight_course(rule, x, steps, counts, delay, resets)[-1] for x in (ours, errors))
            # differences of the oracle's cumulative sums, relative to what the weight would be without windows
            assert weight == pytest.approx(expected, rel=1e-9, abs=1e-11 * abs(ungated))
            assert expected != ungated


# ---- a circuit ------------------------------------------------------------------------------------------------------------

TAU = {"tau_s": 1.0, "tau_Delta": 2.0}
ETA = 1e-7  # potentials stay what they are without learning to 1e-7, weights are kept to 1e-16
TIMES = {"t_pres": 8.0, "t_readout_on": 6.0, "t_free_learn_on": 1.0, "t_target_on": 4.0, "t_learn_on": 5.0}
STEPS = 80
N_SAMPLES = 3


def circuit_of(free, transmission="population", **trial):
    return Microcircuit.model_validate(
        {
            "sizes": (4, 3, 3, 2),
            "transmission": transmission,
            "neuron": {"psi": 20.0},
            "plasticity": {"eta_up": ETA, "eta_ip": ETA, "eta_pi": ETA, **TAU},
            "weights": {"self_predicting": False, **dict.fromkeys(("up", "down", "ip", "pi"), 0.5)},
            "trial": {**TIMES, "free_learning": free, **trial},
        }
    )


class Records:
    """What all cells of a network send, and their errors, in every step; read once, after the run."""

    def __init__(self, nest, network, spiking):
        self.nest, self.spiking = nest, spiking
        self.n_steps = N_SAMPLES * STEPS
        cells = [network.inputs, *network.pyramidal, *network.interneurons]
        self.rates = nest.Create("multimeter", {"record_from": ["rate"], "interval": H})
        self.errors = nest.Create("multimeter", {"record_from": ["error_basal", "error_apical"], "interval": H})
        self.spikes = nest.Create("spike_recorder")
        for group in cells:
            nest.Connect(self.rates, group)
            if spiking:
                nest.Connect(group, self.spikes)
        for group in cells[1:]:
            nest.Connect(self.errors, group)

    def read(self):
        self.nest.Simulate(2 * H)  # recorders hand out their last step a slice later
        return self

    def sent(self, cell):
        """Steps in which a cell has sent something, and how many spikes, of which a rate of r is r h."""
        if self.spiking:
            events = self.spikes.get("events")
            times = np.round(events["times"][events["senders"] == cell] / H).astype(int)
            return np.unique(times[times <= self.n_steps], return_counts=True)
        events = self.rates.get("events")
        rates = np.array(events["rate"])[np.array(events["senders"]) == cell][: self.n_steps]
        return np.arange(1, self.n_steps + 1), rates * H

    def error(self, cell, name):
        events = self.errors.get("events")
        return np.array(events[f"error_{name}"])[np.array(events["senders"]) == cell][: self.n_steps]


def windows_of(projection, free):
    """In steps, as the specification says."""
    taught, before = (50, 80), (10, 40)
    if projection == "ip" and "ip" in free:
        return [before, taught]
    return [before] if projection == "pi" and "pi" in free else [taught]


@pytest.mark.parametrize("free", [(), ("ip",), ("pi",), ("ip", "pi")], ids=["none", "ip", "pi", "ip and pi"])
@pytest.mark.parametrize("kind", ["population", "spikes", "rates"])
def test_a_circuit_learns_in_the_windows_of_its_projections(nest, kind, free):
    """Every weight of two hidden layers, over three samples with a reset between."""
    circuit = circuit_of(free, "spikes" if kind == "spikes" else "population")
    weights = initial_weights(circuit, np.random.default_rng(1))
    spiking = kind != "rates"
    network = SpikingMicrocircuit(circuit, weights, 1) if spiking else RateMicrocircuit(circuit, weights)
    records = Records(nest, network, spiking)
    rng = np.random.default_rng(2)
    network.run(rng.uniform(0.0, 1.0, (N_SAMPLES, 4)), rng.uniform(1.0, 3.0, (N_SAMPLES, 2)), learn=True)
    learned = dict(network.get_weights().named())
    records.read()
    psi = circuit.neuron.psi if spiking else 1.0
    layers = [network.inputs, *network.pyramidal]
    for name, before in weights.named():
        projection, k = name.split("_")[0], int(name.split("_")[1])
        if projection == "down":
            assert np.array_equal(learned[name], before)
            continue
        pre, post = layers[k - 1], layers[k]
        if projection != "up":
            both = (layers[k], network.interneurons[k - 1])
            pre, post = both if projection == "ip" else both[::-1]
        # normalised weights are psi times NEST's, and their learning rates psi^3 (of an apical error psi^2) tau_s times
        eta = ETA * psi / ((psi**2 if projection == "pi" else psi**3) * TAU["tau_s"])
        dendrite = "apical" if projection == "pi" else "basal"
        expected, ungated = np.zeros_like(before), np.zeros_like(before)
        for i, target in enumerate(post.tolist()):
            errors = records.error(target, dendrite)
            for j, source in enumerate(pre.tolist()):
                for change, x in ((expected, masked(errors, windows_of(projection, free), STEPS)), (ungated, errors)):
                    course = weight_course(
                        Rule(eta, **TAU), x, *records.sent(source), 1, range(STEPS, 3 * STEPS, STEPS)
                    )
                    change[i, j] = course[-1]
        scale = np.max(np.abs(ungated))
        # the weights change potentials by 1e-7 of them, and are kept to 1e-16: 1e-9 of the changes
        np.testing.assert_allclose(learned[name] - before, expected, rtol=0, atol=1e-6 * scale, err_msg=name)
        assert np.max(np.abs(ungated - expected)) > 0.05 * scale, name


def test_output_cells_are_nudged_from_the_target_on(nest):
    """Bit for bit as in a test until then, and by the teacher's share of the conductance in the end."""
    V = {}
    for taught in (True, False):
        circuit = circuit_of((), t_pres=60.0, t_readout_on=55.0, t_pres_test=60.0, t_readout_on_test=55.0)
        network = RateMicrocircuit(circuit, initial_weights(circuit, np.random.default_rng(1)))
        traces = Traces(nest, network.pyramidal[-1], ["V_soma"])
        result = network.run(np.full((1, 4), 0.5), np.full((1, 2), 3.0) if taught else None, learn=False)
        if taught:
            lesson = result
        nest.Simulate(2 * H)
        V[taught] = traces["V_soma"]
    arrives = round((TIMES["t_target_on"] + circuit.simulation.delay) / H)  # first step in which the signal is there
    assert np.array_equal(V[True][:, :arrives], V[False][:, :arrives])
    assert np.all(V[True][:, arrives] > V[False][:, arrives])
    share = 0.06 / (0.03 + 0.1 + 0.06)  # of the conductances, nS
    moved = lesson.output - lesson.prediction
    # 55 ms are ten somatic time constants of 1 / 0.19 ms: exp(-10)
    np.testing.assert_allclose(moved, share * (3.0 - lesson.prediction), rtol=1e-4)
