# SPDX-License-Identifier: GPL-2.0-or-later
"""How learning rates change in the course of a run, and how weights decay."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from ..networks.parameters import PerLayer
from ..settings import Settings


class Schedule(Settings):
    """Factor of the learning rates of a projection: ``kind``, and a linear warm-up that multiplies it."""

    kind: Literal["constant", "exponential", "cosine", "steps"] = Field(
        default="constant",
        description="course of the factor from 1 on; exponential, cosine: to final at the end; steps: times final at each of epochs",
    )
    final: float = Field(default=0.02, gt=0.0, le=1.0, description="factor at the end, or of each step")
    steps: PerLayer = Field(default=(), description='epochs at which the factor falls if kind = "steps"')
    warmup: PerLayer = Field(
        default=(0.0,), description="epochs in which the rate rises linearly from 0, one per layer or one for all"
    )

    def factors(self, epoch: float, epochs: int, layers: int) -> tuple[float, ...]:
        """Factor of the learning rate in each layer.

        Parameters
        ----------
        epoch : float
            Time since the start of the run.
        epochs : int
            Length of the run.
        layers : int
            Number of layers that have the projection.

        Returns
        -------
        tuple of float
            With x = epoch / epochs: 1 (constant), final^x (exponential), final + (1 - final) (1 + cos(pi x)) / 2 (cosine), or final
            to the number of `steps` that have passed; times min(1, epoch / warmup).
        """
        share = epoch / epochs if epochs > 0 else 0.0
        factor = {
            "constant": 1.0,
            "exponential": self.final**share,
            "cosine": self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * share)),
            "steps": self.final ** sum(epoch >= step for step in self.steps),
        }[self.kind]
        warmup = self.warmup * layers if len(self.warmup) == 1 else self.warmup
        return tuple(factor * (min(1.0, epoch / length) if length > 0.0 else 1.0) for length in warmup)


class Schedules(Settings):
    """Schedules by projection, applied from epoch to epoch, and from test to test where these are more frequent.

    In every such stretch of samples the rates are those of its middle. With eta_ip = "match", ip follows up in the next layer.
    """

    up: Schedule = Schedule()
    ip: Schedule = Schedule()
    pi: Schedule = Schedule()
    down: Schedule = Schedule()

    @property
    def changes(self) -> bool:
        """Whether a learning rate changes at all."""
        return any(schedule.kind != "constant" or any(schedule.warmup) for _, schedule in self)


class Decay(Settings):
    """Decay of weights towards 0 while they learn: dW/dt = -rate W in the time of presentations."""

    up: float = Field(default=0.0, ge=0.0, description="rate of decay of up, 1/ms")
    ip: float = Field(default=0.0, ge=0.0, description="rate of decay of ip, 1/ms")
    pi: float = Field(default=0.0, ge=0.0, description="rate of decay of pi, 1/ms")
    down: float = Field(default=0.0, ge=0.0, description="rate of decay of down, 1/ms")

    def factors(self, duration: float) -> dict[str, float]:
        """What is left of each projection's weights after so much time (ms): exp(-rate duration); only where less than all."""
        return {name: math.exp(-rate * duration) for name, rate in self if rate > 0.0}
