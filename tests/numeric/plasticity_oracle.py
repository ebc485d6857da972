# SPDX-License-Identifier: GPL-2.0-or-later
"""The plasticity rule as a plain sum over steps: what the archive and the synapses must reproduce.

Nothing here is shared with the module: every step of a run is visited. Step k is the one that ends at time k h; a spike at n is
emitted in step n and, with a delay of D steps, pairs with the errors of steps k > n - D.
"""

import itertools
import math
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter


@dataclass(frozen=True)
class Rule:
    """Constants of a plastic synapse (ms; weights in mV ms); with tau_m the trace is that of a postsynaptic potential."""

    eta: float
    tau_s: float
    tau_Delta: float
    h: float = 0.1
    Wmin: float = -np.inf
    Wmax: float = np.inf
    tau_m: float | None = None

    def exponentials(self):
        """Exponentials of which the trace is the sum: factors and time constants (ms)."""
        if self.tau_m is None:
            return [(1.0, self.tau_s)]
        factor = self.tau_m / (self.tau_m - self.tau_s)
        return [(factor, self.tau_m), (-factor, self.tau_s)]

    def clip(self, weight):
        """Nearest weight within the bounds."""
        return min(max(weight, self.Wmin), self.Wmax)


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
    if rule.tau_m is not None:  # everything is linear in the trace
        parts = [(factor, replace(rule, tau_s=tau, tau_m=None)) for factor, tau in rule.exponentials()]
        return sum(factor * weight_course(part, errors, spikes, counts, delay, resets) for factor, part in parts)
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
        weight = rule.clip(weight + change - before)
        weights.append(weight)
        before = change
    return np.array(weights)


def largest_sum(rule, errors, spikes, counts):
    """Change of the weight if the trace always had its largest value and every part of it counted positively (mV ms).

    Rounding of sums of errors, whatever their order, is relative to this.

    Parameters
    ----------
    errors, spikes, counts
        As in weight_at_end.
    """
    largest = 0.0
    for factor, tau in rule.exponentials():
        inside = spikes <= errors.size
        impulses = np.bincount(spikes[inside], counts[inside], errors.size + 1)
        largest += abs(factor) * lfilter([1.0], [1.0, -np.exp(-rule.h / tau)], impulses).max()
    return abs(rule.eta) * rule.h * np.sum(np.abs(errors)) * largest


class Replay:
    """A plastic synapse to which things happen in the order of the calls, brought forward step by step.

    Before its first spike nothing but a setting can change the weight.

    Parameters
    ----------
    errors : ndarray, shape (n_steps,)
        Error of the steps k = 1, 2, ...; 0 where it was not archived.
    delay : int
        Dendritic delay in steps.
    weight : float
        Weight with which the synapse was made (mV ms).
    resets : set of int
        Times of the resets, endless silences as in weight_course (steps).
    """

    def __init__(self, rule, errors, delay, weight, resets=()):
        self.rule = rule
        self.errors = errors
        self.delay = delay
        self.resets = resets
        self.factors = [factor for factor, _ in rule.exponentials()]
        self.decays = [math.exp(-rule.h / tau) for _, tau in rule.exponentials()]
        self.fading = math.exp(-rule.h / rule.tau_Delta) if rule.tau_Delta > 0 else 0.0  # of what the filter holds
        self.weight = weight  # with all that the filter holds (mV ms)
        self.pending = 0.0  # what the filter holds (mV ms)
        self.traces = [0.0] * len(self.factors)
        self.time = None  # steps; None before the first spike
        self.first = 0  # errors up to here are those of before a reset (steps)
        self.ahead = None  # a copy that has gone on to the last reading

    def spikes(self, n, count):
        """Spikes of step n arrive; returns the weights with which they are sent (mV ms).

        They may be of before a setting of the weight: then their shares, and another clipping, come after it, one by one.
        """
        self.ahead = None
        if self.time is None:
            self.time = n
            self.first = max((r for r in self.resets if r < n), default=0)
        if n < self.time:
            return [self._late_spike(n) for _ in range(count)]
        self._go_to(n)
        self.traces = [s + count for s in self.traces]
        return [self._clip()] * count

    def read(self, time):
        """Weight at a time (steps); nothing changes."""
        self.ahead = self.ahead or copy(self)
        self.ahead._go_to(time)
        return self.rule.clip(self.ahead.weight - self.ahead.pending)

    def set(self, time, weight):
        """Set the weight at a time (steps); the filter adds what it holds later on."""
        self.ahead = None
        self._go_to(time)
        self.weight = weight + self.pending

    def _late_spike(self, n):
        unbounded = replace(self.rule, Wmin=-np.inf, Wmax=np.inf)
        share = Replay(unbounded, self.errors, self.delay, 0.0, self.resets)
        share.spikes(n, 1)
        share._go_to(self.time)
        self.weight += share.weight
        self.pending += share.pending
        self.traces = [s + t for s, t in zip(self.traces, share.traces)]
        return self._clip()

    def _clip(self):
        weight = self.rule.clip(self.weight - self.pending)
        self.weight = weight + self.pending
        return weight

    def _go_to(self, time):
        if self.time is None:
            return
        for n in range(self.time + 1, time + 1):
            if n - 1 in self.resets:
                for k in range(n - self.delay, n):
                    self._see(k)
                self.pending = 0.0
                self.traces = [0.0] * len(self.traces)
                self.first = n - 1
            self._see(n - self.delay)
        self.time = time

    def _see(self, k):
        """Take the error of step k in."""
        self.traces = [a * s for a, s in zip(self.decays, self.traces)]
        self.pending *= self.fading
        if k > self.first:
            s = sum(factor * s for factor, s in zip(self.factors, self.traces))
            change = self.rule.eta * self.rule.h * self.errors[k - 1] * s
            self.weight += change
            if self.rule.tau_Delta > 0:
                self.pending += change
