"""Sweeps: many experiments, a batch at a time, safe to interrupt at any moment.

Every batch is one dbt invocation. What is complete in the runs folder is skipped, so the same sweep
started again goes on where it was stopped. A batch that breaks as a whole is halved until the one
run that breaks it stands alone; the others complete.

Where batches are computed is an executor's business: in this process, in worker processes of this
machine, or in those of a Ray cluster (`msm_py.ray_executor`).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

from msm_py import invocation
from msm_py.errors import Interrupted, MsmError
from msm_py.invocation import Outcome, Places

Spec = dict[str, Any]

logger = logging.getLogger(__name__)

SECONDS_TO_STOP: Final = 10.0


class WorkerLost(Exception):
    """The process that computed a batch is gone, and the batch with it; the others go on."""


@dataclass(frozen=True)
class Trial:
    """What became of one variant of a sweep.

    Parameters
    ----------
    run_id
        None for a variant that validation rejected.
    experiment_id, title
        Which variant.
    status
        ``complete`` (computed now), ``existing`` (was there), ``failed`` or ``rejected``.
    error, details
        Why it failed, in a paragraph and with the full traceback if there is one.
    started_at
        When its batch was started, UTC, ISO.
    seconds
        Its share of the time of its batch.
    """

    run_id: str | None
    experiment_id: str
    title: str
    status: str
    error: str | None = None
    details: str | None = None
    started_at: str | None = None
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the trial as JSON holds it."""
        return asdict(self)


class InProcess(Executor):
    """An executor that runs what is submitted at once, in this process."""

    def submit(  # type: ignore[override]  # the base class takes positional-only parameters
        self, fn: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Call the function and return its finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Processes(ProcessPoolExecutor):
    """Worker processes that stop when they are told to, and when this process is gone.

    They are spawned, not forked: this process may have threads of DuckDB and of the terminal's
    display. Ctrl-C is theirs only while they compute; shutting down with ``cancel_futures`` gives
    it to them, time to clean up, and an end.
    """

    def __init__(self, jobs: int) -> None:
        context = get_context("spawn")
        # its other end is read by all workers: closed by us, or with us, it tells them to stop
        ours, self._hold = context.Pipe(duplex=False)
        super().__init__(jobs, context, initializer=_begin_worker, initargs=(os.getpid(), ours))

    def submit(  # type: ignore[override]  # the base class is generic in the function
        self, fn: Callable[..., Any], /, *args: Any
    ) -> Future[Any]:
        """Call the function in a worker."""
        return super().submit(_in_worker, fn, *args)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let workers finish what they do, or stop and clean up (``cancel_futures``)."""
        if cancel_futures:
            self._hold.close()
        super().shutdown(wait=wait or cancel_futures, cancel_futures=cancel_futures)


# of a worker process: whose it is, and whether it is to stop
_parent: int = 0
_stop: Connection | None = None


def _begin_worker(parent: int, stop: Connection) -> None:
    global _parent, _stop
    _parent, _stop = parent, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_in_time, daemon=True).start()


def _end_in_time() -> None:
    assert _stop is not None
    _stop.poll(None)
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    time.sleep(SECONDS_TO_STOP)
    os._exit(1)


def _in_worker(fn: Callable[..., Any], *args: Any) -> Any:
    assert _stop is not None
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if _stop.poll(0):
            raise Interrupted
        return fn(*args)
    except KeyboardInterrupt:
        raise Interrupted from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if os.getppid() != _parent:  # nobody to tell
            os._exit(1)


def batches(specs: Sequence[Spec], size: int) -> list[list[Spec]]:
    """Cut a sweep into batches, in order.

    Examples
    --------
    >>> [len(batch) for batch in batches([{}] * 5, 2)]
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


def shard(specs: Sequence[Spec], index: int, count: int) -> list[Spec]:
    """Return the ``index``-th of ``count`` parts of a sweep (1-based), equal on every machine.

    Variants are dealt in the order of their run ids, so every part gets its share of the slow ones.
    """
    return sorted(specs, key=lambda spec: str(spec["run_id"]))[index - 1 :: count]


def run_batch(specs: list[Spec], places: Places) -> tuple[list[Outcome], str, float]:
    """Compute one batch without publishing; return outcomes, start and seconds."""
    started = datetime.now(UTC)
    outcomes = invocation.build(specs, places, publish=False)
    seconds = (datetime.now(UTC) - started).total_seconds()
    return outcomes, started.isoformat(timespec="seconds"), seconds


def run_sweep(
    specs: Sequence[Spec],
    places: Places,
    *,
    batch_size: int = 200,
    jobs: int = 1,
    fail_fast: bool = False,
    open_executor: Callable[[int], Executor] | None = None,
    compute: Callable[[list[Spec], Places], tuple[list[Outcome], str, float]] = run_batch,
) -> Generator[Trial, None, None]:
    """Compute what is not there yet and yield what becomes of every variant, as it is known.

    Parameters
    ----------
    specs
        Resolved experiments with their run ids.
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
    """
    waiting = []
    for spec in specs:
        if (places.runs / spec["run_id"]).is_dir() and not places.force:
            yield _trial(spec, "existing")
        else:
            waiting.append(spec)
    queue = deque(batches(waiting, even_size(len(waiting), batch_size, jobs)))
    # Runs whose worker died. Another one may have killed it, so that each is tried again when all
    # else is done, with nobody beside it: the second time it was the run.
    suspects: deque[list[Spec]] = deque()
    pool = (open_executor or _local)(jobs)
    running: dict[Future[Any], list[Spec]] = {}
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
                    pool = (open_executor or _local)(jobs)
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


def _local(jobs: int) -> Executor:
    return InProcess() if jobs == 1 else Processes(jobs)


def _settle(future: Future[Any], batch: list[Spec]) -> tuple[list[Trial], list[list[Spec]]]:
    """Return what is known of a batch now, and what of it is to be tried again."""
    error = future.exception()
    if isinstance(error, Interrupted):
        raise error
    if error is None:
        outcomes, started, seconds = future.result()
        by_id = {outcome.run_id: outcome for outcome in outcomes}
        share = seconds / len(batch)
        return [
            _trial(
                spec,
                # what was there before never came here: an earlier attempt at the batch wrote it
                "failed" if by_id[spec["run_id"]].status == "failed" else "complete",
                error=by_id[spec["run_id"]].error,
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


def _halves(batch: list[Spec]) -> list[list[Spec]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]


def _trial(spec: Spec, status: str, **known: Any) -> Trial:
    return Trial(
        run_id=spec["run_id"],
        experiment_id=spec["experiment_id"],
        title=spec["title"],
        status=status,
        **known,
    )


def counts(trials: Iterable[Trial]) -> dict[str, int]:
    """Return how many trials have which status."""
    found = {"complete": 0, "existing": 0, "failed": 0, "rejected": 0}
    for trial in trials:
        found[trial.status] += 1
    return found
