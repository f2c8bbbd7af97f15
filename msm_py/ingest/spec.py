"""What a spec of an ingest says: sources, how their files are read, ids, priorities."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from msm_py.errors import MOST_TOLD, MsmError, together
from msm_py.ingest.measures import TABLES, Fields
from msm_py.ingest.vintages import Revisions
from msm_py.text import did_you_mean, dotted, listed, shortened, shown
from msm_py.values import rule
from msm_py.yaml_file import read_yaml

MAPPINGS: Final = Path(__file__).parent / "mappings"
BESIDE: Final = ("dim_asset.parquet", "dim_listing.parquet", "exclude.csv")
_READING_DIGITS: Final = 10


class Section(BaseModel):
    """A map of the YAML: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Read(Section):
    """How rows stand in a file."""

    format: Literal["csv", "json", "parquet", "feather"] | None = Field(
        default=None,
        description="csv, json, parquet or feather, each plain, in .gz or in .zip; without it as "
        "the file's name ends, and csv for any other end.",
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    skip: Annotated[int, Field(ge=0, le=1_000)] = Field(
        default=0, description="Lines before the header, or before the first row without one."
    )
    columns: list[str] | None = Field(
        default=None, description="Names of the columns of a file without a header (or of arrays)."
    )
    records: str | None = Field(
        default=None, description="JSON: where the list of rows is, such as result.list."
    )
    arrays: Literal["rows", "parallel"] | None = Field(
        default=None,
        description="JSON: rows are arrays (named by columns), or each key is a list of "
        "[time, value] (parallel).",
    )


class Time(Section):
    """What a stamp is."""

    column: str = Field(description="The column of the stamp.")
    unit: Literal["auto", "s", "ms", "us", "ns"] = Field(
        default="auto",
        description="Of numbers: since 1970, row by row by their size unless said. Texts are dates "
        "and times.",
    )
    zone: str | None = Field(
        default=None,
        description="Of a text without a zone of its own: UTC, +03:00 or Europe/Berlin.",
    )
    means: Literal["bar_start", "bar_end", "instant"] = Field(
        description="Start or end of a bar, or the instant of a sample or print."
    )
    span_hours: float | str | None = Field(
        default=None,
        description="Length of a bar: hours; or the column of its end; or `auto`, as the name of "
        "the file says it (a part such as `-1h-` or `_1d.`), else its smallest spacing.",
    )
    newest: Literal["over", "running"] = Field(
        default="over",
        description="`running`: the newest bar of a file is of a day that was not over; it is "
        "left out.",
    )

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is None or re.fullmatch(r"[+-][0-9]{2}:[0-9]{2}", zone):
            return zone
        try:
            ZoneInfo(zone)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise rule(
                "there is no such zone",
                key="",
                received=zone,
                remedy="write UTC, an offset (+03:00 is three hours ahead of it) or a name such as "
                "Europe/Berlin",
            ) from None
        return zone


class Asset(Section):
    """Who a row is about."""

    place: Literal["column", "filename", "folder", "answer", "columns", "constant"] = Field(
        alias="from",
        description="column: of each row; filename, folder: of the file; answer: of the JSON "
        "around the rows; columns: each column but the stamp's is an asset, its number is called "
        "`value`; constant: one for all files.",
    )
    column: str | None = Field(default=None, description="from column: which one.")
    pattern: str | None = Field(
        default=None,
        description="from filename or folder: a regular expression with one group, the id.",
    )
    path: str | None = Field(default=None, description="from answer: where, as result.symbol.")
    value: str | None = Field(default=None, description="from constant: the id.")
    scheme: str = Field(
        description="Whose ids these are, as in ids.csv; of `own` those that are not in it are "
        "asset ids themselves."
    )

    @model_validator(mode="after")
    def _said(self) -> Asset:
        need = ASSET_NEEDS[self.place]
        given = {name for name in NEEDED if getattr(self, name) is not None}
        if given != ({need} if need else set()) and not (
            self.place == "folder" and not given  # the whole name of the folder
        ):
            raise rule(
                f"an asset from {self.place} is told by {need or 'nothing else'}",
                key=need or "from",
                received=listed(sorted(given)) or "nothing",
                remedy=f"write {{from: {self.place}, {f'{need}: ..., ' * bool(need)}scheme: ...}}",
            )
        if self.pattern is not None:
            try:
                n_groups = re.compile(self.pattern).groups
                found = f"{n_groups} groups"
            except re.error as error:
                n_groups, found = 0, str(error)
            if n_groups != 1:
                raise rule(
                    "a pattern is a regular expression with one group",
                    key="pattern",
                    received=f"{self.pattern} ({found})",
                    remedy="put the id into ( ), other groups into (?: )",
                )
        return self


ASSET_NEEDS: Final[Mapping[str, str | None]] = {
    "column": "column",
    "filename": "pattern",
    "folder": "pattern",
    "answer": "path",
    "columns": None,
    "constant": "value",
}
NEEDED: Final = ("column", "pattern", "path", "value")
Missing = list[Annotated[str, BeforeValidator(str)]]
Fields_ = dict[str, str | float | list[str | float]]


class Mapping_(Section):
    """How the files of a source become observations: the keys of a source that say how."""

    description: str = ""
    read: Read = Read()
    time: Time
    asset: Asset
    exchange: str | None = None
    instrument: bool | str = False
    optional: list[str] = []
    rows: dict[str, Missing] = {}
    missing: Missing = ["", "null", "None", "nan", "NaN"]
    tables: dict[str, Fields_]

    @model_validator(mode="after")
    def _known_tables(self) -> Mapping_:
        for name, fields in self.tables.items():
            if name not in TABLES:
                raise rule(
                    "there is no such table to fill",
                    key=f"tables.{name}",
                    received=name,
                    remedy=f"the tables are {', '.join(TABLES)}",
                )
            fault = TABLES[name].fault(fields)
            if fault is not None:
                what, remedy = fault
                raise rule(what, key=f"tables.{name}", received=shown(fields), remedy=remedy)
        return self

    def fields(self) -> Mapping[str, Fields]:
        """Return what each table is made of."""
        return {name: TABLES[name].read(fields) for name, fields in self.tables.items()}


class SourceSpec(Section):
    """A source: files, and how they are read."""

    id: str = Field(description="Its name: small letters, digits and underscores, at most 60.")
    files: str | list[str] = Field(
        description="Patterns of paths, seen from the spec; `**` stands for any folders."
    )
    first_day: date | None = Field(
        default=None, alias="from", description="First day of which it is used, inclusive."
    )
    last_day: date | None = Field(
        default=None, alias="to", description="Last day of which it is used, inclusive."
    )
    mapping: str | None = Field(
        default=None, description="A built-in mapping; what follows stands above it."
    )
    read: dict[str, Any] = Field(default={}, description="How rows stand in a file.")
    time: dict[str, Any] = Field(default={}, description="What a stamp is.")
    asset: dict[str, Any] = Field(default={}, description="Who a row is about.")
    exchange: str | None = Field(default=None, description="The venue, or `=COLUMN`.")
    instrument: bool | str | None = Field(
        default=None,
        description="true: the vendor's id names an instrument of the exchange; or `=COLUMN`.",
    )
    optional: list[str] | None = Field(
        default=None, description="Columns that some of the files have and others lack."
    )
    rows: dict[str, Missing] | None = Field(
        default=None, description="Only rows are read whose column has one of these texts."
    )
    missing: Missing | None = Field(
        default=None, description="Texts that say there is no value: by default empty, null, NaN."
    )
    tables: dict[str, Fields_] = Field(
        default={},
        description="By lake table: the column of its number, `unit` (usd or base; of rates "
        "decimal, percent or bps), `missing`, and of funding `interval_hours` (hours or a column).",
    )

    @field_validator("id")
    @classmethod
    def _name(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_]{0,59}", name):
            raise rule(
                "the name of a source has small letters, digits and underscores, at most 60",
                received=name,
                remedy="write it so: it names files of the store",
            )
        return name


class SpecFile(Section):
    """The whole of a spec."""

    name: str | None = Field(
        default=None, min_length=1, description="Name of the lake; the store's unless said."
    )
    sources: Annotated[list[SourceSpec], Field(min_length=1, max_length=1_000)] = Field(
        description="Where files are and how they are read."
    )
    ids: str | None = Field(
        default=None, description="The file of ids, seen from the spec; both days are inclusive."
    )
    priority: dict[str, list[str]] = Field(
        default={}, description="By lake table the sources, the best first."
    )
    revisions: Revisions = Field(
        default="latest", description="latest or first: which of two values of one moment counts."
    )
    max_stale_days: Annotated[int, Field(ge=0, le=365)] = Field(
        default=3, description="For lake.yaml."
    )
    beside: list[str] = Field(
        default=[],
        description="Files that are put into the lake as they are: " + ", ".join(BESIDE) + ".",
    )


@dataclass(frozen=True)
class Source:
    """A source with its mapping, resolved.

    Parameters
    ----------
    id
        Its name.
    mapping
        How its files are read.
    patterns
        Where they are, absolute.
    first_day, last_day
        Days of which it is used, both inclusive; None: all.
    """

    id: str
    mapping: Mapping_
    patterns: tuple[str, ...]
    first_day: date | None = None
    last_day: date | None = None

    @property
    def reading(self) -> str:
        """Return a hash of how files are read: what another reading said is not used."""
        text = json.dumps(self.mapping.model_dump(exclude={"description"}), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_READING_DIGITS]

    def files(self) -> list[Path]:
        """Return its files in the order of their names.

        Raises
        ------
        MsmError
            When there are none.
        """
        found = sorted(
            {Path(name) for pattern in self.patterns for name in glob.glob(pattern, recursive=True)}
        )
        files = [path for path in found if path.is_file()]
        if not files:
            raise MsmError(
                f"the source {self.id} has no file",
                where=f"sources.{self.id}.files",
                received=", ".join(self.patterns),
                remedy="mend the pattern: ** stands for any folders, seen from the spec",
            )
        return files


@dataclass(frozen=True)
class Spec:
    """A spec, resolved.

    Parameters
    ----------
    path
        Its file.
    name
        The lake's name, if it says one.
    sources
        By id, in their order.
    ids
        The ids.csv, absolute; None without one.
    priority
        By table the ids of sources, the best first; sources that are not named come after.
    revisions
        Which of two values that became known at different times counts.
    max_stale_days
        For lake.yaml.
    beside
        Files that become part of the lake as they are, absolute.
    """

    path: Path
    name: str | None
    sources: Mapping[str, Source]
    ids: Path | None
    priority: Mapping[str, tuple[str, ...]]
    revisions: Revisions
    max_stale_days: int
    beside: tuple[Path, ...] = ()

    def order(self, table: str) -> list[str]:
        """Return the sources of a table, the best first."""
        of_table = [x.id for x in self.sources.values() if table in x.mapping.tables]
        named = [one for one in self.priority.get(table, ()) if one in of_table]
        return [*named, *(one for one in of_table if one not in named)]

    @property
    def digest(self) -> str:
        """Return a hash of all that decides what observations come to."""
        says = {
            "readings": {name: source.reading for name, source in self.sources.items()},
            "days": {x.id: [str(x.first_day), str(x.last_day)] for x in self.sources.values()},
            "ids": None if self.ids is None else self.ids.read_text(),
            "beside": {
                file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in self.beside
            },
            "priority": {name: list(ids) for name, ids in self.priority.items()},
            "revisions": self.revisions,
        }
        return hashlib.sha256(json.dumps(says, sort_keys=True).encode()).hexdigest()


def read_spec(path: Path) -> Spec:
    """Read a spec and its mappings.

    Raises
    ------
    MsmError
        All that is wrong with it.
    """
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise MsmError(
            "a spec is a map of keys",
            where=str(path),
            received=type(raw).__name__,
            remedy=f"its keys are {', '.join(SpecFile.model_fields)}",
        )
    try:
        parsed = SpecFile.model_validate(raw)
    except ValidationError as error:
        raise together(
            [_told(f"{path}: ", error), *_of_sources(path, raw.get("sources"))]
        ) from None
    errors: list[MsmError] = []
    sources: dict[str, Source] = {}
    for place, given in enumerate(parsed.sources):
        where = f"{path}: sources[{place}]"
        if given.id in sources:
            errors.append(MsmError("two sources have one id", where=where, received=given.id))
            continue
        try:
            mapping = _mapping(given, where)
        except MsmError as error:
            errors.append(error)
            continue
        patterns = [given.files] if isinstance(given.files, str) else given.files
        seen = tuple(str(path.parent.absolute() / pattern) for pattern in patterns)
        sources[given.id] = Source(given.id, mapping, seen, given.first_day, given.last_day)
    known = {source.id for source in parsed.sources}
    errors += [
        MsmError(
            "a priority names what is not there",
            where=f"{path}: priority.{table}",
            received=one,
            remedy=f"tables are {', '.join(TABLES)}; sources are {', '.join(known)}",
        )
        for table, ids in parsed.priority.items()
        for one in ids
        if table not in TABLES or one not in known
    ]
    ids_file = None if parsed.ids is None else path.parent.absolute() / parsed.ids
    if ids_file is not None and not ids_file.is_file():
        errors.append(
            MsmError(
                "there is no such file of ids",
                where=f"{path}: ids",
                received=parsed.ids,
                remedy="write it (scheme,vendor_id,from,to,asset_id,multiple); --dry-run prints "
                "the lines to fill in",
            )
        )
    beside = tuple(path.parent.absolute() / name for name in parsed.beside)
    errors += [
        MsmError(
            "a lake has no such file beside its tables"
            if file.name not in BESIDE
            else "there is no such file",
            where=f"{path}: beside",
            received=name,
            remedy=f"the files are {', '.join(BESIDE)}, in any folder",
        )
        for file, name in zip(beside, parsed.beside, strict=True)
        if file.name not in BESIDE or not file.is_file()
    ]
    if errors:
        raise together(errors)
    return Spec(
        path,
        parsed.name,
        sources,
        ids_file,
        {table: tuple(ids) for table, ids in parsed.priority.items()},
        parsed.revisions,
        parsed.max_stale_days,
        beside,
    )


@cache
def built_in() -> Mapping[str, str]:
    """Return the text of every built-in mapping by its name."""
    found = {}
    for file in sorted(MAPPINGS.glob("*.yaml")):
        for name, mapping in yaml.safe_load(file.read_text()).items():
            found[f"{file.stem}.{name}"] = yaml.safe_dump(mapping, sort_keys=False, width=100)
    return found


def built_in_mapping(name: str, where: str) -> dict[str, Any]:
    """Return a built-in mapping.

    Raises
    ------
    MsmError
        When there is none of this name.
    """
    if name not in built_in():
        close = did_you_mean(name, built_in())
        raise MsmError(
            "there is no such mapping",
            where=where,
            received=name,
            remedy=f"did you mean {close}?" if close else "`msm lake vendors` lists them",
        )
    mapping: dict[str, Any] = yaml.safe_load(built_in()[name])
    return mapping


def _mapping(given: SourceSpec, where: str) -> Mapping_:
    """Return the mapping of a source: a built-in one, with what the source says over it."""
    base = {} if given.mapping is None else built_in_mapping(given.mapping, f"{where}.mapping")
    for key in ("read", "time", "asset"):
        own = getattr(given, key)
        if own:
            kept = base.get(key, {})
            if key == "asset" and "from" in own:  # another place takes that of the mapping
                kept = {name: value for name, value in kept.items() if name == "scheme"}
            base[key] = {**kept, **own}
    for key in ("exchange", "instrument", "optional", "rows", "missing"):
        if getattr(given, key) is not None:
            base[key] = getattr(given, key)
    if given.tables:
        base["tables"] = given.tables
    try:
        return Mapping_.model_validate(base)
    except ValidationError as error:
        raise _told(f"{where}.", error) from None


def _of_sources(path: Path, sources: object) -> list[MsmError]:
    """Return what is wrong with the mappings of sources that are sound themselves."""
    errors = []
    for place, raw in enumerate(sources if isinstance(sources, list) else ()):
        try:
            _mapping(SourceSpec.model_validate(raw), f"{path}: sources[{place}]")
        except MsmError as error:
            errors.append(error)
        except ValidationError:
            continue  # told already
    return errors


def _told(prefix: str, error: ValidationError) -> MsmError:
    errors = []
    details = error.errors(include_url=False)
    for detail in details[:MOST_TOLD]:
        context, location = detail.get("ctx", {}), shortened(detail["loc"])
        where = prefix + ".".join(x for x in (dotted(location), context.get("key")) if x)
        if detail["type"] == "msm_rule":
            name = str(location[-1]) if location else "it"
            what, remedy = context["what"].replace("{name}", name), context["remedy"]
        elif detail["type"] == "extra_forbidden":
            what, remedy = f"unknown key {location[-1]}", "docs/ingest.md lists the keys"
        elif detail["type"] == "missing":
            what, remedy = f"{location[-1]} is missing", "docs/ingest.md says what it is"
        else:
            what, remedy = detail["msg"], "docs/ingest.md lists the keys"
        received = None if detail["type"] == "missing" else shown(detail["input"])
        if "received" in context:
            received = shown(context["received"])
        errors.append(MsmError(what, where=where, received=received, remedy=remedy))
    return together(errors, n_more=len(details) - len(errors))
