# SPDX-License-Identifier: GPL-2.0-or-later
"""The training loop: epochs of samples, tests between them, and what was reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ..kernel.parallel import rank
from ..networks import NUMPY_BACKENDS, build_network
from ..networks.backend import DivergenceError, FloatArray, Network, TrialResult, Weights
from ..networks.weights import initial_weights
from .folder import Metrics, RunFolder
from .specification import RunSpecification
from .summary import TrainingResult, summarise
from ..tasks import Samples

Progress = Callable[[float, Metrics], None]
_Arrays = TypeVar("_Arrays", Samples, TrialResult)


def train(
    spec: RunSpecification, folder: RunFolder | None = None, on_progress: Progress | None = None
) -> TrainingResult:
    """Train a network on a task, testing it before, in between, and at the end.

    Ctrl-C and divergence end the run early; what was reached until then is returned and kept in the folder. Every test ends a chunk:
    the next one begins with a network at rest and random numbers of its own, so that a run can be resumed there.

    Parameters
    ----------
    spec : RunSpecification
        The run. Its seed determines weights, order of samples and spikes.
    folder : RunFolder, optional
        Where metrics (as they come), a checkpoint (after each test) and the summary are kept.
    on_progress : callable, optional
        Called after each stretch of simulation with the number of epochs done, fractions included, and the
        record of the epoch that was tested last.

    Returns
    -------
    TrainingResult
    """
    return _Loop([spec], folder, on_progress).run()[0]


def resume(
    folder: RunFolder, epochs: int | None = None, on_progress: Progress | None = None, *, threads: int | None = None
) -> TrainingResult:
    """Continue a run from its last checkpoint, so that it ends as if it had never been interrupted.

    A longer run is what it would have been from the start if the tests are at the same epochs: if it had ended at a multiple of
    training.test_interval.

    Parameters
    ----------
    folder : RunFolder
        The run.
    epochs : int, optional
        Epochs of training in all, if other than the run's specification says.
    on_progress : callable, optional
        As for `train`.
    threads : int, optional
        Threads of the simulator, if other than the specification says. With spikes the rest of the run is what it would have been if
        the number of virtual processes, threads times MPI processes, stays the same.

    Returns
    -------
    TrainingResult
        Of the whole run.

    Raises
    ------
    UserError
        If the folder holds no checkpoint.
    """
    spec = folder.read_specification(epochs, threads)
    checkpoint = load_checkpoint(folder.checkpoint, spec.network.sizes)
    folder.write_specification(spec)
    return _Loop([spec], folder, on_progress, checkpoint).run()[0]


def train_seeds(
    spec: RunSpecification, seeds: Sequence[int], on_progress: Progress | None = None
) -> list[TrainingResult]:
    """Train networks that differ in their seed side by side, which takes little longer than one.

    Parameters
    ----------
    spec : RunSpecification
        The run, of backend ode, steady or backprop; its own seed means nothing.
    seeds : sequence of int
        Each determines weights and order of samples of its network, as in a run of its own.
    on_progress : callable, optional
        As for `train`; the record is that of the first seed.

    Returns
    -------
    list of TrainingResult
        One for each seed, with the wall time of all. If one network diverges, all end.

    Raises
    ------
    ValueError
        If the backend holds one network only.
    """
    if spec.backend not in NUMPY_BACKENDS:
        raise ValueError(
            f"backend {spec.backend} holds one network: call train for each seed, or use one of {', '.join(NUMPY_BACKENDS)}"
        )
    return _Loop([spec.model_copy(update={"seed": seed}) for seed in seeds], None, on_progress).run()


def evaluate(network: Network, samples: Samples) -> Metrics:
    """Present samples without teacher and learning.

    Parameters
    ----------
    network : Network
        Is not changed but for its state.
    samples : Samples
        What to present, and what should come out.

    Returns
    -------
    dict
        test_loss (mean squared error of the outputs, mV^2) and test_accuracy.
    """
    return _test_metrics(_gather(_present(network, samples, learn=False)), samples)


@dataclass
class _Member:
    """One of the networks that are trained side by side."""

    spec: RunSpecification
    order: np.random.Generator
    result: TrainingResult


class _Loop:
    """The loop's state: what it needs at every step, and the clock."""

    def __init__(
        self,
        specs: Sequence[RunSpecification],
        folder: RunFolder | None,
        on_progress: Progress | None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.members = []
        baselines = specs[0].task.baselines() if rank() == 0 else {}  # the seeds share a task
        for spec in specs:
            weight_seed, order_seed = np.random.SeedSequence(spec.seed).spawn(2)
            weights = initial_weights(spec.network, np.random.default_rng(weight_seed))
            result = TrainingResult(weights, baselines)
            self.members.append(_Member(spec, np.random.default_rng(order_seed), result))
        self.spec, self.folder, self.on_progress = specs[0], folder, on_progress
        self.simulation_s = 0.0
        self.start = time.perf_counter()
        if checkpoint is not None and folder is not None:
            self._go_back_to(checkpoint, folder)

    def run(self) -> list[TrainingResult]:
        """Train to the end, to an interruption or to a divergence; what each network has reached."""
        try:
            self._run()
        except KeyboardInterrupt:
            for member in self.members:
                member.result.interrupted = True
        except DivergenceError as error:
            for member in self.members:
                member.result.diverged = str(error)
        for member in self.members:
            member.result.wall_s = time.perf_counter() - self.start
            member.result.simulation_s = self.simulation_s
        if self.folder is not None:
            self.folder.write_summary(summarise(self.spec, self.members[0].result))
        return [member.result for member in self.members]

    @property
    def _done(self) -> int:
        return self.members[0].result.epochs

    def _go_back_to(self, checkpoint: Checkpoint, folder: RunFolder) -> None:
        """Take up the only member's run where the checkpoint left it."""
        member = self.members[0]
        member.result.weights = checkpoint.weights
        member.result.records = folder.forget_metrics_after(checkpoint.epoch)
        member.order.bit_generator.state = checkpoint.order
        self.start -= member.result.records[-1]["wall_s"]
        self.simulation_s = checkpoint.simulation_s

    def _run(self) -> None:
        if not self.members[0].result.records:
            with self._network():
                self._record(0, self._test(0))
        self._report(self._done)
        while self._done < self.spec.training.epochs and not self._has_learned():
            with self._network():
                self._chunk(self._done)
            self._report(self._done)

    @contextmanager
    def _network(self) -> Iterator[None]:
        """A network with the present weights, at rest, with random numbers that depend on seed and epoch only.

        When it has passed its test, its weights become the present ones, and a checkpoint is kept.
        """
        weights = [member.result.weights for member in self.members]
        seed = np.random.SeedSequence(self.spec.seed, spawn_key=(2, max(self._done, 0)))
        self.network = build_network(
            self.spec.backend,
            self.spec.network,
            weights[0] if len(weights) == 1 else Weights.stack(weights),
            seed,
            self.spec.training.batch_size,
        )
        before = self.network.simulation_time_s
        try:
            yield
        finally:
            self.simulation_s += self.network.simulation_time_s - before
        self._keep()

    def _chunk(self, done: int) -> None:
        """Train until the next test, and test."""
        training = self.spec.training
        next_test = min((done // training.test_interval + 1) * training.test_interval, training.epochs)
        while (done := self._done) < next_test:
            for epoch, metrics in enumerate(self._train(done, next_test), start=done + 1):
                test = self._test(epoch) if epoch == next_test else [{}] * len(metrics)
                self._record(epoch, [own | tested for own, tested in zip(metrics, test, strict=True)])
            self._report(self._done)

    def _has_learned(self) -> bool:
        """Whether every network has passed as many tests in a row as suffice to end early."""
        wanted = self.spec.training.stop_after
        return wanted > 0 and all(member.result.tests_at_100 >= wanted for member in self.members)

    def _train(self, done: int, next_test: int) -> list[list[Metrics]]:
        """Train as many epochs as one chunk holds, at least one, and none beyond the next test.

        Returns metrics by epoch and network.
        """
        epochs = [self._epoch()]
        size = epochs[0].labels.shape[-1]
        while len(epochs) < next_test - done and (len(epochs) + 1) * size <= self.network.chunk_samples:
            epochs.append(self._epoch())
        samples = Samples(
            np.concatenate([epoch.stimuli for epoch in epochs], axis=-2),
            np.concatenate([epoch.targets for epoch in epochs], axis=-2),
            np.concatenate([epoch.labels for epoch in epochs], axis=-1),
        )
        trials: list[TrialResult] = []
        presented = 0
        try:
            for trial in _present(self.network, samples, learn=True):
                trials.append(trial)
                presented += trial.apical_error.shape[-1]
                self._report(done + presented / size)
        except DivergenceError as error:
            epoch, sample = done + 1 + error.trial // size, error.trial % size + 1
            raise DivergenceError(f"epoch {epoch}, sample {sample} of {size}: {error}", error.trial) from error
        parts = [slice(i * size, (i + 1) * size) for i in range(len(epochs))]
        whole = _gather(trials)
        return [
            [
                {
                    "train_loss": _loss(result.prediction[part], own.targets[part]),
                    "train_accuracy": _accuracy(result.prediction[part], own.labels[part]),
                    "apical_error": float(np.mean(result.apical_error[part])),
                    "interneuron_error": float(np.mean(result.interneuron_error[part])),
                }
                for result, own in zip(self._split(whole), self._split(samples), strict=True)
            ]
            for part in parts
        ]

    def _epoch(self) -> Samples:
        """The next epoch of every network."""
        return self._side_by_side([member.spec.task.epoch(member.order) for member in self.members])

    def _test(self, epoch: int) -> list[Metrics]:
        own = self.spec.task.test_set()
        samples = self._side_by_side([own] * len(self.members))
        try:
            result = _gather(_present(self.network, samples, learn=False))
        except DivergenceError as error:
            sample = f"sample {error.trial + 1} of {len(own.labels)}"
            raise DivergenceError(f"test after epoch {epoch}, {sample}: {error}", error.trial) from error
        return [_test_metrics(part, own) for part in self._split(result)]

    def _side_by_side(self, samples: list[Samples]) -> Samples:
        return samples[0] if len(samples) == 1 else Samples(*map(np.stack, zip(*samples, strict=True)))

    def _split(self, arrays: _Arrays) -> list[_Arrays]:
        """What belongs to each network."""
        if len(self.members) == 1:
            return [arrays]
        return [type(arrays)(*parts) for parts in zip(*arrays, strict=True)]

    def _keep(self) -> None:
        """Weights of the networks become those of the results; that of a run with a folder is kept with all it needs."""
        weights = self.network.get_weights()
        each = [weights] if len(self.members) == 1 else weights.unstack()
        for member, own in zip(self.members, each, strict=True):
            member.result.weights = own
        if self.folder is not None:
            state: dict[str, Any] = dict(self.members[0].order.bit_generator.state)
            save_checkpoint(self.folder.checkpoint, Checkpoint(self._done, each[0], state, self.simulation_s))

    def _record(self, epoch: int, metrics: list[Metrics]) -> None:
        wall_s = round(time.perf_counter() - self.start, 3)
        for member, own in zip(self.members, metrics, strict=True):
            member.result.records.append({"epoch": epoch, **own, "wall_s": wall_s})
        if self.folder is not None:
            self.folder.append_metrics(self.members[0].result.records[-1])

    def _report(self, epochs: float) -> None:
        test = self.members[0].result.last_test
        if self.on_progress is not None and test is not None:
            self.on_progress(epochs, test)


def _present(network: Network, samples: Samples, *, learn: bool) -> Iterator[TrialResult]:
    """Present samples in chunks, with targets if `learn`; a divergence counts samples over all chunks."""
    for start in range(0, samples.labels.shape[-1], network.chunk_samples):
        chunk = slice(start, start + network.chunk_samples)
        try:
            targets = samples.targets[..., chunk, :] if learn else None
            trial = network.run(samples.stimuli[..., chunk, :], targets, learn=learn)
            _refuse_non_finite(trial)
        except DivergenceError as error:
            raise DivergenceError(str(error), start + error.trial) from error
        yield trial


def _gather(parts: Iterable[TrialResult]) -> TrialResult:
    """Results of chunks, put together again."""
    V_soma, prediction, apical_error, interneuron_error = zip(*parts, strict=True)
    return TrialResult(
        np.concatenate(V_soma, axis=-2),
        np.concatenate(prediction, axis=-2),
        np.concatenate(apical_error, axis=-1),
        np.concatenate(interneuron_error, axis=-1),
    )


def _refuse_non_finite(trial: TrialResult) -> None:
    columns = np.concatenate([trial.output, trial.prediction, trial.apical_error[..., np.newaxis]], axis=-1)
    finite = np.all(np.isfinite(columns), axis=-1)
    if not np.all(finite):
        sample = int(np.argmin(np.all(finite.reshape(-1, finite.shape[-1]), axis=0)))
        raise DivergenceError("a potential is not a finite number", sample)


def _test_metrics(result: TrialResult, samples: Samples) -> Metrics:
    return {
        "test_loss": _loss(result.output, samples.targets),
        "test_accuracy": _accuracy(result.output, samples.labels),
    }


def _accuracy(potentials: FloatArray, labels: NDArray[np.int64]) -> float:
    return float(np.mean(np.argmax(potentials, axis=1) == labels))


def _loss(potentials: FloatArray, targets: FloatArray) -> float:
    return float(np.mean((potentials - targets) ** 2))
