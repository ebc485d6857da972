# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell keeps for its plastic synapses does not grow with time, however long presynaptic cells are silent."""

import numpy as np
import pytest

H = 0.5  # ms, resolution: coarse, for long runs
DELAY = 7.5  # ms
RULES = {
    "tau_s below tau_Delta": {"eta": 1e-6, "tau_s": 1.0, "tau_Delta": 30.0},
    "tau_s above tau_Delta": {"eta": 1e-6, "tau_s": 10.0, "tau_Delta": 1.0},
}
TRIALS = {"trial_duration": 70.0, "trial_reset": True}


def relay(nest, spike_times):
    """A neuron that emits spikes a step after these times (ms)."""
    generator = nest.Create("spike_generator", params={"spike_times": spike_times})
    parrot = nest.Create("parrot_neuron")
    nest.Connect(generator, parrot, syn_spec={"delay": H})
    return parrot


def connect(nest, cell, spike_times, receptor):
    """A plastic synapse from a neuron with these spikes."""
    parrot = relay(nest, spike_times)
    nest.Connect(parrot, cell, syn_spec={"synapse_model": "plastic", "delay": DELAY, "receptor_type": receptor})
    return nest.GetConnections(source=parrot, target=cell)


@pytest.fixture(params=RULES.values(), ids=RULES.keys())
def plastic(nest, request):
    """NEST with a plastic synapse model that has these time constants."""
    nest.resolution = H
    nest.CopyModel("dendritic_error_synapse", "plastic", request.param)
    return nest


@pytest.mark.parametrize("trials", [{}, TRIALS], ids=["endless", "resets"])
def test_silent_synapses(plastic, trials):
    """A spike early on, two more much later: nothing grows between 5 s and 50 s."""
    cell = plastic.Create("pyramidal_neuron", params={"I_e": 0.2, **trials})
    for receptor in (2, 3):
        connect(plastic, cell, [3.0], receptor)
        connect(plastic, cell, [4.0, 100.0, 4000.0], receptor)
        connect(plastic, cell, [], receptor)
    sizes = []
    for duration in (5000.0, 5000.0, 40_000.0):
        plastic.Simulate(duration)
        sizes.append(cell.archive_bytes)
    assert sizes[0] == sizes[1] == sizes[2]
    assert 0 < sizes[0] < 20_000  # two rings of 32 steps, 16 bytes each, and some hundred epochs of 16 bytes


@pytest.mark.parametrize("trials", [{}, TRIALS], ids=["endless", "resets"])
def test_busy_synapses_leave_nothing_behind(plastic, trials):
    """Spikes in ever new epochs: what no synapse has to come back to is dropped."""
    cell = plastic.Create("pyramidal_neuron", params={"I_e": 0.2, **trials})
    for period in (1.0, 13.0, 170.0):
        connect(plastic, cell, [float(t) for t in range(10, 5000, round(period))], 2)
    sizes = []
    for _ in range(2):
        plastic.Simulate(2000.0)
        sizes.append(cell.archive_bytes)
    # up to three epochs, each with an entry of the map, are in use at one time and not at another: 3 x 2 sums x 48 bytes
    assert abs(sizes[1] - sizes[0]) <= 300


def test_synapses_that_come_and_go_leave_nothing_behind(plastic):
    cell = plastic.Create("pyramidal_neuron", params={"I_e": 0.2})
    connect(plastic, cell, [2.0], 2)
    sizes = []
    for k in range(60):
        connection = connect(
            plastic, cell, [100.0 * k + 30.0], 2
        )  # the synapse's last spike lies in an epoch of its own
        plastic.Simulate(100.0)
        plastic.Disconnect(connection)
        sizes.append(cell.archive_bytes)
    assert max(sizes[30:]) <= max(sizes[:30])


def test_disconnected_synapses(plastic):
    """Those that are left find everything in place."""
    cell = plastic.Create("pyramidal_neuron", params={"I_e": 0.2})
    recorders = []
    parrot = relay(plastic, [5.0, 11_600.0])
    for model in ("dendritic_error_synapse", "dendritic_error_reference_synapse"):  # the second steps over every error
        recorders.append(plastic.Create("weight_recorder"))
        rule = {key: plastic.GetDefaults("plastic", key) for key in ("eta", "tau_s", "tau_Delta")}
        plastic.CopyModel(model, f"recorded_{model}", rule | {"weight_recorder": recorders[-1]})
        syn_spec = {"synapse_model": f"recorded_{model}", "delay": DELAY, "receptor_type": 2}
        plastic.Connect(parrot, cell, syn_spec=syn_spec)
    for k in range(5):
        connection = connect(plastic, cell, [100.0 * k + 30.0, 100.0 * k + 80.0], 2)
        plastic.Simulate(100.0)
        plastic.Disconnect(connection)
    plastic.Simulate(1000.0)
    sizes = [cell.archive_bytes]
    for _ in range(2):
        plastic.Simulate(5000.0)
        sizes.append(cell.archive_bytes)
    assert sizes[0] == sizes[1] == sizes[2]
    plastic.Simulate(1000.0)
    weights = [recorder.get("events")["weights"] for recorder in recorders]
    assert len(weights[0]) == 2
    assert weights[0][1] != weights[0][0]
    # rounding of running sums over e^2, relative to the change of the weight
    assert np.diff(weights[0]) == pytest.approx(np.diff(weights[1]), rel=1e-9, abs=0)
