# SPDX-License-Identifier: GPL-2.0-or-later
"""How long synapses may take: bars learned with delays of 0.1 to 5 ms, with and without latent equilibrium.

All synapses have the delay, nudging included, since NEST communicates as often as the shortest of all asks for. config.toml says what
is varied. Every run is kept in results.json as it ends, so that an interrupted study goes on where it was. The figure is figure.png.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from pynest_tools.runs.specification import RunSpecification, read_toml
from pynest_tools.runs.training import train
from pynest_tools.view.figures import BLUE, GREY, INK, VERMILLION, tidy

HERE = Path(__file__).parent
RESULTS, FIGURE = HERE / "results.json", HERE / "figure.png"
STABLE_TESTS = 8  # in a row at 100 %; then a run ends
TITLES = {"rate": "Rates", "spiking": "Spikes, ψ = 100"}
#: Latent equilibrium, and presentation of a sample (ms).
CONDITIONS = {
    (True, 50.0): ("latent equilibrium, 50 ms", {"color": BLUE, "marker": "o"}),
    (True, 20.0): ("20 ms", {"color": BLUE, "marker": "^", "linestyle": (0, (2, 2)), "linewidth": 1.2}),
    (True, 10.0): ("10 ms", {"color": BLUE, "marker": "x", "linestyle": (0, (1, 1)), "linewidth": 1.2}),
    (False, 100.0): ("without, 100 ms", {"color": VERMILLION, "marker": "s"}),
}


def specification(backend: str, latent: bool, t_pres: float, delay: float, seed: int, epochs: int) -> RunSpecification:
    """A run that learns and is read out in the second half of every sample; learning rate times time does not depend on t_pres."""
    half, scale = t_pres / 2.0, 80.0 / t_pres  # the thesis's rates at 50 ms, of which 40 ms are learned by default
    return RunSpecification.for_task(
        "bars",
        {
            "backend": backend,
            "seed": seed,
            "training": {"epochs": epochs, "stop_after": STABLE_TESTS},
            "network": {
                "neuron": {"latent_equilibrium": latent},
                "plasticity": {
                    "eta_up": [0.01 * scale, 0.003 * scale],
                    "eta_ip": 0.004 * scale,
                    "eta_pi": 0.01 * scale,
                },
                "trial": {
                    "t_pres": t_pres,
                    "t_learn_on": half,
                    "t_readout_on": half,
                    "t_pres_test": t_pres,
                    "t_readout_on_test": half,
                },
                "simulation": {"delay": delay},
            },
        },
    )


def measure(backend: str, latent: bool, t_pres: float, delay: float, seed: int, epochs: int) -> dict[str, Any]:
    """Train one network; what it has reached."""
    started = time.perf_counter()
    result = train(specification(backend, latent, t_pres, delay, seed, epochs))
    return {
        "backend": backend,
        "latent_equilibrium": latent,
        "t_pres": t_pres,
        "delay": delay,
        "seed": seed,
        "accuracy": result.last.get("accuracy", 0.0),
        "stable_from": result.stable_from_epoch if result.tests_at_100 >= STABLE_TESTS else None,
        "diverged": result.diverged,
        "epochs": result.epochs,
        "wall_s": round(time.perf_counter() - started, 1),
    }


def study(config: dict[str, Any], jobs: int, console: Console) -> list[dict[str, Any]]:
    """Run what is not in results.json yet."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    keys = ("backend", "latent_equilibrium", "t_pres", "delay", "seed")
    done = {tuple(result[key] for key in keys) for result in results}
    wanted = [
        (backend, *condition, delay, seed)
        for seed, backend, condition, delay in product(config["seeds"], TITLES, CONDITIONS, config["delays"])
    ]
    todo = [case for case in wanted if case not in done]
    # spawned, not forked: a forked process would inherit a NEST kernel
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(measure, *case, config["epochs"]) for case in todo]):
            result = future.result()
            results.append(result)
            RESULTS.write_text("[\n" + ",\n".join(" " + json.dumps(run) for run in results) + "\n]\n")
            console.print(
                f"{result['backend']:8} latent equilibrium {result['latent_equilibrium']!s:5}  {result['t_pres']:3g} ms  delay "
                f"{result['delay']:3g} ms  seed {result['seed']}  stable from {result['stable_from']}  {result['wall_s']:.0f} s"
            )
    return results


