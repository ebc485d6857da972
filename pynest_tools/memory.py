# SPDX-License-Identifier: GPL-2.0-or-later
"""Refusing data that do not fit in memory before memory is exhausted."""

from __future__ import annotations

from pathlib import Path

from .errors import UserError

#: Copies of the numbers that a run holds at most: while a file is read, its parts and their sum; later the raw data, those of a part
#: of the split, their rates, and one epoch in its order.
COPIES = 4
GIGABYTE = 1e9


def available_memory() -> float:
    """Bytes that can be had without swapping: of the machine, or of its container (cgroup) if that has fewer; infinite if unknown."""
    found = [_machine(Path("/proc/meminfo")), _container(Path("/sys/fs/cgroup"))]
    return min(found)


def require_memory(numbers: float, what: str, copies: int = COPIES) -> None:
    """Refuse what does not fit.

    Parameters
    ----------
    numbers : float
        Bytes of the numbers themselves.
    what : str
        What they are, for the message.
    copies : int
        How many times that is held.

    Raises
    ------
    UserError
        If there is less memory.
    """
    needed, there = copies * numbers, available_memory()
    if needed > there:
        raise UserError(
            f"{what} would take {needed / GIGABYTE:.3g} GB of memory, and {there / GIGABYTE:.3g} GB are free: "
            "give fewer samples, columns or cells, or use a machine with more memory"
        )


def _machine(meminfo: Path) -> float:
    try:
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])  # stated in kB
    except (OSError, ValueError, IndexError):
        pass
    return float("inf")


def _container(cgroup: Path) -> float:
    try:
        limit, used = ((cgroup / name).read_text(encoding="ascii") for name in ("memory.max", "memory.current"))
        return float(int(limit) - int(used))
    except (OSError, ValueError):  # no container, or "max": no limit
        return float("inf")
