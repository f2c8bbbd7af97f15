"""What vendors' files said, and when that became known: append-only, one folder per ingest.

``STORE/vintages/<batch>/`` holds, for each source that said something new, ``<source>.parquet``
with observations that are new or revised, and ``batch.json`` with the files that were read. A
batch is put in place with one rename and never changed afterwards, so the lake of any past day can
be made again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import duckdb

from msm_py.errors import MsmError
from msm_py.lake.files import quoted, read_parquet
from msm_py.store.formats import write_json

FOLDER: Final = "vintages"
BATCH: Final = "batch.json"
SAME: Final = 1e-9
"""Values that differ by no more than this share of the larger are one value."""
KEY: Final = ("source", "measure", "vendor_id", "exchange", "instrument_id", "stamp")
OBSERVATION: Final[Mapping[str, str]] = {
    "source": "varchar",
    "measure": "varchar",
    "vendor_id": "varchar",
    "exchange": "varchar",
    "instrument_id": "varchar",
    "stamp": "timestamp",
    "span_hours": "double",
    "value": "double",
    "file_hash": "varchar",
}
"""Columns of an observation; those of ``KEY`` identify it."""
Revisions = Literal["latest", "first"]
_NAME: Final = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True)
class ReadFile:
    """A file of a source, as it was read.

    Parameters
    ----------
    source, reading
        Its source, and the hash of how that reads its files.
    name
        Its path, as the spec's pattern found it.
    hash
        SHA-256 of its content, 64 hexadecimal digits.
    bytes
        Its size.
    """

    source: str
    reading: str
    name: str
    hash: str
    bytes: int


@dataclass(frozen=True)
class Added:
    """What came of a batch's observations, by source.

    Parameters
    ----------
    n_new, n_revised, n_same
        Observations whose key is new; whose value differs from what was known; that say what is
        known.
    n_contradicting
        Keys for which the files of this batch disagree with each other.
    first, last
        First and last stamp of what is new or revised; None where nothing is.
    """

    n_new: int
    n_revised: int
    n_same: int
    n_contradicting: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True)
class Batch:
    """What one ingest added.

    Parameters
    ----------
    name
        Its folder; batches are in the order of their names.
    known_at
        When it was added, UTC.
    files
        The files that were read.
    added
        What came of them, by source.
    folder
        Where it is.
    """

    name: str
    known_at: datetime
    files: tuple[ReadFile, ...]
    added: Mapping[str, Added]
    folder: Path

    def observations(self, source: str, reading: str) -> Path | None:
        """Return the file with what a source said, if it said something new, read that way."""
        file = self.folder / _file_name(source, reading)
        return file if file.is_file() else None


def batches(store: Path, until: datetime | None = None) -> list[Batch]:
    """Return the batches of a store, oldest first; with ``until`` those known by then.

    Raises
    ------
    MsmError
        A batch is damaged.
    """
    found = []
    for folder in sorted((store / FOLDER).glob("*Z")):
        file = folder / BATCH
        try:
            says = json.loads(file.read_bytes())
            batch = Batch(
                folder.name,
                datetime.fromisoformat(says["known_at"]),
                tuple(ReadFile(**one) for one in says["files"]),
                {source: _from_json(one) for source, one in says["added"].items()},
                folder,
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise MsmError(
                "a vintage of the store is damaged",
                where=str(file),
                received=f"{type(error).__name__}: {error}",
                remedy="put it back from a copy; without one move its folder out of the store and "
                "ingest the vendors' files again",
            ) from None
        if until is None or batch.known_at <= until:
            found.append(batch)
    return found


def next_known_at(known: Sequence[Batch], now: datetime | None = None) -> datetime:
    """Return the time of a new batch: now, and after every other one though clocks go back."""
    now = datetime.now(UTC) if now is None else now
    return max([now, *(batch.known_at + timedelta(microseconds=1) for batch in known)])


def prepare(
    con: duckdb.DuckDBPyConnection,
    scratch: Path,
    *,
    incoming: str,
    files: Sequence[ReadFile],
    known: Sequence[Batch],
    revisions: Revisions,
    known_at: datetime,
) -> Batch:
    """Write what files say beyond what is known, as a batch that is not yet in the store.

    Parameters
    ----------
    con
        A connection.
    scratch
        A folder on the store's file system.
    incoming
        A table of observations, those of ``files``.
    files
        The files, in the order in which they count: where two contradict each other, the later one
        wins under ``latest``, the earlier one under ``first``.
    known
        All batches so far.
    revisions
        Which of two values that files of this batch give one key counts.
    known_at
        When this is.
    """
    folder = scratch / known_at.strftime(_NAME)
    folder.mkdir()
    added = {}
    for source, reading in sorted({(file.source, file.reading) for file in files}):
        added[source] = _write(
            con,
            incoming,
            source,
            [file for file in files if file.source == source],
            [path for batch in known if (path := batch.observations(source, reading))],
            revisions,
            known_at,
            folder / _file_name(source, reading),
        )
    batch = Batch(folder.name, known_at, tuple(files), added, folder)
    says = {
        "known_at": known_at.isoformat(),
        "files": [asdict(file) for file in files],
        "added": {source: _as_json(one) for source, one in added.items()},
    }
    write_json(says, folder / BATCH)
    return batch


def append(store: Path, batch: Batch) -> Batch:
    """Put a prepared batch into the store, with one rename."""
    (store / FOLDER).mkdir(exist_ok=True)
    place = store / FOLDER / batch.name
    os.rename(batch.folder, place)
    return replace(batch, folder=place)


def _file_name(source: str, reading: str) -> str:
    return f"{source}.{reading}.parquet"


def _as_json(added: Added) -> dict[str, Any]:
    stamps = {name: getattr(added, name) for name in ("first", "last")}
    return asdict(added) | {
        name: None if stamp is None else stamp.isoformat() for name, stamp in stamps.items()
    }


def _from_json(says: Mapping[str, Any]) -> Added:
    stamps = {name: says[name] for name in ("first", "last")}
    return Added(
        **dict(says)
        | {
            name: None if text is None else datetime.fromisoformat(text)
            for name, text in stamps.items()
        }
    )


def _write(
    con: duckdb.DuckDBPyConnection,
    incoming: str,
    source: str,
    files: Sequence[ReadFile],
    before: Sequence[Path],
    revisions: Revisions,
    known_at: datetime,
    target: Path,
) -> Added:
    """Write the new and revised observations of a source; no file where there are none."""
    keys = ", ".join(KEY)
    con.execute("create or replace temp table file_order (file_hash varchar, place integer)")
    con.executemany(
        "insert into file_order values (?, ?)",
        [(file.hash, place) for place, file in enumerate(files)],
    )
    pick = "arg_max" if revisions == "latest" else "arg_min"
    # one row per key: files count in their order, and of rows of one file the larger value, so that
    # neither the order of rows nor that of threads matters
    con.execute(
        f"""
        create or replace temp table distinct_incoming as
        select
            {keys},
            {pick}(span_hours, order_key) as span_hours,
            {pick}(value, order_key) as value,
            {pick}(file_hash, order_key) as file_hash,
            max(value) - min(value) > {SAME} * greatest(abs(max(value)), abs(min(value)))
                as contradicts
        from (
            select {incoming}.*, row(place, value, coalesce(span_hours, -1)) as order_key
            from {incoming}
            inner join file_order using (file_hash)
            where source = ?
        )
        group by {keys}
        """,
        [source],
    )
    known = (
        f"""
        select {keys}, span_hours, value from {current_sql(before, "latest")}
        where stamp between (select min(stamp) from distinct_incoming)
            and (select max(stamp) from distinct_incoming)
        """
        if before
        else f"select {keys}, span_hours, value from distinct_incoming where false"
    )
    matches = " and ".join(f"fresh.{name} is not distinct from known.{name}" for name in KEY)
    con.execute(
        f"""
        create or replace temp table judged as
        select
            fresh.*,
            known.source is null as is_new,
            known.source is not null and not (
                abs(fresh.value - known.value)
                <= {SAME} * greatest(abs(fresh.value), abs(known.value))
                and fresh.span_hours is not distinct from known.span_hours
            ) as is_revised
        from distinct_incoming as fresh
        left join ({known}) as known on {matches}
        """
    )
    row = con.execute(
        """
        select
            count(*) filter (is_new), count(*) filter (is_revised),
            count(*) filter (not is_new and not is_revised), count(*) filter (contradicts),
            min(stamp) filter (is_new or is_revised), max(stamp) filter (is_new or is_revised)
        from judged
        """
    ).fetchone()
    added = Added(*row)  # type: ignore[misc]  # an aggregate without groups has one row
    if added.first is not None:
        con.execute(
            f"""
            copy (
                select
                    {", ".join(OBSERVATION)},
                    timestamp '{known_at.replace(tzinfo=None).isoformat(" ")}' as known_at
                from judged
                where is_new or is_revised
                order by {keys}
            ) to {quoted(target)} (format parquet, compression zstd)
            """
        )
    for table in ("distinct_incoming", "judged", "file_order"):
        con.execute(f"drop table {table}")
    return added


def current_sql(files: Sequence[Path], revisions: Revisions) -> str:
    """Return the query, in brackets, of the observations that files of batches come to.

    Parameters
    ----------
    files
        Files of one source and reading, in the order of their batches.
    revisions
        Which one of several values of a key counts: that of the latest batch or of the first one.
    """
    columns = ", ".join(OBSERVATION)
    if not files:
        empty = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in OBSERVATION.items())
        return f"(select {empty} where false)"
    if len(files) == 1:  # within a batch a key is there once
        return f"(select {columns} from {read_parquet(files)})"
    parts = " union all ".join(
        f"select {columns}, {place} as batch from {read_parquet([file])}"
        for place, file in enumerate(files)
    )
    order = "desc" if revisions == "latest" else "asc"
    return (
        f"(select {columns} from ({parts}) "
        f"qualify row_number() over (partition by {', '.join(KEY)} order by batch {order}) = 1)"
    )


def known_files(found: Iterable[Batch]) -> set[tuple[str, str, str]]:
    """Return (source, reading, hash) of every file that was ever read."""
    return {(file.source, file.reading, file.hash) for batch in found for file in batch.files}
