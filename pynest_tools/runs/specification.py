# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed specification of a training run; TOML in and out."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import SpecificationError, UserError
from ..networks import NEST_BACKENDS, Backend
from ..networks.backend import Weights
from ..networks.microcircuit import (
    InitialWeights,
    Microcircuit,
    NeuronParameters,
    PlasticityParameters,
    SimulationParameters,
    TrialParameters,
)
from ..networks.weights import initial_weights
from ..settings import Settings, explain, merged, parse_toml, to_toml
from ..tasks import Task, find_task
from ..tasks.protocol import default_run_of, kind_of
from .schedule import Decay, Schedule, Schedules

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


DEFAULT_BACKEND: Backend = "spiking"
DEFAULT_HIDDEN = [30]  # cells of the hidden layer, if neither user nor task says otherwise (thesis, bars)


class TrainingParameters(Settings):
    """How long to train, how often to test, and what changes in the course of it."""

    epochs: int = Field(default=200, ge=0, description="epochs of training")
    test_interval: int = Field(default=10, ge=1, description="epochs between two tests (thesis)")
    test_every: int = Field(default=0, ge=0, description="samples between two tests instead; 0: test_interval counts")
    tests_per_decade: int = Field(
        default=0, ge=0, description="tests at epochs that grow tenfold in so many instead; 0: test_interval counts"
    )
    test_samples: int = Field(
        default=0,
        ge=0,
        description="samples of a test during training, always the same ones; 0: the whole validation set",
    )
    stop_after: int = Field(
        default=0, ge=0, description="end early after so many tests in a row at 100 %; 0: train all epochs"
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="end early after so many tests without a new best one, and keep that; 0: train all epochs",
    )
    final_test: bool = Field(default=True, description="whether the test set is read, once, at the end")
    batch_size: int = Field(
        default=1, ge=1, description="samples learned side by side, their changes summed (ode, steady, backprop)"
    )
    schedule: Schedules = Field(default=Schedules(), description="course of the learning rates, from epoch to epoch")
    decay: Decay = Field(default=Decay(), description="decay of the weights, at the same times")

    @model_validator(mode="after")
    def _one_says_when_to_test(self) -> TrainingParameters:
        if self.test_every > 0 and self.tests_per_decade > 0:
            raise ValueError(
                f"test_every = {self.test_every} samples and tests_per_decade = {self.tests_per_decade} both say when there is a "
                "test: set one of them to 0"
            )
        return self


