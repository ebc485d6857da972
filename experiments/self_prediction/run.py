# SPDX-License-Identifier: GPL-2.0-or-later
"""From random weights to the self-predicting state, with spikes, with rates in NEST and in numpy, and in steady states.

Interneurons learn to copy the layer above them (ip), apical dendrites to expect what comes from there (pi). There is no target, so
that nothing is left to send back. All backends start from the same weights and see the same samples. config.toml describes the
circuit. Results are kept in results.json, so that the figure can be drawn again.
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

from pynest_tools.networks import NEST_BACKENDS, NUMPY_BACKENDS
from pynest_tools.networks.backend import FloatArray, Network, TrialResult, Weights
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.steady import SteadyMicrocircuit
from pynest_tools.networks.transfer import transfer
from pynest_tools.networks.weights import self_predicting_weights
from pynest_tools.runs.specification import read_toml
from pynest_tools.settings import merged
from pynest_tools.view.figures import BLUE, GREEN, GREY, INK, VERMILLION, tidy

HERE = Path(__file__).parent
EPOCHS = {"steady": 1000, "ode": 1000, "rate": 5000, "spiking": 5000}
SAMPLES = 10  # in an epoch
TEST_SAMPLES = 20  # held out, presented without learning
STEADY_PARTS = 8  # presentations of a sample to the steady network, each with an eighth of the time to learn
SEED = 1
#: Epochs after which the network is tested: evenly spaced on a logarithmic axis, and 0.
TESTS = [0, *np.unique(np.round(10 ** np.arange(0.0, 3.7, 0.1)).astype(int)).tolist(), 5000]
PANELS = {
    "apical_error": ("Apical error, while it is learned", "mean |apical potential| (mV)"),
    "interneuron_error": ("Interneuron error, while it is learned", "mean squared rate difference (1/ms²)"),
    "distance_pi": ("Distance of pi from self-predicting", "mean squared distance (mV² ms²)"),
    "test_apical_error": ("Apical error, held-out samples", "mean |apical potential| (mV)"),
    "test_interneuron_error": (
        "Interneuron error, held-out samples",
        "mean squared rate difference (1/ms²)",
    ),
    "distance_ip": ("Distance of ip from self-predicting", "mean squared distance (mV² ms²)"),
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


def build(backend: str, weights: Weights) -> Network:
    """Build the circuit of config.toml with a backend.

    A steady network changes its weights in one step per presentation. Steps as large as 40 ms of learning overshoot, so that it has
    several presentations of a sample, with the same time to learn in all.
    """
    entries = read_toml(HERE / "config.toml")
    if backend == "steady":
        trial = entries["trial"]
        t_pres = trial["t_learn_on"] + (trial["t_pres"] - trial["t_learn_on"]) / STEADY_PARTS
        entries = merged(entries, {"trial": {"t_pres": t_pres, "t_readout_on": trial["t_learn_on"]}})
    circuit = Microcircuit.model_validate(entries)
    if backend in NEST_BACKENDS:
        return NEST_BACKENDS[backend](circuit, weights, SEED)
    return NUMPY_BACKENDS[backend](circuit, weights)


def learn(network: Network, stimuli: FloatArray, parts: int) -> tuple[FloatArray, FloatArray]:
    """Present epochs without a teacher; returns apical (mV) and interneuron error (1/ms²) of each.

    Parameters
    ----------
    network : Network
        Learns.
    stimuli : ndarray, shape (epochs, samples, inputs)
        Rates of the inputs (1/ms).
    parts : int
        Presentations of each sample.
    """
    n_epochs, _, n_inputs = stimuli.shape
    samples = np.repeat(stimuli.reshape(-1, n_inputs), parts, axis=0)
    no_target = np.full((len(samples), network.get_weights().up[-1].shape[0]), np.nan)
    trials: list[TrialResult] = []
    for start in range(0, len(samples), network.chunk_samples):
        chunk = slice(start, start + network.chunk_samples)
        trials.append(network.run(samples[chunk], no_target[chunk], learn=True))
    apical = np.concatenate([trial.apical_error for trial in trials])
    interneurons = np.concatenate([trial.interneuron_error for trial in trials])
    return apical.reshape(n_epochs, -1).mean(axis=1), interneurons.reshape(n_epochs, -1).mean(axis=1)


def expectations(
    circuit: Microcircuit, weights: Weights, stimuli: FloatArray, held_out: FloatArray
) -> dict[str, float]:
    """What spikes should leave over, by theory, when interneurons already are as fast as their partners.

    A spike of an interneuron is in its trace, and in the apical potential that the trace meets. With the rates r of the outputs, pi
    thus changes by -eta [(pi + down) r r^T + pi D] per ms on average, D = diag(r) / (psi (tau_apical + tau_s)), and forgets through D
    what it learns from other samples. Its course is solved from sample to sample. The held-out apical error is that of such weights
    with normal noise of the variance of Poisson counts, r / (psi T) per W^2 in a read-out of T.

    Parameters
    ----------
    circuit : Microcircuit
        The circuit.
    weights : Weights
        Initial weights (mV ms).
    stimuli, held_out : ndarray, shape (n, inputs)
        Rates of the inputs (1/ms), of all samples in their order, and of the held-out ones.

    Returns
    -------
    dict
        test_apical_error (mV) and distance_pi (mV² ms²), means over the last fifth of the samples.
    """
    neuron, trial, down = circuit.neuron, circuit.trial, weights.down[0]
    network = SteadyMicrocircuit(circuit, self_predicting_weights(weights, neuron))
    r, r_held_out = (transfer(network.run(x, None, learn=False).output, neuron) for x in (stimuli, held_out))
    learned = r[:, :, np.newaxis] * r[:, np.newaxis, :]
    own = np.eye(r.shape[1]) * r[:, np.newaxis] / (neuron.psi * (neuron.tau_apical + circuit.plasticity.tau_s))
    values, vectors = np.linalg.eigh(learned + own)
    kept = np.exp(-circuit.eta_pi[0] * (trial.t_pres - trial.t_learn_on) * values)
    propagators = (vectors * kept[:, np.newaxis]) @ vectors.swapaxes(1, 2)
    goals = -np.linalg.solve(learned + own, learned @ down.T)
    window = trial.t_pres_test - trial.t_readout_on_test
    rng = np.random.default_rng(SEED)
    pi, errors, distances_squared = weights.pi[0], [], []
    for i, (goal, propagator) in enumerate(zip(goals, propagators, strict=True)):
        pi = (goal + propagator @ (pi.T - goal)).T
        if i >= 0.8 * len(goals) and i % SAMPLES == SAMPLES - 1:
            noise = np.sqrt(r_held_out @ (down**2 + pi**2).T / (neuron.psi * window))
            V_apical = r_held_out @ (pi + down).T + noise * rng.standard_normal(noise.shape)
            errors.append(np.mean(np.abs(V_apical)))
            distances_squared.append(np.mean((pi + down) ** 2))
    return {"test_apical_error": float(np.mean(errors)), "distance_pi": float(np.mean(distances_squared))}


def run(backend: str, weights: Weights, stimuli: FloatArray, held_out: FloatArray) -> dict[str, Any]:
    """Let one backend learn, testing it in between; returns what the panels show, by epoch."""
    started = time.perf_counter()
    network = build(backend, weights)
    neuron = Microcircuit.model_validate(read_toml(HERE / "config.toml")).neuron
    course: dict[str, Any] = {name: [] for name in ("epoch", *PANELS)}
    done = 0
    for epoch in [test for test in TESTS if test <= EPOCHS[backend]]:
        if epoch > done:
            parts = STEADY_PARTS if backend == "steady" else 1
            apical, interneurons = learn(network, stimuli[done:epoch], parts)
            course["apical_error"].append(apical.mean())
            course["interneuron_error"].append(interneurons.mean())
            done = epoch
        trial = network.run(held_out, None, learn=False)
        now = network.get_weights()
        goal = self_predicting_weights(now, neuron)
        course["epoch"].append(epoch)
        course["test_apical_error"].append(trial.apical_error.mean())
        course["test_interneuron_error"].append(trial.interneuron_error.mean())
        course["distance_pi"].append(np.mean((now.pi[0] - goal.pi[0]) ** 2))
        course["distance_ip"].append(np.mean((now.ip[0] - goal.ip[0]) ** 2))
    rounded = {name: [float(f"{value:.4g}") for value in values] for name, values in course.items()}
    return {**rounded, "wall_s": round(time.perf_counter() - started, 1)}


def thesis() -> dict[str, Any]:
    """Reference data; a norm over the cells becomes about a mean, as that of equal magnitudes would."""
    data: dict[str, Any] = json.loads((HERE / "thesis.json").read_text(encoding="utf-8"))
    cells = len(data["initial_weights"]["pi_1"])
    data["numpy"]["apical_error"] = [value / np.sqrt(cells) for value in data["numpy"]["apical_error"]]
    return data


def initial_weights(data: dict[str, Any]) -> Weights:
    """Initial weights of the thesis's runs (mV ms)."""
    matrices = {name: np.array(matrix) for name, matrix in data["initial_weights"].items()}
    return Weights(
        up=[matrices["up_1"], matrices["up_2"]],
        ip=[matrices["ip_1"]],
        pi=[matrices["pi_1"]],
        down=[matrices["down_1"]],
    )


