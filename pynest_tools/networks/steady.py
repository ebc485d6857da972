# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuit in the steady state of every sample, in numpy, many networks and samples at once."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from .backend import DivergenceError, FloatArray, TrialResult, Weights
from .layout import Layout
from .microcircuit import Microcircuit
from .transfer import transfer

TOLERANCE = 1e-11  # mV, largest change in an iteration; potentials of some mV are rounded to 1e-15 mV
MAX_ITERATIONS = 1000
MEMORY = 5  # iterations from which the next one is extrapolated
PATIENCE = 20  # iterations without progress after which steps are made smaller
RELATIVE_FLOOR = 1e-14  # keeps the small linear systems solvable; they need no more digits


class SteadyMicrocircuit:
    """A microcircuit whose potentials are at their fixed point, and whose weights change once per sample or batch.

    That is how Sacramento et al. (2018) trained on MNIST. The weights change by what a sample at its steady state would change them
    from t_learn_on to t_pres. All else that happens in time, such as time constants, delays, latent equilibrium and the state
    between samples, means nothing here.

    Parameters
    ----------
    circuit : Microcircuit
        The specification.
    weights : Weights
        Initial weights (mV ms), each of shape (post, pre) or (networks, post, pre).
    batch_size : int
        Number of samples whose changes are summed before the weights change.
    """

    chunk_samples = 1000

    def __init__(self, circuit: Microcircuit, weights: Weights, batch_size: int = 1) -> None:
        self.circuit = circuit
        self.simulation_time_s = 0.0
        self._batch_size = batch_size
        self._layout = Layout(circuit)
        eta = self._layout.per_weight(circuit)
        self._change_per_error = eta * (circuit.trial.t_pres - circuit.trial.t_learn_on)
        self._plastic = bool(np.any(eta > 0.0))
        self._low = np.where(eta > 0.0, circuit.plasticity.Wmin, -np.inf)
        self._high = np.where(eta > 0.0, circuit.plasticity.Wmax, np.inf)
        self.set_weights(weights)

    def run(self, stimuli: FloatArray, targets: FloatArray | None, *, learn: bool) -> TrialResult:
        """Present samples; see `Network.run`. With many networks, all arrays have a first axis for them.

        Raises
        ------
        DivergenceError
            If a sample has no steady state that the iteration finds.
        """
        started = time.perf_counter()
        stimuli = np.fmax(stimuli, 0.0)  # neither negative rates nor NaN
        if targets is None:
            targets = np.full((*stimuli.shape[:-1], self.circuit.sizes[-1]), np.nan)
        learn = learn and self._plastic
        n = stimuli.shape[-2]
        size = self._batch_size if learn else n
        parts = []
        try:
            for i in range(0, n, size):
                batch = stimuli[..., i : i + size, :]
                u, V_basal, V_apical = self._solve(batch, targets[..., i : i + size, :], i)
                if learn:
                    self._learn(batch, u, V_basal, V_apical)
                parts.append((u, V_basal, V_apical))
        finally:
            self.simulation_time_s += time.perf_counter() - started
        return self._layout.result(*(np.concatenate(part, axis=-2) for part in zip(*parts, strict=True)))

    def get_weights(self) -> Weights:
        """Present weights (mV ms), of the shape in which they were given."""
        return self._layout.unflatten(self._W)

    def set_weights(self, weights: Weights) -> None:
        """Set every weight exactly (mV ms)."""
        self._W = self._layout.flatten(weights)

    def _solve(self, stimuli: FloatArray, targets: FloatArray, first: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Somatic, basal and apical potentials at the fixed point, shape (..., n, n_cells) (mV)."""
        neuron, layout = self.circuit.neuron, self._layout
        g_nudge = np.zeros((*stimuli.shape[:-1], layout.n_cells))
        g_nudge[..., layout.all_interneurons] = neuron.g_nudge
        g_nudge[..., layout.outputs] = np.where(np.isnan(targets), 0.0, neuron.g_nudge)
        total = layout.g_rest + g_nudge
        u_nudge = np.zeros_like(g_nudge)
        u_nudge[..., layout.outputs] = np.nan_to_num(targets)
        u, V_basal, V_apical = (np.zeros_like(g_nudge) for _ in range(3))
        inputs = layout.blocks[0]
        V_basal[..., inputs.post] = stimuli @ inputs.of(self._W).swapaxes(-1, -2)
        mixing = _Mixing(u)
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(MAX_ITERATIONS):
                rates = transfer(u, neuron)
                for block in layout.blocks[1:]:
                    onto = V_apical if block.apical else V_basal
                    np.matmul(rates[..., block.pre], block.of(self._W).swapaxes(-1, -2), out=onto[..., block.post])
                u_nudge[..., layout.all_interneurons] = u[..., layout.partners]
                u_inf = (neuron.g_basal * V_basal + layout.g_apical * V_apical + g_nudge * u_nudge) / total
                change = np.max(np.abs(u_inf - u), axis=-1, keepdims=True)
                if np.all(change <= TOLERANCE):
                    return u_inf, V_basal, V_apical
                u = mixing.next(u, u_inf - u, change)
        unsettled = np.max(change, axis=tuple(range(change.ndim - 2)))[:, 0]
        sample = int(np.argmax(~(unsettled <= TOLERANCE)))
        raise DivergenceError(
            f"no steady state was found: after {MAX_ITERATIONS} iterations the potentials still change by "
            f"{unsettled[sample]:.3g} mV; lower the weights of the feedback, the nudging, or the learning rates",
            first + sample,
        )

    def _learn(self, stimuli: FloatArray, u: FloatArray, V_basal: FloatArray, V_apical: FloatArray) -> None:
        neuron, layout = self.circuit.neuron, self._layout
        rates = transfer(u, neuron)
        basal = rates - transfer(layout.basal_factor * V_basal, neuron)
        change = np.empty_like(self._W)
        for block in layout.blocks:
            error = -V_apical[..., block.post] if block.apical else basal[..., block.post]
            pre = stimuli if block.from_inputs else rates[..., block.pre]
            np.matmul(error.swapaxes(-1, -2), pre, out=block.of(change))
        self._W += self._change_per_error * change
        np.clip(self._W, self._low, self._high, out=self._W)


class _Mixing:
    """Anderson's extrapolation of a fixed-point iteration, for each sample on its own.

    The next potentials are those at which the changes of the last iterations would cancel best if they were linear in the potentials
    (Walker and Ni 2011, SIAM J. Numer. Anal. 49:1715). Where that makes no progress, it begins anew with smaller steps: the potentials
    then move as those of leaky cells do.
    """

    def __init__(self, u: FloatArray) -> None:
        self._moves: deque[tuple[FloatArray, FloatArray]] = deque(maxlen=MEMORY)  # of potentials and of changes
        self._last: tuple[FloatArray, FloatArray] | None = None
        self._step = np.ones((*u.shape[:-1], 1))
        self._best = np.full_like(self._step, np.inf)
        self._since_best = np.zeros_like(self._step)

    def next(self, u: FloatArray, f: FloatArray, largest: FloatArray) -> FloatArray:
        """Next potentials, from the present ones, the change f that the cells want, and its largest magnitude (mV)."""
        if self._last is not None:
            self._moves.append((u - self._last[0], f - self._last[1]))
        self._last = (u, f)
        better = largest < self._best
        self._since_best = np.where(better, 0.0, self._since_best + 1.0)
        self._best = np.where(better, largest, self._best)
        stuck = self._since_best >= PATIENCE
        if np.any(stuck):
            self._step[stuck] /= 2.0
            self._since_best[stuck], self._best[stuck] = 0.0, largest[stuck]
            for du, df in self._moves:
                du[stuck[..., 0]] = df[stuck[..., 0]] = 0.0
        moved = u + self._step * f
        if not self._moves:
            return moved
        du, df = (np.stack(part, axis=-1) for part in zip(*self._moves, strict=True))  # (..., n_cells, memory)
        gram = np.nan_to_num(df.swapaxes(-1, -2) @ df)
        trace = np.trace(gram, axis1=-2, axis2=-1)[..., np.newaxis, np.newaxis]
        gram += (RELATIVE_FLOOR * trace + np.finfo(float).tiny) * np.eye(gram.shape[-1])
        share = np.linalg.solve(gram, np.nan_to_num(df.swapaxes(-1, -2) @ f[..., np.newaxis]))
        return np.asarray(moved - ((du + self._step[..., np.newaxis] * df) @ share)[..., 0])
