"""Edges of one run as rows: those of older versions, and which of them ask the same question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msm_py._typing import Row

SUMMARY_EDGES: Final = ("edge_best", "edge_worst", "spread")


def read(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows of edges with ``p_edge``, which runs of before 0.3.0 have not.

    Examples
    --------
    >>> read([{"p_value": 0.02, "p_shift": 0.03}])[0]["p_edge"]
    0.03
    """
    return [{**row} if "p_edge" in row else {**row, "p_edge": _p_edge(row)} for row in rows]


def _p_edge(row: Row) -> float | None:
    known = [row["p_value"], row["p_shift"]]
    return None if None in known else max(known)


def two_states(edges: Sequence[Row]) -> set[int]:
    """Return the horizons at which both edges and the spread are one hypothesis.

    Parameters
    ----------
    edges
        All edges of a run.

    Examples
    --------
    >>> names = ("RISK_ON_ALTS", "RISK_ON_MAJORS", "spread")
    >>> two_states([{"horizon_days": 5, "edge": name, "estimate": 0.1} for name in names])
    {5}
    """
    known = [edge for edge in edges if edge["estimate"] is not None]
    spreads = {edge["horizon_days"] for edge in known if edge["edge"] == "spread"}
    states = [edge["horizon_days"] for edge in known if edge["edge"] not in SUMMARY_EDGES]
    return {horizon for horizon in spreads if states.count(horizon) == 2}


def hypotheses(edges: Sequence[Row]) -> list[Row]:
    """Return the tested edges of states and spreads, without those that repeat another's test.

    edge_best and edge_worst repeat a state; where two states are present, their edges repeat the
    spread.

    Parameters
    ----------
    edges
        All edges of a run.
    """
    one = two_states(edges)
    return [
        edge
        for edge in edges
        if edge["p_edge"] is not None
        and edge["edge"] not in SUMMARY_EDGES[:2]
        and (edge["edge"] == "spread" or edge["horizon_days"] not in one)
    ]
