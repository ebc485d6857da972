# SPDX-License-Identifier: GPL-2.0-or-later
"""Which version this is, to the commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .. import __version__

PROJECT = Path(__file__).parents[2]
#: Written when a wheel is built from a git checkout (CMakeLists.txt).
COMMIT_FILE = Path(__file__).parents[1] / "commit.txt"
PATIENCE_S = 1.0  # git takes milliseconds; a network drive that hangs shall not stop a run


def built_from() -> str:
    """Version, and the commit if it is known.

    Returns
    -------
    str
        Such as "0.1.0 (fc10482)" or, if files in git differ from the commit, "0.1.0 (fc10482+changes)"; "0.1.0" where neither a git
        checkout nor the build tells the commit.
    """
    commit = _commit_of_checkout() or _commit_of_build()
    return f"{__version__} ({commit})" if commit else __version__


def _commit_of_checkout() -> str:
    if not (PROJECT / ".git").exists():  # a package that is installed may lie in somebody else's checkout
        return ""
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--exclude=*", "--abbrev=7", "--dirty=+changes"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        found = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            timeout=PATIENCE_S,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def _commit_of_build() -> str:
    try:
        return COMMIT_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
