# SPDX-License-Identifier: GPL-2.0-or-later
"""Let ``nest.help`` show the texts of our models."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import UserError


def offer_model_help(library_path: Callable[[], Path]) -> None:
    """Let ``nest.help`` find the texts that were built beside the module; of all other models it says what it says without us.

    NEST looks for texts in one folder, which belongs to it, and which its wheel does not have. May be called any number of times.

    Parameters
    ----------
    library_path : callable
        Returns the path of the module; called when help is asked for.
    """
    from nest.lib import hl_api_helper

    find: Any = hl_api_helper.get_help_fname
    if getattr(find, "knows_pyramidal_models", False):
        return

    @functools.wraps(find)
    def find_ours_first(obj: Any) -> str:
        try:
            text = library_path().parent / "help" / f"{str(obj).removesuffix('_lbl')}.rst"
        except UserError:  # the module is gone
            return str(find(obj))
        return str(text) if text.is_file() else str(find(obj))

    find_ours_first.knows_pyramidal_models = True  # type: ignore[attr-defined]
    hl_api_helper.get_help_fname = find_ours_first
