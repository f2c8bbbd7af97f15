"""How ``msm status`` is shown: a screen for one experiment, a line each for several, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, Final

from rich.console import Group, RenderableType

from msm_py.report.figures import MISSING, count_of, figure, p_text, short_state
from msm_py.report.layout import new_table, number_columns, prose
from msm_py.report.terminal import Table, Text
from msm_py.runner.status_work import Status, Statuses

FRESH: Final = 0
STALE: Final = 3
NO_DECISION: Final = 4
MOST_ASSETS: Final = 10


def alarms(found: Statuses, today: date, max_age: int) -> list[tuple[int, str]]:
    """Return what is wrong, with the exit code that it asks for.

    Parameters
    ----------
    found
        How things stand.
    today
        The day that ages are counted from, UTC.
    max_age
        So many days a table may end before it.
    """
    said = [
        (NO_DECISION, f"{one.experiment_id}: no decision: {one.error}")
        for one in found.experiments
        if one.error is not None
    ]
    for last in dict.fromkeys(found.tables.values()):
        names = ", ".join(name for name, day in found.tables.items() if day == last)
        if last is None:
            said.append((STALE, f"no row: {names}"))
        elif (today - last).days > max_age:
            said.append((STALE, f"{count_of((today - last).days, 'day')} old, of {last}: {names}"))
    said += [
        (STALE, f"{one.experiment_id}: without {', '.join(one.missing_features)} on {one.day}")
        for one in found.experiments
        if one.missing_features
    ]
    return said


def exit_code(said: list[tuple[int, str]]) -> int:
    """Return the exit code of what is wrong: the worst."""
    return max((code for code, _ in said), default=FRESH)


def changes(found: Statuses) -> str:
    """Return the changes of state against the day before, a line each; empty without any."""
    return "\n".join(
        f"{one.title}: {one.regime} since {one.day}, {one.regime_before} before "
        f"(score {figure(one.score, 2, sign=True)})"
        for one in found.experiments
        if one.has_changed
    )


def status_json(found: Statuses, said: list[tuple[int, str]]) -> str:
    """Return all of it as JSON."""
    return json.dumps(
        {
            "experiments": [
                {**asdict(one), "has_changed": one.has_changed} for one in found.experiments
            ],
            "tables": found.tables,
            "alarms": [text for _, text in said],
            "exit_code": exit_code(said),
        },
        default=str,
        indent=2,
    )


def status_report(
    found: Statuses, said: list[tuple[int, str]], today: date, *, full: bool
) -> Group:
    """Return what is shown: of one experiment all, of several a line each, with ``full`` all."""
    parts: list[RenderableType] = [prose(f"!! {text}", "bold red") for _, text in said]
    if said:
        parts.append(Text())
    if len(found.experiments) > 1:
        parts += [_lines(found), Text()]
    if full or len(found.experiments) == 1:
        for one in found.experiments:
            if one.error is None:
                parts += [*_whole(one, full=full), Text()]
    ages = ", ".join(
        f"{name} {MISSING if last is None else f'{(today - last).days} d'}"
        for name, last in found.tables.items()
    )
    parts.append(prose(f"age of tables: {ages}", "dim"))
    return Group(*parts)


def _lines(found: Statuses) -> Table:
    table = new_table()
    for name in ("experiment", "state", "since"):
        table.add_column(name, no_wrap=name != "experiment", overflow="fold")
    number_columns(table, "score", "was", "trade edge")
    table.add_column("evidence", no_wrap=True)
    for one in found.experiments:
        worth: Mapping[str, Any] = one.worth or {}
        table.add_row(
            Text(one.experiment_id, style="cyan"),
            Text("no decision" if one.regime is None else short_state(one.regime)).append(
                " *" * one.has_changed
            ),
            str(one.since or ""),
            figure(one.score, 2, sign=True),
            figure(one.score_before, 2, sign=True),
            figure(worth.get("trade_edge"), 2, "%", sign=True),
            str(worth.get("evidence", MISSING)),
        )
    return table


def _whole(one: Status, *, full: bool) -> Iterator[RenderableType]:
    assert one.regime is not None
    changed = f", {short_state(one.regime_before or '')} the day before" * one.has_changed
    yield Text(one.title, style="bold")
    yield Text.assemble(
        (one.regime, "bold"),
        f" at the close of {one.day}, since {one.since} ({count_of(one.age_days or 0, 'day')})"
        f"{changed}",
    )
    yield prose(_worth(one))
    yield Text(
        f"score {figure(one.score, 2, sign=True)}, the day before "
        f"{figure(one.score_before, 2, sign=True)}; {figure(one.coverage, 0, '%')} of the weights "
        "are there"
    )
    if one.switches is None:
        yield Text("cuts are chosen by a search before each test window")
    else:
        yield Text(
            "; ".join(
                f"{short_state(x.regime)} at {figure(x.score, 2, sign=True)} "
                f"({figure(x.distance, 2, sign=True)})"
                for x in one.switches
            )
            or "no score of the next day leads to another state",
            style="dim",
        )
    yield Text()
    features = new_table()
    features.add_column("feature", no_wrap=True)
    number_columns(features, "value", "z", "weight", "contribution", "day before")
    for row in one.features:
        features.add_row(
            row["feature_id"],
            MISSING if row["raw_value"] is None else f"{row['raw_value']:.4g}",
            figure(row["z_score"], 2, sign=True),
            figure(row["weight"], 2, sign=True),
            figure(row["contribution"], 2, sign=True),
            figure(row["contribution_before"], 2, sign=True),
        )
    yield features
    yield from _positions(one, full=full)


def _worth(one: Status) -> str:
    worth = one.worth
    if worth is None:
        return f"What the state has been worth: not known, msm run of {one.experiment_id} says it."
    if worth["trade_edge"] is None:
        return f"What the state has been worth: too few days to say ({worth['run_id']})."
    interval = (
        ""
        if worth["low"] is None
        else f", 95% CI {figure(worth['low'], 2, '%', sign=True)} to "
        f"{figure(worth['high'], 2, '%', sign=True)}"
    )
    return (
        f"Worth {figure(worth['trade_edge'], 2, '%', sign=True)} over "
        f"{count_of(worth['horizon_days'], 'day')} more than any day{interval}, p "
        f"{p_text(worth['p_edge'])}, evidence {worth['evidence']} "
        f"({count_of(worth['n_spells'], 'spell')}, {worth['run_id']})."
    )


def _positions(one: Status, *, full: bool) -> Iterator[RenderableType]:
    trades = [row for row in one.trades if abs(row["trade"]) > 5e-5]
    shown = trades if full else sorted(trades, key=lambda row: -abs(row["trade"]))[:MOST_ASSETS]
    held = [row for row in one.trades if row["weight_after"]]
    yield Text()
    if not held:
        names = ", ".join(row["asset_id"] for row in one.basket)
        yield prose(f"Flat. The basket of the day would be {names or 'empty'}.")
    else:
        longs = [row for row in held if row["weight_after"] > 0]
        shorts = [row for row in held if row["weight_after"] < 0]
        sides = (
            f"{word} " + ", ".join(row["asset_id"] for row in rows) + f" ({_sum(rows)})"
            for word, rows in (("long", longs), ("short", shorts))
            if rows
        )
        yield prose("Held: " + "; ".join(sides) + ", of net asset value.")
    if not trades:
        yield Text("Nothing is to be traded at this close.", style="dim")
        return
    words = (f"{row['asset_id']} {figure(row['trade'], 2, '%', sign=True)}" for row in shown)
    more = f" and {len(trades) - len(shown)} more" * (len(trades) > len(shown))
    yield prose(f"To trade at this close: {', '.join(words)}{more}.", "bold")


def _sum(rows: list[Mapping[str, Any]]) -> str:
    return figure(sum(row["weight_after"] for row in rows), 0, "%", sign=True)
