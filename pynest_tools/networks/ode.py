# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuit as a network of rates in continuous time, in numpy, many networks and samples at once."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

import numpy as np

from .backend import FloatArray, TrialResult, Weights, refuse_potentials
from .layout import Layout
from .microcircuit import Microcircuit
from .transfer import transfer

BASAL, APICAL = 0, 1


class _Shares(NamedTuple):
    """Of the dendrites in u_inf while certain cells are nudged, and the decay of the somatic potential in one step."""

    dendrites: FloatArray
    decay: FloatArray


class _Arrivals(NamedTuple):
    """What reaches all cells in one step: input of both dendrites, and what nudging adds to u_inf (mV)."""

    dendrites: FloatArray
    nudge: FloatArray
    shares: _Shares


class OdeMicrocircuit:
    """A microcircuit of rates, stepped as the one in NEST: exponential Euler, synapses with delay, weights in every step.

    Networks that differ in their weights are simulated side by side if the weights have a first axis for them; so have the
    stimuli and all results then. Samples are presented one after the other, or side by side in batches to copies of the network
    that share their weights, whose changes are summed.

    Parameters
    ----------
    circuit : Microcircuit
        The specification; psi, t_ref and threads mean nothing here.
    weights : Weights
        Initial weights (mV ms), each of shape (post, pre) or (networks, post, pre).
    batch_size : int
        Number of samples that are learned side by side; tests take as many as they are given.
    """

    chunk_samples = 96  # little work is lost by Ctrl-C; a multiple of the bars in an epoch

    def __init__(self, circuit: Microcircuit, weights: Weights, batch_size: int = 1) -> None:
        self.circuit = circuit
        self.simulation_time_s = 0.0
        self._batch_size = batch_size
        self._layout = layout = Layout(circuit)
        neuron, plasticity, h = circuit.neuron, circuit.plasticity, circuit.simulation.h
        self._delay = round(circuit.simulation.delay / h)
        # arrays of both dendrites have a first axis for basal and apical
        decay = np.array([_decay(h, neuron.tau_basal), _decay(h, neuron.tau_apical)]).reshape(2, 1, 1, 1)
        self._keep_dendrites, self._add_dendrites = decay, 1.0 - decay
        self._share_of_partner = neuron.partner_share
        self._keep_trace = _decay(h, plasticity.tau_s)
        self._add_rate = self._keep_trace * h / plasticity.tau_s if plasticity.tau_s > 0.0 else 1.0
        self._filtered, self._keep_filtered = plasticity.tau_Delta > 0.0, _decay(h, plasticity.tau_Delta)
        eta = layout.per_weight(circuit.etas())
        self._plastic = bool(np.any(eta > 0.0))
        self._eta_h = eta * h
        self._low = np.where(eta > 0.0, plasticity.Wmin, -np.inf)
        self._high = np.where(eta > 0.0, plasticity.Wmax, np.inf)
        self._learns_free, self._learns_taught = self._windows()
        self._unnudged = self._shares(np.zeros((1, 1, layout.n_cells)))
        self._is_stack = weights.up[0].ndim > 2
        self._W = np.atleast_2d(layout.flatten(weights))
        self._E = np.zeros_like(self._W)  # error times trace that the filter holds
        self._pending = False  # whether it holds anything
        self._X = np.zeros_like(self._W)  # scratch: error times trace of one step
        self._transposed = [block.of(self._W).swapaxes(-1, -2) for block in layout.blocks]
        self._products = [block.of(self._X) for block in layout.blocks]
        self._return_to_rest(1)

    def run(self, stimuli: FloatArray, targets: FloatArray | None, *, learn: bool) -> TrialResult:
        """Present samples; see `Network.run`. With many networks, all arrays have a first axis for them."""
        started = time.perf_counter()
        stimuli = np.fmax(stimuli if self._is_stack else stimuli[np.newaxis], 0.0)  # neither negative rates nor NaN
        if targets is None:
            targets = np.full((*stimuli.shape[:-1], self.circuit.sizes[-1]), np.nan)
            is_test = True
        else:
            targets = targets if self._is_stack else targets[np.newaxis]
            is_test = False
        independent = not learn and self.circuit.trial.between == "reset"
        n_samples = stimuli.shape[-2]
        size = n_samples if independent else self._batch_size
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # divergence is noticed at the end of the sample
                parts = [
                    self._present(stimuli[:, i : i + size], targets[:, i : i + size], i, is_test=is_test, learn=learn)
                    for i in range(0, n_samples, size)
                ]
        finally:
            self.simulation_time_s += time.perf_counter() - started
        means = [np.concatenate(part, axis=1) for part in zip(*parts, strict=True)]
        V_soma, V_basal, V_apical = means if self._is_stack else (mean[0] for mean in means)
        layout = self._layout
        prediction = (layout.basal_factor * V_basal)[..., layout.outputs]
        return layout.result(V_soma, prediction, V_apical[..., layout.hidden])

    def get_weights(self) -> Weights:
        """Present weights (mV ms), of the shape in which they were given."""
        return self._layout.unflatten(self._W if self._is_stack else self._W[0])

    def set_weights(self, weights: Weights) -> None:
        """Set every weight exactly (mV ms)."""
        flat = self._layout.flatten(weights)
        self._W[...] = flat if self._is_stack else flat[np.newaxis]

    def _shares(self, g_nudge: FloatArray) -> _Shares:
        layout, total = self._layout, self._layout.g_rest + g_nudge
        dendrites = np.stack([layout.g_basal / total, layout.g_apical / total])
        return _Shares(dendrites, np.exp(-self.circuit.simulation.h * total / layout.C_m))

    def _windows(self) -> tuple[FloatArray, FloatArray]:
        """Which compartments learn in the free phase and while the teacher acts, 1 or 0, shape (2, 1, 1, n_cells)."""
        layout, names = self._layout, self.circuit.trial.free_learning
        free, taught = np.zeros((2, 1, 1, layout.n_cells)), np.ones((2, 1, 1, layout.n_cells))
        if "ip" in names:
            free[BASAL, ..., layout.all_interneurons] = 1.0
        if "pi" in names:
            free[APICAL, ..., layout.hidden], taught[APICAL] = 1.0, 0.0
        return free, taught

    def _steps(self, duration: float) -> int:
        return round(duration / self.circuit.simulation.h)

    def _present(
        self, stimuli: FloatArray, targets: FloatArray, first: int, *, is_test: bool, learn: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Present one batch; returns mean potentials over the read-out window, shape (networks, batch, cells) (mV)."""
        trial, neuron, layout = self.circuit.trial, self.circuit.neuron, self._layout
        if trial.between == "reset":
            self._finish_learning()
            self._return_to_rest(stimuli.shape[1])
        t_pres = self._steps(trial.t_pres_test if is_test else trial.t_pres)
        readout_on = self._steps(trial.t_readout_on_test if is_test else trial.t_readout_on)
        target_on, learn_on = self._steps(trial.t_target_on), self._steps(trial.t_learn_on)
        free_on = self._steps(trial.t_free_learn_on) if trial.free_learning else target_on
        g_nudge = np.zeros((*stimuli.shape[:2], layout.n_cells))
        g_nudge[..., layout.all_interneurons] = neuron.g_nudge
        free = np.zeros_like(targets), self._shares(g_nudge)
        g_nudge[..., layout.outputs] = np.where(np.isnan(targets), 0.0, neuron.g_target_nS)
        taught = neuron.target_share * np.nan_to_num(targets), self._shares(g_nudge)
        V_soma, V_dendrites = np.zeros_like(g_nudge), np.zeros((2, *g_nudge.shape))
        for step in range(t_pres):
            learns = None
            if learn and self._plastic:
                if step >= learn_on:
                    learns = self._learns_taught
                elif free_on <= step < target_on:
                    learns = self._learns_free
            self._step(stimuli, *(taught if step >= target_on else free), learns)
            if step >= readout_on:
                V_soma += self._V_soma
                V_dendrites += self._V_dendrites
        for _ in range(self._steps(trial.t_relax)):
            self._step(np.zeros_like(stimuli), *free, None)
        refuse_potentials(self.circuit, np.abs(self._V_soma), first)
        V_basal, V_apical = V_dendrites / (t_pres - readout_on)
        return V_soma / (t_pres - readout_on), V_basal, V_apical

    def _return_to_rest(self, batch: int) -> None:
        """Everything is as in a new network, but for the weights; what was on its way is lost."""
        shape = (len(self._W), batch, self._layout.n_cells)
        self._V_soma, self._V_dendrites = np.zeros(shape), np.zeros((2, *shape))
        nothing = [_Arrivals(np.zeros((2, *shape)), np.zeros(shape), self._unnudged) for _ in range(self._delay)]
        self._arrivals = deque(nothing)
        self._errors: deque[FloatArray | None] = deque([None] * self._delay)
        self._trace = np.zeros(shape)  # of the rates that the next error meets
        self._basal_factor = np.broadcast_to(
            self._layout.basal_factor, shape
        ).copy()  # numpy is faster with whole arrays
        self._input_trace = np.zeros((len(self._W), batch, self.circuit.sizes[0]))

    def _step(self, stimuli: FloatArray, drive: FloatArray, shares: _Shares, learns: FloatArray | None) -> None:
        """One time step; `drive` is what the teacher adds to u_inf (mV), `learns` a factor of the errors, None: no learning."""
        neuron, layout = self.circuit.neuron, self._layout
        arrivals = self._arrivals.popleft()
        self._V_dendrites *= self._keep_dendrites
        np.multiply(arrivals.dendrites, self._add_dendrites, out=arrivals.dendrites)
        self._V_dendrites += arrivals.dendrites
        from_basal, from_apical = np.multiply(arrivals.shares.dendrites, self._V_dendrites, out=arrivals.dendrites)
        u_inf = from_basal + from_apical
        u_inf += arrivals.nudge
        self._V_soma -= u_inf
        self._V_soma *= arrivals.shares.decay
        self._V_soma += u_inf
        u = u_inf if neuron.latent_equilibrium else self._V_soma
        rates = transfer(u, layout.response)

        if self._plastic:
            self._integrate(self._errors.popleft())
            self._trace *= self._keep_trace
            self._trace += self._add_rate * rates
            self._input_trace *= self._keep_trace
            self._input_trace += self._add_rate * stimuli
            errors = None
            if learns is not None:
                errors = np.empty_like(self._V_dendrites)
                np.subtract(
                    rates, transfer(self._basal_factor * self._V_dendrites[BASAL], layout.response), out=errors[BASAL]
                )
                np.negative(self._V_dendrites[APICAL], out=errors[APICAL])
                if self.circuit.trial.free_learning:
                    errors *= learns
            self._errors.append(errors)

        dendrites, nudge = arrivals.dendrites, arrivals.nudge  # used up, so there is room; 0 where nothing ever arrives
        for block, weights in zip(layout.blocks, self._transposed, strict=True):
            pre = stimuli if block.from_inputs else rates[..., block.pre]
            onto = dendrites[APICAL if block.apical else BASAL]
            np.matmul(pre, weights, out=onto[..., block.post])
        nudge[..., layout.outputs] = drive
        for cells, partners in zip(layout.interneurons, layout.pyramidal[1:], strict=True):
            np.multiply(self._share_of_partner, u[..., partners], out=nudge[..., cells])
        self._arrivals.append(_Arrivals(dendrites, nudge, shares))

    def _integrate(self, errors: FloatArray | None) -> None:
        """Let the errors of one step, basal (1/ms) and apical (mV), meet the present traces."""
        if errors is None and not self._pending:
            return
        if self._pending:
            np.multiply(self._E, (1.0 - self._keep_filtered) * self._eta_h, out=self._X)
            self._change(self._X)
            self._E *= self._keep_filtered
        if errors is not None:
            self._outer(errors)
            if self._filtered:
                self._E += self._X
                self._pending = True
            else:
                self._X *= self._eta_h
                self._change(self._X)

    def _outer(self, errors: FloatArray) -> None:
        """Error times trace of every synapse, summed over the batch, into the scratch."""
        for block, products in zip(self._layout.blocks, self._products, strict=True):
            error = errors[APICAL if block.apical else BASAL][..., block.post]
            trace = self._input_trace if block.from_inputs else self._trace[..., block.pre]
            np.matmul(error.swapaxes(-1, -2), trace, out=products)

    def _change(self, change: FloatArray) -> None:
        self._W += change
        np.maximum(self._W, self._low, out=self._W)
        np.minimum(self._W, self._high, out=self._W)

    def _finish_learning(self) -> None:
        """What a long silence does: the last errors meet traces to which nothing is added, and the filter runs dry."""
        if not self._plastic:
            return
        for errors in self._errors:
            self._integrate(errors)
            self._trace *= self._keep_trace
            self._input_trace *= self._keep_trace
        if self._pending:
            self._change(self._E * self._eta_h)
            self._E[...] = 0.0
            self._pending = False


def _decay(h: float, tau: float) -> float:
    """Share that is left after a step of something that decays with tau (ms); nothing if tau is 0."""
    return float(np.exp(-h / tau)) if tau > 0.0 else 0.0
