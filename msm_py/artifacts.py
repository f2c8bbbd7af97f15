"""Run folders: what a run wrote, complete or not there at all.

A run's files are written to a scratch folder beside their place and renamed into it. A complete run
that is already there wins over a later equal one, unless that one is to replace it. Every file but
the manifest is a function of experiment, lake and code alone; times, machine and git stand there.
"""

from __future__ import annotations

import csv
import difflib
import errno
import hashlib
import io
import json
import math
import os
import platform
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msm_py import __version__, scratch
from msm_py.errors import MsmError
from msm_py.project import project_dir

Row = Mapping[str, Any]

MANIFEST: Final = "manifest.json"
METRICS: Final = "metrics.json"
REGIME_EVALUATION: Final = "regime_evaluation.json"
REGIME_METRICS: Final = "regime_metrics.csv"
REGIME_TIMESERIES: Final = "regime_timeseries.parquet"
RETURNS: Final = "returns.parquet"
BASKET: Final = "basket.parquet"
FEATURES: Final = "features.parquet"
CATALOG_ENTRY: Final = "catalog_entry.json"
WALK_FORWARD: Final = "walk_forward.json"  # of runs with a search only

SIGN_NOTE: Final = (
    "Y and edge are alts minus BTC: negative is good for the trade (long majors, short alts); "
    "trade_edge is minus the edge."
)

TIMESERIES_COLUMNS: Final = ("date", "score", "feature_coverage", "regime", "regime_age_days")
RETURNS_COLUMNS: Final = (
    "date",
    "r_alts",
    "r_majors",
    "r_btc",
    "y",
    "position_scale",
    "gross_exposure",
    "r_gross",
    "turnover",
    "cost",
    "funding",
    "r_net",
    "equity_gross",
    "equity_net",
    "drawdown_net",
    "is_test_day",
)
BASKET_COLUMNS: Final = ("date", "asset_id", "rank", "marketcap_usd", "weight")
FEATURES_COLUMNS: Final = ("date", "feature_id", "raw_value", "z_score")

CONTENT_ID_DIGITS: Final = 16  # of the SHA-256 of a panel's file
# small files: snappy without dictionaries is four times as fast as anything that packs better
PARQUET_OPTIONS: Final = {"compression": "snappy", "use_dictionary": False, "version": "2.6"}


@dataclass(frozen=True)
class Provenance:
    """What all runs of an invocation share: data, code and machine.

    Parameters
    ----------
    lake_fingerprint, code_fingerprint
        What the run ids hash.
    lake_name
        The label in lake.yaml.
    lake_tables, dropped_rows
        Rows of the models of these names.
    started_at
        When the invocation began, UTC.
    """

    lake_fingerprint: str
    code_fingerprint: str
    lake_name: str
    lake_tables: Sequence[Row]
    dropped_rows: Sequence[Row]
    started_at: datetime


def runs_dir() -> Path:
    """Return the folder of run folders: MSM_RUNS, or ``runs``."""
    return Path(os.environ.get("MSM_RUNS", "runs"))


