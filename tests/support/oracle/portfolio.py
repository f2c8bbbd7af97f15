"""Baskets, trades, costs and daily returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from support.oracle.evaluation import drawdowns
from support.oracle.features import std
from support.oracle.lake import NAN, Float, Panel, ranked_mcap


def choose_basket(
    panel: Panel, alts_today: Float, t: int, leg: Mapping[str, Any], ranked_today: Float
) -> list[tuple[int, float]]:
    """[(asset column, weight)] in rank order; empty without alts."""
    columns = sorted(np.flatnonzero(alts_today), key=lambda i: (-ranked_today[i], panel.assets[i]))
    columns = columns[: leg["n"]]
    size = [1.0 if leg["weighting"] == "equal" else float(panel.mcap[t, i]) for i in columns]
    return [(int(i), s / sum(size)) for i, s in zip(columns, size, strict=True)]


def adv(panel: Panel, t: int, i: int) -> float:
    """Mean of the last 20 volumes, at least 10 present; NaN without a close, or when nothing."""
    volumes = panel.volume[max(t - 19, 0) : t + 1, i]
    volumes = volumes[~np.isnan(volumes)]
    known = not np.isnan(panel.close[t, i]) and len(volumes) >= 10 and volumes.mean() > 0
    return float(volumes.mean()) if known else NAN


def impact_bps(panel: Panel, t: int, i: int, trade: float, backtest: Mapping[str, Any]) -> float:
    """Square-root impact of one trade, NaN when sigma or ADV is unknown."""
    if t < 19:
        return NAN
    returns = panel.return_1d[t - 19 : t + 1, i]
    if np.isnan(returns).any() or np.isnan(adv(panel, t, i)):
        return NAN
    share = min(
        abs(trade) * backtest["capital_usd"] / adv(panel, t, i), backtest["max_participation"]
    )
    sigma = float(std(returns))
    return float(10_000 * backtest["impact_coefficient"] * sigma * np.sqrt(share))


def simulate(
    panel: Panel,
    alts: Float,
    spec: Mapping[str, Any],
    days: Sequence[int],
    regimes: Sequence[str],
    covered: Sequence[bool],
) -> dict[str, Any]:
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
    gain_rows: list[dict[str, Any]] = []
    shares_of_volume: list[float] = []  # of every trade, per USD of capital
    n_over_capacity = 0
    ruined = False
    ranked = ranked_mcap(panel, target["short_leg"]["rank_median_days"])
    entered_after_rise: set[int] = set()
    trade_rows: list[dict[str, Any]] = []
    position_rows: list[dict[str, Any]] = []

    for k, t in enumerate(days):
        if is_rebalance_day(k):
            baskets[k] = choose_basket(panel, alts[t], t, target["short_leg"], ranked[t])
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
        for leg_name, leg in (("alts", short), ("majors", long)):
            gain_rows.extend(
                {
                    "day": k,
                    "leg": leg_name,
                    "return": day_return(i),
                    "of_leg": c * day_return(i),
                    "of_nav": weights.get(i, 0.0) * day_return(i),
                    "is_riser": leg_name == "alts" and i in entered_after_rise,
                }
                for i, c in (leg or {}).items()
            )
        has_nothing_left = 1 + r_gross - funding <= 0

        # 2. drift
        drifted = {
            i: w * (1 + day_return(i)) / (1 + r_gross)
            for i, w in weights.items()
            if not has_nothing_left
        }
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
            last = max((x for x in baskets if x < j), default=None)
            members = {i for i, _ in baskets[j]}
            before = set() if last is None else {i for i, _ in baskets[last]}
            since = range(j if last is None else last + 1, j + 1)
            risen = {i for i in members if any(panel.return_1d[days[x], i] > 1 for x in since)}
            entered_after_rise = (entered_after_rise & members & before) | (risen - before)
            flat = not baskets[j]
            short = alive(dict(baskets[j])) if baskets[j] else None
            long = alive({i: w for i, w in long_leg.items() if i is not None})
        changed = j > 0 and covered[j] and scales[j] != scales[j - 1]
        if rebalance or changed:
            scale_in_force = scales[j]
            weights_after = {}
            if not flat and not ruined and not has_nothing_left:
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
            if abs(trade) > 1e-12 and not np.isnan(adv(panel, t, i)):
                shares_of_volume.append(abs(trade) / adv(panel, t, i))
            if backtest["capital_usd"] is not None:
                n_over_capacity += (
                    abs(trade) * backtest["capital_usd"] / adv(panel, t, i)
                    > backtest["max_participation"]
                )
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
        # what is left of everything decides whether there is a tomorrow (D41)
        r_net = r_gross - cost - funding
        if ruined:
            r_net, held_scale = 0.0, 0.0
        elif has_nothing_left or r_net <= -1:
            r_net, ruined, weights = -1.0, True, {}
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
                "y": r_short - (r_long if target["benchmark"] == "long_leg" else r_btc),
                "position_scale": held_scale,
                "r_gross": r_gross,
                "turnover": turnover,
                "cost": cost,
                "funding": funding,
                "r_net": r_net,
                "held_gross_weight": held_gross,
                "funding_coverage": with_rate / held_gross if held_gross else NAN,
                "impact_coverage": priced / turnover if turnover else NAN,
                "is_rebalance_trade": rebalance,
                "is_scale_trade": changed,
            }
        )

    returns = pd.DataFrame(daily)
    for kind in ("gross", "net"):
        growth = np.maximum(1 + returns[f"r_{kind}"].to_numpy(), 0)
        returns[f"equity_{kind}"] = np.cumprod(growth)
    returns["is_ruined"] = returns["r_net"].le(-1).cummax()
    returns["drawdown_net"] = drawdowns(returns["equity_net"].to_numpy())
    columns = ["date", "asset_id", "rank", "marketcap_usd", "weight"]
    return {
        "basket": pd.DataFrame(basket_rows, columns=columns),
        "returns": returns,
        "trades": pd.DataFrame(trade_rows),
        "gains": pd.DataFrame(gain_rows),
        "capacity": {
            "n_trades": len(shares_of_volume),
            "capacity_usd": capacity_usd(shares_of_volume),
            "n_over_capacity": n_over_capacity if backtest["capital_usd"] is not None else None,
        },
        "positions": pd.DataFrame(position_rows),
    }


def capacity_usd(shares_of_volume: Sequence[float]) -> float | None:
    """The largest capital at which 95% of the trades are at most 10% of the volume (D42)."""
    if not shares_of_volume:
        return None
    enough = -(-95 * len(shares_of_volume) // 100)
    return 0.1 / sorted(shares_of_volume)[enough - 1]


def suspect_gains(
    gains: pd.DataFrame, returns: pd.DataFrame, spec: Mapping[str, Any]
) -> dict[str, float]:
    """Sums of y and r_gross, and the parts of what may be bad prices (D43)."""
    tests = returns["is_test_day"]
    searched = spec["backtest"].get("grid_search") is not None
    judged = returns["y"].notna() & (tests if searched else True)
    minus = {"alts": 1, "majors": -1 if spec["target"]["benchmark"] == "long_leg" else 0}
    of_y = gains["of_leg"] * gains["leg"].map(minus) * gains["day"].map(judged)
    of_gross = gains["of_nav"] * gains["day"].map(tests)
    spike = (gains["return"] > 2) | (gains["return"] < -0.7)
    kinds = {"spikes": spike, "risers": gains["is_riser"], "both": spike | gains["is_riser"]}
    out = {
        "y_total": returns["y"][judged].sum(),
        "gross_total": returns["r_gross"][tests].sum(),
    }
    for kind, chosen in kinds.items():
        out[f"y_of_{kind}"] = of_y[chosen].sum()
        out[f"gross_of_{kind}"] = of_gross[chosen].sum()
    return out


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
