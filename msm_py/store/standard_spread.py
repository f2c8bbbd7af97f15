"""The one edge of a run that lists show: the spread over the horizon nearest to five days."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msm_py._typing import Row

EDGE: Final = "spread"
HORIZON_DAYS: Final = 5  # of two horizons as near to it, the shorter one


def of_edges(edges: Iterable[Row]) -> dict[str, Any]:
    """Return that edge among the edges of one run; nothing when it has no spread.

    Examples
    --------
    >>> of_edges([{"edge": "spread", "horizon_days": days} for days in (1, 8, 2)])
    {'edge': 'spread', 'horizon_days': 2}
    """
    return dict(
        min(
            (edge for edge in edges if edge["edge"] == EDGE),
            key=lambda edge: (abs(edge["horizon_days"] - HORIZON_DAYS), edge["horizon_days"]),
            default={},
        )
    )


SQL: Final = f"""
    select * from edges
    where edge = '{EDGE}'
    qualify row_number() over (
        partition by run_id order by abs(horizon_days - {HORIZON_DAYS}), horizon_days
    ) = 1
"""
"""The query of that edge for every run of a warehouse."""
