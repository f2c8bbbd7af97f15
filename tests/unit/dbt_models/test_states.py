"""The model of states around the state machine."""

from __future__ import annotations

import pyarrow as pa

from msm_py.dbt_models import search_windows
from msm_py.dbt_models import states as state_model


def test_model_smooths_then_gates_and_leaves_uncovered_days_to_the_state() -> None:
    """Two runs that start on different days; the average never sees the gate."""
    raw = [9.0, 1.0, 3.0, 9.0, 3.0, 0.0]
    coverage = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    btc = [None, None, -0.2, -0.2, 0.1, None]
    days = pa.array(range(19_800, 19_806), pa.int32()).cast(pa.date32())
    scores = pa.concat_tables(
        pa.table(
            {
                "run_id": [run_id] * 6,
                "date": days,
                "raw_score": raw,
                "feature_coverage": coverage,
                "gate_btc_return": pa.array(btc, pa.float64()),
            }
        )
        for run_id in ("wild", "calm")
    )
    runs_ = pa.table(
        {
            "run_id": ["wild", "calm", "broken"],
            "feature_set_id": ["s"] * 3,
            "min_coverage": [0.0] * 3,
            "ema_span_days": pa.array([3.0, None, None], pa.float64()),
            "gate_max_abs_return": pa.array([0.15, None, None], pa.float64()),
            "n_regimes": pa.array([5, 3, 5], pa.int32()),
            "strong_low": pa.array([-1.5, None, -1.5], pa.float64()),
            "low": [-0.5] * 3,
            "high": [0.5] * 3,
            "strong_high": pa.array([1.5, None, 1.5], pa.float64()),
            "low_band": [-0.3] * 3,
            "high_band": [0.3] * 3,
            "min_duration_days": pa.array([3] * 3, pa.int32()),
            "requires_stronger_signal": [True] * 3,
            "placebo_rotation_days": [0] * 3,
        }
    )
    windows = pa.table(
        {
            "run_id": ["wild", "calm", "broken"],
            "first_date": pa.array([19_801, 19_801, None], pa.int32()).cast(pa.date32()),
            "error": [None, None, "outside the lake"],
        }
    )
    no_search = search_windows.SCHEMA.empty_table()
    found = state_model.states(runs_, windows, scores, no_search, pa.table({})).to_pylist()
    rows = {
        run_id: [row for row in found if row["run_id"] == run_id] for run_id in ("wild", "calm")
    }
    assert len(found) == 10, "a failed run has no states"

    # wild: averages 1, 2, -, 2.5, 1.25; BTC moved by 0.2 on the second day: 2 becomes 0.5
    assert [row["score"] for row in rows["wild"]] == [1.0, 0.5, None, 2.5, 1.25]
    assert [row["regime"] for row in rows["wild"]] == [
        "WEAK_RISK_ON_MAJORS",  # 1
        "WEAK_RISK_ON_MAJORS",  # 0.5 is BALANCED, but not below 0.5 - 0.45
        "WEAK_RISK_ON_MAJORS",
        "STRONG_RISK_ON_MAJORS",  # away from BALANCED is free
        "STRONG_RISK_ON_MAJORS",  # 1.25 is not below 1.5 - 0.45
    ]
    assert [row["regime_age_days"] for row in rows["wild"]] == [0, 1, 2, 0, 1]
    assert [row["spell"] for row in rows["wild"]] == [1, 1, 1, 2, 2]

    assert [row["score"] for row in rows["calm"]] == [1.0, 3.0, None, 3.0, 0.0]
    assert [row["regime"] for row in rows["calm"]] == [*["RISK_ON_MAJORS"] * 4, "BALANCED"]
    assert [row["regime_order"] for row in rows["calm"]] == [2, 2, 2, 2, 1]
    assert [row["feature_coverage"] for row in rows["calm"]] == coverage[1:]
