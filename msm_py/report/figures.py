"""Numbers in words: how figures, edges and p-values are shown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from msm_py._typing import Row
from msm_py.report.terminal import Text
from msm_py.store.edge_rows import SUMMARY_EDGES

MISSING: Final = "—"
SIGNIFICANCE: Final = 0.05


def figure(value: float | None, digits: int, unit: str = "", *, sign: bool = False) -> str:
    """Return a number as people write it: a dash when missing, never a minus before nothing.

    Parameters
    ----------
    value
        The number; a decimal fraction when the unit is ``%``.
    digits
        Decimals shown.
    unit
        What follows the number: ``%``, ``d`` (days) or nothing.
    sign
        Whether a plus is written.

    Examples
    --------
    >>> figure(-0.01234, 1, "%"), figure(-0.00001, 1, "%"), figure(0.5, 2, sign=True)
    ('-1.2%', '0.0%', '+0.50')
    >>> figure(None, 2), figure(float("nan"), 2)
    ('—', '—')
    """
    if value is None or math.isnan(value):
        return MISSING
    shown = round(value * 100 if unit == "%" else value, digits)
    if shown == 0:
        return f"{0:.{digits}f}{unit}"
    return f"{shown:{'+' if sign else ''},.{digits}f}{unit}"


def p_text(p: float | None) -> str:
    """Return a p-value with three decimals.

    Examples
    --------
    >>> p_text(0.0421), p_text(0.00001), p_text(None)
    ('0.042', '<.001', '—')
    """
    if p is None:
        return MISSING
    return "<.001" if p < 0.0005 else f"{p:.3f}"


STARRED: Final = (
    "* says that p_edge is at most 5% and the 95% CI excludes 0; where the evidence is normal as "
    "well, green is good for the trade and red is bad"
)


def excludes_zero(edge: Row) -> bool:
    """Return whether the tests speak against an edge of 0: p_edge and the interval.

    The interval is the bootstrap's: of the studentised one it excludes 0 exactly when p_value is at
    most 5%, and p_edge is the larger of that and p_shift; the percentile one may disagree.
    """
    if edge["p_edge"] is None or edge["ci_low"] is None:
        return False
    outside = edge["ci_low"] > 0 or edge["ci_high"] < 0
    return bool(outside and edge["p_edge"] <= SIGNIFICANCE)


def side_of(regime: str) -> str:
    """Return the side of a state: ALTS, MAJORS or BALANCED."""
    return regime.rsplit("_", 1)[-1]


def side_colour(regime: str) -> str:
    """Return the colour of a state's side."""
    return {"ALTS": "magenta", "MAJORS": "cyan"}.get(side_of(regime), "bright_black")


def short_state(regime: str) -> str:
    """Return a state's name for narrow columns: ``weak majors`` for WEAK_RISK_ON_MAJORS."""
    if regime in SUMMARY_EDGES:
        return regime
    return regime.replace("RISK_ON_", "").replace("_", " ").lower()


def edge_digits(edges: Iterable[Row], states: Iterable[Row] = ()) -> int:
    """Return the decimals of a horizon's percentages: fewer when one of them is long."""
    found = [edge[key] for edge in edges for key in ("estimate", "ci_low", "ci_high")]
    found += [state["mean"] for state in states]
    return 2 if all(abs(value) < 0.1 for value in found if value is not None) else 1


def points(value: float | None, digits: int) -> str:
    """Return a fraction in percent for a column whose head says so."""
    return figure(None if value is None else value * 100, digits)


def trade_edge_text(edge: Row, digits: int = 2, unit: str = "") -> Text:
    """Return what the trade gains, in percent."""
    shown = figure(edge["trade_edge"], digits, "%", sign=True)
    return Text(shown if unit else shown.rstrip("%"), style=_edge_style(edge))


def starred_p(edge: Row) -> Text:
    """Return p_edge, with a star when the tests speak against an edge of 0."""
    return Text(p_text(edge["p_edge"]) + "*" * excludes_zero(edge), style=_edge_style(edge))


