# SPDX-License-Identifier: GPL-2.0-or-later
"""How close the circuit's plasticity comes to the gradient, beside learning from perturbations.

On bars (9-30-3), from the same initial weights, the weights of `up` are changed by

- the circuit at its steady state, with top-down weights that are symmetric to `up`, agree with it in sign only, are random and
  fixed, or have the wrong sign;
- weight perturbation and node perturbation, which compare the loss with and without noise;
- the gradient itself, and the gradient in the output layer only.

Every update sums over the 8 patterns. README.md says what comes out, and derives what is expected of perturbations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from drawing import WEAK, Averages, Course, degrees, figure_of
from rich.console import Console
from rich.table import Table
from rules import (
    ESTIMATORS,
    FEEDBACKS,
    Array,
    CircuitRule,
    Estimator,
    Matrices,
    Problem,
    Rule,
    cell_descent,
    cell_perturbation,
    effective_parameters,
    node_perturbation,
    weight_perturbation,
)

from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.tasks import Samples

FACTORS = tuple(2.0**-i for i in range(-2, 14))  # learning rates that perturbations may have, of the circuit's
REPEATS = 8  # as many times the largest number of perturbations are averaged


def cosine(changes: Matrices, gradient: Matrices) -> Array:
    """Cosine of the angle between two sets of matrices, taken together, shape (networks, ...)."""
    product = sum(np.sum(c * g, axis=(-1, -2)) for c, g in zip(changes, gradient, strict=True))
    lengths = [np.sqrt(sum(np.sum(m**2, axis=(-1, -2)) for m in each)) for each in (changes, gradient)]
    return np.asarray(product / (lengths[0] * lengths[1]))


def scaled(factors: Sequence[float], matrices: Matrices) -> Matrices:
    """Matrices of each layer times a factor."""
    return [factor * matrix for factor, matrix in zip(factors, matrices, strict=True)]


def compare(problem: Problem, up: Matrices, changes: Matrices) -> Array:
    """Cosines of changes and gradient, as in `Course`, shape (layers + 1, networks); NaN where nothing changes."""
    gradient = problem.descent(up)
    with np.errstate(invalid="ignore"):
        each = [cosine([c], [g]) for c, g in zip(changes, gradient, strict=True)]
    return np.array([*each, cosine(changes, scaled(problem.rates, gradient))])


def train(problem: Problem, rule: Rule, n: int) -> Course | None:
    """Change the weights n times by a rule; None if it is unstable.

    That is, if the loss of a network exceeds twice what it was at the beginning.
    """
    up = [m.copy() for m in problem.weights.up]
    cosines, losses, accuracies, ups = [], [], [], []
    for i in range(n + 1):
        output = problem.outputs(up)
        losses.append(np.mean((output - problem.samples.targets) ** 2, axis=(-1, -2)))
        accuracies.append(np.mean(np.argmax(output, axis=-1) == problem.samples.labels, axis=-1))
        if not np.all(losses[-1] <= 2.0 * losses[0]):
            return None
        if i < n:
            changes = rule(up)
            ups.append(up)
            cosines.append(compare(problem, up, changes))
            up = [m + c for m, c in zip(up, changes, strict=True)]
    return Course(np.array(cosines), np.array(losses), np.array(accuracies), ups)


def train_with_perturbations(problem: Problem, name: str, n: int, seed: int) -> tuple[float, Course]:
    """Train with one perturbation an update, as fast as is stable: the largest of `FACTORS` that is, and what happened."""
    for factor in FACTORS:
        rng = np.random.default_rng(np.random.SeedSequence(seed))

        def rule(up: Matrices, factor: float = factor, rng: np.random.Generator = rng) -> Matrices:
            estimates = ESTIMATORS[name](problem, up, 1, rng)
            return [factor * rate * estimate[:, 0] for rate, estimate in zip(problem.rates, estimates, strict=True)]

        course = train(problem, rule, n)
        if course is not None:
            return factor, course
    raise RuntimeError(f"{name} is unstable even with {FACTORS[-1]:g} times the circuit's learning rates")


def angles_of_averages(estimate: Callable[[int], Matrices], gradient: Matrices, counts: Sequence[int]) -> Array:
    """Angles (degrees) of averages over M estimates and the gradient, by their root mean square cosine; shape (counts, networks).

    Parameters
    ----------
    estimate : callable
        Gives the estimates of so many single perturbations, arrays of shape (networks, n, ., .).
    gradient : list of ndarray, shape (networks, ., .)
        What they estimate.
    counts : sequence of int
        M; each divides the largest.
    """
    squares = []
    for _ in range(REPEATS):
        estimates = estimate(max(counts))
        for m in counts:
            averages = [e.reshape(e.shape[0], -1, m, *e.shape[2:]).mean(axis=2) for e in estimates]
            cosines = cosine(averages, [g[:, np.newaxis] for g in gradient])
            squares.append(np.mean(cosines**2, axis=1))
    mean = np.mean(np.reshape(squares, (REPEATS, len(counts), -1)), axis=0)
    return degrees(np.sqrt(mean))


def single_patterns(problem: Problem, up: Matrices) -> tuple[Problem, Matrices]:
    """The same networks, as many times as there are patterns, each with one pattern."""
    samples = problem.samples
    each = Samples(*(part.reshape(-1, 1, part.shape[-1]) for part in (samples.stimuli, samples.targets)))
    return Problem(problem.circuit, problem.weights, each), [np.repeat(m, len(samples), axis=0) for m in up]


def measure_averages(problem: Problem, later: Matrices, counts: Sequence[int], seed: int) -> dict[str, Averages]:
    """Angles of averages over perturbations with the initial weights, and of node perturbation with later ones, too."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    up = problem.weights.up
    alone, own = single_patterns(problem, up)
    n_weights = np.full(len(up[0]), sum(m.shape[-1] * m.shape[-2] for m in up))
    n_cells = np.full(len(own[0]), sum(m.shape[-2] for m in up))

    def averages(estimator: Estimator, where: Problem, at: Matrices, aim: Matrices, parameters: Array) -> Averages:
        return Averages(angles_of_averages(lambda n: estimator(where, at, n, rng), aim, counts), parameters)

    return {
        "weights": averages(weight_perturbation, problem, up, problem.descent(up), n_weights),
        "cells": averages(cell_perturbation, alone, own, cell_descent(alone, own), n_cells),
        "nodes": averages(node_perturbation, problem, up, problem.descent(up), effective_parameters(problem, up)),
        "nodes later": averages(
            node_perturbation, problem, later, problem.descent(later), effective_parameters(problem, later)
        ),
    }


