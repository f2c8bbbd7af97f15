"""Keys that other systems have, and what takes their place here.

Those of the earlier system of this project, and of common libraries for backtests. Keys that mean
nothing here are told so: a key that is guessed wrong is worse than none.
"""

from __future__ import annotations

from typing import Final

_SCALE: Final = (
    "there is no volatility target: backtest.position_scale sizes the position by state, "
    "backtest.gross the legs"
)
_CAPITAL: Final = "it is called backtest.capital_usd; without it there is no market impact"
_FEES: Final = "it is called backtest.costs.taker_fee_bps, in basis points (5 is 0.05%)"
_SLIPPAGE: Final = "it is called backtest.costs.slippage_bps, in basis points (5 is 0.05%)"
_MEMBERS: Final = "it is called target.short_leg.n"
_HORIZONS: Final = "it is called target.horizons_days, a list such as [1, 5, 10, 20]"
_START: Final = "it is called window.start, YYYY-MM-DD"
_END: Final = "it is called window.end, YYYY-MM-DD"
_REPLICATES: Final = "it is called evaluation.bootstrap.n_boot"
_BLOCKS: Final = "it is called evaluation.bootstrap.block_size"
_REBALANCE: Final = (
    "it is called backtest.rebalance_frequency_days (a number of days), or "
    "backtest.rebalance_weekday (such as monday)"
)
_EXCLUDE: Final = "it is called universe.exclude_assets, a list of asset ids"
_MAJORS: Final = "it is called universe.majors, a list of asset ids"
_WEIGHTS: Final = "weights stand with their features: features: [{id: momentum, weight: -0.3}]"
_ID: Final = "a feature is named by id: {id: momentum, weight: -0.3}"
_LOOKBACK: Final = (
    "it is called backtest.lookback_window_days (days before the first test window) or "
    "feature_params.zscore_window_days (days of a z-score)"
)
_SHORTS: Final = (
    "the short leg is made by rules: target.short_leg.n of the largest alts, without "
    "universe.exclude_assets"
)
_DATA: Final = "the lake is given with --lake or MSM_LAKE"
_STATES: Final = "it is called state_mapping.n_regimes, 3 or 5"
_CUTS: Final = "it is called state_mapping.thresholds: low, high, strong_low, strong_high"
_LEVERAGE: Final = "it is called backtest.gross: {long: 0.5, short: 0.5} are weights of the legs"
_BANDS: Final = "it is called state_mapping.hysteresis: low_band, high_band"
_STAY: Final = "it is called state_mapping.persistence.min_duration_days"
_STOP: Final = "there are no stops: positions follow states and rebalance days alone"

