# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of deliberate faults fits the sources; tests/mutations.py plants them."""

import importlib.util
import sys
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("mutations", Path(__file__).parents[1] / "mutations.py")
mutations = importlib.util.module_from_spec(spec)
sys.modules["mutations"] = mutations  # where dataclasses look for it
spec.loader.exec_module(mutations)


@pytest.mark.parametrize("fault", mutations.read_faults(), ids=lambda fault: f"{fault.file}: {fault.why}")
def test_a_fault_has_its_place_and_its_tests(fault):
    """Whoever changes a line that is named in the table changes the table, too."""
    assert fault.planted(mutations.ROOT) != (mutations.ROOT / fault.file).read_text(encoding="utf-8")
    for name in fault.tests.split():
        assert (mutations.ROOT / name).is_file()


def test_a_place_that_is_not_found_once_is_an_error(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old, count in (("x = 1", 2), ("y", 0)):
        with pytest.raises(ValueError, match=f"a.py has {count} times what stands once"):
            mutations.Fault("a.py", old, "", "why", "tests").planted(tmp_path)


def test_verdicts():
    fault = mutations.Fault("a.py", "x", "y", "why", "tests")
    same = mutations.Fault("a.py", "x", "y", "why", "tests", equivalent="because")
    assert [mutations.verdict(fault, status) for status in (1, -11, 0)] == ["noticed", "noticed", "SURVIVED"]
    assert [mutations.verdict(same, status) for status in (0, 1)] == ["equivalent", "WRONGLY CALLED EQUIVALENT"]
    assert mutations.verdict(fault, 5).startswith("NO TESTS")