def with_settings(circuit: Microcircuit, settings: dict[str, dict[str, Any]], **others: Any) -> Microcircuit:
    """The circuit with other settings: those of `settings` by their section."""
    old = circuit.model_dump()
    new = {section: old[section] | entries for section, entries in settings.items()}
    return Microcircuit.model_validate(old | new | others)


def at_weak_nudging(problem: Problem, ups: Sequence[Matrices]) -> Array:
    """Cosines (see `compare`) of what the symmetric circuit would change if it were nudged weakly, at weights `ups`."""
    g_nudge = WEAK * problem.circuit.neuron.g_nudge
    weak = replace(problem, circuit=with_settings(problem.circuit, {"neuron": {"g_nudge": g_nudge}}))
    rule = CircuitRule(weak, "symmetric")
    return np.array([compare(weak, up, rule(up)) for up in ups])


def measure_nudging(spec: RunSpecification, seeds: Sequence[int]) -> list[tuple[Microcircuit, Array, Array]]:
    """The symmetric circuit and the gradient at the initial weights, for one and two hidden layers and ever weaker nudging.

    Returns
    -------
    list of (circuit, angles, lengths)
        Means over networks: angles of each layer and of all weights (degrees); lengths of the changes of each layer over those of
        the gradient times `Problem.rates`.
    """
    one = spec.network
    n_in, n_hidden, n_out = one.sizes
    two = with_settings(one, {"plasticity": {"eta_up": one.eta_up[0]}}, sizes=(n_in, n_hidden, n_hidden, n_out))
    found = []
    for circuit in (one, two):
        for factor in (1.0, 0.1, 0.01, 0.001):
            nudged = with_settings(circuit, {"neuron": {"g_nudge": factor * circuit.neuron.g_nudge}})
            problem = Problem.of(nudged, spec.task, seeds)
            up = problem.weights.up
            changes = CircuitRule(problem, "symmetric")(up)
            limits = scaled(problem.rates, problem.descent(up))
            lengths = [
                np.sqrt(np.sum(a**2, (1, 2)) / np.sum(b**2, (1, 2))) for a, b in zip(changes, limits, strict=True)
            ]
            found.append((nudged, degrees(compare(problem, up, changes)).mean(axis=-1), np.mean(lengths, axis=-1)))
    return found


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


