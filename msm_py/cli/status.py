"""``msm status``: the state of the market, and what it has been worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msm_py.cli.options import (
    LAKE,
    RUNS,
    WAREHOUSE,
    Full,
    Lake,
    Runs,
    WithCache,
    app,
    cache_of,
    out,
)
from msm_py.errors import MsmError
from msm_py.report.terminal import write_exactly
from msm_py.settings import Places

if TYPE_CHECKING:
    from msm_py.experiment.schema import Experiment
    from msm_py.runner.status_work import Status

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
    page: Annotated[
        Path | None, typer.Option("--html", help="Write a page too, for a screen on the wall.")
    ] = None,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Send changes of state there, with apprise: the extra msm[notify]."
        ),
    ] = None,
    with_cache: WithCache = True,
) -> None:
    """Show the state of the market at the last close, how near a switch is, and what to trade.

    Nothing is written. Exit code 0: fresh; 3: a table is old or a feature is missing; 4: no
    decision is possible. The end of a window and a hold-out play no part: no return is told.

    Example: msm status experiments/msm/msm_v1_baseline.yaml --lake lake
    """
    from msm_py.report import status_report
    from msm_py.runner import status_work

    day = None if asof is None else _day(asof)
    sender = None if notify is None else _sender(notify)
    loaded, broken = _loaded(experiments or _shipped())
    places = Places(
        lake.resolve(),
        runs.absolute(),
        WAREHOUSE.absolute(),
        cache=cache_of(lake, with_cache=with_cache),
    )
    found = status_work.status(loaded, places, day)
    found = replace(found, experiments=(*found.experiments, *broken))
    today = day or datetime.now(UTC).date()
    said = status_report.alarms(found, today, max_age)
    if as_json:
        write_exactly(status_report.status_json(found, said))
    else:
        out.print(status_report.status_report(found, said, today, full=full))
    if page is not None:
        from msm_py.report.pages.status_page import write_status_page
        from msm_py.store.written_places import check_outside_lake

        check_outside_lake(lake, {"the page (--html)": page})
        write_status_page(page, found, [text for _, text in said])
    if sender is not None and (text := status_report.changes(found)):
        _send(sender, text)
    if code := status_report.exit_code(said):
        raise typer.Exit(code)


def _sender(url: str) -> Any:
    """Return what sends to an address; asked for at once, not on the day that the state changes."""
    try:
        import apprise
    except ImportError:
        raise MsmError(
            "nothing can be sent without apprise",
            where="--notify",
            remedy='pip install --editable ".[notify]"',
        ) from None
    sender = apprise.Apprise()
    # the address may hold a password: it is not repeated
    if not sender.add(url):
        raise MsmError(
            "apprise does not know this kind of address",
            where="--notify",
            remedy="see the list of its services, such as mailto://... or tgram://...",
        )
    return sender


def _send(sender: Any, text: str) -> None:
    """Send a text; the only thing here that touches a network."""
    if not sender.notify(title="Market state", body=text):
        raise MsmError(
            "the change of state could not be sent",
            where="--notify",
            remedy="see that the service can be reached; the state itself is shown above",
        )


def _loaded(files: list[Path]) -> tuple[list[Experiment], list[Status]]:
    """Return the experiments of some files, and one without a decision for each broken file.

    One file is a question of its own: its error is raised.
    """
    from msm_py.experiment.load import distinct, load_experiment
    from msm_py.runner.status_work import Status

    loaded: list[tuple[str, Experiment]] = []
    broken = []
    for file in files:
        try:
            found = (str(file), load_experiment(file))
            distinct([*loaded, found])
            loaded.append(found)
        except MsmError as error:
            if len(files) == 1:
                raise
            broken.append(Status(file.stem, file.stem, str(error)))
    return distinct(loaded), broken


def _shipped() -> list[Path]:
    """Return the experiments of the folder that are no sweeps; broken files are told of later."""
    files = [file for file in sorted(SHIPPED.glob("**/*.yaml")) if _may_be_experiment(file)]
    if not files:
        raise MsmError(
            "there is no experiment to look at",
            where=str(SHIPPED.absolute()),
            received="no YAML file with an experiment_id",
            remedy="name one: msm status EXPERIMENT.yaml",
        )
    return files


def _may_be_experiment(file: Path) -> bool:
    from msm_py.yaml_file import read_yaml

    try:
        raw = read_yaml(file)
    except MsmError:
        return True
    return isinstance(raw, dict) and "experiment_id" in raw and "sweep" not in raw


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise MsmError(
            "this is no day", where="--asof", received=text, remedy="write it as YYYY-MM-DD"
        ) from None
