# SPDX-License-Identifier: GPL-2.0-or-later
"""Backends: each turns a `Microcircuit` and its weights into something that presents samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .backend import Network, Weights
from .backprop import BackpropNetwork
from .ode import OdeMicrocircuit
from .rate import RateMicrocircuit
from .spiking import SpikingMicrocircuit
from .steady import SteadyMicrocircuit

if TYPE_CHECKING:
    from ..specification import RunSpecification

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


def build_network(spec: RunSpecification, weights: Weights, seed_sequence: np.random.SeedSequence) -> Network:
    """Build the network of a run with the backend that its specification names.

    Parameters
    ----------
    spec : RunSpecification
        The run.
    weights : Weights
        Initial weights (normalised, mV ms); for numpy backends also of several networks (`Weights.stack`).
    seed_sequence : numpy.random.SeedSequence
        Source of the simulator's seed, which lies in 1 ... 2^32 - 1 as NEST demands.

    Returns
    -------
    Network
    """
    if spec.backend in NUMPY_BACKENDS:
        return NUMPY_BACKENDS[spec.backend](spec.network, weights, spec.training.batch_size)
    seed = max(1, int(seed_sequence.generate_state(1)[0]))
    return NEST_BACKENDS[spec.backend](spec.network, weights, seed)
