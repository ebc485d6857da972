# SPDX-License-Identifier: GPL-2.0-or-later
"""The gradient that the microcircuit approximates: backpropagation in the network of its dendritic predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .backend import FloatArray
from .layout import sources
from .microcircuit import Microcircuit
from .transfer import transfer, transfer_slope
from .weights import forward_weights


def predictions(circuit: Microcircuit, up: Sequence[FloatArray], stimuli: FloatArray) -> list[FloatArray]:
    """Dendritic predictions v^ of all layers without top-down input: a feedforward network.

    Parameters
    ----------
    circuit : Microcircuit
        Conductances and transfer function.
    up : sequence of ndarray, shape (..., post, pre)
        Forward weights (mV ms), NaN where there is no synapse.
    stimuli : ndarray, shape (..., n, n_inputs)
        Rates of the inputs (1/ms).

    Returns
    -------
    list of ndarray, shape (..., n, cells of the layer)
        v^_1, ..., v^_N (mV); the next layer receives phi(v^), the bias, and what inhibitory partners subtract.
    """
    found: list[FloatArray] = []
    rates = stimuli
    for matrix, factor, cells in zip(_present(circuit, up), circuit.prediction_factors, circuit.neurons, strict=True):
        found.append(factor * (sources(circuit, rates) @ matrix.swapaxes(-1, -2)))
        rates = transfer(found[-1], cells)
    return found


def _present(circuit: Microcircuit, up: Sequence[FloatArray]) -> Sequence[FloatArray]:
    """Forward weights in which missing synapses are 0."""
    return [np.nan_to_num(matrix) for matrix in up] if circuit.has_missing_synapses else up


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
    A circuit with error_with_h descends it otherwise: what each sample changes in the weights onto a cell is multiplied by h(v^) > 0.

    Parameters
    ----------
    circuit : Microcircuit
        Conductances and transfer function.
    up : sequence of ndarray, shape (..., post, pre)
        Forward weights (mV ms), NaN where there is no synapse.
    stimuli : ndarray, shape (..., n, n_inputs)
        Rates of the inputs (1/ms).
    targets : ndarray, shape (..., n, n_outputs)
        Potentials that the outputs should have (mV); NaN: none.
    predicted : sequence of ndarray, optional
        What `predictions` gives, if known already (mV).

    Returns
    -------
    list of ndarray, shape (..., post, pre)
        One for each layer (1/ms^2); 0 where there is no synapse.
    """
    cells, factors, release = circuit.neurons, circuit.prediction_factors, circuit.connectivity.release
    v = predictions(circuit, up, stimuli) if predicted is None else predicted
    rates = [stimuli, *(transfer(layer, neuron) for layer, neuron in zip(v[:-1], cells, strict=False))]
    error = transfer_slope(v[-1], cells[-1]) * np.nan_to_num(targets - v[-1])  # -dL/dv^
    found: list[FloatArray] = []
    for k in reversed(range(len(up))):
        found.append(factors[k] * (error.swapaxes(-1, -2) @ sources(circuit, rates[k])))
        if circuit.has_missing_synapses:
            found[-1] = np.where(np.isnan(up[k]), 0.0, found[-1])
        if k > 0:
            slope = transfer_slope(v[k - 1], cells[k - 1])
            error = slope * (release * factors[k] * (error @ forward_weights(up[k], circuit, k)))
    return found[::-1]


def circuit_gains(circuit: Microcircuit) -> list[float]:
    """Factors c_k between the circuit's weight change and the gradient, in the limit of weak nudging.

    With self-predicting weights and W_down = s W_up^T the circuit changes W_up into layer k by eta_k c_k (-dL/dW) per ms:

        c_k = lambda_N / alpha_k * prod_{j > k} kappa_{j-1} (1 - lambda_j) s_{j-1} / alpha_j

    where s is what aligned weights begin with, else 1, alpha_k = v^ / v_b, kappa_k = g_a / (g_L + g_b + g_a), or
    g_t / (g_L + g_b + g_a + g_t) if there is a tuft, and lambda_N = g_target / (g_L + g_b + g_target) and
    lambda_j = g_nudge / (g_L + g_b + g_nudge) are the teacher's share of an output cell and the partner's share of the
    interneurons that predict layer j (docs/theory, "The gradient").

    Parameters
    ----------
    circuit : Microcircuit
        Conductances (nS), and bounds of the initial weights (mV ms).

    Returns
    -------
    list of float
        c_1, ..., c_N.

    Raises
    ------
    ValueError
        If errors have a factor h, which differs from sample to sample.
    """
    if circuit.neuron.error_with_h:
        raise ValueError(
            "with neuron.error_with_h the circuit follows no gradient: the change of each sample has a factor h(v^) of its own; set "
            "it to false"
        )
    gain = circuit.neurons[-1].target_share  # times alpha_k, from the output down
    alpha = circuit.prediction_factors
    bounds, scales = circuit.weight_bounds, [1.0] * circuit.n_hidden
    if circuit.weights.aligned:
        scales = [down / up for down, up in zip(bounds["down"], bounds["up"][1:], strict=True)]
    gains = [gain / alpha[-1]]
    for k in reversed(range(1, len(alpha))):
        below, above = circuit.neurons[k - 1], circuit.neurons[k]
        gain *= below.g_top_down / below.g_hidden * (1.0 - above.partner_share) * scales[k - 1] / alpha[k]
        gains.append(gain / alpha[k - 1])
    return gains[::-1]
