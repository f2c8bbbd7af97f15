"""What a spec of an ingest says: sources, how their files are read, ids, priorities."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from msm_py.errors import MsmError, together
from msm_py.ingest.measures import TABLES, Fields
from msm_py.ingest.vintages import Revisions
from msm_py.text import did_you_mean, dotted, shown
from msm_py.values import rule
from msm_py.yaml_file import read_yaml

MAPPINGS: Final = Path(__file__).parent / "mappings"
_READING_DIGITS: Final = 10


class Section(BaseModel):
    """A map of the YAML: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Read(Section):
    """How rows stand in a file."""

    format: Literal["csv", "json", "parquet", "feather"] = Field(
        default="csv",
        description="csv (plain, .gz, .zip), json (also .gz, .zip), parquet, feather.",
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
    unit: Literal["auto", "text"] = Field(
        default="auto", description="auto: a number, s to ns by its size; text: a date and time."
    )
    zone: str | None = Field(
        default=None, description="Of a text without a zone of its own: UTC, +03:00."
    )
    means: Literal["bar_start", "bar_end", "instant"] = Field(
        description="Start or end of a bar, or the instant of a sample or print."
    )
    span_hours: float | str | None = Field(
        default=None,
        description="Length of a bar: hours, or `filename` (a part such as -1h-), or the column of "
        "its end.",
    )


class Asset(Section):
    """Who a row is about."""

    column: str | None = Field(default=None, description="The column of the vendor's id.")
    filename: str | None = Field(
        default=None, description="A regular expression with one group: the id in the file's name."
    )
    value: str | None = Field(default=None, description="One asset for all files.")
    scheme: str = Field(description="Which vendor's ids these are, as in ids.csv.")

    @model_validator(mode="after")
    def _one(self) -> Asset:
        given = [x for x in (self.column, self.filename, self.value) if x is not None]
        if len(given) != 1:
            raise rule(
                "an asset comes from one place",
                key="column",
                received=f"{len(given)} places",
                remedy="give one of column, filename and value",
            )
        return self


class Mapping_(Section):
    """How the files of a source become observations."""

    description: str = ""
    read: Read = Read()
    time: Time
    asset: Asset
    exchange: str | None = Field(default=None, description="The venue, or `=COLUMN`.")
    instrument: bool = Field(
        default=False, description="Whether the vendor's id names an instrument of the exchange."
    )
    missing: list[str] = Field(
        default=["", "null", "None", "nan", "NaN"], description="Texts that say there is no value."
    )
    tables: dict[str, dict[str, str | float]] = Field(
        description="By lake table, what its columns are made of, and their units."
    )

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

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=60)]
    files: str | list[str]
    mapping: str | None = None
    read: dict[str, Any] = {}
    time: dict[str, Any] = {}
    asset: dict[str, Any] = {}
    exchange: str | None = None
    instrument: bool | None = None
    missing: list[str] | None = None
    tables: dict[str, dict[str, str | float]] = {}


class SpecFile(Section):
    """The whole of a spec."""

    name: str | None = Field(default=None, min_length=1, description="Name of the lake.")
    sources: Annotated[list[SourceSpec], Field(min_length=1, max_length=1_000)]
    ids: str | None = Field(default=None, description="ids.csv, seen from the spec.")
    priority: dict[str, list[str]] = {}
    revisions: Revisions = "latest"
    max_stale_days: Annotated[int, Field(ge=0, le=365)] = 3


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
    """

    id: str
    mapping: Mapping_
    patterns: tuple[str, ...]

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
    """

    path: Path
    name: str | None
    sources: Mapping[str, Source]
    ids: Path | None
    priority: Mapping[str, tuple[str, ...]]
    revisions: Revisions
    max_stale_days: int

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
            "ids": None if self.ids is None else self.ids.read_text(),
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
        raise _told(f"{path}: ", error) from None
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
        sources[given.id] = Source(given.id, mapping, seen)
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
            places = {"column", "filename", "value"}
            kept = base.get(key, {})
            if key == "asset" and places & own.keys():  # another place takes that of the mapping
                kept = {name: value for name, value in kept.items() if name not in places}
            base[key] = {**kept, **own}
    for key in ("exchange", "instrument", "missing"):
        if getattr(given, key) is not None:
            base[key] = getattr(given, key)
    if given.tables:
        base["tables"] = given.tables
    try:
        return Mapping_.model_validate(base)
    except ValidationError as error:
        raise _told(f"{where}.", error) from None


def _told(prefix: str, error: ValidationError) -> MsmError:
    errors = []
    for detail in error.errors(include_url=False):
        context = detail.get("ctx", {})
        where = prefix + dotted(detail["loc"])
        if detail["type"] == "msm_rule":
            name = str(detail["loc"][-1]) if detail["loc"] else "it"
            what, remedy = context["what"].replace("{name}", name), context["remedy"]
        elif detail["type"] == "extra_forbidden":
            what, remedy = f"unknown key {detail['loc'][-1]}", "docs/ingest.md lists the keys"
        elif detail["type"] == "missing":
            what, remedy = f"{detail['loc'][-1]} is missing", "docs/ingest.md says what it is"
        else:
            what, remedy = detail["msg"], "docs/ingest.md lists the keys"
        received = None if detail["type"] == "missing" else shown(detail["input"])
        errors.append(MsmError(what, where=where, received=received, remedy=remedy))
    return together(errors)
