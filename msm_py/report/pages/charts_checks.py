"""Figures of checks: the neighbours of a run, and its placebos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from msm_py._typing import Row
from msm_py.experiment.neighbours import PLACEBO
from msm_py.report.figures import count_of, p_text
from msm_py.report.pages.figure import BAD, GOOD, INK, MUTED, Figure, rounded
from msm_py.report.pages.texts import number, percent, plain


def neighbours(record: Row) -> Figure | None:
    """Return the net Sharpe ratio of every neighbour beside that of the run."""
    rows = [
        row
        for row in record["rows"]
        if row["check_name"] != PLACEBO and row["net_sharpe"] is not None
    ]
    own = record["summary"]["net_sharpe"]
    if not rows or own is None:
        return None
    values = [row["net_sharpe"] for row in rows]
    labels = [plain(f"{row['check_name']}: {row['setting']}") for row in rows]
    return Figure(
        "neighbours",
        "Net Sharpe ratio of the neighbours",
        f"Each differs from the run in one respect. They reach from {number(min(values))} to "
        f"{number(max(values))}; the run has {number(own)}.",
        [
            {
                **{"type": "scatter", "mode": "markers", "y": labels, "x": rounded(values, 3)},
                "marker": {
                    "size": 9,
                    "color": [BAD if row["sign_flips"] else GOOD for row in rows],
                },
                "hovertemplate": "%{y}: %{x:.2f}<extra></extra>",
            }
        ],
        {
            "yaxis": {"autorange": "reversed", "type": "category", "dtick": 1},
            "xaxis": {"zeroline": True, "zerolinecolor": MUTED, "rangemode": "tozero"},
            "shapes": [_line(own)],
            "hovermode": "closest",
        },
        height=max(200, 18 * len(rows) + 70),
    )


def placebos(record: Row) -> Figure | None:
    """Return the distribution of the placebos' net Sharpe ratios, with the run in it."""
    values = [
        row["net_sharpe"]
        for row in record["rows"]
        if row["check_name"] == PLACEBO and row["net_sharpe"] is not None
    ]
    summary = record["summary"]
    own = summary["net_sharpe"]
    if len(values) < 2 or own is None:
        return None
    counts, edges = np.histogram(values, bins=20)
    middles: Sequence[float] = ((edges[1:] + edges[:-1]) / 2).tolist()
    return Figure(
        "placebos",
        "The run among its placebos",
        f"Its states rotated in time {count_of(len(values), 'time')}: the same stays, but no "
        f"timing. The run (dashed line, {number(own)}) is above "
        f"{percent(summary['placebo_percentile'], 0, sign=False)} of them; one-sided p "
        f"{p_text(summary['placebo_p'])}.",
        [
            {
                **{"type": "bar", "x": rounded(middles, 3), "y": counts.tolist()},
                **{
                    "marker": {"color": MUTED},
                    "hovertemplate": "%{y} around %{x:.2f}<extra></extra>",
                },
            }
        ],
        {
            "bargap": 0.05,
            "shapes": [_line(own)],
            "xaxis": {"title": {"text": "net Sharpe ratio"}},
            "yaxis": {"title": {"text": "placebos"}},
        },
        height=280,
    )


def _line(place: float) -> Row:
    line = {"color": INK, "width": 1.6, "dash": "dash"}
    return {
        "type": "line",
        "yref": "paper",
        "x0": place,
        "x1": place,
        "y0": 0,
        "y1": 1,
        "line": line,
    }
