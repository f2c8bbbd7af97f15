"""The values of an experiment as people write them, and the parts of a message when they are wrong.

Each reader takes what YAML, JSON or dbt's ``--vars`` handed over, returns the one value that is
meant, and raises a `rule` that names no place: where it happened is said by the translator.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Final, Literal, TypeVar, get_args

from pydantic import BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError, PydanticKnownError

from msm_py.text import did_you_mean
from msm_py.values import Text, lower_case, read_integer, read_number, rule

H = TypeVar("H", int, str)
# Bounds that no honest value meets: what lies beyond is a slip, and would overflow further on.
LONGEST_DAYS = 36_500  # a century
LARGEST = 1e6  # weights, cuts, bands, coefficients
LARGEST_USD = 1e15
LARGEST_MULTIPLE = 100.0  # of the capital, or of the gross
MOST_BASIS_POINTS = 10_000.0  # all that is traded
MOST_ASSETS = 100_000
MOST_MAJORS = 1_000
MOST_FEATURES = 1_000
MOST_HORIZONS = 250


def read_block_size(value: object) -> object:
    """Read ``auto`` or a number of days."""
    if value == "auto":
        return value
    try:
        size = read_integer(value)
    except PydanticCustomError:
        size = 0
    if not 1 <= size <= LONGEST_DAYS:
        raise rule(
            "{name} is neither auto nor a whole number of days from 1",
            remedy="write auto (max(20, 3 x horizon) days) or a number of days, such as 10",
        )
    return size


def bounded(values: object) -> object:
    """See that a list of features is no longer than may be, before each one is complained of."""
    if isinstance(values, list | tuple) and len(values) > MOST_FEATURES:
        raise PydanticKnownError(
            "too_long",
            {"field_type": "List", "max_length": MOST_FEATURES, "actual_length": len(values)},
        )
    return values


def sorted_unique(values: tuple[H, ...]) -> tuple[H, ...]:
    """Sort what means a set; a value given twice is a slip that someone should see."""
    in_order = sorted(values)
    for one, other in pairwise(in_order):
        if one == other:
            raise rule("{name} lists a value twice", received=one, remedy="keep one of them")
    return tuple(in_order)


def known_feature(feature_id: str, info: ValidationInfo) -> str:
    """Look a feature up among the ``feature_ids`` of the validation context, if it has any."""
    known: Sequence[str] | None = (info.context or {}).get("feature_ids")
    if known is not None and feature_id not in known:
        close = did_you_mean(feature_id, known)
        hint = f"did you mean {close}? " if close else ""
        raise rule(
            "unknown feature",
            remedy=f"{hint}the features are {', '.join(known)} (seeds/feature_registry.csv)",
        )
    return feature_id


AssetId = Text
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST), BeforeValidator(read_number)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST), BeforeValidator(read_number)]
NotPositive = Annotated[float, Field(ge=-LARGEST, le=0), BeforeValidator(read_number)]
Positive = Annotated[float, Field(gt=0, le=LARGEST), BeforeValidator(read_number)]
Usd = Annotated[float, Field(ge=0, le=LARGEST_USD), BeforeValidator(read_number)]
PositiveUsd = Annotated[float, Field(gt=0, le=LARGEST_USD), BeforeValidator(read_number)]
Multiple = Annotated[float, Field(ge=0, le=LARGEST_MULTIPLE), BeforeValidator(read_number)]
BasisPoints = Annotated[float, Field(ge=0, le=MOST_BASIS_POINTS), BeforeValidator(read_number)]
Share = Annotated[float, Field(ge=0, lt=1), BeforeValidator(read_number)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(read_integer)]
Days = Annotated[int, Field(ge=1, le=LONGEST_DAYS), BeforeValidator(read_integer)]
DaysFromZero = Annotated[int, Field(ge=0, le=LONGEST_DAYS), BeforeValidator(read_integer)]
_Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: Final[tuple[str, ...]] = get_args(_Weekday)
Weekday = Annotated[_Weekday, BeforeValidator(lower_case)]