def centres(edges: Any) -> FloatArray:
    """Geometric middle of the epochs from one edge to the next, counted from 1."""
    edges = np.asarray(edges, dtype=float)
    middle: FloatArray = np.sqrt((edges[:-1] + 1.0) * edges[1:])
    return middle


def draw(axes: Axes, name: str, results: dict[str, Any], reference: dict[str, Any]) -> None:
    """One panel: the thesis in grey, ours in colours."""
    is_mean = name in ("apical_error", "interneuron_error")
    for kind, style in THESIS_STYLES.items():
        value = reference[kind].get(name)
        look = {"color": GREY, "linewidth": 0.9, "zorder": 1, **style}
        if is_mean:
            axes.plot(centres(reference["edges"]), value, markersize=5, markevery=[-1], **look)
        elif value is not None:
            axes.plot(
                [reference["edges"][-1]], [value], **{**look, "linestyle": "none", "markersize": 5, "clip_on": False}
            )
    for backend, style in STYLES.items():
        epochs = results[backend]["epoch"]
        x = centres(epochs) if is_mean else epochs[1:]
        axes.plot(x, results[backend][name][-len(x) :], **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1.0, max(EPOCHS.values()))
    heading, unit = PANELS[name]
    tidy(axes, heading, "epoch", unit)


