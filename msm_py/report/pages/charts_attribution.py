"""Figures of who made and who lost it: by asset, leg, state and cost item; the baskets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from msm_py._typing import Row
from msm_py.report.figures import count_of
from msm_py.report.pages.figure import BAD, GOOD, INK, SERIES, DataTable, Figure, rounded
from msm_py.report.pages.sheet_data import SheetData
from msm_py.report.pages.texts import number, percent, plain, state_name

COSTS: Final = ("fees", "slippage", "impact", "funding")
MOST_ASSETS: Final = 15  # on either side
MOST_BASKET_DAYS: Final = 130  # columns of the heat map
MOST_MEMBERS: Final = 60  # rows of it


def total(rows: Iterable[Row], name: str) -> float:
    """Return the sum of a column."""
    return float(sum(row[name] for row in rows))


def summed(rows: Sequence[Row], key: Callable[[Row], str | None]) -> dict[str, dict[str, float]]:
    """Return gross, every cost, net and days by a key, the largest net first."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        name = key(row)
        if name is None:
            continue
        sums = found.setdefault(name, dict.fromkeys(("n_days", "gross", *COSTS, "net"), 0.0))
        for column in sums:
            sums[column] += row[column]
    return dict(sorted(found.items(), key=lambda item: -item[1]["net"]))


def by_asset(sheet: SheetData) -> Figure | None:
    """Return the net contributions of the assets that made and lost most."""
    assets = summed(sheet.attribution, lambda row: row["asset_id"])
    if not assets:
        return None
    names = list(assets)
    shown = (
        names if len(names) <= 2 * MOST_ASSETS else [*names[:MOST_ASSETS], *names[-MOST_ASSETS:]]
    )
    whole = total(sheet.attribution, "net")
    best, worst = names[0], names[-1]
    left = len(names) - len(shown)
    return Figure(
        "assets",
        "By asset",
        f"Net contributions to {percent(whole)} over test days, summed and not compounded: the "
        f"best is {best} ({percent(assets[best]['net'])}), the worst {worst} "
        f"({percent(assets[worst]['net'])}). Without the best asset "
        f"{percent(whole - assets[best]['net'])} are left, without the worst "
        f"{percent(whole - assets[worst]['net'])}."
        + (f" The {count_of(left, 'asset')} in between are not drawn." if left else ""),
        [
            {
                **{"type": "bar", "orientation": "h", "y": [plain(name) for name in shown]},
                "x": rounded(assets[name]["net"] for name in shown),
                "marker": {"color": [GOOD if assets[name]["net"] > 0 else BAD for name in shown]},
                "customdata": [
                    [
                        percent(assets[name]["gross"], 2),
                        percent(sum(assets[name][x] for x in COSTS), 2),
                        int(assets[name]["n_days"]),
                    ]
                    for name in shown
                ],
                "hovertemplate": "%{y}: %{x:+.2%} net, %{customdata[0]} gross, costs and funding "
                "%{customdata[1]}, held on %{customdata[2]} days<extra></extra>",
            }
        ],
        {
            "xaxis": {"tickformat": "+.1%", "zeroline": True},
            "yaxis": {"autorange": "reversed", "showgrid": False, "type": "category", "dtick": 1},
            "hovermode": "closest",
            "bargap": 0.25,
        },
        height=max(200, 17 * len(shown) + 70),
        table=_parts_table("asset", assets),
    )


def by_part(sheet: SheetData) -> Figure | None:
    """Return the way from gross to net: the legs, what was paid, and what is left."""
    rows = sheet.attribution
    if not rows:
        return None
    legs = summed(rows, lambda row: row["leg"])
    steps = [
        *((f"{name} leg, gross", sums["gross"]) for name, sums in sorted(legs.items())),
        *((name, -total(rows, name)) for name in COSTS if total(rows, name) != 0),
    ]
    whole = total(rows, "net")
    forgiven = whole - sum(value for _, value in steps)
    if abs(forgiven) > 1e-9:
        steps.append(("beyond ruin", forgiven))
    base, bases = 0.0, []
    for _, value in steps:
        bases.append(min(base, base + value))
        base += value
    values = [value for _, value in steps]
    return Figure(
        "parts",
        "From gross to net",
        ", ".join(f"{name} {percent(value)}" for name, value in steps)
        + f"; net {percent(whole)}. Summed over test days, not compounded.",
        [
            {
                "type": "bar",
                "x": [*(name for name, _ in steps), "net"],
                "y": rounded([*(abs(value) for value in values), abs(whole)]),
                "base": rounded([*bases, min(0.0, whole)]),
                "marker": {"color": [*(GOOD if value > 0 else BAD for value in values), INK]},
                "text": [percent(value) for value in (*values, whole)],
                **{"textposition": "outside", "cliponaxis": False},
                "hovertemplate": "%{x}: %{text}<extra></extra>",
            }
        ],
        {
            "yaxis": {"tickformat": "+.1%", "zeroline": True},
            "xaxis": {"showgrid": False},
            "hovermode": "closest",
            "margin": {"t": 34},
        },
        height=330,
        table=_parts_table("leg", legs),
    )


