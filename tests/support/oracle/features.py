"""Features and their z-scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from support.oracle.lake import NAN, Float, Panel


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


def z_score(x: Float, n: int, winsorize: float | None = None, z_clip: float | None = None) -> Float:
    out = np.full(len(x), np.nan)
    for t in range(n - 1, len(x)):
        window = x[t - n + 1 : t + 1]
        if np.isnan(window).any():
            continue
        if winsorize is not None:
            low, high = np.quantile(window, [winsorize, 1 - winsorize])
            window = np.clip(window, low, high)
        if np.ptp(window) > 0:
            out[t] = (window[-1] - window.mean()) / window.std(ddof=1)
            if z_clip is not None:
                out[t] = max(-z_clip, min(z_clip, out[t]))
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
                btc = self.panel.size[t, self.btc]
                out[t] = btc / (btc + self.panel.size[t, self.alts[t]].sum())
        return out

    def btc_dominance_change_1d(self) -> Float:
        return change(self.btc_dominance(), 1)

    def btc_dominance_change_5d(self) -> Float:
        return change(self.btc_dominance(), 5)

    # funding

    def funding_group(self, t: int, group: Float, weighting: str) -> tuple[float, bool, float]:
        """(rate of the group, fell back, share of its funding assets with open interest)."""
        rate = self.panel.funding_rate_8h[t]
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
                weight = self.panel.size[t - 1, members]
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
