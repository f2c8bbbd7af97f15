"""Every table, column and view that a reader of the warehouse finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PERFORMANCE: Final = {
    f"{basis}_{name}": kind
    for basis in ("net", "gross")
    for name, kind in {
        "total_return": "double",
        "cagr": "double",
        "volatility": "double",
        "sharpe": "double",
        "sortino": "double",
        "max_drawdown": "double",
        "max_drawdown_days": "integer",
        "calmar": "double",
        "hit_rate": "double",
        "skewness": "double",
        "kurtosis": "double",
        "probabilistic_sharpe": "double",
    }.items()
}

# of run folders; models/catalog/catalog.yml describes the columns of the catalog
RUN_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "catalog": {
        "run_id": "varchar",
        "title": "varchar",
        "experiment_id": "varchar",
        "category_path": "varchar",
        "created_at": "timestamp",
        "status": "varchar",
        "error": "varchar",
        "features": "varchar",
        "n_features": "integer",
        "zscore_window_days": "integer",
        "n_regimes": "integer",
        "thresholds": "varchar",
        "low_band": "double",
        "high_band": "double",
        "min_duration_days": "integer",
        "ema_span_days": "integer",
        "long_leg": "varchar",
        "short_n": "integer",
        "short_weighting": "varchar",
        "min_mcap_usd": "double",
        "min_volume_usd": "double",
        "rebalance": "varchar",
        "execution_lag_days": "integer",
        "taker_fee_bps": "double",
        "slippage_bps": "double",
        "capital_usd": "double",
        "walk_forward": "boolean",
        "evaluation_sample": "varchar",
        "search_objective": "varchar",
        "n_candidates": "integer",
        "is_placebo": "boolean",
        "holdout_start": "date",
        "is_look": "boolean",
        "first_date": "date",
        "last_date": "date",
        "n_days": "integer",
        "n_test_days": "integer",
        **PERFORMANCE,
        "n_invested_days": "integer",
        "avg_gross_exposure": "double",
        "avg_turnover": "double",
        "cost_drag": "double",
        "funding_drag": "double",
        "ungated_net_cagr": "double",
        "ungated_net_sharpe": "double",
        "btc_cagr": "double",
        "btc_sharpe": "double",
        "total_switches": "integer",
        "switches_per_year": "double",
        "avg_regime_duration_days": "double",
        "regime_distribution": "varchar",
        "feature_coverage": "double",
        "min_feature_coverage": "double",
        "n_uncovered_days": "integer",
        "n_fallback_days": "integer",
        "alts_oi_coverage": "double",
        "majors_oi_coverage": "double",
        "funding_coverage": "double",
        "impact_coverage": "double",
        "n_forced_exits": "integer",
        "n_warnings": "integer",
        "bootstrap_method": "varchar",
        "n_boot": "integer",
        "block_size": "varchar",
        "seed": "bigint",
        "lake_name": "varchar",
        "lake_fingerprint": "varchar",
        "code_fingerprint": "varchar",
        "git_commit": "varchar",
        "git_dirty": "boolean",
        "duration_seconds": "double",
    },
    "run_params": {
        "run_id": "varchar",
        "param": "varchar",
        "value": "varchar",
        "value_number": "double",
    },
    "regime_statistics": {
        "run_id": "varchar",
        "horizon_days": "integer",
        "regime": "varchar",
        "n": "integer",
        "n_spells": "integer",
        "mean": "double",
        "median": "double",
        "std": "double",
        "hit_rate": "double",
        "t_stat": "double",
        "p_value": "double",
    },
    "edges": {
        "run_id": "varchar",
        "horizon_days": "integer",
        "edge": "varchar",
        "estimate": "double",
        "trade_edge": "double",
        "se": "double",
        "ci_low": "double",
        "ci_high": "double",
        "p_value": "double",
        "p_shift": "double",
        "p_nw": "double",
        "p_max_t": "double",
        "n_spells": "integer",
        "evidence": "varchar",
        "n_boot": "integer",
        "block_days": "integer",
        "n_redrawn": "integer",
    },
    "regime_metrics": {
        "run_id": "varchar",
        "regime": "varchar",
        "position_scale": "double",
        "n_days": "integer",
        "total_gross": "double",
        "total_net": "double",
        "mean_net_annualised": "double",
        "volatility_net": "double",
        "hit_rate_net": "double",
    },
    "stability": {
        "run_id": "varchar",
        "n_days": "integer",
        "n_spells": "integer",
        "total_switches": "integer",
        "switches_per_year": "double",
        "avg_regime_duration_days": "double",
    },
    "regime_distribution": {
        "run_id": "varchar",
        "regime": "varchar",
        "n_days": "integer",
        "n_spells": "integer",
        "pct": "double",
    },
    "regime_transitions": {
        "run_id": "varchar",
        "from_regime": "varchar",
        "to_regime": "varchar",
        "n_days": "integer",
        "pct": "double",
    },
    "chosen_parameters": {
        "run_id": "varchar",
        "window_number": "integer",
        "first_date": "date",
        "last_date": "date",
        "scored_from": "date",
        "scored_until": "date",
        "candidate": "integer",
        "objective_value": "double",
        "is_test_window": "boolean",
        "test_net_sharpe": "double",
        "parameter": "varchar",
        "value": "double",
    },
    "run_warnings": {"run_id": "varchar", "warning": "varchar"},
    "daily": {
        "run_id": "varchar",
        "date": "date",
        "score": "double",
        "feature_coverage": "double",
        "regime": "varchar",
        "regime_age_days": "integer",
        "r_alts": "double",
        "r_majors": "double",
        "r_btc": "double",
        "y": "double",
        "position_scale": "double",
        "gross_exposure": "double",
        "r_gross": "double",
        "turnover": "double",
        "cost": "double",
        "funding": "double",
        "r_net": "double",
        "equity_gross": "double",
        "equity_net": "double",
        "drawdown_net": "double",
        "is_test_day": "boolean",
    },
    "run_panels": {
        "run_id": "varchar",
        "basket_panel": "varchar",
        "feature_panel": "varchar",
        # when the folder was written: one that was replaced is published anew
        "manifest_mtime_ns": "bigint",
    },
    "baskets": {
        "basket_panel": "varchar",
        "date": "date",
        "asset_id": "varchar",
        "rank": "integer",
        "marketcap_usd": "double",
        "weight": "double",
    },
    "features": {
        "feature_panel": "varchar",
        "date": "date",
        "feature_id": "varchar",
        "raw_value": "double",
        "z_score": "double",
    },
}

# small, and rebuilt from what lies hidden in the runs folder whenever that has changed: records
# of sweeps, robustness panels, the ledger of looks
DERIVED_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "sweeps": {
        "sweep_id": "varchar",
        "name": "varchar",
        "started_at": "timestamp",
        "finished_at": "timestamp",
        "seconds": "double",
        "n_trials": "integer",
        "n_looks": "integer",
        "n_duplicates": "integer",
        "n_failed": "integer",
        "n_rejected": "integer",
        "n_runs": "integer",
        "n_common_days": "integer",
        "pbo": "double",
        "degradation_slope": "double",
        "probability_of_loss": "double",
        "spa_p_lower": "double",
        "spa_p_consistent": "double",
        "spa_p_upper": "double",
        "record_hash": "varchar",
    },
    "sweep_trials": {
        "sweep_id": "varchar",
        "experiment_id": "varchar",
        "run_id": "varchar",
        "title": "varchar",
        "status": "varchar",
        "error": "varchar",
        "started_at": "timestamp",
        "seconds": "double",
    },
    "sweep_statistics": {
        "sweep_id": "varchar",
        "run_id": "varchar",
        "net_sharpe": "double",
        "common_sharpe": "double",
        "deflated_sharpe": "double",
        "is_superior": "boolean",
        "p_leader": "double",
        "is_tied_with_leader": "boolean",
    },
    "sweep_edges": {
        "sweep_id": "varchar",
        "run_id": "varchar",
        "horizon_days": "integer",
        "edge": "varchar",
        "trade_edge": "double",
        "p_value": "double",
        "p_benjamini_hochberg": "double",
        "p_holm": "double",
    },
    "robustness": {
        "run_id": "varchar",
        "check_name": "varchar",
        "setting": "varchar",
        "status": "varchar",
        "note": "varchar",
        "neighbour_run_id": "varchar",
        "n_test_days": "integer",
        "net_sharpe": "double",
        "net_sharpe_change": "double",
        "net_cagr": "double",
        "avg_turnover": "double",
        "spread_horizon_days": "integer",
        "spread_trade_edge": "double",
        "spread_p_value": "double",
        "spread_p_shift": "double",
        "spread_evidence": "varchar",
        "sign_flips": "boolean",
        "edge_sign_flips": "boolean",
    },
    "robustness_summary": {
        "run_id": "varchar",
        "title": "varchar",
        "verdict": "varchar",
        "net_sharpe": "double",
        "n_neighbours": "integer",
        "n_skipped": "integer",
        "n_failed": "integer",
        "n_empty": "integer",
        "n_flips": "integer",
        "n_edge_flips": "integer",
        "worst_check": "varchar",
        "worst_setting": "varchar",
        "worst_net_sharpe": "double",
        "n_placebos": "integer",
        "placebo_percentile": "double",
        "placebo_p": "double",
        "record_hash": "varchar",
    },
    "looks": {
        "looked_at": "timestamp",
        "family": "varchar",
        "experiment_id": "varchar",
        "run_id": "varchar",
        "holdout_start": "date",
        "reason": "varchar",
        "record_hash": "varchar",
    },
}

ALL_TABLES: Final[Mapping[str, Mapping[str, str]]] = {**RUN_TABLES, **DERIVED_TABLES}

VIEWS: Final[Mapping[str, str]] = {
    # By deflated Sharpe ratio; a run of several sweeps counts with the one that asks most of it.
    # Runs of no sweep come after those of sweeps: nobody knows of how many tries they are the best.
    "v_leaderboard": """
        select
            row_number() over (
                order by
                    family.deflated_sharpe desc nulls last,
                    catalog.net_probabilistic_sharpe desc nulls last,
                    catalog.net_sharpe desc nulls last,
                    catalog.run_id
            ) as place,
            catalog.run_id, catalog.title, catalog.lake_name,
            family.deflated_sharpe, family.sweep_id,
            family.is_tied_with_leader, family.is_superior,
            catalog.net_sharpe, catalog.net_probabilistic_sharpe,
            catalog.net_cagr, catalog.net_max_drawdown, catalog.net_calmar,
            catalog.ungated_net_sharpe, catalog.btc_sharpe, catalog.switches_per_year,
            spread.horizon_days as spread_horizon_days,
            spread.trade_edge as spread_trade_edge, spread.p_value as spread_p_value,
            spread.p_shift as spread_p_shift, spread.evidence as spread_evidence,
            catalog.n_test_days, catalog.n_warnings, catalog.first_date, catalog.last_date,
            catalog.holdout_start, catalog.is_look,
            catalog.created_at
        from catalog
        left join (
            select * from edges
            where edge = 'spread'
            qualify row_number() over (
                partition by run_id order by abs(horizon_days - 5), horizon_days
            ) = 1
        ) as spread on catalog.run_id = spread.run_id
        left join (
            select * from sweep_statistics
            qualify row_number() over (
                partition by run_id order by deflated_sharpe nulls last, sweep_id
            ) = 1
        ) as family on catalog.run_id = family.run_id
        where catalog.is_placebo is not true
    """,
    "v_latest_state": """
        select
            daily.run_id, catalog.title, daily.date, daily.regime, daily.regime_age_days,
            daily.score, daily.feature_coverage
        from daily
        inner join catalog
            on daily.run_id = catalog.run_id and daily.date = catalog.last_date
        where catalog.is_placebo is not true
    """,
}
