# SPDX-License-Identifier: GPL-2.0-or-later
"""What a task is: five members that it must have, and some that it may have.

A run asks for the others by the functions of this file, so that a task which lacks them gets what the functions say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..settings import merged
from .samples import FloatArray, Samples

Kind = Literal["classification", "regression", "free"]
Baselines = Mapping[str, Mapping[str, float]]


@runtime_checkable
class Task(Protocol):
    """What a network can be asked to learn. A class of your own need not be derived from this one.

    It may also have

    - ``kind = "regression"``: what counts is how far outputs are from their targets, not which one is largest; or ``kind = "free"``:
      outputs have no targets (all are NaN), and what counts is how well the circuit predicts its own feedback;
    - ``validation_set()``: samples by which models are chosen and runs end early, since the test set decides nothing. Without it the
      course of a run is told on the test set, and there is nothing to choose by;
    - ``default_run()``: entries of a `RunSpecification` that suit it, such as
      ``{"network": {"hidden": [20]}, "training": {"epochs": 5}}``;
    - ``deep_run(hidden)``: entries that suit a circuit of several hidden layers of so many cells, put over those of ``default_run``;
    - ``baselines()``: yardsticks by name, each with its score (accuracy or R²) on ``"validation"`` and ``"test"``;
    - ``decode(potentials)``: what outputs of shape (n, n_outputs) (mV) mean, in the data's own labels or units;
    - ``target_names``: a name with unit for each output, for errors of a regression that are told one by one;
    - ``describe()``: what a run's folder should keep of the data, as a dictionary that JSON can hold.

    A task with settings is a dataclass or a pydantic model with a field for each; they are kept in the run's config.toml.
    """

    @property
    def name(self) -> str:
        """Under which it is known."""
        ...

    @property
    def n_inputs(self) -> int:
        """Number of input cells."""
        ...

    @property
    def n_outputs(self) -> int:
        """Number of output cells."""
        ...

    def epoch(self, rng: np.random.Generator) -> Samples:
        """Samples of one epoch, in the order in which they are learned; `rng` decides everything that is random."""
        ...

    def test_set(self) -> Samples:
        """Samples that are only tested, the same at every call."""
        ...


def kind_of(task: object) -> Kind:
    """Whether outputs are classes, values or free; classes unless the task says otherwise."""
    return getattr(task, "kind", "classification")


def tested_set(task: Task) -> tuple[str, Samples]:
    """What a run is tested on while it goes on, and its name: the validation set, or else the test set."""
    if hasattr(task, "validation_set"):
        return "validation", task.validation_set()
    return "test", task.test_set()


def default_run_of(task: Task, hidden: Sequence[int] = ()) -> dict[str, Any]:
    """Entries of a run that suit the task, and hidden layers of so many cells if they are several; none unless it has some."""
    entries = dict(task.default_run()) if hasattr(task, "default_run") else {}
    return merged(entries, task.deep_run(hidden)) if len(hidden) > 1 and hasattr(task, "deep_run") else entries


def baselines_of(task: Task) -> Baselines:
    """Yardsticks by name, each with a score by set; none unless the task has some."""
    return task.baselines() if hasattr(task, "baselines") else {}


def decode(task: Task, potentials: FloatArray) -> NDArray[Any]:
    """What outputs of shape (n, n_outputs) (mV) mean: what the task says, or else class numbers or the potentials themselves."""
    if hasattr(task, "decode"):
        return np.asarray(task.decode(potentials))
    return np.argmax(potentials, axis=-1) if kind_of(task) == "classification" else potentials


def target_names_of(task: Task) -> Sequence[str]:
    """Names of the outputs of a regression whose errors are told one by one; none: one error for all."""
    return tuple(getattr(task, "target_names", ()))
