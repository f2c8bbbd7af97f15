"""The columns of the catalog, in groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from msm_py.store.declarations import Column

SHARE: Final = "decimal fraction"
OF_VALUE: Final = "decimal fraction of net asset value"
RUN_ID: Final = Column(
    "run_id",
    "varchar",
    "The run: experiment_id and ten hex digits of its definition, the lake and the code.",
)
EXPERIMENT_ID: Final = Column("experiment_id", "varchar", "The experiment's own name.")
TITLE: Final = Column("title", "varchar", "One line that says what the experiment is.")
IS_LATEST: Final = Column(
    "is_latest",
    "boolean",
    "Whether it is the newest run of its experiment, window asked for and lake's name; a run that "
    "looked at its hold-out and one that did not do not replace each other, nor does a placebo. "
    "Derived from all runs whenever the warehouse is published.",
    since="0.3.0",
)
RUN: Final = (RUN_ID, EXPERIMENT_ID, TITLE, IS_LATEST)
"""What names a run, in every table of runs: ids change with data and code, the others last."""

WHAT: Final = (
    *RUN,
    Column("category_path", "varchar", "Group of experiments; msm so far."),
    Column("created_at", "timestamp", "When the run was finished, UTC."),
    Column("status", "varchar", "complete: only complete runs have a folder, and so a row."),
    Column("error", "varchar", "Always missing for a complete run."),
)

KNOBS: Final = (
    Column("features", "varchar", "The features with their weights, as text."),
    Column("n_features", "integer", "Number of features."),
    Column("zscore_window_days", "integer", "Trailing window of z-scores.", unit="days"),
    Column("n_regimes", "integer", "Number of states, 5 or 3."),
    Column("thresholds", "varchar", "The cuts from ALTS to MAJORS, separated by slashes."),
    Column(
        "low_band",
        "double",
        "Hysteresis (negative): how far below a cut the score must be to leave a MAJORS state.",
    ),
    Column(
        "high_band",
        "double",
        "Hysteresis: how far above a cut the score must be to leave an ALTS state.",
    ),
    Column(
        "min_duration_days", "integer", "Age below which a state is harder to leave.", unit="days"
    ),
    Column(
        "ema_span_days",
        "integer",
        "Span of the score's exponential moving average; missing: none.",
        unit="days",
    ),
    Column(
        "benchmark",
        "varchar",
        "What Y measures the alts against: btc, or long_leg.",
        since="0.3.0",
    ),
    Column("long_leg", "varchar", "The long leg's assets and weights, as text."),
    Column("short_n", "integer", "Members of the short basket, at most."),
    Column("short_weighting", "varchar", "equal or mcap."),
    Column(
        "rank_by",
        "varchar",
        "What the size of an asset is: marketcap, or volume_30d (for lakes without market caps).",
        since="0.3.0",
    ),
    Column("min_mcap_usd", "double", "Least market cap of an alt on the day.", unit="USD"),
    Column("min_volume_usd", "double", "Least 24-hour volume of an alt on the day.", unit="USD"),
    Column(
        "rank_median_days",
        "integer",
        "Days over whose median market cap alts are admitted and ranked.",
        unit="days",
        since="0.3.0",
    ),
    Column(
        "max_abs_return_1d",
        "double",
        "Return of a day beyond which its close is taken for a bad price; missing: no limit.",
        unit=SHARE,
        since="0.3.0",
    ),
    Column("rebalance", "varchar", "When the basket is renewed, as text."),
    Column(
        "execution_lag_days",
        "integer",
        "From the decision to the close at which it is traded.",
        unit="days",
    ),
    Column("taker_fee_bps", "double", "Fee per trade.", unit="basis points of what is traded"),
    Column("slippage_bps", "double", "Slippage per trade.", unit="basis points of what is traded"),
    Column("capital_usd", "double", "Capital for market impact; missing: no impact.", unit="USD"),
    Column(
        "max_participation",
        "double",
        "Share of an asset's 20-day average volume up to which impact grows.",
        unit=SHARE,
        since="0.3.0",
    ),
    Column("walk_forward", "boolean", "Whether strategy metrics count test windows only."),
    Column(
        "evaluation_sample",
        "varchar",
        "Days of the strategy metrics: out_of_sample (parameters chosen before each test window), "
        "test_days (fixed parameters, after the lookback) or all_days.",
    ),
    Column(
        "search_objective",
        "varchar",
        "What the walk-forward search chose by: net_sharpe, majors_edge or spread_t; missing "
        "without a search.",
    ),
    Column(
        "n_candidates",
        "integer",
        "Candidates of the search, per test window; missing without one.",
    ),
    Column(
        "is_placebo",
        "boolean",
        "Whether the states were rotated in time, for comparison: a placebo knows the future and "
        "is no result. v_leaderboard leaves placebos out.",
    ),
    Column(
        "holdout_start",
        "date",
        "First day of the hold-out; missing without one. Nothing from this day on is in the run, "
        "unless is_look.",
    ),
    Column(
        "is_look",
        "boolean",
        "Whether the hold-out was opened for this run; the table looks says when and why.",
    ),
    Column(
        "window_start",
        "date",
        "First day asked for; missing: as early as the lake has.",
        since="0.3.0",
    ),
    Column(
        "window_end",
        "date",
        "Last day asked for; missing: as late as the lake has.",
        since="0.3.0",
    ),
    Column("first_date", "date", "First decision day."),
    Column("last_date", "date", "Last decision day."),
    Column("n_days", "integer", "Decision days."),
    Column("n_test_days", "integer", "Days that strategy metrics count."),
)

# of net and of gross returns: the name without net_ or gross_, and {after} for what is deducted
OF_RETURNS: Final = (
    Column("total_return", "double", "Total return over the test days {after}.", unit=SHARE),
    Column("cagr", "double", "Compound annual growth rate {after} (365 days a year).", unit=SHARE),
    Column(
        "volatility",
        "double",
        "Annualised standard deviation of daily returns {after}.",
        unit=SHARE,
    ),
    Column(
        "sharpe",
        "double",
        "Annualised Sharpe ratio {after}; one run among many is flattered by it.",
    ),
    Column("sortino", "double", "Annualised Sortino ratio {after}."),
    Column("max_drawdown", "double", "Deepest drawdown {after}, 0 or negative.", unit=SHARE),
    Column(
        "max_drawdown_days",
        "integer",
        "Length of the deepest drawdown {after}, until the peak was regained or the end.",
        unit="days",
    ),
    Column("calmar", "double", "CAGR over the deepest drawdown {after}."),
    Column(
        "hit_rate", "double", "Share of invested days with a return above 0 {after}.", unit=SHARE
    ),
    Column("skewness", "double", "Skewness of daily returns {after}."),
    Column("kurtosis", "double", "Raw kurtosis of daily returns {after} (normal = 3)."),
    Column(
        "probabilistic_sharpe",
        "double",
        "Probability that the true Sharpe ratio {after} is above 0.",
        unit="probability",
    ),
)
PERFORMANCE: Final = tuple(column.name for column in OF_RETURNS)


def of_returns(prefix: str, after: str) -> tuple[Column, ...]:
    """Return the metrics of some returns: `OF_RETURNS` with a prefix, and with what is deducted."""
    return tuple(
        replace(
            column,
            name=f"{prefix}{column.name}",
            description=column.description.format(after=after),
        )
        for column in OF_RETURNS
    )


TRADING: Final = (
    Column(
        "ratios_missing_because",
        "varchar",
        "Why annualised figures are missing: ruined, fewer than 60 test days, or fewer than 30 "
        "invested days. Missing when they are shown, or undefined for want of variance.",
        since="0.3.0",
    ),
    Column("n_invested_days", "integer", "Test days into which some gross weight was held."),
    Column("avg_gross_exposure", "double", "Mean gross weight held.", unit=OF_VALUE),
    Column("avg_turnover", "double", "Mean turnover per day.", unit=OF_VALUE),
    Column("cost_drag", "double", "Cost per year: mean daily cost times 365.", unit=OF_VALUE),
    Column(
        "funding_drag",
        "double",
        "Funding per year: mean daily funding times 365; negative is received.",
        unit=OF_VALUE,
    ),
)

NET_SHARPE_INTERVAL: Final = (
    Column(
        "net_sharpe_ci_low",
        "double",
        "Lower end of the 95% confidence interval of net_sharpe (studentised block bootstrap).",
        since="0.3.0",
    ),
    Column("net_sharpe_ci_high", "double", "Upper end of it.", since="0.3.0"),
)

CONTROLS: Final = (
    Column(
        "ungated_net_cagr",
        "double",
        "Net CAGR of the control: the same long-short held whatever the state.",
        unit=SHARE,
    ),
    Column("ungated_net_sharpe", "double", "Net Sharpe ratio of the control."),
    Column("btc_cagr", "double", "CAGR of holding BTC over the same test days.", unit=SHARE),
    Column("btc_sharpe", "double", "Sharpe ratio of holding BTC over the same test days."),
    Column(
        "p_ungated",
        "double",
        "Two-sided p-value of the null that net_sharpe is ungated_net_sharpe (Ledoit & Wolf 2008).",
        unit="probability",
        since="0.3.0",
    ),
    Column(
        "p_btc",
        "double",
        "Two-sided p-value of the null that net_sharpe is btc_sharpe.",
        unit="probability",
        since="0.3.0",
    ),
)

STABILITY: Final = (
    Column("total_switches", "integer", "Days whose state differs from that of the day before."),
    Column("switches_per_year", "double", "total_switches / (n_days / 365)."),
    Column("avg_regime_duration_days", "double", "n_days / n_spells.", unit="days"),
    Column("regime_distribution", "varchar", "Percent of decision days in each state, as text."),
)

TRUST: Final = (
    Column(
        "feature_coverage",
        "double",
        "Mean share of the weights whose z-score was present, over the decision days.",
        unit=SHARE,
    ),
    Column(
        "min_feature_coverage",
        "double",
        "Lowest feature_coverage of a decision day.",
        unit=SHARE,
    ),
    Column(
        "n_uncovered_days",
        "integer",
        "Decision days without enough coverage: the state was carried, nothing was rebalanced.",
    ),
    Column(
        "n_fallback_days",
        "integer",
        "Days on which a group's funding had nothing to be weighted with and is a plain mean.",
    ),
    Column(
        "alts_oi_coverage",
        "double",
        "Mean share of the alts with funding that had open interest; missing without funding "
        "features.",
        unit=SHARE,
    ),
    Column("majors_oi_coverage", "double", "The same of the majors.", unit=SHARE),
    Column(
        "funding_coverage",
        "double",
        "Share of the gross weight held that had a funding rate; missing when nothing was held.",
        unit=SHARE,
    ),
    Column(
        "impact_coverage",
        "double",
        "Share of the turnover for which impact could be estimated; missing without capital.",
        unit=SHARE,
    ),
    Column(
        "n_over_capacity",
        "integer",
        "Trades above max_participation of the asset's volume; missing without capital.",
        since="0.3.0",
    ),
    Column(
        "capacity_usd",
        "double",
        "Capital at which 95% of the trades, by number, are at most 10% of the asset's 20-day "
        "average volume; missing when nothing was traded.",
        unit="USD",
        since="0.3.0",
    ),
    Column(
        "n_forced_exits",
        "integer",
        "Holdings that lost their price and left at the last carried close.",
    ),
    Column(
        "n_removed_days",
        "integer",
        "Asset-days of majors and alts whose return is beyond max_abs_return_1d.",
        since="0.3.0",
    ),
    Column(
        "y_share_of_spikes",
        "double",
        "Share of the sum of daily y that comes from asset-days with a return above 200% or below "
        "-70%: bad prices, perhaps. Above 1 or below 0 where they outweigh the rest.",
        unit=SHARE,
        since="0.3.0",
    ),
    Column(
        "y_share_of_risers",
        "double",
        "The same of members that entered the basket after a day above 100%, while they stay.",
        unit=SHARE,
        since="0.3.0",
    ),
    Column(
        "gross_share_of_spikes",
        "double",
        "Share of the sum of r_gross on test days that comes from the former.",
        unit=SHARE,
        since="0.3.0",
    ),
    Column(
        "gross_share_of_risers",
        "double",
        "Share of the sum of r_gross on test days that comes from the latter.",
        unit=SHARE,
        since="0.3.0",
    ),
    Column("n_warnings", "integer", "Number of warnings; their texts are in run_warnings."),
)

FAMILY: Final = (
    Column(
        "question",
        "varchar",
        "Hash of the resolved experiment without its names: runs with the same one ask the same.",
        since="0.3.0",
    ),
    Column(
        "n_family",
        "integer",
        "Distinct questions that were tried on these days in this runs folder, this one included: "
        "runs, looks, and variants that failed or were rejected.",
        since="0.3.0",
    ),
    Column(
        "deflated_sharpe",
        "double",
        "Probability that the true net Sharpe ratio is above what the best of n_family tries "
        "reaches by luck.",
        unit="probability",
        since="0.3.0",
    ),
    Column(
        "p_family",
        "double",
        "Smallest p-value of spread and edge_best at any horizon, adjusted over those of the whole "
        "family (Benjamini & Hochberg 1995).",
        unit="probability",
        since="0.3.0",
    ),
)

ORIGIN: Final = (
    Column("bootstrap_method", "varchar", "studentized or percentile."),
    Column("n_boot", "integer", "Bootstrap replicates asked for."),
    Column("block_size", "varchar", "Block length of the bootstrap in days, or auto."),
    Column("seed", "bigint", "Seed of all random draws."),
    Column("lake_name", "varchar", "Name of the lake."),
    Column("lake_fingerprint", "varchar", "SHA-256 of the lake's tables and lake.yaml."),
    Column(
        "code_fingerprint",
        "varchar",
        "SHA-256 of the code and of the versions that computed it.",
    ),
    Column("git_commit", "varchar", "Commit of the code, if it was a git checkout."),
    Column("git_dirty", "boolean", "Whether there were changes that were not committed."),
    Column(
        "duration_seconds",
        "double",
        "Wall time of the invocation that made the run.",
        unit="seconds",
    ),
)

GROUPS: Final[Mapping[str, tuple[Column, ...]]] = {
    "what": WHAT,
    "knobs": KNOBS,
    "net of costs": (*of_returns("net_", "after cost and funding"), *NET_SHARPE_INTERVAL),
    "gross": of_returns("gross_", "before cost and funding"),
    "trading": TRADING,
    "controls": CONTROLS,
    "family": FAMILY,
    "stability": STABILITY,
    "trust": TRUST,
    "origin": ORIGIN,
}
CATALOG: Final = tuple(column for group in GROUPS.values() for column in group)
