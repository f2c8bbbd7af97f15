"""Leaderboards: one page for all runs of a sweep, or for the newest runs of a catalog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from msm_py import __version__
from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.report import sweep_report
from msm_py.report.figures import MISSING, SIGNIFICANCE, count_of, excludes_zero
from msm_py.report.pages import charts_board
from msm_py.report.pages.board_data import Board
from msm_py.report.pages.figure import Figure
from msm_py.report.pages.page import write_page
from msm_py.report.pages.texts import number, p_value, percent
from msm_py.report.runs_table import short_ids
from msm_py.report.varying import MOST, short_names
from msm_py.store import layout

PAGE_ROWS: Final = 1000
SPARK_WIDTH: Final = 62
SPARK_HEIGHT: Final = 16


class Column(NamedTuple):
    """A column of the table: its head, what it means, a text for each run, whether a name."""

    head: str
    meaning: str
    cells: Sequence[str]
    is_name: bool = False


def write_sweep_page(runs: Path, warehouse: Path, sweep_id: str, page: int = 1) -> Path:
    """Write the leaderboard of a sweep into the runs folder and return the file.

    Parameters
    ----------
    runs, warehouse
        The runs folder and the warehouse file that was made of it.
    sweep_id
        The sweep's id, or the beginning of it.
    page
        Which thousand of runs the table shows, from 1; the figures show all.

    Raises
    ------
    MsmError
        When there is no such sweep or page, the warehouse cannot be read or no page be written.
    """
    board = Board.of_sweep(runs, warehouse, sweep_id)
    assert board.record is not None
    return _write(runs, layout.sweep_page(board.record["sweep_id"]), board, page)


def write_catalog_page(runs: Path, warehouse: Path, page: int = 1) -> Path:
    """Write the leaderboard of a warehouse's newest runs; otherwise as `write_sweep_page`."""
    return _write(runs, layout.LEADERBOARD, Board.of_catalog(warehouse), page)


