"""``msm lake``: a sample lake, the check of one, and what comes over the network for one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from msm_py.cli.options import err, out, tell_all, tell_in_red
from msm_py.report.terminal import write_exactly
from msm_py.settings import lake_dir

lake_app = typer.Typer(
    help="Write a sample lake, check your own, fetch what lakes are made of.", no_args_is_help=True
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
    from msm_py.lake.sample import write_sample_lake
    from msm_py.store.written_places import check_outside_lake

    check_outside_lake(lake_dir(), {"the sample lake": directory.absolute().parent})
    started = time.monotonic()
    write_sample_lake(directory, seed=seed, planted_edge=planted_edge)
    out.print(
        f"Sample lake written to {directory} in {time.monotonic() - started:.1f} s.", soft_wrap=True
    )


@lake_app.command(name="check")
def lake_check(
    directory: Annotated[Path, typer.Argument(help="The lake: a folder of Parquet.")],
    every: Annotated[bool, typer.Option("--all", help="Show what is well, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every outcome as JSON.")] = False,
) -> None:
    """Look a lake over: rows, dates, gaps, duplicates, values, units, and what runs would have.

    Shows what is wrong, with what to do. Exit code 1 when an item fails.

    Example: msm lake check lake
    """
    from msm_py.lake.check import check_lake
    from msm_py.lake.opening import open_lake
    from msm_py.report.formats import json_text
    from msm_py.report.lake_report import as_rows, lake_report
    from msm_py.store import scratch
    from msm_py.store.written_places import check_outside_lake, scratch_places

    opened = open_lake(directory)
    check_outside_lake(directory, scratch_places())
    with scratch.own_folder() as own:
        report = check_lake(opened, own)
    if as_json:
        write_exactly(json_text(as_rows(report)))
    else:
        out.print(lake_report(report, every=every))
    if report.exit_code:
        raise typer.Exit(report.exit_code)


@lake_app.command(name="pull")
def lake_pull(
    spec: Annotated[Path, typer.Argument(help="A YAML file that says what to pull.")],
    raw: Annotated[Path, typer.Option("--raw", help="Folder of the raw files.")],
) -> None:
    """Fetch vendors' answers as files, as they come; what is there and final is not asked again.

    Needs the extra msm[pull]. Exit code 1 when anything is missing. Example: msm lake pull
    pull.yaml --raw raw
    """
    from msm_py.pull.spec import read_spec
    from msm_py.pull.work import pull
    from msm_py.report import pull_report
    from msm_py.store.written_places import check_outside_lake

    check_outside_lake(lake_dir(), {"the folder of raw files (--raw)": raw})
    wanted = read_spec(spec)
    with pull_report.PullDisplay(err) as display:
        pulled = pull(wanted, raw, display.tell)
    out.print(pull_report.pull_table(pulled))
    for line in pull_report.absent_lines(pulled):
        out.print(line, soft_wrap=True)
    missing = pull_report.missing_lines(pulled)
    tell_all(missing)
    if missing:
        tell_in_red("error:", "not everything could be pulled; the same command asks for the rest")
        raise typer.Exit(1)


@lake_app.command(name="fetch")
def lake_fetch(
    url: Annotated[str, typer.Argument(help="Where the lake is: s3://bucket/path, or a folder.")],
    directory: Annotated[Path, typer.Argument(help="Folder of lakes that were fetched.")],
) -> None:
    """Copy a lake from object storage; DIRECTORY/lake then leads to it, in one step.

    Needs the extra msm[s3]. Example: msm lake fetch s3://bucket/lake lakes
    """
    from msm_py.pull.lake_copy import LAKE, fetch_lake
    from msm_py.report import pull_report
    from msm_py.store.written_places import check_outside_lake

    check_outside_lake(lake_dir(), {"the folder of lakes": directory})
    with pull_report.FetchDisplay(err) as display:
        fetched = fetch_lake(url, directory, display.tell)
    for line in pull_report.fetched_lines(fetched, directory / LAKE):
        out.print(line, soft_wrap=True)
