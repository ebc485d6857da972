# SPDX-License-Identifier: GPL-2.0-or-later
"""How many spikes a unit of rate needs: distance from the rate network, and learning, over psi and tau_apical.

(a) Spiking networks with static weights, beside the rate network with the same weights, for psi = 1 ... 10000.
(b) Bars learned from random weights over a grid of psi and the time constant of the apical dendrite.

config.toml holds everything but what is varied here. Results are kept in results.json, so that the figure can be drawn again.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from pynest_tools.networks import build_network
from pynest_tools.networks.backend import FloatArray
from pynest_tools.networks.weights import initial_weights
from pynest_tools.runs.specification import RunSpecification, read_toml, task_name
from pynest_tools.runs.training import train
from pynest_tools.settings import merged
from pynest_tools.view.figures import BLUE, GREY, INK, PALE, VERMILLION, tidy

HERE = Path(__file__).parent
PSI_STATIC = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
PRESENTATIONS = 20  # of each pattern to the static networks
PSI_LEARNING = (5.0, 10.0, 50.0, 100.0)
TAU_APICAL = (1.0, 10.0, 50.0)  # ms
LAST_TESTS = 5  # whose accuracies are averaged

# Gille 2023, thesis repository krachbumm3nte/nest-simulator, results/par_study_c_m_psi: one run each of 750 epochs, mean accuracy
# of the last 10 tests, by psi and C_m_api, which is the time constant of the apical dendrite in ms.
THESIS = {
    (5.0, 1.0): 0.725, (5.0, 10.0): 0.8125, (5.0, 50.0): 0.65,
    (10.0, 1.0): 0.7, (10.0, 10.0): 1.0, (10.0, 50.0): 0.6375,
    (50.0, 1.0): 1.0, (50.0, 10.0): 1.0, (50.0, 50.0): 0.9625,
}  # fmt: skip


def specification(**changes: Any) -> RunSpecification:
    """The run of config.toml with changed entries."""
    entries = merged(read_toml(HERE / "config.toml"), changes)
    return RunSpecification.for_task(task_name(entries), entries)


def potentials(spec: RunSpecification) -> tuple[FloatArray, FloatArray]:
    """Potentials at the read-out with static initial weights and a teacher.

    Parameters
    ----------
    spec : RunSpecification
        The network, of backend spiking or rate.

    Returns
    -------
    hidden, output : ndarray, shape (PRESENTATIONS * patterns, cells)
        Mean somatic potentials over the read-out window (mV).
    """
    weight_seed, _, simulator_seed = np.random.SeedSequence(spec.seed).spawn(3)
    weights = initial_weights(spec.network, np.random.default_rng(weight_seed))
    network = build_network(spec.backend, spec.network, weights, simulator_seed)
    samples = spec.task.test_set()
    trials = [network.run(samples.stimuli, samples.targets, learn=False) for _ in range(PRESENTATIONS)]
    hidden = [trial.V_soma[:, spec.network.layers["P_1"]] for trial in trials]
    return np.concatenate(hidden), np.concatenate([trial.output for trial in trials])


def distances() -> dict[str, list[float]]:
    """Root mean square distance of spiking networks from the rate network (mV), for every psi."""
    reference = potentials(specification(backend="rate"))
    found: dict[str, list[float]] = {"hidden": [], "output": []}
    for psi in PSI_STATIC:
        spiking = potentials(specification(network={"neuron": {"psi": psi}}))
        for values, own, limit in zip(found.values(), spiking, reference, strict=True):
            values.append(float(np.sqrt(np.mean((own - limit) ** 2))))
    return found


def learn(psi: float, tau_apical: float) -> dict[str, Any]:
    """Train one cell of the grid; returns its parameters, its tests (on all patterns) and its wall time (s)."""
    result = train(specification(network={"neuron": {"psi": psi, "tau_apical": tau_apical}}))
    return {
        "psi": psi,
        "tau_apical": tau_apical,
        "epoch": [int(test["epoch"]) for test in result.records],
        "test_accuracy": [test["validation_accuracy"] for test in result.records],
        "test_loss": [float(f"{test['validation_loss']:.4g}") for test in result.records],
        "diverged": result.diverged,
        "wall_s": round(result.wall_s, 1),
    }


def final(cell: dict[str, Any], key: str) -> float:
    """Mean of the last tests."""
    return float(np.mean(cell[key][-LAST_TESTS:]))


def stable_from(cell: dict[str, Any]) -> str:
    """Epoch of the first test from which on all are at 100 %."""
    missed = [i for i, accuracy in enumerate(cell["test_accuracy"]) if accuracy < 1.0]
    first = missed[-1] + 1 if missed else 0
    return str(cell["epoch"][first]) if first < len(cell["epoch"]) else "–"


def slope(values: list[float]) -> float:
    """Slope of the distance over psi in logarithmic axes, by least squares."""
    return float(np.polyfit(np.log(PSI_STATIC), np.log(values), 1)[0])


def draw_distances(axes: Axes, found: dict[str, list[float]]) -> None:
    """Distance from the rate network over psi, and the slope of -1/2."""
    psi = np.array(PSI_STATIC)
    for (name, values), colour, marker in zip(found.items(), (BLUE, VERMILLION), "os", strict=True):
        axes.loglog(psi, values, color=colour, marker=marker, markersize=4, linewidth=1.4, label=f"{name} cells")
    middle = len(psi) // 2
    through = 3.6 * found["hidden"][middle] * np.sqrt(psi[middle] / psi)
    axes.loglog(psi, through, color=GREY, linewidth=1.0, linestyle=(0, (4, 2)))
    axes.text(psi[middle], 1.2 * through[middle], r"$\propto\,1/\sqrt{\psi}$", color=GREY, fontsize=9)
    axes.grid(color=PALE, linewidth=0.8)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower left")


def draw_grid(axes: Axes, accuracies: dict[tuple[float, float], float]) -> Any:
    """Accuracy in percent over psi (rows) and tau_apical (columns), written in the cells."""
    table = np.array([[accuracies.get((psi, tau), np.nan) for tau in TAU_APICAL] for psi in PSI_LEARNING])
    image = axes.imshow(100.0 * table, cmap="Blues", vmin=25.0, vmax=110.0, aspect="auto", origin="lower")
    for (row, column), value in np.ndenumerate(table):
        known = np.isfinite(value)
        axes.text(
            column, row, f"{100 * value:.3g} %" if known else "not run", ha="center", va="center",
            fontsize=10 if known else 8.5, color="white" if known and value >= 0.75 else INK if known else GREY,
        )  # fmt: skip
    axes.set_xticks(range(len(TAU_APICAL)), [f"{tau:g}" for tau in TAU_APICAL])
    axes.set_yticks(range(len(PSI_LEARNING)), [f"{psi:g}" for psi in PSI_LEARNING])
    axes.set_xticks(np.arange(0.5, len(TAU_APICAL) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(PSI_LEARNING) - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=2.0)
    axes.tick_params(which="minor", length=0)
    return image


def figure_of(results: dict[str, Any]) -> Figure:
    """Draw distances, our grid, and the thesis's."""
    figure = Figure(figsize=(12.0, 3.8), dpi=150)
    distance, ours, thesis = figure.subplots(1, 3, width_ratios=(1.15, 1.0, 1.0))
    figure.subplots_adjust(left=0.065, right=0.985, bottom=0.15, top=0.88, wspace=0.25)
    draw_distances(distance, results["distance"])
    tidy(
        distance,
        "Distance from the rate network",
        "ψ, spikes per unit of rate",
        "RMS difference of the potentials (mV)",
    )
    draw_grid(ours, {(cell["psi"], cell["tau_apical"]): final(cell, "test_accuracy") for cell in results["learning"]})
    draw_grid(thesis, THESIS)
    epochs = results["learning"][0]["epoch"][-1]
    for axes, heading in ((ours, f"Accuracy on bars, {epochs} epochs"), (thesis, "Thesis, 750 epochs")):
        tidy(axes, heading, "time constant of the apical dendrite (ms)", "ψ, spikes per unit of rate")
        axes.grid(visible=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(which="both", length=0)
    return figure


def print_tables(results: dict[str, Any]) -> None:
    """Print all numbers of the figure."""
    console = Console(width=130)
    table = Table(
        "psi", *(f"{psi:g}" for psi in PSI_STATIC), "slope", title="RMS difference from the rate network (mV)"
    )
    for name, values in results["distance"].items():
        table.add_row(name, *(f"{value:.3g}" for value in values), f"{slope(values):.3f}")
    console.print(table)
    columns = (
        "psi",
        "tau_apical (ms)",
        "accuracy (%)",
        "thesis (%)",
        "100 % from epoch",
        "test loss (mV²)",
        "wall time (s)",
    )
    table = Table(*columns, title=f"Bars, mean of the last {LAST_TESTS} tests")
    for cell in results["learning"]:
        thesis = THESIS.get((cell["psi"], cell["tau_apical"]))
        table.add_row(
            f"{cell['psi']:g}",
            f"{cell['tau_apical']:g}",
            f"{100 * final(cell, 'test_accuracy'):.1f}",
            "" if thesis is None else f"{100 * thesis:.1f}",
            stable_from(cell),
            f"{final(cell, 'test_loss'):.4f}",
            f"{cell['wall_s']:.0f}",
        )
    console.print(table)


@click.command(help=__doc__)
@click.option("--redraw", is_flag=True, help="Draw the figure from results.json; nothing is simulated.")
@click.option("--output", type=click.Path(path_type=Path), default=HERE, help="Folder of figure.png and results.json.")
def main(redraw: bool, output: Path) -> None:
    """Run both parts, print what came out, and draw it."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / "results.json"
    if not redraw:
        started = time.perf_counter()
        results: dict[str, Any] = {"distance": distances(), "learning": []}
        for tau_apical in TAU_APICAL:
            for psi in PSI_LEARNING:
                cell = learn(psi, tau_apical)
                print(f"psi {psi:g}, tau_apical {tau_apical:g} ms: {final(cell, 'test_accuracy'):.3f}", flush=True)
                results["learning"].append(cell)
        results["wall_s"] = round(time.perf_counter() - started)
        path.write_text(json.dumps(results) + "\n", encoding="utf-8")
    results = json.loads(path.read_text(encoding="utf-8"))
    print_tables(results)
    figure_of(results).savefig(output / "figure.png")


if __name__ == "__main__":
    main()
