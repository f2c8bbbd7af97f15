from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from msm_py.dbt_models import edges


def model(dbt: Any, session: DuckDBPyConnection) -> pa.Table:
    dbt.config(materialized="table")
    horizons = dbt.ref("run_horizons")
    strategies = dbt.ref("strategies").filter("is_run")
    samples = dbt.ref("samples").project("strategy_id, sample, first_date, last_date")
    sound = dbt.ref("run_errors").filter("error is null").project("run_id")
    return edges.edge_rows(
        runs=dbt.ref("runs").to_arrow_table(),
        run_targets=horizons.join(
            strategies.project("strategy_id, target_id, execution_lag_days")
            .join(samples, "strategy_id")
            .project("* exclude (strategy_id), strategy_id as run_id"),
            "run_id",
        )
        .project(f"{', '.join(edges.TARGET_COLUMNS[:-1])}, {edges.LAST_PAIRED}")
        .join(sound, "run_id")
        .to_arrow_table(),
        states=dbt.ref("evaluated_states").to_arrow_table(),
        forward_returns=dbt.ref("forward_returns").to_arrow_table(),
    )
