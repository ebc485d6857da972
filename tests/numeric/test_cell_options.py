# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of the cells: transfer functions, noise current, gain and known noise per trial, ramp of the nudging conductance."""

import numpy as np
import pytest
from cell_oracle import PARAMETERS, TUFT, phi, simulate
from kernel_setup import fresh_kernel
from traces import Traces

SPIKING = ("pyramidal_neuron", "pyramidal_tuft_neuron")
RATE = ("pyramidal_rate_neuron", "pyramidal_tuft_rate_neuron")
MODELS = SPIKING + RATE
H = 0.1  # ms
TRIAL = 4.0  # ms
N_TRIALS = 12
N = round(N_TRIALS * TRIAL / H)
DELAY = 0.3  # ms
# Rounding of the propagators of some hundred steps, relative to the largest value
ROUNDING = 1e-12
SOFTPLUS = 1e-10  # the function of the models is accurate to 1e-11
NEAR_THRESHOLD = (
    1e-10  # a threshold-linear cell divides by its distance from threshold, which rounding of 1e-16 makes less exact
)


def parameters_of(model, **changed):
    """Parameters of the tests that a model has."""
    own = PARAMETERS | changed
    if "tuft" in model:
        own = own | TUFT | changed
    return own if "rate" in model else own | {"psi": 30.0}


def later(values):
    """Values of trials as they arrive in every step, after the delay; nothing before."""
    steps = np.repeat(values, round(TRIAL / H))
    return np.concatenate([np.full(round(DELAY / H), np.nan), steps])[:N]


def drive(nest, cells, receptor, values, *, weight=1.0, model="sic_connection"):
    """A source whose signal has one value for each trial."""
    source = nest.Create("stimulus_neuron", params={"stimulus_values": values, "psi": 1.0, "trial_duration": TRIAL})
    spec = {"synapse_model": model, "weight": weight, "delay": DELAY}
    nest.Connect(source, cells, syn_spec=spec | {"receptor_type": cells.receptor_types[receptor]})


def assert_same(observed, expected, tolerance=ROUNDING):
    assert np.max(np.abs(expected)) > 1e-3
    np.testing.assert_allclose(observed, expected, rtol=0, atol=tolerance * np.max(np.abs(expected)))


def trials_of(value_of_trial):
    """A value of each trial in every step."""
    return np.repeat(value_of_trial, round(TRIAL / H))


