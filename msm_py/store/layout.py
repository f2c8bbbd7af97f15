"""The files of a run folder, and the columns of those that hold days."""

from __future__ import annotations

from typing import Final

MANIFEST: Final = "manifest.json"
METRICS: Final = "metrics.json"
REGIME_EVALUATION: Final = "regime_evaluation.json"
REGIME_METRICS: Final = "regime_metrics.csv"
REGIME_TIMESERIES: Final = "regime_timeseries.parquet"
RETURNS: Final = "returns.parquet"
BASKET: Final = "basket.parquet"
FEATURES: Final = "features.parquet"
CATALOG_ENTRY: Final = "catalog_entry.json"
WALK_FORWARD: Final = "walk_forward.json"  # of runs with a search only
SIGN_NOTE: Final = (
    "Y and edge are alts minus BTC: negative is good for the trade (long majors, short alts); "
    "trade_edge is minus the edge."
)
TIMESERIES_COLUMNS: Final = ("date", "score", "feature_coverage", "regime", "regime_age_days")
RETURNS_COLUMNS: Final = (
    "date",
    "r_alts",
    "r_majors",
    "r_btc",
    "y",
    "position_scale",
    "gross_exposure",
    "r_gross",
    "turnover",
    "cost",
    "funding",
    "r_net",
    "equity_gross",
    "equity_net",
    "drawdown_net",
    "is_test_day",
)
BASKET_COLUMNS: Final = ("date", "asset_id", "rank", "marketcap_usd", "weight")
FEATURES_COLUMNS: Final = ("date", "feature_id", "raw_value", "z_score")
