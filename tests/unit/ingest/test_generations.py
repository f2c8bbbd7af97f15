"""Generations: one sorted file per table and year, links to what did not change, one published."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import duckdb
import pytest

from msm_py.errors import MsmError
from msm_py.ingest import generations
from msm_py.ingest.generations import Generation

DAYS = "(values ('2024-12-30'), ('2024-12-31'), ('2025-01-01'), ('2025-01-02'))"


class Store:
    """A store whose lakes are made of closes of BTC and ETH."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.con = duckdb.connect()

    def builds(
        self,
        close: str = "1.0",
        *,
        days: str = DAYS,
        since: date | None = None,
        base: Generation | None = None,
        said: str = "",
    ) -> Generation:
        """Build a generation from closes that a SQL expression gives."""
        self.con.execute(
            f"""
            create or replace table incoming_fact_price as
            select
                asset_id, cast(day as date) as date, cast({close} as double) as close,
                'spot' as source
            from {days} as days (day), (values ('ETH'), ('BTC')) as assets (asset_id)
            """
        )
        scratch = self.path / f"scratch-{len(list(self.path.iterdir()))}"
        scratch.mkdir()
        return generations.build(
            self.con,
            self.path,
            scratch,
            since=since,
            base=base,
            lake_yaml="name: mine\n",
            provenance={"said": said},
        )

    def publishes(self, generation: Generation) -> None:
        scratch = self.path / "scratch-of-link"
        scratch.mkdir(exist_ok=True)
        generations.publish(self.path, scratch, generation)

    def rows(self, generation: Generation) -> list[tuple[object, ...]]:
        files = str(generation.folder / "fact_price" / "*.parquet")
        return self.con.execute(
            "select asset_id, date::varchar, close from read_parquet(?)", [files]
        ).fetchall()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_table_is_one_sorted_file_per_year(store: Store) -> None:
    made = store.builds("day(cast(day as date))")

    assert [file.name for file in sorted((made.folder / "fact_price").iterdir())] == [
        "2024.parquet",
        "2025.parquet",
    ]
    assert store.rows(made)[:3] == [
        ("BTC", "2024-12-30", 30.0),
        ("BTC", "2024-12-31", 31.0),
        ("ETH", "2024-12-30", 30.0),
    ]
    assert made.provenance["tables"]["fact_price"] == {
        "n_rows": 8,
        "first_date": "2024-12-30",
        "last_date": "2025-01-02",
        "rows_by_source": {"spot": 8},
    }


def test_the_same_content_is_the_same_lake_byte_for_byte(store: Store) -> None:
    first = store.builds()
    before = {file: file.read_bytes() for file in first.folder.rglob("*.parquet")}

    again = store.builds(said="more")

    assert again.id == first.id
    assert {file: file.read_bytes() for file in first.folder.rglob("*.parquet")} == before
    assert json.loads((first.folder / "provenance.json").read_text())["said"] == "more"


@pytest.mark.parametrize("since", [None, date(2025, 1, 2)])
def test_a_year_that_did_not_change_is_a_link(store: Store, since: date | None) -> None:
    first = store.builds()
    changed = "case when day = '2025-01-02' then 2 else 1 end"
    days = DAYS if since is None else "(values ('2025-01-02'))"

    second = store.builds(changed, days=days, since=since, base=first)

    same = [
        (second.folder / "fact_price" / name).samefile(first.folder / "fact_price" / name)
        for name in ("2024.parquet", "2025.parquet")
    ]
    assert same == [True, False]
    assert store.rows(second) == store.rows(store.builds(changed))
    assert second.id == store.builds(changed).id


def test_the_link_is_replaced_and_only_a_link_is(store: Store) -> None:
    assert generations.published(store.path) is None
    first, second = store.builds(), store.builds("2.0")
    for made in (first, second):
        store.publishes(made)
        assert (store.path / "lake").resolve() == made.folder
        found = generations.published(store.path)
        assert found is not None
        assert found.id == made.id

    (store.path / "lake").unlink()
    (store.path / "lake").mkdir()
    with pytest.raises(MsmError, match="the place of the published lake is taken"):
        store.publishes(first)


def test_old_lakes_go_but_never_the_published_one(store: Store) -> None:
    made = [store.builds(f"{n}.0") for n in range(1, 6)]
    store.publishes(made[0])

    removed = generations.remove_old(store.path, keep=2)

    left = {folder.name for folder in (store.path / "lakes").iterdir()}
    assert left == {made[0].id, made[4].id}
    assert removed == sorted(one.id for one in made[1:4])


def test_a_table_without_rows_is_not_there(store: Store) -> None:
    store.con.execute(
        "create table incoming_fact_volume (asset_id varchar, date date, volume double, "
        "source varchar)"
    )

    assert list(store.builds().provenance["tables"]) == ["fact_price"]
