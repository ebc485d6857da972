# SPDX-License-Identifier: GPL-2.0-or-later
"""Defaults of tasks for circuits of several hidden layers, and weights whose bounds follow from the circuit."""

import pytest

from pynest_tools.runs.specification import Microcircuit, RunSpecification, SpecificationError


def of(task, network, **others):
    return RunSpecification.for_task(task, {"network": network, **others})


@pytest.mark.parametrize("task", ["bars", "digits"])
def test_one_hidden_layer_has_the_defaults_of_the_task(task):
    """Those of its configuration in experiments/, which test_specification.py compares, whichever way the layer is given."""
    usual = RunSpecification.for_task(task)
    ends = usual.network.sizes[0], usual.network.sizes[-1]
    for network in ({"hidden": 20}, {"hidden": [20]}, {"sizes": [ends[0], 20, ends[1]]}):
        assert of(task, network) == usual.changed({"network": {"sizes": [ends[0], 20, ends[1]]}})


@pytest.mark.parametrize("task", ["bars", "digits"])
@pytest.mark.parametrize("by_sizes", [False, True])
def test_several_hidden_layers_have_defaults_of_their_own(task, by_sizes):
    """Learning rates in inverse proportion to the cells from which they come, whichever way the layers are given."""
    ends = {"bars": (9, 3), "digits": (64, 10)}[task]
    network = {"sizes": [ends[0], 30, 20, 10, ends[1]]} if by_sizes else {"hidden": [30, 20, 10]}
    run = of(task, network)
    assert run.network.sizes == (ends[0], 30, 20, 10, ends[1])
    rates = run.network.eta_up
    assert len(rates) == 4
    assert rates[2] == pytest.approx(1.5 * rates[1])
    assert rates[3] == pytest.approx(3.0 * rates[1])
    assert run.network.weights.aligned
    assert RunSpecification.for_task(task, {"network": network}) == run


def test_what_the_user_says_goes_before_the_defaults_of_depth():
    run = of(
        "digits",
        {"hidden": [20, 20], "weights": {"down": 0.3}, "plasticity": {"eta_up": 0.01}, "neuron": {"beta": 3.0}},
        backend="ode",
        training={"epochs": 3},
    )
    assert run.network.weight_bounds["down"] == (0.3, 0.3)
    assert run.network.eta_up == (0.01, 0.01, 0.01)
    assert (run.network.neuron.beta, run.network.neuron.gamma) == (3.0, 0.125)
    assert (run.backend, run.training.epochs) == ("ode", 3)


def test_a_deep_run_is_kept_as_it_is(tmp_path):
    run = of("digits", {"hidden": [20, 10]})
    file = tmp_path / "config.toml"
    file.write_text(run.to_toml(), encoding="utf-8")
    assert RunSpecification.from_toml(file) == run
    other = run.changed({"network": {"neuron": {"psi": 20.0}}})
    assert other.network.weights == run.network.weights


@pytest.mark.parametrize("hidden", [[], [0, 3], ["a", 3], [3.5, 2], "x"])
def test_impossible_layers_are_told_as_before(hidden):
    with pytest.raises(SpecificationError, match=r"network\.sizes|sizes must"):
        of("bars", {"hidden": hidden})


def test_a_task_without_deep_run_has_its_default_run_at_any_depth():
    network = {"plasticity": {"eta_up": 0.1}, "weights": {"up": 1.0}}
    training = {"schedule": {"up": {"warmup": 0.0}}}
    one, several = (of("yin_yang", {**network, "hidden": hidden}, training=training) for hidden in ([20], [20, 20]))
    assert several.network.neuron == one.network.neuron
    assert several.network.weights == one.network.weights


def test_balanced_bounds_by_hand():
    circuit = Microcircuit.model_validate(
        {
            "sizes": [6, 24, 12, 3],
            "neuron": {"g_L": 0.1, "g_basal": 0.2, "g_apical": 0.1, "g_nudge": 0.1, "beta": 4.0, "gamma": 0.5},
            "plasticity": {"eta_up": 0.01},
            "weights": {"up": "balanced", "down": "balanced"},
        }
    )
    # alpha = 0.2 / 0.4 in hidden layers and 0.2 / 0.3 in the last, slope 2, kappa (1 - lambda) = 0.1 / 0.4 * 0.3 / 0.4
    up = (1.0 / (2 * 0.5), 0.5 / (2 * 0.5), 0.5 / (2 * 2 / 3))
    assert circuit.weight_bounds["up"] == pytest.approx(up)
    passed_on = 0.25 * 0.75
    assert circuit.weight_bounds["down"] == pytest.approx((0.5 / passed_on * up[1], 2 / 3 / passed_on * up[2]))


def test_a_word_that_is_none_is_told():
    with pytest.raises(SpecificationError, match="must be a number or \"balanced\", got 'balance'"):
        of("bars", {"weights": {"up": "balance"}})
