# SPDX-License-Identifier: GPL-2.0-or-later
"""One writer at a time in a run's folder: processes, threads, objects; and nothing left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from pynest_tools.cli import main
from pynest_tools.errors import Remark, UserError
from pynest_tools.kernel import parallel
from pynest_tools.runs import api, comparison, lock
from pynest_tools.runs.folder import RunFolder
from pynest_tools.runs.lock import NAME, FolderLock
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import resume, train

SHORT = {"backend": "backprop", "training": {"epochs": 2, "test_interval": 1}}
SPEC = RunSpecification.for_task("bars", SHORT)
HOLD = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from pynest_tools.runs.lock import FolderLock\n"
    "with FolderLock(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(100)\n"
)


@pytest.fixture
def holder():
    """Starts processes that hold a folder; all are killed at the end."""
    started = []

    def hold(folder):
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != NAME}


def test_another_process_is_refused_and_told_who_holds_it(tmp_path, holder):
    process = holder(tmp_path)
    with pytest.raises(UserError) as refused, FolderLock(tmp_path):
        pass
    host = re.escape(socket.gethostname())
    said = rf"{tmp_path} is in use: process {process.pid} on {host} has been writing this run since ([-\d]+ [:\d]+); "
    found = re.match(said + "wait until it has ended, or name another folder", str(refused.value))
    assert found
    since = time.mktime(time.strptime(found[1], "%Y-%m-%d %H:%M:%S"))
    assert abs(time.time() - since) < 60.0  # seconds that the start of a process may take on a busy machine


def test_a_killed_holder_leaves_a_folder_that_can_be_held(tmp_path, holder):
    process = holder(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / NAME).is_file()
    with FolderLock(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} on"), FolderLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_every_writer_is_refused_and_changes_nothing(tmp_path, holder):
    folder = RunFolder.create(tmp_path / "run", SPEC)
    train(SPEC, folder)
    before, path = content(folder.path), str(folder.path)
    holder(folder.path)
    for write in (
        lambda: RunFolder.create(path, SPEC, overwrite=True),
        lambda: train(SPEC, RunFolder(path)),
        lambda: resume(RunFolder(path), SPEC),
        lambda: api.train(task="bars", backend="backprop", output=path, overwrite=True),
        lambda: api.resume(path, changes={"training": {"epochs": 9}}),
        lambda: comparison.compare({"backprop": SPEC}, folder.path, overwrite=True),
    ):
        with pytest.raises(UserError, match="is in use: process"):
            write()
    for arguments in (["train", "bars", "--overwrite", "--output", path], ["resume", path], ["evaluate", path]):
        said = CliRunner().invoke(main, arguments)
        assert said.exit_code == 2
        assert re.match(r"Error: .* is in use: process \d+ on .*\n$", said.stderr)
    assert content(folder.path) == before


def test_readers_need_no_lock(tmp_path, holder):
    folder = RunFolder.create(tmp_path / "run", SPEC)
    result = train(SPEC, folder)
    holder(folder.path)
    run = api.open_run(folder.path)
    assert run.result.records == result.records
    assert run.evaluate()[0]["loss"] == pytest.approx(
        result.test["loss"], rel=1e-12
    )  # the same sums, differently split
    assert CliRunner().invoke(main, ["plot", str(folder.path)]).exit_code == 0


def test_one_comparison_at_a_time(tmp_path, holder):
    holder(tmp_path / "all" / "ode")
    with pytest.raises(UserError, match=r"all/ode is in use"):
        comparison.compare({"ode": SPEC}, tmp_path / "all", overwrite=True)


def test_a_thread_and_another_object_are_refused(tmp_path):
    held = FolderLock(tmp_path)
    with ThreadPoolExecutor(1) as pool, held, held:  # the same thread may, so that train may be called within

        def enter(chosen):
            with chosen:
                pass

        for other in (held, FolderLock(tmp_path)):
            with pytest.raises(UserError, match="is in use"):
                pool.submit(enter, other).result()
        (tmp_path / NAME).read_text()  # opening and closing the file loses a POSIX lock, but not this one
        with pytest.raises(UserError, match="is in use"):
            enter(FolderLock(tmp_path))
    enter(FolderLock(tmp_path))


@pytest.mark.slow
def test_many_threads_hold_it_one_after_the_other(tmp_path):
    """The file is removed and made anew all the time: nobody may take a removed one for the lock."""
    inside, most, entered = [], [], []

    def work(_):
        while len(entered) < 300:
            try:
                with FolderLock(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    entered.append(1)
                    time.sleep(0.0002)
                    inside.pop()
            except UserError:
                pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert set(most) == {1}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_moved_or_removed_is_no_hindrance(tmp_path):
    with FolderLock(tmp_path / "run"):
        (tmp_path / "run").rename(tmp_path / "moved")
        with pytest.raises(UserError, match="is in use"), FolderLock(tmp_path / "moved"):
            pass
        with FolderLock(tmp_path / "run"):
            pass  # another one in its place
    with FolderLock(tmp_path / "moved"):
        shutil.rmtree(tmp_path / "moved")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "fcntl", unknown)
    with pytest.warns(Remark, match=r"has no locks \(No locks available\): take care"), FolderLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_no_hindrance_to_the_lock(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with FolderLock(tmp_path), pytest.raises(UserError, match="another process is writing"), FolderLock(tmp_path):
        pass


class Processes:
    """Threads that stand for MPI processes; tests/mpi has the real ones."""

    def __init__(self, n):
        self.own, self.n, self.value = threading.local(), n, None
        self.barrier = threading.Barrier(n, timeout=60)
        self.COMM_WORLD = self

    def bcast(self, value):
        if self.own.rank == 0:
            self.value = value
        self.barrier.wait()
        found = self.value
        self.barrier.wait()
        return found

    Barrier = property(lambda self: self.barrier.wait)

    def run(self, work):
        def one(rank):
            self.own.rank = rank
            try:
                return work()
            except UserError as error:
                return str(error)

        with ThreadPoolExecutor(self.n) as pool:
            return list(pool.map(one, range(self.n)))


@pytest.fixture
def processes(monkeypatch):
    made = Processes(3)
    for name, value in (("n_processes", lambda: made.n), ("rank", lambda: made.own.rank), ("_world", lambda: made)):
        monkeypatch.setattr(parallel, name, value)
    return made


def test_all_mpi_processes_hold_it_together_and_are_refused_together(tmp_path, holder, processes):
    def enter():
        with FolderLock(tmp_path):
            processes.barrier.wait()
            held = (tmp_path / NAME).is_file()
            processes.barrier.wait()
            return held

    assert processes.run(enter) == [True] * 3
    process = holder(tmp_path)
    said = processes.run(enter)
    assert len(set(said)) == 1
    assert f"is in use: process {process.pid}" in said[0]


def test_all_mpi_processes_are_told_of_a_folder_that_is_not_empty(tmp_path, processes, monkeypatch):
    monkeypatch.setattr(lock, "in_first", parallel.in_first)
    (tmp_path / "notes.txt").write_text("mine")
    said = processes.run(lambda: RunFolder.create(tmp_path, SPEC))
    assert len(set(said)) == 1
    assert "is not empty" in said[0]
    assert {path.name for path in Path(tmp_path).iterdir()} == {"notes.txt"}
