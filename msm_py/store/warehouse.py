"""The file that people and BI tools open: every run of a runs folder, as flat tables.

The warehouse is derived from the run folders and can be rebuilt from them at any time. It is
built beside its place and put there with one rename, so a reader sees the old file or the new one,
never half of one, and an open reader blocks no run. Listing, building and replacing happen under a
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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from filelock import FileLock

from msm_py._typing import Row
from msm_py.errors import MsmError, not_written
from msm_py.lake.check_items import ABSENT
from msm_py.regimes import ALL, BEFORE, HOLDOUT, STATE_ORDER
from msm_py.store import (
    catalog_columns,
    declared_text,
    families,
    formats,
    lake_records,
    layout,
    looks,
    null_market_records,
    robustness_records,
    run_file_columns,
    run_folder,
    run_list,
    scratch,
    shared_files,
    sweep_records,
)
from msm_py.store.declarations import FIRST_VERSION, Column
from msm_py.store.flat_params import flat_params
from msm_py.store.lake_records import Findings
from msm_py.store.run_list import Skipped
from msm_py.store.warehouse_tables import ALL_TABLES, DERIVED_TABLES, OF_RUNS, RUN_TABLES
from msm_py.store.warehouse_views import VIEWS

Rows = Iterable[tuple[str, Row]]
# A file in DuckDB 2.0's own format cannot be opened by any 1.x client; this one can, by all.
STORAGE_VERSION: Final = "v1.0.0"
MOST_NAMED: Final = 5  # of what was left out


def check_warehouse(path: Path) -> None:
    """See that a warehouse can be put at ``path``.

    Raises
    ------
    MsmError
        When the path is a folder or one that DuckDB takes for something else, or its folder cannot
        be written to.
    """
    if path.is_dir():
        raise MsmError(
            "the warehouse is a file, but a folder stands at its path",
            where=str(path),
            received="a folder",
            remedy="give a file name such as warehouse/msm.duckdb with --warehouse FILE",
        )
    folder = tables_folder(path)
    if folder.exists() and not folder.is_dir():
        raise MsmError(
            "a file stands where the tables of the warehouse belong",
            where=str(folder),
            received="a file",
            remedy="move it, or give another file name with --warehouse FILE",
        )
    others = [
        file.name
        for file in path.parent.glob("*.stamp")
        if tables_folder(file.with_suffix("")) == folder and file.name != f"{path.name}.stamp"
    ]
    if others:
        raise MsmError(
            "another warehouse has its tables in the same folder",
            where=str(folder),
            received=f"{others[0].removesuffix('.stamp')} beside {path.name}",
            remedy="give names that differ before the dot, or another folder",
        )
    if path.parts[0].startswith("~"):
        raise MsmError(
            "the warehouse's path begins with a ~ that no shell has replaced",
            where="--warehouse (or MSM_WAREHOUSE)",
            received=str(path),
            remedy="write the path in full",
        )
    if "?" in str(path.absolute()):
        raise MsmError(
            "DuckDB writes to no file with a question mark in its path",
            where="--warehouse (or MSM_WAREHOUSE)",
            received=str(path.absolute()),
            remedy="give a file in a folder without one",
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
    over as it is, as long as nobody else has changed it. Whatever in the runs folder is no sound
    run or record is left out; `alarms` names it.

    Parameters
    ----------
    runs
        The runs folder.
    path
        The warehouse file; the same tables are written as Parquet into `tables_folder`.
    anew
        Take nothing over from the warehouse that is there.

    Returns
    -------
    dict
        Rows of every table.

    Raises
    ------
    MsmError
        When the warehouse cannot be written.
    """
    check_warehouse(path)
    try:
        # absolute: DuckDB takes a beginning like `~` or `s3:` for more than a name
        return _publish(runs, path.absolute(), anew=anew)
    except (OSError, duckdb.IOException, duckdb.FatalException) as error:
        what = "the warehouse could not be written; it stays as it was"
        remedy = "free space on the disk, then run `dbt build` or any `msm run` again"
        raise not_written(what, path, error, remedy) from None


