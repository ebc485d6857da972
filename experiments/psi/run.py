# SPDX-License-Identifier: GPL-2.0-or-later
"""How far spiking networks are from the rate network with the same static weights, for psi = 1 ... 10000: distance.png.

What no run has: potentials of networks that do not learn. The circuit is that of study.toml.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from pynest_tools.networks import build_network
from pynest_tools.networks.backend import FloatArray
from pynest_tools.networks.weights import initial_weights
from pynest_tools.runs.specification import RunSpecification, read_toml
from pynest_tools.settings import merged
from pynest_tools.view.figures import BLUE, GREY, INK, PALE, VERMILLION, tidy

HERE = Path(__file__).parent
PSI = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
PRESENTATIONS = 20  # of each pattern


def potentials(changes: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Potentials at the read-out with static initial weights and a teacher, of hidden and output cells, each (n, cells) (mV)."""
    spec = RunSpecification.for_task("bars", merged(read_toml(HERE / "study.toml")["base"], changes))
    weight_seed, _, simulator_seed = np.random.SeedSequence(spec.seed).spawn(3)
    weights = initial_weights(spec.network, np.random.default_rng(weight_seed))
    network = build_network(spec.backend, spec.network, weights, simulator_seed)
    samples = spec.task.test_set()
    trials = [network.run(samples.stimuli, samples.targets, learn=False) for _ in range(PRESENTATIONS)]
    hidden = [trial.V_soma[:, spec.network.layers["P_1"]] for trial in trials]
    return np.concatenate(hidden), np.concatenate([trial.output for trial in trials])


def distances() -> dict[str, list[float]]:
    """Root mean square distance of spiking networks from the rate network (mV), for every psi."""
    reference = potentials({"backend": "rate"})
    found: dict[str, list[float]] = {"hidden": [], "output": []}
    for psi in PSI:
        spiking = potentials({"network": {"neuron": {"psi": psi}}})
        for values, own, limit in zip(found.values(), spiking, reference, strict=True):
            values.append(float(np.sqrt(np.mean((own - limit) ** 2))))
    return found


def draw(found: dict[str, list[float]]) -> Figure:
    """Distance from the rate network over psi, and the slope of -1/2."""
    figure = Figure(figsize=(5.2, 3.8), dpi=150, layout="constrained")
    axes, psi = figure.subplots(), np.array(PSI)
    for (name, values), colour, marker in zip(found.items(), (BLUE, VERMILLION), "os", strict=True):
        axes.loglog(psi, values, color=colour, marker=marker, markersize=4, linewidth=1.4, label=f"{name} cells")
    middle = len(psi) // 2
    through = 3.6 * found["hidden"][middle] * np.sqrt(psi[middle] / psi)
    axes.loglog(psi, through, color=GREY, linewidth=1.0, linestyle=(0, (4, 2)))
    axes.text(psi[middle], 1.2 * through[middle], r"$\propto\,1/\sqrt{\psi}$", color=GREY, fontsize=9)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower left")
    heading, x = "Distance from the rate network", "ψ, spikes per unit of rate"
    tidy(axes, heading, x, "RMS difference of the potentials (mV)")
    axes.grid(color=PALE, linewidth=0.8)
    return figure


@click.command(help=__doc__)
@click.option("--output", type=click.Path(path_type=Path), default=HERE, help="Folder of distance.png.")
def main(output: Path) -> None:
    """Measure, print and draw."""
    found = distances()
    table = Table("psi", *(f"{psi:g}" for psi in PSI), "slope", title="RMS difference from the rate network (mV)")
    for name, values in found.items():
        slope = np.polyfit(np.log(PSI), np.log(values), 1)[0]
        table.add_row(name, *(f"{value:.3g}" for value in values), f"{slope:.3f}")
    Console(width=130).print(table)
    draw(found).savefig(output / "distance.png")


if __name__ == "__main__":
    main()
