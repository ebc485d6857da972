# SPDX-License-Identifier: GPL-2.0-or-later
"""A dendrite learns to predict its soma (Urbanczik & Senn 2014), with these models and with NEST's own.

A frozen pattern of input spikes is repeated; a teacher nudges the soma towards a target potential that belongs to the pattern.
After learning the teacher is off and the soma follows the target by itself. Input and teacher are the same for

- ours: pyramidal_neuron and dendritic_error_psp_synapse,
- built-in: pp_cond_exp_mc_urbanczik and urbanczik_synapse.

Potentials are relative to rest. README.md has the formulas by which one set of parameters becomes the other.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pynest_tools.kernel.module import import_nest, install
from pynest_tools.view.figures import BLUE, GREY, INK, PALE, VERMILLION, tidy

KINDS = ("ours", "builtin")
NAMES = {"ours": "ours", "builtin": "built-in"}

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Task:
    """All constants of the experiment; times in ms, potentials in mV relative to rest, rates in 1/ms.

    Conductances, capacitance and time constants are those of NEST's own example (urbanczik_synapse_example.py); but g_nudge is
    constant here.
    """

    n_cells: int = 32  # cells of each kind: they differ in their random spikes only
    n_inputs: int = 200
    n_spikes: int = 2  # of each input in the pattern: 10 Hz
    pattern: float = 200.0
    n_before: int = 2  # repetitions without teacher, before learning
    n_learning: int = 400  # repetitions with teacher
    n_after: int = 20  # repetitions without teacher, after learning
    seed: int = 1

    h: float = 0.1  # resolution, and delay of the synapses
    C_m: float = 300.0  # pF
    g_L: float = 30.0  # nS, of soma and dendrite
    g_D: float = 600.0  # nS, coupling of the dendrite to the soma
    tau_s: float = 3.0  # synaptic currents
    g_nudge: float = 630.0  # nS: as strong as leak and dendrite together
    E_E: float = 70.0  # reversal potentials of the teacher's conductances (built-in)
    E_I: float = -5.0
    update: float = 1.0  # the teacher holds its potential so long

    beta: float = 0.2  # 1/mV
    phi_20: float = 0.15  # rate at 20 mV
    phi_max: float = 150.0  # where the built-in's sigmoid saturates, 1000 times as much: both are exponential
    psi: float = 1.0  # spikes per unit of rate, each learned from 1 / psi as fast: the larger, the less noise

    w_0: float = 25.0  # pA, initial weights
    w_max: float = np.inf  # pA
    eta: float = 1.0  # mV² ms, learning rate of ours
    tau_Delta: float = 100.0

    @property
    def tau_m(self) -> float:
        """Time constant of the dendrite (ms)."""
        return self.C_m / self.g_L

    @property
    def n_repetitions(self) -> int:
        """Repetitions of the pattern in all."""
        return self.n_before + self.n_learning + self.n_after

    @property
    def weight_unit(self) -> float:
        """Weight of ours (mV ms) that is 1 pA of the built-in: a current that decays with tau_s has the charge w tau_s."""
        return self.tau_s / self.g_L

    @property
    def eta_builtin(self) -> float:
        """Learning rate of urbanczik_synapse, whose rule has two further factors of 15 and tau_s instead of tau_m."""
        return self.eta / self.psi / (15.0**2 * self.tau_s * self.weight_unit)

    @property
    def theta_builtin(self) -> float:
        """Potential at which the built-in's sigmoid is half its maximum (mV), for phi(20 mV) = phi_20 in the exponential regime."""
        return 20.0 + float(np.log(self.phi_max / self.phi_20)) / self.beta

    @property
    def last_learning(self) -> int:
        """Last repetition with teacher; they are counted from 0."""
        return self.n_before + self.n_learning - 1

    def target(self, t: Array) -> Array:
        """Target potential (mV) at times t (ms) of the pattern: two periods of a sine."""
        held = np.floor(np.asarray(t) / self.update + 1e-6) * self.update
        return np.asarray(12.0 + 8.0 * np.sin(4.0 * np.pi * held / self.pattern))

    def input_spikes(self) -> Array:
        """Spike times of the pattern (ms), shape (n_inputs, n_spikes), in order: drawn once, without repetition."""
        rng = np.random.default_rng(self.seed)
        steps = round(self.pattern / self.h)
        spikes = [np.sort(rng.choice(steps - 2, self.n_spikes, replace=False)) + 1 for _ in range(self.n_inputs)]
        return np.round(np.array(spikes) * self.h, 6)

    def teacher(self) -> tuple[Array, Array]:
        """Onsets (ms) of the teacher's potentials, and these (mV); NaN: no teacher. Both of shape (n,)."""
        t = np.round(np.arange(0.0, self.n_repetitions * self.pattern - 1e-6, self.update), 6)
        repetition = np.floor(t / self.pattern + 1e-6)
        learns = (repetition >= self.n_before) & (repetition < self.n_before + self.n_learning)
        return t, np.where(learns, self.target(t % self.pattern), np.nan)


