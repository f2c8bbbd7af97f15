"""One dbt invocation: a batch of experiments in a scratch database of its own.

Everything MSM computes, it computes through ``dbt build``; this module calls dbt as a person would,
with a target path, log path and scratch database that no other invocation has, and reads from the
scratch database what became of each run.
"""

from __future__ import annotations

import gc
import itertools
import json
import logging
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import duckdb

from msm_py.errors import Interrupted, MsmError, NoSpace, tells_no_space
from msm_py.experiment.ids import ResolvedRun
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import failure_logs
from msm_py.settings import DATABASE_FILE, Places, cache_bytes, logs_dir, project_dir, target_root
from msm_py.store import cache, looks, scratch
from msm_py.store.origin import code_fingerprint


@dataclass(frozen=True)
class NodeFinished:
    """A node of the graph is done.

    Parameters
    ----------
    folder
        The folder of the model; empty for tests.
    name
        Its name.
    seconds
        Since the start of the invocation.
    n_done, n_nodes
        Nodes that are done, this one included, and all of them.
    """

    folder: str
    name: str
    seconds: float
    n_done: int
    n_nodes: int


Progress = Callable[[NodeFinished], object]
"""Told of every finished node."""
LOG_FILE: Final = "dbt.log"
EXPERIMENTS_FILE: Final = "experiments.json"
PARSED: Final = "partial_parse.msgpack"


@dataclass(frozen=True)
class Outcome:
    """What became of one run.

    Parameters
    ----------
    run_id, experiment_id
        Which run.
    status
        ``complete``, ``existing`` or ``failed``.
    error
        Why it failed.
    """

    run_id: str
    experiment_id: str
    status: str
    error: str | None


def build(
    experiments: Sequence[ResolvedRun],
    places: Places,
    *,
    progress: Progress | None = None,
    verbose: bool = False,
    publish: bool = True,
) -> list[Outcome]:
    """Compute experiments with one ``dbt build``.

    Parameters
    ----------
    experiments
        What to run. None: only the warehouse and the catalog are brought up to date.
    places
        Where to read and write.
    progress
        Told of every finished node.
    verbose
        Show dbt's own log on the terminal.
    publish
        Bring warehouse and catalog up to date at the end; a sweep does it once, after all batches.

    Returns
    -------
    One outcome per run, ordered by run_id.

    Raises
    ------
    MsmError
        When the invocation as a whole failed: with the message of the model that did, else naming
        the log file.
    """
    # what tests the project and not this run's data, and what a sweep does once at its end
    left_out = ["tag:project", *([] if publish else ["warehouse+"])]
    with _built(experiments, places, [], left_out, progress=progress, verbose=verbose) as own:
        outcomes = _outcomes(own / DATABASE_FILE)
        if outcomes is None or len(outcomes) < len(experiments):
            raise _error([], own / LOG_FILE)
        return outcomes


@contextmanager
def built(
    experiments: Sequence[ResolvedRun], places: Places, models: Sequence[str]
) -> Iterator[Path]:
    """Yield a database that holds some models, with all that they read; gone afterwards.

    Parameters
    ----------
    experiments
        What they are built for.
    places
        Where to read.
    models
        Their names.

    Raises
    ------
    MsmError
        As `build`.
    """
    only = ["--exclude-resource-type", "test", "--select", *(f"+{model}" for model in models)]
    with (
        scratch.own_folder() as nowhere,
        _built(experiments, in_scratch(places, nowhere), only, []) as own,
    ):
        yield own / DATABASE_FILE


def fill_cache(
    experiments: Sequence[ResolvedRun], places: Places, *, progress: Progress | None = None
) -> None:
    """Compute and test what the cache lacks of some experiments, and nothing else.

    Parameters
    ----------
    experiments
        What the cache is filled for.
    places
        Where to read, and the cache.
    progress
        Told of every finished node.

    Raises
    ------
    MsmError
        As `build`.
    OSError, duckdb.Error
        When the cache cannot be written to.
    """
    if places.cache is None:
        return
    wanted = _keys(experiments, places)
    there = cache.find(places.cache, wanted)
    lacking = [stage for stage in cache.STAGES if stage.name not in there]
    if not lacking:
        return
    models = [f"+{model}" for stage in lacking for model in stage.models()]
    only = ["--indirect-selection", "buildable", "--select", *models]
    with (
        scratch.own_folder() as nowhere,
        _built(experiments, in_scratch(places, nowhere), only, [], progress=progress) as own,
        duckdb.connect(own / DATABASE_FILE) as con,
    ):
        cache.attach_again(con)  # what lacks is made of what is there
        if not cache.is_of(con, places.lake) or _keys(experiments, places) != wanted:
            return
        for stage in lacking:
            if cache.shown(con).keys().isdisjoint(stage.models()):  # nobody else was quicker
                cache.keep(con, places.cache, stage, wanted[stage.name], cache_bytes())


