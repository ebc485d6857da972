# SPDX-License-Identifier: GPL-2.0-or-later
"""Spiking cortical microcircuits with multi-compartment pyramidal neurons that learn, in stock NEST.

`train` trains a `Microcircuit` on a task; `resume`, `evaluate` and `open_run` go on from there; `Samples` are for tasks of your own.
`weights_from_mlp` begins where a conventional network ended. `run_study` runs a grid of runs, and `open_study` shows what came out.
`trained` lists trained circuits that come with the package, `load_trained` loads one.
`MicrocircuitClassifier` and `MicrocircuitRegressor` have scikit-learn's interface. `install` loads the models into NEST. The same
from a shell: ``pyramidal --help``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Where a name is from; it is imported when it is first asked for, and NEST when a simulation first needs it. There is no __all__,
#: with which help() would show every class in full.
_PLACES = {
    "Microcircuit": "networks.microcircuit",
    "MicrocircuitClassifier": "runs.estimators",
    "MicrocircuitRegressor": "runs.estimators",
    "ModuleError": "kernel.module",
    "Run": "runs.api",
    "Study": "studies.study",
    "RunSpecification": "runs.specification",
    "Samples": "tasks.samples",
    "Task": "tasks.protocol",
    "TrainingResult": "runs.summary",
    "evaluate": "runs.api",
    "install": "kernel.module",
    "load_trained": "runs.trained",
    "open_run": "runs.api",
    "open_study": "studies.study",
    "resume": "runs.api",
    "run_study": "studies.execution",
    "train": "runs.api",
    "train_seeds": "runs.training",
    "trained": "runs.trained",
    "weights_from_mlp": "networks.mlp",
}

if TYPE_CHECKING:
    from .kernel.module import ModuleError as ModuleError
    from .kernel.module import install as install
    from .networks.microcircuit import Microcircuit as Microcircuit
    from .networks.mlp import weights_from_mlp as weights_from_mlp
    from .runs.api import Run as Run
    from .runs.api import evaluate as evaluate
    from .runs.api import open_run as open_run
    from .runs.api import resume as resume
    from .runs.api import train as train
    from .runs.estimators import MicrocircuitClassifier as MicrocircuitClassifier
    from .runs.estimators import MicrocircuitRegressor as MicrocircuitRegressor
    from .runs.specification import RunSpecification as RunSpecification
    from .runs.summary import TrainingResult as TrainingResult
    from .runs.trained import load_trained as load_trained
    from .runs.trained import trained as trained
    from .runs.training import train_seeds as train_seeds
    from .studies.execution import run_study as run_study
    from .studies.study import Study as Study
    from .studies.study import open_study as open_study
    from .tasks.protocol import Task as Task
    from .tasks.samples import Samples as Samples


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(_PLACES)}")
    value = getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
