"""``msm check``: what an experiment would meet, before it is run."""

from __future__ import annotations

from typing import Annotated

import typer

from msm_py.cli.options import (
    LAKE,
    RUNS,
    WAREHOUSE,
    End,
    Experiments,
    Lake,
    Start,
    WithCache,
    app,
    cache_of,
    out,
)
from msm_py.errors import MsmError, together
from msm_py.report.terminal import Text
from msm_py.settings import Places


@app.command()
def check(
    experiments: Experiments,
    lake: Lake = LAKE,
    start: Start = None,
    end: End = None,
    with_lake: Annotated[
        bool, typer.Option("--lake-too/--no-lake", help="Whether to look at the lake as well.")
    ] = True,
    whole: Annotated[
        bool, typer.Option("--all", help="Show every key, not only what differs from defaults.")
    ] = False,
    with_cache: WithCache = True,
) -> None:
    """Look experiments over, and what they would meet on a lake; run nothing, write nothing.

    Shows all mistakes of the files, settings that look mistaken, and on the lake: how many alts are
    eligible, whether features are there and scores reach the cuts, and what trading would cost. Of
    a sweep every variant is checked, the lake is looked at for the first one.

    Example: msm check experiments/msm/msm_v1_baseline.yaml --lake lake
    """
    from msm_py.experiment.plausibility import doubtful_settings
    from msm_py.report import check_report
    from msm_py.runner import experiment_check

    is_there = with_lake and (lake != LAKE or lake.exists())
    read = experiment_check.read(experiments, lake if is_there else None, start, end)
    places = Places(
        lake.resolve(),
        RUNS.absolute(),
        WAREHOUSE.absolute(),
        cache=cache_of(lake, with_cache=with_cache),
    )
    met = experiment_check.check(read.runs, places) if is_there and read.runs else []
    for place, run in enumerate(read.runs):
        own = met[place] if met else None
        doubts = doubtful_settings(run.experiment) if own is None else own.doubts
        out.print(check_report.check_report(run, own, doubts, whole_spec=whole))
        out.print(Text())
    notes = list(read.notes)
    if not is_there:
        notes.append("Only the files were checked: --lake DIR looks at a lake as well.")
    for note in notes:
        out.print(Text(note, style="dim"), soft_wrap=True)
    errors = [*read.errors, *(MsmError(found.error) for found in met if found.error is not None)]
    if errors:
        raise together(errors)
