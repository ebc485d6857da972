# SPDX-License-Identifier: GPL-2.0-or-later
"""The training loop: epochs of samples, tests between them, and what was reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .networks import build_network
from .networks.backend import DivergenceError, FloatArray, Network, TrialResult
from .networks.weights import initial_weights, save_weights
from .recording import Metrics, RunFolder
from .specification import RunSpecification
from .summary import TrainingResult, summarise
from .tasks import Samples

Progress = Callable[[float, Metrics], None]


def train(
    spec: RunSpecification, folder: RunFolder | None = None, on_progress: Progress | None = None
) -> TrainingResult:
    """Train a network on a task, testing it before, in between, and at the end.

    Ctrl-C and divergence end the run early; what was reached until then is returned and kept in the folder.

    Parameters
    ----------
    spec : RunSpecification
        The run. Its seed determines weights, order of samples and spikes.
    folder : RunFolder, optional
        Where metrics (as they come), weights (at each test and at the end) and the summary are kept.
    on_progress : callable, optional
        Called after each stretch of simulation with the number of epochs done, fractions included, and the
        record of the epoch that was tested last.

    Returns
    -------
    TrainingResult
    """
    loop = _Loop(spec, folder, on_progress)
    try:
        loop.run()
    except KeyboardInterrupt:
        loop.result.interrupted = True
        loop.keep_weights()
    except DivergenceError as error:
        loop.result.diverged = str(error)
    return loop.finish()


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
    parts = list(_present(network, samples, learn=False))
    output = np.concatenate([part.output for part in parts])
    return {"test_loss": _loss(output, samples.targets), "test_accuracy": _accuracy(output, samples.labels)}


class _Loop:
    """The loop's state: what it needs at every step, and the clock."""

    def __init__(self, spec: RunSpecification, folder: RunFolder | None, on_progress: Progress | None) -> None:
        weight_seed, order_seed, simulator_seed = np.random.SeedSequence(spec.seed).spawn(3)
        weights = initial_weights(spec.network, np.random.default_rng(weight_seed))
        self.order = np.random.default_rng(order_seed)
        self.spec, self.folder, self.on_progress = spec, folder, on_progress
        self.result = TrainingResult(weights, spec.task.baselines())
        self.network = build_network(spec, weights, simulator_seed)
        self.simulated_before = self.network.simulation_time_s
        self.start = time.perf_counter()

    def run(self) -> None:
        self._record(0, self._test(0))
        self._report(0)
        training = self.spec.training
        while (done := self.result.epochs) < training.epochs:
            next_test = min((done // training.test_interval + 1) * training.test_interval, training.epochs)
            for epoch, metrics in enumerate(self._train(done, next_test), start=done + 1):
                self._record(epoch, metrics | self._test(epoch) if epoch == next_test else metrics)
            self._report(self.result.epochs)

    def finish(self) -> TrainingResult:
        self.result.wall_s = time.perf_counter() - self.start
        self.result.simulation_s = self.network.simulation_time_s - self.simulated_before
        if self.folder is not None:
            self.folder.write_summary(summarise(self.spec, self.result))
        return self.result

    def keep_weights(self) -> None:
        self.result.weights = self.network.get_weights()
        if self.folder is not None:
            save_weights(self.folder.weights, self.result.weights)

    def _train(self, done: int, next_test: int) -> list[Metrics]:
        """Train as many epochs as one chunk holds, at least one, and none beyond the next test."""
        epochs = [self.spec.task.epoch(self.order)]
        size = len(epochs[0].labels)
        while len(epochs) < next_test - done and (len(epochs) + 1) * size <= self.network.chunk_samples:
            epochs.append(self.spec.task.epoch(self.order))
        samples = Samples(*(np.concatenate(part) for part in zip(*epochs, strict=True)))
        trials: list[TrialResult] = []
        presented = 0
        try:
            for trial in _present(self.network, samples, learn=True):
                trials.append(trial)
                presented += len(trial.apical_error)
                self._report(done + presented / size)
        except DivergenceError as error:
            epoch, sample = done + 1 + error.trial // size, error.trial % size + 1
            raise DivergenceError(f"epoch {epoch}, sample {sample} of {size}: {error}", error.trial) from error
        prediction = np.concatenate([trial.prediction for trial in trials])
        apical_error = np.concatenate([trial.apical_error for trial in trials])
        return [
            {
                "train_loss": _loss(prediction[part], samples.targets[part]),
                "train_accuracy": _accuracy(prediction[part], samples.labels[part]),
                "apical_error": float(np.mean(apical_error[part])),
            }
            for part in (slice(i * size, (i + 1) * size) for i in range(len(epochs)))
        ]

    def _test(self, epoch: int) -> Metrics:
        samples = self.spec.task.test_set()
        try:
            metrics = evaluate(self.network, samples)
        except DivergenceError as error:
            sample = f"sample {error.trial + 1} of {len(samples.labels)}"
            raise DivergenceError(f"test after epoch {epoch}, {sample}: {error}", error.trial) from error
        self.keep_weights()
        return metrics

    def _record(self, epoch: int, metrics: Metrics) -> None:
        record = {"epoch": epoch, **metrics, "wall_s": round(time.perf_counter() - self.start, 3)}
        self.result.records.append(record)
        if self.folder is not None:
            self.folder.append_metrics(record)

    def _report(self, epochs: float) -> None:
        if self.on_progress is not None and self.result.last_test is not None:
            self.on_progress(epochs, self.result.last_test)


def _present(network: Network, samples: Samples, *, learn: bool) -> Iterator[TrialResult]:
    """Present samples in chunks, with targets if `learn`; a divergence counts samples over all chunks."""
    for start in range(0, len(samples.labels), network.chunk_samples):
        chunk = slice(start, start + network.chunk_samples)
        try:
            targets = samples.targets[chunk] if learn else None
            trial = network.run(samples.stimuli[chunk], targets, learn=learn)
            _refuse_non_finite(trial)
        except DivergenceError as error:
            raise DivergenceError(str(error), start + error.trial) from error
        yield trial


def _refuse_non_finite(trial: TrialResult) -> None:
    columns = np.column_stack([trial.output, trial.prediction, trial.apical_error])
    finite = np.all(np.isfinite(columns), axis=1)
    if not np.all(finite):
        raise DivergenceError("a potential is not a finite number", int(np.argmin(finite)))


def _accuracy(potentials: FloatArray, labels: NDArray[np.int64]) -> float:
    return float(np.mean(np.argmax(potentials, axis=1) == labels))


def _loss(potentials: FloatArray, targets: FloatArray) -> float:
    return float(np.mean((potentials - targets) ** 2))
