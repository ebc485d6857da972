# SPDX-License-Identifier: GPL-2.0-or-later
"""How the numpy backends lay out cells and weights.

All cells lie side by side on the last axis of an array: P_1, I_1, P_2, I_2, ..., I_{N-1}, P_N. Interneurons I_k are next to P_{k+1},
so that everything that P_k sends to basal dendrites is one matrix, and everything that its apical dendrites receive is another (two,
if it has tufts). The axes before the last are networks that are simulated side by side, and samples that are presented side by side.

What sends to synapses are the cells themselves, unless there are biases or inhibitory partners: these follow P_k then, in an array of
senders of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .backend import FloatArray, TrialResult, Weights
from .microcircuit import Microcircuit
from .transfer import rate_difference, response_of
from .weights import weight_limits

BASAL, APICAL, TUFT = range(3)


def sources(circuit: Microcircuit, rates: FloatArray, bias_rate: float | None = None) -> FloatArray:
    """What the sources of a layer's `up` transmit if its inhibitory partners send what its cells send.

    Parameters
    ----------
    circuit : Microcircuit
        Says which sources there are (`Microcircuit.n_sources`), and how reliably synapses transmit.
    rates : ndarray, shape (..., cells)
        Of the inputs, or of the pyramidal cells of a layer (1/ms).
    bias_rate : float, optional
        That of the bias, if not the circuit's (1/ms).

    Returns
    -------
    ndarray, shape (..., sources)
        The same array if there is nothing to add (1/ms).
    """
    if circuit.bias_rate > 0.0:
        bias = np.full((*rates.shape[:-1], 1), circuit.bias_rate if bias_rate is None else bias_rate)
        rates = np.concatenate([rates, bias], axis=-1)
    if circuit.dale:
        rates = np.concatenate([rates, rates], axis=-1)
    release = circuit.connectivity.release
    return rates if release == 1.0 else release * rates


@dataclass(frozen=True)
class Block:
    """One matrix of weights, [post, pre].

    Attributes
    ----------
    pre : slice
        Presynaptic senders; sources of the inputs if `from_inputs`.
    post : slice
        Postsynaptic cells.
    from_inputs : bool
        Whether the presynaptic cells are the inputs.
    dendrite : int
        Which dendrite the synapses are on: BASAL, APICAL or TUFT.
    place : slice
        Where its entries lie in an array of all weights.
    shape : (int, int)
        Number of postsynaptic cells and of presynaptic senders.
    """

    pre: slice
    post: slice
    from_inputs: bool
    dendrite: int
    place: slice
    shape: tuple[int, int]

    def of(self, flat: FloatArray) -> FloatArray:
        """View of its entries in an array of all weights, shape (..., post, pre)."""
        return flat[..., self.place].reshape(*flat.shape[:-1], *self.shape)


class Layout:
    """Where the cells and weights of a microcircuit lie, and what is constant for each cell.

    Parameters
    ----------
    circuit : Microcircuit
        The specification.

    Attributes
    ----------
    n_cells, n_weights : int
        Number of cells without inputs, and of weights.
    pyramidal, interneurons : list of slice
        Cells P_1, ..., P_N and I_1, ..., I_{N-1}.
    levels : list of slice
        P_1, then I_k and P_{k+1} side by side.
    hidden : ndarray of int
        Indices of all hidden pyramidal cells.
    outputs : slice
        P_N.
    n_senders : int
        Number of cells, biases and inhibitory partners without those of the inputs.
    senders : slice or ndarray of int
        Places of all cells among the senders.
    biases, inhibitory : ndarray of int
        Places of biases, with their partners, and of the partners of hidden pyramidal cells, in the order of `hidden`.
    blocks : list of Block
        Together all weights.
    onto, back, top_down : list of Block
        Those onto the basal dendrites of P_1 and of every other level; those onto apical dendrites; those onto tufts, if there are.
    response : CellResponse
        Transfer function of all cells.
    C_m, g_basal, g_apical, g_tuft, g_rest, basal_factor : ndarray, shape (n_cells,)
        Capacitance (pF), couplings of the dendrites (nS), total conductance without nudging (nS), and v^ / v_b.
    g_partner : ndarray, shape (n_cells,)
        Conductance with which partners nudge interneurons (nS), 0 for others.
    lateral_share, tuft_share : ndarray, shape (n_cells,)
        Of lateral apical dendrite and tuft in the potential of the one apical dendrite that they would be, g_a / (g_a + g_t) and
        g_t / (g_a + g_t); 0 where there is neither.
    """

    def __init__(self, circuit: Microcircuit) -> None:
        sizes, layers = circuit.sizes, circuit.layers
        self.circuit = circuit
        self.response = response_of(circuit)
        self.pyramidal = [layers[f"P_{k}"] for k in range(1, len(sizes))]
        self.interneurons = [layers[f"I_{k}"] for k in range(1, len(sizes) - 1)]
        self.outputs = self.pyramidal[-1]
        self.hidden = np.concatenate([np.arange(layer.start, layer.stop) for layer in self.pyramidal[:-1]])
        self.levels = [
            self.pyramidal[0],
            *(slice(i.start, p.stop) for i, p in zip(self.interneurons, self.pyramidal[1:], strict=True)),
        ]
        self.partners = np.concatenate([np.arange(layer.start, layer.stop) for layer in self.pyramidal[1:]])
        self.all_interneurons = np.concatenate([np.arange(cells.start, cells.stop) for cells in self.interneurons])
        self.n_cells = self.outputs.stop

        self._place_senders()
        self.blocks: list[Block] = []
        self.onto: list[Block] = []
        self.back: list[Block] = []
        self.top_down: list[Block] = []
        self.n_weights = 0
        self._add(self.onto, slice(0, circuit.n_sources[0]), self.pyramidal[0], from_inputs=True)
        for k, (layer, both) in enumerate(zip(self.pyramidal[:-1], self.levels[1:], strict=True), start=1):
            first, size = self._first_sender[k], sizes[k + 1]
            self._add(self.onto, slice(first, first + circuit.n_sources[k]), both)
            above = self._first_sender[k + 1]  # of P_{k+1}; I_k is before it
            if circuit.neuron.g_tuft == 0.0:
                self._add(self.back, slice(above - size, above + size), layer, APICAL)
            else:
                self._add(self.back, slice(above - size, above), layer, APICAL)
                self._add(self.top_down, slice(above, above + size), layer, TUFT)
        self._set_parameters()

    def _place_senders(self) -> None:
        """P_1 and its biases and partners, then I_k, P_{k+1} and theirs; as the cells, if there are none."""
        circuit, sizes = self.circuit, self.circuit.sizes
        self._first_sender: dict[int, int] = {}
        cells: list[NDArray[np.int64]] = []
        biases: list[int] = []
        inhibitory: list[NDArray[np.int64]] = []
        place = 0
        for k in range(1, len(sizes)):
            if k > 1:
                cells.append(np.arange(place, place + sizes[k]))
                place += sizes[k]
            self._first_sender[k] = place
            cells.append(np.arange(place, place + sizes[k]))
            place += sizes[k]
            if k == len(sizes) - 1:
                break
            for partners in range(1 + circuit.dale):
                if partners:
                    inhibitory.append(np.arange(place, place + sizes[k]))
                    place += sizes[k]
                if circuit.bias_rate > 0.0:
                    biases.append(place)
                    place += 1
        self.n_senders = place
        self.senders: slice | NDArray[np.int64] = slice(None) if place == self.n_cells else np.concatenate(cells)
        self.biases = np.array(biases, dtype=np.int64)
        self.inhibitory = np.concatenate(inhibitory) if circuit.dale else np.zeros(0, dtype=np.int64)

    def _set_parameters(self) -> None:
        """Parameters of every cell; interneurons have those of the layer that they predict."""
        self.C_m, g_L, self.g_basal, self.g_apical, self.g_tuft, self.g_partner = np.zeros((6, self.n_cells))
        for k, neuron in enumerate(self.circuit.neurons):
            cells = self.levels[k]
            self.C_m[cells], g_L[cells], self.g_basal[cells] = neuron.C_m, neuron.g_L, neuron.g_basal
            if k < self.circuit.n_hidden:
                self.g_apical[self.pyramidal[k]], self.g_tuft[self.pyramidal[k]] = neuron.g_apical, neuron.g_tuft
            if k > 0:
                self.g_partner[self.interneurons[k - 1]] = neuron.g_nudge
        self.g_rest = g_L + self.g_basal + self.g_apical + self.g_tuft
        self.basal_factor = self.g_basal / self.g_rest
        total = self.g_apical + self.g_tuft
        self.lateral_share, self.tuft_share = (
            np.divide(g, total, out=np.zeros(self.n_cells), where=total > 0.0) for g in (self.g_apical, self.g_tuft)
        )

    def _add(
        self, group: list[Block], pre: slice, post: slice, dendrite: int = BASAL, *, from_inputs: bool = False
    ) -> None:
        shape = (post.stop - post.start, pre.stop - pre.start)
        place = slice(self.n_weights, self.n_weights + shape[0] * shape[1])
        group.append(Block(pre, post, from_inputs, dendrite, place, shape))
        self.blocks.append(group[-1])
        self.n_weights = place.stop

    def flatten(self, weights: Weights) -> FloatArray:
        """All weights in one array, shape (..., n_weights); matrices of shape (..., post, pre) keep their first axes."""
        first = weights.up[0]
        flat = np.empty((*first.shape[:-2], self.n_weights), dtype=first.dtype)
        for view, matrix in zip(self._views(flat), self._matrices(weights), strict=True):
            view[...] = matrix
        return flat

    @staticmethod
    def present(flat: FloatArray) -> tuple[FloatArray, NDArray[np.bool_] | None]:
        """The same array of weights, or one in which missing synapses are 0, and which ones these are, None if there are none."""
        missing = np.isnan(flat)
        return (np.where(missing, 0.0, flat), missing) if np.any(missing) else (flat, None)

    def unflatten(self, flat: FloatArray) -> Weights:
        """Copies of the matrices in an array of all weights."""
        views = [view.copy() for view in self._views(flat)]
        return Weights(up=[views[0], *views[2::4]], ip=views[1::4], pi=views[3::4], down=views[4::4])

    def per_weight(self, values: Mapping[str, Sequence[float | FloatArray]]) -> FloatArray:
        """Values of projections and layers, such as learning rates, for every weight, else 0, shape (n_weights,)."""
        found = np.zeros(self.n_weights)
        views = self._views(found)
        places = {"up": [views[0], *views[2::4]], "ip": views[1::4], "pi": views[3::4], "down": views[4::4]}
        for name, of_layers in values.items():
            for view, value in zip(places[name], of_layers, strict=True):
                view[...] = value
        return found

    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest value of every weight if it learns, shape (n_weights,) (mV ms)."""
        limits = weight_limits(self.circuit)
        lows = {name: [low for low, _ in layers] for name, layers in limits.items()}
        highs = {name: [high for _, high in layers] for name, layers in limits.items()}
        return self.per_weight(lows), self.per_weight(highs)

    def down(self, flat: FloatArray) -> list[FloatArray]:
        """Views of `down` of every hidden layer in an array of all weights, shape (..., post, pre)."""
        return self._views(flat)[4::4]

    def _views(self, flat: FloatArray) -> list[FloatArray]:
        """Views up_1, then ip_k, up_{k+1}, pi_k, down_k for every hidden layer."""
        views = [self.onto[0].of(flat)]
        for k, (basal, apical) in enumerate(zip(self.onto[1:], self.back, strict=True)):
            n = basal.shape[0] // 2
            onto, back = basal.of(flat), apical.of(flat)
            down = self.top_down[k].of(flat) if self.top_down else back[..., n:]
            views += [onto[..., :n, :], onto[..., n:, :], back[..., :n], down]
        return views

    @staticmethod
    def _matrices(weights: Weights) -> list[FloatArray]:
        matrices = [weights.up[0]]
        for ip, up, pi, down in zip(weights.ip, weights.up[1:], weights.pi, weights.down, strict=True):
            matrices += [ip, up, pi, down]
        return matrices

    def result(self, V_soma: FloatArray, prediction: FloatArray, V_apical: FloatArray) -> TrialResult:
        """What is read out of mean potentials (mV): of all cells, of outputs, and of hidden pyramidal cells, shape (..., n, cells)."""
        return TrialResult(
            V_soma=V_soma,
            prediction=prediction,
            apical_error=np.mean(np.abs(V_apical), axis=-1),
            interneuron_error=rate_difference(
                V_soma[..., self.all_interneurons],
                V_soma[..., self.partners],
                self.response.of(self.partners),
            ),
        )
