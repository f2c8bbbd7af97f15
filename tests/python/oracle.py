"""A second implementation of the methodology, in plain pandas and numpy, with loops over days.

It is what the dbt project is held against, so it was written from the methodology page alone and
shares no code with the project. Clarity over speed. It has no inference (no bootstrap, no p-values
of edges).

    result = run(Path("lake"), spec)            # spec: a resolved experiment
    python tests/python/oracle.py LAKE SPEC.json OUT_FOLDER

Missing numbers are NaN in the frames, None in the dicts. Dates are midnight timestamps.

Decisions taken where the methodology is silent or can be read in more than one way
-----------------------------------------------------------------------------------
Lake
 D1  Impossible and NULL values are dropped first, duplicate keys are looked at afterwards. "Every
     value agrees" looks at the value column only. A price row with an impossible close does not
     exist (is_observed false, and it does not start or end an asset's grid).
 D2  NULL (or absent) instrument_id and exchange are values of their own: two rows of one asset-day
     that both have NULL are duplicates, and a funding row meets the open interest row with the
     same instrument and exchange, NULL meeting NULL.
 D3  The open interest that weights instruments is that same day's, not carried. Weights that sum
     to 0: plain mean. All instruments of the asset-day must have it, else plain mean. The daily
     rate uses the same weights.
 D4  Open interest is summed over the instruments that have a row on that day, then the sum is
     carried (7 days after its day), not each instrument.
 D5  A value dated before an asset's first price row (or before the first BTC close) can be carried
     onto the grid; grid days themselves start at the later of the asset's first price row and the
     first BTC close. A return needs both days on the grid. Volume, mcap, open interest and funding
     off the grid do not exist, nor does funding on a day without a carried close: whether prices
     follow behind the gap, so that the day is on the grid, is not known on it.
 D6  "From its first price row to max_stale_days after its last one": rows after the last BTC close
     do not count.
 D7  Funding units: `from`/`until` inclusive; a source override replaces interval_hours and/or
     units, what it does not say comes from the default. Exchange names are compared case-
     sensitively.
Universe
 D8  Majors stay majors whatever the flags say. NULL flags are false. is_wrapped_stable excludes
     too.
Features
 D9  f_i in funding_skew is the decimal rate per interval (funding_rate), not per day; see
     FUNDING_IN_FEATURES.
 D10 "Has open interest" (oi_coverage, fallback) means carried open interest above 0. The share is
     taken per group, min_oi_coverage is compared with the lower of the two, whatever the
     weighting; a day equal to it is kept.
 D11 Weighting mcap: as oi with carried mcap in its place, with the same fallback (a major may lack
     an mcap). equal and median use every asset with a rate and never count as fallback. A group
     without any rate: NULL.
 D12 A day without alts has total alt volume NULL (not 0), so liquidity is NULL for 7 days.
 D13 volatility_spread, momentum, momentum_alt_Nd: an asset needs every return of its window;
     "majors present" are those that have their window. Alt index: returns of alts(t-1), also of
     those that are no alts at t.
 D14 liquidity_pct_at_30d_high: the denominator is the alts with all 30 carried volumes.
 D15 liquidity_z_delta uses 60 days whatever zscore_window_days says. Slopes need all N values.
 D16 A window whose values are all equal has std 0 exactly (z NULL), whatever rounding of the mean
     would say.
 D17 oi_risk: a BTC close equal to the one of 3 days ago gives the factor 0.5.
Score and states
 D18 "Without coverage" means feature_coverage <= min_coverage, on the first day and on later days
     alike.
 D19 On such a later day: score NULL, EMA not updated (it goes on from its last value), state
     carried, age counts on. It is a classified day: in returns, stability, distribution and regime
     statistics.
 D20 The reported score is the one after EMA and gate. Age is 0 on the day a state is entered.
Basket and positions
 D21 A rebalance day without coverage is skipped, not postponed.
 D22 No basket: both legs go to 0 at that day's trade; r_alts and y are NULL from the next day up
     to and including the next rebalance day with a basket (the return into it is not held).
     r_majors goes on; the reported position_scale is 0 while flat. Scale changes on flat days
     trade nothing.
 D23 The forced exit of an asset without a close happens on days without coverage too, and with its
     leg's scale at 0 it only leaves the composition. It concerns long-leg assets too. Its weight
     stays cash even if its close comes back.
 D24 An asset of a basket (or long leg) without a close on the day of the trade (with a lag, or a
     major) is not bought: its weight is cash until the next rebalance day.
 D25 With a lag L, r_alts and r_majors are NULL up to and including day L after the first decision
     day; r_btc is NULL on the first decision day only. Stale exits are not lagged. Decisions of
     the last L days are never traded.
 D26 With a lag the scale in force is the one decided L days ago; position_scale(t) is the one in
     force at the close of t-1; 0 on the first day. The composition traded at t+L is the basket of
     t with its weights of t.
 D27 Trade days: rebalance days with coverage, and days whose state's scale differs from the day
     before's.
 D28 Impact needs sigma_20d with all 20 returns (general rule) and a positive ADV from at least 10
     of 20 carried volumes, both at the day of the trade (t + L with a lag); else impact is 0 for
     that trade. Forced exits are trades like any other. impact_coverage is the priced share of
     turnover.
 D29 A funding row on a day when the asset is off the grid does not exist (D5), so it counts as
     missing.
Evaluation
 D30 Y is NULL when any r_alts or r_btc of its days is NULL. With a lag, t + L + h must lie inside
     the window.
 D31 n counts days with Y. Spells are stays in the classified series; those with at least one
     counted day are counted. Rows exist for regimes with n > 0 only. n_spells of the spread is the
     smaller one of its two regimes.
 D32 Best and worst state present: among days with Y. With one state present edge_best and
     edge_worst are its edge.
 D33 Skewness and kurtosis are population moments (m3 / m2^1.5, m4 / m2^2); the PSR has benchmark
     0, uses them and the daily Sharpe ratio with ddof = 1, sqrt(n - 1).
 D34 drawdown <= 0; Calmar = CAGR / |max drawdown|. The length of the max drawdown is in days from
     its peak to recovery, or to the last day. peak_to_trough and longest_underwater are given
     beside it.
 D35 Average gross exposure and invested days use the weights held into the day (after the trades
     of t-1). Average turnover is per day; drags per year are 365 times the daily mean.
 D36 equity_* of the returns frame compound over all days of the window, the first one included.
 D37 The features frame has decision days only (features_all has all grid days). The distribution
     has every state of the machine, with 0 for absent ones.
 D38 Sums of weights (coverage, score) are plain floating-point sums in the order of the features
     list; coverage is compared with min_coverage as it comes.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import stats

FUNDING_IN_FEATURES = "funding_rate"  # D9; the other reading is "funding_rate_1d"
OI_STALE_DAYS = 7
NAN = float("nan")
UNIT = {"decimal": 1.0, "percent": 1e-2, "bps": 1e-4}
STATES = {
    5: [
        "STRONG_RISK_ON_ALTS",
        "WEAK_RISK_ON_ALTS",
        "BALANCED",
        "WEAK_RISK_ON_MAJORS",
        "STRONG_RISK_ON_MAJORS",
    ],
    3: ["RISK_ON_ALTS", "BALANCED", "RISK_ON_MAJORS"],
}
FLAGS = ["is_stable", "is_wrapped", "is_wrapped_stable", "is_exchange_token"]
VALUES = {
    "fact_price": "close",
    "fact_marketcap": "marketcap",
    "fact_volume": "volume",
    "fact_funding": "funding_rate",
    "fact_open_interest": "open_interest_usd",
}
Float = np.ndarray


# ---------------------------------------------------------------------- lake


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
    volume: Float
    open_interest: Float
    funding_rate: Float
    funding_rate_1d: Float
    is_observed: Float
    return_1d: Float
    excluded: Float  # (assets,)

    def column(self, asset: str) -> int | None:
        return self.assets.index(asset) if asset in self.assets else None


def build_panel(lake: Path, excluded: set[str]) -> Panel:
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

    flagged = set(excluded)
    dim = read_table(lake, "dim_asset")
    if dim is None:
        raise ValueError("dim_asset is missing")
    for flag in [flag for flag in FLAGS if flag in dim]:
        flagged |= set(dim.loc[dim[flag].fillna(False).astype(bool), "asset_id"])

    return Panel(
        dates=dates,
        assets=assets,
        close=close,
        mcap=on_the_grid(clean(lake, "fact_marketcap"), "marketcap", max_stale),
        volume=on_the_grid(clean(lake, "fact_volume"), "volume", max_stale),
        open_interest=on_the_grid(oi, "open_interest_usd", OI_STALE_DAYS),
        funding_rate=np.where(np.isnan(close), np.nan, on_the_grid(funding, "funding_rate", 0)),
        funding_rate_1d=np.where(
            np.isnan(close), np.nan, on_the_grid(funding, "funding_rate_1d", 0)
        ),
        is_observed=~np.isnan(on_the_grid(price, "close", 0)),
        return_1d=return_1d,
        excluded=np.array([asset in flagged for asset in assets]),
    )


def alts_by_day(panel: Panel, spec: Mapping[str, Any]) -> Float:
    """Boolean (days, assets): who is an alt at t."""
    universe = spec["universe"]
    never = set(universe["majors"]) | set(universe["exclude_assets"])
    allowed = ~panel.excluded & np.array([asset not in never for asset in panel.assets])
    return (
        allowed
        & ~np.isnan(panel.close)
        & (panel.mcap >= universe["min_mcap_usd"])
        & (panel.volume >= spec["target"]["short_leg"]["min_volume_usd"])
    )


# ---------------------------------------------------------------------- features


def trailing(x: Float, n: int, function: Callable[[Float], Any]) -> Float:
    """function over the last n rows, NaN unless all n values are there (column by column)."""
    out = np.full(x.shape, np.nan)
    for t in range(n - 1, len(x)):
        window = x[t - n + 1 : t + 1]
        if x.ndim == 1:
            if not np.isnan(window).any():
                out[t] = function(window)
        else:
            full = ~np.isnan(window).any(axis=0)
            out[t, full] = function(window[:, full])
    return out


def mean(window: Float) -> Any:
    return np.mean(window, axis=0)


def median(window: Float) -> Any:
    return np.median(window, axis=0)


def std(window: Float) -> Any:
    spread = np.std(window, axis=0, ddof=1)
    return np.where(np.ptp(window, axis=0) == 0, 0.0, spread)


def slope(window: Float) -> float:
    day = np.arange(len(window)) - (len(window) - 1) / 2
    return float((day * window).sum() / (day**2).sum())


def change(x: Float, n: int) -> Float:
    out = np.full(len(x), np.nan)
    out[n:] = x[n:] - x[:-n]
    return out


def z_score(x: Float, n: int) -> Float:
    out = np.full(len(x), np.nan)
    for t in range(n - 1, len(x)):
        window = x[t - n + 1 : t + 1]
        if not np.isnan(window).any() and np.ptp(window) > 0:
            out[t] = (x[t] - window.mean()) / window.std(ddof=1)
    return out


class Features:
    """Raw values by feature id, each an array over the grid's days."""

    def __init__(self, panel: Panel, alts: Float, majors: Sequence[str]) -> None:
        self.panel = panel
        self.alts = alts
        self.days = range(len(panel.dates))
        self.majors = np.array([asset in majors for asset in panel.assets])
        self.btc = panel.assets.index("BTC")
        self.funding_notes: dict[str, pd.DataFrame] = {}

    def raw(self, feature_id: str, params: Mapping[str, Any]) -> Float:
        if feature_id in ("funding_skew", "funding_heating"):
            weighting = params.get("weighting", "oi")
            minimum = params.get("min_oi_coverage", 0.0)
            skew = self.funding_skew(feature_id, weighting, minimum)
            if feature_id == "funding_skew":
                return skew
            return trailing(skew, 10, mean) - trailing(skew, 20, mean)
        return getattr(self, feature_id)()

    # breadth

    def breadth_returns(self, t: int) -> Float:
        """Returns of the alts that have one and really traded that day."""
        returns = self.panel.return_1d[t, self.alts[t] & self.panel.is_observed[t]]
        return returns[~np.isnan(returns)]

    def over_breadth(self, function: Callable[[Float], Any]) -> Float:
        samples = [self.breadth_returns(t) for t in self.days]
        return np.array([function(r) if len(r) else NAN for r in samples], dtype=float)

    def alt_breadth(self) -> Float:
        return self.over_breadth(lambda r: 100 * np.mean(r > 0))

    def alt_breadth_median_return(self) -> Float:
        return self.over_breadth(np.median)

    def alt_breadth_iqr(self) -> Float:
        return self.over_breadth(lambda r: np.quantile(r, 0.75) - np.quantile(r, 0.25))

    def alt_breadth_slope_5d(self) -> Float:
        return trailing(self.alt_breadth(), 5, slope)

    def alt_breadth_slope_20d(self) -> Float:
        return trailing(self.alt_breadth(), 20, slope)

    # dominance

    def btc_dominance(self) -> Float:
        out = np.full(len(self.days), np.nan)
        for t in self.days:
            if self.alts[t].any():
                btc = self.panel.mcap[t, self.btc]
                out[t] = btc / (btc + self.panel.mcap[t, self.alts[t]].sum())
        return out

    def btc_dominance_change_1d(self) -> Float:
        return change(self.btc_dominance(), 1)

    def btc_dominance_change_5d(self) -> Float:
        return change(self.btc_dominance(), 5)

    # funding

    def funding_group(self, t: int, group: Float, weighting: str) -> tuple[float, bool, float]:
        """(rate of the group, fell back, share of its funding assets with open interest)."""
        rate = getattr(self.panel, FUNDING_IN_FEATURES)[t]
        have = group & ~np.isnan(rate)
        if not have.any():
            return NAN, False, NAN
        oi_coverage = float(np.mean(self.panel.open_interest[t, have] > 0))
        if weighting == "equal":
            return float(rate[have].mean()), False, oi_coverage
        if weighting == "median":
            return float(np.median(rate[have])), False, oi_coverage
        weight = (self.panel.open_interest if weighting == "oi" else self.panel.mcap)[t]
        weighted = have & (weight > 0)
        if not weighted.any():
            return float(rate[have].mean()), True, oi_coverage
        value = (rate[weighted] * weight[weighted]).sum() / weight[weighted].sum()
        return float(value), False, oi_coverage

    def funding_skew(self, feature_id: str, weighting: str, min_oi_coverage: float) -> Float:
        out = np.full(len(self.days), np.nan)
        notes = []
        for t in self.days:
            alt, alt_fell_back, alt_share = self.funding_group(t, self.alts[t], weighting)
            major, major_fell_back, major_share = self.funding_group(t, self.majors, weighting)
            shares = [share for share in (alt_share, major_share) if not np.isnan(share)]
            coverage = min(shares) if shares else NAN
            if coverage >= min_oi_coverage:
                out[t] = alt - major
            notes.append(
                {
                    "date": self.panel.dates[t],
                    "f_alt": alt,
                    "f_maj": major,
                    "oi_coverage_alt": alt_share,
                    "oi_coverage_maj": major_share,
                    "fallback": alt_fell_back or major_fell_back,
                }
            )
        self.funding_notes[feature_id] = pd.DataFrame(notes)
        return out

    # liquidity

    def liquidity(self) -> Float:
        volume = self.panel.volume
        total = [volume[t, a].sum() if a.any() else NAN for t, a in enumerate(self.alts)]
        return trailing(np.array(total, dtype=float), 7, median)

    def liquidity_z_delta(self) -> Float:
        return change(z_score(self.liquidity(), 60), 1)

    def liquidity_pct_at_30d_high(self) -> Float:
        out = np.full(len(self.days), np.nan)
        for t in range(29, len(self.days)):
            window = self.panel.volume[t - 29 : t + 1, self.alts[t]]
            window = window[:, ~np.isnan(window).any(axis=0)]
            if window.shape[1]:
                out[t] = 100 * np.mean(window[-1] == window.max(axis=0))
        return out

    # volatility, momentum, risk

    def volatility_spread(self) -> Float:
        index = np.full(len(self.days), np.nan)
        for t in self.days[1:]:
            members = self.alts[t - 1] & ~np.isnan(self.panel.return_1d[t])
            if members.any():
                weight = self.panel.mcap[t - 1, members]
                index[t] = (weight * self.panel.return_1d[t, members]).sum() / weight.sum()
        btc = self.panel.return_1d[:, self.btc]
        return trailing(index, 7, std) - trailing(btc, 7, std)

    def momentum_of_alts(self, n: int) -> Float:
        means = trailing(self.panel.return_1d, n, mean)
        out = np.full(len(self.days), np.nan)
        for t in self.days:
            values = means[t, self.alts[t]]
            values = values[~np.isnan(values)]
            if len(values):
                out[t] = np.median(values)
        return out

    def momentum_of_majors(self, n: int) -> Float:
        means = trailing(self.panel.return_1d, n, mean)
        out = np.full(len(self.days), np.nan)
        for t in self.days:
            values = means[t, self.majors]
            values = values[~np.isnan(values)]
            if len(values):
                out[t] = values.mean()
        return out

    def momentum(self) -> Float:
        return self.momentum_of_alts(7) - self.momentum_of_majors(7)

    def momentum_spread_3d(self) -> Float:
        return self.momentum_of_alts(3) - self.momentum_of_majors(3)

    def momentum_alt_3d(self) -> Float:
        return self.momentum_of_alts(3)

    def momentum_alt_7d(self) -> Float:
        return self.momentum_of_alts(7)

    def oi_risk(self) -> Float:
        out = np.full(len(self.days), np.nan)
        for t in self.days[3:]:
            now, then = self.panel.open_interest[[t, t - 3], self.btc]
            close_now, close_then = self.panel.close[[t, t - 3], self.btc]
            if not np.isnan([now, then, close_now, close_then]).any() and then != 0:
                growth = min(max(100 * (now / then - 1), 0.0) / 50, 1.0)
                out[t] = growth * (1.0 if close_now > close_then else 0.5)
        return out


