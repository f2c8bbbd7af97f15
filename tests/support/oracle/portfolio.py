"""Baskets, trades, costs and daily returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from support.oracle.evaluation import drawdowns
from support.oracle.features import std
from support.oracle.lake import NAN, Float, Panel


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
            return bool(
                panel.dates[days[k]].day_name().lower() == backtest["rebalance_weekday"].lower()
            )
        return bool(k % backtest["rebalance_frequency_days"] == 0)

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


def labels_of_test_days(n_days: int, backtest: Mapping[str, Any]) -> list[bool]:
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
