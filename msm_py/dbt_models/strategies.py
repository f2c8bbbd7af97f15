"""The rows of the dbt model ``strategies``, as Python reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Strategy:
    """What a run trades; every field is the column of that name, see there."""

    strategy_id: str
    control_id: str
    target_id: str
    schedule_id: str
    short_leg_id: str
    long_leg_id: str
    feature_panel_id: str
    eligibility_panel_id: str
    first_date: date
    last_date: date
