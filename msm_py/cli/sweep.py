"""``msm sweep``: many variants, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from msm_py.cli.options import (
    LAKE,
    RUNS,
    WAREHOUSE,
    End,
    Lake,
    Runs,
    Start,
    Warehouse,
    _places,
    _tell_alarms,
    _tell_disturbance,
    app,
    out,
)
from msm_py.errors import Interrupted, MsmError
from msm_py.report.sweep_report import Summary, _count, _line, _summary
from msm_py.report.terminal import Text, write_exactly
from msm_py.runner import batches, sweep_statistics
from msm_py.runner.sweep_plan import Family, Options, _is_waiting, _rejected
from msm_py.settings import Places
from msm_py.store import lake_records, looks, run_folder, warehouse
from msm_py.store.trial import Trial

# as wide as a line may get where no terminal cuts or folds it
WIDE = 1000


def show(renderable: RenderableType, console: Console) -> None:
    """Print a table with whole ids: a file or a pipe has no width, a narrow terminal folds."""
    if not console.is_terminal:
        console.width = WIDE
    console.print(renderable, crop=False)


def run(family: Family, places: Places, options: Options, console: Console) -> Summary:
    """Carry a sweep out, reporting every variant, and publish once at the end."""
    run_folder.check_runs_dir(places.runs)
    warehouse.check_warehouse(places.warehouse)
    found = lake_records.look_over(places.runs, places.lake, family.lake_fingerprint)
    started_at, clock = datetime.now(UTC), time.monotonic()
    mine = batches.shard(family.specs, *options.shard)
    jobs, open_executor = _workers(options, places)
    rejected = _rejected(family, options)
    n_waiting = sum(_is_waiting(spec, places) for spec in mine)
    console.print(
        f"Sweep {family.sweep_id}: {_count(len(mine), 'variant')}"
        + (f" (shard {options.shard[0]}/{options.shard[1]})" if options.shard[1] > 1 else "")
        + (f", {len(rejected)} rejected by validation" if rejected else ""),
        soft_wrap=True,
    )
    for trial in rejected:
        console.print(
            Text.assemble(("rejected", "red"), f" {trial.title}: {trial.error or ''}"),
            soft_wrap=True,
        )
    trials: list[Trial] = []
    work = batches.run_sweep(
        mine,
        places,
        batch_size=options.batch_size,
        jobs=jobs,
        fail_fast=options.fail_fast,
        open_executor=open_executor,
    )
    try:
        # closed before anything else, so that no worker goes on
        with _display(console, n_waiting) as display, closing(work):
            task = display.add_task("", total=n_waiting, failed=0, speed="")
            for trial in work:
                trials.append(trial)
                console.print(_line(trial, len(trials), len(mine), places.runs), soft_wrap=True)
                done = batches.counts(trials)
                n_done = done["complete"] + done["failed"]
                display.update(
                    task,
                    completed=n_done,
                    failed=done["failed"],
                    speed=_speed(n_done, n_waiting - n_done, time.monotonic() - clock),
                )
    except (KeyboardInterrupt, Interrupted):
        done = batches.counts(trials)
        console.print(
            f"{done['complete']} computed, {done['existing']} were there already, "
            f"{done['failed']} failed, {len(mine) - len(trials)} not done. "
            + (
                "The same command begins again, without --force it goes on."
                if places.force
                else "The same command goes on."
            ),
            soft_wrap=True,
        )
        raise Interrupted from None
    finally:  # what is complete is kept and recorded, whatever stopped the sweep
        record = sweep_statistics.write_record(
            places.runs,
            name=family.name,
            specs=family.specs,
            rejected=family.rejected,
            trials=trials,
            sources={file.name: file.read_text(errors="replace") for file in family.files},
            n_duplicates=family.n_duplicates,
            started_at=started_at,
        )
        warehouse.publish(places.runs, places.warehouse)
    n_left = len(mine) - len(trials)
    return _summary(record, trials, rejected, n_left, time.monotonic() - clock, found)


def _speed(n_done: int, n_left: int, seconds: float) -> str:
    """Return how fast runs are computed, and how long the others take at that rate."""
    if not n_done:
        return ""
    left = round(n_left * seconds / n_done)
    return f"{n_done / seconds:.1f} a second, {left // 60}:{left % 60:02} left"


def _workers(options: Options, places: Places) -> tuple[int, Callable[[int], Executor] | None]:
    """Return how many batches go at a time, and what computes them (None: processes of ours)."""
    if not options.on_ray:
        return options.jobs or 1, None
    from msm_py.runner.ray_cluster import RayExecutor

    cluster = RayExecutor(options.ray_address, options.jobs, lake=places.lake)
    return cluster.slots, lambda _: cluster


def _display(console: Console, total: int) -> Progress:
    return Progress(
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[speed]}", markup=False),
        TextColumn("{task.fields[failed]} failed", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal or total == 0,
    )


class ExecutorName(StrEnum):
    """Where a sweep's batches are computed."""

    LOCAL = "local"
    RAY = "ray"