def by_state(sheet: SheetData) -> Figure | None:
    """Return the net contribution of each state's days, by leg."""
    rows = [row for row in sheet.attribution if row["leg"] is not None]
    states = summed(rows, lambda row: row["regime"])
    if not states:
        return None
    order = [name for name in sheet.regimes if name in states]
    data = []
    for leg, colour in (("long", SERIES[0]), ("short", SERIES[1])):
        sums = summed([row for row in rows if row["leg"] == leg], lambda row: row["regime"])
        data.append(
            {
                **{"type": "bar", "name": f"{leg} leg", "marker": {"color": colour}},
                "x": [state_name(name) for name in order],
                "y": rounded(sums[name]["net"] if name in sums else None for name in order),
                "hovertemplate": "%{y:+.2%}",
            }
        )
    return Figure(
        "by_state",
        "By state and leg",
        "Net, on test days held in a position decided in the state: "
        + ", ".join(f"{state_name(name)} {percent(states[name]['net'])}" for name in order)
        + ". What was traded at the close of a day counts to the state held into that day.",
        data,
        {
            "barmode": "relative",
            "yaxis": {"tickformat": "+.1%", "zeroline": True},
            "xaxis": {"showgrid": False},
        },
        height=330,
        table=_parts_table("state", {state_name(name): states[name] for name in order}),
    )


def _parts_table(name: str, parts: Mapping[str, Mapping[str, float]]) -> DataTable:
    return DataTable(
        (name, "days held", "gross", *COSTS, "net"),
        [
            (
                key,
                f"{int(sums['n_days']):,}",
                *(percent(sums[x], 2) for x in ("gross", *COSTS, "net")),
            )
            for key, sums in parts.items()
        ],
    )


def baskets(sheet: SheetData) -> Figure | None:
    """Return who was in the short basket when: a row for an asset."""
    weights: dict[date, dict[str, float]] = {}
    for day, asset, weight in zip(
        *(sheet.baskets[name] for name in ("date", "asset_id", "weight")), strict=True
    ):
        weights.setdefault(day, {})[asset] = weight
    if not weights:
        return None
    days = sorted(weights)
    step = -(-len(days) // MOST_BASKET_DAYS)
    shown = days[::-1][::step][::-1]  # the newest is among them
    stays: dict[str, int] = {}
    for day in days:
        for asset in weights[day]:
            stays[asset] = stays.get(asset, 0) + 1
    members = sorted(stays, key=lambda asset: (-stays[asset], asset))
    drawn = members[:MOST_MEMBERS]
    return Figure(
        "baskets",
        "Short basket over time",
        f"{count_of(len(members), 'asset')} in it on {count_of(len(days), 'rebalance day')}; "
        f"{', '.join(members[:5])} most often."
        + (f" One rebalance day in {step} is drawn." if step > 1 else "")
        + (
            f" The {MOST_MEMBERS} that were in it longest are." if len(members) > len(drawn) else ""
        ),
        [
            {
                "type": "heatmap",
                "x": [day.isoformat() for day in shown],
                "y": [plain(asset) for asset in drawn],
                "z": [rounded((weights[day].get(a) for day in shown), 3) for a in drawn],
                **{"showscale": False, "zmin": 0, "ygap": 1, "hoverongaps": False},
                "colorscale": [[0, "#9cc9ea"], [1, "#1f5fa8"]],
                "hovertemplate": "%{y}, %{x|%Y-%m-%d}: %{z:.1%}<extra></extra>",
            }
        ],
        {
            "yaxis": {"autorange": "reversed", "showgrid": False, "type": "category", "dtick": 1},
            "xaxis": {"type": "date"},
            "hovermode": "closest",
        },
        height=max(220, 13 * len(drawn) + 70),
    )


def basket_now(sheet: SheetData) -> DataTable:
    """Return the members of the basket that was decided last, by rank."""
    columns = [sheet.baskets[x] for x in ("date", "rank", "asset_id", "weight", "marketcap_usd")]
    rows = list(zip(*columns, strict=True))
    newest = max((row[0] for row in rows), default=None)
    return DataTable(
        ("rank", "asset", "weight", "market cap, million USD"),
        [
            (str(rank), asset, percent(weight, 2, sign=False), _millions(cap))
            for day, rank, asset, weight, cap in sorted(rows, key=lambda row: (row[0], row[1]))
            if day == newest
        ],
    )


def _millions(value: float | None) -> str:
    return number(None if value is None else value / 1e6, 0)
