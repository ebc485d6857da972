# SPDX-License-Identifier: GPL-2.0-or-later
"""Trained circuits that come with the package: runs of which the essentials are kept, weights with 7 digits.

Each is a folder ``pynest_tools/trained/<name>`` with the files of a run (folder.py): specification, the record of the last test, the
summary, one checkpoint; and ``card.json``, which says how it was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..archive import read_archive
from ..errors import UserError
from ..settings import Settings, suggestion
from ..tasks import Task
from .api import Run, open_run
from .checkpoint import whole_checkpoints
from .disk import write_in_one_step
from .folder import RunFolder
from .specification import make_task

if TYPE_CHECKING:
    from pandas import DataFrame

SHELF = Path(__file__).parents[1] / "trained"
CARD = "card.json"


def trained() -> DataFrame:
    """The trained circuits that come with the package.

    Returns
    -------
    pandas.DataFrame
        One row each, by name: task, backend, sizes (cells per layer), seed, epochs, weights (their number), command (which made it),
        and of the test set accuracy (of 1) or, of values, r2, or, where nothing is a target, apical_error (mV).
    """
    from pandas import DataFrame

    cards = {name: _card(name) for name in _names()}
    rows = {name: {key: card[key] for key in card if key != "sha256"} for name, card in cards.items()}
    table: DataFrame = DataFrame.from_dict(rows, orient="index").rename_axis("name")
    return table


def load_trained(name: str, *, task: Mapping[str, Any] | None = None) -> Run:
    """A trained circuit as the run that made it, to evaluate, predict, or take its network and weights.

    Parameters
    ----------
    name : str
        One of `trained`, such as "mnist-784-100-10".
    task : mapping, optional
        Entries of its task that are other here, such as ``{"data": "folder with MNIST"}``.

    Returns
    -------
    Run
        `Run.network`, `Run.weights`, `Run.predict`, `Run.evaluate`, `Run.specification`; nothing is written to it.

    Raises
    ------
    UserError
        If there is no circuit of that name, or its weights are not what they were.
    """
    if name not in _names():
        raise UserError(f"there is no trained circuit {name!r}; {suggestion(name, _names())}")
    folder = SHELF / name
    found = _checksum(folder)
    if found != _card(name)["sha256"]:
        raise UserError(f"the weights of {name} in {folder} are damaged: install the package anew")
    run = open_run(folder)
    return open_run(folder, task=_changed(run.specification.task, task)) if task else run


def keep_trained(path: str | Path, name: str, command: str) -> Path:
    """Put a run on the shelf of the package, as its maintainers do.

    Parameters
    ----------
    path : str or Path
        Folder of a run that has ended and been tested.
    name : str
        Of the trained circuit.
    command : str
        That made it.

    Returns
    -------
    Path
        Its folder.

    Raises
    ------
    UserError
        If the run has not ended, or has not read its test set.
    """
    run = open_run(path)
    summary, spec = run.folder.read_summary(), run.specification
    test = summary.get("test") if summary else None
    if not test:
        raise UserError(f"{path} has not been tested on its test set: let it end with training.final_test = true")
    place = RunFolder(SHELF / name)
    place.figures.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(spec.task, Settings) and "data" in type(spec.task).model_fields:  # not where they lie on this machine
        spec = spec.model_copy(
            update={"task": _changed(spec.task, {"data": type(spec.task).model_fields["data"].default})}
        )
    place.write_specification(spec)
    _write(place.metrics, json.dumps(run.records[-1]) + "\n")
    _write(place.summary, json.dumps(summary, indent=2) + "\n")
    if run.folder.preprocessing.is_file():
        place.preprocessing.write_bytes(run.folder.preprocessing.read_bytes())
    checkpoint = whole_checkpoints(run.folder.checkpoint)[-1]
    arrays = read_archive(checkpoint / "rank-0.npz")
    short: dict[str, Any] = {
        key: a.astype(np.float32) if a.dtype == np.float64 and a.ndim else a for key, a in arrays.items()
    }
    target = place.checkpoint / checkpoint.name / "rank-0.npz"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_in_one_step(target, lambda file: np.savez_compressed(file, **short))
    score = next(score for score in ("accuracy", "r2", "apical_error") if score in test)
    card = {
        "task": spec.task.name,
        "backend": spec.backend,
        "sizes": list(spec.network.sizes),
        "seed": spec.seed,
        "epochs": run.result.epochs,
        "weights": sum(matrix.size for _, matrix in run.weights().named()),
        "command": command,
        score: test[score],
        "sha256": _checksum(place.path),
    }
    _write(place.path / CARD, json.dumps(card, indent=2) + "\n")
    return place.path


def _changed(task: Task, entries: Mapping[str, Any]) -> Task:
    """The same task with other entries."""
    if not isinstance(task, Settings):
        raise UserError(f"task {task.name} has no entries that could be other")
    return make_task(task.name, {**task.model_dump(exclude={"name"}), **entries})


def _names() -> list[str]:
    return sorted(path.parent.name for path in SHELF.glob(f"*/{CARD}"))


def _card(name: str) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((SHELF / name / CARD).read_text(encoding="utf-8"))
    return card


def _checksum(folder: Path) -> str:
    """SHA-256 of the checkpoint."""
    checkpoints = whole_checkpoints(RunFolder(folder).checkpoint)
    return hashlib.sha256((checkpoints[-1] / "rank-0.npz").read_bytes()).hexdigest() if checkpoints else ""


def _write(path: Path, text: str) -> None:
    write_in_one_step(path, lambda file: file.write(text.encode()))