@app.command()
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
    ] = 200,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Batches at a time: 1, or with ray as many as there are cores."),
    ] = None,
    executor: Annotated[
        ExecutorName, typer.Option(help="Processes of this machine, or tasks of a Ray cluster.")
    ] = ExecutorName.LOCAL,
    ray_address: Annotated[
        str | None,
        typer.Option(help="Cluster to join: host:port, ray://host:port, auto. None: a local one."),
    ] = None,
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
    print_commands: Annotated[
        bool,
        typer.Option(
            "--print-commands", help="Print a command for each batch, for a scheduler to run."
        ),
    ] = False,
) -> None:
    """Run a family of experiments, a batch at a time; safe to interrupt and start again.

    Example: msm sweep --glob "experiments/msm/*.yaml" --start 2023-01-01 --end 2026-01-01

    `msm sweep show` lists the sweeps there are, `msm sweep show SWEEP_ID` shows the leaderboard of
    one again.
    """
    from msm_py.report import sweep_report
    from msm_py.runner import sweep_plan
    from msm_py.store import sweep_records

    if files and files[0] == Path("show"):
        if len(files) > 2:
            raise MsmError(
                "one sweep is shown at a time",
                where="msm sweep show",
                received=" ".join(map(str, files[1:])),
                remedy="give one id; `msm sweep show` alone lists all of them",
            )
        if len(files) == 1:
            shown = sweep_report.listing(sweep_records.read_records(runs), runs)
        else:
            record = sweep_records.find_record(runs, str(files[1]))
            shown = Group(*sweep_report.lake_line(runs, record), sweep_report.leaderboard(record))
        show(shown, out)
        _tell_alarms(runs)
        return
    if print_commands and dry_run:
        raise MsmError(
            "one of these is enough: neither computes anything",
            where="msm sweep",
            received="--dry-run and --print-commands",
            remedy="leave out one of them",
        )
    if ray_address is not None and executor is not ExecutorName.RAY:
        raise MsmError(
            "a Ray cluster is given, but not used",
            where="--ray-address",
            received=ray_address,
            remedy="add --executor ray, or leave the address out",
        )
    options = sweep_plan.Options(
        batch_size=batch_size,
        jobs=jobs,
        shard=sweep_plan.parse_shard(shard),
        fail_fast=fail_fast,
        on_ray=executor is ExecutorName.RAY,
        ray_address=ray_address,
    )
    family = sweep_plan.Family.of(files or [], pattern, lake, start, end)
    looks.refuse(family.specs, "a sweep")
    sweep_plan.refuse_placebos(family.specs)
    places = _places(lake, runs, warehouse_file, force=not resume)
    if print_commands:
        write_exactly("\n".join(sweep_plan.commands(family, places, options)))
        return
    if dry_run:
        show(sweep_report.plan(family, places, options), out)
        return
    _tell_disturbance(places.warehouse)
    summary = run(family, places, options, out)
    show(summary.renderable, out)
    _tell_alarms(places.runs, places.warehouse)
    if summary.n_failed:
        raise typer.Exit(1)
