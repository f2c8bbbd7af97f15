"""The lake contract: which tables a lake has, what their columns are.

``TABLES`` is the only place where tables and columns are listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

FIRST_DAY: Final = "1970-01-01"
LAST_DAY: Final = "2199-12-31"
"""No market has days before the one or after the other: such a date is a vendor's error."""
Kind = Literal["text", "number", "date", "flag"]


@dataclass(frozen=True)
class TableSpec:
    """What one table of a lake holds.

    Parameters
    ----------
    required
        Whether a lake must have the table.
    columns
        Required columns and their kinds; other columns of the files are ignored.
    optional
        Columns that may be absent; where they are present their kind is checked.
    key
        The grain: columns that identify a row (those of them that the files have).
    least
        What the number must be: above 0, 0 or more, or anything (None).
    below
        The number's absolute value is below this; what is not is a unit error. Sums in fixed
        point are safe within it.
    """

    required: bool
    columns: Mapping[str, Kind]
    optional: Mapping[str, Kind]
    key: tuple[str, ...]
    least: Literal["positive", "not negative"] | None = None
    below: float = 1e15

    @property
    def all_columns(self) -> dict[str, Kind]:
        """Return required and optional columns and their kinds."""
        return {**self.columns, **self.optional}

    @property
    def value(self) -> str | None:
        """Return the name of the table's number, None for a table without one."""
        return next((name for name, kind in self.columns.items() if kind == "number"), None)


def _fact(
    value: str,
    least: Literal["positive", "not negative"] | None,
    *,
    required: bool,
    by_instrument: bool = False,
) -> TableSpec:
    """Return the spec of a daily table with one number per row."""
    return TableSpec(
        required=required,
        columns={"asset_id": "text", "date": "date", value: "number"},
        optional={"instrument_id": "text", "exchange": "text"} if by_instrument else {},
        key=("asset_id", "instrument_id", "exchange", "date")
        if by_instrument
        else ("asset_id", "date"),
        least=least,
    )


TABLES: Final[Mapping[str, TableSpec]] = MappingProxyType(
    {
        "fact_price": _fact("close", "positive", required=True),
        "fact_marketcap": _fact("marketcap", "positive", required=True),
        "fact_volume": _fact("volume", "not negative", required=True),
        "fact_funding": _fact("funding_rate", None, required=False, by_instrument=True),
        "fact_open_interest": _fact(
            "open_interest_usd", "not negative", required=False, by_instrument=True
        ),
        "dim_asset": TableSpec(
            required=False,
            columns={"asset_id": "text"},
            optional={
                "is_stable": "flag",
                "is_wrapped": "flag",
                "is_wrapped_stable": "flag",
                "is_exchange_token": "flag",
                "symbol": "text",
                "name": "text",
            },
            key=("asset_id",),
        ),
    }
)
SQL_TYPES: Final[Mapping[Kind, str]] = MappingProxyType(
    {"text": "varchar", "number": "double", "date": "date", "flag": "boolean"}
)
