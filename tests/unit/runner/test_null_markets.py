"""How a run ranks among its null markets, and what they are asked."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from rich.console import Console
from support.lakes import run_of

from msm_py.report import null_market_report
from msm_py.runner import null_markets
from msm_py.runner.null_markets import judge
from msm_py.store import warehouse_tables

SHARPE, SPREAD = ("net_sharpe", None), ("spread", 5)


def rows(**values: float | None) -> list[dict[str, Any]]:
    keys = {"sharpe": SHARPE, "spread": SPREAD}
    return [
        {"statistic": keys[name][0], "horizon_days": keys[name][1], "value": value}
        for name, value in values.items()
    ]


def market(number: int, **values: float | None) -> dict[str, Any]:
    return {"number": number, "status": "complete", "note": None, "figures": rows(**values)}


FAILED = {"number": 9, "status": "failed", "note": "no basket\nmore", "figures": []}


@pytest.mark.parametrize(
    ("own", "null", "n_missing", "p"),
    [
        (1.0, [0.0, 0.5, -1.0], 0, 1 / 4),
        (1.0, [0.0, 1.0, 2.0], 0, 3 / 4),  # one as good is no worse
        (1.0, [], 0, None),
        (1.0, [None, 2.0, 0.0], 1, 2 / 3),  # a market without the figure does not count
        (1.0, [None, None], 2, None),
        (None, [1.0, 2.0], 0, None),
        (1.0, [0.0] * 19, 0, 1 / 20),
    ],
)
def test_p_is_the_rank(
    own: float | None, null: list[float | None], n_missing: int, p: float | None
) -> None:
    markets = [market(i, sharpe=x) for i, x in enumerate(null)]
    (found,) = judge(rows(sharpe=own), [*markets, FAILED])  # one that failed does not count
    assert found["p_value"] == p
    assert (found["n_markets"], found["n_missing"]) == (len(null) - n_missing, n_missing)


def test_every_figure_is_ranked_among_its_own() -> None:
    markets = [market(i, sharpe=float(i), spread=-float(i)) for i in range(1, 5)]
    sharpe, spread = judge(rows(sharpe=2.0, spread=-2.0), markets)
    assert (sharpe["p_value"], spread["p_value"]) == (4 / 5, 3 / 5)
    assert (sharpe["null_mean"], spread["null_mean"]) == (2.5, -2.5)
    assert sharpe["null_q95"] == pytest.approx(3.85)
    assert {*sharpe} <= {*warehouse_tables.ALL_TABLES["null_market_summary"].names}


def test_what_null_markets_are_asked() -> None:
    own = run_of(
        "a-0000000001", evaluation={"holdout_start": "2025-01-01", "look": True}
    ).experiment
    asked = null_markets.as_null(own, date(2023, 7, 1), date(2024, 12, 31))
    assert (asked.window.start, asked.window.end) == (date(2023, 7, 1), date(2024, 12, 31))
    # a null market ends with the run: nothing of it is hidden, and nobody looks
    assert (asked.evaluation.holdout_start, asked.evaluation.look) == (None, False)
    assert not asked.evaluation.bootstrap.enabled
    assert (asked.features, asked.target, asked.backtest) == (
        *(own.features, own.target),
        own.backtest,
    )


def shown(own: list[dict[str, Any]], markets: list[dict[str, Any]]) -> str:
    record = {
        "run_id": "a-0000000001",
        "title": "A title",
        "days": {
            "first_date": "2024-01-01",
            "first_drawn_date": "2024-02-01",
            "last_date": "2025-01-01",
        },
        "markets": markets,
        "summary": judge(own, markets),
    }
    console = Console(width=100, record=True)
    with console.capture() as capture:
        console.print(null_market_report.report(record))
    return " ".join(capture.get().split())


def test_the_report_says_what_was_found() -> None:
    many = [market(i, sharpe=0.0, spread=0.01) for i in range(1, 31)]
    text = shown(rows(sharpe=1.5, spread=0.004), [*many, FAILED])
    assert "net Sharpe 1.50 0.00 0.00 0.032*" in text
    assert "spread, 5 days +0.40% +1.00% +1.00% 1.000" in text
    assert "Among 30 markets in which the run's states tell nothing, 1 of 2 figures" in text
    assert "Not counted, because failed: 1. The first: no basket" in text
    assert "none can reach 5%" not in text


def test_the_report_says_when_markets_are_too_few_or_nothing_can_be_ranked() -> None:
    text = shown(rows(sharpe=1.5), [market(1, sharpe=0.0)])
    assert "With 1 of them a p is 0.500 at least: below 19 null markets none can reach 5%." in text
    assert "There is nothing to rank." in shown(rows(sharpe=None), [market(1, sharpe=0.0)])
    assert "There is nothing to rank." in shown(rows(sharpe=1.5), [FAILED])
