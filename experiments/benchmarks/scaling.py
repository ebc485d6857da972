# SPDX-License-Identifier: GPL-2.0-or-later
"""Several processes and threads: strong and weak scaling, where the time goes, memory, and a model of what a network costs.

Needs a NEST with MPI and detailed timers: run it with the Python of the environment that make mpi builds. The circuits are those of
circuits.py. The model is fitted to some sizes, delays and numbers of processes, checked on others, and says what a network
of 10^6 cells and 10^9 synapses would cost on a cluster.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from circuits import SAMPLE, H, build, count
from matplotlib.axes import Axes
from measuring import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    in_own_process,
    median,
    print_json,
    print_table,
    resident_memory,
    save_figure,
)
from scipy.optimize import nnls

from pynest_tools.kernel.parallel import n_processes, rank, sum_over_processes, wait_for_all
from pynest_tools.networks.spiking import SpikingMicrocircuit

STEPS = round(SAMPLE / H)
COLOURS = {"update": BLUE, "delivery": GREEN, "communication": VERMILLION, "rest of NEST": GREY, "Python": ORANGE}
PARTS = tuple(COLOURS)
TIMERS = {
    "update": ("time_update",),
    "delivery": ("time_deliver_spike_data", "time_deliver_secondary_data"),
    "communication": ("time_gather_spike_data", "time_gather_secondary_data"),
}


class Case(NamedTuple):
    """One measurement: hidden cells of a network 784-hidden-10, processes, threads of each, delay of all synapses (ms)."""

    hidden: int
    processes: int
    threads: int = 1
    delay: float = H

    @property
    def samples(self) -> int:
        """How many are presented in one run: fewer to large networks."""
        return 4 if self.hidden > 200 else 8


STRONG = [Case(300, *split) for split in ((1, 1), (2, 1), (1, 2), (3, 1), (4, 1), (2, 2), (1, 4))]
WEAK = [Case(150 * processes, processes) for processes in (1, 2, 3, 4)]
FITTED = [Case(n, p, delay=d) for n in (10, 60, 150, 600) for p in (1, 2) for d in (H, 1.0)]
HELD_OUT = [Case(300, 2, delay=0.3), Case(300, 1, delay=H)]
QUICK = [Case(10, 1), Case(10, 2), Case(60, 2), Case(30, 2)]

# What a cluster adds to the coefficients that are measured here: latency of a message within a node and between nodes, and the
# bandwidth of a node, of the order of HDR InfiniBand (200 Gbit/s).
LATENCY_US = (1.0, 5.0)
BANDWIDTH = 25e9  # bytes/s of a node
CORES_PER_NODE = 128
BYTES = 8.0  # of an event, and of a signal, in NEST's buffers
LARGE_CELLS, LARGE_SYNAPSES = 1e6, 1e9
LARGE_CORES = (128, 256, 512, 1024, 2048, 4096)
#: What is varied: threads of a process, delay (ms), share of cells that send in a step.
LARGE = {
    "1 thread": (1, H, 1.0),
    "16 threads": (16, H, 1.0),
    "delay 1 ms": (1, 1.0, 1.0),
    "7 % send": (1, H, 0.07),  # psi = 1 at a rate of 0.7/ms
}


def measure(hidden: int, threads: int, delay: float, samples: int, processes: int = 1) -> dict[str, float]:
    """Times (ms per sample) of a network, means over processes and threads, and the memory of a process (MB)."""
    import nest

    network, images, targets = build((784, hidden, 10), samples, threads=threads, delay=delay)
    network.run(images[:1], targets[:1], learn=True)
    simulated = network.simulation_time_s
    wait_for_all()
    started = time.perf_counter()
    network.run(images, targets, learn=True)
    wall = time.perf_counter() - started
    status = nest.GetKernelStatus()
    missing = [timer for timers in TIMERS.values() for timer in timers if timer not in status]
    if missing:
        raise SystemExit(f"this NEST has no timers {', '.join(missing)}: use the environment that make mpi builds")
    found = {part: sum(float(np.mean(status[timer])) for timer in timers) for part, timers in TIMERS.items()}
    simulation = network.simulation_time_s - simulated
    found |= {"rest of NEST": simulation - sum(found.values()), "Python": wall - simulation, "wall": wall}
    found = {f"{name}_ms": seconds / samples * 1e3 for name, seconds in found.items()}
    found["memory_MB"] = resident_memory("VmHWM")
    means = sum_over_processes(np.array(list(found.values()))) / n_processes()
    return dict(zip(found, means.tolist(), strict=True))


def measure_all(cases: Sequence[Case], pair: Sequence[Case], repeats: int) -> dict[str, Any]:
    """All that is measured, for scaling.json: counts by network, figures of every repeat of every case, and of the pair.

    The pair, one process and two, is measured apart and more often, in turn with two independent runs side by side: as far as these
    are slower than one alone, it is the machine's cores that share something, and a limit to any scaling.
    """
    arguments = {case: {**case._asdict(), "samples": case.samples} for case in cases}
    alone = {key: value for key, value in arguments[pair[0]].items() if key != "processes"}
    turns, runs = [], {case: [] for case in cases if case not in pair}
    with ThreadPoolExecutor(2) as pool:
        for _ in range(repeats):
            for _ in range(min(repeats, 3)):
                turn = [in_own_process(__file__, arguments[case]) for case in pair]
                copies = pool.map(lambda case: in_own_process(__file__, case), [alone, alone])
                turns.append([*turn, median(list(copies))])
            for case, found in runs.items():
                found.append(in_own_process(__file__, arguments[case]))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "counts": {
            n: in_own_process(__file__, {"sizes": (784, n, 10)}) for n in sorted({case.hidden for case in cases})
        },
        "pair": turns,
        "runs": [{"case": case, "runs": found} for case, found in runs.items()],
    }


# ---- the model ----------------------------------------------------------------------------------------------------------


def terms(case: Case, counts: Mapping[str, float], sharing: float) -> dict[str, list[float]]:
    """What each part of the time of a sample is proportional to, for one process.

    Every event of a cell reaches every process, since all have targets of it; each process then has its share of the synapses.
    `sharing` is how much longer a run takes beside another one: what the cores of a machine have in common.
    """
    share = (sharing if case.processes * case.threads > 1 else 1.0) / (case.processes * case.threads)
    slices = SAMPLE / case.delay
    runs = 1.0 / case.samples  # whose schedules and results go through Python
    several = float(case.processes > 1)
    return {
        "update": [counts["cells"] * STEPS * share, counts["inputs"] * STEPS * share],
        "delivery": [counts["events_population"] * share, counts["senders"], counts["signals"] * share],
        "communication": [counts["senders"], several * counts["senders"], slices, several * slices],
        "rest of NEST": [1.0, slices],
        "Python": [runs, runs * (counts["cells"] + counts["inputs"]) / case.processes],
    }


COEFFICIENTS = {
    "update": ("a cell, one step", "an input, one step"),
    "delivery": ("an event at a synapse", "an event at a process", "a signal"),
    "communication": ("an event in the buffers", "the same from another process", "a slice", "the same, two processes"),
    "rest of NEST": ("a sample", "a slice"),
    "Python": ("a run", "a cell or input, one run"),
}


def fit(
    measured: Mapping[Case, Mapping[str, float]], counts: Mapping[int, Mapping[str, float]], sharing: float
) -> dict[str, np.ndarray]:
    """Non-negative coefficients (ms) of every part, least squares of relative errors of the whole."""
    found = {}
    for part in PARTS:
        weights = np.array([1.0 / measured[case]["wall_ms"] for case in measured])
        matrix = (
            np.array([terms(case, counts[case.hidden], sharing)[part] for case in measured]) * weights[:, np.newaxis]
        )
        scale = matrix.max(axis=0)
        times = np.array([measured[case][f"{part}_ms"] for case in measured]) * weights
        found[part] = nnls(matrix / scale, times)[0] / scale
    return found


def predict(
    model: Mapping[str, np.ndarray], case: Case, counts: Mapping[str, float], sharing: float
) -> dict[str, float]:
    """Time of a sample by part (ms)."""
    of_case = terms(case, counts, sharing)
    return {part: float(model[part] @ of_case[part]) for part in PARTS}


def exchange_ms(processes: int, threads: int, bytes_each: float) -> float:
    """Time in which every process sends to every other one (ms), the bytes being what one process receives."""
    within = min(processes, CORES_PER_NODE // threads) - 1
    between = processes - 1 - within
    # short messages may travel in ceil(log2 P) rounds (Bruck et al. 1997): what is faster counts
    latency_us = min(within * LATENCY_US[0] + between * LATENCY_US[1], np.ceil(np.log2(processes)) * LATENCY_US[1])
    return float(latency_us * 1e-3 + bytes_each / (BANDWIDTH * threads / CORES_PER_NODE) * 1e3)


def predict_large(
    model: Mapping[str, np.ndarray], sharing: float, cores: int, threads: int, delay: float, active: float
) -> dict[str, float]:
    """Time of a sample of the large network on a cluster (ms by part); the targets of a cell lie anywhere.

    Parameters
    ----------
    model : mapping
        Coefficients of `fit`.
    sharing : float
        As for `terms`.
    cores, threads : int
        Cores in all, and threads of a process, one on each core.
    delay : float
        Of all synapses (ms).
    active : float
        Share of cells that send an event in a step.
    """
    processes, slices, targets = cores // threads, SAMPLE / delay, LARGE_SYNAPSES / LARGE_CELLS
    sent = LARGE_CELLS * active * STEPS  # events of a sample
    received = sent * (1.0 - (1.0 - 1.0 / processes) ** targets)  # by a process; each of its threads looks at all
    cells = sharing * LARGE_CELLS / cores * STEPS  # each sends one signal to a partner
    update, delivery, communication, rest, python = (model[part] for part in PARTS)
    exchanges = [received / slices * BYTES, cells * threads / slices * BYTES]
    return {
        "update": float(update[0] * cells),
        "delivery": float(delivery @ [sharing * sent * targets / cores, received, cells]),
        "communication": float(communication[0] * received + communication[2] * slices)
        + slices * sum(exchange_ms(processes, threads, size) for size in exchanges),
        "rest of NEST": float(rest @ [1.0, slices]),
        "Python": float(python @ [1.0, LARGE_CELLS / processes]) / SpikingMicrocircuit.chunk_samples,
    }


# ---- tables and figures -------------------------------------------------------------------------------------------------


def name_of(case: Case) -> str:
    """In words."""
    split = f"{case.processes} process{'es' if case.processes > 1 else ''}"
    threads = f", {case.threads} threads" if case.threads > 1 else ""
    delay = f", delay {case.delay:g} ms" if case.delay != H else ""
    return f"784-{case.hidden}-10, {split}{threads}{delay}"


def table_of(title: str, results: Mapping[Case, Mapping[str, float]], reference: Case) -> None:
    """Print times by part, speed beside that of `reference`, and memory."""
    rows = [
        [
            name_of(case),
            *(f"{result[f'{name}_ms']:.3g}" for name in ("wall", *PARTS)),
            f"{results[reference]['wall_ms'] / result['wall_ms']:.2f}",
            f"{result['memory_MB']:.0f}",
        ]
        for case, result in results.items()
    ]
    print_table(title, ["network", "ms per sample", *PARTS, "speed", "MB per process"], rows)


def draw_strong(results: Mapping[Case, Mapping[str, float]], cores: int) -> Any:
    """Panel: speed over processes, over threads and over both."""
    alone = results[STRONG[0]]["wall_ms"]

    def draw(axes: Axes) -> None:
        series = {
            "processes": [case for case in STRONG if case.threads == 1],
            "threads": [case for case in STRONG if case.processes == 1],
            "2 processes with 2 threads": [Case(300, 2, 2)],
        }
        axes.plot([1, 4], [1, 4], color=GREY, linewidth=0.8, linestyle=":", label="ideal")
        for (label, cases), colour, marker in zip(series.items(), (BLUE, VERMILLION, GREEN), "osD", strict=True):
            places = [case.processes * case.threads for case in cases if case in results]
            speeds = [alone / results[case]["wall_ms"] for case in cases if case in results]
            axes.plot(places, speeds, color=colour, marker=marker, linewidth=1.8, label=label)
        axes.axvspan(cores + 0.1, 4.2, color=GREY, alpha=0.12, linewidth=0)
        axes.text(4.15, 0.1, f"more than the machine's {cores} cores", ha="right", fontsize=8.5, color=GREY)
        axes.set(xlabel="processes × threads", ylabel="speed", title="784-300-10", xlim=(0.8, 4.2), ylim=(0, 2.6))
        axes.set_xticks([1, 2, 3, 4])
        axes.legend(frameon=False, fontsize=9, loc="upper left")

    return draw


def draw_parts(title: str, results: Mapping[Case, Mapping[str, float]], *, legend: bool) -> Any:
    """Panel: where the time of a sample goes."""

    def draw(axes: Axes) -> None:
        for i, result in enumerate(results.values()):
            left = 0.0
            for part in PARTS:
                width = result[f"{part}_ms"]
                axes.barh(i, width, left=left, color=COLOURS[part], height=0.62, label=part if i == 0 else None)
                left += width
            axes.text(left, i, f" {left:.0f}", va="center", fontsize=8.5)
        labels = [f"{case.hidden} hidden, {case.processes} × {case.threads}" for case in results]
        axes.set_yticks(range(len(results)), labels, fontsize=9)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set(title=title, xlabel="ms per sample of 50 ms")
        if legend:
            axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return draw


def draw_model(measured: Mapping[Case, float], predicted: Mapping[Case, float]) -> Any:
    """Panel: measured time over the model's."""

    def draw(axes: Axes) -> None:
        span = [0.8 * min(measured.values()), 1.25 * max(measured.values())]
        axes.plot(span, span, color=GREY, linewidth=0.8, linestyle=":")
        for cases, colour, marker, label in ((FITTED, BLUE, "o", "fitted"), (HELD_OUT, VERMILLION, "D", "held out")):
            known = [case for case in cases if case in measured]
            axes.plot(
                [predicted[case] for case in known],
                [measured[case] for case in known],
                marker,
                color=colour,
                label=label,
            )
        axes.set(xscale="log", yscale="log", xlabel="model (ms per sample)", ylabel="measured (ms per sample)")
        axes.set(title="Model of cost", xlim=span, ylim=span)
        for axis in (axes.xaxis, axes.yaxis):
            ticks = [tick for tick in (10, 20, 50, 100, 200, 500, 1000) if span[0] <= tick <= span[1]]
            axis.set_ticks(ticks, [str(tick) for tick in ticks])
            axis.set_ticks([], minor=True)
        axes.legend(frameon=False, fontsize=9)

    return draw


