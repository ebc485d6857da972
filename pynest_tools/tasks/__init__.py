# SPDX-License-Identifier: GPL-2.0-or-later
"""What a microcircuit can be asked to learn. A task knows its data and nothing of any simulator."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from ..errors import UserError
from ..settings import suggestion
from .autoencoder import Autoencoder
from .bars import Bars
from .data import Data
from .digits import Digits
from .mnist import FashionMnist, Mnist
from .mnist1d import Mnist1d
from .protocol import Task
from .samples import Samples
from .self_prediction import SelfPrediction
from .teacher_student import TeacherStudent
from .yin_yang import YinYang

__all__ = [
    "BUILT_IN",
    "ENTRY_POINTS",
    "Autoencoder",
    "Bars",
    "Data",
    "Digits",
    "FashionMnist",
    "Mnist",
    "Mnist1d",
    "Samples",
    "SelfPrediction",
    "Task",
    "TeacherStudent",
    "YinYang",
    "find_task",
    "task_names",
]

BUILT_IN: dict[str, Callable[..., Task]] = {
    "bars": Bars,
    "digits": Digits,
    "data": Data,
    "yin_yang": YinYang,
    "mnist": Mnist,
    "fashion_mnist": FashionMnist,
    "mnist1d": Mnist1d,
    "teacher_student": TeacherStudent,
    "autoencoder": Autoencoder,
    "self_prediction": SelfPrediction,
}
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
