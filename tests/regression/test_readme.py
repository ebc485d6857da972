# SPDX-License-Identifier: GPL-2.0-or-later
"""What the README shows, works."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_pynest_script(tmp_path):
    script = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=README.parent, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.split()[-1]) > 1.0  # the synapse has learned
