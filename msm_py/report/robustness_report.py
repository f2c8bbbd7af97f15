"""What ``msm run --robust`` does and shows: the neighbours of a run, its placebos, a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.rule import Rule

from msm_py._typing import Row
from msm_py.experiment.neighbours import PLACEBO
from msm_py.report.figures import figure, p_text
from msm_py.report.layout import PROSE_WIDTH
from msm_py.report.terminal import Table, Text
from msm_py.runner import robustness_panel
from msm_py.store import standard_spread

BINS: Final = 50
BARS: Final = " ▁▂▃▄▅▆▇█"
NOTE: Final = (
    f"Spread: its trade edge over the horizon nearest to {standard_spread.HORIZON_DAYS} days, in "
    "percent; plus is good for the trade. Flips: what has another sign than in the run (a spread "
    "with evidence none is not compared; empty: it holds nothing). Placebos are the run with its "
    "states rotated in time: the same stays, but no timing. Their p is one-sided, counts being in "
    "on calm days as timing, and knows nothing of runs tried before. Neighbours share most of "
    "their days with the run and with each other: how many of them agree is no p-value."
)


def panel(record: Row) -> RenderableType:
    """Return the panel of a run: neighbours by check, placebos, verdict.

    Parameters
    ----------
    record
        From `msm_py.store.robustness_records`.
    """
    rows, summary = record["rows"], record["summary"]
    near = [row for row in rows if row["check_name"] != PLACEBO]
    placebos = [row for row in rows if row["check_name"] == PLACEBO]
    return Group(
        Text(),
        Rule(Text("Robustness", style="bold"), align="left", style="dim"),
        Text.assemble((record["title"], "bold"), "  ", (record["run_id"], "cyan")),
        Text(),
        _table(near, summary),
        *_reasons(near),
        Text(),
        *_placebos(placebos, summary),
        Text(),
        Constrain(Text(verdict(record)), PROSE_WIDTH),
        Text(),
        Constrain(Text(NOTE, style="dim"), PROSE_WIDTH),
    )


def _table(rows: Sequence[Row], own: Row) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    for name in ("net\nSharpe", "\nchange", "\nCAGR", "spread's\nedge", "\np_edge", "\nevidence"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("\nflips", no_wrap=True)
    table.add_row(Text("the run", style="bold"), *_figures(own), "")
    for check, members in groupby(rows, key=lambda row: str(row["check_name"])):
        table.add_row(Text(check, style="bold"))
        for row in members:
            name = f"  {row['setting']}"
            if row["status"] == "complete":
                table.add_row(name, *_figures(row), _flips(row))
            elif row["status"] == "itself":
                table.add_row(name, *_figures(row), Text("the run", style="dim"))
            else:
                table.add_row(Text(name, style="dim"), *[""] * 6, Text(_fate(row), style="dim"))
    return table


def _reasons(rows: Sequence[Row]) -> Iterator[RenderableType]:
    """Yield why there are no figures: below the table, because in it they would squeeze them."""
    for row in rows:
        if row["status"] not in ("complete", "itself"):
            reason = str(row["note"]).splitlines()[0]
            line = f"{row['check_name']} {row['setting']}, {_fate(row)}: {reason}"
            yield Constrain(Text(line, style="dim"), PROSE_WIDTH)


def _fate(row: Row) -> str:
    return "skipped" if row["status"] == "skipped" else "FAILED"


def _figures(row: Row) -> Iterator[str]:
    yield figure(row["net_sharpe"], 2)
    yield figure(row.get("net_sharpe_change"), 2, sign=True) if "status" in row else ""
    yield figure(row["net_cagr"], 1, "%", sign=True)
    yield figure(_percent(row["spread_trade_edge"]), 2, sign=True)
    yield p_text(row.get("spread_p_edge"))
    yield row["spread_evidence"] or ""


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _flips(row: Row) -> Text:
    if row["sign_flips"] and row["edge_sign_flips"]:
        return Text("both", style="yellow")
    empty = "empty" if row["net_sharpe"] is None else ""
    name = "Sharpe" if row["sign_flips"] else "spread" if row["edge_sign_flips"] else empty
    return Text(name, style="yellow")


def _placebos(rows: Sequence[Row], summary: Row) -> Iterator[RenderableType]:
    values = sorted(row["net_sharpe"] or 0.0 for row in rows if row["status"] == "complete")
    n_failed = sum(row["status"] == "failed" for row in rows)
    own = summary["net_sharpe"]
    if not values or own is None:
        yield Text("no placebos to stand among", style="bold")
        return
    yield Text(f"net Sharpe of {len(values)} placebos", style="bold")
    low, high = min(values[0], own), max(values[-1], own)
    counts = [0] * BINS
    for value in values:
        counts[_bin(value, low, high)] += 1
    bars = "".join(BARS[-(-count * (len(BARS) - 1) // max(counts))] for count in counts)
    yield Text(f"  {low:+.2f} {bars} {high:+.2f}")
    yield Text(" " * (len(f"  {low:+.2f} ") + _bin(own, low, high)) + f"▲ the run, {own:+.2f}")
    median = values[len(values) // 2]
    yield Text(
        f"  above {figure(summary['placebo_percentile'], 0, '%')} of them, "
        f"p {p_text(summary['placebo_p'])}; their median is {median:+.2f}"
        + (f"; {n_failed} failed" if n_failed else "")
    )


def _bin(value: float, low: float, high: float) -> int:
    return min(int((value - low) / (high - low) * BINS), BINS - 1) if high > low else 0


def verdict(record: Row) -> str:
    """Return what the panel says, in a few sentences."""
    return " ".join(_sentences(record["rows"], record["summary"]))


def _sentences(rows: Sequence[Row], found: Row) -> Iterator[str]:
    near = [row for row in rows if row["check_name"] != PLACEBO and row["status"] == "complete"]
    sharpe = found["net_sharpe"]
    shown = {
        robustness_panel.ROBUST: "Robust, as far as this panel can tell.",
        robustness_panel.NOT_ROBUST: "Not robust.",
        robustness_panel.INCOMPLETE: (
            "Incomplete: nothing speaks against the run, but not all is known."
        ),
        robustness_panel.NOTHING: (
            "There is nothing to be robust about: the run has no net Sharpe ratio."
            if sharpe is None
            else f"There is nothing to be robust about: the net Sharpe ratio is {sharpe:.2f}."
        ),
    }
    yield shown[found["verdict"]]
    held = [row for row in near if row["net_sharpe"] is not None]
    empty = [row for row in near if row["net_sharpe"] is None]
    if held and sharpe is not None:
        flipped = [row for row in held if row["sign_flips"]]
        kept, other = ("positive", "negative") if sharpe > 0 else ("negative", "positive")
        if flipped:
            yield f"Net Sharpe turns {other} with {_among(flipped, near)}."
        else:
            which = " that hold anything" if empty else ""
            yield f"Net Sharpe stays {kept} with all {len(held)} neighbours{which}."
        yield (
            f"The worst is {figure(found['worst_net_sharpe'], 2)} "
            f"({found['worst_check']} {found['worst_setting']})."
        )
    if empty and sharpe is not None:
        yield f"It holds nothing with {_among(empty, near)}."
    compared = [row for row in near if row["edge_sign_flips"] is not None]
    if compared:
        flipped = [row for row in near if row["edge_sign_flips"]]
        edge = figure(found["spread_trade_edge"], 2, "%", sign=True)
        subject = f"The spread's trade edge ({edge} over {found['spread_horizon_days']} days)"
        if flipped:
            yield f"{subject} changes its sign with {_among(flipped, compared)}."
        else:
            yield f"{subject} keeps its sign."
    elif near:
        yield (
            "The spread cannot be compared: its states were seen too seldom, or the window is too "
            "short."
        )
    if found["placebo_p"] is not None:
        beaten = found["placebo_p"] <= robustness_panel.SIGNIFICANCE
        yield (
            f"The run stands above {figure(found['placebo_percentile'], 0, '%')} of its "
            f"{found['n_placebos']} placebos (p {p_text(found['placebo_p'])}): its timing "
            + ("is better than chance at 5%." if beaten else "is not better than chance at 5%.")
        )
    if found["n_placebos"] < robustness_panel.FEWEST_PLACEBOS:
        yield (
            f"There are {found['n_placebos']} placebos, too few for a p of 5%: the window is short."
        )
    if found["n_failed"]:
        yield f"{found['n_failed']} neighbours or placebos failed."


def _among(flipped: Sequence[Row], near: Sequence[Row]) -> str:
    """Return how many flip, and which, settings of a check together."""
    parts = [
        f"{check} {', '.join(row['setting'] for row in members)}"
        for check, members in groupby(flipped, key=lambda row: str(row["check_name"]))
    ]
    return f"{len(flipped)} of {len(near)} neighbours ({'; '.join(parts)})"