# ---------------------------------------------------------------------- states


def classify(score: float, cuts: Sequence[float]) -> int:
    """Number of the state; a score on a cut belongs to the state nearer to BALANCED."""
    balanced = len(cuts) // 2
    state = balanced
    while state > 0 and score < cuts[state - 1]:
        state -= 1
    while state < len(cuts) and score > cuts[state]:
        state += 1
    return state


def next_state(
    state: int, age: int, score: float, cuts: Sequence[float], mapping: Mapping[str, Any]
) -> int:
    balanced = len(cuts) // 2
    persistence, bands = mapping["persistence"], mapping["hysteresis"]
    young = age < persistence["min_duration_days"]
    multiplier = 1.0
    if young and persistence["requires_stronger_signal"]:
        multiplier = 1.5
    elif young:
        return state

    raw = classify(score, cuts)
    while state != raw:
        step = 1 if raw > state else -1
        if state < balanced and step == 1:  # from an ALTS state towards BALANCED
            free = score > cuts[state] + bands["high_band"] * multiplier
        elif state > balanced and step == -1:  # from a MAJORS state towards BALANCED
            free = score < cuts[state - 1] + bands["low_band"] * multiplier
        else:  # away from BALANCED: raw lies beyond
            free = True
        if not free:
            break
        state += step
    return state


