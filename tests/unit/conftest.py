# SPDX-License-Identifier: GPL-2.0-or-later
"""A network without a simulator, that learns its task by the delta rule."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pynest_tools.networks.backend import DivergenceError, TrialResult
from pynest_tools.runs import api, loop


def interrupt(trial):
    return KeyboardInterrupt()


def diverge(trial):
    return DivergenceError("a somatic potential became 1e9 mV", trial, "cell 3 of P_1")


def result_with(circuit, output, prediction, apical_error=0.1, interneuron_error=0.01):
    """Result of n samples in which all cells but the outputs are at rest."""
    V_soma = np.zeros((len(output), circuit.layers[f"P_{circuit.n_hidden + 1}"].stop))
    V_soma[:, -output.shape[1] :] = output
    return TrialResult(
        V_soma, prediction, *(np.full(len(output), error) for error in (apical_error, interneuron_error))
    )


def flat(record, path=""):
    """Numbers of a record by their paths, nested ones too."""
    if isinstance(record, dict | list):
        pairs = record.items() if isinstance(record, dict) else enumerate(record)
        return {name: value for key, each in pairs for name, value in flat(each, f"{path}.{key}").items()}
    return {path: record}


class FakeNetwork:
    """Linear in the products of two inputs; learning sample number `fail_at` raises `failure`."""

    chunk_samples = 100

    def __init__(self, circuit, weights, seed_sequence):
        self.circuit = circuit
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
        return result_with(self.circuit, output, output.copy())

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

    monkeypatch.setattr(loop, "build_network", build)
    monkeypatch.setattr(api, "build_network", build)
    return built