class RunSpecification(Settings):
    """Everything that determines a run."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    seed: int = Field(default=1, ge=0, description="seed of weights, order of samples, and spikes")
    backend: Backend = Field(
        default=DEFAULT_BACKEND,
        description="spiking, rate: NEST; ode: rates in numpy; steady: their fixed point; backprop: gradient descent",
    )
    task: Task = Field(description="what is learned")
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
                    f"has {wanted}: the {place} size must be {wanted}, or give network.hidden alone"
                )
        return self

    @model_validator(mode="after")
    def _backend_can(self) -> RunSpecification:
        if self.backend == "spiking" and self.network.plasticity.tau_s == 0.0:
            raise ValueError(
                "network.plasticity.tau_s must be positive with spikes, got 0.0 ms: a spike without a trace meets no "
                'error; or use backend = "rate"'
            )
        if self.backend == "backprop" and kind_of(self.task) == "free":
            raise ValueError(
                f"backend backprop descends the error of outputs, but those of task {self.task.name} have no targets; "
                'use backend = "steady", "ode", "rate" or "spiking"'
            )
        self._refuse_what_the_backend_lacks()
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

    def _refuse_what_the_backend_lacks(self) -> None:
        """Raise ValueError for the first option of the circuit that means nothing in the backend."""
        neuron, there, down = self.network.neuron, self.network.connectivity, self.network.plasticity.down
        circuits = {"spiking", "rate", "ode", "steady"}
        alone = "is a yardstick: gradient descent in a network without feedback and noise"
        facts = [
            ("neuron.error_from_spikes", neuron.error_from_spikes, {"spiking"}, "has no spikes", "false"),
            ("neuron.sigma_noise", neuron.sigma_noise > 0.0, {"spiking", "rate", "ode"}, "knows no time", "0"),
            ("neuron.error_with_h", neuron.error_with_h, circuits, alone, "false"),
            ("connectivity.dropout", there.dropout > 0.0, circuits, alone, "0"),
            ("connectivity.dropconnect", there.dropconnect < 1.0, circuits, alone, "1"),
            ("plasticity.down", down in ("prediction", "alignment"), circuits, alone, '"static"'),
        ]
        for name, is_on, backends, why, off in facts:
            if is_on and self.backend not in backends:
                raise ValueError(
                    f"network.{name} means nothing with backend {self.backend}, which {why}; set it to {off}, or use backend = "
                    f"{' or '.join(sorted(backends))}"
                )

    @model_validator(mode="after")
    def _schedules_fit_layers(self) -> RunSpecification:
        for name, schedule in self.training.schedule:
            layers = self.network.n_hidden + (name == "up")
            if len(schedule.warmup) not in (1, layers):
                raise ValueError(
                    f"training.schedule.{name}.warmup has {len(schedule.warmup)} values, but sizes {list(self.network.sizes)} need "
                    f"{layers}; give one for each layer, or a single one for all"
                )
        return self

    @model_validator(mode="after")
    def _matched_rates_have_no_schedule(self) -> RunSpecification:
        if self.network.plasticity.eta_ip == "match" and self.training.schedule.ip != Schedule():
            raise ValueError(
                'with plasticity.eta_ip = "match" the rate of ip follows that of up in the next layer, and its schedule: leave '
                "training.schedule.ip out, or give eta_ip as a number"
            )
        return self

    @model_validator(mode="after")
    def _something_is_tested(self) -> RunSpecification:
        if not self.training.final_test and not hasattr(self.task, "validation_set"):
            raise ValueError(
                f"training.final_test = false needs a validation set, which task {self.task.name} lacks: all its tests are on the "
                "test set; leave it out, or give the task a validation_set()"
            )
        return self

    @model_validator(mode="after")
    def _something_to_choose_by(self) -> RunSpecification:
        for name in ("stop_after", "patience", "test_samples"):
            if getattr(self.training, name) > 0 and not hasattr(self.task, "validation_set"):
                raise ValueError(
                    f"training.{name} needs a validation set, which task {self.task.name} lacks: the test set decides nothing; "
                    "give the task a validation_set()"
                )
        return self

    @classmethod
    def for_task(cls, task: str | Task, changes: Mapping[str, Any] | None = None) -> RunSpecification:
        """The default run of a task, with changes.

        Parameters
        ----------
        task : str or Task
            Name of the task, or the task itself.
        changes : mapping, optional
            Nested entries to put over the defaults, e.g. ``{"network": {"neuron": {"psi": 50.0}}}``; ``network.hidden`` stands for
            ``network.sizes`` without inputs and outputs, which follow from the task.

        Raises
        ------
        SpecificationError
            If the task is unknown or the changes make no possible run.
        """
        changes = dict(changes or {})
        given = changes.pop("task", {})
        made = make_task(task, given) if isinstance(task, str) else task
        if not isinstance(made, Task):
            raise SpecificationError(f"{made!r} is no task: it must have name, n_inputs, n_outputs, epoch and test_set")
        network = changes.get("network")
        entries = merged({"network": {"hidden": DEFAULT_HIDDEN}}, default_run_of(made, _hidden(network)))
        try:
            if isinstance(network, Mapping) and "hidden" in network and "sizes" in network:
                raise SpecificationError("network.hidden and network.sizes say the same twice: give one of them")
            entries = merged(entries, changes)
            if isinstance(network := entries["network"], Mapping):
                entries["network"] = _with_sizes(network, made, changes.get("network", {}))
            if entries.get("backend", DEFAULT_BACKEND) in list(
                NEST_BACKENDS
            ):  # a default batch is for backends that can
                own = changes.get("training", {})
                entries = merged({"training": {}}, entries)
                if isinstance(own, Mapping) and "batch_size" not in own:
                    entries = merged(entries, {"training": {"batch_size": 1}})
            return cls.model_validate({**entries, "task": made})
        except ValidationError as error:
            raise SpecificationError(explain(error, cls)) from error

    @classmethod
    def from_toml(cls, path: str | Path, task: Task | None = None) -> RunSpecification:
        """Read a run from a TOML file; what the file leaves out is the default of its task.

        Parameters
        ----------
        path : str or Path
            The file.
        task : Task, optional
            The task, if it is not one that can be found by its name.

        Raises
        ------
        SpecificationError
            If the file cannot be read, is no TOML, names no task, or describes no possible run.
        """
        entries = read_toml(path)
        try:
            name = task_name(entries)
            if task is not None and task.name != name:
                raise SpecificationError(f"the run is of task {name!r}, not of {task.name!r}")
            return cls.for_task(task or name, entries)
        except SpecificationError as error:
            raise SpecificationError(f"{path}: {error}") from error

    def initial_weights(self) -> Weights:
        """Weights that the seed draws, with which the run begins (normalised, mV ms)."""
        return initial_weights(self.network, self._random(0))

    def order(self) -> np.random.Generator:
        """What decides the samples of the run: its task is asked for those of one epoch after the other with it."""
        return self._random(1)

    def _random(self, key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(key,)))

    def to_toml(self) -> str:
        """The complete run as TOML, each entry with its meaning and unit; `from_toml` gives the same run."""
        return to_toml(self, title="A run of pynest_tools. Weights and learning rates are normalised, as for rates.")

    def changed(self, changes: Mapping[str, Any]) -> RunSpecification:
        """The same run with other entries, e.g. ``{"training": {"epochs": 10}}``.

        Raises
        ------
        SpecificationError
            If that is no possible run.
        """
        entries = self.model_dump(mode="json", exclude={"task"})
        return self.for_task(self.task, merged(entries, changes))


def make_task(name: str, entries: Any) -> Task:
    """The task of that name with the entries of its table [task].

    Raises
    ------
    SpecificationError
        If there is no such task, or the entries do not suit it.
    """
    if not isinstance(entries, Mapping):
        raise SpecificationError(f'task must be a table with a name, such as name = "{name}", got {entries!r}')
    try:
        made = find_task(name)
    except UserError as error:
        raise SpecificationError(str(error)) from error
    settings = {key: value for key, value in entries.items() if key != "name"}
    try:
        return made(**settings)  # type: ignore[no-any-return]
    except ValidationError as error:
        lines = explain(error, made) if isinstance(made, type) and issubclass(made, BaseModel) else str(error)
        raise SpecificationError("\n".join(f"task.{line}" for line in lines.splitlines())) from error
    except TypeError as error:
        raise SpecificationError(f"the entries {settings} of [task] do not suit task {name}: {error}") from error


def _hidden(network: Any) -> list[int]:
    """Cells of the hidden layers for which the user's entries of a network ask; none if they do not say, or nothing possible."""
    given = network if isinstance(network, Mapping) else {}
    for key, part in (("hidden", slice(None)), ("sizes", slice(1, -1))):
        layers = given.get(key)
        if isinstance(layers, list | tuple) and all(isinstance(n, int) and n > 0 for n in layers):
            return list(layers[part])
    return []


