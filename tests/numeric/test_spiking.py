# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer function, spike counts, refractory time, and errors made of spikes, of pyramidal_neuron and stimulus_neuron."""

import numpy as np
import pytest
from kernel_setup import fresh_kernel
from traces import Traces, softplus

PSI = 10.0
U = [-50.0, -30.0, -12.0, -7.0, -5.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 12.0, 30.0, 50.0]  # mV


def cells_at(nest, u, **parameters):
    """Cells that a current holds at these prospective potentials (mV) from the first step on."""
    g = nest.GetDefaults("pyramidal_neuron", "g_L") + nest.GetDefaults("pyramidal_neuron", "g_basal")
    cells = nest.Create("pyramidal_neuron", len(u), {"psi": PSI, "g_apical": 0.0, **parameters})
    cells.I_e = list(np.asarray(u) * g)
    return cells


def slope(x):
    """D ln softplus(x) / dx, without loss of digits."""
    return np.exp(-softplus(-x)) / softplus(x)


@pytest.mark.parametrize(("gamma", "beta", "theta"), [(1.0, 1.0, 0.0), (0.1, 2.0, 3.0), (3.0, 0.3, -4.0)])
def test_transfer_function(nest, gamma, beta, theta):
    u = np.linspace(-50.0, 50.0, 2001)
    cells = cells_at(nest, u, gamma=gamma, beta=beta, theta=theta)
    nest.Simulate(0.1)
    rate = np.array(cells.rate)
    # stated accuracy of transfer(): 1e-11 by its formulas, and rounding of u, some 1e-14 mV
    assert np.allclose(rate, PSI * gamma * softplus(beta * (np.array(cells.V_prospective) - theta)), rtol=1e-10, atol=0)
    assert rate.min() > 0


def test_transfer_function_far_out(nest):
    """No overflow, and 0 where the exponential is."""
    cells = cells_at(nest, [-900.0, 900.0])
    nest.Simulate(0.1)
    assert cells.rate[0] == 0.0
    assert cells.rate[1] == pytest.approx(PSI * 900.0, rel=1e-14)  # rounding of u


def test_spike_counts_are_poisson(nest):
    """Mean and variance of the number of spikes of a step, from error_basal = n / h - psi phi(0), for u of -50 to 50 mV."""
    nest.rng_seed = 11
    n_steps = 20_000
    cells = cells_at(nest, U, error_from_spikes=True)
    traces = Traces(nest, cells, ["error_basal"])
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells[:10], recorder)
    nest.Simulate((n_steps + 1) * nest.resolution)
    counts = (traces["error_basal"][:, :n_steps] + PSI * np.log(2.0)) * nest.resolution
    assert np.allclose(counts, np.round(counts), rtol=0, atol=1e-9)  # rounding of n / h of up to 600 spikes
    counts = np.round(counts)
    emitted = recorder.get("events")
    for cell, n in zip(cells[:10].tolist(), counts):  # what the error counts is what is emitted
        in_time = emitted["times"] < (n_steps + 0.5) * nest.resolution
        assert np.sum(in_time & (emitted["senders"] == cell)) == n.sum()
    expected = PSI * softplus(np.array(U)) * nest.resolution
    for n, mean in zip(counts, expected):
        if mean * n_steps < 1e-3:
            assert not n.any()
            continue
        # four standard errors; those of the variance from the fourth central moment of a Poisson number, m + 3 m^2
        assert abs(n.mean() - mean) < 4 * np.sqrt(mean / n_steps)
        assert abs(n.var() - mean) < 4 * np.sqrt((mean + 2 * mean**2) / n_steps)
    assert np.sum(expected * n_steps < 1e-3) == 2


