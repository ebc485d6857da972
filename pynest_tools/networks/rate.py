# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuit as a network of rates in NEST."""

from __future__ import annotations

from .backend import Weights
from .microcircuit import Microcircuit
from .nest_network import NestMicrocircuit, cell_parameters


class RateMicrocircuit(NestMicrocircuit):
    """A microcircuit of `pyramidal_rate_neuron` cells and `dendritic_error_rate_synapse` connections.

    It is the limit of the spiking one for psi to infinity, in potentials and weights.

    Parameters
    ----------
    circuit : Microcircuit
        The specification; psi and t_ref mean nothing here.
    weights : Weights
        Initial weights (mV ms), each [post, pre].
    seed : int
        NEST's seed, 1 to 2^32 - 1; nothing is drawn.
    """

    static_synapse = "sic_connection"
    plastic_synapse = "dendritic_error_rate_synapse"
    cell_model, input_model = "pyramidal_rate_neuron", "stimulus_neuron"
    psi = eta_basal = eta_apical = 1.0

    def __init__(self, circuit: Microcircuit, weights: Weights, seed: int = 1) -> None:
        self.cell_parameters = cell_parameters(circuit.neuron, without=("psi", "t_ref"))
        super().__init__(circuit, weights, seed)
