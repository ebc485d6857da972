# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuit as a spiking network in NEST."""

from __future__ import annotations

import numpy as np

from .backend import Weights
from .microcircuit import Microcircuit
from .nest_network import NestMicrocircuit


class SpikingMicrocircuit(NestMicrocircuit):
    """A microcircuit of `pyramidal_neuron` or `pyramidal_population` cells and `dendritic_error_synapse` connections.

    Parameters
    ----------
    circuit : Microcircuit
        The specification.
    weights : Weights
        Initial weights (normalised, mV ms), each [post, pre].
    seed : int or numpy.random.SeedSequence
        Source of NEST's seed, or itself one of 1 to 2^32 - 1.
    """

    static_synapse = "static_synapse"
    alignment_synapse = "alignment_synapse"
    knows_noise = False
    plastic_synapse = "dendritic_error_synapse"

    def __init__(self, circuit: Microcircuit, weights: Weights, seed: int | np.random.SeedSequence) -> None:
        kind = "population" if circuit.transmission == "population" else "neuron"
        self.cell_model, self.tuft_model, self.input_model = (
            f"{cell}_{kind}" for cell in ("pyramidal", "pyramidal_tuft", "stimulus")
        )
        self.psi, tau_s = circuit.neuron.psi, circuit.plasticity.tau_s
        # error, trace and weight carry a factor of psi, psi tau_s and 1/psi; the apical error -v_a carries none
        self.eta_basal, self.eta_apical = 1.0 / (self.psi**3 * tau_s), 1.0 / (self.psi**2 * tau_s)
        plasticity, tau_basal = circuit.plasticity, circuit.neuron.tau_basal
        self.tau_baseline = plasticity.tau_baseline
        # of an innovation, what it adds to the rates above a moment later is met by this share of what the filters keep of it
        met = 1.0 / (plasticity.tau_innovation + tau_basal) - 1.0 / (self.tau_baseline + tau_basal)
        self.eta_alignment, self.decay_alignment = 1.0 / (self.psi**2 * met), 1.0 / self.psi**2
        super().__init__(circuit, weights, seed)
