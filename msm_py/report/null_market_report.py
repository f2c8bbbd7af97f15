"""What ``msm run --null-markets`` shows: a run's figures among those of its null markets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType

from msm_py._typing import Row
from msm_py.report.figures import SIGNIFICANCE, count_of, figure, p_text
from msm_py.report.layout import new_table, number_columns, prose, section
from msm_py.report.terminal import Text
from msm_py.runner import null_markets

NAMES: Final = {
    "spread": "spread",
    "edge_best": "edge_best",
    null_markets.NET_SHARPE: "net Sharpe",
    null_markets.ADVANTAGE: "net Sharpe above ungated",
}


def report(record: Row) -> RenderableType:
    """Return the null markets of a run: how its figures rank, and what that means.

    Parameters
    ----------
    record
        From `msm_py.store.null_market_records`.
    """
    table = new_table(roomy=True)
    table.add_column("", no_wrap=True)
    number_columns(table, "\nthe run", "null\nmean", "\n95% below", "null\nlacks", "\np")
    for row in record["summary"]:
        table.add_row(*_cells(row))
    return Group(
        *section(
            "Null markets",
            Text.assemble((record["title"], "bold"), "  ", (record["run_id"], "cyan")),
            Text(),
            table,
            Text(),
            prose(" ".join(_sentences(record))),
            Text(),
            prose(_note(record), style="dim"),
        )
    )


def _cells(row: Row) -> Iterator[Text]:
    horizon, name = row["horizon_days"], NAMES[row["statistic"]]
    yield Text(name if horizon is None else f"{name}, {count_of(horizon, 'day')}")
    for key in ("value", "null_mean", "null_q95"):
        unit = "" if horizon is None else "%"
        yield Text(figure(row[key], 2, unit, sign=horizon is not None))
    yield Text(str(row["n_missing"]) if row["n_missing"] else "")
    p = row["p_value"]
    star = "*" if p is not None and p <= SIGNIFICANCE else ""
    yield Text(p_text(p) + star)


def _sentences(record: Row) -> Iterator[str]:
    markets, summary = record["markets"], record["summary"]
    failed = [market for market in markets if market["status"] == "failed"]
    ranked = [row for row in summary if row["p_value"] is not None]
    if not ranked:
        yield "There is nothing to rank."
    else:
        beyond = [row for row in ranked if row["p_value"] <= SIGNIFICANCE]
        best = min(ranked, key=lambda row: row["p_value"])
        yield (
            f"Among {len(markets) - len(failed)} markets in which the run's states tell nothing, "
            f"{len(beyond)} of {len(ranked)} figures are so good at most 5% of the time; the "
            f"smallest p is {p_text(best['p_value'])}. Figures of a run go together: they are not "
            f"{len(ranked)} findings."
        )
        fewest = min(row["n_markets"] for row in ranked)
        if fewest < null_markets.FEWEST:
            yield (
                f"With {fewest} of them a p is {p_text(1 / (1 + fewest))} at least: below "
                f"{null_markets.FEWEST} null markets none can reach 5%."
            )
    if failed:
        reason = str(failed[0]["note"]).splitlines()[0]
        yield f"Not counted, because failed: {len(failed)}. The first: {reason}"


def _note(record: Row) -> str:
    days = record["days"]
    return (
        f"Each null market is a lake from {days['first_date']} to {days['last_date']} whose days "
        f"are drawn, for all assets and tables at once, from those from "
        f"{days['first_drawn_date']} on, in blocks of {null_markets.BLOCK_DAYS}; what the run's "
        "states foretell was taken out of the alts' returns, and it went through the same graph. "
        "Edges are trade edges: plus is good for the trade. p = (1 + markets at least as good) / "
        "(1 + markets), one-sided; markets that lack a figure do not count for it. p does not "
        "allow for other runs that were tried."
    )
