"""Which tables of a run's database go by a day, and their rows up to one.

A table goes by its column ``date``, of dates or times. Another column is declared beside the model,
as ``config: {meta: {day: trade_date}}``; what names later days on purpose as ``later_days``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import yaml

DAY: Final = "date"
END_MODELS: Final = frozenset(
    {"edges", "sharpe_tests", "run_artifacts", "kept_tables", "warehouse", "catalog"}
)
"""Models of the window as a whole that come last and cost most: built where others need them."""
WITHOUT_A_DAY: Final = END_MODELS | {
    *("attribution", "candidate_assets", "capacity", "coverage", "dropped_rows"),
    *("eligibility_panels", "excluded_prices", "experiments", "ineligible_assets", "lake"),
    *("lake_tables", "quality_findings", "regime_distribution", "regime_metrics"),
    *("regime_statistics", "regime_transitions", "run_errors", "run_features", "run_horizons"),
    *("run_regimes", "run_windows", "runs", "samples", "schedules", "stability", "state_paths"),
    *("stg_assets", "stg_exclusions", "strategies", "strategy_metrics", "suspect_gains"),
    "universes",
}
"""Models of MSM's own whose rows are of no day: of definitions, or of the window as a whole."""
NO_DAY: Final = "its rows are of no day"
NOT_COMPARED: Final = frozenset(
    {"is_test_day", "trade_number", "long_trade_number", "short_trade_number"}
)
"""A label that where the window ends may decide, and running numbers that name trades."""


@dataclass(frozen=True)
class Declared:
    """What is declared of a model, in the ``.yml`` beside it.

    Parameters
    ----------
    grain
        What names a row, as its test ``sound_rows`` has it, or ``grain`` in ``meta``; None where
        it is not told.
    day
        The column that it goes by.
    later_days
        Columns that name later days on purpose, such as the next day of trading.
    """

    grain: Sequence[str] | None = None
    day: str = DAY
    later_days: Collection[str] = ()


@dataclass(frozen=True)
class Dated:
    """A table with a day.

    Parameters
    ----------
    name
        The table.
    columns
        What is compared of it, with types.
    declared
        What is declared of it.
    """

    name: str
    columns: Mapping[str, str]
    declared: Declared = field(default_factory=Declared)

    @property
    def day_sql(self) -> str:
        """The day of a row, as SQL."""
        kind, day = self.columns[self.declared.day], f'"{self.declared.day}"'
        if kind == "TIMESTAMP WITH TIME ZONE":
            return f"cast({day} at time zone 'UTC' as date)"
        return day if kind == "DATE" else f"cast({day} as date)"

    def rows_until(
        self,
        last_day: date,
        lag_days: int,
        texts: Mapping[str, Mapping[str, str]],
    ) -> str:
        """Return a query of the rows that are known by a day.

        Parameters
        ----------
        last_day
            The day. A row with ``horizon_days`` is known when its horizon has ended.
        lag_days
            Days between a decision and the first return that follows from it.
        texts
            By column, texts and what stands for them.
        """

        def shown(column: str) -> str:
            if column in self.declared.later_days:  # from the cut on it is not there yet
                return (
                    f'case when "{column}" < date \'{last_day}\' then "{column}" end as "{column}"'
                )
            if column == self.declared.day and self.columns[column] == "VARCHAR":
                return f'{self.day_sql} as "{column}"'
            return renamed(column, texts.get(column, {}))

        listed = ", ".join(map(shown, self.columns))
        days = f" + horizon_days + {lag_days}" if "horizon_days" in self.columns else ""
        return f"select {listed} from \"{self.name}\" where {self.day_sql}{days} <= '{last_day}'"


def renamed(column: str, texts: Mapping[str, str]) -> str:
    """Return a column in which others stand for some texts."""
    if not texts:
        return f'"{column}"'
    cases = " ".join(
        f"when {_literal(before)} then {_literal(after)}" for before, after in texts.items()
    )
    return f'case "{column}" {cases} else "{column}" end as "{column}"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def texts_with_ids(
    con: duckdb.DuckDBPyConnection, table: Dated, ids: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Return, by column, the texts that hold an id, and what they are with what stands for it."""
    if not ids:
        return {}
    # the longest first: one id may be the beginning of another
    pattern = re.compile("|".join(map(re.escape, sorted(ids, key=len, reverse=True))))
    found = {}
    for column, kind in table.columns.items():
        if kind == "VARCHAR":
            rows = con.execute(f'select distinct "{column}" from "{table.name}"').fetchall()
            texts = [text for (text,) in rows if text is not None]
            new = {x: pattern.sub(lambda match: ids[match.group()], x) for x in texts}
            found[column] = {x: y for x, y in new.items() if x != y}
    return found


def tables_of(
    con: duckdb.DuckDBPyConnection, names: Sequence[str], declared: Mapping[str, Declared]
) -> tuple[list[Dated], dict[str, str]]:
    """Return the tables of some models that go by a day, and why the others do not, by name.

    Parameters
    ----------
    con
        Their database.
    names
        The models, in the order in which they are wanted.
    declared
        What is declared of them.
    """
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in con.execute(
        """
        select table_name, column_name, data_type
        from duckdb_columns() where schema_name = 'main' and not internal
        order by table_name, column_index
        """
    ).fetchall():
        columns.setdefault(table, {})[column] = kind
    dated, left_out = [], {}
    for name in names:
        known = declared.get(name, Declared())
        fault = _fault(con, name, columns.get(name), known)
        if fault is None:
            compared = {x: kind for x, kind in columns[name].items() if x not in NOT_COMPARED}
            dated.append(Dated(name, compared, known))
        else:
            left_out[name] = NO_DAY if name in WITHOUT_A_DAY else fault
    return dated, left_out


def _fault(
    con: duckdb.DuckDBPyConnection,
    name: str,
    columns: Mapping[str, str] | None,
    declared: Declared,
) -> str | None:
    """Return why a table does not go by a day."""
    if columns is None:
        return "there is no table of its name in the schema main"
    kind = columns.get(declared.day)
    if kind is None:
        return f"it has no column {declared.day}"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return None
    if kind == "VARCHAR":
        day = f'"{declared.day}"'
        odd = con.execute(
            f'select count(*) from "{name}" where {day} is not null and try_cast({day} as date) '
            "is null"
        ).fetchall()[0][0]
        return f"not every {declared.day} of it is a date" if odd else None
    return f"its {declared.day} is {kind}, which is no date"


def declarations(models: Path) -> dict[str, Declared]:
    """Return what is declared of each model.

    Parameters
    ----------
    models
        The folder of models with their ``.yml``.
    """
    found = {}
    for file in sorted(models.rglob("*.yml")):
        for model in (yaml.safe_load(file.read_text()) or {}).get("models", []):
            meta = (model.get("config") or {}).get("meta") or {}
            found[model["name"]] = Declared(
                _grain(model) or meta.get("grain"),
                str(meta.get("day", DAY)),
                tuple(meta.get("later_days", ())),
            )
    return found


def _grain(model: Mapping[str, Any]) -> list[str] | None:
    for test in model.get("data_tests", []):
        if isinstance(test, dict) and "sound_rows" in test:
            grain = test["sound_rows"].get("arguments", {}).get("grain")
            if grain:
                return [re.sub(r'^"|"$', "", str(x)) for x in grain]
    return None
