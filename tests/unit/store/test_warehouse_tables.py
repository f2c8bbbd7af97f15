"""Columns of the warehouse's tables."""

from __future__ import annotations

from support.lakes import tiny_spec

from msm_py.runner import robustness_panel
from msm_py.store import warehouse_tables
from msm_py.store.flat_params import flat_params


def test_flat_params() -> None:
    spec = {
        "experiment_id": "x",
        "description": None,
        "features": [
            {"id": "momentum", "weight": -1, "params": {}},
            {"id": "funding_skew", "weight": 0.5, "params": {"weighting": "oi"}},
        ],
        "target": {"horizons_days": [1, 5]},
        "walk_forward": True,
    }
    found = list(flat_params(spec))
    rows = {row["param"]: (row["value"], row["value_number"]) for row in found}
    assert rows == {
        "experiment_id": ("x", None),
        "description": (None, None),
        "features.momentum.weight": ("-1", -1.0),
        "features.funding_skew.weight": ("0.5", 0.5),
        "features.funding_skew.params.weighting": ("oi", None),
        "target.horizons_days.0": ("1", 1.0),
        "target.horizons_days.1": ("5", 5.0),
        "walk_forward": ("true", None),  # a flag is no number
    }


def test_flat_params_of_a_whole_experiment_are_reported_apart() -> None:
    params = [row["param"] for row in flat_params(tiny_spec())]
    assert len(params) == len(set(params)) > 60


def test_what_is_judged_of_a_panel_is_in_the_warehouse() -> None:
    neighbour = {"check_name": "costs", "setting": "x2", "status": "complete", "net_sharpe": None}
    judged = robustness_panel.judge({"net_sharpe": 1.0}, [neighbour | {"edge_sign_flips": None}])
    assert judged.keys() <= set(warehouse_tables.ALL_TABLES["robustness_summary"].names)
    assert (judged["worst_setting"], judged["worst_net_sharpe"]) == (None, None)
