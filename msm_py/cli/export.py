"""``msm export``: runs for other systems."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from msm_py.cli.options import RUNS, WAREHOUSE, Runs, Warehouse, app, err, out
from msm_py.errors import MsmError
from msm_py.report.terminal import Text

export_app = typer.Typer(help="Runs for other systems.", no_args_is_help=True)
app.add_typer(export_app, name="export")


@export_app.command(name="mlflow")
def to_mlflow(
    run_ids: Annotated[
        list[str] | None, typer.Argument(metavar="RUN_ID", help="Runs, as `msm show` takes them.")
    ] = None,
    tracking_uri: Annotated[
        str,
        typer.Option(
            "--tracking-uri",
            envvar="MLFLOW_TRACKING_URI",
            help="The tracking server, or a folder.",
        ),
    ] = "http://127.0.0.1:5000",
    sweep: Annotated[str | None, typer.Option("--sweep", help="The runs of this sweep.")] = None,
    experiment: Annotated[
        str | None, typer.Option("--experiment", help="Newest runs of these experiments, as a*.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every run of the catalog.")] = False,
    name: Annotated[
        str, typer.Option("--mlflow-experiment", help="MLflow's experiment that they go to.")
    ] = "msm",
    files: Annotated[
        bool, typer.Option("--files/--no-files", help="Manifest, metrics and tear sheet too.")
    ] = True,
    runs: Runs = RUNS,
    warehouse_file: Warehouse = WAREHOUSE,
) -> None:
    """Write runs to MLflow: settings, numbers of the catalog, files; each run once.

    A run that is there is brought up to date: what it is worth changes with all that is tried. With
    the extra msm[mlflow]. This and nothing else here talks to the server.

    Example: msm export mlflow --sweep threshold_grid --tracking-uri http://127.0.0.1:5000
    """
    from msm_py.export import mlflow_runs
    from msm_py.report.figures import count_of
    from msm_py.report.runs_table import Choice, choose
    from msm_py.store import run_list

    asked = [bool(run_ids), sweep is not None, experiment is not None, every]
    if sum(asked) != 1:
        raise MsmError(
            "say which runs are exported",
            where="msm export mlflow",
            received="nothing" if not any(asked) else "more than one choice",
            remedy="give run ids, --sweep, --experiment or --all",
        )
    named = {run_list.find_run(runs, given).folder.name for given in run_ids or ()}
    choice = Choice(
        sweep=sweep, experiment=experiment, limit=None, with_older=bool(run_ids) or every
    )
    rows = [
        row for row in choose(warehouse_file, choice).rows if not run_ids or row["run_id"] in named
    ]
    if not rows or len(rows) < len(named):
        raise MsmError(
            "the catalog has no such run",
            where=str(warehouse_file),
            received=", ".join(sorted(named - {row["run_id"] for row in rows})) or "none",
            remedy="`msm list --all` shows what is there; `msm catalog rebuild` reads run folders",
        )
    counts: Counter[str] = Counter()
    for done in mlflow_runs.export(
        rows, runs, tracking_uri=tracking_uri, name=name, with_files=files
    ):
        counts[done.status] += 1
        if done.status == "failed":
            err.print(Text.assemble(("failed: ", "red"), f"{done.run_id}: {done.reason}"))
    out.print(
        Text(
            f"{count_of(counts.total(), 'run')} to {name} at {tracking_uri}: {counts['new']} new, "
            f"{counts['updated']} brought up to date, {counts['there']} there already, "
            f"{counts['failed']} failed."
        ),
        soft_wrap=True,
    )
    if counts["failed"]:
        raise typer.Exit(1)


@export_app.command(name="superset")
def to_superset(
    bundle: Annotated[Path, typer.Argument(help="The zip file to write.")] = Path(
        "msm_superset.zip"
    ),
    warehouse_file: Warehouse = WAREHOUSE,
) -> None:
    """Write a dashboard for Apache Superset: a bundle that its "Import dashboards" takes.

    It names the warehouse file, so give the path that Superset's machine knows it by. No server is
    spoken to.

    Example: msm export superset msm_superset.zip --warehouse warehouse/msm.duckdb
    """
    from msm_py.export import superset_bundle

    superset_bundle.write_bundle(bundle, warehouse_file)
    out.print(
        Text(
            f"{bundle}: a dashboard to import in Superset, which reads {warehouse_file.absolute()}"
        ),
        soft_wrap=True,
    )
