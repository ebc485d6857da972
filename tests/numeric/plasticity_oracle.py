# SPDX-License-Identifier: GPL-2.0-or-later
"""The plasticity rule as a plain sum over steps: what the archive and the synapses must reproduce.

Nothing here is shared with the module: every step of a run is visited. Step k is the one that ends at time k h; a spike at n is
emitted in step n and, with a delay of D steps, pairs with the errors of steps k > n - D.
"""

import itertools
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


def weight_at_end(rule, errors, spikes, counts, delay, weight):
    """Weight after the last error, without clipping, from the integral of the rule.

    W(T) = W(0) + eta h sum_k x_k s(k) (1 - exp(-(K - k) h / tau_Delta)), s(k) the trace of the spikes before step k.

    Parameters
    ----------
    errors : ndarray, shape (n_steps,)
        Error x_k of the steps k = 1, 2, ...
    spikes, counts : ndarray, shape (n_spikes,)
        Steps at which spikes were emitted, in order, and how many.
    delay : int
        Dendritic delay in steps.
    """
    k = np.arange(1, errors.size + 1)
    s = trace(rule, errors.size, spikes, counts, delay)
    last = k[-1] - delay  # later errors have not reached the synapse yet
    pending = np.exp(-(last - k) * rule.h / rule.tau_Delta) if rule.tau_Delta > 0 else np.zeros(k.size)
    return weight + rule.eta * rule.h * np.sum((errors * s * (1 - pending))[k <= last])


def trace(rule, n_steps, spikes, counts, delay):
    """Presynaptic trace that multiplies the error of each step k = 1, 2, ...: a spike at n acts from step n - delay + 1 on."""
    a = np.exp(-rule.h / rule.tau_s)
    first = min(1, 2 - delay)  # a spike at step 1 is paired with errors of before the start, which are 0
    impulses = np.zeros(n_steps - first + 1)
    inside = spikes - delay < n_steps
    np.add.at(impulses, (spikes - delay + 1 - first)[inside], a * counts[inside])
    return lfilter([1.0], [1.0, -a], impulses)[1 - first :]


def weight_course(rule, errors, spikes, counts, delay, resets=()):
    """Change of the weight by the times n = 0, 1, ..., n_steps, without clipping.

    A reset at time r is an infinitely long silence: spikes at n <= r see only errors of steps <= r, spikes at n > r only those of
    steps > r, and by then the filter has added all that it held.

    Parameters
    ----------
    errors, spikes, counts, delay
        As in weight_at_end.
    resets : sequence of int
        Times of the resets, in order (steps).

    Returns
    -------
    ndarray, shape (n_steps + 1,)
    """
    course = np.zeros(errors.size + 1)
    base = 0.0
    edges = [0, *(r for r in resets if 0 < r < errors.size), errors.size]
    for low, high in itertools.pairwise(edges):
        mine = (spikes > low) & (spikes <= high)
        product = errors[low:high] * trace(rule, high - low, spikes[mine] - low, counts[mine], delay)
        filtered = np.zeros(high - low)
        if rule.tau_Delta > 0:
            filtered = lfilter([1.0], [1.0, -np.exp(-rule.h / rule.tau_Delta)], product)
        change = rule.eta * rule.h * (np.cumsum(product) - filtered)
        seen = max(high - low - delay, 0)
        course[low + 1 : high - seen + 1] = base
        course[high - seen + 1 : high + 1] = base + change[:seen]
        base += rule.eta * rule.h * np.sum(product)
    return course


def clipped_weights(rule, course, times, weight):
    """Weights at these times (steps, in order), clipped at every one of them."""
    weights = []
    before = 0.0
    for change in course[times]:
        weight = min(max(weight + change - before, rule.Wmin), rule.Wmax)
        weights.append(weight)
        before = change
    return np.array(weights)
