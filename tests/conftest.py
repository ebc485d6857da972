# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings and fixtures of all tests."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads would disturb each other on shared machines
os.environ.setdefault("PYNEST_QUIET", "1")

import pytest

from pynest_tools.kernel.module import import_nest, install


def pytest_collection_modifyitems(config, items):
    """Leave out what is marked nightly unless it is asked for, as in ``pytest -m nightly``."""
    if "nightly" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]


@pytest.fixture
def nest():
    """A fresh NEST kernel with the module loaded, h = 0.1 ms, one thread."""
    kernel = import_nest()
    kernel.ResetKernel()
    kernel.verbosity = kernel.VerbosityLevel.ERROR
    kernel.resolution = 0.1
    install()
    return kernel
