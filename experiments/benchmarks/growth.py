# SPDX-License-Identifier: GPL-2.0-or-later
"""Time and memory as the number of plastic synapses grows, and memory over an hour of biological time.

Growth: N sources of 1000 Hz are connected all to all with N cells, N^2 synapses, h = delay = 0.1 ms. Reported are the wall time per
biological second, the part of it that is due to the synapses (less that of the same network without), and their memory.

Silence: 20 sources are silent after 100 ms, while 5 cells go on to archive errors for an hour of biological time.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.axes import Axes
from measuring import (
    BLUE,
    GREY,
    VERMILLION,
    in_own_process,
    medians,
    print_json,
    print_table,
    resident_memory,
    save_figure,
)

SIZES = (100, 316, 1000, 2236, 4472)  # N: 1e4 to 2e7 synapses
MODELS = ("dendritic_error_synapse", "static_synapse")
RATE = 1000.0  # Hz
EVENTS = 1e8  # spikes times synapses that are timed
HOUR = 3_600_000.0  # ms


def start_kernel() -> Any:
    """NEST with its module, and nothing in it."""
    import nest

    from pynest_tools import install

    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = 0.1
    install()
    nest.rng_seed = 1
    return nest


def simulate(n: int, duration: float, model: str | None) -> float:
    """Wall time (s) per biological second of n sources and n cells, without synapses or with n^2 of a model."""
    nest = start_kernel()
    pre = nest.Create("stimulus_neuron", n, {"psi": RATE / 1000.0, "stimulus_values": [1.0]})
    post = nest.Create("pyramidal_neuron", n, {"psi": 1.0, "theta": 3.0})
    if model == "dendritic_error_synapse":
        nest.SetDefaults(model, {"eta": 1e-12})
    if model is not None:
        synapse = {"synapse_model": model, "receptor_type": 2, "delay": 0.1, "weight": 1e-6}
        nest.Connect(pre, post, "all_to_all", synapse)
    nest.Simulate(5.0)
    started = time.perf_counter()
    nest.Simulate(duration)
    return (time.perf_counter() - started) / (duration * 1e-3)


def grow(model: str, n: int, duration: float) -> dict[str, float]:
    """Wall time (s) per biological second with n^2 synapses of a model, and time and memory (MB) that they add."""
    simulate(10, 10.0, model)  # the code of the synapse is in memory from here on
    neurons, memory = simulate(n, duration, None), resident_memory()
    total = simulate(n, duration, model)
    return {"time": total, "synapses": total - neurons, "memory_MB": resident_memory() - memory}


def fall_silent(hours: float) -> dict[str, float]:
    """Growth of memory (MB) of a network whose inputs are silent, and of its archives (bytes per cell)."""
    nest = start_kernel()
    nest.spike_buffer_shrink_limit = 0.0  # else NEST logs that its spike buffers shrink, 24 bytes in every silent slice
    pre = nest.Create("stimulus_neuron", 20, {"stimulus_values": [1.0], "stimulus_duration": 100.0})
    post = nest.Create("pyramidal_neuron", 5, {"psi": 1.0, "I_e": 0.1})
    nest.SetDefaults("dendritic_error_synapse", {"eta": 1e-9})
    synapse = {"synapse_model": "dendritic_error_synapse", "receptor_type": 2, "delay": 1.0, "weight": 1e-3}
    nest.Connect(pre, post, "all_to_all", synapse)
    nest.Simulate(10_000.0)
    memory, archive = resident_memory(), max(post.get("archive_bytes"))
    for _ in range(6):
        nest.Simulate(hours * HOUR / 6)
    return {"growth_MB": resident_memory() - memory, "archive_growth": float(max(post.get("archive_bytes")) - archive)}


def slope(x: list[float], y: list[float]) -> float:
    """Exponent of a power law through the points, by least squares in logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def panel(results: dict[tuple[str, int], dict[str, float]], key: str, title: str, unit: str) -> Any:
    """Panel: a quantity over the number of synapses, with the line of slope 1."""

    def draw(axes: Axes) -> None:
        for model, color, marker in zip(MODELS, (BLUE, VERMILLION), ("o", "^"), strict=True):
            n = [size for name, size in results if name == model]
            y = [results[model, size][key] for size in n]
            synapses = [float(size) ** 2 for size in n]
            axes.loglog(synapses, y, color=color, marker=marker, label=f"{model}, slope {slope(synapses, y):.2f}")
        line = np.array([1e4, 2e7])
        reference = results[MODELS[0], 1000][key] / 1e6
        axes.loglog(line, 3 * reference * line, color=GREY, linestyle=":", label="slope 1")
        axes.set(title=title, xlabel="synapses", ylabel=unit)
        axes.legend(frameon=False, fontsize=9)

    return draw


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Up to 1e6 synapses, one repeat, a minute of silence.")
@click.option("--repeats", default=3, show_default=True, help="Runs of every case; medians are reported.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(__file__).parent, help="Folder of the figure.")
@click.option("--measure", "case", hidden=True)
def main(quick: bool, repeats: int, output: Path, case: str | None) -> None:
    """Run the benchmark, or a single case of it."""
    if case is not None:
        arguments = json.loads(case)
        print(json.dumps(fall_silent(**arguments) if "hours" in arguments else grow(**arguments)))
        return
    keys = [(model, n) for n in (SIZES[:3] if quick else SIZES) for model in MODELS]
    duration = {n: 10.0 * math.ceil(EVENTS / (n * n * RATE * 1e-3) / (100.0 if quick else 10.0)) for _, n in keys}
    cases = [{"model": model, "n": n, "duration": duration[n]} for model, n in keys]
    results = dict(zip(keys, medians(__file__, cases, 1 if quick else repeats), strict=True))
    hours = 1 / 60 if quick else 1.0
    silence = in_own_process(__file__, {"hours": hours})

    rows = [
        [
            f"{n * n:.1e}",
            *(f"{results[model, n]['time']:.3g}" for model in MODELS),
            *(f"{results[model, n]['synapses'] / (n * n * RATE) * 1e9:.3g}" for model in MODELS),
            *(f"{results[model, n]['memory_MB']:.3g}" for model in MODELS),
            *(f"{results[model, n]['memory_MB'] * 1e6 / n**2:.0f}" for model in MODELS),
        ]
        for n in sorted({n for _, n in keys})
    ]
    header = [
        "synapses",
        "time (s/s)",
        "static",
        "ns per event",
        "static",
        "memory (MB)",
        "static",
        "bytes each",
        "static",
    ]
    print_table("Plastic synapses of 1000 Hz, beside static ones", header, rows)
    print(f"silent inputs for {60 * hours:.0f} min: memory grew by {silence['growth_MB']:.3f} MB, ", end="")
    print(f"the archive of a cell by {silence['archive_growth']:.0f} bytes")
    figures = {"silence_minutes": 60 * hours, "silence_growth_MB": silence["growth_MB"]}
    for model in MODELS:
        sizes = [n for name, n in keys if name == model]
        for key, name in (("time", "time"), ("synapses", "time_of_synapses"), ("memory_MB", "memory")):
            values = [results[model, n][key] for n in sizes]
            prefix = "" if model == "dendritic_error_synapse" else "static_"
            figures[f"{prefix}{name}_slope"] = slope([float(n) ** 2 for n in sizes], values)
    if not quick:
        draw = [
            panel(results, "time", "Time", "wall time per biological time"),
            panel(results, "memory_MB", "Memory", "MB"),
        ]
        save_figure(output / "growth.png", draw)
    print_json(figures)


if __name__ == "__main__":
    main()
