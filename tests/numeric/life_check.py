# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares what was read and recorded in the life of a kernel with life_oracle.py and plasticity_oracle.py."""

import math
from collections import defaultdict

import numpy as np
from kernel_life import RECORDED, ms
from life_book import RATE_PLASTIC, SIGNALS
from life_oracle import DENDRITES, H, RateSynapse, Static
from plasticity_oracle import Replay, largest_sum


def check(life):
    """End a life and compare all of it.

    Parameters
    ----------
    life : kernel_life.Life
    """
    if life.prepared:
        life.cleanup()
    life.read()
    check_settings(life, life.pyramidal())
    for cell in life.cells:
        cell.course.work_out()
    life.nest.Simulate(ms(3 * life.min_delay))  # multimeters hand out their last values after a further slice
    Comparison(life).check()


def check_settings(life, cells):
    """Cells have the settings that they were given, and a bounded archive, however long their synapses have been silent."""
    for cell, values in zip(cells, life.read_out(cells)):
        for name, expected in cell.course.settings.items():
            # rounding of steps * 0.1 ms
            assert values[name] == expected or math.isclose(values[name], expected), (cell.id, name)
        n_plastic = sum(synapse.rule is not None and synapse.target is cell for synapse in life.synapses)
        assert values["archive_bytes"] <= most_bytes(life, n_plastic)


def most_bytes(life, n_plastic):
    """Bound of the memory of the archive of a cell."""
    span = 2 * (life.min_delay + life.max_delay + 1)  # of the ring, rounded up to a power of 2 (steps)
    # There may have been a reset in each of these steps, after which indices go on a span later. An epoch is a step at least; 45
    # are not final, one more is kept for every synapse that had its last spike there, and a table doubles when full.
    epochs = 2 * (span * (span + 45) + n_plastic)
    # 16 bytes each, for two kernels of two traces of two dendrites, next to the rings of sums and resets
    return 8 * 16 * epochs + 6 * 16 * span


