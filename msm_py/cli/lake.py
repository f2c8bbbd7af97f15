"""``msm lake``: a sample lake, and the check of one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from msm_py.cli.options import out
from msm_py.lake.opening import open_lake
from msm_py.report.terminal import write_exactly
from msm_py.settings import lake_dir
from msm_py.store.written_places import check_outside_lake

lake_app = typer.Typer(help="Write a sample lake, or check your own.", no_args_is_help=True)


@lake_app.command(name="sample")
def lake_sample(
    directory: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    seed: Annotated[int, typer.Option(help="Another seed, another lake.")] = 7,
    planted_edge: Annotated[
        bool, typer.Option(help="Whether the states of the sample carry an edge.")
    ] = True,
) -> None:
    """Write a lake of made-up markets with the blemishes of real ones and a planted edge.

    Example: msm lake sample lake
    """
    from msm_py.lake.sample import write_sample_lake

    check_outside_lake(lake_dir(), {"the sample lake": directory.absolute().parent})
    started = time.monotonic()
    write_sample_lake(directory, seed=seed, planted_edge=planted_edge)
    out.print(
        f"Sample lake written to {directory} in {time.monotonic() - started:.1f} s.", soft_wrap=True
    )


@lake_app.command(name="check")
def lake_check(
    directory: Annotated[Path, typer.Argument(help="The lake: a folder of Parquet.")],
    every: Annotated[bool, typer.Option("--all", help="Show what is well, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every outcome as JSON.")] = False,
) -> None:
    """Look a lake over: rows, dates, gaps, duplicates, values, units, and what runs would have.

    Shows what is wrong, with what to do. Exit code 1 when an item fails.

    Example: msm lake check lake
    """
    from msm_py.lake.check import check_lake
    from msm_py.report.formats import json_text
    from msm_py.report.lake_report import as_rows, lake_report

    report = check_lake(open_lake(directory))
    if as_json:
        write_exactly(json_text(as_rows(report)))
    else:
        out.print(lake_report(report, every=every))
    if report.exit_code:
        raise typer.Exit(report.exit_code)
