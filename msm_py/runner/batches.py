"""Sweeps: many experiments, a batch at a time, safe to interrupt at any moment.

Every batch is one dbt invocation. What is complete in the runs folder is skipped, so the same sweep
started again goes on where it was stopped. A batch that breaks as a whole is halved until the one
run that breaks it stands alone; the others complete.

Where batches are computed is an executor's business: in this process, in worker processes of this
machine, or in those of a Ray cluster (`msm_py.runner.ray_cluster`).
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import duckdb

from msm_py import machine
from msm_py.errors import Interrupted, MsmError, NoSpace
from msm_py.experiment.ids import ResolvedRun
from msm_py.runner.executors import WorkerLost, local_executor, run_batch, tell_parent
from msm_py.runner.invocation import Outcome, Progress, fill_cache
from msm_py.settings import Places
from msm_py.store import run_folder
from msm_py.store.trial import Trial

logger = logging.getLogger(__name__)
T = TypeVar("T")
_PAYS_A_WORKER: Final = 200
_OF_A_WORKER: Final = 2 * 2**30
"""Bytes of memory that there should be for every worker (docs/scale.md)."""


def batches(specs: Sequence[T], size: int) -> list[list[T]]:
    """Cut a sweep into batches, in order.

    Examples
    --------
    >>> [len(batch) for batch in batches("abcde", 2)]
    [2, 2, 1]
    """
    return [list(specs[first : first + size]) for first in range(0, len(specs), size)]


def even_size(n_waiting: int, batch_size: int, jobs: int) -> int:
    """Return how many experiments go into a batch: few enough that every worker gets one.

    Examples
    --------
    >>> even_size(300, 200, 1), even_size(300, 200, 2), even_size(0, 200, 2)
    (200, 150, 1)
    """
    return min(batch_size, max(1, -(-n_waiting // jobs)))


def usual_jobs(n_waiting: int) -> int:
    """Return how many batches go at a time when nobody says: 1 up to some hundred experiments.

    A worker process costs as much as some 200 experiments in a batch, and takes up to 1.5 GB.

    Examples
    --------
    >>> usual_jobs(399), usual_jobs(1_000_000) <= machine.n_cores()
    (1, True)
    """
    room = machine.memory_bytes() // _OF_A_WORKER
    return max(1, min(machine.n_cores(), room, n_waiting // _PAYS_A_WORKER))


def shard(specs: Sequence[ResolvedRun], index: int, count: int) -> list[ResolvedRun]:
    """Return the ``index``-th of ``count`` parts of a sweep (1-based), equal on every machine.

    Variants are dealt in the order of their run ids, so every part gets its share of the slow ones.
    """
    return sorted(specs, key=lambda spec: spec.run_id)[index - 1 :: count]


def run_sweep(
    specs: Sequence[ResolvedRun],
    places: Places,
    *,
    batch_size: int = 500,
    jobs: int = 1,
    fail_fast: bool = False,
    open_executor: Callable[[int], Executor] | None = None,
    compute: Callable[[list[ResolvedRun], Places], tuple[list[Outcome], str, float]] = run_batch,
    progress: Progress | None = None,
) -> Generator[Trial, None, None]:
    """Compute what is not there yet and yield what becomes of every variant, as it is known.

    Parameters
    ----------
    specs
        What to run.
    places
        Where to read and write, and whether what is there is computed again.
    batch_size
        Experiments in one dbt invocation; 1 is the plain loop.
    jobs
        Batches at a time. By default each has a process of its own, and 1 computes in this one.
    fail_fast
        Stop at the first failure; what is running is let finish, nothing new is begun.
    open_executor
        Opens what computes so many batches at a time. A task of it whose worker dies raises
        `WorkerLost`, or `concurrent.futures.BrokenExecutor` when it took all the others along;
        then it is opened again.
    compute
        What computes a batch.
    progress
        Told of the finished nodes of batches that are computed on this machine.
    """
    fill: Callable[[list[ResolvedRun], Places], None] | None = None
    if open_executor is None:
        open_executor = partial(local_executor, progress=progress)
        if places.cache is not None and jobs > 1:
            fill = partial(fill_cache, progress=progress)
        if compute is run_batch:
            compute = partial(run_batch, progress=progress if jobs == 1 else tell_parent)
    waiting = []
    for spec in specs:
        folder = places.runs / spec.run_id
        if places.force or not folder.is_dir():
            waiting.append(spec)
        elif fault := run_folder.fault_of_run(folder):  # nobody's numbers: not to be judged with
            yield _trial(spec, "failed", error=str(run_folder.broken(folder, fault)))
        else:
            yield _trial(spec, "existing")
    queue = deque(batches(waiting, even_size(len(waiting), batch_size, jobs)))
    # Runs whose worker died. Another one may have killed it, so that each is tried again when all
    # else is done, with nobody beside it: the second time it was the run.
    suspects: deque[list[ResolvedRun]] = deque()
    if fill is not None and len(queue) > 1:  # what batches share is computed once, by all cores
        with suppress(
            MsmError, OSError, duckdb.Error, ValueError
        ):  # the batches will say it themselves
            fill(queue[0], places)
    pool = open_executor(jobs)
    running: dict[Future[Any], list[ResolvedRun]] = {}
    try:
        while queue or running or suspects:
            alone = not queue and not running
            if alone:
                queue.append(suspects.popleft())
            while queue and len(running) < jobs:
                batch = queue.popleft()
                running[_submit(pool, compute, batch, places)] = batch
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                batch = running.pop(future)
                error = future.exception()
                lost = isinstance(error, WorkerLost | BrokenExecutor)
                if lost and not alone:
                    logger.warning("A worker is gone, its %d runs are tried again", len(batch))
                trials: list[Trial] = []
                if lost and not alone and len(batch) == 1:
                    suspects.append(batch)
                else:
                    trials, again = _settle(future, batch)
                    queue.extendleft(reversed(again))
                yield from trials
                if fail_fast and any(trial.status == "failed" for trial in trials):
                    queue.clear()
                    suspects.clear()
                if isinstance(error, BrokenExecutor):
                    queue.extendleft(running.values())
                    running.clear()
                    pool.shutdown(wait=False, cancel_futures=True)
                    pool = open_executor(jobs)
                    break
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: Executor, *call: Any) -> Future[Any]:
    try:
        return pool.submit(*call)
    except BrokenExecutor as error:  # since anybody looked
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


def _settle(
    future: Future[Any], batch: list[ResolvedRun]
) -> tuple[list[Trial], list[list[ResolvedRun]]]:
    """Return what is known of a batch now, and what of it is to be tried again."""
    error = future.exception()
    if isinstance(error, Interrupted | NoSpace):  # halves of a batch would find no room either
        raise error
    if error is None:
        outcomes, started, seconds = future.result()
        by_id = {outcome.run_id: outcome for outcome in outcomes}
        share = seconds / len(batch)
        return [
            _trial(
                spec,
                # what was there before never came here: an earlier attempt at the batch wrote it
                "failed" if by_id[spec.run_id].status == "failed" else "complete",
                error=by_id[spec.run_id].error,
                started_at=started,
                seconds=share,
            )
            for spec in batch
        ], []
    if len(batch) > 1:
        return [], _halves(batch)
    (spec,) = batch
    details = "".join(traceback.format_exception(error))
    reason = str(error) if isinstance(error, MsmError) else f"{type(error).__name__}: {error}"
    return [_trial(spec, "failed", error=reason, details=details)], []


def _halves(batch: list[T]) -> list[list[T]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]


def _trial(spec: ResolvedRun, status: str, **known: Any) -> Trial:
    return Trial(
        run_id=spec.run_id,
        experiment_id=spec.experiment.experiment_id,
        title=spec.title,
        status=status,
        **known,
    )


def counts(trials: Iterable[Trial]) -> dict[str, int]:
    """Return how many trials have which status."""
    found = {"complete": 0, "existing": 0, "failed": 0, "rejected": 0}
    for trial in trials:
        found[trial.status] += 1
    return found
