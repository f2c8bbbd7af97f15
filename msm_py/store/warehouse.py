"""The file that people and BI tools open: every run of a runs folder, as flat tables.

The warehouse is derived from the run folders and can be rebuilt from them at any time. It is
built beside its place and put there with one rename, so a reader sees the old file or the new one,
never half of one, and an open reader blocks no run. Listing, building and replacing happen under a
lock, so two publishers cannot drop each other's runs.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from filelock import FileLock, Timeout

from msm_py._typing import Row
from msm_py.errors import MsmError, not_written
from msm_py.store import (
    declared_text,
    families,
    folder_rows,
    formats,
    layout,
    looks,
    null_market_records,
    parquet_tables,
    record_rows,
    robustness_records,
    run_list,
    scratch,
    sweep_records,
)
from msm_py.store.folder_rows import Content
from msm_py.store.record_rows import Record
from msm_py.store.run_list import Skipped
from msm_py.store.warehouse_tables import ALL_TABLES, DERIVED_TABLES, OF_RUNS, RUN_TABLES
from msm_py.store.warehouse_views import VIEWS

# A file in DuckDB 2.0's own format cannot be opened by any 1.x client; this one can, by all.
STORAGE_VERSION: Final = "v1.0.0"
MOST_NAMED: Final = 5  # of what was left out
_WRITING: Final[dict[str, str | bool | int | float | list[str]]] = {
    "storage_compatibility_version": STORAGE_VERSION,
    # not after every few runs, nor so seldom that memory holds the rows of a large sweep
    "checkpoint_threshold": "256MB",
}
RUNS_AT_ONCE: Final = 100
"""Run folders that are read together; the content of twice as many is in memory."""
SECONDS_IN_SILENCE: Final = 5.0
"""How long to wait for another publisher before saying so."""


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
    with _lock(path), scratch.folder(path.parent) as own:
        scratch.remove_leftovers(runs)
        stamp = _stamp(path)
        usable = not anew and _is_as_published(path, stamp)
        _remove_unfinished(path)
        known = _published(path) if usable else None
        shared: dict[int, tuple[int, int]] = {}
        names = run_list.run_names(runs)
        digests = {name: run_list.files_digest(runs / name, shared) for name in names}
        as_known = _as_known(known, digests)
        listing = run_list.list_runs(runs, known=as_known)
        gone = set() if known is None else known.digests.keys() - as_known
        new = _Reading(runs, [x for x in listing.runs if x not in as_known])
        records = [found for read in record_rows.KINDS.values() for found in read(runs)]
        is_new = known is None or bool(gone) or new.has_sound()
        if not is_new and known is not None:
            of_lakes = _of_lakes(records, {known.lakes[run_id] for run_id in as_known})
            skipped = _dated(runs, {**listing.skipped, **_broken(_present(runs, new.faults))})
            if {x.hash for x in of_lakes} == known.records and _as_read(skipped) == stamp.get(
                "skipped"
            ):
                with duckdb.connect(path, read_only=True) as con:
                    return _counts(con)
        fresh = own / path.name
        if known is not None:
            shutil.copyfile(path, fresh)
        done = _update(fresh, runs, gone, new, records, listing.skipped, anew=known is None)
        files = _replace_tables(own, path, done.files, stamp)
        _remove_unfinished(path)
        os.replace(fresh, path)
        files[path.name] = _facts(path)
        says = {"layout": LAYOUT, "runs": str(runs.absolute()), "skipped": done.skipped}
        _write_stamp(path, own, {**says, "files": files})
        _remove_of_older_versions(path, stamp, files)
        return done.counts


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock of a warehouse's publishers; tell whom one waits for when that takes long."""
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=SECONDS_IN_SILENCE)
    except Timeout:
        publishers = ", ".join(scratch.owners(path.parent)) or "a process that does not say which"
        print(
            f"Waiting for another process that publishes {path}: {publishers}. Should it be "
            "stopped or hang, end it: nothing is lost.",
            file=sys.stderr,
            flush=True,
        )
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _as_known(known: _Published | None, digests: Mapping[str, int]) -> set[str]:
    """Return which runs are in a warehouse as they lie in the runs folder."""
    if known is None:
        return set()
    return {name for name, digest in digests.items() if known.digests.get(name) == digest}


def _of_lakes(records: Iterable[Record], lakes: Collection[str | None]) -> list[Record]:
    """Return the records that count: those about a lake only where a run is of it."""
    return [x for x in records if x.lake is None or x.lake in lakes]


