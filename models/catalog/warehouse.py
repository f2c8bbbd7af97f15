from typing import Any

import pyarrow as pa
from dbt_common.events.base_types import EventLevel
from dbt_common.events.functions import fire_event
from dbt_common.events.types import Note
from duckdb import DuckDBPyConnection

from msm_py import settings
from msm_py.store import warehouse


def model(dbt: Any, session: DuckDBPyConnection) -> pa.Table:
    dbt.config(materialized="table")
    dbt.ref("run_artifacts")  # this invocation's runs are in the runs folder now
    folder, file = settings.runs_dir(), settings.warehouse_path()
    disturbance = warehouse.disturbance(file)
    counts = warehouse.publish(folder, file)
    for sentence in (*([disturbance] if disturbance else []), *warehouse.alarms(folder, file)):
        fire_event(Note(msg=sentence), EventLevel.WARN)
    return pa.table({"table_name": list(counts), "n_rows": list(counts.values())})
