"""The command ``msm``: what people type. Printing happens here and nowhere below."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner

from msm_py import artifacts, experiment, invocation, looks, warehouse
from msm_py.code_fingerprint import code_fingerprint
from msm_py.errors import Interrupted, MsmError
from msm_py.invocation import Outcome, Places
from msm_py.lake import fingerprint, open_lake
from msm_py.terminal import Terminal, Text, write_exactly
from msm_py.written_places import check_outside_lake, written_places

app = typer.Typer(
    help="MSM, the Market State Monitor: does a market state carry an edge in long majors, short "
    "alts, and how sure may one be?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
lake_app = typer.Typer(help="Write a sample lake, or check your own.", no_args_is_help=True)
app.add_typer(lake_app, name="lake")
catalog_app = typer.Typer(help="The catalog and the warehouse around it.", no_args_is_help=True)
app.add_typer(catalog_app, name="catalog")


out = Terminal()
err = Terminal(stderr=True)

Experiments = Annotated[list[Path], typer.Argument(help="Experiment YAML files.")]
Lake = Annotated[
    Path,
    typer.Option("--lake", envvar="MSM_LAKE", help="The lake: a folder of Parquet, read only."),
]
Runs = Annotated[Path, typer.Option("--runs", envvar="MSM_RUNS", help="Folder of run folders.")]
Warehouse = Annotated[
    Path, typer.Option("--warehouse", envvar="MSM_WAREHOUSE", help="The file that BI tools open.")
]
Start = Annotated[str | None, typer.Option("--start", help="First day of the window, YYYY-MM-DD.")]
End = Annotated[str | None, typer.Option("--end", help="Last day of the window, YYYY-MM-DD.")]


class Executor(StrEnum):
    """Where a sweep's batches are computed."""

    LOCAL = "local"
    RAY = "ray"


LAKE = Path("lake")
RUNS = Path("runs")
WAREHOUSE = Path("warehouse/msm.duckdb")
MOST_REPORTS = 3  # more than these are a line each
INTERRUPTED = 130  # the exit code that shells expect after Ctrl-C

