"""``lake.yaml``: what the tables of a lake do not say themselves."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError
from pydantic_core import ErrorDetails

from msm_py.errors import MOST_TOLD, MsmError, together
from msm_py.lake.aliases import Alias, checked
from msm_py.text import did_you_mean, dotted, shortened, shown
from msm_py.values import Date
from msm_py.yaml_file import read_yaml

LAKE_YAML: Final = "lake.yaml"

Unit = Literal["decimal", "percent", "bps"]

UNITS_PER_ONE: Final[Mapping[str, float]] = MappingProxyType(
    {"decimal": 1.0, "percent": 100.0, "bps": 10_000.0}
)


@dataclass(frozen=True)
class FundingUnit:
    """The unit of funding rates of one exchange over one range of dates.

    Parameters
    ----------
    exchange
        The value of fact_funding.exchange it holds for; None for every exchange that has no rows
        of its own. An exchange that has any row is covered on every date.
    from_date, until_date
        First and last day, both inclusive; None means open.
    unit
        What the vendor wrote: decimal fractions, percent or basis points.
    interval_hours
        Length of the interval that one rate is for.
    units_per_one
        ``funding_rate / units_per_one`` is the decimal rate per interval.
    """

    exchange: str | None
    from_date: date | None
    until_date: date | None
    unit: Unit
    interval_hours: float
    units_per_one: float


@dataclass(frozen=True)
class LakeSettings:
    """What the tables of a lake do not say themselves (``lake.yaml``).

    Parameters
    ----------
    name
        A label; the directory's name unless given.
    max_stale_days
        How long a price, market cap or volume is carried forward.
    funding_units
        One row per exchange and range of dates: the general rows first, then the exchanges in
        name order, each in date order.
    aliases
        Ids of the tables that stand for another asset, by id and in date order.
    """

    name: str
    max_stale_days: int
    funding_units: tuple[FundingUnit, ...]
    aliases: tuple[Alias, ...] = ()


class _Strict(BaseModel):
    """A part of lake.yaml that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Range(_Strict):
    """One range of dates and its unit."""

    from_date: Date | None = Field(default=None, alias="from")
    until_date: Date | None = Field(default=None, alias="until")
    unit: Unit


_Hours = Annotated[float, Field(gt=0, le=24, strict=True)]
_Units = Annotated[list[_Range], Field(min_length=1, max_length=1_000)]


class _Source(_Strict):
    """What holds for one exchange only."""

    exchange: str = Field(min_length=1)
    interval_hours: _Hours | None = None
    units: _Units | None = None


class _Funding(_Strict):
    """How funding rates are to be read."""

    interval_hours: _Hours = 8.0
    units: _Units = [_Range(unit="decimal")]
    sources: Annotated[list[_Source], Field(max_length=1_000)] = []


class _Alias(_Strict):
    """An id of the tables that stands for another asset."""

    id: str = Field(min_length=1)
    asset_id: str = Field(min_length=1)
    multiple: Annotated[float, Field(ge=1e-12, le=1e12, strict=True)] = 1.0
    from_date: Date | None = Field(default=None, alias="from")
    until_date: Date | None = Field(default=None, alias="until")


class _LakeYaml(_Strict):
    """The whole of lake.yaml."""

    name: str | None = Field(default=None, min_length=1)
    max_stale_days: Annotated[StrictInt, Field(ge=0, le=365)] = 3
    funding: _Funding = _Funding()
    aliases: Annotated[list[_Alias], Field(max_length=10_000)] = []


_PARTS: Mapping[tuple[str, ...], type[_Strict]] = {
    (): _LakeYaml,
    ("funding",): _Funding,
    ("funding", "units"): _Range,
    ("funding", "sources"): _Source,
    ("funding", "sources", "units"): _Range,
    ("aliases",): _Alias,
}


def read_settings(lake: Path) -> LakeSettings:
    """Return what the ``lake.yaml`` of a lake says, or the defaults when there is none.

    Parameters
    ----------
    lake
        The lake's directory.

    Raises
    ------
    MsmError
        As `read_yaml`; something else than a file with a map of keys, an unknown key, a wrong
        value, unit ranges that overlap or leave a gap, or as `msm_py.lake.aliases.checked`.
    """
    file = lake / LAKE_YAML
    name = lake.resolve().name or "lake"
    # by the names in the folder: some disks take Lake.yaml for lake.yaml
    if LAKE_YAML not in os.listdir(lake):
        _check_no_other_name(lake)
        return _settings(_LakeYaml(), file, name)
    if not file.is_file():  # a device or a pipe would be waited for
        raise MsmError(
            f"{LAKE_YAML} is not a file",
            where=str(file),
            received="a folder" if file.is_dir() else "a dangling link, a pipe or a device",
            remedy="put a file there, or remove it to get the defaults",
        )
    received = read_yaml(file)
    if received is None:
        received = {}
    if not isinstance(received, dict):
        raise MsmError(
            f"{LAKE_YAML} must be a map of keys",
            where=str(file),
            received="a list" if isinstance(received, list) else "a single value",
            remedy=f"its keys are {', '.join(_keys(_LakeYaml))}",
        )
    try:
        parsed = _LakeYaml.model_validate(received)
    except ValidationError as error:
        raise _yaml_error(file, error) from None
    return _settings(parsed, file, name)


