# SPDX-License-Identifier: GPL-2.0-or-later
"""Spiking cortical microcircuits with multi-compartment pyramidal neurons that learn, in stock NEST.

`install` loads the NEST module; `RunSpecification` and `train` run an experiment; ``pyramidal`` is the command line.
"""

__version__ = "0.1.0"

from .kernel.module import ModuleError, install
from .specification import Microcircuit, RunSpecification
from .summary import TrainingResult
from .training import train

__all__ = ["Microcircuit", "ModuleError", "RunSpecification", "TrainingResult", "install", "train"]