def figure_of(results: dict[str, Any], reference: dict[str, Any]) -> Figure:
    """Draw all panels."""
    figure = Figure(figsize=(12.0, 6.6), dpi=150)
    panels = figure.subplots(2, 3)
    figure.subplots_adjust(left=0.065, right=0.985, bottom=0.08, top=0.88, wspace=0.26, hspace=0.38)
    for axes, name in zip(panels.flat, PANELS, strict=True):
        draw(axes, name, results, reference)
    for axes, name in zip(panels.flat, PANELS, strict=True):
        if name in results["expected"]:
            value = results["expected"][name]
            axes.axhline(value, color=BLUE, linewidth=1.0, linestyle=(0, (1, 1.5)))
            axes.text(1.2, 0.93 * value, "expected with spikes", color=BLUE, fontsize=8.5, va="top")
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.525, 0.985), ncols=7,
        frameon=False, fontsize=9, labelcolor=INK,
    )  # fmt: skip
    return figure


def print_table(results: dict[str, Any], reference: dict[str, Any]) -> None:
    """Print what every network ends at."""
    columns = ("", "epochs", "apical error (mV)", "held out", "interneuron error (1/ms²)", "held out")
    table = Table(
        *columns,
        "distance pi (mV² ms²)",
        "distance ip",
        "wall time (s)",
        title="Mean since the last test, and last test",
    )
    for backend in STYLES:
        course = results[backend]
        numbers = [f"{course[name][-1]:.3g}" for name in (
            "apical_error", "test_apical_error", "interneuron_error", "test_interneuron_error", "distance_pi", "distance_ip",
        )]  # fmt: skip
        table.add_row(backend, f"{course['epoch'][-1]:.0f}", *numbers, f"{course['wall_s']:.0f}")
    for kind in THESIS_STYLES:
        course = reference[kind]
        errors = [f"{course['apical_error'][-1]:.3g}", "", f"{course['interneuron_error'][-1]:.3g}", ""]
        table.add_row(
            f"thesis, {kind}", "5000", *errors, f"{course['distance_pi']:.3g}", f"{course['distance_ip']:.3g}"
        )
    console = Console(width=150)
    console.print(table)
    first = {name: results["rate"][name][0] for name in PANELS}
    console.print("rate, first value: " + ", ".join(f"{name} {value:.3g}" for name, value in first.items()))
    expected = ", ".join(f"{name} {value:.3g}" for name, value in results["expected"].items())
    console.print(f"expected with spikes: {expected}")


@click.command(help=__doc__)
@click.option("--redraw", is_flag=True, help="Draw the figure from results.json; nothing is simulated.")
@click.option("--output", type=click.Path(path_type=Path), default=HERE, help="Folder of figure.png and results.json.")
def main(redraw: bool, output: Path) -> None:
    """Run all backends, print what came out, and draw it."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / "results.json"
    reference = thesis()
    if not redraw:
        weights = initial_weights(reference)
        rng = np.random.default_rng(SEED)
        n_inputs = weights.up[0].shape[1]
        held_out = rng.uniform(size=(TEST_SAMPLES, n_inputs))
        stimuli = rng.uniform(size=(max(EPOCHS.values()), SAMPLES, n_inputs))
        results: dict[str, Any] = {}
        for backend in EPOCHS:
            results[backend] = run(backend, weights.copy(), stimuli, held_out)
            print(f"{backend}: {results[backend]['wall_s']:.0f} s", flush=True)
        circuit = Microcircuit.model_validate(read_toml(HERE / "config.toml"))
        results["expected"] = expectations(circuit, weights, stimuli.reshape(-1, n_inputs), held_out)
        path.write_text(json.dumps(results) + "\n", encoding="utf-8")
    results = json.loads(path.read_text(encoding="utf-8"))
    print_table(results, reference)
    figure_of(results, reference).savefig(output / "figure.png")


if __name__ == "__main__":
    main()
