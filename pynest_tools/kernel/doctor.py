# SPDX-License-Identifier: GPL-2.0-or-later
"""Is everything there that a simulation needs? The rows of ``pyramidal doctor``."""

from __future__ import annotations

import os
import platform
import sys

from ..errors import UserError
from .module import NEST_VERSION, import_nest, install, library_path
from .nest_probe import NestNotFoundError, probe

Row = tuple[str, str, bool | None]

MINIMUM_PYTHON = (3, 10)


def report() -> list[Row]:
    """Look at interpreter, NEST and module, and simulate two neurons.

    Returns
    -------
    list of (str, str, bool or None)
        Name, finding, and whether it is as it must be; None where there is nothing to be judged. After a fault
        that rules out the rest, the rest is left out.
    """
    rows: list[Row] = [
        ("python", f"{platform.python_version()}  {sys.executable}", sys.version_info >= MINIMUM_PYTHON),
        ("cores", str(len(os.sched_getaffinity(0))), None),
    ]
    try:
        found = probe()
    except NestNotFoundError as error:
        return [*rows, ("NEST", str(error), False)]
    rows += [
        ("NEST", f"{found.version}  {found.library.parent}", found.version == NEST_VERSION),
        ("MPI", "yes" if found.has_mpi else "no (the wheel of PyPI has none)", None),
        ("C++ ABI", "new std::string" if found.cxx11_abi else "old std::string", None),
    ]
    try:
        rows.append(("module", str(library_path()), True))
        nest = import_nest()
        nest.verbosity = nest.VerbosityLevel.ERROR
        install()
        rows.append(("two neurons", _simulate_two_neurons(), True))
    except UserError as error:
        rows.append(("module", str(error), False))
    return rows


def _simulate_two_neurons() -> str:
    """Let one pyramidal cell teach the synapse of another; returns what happened."""
    nest = import_nest()
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = 0.1
    install()
    nest.local_num_threads = min(2, len(os.sched_getaffinity(0)))
    cells = nest.Create("pyramidal_neuron", 2)
    cells[1].I_e = 0.1  # the soma knows what the dendrite does not: an error
    nest.CopyModel("dendritic_error_synapse", "learning", {"eta": 1e-9})
    nest.Connect(
        cells[0],
        cells[1],
        syn_spec={"synapse_model": "learning", "delay": 0.1, "receptor_type": 2, "weight": 0.0},
    )
    nest.Simulate(10.0)
    weight = nest.GetConnections(synapse_model="learning").weight
    threads = nest.local_num_threads
    nest.ResetKernel()
    if not weight > 0.0:
        raise UserError(
            f"two neurons were simulated, but the synapse between them did not learn: its weight is {weight}"
        )
    return f"simulated on {threads} threads, the synapse learned"
