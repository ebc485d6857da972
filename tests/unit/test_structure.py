# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages import downwards only, and the package itself imports nothing before it is needed."""

import ast
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import pynest_tools

PACKAGE = Path(pynest_tools.__file__).parent
#: What each package may import of the others; the ground (settings, errors) is open to all.
KNOWS = {
    "kernel": set(),
    "tasks": set(),
    "networks": {"kernel"},
    "runs": {"kernel", "tasks", "networks"},
    "studies": {"kernel", "tasks", "networks", "runs"},
    "view": {"kernel", "runs"},
}


def imported(path):
    """Packages of ours that a file imports, wherever in the file."""
    here = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((*base, *name.split("."))[0] for name in names)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            yield from (name.split(".")[1] for name in names if name.startswith("pynest_tools."))


@pytest.mark.parametrize("package", KNOWS)
def test_packages_import_only_what_they_may_know(package):
    files = sorted((PACKAGE / package).glob("*.py"))
    assert files
    for path in files:
        beyond = set(imported(path)) & {*KNOWS, "cli"} - KNOWS[package] - {package}
        assert not beyond, f"{path} imports {beyond}"


def test_every_package_is_on_the_list():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(KNOWS)


def test_the_import_is_quick_and_loads_nothing():
    """Numpy alone takes 0.1 s; the package must stay below 0.3 s, NEST and scikit-learn take seconds."""
    code = (
        "import time; t = time.perf_counter(); import pynest_tools, sys; t = time.perf_counter() - t\n"
        "heavy = {'nest', 'sklearn', 'matplotlib', 'pydantic', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\nassert t < 0.3, t"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_can_be_had_and_is_told():
    for name in pynest_tools._PLACES:
        assert getattr(pynest_tools, name).__doc__
    assert set(pynest_tools._PLACES) <= set(dir(pynest_tools))
    with pytest.raises(AttributeError, match=r"no attribute 'trian'; it offers .*train"):
        pynest_tools.trian  # noqa: B018


def test_help_of_the_package_fits_a_screen():
    assert len(pydoc.render_doc(pynest_tools).splitlines()) < 50