@pytest.mark.parametrize("transfer_function", [0, 1, 2])
@pytest.mark.parametrize("latent_equilibrium", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_every_step_is_that_of_the_equations(nest, model, latent_equilibrium, transfer_function):
    """All options at once, with inputs, partner, gain and noise that change from trial to trial, against a loop in numpy."""
    choice = {"transfer_function": transfer_function, "latent_equilibrium": latent_equilibrium, "error_with_h": True}
    p = parameters_of(model, **choice)
    rng = np.random.default_rng(3)
    dendrites = ("basal", "apical", "tuft")[: 3 if "tuft" in model else 2]
    values = {name: rng.uniform(0.0, 3.0, N_TRIALS) for name in dendrites}
    weights = {"basal": 1.3, "apical": -0.8, "tuft": 0.9}
    nudge = np.where(np.arange(N_TRIALS) % 4 == 2, np.nan, rng.uniform(-2.0, 3.0, N_TRIALS))
    gain, noise = rng.uniform(0.3, 2.0, N_TRIALS - 1), rng.normal(0.0, 0.1, N_TRIALS - 2)
    trial = {"trial_duration": TRIAL, "output_gain_values": gain, "noise_values": noise}
    ramp = {"nudge_ramp_start": 0.5, "nudge_ramp_duration": 2.0}
    cell = nest.Create(model, params=p | trial | ramp)
    for name in dendrites:
        drive(nest, cell, name, values[name], weight=weights[name])
    drive(nest, cell, "nudge", nudge, model="rate_connection_delayed")

    phase = np.arange(N) % round(TRIAL / H) * H
    inputs = {name: weights[name] * np.nan_to_num(later(values[name])) for name in dendrites}
    options = {"gain": trials_of([*gain, 1.0]), "ramp": np.clip((phase + H - 0.5) / 2.0, 0.0, 1.0)}
    if "rate" in model:
        options["noise"] = trials_of([*noise, 0.0, 0.0])
    expected = simulate(p, N, H, inputs=inputs, nudge=later(nudge), **options)

    traces = Traces(nest, cell, list(expected))
    nest.Simulate(N * H + H)
    accuracy = SOFTPLUS if transfer_function == 0 else ROUNDING
    tolerances = {"rate": accuracy, "error_tuft": accuracy, "error_basal": max(accuracy, NEAR_THRESHOLD)}
    for name, wanted in expected.items():
        if name != "plateau":
            assert_same(traces[name][0, :N], wanted, tolerances.get(name, ROUNDING))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("transfer_function", [0, 1, 2])
def test_the_relative_slope_is_that_of_the_transfer_function(nest, model, transfer_function):
    """Errors of cells with and without h, beside a numerical derivative; cells without a rate have nothing to change relative to."""
    potentials = np.array(
        [-29.0, -7.0, -1.0, 0.1, 0.3, 0.9, 5.0, 25.0, 90.0]
    )  # mV, on both sides of a threshold of 0.2
    if transfer_function == 1:
        potentials = potentials[potentials < 10.0]  # above, a logistic cell is at its largest rate
    p = parameters_of(model, transfer_function=transfer_function, g_basal=0.03, tau_basal=0.0, tau_syn_basal=0.0)
    share = p["g_basal"] / (p["g_L"] + p["g_basal"] + p["g_apical"] + p.get("g_tuft", 0.0))
    cells = nest.Create(model, 2 * potentials.size, p | {"I_e": 9.0})  # fires, whatever the dendrite predicts
    cells[::2].error_with_h = True
    source = nest.Create("stimulus_neuron", params={"stimulus_values": [1.0], "psi": 1.0})
    weights = np.repeat(potentials / share, 2)[:, None]
    spec = {"synapse_model": "sic_connection", "receptor_type": 2, "delay": H, "weight": weights}
    nest.Connect(source, cells, "all_to_all", spec)
    nest.Simulate(1.0)
    assert np.array(cells.V_basal)[::2] * share == pytest.approx(potentials)
    step = 1e-4  # mV
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.log(phi(potentials + k * step, p)) for k in (-2, -1, 1, 2)]
        slope = np.nan_to_num((logs[0] - 8.0 * logs[1] + 8.0 * logs[2] - logs[3]) / (12.0 * step))
    assert np.all(slope[potentials > 0.2] > 0.0) or transfer_function == 1
    with_h, without = np.array(cells.error_basal).reshape(-1, 2).T
    assert np.all(np.abs(without) > 1e-3)
    # differences of fourth order of logarithms up to 30, which are rounded to 1e-16 of that; those of 0.9 to 30 mV are 1e-14
    np.testing.assert_allclose(with_h / without, slope, rtol=1e-7, atol=1e-9)


def test_transfer_functions_far_from_threshold(nest):
    """Neither overflow nor NaN; the closed forms of the limits."""
    cells = nest.Create(
        "pyramidal_rate_neuron", 6, {"g_L": 1.0, "g_basal": 0.0, "g_apical": 0.0, "gamma": 0.5, "beta": 2.0}
    )
    cells.set(transfer_function=[0, 1, 2] * 2, I_e=[800.0] * 3 + [-800.0] * 3)
    nest.Simulate(0.2)
    assert cells.V_prospective == (800.0,) * 3 + (-800.0,) * 3
    assert cells.rate == (800.0, 0.5, 800.0, 0.0, 0.0, 0.0)


# ---- noise current ------------------------------------------------------------------------------------------------------

SIGMA, TAU = 0.04, 2.0  # pA, ms


@pytest.fixture(params=MODELS)
def noisy_cells(nest, request):
    nest.rng_seed = 4
    return nest.Create(request.param, 400, parameters_of(request.param, sigma_noise=SIGMA, tau_noise=TAU, I_e=0.0))


def test_the_noise_current_begins_at_zero(nest, noisy_cells):
    """Variance of the first steps: sigma^2 (1 - e^(2 k)), e = exp(-h / tau)."""
    assert set(noisy_cells.get("I_noise")) == {0.0}
    for k in (1, 2, 3):
        nest.Simulate(H)
        variance = np.mean(np.array(noisy_cells.I_noise) ** 2)
        # four standard errors of the variance of a Gaussian
        assert variance == pytest.approx(SIGMA**2 * (1 - np.exp(-2 * k * H / TAU)), rel=4 * np.sqrt(2 / 400))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("model", ["pyramidal_neuron", "pyramidal_tuft_rate_neuron"])
