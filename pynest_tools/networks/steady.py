# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuit in the steady state of every sample, in numpy, many networks and samples at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from .alignment import aligned_change
from .backend import FloatArray, TrialResult, Weights
from .fixed_point import FixedPoint
from .layout import APICAL, BASAL, Block, Layout
from .microcircuit import Microcircuit
from .variation import UNVARIED, Sample, Variation

TEST_BATCH = 250  # samples that are tested side by side: their potentials stay in the processor's cache


class _Learning(NamedTuple):
    """Synapses onto one dendrite of cells of one level that learn.

    Attributes
    ----------
    weights, change : ndarray, shape (..., post, pre)
        View of the network's weights (mV ms), and room for their change.
    eta : ndarray, shape (post,)
        Change of the weights per error and rate: learning rate times the time for which it acts (mV ms^3; of pi ms^2).
    limits : tuple of float or ndarray
        Smallest and largest weight (mV ms).
    there : ndarray, shape (..., post, pre), or None
        1 or 0, whether a synapse is there; None: all are.
    dendrite : int
        Which dendrite they are on.
    level : int
        Of the postsynaptic cells; the presynaptic ones are a level below, or above unless the dendrite is basal.
    cells : slice
        The postsynaptic cells of their level, or, unless the dendrite is basal, the presynaptic ones of theirs.
    """

    weights: FloatArray
    change: FloatArray
    eta: FloatArray
    limits: tuple[float | FloatArray, float | FloatArray]
    there: FloatArray | None
    dendrite: int
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
    seed : int or numpy.random.SeedSequence
        Source of what is drawn from sample to sample, the same for networks side by side.
    """

    chunk_samples = 5000

    def __init__(
        self, circuit: Microcircuit, weights: Weights, batch_size: int = 1, seed: int | np.random.SeedSequence = 0
    ) -> None:
        self.circuit = circuit
        self.simulation_time_s = 0.0
        self._batch_size = batch_size
        self._layout = Layout(circuit)
        self._output = circuit.neurons[-1]
        self._variation = Variation(circuit, seed) if circuit.is_random else None
        self._W, self._missing = self._layout.present(self._layout.flatten(weights))
        trial, free = circuit.trial, circuit.trial.free_learning
        silent = [0.0] * circuit.n_hidden
        by_error = silent if circuit.plasticity.down == "alignment" else circuit.eta_down
        self._time = trial.t_pres - trial.t_learn_on
        self._taught = self._plastic(
            self._time, circuit.eta_up, circuit.eta_ip, silent if "pi" in free else circuit.eta_pi, by_error
        )
        self._free = self._plastic(
            trial.t_target_on - trial.t_free_learn_on,
            [0.0, *silent],
            circuit.eta_ip if "ip" in free else silent,
            circuit.eta_pi if "pi" in free else silent,
            silent,
        )
        self._aligns = circuit.plasticity.down == "alignment" and max(circuit.eta_down) > 0.0
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
        """Present weights (mV ms), of the shape in which they were given; NaN where there is no synapse."""
        return self._layout.unflatten(self._W if self._missing is None else np.where(self._missing, np.nan, self._W))

    def set_weights(self, weights: Weights) -> None:
        """Set every weight exactly (mV ms); there are no synapses where there were none."""
        flat = self._layout.flatten(weights)
        self._W[...] = flat if self._missing is None else np.where(self._missing, 0.0, flat)

    def _run(self, stimuli: FloatArray, targets: FloatArray | None, *, learn: bool) -> TrialResult:
        layout, samples = self._layout, stimuli.shape[:-1]
        learn = learn and bool(self._taught or self._free or self._aligns)
        taught = self._teacher(targets, samples)
        free = self._teacher(None, samples) if learn and self._free else None
        V_soma = np.empty((*samples, layout.n_cells))
        prediction = np.empty((*samples, self.circuit.sizes[-1]))
        V_apical = np.empty((*samples, len(layout.hidden)))
        size = self._batch_size if learn else TEST_BATCH
        varied = learn and self._variation is not None
        drawn = self._variation.batches(samples[-1], size) if varied and self._variation else repeat(UNVARIED)
        for i, sample in zip(range(0, samples[-1], size), drawn, strict=False):
            here = (..., slice(i, i + size), slice(None))
            batch = stimuli[here]
            state = self._state(batch.shape[:-1])
            if free is not None:
                state.solve(batch, free[0][here], free[1][here], i, sample)
                self._learn(self._free, state, sample)
            halves = [sample] if sample.noise is None else [sample, sample.reversed()]
            for half in halves:
                state.solve(batch, taught[0][here], taught[1][here], i, half)
                if learn:
                    self._learn(self._taught, state, half, 1.0 / len(halves))
                if learn and self._aligns:
                    self._align(state, self._time / len(halves))
            state.copy_to(V_soma[here], prediction[here], V_apical[here])
        return layout.result(V_soma, prediction, V_apical)

    def _state(self, shape: tuple[int, ...]) -> FixedPoint:
        if shape not in self._states:
            self._states[shape] = FixedPoint(self.circuit, self._layout, self._W, shape)
        return self._states[shape]

    def _teacher(self, targets: FloatArray | None, samples: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        """Share of v_b in the potentials of output cells, and what the teacher adds to them (mV)."""
        neuron = self._output
        alone = neuron.g_basal / (neuron.g_L + neuron.g_basal)
        if targets is None:
            shape = (*samples, self.circuit.sizes[-1])
            return np.full(shape, alone), np.zeros(shape)
        absent = np.isnan(targets)
        share = np.where(absent, alone, alone * (1.0 - neuron.target_share))
        return share, np.where(absent, 0.0, neuron.target_share * targets)

    def _plastic(
        self,
        duration: float,
        eta_up: Sequence[float],
        eta_ip: Sequence[float],
        eta_pi: Sequence[float],
        eta_down: Sequence[float],
    ) -> list[_Learning]:
        """What learns by errors for a certain time (ms) with these learning rates by layer."""
        found = []
        sizes, layout = self.circuit.sizes, self._layout
        for level, block in enumerate(layout.onto):
            by_cells = [eta_up[level]] if level == 0 else [eta_ip[level - 1], eta_up[level]]
            eta = duration * np.repeat(by_cells, sizes[level + 1])
            plastic = np.flatnonzero(eta)
            if len(plastic) > 0:
                cells = slice(int(plastic[0]), int(plastic[-1]) + 1)
                found.append(self._learning(block, (cells, slice(None)), eta[cells], level, cells))
        for level, block in enumerate(layout.back):
            if eta_pi[level] > 0.0:
                cells = slice(sizes[level + 2])
                eta = np.full(block.shape[0], -duration * eta_pi[level])  # the error is -v_a
                found.append(self._learning(block, (slice(None), cells), eta, level, cells))
        for level, block in enumerate(layout.top_down):
            if eta_down[level] > 0.0:
                eta, n = np.full(block.shape[0], duration * eta_down[level]), sizes[level + 2]
                found.append(self._learning(block, (slice(None), slice(None)), eta, level, slice(n, 2 * n)))
        return found

    def _learning(
        self, block: Block, entries: tuple[slice, slice], eta: FloatArray, level: int, cells: slice
    ) -> _Learning:
        here = (..., *entries)
        weights = block.of(self._W)[here]
        low: float | FloatArray = self.circuit.plasticity.Wmin
        high: float | FloatArray = self.circuit.plasticity.Wmax
        there = None
        if self._missing is not None or self.circuit.dale:
            low, high = (block.of(limit)[here] for limit in self._limits())
        if self._missing is not None:
            there = 1.0 - block.of(self._missing.astype(np.float64))[here]
        return _Learning(weights, np.empty(weights.shape), eta, (low, high), there, block.dendrite, level, cells)

    def _limits(self) -> tuple[FloatArray, FloatArray]:
        """Of all weights that learn, shape (..., n_weights); none for missing synapses (mV ms)."""
        low, high = self._layout.limits()
        if self._missing is None:
            return low, high
        return np.where(self._missing, -np.inf, low), np.where(self._missing, np.inf, high)

    def _learn(self, projections: list[_Learning], state: FixedPoint, sample: Sample, share: float = 1.0) -> None:
        """Change weights as in a share of the time for which they learn."""
        for own in projections:
            if own.dendrite == BASAL:
                error = state.basal_error(own.level, own.cells)
                pre = state.P_sent[own.level - 1] if own.level > 0 else state.shown
            else:
                error = state.V_apical[own.level] if own.dendrite == APICAL else state.tuft_error(own.level)
                pre = state.sent[own.level + 1][..., own.cells]
            eta = own.eta if share == 1.0 else share * own.eta
            if sample.masks is not None and own.dendrite == BASAL:
                mask = sample.masks[own.level][:, own.cells]
                np.einsum("...bi,...bj,bij->...ij", error * eta, pre, mask, out=own.change, optimize=True)
            else:
                np.matmul((error * eta).swapaxes(-1, -2), pre, out=own.change)
            if own.there is not None:
                np.multiply(own.change, own.there, out=own.change)
            np.add(own.weights, own.change, out=own.weights)
            np.clip(own.weights, *own.limits, out=own.weights)

    def _align(self, state: FixedPoint, time: float) -> None:
        """Let `down` learn by alignment for a time (ms), from the innovations that the noise of a sample makes last."""
        circuit, layout = self.circuit, self._layout
        plasticity = circuit.plasticity
        eta = layout.per_weight({"down": circuit.eta_down}) * time / plasticity.noise_down**2
        if self._missing is not None:
            eta = np.where(self._missing, 0.0, eta)
        views = (layout.down(values) for values in (self._W, eta, *self._limits()))
        for layer, (W, own, low, high) in enumerate(zip(*views, strict=True)):
            if circuit.eta_down[layer] > 0.0:
                s = state.sent[layer + 1][..., W.shape[-1] : 2 * W.shape[-1]]
                decay = plasticity.decay_down * time
                change = aligned_change(W, state.innovation(layer), state.P_rates[layer], s, own, decay)
                np.clip(W + change, low, high, out=W)
