# SPDX-License-Identifier: GPL-2.0-or-later
"""Potentials, rate and errors of pyramidal_neuron against closed forms."""

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from traces import Traces, softplus

C_M, G_L, G_B, G_A, G_N = 1.3, 0.03, 0.1, 0.06, 0.05  # pF, nS
G_REST = G_L + G_B + G_A
CONDUCTANCES = {"C_m": C_M, "g_L": G_L, "g_basal": G_B, "g_apical": G_A, "g_nudge": G_N}
RESOLUTIONS = [0.05, 0.1, 0.5]  # ms
# Rounding of the propagators, added up over hundreds of steps; relative to the largest potential.
ROUNDING = 1e-12
SILENT = {"gamma": 0.0}  # no spikes


def assert_trace(observed, expected):
    assert np.max(np.abs(expected)) > 0.1  # mV
    assert np.allclose(observed, expected, rtol=0, atol=ROUNDING * np.max(np.abs(expected)))


def drive(nest, values, target, receptor, delay, *, model="sic_connection", weight=1.0, **parameters):
    """A stimulus_neuron with psi = 1 that sends its values, one for each trial, without noise."""
    source = nest.Create("stimulus_neuron", params={"stimulus_values": values, "psi": 1.0, **parameters})
    nest.Connect(
        source, target, syn_spec={"synapse_model": model, "weight": weight, "delay": delay, "receptor_type": receptor}
    )
    return source


@pytest.mark.parametrize("h", RESOLUTIONS)
def test_current_step(nest, h):
    """U = I / g (1 - exp(-t g / C)), exact for any resolution."""
    fresh_kernel(nest, resolution=h)
    cell = nest.Create("pyramidal_neuron", params=CONDUCTANCES | SILENT | {"I_e": 0.4})
    traces = Traces(nest, cell, ["V_soma"])
    nest.Simulate(30.0)
    assert_trace(traces["V_soma"][0], 0.4 / G_REST * (1 - np.exp(-traces.times * G_REST / C_M)))


@pytest.mark.parametrize("h", RESOLUTIONS)
def test_nudging_conductance_is_on_while_a_value_is_presented(nest, h):
    """Four trials of 20 ms: a target for 10 ms, none (NaN), a target of 0 mV, and the end of the list."""
    fresh_kernel(nest, resolution=h)
    cell = nest.Create("pyramidal_neuron", params=CONDUCTANCES | SILENT | {"I_e": 0.4})
    trials = {"trial_duration": 20.0, "stimulus_duration": 10.0}
    delay = 1.5
    drive(nest, [5.0, np.nan, 0.0], cell, 4, delay, model="rate_connection_delayed", **trials)
    traces = Traces(nest, cell, ["V_soma", "V_nudge"])
    nest.Simulate(80.0)
    expected = np.zeros(traces.times.size)
    nudge = np.full(traces.times.size, np.nan)
    u, start = 0.0, 0.0
    for stop, target in [(1.5, None), (11.5, 5.0), (41.5, None), (51.5, 0.0), (81.5, None)]:
        inside = (traces.times > start + 1e-9) & (traces.times < stop + 1e-9)
        g = G_REST if target is None else G_REST + G_N
        u_inf = (0.4 + (0.0 if target is None else G_N * target)) / g
        expected[inside] = u_inf + (u - u_inf) * np.exp(-(traces.times[inside] - start) * g / C_M)
        nudge[inside] = np.nan if target is None else target
        u = u_inf + (u - u_inf) * np.exp(-(stop - start) * g / C_M)
        start = stop
    assert_trace(traces["V_soma"][0], expected)
    assert np.array_equal(traces["V_nudge"][0], nudge, equal_nan=True)


@pytest.mark.parametrize("h", RESOLUTIONS)
@pytest.mark.parametrize(("receptor", "name"), [(2, "basal"), (3, "apical")])
def test_dendrite_follows_a_rate(nest, h, receptor, name):
    """A constant rate r from the delay on: v = W r (1 - exp(-t / tau)), exact; with tau = 0 at once."""
    fresh_kernel(nest, resolution=h)
    cells = nest.Create("pyramidal_neuron", 3, SILENT)
    cells.set({f"tau_{name}": [7.0, 0.3, 0.0]})
    weight, rate, delay = -0.8, 2.5, 1.5
    drive(nest, [rate], cells, receptor, delay, weight=weight)
    traces = Traces(nest, cells, ["V_basal", "V_apical"])
    nest.Simulate(30.0)
    t = np.maximum(traces.times - delay, 0.0)
    for observed, tau in zip(traces[f"V_{name}"], [7.0, 0.3, 1e-300]):
        assert_trace(observed, weight * rate * (1 - np.exp(-t / tau)))
    assert np.all(traces["V_apical" if name == "basal" else "V_basal"] == 0)