def opened(database: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection to a database that `built` yields, to read it."""
    con = duckdb.connect(database, read_only=True)
    cache.attach_again(con)
    return con


def in_scratch(places: Places, own: Path) -> Places:
    """Return places of which only the lake and the ledger of looks are the user's."""
    runs = own / "runs"
    runs.mkdir()
    if (places.runs / looks.LEDGER).exists():
        shutil.copyfile(places.runs / looks.LEDGER, runs / looks.LEDGER)
    return Places(places.lake, runs, own / "warehouse.duckdb", cache=places.cache)


@contextmanager
def built_without(
    experiments: Sequence[ResolvedRun],
    places: Places,
    models: Sequence[str],
    *,
    progress: Progress | None = None,
) -> Iterator[Path]:
    """Yield a database that holds all models but some, as dbt selects them; gone afterwards.

    Parameters
    ----------
    experiments, places, progress
        As of `build`.
    models
        Those that are not built.

    Raises
    ------
    MsmError
        As `build`.
    """
    no_tests = ["--exclude-resource-type", "test"]
    with _built(experiments, places, no_tests, models, progress=progress) as own:
        yield own / DATABASE_FILE


def what_models_read() -> dict[str, set[str]]:
    """Return the models of the project, and the names of the models that each reads.

    Raises
    ------
    MsmError
        The project cannot be parsed.
    """
    with scratch.own_folder() as own:
        target = own / "target"
        target.mkdir()
        arguments = ["parse", *_project_options(own, target)]
        with _parsed_before(target), _environment({"MSM_SCRATCH": str(own / DATABASE_FILE)}):
            result = _called(arguments)
        if result.exception is not None:
            raise _error([str(result.exception)], own / LOG_FILE)
        nodes = {key: x for key, x in result.result.nodes.items() if x.resource_type == "model"}
        return {
            node.name: {nodes[x].name for x in node.depends_on.nodes if x in nodes}
            for node in nodes.values()
        }


@contextmanager
def _built(
    experiments: Sequence[ResolvedRun],
    places: Places,
    selection: Sequence[str],
    left_out: Sequence[str],
    *,
    progress: Progress | None = None,
    verbose: bool = False,
) -> Iterator[Path]:
    """Yield the scratch folder of an invocation that succeeded; of no model that is left out.

    What the cache has is not visited.
    """
    with scratch.own_folder() as own, _temporary_files_in(own / "tmp"), ExitStack() as stack:
        keys = {} if places.cache is None else _keys(experiments, places)
        found = {} if places.cache is None else cache.find(places.cache, keys)
        kept = cache.held(found, own)  # under names that stay
        told = {"keys": keys, "found": {stage: str(file) for stage, file in kept.items()}}
        left_out = [*left_out, *_need_no_visit(kept)]
        stack.enter_context(
            _environment(
                {
                    **places.environment(),
                    "MSM_SCRATCH": str(own / DATABASE_FILE),
                    "MSM_EXPERIMENTS_FILE": str(own / EXPERIMENTS_FILE),
                    "MSM_KEPT": json.dumps(told),
                }
            )
        )
        given = [run.as_variable() for run in experiments]
        (own / EXPERIMENTS_FILE).write_text(json.dumps({"experiments": given}))
        target = own / "target"
        target.mkdir()
        arguments = [
            "build",
            "--exclude-resource-type",
            "unit_test",
            *selection,
            *(["--exclude", *left_out] if left_out else []),
            *_project_options(own, target, verbose=verbose),
        ]
        with _parsed_before(target):
            failures = _invoke(arguments, progress)
        if failures:
            raise _error(failures, own / LOG_FILE)
        yield own


def _keys(experiments: Sequence[ResolvedRun], places: Places) -> dict[str, str]:
    """Return the keys of what experiments need of the cache; without any nothing is needed."""
    if not experiments:
        return {}
    recorded = (look.run_id for look in looks.read(places.runs).looks)
    data = fingerprint(open_lake(places.lake))
    return cache.keys(experiments, data, code_fingerprint(), recorded)


def _need_no_visit(kept: Collection[str]) -> list[str]:
    """Return what selects the models that the cache has, when it has some stages."""
    found = [x for stage in cache.STAGES if stage.name in kept for x in stage.selectors()]
    return [*found, "kept_tables"] if len(kept) == len(cache.STAGES) else found


def _project_options(own: Path, target: Path, *, verbose: bool = False) -> list[str]:
    return [
        "--vars",
        json.dumps({"experiments_file": "$MSM_EXPERIMENTS_FILE"}),
        "--project-dir",
        str(project_dir()),
        "--profiles-dir",
        str(project_dir()),
        "--target-path",
        str(target),
        "--log-path",
        str(own),
        "--log-level",
        "info" if verbose else "none",
        "--log-level-file",
        "debug",
        "--no-write-json",  # manifest and results as files: nobody reads them here
    ]


def _invoke(arguments: list[str], progress: Progress | None) -> list[str]:
    """Run dbt and return the messages of nodes that failed; empty when all is well."""
    started = time.monotonic()
    done, total = itertools.count(1), 0

    def tell(event: Any) -> None:
        nonlocal total
        if event.info.name == "LogStartLine":
            total = event.data.total
        if event.info.name != "NodeFinished" or progress is None:
            return
        node = event.data.node_info
        folder = Path(node.node_path).parts[0] if node.resource_type == "model" else ""
        seconds, n_done = time.monotonic() - started, next(done)
        progress(NodeFinished(folder, node.node_name, seconds, n_done, max(total, n_done)))

    result = _called(arguments, tell)
    if result.exception is not None:
        return [str(result.exception)]
    return [
        f"{node.node.name}: {node.message}"
        for node in getattr(result.result, "results", [])
        if node.status in ("error", "fail", "runtime error")
        # says in dbt what the outcomes say here, run by run
        and node.node.name != "every_run_succeeded"
    ]


def _called(arguments: list[str], tell: Callable[[Any], None] | None = None) -> Any:
    """Return what dbt says of a command."""
    with _collector_at_rest(), _noticing_interrupts() as interrupts:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        here = Path.cwd()
        try:
            if not interrupts:  # what is imported may keep a Ctrl-C to itself, too
                with _silent_logging():
                    result = dbtRunner(callbacks=[] if tell is None else [tell]).invoke(arguments)
            if interrupts:
                raise Interrupted
        finally:
            os.chdir(here)  # dbt changes into the project's folder
            # dbt keeps the lock on its database for the life of the process unless told otherwise
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]  # dbt
        return result


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Let Python's collector rest, which saves a tenth of a run: dbt keeps what it makes."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _outcomes(database: Path) -> list[Outcome] | None:
    """Return what the model ``run_artifacts`` says, None when it was not built."""
    if not database.exists():
        return None
    with duckdb.connect(database, read_only=True) as con:
        try:
            rows = con.execute(
                "select run_id, experiment_id, status, error from run_artifacts order by run_id"
            ).fetchall()
        except duckdb.CatalogException:
            return None
    return [Outcome(*row) for row in rows]