class _Reading:
    """The content of run folders, read some at a time.

    Parameters
    ----------
    runs
        The runs folder.
    run_ids
        Which of its runs.
    """

    def __init__(self, runs: Path, run_ids: Sequence[str]) -> None:
        self.faults: dict[str, str] = {}
        """What is wrong with those that cannot be read, of all once the last one was read."""
        self._sound = self._read(runs, run_ids)

    def has_sound(self) -> bool:
        """Return whether there is anything to come; reads no more than it takes to know."""
        first = next(self._sound, None)
        if first is not None:
            self._sound = itertools.chain([first], self._sound)
        return first is not None

    def __iter__(self) -> Iterator[dict[str, Content]]:
        """Yield content by run id, never nothing, and never too much for the memory."""
        return iter(self._sound)

    def _read(self, runs: Path, run_ids: Sequence[str]) -> Iterator[dict[str, Content]]:
        with ThreadPoolExecutor(1) as reader:  # reads on while DuckDB takes in what was read
            coming: Future[tuple[dict[str, Content], dict[str, str]]] | None = None
            for some in [*_batched(run_ids, RUNS_AT_ONCE), ()]:
                done = coming
                coming = reader.submit(folder_rows.read_runs, runs, some) if some else None
                if done is None:
                    continue
                read, faults = done.result()
                self.faults |= faults
                if read:
                    yield read


