# SPDX-License-Identifier: GPL-2.0-or-later
"""What a circuit's options mean for its shapes, initial weights and limits, and which combinations are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

import pynest_tools as pt
from pynest_tools.errors import SpecificationError, UserError
from pynest_tools.networks.backend import Weights
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.steady import SteadyMicrocircuit
from pynest_tools.networks.weights import (
    forward_weights,
    initial_weights,
    self_predicting_weights,
    weight_limits,
    weight_shapes,
    with_transposed_feedback,
)
from pynest_tools.runs.specification import RunSpecification

SIZES = [4, 6, 5, 3]


def circuit_of(**entries):
    entries["plasticity"] = {"eta_up": 0.01, **entries.get("plasticity", {})}
    return Microcircuit.model_validate({"sizes": SIZES, **entries})


def drawn(circuit, seed=3):
    return initial_weights(circuit, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("bias_rate", "dale", "columns"), [(0.0, False, 4), (1.0, False, 5), (0.0, True, 8), (1.0, True, 10)]
)
def test_biases_and_inhibitory_partners_are_columns_of_up_and_ip(bias_rate, dale, columns):
    circuit = circuit_of(bias_rate=bias_rate, dale=dale)
    assert weight_shapes(circuit)["up"][0] == (6, columns)
    weights = drawn(circuit)
    assert [m.shape for m in weights.up] == weight_shapes(circuit)["up"]
    assert [m.shape for m in weights.ip] == weight_shapes(circuit)["ip"]
    assert [m.shape for m in weights.down] == [(6, 5), (5, 3)]


def test_options_leave_what_is_drawn_as_it_is():
    plain = drawn(circuit_of())
    others = [
        drawn(circuit_of(bias_rate=1.0, weights={"bias": 0.5})),
        drawn(circuit_of(dale=True)),
        drawn(circuit_of(connectivity={"up": 0.7, "down": 0.7})),
    ]
    for other, circuit in zip(others, (circuit_of(bias_rate=1.0), circuit_of(dale=True), circuit_of()), strict=True):
        for k, (matrix, wanted) in enumerate(zip(other.up, plain.up, strict=True)):
            there = ~np.isnan(other.up[k][:, : SIZES[k]])
            np.testing.assert_array_equal(forward_weights(matrix, circuit, k)[there], wanted[there])


def test_biases_begin_within_their_bound_and_predict_themselves():
    circuit = circuit_of(bias_rate=2.0, weights={"bias": [0.1, 0.2, 0.3]})
    weights = drawn(circuit)
    for matrix, bound in zip(weights.up, (0.1, 0.2, 0.3), strict=True):
        assert 0.0 < np.max(np.abs(matrix[:, -1])) <= bound
    factor = 0.13 / 0.19  # (g_L + g_b) / (g_L + g_b + g_a) of hidden layer 2
    np.testing.assert_allclose(weights.ip[0][:, -1], factor * weights.up[1][:, -1], rtol=1e-15)


def test_synapses_are_missing_with_their_probability_and_together():
    circuit = Microcircuit.model_validate(
        {"sizes": [60, 50, 40], "bias_rate": 1.0, "connectivity": {"up": [0.5, 0.8], "down": 0.6}}
    )
    weights = drawn(circuit)
    for matrix, p, n_cells in ((weights.up[0], 0.5, 60), (weights.up[1], 0.8, 50), (weights.down[0], 0.6, 40)):
        missing = np.isnan(matrix[:, :n_cells])
        # four standard errors of a share among n synapses
        assert np.mean(missing) == pytest.approx(1.0 - p, abs=4.0 * np.sqrt(p * (1.0 - p) / missing.size))
        assert not np.any(np.isnan(matrix[:, n_cells:])), "a bias is never missing"
    np.testing.assert_array_equal(np.isnan(weights.ip[0]), np.isnan(weights.up[1]))
    np.testing.assert_array_equal(np.isnan(weights.pi[0]), np.isnan(weights.down[0]))


def test_each_projection_may_lack_synapses_of_its_own():
    circuit = Microcircuit.model_validate(
        {"sizes": [30, 30, 30], "connectivity": {"ip": 0.5, "pi": 0.5}, "weights": {"self_predicting": False}}
    )
    weights = drawn(circuit)
    assert not np.any(np.isnan(weights.up[0]))
    assert not np.any(np.isnan(weights.down[0]))
    assert np.any(np.isnan(weights.ip[0]) != np.isnan(weights.pi[0]))


def test_by_dales_law_no_cell_has_both_signs_and_none_may_change():
    circuit = circuit_of(dale=True, bias_rate=1.0, weights={"bias": 0.5})
    weights, limits = drawn(circuit), weight_limits(circuit)
    for name in ("up", "ip", "pi", "down"):
        for matrix, (low, high) in zip(getattr(weights, name), limits[name], strict=True):
            assert np.all((matrix >= low) & (matrix <= high))
            assert np.all((low == 0.0) != (high == 0.0)), "one side only"
    assert np.all(weights.down[0] >= 0.0)
    assert np.all(weights.pi[0] <= 0.0)


def test_a_tuft_and_parameters_of_layers_change_what_predicts():
    circuit = circuit_of(neuron={"g_tuft": 0.03}, layer={"g_L": [0.03, 0.05, 0.02]})
    weights = drawn(circuit)
    np.testing.assert_allclose(weights.pi[0], -0.5 * weights.down[0], rtol=1e-15)  # g_t / g_a
    np.testing.assert_allclose(weights.ip[0], 0.15 / (0.15 + 0.06 + 0.03) * weights.up[1], rtol=1e-15)
    np.testing.assert_array_equal(weights.ip[1], weights.up[2])
    assert circuit.prediction_factors == pytest.approx([0.1 / 0.22, 0.1 / 0.24, 0.1 / 0.12])


def test_matched_rates_follow_the_parameters_of_their_layer():
    circuit = circuit_of(plasticity={"eta_up": 0.01, "eta_ip": "match"}, layer={"g_nudge": [0.06, 0.02, 0.06]})
    shares = 0.02 / 0.15, 0.06 / 0.19
    assert circuit.eta_ip == pytest.approx([0.13 / 0.19 * 0.01 / shares[0], 0.01 / shares[1]])


def test_transposition_follows_up_and_spares_what_is_missing():
    circuit = circuit_of(
        plasticity={"eta_up": 0.01, "down": "transpose", "eta_pi": 0.0},
        weights={"up": [1.0, 0.5, 0.25], "down": [0.1, 1.0]},
        connectivity={"down": 0.5},
    )
    weights = drawn(circuit)
    changed = Weights([2.0 * m for m in weights.up], weights.ip, weights.pi, weights.down)
    after = with_transposed_feedback(changed, circuit)
    for k, scale in ((0, 0.1 / 0.5), (1, 1.0 / 0.25)):
        there = ~np.isnan(weights.down[k])
        assert not np.all(there)
        np.testing.assert_array_equal(np.isnan(after.down[k]), ~there)
        np.testing.assert_allclose(after.down[k][there], scale * changed.up[k + 1].T[there], rtol=1e-15)
        np.testing.assert_array_equal(after.pi[k], -after.down[k])


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"plasticity": {"down": "prediction", "eta_down": 0.1}}, ["set neuron.g_tuft"]),
        ({"plasticity": {"eta_down": 0.1}}, ['plasticity.down = "static" has no learning rate']),
        ({"plasticity": {"down": "alignment"}, "neuron": {"t_ref": 1.0}, "transmission": "spikes"}, ["refractory"]),
        ({"plasticity": {"down": "transpose"}, "weights": {"up": [1.0, 0.0, 1.0]}}, ["weights.up is 0 mV ms"]),
        ({"neuron": {"g_tuft": 0.1, "g_apical": 0.0}}, ["neuron.g_apical must be positive"]),
        ({"connectivity": {"ip": 0.5}}, ['set connectivity.ip = "up"']),
        ({"connectivity": {"up": [0.5, 0.5]}}, ["connectivity.up has 2 values", "need 3"]),
        ({"connectivity": {"dropconnect": 0.5, "release": 0.5}}, ["connectivity.release = 0.5", "leave one out"]),
        ({"connectivity": {"dropconnect": 0.5}, "dale": True}, ["dale = true", "leave one out"]),
        ({"connectivity": {"release": 0.5}, "plasticity": {"down": "alignment"}}, ["connectivity.release must be 1"]),
        ({"layer": {"theta": [0.0]}}, ["layer.theta has 1 values", "need 3"]),
        ({"layer": {"beta": [1.0, -1.0, 1.0]}}, ["layer, of P_2", "beta", "greater than 0"]),
        ({"weights": {"bias": [0.1, 0.2]}}, ["weights.bias has 2 values", "need 3"]),
        ({"weights": {"bias": 9.0}}, ["weights.bias lie in +-9.0", "Wmax"]),
        ({"trial": {"t_target_ramp": 0.05}}, ["trial.t_target_ramp must be a multiple"]),
    ],
)
def test_impossible_circuits_are_refused_with_what_to_do(entries, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are checked below
        circuit_of(**entries)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("backend", "entries", "name"),
    [
        ("ode", {"neuron": {"error_from_spikes": True}}, "error_from_spikes"),
        ("steady", {"neuron": {"sigma_noise": 0.1}}, "sigma_noise"),
        ("backprop", {"neuron": {"error_with_h": True}}, "error_with_h"),
        ("backprop", {"connectivity": {"dropout": 0.1}}, "dropout"),
        ("backprop", {"connectivity": {"dropconnect": 0.9}}, "dropconnect"),
        ("backprop", {"plasticity": {"down": "alignment"}}, "plasticity.down"),
    ],
)
def test_what_means_nothing_in_a_backend_is_refused(backend, entries, name):
    with pytest.raises(SpecificationError, match=f"{name} means nothing with backend {backend}.*set it to"):
        RunSpecification.for_task("bars", {"backend": backend, "network": entries})


def test_a_specification_with_every_option_comes_back_from_its_file(tmp_path):
    changes = {
        "backend": "steady",
        "network": {
            "hidden": [5, 6],
            "bias_rate": 1.0,
            "neuron": {"g_tuft": 0.06, "transfer": "logistic", "error_with_h": True},
            "layer": {"theta": [0.0, 0.1, 0.2]},
            "connectivity": {"up": 0.9, "release": 0.5, "dropout": 0.1},
            "plasticity": {"eta_up": 0.01, "down": "prediction", "eta_down": 0.1},
            "weights": {"bias": 0.1},
        },
    }
    spec = RunSpecification.for_task("bars", changes)
    (tmp_path / "run.toml").write_text(spec.to_toml())
    assert RunSpecification.from_toml(tmp_path / "run.toml") == spec


@pytest.mark.parametrize("dale", [False, True])
@pytest.mark.parametrize(
    ("activation", "neuron"),
    [
        ("relu", {"transfer": "threshold-linear", "beta": 2.0, "gamma": 0.3, "theta": 0.2}),
        ("logistic", {"transfer": "logistic", "beta": 1.5, "gamma": 0.7, "theta": -0.1}),
    ],
)
def test_a_circuit_predicts_what_the_network_predicts_whose_weights_it_has(activation, neuron, dale):
    rng = np.random.default_rng(1)
    x, y = rng.random((80, 4)), rng.normal(size=(80, 3))
    mlp = MLPRegressor(hidden_layer_sizes=(6, 5), activation=activation, max_iter=60, tol=1.0, random_state=1).fit(x, y)
    circuit = circuit_of(
        neuron=neuron, bias_rate=0.5, dale=dale, plasticity={"eta_up": 0.01, "Wmin": -50.0, "Wmax": 50.0}
    )
    weights = pt.weights_from_mlp(mlp, circuit)
    network = SteadyMicrocircuit(circuit, weights)
    result = network.run(x, None, learn=False)
    np.testing.assert_allclose(result.output, mlp.predict(x), atol=1e-11)  # sums of some ten terms of up to 100
    assert np.max(result.apical_error) < 1e-11
    same = self_predicting_weights(weights, circuit)
    np.testing.assert_array_equal(same.ip[0], weights.ip[0])


def test_networks_that_do_not_fit_are_refused():
    x, y = np.random.default_rng(1).random((30, 4)), np.arange(30) % 3
    settings: dict[str, Any] = {"max_iter": 3, "tol": 1.0, "random_state": 1}
    relu = MLPClassifier(hidden_layer_sizes=(6, 5), activation="relu", **settings).fit(x, y)
    linear = {"transfer": "threshold-linear"}
    for mlp, circuit, words in (
        (MLPClassifier(hidden_layer_sizes=(6, 5)), circuit_of(), "fitted MLPRegressor"),
        (
            MLPClassifier(hidden_layer_sizes=(6, 5), activation="tanh", **settings).fit(x, y),
            circuit_of(),
            "activation relu or logistic",
        ),
        (relu, circuit_of(), 'neuron.transfer = "threshold-linear"'),
        (relu, circuit_of(neuron=linear), "set bias_rate"),
        (relu, circuit_of(neuron=linear, bias_rate=1.0, plasticity={"eta_up": 0.1, "Wmax": 1.0}), "widen them"),
        (relu, circuit_of(neuron=linear, bias_rate=1.0, connectivity={"up": 0.5}), "needs all synapses"),
        (
            MLPClassifier(hidden_layer_sizes=(6,), activation="relu", **settings).fit(x, y),
            circuit_of(neuron=linear),
            "the network has layers",
        ),
    ):
        with pytest.raises(UserError, match=words):
            pt.weights_from_mlp(mlp, circuit)


def test_a_run_with_given_weights_keeps_them_for_whoever_goes_on_with_it(tmp_path):
    circuit = {"hidden": [5]}
    spec = RunSpecification.for_task("bars", {"backend": "ode", "network": circuit, "training": {"epochs": 0}})
    weights = initial_weights(spec.network, np.random.default_rng(99))
    pt.train(circuit, "bars", backend="ode", training={"epochs": 0}, output=tmp_path / "run", weights=weights)
    run = pt.open_run(tmp_path / "run")
    for (name, got), (_, wanted) in zip(run.weights().named(), weights.named(), strict=True):
        np.testing.assert_array_equal(got, wanted, err_msg=name)
    kept = pt.open_run(tmp_path / "run").folder.initial_weights(spec)
    np.testing.assert_array_equal(kept.up[0], weights.up[0])
