"""Scores to states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

STATES = {
    5: [
        "STRONG_RISK_ON_ALTS",
        "WEAK_RISK_ON_ALTS",
        "BALANCED",
        "WEAK_RISK_ON_MAJORS",
        "STRONG_RISK_ON_MAJORS",
    ],
    3: ["RISK_ON_ALTS", "BALANCED", "RISK_ON_MAJORS"],
}


def classify(score: float, cuts: Sequence[float]) -> int:
    """Number of the state; a score on a cut belongs to the state nearer to BALANCED."""
    balanced = len(cuts) // 2
    state = balanced
    while state > 0 and score < cuts[state - 1]:
        state -= 1
    while state < len(cuts) and score > cuts[state]:
        state += 1
    return state


def next_state(
    state: int, age: int, score: float, cuts: Sequence[float], mapping: Mapping[str, Any]
) -> int:
    balanced = len(cuts) // 2
    persistence, bands = mapping["persistence"], mapping["hysteresis"]
    young = age < persistence["min_duration_days"]
    multiplier = 1.0
    if young and persistence["requires_stronger_signal"]:
        multiplier = 1.5
    elif young:
        return state

    raw = classify(score, cuts)
    while state != raw:
        step = 1 if raw > state else -1
        if state < balanced and step == 1:  # from an ALTS state towards BALANCED
            free = score > cuts[state] + bands["high_band"] * multiplier
        elif state > balanced and step == -1:  # from a MAJORS state towards BALANCED
            free = score < cuts[state - 1] + bands["low_band"] * multiplier
        else:  # away from BALANCED: raw lies beyond
            free = True
        if not free:
            break
        state += step
    return state
