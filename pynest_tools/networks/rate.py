# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuit as a network of rates in NEST."""

from __future__ import annotations

import numpy as np

from .backend import Weights
from .microcircuit import Microcircuit
from .nest_network import NestMicrocircuit


class RateMicrocircuit(NestMicrocircuit):
    """A microcircuit of `pyramidal_rate_neuron` cells and `dendritic_error_rate_synapse` connections.

    It is the limit of the spiking one for psi to infinity, in potentials and weights.

    Parameters
    ----------
    circuit : Microcircuit
        The specification; psi and t_ref mean nothing here.
    weights : Weights
        Initial weights (mV ms), each [post, pre].
    seed : int or numpy.random.SeedSequence
        As in `NestMicrocircuit`; random numbers are only drawn for noise, dropout and DropConnect.
    """

    static_synapse = "sic_connection"
    plastic_synapse = "dendritic_error_rate_synapse"
    alignment_synapse = "alignment_rate_synapse"
    cell_model, tuft_model, input_model = "pyramidal_rate_neuron", "pyramidal_tuft_rate_neuron", "stimulus_neuron"
    psi = eta_basal = eta_apical = decay_alignment = 1.0
    tau_baseline = 0.0  # the known noise has no mean
    lacking = ("psi", "t_ref", "error_from_spikes")
    knows_noise = True

    def __init__(self, circuit: Microcircuit, weights: Weights, seed: int | np.random.SeedSequence = 1) -> None:
        self.eta_alignment = 1.0 / circuit.plasticity.noise_down**2
        super().__init__(circuit, weights, seed)
