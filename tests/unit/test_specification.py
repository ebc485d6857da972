# SPDX-License-Identifier: GPL-2.0-or-later
"""Specifications: defaults, refusals with helpful words, TOML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from pynest_tools.errors import UserError
from pynest_tools.runs.folder import RunFolder
from pynest_tools.runs.specification import (
    Microcircuit,
    NeuronParameters,
    PlasticityParameters,
    RunSpecification,
    SpecificationError,
)
from pynest_tools.tasks import BUILT_IN

TASKS = [name for name in BUILT_IN if name != "data"]  # those that need no file


def changed(key, value, task="bars"):
    for part in reversed(key.split(".")):
        value = {part: value}
    return RunSpecification.for_task(task, value)


def test_defaults_are_those_of_the_thesis():
    run = RunSpecification.for_task("bars")
    neuron, plasticity = run.network.neuron, run.network.plasticity
    assert run.network.sizes == (9, 30, 3)
    assert (neuron.C_m, neuron.g_L, neuron.g_basal, neuron.g_apical, neuron.g_nudge) == (
        1,
        0.03,
        0.1,
        0.06,
        0.06,
    )
    assert (neuron.gamma, neuron.beta, neuron.theta, neuron.psi, neuron.t_ref) == (1, 1, 0, 100, 0)
    assert (run.network.eta_up, run.network.eta_ip, run.network.eta_pi) == ((0.01, 0.003), (0.004,), (0.01,))
    assert (plasticity.Wmin, plasticity.Wmax) == (-4, 4)
    assert run.network.trial.between == "reset"


def test_one_learning_rate_serves_all_layers():
    circuit = Microcircuit(sizes=[5, 4, 3, 2], plasticity=PlasticityParameters(eta_up=0.5, eta_ip=[0.1, 0.2]))
    assert circuit.eta_up == (0.5, 0.5, 0.5)
    assert circuit.eta_ip == (0.1, 0.2)
    assert circuit.eta_pi == (0.01, 0.01)


def test_the_teacher_is_as_strong_as_partners_unless_told_otherwise():
    assert NeuronParameters(g_nudge=0.02).g_target_nS == 0.02
    assert NeuronParameters(g_nudge=0.02, g_target=0.0).g_target_nS == 0.0
    assert NeuronParameters(g_nudge=0.02, g_target=1).g_target_nS == 1.0


def deep(**plasticity):
    neuron = NeuronParameters(g_L=0.03, g_basal=0.1, g_apical=0.065, g_nudge=0.07)
    return Microcircuit(sizes=[5, 4, 3, 2], neuron=neuron, plasticity=PlasticityParameters(**plasticity))


def test_matched_interneurons_have_the_rate_of_the_next_layer_by_what_their_partners_share():
    # by hand: lambda = 0.07 / 0.2, f = 0.13 / 0.195 where the next layer has apical dendrites
    circuit = deep(eta_up=[0.1, 0.21, 0.35], eta_ip="match")
    assert circuit.eta_ip == pytest.approx((2 / 3 * 0.21 / 0.35, 0.35 / 0.35))


def test_rates_of_a_schedule():
    circuit = deep(eta_up=[0.1, 0.2, 0.4], eta_ip=0.5, eta_pi=[0.25, 0.75])
    changed = circuit.with_rates({"up": [0.5, 1.0, 0.0], "pi": 2})
    assert (changed.eta_up, changed.eta_ip, changed.eta_pi) == ((0.05, 0.2, 0.0), (0.5, 0.5), (0.5, 1.5))
    assert changed.with_rates({"ip": 0.0}).eta_ip == (0.0, 0.0)
    assert Microcircuit.model_validate(changed.model_dump()) == changed
    assert (circuit.with_rates({}).eta_up, circuit.eta_up) == ((0.1, 0.2, 0.4), (0.1, 0.2, 0.4))


def test_matched_interneurons_follow_the_schedule_of_up():
    circuit = deep(eta_up=[0.1, 0.21, 0.35], eta_ip="match")
    changed = circuit.with_rates({"up": 0.5, "ip": 0.1})
    assert changed.plasticity.eta_ip == pytest.approx([0.5 * eta for eta in circuit.eta_ip])


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({"nudge": 1.0}, "are for up, ip, pi and down, got one for nudge"),
        ({"up": [1.0, 1.0]}, "2 factors for 3 learning rates; give one for each layer"),
    ],
)
def test_factors_of_rates_that_do_not_fit_are_refused(factors, words):
    with pytest.raises(ValueError, match=words):
        deep(eta_up=0.1).with_rates(factors)


def test_pi_that_cancels_the_teaching_signal_is_warned_of():
    free = {"free_learning": ["pi"], "t_target_on": 10.0}
    assert re.match(
        r"plasticity.eta_pi is positive .* set it to 0, or let pi learn in a free", *deep(eta_up=0.1).warnings()
    )
    for changes in (
        {"plasticity": {"eta_pi": 0.0}},
        {"weights": {"self_predicting": False}},
        {"trial": free},
    ):
        circuit = Microcircuit.model_validate({"sizes": [5, 4, 2], **changes})
        assert circuit.warnings() == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("network.neuron.g_Leak", 1.0, ["network.neuron.g_Leak is not a known key", "did you mean g_L"]),
        ("network.nueron", {}, ["network.nueron is not a known key", "did you mean neuron"]),
        ("task.colour", 1.0, ["task.colour is not a known key", "known are name, lo, hi"]),
        ("network.neuron.C_m", -1.0, ["network.neuron.C_m must be greater than 0", "got -1.0", "pF"]),
        ("network.neuron.psi", float("nan"), ["network.neuron.psi must be a finite number", "got nan"]),
        ("network.neuron.psi", "many", ["network.neuron.psi must be a valid number", "got 'many'"]),
        ("network.sizes", [9, 0, 3], ["network.sizes[1] must be greater than or equal to 1", "got 0"]),
        ("network.sizes", [9, 3], ["at least one hidden layer", "[9, 3]"]),
        ("network.sizes", [8, 30, 3], ["[8, 30, 3] has 8 inputs", "task bars has 9", "first size must be 9"]),
        ("network.sizes", [9, 30, 4], ["4 outputs", "task bars has 3", "last size must be 3"]),
        (
            "network.plasticity.eta_up",
            [0.1, 0.1, 0.1],
            ["eta_up has 3 values", "need 2", "a single one for all"],
        ),
        ("network.plasticity.eta_pi", -0.1, ["network.plasticity.eta_pi[0] must be greater", "got -0.1"]),
        ("network.plasticity.Wmin", 5.0, ["Wmin must lie below Wmax", "5.0 and 4.0 mV ms"]),
        ("network.weights.down", 5.0, ["weights.down lie in +-5.0 mV ms", "Wmax = 4.0"]),
        ("network.weights.up", [1.0, 1.0, 1.0], ["weights.up has 3 values", "need 2"]),
        ("network.trial.t_pres_test", 35.0, ["t_readout_on_test must lie before t_pres_test = 35.0 ms"]),
        ("network.trial.t_pres", 30.0, ["t_readout_on must lie before t_pres = 30.0 ms", "got 35.0 ms"]),
        ("network.trial.t_pres", 50.05, ["trial.t_pres must be a multiple", "h = 0.1 ms", "got 50.05 ms"]),
        ("network.trial.between", "relax", ["t_relax must be positive", 'or use between = "keep"']),
        ("network.trial.t_relax", 1.0, ['t_relax must be 0 with between = "reset"', "got 1.0 ms"]),
        (
            "network.trial.between",
            "rest",
            ["network.trial.between must be 'keep', 'relax' or 'reset'", "'rest'"],
        ),
        ("network.neuron.g_target", "strong", ['network.neuron.g_target: must be a number or "g_nudge"', "'strong'"]),
        ("network.neuron.g_target", -0.1, ["network.neuron.g_target must be greater than or equal to 0", "nS"]),
        ("network.plasticity.eta_ip", "mach", ['network.plasticity.eta_ip: must be a number or "match"', "'mach'"]),
        ("network.plasticity.eta_ip", [-0.1], ["network.plasticity.eta_ip[0] must be greater", "got -0.1"]),
        ("network.plasticity.eta_ip", [0.1, 0.1], ["plasticity.eta_ip has 2 values", "need 1"]),
        (
            "network",
            {"plasticity": {"eta_ip": "match"}, "neuron": {"g_nudge": 0.0}},
            ['eta_ip = "match" needs partners', "g_nudge is 0.0 nS", "give eta_ip as a number"],
        ),
        (
            "network.weights",
            {"aligned": True, "up": [1.0, 0.0]},
            ["weights.aligned = true makes down from up", "0 mV ms there", "aligned to false"],
        ),
        ("network.trial.t_target_on", 50.0, ["t_target_on must lie before t_pres = 50.0 ms", "got 50.0 ms"]),
        ("network.trial.t_target_on", 12.0, ["t_learn_on must not lie before t_target_on = 12.0 ms, got 10.0 ms"]),
        ("network.trial.t_target_on", 5.05, ["trial.t_target_on must be a multiple", "got 5.05 ms"]),
        ("network.trial.t_free_learn_on", 5.05, ["trial.t_free_learn_on must be a multiple", "got 5.05 ms"]),
        ("network.trial.free_learning", ["up"], ["free_learning[0] must be 'ip' or 'pi', got 'up'"]),
        (
            "network.trial.free_learning",
            ["ip"],
            ["needs a free phase", "before t_target_on = 0.0 ms", "or free_learning = []"],
        ),
        ("network.simulation.delay", 0.25, ["simulation.delay must be a multiple", "got 0.25 ms"]),
        ("network.simulation.delay", 1e-9, ["simulation.delay must be a multiple"]),
        ("network.simulation.h", 0.0333, ["simulation.h must be a multiple of 0.001 ms"]),
        ("network.transmission", "pulses", ["must be 'population' or 'spikes'", "got 'pulses'"]),
        ("backend", "odes", ["must be 'spiking', 'rate', 'ode', 'steady' or 'backprop'", "got 'odes'"]),
        ("network.plasticity.tau_s", 0.0, ["must be positive with spikes", 'or use backend = "rate"']),
        ("training.batch_size", 8, ["must be 1 with backend spiking", "got 8", 'or use backend = "ode"']),
        (
            "network",
            {"transmission": "population", "neuron": {"t_ref": 1.0}},
            ["have no refractory time", "set neuron.t_ref to 0", "got 1.0 ms"],
        ),
        ("seed", -1, ["seed must be greater than or equal to 0", "got -1"]),
    ],
)
def test_bad_input_is_refused_with_helpful_words(key, value, words):
    with pytest.raises(SpecificationError) as caught:
        changed(key, value)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message


def test_unknown_task_suggests_a_known_one():
    with pytest.raises(SpecificationError, match=r"task 'bar' is unknown; did you mean bars\?"):
        RunSpecification.for_task("bar")


def test_models_refuse_unknown_keys_and_changes():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        NeuronParameters(C_n=1.0)
    with pytest.raises(ValidationError, match="frozen"):
        NeuronParameters().C_m = 2.0


def test_times_that_are_no_binary_fractions_are_multiples_of_h():
    for time in (0.3, 0.7, 1.1, 35.0, 1234567.8):
        trial = {"t_pres": time, "t_learn_on": 0.0, "t_readout_on": 0.0}
        assert changed("network.trial", trial).network.trial.t_pres == time


def test_rates_need_no_trace():
    network = {"plasticity": {"tau_s": 0.0, "tau_Delta": 0.0}, "neuron": {"tau_basal": 0.0, "tau_apical": 0.0}}
    run = RunSpecification.for_task("bars", {"backend": "rate", "network": network})
    assert run.network.plasticity.tau_s == 0.0


def test_samples_that_depend_on_each_other_cannot_be_batched():
    changes = {"backend": "ode", "training": {"batch_size": 24}, "network": {"trial": {"between": "keep"}}}
    with pytest.raises(SpecificationError, match='between must be "reset", got "keep"'):
        RunSpecification.for_task("bars", changes)
    RunSpecification.for_task("bars", changes | {"network": {"trial": {"between": "reset"}}})


@pytest.mark.parametrize("task", TASKS)
def test_toml_round_trip_is_exact(task, tmp_path):
    numbers = {"neuron": {"g_L": 0.1 + 0.2, "psi": 1e-7}, "weights": {"up": 1 / 3}}
    words = {
        "plasticity": {"eta_ip": "match"},
        "trial": {"t_target_on": 2.0, "t_free_learn_on": 0.0, "free_learning": ["ip", "pi"]},
    }
    constant = {"schedule": {"ip": {"kind": "constant"}}}
    run = RunSpecification.for_task(task, {"seed": 2**63 + 1, "network": {**numbers, **words}, "training": constant})
    path = tmp_path / "config.toml"
    path.write_text(run.to_toml())
    assert RunSpecification.from_toml(path) == run


def test_a_tasks_batches_are_for_backends_that_can():
    assert RunSpecification.for_task("yin_yang").training.batch_size > 1
    assert RunSpecification.for_task("yin_yang", {"backend": "spiking"}).training.batch_size == 1
    with pytest.raises(SpecificationError, match="batch_size must be 1 with backend spiking"):
        RunSpecification.for_task("yin_yang", {"backend": "spiking", "training": {"batch_size": 5}})


def test_a_schedule_of_rates_that_follow_is_refused():
    changes = {"network": {"plasticity": {"eta_ip": "match"}}, "training": {"schedule": {"ip": {"kind": "cosine"}}}}
    with pytest.raises(SpecificationError, match=r"leave training\.schedule\.ip out, or give eta_ip as a number"):
        RunSpecification.for_task("bars", changes)


def test_written_toml_tells_meaning_and_unit_of_every_entry():
    lines = RunSpecification.for_task("bars").to_toml().splitlines()
    assert any(re.match(r"g_L = 0\.03 +# somatic leak, nS", line) for line in lines)
    assert [line for line in lines if " = " in line and "#" not in line] == []


def test_every_field_has_a_description():
    def fields(model):
        for name, value in model:
            if isinstance(value, BaseModel):
                yield from fields(value)
            else:
                yield name, type(model).model_fields[name].description

    assert [name for name, text in fields(RunSpecification.for_task("digits")) if not text] == []


def test_partial_toml_takes_the_tasks_defaults(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[task]\nname = "bars"\n[network.neuron]\npsi = 50\n')
    run = RunSpecification.from_toml(path)
    assert run == changed("network.neuron.psi", 50.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[task]\nname = "bars"\n[network.neuron]\ng_apicl = 1.0\n',
            "network.neuron.g_apicl is not a known key",
        ),
        ("[network]\n", "task.name is missing"),
        ("[network\n", "is not valid TOML"),
    ],
)
def test_bad_toml_names_file_and_fault(text, words, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(SpecificationError, match=words) as caught:
        RunSpecification.from_toml(path)
    assert "run.toml" in str(caught.value)


def test_missing_toml_is_said(tmp_path):
    with pytest.raises(SpecificationError, match=r"cannot read .*none\.toml"):
        RunSpecification.from_toml(tmp_path / "none.toml")


@pytest.mark.parametrize("task", TASKS)
def test_configuration_of_the_experiment_is_the_default(task):
    config = Path(__file__).parents[2] / "experiments" / task / "config.toml"
    assert RunSpecification.from_toml(config) == RunSpecification.for_task(task)
    assert config.read_text(encoding="utf-8") == RunSpecification.for_task(task).to_toml()


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("utf-8-sig", None), ("utf-16", "is in UTF-16: save it in UTF-8"), ("latin-1", "is no text in UTF-8")],
)
def test_encodings_of_a_configuration(tmp_path, encoding, words):
    path = tmp_path / "run.toml"
    path.write_text('# größer\nseed = 5\n[task]\nname = "bars"\n', encoding=encoding)
    if words is None:
        assert RunSpecification.from_toml(path).seed == 5
    else:
        with pytest.raises(SpecificationError, match=words):
            RunSpecification.from_toml(path)


def test_toml_that_is_nested_too_deeply_is_said(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(SpecificationError, match="nested"):
        RunSpecification.from_toml(path)


def trial(**times):
    return RunSpecification.for_task("bars", {"network": {"trial": times}})


@pytest.mark.parametrize("t_pres", [1e308, 1e12])
def test_times_beyond_all_steps_are_said(t_pres):
    with pytest.raises(
        SpecificationError, match=r"trial.t_pres must be at most 1e\+12 time steps simulation.h = 0.1 ms"
    ):
        trial(t_pres=t_pres)
    with pytest.raises(SpecificationError, match=r"simulation.delay must be at most 100000 time steps"):
        RunSpecification.for_task("bars", {"network": {"simulation": {"delay": 1e5}}})


@pytest.mark.parametrize("steps", [2**33 + 1, 10**11 + 3, 10**12 - 1])
def test_long_times_on_the_grid_are_accepted_and_others_refused(steps):
    """A decimal time of so many steps is rounded to 2^-53 of itself, more than a millionth of a step from 2^33 on."""
    text = f"{steps // 10}.{steps % 10}"  # of 0.1 ms, as a user writes it
    assert trial(t_pres=float(text)).network.trial.t_pres == float(text)
    with pytest.raises(SpecificationError, match="must be a multiple of the time step"):
        trial(t_pres=float(f"{text}5"))  # half a step more


def test_learning_rates_that_match_beyond_all_numbers_are_said():
    for plasticity, neuron in (({"eta_up": 1e308}, {}), ({}, {"g_nudge": 5e-324, "g_target": 0.06})):
        network = {"plasticity": {"eta_ip": "match", **plasticity}, "neuron": neuron}
        with pytest.raises(SpecificationError, match="comes to more than any number"):
            RunSpecification.for_task("bars", {"network": network})


def test_more_threads_than_nest_can_number_are_said():
    with pytest.raises(
        SpecificationError, match=r"simulation.threads must be less than or equal to 511, got 1000000000"
    ):
        RunSpecification.for_task("bars", {"network": {"simulation": {"threads": 10**9}}})


def test_a_circuit_that_no_memory_holds_is_said_before_a_folder_is_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    spec = RunSpecification.for_task("bars", {"network": {"hidden": [10**12], "plasticity": {"eta_up": 0.01}}})
    with pytest.raises(UserError, match=r"a circuit of sizes \[9, 1000000000000, 3\], with .* weights, would take"):
        RunFolder.create(tmp_path, spec, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
