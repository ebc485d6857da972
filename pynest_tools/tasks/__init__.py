# SPDX-License-Identifier: GPL-2.0-or-later
"""What a microcircuit can be asked to learn. A task knows its data and nothing of any simulator."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from ..errors import UserError
from ..settings import suggestion
from .bars import Bars
from .data import Data
from .digits import Digits
from .protocol import Task
from .samples import Samples

__all__ = ["BUILT_IN", "ENTRY_POINTS", "Bars", "Data", "Digits", "Samples", "Task", "find_task", "task_names"]

BUILT_IN: dict[str, Callable[..., Task]] = {"bars": Bars, "data": Data, "digits": Digits}
#: Group of entry points by which other packages add tasks: name = class, or function of the task's settings that returns a task.
ENTRY_POINTS = "pynest_tools.tasks"


def task_names() -> list[str]:
    """Names of all tasks that are known, those of installed packages last."""
    return [*BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINTS) if entry.name not in BUILT_IN)]


def find_task(name: str) -> Callable[..., Any]:
    """What makes the task of that name, built in or from an installed package.

    Raises
    ------
    UserError
        If there is none, or its package cannot be imported.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        try:
            return entry.load()  # type: ignore[no-any-return]
        except (ImportError, AttributeError) as error:
            raise UserError(f"the task {name!r} cannot be imported from {entry.value}: {error}") from error
    raise UserError(f"task {name!r} is unknown; {suggestion(name, task_names())}")
