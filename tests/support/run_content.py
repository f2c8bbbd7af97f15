"""The content of a made-up run folder, and a warehouse of made-up rows."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from msm_py.regimes import REGIMES_OF
from msm_py.store import declared_text, layout, warehouse, warehouse_tables
from msm_py.store.edge_rows import SUMMARY_EDGES

FIRST = date(2024, 1, 1)


def performance(**changes: Any) -> dict[str, Any]:
    return {
        "n_days": 100,
        "n_invested_days": 40,
        "total_return": 0.1234,
        "cagr": 0.5,
        "volatility": 0.2,
        "sharpe": 1.25,
        "sortino": 1.75,
        "max_drawdown": -0.08,
        "max_drawdown_days": 12,
        "calmar": 6.25,
        "hit_rate": 0.55,
        "skewness": 0.1,
        "kurtosis": 4.0,
        "probabilistic_sharpe": 0.87,
        **changes,
    }


def trading(**changes: Any) -> dict[str, Any]:
    own = {
        "avg_gross_exposure": 0.4,
        "avg_turnover": 0.05,
        "cost_drag": 0.0183,
        "funding_drag": -0.0021,
    }
    return performance(**own, **changes)


def edge(name: str, estimate: float | None, spells: int = 12, **changes: Any) -> dict[str, Any]:
    known = estimate is not None and spells >= 5
    return {
        "horizon_days": 5,
        "edge": name,
        "regime": None if name in SUMMARY_EDGES else name,
        "against_regime": None,
        "estimate": estimate,
        "trade_edge": None if estimate is None else -estimate,
        "se": 0.01,
        "ci_low": estimate - 0.02 if known and estimate is not None else None,
        "ci_high": estimate + 0.02 if known and estimate is not None else None,
        "p_edge": 0.41 if known else None,
        "p_value": 0.4 if known else None,
        "p_shift": 0.41 if spells >= 3 else None,
        "p_ewc": 0.42 if known else None,
        "p_max_t": 0.43 if spells >= 3 and name != "spread" else None,
        "n_spells": spells,
        "evidence": "normal"
        if spells >= 10
        else "low"
        if known
        else "none"
        if spells < 3
        else "shift only",
        "n_boot": 999,
        "block_days": 20,
        "n_redrawn": 0,
        **changes,
    }


def statistic(regime: str, n: int, spells: int) -> dict[str, Any]:
    return {
        "horizon_days": 5,
        "regime": regime,
        "n": n,
        "n_spells": spells,
        "mean": -0.0123 if n else None,
        "median": None,
        "std": None,
        "hit_rate": 0.44 if n else None,
        "t_stat": None,
        "p_value": 0.0001,
    }


def run_content(days: dict[str, int], n_regimes: int = 5) -> dict[str, Any]:
    """Return what stands in the JSON files of a run that spent ``days`` in its states."""
    regimes = REGIMES_OF[n_regimes]
    spells = {regime: 12 if days.get(regime) else 0 for regime in regimes}
    n_days = sum(days.values())
    present = [regime for regime in regimes if days.get(regime)]
    estimates = {regime: 0.011 - 0.01 * place for place, regime in enumerate(present)}
    edges = [edge(regime, estimates.get(regime), spells[regime]) for regime in regimes]
    best, worst = present[-1], present[0]
    edges += [
        edge("edge_best", estimates[best], regime=best),
        edge("edge_worst", estimates[worst], regime=worst),
        edge("spread", estimates[best] - estimates[worst], regime=best, against_regime=worst),
    ]
    return {
        "manifest": {
            "run_id": "demo-0123456789",
            "spec": {
                "experiment_id": "demo",
                "title": "Demo",
                "description": None,
                "features": [{"id": "momentum", "weight": -0.5, "params": {}}],
                "target": {"benchmark": "btc"},
                "state_mapping": {"n_regimes": n_regimes, "thresholds": {"low": -0.5}},
                "backtest": {
                    "walk_forward": True,
                    "lookback_window_days": 252,
                    "capital_usd": None,
                    "execution_lag_days": 0,
                },
                "evaluation": {
                    "bootstrap": {
                        "enabled": True,
                        "method": "studentized",
                        "kind": "circular",
                        "block_size": "auto",
                        "n_boot": 999,
                    }
                },
            },
            "seed": 42,
            "code_fingerprint": "c0de" * 16,
            "git_commit": None,
            "git_dirty": None,
            "lake": {"name": "tiny", "fingerprint": "1ake" * 16, "tables": [], "dropped_rows": []},
            "versions": {"duckdb": "2.0.0"},
            "started_at": "2026-01-02T03:04:00.000+00:00",
            "finished_at": "2026-01-02T03:04:05.000+00:00",
            "duration_seconds": 5.0,
        },
        "metrics": {
            "run_id": "demo-0123456789",
            "experiment_id": "demo",
            "title": "Demo [not markup]",
            "window": {
                "first_date": "2024-01-01",
                "last_date": "2024-12-31",
                "n_days": n_days,
                "n_test_days": 100,
            },
            "headline": {"net": trading(), "gross": trading(cagr=0.6)},
            "controls": {
                "ungated_net": trading(cagr=0.3, sharpe=0.75),
                "ungated_gross": trading(cagr=0.35),
                "btc": performance(cagr=0.99),
            },
            "sharpe_tests": {
                "net_sharpe_ci_low": -0.5,
                "net_sharpe_ci_high": 3.0,
                "p_ungated": 0.3,
                "p_btc": 0.4,
            },
            "stability": {
                "n_days": n_days,
                "n_spells": 24,
                "total_switches": 23,
                "switches_per_year": 12.34,
                "avg_regime_duration_days": 8.76,
                "regime_distribution": [
                    {
                        "regime": regime,
                        "n_days": days.get(regime, 0),
                        "n_spells": spells[regime],
                        "pct": 100 * days.get(regime, 0) / n_days,
                    }
                    for regime in regimes
                ],
                "regime_transitions": [],
            },
            "coverage": {
                "feature_coverage": 0.987,
                "min_feature_coverage": 0.9,
                "n_uncovered_days": 0,
                "n_fallback_days": 3,
                "alts_oi_coverage": None,
                "majors_oi_coverage": 1.0,
                "funding_coverage": 0.95,
                "impact_coverage": None,
                "n_rebalances": 365,
                "min_basket_size": 20,
                "n_forced_exits": 0,
            },
            "warnings": ["Something [to know] about the numbers."],
        },
        "evaluation": {
            "sign": layout.SIGN_NOTE,
            "regime_statistics": [
                statistic(regime, days.get(regime, 0), spells[regime]) for regime in regimes
            ],
            "edges": edges,
        },
    }


FIVE = {"WEAK_RISK_ON_ALTS": 90, "BALANCED": 180, "WEAK_RISK_ON_MAJORS": 95}
THREE = {"RISK_ON_ALTS": 90, "BALANCED": 180, "RISK_ON_MAJORS": 95}


def write(folder: Path, content: dict[str, Any], states: list[str] | None = None) -> Path:
    folder.mkdir(parents=True)
    for name, part in (
        (layout.MANIFEST, "manifest"),
        (layout.METRICS, "metrics"),
        (layout.REGIME_EVALUATION, "evaluation"),
    ):
        (folder / name).write_text(json.dumps(content[part]))
    states = states or ["BALANCED"] * 4
    days = [FIRST + timedelta(days=day) for day in range(len(states))]
    ones = [1.0] * len(days)
    files: dict[str, dict[str, Any]] = {
        layout.REGIME_TIMESERIES: {"regime": states, "score": ones},
        layout.FEATURES: {"feature_id": ["x"] * len(days), "raw_value": ones, "z_score": ones},
        layout.BASKET: {"asset_id": ["A"] * len(days), "weight": ones},
        layout.RETURNS: {"r_gross": ones, "r_net": ones},
    }
    for name, columns in files.items():
        pq.write_table(pa.table({"date": days, **columns}), folder / name)
    return folder


# ------------------------------------------------------------------------------- the list of runs


def make_warehouse(
    path: Path,
    runs: list[dict[str, Any]],
    edges: list[dict[str, Any]],
    **others: list[dict[str, Any]],
) -> Path:
    found = {"catalog": runs, "edges": edges, "family_edges": [], "sweeps": [], "sweep_trials": []}
    with duckdb.connect(path) as con:
        for table, rows in {**found, **others}.items():
            declared = warehouse_tables.ALL_TABLES[table]
            con.execute(declared_text.create_table(declared))
            for row in rows:
                names = [name for name in row if name in declared.names]
                con.execute(
                    f"insert into {table} ({', '.join(names)}) "
                    f"values ({', '.join('?' * len(names))})",
                    [row[name] for name in names],
                )
    return path


def catalog_row(run_id: str, created_at: str, **changes: Any) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "experiment_id": run_id.rpartition("-")[0],
        "title": f"The run {run_id}",
        "created_at": created_at,
        "first_date": "2024-01-01",
        "last_date": "2024-12-31",
        "net_sharpe": -0.384,
        "net_cagr": -0.0276,
        "net_max_drawdown": -0.1216,
        "n_warnings": 4,
        **changes,
    }


def stamp_of(runs: Path, path: Path) -> None:
    """Have a made-up warehouse say that it was published from a runs folder."""
    says = {"layout": warehouse.LAYOUT, "runs": str(runs.absolute())}
    warehouse.stamp_file(path).write_text(json.dumps(says))