def draw_large(predictions: Mapping[str, Sequence[Mapping[str, float]]]) -> Any:
    """Panel: the large network over the number of cores, by part, and what helps."""

    def draw(axes: Axes) -> None:
        first, *others = predictions
        for part in ("update", "delivery", "communication"):  # the others are far below
            axes.plot(LARGE_CORES, [row[part] / SAMPLE for row in predictions[first]], color=COLOURS[part], label=part)
        styles = ("--", ":", "-.")
        for name, style in zip((first, *others), ("-", *styles), strict=True):
            total = [sum(row.values()) / SAMPLE for row in predictions[name]]
            axes.plot(LARGE_CORES, total, color="black", linestyle=style, label=f"all, {name}")
        axes.set(xscale="log", yscale="log", ylim=(0.5, None), xlabel="cores", ylabel="wall time per biological time")
        axes.set_xticks(LARGE_CORES, [str(cores) for cores in LARGE_CORES])
        axes.minorticks_off()
        axes.set(title="$10^6$ cells, $10^9$ synapses, on paper")
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return draw


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="1 and 2 processes, small networks, one repeat.")
@click.option("--repeats", default=5, show_default=True, help="Runs of every case; medians are reported.")
@click.option("--redraw", is_flag=True, help="Fit and draw what scaling.json holds; nothing is measured.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(__file__).parent, help="Folder of the figures.")
@click.option("--measure", "case", hidden=True)
def main(quick: bool, repeats: int, redraw: bool, output: Path, case: str | None) -> None:
    """Run the benchmark, or a single case of it."""
    if case is not None:
        arguments = json.loads(case)
        result = count(**arguments) if "sizes" in arguments else measure(**arguments)
        if rank() == 0:
            print(json.dumps(result))
        return
    groups = (QUICK, QUICK[:2], QUICK[:3], QUICK[3:]) if quick else (STRONG, WEAK, FITTED, HELD_OUT)
    strong, weak, fitted, held_out = groups
    cases = list(dict.fromkeys(case for group in groups for case in group))
    path = output / "scaling.json"
    if not redraw:
        path.write_text(json.dumps(measure_all(cases, strong[:2], 1 if quick else repeats)) + "\n")
    kept = json.loads(path.read_text())
    cores, counts = kept["cores"], {int(n): values for n, values in kept["counts"].items()}
    runs = {Case(*entry["case"]): entry["runs"] for entry in kept["runs"]}
    for i in range(2):
        runs[strong[i]] = [turn[i] for turn in kept["pair"]]
    results = {case: median(repeats) for case, repeats in runs.items()}
    pair = [median(repeats) for repeats in zip(*kept["pair"], strict=True)]
    speedup, limit = (pair[0]["wall_ms"] / pair[1]["wall_ms"], 2.0 * pair[0]["wall_ms"] / pair[2]["wall_ms"])

    # other users of the machine only add to a time: the model is one of the fastest of the repeats
    fastest = {case: min(repeats, key=lambda run: run["wall_ms"]) for case, repeats in runs.items()}
    beside = [min(turn[i]["wall_ms"] for turn in kept["pair"]) for i in (0, 2)]
    sharing = beside[1] / beside[0]
    model = fit({case: fastest[case] for case in fitted}, counts, sharing)
    predicted = {case: sum(predict(model, case, counts[case.hidden], sharing).values()) for case in cases}
    errors = {case: predicted[case] / fastest[case]["wall_ms"] - 1.0 for case in (*fitted, *held_out)}
    large = {
        name: [predict_large(model, sharing, cores, *what) for cores in LARGE_CORES] for name, what in LARGE.items()
    }

    table_of("Strong scaling", {case: results[case] for case in strong}, strong[0])
    print(
        f"{name_of(strong[1])}: {speedup:.2f} times as fast as 1 process, medians of {len(kept['pair'])} turns; two independent runs "
        f"side by side do {limit:.2f} times the work of one\n"
    )
    table_of("Weak scaling", {case: results[case] for case in weak}, weak[0])
    print_table(
        "Model of cost: coefficients",
        ["what", "ns"],
        [
            [f"{part}: {name}", f"{1e6 * value:.3g}"]
            for part in PARTS
            for name, value in zip(COEFFICIENTS[part], model[part], strict=True)
        ],
    )
    print_table(
        "Model of cost: check",
        ["network", "measured (ms)", "model (ms)", "error (%)"],
        [
            [
                name_of(case) + (" (held out)" if case in held_out else ""),
                f"{fastest[case]['wall_ms']:.3g}",
                f"{predicted[case]:.3g}",
                f"{100 * error:+.1f}",
            ]
            for case, error in errors.items()
        ],
    )
    print_table(
        "10^6 cells, 10^9 synapses: wall time per biological time, on paper",
        ["cores", *PARTS, *(f"all, {name}" for name in large)],
        [
            [
                str(cores),
                *(f"{next(iter(large.values()))[i][part] / SAMPLE:.3g}" for part in PARTS),
                *(f"{sum(rows[i].values()) / SAMPLE:.3g}" for rows in large.values()),
            ]
            for i, cores in enumerate(LARGE_CORES)
        ],
    )
    figures: dict[str, Any] = {
        "speedup_2_processes": speedup,
        "speedup_2_independent_runs": limit,
        "sharing": sharing,
        "fit_error_max": max(abs(errors[case]) for case in fitted),
        "held_out_errors": [round(errors[case], 4) for case in held_out],
        **{
            f"ms_{case.hidden}_{case.processes}x{case.threads}_{case.delay:g}": results[case]["wall_ms"]
            for case in cases
        },
    }
    if not quick:
        draw = [
            draw_strong(results, cores),
            draw_parts("Strong scaling", {case: results[case] for case in strong}, legend=False),
            draw_parts("Weak scaling", {case: results[case] for case in weak}, legend=True),
        ]
        save_figure(output / "scaling.png", draw, width=15.0)
        measured = {case: run["wall_ms"] for case, run in fastest.items()}
        draw = [draw_model(measured, predicted), draw_large(large)]
        save_figure(output / "prediction.png", draw)
    print_json(figures)


if __name__ == "__main__":
    main()