def _publish(runs: Path, path: Path, *, anew: bool) -> dict[str, int]:
    with FileLock(f"{path}.lock"), scratch.folder(path.parent) as own:
        scratch.remove_leftovers(runs)
        stamp = _stamp(path)
        usable = not anew and _is_as_published(path, stamp)
        _remove_unfinished(path)
        listing = run_list.list_runs(runs)
        present = {run_id: _written(runs / run_id) for run_id in listing.runs}
        records = [found for read in DERIVED.values() for found in read(runs)]
        known = _published(path) if usable else None
        known_runs, known_records, lake_of = known or ({}, set(), {})
        new = [run_id for run_id, at in present.items() if known_runs.get(run_id) != at]
        gone = {run_id for run_id, at in known_runs.items() if present.get(run_id) != at}
        read, broken = _read_runs(runs, new)
        lakes: set[str | None] = {lake_of[run_id] for run_id in lake_of if run_id not in gone}
        lakes |= {x.get("lake_fingerprint") for run in read.values() for x in run.rows["catalog"]}
        records = [x for x in records if x.lake is None or x.lake in lakes]
        skipped = _dated(runs, {**listing.skipped, **_broken(_present(runs, broken))})
        is_new = known is None or gone or read or {x.hash for x in records} != known_records
        if not is_new and _as_read(skipped) == stamp.get("skipped"):
            with duckdb.connect(path, read_only=True) as con:
                return _counts(con)
        fresh = own / path.name
        if known is not None:
            shutil.copyfile(path, fresh)
        counts, unfit = _update(fresh, runs, gone, read, records, skipped)
        skipped |= unfit
        says = {
            "layout": LAYOUT,
            "runs": str(runs.absolute()),
            "skipped": skipped,
            "files": {name: _facts(own / name) for name in _files(path)},
        }
        folder = tables_folder(path)
        folder.mkdir(exist_ok=True)
        for table in ALL_TABLES:
            os.replace(own / folder.name / f"{table}.parquet", folder / f"{table}.parquet")
        _remove_unfinished(path)
        os.replace(own / path.name, path)
        _write_stamp(path, own, says)
        _remove_of_older_versions(path, stamp)
        return counts


def _present(runs: Path, faults: Mapping[str, str]) -> dict[str, str]:
    """Return the faults of runs that are still there: those deleted meanwhile are just absent."""
    return {name: fault for name, fault in faults.items() if (runs / name).exists()}


def _broken(faults: Mapping[str, str]) -> dict[str, Skipped]:
    return {name: Skipped(fault, is_broken=True) for name, fault in faults.items()}


def _dated(runs: Path, skipped: Mapping[str, Skipped]) -> dict[str, Skipped]:
    return {
        name: why._replace(since=run_list.last_change(runs / name)) for name, why in skipped.items()
    }


def tables_folder(path: Path) -> Path:
    """Return the folder of a warehouse's tables as Parquet: each warehouse has one of its own.

    Examples
    --------
    >>> tables_folder(Path("warehouse/msm.duckdb")).as_posix()
    'warehouse/msm'
    >>> tables_folder(Path("msm")).as_posix()
    'msm-tables'
    """
    return path.with_name(path.stem if path.suffix else f"{path.name}-tables")


def _remove_of_older_versions(path: Path, stamp: Row) -> None:
    """Remove tables that older versions published beside the file, where nobody changed them."""
    files = stamp.get("files")
    for name, facts in files.items() if isinstance(files, dict) else ():
        file = path.parent / name
        if name.removesuffix(".parquet") in ALL_TABLES and file.is_file() and _facts(file) == facts:
            file.unlink()


_TABLES: Final = [declared_text.create_table(table) for table in ALL_TABLES.values()]
_VIEWS_AND_COMMENTS: Final = [
    *map(declared_text.create_view, VIEWS.values()),
    *(
        statement
        for table in (*ALL_TABLES.values(), *VIEWS.values())
        for statement in declared_text.comments(table)
    ),
]
LAYOUT: Final = hashlib.sha256("\n".join([*_TABLES, *_VIEWS_AND_COMMENTS]).encode()).hexdigest()


def stamp_file(path: Path) -> Path:
    """Return the file beside a warehouse that says what MSM published there, and what it left out.

    Its keys: ``layout`` (hash of tables and views), ``runs`` (the runs folder), ``files`` (size and
    time of the last change in ns, by name) and ``skipped`` (reason, and whether it is a run that is
    broken, by name).
    """
    return path.with_name(f"{path.name}.stamp")


