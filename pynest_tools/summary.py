# SPDX-License-Identifier: GPL-2.0-or-later
"""The summary of a run: what was reached, with what."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__
from .specification import RunSpecification

if TYPE_CHECKING:
    from .training import TrainingResult


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
