# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run reached, and its summary."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from .. import __version__
from ..networks.backend import Weights
from .folder import Metrics
from .specification import RunSpecification


@dataclass
class TrainingResult:
    """What a run reached.

    Attributes
    ----------
    weights : Weights
        Weights at the end or the interruption; after a divergence those of the last test.
    baselines : dict
        Accuracies to compare with; of several MPI processes, the first one knows them.
    records : list of dict
        One record per completed epoch, from the test before training (epoch 0) on: epoch, train_loss
        (mV^2), train_accuracy, apical_error (mV), wall_s (since the start of the loop, s); and in epochs
        that end with a test test_loss (mV^2), test_accuracy.
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
    baselines: dict[str, float]
    records: list[Metrics] = field(default_factory=list)
    wall_s: float = 0.0
    simulation_s: float = 0.0
    interrupted: bool = False
    diverged: str | None = None

    @property
    def epochs(self) -> int:
        """Number of completed epochs."""
        return int(self.records[-1]["epoch"]) if self.records else 0

    @property
    def last_test(self) -> Metrics | None:
        """Record of the last epoch that ended with a test."""
        return next((record for record in reversed(self.records) if "test_accuracy" in record), None)

    @property
    def tests_at_100(self) -> int:
        """Number of the latest tests in a row that were at 100 %."""
        tests = [record["test_accuracy"] for record in reversed(self.records) if "test_accuracy" in record]
        return next((i for i, accuracy in enumerate(tests) if accuracy < 1.0), len(tests))

    @property
    def stable_from_epoch(self) -> int | None:
        """Epoch of the first test from which on every test was at 100 %, or None."""
        tests = [int(record["epoch"]) for record in self.records if "test_accuracy" in record]
        return tests[-self.tests_at_100] if self.tests_at_100 > 0 else None

    @property
    def python_share(self) -> float:
        """Part of the wall time that was not spent in the simulator."""
        return 1.0 - self.simulation_s / self.wall_s if self.wall_s > 0.0 else 0.0


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
    test = result.last_test or {}
    return {
        "task": spec.task.name,
        "backend": spec.backend,
        "seed": spec.seed,
        "epochs": result.epochs,
        "test_accuracy": test.get("test_accuracy"),
        "test_loss": test.get("test_loss"),
        "tested_after_epoch": test.get("epoch"),
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
        "pynest_tools": __version__,
    }


def _version(distribution: str, module: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # built and installed without pip
        return getattr(sys.modules.get(module), "__version__", None)
