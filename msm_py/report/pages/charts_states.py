"""Figures of states: score, contributions of features, edges, paths after entries, durations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np

from msm_py._typing import Floats, Row
from msm_py.regimes import CUTS
from msm_py.report.figures import count_of, excludes_zero, p_text
from msm_py.report.pages.figure import (
    BAD,
    GRID,
    INK,
    MUTED,
    OVER_STRIP,
    SERIES,
    STATE_COLOURS,
    STRIP_AXIS,
    DataTable,
    Figure,
    daily,
    rounded,
    state_key,
    state_strip,
)
from msm_py.report.pages.sheet_data import SheetData
from msm_py.report.pages.texts import number, percent, plain, state_name
from msm_py.store import standard_spread
from msm_py.store.edge_rows import SUMMARY_EDGES

FEWEST_SHOWN: Final = 3  # spells: states with less are switched on in the legend
MOST_BARS: Final = 30  # of the histogram of stays: the last one holds all longer ones


def score(sheet: SheetData) -> Figure:
    """Return the score, the cuts between states, and what it takes to leave one."""
    mapping = sheet.run.spec["state_mapping"]
    bands = mapping["hysteresis"]
    shapes, notes = [], []
    cuts = {name: mapping["thresholds"].get(name) for name in CUTS}
    for name, cut in cuts.items():
        if cut is None:
            continue
        is_alts = name in ("strong_low", "low")
        back = cut + (bands["high_band"] if is_alts else bands["low_band"])
        ends = {"xref": "paper", "x0": 0, "x1": 1}
        shapes += [
            {"type": "line", **ends, "y0": cut, "y1": cut, "line": {"color": INK, "width": 1}},
            {
                **{"type": "rect", **ends, "y0": cut, "y1": back, "line": {"width": 0}},
                **{"fillcolor": MUTED, "opacity": 0.16, "layer": "below"},
            },
        ]
        notes.append(f"{name} {number(cut)}")
    searched = sheet.walk_forward is not None
    values = sheet.series("score")
    return Figure(
        "score",
        "Score, cuts and states",
        f"{sheet.run.metrics['stability']['total_switches']} switches; the score lies between "
        f"{number(_least(values))} and {number(_most(values))}, cuts at {', '.join(notes)}. A "
        "state is left towards balanced only beyond the shaded band of its cut (half as wide again "
        "while it is young)."
        + (" Cuts are the experiment's; a search chose others by window." if searched else ""),
        [
            state_strip(sheet.first, sheet.days["regime"], sheet.regimes),
            {
                **{"type": "scatter", "mode": "lines", "name": "score", **daily(sheet.first)},
                **{"y": rounded(values), "line": {"color": INK, "width": 1.3}},
                **{"hovertemplate": "score %{y:.2f}, %{text}<extra></extra>"},
                "text": [state_name(x) for x in sheet.days["regime"]],
            },
        ],
        {
            "yaxis": {**OVER_STRIP, "zeroline": False, "range": _range(values, cuts.values())},
            "yaxis2": STRIP_AXIS,
            "xaxis": {},
            "shapes": shapes,
            "showlegend": False,
        },
        height=330,
        key=state_key(sheet.present),
    )


def _range(values: Floats, cuts: Iterable[float | None]) -> list[float]:
    """Return the ends of an axis that shows all values and all cuts."""
    ends = [*values[~np.isnan(values)].tolist(), *(cut for cut in cuts if cut is not None)]
    low, high = min(ends, default=-1.0), max(ends, default=1.0)
    room = 0.06 * (high - low)
    return [round(low - room, 3), round(high + room, 3)]


def _least(values: Floats) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmin(values))


def _most(values: Floats) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmax(values))


def contributions(sheet: SheetData) -> Figure:
    """Return weight times z-score of every feature, stacked: what the score is made of."""
    parts = {name: sheet.weights[name] * z for name, z in sheet.z_scores.items()}
    size = {
        name: float(np.nanmean(np.abs(x))) if (~np.isnan(x)).any() else 0
        for name, x in parts.items()
    }
    order = sorted(parts, key=lambda name: -size[name])
    total = sum(size.values()) or 1.0
    return Figure(
        "contributions",
        "What the score is made of",
        "Weight times z-score of every feature, before smoothing and gate; point at a day for its "
        "breakdown. Share of all movement: "
        + ", ".join(f"{name} {percent(size[name] / total, 0, sign=False)}" for name in order)
        + ".",
        [
            {
                **{"type": "bar", "name": plain(name), **daily(sheet.first)},
                **{"y": rounded(parts[name], 3), "hovertemplate": "%{y:+.2f}"},
                "marker": {"color": SERIES[place % len(SERIES)], "line": {"width": 0}},
            }
            for place, name in enumerate(order)
        ],
        {"barmode": "relative", "bargap": 0, "yaxis": {"zeroline": True}, "xaxis": {}},
        height=380,
    )


def correlation(sheet: SheetData) -> Figure | None:
    """Return the correlation of the features' z-scores over the decision days."""
    names = list(sheet.z_scores)
    if len(names) < 2:
        return None
    matrix = np.array([sheet.z_scores[name] for name in names])
    known = ~np.isnan(matrix).any(axis=0)
    if known.sum() < 3:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.corrcoef(matrix[:, known])
    pairs = [
        (abs(found[i, j]), found[i, j], names[i], names[j])
        for i in range(len(names))
        for j in range(i)
        if np.isfinite(found[i, j])
    ]
    closest = max(pairs, default=None)
    labels = [plain(name) for name in names]
    return Figure(
        "correlation",
        "Correlation of the features",
        f"Of z-scores on {count_of(int(known.sum()), 'day')}. "
        + (
            f"The closest are {closest[2]} and {closest[3]} ({number(closest[1], sign=True)}): "
            "features that move together count twice."
            if closest
            else ""
        ),
        [
            {
                **{"type": "heatmap", "x": labels, "y": labels},
                "z": [rounded(row, 3) for row in found],
                "text": [[number(x, 2) for x in row] for row in found],
                "texttemplate": "%{text}",
                **{"zmin": -1, "zmax": 1, "showscale": False, "xgap": 1, "ygap": 1},
                "colorscale": [[0, BAD], [0.5, "#f4f4f4"], [1, "#3b8ac4"]],
                "textfont": {"color": "#10151c", "size": 10},
                "hovertemplate": "%{y} and %{x}: %{text}<extra></extra>",
            }
        ],
        {
            "yaxis": {"autorange": "reversed", "showgrid": False},
            "xaxis": {"showgrid": False, "tickangle": -40},
            "hovermode": "closest",
        },
        height=400,
        table=DataTable(
            ["feature", *names],
            [[name, *(number(x) for x in row)] for name, row in zip(names, found, strict=True)],
        ),
    )