FOREIGN: Final[dict[str, str]] = {
    # the earlier system
    "train_window_days": "it is called backtest.lookback_window_days: nothing is trained on it",
    "slippage_adv_multiplier": "use backtest.capital_usd and backtest.impact_coefficient: "
    "market impact follows the square-root law",
    **dict.fromkeys(("horizon_days", "horizon", "horizons", "forward_days"), _HORIZONS),
    **dict.fromkeys(("basket_size", "n_shorts", "n_alts", "top_n", "basket_n"), _MEMBERS),
    **dict.fromkeys(("basket", "short_basket", "shorts", "symbols", "tickers"), _SHORTS),
    **dict.fromkeys(("vol_target", "target_vol", "volatility_target", "vol_targeting"), _SCALE),
    **dict.fromkeys(("regimes", "n_states", "num_regimes", "states"), _STATES),
    **dict.fromkeys(("cuts", "cutoffs", "threshold", "thresholds"), _CUTS),
    **dict.fromkeys(("hysteresis_band", "bands", "band"), _BANDS),
    **dict.fromkeys(("min_hold_days", "min_duration", "min_dwell_days", "persistence_days"), _STAY),
    **dict.fromkeys(
        ("ema_span", "smoothing_span", "ema_days"),
        "it is called state_mapping.smoothing.ema_span_days",
    ),
    **dict.fromkeys(
        ("zscore_window", "z_window", "zscore_lookback", "z_score_window"),
        "it is called feature_params.zscore_window_days",
    ),
    **dict.fromkeys(
        ("clip", "zclip", "clip_z", "max_z", "zscore_clip"), "it is called feature_params.z_clip"
    ),
    **dict.fromkeys(
        ("winsorize", "winsorise", "winsorize_pct", "winsor"),
        "it is called features[].winsorize: {id: momentum, weight: -0.3, winsorize: 0.05}",
    ),
    **dict.fromkeys(("feature_weights", "weights", "weight"), _WEIGHTS),
    # days
    **dict.fromkeys(("from", "start_date", "date_from", "begin", "fromdate", "start"), _START),
    **dict.fromkeys(("to", "until", "end_date", "date_to", "todate", "end"), _END),
    **dict.fromkeys(
        ("timerange", "dates", "period"), "write window: {start: YYYY-MM-DD, end: YYYY-MM-DD}"
    ),
    # costs and capital
    **dict.fromkeys(
        ("fee", "fees", "fee_bps", "fees_bps", "commission", "commissions", "trading_fee"), _FEES
    ),
    **dict.fromkeys(("slippage", "slip", "slippage_pct", "impact_bps"), _SLIPPAGE),
    **dict.fromkeys(
        (
            "capital",
            "initial_capital",
            "init_cash",
            "cash",
            "capital_base",
            "aum",
            "dry_run_wallet",
        ),
        _CAPITAL,
    ),
    **dict.fromkeys(("leverage", "max_leverage", "gross_exposure"), _LEVERAGE),
    **dict.fromkeys(("stop_loss", "stoploss", "take_profit", "trailing_stop"), _STOP),
    **dict.fromkeys(
        ("lag", "delay", "trade_delay", "signal_lag"), "it is called backtest.execution_lag_days"
    ),
    # rebalancing and lookbacks
    **dict.fromkeys(
        ("rebalance", "rebalance_freq", "rebalance_frequency", "rebalance_days", "freq"), _REBALANCE
    ),
    **dict.fromkeys(("lookback", "lookback_days", "lookback_window", "window_length"), _LOOKBACK),
    # assets
    **dict.fromkeys(("exclude", "excluded", "blacklist", "exclusions"), _EXCLUDE),
    **dict.fromkeys(("longs", "long_assets", "major"), _MAJORS),
    **dict.fromkeys(
        ("min_market_cap", "min_mcap", "min_marketcap_usd"), "it is called universe.min_mcap_usd"
    ),
    **dict.fromkeys(
        ("min_volume", "min_adv", "min_adv_usd"), "it is called target.short_leg.min_volume_usd"
    ),
    **dict.fromkeys(("data", "data_dir", "lake", "datadir", "lake_path", "exchange"), _DATA),
    # tests
    **dict.fromkeys(
        (
            "n_boots",
            "n_bootstrap",
            "n_bootstraps",
            "bootstrap_samples",
            "n_resamples",
            "replicates",
        ),
        _REPLICATES,
    ),
    **dict.fromkeys(("block_length", "block_len", "blocksize", "block_days"), _BLOCKS),
    **dict.fromkeys(
        ("random_seed", "random_state", "rng_seed"), "it is called evaluation.bootstrap.seed"
    ),
    **dict.fromkeys(
        ("holdout", "holdout_from", "test_start", "oos_start"),
        "it is called evaluation.holdout_start",
    ),
    # names
    **dict.fromkeys(("name", "strategy", "experiment", "id"), "it is called experiment_id"),
}
"""Remedies by key, wherever it stands, unless the section at hand has one that is spelled alike."""

OF_FEATURES: Final[dict[str, str]] = {
    **dict.fromkeys(("name", "feature", "feature_id", "type"), _ID),
    **dict.fromkeys(
        ("zscore_window_days", "window", "lookback"),
        "one window holds for all features: feature_params.zscore_window_days",
    ),
    **dict.fromkeys(
        ("sign", "direction"), "the sign is that of weight: {id: momentum, weight: -0.3}"
    ),
}
"""The same in an entry of ``features``, which wins there."""
