"""``msm catalog``: the warehouse, rebuilt."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from msm_py import settings
from msm_py.cli.options import (
    RUNS,
    WAREHOUSE,
    Runs,
    Warehouse,
    out,
    tell_all,
)
from msm_py.errors import MsmError

catalog_app = typer.Typer(help="The catalog and the warehouse around it.", no_args_is_help=True)


@catalog_app.command(name="rebuild")
def catalog_rebuild(
    runs: Runs = RUNS,
    warehouse_file: Warehouse = WAREHOUSE,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit code 1 when anything is left out or damaged."),
    ] = False,
) -> None:
    """Make catalog and warehouse again from the run folders, whatever stands there now.

    Example: msm catalog rebuild --runs runs --warehouse warehouse/msm.duckdb
    """
    from msm_py.store import warehouse
    from msm_py.store.written_places import check_outside_lake, written_places

    if not runs.is_dir():
        raise MsmError(
            "there is no such runs folder",
            where="--runs",
            received=str(runs),
            remedy="give the folder that holds the run folders (or MSM_RUNS)",
        )
    check_outside_lake(settings.lake_dir(), written_places(runs, warehouse_file))
    started = time.monotonic()
    rows = warehouse.publish(runs, warehouse_file, anew=True)
    out.print(
        f"{rows['catalog']} runs and {rows['sweeps']} sweeps in {warehouse_file}, "
        f"in {time.monotonic() - started:.1f} s.",
        soft_wrap=True,
    )
    told = warehouse.alarms(runs, warehouse_file)
    tell_all(told)
    if strict and told:
        raise typer.Exit(1)
