# SPDX-License-Identifier: GPL-2.0-or-later
"""Writing so that what was whole stays whole: in one step, or one line at a time; and what is said when it fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import UserError

FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota of disk space is used up"}


def reason(error: OSError) -> str:
    """Why the file system refuses, in words."""
    return FULL.get(error.errno or 0, error.strerror or str(error))


@contextmanager
def told(path: Path, then: str) -> Iterator[None]:
    """Turn what the file system refuses into a UserError.

    Parameters
    ----------
    path : Path
        What is written.
    then : str
        What to do when there is room again.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason(error)}; make room, then {then}") from error


def write_in_one_step(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that a reader sees the former one or the new one, never half of it, and so that it is on disk.

    Parameters
    ----------
    path : Path
        The file.
    write : callable
        Writes the content to an open file.
    """
    scratch = path.with_name(path.name + ".part")
    try:
        with scratch.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError:
        with suppress(OSError):  # room for others
            scratch.unlink()
        raise


def append_line(path: Path, line: str) -> None:
    """Append a line of text and put it on disk; of a line that cannot be written whole, nothing stays.

    What a killed process has left of a line stays a line of its own.
    """
    with path.open("ab+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        torn = file.read(1) not in (b"", b"\n")
        left = memoryview((b"\n" if torn else b"") + line.encode() + b"\n")
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(end)
            raise