# what a folder of models does, in the words of someone who waits for it
STEPS = {
    "staging": "reading the lake",
    "runs": "reading the experiments",
    "market": "building the market panel",
    "features": "computing features and z-scores",
    "scores": "scoring",
    "legs": "choosing baskets, holding legs",
    "states": "running the state machine",
    "portfolio": "trading, charging costs",
    "evaluation": "testing the edges",
    "catalog": "writing run folders, catalog and warehouse",
}


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
    look: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Open the hold-out, for a reason: recorded for good, and a trial from then on.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show dbt's own log.")] = False,
) -> None:
    """Run experiments and show what they found.

    Example: msm run experiments/msm/msm_v1_baseline.yaml --lake lake --start 2023-07-01
    """
    from msm_py import lake_record, report, robustness, robustness_cli, sweep_cli

    resolved, lake_fingerprint = _rendered(experiments, lake, start, end, look=look is not None)
    if robust:
        looks.refuse(resolved, "a robustness panel")
    for spec in resolved if robust else []:
        robustness.check_no_placebo(spec)
    places = _places(lake, runs, warehouse_file, force=force)
    artifacts.check_runs_dir(places.runs)
    warehouse.check_warehouse(places.warehouse)
    found = lake_record.look_over(places.runs, places.lake, lake_fingerprint)
    if look is not None:
        _record_looks(resolved, places.runs, look)
    ledger = looks.read(places.runs)
    waiting = [
        spec
        for spec in resolved
        # a look that nobody recorded is never shown: as a run it fails
        if force or not (places.runs / spec["run_id"]).is_dir() or ledger.lacks(spec)
    ]
    for spec in resolved:
        if spec not in waiting:
            out.print(
                f"{spec['run_id']} is there already: same question, data and code. "
                "(--force computes it again.)",
                soft_wrap=True,
            )
    _tell_disturbance(places.warehouse)
    if waiting:
        outcomes = _build(waiting, places, verbose=verbose)
    else:
        warehouse.publish(places.runs, places.warehouse)
        outcomes = []
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    lost = {outcome.run_id for outcome in failed}
    shown = [places.runs / spec["run_id"] for spec in resolved if spec["run_id"] not in lost]
    if not 0 < len(shown) <= MOST_REPORTS:  # else they stand at the top of each report
        out.print(Group(*report.lake_findings(found)))
    if len(shown) <= MOST_REPORTS:
        for folder in shown:
            out.print(report.run_report(folder))
    else:
        for folder in shown:
            out.print(f"{folder.name}: {sweep_cli.headline(folder)}", soft_wrap=True)
        out.print("`msm show RUN_ID` shows one of them whole, `msm list` all runs.")
    errors = [outcome.error or "the run failed" for outcome in failed]
    if robust and shown:
        panels = [robustness_cli.compute(x.name, places, out, force=force) for x in shown]
        warehouse.publish(places.runs, places.warehouse)
        for panel in panels:
            out.print(robustness_cli.panel(panel))
        errors += [str(x) for x in map(robustness_cli.failure, panels) if x is not None]
    # reports tell of the ledger of looks themselves
    _tell_alarms(places.runs, places.warehouse, with_looks=not 0 < len(shown) <= MOST_REPORTS)
    _tell_failures(errors)


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
        Executor, typer.Option(help="Processes of this machine, or tasks of a Ray cluster.")
    ] = Executor.LOCAL,
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
    from msm_py import sweep_cli, sweep_record

    if files and files[0] == Path("show"):
        if len(files) > 2:
            raise MsmError(
                "one sweep is shown at a time",
                where="msm sweep show",
                received=" ".join(map(str, files[1:])),
                remedy="give one id; `msm sweep show` alone lists all of them",
            )
        if len(files) == 1:
            shown = sweep_cli.listing(sweep_record.read_records(runs), runs)
        else:
            record = sweep_record.find_record(runs, str(files[1]))
            shown = Group(*sweep_cli.lake_line(runs, record), sweep_cli.leaderboard(record))
        sweep_cli.show(shown, out)
        _tell_alarms(runs)
        return
    if print_commands and dry_run:
        raise MsmError(
            "one of these is enough: neither computes anything",
            where="msm sweep",
            received="--dry-run and --print-commands",
            remedy="leave out one of them",
        )
    if ray_address is not None and executor is not Executor.RAY:
        raise MsmError(
            "a Ray cluster is given, but not used",
            where="--ray-address",
            received=ray_address,
            remedy="add --executor ray, or leave the address out",
        )
    options = sweep_cli.Options(
        batch_size=batch_size,
        jobs=jobs,
        shard=sweep_cli.parse_shard(shard),
        fail_fast=fail_fast,
        on_ray=executor is Executor.RAY,
        ray_address=ray_address,
    )
    family = sweep_cli.Family.of(files or [], pattern, lake, start, end)
    looks.refuse(family.specs, "a sweep")
    sweep_cli.refuse_placebos(family.specs)
    places = _places(lake, runs, warehouse_file, force=not resume)
    if print_commands:
        write_exactly("\n".join(sweep_cli.commands(family, places, options)))
        return
    if dry_run:
        sweep_cli.show(sweep_cli.plan(family, places, options), out)
        return
    _tell_disturbance(places.warehouse)
    summary = sweep_cli.run(family, places, options, out)
    sweep_cli.show(summary.renderable, out)
    _tell_alarms(places.runs, places.warehouse)
    if summary.n_failed:
        raise typer.Exit(1)


@app.command(name="vars")
def vars_(
    experiments: Experiments,
    lake: Lake = LAKE,
    start: Start = None,
    end: End = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Write a JSON file for the var experiments_file.")
    ] = None,
) -> None:
    """Render experiments to the variables of a `dbt build` by hand.

    Example: dbt build --vars "$(msm vars experiments/msm/msm_v1_baseline.yaml)"
    """
    from msm_py.experiment import variables
    from msm_py.sweep_cli import Family

    family = Family.of(experiments, None, lake, start, end)
    if family.rejected:
        raise MsmError(
            f"{len(family.rejected)} variants are no valid experiments",
            where=family.rejected[0].title,
            received=family.rejected[0].error,
            remedy="mend them, or let `msm sweep` run the others and record these as failed",
        )
    resolved = family.specs
    text = variables(resolved) + "\n"
    if out_file is None:
        typer.echo(text.encode(), nl=False)  # dbt reads UTF-8, whatever the terminal does
        return
    check_outside_lake(lake, {"the file of variables (--out)": out_file})
    try:
        out_file.parent.mkdir(parents=True, exist_ok=True)
        out_file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MsmError(
            "the variables cannot be written",
            where=str(out_file),
            received=error.strerror,
            remedy="give another file with --out",
        ) from None
    err.print(
        f"{len(resolved)} experiment{'s' if len(resolved) > 1 else ''} in {out_file}; "
        f"next: dbt build --vars '{{experiments_file: {out_file}}}'",
        soft_wrap=True,
    )


