# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmarks run, and what they find is of the right size; times are judged loosely, this machine may be busy."""

import json
import subprocess
import sys
from pathlib import Path

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
