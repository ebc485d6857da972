# SPDX-License-Identifier: GPL-2.0-or-later
"""An hour of biological time, a million resets, an hour of training: neither memory nor the time of a step grows.

SOAK_SHARE in the environment makes all of it shorter, for trying things out: 0.01 is a hundredth.
"""

import os
import resource
import time
from dataclasses import dataclass

import numpy as np
import pytest

from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import train

SHARE = float(os.environ.get("SOAK_SHARE", "1"))
PAGE_KB = resource.getpagesize() / 1024
WARM_UP = 0.2  # of the run: until then Python, numpy and the allocator still take their share of memory
H = 0.1  # ms

RULES = {
    "tau_s below tau_Delta": {"tau_s": 1.0, "tau_Delta": 30.0},
    "equal but for rounding": {"tau_s": 0.3, "tau_Delta": 3 * 0.1},
    "a long filter": {"tau_s": 1.0, "tau_Delta": 1e4},  # of which a million resets take 3 % of an index
}


@dataclass
class Trend:
    """Straight line through values over the run, without its beginning: growth from end to end, its standard error, and the mean."""

    growth: float
    error: float
    mean: float

    @classmethod
    def of(cls, values):
        values = np.asarray(values, dtype=float)[int(WARM_UP * len(values)) :]
        x = np.linspace(0.0, 1.0, len(values))
        (slope, _), covariance = np.polyfit(x, values, 1, cov=True)
        return cls(slope, float(np.sqrt(covariance[0, 0])), float(values.mean()))

    def is_beyond(self, bound):
        """Whether there is growth that is neither chance nor below a bound."""
        return self.growth > max(3.0 * self.error, bound)


class Watch:
    """Memory (kB) and processor time (s) of this process after every piece of a run; a neighbour takes wall time only."""

    def __init__(self):
        self.memory, self.seconds = [], []
        self._last = time.process_time()

    def look(self):
        with open("/proc/self/statm") as file:
            self.memory.append(int(file.read().split()[1]) * PAGE_KB)
        now = time.process_time()
        self.seconds.append(now - self._last)
        self._last = now

    def assert_flat(self, what, memory_kB):
        memory, seconds = Trend.of(self.memory), Trend.of(self.seconds)
        share, error = (100.0 * each / seconds.mean for each in (seconds.growth, seconds.error))
        found = (
            f"{what}: memory grew by {memory.growth:.0f} +- {memory.error:.0f} kB of {memory.mean:.0f}, "
            f"the time of a piece by {share:.1f} +- {error:.1f} % of {seconds.mean:.3f} s, {len(self.memory)} pieces"
        )
        print(found)
        assert not memory.is_beyond(memory_kB), found
        # caches and clock of a processor that others use as well: the same piece takes up to 10 % more or less
        assert not seconds.is_beyond(0.1 * seconds.mean), found


def circuit(nest, cell, **rule):
    """Cells with a busy, a rare and a silent input, plastic on both dendrites, that nudge each other."""
    nest.spike_buffer_shrink_limit = 0.0  # else NEST keeps a log of every change (docs/upstream.md)
    sources = nest.Create("stimulus_population", 3, {"psi": 1.0})
    for source, value in zip(sources, (2.0, 0.001, 0.0), strict=True):
        source.stimulus_values = [value]
    cells = nest.Create("pyramidal_population", 2, {"psi": 10.0, "I_e": 0.1, **cell})
    nest.CopyModel("dendritic_error_synapse", "plastic", {"eta": 1e-9, "weight": 0.0, **rule})
    for receptor in (2, 3):
        synapse = {"synapse_model": "plastic", "receptor_type": receptor, "delay": H}
        nest.Connect(sources, cells, "all_to_all", synapse)
    nudge = {"synapse_model": "rate_connection_delayed", "receptor_type": 4, "delay": H}
    nest.Connect(cells[0], cells[1], syn_spec=nudge)
    return cells


def simulate(nest, duration, pieces=100):
    """Simulate (ms) in pieces, and watch."""
    watch = Watch()
    for _ in range(pieces):
        nest.Simulate(round(duration / pieces / H) * H)
        watch.look()
    weights = nest.GetConnections(synapse_model="plastic").weight
    assert np.all(np.isfinite(weights))
    assert np.any(np.asarray(weights) != 0.0)
    return watch


@pytest.mark.nightly
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_an_hour_of_biological_time(nest, rule):
    """3.6e7 steps without a reset."""
    cells = circuit(nest, {}, **rule)
    watch = simulate(nest, 3.6e6 * SHARE)
    # a byte for every step of a cell would be 70 MB; an allocator may take a few pages at any time
    watch.assert_flat("an hour of biological time", 500.0)
    assert max(cells.archive_bytes) < 5e5  # rings for three readers and tables for six silent synapses


@pytest.mark.nightly
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_a_million_resets(nest, rule):
    cells = circuit(nest, {"trial_duration": 0.5, "trial_reset": True}, **rule)
    watch = simulate(nest, 0.5e6 * SHARE)
    watch.assert_flat("a million resets", 500.0)  # a byte for every reset of a cell would be 2 MB
    assert max(cells.archive_bytes) < 5e5


@pytest.mark.nightly
@pytest.mark.parametrize("backend", ["spiking", "steady"])
def test_half_an_hour_of_training_each(backend):
    """Networks are built anew after every test: what they leave behind would add up."""
    end = time.monotonic() + 1800.0 * SHARE
    watch, seen = Watch(), set()

    def look(progress, record):
        if record["samples"] in seen:
            return
        seen.add(record["samples"])
        watch.look()
        if time.monotonic() > end:
            raise KeyboardInterrupt

    entries = {"training": {"epochs": 10**6, "test_interval": 10 if backend == "spiking" else 100, "stop_after": 0}}
    result = train(RunSpecification.for_task("bars", {**entries, "backend": backend}), on_progress=look)
    assert result.interrupted
    # the record of a test stays: some 60 numbers with their names, 4 kB
    watch.assert_flat(f"training, {backend}", 500.0 + 5.0 * len(seen))
