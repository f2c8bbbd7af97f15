"""Vintages: what is new or revised is appended, what is known is not, all can be asked again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from msm_py.errors import MsmError
from msm_py.ingest import vintages
from msm_py.ingest.vintages import Batch, ReadFile, Revisions

Obs = tuple[str, float]  # stamp and value of BTC's close
START = datetime(2025, 3, 1, 12, tzinfo=UTC)
READING = "a" * 10


class Store:
    """A store that is told things, a day after another."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.con = duckdb.connect()
        self.batches: list[Batch] = []

    def told(
        self, *files: Sequence[Obs], revisions: Revisions = "latest", reading: str = READING
    ) -> vintages.Added:
        """Append what files say, a batch; return what came of it."""
        columns = ", ".join(f"{name} {kind}" for name, kind in vintages.OBSERVATION.items())
        self.con.execute(f"create or replace temp table incoming ({columns})")
        read = []
        for place, rows in enumerate(files):
            digest = f"{len(self.batches)}-{place}"
            read.append(ReadFile("spot", reading, f"{place}.csv", digest, 1))
            for stamp, value in rows:
                self.con.execute(
                    "insert into incoming values "
                    "('spot', 'close', 'BTC', null, null, ?, null, ?, ?)",
                    [stamp, value, digest],
                )
        scratch = self.path / f"scratch-{len(self.batches)}"
        scratch.mkdir()
        batch = vintages.prepare(
            self.con,
            scratch,
            incoming="incoming",
            files=read,
            known=self.batches,
            revisions=revisions,
            known_at=START + timedelta(days=len(self.batches)),
        )
        vintages.append(self.path, batch)
        self.batches = vintages.batches(self.path)
        return batch.added["spot"]

    def current(self, revisions: Revisions = "latest") -> list[Obs]:
        files = [path for batch in self.batches if (path := batch.observations("spot", READING))]
        query = f"select stamp::date::varchar, value from {vintages.current_sql(files, revisions)}"
        return sorted(self.con.execute(query).fetchall())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_what_is_new_is_appended_and_what_is_known_is_not(store: Store) -> None:
    first = store.told([("2025-01-01", 10.0), ("2025-01-02", 20.0)])
    second = store.told([("2025-01-02", 20.0), ("2025-01-03", 30.0)])

    assert (first.n_new, first.n_same) == (2, 0)
    assert (second.n_new, second.n_revised, second.n_same) == (1, 0, 1)
    assert str(second.first) == str(second.last) == "2025-01-03 00:00:00"
    assert store.current() == [("2025-01-01", 10.0), ("2025-01-02", 20.0), ("2025-01-03", 30.0)]


def test_a_vendor_that_forgets_loses_nothing(store: Store) -> None:
    store.told([("2025-01-01", 10.0), ("2025-01-02", 20.0)])
    store.told([("2025-01-03", 30.0)])

    assert len(store.current()) == 3


@pytest.mark.parametrize(("value", "n_revised"), [(10.0 * (1 + 9e-10), 0), (10.0 * (1 + 2e-9), 1)])
def test_equal_to_a_billionth_is_no_revision(store: Store, value: float, n_revised: int) -> None:
    store.told([("2025-01-01", 10.0)])

    assert store.told([("2025-01-01", value)]).n_revised == n_revised


def test_of_revisions_the_latest_or_the_first_counts(store: Store) -> None:
    store.told([("2025-01-01", 10.0)])
    store.told([("2025-01-01", 11.0)])
    again = store.told([("2025-01-01", 11.0)])

    assert again.n_same == 1, "what was said last time is not a revision, whichever counts"
    assert store.current("latest") == [("2025-01-01", 11.0)]
    assert store.current("first") == [("2025-01-01", 10.0)]


@pytest.mark.parametrize(("revisions", "value"), [("latest", 12.0), ("first", 10.0)])
def test_files_of_one_batch_that_contradict_each_other_count_in_their_order(
    store: Store, revisions: Revisions, value: float
) -> None:
    added = store.told([("2025-01-01", 10.0)], [("2025-01-01", 12.0)], revisions=revisions)

    assert (added.n_new, added.n_contradicting) == (1, 1)
    assert store.current() == [("2025-01-01", value)]


def test_a_reading_of_its_own_starts_anew(store: Store) -> None:
    """Stamps that were read in a wrong zone do not stay beside those of the right one."""
    store.told([("2025-01-01", 10.0)])

    assert store.told([("2025-01-01", 10.0)], reading="b" * 10).n_new == 1
    assert vintages.known_files(store.batches) == {
        ("spot", READING, "0-0"),
        ("spot", "b" * 10, "1-0"),
    }


def test_only_what_was_known_by_a_day_can_be_asked(store: Store) -> None:
    for value in (10.0, 11.0, 12.0):
        store.told([("2025-01-01", value)])

    until = vintages.batches(store.path, START + timedelta(days=1))

    assert [batch.name for batch in until] == [batch.name for batch in store.batches[:2]]


def test_batches_are_in_order_though_the_clock_goes_back(store: Store) -> None:
    store.told([("2025-01-01", 10.0)])

    known_at = vintages.next_known_at(store.batches, now=START - timedelta(days=9))

    assert known_at == START + timedelta(microseconds=1)


def test_nothing_that_is_written_is_ever_changed(store: Store) -> None:
    store.told([("2025-01-01", 10.0)])
    before = {file: file.read_bytes() for file in store.batches[0].folder.iterdir()}
    store.told([("2025-01-01", 11.0)])

    assert {file: file.read_bytes() for file in store.batches[0].folder.iterdir()} == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"known_at": 3, "files": [], "added": {}}'])
def test_a_damaged_batch_is_named(store: Store, text: str) -> None:
    store.told([("2025-01-01", 10.0)])
    file = store.batches[0].folder / vintages.BATCH
    file.write_text(text)

    with pytest.raises(MsmError, match="a vintage of the store is damaged") as caught:
        vintages.batches(store.path)
    assert caught.value.where == str(file)
