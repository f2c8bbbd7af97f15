"""The lake as the methodology reads it: rows, units, the grid, alts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

OI_STALE_DAYS = 7
SUPPLY_STALE = pd.Timedelta(31, "D")
NAN = float("nan")
UNIT = {"decimal": 1.0, "percent": 1e-2, "bps": 1e-4}
FLAGS = ["is_stable", "is_wrapped", "is_wrapped_stable", "is_exchange_token"]
VALUES = {
    "fact_price": ["close"],
    "fact_marketcap": ["marketcap"],
    "fact_volume": ["volume"],
    "fact_supply": ["circulating_supply"],
    "fact_funding": ["funding_rate", "funding_rate_1d_sum", "interval_hours"],
    "fact_open_interest": ["open_interest_usd"],
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


def config_of(lake: Path) -> dict[str, Any]:
    """What lake.yaml says."""
    if (lake / "lake.yaml").exists():
        return yaml.safe_load((lake / "lake.yaml").read_text()) or {}
    return {}


def aliased(frame: pd.DataFrame, lake: Path, name: str) -> pd.DataFrame:
    """Rows under the ids of their assets, row by row (D44)."""
    aliases = config_of(lake).get("aliases") or []
    frame = frame.copy()
    for place, day, id_ in zip(frame.index, frame["date"], frame["asset_id"], strict=True):
        for alias in aliases:
            begins, ends = alias.get("from"), alias.get("until")
            if (
                alias["id"] != id_
                or (begins is not None and day < pd.Timestamp(begins))
                or (ends is not None and day > pd.Timestamp(ends))
            ):
                continue
            frame.loc[place, "asset_id"] = alias["asset_id"]
            multiple = alias.get("multiple", 1)
            if name == "fact_price":
                frame.loc[place, "close"] /= multiple
            if name == "fact_supply":
                frame.loc[place, "circulating_supply"] *= multiple
            if "instrument_id" in frame and frame.loc[place, "instrument_id"] == "":
                frame.loc[place, "instrument_id"] = id_
    return frame


def clean(lake: Path, name: str) -> pd.DataFrame:
    """Typed rows without impossible values and without duplicate keys (D1, D2)."""
    values = VALUES[name]
    instruments = name in ("fact_funding", "fact_open_interest")
    key = ["asset_id", "date"] + (["instrument_id", "exchange"] if instruments else [])
    frame = read_table(lake, name)
    if frame is None:
        frame = pd.DataFrame({column: [] for column in [*key, *values]})
    for column in ("instrument_id", "exchange"):
        if instruments and column not in frame:
            frame[column] = None
    for column in values:
        if column not in frame:
            frame[column] = np.nan
    frame = frame[[*key, *values]].copy()
    frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[ns]")
    for column in values:
        frame[column] = frame[column].astype(float)
    for column in key:
        if column != "date":  # one stand-in for NULL, so that keys compare
            frame[column] = frame[column].astype(object).where(frame[column].notna(), "")
    frame = aliased(frame, lake, name)

    number = frame[values[0]]
    if name == "fact_funding":  # a row's number is its sum, if it has one (D45)
        number = frame["funding_rate_1d_sum"].where(
            frame["funding_rate_1d_sum"].notna(), frame["funding_rate"]
        )
    good = np.isfinite(number)
    if name in ("fact_price", "fact_marketcap", "fact_supply"):
        good &= number > 0
    elif name in ("fact_volume", "fact_open_interest"):
        good &= number >= 0
    else:
        hours = frame["interval_hours"]
        good &= hours.isna() | ((hours > 0) & (hours <= 24))
    frame = frame[good].drop_duplicates()
    if name == "fact_funding":
        frame = completed(frame, key)
    if frame.duplicated(key).any():
        raise ValueError(f"{name}: conflicting duplicate keys")
    return frame


def completed(frame: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Rows of one key say one thing together, where none contradicts another (D45)."""
    again = frame.duplicated(key, keep=False)
    rows = []
    for _, group in frame[again].groupby(key):
        said = {column: group[column].dropna().unique() for column in VALUES["fact_funding"]}
        if any(len(values) > 1 for values in said.values()):
            raise ValueError(f"fact_funding: conflicting duplicate keys {group.iloc[0].tolist()}")
        row = {column: values[0] if len(values) else np.nan for column, values in said.items()}
        rows.append({**{column: group[column].iloc[0] for column in key}, **row})
    return pd.concat([frame[~again], pd.DataFrame(rows)], ignore_index=True) if rows else frame


def funding_in_decimals(funding: pd.DataFrame, config: Mapping[str, Any]) -> pd.DataFrame:
    """Adds funding_rate_8h and funding_rate_1d, in decimals (D7, D45)."""
    default = config.get("funding") or {}
    sources = {source["exchange"]: source for source in default.get("sources") or []}
    rate_8h, rate_1d = [], []
    for row in funding.itertuples():
        source = sources.get(row.exchange, {})
        hours = source.get("interval_hours") or default.get("interval_hours") or 8
        if not np.isnan(row.interval_hours):
            hours = row.interval_hours
        units = source.get("units") or default.get("units") or [{"unit": "decimal"}]
        factor = [
            UNIT[unit["unit"]]
            for unit in units
            if (unit.get("from") is None or pd.Timestamp(unit["from"]) <= row.date)
            and (unit.get("until") is None or row.date <= pd.Timestamp(unit["until"]))
        ]
        if len(factor) != 1:
            raise ValueError(
                f"funding unit on {row.date:%Y-%m-%d}: {len(factor)} declarations apply"
            )
        day = row.funding_rate_1d_sum
        if np.isnan(day):
            day = row.funding_rate * 24 / hours
        rate_1d.append(day * factor[0])
        rate_8h.append(day * factor[0] / 3)
    return funding.assign(funding_rate_8h=rate_8h, funding_rate_1d=rate_1d)


