"""The file that says what to pull: sources, symbols and days; keys only by the variable's name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from msm_py.errors import MsmError
from msm_py.pull.datasets import DATASETS, Dataset
from msm_py.text import did_you_mean, dotted, listed, shown
from msm_py.values import Date, Text, read_number, rule
from msm_py.yaml_file import read_yaml

MOST_SYMBOLS: Final = 10_000
MOST_SOURCES: Final = 1_000
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# no separator of paths, and nothing that hides a file
_NAME: Final = re.compile(r"[\w@][\w@.:-]*")
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value) or value.endswith("."):
        raise rule(
            "{name} cannot be the name of a file",
            remedy="write letters, digits, and . _ - @ : between them",
        )
    return value


def _dataset(value: str) -> str:
    if value not in DATASETS:
        close = did_you_mean(value, DATASETS)
        raise rule(
            "there is no such dataset",
            remedy=(f"did you mean {close}? " if close else "")
            + f"the datasets are {listed(DATASETS)}",
        )
    return value


def _base_url(value: str) -> str:
    if set(value) & set("@?#"):  # such addresses hold keys, which no message may show
        raise rule(
            "{name} holds more than scheme, host and path",
            received="(not shown)",
            remedy="leave out user, password and what comes after ?; a key goes into an "
            "environment variable, whose name is key_env",
        )
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_address = False
    if not is_address or not value.isprintable() or " " in value:
        raise rule("{name} is no address", remedy="write scheme and host: https://example.com")
    return value.rstrip("/")


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):  # perhaps the key itself, which no message may show
        raise rule(
            "{name} is not the name of an environment variable",
            remedy="put the key into a variable, such as COINGLASS_KEY, and write its name here",
        )
    return value


class _Strict(BaseModel):
    """A part of the file that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """What to pull from one vendor; its files lie in a folder that is called as it is."""

    id: Annotated[Text, AfterValidator(_name)]
    dataset: Annotated[Text, AfterValidator(_dataset)]
    symbols: Annotated[
        tuple[Annotated[Text, AfterValidator(_name)], ...],
        Field(min_length=1, max_length=MOST_SYMBOLS),
    ]
    from_date: Date | None = Field(default=None, alias="from")
    to_date: Date | None = Field(default=None, alias="to")
    interval: Text | None = None
    base_url: Annotated[Text, AfterValidator(_base_url)] | None = None
    requests_per_minute: (
        Annotated[float, Field(gt=0, le=60_000), BeforeValidator(read_number)] | None
    ) = None
    key_env: Annotated[Text, AfterValidator(_variable)] | None = None

    @property
    def data(self) -> Dataset:
        """Return the declaration of its dataset."""
        return DATASETS[self.dataset]

    @property
    def address(self) -> str:
        """Return scheme, host and what else comes before the dataset's own path."""
        return self.base_url or self.data.base_url

    @property
    def bar(self) -> str | None:
        """Return the length of bars; None for data that has no such choice."""
        return self.interval or next(iter(self.data.intervals), None)

    @property
    def pace(self) -> float:
        """Return how many requests it makes per minute, at most."""
        return self.requests_per_minute or self.data.vendor.requests_per_minute

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        vendor, known = self.data.vendor, list(self.data.intervals)
        if self.interval is not None and self.interval not in known:
            raise rule(
                f"{self.dataset} has no such interval",
                key="interval",
                received=self.interval,
                remedy=f"write one of {listed(known)}" if known else "leave it out",
            )
        if len(set(self.symbols)) < len(self.symbols):
            twice = next(x for x in self.symbols if self.symbols.count(x) > 1)
            raise rule(
                "a symbol is named twice", key="symbols", received=twice, remedy="keep one of them"
            )
        if self.from_date is None and self.data.kept_days is None:
            raise rule(
                "from is missing", received=None, remedy="add the first day: from: 2023-01-01"
            )
        if self.from_date and self.to_date and self.from_date > self.to_date:
            raise rule(
                "the days end before they start",
                key="to",
                received=str(self.to_date),
                remedy=f"write a day from {self.from_date} on; both are inclusive",
            )
        if self.to_date and self.data.shape == "snapshot":
            raise rule(
                f"{self.dataset} always reaches until now",
                key="to",
                received=str(self.to_date),
                remedy="leave it out",
            )
        if self.key_env is not None and vendor.key_header is None:
            raise rule(
                f"{self.dataset} takes no key",
                key="key_env",
                received=self.key_env,
                remedy="leave it out: what needs no key is given none",
            )
        if self.key_env is None and vendor.needs_key:
            raise rule(
                f"{self.dataset} needs a key",
                key="key_env",
                received=None,
                remedy="put it into an environment variable and name that: key_env: VENDOR_KEY",
            )
        parts = urlsplit(self.address)
        if self.key_env and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise rule(
                "a key would be sent unencrypted",
                key="base_url",
                received=self.address,
                remedy="write an address that begins with https://",
            )
        return self


