from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from msm_py.dbt_models import states


def model(dbt: Any, session: DuckDBPyConnection) -> pa.Table:
    dbt.config(materialized="table")
    return states.states(
        runs=dbt.ref("runs").to_arrow_table(),
        run_windows=dbt.ref("run_windows").to_arrow_table(),
        scores=dbt.ref("scores").to_arrow_table(),
        search_windows=dbt.ref("search_windows").to_arrow_table(),
        z_lists=dbt.ref("z_lists").to_arrow_table(),
    )