def test_soma_follows_the_dendrite(nest):
    """The soma low-pass filters the dendrite; the inputs are held over a step, so the error is of first order in h."""
    weight, rate, delay, tau = 1.0, 3.0, 2.0, 4.0
    tau_u = C_M / G_REST
    errors = []
    resolutions = [0.5, 0.25, 0.125]
    for h in resolutions:
        fresh_kernel(nest, resolution=h)
        cell = nest.Create("pyramidal_neuron", params=CONDUCTANCES | SILENT | {"tau_basal": tau})
        drive(nest, [rate], cell, 2, delay, weight=weight)
        traces = Traces(nest, cell, ["V_soma"])
        nest.Simulate(60.0)
        t = np.maximum(traces.times - delay, 0.0)
        response = 1 - (tau_u * np.exp(-t / tau_u) - tau * np.exp(-t / tau)) / (tau_u - tau)
        expected = G_B / G_REST * weight * rate * response
        errors.append(np.max(np.abs(traces["V_soma"][0] - expected)))
        # the dendrite of the end of the step acts during all of it: half a step early, at the steepest slope of the response
        assert errors[-1] == pytest.approx(0.5 * h * np.max(np.gradient(expected, h)), rel=0.1)  # second-order terms
    assert np.log2(np.divide(errors[:-1], errors[1:])) == pytest.approx([1.0, 1.0], abs=0.05)  # ditto


@pytest.mark.parametrize(("receptor", "gain"), [(2, G_B / G_REST), (3, G_A / G_REST), (1, 1 / G_REST)])
def test_mean_potentials_do_not_depend_on_the_resolution(nest, receptor, gain):
    """A spike of weight W adds W mV ms to the integral of a dendrite, g / g_total of that to the soma's; to the soma W / g_total."""
    for h in RESOLUTIONS:
        fresh_kernel(nest, resolution=h)
        cell = nest.Create("pyramidal_neuron", params=CONDUCTANCES | SILENT | {"tau_basal": 3.0, "tau_apical": 0.0})
        spikes = nest.Create(
            "spike_generator", params={"spike_times": [2.0, 2.5, 7.0], "spike_multiplicities": [1, 3, 1]}
        )
        nest.Connect(spikes, cell, syn_spec={"weight": 1.7, "delay": 1.0, "receptor_type": receptor})
        traces = Traces(nest, cell, ["V_soma", "V_basal", "V_apical"])
        nest.Simulate(250.0)
        integral = {name: h * np.sum(traces[name]) for name in ("V_soma", "V_basal", "V_apical")}
        # exp(-240 ms / 6.8 ms) = 5e-16 has not decayed; rounding of thousands of terms
        assert integral["V_soma"] == pytest.approx(5 * 1.7 * gain, rel=1e-11)
        if receptor > 1:
            assert integral["V_basal" if receptor == 2 else "V_apical"] == pytest.approx(5 * 1.7, rel=1e-11)


def test_currents_from_devices(nest):
    """A current from a generator acts as I_e does."""
    cell = nest.Create("pyramidal_neuron", params=CONDUCTANCES | SILENT)
    current = nest.Create("dc_generator", params={"amplitude": 0.4, "start": 5.0, "stop": 15.0})
    nest.Connect(current, cell, syn_spec={"delay": 1.0})
    traces = Traces(nest, cell, ["V_soma"])
    nest.Simulate(250.0)
    # the integral: rounding of 2500 terms, and 5e-16 that has not decayed
    assert nest.resolution * np.sum(traces["V_soma"]) == pytest.approx(0.4 * 10.0 / G_REST, rel=1e-11)


@pytest.fixture
def noisy(nest):
    """Traces of cells with noisy dendrites, with and without latent equilibrium, nudged from 10 to 20 ms of every 30 ms."""
    nest.rng_seed = 3
    cells = nest.Create(
        "pyramidal_neuron", 2, CONDUCTANCES | {"I_e": 0.1, "psi": 20.0, "beta": 0.8, "theta": 1.0, "gamma": 0.5}
    )
    cells.set(latent_equilibrium=[True, False])
    noise = nest.Create("poisson_generator", params={"rate": 2000.0})
    for receptor, weight in ((2, 1.5), (3, -0.8), (1, 0.1)):
        nest.Connect(noise, cells, syn_spec={"weight": weight, "receptor_type": receptor})
    trials = {"trial_start": 10.0, "trial_duration": 30.0, "stimulus_duration": 10.0}
    drive(nest, [7.0] * 20, cells, 4, 1.0, model="rate_connection_delayed", **trials)
    names = ["V_soma", "V_basal", "V_apical", "V_nudge", "V_prospective", "rate", "error_basal", "error_apical"]
    traces = Traces(nest, cells, names)
    nest.Simulate(600.0)
    return {name: traces[name] for name in names}


