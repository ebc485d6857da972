# SPDX-License-Identifier: GPL-2.0-or-later
"""The yardstick: the network of the circuit's dendritic predictions, trained by gradient descent."""

from __future__ import annotations

import time

import numpy as np

from .backend import FloatArray, TrialResult, Weights
from .gradient import circuit_gains, descent, predictions
from .microcircuit import Microcircuit


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
    """

    chunk_samples = 10_000

    def __init__(self, circuit: Microcircuit, weights: Weights, batch_size: int = 1) -> None:
        self.circuit = circuit
        self.simulation_time_s = 0.0
        self._batch_size = batch_size
        duration = circuit.trial.t_pres - circuit.trial.t_learn_on
        self._rates = [eta * gain * duration for eta, gain in zip(circuit.eta_up, circuit_gains(circuit), strict=True)]
        self.set_weights(weights)

    def run(self, stimuli: FloatArray, targets: FloatArray | None, *, learn: bool) -> TrialResult:
        """Present samples; see `Network.run`. With many networks, all arrays have a first axis for them."""
        started = time.perf_counter()
        n, plasticity = stimuli.shape[-2], self.circuit.plasticity
        size = self._batch_size if learn and targets is not None else n
        outputs = []
        for i in range(0, n, size):
            batch = stimuli[..., i : i + size, :]
            outputs.append(predictions(self.circuit, self._weights.up, batch)[-1])
            if learn and targets is not None:
                steps = descent(self.circuit, self._weights.up, batch, targets[..., i : i + size, :])
                for matrix, rate, step in zip(self._weights.up, self._rates, steps, strict=True):
                    if rate > 0.0:
                        np.clip(matrix + rate * step, plasticity.Wmin, plasticity.Wmax, out=matrix)
        output = np.concatenate(outputs, axis=-2)
        self.simulation_time_s += time.perf_counter() - started
        no_error = np.zeros(output.shape[:-1])
        return TrialResult(V_soma=output, prediction=output, apical_error=no_error, interneuron_error=no_error)

    def get_weights(self) -> Weights:
        """Present weights (mV ms)."""
        return self._weights.copy()

    def set_weights(self, weights: Weights) -> None:
        """Set every weight exactly (mV ms)."""
        self._weights = weights.copy()
