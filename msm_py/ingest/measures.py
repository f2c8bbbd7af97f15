"""What vendors measure, and which column of the lake each measure makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

RATE_UNITS: Final = {"decimal": 1.0, "percent": 100.0, "bps": 10_000.0}


@dataclass(frozen=True)
class Fields:
    """What a table of a source is made of.

    Parameters
    ----------
    measure
        What its number is.
    column
        The vendor's column of it.
    divisor
        What its numbers are divided by: 100 for percent.
    interval
        Of funding rates: the column of the interval, or its hours; None: from the spacing.
    missing
        Texts that say there is no value, beside those of the mapping.
    """

    measure: str
    column: str
    divisor: float = 1.0
    interval: str | float | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fill:
    """How a mapping fills a table of the lake.

    Parameters
    ----------
    value
        The key of its number.
    measures
        The measure by unit; the first is the default.
    """

    value: str
    measures: Mapping[str, str]
    kind: Literal["level", "flow", "print"]

    def fault(self, fields: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return what is wrong with the fields of a mapping, and the remedy; None when nothing."""
        allowed = {self.value, "unit", "missing"}
        allowed |= {"interval_hours"} if self.kind == "print" else set()
        units = RATE_UNITS if self.kind == "print" else self.measures
        if self.value not in fields or not isinstance(fields[self.value], str):
            return f"{self.value} is missing", f"name the vendor's column: {self.value}: COLUMN"
        if unknown := fields.keys() - allowed:
            return f"unknown key {min(unknown)}", f"the keys are {', '.join(sorted(allowed))}"
        if "unit" not in fields and len(units) > 1:
            return "the unit is not said", f"say unit: {' or '.join(units)}; nothing is guessed"
        if fields.get("unit", next(iter(units))) not in units:
            return "there is no such unit", f"the units are {', '.join(units)}"
        if not isinstance(fields.get("missing", []), list):
            return "missing is no list", "write missing: [0]"
        return None

    def read(self, fields: Mapping[str, Any]) -> Fields:
        """Return the fields of a mapping without fault."""
        unit = str(fields.get("unit", next(iter(self.measures))))
        if self.kind == "print":
            measure, divisor = next(iter(self.measures.values())), RATE_UNITS[unit]
        else:
            measure, divisor = self.measures[unit], 1.0
        missing = tuple(map(str, fields.get("missing", ())))
        column, interval = str(fields[self.value]), fields.get("interval_hours")
        return Fields(measure, column, divisor, interval, missing)


TABLES: Final[Mapping[str, Fill]] = {
    "fact_price": Fill("close", {"usd": "close"}, "level"),
    "fact_marketcap": Fill("marketcap", {"usd": "marketcap"}, "level"),
    "fact_volume": Fill("volume", {"usd": "volume_usd", "base": "volume_base"}, "flow"),
    "fact_supply": Fill("circulating_supply", {"coins": "circulating_supply"}, "level"),
    "fact_funding": Fill("funding_rate", {"decimal": "funding_rate"}, "print"),
    "fact_open_interest": Fill(
        "open_interest", {"usd": "open_interest_usd", "base": "open_interest_base"}, "level"
    ),
}
"""Tables that an ingest fills, in the order of the lake's contract."""
MEASURES: Final = {
    measure: table for table, fill in TABLES.items() for measure in fill.measures.values()
}
"""The table of every measure."""
