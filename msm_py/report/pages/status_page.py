"""The states of all experiments on one page, for a screen on the wall: no script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msm_py.report.figures import MISSING, count_of, figure, short_state
from msm_py.report.pages.page import write_page
from msm_py.runner.status_work import Status, Statuses

WIDTH: Final = 600
HEIGHT: Final = 90


def write_status_page(file: Path, found: Statuses, alarms: Sequence[str]) -> None:
    """Write the page.

    Parameters
    ----------
    file
        Where to.
    found
        How things stand.
    alarms
        What is wrong, said first.

    Raises
    ------
    MsmError
        When it cannot be written.
    """
    days = sorted({str(one.day) for one in found.experiments if one.day is not None})
    write_page(
        file,
        "status.html",
        runs=None,
        day=days[-1] if days else "no day",
        alarms=alarms,
        cards=[_card(one) for one in found.experiments],
    )


def _card(one: Status) -> dict[str, Any]:
    named = {"id": one.experiment_id, "title": one.title}
    if one.error is not None or one.regime is None:
        tile = {"label": "State", "value": "no decision", "note": "", "tone": "bad"}
        return {**named, "tiles": [tile], "line": (), "text": one.error or ""}
    worth = one.worth or {}
    before = "" if not one.has_changed else f", {short_state(one.regime_before or '')} before"
    nearest = min(one.switches or (), key=lambda x: abs(x.distance), default=None)
    tiles = [
        ("State", short_state(one.regime), f"since {one.since}{before}"),
        (
            "Score",
            figure(one.score, 2, sign=True),
            f"{figure(one.score_before, 2, sign=True)} before",
        ),
        (
            "Nearest switch",
            MISSING if nearest is None else figure(nearest.distance, 2, sign=True),
            "" if nearest is None else f"to {short_state(nearest.regime)}",
        ),
        (
            "Worth",
            figure(worth.get("trade_edge"), 2, "%", sign=True),
            f"over {count_of(worth['horizon_days'], 'day')}, evidence {worth['evidence']}"
            if worth
            else "no run of it",
        ),
    ]
    trades = [row for row in one.trades if abs(row["trade"]) > 5e-5]
    line, zero = _line(one.history)
    return {
        **named,
        "tiles": [
            {"label": label, "value": value, "note": note, "tone": ""}
            for label, value, note in tiles
        ],
        "line": line,
        "zero": zero,
        "line_label": f"Score of the last {count_of(len(one.history), 'day')}, the line is 0",
        "text": f"{count_of(len(trades), 'trade')} at this close; "
        f"{count_of(len(one.missing_features), 'feature')} missing.",
    }


def _line(history: Sequence[float | None]) -> tuple[list[str], str]:
    """Return the scores as polylines, a new one after each gap, and where 0 lies."""
    known = [x for x in history if x is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    scale = (HEIGHT - 4) / ((high - low) or 1.0)

    def y(value: float) -> str:
        return f"{HEIGHT - 2 - (value - low) * scale:.1f}"

    parts: list[list[str]] = [[]]
    for place, value in enumerate(history):
        if value is None:
            parts.append([])
        else:
            parts[-1].append(f"{place * WIDTH / max(1, len(history) - 1):.1f},{y(value)}")
    return [" ".join(points) for points in parts if points], y(0.0)
