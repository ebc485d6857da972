# SPDX-License-Identifier: GPL-2.0-or-later
"""How short a presentation can be: bars with and without latent equilibrium, with three backends.

Usage: python run.py [--jobs N] [--redraw]

Every run is kept in results.json as it ends, so that an interrupted study goes on where it was. The figure is figure.png.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from pynest_tools.runs.specification import RunSpecification, read_toml
from pynest_tools.runs.training import train, train_seeds
from pynest_tools.view.figures import BLUE, GREY, INK, VERMILLION, tidy

HERE = Path(__file__).parent
RESULTS, FIGURE, THESIS = HERE / "results.json", HERE / "figure.png", HERE / "thesis.json"
STABLE_TESTS = 8
CONDITIONS = {
    "with": "latent equilibrium",
    "without": "without",
    "onset": "without, learning from the onset",  # as the thesis does; ours learns in the second half of a sample
}
TITLES = {"ode": "Rates, numpy", "rate": "Rates, NEST", "spiking": "Spikes, NEST"}


def specification(backend: dict[str, Any], condition: str, t_pres: float, seed: int, epochs: int) -> RunSpecification:
    """The run of one backend, condition and presentation time (ms).

    The learning rates are those of the thesis at 50 ms, of which 40 ms are learned by default; the product of rate and time of
    learning does not depend on t_pres.
    """
    h, tau = 0.1, backend["tau"]
    half = round(t_pres / 2.0 / h) * h
    learn_on = 0.0 if condition == "onset" else half
    scale = 40.0 / (t_pres - learn_on)
    return RunSpecification.for_task(
        "bars",
        {
            "backend": backend["name"],
            "seed": seed,
            # a long sample differs little from its steady state, so that a batch does no harm, and numpy is faster
            "training": {
                "epochs": epochs,
                "stop_after": STABLE_TESTS,
                "batch_size": 24 if backend["name"] == "ode" and t_pres >= 50.0 else 1,
            },
            "network": {
                "neuron": {
                    "latent_equilibrium": condition == "with",
                    "tau_basal": tau,
                    "tau_apical": tau,
                    "psi": backend.get("psi", 1.0),
                },
                "plasticity": {
                    "eta_up": [0.01 * scale, 0.002 * scale],
                    "eta_ip": 0.004 * scale,
                    "eta_pi": 0.0,
                    "tau_s": tau,
                    "tau_Delta": 2.0 * tau,
                },
                "trial": {
                    "t_pres": t_pres,
                    "t_learn_on": learn_on,
                    "t_readout_on": half,
                    "t_pres_test": t_pres,
                    "t_readout_on_test": half,
                },
            },
        },
    )


def measure(backend: dict[str, Any], condition: str, t_pres: float, seeds: list[int], epochs: int) -> dict[str, Any]:
    """Train all seeds; what each reached."""
    started = time.perf_counter()
    spec = specification(backend, condition, t_pres, seeds[0], epochs)
    side_by_side = backend["name"] == "ode"
    runs = train_seeds(spec, seeds) if side_by_side else [train(spec.model_copy(update={"seed": s})) for s in seeds]
    return {
        "backend": backend["name"],
        "condition": condition,
        "t_pres": t_pres,
        "seeds": seeds,
        "accuracy": [run.last.get("accuracy", 0.0) for run in runs],
        "stable_from": [run.stable_from_epoch if run.tests_at_100 >= STABLE_TESTS else None for run in runs],
        "diverged": [run.diverged for run in runs],
        "wall_s": round(time.perf_counter() - started, 1),
    }


def cases(config: dict[str, Any]) -> list[tuple[dict[str, Any], str, float, list[int], int]]:
    """All runs of the study, the longest first."""
    found = []
    for t_pres in config["t_pres"]:
        for backend in config["backend"]:
            for condition in CONDITIONS:
                if condition == "onset" and backend["name"] != "ode":
                    continue
                seeds = config["seeds"] if t_pres in backend["seeds_at"] else config["seeds"][:1]
                found.append((backend, condition, t_pres, seeds, config["epochs"]))
    return sorted(found, key=lambda case: -case[2] * (1 if case[0]["name"] == "ode" else len(case[3])))


def study(config: dict[str, Any], jobs: int, console: Console) -> list[dict[str, Any]]:
    """Run what is not in results.json yet."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    done = {(r["backend"], r["condition"], r["t_pres"]) for r in results}
    todo = [case for case in cases(config) if (case[0]["name"], case[1], case[2]) not in done]
    # spawned, not forked: a forked process would inherit a NEST kernel
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(measure, *case) for case in todo]):
            result = future.result()
            results.append(result)
            RESULTS.write_text("[\n" + ",\n".join(" " + json.dumps(run) for run in results) + "\n]\n")
            console.print(
                f"{result['backend']:8} {CONDITIONS[result['condition']]:33} {result['t_pres']:6g} ms  "
                f"stable from {result['stable_from']}  {result['wall_s']:.0f} s"
            )
    return results


