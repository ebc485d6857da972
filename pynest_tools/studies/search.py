# SPDX-License-Identifier: GPL-2.0-or-later
"""A search: Optuna chooses the points, the validation set decides, and what does badly ends early.

Optuna keeps its trials in search.log, a journal that several processes may write. The sampler's random numbers follow from its seed
and the number of the trial, so that a search that goes on chooses as one that was never interrupted. No trial reads the test set.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from ..runs.metrics import Metrics
from ..runs.workers import ENDED, Job, Outcome, run_jobs
from .axes import Range, text_of
from .jobs import Progress, failure_of, note_failure, work
from .reports import ReportSpecification
from .specification import Cell, SearchSpecification
from .study import DONE, FAILED, PRUNED, RUNNING, Study, StudyRun, reported

if TYPE_CHECKING:
    import optuna

    from .execution import Observer

OPEN = "RUNNING"  # Optuna's word for a trial that has not ended


@dataclass(frozen=True)
class SearchTrial:
    """A trial of a search.

    Attributes
    ----------
    number : int
        Of the trial, from 0.
    cell : Cell
        Its point.
    state : str
        Of Optuna: RUNNING, COMPLETE, PRUNED, FAIL.
    value : float or None
        Mean of the objective over the seeds.
    """

    number: int
    cell: Cell
    state: str
    value: float | None


def trials_of(study: Study) -> list[SearchTrial]:
    """Trials that have been made so far, in their order."""
    if not study.search.is_file():
        return []
    return [_trial(study, each) for each in _open(study).trials]


def best_of(study: Study) -> SearchTrial | None:
    """The best trial so far, or None."""
    sign = 1.0 if study.specification.direction == "maximize" else -1.0
    known = [trial for trial in trials_of(study) if trial.value is not None]
    return max(known, key=lambda trial: sign * (trial.value or 0.0), default=None)


def search(study: Study, n_workers: int, part: int, observer: Observer) -> None:
    """Make the trials that are left, so many runs at a time; those of which a run was killed go on."""
    state = _Search(study, part, observer)
    run_jobs(state.next, n_workers, state.hear, state.end)


@dataclass
class _Open:
    """A trial that is being made."""

    trial: optuna.Trial
    runs: tuple[StudyRun, ...]
    tested: int = -1  # samples at the last test that was reported


class _Search:
    """Trials that are open, and what comes next. A process makes a trial with all its seeds."""

    def __init__(self, study: Study, part: int, observer: Observer) -> None:
        self._study, self._part, self._observer = study, part, observer
        self._optuna = _open(study)
        self._queue: deque[Job] = deque()
        self._open: dict[str, _Open] = {}  # by name of the job
        trials, settings = trials_of(study), self._settings
        for each in trials:
            if each.state == OPEN:  # whoever was making it has been killed, or is at it and will not let go of its runs
                self._take_up(_handle(self._optuna, each.number), each.cell)
        first = {column: variable.first for column, variable in study.specification.variables.items()}
        new = [study.specification.cell_of(first, number) for number in range(len(trials), settings.trials)]
        ended = [run for each in trials if each.state != OPEN for run in self._runs(each.cell)]
        left = [run for each in self._open.values() for run in each.runs]
        observer.planned(study, ended, [*left, *(run for cell in new for run in self._runs(cell))])

    @property
    def _settings(self) -> SearchSpecification:
        settings = self._study.specification.search
        assert settings is not None
        return settings

    def _runs(self, cell: Cell) -> tuple[StudyRun, ...]:
        return tuple(self._study.run_of(cell, seed) for seed in cell.seeds)

    def _take_up(self, trial: optuna.Trial, cell: Cell) -> None:
        runs = self._runs(cell)
        self._open[cell.name] = _Open(trial, runs)
        self._queue.append(Job(cell.name, work, (runs,)))

    def next(self) -> Job | None:
        """An open trial, or a new one, or None."""
        if not self._queue and (number := len(self._optuna.trials)) < self._settings.trials:
            self._optuna.sampler = _sampler(self._settings, number, self._part)
            trial = self._optuna.ask(_distributions(self._study))
            self._take_up(trial, _cell(self._study, trial.params, trial.number))
        return self._queue.popleft() if self._queue else None

    def hear(self, job: Job, message: Any) -> bool:
        """Pass on progress; true if the trial is to be pruned, by the tests of its first seed."""
        if not isinstance(message, Progress):
            self._observer.note(f"{job.name}: {message}")
            return False
        self._observer.progress(message)
        mine, samples = self._open[job.name], int(message.record["samples"])
        value = self._value(message.record)
        if mine.runs[0].name not in message.names or samples <= mine.tested or value is None:
            return False
        mine.tested = samples
        mine.trial.report(value, samples)
        return self._settings.prune and mine.trial.should_prune()

    def end(self, job: Job, outcome: Outcome) -> None:
        """Tell Optuna what has become of a trial."""
        mine = self._open.pop(job.name)
        if outcome.value is not None:
            found = outcome.value
        elif outcome.error == ENDED:
            found = {run.name: (PRUNED, "") for run in mine.runs}
        else:
            found = {run.name: (FAILED, failure_of(outcome.error)) for run in mine.runs}
        for run in mine.runs:
            status, reason = found[run.name]
            if status == FAILED:
                note_failure(run, reason)
            self._observer.ended(run, status, reason)
        self._tell(mine, {status for status, _ in found.values()})

    def _tell(self, mine: _Open, statuses: set[str]) -> None:
        from optuna.trial import TrialState

        if RUNNING in statuses:  # somebody else is making it, and will tell
            return
        values: list[float] = []
        if statuses == {DONE}:
            found = (self._value(run.folder.read_metrics()[-1]) for run in mine.runs)
            values = [value for value in found if value is not None]
        if len(values) == len(mine.runs):
            self._optuna.tell(mine.trial.number, mean(values), skip_if_finished=True)
        else:  # the sampler takes one that was pruned or has diverged for worse than all that came to their end
            state = TrialState.FAIL if FAILED in statuses else TrialState.PRUNED
            self._optuna.tell(mine.trial.number, state=state, skip_if_finished=True)

    def _value(self, record: Metrics) -> float | None:
        return reported(ReportSpecification(metric=self._study.specification.objective), [record], {})


def _open(study: Study) -> optuna.Study:
    """Optuna's study in the journal, which is made if it is not there."""
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise UserError("a search needs Optuna: pip install 'nest-pyramidal[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study.path.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(study.search))),
        study_name=fingerprint(study),
        direction=study.specification.direction,
        load_if_exists=True,
    )