def check_runs_dir(folder: Path) -> None:
    """Make the runs folder and see that it can be written to.

    Raises
    ------
    MsmError
        When it is a file or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise MsmError(
            "the runs folder cannot be written to",
            where=str(folder),
            received=error.strerror or str(error),
            remedy="give a folder that you may write to with --runs DIR (or MSM_RUNS)",
        ) from None


class Skipped(NamedTuple):
    """Why an entry of a runs folder is no run that can be used.

    Parameters
    ----------
    reason
        What is wrong, in a few words.
    is_broken
        Whether it is a run of MSM that somebody or something damaged.
    """

    reason: str
    is_broken: bool = False


@dataclass(frozen=True)
class Listing:
    """What lies in a runs folder, hidden entries aside.

    Parameters
    ----------
    runs
        The ids of the runs, sorted: folders that are called as the run that they hold.
    skipped
        Everything else by name, and why it is no run.
    """

    runs: Sequence[str]
    skipped: Mapping[str, Skipped]


RUN_ID: Final = re.compile(r"[a-z0-9][a-z0-9_]*-[0-9a-f]{10}")
NO_RUN: Final = Skipped("no run folder")


def list_runs(folder: Path) -> Listing:
    """Tell the runs in a runs folder from everything else that lies there."""
    entries = sorted(os.scandir(folder), key=lambda x: x.name) if folder.is_dir() else []
    found = {
        entry.name: _no_run(Path(entry.path), is_folder=entry.is_dir())
        for entry in entries
        if not entry.name.startswith(".")
    }
    return Listing(
        [name for name, why in found.items() if why is None],
        {name: why for name, why in found.items() if why is not None},
    )


def existing_runs(folder: Path) -> list[str]:
    """Return the ids of the complete runs in a runs folder, sorted."""
    return list(list_runs(folder).runs)


def is_run(folder: Path) -> bool:
    """Return whether a folder is the run that its name says."""
    return _no_run(folder, is_folder=folder.is_dir()) is None


def _no_run(folder: Path, *, is_folder: bool) -> Skipped | None:
    """Return why something in a runs folder is no run; None when it is one."""
    is_named = RUN_ID.fullmatch(folder.name) is not None
    try:
        held = _held_run(folder) if is_folder else None
    except BROKEN as error:
        return Skipped(f"{MANIFEST}: {fault_of(error)}", is_broken=True) if is_named else NO_RUN
    if held is None or (held == folder.name and not is_named):
        return NO_RUN
    return None if held == folder.name else Skipped(f"it holds the run {held}")


def _held_run(folder: Path) -> str:
    """Return the id in a run folder's manifest."""
    file = folder / MANIFEST
    facts = file.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("no plain file")
    return _run_id_in(str(file), facts.st_ino, facts.st_size, facts.st_mtime_ns)


# a command lists a runs folder several times, and there may be thousands of runs in it
@lru_cache(maxsize=100_000)
def _run_id_in(manifest: str, *_facts: int) -> str:
    return str(json.loads(Path(manifest).read_bytes())["run_id"])


# what reading a file that somebody damaged can end in
BROKEN: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    pa.ArrowException,
)


def fault_of(error: Exception) -> str:
    """Return in a few words why a file could not be read."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return f"no JSON: {error}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


MEND_RUN: Final = "run the experiment again with --force, or move this folder elsewhere"


def find_run(folder: Path, run_id: str) -> Path:
    """Return the folder of the one run whose id is, or begins with, ``run_id``.

    An experiment's id stands for its newest run.

    Raises
    ------
    MsmError
        When none or several are.
    """
    listing = list_runs(folder)
    known = listing.runs
    found = [run_id] if run_id in known else [name for name in known if name.startswith(run_id)]
    if len(found) == 1:
        return folder / found[0]
    if found and all(name.rpartition("-")[0] == run_id for name in found):
        return max((folder / name for name in found), key=_made_at)
    if found:
        raise MsmError(
            "several runs begin with this id",
            where=str(folder),
            received=run_id,
            remedy="give more of it: " + ", ".join(found),
        )
    if broken := [x for x in listing.skipped if x.startswith(run_id) and run_id]:
        raise MsmError(
            "this is no run that can be shown",
            where=str(folder / broken[0]),
            received=listing.skipped[broken[0]].reason,
            remedy=MEND_RUN if listing.skipped[broken[0]].is_broken else "give another run id",
        )
    close = difflib.get_close_matches(run_id, known, n=1, cutoff=0.4)
    raise MsmError(
        "there is no such run",
        where=str(folder),
        received=run_id,
        remedy=f"did you mean {close[0]}?" if close else "`msm list` shows what is there",
    )


def _made_at(run: Path) -> str:
    made: str = json.loads((run / MANIFEST).read_bytes())["finished_at"]
    return made


class RowsByKey:
    """The rows of a table that belong to one key, without copying the others.

    Parameters
    ----------
    table
        Any table.
    key
        The column to look up by.
    order
        Columns that order the rows of a key.
    """

    def __init__(self, table: pa.Table, key: str, order: Sequence[str] = ()) -> None:
        table = table.sort_by([(name, "ascending") for name in (key, *order)]).combine_chunks()
        keys = table[key].to_pandas().to_numpy()
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.array([])
        ends = np.r_[starts[1:], len(keys)]
        self._table = table
        self._span = {
            keys[int(start)]: (int(start), int(end - start))
            for start, end in zip(starts, ends, strict=bool(len(keys)))
        }

    def __getitem__(self, key: str) -> pa.Table:
        """Return the rows of ``key``; none when it is unknown."""
        start, length = self._span.get(key, (0, 0))
        return self._table.slice(start, length)

    def rows(self, key: str) -> list[dict[str, Any]]:
        """Return the rows of ``key`` as dicts."""
        rows: list[dict[str, Any]] = self[key].to_pylist()
        return rows


class PanelFiles:
    """Parquet files that many runs share, written once and hard-linked into their folders.

    Parameters
    ----------
    name
        What the panels hold, for the names of scratch files.
    rows
        The panels' rows by panel id.
    columns
        The columns of the file.
    scratch
        A folder on the file system of the runs folder.
    """

    def __init__(self, name: str, rows: RowsByKey, columns: Sequence[str], scratch: Path) -> None:
        self._name = name
        self._rows = rows
        self._columns = list(columns)
        self._scratch = scratch
        self._made: dict[str, tuple[Path, str]] = {}

    def content_id(self, panel_id: str) -> str:
        """Return the SHA-256 of the panel's file (16 digits): equal content, equal id."""
        return self._file(panel_id)[1]

    def put(self, panel_id: str, target: Path) -> None:
        """Place the panel's file at ``target``: a hard link, or a copy where links cannot be."""
        source, _ = self._file(panel_id)
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            shutil.copyfile(source, target)

    def _file(self, panel_id: str) -> tuple[Path, str]:
        if panel_id not in self._made:
            source = self._scratch / f"{self._name}-{panel_id}.parquet"
            write_parquet(self._rows[panel_id].select(self._columns), source)
            digest = hashlib.sha256(source.read_bytes()).hexdigest()[:CONTENT_ID_DIGITS]
            self._made[panel_id] = (source, digest)
        return self._made[panel_id]


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table, the same bytes for the same rows."""
    # in memory first: a call per file, not several per column, and no look-up of a file system
    content = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks().replace_schema_metadata(None), content, **PARQUET_OPTIONS)
    path.write_bytes(content.getvalue())


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the table in a small Parquet file; pq.read_table takes three times as long."""
    file = pq.ParquetFile(pa.BufferReader(path.read_bytes()))
    return file.read(columns, use_threads=False)


