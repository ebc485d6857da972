# SPDX-License-Identifier: GPL-2.0-or-later
"""What the runs of study.toml show, beside the thesis's curves and what theory expects of spikes.

The runs are those of ``pyramidal study run experiments/self_prediction``; this prints their ends and draws figure.png.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

import pynest_tools as pt
from pynest_tools.networks.backend import FloatArray
from pynest_tools.networks.steady import SteadyMicrocircuit
from pynest_tools.networks.transfer import transfer
from pynest_tools.networks.weights import self_predicting_weights
from pynest_tools.runs.api import Run
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.view.figures import BLUE, GREEN, GREY, INK, VERMILLION, tidy

HERE = Path(__file__).parent
#: Entries of a record, their headings and units.
PANELS = {
    "apical_error": ("Apical error, while it is learned", "mean |apical potential| (mV)"),
    "interneuron_error": ("Interneuron error, while it is learned", "mean squared rate difference (1/ms²)"),
    "distance.pi_1": ("Distance of pi from self-predicting", "mean squared distance (mV² ms²)"),
    "validation_apical_error": ("Apical error, held-out samples", "mean |apical potential| (mV)"),
    "validation_interneuron_error": ("Interneuron error, held-out samples", "mean squared rate difference (1/ms²)"),
    "distance.ip_1": ("Distance of ip from self-predicting", "mean squared distance (mV² ms²)"),
}
WHILE_LEARNED = ("apical_error", "interneuron_error")  # means since the last test
STYLES: dict[str, dict[str, Any]] = {
    "spiking": {"color": BLUE, "linewidth": 1.8, "label": "spiking, ψ = 250"},
    "rate": {"color": VERMILLION, "linewidth": 1.8, "label": "rate (NEST)"},
    "ode": {"color": INK, "linewidth": 1.1, "linestyle": (0, (3, 2)), "zorder": 3, "label": "ode (numpy)"},
    "steady": {"color": GREEN, "linewidth": 1.4, "label": "steady (numpy)"},
}
THESIS_STYLES: dict[str, dict[str, Any]] = {
    "snest": {"linestyle": "-", "marker": "o", "label": "thesis, spiking"},
    "rnest": {"linestyle": (0, (5, 2)), "marker": "s", "label": "thesis, rate (NEST)"},
    "numpy": {"linestyle": (0, (1, 1.5)), "marker": "^", "label": "thesis, rate (numpy)"},
}
LAST_TESTS = 10
#: By backend and entry of a record, one row a seed and one column a test; NaN before the first sample.
Courses = dict[str, dict[str, FloatArray]]


def expectations(spec: RunSpecification) -> dict[str, float]:
    """What spikes should leave over, by theory, when interneurons already are as fast as their partners.

    A spike of an interneuron is in its trace, and in the apical potential that the trace meets. With the rates r of the outputs, pi
    thus changes by -eta [(pi + down) r r^T + pi D] per ms on average, D = diag(r) / (psi (tau_apical + tau_s)), and forgets through D
    what it learns from other samples. Its course is solved from sample to sample. The held-out apical error is that of such weights
    with normal noise of the variance of Poisson counts, r / (psi T) per W^2 in a read-out of T.

    Parameters
    ----------
    spec : RunSpecification
        A run with spikes: its circuit, initial weights and samples.

    Returns
    -------
    dict
        validation_apical_error (mV) and distance.pi_1 (mV² ms²), means over the last fifth of the epochs.
    """
    circuit, weights, order = spec.network, spec.initial_weights(), spec.order()
    neuron, trial, down = circuit.neuron, circuit.trial, weights.down[0]
    epochs = [spec.task.epoch(order).stimuli for _ in range(spec.training.epochs)]
    network = SteadyMicrocircuit(circuit, self_predicting_weights(weights, neuron))
    samples = (np.concatenate(epochs), spec.task.validation_set().stimuli)
    r, r_held_out = (transfer(network.run(x, None, learn=False).output, neuron) for x in samples)
    learned = r[:, :, np.newaxis] * r[:, np.newaxis, :]
    own = np.eye(r.shape[1]) * r[:, np.newaxis] / (neuron.psi * (neuron.tau_apical + circuit.plasticity.tau_s))
    values, vectors = np.linalg.eigh(learned + own)
    kept = np.exp(-circuit.eta_pi[0] * (trial.t_pres - trial.t_learn_on) * values)
    propagators = (vectors * kept[:, np.newaxis]) @ vectors.swapaxes(1, 2)
    goals = -np.linalg.solve(learned + own, learned @ down.T)
    window = trial.t_pres_test - trial.t_readout_on_test
    rng = np.random.default_rng(spec.seed)
    pi, errors, distances = weights.pi[0], [], []
    for i, (goal, propagator) in enumerate(zip(goals, propagators, strict=True), start=1):
        pi = (goal + propagator @ (pi.T - goal)).T
        if i > 0.8 * len(goals) and i % len(epochs[0]) == 0:
            noise = np.sqrt(r_held_out @ (down**2 + pi**2).T / (neuron.psi * window))
            V_apical = r_held_out @ (pi + down).T + noise * rng.standard_normal(noise.shape)
            errors.append(np.mean(np.abs(V_apical)))
            distances.append(np.mean((pi + down) ** 2))
    return {"validation_apical_error": float(np.mean(errors)), "distance.pi_1": float(np.mean(distances))}


def course(runs: list[Run]) -> dict[str, FloatArray]:
    """Courses of runs that differ in their seeds: the tests' epochs and the entries of `PANELS`, as in `Courses`."""

    def entry(record: Any, name: str) -> float:
        for key in name.split("."):
            record = record.get(key, np.nan)
        return float(record)

    every = [run.records for run in runs]
    n_tests = min(map(len, every))
    return {
        name: np.array([[entry(record, name) for record in records[:n_tests]] for records in every])
        for name in ("epoch", *PANELS)
    }


