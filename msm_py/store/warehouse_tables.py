"""Every table and column that a reader of the warehouse finds: the one declaration.

Its views are in `msm_py.store.warehouse_views`. The warehouse's tables and comments, the contract
of the model `catalog` and the tables of docs/bi.md are made from both
(`msm_py.store.declared_text`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from msm_py.store import catalog_columns as of_catalog
from msm_py.store import run_file_columns
from msm_py.store.catalog_columns import OF_VALUE, RUN, SHARE
from msm_py.store.declarations import Column, Table, by_name

P: Final = "probability"
HORIZON: Final = Column(
    "horizon_days", "integer", "Days over which the forward return runs.", unit="days"
)
REGIME: Final = run_file_columns.REGIME
STATE_ORDER: Final = Column(
    "state_order",
    "integer",
    "Place of regime from ALTS to MAJORS: 1 to 5, BALANCED being 3; of three states 2 to 4.",
    since="0.3.0",
)
SWEEP_ID: Final = Column("sweep_id", "varchar", "The sweep: its name and a hash of what it tries.")
RECORD_HASH: Final = Column(
    "record_hash", "varchar", "Hash of the record in the runs folder, to notice that it changed."
)
BASKET_PANEL: Final = Column(
    "basket_panel", "varchar", "Id of the panel of baskets, which runs may share."
)
FEATURE_PANEL: Final = Column(
    "feature_panel", "varchar", "Id of the panel of features, which runs may share."
)
EDGE: Final = Column("edge", "varchar", "Name of a state, or edge_best, edge_worst, spread.")
TRADE_EDGE: Final = Column(
    "trade_edge", "double", "Minus the estimate: positive is good for the trade.", unit=SHARE
)
P_EDGE: Final = Column(
    "p_edge",
    "double",
    "The p-value to go by: the larger of p_value and p_shift, missing where either is. With two "
    "states present both edges and the spread are one hypothesis: all p-values are the spread's.",
    unit=P,
    since="0.3.0",
)
P_VALUE: Final = Column(
    "p_value",
    "double",
    "Two-sided bootstrap p-value of the null that the state's mean is the overall one; missing "
    "below evidence low.",
    unit=P,
)
P_SHIFT: Final = Column(
    "p_shift",
    "double",
    "p-value of the studentised circular-shift test; missing with evidence none.",
    unit=P,
)
EVIDENCE: Final = Column(
    "evidence",
    "varchar",
    "How much there is to go by, from the number of spells: none (below 3), shift only (3 and 4), "
    "low (5 to 9), normal. Below 8 blocks of pairs it is none, below 10 at most low.",
)
DEFLATED_SHARPE: Final = Column(
    "deflated_sharpe",
    "double",
    "Probability that the true Sharpe ratio is above what the best of so many tries reaches by "
    "luck.",
    unit=P,
)
IS_SUPERIOR: Final = Column(
    "is_superior", "boolean", "Whether StepM finds it better than staying out, at 5%."
)
IS_TIED: Final = Column(
    "is_tied_with_leader",
    "boolean",
    "Whether its Sharpe ratio cannot be told from that of the run with the highest "
    "deflated_sharpe.",
)


ELIGIBILITY_PANEL: Final = Column(
    "eligibility_panel",
    "varchar",
    "Id of the panel of eligibility, which runs may share.",
    since="0.3.0",
)


def of_spread(edge: Column) -> Column:
    """Return a column of edges as one of the spread that lists show."""
    return edge.called(f"spread_{edge.name}")


CATALOG: Final = Table(
    "catalog",
    "One row per complete run in the runs folder, of this and earlier invocations, as published in "
    "the warehouse. Derived: deleting a run's folder removes its row. The best and the surest are "
    "not the same thing: see the companion table edges for p-values.",
    of_catalog.CATALOG,
)
RUN_PARAMS: Final = Table(
    "run_params",
    "One row per run and leaf of the resolved experiment.",
    (
        *RUN,
        Column("param", "varchar", "Dotted path of the key."),
        Column("value", "varchar", "Its value as text."),
        Column("value_number", "double", "Its value, if it is a number."),
    ),
)
REGIME_STATISTICS: Final = Table(
    "regime_statistics",
    "One row per run, horizon and state: the forward returns Y of the decision days spent in it. "
    "Positive Y: alts beat BTC, bad for the trade.",
    (
        *RUN,
        HORIZON,
        REGIME,
        STATE_ORDER,
        Column(
            "n",
            "integer",
            "Decision days in the state whose target ended inside the window; with a search, test "
            "days.",
        ),
        Column("n_spells", "integer", "Separate stays that these days belong to."),
        Column("mean", "double", "Mean of Y over the horizon.", unit=SHARE),
        Column("median", "double", "Median of Y.", unit=SHARE),
        Column(
            "std", "double", "Sample standard deviation of Y; missing below 2 days.", unit=SHARE
        ),
        Column("hit_rate", "double", "Share of days with Y above 0.", unit=SHARE),
        Column(
            "t_stat",
            "double",
            "mean / (std / sqrt(n)). For comparison with other tools only: targets overlap, so it "
            "rejects far too often.",
        ),
        Column(
            "p_value",
            "double",
            "Two-sided Student p of t_stat; as untrustworthy. Use the edges.",
            unit=P,
        ),
    ),
)
EDGES: Final = Table(
    "edges",
    "One row per run, horizon and edge: the states' edges, edge_best, edge_worst and the spread, "
    "with their inference. A good state for the trade has a negative edge.",
    (
        *RUN,
        HORIZON,
        EDGE,
        Column(
            "regime",
            "varchar",
            "The state that it is the edge of: of edge_best and edge_worst the most MAJORS and the "
            "most ALTS state with at least 5 spells, of the spread that of edge_best; NULL without "
            "one.",
            since="0.3.0",
        ),
        STATE_ORDER,
        Column(
            "against_regime",
            "varchar",
            "Of the spread, the state that it is measured against (that of edge_worst); else NULL, "
            "and the edge is against all days.",
            since="0.3.0",
        ),
        Column(
            "estimate",
            "double",
            "Mean of Y in the regime minus the mean of Y, or for the spread that in "
            "against_regime; over the horizon.",
            unit=SHARE,
        ),
        TRADE_EDGE,
        Column(
            "se",
            "double",
            "Standard error of the estimate, from circular sums over blocks.",
            unit=SHARE,
        ),
        Column(
            "ci_low",
            "double",
            "Lower end of the 95% confidence interval of the estimate.",
            unit=SHARE,
        ),
        Column("ci_high", "double", "Upper end of it.", unit=SHARE),
        P_EDGE,
        P_VALUE,
        P_SHIFT,
        Column(
            "p_ewc",
            "double",
            "p-value of equal-weighted cosines with the null imposed, a cross-check; missing below "
            "evidence low.",
            unit=P,
            since="0.3.0",
        ),
        Column(
            "p_max_t",
            "double",
            "p-value when the state was picked after looking: against the largest of all states "
            "with at least 5 spells; missing for others and for the spread.",
            unit=P,
        ),
        Column(
            "n_spells",
            "integer",
            "Separate stays in the state; of the spread the fewer of its two, 0 if undefined.",
        ),
        EVIDENCE,
        Column(
            "n_boot",
            "integer",
            "Valid replicates behind p_value, 0 if there are none; more than the experiment's "
            "where a p at its floor was refined (the interval is from the first of them).",
        ),
        Column("block_days", "integer", "Block length; 0 when nothing is tested.", unit="days"),
        Column(
            "n_redrawn",
            "integer",
            "Replicates drawn again because a state was absent from them.",
        ),
    ),
)
REGIME_METRICS: Final = Table(
    "regime_metrics",
    "One row per run and state, visited or not: what the strategy earned on the test days on which "
    "it held a position decided in that state.",
    (
        *RUN,
        REGIME,
        STATE_ORDER,
        Column(
            "position_scale",
            "double",
            "Scale of the position in this state.",
            unit="0 (flat) to 1",
        ),
        Column("n_days", "integer", "Test days held in a position decided in the state."),
        Column(
            "total_gross",
            "double",
            "Sum of r_gross over those days, not compounded; missing without days.",
            unit=OF_VALUE,
        ),
        Column(
            "total_net",
            "double",
            "Sum of r_net over those days, not compounded; missing without days.",
            unit=OF_VALUE,
        ),
        Column("mean_net_annualised", "double", "Mean of r_net times 365.", unit=OF_VALUE),
        Column(
            "volatility_net",
            "double",
            "Sample standard deviation of r_net times sqrt(365); missing below 2 days.",
            unit=OF_VALUE,
        ),
        Column("hit_rate_net", "double", "Share of those days with r_net above 0.", unit=SHARE),
    ),
)
STABILITY: Final = Table(
    "stability",
    "One row per run: how often its state changes.",
    (
        *RUN,
        Column("n_days", "integer", "Decision days."),
        Column("n_spells", "integer", "Uninterrupted stays in a state."),
        CATALOG["total_switches"],
        CATALOG["switches_per_year"],
        CATALOG["avg_regime_duration_days"],
    ),
)
REGIME_DISTRIBUTION: Final = Table(
    "regime_distribution",
    "One row per run and state, visited or not: how much of the decision days was spent in it.",
    (
        *RUN,
        REGIME,
        STATE_ORDER,
        Column("n_days", "integer", "Decision days in the state."),
        Column("n_spells", "integer", "Separate stays in the state."),
        Column("pct", "double", "Share of all decision days.", unit="percent"),
    ),
)
REGIME_TRANSITIONS: Final = Table(
    "regime_transitions",
    "One row per run and pair of states (or one and the same) that followed each other from one "
    "day to the next.",
    (
        *RUN,
        Column("from_regime", "varchar", "State of the day before."),
        Column("to_regime", "varchar", "State of the day."),
        Column("n_days", "integer", "Days on which one followed the other."),
        Column("pct", "double", "Share of the days that followed from_regime.", unit="percent"),
    ),
)
CHOSEN_PARAMETERS: Final = Table(
    "chosen_parameters",
    "One row per run with a walk-forward search, test window and parameter: what was chosen on the "
    "window's lookback.",
    (
        *RUN,
        Column("window_number", "integer", "Number of the test window within the run, from 1."),
        Column("first_date", "date", "First decision day of the test window."),
        Column("last_date", "date", "Last decision day of the test window."),
        Column("scored_from", "date", "First day that candidates were scored on."),
        Column(
            "scored_until",
            "date",
            "Last day that candidates were scored on: the longest horizon and the execution lag "
            "before the window.",
        ),
        Column(
            "candidate",
            "integer",
            "Number of the chosen candidate, from 1; missing when the objective of none is "
            "defined: the experiment's own parameters stay.",
        ),
        Column(
            "objective_value",
            "double",
            "Its objective on the scored days, in sample: annualised Sharpe ratio, minus edge_best "
            "(decimal fraction over the horizon), or minus the t of the spread. More is better.",
        ),
        Column("is_test_window", "boolean", "Whether strategy metrics count the window's days."),
        Column(
            "test_net_sharpe",
            "double",
            "Annualised net Sharpe ratio of the window's days, out of sample.",
        ),
        Column("parameter", "varchar", "Dotted path of the parameter."),
        Column("value", "double", "Its value in the window."),
    ),
)
RUN_WARNINGS: Final = Table(
    "run_warnings",
    "One row per run and warning.",
    (
        *RUN,
        Column("warning", "varchar", "What a reader of the numbers must know, a sentence."),
        Column(
            "is_doubt",
            "boolean",
            "Whether reports show it above the result: ruin, bad prices, implausible settings.",
            since="0.3.0",
        ),
    ),
)
RUN_QUALITY: Final = Table(
    "run_quality",
    "One row per run, check of the data and finding in its decision days: days in a row are one, "
    "and at most the hundred worst of a check have a row. Runs of older versions have none.",
    (*RUN, *run_file_columns.QUALITY),
)
DAILY: Final = Table(
    "daily",
    "One row per run and decision day: the state decided at the close of the day, and what was "
    "held into it and earned.",
    (
        *RUN,
        *run_file_columns.TIMESERIES,
        STATE_ORDER,
        *run_file_columns.RETURNS[1:],
        replace(
            STATE_ORDER.called("held_state_order"),
            description="The same of held_regime: returns by state are a plain group by.",
        ),
    ),
)
ATTRIBUTION: Final = Table(
    "attribution",
    "One row per run, leg, asset and state: what the asset earned and cost on the test days on "
    "which the position held had been decided in that state. Trades at the close of a day count to "
    "that day. Runs of older versions have none.",
    (*RUN, *run_file_columns.ATTRIBUTION, STATE_ORDER),
)
STATE_PATHS: Final = Table(
    "state_paths",
    "One row per run, state that it entered and day after the entry: what the trade made on "
    "average since. Paths may overlap, and no drift is taken off: edges say whether there is more "
    "to it than on any day. Runs of older versions have none.",
    (*RUN, *run_file_columns.STATE_PATHS, STATE_ORDER),
)
RUN_PANELS: Final = Table(
    "run_panels",
    "One row per run: which baskets, features and eligibility are its own.",
    (
        *RUN,
        BASKET_PANEL,
        FEATURE_PANEL,
        ELIGIBILITY_PANEL,
        Column(
            "part",
            "integer",
            "Which part of the tables as Parquet has the run's rows: `daily/00001.parquet` has "
            "those of part 1.",
            since="0.3.0",
        ),
        Column(
            "files_digest",
            "bigint",
            "Digest of names, sizes and times of the folder's files: one that was touched is "
            "published anew.",
        ),
    ),
)
BASKETS: Final = Table(
    "baskets",
    "One row per basket panel, rebalance day and member, stored once for all runs that share it: "
    "join through run_panels.",
    (BASKET_PANEL, *run_file_columns.BASKET),
)
FEATURES: Final = Table(
    "features",
    "One row per feature panel, day and feature, stored once for all runs that share it: join "
    "through run_panels.",
    (FEATURE_PANEL, *run_file_columns.FEATURES),
)
ELIGIBILITY: Final = Table(
    "eligibility",
    "One row per eligibility panel, asset and reason: on how many decision days the asset was one "
    "of the alts, or why not, stored once for all runs that share it: join through run_panels.",
    (ELIGIBILITY_PANEL, *run_file_columns.ELIGIBILITY),
)
SAMPLE: Final = Column(
    "sample",
    "varchar",
    "before (days before the hold-out), holdout (days of it) or all; forward returns have ended in "
    "the sample too.",
    since="0.3.0",
)
LOOK_EDGES: Final = Table(
    "look_edges",
    "One row per run that looked at its hold-out, sample, horizon and edge: what `edges` holds, of "
    "the days before the hold-out and of those of it alone, beside all of them.",
    (*RUN, SAMPLE, *EDGES.columns[len(RUN) :]),
)
LOOK_METRICS: Final = Table(
    "look_metrics",
    "One row per run that looked at its hold-out and sample with test days: net figures of the "
    "strategy on the test days before the hold-out and on those of it alone, beside all of them.",
    (
        *RUN,
        SAMPLE,
        CATALOG["n_test_days"],
        CATALOG["n_invested_days"],
        *(CATALOG[f"net_{name}"] for name in of_catalog.PERFORMANCE),
        *of_catalog.NET_SHARPE_INTERVAL,
        *of_catalog.CONTROLS,
    ),
)
RUN_TABLES: Final[Mapping[str, Table]] = by_name(
    *(CATALOG, RUN_PARAMS, REGIME_STATISTICS, EDGES, REGIME_METRICS, STABILITY),
    *(REGIME_DISTRIBUTION, REGIME_TRANSITIONS, CHOSEN_PARAMETERS, RUN_WARNINGS, RUN_QUALITY),
    *(DAILY, ATTRIBUTION, STATE_PATHS, LOOK_EDGES, LOOK_METRICS, RUN_PANELS, BASKETS, FEATURES),
    ELIGIBILITY,
)

SWEEPS: Final = Table(
    "sweeps",
    "One row per sweep: what was tried, and what having tried so much says of the best run.",
    (
        SWEEP_ID,
        Column("name", "varchar", "Its name: the experiment_id of its file."),
        Column("started_at", "timestamp", "When it was first started, UTC."),
        Column("finished_at", "timestamp", "When it, or a part of it, last ended, UTC."),
        Column("seconds", "double", "Wall time of all its calls together.", unit="seconds"),
        Column("n_trials", "integer", "Variants tried, failed and rejected ones too, and looks."),
        Column("n_looks", "integer", "Looks at the hold-out among the trials."),
        Column("n_duplicates", "integer", "Variants that ask the same question as another one."),
        Column("n_failed", "integer", "Variants that failed."),
        Column("n_rejected", "integer", "Variants that validation rejected."),
        Column("n_runs", "integer", "Complete runs that the statistics are of."),
        Column("n_common_days", "integer", "Test days that all of them share."),
        Column(
            "n_distinct",
            "integer",
            "Runs whose net returns on these days differ from one another.",
            since="0.3.0",
        ),
        Column(
            "n_effective_trials",
            "double",
            "Independent trials that the trials are worth, by the mean correlation of the distinct "
            "ones (Bailey & Lopez de Prado 2014).",
            since="0.3.0",
        ),
        Column(
            "smallest_p",
            "double",
            "Smallest p_edge that n_boot and the length of the windows allow.",
            unit=P,
            since="0.3.0",
        ),
        Column("pbo", "double", "Probability of backtest overfitting.", unit=P),
        Column(
            "degradation_slope",
            "double",
            "Slope of out-of-sample on in-sample Sharpe ratios of the best run of each split; "
            "negative if the better a backtest looks the worse it goes on.",
        ),
        Column(
            "probability_of_loss",
            "double",
            "Share of splits whose best run lost out of sample.",
            unit=SHARE,
        ),
        Column(
            "spa_p_lower",
            "double",
            "Hansen's test that no run beats staying out: the liberal p-value.",
            unit=P,
        ),
        Column("spa_p_consistent", "double", "The consistent p-value of that test.", unit=P),
        Column("spa_p_upper", "double", "The conservative p-value of that test.", unit=P),
        RECORD_HASH,
    ),
)
SWEEP_TRIALS: Final = Table(
    "sweep_trials",
    "One row per sweep and variant, failed and rejected ones too.",
    (
        SWEEP_ID,
        Column("experiment_id", "varchar", "The variant."),
        Column("run_id", "varchar", "Its run; missing for a variant that was rejected."),
        Column("title", "varchar", "What the variant sets."),
        CATALOG["is_latest"],
        Column("status", "varchar", "complete, existing, failed or rejected."),
        Column("error", "varchar", "Why it failed."),
        Column("started_at", "timestamp", "When its batch was started, UTC."),
        Column("seconds", "double", "Its share of the time of its batch.", unit="seconds"),
    ),
)
SWEEP_STATISTICS: Final = Table(
    "sweep_statistics",
    "One row per sweep and complete run.",
    (
        SWEEP_ID,
        *RUN,
        Column("net_sharpe", "double", "Annualised net Sharpe ratio on its own test days."),
        Column(
            "common_sharpe",
            "double",
            "The same on the test days that all runs share; missing with less than two.",
        ),
        DEFLATED_SHARPE,
        Column(
            "deflated_sharpe_effective",
            "double",
            "The same with n_effective_trials for the number of tries.",
            unit=P,
            since="0.3.0",
        ),
        Column(
            "same_returns_as",
            "varchar",
            "The first run whose net returns are the same, itself if there is none before it.",
            since="0.3.0",
        ),
        IS_SUPERIOR,
        Column(
            "p_leader",
            "double",
            "Two-sided p-value of the null that its Sharpe ratio is that of the run with the "
            "highest deflated_sharpe; 1 for that one.",
            unit=P,
        ),
        IS_TIED,
    ),
)
SWEEP_EDGES: Final = Table(
    "sweep_edges",
    "One row per sweep and tested edge of a state or spread.",
    (
        SWEEP_ID,
        *RUN,
        HORIZON,
        EDGE,
        TRADE_EDGE,
        P_EDGE,
        Column(
            "p_benjamini_hochberg",
            "double",
            "Adjusted over all tested edges of the sweep: share of false findings.",
            unit=P,
        ),
        Column(
            "p_holm",
            "double",
            "Adjusted over all tested edges of the sweep: any false finding.",
            unit=P,
        ),
    ),
)
ROBUSTNESS: Final = Table(
    "robustness",
    "One row per run with a robustness panel, check and setting: a neighbour that differs in one "
    "respect, or a placebo.",
    (
        *RUN,
        Column("check_name", "varchar", "What differs."),
        Column("setting", "varchar", "How."),
        Column("status", "varchar", "complete, itself, skipped or failed."),
        Column("note", "varchar", "Why it was skipped or failed."),
        Column("neighbour_run_id", "varchar", "The neighbour's run."),
        CATALOG["n_test_days"],
        CATALOG["net_sharpe"],
        Column("net_sharpe_change", "double", "Its net_sharpe minus that of the run."),
        CATALOG["net_cagr"],
        CATALOG["avg_turnover"],
        *map(of_spread, (HORIZON, TRADE_EDGE, P_EDGE, P_VALUE, P_SHIFT, EVIDENCE)),
        Column("sign_flips", "boolean", "Whether net_sharpe has another sign than the run's."),
        Column(
            "edge_sign_flips",
            "boolean",
            "Whether spread_trade_edge has another sign than the run's.",
        ),
    ),
)
ROBUSTNESS_SUMMARY: Final = Table(
    "robustness_summary",
    "One row per run with a robustness panel: what its neighbours and placebos come to.",
    (
        *RUN,
        Column(
            "verdict",
            "varchar",
            "robust, not robust, incomplete or nothing to be robust about.",
        ),
        CATALOG["net_sharpe"],
        Column("n_neighbours", "integer", "Neighbours that are complete."),
        Column("n_skipped", "integer", "Settings that cannot be."),
        Column("n_failed", "integer", "Neighbours and placebos that failed."),
        Column("n_empty", "integer", "Complete neighbours that held nothing."),
        Column("n_flips", "integer", "Neighbours whose net Sharpe ratio has another sign."),
        Column("n_edge_flips", "integer", "Neighbours whose spread has another sign."),
        Column("worst_check", "varchar", "What differs in the neighbour of lowest Sharpe ratio."),
        Column("worst_setting", "varchar", "How it differs."),
        Column("worst_net_sharpe", "double", "Its annualised net Sharpe ratio."),
        Column("n_placebos", "integer", "Placebos that are complete."),
        Column(
            "placebo_percentile", "double", "Share of placebos that the run is above.", unit=SHARE
        ),
        Column(
            "placebo_p",
            "double",
            "One-sided p-value of the null that the timing of the states does not matter.",
            unit=P,
        ),
        RECORD_HASH,
    ),
)
STATISTIC: Final = Column(
    "statistic",
    "varchar",
    "spread or edge_best (trade edges), net_sharpe, or net_sharpe_over_ungated (net Sharpe minus "
    "that of the ungated control).",
    since="0.3.0",
)
NULL_HORIZON: Final = Column(
    "horizon_days", "integer", "Of an edge; missing of returns.", unit="days", since="0.3.0"
)
NULL_MARKETS: Final = Table(
    "null_markets",
    "One row per run with null markets, null market that did not fail, and figure: what the run's "
    "experiment shows on a lake in which its states tell nothing.",
    (
        *RUN,
        Column("number", "integer", "Number of the null market, from 1.", since="0.3.0"),
        STATISTIC,
        NULL_HORIZON,
        Column(
            "value",
            "double",
            "What the null market shows; plus is good for the trade. Missing where an edge has no "
            "evidence or nothing was held.",
            since="0.3.0",
        ),
    ),
)
NULL_MARKET_SUMMARY: Final = Table(
    "null_market_summary",
    "One row per run with null markets and figure: how the run ranks among them.",
    (
        *RUN,
        STATISTIC,
        NULL_HORIZON,
        Column("value", "double", "What the run shows.", since="0.3.0"),
        Column("n_markets", "integer", "Null markets that have the figure.", since="0.3.0"),
        Column("n_missing", "integer", "Null markets that completed without it.", since="0.3.0"),
        Column("n_failed", "integer", "Null markets that failed.", since="0.3.0"),
        Column("null_mean", "double", "Mean over null markets that have it.", since="0.3.0"),
        Column("null_q95", "double", "95% quantile over them.", since="0.3.0"),
        Column(
            "p_value",
            "double",
            "One-sided p-value: (1 + null markets at or above the run) / (1 + n_markets).",
            unit=P,
            since="0.3.0",
        ),
        RECORD_HASH,
    ),
)
LOOKS: Final = Table(
    "looks",
    "One row per look at a hold-out.",
    (
        Column("looked_at", "timestamp", "When, UTC."),
        Column("family", "varchar", "The experiment_id without what a sweep adds to it."),
        Column("experiment_id", "varchar", "The experiment that looked."),
        Column("run_id", "varchar", "The run that looked."),
        CATALOG["title"],
        CATALOG["is_latest"],
        Column("holdout_start", "date", "First hidden day."),
        Column("reason", "varchar", "Why, in the words of whoever looked."),
        RECORD_HASH,
    ),
)
FAMILY_EDGES: Final = Table(
    "family_edges",
    "One row per run, horizon and tested edge of spread and edge_best: its p-value as one of all "
    "that were tried on these days. Derived from all runs whenever the warehouse is published.",
    (
        *RUN,
        HORIZON,
        EDGE,
        Column(
            "p_edge",
            "double",
            "The larger of p_value and p_shift.",
            unit=P,
            since="0.3.0",
        ),
        Column(
            "p_family",
            "double",
            "p_edge adjusted over the family of the run (Benjamini & Hochberg 1995).",
            unit=P,
            since="0.3.0",
        ),
    ),
)
LAKE_FINGERPRINT: Final = CATALOG["lake_fingerprint"]
LAKES: Final = Table(
    "lakes",
    "One row per lake of a run that `msm run` or `msm sweep` checked: what there is to know of it "
    "before trusting a run. Join to catalog by lake_fingerprint.",
    tuple(
        replace(column, since="0.3.0")
        for column in (
            LAKE_FINGERPRINT,
            Column("path", "varchar", "Where it lay when it was checked."),
            Column("n_failures", "integer", "Checks that fail: believe no number before."),
            Column("n_warnings", "integer", "Checks that warn."),
            RECORD_HASH,
        )
    ),
)
LAKE_FINDINGS: Final = Table(
    "lake_findings",
    "One row per lake and check that fails or warns.",
    tuple(
        replace(column, since="0.3.0")
        for column in (
            LAKE_FINGERPRINT,
            Column("lake_table", "varchar", "The table it is about."),
            Column("check_name", "varchar", "What was checked."),
            Column("verdict", "varchar", "fail or warn."),
            Column("detail", "varchar", "What was found."),
            Column("remedy", "varchar", "What to do; missing where nothing needs to be done."),
        )
    ),
)
RUN_PROBLEMS: Final = Table(
    "run_problems",
    "One row per entry of the runs folder that is left out of all other tables: damaged runs and "
    "records, renamed copies, what is no run.",
    (
        Column("folder", "varchar", "Its name in the runs folder; of a record, what it is of."),
        Column("reason", "varchar", "What is wrong with it, and in which file."),
        Column("is_broken", "boolean", "Whether it is a run or record that something has damaged."),
        Column(
            "since",
            "timestamp",
            "The last change of the folder or of a file in it, UTC; missing of a record.",
        ),
    ),
)
# small, and rebuilt from what lies hidden in the runs folder whenever that has changed: records of
# sweeps, robustness panels, null markets, the ledger of looks, checks of lakes
DERIVED_TABLES: Final[Mapping[str, Table]] = by_name(
    *(SWEEPS, SWEEP_TRIALS, SWEEP_STATISTICS, SWEEP_EDGES),
    *(ROBUSTNESS, ROBUSTNESS_SUMMARY, NULL_MARKETS, NULL_MARKET_SUMMARY, LOOKS, FAMILY_EDGES),
    *(LAKES, LAKE_FINDINGS, RUN_PROBLEMS),
)

ALL_TABLES: Final[Mapping[str, Table]] = {**RUN_TABLES, **DERIVED_TABLES}
OF_RUNS: Final = tuple(name for name, table in ALL_TABLES.items() if "run_id" in table.names)
"""Tables whose rows belong to a run, and so have what names one."""