def _with_sizes(network: Mapping[str, Any], task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a network in which `hidden` has become `sizes`; what the user has given goes before the task's defaults."""
    network = dict(network)
    hidden = network.pop("hidden")
    if "sizes" not in network or "hidden" in given:
        layers = hidden if isinstance(hidden, list | tuple) else [hidden]
        network["sizes"] = [task.n_inputs, *layers, task.n_outputs]
    return network


def read_toml(path: str | Path) -> dict[str, Any]:
    """Nested dictionary of a TOML file; raises SpecificationError if it cannot be read or is no TOML."""
    try:
        content = Path(path).read_bytes()
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise SpecificationError(f"{path} is in UTF-16: save it in UTF-8, as TOML is")
        text = content.decode("utf-8-sig")  # some editors begin with a byte-order mark
    except OSError as error:
        raise SpecificationError(f"cannot read {path}: {error}") from error
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path} is no text in UTF-8 ({error}): save it in UTF-8, as TOML is") from error
    try:
        return parse_toml(text)
    except ValueError as error:
        raise SpecificationError(f"{path} is not valid TOML: {error}") from error


def task_name(entries: Mapping[str, Any]) -> str:
    """Name of the task in the entries of a run; raises SpecificationError if there is none."""
    task = entries.get("task")
    name = task.get("name") if isinstance(task, Mapping) else None
    if not isinstance(name, str):
        raise SpecificationError('task.name is missing; state the task, e.g. name = "bars" in [task]')
    return name