def parrots(nest: Any, task: Task) -> Any:
    """Input cells that repeat the pattern; their spikes are those of the pattern, a step later."""
    onsets = np.arange(task.n_repetitions)[:, np.newaxis] * task.pattern
    generators = nest.Create("spike_generator", task.n_inputs)
    generators.set([{"spike_times": np.round(onsets + times, 6).ravel()} for times in task.input_spikes()])
    cells = nest.Create("parrot_neuron", task.n_inputs)
    nest.Connect(generators, cells, "one_to_one", {"delay": task.h})
    return cells


def our_cells(nest: Any, task: Task) -> Any:
    """Cells of ours and their teacher.

    log(1 + y) with y = exp(beta (u - theta)) and y = 2 x agrees with the built-in's x / (1 + x) to second order in x: half the
    maximum, and a threshold that is lower by log(2) / beta.
    """
    cells = nest.Create(
        "pyramidal_neuron",
        task.n_cells,
        {
            "C_m": task.C_m,
            "g_L": task.g_L,
            "g_basal": task.g_D,
            "g_apical": 0.0,
            "g_nudge": task.g_nudge,
            "tau_basal": task.tau_m,
            "tau_syn_basal": task.tau_s,
            "gamma": 0.5 * task.phi_max,
            "beta": task.beta,
            "theta": task.theta_builtin - np.log(2.0) / task.beta,
            "psi": task.psi,
            "t_ref": 0.0,
            "latent_equilibrium": False,
            "error_from_spikes": True,
            "error_with_h": True,
        },
    )
    _, potentials = task.teacher()
    teacher = nest.Create(
        "stimulus_neuron", params={"stimulus_values": potentials, "trial_duration": task.update, "psi": 1e-9}
    )
    nest.Connect(
        teacher, cells, syn_spec={"synapse_model": "rate_connection_delayed", "delay": task.h, "receptor_type": 4}
    )
    return cells


def builtin_cells(nest: Any, task: Task) -> Any:
    """Cells of the built-in and their teacher.

    The teacher's conductances decay so slowly (tau_syn) that a spike is a step: they are constant between the spikes, as the
    potential is that nudges ours, and always add up to g_nudge.
    """
    compartment = {"C_m": task.C_m, "g_L": task.g_L, "E_L": 0.0, "V_m": 0.0}
    cells = nest.Create(
        "pp_cond_exp_mc_urbanczik",
        task.n_cells,
        {
            "g_sp": task.g_D,
            "phi_max": task.psi * task.phi_max,
            "rate_slope": 1.0,
            "beta": task.beta,
            "theta": task.theta_builtin,
            "t_ref": 0.0,
            "soma": compartment | {"E_ex": task.E_E, "E_in": task.E_I, "tau_syn_ex": 1e12, "tau_syn_in": 1e12},
            "dendritic": compartment | {"tau_syn_ex": task.tau_s, "tau_syn_in": task.tau_s},
        },
    )
    times, potentials = task.teacher()
    excitatory = task.g_nudge * (potentials - task.E_I) / (task.E_E - task.E_I)
    for receptor, conductance in (("soma_exc", excitatory), ("soma_inh", task.g_nudge - excitatory)):
        steps = np.diff(np.nan_to_num(conductance), prepend=0.0)
        changes = steps != 0.0
        generator = nest.Create(
            "spike_generator", params={"spike_times": times[changes], "spike_weights": steps[changes]}
        )
        receptor_type = cells[0].receptor_types[receptor]
        nest.Connect(generator, cells, syn_spec={"weight": 1.0, "delay": task.h, "receptor_type": receptor_type})
    return cells


