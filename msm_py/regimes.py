"""The states, in order from the most ALTS to the most MAJORS side, and the cuts between them."""

from __future__ import annotations

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
