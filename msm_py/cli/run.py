"""``msm run`` and ``msm vars``: experiments, computed or rendered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner

from msm_py.cli.options import (
    LAKE,
    RUNS,
    WAREHOUSE,
    End,
    Experiments,
    Lake,
    Runs,
    Start,
    Warehouse,
    _places,
    _tell_alarms,
    _tell_disturbance,
    _tell_in_red,
    app,
    err,
    out,
)
from msm_py.errors import MsmError
from msm_py.experiment import load
from msm_py.experiment.ids import ResolvedRun
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.report.terminal import Text
from msm_py.runner import invocation
from msm_py.runner.invocation import Outcome
from msm_py.settings import Places
from msm_py.store import looks, run_folder, warehouse
from msm_py.store.origin import code_fingerprint
from msm_py.store.written_places import check_outside_lake

MOST_REPORTS = 3  # more than these are a line each
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
    from msm_py.experiment import neighbours
    from msm_py.report import lake_report, robustness_report, run_report, sweep_report
    from msm_py.runner import robustness_panel
    from msm_py.store import lake_records

    resolved, lake_fingerprint = _rendered(experiments, lake, start, end, look=look is not None)
    if robust:
        looks.refuse(resolved, "a robustness panel")
    for one in resolved if robust else []:
        neighbours.check_no_placebo(one.experiment)
    places = _places(lake, runs, warehouse_file, force=force)
    run_folder.check_runs_dir(places.runs)
    warehouse.check_warehouse(places.warehouse)
    found = lake_records.look_over(places.runs, places.lake, lake_fingerprint)
    if look is not None:
        _record_looks(resolved, places.runs, look)
    ledger = looks.read(places.runs)
    waiting = [
        one
        for one in resolved
        # a look that nobody recorded is never shown: as a run it fails
        if force or not (places.runs / one.run_id).is_dir() or ledger.lacks(one)
    ]
    for one in resolved:
        if one not in waiting:
            out.print(
                f"{one.run_id} is there already: same question, data and code. "
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
    shown = [places.runs / one.run_id for one in resolved if one.run_id not in lost]
    if not 0 < len(shown) <= MOST_REPORTS:  # else they stand at the top of each report
        out.print(Group(*lake_report.lake_findings(found)))
    if len(shown) <= MOST_REPORTS:
        for folder in shown:
            out.print(run_report.run_report(folder))
    else:
        for folder in shown:
            out.print(f"{folder.name}: {sweep_report.headline(folder)}", soft_wrap=True)
        out.print("`msm show RUN_ID` shows one of them whole, `msm list` all runs.")
    errors = [outcome.error or "the run failed" for outcome in failed]
    if robust and shown:
        panels = [robustness_panel.compute(x.name, places, out, force=force) for x in shown]
        warehouse.publish(places.runs, places.warehouse)
        for panel in panels:
            out.print(robustness_report.panel(panel))
        errors += [str(x) for x in map(robustness_panel.failure, panels) if x is not None]
    # reports tell of the ledger of looks themselves
    _tell_alarms(places.runs, places.warehouse, with_looks=not 0 < len(shown) <= MOST_REPORTS)
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
) -> None:
    """Render experiments to the variables of a `dbt build` by hand.

    Example: dbt build --vars "$(msm vars experiments/msm/msm_v1_baseline.yaml)"
    """
    from msm_py.experiment.load import variables
    from msm_py.runner.sweep_plan import Family

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


def _rendered(
    files: list[Path], lake: Path, start: str | None, end: str | None, *, look: bool = False
) -> tuple[list[ResolvedRun], str]:
    """Return the runs of experiments here, and the fingerprint of the lake."""
    found = load.load_experiments(files, start=start, end=end)
    data, code = fingerprint(open_lake(lake)), code_fingerprint()
    if look:
        found = [looks.opened(x) for x in found]
    return [ResolvedRun.of(x, data, code) for x in found], data


def _record_looks(resolved: list[ResolvedRun], runs: Path, reason: str) -> None:
    """Record looks before they are taken, and say so; sweeps count them from now on."""
    from msm_py.runner import sweep_statistics

    new = {look.run_id for look in looks.record(runs, resolved, reason)}
    ledger = looks.read(runs)
    for one in resolved:
        own = ledger.of_run(one.run_id)
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
        sweep_statistics.count_looks(runs)


def _build(resolved: list[ResolvedRun], places: Places, *, verbose: bool) -> list[Outcome]:
    what = resolved[0].title if len(resolved) == 1 else f"{len(resolved)} experiments"
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


def _tell_failures(errors: list[str]) -> None:
    if not errors:
        return
    for error in errors[:-1]:
        _tell_in_red("error:", error)
    raise MsmError(errors[-1])
