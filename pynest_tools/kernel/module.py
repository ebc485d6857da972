# SPDX-License-Identifier: GPL-2.0-or-later
"""Find pyramidalmodule, check that it fits the running NEST, and load it."""

from __future__ import annotations

import _ctypes
import ctypes
import importlib.metadata
import os
from pathlib import Path
from typing import Any

from ..errors import UserError
from .model_help import offer_model_help
from .parallel import end_job_on_exceptions

LIBRARY_NAME = "pyramidalmodule.so"
DISTRIBUTION = "nest-pyramidal"
NEST_VERSION = "3.10.0"
#: How often a thread of NEST looks for the others before it sleeps, tens of microseconds in all. Two threads meet about
#: six times a time slice: always to sleep costs more than a second thread gains, always to look starves busy machines.
SPIN_COUNT = "5000"
REINSTALL = "pip install --force-reinstall --no-deps ."


class ModuleError(UserError, RuntimeError):
    """pyramidalmodule cannot be loaded; the message says why and what to do."""


def library_path() -> Path:
    """Path of the compiled module.

    Looked for in the environment variable PYRAMIDAL_MODULE, in the package, and in the installed distribution: Python
    started in the project's folder imports the sources, where there is no library.

    Raises
    ------
    ModuleError
        If the module was not built.
    """
    chosen = os.environ.get("PYRAMIDAL_MODULE")
    candidates = [Path(chosen)] if chosen else [Path(__file__).parents[1] / LIBRARY_NAME]
    if not chosen:
        try:
            installed = importlib.metadata.distribution(DISTRIBUTION).locate_file(f"pynest_tools/{LIBRARY_NAME}")
            candidates.append(Path(str(installed)))
        except importlib.metadata.PackageNotFoundError:
            pass
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise ModuleError(
        f"{LIBRARY_NAME} is not built, looked for {', '.join(map(str, candidates))}: "
        "run `pip install .` in the project's folder"
    )


def import_nest() -> Any:
    """Import NEST without its banner; its threads wait as `SPIN_COUNT` says unless the environment says otherwise.

    Raises
    ------
    ModuleError
        If there is no NEST, or not the version that the module is made for.
    """
    os.environ.setdefault("PYNEST_QUIET", "1")
    if "OMP_WAIT_POLICY" not in os.environ:  # read when NEST loads its OpenMP library
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    try:
        import nest
    except ImportError as error:
        raise ModuleError(f"NEST cannot be imported ({error}): pip install nest-simulator=={NEST_VERSION}") from error
    if nest.__version__ != NEST_VERSION:
        raise ModuleError(
            f"NEST {NEST_VERSION} is needed, {nest.__version__} is running: pip install nest-simulator=={NEST_VERSION}"
        )
    return nest


def install() -> None:
    """Load pyramidalmodule into NEST, so that its models can be created.

    May be called any number of times; call it again after ``nest.ResetKernel()``, which unloads the module. From now on
    ``nest.help`` knows the models, and of several MPI processes, one that fails with an exception ends all of them.

    Raises
    ------
    ModuleError
        If the module is missing, does not fit the running NEST (version, ABI, missing symbol), or if NEST refuses
        it because nodes exist already.
    """
    nest = import_nest()
    end_job_on_exceptions()
    offer_model_help(library_path)
    if "pyramidal_neuron" in nest.node_models:
        return
    path = library_path()
    try:
        # NEST reports a library that cannot be linked as "file not found"; the loader itself names the missing symbol
        _ctypes.dlclose(ctypes.CDLL(str(path), mode=os.RTLD_NOW)._handle)
    except OSError as error:
        raise ModuleError(
            f"{path} was built for another NEST ({error}): build it again with `{REINSTALL}` in the project's folder"
        ) from error
    try:
        nest.Install(str(path))
    except nest.NESTError as error:
        remedy = (
            "call install() before nodes are created" if nest.network_size > 0 else f"build it again with `{REINSTALL}`"
        )
        raise ModuleError(f"NEST refuses {path} ({error}): {remedy}") from error