# ---------------------------------------------------------------------- portfolio


def choose_basket(
    panel: Panel, alts_today: Float, t: int, leg: Mapping[str, Any]
) -> list[tuple[int, float]]:
    """[(asset column, weight)] in rank order; empty without alts."""
    columns = sorted(np.flatnonzero(alts_today), key=lambda i: (-panel.mcap[t, i], panel.assets[i]))
    columns = columns[: leg["n"]]
    size = [1.0 if leg["weighting"] == "equal" else float(panel.mcap[t, i]) for i in columns]
    return [(int(i), s / sum(size)) for i, s in zip(columns, size, strict=True)]


def impact_bps(panel: Panel, t: int, i: int, trade: float, backtest: Mapping[str, Any]) -> float:
    """Square-root impact of one trade, NaN when sigma or ADV is unknown."""
    if t < 19:
        return NAN
    returns = panel.return_1d[t - 19 : t + 1, i]
    volumes = panel.volume[t - 19 : t + 1, i]
    volumes = volumes[~np.isnan(volumes)]
    if np.isnan(returns).any() or len(volumes) < 10 or volumes.mean() <= 0:
        return NAN
    share = abs(trade) * backtest["capital_usd"] / volumes.mean()
    sigma = float(std(returns))
    return float(10_000 * backtest["impact_coefficient"] * sigma * np.sqrt(share))