def marketcaps(lake: Path, price: pd.DataFrame, max_stale: int) -> pd.DataFrame:
    """Market caps, and close times supply where none of them is carried (D46)."""
    known, supply = clean(lake, "fact_marketcap"), clean(lake, "fact_supply")
    rows = []
    for asset, closes in price.groupby("asset_id"):
        caps = known.loc[known["asset_id"] == asset, "date"].to_numpy()
        supplies = supply[supply["asset_id"] == asset].sort_values("date")
        for day, close in zip(closes["date"], closes["close"], strict=True):
            carried = caps[(caps <= day) & (caps >= day - pd.Timedelta(max_stale, "D"))]
            before = supplies[supplies["date"] <= day]
            if len(carried) or before.empty or day - before["date"].iloc[-1] > SUPPLY_STALE:
                continue
            cap = close * before["circulating_supply"].iloc[-1]
            if cap < 1e15:
                rows.append({"asset_id": asset, "date": day, "marketcap": cap, "is_derived": 1.0})
    own = known.assign(is_derived=0.0)
    return pd.concat([own, pd.DataFrame(rows)], ignore_index=True) if rows else own


def funding_by_asset(funding: pd.DataFrame, open_interest: pd.DataFrame) -> pd.DataFrame:
    """One rate per asset-day: mean over instruments, weighted when all have open interest (D3)."""
    key = ["asset_id", "date", "instrument_id", "exchange"]
    joined = funding.merge(open_interest, on=key, how="left")
    joined["n"] = joined.groupby(["asset_id", "date"])["funding_rate_1d"].transform("size")
    single = joined[joined["n"] == 1][["asset_id", "date", "funding_rate_8h", "funding_rate_1d"]]
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
                "funding_rate_8h": float((weight * group["funding_rate_8h"].to_numpy()).sum()),
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
    size: Float  # D47
    is_derived: Float  # whether mcap is close times supply, 0 or 1
    volume: Float
    open_interest: Float
    funding_rate_8h: Float
    funding_rate_1d: Float
    is_observed: Float
    return_1d: Float
    is_removed: Float  # by a limit of returns
    age_days: Float  # from the first price, both days counted
    listings: pd.DataFrame  # dim_listing, aliases resolved
    excluded: Float  # (assets,)

    def column(self, asset: str) -> int | None:
        return self.assets.index(asset) if asset in self.assets else None


def build_panel(
    lake: Path,
    excluded: set[str],
    max_abs_return: float | None = None,
    rank_by: str = "marketcap",
) -> Panel:
    config = config_of(lake)
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

    caps = marketcaps(lake, price, max_stale)
    mcap = on_the_grid(caps, "marketcap", max_stale)
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
        is_derived=on_the_grid(caps, "is_derived", max_stale),
        volume=volume,
        open_interest=on_the_grid(oi, "open_interest_usd", OI_STALE_DAYS),
        funding_rate_8h=np.where(
            np.isnan(close), np.nan, on_the_grid(funding, "funding_rate_8h", 0)
        ),
        funding_rate_1d=np.where(
            np.isnan(close), np.nan, on_the_grid(funding, "funding_rate_1d", 0)
        ),
        is_observed=~np.isnan(on_the_grid(price, "close", 0)),
        return_1d=return_1d,
        is_removed=is_removed,
        age_days=(day - first) / np.timedelta64(1, "D") + 1,
        listings=listings_of(lake),
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
        & (panel.age_days >= universe["min_history_days"])
        & tradable(panel, universe["listed_on"])
    )


def listings_of(lake: Path) -> pd.DataFrame:
    """Return the perpetuals of the lake; no row when it says nothing of them (D48)."""
    rows = read_table(lake, "dim_listing")
    if rows is None:
        return pd.DataFrame(columns=["asset_id", "exchange", "listed", "delisted"])
    rows = rows.dropna(subset=["asset_id", "exchange", "listed"])
    if "delisted" not in rows:
        rows = rows.assign(delisted=pd.NaT)
    return rows.assign(
        listed=pd.to_datetime(rows["listed"]), delisted=pd.to_datetime(rows["delisted"])
    )


def tradable(panel: Panel, exchanges: list[str]) -> Float:
    """Boolean (days, assets): an open perpetual at the close of t on one of the exchanges (D48)."""
    out = np.zeros(panel.close.shape, dtype=bool)
    if not exchanges:
        return ~out
    for row in panel.listings[panel.listings["exchange"].isin(exchanges)].itertuples():
        column = panel.column(row.asset_id)
        if column is not None:
            gone = panel.dates >= row.delisted if pd.notna(row.delisted) else False
            out[:, column] |= np.asarray((panel.dates >= row.listed) & ~np.asarray(gone))
    return out


def derived_share(panel: Panel, alts: Float, days: Any) -> float | None:
    """Share of the days of alts whose market cap is close times supply (D46)."""
    held = alts[days]
    # an alt without a market cap (D47) has none that is derived
    return float(np.nan_to_num(panel.is_derived[days][held]).mean()) if held.any() else None


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
