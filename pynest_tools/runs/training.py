# SPDX-License-Identifier: GPL-2.0-or-later
"""The training loop: samples, tests between them, and what was reached."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Remark, UserError
from ..kernel.parallel import rank
from ..networks import NUMPY_BACKENDS, build_network
from ..networks.backend import DivergenceError, FloatArray, Network, TrialResult, Weights, refuse_absurd
from ..networks.microcircuit import Microcircuit
from ..tasks import Samples, Task
from ..tasks.protocol import baselines_of, tested_set
from .checkpoint import Checkpoint, has_checkpoint, load_checkpoint, remove_others, save_checkpoint
from .folder import RunFolder
from .metrics import Metrics, Rates, distance, known_errors, of_set, prefixed, scores, share_at_bound
from .specification import RunSpecification
from .stream import Stream
from .summary import TrainingResult, summarise

Progress = Callable[[float, Metrics], None]
ETAS = ("up", "ip", "pi")

#: Training samples that are presented as in a test, unless the validation set is larger: 5 % is then the standard error at 50 %.
TRAINING_SAMPLES_TESTED = 100


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
        loop = _Loop([spec], folder, on_progress)
        if weights is not None:
            loop.members[0].weights = loop.members[0].result.weights = weights
        return loop.run()[0]


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
        folder.refuse_other_data(spec.task)
        checkpoint = _last_whole(folder, spec.network.sizes)
        if checkpoint is None:
            folder.forget_metrics_after(-1)
        state = checkpoint.state if checkpoint is not None else {"epoch": 0, "position": 0, "samples": 0}
        done = state["epoch"] + (state["position"] > 0)
        if spec.training.epochs < done:
            raise UserError(
                f"training.epochs = {spec.training.epochs} is less than what {folder.path} has learned by its last test, and nothing "
                f"can be unlearned: give {done} or more, or begin a new run"
            )
        loop = _Loop([spec], folder, on_progress, checkpoint)
        folder.write_specification(spec)
        if changes:
            folder.append(folder.changes, {"epoch": state["epoch"], "samples": state["samples"], "set": dict(changes)})
        return loop.run()[0]


def _last_whole(folder: RunFolder, sizes: Sequence[int]) -> Checkpoint | None:
    """The last checkpoint that is whole and whose record is, else the best one; None if the run was killed before its first one."""
    records = folder.read_metrics()
    tested = {record["samples"] for record in records}
    if not has_checkpoint(folder.checkpoint) and len(records) <= 1:
        return None
    faults: list[UserError] = []
    for place in (folder.checkpoint, folder.best):
        try:
            found = load_checkpoint(place, sizes)
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
        One for each seed, with the wall time of all. If one network diverges, all end; patience and stop_after end them when all
        would end.

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
    ((found, rates),) = _tested(network, task, [samples])
    return found | rates


def outputs(network: Network, stimuli: FloatArray) -> FloatArray:
    """Potentials of the output cells, shape (n, n_outputs) (mV), for stimuli of shape (n, n_inputs) (1/ms), presented as in a test."""
    nothing = np.full((len(stimuli), network.circuit.sizes[-1]), np.nan)
    parts = [trial.output for _, trial in _present(network, Samples(stimuli, nothing), learn=False)]
    return np.concatenate(parts, axis=-2)


@dataclass
class _Member:
    """One of the networks that are trained side by side."""

    spec: RunSpecification
    stream: Stream
    result: TrainingResult
    subset: Samples  #: training samples that are presented as in a test
    weights: Weights  #: present ones; those of the result are of the last test


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


class _Loop:
    """The loop's state: what it needs at every step, and the clock."""

    def __init__(
        self,
        specs: Sequence[RunSpecification],
        folder: RunFolder | None,
        on_progress: Progress | None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.spec, self.folder, self.on_progress = specs[0], folder, on_progress
        training = self.spec.training
        tested_on, samples = tested_set(self.spec.task)  # the seeds share a task
        if 0 < training.test_samples < len(samples):
            chosen = np.random.default_rng(0).permutation(len(samples))  # the same in all runs, so that they compare
            samples = samples.take(chosen[: training.test_samples])
        self.tested = samples
        self.members = []
        for spec in specs:
            weights = spec.initial_weights()
            stream = Stream(spec.task, training, spec.order(), by_epoch=training.schedule.changes)
            own = spec.task.epoch(np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(3,))))
            subset = own.take(slice(max(len(samples), TRAINING_SAMPLES_TESTED)))
            self.members.append(_Member(spec, stream, TrainingResult(weights, tested_on), subset, weights))
        self.training = _Training()
        self.simulation_s = 0.0
        self.start = time.perf_counter()
        if checkpoint is not None and folder is not None:
            self._go_back_to(checkpoint, folder)

    def run(self) -> list[TrainingResult]:
        """Train to the end, to an interruption or to a divergence; what each network has reached."""
        results = [member.result for member in self.members]
        try:
            self._run()
            self._final_test()
        except KeyboardInterrupt:
            for result in results:
                result.interrupted = True
        except DivergenceError as error:
            for result in results:
                result.diverged = str(error)
        for result in results:
            result.wall_s = time.perf_counter() - self.start
            result.simulation_s = self.simulation_s
        if self.folder is not None:
            self.folder.write_summary(summarise(self.spec, results[0]))
        return results

    @property
    def _stream(self) -> Stream:
        return self.members[0].stream  # all are at the same place

    def _go_back_to(self, checkpoint: Checkpoint, folder: RunFolder) -> None:
        """Take up the only member's run where the checkpoint left it."""
        member = self.members[0]
        result = member.result
        member.weights = result.weights = checkpoint.weights
        remove_others(folder.checkpoint, checkpoint)  # it may have been killed before it could
        result.records = folder.forget_metrics_after(checkpoint.state["samples"])
        if result.tested_on == "validation":
            if result.tests_since_best == 0:  # it may have been killed before this was kept as the best
                result.best_weights = checkpoint.weights
                self._save(folder.best, checkpoint)
            else:
                try:
                    result.best_weights = load_checkpoint(folder.best, self.spec.network.sizes).weights
                except UserError as error:
                    warnings.warn(f"{error}; the best weights so far are lost", Remark, stacklevel=2)
        member.stream.restore(checkpoint.state)
        self.start -= result.records[-1]["wall_s"]
        self.simulation_s = checkpoint.simulation_s

    def _run(self) -> None:
        if not self.members[0].result.records:
            with self._network(self.spec.network) as network:
                self._test(network, {})
        self._report()
        while not self._stream.ended and not self._ends_early():
            self._chunk()
            self._report()

    def _chunk(self) -> None:
        """Train until the next test, in stretches of constant learning rates, and test."""
        self.training = _Training()
        while True:
            circuit = self._scheduled_circuit()
            with self._network(circuit) as network:
                self._stretch(network)
                if self._stream.at_test:
                    self._test(network, {f"eta_{name}": list(getattr(circuit, f"eta_{name}")) for name in ETAS})
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
        seed = np.random.SeedSequence(self.spec.seed, spawn_key=spawn_key)
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
                for _, result in _present(network, samples, learn=True):
                    self.training.add(result)
            except DivergenceError as error:
                raise DivergenceError(f"{self._stream.place(error.trial)}: {error}", error.trial) from error
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
        wall_s = round(time.perf_counter() - self.start, 3)
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
                    **({} if self.spec.backend == "backprop" else {"distance": distance(self.spec.network, own)}),
                    "wall_s": wall_s,
                }
            )
        self._keep(self.simulation_s + network.simulation_time_s)

    def _tested(self, network: Network, samples: list[Samples], what: str) -> list[tuple[Metrics, Metrics]]:
        try:
            return _tested(network, self.spec.task, samples)
        except DivergenceError as error:
            sample = f"sample {error.trial + 1} of {len(samples[0])}"
            raise DivergenceError(
                f"{what} after epoch {self._stream.progress:g}, {sample}: {error}", error.trial
            ) from error

    def _keep(self, simulation_s: float) -> None:
        """Keep the record of the test and a checkpoint; one more if it was the best."""
        for member in self.members:
            result = member.result
            is_best = result.tested_on == "validation" and result.tests_since_best == 0
            if is_best:
                result.best_weights = result.weights
            if self.folder is not None:
                self.folder.append(self.folder.metrics, result.records[-1])
                checkpoint = Checkpoint(result.weights, member.stream.state, simulation_s)
                self._save(self.folder.checkpoint, checkpoint)
                if is_best:
                    self._save(self.folder.best, checkpoint)

    def _save(self, place: Path, checkpoint: Checkpoint) -> None:
        assert self.folder is not None
        with self.folder.told(place):
            save_checkpoint(place, checkpoint)

    def _ends_early(self) -> bool:
        """Whether every network has learned, or has waited in vain for a better test."""
        training = self.spec.training
        results = [member.result for member in self.members]
        learned = training.stop_after > 0 and all(r.tests_at_100 >= training.stop_after for r in results)
        waited = training.patience > 0 and all(r.tests_since_best >= training.patience for r in results)
        return learned or waited

    def _final_test(self) -> None:
        """Read the test set, once; with the best weights if the run ended for want of better ones."""
        training, task = self.spec.training, self.spec.task
        results = [member.result for member in self.members]
        if results[0].tested_on == "test":
            for result in results:
                result.test = of_set(result.records[-1], "test")
        else:
            waited = 0 < training.patience <= min(result.tests_since_best for result in results)
            waited = waited and all(result.best_weights is not None for result in results)
            for result in results:
                result.tested_weights = "best" if waited else "last"
            weights = [result.best_weights if waited else result.weights for result in results]
            network = self._build(self.spec.network, [w for w in weights if w is not None], (4,))
            found = self._tested(network, [task.test_set()] * len(results), "test")
            self.simulation_s += network.simulation_time_s
            for result, (metrics, _) in zip(results, found, strict=True):
                result.test = metrics
        baselines = baselines_of(task) if rank() == 0 else {}
        for result in results:
            result.baselines = baselines

    def _report(self) -> None:
        records = self.members[0].result.records
        if self.on_progress is not None and records:
            self.on_progress(self._stream.progress, records[-1])


