# SPDX-License-Identifier: GPL-2.0-or-later
"""The yardstick: the network of the circuit's dendritic predictions, trained by gradient descent."""

from __future__ import annotations

import time

import numpy as np

from .backend import FloatArray, TrialResult, Weights
from .gradient import Feedforward, circuit_gains
from .microcircuit import Microcircuit
from .weights import weight_limits


class BackpropNetwork:
    """A feedforward network of the same sizes and transfer function, which descends the gradient by backpropagation.

    Its output is what the circuit predicts without a teacher. Its learning rates are those that the circuit has in the limit of weak
    nudging, so that the two differ only by what the circuit's gradient lacks. `ip`, `pi` and `down` are kept as they are.

    Parameters
    ----------
    circuit : Microcircuit
        The specification.
    weights : Weights
        Initial weights (mV ms), each of shape (post, pre) or (networks, post, pre).
    batch_size : int
        Number of samples whose changes are summed before the weights change.
    seed : int or numpy.random.SeedSequence
        Nothing is drawn.
    """

    chunk_samples = 10_000

    def __init__(
        self, circuit: Microcircuit, weights: Weights, batch_size: int = 1, seed: int | np.random.SeedSequence = 0
    ) -> None:
        self.circuit = circuit
        self.simulation_time_s = 0.0
        self._batch_size = batch_size
        duration = circuit.trial.t_pres - circuit.trial.t_learn_on
        self._rates = [eta * gain * duration for eta, gain in zip(circuit.eta_up, circuit_gains(circuit), strict=True)]
        self._feedforward = Feedforward(circuit)
        self._limits = weight_limits(circuit)["up"]
        if not circuit.dale:  # the same for all weights, and faster as numbers
            self._limits = [(low[0, :1], high[0, :1]) for low, high in self._limits]
        self.set_weights(weights)

    def run(self, stimuli: FloatArray, targets: FloatArray | None, *, learn: bool) -> TrialResult:
        """Present samples; see `Network.run`. With many networks, all arrays have a first axis for them."""
        started = time.perf_counter()
        n = stimuli.shape[-2]
        size = self._batch_size if learn and targets is not None else n
        parts = []
        for i in range(0, n, size):
            batch = stimuli[..., i : i + size, :]
            found = self._feedforward.predictions(self._weights.up, batch)
            parts.append(found)
            if learn and targets is not None:
                steps = self._feedforward.descent(self._weights.up, batch, targets[..., i : i + size, :], found)
                for matrix, rate, step, limits in zip(self._weights.up, self._rates, steps, self._limits, strict=True):
                    if rate > 0.0:
                        np.clip(matrix + rate * step, *limits, out=matrix)  # a missing synapse stays NaN
        layers = [np.concatenate(part, axis=-2) for part in zip(*parts, strict=True)]
        interneurons = [np.full_like(layer, np.nan) for layer in layers[1:]]  # there are none
        in_order = [layers[0], *(part for both in zip(interneurons, layers[1:], strict=True) for part in both)]
        no_error = np.full(stimuli.shape[:-1], np.nan)  # nor apical dendrites
        result = TrialResult(np.concatenate(in_order, axis=-1), layers[-1], no_error, no_error)
        self.simulation_time_s += time.perf_counter() - started
        return result

    def get_weights(self) -> Weights:
        """Present weights (mV ms)."""
        return self._weights.copy()

    def set_weights(self, weights: Weights) -> None:
        """Set every weight exactly (mV ms)."""
        self._weights = weights.copy()
