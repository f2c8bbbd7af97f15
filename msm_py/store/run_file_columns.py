"""The columns of the Parquet files in a run folder, which the warehouse takes over."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from msm_py.store.catalog_columns import OF_VALUE, SHARE
from msm_py.store.declarations import Column

DATE: Final = Column(
    "date", "date", "Calendar day t, UTC. The row is known at the close of t (24:00 UTC)."
)
TIMESERIES: Final = (
    DATE,
    Column(
        "score",
        "double",
        "Final score at t, smoothed and gated; missing on a day without coverage. High: MAJORS "
        "state.",
    ),
    Column(
        "feature_coverage",
        "double",
        "Share of the absolute weights whose z-score was present.",
        unit=SHARE,
    ),
    Column("regime", "varchar", "State in force after the close of t."),
    Column(
        "regime_age_days",
        "integer",
        "Since the state was entered; 0 on the day itself.",
        unit="days",
    ),
)
RETURNS: Final = (
    DATE,
    Column(
        "r_alts",
        "double",
        "Return from t-1 to t of the short leg's composition, long-side sign.",
        unit=SHARE,
    ),
    Column("r_majors", "double", "Return from t-1 to t of the long leg's composition.", unit=SHARE),
    Column("r_btc", "double", "BTC's return from t-1 to t; missing on the first day.", unit=SHARE),
    Column(
        "y",
        "double",
        "r_alts minus r_btc, or minus r_majors with target.benchmark: long_leg. Positive: alts "
        "beat it, bad for the trade.",
        unit=SHARE,
    ),
    Column(
        "held_regime",
        "varchar",
        "State that the position held into this day was decided in, execution_lag_days and one "
        "day before; missing on the first days and after ruin.",
        since="0.3.0",
    ),
    Column(
        "position_scale",
        "double",
        "Scale held into this day, decided before.",
        unit="0 (flat) to 1",
    ),
    Column(
        "gross_exposure",
        "double",
        "Gross weight held into this day, cash excluded.",
        unit=OF_VALUE,
    ),
    Column(
        "r_gross",
        "double",
        "Return from t-1 to t before cost and funding; 0 on the first day.",
        unit=OF_VALUE,
    ),
    Column("turnover", "double", "Sum of absolute trades.", unit=OF_VALUE),
    Column(
        "cost",
        "double",
        "Fees, slippage and impact of the trades at the close of t.",
        unit=OF_VALUE,
    ),
    Column(
        "funding",
        "double",
        "Funding of the position held into t: positive is paid, negative received.",
        unit=OF_VALUE,
    ),
    Column("r_net", "double", "r_gross - cost - funding.", unit=OF_VALUE),
    Column(
        "r_ungated",
        "double",
        "Net return of the control: the same long-short held whatever the state.",
        unit=OF_VALUE,
        since="0.3.0",
    ),
    Column(
        "equity_gross",
        "double",
        "1 compounded with r_gross from the first decision day up to and including t.",
        unit="multiple of the start",
    ),
    Column(
        "equity_net",
        "double",
        "1 compounded with r_net from the first decision day up to and including t.",
        unit="multiple of the start",
    ),
    Column(
        "drawdown_net",
        "double",
        "equity_net over its highest value so far (1 at least) minus 1; 0 or negative.",
        unit=SHARE,
    ),
    Column(
        "is_test_day",
        "boolean",
        "Whether strategy metrics count the day: a label for evaluation, whether a short last "
        "window counts is known only later.",
    ),
)
BASKET: Final = (
    DATE,
    Column("asset_id", "varchar", "The asset as the lake names it, case-sensitive."),
    Column("rank", "integer", "Place by market cap, 1 being the largest; ties by asset_id."),
    Column("marketcap_usd", "double", "Market cap at t.", unit="USD"),
    Column("weight", "double", "Weight in the basket, above 0; they sum to 1.", unit=SHARE),
)
REGIME: Final = Column("regime", "varchar", "The state.")
ATTRIBUTION: Final = tuple(
    replace(column, since="0.3.0")
    for column in (
        Column(
            "leg",
            "varchar",
            "long or short; missing for what was lost on the day of ruin beyond all there was.",
        ),
        Column(
            "asset_id",
            "varchar",
            "The asset as the lake names it, case-sensitive; missing where leg is.",
        ),
        replace(
            REGIME,
            description="State that the position held was decided in (held_regime of `daily`); "
            "missing for days before the first decision was held.",
        ),
        Column("n_days", "integer", "Test days into which the asset was held.", unit="days"),
        Column(
            "gross",
            "double",
            "Sum of what the asset added to r_gross, not compounded.",
            unit=OF_VALUE,
        ),
        Column("turnover", "double", "Sum of absolute trades.", unit=OF_VALUE),
        Column("fees", "double", "Exchange fees of these trades.", unit=OF_VALUE),
        Column("slippage", "double", "Their slippage.", unit=OF_VALUE),
        Column(
            "impact",
            "double",
            "Their market impact; 0 without capital and where it cannot be estimated.",
            unit=OF_VALUE,
        ),
        Column("funding", "double", "Funding: positive is paid, negative received.", unit=OF_VALUE),
        Column(
            "net",
            "double",
            "gross - fees - slippage - impact - funding; without leg, the loss that nobody paid. "
            "Sums to r_net of the test days.",
            unit=OF_VALUE,
        ),
    )
)
STATE_PATHS: Final = tuple(
    replace(column, since="0.3.0")
    for column in (
        replace(REGIME, description="The state that was entered."),
        Column(
            "day_number",
            "integer",
            "Days after the entry (and the execution lag), from 0 to the longest horizon.",
            unit="days",
        ),
        Column(
            "n_entries",
            "integer",
            "Entries whose path is known that far; with a search, those on test days.",
        ),
        Column(
            "mean",
            "double",
            "Mean over them of minus Y, cumulative since the entry: plus is good for the trade.",
            unit=SHARE,
        ),
        Column(
            "ci_low",
            "double",
            "Lower end of its 95% interval (Student's, over entries); missing below 3 entries.",
            unit=SHARE,
        ),
        Column("ci_high", "double", "Upper end of it.", unit=SHARE),
    )
)
QUALITY: Final = tuple(
    replace(column, since="0.3.0")
    for column in (
        Column("check_name", "varchar", "The check, as docs/methodology.md lists them."),
        Column(
            "severity",
            "varchar",
            "error (told above the result), warn (told among the warnings) or info.",
        ),
        Column(
            "subject",
            "varchar",
            "What it is about: a table, an asset, a feature, or the alts or majors as a group.",
        ),
        Column("first_day", "date", "First day of the span, or of the window if it begins before."),
        Column("last_day", "date", "Last day of the span, or of the window if it ends later."),
        Column("n_days", "integer", "Days of the span.", unit="days"),
        Column(
            "value",
            "double",
            "What was found on the worst day; days where that is what counts.",
            unit="as the check says",
        ),
        Column(
            "limit_value",
            "double",
            "The limit that was passed.",
            unit="as the check says",
        ),
        Column("detail", "varchar", "Counts behind the value; missing where there are none."),
        Column("place", "integer", "Place among the findings of the check, 1 being the worst."),
    )
)
FEATURES: Final = (
    DATE,
    Column("feature_id", "varchar", "The feature, as in the registry."),
    Column(
        "raw_value",
        "double",
        "The feature at t; missing when a day of its window is.",
        unit="as the registry says",
    ),
    Column(
        "z_score",
        "double",
        "From the mean of the trailing window; missing unless all of the window is there.",
        unit="standard deviations",
    ),
)
ELIGIBILITY: Final = (
    Column("asset_id", "varchar", "The asset as the lake names it, case-sensitive."),
    Column(
        "reason",
        "varchar",
        "eligible, or why it is none of the alts, the first of: major; excluded; market cap or "
        "volume never reaches the minimum; bad price; no price; size not known; market cap below "
        "the minimum; no volume; volume below the minimum; history too short; no open perpetual.",
    ),
    Column("n_days", "integer", "Decision days for which it holds, since the first price."),
    Column("first_date", "date", "First of them."),
    Column("last_date", "date", "Last of them."),
)