def edges(sheet: SheetData) -> Figure | None:
    """Return the trade edge of every state and horizon with its interval."""
    shown = [edge for edge in sheet.run.edges if edge["edge"] not in SUMMARY_EDGES[:2]]
    known = [edge for edge in shown if edge["trade_edge"] is not None]
    if not known:
        return None
    horizons = sheet.run.horizons
    names = [x for x in (*sheet.regimes, "spread") if any(edge["edge"] == x for edge in known)]
    data = []
    for place, name in enumerate(names):
        rows = sorted(
            (edge for edge in known if edge["edge"] == name), key=lambda edge: edge["horizon_days"]
        )
        offset = (place - (len(names) - 1) / 2) * 0.14
        data.append(_whiskers(rows, horizons, name, offset))
    starred = [edge for edge in known if excludes_zero(edge)]
    standard = standard_spread.of_edges(sheet.run.edges)
    return Figure(
        "edges",
        "Trade edge by state and horizon",
        "What the trade (long majors, short alts) earns more over the horizon after a day in the "
        "state than after any day; plus is good. Bars are 95% intervals; a filled marker says that "
        "the interval excludes zero and p is at most 5%. "
        f"{len(starred) or 'None'} of {len(known)} do."
        + _hidden(data)
        + (
            f" The spread between best and worst state at {standard['horizon_days']} days is "
            f"{percent(standard['trade_edge'], 2)}."
            if standard.get("trade_edge") is not None
            else ""
        ),
        data,
        {
            "xaxis": {
                "tickvals": list(range(len(horizons))),
                "ticktext": [count_of(days, "day") for days in horizons],
                "showgrid": False,
                "range": [-0.5, len(horizons) - 0.5],
            },
            "yaxis": {"tickformat": "+.1%", "zeroline": True, "zerolinecolor": MUTED},
            "hovermode": "closest",
        },
        height=400,
        table=_edge_table(shown),
    )


