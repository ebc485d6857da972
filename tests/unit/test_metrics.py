# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of a network, of outputs and potentials for which it can be told by hand."""

import math

import numpy as np
import pytest

from pynest_tools.networks.backend import Weights
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.weights import initial_weights, self_predicting_weights
from pynest_tools.runs.metrics import FASTEST, Rates, distance, feedback_angle, scores, share_at_bound, too_fast
from pynest_tools.tasks import Bars, Samples, SelfPrediction


def test_scores_of_classes():
    """Four samples of three classes; the last is taken for class 2, which is a row of class 0 and a column of answer 2."""
    targets = np.eye(3)[[0, 1, 2, 0]]
    outputs = np.eye(3)[[0, 1, 2, 2]]
    found = scores(Bars(), Samples(np.zeros((4, 9)), targets), outputs, np.full(4, 0.5), np.full(4, np.nan))
    assert found["accuracy"] == 0.75
    assert found["confusion"] == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert found["loss"] == pytest.approx(2 / 12, rel=1e-15)  # two of twelve are off by 1 mV
    assert found["apical_error"] == 0.5
    assert "interneuron_error" not in found  # a backend without them


def test_scores_without_targets():
    found = scores(
        SelfPrediction(),
        Samples(np.zeros((2, 5)), np.full((2, 3), np.nan)),
        np.ones((2, 3)),
        np.array([0.1, 0.3]),
        np.array([0.0, 0.5]),
    )
    assert found == pytest.approx(
        {"loss": (0.01 + 0.09) / 2, "apical_error": 0.2, "interneuron_error": 0.25}, rel=1e-14
    )


def test_distance_from_the_self_predicting_weights():
    """Only pi and ip have one; each layer its own."""
    circuit = Microcircuit.model_validate({"sizes": (2, 3, 4, 1), "plasticity": {"eta_up": 0.1}})
    weights = self_predicting_weights(initial_weights(circuit, np.random.default_rng(1)), circuit)
    assert distance(circuit, weights) == {"pi_1": 0.0, "pi_2": 0.0, "ip_1": 0.0, "ip_2": 0.0}
    weights.pi[1][0] += 0.5  # one of the 4 x 1
    weights.ip[0][:, 1] -= 0.3  # a third of the 4 x 3
    wanted = {"pi_1": 0.0, "pi_2": 0.25 / 4, "ip_1": 0.09 / 3, "ip_2": 0.0}
    assert distance(circuit, weights) == pytest.approx(wanted, rel=1e-12)


def test_rates_are_of_layers_in_hz_over_all_pieces():
    """At 0 mV a cell has ln 2 per ms; at -800 mV none."""
    circuit = Microcircuit(sizes=(2, 3, 1))
    rates = Rates(circuit)
    silent = np.full((1, 5), -800.0)
    rates.add(np.array([[0.5, 0.1]]), np.zeros((1, 5)))
    rates.add(np.array([[np.nan, -1.0], [0.0, 0.0]]), np.repeat(silent, 2, axis=0))
    found = rates.metrics()
    assert found["rate_mean"] == pytest.approx(
        {"P_0": 100.0, **dict.fromkeys(("P_1", "I_1", "P_2"), 1000.0 * math.log(2.0) / 3.0)}, rel=1e-12
    )
    assert found["rate_max"] == pytest.approx(
        {"P_0": 500.0, **dict.fromkeys(("P_1", "I_1", "P_2"), 1000.0 * math.log(2.0))}, rel=1e-12
    )


def test_what_no_neuron_can_is_said():
    assert too_fast({"rate_max": {"P_1": FASTEST}}) is None
    assert "P_1 up to 501 Hz" in too_fast({"rate_max": {"P_1": FASTEST + 1.0, "P_2": 3.0}})


def test_share_of_weights_at_their_bounds():
    circuit = Microcircuit.model_validate({"sizes": (2, 3, 1), "plasticity": {"eta_up": (0.1, 0.0), "eta_pi": 0.0}})
    weights = initial_weights(circuit, np.random.default_rng(1))
    weights.up[0][0] = circuit.plasticity.Wmax
    weights.up[0][1, 0] = circuit.plasticity.Wmin
    assert share_at_bound(circuit, weights) == {"up_1": 0.5, "ip_1": 0.0}


def test_the_angle_of_feedback_is_that_of_matrices():
    circuit = Microcircuit(sizes=[2, 2, 2], plasticity={"eta_up": 0.01})
    up = [np.eye(2), np.array([[3.0, 0.0], [0.0, 4.0]])]
    rest = {"ip": [np.zeros((2, 2))], "pi": [np.zeros((2, 2))]}

    def angle(down):
        return feedback_angle(circuit, Weights(up=up, down=[np.array(down)], **rest))["down_1"]

    assert angle([[6.0, 0.0], [0.0, 8.0]]) == pytest.approx(0.0, abs=1e-6)  # arccos loses half of the digits near 1
    assert angle([[0.0, 1.0], [1.0, 0.0]]) == pytest.approx(90.0)
    assert angle([[-3.0, 0.0], [0.0, -4.0]]) == pytest.approx(180.0)
    assert angle([[5.0, 0.0], [0.0, np.nan]]) == pytest.approx(0.0, abs=1e-6)
    assert feedback_angle(circuit, Weights(up=up, down=[np.zeros((2, 2))], **rest)) == {}
