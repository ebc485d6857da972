# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell keeps for its plastic synapses does not grow with time, however long presynaptic cells are silent."""

import resource

import numpy as np
import pytest
from kernel_setup import fresh_kernel

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


def learned(nest, cell, tau_s, tau_Delta, spike_times, duration):
    """Weight after the duration (ms) of a synapse with these spikes (ms), and the errors of all steps but the last ones."""
    nest.CopyModel(
        "dendritic_error_synapse", "plastic", {"eta": 1e-3, "tau_s": tau_s, "tau_Delta": tau_Delta, "weight": 0.0}
    )
    synapse = connect(nest, cell, spike_times, 2)
    recorder = nest.Create("multimeter", params={"interval": H, "record_from": ["error_basal"]})
    nest.Connect(recorder, cell)
    nest.Simulate(duration)
    weight = synapse.weight
    nest.Simulate(10.0)
    return weight, recorder.events["error_basal"][: round(duration / H)]


def assert_plain_sum(weight, errors, spikes, tau_s, tau_Delta):
    """The weight is the sum over all steps, as far as the filter has let it pass."""
    k = np.arange(1, errors.size + 1)
    last = errors.size - round(DELAY / H)
    age = H * (k[:, np.newaxis] - spikes / H + round(DELAY / H))
    trace = np.sum(np.where(age > 0, np.exp(-np.maximum(age, 0) / tau_s), 0.0), axis=1)
    pending = np.exp(-H * np.maximum(last - k, 0) / tau_Delta) if tau_Delta else np.zeros(k.size)
    product = (1e-3 * H * errors * trace)[:last]
    learned = np.sum(product * -np.expm1(np.log(np.maximum(pending[:last], 1e-300))))
    # rounding of sums that are subtracted from each other, relative to what would be learned without the filter; and the factor of a
    # step, which is rounded to 2^-53, to the power of as many steps as there are
    rounding = 1e-12 + errors.size * 2.0**-53
    assert weight == pytest.approx(learned, rel=0, abs=rounding * np.abs(product).sum())


@pytest.mark.parametrize(
    ("tau_s", "tau_Delta"),
    [
        (5.0, 1e8),
        (5.0, 1e9),
        (1e8, 5.0),
        (1e9, 5.0),
        (1e9, 1e9),
        (1e9, 0.0),
        (1e200, 5.0),
        (5.0, 1e300),
        (1e300, 1e300),
    ],
)
def test_long_time_constants(nest, tau_s, tau_Delta):
    """As exact as short ones, at once, and in as little memory."""
    nest.resolution = H
    cell = nest.Create("pyramidal_neuron", params={"psi": 10.0, "I_e": 0.1})
    spikes = np.array([20.0, 30.0, 45.0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    weight, errors = learned(nest, cell, tau_s, tau_Delta, list(spikes - H), 100.0)
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    )  # kB; a table of every 256th step has 2 GB
    assert_plain_sum(weight, errors, spikes, tau_s, tau_Delta)


@pytest.mark.slow
@pytest.mark.parametrize(("tau_s", "tau_Delta"), [(3e5, 0.0), (3e5, 1e6), (1e6, 3e5), (1e9, 3e5)])
def test_spikes_a_million_steps_apart(nest, tau_s, tau_Delta):
    """Powers of so many steps come from further tables (power_table.h)."""
    nest.resolution = H
    cell = nest.Create("pyramidal_neuron", params={"psi": 10.0, "I_e": 0.1})
    spikes = np.array([20.0, 30.0, 30.0 + H * (2**20 + 12_345)])
    weight, errors = learned(nest, cell, tau_s, tau_Delta, list(spikes - H), spikes[-1] + 1000.0)
    assert_plain_sum(weight, errors, spikes, tau_s, tau_Delta)


@pytest.mark.slow
def test_many_resets_with_time_constants_that_nearly_agree(nest):
    """What a reset takes of the 48 bits of an index does not depend on how nearly they agree, nor does what is learned."""
    n_trials = 2**18 + 5000  # jumps of 2^30 steps would be more than 48 bits by then
    weights = []
    for tau_s, tau_Delta in ((0.3, 0.3), (0.3, 3 * 0.1), (3 * 0.1, 0.3)):
        fresh_kernel(nest, resolution=H)
        cell = nest.Create("pyramidal_neuron", params={"I_e": 0.1, "trial_duration": 4 * H, "trial_reset": True})
        source = nest.Create("stimulus_population", params={"psi": 2.0, "stimulus_values": [1.0]})
        rule = {"eta": 1e-9, "tau_s": tau_s, "tau_Delta": tau_Delta, "weight": 0.0}
        nest.CopyModel("dendritic_error_synapse", "plastic", rule)
        nest.Connect(source, cell, syn_spec={"synapse_model": "plastic", "delay": H, "receptor_type": 2})
        nest.Simulate(4 * H * n_trials)
        weights.append(nest.GetConnections(synapse_model="plastic").weight)
        assert cell.archive_bytes < 20_000
    assert weights[0] > 1e-5
    # the rules agree to rounding; that of half a million spikes, each 1e-16 of the weight, adds up at random, if at all
    assert weights[1:] == pytest.approx([weights[0]] * 2, rel=1e-9)


def test_more_resets_than_an_index_holds(nest):
    """A filter of 1e12 ms, that is silent for 4.5e14 steps of 0.1 ms after each reset: a sentence, and no wrong index."""
    cell = nest.Create("pyramidal_neuron", params={"I_e": 0.1, "trial_duration": 1.0, "trial_reset": True})
    nest.CopyModel("dendritic_error_synapse", "plastic", {"eta": 1e-6, "tau_Delta": 1e12})
    connect(nest, cell, [0.5 * k for k in range(1, 100)], 2)
    with pytest.raises(nest.NESTError, match="has been reset so often that its plastic synapses cannot count on"):
        nest.Simulate(100.0)
