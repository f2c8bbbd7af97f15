"""Run folders: what a run wrote, complete or not there at all.

A run's files are written to a hidden folder beside their place and renamed into it. A complete run
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
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msm_py import __version__
from msm_py.errors import MsmError
from msm_py.project import project_dir

Row = Mapping[str, Any]

SECONDS_A_DAY: Final = 86_400.0
ASIDE: Final = "_aside"  # ends the name of a run that another one is about to replace

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


def check_outside_lake(lake: Path, **outputs: Path) -> None:
    """See that nothing would be written into the lake, by whatever links paths go.

    Parameters
    ----------
    lake
        The lake's directory.
    outputs
        Where to write, by what it is called.

    Raises
    ------
    MsmError
        When one of them is the lake or lies in it.
    """
    for name, path in outputs.items():
        if path.resolve().is_relative_to(lake.resolve()):
            raise MsmError(
                "nothing is ever written into a lake",
                where=f"{name.replace('_', ' ')}",
                received=f"{path}, which lies in the lake {lake}",
                remedy="give a place outside of the lake",
            )


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


def scratch_prefix(name: str) -> str:
    """Return how this process's hidden folders are called: whose they are can be told later."""
    return f".{name}-{socket.gethostname()}-{os.getpid()}-"


def remove_leftovers(folder: Path) -> None:
    """Delete what processes that were killed left behind.

    That is hidden folders of processes of this machine that are gone, and those older than a day.
    A run that was killed while another one took its place comes back.
    """
    if not folder.is_dir():
        return
    host = socket.gethostname()
    for entry in os.scandir(folder):
        with suppress(OSError):  # somebody else may be at it too
            if not (entry.name.startswith(".") and "-" in entry.name and entry.is_dir()):
                continue
            owned = re.fullmatch(rf"\.(.+)-{re.escape(host)}-(\d+)-\w+", entry.name)
            is_left = owned is not None and not _is_alive(int(owned[2]))
            if is_left or time.time() - entry.stat().st_mtime > SECONDS_A_DAY:
                if owned is not None and entry.name.endswith(ASIDE):
                    with suppress(OSError):  # the other one is in its place
                        os.rename(entry.path, folder / owned[1])
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    return True


def existing_runs(folder: Path) -> list[str]:
    """Return the ids of the complete runs in a runs folder, sorted."""
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith(".")
    )


def find_run(folder: Path, run_id: str) -> Path:
    """Return the folder of the one run whose id is, or begins with, ``run_id``.

    An experiment's id stands for its newest run.

    Raises
    ------
    MsmError
        When none or several are.
    """
    known = existing_runs(folder)
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
            digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
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
    folder: Path,
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
    folder
        The runs folder.
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
        When the disk is full or the folder cannot be written to.
    """
    final = folder / run_id
    if final.is_dir() and not replace:
        return False
    unfinished = Path(tempfile.mkdtemp(prefix=scratch_prefix(run_id), dir=folder))
    try:
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
        return put_run(unfinished, final, replace=replace)
    except OSError as error:
        raise MsmError(
            "a run could not be written; nothing of it was kept",
            where=str(final),
            received=error.strerror or str(error),
            remedy="free space on the disk or give another folder with --runs DIR, then run again",
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def put_run(finished: Path, final: Path, *, replace: bool) -> bool:
    """Rename a finished run folder into its place.

    Parameters
    ----------
    finished
        The folder, on the file system of its place.
    final
        Its place.
    replace
        Whether a run that is there gives way: it steps aside, and is deleted when the other one is
        in its place.

    Returns
    -------
    bool
        False when a run was there, or another process was first; ``finished`` is left then.
    """
    aside = final.with_name(f"{scratch_prefix(final.name)}{secrets.token_hex(4)}{ASIDE}")
    try:
        if replace and final.is_dir():
            with suppress(FileNotFoundError):  # another process replaces it too
                final.rename(aside)
        finished.rename(final)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            shutil.rmtree(aside, ignore_errors=True)
            return False  # another process finished the same run first
        with suppress(OSError):
            aside.rename(final)
        raise
    shutil.rmtree(aside, ignore_errors=True)
    return True


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
