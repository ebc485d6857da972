# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmarks run, and what they find is of the right size; times are judged loosely, this machine may be busy."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "experiments" / "benchmarks"


def figures_of(name):
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--quick"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.slow
def test_plasticity():
    figures = figures_of("plasticity")
    assert figures["bytes_per_synapse"] <= 48
    # measured 1.1 and 1.4 on an idle machine; NEST's built-in 40 to 60 and 12: factors that no neighbour makes up for
    assert figures["ours_over_static_10"] < 2
    assert figures["ours_over_static_1000"] < 3
    assert figures["builtin_over_ours_10"] > 20
    assert figures["builtin_over_ours_1000"] > 4


@pytest.mark.slow
def test_training():
    figures = figures_of("training")
    assert figures["ms_bars_population_1"] < 40  # measured 6 ms; the thesis's implementation: 46 ms
    assert figures["ms_bars_population_1"] < figures["ms_bars_spikes_1"]


@pytest.mark.slow
def test_growth():
    figures = figures_of("growth")
    assert figures["silence_growth_MB"] < 0.5
    assert figures["memory_slope"] == pytest.approx(1.0, abs=0.15)  # 1e4 synapses are not much beside pages of 4 kB


@pytest.fixture
def scaling(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import scaling

    return scaling


def test_the_model_finds_what_it_assumes(scaling):
    """Coefficients that differ from case to case in nothing but what is counted; a sum of squares that is 0 has one minimum."""
    counts = {
        n: {
            "cells": n + 20.0,
            "inputs": 784.0,
            "senders": 500.0 * (177.0 + n),
            "signals": 1e4,
            "events_population": 9e4 * n,
        }
        for n in (10, 60, 150, 300, 600)
    }
    rng = np.random.default_rng(1)
    true = {part: rng.uniform(1e-6, 1e-5, len(names)) for part, names in scaling.COEFFICIENTS.items()}
    measured = {}
    for case in scaling.FITTED:
        parts = scaling.predict(true, case, counts[case.hidden], 1.2)
        measured[case] = {f"{part}_ms": time for part, time in parts.items()} | {"wall_ms": sum(parts.values())}
    model = scaling.fit(measured, counts, 1.2)
    for case in scaling.HELD_OUT:
        found, wanted = (sum(scaling.predict(each, case, counts[case.hidden], 1.2).values()) for each in (model, true))
        assert found == pytest.approx(wanted, rel=1e-9)  # exact but for rounding in the least squares


def test_twice_the_cores_halve_what_is_shared(scaling):
    model = {part: np.ones(len(names)) for part, names in scaling.COEFFICIENTS.items()}
    few, many = (scaling.predict_large(model, 1.0, cores, 1, 0.1, 1.0) for cores in (128, 256))
    assert many["update"] == pytest.approx(few["update"] / 2)
    assert few["delivery"] / 2 < many["delivery"] < few["delivery"]  # events have to be looked up by every process
    assert scaling.exchange_ms(1, 1, 0.0) == 0.0
