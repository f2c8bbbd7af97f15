"""The experiments of an invocation as typed rows: the dbt models ``lake`` and ``runs``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final

import pyarrow as pa

from msm_py.dbt_models import typed_rows
from msm_py.dbt_models.run_row import RunRow, run_row
from msm_py.dbt_models.typed_rows import Int64
from msm_py.errors import MsmError
from msm_py.experiment import load
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.schema import Experiment
from msm_py.lake.contract import TABLES
from msm_py.lake.opening import Lake, fingerprint
from msm_py.text import did_you_mean
from msm_py.yaml_file import read_back

VARIABLES: Final = ("experiments", "experiments_file")


@dataclass(frozen=True)
class FundingUnit:
    """The unit of funding rates of one exchange over one range of dates."""

    exchange: str | None
    from_date: date | None
    until_date: date | None
    units_per_one: float
    interval_hours: float


@dataclass(frozen=True)
class LakeTable:
    """How many rows a table of the lake has."""

    table_name: str
    n_rows: Int64


@dataclass(frozen=True)
class LakeRow:
    """The lake of an invocation."""

    name: Annotated[str, "The lake's name in lake.yaml."]
    fingerprint: Annotated[str, "SHA-256 of the contents of its tables and of lake.yaml."]
    max_stale_days: Annotated[
        int, "How many days a close, market cap or volume is carried forward."
    ]
    funding_units: Annotated[
        tuple[FundingUnit, ...],
        "Units that make one (100 of percent) and interval of funding rates by exchange (missing: "
        "all others) and date range.",
    ]
    tables: Annotated[
        tuple[LakeTable, ...],
        "The tables that the lake may have, with their rows (0: absent or empty).",
    ]


@dataclass(frozen=True)
class Given:
    """The experiments of an invocation.

    Parameters
    ----------
    experiments
        In the order in which they were given.
    expected_run_ids
        By experiment_id, the run ids that stood beside them, if any did: what `msm vars` worked out
        for the lake and the code that it saw.
    """

    experiments: tuple[Experiment, ...]
    expected_run_ids: Mapping[str, str]


def given_experiments(variables: str) -> Given:
    """Return the experiments that dbt's variables carry, validated.

    Parameters
    ----------
    variables
        All variables of the invocation as YAML text: ``experiments``, a list, and
        ``experiments_file``, the path of a JSON file with such a list. It may name environment
        variables ($NAME): dbt parses the project again when a variable has changed, so a constant
        one that points elsewhere saves seconds.

    Raises
    ------
    MsmError
        When a variable is unknown, both are given, the file cannot be read, or as
        `msm_py.experiment.load.experiments_from_vars`.
    """
    by_name = read_back(variables)
    for name in by_name:
        if name not in VARIABLES:
            close = did_you_mean(str(name), VARIABLES)
            raise MsmError(
                "unknown variable",
                where="--vars",
                received=str(name),
                remedy=(f"did you mean {close}? " if close else "")
                + f"the variables are {' and '.join(VARIABLES)}",
            )
    given, file = (by_name.get(name) for name in VARIABLES)
    where = "experiments"
    if file:
        if given:
            raise MsmError(
                "both variables for experiments are given",
                where="--vars",
                received="experiments and experiments_file",
                remedy="give one of them",
            )
        if not isinstance(file, str):
            raise MsmError(
                "experiments_file is not a path",
                where="--vars",
                received="a list or a map" if isinstance(file, list | dict) else file,
                remedy="write it with `msm vars EXPERIMENT.yaml --out FILE`, and give FILE",
            )
        where = os.path.expandvars(file)
        given = load.read_experiments_file(where)
    expected = {}
    if isinstance(given, list):
        expected = {
            str(item.get("experiment_id")): str(item["run_id"])
            for item in given
            if isinstance(item, dict) and "run_id" in item
        }
        given = [
            {key: value for key, value in item.items() if key != "run_id"}
            if isinstance(item, dict)
            else item
            for item in given
        ]
    return Given(tuple(load.experiments_from_vars(given, where=where)), expected)


def lake_table(lake: Lake | None) -> pa.Table:
    """Return the one row of the model ``lake``; none without a lake."""
    if lake is None:
        return typed_rows.to_table([], LakeRow)
    row = LakeRow(
        name=lake.settings.name,
        fingerprint=fingerprint(lake),
        max_stale_days=lake.settings.max_stale_days,
        funding_units=tuple(
            FundingUnit(
                exchange=unit.exchange,
                from_date=unit.from_date,
                until_date=unit.until_date,
                units_per_one=unit.units_per_one,
                interval_hours=unit.interval_hours,
            )
            for unit in lake.settings.funding_units
        ),
        tables=tuple(
            LakeTable(name, lake.tables[name].n_rows if name in lake.tables else 0)
            for name in TABLES
        ),
    )
    return typed_rows.to_table([row], LakeRow)


def runs_table(
    given: Given,
    lake_fingerprint: str,
    code_fingerprint: str,
    recorded_looks: Collection[str] = (),
) -> pa.Table:
    """Return one typed row per run, ordered by run_id.

    Parameters
    ----------
    given
        The experiments.
    lake_fingerprint, code_fingerprint
        What the run ids hash besides the experiment.
    recorded_looks
        Run ids that may see their hold-out. Any other one that would look sees nothing of it and
        is marked.

    Raises
    ------
    MsmError
        When a run id was expected that this lake and this code do not give.
    """
    rows = [
        run_row(ResolvedRun.of(experiment, lake_fingerprint, code_fingerprint), recorded_looks)
        for experiment in given.experiments
    ]
    rows.sort(key=lambda row: row.run_id)
    for row in rows:
        expected = given.expected_run_ids.get(row.experiment_id, row.run_id)
        if expected != row.run_id:
            raise MsmError(
                "the experiment was rendered for another lake or other code",
                where=f"run_id of {row.experiment_id}",
                received=f"{expected}, while this lake and this code give {row.run_id}",
                remedy="render it again with `msm vars`, with MSM_LAKE set to the same lake",
            )
    return typed_rows.to_table(rows, RunRow)
