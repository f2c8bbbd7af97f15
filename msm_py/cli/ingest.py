"""``msm lake ingest`` and ``msm lake vendors``: a lake from vendors' files."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from msm_py.cli.lake import lake_app
from msm_py.cli.options import out
from msm_py.errors import MsmError
from msm_py.report.terminal import Text, write_exactly


@lake_app.command(name="ingest")
def lake_ingest(
    spec: Annotated[Path, typer.Argument(help="The spec: sources, ids, priorities.")],
    store: Annotated[
        Path, typer.Option("--store", help="The store's folder; STORE/lake is the lake.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything, say what would come of it.")
    ] = False,
    as_of: Annotated[
        str | None,
        typer.Option(help="Make the lake of what was known at the end of this day; publish none."),
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="How many lakes of the store stay.")] = 5,
) -> None:
    """Read vendors' files that are new, keep what they say, and publish a lake made of it.

    Safe to interrupt and to run again: a file that was read is not read twice, and nothing that a
    vendor once said is lost. A lake that its check fails is not published.

    Example: msm lake ingest vendors.yaml --store market
    """
    from msm_py.ingest import work
    from msm_py.report.ingest_report import IngestDisplay, ingest_report

    day = None if as_of is None else _day(as_of)
    with IngestDisplay(out) as display:
        outcome = work.ingest(spec, store, display.tell, dry_run=dry_run, as_of=day, keep=keep)
    out.print(ingest_report(outcome, store, dry_run=dry_run))
    if outcome.fault is not None:
        raise outcome.fault
    if outcome.report is not None and outcome.report.exit_code and as_of is None:
        raise MsmError(
            "the check of the new lake fails: it is not published",
            where=str(outcome.generation.folder if outcome.generation else store),
            remedy="mend what fails (the spec, ids, files) and ingest again; the lake before stays",
        )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise MsmError(
            "this is no day", where="--as-of", received=text, remedy="write it as YYYY-MM-DD"
        ) from None


@lake_app.command(name="vendors")
def lake_vendors(
    show: Annotated[
        str | None, typer.Option("--show", help="Print a mapping as YAML to copy into a spec.")
    ] = None,
) -> None:
    """List the built-in mappings of vendors' files, or show one.

    Example: msm lake vendors --show binance_vision.fundingRate
    """
    import yaml

    from msm_py.ingest.spec import built_in, built_in_mapping

    if show is not None:
        built_in_mapping(show, "--show")
        write_exactly(built_in()[show].rstrip("\n"))
        return
    for name, text in built_in().items():
        line = Text(f"{name}  ", style="cyan")
        out.print(line.append(yaml.safe_load(text)["description"], style="default"), soft_wrap=True)
