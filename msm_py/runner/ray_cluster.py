"""Batches as tasks of a Ray cluster: ``msm sweep --executor ray``, an optional extra.

Nodes share the lake and the code, each at the same path and of the same content, and nothing else.
A task writes its run folders into a scratch folder of its node and returns them as one tar, which
this process unpacks into the runs folder, each with one rename. Files that runs of a batch share
(baskets, features) travel once and are hard links again where they arrive.
"""

from __future__ import annotations

import io
import os
import secrets
import socket
import tarfile
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

from msm_py.errors import MsmError, not_written
from msm_py.experiment.ids import ResolvedRun
from msm_py.runner.executors import WorkerLost
from msm_py.settings import Places
from msm_py.store import run_folder, run_list, scratch
from msm_py.store.origin import code_fingerprint

SECONDS_TO_STOP: Final = 10.0
SECONDS_TO_ANSWER: Final = 5.0
QUIET: Final = {"log_to_driver": False, "logging_level": "warning"}


class RayExecutor(Executor):
    """An executor whose tasks run on a Ray cluster, a core each.

    Parameters
    ----------
    address
        The cluster to join: ``host:port``, ``ray://host:port`` or ``auto``. None starts one on this
        machine, for as long as the executor lives.
    jobs
        Tasks at a time; None for as many as the cluster has cores.
    lake
        The lake, to see that every node finds it.

    Raises
    ------
    MsmError
        When Ray is not installed, the cluster cannot be joined, or one of its nodes lacks the lake
        or has other code.
    """

    def __init__(self, address: str | None, jobs: int | None, *, lake: Path) -> None:
        self._ray = _imported(own_cluster=address is None)
        _connect(self._ray, address, jobs)
        try:
            self._check_nodes(lake)
        except BaseException:
            self._ray.shutdown()
            raise
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        self.slots = jobs or max(1, cores)
        # what dies is tried again by the sweep, which knows how to find the run that kills
        self._task = self._ray.remote(num_cpus=1, max_retries=0)(compute_here)
        self._threads = ThreadPoolExecutor(self.slots, thread_name_prefix="ray")
        self._refs: set[Any] = set()

    def submit(  # type: ignore[override]  # the base class takes any function
        self, fn: Callable[[list[ResolvedRun], Places], Any], /, *args: Any
    ) -> Future[Any]:
        """Compute a batch on some node: ``fn(specs, places)``.

        Returns
        -------
        The future of what ``fn`` returns. When it is there, so are the run folders. Its exception
        is that of ``fn``, or `WorkerLost` when the worker or its node died.
        """
        specs, places = args
        ref = self._task.remote(fn, specs, places)
        self._refs.add(ref)
        return self._threads.submit(self._collect, ref, places)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; what still runs is let finish, or stopped (``cancel_futures``)."""
        if cancel_futures:
            for force in (False, True):  # first with time to clean up
                refs = list(self._refs)
                for ref in refs:
                    self._ray.cancel(ref, force=force)
                if refs:
                    self._ray.wait(refs, num_returns=len(refs), timeout=SECONDS_TO_STOP)
        self._threads.shutdown(wait=True, cancel_futures=cancel_futures)
        self._ray.shutdown()

    def _collect(self, ref: Any, places: Places) -> Any:
        errors = self._ray.exceptions
        try:
            result, folders = self._ray.get(ref)
        except errors.RayTaskError as error:
            raise error.cause from error
        except errors.RayError as error:
            raise WorkerLost(f"{type(error).__name__}: {error}") from error
        finally:
            self._refs.discard(ref)
        unpack(folders, places.runs, replace=places.force)
        return result

    def _check_nodes(self, lake: Path) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ray, refs = self._ray, []
        for node in ray.nodes():
            if node["Alive"] and node["Resources"].get("CPU"):
                here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                probe = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=here)(check_node)
                refs.append(probe.remote(lake, code_fingerprint()))
        for ref in refs:
            try:
                ray.get(ref)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, MsmError):
                    raise error.cause from None
                raise MsmError(
                    "a node of the Ray cluster cannot run MSM",
                    where="--ray-address",
                    received=str(error).strip().splitlines()[-1],
                    remedy="install the same MSM on every node, into the Python that Ray runs with",
                ) from None
            except ray.exceptions.RayError:
                pass  # the node has died meanwhile: it gets no work


def _imported(*, own_cluster: bool) -> ModuleType:
    # Ray reads these when it is imported. Nothing of a run touches the network; nobody else may
    # hand a cluster of one's own work, and no token for it is put into the home folder.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if own_cluster and "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
    except ImportError:
        raise MsmError(
            "Ray is not installed",
            where="--executor ray",
            remedy='`make ray`, or pip install --editable ".[ray]"',
        ) from None
    module: ModuleType = ray
    return module


def _connect(ray: ModuleType, address: str | None, jobs: int | None) -> None:
    if address is None:
        ray.init(num_cpus=jobs, include_dashboard=False, **QUIET)
        return
    if address != "auto":
        check_reachable(address)
    try:
        ray.init(address, **QUIET)
    except Exception as error:  # Ray has no common class for what may go wrong here
        raise MsmError(
            "the Ray cluster cannot be joined",
            where="--ray-address",
            received=f"{address} ({' '.join(str(error).split())})",
            remedy="see `ray status` on the cluster's head; the same version of Ray and Python is "
            "needed here and there, and its token if it asks for one",
        ) from None


def check_reachable(address: str) -> None:
    """See that something listens at an address: Ray itself looks for it for many minutes.

    Parameters
    ----------
    address
        ``host:port`` or ``ray://host:port``.

    Raises
    ------
    MsmError
        When it is no such thing, or nothing answers there within five seconds.
    """
    remedy = "give host:port of the cluster's head, ray://host:port of its Ray Client, or auto"
    try:
        place = urlsplit(f"//{address.removeprefix('ray://')}")
        host, port = place.hostname, place.port
    except ValueError:  # the port is no number
        host, port = None, None
    if host is None or port is None:
        raise MsmError(
            "this is no address of a Ray cluster",
            where="--ray-address",
            received=address,
            remedy=remedy,
        )
    try:
        socket.create_connection((host, port), timeout=SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise MsmError(
            "no Ray cluster answers at this address",
            where="--ray-address",
            received=f"{address} ({error.strerror or error})",
            remedy=f"see `ray status` on the cluster's head, and whether a firewall is between; "
            f"{remedy}",
        ) from None


def check_node(lake: Path, code: str) -> None:
    """See that this node can compute what another one asks for.

    Raises
    ------
    MsmError
        When the lake is not where it is there, or the code is not the same.
    """
    if not lake.is_dir():
        raise MsmError(
            "a node of the Ray cluster does not find the lake",
            where=f"node {socket.gethostname()}",
            received=str(lake),
            remedy="mount or copy the lake to the same path on every node",
        )
    if code_fingerprint() != code:
        raise MsmError(
            "a node of the Ray cluster has other code",
            where=f"node {socket.gethostname()}",
            received=f"code fingerprint {code_fingerprint()[:12]}, not {code[:12]}",
            remedy="install the same commit of MSM and requirements-ray.lock on every node",
        )


def compute_here(
    fn: Callable[[list[ResolvedRun], Places], Any], specs: list[ResolvedRun], places: Places
) -> tuple[Any, bytes]:
    """Call ``fn`` with a runs folder of this node's own; return its result and that folder."""
    # a task has one core
    os.environ.setdefault("MSM_THREADS", "1")
    with scratch.own_folder() as own:
        runs = own / "runs"
        runs.mkdir()
        result = fn(specs, replace(places, runs=runs))
        return result, pack(runs)


def pack(runs: Path) -> bytes:
    """Return the run folders of a runs folder as a tar; hard links stay links."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for run_id in run_list.existing_runs(runs):
            tar.add(runs / run_id, run_id)
    return content.getvalue()


def unpack(content: bytes, runs: Path, *, replace: bool = False) -> None:
    """Put run folders into a runs folder, each wholly or not at all.

    One that is there stays, unless it is to be replaced.

    Raises
    ------
    MsmError
        When one cannot be written; those before it are kept.
    """
    with (
        scratch.folder(runs) as own,
        tarfile.open(fileobj=io.BytesIO(content)) as tar,
    ):
        # no file outside of the folder, whatever the tar says; Python before 3.11.4 has no filters
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        try:
            tar.extractall(own)
            for run_id in run_list.existing_runs(own):
                run_folder.put_run(own / run_id, replace=replace)
        except OSError as error:
            place = error.filename2 or error.filename or runs
            raise not_written(
                "a run could not be written", place, error, run_folder.REMEDY
            ) from None
