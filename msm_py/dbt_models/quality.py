"""What stands in quality.json: what checks of the data found in a run's decision days, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msm_py._typing import Row
from msm_py.store import layout
from msm_py.store.formats import clean

NAMED: Final = 5
"""Findings of a check that its sentence names."""
NAMED_IN_BRIEF: Final = 2
SEVERITIES: Final = ("error", "warn", "info")
_VALUES: Final[Mapping[str, str]] = {
    "return": "{:+,.0%}",
    "rate": "{:+.1%}",
    "ratio": "{:.3g}x",
    "z": "{:+.1f}",
}


def quality(checks: Iterable[Row], findings: Sequence[Row]) -> dict[str, Any]:
    """Return what stands in quality.json.

    Parameters
    ----------
    checks
        The rows of the seed `quality_checks`.
    findings
        The run's rows of the model `quality_findings`, those of a check by their place.

    Returns
    -------
    dict
        ``checks``, all of them by name, the most severe first: how much each found and what is
        told of it, in few words (``brief``) and with what it means (``text``), both None where it
        found nothing. ``findings``: columns as `layout.QUALITY_COLUMNS` has them.
    """
    by_check: dict[str, list[Row]] = {}
    for row in findings:
        by_check.setdefault(row["check_name"], []).append(row)
    told = {}
    for check in sorted(checks, key=_order):
        rows = by_check.get(check["check_name"], [])
        total = rows[0]["n_findings"] if rows else 0
        told[check["check_name"]] = {
            "severity": check["severity"],
            "n_findings": total,
            "brief": _brief(check, rows, total, NAMED_IN_BRIEF) if rows else None,
            "text": f"{_brief(check, rows, total, NAMED)}. {check['meaning']}." if rows else None,
        }
    return {
        "checks": told,
        "findings": [
            {name: clean(row[name]) for name in layout.QUALITY_COLUMNS}
            for name_of_check in told
            for row in by_check.get(name_of_check, [])
        ],
    }


def _order(check: Row) -> tuple[int, str]:
    return SEVERITIES.index(check["severity"]), check["check_name"]


def texts(found: Mapping[str, Any], severity: str) -> list[str]:
    """Return what the checks of a severity tell of a run, a text each.

    Parameters
    ----------
    found
        What `quality` returned.
    severity
        error, warn or info.
    """
    checks = found["checks"].values()
    return [x["text"] for x in checks if x["text"] and x["severity"] == severity]


def _brief(check: Row, rows: Sequence[Row], total: int, n: int) -> str:
    more = f" and {total - n:,} more" if total > n else ""
    named = ", ".join(finding_in_words(row, check["unit"]) for row in rows[:n])
    return f"{check['title']}: {named}{more}"


def finding_in_words(row: Row, unit: str) -> str:
    """Return a finding in words: what, how much, when.

    Examples
    --------
    >>> days = {"first_day": "2026-01-28", "last_day": "2026-01-30", "n_days": 3}
    >>> finding_in_words({"subject": "alts", **days, "value": 3, "detail": None}, "days")
    'alts 3 days from 2026-01-28 to 2026-01-30'
    >>> day = {"first_day": "2026-01-28", "last_day": "2026-01-28", "n_days": 1}
    >>> finding_in_words({"subject": "TAO", **day, "value": 695.1, "detail": None}, "return")
    'TAO +69,510% on 2026-01-28'
    >>> finding_in_words({"subject": "alts", **day, "value": 0.6, "detail": "5 -> 8"}, "assets")
    'alts 5 -> 8 on 2026-01-28'
    """
    several = row["n_days"] > 1
    words = [row["subject"]]
    if unit in _VALUES:
        words.append(_VALUES[unit].format(row["value"]))
    elif row["detail"]:
        words.append(row["detail"])
    elif several:
        words.append(f"{row['n_days']:,} days")
    words.append(
        f"from {row['first_day']} to {row['last_day']}" if several else f"on {row['first_day']}"
    )
    return " ".join(words)
