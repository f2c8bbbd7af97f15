"""Odd experiments, which between them take every branch of the methodology."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.lakes import tiny_spec

from msm_py.experiment import ids, load
from msm_py.regimes import REGIMES_OF

ODD_SPECS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weekly_lag": {
        "backtest": {
            "rebalance_frequency_days": None,
            "rebalance_weekday": "wednesday",
            "execution_lag_days": 1,
        },
    },
    "every_five_days": {
        "backtest": {"rebalance_frequency_days": 5, "walk_forward": False},
        "target": {
            "long_leg": {"weights": {"BTC": 0.7, "ETH": 0.3}},
            "short_leg": {"n": 4, "weighting": "mcap"},
        },
    },
    "three_states": {
        "state_mapping": {
            "n_regimes": 3,
            "thresholds": {"strong_low": None, "strong_high": None, "low": -0.2, "high": 0.2},
            "smoothing": {"ema_span_days": 4},
            "high_vol_gate": {"btc_return_days": 3, "max_abs_return": 0.05},
        },
        "backtest": {
            "position_scale": {"RISK_ON_MAJORS": 1.0, "BALANCED": 0.35, "RISK_ON_ALTS": 0.0}
        },
    },
    "impact": {
        "backtest": {
            "capital_usd": 5e6,
            "impact_coefficient": 0.8,
            "costs": {"taker_fee_bps": 4.0, "slippage_bps": 1.5, "funding_enabled": False},
            "gross": {"long": 0.8, "short": 0.4},
            "rebalance_frequency_days": 3,
        },
    },
    "bounded": {
        "features": [
            {"id": "alt_breadth", "weight": 0.4},
            {"id": "funding_skew", "weight": 0.3, "winsorize": 0.25},
            {"id": "momentum", "weight": -0.5, "winsorize": 0.1},
        ],
        "feature_params": {"zscore_window_days": 20, "z_clip": 1.2},
    },
    "long_leg": {
        "target": {
            "benchmark": "long_leg",
            "long_leg": {"weights": {"BTC": 0.7, "ETH": 0.3}},
            "short_leg": {"rank_median_days": 5},
        },
        "backtest": {"rebalance_frequency_days": 3, "execution_lag_days": 1},
    },
    "limited": {
        "universe": {"max_abs_return_1d": 0.15},
        "target": {"short_leg": {"weighting": "mcap"}},
        "backtest": {
            "capital_usd": 2e8,
            "max_participation": 0.05,
            "rebalance_frequency_days": 2,
        },
    },
    "by_volume": {
        "universe": {"rank_by": "volume_30d"},
        "target": {"short_leg": {"n": 4}},
        "backtest": {"rebalance_frequency_days": 2},
    },
    "tradable": {
        "universe": {"min_history_days": 40, "listed_on": ["X", "Z"]},
        "target": {"short_leg": {"n": 3, "rank_median_days": 2}},
    },
    "ruined": {
        "allow_extreme": True,
        "target": {"short_leg": {"n": 2}},
        "backtest": {
            "gross": {"long": 0.5, "short": 4.0},
            "position_scale": dict.fromkeys(REGIMES_OF[5], 1.0),
        },
    },
    "min_coverage": {
        "feature_params": {"min_coverage": 0.55},
        "backtest": {"rebalance_frequency_days": 2},
        "state_mapping": {
            "persistence": {"min_duration_days": 4, "requires_stronger_signal": False}
        },
    },
}


def spec_of(name: str, changes: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    given = tiny_spec(changes, **more)
    given["experiment_id"] = name
    return ids.resolve(load.from_resolved(given))


def every_feature_spec() -> dict[str, Any]:
    """Return a spec that uses all features of the registry, funding in other weightings."""
    from msm_py.experiment.registry import feature_registry

    weights = {name: 0.1 if i % 2 else -0.05 for i, name in enumerate(feature_registry())}
    spec = spec_of("every_feature", {}, weights=weights)
    for feature in spec["features"]:
        if feature["id"] == "funding_skew":
            feature["params"] = {"weighting": "median", "min_oi_coverage": 0.2}
        if feature["id"] == "funding_heating":
            feature["params"] = {"weighting": "mcap", "min_oi_coverage": 0.0}
    return ids.resolve(load.from_resolved(spec))
