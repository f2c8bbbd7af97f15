"""The run folders of one invocation: the dbt model ``run_artifacts``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from msm_py import settings
from msm_py.dbt_models import typed_rows
from msm_py.dbt_models.run_content import run_tables, write_run_folder
from msm_py.dbt_models.run_row import RunRow
from msm_py.dbt_models.strategies import Strategy
from msm_py.errors import MsmError
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.store import layout, run_folder
from msm_py.store.origin import Provenance, code_fingerprint
from msm_py.store.shared_files import PanelFiles, RowsByKey

SCHEMA: Final = pa.schema(
    {
        "run_id": pa.string(),
        "experiment_id": pa.string(),
        "status": pa.string(),
        "error": pa.string(),
    }
)


def write_run_folders(
    models: Mapping[str, pa.Table], *, lake_path: str, started_at: datetime
) -> pa.Table:
    """Write the folders of an invocation's runs and say what became of each.

    Parameters
    ----------
    models
        The models that go into run folders, by name.
    lake_path
        The lake, to see that it is still the one that was read.
    started_at
        When the invocation began.

    Returns
    -------
    One row per run: status ``complete`` (written now), ``existing`` (was there already) or
    ``failed`` with the error; a failed run has no folder. With MSM_FORCE set in the environment
    every run is written now, and one that is there is replaced.

    Raises
    ------
    MsmError
        When the lake changed meanwhile, or a folder cannot be written.
    """
    lake = models["lake"].to_pylist()
    if not lake:
        return SCHEMA.empty_table()
    _check_unchanged(lake[0]["fingerprint"], lake_path)
    provenance = Provenance(
        lake_fingerprint=lake[0]["fingerprint"],
        code_fingerprint=code_fingerprint(),
        lake_name=lake[0]["name"],
        lake_tables=models["lake_tables"].sort_by("table_name").to_pylist(),
        dropped_rows=models["dropped_rows"]
        .sort_by([("table_name", "ascending"), ("reason", "ascending")])
        .to_pylist(),
        excluded_prices=models["excluded_prices"].sort_by("asset_id").to_pylist(),
        started_at=started_at,
    )
    folder = settings.runs_dir()
    replace = bool(os.environ.get("MSM_FORCE"))
    run_folder.check_runs_dir(folder)
    errors = {row["run_id"]: row["error"] for row in models["run_errors"].to_pylist()}
    strategies = {x.strategy_id: x for x in typed_rows.from_table(models["strategies"], Strategy)}
    tables = run_tables(models)
    outcomes = []
    with run_folder.scratch_in(folder) as own:
        panels = {
            name: PanelFiles(layout.PANELS[name][0], rows, columns, own)
            for name, rows, columns in (
                (
                    "basket_panel",
                    RowsByKey(models["basket_panels"], "panel_id", ["date", "rank"]),
                    layout.BASKET_COLUMNS,
                ),
                (
                    "feature_panel",
                    RowsByKey(models["feature_panels"], "panel_id", ["date", "feature_id"]),
                    layout.FEATURES_COLUMNS,
                ),
                (
                    "eligibility_panel",
                    RowsByKey(models["eligibility_panels"], "panel_id", ["asset_id", "reason"]),
                    layout.ELIGIBILITY_COLUMNS,
                ),
            )
        }
        for run in typed_rows.from_table(models["runs"], RunRow):
            run_id = run.run_id
            if errors[run_id] is None:
                written = write_run_folder(
                    run,
                    strategies[run_id],
                    tables,
                    panels,
                    provenance,
                    own,
                    replace=replace,
                )
                status = "complete" if written else "existing"
                if not written and (fault := run_folder.fault_of_run(folder / run_id)):
                    errors[run_id] = str(run_folder.broken(folder / run_id, fault))
            if errors[run_id] is not None:
                status = "failed"
            outcomes.append(
                {
                    "run_id": run_id,
                    "experiment_id": run.experiment_id,
                    "status": status,
                    "error": errors[run_id],
                }
            )
    return pa.Table.from_pylist(outcomes, schema=SCHEMA)


def failures(outcomes: pa.Table) -> pa.Table:
    """Return the outcomes of runs that failed."""
    return outcomes.filter(pc.equal(outcomes["status"], "failed"))


def _check_unchanged(before: str, lake_path: str) -> None:
    after = fingerprint(open_lake(lake_path))
    if after != before:
        raise MsmError(
            "the lake changed while it was read; no run was written",
            where=lake_path,
            received=f"fingerprint {before[:12]} before and {after[:12]} after",
            remedy="let whatever writes to the lake finish, then run again",
        )
