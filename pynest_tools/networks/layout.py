# SPDX-License-Identifier: GPL-2.0-or-later
"""How the numpy backends lay out cells and weights.

All cells lie side by side on the last axis of an array: P_1, I_1, P_2, I_2, ..., I_{N-1}, P_N. Interneurons I_k are next to P_{k+1},
so that everything that P_k sends to basal dendrites is one matrix, and everything that its apical dendrites receive is another. The
axes before the last are networks that are simulated side by side, and samples that are presented side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .backend import FloatArray, TrialResult, Weights
from .microcircuit import Microcircuit
from .transfer import rate_difference


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
        Whether the synapses are on apical dendrites.
    place : slice
        Where its entries lie in an array of all weights.
    shape : (int, int)
        Number of postsynaptic and presynaptic cells.
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
    g_apical, g_rest, basal_factor : ndarray, shape (n_cells,)
        Coupling of the apical dendrite (nS), total conductance without nudging (nS), and v^ / v_b.
    """

    def __init__(self, circuit: Microcircuit) -> None:
        sizes, neuron, layers = circuit.sizes, circuit.neuron, circuit.layers
        self.neuron = neuron
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
        self._add(slice(0, sizes[0]), self.pyramidal[0], from_inputs=True)
        for layer, both in zip(self.pyramidal[:-1], self.levels[1:], strict=True):
            self._add(layer, both)
            self._add(both, layer, apical=True)

        self.g_apical = np.zeros(self.n_cells)
        self.g_apical[self.hidden] = neuron.g_apical
        self.g_rest = neuron.g_L + neuron.g_basal + self.g_apical
        self.basal_factor = neuron.g_basal / self.g_rest

    def _add(self, pre: slice, post: slice, *, from_inputs: bool = False, apical: bool = False) -> None:
        shape = (post.stop - post.start, pre.stop - pre.start)
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

    def per_weight(self, circuit: Microcircuit) -> FloatArray:
        """Learning rate of every weight, shape (n_weights,) (mV ms^2; ms for pi)."""
        eta = np.zeros(self.n_weights)
        views = list(self._views(eta))
        for view, value in zip([views[0], *views[2::4]], circuit.eta_up, strict=True):
            view[...] = value
        for view, value in zip(views[1::4], circuit.eta_ip, strict=True):
            view[...] = value
        for view, value in zip(views[3::4], circuit.eta_pi, strict=True):
            view[...] = value
        return eta

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
                V_soma[..., self.all_interneurons], V_soma[..., self.partners], self.neuron
            ),
        )
