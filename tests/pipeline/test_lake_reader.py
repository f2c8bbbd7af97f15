"""One reader: whatever a lake's folders are like, check, fingerprint and run see the same files."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.lakes import tiny_lake, tiny_spec
from support.pipeline import contents_apart_from_ids, dbt, msm, run_experiments

from msm_py.errors import MsmError
from msm_py.lake.check import check_lake
from msm_py.lake.loading import load
from msm_py.lake.opening import fingerprint, open_lake

HOSTILE = (
    "it's a lake",
    "lake[1]",
    "lake?*",
    'say "lake"; --',
    "x') union all select 1 as file; copy (select 42) to 'PWNED.csv'; --",
    "läke 🦆\u202e",
    "100%20 $HOME {{ var('x') }}",
)


def closes(asset: str, n: int = 4, first: date = date(2024, 1, 1)) -> pa.Table:
    days = [first + timedelta(days=k) for k in range(n)]
    return pa.table({"asset_id": [asset] * n, "date": days, "close": [1.0 + k for k in range(n)]})


def put(table: pa.Table, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file)
    return file


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Closes in a folder, the other required tables beside it."""
    folder = tmp_path / "lake"
    put(closes("BTC"), folder / "fact_price" / "btc.parquet")
    for name, value in (("fact_marketcap", "marketcap"), ("fact_volume", "volume")):
        put(closes("BTC").rename_columns(["asset_id", "date", value]), folder / f"{name}.parquet")
    return folder


def read(lake: Path, table: str = "fact_price") -> list[tuple[object, ...]]:
    """Return asset and number of rows as a run reads them, after seeing that the check agrees."""
    opened = open_lake(lake)
    with duckdb.connect() as con:
        load(con, opened)
        found = con.execute(
            f"select asset_id, count(*) from lake.{table} group by all order by all"
        ).fetchall()
    n_rows = sum(int(row[1]) for row in found)
    assert n_rows == opened.tables[table].n_rows
    items = {(item.table, item.check): item for item in check_lake(opened).items}
    assert items[table, "rows"].detail.startswith(f"{n_rows:,} rows")
    return found


def refused(lake: Path) -> str:
    with pytest.raises(MsmError) as caught:
        open_lake(lake)
    return str(caught.value)


# -- folders and links


def test_linked_folders_and_files_are_read(lake: Path, tmp_path: Path) -> None:
    put(closes("AAA"), tmp_path / "elsewhere" / "deep" / "a.parquet")
    (lake / "fact_price" / "recent").symlink_to(tmp_path / "elsewhere")
    file = put(closes("BBB"), tmp_path / "b.parquet")
    (lake / "fact_price" / "b.parquet").symlink_to(file)
    assert read(lake) == [("AAA", 4), ("BBB", 4), ("BTC", 4)]
    before = fingerprint(open_lake(lake))
    put(closes("AAA", 3), tmp_path / "elsewhere" / "deep" / "a.parquet")
    assert fingerprint(open_lake(lake)) != before


def test_flags_in_a_linked_folder_count(lake: Path, tmp_path: Path) -> None:
    flags = pa.table({"asset_id": ["USDX"], "is_stable": [True]})
    put(flags, tmp_path / "elsewhere" / "part.parquet")
    (lake / "dim_asset").mkdir()
    (lake / "dim_asset" / "linked").symlink_to(tmp_path / "elsewhere")
    assert read(lake, "dim_asset") == [("USDX", 1)]


