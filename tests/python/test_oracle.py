"""Every number of a run against an independent implementation of docs/methodology.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pandas as pd
import pytest
from lakes import tiny_lake, tiny_spec
from pipeline import EXCLUDED, ROOT, Done, run_experiments

from msm_py.experiment import load

TOLERANCE = 1e-9

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
    return load.resolve(load.from_resolved(given))


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
    return load.resolve(load.from_resolved(spec))


def compare(name: str, expected: pd.DataFrame, actual: pd.DataFrame, key: list[str]) -> None:
    for frame in (expected, actual):
        if "date" in frame:
            frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[us]")
    expected = expected.set_index(key).sort_index()
    actual = actual.set_index(key).sort_index()
    assert list(expected.index) == list(actual.index), f"{name}: rows differ"
    for column in expected.columns.intersection(actual.columns):
        left, right = expected[column], actual[column]
        if left.dtype.kind in "fiu":
            left, right = left.astype(float), right.astype(float)
            assert (left.isna() == right.isna()).all(), f"{name}.{column}: other values missing"
            scale = np.nanmax(np.abs(left.to_numpy()), initial=0.0)
            worst = np.nanmax(np.abs((left - right).to_numpy()), initial=0.0)
            assert worst <= TOLERANCE * scale, f"{name}.{column}: off by {worst} of {scale}"
        else:
            assert (left == right).all(), f"{name}.{column}: other values"


def assert_equal_to_oracle(lake: Path, spec: dict[str, Any], folder: Path) -> None:
    expected = oracle.run(lake, spec, EXCLUDED)
    evaluation = json.loads((folder / "regime_evaluation.json").read_text())
    metrics = json.loads((folder / "metrics.json").read_text())
    for name, key in (
        ("regime_timeseries", ["date"]),
        ("features", ["date", "feature_id"]),
        ("basket", ["date", "asset_id"]),
        ("returns", ["date"]),
    ):
        compare(name, expected[name].copy(), pd.read_parquet(folder / f"{name}.parquet"), key)

    statistics = pd.DataFrame(evaluation["regime_statistics"])
    compare(
        "regime_statistics",
        expected["regime_statistics"].copy(),
        statistics[statistics["n"] > 0],
        ["horizon_days", "regime"],
    )
    edges = pd.DataFrame(evaluation["edges"])
    known = expected["edges"].copy()
    shown = edges.merge(known[["horizon_days", "edge"]], on=["horizon_days", "edge"])
    compare("edges", known, shown, ["horizon_days", "edge"])
    compare(
        "regime_distribution",
        expected["regime_distribution"].copy(),
        pd.DataFrame(metrics["stability"]["regime_distribution"]),
        ["regime"],
    )
    for name, value in expected["stability"].iloc[0].items():
        assert metrics["stability"][name] == pytest.approx(value, rel=TOLERANCE), name
    renamed = {
        "cost_drag_per_year": "cost_drag",
        "funding_drag_per_year": "funding_drag",
        "psr": "probabilistic_sharpe",
        "invested_days": "n_invested_days",
    }
    for series in ("net", "gross"):
        for name, value in expected["metrics"][series].items():
            mine = metrics["headline"][series].get(renamed.get(name, name), "not ours")
            if mine == "not ours":
                continue
            if value is None:
                assert mine is None, f"{series} {name}"
            else:
                # kurtosis and Calmar of a nearly flat strategy amplify rounding
                assert mine == pytest.approx(value, rel=1e-7, abs=1e-12), f"{series} {name}"


@pytest.fixture(scope="session")
def tiny_specs() -> list[dict[str, Any]]:
    return [
        *(spec_of(name, changes) for name, changes in ODD_SPECS.items()),
        every_feature_spec(),
    ]


LAKES: dict[str, dict[str, Any]] = {
    "blemished": {"seed": 1},
    "gaps_in_btc": {"seed": 2, "btc_gap_days": 6, "early_rows": True, "max_stale_days": 2},
    "no_open_interest": {"seed": 3, "without": ("fact_open_interest",)},
}


@pytest.fixture(scope="session", params=LAKES)
def tiny_run(
    request: pytest.FixtureRequest,
    tiny_specs: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Done, list[dict[str, Any]]]:
    place = tmp_path_factory.mktemp(request.param)
    lake = place / "lake"
    tiny_lake(lake, **LAKES[request.param])
    specs = [{**spec, "allow_missing_features": True} for spec in tiny_specs]
    done = run_experiments(specs, lake, place)
    assert done.code == 0, done.err
    return lake, done, specs


@pytest.mark.parametrize("name", [*ODD_SPECS, "every_feature"])
def test_tiny_lake(tiny_run: tuple[Path, Done, list[dict[str, Any]]], name: str) -> None:
    lake, done, specs = tiny_run
    (spec,) = (spec for spec in specs if spec["experiment_id"] == name)
    assert_equal_to_oracle(lake, spec, done.folder(name))


REAL = ("msm_v1_baseline", "msm_v1_weekly_monday", "msm_v1_three_states", "msm_v1_mcap_basket")


@pytest.fixture(scope="session")
def real_run(
    real_lake: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Done, dict[str, dict[str, Any]]]:
    files = [ROOT / "experiments" / "msm" / f"{name}.yaml" for name in REAL]
    found = load.load_experiments(files, start="2023-07-01", end="2025-12-31")
    specs = [load.resolve(x) for x in found]
    specs.append(
        load.resolve(
            load.from_resolved(
                {
                    **specs[2],
                    "experiment_id": "odd",
                    "state_mapping": {
                        **specs[2]["state_mapping"],
                        "smoothing": {"ema_span_days": 5},
                        "high_vol_gate": {"btc_return_days": 7, "max_abs_return": 0.1},
                    },
                    "backtest": {
                        **specs[1]["backtest"],
                        "position_scale": {"RISK_ON_MAJORS": 1.0, "BALANCED": 0.4},
                        "execution_lag_days": 1,
                        "capital_usd": 1e7,
                    },
                }
            )
        )
    )
    done = run_experiments(specs, real_lake, tmp_path_factory.mktemp("real"))
    assert done.code == 0, done.err
    return done, {spec["experiment_id"]: spec for spec in specs}


@pytest.mark.parametrize("name", [*REAL, "odd"])
def test_real_lake(
    real_lake: Path, real_run: tuple[Done, dict[str, dict[str, Any]]], name: str
) -> None:
    done, specs = real_run
    assert_equal_to_oracle(real_lake, specs[name], done.folder(name))
    if name == "msm_v1_baseline":
        assert len(pd.read_parquet(done.folder(name) / "returns.parquet")) == 915
