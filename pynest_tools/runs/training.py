# SPDX-License-Identifier: GPL-2.0-or-later
"""Train networks, one or several side by side, from the beginning or from where they were; present samples to them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import Remark, UserError
from ..networks import NUMPY_BACKENDS
from ..networks.backend import FloatArray, Network, Weights
from ..networks.microcircuit import Microcircuit
from ..tasks import Samples, Task
from .checkpoint import Checkpoint, has_checkpoint, load_checkpoint
from .folder import RunFolder
from .loop import Loop, Progress, Start, present, tested
from .metrics import Metrics
from .specification import RunSpecification
from .summary import TrainingResult


def train(
    spec: RunSpecification,
    folder: RunFolder | None = None,
    on_progress: Progress | None = None,
    *,
    weights: Weights | None = None,
) -> TrainingResult:
    """Train a network on a task, testing it before, in between, and at the end.

    Ctrl-C and divergence end the run early; what was reached until then is returned and kept in the folder. Every test ends a chunk:
    the next one begins with a network at rest and random numbers of its own, so that a run can be resumed there.

    Parameters
    ----------
    spec : RunSpecification
        The run. Its seed determines weights, order of samples and spikes.
    folder : RunFolder, optional
        Where metrics (as they come), checkpoints (after each test, and of the best one) and the summary are kept.
    on_progress : callable, optional
        Called after each stretch of simulation with the number of epochs done, fractions included, and the
        record of the last test.
    weights : Weights, optional
        With which to begin instead of those that the seed draws (normalised, mV ms).

    Returns
    -------
    TrainingResult
    """
    with folder.lock if folder is not None else nullcontext():
        return Loop([Start(spec, folder, weights=weights)], on_progress).run()[0]


def resume(
    folder: RunFolder,
    spec: RunSpecification,
    on_progress: Progress | None = None,
    changes: Mapping[str, Any] | None = None,
) -> TrainingResult:
    """Continue a run from its last checkpoint, so that it ends as if it had never been interrupted.

    A longer run is what it would have been from the start if it had ended at one of its tests, and if nothing depends on its length as
    some schedules do. Of a last checkpoint or record that is damaged a `Remark` tells, and the run goes on from the best one.

    Parameters
    ----------
    folder : RunFolder
        The run.
    spec : RunSpecification
        Its specification from here on.
    on_progress : callable, optional
        As for `train`.
    changes : mapping, optional
        Entries in which that differs from what was before, to be recorded with the epoch from which they hold.

    Returns
    -------
    TrainingResult
        Of the whole run.

    Raises
    ------
    UserError
        If somebody else is writing this run, no checkpoint is left, the data are not those of the run, or it is to end before the
        test where it is.
    """
    with folder.lock:
        checkpoint = _last_place(folder, spec)
        state = checkpoint.state if checkpoint is not None else {"epoch": 0, "position": 0, "samples": 0}
        done = state["epoch"] + (state["position"] > 0)
        if spec.training.epochs < done:
            raise UserError(
                f"training.epochs = {spec.training.epochs} is less than what {folder.path} has learned by its last test, and nothing "
                f"can be unlearned: give {done} or more, or begin a new run"
            )
        loop = Loop([Start(spec, folder, checkpoint)], on_progress)
        folder.write_specification(spec)
        if changes:
            folder.append(folder.changes, {"epoch": state["epoch"], "samples": state["samples"], "set": dict(changes)})
        return loop.run()[0]


def _last_place(folder: RunFolder, spec: RunSpecification) -> Checkpoint | None:
    """Where a run goes on, None: at its beginning; raises UserError if its data are others or nothing is whole."""
    folder.refuse_other_data(spec.task)
    checkpoint = _last_whole(folder, spec.network)
    if checkpoint is None:
        folder.forget_metrics_after(-1)
    return checkpoint


def _last_whole(folder: RunFolder, circuit: Microcircuit) -> Checkpoint | None:
    """The last checkpoint that is whole and whose record is, else the best one; None if the run was killed before its first one."""
    records = folder.read_metrics()
    tested = {record["samples"] for record in records}
    if not has_checkpoint(folder.checkpoint) and len(records) <= 1:
        return None
    faults: list[UserError] = []
    for place in (folder.checkpoint, folder.best):
        try:
            found = load_checkpoint(place, circuit)
        except UserError as error:
            faults.append(error)
            continue
        if found.state["samples"] in tested:
            for fault in faults:
                warnings.warn(
                    f"{fault}; going on from the best, after epoch {found.state['epoch']}", Remark, stacklevel=2
                )
            return found
        faults.append(
            UserError(
                f"{folder.metrics} lacks the record of the test after {found.state['samples']} samples, where the checkpoint is: put "
                "that line back, or begin the run anew"
            )
        )
    raise faults[0]


def train_seeds(
    spec: RunSpecification,
    seeds: Sequence[int],
    on_progress: Progress | None = None,
    *,
    folders: Sequence[RunFolder] | None = None,
) -> list[TrainingResult]:
    """Train networks that differ in their seed side by side, which takes little longer than one if they are small.

    A circuit that draws numbers while it learns (`Microcircuit.is_random`) is trained for one seed after the other.

    Parameters
    ----------
    spec : RunSpecification
        The run, of backend ode, steady or backprop; its own seed means nothing.
    seeds : sequence of int
        Each determines weights and order of samples of its network, as in a run of its own.
    on_progress : callable, optional
        As for `train`; the record is that of the first seed that has not ended.
    folders : sequence of RunFolder, optional
        Where each run is kept. Runs that have begun (`RunFolder.begin`) go on where they were, beside those at the same place.

    Returns
    -------
    list of TrainingResult
        One for each seed, as of a run of its own but for roundings, since sums may be taken in another order and steady states are
        sought until all have been found. One that diverges, has learned or has lost patience ends; the others go on.

    Raises
    ------
    ValueError
        If the backend holds one network only.
    UserError
        As `resume`.
    """
    if spec.backend not in NUMPY_BACKENDS:
        raise ValueError(
            f"backend {spec.backend} holds one network: call train for each seed, or use one of {', '.join(NUMPY_BACKENDS)}"
        )
    specs = [spec.model_copy(update={"seed": seed}) for seed in seeds]
    alone = spec.network.is_random  # networks side by side would share what is drawn
    if folders is None:
        groups = [[Start(each)] for each in specs] if alone else [[Start(each) for each in specs]]
        return [result for group in groups for result in Loop(group, on_progress).run()]
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(folder.lock)
        starts = _at_a_common_place(
            [Start(each, folder, _last_place(folder, each)) for each, folder in zip(specs, folders, strict=True)]
        )
        found: dict[int, TrainingResult] = {}
        places = [_samples(start) for start in starts]
        groups_of_places = [[i for i, other in enumerate(places) if other == place] for place in sorted(set(places))]
        for here in [[i] for i in range(len(starts))] if alone else groups_of_places:
            found |= dict(zip(here, Loop([starts[i] for i in here], on_progress).run(), strict=True))
        return [found[i] for i in range(len(starts))]


def _at_a_common_place(starts: list[Start]) -> list[Start]:
    """The same with those ahead of the last one at its place, if they have kept that: all were killed while they kept the next."""
    last = min(map(_samples, starts))
    if last < 0:  # it was killed before its first checkpoint, as the others may have been just after it
        return [_anew(start) if _samples(start) == 0 else start for start in starts]
    return [_at(start, last) for start in starts]


def _anew(start: Start) -> Start:
    if start.folder is not None:
        start.folder.forget_metrics_after(-1)
    return replace(start, checkpoint=None)


def _at(start: Start, samples: int) -> Start:
    if _samples(start) > samples and start.folder is not None:
        try:
            before = load_checkpoint(start.folder.checkpoint, start.spec.network, samples)
        except UserError:
            return start
        if before.state["samples"] == samples:
            return replace(start, checkpoint=before)
    return start


def _samples(start: Start) -> int:
    """How many samples have been learned where a run goes on; -1 if it has not even been tested."""
    return start.checkpoint.state["samples"] if start.checkpoint is not None else -1


def evaluate(network: Network, task: Task, samples: Samples) -> Metrics:
    """Present samples without teacher and learning.

    Parameters
    ----------
    network : Network
        Is not changed but for its state.
    task : Task
        Says what outputs mean.
    samples : Samples
        What to present, and what should come out.

    Returns
    -------
    dict
        Scores (`metrics.scores`), and rates of the layers (`metrics.Rates`).
    """
    ((found, rates),) = tested(network, task, [samples])
    return found | rates


def outputs(network: Network, stimuli: FloatArray) -> FloatArray:
    """Potentials of the output cells, shape (n, n_outputs) (mV), for stimuli of shape (n, n_inputs) (1/ms), presented as in a test."""
    nothing = np.full((len(stimuli), network.circuit.sizes[-1]), np.nan)
    parts = [trial.output for _, trial in present(network, Samples(stimuli, nothing), learn=False)]
    return np.concatenate(parts, axis=-2)