def thesis() -> dict[str, Any]:
    """Reference data by the names of `PANELS`; a norm over the cells becomes about a mean, as that of equal magnitudes would."""
    data: dict[str, Any] = json.loads((HERE / "thesis.json").read_text(encoding="utf-8"))
    data["numpy"]["apical_error"] = [value / np.sqrt(data["hidden_cells"]) for value in data["numpy"]["apical_error"]]
    for kind in THESIS_STYLES:
        data[kind] |= {f"distance.{name}_1": data[kind][f"distance_{name}"] for name in ("pi", "ip")}
    return data


def centres(edges: Any) -> FloatArray:
    """Geometric middle of the epochs from one edge to the next, counted from 1."""
    edges = np.asarray(edges, dtype=float)
    middle: FloatArray = np.sqrt((edges[:-1] + 1.0) * edges[1:])
    return middle


def draw(axes: Axes, name: str, courses: Courses, reference: dict[str, Any], expected: dict[str, float]) -> None:
    """One panel: the thesis in grey; ours in colours, mean and range over the seeds; what theory expects dotted."""
    for kind, style in THESIS_STYLES.items():
        value = reference[kind].get(name)
        look = {"color": GREY, "linewidth": 0.9, "zorder": 1, "markersize": 5, **style}
        if name in WHILE_LEARNED:
            axes.plot(centres(reference["edges"]), value, markevery=[-1], **look)
        elif value is not None:
            axes.plot([reference["edges"][-1]], [value], **{**look, "linestyle": "none", "clip_on": False})
    for backend, found in courses.items():
        epochs, values = found["epoch"][0], found[name][:, 1:]
        x = centres(epochs) if name in WHILE_LEARNED else epochs[1:]
        axes.plot(x, values.mean(axis=0), **STYLES[backend])
        axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=STYLES[backend]["color"], alpha=0.2, lw=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1.0, reference["edges"][-1])
    if name in expected:
        axes.axhline(expected[name], color=BLUE, linewidth=1.0, linestyle=(0, (1, 1.5)))
        axes.text(1.2, 0.93 * expected[name], "expected with spikes", color=BLUE, fontsize=8.5, va="top")
    tidy(axes, PANELS[name][0], "epoch", PANELS[name][1])


def figure_of(courses: Courses, reference: dict[str, Any], expected: dict[str, float]) -> Figure:
    """Draw all panels."""
    figure = Figure(figsize=(12.0, 6.6), dpi=150)
    panels = figure.subplots(2, 3)
    figure.subplots_adjust(left=0.065, right=0.985, bottom=0.08, top=0.88, wspace=0.26, hspace=0.38)
    for axes, name in zip(panels.flat, PANELS, strict=True):
        draw(axes, name, courses, reference, expected)
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.525, 0.985), ncols=7,
        frameon=False, fontsize=9, labelcolor=INK,
    )  # fmt: skip
    return figure


def print_table(courses: Courses, reference: dict[str, Any], expected: dict[str, float]) -> None:
    """Print where all networks begin and end: the mean over the seeds, and the range."""

    def told(values: FloatArray) -> str:
        low, high = f"{values.min():.2g}", f"{values.max():.2g}"
        return f"{values.mean():.3g}" + (f" ({low} to {high})" if low != high else "")

    columns = [f"{heading}\n{unit}" for heading, unit in PANELS.values()]
    table = Table("", "epoch", *columns, title="Mean since the last test, and last test")
    for backend, found in courses.items():
        name, epoch = f"{backend}, {len(found['epoch'])} seeds", found["epoch"][0]
        table.add_row(name, f"{epoch[0]:.0f}", *(told(found[panel][:, 0]) for panel in PANELS))
        for last in dict.fromkeys((min(1000.0, epoch[-1]), epoch[-1])):
            at = int(np.searchsorted(epoch, last))
            table.add_row("", f"{epoch[at]:.0f}", *(told(found[panel][:, at]) for panel in PANELS))
        late = [told(found[panel][:, -LAST_TESTS:].mean(axis=1)) for panel in PANELS]
        table.add_row("", f"last {LAST_TESTS} tests", *late)
    for kind in THESIS_STYLES:
        ends = [np.ravel(reference[kind].get(panel, np.nan))[-1:] for panel in PANELS]
        table.add_row(f"thesis, {kind}", f"{reference['edges'][-1]}", *map(told, ends))
    table.add_row("expected", "", *(f"{expected[panel]:.3g}" if panel in expected else "" for panel in PANELS))
    Console(width=230).print(table)


@click.command(help=__doc__)
@click.option("--study", type=click.Path(path_type=Path), default=HERE, help="Folder of the study, with its runs.")
@click.option("--output", type=click.Path(path_type=Path), default=HERE / "figure.png", help="File of the figure.")
def main(study: Path, output: Path) -> None:
    """Read the runs, print what came out, and draw it."""
    runs = [pt.open_run(path.parent) for path in sorted((study / "runs").glob("*/config.toml"))]
    by_backend = {name: [run for run in runs if run.specification.backend == name] for name in STYLES}
    courses = {name: course(found) for name, found in by_backend.items() if found}
    each = [expectations(run.specification) for run in by_backend["spiking"]]
    expected = {name: float(np.mean([found[name] for found in each])) for name in (each[0] if each else ())}
    reference = thesis()
    print_table(courses, reference, expected)
    figure_of(courses, reference, expected).savefig(output)


if __name__ == "__main__":
    main()
