# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of NEST and NESTML are still what docs/upstream.md says: else what guards against them here may go."""

import os
import subprocess
import sys

import pytest
from upstream import MENDED, scripts

MPI = 1  # number of the script that needs several processes: tests/mpi/test_doubled_connections.py


def test_the_page_is_read():
    assert [script.number for script in scripts()] == list(range(1, len(scripts()) + 1))
    assert len(scripts()) > 10


@pytest.mark.slow
@pytest.mark.parametrize("script", [s for s in scripts() if s.number != MPI], ids=lambda s: s.title)
def test_the_fault_is_still_there(script):
    if "pynestml" in script.code:
        pytest.importorskip("pynestml")
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "ASAN_OPTIONS")} | {
        "PYNEST_QUIET": "1"
    }
    command = [sys.executable, "-c", script.code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    said = done.stdout[-len(script.prints) :]  # PyNESTML has NEST greet first
    assert said == script.prints, f"{script.title}: {MENDED}\n{done.stdout}{done.stderr}"
