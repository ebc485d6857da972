# SPDX-License-Identifier: GPL-2.0-or-later
"""The steady state of a microcircuit, by sweeps up and down its layers."""

from __future__ import annotations

from itertools import pairwise
from typing import NoReturn

import numpy as np

from .backend import DivergenceError, FloatArray, cell_name
from .layout import Layout
from .microcircuit import Microcircuit
from .transfer import transfer

TOLERANCE = 1e-11  # mV, largest change of a potential in a sweep; potentials of some mV are rounded to 1e-15 mV
MAX_SWEEPS = 1000
SLOW = 0.3  # a sweep that leaves more than this of the change before it is helped; below, help costs more than it saves
MEMORY = 5  # sweeps from which the next one is extrapolated
PATIENCE = 20  # sweeps without progress after which steps are made smaller
HOPELESS = 1e100  # mV, from where numbers overflow sooner than potentials come back
RELATIVE_FLOOR = 1e-14  # keeps the small linear systems solvable; they need no more digits


class FixedPoint:
    """Potentials of all cells for a batch of samples at their steady state, u = u_inf(u).

    Cells lie in levels: P_1, then I_k and P_{k+1} side by side for every hidden layer, as all that P_k sends to basal dendrites is one
    matrix, and all that its apical dendrites receive is another. Given the apical potentials, a sweep up the levels gives all
    other potentials of pyramidal cells, and a sweep down gives those of interneurons and new apical potentials. From silent apical
    dendrites, where the first sweep up gives the predictions, this settles by itself if feedback is weak or well predicted, and is
    extrapolated if not.

    Parameters
    ----------
    circuit : Microcircuit
        The specification.
    layout : Layout
        Of its cells and weights.
    W : ndarray, shape (..., n_weights)
        Its weights (mV ms), which may change between two solutions.
    shape : tuple of int
        Axes before the cells: networks, if W has an axis for them, and samples.

    Attributes
    ----------
    u, rates : list of ndarray, shape (*shape, cells of the level)
        Potentials (mV) and rates (1/ms).
    P_rates : list of ndarray, shape (*shape, P_k)
        Rates of pyramidal cells alone.
    V_apical : list of ndarray, shape (*shape, P_k)
        Apical potentials of every hidden layer (mV).
    """

    def __init__(self, circuit: Microcircuit, layout: Layout, W: FloatArray, shape: tuple[int, ...]) -> None:
        self._circuit, self._layout = circuit, layout
        neuron, sizes = circuit.neuron, circuit.sizes
        inputs, *others = (block.of(W).swapaxes(-1, -2) for block in layout.blocks)
        self._from_inputs, self._onto, self._back = inputs, others[::2], others[1::2]
        widths = [sizes[1], *(2 * n for n in sizes[2:])]
        self.u, self.rates, self._basal = ([np.empty((*shape, n)) for n in widths] for _ in range(3))
        self._P_u, self.P_rates, self._P_basal = (
            [level[..., -n:] for level, n in zip(levels, sizes[1:], strict=True)]
            for levels in (self.u, self.rates, self._basal)
        )
        self._I_u, self._I_basal = (
            [level[..., :-n] for level, n in zip(levels, sizes[1:], strict=True)] for levels in (self.u, self._basal)
        )
        self._shares = [np.empty((*shape, n)) for n in widths]  # of v_b in u
        for share, n in zip(self._shares, sizes[1:], strict=True):
            share[..., :-n] = neuron.g_basal / (neuron.g_L + neuron.g_basal + neuron.g_nudge)
            share[..., -n:] = neuron.g_basal / (neuron.g_L + neuron.g_basal + neuron.g_apical)
        self._apical_share = neuron.g_apical / (neuron.g_L + neuron.g_basal + neuron.g_apical)
        hidden = np.cumsum([0, *sizes[1:-1]])
        self._state, self._wanted, self._change = (np.zeros((*shape, hidden[-1])) for _ in range(3))
        parts = [slice(a, b) for a, b in pairwise(hidden)]
        self._states = [self._state[..., part] for part in parts]
        self.V_apical = [self._wanted[..., part] for part in parts]

    def solve(self, stimuli: FloatArray, output_share: FloatArray, drive: FloatArray, first: int) -> None:
        """Find the steady state.

        Parameters
        ----------
        stimuli : ndarray, shape (*shape, n_inputs)
            Rates of the inputs (1/ms).
        output_share, drive : ndarray, shape (*shape, n_outputs)
            Share of v_b in the potentials of output cells, and what a teacher adds to them (mV).
        first : int
            Index of the first sample within the call of `Network.run`, for errors.

        Raises
        ------
        DivergenceError
            If a sample has no steady state that the sweeps find.
        """
        self._shares[-1][..., -output_share.shape[-1] :] = output_share
        np.matmul(stimuli, self._from_inputs, out=self._basal[0])
        self._basal[0] *= self._shares[0]
        self._state[...] = 0.0
        mixing, before = None, np.inf
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(MAX_SWEEPS):
                self._sweep(drive)
                change = self._largest_change()
                if change <= TOLERANCE:
                    return
                if not change < HOPELESS:
                    break
                if mixing is None and change > SLOW * before:
                    mixing = _Mixing(self._state.shape)
                before = change
                if mixing is None:
                    self._state[...] = self._wanted
                else:
                    mixing.advance(self._state, self._change)
        self._give_up(first)

    def basal_error(self, level: int, cells: slice) -> FloatArray:
        """phi(u) - phi(v^) of some cells of a level (1/ms)."""
        return self.rates[level][..., cells] - transfer(self._prediction(level, cells), self._circuit.neuron)

    def copy_to(self, V_soma: FloatArray, prediction: FloatArray, V_apical: FloatArray) -> None:
        """Put potentials (mV) of all cells, v^ of outputs, and apical potentials side by side into arrays."""
        for cells, u in zip(self._layout.levels, self.u, strict=True):
            V_soma[..., cells] = u
        prediction[...] = self._prediction(-1, slice(-prediction.shape[-1], None))
        V_apical[...] = self._wanted

    def _prediction(self, level: int, cells: slice) -> FloatArray:
        factor = self._layout.basal_factor[self._layout.levels[level]][cells]
        return np.asarray(self._basal[level][..., cells] * (factor / self._shares[level][..., cells]))

    def _sweep(self, drive: FloatArray) -> None:
        """Up with the present state, down to the apical potentials that the cells want."""
        neuron, last = self._circuit.neuron, len(self.u) - 1
        share_of_partner, share_of_apical = neuron.partner_share, self._apical_share
        for k in range(last):
            u, basal = self._P_u[k], self._basal[k + 1]
            np.multiply(self._states[k], share_of_apical, out=u)
            u += self._P_basal[k]
            transfer(u, neuron, out=self.P_rates[k])
            np.matmul(self.P_rates[k], self._onto[k], out=basal)
            basal *= self._shares[k + 1]
        np.add(self._P_basal[last], drive, out=self._P_u[last])
        for k in range(last, 0, -1):
            np.multiply(self._P_u[k], share_of_partner, out=self._I_u[k])
            self._I_u[k] += self._I_basal[k]
            transfer(self.u[k], neuron, out=self.rates[k])
            np.matmul(self.rates[k], self._back[k - 1], out=self.V_apical[k - 1])
            if k > 1:
                np.multiply(self.V_apical[k - 1], share_of_apical, out=self._P_u[k - 1])
                self._P_u[k - 1] += self._P_basal[k - 1]

    def _largest_change(self) -> float:
        """Of a potential in the last sweep (mV)."""
        np.subtract(self._wanted, self._state, out=self._change)
        return self._apical_share * max(float(self._change.max()), -float(self._change.min()))

    def _give_up(self, first: int) -> NoReturn:
        change = self._apical_share * np.abs(self._change)
        networks = np.nan_to_num(change, nan=np.inf).reshape(-1, *change.shape[-2:])
        moving = np.max(networks, axis=-1) > TOLERANCE
        sample = int(np.argmax(np.any(moving, axis=0)))
        network = int(np.argmax(moving[:, sample]))
        cell = int(np.argmax(networks[network, sample]))
        largest = networks[network, sample, cell]
        raise DivergenceError(
            f"no steady state was found: sweeps through the layers still change a potential by {largest:.3g} mV; "
            "lower the weights of the feedback, the nudging, or the learning rates",
            first + sample,
            cell_name(self._circuit, int(self._layout.hidden[cell])),
            network,
        )


