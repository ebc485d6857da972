# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuit in the steady state of every sample, in numpy, many networks and samples at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .backend import FloatArray, TrialResult, Weights
from .fixed_point import FixedPoint
from .layout import Layout
from .microcircuit import Microcircuit

TEST_BATCH = 250  # samples that are tested side by side: their potentials stay in the processor's cache


class _Learning(NamedTuple):
    """Synapses onto one compartment of cells of one level that learn.

    Attributes
    ----------
    weights, change : ndarray, shape (..., post, pre)
        View of the network's weights (mV ms), and room for their change.
    eta : ndarray, shape (post,)
        Change of the weights per error and rate: learning rate times the time for which it acts (mV ms^3; of pi ms^2).
    apical : bool
        Whether they are on apical dendrites.
    level : int
        Of the postsynaptic cells; the presynaptic ones are a level below, or above if the synapses are apical.
    cells : slice
        The postsynaptic cells of their level, or, if apical, the presynaptic ones of theirs.
    """

    weights: FloatArray
    change: FloatArray
    eta: FloatArray
    apical: bool
    level: int
    cells: slice


class SteadyMicrocircuit:
    """A microcircuit whose potentials are at their fixed point, and whose weights change once per sample or batch.

    That is how Sacramento et al. (2018) trained on MNIST. The weights change by what a sample at its steady state would change them
    from t_learn_on to t_pres. If something learns in a free phase, that one's steady state comes first, and changes the weights by
    what it would from t_free_learn_on to t_target_on. All else that happens in time, such as time constants, delays, latent
    equilibrium and the state between samples, means nothing here.

    Parameters
    ----------
    circuit : Microcircuit
        The specification.
    weights : Weights
        Initial weights (mV ms), each of shape (post, pre) or (networks, post, pre).
    batch_size : int
        Number of samples whose changes are summed before the weights change.
    """

    chunk_samples = 5000

    def __init__(self, circuit: Microcircuit, weights: Weights, batch_size: int = 1) -> None:
        self.circuit = circuit
        self.simulation_time_s = 0.0
        self._batch_size = batch_size
        self._layout = Layout(circuit)
        self._W = self._layout.flatten(weights)
        trial, free = circuit.trial, circuit.trial.free_learning
        silent = [0.0] * circuit.n_hidden
        self._taught = self._plastic(
            trial.t_pres - trial.t_learn_on, circuit.eta_up, circuit.eta_ip, silent if "pi" in free else circuit.eta_pi
        )
        self._free = self._plastic(
            trial.t_target_on - trial.t_free_learn_on,
            [0.0, *silent],
            circuit.eta_ip if "ip" in free else silent,
            circuit.eta_pi if "pi" in free else silent,
        )
        self._states: dict[tuple[int, ...], FixedPoint] = {}

    def run(self, stimuli: FloatArray, targets: FloatArray | None, *, learn: bool) -> TrialResult:
        """Present samples; see `Network.run`. With many networks, all arrays have a first axis for them.

        Raises
        ------
        DivergenceError
            If a sample has no steady state that the sweeps find.
        """
        started = time.perf_counter()
        try:
            return self._run(np.fmax(stimuli, 0.0), targets, learn=learn)  # neither negative rates nor NaN
        finally:
            self.simulation_time_s += time.perf_counter() - started

    def get_weights(self) -> Weights:
        """Present weights (mV ms), of the shape in which they were given."""
        return self._layout.unflatten(self._W)

    def set_weights(self, weights: Weights) -> None:
        """Set every weight exactly (mV ms)."""
        self._W[...] = self._layout.flatten(weights)

    def _run(self, stimuli: FloatArray, targets: FloatArray | None, *, learn: bool) -> TrialResult:
        layout, samples = self._layout, stimuli.shape[:-1]
        learn = learn and bool(self._taught or self._free)
        taught = self._teacher(targets, samples)
        free = self._teacher(None, samples) if learn and self._free else None
        V_soma = np.empty((*samples, layout.n_cells))
        prediction = np.empty((*samples, self.circuit.sizes[-1]))
        V_apical = np.empty((*samples, len(layout.hidden)))
        size = self._batch_size if learn else TEST_BATCH
        for i in range(0, samples[-1], size):
            here = (..., slice(i, i + size), slice(None))
            batch = stimuli[here]
            state = self._state(batch.shape[:-1])
            if free is not None:
                state.solve(batch, free[0][here], free[1][here], i)
                self._learn(self._free, batch, state)
            state.solve(batch, taught[0][here], taught[1][here], i)
            state.copy_to(V_soma[here], prediction[here], V_apical[here])
            if learn:
                self._learn(self._taught, batch, state)
        return layout.result(V_soma, prediction, V_apical)

    def _state(self, shape: tuple[int, ...]) -> FixedPoint:
        if shape not in self._states:
            self._states[shape] = FixedPoint(self.circuit, self._layout, self._W, shape)
        return self._states[shape]

    def _teacher(self, targets: FloatArray | None, samples: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        """Share of v_b in the potentials of output cells, and what the teacher adds to them (mV)."""
        neuron = self.circuit.neuron
        alone = neuron.g_basal / (neuron.g_L + neuron.g_basal)
        if targets is None:
            shape = (*samples, self.circuit.sizes[-1])
            return np.full(shape, alone), np.zeros(shape)
        absent = np.isnan(targets)
        share = np.where(absent, alone, alone * (1.0 - neuron.target_share))
        return share, np.where(absent, 0.0, neuron.target_share * targets)

    def _plastic(
        self, duration: float, eta_up: Sequence[float], eta_ip: Sequence[float], eta_pi: Sequence[float]
    ) -> list[_Learning]:
        """What learns for a certain time (ms) with these learning rates by layer."""
        found = []
        basal, apical = [self._layout.blocks[0], *self._layout.blocks[1::2]], self._layout.blocks[2::2]
        for level, block in enumerate(basal):
            n = self.circuit.sizes[level + 1]
            by_cells = [eta_up[level]] if level == 0 else [eta_ip[level - 1], eta_up[level]]
            eta = duration * np.repeat(by_cells, n)
            plastic = np.flatnonzero(eta)
            if len(plastic) > 0:
                cells = slice(int(plastic[0]), int(plastic[-1]) + 1)
                weights = block.of(self._W)[..., cells, :]
                found.append(_Learning(weights, np.empty_like(weights), eta[cells], False, level, cells))
        for level, block in enumerate(apical):
            if eta_pi[level] > 0.0:
                n, cells = block.shape[0], slice(block.shape[1] // 2)
                weights = block.of(self._W)[..., cells]
                eta = np.full(n, -duration * eta_pi[level])  # the error is -v_a
                found.append(_Learning(weights, np.empty(weights.shape), eta, True, level, cells))
        return found

    def _learn(self, projections: list[_Learning], stimuli: FloatArray, state: FixedPoint) -> None:
        plasticity = self.circuit.plasticity
        for own in projections:
            if own.apical:
                error, pre = state.V_apical[own.level], state.rates[own.level + 1][..., own.cells]
            else:
                error = state.basal_error(own.level, own.cells)
                pre = state.P_rates[own.level - 1] if own.level > 0 else stimuli
            np.matmul((error * own.eta).swapaxes(-1, -2), pre, out=own.change)
            np.add(own.weights, own.change, out=own.weights)
            np.clip(own.weights, plasticity.Wmin, plasticity.Wmax, out=own.weights)
