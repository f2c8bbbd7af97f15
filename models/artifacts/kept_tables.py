from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from msm_py.dbt_models import reuse


def model(dbt: Any, session: DuckDBPyConnection) -> pa.Table:
    dbt.config(materialized="table")
    dbt.ref("run_artifacts")  # all that may be kept is built and tested by then
    experiments = dbt.ref("experiments").fetchall()[0]
    # a transaction writes to one database only, and dbt's is under way
    return reuse.keep(session.cursor(), *experiments)
