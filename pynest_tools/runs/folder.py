# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a run: specification, data, metrics, summary, checkpoint, figures."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SpecificationError, UserError
from ..kernel.parallel import rank, wait_for_all
from ..tasks import Task
from .metrics import Metrics
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
        The folder; `create` makes a new one.

    Attributes
    ----------
    config, changes, data, preprocessing : Path
        The fully resolved specification (TOML); one JSON record for each change of it on the way; what the task says of its data
        (JSON); how raw data become rates and targets (NumPy archive).
    metrics, summary, evaluations, checkpoint, figures : Path
        One JSON record per test; results (JSON); one JSON record per later evaluation; folder of the checkpoints (checkpoint.py);
        folder of the figures (PNG).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.toml"
        self.changes = self.path / "changes.jsonl"
        self.data = self.path / "data.json"
        self.preprocessing = self.path / "preprocessing.npz"
        self.metrics = self.path / "metrics.jsonl"
        self.summary = self.path / "summary.json"
        self.checkpoint = self.path / "checkpoint"
        self.best = self.checkpoint / "best"
        self.evaluations = self.path / "evaluations.jsonl"
        self.figures = self.path / "figures"

    @classmethod
    def create(cls, path: str | Path, spec: RunSpecification, *, overwrite: bool = False) -> RunFolder:
        """Make the folder of a new run and write its specification.

        Parameters
        ----------
        path : str or Path
            Where; parents are made as needed.
        spec : RunSpecification
            The run.
        overwrite : bool
            Whether the files of a former run in this folder may be replaced. Other files are left alone.

        Raises
        ------
        UserError
            If the folder holds anything and `overwrite` is false, or cannot be written to.
        """
        folder = cls(path)
        if rank() > 0:
            wait_for_all()
            return folder
        try:
            if folder.path.is_dir() and any(folder.path.iterdir()) and not overwrite:
                raise UserError(
                    f"the output folder {path} is not empty; name another one with --output, "
                    "or replace the run in it with --overwrite"
                )
            folder.figures.mkdir(parents=True, exist_ok=True)
            for former in (
                folder.changes,
                folder.data,
                folder.preprocessing,
                folder.metrics,
                folder.summary,
                folder.evaluations,
            ):
                former.unlink(missing_ok=True)
            for figure in folder.figures.glob("*.png"):
                figure.unlink()
            shutil.rmtree(folder.checkpoint, ignore_errors=True)
            folder.write_specification(spec)
            folder._write_data(spec.task)
            folder.metrics.touch()
        except OSError as error:
            raise UserError(
                f"cannot write to the output folder {path}: {error.strerror or error}; "
                "name a writable one with --output"
            ) from error
        wait_for_all()
        return folder

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
        _write_in_one_step(self.config, spec.to_toml())

    def _write_data(self, task: Task) -> None:
        """Keep what the task says of its data, and how it makes rates and targets of them."""
        if hasattr(task, "describe"):
            self.data.write_text(json.dumps(task.describe(), indent=2) + "\n", encoding="utf-8")
        if (preprocessing := getattr(task, "preprocessing", None)) is not None:
            with self.preprocessing.open("wb") as file:
                np.savez(file, **preprocessing.arrays())

    def refuse_other_data(self, task: Task) -> None:
        """Raise UserError if the task's data are not those with which the run began."""
        if self.data.is_file() and hasattr(task, "describe"):
            before, now = json.loads(self.data.read_text(encoding="utf-8")), task.describe()
            if before.get("sha256") != now.get("sha256"):
                raise UserError(
                    f"the data of the run have changed since it began: their SHA-256 was {before.get('sha256')} and is now "
                    f"{now.get('sha256')}; put the former data back, or begin a new run"
                )

    def append(self, path: Path, record: Mapping[str, Any]) -> None:
        """Append a record to one of the files of records and close it, so that a crash loses nothing."""
        if rank() > 0:
            return
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(record), allow_nan=False) + "\n")

    def read_metrics(self) -> list[Metrics]:
        """Records of all tests; an unfinished last line (a run that was killed) is left out.

        Raises
        ------
        UserError
            If the file cannot be read or holds anything but such records.
        """
        try:
            lines = self.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            return [json.loads(line) for line in lines if line.endswith("\n")]
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read the metrics {self.metrics}: {error}") from error

    def forget_metrics_after(self, samples: int) -> list[Metrics]:
        """Drop the records of later tests, whose samples are to be learned again; returns the others.

        Raises
        ------
        UserError
            If the file lacks the record of the test after so many samples.
        """
        records = [record for record in self.read_metrics() if record["samples"] <= samples]
        if not records or records[-1]["samples"] != samples:
            raise UserError(
                f"{self.metrics} lacks the record of the test after {samples} samples, where the checkpoint is"
            )
        wait_for_all()  # until every process has read
        if rank() > 0:
            return records
        _write_in_one_step(self.metrics, "".join(json.dumps(record) + "\n" for record in records))
        return records

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the results in one step, so that no reader ever sees half of them."""
        if rank() > 0:
            return
        text = json.dumps(summary, indent=2, allow_nan=False)
        rows = re.sub(r"\[[\d\s,.]*\]", lambda row: " ".join(row[0].split()), text)  # of numbers, in one line
        _write_in_one_step(self.summary, rows + "\n")


def _write_in_one_step(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the former one or the new one, never half of it."""
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
