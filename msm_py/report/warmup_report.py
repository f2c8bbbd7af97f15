"""What ``msm check-warmup`` found."""

from __future__ import annotations

from rich.console import Group, RenderableType

from msm_py.report.figures import MISSING, count_of
from msm_py.report.layout import prose
from msm_py.report.line_list import LineColumn, line_list
from msm_py.report.terminal import Text
from msm_py.runner.warmup import Changed, Warmup, WithHistory


def progress_line(done: WithHistory, seconds: float) -> Text:
    """Return a line on a length that is done."""
    said = done.error or (
        ", ".join(done.changed) + " change" if done.changed else "nothing changes"
    )
    return Text(f"  {seconds:5.1f} s  {done.n_days} days: {said}")


def report(found: Warmup) -> RenderableType:
    """Return what changes with how much history, and from which length on nothing does."""
    enough = found.enough
    verdict = (
        f"From {count_of(enough, 'day')} of history on nothing changes."
        if enough is not None
        else f"Even {count_of(found.tried[-1].n_days, 'day')} of history, the most that was tried, "
        "change something: more history may change more."
    )
    rows = [(one, name, changed) for one in found.tried for name, changed in one.changed.items()]
    return Group(
        prose(
            f"{found.experiment_id}: first decision day {found.first_day}, the lake has "
            f"{count_of(found.n_days, 'day')} before it. With fewer of them, rows from that day "
            "on differ:"
        ),
        Text(),
        line_list(
            [
                LineColumn("days", [str(one.n_days) for one, _, _ in rows], is_needed=True),
                LineColumn("output", [name for _, name, _ in rows], "left", is_needed=True),
                LineColumn("rows", [f"{x.n_rows:,}" for _, _, x in rows], is_needed=True),
                LineColumn("missing", [f"{x.n_missing:,}" for _, _, x in rows], is_needed=True),
                LineColumn("at_most", [_largest(x) for _, _, x in rows], is_needed=True),
                LineColumn("last_day", [str(x.last_day) for _, _, x in rows], is_needed=True),
            ]
        )
        if rows
        else Text("none does with any length that was tried"),
        *(
            Text(f"{count_of(one.n_days, 'day')}: {one.error}")
            for one in found.tried
            if one.error is not None
        ),
        Text(),
        Text(verdict, style="bold green" if enough is not None else "bold yellow"),
    )


def _largest(changed: Changed) -> str:
    return MISSING if changed.largest is None else f"{changed.largest:.2g}"
