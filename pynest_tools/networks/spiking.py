# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuit as a spiking network in NEST."""

from __future__ import annotations

from .backend import Weights
from .microcircuit import Microcircuit
from .nest_network import NestMicrocircuit, cell_parameters


class SpikingMicrocircuit(NestMicrocircuit):
    """A microcircuit of `pyramidal_neuron` or `pyramidal_population` cells and `dendritic_error_synapse` connections.

    Parameters
    ----------
    circuit : Microcircuit
        The specification.
    weights : Weights
        Initial weights (normalised, mV ms), each [post, pre].
    seed : int
        NEST's seed, 1 to 2^32 - 1.
    """

    static_synapse = "static_synapse"
    plastic_synapse = "dendritic_error_synapse"

    def __init__(self, circuit: Microcircuit, weights: Weights, seed: int) -> None:
        kind = "population" if circuit.transmission == "population" else "neuron"
        self.cell_model, self.input_model = f"pyramidal_{kind}", f"stimulus_{kind}"
        self.cell_parameters = cell_parameters(circuit.neuron)
        self.psi, tau_s = circuit.neuron.psi, circuit.plasticity.tau_s
        # error, trace and weight carry a factor of psi, psi tau_s and 1/psi; the apical error -v_a carries none
        self.eta_basal, self.eta_apical = 1.0 / (self.psi**3 * tau_s), 1.0 / (self.psi**2 * tau_s)
        super().__init__(circuit, weights, seed)