def write_json(value: object, path: Path) -> None:
    """Write JSON with sorted keys, a line per key and per row; NaN and infinity are refused."""
    path.write_text(json_text(value) + "\n")


def json_text(value: object, indent: str = "") -> str:
    """Return JSON that reads like a table: maps a line per key, lists of maps a line per row.

    Examples
    --------
    >>> print(json_text({"b": [{"n": 1}, {"n": 2}], "a": {"x": None}}))
    {
      "a": {
        "x": null
      },
      "b": [
        {"n": 1},
        {"n": 2}
      ]
    }
    """
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        lines = [f"{_compact(key)}: {json_text(value[key], deeper)}" for key in sorted(value)]
        return "{\n" + ",\n".join(deeper + line for line in lines) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(deeper + _compact(row) for row in value) + f"\n{indent}]"
    return _compact(value)


def csv_text(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """Return rows as CSV; a missing value is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def clean(value: Any) -> Any:
    """Return a value as JSON may hold it: a number that is not finite is missing."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def without(row: Row, *names: str) -> dict[str, Any]:
    """Return a row without some of its columns."""
    return {key: clean(value) for key, value in row.items() if key not in names}


def write_run(
    run_id: str,
    own: Path,
    files: Mapping[str, Any],
    panels: Mapping[str, tuple[PanelFiles, str]],
    *,
    replace: bool = False,
) -> bool:
    """Write one run folder, wholly or not at all.

    Parameters
    ----------
    run_id
        Name of the folder.
    own
        A scratch folder in the runs folder, to write the run in before it goes to its place.
    files
        Content by file name: a table for Parquet, text for CSV, else what JSON holds.
    panels
        Shared files by name: where they come from and the panel's id.
    replace
        Whether a run that is there gives way; until then it stays.

    Returns
    -------
    bool
        False when the run was there already and stays; nothing is written then.

    Raises
    ------
    MsmError
        When the disk is full or the folder cannot be written to, or another run lies in its place.
    """
    final = own.parent / run_id
    if final.is_dir() and not replace:
        return False
    unfinished = own / run_id
    try:
        unfinished.mkdir()
        unfinished.chmod(0o755)
        for name, (shared, panel_id) in panels.items():
            shared.put(panel_id, unfinished / name)
        for name, content in files.items():
            if isinstance(content, pa.Table):
                write_parquet(content, unfinished / name)
            elif isinstance(content, str):
                (unfinished / name).write_text(content)
            else:
                write_json(content, unfinished / name)
        return put_run(unfinished, replace=replace)
    except OSError as error:
        raise MsmError(
            "a run could not be written; nothing of it was kept",
            where=str(final),
            received=error.strerror or str(error),
            remedy="free space on the disk or give another folder with --runs DIR, then run again",
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def put_run(finished: Path, *, replace: bool) -> bool:
    """Rename a finished run folder out of its scratch folder into the runs folder.

    Parameters
    ----------
    finished
        The run, in a scratch folder of the runs folder.
    replace
        Whether a run that is there gives way: it steps aside, and is deleted when the other one is
        in its place. What others had put into its folder stays there.

    Returns
    -------
    bool
        False when a run was there, or another process was first; ``finished`` is left then.

    Raises
    ------
    MsmError
        When what is there is another run.
    """
    own = finished.parent
    final, aside = own.parent / finished.name, None
    try:
        if replace and final.is_dir():
            _check_replaceable(final)
            with suppress(FileNotFoundError):  # another process replaces it too
                aside = scratch.step_aside(final, own)
        finished.rename(final)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False  # another process finished the same run first
        raise
    finally:
        if aside is not None:
            scratch.put_back(aside, own.parent)
    return True


def _check_replaceable(final: Path) -> None:
    """See that a folder that is to give way is this run, whole or broken."""
    found = _no_run(final, is_folder=True)
    if found is not None and not found.is_broken:
        raise MsmError(
            "another run lies in the place of this one",
            where=str(final),
            received=found.reason,
            remedy="rename that folder to the run that it holds, or move it elsewhere",
        )


def manifest(run: Row, provenance: Provenance) -> dict[str, Any]:
    """Return where a run comes from."""
    git_commit, git_dirty = git_state()
    finished_at = datetime.now(UTC)
    return {
        "run_id": run["run_id"],
        "spec": json.loads(run["spec_json"]),
        "seed": run["seed"],
        "code_fingerprint": provenance.code_fingerprint,
        "git_commit": git_commit,
        "git_dirty": git_dirty,
        "lake": {
            "name": provenance.lake_name,
            "fingerprint": provenance.lake_fingerprint,
            "tables": _shown(provenance.lake_tables, run["hidden_from"]),
            "dropped_rows": _shown(provenance.dropped_rows, run["hidden_from"]),
        },
        "versions": versions(),
        "started_at": provenance.started_at.isoformat(timespec="milliseconds"),
        "finished_at": finished_at.isoformat(timespec="milliseconds"),
        "duration_seconds": round((finished_at - provenance.started_at).total_seconds(), 3),
    }


def _shown(rows: Sequence[Row], hidden_from: date | None) -> list[dict[str, Any]]:
    """Return what a run may know of the lake: facts of the days before its hold-out."""
    return [
        {key: value for key, value in row.items() if key != "hidden_from"}
        for row in rows
        if row["hidden_from"] == hidden_from
    ]


@cache
def versions() -> dict[str, str]:
    """Return the versions of what computed."""
    from dbt.version import __version__ as dbt_version

    return {
        "msm": __version__,
        "dbt": dbt_version,
        "duckdb": duckdb.__version__,
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
        "python": platform.python_version(),
    }


@cache
def git_state() -> tuple[str | None, bool | None]:
    """Return commit and whether tracked files differ from it; missing outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(project_dir()), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "-uno"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def without_nan(table: pa.Table) -> pa.Table:
    """Return a table in which numbers that are not finite are missing."""
    for position, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            column = table.column(position)
            finite = pc.is_finite(column)
            if not pc.all(finite, min_count=0).as_py():
                table = table.set_column(position, field, pc.if_else(finite, column, None))
    return table


def _iso(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"cannot write {value!r} as JSON")


# made once: json.dumps makes one for every call with options
_compact: Final = json.JSONEncoder(sort_keys=True, allow_nan=False, default=_iso).encode
