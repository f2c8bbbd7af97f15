"""The list of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
from rich.console import Group, RenderableType

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.report.figures import MISSING, STARRED, count_of, figure, starred_p, trade_edge_text
from msm_py.report.layout import prose
from msm_py.report.line_list import LineColumn, line_list
from msm_py.report.terminal import Text
from msm_py.report.varying import spec_of, varying
from msm_py.settings import runs_dir
from msm_py.store import standard_spread
from msm_py.text import did_you_mean, listed, relative_path

NEWEST_FIRST: Final = "created_at"
SHOWN: Final = 20
FIRST_RUN: Final = "Make one with `make run`, or with `msm run EXPERIMENT --lake DIR`."
ID_DIGITS: Final = 6  # of the ten at the end of a run id
_SPREAD: Final = ("horizon_days", "trade_edge", "p_edge", "p_value", "p_shift", "evidence")


@dataclass(frozen=True)
class Choice:
    """Which runs are listed, and in which order.

    Parameters
    ----------
    sweep
        Only runs of this sweep: its id, or the beginning of it.
    experiment
        Only runs of experiments whose id is this; ``*`` stands for anything.
    sort
        A column of the catalog or of the spread (``spread_p_edge``), the largest first; with a
        ``+`` before it the smallest first.
    limit
        How many at most; None: all.
    with_older
        Whether runs that newer ones have replaced and placebos are listed too.
    """

    sweep: str | None = None
    experiment: str | None = None
    sort: str = NEWEST_FIRST
    limit: int | None = SHOWN
    with_older: bool = False


@dataclass(frozen=True)
class Chosen:
    """The runs that a choice comes to.

    Parameters
    ----------
    rows
        All columns of the catalog, and those of the spread that lists show, named ``spread_...``.
    n_matching
        Runs that match; more than there are rows where those are limited.
    n_older
        Runs that are left out because newer ones have replaced them.
    """

    rows: Sequence[Row]
    n_matching: int
    n_older: int


def choose(warehouse: Path, choice: Choice) -> Chosen:
    """Return the runs of a warehouse that are asked for.

    Raises
    ------
    MsmError
        There is no warehouse at this path, or it cannot be read; there is no such column or sweep.
    """
    if not warehouse.is_file():
        raise MsmError(
            "there is no warehouse yet" if not warehouse.exists() else "the warehouse is a folder",
            where=relative_path(warehouse),
            remedy="`msm catalog rebuild` makes it of the run folders there are. "
            f"{FIRST_RUN} Or name another warehouse with --warehouse FILE.",
        )
    try:
        with duckdb.connect(warehouse, read_only=True) as con:
            return _choose(con, choice)
    except duckdb.Error as error:
        raise MsmError(
            "the warehouse cannot be read",
            where=relative_path(warehouse),
            received=str(error).splitlines()[0],
            remedy="`dbt build` without experiments rebuilds it from the run folders",
        ) from None


def _choose(con: duckdb.DuckDBPyConnection, choice: Choice) -> Chosen:
    spread = ", ".join(f"spread.{name} as spread_{name}" for name in _SPREAD)
    every = f"""
        select
            catalog.*, {spread},
            -spread.ci_high as spread_trade_ci_low, -spread.ci_low as spread_trade_ci_high
        from catalog
        left join ({standard_spread.SQL}) as spread on catalog.run_id = spread.run_id
    """
    names = [column[0] for column in con.execute(f"{every} limit 0").description]
    conditions, values = ["true"], list[object]()
    if choice.sweep is not None:
        conditions.append("run_id in (select run_id from sweep_trials where sweep_id = ?)")
        values.append(_sweep(con, choice.sweep))
    if choice.experiment is not None:
        conditions.append("experiment_id glob ?")
        values.append(choice.experiment)
    matching = " and ".join(conditions)
    current = "true"
    if not choice.with_older:
        # a sweep is shown as it was, though some of its variants were computed again since
        current = "is_placebo is not true" + ("" if choice.sweep else " and is_latest is not false")
    n_matching, n_all = con.execute(
        f"""
        select count(*) filter ({current}), count(*) filter (is_placebo is not true)
        from catalog where {matching}
        """,
        values,
    ).fetchall()[0]
    rows = con.execute(
        f"""
        select * from ({every}) where {matching} and {current}
        order by {_order(choice.sort, names)}, created_at desc nulls last, run_id
        limit {n_matching if choice.limit is None else choice.limit}
        """,
        values,
    ).fetchall()
    return Chosen(
        [dict(zip(names, row, strict=True)) for row in rows],
        n_matching,
        0 if choice.with_older else n_all - n_matching,
    )


def _order(sort: str, names: Sequence[str]) -> str:
    name = sort.removeprefix("+")
    if name not in names:
        close = did_you_mean(name, names)
        raise MsmError(
            "there is no such column to sort by",
            where="--sort",
            received=sort,
            remedy=f"did you mean {close}?"
            if close
            else "give a column of the catalog, such as created_at, net_sharpe, deflated_sharpe or "
            "spread_p_edge; docs/bi.md lists them",
        )
    return f'"{name}" {"asc" if sort.startswith("+") else "desc"} nulls last'


def _sweep(con: duckdb.DuckDBPyConnection, given: str) -> str:
    known = [row[0] for row in con.execute("select sweep_id from sweeps order by 1").fetchall()]
    found = [name for name in known if name == given] or [
        name for name in known if name.startswith(given)
    ]
    if len(found) != 1:
        raise MsmError(
            "several sweeps begin with this id" if found else "there is no such sweep",
            where="--sweep",
            received=given,
            remedy=f"give one of {listed(found or known[-5:])}"
            if known
            else "run `msm sweep FILE` first",
        )
    return str(found[0])


def runs_table(
    chosen: Chosen, choice: Choice, warehouse: Path, runs: Path | None = None
) -> RenderableType:
    """Return the list of runs, a line each, and how to see the others.

    Parameters
    ----------
    chosen, choice
        The runs, and how they were chosen.
    warehouse
        The warehouse file.
    runs
        The runs folder, to tell what differs between runs of a sweep; by default the one in use.
    """
    rows = chosen.rows
    if not rows:
        asked = choice.sweep or choice.experiment
        return Text(
            f"No run of {asked} in {relative_path(warehouse)}."
            if asked
            else f"No runs yet in {relative_path(warehouse)}. {FIRST_RUN}"
        )
    horizons = {row["spread_horizon_days"] for row in rows} - {None}
    over = f"over {count_of(horizons.pop(), 'day')}" if len(horizons) == 1 else "over `days`"
    return Group(
        line_list(_columns(rows, _told_apart(rows, choice, runs or runs_dir()))),
        Text(),
        prose(
            f"{_counted(chosen, choice)} in {relative_path(warehouse)}. Net of costs, on test "
            "days. Deflated: the probability that the true Sharpe ratio is above what the best of "
            "so many questions, tried on the same days, reaches by luck; 0.95 is the usual bar. "
            "Spread: the trade edge between the most MAJORS and the most ALTS state that were seen "
            f"often enough, {over}; plus is good for the trade. {STARRED}.",
            "dim",
        ),
    )


def _counted(chosen: Chosen, choice: Choice) -> str:
    n_shown = len(chosen.rows)
    order = "newest first" if choice.sort == NEWEST_FIRST else f"by {choice.sort}"
    said = count_of(chosen.n_matching, "run") + f", {order}"
    if n_shown < chosen.n_matching:
        said = f"{n_shown} of {said} (--top N shows more)"
    if chosen.n_older:
        said += f"; {chosen.n_older} more that newer runs have replaced (--all shows them)"
    return said


def short_ids(run_ids: Sequence[str]) -> list[str]:
    """Return what tells runs apart: the beginning of the digits at the end of their ids.

    Examples
    --------
    >>> short_ids(["a-0123456789", "b-0123456700"])
    ['012345678', '012345670']
    """
    digits = [run_id.rpartition("-")[2] for run_id in run_ids]
    for n in range(ID_DIGITS, 10):
        if len({one[:n] for one in digits}) == len(set(digits)):
            return [one[:n] for one in digits]
    return digits


def _told_apart(rows: Sequence[Row], choice: Choice, runs: Path) -> list[LineColumn]:
    """Return what tells runs apart: of one sweep the keys that differ, else titles."""
    titles = [row["title"] or MISSING for row in rows]
    if choice.sweep is None:
        return [LineColumn("title", titles, "left", least=20)]
    return varying([spec_of(runs / row["run_id"]) for row in rows], titles)


def _columns(rows: Sequence[Row], told_apart: Sequence[LineColumn]) -> list[LineColumn]:
    def each(name: str, digits: int, unit: str = "") -> list[str]:
        return [figure(row[name], digits, unit) for row in rows]

    is_title = [column.head for column in told_apart] == ["title"]
    edges = [
        {name: row[f"spread_{name}"] for name in _SPREAD}
        | {f"ci_{end}": row[f"spread_trade_ci_{end}"] for end in ("low", "high")}
        for row in rows
    ]
    spread = [
        Text(MISSING) if edge["trade_edge"] is None else trade_edge_text(edge, 2, "%")
        for edge in edges
    ]
    experiment = LineColumn(
        "experiment",
        [Text(str(row["experiment_id"]), style="cyan") for row in rows],
        "left",
        least=12,
        is_needed=is_title,
    )
    return [
        *([experiment] if is_title else []),
        LineColumn("id", short_ids([row["run_id"] for row in rows]), "left", is_needed=True),
        LineColumn("Sharpe", each("net_sharpe", 2), is_needed=True),
        LineColumn("deflated", each("deflated_sharpe", 2), is_needed=True),
        LineColumn("spread", spread, is_needed=True),
        LineColumn("p_edge", [starred_p(edge) for edge in edges], is_needed=True),
        *([] if is_title else [*told_apart, experiment]),
        LineColumn("", [_mark(row) for row in rows], "left"),
        LineColumn("evidence", [edge["evidence"] or MISSING for edge in edges], "left"),
        LineColumn("warnings", each("n_warnings", 0)),
        LineColumn("days", each("spread_horizon_days", 0)),
        LineColumn("made", [_day(row["created_at"]) for row in rows], "left"),
        LineColumn("CAGR", each("net_cagr", 1, "%")),
        LineColumn("max_DD", each("net_max_drawdown", 1, "%")),
        *(told_apart if is_title else []),
        LineColumn("one_of", each("n_family", 0)),
        LineColumn("from", [_day(row["first_date"]) for row in rows], "left"),
        LineColumn("to", [_day(row["last_date"]) for row in rows], "left"),
        LineColumn("lake", [row["lake_name"] or MISSING for row in rows], "left", least=8),
    ]


def _mark(row: Row) -> Text:
    """Return what one must know of a run that is no plain one."""
    if row["is_placebo"]:
        return Text("PLACEBO", style="bold red")
    if row["is_look"]:
        return Text("look", style="yellow")
    return Text("" if row["is_latest"] is not False else "older", style="dim")


def _day(value: Any) -> str:
    return MISSING if value is None else str(value)[:10]