def _whiskers(rows: Sequence[Row], horizons: Sequence[int], name: str, offset: float) -> Row:
    colour = STATE_COLOURS.get(name, INK)
    return {
        **{"type": "scatter", "mode": "markers", "name": _edge_name(name)},
        "visible": True if all(x["n_spells"] >= FEWEST_SHOWN for x in rows) else "legendonly",
        "x": [round(horizons.index(x["horizon_days"]) + offset, 3) for x in rows],
        "y": rounded(x["trade_edge"] for x in rows),
        "error_y": {
            **{"type": "data", "symmetric": False, "color": colour, "thickness": 1.6, "width": 4},
            "array": rounded(
                None if x["ci_low"] is None else -x["ci_low"] - x["trade_edge"] for x in rows
            ),
            "arrayminus": rounded(
                None if x["ci_high"] is None else x["trade_edge"] + x["ci_high"] for x in rows
            ),
        },
        "marker": {
            **{"size": 11, "color": colour, "line": {"color": colour, "width": 2}},
            "symbol": [
                ("diamond" if name == "spread" else "circle")
                + ("" if excludes_zero(x) else "-open")
                for x in rows
            ],
        },
        "text": [
            f"{count_of(x['horizon_days'], 'day')}: {percent(x['trade_edge'], 2)}, 95% CI "
            f"{_interval(x)}<br>p_edge {p_text(x['p_edge'])}, p_shift {p_text(x['p_shift'])}<br>"
            f"evidence {x['evidence']}, {count_of(x['n_spells'], 'spell')}"
            for x in rows
        ],
        "hovertemplate": "%{text}",
    }


def _hidden(data: Sequence[Row]) -> str:
    """Say that states are not drawn, where that is so."""
    if all(trace.get("visible", True) is True for trace in data):
        return ""
    return (
        f" A state entered less than {FEWEST_SHOWN} times is grey in the legend: click to see it."
    )


def _edge_name(name: str) -> str:
    return "Spread" if name == "spread" else state_name(name)


def _interval(edge: Row) -> str:
    if edge["ci_low"] is None:
        return "—"
    return f"{percent(-edge['ci_high'], 2)} to {percent(-edge['ci_low'], 2)}"


def _edge_table(rows: Sequence[Row]) -> DataTable:
    return DataTable(
        (
            "state",
            "days",
            "trade edge",
            "95% CI",
            "p_edge",
            "p_value",
            "p_shift",
            "spells",
            "evidence",
        ),
        [
            (
                _edge_name(row["edge"]) + (" *" if excludes_zero(row) else ""),
                str(row["horizon_days"]),
                percent(row["trade_edge"], 2),
                _interval(row),
                *(p_text(row[name]) for name in ("p_edge", "p_value", "p_shift")),
                str(row["n_spells"]),
                row["evidence"],
            )
            for row in rows
        ],
    )


