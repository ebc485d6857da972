# SPDX-License-Identifier: GPL-2.0-or-later
"""A network without a simulator, that learns its task by the delta rule."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pynest_tools import cli
from pynest_tools.networks.backend import DivergenceError, TrialResult
from pynest_tools.runs import training


def interrupt(trial):
    return KeyboardInterrupt()


def diverge(trial):
    return DivergenceError("V_soma of hidden cell 3 is 1e9 mV", trial)


class FakeNetwork:
    """Linear in the products of two inputs; learning sample number `fail_at` raises `failure`."""

    chunk_samples = 100

    def __init__(self, circuit, weights, seed_sequence):
        self.weights = weights
        self.seed = seed_sequence.generate_state(1)[0]
        self.map = np.zeros((circuit.sizes[-1], circuit.sizes[0] ** 2))
        self.simulation_time_s = 0.0
        self.calls = []
        self.learned = 0
        self.fail_at = None
        self.failure = interrupt

    def run(self, stimuli, targets, *, learn):
        start = time.perf_counter()
        self.calls.append((len(stimuli), targets is not None, learn))
        inputs = np.einsum("ni,nj->nij", stimuli, stimuli).reshape(len(stimuli), -1)
        output = np.empty((len(inputs), len(self.map)))
        for trial, sample in enumerate(inputs):
            output[trial] = self.map @ sample
            if learn:
                if self.learned == self.fail_at:
                    raise self.failure(trial)
                self.map += 0.05 * np.outer(targets[trial] - output[trial], sample)
                self.learned += 1
        self.simulation_time_s += time.perf_counter() - start
        return TrialResult(output, output.copy(), np.full(len(inputs), 0.1), np.full(len(inputs), 0.01))

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


@pytest.fixture
def failing(networks):
    """Makes networks built from now on fail at a learned sample: ``failing(at=5, by="divergence")``."""

    def prepare(*, at, by):
        networks.prepare.update(fail_at=at, failure={"divergence": diverge, "ctrl-c": interrupt}[by])

    return prepare


@pytest.fixture
def networks(monkeypatch):
    """List of the networks that the code under test has built; entries of `prepare` change each new one."""

    class Built(list):
        """All networks, oldest first."""

    built = Built()
    built.prepare = {}

    def build(_backend, circuit, weights, seed_sequence, _batch_size=1):
        network = FakeNetwork(circuit, weights, seed_sequence)
        for former in built:  # what it has learned is passed on with its weights
            if former.weights is weights:
                network.map, network.learned = former.map.copy(), former.learned
        for name, value in built.prepare.items():
            setattr(network, name, value)
        built.append(network)
        return network

    monkeypatch.setattr(training, "build_network", build)
    monkeypatch.setattr(cli, "build_network", build)
    return built