def test_the_noise_current_is_an_ornstein_uhlenbeck_process(nest, model, threads):
    """Mean 0, variance sigma^2 and autocorrelation exp(-t / tau), over 100 cells and 40 times, 5 tau apart; cells are independent."""
    fresh_kernel(nest, threads=threads, seed=6)
    n_cells, n_times = 100, 40
    cells = nest.Create(model, n_cells, parameters_of(model, sigma_noise=SIGMA, tau_noise=TAU, I_e=0.0))
    traces, of_one = Traces(nest, cells, ["I_noise"]), Traces(nest, cells[0], ["V_prospective"])
    nest.Simulate(5 * TAU * (n_times + 1) + H)
    noise = traces["I_noise"]
    every = round(5 * TAU / H)
    chosen = noise[:, every::every][:, :n_times]
    size = chosen.size * (1 - np.exp(-5.0)) / (1 + np.exp(-5.0))  # of independent values
    assert chosen.mean() == pytest.approx(0.0, abs=4 * SIGMA / np.sqrt(size))
    assert chosen.var() == pytest.approx(SIGMA**2, rel=4 * np.sqrt(2 / size))
    for lag in (1, 10, 30):
        product = np.mean(chosen * noise[:, every + lag :: every][:, :n_times])
        # of a product of Gaussians with correlation c the variance is sigma^4 (1 + c^2)
        c = np.exp(-lag * H / TAU)
        assert product == pytest.approx(SIGMA**2 * c, abs=4 * SIGMA**2 * np.sqrt((1 + c**2) / size))
    mean_square = np.mean(chosen.mean(axis=0) ** 2)  # of the mean over cells: sigma^2 / n if they are independent
    assert mean_square == pytest.approx(SIGMA**2 / n_cells, rel=4 * np.sqrt(2 / n_times))
    # the prospective potential sees the current of the same step
    p = parameters_of(model)
    g = p["g_L"] + p["g_basal"] + p["g_apical"] + p.get("g_tuft", 0.0)
    assert_same(of_one["V_prospective"][0], noise[0] / g)


@pytest.mark.parametrize("model", MODELS)
def test_without_noise_no_random_number_is_drawn(nest, model):
    """Spikes of a cell that is updated after it, from the same generator, are those beside a silent stimulus."""
    trains = []
    for first, parameters in (
        ("stimulus_neuron", {}),
        (model, {"gamma": 0.0}),
        (model, {"gamma": 0.0, "sigma_noise": 0.1}),
    ):
        fresh_kernel(nest, seed=9)
        nest.Create(first, params=parameters)
        cell, recorder = nest.Create("pyramidal_neuron"), nest.Create("spike_recorder")
        nest.Connect(cell, recorder)
        nest.Simulate(20.0)
        trains.append(recorder.get("events", "times"))
    assert trains[0].size > 100
    assert np.array_equal(trains[0], trains[1])
    assert not np.array_equal(trains[0], trains[2])


# ---- gain and known noise per trial -------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", SPIKING)
def test_the_gain_of_a_trial_multiplies_intensity_and_error(nest, model):
    """Gains 0, 1 (none given: beyond the end), 0.5 and 2; potentials do not depend on it."""
    gains, duration = [0.0, 1.0, 0.5, 2.0], 200.0
    nest.rng_seed = 12
    p = parameters_of(model, g_apical=0.0)
    cells = nest.Create(model, 2, p | {"trial_duration": duration})
    cells[0].output_gain_values = gains
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells[0], recorder)
    traces = Traces(nest, cells, ["rate", "error_basal", "V_prospective", "V_soma"])
    nest.Simulate(5 * duration + H)
    steps = round(duration / H)
    factor = np.repeat([*gains, 1.0], steps)
    n = factor.size
    for name in ("V_prospective", "V_soma"):
        assert np.array_equal(*traces[name][:, :n])
    for name in ("rate", "error_basal"):
        assert_same(traces[name][0, :n], factor * traces[name][1, :n])
    assert np.all(traces["rate"][0, :steps] == 0.0)
    assert np.all(traces["error_basal"][0, :steps] == 0.0)
    times = np.ceil(np.array(recorder.get("events", "times")) / duration - 1e-9).astype(int) - 1
    expected = H * traces["rate"][0, :n].reshape(5, -1).sum(axis=1)
    assert expected[1] > 400
    counts = np.bincount(times, minlength=5)[:5]
    assert counts[0] == 0
    # four standard deviations of a Poisson count
    assert np.all(np.abs(counts - expected) <= 4 * np.sqrt(expected))


