# SPDX-License-Identifier: GPL-2.0-or-later
"""Progress of a study says how many runs have ended, how the others stand, and how long the rest takes."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from pynest_tools.view.study_display import StudyDisplay, duration

RECORD = {"epoch": 100, "samples": 100, "validation_loss": 0.0123, "validation_accuracy": 0.98}


class Clock:
    """A time that passes only when it is told to."""

    now = 1000.0

    def __call__(self):
        return self.now


def shown(total, *, terminal=False, **arguments):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)
    clock = Clock()
    return StudyDisplay(console, total, clock=clock, **arguments), console.file, clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (720, "12 min"), (6000, "1.7 h"), (3 * 86400, "3.0 days")],
)
def test_times_can_be_read_at_a_glance(seconds, text):
    assert duration(seconds) == text


def test_without_a_terminal_there_is_a_line_for_each_end():
    display, file, clock = shown(3)
    with display:
        display.begin("psi=50-seed1", 300)
        clock.now += 35
        display.update("psi=50-seed1", 300, RECORD)
        assert file.getvalue() == ""
        display.end("psi=50-seed1", "done")
        display.begin("psi=5-seed1", 300)
        display.end("psi=5-seed1", "failed", "no [module] was found")
        display.end("psi=5-seed2", "elsewhere")
    # one of three runs took 35 s: the two others 70 s; the failed one then leaves one
    assert file.getvalue().splitlines() == [
        "[1/3] psi=50-seed1: validation accuracy 98.0%  loss 0.0123, 35 s; about 70 s left",
        "[2/3] psi=5-seed1: failed, no [module] was found, 0 s; about 35 s left",
        "[3/3] psi=5-seed2: elsewhere",
    ]


def test_a_terminal_shows_all_runs_and_those_that_go_on():
    display, file, clock = shown(27, terminal=True, done=11)
    with display:
        display.begin("a", 300)
        display.begin("b", 200, 50)
        clock.now += 10
        display.update("a", 100, RECORD)
    last = file.getvalue().split("27 runs")[-1]
    assert "11/27 runs" in file.getvalue()
    assert re.search(r"^a +epoch 100/300 +validation accuracy 98.0%  loss 0.0123", last, re.MULTILINE)
    assert re.search(r"^b +epoch 50/200", last, re.MULTILINE)
    assert "0:00:10" in last


def test_a_terminal_keeps_what_went_wrong_and_drops_what_went_well():
    display, file, _ = shown(2, terminal=True)
    with display:
        for name, status in (("good", "done"), ("bad", "diverged")):
            display.begin(name, 10)
            display.end(name, status)
    assert "[2/2] bad: diverged, 0 s" in file.getvalue()
    assert "good: " not in file.getvalue()


def test_the_time_left_is_told_from_the_work_done_since_the_start():
    display, _, clock = shown(6, done=2, work={"a": 3.0, "b": 1.0, "c": 1.0})
    with display:
        assert display.left is None
        display.begin("a", 100, 60)  # of 3 it has 1.2 ahead
        clock.now += 60
        assert display.left is None  # nothing was done yet
        display.update("a", 80, RECORD)
        # 0.6 took 60 s; ahead are 0.6 of a, b, c, and one run of work 1 that has no name yet
        assert display.left == pytest.approx(60 * 3.6 / 0.6)
        display.begin("b", 10)
        display.update("b", 5, RECORD)
        assert display.left == pytest.approx(60 * 3.1 / 1.1)
        display.end("b", "diverged")  # the rest of it is no longer ahead, but was not done either
        assert display.left == pytest.approx(60 * 2.6 / 1.1)
        display.end("a", "interrupted")  # it still has to be done
        assert display.left == pytest.approx(60 * 2.6 / 1.1)


def test_an_interrupted_run_has_not_ended():
    display, file, _ = shown(2)
    with display:
        display.begin("a", 10)
        display.end("a", "interrupted")
    assert file.getvalue() == "[0/2] a: interrupted, 0 s\n"
