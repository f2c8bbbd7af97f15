from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from msm_py.dbt_models import search_windows


def model(dbt: Any, session: DuckDBPyConnection) -> pa.Table:
    dbt.config(materialized="table")
    runs = dbt.ref("runs").filter("grid_search is not null")
    strategies = (
        dbt.ref("strategies")
        .filter("is_run")
        .join(runs.project("run_id as strategy_id"), "strategy_id", how="semi")
    )
    legs = strategies.project("unnest([short_leg_id, long_leg_id]) as leg_id")

    # only what runs with a search need, which most invocations have none of
    def of(relation: DuckDBPyRelation, searched: DuckDBPyRelation, key: str) -> pa.Table:
        return relation.join(searched.project(key), key, how="semi").to_arrow_table()

    return search_windows.search_windows(
        {
            "runs": runs.to_arrow_table(),
            "strategies": strategies.to_arrow_table(),
            "run_windows": of(dbt.ref("run_windows"), runs, "run_id"),
            "scores": of(dbt.ref("scores"), runs, "run_id"),
            "z_lists": of(dbt.ref("z_lists"), runs, "feature_set_id"),
            "rebalances": of(dbt.ref("rebalances"), strategies, "schedule_id"),
            "leg_days": of(dbt.ref("leg_days"), legs, "leg_id"),
            "leg_weights": of(dbt.ref("leg_weights"), legs, "leg_id"),
            "leg_funding": of(dbt.ref("leg_funding"), legs, "leg_id"),
            "impact_inputs": dbt.ref("impact_inputs").to_arrow_table(),
            "forward_returns": of(dbt.ref("forward_returns"), strategies, "target_id"),
        }
    )
