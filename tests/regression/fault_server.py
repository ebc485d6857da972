# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the command line in forked children whose disk fails, or which are killed; imports take their time only once.

Every line of standard input is a JSON list: arguments, folder, and what goes wrong, {"call": n, "mode": "kill" or "full"},
{"after": seconds}, which kills after so long, or with "part": n, so long after checkpoint number n has begun to be written. The
answer is one line too: exit code (negative: signal), number of calls that change the folder (-1: killed), standard error.
"""

import ctypes
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from pynest_tools.cli import main

MODES = {"kill": 1, "full": 2}
disk = ctypes.CDLL(None)  # preloaded


def child(arguments, folder, fault, errors, calls):
    """What the forked process does; never returns."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(errors.fileno(), 2)
    disk.faults_arm(folder.encode(), ctypes.c_long(fault.get("call", 0)), MODES.get(fault.get("mode"), 0))
    try:
        code = main(arguments, standalone_mode=True)
    except SystemExit as end:
        code = end.code
    except BaseException:  # what a user would see as a traceback
        sys.excepthook(*sys.exc_info())
        code = 1
    seen = disk.faults_seen()
    disk.faults_arm(b"", 0, 0)
    calls.write(str(seen).encode())
    calls.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def kill(pid, folder, fault):
    """End the process at its instant, unless it has ended before."""
    seen, there = 0, False
    while seen < fault.get("part", 0) and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        was, there = there, is_writing(Path(folder) / "checkpoint")  # for a millisecond only: no time to sleep
        seen += there and not was
    time.sleep(fault["after"])
    os.kill(pid, signal.SIGKILL)


def is_writing(checkpoints):
    """Whether there is an unfinished checkpoint; of the last or the best."""
    for place in (checkpoints, checkpoints / "best"):
        with suppress(FileNotFoundError):
            if any(name.endswith(".part") for name in os.listdir(place)):
                return True
    return False


def serve(arguments, folder, fault):
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as calls:
        if (pid := os.fork()) == 0:
            child(arguments, folder, fault, errors, calls)
        if "after" in fault:
            kill(pid, folder, fault)
        _, status = os.waitpid(pid, 0)
        errors.seek(0)
        calls.seek(0)
        return os.waitstatus_to_exitcode(status), int(calls.read() or -1), errors.read().decode()


with tempfile.TemporaryDirectory() as place:  # loads what is loaded late
    sys.stdout.flush()
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    main(["train", "bars", "--backend", "steady", "--epochs", "1", "--output", f"{place}/run"], standalone_mode=False)
    os.dup2(out, 1)
for line in sys.stdin:
    print(json.dumps(serve(*json.loads(line))), flush=True)
