# SPDX-License-Identifier: GPL-2.0-or-later
"""The plasticity rule as a plain sum over steps: what the archive and the synapses must reproduce.

Nothing here is shared with the module: every step of a run is visited.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter


@dataclass(frozen=True)
class Rule:
    """Constants of a plastic synapse (ms; weights in mV ms)."""

    eta: float
    tau_s: float
    tau_Delta: float
    h: float = 0.1
    Wmin: float = -np.inf
    Wmax: float = np.inf


def weight_at_end(rule, errors, spikes, counts, delay, weight, *, start=0):
    """Weight after the last error, without clipping, from the integral of the rule.

    W(T) = W(0) + eta h sum_k x_k s(k) (1 - exp(-(K - k) h / tau_Delta)), s(k) the trace of the spikes before step k.

    Parameters
    ----------
    errors : ndarray, shape (n_steps,)
        Error x_k of the steps k = 1, 2, ...
    spikes, counts : ndarray, shape (n_spikes,)
        Steps at which spikes were emitted, in order, and how many.
    delay : int
        Dendritic delay in steps: a spike at n pairs with the errors of steps k > n - delay.
    start : int
        Step at which the connection was made.
    """
    k = np.arange(1, errors.size + 1)
    s = trace(rule, k, spikes, counts, delay)
    last = k[-1] - delay  # later errors have not reached the synapse yet
    pending = np.exp(-(last - k) * rule.h / rule.tau_Delta) if rule.tau_Delta > 0 else np.zeros(k.size)
    seen = (k <= last) & (k > start - delay)
    return weight + rule.eta * rule.h * np.sum((errors * s * (1 - pending))[seen])


def trace(rule, k, spikes, counts, delay):
    """Presynaptic trace that multiplies the error of each step k = 1, 2, ...: a spike at n acts from step n - delay + 1 on."""
    a = np.exp(-rule.h / rule.tau_s)
    first = min(1, 1 - delay + 1)  # a spike at step 1 is paired with errors of before the start, which are 0
    impulses = np.zeros(k[-1] - first + 1)
    np.add.at(impulses, (spikes - delay + 1 - first)[spikes - delay < k[-1]], a * counts[spikes - delay < k[-1]])
    return lfilter([1.0], [1.0, -a], impulses)[1 - first :]


def weights_at_spikes(rule, errors, spikes, counts, delay, weight):
    """Weights with which the spikes are transmitted, clipped at every spike; the last entry is the weight at the end.

    Between two spikes the unclipped integral is summed directly over the steps between them.
    """
    n_steps = errors.size
    k_all = np.arange(1, n_steps + 1)
    s = trace(rule, k_all, spikes, counts, delay)
    product = errors * s
    weights = []
    filtered, k0 = 0.0, -delay
    for n in [*spikes, n_steps]:
        k1 = n - delay
        inside = (k_all > k0) & (k_all <= k1)
        k = k_all[inside]
        now = product[inside]
        if rule.tau_Delta > 0:
            new = filtered * np.exp(-(k1 - k0) * rule.h / rule.tau_Delta) + np.sum(
                now * np.exp(-(k1 - k) * rule.h / rule.tau_Delta)
            )
        else:
            new = 0.0
        weight = np.clip(weight + rule.eta * rule.h * (np.sum(now) - (new - filtered)), rule.Wmin, rule.Wmax)
        weights.append(weight)
        filtered, k0 = new, k1
    return np.array(weights)
