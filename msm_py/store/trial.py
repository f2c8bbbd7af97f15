"""What became of one variant of a sweep."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Trial:
    """What became of one variant of a sweep.

    Parameters
    ----------
    run_id
        None for a variant that validation rejected.
    experiment_id, title
        Which variant.
    status
        ``complete`` (computed now), ``existing`` (was there), ``failed`` or ``rejected``.
    error, details
        Why it failed, in a paragraph and with the full traceback if there is one.
    started_at
        When its batch was started, UTC, ISO.
    seconds
        Its share of the time of its batch.
    """

    run_id: str | None
    experiment_id: str
    title: str
    status: str
    error: str | None = None
    details: str | None = None
    started_at: str | None = None
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the trial as JSON holds it."""
        return asdict(self)
