"""Small synthetic lakes full of blemishes, and a resolved experiment that fits them.

`tiny_lake` writes every kind of trouble that the methodology has a rule for into a lake that takes
a fraction of a second to read: the same arguments give the same bytes of data.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import from_resolved

FLAGGED = {
    "USDX": "is_stable",
    "WETHX": "is_wrapped",
    "WUSDX": "is_wrapped_stable",
    "EXCH": "is_exchange_token",
}
INTERVAL_HOURS = {"Binance": 8, "Bybit": 4, "Okx": 8}


def tiny_lake(
    path: Path,
    seed: int = 0,
    *,
    n_assets: int = 14,
    n_days: int = 160,
    start: str = "2024-01-01",
    zero_alt_days: int = 2,
    major_gap: bool = True,
    btc_gap_days: int = 0,
    early_rows: bool = False,
    max_stale_days: int | None = None,
    without: Collection[str] = (),
) -> Path:
    """Write the lake into `path` (created) and return it.

    n_assets        BTC, ETH, four flagged assets, the rest alts (A01, A02, ...); at least 14
    zero_alt_days   days around 62% of the calendar on which no alt has volume; an open interest gap
                    of BTC lies there too, so that days without any coverage follow
    major_gap       ETH lacks 6 days of prices
    btc_gap_days    BTC lacks that many days of prices, at 80% of the calendar
    early_rows      prices before the first BTC close, caps and volumes before a listing
    max_stale_days  goes into lake.yaml when given
    without         names of optional tables to leave out
    """
    if n_assets < 14 or n_days < 100:
        raise ValueError(f"needs 14 assets and 100 days, received {n_assets} and {n_days}")
    rng = np.random.default_rng(seed)
    dates = pd.date_range(start, periods=n_days, freq="D")
    alts = [f"A{i:02d}" for i in range(1, n_assets - 5)]
    assets = ["BTC", "ETH", *alts, *FLAGGED]

    def at(share: float) -> int:
        return round(share * n_days)

    def long(wide: pd.DataFrame, value: str) -> pd.DataFrame:
        rows = wide.rename_axis(index="date", columns="asset_id").stack().rename(value)
        return rows.reset_index()[["asset_id", "date", value]]

    # prices: one common factor, assets with a loading of their own
    market = rng.normal(0.001, 0.025, n_days)
    close = pd.DataFrame(index=dates, columns=assets, dtype=float)
    cap = close.copy()
    volume = close.copy()
    for i, asset in enumerate(assets):
        own = rng.standard_t(4, n_days) * (0.008 if asset == "BTC" else 0.025)
        returns = np.clip(rng.uniform(0.6, 1.6) * market + own, -0.6, 1.5)
        close[asset] = 10 ** rng.uniform(-3, 3) * np.cumprod(1 + returns)
        first_cap = {0: 8e11, 1: 3e11}.get(i, 2.5e9 * 0.62**i)  # the last alts hover about 5e7
        cap[asset] = first_cap * close[asset] / close[asset].iloc[0]
        volume[asset] = cap[asset] * rng.lognormal(-3, 0.6, n_days)
    close["USDX"] = 1 + rng.normal(0, 1e-4, n_days)

    # caps: ties, a value on the threshold, gaps within and beyond staleness, a late first value
    ties = slice(at(0.3), at(0.5))
    cap.iloc[ties, assets.index("A03")] = cap["A02"].iloc[ties]
    cap.iloc[at(0.55), assets.index(alts[-1])] = 5e7
    cap.iloc[at(0.35) : at(0.35) + 2, assets.index("A05")] = np.nan
    cap.iloc[at(0.7) : at(0.7) + 8, assets.index("A05")] = np.nan
    cap.iloc[: at(0.45), assets.index("A06")] = np.nan
    cap.iloc[at(0.85), assets.index("BTC")] = np.nan

    # volumes: zeros, a value below and one on the minimum, and days on which no alt trades
    volume.iloc[at(0.4) : at(0.4) + 3, assets.index("A04")] = 0.0
    volume.iloc[at(0.5), assets.index("A03")] = 999.0
    volume.iloc[at(0.5) + 1, assets.index("A03")] = 1000.0
    volume.iloc[at(0.2) : at(0.2) + 14, assets.index("A07")] = np.nan
    quiet = slice(at(0.62), at(0.62) + zero_alt_days)
    volume.iloc[quiet, [assets.index(asset) for asset in alts]] = 0.0

    # prices: late listing, delisting, gaps, and a price that stands still
    close.iloc[: at(0.25), assets.index("A01")] = np.nan
    close.iloc[at(0.88) :, assets.index("A02")] = np.nan
    close.iloc[at(0.45) : at(0.45) + 2, assets.index("A03")] = np.nan
    close.iloc[at(0.75) : at(0.75) + 6, assets.index("A04")] = np.nan
    close.iloc[at(0.92) : at(0.92) + 6, assets.index("A01")] = np.nan
    close.iloc[at(0.5) : at(0.5) + 4, assets.index("A07")] = close["A07"].iloc[at(0.5)]
    if major_gap:
        close.iloc[at(0.55) : at(0.55) + 6, assets.index("ETH")] = np.nan
    if btc_gap_days:
        close.iloc[at(0.8) : at(0.8) + btc_gap_days, assets.index("BTC")] = np.nan
    listed = close["A01"].first_valid_index()
    if not early_rows:
        cap.loc[: listed - pd.Timedelta(1, "D"), "A01"] = np.nan
        volume.loc[: listed - pd.Timedelta(1, "D"), "A01"] = np.nan
    gone = close["A02"].last_valid_index() + pd.Timedelta(1, "D")
    cap.loc[gone:, "A02"] = np.nan
    volume.loc[gone:, "A02"] = np.nan
    close.iloc[-1, assets.index("BTC")] = np.nan  # the others' last day is not used
    if early_rows:
        close.iloc[:2, assets.index("BTC")] = np.nan

    tables: dict[str, pd.DataFrame] = {
        "fact_price": long(close, "close"),
        "fact_marketcap": long(cap, "marketcap"),
        "fact_volume": long(volume, "volume"),
    }

    # funding: one to three instruments per asset, one asset without any
    funding_rows: list[tuple[Any, ...]] = []
    interest_rows: list[tuple[Any, ...]] = []
    derivative_assets = ["BTC", "ETH", *alts[:-1]]
    for i, asset in enumerate(derivative_assets):
        exchanges = ["Binance", "Bybit", "Okx"][: 3 if asset in ("BTC", "A02") else 1 + i % 2]
        base = 1e-4 * (1 + 0.3 * rng.standard_normal()) + 5e-5 * rng.standard_normal(n_days)
        interest = cap[asset].ffill().bfill() * rng.lognormal(-3.5, 0.3, n_days)
        for j, exchange in enumerate(exchanges):
            rate = base + 2e-5 * rng.standard_normal(n_days)
            instrument = f"{exchange.lower()}_{asset}USDT"
            if exchange == "Binance":
                rate = np.where(np.arange(n_days) >= at(0.66), 100 * rate, rate)
            elif exchange == "Bybit":
                rate = 10_000 * rate
            funding_rows += [
                (asset, d, instrument, exchange, r) for d, r in zip(dates, rate, strict=True)
            ]
            whole = asset in ("BTC", "ETH", "A02", "A03")  # every instrument has open interest
            if whole or (asset in ("A01", "A05") and j == 0):
                value = interest.to_numpy() / (j + 1)
                interest_rows += [
                    (asset, d, instrument, exchange, v) for d, v in zip(dates, value, strict=True)
                ]
        if asset in ("A04", "A06"):  # known for the asset as a whole only
            interest_rows += [
                (asset, d, None, None, v) for d, v in zip(dates, interest, strict=True)
            ]
    keys = ["asset_id", "date", "instrument_id", "exchange"]
    funding = pd.DataFrame(funding_rows, columns=[*keys, "funding_rate"])
    interest = pd.DataFrame(interest_rows, columns=[*keys, "open_interest_usd"])

    def drop(frame: pd.DataFrame, asset: str | None, begin: int, days: int) -> pd.DataFrame:
        last = min(begin + days, n_days) - 1
        out = frame["date"].between(dates[begin], dates[last])
        return frame[~(out & ((frame["asset_id"] == asset) | (asset is None)))]

    funding = drop(funding, None, 0, 5)  # funding starts later than prices
    funding = drop(funding, "ETH", at(0.3), 4)
    funding = drop(funding, "A03", at(0.5), 9)
    interest = drop(interest, "BTC", at(0.6), 12)  # beyond 7 days
    interest = drop(interest, "A02", at(0.35), 5)  # within 7 days
    interest = drop(interest, "ETH", at(0.6), 12)
    one_instrument = (interest["instrument_id"] == "bybit_A03USDT") & (
        interest["date"] == dates[at(0.4)]
    )
    interest = interest[~one_instrument]
    tables["fact_funding"], tables["fact_open_interest"] = funding, interest

    # impossible values, in rows of their own or in place of good ones
    def spoil(name: str, value: str, bad: list[float]) -> None:
        frame = tables[name].reset_index(drop=True)
        where = frame.index[frame["asset_id"].isin(alts)]
        rows = rng.choice(where, size=3 * len(bad), replace=False)
        frame.loc[rows, value] = bad * 3
        tables[name] = frame

    spoil("fact_price", "close", [0.0, -1.0, np.nan, np.inf])
    spoil("fact_marketcap", "marketcap", [0.0, -5.0, np.nan, np.inf])
    spoil("fact_volume", "volume", [-1.0, np.nan, -np.inf])
    spoil("fact_funding", "funding_rate", [np.nan, np.inf])
    spoil("fact_open_interest", "open_interest_usd", [-1.0, np.nan, np.inf])

    # duplicate keys that agree (another source is no disagreement), rows in no order
    for name, frame in tables.items():
        copies = frame.sample(6, random_state=seed + 1)
        both = pd.concat([frame.assign(source="one"), copies.assign(source="two")])
        tables[name] = both.sample(frac=1, random_state=seed + 2).reset_index(drop=True)

    flags = {flag: [FLAGGED.get(asset) == flag for asset in assets] for flag in FLAGGED.values()}
    tables["dim_asset"] = pd.DataFrame(
        {"asset_id": assets, **flags, "symbol": assets, "name": assets}
    )

    # every second alt could be traded on X all along, others from or until a day, or twice; A03 on
    # Y only
    def day_of(place: int) -> date:
        day: date = dates[min(place, n_days - 1)].date()
        return day

    listings: list[tuple[str, str, str | None, int, int | None]]
    listings = [(asset, "X", None, 0, None) for asset in assets[::2]]
    listings += [("A03", "Y", "A03-P", 10, 150), ("A05", "X", "A05-P", 70, 110)]
    listings += [("A05", "X", "A05-P", 120, None), ("A05", "X", "A05-Q", 105, 108)]
    tables["dim_listing"] = pd.DataFrame(
        [
            (asset, exchange, what, day_of(a), None if b is None else day_of(b))
            for asset, exchange, what, a, b in listings
        ],
        columns=["asset_id", "exchange", "instrument_id", "listed", "delisted"],
    )

    path.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        if name in without:
            continue
        if "date" in frame:
            frame = frame.assign(date=frame["date"].dt.date)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if name == "fact_volume":  # a table may be a folder
            half = len(table) // 2
            for part, piece in (("a", table.slice(0, half)), ("b/c", table.slice(half))):
                file = path / name / f"{part}.parquet"
                file.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(piece, file)
        else:
            pq.write_table(table, path / f"{name}.parquet")

    switch = dates[at(0.66)]
    config: dict[str, Any] = {
        "name": f"tiny_{seed}",
        "funding": {
            "interval_hours": INTERVAL_HOURS["Binance"],
            "units": [
                {"until": (switch - pd.Timedelta(1, "D")).date(), "unit": "decimal"},
                {"from": switch.date(), "unit": "percent"},
            ],
            "sources": [
                {
                    "exchange": "Bybit",
                    "interval_hours": INTERVAL_HOURS["Bybit"],
                    "units": [{"unit": "bps"}],
                },
                {"exchange": "Okx", "units": [{"unit": "decimal"}]},
            ],
        },
    }
    if max_stale_days is not None:
        config["max_stale_days"] = max_stale_days
    (path / "lake.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def rewritten(lake: Path, target: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
    """Write a lake whose dated tables went through ``change``."""
    for file in (entry for entry in lake.rglob("*") if entry.is_file()):
        place = target / file.relative_to(lake)
        place.parent.mkdir(parents=True, exist_ok=True)
        if str(file.relative_to(lake)).startswith("fact_"):
            table = pd.read_parquet(file)
            table["date"] = pd.to_datetime(table["date"])
            changed = change(table)
            changed["date"] = changed["date"].dt.date
            changed.to_parquet(place, index=False)
        else:
            place.write_bytes(file.read_bytes())
    return target


def bad_prices(lake: Path) -> Path:
    """Spoil prices and market caps of a tiny lake as vendors do.

    A08 is 60 times too high on a day, and again on two days, the cap with it: it is among the
    largest alts then, and falls by 98%. A04 falls to a tenth and stays there.
    """
    for table, column in (("fact_price", "close"), ("fact_marketcap", "marketcap")):
        rows = pd.read_parquet(lake / f"{table}.parquet")
        day = (pd.to_datetime(rows["date"]) - pd.to_datetime(rows["date"]).min()).dt.days
        is_high = (rows["asset_id"] == "A08") & day.isin([58, 118, 119])
        rows.loc[is_high, column] *= 60
        rows.loc[(rows["asset_id"] == "A04") & (day >= 90), column] /= 10
        rows.to_parquet(lake / f"{table}.parquet", index=False)
    return lake


def other_inputs(lake: Path) -> Path:
    """Let a tiny lake speak in other ways: intervals, sums of days, aliases, supplies.

    Funding of A02 has hours of its own and that of A03 sums of the day, alone or beside a rate;
    some rows of A04 have impossible hours. A04 is 1000A04, in thousands, for 90 days, and A05 is
    OLD5 for 70; 1000A05 has open interest beside it. A06 and A08 have a supply every fortnight, A06
    few market caps and A08 none.
    """
    first = pd.to_datetime(pd.read_parquet(lake / "fact_price.parquet")["date"]).min()
    renamed = {"1000A04": ("A04", 90), "OLD5": ("A05", 70)}

    def rewrite(file: Path, change: Callable[[pd.DataFrame, pd.Series], pd.DataFrame]) -> None:
        rows = pd.read_parquet(file)
        rows = change(rows, (pd.to_datetime(rows["date"]) - first).dt.days)
        day = (pd.to_datetime(rows["date"]) - first).dt.days
        for id_, (asset, days) in renamed.items():
            rows.loc[(rows["asset_id"] == asset) & (day < days), "asset_id"] = id_
        rows.to_parquet(file, index=False)

    def prices(rows: pd.DataFrame, day: pd.Series) -> pd.DataFrame:
        usable = np.isfinite(rows["close"]) & (rows["close"] > 0)
        coins = rows[usable & rows["asset_id"].isin(["A06", "A08"]) & (day % 14 == 0)]
        coins = coins.drop_duplicates(["asset_id", "date"])
        worth = np.where(coins["asset_id"] == "A06", 4e9, 5e8)
        coins.assign(circulating_supply=worth / coins["close"])[
            ["asset_id", "date", "circulating_supply"]
        ].to_parquet(lake / "fact_supply.parquet", index=False)
        in_thousands = (rows["asset_id"] == "A04") & (day < 90)
        return rows.assign(close=rows["close"] * np.where(in_thousands, 1000.0, 1.0))

    def marketcaps(rows: pd.DataFrame, day: pd.Series) -> pd.DataFrame:
        asset = rows["asset_id"]
        return rows[~((asset == "A08") | ((asset == "A06") & (day % 40 > 5)))]

    def funding(rows: pd.DataFrame, day: pd.Series) -> pd.DataFrame:
        asset, rate = rows["asset_id"], rows["funding_rate"]
        is_sum = (asset == "A03") & (day % 2 == 0)
        hours = np.where(asset == "A02", 1.0 + day % 12, np.nan)
        return rows.assign(
            interval_hours=np.where((asset == "A04") & (day % 9 == 0), 25.0, hours),
            funding_rate_1d_sum=np.where(is_sum, 2.5 * rate, np.nan),
            funding_rate=np.where(is_sum & (day % 4 == 0), np.nan, rate),
        )

    def open_interest(rows: pd.DataFrame, day: pd.Series) -> pd.DataFrame:
        other = rows[(rows["asset_id"] == "A05") & (day > 20)].drop_duplicates(["date"])
        other = other.assign(asset_id="1000A05", instrument_id=None, exchange=None)
        return pd.concat([rows, other], ignore_index=True)

    rewrite(lake / "fact_price.parquet", prices)
    rewrite(lake / "fact_marketcap.parquet", marketcaps)
    rewrite(lake / "fact_funding.parquet", funding)
    rewrite(lake / "fact_open_interest.parquet", open_interest)
    for file in (lake / "fact_volume").rglob("*.parquet"):
        rewrite(file, lambda rows, _: rows)
    last = {id_: first + pd.Timedelta(days - 1, "D") for id_, (_, days) in renamed.items()}
    with (lake / "lake.yaml").open("a") as config:
        config.write(
            "aliases:\n"
            f"  - {{id: 1000A04, asset_id: A04, multiple: 1000, until: {last['1000A04'].date()}}}\n"
            f"  - {{id: OLD5, asset_id: A05, until: {last['OLD5'].date()}}}\n"
            "  - {id: 1000A05, asset_id: A05, multiple: 1000}\n"
        )
    return lake


BASELINE = {
    "alt_breadth": 0.18,
    "btc_dominance": 0.22,
    "funding_skew": 0.12,
    "funding_heating": 0.10,
    "liquidity": 0.13,
    "volatility_spread": 0.13,
    "momentum": 0.08,
    "oi_risk": 0.04,
}


def merged(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """spec with changes laid over it, map by map; position_scale and leg weights are replaced."""
    out = copy.deepcopy(dict(spec))
    for key, value in changes.items():
        whole = key in ("weights", "position_scale") or not isinstance(out.get(key), dict)
        out[key] = value if whole or not isinstance(value, Mapping) else merged(out[key], value)
    return out


def tiny_spec(
    changes: Mapping[str, Any] | None = None, weights: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """A resolved experiment for a tiny lake: the baseline with short windows and low cuts."""
    funding = {"weighting": "oi", "min_oi_coverage": 0.0}
    spec = {
        "experiment_id": "tiny",
        "title": "Tiny",
        "description": None,
        "category_path": "msm",
        "window": {"start": None, "end": None},
        "universe": {
            "majors": ["BTC", "ETH"],
            "exclude_assets": [],
            "min_mcap_usd": 50_000_000.0,
        },
        "features": [
            {"id": i, "weight": w, "params": dict(funding) if i.startswith("funding_") else {}}
            for i, w in (weights or BASELINE).items()
        ],
        "feature_params": {"zscore_window_days": 20, "min_coverage": 0.0},
        "target": {
            "long_leg": {"weights": {"BTC": 1.0}},
            "short_leg": {"n": 4, "weighting": "equal", "min_volume_usd": 1000.0},
            "horizons_days": [1, 5, 10],
        },
        "state_mapping": {
            "n_regimes": 5,
            "thresholds": {"strong_low": -0.6, "low": -0.2, "high": 0.2, "strong_high": 0.6},
            "hysteresis": {"low_band": -0.1, "high_band": 0.1},
            "persistence": {"min_duration_days": 3, "requires_stronger_signal": True},
            "smoothing": {"ema_span_days": None},
            "high_vol_gate": None,
        },
        "backtest": {
            "walk_forward": True,
            "lookback_window_days": 30,
            "test_window_days": 20,
            "min_test_days": 5,
            "with_regime_eval": True,
            "rebalance_frequency_days": 1,
            "rebalance_weekday": None,
            "gross": {"long": 0.5, "short": 0.5},
            "position_scale": {
                "STRONG_RISK_ON_MAJORS": 1.0,
                "WEAK_RISK_ON_MAJORS": 0.6,
                "RISK_ON_MAJORS": 1.0,
            },
            "costs": {"taker_fee_bps": 5.0, "slippage_bps": 5.0, "funding_enabled": True},
            "execution_lag_days": 0,
            "capital_usd": None,
            "impact_coefficient": 1.0,
        },
        "evaluation": {
            "bootstrap": {
                "enabled": True,
                "method": "studentized",
                "kind": "circular",
                "block_size": "auto",
                "n_boot": 99,
                "seed": 42,
            }
        },
        "allow_missing_features": False,
    }
    return merged(spec, changes or {})


def run_of(run_id: str, **changes: Any) -> ResolvedRun:
    """Return a run of a minimal experiment; its id is what a test wants it to be."""
    spec = {"experiment_id": "a", "features": [{"id": "momentum", "weight": 1}]}
    return ResolvedRun(run_id, from_resolved(merged(spec, changes)))
