"""Figures of returns: equity, drawdown, exposure, costs, rolling Sharpe ratios, months."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from msm_py._typing import Floats
from msm_py.report.figures import count_of
from msm_py.report.pages.figure import (
    BAD,
    GOOD,
    INK,
    MUTED,
    OVER_STRIP,
    SERIES,
    STRIP_AXIS,
    Figure,
    Switch,
    daily,
    rounded,
    state_key,
    state_strip,
)
from msm_py.report.pages.sheet_data import SheetData
from msm_py.report.pages.texts import number, percent
from msm_py.stats.sharpe import ANNUALIZATION_DAYS

ROLLING_DAYS: Final = (90, 365)
MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    *("Jul", "Aug", "Sep", "Oct", "Nov"),
    "Dec",
)


def compounded(returns: Floats) -> Floats:
    """Return what 1 became by the end of each day, a missing return counting 0; shape (days,)."""
    return np.asarray(np.cumprod(1 + np.nan_to_num(returns)), dtype=np.float64)


def equity(sheet: SheetData) -> Figure:
    """Return what 1 became: net, gross, the ungated control and BTC; the drawdown below."""
    first = sheet.first
    net, btc = sheet.trading("net"), sheet.trading("btc")
    lines = [
        ("net", sheet.series("equity_net"), {"color": INK, "width": 2.2}),
        ("gross", sheet.series("equity_gross"), {"color": INK, "width": 1, "dash": "dot"}),
    ]
    if not np.isnan(sheet.series("r_ungated")).all():
        ungated = compounded(sheet.series("r_ungated"))
        lines.append(("ungated long-short", ungated, {"color": SERIES[3], "width": 1.3}))
    drawdown = sheet.series("drawdown_net")
    data: list[dict[str, Any]] = [
        state_strip(first, sheet.days["regime"], sheet.regimes),
        *(
            {"type": "scatter", "mode": "lines", "name": name, "line": line, **daily(first)}
            | {"y": rounded(values, 5), "hovertemplate": "%{y:.3f}"}
            for name, values, line in lines
        ),
        {
            **{"type": "scatter", "mode": "lines", "name": "BTC, right scale", "yaxis": "y4"},
            **{"line": {"color": SERIES[1], "width": 1.3}, **daily(first)},
            "y": rounded(compounded(sheet.series("r_btc")), 5),
            "hovertemplate": "%{y:.3f}",
        },
        {
            **{"type": "scatter", "mode": "lines", "name": "drawdown, net", "yaxis": "y3"},
            **{"line": {"color": BAD, "width": 1}, "fill": "tozeroy", **daily(first)},
            **{"y": rounded(drawdown), "hovertemplate": "%{y:.1%}", "showlegend": False},
        },
    ]
    return Figure(
        "equity",
        "Equity and drawdown",
        f"On {count_of(net.get('n_days'), 'test day')} the strategy made "
        f"{percent(net.get('total_return'))} net of costs and funding, "
        f"{percent(sheet.trading('gross').get('total_return'))} before them; the same long-short "
        f"without gating {percent(sheet.trading('ungated_net').get('total_return'))}, BTC "
        f"{percent(btc.get('total_return'))}. Deepest drawdown {percent(net.get('max_drawdown'))}. "
        "The background is the state of the day. What 1 became since the first decision day"
        + ("; test days begin at the dashed line." if _lookback(sheet) else "."),
        data,
        {
            "yaxis": {**OVER_STRIP, "domain": [0.3, 1], "tickformat": ".2f"},
            "yaxis2": {**STRIP_AXIS, "domain": [0.3, 1]},
            "yaxis3": {"domain": [0, 0.24], "tickformat": ".1%", "rangemode": "tozero"},
            "yaxis4": {
                **OVER_STRIP,
                **{"domain": [0.3, 1], "tickformat": ".2f", "side": "right", "anchor": "x"},
                **{"showgrid": False, "zeroline": False, "tickfont": {"color": SERIES[1]}},
            },
            "xaxis": {"anchor": "y3"},
            "shapes": _lookback(sheet),
        },
        height=470,
        key=state_key(sheet.present),
        switches=(
            Switch(
                "Log scale",
                dict.fromkeys(("yaxis.type", "yaxis4.type"), "log"),
                dict.fromkeys(("yaxis.type", "yaxis4.type"), "linear"),
            ),
        ),
    )


def _lookback(sheet: SheetData) -> list[dict[str, Any]]:
    """Return a line where test days begin; none when all days are."""
    start = sheet.first_test_day
    if start is None or start == sheet.first:
        return []
    line = {"color": MUTED, "width": 1, "dash": "dash"}
    ends = {"x0": start.isoformat(), "x1": start.isoformat(), "y0": 0, "y1": 1}
    return [{"type": "line", "yref": "paper", "line": line, **ends}]


def trading(sheet: SheetData) -> Figure:
    """Return exposure and turnover by day, cost and funding summed up."""
    first, net = sheet.first, sheet.trading("net")
    cost, funding = (np.cumsum(np.nan_to_num(sheet.series(x))) for x in ("cost", "funding"))
    line = {"type": "scatter", "mode": "lines", **daily(first)}
    data = [
        {
            **line,
            **{"name": "gross exposure", "y": rounded(sheet.series("gross_exposure"))},
            **{"line": {"color": SERIES[0], "width": 1.2, "shape": "hv"}, "fill": "tozeroy"},
            "hovertemplate": "%{y:.0%}",
        },
        {
            **line,
            **{"name": "turnover", "y": rounded(sheet.series("turnover"), 3), "yaxis": "y2"},
            **{"line": {"color": MUTED, "width": 1, "shape": "hv"}, "hovertemplate": "%{y:.1%}"},
        },
        {
            **line,
            **{"name": "cost, summed up", "y": rounded(cost), "yaxis": "y3"},
            **{"line": {"color": BAD, "width": 1.6}, "hovertemplate": "%{y:.2%}"},
        },
        {
            **line,
            **{"name": "funding paid, summed up", "y": rounded(funding), "yaxis": "y3"},
            **{"line": {"color": SERIES[1], "width": 1.6}, "hovertemplate": "%{y:.2%}"},
        },
    ]
    return Figure(
        "trading",
        "Exposure, turnover, costs and funding",
        "On test days the gross exposure is "
        f"{percent(net.get('avg_gross_exposure'), 0, sign=False)} on average, turnover "
        f"{percent(net.get('avg_turnover'), 1, sign=False)} a day; costs take "
        f"{percent(net.get('cost_drag'), sign=False)} a year, funding "
        f"{percent(net.get('funding_drag'))} (minus is received).",
        data,
        {
            "yaxis": {"domain": [0.7, 1], "tickformat": ".0%", "rangemode": "tozero"},
            "yaxis2": {"domain": [0.38, 0.64], "tickformat": ".0%", "rangemode": "tozero"},
            "yaxis3": {"domain": [0, 0.32], "tickformat": ".1%"},
            "xaxis": {"anchor": "y3"},
        },
        height=460,
    )


def rolling_sharpe(sheet: SheetData) -> Figure | None:
    """Return the annualised net Sharpe ratio of the test days before; None of too few."""
    net = np.where(sheet.tests, sheet.series("r_net"), np.nan)
    data, latest = [], []
    for days, colour, width in zip(ROLLING_DAYS, (SERIES[4], INK), (1, 2), strict=True):
        if sheet.tests.sum() < days + 2:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(net, days)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = windows.mean(axis=1) / windows.std(axis=1, ddof=1)
        ratio = np.concatenate([np.full(days - 1, np.nan), ratio * np.sqrt(ANNUALIZATION_DAYS)])
        ratio[~np.isfinite(ratio)] = np.nan
        known = ratio[~np.isnan(ratio)]
        if len(known):
            latest.append(f"{number(float(known[-1]))} over the last {days} days")
        data.append(
            {
                **{
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"{days} days",
                    **daily(sheet.first),
                },
                **{"y": rounded(ratio, 3), "line": {"color": colour, "width": width}},
                "hovertemplate": "%{y:.2f}",
            }
        )
    if not latest:
        return None
    return Figure(
        "rolling_sharpe",
        "Rolling net Sharpe ratio",
        f"Annualised, of the test days before: {' and '.join(latest)}. Of so few days it is mostly "
        "noise: a ratio of a year has a standard error of about 1.",
        data,
        {"yaxis": {"zeroline": True}, "xaxis": {}},
        height=260,
    )


def monthly(sheet: SheetData) -> list[tuple[int, list[float | None], float]]:
    """Return net returns by year: of each month (None without test days), and of the year.

    Compounded over test days, as the view v_monthly_returns.
    """
    net = sheet.series("r_net")
    found: dict[int, dict[int, float]] = {}
    for day, value, is_test in zip(sheet.days["date"], net, sheet.tests, strict=True):
        if is_test:
            year = found.setdefault(day.year, {})
            year[day.month] = year.get(day.month, 1.0) * (1 + value)
    return [
        (
            year,
            [months[x] - 1 if x in months else None for x in range(1, 13)],
            float(np.prod(list(months.values()))) - 1,
        )
        for year, months in sorted(found.items())
    ]


def calendar(sheet: SheetData) -> list[dict[str, Any]]:
    """Return the rows of the calendar of monthly returns, with the shade of every cell."""
    years = monthly(sheet)
    months = [abs(x) for _, values, _ in years for x in values if x is not None]
    largest = max(months, default=0.0) or 1.0
    return [
        {
            "year": year,
            "cells": [
                {
                    "text": percent(x),
                    "shade": None if x is None else _shade(x / largest),
                }
                for x in values
            ],
            "total": percent(total),
        }
        for year, values, total in years
    ]


def _shade(share: float) -> str:
    """Return a light background: the colour of good or bad, so strong as a share (-1 to 1) says."""
    red, green, blue = (int((GOOD if share > 0 else BAD)[i : i + 2], 16) for i in (1, 3, 5))
    strength = 0.15 + 0.6 * min(abs(share), 1)
    mixed = (round(255 - (255 - x) * strength) for x in (red, green, blue))
    return "#" + "".join(f"{x:02x}" for x in mixed)
