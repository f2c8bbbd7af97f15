"""``msm status``: the state of the market, and what it has been worth."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from msm_py.cli.options import LAKE, RUNS, WAREHOUSE, Full, Lake, Runs, app, out
from msm_py.errors import MsmError
from msm_py.report.terminal import write_exactly
from msm_py.settings import Places

SHIPPED = Path("experiments")


@app.command()
def status(
    experiments: Annotated[
        list[Path] | None,
        typer.Argument(help="Experiments; by default all below experiments/ that are no sweeps."),
    ] = None,
    lake: Lake = LAKE,
    runs: Runs = RUNS,
    asof: Annotated[
        str | None, typer.Option(help="The day, YYYY-MM-DD; by default the last one of the lake.")
    ] = None,
    max_age: Annotated[
        int, typer.Option(min=0, help="Days that a table may end before today, or before --asof.")
    ] = 2,
    full: Full = False,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON.")] = False,
) -> None:
    """Show the state of the market at the last close, how near a switch is, and what to trade.

    Nothing is written. Exit code 0: fresh; 3: a table is old or a feature is missing; 4: no
    decision is possible. The end of a window and a hold-out play no part: no return is told.

    Example: msm status experiments/msm/msm_v1_baseline.yaml --lake lake
    """
    from msm_py.experiment.load import load_experiments
    from msm_py.report import status_report
    from msm_py.runner import status_work

    day = None if asof is None else _day(asof)
    found = status_work.status(
        load_experiments(experiments or _shipped()),
        Places(lake.resolve(), runs.absolute(), WAREHOUSE.absolute()),
        day,
    )
    today = day or datetime.now(UTC).date()
    said = status_report.alarms(found, today, max_age)
    if as_json:
        write_exactly(status_report.status_json(found, said))
    else:
        out.print(status_report.status_report(found, said, today, full=full))
    if code := status_report.exit_code(said):
        raise typer.Exit(code)


def _shipped() -> list[Path]:
    """Return the experiments of the folder that are no sweeps."""
    from msm_py.yaml_file import read_yaml

    files = [
        file
        for file in sorted(SHIPPED.glob("**/*.yaml"))
        if isinstance(raw := read_yaml(file), dict)
        and "experiment_id" in raw
        and "sweep" not in raw
    ]
    if not files:
        raise MsmError(
            "there is no experiment to look at",
            where=str(SHIPPED.absolute()),
            received="no YAML file with an experiment_id",
            remedy="name one: msm status EXPERIMENT.yaml",
        )
    return files


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise MsmError(
            "this is no day", where="--asof", received=text, remedy="write it as YYYY-MM-DD"
        ) from None
