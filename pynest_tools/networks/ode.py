# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuit as a network of rates in continuous time, in numpy, many networks and samples at once."""

from __future__ import annotations

import time
from collections import deque
from itertools import repeat
from typing import NamedTuple

import numpy as np

from .alignment import aligned_change
from .backend import FloatArray, TrialResult, Weights, refuse_potentials
from .layout import APICAL, BASAL, TUFT, Block, Layout, sources
from .microcircuit import Microcircuit
from .transfer import relative_slope, transfer
from .variation import UNVARIED, Sample, Variation


class _Shares(NamedTuple):
    """Of the dendrites in u_inf while certain cells are nudged, the decay of the somatic potential in one step, and g_nudge (nS)."""

    dendrites: FloatArray
    decay: FloatArray
    g_nudge: FloatArray


class _Arrivals(NamedTuple):
    """What reaches all cells in one step: input of all dendrites, and what nudging adds to u_inf (mV)."""

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
    seed : int or numpy.random.SeedSequence
        Source of what is drawn from sample to sample, the same for networks side by side, and of the noise of somata.
    """

    chunk_samples = 96  # little work is lost by Ctrl-C; a multiple of the bars in an epoch

    def __init__(
        self, circuit: Microcircuit, weights: Weights, batch_size: int = 1, seed: int | np.random.SeedSequence = 0
    ) -> None:
        self.circuit = circuit
        self.simulation_time_s = 0.0
        self._batch_size = batch_size
        self._layout = layout = Layout(circuit)
        neuron, plasticity, h = circuit.neuron, circuit.plasticity, circuit.simulation.h
        self._delay = round(circuit.simulation.delay / h)
        self._variation = Variation(circuit, seed) if circuit.is_random else None
        self._sample = UNVARIED
        # arrays of all dendrites have a first axis for basal, apical and, if there are, tufts
        self._has_tuft = neuron.g_tuft > 0.0
        self._n_dendrites = 2 + self._has_tuft
        time_constants = (neuron.tau_basal, neuron.tau_apical, neuron.tau_apical)[: self._n_dendrites]
        decay = np.array([_decay(h, tau) for tau in time_constants]).reshape(-1, 1, 1, 1)
        self._keep_dendrites, self._add_dendrites = decay, 1.0 - decay
        self._keep_input = _decay(h, neuron.tau_syn)
        self._is_prospective, self._is_noisy = neuron.latent_equilibrium, neuron.sigma_noise > 0.0
        self._keep_noise = _decay(h, neuron.tau_noise)
        self._shares_of_partners = [cells.partner_share for cells in circuit.neurons[1:]]
        self._keep_trace = _decay(h, plasticity.tau_s)
        self._add_rate = self._keep_trace * h / plasticity.tau_s if plasticity.tau_s > 0.0 else 1.0
        self._filtered, self._keep_filtered = plasticity.tau_Delta > 0.0, _decay(h, plasticity.tau_Delta)
        self._sends_rates = layout.n_senders == layout.n_cells and circuit.connectivity.release == 1.0
        self._ramp_steps = self._steps(circuit.trial.t_target_ramp)
        self._unnudged = self._shares(np.zeros((1, 1, layout.n_cells)))
        self._is_stack = weights.up[0].ndim > 2
        self._W, self._missing = layout.present(np.atleast_2d(layout.flatten(weights)))
        self._set_plasticity()
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
        samples = self._variation.batches(n_samples, size) if learn and self._variation else repeat(UNVARIED)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # divergence is noticed at the end of the sample
                parts = [
                    self._present(
                        stimuli[:, i : i + size], targets[:, i : i + size], i, sample, is_test=is_test, learn=learn
                    )
                    for i, sample in zip(range(0, n_samples, size), samples, strict=False)
                ]
        finally:
            self.simulation_time_s += time.perf_counter() - started
        means = [np.concatenate(part, axis=1) for part in zip(*parts, strict=True)]
        V_soma, V_basal, V_apical, *V_tuft = means if self._is_stack else (mean[0] for mean in means)
        layout = self._layout
        if V_tuft:
            V_apical = layout.lateral_share * V_apical + layout.tuft_share * V_tuft[0]
        prediction = (layout.basal_factor * V_basal)[..., layout.outputs]
        return layout.result(V_soma, prediction, V_apical[..., layout.hidden])

    def get_weights(self) -> Weights:
        """Present weights (mV ms), of the shape in which they were given; NaN where there is no synapse."""
        flat = self._W if self._missing is None else np.where(self._missing, np.nan, self._W)
        return self._layout.unflatten(flat if self._is_stack else flat[0])

    def set_weights(self, weights: Weights) -> None:
        """Set every weight exactly (mV ms); there are no synapses where there were none."""
        flat = np.atleast_2d(self._layout.flatten(weights))
        self._W[...] = flat if self._missing is None else np.where(self._missing, 0.0, flat)

    def _set_plasticity(self) -> None:
        """Learning rates and limits of all weights: 0 and none for those that do not learn, and for missing synapses."""
        layout, plasticity, h = self._layout, self.circuit.plasticity, self.circuit.simulation.h
        low, high = layout.limits()
        eta = layout.per_weight(self.circuit.etas())
        if self._missing is not None:
            eta = np.where(self._missing, 0.0, eta)
        low, high = np.where(eta > 0.0, low, -np.inf), np.where(eta > 0.0, high, np.inf)
        self._aligns = plasticity.down == "alignment"
        if self._aligns:
            self._keep_innovation = _decay(h, plasticity.tau_innovation)
            eta_h = np.atleast_2d(eta * h / plasticity.noise_down**2)
            views = (layout.down(values) for values in (self._W, eta_h, low, high))
            self._aligning = list(zip(*views, strict=True))
            eta = np.where(layout.per_weight({"down": [1.0] * self.circuit.n_hidden}) > 0.0, 0.0, eta)
        self._plastic = bool(np.any(eta > 0.0))
        self._eta_h = eta * h
        self._low, self._high = low, high
        self._learns_free, self._learns_taught = self._windows()

    def _shares(self, g_nudge: FloatArray) -> _Shares:
        layout, total = self._layout, self._layout.g_rest + g_nudge
        couplings = (layout.g_basal, layout.g_apical, layout.g_tuft)[: self._n_dendrites]
        dendrites = np.stack([coupling / total for coupling in couplings])
        return _Shares(dendrites, np.exp(-self.circuit.simulation.h * total / layout.C_m), g_nudge)

    def _windows(self) -> tuple[FloatArray, FloatArray]:
        """Which compartments learn in the free phase and while the teacher acts, 1 or 0, shape (dendrites, 1, 1, n_cells)."""
        layout, names = self._layout, self.circuit.trial.free_learning
        shape = (self._n_dendrites, 1, 1, layout.n_cells)
        free, taught = np.zeros(shape), np.ones(shape)
        if "ip" in names:
            free[BASAL, ..., layout.all_interneurons] = 1.0
        if "pi" in names:
            free[APICAL, ..., layout.hidden], taught[APICAL] = 1.0, 0.0
        return free, taught

    def _steps(self, duration: float) -> int:
        return round(duration / self.circuit.simulation.h)

    def _present(
        self, stimuli: FloatArray, targets: FloatArray, first: int, sample: Sample, *, is_test: bool, learn: bool
    ) -> tuple[FloatArray, ...]:
        """Present one batch; mean potentials of somata and dendrites in the read-out window, shape (networks, batch, cells) (mV)."""
        trial, output, layout = self.circuit.trial, self.circuit.neurons[-1], self._layout
        if trial.between == "reset":
            self._finish_learning()
            self._return_to_rest(stimuli.shape[1])
        self._sample = sample
        t_pres = self._steps(trial.t_pres_test if is_test else trial.t_pres)
        readout_on = self._steps(trial.t_readout_on_test if is_test else trial.t_readout_on)
        target_on, learn_on = self._steps(trial.t_target_on), self._steps(trial.t_learn_on)
        free_on = self._steps(trial.t_free_learn_on) if trial.free_learning else target_on
        g_nudge = np.zeros((*stimuli.shape[:2], layout.n_cells))
        g_nudge += layout.g_partner
        free = np.zeros_like(targets), self._shares(g_nudge)
        g_nudge = g_nudge.copy()
        g_nudge[..., layout.outputs] = np.where(np.isnan(targets), 0.0, output.g_target_nS)
        taught = output.target_share * np.nan_to_num(targets), self._shares(g_nudge)
        V_soma, V_dendrites = np.zeros_like(g_nudge), np.zeros((self._n_dendrites, *g_nudge.shape))
        shown = sources(self.circuit, stimuli)
        middle = learn_on + (t_pres - learn_on) // 2
        for step in range(t_pres):
            if step == middle:
                self._sample = sample.reversed()
            learns = None
            if learn and (self._plastic or self._aligns):
                if step >= learn_on:
                    learns = self._learns_taught
                elif free_on <= step < target_on:
                    learns = self._learns_free
            self._step(shown, *(taught if step >= target_on else free), learns, self._ramp(step))
            if step >= readout_on:
                V_soma += self._V_soma
                V_dendrites += self._V_dendrites
        for step in range(t_pres, t_pres + self._steps(trial.t_relax)):
            self._step(np.zeros_like(shown), *free, None, self._ramp(step), bias_rate=0.0)
        refuse_potentials(self.circuit, np.abs(self._V_soma), first)
        return V_soma / (t_pres - readout_on), *(V_dendrites / (t_pres - readout_on))

    def _ramp(self, step: int) -> float:
        """Share of the teacher's conductance that acts in a step of a sample: that at the end of the step."""
        if self._ramp_steps == 0:
            return 1.0
        since = step + 1 - self._steps(self.circuit.trial.t_target_on)
        return min(max(since / self._ramp_steps, 0.0), 1.0)

    def _return_to_rest(self, batch: int) -> None:
        """Everything is as in a new network, but for the weights; what was on its way is lost."""
        layout, h_delay = self._layout, self._delay
        shape = (len(self._W), batch, layout.n_cells)
        dendrites = (self._n_dendrites, *shape)
        self._V_soma, self._V_dendrites = np.zeros(shape), np.zeros(dendrites)
        self._I_dendrites = np.zeros(dendrites) if self.circuit.neuron.tau_syn > 0.0 else None
        self._I_noise = np.zeros(shape)  # pA
        nothing = [_Arrivals(np.zeros(dendrites), np.zeros(shape), self._unnudged) for _ in range(h_delay)]
        self._arrivals = deque(nothing)
        self._errors: deque[FloatArray | None] = deque([None] * h_delay)
        self._trace = np.zeros((*shape[:2], layout.n_senders))  # of the rates that the next error meets
        self._basal_factor = np.broadcast_to(layout.basal_factor, shape).copy()  # numpy is faster with whole arrays
        self._input_trace = np.zeros((*shape[:2], self.circuit.n_sources[0]))
        if self.circuit.dale:  # rates of hidden cells, which reach their inhibitory partners
            at_rest = transfer(np.zeros(shape), layout.response)[..., layout.hidden]
            self._followed = deque([at_rest] * h_delay)
        if self._aligns:
            self._innovation = np.zeros((*shape[:2], len(layout.hidden)))
            self._innovations: deque[tuple[FloatArray, FloatArray] | None] = deque([None] * h_delay)

    def _step(
        self,
        shown: FloatArray,
        drive: FloatArray,
        shares: _Shares,
        learns: FloatArray | None,
        ramp: float = 1.0,
        bias_rate: float | None = None,
    ) -> None:
        """One time step.

        `shown` is what the sources of the inputs send (1/ms), `drive` what the teacher adds to u_inf (mV), `learns` a factor of the
        errors, None: no learning, `ramp` the share of the teacher's conductance that acts, `bias_rate` that of the biases (1/ms).
        """
        layout, response, sample = self._layout, self._layout.response, self._sample
        arrivals = self._arrivals.popleft()
        if ramp < 1.0:
            arrivals = self._less_nudged(arrivals, ramp)
        if self._I_dendrites is not None:
            self._I_dendrites *= self._keep_input
            self._I_dendrites += (1.0 - self._keep_input) * arrivals.dendrites
            arrivals.dendrites[...] = self._I_dendrites
        self._V_dendrites *= self._keep_dendrites
        np.multiply(arrivals.dendrites, self._add_dendrites, out=arrivals.dendrites)
        self._V_dendrites += arrivals.dendrites
        drawn = np.multiply(arrivals.shares.dendrites, self._V_dendrites, out=arrivals.dendrites)
        u_inf = drawn[BASAL] + drawn[APICAL]
        if self._has_tuft:
            u_inf += drawn[TUFT]
        u_inf += arrivals.nudge
        if self._is_noisy:
            u_inf += self._noise_current() / (layout.g_rest + arrivals.shares.g_nudge)
        self._V_soma -= u_inf
        self._V_soma *= arrivals.shares.decay
        self._V_soma += u_inf
        u = u_inf if self._is_prospective else self._V_soma
        rates = transfer(u, response)
        sent = rates if self._sends_rates and sample.gain is None and not self._aligns else self._send(rates, bias_rate)

        if self._plastic:
            self._integrate(self._errors.popleft())
            self._trace *= self._keep_trace
            self._trace += self._add_rate * sent
            self._input_trace *= self._keep_trace
            self._input_trace += self._add_rate * shown
            self._errors.append(self._error(rates, learns) if learns is not None else None)
        if self._aligns:
            self._align(rates, sent, learns)

        dendrites, nudge = arrivals.dendrites, arrivals.nudge  # used up, so there is room; 0 where nothing ever arrives
        for block, weights in zip(layout.blocks, self._transposed, strict=True):
            pre = shown if block.from_inputs else sent[..., block.pre]
            onto = dendrites[block.dendrite][..., block.post]
            if sample.masks is not None and block.dendrite == BASAL:
                self._transmit_masked(block, pre, onto)
            else:
                np.matmul(pre, weights, out=onto)
        nudge[..., layout.outputs] = drive
        for cells, partners, share in zip(
            layout.interneurons, layout.pyramidal[1:], self._shares_of_partners, strict=True
        ):
            np.multiply(share, u[..., partners], out=nudge[..., cells])
        self._arrivals.append(_Arrivals(dendrites, nudge, shares))

    def _less_nudged(self, arrivals: _Arrivals, ramp: float) -> _Arrivals:
        """The same with a share of the conductance of the teacher only."""
        outputs, g_rest = self._layout.outputs, self._layout.g_rest
        full = arrivals.shares.g_nudge
        g_nudge = full.copy()
        g_nudge[..., outputs] *= ramp
        drive = ramp * (g_rest + full)[..., outputs] / (g_rest + g_nudge)[..., outputs]
        arrivals.nudge[..., outputs] *= drive
        return arrivals._replace(shares=self._shares(g_nudge))

    def _noise_current(self) -> FloatArray:
        """Of this step: an Ornstein-Uhlenbeck process (pA)."""
        assert self._variation is not None
        keep = self._keep_noise
        self._I_noise *= keep
        drawn = self._variation.soma(self._I_noise.shape)
        self._I_noise += self.circuit.neuron.sigma_noise * np.sqrt(1.0 - keep**2) * drawn
        return self._I_noise

    def _send(self, rates: FloatArray, bias_rate: float | None) -> FloatArray:
        """What synapses get of the rates, which become those of the cells that have not dropped out."""
        layout, sample, circuit = self._layout, self._sample, self.circuit
        gain, release = sample.gain, circuit.connectivity.release
        if circuit.dale:
            followed = self._followed.popleft()
            self._followed.append(rates[..., layout.hidden])
        if gain is not None:
            rates *= gain
        noisy = rates if sample.noise is None else rates + sample.noise * np.sqrt(rates)
        if self._sends_rates:
            return noisy
        sent = np.empty((*rates.shape[:-1], layout.n_senders))
        sent[..., layout.senders] = noisy
        sent[..., layout.biases] = circuit.bias_rate if bias_rate is None else bias_rate
        if circuit.dale:
            sent[..., layout.inhibitory] = followed if gain is None else followed * gain[..., layout.hidden]
        sent *= release
        return sent

    def _transmit_masked(self, block: Block, pre: FloatArray, onto: FloatArray) -> None:
        """What arrives at basal dendrites if each sample has synapses of its own."""
        weights = (block.of(self._W)[:, np.newaxis] * self._mask_of(block)).swapaxes(-1, -2)
        np.matmul(pre[..., np.newaxis, :], weights, out=onto[..., np.newaxis, :])

    def _mask_of(self, block: Block) -> FloatArray:
        assert self._sample.masks is not None
        return self._sample.masks[self._layout.onto.index(block)]

    def _error(self, rates: FloatArray, learns: FloatArray) -> FloatArray:
        """Errors of all dendrites: of basal ones and tufts (1/ms), of apical ones (mV)."""
        layout, response, gain = self._layout, self._layout.response, self._sample.gain
        errors = np.empty_like(self._V_dendrites)
        v = self._basal_factor * self._V_dendrites[BASAL]
        slope = relative_slope(v, response) if self.circuit.neuron.error_with_h else None
        predicted = transfer(v, response, out=v)
        if gain is not None:
            predicted *= gain
        np.subtract(rates, predicted, out=errors[BASAL])
        if slope is not None:
            errors[BASAL] *= slope
        if self._has_tuft:
            predicted = transfer(self._V_dendrites[TUFT], response)
            if gain is not None:
                predicted *= gain
            np.subtract(rates, predicted, out=errors[TUFT])
            apical = layout.lateral_share * self._V_dendrites[APICAL] + layout.tuft_share * self._V_dendrites[TUFT]
            np.negative(apical, out=errors[APICAL])
        else:
            np.negative(self._V_dendrites[APICAL], out=errors[APICAL])
        if self.circuit.trial.free_learning:
            errors *= learns
        return errors

    def _align(self, rates: FloatArray, sent: FloatArray, learns: FloatArray | None) -> None:
        """Let `down` learn by alignment: rates that are sent now meet innovations one delay ago.

        The innovation is the noise of what a cell sends, low-passed with tau_innovation.
        """
        layout, hidden = self._layout, self._layout.hidden
        self._innovation *= self._keep_innovation
        if self._sample.noise is not None:
            noise = self._sample.noise[..., hidden] * np.sqrt(rates[..., hidden])
            self._innovation += (1.0 - self._keep_innovation) * noise
        learned = self._innovations.popleft()
        is_taught = learns is self._learns_taught
        self._innovations.append((self._innovation.copy(), rates[..., hidden]) if is_taught else None)
        if learned is None:
            return
        decay = self.circuit.plasticity.decay_down * self.circuit.simulation.h
        first = 0
        of_cells = sent[..., layout.senders]
        for above, (W, eta_h, low, high) in zip(layout.pyramidal[1:], self._aligning, strict=True):
            cells = slice(first, first + W.shape[-2])
            first = cells.stop
            X, R = (values[..., cells] for values in learned)
            np.clip(W + aligned_change(W, X, R, of_cells[..., above], eta_h, decay), low, high, out=W)

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
            error = errors[block.dendrite][..., block.post]
            trace = self._input_trace if block.from_inputs else self._trace[..., block.pre]
            if self._sample.masks is not None and block.dendrite == BASAL:
                np.einsum("nbi,nbj,bij->nij", error, trace, self._mask_of(block), out=products, optimize=True)
            else:
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
