from pathlib import Path
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from msm_py import settings
from msm_py.dbt_models import runs
from msm_py.store import looks, run_folder, warehouse
from msm_py.store.origin import code_fingerprint
from msm_py.store.written_places import check_outside_lake, dbt_places, written_places


def model(dbt: Any, session: DuckDBPyConnection) -> pa.Table:
    dbt.config(materialized="table")
    experiments = dbt.ref("experiments").fetchall()[0]
    lake = dbt.ref("lake").select("fingerprint").fetchall()
    # better known now than after everything is computed
    folder, file = settings.runs_dir(), settings.warehouse_path()
    check_outside_lake(
        settings.lake_dir(),
        written_places(folder, file) | dbt_places(_database_files(session)),
    )
    run_folder.check_runs_dir(folder)
    warehouse.check_warehouse(file)
    return runs.runs_table(
        runs.given_experiments(*experiments),
        lake_fingerprint=lake[0][0] if lake else "",
        code_fingerprint=code_fingerprint(),
        recorded_looks={look.run_id for look in looks.read(folder).looks},
    )


def _database_files(session: DuckDBPyConnection) -> dict[str, Path]:
    found = session.execute("select database_name, path from duckdb_databases()").fetchall()
    return {name: Path(path) for name, path in found if path}
