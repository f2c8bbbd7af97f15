"""``msm list``, ``show`` and ``diff``: what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msm_py.cli.options import (
    RUNS,
    WAREHOUSE,
    Full,
    Runs,
    Warehouse,
    app,
    one_form,
    out,
    print_lines,
    refresh,
    tell_alarms,
)
from msm_py.report.terminal import Text, write_exactly

NAMED_BY = "A run's id, its beginning, its digits, or its experiment's id."


@app.command(name="list")
def list_(
    warehouse_file: Warehouse = WAREHOUSE,
    runs: Runs = RUNS,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", help='Only runs of this experiment; "msm_v1_*" of several.'),
    ] = None,
    sweep: Annotated[
        str | None, typer.Option("--sweep", help="Only runs of this sweep (or its beginning).")
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            help="A column of the catalog, the largest first; +COLUMN: the smallest first.",
        ),
    ] = "created_at",
    top: Annotated[
        int, typer.Option("--top", min=1, max=10**9, help="How many lines at most.")
    ] = 20,
    all_runs: Annotated[
        bool, typer.Option("--all", help="Every run, replaced ones and placebos too.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="All columns as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All columns as JSON.")] = False,
) -> None:
    """List the newest run of every experiment, window and lake; the last 20, newest first.

    Example: msm list --experiment "msm_v1_*" --sort net_sharpe
    """
    from msm_py.report import runs_table
    from msm_py.report.formats import csv_text, json_text
    from msm_py.store import warehouse

    choice = runs_table.Choice(
        sweep, experiment, sort, limit=None if all_runs else top, with_older=all_runs
    )
    form = one_form(as_csv=as_csv, as_json=as_json)
    if warehouse.is_of(runs, warehouse_file):
        refresh(runs, warehouse_file)
    chosen = runs_table.choose(warehouse_file, choice)
    if form is not None:
        write_exactly(csv_text(chosen.rows) if form == "csv" else json_text(chosen.rows))
    else:
        print_lines(runs_table.runs_table(chosen, choice, warehouse_file, runs))
    tell_alarms(runs, warehouse_file)


@app.command()
def show(
    run_id: Annotated[
        str, typer.Argument(help="A run's id, its beginning, its digits, or an experiment's id.")
    ],
    runs: Runs = RUNS,
    warehouse_file: Warehouse = WAREHOUSE,
    full: Full = False,
) -> None:
    """Show what a run found, as one of all that were tried on its days.

    Example: msm show msm_v1_baseline
    """
    from msm_py.report import null_market_report, robustness_report
    from msm_py.report.run_report import run_report
    from msm_py.report.run_screen import run_screen
    from msm_py.store import null_market_records, robustness_records, warehouse

    folder = _named(runs, run_id)
    if warehouse.is_of(runs, warehouse_file):
        refresh(runs, warehouse_file)
    out.print((run_report if full else run_screen)(folder, warehouse=warehouse_file))
    if panel := robustness_records.read_record(runs, folder.name):
        out.print(robustness_report.panel(panel))
    if markets := null_market_records.read_record(runs, folder.name):
        out.print(null_market_report.report(markets))
    tell_alarms(runs, with_looks=False)


@app.command()
def diff(
    run_id: Annotated[
        str, typer.Argument(help="A run's id, its beginning, its digits, or an experiment's id.")
    ],
    other_run_id: Annotated[str, typer.Argument(help="Another run's.")],
    runs: Runs = RUNS,
    warehouse_file: Warehouse = WAREHOUSE,
) -> None:
    """Show what differs between two runs: question, lake, code, results, and from which day on.

    Example: msm diff msm_v1_baseline msm_v1_trade_signs
    """
    from msm_py.report import comparison
    from msm_py.store import warehouse

    a, b = _named(runs, run_id), _named(runs, other_run_id)
    if warehouse.is_of(runs, warehouse_file):
        refresh(runs, warehouse_file)
    out.print(comparison.comparison(a, b, warehouse=warehouse_file))


def _named(runs: Path, name: str) -> Path:
    """Return the folder of a run that is named, and say so when the name fits several."""
    from msm_py.store import run_folder, run_list

    found = run_list.find_run(runs, name)
    if found.note is not None:
        out.print(Text(found.note, style="dim"))
    run_folder.check_whole(found.folder)
    return found.folder
