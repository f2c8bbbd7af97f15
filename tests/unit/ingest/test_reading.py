"""Invented files of every format: what they say, day by day, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import yaml

from msm_py.errors import MsmError
from msm_py.ingest import daily, reading
from msm_py.ingest.spec import built_in, read_spec
from msm_py.pull.datasets import DATASETS

DAY = 86_400
JAN_1 = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
NOW = datetime(2024, 2, 1, tzinfo=UTC)
OWN = {"from": "column", "column": "coin", "scheme": "own"}
BARS = {"column": "day", "zone": "UTC", "means": "bar_start", "span_hours": 24}
PRICES = {"fact_price": {"close": "price"}}


def made(
    place: Path,
    files: Mapping[str, bytes | str],
    now: datetime = NOW,
    ids: str = "",
    **source: Any,
) -> duckdb.DuckDBPyConnection:
    """Return a connection with the daily rows that files of one source make."""
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content.encode() if isinstance(content, str) else content)
    spec: dict[str, Any] = {"sources": [{"id": "one", "files": [*files], **source}]}
    if ids:
        (place / "ids.csv").write_text(f"scheme,vendor_id,from,to,asset_id,multiple\n{ids}")
        spec["ids"] = "ids.csv"
    (place / "spec.yaml").write_text(yaml.safe_dump(spec))
    read = read_spec(place / "spec.yaml")
    con = duckdb.connect()
    reading.create_incoming(con)
    (only,) = read.sources.values()
    named = [(path, reading.digest_of(path)) for path in only.files()]
    list(reading.read_files(con, only, named, now))
    con.execute(
        "create table known as select distinct on (source, measure, vendor_id, exchange, "
        f"instrument_id, stamp) * from incoming where {daily.days_of(only)}"
    )
    notes = [*daily.unfinished_bars(con), *daily.daily_rows(con, read, "known")]
    con.execute("create table notes (table_name varchar, reason varchar, n bigint)")
    for note in notes:
        con.execute("insert into notes values (?, ?, ?)", [note.table, note.reason, note.n])
    return con


def rows(con: duckdb.DuckDBPyConnection, table: str, value: str) -> list[tuple[Any, ...]]:
    query = f"select asset_id, strftime(date, '%m-%d'), {value} from incoming_fact_{table}"
    return con.execute(f"{query} order by all").fetchall()


def zipped(**members: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.csv", text)
    return content.getvalue()


TWO_DAYS = [("BTC", "01-01", 10.0), ("BTC", "01-02", 11.0)]
LONG = "coin,day,price\nBTC,2024-01-01,10\nBTC,2024-01-02,11\n"
FRAME = pd.DataFrame(
    {"coin": "BTC", "day": pd.to_datetime(["2024-01-01", "2024-01-02"]), "price": [10.0, 11.0]}
)


def parquet(frame: pd.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.to_parquet(content, index=False)
    return content.getvalue()


def feather(frame: pd.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.to_feather(content)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("a.csv", LONG, {}),
        ("a.csv", "﻿" + LONG.replace("\n", "\r\n"), {}),
        ("a.csv", "by some vendor\n" + LONG.replace(",", ";"), {"skip": 1, "delimiter": ";"}),
        ("a.csv", LONG.split("\n", 1)[1], {"columns": ["coin", "day", "price"]}),
        ("a.csv", LONG, {"columns": ["coin", "day", "price"]}),
        ("a.csv.gz", gzip.compress(LONG.encode(), mtime=0), {}),
        ("a.zip", zipped(x=LONG), {}),
        ("a.zip", zipped(x=LONG[:33], y=LONG[:15] + LONG[33:]), {}),
        ("a.txt", LONG, {}),
        ("a.json", json.dumps(FRAME.astype({"day": str}).to_dict("records")), {}),
        ("a.json", json.dumps({"data": {"rows": [["BTC", JAN_1, "10"], ["BTC", JAN_1 + DAY, 11]]}}),
         {"records": "data.rows", "arrays": "rows", "columns": ["coin", "day", "price"]}),
        ("a.parquet", parquet(FRAME), {}),
        ("a.parquet", parquet(FRAME.assign(day=FRAME["day"].dt.date)), {}),
        ("a.feather", feather(FRAME), {}),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 12 else "",
)  # fmt: skip
def test_formats(tmp_path: Path, name: str, content: bytes | str, read: dict[str, Any]) -> None:
    con = made(tmp_path, {name: content}, read=read, time=BARS, asset=OWN, tables=PRICES)
    assert rows(con, "price", "close") == TWO_DAYS


@pytest.mark.parametrize(
    ("stamps", "time"),
    [
        ([JAN_1, JAN_1 + DAY], {}),
        ([JAN_1, (JAN_1 + DAY) * 1_000], {}),
        ([f"{JAN_1}.0", (JAN_1 + DAY) * 1_000_000], {}),
        ([JAN_1 * 10**9, (JAN_1 + DAY) * 10**6], {}),
        ([JAN_1, JAN_1 + DAY], {"unit": "s"}),
        (["20240101", "2024-01-02"], {}),
        (["2024-01-01 03:00", "2024-01-02T03:00:00"], {"zone": "+03:00"}),
        (["2024-01-01 01:00", "2024-01-02 01:00"], {"zone": "Europe/Berlin"}),
        (["2024-01-01T00:00:00.000Z", "2024-01-02 00:00:00 UTC"], {"zone": None}),
        (["2024-01-01 02:00:00+02:00", "2024-01-02 00:00:00-00:00"], {"zone": "+03:00"}),
    ],
)
def test_stamps(tmp_path: Path, stamps: list[Any], time: dict[str, Any]) -> None:
    text = "coin,day,price\n" + "".join(
        f"BTC,{stamp},{price}\n" for stamp, price in zip(stamps, (10, 11), strict=True)
    )
    con = made(tmp_path, {"a.csv": text}, time={**BARS, **time}, asset=OWN, tables=PRICES)
    assert rows(con, "price", "close") == TWO_DAYS


def test_a_time_of_summer_is_an_hour_off(tmp_path: Path) -> None:
    text = "coin,day,price\nBTC,2024-07-01 02:00,10\nBTC,2024-07-02 02:00,11\n"
    con = made(
        tmp_path,
        {"a.csv": text},
        datetime(2024, 8, 1, tzinfo=UTC),
        time={**BARS, "zone": "Europe/Berlin"},
        asset=OWN,
        tables=PRICES,
    )
    assert rows(con, "price", "close") == [("BTC", "07-01", 10.0), ("BTC", "07-02", 11.0)]


@pytest.mark.parametrize(
    ("asset", "name"),
    [
        ({"from": "filename", "pattern": "^([A-Z]+)-usd"}, "x/BTC-usd.csv"),
        ({"from": "folder"}, "x/BTC/a.csv"),
        ({"from": "folder", "pattern": "of-(.*)"}, "x/of-BTC/a.csv"),
        ({"from": "constant", "value": "BTC"}, "a.csv"),
    ],
)
def test_an_asset_of_files(tmp_path: Path, asset: dict[str, Any], name: str) -> None:
    con = made(tmp_path, {name: LONG}, time=BARS, asset={**asset, "scheme": "own"}, tables=PRICES)
    assert rows(con, "price", "close") == TWO_DAYS


def test_an_asset_of_the_answer(tmp_path: Path) -> None:
    answer = {"result": {"symbol": "BTC", "list": [{"day": "2024-01-01", "price": "10"}]}}
    con = made(
        tmp_path,
        {"a.json": json.dumps(answer)},
        read={"records": "result.list"},
        time=BARS,
        asset={"from": "answer", "path": "result.symbol", "scheme": "own"},
        tables=PRICES,
    )
    assert rows(con, "price", "close") == TWO_DAYS[:1]


def test_a_wide_file_has_a_column_per_asset(tmp_path: Path) -> None:
    text = "date,BTC,ETH\n2024-01-01,10,1\n2024-01-02,11,\n"
    con = made(tmp_path, {"a.csv": text}, mapping="plain.wide")
    assert rows(con, "price", "close") == [*TWO_DAYS, ("ETH", "01-01", 1.0)]
    con = made(
        tmp_path,
        {"a.csv": text},
        mapping="plain.wide",
        tables={"fact_volume": {"volume": "value", "unit": "usd"}},
    )
    assert rows(con, "volume", "volume")[0] == ("BTC", "01-01", 10.0)


def test_hours_make_days_by_last_close_and_summed_volume(tmp_path: Path) -> None:
    """24 hours are a day; base volume is worth the close of its own hour; 23 hours are none."""
    text = "stamp,close,base\n" + "".join(
        f"{JAN_1 + 3600 * hour},{hour + 1},2\n" for hour in range(24 + 23)
    )
    con = made(
        tmp_path,
        {"BTC-1h.csv": text},
        time={"column": "stamp", "means": "bar_start", "span_hours": "auto"},
        asset={"from": "filename", "pattern": "^(BTC)", "scheme": "own"},
        tables={
            "fact_price": {"close": "close"},
            "fact_volume": {"volume": "base", "unit": "base"},
        },
    )
    assert rows(con, "price", "close") == [("BTC", "01-01", 24.0)]
    assert rows(con, "volume", "volume") == [("BTC", "01-01", 2.0 * sum(range(1, 25)))]
    assert con.execute("select table_name, n from notes order by all").fetchall() == [
        ("fact_price", 1),
        ("fact_volume", 1),
        ("fact_volume", 2),
    ]


def test_the_length_of_bars_is_their_spacing_where_no_name_has_it(tmp_path: Path) -> None:
    text = "stamp,close\n" + "".join(f"{JAN_1 + 14_400 * k},{k}\n" for k in range(1, 7))
    how: dict[str, Any] = {
        "time": {"column": "stamp", "means": "bar_end", "span_hours": "auto"},
        "asset": {"from": "constant", "value": "BTC", "scheme": "own"},
        "tables": {"fact_price": {"close": "close"}},
    }
    con = made(tmp_path, {"a.csv": text}, **how)
    assert rows(con, "price", "close") == [("BTC", "01-01", 6.0)], "24:00 closes the day"
    with pytest.raises(MsmError, match="the length of a file's bars is not known"):
        made(tmp_path, {"a.csv": f"stamp,close\n{JAN_1},1\n"}, **how)


def test_a_bar_that_is_not_over_is_left_out(tmp_path: Path) -> None:
    noon = datetime(2024, 1, 2, 12, tzinfo=UTC)
    con = made(tmp_path, {"a.csv": LONG}, noon, time=BARS, asset=OWN, tables=PRICES)
    assert rows(con, "price", "close") == TWO_DAYS[:1]
    assert con.execute("select reason, n from notes").fetchall() == [
        ("a bar that was not over when its file was read", 1)
    ]
    newest = {**BARS, "newest": "running"}
    con = made(tmp_path, {"a.csv": LONG}, time=newest, asset=OWN, tables=PRICES)
    assert rows(con, "price", "close") == TWO_DAYS[:1]


def test_only_the_rows_and_days_that_are_meant(tmp_path: Path) -> None:
    text = LONG.replace("\n", ",1\n").replace("price,1", "price,done") + "BTC,2024-01-02,99,0\n"
    how: dict[str, Any] = {"time": BARS, "asset": OWN, "tables": PRICES, "rows": {"done": [1]}}
    con = made(tmp_path, {"a.csv": text}, **how)
    assert rows(con, "price", "close") == TWO_DAYS
    how["from"] = "2024-01-02"
    con = made(tmp_path, {"a.csv": text}, **how)
    assert rows(con, "price", "close") == TWO_DAYS[1:]
    del how["from"]
    con = made(tmp_path, {"a.csv": text}, **how, to="2024-01-01")
    assert rows(con, "price", "close") == TWO_DAYS[:1]


@pytest.mark.parametrize(("unit", "rate"), [("decimal", 1e-4), ("percent", 0.01), ("bps", 1)])
def test_rates_are_decimal_sums_of_days(tmp_path: Path, unit: str, rate: float) -> None:
    """Prints at 08:00, 16:00 and 24:00; 4 hours each from then on."""
    hours = [0, 8, 16, 24, *range(28, 49, 4)]
    stamps = [JAN_1 + 3600 * hour for hour in hours]
    text = "stamp,rate\n" + "".join(f"{stamp + 1},{rate}\n" for stamp in stamps)
    con = made(
        tmp_path,
        {"BTC.csv": text},
        time={"column": "stamp", "means": "instant"},
        asset={"from": "filename", "pattern": "(BTC)", "scheme": "own"},
        tables={"fact_funding": {"funding_rate": "rate", "unit": unit}},
    )
    found = rows(con, "funding", "funding_rate_1d_sum")
    assert [row[:2] for row in found] == [("BTC", "01-01"), ("BTC", "01-02")]
    assert [row[2] for row in found] == pytest.approx([3e-4, 6e-4], rel=1e-12)
    assert con.execute("select n from notes").fetchall() == [(1,)], "one print of 12-31"


def test_texts_that_say_there_is_no_value(tmp_path: Path) -> None:
    text = "coin,day,price,cap\nBTC,2024-01-01,10,0.0\nBTC,2024-01-02,n/a,5\n"
    con = made(
        tmp_path,
        {"a.csv": text},
        time=BARS,
        asset=OWN,
        missing=["n/a"],
        tables={
            "fact_price": {"close": "price"},
            "fact_marketcap": {"marketcap": "cap", "missing": [0]},
        },
    )
    assert rows(con, "price", "close") == TWO_DAYS[:1]
    assert rows(con, "marketcap", "marketcap") == [("BTC", "01-02", 5.0)]


def test_columns_of_venue_and_instrument(tmp_path: Path) -> None:
    text = "coin,day,venue,what,oi\nBTC,2024-01-01,A,BTC-P,1\nBTC,2024-01-01,B,BTC-P,2\n"
    con = made(
        tmp_path,
        {"a.csv": text},
        time=BARS,
        asset=OWN,
        exchange="=venue",
        instrument="=what",
        tables={"fact_open_interest": {"open_interest": "oi", "unit": "usd"}},
    )
    assert rows(con, "open_interest", "exchange || instrument_id || open_interest_usd") == [
        ("BTC", "01-01", "ABTC-P1.0"),
        ("BTC", "01-01", "BBTC-P2.0"),
    ]


def test_open_interest_in_coins_is_worth_the_close(tmp_path: Path) -> None:
    text = "coin,day,price,oi\n1000BTC,2024-01-01,10000,3\n"
    con = made(
        tmp_path,
        {"a.csv": text},
        ids="own,1000BTC,,,BTC,1000\n",
        time=BARS,
        asset=OWN,
        tables={**PRICES, "fact_open_interest": {"open_interest": "oi", "unit": "base"}},
    )
    assert rows(con, "price", "close") == [("BTC", "01-01", 10.0)]
    assert rows(con, "open_interest", "open_interest_usd") == [("BTC", "01-01", 30_000.0)]


SPOT: dict[str, Any] = {"time": BARS, "asset": OWN, "tables": PRICES}
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "one symbol of two coins": (
        LONG + "BTC,2024-01-02,0.5\n",
        {},
        "two rows of a file contradict each other",
    ),
    "no zone": (LONG, {"time": {**BARS, "zone": None}}, "a stamp cannot be read"),
    "a zone that is none": (LONG, {"time": {**BARS, "zone": "Moon"}}, "there is no such zone"),
    "a pattern without a group": (
        LONG,
        {"asset": {"from": "filename", "pattern": "BTC", "scheme": "own"}},
        "a regular expression with one group",
    ),
    "half an asset": (
        LONG,
        {"asset": {"from": "filename", "scheme": "own"}},
        "an asset from filename is told by pattern",
    ),
    "an unknown id": (LONG, {"asset": {**OWN, "scheme": "kraken"}}, "stand for no asset"),
    "another header": (LONG.replace("price", "Price"), {}, "a file lacks a column"),
    "no unit": (
        LONG,
        {"tables": {"fact_volume": {"volume": "price"}}},
        "the unit is not said",
    ),
    "infinite": (LONG.replace("11", "inf"), {}, "price holds something else than a number"),
    "early": (LONG.replace("2024-01-02", "1970-01-02"), {}, "a stamp lies in 1970"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    text, how, says = REFUSED[name]
    with pytest.raises(MsmError, match=says):
        made(tmp_path, {"a.csv": text}, **{**SPOT, **how})


def test_two_ids_of_one_asset_on_one_day(tmp_path: Path) -> None:
    text = LONG + "XBT,2024-01-02,12\n"
    with pytest.raises(MsmError, match="two ids of a source stand for one asset on one day"):
        made(tmp_path, {"a.csv": text}, ids="own,XBT,,,BTC,\n", **SPOT)
    con = made(
        tmp_path,
        {"a.csv": LONG.replace("BTC,2024-01-02,11", "XBT,2024-01-02,11")},
        ids="own,XBT,2024-01-02,,BTC,\n",
        **SPOT,
    )
    assert rows(con, "price", "close") == TWO_DAYS, "a rename is one asset"


def test_two_assets_of_one_id_on_one_day(tmp_path: Path) -> None:
    with pytest.raises(MsmError, match="an id stands for two assets on one day"):
        made(tmp_path, {"a.csv": LONG}, ids="own,BTC,,,A,\nown,BTC,2024-01-01,,B,\n", **SPOT)


# --- Built-in mappings ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", built_in())
def test_a_built_in_mapping_is_a_mapping(tmp_path: Path, name: str) -> None:
    spec = {"sources": [{"id": "a", "mapping": name, "files": "*"}]}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    (source,) = read_spec(tmp_path / "spec.yaml").sources.values()
    assert source.mapping.description.endswith(".")


def test_what_is_pulled_has_a_mapping_of_its_name() -> None:
    assert {name.replace("_pro", "") for name in DATASETS} <= built_in().keys()


MS = JAN_1 * 1000
END = MS + DAY * 1000
EIGHT_HOURS = 28_800_000
KLINE = [[MS, "1", "1", "1", "10", "3", END - 1, "30", 1, "1", "1", "0"]]
BYBIT_KLINE = {"result": {"symbol": "BTCUSDT", "list": [[str(MS), "1", "1", "1", "10", "3", "30"]]}}
BARS_MADE: list[tuple[str, str, float]] = [("price", "close", 10), ("volume", "volume", 30)]
FUNDING_MADE: list[tuple[str, str, float]] = [("funding", "funding_rate_1d_sum", 0.3)]
OPEN_INTEREST_MADE: list[tuple[str, str, float]] = [("open_interest", "open_interest_usd", 7)]
PULLED: dict[str, tuple[str, Any, list[tuple[str, str, float]]]] = {
    "binance_rest.spot_klines": ("BTCUSDT", KLINE, BARS_MADE),
    "binance_rest.um_klines": ("BTCUSDT", KLINE, BARS_MADE),
    "binance_rest.openInterestHist": (
        "BTCUSDT",
        [{"symbol": "BTCUSDT", "sumOpenInterestValue": "7", "timestamp": END}],
        OPEN_INTEREST_MADE,
    ),
    "binance_rest.fundingRate": (
        "BTCUSDT",
        [
            {"symbol": "BTCUSDT", "fundingRate": "0.1", "fundingTime": MS + k * EIGHT_HOURS + k}
            for k in range(4)
        ],
        FUNDING_MADE,
    ),
    "bybit.linear_klines": ("BTCUSDT", BYBIT_KLINE, BARS_MADE),
    "bybit.spot_klines": ("BTCUSDT", BYBIT_KLINE, BARS_MADE),
    "bybit.open_interest": (
        "BTCUSDT",
        {"result": {"symbol": "BTCUSDT", "list": [{"openInterest": "7", "timestamp": str(END)}]}},
        [],  # coins, worth the close of another source
    ),
    "bybit.funding": (
        "BTCUSDT",
        {
            "result": {
                "list": [
                    {
                        "symbol": "BTCUSDT",
                        "fundingRate": "0.1",
                        "fundingRateTimestamp": str(MS + k * EIGHT_HOURS),
                    }
                    for k in (3, 2, 1, 0)
                ]
            }
        },
        FUNDING_MADE,
    ),
    "okx.klines": (
        "BTC-USDT-SWAP",
        {
            "data": [
                [str(END), "1", "1", "1", "11", "3", "3", "30", "0"],
                [str(MS), "1", "1", "1", "10", "3", "3", "30", "1"],
            ]
        },
        BARS_MADE,
    ),
    "okx.funding": (
        "BTC-USDT-SWAP",
        {
            "data": [
                {
                    "instId": "BTC-USDT-SWAP",
                    "fundingRate": "9",
                    "realizedRate": "0.1",
                    "fundingTime": str(MS + k * EIGHT_HOURS),
                }
                for k in (3, 2, 1, 0)
            ]
        },
        FUNDING_MADE,
    ),
    "okx.open_interest": (
        "BTC-USDT-SWAP",
        {"data": [[str(END), "1", "2", "7"]]},
        OPEN_INTEREST_MADE,
    ),
    "coingecko.market_chart": (
        "bitcoin",
        {
            "prices": [[END + 400, 10.0], [END + 32_400_000, 12.0]],
            "market_caps": [[END + 400, 0]],
            "total_volumes": [[END + 400, 30.0]],
        },
        BARS_MADE,
    ),
    "coinglass.funding_rate": (
        "BTC",
        {"data": [{"time": MS + k * EIGHT_HOURS, "close": "10"} for k in range(3)]},
        FUNDING_MADE,
    ),
    "coinglass.open_interest": ("BTC", {"data": [{"time": MS, "close": "7"}]}, OPEN_INTEREST_MADE),
    "hyperliquid.funding": (
        "BTC",
        [
            {"coin": "BTC", "fundingRate": "0.0125", "time": MS + k * 3_600_000 + 80}
            for k in range(1, 25)
        ],
        FUNDING_MADE,
    ),
    "hyperliquid.klines": (
        "BTC",
        [{"t": MS, "T": END - 1, "s": "BTC", "i": "1d", "c": "10", "v": "3"}],
        BARS_MADE,
    ),
}


def test_every_answer_that_is_pulled_is_tried() -> None:
    answers = {name for name, data in DATASETS.items() if data.shape != "archives"}
    assert answers - {"coingecko_pro.market_chart"} == PULLED.keys()


@pytest.mark.parametrize("name", PULLED)
def test_what_is_pulled_can_be_ingested(tmp_path: Path, name: str) -> None:
    symbol, answer, expected = PULLED[name]
    data = DATASETS[name]
    fields = {"symbol": symbol, "interval": next(iter(data.intervals), ""), "first": "2024-01-01"}
    file = f"raw/{symbol}/" + data.file.format(**fields, last="2024-01-09")
    scheme = yaml.safe_load(built_in()[name])["asset"]["scheme"]
    con = made(
        tmp_path,
        {file: json.dumps(answer)},
        ids=f"{scheme},{symbol},,,BTC,\n",
        mapping=name,
        now=datetime(2024, 1, 2, 12, tzinfo=UTC),
    )
    for table, column, value in expected:
        assert rows(con, table, column) == [("BTC", "01-01", pytest.approx(value, rel=1e-12))]
