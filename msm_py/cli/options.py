"""The options that commands share, and the two consoles that everything is printed to."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from msm_py import settings
from msm_py.errors import MsmError
from msm_py.report.terminal import Terminal, Text
from msm_py.settings import LAKE as LAKE
from msm_py.settings import RUNS as RUNS
from msm_py.settings import WAREHOUSE as WAREHOUSE
from msm_py.settings import Places

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(
    help="MSM, the Market State Monitor: does a market state carry an edge in long majors, short "
    "alts, and how sure may one be?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
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
Full = Annotated[
    bool, typer.Option("--full", help="Show all that is known, not the first screen only.")
]


class ExecutorName(StrEnum):
    """Where batches are computed."""

    LOCAL = "local"
    RAY = "ray"


InExecutor = Annotated[
    ExecutorName, typer.Option("--executor", help="Processes of this machine, or tasks of Ray.")
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="Cluster to join: host:port, ray://host:port, auto. None: a local one.",
    ),
]


WIDE = 1000
"""As wide as a line may get where no terminal cuts it."""


WithCache = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache", help="Take from the cache what an earlier run has computed, or not."
    ),
]


def print_lines(renderable: RenderableType) -> None:
    """Print a list, its lines whole where a file or a pipe takes them: that has no width."""
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = WIDE
    out.print(renderable, crop=False)


def one_form(*, as_csv: bool, as_json: bool) -> Literal["csv", "json"] | None:
    """Return in which form programs want a list; None: people want it.

    Raises
    ------
    MsmError
        When both are asked for.
    """
    if as_csv and as_json:
        raise MsmError(
            "one form is enough",
            where="--csv and --json",
            received="both",
            remedy="leave out one of them",
        )
    return "csv" if as_csv else "json" if as_json else None


def check_ray_address(ray_address: str | None, executor: ExecutorName) -> None:
    """See that a cluster that is given is used.

    Raises
    ------
    MsmError
        When it is not.
    """
    if ray_address is not None and executor is not ExecutorName.RAY:
        raise MsmError(
            "a Ray cluster is given, but not used",
            where="--ray-address",
            received=ray_address,
            remedy="add --executor ray, or leave the address out",
        )


def places_of(
    lake: Path, runs: Path, warehouse_file: Path, *, force: bool, with_cache: bool
) -> Places:
    """Return where a command reads and writes, none of it in the lake.

    Where the lake is a link, what it leads to now is read until the end, though the link moves on.
    """
    from msm_py.store.written_places import check_outside_lake, written_places

    check_outside_lake(lake, written_places(runs, warehouse_file))
    return Places(
        lake=lake.resolve(),
        runs=runs.absolute(),
        warehouse=warehouse_file.absolute(),
        force=force,
        cache=cache_of(lake, with_cache=with_cache),
    )


def cache_of(lake: Path, *, with_cache: bool) -> Path | None:
    """Return the cache that a command uses, which is not in the lake; None: none."""
    from msm_py.store.written_places import check_outside_lake

    folder = settings.cache_dir()
    if folder is None or not with_cache:
        return None
    settings.cache_bytes()  # better wrong now than after everything is computed
    check_outside_lake(lake, {"the cache (MSM_CACHE)": folder})
    return folder.absolute()


def tell_disturbance(warehouse_file: Path) -> None:
    """Say so when a warehouse is not as it was left."""
    from msm_py.store import warehouse

    sentence = warehouse.disturbance(warehouse_file)
    tell_all([] if sentence is None else [sentence])


def tell_alarms(runs: Path, warehouse_file: Path | None = None, *, with_looks: bool = True) -> None:
    """Say what is wrong with runs, records and warehouse."""
    from msm_py.store import warehouse

    tell_all(warehouse.alarms(runs, warehouse_file, with_looks=with_looks))


def tell_all(sentences: list[str]) -> None:
    """Say what is wrong, a sentence each."""
    for sentence in sentences:
        tell_in_red("!!", sentence)


def tell_in_red(label: str, text: str) -> None:
    """Say something on standard error, in a line."""
    err.print(Text.assemble((label, "bold red"), " ", text), soft_wrap=True)


def refresh(runs: Path, warehouse_file: Path) -> None:
    """Bring a warehouse up to date with what was copied, renamed or deleted by hand meanwhile."""
    from msm_py.store import scratch, warehouse
    from msm_py.store.written_places import check_outside_lake, written_places

    check_outside_lake(settings.lake_dir(), written_places(runs, warehouse_file))
    tell_disturbance(warehouse_file)
    scratch.remove_leftovers(settings.target_root())
    try:
        warehouse.publish(runs, warehouse_file)
    except MsmError as error:  # it may be someone else's, and is shown as it is
        tell_all([f"The catalog may be behind the runs folder: {error.what} ({error.received})."])
