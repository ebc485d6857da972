# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell does at which step, from the settings that it had, and the potentials of its dendrites from what arrived.

Nothing here is shared with the module, and NEST is not needed. Step k begins at time k - 1 and ends at time k, in steps.
"""

import math
from copy import copy

import numpy as np

H = 0.1  # ms
DENDRITES = {"basal": 2, "apical": 3}  # and their receptors
# of every cell of the module (docs/trials.md, ms), and of those with dendrites (docs/models.md, ms)
CLOCK = {
    "frozen": False,
    "trial_start": 0.0,
    "trial_duration": 0.0,
    "trial_reset": False,
    "learning": True,
    "learning_start": 0.0,
    "learning_stop": math.inf,
    "free_learning_start": 0.0,
    "free_learning_stop": 0.0,
    "learning_basal": "taught",
    "learning_apical": "taught",
    "readout_start": 0.0,
    "readout_stop": 0.0,
}
CUTTING = ("trial_start", "trial_duration", "readout_start", "readout_stop")
PYRAMIDAL = CLOCK | {"tau_basal": 1.0, "tau_apical": 1.0, "tau_syn_basal": 0.0, "tau_syn_apical": 0.0}


def steps(ms):
    """A time in steps; infinity stays what it is."""
    return round(ms / H) if math.isfinite(ms) else ms


class Course:
    """Settings of a cell in the course of time.

    Parameters
    ----------
    made : int
        Time at which the cell was created (steps).
    settings : dict
        As in CLOCK or PYRAMIDAL.
    """

    def __init__(self, made, settings):
        self.made = made
        self.now = made
        self.settings = dict(settings)
        self.spans = []  # (begin, end, settings)
        self.by_hand = {part: {} for part in ("soma", *DENDRITES)}  # potentials that were set, by time (mV)
        self.last_awake = 0  # until when it was not frozen (steps)
        self.emptied = made  # when the read-outs were (steps)
        self.cuts = set()  # when a read-out window was broken off (steps)

    def set(self, changes):
        """Change settings and potentials now; trial_start empties the read-outs, other trials or windows break one off."""
        before = self.settings
        self.settings = before | {key: changes[key] for key in before.keys() & changes}
        if any(self.settings[key] != before[key] for key in CUTTING):
            self.cuts.add(self.now)
        for part, by_hand in self.by_hand.items():
            if f"V_{part}" in changes:
                by_hand[self.now] = changes[f"V_{part}"]
        if "trial_start" in changes:
            self.emptied = self.now

    def go_on(self, end):
        """Simulate until this time (steps)."""
        if self.spans and self.spans[-1][2] is self.settings:
            self.spans[-1] = (self.spans[-1][0], end, self.settings)
        else:
            self.spans.append((self.now, end, self.settings))
        self.now = end
        if not self.settings["frozen"]:
            self.last_awake = end

    def work_out(self):
        """Work out for every step what the cell does; arrays by the time at which a step begins, shape (now,)."""
        self.frozen = np.ones(self.now, dtype=bool)  # as if, before it was made
        self.learns = {dendrite: np.zeros(self.now, dtype=bool) for dendrite in DENDRITES}
        self.reads = np.zeros(self.now, dtype=bool)
        self.ends_window = np.zeros(self.now, dtype=bool)
        resets = np.zeros(self.now, dtype=bool)
        for begin, end, s in self.spans:
            here = slice(begin, end)
            t = np.arange(begin, end)
            started = t >= steps(s["trial_start"])
            phase = t - steps(s["trial_start"])
            if s["trial_duration"] > 0:
                phase %= steps(s["trial_duration"])

            def inside(name, s=s, started=started, phase=phase):
                return started & (phase >= steps(s[f"{name}_start"])) & (phase < steps(s[f"{name}_stop"]))

            taught, free = inside("learning"), inside("free_learning")
            windows = {"taught": taught, "free": free, "both": taught | free}
            for dendrite, learns in self.learns.items():
                learns[here] = s["learning"] & ~np.bool_(s["frozen"]) & windows[s[f"learning_{dendrite}"]]
            self.frozen[here] = s["frozen"]
            self.reads[here] = inside("readout")
            self.ends_window[here] = inside("readout") & (phase + 1 == steps(s["readout_stop"]))
            resets[here] = s["trial_reset"] & started & (phase == 0)
        self.resets = set(np.flatnonzero(resets).tolist())

    def is_lost(self, sent, arrives):
        """Whether what was sent in one step and arrives in another does not reach the cell (steps)."""
        return self.frozen[arrives - 1] or any(sent <= r < arrives for r in self.resets)

    def potential(self, dendrite, inputs):
        """Potential of a dendrite at the times 0, 1, ..., now (mV).

        Parameters
        ----------
        inputs : ndarray, shape (now + 1,)
            Sum of the weights of the spikes that arrive in each step k (mV ms).
        """
        V, synaptic = 0.0, 0.0
        values = np.zeros(self.now + 1)
        by_hand = self.by_hand[dendrite]
        for begin, end, s in self.spans:
            keep = decay(s[f"tau_{dendrite}"])
            keep_synaptic = decay(s[f"tau_syn_{dendrite}"])
            for t in range(begin, end):
                V = by_hand.get(t, V)
                if t in self.resets:
                    V = synaptic = 0.0
                if not s["frozen"]:
                    synaptic = keep_synaptic * synaptic + (1 - keep_synaptic) * inputs[t + 1] / H
                    V = keep * V + (1 - keep) * synaptic
                values[t + 1] = V
        return values

    def standing(self, part, recorded):
        """Potential by the time at which a step begins, from its records by steps, NaN in a frozen cell: it stands still (mV)."""
        V = 0.0
        values = np.zeros(self.now)
        by_hand = self.by_hand[part]
        for t in range(self.made, self.now):
            V = by_hand.get(t, V)
            if t in self.resets:
                V = 0.0
            V = V if self.frozen[t] else recorded[t + 1]
            values[t] = V
        return values

    def readouts(self, V, begin, end):
        """Means of a potential over the read-out windows of the time from begin to end (steps; mV)."""
        means, window = [], []
        for t in range(begin, end):
            if t in self.cuts:
                window = []
            if self.reads[t]:
                window.append(V[t])
                if self.ends_window[t]:
                    means.append(np.mean(window))
                    window = []
        return means


def decay(tau):
    """What is left after a step with this time constant (ms); 0: nothing."""
    return math.exp(-H / tau) if tau > 0 else 0.0


class Static:
    """A synapse that does not learn, to which happens what may happen to plasticity_oracle.Replay."""

    def __init__(self, weight):
        self.weight = weight

    def spikes(self, n, count):
        """Spikes of step n arrive; returns the weights with which they are sent (mV ms)."""
        return [self.weight] * count

    def read(self, time):
        """Weight at a time (steps)."""
        return self.weight

    def set(self, time, weight):
        """Set the weight at a time (steps)."""
        self.weight = weight


class RateSynapse:
    """dendritic_error_rate_synapse, step by step (docs/theory.md, "Rate networks").

    Parameters
    ----------
    errors, delay, weight, resets
        As in plasticity_oracle.Replay.
    received : int
        Step of the last rate that came before the synapse was made.
    """

    def __init__(self, rule, errors, delay, weight, resets, received):
        self.rule = rule
        self.errors = errors
        self.delay = delay
        self.weight = weight
        self.resets = resets
        self.received = received
        self.at = received  # the weight is that of the rate of this step
        self.first = 0  # errors up to here are those of before a reset (steps)
        self.trace = 0.0  # that the next error meets (1/ms)
        self.held = 0.0  # error times trace in the filter
        self.keep_trace, self.keep_held = decay(rule.tau_s), decay(rule.tau_Delta)
        self.gain = self.keep_trace * H / rule.tau_s if rule.tau_s > 0 else 1.0

    def rate(self, n, value):
        """The rate of step n arrives (1/ms; NaN: none); returns the weight with which it is sent (mV ms)."""
        self._go_to(n)
        weight = self.weight
        self.trace *= self.keep_trace
        if not math.isnan(value):
            self.trace += self.gain * value
        self.received = n
        return weight

    def read(self):
        """The weight of the rate that comes next (mV ms)."""
        ahead = copy(self)
        ahead._go_to(self.received + 1)
        return ahead.weight

    def set(self, weight):
        """Set it."""
        self._go_to(self.received + 1)
        self.weight = weight

    def _go_to(self, n):
        if n == self.at:
            return
        self.at = n
        if n - 1 not in self.resets:
            self._see(n - self.delay)
            return
        for k in range(n - self.delay, n):
            self._see(k)
            self.trace *= self.keep_trace
        self.weight = self.rule.clip(self.weight + self.rule.eta * H * self.held)
        self.trace = self.held = 0.0
        self.first = n - 1

    def _see(self, k):
        """Take the error of step k in."""
        product = self.errors[k - 1] * self.trace if k > self.first else 0.0
        filtered = self.rule.tau_Delta > 0
        change = (1 - self.keep_held) * self.held if filtered else product
        self.weight = self.rule.clip(self.weight + self.rule.eta * H * change)
        self.held = self.keep_held * self.held + product if filtered else 0.0