def _error(failures: list[str], log: Path) -> MsmError:
    message = clear_message(failures[0]) if failures else None
    if message is not None:
        return NoSpace(message) if tells_no_space(message) else MsmError(message)
    full = next(filter(tells_no_space, failures), None)
    if full is not None:
        return NoSpace(
            "the disk of the scratch folder is full; dbt could not build the models",
            where=f"{log.parent.parent} (MSM_TARGET)",
            received=_line_of_cause(full),
            remedy="free space there, or name another place in MSM_TARGET; then run again: what "
            "is complete is kept",
        )
    return MsmError(
        "dbt could not build the models",
        where=failure_logs.keep(log, logs_dir()),
        received=failures[0].strip() if failures else "no message",
        remedy="if it is not plain from the message, run again with --verbose",
    )


def _line_of_cause(failure: str) -> str:
    """Return the line of a failure that says that a disk is full."""
    return next(line.strip() for line in failure.splitlines() if tells_no_space(line))


def clear_message(failure: str) -> str | None:
    r"""Return the paragraph that our own code put into a dbt failure, None if there is none.

    Examples
    --------
    >>> print(clear_message("Runtime Error in model x\n  ...\n  msm_py.errors.MsmError: no lake"))
    no lake
    """
    python = re.search(r"msm_py\.errors\.\w+: (.*)", failure, re.DOTALL)
    sql = re.search(r"Invalid Input Error: ((?:Conflicting|The unit of).*)", failure, re.DOTALL)
    found = python or sql
    if found is None:
        return None
    lines = found.group(1).strip().splitlines()
    # dbt indents a traceback by two and names the compiled file in a last line
    kept = [line.removeprefix("  ") for line in lines if "compiled code at" not in line]
    return "\n".join([kept[0], *kept[1:]]).strip()


@contextmanager
def _noticing_interrupts() -> Iterator[list[int]]:
    """Yield a list that gets an item for every Ctrl-C, which dbt keeps to itself."""
    noticed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noticed
        return

    def notice(number: int, frame: FrameType | None) -> None:
        noticed.append(number)
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, notice)
    try:
        yield noticed
    except KeyboardInterrupt:
        raise Interrupted from None
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _silent_logging() -> Iterator[None]:
    """Let a log that finds no room be cut short, instead of a traceback for each of its lines."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


@contextmanager
def _parsed_before(target: Path) -> Iterator[None]:
    """Let dbt start from what it parsed in an earlier invocation, and keep what it parsed now.

    dbt itself sees what has changed since and parses that again.
    """
    kept = target_root() / PARSED
    with suppress(OSError):
        shutil.copyfile(kept, target / PARSED)
    yield
    with suppress(OSError):
        fresh = target / f"{PARSED}.new"
        shutil.copyfile(target / PARSED, fresh)
        kept.parent.mkdir(parents=True, exist_ok=True)
        os.replace(fresh, kept)


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Let what dbt makes with `tempfile` lie in a folder: it leaves Python files when killed."""
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