class Spec(_Strict):
    """The whole file."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1, max_length=MOST_SOURCES)]

    @model_validator(mode="after")
    def _has_own_names(self) -> Self:
        names = [source.id.casefold() for source in self.sources]
        for source in self.sources:
            if names.count(source.id.casefold()) > 1:  # some disks know no capitals
                raise rule(
                    "two sources have one id",
                    key="sources",
                    received=source.id,
                    remedy="give each its own: its files lie in a folder of that name",
                )
        return self


def read_spec(path: Path) -> Spec:
    """Read a file that says what to pull.

    Parameters
    ----------
    path
        YAML; docs/pull.md says what its keys mean.

    Raises
    ------
    MsmError
        As `read_yaml`; something else than a map, an unknown key, a wrong value. What could be a
        key of a vendor is never shown.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise MsmError(
            "the file must hold a map of keys",
            where=str(path),
            received={type(None): "nothing", list: "a list"}.get(type(data), "a single value"),
            remedy="write `sources:` at the left margin and a list of them below; see docs/pull.md",
        )
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        raise _in_words(path, error) from None


def key_of(source: Source, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the key of a source, from the environment; None for one that names none.

    Raises
    ------
    MsmError
        The variable is not there, or holds what no header can carry.
    """
    if source.key_env is None:
        return None
    key = environment.get(source.key_env, "").strip()
    if not key:
        raise MsmError(
            "the environment variable of a key is empty or not there",
            where=f"source {source.id}, key_env",
            received=source.key_env,
            remedy=f"export {source.key_env}=... before the command",
        )
    if not (key.isascii() and key.isprintable()):
        raise MsmError(
            "a key holds characters that cannot be sent",
            where=f"the environment variable {source.key_env}",
            received="(not shown)",
            remedy="copy it anew: keys are plain letters, digits and signs",
        )
    return key


def _in_words(path: Path, error: ValidationError) -> MsmError:
    """Return the first complaint of pydantic in the words of this project; unknown keys first."""
    details = error.errors(include_url=False)
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    first = (unknown or details)[0]
    location, kind = first["loc"], first["type"]
    context: dict[str, Any] = first.get("ctx", {})
    if context.get("key"):
        location = (*location, context["key"])
    where, name = f"{path}, {dotted(location)}" if location else str(path), str(location[-1:][0])
    if kind == "extra_forbidden":
        part = Source if len(location) > 1 else Spec
        known = [field.alias or key for key, field in part.model_fields.items()]
        close = did_you_mean(name, known)
        # not its value: it might be a key of a vendor
        return MsmError(
            "the file has an unknown key",
            where=where,
            received=name + (f" (did you mean {close}?)" if close else ""),
            remedy=f"the keys that can stand there are {listed(known)}",
        )
    if kind == "missing":
        return MsmError("the file lacks a key", where=where, remedy=f"add {name}")
    if kind == "msm_rule":
        what, remedy = context["what"].replace("{name}", name), context["remedy"]
    else:
        message = str(first["msg"])
        what, remedy = f"{name} has a wrong value", message[:1].lower() + message[1:]
    value = context.get("received", "(not shown)" if name == "key_env" else first["input"])
    return MsmError(
        what, where=where, received=None if value is None else shown(value), remedy=remedy
    )