@pytest.mark.parametrize("model", RATE)
def test_a_rate_is_sent_with_gain_and_known_noise(nest, model):
    """Sent = r + noise sqrt(r), r = gain phi; errors know r; a target's dendrite gets what is sent."""
    gain, noise = [1.0, 0.5, 0.0, 2.0], [0.0, 0.3, 0.4, -0.2]
    p = parameters_of(model)
    cell = nest.Create(model, params=p | {"trial_duration": TRIAL, "output_gain_values": gain, "noise_values": noise})
    target = nest.Create("pyramidal_rate_neuron", params={"tau_basal": 0.0})
    nest.Connect(cell, target, syn_spec={"synapse_model": "sic_connection", "receptor_type": 2, "delay": H})
    traces = Traces(nest, cell, ["rate", "innovation", "error_basal", "V_prospective"])
    received = Traces(nest, target, ["V_basal"])
    nest.Simulate(5 * TRIAL + H)
    n = round(5 * TRIAL / H)
    factor, xi = trials_of([*gain, 1.0]), trials_of([*noise, 0.0])
    r = factor * phi(traces["V_prospective"][0, :n], p)
    assert_same(traces["rate"][0, :n], r + xi * np.sqrt(r), SOFTPLUS)
    assert_same(traces["innovation"][0, :n], xi * np.sqrt(r), SOFTPLUS)
    assert_same(traces["error_basal"][0, :n], r - factor * phi(0.0, p), SOFTPLUS)
    assert np.all(traces["rate"][0, trials_of([0, 0, 1, 0, 0]) == 1] == 0.0)
    assert_same(received["V_basal"][0, 1:n], traces["rate"][0, : n - 1])


@pytest.mark.parametrize("model", MODELS)
def test_a_cell_that_drops_out_does_not_learn(nest, model):
    """With gains 0, 1, 0 only the second trial changes the weight."""
    synapse = "dendritic_error_rate_synapse" if "rate" in model else "dendritic_error_synapse"
    initial = 0.01  # mV ms
    pre = nest.Create("stimulus_neuron", params={"stimulus_values": [0.5], "psi": 1.0 if "rate" in model else 100.0})
    cell = nest.Create(model, params={"trial_duration": 20.0, "output_gain_values": [0.0, 1.0, 0.0], "I_e": 0.1})
    nest.SetDefaults(synapse, {"eta": 1e-2 if "rate" in model else 1e-7, "tau_Delta": 0.0, "weight": initial})
    nest.Connect(pre, cell, syn_spec={"synapse_model": synapse, "receptor_type": 2, "delay": H})
    weights = []
    for _ in range(3):
        nest.Simulate(20.0)
        weights.append(nest.GetConnections(synapse_model=synapse).weight)
    changes = np.diff([initial, *weights])
    # the synapse sees the errors of a step ago, so that a trial's last one counts in the next
    assert changes[0] == 0.0
    assert abs(changes[1]) > 1e-5
    assert abs(changes[2]) < 0.02 * abs(changes[1])
    nest.Simulate(1.0)


# ---- ramp of the nudging conductance ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_the_nudging_conductance_rises_in_every_trial(nest, model):
    """u~ = a g V / (g_rest + a g), a as at the end of the step; before the first trial, as before a ramp's start, there is none."""
    p = parameters_of(model, I_e=0.0)
    onset, duration, start, rise, V = 3.0, 10.0, 2.0, 4.0, 7.0
    trial = {"trial_start": onset, "trial_duration": duration, "nudge_ramp_start": start, "nudge_ramp_duration": rise}
    cells = nest.Create(model, 2, p)
    cells[0].set(trial)
    drive_forever = nest.Create("stimulus_neuron", params={"stimulus_values": [V]})
    spec = {"synapse_model": "rate_connection_delayed", "delay": H, "receptor_type": cells[0].receptor_types["nudge"]}
    nest.Connect(drive_forever, cells, syn_spec=spec)
    traces = Traces(nest, cells, ["V_soma", "V_prospective", "nudge_ramp"])
    nest.Simulate(onset + 2 * duration + H)
    t = traces.times  # ends of the steps
    phase = np.where(t > onset + 1e-9, (t - onset - 1e-9) % duration + 1e-9, t - onset)
    a = np.clip((phase - start) / rise, 0.0, 1.0)
    assert_same(traces["nudge_ramp"][0], a)
    assert np.all(traces["nudge_ramp"][1] == 1.0)
    assert a[np.isclose(t, onset + start + H)] == pytest.approx(H / rise)  # the first step already nudges a little
    g_rest = p["g_L"] + p["g_basal"] + p["g_apical"] + p.get("g_tuft", 0.0)
    g = a * p["g_nudge"]
    g[0] = 0.0  # the partner's first signal is on its way
    target = g * V / (g_rest + g)
    assert_same(traces["V_prospective"][0], target)
    u, expected = 0.0, []
    for to, conductance in zip(target, g_rest + g):
        u = to + (u - to) * np.exp(-H * conductance / p["C_m"])
        expected.append(u)
    assert_same(traces["V_soma"][0], np.array(expected))


