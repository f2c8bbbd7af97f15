"""``msm sweep``: many variants, a batch at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from msm_py.cli.options import (
    LAKE,
    RUNS,
    WAREHOUSE,
    End,
    ExecutorName,
    InExecutor,
    Lake,
    RayAddress,
    Runs,
    Start,
    Warehouse,
    WithCache,
    check_ray_address,
    one_form,
    out,
    places_of,
    print_lines,
    tell_alarms,
    tell_disturbance,
)
from msm_py.errors import MsmError
from msm_py.report.terminal import write_exactly

RUN = "run"


class RunByDefault(TyperGroup):
    """A group of commands in which the word ``run`` may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # typer hides its Context
        """Take what begins with no name of a command for the words of ``run``."""
        is_named = bool(args) and args[0] in self.commands
        return super().parse_args(ctx, args if is_named else [RUN, *args])


sweep_app = typer.Typer(
    cls=RunByDefault, help="Run variants of experiments, or show a sweep again."
)


@sweep_app.command(name=RUN)
def sweep(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Experiment files, with or without `sweep:`.")
    ] = None,
    pattern: Annotated[
        str | None, typer.Option("--glob", help='More of them, such as "experiments/msm/*.yaml".')
    ] = None,
    lake: Lake = LAKE,
    runs: Runs = RUNS,
    warehouse_file: Warehouse = WAREHOUSE,
    start: Start = None,
    end: End = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Experiments in one dbt invocation; 1 is the plain loop.")
    ] = 500,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Batches at a time. [default: 1 for every 200 experiments, up to the cores; with "
            "ray the cores of the cluster]",
        ),
    ] = None,
    executor: InExecutor = ExecutorName.LOCAL,
    ray_address: RayAddress = None,
    shard: Annotated[
        str | None, typer.Option(help="Only the i-th of n parts, as i/n: one for each machine.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--force", help="Skip what is there, or compute it again.")
    ] = True,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first failure.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the variants and an estimate, compute nothing.")
    ] = False,
    all_variants: Annotated[
        bool, typer.Option("--all", help="With --dry-run: show every variant, however many.")
    ] = False,
    print_commands: Annotated[
        bool,
        typer.Option(
            "--print-commands", help="Print a command for each batch, for a scheduler to run."
        ),
    ] = False,
    with_cache: WithCache = True,
) -> None:
    """Run the variants of experiments, a batch at a time; safe to interrupt and start again.

    Example: msm sweep --glob "experiments/msm/*.yaml" --start 2023-01-01 --end 2026-01-01

    `msm sweep show` lists the sweeps there are, `msm sweep show SWEEP_ID` shows the leaderboard of
    one again. (A file called `show` or `run` is given as ./show or ./run.)
    """
    from msm_py.report import sweep_report
    from msm_py.report.progress import SweepDisplay
    from msm_py.runner import sweep_plan, sweep_work
    from msm_py.store import looks

    if print_commands and dry_run:
        raise MsmError(
            "one of these is enough: neither computes anything",
            where="msm sweep",
            received="--dry-run and --print-commands",
            remedy="leave out one of them",
        )
    check_ray_address(ray_address, executor)
    options = sweep_plan.Options(
        batch_size=batch_size,
        jobs=jobs,
        shard=sweep_plan.parse_shard(shard),
        fail_fast=fail_fast,
        on_ray=executor is ExecutorName.RAY,
        ray_address=ray_address,
    )
    resolved = sweep_plan.ResolvedSweep.of(files or [], pattern, lake, start, end)
    looks.refuse(resolved.specs, "a sweep")
    sweep_plan.refuse_placebos(resolved.specs)
    places = places_of(lake, runs, warehouse_file, force=not resume, with_cache=with_cache)
    if print_commands:
        write_exactly(sweep_report.command_lines(sweep_plan.commands(resolved, places, options)))
        return
    if dry_run:
        plan = sweep_plan.plan(resolved, places, options)
        limit = None if all_variants else sweep_report.DRY_RUN_LINES
        print_lines(sweep_report.plan_table(plan, limit))
        return
    tell_disturbance(places.warehouse)
    with SweepDisplay(out) as display:
        ended = sweep_work.carry_out(resolved, places, options, display.tell)
    print_lines(sweep_report.summary(ended, places.runs))
    tell_alarms(places.runs, places.warehouse)
    if ended.n_failed:
        raise typer.Exit(1)


@sweep_app.command()
def show(
    sweep_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="SWEEP_ID", help="A sweep's id, or the beginning of it."),
    ] = None,
    runs: Runs = RUNS,
    top: Annotated[
        int, typer.Option("--top", min=1, max=10**9, help="How many lines at most.")
    ] = 15,
    all_runs: Annotated[bool, typer.Option("--all", help="Every run.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every run as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every run as JSON.")] = False,
) -> None:
    """Show the leaderboard of a sweep again; without an id, list the sweeps there are.

    Example: msm sweep show msm_v1_baseline --top 30
    """
    from rich.console import Group

    from msm_py.report import sweep_report
    from msm_py.report.formats import csv_text, json_text
    from msm_py.store import sweep_records

    form = one_form(as_csv=as_csv, as_json=as_json)
    if not sweep_ids:
        print_lines(sweep_report.listing(sweep_records.read_records(runs), runs))
    elif len(sweep_ids) > 1:
        raise MsmError(
            "one sweep is shown at a time",
            where="msm sweep show",
            received=" ".join(sweep_ids),
            remedy="give one id; `msm sweep show` alone lists all of them",
        )
    else:
        record = sweep_records.find_record(runs, sweep_ids[0])
        if form is None:
            board = sweep_report.leaderboard(record, runs, None if all_runs else top)
            print_lines(Group(*sweep_report.lake_line(runs, record), board))
        else:
            rows = sweep_report.ranked_rows(record)
            write_exactly(csv_text(rows) if form == "csv" else json_text(rows))
    tell_alarms(runs)
