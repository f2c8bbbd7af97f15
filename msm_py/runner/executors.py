"""What computes batches: this process, worker processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from msm_py.errors import Interrupted
from msm_py.experiment.ids import ResolvedRun
from msm_py.runner import invocation
from msm_py.runner.invocation import NodeFinished, Outcome
from msm_py.settings import Places

SECONDS_TO_STOP: Final = 10.0


class WorkerLost(Exception):
    """The process that computed a batch is gone, and the batch with it; the others go on."""


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

    Parameters
    ----------
    jobs
        How many.
    progress
        Told, in a thread of its own, of the steps of the worker that is least far.
    """

    def __init__(self, jobs: int, progress: invocation.Progress | None = None) -> None:
        context = get_context("spawn")
        # its other end is read by all workers: closed by us, or with us, it tells them to stop
        ours, self._hold = context.Pipe(duplex=False)
        told, steps = context.Pipe(duplex=False)
        if progress is not None:
            threading.Thread(target=_pass_on, args=(told, progress), daemon=True).start()
        super().__init__(
            jobs, context, initializer=_begin_worker, initargs=(os.getpid(), ours, steps)
        )

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


def _pass_on(told: Connection, progress: invocation.Progress) -> None:
    """Tell of the steps of the worker that is least far, as it gets on; returns with the last."""
    last: dict[int, NodeFinished] = {}
    shown = 0.0
    with suppress(EOFError, OSError):
        while True:
            worker, node = told.recv()
            last[worker] = node
            if node.n_done == node.n_nodes:
                del last[worker]
            least = min(last.values(), key=_share_done, default=None)
            if least is None:
                shown = 0.0
            elif _share_done(least) > shown:
                shown = _share_done(least)
                progress(least)


def _share_done(node: NodeFinished) -> float:
    return node.n_done / node.n_nodes


# of a worker process: whose it is, whether it is to stop, and where it tells of its steps
_parent: int = 0
_stop: Connection | None = None
_steps: Connection | None = None


def tell_parent(node: NodeFinished) -> None:
    """Tell the process that this one works for of a step.

    All workers write into one pipe without a lock, which one that is killed could take along: what
    is written at once and is this short arrives whole.
    """
    if _steps is not None:
        with suppress(OSError):  # nobody is there any more; the worker will learn that elsewhere
            _steps.send((os.getpid(), node))


def _begin_worker(parent: int, stop: Connection, steps: Connection) -> None:
    global _parent, _stop, _steps
    _parent, _stop, _steps = parent, stop, steps
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


def run_batch(
    specs: list[ResolvedRun], places: Places, progress: invocation.Progress | None = None
) -> tuple[list[Outcome], str, float]:
    """Compute one batch without publishing; return outcomes, start and seconds."""
    started = datetime.now(UTC)
    outcomes = invocation.build(specs, places, progress=progress, publish=False)
    seconds = (datetime.now(UTC) - started).total_seconds()
    return outcomes, started.isoformat(timespec="seconds"), seconds


def local_executor(jobs: int, progress: invocation.Progress | None = None) -> Executor:
    """Return what computes so many batches at a time on this machine."""
    return InProcess() if jobs == 1 else Processes(jobs, progress)


@dataclass(frozen=True)
class Workers:
    """What computes batches: how many at a time, and how it is opened (None: on this machine)."""

    jobs: int
    open_executor: Callable[[int], Executor] | None = None


def workers(
    jobs: int | None, *, lake: Path, on_ray: bool = False, ray_address: str | None = None
) -> Workers:
    """Return what computes batches, here or on a Ray cluster.

    Parameters
    ----------
    jobs
        Batches at a time; None for 1, or as many as a cluster has cores.
    lake
        The lake, which every node must find.
    on_ray, ray_address
        Whether a Ray cluster does, and which one; see `msm_py.runner.ray_cluster.RayExecutor`.
    """
    if not on_ray:
        return Workers(jobs or 1)
    from msm_py.runner.ray_cluster import RayExecutor

    cluster = RayExecutor(ray_address, jobs, lake=lake)
    return Workers(cluster.slots, lambda _: cluster)
