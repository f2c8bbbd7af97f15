import os
from pathlib import Path

from msm_py import artifacts, looks, runs, warehouse
from msm_py.code_fingerprint import code_fingerprint


def model(dbt, session):
    dbt.config(materialized="table")
    experiments = dbt.ref("experiments").fetchall()[0]
    lake = dbt.ref("lake").select("fingerprint").fetchall()
    # better known now than after everything is computed
    folder, file = artifacts.runs_dir(), warehouse.warehouse_path()
    artifacts.check_outside_lake(
        Path(os.environ.get("MSM_LAKE", "lake")), runs_folder=folder, warehouse=file
    )
    artifacts.check_runs_dir(folder)
    warehouse.check_warehouse(file)
    return runs.runs_table(
        runs.given_experiments(*experiments),
        lake_fingerprint=lake[0][0] if lake else "",
        code_fingerprint=code_fingerprint(),
        recorded_looks={look.run_id for look in looks.read(folder).looks},
    )
