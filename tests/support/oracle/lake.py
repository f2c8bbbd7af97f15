"""The lake as the methodology reads it: rows, units, the grid, alts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

FUNDING_IN_FEATURES = "funding_rate"  # D9; the other reading is "funding_rate_1d"
OI_STALE_DAYS = 7
NAN = float("nan")
UNIT = {"decimal": 1.0, "percent": 1e-2, "bps": 1e-4}
FLAGS = ["is_stable", "is_wrapped", "is_wrapped_stable", "is_exchange_token"]
VALUES = {
    "fact_price": "close",
    "fact_marketcap": "marketcap",
    "fact_volume": "volume",
    "fact_funding": "funding_rate",
    "fact_open_interest": "open_interest_usd",
}
Float = Any  # arrays of numbers: what they hold is checked by the comparison


def read_table(lake: Path, name: str) -> pd.DataFrame | None:
    """The table as one frame, or None when the lake does not have it."""
    files = sorted((lake / name).glob("**/*.parquet")) if (lake / name).is_dir() else []
    if (lake / f"{name}.parquet").exists():
        files = [lake / f"{name}.parquet"]
    if not files:
        return None
    return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)


def clean(lake: Path, name: str) -> pd.DataFrame:
    """Typed rows without impossible values and without duplicate keys (D1, D2)."""
    value = VALUES[name]
    instruments = name in ("fact_funding", "fact_open_interest")
    key = ["asset_id", "date"] + (["instrument_id", "exchange"] if instruments else [])
    frame = read_table(lake, name)
    if frame is None:
        frame = pd.DataFrame({column: [] for column in [*key, value]})
    for column in ("instrument_id", "exchange"):
        if instruments and column not in frame:
            frame[column] = None
    frame = frame[[*key, value]].copy()
    frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[ns]")
    frame[value] = frame[value].astype(float)
    for column in key:
        if column != "date":  # one stand-in for NULL, so that keys compare
            frame[column] = frame[column].astype(object).where(frame[column].notna(), "")

    good = np.isfinite(frame[value])
    if value in ("close", "marketcap"):
        good &= frame[value] > 0
    elif value in ("volume", "open_interest_usd"):
        good &= frame[value] >= 0
    frame = frame[good].drop_duplicates()
    if frame.duplicated(key).any():
        raise ValueError(f"{name}: conflicting duplicate keys")
    return frame


def funding_in_decimals(funding: pd.DataFrame, config: Mapping[str, Any]) -> pd.DataFrame:
    """Adds funding_rate in decimals per interval, and funding_rate_1d per day (D7)."""
    default = config.get("funding") or {}
    sources = {source["exchange"]: source for source in default.get("sources") or []}
    rate, rate_1d = [], []
    for day, exchange, value in zip(
        funding["date"], funding["exchange"], funding["funding_rate"], strict=True
    ):
        source = sources.get(exchange, {})
        hours = source.get("interval_hours") or default.get("interval_hours") or 8
        units = source.get("units") or default.get("units") or [{"unit": "decimal"}]
        factor = [
            UNIT[unit["unit"]]
            for unit in units
            if (unit.get("from") is None or pd.Timestamp(unit["from"]) <= day)
            and (unit.get("until") is None or day <= pd.Timestamp(unit["until"]))
        ]
        if len(factor) != 1:
            raise ValueError(f"funding unit on {day:%Y-%m-%d}: {len(factor)} declarations apply")
        rate.append(value * factor[0])
        rate_1d.append(value * factor[0] * 24 / hours)
    return funding.assign(funding_rate=rate, funding_rate_1d=rate_1d)


def funding_by_asset(funding: pd.DataFrame, open_interest: pd.DataFrame) -> pd.DataFrame:
    """One rate per asset-day: mean over instruments, weighted when all have open interest (D3)."""
    key = ["asset_id", "date", "instrument_id", "exchange"]
    joined = funding.merge(open_interest, on=key, how="left")
    joined["n"] = joined.groupby(["asset_id", "date"])["funding_rate"].transform("size")
    single = joined[joined["n"] == 1][["asset_id", "date", "funding_rate", "funding_rate_1d"]]
    rows = []
    for (asset, day), group in joined[joined["n"] > 1].groupby(["asset_id", "date"]):
        weight = group["open_interest_usd"].to_numpy(dtype=float)
        if np.isnan(weight).any() or weight.sum() == 0:
            weight = np.ones(len(group))
        weight = weight / weight.sum()
        rows.append(
            {
                "asset_id": asset,
                "date": day,
                "funding_rate": float((weight * group["funding_rate"].to_numpy()).sum()),
                "funding_rate_1d": float((weight * group["funding_rate_1d"].to_numpy()).sum()),
            }
        )
    return pd.concat([single, pd.DataFrame(rows)], ignore_index=True) if rows else single


@dataclass(frozen=True)
class Panel:
    """The market on the dense grid: arrays of shape (days, assets), NaN where missing."""

    dates: pd.DatetimeIndex
    assets: list[str]
    close: Float
    mcap: Float
    size: Float  # D44
    volume: Float
    open_interest: Float
    funding_rate: Float
    funding_rate_1d: Float
    is_observed: Float
    return_1d: Float
    is_removed: Float  # by a limit of returns
    on_grid: Float
    excluded: Float  # (assets,)

    def column(self, asset: str) -> int | None:
        return self.assets.index(asset) if asset in self.assets else None


def build_panel(
    lake: Path,
    excluded: set[str],
    max_abs_return: float | None = None,
    rank_by: str = "marketcap",
) -> Panel:
    config: dict[str, Any] = {}
    if (lake / "lake.yaml").exists():
        config = yaml.safe_load((lake / "lake.yaml").read_text()) or {}
    max_stale = config.get("max_stale_days", 3)

    price = clean(lake, "fact_price")
    btc_days = price.loc[price["asset_id"] == "BTC", "date"]
    dates = pd.date_range(btc_days.min(), btc_days.max(), freq="D")
    price = price[price["date"] <= dates[-1]]
    assets = sorted(price["asset_id"].unique())

    first = price.groupby("asset_id")["date"].min().reindex(assets).to_numpy()
    last = price.groupby("asset_id")["date"].max().reindex(assets).to_numpy()
    day = dates.to_numpy()[:, None]
    on_grid = (day >= first) & (day <= last + np.timedelta64(max_stale, "D"))

    def on_the_grid(rows: pd.DataFrame, value: str, carry_days: int) -> Float:
        wide = rows[rows["date"] <= dates[-1]].pivot(index="date", columns="asset_id", values=value)
        start = min(dates[0], wide.index.min()) if len(wide) else dates[0]
        wide = wide.reindex(index=pd.date_range(start, dates[-1]), columns=assets).astype(float)
        if carry_days:
            wide = wide.ffill(limit=carry_days)
        return np.where(on_grid, wide.reindex(dates).to_numpy(), np.nan)

    instruments_oi = clean(lake, "fact_open_interest")
    instruments_funding = funding_in_decimals(clean(lake, "fact_funding"), config)
    funding = funding_by_asset(instruments_funding, instruments_oi)
    oi = instruments_oi.groupby(["asset_id", "date"], as_index=False)["open_interest_usd"].sum()

    close = on_the_grid(price, "close", max_stale)
    return_1d = np.full(close.shape, np.nan)
    return_1d[1:] = close[1:] / close[:-1] - 1
    is_removed = np.zeros(close.shape, dtype=bool)
    if max_abs_return is not None:  # D39
        is_removed = np.abs(return_1d) > max_abs_return
        close = np.where(is_removed, np.nan, close)
        return_1d[1:] = close[1:] / close[:-1] - 1

    flagged = set(excluded)
    dim = read_table(lake, "dim_asset")
    if dim is None:
        raise ValueError("dim_asset is missing")
    for flag in [flag for flag in FLAGS if flag in dim]:
        flagged |= set(dim.loc[dim[flag].fillna(False).astype(bool), "asset_id"])

    mcap = on_the_grid(clean(lake, "fact_marketcap"), "marketcap", max_stale)
    volume = on_the_grid(clean(lake, "fact_volume"), "volume", max_stale)
    size = mcap
    if rank_by == "volume_30d":
        size = np.full(volume.shape, np.nan)
        for t in range(29, len(dates)):
            size[t] = np.median(volume[t - 29 : t + 1], axis=0)  # NaN if any is
    return Panel(
        dates=dates,
        assets=assets,
        close=close,
        mcap=mcap,
        size=size,
        volume=volume,
        open_interest=on_the_grid(oi, "open_interest_usd", OI_STALE_DAYS),
        funding_rate=np.where(np.isnan(close), np.nan, on_the_grid(funding, "funding_rate", 0)),
        funding_rate_1d=np.where(
            np.isnan(close), np.nan, on_the_grid(funding, "funding_rate_1d", 0)
        ),
        is_observed=~np.isnan(on_the_grid(price, "close", 0)),
        return_1d=return_1d,
        is_removed=is_removed,
        on_grid=on_grid,
        excluded=np.array([asset in flagged for asset in assets]),
    )


def ranked_mcap(panel: Panel, days: int) -> Float:
    """What alts are admitted and ranked by: the median of so many days, all present (D40)."""
    out = np.full(panel.size.shape, np.nan)
    for t in range(days - 1, len(panel.dates)):
        out[t] = np.median(panel.size[t - days + 1 : t + 1], axis=0)  # NaN if any is
    return out


def alts_by_day(panel: Panel, spec: Mapping[str, Any]) -> Float:
    """Boolean (days, assets): who is an alt at t."""
    universe = spec["universe"]
    never = set(universe["majors"]) | set(universe["exclude_assets"])
    allowed = ~panel.excluded & np.array([asset not in never for asset in panel.assets])
    return (
        allowed
        & ~np.isnan(panel.close)
        & (
            ranked_mcap(panel, spec["target"]["short_leg"]["rank_median_days"])
            >= (universe["min_mcap_usd"] if universe["rank_by"] == "marketcap" else 0)
        )
        & (panel.volume >= spec["target"]["short_leg"]["min_volume_usd"])
    )


def count_removed(panel: Panel, spec: Mapping[str, Any], days: Any) -> int:
    """Asset-days that the limit took: majors, and what was large and liquid enough (D39)."""
    universe = spec["universe"]
    majors = np.array([asset in universe["majors"] for asset in panel.assets])
    excluded = panel.excluded | np.array(
        [asset in universe["exclude_assets"] for asset in panel.assets]
    )
    counts = majors | (
        ~excluded
        & ((panel.mcap >= universe["min_mcap_usd"]) | (universe["rank_by"] != "marketcap"))
        & (panel.volume >= spec["target"]["short_leg"]["min_volume_usd"])
    )
    return int((panel.is_removed & counts)[days].sum())
