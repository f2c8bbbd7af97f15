"""The file that people and BI tools open: every run of a runs folder, as flat tables.

The warehouse is derived from the run folders and can be made again from them at any time. It is
built beside its place and put there with one rename, so a reader sees the old file or the new one,
never half of one, and an open reader blocks nobody. Listing, building and replacing happen under a
lock, so two publishers cannot drop each other's runs.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from filelock import FileLock

from msm_py import artifacts, looks, robustness_record, sweep_record
from msm_py.errors import MsmError
from msm_py.warehouse_tables import ALL_TABLES, DERIVED_TABLES, RUN_TABLES, VIEWS

Row = Mapping[str, Any]
Rows = Iterable[tuple[str, Row]]

# A file in DuckDB 2.0's own format cannot be opened by any 1.x client; this one can, by all.
STORAGE_VERSION: Final = "v1.0.0"


def warehouse_path() -> Path:
    """Return the warehouse file: MSM_WAREHOUSE, or ``warehouse/msm.duckdb``."""
    return Path(os.environ.get("MSM_WAREHOUSE", "warehouse/msm.duckdb"))


def check_warehouse(path: Path) -> None:
    """See that a warehouse can be put at ``path``.

    Raises
    ------
    MsmError
        When the path is a folder or its folder cannot be written to.
    """
    if path.is_dir():
        raise MsmError(
            "the warehouse is a file, but a folder stands at its path",
            where=str(path),
            received="a folder",
            remedy="give a file name such as warehouse/msm.duckdb with --warehouse FILE",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise MsmError(
            "the warehouse's folder cannot be written to",
            where=str(path.parent),
            received=error.strerror or str(error),
            remedy="give a file in a folder that you may write to with --warehouse FILE",
        ) from None


def publish(runs: Path, path: Path, *, anew: bool = False) -> dict[str, int]:
    """Bring the warehouse up to date with a runs folder.

    What is new or was replaced is added, what is gone from the folder is dropped, the rest is taken
    over as it is. A damaged record of a sweep or a robustness panel is left out; `alarms` names it.

    Parameters
    ----------
    runs
        The runs folder.
    path
        The warehouse file; the same tables are written beside it as Parquet.
    anew
        Take nothing over from the warehouse that is there.

    Returns
    -------
    dict
        Rows of every table.

    Raises
    ------
    MsmError
        When the warehouse cannot be written, or a run folder is broken.
    """
    check_warehouse(path)
    try:
        return _publish(runs, path, anew=anew)
    except (OSError, duckdb.IOException) as error:
        raise MsmError(
            "the warehouse could not be written; it stays as it was",
            where=str(path),
            received=getattr(error, "strerror", None) or str(error),
            remedy="free space on the disk, then run `dbt build` or any `msm run` again",
        ) from None


def _publish(runs: Path, path: Path, *, anew: bool) -> dict[str, int]:
    with (
        FileLock(f"{path}.lock"),
        tempfile.TemporaryDirectory(prefix=".publish-", dir=path.parent) as scratch,
    ):
        artifacts.remove_leftovers(runs)
        present = {run_id: _written(runs / run_id) for run_id in artifacts.existing_runs(runs)}
        records = {_hash(record): rows for read in DERIVED.values() for record, rows in read(runs)}
        published = None if anew else _published(path)
        if published != (present, set(records)):
            fresh = Path(scratch) / path.name
            if published is not None:
                shutil.copyfile(path, fresh)
            _update(fresh, runs, present, records)
            for table in ALL_TABLES:
                os.replace(Path(scratch) / f"{table}.parquet", path.parent / f"{table}.parquet")
            os.replace(fresh, path)
        with duckdb.connect(path, read_only=True) as con:
            return {
                table: int(con.execute(f"select count(*) from {table}").fetchall()[0][0])
                for table in ALL_TABLES
            }


def _written(folder: Path) -> int:
    """Return when a run folder was written, in ns; 0 for a broken one, which then is told."""
    try:
        return (folder / artifacts.MANIFEST).stat().st_mtime_ns
    except OSError:
        return 0


def _hash(record: Row) -> str:
    text = json.dumps(record, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _published(path: Path) -> tuple[dict[str, int], set[str]] | None:
    """Return the runs, with when they were written, and the hashes of the records in a warehouse.

    None when it must be made anew.

    The warehouse is derived data: one that cannot be read is made again from the run folders.
    """
    if not path.exists():
        return None
    try:
        with duckdb.connect(path, read_only=True) as con:
            found = con.execute(
                "select table_name, column_name from information_schema.columns "
                "where table_name not like 'v\\_%' escape '\\'"
            ).fetchall()
            wanted = {(table, name) for table, names in ALL_TABLES.items() for name in names}
            if set(found) != wanted:
                return None
            return (
                _known(con),
                {
                    row[0]
                    for table in DERIVED
                    for row in con.execute(f"select record_hash from {table}").fetchall()
                },
            )
    except duckdb.Error:
        return None


def _known(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(con.execute("select run_id, manifest_mtime_ns from run_panels").fetchall())


def _update(
    file: Path, runs: Path, present: Mapping[str, int], records: Mapping[str, Rows]
) -> None:
    with duckdb.connect(file, config={"storage_compatibility_version": STORAGE_VERSION}) as con:
        for table, columns in ALL_TABLES.items():
            declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            con.execute(f"create table if not exists {table} ({declared})")
        known = _known(con)
        _drop(con, {run_id for run_id, at in known.items() if present.get(run_id) != at})
        _add(con, runs, [run_id for run_id, at in present.items() if known.get(run_id) != at])
        _set_derived(con, records)
        for view, query in VIEWS.items():
            con.execute(f"create or replace view {view} as {query}")
        for table in ALL_TABLES:
            target = str(file.parent / f"{table}.parquet").replace("'", "''")
            con.execute(f"copy {table} to '{target}' (format parquet)")
        con.execute("checkpoint")


def _drop(con: duckdb.DuckDBPyConnection, gone: set[str]) -> None:
    if not gone:
        return
    for table, columns in RUN_TABLES.items():
        if "run_id" in columns:
            con.execute(f"delete from {table} where list_contains(?, run_id)", [sorted(gone)])
    for table, panel in (("baskets", "basket_panel"), ("features", "feature_panel")):
        con.execute(f"delete from {table} where {panel} not in (select {panel} from run_panels)")


def _add(con: duckdb.DuckDBPyConnection, runs: Path, new: list[str]) -> None:
    """Insert the rows of new runs, a statement per table."""
    con.execute("begin")
    try:
        _insert_runs(con, runs, new)
        con.execute("commit")
    except _BROKEN:
        con.execute("rollback")
        for run_id in new:  # which one is it?
            con.execute("begin")
            try:
                _insert_runs(con, runs, [run_id])
            except _BROKEN as error:
                raise MsmError(
                    "a run folder is broken; the warehouse stays as it was",
                    where=str(runs / run_id),
                    received=f"{type(error).__name__}: {error}",
                    remedy="delete this folder and run the experiment again",
                ) from None
            finally:
                con.execute("rollback")
        raise


# what reading a folder that somebody damaged can end in
_BROKEN: Final = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    pa.ArrowException,
    duckdb.Error,
)


def _insert_runs(con: duckdb.DuckDBPyConnection, runs: Path, new: list[str]) -> None:
    rows: dict[str, list[Row]] = defaultdict(list)
    frames: dict[str, list[pa.Table]] = defaultdict(list)
    known_panels = {
        panel: {
            row[0] for row in con.execute(f"select distinct {panel} from run_panels").fetchall()
        }
        for panel in ("basket_panel", "feature_panel")
    }
    for run_id in new:
        folder = runs / run_id
        written = _written(folder)
        for table, row in run_rows(folder):
            rows[table].append({"run_id": run_id, "manifest_mtime_ns": written, **row})
        frames["daily"].append(_daily(folder, run_id))
        panels = rows["run_panels"][-1]
        for panel, table, name in (
            ("basket_panel", "baskets", artifacts.BASKET),
            ("feature_panel", "features", artifacts.FEATURES),
        ):
            if panels[panel] not in known_panels[panel]:
                known_panels[panel].add(panels[panel])
                frames[table].append(_labelled(folder / name, panel, panels[panel]))
    for table, records in rows.items():
        _insert(con, table, pa.Table.from_pylist(_complete(records, table)))
    for table, parts in frames.items():
        _insert(con, table, pa.concat_tables(parts))


def _set_derived(con: duckdb.DuckDBPyConnection, records: Mapping[str, Rows]) -> None:
    """Put the rows of these records, and no others, into the tables made of records."""
    found: dict[str, list[Row]] = {table: [] for table in DERIVED_TABLES}
    for record_hash, rows in records.items():
        for table, row in rows:
            found[table].append({**row, "record_hash": record_hash})
    for table, of_table in found.items():
        con.execute(f"delete from {table}")
        if of_table:
            _insert(con, table, pa.Table.from_pylist(_complete(of_table, table)))


def _sweeps(runs: Path) -> Iterator[tuple[Row, Rows]]:
    for record in sweep_record.read_records(runs):
        yield record, _sweep_rows(record)


def _sweep_rows(record: Row) -> Iterator[tuple[str, Row]]:
    statuses = [trial["status"] for trial in record["trials"]]
    counts = {"n_failed": statuses.count("failed"), "n_rejected": statuses.count("rejected")}
    yield "sweeps", {**record, **record["overall"], **counts}
    for table, part in (
        ("sweep_trials", "trials"),
        ("sweep_statistics", "runs"),
        ("sweep_edges", "edges"),
    ):
        for row in record[part]:
            yield table, {"sweep_id": record["sweep_id"], **row}


def _panels(runs: Path) -> Iterator[tuple[Row, Rows]]:
    for record in robustness_record.read_records(runs):
        yield record, _panel_rows(record)


def _panel_rows(record: Row) -> Iterator[tuple[str, Row]]:
    named = {"run_id": record["run_id"], "title": record["title"]}
    yield "robustness_summary", {**named, **record["summary"]}
    for row in record["rows"]:
        yield "robustness", {**named, **row}


def _looks(runs: Path) -> Iterator[tuple[Row, Rows]]:
    for look in looks.read(runs).looks:
        yield asdict(look), [("looks", asdict(look))]


# What lies hidden in a runs folder: how its records are read, and the rows of each, by the table
# that has one row and the hash of every record.
DERIVED: Final[Mapping[str, Callable[[Path], Iterator[tuple[Row, Rows]]]]] = {
    "sweeps": _sweeps,
    "robustness_summary": _panels,
    "looks": _looks,
}


def alarms(runs: Path, *, with_looks: bool = True) -> list[str]:
    """Say what a reader of a runs folder must know before believing it, a sentence each.

    Records that are damaged, and so left out of the warehouse; looks at a hold-out that were taken
    out of the ledger.

    Parameters
    ----------
    runs
        The runs folder.
    with_looks
        Whether to tell of the ledger as well; a run's report does so itself.
    """
    return [
        *(looks.alarms(runs) if with_looks else []),
        *sweep_record.alarms(runs),
        *robustness_record.alarms(runs),
    ]


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    con.register("incoming", rows)
    names = ", ".join(f'"{name}"' for name in ALL_TABLES[table])
    try:
        con.execute(f"insert into {table} ({names}) select {names} from incoming")
    finally:
        con.unregister("incoming")


def _complete(records: Iterable[Row], table: str) -> list[dict[str, Any]]:
    return [{name: record.get(name) for name in ALL_TABLES[table]} for record in records]


def run_rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a run folder's JSON and CSV files as (table, row without run_id)."""
    manifest = _json(folder / artifacts.MANIFEST)
    entry = _json(folder / artifacts.CATALOG_ENTRY)
    metrics = _json(folder / artifacts.METRICS)
    evaluation = _json(folder / artifacts.REGIME_EVALUATION)
    yield (
        "catalog",
        {
            **entry,
            "created_at": manifest["finished_at"],
            "git_commit": manifest["git_commit"],
            "git_dirty": manifest["git_dirty"],
            "duration_seconds": manifest["duration_seconds"],
        },
    )
    yield (
        "run_panels",
        {
            "basket_panel": entry["basket_panel"],
            "feature_panel": entry["feature_panel"],
        },
    )
    yield "stability", metrics["stability"]
    for table, records in (
        ("regime_statistics", evaluation["regime_statistics"]),
        ("edges", evaluation["edges"]),
        ("regime_distribution", metrics["stability"]["regime_distribution"]),
        ("regime_transitions", metrics["stability"]["regime_transitions"]),
        ("run_warnings", [{"warning": text} for text in metrics["warnings"]]),
        ("run_params", list(flat_params(manifest["spec"]))),
    ):
        for record in records:
            yield table, record
    if (folder / artifacts.WALK_FORWARD).exists():
        for window in _json(folder / artifacts.WALK_FORWARD)["windows"]:
            for parameter, value in window.pop("parameters").items():
                yield "chosen_parameters", {**window, "parameter": parameter, "value": value}
    with (folder / artifacts.REGIME_METRICS).open(newline="") as file:
        for record in csv.DictReader(file):
            yield "regime_metrics", {name: value or None for name, value in record.items()}


