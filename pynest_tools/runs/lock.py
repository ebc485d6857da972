# SPDX-License-Identifier: GPL-2.0-or-later
"""One writer at a time in the folder of a run.

The lock is one of the kernel, on an open file (fcntl(2), F_OFD_SETLK): it ends with the process that holds it, however that dies, and
NFS (version 4, and 3 with lockd), Lustre, GPFS and their kin carry it to other machines. It belongs to the open file, not to the
process as POSIX locks do: closing another descriptor of the same file does not lose it, and it excludes threads of one process, too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..errors import Remark, UserError
from ..kernel.parallel import in_first
from .disk import reason

NAME = ".lock"  # in the folder, while somebody holds it
HELD = (errno.EAGAIN, errno.EACCES)  # what fcntl says if somebody else holds it
FLOCK = "@hhqqi0q"  # struct flock: kind, whence, start, length, process
TOLD = 1000  # bytes read of what a holder says of itself


class InUseError(UserError):
    """Somebody else is writing a run."""


def is_held(folder: Path) -> bool:
    """Whether somebody is writing the run in a folder at this moment."""
    try:
        file = os.open(folder / NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        found = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
    except OSError:
        return False
    finally:
        os.close(file)
    return int(struct.unpack(FLOCK, found)[0]) != fcntl.F_UNLCK


class FolderLock:
    """Keeps a folder for one writer, in a ``with`` block, also a nested one of the same thread.

    Of several MPI processes the first one holds it, for all.

    Parameters
    ----------
    folder : Path
        The folder of the run; made if needed.

    Raises
    ------
    UserError
        On entry, in all MPI processes, if somebody else holds the folder (`InUseError`), or nothing can be written there.

    Attributes
    ----------
    excludes : bool
        Whether it keeps others out; false while it is held where the file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.excludes = True
        self._file: int | None = None
        self._depth, self._thread = 0, 0

    def __enter__(self) -> FolderLock:
        if self._depth > 0 and self._thread != threading.get_ident():
            raise InUseError(f"{self._folder} is in use by another thread of this process; wait until that ends")
        if self._depth == 0:
            in_first(self._acquire)
        self._depth, self._thread = self._depth + 1, threading.get_ident()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._release()

    def _acquire(self) -> None:
        path = self._folder / NAME
        while self._file is None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise UserError(
                    f"cannot write to the output folder {self._folder}: {reason(error)}; "
                    "name a writable one with --output"
                ) from error
            try:
                self._lock(file)
                if _is_at(file, path):  # and not a file that its holder has just removed
                    self._file = file
            finally:
                if self._file is None:
                    os.close(file)
        with suppress(OSError):  # a full disk: the lock holds without
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, _this_process().encode(), 0)

    def _lock(self, file: int) -> None:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
        except OSError as error:
            if error.errno in HELD:
                told = os.pread(file, TOLD, 0).decode(errors="replace").strip()
                raise InUseError(
                    f"{self._folder} is in use: {told or 'another process is writing this run'}; wait until it has ended, "
                    "or name another folder"
                ) from error
            self.excludes = False
            warnings.warn(
                f"the file system of {self._folder} has no locks ({error.strerror}): take care that nobody else writes this run",
                Remark,
                stacklevel=2,
            )

    def _release(self) -> None:
        """Remove the file while it is locked, so that nobody can take it for one that is free, and let it go."""
        file, self._file = self._file, None
        if file is None:  # the first MPI process holds it
            return
        path = self._folder / NAME
        with suppress(OSError):  # the folder may have been removed, or another one be in its place
            if _is_at(file, path):
                path.unlink()
        with suppress(OSError):
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_UNLCK))  # a forked child may have it open, too
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is the one at a path; opened anew, since NFS asks the server then, and not its own memory."""
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.path.sameopenfile(file, there)
    finally:
        os.close(there)


def _whole_file(kind: int) -> bytes:
    """A struct flock for all of a file."""
    return struct.pack(FLOCK, kind, os.SEEK_SET, 0, 0, 0)


def _this_process() -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()} has been writing this run since {since}\n"
