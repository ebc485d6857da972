# SPDX-License-Identifier: GPL-2.0-or-later
"""The scripts of docs/upstream.md."""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "upstream.md"
SECTION = re.compile(r"^## (\d+)\. ([^\n]+)\n.*?```python\n(.*?)```.*?```\n(.*?)```", re.DOTALL | re.MULTILINE)
BEGIN = re.compile(r"All scripts begin with\s+```python\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Script:
    """A script that shows a fault, and what it prints as long as the fault is there."""

    number: int
    title: str
    code: str
    prints: str


def scripts():
    """All of them, in order."""
    page = PAGE.read_text(encoding="utf-8")
    begin = BEGIN.search(page)[1]
    return [Script(int(n), title, f"{begin}\n{code}", prints) for n, title, code, prints in SECTION.findall(page)]


MENDED = (
    "it prints something else than docs/upstream.md says. If that is what the page calls right, NEST has mended the fault: take "
    "it off the page, and away what guards against it"
)
