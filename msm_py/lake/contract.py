"""The lake contract: which tables a lake has, what their columns are, which rows can be used.

``TABLES`` and ``REASONS`` are the only places where they are listed: the reader, the sources of dbt
and the tables of docs/lake.md follow them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

FIRST_DAY: Final = "1970-01-01"
LAST_DAY: Final = "2199-12-31"
"""No market has days before the one or after the other: such a date is a vendor's error."""
LEAST_MARKETCAP_USD: Final = 50_000_000.0
LEAST_VOLUME_USD: Final = 1_000.0
"""What an asset must have on a day to be an alt, unless an experiment says otherwise."""
Kind = Literal["text", "number", "date", "flag"]
Least = Literal["positive", "not negative"]


@dataclass(frozen=True)
class LakeColumn:
    """One column of a lake's table.

    Parameters
    ----------
    name, kind
        Its name and the kind of its values.
    description
        What it holds, without the unit.
    unit
        Of a number.
    required
        Whether files must have it; where an optional one is present its kind is checked.
    """

    name: str
    kind: Kind
    description: str
    unit: str | None = None
    required: bool = True

    @property
    def text(self) -> str:
        """Return description and unit in one line."""
        return self.description + ("" if self.unit is None else f" Unit: {self.unit}.")


@dataclass(frozen=True)
class TableSpec:
    """What one table of a lake holds.

    Parameters
    ----------
    required
        Whether a lake must have the table.
    description
        What a row is.
    declared
        Its columns; other columns of the files are ignored.
    staged
        The model that makes one sound row per key of it.
    key
        The grain: columns that identify a row (those of them that the files have).
    without
        What is lost in a lake that lacks it, if a lake may.
    least
        What the number must be: above 0, 0 or more, or anything (None).
    below
        The number's absolute value is below this; what is not is a unit error. Sums in fixed
        point are safe within it.
    one_of
        Of a table with more than one number: optional columns of which every file has at least
        one. The first of them that a row has is its number.
    in_units
        How an alias's `multiple` changes the number: of a price it is the divisor, of a count of
        coins the factor; a rate and an amount of USD stay (None).
    """

    required: bool
    description: str
    declared: tuple[LakeColumn, ...]
    staged: str
    key: tuple[str, ...]
    without: str = ""
    least: Least | None = None
    below: float = 1e15
    one_of: tuple[str, ...] = ()
    in_units: Literal["divided", "multiplied"] | None = None

    @property
    def columns(self) -> dict[str, Kind]:
        """Return required columns and their kinds."""
        return {column.name: column.kind for column in self.declared if column.required}

    @property
    def optional(self) -> dict[str, Kind]:
        """Return columns that may be absent, and their kinds."""
        return {column.name: column.kind for column in self.declared if not column.required}

    @property
    def all_columns(self) -> dict[str, Kind]:
        """Return required and optional columns and their kinds."""
        return {**self.columns, **self.optional}

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return the columns one of which is a row's number, the first that it has."""
        required = tuple(name for name, kind in self.columns.items() if kind == "number")
        return self.one_of or required

    @property
    def value(self) -> str | None:
        """Return the SQL of a row's number, None for a table without one."""
        if len(self.numbers) > 1:
            return f"coalesce({', '.join(self.numbers)})"
        return next(iter(self.numbers), None)


@dataclass(frozen=True)
class Reason:
    """Why a row never reaches a number.

    Parameters
    ----------
    name
        What reports call it.
    rule
        SQL that is true for such rows of a table with a number: ``{value}`` is the number's name,
        ``{below}`` the limit of its size.
    description
        The rule in words.
    least
        Only of tables whose number must be that.
    column
        Only of tables that have this column.
    """

    name: str
    rule: str
    description: str
    least: Least | None = None
    column: str | None = None

    def concerns(self, spec: TableSpec) -> bool:
        """Return whether rows of a table can be unusable for this reason."""
        return self.least in (None, spec.least) and (
            self.column is None or self.column in spec.all_columns
        )


MISSING_KEY: Final = Reason(
    "missing key", "asset_id is null or date is null", "asset_id or date is NULL"
)
REASONS: Final = (
    MISSING_KEY,
    Reason(
        "impossible date",
        f"date not between date '{FIRST_DAY}' and date '{LAST_DAY}'",
        f"a date before {FIRST_DAY[:4]} or after {LAST_DAY[:4]}",
    ),
    Reason("missing value", "{value} is null", "the number is NULL"),
    Reason("not a number", "isnan({value})", "NaN"),
    Reason("infinite", "isinf({value})", "plus or minus infinity"),
    Reason(
        "out of range",
        "abs({value}) >= {below}",
        "absolute value of 1e15 or more (of a supply 1e21): a unit error",
    ),
    Reason("not positive", "{value} <= 0", "close, market cap or supply of 0 or less", "positive"),
    Reason("negative", "{value} < 0", "volume or open interest below 0", "not negative"),
    Reason(
        "impossible interval",
        "not (interval_hours > 0 and interval_hours <= 24)",  # NaN is above everything
        "an interval of funding of 0 hours or less, or of more than 24",
        column="interval_hours",
    ),
)
"""The first that fits is a row's reason."""
DUPLICATE: Final = "duplicate"
"""The reason of a second row of one key with the same value, which is no fault of the row."""