def disturbance(path: Path) -> str | None:
    """Say that a warehouse is no longer what MSM published; None when it is, or is not there."""
    if not path.is_file():
        return None
    left = [file.name for file in _unfinished(path) if file.exists()]
    if left:
        return (
            f"Another program left changes beside the warehouse ({left[0]}). They are dropped: "
            "open it read-only."
        )
    stamp = _stamp(path)
    if stamp.get("layout", LAYOUT) != LAYOUT or _is_as_published(path, stamp):
        return None
    return (
        f"The warehouse {path} is not as MSM left it: another program, or a publish that was "
        "stopped, changed it or a table beside it. It is rebuilt from the run folders."
    )


def is_of(runs: Path, path: Path) -> bool:
    """Return whether a warehouse was published from a runs folder."""
    return path.is_file() and _stamp(path).get("runs") == str(runs.absolute())


def family_of(runs: Path, path: Path, run_id: str) -> families.Family | None:
    """Return what the family of a run makes of it, as last published.

    None when the warehouse was not made of this runs folder, or not since the run was.
    """
    if not is_of(runs, path) or _stamp(path).get("layout") != LAYOUT:
        return None
    try:
        with duckdb.connect(path, read_only=True) as con:
            return families.read(con, run_id)
    except duckdb.Error:
        return None


def _is_as_published(path: Path, stamp: Row) -> bool:
    try:
        return stamp.get("layout") == LAYOUT and stamp.get("files") == {
            name: _facts(path.parent / name) for name in _files(path)
        }
    except OSError:
        return False


def _files(path: Path) -> list[str]:
    folder = tables_folder(path).name
    return [path.name, *(f"{folder}/{table}.parquet" for table in ALL_TABLES)]


def _facts(file: Path) -> list[int]:
    facts = file.stat()
    return [facts.st_size, facts.st_mtime_ns]


