from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from msm_py import settings
from msm_py.dbt_models import runs
from msm_py.lake import loading, opening


def model(dbt: Any, session: DuckDBPyConnection) -> pa.Table:
    dbt.config(materialized="table")
    experiments = dbt.ref("experiments").fetchall()[0]
    opened = None  # nothing asks for a lake: refreshing the catalog needs none
    if runs.given_experiments(*experiments).experiments:
        opened = opening.open_lake(settings.lake_dir().absolute())
    loading.load(session, opened)  # the source `lake`, which staging reads
    return runs.lake_table(opened)
