"""Hostile lakes that are refused, each with one message; and what is merely long, read at once.

Damage, links and names are told in test_lake_reader.py, single wrong types in test_opening.py.
"""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msm_py.errors import MsmError
from msm_py.lake.check import check_lake
from msm_py.lake.loading import load
from msm_py.lake.opening import open_lake

DAYS = [date(2024, 1, 1) + timedelta(days=k) for k in range(3)]
CLOSES = [1.0, 2.0, 4.0]
SECONDS = 15  # of the processor; what is long took minutes


def _closes(
    close: pa.Array | None = None, day: pa.Array | None = None, asset: pa.Array | None = None
) -> pa.Table:
    return pa.table(
        {
            "asset_id": pa.array(["BTC"] * 3) if asset is None else asset,
            "date": pa.array(DAYS) if day is None else day,
            "close": pa.array(CLOSES) if close is None else close,
        }
    )


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    for name in ("price", "marketcap", "volume"):
        file = folder / f"fact_{name}" / "whole.parquet"
        file.parent.mkdir(parents=True)
        column = "close" if name == "price" else name
        pq.write_table(_closes().rename_columns(["asset_id", "date", column]), file)
    return folder


STAMPS = pa.array(DAYS).cast(pa.timestamp("us"))
REFUSED = {
    "no column": (pa.table({}), "a file of the lake cannot be read", "at least one"),
    "a list": (
        _closes(pa.array([[x] for x in CLOSES])),
        "the column close of fact_price has the wrong type",
        r"DOUBLE[], for example '[1.0]'",
    ),
    "a struct": (
        _closes(pa.array([{"close": x, "date": x} for x in CLOSES])),
        "the column close of fact_price has the wrong type",
        "STRUCT(",
    ),
    "a map": (
        _closes(pa.array([[("a", x)] for x in CLOSES], pa.map_(pa.string(), pa.float64()))),
        "the column close of fact_price has the wrong type",
        "MAP(VARCHAR, DOUBLE)",
    ),
    "a list of ids": (
        _closes(asset=pa.array([["BTC"]] * 3)),
        "the column asset_id of fact_price has the wrong type",
        "VARCHAR[]",
    ),
    "bytes for ids": (
        _closes(asset=pa.array([b"BTC"] * 3)),
        "the column asset_id of fact_price has the wrong type",
        "BLOB",
    ),
    "nothing but NULL": (
        _closes(pa.nulls(3)),
        "the column close of fact_price has the wrong type",
        "NULL",
    ),
    "text in one file": (
        _closes(day=pa.array([str(day) for day in DAYS])),
        "the column date of fact_price has the wrong type",
        "VARCHAR, for example '2024-01-01'",
    ),
    "numbers for days": (
        _closes(day=pa.array([20240101, 20240102, 20240103])),
        "the column date of fact_price has the wrong type",
        "BIGINT, for example '20240101'",
    ),
    "a zone in one file": (
        _closes(day=STAMPS.cast(pa.timestamp("us", tz="UTC"))),
        "the column date of fact_price has the wrong type",
        "TIME ZONE",
    ),
    "nanoseconds in another zone": (
        _closes(day=STAMPS.cast(pa.timestamp("ns", tz="America/New_York"))),
        "the column date of fact_price has the wrong type",
        "TIMESTAMPTZ_NS",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_one_file_of_a_table_is_refused_by_name(case: str, lake: Path) -> None:
    table, what, received = REFUSED[case]
    file = lake / "fact_price" / "odd.parquet"
    pq.write_table(table, file)
    with pytest.raises(MsmError) as caught:
        open_lake(lake)
    assert caught.value.what == what
    assert caught.value.where == str(file)
    assert received in str(caught.value.received)
    assert caught.value.remedy is not None


def _read(lake: Path) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        load(con, open_lake(lake))
        return con.execute(
            "select asset_id, date, close from lake.fact_price where unusable is null order by all"
        ).fetchall()


def test_what_is_another_way_to_write_a_table_is_read(lake: Path) -> None:
    expected = [("BTC", day, close) for day, close in zip(DAYS, CLOSES, strict=True)]
    assert _read(lake) == expected
    seconds = STAMPS.cast(pa.timestamp("s"))
    nested = pa.array([{"close": [{"asset_id": 1}]}] * 3)
    for table in (
        _closes(day=STAMPS),
        _closes(day=seconds),
        _closes(day=seconds.cast(pa.timestamp("ns"))),
        _closes(day=pa.array(DAYS).cast(pa.date64())),
        _closes(asset=pa.array(["BTC"] * 3).dictionary_encode()),
        _closes(asset=pa.array(["BTC"] * 3, pa.large_string())),
        _closes(pa.array([1, 2, 4], pa.uint8())),
        _closes(pa.array(CLOSES, pa.float32())),
        _closes().append_column("nested", nested).append_column('x"; drop table y; --', nested),
    ):
        pq.write_table(table, lake / "fact_price" / "whole.parquet")
        assert _read(lake) == expected
    pq.write_table(_closes().slice(0, 0), lake / "fact_price" / "nothing.parquet")
    assert _read(lake) == expected


def test_a_message_of_many_columns_is_cut(lake: Path) -> None:
    many = pa.table({f"c{k}": [1] for k in range(3_000)})
    pq.write_table(many, lake / "fact_price" / "many.parquet")
    with pytest.raises(MsmError, match="lacks the column asset_id") as caught:
        open_lake(lake)
    assert len(str(caught.value)) < 3_000


def test_settings_that_expand_are_refused_at_once(lake: Path) -> None:
    lines = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)]
    for text, what in (
        ("a0: &a0 [x]\n" + "".join(lines), "there are too many values"),
        (
            "aliases:\n" + "".join(f"- {{idd: X{i}, asset_id: Y}}\n" for i in range(9_000)),
            "18,000 things are wrong; the first 20 of them",
        ),
        ("? " + "k" * 1_000_000 + "\n: 1\n", "lake.yaml has an unknown key"),
    ):
        (lake / "lake.yaml").write_text(text)
        begun = time.process_time()
        with pytest.raises(MsmError, match=what) as caught:
            open_lake(lake)
        assert time.process_time() - begun < SECONDS
        assert len(str(caught.value)) < 40_000