def flat_params(value: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Yield the leaves of a resolved experiment as rows with their dotted path.

    Examples
    --------
    >>> list(flat_params({"a": {"b": 2}, "c": ["x"]}))[0]
    {'param': 'a.b', 'value': '2', 'value_number': 2.0}
    """
    if isinstance(value, dict):
        if "id" in value:  # a feature: named by its id, not by its place
            path = f"{path.rsplit('.', 1)[0]}.{value['id']}"
            value = {key: part for key, part in value.items() if key != "id"}
        for key, part in value.items():
            yield from flat_params(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from flat_params(part, f"{path}.{place}")
    else:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        as_text = value if isinstance(value, str) else json.dumps(value)
        yield {
            "param": path,
            "value": None if value is None else as_text,
            "value_number": float(value) if is_number else None,
        }


def _daily(folder: Path, run_id: str) -> pa.Table:
    timeseries = artifacts.read_parquet(folder / artifacts.REGIME_TIMESERIES)
    returns = artifacts.read_parquet(folder / artifacts.RETURNS)
    if timeseries["date"] != returns["date"]:
        raise ValueError("regime_timeseries and returns have different days")
    columns = {name: timeseries[name] for name in timeseries.column_names}
    columns |= {name: returns[name] for name in returns.column_names}
    return pa.table({"run_id": _constant(run_id, returns.num_rows), **columns})


def _labelled(file: Path, label: str, value: str) -> pa.Table:
    table = artifacts.read_parquet(file)
    return table.append_column(label, _constant(value, table.num_rows))


def _constant(value: str, length: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), length)


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_bytes())
    return content
