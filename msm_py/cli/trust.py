"""``msm check-lookahead``, ``msm check-warmup``, ``msm verify``: what may be relied on."""

from __future__ import annotations

import time
from itertools import chain
from typing import Annotated

import typer

from msm_py.cli.options import (
    LAKE,
    RUNS,
    WAREHOUSE,
    Experiments,
    Full,
    Lake,
    Runs,
    app,
    err,
    out,
)
from msm_py.errors import MsmError
from msm_py.report.terminal import write_exactly
from msm_py.settings import Places


@app.command(name="check-lookahead")
def check_lookahead(
    experiments: Experiments,
    lake: Lake = LAKE,
    n_dates: Annotated[
        int,
        typer.Option("--dates", min=1, max=10_000, help="How many days the lake is cut at."),
    ] = 12,
    full: Full = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Every table and column as JSON.")
    ] = False,
) -> None:
    """Show whether anything that experiments compute for a day depends on a later one.

    Builds them on the whole lake, on the lake cut at sampled days, and on the lake with other
    numbers after these days; compares every column of every dated table up to them, to the last
    bit. Exit code 0: nothing differs; 1: something does. Nothing is written.

    Example: msm check-lookahead experiments/msm/msm_v1_baseline.yaml --lake lake --dates 4
    """
    from msm_py.experiment.load import load_experiments
    from msm_py.report import lookahead_report
    from msm_py.report.formats import json_text
    from msm_py.runner import lookahead

    started = time.monotonic()

    def tell(done: lookahead.Compared) -> None:
        seconds = time.monotonic() - started
        err.print(lookahead_report.progress_line(done, seconds), soft_wrap=True)

    places = Places(lake.resolve(), RUNS.absolute(), WAREHOUSE.absolute())
    found = lookahead.check_lookahead(load_experiments(experiments), places, n_dates, tell)
    if as_json:
        write_exactly(json_text(lookahead_report.as_rows(found)))
    else:
        out.print(lookahead_report.report(found, full=full))
    if any(compared.partings for compared in found):
        raise typer.Exit(1)


@app.command()
def verify(
    run_ids: Annotated[
        list[str] | None, typer.Argument(metavar="RUN_ID", help="Runs, as `msm show` takes them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every run of the runs folder.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Compare files with their hashes; compute nothing.")
    ] = False,
    lake: Lake = LAKE,
    runs: Runs = RUNS,
) -> None:
    """Show whether runs are what they say: files untouched, and the same bytes when made again.

    Each is made again from its manifest, in scratch. Where the lake, the code or a version is not
    the run's, that is said, and what it changed. Exit code 0: all are sound; 1: some are not.
    Nothing is written.

    Example: msm verify msm_v1_baseline --lake lake; msm verify --all --quick
    """
    from msm_py.report import verify_report
    from msm_py.runner import verification
    from msm_py.store import run_list

    if bool(run_ids) == every:
        raise MsmError(
            "say which runs are verified",
            where="msm verify",
            received="both run ids and --all" if every else "nothing",
            remedy="give run ids, or --all",
        )
    names = [run_list.find_run(runs, x).folder.name for x in run_ids or ()]
    folders = [runs.absolute() / x for x in names or run_list.existing_runs(runs)]
    broken, others = verification.other_entries(runs) if every else ([], {})
    if not folders and not broken:
        raise MsmError(
            "there is no run to verify",
            where=str(runs.absolute()),
            received=f"{len(others)} entries that are no runs" if others else "nothing",
            remedy="give the folder that holds the runs with --runs DIR (or MSM_RUNS)",
        )
    found = (
        map(verification.verify_files, folders)
        if quick
        else verification.verify(
            folders, Places(lake.resolve(), runs.absolute(), WAREHOUSE.absolute())
        )
    )
    verdicts = []
    for verdict in chain(broken, found):
        verdicts.append(verdict)
        out.print(verify_report.verdict(verdict), soft_wrap=True)
    out.print(verify_report.summary(verdicts, others), soft_wrap=True)
    if not all(verdict.is_sound for verdict in verdicts):
        raise typer.Exit(1)


@app.command(name="check-warmup")
def check_warmup(experiment: Experiments, lake: Lake = LAKE) -> None:
    """Show how much history before the window an experiment needs until nothing changes any more.

    Builds it on lakes that begin 30, 60, 90 ... days before its first decision day and compares
    z-scores, scores, states, baskets and net returns with those on the whole lake. Nothing is
    written.

    Example: msm check-warmup experiments/msm/msm_v1_baseline.yaml --lake lake
    """
    from msm_py.experiment.load import load_experiments
    from msm_py.report import warmup_report
    from msm_py.runner import warmup

    started = time.monotonic()

    def tell(done: warmup.WithHistory) -> None:
        err.print(warmup_report.progress_line(done, time.monotonic() - started), soft_wrap=True)

    places = Places(lake.resolve(), RUNS.absolute(), WAREHOUSE.absolute())
    for one in load_experiments(experiment):
        out.print(warmup_report.report(warmup.check_warmup(one, places, tell)))
