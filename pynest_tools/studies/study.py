# SPDX-License-Identifier: GPL-2.0-or-later
"""A study and its runs: which there are, how far each is, and what they reached, in one table."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import Remark, UserError
from ..runs.api import Run, open_run
from ..runs.disk import told, write_in_one_step
from ..runs.folder import RunFolder
from ..runs.lock import is_held
from ..runs.metrics import Metrics, tested_set_of
from ..runs.specification import RunSpecification
from ..runs.summary import TrainingResult
from .axes import text_of
from .reports import STABLE, ReportSpecification
from .specification import Cell, StudySpecification

if TYPE_CHECKING:
    from pandas import DataFrame

    from .search import SearchTrial

FILE = "study.toml"
WAITING, RUNNING, INTERRUPTED, DONE, DIVERGED, FAILED, PRUNED = (
    "waiting", "running", "interrupted", "done", "diverged", "failed", "pruned",
)  # fmt: skip


def open_study(path: str | Path) -> Study:
    """A study that was run, or is running.

    Parameters
    ----------
    path : str or Path
        Its folder.

    Raises
    ------
    UserError
        If there is no study.
    """
    file = Path(path) / FILE
    if not file.is_file():
        raise UserError(
            f"{path} is not the folder of a study: it has no {FILE}; give the one that pyramidal study has printed"
        )
    return Study(Path(path), StudySpecification.from_toml(file))


@dataclass(frozen=True)
class StudyRun:
    """One of the runs of a study.

    Attributes
    ----------
    cell : Cell
        Its point.
    seed : int
        Its seed.
    folder : RunFolder
        Where it is kept, as any run.
    """

    cell: Cell
    seed: int
    folder: RunFolder

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.folder.path.name

    @cached_property
    def specification(self) -> RunSpecification:
        """What is run."""
        return self.cell.specification(self.seed)

    @cached_property
    def _text(self) -> str:
        return self.specification.to_toml()

    @property
    def is_begun(self) -> bool:
        """Whether the folder holds this run, and not another one or none."""
        try:
            text = self.folder.config.read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UserError(f"cannot read {self.folder.config}: {error}") from error
        return text == self._text or self.folder.read_specification(self.specification.task).to_toml() == self._text

    @property
    def is_another(self) -> bool:
        """Whether the folder holds a run of another specification."""
        try:
            return self.folder.config.is_file() and not self.is_begun
        except UserError:
            return False

    def status(self) -> tuple[str, str]:
        """How far it is, one of waiting, running, interrupted, done, diverged, failed and pruned, and the reason, if there is one."""
        if is_held(self.folder.path):
            return RUNNING, ""
        try:
            return self.kept()
        except UserError as error:
            return FAILED, str(error)

    def kept(self) -> tuple[str, str]:
        """The same by what the folder holds, whoever may be writing it; raises UserError if that is damaged."""
        if not self.is_begun:
            return WAITING, ""
        if self.folder.failure.is_file():
            return FAILED, self.folder.failure.read_text(encoding="utf-8").strip()
        summary = self.folder.read_summary()
        if summary.get("diverged"):
            return DIVERGED, summary["diverged"]
        return (DONE if summary and not summary.get("interrupted") else INTERRUPTED), ""


class Study:
    """The runs of a study.

    Attributes
    ----------
    path : Path
        Its folder: study.toml, runs/ with a folder for each run, table.csv, table.parquet, baselines.json, and figures.
    specification : StudySpecification
        What is varied, and what is told.
    """

    def __init__(self, path: Path, specification: StudySpecification) -> None:
        self.path, self.specification = path, specification
        self.csv, self.parquet = path / "table.csv", path / "table.parquet"
        self.search, self.yardsticks = path / "search.log", path / "baselines.json"

    def run_of(self, cell: Cell, seed: int) -> StudyRun:
        """The run at a point with a seed, whether it has begun or not."""
        return StudyRun(cell, seed, RunFolder(self.path / "runs" / cell.run_name(seed)))

    @property
    def runs(self) -> list[StudyRun]:
        """All runs: first all points with their first seed, then with the next, so that there soon is something of everything."""
        return self._of_grid if self.specification.search is None else self._runs([each.cell for each in self.trials])

    @cached_property
    def _of_grid(self) -> list[StudyRun]:
        return self._runs(self.specification.cells())

    def _runs(self, cells: Sequence[Cell]) -> list[StudyRun]:
        places = [(i, cell, seed) for cell in cells for i, seed in enumerate(cell.seeds)]
        return [self.run_of(cell, seed) for _, cell, seed in sorted(places, key=lambda place: place[0])]

    @property
    def trials(self) -> list[SearchTrial]:
        """Trials that a search has made so far, in their order; none without a search."""
        from .search import trials_of

        return trials_of(self)

    def run(self, seed: int | None = None, **point: Any) -> Run:
        """The run at a point of the axes, as `pynest_tools.open_run` gives it.

        Parameters
        ----------
        seed : int, optional
            Its seed, if the study has several.
        **point
            Value by column; those that are left out must not matter.

        Raises
        ------
        UserError
            If that is none of the runs or several, or it has not begun.
        """
        wanted = {column: text_of(value) for column, value in point.items()}
        found = [
            run
            for run in self.runs
            if (seed is None or run.seed == seed)
            and wanted == {column: text_of(run.cell.point[column]) for column in wanted if column in run.cell.point}
        ]
        if len(found) != 1:
            told = ", ".join(f"{name} = {value}" for name, value in [*point.items(), ("seed", seed or "any")])
            raise UserError(
                f"{len(found)} runs of the study have {told}; its columns are {', '.join(self.columns)}, seed"
            )
        return open_run(found[0].folder.path)

    @property
    def columns(self) -> list[str]:
        """Columns of the table that say what is varied."""
        return list(self.specification.columns)

    @property
    def table(self) -> DataFrame:
        """What all runs have reached, as it is now.

        Returns
        -------
        DataFrame
            One row for each run: a column for each axis, seed, status (`StudyRun.status`), reason, one for each report, epochs, wall_s
            (s), and run, the name of its folder. NaN is what is not known. If the runs are no longer there, as the table was kept.
        """
        import pandas as pd

        if not (self.path / "runs").is_dir() and self.csv.is_file():
            kept: DataFrame = pd.read_csv(self.csv, dtype={"reason": str}).fillna({"reason": ""})
            return kept
        pruned = (
            {each.cell.name for each in self.trials if each.state == "PRUNED"} if self.specification.search else set()
        )
        runs = self.runs
        rows = [self._row(run) for run in runs]
        for run, row in zip(runs, rows, strict=True):
            if run.cell.name in pruned and row["status"] in (INTERRUPTED, WAITING):
                row["status"] = PRUNED
        table: DataFrame = pd.DataFrame(rows, columns=self.headings)
        numbers = [*self.specification.reports, "epochs", "wall_s"]
        found: DataFrame = table.astype(dict.fromkeys(numbers, float)).fillna({"reason": ""})
        return found

    def write_table(self) -> DataFrame:
        """Keep the table as table.csv, and as table.parquet if pyarrow is installed, and the yardsticks; returns the table."""
        table = self.table
        text = StringIO()
        table.to_csv(text, index=False)
        with told(self.csv, f"pyramidal study {self.path}"):
            write_in_one_step(self.csv, lambda file: file.write(text.getvalue().encode()))
            if baselines := self.baselines:
                kept = json.dumps(baselines, indent=2) + "\n"
                write_in_one_step(self.yardsticks, lambda file: file.write(kept.encode()))
            self._write_parquet(table)
        return table

    def _write_parquet(self, table: DataFrame) -> None:
        mixed = [name for name in table if table[name].map(type).nunique() > 1]  # such as 60 and "[60, 60]"

        def write(file: BinaryIO) -> None:
            table.astype(dict.fromkeys(mixed, str)).to_parquet(file, index=False)  # whose columns have one type each

        try:
            import pyarrow  # noqa: F401
        except ImportError:
            warnings.warn(
                "the table is kept as CSV only; for Parquet: pip install 'nest-pyramidal[parquet]'",
                Remark,
                stacklevel=3,
            )
            return
        write_in_one_step(self.parquet, write)

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """Yardsticks by name, each with its score by set: of the first run that has some, or as they were kept."""
        for run in self.runs:
            with suppress(UserError):  # a damaged one is told by the table
                if found := run.folder.read_summary().get("baselines"):
                    return dict(found)
        return dict(json.loads(self.yardsticks.read_text(encoding="utf-8"))) if self.yardsticks.is_file() else {}

    @property
    def reference(self) -> DataFrame | None:
        """Values to compare with, or None."""
        import pandas as pd

        if self.specification.reference is None:
            return None
        records = self.specification.reference_records
        shown: DataFrame = pd.DataFrame([{name: _shown(value) for name, value in each.items()} for each in records])
        return shown

    @property
    def headings(self) -> list[str]:
        """Columns of the table."""
        return [*self.columns, "seed", "status", "reason", *self.specification.reports, "epochs", "wall_s", "run"]

    def _row(self, run: StudyRun) -> dict[str, Any]:
        status, reason = run.status()
        row = {column: _shown(value) for column, value in run.cell.point.items()}
        row |= {"seed": run.seed, "status": status, "reason": reason, "run": run.name}
        if status == WAITING:
            return row
        try:
            summary, records = run.folder.read_summary(), run.folder.read_metrics()
        except UserError as error:
            return row | {"status": FAILED, "reason": reason or str(error)}
        for name, report in self.specification.reports.items():
            row[name] = reported(report, records, summary)
        if records:
            row |= {"epochs": records[-1]["epoch"], "wall_s": summary.get("wall_s", records[-1]["wall_s"])}
        return row


def reported(report: ReportSpecification, records: list[Metrics], summary: Mapping[str, Any]) -> float | None:
    """What a report tells of a run.

    Parameters
    ----------
    report : ReportSpecification
        Which number, and when.
    records : list of dict
        Of its tests.
    summary : dict
        Of its end; empty before.

    Returns
    -------
    float or None
        None if it is not known.
    """
    tested_on = tested_set_of(records)
    result = TrainingResult(None, tested_on, records)  # type: ignore[arg-type]  # only its records are asked
    if not records:
        return None
    if report.metric == STABLE:
        return result.stable_from_epoch if result.tests_at_100 >= report.tests else None
    if report.metric == "epochs":
        return float(records[-1]["epoch"])
    if report.metric == "wall_s":
        return float(summary.get("wall_s", records[-1]["wall_s"]))
    if report.metric.startswith("test_") and tested_on != "test":
        return _at(summary.get("test") or {}, report.metric.removeprefix("test_"))
    chosen = [records[result.best or 0]] if report.at == "best" else records[-report.tests :]
    values = [_at(record, report.metric) for record in chosen]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _at(record: Any, key: str) -> float | None:
    """The number at a dotted key, or None."""
    for part in key.split("."):
        if isinstance(record, Mapping):
            record = record.get(part)
        elif isinstance(record, list) and part.isdigit() and int(part) < len(record):
            record = record[int(part)]
        else:
            return None
    return float(record) if isinstance(record, int | float) and not isinstance(record, bool) else None


def _shown(value: Any) -> Any:
    """A value as a table holds it: lists as text, of one value that value."""
    if not isinstance(value, list | tuple):
        return value
    return value[0] if len(value) == 1 else json.dumps(value)
