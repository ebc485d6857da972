# SPDX-License-Identifier: GPL-2.0-or-later
"""What a microcircuit can be asked to learn. A task knows its data and nothing of any simulator."""

from __future__ import annotations

from .bars import Bars
from .digits import Digits
from .samples import Samples

__all__ = ["TASKS", "AnyTask", "Bars", "Digits", "Samples"]

AnyTask = Bars | Digits
TASKS: dict[str, type[AnyTask]] = {"bars": Bars, "digits": Digits}
