"""What an invocation takes from the cache, and what it puts there: the model ``kept_tables``.

`msm` looks into the cache itself, so that dbt need not even visit the models that are there, and
says in MSM_KEPT what it looked for and found. For a build by hand the plugin looks, and the models
that are there are visited and left as they are.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import yaml

from msm_py import settings
from msm_py.dbt_models.runs import given_experiments
from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.store import cache, looks
from msm_py.store.origin import code_fingerprint

SCHEMA: Final = pa.schema([("stage", pa.string()), ("outcome", pa.string())])


def show(con: duckdb.DuckDBPyConnection) -> None:
    """Let the scratch database show what the cache has of what this invocation computes."""
    told = _told()
    if told is not None:
        cache.attach(con, {stage: Path(file) for stage, file in told["found"].items()})
        return
    command, variables = _invocation()
    if command not in ("build", "run"):  # a test, a query: of what was built before
        cache.attach_again(con)
        return
    folder = settings.cache_dir()
    wanted = None if folder is None else _keys(variables)
    cache.attach(con, {} if folder is None or wanted is None else cache.find(folder, wanted))


def keep(con: duckdb.DuckDBPyConnection, variables: str) -> pa.Table:
    """Put into the cache what it lacks of this invocation.

    Parameters
    ----------
    con
        A connection to the scratch database without a transaction.
    variables
        As of `given_experiments`.

    Returns
    -------
    One row per stage: ``there`` (from the cache), ``kept`` now, or why it is not. That a table
    cannot be kept fails nothing.
    """
    folder = settings.cache_dir()
    if folder is None or not _is_whole():
        return SCHEMA.empty_table()
    wanted, told = _keys(variables), _told()
    if wanted is None or (told is not None and told["keys"] != wanted):
        return SCHEMA.empty_table()
    if not cache.is_of(con, settings.lake_dir().absolute()):
        return SCHEMA.empty_table()
    return pa.Table.from_pylist(
        [
            {"stage": stage.name, "outcome": _kept(con, folder, stage, wanted[stage.name])}
            for stage in cache.STAGES
        ],
        schema=SCHEMA,
    )


def _told() -> dict[str, dict[str, str]] | None:
    """Return what `msm` says: ``keys`` and ``found`` files by stage; None for a build by hand."""
    given = os.environ.get("MSM_KEPT")
    return None if given is None else json.loads(given)


def _kept(con: duckdb.DuckDBPyConnection, folder: Path, stage: cache.Stage, key: str) -> str:
    if not cache.shown(con).keys().isdisjoint(stage.models()):
        return "there"
    try:
        file = cache.keep(con, folder, stage, key, settings.cache_bytes())
    except (OSError, duckdb.Error, ValueError) as error:
        why = str(error).splitlines()[0]
    else:
        if file is not None:
            return "kept"
        why = "it is larger than the cache may be (MSM_CACHE_GB)"
    print(
        f"The stage {stage.name} is not kept in the cache {folder} (MSM_CACHE), so the next run "
        f"computes it again: {why}",
        file=sys.stderr,
        flush=True,
    )
    return f"not kept: {why}"


def _keys(variables: str) -> Mapping[str, str] | None:
    """Return the keys of an invocation; None without experiments, and where something is wrong.

    What is wrong the models ``lake`` and ``runs`` say.
    """
    try:
        experiments = given_experiments(variables).experiments
        if not experiments:
            return None
        data, code = fingerprint(open_lake(settings.lake_dir().absolute())), code_fingerprint()
        return cache.keys(
            [ResolvedRun.of(x, data, code) for x in experiments],
            data,
            code,
            (look.run_id for look in looks.read(settings.runs_dir()).looks),
        )
    except MsmError:
        return None


def _is_whole() -> bool:
    """Return whether all tables of the scratch database were made, and tested, by this invocation.

    That of a build by hand stays: part of a build leaves there what earlier code or another lake
    had made, and dbt has more ways to build something else than the whole.
    """
    from dbt.flags import get_flags

    if _told() is not None:
        return True  # the database is the invocation's own
    flags: Any = get_flags()  # type: ignore[no-untyped-call]  # dbt
    part = any(getattr(flags, name, None) for name in _OF_A_PART)
    left_out = set(getattr(flags, "EXCLUDE", None) or ())
    no_types = set(getattr(flags, "EXCLUDE_RESOURCE_TYPES", None) or ())
    return (
        _invocation()[0] == "build"
        and not part
        and left_out <= {"tag:project"}
        and no_types <= {"unit_test"}
    )


_OF_A_PART: Final = (
    *("SELECT", "SELECTOR", "RESOURCE_TYPES", "DEFER"),
    *("EMPTY", "SAMPLE", "EVENT_TIME_START", "EVENT_TIME_END"),
)
"""Flags of a build that is not of all nodes, or not of all rows."""


def _invocation() -> tuple[str, str]:
    """Return the command of the dbt invocation that is under way, and its variables as YAML."""
    from dbt.flags import get_flags

    flags: Any = get_flags()  # type: ignore[no-untyped-call]  # dbt
    variables = getattr(flags, "VARS", None) or {}
    return str(getattr(flags, "WHICH", "")), yaml.safe_dump(dict(variables))
