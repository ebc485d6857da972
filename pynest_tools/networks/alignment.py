# SPDX-License-Identifier: GPL-2.0-or-later
"""How `down` learns by alignment where rates are sent with a known noise."""

from __future__ import annotations

import numpy as np

from .backend import FloatArray


def aligned_change(
    W: FloatArray, X: FloatArray, R: FloatArray, s: FloatArray, eta: FloatArray, decay: float
) -> FloatArray:
    """What alignment changes in weights in a time, summed over the samples that are presented side by side (mV ms).

    With a = decay R s, the weight of one sample goes from W to exp(-a) W + eta X s (1 - exp(-a)) / a, to which
    dW/dt = (eta X s - decay R s W) / time leads.

    Parameters
    ----------
    W : ndarray, shape (..., post, pre)
        Weights (mV ms).
    X, R : ndarray, shape (..., n, post)
        Innovations and rates of the postsynaptic cells (1/ms).
    s : ndarray, shape (..., n, pre)
        Rates of the presynaptic cells (1/ms).
    eta : ndarray, shape (..., post, pre)
        Learning rate times the time (mV ms^3).
    decay : float
        Decay per unit of both rates, times the time (ms^2).
    """
    if decay == 0.0:
        return np.asarray(eta * (X.swapaxes(-1, -2) @ s))
    a = decay * R[..., :, np.newaxis] * s[..., np.newaxis, :]
    lost = -np.expm1(-a)
    meanwhile = np.divide(lost, a, out=np.ones_like(a), where=a != 0.0)
    gained = eta[..., np.newaxis, :, :] * X[..., :, np.newaxis] * s[..., np.newaxis, :] * meanwhile
    return np.asarray(np.sum(gained - lost * W[..., np.newaxis, :, :], axis=-3))
