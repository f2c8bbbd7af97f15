"""Net returns of many strategies that trade the same two legs and differ in their scale.

The SQL models (`positions`, `leg_trades`, `daily_returns`) do this for the runs of an invocation.
The candidates of a walk-forward search need it before a run has states, and are many: here a day is
a few array operations over all of them. Both follow docs/methodology.md, section 6; a test
holds them together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from msm_py._typing import Bools, Floats


@dataclass(frozen=True)
class Leg:
    """A leg's composition day by day, long-side sign; arrays of shape (days,) or (days, assets).

    Parameters
    ----------
    gross
        Gross exposure at a scale of 1.
    leg_return
        Return from t-1 to t of the composition held into t; 0 where none is held.
    weight_before, weight_after
        Share of each asset at the close of t, before and after the leg's own trades.
    funding_rate
        Of the composition held into t.
    impact
        Market impact of a trade of 1 (all of net asset value) in each asset, as a fraction of the
        trade; it grows with the root of the trade. 0 where there is none to charge.
    most_impact
        Where it stops growing: that of the greatest participation.
    """

    gross: float
    leg_return: Floats
    weight_before: Floats
    weight_after: Floats
    funding_rate: Floats
    impact: Floats
    most_impact: Floats


def net_returns(
    scale: Floats,
    is_rebalance_day: Bools,
    long_leg: Leg,
    short_leg: Leg,
    *,
    cost_bps: float,
    funding_enabled: bool,
) -> Floats:
    """Return the net return of every strategy and day.

    Parameters
    ----------
    scale
        Shape (strategies, days): the scale that trades at the close of t make for; 0 where the
        short leg has no composition.
    is_rebalance_day
        Shape (days,): whether the legs are traded at the close of t.
    long_leg, short_leg
        The legs.
    cost_bps
        Fee and slippage, basis points of a trade.
    funding_enabled
        Whether positions pay and receive funding.

    Returns
    -------
    Shape (strategies, days), decimal fractions of net asset value: what the position held into t
    earned, less the cost of the trades at the close of t and the funding of t. On the day of ruin
    it is -1, and 0 after it.
    """
    n_strategies, n_days = scale.shape
    net = np.empty_like(scale)
    held_long = np.zeros(n_strategies)
    held_short = np.zeros(n_strategies)
    scale_before = np.zeros(n_strategies)
    is_alive = np.ones(n_strategies, dtype=bool)
    for day in range(n_days):
        growth_long = 1.0 + long_leg.leg_return[day]
        growth_short = 1.0 + short_leg.leg_return[day]
        gross = held_long * (growth_long - 1.0) - held_short * (growth_short - 1.0)
        funding = (
            held_long * long_leg.funding_rate[day] - held_short * short_leg.funding_rate[day]
            if funding_enabled
            else 0.0
        )
        # who has nothing left makes no trades, and whoever is ruined holds nothing any more
        has_something = is_alive & (1.0 + gross - funding > 0)
        nav_growth = np.where(has_something, 1.0 + gross, 1.0)
        drifted_long = np.where(has_something, held_long * growth_long / nav_growth, 0.0)
        drifted_short = np.where(has_something, held_short * growth_short / nav_growth, 0.0)
        scale_now = np.where(has_something, scale[:, day], 0.0)
        trades = is_rebalance_day[day] | (scale_now != scale_before)
        held_long = np.where(trades, scale_now * long_leg.gross, drifted_long)
        held_short = np.where(trades, scale_now * short_leg.gross, drifted_short)
        cost = _cost(long_leg, day, drifted_long, held_long, cost_bps)
        cost = cost + _cost(short_leg, day, drifted_short, held_short, cost_bps)
        left = np.where(has_something, np.maximum(gross - cost - funding, -1.0), -1.0)
        net[:, day] = np.where(is_alive, left, 0.0)
        is_alive &= left > -1
        held_long, held_short = held_long * is_alive, held_short * is_alive
        scale_before = scale_now
    return net


def _cost(leg: Leg, day: int, before: Floats, after: Floats, cost_bps: float) -> Floats:
    held = (leg.weight_before[day] != 0) | (leg.weight_after[day] != 0)
    old, new = leg.weight_before[day, held], leg.weight_after[day, held]
    trade = np.abs(after[:, None] * new - before[:, None] * old)
    impact = np.minimum(np.sqrt(trade) * leg.impact[day, held], leg.most_impact[day, held])
    impact = (trade * impact).sum(axis=1)
    return np.asarray(trade.sum(axis=1) * cost_bps / 10_000.0 + impact)
