# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer function and its slope, in numpy."""

from __future__ import annotations

import numpy as np

from .backend import FloatArray
from .microcircuit import NeuronParameters


def transfer(u: FloatArray, neuron: NeuronParameters, out: FloatArray | None = None) -> FloatArray:
    """Rates at potentials: phi(u) = gamma ln(1 + exp(beta (u - theta))), without overflow.

    Parameters
    ----------
    u : ndarray
        Potentials (mV).
    neuron : NeuronParameters
        gamma (1/ms), beta (1/mV), theta (mV).
    out : ndarray, optional
        Where to put the rates.

    Returns
    -------
    ndarray
        Rates (1/ms), of the shape of u.
    """
    x = np.multiply(u, neuron.beta, out=out)
    if neuron.theta != 0.0:
        x -= neuron.beta * neuron.theta
    y = np.copysign(x, -1.0)
    np.exp(y, out=y)
    np.log1p(y, out=y)  # several times as fast as numpy's logaddexp, and as exact
    np.maximum(x, 0.0, out=x)
    x += y
    if neuron.gamma != 1.0:
        x *= neuron.gamma
    return x


def transfer_slope(u: FloatArray, neuron: NeuronParameters) -> FloatArray:
    """Slope d phi / du (1/(ms mV)) at potentials u (mV): gamma beta / (1 + exp(-beta (u - theta)))."""
    x = neuron.beta * (u - neuron.theta)
    smaller = np.exp(-np.abs(x))
    slope: FloatArray = neuron.gamma * neuron.beta * np.where(x >= 0.0, 1.0, smaller) / (1.0 + smaller)
    return slope


def rate_difference(u: FloatArray, other: FloatArray, neuron: NeuronParameters) -> FloatArray:
    """Mean over the last axis of the squared difference of the rates at two sets of potentials (1/ms^2)."""
    difference: FloatArray = np.mean((transfer(u, neuron) - transfer(other, neuron)) ** 2, axis=-1)
    return difference
