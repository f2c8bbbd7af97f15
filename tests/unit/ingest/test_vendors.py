"""Real excerpts of vendors' files, where they lie beside the project: what daily rows they make."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from support.pipeline import ROOT

from msm_py.ingest import daily, reading, vintages, work
from msm_py.ingest.spec import read_spec

VENDORS = ROOT.parent / "shared" / "vendors"
pytestmark = pytest.mark.skipif(
    not VENDORS.is_dir(), reason="real excerpts of vendors lie in ../shared/vendors"
)
IDS = """scheme,vendor_id,from,to,asset_id,multiple
binance,BTCUSDT,,,BTC,
binance_um,BTCUSDT,,,BTC,
binance_um,POLUSDT,,,POL,
binance_um,TLMUSDT,,,TLM,
binance_um,PIXELUSDT,,,PIXEL,
binance_um,1000SHIBUSDT,,,SHIB,1000
binance_um,LUNA2USDT,,,LUNA,
binance_um,1000LUNCUSDT,,,LUNC,1000
coingecko_symbol,btc,,,BTC,
coingecko_symbol,busd,,,BUSD,
coingecko_symbol,luna,,,LUNC,
coingecko,bitcoin,,,BTC,
coinglass,BTC,,,BTC,
hyperliquid,BTC,,,BTC,
local,BTC-USDT,,,BTC,
cryptodatadownload,BTC/USDT,,,BTC,
cryptodatadownload,BTT/USDT,,,BTT,
ccxt,BTC/USD,,,BTC,
ccxt,ETH/USD,,,ETH,
ccxt,PEPE/USD,,,PEPE,
coinmetrics,0g,,,0G,
coinmetrics,btc,,,BTC,
coinmetrics,zec,,,ZEC,
bybit,BTCUSDT,,,BTC,
okx,BTC-USDT-SWAP,,,BTC,
freqtrade,TON,,,TON,
freqtrade,KAITO,,,KAITO,
freqtrade,LAYER,,,LAYER,
freqtrade,XRP,,,XRP,
"""


def made(tmp_path: Path, files: str, **source: Any) -> duckdb.DuckDBPyConnection:
    """Return a connection with the tables that files of a vendor make."""
    (tmp_path / "ids.csv").write_text(IDS)
    spec = {"sources": [{"id": "one", "files": str(VENDORS / files), **source}], "ids": "ids.csv"}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    read = read_spec(tmp_path / "spec.yaml")
    con = duckdb.connect()
    reading.create_incoming(con)
    (only,) = read.sources.values()
    named = [(path, reading.digest_of(path)) for path in only.files()]
    assert list(reading.read_files(con, only, named))[-1] == len(named)
    con.execute(
        "create table known as select distinct on (source, measure, vendor_id, exchange, "
        "instrument_id, stamp) * from incoming"
    )
    con.execute("create table notes (reason varchar, n bigint)")
    for note in daily.daily_rows(con, read, "known"):
        con.execute("insert into notes values (?, ?)", [note.reason, note.n])
    return con


def expected(name: str) -> list[dict[str, str]]:
    with (VENDORS / "expected" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def close(value: float) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-18)


LOCAL: dict[str, Any] = {
    "time": {"column": "Date", "zone": "+03:00", "means": "instant"},
    "asset": {"from": "column", "column": "Symbol", "scheme": "local"},
    "tables": {"fact_funding": {"funding_rate": "Funding Rate", "unit": "decimal"}},
}
FUNDING: dict[str, tuple[str, dict[str, Any]]] = {
    "binance_vision_BTC": (
        "binance_vision/um_*fundingRate*",
        {"mapping": "binance_vision.fundingRate"},
    ),
    "binance_rest_POLUSDT": (
        "binance_rest/funding_POLUSDT.csv",
        {"mapping": "binance_rest.fundingRate_csv"},
    ),
    "binance_rest_TLMUSDT": (
        "binance_rest/funding_TLMUSDT.csv",
        {"mapping": "binance_rest.fundingRate_csv"},
    ),
    "binance_rest_json_BTC": (
        "binance_rest/fapi_v1_fundingRate_*.json",
        {"mapping": "binance_rest.fundingRate"},
    ),
    "coinglass_BTC": ("coinglass/funding*", {"mapping": "coinglass.funding_rate"}),
    "hyperliquid_BTC": (
        "hyperliquid/*",
        {
            "mapping": "hyperliquid.funding",
            "tables": {
                "fact_funding": {
                    "funding_rate": "funding_rate",
                    "unit": "decimal",
                    "interval_hours": 1,
                }
            },
        },
    ),
    "local_time_binance_BTC": ("local_time_csv/*binance*", LOCAL),
    "local_time_bybit_BTC": ("local_time_csv/*bybit*", LOCAL),
    "local_time_gate_BTC": (
        "local_time_csv/*gate*",
        {**LOCAL, "time": {**LOCAL["time"], "zone": "UTC"}},
    ),
}


@pytest.mark.parametrize("name", FUNDING)
def test_funding_is_the_sum_of_whole_days(tmp_path: Path, name: str) -> None:
    files, source = FUNDING[name]
    con = made(tmp_path, files, **source)
    found = dict(
        con.execute(
            "select date::varchar, funding_rate_1d_sum from incoming_fact_funding"
        ).fetchall()
    )
    rows = expected(f"fact_funding.{name}.csv")
    assert found == {
        row["date"]: close(float(row["daily_sum"])) for row in rows if row["complete_day"] == "yes"
    }
    (dropped,) = con.execute("select coalesce(sum(n), 0) from notes").fetchall()[0]
    assert dropped == sum(row["complete_day"] != "yes" for row in rows)


@pytest.mark.parametrize(
    ("name", "files", "mapping"),
    [
        ("coingecko_export_BTC", "coingecko/export_btc*", "coingecko.export"),
        (
            "coingecko_market_chart_BTC",
            "coingecko/market_chart_2021_bitcoin*",
            "coingecko.market_chart_csv",
        ),
    ],
)
def test_samples_stand_for_the_midnight_that_they_are_near(
    tmp_path: Path, name: str, files: str, mapping: str
) -> None:
    con = made(tmp_path, files, mapping=mapping)
    rows = [x for x in expected(f"fact_price_marketcap_volume.{name}.csv") if x["used"] == "yes"]
    for table, column in (("price", "close"), ("marketcap", "marketcap"), ("volume", "volume")):
        found = dict(
            con.execute(f"select date::varchar, {column} from incoming_fact_{table}").fetchall()
        )
        assert found == {x["date"]: close(float(x[column])) for x in rows if float(x[column])}


def test_bars_make_closes_and_volumes(tmp_path: Path) -> None:
    con = made(tmp_path, "binance_vision/spot*", mapping="binance_vision.spot_klines")
    found = con.execute(
        "select p.date::varchar, close, volume from incoming_fact_price as p "
        "inner join incoming_fact_volume as v using (asset_id, date) order by 1"
    ).fetchall()
    rows = expected("fact_price_volume.binance_spot_BTC.csv")
    assert found == [
        (x["date"], close(float(x["close"])), close(float(x["volume_usd(=quote volume)"])))
        for x in rows
    ]


def test_open_interest_is_that_of_the_end_of_the_day(tmp_path: Path) -> None:
    con = made(tmp_path, "binance_vision/*metrics*", mapping="binance_vision.metrics")
    found = dict(
        con.execute(
            "select date::varchar, open_interest_usd from incoming_fact_open_interest"
        ).fetchall()
    )
    rows = expected("fact_open_interest.binance_metrics_BTC.csv")
    assert found == {
        x["date"]: close(float(x["open_interest_usd"])) for x in rows if "partial" not in x["note"]
    }


def test_multiples_become_single_coins(tmp_path: Path) -> None:
    con = made(tmp_path, "binance_rest/klines_1d_*", mapping="binance_rest.um_klines_csv")
    found = {
        (asset, day): (price, volume)
        for asset, day, price, volume in con.execute(
            "select asset_id, p.date::varchar, close, volume from incoming_fact_price as p "
            "inner join incoming_fact_volume as v using (asset_id, date)"
        ).fetchall()
    }
    oi = made(
        tmp_path, "binance_rest/openInterestHist*", mapping="binance_rest.openInterestHist_csv"
    )
    interest = {
        (asset, day): value
        for asset, day, value in oi.execute(
            "select asset_id, date::varchar, open_interest_usd from incoming_fact_open_interest"
        ).fetchall()
    }
    for row in expected("fact_price_volume_oi.binance_multiples.csv"):
        key = (row["asset_id"], row["date"])
        assert found[key][0] == close(float(row["close(= vendor / multiple)"]))
        assert found[key][1] == close(float(row["volume_usd"]))
        wanted = row["open_interest_usd(sample of next 00:00)"]
        if wanted:
            assert interest[key] == close(float(wanted))


OTHERS: list[tuple[str, str, str, Callable[[Any], bool]]] = [
    ("coinglass/open*", "coinglass.open_interest", "fact_open_interest", lambda n: n > 5),
    ("coinmetrics/btc*", "coinmetrics.community", "fact_price", lambda n: n > 5),
    ("coinmetrics/legacy*", "coinmetrics.legacy", "fact_price", lambda n: n > 50),
    (
        "cryptodatadownload/Binance_B*USDT_d.head30*",
        "cryptodatadownload.daily",
        "fact_price",
        lambda n: n > 60,
    ),
    ("ccxt_ohlcv/*", "ccxt.ohlcv", "fact_volume", lambda n: n > 1),
    ("freqtrade/okx_LAYER*", "freqtrade.futures", "fact_price", lambda n: n > 5),
    ("freqtrade/XRP*", "freqtrade.futures_json", "fact_volume", lambda n: n > 2),
    ("freqtrade/*TON*funding*", "freqtrade.funding", "fact_funding", lambda n: n > 5),
    ("coingecko/export_busd*", "coingecko.export", "fact_price", lambda n: n > 20),
    ("coingecko/market_chart*hourly*", "coingecko.market_chart", "fact_price", lambda n: n == 4),
    ("coingecko/coins_markets*", "coingecko.coins_markets", "fact_price", lambda n: n == 0),
    ("coinmarketcap/*snapshot*", "coinmarketcap.snapshot", "fact_marketcap", lambda n: n == 200),
    ("coinalyze/funding*", "coinalyze.funding", "fact_funding", lambda n: n > 5),
    ("coinalyze/open*", "coinalyze.open_interest", "fact_open_interest", lambda n: n > 5),
    ("okx_bybit_shapes/bybit*kline*", "bybit.linear_klines", "fact_price", lambda n: n == 0),
    ("okx_bybit_shapes/bybit*open*", "bybit.open_interest", "fact_open_interest", lambda n: n == 0),
    ("okx_bybit_shapes/bybit*funding*", "bybit.funding", "fact_funding", lambda n: n == 0),
    ("okx_bybit_shapes/okx*", "okx.funding", "fact_funding", lambda n: n == 0),
    ("tardis/*", "tardis.derivative_ticker", "fact_open_interest", lambda n: n == 1),
]


@pytest.mark.parametrize(("files", "mapping", "table", "enough"), OTHERS)
def test_other_files_are_read(
    tmp_path: Path, files: str, mapping: str, table: str, enough: Callable[[Any], bool]
) -> None:
    schemes = ("coins_markets", "snapshot", "coinalyze", "tardis")
    own = {"asset": {"scheme": "own"}} if any(x in mapping for x in schemes) else {}
    con = made(tmp_path, files, mapping=mapping, **own)
    assert enough(con.execute(f"select count(*) from incoming_{table}").fetchall()[0][0])


def test_what_a_vendor_no_longer_says_stays_known(tmp_path: Path) -> None:
    """Two vintages of one file: rates of the last days only, a column more, a 15th digit."""
    rows = expected("merge_of_vintages.coinmetrics_0G.csv")
    (tmp_path / "ids.csv").write_text(IDS)
    spec = {
        "sources": [
            {"id": "cm", "mapping": "coinmetrics.reference_rates", "files": "raw/*.csv"},
            {"id": "own", "mapping": "plain.long", "files": "btc.csv"},
        ],
        "ids": "ids.csv",
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    (tmp_path / "btc.csv").write_text(
        "asset_id,date,close,marketcap,volume\nBTC,2025-12-01,9e4,2e12,3e10\n"
    )
    (tmp_path / "raw").mkdir()
    for day in ("2025-12-03", "2026-01-28"):
        for old in (tmp_path / "raw").iterdir():
            old.unlink()
        shutil.copy(VENDORS / "coinmetrics" / f"0g_vintage_{day}.csv", tmp_path / "raw" / "0g.csv")
        work.ingest(tmp_path / "spec.yaml", tmp_path / "store", lambda _: None)
    known = vintages.batches(tmp_path / "store")
    assert len(known) == 2
    (lake,) = sorted((tmp_path / "store" / "lakes").iterdir(), key=lambda x: x.stat().st_mtime)[-1:]
    for column in ("close", "marketcap", "volume"):
        table = {"close": "price"}.get(column, column)
        files = str(lake / f"fact_{table}" / "*.parquet")
        found = dict(
            duckdb.execute(
                f"select date::varchar, {column} from read_parquet(?) where asset_id = '0G'",
                [files],
            ).fetchall()
        )
        assert found == {x["date"]: close(float(x["value"])) for x in rows if x["column"] == column}
