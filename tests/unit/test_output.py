# SPDX-License-Identifier: GPL-2.0-or-later
"""Standard output that breaks, or that lacks characters, loses output and not the work."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys

import pytest

from pynest_tools.view.output import Output, spelled

TRAIN = ["-m", "pynest_tools", "train", "bars", "--backend", "backprop", "--epochs", "30", "--output"]


def test_what_an_encoding_lacks_is_spelled():
    assert spelled("R² 0.9 ± 0.1 mV², ψ → 中", "ascii") == "R^2 0.9 +- 0.1 mV^2, psi -> ?"
    assert spelled("R² ± ψ", "latin-1") == "R² ± psi"
    assert spelled("R² → 中", "utf-8") == "R² → 中"
    assert spelled("a\udcffb", "utf-8") == "a?b"  # of a path that is no text


def test_a_stream_that_breaks_is_told_of_once():
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    said = []
    output = Output(Full(), said.append)
    for _ in range(3):
        assert output.write("text") == 4
        output.flush()
    assert said == ["the output is lost from here on (No space left on device), and the work goes on"]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_run_ends_well_in_any_encoding(tmp_path, encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, *TRAIN, tmp_path / "run"], env=environment, capture_output=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert {"ascii": b"mV^2", "latin-1": "mV²".encode("latin-1")}[encoding] in done.stdout


@pytest.mark.slow
def test_a_pipe_that_closes_does_not_end_a_run(tmp_path):
    """As in `pyramidal train bars | head -1`."""
    process = subprocess.Popen(
        [sys.executable, *TRAIN, tmp_path / "run", "--set", "training.test_interval=1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=300) == 0
    assert errors == "note: the output is lost from here on (nobody reads it), and the work goes on\n"
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["epochs"] == 30
    assert (tmp_path / "run" / "figures" / "training.png").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_an_output_on_a_full_disk_does_not_end_a_run(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, *TRAIN, tmp_path / "run"], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            timeout=300,
        )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == "note: the output is lost from here on (No space left on device), and the work goes on\n"
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["epochs"] == 30