@pytest.mark.parametrize("h", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("t_ref", [0.01, 2.0])
def test_refractory_time(nest, h, t_ref):
    """At most one spike a step, none within t_ref; the next steps draw with p = 1 - exp(-rate h)."""
    fresh_kernel(nest, resolution=h, seed=12)
    u = [-2.0, 0.0, 3.0]
    cells = cells_at(nest, u, psi=1.0, t_ref=t_ref)
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Simulate(4000.0)
    events = recorder.get("events")
    silent = np.ceil(t_ref / h - 1e-9)  # steps; NEST rounds up
    for cell, potential in zip(cells.tolist(), u):
        intervals = np.round(np.diff(events["times"][events["senders"] == cell]) / h)
        p = 1 - np.exp(-softplus(potential) * h)
        assert intervals.min() > silent
        # four standard errors of the mean of a geometric number
        assert abs(intervals.mean() - (silent + 1 / p)) < 4 * np.sqrt((1 - p) / p**2 / intervals.size)


@pytest.mark.parametrize("with_h", [False, True], ids=["", "h"])
@pytest.mark.parametrize("from_spikes", [False, True], ids=["rate", "spikes"])
def test_forms_of_the_error(nest, from_spikes, with_h):
    """V*_b with the emitted spikes or the rate, and with or without h = d ln phi / dv, for v^ of -50 to 50 mV."""
    nest.rng_seed = 13
    beta, theta = 0.7, 1.0
    u, v_hat = (x.ravel() for x in np.meshgrid([-1.0, 2.0], np.linspace(-50.0, 50.0, 201)))
    cells = cells_at(nest, u - v_hat, beta=beta, theta=theta, tau_basal=0.0)  # the dendrite adds v^
    cells.set(error_from_spikes=from_spikes, error_with_h=with_h)
    v_basal = v_hat * (cells[0].g_L + cells[0].g_basal) / cells[0].g_basal
    source = nest.Create("stimulus_neuron", params={"stimulus_values": [1.0], "psi": 1.0})
    syn_spec = {"synapse_model": "sic_connection", "weight": v_basal[:, np.newaxis], "delay": 0.1, "receptor_type": 2}
    nest.Connect(source, cells, syn_spec=syn_spec)
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Simulate(0.5)
    error, rate = np.array(cells.error_basal), np.array(cells.rate)
    nest.Simulate(0.1)  # the recorder gives spikes away after their slice
    events = recorder.get("events")
    senders = events["senders"][np.round(events["times"] / 0.1) == 5]
    counts = np.array([np.sum(senders == cell) for cell in cells.tolist()])
    assert counts.max() > 1

    predicted = PSI * softplus(beta * (v_hat - theta))
    assert np.allclose(rate, PSI * softplus(beta * (u - theta)), rtol=1e-10, atol=0)  # rounding of u = (u - v^) + v^
    expected = (counts / 0.1 if from_spikes else rate) - predicted
    h = beta * slope(beta * (v_hat - theta)) if with_h else 1.0
    # stated accuracy of phi and h, 1e-11, of the larger of the two terms
    assert np.all(np.abs(error - expected * h) <= 1e-10 * np.maximum(np.abs(expected), predicted) * h)


def test_relative_slope(nest):
    """H tends to beta where phi is an exponential, with all digits, and to 1 / v where phi is linear."""
    v_hat = np.linspace(-50.0, 50.0, 1001)
    # a spike in no step: the error is -psi phi(v^) h(v^); u = -400 mV emits nothing
    cells = cells_at(nest, -400.0 - v_hat, error_from_spikes=True, error_with_h=True, tau_basal=0.0)
    v_basal = v_hat * (cells[0].g_L + cells[0].g_basal) / cells[0].g_basal
    source = nest.Create("stimulus_neuron", params={"stimulus_values": [1.0], "psi": 1.0})
    syn_spec = {"synapse_model": "sic_connection", "weight": v_basal[:, np.newaxis], "delay": 0.1, "receptor_type": 2}
    nest.Connect(source, cells, syn_spec=syn_spec)
    nest.Simulate(0.5)
    h = -np.array(cells.error_basal) / (PSI * softplus(v_hat))
    # phi and h are accurate to 1e-11 each by their formulas
    assert np.allclose(h, slope(v_hat), rtol=1e-10, atol=0)


def test_rate_of_a_stimulus(nest):
    """stimulus_neuron emits Poisson spikes at psi times its value, and none for negative values and NaN."""
    nest.rng_seed = 14
    values = [2.0, -1.0, np.nan, 0.01, 0.0]
    duration = 1000.0
    cell = nest.Create("stimulus_neuron", params={"stimulus_values": values, "psi": PSI, "trial_duration": duration})
    recorder = nest.Create("spike_recorder")
    nest.Connect(cell, recorder)
    nest.Simulate(6 * duration)
    times = recorder.get("events", "times")
    counts = np.histogram(times, bins=np.arange(7) * duration + 0.05)[
        0
    ]  # a spike at t was emitted in the step before t
    for value, count in zip([*values, 0.0], counts):
        mean = PSI * max(value, 0.0) * duration if np.isfinite(value) else 0.0
        assert abs(count - mean) <= 4 * np.sqrt(mean)  # four standard errors
