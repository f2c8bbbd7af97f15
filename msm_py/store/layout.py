"""The files of a run folder, and the columns of those that hold days."""

from __future__ import annotations

from typing import Final

from msm_py.store import run_file_columns

MANIFEST: Final = "manifest.json"
METRICS: Final = "metrics.json"
REGIME_EVALUATION: Final = "regime_evaluation.json"
REGIME_METRICS: Final = "regime_metrics.csv"
REGIME_TIMESERIES: Final = "regime_timeseries.parquet"
RETURNS: Final = "returns.parquet"
BASKET: Final = "basket.parquet"
FEATURES: Final = "features.parquet"
ELIGIBILITY: Final = "eligibility.parquet"
ATTRIBUTION: Final = "attribution.parquet"
STATE_PATHS: Final = "state_paths.parquet"
QUALITY: Final = "quality.json"
CATALOG_ENTRY: Final = "catalog_entry.json"
WALK_FORWARD: Final = "walk_forward.json"  # of runs with a search only
REPORT: Final = "report.html"  # a page for people: made anew at any time, no part of the run
LEADERBOARD: Final = "leaderboard.html"  # another one, in the runs folder itself
LOOK: Final = "look.json"  # of runs that looked at their hold-out only
SIGN_NOTE: Final = (
    "Y and edge are alts minus BTC (or the long leg, with target.benchmark: long_leg): negative is "
    "good for the trade (long majors, short alts); trade_edge is minus the edge."
)
TIMESERIES_COLUMNS: Final = tuple(column.name for column in run_file_columns.TIMESERIES)
RETURNS_COLUMNS: Final = tuple(column.name for column in run_file_columns.RETURNS)
BASKET_COLUMNS: Final = tuple(column.name for column in run_file_columns.BASKET)
FEATURES_COLUMNS: Final = tuple(column.name for column in run_file_columns.FEATURES)
ELIGIBILITY_COLUMNS: Final = tuple(column.name for column in run_file_columns.ELIGIBILITY)
PANELS: Final = {
    "basket_panel": ("baskets", BASKET),
    "feature_panel": ("features", FEATURES),
    "eligibility_panel": ("eligibility", ELIGIBILITY),
}
"""What runs share: key of the panel's id in catalog_entry.json, table of the warehouse, file."""
ATTRIBUTION_COLUMNS: Final = tuple(column.name for column in run_file_columns.ATTRIBUTION)
STATE_PATHS_COLUMNS: Final = tuple(column.name for column in run_file_columns.STATE_PATHS)
QUALITY_COLUMNS: Final = tuple(column.name for column in run_file_columns.QUALITY)


def sweep_page(sweep_id: str) -> str:
    """Return the name of the leaderboard of a sweep, in the runs folder."""
    return f"leaderboard-{sweep_id}.html"


def is_page(name: str) -> bool:
    """Return whether something in a runs folder is called as a leaderboard is."""
    return name.startswith("leaderboard") and name.endswith(".html")
