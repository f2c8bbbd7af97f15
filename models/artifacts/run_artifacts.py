from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from msm_py import settings
from msm_py.dbt_models import plugin, run_artifacts


def model(dbt: Any, session: DuckDBPyConnection) -> pa.Table:
    dbt.config(materialized="table")
    return run_artifacts.write_run_folders(
        {
            "runs": dbt.ref("runs").to_arrow_table(),
            "run_errors": dbt.ref("run_errors").to_arrow_table(),
            "strategies": dbt.ref("strategies").filter("is_run").to_arrow_table(),
            "states": dbt.ref("states").to_arrow_table(),
            "daily_returns": dbt.ref("daily_returns").filter("is_run").to_arrow_table(),
            "control_returns": dbt.ref("daily_returns")
            .filter("not is_run")
            .project("strategy_id, date, r_net")
            .to_arrow_table(),
            "regime_statistics": dbt.ref("regime_statistics").to_arrow_table(),
            "edges": dbt.ref("edges").to_arrow_table(),
            "regime_metrics": dbt.ref("regime_metrics").to_arrow_table(),
            "regime_distribution": dbt.ref("regime_distribution").to_arrow_table(),
            "regime_transitions": dbt.ref("regime_transitions").to_arrow_table(),
            "stability": dbt.ref("stability").to_arrow_table(),
            "coverage": dbt.ref("coverage").to_arrow_table(),
            "suspect_gains": dbt.ref("suspect_gains").to_arrow_table(),
            "attribution": dbt.ref("attribution").to_arrow_table(),
            "state_paths": dbt.ref("state_paths").to_arrow_table(),
            "quality_checks": dbt.ref("quality_checks").to_arrow_table(),
            "quality_findings": dbt.ref("quality_findings").to_arrow_table(),
            "search_windows": dbt.ref("search_windows").to_arrow_table(),
            "strategy_metrics": dbt.ref("strategy_metrics").to_arrow_table(),
            "sharpe_tests": dbt.ref("sharpe_tests").to_arrow_table(),
            "basket_panels": dbt.ref("basket_panels").to_arrow_table(),
            "feature_panels": dbt.ref("feature_panels").to_arrow_table(),
            "eligibility_panels": dbt.ref("eligibility_panels").to_arrow_table(),
            "lake": dbt.ref("lake").to_arrow_table(),
            "lake_tables": dbt.ref("lake_tables").to_arrow_table(),
            "dropped_rows": dbt.ref("dropped_rows").to_arrow_table(),
            "excluded_prices": dbt.ref("excluded_prices").to_arrow_table(),
        },
        lake_path=str(settings.lake_dir()),
        started_at=plugin.invocation_started_at(),
    )