def test_thousands_of_aliases_and_exclusions_are_read_at_once(lake: Path) -> None:
    """Names with quotes, semicolons and control characters among them."""
    odd = "B'); drop table lake.fact_price; --\0\x1b[31m"
    pq.write_table(
        _closes(pa.array([5.0, 6.0, 7.0]), asset=pa.array([odd] * 3)),
        lake / "fact_price" / "odd.parquet",
    )
    aliases = "".join(f"- {{id: X{i}, asset_id: Y{i}}}\n" for i in range(9_999))
    own = '- {id: "B\'); drop table lake.fact_price; --\\0\\e[31m", asset_id: ODD}\n'
    (lake / "lake.yaml").write_text(f"aliases:\n{aliases}{own}")
    reasons = "".join(f"E{i},=cmd'; --\n" for i in range(100_000))
    (lake / "exclude.csv").write_text(f"asset_id,reason\n{reasons}")
    opened = open_lake(lake)
    begun = time.process_time()
    with duckdb.connect() as con:
        load(con, opened)
        found = con.execute("select distinct asset_id from lake.fact_price order by all").fetchall()
        excluded = con.execute("select count(distinct asset_id) from lake.exclude").fetchall()
    items = check_lake(opened).items
    assert time.process_time() - begun < SECONDS
    assert found == [("BTC",), ("ODD",)]
    assert excluded == [(100_000,)]
    assert any("9,999 of the 10,000" in item.detail for item in items if item.check == "aliases")


def test_a_cell_that_is_too_long_is_one_message(lake: Path) -> None:
    (lake / "exclude.csv").write_text(f'asset_id,reason\nA,"{"x" * 200_000}"\n')
    with pytest.raises(MsmError, match=r"exclude.csv cannot be read") as caught:
        open_lake(lake)
    assert "field limit" in str(caught.value.received)
