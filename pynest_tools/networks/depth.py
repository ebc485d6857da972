# SPDX-License-Identifier: GPL-2.0-or-later
"""Initial weights with which rates and errors keep their size from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence

from .parameters import NeuronParameters


def balanced_up(sizes: Sequence[int], neuron: NeuronParameters) -> tuple[float, ...]:
    """Bounds of `up` with which rates keep their size from layer to layer.

    Uniform weights within +-b have the variance b^2 / 3, so that v^ = alpha W r has the mean square n (alpha b)^2 / 3 times that of
    the n rates r. A hidden cell whose phi is nearly linear above a threshold at 0 mV passes on half of it, times (gamma beta)^2:

        b_k = sqrt(6 / n_{k-1}) / (gamma beta alpha_k),    b_N = sqrt(3 / n_{N-1}) / (gamma beta alpha_N)

    (He et al. 2015; the outputs', which are not passed on, as LeCun et al. 1998; docs/theory, "Depth").

    Parameters
    ----------
    sizes : sequence of int
        Cells per layer: inputs, hidden layers, outputs.
    neuron : NeuronParameters
        Conductances (nS), gamma (1/ms) and beta (1/mV).

    Returns
    -------
    tuple of float
        b_1, ..., b_N (normalised, mV ms).
    """
    alone = neuron.g_L + neuron.g_basal
    shares = [neuron.g_basal / (alone + neuron.g_apical)] * (len(sizes) - 2) + [neuron.g_basal / alone]
    squares = [6.0] * (len(sizes) - 2) + [3.0]
    slope = neuron.gamma * neuron.beta
    return tuple(
        (square / n) ** 0.5 / (slope * share) for square, n, share in zip(squares, sizes[:-1], shares, strict=True)
    )


def balanced_down(up: Sequence[float], neuron: NeuronParameters) -> tuple[float, ...]:
    """Bounds of `down` with which errors keep the size that they have in backpropagation.

    Each layer passes on alpha_{k+1} W_up^T of an error in backpropagation, and kappa (1 - lambda) W_down in the circuit
    (docs/theory, "The gradient"). They are the same, and the gains c_k no smaller in deeper layers, with W_down = s W_up^T and

        s_k = alpha_{k+1} / (kappa (1 - lambda))

    Parameters
    ----------
    up : sequence of float
        Bounds of `up`, b_1, ..., b_N (mV ms).
    neuron : NeuronParameters
        Conductances (nS), of which g_apical must be positive.

    Returns
    -------
    tuple of float
        s_k b_{k+1} of every hidden layer (normalised, mV ms).
    """
    alone = neuron.g_L + neuron.g_basal
    passed_on = neuron.g_apical / (alone + neuron.g_apical) * (1.0 - neuron.partner_share)
    shares = [neuron.g_basal / (alone + neuron.g_apical)] * (len(up) - 2) + [neuron.g_basal / alone]
    return tuple(share / passed_on * bound for share, bound in zip(shares, up[1:], strict=True))
