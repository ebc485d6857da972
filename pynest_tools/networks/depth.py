# SPDX-License-Identifier: GPL-2.0-or-later
"""Initial weights with which rates and errors keep their size from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .microcircuit import Microcircuit


def balanced_up(circuit: Microcircuit) -> tuple[float, ...]:
    """Bounds of `up` with which rates keep their size from layer to layer.

    Uniform weights within +-b have the variance b^2 / 3, so that v^ = alpha W r has the mean square n (alpha b)^2 / 3 times that of
    the n rates r. A hidden cell whose phi is nearly linear above a threshold at 0 mV passes on half of it, times (gamma beta)^2:

        b_k = sqrt(6 / n_{k-1}) / (gamma beta alpha_k),    b_N = sqrt(3 / n_{N-1}) / (gamma beta alpha_N)

    (He et al. 2015; the outputs', which are not passed on, as LeCun et al. 1998; docs/theory, "Depth").

    Parameters
    ----------
    circuit : Microcircuit
        Sizes, conductances (nS), gamma (1/ms) and beta (1/mV).

    Returns
    -------
    tuple of float
        b_1, ..., b_N (normalised, mV ms).
    """
    squares = [6.0] * circuit.n_hidden + [3.0]
    parts = zip(squares, circuit.sizes[:-1], circuit.neurons, circuit.prediction_factors, strict=True)
    return tuple((square / n) ** 0.5 / (cell.gamma * cell.beta * share) for square, n, cell, share in parts)


def balanced_down(up: Sequence[float], circuit: Microcircuit) -> tuple[float, ...]:
    """Bounds of `down` with which errors keep the size that they have in backpropagation.

    Each layer passes on alpha_{k+1} W_up^T of an error in backpropagation, and kappa (1 - lambda) W_down in the circuit
    (docs/theory, "The gradient"). They are the same, and the gains c_k no smaller in deeper layers, with W_down = s W_up^T and

        s_k = alpha_{k+1} / (kappa (1 - lambda))

    Parameters
    ----------
    up : sequence of float
        Bounds of `up`, b_1, ..., b_N (mV ms).
    circuit : Microcircuit
        Conductances (nS), of which that of the dendrite with `down` must be positive.

    Returns
    -------
    tuple of float
        s_k b_{k+1} of every hidden layer (normalised, mV ms).
    """
    passed_on = [
        cell.g_top_down / cell.g_hidden * (1.0 - above.partner_share) for cell, above in pairwise(circuit.neurons)
    ]
    parts = zip(circuit.prediction_factors[1:], passed_on, up[1:], strict=True)
    return tuple(share / passed * bound for share, passed, bound in parts)
