from msm_py import runs
from msm_py.code_fingerprint import code_fingerprint


def model(dbt, session):
    dbt.config(materialized="table")
    experiments = dbt.ref("experiments").fetchall()[0]
    lake = dbt.ref("lake").select("fingerprint").fetchall()
    return runs.runs_table(
        runs.given_experiments(*experiments),
        lake_fingerprint=lake[0][0] if lake else "",
        code_fingerprint=code_fingerprint(),
    )
