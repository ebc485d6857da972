# SPDX-License-Identifier: GPL-2.0-or-later
"""Backends: each turns a `Microcircuit` and its weights into something that presents samples."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from .backend import Network, Weights
from .backprop import BackpropNetwork
from .microcircuit import Microcircuit
from .ode import OdeMicrocircuit
from .rate import RateMicrocircuit
from .spiking import SpikingMicrocircuit
from .steady import SteadyMicrocircuit

Backend = Literal["spiking", "rate", "ode", "steady", "backprop"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

#: Backends in NEST, which hold one network, and those in numpy, which hold many side by side.
NEST_BACKENDS: dict[str, type[SpikingMicrocircuit | RateMicrocircuit]] = {
    "spiking": SpikingMicrocircuit,
    "rate": RateMicrocircuit,
}
NUMPY_BACKENDS: dict[str, type[OdeMicrocircuit | SteadyMicrocircuit | BackpropNetwork]] = {
    "ode": OdeMicrocircuit,
    "steady": SteadyMicrocircuit,
    "backprop": BackpropNetwork,
}


def build_network(
    backend: Backend,
    circuit: Microcircuit,
    weights: Weights,
    seed_sequence: np.random.SeedSequence,
    batch_size: int = 1,
) -> Network:
    """Build a network.

    Parameters
    ----------
    backend : str
        What computes it.
    circuit : Microcircuit
        The specification.
    weights : Weights
        Initial weights (normalised, mV ms); for numpy backends also of several networks (`Weights.stack`).
    seed_sequence : numpy.random.SeedSequence
        Source of all that is drawn.
    batch_size : int
        Samples that are learned side by side; 1 in NEST.

    Returns
    -------
    Network
    """
    if backend in NUMPY_BACKENDS:
        return NUMPY_BACKENDS[backend](circuit, weights, batch_size, seed_sequence)
    return NEST_BACKENDS[backend](circuit, weights, seed_sequence)
