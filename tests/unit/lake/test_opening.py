"""The lake contract: what is accepted, and the one message for each mistake."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msm_py.errors import MsmError
from msm_py.lake.contract import TABLES
from msm_py.lake.loading import load
from msm_py.lake.opening import fingerprint, open_lake

DAYS = [date(2024, 1, 1), date(2024, 1, 2)]


def fact(value: str, numbers: list[object], **columns: object) -> pa.Table:
    """Two days of BTC."""
    return pa.table({"asset_id": ["BTC", "BTC"], "date": DAYS, value: numbers, **columns})


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """The smallest lake that keeps the contract."""
    folder = tmp_path / "small lake's [1]*?"  # neither quotes nor globs may matter
    folder.mkdir()
    pq.write_table(fact("close", [1.0, 2.0]), folder / "fact_price.parquet")
    pq.write_table(fact("marketcap", [10, 20]), folder / "fact_marketcap.parquet")
    pq.write_table(fact("volume", [5.0, None]), folder / "fact_volume.parquet")
    return folder


def message(path: Path) -> str:
    with pytest.raises(MsmError) as caught:
        open_lake(path)
    return str(caught.value)


def put(lake: Path, name: str, table: pa.Table) -> None:
    pq.write_table(table, lake / f"{name}.parquet")


def rows(lake: Path, table: str, columns: str) -> list[tuple[object, ...]]:
    """Return what a run reads of a table."""
    with duckdb.connect() as con:
        load(con, open_lake(lake))
        return con.execute(f"select {columns} from lake.{table} order by all").fetchall()


def settle(lake: Path, text: str) -> Path:
    (lake / "lake.yaml").write_text(text, encoding="utf-8")
    return lake


# -- what is accepted


def test_smallest_lake(lake: Path) -> None:
    opened = open_lake(lake)
    assert list(opened.tables) == ["fact_price", "fact_marketcap", "fact_volume"]
    assert opened.tables["fact_price"].n_rows == 2
    assert opened.tables["fact_price"].columns == ("asset_id", "date", "close")
    assert opened.path.is_absolute()
    assert opened.settings.name == lake.name
    assert opened.settings.max_stale_days == 3
    (unit,) = opened.settings.funding_units
    assert (unit.exchange, unit.from_date, unit.until_date) == (None, None, None)
    assert (unit.unit, unit.interval_hours, unit.units_per_one) == ("decimal", 8.0, 1.0)


def test_directory_table_matches_columns_by_name_and_ignores_folder_names(lake: Path) -> None:
    (lake / "fact_price.parquet").unlink()
    for part, table in {
        "exchange=x": pa.table({"asset_id": ["BTC"], "date": DAYS[:1], "close": [1]}),
        "exchange=y": pa.table({"close": [2.5], "date": DAYS[1:], "asset_id": ["BTC"]}),
    }.items():
        (lake / "fact_price" / part).mkdir(parents=True)
        pq.write_table(table, lake / "fact_price" / part / "part-0.parquet")
    price = open_lake(lake).tables["fact_price"]
    assert len(price.files) == price.n_rows == 2
    assert "exchange" not in price.columns
    assert rows(lake, "fact_price", "date, close") == [(DAYS[0], 1.0), (DAYS[1], 2.5)]


def test_timestamps_at_midnight_and_columns_of_nothing_but_none_are_fine(lake: Path) -> None:
    midnight = pa.array(DAYS).cast(pa.timestamp("ns"))
    put(lake, "fact_price", fact("close", [1.0, 2.0]).set_column(1, "date", midnight))
    put(lake, "fact_funding", fact("funding_rate", [0.1, 0.1], exchange=pa.nulls(2)))
    assert rows(lake, "fact_price", "date") == [(DAYS[0],), (DAYS[1],)]
    assert rows(lake, "fact_funding", "exchange") == [(None,), (None,)]


def test_every_table_is_in_the_spec_with_its_grain() -> None:
    assert [name for name, spec in TABLES.items() if spec.required] == [
        "fact_price",
        "fact_volume",
    ]
    for spec in TABLES.values():
        assert set(spec.key) <= {*spec.columns, *spec.optional}


# -- what is refused


def test_no_such_lake(tmp_path: Path) -> None:
    assert "no such lake" in message(tmp_path / "nowhere")


def test_lake_is_a_file(lake: Path) -> None:
    assert "this is a file" in message(lake / "fact_price.parquet")


def test_empty_folder(tmp_path: Path) -> None:
    assert "empty folder" in message(tmp_path)


def test_missing_required_table_suggests_the_misspelt_file(lake: Path) -> None:
    (lake / "fact_volume.parquet").rename(lake / "fact_volumes.parquet")
    text = message(lake)
    assert "lacks the required table fact_volume" in text
    assert "did you mean fact_volumes.parquet?" in text


@pytest.mark.parametrize("entry", ["Fact_Funding.parquet", "FACT_OPEN_INTEREST"])
def test_a_table_in_other_capitals_is_not_passed_over(lake: Path, entry: str) -> None:
    (lake / entry).mkdir()
    text = message(lake)
    assert "other capitals than the contract" in text
    assert f"name it {entry.lower()}" in text


def test_table_that_is_there_twice(lake: Path) -> None:
    (lake / "fact_price").mkdir()
    assert "fact_price is there twice" in message(lake)


def test_folder_named_like_a_file(lake: Path) -> None:
    (lake / "fact_funding.parquet").mkdir()
    assert "fact_funding.parquet is a folder" in message(lake)


def test_required_table_without_rows(lake: Path) -> None:
    put(lake, "fact_volume", fact("volume", [1.0, 2.0]).slice(0, 0))
    assert "fact_volume has no rows" in message(lake)


def test_missing_column_names_those_that_are_there(lake: Path) -> None:
    put(lake, "fact_price", fact("Close", [1.0, 2.0]))
    text = message(lake)
    assert "fact_price lacks the column close" in text
    assert "asset_id, date, Close (did you mean Close?)" in text


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Close", "close"], "Close and close"),
        (["close", "Close"], "close and Close"),
        (["close", "close"], "close and close"),
        (["close", "vwap", "VWAP"], "vwap and VWAP"),  # a column that nobody reads, too
    ],
)
def test_columns_whose_names_differ_in_capitals_only(
    lake: Path, names: list[str], expected: str
) -> None:
    columns = [["BTC", "BTC"], DAYS, *([1.0 + k, 2.0] for k in range(len(names)))]
    put(lake, "fact_price", pa.table(columns, names=["asset_id", "date", *names]))
    text = message(lake)
    assert "two columns of fact_price have one name" in text
    assert expected in text


@pytest.mark.parametrize(
    ("table", "rows", "spelled"),
    [
        ("fact_funding", fact("funding_rate", [0.1, 0.1], Exchange=["X", "Y"]), "exchange"),
        ("fact_funding", fact("funding_rate", [0.1, 0.1], Instrument_ID=["X", "Y"]), "instrument"),
        ("dim_asset", pa.table({"asset_id": ["BTC"], "Is_Stable": ["yes"]}), "is_stable"),
        ("dim_asset", pa.table({"asset_id": ["BTC"], "IS_STABLE": [True]}), "is_stable"),
    ],
)
def test_optional_columns_are_spelled_as_the_contract_does(
    lake: Path, table: str, rows: pa.Table, spelled: str
) -> None:
    put(lake, table, rows)
    text = message(lake)
    assert "other capitals" in text
    assert f"name it {spelled}" in text


def test_missing_column_in_one_file_of_many(lake: Path) -> None:
    (lake / "fact_funding").mkdir()
    pq.write_table(fact("funding_rate", [0.1, 0.1]), lake / "fact_funding" / "a.parquet")
    pq.write_table(fact("rate", [0.1, 0.1]), lake / "fact_funding" / "b.parquet")
    assert "b.parquet" in message(lake)


def test_column_in_the_name_of_a_folder(lake: Path) -> None:
    (lake / "fact_funding" / "date=2024-01-01").mkdir(parents=True)
    table = fact("funding_rate", [0.1, 0.1]).drop_columns("date")
    pq.write_table(table, lake / "fact_funding" / "date=2024-01-01" / "a.parquet")
    assert "a value in the name of a folder is not read" in message(lake)


@pytest.mark.parametrize(
    ("name", "table", "expected"),
    [
        ("fact_price", fact("close", ["1,5", "2"]), r"close of .*VARCHAR, for example '1,5'"),
        ("fact_price", fact("close", [True, False]), r"close of .*BOOLEAN"),
        (
            "fact_price",
            fact("close", [1.0, 2.0]).set_column(1, "date", [["2024-01-01", "2024-01-02"]]),
            r"date of .*VARCHAR, for example '2024-01-01'",
        ),
        (
            "fact_price",
            fact("close", [1.0, 2.0]).set_column(
                1, "date", pa.array([0, 1], pa.timestamp("us", tz="UTC"))
            ),
            r"date of .*TIME ZONE",
        ),
        (
            "fact_price",
            fact("close", [1.0, 2.0]).set_column(0, "asset_id", [[1, 2]]),
            r"asset_id of .*BIGINT, for example '1'",
        ),
        ("dim_asset", pa.table({"asset_id": ["BTC"], "is_stable": ["no"]}), r"is_stable of .*no"),
        (
            "fact_funding",
            fact("funding_rate", [0.1, 0.1], exchange=[1, 2]),
            r"exchange of .*BIGINT",
        ),
    ],
)
def test_wrong_type(lake: Path, name: str, table: pa.Table, expected: str) -> None:
    put(lake, name, table)
    text = message(lake)
    assert "has the wrong type" in text
    assert re.search(expected, text, re.DOTALL)


def test_times_of_day_are_refused(lake: Path) -> None:
    noon = pa.array([0, 43_200_000_000], pa.timestamp("us"))
    put(lake, "fact_price", fact("close", [1.0, 2.0]).set_column(1, "date", noon))
    text = message(lake)
    assert "has times of day" in text
    assert "1970-01-01 12:00:00" in text


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_truncated_file_is_named(lake: Path, keep: int) -> None:
    file = lake / "fact_marketcap.parquet"
    file.write_bytes(file.read_bytes()[:keep])
    text = message(lake)
    assert "cannot be read" in text
    assert str(file) in text


def test_damage_inside_a_file_is_named(lake: Path) -> None:
    file = lake / "fact_price.parquet"
    put(lake, "fact_price", fact("close", [1.0, 2.0]).set_column(0, "asset_id", [["A", "BTC"]]))
    content = bytearray(file.read_bytes())
    content[4:60] = b"\xff" * 56
    file.write_bytes(content)
    assert str(file) in message(lake)


def test_no_btc_suggests_what_looks_like_it(lake: Path) -> None:
    table = fact("close", [1.0, 2.0]).set_column(0, "asset_id", [["AAVE", "WBTC"]])
    put(lake, "fact_price", table)
    text = message(lake)
    assert "no usable price of BTC" in text
    assert "WBTC, AAVE" in text


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), 1e15, 1e308])
def test_btc_with_impossible_prices_only(lake: Path, value: float) -> None:
    put(lake, "fact_price", fact("close", [value, float("nan")]))
    assert "no usable price of BTC" in message(lake)


def test_funding_needs_one_of_its_numbers(lake: Path) -> None:
    put(lake, "fact_funding", fact("funding_rate_1d_sum", [0.1, 0.2]))
    assert rows(lake, "fact_funding", "funding_rate, funding_rate_1d_sum, unusable") == [
        (None, 0.1, None),
        (None, 0.2, None),
    ]
    put(lake, "fact_funding", fact("funding_rates", [0.1, 0.2]))
    text = message(lake)
    assert "fact_funding lacks a column with its number" in text
    assert "did you mean funding_rates?" in text
    assert "needs funding_rate_1d_sum or funding_rate" in text


@pytest.mark.parametrize("hours", [0.0, -8.0, 24.5, float("nan"), float("inf")])
def test_rows_of_impossible_intervals_are_dropped(lake: Path, hours: float) -> None:
    put(lake, "fact_funding", fact("funding_rate", [0.1, 0.2], interval_hours=[hours, 24.0]))
    found = rows(lake, "fact_funding", "date, unusable")
    assert found == [(DAYS[0], "impossible interval"), (DAYS[1], None)]


def test_a_row_has_the_number_that_it_has(lake: Path) -> None:
    """A sum that is not a number is no rate, whatever stands beside it."""
    nan = float("nan")
    sums = pa.array([nan, None], pa.float64(), from_pandas=False)
    put(lake, "fact_funding", fact("funding_rate", [0.1, 0.2], funding_rate_1d_sum=sums))
    found = rows(lake, "fact_funding", "date, unusable")
    assert found == [(DAYS[0], "not a number"), (DAYS[1], None)]


def test_supplies_may_stand_in_for_market_caps(lake: Path) -> None:
    (lake / "fact_marketcap.parquet").unlink()
    assert list(open_lake(lake).tables) == ["fact_price", "fact_volume"]
    put(lake, "fact_supply", fact("circulating_supply", [2e15, 1e21]))
    assert list(open_lake(lake).tables) == ["fact_price", "fact_volume", "fact_supply"]
    found = rows(lake, "fact_supply", "date, unusable")
    assert found == [(DAYS[0], None), (DAYS[1], "out of range")]


# -- lake.yaml


def test_units_are_flattened_and_sources_inherit(lake: Path) -> None:
    settle(
        lake,
        """
