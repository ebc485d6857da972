# SPDX-License-Identifier: GPL-2.0-or-later
"""Killed at any instant, or with a disk that is full at any write, a run goes on bit for bit as if nothing had happened."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
RUN = [
    "train", "bars", "--backend", "steady", "--epochs", "6", "--hidden", "8", "--set", "training.test_interval=2",
    "--set", "training.patience=100",
]  # fmt: skip
CLOCK = ("wall_s", "samples_per_s")
KILLED = -9


class Server:
    """Command lines in processes whose disk fails; see fault_server.py."""

    def __init__(self, library):
        environment = os.environ | {
            "LD_PRELOAD": str(library),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "fault_server.py")],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __call__(self, arguments, folder, **fault):
        self._process.stdin.write(json.dumps([arguments, str(folder), fault]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def train(self, folder, **fault):
        return self([*RUN, "--output", str(folder), "--overwrite"], folder, **fault)

    def resume(self, folder, **fault):
        return self(["resume", str(folder)], folder, **fault)

    def close(self):
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc to build the disk that fails")
    library = tmp_path_factory.mktemp("faults") / "faulty_disk.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "faulty_disk.c", "-ldl"], check=True)
    made = Server(library)
    yield made
    made.close()


def outcome(folder):
    """Everything that a run has kept, but for the clock."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    arrays = {}
    for path in sorted(folder.glob("checkpoint/**/*.npz")):
        with np.load(path) as archive:
            arrays[path.relative_to(folder)] = {name: archive[name] for name in archive.files if name != "simulation_s"}
    summary = json.loads((folder / "summary.json").read_text())
    return (
        [{key: value for key, value in record.items() if key not in CLOCK} for record in records],
        (summary["test"], summary["best"], summary["interrupted"]),
        (folder / "config.toml").read_bytes(),
        arrays,
    )


@pytest.fixture(scope="module")
def undisturbed(server, tmp_path_factory):
    """The run, and the number of calls with which it changed its folder."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    code, calls, errors = server.train(folder)
    assert (code, errors) == (0, "")
    return outcome(folder), calls


def assert_goes_on(server, folder, undisturbed):
    """What is left can be resumed, or, if the run had not begun, be trained; nothing differs then, and nothing is left over."""
    is_run = (folder / "config.toml").is_file()
    code, _, errors = server.resume(folder) if is_run else server.train(folder)
    assert code == 0, errors
    found = outcome(folder)
    assert found[:3] == undisturbed[0][:3]
    assert set(found[3]) == set(undisturbed[0][3])
    for path, arrays in found[3].items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, undisturbed[0][3][path][name], err_msg=f"{path} {name}")
    left = {path.name for path in folder.rglob("*") if path.suffix == ".part" or path.name == ".lock"}
    assert left == set()


def kill_at_call(server, folder, undisturbed, call):
    code, _, errors = server.train(folder, call=call, mode="kill")
    assert (code, errors) == (KILLED, ""), call
    assert_goes_on(server, folder, undisturbed)


def full_from_call(server, folder, undisturbed, call):
    code, _, errors = server.train(folder, call=call, mode="full")
    if code != 0:  # 0: nothing was left to write that matters
        assert code == 2, errors
        assert errors.startswith("Error: cannot write "), errors
        assert "the disk is full; " in errors
        assert errors.count("\n") == 1, errors
    assert_goes_on(server, folder, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [kill_at_call, full_from_call])
def test_a_fault_at_some_of_all_calls(server, undisturbed, tmp_path, fault):
    calls = undisturbed[1]
    for call in np.linspace(1, calls, 8, dtype=int):
        fault(server, tmp_path / str(call), undisturbed, int(call))


@pytest.mark.nightly
@pytest.mark.parametrize("fault", [kill_at_call, full_from_call])
def test_a_fault_at_every_call(server, undisturbed, tmp_path, fault):
    calls = undisturbed[1]
    assert calls > 200
    for call in range(1, calls + 1):
        folder = tmp_path / str(call)
        fault(server, folder, undisturbed, call)
        shutil.rmtree(folder)


@pytest.mark.nightly
@pytest.mark.parametrize("writing", [False, True])
def test_a_hundred_kills(server, undisturbed, tmp_path, writing):
    """At random times of a run and of its resumptions; or all while a checkpoint is being written, part of which is then there."""
    rng = np.random.default_rng(1)
    kills, folder = 0, tmp_path / "run"
    while kills < 100:
        is_run = (folder / "config.toml").is_file()
        # a run takes some 0.4 s and writes 8 checkpoints, of a millisecond each
        instant = (
            {"part": int(rng.integers(1, 5)), "after": rng.uniform(0, 1e-3)}
            if writing
            else {"after": rng.uniform(0, 0.4)}
        )
        code, _, errors = (server.resume if is_run else server.train)(folder, **instant)
        assert code in (0, KILLED), errors
        kills += code == KILLED and (not writing or any(folder.glob("checkpoint/**/*.part")))
        if code == 0:
            assert_goes_on(server, folder, undisturbed)
            shutil.rmtree(folder)
    assert_goes_on(server, folder, undisturbed)
