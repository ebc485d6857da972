# SPDX-License-Identifier: GPL-2.0-or-later
"""The samples of a run in the order in which they are learned, epoch after epoch, from test to test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import UserError
from ..tasks import Samples, Task
from .specification import TrainingParameters


class Stream:
    """Where a run is in its samples; it can go on from there, bit for bit.

    Parameters
    ----------
    task : Task
        What is learned.
    training : TrainingParameters
        Epochs, and how often there is a test.
    rng : numpy.random.Generator
        Decides the samples of all epochs.
    by_epoch : bool
        Whether something changes from epoch to epoch, so that a stretch of samples ends with each of them, not only at tests.

    Attributes
    ----------
    epoch : int
        Number of whole epochs that are done.
    position : int
        Number of samples of the next epoch that are done.
    samples : int
        Number of all samples that are done.
    """

    def __init__(
        self, task: Task, training: TrainingParameters, rng: np.random.Generator, *, by_epoch: bool = False
    ) -> None:
        self._task, self._training, self._rng, self._by_epoch = task, training, rng, by_epoch
        self.epoch = self.position = self.samples = 0
        self._current: Samples | None = None  # samples of the epoch that has begun
        self._order: dict[str, Any] = dict(rng.bit_generator.state)  # of the generator when that epoch was drawn
        self._places: list[
            tuple[int, int, int, int]
        ] = []  # of the last samples: epoch, first sample, how many, of how many

    @property
    def state(self) -> dict[str, Any]:
        """All that `restore` needs, as JSON can hold it."""
        return {"epoch": self.epoch, "position": self.position, "samples": self.samples, "order": self._order}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.epoch, self.position, self.samples = state["epoch"], state["position"], state["samples"]
        self._order = state["order"]
        self._rng.bit_generator.state = self._order
        self._current = self._draw() if self.position > 0 else None
        if self._current is not None and self.position >= len(self._current):
            raise UserError(
                f"an epoch of task {self._task.name} has {len(self._current)} samples, and the run had done {self.position} of one: "
                "its data have changed; put the former data back, or begin a new run"
            )

    @property
    def progress(self) -> float:
        """Number of epochs that are done; whole after whole epochs."""
        return self.epoch + self.position / len(self._present()) if self.position > 0 else self.epoch

    @property
    def ended(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self._training.epochs

    @property
    def at_test(self) -> bool:
        """Whether the samples that are done end where there is a test."""
        every = self._training.test_every
        if every > 0:
            return self.ended or self.samples % every == 0
        return self.position == 0 and (self.ended or self._has_test(self.epoch))

    def _has_test(self, epoch: int) -> bool:
        """Whether there is a test after so many whole epochs."""
        training = self._training
        if training.tests_per_decade == 0 or epoch == 0:
            return epoch % training.test_interval == 0
        k = training.tests_per_decade * math.log10(epoch)
        return any(round(10.0 ** (i / training.tests_per_decade)) == epoch for i in (math.floor(k), math.ceil(k)))

    @property
    def at_end_of_stretch(self) -> bool:
        """Whether the samples that are done end a stretch: at a test, or with an epoch if these are apart."""
        return self.at_test or (self._by_epoch and self.position == 0)

    def middle_of_stretch(self) -> float:
        """Number of epochs that will be done half-way through the stretch that begins, if epochs are apart."""
        size, every = len(self._present()), self._training.test_every
        ahead = size - self.position
        if every > 0:
            ahead = min(ahead, every - self.samples % every)
        return self.epoch + (self.position + ahead / 2.0) / size

    def take(self, n: int) -> Samples:
        """The next n samples, or fewer if the stretch ends before; at least one."""
        parts: list[Samples] = []
        self._places = []
        while n > 0 and not (parts and self.at_end_of_stretch):
            epoch = self._present()
            size = min(n, len(epoch) - self.position)
            if (every := self._training.test_every) > 0:
                size = min(size, every - self.samples % every)
            parts.append(epoch.take(slice(self.position, self.position + size)))
            self._places.append((self.epoch, self.position, size, len(epoch)))
            self.samples += size
            self.position += size
            n -= size
            if self.position == len(epoch):
                self.epoch, self.position, self._current = self.epoch + 1, 0, None
                self._order = dict(self._rng.bit_generator.state)
        if len(parts) == 1:
            return parts[0]
        return Samples(np.concatenate([p.stimuli for p in parts]), np.concatenate([p.targets for p in parts]))

    def place(self, i: int) -> str:
        """Where number i of the samples last taken is: ``epoch 3, sample 17 of 24``, counted from 1."""
        for epoch, first, size, of in self._places:
            if i < size:
                return f"epoch {epoch + 1}, sample {first + i + 1} of {of}"
            i -= size
        raise IndexError(i)

    def _present(self) -> Samples:
        if self._current is None:
            self._current = self._draw()
        return self._current

    def _draw(self) -> Samples:
        samples = self._task.epoch(self._rng)
        if len(samples) == 0:
            raise ValueError(f"an epoch of task {self._task.name} holds no samples")
        return samples
