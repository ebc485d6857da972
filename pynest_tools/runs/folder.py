# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a run: specification, data, metrics, summary, checkpoint, figures."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..archive import read_archive
from ..errors import SpecificationError, UserError
from ..kernel.parallel import in_first, rank, wait_for_all
from ..networks.backend import Weights
from ..networks.weights import require_memory_for, weights_from
from ..tasks import Task
from .disk import append_line, reason, told, write_in_one_step
from .lock import NAME as LOCK
from .lock import FolderLock
from .metrics import Metrics, of_set
from .specification import RunSpecification


def default_folder(spec: RunSpecification) -> Path:
    """Folder of a run whose place was not given: runs/<task>-<backend>-seed<seed>, and a code of settings that are not the default."""
    name = f"{spec.task.name}-{spec.backend}-seed{spec.seed}"
    text = spec.to_toml()
    try:
        usual = RunSpecification.for_task(spec.task.name, {"seed": spec.seed, "backend": spec.backend}).to_toml()
    except SpecificationError:  # the task has no default
        usual = ""
    code = "" if text == usual else "-" + hashlib.sha256(text.encode()).hexdigest()[:6]
    return Path("runs") / f"{name}{code}"


class RunFolder:
    """Names the files of a run and reads and writes the text ones. Of several MPI processes, the first one writes.

    Parameters
    ----------
    path : Path
        The folder; `create` makes a new one. Who writes there holds its `lock`.

    Attributes
    ----------
    config, changes, data, preprocessing, initial : Path
        The fully resolved specification (TOML); one JSON record for each change of it on the way; what the task says of its data
        (JSON); how raw data become rates and targets (NumPy archive); weights with which it began, if they were given (ditto).
    metrics, summary, evaluations, checkpoint, figures : Path
        One JSON record per test; results (JSON); one JSON record per later evaluation; folder of the checkpoints (checkpoint.py);
        folder of the figures (PNG).
    failure : Path
        Why the run could not go on, if that was not its own end (text; of runs of a study).
    lock : FolderLock
        Held by a ``with`` block; whoever writes needs it, who reads does not.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.toml"
        self.changes = self.path / "changes.jsonl"
        self.data = self.path / "data.json"
        self.preprocessing = self.path / "preprocessing.npz"
        self.initial = self.path / "initial_weights.npz"
        self.metrics = self.path / "metrics.jsonl"
        self.summary = self.path / "summary.json"
        self.checkpoint = self.path / "checkpoint"
        self.best = self.checkpoint / "best"
        self.evaluations = self.path / "evaluations.jsonl"
        self.failure = self.path / "failure.txt"
        self.figures = self.path / "figures"
        self.lock = FolderLock(self.path)

    @classmethod
    def create(cls, path: str | Path, spec: RunSpecification, *, overwrite: bool = False) -> RunFolder:
        """Make the folder of a new run and write its specification; see `begin`."""
        folder = cls(path)
        folder.begin(spec, overwrite=overwrite)
        return folder

    def begin(self, spec: RunSpecification, *, overwrite: bool = False, weights: Weights | None = None) -> None:
        """Make this the folder of a new run and write its specification.

        Parameters
        ----------
        spec : RunSpecification
            The run.
        overwrite : bool
            Whether the files of a former run in this folder may be replaced. Other files are left alone.
        weights : Weights, optional
            With which it begins instead of those that its seed draws (normalised, mV ms).

        Raises
        ------
        UserError
            If somebody else is writing there, if the folder holds anything and `overwrite` is false, or cannot be written to.
        """
        with self.lock:
            in_first(lambda: self._begin(spec, overwrite=overwrite, weights=weights))

    def refuse_former(self) -> None:
        """Raise UserError if the folder holds anything."""
        if self.path.is_dir() and any(path.name != LOCK for path in self.path.iterdir()):
            raise UserError(
                f"the output folder {self.path} is not empty; name another one with --output, "
                "or replace the run in it with --overwrite"
            )

    def _begin(self, spec: RunSpecification, *, overwrite: bool, weights: Weights | None) -> None:
        require_memory_for(spec.network)
        try:
            if not overwrite:
                self.refuse_former()
            self._remove()
            self.figures.mkdir(parents=True, exist_ok=True)
            self._write_data(spec.task)
            self.metrics.touch()
            if weights is not None:
                given: dict[str, Any] = dict(weights.named())
                write_in_one_step(self.initial, lambda file: np.savez(file, **given))
            self._write_text(self.config, spec.to_toml())
        except OSError as error:
            with suppress(OSError):
                self._remove()
            raise UserError(
                f"cannot write to the output folder {self.path}: {reason(error)}; name a writable one with --output"
            ) from error

    def _remove(self) -> None:
        """Remove the run, and nothing else."""
        self.config.unlink(missing_ok=True)  # first, and written last: what has one is whole
        files = (
            self.changes,
            self.data,
            self.preprocessing,
            self.initial,
            self.metrics,
            self.summary,
            self.evaluations,
            self.failure,
        )
        for former in files:
            former.unlink(missing_ok=True)
        for figure in self.figures.glob("*.png"):
            figure.unlink()
        with suppress(OSError):  # other files in it are somebody's
            self.figures.rmdir()
        shutil.rmtree(self.checkpoint, ignore_errors=True)

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Find the folder of an earlier run; raises UserError if it holds none."""
        folder = cls(path)
        if not folder.config.is_file():
            raise UserError(
                f"{path} is not the folder of a run: it has no {folder.config.name}; "
                "give the folder that pyramidal train has printed"
            )
        return folder

    def initial_weights(self, spec: RunSpecification) -> Weights:
        """Weights with which the run begins: given ones, or those that its seed draws (normalised, mV ms)."""
        if not self.initial.is_file():
            return spec.initial_weights()
        return weights_from(read_archive(self.initial), spec.network, self.initial)

    def read_specification(self, task: Task | None = None) -> RunSpecification:
        """The specification of the run.

        Parameters
        ----------
        task : Task, optional
            Its task, if that is not one that can be found by its name.

        Raises
        ------
        SpecificationError
            If the file cannot be read or describes no possible run.
        """
        return RunSpecification.from_toml(self.config, task)

    def write_specification(self, spec: RunSpecification) -> None:
        """Write the complete specification, in one step: other MPI processes may be reading the former one."""
        if rank() > 0:
            return
        with self.told(self.config):
            self._write_text(self.config, spec.to_toml())

    def _write_data(self, task: Task) -> None:
        """Keep what the task says of its data, and how it makes rates and targets of them."""
        if hasattr(task, "describe"):
            self._write_text(self.data, json.dumps(task.describe(), indent=2) + "\n")
        if (preprocessing := getattr(task, "preprocessing", None)) is not None:
            write_in_one_step(self.preprocessing, lambda file: np.savez(file, **preprocessing.arrays()))

    @staticmethod
    def _write_text(path: Path, text: str) -> None:
        write_in_one_step(path, lambda file: file.write(text.encode()))

    def told(self, path: Path, then: str = "") -> AbstractContextManager[None]:
        """Say of what cannot be written at a path how the run goes on (`disk.told`)."""
        return told(
            path, then or f"pyramidal resume {self.path} goes on from the last test, as if nothing had happened"
        )

    def refuse_other_data(self, task: Task) -> None:
        """Raise UserError if the task's data are not those with which the run began."""
        if self.data.is_file() and hasattr(task, "describe"):
            before, now = _read_json(self.data), task.describe()
            if before.get("sha256") != now.get("sha256"):
                raise UserError(
                    f"the data of the run have changed since it began: their SHA-256 was {before.get('sha256')} and is now "
                    f"{now.get('sha256')}; put the former data back, or begin a new run"
                )

    def append(self, path: Path, record: Mapping[str, Any], then: str = "") -> None:
        """Append a record to one of the files of records, so that a crash loses nothing; `then` as for `told`."""
        if rank() > 0:
            return
        line = json.dumps(dict(record), allow_nan=False)
        with self.told(path, then):
            append_line(path, line)

    def read_metrics(self) -> list[Metrics]:
        """Records of all tests; a last line that is not whole (of a run that was killed) is left out.

        Raises
        ------
        UserError
            If the file cannot be read, or another line is not whole.
        """
        try:
            lines = self.metrics.read_bytes().removesuffix(b"\n").split(b"\n")
        except OSError as error:
            raise UserError(f"cannot read the metrics {self.metrics}: {error}") from error
        records = []
        for number, line in enumerate(lines, start=1):
            record = _record(line)
            if record is not None:
                records.append(record)
            elif number < len(lines):
                raise UserError(
                    f"cannot read the metrics {self.metrics}: line {number} is damaged; take it out, the others are whole"
                )
        return records

    def read_summary(self) -> dict[str, Any]:
        """The results; empty if the run was killed before its end; raises UserError if the file is damaged."""
        if not self.summary.exists():
            return {}
        found = _read_json(self.summary)
        if not _is_summary(found):
            raise UserError(f"{self.summary} is damaged; pyramidal resume {self.path} writes it anew")
        return found

    def forget_metrics_after(self, samples: int) -> list[Metrics]:
        """Drop the records of later tests, whose samples are to be learned again; returns the others."""
        records = [record for record in self.read_metrics() if record["samples"] <= samples]
        wait_for_all()  # until every process has read
        if rank() > 0:
            return records
        with self.told(self.metrics):
            self._write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in records))
        return records

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the results in one step, so that no reader ever sees half of them."""
        if rank() > 0:
            return
        text = json.dumps(summary, indent=2, allow_nan=False)
        rows = re.sub(r"\[[\d\s,.]*\]", lambda row: " ".join(row[0].split()), text)  # of numbers, in one line
        with self.told(self.summary):
            self._write_text(self.summary, rows + "\n")


def _record(line: bytes) -> Metrics | None:
    """The record of a test, or None if the line is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = (
        isinstance(record, dict)
        and all(_is_number(record.get(key)) for key in ("epoch", "samples", "wall_s"))
        and any(_is_score(of_set(record, name)) for name in ("validation", "test"))
        and _are_numbers(record.get("rate_mean"))
    )
    return record if whole else None


def _is_summary(found: Mapping[str, Any]) -> bool:
    test, baselines = found.get("test"), found.get("baselines", {})
    return (
        (test is None or _is_score(test))
        and isinstance(baselines, dict)
        and all(_are_numbers(each) and "test" in each for each in baselines.values())
        and _is_number(found.get("wall_s"))
    )


def _is_score(metrics: Any) -> bool:
    """Whether these are scores: a loss, and accuracy, R² or apical error; a confusion matrix, if there is one, is square."""
    if not isinstance(metrics, dict) or not _is_number(metrics.get("loss")):
        return False
    rows = metrics.get("confusion", [])
    square = isinstance(rows, list) and all(isinstance(row, list) and len(row) == len(rows) for row in rows)
    return square and any(_is_number(metrics.get(key)) for key in ("accuracy", "r2", "apical_error"))


def _are_numbers(found: Any) -> bool:
    return isinstance(found, dict) and all(_is_number(value) for value in found.values())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"cannot read {path}: it is damaged")
    return found
