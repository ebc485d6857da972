# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer function and its slope, in numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .backend import FloatArray
from .microcircuit import Microcircuit, NeuronParameters


class CellResponse(NamedTuple):
    """Transfer function of cells side by side; numbers where all have the same, else arrays, shape (cells,).

    Attributes
    ----------
    transfer : str
        Its form.
    gamma, beta, theta : float or ndarray
        Scale (1/ms), steepness (1/mV), threshold (mV).
    """

    transfer: str
    gamma: float | FloatArray
    beta: float | FloatArray
    theta: float | FloatArray

    def of(self, cells: slice | FloatArray) -> CellResponse:
        """That of some of the cells."""
        form, gamma, beta, theta = self
        if isinstance(gamma, float) and isinstance(beta, float) and isinstance(theta, float):
            return self
        return CellResponse(form, *(v if isinstance(v, float) else v[cells] for v in (gamma, beta, theta)))


Response = NeuronParameters | CellResponse


def response_of(circuit: Microcircuit) -> CellResponse:
    """Transfer function of all cells in the order of `Microcircuit.layers`."""
    neurons = circuit.neurons
    owners = [neurons[0], *(neuron for neuron in neurons[1:] for _ in ("I", "P"))]
    counts = [cells.stop - cells.start for cells in circuit.layers.values()]

    def values(name: str) -> float | FloatArray:
        given = [getattr(neuron, name) for neuron in owners]
        return given[0] if len(set(given)) == 1 else np.repeat(given, counts)

    return CellResponse(circuit.neuron.transfer, values("gamma"), values("beta"), values("theta"))


def transfer(u: FloatArray, cells: Response, out: FloatArray | None = None) -> FloatArray:
    """Rates phi at potentials, without overflow.

    Parameters
    ----------
    u : ndarray, shape (..., cells)
        Potentials (mV).
    cells : NeuronParameters or CellResponse
        Form; with x = beta (u - theta): softplus gamma ln(1 + exp(x)), logistic gamma / (1 + exp(-x)), threshold-linear
        gamma max(0, x). gamma (1/ms), beta (1/mV), theta (mV).
    out : ndarray, optional
        Where to put the rates.

    Returns
    -------
    ndarray
        Rates (1/ms), of the shape of u.
    """
    x = np.multiply(u, cells.beta, out=out)
    form, theta, gamma = cells.transfer, cells.theta, cells.gamma
    if theta.__class__ is not float or theta != 0.0:  # an array, or not the neutral number; asked as fast as can be
        x -= cells.beta * theta
    if form == "softplus":
        y = np.copysign(x, -1.0)
        np.exp(y, out=y)
        np.log1p(y, out=y)  # several times as fast as numpy's logaddexp, and as exact
        np.maximum(x, 0.0, out=x)
        x += y
    elif form == "logistic":
        x *= 0.5
        np.tanh(x, out=x)
        x += 1.0
        x *= 0.5
    else:
        np.maximum(x, 0.0, out=x)
    if gamma.__class__ is not float or gamma != 1.0:
        x *= gamma
    return x


def transfer_slope(u: FloatArray, cells: Response) -> FloatArray:
    """Slope d phi / du (1/(ms mV)) at potentials u (mV), of `cells` as in `transfer`."""
    x = cells.beta * (u - cells.theta)
    if cells.transfer == "threshold-linear":
        linear: FloatArray = cells.gamma * cells.beta * np.where(x > 0.0, 1.0, 0.0)
        return linear
    smaller = np.exp(-np.abs(x))
    slope: FloatArray = cells.gamma * cells.beta * np.where(x >= 0.0, 1.0, smaller) / (1.0 + smaller)
    if cells.transfer == "logistic":
        slope = slope * (np.where(x >= 0.0, smaller, 1.0) / (1.0 + smaller))
    return slope


def relative_slope(u: FloatArray, cells: Response) -> FloatArray:
    """H = d ln phi / du (1/mV) at potentials u (mV), of `cells` as in `transfer`; 0 where phi is."""
    x = cells.beta * (u - cells.theta)
    if cells.transfer == "threshold-linear":
        return np.asarray(cells.beta * np.divide(1.0, x, out=np.zeros_like(x), where=x > 0.0))
    smaller = np.exp(-np.abs(x))
    if cells.transfer == "logistic":
        return np.asarray(cells.beta * np.where(x >= 0.0, smaller, 1.0) / (1.0 + smaller))
    log = np.maximum(x, 0.0) + np.log1p(smaller)  # ln(1 + exp(x)), exp(x) for x -> -inf
    share = np.where(x >= 0.0, 1.0, smaller) / (1.0 + smaller)
    return np.asarray(cells.beta * np.divide(share, log, out=np.ones_like(x), where=log > 0.0))


def rate_difference(u: FloatArray, other: FloatArray, cells: Response) -> FloatArray:
    """Mean over the last axis of the squared difference of the rates at two sets of potentials (1/ms^2)."""
    difference: FloatArray = np.mean((transfer(u, cells) - transfer(other, cells)) ** 2, axis=-1)
    return difference
