# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benchmarks have in common: measurements in processes of their own, medians, tables, figures."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from pynest_tools.kernel.module import SPIN_COUNT

BLUE, VERMILLION, GREEN, ORANGE, GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#707070"  # Okabe & Ito (2008)

Case = Mapping[str, Any]


def in_own_process(script: str, case: Case) -> dict[str, float]:
    """Run ``script --measure CASE`` in a process of its own and return what it prints as JSON on its last line.

    A process of its own makes memory comparable, and a kernel that never held another network. Threads that wait are
    passive, for machines that others use as well, but for a short while: see pynest_tools.kernel.module.SPIN_COUNT. A case that names
    "processes" runs on as many MPI processes, free to move to a core that nobody else needs, and that yield it while they wait.
    """
    command = [sys.executable, script, "--measure", json.dumps(case)]
    environment = os.environ | {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": SPIN_COUNT, "OPENBLAS_NUM_THREADS": "1"}
    if "processes" in case:
        command = ["mpirun", "-np", str(case["processes"]), "--bind-to", "none", *command]
        environment |= {"OMPI_MCA_mpi_yield_when_idle": "1"}
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # containers
        environment |= {"OMPI_MCA_rmaps_base_oversubscribe": "1"}  # more processes than cores are worth a measurement
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if run.returncode != 0:
        raise SystemExit(f"{case} failed:\n{run.stderr}")
    result: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return result


def median(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Median of every figure."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def medians(script: str, cases: Sequence[Case], repeats: int) -> list[dict[str, float]]:
    """Median of every figure of every case; cases take turns, so that a busy machine slows all of them alike."""
    results: list[list[dict[str, float]]] = [[] for _ in cases]
    for _ in range(repeats):
        for case, measured in zip(cases, results, strict=True):
            measured.append(in_own_process(script, case))
    return [median(runs) for runs in results]


def resident_memory(key: str = "VmRSS") -> float:
    """Memory of this process (MB, 10^6 bytes); VmHWM is its maximum so far."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024e-6
    raise KeyError(key)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others are numbers."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def print_json(figures: Mapping[str, Any]) -> None:
    """Print the figures as one JSON object on one line, with the machine on which they were measured."""
    machine = {"machine": platform.machine(), "cpu": cpu_model(), "cores": len(os.sched_getaffinity(0))}
    rounded = {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in figures.items()}
    print(json.dumps(machine | rounded))


def cpu_model() -> str:
    """Name of the processor, as the system gives it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def save_figure(path: Path, draw: Sequence[Callable[[Axes], None]], width: float = 12.0) -> None:
    """Draw one panel with each function of `draw`, side by side, and save the figure."""
    figure = Figure(figsize=(width, 3.9), dpi=150, layout="constrained")
    for panel, axes in zip(draw, figure.subplots(1, len(draw), squeeze=False)[0], strict=True):
        panel(axes)
        axes.spines[["top", "right"]].set_visible(False)
        title = axes.get_title()
        axes.set_title("")
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    figure.savefig(path)
    print(f"figure: {path}")