name: mine
max_stale_days: 5
funding:
  interval_hours: 8
  units:
    - {from: 2024-01-02, unit: percent}
    - {until: 2024-01-01, unit: decimal}
  sources:
    - {exchange: Hyper, interval_hours: 1}
    - {exchange: Bps, units: [{unit: bps}]}
""",
    )
    settings = open_lake(lake).settings
    assert (settings.name, settings.max_stale_days) == ("mine", 5)
    assert [
        (u.exchange, u.from_date, u.until_date, u.unit, u.interval_hours, u.units_per_one)
        for u in settings.funding_units
    ] == [
        (None, None, DAYS[0], "decimal", 8.0, 1.0),
        (None, DAYS[1], None, "percent", 8.0, 100.0),
        ("Bps", None, None, "bps", 8.0, 10_000.0),
        ("Hyper", None, DAYS[0], "decimal", 1.0, 1.0),
        ("Hyper", DAYS[1], None, "percent", 1.0, 100.0),
    ]


def test_lake_yaml_of_comments_only_means_the_defaults(lake: Path) -> None:
    assert open_lake(settle(lake, "# nothing yet\n")).settings.max_stale_days == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("funding: [", "YAML is broken.*line 2"),
        ("- name: x", "must be a map of keys.*a list"),
        ("max_stale_day: 3", r"unknown key.*did you mean max_stale_days\?"),
        ("funding: {unit: percent}", r"unknown key.*funding.unit.*did you mean units\?"),
        (
            "funding: {units: [{unit: bps, form: 2024-01-01}]}",
            r"funding.units\[0\].form.*did you mean from\?",
        ),
        (
            "funding: {sources: [{exchang: X}]}",
            r"unknown key.*funding.sources\[0\].exchang\n.*did you mean exchange\?",
        ),
        (
            "funding: {sources: [{interval_hours: 1}]}",
            r"key that is missing.*funding.sources\[0\].exchange",
        ),
        ("max_stale_days: 2.5", "max_stale_days.*2.5.*integer"),
        ("max_stale_days: -1", "max_stale_days.*-1"),
        ("funding: {interval_hours: 0}", "interval_hours.*greater than 0"),
        ("funding: {interval_hours: '8'}", "interval_hours.*'8'"),
        ("funding: {units: [{unit: pct}]}", "'pct'.*'decimal', 'percent' or 'bps'"),
        ("funding: {units: []}", "funding.units.*at least 1"),
        ("funding: {units: [{unit: bps, until: soon}]}", r"units\[0\].until.*soon"),
        ("funding: {units: [{unit: bps, from: 2024-01-01}]}", "gap.*no unit before 2024-01-01"),
        ("funding: {units: [{unit: bps, until: 2024-01-01}]}", "gap.*no unit after 2024-01-01"),
        (
            "funding: {units: [{unit: bps, from: 2024-01-02, until: 2024-01-01}]}",
            "ends before it starts",
        ),
        (
            "funding: {units: [{unit: bps, until: 2024-01-02}, {unit: bps, from: 2024-01-02}]}",
            "overlap.*from: 2024-01-03",
        ),
        (
            "funding: {units: [{unit: bps, until: 2024-01-02}, {unit: bps, from: 2024-01-05}]}",
            "gap.*no unit from 2024-01-03 to 2024-01-04",
        ),
        ("funding: {units: [{unit: bps}, {unit: decimal}]}", "overlap"),
        (
            "funding: {sources: [{exchange: A}, {exchange: A}]}",
            "named twice.*funding.sources.*A",
        ),
        (
            "funding: {sources: [{exchange: A, units: [{unit: bps, from: 2024-01-01}]}]}",
            r"gap.*funding.sources \(A\)",
        ),
        ("max_stale_days: 366", "max_stale_days.*366.*less than or equal to 365"),
        ("max_stale_days: 1000000", "max_stale_days.*1000000.*365"),
        (
            "funding: {units: [{unit: bps}]}\nfunding: {units: [{unit: decimal}]}",
            "a key is given twice.*line 2, column 1.*funding",
        ),
        (
            "funding: {units: [{unit: bps, until: 2024-02-30}]}",
            r"until is not a date.*units\[0\].until.*2024-02-30.*YYYY-MM-DD",
        ),
        ("funding: {units: [{unit: bps, until: 0}]}", r"until is not a date.*units\[0\].until.*0"),
        ("funding: {units: [{unit: bps, from: 2024-1-5}]}", "from is not a date.*2024-1-5"),
        ("funding: {units: [{unit: bps, from: 2024-01-05 12:00:00}]}", "from is not a date"),
        ("max_stale_days: 020", "readers disagree.*column 17.*020.*write 20 .16 if octal"),
        ("max_stale_days: 0o20", "readers disagree.*0o20.*write 16"),
        ("funding: {interval_hours: 1:30}", "readers disagree.*1:30.*write 90"),
        ("name: a\n---\nname: b", "several YAML documents.*line 2"),
        ("name: " + "[" * 100_000, "nested too deeply.*more than 50 levels"),
        ("name: '" + "x" * 5_000_000 + "'", "file is too large.*5,000,000 bytes"),
        ("name: !!python/object/apply:os.getcwd []", "a value has a tag.*!!python/object"),
    ],
    ids=lambda text: text[:60],
)
def test_wrong_lake_yaml(lake: Path, text: str, expected: str) -> None:
    received = message(settle(lake, text))
    assert "lake.yaml" in received
    assert re.search(expected, received, re.DOTALL)


def test_lake_yaml_of_another_encoding(lake: Path) -> None:
    file = lake / "lake.yaml"
    file.write_bytes("name: mine\n".encode("utf-8-sig"))
    assert open_lake(lake).settings.name == "mine"
    for content in ("name: é".encode("latin-1"), "name: x".encode("utf-16")):
        file.write_bytes(content)
        assert "not UTF-8 text" in message(lake)


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "dangling link"])
def test_lake_yaml_that_is_no_file(lake: Path, kind: str) -> None:
    file = lake / "lake.yaml"
    file.unlink(missing_ok=True)
    make: dict[str, Callable[[], Any]] = {
        "folder": file.mkdir,
        "pipe": lambda: os.mkfifo(file),
        "device": lambda: file.symlink_to("/dev/zero"),
        "dangling link": lambda: file.symlink_to(lake / "nothing"),
    }
    make[kind]()
    assert "lake.yaml is not a file" in message(lake)


@pytest.mark.parametrize("name", ["lake.yml", "Lake.yaml"])
def test_settings_under_another_name_are_not_passed_over(lake: Path, name: str) -> None:
    (lake / "lake.yaml").unlink(missing_ok=True)
    (lake / name).write_text("max_stale_days: 5\n")
    assert re.search(f"must be called lake.yaml.*{name}", message(lake), re.DOTALL)


# -- the fingerprint


def test_fingerprint_is_of_content_not_of_place(lake: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(lake, tmp_path / "elsewhere"))
    (copy / "README.md").write_text("not a table")
    for file in copy.iterdir():
        os.utime(file, (0, 0))
    assert fingerprint(open_lake(copy)) == fingerprint(open_lake(lake))


def test_fingerprint_sees_every_change(lake: Path) -> None:
    seen = {fingerprint(open_lake(lake))}
    put(lake, "fact_price", fact("close", [1.0, 2.5]))
    seen.add(fingerprint(open_lake(lake)))
    settle(lake, "max_stale_days: 4")
    seen.add(fingerprint(open_lake(lake)))
    put(lake, "fact_funding", fact("funding_rate", [0.1, 0.1]))
    seen.add(fingerprint(open_lake(lake)))
    (lake / "fact_price").mkdir()
    (lake / "fact_price.parquet").rename(lake / "fact_price" / "fact_price.parquet")
    seen.add(fingerprint(open_lake(lake)))
    assert len(seen) == 5


def test_real_lake(real_lake: Path) -> None:
    opened = open_lake(real_lake)
    assert list(opened.tables) == [
        name for name in TABLES if name not in ("fact_supply", "dim_listing")
    ]
    assert opened.tables["fact_price"].n_rows == 500_948
    assert [unit.unit for unit in opened.settings.funding_units] == ["decimal", "percent"]
    assert opened.settings.funding_units[1].from_date == date(2026, 1, 13)
    assert len(fingerprint(opened)) == 64
