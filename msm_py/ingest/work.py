"""One ingest: read what is new, keep it, make a lake of all that is known, check it, publish it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import yaml
from filelock import FileLock, Timeout

from msm_py import __version__
from msm_py.errors import MsmError
from msm_py.ingest import daily, generations, reading, vintages
from msm_py.ingest.generations import Generation
from msm_py.ingest.measures import TABLES
from msm_py.ingest.spec import Spec, read_spec
from msm_py.ingest.vintages import Added, Batch, ReadFile
from msm_py.lake.check import LakeReport, check_lake
from msm_py.lake.opening import open_lake
from msm_py.settings import duckdb_limits
from msm_py.store import scratch

LOCK: Final = ".lock"
KNOWN: Final = "known_observations"
CHANGED_BEFORE: Final = timedelta(days=2)
"""So long before what is stamped first among the new a day may change: an instant at 24:00 is the
last of it, and a funding print takes its interval from the one before."""
READ_BEFORE: Final = timedelta(days=3)
"""So many days before the first one that is made anew are read along, for those intervals."""
KEEP: Final = 5
SECONDS_BEFORE_SAYING: Final = 3.0


@dataclass(frozen=True)
class FilesRead:
    """So many of the new files are read, the last ones of a source."""

    n_read: int
    n_files: int
    source: str


@dataclass(frozen=True)
class Waiting:
    """Another ingest has the store."""

    store: Path


@dataclass(frozen=True)
class Making:
    """A lake is made of what is known, from a day on; None: all of it."""

    since: date | None


Tell = Callable[[FilesRead | Waiting | Making], object]


@dataclass(frozen=True)
class Outcome:
    """What an ingest came to.

    Parameters
    ----------
    generation
        The lake; None after a dry run, or when nothing was new.
    report
        The check of it; None without a new lake, or where ``fault`` stands in its place.
    fault
        Why the lake could not even be checked to the end.
    is_published
        Whether ``STORE/lake`` leads to it.
    n_files, n_new_files
        Files that the patterns find, and those that were never read before, in this way.
    added
        What came of the new ones, by source.
    notes
        What was left out and why.
    tables
        Rows by table of the lake that is made, or would be.
    unread
        By source, files that are gone and were read in another way: what they said is not used.
    removed
        Ids of old generations that were removed.
    """

    generation: Generation | None
    report: LakeReport | None
    is_published: bool
    n_files: int
    n_new_files: int
    added: Mapping[str, Added]
    notes: Sequence[daily.Note]
    tables: Mapping[str, int] = field(default_factory=dict)
    unread: Mapping[str, int] = field(default_factory=dict)
    removed: Sequence[str] = ()
    fault: MsmError | None = None


def ingest(
    spec_file: Path,
    store: Path,
    tell: Tell,
    *,
    dry_run: bool = False,
    as_of: date | None = None,
    keep: int = KEEP,
) -> Outcome:
    """Read vendors' files into a store, and publish the lake that is made of all it knows.

    Parameters
    ----------
    spec_file
        The spec.
    store
        The store's folder; it is made if it is not there.
    tell
        Told what goes on.
    dry_run
        Read everything, write nothing.
    as_of
        Read no file: make the lake of what was known at the end of this day (UTC), unpublished.
    keep
        How many generations stay.

    Raises
    ------
    MsmError
        Anything wrong with the spec, a file or the ids. The published lake stays as it was, and
        nothing of this ingest is kept.
    """
    spec = read_spec(spec_file)
    _check_place(store)
    try:
        store.mkdir(parents=True, exist_ok=True)
        with _locked(store, tell), scratch.folder(store) as own:
            with _database(own) as con:
                return _Ingest(spec, store, own, con, tell).carry_out(
                    dry_run=dry_run, as_of=as_of, keep=keep
                )
    except (OSError, duckdb.IOException) as error:
        raise MsmError(
            "the store cannot be written; the published lake stays as it was",
            where=str(store),
            received=getattr(error, "strerror", None) or str(error).splitlines()[0],
            remedy="free space on the disk, or give a folder that you may write to",
        ) from None


def _check_place(store: Path) -> None:
    if store.exists() and not store.is_dir():
        raise MsmError(
            "a store is a folder", where="--store", received=str(store), remedy="give a folder"
        )
    strangers = [
        entry.name
        for entry in (store.iterdir() if store.is_dir() else ())
        if entry.name not in (vintages.FOLDER, generations.FOLDER, generations.LAKE, LOCK)
        and not entry.name.startswith(".")
    ]
    if strangers:
        raise MsmError(
            "the folder holds something else than a store",
            where=str(store),
            received=", ".join(sorted(strangers)[:5]),
            remedy="give a folder of its own, or one that is not there yet",
        )


class _locked:
    """Hold the store alone; say so when somebody else has it."""

    def __init__(self, store: Path, tell: Tell) -> None:
        self._lock, self._store, self._tell = FileLock(store / LOCK), store, tell

    def __enter__(self) -> None:
        try:
            self._lock.acquire(timeout=SECONDS_BEFORE_SAYING)
        except Timeout:
            self._tell(Waiting(self._store))
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _database(own: Path) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        "temp_directory": str(own / "spill"),
    }
    con = duckdb.connect(str(own / "work.duckdb"), config=config | duckdb_limits())
    con.execute("set enable_progress_bar = false")  # the display has one of its own
    return con


@dataclass
class _Ingest:
    spec: Spec
    store: Path
    own: Path
    con: duckdb.DuckDBPyConnection
    tell: Tell
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def carry_out(self, *, dry_run: bool, as_of: date | None, keep: int) -> Outcome:
        known = vintages.batches(self.store)
        if as_of is not None:
            until = datetime.combine(as_of + timedelta(days=1), time(), tzinfo=UTC)
            return self._made_as_of([x for x in known if x.known_at < until], as_of)
        files, new = self._files(known)
        reading.create_incoming(self.con)
        n_new = sum(len(of_source) for of_source in new.values())
        self._read(new, n_new)
        batch = self._batch(new, known) if n_new else None
        every = [*known, batch] if batch else known
        base = None if dry_run else generations.published(self.store)
        said = self._provenance(every)
        unread = self._unread(known, files)
        added = {} if batch is None else batch.added
        if base is not None and base.provenance["made_of"] == said["made_of"]:
            if batch is not None:
                vintages.append(self.store, batch)
            return Outcome(None, None, True, len(files), n_new, added, (), {}, unread)
        since = self._since(base, every)
        self.tell(Making(since))
        notes = [*daily.unfinished_bars(self.con), *self._rows(every, since, every_unknown=dry_run)]
        tables = self._counts()
        if dry_run:
            return Outcome(None, None, False, len(files), n_new, added, notes, tables, unread)
        if batch is not None:
            vintages.append(self.store, batch)
        said["left_out"] = [vars(note) for note in notes]
        generation = self._build(since, base if since is not None else None, base, said)
        report, fault = _checked(generation, self.own)
        passes = report is not None and not report.exit_code
        if passes:
            generations.publish(self.store, self.own, generation)
        return Outcome(
            *(generation, report, passes, len(files), n_new, added, notes, tables, unread),
            generations.remove_old(self.store, keep) if passes else (),
            fault,
        )

    def _made_as_of(self, known: Sequence[Batch], as_of: date) -> Outcome:
        if not known:
            raise MsmError(
                "nothing was known on that day",
                where="--as-of",
                received=str(as_of),
                remedy="the store's first files were read later: see its folder vintages",
            )
        notes = self._rows(known, None)
        tables = self._counts()
        said = self._provenance(known)
        said["left_out"] = [vars(note) for note in notes]
        generation = self._build(None, None, generations.published(self.store), said)
        report, fault = _checked(generation, self.own)
        return Outcome(generation, report, False, 0, 0, {}, notes, tables, fault=fault)

    def _files(self, known: Sequence[Batch]) -> tuple[list[ReadFile], dict[str, list[ReadFile]]]:
        """Return every file of the sources, and by source those that were never read so."""
        read_before = vintages.known_files(known)
        files: list[ReadFile] = []
        new: dict[str, list[ReadFile]] = {}
        for source in self.spec.sources.values():
            seen: set[str] = set()
            for path in source.files():
                one = ReadFile(
                    source.id,
                    source.reading,
                    str(path),
                    reading.digest_of(path),
                    path.stat().st_size,
                )
                files.append(one)
                is_known = (one.source, one.reading, one.hash) in read_before
                if not is_known and one.hash not in seen:
                    new.setdefault(source.id, []).append(one)
                seen.add(one.hash)
        return files, new

    def _read(self, new: Mapping[str, Sequence[ReadFile]], n_new: int) -> None:
        before = 0
        for source_id, of_source in new.items():
            source = self.spec.sources[source_id]
            named = [(Path(one.name), one.hash) for one in of_source]
            for done in reading.read_files(self.con, source, named, self.now):
                self.tell(FilesRead(before + done, n_new, source_id))
            before += len(of_source)

    def _batch(self, new: Mapping[str, Sequence[ReadFile]], known: Sequence[Batch]) -> Batch:
        return vintages.prepare(
            self.con,
            self.own,
            incoming=reading.INCOMING,
            files=[one for of_source in new.values() for one in of_source],
            known=known,
            revisions=self.spec.revisions,
            known_at=vintages.next_known_at(known, self.now),
        )

    def _provenance(self, every: Sequence[Batch]) -> dict[str, Any]:
        """Return what a lake is made of: equal, when equal lakes would be made."""
        return {
            "msm": __version__,
            "made_of": {
                "spec": self.spec.digest,
                "name": self._name(),
                "max_stale_days": self.spec.max_stale_days,
                "batches": [batch.name for batch in every],
            },
            "files_read": [
                {"source": one.source, "name": Path(one.name).name, "sha256": one.hash}
                for batch in every
                for one in batch.files
            ],
        }

    def _unread(self, known: Sequence[Batch], files: Sequence[ReadFile]) -> dict[str, int]:
        there = {(one.source, one.hash) for one in files}
        counts: dict[str, set[str]] = {}
        for source, way, digest in vintages.known_files(known):
            current = self.spec.sources.get(source)
            if current is None or way == current.reading or (source, digest) in there:
                continue
            counts.setdefault(source, set()).add(digest)
        return {source: len(digests) for source, digests in sorted(counts.items())}

    def _since(self, base: Generation | None, every: Sequence[Batch]) -> date | None:
        """Return the first day that is to be made anew; None when all are."""
        if base is None:
            return None
        old, now = base.provenance["made_of"], self._provenance(every)["made_of"]
        is_same = {k: v for k, v in old.items() if k != "batches"} == {
            k: v for k, v in now.items() if k != "batches"
        }
        if not is_same or old["batches"] != now["batches"][: len(old["batches"])]:
            return None
        fresh = every[len(old["batches"]) :]
        stamps = [one.first for batch in fresh for one in batch.added.values() if one.first]
        return (min(stamps) - CHANGED_BEFORE).date() if stamps else None

    def _rows(
        self, every: Sequence[Batch], since: date | None, *, every_unknown: bool = False
    ) -> list[daily.Note]:
        """Make the rows of the lake's tables, from a day on."""
        parts = []
        for source in self.spec.sources.values():
            files = [x for b in every if (x := b.observations(source.id, source.reading))]
            if files:
                current = vintages.current_sql(files, self.spec.revisions)
                parts.append(f"from {current} where {daily.days_of(source)}")
        union = " union all ".join(f"(select * {part})" for part in parts)
        if not parts:
            union = f"(from {vintages.current_sql([], self.spec.revisions)})"
        where = ""
        if since is not None:
            where = f"where stamp >= timestamp '{since - READ_BEFORE}'"
        self.con.execute(f"create or replace table {KNOWN} as select * from ({union}) {where}")
        notes = daily.daily_rows(self.con, self.spec, KNOWN, every_unknown=every_unknown)
        if since is not None:
            for name in self._counts():
                self.con.execute(
                    f"delete from {generations.INCOMING}{name} where date < date '{since}'"
                )
        return notes

    def _counts(self) -> dict[str, int]:
        there = {
            row[0] for row in self.con.execute("select table_name from duckdb_tables()").fetchall()
        }
        names = [name for name in TABLES if generations.INCOMING + name in there]
        return {
            name: self.con.execute(f"select count(*) from {generations.INCOMING}{name}").fetchall()[
                0
            ][0]
            for name in names
        }

    def _name(self) -> str:
        return self.spec.name or self.store.absolute().name

    def _build(
        self,
        since: date | None,
        taken_over: Generation | None,
        base: Generation | None,
        said: Mapping[str, Any],
    ) -> Generation:
        settings = {"name": self._name(), "max_stale_days": self.spec.max_stale_days}
        return generations.build(
            self.con,
            self.store,
            self.own,
            since=since,
            base=taken_over or base,
            lake_yaml=yaml.safe_dump(settings, sort_keys=False),
            beside=self.spec.beside,
            provenance=said,
        )


def _checked(generation: Generation, spill: Path) -> tuple[LakeReport | None, MsmError | None]:
    try:
        return check_lake(open_lake(generation.folder), spill), None
    except MsmError as error:  # such as a lake without prices
        return None, error