def _stamp(path: Path) -> dict[str, Any]:
    """Return what the stamp of a warehouse says; nothing when there is none."""
    try:
        says = json.loads(stamp_file(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return says if isinstance(says, dict) else {}


def _write_stamp(path: Path, own: Path, says: Row) -> None:
    as_read = _as_read(says)
    if as_read != _stamp(path):
        formats.write_json(as_read, own / stamp_file(path).name)
        os.replace(own / stamp_file(path).name, stamp_file(path))


def _as_read(says: object) -> Any:
    """Return what a stamp says as it will be read: tuples are lists."""
    return json.loads(json.dumps(says))


def _unfinished(path: Path) -> list[Path]:
    """Return where DuckDB keeps changes to a file that are not in it yet.

    MSM leaves none. DuckDB would add those of another program to whatever file lies there next.
    """
    return [Path(f"{path}{ending}") for ending in (".wal", ".wal.checkpoint", ".wal.recovery")]


def _remove_unfinished(path: Path) -> None:
    for file in _unfinished(path):
        file.unlink(missing_ok=True)


def _written(folder: Path) -> int:
    """Return what tells a run folder from one in which a file was touched: a number of 63 bits.

    It is made of names, sizes and times of its files but its page; 0 for a folder that is gone
    meanwhile.
    """
    try:
        facts = [
            (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns)
            for entry in os.scandir(folder)
            if entry.name != layout.REPORT
        ]
    except OSError:
        return 0
    digest = hashlib.sha256(repr(sorted(facts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _hash(record: Row) -> str:
    text = json.dumps(record, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _published(path: Path) -> tuple[dict[str, int], set[str], dict[str, str]] | None:
    """Return a warehouse's runs with digests of their files, its records' hashes, runs' lakes.

    None when it cannot be read: it is derived, and rebuilt from the run folders.
    """
    try:
        with duckdb.connect(path, read_only=True) as con:
            return (
                _known(con),
                {
                    row[0]
                    for table in DERIVED
                    for row in con.execute(f"select record_hash from {table}").fetchall()
                },
                dict(con.execute("select run_id, lake_fingerprint from catalog").fetchall()),
            )
    except duckdb.Error:
        return None


def _known(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(con.execute("select run_id, files_digest from run_panels").fetchall())


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return {
        table: int(con.execute(f"select count(*) from {table}").fetchall()[0][0])
        for table in ALL_TABLES
    }


def _update(
    file: Path,
    runs: Path,
    gone: set[str],
    new: Mapping[str, Content],
    records: Sequence[Record],
    skipped: Mapping[str, Skipped],
) -> tuple[dict[str, int], dict[str, Skipped]]:
    """Bring a file up to date; return its tables' rows, and what else does not fit in."""
    with duckdb.connect(file, config={"storage_compatibility_version": STORAGE_VERSION}) as con:
        for statement in _TABLES:
            con.execute(statement)
        _drop(con, gone)
        unfit = _present(runs, _add(con, new))
        # a panel of nothing but runs that did not fit in
        _drop_panels(con)
        for table in DERIVED_TABLES:
            con.execute(f"delete from {table}")
        sound, damaged = _read_records(records)
        unfit |= damaged | _add(con, sound)
        misfits = _dated(runs, _broken(unfit))
        if problems := {**skipped, **misfits}:
            _insert(con, "run_problems", _problems(problems))
        _insert(con, "family_edges", families.derive(con))
        _label(con)
        con.execute("begin")  # some hundred comments are one change, not a change each
        for statement in _VIEWS_AND_COMMENTS:
            con.execute(statement)
        con.execute("commit")
        folder = tables_folder(file)
        folder.mkdir(exist_ok=True)
        for table in ALL_TABLES:
            con.execute(f"copy {table} to ? (format parquet)", [str(folder / f"{table}.parquet")])
        con.execute("checkpoint")
        return _counts(con), misfits


def _problems(skipped: Mapping[str, Skipped]) -> pa.Table:
    rows = [
        {
            "folder": name,
            "reason": why.reason,
            "is_broken": why.is_broken,
            "since": None if why.since is None else datetime.fromisoformat(why.since),
        }
        for name, why in sorted(skipped.items())
    ]
    return _table(rows, "run_problems")


def _drop(con: duckdb.DuckDBPyConnection, gone: set[str]) -> None:
    if not gone:
        return
    for name in RUN_TABLES.keys() & OF_RUNS:
        con.execute(f"delete from {name} where list_contains(?, run_id)", [sorted(gone)])
    _drop_panels(con)


def _label(con: duckdb.DuckDBPyConnection) -> None:
    """Say in every table of runs which run a row is of, and whether that is the latest.

    Tables of records, which are rebuilt each time, take all of it from the catalog; in those of
    run folders only the rows change whose run has come or was replaced.
    """
    con.execute(
        """
        create or replace temp table relabelled as
        with judged as (
            select
                run_id, is_latest as was_latest,
                row_number() over (
                    partition by
                        experiment_id, window_start, window_end, lake_name,
                        coalesce(is_look, false), coalesce(is_placebo, false)
                    order by created_at desc nulls last, run_id desc
                ) = 1 as is_latest
            from catalog
        )
        select run_id, is_latest from judged where is_latest is distinct from was_latest
        """
    )
    for name in OF_RUNS:
        if name in RUN_TABLES:
            con.execute(
                f"update {name} set is_latest = relabelled.is_latest from relabelled "
                f"where {name}.run_id = relabelled.run_id"
            )
        else:
            con.execute(
                f"""
                update {name} set
                    experiment_id = coalesce({name}.experiment_id, catalog.experiment_id),
                    title = coalesce({name}.title, catalog.title),
                    is_latest = catalog.is_latest
                from catalog
                where {name}.run_id = catalog.run_id
                """
            )
    con.execute("drop table relabelled")


def _drop_panels(con: duckdb.DuckDBPyConnection) -> None:
    for panel, (table, _) in layout.PANELS.items():
        con.execute(f"delete from {table} where {panel} not in (select {panel} from run_panels)")


@dataclass(frozen=True)
class Content:
    """What a run folder or a record brings into the warehouse.

    Parameters
    ----------
    rows
        Rows by table.
    frames
        Tables of a run that are files of its folder, by name.
    panels
        Shared panels of a run by table: name of the column, id of the panel, its file.
    """

    rows: Mapping[str, Sequence[Row]]
    frames: Mapping[str, pa.Table] = field(default_factory=dict)
    panels: Mapping[str, tuple[str, str, Path]] = field(default_factory=dict)


def _read_runs(runs: Path, run_ids: Iterable[str]) -> tuple[dict[str, Content], dict[str, str]]:
    """Return the content of run folders that are whole, and what is wrong with the others."""
    read, faults = {}, {}
    whole: dict[run_folder.FileFacts, str] = {}
    for run_id in run_ids:
        try:
            read[run_id] = _read_run(runs / run_id, whole)
        except _FileFault as fault:
            faults[run_id] = str(fault)
    return read, faults


def _read_run(folder: Path, whole: dict[run_folder.FileFacts, str]) -> Content:
    found: list[tuple[str, Row]] = []
    for table, of_table in run_rows(folder):
        if not isinstance(of_table, dict):
            raise _FileFault(f"{_FILES[table]}: a {type(of_table).__name__} where a map belongs")
        found.append((table, of_table))
    catalog, panel_ids = (dict(found)[table] for table in ("catalog", "run_panels"))
    named = {"run_id": folder.name, **{name: catalog[name] for name in ("experiment_id", "title")}}
    rows: dict[str, list[Row]] = defaultdict(list)
    for table, row in found:
        rows[table].append({**row, **named, "state_order": _state_order(row.get("regime"))})
    panels = {}
    for panel, (table, name) in layout.PANELS.items():
        if panel_ids[panel] is None:
            continue  # of an older version
        content_id = str(panel_ids[panel])
        with _reading(folder / name) as file:
            _check_panel(file, content_id, whole)
        panels[table] = (panel, content_id, file)
    frames = {"daily": _daily(folder, named)}
    for table, name in (("attribution", layout.ATTRIBUTION), ("state_paths", layout.STATE_PATHS)):
        if (folder / name).exists() or name in _kept(folder):  # not in runs of older versions
            with _reading(folder / name) as file:
                frames[table] = _by_state(formats.read_parquet(file), table, named)
    # last: what cannot be read at all has said so in its own words by now
    if fault := run_folder.fault_in(folder, whole):
        raise _FileFault(fault)
    return Content(rows, frames, panels)


def _check_panel(file: Path, content_id: str, whole: dict[run_folder.FileFacts, str]) -> None:
    """See that a panel's file is whole: of runs that share one by hard link, once."""
    found = run_folder.hash_of(file, whole)[: shared_files.CONTENT_ID_DIGITS]
    if found != content_id:
        raise ValueError(f"its content is {found} and not {content_id}")


class _FileFault(Exception):
    """A file of a run folder cannot be used."""


@contextmanager
def _reading(file: Path) -> Iterator[Path]:
    """Name the file in whatever goes wrong while it is read."""
    try:
        if file.exists() and not file.is_file():
            raise ValueError("no plain file")
        yield file
    except run_list.BROKEN as error:
        raise _FileFault(f"{file.name}: {run_list.fault_of(error)}") from None


_INCOMING: Final = "incoming"
# what content that does not fit into a table can end in
_UNFIT: Final = (
    *(_FileFault, ValueError, LookupError, TypeError, OverflowError, pa.ArrowException),
    *(duckdb.DataError, duckdb.ProgrammingError, duckdb.IntegrityError),
)


def _add(con: duckdb.DuckDBPyConnection, contents: Mapping[str, Content]) -> dict[str, str]:
    """Insert all that fits, a statement per table; return the faults of what does not, by name."""
    con.execute("begin")
    try:
        _insert_all(con, contents)
        con.execute("commit")
        return {}
    except _UNFIT as error:
        con.execute("rollback")
        con.unregister(_INCOMING)
        names = list(contents)
        if len(names) == 1:
            return {names[0]: run_list.fault_of(error)}
        middle = len(names) // 2
        return {
            name: fault
            for half in (names[:middle], names[middle:])
            for name, fault in _add(con, {name: contents[name] for name in half}).items()
        }


def _insert_all(con: duckdb.DuckDBPyConnection, contents: Mapping[str, Content]) -> None:
    rows: dict[str, list[Row]] = defaultdict(list)
    frames: dict[str, list[pa.Table]] = defaultdict(list)
    known = {
        panel: {
            row[0] for row in con.execute(f"select distinct {panel} from run_panels").fetchall()
        }
        for panel in layout.PANELS
    }
    for content in contents.values():
        for table, of_table in content.rows.items():
            rows[table].extend(of_table)
        for table, frame in content.frames.items():
            frames[table].append(frame)
        for table, (panel, content_id, file) in content.panels.items():
            if content_id not in known[panel]:
                known[panel].add(content_id)
                with _reading(file):
                    frames[table].append(_labelled(file, panel, content_id))
    for table, of_table in rows.items():
        if of_table:
            _insert(con, table, _table(of_table, table))
    for table, parts in frames.items():
        _insert(con, table, pa.concat_tables(parts))


def _table(records: Sequence[Row], table: str) -> pa.Table:
    return pa.Table.from_pylist(_complete(records, table))


def _read_records(records: Iterable[Record]) -> tuple[dict[str, Content], dict[str, str]]:
    """Return the content of records that have all they need, and what is wrong with the others."""
    read, faults = {}, {}
    for record in records:
        rows: dict[str, list[Row]] = defaultdict(list)
        try:
            for table, row in record.rows:
                rows[table].append({**row, "record_hash": record.hash})
            read[record.name] = Content(rows)
        except run_list.BROKEN as error:
            faults[record.name] = run_list.fault_of(error)
    return read, faults


@dataclass(frozen=True)
class Record:
    """A record that lies hidden in a runs folder.

    Parameters
    ----------
    name
        Its file, seen from the runs folder.
    hash
        Of its content.
    rows
        Its rows with their tables, made when they are asked for.
    lake
        Fingerprint of the lake that it is about: it counts if a run is of that lake.
    """

    name: str
    hash: str
    rows: Rows
    lake: str | None = None


def _sweeps(runs: Path) -> Iterator[Record]:
    for record in sweep_records.read_records(runs):
        name = f"{sweep_records.FOLDER}/{record['sweep_id']}.json"
        yield Record(name, _hash(record), _sweep_rows(record))


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


def _panels(runs: Path) -> Iterator[Record]:
    for record in robustness_records.read_records(runs):
        name = f"{robustness_records.FOLDER}/{record['run_id']}.json"
        yield Record(name, _hash(record), _panel_rows(record))


def _panel_rows(record: Row) -> Iterator[tuple[str, Row]]:
    named = {"run_id": record["run_id"], "title": record["title"]}
    yield "robustness_summary", {**named, **record["summary"]}
    for row in record["rows"]:
        yield "robustness", {**named, **row}


def _null_markets(runs: Path) -> Iterator[Record]:
    for record in null_market_records.read_records(runs):
        name = f"{null_market_records.FOLDER}/{record['run_id']}.json"
        yield Record(name, _hash(record), _null_market_rows(record))


def _null_market_rows(record: Row) -> Iterator[tuple[str, Row]]:
    run_id = record["run_id"]
    n_failed = sum(market["status"] == "failed" for market in record["markets"])
    for row in record["summary"]:
        yield "null_market_summary", {"run_id": run_id, "n_failed": n_failed, **row}
    for market in record["markets"]:
        for row in market["figures"]:
            yield "null_markets", {"run_id": run_id, "number": market["number"], **row}


def _looks(runs: Path) -> Iterator[Record]:
    for look in looks.read(runs).looks:
        digest = _hash(asdict(look))
        yield Record(f"{looks.LEDGER} {digest}", digest, [("looks", asdict(look))])


def _lakes(runs: Path) -> Iterator[Record]:
    for fingerprint, found in lake_records.all_kept(runs):
        name = f"{lake_records.FOLDER}/{fingerprint}.json"
        digest = _hash({"fingerprint": fingerprint, **asdict(found)})
        yield Record(name, digest, _lake_rows(fingerprint, found), fingerprint)


def _lake_rows(fingerprint: str, found: Findings) -> Iterator[tuple[str, Row]]:
    named = {"lake_fingerprint": fingerprint}
    counts = {"n_failures": len(found.failures), "n_warnings": found.n_warnings}
    yield "lakes", {**named, "path": found.path, **counts}
    for item in found.items:
        if item.verdict != "ok" and item.detail != ABSENT:
            words = {"lake_table": item.table, "check_name": item.check}
            yield "lake_findings", {**named, **words, **asdict(item)}


# What lies hidden in a runs folder: how its records are read, by the table whose rows hold the hash
# of their record.
DERIVED: Final[Mapping[str, Callable[[Path], Iterator[Record]]]] = {
    "sweeps": _sweeps,
    "robustness_summary": _panels,
    "null_market_summary": _null_markets,
    "looks": _looks,
    "lakes": _lakes,
}


def alarms(runs: Path, path: Path | None = None, *, with_looks: bool = True) -> list[str]:
    """Say what a reader of a runs folder must know before believing it, a sentence each.

    What the last publish left out of the warehouse; records that are damaged; looks at a hold-out
    that were taken out of the ledger.

    Parameters
    ----------
    runs
        The runs folder.
    path
        The warehouse file, to tell of what it lacks.
    with_looks
        Whether to tell of the ledger as well; a run's report does so itself.
    """
    return [
        *(_left_out(runs, path) if path is not None else []),
        *(looks.alarms(runs) if with_looks else []),
        *sweep_records.alarms(runs),
        *robustness_records.alarms(runs),
        *null_market_records.alarms(runs),
    ]


def _left_out(runs: Path, path: Path) -> list[str]:
    if not is_of(runs, path):
        return []
    skipped = {name: Skipped(*why) for name, why in _stamp(path)["skipped"].items()}
    if not skipped:
        return []
    # what is broken first: it was a run; then copies and renamed runs, what is foreign last
    order = sorted(
        skipped,
        key=lambda name: (
            not skipped[name].is_broken,
            skipped[name].reason == run_list.NO_RUN.reason,
            name,
        ),
    )
    named = "; ".join(f"{name}: {skipped[name].reason}" for name in order[:MOST_NAMED])
    more = f"; and {len(order) - MOST_NAMED} more" if len(order) > MOST_NAMED else ""
    remedy = f" Of a broken run: {run_list.MEND_RUN}." if skipped[order[0]].is_broken else ""
    return [f"Left out of the catalog, in {runs}: {named}{more}.{remedy}"]


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    names = ", ".join(f'"{name}"' for name in ALL_TABLES[table].names if name in rows.column_names)
    try:
        con.register(_INCOMING, rows)
        con.execute(f"insert into {table} ({names}) select {names} from {_INCOMING}")
    except _UNFIT as error:
        raise ValueError(f"{_FILES.get(table, table)}: {run_list.fault_of(error)}") from None
    con.unregister(_INCOMING)


def _complete(records: Iterable[Row], table: str) -> list[dict[str, Any]]:
    names = ALL_TABLES[table].names
    return [{name: record.get(name) for name in names} for record in records]


def run_rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a run folder's JSON and CSV files as (table, row without run_id)."""
    with _reading(folder / layout.MANIFEST) as file:
        manifest = _json(file)
        origin = {
            "created_at": manifest["finished_at"],
            "git_commit": manifest["git_commit"],
            "git_dirty": manifest["git_dirty"],
            "duration_seconds": manifest["duration_seconds"],
        }
        spec = manifest["spec"]
        asked = {
            "experiment_id": spec["experiment_id"],
            "title": spec["title"],
            "window_start": spec["window"]["start"],
            "window_end": spec["window"]["end"],
            "question": families.question_of(spec),
        }
        for row in flat_params(manifest["spec"]):
            yield "run_params", row
    with _reading(folder / layout.CATALOG_ENTRY) as file:
        entry = _json(file)
        yield "catalog", asked | entry | origin
        panels = {name: entry.get(name) for name in layout.PANELS}
        yield "run_panels", panels | {"files_digest": _written(folder)}
    with _reading(folder / layout.METRICS) as file:
        metrics = _json(file)
        stability = metrics["stability"]
        yield "stability", stability
        for table in ("regime_distribution", "regime_transitions"):
            for row in stability[table]:
                yield table, row
        doubts = metrics.get("doubts", ())
        for text in metrics["warnings"]:
            yield "run_warnings", {"warning": text, "is_doubt": text in doubts}
    with _reading(folder / layout.REGIME_EVALUATION) as file:
        evaluation = _json(file)
        for table in ("regime_statistics", "edges"):
            for row in evaluation[table]:
                yield table, row
    kept = manifest.get("files", ())  # what is gone and should be there is missed when it is read
    if (folder / layout.LOOK).exists() or layout.LOOK in kept:
        with _reading(folder / layout.LOOK) as file:
            look = _json(file)
            samples = {ALL: {**evaluation, **metrics}, BEFORE: look[BEFORE], HOLDOUT: look[HOLDOUT]}
            for name, sample in samples.items():
                for row in sample["edges"]:
                    yield "look_edges", {"sample": name, **row}
                if "headline" in sample:
                    yield "look_metrics", {"sample": name, **look_metrics(sample)}
    if (folder / layout.WALK_FORWARD).exists() or layout.WALK_FORWARD in kept:
        with _reading(folder / layout.WALK_FORWARD) as file:
            for window in _json(file)["windows"]:
                for parameter, value in window.pop("parameters").items():
                    yield "chosen_parameters", {**window, "parameter": parameter, "value": value}
    if (folder / layout.QUALITY).exists() or layout.QUALITY in kept:
        with _reading(folder / layout.QUALITY) as file:
            for row in _json(file)["findings"]:
                yield "run_quality", row
    with _reading(folder / layout.REGIME_METRICS) as file, file.open(newline="") as text_file:
        for record in csv.DictReader(text_file):
            yield "regime_metrics", {name: value or None for name, value in record.items()}


def look_metrics(sample: Row) -> dict[str, Any]:
    """Return the flat row of a sample's figures, as the catalog calls them."""
    net, controls = sample["headline"]["net"], sample["controls"]
    btc = controls["btc"] or {}
    return {
        "n_test_days": net["n_days"],
        "n_invested_days": net["n_invested_days"],
        **{f"net_{name}": net[name] for name in catalog_columns.PERFORMANCE},
        "ungated_net_cagr": controls["ungated_net"]["cagr"],
        "ungated_net_sharpe": controls["ungated_net"]["sharpe"],
        "btc_cagr": btc.get("cagr"),
        "btc_sharpe": btc.get("sharpe"),
        **sample["sharpe_tests"],
    }


# where the rows of a table come from, to name it when they do not fit
_FILES: Final = {
    "catalog": layout.CATALOG_ENTRY,
    "run_panels": layout.CATALOG_ENTRY,
    "run_params": layout.MANIFEST,
    **dict.fromkeys(
        ("stability", "regime_distribution", "regime_transitions", "run_warnings"),
        layout.METRICS,
    ),
    **dict.fromkeys(("regime_statistics", "edges"), layout.REGIME_EVALUATION),
    "chosen_parameters": layout.WALK_FORWARD,
    **dict.fromkeys(("look_edges", "look_metrics"), layout.LOOK),
    "run_quality": layout.QUALITY,
    "regime_metrics": layout.REGIME_METRICS,
    "daily": f"{layout.RETURNS} or {layout.REGIME_TIMESERIES}",
    "attribution": layout.ATTRIBUTION,
    "state_paths": layout.STATE_PATHS,
    **{table: file for table, file in layout.PANELS.values()},
}


def _kept(folder: Path) -> Collection[str]:
    """Return the files that a run wrote, as its manifest has them; none of an older version."""
    kept: Collection[str] = _json(folder / layout.MANIFEST).get("files", ())
    return kept


def _whole(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Return a table that has its columns, but for those that older versions did not have."""
    for column in columns:
        if column.since == FIRST_VERSION and column.name not in table.column_names:
            raise KeyError(column.name)
    return table


def _daily(folder: Path, named: Row) -> pa.Table:
    with _reading(folder / layout.REGIME_TIMESERIES) as file:
        timeseries = _whole(formats.read_parquet(file), run_file_columns.TIMESERIES)
        days = timeseries["date"]
    with _reading(folder / layout.RETURNS) as file:
        returns = _whole(formats.read_parquet(file), run_file_columns.RETURNS)
        if days != returns["date"]:
            raise ValueError(f"its days are not those of {layout.REGIME_TIMESERIES}")
    columns = {name: timeseries[name] for name in timeseries.column_names}
    columns |= {name: returns[name] for name in returns.column_names}
    held = columns.setdefault("held_regime", pa.nulls(len(days), pa.string()))
    columns.setdefault("r_ungated", pa.nulls(len(days), pa.float64()))
    columns["held_state_order"] = _state_orders(held)
    return _by_state(pa.table(columns), "daily", named)


def _by_state(table: pa.Table, name: str, named: Row) -> pa.Table:
    """Return rows of a run as a table of the warehouse, with the run and the places of states."""
    columns = {column: table[column] for column in table.column_names}
    columns["state_order"] = _state_orders(columns["regime"])
    columns |= {column: _constant(value, table.num_rows) for column, value in named.items()}
    columns["is_latest"] = pa.nulls(table.num_rows, pa.bool_())
    return pa.table({column: columns[column] for column in ALL_TABLES[name].names})


def _state_orders(regimes: pa.ChunkedArray) -> pa.Array:
    return pa.array(map(_state_order, regimes.to_pylist()), pa.int32())


def _state_order(regime: object) -> int | None:
    return STATE_ORDER.get(regime) if isinstance(regime, str) else None


def _labelled(file: Path, label: str, value: str) -> pa.Table:
    table = formats.read_parquet(file)
    return table.append_column(label, _constant(value, table.num_rows))


def _constant(value: str, length: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), length)


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_bytes())
    return content