def paths(sheet: SheetData) -> Figure | None:
    """Return what the trade made on average after entering each state, with a band."""
    if not sheet.paths:
        return None
    data: list[dict[str, Any]] = []
    said, rows = [], []
    for regime, found in groupby(sheet.paths, key=lambda row: str(row["regime"])):
        path = list(found)
        days = [row["day_number"] for row in path]
        colour, name = STATE_COLOURS.get(regime, INK), state_name(regime)
        bounded = [row for row in path if row["ci_low"] is not None]
        if bounded:
            around = [*bounded, *reversed(bounded)]
            data.append(
                {
                    **{"type": "scatter", "mode": "lines", "fill": "toself", "hoverinfo": "skip"},
                    "x": [row["day_number"] for row in around],
                    "y": rounded(
                        [*(row["ci_low"] for row in bounded)]
                        + [row["ci_high"] for row in reversed(bounded)]
                    ),
                    **{"line": {"width": 0}, "fillcolor": _faint(colour)},
                    **{"showlegend": False, "legendgroup": regime},
                }
            )
        data.append(
            {
                **{"type": "scatter", "mode": "lines", "name": name, "legendgroup": regime},
                "visible": True if bounded else "legendonly",
                **{"x": days, "y": rounded(row["mean"] for row in path)},
                "line": {"color": colour, "width": 2.4},
                "customdata": [row["n_entries"] for row in path],
                "hovertemplate": "%{y:+.2%} (%{customdata} entries)",
            }
        )
        last = path[-1]
        said.append(f"{name} {percent(last['mean'], 2)} (n = {last['n_entries']})")
        rows += [
            (
                name,
                str(row["day_number"]),
                percent(row["mean"], 2),
                f"{percent(row['ci_low'], 2)} to {percent(row['ci_high'], 2)}",
                str(row["n_entries"]),
            )
            for row in path
            if row["day_number"] in (0, *sheet.run.horizons)
        ]
    data.append(_any_day(sheet))
    return Figure(
        "paths",
        "After entering a state",
        f"Mean of what the trade made in the days since, plus is good: after "
        f"{max(row['day_number'] for row in sheet.paths)} days {', '.join(said)}. Bands are 95% "
        "intervals over entries; the dotted line is any day, which an edge is measured against."
        + _hidden(data),
        data,
        {
            "xaxis": {"title": {"text": "days after the entry"}, "zeroline": False},
            "yaxis": {"tickformat": "+.1%", "zeroline": True, "zerolinecolor": MUTED},
        },
        height=400,
        table=DataTable(("state", "day", "mean", "95% CI", "entries"), rows),
    )


def _any_day(sheet: SheetData) -> dict[str, Any]:
    """Return the mean of all decision days at the horizons that were evaluated."""
    found = {0: 0.0}
    for horizon in sheet.run.horizons:
        rows = [x for x in sheet.run.statistics if x["horizon_days"] == horizon and x["n"]]
        n = sum(row["n"] for row in rows)
        if n:
            found[horizon] = -sum(row["n"] * row["mean"] for row in rows) / n
    return {
        **{"type": "scatter", "mode": "lines", "name": "any day"},
        **{"x": list(found), "y": rounded(found.values())},
        **{"line": {"color": MUTED, "width": 1.6, "dash": "dot"}, "hovertemplate": "%{y:+.2%}"},
    }


def _faint(colour: str) -> str:
    if not colour.startswith("#"):
        return GRID
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"


def distribution(sheet: SheetData) -> Figure:
    """Return how many days were spent in each state."""
    rows = sheet.run.distribution
    return Figure(
        "distribution",
        "Days in each state",
        ", ".join(
            f"{state_name(row['regime'])} {percent(row['pct'] / 100, 0, sign=False)}"
            for row in rows
            if row["n_days"]
        )
        + ".",
        [
            {
                **{"type": "bar", "orientation": "h"},
                "y": [state_name(row["regime"]) for row in rows],
                "x": [row["n_days"] for row in rows],
                "marker": {"color": [STATE_COLOURS[row["regime"]] for row in rows]},
                "text": [
                    f"{percent(row['pct'] / 100, 0, sign=False)}, "
                    f"{count_of(row['n_spells'], 'spell')}"
                    for row in rows
                ],
                "textposition": "auto",
                "hovertemplate": "%{x} days<extra></extra>",
            }
        ],
        {"xaxis": {}, "yaxis": {"showgrid": False}, "hovermode": "closest"},
        height=260,
        table=DataTable(
            ("state", "days", "share", "spells"),
            [
                (
                    state_name(row["regime"]),
                    f"{row['n_days']:,}",
                    percent(row["pct"] / 100, sign=False),
                    str(row["n_spells"]),
                )
                for row in rows
            ],
        ),
    )


