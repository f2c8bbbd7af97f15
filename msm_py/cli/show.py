"""``msm list``, ``show`` and ``compare``: what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msm_py import settings
from msm_py.cli.options import (
    RUNS,
    WAREHOUSE,
    AllFigures,
    Runs,
    Warehouse,
    app,
    out,
    tell_alarms,
    tell_all,
    tell_disturbance,
)
from msm_py.errors import MsmError
from msm_py.store import run_list, warehouse
from msm_py.store.written_places import check_outside_lake, written_places


@app.command(name="list")
def list_(warehouse_file: Warehouse = WAREHOUSE, runs: Runs = RUNS) -> None:
    """List the runs of the catalog, newest first.

    Example: msm list
    """
    from msm_py.report import runs_table

    if warehouse.is_of(runs, warehouse_file):
        _refresh(runs, warehouse_file)
    out.print(runs_table.runs_table(warehouse_file))
    tell_alarms(runs, warehouse_file)


@app.command()
def show(
    run_id: Annotated[str, typer.Argument(help="A run's id, or the beginning of it.")],
    runs: Runs = RUNS,
    warehouse_file: Warehouse = WAREHOUSE,
    all_figures: AllFigures = False,
) -> None:
    """Show what a run found, as one of all that were tried on its days.

    Example: msm show msm_v1_baseline
    """
    from msm_py.report import null_market_report, robustness_report, run_report
    from msm_py.store import null_market_records, robustness_records

    folder = run_list.find_run(runs, run_id)
    if warehouse.is_of(runs, warehouse_file):
        _refresh(runs, warehouse_file)
    out.print(run_report.run_report(folder, warehouse=warehouse_file, all_figures=all_figures))
    if panel := robustness_records.read_record(runs, folder.name):
        out.print(robustness_report.panel(panel))
    if markets := null_market_records.read_record(runs, folder.name):
        out.print(null_market_report.report(markets))
    tell_alarms(runs, with_looks=False)


@app.command()
def compare(
    run_id: Annotated[str, typer.Argument(help="A run's id, or the beginning of it.")],
    other_run_id: Annotated[str, typer.Argument(help="Another run's.")],
    runs: Runs = RUNS,
) -> None:
    """Show what differs between two runs: question, data, states, results.

    Example: msm compare msm_v1_baseline msm_v1_trade_signs
    """
    from msm_py.report import comparison

    out.print(
        comparison.comparison(
            run_list.find_run(runs, run_id), run_list.find_run(runs, other_run_id)
        )
    )


def _refresh(runs: Path, warehouse_file: Path) -> None:
    """Bring a warehouse up to date with what was copied, renamed or deleted by hand meanwhile."""
    check_outside_lake(settings.lake_dir(), written_places(runs, warehouse_file))
    tell_disturbance(warehouse_file)
    try:
        warehouse.publish(runs, warehouse_file)
    except MsmError as error:  # it may be someone else's, and is shown as it is
        tell_all([f"The catalog may be behind the runs folder: {error.what} ({error.received})."])
