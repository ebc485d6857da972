# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark of several processes runs, and its parts add up; times are judged loosely, this machine may be busy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "experiments" / "benchmarks" / "scaling.py"


def test_scaling(tmp_path):
    command = [sys.executable, BENCHMARK, "--quick", "--output", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout.splitlines()[-1])
    assert 0.1 < figures["speedup_2_processes"] < 4.0  # measured 1.3 to 1.8
    for entry in json.loads((tmp_path / "scaling.json").read_text())["runs"]:
        for times in entry["runs"]:
            parts = sum(
                times[f"{part}_ms"] for part in ("update", "delivery", "communication", "rest of NEST", "Python")
            )
            assert parts == pytest.approx(times["wall_ms"])
            assert min(times.values()) > 0.0