def durations(sheet: SheetData) -> Figure:
    """Return how long stays last, by state."""
    lengths: dict[str, list[int]] = {}
    for regime, days in groupby(sheet.days["regime"]):
        lengths.setdefault(str(regime), []).append(sum(1 for _ in days))
    longest = min(MOST_BARS, max(max(found) for found in lengths.values()))
    data = []
    for regime in sheet.regimes:
        if regime not in lengths:
            continue
        counts = np.bincount(np.minimum(lengths[regime], longest), minlength=longest + 1)[1:]
        data.append(
            {
                **{"type": "bar", "name": state_name(regime), "x": list(range(1, longest + 1))},
                **{"y": counts.tolist(), "marker": {"color": STATE_COLOURS[regime]}},
                "hovertemplate": "%{y}",
            }
        )
    return Figure(
        "durations",
        "How long stays last",
        "Median days: "
        + ", ".join(
            f"{state_name(regime)} {np.median(lengths[regime]):g} (longest {max(lengths[regime])})"
            for regime in sheet.regimes
            if regime in lengths
        )
        + f". The bar at {longest} holds all longer ones."
        * any(max(found) > longest for found in lengths.values()),
        data,
        {
            "barmode": "stack",
            "bargap": 0.1,
            "xaxis": {"title": {"text": "days"}},
            "yaxis": {"title": {"text": "stays"}},
        },
        height=300,
    )


def transitions(sheet: SheetData) -> Figure | None:
    """Return which state followed which from one day to the next."""
    rows = sheet.run.metrics["stability"]["regime_transitions"]
    present = [
        x for x in sheet.regimes if any(x in (r["from_regime"], r["to_regime"]) for r in rows)
    ]
    if not present:
        return None
    share = {(row["from_regime"], row["to_regime"]): row["pct"] for row in rows}
    days = {(row["from_regime"], row["to_regime"]): row["n_days"] for row in rows}
    labels = [state_name(x) for x in present]
    cells = [[share.get((a, b)) for b in present] for a in present]
    return Figure(
        "transitions",
        "From one day to the next",
        "Share of the days of a state (rows) after which each state (columns) followed.",
        [
            {
                **{"type": "heatmap", "x": labels, "y": labels},
                "z": [rounded((None if x is None else x / 100 for x in row), 3) for row in cells],
                "text": [
                    [
                        "" if x is None else f"{percent(x / 100, sign=False)}<br>{days[a, b]} days"
                        for b, x in zip(present, row, strict=True)
                    ]
                    for a, row in zip(present, cells, strict=True)
                ],
                **{"texttemplate": "%{text}", "textfont": {"size": 10, "color": "#10151c"}},
                **{"zmin": 0, "zmax": 1, "showscale": False, "xgap": 2, "ygap": 2},
                "colorscale": [[0, "#eef2f6"], [1, "#5aa9dd"]],
                "hovertemplate": "%{y} to %{x}: %{text}<extra></extra>",
            }
        ],
        {
            "xaxis": {"showgrid": False},
            "yaxis": {"autorange": "reversed", "showgrid": False},
            "hovermode": "closest",
        },
        height=300,
        table=DataTable(
            ["from", *labels],
            [
                [name, *("—" if x is None else percent(x / 100, sign=False) for x in row)]
                for name, row in zip(labels, cells, strict=True)
            ],
        ),
    )
