# SPDX-License-Identifier: GPL-2.0-or-later
"""The training loop: samples, tests between them, checkpoints, and what was reached; of one network or of several side by side."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Remark, UserError
from ..kernel.parallel import rank
from ..networks import build_network
from ..networks.backend import DivergenceError, FloatArray, Network, TrialResult, Weights, refuse_absurd
from ..networks.microcircuit import Microcircuit
from ..networks.weights import with_transposed_feedback
from ..tasks import Samples, Task
from ..tasks.protocol import baselines_of, tested_set
from .checkpoint import Checkpoint, load_checkpoint, remove_others, save_checkpoint
from .folder import RunFolder
from .metrics import Metrics, Rates, distance, feedback_angle, known_errors, of_set, prefixed, scores, share_at_bound
from .specification import RunSpecification
from .stream import Stream
from .summary import TrainingResult, summarise

Progress = Callable[[float, Metrics], None]

#: Training samples that are presented as in a test, unless the validation set is larger: 5 % is then the standard error at 50 %.
TRAINING_SAMPLES_TESTED = 100


@dataclass
class Start:
    """A run to be trained: as specified, from its beginning or from a checkpoint.

    Attributes
    ----------
    spec : RunSpecification
        The run.
    folder : RunFolder or None
        Where it is kept, if it is.
    checkpoint : Checkpoint or None
        Where it goes on.
    weights : Weights or None
        With which it begins instead of those that its seed draws (normalised, mV ms).
    """

    spec: RunSpecification
    folder: RunFolder | None = None
    checkpoint: Checkpoint | None = None
    weights: Weights | None = None


@dataclass
class _Member:
    """One of the networks that are trained side by side, all at the same place in their samples."""

    spec: RunSpecification
    folder: RunFolder | None
    stream: Stream
    result: TrainingResult
    subset: Samples  #: training samples that are presented as in a test
    weights: Weights  #: present ones; those of the result are of the last test
    start: float  #: when it would have begun to get here without a break
    last_test: dict[str, Any] = field(default_factory=dict)  #: state of the stream

    def go_back(self) -> None:
        """To the last test, or to the beginning."""
        self.stream.restore(self.last_test)
        self.weights = self.result.weights


@dataclass
class _Training:
    """What was seen in the training since the last test: sums over samples, one for each network."""

    samples: int = 0
    apical_error: Any = 0.0
    interneuron_error: Any = 0.0
    wall_s: float = 0.0

    def add(self, trial: TrialResult) -> None:
        self.samples += trial.apical_error.shape[-1]
        self.apical_error = self.apical_error + np.sum(trial.apical_error, axis=-1)
        self.interneuron_error = self.interneuron_error + np.sum(trial.interneuron_error, axis=-1)

    def metrics(self, n_networks: int) -> list[Metrics]:
        """One record for each network; nothing before the first sample."""
        if self.samples == 0:
            return [{} for _ in range(n_networks)]
        means = (np.reshape(each / self.samples, -1) for each in (self.apical_error, self.interneuron_error))
        speed = round(self.samples / self.wall_s, 3) if self.wall_s > 0.0 else 0.0
        return [{**known_errors(a, i), "samples_per_s": speed} for a, i in zip(*means, strict=True)]


class Loop:
    """Trains networks side by side; each ends as it would alone, whatever becomes of the others.

    Parameters
    ----------
    starts : sequence of Start
        The runs, which differ in their seeds alone. Checkpoints are all of one place in the samples, or there are none.
    on_progress : callable, optional
        Called with the number of epochs done and the record of the last test, of the first network that has not ended.
    """

    def __init__(self, starts: Sequence[Start], on_progress: Progress | None = None) -> None:
        self.spec, self.on_progress = starts[0].spec, on_progress
        training = self.spec.training
        tested_on, samples = tested_set(self.spec.task)  # the seeds share a task
        if 0 < training.test_samples < len(samples):
            chosen = np.random.default_rng(0).permutation(len(samples))  # the same in all runs, so that they compare
            samples = samples.take(chosen[: training.test_samples])
        self.tested = samples
        self.training = _Training()
        self.simulation_s = 0.0
        self.members = []
        for start in starts:
            spec = start.spec
            weights = start.weights or (start.folder.initial_weights(spec) if start.folder else spec.initial_weights())
            stream = Stream(spec.task, training, spec.order(), by_epoch=training.schedule.changes)
            own = spec.task.epoch(np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(3,))))
            subset = own.take(slice(max(len(samples), TRAINING_SAMPLES_TESTED)))
            result = TrainingResult(weights, tested_on)
            member = _Member(spec, start.folder, stream, result, subset, weights, time.perf_counter(), stream.state)
            if start.checkpoint is not None:
                self._take_up(member, start.checkpoint)
            self.members.append(member)

    def run(self) -> list[TrainingResult]:
        """Train to the end, to an interruption or to a divergence; what each network has reached."""
        results = [member.result for member in self.members]
        try:
            self._report()
            self._let_go_of_those_that_end()
            while self.members:
                try:
                    self._go_on()
                except DivergenceError as error:
                    self._let_go(self.members[error.network], diverged=str(error))
                    self.training = _Training()
                    for other in self.members:
                        other.go_back()
                self._let_go_of_those_that_end()
        except KeyboardInterrupt:
            for member in list(self.members):
                member.result.interrupted = True
                self._let_go(member)
        return results

    @property
    def _stream(self) -> Stream:
        return self.members[0].stream  # all are at the same place

    def _take_up(self, member: _Member, checkpoint: Checkpoint) -> None:
        """Go on with a run where the checkpoint left it."""
        folder, result = member.folder, member.result
        assert folder is not None
        member.weights = result.weights = checkpoint.weights
        remove_others(folder.checkpoint, checkpoint)  # it may have been killed before it could
        result.records = folder.forget_metrics_after(checkpoint.state["samples"])
        if result.tested_on == "validation":
            if result.tests_since_best == 0:  # it may have been killed before this was kept as the best
                result.best_weights = checkpoint.weights
                _save(folder, folder.best, checkpoint)
            else:
                try:
                    result.best_weights = load_checkpoint(folder.best, self.spec.network).weights
                except UserError as error:
                    warnings.warn(f"{error}; the best weights so far are lost", Remark, stacklevel=2)
        member.stream.restore(checkpoint.state)
        member.last_test = checkpoint.state
        member.start -= result.records[-1]["wall_s"]
        self.simulation_s = checkpoint.simulation_s

    def _go_on(self) -> None:
        """Make the first test, or train until the next one."""
        if not self.members[0].result.records:
            with self._network(self.spec.network) as network:
                self._test(network, {})
        else:
            self._chunk()
        self._report()

    def _let_go_of_those_that_end(self) -> None:
        """Read the test set with those that have learned all or need no more."""
        for member in [m for m in self.members if m.result.records and (m.stream.ended or _ends_early(m))]:
            try:
                self._final_test(member)
            except DivergenceError as error:
                member.result.diverged = str(error)
            self._let_go(member)

    def _let_go(self, member: _Member, diverged: str | None = None) -> None:
        """A network has ended, one way or another."""
        result = member.result
        result.diverged = diverged or result.diverged
        result.wall_s = time.perf_counter() - member.start
        result.simulation_s = self.simulation_s
        if member.folder is not None:
            member.folder.write_summary(summarise(member.spec, result))
        self.members.remove(member)

    def _chunk(self) -> None:
        """Train until the next test, in stretches of constant learning rates, and test."""
        self.training = _Training()
        while True:
            circuit = self._scheduled_circuit()
            with self._network(circuit) as network:
                self._stretch(network)
                if self._stream.at_test:
                    self._test(network, _rates_told(circuit))
                    return
                for member, weights in zip(self.members, self._weights(network), strict=True):
                    member.weights = weights

    def _scheduled_circuit(self) -> Microcircuit:
        """The circuit with the learning rates of the middle of the coming stretch."""
        circuit, training = self.spec.network, self.spec.training
        if not training.schedule.changes:
            return circuit
        epoch = self._stream.middle_of_stretch()
        factors = {
            name: schedule.factors(epoch, training.epochs, circuit.n_hidden + (name == "up"))
            for name, schedule in training.schedule
        }
        return circuit.with_rates(factors)

    def _weights(self, network: Network) -> list[Weights]:
        """Present weights of each network."""
        weights = network.get_weights()
        return [weights] if len(self.members) == 1 else weights.unstack()

    @contextmanager
    def _network(self, circuit: Microcircuit) -> Iterator[Network]:
        """A network with the present weights, at rest, with random numbers that depend on seed and place only."""
        weights = [member.weights for member in self.members]
        network = self._build(circuit, weights, (2, *self._place()))
        try:
            yield network
        finally:
            self.simulation_s += network.simulation_time_s

    def _place(self) -> tuple[int, ...]:
        stream = self._stream
        return (stream.epoch, stream.position) if stream.position > 0 else (stream.epoch,)

    def _build(self, circuit: Microcircuit, weights: list[Weights], spawn_key: tuple[int, ...]) -> Network:
        """A network; NEST's random numbers follow from the seed of the only run and the key."""
        seed = np.random.SeedSequence(self.members[0].spec.seed, spawn_key=spawn_key)
        stacked = weights[0] if len(weights) == 1 else Weights.stack(weights)
        return build_network(self.spec.backend, circuit, stacked, seed, self.spec.training.batch_size)

    def _stretch(self, network: Network) -> None:
        """Train until the next test, or until the learning rates change."""
        batch, trial = self.spec.training.batch_size, self.spec.network.trial
        size = max(batch, network.chunk_samples // batch * batch)  # so that only the end of a stretch cuts a batch
        started, before = time.perf_counter(), self.training.samples
        while True:
            samples = _side_by_side([member.stream.take(size) for member in self.members])
            try:
                for _, result in present(network, samples, learn=True):
                    self.training.add(result)
                if network.circuit.plasticity.down == "transpose":
                    network.set_weights(with_transposed_feedback(network.get_weights(), network.circuit))
            except DivergenceError as error:
                raise _located(error, self._stream.place(error.trial)) from error
            self._report()
            if self._stream.at_end_of_stretch:
                break
        self._decay(network, (self.training.samples - before) * (trial.t_pres + trial.t_relax))
        self.training.wall_s += time.perf_counter() - started

    def _decay(self, network: Network, duration: float) -> None:
        """Let weights decay by what they lose in so much time (ms)."""
        factors = self.spec.training.decay.factors(duration)
        if factors:
            weights = network.get_weights()
            decayed = {name: [factor * matrix for matrix in getattr(weights, name)] for name, factor in factors.items()}
            network.set_weights(replace(weights, **decayed))

    def _test(self, network: Network, rates: Metrics) -> None:
        """Test, and keep what that says and the weights that were tested."""
        found, on_training = (
            self._tested(network, samples, place)
            for samples, place in (
                ([self.tested] * len(self.members), "test"),
                ([member.subset for member in self.members], "test on training samples"),
            )
        )
        each = self._weights(network)
        trained = self.training.metrics(len(self.members))
        for member, own, test, training, learned in zip(self.members, each, found, on_training, trained, strict=True):
            result = member.result
            member.weights = result.weights = own
            result.records.append(
                {
                    "epoch": self._stream.progress,
                    "samples": self._stream.samples,
                    **prefixed("train", {key: value for key, value in training[0].items() if key != "confusion"}),
                    **prefixed(result.tested_on, test[0]),
                    **test[1],
                    **learned,
                    **rates,
                    "at_bound": share_at_bound(self.spec.network, own),
                    **({} if self.spec.backend == "backprop" else _of_weights(self.spec.network, own)),
                    "wall_s": round(time.perf_counter() - member.start, 3),
                }
            )
        self._keep(self.simulation_s + network.simulation_time_s)

    def _tested(self, network: Network, samples: list[Samples], what: str) -> list[tuple[Metrics, Metrics]]:
        try:
            return tested(network, self.spec.task, samples)
        except DivergenceError as error:
            sample = f"sample {error.trial + 1} of {len(samples[0])}"
            raise _located(error, f"{what} after epoch {self._stream.progress:g}, {sample}") from error

    def _keep(self, simulation_s: float) -> None:
        """Keep the record of the test and a checkpoint; one more if it was the best.

        The checkpoint before it goes when all networks have theirs: if they are killed on the way, all still have one of that place.
        """
        kept: list[tuple[RunFolder, Checkpoint, bool]] = []
        for member in self.members:
            result, folder = member.result, member.folder
            member.last_test = member.stream.state
            is_best = result.tested_on == "validation" and result.tests_since_best == 0
            if is_best:
                result.best_weights = result.weights
            if folder is not None:
                folder.append(folder.metrics, result.records[-1])
                checkpoint = Checkpoint(result.weights, member.last_test, simulation_s)
                _save(folder, folder.checkpoint, checkpoint, keep_former=len(self.members) > 1)
                kept.append((folder, checkpoint, is_best))
        for folder, checkpoint, is_best in kept:
            if is_best:
                _save(folder, folder.best, checkpoint)
            if len(kept) > 1:
                remove_others(folder.checkpoint, checkpoint)

    def _final_test(self, member: _Member) -> None:
        """Read the test set, once; with the best weights if the run ended for want of better ones."""
        training, task, result = self.spec.training, self.spec.task, member.result
        if result.tested_on == "test":
            result.test = of_set(result.records[-1], "test")
        elif training.final_test:
            waited = 0 < training.patience <= result.tests_since_best and result.best_weights is not None
            result.tested_weights = "best" if waited else "last"
            weights = result.best_weights if waited and result.best_weights is not None else result.weights
            network = self._build(self.spec.network, [weights], (4,))
            ((result.test, _),) = self._tested(network, [task.test_set()], "test")
            self.simulation_s += network.simulation_time_s
        result.baselines = baselines_of(task) if rank() == 0 else {}

    def _report(self) -> None:
        records = self.members[0].result.records
        if self.on_progress is not None and records:
            self.on_progress(self._stream.progress, records[-1])


def _of_weights(circuit: Microcircuit, weights: Weights) -> Metrics:
    """What a record says of the weights of interneurons and feedback."""
    return {"distance": distance(circuit, weights), "angle": feedback_angle(circuit, weights)}


def _rates_told(circuit: Microcircuit) -> Metrics:
    """Learning rates of a record; of down only if it can learn."""
    etas = circuit.etas()
    if circuit.plasticity.down not in ("prediction", "alignment"):
        del etas["down"]
    return {f"eta_{name}": list(values) for name, values in etas.items()}


def _ends_early(member: _Member) -> bool:
    """Whether a network has learned, or has waited in vain for a better test."""
    training, result = member.spec.training, member.result
    learned = 0 < training.stop_after <= result.tests_at_100
    waited = 0 < training.patience <= result.tests_since_best
    return learned or waited


def _save(folder: RunFolder, place: Path, checkpoint: Checkpoint, *, keep_former: bool = False) -> None:
    with folder.told(place):
        save_checkpoint(place, checkpoint, keep_former=keep_former)


def _located(error: DivergenceError, place: str) -> DivergenceError:
    return DivergenceError(f"{place}: {error}", error.trial, network=error.network)


def _side_by_side(samples: list[Samples]) -> Samples:
    if len(samples) == 1:
        return samples[0]
    return Samples(np.stack([s.stimuli for s in samples]), np.stack([s.targets for s in samples]))


def tested(network: Network, task: Task, samples: list[Samples]) -> list[tuple[Metrics, Metrics]]:
    """Scores and rates of networks side by side, each on samples of its own."""
    alone = len(samples) == 1
    rates = [Rates(network.circuit) for _ in samples]
    found: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    for piece, trial in present(network, _side_by_side(samples), learn=False):
        found.append((trial.output, trial.apical_error, trial.interneuron_error))
        for i, own in enumerate(rates):
            own.add(*((piece.stimuli, trial.V_soma) if alone else (piece.stimuli[i], trial.V_soma[i])))
    parts = [np.concatenate(each, axis=axis) for each, axis in zip(zip(*found, strict=True), (-2, -1, -1), strict=True)]
    answers = [parts] if alone else list(zip(*parts, strict=True))
    return [
        (scores(task, wanted, *answer), own.metrics())
        for answer, wanted, own in zip(answers, samples, rates, strict=True)
    ]


def present(network: Network, samples: Samples, *, learn: bool) -> Iterator[tuple[Samples, TrialResult]]:
    """Present samples piece by piece, with targets if `learn`; a divergence counts samples over all pieces."""
    size = len(samples) if learn else network.chunk_samples
    for start in range(0, len(samples), size):
        piece = samples.take(slice(start, start + size))
        try:
            trial = network.run(piece.stimuli, piece.targets if learn else None, learn=learn)
            refuse_absurd(network.circuit, trial)
        except DivergenceError as error:
            error.trial += start
            raise
        yield piece, trial