def _side_by_side(samples: list[Samples]) -> Samples:
    if len(samples) == 1:
        return samples[0]
    return Samples(np.stack([s.stimuli for s in samples]), np.stack([s.targets for s in samples]))


def _tested(network: Network, task: Task, samples: list[Samples]) -> list[tuple[Metrics, Metrics]]:
    """Scores and rates of networks side by side, each on samples of its own."""
    alone = len(samples) == 1
    rates = [Rates(network.circuit) for _ in samples]
    found: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    for piece, trial in _present(network, _side_by_side(samples), learn=False):
        found.append((trial.output, trial.apical_error, trial.interneuron_error))
        for i, own in enumerate(rates):
            own.add(*((piece.stimuli, trial.V_soma) if alone else (piece.stimuli[i], trial.V_soma[i])))
    parts = [np.concatenate(each, axis=axis) for each, axis in zip(zip(*found, strict=True), (-2, -1, -1), strict=True)]
    answers = [parts] if alone else list(zip(*parts, strict=True))
    return [
        (scores(task, wanted, *answer), own.metrics())
        for answer, wanted, own in zip(answers, samples, rates, strict=True)
    ]


def _present(network: Network, samples: Samples, *, learn: bool) -> Iterator[tuple[Samples, TrialResult]]:
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
