# SPDX-License-Identifier: GPL-2.0-or-later
"""The gradient that the microcircuit approximates: backpropagation in the network of its dendritic predictions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from .backend import FloatArray
from .microcircuit import Microcircuit
from .transfer import transfer, transfer_slope


def predictions(circuit: Microcircuit, up: Sequence[FloatArray], stimuli: FloatArray) -> list[FloatArray]:
    """Dendritic predictions v^ of all layers without top-down input: a feedforward network.

    Parameters
    ----------
    circuit : Microcircuit
        Conductances and transfer function.
    up : sequence of ndarray, shape (..., post, pre)
        Forward weights (mV ms).
    stimuli : ndarray, shape (..., n, n_inputs)
        Rates of the inputs (1/ms).

    Returns
    -------
    list of ndarray, shape (..., n, cells of the layer)
        v^_1, ..., v^_N (mV); the next layer receives phi(v^).
    """
    found: list[FloatArray] = []
    rates = stimuli
    for matrix, factor in zip(up, circuit.prediction_factors, strict=True):
        found.append(factor * (rates @ matrix.swapaxes(-1, -2)))
        rates = transfer(found[-1], circuit.neuron)
    return found


def descent(
    circuit: Microcircuit,
    up: Sequence[FloatArray],
    stimuli: FloatArray,
    targets: FloatArray,
    predicted: Sequence[FloatArray] | None = None,
) -> list[FloatArray]:
    """Steepest descent -dL/dW_up of the loss that the circuit minimises, summed over samples, by backpropagation.

    The loss is the Bregman divergence of the integral of phi, L = sum_i int_{v^_i}^{t_i} (phi(s) - phi(v^_i)) ds: zero
    where the prediction is the target, else positive, about phi'(t) (t - v^)^2 / 2 close to it (docs/theory, "The gradient").

    Parameters
    ----------
    circuit : Microcircuit
        Conductances and transfer function.
    up : sequence of ndarray, shape (..., post, pre)
        Forward weights (mV ms).
    stimuli : ndarray, shape (..., n, n_inputs)
        Rates of the inputs (1/ms).
    targets : ndarray, shape (..., n, n_outputs)
        Potentials that the outputs should have (mV); NaN: none.
    predicted : sequence of ndarray, optional
        What `predictions` gives, if known already (mV).

    Returns
    -------
    list of ndarray, shape (..., post, pre)
        One for each layer (1/ms^2).
    """
    neuron, factors = circuit.neuron, circuit.prediction_factors
    v = predictions(circuit, up, stimuli) if predicted is None else predicted
    rates = [stimuli, *(transfer(layer, neuron) for layer in v[:-1])]
    error = transfer_slope(v[-1], neuron) * np.nan_to_num(targets - v[-1])  # -dL/dv^
    found: list[FloatArray] = []
    for k in reversed(range(len(up))):
        found.append(factors[k] * (error.swapaxes(-1, -2) @ rates[k]))
        if k > 0:
            error = transfer_slope(v[k - 1], neuron) * (factors[k] * (error @ up[k]))
    return found[::-1]


def circuit_gains(circuit: Microcircuit) -> list[float]:
    """Factors c_k between the circuit's weight change and the gradient, in the limit of weak nudging.

    With self-predicting weights and W_down = W_up^T the circuit changes W_up into layer k by eta_k c_k (-dL/dW) per ms:

        c_k = lambda_N / alpha_k * prod_{j > k} kappa (1 - lambda) / alpha_j

    where alpha_k = v^ / v_b, kappa = g_a / (g_L + g_b + g_a), and lambda_N = g_target / (g_L + g_b + g_target) and
    lambda = g_nudge / (g_L + g_b + g_nudge) are the teacher's share of an output cell and the partner's share of an interneuron
    (docs/theory, "The gradient").

    Parameters
    ----------
    circuit : Microcircuit
        Conductances (nS).

    Returns
    -------
    list of float
        c_1, ..., c_N.
    """
    neuron = circuit.neuron
    alpha = circuit.prediction_factors
    passed_on = neuron.g_apical / (neuron.g_L + neuron.g_basal + neuron.g_apical) * (1.0 - neuron.partner_share)
    gains = [neuron.target_share]  # times alpha_k, from the output down
    for _, above in pairwise(range(len(alpha))):
        gains.append(gains[-1] * passed_on / alpha[len(alpha) - above])
    return [gain / a for gain, a in zip(reversed(gains), alpha, strict=True)]
