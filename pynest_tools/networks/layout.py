# SPDX-License-Identifier: GPL-2.0-or-later
"""How the numpy backends lay out cells and weights.

All cells lie side by side on the last axis of an array: P_1, I_1, P_2, I_2, ..., I_{N-1}, P_N. Interneurons I_k are next to P_{k+1},
so that everything that P_k sends to basal dendrites is one matrix, and everything that its apical dendrites receive is another. The
axes before the last are networks that are simulated side by side, and samples that are presented side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .backend import FloatArray, TrialResult, Weights
from .microcircuit import Microcircuit
from .transfer import rate_difference, response_of
from .weights import weight_limits


@dataclass(frozen=True)
class Block:
    """One matrix of weights, [post, pre].

    Attributes
    ----------
    pre, post : slice
        Cells on both sides; `pre` counts inputs if `from_inputs`.
    from_inputs : bool
        Whether the presynaptic cells are the inputs.
    apical : bool
        Whether the synapses are on apical dendrites, or on tufts.
    place : slice
        Where its entries lie in an array of all weights.
    shape : (int, int)
        Number of postsynaptic cells and of columns: presynaptic cells, and, unless apical, bias and inhibitory partners.
    """

    pre: slice
    post: slice
    from_inputs: bool
    apical: bool
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
    blocks : list of Block
        Together all weights.
    response : CellResponse
        Transfer function of all cells.
    C_m, g_basal, g_apical, g_tuft, g_rest, basal_factor : ndarray, shape (n_cells,)
        Capacitance (pF), couplings of the dendrites (nS), total conductance without nudging (nS), and v^ / v_b.
    g_partner : ndarray, shape (n_cells,)
        Conductance with which partners nudge interneurons (nS), 0 for others.
    partner_share : ndarray, shape (interneurons,)
        Share of the partner in the potential of every interneuron, g_nudge / (g_L + g_b + g_nudge).
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

        self.blocks: list[Block] = []
        self.n_weights = 0
        first, *others = circuit.n_sources
        self._add(slice(0, sizes[0]), self.pyramidal[0], first, from_inputs=True)
        for layer, both, columns in zip(self.pyramidal[:-1], self.levels[1:], others, strict=True):
            self._add(layer, both, columns)
            self._add(both, layer, both.stop - both.start, apical=True)
        self._set_parameters()

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
        self.partner_share = np.concatenate(
            [
                np.full(cells.stop - cells.start, neuron.partner_share)
                for cells, neuron in zip(self.interneurons, self.circuit.neurons[1:], strict=True)
            ]
        )

    def _add(self, pre: slice, post: slice, columns: int, *, from_inputs: bool = False, apical: bool = False) -> None:
        shape = (post.stop - post.start, columns)
        place = slice(self.n_weights, self.n_weights + shape[0] * shape[1])
        self.blocks.append(Block(pre, post, from_inputs, apical, place, shape))
        self.n_weights = place.stop

    def flatten(self, weights: Weights) -> FloatArray:
        """All weights in one array, shape (..., n_weights); matrices of shape (..., post, pre) keep their first axes."""
        first = weights.up[0]
        flat = np.empty((*first.shape[:-2], self.n_weights), dtype=first.dtype)
        for view, matrix in zip(self._views(flat), self._matrices(weights), strict=True):
            view[...] = matrix
        return flat

    def unflatten(self, flat: FloatArray) -> Weights:
        """Copies of the matrices in an array of all weights."""
        views = [view.copy() for view in self._views(flat)]
        return Weights(up=[views[0], *views[2::4]], ip=views[1::4], pi=views[3::4], down=views[4::4])

    def per_weight(self, values: Mapping[str, Sequence[float | FloatArray]]) -> FloatArray:
        """Values of every projection and layer, such as learning rates, for every weight, shape (n_weights,)."""
        found = np.empty(self.n_weights)
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

    def _views(self, flat: FloatArray) -> list[FloatArray]:
        """Views up_1, then ip_k, up_{k+1}, pi_k, down_k for every hidden layer."""
        views = [self.blocks[0].of(flat)]
        for basal, apical in zip(self.blocks[1::2], self.blocks[2::2], strict=True):
            n = basal.shape[0] // 2
            onto, back = basal.of(flat), apical.of(flat)
            views += [onto[..., :n, :], onto[..., n:, :], back[..., :n], back[..., n:]]
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
