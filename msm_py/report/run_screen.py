"""The first screen of a run, 24 lines of 80 columns: what matters, and where the rest is."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType

from msm_py.report.figures import (
    count_of,
    edge_digits,
    figure,
    short_state,
    starred_p,
    trade_bounds,
    trade_edge_text,
)
from msm_py.report.lake_report import lake_findings
from msm_py.report.layout import number_columns, prose
from msm_py.report.metrics import METRICS
from msm_py.report.run_report import (
    doubts_of,
    look_samples,
    placebo_note,
    seen_looks,
    tell_doubts,
    why_missing,
)
from msm_py.report.terminal import Table, Text
from msm_py.report.verdict import edge_verdict
from msm_py.settings import runs_dir, warehouse_path
from msm_py.store import lake_records
from msm_py.store.edge_rows import SUMMARY_EDGES
from msm_py.store.run import Run, checks_of
from msm_py.store.warehouse import family_of

HORIZON: Final = 5
"""Days: the horizon whose table is shown is the nearest one."""
MOST_WARNINGS: Final = 2
SERIES: Final = {
    "strategy, net": "net",
    "ungated, net": "ungated_net",
    "BTC, held": "btc",
}
SHOWN: Final = {
    "CAGR": "cagr",
    "Sharpe": "sharpe",
    "95% CI": "sharpe_ci",
    "drawdown": "max_drawdown",
    "hit rate": "hit_rate",
    "costs a year": "cost_drag",
}
METRIC: Final = {metric.key: metric for metric in METRICS}


def run_screen(folder: Path, *, warehouse: Path | None = None) -> RenderableType:
    """Return the first screen of a run.

    Parameters
    ----------
    folder
        The run's folder.
    warehouse
        The warehouse file, which knows the run's family; by default the one in use.

    Returns
    -------
    RenderableType
        Title, verdict, edges at the horizon nearest 5 days, the strategy beside its controls,
        first sentences of warnings, and the command that shows the rest.

    Raises
    ------
    MsmError
        The folder is missing or is not a complete run.
    """
    run = Run.read(folder)
    family = family_of(folder.parent, warehouse or warehouse_path(), run.run_id)
    window = run.metrics["window"]
    found = lake_records.kept(folder.parent, run.manifest["lake"]["fingerprint"])
    return Group(
        *(lake_findings(found) if found.failures else ()),
        *tell_doubts(run),
        *placebo_note(run),
        Text(run.metrics["title"], style="bold"),
        Text(
            f"{run.run_id}, {window['first_date']} to {window['last_date']}, "
            f"{count_of(window['n_test_days'], 'test day')}",
            style="dim",
        ),
        *seen_looks(run),
        prose(edge_verdict(run, family)),
        Text(),
        *_edges(run),
        _strategy(run),
        *why_missing(run),
        *look_samples(run),
        *_warnings(run),
        *(() if found.failures else lake_findings(found)),
        *_where(run),
    )


def _edges(run: Run) -> Iterator[RenderableType]:
    """Yield states and spread at the horizon nearest `HORIZON`."""
    if not run.horizons:
        return
    horizon = min(run.horizons, key=lambda days: (abs(days - HORIZON), days))
    edges = [row for row in run.edges if row["horizon_days"] == horizon]
    states = {row["regime"]: row for row in run.statistics if row["horizon_days"] == horizon}
    digits = edge_digits(edges, ())
    table = _lines(f"{count_of(horizon, 'day')} after", "n/spells", "trade edge", "95% low", "high")
    for name in ("p_edge", "evidence"):
        table.add_column(name, no_wrap=True)
    for edge in edges:
        state = states.get(edge["edge"])
        if edge["edge"] in SUMMARY_EDGES[:2] or (state is not None and not state["n"]):
            continue
        table.add_row(
            Text(short_state(edge["edge"])),
            f"{'' if state is None else state['n']}/{edge['n_spells']}",
            trade_edge_text(edge, digits),
            *trade_bounds(edge, digits),
            starred_p(edge),
            edge["evidence"],
        )
    yield table
    yield Text("Trade edge in percent: plus is good for long majors, short alts.", style="dim")


def _strategy(run: Run) -> RenderableType:
    table = _lines("on test days", *SHOWN)
    tests = run.metrics.get("sharpe_tests") or {}
    low, high = (tests.get(f"net_sharpe_ci_{end}") for end in ("low", "high"))
    for label, name in SERIES.items():
        values = run.series(name)
        shown = {key: METRIC[key].show(values[key]) for key in SHOWN.values() if key in values}
        if name == "net" and low is not None:
            shown["sharpe_ci"] = f"{figure(low, 2)} to {figure(high, 2)}"
        table.add_row(label, *(shown.get(key, "") for key in SHOWN.values()))
    return table


def _lines(first: str, *numbers: str) -> Table:
    """Return an empty table without rules: lines are few on the first screen."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, no_wrap=True)
    number_columns(table, *numbers)
    return table


def _warnings(run: Run) -> Iterator[RenderableType]:
    """Yield what checks of the data warn of, a line each, and the first of other warnings."""
    checks = {
        x["text"]: x["brief"]
        for x in checks_of(run.folder)
        if x["severity"] == "warn" and x["text"]
    }
    for brief in checks.values():
        yield Text.assemble(("! ", "yellow"), brief, no_wrap=True, overflow="ellipsis")
    said = {*checks, *doubts_of(run)}
    warnings = [x for x in run.metrics["warnings"] if x not in said]
    for warning in warnings[:MOST_WARNINGS]:
        sentence = warning.split(". ")[0].rstrip(".")
        yield Text.assemble(("! ", "yellow"), sentence)
    if len(warnings) > MOST_WARNINGS:
        yield Text(f"! and {count_of(len(warnings) - MOST_WARNINGS, 'warning')} more")


def _where(run: Run) -> Iterator[RenderableType]:
    here = run.folder.parent
    runs = "" if here.resolve() == runs_dir().resolve() else f" --runs {shlex.quote(str(here))}"
    yield Text(f"msm show {run.run_id} --full{runs}", style="cyan", overflow="fold")