def simulate(
    panel: Panel,
    alts: Float,
    spec: Mapping[str, Any],
    days: Sequence[int],
    regimes: Sequence[str],
    covered: Sequence[bool],
) -> dict[str, pd.DataFrame]:
    """The portfolio's life; `days` are grid rows, one per decision day, without gaps."""
    backtest, target = spec["backtest"], spec["target"]
    lag, costs, gross = backtest["execution_lag_days"], backtest["costs"], backtest["gross"]
    fee_bps = costs["taker_fee_bps"] + costs["slippage_bps"]
    long_leg = {panel.column(asset): w for asset, w in target["long_leg"]["weights"].items()}
    btc = panel.assets.index("BTC")
    scales = [float(backtest["position_scale"].get(regime, 0.0)) for regime in regimes]

    def is_rebalance_day(k: int) -> bool:
        if not covered[k]:
            return False
        if k == 0:
            return True
        if backtest.get("rebalance_weekday"):
            return panel.dates[days[k]].day_name().lower() == backtest["rebalance_weekday"].lower()
        return k % backtest["rebalance_frequency_days"] == 0

    short: dict[int, float] | None = (
        None  # the legs' compositions; None: nothing held yet, or no basket
    )
    long: dict[int, float] | None = None
    weights: dict[int, float] = {}  # signed, of the strategy
    scale_in_force, flat = 0.0, False
    basket_rows: list[dict[str, Any]] = []
    baskets: dict[int, list[tuple[int, float]]] = {}
    daily: list[dict[str, Any]] = []
    trade_rows: list[dict[str, Any]] = []
    position_rows: list[dict[str, Any]] = []

    for k, t in enumerate(days):
        if is_rebalance_day(k):
            baskets[k] = choose_basket(panel, alts[t], t, target["short_leg"])
            for rank, (i, weight) in enumerate(baskets[k], start=1):
                basket_rows.append(
                    {
                        "date": panel.dates[t],
                        "asset_id": panel.assets[i],
                        "rank": rank,
                        "marketcap_usd": panel.mcap[t, i],
                        "weight": weight,
                    }
                )

        # 1. the day's returns and funding on what was held into it
        def day_return(i: int, t: int = t) -> float:
            r = panel.return_1d[t, i]
            return 0.0 if np.isnan(r) else float(r)

        held_scale = 0.0 if flat else scale_in_force
        held_gross = sum(abs(w) for w in weights.values())
        r_short = NAN if short is None else sum(c * day_return(i) for i, c in short.items())
        r_long = NAN if long is None else sum(c * day_return(i) for i, c in long.items())
        r_gross = sum(w * day_return(i) for i, w in weights.items())
        rates = {i: float(panel.funding_rate_1d[t, i]) for i in weights}
        funding = sum(w * rates[i] for i, w in weights.items() if not np.isnan(rates[i]))
        with_rate = sum(abs(w) for i, w in weights.items() if not np.isnan(rates[i]))
        if not costs["funding_enabled"]:
            funding = 0.0

        # 2. drift
        drifted = {i: w * (1 + day_return(i)) / (1 + r_gross) for i, w in weights.items()}
        if short is not None:
            short = {i: c * (1 + day_return(i)) / (1 + r_short) for i, c in short.items()}
        if long is not None:
            long = {i: c * (1 + day_return(i)) / (1 + r_long) for i, c in long.items()}

        # 3. what has no close any more leaves
        def alive(composition: dict[int, float], t: int = t) -> dict[int, float]:
            return {i: c for i, c in composition.items() if not np.isnan(panel.close[t, i])}

        weights_after = alive(drifted)
        short = None if short is None else alive(short)
        long = None if long is None else alive(long)

        # 4. the decision of `lag` days ago is traded
        j = k - lag
        rebalance = j in baskets
        if rebalance:
            flat = not baskets[j]
            short = alive(dict(baskets[j])) if baskets[j] else None
            long = alive({i: w for i, w in long_leg.items() if i is not None})
        changed = j > 0 and covered[j] and scales[j] != scales[j - 1]
        if rebalance or changed:
            scale_in_force = scales[j]
            weights_after = {}
            if not flat:
                for sign, size, leg in ((1, gross["long"], long), (-1, gross["short"], short)):
                    for i, c in (leg or {}).items():
                        weights_after[i] = sign * size * scale_in_force * c

        # 5. costs
        turnover = cost = priced = 0.0
        for i in sorted(set(drifted) | set(weights_after)):
            trade = weights_after.get(i, 0.0) - drifted.get(i, 0.0)
            if trade == 0:
                continue
            impact = 0.0
            if backtest["capital_usd"] is not None:
                impact = impact_bps(panel, t, i, trade, backtest)
                priced += 0.0 if np.isnan(impact) else abs(trade)
                impact = 0.0 if np.isnan(impact) else impact
            turnover += abs(trade)
            cost += abs(trade) * (fee_bps + impact) / 10_000
            trade_rows.append(
                {
                    "date": panel.dates[t],
                    "asset_id": panel.assets[i],
                    "w_before": drifted.get(i, 0.0),
                    "w_after": weights_after.get(i, 0.0),
                    "trade": trade,
                    "impact_bps": impact,
                    "cost": abs(trade) * (fee_bps + impact) / 10_000,
                }
            )
        weights = {i: w for i, w in weights_after.items() if w != 0}
        for name, leg in (("alts", short), ("majors", long)):
            position_rows.extend(
                {
                    "date": panel.dates[t],
                    "leg": name,
                    "asset_id": panel.assets[i],
                    "composition": c,
                    "weight": weights.get(i, 0.0),
                }
                for i, c in (leg or {}).items()
            )

        r_btc = NAN if k == 0 else float(panel.return_1d[t, btc])
        daily.append(
            {
                "date": panel.dates[t],
                "r_alts": r_short,
                "r_majors": r_long,
                "r_btc": r_btc,
                "y": r_short - r_btc,
                "position_scale": held_scale,
                "r_gross": r_gross,
                "turnover": turnover,
                "cost": cost,
                "funding": funding,
                "r_net": r_gross - cost - funding,
                "held_gross_weight": held_gross,
                "funding_coverage": with_rate / held_gross if held_gross else NAN,
                "impact_coverage": priced / turnover if turnover else NAN,
                "is_rebalance_trade": rebalance,
                "is_scale_trade": changed,
            }
        )

    returns = pd.DataFrame(daily)
    for kind in ("gross", "net"):
        returns[f"equity_{kind}"] = np.cumprod(1 + returns[f"r_{kind}"].to_numpy())
    returns["drawdown_net"] = drawdowns(returns["equity_net"].to_numpy())
    columns = ["date", "asset_id", "rank", "marketcap_usd", "weight"]
    return {
        "basket": pd.DataFrame(basket_rows, columns=columns),
        "returns": returns,
        "trades": pd.DataFrame(trade_rows),
        "positions": pd.DataFrame(position_rows),
    }


