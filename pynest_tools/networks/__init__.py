# SPDX-License-Identifier: GPL-2.0-or-later
"""Backends: each turns a `Microcircuit` and its weights into something that presents samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .backend import Network, Weights
from .spiking import SpikingMicrocircuit

if TYPE_CHECKING:
    from ..specification import RunSpecification


def build_network(spec: RunSpecification, weights: Weights, seed_sequence: np.random.SeedSequence) -> Network:
    """Build the network of a run with the backend that its specification names.

    Parameters
    ----------
    spec : RunSpecification
        The run.
    weights : Weights
        Initial weights (normalised, mV ms).
    seed_sequence : numpy.random.SeedSequence
        Source of the simulator's seed, which lies in 1 ... 2^32 - 1 as NEST demands.

    Returns
    -------
    Network
    """
    seed = max(1, int(seed_sequence.generate_state(1)[0]))
    return SpikingMicrocircuit(spec.network, weights, seed)
