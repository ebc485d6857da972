# SPDX-License-Identifier: GPL-2.0-or-later
"""The fault of NEST under MPI is still what docs/upstream.md says."""

from conftest import launch
from upstream import MENDED, scripts


def test_connections_are_doubled(tmp_path):
    script = scripts()[0]
    place = tmp_path / "doubled.py"
    place.write_text(script.code, encoding="utf-8")
    done = launch(2, place)
    assert script.prints.strip() in done.stdout.splitlines(), f"{MENDED}\n{done.stdout}{done.stderr}"