def _edge_style(edge: Row) -> str:
    if not excludes_zero(edge) or edge["evidence"] != "normal":
        return ""
    return "green" if edge["trade_edge"] > 0 else "red"


def at_horizon(edge: Row) -> str:
    """Return an edge's horizon in words."""
    return f"at {count_of(edge['horizon_days'], 'day')}"


def trade_bounds(edge: Row, digits: int, unit: str = "") -> tuple[str, str]:
    """Return the ends of the interval of a trade edge, in percent: those of the edge, turned.

    Examples
    --------
    >>> trade_bounds({"ci_low": -0.0232, "ci_high": 0.0012}, 2)
    ('-0.12', '+2.32')
    """
    turned = [None if end is None else -end for end in (edge["ci_high"], edge["ci_low"])]
    low, high = (figure(end, digits, "%", sign=True) for end in turned)
    return (low, high) if unit else (low.rstrip("%"), high.rstrip("%"))


def trade_interval(edge: Row) -> str:
    """Return an edge of the trade with its interval, p_edge and evidence, in words."""
    digits = edge_digits([edge])
    low, high = trade_bounds(edge, digits, "%")
    return (
        f"{figure(edge['trade_edge'], digits, '%', sign=True)} "
        f"(CI {low} to {high}, p_edge {p_text(edge['p_edge'])}, evidence {edge['evidence']})"
    )


def states_of(edges: Iterable[Row]) -> str:
    """Return which states edge_best, edge_worst or the spread is of, in brackets.

    Examples
    --------
    >>> edges = [{"horizon_days": days, "regime": "RISK_ON_MAJORS"} for days in (1, 5)]
    >>> states_of(edges)
    ' (RISK_ON_MAJORS)'
    >>> states_of([*edges, {"horizon_days": 20, "regime": "RISK_ON_ALTS",
    ...                     "against_regime": "BALANCED"}])
    ' (RISK_ON_MAJORS at 1 and 5 days, RISK_ON_ALTS against BALANCED at 20 days)'
    """
    at: dict[str, list[int]] = {}
    for edge in edges:
        regime, against = edge.get("regime"), edge.get("against_regime")
        if regime is not None:
            name = regime if against is None else f"{regime} against {against}"
            at.setdefault(name, []).append(edge["horizon_days"])
    if len(at) < 2:
        return "".join(f" ({name})" for name in at)
    return f" ({', '.join(f'{name} at {joined(days)} days' for name, days in at.items())})"


def count_of(number: int | None, noun: str) -> str:
    """Return a number of things; a dash when it is missing.

    Examples
    --------
    >>> count_of(1, "day"), count_of(1200, "day")
    ('1 day', '1,200 days')
    """
    shown = MISSING if number is None else f"{number:,}"
    return f"{shown} {noun}{'' if number == 1 else 's'}"


def joined(values: Iterable[object]) -> str:
    """Return distinct values as a list in words, in their order."""
    *rest, last = dict.fromkeys(str(value) for value in values)
    return f"{', '.join(rest)} and {last}" if rest else last


def shown_value(value: object, digits: int, missing: str = "NULL") -> str:
    """Return a value, a number with so many digits."""
    if value is None:
        return missing
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def told_apart(left: object, right: object, missing: str = "NULL") -> tuple[str, str]:
    """Return two values, numbers with as many digits as it takes to see that they differ.

    Examples
    --------
    >>> told_apart(0.25, 0.5), told_apart(-0.00061234561, -0.00061234562)
    (('0.25', '0.5'), ('-0.00061234561', '-0.00061234562'))
    """
    for digits in range(6, 17):
        texts = shown_value(left, digits, missing), shown_value(right, digits, missing)
        if texts[0] != texts[1]:
            return texts
    return shown_value(left, 17, missing), shown_value(right, 17, missing)
