"""``msm check-lookahead``, ``msm check-warmup``: what an experiment knows, and needs to know."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from msm_py.cli.options import LAKE, RUNS, WAREHOUSE, Experiments, Full, Lake, app, err, out
from msm_py.report.terminal import write_exactly
from msm_py.settings import Places


@app.command(name="check-lookahead")
def check_lookahead(
    experiments: Experiments,
    lake: Lake = LAKE,
    n_dates: Annotated[
        int, typer.Option("--dates", min=1, help="How many days the lake is cut at.")
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
