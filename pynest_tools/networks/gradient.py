# SPDX-License-Identifier: GPL-2.0-or-later
"""The gradient that the microcircuit approximates: backpropagation in the network of its dendritic predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .backend import FloatArray
from .layout import sources
from .microcircuit import Microcircuit
from .transfer import CellResponse, transfer, transfer_slope
from .weights import forward_weights


class Feedforward:
    """The network of the circuit's dendritic predictions without top-down input.

    Parameters
    ----------
    circuit : Microcircuit
        Conductances, transfer functions, and what sends to a layer.
    """

    def __init__(self, circuit: Microcircuit) -> None:
        self._circuit = circuit
        self._factors = circuit.prediction_factors
        self._responses = [CellResponse(n.transfer, n.gamma, n.beta, n.theta) for n in circuit.neurons]
        self._lacks_synapses = circuit.has_missing_synapses
        self._release = circuit.connectivity.release
        self._is_plain = (
            circuit.n_sources == list(circuit.sizes[:-1]) and not self._lacks_synapses and self._release == 1.0
        )

    def predictions(self, up: Sequence[FloatArray], stimuli: FloatArray) -> list[FloatArray]:
        """See the function of this name."""
        found: list[FloatArray] = []
        rates = stimuli
        for matrix, factor, response in zip(up, self._factors, self._responses, strict=True):
            if not self._is_plain:
                matrix, rates = np.nan_to_num(matrix), sources(self._circuit, rates)  # noqa: PLW2901
            found.append(factor * (rates @ matrix.swapaxes(-1, -2)))
            rates = transfer(found[-1], response)
        return found

    def descent(
        self, up: Sequence[FloatArray], stimuli: FloatArray, targets: FloatArray, v: Sequence[FloatArray]
    ) -> list[FloatArray]:
        """See the function of this name; v is what `predictions` gives (mV)."""
        factors, responses = self._factors, self._responses
        rates = [stimuli, *(transfer(layer, response) for layer, response in zip(v[:-1], responses, strict=False))]
        error = transfer_slope(v[-1], responses[-1]) * np.nan_to_num(targets - v[-1])  # -dL/dv^
        found: list[FloatArray] = []
        for k in reversed(range(len(up))):
            pre, back = (rates[k], up[k]) if self._is_plain else self._extended(rates[k], up[k], k)
            found.append(factors[k] * (error.swapaxes(-1, -2) @ pre))
            if self._lacks_synapses:
                found[-1] = np.where(np.isnan(up[k]), 0.0, found[-1])
            if k > 0:
                error = transfer_slope(v[k - 1], responses[k - 1]) * (factors[k] * (error @ back))
        return found[::-1]

    def _extended(self, rates: FloatArray, up: FloatArray, layer: int) -> tuple[FloatArray, FloatArray]:
        """What all sources of a layer transmit, and how its cells act on the next one, with and without partners."""
        return sources(self._circuit, rates), self._release * forward_weights(up, self._circuit, layer)


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
    return Feedforward(circuit).predictions(up, stimuli)


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
    network = Feedforward(circuit)
    v = network.predictions(up, stimuli) if predicted is None else predicted
    return network.descent(up, stimuli, targets, v)


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
        passed_on = below.g_top_down / below.g_hidden * (1.0 - above.partner_share)
        gain = gain * passed_on * scales[k - 1] / alpha[k]
        gains.append(gain / alpha[k - 1])
    return gains[::-1]