def test_day_labels(n_days: int, backtest: Mapping[str, Any]) -> list[bool]:
    if not backtest["walk_forward"]:
        return [True] * n_days
    labels = [False] * n_days
    start = backtest["lookback_window_days"]
    while start < n_days:
        end = min(start + backtest["test_window_days"], n_days)
        if end - start == backtest["test_window_days"] or end - start >= backtest["min_test_days"]:
            labels[start:end] = [True] * (end - start)
        start = end
    return labels


test_day_labels.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


# ---------------------------------------------------------------------- evaluation


def drawdowns(equity: Float) -> Float:
    peak = np.maximum.accumulate(np.concatenate([[1.0], equity]))[1:]
    return equity / peak - 1


def drawdown_lengths(equity: Float) -> dict[str, int]:
    """Days of the deepest drawdown (to recovery or end, and to trough), and of the longest."""
    path = np.concatenate([[1.0], equity])
    peak = np.maximum.accumulate(path)
    depth = path / peak - 1
    trough = int(np.argmin(depth))
    top = int(np.flatnonzero(path[: trough + 1] == peak[trough])[-1])
    recovered = np.flatnonzero(path[trough:] >= peak[trough])
    end = trough + int(recovered[0]) if len(recovered) else len(path) - 1
    longest = run_length = 0
    for below in depth < 0:
        run_length = run_length + 1 if below else 0
        longest = max(longest, run_length)
    return {
        "max_drawdown_days": end - top if depth[trough] < 0 else 0,
        "max_drawdown_peak_to_trough_days": trough - top if depth[trough] < 0 else 0,
        "longest_underwater_days": longest,
    }


