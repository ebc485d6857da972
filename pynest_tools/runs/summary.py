# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run reached, and its summary."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from ..kernel.version import built_from
from ..networks.backend import Weights
from ..tasks.protocol import Baselines
from .metrics import Metrics, of_set
from .specification import RunSpecification


@dataclass
class TrainingResult:
    """What a run reached.

    Attributes
    ----------
    weights : Weights
        Weights of the last test.
    tested_on : str
        What the tests during the run are on: "validation", or "test" if the task has no validation set.
    records : list of dict
        One for each test, from the one before training on: epoch (whole or not), samples (learned so far); by name of the set,
        train_, validation_ or test_, the scores of `metrics.scores`, where train_ is a fixed part of the samples that are learned,
        presented as in a test; rate_mean and rate_max of every layer in a test (Hz of a member of a population); at_bound, the
        share of the weights at a bound; distance, that of pi and ip from self-predicting weights (`metrics.distance`, mV² ms²; not
        with backprop); of the training since the last test apical_error (mV), interneuron_error (1/ms²), samples_per_s, and the
        learning rates eta_up, eta_ip, eta_pi; wall_s, since the start of the run (s).
    test : dict or None
        Scores on the test set, which is read once, at the end; None for a run that has not ended.
    tested_weights : str
        Which weights that was with: "last", or "best" if the run ended early for want of patience.
    best_weights : Weights or None
        Weights of the best test so far; None if the task has no validation set to choose by.
    baselines : dict
        Yardsticks by name, each with its score by set; empty for a run that has not ended, and in all MPI processes but the first.
    wall_s : float
        Wall time of the loop (s).
    simulation_s : float
        Its part spent in the simulator (s).
    interrupted : bool
        Whether Ctrl-C ended the run.
    diverged : str or None
        What became absurd, in which epoch and sample.
    """

    weights: Weights
    tested_on: str = "validation"
    records: list[Metrics] = field(default_factory=list)
    test: Metrics | None = None
    tested_weights: str = "last"
    best_weights: Weights | None = None
    baselines: Baselines = field(default_factory=dict)
    wall_s: float = 0.0
    simulation_s: float = 0.0
    interrupted: bool = False
    diverged: str | None = None

    @property
    def epochs(self) -> float:
        """Number of epochs at the last test."""
        return self.records[-1]["epoch"] if self.records else 0

    @property
    def last(self) -> Metrics:
        """Scores of the last test during the run; empty if there was none."""
        return of_set(self.records[-1], self.tested_on) if self.records else {}

    @property
    def best(self) -> int | None:
        """Which record is the best: highest accuracy or R² if there is one, then lowest loss, and of equal ones the first."""
        if not self.records:
            return None
        return max(range(len(self.records)), key=lambda i: (*score(of_set(self.records[i], self.tested_on)), -i))

    @property
    def tests_since_best(self) -> int:
        """Number of tests after the best one."""
        return 0 if self.best is None else len(self.records) - 1 - self.best

    @property
    def tests_at_100(self) -> int:
        """Number of the latest tests in a row that were at 100 %."""
        key = f"{self.tested_on}_accuracy"
        accuracies = [record.get(key, 0.0) for record in reversed(self.records)]
        return next((i for i, accuracy in enumerate(accuracies) if accuracy < 1.0), len(accuracies))

    @property
    def stable_from_epoch(self) -> float | None:
        """Epoch of the first test from which on every test was at 100 %, or None."""
        return self.records[-self.tests_at_100]["epoch"] if self.tests_at_100 > 0 else None

    @property
    def python_share(self) -> float:
        """Part of the wall time that was not spent in the simulator."""
        return 1.0 - self.simulation_s / self.wall_s if self.wall_s > 0.0 else 0.0


def score(metrics: Mapping[str, Any]) -> tuple[float, float]:
    """What models are chosen by: accuracy or R² if there is one, then the loss; higher is better."""
    return metrics.get("accuracy", metrics.get("r2", 0.0)), -metrics["loss"]


def summarise(spec: RunSpecification, result: TrainingResult) -> dict[str, Any]:
    """Gather what summary.json holds.

    Parameters
    ----------
    spec : RunSpecification
        The run.
    result : TrainingResult
        What it reached.

    Returns
    -------
    dict
        Can be written as JSON; what was not reached is None.
    """
    best = result.records[result.best] if result.best is not None and result.best_weights is not None else None
    return {
        "task": spec.task.name,
        "backend": spec.backend,
        "seed": spec.seed,
        "epochs": result.epochs,
        "test": result.test,
        "tested_weights": result.tested_weights if result.test is not None else None,
        "validation": result.last if result.tested_on == "validation" else None,
        "best": None if best is None else {"epoch": best["epoch"], **of_set(best, result.tested_on)},
        "stable_from_epoch": result.stable_from_epoch,
        "interrupted": result.interrupted,
        "diverged": result.diverged,
        "wall_s": result.wall_s,
        "python_share": result.python_share,
        "baselines": result.baselines,
        "versions": versions(),
    }


def versions() -> dict[str, str | None]:
    """Versions of what computes a run; None where it is not known."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "nest": _version("nest-simulator", "nest"),
        "nestml": _version("nestml", "pynestml"),
        "pynest_tools": built_from(),
    }


def _version(distribution: str, module: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # built and installed without pip
        return getattr(sys.modules.get(module), "__version__", None)