def test_an_inhibitory_partner_cell_has_the_potential_of_its_partner(nest):
    """Of the contract of Dale's law: no dendrites, and a leak of 1e-12 of the nudging conductance."""
    partner = nest.Create("pyramidal_rate_neuron", params={"I_e": 0.3})
    cells = nest.Create("pyramidal_rate_neuron", 1, {"g_basal": 0.0, "g_apical": 0.0, "g_L": 1e-12, "g_nudge": 1.0})
    receptor = {"receptor_type": 4, "synapse_model": "rate_connection_delayed", "delay": H}
    nest.Connect(partner, cells, syn_spec=receptor)
    traces = Traces(nest, partner + cells, ["V_prospective", "rate"])
    nest.Simulate(20.0)
    for name in ("V_prospective", "rate"):
        of_partner, of_cell = traces[name]
        np.testing.assert_allclose(of_cell[1:], of_partner[:-1], rtol=2e-12, atol=0)  # the leak's share


# ---- rest, threads, bad values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", RATE)
def test_a_reset_brings_every_state_to_rest(nest, model):
    """The second trial is the first one, bit for bit, with every option that draws no random number."""
    plateau = {"V_plateau": 4.0, "theta_plateau": 0.1} if "tuft" in model else {}
    trial = {"trial_duration": TRIAL, "trial_reset": True, "nudge_ramp_duration": 1.0}
    same = {"output_gain_values": [0.7, 0.7], "noise_values": [0.2, 0.2]}
    cell = nest.Create(model, params=parameters_of(model, I_e=0.3, **plateau) | trial | same)
    source = nest.Create(
        "stimulus_neuron",
        params={"stimulus_values": [2.0, 2.0], "psi": 1.0, "trial_duration": TRIAL, "trial_reset": True},
    )
    for receptor in ("basal", "apical", "tuft")[: 3 if "tuft" in model else 2]:
        spec = {"synapse_model": "sic_connection", "delay": H, "receptor_type": cell.receptor_types[receptor]}
        nest.Connect(source, cell, syn_spec=spec)
    names = ["V_soma", "V_basal", "V_apical", "rate", "error_basal", "I_basal", "I_apical"]
    names += ["V_tuft", "V_lateral", "plateau", "activity", "I_tuft", "V_tuft_passive"] if "tuft" in model else []
    traces = Traces(nest, cell, names)
    nest.Simulate(2 * TRIAL + H)
    n = round(TRIAL / H)
    for name in names:
        assert np.ptp(traces[name][0, :n]) > 0.0, name
        assert np.array_equal(traces[name][0, :n], traces[name][0, n : 2 * n]), name


@pytest.mark.parametrize("model", MODELS)
def test_a_reset_brings_the_noise_current_to_rest(nest, model):
    nest.rng_seed = 2
    cells = nest.Create(
        model, 400, {"sigma_noise": SIGMA, "tau_noise": TAU, "trial_duration": 20.0, "trial_reset": True}
    )
    nest.Simulate(20.0 + H)
    # of one step, as above; without a reset it would be 10 times as large
    assert np.mean(np.array(cells.I_noise) ** 2) == pytest.approx(
        SIGMA**2 * (1 - np.exp(-2 * H / TAU)), rel=4 * np.sqrt(2 / 400)
    )