ASSET_ID: Final = LakeColumn("asset_id", "text", "The asset as the lake names it, case-sensitive.")
DATE: Final = LakeColumn(
    "date", "date", "Calendar day t, UTC. The row is known at the close of t (24:00 UTC)."
)
INSTRUMENT: Final = (
    LakeColumn("instrument_id", "text", "The instrument, if the lake knows it.", required=False),
    LakeColumn("exchange", "text", "The exchange, if the lake knows it.", required=False),
)
TABLES: Final[Mapping[str, TableSpec]] = MappingProxyType(
    {
        "fact_price": TableSpec(
            required=True,
            description="One row per asset and day, duplicates not yet folded: closes.",
            declared=(ASSET_ID, DATE, LakeColumn("close", "number", "Close.", unit="USD")),
            staged="stg_prices",
            key=("asset_id", "date"),
            least="positive",
            in_units="divided",
        ),
        "fact_marketcap": TableSpec(
            required=False,
            without="runs need `fact_supply`, or `universe.rank_by: volume_30d`",
            description="One row per asset and day, duplicates not yet folded: market caps.",
            declared=(
                *(ASSET_ID, DATE),
                LakeColumn("marketcap", "number", "Market cap.", unit="USD"),
            ),
            staged="stg_marketcaps",
            key=("asset_id", "date"),
            least="positive",
        ),
        "fact_volume": TableSpec(
            required=True,
            description="One row per asset and day, duplicates not yet folded: daily volumes.",
            declared=(
                *(ASSET_ID, DATE),
                LakeColumn("volume", "number", "Volume of the 24 hours to the close.", unit="USD"),
            ),
            staged="stg_volumes",
            key=("asset_id", "date"),
            least="not negative",
        ),
        "fact_supply": TableSpec(
            required=False,
            description="One row per asset and day, duplicates not yet folded: supplies.",
            declared=(
                *(ASSET_ID, DATE),
                LakeColumn("circulating_supply", "number", "Coins in circulation.", unit="coins"),
            ),
            staged="stg_supplies",
            key=("asset_id", "date"),
            without="assets have the market caps of `fact_marketcap` only",
            least="positive",
            below=1e21,
            in_units="multiplied",
        ),
        "fact_funding": TableSpec(
            required=False,
            description="One row per asset, instrument, exchange and day, duplicates not yet "
            "folded: funding rates.",
            without="no `funding_skew`, no `funding_heating`; positions pay no funding",
            declared=(
                *(ASSET_ID, DATE),
                LakeColumn(
                    "funding_rate",
                    "number",
                    "Rate of one interval; longs pay a positive rate.",
                    unit="as lake.yaml says",
                    required=False,
                ),
                LakeColumn(
                    "funding_rate_1d_sum",
                    "number",
                    "Sum of the rates of the day's prints; wins over funding_rate.",
                    unit="as lake.yaml says",
                    required=False,
                ),
                LakeColumn(
                    "interval_hours",
                    "number",
                    "Interval that funding_rate is for; missing: as lake.yaml says.",
                    unit="hours",
                    required=False,
                ),
                *INSTRUMENT,
            ),
            staged="stg_funding",
            key=("asset_id", "instrument_id", "exchange", "date"),
            one_of=("funding_rate_1d_sum", "funding_rate"),
        ),
        "fact_open_interest": TableSpec(
            required=False,
            description="One row per asset, instrument, exchange and day, duplicates not yet "
            "folded: open interest.",
            without="no `oi_risk`; `funding_skew` is an equal-weight mean",
            declared=(
                *(ASSET_ID, DATE),
                LakeColumn(
                    "open_interest_usd", "number", "Open interest at the close.", unit="USD"
                ),
                *INSTRUMENT,
            ),
            staged="stg_open_interest",
            key=("asset_id", "instrument_id", "exchange", "date"),
            least="not negative",
        ),
        "dim_asset": TableSpec(
            required=False,
            description="One row per asset, duplicates not yet folded: what it is.",
            without="only the project's own list excludes stablecoins, wrapped assets and exchange "
            "tokens",
            declared=(
                ASSET_ID,
                LakeColumn("is_stable", "flag", "A stablecoin.", required=False),
                LakeColumn("is_wrapped", "flag", "A wrapped or staked derivative.", required=False),
                LakeColumn("is_wrapped_stable", "flag", "A wrapped stablecoin.", required=False),
                LakeColumn(
                    "is_exchange_token", "flag", "The token of an exchange.", required=False
                ),
                LakeColumn("symbol", "text", "What it is called on exchanges.", required=False),
                LakeColumn("name", "text", "What it is called by people.", required=False),
            ),
            staged="stg_assets",
            key=("asset_id",),
        ),
        "dim_listing": TableSpec(
            required=False,
            description="One row per perpetual, duplicates not yet folded: when it could be "
            "traded.",
            without="no `universe.listed_on`",
            declared=(
                ASSET_ID,
                LakeColumn("exchange", "text", "The exchange, as experiments name it."),
                LakeColumn("listed", "date", "First day at whose close it could be traded, UTC."),
                LakeColumn(
                    "delisted",
                    "date",
                    "First day at whose close it no longer could; missing: it still can.",
                    required=False,
                ),
                LakeColumn(
                    "instrument_id", "text", "The instrument, if the lake knows it.", required=False
                ),
            ),
            staged="stg_listings",
            key=("asset_id", "exchange", "instrument_id", "listed"),
        ),
    }
)
SQL_TYPES: Final[Mapping[Kind, str]] = MappingProxyType(
    {"text": "varchar", "number": "double", "date": "date", "flag": "boolean"}
)
