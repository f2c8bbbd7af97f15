"""``msm report``: pages for a browser."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from msm_py.cli.options import RUNS, WAREHOUSE, Runs, Warehouse, app, out, refresh
from msm_py.errors import MsmError
from msm_py.report.terminal import Text
from msm_py.text import relative_path


@app.command()
def report(
    run_id: Annotated[
        str | None,
        typer.Argument(help="A run's id, its beginning, its digits, or an experiment's id."),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option("--sweep", help="The leaderboard of this sweep: its id, or its beginning."),
    ] = None,
    catalog: Annotated[
        bool, typer.Option("--catalog", help="The leaderboard of the newest run of everything.")
    ] = False,
    page: Annotated[
        int, typer.Option("--page", min=1, help="Of a leaderboard: which thousand of its runs.")
    ] = 1,
    runs: Runs = RUNS,
    warehouse_file: Warehouse = WAREHOUSE,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write a page that needs no network: a run's tear sheet, or a leaderboard of many runs.

    Example: msm report msm_v1_baseline --open; msm report --sweep threshold_grid
    """
    asked = [
        name
        for name, given in (("RUN_ID", run_id), ("--sweep", sweep), ("--catalog", catalog))
        if given
    ]
    if len(asked) != 1:
        raise MsmError(
            "a page shows one run, one sweep, or the catalog",
            where="msm report",
            received=" and ".join(asked) or "none of them",
            remedy="give a run's id, --sweep SWEEP_ID, or --catalog",
        )
    if run_id is None:
        from msm_py.report.pages import leaderboard
        from msm_py.store import warehouse

        if warehouse.is_of(runs, warehouse_file):
            refresh(runs, warehouse_file)
        file = (
            leaderboard.write_catalog_page(runs, warehouse_file, page)
            if sweep is None
            else leaderboard.write_sweep_page(runs, warehouse_file, sweep, page)
        )
        tell_page("leaderboard", file, open_it=open_it)
        return
    from msm_py.report.pages.tear_sheet import write_tear_sheet
    from msm_py.store import run_list

    found = run_list.find_run(runs, run_id)
    if found.note is not None:
        out.print(Text(found.note, style="dim"))
    tell_page(
        "tear sheet", write_tear_sheet(found.folder, warehouse=warehouse_file), open_it=open_it
    )


def tell_page(kind: str, page: Path, *, open_it: bool) -> None:
    """Say where a page is, and open it if asked to."""
    out.print(Text(f"{kind}: {relative_path(page)}"), soft_wrap=True)
    if open_it:
        import webbrowser

        webbrowser.open(page.absolute().as_uri())


def write_pages(folders: Iterable[Path], warehouse_file: Path) -> list[str]:
    """Write the tear sheets of runs that have ended and say where they are; return what failed."""
    from msm_py.report.pages.tear_sheet import write_tear_sheet

    pages, failures = [], []
    for folder in folders:
        try:
            pages.append(write_tear_sheet(folder, warehouse=warehouse_file))
        except MsmError as error:  # the run is complete all the same
            failures.append(str(error))
    if len(pages) == 1:
        tell_page("tear sheet", pages[0], open_it=False)
    elif pages:
        out.print(Text(f"{len(pages)} tear sheets: report.html in each run folder"))
    return failures