def _batched(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _replace_tables(own: Path, path: Path, files: Collection[str], stamp: Row) -> dict[str, Any]:
    """Put fresh tables in their places, remove parts that are no more; return facts of them all."""
    fresh, folder = tables_folder(own / path.name), tables_folder(path)
    facts = dict(stamp.get("files", ()))
    for name in sorted(files):
        if (fresh / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(fresh / name, folder / name)
            facts[f"{folder.name}/{name}"] = _facts(folder / name)
    for name in set(parquet_tables.part_files(folder)) - set(files):
        (folder / name).unlink()
    named = {f"{folder.name}/{name}": folder / name for name in files}
    return {name: facts[name] if name in facts else _facts(file) for name, file in named.items()}


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


def _remove_of_older_versions(path: Path, stamp: Row, files: Collection[str]) -> None:
    """Remove tables that older versions published elsewhere, where nobody changed them."""
    for name, facts in stamp.get("files", {}).items():
        file = path.parent / name
        is_table = file.suffix == ".parquet" and file.stem in ALL_TABLES
        if is_table and name not in files and file.is_file() and _facts(file) == facts:
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
    said = stamp.get("files", {})
    if stamp.get("layout") != LAYOUT or path.name not in said:
        return False
    try:
        return all(_facts(path.parent / name) == facts for name, facts in said.items())
    except OSError:
        return False


def _facts(file: Path) -> list[int]:
    facts = file.stat()
    return [facts.st_size, facts.st_mtime_ns]


def _stamp(path: Path) -> dict[str, Any]:
    """Return what the stamp of a warehouse says; nothing when there is none."""
    try:
        says = json.loads(stamp_file(path).read_bytes())
    except (OSError, ValueError):
        return {}
    is_stamp = isinstance(says, dict) and isinstance(says.get("files", {}), dict)
    return says if is_stamp else {}


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


@dataclass(frozen=True)
class _Published:
    """What is in a warehouse: digests of files and lakes by run, hashes of records."""

    digests: Mapping[str, int]
    lakes: Mapping[str, str | None]
    records: set[str]


def _published(path: Path) -> _Published | None:
    """Return what is in a warehouse; None when it cannot be read.

    It is derived, and rebuilt from the run folders.
    """
    try:
        with duckdb.connect(path, read_only=True) as con:
            return _Published(
                dict(con.execute("select run_id, files_digest from run_panels").fetchall()),
                dict(con.execute("select run_id, lake_fingerprint from catalog").fetchall()),
                {
                    row[0]
                    for table in record_rows.KINDS
                    for row in con.execute(f"select record_hash from {table}").fetchall()
                },
            )
    except duckdb.Error:
        return None


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return {
        table: int(con.execute(f"select count(*) from {table}").fetchall()[0][0])
        for table in ALL_TABLES
    }


@dataclass(frozen=True)
class _Updated:
    """What bringing a file up to date came to: rows by table, what is left out, Parquet files."""

    counts: dict[str, int]
    skipped: dict[str, Skipped]
    files: set[str]


def _update(
    file: Path,
    runs: Path,
    gone: set[str],
    new: _Reading,
    records: Sequence[Record],
    skipped: Mapping[str, Skipped],
    *,
    anew: bool,
) -> _Updated:
    """Bring a file up to date, or fill a new one, and write beside it what changed as Parquet."""
    with duckdb.connect(file, config=_WRITING) as con:
        # by one thread rows go to the file in one go, by several in pieces to be put together later
        con.execute("set threads = 1")
        if anew:  # else all is as it was published, by this layout
            con.execute("begin")  # some hundred comments are one change, not a change each
            con.execute(";".join([*_TABLES, *_VIEWS_AND_COMMENTS]))
            con.execute("commit")
        before = None if anew else parquet_tables.parts(con)
        _drop(con, gone)
        changed = set(gone)
        unfit: dict[str, str] = {}
        for contents in new:
            unfit |= _add(con, contents)
            changed |= contents.keys()
        # a panel of nothing but runs that did not fit in
        _drop_panels(con)
        for table in DERIVED_TABLES:
            con.execute(f"delete from {table}")
        lakes = con.execute("select distinct lake_fingerprint from catalog").fetchall()
        sound, damaged = record_rows.read_records(_of_lakes(records, {x for (x,) in lakes}))
        unfit = _present(runs, {**new.faults, **unfit}) | damaged | _add(con, sound)
        left_out = {**_dated(runs, skipped), **_dated(runs, _broken(unfit))}
        if left_out:
            _insert(con, "run_problems", _problems(left_out))
        _insert(con, "family_edges", families.derive(con))
        changed |= _label(con)
        parquet_tables.assign(con)
        con.execute("reset threads")
        folder = tables_folder(file)
        folder.mkdir(exist_ok=True)
        now = parquet_tables.write(con, folder, before, changed)
        con.execute("checkpoint")
        return _Updated(_counts(con), left_out, now.files())


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
        con.execute(f"delete from {name} where run_id in {parquet_tables.listed(gone)}")
    _drop_panels(con)


def _label(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Say in every table of runs which run a row is of, and whether that is the latest.

    Tables of records, which are rebuilt each time, take all of it from the catalog; in those of
    run folders only the rows change whose run has come or was replaced: their ids are returned.
    """
    judged = con.execute(
        """
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
    ).fetchall()
    for is_latest in (True, False):
        ids = [run_id for run_id, found in judged if found is is_latest]
        for name in RUN_TABLES.keys() & OF_RUNS if ids else ():
            con.execute(
                f"update {name} set is_latest = ? where run_id in {parquet_tables.listed(ids)}",
                [is_latest],
            )
    for name in DERIVED_TABLES.keys() & OF_RUNS:
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
    return {run_id for run_id, _ in judged}


def _drop_panels(con: duckdb.DuckDBPyConnection) -> None:
    for panel, (table, _) in layout.PANELS.items():
        con.execute(f"delete from {table} where {panel} not in (select {panel} from run_panels)")


_INCOMING: Final = "incoming"
# what content that does not fit into a table can end in
_UNFIT: Final = (
    *(folder_rows.FileFault, ValueError, LookupError, TypeError, OverflowError, pa.ArrowException),
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
    frames: dict[str, list[tuple[Row, pa.Table]]] = defaultdict(list)
    panels: dict[str, list[pa.Table]] = defaultdict(list)
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
            frames[table].append((content.named, frame))
        for table, (panel, content_id, file) in content.panels.items():
            if content_id not in known[panel]:
                known[panel].add(content_id)
                with folder_rows.reading(file):
                    panels[table].append(folder_rows.labelled(file, panel, content_id))
    for table, of_table in rows.items():
        if of_table:
            _insert(con, table, _table(of_table, table))
    for table, parts in frames.items():
        with _named(table):
            rows_of_table = folder_rows.together(table, parts)
        _insert(con, table, rows_of_table)
    for table, of_panels in panels.items():
        _insert(con, table, pa.concat_tables(of_panels))


def _table(records: Sequence[Row], table: str) -> pa.Table:
    names = ALL_TABLES[table].names
    return pa.table({name: [record.get(name) for record in records] for name in names})


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
        *(looks.alarms(runs, _looks_of(runs, path)) if with_looks else []),
        *sweep_records.alarms(runs),
        *robustness_records.alarms(runs),
        *null_market_records.alarms(runs),
    ]


def _looks_of(runs: Path, path: Path | None) -> dict[str, bool]:
    """Return whether runs looked at their hold-out, as published; nothing of another folder's."""
    if path is None or not is_of(runs, path):
        return {}
    try:
        with duckdb.connect(path, read_only=True) as con:
            return dict(con.execute("select run_id, is_look is true from catalog").fetchall())
    except duckdb.Error:
        return {}


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
    remedy = (
        " What was tried beside a broken run counts it as a trial, but not what it found; "
        f"to mend it, {run_list.MEND_RUN}."
        if skipped[order[0]].is_broken
        else ""
    )
    return [f"Left out of the catalog, in {runs}: {named}{more}.{remedy}"]


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    names = ", ".join(f'"{name}"' for name in ALL_TABLES[table].names if name in rows.column_names)
    with _named(table):
        con.register(_INCOMING, rows)
        con.execute(f"insert into {table} ({names}) select {names} from {_INCOMING}")
    con.unregister(_INCOMING)


@contextmanager
def _named(table: str) -> Iterator[None]:
    """Name the file that rows of a table come from, where they do not fit."""
    try:
        yield
    except _UNFIT as error:
        file = folder_rows.FILES.get(table, table)
        raise ValueError(f"{file}: {run_list.fault_of(error)}") from None
