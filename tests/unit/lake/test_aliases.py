"""Aliases: one asset under one id, by day, in every table."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msm_py.errors import MsmError
from msm_py.lake.aliases import Alias
from msm_py.lake.check import check_lake
from msm_py.lake.loading import load
from msm_py.lake.opening import open_lake

FIRST, SECOND, THIRD = (date(2024, 1, day) for day in (1, 2, 3))


def put(lake: Path, name: str, rows: list[dict[str, object]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), lake / f"{name}.parquet")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """BTC, a coin in thousands, and one that was called OLD on the first two days."""
    for name, value, kilo in (
        ("fact_price", "close", 2000.0),
        ("fact_marketcap", "marketcap", 50.0),
        ("fact_volume", "volume", 7.0),
    ):
        put(
            tmp_path,
            name,
            [
                {"asset_id": "BTC", "date": FIRST, value: 10.0},
                {"asset_id": "1000KILO", "date": FIRST, value: kilo},
                *({"asset_id": "OLD", "date": day, value: 3.0} for day in (FIRST, SECOND, THIRD)),
                {"asset_id": "NEW", "date": THIRD, value: 4.0},
            ],
        )
    (tmp_path / "lake.yaml").write_text(
        "aliases:\n"
        "  - {id: 1000KILO, asset_id: KILO, multiple: 1000}\n"
        "  - {id: OLD, asset_id: NEW, until: 2024-01-02}\n"
    )
    return tmp_path


def rows(lake: Path, table: str, columns: str) -> list[tuple[object, ...]]:
    """Return what a run reads of a table."""
    with duckdb.connect() as con:
        load(con, open_lake(lake))
        return con.execute(f"select {columns} from lake.{table} order by all").fetchall()


def test_prices_are_of_one_coin_and_a_rename_is_one_asset(lake: Path) -> None:
    assert rows(lake, "fact_price", "asset_id, date, close") == [
        ("BTC", FIRST, 10.0),
        ("KILO", FIRST, 2.0),
        ("NEW", FIRST, 3.0),
        ("NEW", SECOND, 3.0),
        ("NEW", THIRD, 4.0),
        ("OLD", THIRD, 3.0),  # an asset of its own again
    ]


def test_amounts_in_usd_are_what_they_are_and_supplies_count_coins(lake: Path) -> None:
    put(lake, "fact_supply", [{"asset_id": "1000KILO", "date": FIRST, "circulating_supply": 7.0}])
    kilo = "case when asset_id = 'KILO' then {} end"
    for table, value, expected in (
        ("fact_marketcap", "marketcap", 50.0),
        ("fact_volume", "volume", 7.0),
        ("fact_supply", "circulating_supply", 7000.0),
    ):
        assert rows(lake, table, f"max({kilo.format(value)})") == [(expected,)]


def test_another_contract_is_another_instrument(lake: Path) -> None:
    """Rates and open interest keep their values; only rows without an instrument get one."""
    put(
        lake,
        "fact_funding",
        [
            {"asset_id": "KILO", "date": FIRST, "funding_rate": 0.1, "instrument_id": None},
            {"asset_id": "1000KILO", "date": FIRST, "funding_rate": 0.2, "instrument_id": None},
            {"asset_id": "1000KILO", "date": FIRST, "funding_rate": 0.3, "instrument_id": "P"},
        ],
    )
    assert rows(lake, "fact_funding", "asset_id, instrument_id, funding_rate") == [
        ("KILO", "1000KILO", 0.2),
        ("KILO", "P", 0.3),
        ("KILO", None, 0.1),
    ]


def test_an_assets_own_flags_win_over_those_of_its_aliases(lake: Path) -> None:
    put(
        lake,
        "dim_asset",
        [
            {"asset_id": "1000KILO", "is_stable": True, "is_wrapped": False},
            {"asset_id": "OLD", "is_stable": True, "is_wrapped": False},
            {"asset_id": "NEW", "is_stable": False, "is_wrapped": True},
        ],
    )
    assert rows(lake, "dim_asset", "asset_id, is_stable, is_wrapped") == [
        ("KILO", True, False),
        ("NEW", False, True),
        ("OLD", True, False),  # which it is from the third day on
    ]


def test_an_id_may_change_its_own_unit(lake: Path) -> None:
    """A redenomination: one new coin for four old ones from the third day on."""
    (lake / "lake.yaml").write_text(
        "aliases: [{id: OLD, asset_id: OLD, multiple: 0.25, until: 2024-01-02}]"
    )
    found = rows(lake, "fact_price", "asset_id, date, close")
    assert [row[2] for row in found if row[0] == "OLD"] == [12.0, 12.0, 3.0]


def test_btc_may_be_an_alias(lake: Path) -> None:
    put(lake, "fact_price", [{"asset_id": "XBT", "date": FIRST, "close": 10.0}])
    with pytest.raises(MsmError, match="no usable price of BTC"):
        open_lake(lake)
    (lake / "lake.yaml").write_text("aliases: [{id: XBT, asset_id: BTC}]")
    assert rows(lake, "fact_price", "asset_id, close") == [("BTC", 10.0)]


def test_ids_that_swap_their_meaning_are_no_chain(lake: Path) -> None:
    """What is LUNA was LUNA2, and what was LUNA is LUNC."""
    (lake / "lake.yaml").write_text(
        "aliases:\n"
        "  - {id: LUNA, asset_id: LUNC, until: 2024-01-02}\n"
        "  - {id: LUNA2, asset_id: LUNA, from: 2024-01-03}\n"
    )
    assert open_lake(lake).settings.aliases == (
        Alias("LUNA", "LUNC", until_date=SECOND),
        Alias("LUNA2", "LUNA", from_date=THIRD),
    )


def test_two_prices_of_one_asset_are_duplicates_that_disagree(lake: Path) -> None:
    text = (lake / "lake.yaml").read_text()
    (lake / "lake.yaml").write_text(text.replace(", until: 2024-01-02", ""))
    items = {(x.table, x.check): x for x in check_lake(open_lake(lake)).items}
    item = items["fact_price", "duplicates"]
    assert item.verdict == "fail"
    assert item.detail == "1 keys with values that disagree, such as NEW, 2024-01-03"
    assert item.remedy is not None
    assert item.remedy.endswith("or date the alias that brings them together")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("{id: A, asset_id: B}, {id: A, asset_id: C}", "aliases of one id overlap.*A is B; A is C"),
        (
            "{id: A, asset_id: B, until: 2024-01-02}, {id: A, asset_id: C, from: 2024-01-02}",
            "overlap.*A is B until 2024-01-02; A is C from 2024-01-02.*from: 2024-01-03",
        ),
        (
            "{id: A, asset_id: B}, {id: B, asset_id: C}",
            "an alias of an alias.*A is B; B is C.*asset_id: C for the id A",
        ),
        (
            "{id: A, asset_id: B, until: 2024-01-02}, {id: B, asset_id: A, from: 2024-01-02}",
            "an alias of an alias",
        ),
        (
            "{id: A, asset_id: B, from: 2024-01-02, until: 2024-01-01}",
            "ends before it starts.*A is B from 2024-01-02 until 2024-01-01",
        ),
        ("{id: A, asset_id: A}", "changes nothing.*A is A"),
        ("{id: A, asset_id: B, multiple: 0}", r"aliases\[0\].multiple.*greater than"),
        ("{id: A, asset_id: B, multiple: .inf}", r"aliases\[0\].multiple.*less than"),
        ("{id: A, asset_id: B, times: 10}", r"unknown key.*aliases\[0\].times"),
        ("{id: A}", r"key that is missing.*aliases\[0\].asset_id"),
        ("{id: 42, asset_id: B}", r"aliases\[0\].id.*42.*string"),
    ],
)
def test_wrong_aliases(lake: Path, entries: str, expected: str) -> None:
    (lake / "lake.yaml").write_text(f"aliases: [{entries}]")
    with pytest.raises(MsmError) as caught:
        open_lake(lake)
    assert re.search(expected, str(caught.value), re.DOTALL), str(caught.value)
