# SPDX-License-Identifier: GPL-2.0-or-later
"""What a script does with runs: train, go on, evaluate, look at what was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..archive import read_archive
from ..errors import UserError
from ..networks import Backend, build_network
from ..networks.backend import FloatArray, Network, Weights
from ..networks.microcircuit import Microcircuit
from ..tasks import Samples, Task
from ..tasks.preprocessing import Preprocessing
from ..tasks.protocol import Kind, decode
from .checkpoint import load_checkpoint
from .folder import RunFolder
from .loop import Progress
from .metrics import Metrics, tested_set_of
from .specification import RunSpecification, read_toml, task_name
from .summary import TrainingResult
from .training import evaluate as evaluate_network
from .training import outputs
from .training import resume as resume_run
from .training import train as train_run

EVALUATION_KEY = 3  # of the seeds spawned from that of the run; the first three made it


def train(
    circuit: Microcircuit | Mapping[str, Any] | None = None,
    task: str | Task = "bars",
    *,
    backend: Backend | None = None,
    seed: int | None = None,
    training: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    weights: Weights | None = None,
    on_progress: Progress | None = None,
) -> TrainingResult:
    """Train a circuit on a task.

    Parameters
    ----------
    circuit : Microcircuit or mapping, optional
        The circuit, or entries that differ from the task's default, such as ``{"hidden": [20], "neuron": {"psi": 50.0}}``.
    task : str or Task
        A task (docs/tasks.md), or the name of one.
    backend : str, optional
        spiking, rate, ode, steady or backprop; the task's default otherwise.
    seed : int, optional
        Determines weights, order of samples and spikes.
    training : mapping, optional
        Entries of the table [training] of a configuration, such as ``{"epochs": 20}``.
    output : str or Path, optional
        Folder in which the run is kept; without one it is not kept.
    overwrite : bool
        Whether a former run in that folder may be replaced.
    weights : Weights, optional
        With which it begins instead of those that the seed draws, such as those of `weights_from_mlp` (normalised, mV ms).
    on_progress : callable, optional
        Called with the number of epochs done and the record of the last test.

    Returns
    -------
    TrainingResult

    Raises
    ------
    SpecificationError
        If that is no possible run.
    UserError
        If the folder is in use.
    """
    changes: dict[str, Any] = {"training": dict(training or {})}
    if circuit is not None:
        changes["network"] = circuit.model_dump(mode="json") if isinstance(circuit, Microcircuit) else dict(circuit)
    changes |= {key: value for key, value in {"backend": backend, "seed": seed}.items() if value is not None}
    spec = RunSpecification.for_task(task, changes)
    if output is None:
        return train_run(spec, None, on_progress, weights=weights)
    folder = RunFolder(output)
    with folder.lock:
        folder.begin(spec, overwrite=overwrite, weights=weights)
        return train_run(spec, folder, on_progress)


def resume(
    path: str | Path,
    *,
    task: Task | None = None,
    changes: Mapping[str, Any] | None = None,
    on_progress: Progress | None = None,
) -> TrainingResult:
    """Continue a run from its last test, bit for bit as if it had never ended there.

    Parameters
    ----------
    path : str or Path
        Folder of the run.
    task : Task, optional
        Its task, if that is not one that can be found by its name.
    changes : mapping, optional
        Entries of the specification that are other from here on, such as ``{"training": {"epochs": 300}}``; they are recorded in
        changes.jsonl with the epoch from which they hold.
    on_progress : callable, optional
        As for `train`.

    Returns
    -------
    TrainingResult
        Of the whole run.

    Raises
    ------
    UserError
        If there is no such run, or the changes would make another one of it.
    """
    run = open_run(path, task=task)
    with run.folder.lock:
        return resume_run(run.folder, run.specification_from_here(changes or {}), on_progress, changes)


def evaluate(
    path: str | Path,
    samples: Samples | None = None,
    *,
    task: Task | None = None,
    best: bool = False,
    seeds: Sequence[int] = (0,),
) -> list[Metrics]:
    """Test a trained network, without teacher and learning; see `Run.evaluate`."""
    return open_run(path, task=task).evaluate(samples, best=best, seeds=seeds)


def open_run(path: str | Path, *, task: Task | None = None) -> Run:
    """What a run has kept.

    Parameters
    ----------
    path : str or Path
        Folder of the run.
    task : Task, optional
        Its task, if that is not one that can be found by its name.

    Raises
    ------
    UserError
        If there is no run, or its task is not known here.
    """
    return Run(RunFolder.open(path), task)


class KeptTask:
    """What a run has kept of its task: what raw data mean, but not the data.

    Parameters
    ----------
    name : str
        Of the task.
    preprocessing : Preprocessing
        How raw data become rates and targets.
    """

    def __init__(self, name: str, preprocessing: Preprocessing) -> None:
        self.name, self.preprocessing = name, preprocessing
        self.kind: Kind = preprocessing.kind
        self.n_inputs, self.n_outputs = preprocessing.n_inputs, preprocessing.n_outputs
        self.target_names = preprocessing.target_names

    def decode(self, potentials: FloatArray) -> NDArray[Any]:
        """Labels or values that outputs (mV) mean."""
        return self.preprocessing.decode(potentials)

    def epoch(self, rng: np.random.Generator) -> Samples:
        """Refused: the data were not kept."""
        raise UserError(f"the run has kept no data of task {self.name}, only what they mean")

    def test_set(self) -> Samples:
        """Refused: the data were not kept."""
        return self.epoch(np.random.default_rng())

    def validation_set(self) -> Samples:
        """Refused: the data were not kept."""
        return self.epoch(np.random.default_rng())


class Run:
    """A run that was kept: its specification, records, and trained networks.

    Attributes
    ----------
    folder : RunFolder
        Where it is kept.
    """

    def __init__(self, folder: RunFolder, task: Task | None = None) -> None:
        self.folder = folder
        self._task = task

    @cached_property
    def specification(self) -> RunSpecification:
        """What was run, with its task, which reads its data when they are asked for."""
        return self.folder.read_specification(self._task)

    @cached_property
    def trained(self) -> RunSpecification:
        """The same without the data: of a run with preprocessing a task that only knows what raw data mean."""
        if self._task is not None or self.preprocessing is None:
            return self.specification
        return self.folder.read_specification(KeptTask(task_name(read_toml(self.folder.config)), self.preprocessing))

    @property
    def records(self) -> list[Metrics]:
        """One record for each test (`TrainingResult.records`)."""
        return self.folder.read_metrics()

    @property
    def result(self) -> TrainingResult:
        """What the run reached, as far as it has got."""
        summary = self.folder.read_summary()
        records = self.records
        return TrainingResult(
            self.weights(),
            tested_on=tested_set_of(records),
            records=records,
            test=summary.get("test"),
            tested_weights=summary.get("tested_weights") or "last",
            best_weights=self.weights(best=True) if self.folder.best.is_dir() else None,
            baselines=summary.get("baselines", {}),
            wall_s=float(summary["wall_s"] if summary else records[-1]["wall_s"] if records else 0.0),
            interrupted=summary.get("interrupted", not summary),
            diverged=summary.get("diverged"),
        )

    @cached_property
    def preprocessing(self) -> Preprocessing | None:
        """How raw data become rates and targets, as fitted to the training set; None if the task has none."""
        if not self.folder.preprocessing.is_file():
            return None
        try:
            return Preprocessing.from_arrays(read_archive(self.folder.preprocessing))
        except UserError as error:
            raise UserError(f"{self.folder.preprocessing}: {error}") from error

    def weights(self, *, best: bool = False) -> Weights:
        """Weights of the last test, or of the best one (normalised, mV ms)."""
        place = self.folder.best if best else self.folder.checkpoint
        return load_checkpoint(place, self.trained.network).weights

    def network(self, *, best: bool = False, seed: int = 0) -> Network:
        """The trained network; each seed gives spikes of its own."""
        spec = self.trained
        sequence = np.random.SeedSequence(spec.seed).spawn(EVALUATION_KEY + 1)[EVALUATION_KEY]
        if seed > 0:
            sequence = np.random.SeedSequence(spec.seed, spawn_key=(EVALUATION_KEY, seed))
        return build_network(spec.backend, spec.network, self.weights(best=best), sequence)

    def evaluate(
        self, samples: Samples | None = None, *, best: bool = False, seeds: Sequence[int] = (0,)
    ) -> list[Metrics]:
        """Test the trained network, without teacher and learning.

        Parameters
        ----------
        samples : Samples, optional
            What to present; the task's test set otherwise.
        best : bool
            Whether the weights of the best test are used instead of those of the last one.
        seeds : sequence of int
            Each gives one evaluation with spikes of its own.

        Returns
        -------
        list of dict
            Scores and rates (`metrics.scores`, `metrics.Rates`), one for each seed.
        """
        task = self.specification.task if samples is None else self.trained.task
        if samples is None:
            self.folder.refuse_other_data(task)
        chosen = samples if samples is not None else task.test_set()
        return [evaluate_network(self.network(best=best, seed=seed), task, chosen) for seed in seeds]

    def predict(self, x: ArrayLike, *, best: bool = False, seed: int = 0) -> NDArray[Any]:
        """Answers of the trained network.

        Parameters
        ----------
        x : array_like, shape (n, n_features)
            Raw features of the kind that the run was trained on; of a task without preprocessing, rates of the inputs (1/ms).
        best : bool
            Whether the weights of the best test are used instead of those of the last one.
        seed : int
            Of the spikes.

        Returns
        -------
        ndarray
            Labels, shape (n,), or values in the data's unit, shape (n,) or (n, n_targets); of a task without preprocessing, what its
            outputs mean.

        Raises
        ------
        UserError
            If x has other features than the run.
        """
        preprocessing = self.preprocessing
        if preprocessing is None:
            stimuli: FloatArray = np.asarray(x, dtype=np.float64)
            n_inputs = self.trained.network.sizes[0]
            if stimuli.ndim != 2 or stimuli.shape[1] != n_inputs:
                raise UserError(f"the run has {n_inputs} inputs, x has shape {stimuli.shape}: give one row a sample")
            return decode(self.trained.task, outputs(self.network(best=best, seed=seed), stimuli))
        rates = preprocessing.rates(np.asarray(x))
        return preprocessing.decode(outputs(self.network(best=best, seed=seed), rates))

    def specification_from_here(self, changes: Mapping[str, Any]) -> RunSpecification:
        """The specification of the rest of the run.

        Raises
        ------
        UserError
            If the changes would make another run of it, or no possible one.
        """
        for key in ("task", "seed", "backend"):
            if key in changes:
                raise UserError(f"{key} cannot change in the middle of a run: begin a new one")
        before = self.specification
        spec = before.changed(changes)
        if spec.network.sizes != before.network.sizes:
            raise UserError(
                f"network.sizes cannot change in the middle of a run, from {list(before.network.sizes)} to "
                f"{list(spec.network.sizes)}: begin a new one"
            )
        return spec