def test_prospective_potential(nest, noisy):
    """With latent equilibrium u + tau_eff du/dt, which the present inputs keep constant over a step: u relaxes towards it."""
    u, u_next = noisy["V_soma"][:, :-1], noisy["V_soma"][:, 1:]
    nudged = np.isfinite(noisy["V_nudge"][:, 1:])
    assert 0.2 < nudged.mean() < 0.5
    g = np.where(nudged, G_REST + G_N, G_REST)
    decay = np.exp(-nest.resolution * g / C_M)
    # division by 1 - decay = 0.02 makes 50 times more of the rounding of u, some mV
    assert np.allclose(noisy["V_prospective"][0, 1:], ((u_next - decay * u) / (1 - decay))[0], rtol=0, atol=1e-11)
    assert np.array_equal(noisy["V_prospective"][1], noisy["V_soma"][1])
    assert np.std(noisy["V_prospective"][0] - noisy["V_soma"][0]) > 0.1


def test_prospective_potential_is_the_steady_state(nest):
    """Without spikes into the soma: (I + g_b v_b + g_a v_a + g_nudge V_nudge) / g_total at once, whatever u is."""
    cell = nest.Create(
        "pyramidal_neuron", params=CONDUCTANCES | SILENT | {"I_e": 0.2, "V_soma": -30.0, "tau_basal": 5.0}
    )
    drive(nest, [3.0], cell, 2, 0.1)
    drive(nest, [2.0], cell, 3, 0.1, weight=-1.0)
    drive(nest, [6.0], cell, 4, 0.1, model="rate_connection_delayed", trial_start=10.0)
    traces = Traces(nest, cell, ["V_soma", "V_basal", "V_apical", "V_prospective"])
    nest.Simulate(100.0)
    nudged = traces.times > 10.1 + 1e-9
    I_in = 0.2 + G_B * traces["V_basal"][0] + G_A * traces["V_apical"][0]
    assert_trace(traces["V_prospective"][0], np.where(nudged, (I_in + G_N * 6.0) / (G_REST + G_N), I_in / G_REST))
    # after 90 ms, 16 time constants, u has come within 1e-6 of it
    assert traces["V_soma"][0, -1] == pytest.approx(traces["V_prospective"][0, -1], abs=1e-5)


def test_rate_and_errors(nest, noisy):
    """V*_b = psi [phi(u~) - phi(v^)], v^ = g_b v_b / (g_L + g_b + g_a); V*_a = -v_a."""
    rate = 20.0 * 0.5 * softplus(0.8 * (noisy["V_prospective"] - 1.0))
    predicted = 20.0 * 0.5 * softplus(0.8 * (G_B * noisy["V_basal"] / G_REST - 1.0))
    assert np.allclose(noisy["rate"], rate, rtol=1e-10, atol=0)  # stated accuracy of transfer()
    assert np.allclose(noisy["error_basal"], rate - predicted, rtol=0, atol=1e-10 * np.max(rate))
    assert np.array_equal(noisy["error_apical"], -noisy["V_apical"])
    assert np.ptp(noisy["error_basal"]) > 10
    assert np.ptp(noisy["error_apical"]) > 1


@pytest.mark.parametrize("model", ["pyramidal_neuron", "pyramidal_rate_neuron"])
def test_each_dendrite_has_a_synaptic_current_of_its_own(nest, model):
    """Time constants that are all different; the two filters in a row, n steps after a spike, are a geometric sum."""
    h, constants = 0.1, {"basal": (2.0, 3.0), "apical": (7.0, 5.0)}  # ms: current, dendrite
    cell = nest.Create(model, params={"gamma": 0.0})
    generator = nest.Create("spike_generator", params={"spike_times": [1.0]})
    for name, (tau_syn, tau) in constants.items():
        cell.set({f"tau_syn_{name}": tau_syn, f"tau_{name}": tau})
        receptor = nest.GetDefaults(model, "receptor_types")[name]
        nest.Connect(generator, cell, syn_spec={"receptor_type": receptor, "delay": h, "weight": 2.0})
    traces = Traces(nest, cell, ["V_basal", "V_apical"])
    nest.Simulate(60.1)
    for name, (tau_syn, tau) in constants.items():
        a, b = np.exp(-h / tau_syn), np.exp(-h / tau)
        n = np.arange(1, 591)  # the spike at 1 ms arrives in the step that ends at 1.1 ms
        course = 2.0 / h * (1 - a) * (1 - b) * (a**n - b**n) / (a - b)
        assert np.all(traces[f"V_{name}"][0][:10] == 0.0)
        assert traces[f"V_{name}"][0][10:600] == pytest.approx(course, rel=1e-10)  # rounding of 590 steps