def connect(nest: Any, kind: str, task: Task, inputs: Any, cells: Any, recorder: Any = None) -> None:
    """Connect all inputs with all cells by plastic synapses, which a weight_recorder may listen to."""
    recorded = {} if recorder is None else {"weight_recorder": recorder}
    if kind == "ours":
        rule = {"eta": task.eta / task.psi, "tau_m": task.tau_m, "tau_s": task.tau_s, "tau_Delta": task.tau_Delta}
        bound = {"Wmax": task.w_max * task.weight_unit}
        nest.CopyModel("dendritic_error_psp_synapse", "plastic", rule | bound | recorded)
        synapse = {"weight": task.w_0 * task.weight_unit, "delay": task.h, "receptor_type": 2}
    else:
        rule = {"eta": task.eta_builtin, "tau_Delta": task.tau_Delta, "Wmin": -np.inf, "Wmax": task.w_max}
        nest.CopyModel("urbanczik_synapse", "plastic", rule | {"weight": task.w_0} | recorded)
        synapse = {"delay": task.h, "receptor_type": cells[0].receptor_types["dendritic_exc"]}
    nest.Connect(inputs, cells, "all_to_all", {"synapse_model": "plastic", **synapse})


def fresh_kernel(task: Task) -> Any:
    """NEST with the module loaded, on one thread."""
    nest = import_nest()
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = task.h
    nest.rng_seed = task.seed
    install()
    return nest


def network(kind: str, task: Task, plastic: bool = True) -> tuple[Any, Any, Any]:
    """NEST, inputs and cells of one kind, without recorders."""
    nest = fresh_kernel(task)
    inputs = parrots(nest, task)
    cells = (our_cells if kind == "ours" else builtin_cells)(nest, task)
    if plastic:
        connect(nest, kind, task, inputs, cells)
    return nest, inputs, cells


@dataclass(frozen=True)
class Course:
    """What happened in a run of one kind of cells.

    Attributes
    ----------
    weights : ndarray, shape (n_repetitions, n_cells, n_inputs)
        Weights (pA) with which the last spike of every input in every repetition was transmitted.
    soma, prediction : ndarray, shape (n_repetitions, n_cells, n_times)
        Somatic potential and its prediction by the dendrite (mV), every `task.update`.
    """

    weights: Array
    soma: Array
    prediction: Array


def run(kind: str, task: Task) -> Course:
    """Run the experiment with one kind of cells, everything recorded."""
    nest, inputs, cells = network(kind, task, plastic=False)
    weight_recorder = nest.Create("weight_recorder")
    connect(nest, kind, task, inputs, cells, weight_recorder)
    names = ("V_soma", "V_basal") if kind == "ours" else ("V_m.s", "V_m.p")
    multimeter = nest.Create("multimeter", params={"interval": task.update, "record_from": names})
    nest.Connect(multimeter, cells, syn_spec={"delay": task.h})
    nest.Simulate(task.n_repetitions * task.pattern + task.h)  # recorders hand out a step after the next one

    events = multimeter.events
    order = np.lexsort((events["times"], events["senders"]))
    series = [events[name][order].reshape(task.n_cells, task.n_repetitions, -1) for name in names]
    soma, dendrite = (np.swapaxes(values, 0, 1) for values in series)

    events = weight_recorder.events
    order = np.lexsort((events["times"], events["senders"], events["targets"]))
    shape = (task.n_cells, task.n_inputs, task.n_repetitions, task.n_spikes)
    weights = np.moveaxis(events["weights"][order].reshape(shape)[..., -1], 2, 0)
    return Course(
        weights=weights / (task.weight_unit if kind == "ours" else 1.0),
        soma=soma,
        prediction=dendrite * task.g_D / (task.g_L + task.g_D),
    )