def _check_no_other_name(lake: Path) -> None:
    """Refuse a lake.yml: what it says would be passed over in silence."""
    for entry in sorted(os.listdir(lake)):
        if entry.lower() in (LAKE_YAML, "lake.yml"):
            raise MsmError(
                f"the file must be called {LAKE_YAML}",
                where=str(lake / entry),
                received=entry,
                remedy=f"rename it to {LAKE_YAML}",
            )


def _yaml_error(file: Path, error: ValidationError) -> MsmError:
    """Return the complaints of pydantic in the words of this project, unknown keys first."""
    details = error.errors(include_url=False)
    details.sort(key=lambda detail: detail["type"] != "extra_forbidden")  # stable
    told = [_complaint(file, detail) for detail in details[:MOST_TOLD]]
    return together(told, n_more=len(details) - len(told))


def _complaint(file: Path, detail: ErrorDetails) -> MsmError:
    loc, kind, context = shortened(detail["loc"]), detail["type"], detail.get("ctx", {})
    where = f"{file}, {dotted(loc)}"
    if kind == "extra_forbidden":
        part = _PARTS.get(tuple(p for p in loc[:-1] if isinstance(p, str)), _LakeYaml)
        known = _keys(part)
        close = did_you_mean(str(loc[-1]), known)
        return MsmError(
            f"{LAKE_YAML} has an unknown key",
            where=where,
            received=f"{loc[-1]}" + (f" (did you mean {close}?)" if close else ""),
            remedy=f"the keys that can stand there are {', '.join(known)}",
        )
    if kind == "missing":
        return MsmError(
            f"{LAKE_YAML} has a key that is missing", where=where, remedy=f"add {loc[-1]}"
        )
    if kind == "msm_rule":
        what, remedy = context["what"].replace("{name}", str(loc[-1])), context["remedy"]
    else:
        message = detail["msg"]
        what, remedy = f"{LAKE_YAML} has a wrong value", message[:1].lower() + message[1:]
    value = detail["input"]  # quotes tell text from a number
    received = shown(repr(value) if isinstance(value, str) else value)
    return MsmError(what, where=where, received=received, remedy=remedy)


def _settings(parsed: _LakeYaml, file: Path, directory: str) -> LakeSettings:
    """Flatten lake.yaml; what a source does not say it takes from the general part."""
    funding = parsed.funding
    rows = _unit_rows(funding.units, funding.interval_hours, None, f"{file}, funding.units")
    named: set[str] = set()
    for source in sorted(funding.sources, key=lambda s: s.exchange):
        if source.exchange in named:
            raise MsmError(
                "an exchange is named twice",
                where=f"{file}, funding.sources",
                received=source.exchange,
                remedy="write all ranges of an exchange under one entry",
            )
        named.add(source.exchange)
        rows += _unit_rows(
            source.units or funding.units,
            source.interval_hours or funding.interval_hours,
            source.exchange,
            f"{file}, funding.sources ({source.exchange})",
        )
    aliases = checked([Alias(**dict(alias)) for alias in parsed.aliases], f"{file}, aliases")
    return LakeSettings(parsed.name or directory, parsed.max_stale_days, tuple(rows), aliases)


def _unit_rows(
    ranges: list[_Range], hours: float, exchange: str | None, where: str
) -> list[FundingUnit]:
    """Return ranges as rows in date order, after checking that they cover each day once."""
    ordered = sorted(ranges, key=lambda r: (r.from_date or date.min, r.until_date or date.max))
    for this in ordered:
        if this.from_date and this.until_date and this.from_date > this.until_date:
            raise MsmError(
                "a range of funding units ends before it starts",
                where=where,
                received=f"from {this.from_date} until {this.until_date}",
                remedy="both dates are inclusive; swap them",
            )
    for before, after in itertools.pairwise(ordered):
        end, start = before.until_date, after.from_date
        if end is None or start is None or start <= end:
            raise MsmError(
                "ranges of funding units overlap",
                where=where,
                received=f"{_span(before)} and {_span(after)}",
                remedy="both dates are inclusive: let each range start the day after the one before"
                + (f", from: {end + timedelta(days=1)}" if end and end < date.max else ""),
            )
        if start > end + timedelta(days=1):
            raise MsmError(
                "ranges of funding units leave a gap",
                where=where,
                received=f"no unit from {end + timedelta(days=1)} to {start - timedelta(days=1)}",
                remedy="let each range start the day after the one before it ends",
            )
    first, last = ordered[0].from_date, ordered[-1].until_date
    if first is not None or last is not None:
        raise MsmError(
            "ranges of funding units leave a gap",
            where=where,
            received=f"no unit before {first}" if first else f"no unit after {last}",
            remedy="leave out `from` of the first range and `until` of the last one",
        )
    return [
        FundingUnit(exchange, r.from_date, r.until_date, r.unit, hours, UNITS_PER_ONE[r.unit])
        for r in ordered
    ]


def _span(part: _Range) -> str:
    """Return a range of dates in words."""
    return f"{part.unit} {part.from_date or 'from the start'} to {part.until_date or 'the end'}"


def _keys(part: type[_Strict]) -> list[str]:
    """Return the keys of a part of lake.yaml as people write them."""
    return [field.alias or name for name, field in part.model_fields.items()]