def test_a_linked_lake_is_the_same_lake(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(lake)
    assert fingerprint(open_lake(tmp_path / "link")) == fingerprint(open_lake(lake))


def test_siblings_that_a_glob_would_match_are_not_read(lake: Path) -> None:
    bracket = lake.rename(lake.with_name("lake[1]"))
    put(closes("ZZZ"), lake.with_name("lake1") / "fact_price" / "z.parquet")
    put(closes("YYY"), lake.with_name("lake1") / "fact_price" / "btc.parquet")
    assert read(bracket) == [("BTC", 4)]


def test_hidden_files_and_folders_named_like_files_are_read(lake: Path) -> None:
    put(closes("HID"), lake / "fact_price" / ".hidden.parquet")
    put(closes("SPK"), lake / "fact_price" / "day.parquet" / "part-0000.parquet")
    (lake / "fact_price" / "day.parquet" / "_SUCCESS").touch()
    put(closes("CAP"), lake / "fact_price" / "LOUD.PARQUET")
    assert read(lake) == [("BTC", 4), ("CAP", 4), ("HID", 4), ("SPK", 4)]


@pytest.mark.parametrize("target", ["fact_price", ".", "..", "/"])
def test_a_link_that_leads_back_is_refused(lake: Path, target: str) -> None:
    (lake / "fact_price" / "again").symlink_to((lake / target).resolve())
    text = refused(lake)
    assert "leads back into itself" in text
    assert str(lake / "fact_price" / "again") in text


def test_one_file_under_two_names_is_refused(lake: Path) -> None:
    (lake / "fact_price" / "latest.parquet").symlink_to("btc.parquet")
    text = refused(lake)
    assert "one file of fact_price is there under two names" in text


def test_a_link_that_leads_nowhere_is_refused(lake: Path) -> None:
    (lake / "fact_price" / "gone.parquet").symlink_to(lake / "no such file")
    assert "gone.parquet" in refused(lake)
    (lake / "fact_price" / "gone.parquet").unlink()
    (lake / "fact_funding.parquet").symlink_to(lake / "no such file")
    assert "fact_funding.parquet" in refused(lake)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("make", [pipe, device, listening])
@pytest.mark.parametrize("place", ["fact_price/x.parquet", "fact_funding.parquet"])
def test_what_is_no_file_is_refused_and_not_waited_for(
    lake: Path, make: Callable[[Path], None], place: str
) -> None:
    make(lake / place)
    text = refused(lake)
    assert "no regular file" in text
    assert place in text


def test_a_backslash_beside_a_bracket_is_refused(lake: Path) -> None:
    put(closes("AAA"), lake / "fact_price" / "a\\[1].parquet")
    assert "a backslash together with" in refused(lake)


def test_a_name_that_is_not_text_is_refused(lake: Path) -> None:
    try:
        os.rename(
            lake / "fact_price" / "btc.parquet", os.fsencode(lake) + b"/fact_price/\xff.parquet"
        )
    except OSError:
        pytest.skip("this disk has no such names")
    assert "not valid UTF-8" in refused(lake)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_read_literally(lake: Path, name: str) -> None:
    put(closes("AAA"), lake / "fact_price" / name / f"{name}.parquet")
    assert read(lake.rename(lake.with_name(name))) == [("AAA", 4), ("BTC", 4)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run on a lake with a plain name writes."""
    place = tmp_path_factory.mktemp("plain")
    lake = tiny_lake(place / "lake")
    done = run_experiments([tiny_spec()], lake, place)
    assert done.code == 0, done.err
    return contents_apart_from_ids(done.folder("tiny"))


@pytest.mark.parametrize(
    "name",
    [
        HOSTILE[4],
        pytest.param(HOSTILE[5], marks=pytest.mark.slow),
        pytest.param("it's [1]", marks=pytest.mark.slow),
    ],
)
def test_every_path_may_have_any_name(name: str, plain: dict[str, bytes], tmp_path: Path) -> None:
    """Lake, runs folder, warehouse, scratch and experiment file, by msm and by hand."""
    place = tmp_path / name
    lake = tiny_lake(place / name)
    done = run_experiments([tiny_spec()], lake, place)
    assert done.code == 0, done.err
    assert contents_apart_from_ids(done.folder("tiny")) == plain
    given = place / f"{name}.json"
    made = msm(
        "vars", str(place / "tiny.yaml"), "--lake", str(lake), "--out", str(given), place=place
    )
    assert made.code == 0, made.err
    quoted = "'" + str(given).replace("'", "''") + "'"
    by_hand = tmp_path / f"hand {name}"
    built = dbt(
        "build",
        "--vars",
        f"{{experiments_file: {quoted}}}",
        "--exclude-resource-type",
        "unit_test",
        place=by_hand,
        MSM_LAKE=str(lake),
    )
    assert built.code == 0, built.out
    assert contents_apart_from_ids(built.folder("tiny")) == plain
    assert not list(tmp_path.rglob("PWNED*"))
    assert not Path("PWNED.csv").exists()


# -- types


def test_files_with_other_decimal_scales_keep_their_values(lake: Path) -> None:
    for place, scale in (("a", 2), ("z", 18)):
        coarse = pa.array([Decimal("0.00000000000000125") if scale == 18 else Decimal("7.25")] * 4)
        table = closes(place.upper() * 3).set_column(
            2, "close", coarse.cast(pa.decimal128(38, scale))
        )
        put(table, lake / "fact_price" / f"{place}.parquet")
    with duckdb.connect() as con:
        load(con, open_lake(lake))
        found = con.execute(
            "select distinct asset_id, close from lake.fact_price "
            "where asset_id <> 'BTC' and unusable is null order by all"
        ).fetchall()
    assert found == [("AAA", 7.25), ("ZZZ", 1.25e-15)]


def test_integers_and_floats_of_one_table_meet_as_doubles(lake: Path) -> None:
    put(
        closes("INT").cast(closes("X").schema.set(2, pa.field("close", pa.int64()))),
        lake / "fact_price" / "i.parquet",
    )
    put(
        closes("FLT").cast(closes("X").schema.set(2, pa.field("close", pa.float32()))),
        lake / "fact_price" / "f.parquet",
    )
    assert read(lake) == [("BTC", 4), ("FLT", 4), ("INT", 4)]


@pytest.mark.parametrize("others", [[5.0, 5.0, 5.0], [5.0, 6.0, 7.0]])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "not a number"),
        (float("inf"), "infinite"),
        (float("-inf"), "infinite"),
        (1e15, "out of range"),
        (0.0, "not positive"),
        (-1.0, "not positive"),
        (None, "missing value"),
    ],
)
def test_reasons_are_right_beside_a_constant(
    lake: Path, others: list[float], value: float | None, reason: str
) -> None:
    days = [date(2024, 1, 1) + timedelta(days=k) for k in range(4)]
    table = pa.table(
        {"asset_id": ["BTC"] * 4, "date": days, "close": pa.array([*others, value], pa.float64())}
    )
    put(table, lake / "fact_price" / "btc.parquet")
    with duckdb.connect() as con:
        load(con, open_lake(lake))
        found = con.execute("select unusable from lake.fact_price where unusable is not null")
        assert found.fetchall() == [(reason,)]
    items = {(item.table, item.check): item for item in check_lake(open_lake(lake)).items}
    assert f"1 {reason}" in items["fact_price", "impossible values"].detail


@pytest.mark.parametrize("day", [2**31 - 2, -719_162, 100_000])
def test_dates_outside_of_any_market_are_dropped(lake: Path, day: int) -> None:
    """The largest date32, the year 1 and the year 2243."""
    table = closes("AAA", 1).set_column(1, "date", pa.array([day], pa.int32()).cast(pa.date32()))
    put(table, lake / "fact_price" / "odd.parquet")
    with duckdb.connect() as con:
        load(con, open_lake(lake))
        found = con.execute("select unusable from lake.fact_price where unusable is not null")
        assert found.fetchall() == [("impossible date",)]
    assert "1 impossible date" in " ".join(i.detail for i in check_lake(open_lake(lake)).items)


def test_rows_that_the_footer_does_not_know_are_an_error(lake: Path) -> None:
    """A stand-in for any way in which other files would be read than were listed."""
    opened = open_lake(lake)
    put(closes("BTC", 5), lake / "fact_price" / "btc.parquet")
    with duckdb.connect() as con, pytest.raises(MsmError, match="5 rows read, 4 by the footers"):
        load(con, opened)


def test_a_damaged_file_among_many_is_named(lake: Path) -> None:
    file = lake / "fact_price" / "a.parquet"
    pq.write_table(closes("AAA", 2000), file, compression="zstd")
    content = bytearray(file.read_bytes())
    content[100:4000] = bytes(byte ^ 0x5A for byte in content[100:4000])  # footer left whole
    file.write_bytes(content)
    opened = open_lake(lake)
    with duckdb.connect() as con, pytest.raises(MsmError, match=re.escape(str(file))):
        load(con, opened)
    with pytest.raises(MsmError, match=re.escape(str(file))):
        check_lake(opened)
