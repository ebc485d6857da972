# SPDX-License-Identifier: GPL-2.0-or-later
"""Cost of training: wall time per sample of two microcircuits, with spikes and with populations, on 1 and 2 threads.

Networks of the size of bars (9-30-3) and of MNIST (784-100-10) learn random images with random targets (circuits.py).
Threads that wait for each other spin for a short while before they sleep, as in `pynest_tools`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
from circuits import SAMPLE, build, count
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

NETWORKS = {"bars": ((9, 30, 3), 40), "mnist": ((784, 100, 10), 6)}  # sizes, samples measured
TRANSMISSIONS = ("spikes", "population")
VARIANTS = [(transmission, threads) for transmission in TRANSMISSIONS for threads in (1, 2)]
THESIS_MS = {"bars": 46.0, "mnist": 7100.0}  # the thesis's implementation per sample, on a machine of this kind


def measure(name: str, transmission: str, threads: int) -> dict[str, float]:
    """Wall time (ms per sample), share of Python, and memory of the process (MB)."""
    sizes, samples = NETWORKS[name]
    network, images, targets = build(sizes, samples, transmission=transmission, threads=threads)
    network.run(images[:2], targets[:2], learn=True)
    simulated = network.simulation_time_s
    started = time.perf_counter()
    network.run(images, targets, learn=True)
    wall = time.perf_counter() - started
    return {
        "ms_per_sample": wall / len(images) * 1e3,
        "python_share": 1.0 - (network.simulation_time_s - simulated) / wall,
        "memory_MB": resident_memory("VmHWM"),
    }


def bars_of_times(times: dict[tuple[str, str, int], float], name: str) -> Any:
    """Panel: time per sample of one network, beside the biological time and the thesis's implementation."""

    def draw(axes: Axes) -> None:
        labels = []
        for i, (transmission, threads) in enumerate(VARIANTS):
            time_ms = times[name, transmission, threads]
            axes.barh(i, time_ms, color=BLUE if transmission == "population" else VERMILLION, height=0.6)
            axes.text(time_ms, i, f" {time_ms:.3g} ms", va="center", fontsize=9)
            labels.append(f"{transmission}, {threads} thread{'s' if threads > 1 else ''}")
        axes.barh(len(labels), THESIS_MS[name], color=GREY, height=0.6)
        axes.text(THESIS_MS[name], len(labels), f" {THESIS_MS[name]:.0f} ms", va="center", fontsize=9)
        axes.axvline(SAMPLE, color="black", linestyle=":", linewidth=1.0)
        axes.text(SAMPLE, -0.7, "real time ", ha="right", fontsize=9)
        axes.set_yticks(range(len(labels) + 1), [*labels, "thesis's implementation"])
        longest = max(THESIS_MS[name], *(time_ms for (network, *_), time_ms in times.items() if network == name))
        axes.set(xscale="log", xlim=(1.0, 4 * longest), ylim=(len(labels) + 0.6, -1.0))
        axes.set(title="-".join(map(str, NETWORKS[name][0])), xlabel="wall time per sample of 50 ms (ms)")

    return draw


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Bars only, one repeat.")
@click.option("--repeats", default=5, show_default=True, help="Runs of every case; medians are reported.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(__file__).parent, help="Folder of the figure.")
@click.option("--measure", "case", hidden=True)
def main(quick: bool, repeats: int, output: Path, case: str | None) -> None:
    """Run the benchmark, or a single case of it."""
    if case is not None:
        arguments = json.loads(case)
        print(json.dumps(count(**arguments) if "sizes" in arguments else measure(**arguments)))
        return
    names = ["bars"] if quick else list(NETWORKS)
    keys = [(name, *variant) for name in names for variant in VARIANTS]
    cases = [{"name": name, "transmission": transmission, "threads": threads} for name, transmission, threads in keys]
    results = dict(zip(keys, medians(__file__, cases, 1 if quick else repeats), strict=True))
    counts = {name: in_own_process(__file__, {"sizes": NETWORKS[name][0]}) for name in names}
    times = {key: result["ms_per_sample"] for key, result in results.items()}

    rows, figures = [], {}
    for (name, transmission, threads), result in results.items():
        seconds = result["ms_per_sample"] * 1e-3
        events = counts[name][f"events_{transmission}"]
        rows.append(
            [
                f"{name}, {transmission}, {threads} thread{'s' if threads > 1 else ''}",
                f"{result['ms_per_sample']:.3g}",
                f"{result['ms_per_sample'] / SAMPLE:.2g}",
                f"{100 * result['python_share']:.1f}",
                f"{counts[name]['spikes'] / seconds:.2g}",
                f"{events / seconds:.2g}",
                f"{result['memory_MB']:.0f}",
            ]
        )
        label = f"{name}_{transmission}_{threads}"
        figures[f"ms_{label}"] = result["ms_per_sample"]
        figures[f"events_per_s_{label}"] = events / seconds
    header = ["network", "ms per sample", "wall / biological", "Python (%)", "spikes / s", "events / s", "memory (MB)"]
    print_table("Training, psi = 100, samples of 50 ms", header, rows)
    for name in names:
        for transmission in TRANSMISSIONS:
            figures[f"speedup_2_threads_{name}_{transmission}"] = (
                times[name, transmission, 1] / times[name, transmission, 2]
            )
    if not quick:
        save_figure(output / "training.png", [bars_of_times(times, name) for name in names])
    print_json(figures)


if __name__ == "__main__":
    main()