@app.command(name="list")
def list_(warehouse_file: Warehouse = WAREHOUSE, runs: Runs = RUNS) -> None:
    """List the runs of the catalog, newest first.

    Example: msm list
    """
    from msm_py import report

    if warehouse.is_of(runs, warehouse_file):
        _refresh(runs, warehouse_file)
    out.print(report.runs_table(warehouse_file))
    _tell_alarms(runs, warehouse_file)


@app.command()
def show(
    run_id: Annotated[str, typer.Argument(help="A run's id, or the beginning of it.")],
    runs: Runs = RUNS,
) -> None:
    """Show what a run found.

    Example: msm show msm_v1_baseline
    """
    from msm_py import report, robustness_cli, robustness_record

    folder = artifacts.find_run(runs, run_id)
    out.print(report.run_report(folder))
    if panel := robustness_record.read_record(runs, folder.name):
        out.print(robustness_cli.panel(panel))
    _tell_alarms(runs, with_looks=False)


@app.command()
def compare(
    run_id: Annotated[str, typer.Argument(help="A run's id, or the beginning of it.")],
    other_run_id: Annotated[str, typer.Argument(help="Another run's.")],
    runs: Runs = RUNS,
) -> None:
    """Show what differs between two runs: question, data, states, results.

    Example: msm compare msm_v1_baseline msm_v1_trade_signs
    """
    from msm_py import report

    out.print(
        report.comparison(artifacts.find_run(runs, run_id), artifacts.find_run(runs, other_run_id))
    )


@catalog_app.command(name="rebuild")
def catalog_rebuild(runs: Runs = RUNS, warehouse_file: Warehouse = WAREHOUSE) -> None:
    """Make catalog and warehouse again from the run folders, whatever stands there now.

    Example: msm catalog rebuild --runs runs --warehouse warehouse/msm.duckdb
    """
    if not runs.is_dir():
        raise MsmError(
            "there is no such runs folder",
            where="--runs",
            received=str(runs),
            remedy="give the folder that holds the run folders (or MSM_RUNS)",
        )
    check_outside_lake(_lake_of_environment(), written_places(runs, warehouse_file))
    started = time.monotonic()
    rows = warehouse.publish(runs, warehouse_file, anew=True)
    out.print(
        f"{rows['catalog']} runs and {rows['sweeps']} sweeps in {warehouse_file}, "
        f"in {time.monotonic() - started:.1f} s.",
        soft_wrap=True,
    )
    _tell_alarms(runs, warehouse_file)


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
    from msm_py.sample_lake import write_sample_lake

    started = time.monotonic()
    write_sample_lake(directory, seed=seed, planted_edge=planted_edge)
    out.print(
        f"Sample lake written to {directory} in {time.monotonic() - started:.1f} s.", soft_wrap=True
    )


@lake_app.command(name="check")
def lake_check(
    directory: Annotated[Path, typer.Argument(help="The lake: a folder of Parquet.")],
) -> None:
    """Look a lake over: rows, dates, gaps, duplicates, impossible values, units; a verdict each.

    Exit code 1 when an item fails. Example: msm lake check lake
    """
    from msm_py.lake_check import check_lake, report_table

    report = check_lake(open_lake(directory))
    out.print(report_table(report))
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def main() -> None:
    """Run the command line; a user's mistake is one paragraph and exit code 1."""
    signal.signal(signal.SIGTERM, _like_ctrl_c)
    try:
        app()
    except MsmError as error:
        _tell_in_red("error:", str(error))
        sys.exit(1)
    except Interrupted:
        _tell_interrupted()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # what typer makes of Ctrl-C outside of dbt
            _tell_interrupted()
        raise


