"""The states, in order from ALTS to MAJORS, the cuts between them, and what they are judged on."""

from __future__ import annotations

ALL, BEFORE, HOLDOUT = "all", "before", "holdout"
"""Samples of decision days: all, and where a look opened the hold-out those before and in it."""
BALANCED = 2
CUTS = ("strong_low", "low", "high", "strong_high")
REGIMES_OF: dict[int, tuple[str, ...]] = {
    5: (
        "STRONG_RISK_ON_ALTS",
        "WEAK_RISK_ON_ALTS",
        "BALANCED",
        "WEAK_RISK_ON_MAJORS",
        "STRONG_RISK_ON_MAJORS",
    ),
    3: ("RISK_ON_ALTS", "BALANCED", "RISK_ON_MAJORS"),
}
"""The states in that order, by their number."""
STATE_ORDER: dict[str, int] = {
    name: place
    for names in REGIMES_OF.values()
    for place, name in enumerate(names, start=3 - len(names) // 2)
}
"""Place of a state from ALTS (1) to MAJORS (5), BALANCED being 3; of three states 2 to 4."""
