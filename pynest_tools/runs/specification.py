# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed specification of a training run; TOML in and out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
import tomlkit.exceptions
from pydantic import Field, ValidationError, model_validator

from ..errors import SpecificationError
from ..networks import Backend
from ..networks.microcircuit import (
    InitialWeights,
    Microcircuit,
    NeuronParameters,
    PlasticityParameters,
    SimulationParameters,
    TrialParameters,
)
from ..settings import Settings, explain, merged, suggestion, to_toml
from ..tasks import TASKS, AnyTask

__all__ = [
    "InitialWeights",
    "Microcircuit",
    "NeuronParameters",
    "PlasticityParameters",
    "RunSpecification",
    "SimulationParameters",
    "SpecificationError",
    "TrainingParameters",
    "TrialParameters",
]


class TrainingParameters(Settings):
    """How long to train, and how often to test."""

    epochs: int = Field(default=200, ge=0, description="epochs of training")
    test_interval: int = Field(default=10, ge=1, description="epochs between two tests (thesis)")
    stop_after: int = Field(
        default=0, ge=0, description="end early after so many tests in a row at 100 %; 0: train all epochs"
    )
    batch_size: int = Field(
        default=1, ge=1, description="samples learned side by side, their changes summed (ode, steady, backprop)"
    )


class RunSpecification(Settings):
    """Everything that determines a run."""

    seed: int = Field(default=1, ge=0, description="seed of weights, order of samples, and spikes")
    backend: Backend = Field(
        default="spiking",
        description="spiking, rate: NEST; ode: rates in numpy; steady: their fixed point; backprop: gradient descent",
    )
    task: AnyTask = Field(discriminator="name", description="what is learned")
    network: Microcircuit
    training: TrainingParameters = TrainingParameters()

    @model_validator(mode="after")
    def _sizes_fit_task(self) -> RunSpecification:
        ends = (
            ("inputs", self.network.sizes[0], self.task.n_inputs, "first"),
            ("outputs", self.network.sizes[-1], self.task.n_outputs, "last"),
        )
        for what, given, wanted, place in ends:
            if given != wanted:
                raise ValueError(
                    f"network.sizes {list(self.network.sizes)} has {given} {what}, but task {self.task.name} "
                    f"has {wanted}: the {place} size must be {wanted}"
                )
        return self

    @model_validator(mode="after")
    def _backend_can(self) -> RunSpecification:
        if self.backend == "spiking" and self.network.plasticity.tau_s == 0.0:
            raise ValueError(
                "network.plasticity.tau_s must be positive with spikes, got 0.0 ms: a spike without a trace meets no "
                'error; or use backend = "rate"'
            )
        size = self.training.batch_size
        if size > 1 and self.backend in ("spiking", "rate"):
            raise ValueError(
                f"training.batch_size must be 1 with backend {self.backend}, which presents one sample after the other, "
                f'got {size}; or use backend = "ode"'
            )
        if size > 1 and self.backend == "ode" and self.network.trial.between != "reset":
            raise ValueError(
                f"training.batch_size = {size} presents samples side by side, so that none can follow on another: "
                f'network.trial.between must be "reset", got "{self.network.trial.between}"'
            )
        return self

    @classmethod
    def for_task(cls, name: str, changes: Mapping[str, Any] | None = None) -> RunSpecification:
        """The default run of a task, with changes.

        Parameters
        ----------
        name : str
            Name of the task.
        changes : mapping, optional
            Nested entries to put over the defaults, e.g. ``{"network": {"neuron": {"psi": 50.0}}}``.

        Raises
        ------
        SpecificationError
            If the task is unknown or the changes make no possible run.
        """
        if name not in TASKS:
            raise SpecificationError(f"task {name!r} is unknown; {suggestion(name, list(TASKS))}")
        defaults = {"task": {"name": name}, **TASKS[name].default_run()}
        try:
            return cls.model_validate(merged(defaults, changes or {}))
        except ValidationError as error:
            raise SpecificationError(explain(error, cls)) from error

    @classmethod
    def from_toml(cls, path: str | Path) -> RunSpecification:
        """Read a run from a TOML file; what the file leaves out is the default of its task.

        Raises
        ------
        SpecificationError
            If the file cannot be read, is no TOML, names no task, or describes no possible run.
        """
        entries = read_toml(path)
        try:
            return cls.for_task(task_name(entries), entries)
        except SpecificationError as error:
            raise SpecificationError(f"{path}: {error}") from error

    def to_toml(self) -> str:
        """The complete run as TOML, each entry with its meaning and unit; `from_toml` gives the same run."""
        return to_toml(self, title="A run of pynest_tools. Weights and learning rates are normalised, as for rates.")


def read_toml(path: str | Path) -> dict[str, Any]:
    """Nested dictionary of a TOML file; raises SpecificationError if it cannot be read or is no TOML."""
    try:
        return tomlkit.parse(Path(path).read_text(encoding="utf-8")).unwrap()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecificationError(f"cannot read {path}: {error}") from error
    except tomlkit.exceptions.TOMLKitError as error:
        raise SpecificationError(f"{path} is not valid TOML: {error}") from error


def task_name(entries: Mapping[str, Any]) -> str:
    """Name of the task in the entries of a run; raises SpecificationError if there is none."""
    task = entries.get("task")
    name = task.get("name") if isinstance(task, Mapping) else None
    if not isinstance(name, str):
        raise SpecificationError(f'task.name is missing; state the task, e.g. name = "{next(iter(TASKS))}" in [task]')
    return name