@pytest.mark.parametrize("model", RATE)
def test_threads_do_not_matter(nest, model):
    results = []
    for threads in (1, 2):
        fresh_kernel(nest, threads=threads)
        cells = nest.Create(model, 5, parameters_of(model, transfer_function=1) | {"trial_duration": TRIAL})
        rng = np.random.default_rng(8)
        for cell in cells:
            cell.set(
                output_gain_values=rng.uniform(0.0, 2.0, 5), noise_values=rng.normal(0.0, 0.1, 5), I_e=rng.uniform()
            )
        spec = {"synapse_model": "sic_connection", "delay": DELAY, "weight": 0.3}
        for name in ("basal", "apical", "tuft")[: 3 if "tuft" in model else 2]:
            nest.Connect(cells, cells, syn_spec=spec | {"receptor_type": cells[0].receptor_types[name]})
        nest.Simulate(30.0)
        results.append(cells.get(["V_soma", "rate", "error_basal", "V_apical"]))
    assert results[0] == results[1]


BAD = [
    ("transfer_function", 3, r"transfer_function >= 0 and transfer_function <= 2 is required, got 3"),
    ("transfer_function", -1, r"transfer_function >= 0 and transfer_function <= 2 is required, got -1"),
    ("sigma_noise", -0.1, r"sigma_noise >= 0 ?pA is required, got -0.1"),
    ("sigma_noise", np.nan, r"sigma_noise >= 0 ?pA is required, got nan"),
    ("tau_noise", 0.0, r"tau_noise > 0 ?ms is required, got 0"),
    ("output_gain_values", [1.0, -0.5], "output_gain_values must be finite numbers and not negative"),
    ("output_gain_values", [np.inf], "output_gain_values must be finite numbers and not negative"),
    ("output_gain_values", [np.nan], "output_gain_values must be finite numbers and not negative"),
    ("noise_values", [0.0, np.nan], "noise_values must be finite numbers"),
    ("noise_values", [-np.inf], "noise_values must be finite numbers"),
    (
        "nudge_ramp_start",
        0.05,
        "nudge_ramp_start must be a multiple of the resolution, 0.1 ms, and not negative, got 0.05 ms",
    ),
    (
        "nudge_ramp_duration",
        -1.0,
        "nudge_ramp_duration must be a multiple of the resolution, 0.1 ms, and not negative, got -1 ms",
    ),
]
BAD_TUFT = [
    ("g_L", 0.0, r"g_L > 0 ?nS is required, got 0"),
    ("g_tuft", -0.1, r"g_tuft >= 0 ?nS is required, got -0.1"),
    ("V_plateau", -1.0, r"V_plateau >= 0 ?mV is required, got -1"),
    ("slope_plateau", 0.0, r"slope_plateau > 0 ?mV is required, got 0"),
    ("tau_plateau", 0.0, r"tau_plateau > 0 ?ms is required, got 0"),
]


@pytest.mark.parametrize(
    ("model", "name", "value", "message"),
    [(model, *case) for model in MODELS for case in BAD + (BAD_TUFT if "tuft" in model else [])],
)
def test_bad_values_are_refused_and_nothing_is_changed(nest, model, name, value, message):
    cell = nest.Create(model)
    before = cell.get(name)
    with pytest.raises(nest.NESTError, match=f"{model}: {message}"):
        cell.set({name: value, "I_e": 5.0})
    after = cell.get(name)
    assert np.array_equal(before, after)
    assert cell.I_e == 0.0


def test_values_of_trials_are_given_back(nest):
    cell = nest.Create("pyramidal_neuron", params={"output_gain_values": [0.5, 2.0], "noise_values": [-0.1]})
    cell.set(nudge_ramp_start=1.5, nudge_ramp_duration=3.0)
    copy = nest.Create("pyramidal_neuron")
    assert np.array_equal(cell.output_gain_values, [0.5, 2.0])
    assert np.array_equal(cell.noise_values, [-0.1])
    assert (cell.nudge_ramp_start, cell.nudge_ramp_duration) == (1.5, 3.0)
    assert len(copy.output_gain_values) == len(copy.noise_values) == 0
    assert (copy.nudge_ramp_start, copy.nudge_ramp_duration) == (0.0, 0.0)
    nest.SetDefaults("pyramidal_neuron", {"output_gain_values": [0.25]})
    assert np.array_equal(nest.Create("pyramidal_neuron").output_gain_values, [0.25])
