"""A second implementation of the methodology, in plain pandas and numpy, with loops over days.

It is what the dbt project is held against, so it was written from the methodology page alone and
shares no code with the project. Clarity over speed. Of inference it has evidence and p_ewc,
no bootstrap and no rotations.

    result = run(Path("lake"), spec)            # spec: a resolved experiment
    PYTHONPATH=tests python -m support.oracle LAKE SPEC.json OUT_FOLDER

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
 D9  f_i in funding_skew is the decimal rate of eight hours, a third of the day's.
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
 D32 Spells of best and worst state: those with a day with Y. With one state of 5 spells edge_best
     and edge_worst are its edge. Two states are one hypothesis where both have 5 spells; where one
     has not there is no spread, and the other keeps its own p.
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
D39 to D43, later:
 D39 A return beyond universe.max_abs_return_1d is judged on carried closes, before any is taken
     out. The day then has no close (it is not carried), so no return, and neither has the next day;
     a holding leaves on the day at its last close. Counted are majors and what is not excluded and
     has the cap and the volume of the day. Its funding does not exist either.
 D40 rank_median_days: every day of the median lies on the asset's grid. Weights by mcap, and all
     features, use the cap of the day.
 D41 Whoever has nothing left after the day's return and funding makes no trade and pays no cost;
     who is ruined by the cost has made them. The gross equity is flat afterwards, too.
 D42 A trade is one asset on one day, its volume known (on its grid); without them there is no
     capacity. The ceil(0.95 n)-th smallest share of volume decides, nothing is interpolated.
 D43 Spikes are beyond +200% or -70%, in either leg. A riser is a member that the rebalance before
     did not have and that rose by more than 100% on a day after it up to the decision (the first
     rebalance: on its own day). Sums of y are over all days with one (with a search: test days),
     those of r_gross over test days. A spike of BTC counts in y where BTC is the benchmark; the
     lakes of the tests have none.
 D44 Aliases: one look-up by id and day. The multiple divides closes and multiplies supplies before
     anything is judged. A row of funding or open interest that names no instrument has the id for
     one. Days without an alias: the id is an asset of its own. dim_asset, which has no days: an
     alias's row counts where the asset has none; the tests' lakes have no such flags.
 D45 A funding row's number is the sum of the day, if it has one, else its rate; a row with an
     interval of 0 hours or less, or of more than 24, is dropped. Rows of one key complete each
     other; each column must agree.
 D46 Close times supply, the last one of at most 31 days ago, is a market cap on a day with a price
     row on which no market cap of fact_marketcap is carried, if it is below 1e15. It is carried as
     any is, and the share counts alts by day.
 D47 universe.rank_by volume_30d: the size of an asset is the median of its last 30 carried volumes,
     all present and on its grid. Size takes the place of the cap in eligibility (no least cap is
     asked for), rank, dominance and the alt index; the basket's marketcap_usd stays the cap.
 D48 An alt's age counts the days from its first price row, before the first BTC close too, to t,
     both. Its perpetual can be traded at the close of t when listed <= t < delisted.
 D49 winsorize: quantiles interpolate linearly, as all do; the day's own value is limited, too. A
     window that is constant then has std 0 (z NULL). z_clip comes last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from support.oracle.evaluation import (
    edges,
    forward_targets,
    regime_statistics,
    stability,
    strategy_metrics,
)
from support.oracle.features import Features, z_score
from support.oracle.lake import NAN, alts_by_day, build_panel, count_removed, derived_share
from support.oracle.portfolio import labels_of_test_days, simulate, suspect_gains
from support.oracle.states import STATES, classify, next_state

__all__ = [
    "classify",
    "edges",
    "forward_targets",
    "next_state",
    "regime_statistics",
    "run",
    "write",
]


def run(
    lake: Path, spec: Mapping[str, Any], excluded: set[str] | frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Every number of one experiment. `excluded`: the project's seed list of asset ids.

    A run without a decision day returns {"first_decision_day": None} only.
    """
    universe = spec["universe"]
    panel = build_panel(
        Path(lake), set(excluded), universe["max_abs_return_1d"], universe["rank_by"]
    )
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
        z = z_score(
            raw, window_days, feature.get("winsorize"), spec["feature_params"].get("z_clip")
        )
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
    returns["is_test_day"] = labels_of_test_days(len(days), backtest)

    # evaluation
    horizons = spec["target"]["horizons_days"] if backtest["with_regime_eval"] else []
    targets = forward_targets(
        returns, regimes, horizons, backtest["execution_lag_days"], spec["target"]["benchmark"]
    )
    summary, distribution, transitions = stability(regimes, states)
    alt_days, alt_columns = np.nonzero(alts)
    inside = features_all["date"].between(panel.dates[days[0]], panel.dates[days[-1]])
    return {
        "first_decision_day": panel.dates[days[0]],
        "regime_timeseries": timeseries,
        "features": features_all[inside].reset_index(drop=True),
        "features_all": features_all,
        **portfolio,
        "suspect_gains": suspect_gains(portfolio["gains"], returns, spec),
        "n_removed_days": count_removed(panel, spec, days),
        "derived_marketcap_share": derived_share(panel, alts, days),
        "forward_targets": targets,
        "regime_statistics": regime_statistics(targets, states),
        "edges": edges(targets, states, spec["evaluation"]["bootstrap"]["block_size"]),
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
