# SPDX-License-Identifier: GPL-2.0-or-later
"""The microcircuits that are timed, and how many events they have.

They learn random images of which 80 % of the pixels are 0, the others uniform in [0, 1], with random targets: psi = 100, samples of
50 ms at h = 0.1 ms, all plasticity on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pynest_tools.networks.backend import FloatArray
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.spiking import SpikingMicrocircuit
from pynest_tools.networks.weights import initial_weights

SAMPLE = 50.0  # ms
H = 0.1  # ms


def build(
    sizes: Sequence[int], samples: int, *, transmission: str = "population", threads: int = 1, delay: float = H
) -> tuple[SpikingMicrocircuit, FloatArray, FloatArray]:
    """The network with its images, shape (samples, inputs), and targets, shape (samples, outputs)."""
    rng = np.random.default_rng(1)
    # strong random feedback would let the large network diverge (docs/theory, latent equilibrium): weights ~ 1/sqrt(fan-in)
    circuit = Microcircuit(
        sizes=sizes,
        transmission=transmission,
        weights={"up": [float(np.sqrt(3.0 / n)) for n in sizes[:-1]], "down": 0.3},
        plasticity={"eta_up": [1e-3, 3e-4], "eta_ip": 4e-4, "eta_pi": 1e-3},
        simulation={"threads": threads, "delay": delay},
    )
    network = SpikingMicrocircuit(circuit, initial_weights(circuit, rng), seed=1)
    images = rng.uniform(0.0, 1.0, (samples, sizes[0])) * (rng.uniform(size=(samples, sizes[0])) < 0.2)
    targets = rng.uniform(0.0, 1.0, (samples, sizes[-1]))
    return network, images, targets


def count(sizes: Sequence[int]) -> dict[str, float]:
    """What happens in a sample.

    Returns
    -------
    dict
        spikes; senders, cells with spikes summed over the steps; events that reach synapses, events_spikes one per spike,
        events_population one per cell and step with spikes; signals that nudge, one per partner and step; cells, inputs, and
        synapses of the network.
    """
    import nest

    network, images, targets = build(sizes, 2, transmission="spikes")
    connections = nest.GetConnections().get(["source", "synapse_model"])
    carries_spikes = np.array(connections["synapse_model"]) != "rate_connection_delayed"
    fan_out = np.bincount(np.array(connections["source"])[carries_spikes])
    recorder = nest.Create("spike_recorder")
    for layer in (network.inputs, *network.pyramidal, *network.interneurons):
        nest.Connect(layer, recorder)
    network.run(images, targets, learn=True)
    events = recorder.get("events")
    steps = np.round(events["times"] / H).astype(int)
    senders = np.unique(np.stack([events["senders"], steps]), axis=1)[0]
    return {
        "spikes": events["senders"].size / len(images),
        "senders": senders.size / len(images),
        "events_spikes": float(fan_out[events["senders"]].sum()) / len(images),
        "events_population": float(fan_out[senders].sum()) / len(images),
        "signals": float(np.sum(~carries_spikes)) * SAMPLE / H,
        "cells": float(sum(map(len, (*network.pyramidal, *network.interneurons)))),
        "inputs": float(sizes[0]),
        "synapses": float(np.sum(carries_spikes)),
    }
