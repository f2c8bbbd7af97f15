from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from msm_py.dbt_models import sharpe_tests


def model(dbt: Any, session: DuckDBPyConnection) -> pa.Table:
    dbt.config(materialized="table")
    runs = dbt.ref("runs")
    sound = dbt.ref("run_errors").filter("error is null").project("run_id")
    controls = dbt.ref("strategies").filter("is_run").project("strategy_id as run_id, control_id")
    samples = dbt.ref("samples").project("strategy_id as run_id, sample, first_date, last_date")
    metrics = dbt.ref("strategy_metrics").filter("series = 'net'")
    own = metrics.project("strategy_id as run_id, sample, sharpe is not null as has_ratio")
    control = metrics.project(
        "strategy_id as control_id, sample, sharpe is not null as control_has_ratio"
    )
    return sharpe_tests.sharpe_test_rows(
        runs.join(sound, "run_id")
        .join(controls, "run_id")
        .join(samples, "run_id")
        .join(own, "run_id, sample", how="left")
        .join(control, "control_id, sample", how="left")
        .project(", ".join(sharpe_tests.RUN_COLUMNS))
        .to_arrow_table(),
        dbt.ref("daily_returns")
        .filter("is_test_day")
        .project(", ".join(sharpe_tests.RETURN_COLUMNS))
        .to_arrow_table(),
    )