class Comparison:
    """What was recorded in a life, all times in steps."""

    def __init__(self, life):
        self.life = life
        self.now = life.now
        self.spikes = self._spikes()
        self.records = self._records(life.multimeter, life.pyramidal(), RECORDED)
        stimuli = [cell for cell in life.cells if cell.kind.startswith("stimulus")]
        self.records |= self._records(life.stimulus_meter, stimuli, ("V_prospective", "rate"))
        # by target and receptor: (sent, arrives, value times weight, rounding)
        self.received = defaultdict(list)

    def check(self):
        """Compare."""
        for synapse in self.life.synapses:
            if synapse.model.kind in SIGNALS:
                self._check_signal(synapse)
            else:
                self._check_synapse(synapse)
        for cell in self.life.pyramidal():
            for dendrite in DENDRITES:
                self._check_potential(cell, dendrite)
            self._check_nudging(cell)
            self._check_readouts(cell)

    def _spikes(self):
        """Spikes of every cell: counts by step. A frozen cell sends none."""
        events = self.life.recorder.get("events")
        steps = np.round(events["times"] / H).astype(int)
        spikes = {}
        for cell in self.life.cells:
            mine = steps[(events["senders"] == cell.id) & (steps <= self.now)]
            assert not np.any(cell.course.frozen[mine - 1])
            values, counts = np.unique(mine, return_counts=True)
            spikes[cell.id] = dict(zip(values.tolist(), counts.tolist()))
        return spikes

    def _records(self, multimeter, cells, names):
        """Values by step, NaN where there is none: in the steps of a frozen cell, and before it was made."""
        events = multimeter.get("events")
        steps = np.round(events["times"] / H).astype(int)
        records = {}
        for cell in cells:
            mine = (events["senders"] == cell.id) & (steps <= self.now)
            assert np.array_equal(steps[mine], np.flatnonzero(~cell.course.frozen) + 1)
            records[cell.id] = {name: np.full(self.now + 1, np.nan) for name in names}
            for name, values in records[cell.id].items():
                values[steps[mine]] = events[name][mine]
        return records

    def _arrives_at(self, synapse, n):
        """Whether what was sent in step n reaches a synapse."""
        return synapse.time <= self.life.arrival(n) < (self.now if synapse.until is None else synapse.until)

    def _archived(self, synapse):
        """Errors of all steps that the dendrite has archived."""
        dendrite, course = synapse.model.receptor, synapse.target.course
        errors = np.where(course.learns[dendrite], self.records[synapse.target.id][f"error_{dendrite}"][1:], 0.0)
        errors[: synapse.kept_since] = 0.0
        return errors

    @staticmethod
    def _largest_weight(synapse):
        return max(map(abs, [synapse.weight, *(value for action, _, value in synapse.history if action != "bounds")]))

    # ---- spikes ---------------------------------------------------------------------------------------------------------

    def _check_synapse(self, synapse):
        """The weights that were read and recorded."""
        mine = self.spikes[synapse.source.id].items()
        spikes = {n: count for n, count in mine if self._arrives_at(synapse, n)}
        replay, tolerance = Static(synapse.weight), 0.0
        if synapse.rule:
            errors = self._archived(synapse)
            replay = Replay(synapse.rule, errors.tolist(), synapse.delay, synapse.weight, synapse.target.course.resets)
            steps, counts = np.array(sorted(spikes.items()), dtype=int).reshape(-1, 2).T
            # 1e-12 is some thousand roundings of a sum of errors; the weight itself is rounded at every spike
            tolerance = 1e-12 * largest_sum(synapse.rule, errors, steps, counts)
            tolerance += 1e-13 * self._largest_weight(synapse)
        sent = {}
        last = synapse.weight  # at the last spike
        waiting = sorted(spikes)
        for action, time, value in [*synapse.history, ("end", math.inf, 0.0)]:
            while waiting and self.life.arrival(waiting[0]) < time:
                n = waiting.pop(0)
                sent[n] = replay.spikes(n, spikes[n])
                last = sent[n][-1]
                if synapse.source.is_population:  # one event, so that there is one weight
                    sent[n] = [last] * spikes[n]
            if action == "read":
                expected = last if synapse.model.steps else replay.read(time)
                assert abs(expected - value) <= tolerance, (synapse.key, time, value, expected, tolerance)
            elif action == "set":
                in_past = synapse.model.steps and replay.time is not None  # the weight is that at the last spike
                replay.set(replay.time if in_past else time, value)
                last = value
            elif action == "bounds":
                replay.rule = value
        place = self.received[synapse.target.id, synapse.model.receptor]
        place += [(n, n + synapse.delay, sum(weights), len(weights) * tolerance) for n, weights in sent.items()]
        if synapse.model.recorder:
            self._check_recorder(synapse, sent, tolerance)

    def _check_recorder(self, synapse, sent, tolerance):
        """The weight_recorder has seen the same."""
        events = synapse.model.recorder.get("events")
        mine = (events["senders"] == synapse.source.id) & (events["targets"] == synapse.target.id)
        records = defaultdict(list)
        for time, weight in zip(events["times"][mine].tolist(), events["weights"][mine].tolist()):
            if self._arrives_at(synapse, round(time / H)):
                records[round(time / H)].append(weight)
        assert records.keys() == sent.keys()
        for n, weights in records.items():
            expected = sent[n][:1] if synapse.source.is_population else sent[n]
            assert np.all(np.abs(np.subtract(weights, expected)) <= tolerance)

    # ---- signals --------------------------------------------------------------------------------------------------------

    def _signals(self, synapse):
        """Steps and values of the signals that reach a synapse; NEST forgets those of the last slice when a network grows."""
        name = "V_prospective" if synapse.model.receptor == "nudge" else "rate"
        sent = self.records[synapse.source.id][name].copy()
        for growth in self.life.growths:
            sent[max(0, growth - self.life.min_delay + 1) : growth + 1] = math.nan
        return [(n, sent[n]) for n in range(1, self.now + 1) if self._arrives_at(synapse, n)]

    def _check_signal(self, synapse):
        """The weights that were read, plastic ones with their course."""
        signals = self._signals(synapse)
        plastic, tolerance = None, 0.0
        if synapse.model.kind == RATE_PLASTIC:
            errors = self._archived(synapse)
            received = self.life.arrival(synapse.time) - self.life.min_delay
            course = synapse.target.course
            plastic = RateSynapse(synapse.rule, errors, synapse.delay, synapse.weight, course.resets, received)
            largest = np.nanmax(np.abs([value for _, value in signals]), initial=0.0)
            # as for spikes; the trace is a mean of rates
            tolerance = 1e-12 * abs(synapse.rule.eta) * H * np.abs(errors).sum() * largest
            tolerance += 1e-13 * self._largest_weight(synapse)
        weight = synapse.weight
        place = self.received[synapse.target.id, synapse.model.receptor]
        factor = 1.0 if synapse.model.receptor == "nudge" else H
        for action, time, value in [*synapse.history, ("end", math.inf, 0.0)]:
            while signals and self.life.arrival(signals[0][0]) < time:
                n, signal = signals.pop(0)
                weight = plastic.rate(n, signal) if plastic else weight
                if not math.isnan(signal):
                    place.append((n, n + synapse.delay, weight * signal * factor, tolerance * abs(signal) * factor))
            if action == "read":
                expected = plastic.read() if plastic else weight
                assert abs(expected - value) <= tolerance, (synapse.key, time, value, expected, tolerance)
            elif action == "set":
                weight = value
                if plastic:
                    plastic.set(value)
            elif action == "bounds":
                plastic.rule = value

    # ---- cells ----------------------------------------------------------------------------------------------------------

    def _check_potential(self, cell, dendrite):
        """The recorded potential is that of the spikes and rates that arrived."""
        times, weights = cell.drives[dendrite]
        delay = self.life.min_delay
        received = [(n, n + delay, weight, 0.0) for n, weight in zip(times.tolist(), weights.tolist())]
        inputs = np.zeros(self.now + 1)
        rounding = 0.0
        for n, k, weight, tolerance in received + self.received[cell.id, dendrite]:
            if k <= self.now and not cell.course.is_lost(n, k):
                inputs[k] += weight
                rounding = max(rounding, tolerance)
        V = cell.course.potential(dendrite, inputs)
        # rounding of sums of some ten weights, and of what the dendrite keeps
        tolerance = 1e-12 * max(np.abs(V).max(), np.abs(inputs).max() / H) + 10 * rounding / H
        difference = np.abs(V - self.records[cell.id][f"V_{dendrite}"])[1:][~cell.course.frozen]
        assert np.all(difference <= tolerance), (cell.id, dendrite, difference.max(), tolerance)

    def _check_nudging(self, cell):
        """The recorded nudging potential is the sum of what arrived, NaN if nothing did."""
        expected = np.full(self.now + 1, np.nan)
        for n, k, value, _ in self.received[cell.id, "nudge"]:
            if k <= self.now and not cell.course.is_lost(n, k):
                expected[k] = np.nan_to_num(expected[k]) + value
        recorded = self.records[cell.id]["V_nudge"]
        awake = np.flatnonzero(~cell.course.frozen) + 1
        # rounding of a sum of some potentials
        close = np.isclose(recorded[awake], expected[awake], rtol=1e-12, atol=1e-12, equal_nan=True)
        assert np.all(close), (cell.id, awake[~close][:3], recorded[awake[~close]][:3], expected[awake[~close]][:3])

    def _check_readouts(self, cell):
        """The read-outs are the means of the recorded potentials; those of a frozen cell stand still."""
        for part in ("soma", *DENDRITES):
            V = cell.course.standing(part, self.records[cell.id][f"V_{part}"])
            for end, begin, means in cell.readouts:
                expected = cell.course.readouts(V, begin, end)
                read = means[f"readout_V_{part}"]
                assert len(read) == len(expected), (cell.id, part, begin, end, read, expected)
                # rounding of the sum of a window
                assert np.allclose(read, expected, rtol=1e-12, atol=1e-13 * np.abs(V).max(initial=0.0))
