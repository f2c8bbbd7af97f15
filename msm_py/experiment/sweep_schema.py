"""The schema of a sweep: what varies in an experiment, and how."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from msm_py.experiment.schema import MOST_VARIANTS, PAIR, Experiment, Section, ordered_pair
from msm_py.experiment.values import LARGEST_USD, PositiveUsd, Seed
from msm_py.text import did_you_mean
from msm_py.values import Text, read_integer, read_number, rule

# What is drawn or listed here may be meant for any key, so it has the widest bounds of them all;
# each variant is checked by its own.
AnyNumber = Annotated[float, Field(ge=-LARGEST_USD, le=LARGEST_USD), BeforeValidator(read_number)]
Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), BeforeValidator(read_integer)]
Values = Annotated[tuple[Any, ...], Field(min_length=1, max_length=MOST_VARIANTS)]
MOST_PATHS = 1_000
MOST_RATIO = 1e100
Paths = Annotated[dict[Text, Values], Field(max_length=MOST_PATHS)]


def _ordered_ratio(pair: tuple[float, ...]) -> tuple[float, ...]:
    least, most = ordered_pair(pair)
    if most / least > MOST_RATIO:
        raise rule(
            "{name} spans too much",
            remedy=f"give a larger first number: the second one is at most {MOST_RATIO:g} times it",
        )
    return pair


class Range(Section):
    """How one value is drawn; exactly one of the keys."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    uniform: Annotated[tuple[AnyNumber, ...], AfterValidator(ordered_pair)] | None = Field(
        default=None, description="Evenly between two numbers.", json_schema_extra=PAIR
    )
    log_uniform: Annotated[tuple[PositiveUsd, ...], AfterValidator(_ordered_ratio)] | None = Field(
        default=None,
        description="Between two numbers above 0, evenly in their logarithm.",
        json_schema_extra=PAIR,
    )
    integer: Annotated[tuple[Whole, ...], AfterValidator(ordered_pair)] | None = Field(
        default=None, description="A whole number, both ends included.", json_schema_extra=PAIR
    )
    choice: Values | None = Field(default=None, description="One of these values.")

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, data: Any) -> Any:
        kinds = list(cls.model_fields)
        if isinstance(data, dict) and len(data) == 1 and next(iter(data)) in kinds:
            return data
        close = did_you_mean(str(next(iter(data), "")), kinds) if isinstance(data, dict) else None
        raise rule(
            "{name} must say how it is drawn, in one way",
            remedy=(f"did you mean {close}? " if close else "")
            + "write {uniform: [0, 1]}, {log_uniform: [1, 100]}, {integer: [1, 9]} or "
            "{choice: [a, b]}",
        )


def _not_empty(ranges: dict[str, Range]) -> dict[str, Range]:
    if not ranges:
        raise rule("{name} is empty", remedy="name what is drawn: {path: {uniform: [0, 1]}}")
    return ranges


class RandomDraws(Section):
    """Seeded draws of several values at once."""

    n: Annotated[int, Field(ge=1, le=MOST_VARIANTS), BeforeValidator(read_integer)] = Field(
        description="Number of draws."
    )
    seed: Seed = Field(default=42, description="Seed of the random numbers.")
    ranges: Annotated[
        dict[Text, Range], Field(max_length=MOST_PATHS), AfterValidator(_not_empty)
    ] = Field(description="Map dotted path: how its value is drawn.")


class Sweep(Section):
    """Variants of an experiment: each grid point, with each row of the zip, with each draw."""

    grid: Paths = Field(
        default={}, description="Map dotted path: list of values; all combinations."
    )
    zip: Paths = Field(
        default={},
        description="Map dotted path: list of values; lists of one length, walked together.",
    )
    random: RandomDraws | None = Field(default=None, description="Random draws.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        lengths = {path: len(values) for path, values in self.zip.items()}
        if len(set(lengths.values())) > 1:
            raise rule(
                "the lists under zip differ in length",
                key="zip",
                received=", ".join(f"{path} {length}" for path, length in lengths.items()),
                remedy="give them one length, or move them to grid for all combinations",
            )
        if not (self.grid or self.zip or self.random):
            raise rule(
                "the sweep changes nothing", remedy="give it at least one of grid, zip and random"
            )
        return self


class SweepFile(Experiment):
    """An experiment and what to vary in it."""

    # Without the key a file is a plain experiment; an empty key is an error, hence no `| None`.
    sweep: Sweep = Field(
        default_factory=Sweep, description="Makes the file a sweep: run it with `msm sweep`."
    )