class _Mixing:
    """Anderson's extrapolation of a fixed-point iteration, for each sample on its own.

    The next state is that at which the changes of the last sweeps would cancel best if they were linear in the state
    (Walker and Ni 2011, SIAM J. Numer. Anal. 49:1715). Where that makes no progress, it begins anew with smaller steps: the state
    then moves as that of leaky cells does.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        lead = shape[:-1]
        self._moves, self._bends = (
            np.zeros((*lead, MEMORY, shape[-1])) for _ in range(2)
        )  # of states, and of their changes
        self._gram = np.zeros((*lead, MEMORY, MEMORY))
        self._last: tuple[FloatArray, FloatArray] | None = None
        self._count = 0
        self._step = np.ones((*lead, 1))
        self._best = np.full_like(self._step, np.inf)
        self._since_best = np.zeros_like(self._step)

    def advance(self, state: FloatArray, change: FloatArray) -> None:
        """Replace the state by the next one, given the change that a sweep makes in it."""
        self._shorten_steps(np.max(np.abs(change), axis=-1, keepdims=True))
        moved = self._step * change
        if self._last is None:
            self._last = (state.copy(), change.copy())
            state += moved
            return
        slot = self._count % MEMORY
        self._count += 1
        np.subtract(state, self._last[0], out=self._moves[..., slot, :])
        np.subtract(change, self._last[1], out=self._bends[..., slot, :])
        self._last[0][...], self._last[1][...] = state, change
        both = np.stack([self._bends[..., slot, :], change], axis=-1)
        products = self._bends @ both
        self._gram[..., slot, :] = self._gram[..., :, slot] = products[..., 0]
        floor = RELATIVE_FLOOR * np.trace(self._gram, axis1=-2, axis2=-1) + np.finfo(float).tiny
        share = np.linalg.solve(self._gram + floor[..., np.newaxis, np.newaxis] * np.eye(MEMORY), products[..., 1:])
        share = share.swapaxes(-1, -2)
        moved -= (share @ self._moves)[..., 0, :]
        moved -= self._step * (share @ self._bends)[..., 0, :]
        state += moved

    def _shorten_steps(self, largest: FloatArray) -> None:
        """Of samples that have made no progress for long; what is known of them is forgotten."""
        better = largest < self._best
        self._since_best += 1.0
        self._since_best[better] = 0.0
        self._best[better] = largest[better]
        stuck = self._since_best >= PATIENCE
        if np.any(stuck):
            self._step[stuck] /= 2.0
            self._since_best[stuck], self._best[stuck] = 0.0, largest[stuck]
            for known in (self._moves, self._bends, self._gram):
                known[stuck[..., 0]] = 0.0
