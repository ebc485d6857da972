# SPDX-License-Identifier: GPL-2.0-or-later
"""What a study tells of every run: which number of its records, and when."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..errors import SpecificationError
from ..settings import Settings, suggestion
from ..tasks import Task
from ..tasks.protocol import kind_of, target_names_of

STABLE = "stable_from_epoch"
OF_A_RUN = (STABLE, "epochs", "wall_s")  # metrics of a whole run, not of one of its tests
ONE_NUMBER = ("epoch", "samples", "apical_error", "interneuron_error", "samples_per_s")
#: Metrics with several numbers, and how one of them is named.
SEVERAL = {
    "rate_mean": "P_1", "rate_max": "P_1", "at_bound": "up_1", "distance": "pi_1", "angle": "down_1",
    "eta_up": "0", "eta_ip": "0", "eta_pi": "0", "eta_down": "0",
}  # fmt: skip
#: Scores of a test by kind of task, what runs are compared by first; all besides the errors of the circuit's own predictions.
SCORES = {
    "classification": ("accuracy", "loss"),
    "regression": ("r2", "loss", "rmse"),
    "free": ("apical_error", "loss"),
}


class ReportSpecification(Settings):
    """A column of the table: what is told of every run."""

    metric: str = Field(
        description="key of a test's record, dotted for what is nested, or stable_from_epoch, epochs, wall_s, test_*"
    )
    tests: int = Field(
        default=1, ge=1, description="mean of so many last tests; of stable_from_epoch: so many must be at 100 %"
    )
    at: Literal["last", "best"] = Field(default="last", description="at the last tests, or at the best by validation")


def score_of(task: Task) -> str:
    """What runs of the task are compared by."""
    return SCORES[kind_of(task)][0]


def tested_on(task: Task) -> str:
    """Name of the set that the tests of a run are on."""
    return "validation" if hasattr(task, "validation_set") else "test"


def default_reports(task: Task) -> dict[str, ReportSpecification]:
    """Reports that suit the task, by column."""
    score, tested = score_of(task), tested_on(task)
    metrics = {score: f"{tested}_{score}", "loss": f"{tested}_loss"}
    if kind_of(task) == "classification":
        metrics[STABLE] = STABLE
    return {name: ReportSpecification(metric=metric) for name, metric in metrics.items()}


def refuse_bad_report(report: ReportSpecification, task: Task, place: str) -> None:
    """Raise SpecificationError if runs of the task do not have what is reported."""
    metric = report.metric
    if metric not in OF_A_RUN:
        _refuse_unknown(metric, task, f"{place}.metric", OF_A_RUN)
    elif metric == STABLE and kind_of(task) != "classification":
        raise SpecificationError(f"{place}.metric: {metric} counts tests at 100 %, but {task.name} has no classes")
    tested = tested_on(task)
    once = metric in OF_A_RUN or (metric.startswith("test_") and tested != "test")
    if report.tests > 1 and once and metric != STABLE:
        raise SpecificationError(f"{place}.tests: {metric} is known once, at the end of a run; leave tests out")
    if report.at == "last":
        return
    if once:
        raise SpecificationError(f"{place}.at: {metric} is known once, at the end of a run; leave at out")
    if tested == "test":
        raise SpecificationError(
            f'{place}.at = "best" needs a validation set, which task {task.name} lacks: the test set decides nothing; leave at out'
        )
    if report.tests > 1:
        raise SpecificationError(
            f'{place} has at = "best", which is one test, and tests = {report.tests}: leave one out'
        )


def refuse_bad_objective(metric: str, task: Task) -> None:
    """Raise SpecificationError if a search cannot decide by a metric of the task's runs."""
    if tested_on(task) == "test":
        raise SpecificationError(
            f"a search needs a validation set, which task {task.name} lacks: the test set decides nothing; give the task a "
            "validation_set()"
        )
    if metric.startswith("test"):
        raise SpecificationError(
            f"search.objective must not be {metric}: the test set decides nothing; use {metric.replace('test', 'validation', 1)}"
        )
    _refuse_unknown(metric, task, "search.objective", ())


def _refuse_unknown(metric: str, task: Task, place: str, besides: tuple[str, ...]) -> None:
    """Raise SpecificationError unless a metric is one number of the records of the task's runs."""
    scores = dict.fromkeys((*SCORES[kind_of(task)], "apical_error", "interneuron_error"))
    sets = dict.fromkeys(("train", tested_on(task), "test"))
    known = [*(f"{name}_{score}" for name in sets for score in scores), *ONE_NUMBER, *SEVERAL, *besides]
    name, dot, _ = metric.partition(".")
    if name not in known:
        raise SpecificationError(
            f"{place} = {metric} is nothing that runs of {task.name} measure; {suggestion(name, known)}"
        )
    outputs = target_names_of(task) if name.endswith("_rmse") else ()
    one = SEVERAL.get(name) or next(iter(outputs), None)
    if one is not None and not dot:
        raise SpecificationError(f"{place} = {metric} has several numbers: name one, such as {name}.{one}")
    if one is None and dot:
        raise SpecificationError(f"{place} = {metric}: {name} is one number, with nothing in it; write {name}")
