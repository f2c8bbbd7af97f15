"""Columns of the warehouse's tables."""

from __future__ import annotations

import re

from support.lakes import tiny_spec
from support.pipeline import ROOT

from msm_py.runner import robustness_panel
from msm_py.store import (
    warehouse,
    warehouse_tables,
)


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
    found = list(warehouse.flat_params(spec))
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


def test_flat_params_of_a_whole_experiment_are_told_apart() -> None:
    params = [row["param"] for row in warehouse.flat_params(tiny_spec())]
    assert len(params) == len(set(params)) > 60


def test_what_is_judged_of_a_panel_is_in_the_warehouse() -> None:
    neighbour = {"check_name": "costs", "setting": "x2", "status": "complete", "net_sharpe": None}
    judged = robustness_panel.judge({"net_sharpe": 1.0}, [neighbour | {"edge_sign_flips": None}])
    assert judged.keys() <= warehouse_tables.ALL_TABLES["robustness_summary"].keys()
    assert (judged["worst_setting"], judged["worst_net_sharpe"]) == (None, None)


def test_every_table_and_column_is_described() -> None:
    """The catalog's stand in groups, those with net_ and gross_ by the rest of their name."""
    lines = (ROOT / "docs" / "bi.md").read_text().splitlines()
    described = {}
    for line in lines:
        if line.startswith("| `"):
            table, _, columns = line.strip("| ").split(" | ")
            columns = re.sub(r" ?\([^)]*\)", "", columns)
            described[table.strip("`")] = columns.split(", ")
    for name, declared in warehouse_tables.ALL_TABLES.items():
        if name != "catalog":
            assert described[name] == list(declared), name
    assert described["catalog"][0] == f"{len(warehouse_tables.ALL_TABLES['catalog'])} columns"
    start = next(i for i, line in enumerate(lines) if line.startswith("| group | columns"))
    grouped = set()
    for line in lines[start + 2 :]:
        if not line.startswith("| "):
            break
        group, columns = line.strip("| ").split(" | ")
        kinds = ("net_", "gross_") if "gross_" in group else ("",)
        grouped |= {kind + column for kind in kinds for column in columns.split(", ")}
    assert grouped == set(warehouse_tables.ALL_TABLES["catalog"])
