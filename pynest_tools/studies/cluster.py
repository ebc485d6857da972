# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs of a study on the workers of dask: on this machine, or wherever its scheduler has some that share the folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ..errors import UserError
from ..runs.workers import Job, Outcome, run_jobs


def run_on_dask(
    next_job: Callable[[], Job | None], on_end: Callable[[Job, Outcome], None], scheduler: str | None
) -> None:
    """Give all jobs to a dask cluster, which starts a process for each as `runs.workers.run_jobs` does.

    Parameters
    ----------
    next_job : callable
        Gives the next job, or None if there is none.
    on_end : callable
        Called with a job that has ended, and its outcome; there may be further jobs then.
    scheduler : str or None
        Address of the scheduler; None: a cluster with a worker for each core of this machine.

    Raises
    ------
    UserError
        If dask.distributed is not installed, or the scheduler does not answer.
    """
    dask = _dask()
    with ExitStack() as stack:
        cluster = scheduler or stack.enter_context(dask.LocalCluster(threads_per_worker=1, dashboard_address=None))
        try:
            client = stack.enter_context(dask.Client(cluster))
        except OSError as error:
            raise UserError(f"dask's scheduler at {scheduler} does not answer: {error}") from error
        jobs: dict[str, Job] = {}
        running = dask.as_completed()

        def submit_all() -> None:
            while (job := next_job()) is not None:
                future = client.submit(do, job, key=f"{job.name} {len(jobs)}", pure=False)
                jobs[future.key] = job
                running.add(future)

        submit_all()
        for future in running:
            failure = future.exception()
            on_end(jobs[future.key], future.result() if failure is None else Outcome(error=f"dask: {failure}"))
            submit_all()


def _dask() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise UserError("--executor dask needs dask.distributed: pip install 'nest-pyramidal[dask]'") from error
    return distributed


def do(job: Job) -> Outcome:
    """On a worker: the job in a process of its own."""
    found: list[Outcome] = []
    todo = [job]
    run_jobs(lambda: todo.pop() if todo else None, 1, lambda *_: None, lambda _, outcome: found.append(outcome))
    return found[0]
