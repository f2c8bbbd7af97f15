"""What runs share is the same for all of them: an id hashes every key that the thing depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from functools import partialmethod
from typing import Any, Final

import duckdb
import jinja2
import pyarrow as pa
import pytest
from pydantic import BaseModel
from support.pipeline import ROOT

from msm_py.dbt_models import runs
from msm_py.errors import MsmError
from msm_py.experiment import ids
from msm_py.experiment.json_schema import json_schema
from msm_py.experiment.load import from_resolved
from msm_py.experiment.messages import places
from msm_py.experiment.paths import value_at, with_value
from msm_py.experiment.schema import Experiment

# optional sections are given, so that their keys count
BASE: Final[dict[str, Any]] = {
    "experiment_id": "a",
    "features": [{"id": "funding_skew", "weight": 1}],
    "state_mapping": {"high_vol_gate": {}},
    "evaluation": {"holdout_start": "2024-06-01", "bootstrap": {"method": "percentile"}},
}
SEARCH: Final = {**BASE, "backtest": {"grid_search": {"thresholds": {"low": [-0.7, -0.2]}}}}
IDS: Final = {
    "universe": ids.universe_id,
    "basket": ids.basket_id,
    "feature set": ids.feature_set_id,
    "long weights": ids.long_weights_id,
}
# what a key defines: the entry with the longest beginning of its path. What none names defines
# nothing that Python gives an id; schedules and controls have theirs from SQL
ALTS: Final = {"universe", "basket", "feature set"}
DEFINED_BY: Final[dict[str, set[str]]] = {
    "": set(),
    "universe": ALTS,
    "target.short_leg": ALTS,
    "target.short_leg.n": {"basket"},
    "target.short_leg.weighting": {"basket"},
    "target.long_leg": {"long weights"},
    "features": {"feature set"},
    "features.funding_skew.weight": set(),
    "feature_params": {"feature set"},
    "feature_params.min_coverage": set(),
}
ALL_PLACES: Final = [place.replace("[]", ".funding_skew") for place in places(Experiment)]
KEYS: Final = [x for x in ALL_PLACES if not any(y.startswith(f"{x}.") for y in ALL_PLACES)]
ONE_VALUE: Final = {"category_path"}
ANY_VALUE: Final = (
    *(False, True, 3, 5, 7, 0.25, 0.75, 2, -0.25, -0.75, -2, 3.5, 300, 1e7, "c"),
    *("2019-01-01", "2024-11-30", [1, 5], ["BTC"], ["DOGE"]),
    *({"ETH": 1}, {"BALANCED": 1}, {"funding_skew": [0, 1]}, {"low": [-0.6, -0.3]}),
)


def words(node: Any) -> Iterator[str]:
    """Yield the words that some key of a JSON Schema may be."""
    if isinstance(node, dict):
        yield from (word for word in node.get("enum", ()) if isinstance(word, str))
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, dict | list):
            yield from words(value)


def other(key: str) -> Experiment:
    """Return an experiment with the first value of the key that fits and is not its own."""
    base = SEARCH if key.startswith("backtest.grid_search.") else BASE
    own = value_at(ids.resolve(from_resolved(base)), key)
    for value in (*ANY_VALUE, *sorted(set(words(json_schema())))):
        try:
            found = from_resolved(with_value(base, key.split("."), value))
        except MsmError:
            continue
        if key == "features.funding_skew.id" or value_at(ids.resolve(found), key) != own:
            return found
    raise LookupError(f"no value of {key} fits: add one to ANY_VALUE")


@pytest.fixture(scope="module")
def others() -> dict[str, Experiment]:
    return {key: other(key) for key in KEYS if key not in ONE_VALUE}


def test_a_definition_has_another_id_where_a_key_that_defines_it_differs(
    others: dict[str, Experiment],
) -> None:
    base = from_resolved(BASE)
    for key, experiment in others.items():
        named = [x for x in DEFINED_BY if x == "" or f"{key}.".startswith(f"{x}.")]
        differ = {name for name, id_of in IDS.items() if id_of(experiment) != id_of(base)}
        assert differ == DEFINED_BY[max(named, key=len)], key


def with_moons(self: Any, dump: Callable[..., dict[str, Any]], **words: Any) -> dict[str, Any]:
    return {**dump(self, **words), "moons": 1}


def test_a_key_that_is_new_defines_what_its_section_defines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = from_resolved(BASE)
    sections: tuple[tuple[BaseModel | None, set[str]], ...] = (
        (base.universe, ALTS),
        (base.target.short_leg, ALTS),
        (base.target.long_leg, {"long weights"}),
        (base.feature_params, {"feature set"}),
        (base.features[0].params, {"feature set"}),
    )
    for section, changed in sections:
        assert section is not None
        before = {name: id_of(base) for name, id_of in IDS.items()}
        with monkeypatch.context() as patch:
            kind = type(section)
            dump = kind.model_dump
            patch.setattr(kind, "model_dump", partialmethod(with_moons, dump))
            after = {name: id_of(base) for name, id_of in IDS.items()}
        assert {name for name in IDS if before[name] != after[name]} == changed


def test_strategies_and_schedules_of_one_id_are_one_row(others: dict[str, Experiment]) -> None:
    """Runs that differ in any one key: where they share a control or schedule, all of it agrees."""
    given = runs.Given((from_resolved(BASE), *others.values()), {})
    table = runs.runs_table(given, "lake", "code")
    con = duckdb.connect()
    con.register("runs", table)
    window = {"error": None, "first_date": date(2024, 1, 1), "last_date": date(2024, 5, 1)}
    rows = [{"run_id": x, **window, "uncovered_dates": []} for x in table["run_id"].to_pylist()]
    con.register("given_windows", pa.Table.from_pylist(rows))
    con.execute(
        "create table run_windows as select * replace "
        "(error::varchar as error, uncovered_dates::date[] as uncovered_dates) from given_windows"
    )
    macro = (ROOT / "macros" / "schedule_id.sql").read_text()
    for model, key in (("strategies", "strategy_id"), ("schedules", "schedule_id")):
        (file,) = (ROOT / "models").glob(f"*/{model}.sql")
        text = macro + file.read_text()
        query = jinja2.Environment().from_string(text).render(ref=lambda name: name)
        n_rows, n_ids = con.execute(
            f"select count(*), count(distinct {key}) from ({query})"
        ).fetchall()[0]
        assert n_rows == n_ids, model
        assert n_ids > 1
