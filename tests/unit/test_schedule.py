# SPDX-License-Identifier: GPL-2.0-or-later
"""Schedules of learning rates, at times where their formulas are known by heart."""

import math

import pytest

from pynest_tools.runs.schedule import Decay, Schedule

FINAL = 0.1


def factor(epoch, epochs=100, **entries):
    (found,) = Schedule(final=FINAL, **entries).factors(epoch, epochs, 1)
    return found


@pytest.mark.parametrize(
    ("kind", "beginning", "middle", "end"),
    [("constant", 1.0, 1.0, 1.0), ("exponential", 1.0, math.sqrt(FINAL), FINAL), ("cosine", 1.0, 0.55, FINAL)],
)
def test_beginning_middle_and_end(kind, beginning, middle, end):
    found = [factor(epoch, kind=kind) for epoch in (0.0, 50.0, 100.0)]
    assert found == pytest.approx([beginning, middle, end], rel=1e-12)


def test_a_cosine_falls_all_the_time():
    found = [factor(epoch, kind="cosine") for epoch in range(101)]
    assert found == sorted(found, reverse=True)


def test_steps_fall_at_their_epochs():
    steps = {"kind": "steps", "steps": (10.0, 30.0)}
    times = {0.0: 1.0, 9.99: 1.0, 10.0: FINAL, 29.99: FINAL, 30.0: FINAL**2, 100.0: FINAL**2}
    assert [factor(epoch, **steps) for epoch in times] == pytest.approx(list(times.values()), rel=1e-12)


def test_warm_up_rises_from_0_and_multiplies_the_course():
    assert [factor(epoch, warmup=(10.0,)) for epoch in (0.0, 2.5, 10.0, 50.0)] == [0.0, 0.25, 1.0, 1.0]
    assert factor(5.0, kind="exponential", warmup=(10.0,)) == pytest.approx(0.5 * FINAL**0.05, rel=1e-12)
    assert Schedule(warmup=(10.0, 0.0)).factors(5.0, 100, 2) == (0.5, 1.0)


def test_weights_decay_by_time():
    assert Decay(up=0.01, pi=0.0).factors(50.0) == {"up": pytest.approx(math.exp(-0.5), rel=1e-15)}