def learning_error(task: Task, potential: Array) -> Array:
    """Mean squared deviation of a potential from the target (mV²), shape (n_repetitions, n_cells).

    potential has the shape (n_repetitions, n_cells, n_times). What is recorded at the end of t is compared with the target of t: the
    teacher, too, arrives a step later.
    """
    times = np.arange(1.0, potential.shape[2] + 1.0) * task.update - task.h
    return np.asarray(np.mean((potential - task.target(times)) ** 2, axis=2))


def mean_and_error(values: Array) -> tuple[Array, Array]:
    """Mean over the cells and its standard error; the cells are the second axis."""
    return values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])


def difference_in_standard_errors(courses: Mapping[str, Course], repetition: int) -> Array:
    """Difference of the mean weights of ours and the built-in over its standard error, shape (n_inputs,)."""
    (ours, error), (builtin, error_builtin) = (mean_and_error(courses[kind].weights[[repetition]]) for kind in KINDS)
    return np.asarray((ours - builtin) / np.hypot(error, error_builtin))[0]


def difference_without_noise(task: Task, psi: float, n_cells: int, n_learning: int) -> float:
    """Largest difference of mean weights over the largest change of a weight, with psi times as many spikes.

    The random part of the weights falls as 1 / sqrt(psi n_cells): what is left is what the time stepping does.
    """
    calm = replace(task, psi=psi, n_cells=n_cells, n_learning=n_learning, n_after=0)
    ours, builtin = (run(kind, calm).weights.mean(axis=1) for kind in KINDS)
    return float(np.abs(ours - builtin).max() / np.abs(builtin - task.w_0).max())


def wall_times(task: Task, repeats: int, n_measured: int) -> dict[str, float]:
    """Median wall seconds per biological second of learning, of both kinds with and without synapses, which take turns.

    What is timed is one Simulate of n_measured repetitions, after those before learning, without recorders.
    """
    task = replace(task, n_learning=n_measured, n_after=0)
    times: dict[str, list[float]] = {}
    for _ in range(repeats):
        for plastic in (True, False):
            for kind in KINDS:
                nest, _, _ = network(kind, task, plastic)
                nest.Simulate(task.n_before * task.pattern)
                started = time.perf_counter()
                nest.Simulate(n_measured * task.pattern)
                seconds = (time.perf_counter() - started) / (n_measured * task.pattern * 1e-3)
                times.setdefault(kind if plastic else f"{kind} neurons", []).append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


STYLES: dict[str, dict[str, Any]] = {
    "ours": {"color": BLUE, "linewidth": 2.4, "alpha": 0.75, "solid_capstyle": "butt"},
    "builtin": {"color": VERMILLION, "linewidth": 1.2, "dashes": (3.0, 1.6)},
}


REMARK: dict[str, Any] = {"fontsize": 8.5, "color": GREY, "ha": "center", "va": "center"}


def draw_mean(axes: Axes, kind: str, x: Array, values: Array, label: str | None = None) -> None:
    """Mean over the cells, the second axis of values, with a band of a standard error to either side."""
    mean, error = mean_and_error(values)
    axes.fill_between(x, mean - error, mean + error, color=STYLES[kind]["color"], alpha=0.18, linewidth=0)
    axes.plot(x, mean, label=label, **STYLES[kind])


def draw_potentials(axes: Axes, task: Task, courses: Mapping[str, Course], repetition: int, predictions: bool) -> None:
    """Somatic potentials in one repetition, with or without their dendritic predictions, and the target."""
    t = np.arange(1, round(task.pattern / task.update) + 1) * task.update
    axes.step(t - task.update, task.target(t - task.update), where="post", color=INK, linewidth=1.0, label="target")
    for kind in KINDS:
        draw_mean(axes, kind, t, courses[kind].soma[repetition].T, NAMES[kind])
        if predictions:
            draw_mean(axes, kind, t, courses[kind].prediction[repetition].T)
    axes.set_xlim(0.0, task.pattern)


