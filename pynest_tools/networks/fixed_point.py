# SPDX-License-Identifier: GPL-2.0-or-later
"""The steady state of a microcircuit, by sweeps up and down its layers."""

from __future__ import annotations

from itertools import pairwise
from typing import NoReturn

import numpy as np

from .backend import DivergenceError, FloatArray, cell_name
from .layout import Layout, sources
from .microcircuit import Microcircuit
from .transfer import relative_slope, transfer
from .variation import UNVARIED, Sample

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
    sent : list of ndarray, shape (*shape, senders of the level)
        What synapses get of the rates (1/ms): of the cells of the level, its bias, and its inhibitory partners.
    shown, P_sent : ndarray and list of ndarray, shape (*shape, sources of P_k)
        The same for what `up` gets, from the inputs and from every level (1/ms).
    V_apical, V_tuft : list of ndarray, shape (*shape, P_k)
        Apical potentials of every hidden layer, and those of its tufts, if there are (mV).
    """

    def __init__(self, circuit: Microcircuit, layout: Layout, W: FloatArray, shape: tuple[int, ...]) -> None:
        self._circuit, self._layout = circuit, layout
        neurons, sizes = circuit.neurons, circuit.sizes
        self._from_inputs, *self._onto = (block.of(W).swapaxes(-1, -2) for block in layout.onto)
        self._back, self._top_down = (
            [block.of(W).swapaxes(-1, -2) for block in blocks] for blocks in (layout.back, layout.top_down)
        )
        widths = [sizes[1], *(2 * n for n in sizes[2:])]
        self.u, self.rates, self._basal = ([np.empty((*shape, n)) for n in widths] for _ in range(3))
        self._P_u, self.P_rates, self._P_basal = (
            [level[..., -n:] for level, n in zip(levels, sizes[1:], strict=True)]
            for levels in (self.u, self.rates, self._basal)
        )
        self._I_u, self._I_basal = (
            [level[..., :-n] for level, n in zip(levels, sizes[1:], strict=True)] for levels in (self.u, self._basal)
        )
        responses = [layout.response.of(cells) for cells in layout.levels]
        self._responses, self._P_responses = responses, [layout.response.of(cells) for cells in layout.pyramidal]
        self._shares = [np.empty((*shape, n)) for n in widths]  # of v_b in u
        for share, n, cells in zip(self._shares, sizes[1:], neurons, strict=True):
            share[..., :-n] = cells.g_basal / (cells.g_point + cells.g_nudge)
            share[..., -n:] = cells.g_basal / cells.g_hidden
        self._partner_shares = [cells.partner_share for cells in neurons]
        self._apical_shares = [(cells.g_apical + cells.g_tuft) / cells.g_hidden for cells in neurons[:-1]]
        self._factors = [layout.basal_factor[cells] for cells in layout.levels]
        self._largest_share = max(self._apical_shares)
        hidden = np.cumsum([0, *sizes[1:-1]])
        self._state, self._wanted, self._change = (np.zeros((*shape, hidden[-1])) for _ in range(3))
        parts = [slice(a, b) for a, b in pairwise(hidden)]
        self._states = [self._state[..., part] for part in parts]
        self.V_apical = [self._wanted[..., part] for part in parts]
        self.V_tuft = [np.empty_like(part) for part in self.V_apical] if layout.top_down else []
        self._with_h = circuit.neuron.error_with_h
        self._prepare_sending(shape, widths)

    def _prepare_sending(self, shape: tuple[int, ...], widths: list[int]) -> None:
        """Room for what is sent, unless that is the rates themselves."""
        circuit = self._circuit
        there = circuit.connectivity
        self._sample = UNVARIED
        self._masked: list[FloatArray] | None = None
        self._sends_rates = (
            self._layout.n_senders == self._layout.n_cells
            and there.release == 1.0
            and there.dropout == 0.0
            and circuit.plasticity.down != "alignment"
        )
        if self._sends_rates:
            self.sent, self.P_sent = self.rates, self.P_rates
            self._sent_back = self.rates
            return
        extra = [n - size for n, size in zip(circuit.n_sources[1:], circuit.sizes[1:], strict=False)] + [0]
        self.sent = [np.empty((*shape, width + more)) for width, more in zip(widths, extra, strict=True)]
        own = [
            width - size for width, size in zip(widths, circuit.sizes[1:], strict=True)
        ]  # interneurons, which come first
        self.P_sent = [sent[..., n:] for sent, n in zip(self.sent, own, strict=True)]
        self._sent_back = [sent[..., :width] for sent, width in zip(self.sent, widths, strict=True)]

    def solve(
        self, stimuli: FloatArray, output_share: FloatArray, drive: FloatArray, first: int, sample: Sample = UNVARIED
    ) -> None:
        """Find the steady state.

        Parameters
        ----------
        stimuli : ndarray, shape (*shape, n_inputs)
            Rates of the inputs (1/ms).
        output_share, drive : ndarray, shape (*shape, n_outputs)
            Share of v_b in the potentials of output cells, and what a teacher adds to them (mV).
        first : int
            Index of the first sample within the call of `Network.run`, for errors.
        sample : Sample
            What is drawn for each sample.

        Raises
        ------
        DivergenceError
            If a sample has no steady state that the sweeps find.
        """
        self._shares[-1][..., -output_share.shape[-1] :] = output_share
        self.shown = sources(self._circuit, stimuli)
        self._prepare(sample)
        if self._masked is None:
            np.matmul(self.shown, self._from_inputs, out=self._basal[0])
        else:
            np.matmul(self.shown[..., np.newaxis, :], self._masked[0], out=self._basal[0][..., np.newaxis, :])
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
        """phi(u) - phi(v^) of some cells of a level, times their gain, and h(v^) if the circuit has it in its errors (1/ms)."""
        v, response, gain = self._prediction(level, cells), self._responses[level].of(cells), self._sample.gain
        predicted = transfer(v, response)
        if gain is not None:
            predicted *= gain[..., self._layout.levels[level]][..., cells]
        error = self.rates[level][..., cells] - predicted
        return error * relative_slope(v, response) if self._with_h else error

    def tuft_error(self, layer: int) -> FloatArray:
        """phi(u) - phi(v_t) of the pyramidal cells of a hidden layer, from 0 on, times their gain (1/ms)."""
        predicted, gain = transfer(self.V_tuft[layer], self._P_responses[layer]), self._sample.gain
        if gain is not None:
            predicted *= gain[..., self._layout.pyramidal[layer]]
        return self.P_rates[layer] - predicted

    def innovation(self, layer: int) -> FloatArray:
        """What the pyramidal cells of a hidden layer, from 0 on, send beyond their rates (1/ms)."""
        assert self._sample.noise is not None
        return np.asarray(self._sample.noise[..., self._layout.pyramidal[layer]] * np.sqrt(self.P_rates[layer]))

    def copy_to(self, V_soma: FloatArray, prediction: FloatArray, V_apical: FloatArray) -> None:
        """Put potentials (mV) of all cells, v^ of outputs, and apical potentials side by side into arrays."""
        for cells, u in zip(self._layout.levels, self.u, strict=True):
            V_soma[..., cells] = u
        prediction[...] = self._prediction(-1, slice(-prediction.shape[-1], None))
        V_apical[...] = self._wanted

    def _prediction(self, level: int, cells: slice) -> FloatArray:
        here = (..., cells)
        return np.asarray(self._basal[level][here] * (self._factors[level][cells] / self._shares[level][here]))

    def _prepare(self, sample: Sample) -> None:
        """What stays as it is while the state is sought: which synapses there are, the rates of biases."""
        self._sample, self._masked = sample, None
        if sample.masks is not None:
            forward = [self._from_inputs, *self._onto]
            self._masked = [
                weights[..., np.newaxis, :, :] * mask.swapaxes(-1, -2)
                for weights, mask in zip(forward, sample.masks, strict=True)
            ]
        bias_rate = self._circuit.bias_rate
        if bias_rate > 0.0:
            for sent, n in zip(self.P_sent[:-1], self._circuit.sizes[1:], strict=False):
                sent[..., n :: n + 1] = bias_rate * self._circuit.connectivity.release  # with its inhibitory partner

    def _sweep(self, drive: FloatArray) -> None:
        """Up with the present state, down to the apical potentials that the cells want."""
        last, plain, masked = len(self.u) - 1, self._sends_rates, self._masked
        for k in range(last):
            u, basal = self._P_u[k], self._basal[k + 1]
            np.multiply(self._states[k], self._apical_shares[k], out=u)
            u += self._P_basal[k]
            transfer(u, self._P_responses[k], out=self.P_rates[k])
            if not plain:
                self._send(k, slice(-self.P_rates[k].shape[-1], None))
            if masked is None:
                np.matmul(self.P_sent[k], self._onto[k], out=basal)
            else:
                np.matmul(self.P_sent[k][..., np.newaxis, :], masked[k + 1], out=basal[..., np.newaxis, :])
            basal *= self._shares[k + 1]
        np.add(self._P_basal[last], drive, out=self._P_u[last])
        for k in range(last, 0, -1):
            np.multiply(self._P_u[k], self._partner_shares[k], out=self._I_u[k])
            self._I_u[k] += self._I_basal[k]
            transfer(self.u[k], self._responses[k], out=self.rates[k])
            if not plain:
                self._send(k, slice(None))
            if self._top_down:
                self._feed_back(k)
            else:
                np.matmul(self._sent_back[k], self._back[k - 1], out=self.V_apical[k - 1])
            if k > 1:
                np.multiply(self.V_apical[k - 1], self._apical_shares[k - 1], out=self._P_u[k - 1])
                self._P_u[k - 1] += self._P_basal[k - 1]

    def _feed_back(self, level: int) -> None:
        """Potentials of the tufts of the layer below a level, and what apical dendrites have of them and of their own."""
        n, below = self.P_rates[level].shape[-1], level - 1
        sent, cells = self._sent_back[level], self._layout.pyramidal[below]
        np.matmul(sent[..., n:], self._top_down[below], out=self.V_tuft[below])
        lateral = self._layout.lateral_share[cells] * (sent[..., :n] @ self._back[below])
        np.add(lateral, self._layout.tuft_share[cells] * self.V_tuft[below], out=self.V_apical[below])

    def _send(self, level: int, cells: slice) -> None:
        """What synapses get of the rates of some cells of a level, which become those of the cells that have not dropped out."""
        rates, sent, sample = self.rates[level][..., cells], self.sent[level], self._sample
        places = self._layout.levels[level]
        if sample.gain is not None:
            rates *= sample.gain[..., places][..., cells]
        own = sent[..., : self.rates[level].shape[-1]][..., cells]
        own[...] = rates
        if sample.noise is not None:
            own += sample.noise[..., places][..., cells] * np.sqrt(rates)
        release = self._circuit.connectivity.release
        own *= release
        if self._circuit.dale and level < len(self.u) - 1:
            n = self.P_rates[level].shape[-1]
            partners = self.P_sent[level][..., self.P_sent[level].shape[-1] // 2 :][..., :n]
            np.multiply(self.P_rates[level], release, out=partners)

    def _largest_change(self) -> float:
        """Of a potential in the last sweep, at most (mV)."""
        np.subtract(self._wanted, self._state, out=self._change)
        return self._largest_share * max(float(self._change.max()), -float(self._change.min()))

    def _give_up(self, first: int) -> NoReturn:
        change = self._largest_share * np.abs(self._change)
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
