# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs in processes of their own: whatever becomes of one, the others go on, and all end with whoever has started them."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from pynest_tools.errors import Remark, UserError
from pynest_tools.runs.workers import ENDED, Job, Outcome, run_jobs


def double(x, send):
    send(("has", x))
    return 2 * x


def fail(kind, send):
    if kind == "abort":
        os.abort()
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "exit":
        os._exit(3)
    if kind == "user":
        raise UserError("this cannot be; do that instead")
    raise ZeroDivisionError("no number")


def remark(send):
    warnings.warn("something to know", Remark, stacklevel=1)
    return os.environ["OMP_NUM_THREADS"]


def talk_for_ever(send):
    while True:
        send("still here")
        time.sleep(0.01)


def hold_the_interpreter(path, send):
    """As NEST does in a long Simulate: no other thread of the process gets a turn."""
    Path(path).write_text(str(os.getpid()))
    sys.setswitchinterval(1000.0)
    while True:
        pass


def done(jobs, n=2, on_message=lambda job, message: None):
    """Outcomes of jobs by name, and messages in their order."""
    queue, outcomes, messages = list(jobs), {}, []

    def hear(job, message):
        messages.append((job.name, message))
        return on_message(job, message)

    run_jobs(
        lambda: queue.pop(0) if queue else None, n, hear, lambda job, outcome: outcomes.update({job.name: outcome})
    )
    return outcomes, messages


def test_every_job_is_done_and_tells():
    outcomes, messages = done([Job(str(x), double, (x,)) for x in range(3)])
    assert outcomes == {"0": Outcome(0), "1": Outcome(2), "2": Outcome(4)}
    assert sorted(messages) == [("0", ("has", 0)), ("1", ("has", 1)), ("2", ("has", 2))]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("abort", "its process died (SIGABRT)"),
        ("kill", "its process died (SIGKILL, as when memory is exhausted)"),
        ("exit", "its process died (exit code 3)"),
        ("user", "this cannot be; do that instead"),
        ("other", "ZeroDivisionError: no number"),
    ],
)
def test_a_failure_is_an_outcome_and_the_others_go_on(kind, told, capfd):
    outcomes, _ = done([Job("bad", fail, (kind,)), Job("good", double, (4,)), Job("after", double, (5,))])
    assert outcomes == {"bad": Outcome(error=told), "good": Outcome(8), "after": Outcome(10)}
    assert ("Traceback" in capfd.readouterr().err) == (kind == "other")  # a fault of the program, to be reported


def test_remarks_are_messages_and_a_process_has_one_core():
    outcomes, messages = done([Job("one", remark, ())])
    assert [(name, str(message)) for name, message in messages] == [("one", "something to know")]
    assert outcomes["one"].value == os.environ.get("OMP_NUM_THREADS", "1")


def test_a_job_is_ended_on_demand():
    outcomes, messages = done(
        [Job("talk", talk_for_ever, ()), Job("other", double, (1,))], on_message=lambda job, _: job.name == "talk"
    )
    assert outcomes == {"talk": Outcome(error=ENDED), "other": Outcome(2)}
    assert [name for name, _ in messages].count("talk") == 1


def test_an_exception_ends_all_processes(tmp_path):
    def interrupt(job, message):
        raise KeyboardInterrupt

    pid = tmp_path / "pid"
    jobs = [Job("spin", hold_the_interpreter, (str(pid),)), Job("talk", talk_for_ever, ())]
    with pytest.raises(KeyboardInterrupt):
        done(jobs, on_message=interrupt)
    assert not pid.exists() or not is_alive(int(pid.read_text()))


def test_processes_die_with_whoever_has_started_them(tmp_path):
    """By SIGKILL, and although they are too busy to notice."""
    pid = tmp_path / "pid"
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_workers as t\n"
        f"t.done([t.Job('spin', t.hold_the_interpreter, ({str(pid)!r},))])"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        wait_until(lambda: pid.exists() and pid.read_text())
        child = int(pid.read_text())
        assert is_alive(child)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not is_alive(child))


def wait_until(condition):
    deadline = time.monotonic() + 30.0  # a busy machine needs seconds to start Python
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid):
    """Whether there is such a process, and not only its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