def shade_teacher(axes: Axes, task: Task) -> None:
    """Shade the repetitions with teacher, and show all."""
    axes.axvspan(task.n_before + 0.5, task.last_learning + 1.5, color=PALE, alpha=0.45, linewidth=0, zorder=0)
    axes.set_xlim(0, task.n_repetitions + 1)


def draw_error(axes: Axes, task: Task, courses: Mapping[str, Course]) -> None:
    """Error of the dendritic prediction over the repetitions."""
    x = np.arange(1, task.n_repetitions + 1, dtype=float)
    for kind in KINDS:
        draw_mean(axes, kind, x, learning_error(task, courses[kind].prediction))
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    shade_teacher(axes, task)
    axes.text(task.n_before + 0.5 * task.n_learning, 0.93, "teacher on", transform=axes.get_xaxis_transform(), **REMARK)


def draw_weights(axes: Axes, task: Task, courses: Mapping[str, Course], n_shown: int = 5) -> None:
    """Course of some weights, from the smallest to the largest."""
    x = np.arange(1, task.n_repetitions + 1, dtype=float)
    final = courses["builtin"].weights[-1].mean(axis=0)
    shown = np.argsort(final)[np.linspace(0, final.size - 1, n_shown).round().astype(int)]
    for kind in KINDS:
        for i in shown:
            draw_mean(axes, kind, x, courses[kind].weights[:, :, i])
    shade_teacher(axes, task)


def draw_comparison(axes: Axes, task: Task, courses: Mapping[str, Course]) -> None:
    """All weights after learning, ours against the built-in."""
    (ours, error), (builtin, error_builtin) = (mean_and_error(courses[k].weights[[task.last_learning]]) for k in KINDS)
    axes.errorbar(
        builtin[0], ours[0], xerr=error_builtin[0], yerr=error[0],
        fmt="o", markersize=2.5, color=BLUE, ecolor=BLUE, elinewidth=0.5, alpha=0.7, zorder=3,
    )  # fmt: skip
    low, high = min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([low, high], [low, high], color=INK, linewidth=0.8, zorder=2)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)


