"""The command ``msm``: what people type. Printing happens here and nowhere below."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

from msm_py import artifacts, experiment, invocation, warehouse
from msm_py.code_fingerprint import code_fingerprint
from msm_py.errors import Interrupted, MsmError
from msm_py.invocation import Outcome, Places
from msm_py.lake import fingerprint, open_lake

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


class _Terminal(Console):
    """A console that goes on in silence when nobody reads it any more (`msm run ... | head`)."""

    def on_broken_pipe(self) -> None:
        """Send the rest nowhere: what is being computed must not be lost with its display."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


out = _Terminal()
err = _Terminal(stderr=True)

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
    "states": "scoring and running the state machine",
    "portfolio": "choosing baskets, trading, charging costs",
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
    verbose: Annotated[bool, typer.Option("--verbose", help="Show dbt's own log.")] = False,
) -> None:
    """Run experiments and show what they found.

    Example: msm run experiments/msm/msm_v1_baseline.yaml --lake lake --start 2023-07-01
    """
    from msm_py import report, sweep_cli

    resolved = _rendered(experiments, lake, start, end)
    places = _places(lake, runs, warehouse_file)
    artifacts.check_runs_dir(places.runs)
    warehouse.check_warehouse(places.warehouse)
    if force:
        for spec in resolved:
            artifacts.remove_run(places.runs, spec["run_id"])
    waiting = [x for x in resolved if not (places.runs / x["run_id"]).is_dir()]
    for spec in resolved:
        if spec not in waiting:
            out.print(
                f"{spec['run_id']} is there already: same question, data and code. "
                "(--force computes it again.)",
                soft_wrap=True,
            )
    if waiting:
        outcomes = _build(waiting, places, verbose=verbose)
    else:
        warehouse.publish(places.runs, places.warehouse)
        outcomes = []
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    lost = {outcome.run_id for outcome in failed}
    shown = [places.runs / spec["run_id"] for spec in resolved if spec["run_id"] not in lost]
    if len(shown) <= MOST_REPORTS:
        for folder in shown:
            out.print(report.run_report(folder))
    else:
        for folder in shown:
            out.print(f"{folder.name}: {sweep_cli.headline(folder)}", soft_wrap=True)
        out.print("`msm show RUN_ID` shows one of them whole, `msm list` all runs.")
    _tell_failures(failed)


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
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
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

    `msm sweep show SWEEP_ID` shows the leaderboard of one again.
    """
    from msm_py import sweep_cli, sweep_record

    if files and files[0] == Path("show"):
        wanted = str(files[1]) if len(files) > 1 else ""
        out.print(sweep_cli.leaderboard(sweep_record.find_record(runs, wanted)))
        return
    options = sweep_cli.Options(
        batch_size=batch_size,
        jobs=jobs,
        shard=sweep_cli.parse_shard(shard),
        resume=resume,
        fail_fast=fail_fast,
    )
    family = sweep_cli.Family.of(files or [], pattern, lake, start, end)
    places = _places(lake, runs, warehouse_file)
    if print_commands:
        for line in sweep_cli.commands(family, places, options):
            sys.stdout.write(line + "\n")
        return
    if dry_run:
        out.print(sweep_cli.plan(family, places, options))
        return
    summary = sweep_cli.run(family, places, options, out)
    out.print(summary.renderable)
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
    text = json.dumps({"experiments": resolved})
    if out_file is None:
        sys.stdout.write(text + "\n")
        return
    artifacts.check_outside_lake(lake, out=out_file)
    try:
        out_file.parent.mkdir(parents=True, exist_ok=True)
        out_file.write_text(text + "\n")
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
def list_(warehouse_file: Warehouse = WAREHOUSE) -> None:
    """List the runs of the catalog, newest first.

    Example: msm list
    """
    from msm_py import report

    out.print(report.runs_table(warehouse_file))


@app.command()
def show(
    run_id: Annotated[str, typer.Argument(help="A run's id, or the beginning of it.")],
    runs: Runs = RUNS,
) -> None:
    """Show what a run found.

    Example: msm show msm_v1_baseline
    """
    from msm_py import report

    out.print(report.run_report(artifacts.find_run(runs, run_id)))


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
    try:
        app()
    except MsmError as error:
        err.print(f"[bold red]error:[/] {_escaped(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(1)
    except Interrupted:
        _tell_interrupted()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # what typer makes of Ctrl-C outside of dbt
            _tell_interrupted()
        raise


def _tell_interrupted() -> None:
    err.print("stopped; complete runs are kept, nothing half-written is left")
    sys.exit(INTERRUPTED)


def _rendered(
    files: list[Path], lake: Path, start: str | None, end: str | None
) -> list[dict[str, Any]]:
    """Return resolved experiments with the run ids that this lake and this code give."""
    found = experiment.load_experiments(files, start=start, end=end)
    data, code = fingerprint(open_lake(lake)), code_fingerprint()
    specs = [experiment.resolve(x) for x in found]
    return [{"run_id": experiment.run_id(spec, data, code), **spec} for spec in specs]


def _places(lake: Path, runs: Path, warehouse_file: Path) -> Places:
    artifacts.check_outside_lake(lake, runs_folder=runs, warehouse=warehouse_file)
    return Places(lake=lake.absolute(), runs=runs.absolute(), warehouse=warehouse_file.absolute())


def _build(resolved: list[dict[str, Any]], places: Places, *, verbose: bool) -> list[Outcome]:
    what = resolved[0]["title"] if len(resolved) == 1 else f"{len(resolved)} experiments"
    if verbose:
        return invocation.build(resolved, places, verbose=True)
    if not out.is_terminal:
        out.print(f"Running {what}", soft_wrap=True)
        return invocation.build(resolved, places, progress=_plain_progress())
    spinner = Spinner("dots", f"{what}: starting dbt")
    with Live(spinner, console=out, transient=True, refresh_per_second=10):

        def show_step(folder: str, name: str, seconds: float) -> None:
            step = STEPS.get(folder, "checking")
            spinner.update(text=f"{what}: {step} ({name}, {seconds:.0f} s)")

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


def _tell_failures(failed: list[Outcome]) -> None:
    if not failed:
        return
    for outcome in failed[:-1]:
        err.print(f"[bold red]error:[/] {_escaped(outcome.error or '')}", soft_wrap=True)
    raise MsmError(failed[-1].error or "the run failed")


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


if __name__ == "__main__":
    main()
