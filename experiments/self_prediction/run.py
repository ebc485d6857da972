# SPDX-License-Identifier: GPL-2.0-or-later
"""Courses of the study's runs beside the thesis's, and what theory expects of spikes: course.png.

``pyramidal study experiments/self_prediction`` makes the runs; this prints what they reached, too.
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
from pynest_tools.tasks.protocol import tested_set
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
Course = dict[str, FloatArray]  # the tests' epochs and `PANELS`: one row a seed, one column a test


def expectations(spec: RunSpecification) -> dict[str, float]:
    """What spikes should leave over, by theory, when interneurons already are as fast as their partners.

    A spike of an interneuron is in its trace, and in the apical potential that the trace meets. With the rates r of the outputs, pi
    thus changes by -eta [(pi + down) r r^T + pi D] per ms on average, D = diag(r) / (psi (tau_apical + tau_s)), and forgets through D
    what it learns from other samples. Its course is solved from sample to sample. The held-out apical error is that of such weights
    with normal noise of the variance of Poisson counts, r / (psi T) per W^2 in a read-out of T.

    Returns validation_apical_error (mV) and distance.pi_1 (mV² ms²) of a run with spikes, means over the last fifth of its epochs.
    """
    circuit, weights, order = spec.network, spec.initial_weights(), spec.order()
    neuron, trial, down = circuit.neuron, circuit.trial, weights.down[0]
    epochs = [spec.task.epoch(order).stimuli for _ in range(spec.training.epochs)]
    network = SteadyMicrocircuit(circuit, self_predicting_weights(weights, circuit))
    samples = (np.concatenate(epochs), tested_set(spec.task)[1].stimuli)
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


def course(runs: list[Run]) -> Course:
    """What runs of several seeds have recorded, as far as all have got; NaN where a test has no such entry."""

    def entry(record: Any, name: str) -> float:
        for key in name.split("."):
            record = record.get(key, np.nan)
        return float(record)

    every = [run.records for run in runs]
    tests = range(min(map(len, every)))
    return {name: np.array([[entry(own[i], name) for i in tests] for own in every]) for name in ("epoch", *PANELS)}


def thesis() -> dict[str, Any]:
    """Reference data by the names of `PANELS`; a norm over the cells becomes about a mean, as that of equal magnitudes would."""
    data: dict[str, Any] = json.loads((HERE / "thesis.json").read_text(encoding="utf-8"))
    data["numpy"]["apical_error"] = [value / np.sqrt(data["hidden_cells"]) for value in data["numpy"]["apical_error"]]
    return data


def centres(edges: Any) -> FloatArray:
    """Geometric middle of the epochs from one edge to the next, counted from 1."""
    return np.asarray(np.sqrt((np.asarray(edges[:-1]) + 1.0) * np.asarray(edges[1:])))


def draw(axes: Axes, name: str, courses: dict[str, Course], expected: dict[str, float]) -> None:
    """One panel: the thesis in grey; ours in colours, mean and range over the seeds; what theory expects dotted."""
    reference = thesis()
    for kind, style in THESIS_STYLES.items():
        values = np.ravel(reference[kind].get(name, np.nan))  # a course, its end, or nothing
        x = centres(reference["edges"]) if len(values) > 1 else reference["edges"][-1:]
        axes.plot(x, values, color=GREY, linewidth=0.9, markersize=5, markevery=[-1], clip_on=False, zorder=1, **style)
    for backend, found in courses.items():
        x, values, style = found["epoch"][0], found[name][:, 1:], STYLES[backend]
        x = (
            centres(x) if np.isnan(found[name][0, 0]) else x[1:]
        )  # a mean since the last test, of which there is none at 0
        axes.plot(x, values.mean(axis=0), **style)
        axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=style["color"], alpha=0.2, linewidth=0.0)
    axes.set(xscale="log", yscale="log", xlim=(1.0, reference["edges"][-1]))
    if name in expected:
        axes.axhline(expected[name], color=BLUE, linewidth=1.2, linestyle=(0, (1, 1.5)), label="expected with spikes")
    tidy(axes, PANELS[name][0], "epoch", PANELS[name][1])


def figure_of(courses: dict[str, Course], expected: dict[str, float]) -> Figure:
    """Draw all panels."""
    figure = Figure(figsize=(12.0, 6.6), dpi=150)
    panels = figure.subplots(2, 3)
    figure.subplots_adjust(left=0.065, right=0.985, bottom=0.075, top=0.87, wspace=0.26, hspace=0.38)
    for axes, name in zip(panels.flat, PANELS, strict=True):
        draw(axes, name, courses, expected)
    drawn = panels[1, 0].get_legend_handles_labels()
    figure.legend(*drawn, loc="upper center", bbox_to_anchor=(0.525, 0.995), ncols=4, frameon=False, fontsize=9)
    return figure


def table_of(courses: dict[str, Course], expected: dict[str, float]) -> Table:
    """Where all networks begin and end, and what the last tests say: mean over the seeds, and range."""

    def told(values: FloatArray) -> str:
        spread = f" ({np.min(values):.2g} to {np.max(values):.2g})" if np.size(values) > 1 else ""
        return f"{np.mean(values):.3g}{spread}" if np.all(np.isfinite(values)) else ""

    table = Table("", "epoch", *(f"{heading}\n{unit}" for heading, unit in PANELS.values()))
    for backend, found in courses.items():
        epochs = found["epoch"][0]
        for at in dict.fromkeys((0, np.searchsorted(epochs, min(1000, epochs[-1])), len(epochs) - 1)):
            table.add_row(backend, f"{epochs[at]:g}", *(told(found[name][:, at]) for name in PANELS))
        late = (told(found[name][:, -LAST_TESTS:].mean(axis=1)) for name in PANELS)
        table.add_row(backend, f"last {LAST_TESTS} tests", *late, end_section=True)
    for kind, style in THESIS_STYLES.items():
        ends = (told(np.ravel(thesis()[kind].get(name, np.nan))[-1]) for name in PANELS)
        table.add_row(style["label"], "5000", *ends)
    table.add_row("expected with spikes", "", *(told(np.float64(expected.get(name, np.nan))) for name in PANELS))
    return table


@click.command(help=__doc__)
@click.argument("study", type=click.Path(path_type=Path), default=HERE)
@click.option("--output", type=click.Path(path_type=Path), default=HERE, help="Folder of course.png.")
def main(study: Path, output: Path) -> None:
    """Read the runs, print what came out, and draw it."""
    runs = [pt.open_run(path.parent) for path in sorted((study / "runs").glob("*/config.toml"))]
    by_backend = {name: [run for run in runs if run.specification.backend == name] for name in STYLES}
    courses = {name: course(found) for name, found in by_backend.items() if found}
    each = [expectations(run.specification) for run in by_backend["spiking"]]
    expected = {name: float(np.mean([found[name] for found in each])) for name in PANELS if each and name in each[0]}
    Console(width=200).print(table_of(courses, expected))
    figure_of(courses, expected).savefig(output / "course.png")


if __name__ == "__main__":
    main()