def figure_of(task: Task, courses: Mapping[str, Course], title: str) -> Figure:
    """Potentials before, while and after learning; error; weights."""
    figure = Figure(figsize=(12.0, 6.4), dpi=150)
    panels = figure.subplots(2, 3)
    figure.subplots_adjust(left=0.06, right=0.985, bottom=0.08, top=0.86, wspace=0.24, hspace=0.42)
    last = task.n_repetitions - 1
    headings = {
        "Before learning, without teacher": (task.n_before - 1, False),
        "Learning begins": (task.n_before, True),
        "After learning, without teacher": (last, False),
    }
    for axes, (heading, (repetition, predictions)) in zip(panels[0], headings.items(), strict=True):
        draw_potentials(axes, task, courses, repetition, predictions)
        tidy(axes, heading, "time in the pattern (ms)", "somatic potential (mV)")
        axes.set_ylim(0.0, 25.0)
    panels[0, 1].set_ylabel("potential (mV)")
    panels[0, 1].text(0.14 * task.pattern, 9.0, "soma", **REMARK)
    panels[0, 1].text(0.5 * task.pattern, 2.3, "prediction by the dendrite", **REMARK)
    error, weights, comparison = panels[1]
    draw_error(error, task, courses)
    tidy(error, "Error of the prediction", "repetition", "mean squared error (mV²)")
    draw_weights(weights, task, courses)
    tidy(weights, "Five of the weights, smallest to largest", "repetition", "weight (pA)")
    draw_comparison(comparison, task, courses)
    tidy(comparison, f"All {task.n_inputs} weights after learning", "built-in (pA)", "ours (pA)")
    figure.text(0.06, 0.955, title, fontsize=11, color=INK, va="center")
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(), loc="center right", bbox_to_anchor=(0.99, 0.955), ncols=3,
        frameon=False, fontsize=9, labelcolor=INK,
    )  # fmt: skip
    return figure


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others are numbers."""
    table = Table()
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console = Console(width=130)
    console.print(f"\n[bold]{title}[/bold]")
    console.print(table)


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="A few cells and repetitions: whether it runs, not whether it learns.")
@click.option("--repeats", default=5, show_default=True, help="Timed runs of every kind; medians are reported.")
@click.option("--seed", default=1, show_default=True, help="Seed of the pattern and of the cells' spikes.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(__file__).parent, help="Folder of the figure.")
def main(quick: bool, repeats: int, seed: int, output: Path) -> None:
    """Run the experiment, print what came out, and draw it."""
    task = Task(seed=seed)
    if quick:
        task, repeats = replace(task, n_cells=4, n_learning=10, n_after=2), 1
    courses = {kind: run(kind, task) for kind in KINDS}
    z = difference_in_standard_errors(courses, task.last_learning)
    without_noise = difference_without_noise(task, 1000.0 if quick else 4000.0, 2, 3 if quick else 100)
    times = wall_times(task, repeats, 5 if quick else 40)
    ratio = times["builtin"] / times["ours"]

    after = slice(task.last_learning + 2, None)  # the teacher's last step reaches into the first of them
    errors = {kind: learning_error(task, courses[kind].soma) for kind in KINDS}
    final = {kind: errors[kind][after].mean(axis=0) for kind in KINDS}
    print_table(
        f"Soma and target without teacher, mean ± standard error of {task.n_cells} cells (mV²)",
        ["", "before learning", f"after {task.n_learning} repetitions"],
        [
            [NAMES[kind], *(f"{v.mean():.3g} ± {v.std(ddof=1) / np.sqrt(v.size):.2g}" for v in (before, final[kind]))]
            for kind in KINDS
            for before in [errors[kind][task.n_before - 1]]
        ],
    )
    print_table(
        f"Mean weights of ours and the built-in, {task.n_inputs} of them",
        ["difference", "largest", "root mean square"],
        [
            ["in standard errors", f"{np.abs(z).max():.2f}", f"{np.sqrt(np.mean(z**2)):.2f}"],
            ["without noise, of the largest change", f"{100 * without_noise:.2g} %", ""],
        ],
    )
    rows = []
    for kind in KINDS:
        total, neurons = times[kind], times[f"{kind} neurons"]
        rows.append([NAMES[kind], f"{total:.3g}", f"{neurons:.3g}", f"{total - neurons:.2g}"])
    rows.append(
        [
            "built-in / ours",
            f"{ratio:.1f}",
            f"{times['builtin neurons'] / times['ours neurons']:.1f}",
            f"{(times['builtin'] - times['builtin neurons']) / (times['ours'] - times['ours neurons']):.0f}",
        ]
    )
    print_table(
        f"Wall time per biological time, {task.n_cells} cells with {task.n_inputs} inputs of "
        f"{1000 * task.n_spikes / task.pattern:g} Hz, median of {repeats}",
        ["", "all", "without synapses", "difference"],
        rows,
    )
    output.mkdir(parents=True, exist_ok=True)
    path = output / "figure.png"
    title = f"A dendrite learns to predict its soma: mean ± standard error of {task.n_cells} cells each"
    figure_of(task, courses, title).savefig(path)
    print(f"figure: {path}")
    figures = {
        "builtin_over_ours": ratio,
        "time_ours": times["ours"],
        "time_builtin": times["builtin"],
        "time_ours_neurons": times["ours neurons"],
        "time_builtin_neurons": times["builtin neurons"],
        "error_before": errors["ours"][task.n_before - 1].mean(),
        "final_error_ours": final["ours"].mean(),
        "final_error_builtin": final["builtin"].mean(),
        "max_weight_difference_in_standard_errors": np.abs(z).max(),
        "rms_weight_difference_in_standard_errors": np.sqrt(np.mean(z**2)),
        "weight_difference_without_noise": without_noise,
    }
    print(json.dumps({key: float(f"{value:.4g}") for key, value in figures.items()}))


if __name__ == "__main__":
    main()
