# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark of several processes runs; tests/regression has its model of cost."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import launch

BENCHMARKS = Path(__file__).parents[2] / "experiments" / "benchmarks"


def test_the_benchmark_runs(tmp_path):
    run = launch(0, BENCHMARKS / "scaling.py", "--quick", "--output", tmp_path)
    assert run.returncode == 0, run.stderr
    assert "Model of cost: check" in run.stdout
    measured = json.loads((tmp_path / "scaling.json").read_text())
    for runs in [*measured["pair"], *(entry["runs"] for entry in measured["runs"])]:
        for figures in runs:
            assert min(figures.values()) > 0.0, figures  # what NEST's timers leave over, too
