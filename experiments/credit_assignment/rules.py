# SPDX-License-Identifier: GPL-2.0-or-later
"""What changes the weights: the circuit, and perturbations that compare the loss with and without noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pynest_tools.networks.backend import Weights
from pynest_tools.networks.gradient import circuit_gains, descent, predictions
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.steady import SteadyMicrocircuit
from pynest_tools.networks.transfer import transfer, transfer_slope
from pynest_tools.networks.weights import initial_weights, self_predicting_weights
from pynest_tools.tasks import Samples

Array = NDArray[np.float64]
Matrices = list[Array]  # one for each layer, of shape (networks, post, pre) if nothing else is said
Rule = Callable[[Matrices], Matrices]  # from the weights of up to their change

SIGMA = 1e-3  # standard deviation of perturbations, of weights (mV ms) and of nodes (mV): linear to 0.1 %
N_QUADRATURE = 12  # points of the Gauss-Legendre rule: the loss to 1e-11 of itself if |t - v^| < 5 mV

# What top-down weights are, given up_{k+1}^T and random weights of their own
FEEDBACKS: dict[str, Callable[[Array, Array], Array]] = {
    "symmetric": lambda mirrored, drawn: mirrored,
    "sign-concordant": lambda mirrored, drawn: np.sign(mirrored) * np.abs(drawn),
    "random": lambda mirrored, drawn: drawn,
    "wrong sign": lambda mirrored, drawn: -mirrored,
}


@dataclass(frozen=True)
class Problem:
    """What all rules have in common.

    Attributes
    ----------
    circuit : Microcircuit
        The circuit, which learns by `up` alone.
    weights : Weights
        Initial weights (mV ms) of all networks, which differ in their seed, side by side.
    samples : Samples
        All patterns, once for each network.
    """

    circuit: Microcircuit
    weights: Weights
    samples: Samples

    @classmethod
    def of(cls, circuit: Microcircuit, task: Any, seeds: Sequence[int]) -> Problem:
        """Networks with the weights that training with these seeds starts from."""
        children = [np.random.SeedSequence(seed).spawn(1)[0] for seed in seeds]
        drawn = [initial_weights(circuit, np.random.default_rng(child)) for child in children]
        patterns = task.test_set()
        samples = Samples(np.stack([patterns.stimuli] * len(seeds)), np.stack([patterns.targets] * len(seeds)))
        return cls(circuit, Weights.stack(drawn), samples)

    @property
    def rates(self) -> list[float]:
        """What the circuit multiplies the gradient by in each layer, in the limit of weak nudging (mV ms^3)."""
        circuit = self.circuit
        duration = circuit.trial.t_pres - circuit.trial.t_learn_on
        return [eta * gain * duration for eta, gain in zip(circuit.eta_up, circuit_gains(circuit), strict=True)]

    def descent(self, up: Matrices) -> Matrices:
        """Steepest descent of the loss (1/ms^2)."""
        return descent(self.circuit, up, self.samples.stimuli, self.samples.targets)

    def outputs(self, up: Matrices) -> Array:
        """Output potentials without a teacher, shape (networks, patterns, outputs) (mV)."""
        return predictions(self.circuit, up, self.samples.stimuli)[-1]

    def presynaptic_rates(self, up: Matrices) -> Matrices:
        """What the weights of each layer transmit, without noise and teacher; shape (networks, patterns, pre) (1/ms)."""
        v = predictions(self.circuit, up, self.samples.stimuli)
        return [self.samples.stimuli, *(transfer(layer, self.circuit.neuron) for layer in v[:-1])]


class CircuitRule:
    """Changes of `up` that the circuit makes with one kind of top-down weights.

    Before every update `down` follows `up` as its kind demands, and `pi` and `ip` are made self-predicting: lateral input
    cancels top-down input exactly whatever `down` is, so that nothing differs but the way in which an error is sent back.
    """

    def __init__(self, problem: Problem, feedback: str) -> None:
        self._problem = problem
        self._feedback = FEEDBACKS[feedback]
        self._network = SteadyMicrocircuit(problem.circuit, problem.weights, len(problem.samples))

    def __call__(self, up: Matrices) -> Matrices:
        """Changes at the weights `up` (mV ms)."""
        problem = self._problem
        down = [
            self._feedback(above.swapaxes(-1, -2), drawn)
            for above, drawn in zip(up[1:], problem.weights.down, strict=True)
        ]
        weights = self_predicting_weights(Weights(up=up, ip=[], pi=[], down=down), problem.circuit)
        self._network.set_weights(weights)
        self._network.run(problem.samples.stimuli, problem.samples.targets, learn=True)
        return [after - before for after, before in zip(self._network.get_weights().up, up, strict=True)]


def bregman_loss(circuit: Microcircuit, prediction: Array, targets: Array) -> Array:
    """Loss that `descent` descends, of every sample: sum_i int_{v^_i}^{t_i} (phi(s) - phi(v^_i)) ds.

    Parameters
    ----------
    circuit : Microcircuit
        Transfer function.
    prediction, targets : ndarray, shape (..., n, n_outputs)
        v^ and t (mV).

    Returns
    -------
    ndarray, shape (..., n)
        Loss (mV/ms).
    """
    nodes, shares = np.polynomial.legendre.leggauss(N_QUADRATURE)
    distance = targets - prediction
    between = prediction[..., np.newaxis] + distance[..., np.newaxis] * (nodes + 1.0) / 2.0
    mean = transfer(between, circuit.neuron) @ (shares / 2.0)
    loss: Array = np.sum(distance * (mean - transfer(prediction, circuit.neuron)), axis=-1)
    return loss


def weight_perturbation(problem: Problem, up: Matrices, n: int, rng: np.random.Generator) -> Matrices:
    """Estimates of the descent, each from one perturbation of all weights at once.

    If all weights are perturbed by sigma xi, xi ~ N(0, 1), the loss of all patterns together changes by dL. The estimate is
    -xi dL / sigma.

    Parameters
    ----------
    problem : Problem
        Circuit and samples.
    up : list of ndarray, shape (networks, post, pre)
        Weights (mV ms).
    n : int
        Number of perturbations.
    rng : numpy.random.Generator
        Source of xi.

    Returns
    -------
    list of ndarray, shape (networks, n, post, pre)
        (1/ms^2).
    """
    circuit, samples = problem.circuit, problem.samples
    xi = [rng.standard_normal((m.shape[0], n, *m.shape[1:])) for m in up]
    perturbed = [m[:, np.newaxis] + SIGMA * x for m, x in zip(up, xi, strict=True)]
    v = predictions(circuit, perturbed, samples.stimuli[:, np.newaxis])
    loss = bregman_loss(circuit, problem.outputs(up), samples.targets).sum(axis=-1)
    other = bregman_loss(circuit, v[-1], samples.targets[:, np.newaxis]).sum(axis=-1)
    slope = ((loss[:, np.newaxis] - other) / SIGMA)[..., np.newaxis, np.newaxis]
    return [slope * x for x in xi]


def cell_perturbation(problem: Problem, up: Matrices, n: int, rng: np.random.Generator) -> Matrices:
    """Estimates of -dL/dv^ of all cells but the inputs, each from one perturbation of all of them in every pattern.

    If all v^ are perturbed by sigma xi, the loss of a pattern changes by dL. The estimate is -xi dL / sigma.

    Parameters are those of `weight_perturbation`.

    Returns
    -------
    list of ndarray, shape (networks, n, patterns, cells)
        (1/ms).
    """
    circuit, samples = problem.circuit, problem.samples
    rates, xi = samples.stimuli[:, np.newaxis], []
    for matrix, factor in zip(up, circuit.prediction_factors, strict=True):
        v = factor * (rates @ matrix[:, np.newaxis].swapaxes(-1, -2))
        xi.append(rng.standard_normal((v.shape[0], n, *v.shape[2:])))
        v = v + SIGMA * xi[-1]
        rates = transfer(v, circuit.neuron)
    loss = bregman_loss(circuit, problem.outputs(up), samples.targets)[:, np.newaxis]
    slope = ((loss - bregman_loss(circuit, v, samples.targets[:, np.newaxis])) / SIGMA)[..., np.newaxis]
    return [slope * x for x in xi]


def node_perturbation(problem: Problem, up: Matrices, n: int, rng: np.random.Generator) -> Matrices:
    """Estimates of the descent by `cell_perturbation`: with dv^_i/dW_ij = alpha r_j, summed over patterns.

    Parameters and return value are those of `weight_perturbation`.
    """
    found = []
    estimates = cell_perturbation(problem, up, n, rng)
    factors = problem.circuit.prediction_factors
    for factor, estimate, rates in zip(factors, estimates, problem.presynaptic_rates(up), strict=True):
        found.append(factor * (estimate.swapaxes(-1, -2) @ rates[:, np.newaxis]))
    return found


Estimator = Callable[[Problem, Matrices, int, np.random.Generator], Matrices]
ESTIMATORS: dict[str, Estimator] = {"weight perturbation": weight_perturbation, "node perturbation": node_perturbation}


def cell_descent(problem: Problem, up: Matrices) -> Matrices:
    """-dL/dv^ of all cells but the inputs, by backpropagation; each of shape (networks, patterns, cells) (1/ms)."""
    circuit = problem.circuit
    v, factors = predictions(circuit, up, problem.samples.stimuli), circuit.prediction_factors
    errors = [transfer_slope(v[-1], circuit.neuron) * (problem.samples.targets - v[-1])]
    for matrix, factor, layer in zip(up[:0:-1], factors[:0:-1], v[-2::-1], strict=True):
        errors.append(transfer_slope(layer, circuit.neuron) * factor * (errors[-1] @ matrix))
    return errors[::-1]


def effective_parameters(problem: Problem, up: Matrices) -> Array:
    """P of node perturbation, with which the cosine of M averages and the gradient is sqrt(M / (M + P - 1)); shape (networks,).

    P - 1 is the variance of an estimate across the gradient g, over |g|^2. An estimate is sum_s J_s xi_s (xi_s a_s), where a_s is
    dL/dv^ of all cells in pattern s and J_s takes it to the weights' gradient g_s. With g = sum_s g_s and its direction e,

        P - 1 = sum_s (|a_s|^2 (|J_s|_F^2 - |J_s^T e|^2) + |g_s|^2 - (g_s e)^2) / |g|^2.
    """
    gradient = problem.descent(up)
    g_squared = sum(np.sum(g**2, axis=(-1, -2)) for g in gradient)
    length = np.sqrt(g_squared)[:, np.newaxis, np.newaxis]
    a_squared, J_squared, J_along, g_s_squared, g_s_along = np.zeros((5, *problem.samples.labels.shape))
    layers = (problem.circuit.prediction_factors, problem.presynaptic_rates(up), cell_descent(problem, up), gradient)
    for factor, rates, a, g in zip(*layers, strict=True):
        along = factor * rates @ (g / length).swapaxes(-1, -2)
        of_one_cell = factor**2 * np.sum(rates**2, axis=-1)
        a_squared += np.sum(a**2, axis=-1)
        J_squared += of_one_cell * a.shape[-1]
        J_along += np.sum(along**2, axis=-1)
        g_s_squared += of_one_cell * np.sum(a**2, axis=-1)
        g_s_along += np.sum(a * along, axis=-1)
    across = a_squared * (J_squared - J_along) + g_s_squared - g_s_along**2
    return np.asarray(1.0 + np.sum(across, axis=-1) / g_squared)