def runs_of(
    results: list[dict[str, Any]], backend: str, condition: tuple[bool, float], delay: float
) -> list[dict[str, Any]]:
    """All seeds of one point."""
    wanted = (backend, *condition, delay)
    return [r for r in results if (r["backend"], r["latent_equilibrium"], r["t_pres"], r["delay"]) == wanted]


def table(results: list[dict[str, Any]], config: dict[str, Any]) -> Table:
    """Epoch from which all tests were at 100 %, the upper median of those seeds that get there, and how many do."""
    found = Table(
        "backend", "latent eq.", "sample", *(f"{d:g} ms" for d in config["delays"]), title="stable from epoch (seeds)"
    )
    for backend, condition in product(TITLES, CONDITIONS):
        cells = []
        for delay in config["delays"]:
            runs = runs_of(results, backend, condition, delay)
            stable = sorted(run["stable_from"] for run in runs if run["stable_from"] is not None)
            count = f"({len(stable)}/{len(runs)})"
            cells.append(f"{stable[len(stable) // 2]} {count}" if stable else f"- {count}" if runs else "")
        found.add_row(backend, "with" if condition[0] else "without", f"{condition[1]:g} ms", *cells)
    return found


def draw(results: list[dict[str, Any]], config: dict[str, Any]) -> Figure:
    """Accuracy at the end over the delay, one panel for each backend."""
    figure = Figure(figsize=(10.0, 3.9), dpi=150)
    panels = figure.subplots(1, 2, sharey=True)
    figure.subplots_adjust(left=0.075, right=0.985, bottom=0.15, top=0.82, wspace=0.06)
    for axes, (backend, title) in zip(panels, TITLES.items(), strict=True):
        for condition, (label, own) in CONDITIONS.items():
            style = {"linewidth": 1.9, "markersize": 5.5, "zorder": 3, "clip_on": False} | own
            points = {delay: runs_of(results, backend, condition, delay) for delay in config["delays"]}
            known = {delay: sum(run["accuracy"] for run in runs) / len(runs) for delay, runs in points.items() if runs}
            axes.plot(list(known), list(known.values()), label=label, **style)
        axes.set_xscale("log")
        tidy(
            axes,
            title,
            "delay of every synapse (ms)",
            "correct bars, mean of the seeds (%)" if axes is panels[0] else "",
        )
        axes.set_xticks(config["delays"], [f"{delay:g}" for delay in config["delays"]])
        axes.minorticks_off()
        axes.set_ylim(0.0, 1.03)
        axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100"])
        axes.axhline(3.0 / 8.0, color=GREY, linewidth=0.8, linestyle=(0, (5, 3)))
    panels[0].annotate("chance", (0.1, 3.0 / 8.0), xytext=(0, -11), textcoords="offset points", fontsize=8, color=GREY)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=4,
        frameon=False, fontsize=9, labelcolor=INK,
    )  # fmt: skip
    return figure


@click.command(help=__doc__)
@click.option("--jobs", default=len(os.sched_getaffinity(0)), help="Runs at a time [one per core].")
@click.option("--redraw", is_flag=True, help="Draw the figure from results.json; nothing is simulated.")
def main(jobs: int, redraw: bool) -> None:
    """Run the study, print its table, draw its figure."""
    console = Console(highlight=False, width=140)
    config = read_toml(HERE / "config.toml")
    results = json.loads(RESULTS.read_text()) if redraw else study(config, jobs, console)
    console.print(table(results, config))
    draw(results, config).savefig(FIGURE)
    console.print(f"Figure in {FIGURE}", soft_wrap=True)


if __name__ == "__main__":
    main()