def table(results: list[dict[str, Any]], config: dict[str, Any]) -> Table:
    """Epoch from which all tests were at 100 %, the median over those seeds that get there, and how many do."""
    found = Table("backend", "", *(f"{t:g} ms" for t in config["t_pres"]), title="stable from epoch (seeds)")
    for name in TITLES:
        for condition, words in CONDITIONS.items():
            row = {r["t_pres"]: r for r in results if (r["backend"], r["condition"]) == (name, condition)}
            if row:
                found.add_row(name, words, *(_cell(row.get(t)) for t in config["t_pres"]))
    return found


def _cell(result: dict[str, Any] | None) -> str:
    if result is None:
        return ""
    stable = sorted(epoch for epoch in result["stable_from"] if epoch is not None)
    count = f"{len(stable)}/{len(result['stable_from'])}"
    return f"{stable[len(stable) // 2]} ({count})" if stable else f"- ({count})"


def draw(results: list[dict[str, Any]], thesis: list[dict[str, Any]], config: dict[str, Any]) -> Figure:
    """Accuracy at the end over presentation time, one panel for each backend, the thesis's runs beside."""
    figure = Figure(figsize=(11.5, 3.7), dpi=150)
    panels = figure.subplots(1, 3, sharey=True)
    figure.subplots_adjust(left=0.065, right=0.985, bottom=0.16, top=0.78, wspace=0.08)
    styles = {
        "with": {"color": BLUE, "marker": "o"},
        "without": {"color": VERMILLION, "marker": "s"},
        "onset": {"color": VERMILLION, "marker": "v", "linestyle": (0, (2, 2)), "linewidth": 1.2},
    }
    for axes, (name, title) in zip(panels, TITLES.items(), strict=True):
        for condition, words in CONDITIONS.items():
            row = sorted(
                (r for r in results if (r["backend"], r["condition"]) == (name, condition)), key=lambda r: r["t_pres"]
            )
            if row:
                style = {"linewidth": 1.9, "markersize": 5.5, "zorder": 3, "clip_on": False} | styles[condition]
                times = [r["t_pres"] for r in row]
                axes.plot(times, [min(r["accuracy"]) for r in row], label=words, **style)
        for condition, words, marker in (
            ("latent equilibrium", "thesis, with", "o"),
            ("without", "thesis, without", "s"),
        ):
            runs = [run for run in thesis if (run["backend"], run["condition"]) == (name, condition)]
            times, accuracies = ([run[key] for run in runs] for key in ("t_pres", "accuracy"))
            axes.plot(
                times, accuracies, color=GREY, linewidth=0.9, linestyle=":", marker=marker,
                markersize=4, markerfacecolor="white", label=words, zorder=2, clip_on=False,
            )  # fmt: skip
        axes.set_xscale("log")
        tidy(axes, title, "presentation of a sample (ms)", "correct bars, worst seed (%)" if axes is panels[0] else "")
        axes.set_xticks(config["t_pres"], [f"{t:g}" for t in config["t_pres"]])
        axes.minorticks_off()
        axes.set_ylim(0.0, 1.03)
        axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100"])
        axes.axhline(3.0 / 8.0, color=GREY, linewidth=0.8, linestyle=(0, (5, 3)))
    panels[2].annotate(
        "chance", (500.0, 3.0 / 8.0), xytext=(0, -10), textcoords="offset points", ha="right", fontsize=8, color=GREY
    )
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=5,
        frameon=False, fontsize=9, labelcolor=INK,
    )  # fmt: skip
    return figure


def main() -> None:
    """Run the study, print its table, draw its figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="runs at a time [one per core]")
    parser.add_argument("--redraw", action="store_true", help="draw the figure from results.json and run nothing")
    options = parser.parse_args()
    console = Console(highlight=False, width=140)
    config = read_toml(HERE / "config.toml")
    results = json.loads(RESULTS.read_text()) if options.redraw else study(config, options.jobs, console)
    console.print(table(results, config))
    draw(results, json.loads(THESIS.read_text()), config).savefig(FIGURE)
    console.print(f"Figure in {FIGURE}", soft_wrap=True)


if __name__ == "__main__":
    main()
