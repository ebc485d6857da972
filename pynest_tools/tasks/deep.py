# SPDX-License-Identifier: GPL-2.0-or-later
"""What circuits of several hidden layers have in common, whatever they learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def deep_network(hidden: Sequence[int], first: float, others: float, beta: float) -> dict[str, Any]:
    """Entries of the network of a `RunSpecification` with which several hidden layers learn (docs/theory, "Depth").

    Rates and errors keep their size from layer to layer, interneurons follow as fast as the layer above learns, and all layers but the
    first change their predictions by the same share in a presentation.

    Parameters
    ----------
    hidden : sequence of int
        Cells of the hidden layers.
    first : float
        Learning rate of `up` into the first layer, to which no interneuron listens (mV ms^2).
    others : float
        That of all others times the number of cells from which they come, as that many rates add up (mV ms^2).
    beta : float
        Steepness of the transfer function, whose slope is 1 far above its threshold of 0 mV (1/mV).
    """
    return {
        "neuron": {"beta": beta, "gamma": 1.0 / beta, "theta": 0.0},
        "weights": {"up": "balanced", "down": "balanced", "aligned": True},
        "plasticity": {
            "eta_up": [first, *(others / n for n in hidden)],
            "eta_ip": "match",
            "eta_pi": 0.0,
            "Wmin": -20.0,
            "Wmax": 20.0,
        },
    }
