"""The values of an experiment as people write them, and the parts of a message when they are wrong.

Each reader takes what YAML, JSON or dbt's ``--vars`` handed over, returns the one value that is
meant, and raises a `rule` that names no place: where it happened is told by the translator.
"""

from __future__ import annotations

import datetime as dt
import difflib
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, StrictStr, ValidationInfo
from pydantic_core import PydanticCustomError

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
EARLIEST_DAY = dt.date(1900, 1, 1)


# --- Messages ----------------------------------------------------------------------------------


def rule(what: str, *, remedy: str, key: str = "", received: object = ...) -> PydanticCustomError:
    """Return the error of a broken rule, in the parts of an `MsmError`.

    Parameters
    ----------
    what, remedy
        As in `MsmError`; ``{name}`` in ``what`` stands for the key it is found at.
    key
        The dotted key it is about, relative to where the validator sits.
    received
        The offending value; the validator's input when left out.
    """
    context: dict[str, object] = {"what": what, "remedy": remedy, "key": key}
    return PydanticCustomError(
        "msm_rule", "{what}", context if received is ... else {**context, "received": received}
    )


def did_you_mean(word: str, options: Iterable[str]) -> str | None:
    """Return the option that is spelled most like ``word``, or None.

    Examples
    --------
    >>> did_you_mean("funding_scew", ["funding_skew", "momentum"])
    'funding_skew'
    """
    by_lower_case = {option.lower(): option for option in options}
    matches = difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[matches[0]] if matches else None


# --- Values as people write them -----------------------------------------------------------------


def read_number(value: object) -> float:
    """Read a finite number; PyYAML hands ``2e8`` over as text."""
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not math.isfinite(number):
        raise rule(
            "{name} is not a finite number", remedy="write a number, such as 0.5, 2e8 or 50_000_000"
        )
    return number + 0.0  # -0.0 and 0.0 mean the same


def read_integer(value: object) -> int:
    """Read a whole number; ``20.0`` and ``2e1`` are 20."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    number = read_number(value)
    if not number.is_integer():
        raise rule("{name} is not a whole number", remedy="write a whole number, such as 20")
    return int(number)


def read_date(value: object) -> dt.date:
    """Read a calendar day; a time of day would be a claim that a daily grid cannot keep."""
    day = None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        day = value
    elif isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        with suppress(ValueError):
            day = dt.date.fromisoformat(value)
    if day is None:
        raise rule("{name} is not a date", remedy="write a day as YYYY-MM-DD, such as 2023-07-01")
    if day < EARLIEST_DAY:
        raise rule("{name} is too early", remedy=f"write a day from {EARLIEST_DAY} on")
    return day


def read_text(value: object) -> object:
    """Explain YAML's habit of reading ``ON``, ``NO`` and ``42`` as something else than text."""
    if not isinstance(value, str):
        raise rule(
            "{name} is not text",
            remedy="put it in quotes: YAML reads ON, NO, YES and bare numbers as other things",
        )
    if not value.strip():
        raise rule("{name} is empty", remedy="write something between the quotes")
    return value.strip()


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


def lower_case(value: object) -> object:
    """Let people write Monday."""
    return value.lower() if isinstance(value, str) else value


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


Text = Annotated[StrictStr, BeforeValidator(read_text)]
AssetId = Text
Date = Annotated[dt.date, BeforeValidator(read_date)]
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
Weekday = Annotated[
    Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    BeforeValidator(lower_case),
]
