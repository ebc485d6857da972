# SPDX-License-Identifier: GPL-2.0-or-later
"""What the options of a circuit cost: time of training with each of them over that without, interleaved, medians of repeats.

Usage: python experiments/benchmarks/options.py [BACKEND ...]
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import sys
import time
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from pynest_tools.networks import build_network
from pynest_tools.runs.specification import RunSpecification

OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "tuft": {"neuron": {"g_tuft": 0.06}},
    "prediction": {"neuron": {"g_tuft": 0.06}, "plasticity": {"down": "prediction", "eta_down": 1e-4}},
    "alignment": {"plasticity": {"down": "alignment", "eta_down": 1e-4, "decay_down": 1e-4}},
    "transposition": {"plasticity": {"down": "transpose"}, "weights": {"aligned": True}},
    "biases": {"bias_rate": 1.0},
    "missing synapses, p = 0.5": {"connectivity": {"up": 0.5, "down": 0.5}},
    "release, p = 0.5": {"connectivity": {"release": 0.5}},
    "DropConnect": {"connectivity": {"dropconnect": 0.5}},
    "dropout": {"connectivity": {"dropout": 0.2}},
    "Dale's law": {"dale": True},
    "logistic": {"neuron": {"transfer": "logistic"}},
    "threshold-linear": {"neuron": {"transfer": "threshold-linear", "theta": -1.0}},
    "h": {"neuron": {"error_with_h": True}},
    "spikes in the error": {"neuron": {"error_from_spikes": True}},
    "parameters by layer": {"layer": {"theta": [0.1, 0.0]}},
    "noise current": {"neuron": {"sigma_noise": 0.01}},
    "tau_syn": {"neuron": {"tau_syn": 1.0}},
    "ramp": {"trial": {"t_target_ramp": 10.0}},
}
REPEATS = 5


def seconds(backend: str, options: dict[str, Any]) -> float | None:
    """Process time of an epoch of bars, 9-30-3; None if the backend refuses the options."""
    try:
        spec = RunSpecification.for_task("bars", {"backend": backend, "network": options})
    except Exception:
        return None
    network = build_network(spec.backend, spec.network, spec.initial_weights(), np.random.SeedSequence(1))
    samples = spec.task.epoch(spec.order())
    network.run(samples.stimuli, samples.targets, learn=True)
    started = time.process_time()
    network.run(samples.stimuli, samples.targets, learn=True)
    return time.process_time() - started


def main(backends: list[str]) -> None:
    """Measure and tell."""
    table = Table("option", *backends, title="time with the option / without")
    times = {(name, backend): [] for name in OPTIONS for backend in backends}
    for _ in range(REPEATS):
        for (name, backend), found in times.items():
            if (took := seconds(backend, OPTIONS[name])) is not None:
                found.append(took)
    for name in OPTIONS:
        ratios = []
        for backend in backends:
            own, without = times[name, backend], times["default", backend]
            ratios.append(f"{median(own) / median(without):.2f}" if own else "refused")
        table.add_row(name, *ratios)
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:] or ["spiking", "rate", "ode", "steady", "backprop"])