def _handle(study: optuna.Study, number: int) -> optuna.Trial:
    """What reports tests of a trial that was begun by a process that is no longer there."""
    import optuna

    return optuna.Trial(study, study.trials[number]._trial_id)


def fingerprint(study: Study) -> str:
    """Name of what is searched: if anything but the number of trials changes, the search begins anew."""
    specification = study.specification
    settings = specification.search
    assert settings is not None
    entries = [specification.base, specification.set, list(specification.seeds), specification.objective]
    entries.append(settings.model_dump(mode="json", exclude={"trials"}))
    return hashlib.sha256(json.dumps(entries, default=str).encode()).hexdigest()[:16]


def _trial(study: Study, found: optuna.trial.FrozenTrial) -> SearchTrial:
    value = found.value if found.state.name == "COMPLETE" else None
    return SearchTrial(found.number, _cell(study, found.params, found.number), found.state.name, value)


def _cell(study: Study, params: Mapping[str, Any], number: int) -> Cell:
    """The cell of a trial; Optuna has choices as text."""
    values = {}
    for column, variable in study.specification.variables.items():
        value = params[column]
        if not isinstance(variable, Range):
            value = next(choice for choice in variable.choices if text_of(choice) == value)
        values[column] = value
    return study.specification.cell_of(values, number)


def _distributions(study: Study) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for column, variable in study.specification.variables.items():
        if not isinstance(variable, Range):
            found[column] = CategoricalDistribution([text_of(choice) for choice in variable.choices])
        elif variable.is_int:
            found[column] = IntDistribution(
                int(variable.low), int(variable.high), log=variable.log, step=int(variable.step or 1)
            )
        else:
            found[column] = FloatDistribution(variable.low, variable.high, log=variable.log, step=variable.step)
    return found


def _sampler(settings: SearchSpecification, number: int, part: int) -> Any:
    """A sampler for one trial."""
    import optuna

    seed = int(np.random.SeedSequence([settings.seed, number, part]).generate_state(1)[0])
    if settings.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)
