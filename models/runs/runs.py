import os
from pathlib import Path

from msm_py import artifacts, looks, runs, warehouse
from msm_py.code_fingerprint import code_fingerprint
from msm_py.written_places import check_outside_lake, dbt_places, written_places


def model(dbt, session):
    dbt.config(materialized="table")
    experiments = dbt.ref("experiments").fetchall()[0]
    lake = dbt.ref("lake").select("fingerprint").fetchall()
    # better known now than after everything is computed
    folder, file = artifacts.runs_dir(), warehouse.warehouse_path()
    check_outside_lake(
        Path(os.environ.get("MSM_LAKE", "lake")),
        written_places(folder, file) | dbt_places(_database_files(session)),
    )
    artifacts.check_runs_dir(folder)
    warehouse.check_warehouse(file)
    return runs.runs_table(
        runs.given_experiments(*experiments),
        lake_fingerprint=lake[0][0] if lake else "",
        code_fingerprint=code_fingerprint(),
        recorded_looks={look.run_id for look in looks.read(folder).looks},
    )


def _database_files(session):
    found = session.execute("select database_name, path from duckdb_databases()").fetchall()
    return {name: Path(path) for name, path in found if path}