def first_below(loss: Array, limit: float) -> str:
    """Updates after which the loss of every network has once been below a limit (mV^2): mean over networks."""
    below = loss < limit
    return f"{np.argmax(below, axis=0).mean():.0f}" if np.all(below.any(axis=0)) else "-"


def row_of(name: str, course: Course) -> list[str]:
    """Row of the table of rules: means over networks."""
    noisy = name in ESTIMATORS
    cells = [name]
    for layer in range(course.cosines.shape[1]):
        cosines = course.cosines[:, layer]
        if noisy:
            cells += [f"{degrees(cosines.mean()):.0f}", ""]
        elif np.all(np.isfinite(cosines)):
            angles = degrees(cosines).mean(axis=-1)
            cells += [f"{angles[0]:.0f}", f"{angles[-1]:.0f}"]
        else:
            cells += ["", ""]
    return [
        *cells,
        first_below(course.loss, 0.05),
        f"{course.loss[-1].mean():.2g}",
        f"{100.0 * course.accuracy[-1].mean():.0f} %",
    ]


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Two networks and a few updates: whether it runs, not whether it learns.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(__file__).parent, help="Folder of the figure.")
def main(quick: bool, output: Path) -> None:
    """Run the experiment, print what came out, and draw it."""
    spec = RunSpecification.from_toml(Path(__file__).parent / "config.toml")
    n_networks, n_updates, largest = (2, 100, 2) if quick else (5, spec.training.epochs, 6)
    counts = [4**i for i in range(largest + 1)]
    later = 3 * n_updates // 20
    seeds = [spec.seed + i for i in range(n_networks)]
    problem = Problem.of(spec.network, spec.task, seeds)

    def train_stable(rule: Rule) -> Course:
        course = train(problem, rule, n_updates)
        if course is None:
            raise SystemExit("a rule is unstable; lower network.plasticity.eta_up")
        return course

    rates = problem.rates
    top = [0.0] * (len(rates) - 1) + rates[-1:]
    courses = {name: train_stable(CircuitRule(problem, name)) for name in FEEDBACKS}
    courses["gradient"] = train_stable(lambda up: scaled(rates, problem.descent(up)))
    courses["gradient, output layer only"] = train_stable(lambda up: scaled(top, problem.descent(up)))
    factors = {}
    for name in ESTIMATORS:
        factors[name], courses[name] = train_with_perturbations(problem, name, n_updates, spec.seed)
    weak = at_weak_nudging(problem, courses["symmetric"].ups[::10])
    averages = measure_averages(problem, courses["gradient"].ups[later], counts, spec.seed)

    print_table(
        f"Angle between change and gradient at the first and last update, or of all (degrees); {n_networks} networks",
        ["", "hidden", "", "output", "", "all", "", "loss < 0.05 mV² after", "loss (mV²)", "accuracy"],
        [row_of(name, courses[name]) for name in courses],
    )
    for name, factor in factors.items():
        print(f"{name}: {factor:g} times the circuit's learning rates")
    for label, cosines in (("", courses["symmetric"].cosines[::10]), (f", nudging × {WEAK:g}", weak)):
        angles = degrees(cosines).mean(axis=-1).max(axis=0)
        print(f"largest angle of the symmetric circuit{label}: hidden {angles[0]:.3g}, output {angles[1]:.3g} degrees")
    print_table(
        "Averages over M perturbations: angle (degrees), measured / predicted",
        ["", "P", *(f"{m}" for m in counts)],
        [
            [
                name,
                f"{own.parameters.mean():.3g}",
                *(
                    f"{a:.1f} / {b:.1f}"
                    for a, b in zip(own.measured.mean(axis=-1), own.predicted(np.array(counts)), strict=True)
                ),
            ]
            for name, own in averages.items()
        ],
    )
    print_table(
        "Symmetric circuit, initial weights: angle (degrees), length over that of the gradient, by layer",
        ["cells", "g_nudge (nS)", "angles", "all", "lengths"],
        [
            [
                "-".join(map(str, circuit.sizes)),
                f"{circuit.neuron.g_nudge:g}",
                "  ".join(f"{a:.2g}" for a in angles[:-1]),
                f"{angles[-1]:.2g}",
                "  ".join(f"{x:.4f}" for x in lengths),
            ]
            for circuit, angles, lengths in measure_nudging(spec, seeds)
        ],
    )
    output.mkdir(parents=True, exist_ok=True)
    path = output / "figure.png"
    title = f"How close weight changes come to the gradient: bars, {n_networks} networks"
    figure_of(courses, weak, counts, averages, later, title).savefig(path)
    print(f"figure: {path}")


if __name__ == "__main__":
    main()