def _write(runs: Path, name: str, board: Board, page: int) -> Path:
    n_pages = -(-len(board.rows) // PAGE_ROWS)
    if page > n_pages:
        raise MsmError(
            f"there {'is' if n_pages == 1 else 'are'} {count_of(n_pages, 'page')}",
            where="--page",
            received=str(page),
            remedy=f"give a number up to {n_pages}; a page has {PAGE_ROWS:,} runs",
        )
    file = runs / (name if page == 1 else name.replace(".html", f".{page}.html"))
    write_page(file, "leaderboard.html", runs=runs, **content(board, runs, page))
    return file


def content(board: Board, runs: Path, page: int = 1) -> dict[str, Any]:
    """Return what the template shows."""
    record = board.record
    start = (page - 1) * PAGE_ROWS
    shown = board.rows[start : start + PAGE_ROWS]
    found = charts_board.settings(board) if record is not None else []
    return {
        "heading": record["name"] if record else "Leaderboard",
        "id": record["sweep_id"] if record else "the newest run of every experiment",
        "is_sweep": record is not None,
        "gone": _gone(board),
        "verdict": _verdict(board),
        "tiles": list(_tiles(board)),
        "columns": columns(board, start, start + len(shown)),
        "links": [_link(runs, row) for row in shown],
        "names": short_ids([row["run_id"] for row in shown]),
        "sparks": [spark(board.sparks.get(row["run_id"], ())) for row in shown],
        "spark_size": (SPARK_WIDTH, SPARK_HEIGHT),
        "places": range(start + 1, start + len(shown) + 1),
        "judged_by": "all that this sweep tried"
        if record is not None
        else "all that was ever tried on the same days, in sweeps and outside",
        "part": _part(len(board.rows), start, len(shown)),
        "luck": [x for x in (charts_board.luck(board) or _ratios(board),) if x is not None],
        "settings": _settings(board, found),
        "pairs": charts_board.pairs(board, found),
        "best": charts_board.differences(board),
        "version": __version__,
    }


def _ratios(board: Board) -> Figure | None:
    return None if board.record is not None else charts_board.sharpe_ratios(board)


def _settings(board: Board, found: Sequence[charts_board.Setting]) -> list[Figure]:
    drawn = (charts_board.by_value(board, found), charts_board.parallel(board, found))
    return [figure for figure in drawn if figure is not None]


def _verdict(board: Board) -> str:
    if board.record is not None:
        return sweep_report.conclusion(board.record)
    best = board.rows[0]
    deflated = best["deflated_sharpe"]
    if deflated is None or deflated < sweep_report.BAR:
        return (
            f"None of {count_of(len(board.rows), 'run')} can be told from luck: the best deflated "
            f"Sharpe ratio is {number(deflated)} ({sweep_report.BAR} is the bar), of "
            f"{best['run_id']}."
        )
    n_above = sum((row["deflated_sharpe"] or 0) >= sweep_report.BAR for row in board.rows)
    return (
        f"{n_above} of {count_of(len(board.rows), 'run')} have a deflated Sharpe ratio of "
        f"{sweep_report.BAR} or more within their families; the best is {best['run_id']} with "
        f"{number(deflated)}."
    )


def _gone(board: Board) -> str:
    """Say that runs of a sweep are no longer there, which its record still counts."""
    if board.record is None:
        return ""
    n_gone = len(board.record["runs"]) - len(board.rows)
    if n_gone <= 0:
        return ""
    return (
        f"{count_of(n_gone, 'run')} of this sweep {'is' if n_gone == 1 else 'are'} no longer in "
        "the warehouse. The verdict, the numbers below it and luck are those of the whole sweep, "
        "as recorded; table and settings show what is left. Run again, the sweep makes the rest."
    )


def _tiles(board: Board) -> Iterator[dict[str, str]]:
    def tile(label: str, value: str, note: str, tone: str = "") -> dict[str, str]:
        return {"label": label, "value": value, "note": note, "tone": tone}

    record = board.record
    best = board.rows[0] if record is None else sweep_report.ranked_rows(record)[0]
    deflated = best["deflated_sharpe"]
    yield tile(
        "Best deflated Sharpe",
        number(deflated),
        f"net Sharpe {number(best['net_sharpe'])}; {sweep_report.BAR} is the bar",
        "good" if (deflated or 0) >= sweep_report.BAR else "warn",
    )
    if record is None:
        yield tile("Runs", f"{len(board.rows):,}", "newest of each experiment, no placebos")
        families = max((row["n_family"] or 0 for row in board.rows), default=0)
        yield tile("Largest family", f"{families:,}", "questions asked of the same days")
        return
    overall = record["overall"]
    failed = sum(trial["status"] in ("failed", "rejected") for trial in record["trials"])
    yield tile(
        "Trials",
        f"{record['n_trials']:,}",
        f"{overall['n_runs']:,} complete, {failed:,} failed or rejected",
    )
    if overall.get("n_distinct") is not None:
        yield tile(
            "Distinct",
            f"{overall['n_distinct']:,}",
            f"worth {number(overall['n_effective_trials'], 1)} independent trials",
        )
    pbo = overall["pbo"]
    yield tile(
        "Backtest overfitting",
        percent(pbo, 0, sign=False),
        "probability (PBO) that the best in sample is below the median out of it",
        "" if pbo is None else "good" if pbo < 0.2 else "warn" if pbo < 0.5 else "bad",
    )
    yield tile(
        "Superior ability",
        p_value(overall["spa_p_consistent"]),
        "p (SPA) that none beats staying out",
        "good" if (overall["spa_p_consistent"] or 1) <= SIGNIFICANCE else "",
    )
    tied = sum(row["is_tied_with_leader"] is True for row in record["runs"])
    yield tile("Tied with the leader", f"{tied:,}", "no different from it at 5%, itself included")


def columns(board: Board, start: int, end: int) -> list[Column]:
    """Return the columns of the table for the runs from one place to another, by number."""
    rows = board.rows[start:end]

    def each(name: str, digits: int) -> list[str]:
        return [number(row.get(name), digits) for row in rows]

    def share(name: str, digits: int = 1) -> list[str]:
        return [percent(row.get(name), digits) for row in rows]

    alike = _alike(board)[start:end]
    horizon = next((row["spread_horizon_days"] for row in board.rows), None)
    numbers = [
        Column(
            "deflated",
            "Deflated Sharpe ratio; 0.95 is the bar",
            [p_value(row["deflated_sharpe"]) for row in rows],
        ),
        Column("Sharpe", "Annual net Sharpe ratio", each("net_sharpe", 2)),
        Column("Sharpe_CI", "Its 95% interval", [_sharpe_interval(row) for row in rows]),
        Column(
            "trade_edge",
            "Trade edge of the spread "
            + (f"over {count_of(horizon, 'day')}" if horizon else "")
            + ", plus is good; * where tests speak against 0",
            [_edge(row) for row in rows],
        ),
        Column("edge_CI", "Its 95% interval", [_edge_interval(row) for row in rows]),
        Column("p_edge", "p of an edge of 0", [p_value(row["spread_p_edge"]) for row in rows]),
        Column("evidence", "Of the spread", [row["spread_evidence"] or "" for row in rows], True),
        Column("CAGR", "Net", share("net_cagr")),
        Column("max_DD", "Deepest net drawdown", share("net_max_drawdown")),
        Column("switches", "Changes of state a year", each("switches_per_year", 1)),
        Column("warnings", "Of the run", each("n_warnings", 0)),
    ]
    if board.record is None:
        return [
            *numbers,
            Column("one_of", "Questions asked of the same days", each("n_family", 0)),
            Column("from", "First day", [str(row["first_date"])[:10] for row in rows], True),
            Column("to", "Last day", [str(row["last_date"])[:10] for row in rows], True),
            Column("title", "Of the experiment", [row["title"] or "" for row in rows], True),
        ]
    return [
        *numbers,
        Column("tied", "No different from the leader at 5%", _said(rows, "is_tied_with_leader")),
        Column("StepM", "Better than staying out", _said(rows, "is_superior")),
        Column("alike", "First run with the same daily returns", alike),
        *_told_apart(board, start, end),
    ]


def _told_apart(board: Board, start: int, end: int) -> list[Column]:
    """Return the settings that differ, or titles where these are too many."""
    if not 0 < len(board.differing) <= MOST:
        titles = [row["title"] or "" for row in board.rows[start:end]]
        return [Column("title", "Of the variant", titles, True)]
    names = short_names(list(board.differing))
    return [
        Column(names[key], key, texts[start:end], is_name=not _are_numbers(texts))
        for key, texts in board.differing.items()
    ]


def _are_numbers(texts: Sequence[str]) -> bool:
    try:
        return all(float(text) is not None for text in texts)
    except ValueError:
        return False


def _alike(board: Board) -> list[str]:
    """Return for every run the place of the first one that earns the same; empty for itself."""
    first: dict[str, int] = {}
    found = []
    for place, row in enumerate(board.rows, start=1):
        leader = first.setdefault(row.get("same_returns_as", row["run_id"]), place)
        found.append("" if leader == place else f"{leader}.")
    return found


def _said(rows: Sequence[Row], name: str) -> list[str]:
    return [MISSING if row.get(name) is None else "yes" if row[name] else "no" for row in rows]


def _sharpe_interval(row: Row) -> str:
    low, high = row.get("net_sharpe_ci_low"), row.get("net_sharpe_ci_high")
    return MISSING if low is None or high is None else f"{number(low)} to {number(high)}"


def _edge(row: Row) -> str:
    ends = {f"ci_{end}": row[f"spread_trade_ci_{end}"] for end in ("low", "high")}
    spread = {"p_edge": row["spread_p_edge"], **ends}
    return percent(row["spread_trade_edge"], 2) + "*" * excludes_zero(spread)


def _edge_interval(row: Row) -> str:
    low, high = row["spread_trade_ci_low"], row["spread_trade_ci_high"]
    return MISSING if low is None else f"{percent(low, 2)} to {percent(high, 2)}"


def _link(runs: Path, row: Row) -> str | None:
    """Return where the tear sheet of a run is; None when nobody has written it."""
    page = runs / row["run_id"] / layout.REPORT
    return f"{row['run_id']}/{layout.REPORT}" if page.is_file() else None


def spark(equity: Sequence[float]) -> str:
    """Return net equity as the points of a small line, from its lowest to its highest value.

    Examples
    --------
    >>> spark([1.0, 1.5, 2.0])
    '0,15 31,8 62,1'
    """
    if len(equity) < 2:
        return ""
    low, high = min(equity), max(equity)
    scale = (SPARK_HEIGHT - 2) / (high - low) if high > low else 0.0
    step = SPARK_WIDTH / (len(equity) - 1)
    return " ".join(
        f"{place * step:.0f},{SPARK_HEIGHT - 1 - (value - low) * scale:.0f}"
        for place, value in enumerate(equity)
    )


def _part(n_runs: int, start: int, n_shown: int) -> str:
    if n_shown == n_runs:
        return ""
    return (
        f"Places {start + 1:,} to {start + n_shown:,} of {n_runs:,}; --page K writes another "
        "thousand. The figures are of all."
    )