def number(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None


def strategy_metrics(returns: pd.DataFrame, column: str) -> dict[str, float | int | None]:
    days = returns[returns["is_test_day"]]
    r, n = days[column].to_numpy(), len(days)
    out: dict[str, float | int | None] = {"n_days": n}
    if n == 0:
        return out
    equity = np.cumprod(1 + r)
    depth = drawdowns(equity)
    sigma = r.std(ddof=1) if n > 1 and np.ptp(r) > 0 else NAN
    downside = np.sqrt(np.mean(np.minimum(r, 0) ** 2))
    cagr = equity[-1] ** (365 / n) - 1 if equity[-1] > 0 else NAN
    moment = {p: np.mean((r - r.mean()) ** p) for p in (2, 3, 4)}
    varies = sigma > 0
    skewness = moment[3] / moment[2] ** 1.5 if varies else NAN
    kurtosis = moment[4] / moment[2] ** 2 if varies else NAN
    daily = r.mean() / sigma if varies else NAN
    spread = 1 - skewness * daily + (kurtosis - 1) / 4 * daily**2
    psr = float(stats.norm.cdf(daily * np.sqrt(n - 1) / np.sqrt(spread))) if spread > 0 else NAN
    invested = days["held_gross_weight"].to_numpy() > 0
    out |= {
        "total_return": number(equity[-1] - 1),
        "cagr": number(cagr),
        "volatility": number(r.std(ddof=1) * np.sqrt(365)) if n > 1 else None,
        "sharpe": number(daily * np.sqrt(365)),
        "sortino": number(r.mean() / downside * np.sqrt(365)) if downside > 0 else None,
        "max_drawdown": number(depth.min()),
        "calmar": number(cagr / -depth.min()) if depth.min() < 0 else None,
        "hit_rate": number(np.mean(r[invested] > 0)) if invested.any() else None,
        "invested_days": int(invested.sum()),
        "skewness": number(skewness),
        "kurtosis": number(kurtosis),
        "avg_turnover": number(days["turnover"].mean()),
        "cost_drag_per_year": number(days["cost"].mean() * 365),
        "funding_drag_per_year": number(days["funding"].mean() * 365),
        "avg_gross_exposure": number(days["held_gross_weight"].mean()),
        "psr": number(psr),
    }
    return out | drawdown_lengths(equity)


def forward_targets(
    returns: pd.DataFrame, regimes: Sequence[str], horizons: Sequence[int], lag: int
) -> pd.DataFrame:
    """One row per horizon and decision day whose t + lag + h lies inside the window (D30)."""
    alts, btc = 1 + returns["r_alts"].to_numpy(), 1 + returns["r_btc"].to_numpy()
    spell = np.cumsum([k > 0 and regimes[k] != regimes[k - 1] for k in range(len(regimes))])
    rows = [
        {
            "horizon_days": h,
            "date": returns["date"].iloc[k],
            "regime": regimes[k],
            "spell": int(spell[k]),
            "y": np.prod(alts[k + lag + 1 : k + lag + h + 1])
            - np.prod(btc[k + lag + 1 : k + lag + h + 1]),
        }
        for h in horizons
        for k in range(len(returns) - lag - h)
    ]
    return pd.DataFrame(rows, columns=["horizon_days", "date", "regime", "spell", "y"])


def regime_statistics(targets: pd.DataFrame, states: Sequence[str]) -> pd.DataFrame:
    rows = []
    for horizon, days in targets.dropna(subset="y").groupby("horizon_days"):
        for regime in states:
            chosen = days[days["regime"] == regime]
            y, n = chosen["y"].to_numpy(), len(chosen)
            if n == 0:
                continue
            sigma = float(std(y)) if n > 1 else NAN
            t_stat = y.mean() / (sigma / np.sqrt(n)) if sigma > 0 else NAN
            rows.append(
                {
                    "horizon_days": horizon,
                    "regime": regime,
                    "n": n,
                    "n_spells": chosen["spell"].nunique(),
                    "mean": y.mean(),
                    "median": np.median(y),
                    "std": sigma,
                    "hit_rate": np.mean(y > 0),
                    "t_stat": t_stat,
                    "p_value": 2 * stats.t.sf(abs(t_stat), n - 1) if sigma > 0 else NAN,
                }
            )
    columns = "horizon_days regime n n_spells mean median std hit_rate t_stat p_value".split()
    return pd.DataFrame(rows, columns=columns)


def edges(targets: pd.DataFrame, states: Sequence[str]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for horizon, days in targets.dropna(subset="y").groupby("horizon_days"):
        overall = days["y"].mean()
        present = [state for state in states if (days["regime"] == state).any()]
        means = {state: days.loc[days["regime"] == state, "y"].mean() for state in present}
        spells = {s: days.loc[days["regime"] == s, "spell"].nunique() for s in present}
        worst, best = present[0], present[-1]
        found = [(state, means[state] - overall, spells[state]) for state in present]
        found += [
            ("edge_best", means[best] - overall, spells[best]),
            ("edge_worst", means[worst] - overall, spells[worst]),
            (
                "spread",
                means[best] - means[worst] if best != worst else NAN,
                min(spells[best], spells[worst]),
            ),
        ]
        rows.extend(
            {
                "horizon_days": horizon,
                "edge": name,
                "estimate": estimate,
                "trade_edge": -estimate,
                "n_spells": n_spells,
            }
            for name, estimate, n_spells in found
        )
    return pd.DataFrame(
        rows, columns=["horizon_days", "edge", "estimate", "trade_edge", "n_spells"]
    )


def stability(
    regimes: Sequence[str], states: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    n = len(regimes)
    pairs = list(itertools.pairwise(regimes))
    switches = sum(a != b for a, b in pairs)
    summary = pd.DataFrame(
        [
            {
                "n_days": n,
                "total_switches": switches,
                "switches_per_year": switches / (n / 365),
                "avg_regime_duration_days": n / (switches + 1),
            }
        ]
    )
    distribution = pd.DataFrame(
        [{"regime": s, "pct": 100 * sum(r == s for r in regimes) / n} for s in states]
    )
    transitions = pd.DataFrame(
        [
            {
                "from_regime": a,
                "to_regime": b,
                "n": pairs.count((a, b)),
                "probability": pairs.count((a, b)) / sum(x == a for x, _ in pairs),
            }
            for a in states
            for b in states
            if (a, b) in pairs
        ],
        columns=["from_regime", "to_regime", "n", "probability"],
    )
    return summary, distribution, transitions


# ---------------------------------------------------------------------- the run


def run(
    lake: Path, spec: Mapping[str, Any], excluded: set[str] | frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Every number of one experiment. `excluded`: the project's seed list of asset ids.

    A run without a decision day returns {"first_decision_day": None} only.
    """
    panel = build_panel(Path(lake), set(excluded))
    alts = alts_by_day(panel, spec)
    mapping, backtest = spec["state_mapping"], spec["backtest"]

    # features and scores, on the whole grid
    features = Features(panel, alts, spec["universe"]["majors"])
    window_days = spec["feature_params"]["zscore_window_days"]
    raw_score = np.zeros(len(panel.dates))
    with_z = np.zeros(len(panel.dates))
    long_frames = []
    for feature in spec["features"]:
        raw = features.raw(feature["id"], feature.get("params") or {})
        z = z_score(raw, window_days)
        raw_score += feature["weight"] * np.where(np.isnan(z), 0.0, z)
        with_z += abs(feature["weight"]) * ~np.isnan(z)
        long_frames.append(
            pd.DataFrame(
                {"date": panel.dates, "feature_id": feature["id"], "raw_value": raw, "z_score": z}
            )
        )
    coverage = with_z / sum(abs(feature["weight"]) for feature in spec["features"])
    features_all = pd.concat(long_frames, ignore_index=True)

    # decision days
    start = pd.Timestamp(spec["window"]["start"] or panel.dates[0])
    end = min(pd.Timestamp(spec["window"]["end"] or panel.dates[-1]), panel.dates[-1])
    is_covered = coverage > spec["feature_params"]["min_coverage"]
    candidates = np.flatnonzero(is_covered & (panel.dates >= start) & (panel.dates <= end))
    if len(candidates) == 0:
        return {"first_decision_day": None}
    days = list(range(int(candidates[0]), panel.dates.get_loc(end) + 1))
    covered = [bool(is_covered[t]) for t in days]

    # score, gate and state
    states = STATES[mapping["n_regimes"]]
    cut_names = (
        ["low", "high"] if len(states) == 3 else ["strong_low", "low", "high", "strong_high"]
    )
    cuts = [mapping["thresholds"][name] for name in cut_names]
    span, gate = mapping["smoothing"]["ema_span_days"], mapping["high_vol_gate"]
    btc_close = panel.close[:, panel.assets.index("BTC")]
    rows: list[dict[str, Any]] = []
    smooth, state, age = NAN, -1, 0
    for t in days:
        score, gated = NAN, False
        if is_covered[t]:
            smooth_from = raw_score[t] if np.isnan(smooth) else smooth
            alpha = 2 / (span + 1) if span is not None else 1.0
            smooth = alpha * raw_score[t] + (1 - alpha) * smooth_from
            score = float(smooth if span is not None else raw_score[t])
            if gate is not None and t >= gate["btc_return_days"]:
                move = abs(btc_close[t] / btc_close[t - gate["btc_return_days"]] - 1)
                gated = bool(
                    move > gate["max_abs_return"] and score > mapping["thresholds"]["high"]
                )
                score = mapping["thresholds"]["high"] if gated else score
        if not rows:
            state, age = classify(score, cuts), 0
        else:
            age += 1
            new = state if np.isnan(score) else next_state(state, age, score, cuts, mapping)
            if new != state:
                state, age = new, 0
        rows.append(
            {
                "date": panel.dates[t],
                "score": score,
                "feature_coverage": coverage[t],
                "regime": states[state],
                "regime_age_days": age,
                "raw_score": raw_score[t],
                "smoothed_score": smooth,
                "gated": gated,
            }
        )
    timeseries = pd.DataFrame(rows)
    regimes = timeseries["regime"].tolist()

    # portfolio
    portfolio = simulate(panel, alts, spec, days, regimes, covered)
    returns = portfolio["returns"]
    returns["is_test_day"] = test_day_labels(len(days), backtest)

    # evaluation
    horizons = spec["target"]["horizons_days"] if backtest["with_regime_eval"] else []
    targets = forward_targets(returns, regimes, horizons, backtest["execution_lag_days"])
    summary, distribution, transitions = stability(regimes, states)
    alt_days, alt_columns = np.nonzero(alts)
    inside = features_all["date"].between(panel.dates[days[0]], panel.dates[days[-1]])
    return {
        "first_decision_day": panel.dates[days[0]],
        "regime_timeseries": timeseries,
        "features": features_all[inside].reset_index(drop=True),
        "features_all": features_all,
        **portfolio,
        "forward_targets": targets,
        "regime_statistics": regime_statistics(targets, states),
        "edges": edges(targets, states),
        "stability": summary,
        "regime_distribution": distribution,
        "transition_matrix": transitions,
        "metrics": {
            "net": strategy_metrics(returns, "r_net"),
            "gross": strategy_metrics(returns, "r_gross"),
        },
        "alts": pd.DataFrame(
            {
                "date": panel.dates[alt_days],
                "asset_id": np.array(panel.assets, dtype=object)[alt_columns],
                "marketcap_usd": panel.mcap[alts],
                "volume_usd": panel.volume[alts],
                "return_1d": panel.return_1d[alts],
            }
        ),
        "funding_notes": features.funding_notes,
        "panel": panel,
    }


def write(result: Mapping[str, Any], spec: Mapping[str, Any], folder: Path) -> None:
    """Frames as Parquet (dates as DATE), metrics and the spec as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = {name: value for name, value in result.items() if isinstance(value, pd.DataFrame)}
    for feature_id, notes in result.get("funding_notes", {}).items():
        frames[f"funding_notes_{feature_id}"] = notes
    for name, frame in frames.items():
        shown = frame.assign(date=frame["date"].dt.date) if "date" in frame else frame
        shown.to_parquet(folder / f"{name}.parquet", index=False)
    (folder / "metrics.json").write_text(json.dumps(result.get("metrics"), indent=2))
    (folder / "spec.json").write_text(json.dumps(spec, indent=2))


if __name__ == "__main__":
    experiment = json.loads(Path(sys.argv[2]).read_text())
    write(run(Path(sys.argv[1]), experiment), experiment, Path(sys.argv[3]))
