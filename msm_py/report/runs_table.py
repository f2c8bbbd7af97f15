"""The list of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb
from rich.console import Group, RenderableType

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.report.figures import MISSING, STARRED, count_of, figure, starred_p, trade_edge_text
from msm_py.report.layout import Fitted, new_table, number_columns, prose
from msm_py.report.terminal import Text
from msm_py.store import standard_spread
from msm_py.text import relative_path


def runs_table(warehouse: Path, *, limit: int | None = None) -> RenderableType:
    """Return the runs of a warehouse, newest first.

    Parameters
    ----------
    warehouse
        The warehouse file; it is only read.
    limit
        How many runs to show at most; all by default.

    Raises
    ------
    MsmError
        There is no warehouse at this path, or it cannot be read.
    """
    rows = _leaderboard(warehouse)
    if not rows:
        return Text(f"No runs yet in {relative_path(warehouse)}. {FIRST_RUN}")
    shown = rows if limit is None else rows[:limit]
    counted = count_of(len(rows), "run")
    if len(shown) < len(rows):
        counted = f"the newest {len(shown)} of {counted}"
    return Group(
        Fitted(lambda width: _list_table(shown, width)),
        Text(),
        prose(
            f"{counted} in {relative_path(warehouse)}. Net of costs, on test days. Deflated: the "
            "probability that the true Sharpe ratio is above what the best of so many questions, "
            "tried on the same days, reaches by luck; 0.95 is the usual bar. Spread: the trade "
            "edge between the most MAJORS and the most ALTS state that were seen often enough, "
            f"over the horizon in brackets; plus is good for the trade. {STARRED}.",
            "dim",
        ),
    )


FIRST_RUN: Final = "Make one with `make run`, or with `msm run EXPERIMENT --lake DIR`."
LEADERBOARD: Final = f"""
    select
        run_id, title, first_date, last_date, net_sharpe, net_cagr, net_max_drawdown, n_warnings,
        edges.horizon_days, edges.trade_edge, edges.ci_low, edges.ci_high, edges.p_edge,
        edges.evidence, is_placebo, is_look, n_family, deflated_sharpe
    from catalog
    left join ({standard_spread.SQL}) as edges using (run_id)
    order by catalog.created_at desc, run_id
"""


def _leaderboard(warehouse: Path) -> list[Row]:
    if not warehouse.is_file():
        raise MsmError(
            "there is no warehouse yet" if not warehouse.exists() else "the warehouse is a folder",
            where=relative_path(warehouse),
            remedy=f"{FIRST_RUN} Or name another warehouse with --warehouse FILE.",
        )
    try:
        with duckdb.connect(warehouse, read_only=True) as con:
            found = con.execute(LEADERBOARD)
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error as error:
        raise MsmError(
            "the warehouse cannot be read",
            where=relative_path(warehouse),
            received=str(error).splitlines()[0],
            remedy="`dbt build` without experiments rebuilds it from the run folders",
        ) from None


def _list_table(rows: Sequence[Row], width: int) -> RenderableType:
    wide = width >= 116
    table = new_table(roomy=wide)
    table.add_column("run", overflow="fold")
    number_columns(table, *(("window",) if wide else ()))
    number_columns(table, "Sharpe", *(("CAGR", "max DD") if wide else ("CAGR\nmax DD",)))
    number_columns(table, *(("deflated\none of",) if wide else ()), "spread\n(days)")
    table.add_column("p_edge\nevidence", no_wrap=True)
    number_columns(table, "warn")
    for row in rows:
        window = (str(row["first_date"]), str(row["last_date"]))
        name = Text.assemble((row["run_id"], "cyan"), "\n", row["title"])
        if row["is_look"]:
            name.append("\nlooked at its hold-out", style="yellow")
        if row["is_placebo"]:
            name.append("\nPLACEBO: knows the future", style="bold red")
        deflated, n_family = figure(row["deflated_sharpe"], 2), figure(row["n_family"], 0)
        if not wide:
            name.append(f"\n{window[0]} to {window[1]}", style="dim")
            name.append(f"\none of {n_family}, deflated {deflated}", style="dim")
        performance = [figure(row[key], 1, "%") for key in ("net_cagr", "net_max_drawdown")]
        spread = Text(MISSING)
        if row["trade_edge"] is not None:
            spread = trade_edge_text(row, 2, "%").append(f"\n({row['horizon_days']})", style="dim")
        table.add_row(
            name,
            *(("\n".join(window),) if wide else ()),
            figure(row["net_sharpe"], 2),
            *(performance if wide else ("\n".join(performance),)),
            *((f"{deflated}\n{n_family}",) if wide else ()),
            spread,
            starred_p(row).append(f"\n{row['evidence'] or ''}", style="default"),
            str(row["n_warnings"]),
        )
        table.add_section()
    return table
