"""Invented files in the shapes of vendors: bars, funding, open interest, site exports."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

ASSETS = ["BTC", "ETH", *(f"COIN{i:02}" for i in range(30))]
FIRST = date(2023, 1, 1)
MULTIPLE = 1000  # COIN00 trades as 1000COIN00 on the venue of perpetuals
IDS = "scheme,vendor_id,from,to,asset_id,multiple\n" + "".join(
    f"binance,{asset}USDT,,,{asset},\n"
    f"binance_um,{'1000' if asset == 'COIN00' else ''}{asset}USDT,,,{asset},"
    f"{MULTIPLE if asset == 'COIN00' else ''}\n"
    f"coingecko_symbol,{asset.lower()},,,{asset},\n"
    for asset in ASSETS
)
SPEC = """name: invented
sources:
  - id: klines
    mapping: binance_vision.spot_klines
    files: raw/klines/**/*.zip
  - id: funding
    mapping: binance_vision.fundingRate
    files: raw/funding/*.csv
  - id: interest
    mapping: binance_rest.openInterestHist
    files: raw/interest/*.json
  - id: caps
    mapping: coingecko.export
    files: raw/caps/*.csv
ids: ids.csv
priority: {fact_price: [klines, caps], fact_volume: [klines]}
"""


def write_vendor_files(
    place: Path, n_days: int = 600, *, seed: int = 5, assets: list[str] | None = None
) -> None:
    """Write spec.yaml, ids.csv and raw/ below a folder: daily klines, a month a zip; the others."""
    (place / "spec.yaml").write_text(SPEC)
    (place / "ids.csv").write_text(IDS)
    for place_of, asset in enumerate(assets or ASSETS):
        moves = np.random.default_rng([seed, place_of]).normal(0, 0.03, n_days)
        closes = 100 * np.exp(np.cumsum(moves))
        days = [FIRST + timedelta(days=day) for day in range(n_days)]
        _klines(place / "raw" / "klines" / asset, f"{asset}USDT", days, closes)
        name = f"1000{asset}USDT" if asset == "COIN00" else f"{asset}USDT"
        _funding(place / "raw" / "funding", name, days, seed + place_of)
        _interest(place / "raw" / "interest", name, days, closes)
        _caps(place / "raw" / "caps", asset.lower(), days, closes, 2e7 if asset == "BTC" else 5e6)


def _ms(day: date, hours: float = 0) -> int:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int((start + timedelta(hours=hours)).timestamp() * 1000)


def _klines(folder: Path, symbol: str, days: list[date], closes: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    months: dict[str, list[str]] = {}
    for day, close in zip(days, closes, strict=True):
        volume = 1e6 * (1 + close % 1)
        row = (
            f"{_ms(day)},{close},{close},{close},{close},{volume / close},{_ms(day, 24) - 1},"
            f"{volume},9,0,0,0"
        )
        months.setdefault(f"{day:%Y-%m}", []).append(row)
    for month, rows in months.items():
        with zipfile.ZipFile(folder / f"{symbol}-1d-{month}.zip", "w") as archive:
            archive.writestr(f"{symbol}-1d-{month}.csv", "\n".join(rows) + "\n")


def _funding(folder: Path, symbol: str, days: list[date], seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rates = np.random.default_rng(seed).normal(1e-4, 1e-4, (len(days), 3))
    lines = ["calc_time,funding_interval_hours,last_funding_rate"]
    for day, prints in zip(days, rates, strict=True):
        lines += [f"{_ms(day, 8 * (k + 1)) + 7},8,{rate:.8f}" for k, rate in enumerate(prints)]
    (folder / f"{symbol}-fundingRate-all.csv").write_text("\n".join(lines) + "\n")


def _interest(folder: Path, symbol: str, days: list[date], closes: np.ndarray) -> None:
    """Write samples of 00:00, each the end of the day before."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = [
        {"symbol": symbol, "sumOpenInterestValue": f"{close * 1e4}", "timestamp": _ms(day, 24)}
        for day, close in zip(days, closes, strict=True)
    ]
    (folder / f"openInterestHist_1d_{symbol}.json").write_text(json.dumps(samples))


def _caps(folder: Path, symbol: str, days: list[date], closes: np.ndarray, supply: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["snapped_at,price,market_cap,total_volume"]
    for day, close in zip(days, closes, strict=True):
        end = day + timedelta(days=1)  # 00:00 of the day after is the end of the day
        lines.append(f"{end} 00:00:00 UTC,{close * 1.0001},{close * supply},{2e6}")
    (folder / f"{symbol}-usd-max.csv").write_text("\n".join(lines) + "\n")
