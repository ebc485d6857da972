# SPDX-License-Identifier: GPL-2.0-or-later
"""What every backend gives back: potentials by layer, and a divergence that names the cell."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pynest_tools.networks.backend import MAX_POTENTIAL, DivergenceError, TrialResult, refuse_absurd
from pynest_tools.networks.backprop import BackpropNetwork
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.ode import OdeMicrocircuit
from pynest_tools.networks.steady import SteadyMicrocircuit
from pynest_tools.networks.weights import initial_weights

CIRCUIT = Microcircuit.model_validate(
    {
        "sizes": (5, 4, 3, 2),
        "plasticity": {"eta_up": 0.001},
        "trial": {"t_pres": 2.0, "t_learn_on": 1.0, "t_readout_on": 1.0},
    }
)
N_CELLS = 4 + 3 + 3 + 2 + 2


def result_of(V_soma, prediction=None):
    samples = V_soma.shape[:-1]
    prediction = np.zeros((*samples, 2)) if prediction is None else prediction
    return TrialResult(V_soma, prediction, np.zeros(samples), np.zeros(samples))


def test_layers_lie_side_by_side():
    names = [name for name, cells in CIRCUIT.layers.items() for _ in range(cells.start, cells.stop)]
    assert names == ["P_1"] * 4 + ["I_1"] * 3 + ["P_2"] * 3 + ["I_2"] * 2 + ["P_3"] * 2


@pytest.mark.parametrize("backend", [OdeMicrocircuit, SteadyMicrocircuit, BackpropNetwork])
def test_every_backend_gives_potentials_of_all_cells(backend):
    weights = initial_weights(CIRCUIT, np.random.default_rng(1))
    result = backend(CIRCUIT, weights).run(np.ones((3, 5)), np.ones((3, 2)), learn=True)
    assert result.V_soma.shape == (3, N_CELLS)
    np.testing.assert_array_equal(result.output, result.V_soma[:, CIRCUIT.layers["P_3"]])
    is_absent = np.zeros(N_CELLS, dtype=bool)
    if backend is BackpropNetwork:
        is_absent[CIRCUIT.layers["I_1"]] = is_absent[CIRCUIT.layers["I_2"]] = True
    np.testing.assert_array_equal(np.isnan(result.V_soma), np.tile(is_absent, (3, 1)))
    refuse_absurd(CIRCUIT, result)


@pytest.mark.parametrize("value", [MAX_POTENTIAL + 1.0, -1e9, np.inf, np.nan])
@pytest.mark.parametrize("stack", [(), (2,)], ids=["one network", "two networks"])
def test_absurd_potentials_are_told_with_sample_and_cell(value, stack):
    V_soma = np.full((*stack, 6, N_CELLS), MAX_POTENTIAL)
    refuse_absurd(CIRCUIT, result_of(V_soma))
    last = V_soma[-1] if stack else V_soma  # the other network is well
    last[3:, 8] = value
    last[4:, 0] = 1e12
    with pytest.raises(
        DivergenceError, match=r"became .* mV, but no membrane can be 150 mV from rest; lower"
    ) as caught:
        refuse_absurd(CIRCUIT, result_of(V_soma))
    assert (caught.value.trial, caught.value.cell) == (3, "cell 1 of P_2")
    assert str(caught.value) == f"cell 1 of P_2: {caught.value.message}"


def test_absurd_predictions_and_missing_interneurons_are_told():
    V_soma, prediction = np.zeros((3, N_CELLS)), np.zeros((3, 2))
    prediction[1, 1] = 151.0
    with pytest.raises(DivergenceError, match=r"cell 1 of P_3: .*151 mV"):
        refuse_absurd(CIRCUIT, result_of(V_soma, prediction))
    V_soma[2, CIRCUIT.layers["I_1"]] = np.nan  # in one sample only: it is not that there are none
    with pytest.raises(DivergenceError, match=r"cell 0 of I_1: .*nan mV"):
        refuse_absurd(CIRCUIT, result_of(V_soma))


def test_a_divergence_can_be_sent_to_another_process():
    error = pickle.loads(pickle.dumps(DivergenceError("it grows", 3, "cell 1 of I_2")))
    assert (str(error), error.trial, error.cell) == ("cell 1 of I_2: it grows", 3, "cell 1 of I_2")
    assert str(DivergenceError("it grows", 3)) == "it grows"
