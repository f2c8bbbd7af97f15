"""``msm run`` and ``msm vars``: experiments, computed or rendered."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from msm_py import machine
from msm_py.cli.options import (
    LAKE,
    RUNS,
    WAREHOUSE,
    End,
    ExecutorName,
    Experiments,
    Full,
    InExecutor,
    Lake,
    RayAddress,
    Runs,
    Start,
    Warehouse,
    WithCache,
    app,
    check_ray_address,
    err,
    out,
    places_of,
    tell_alarms,
    tell_in_red,
)
from msm_py.cli.report import write_pages
from msm_py.errors import MsmError
from msm_py.report.terminal import Text, write_exactly


@app.command()
def run(
    experiments: Experiments,
    lake: Lake = LAKE,
    runs: Runs = RUNS,
    warehouse_file: Warehouse = WAREHOUSE,
    start: Start = None,
    end: End = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compute again what is there already.")
    ] = False,
    robust: Annotated[
        bool, typer.Option("--robust", help="Also run its neighbours and placebos: does it hold?")
    ] = False,
    n_null_markets: Annotated[
        int | None,
        typer.Option(
            "--null-markets",
            min=1,
            max=10_000,
            metavar="N",
            help="Also rank it among so many markets in which its states tell nothing, such as 50.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Null markets at a time; as many as there are cores."),
    ] = None,
    executor: InExecutor = ExecutorName.LOCAL,
    ray_address: RayAddress = None,
    look: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Open the hold-out, for a reason: recorded for good, and a trial from then on.",
        ),
    ] = None,
    full: Full = False,
    with_pages: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html into each run folder.")
    ] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show dbt's own log.")] = False,
    with_cache: WithCache = True,
) -> None:
    """Run experiments and show what they found.

    Example: msm run experiments/msm/msm_v1_baseline.yaml --lake lake --start 2023-07-01
    """
    from msm_py.report import null_market_report, robustness_report, run_summary
    from msm_py.report.progress import NullMarketDisplay, PanelDisplay, RunDisplay
    from msm_py.runner import executors, experiment_work, null_markets, robustness_panel

    check_ray_address(ray_address, executor)
    if n_null_markets is None and (jobs is not None or executor is ExecutorName.RAY):
        raise MsmError(
            "only null markets are computed side by side",
            where="msm run",
            received="--jobs or --executor without --null-markets",
            remedy="leave it out: experiments of one call are computed together",
        )
    rendered = experiment_work.render(experiments, lake, start, end, look=look is not None)
    if robust:
        experiment_work.refuse_panels(rendered.specs)
    if n_null_markets:
        experiment_work.refuse_null_markets(rendered.specs)
    places = places_of(lake, runs, warehouse_file, force=force, with_cache=with_cache)
    with RunDisplay(out, tell_in_red, verbose=verbose) as display:
        done = experiment_work.carry_out(rendered, places, display.tell, look=look, verbose=verbose)
    for part in run_summary.reports(done, places.warehouse, full=full):
        out.print(part, soft_wrap=isinstance(part, Text))
    errors = list(done.errors)
    if robust and done.folders:
        names = [folder.name for folder in done.folders]
        with PanelDisplay(out) as panel_display:
            panels = robustness_panel.compute_panels(names, places, panel_display.tell, force=force)
        for panel in panels:
            out.print(robustness_report.panel(panel))
        errors += [str(x) for x in map(robustness_panel.failure, panels) if x is not None]
    if n_null_markets and done.folders:
        on_ray = executor is ExecutorName.RAY
        open_workers = partial(
            executors.workers,
            jobs if on_ray else jobs or machine.n_cores(),
            lake=places.lake,
            on_ray=on_ray,
            ray_address=ray_address,
        )
        names = [folder.name for folder in done.folders]
        with NullMarketDisplay(out) as markets_display:
            records = null_markets.compute_all(
                names, n_null_markets, places, open_workers, markets_display.tell
            )
        for record in records:
            out.print(null_market_report.report(record))
        errors += [str(x) for x in map(null_markets.failure, records) if x is not None]
    if with_pages:
        errors += write_pages(done.folders, places.warehouse)
    # reports tell of the ledger of looks themselves
    tell_alarms(places.runs, places.warehouse, with_looks=not run_summary.are_whole(done))
    _tell_failures(errors)


@app.command(name="vars")
def vars_(
    experiments: Experiments,
    lake: Lake = LAKE,
    start: Start = None,
    end: End = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Write a JSON file for the var experiments_file.")
    ] = None,
    resolved: Annotated[
        bool,
        typer.Option("--resolved", help="Show experiments with every key, as YAML; needs no lake."),
    ] = False,
) -> None:
    """Render experiments to the variables of a `dbt build` by hand.

    Variables hold run ids, which depend on the lake: --lake or MSM_LAKE says which.

    Example: dbt build --vars "$(msm vars experiments/msm/msm_v1_baseline.yaml)"
    """
    from msm_py.runner import experiment_work
    from msm_py.store import scratch
    from msm_py.store.written_places import check_outside_lake

    if resolved:
        write_exactly(experiment_work.resolved_yaml(experiments, start, end))
        return
    text, n_experiments = experiment_work.variables(experiments, lake, start, end)
    if out_file is None:
        typer.echo(text.encode(), nl=False)  # dbt reads UTF-8, whatever the terminal does
        return
    check_outside_lake(lake, {"the file of variables (--out)": out_file})
    try:
        out_file.parent.mkdir(parents=True, exist_ok=True)
        is_plain = out_file.is_file() and not out_file.is_symlink()
        if is_plain or not os.path.lexists(out_file):
            with scratch.file_for(out_file, out_file.parent) as unfinished:
                unfinished.write_text(text, encoding="utf-8")
        else:  # a pipe, or a link such as /dev/stdout
            out_file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MsmError(
            "the variables cannot be written",
            where=str(out_file),
            received=error.strerror,
            remedy="give another file with --out",
        ) from None
    err.print(
        f"{n_experiments} experiment{'s' if n_experiments > 1 else ''} in {out_file}; "
        f"next: dbt build --vars '{{experiments_file: {out_file}}}'",
        soft_wrap=True,
    )


def _tell_failures(errors: list[str]) -> None:
    if not errors:
        return
    for error in errors[:-1]:
        tell_in_red("error:", error)
    raise MsmError(errors[-1])