def _like_ctrl_c(number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    # what a shell starts in the background ignores Ctrl-C, but not this
    (handler if callable(handler) else signal.default_int_handler)(number, frame)


def _tell_interrupted() -> None:
    err.print("stopped; complete runs are kept, nothing half-written is left")
    sys.exit(INTERRUPTED)


def _rendered(
    files: list[Path], lake: Path, start: str | None, end: str | None, *, look: bool = False
) -> tuple[list[dict[str, Any]], str]:
    """Return resolved experiments with their run ids here, and the fingerprint of the lake."""
    found = experiment.load_experiments(files, start=start, end=end)
    data, code = fingerprint(open_lake(lake)), code_fingerprint()
    specs = [experiment.resolve(x) for x in found]
    if look:
        specs = [looks.opened(spec) for spec in specs]
    return [{"run_id": experiment.run_id(spec, data, code), **spec} for spec in specs], data


def _record_looks(resolved: list[dict[str, Any]], runs: Path, reason: str) -> None:
    """Record looks before they are taken, and say so; sweeps count them from now on."""
    from msm_py import sweep_record

    new = {look.run_id for look in looks.record(runs, resolved, reason)}
    ledger = looks.read(runs)
    for spec in resolved:
        own = ledger.of_run(spec["run_id"])
        if own is None:
            continue
        family = ledger.of_families([own.family])
        out.print(
            f"Look {len(family)} of the family {own.family} is recorded: hold-out from "
            f"{own.holdout_start} on."
            if own.run_id in new
            else f"{own.run_id} was looked at before, on {own.told}: no new look."
            + ("" if own.gives(reason) else " That reason stands, the new one is not recorded."),
            soft_wrap=True,
        )
    if ledger.fault is not None:
        _tell_in_red(
            f"The ledger of looks, {runs / looks.LEDGER}, is damaged:",
            f"{ledger.fault}. What it says of earlier looks cannot be relied on.",
        )
    if new:
        sweep_record.count_looks(runs)


def _places(lake: Path, runs: Path, warehouse_file: Path, *, force: bool) -> Places:
    check_outside_lake(lake, written_places(runs, warehouse_file))
    return Places(
        lake=lake.absolute(),
        runs=runs.absolute(),
        warehouse=warehouse_file.absolute(),
        force=force,
    )


def _build(resolved: list[dict[str, Any]], places: Places, *, verbose: bool) -> list[Outcome]:
    what = resolved[0]["title"] if len(resolved) == 1 else f"{len(resolved)} experiments"
    if verbose:
        return invocation.build(resolved, places, verbose=True)
    if not out.is_terminal:
        out.print(f"Running {what}", soft_wrap=True)
        return invocation.build(resolved, places, progress=_plain_progress())
    spinner = Spinner("line", Text(f"{what}: starting dbt"))
    with Live(spinner, console=out, transient=True, refresh_per_second=10):

        def show_step(folder: str, name: str, seconds: float) -> None:
            step = STEPS.get(folder, "checking")
            spinner.update(text=Text(f"{what}: {step} ({name}, {seconds:.0f} s)"))

        return invocation.build(resolved, places, progress=show_step)


def _plain_progress() -> Callable[[str, str, float], None]:
    """Return a progress that prints a line when a step begins."""
    seen: set[str] = set()

    def tell(folder: str, name: str, seconds: float) -> None:
        # panels are made along the way and written at the end
        if folder in STEPS and folder not in seen and not name.endswith("_panels"):
            seen.add(folder)
            out.print(f"  {seconds:5.1f} s  {STEPS[folder]}")

    return tell


def _refresh(runs: Path, warehouse_file: Path) -> None:
    """Bring a warehouse up to date with what was copied, renamed or deleted by hand meanwhile."""
    check_outside_lake(_lake_of_environment(), written_places(runs, warehouse_file))
    _tell_disturbance(warehouse_file)
    try:
        warehouse.publish(runs, warehouse_file)
    except MsmError as error:  # it may be someone else's, and is shown as it is
        _tell([f"The catalog may be behind the runs folder: {error.what} ({error.received})."])


def _lake_of_environment() -> Path:
    return Path(os.environ.get("MSM_LAKE", LAKE))


def _tell_disturbance(warehouse_file: Path) -> None:
    sentence = warehouse.disturbance(warehouse_file)
    _tell([] if sentence is None else [sentence])


def _tell_alarms(
    runs: Path, warehouse_file: Path | None = None, *, with_looks: bool = True
) -> None:
    _tell(warehouse.alarms(runs, warehouse_file, with_looks=with_looks))


def _tell(sentences: list[str]) -> None:
    for sentence in sentences:
        _tell_in_red("!!", sentence)


def _tell_failures(errors: list[str]) -> None:
    if not errors:
        return
    for error in errors[:-1]:
        _tell_in_red("error:", error)
    raise MsmError(errors[-1])


def _tell_in_red(label: str, text: str) -> None:
    err.print(Text.assemble((label, "bold red"), " ", text), soft_wrap=True)


if __name__ == "__main__":
    main()
