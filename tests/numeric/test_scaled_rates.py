# SPDX-License-Identifier: GPL-2.0-or-later
"""Circuits whose cells fire at a fraction of the rates, and are as much slower, are the same circuits (docs/circuits, "Low rates")."""

import numpy as np
import pytest

from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.ode import OdeMicrocircuit
from pynest_tools.networks.steady import SteadyMicrocircuit
from pynest_tools.networks.weights import initial_weights

SIZES = (5, 8, 6, 3)


def scaled(rate, slower):
    """A circuit with rates of so much of the default's, all times longer."""
    return Microcircuit.model_validate(
        {
            "sizes": SIZES,
            "neuron": {
                "gamma": rate,
                "C_m": slower,
                **dict.fromkeys(("tau_basal", "tau_apical"), slower),
            },
            "plasticity": {
                "eta_up": 0.05 / rate**3 / slower,
                "eta_ip": 0.02 / rate**3 / slower,
                "eta_pi": 0.05 / rate**2 / slower,
                **dict.fromkeys(("tau_s", "tau_Delta"), slower),
                "Wmin": -100.0,
                "Wmax": 100.0,
            },
            "weights": {**dict.fromkeys(("up", "down", "ip", "pi"), 0.5 / rate), "self_predicting": False},
            "trial": {
                "t_pres": 20.0 * slower,
                "t_learn_on": 5.0 * slower,
                "t_readout_on": 12.0 * slower,
                "t_pres_test": 20.0 * slower,
                "t_readout_on_test": 12.0 * slower,
            },
            "simulation": {"h": 0.1 * slower, "delay": 0.1 * slower},
        }
    )


def course(network_type, rate, slower):
    """Potentials (mV) and weights times rates of a learning run."""
    circuit = scaled(rate, slower)
    rng = np.random.default_rng(2)
    stimuli, targets = rate * rng.uniform(0.0, 1.0, (4, SIZES[0])), rng.uniform(0.0, 1.0, (4, SIZES[-1]))
    network = network_type(circuit, initial_weights(circuit, np.random.default_rng(1)))
    before = [rate * matrix for _, matrix in network.get_weights().named()]
    result = network.run(stimuli, targets, learn=True)
    after = [rate * matrix for _, matrix in network.get_weights().named()]
    return result.V_soma, result.apical_error, before, after


@pytest.mark.parametrize("network_type", [OdeMicrocircuit, SteadyMicrocircuit])
@pytest.mark.parametrize(("rate", "slower"), [(0.04, 1.0), (1.0, 4.0), (0.04, 16.0)])
def test_potentials_and_learning_are_the_same(network_type, rate, slower):
    V, apical, before, after = course(network_type, rate, slower)
    V_of_default, apical_of_default, _, after_of_default = course(network_type, 1.0, 1.0)
    # 800 steps in other units, each rounded to some 1e-16 of numbers of order 1
    np.testing.assert_allclose(V, V_of_default, rtol=0, atol=1e-13)
    np.testing.assert_allclose(apical, apical_of_default, rtol=0, atol=1e-13)
    for got, wanted in zip(after, after_of_default, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-13)
    learned = [np.abs(matrix - start).max() for matrix, start in zip(after, before, strict=True)]
    assert sum(change > 0.01 for change in learned) > len(learned) / 2  # down is static
