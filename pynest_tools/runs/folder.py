# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a run: specification, metrics, summary, checkpoint, figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..kernel.parallel import rank, wait_for_all
from .specification import RunSpecification

Metrics = dict[str, float]


def default_folder(spec: RunSpecification) -> Path:
    """Folder of a run whose place was not given: runs/<task>-<backend>-seed<seed>."""
    return Path("runs") / f"{spec.task.name}-{spec.backend}-seed{spec.seed}"


class RunFolder:
    """Names the files of a run and reads and writes the text ones. Of several MPI processes, the first one writes.

    Parameters
    ----------
    path : Path
        The folder; `create` makes a new one.

    Attributes
    ----------
    config, metrics, summary, checkpoint, figure : Path
        The fully resolved specification (TOML); one JSON record per epoch; results (JSON); folder of the checkpoint
        (checkpoint.py); the course of training (PNG).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.toml"
        self.metrics = self.path / "metrics.jsonl"
        self.summary = self.path / "summary.json"
        self.checkpoint = self.path / "checkpoint"
        self.figure = self.path / "figures" / "training.png"

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
            folder.figure.parent.mkdir(parents=True, exist_ok=True)
            for former in (folder.metrics, folder.summary, folder.figure):
                former.unlink(missing_ok=True)
            shutil.rmtree(folder.checkpoint, ignore_errors=True)
            folder.write_specification(spec)
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

    def read_specification(self, epochs: int | None = None, threads: int | None = None) -> RunSpecification:
        """The specification of the run, with another number of epochs of training, or of threads, if one is given.

        Raises
        ------
        SpecificationError
            If the file cannot be read or describes no possible run.
        """
        spec = RunSpecification.from_toml(self.config)
        if epochs is not None:
            spec = spec.model_copy(update={"training": spec.training.model_copy(update={"epochs": epochs})})
        if threads is not None:
            simulation = spec.network.simulation.model_copy(update={"threads": threads})
            spec = spec.model_copy(update={"network": spec.network.model_copy(update={"simulation": simulation})})
        return spec

    def write_specification(self, spec: RunSpecification) -> None:
        """Write the complete specification, in one step: other MPI processes may be reading the former one."""
        if rank() > 0:
            return
        _write_in_one_step(self.config, spec.to_toml())

    def append_metrics(self, record: Mapping[str, float]) -> None:
        """Append the record of an epoch and close the file, so that a crash loses nothing."""
        if rank() > 0:
            return
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(record), allow_nan=False) + "\n")

    def read_metrics(self) -> list[Metrics]:
        """Records of all epochs; an unfinished last line (a run that was killed) is left out.

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

    def forget_metrics_after(self, epoch: int) -> list[Metrics]:
        """Drop the records of later epochs, which are to be trained again; returns the others.

        Raises
        ------
        UserError
            If the file lacks the record of an epoch until then.
        """
        records = [record for record in self.read_metrics() if record["epoch"] <= epoch]
        if [record["epoch"] for record in records] != list(range(epoch + 1)):
            raise UserError(f"{self.metrics} does not hold one record for each of the epochs 0 to {epoch}")
        wait_for_all()  # until every process has read
        if rank() > 0:
            return records
        _write_in_one_step(self.metrics, "".join(json.dumps(record) + "\n" for record in records))
        return records

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the results in one step, so that no reader ever sees half of them."""
        if rank() > 0:
            return
        _write_in_one_step(self.summary, json.dumps(summary, indent=2, allow_nan=False) + "\n")


def _write_in_one_step(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the former one or the new one, never half of it."""
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
