"""Values as people write them in YAML, and the parts of a message when they are wrong."""

from __future__ import annotations

import datetime as dt
import math
import re
from contextlib import suppress
from typing import Annotated

from pydantic import BeforeValidator, StrictStr
from pydantic_core import PydanticCustomError

EARLIEST_DAY = dt.date(1900, 1, 1)


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


def lower_case(value: object) -> object:
    """Let people write Monday."""
    return value.lower() if isinstance(value, str) else value


Text = Annotated[StrictStr, BeforeValidator(read_text)]
Date = Annotated[dt.date, BeforeValidator(read_date)]
