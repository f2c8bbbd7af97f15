"""The locked hold-out: nothing of it is seen unless someone looks, and looks are counted."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console
from support.lakes import merged, other_inputs, rewritten, run_of, tiny_lake, tiny_spec
from support.pipeline import Done, contents, contents_apart_from_ids, dbt, msm, run_experiments
from support.specs import ODD_SPECS, every_feature_spec, spec_of

from msm_py.experiment.schema import last_day
from msm_py.runner import sweep_statistics
from msm_py.store import layout, looks, sweep_records

# In the tiny lake BTC has no prices on 8, 9 and 10 May, ETH none from 29 March to 3 April: what
# comes behind such a gap decides whether its days are carried, or not there at all.
HOLDOUT = "2024-05-10"
IN_ETH_GAP = "2024-04-03"
LOOKED_FROM = "2024-04-20"
VALUES = [
    *("close", "marketcap", "volume", "circulating_supply", "open_interest_usd"),
    *("funding_rate", "funding_rate_1d_sum", "interval_hours"),
]


def hidden(spec: dict[str, Any], holdout_start: str, **changes: Any) -> dict[str, Any]:
    changed = merged(spec, {"evaluation": {"holdout_start": holdout_start}, **changes})
    return {**changed, "experiment_id": f"held_{spec['experiment_id']}"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return other_inputs(
        tiny_lake(tmp_path_factory.mktemp("lakes") / "lake", seed=5, btc_gap_days=3)
    )


def look_spec() -> dict[str, Any]:
    """Return an experiment whose hold-out begins where no price is missing."""
    every_day_counts = {"backtest": {"walk_forward": False}}
    return hidden(spec_of("look", every_day_counts), LOOKED_FROM)


SEARCH = {
    "n_candidates": 4,
    "weights": {"momentum": [-1.0, 1.0]},
    "thresholds": {"low": [-0.3, -0.1]},
}


@pytest.fixture(scope="module")
def specs() -> list[dict[str, Any]]:
    """Experiments between them with every rule that looks back in time, all with a hold-out."""
    odd = [
        spec_of(name, ODD_SPECS[name])
        for name in ("plain", "weekly_lag", "every_five_days", "three_states", "impact", "bounded")
    ]
    ends = spec_of("ends_before", {"window": {"end": "2024-04-25"}})
    search = spec_of("search", {"backtest": {"grid_search": SEARCH}})
    return [hidden(spec, HOLDOUT) for spec in (*odd, every_feature_spec(), ends, search)]


@pytest.fixture(scope="module")
def others() -> list[dict[str, Any]]:
    """No hold-out, one behind the lake's end, one in a gap of ETH, and one to look at."""
    gap = hidden(spec_of("eth_gap", {"backtest": {"walk_forward": False}}), IN_ETH_GAP)
    return [look_spec(), spec_of("open", {}), hidden(spec_of("late", {}), "2031-01-01"), gap]


@pytest.fixture(scope="module")
def base(
    lake: Path,
    specs: list[dict[str, Any]],
    others: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Done:
    done = run_experiments([*specs, *others], lake, tmp_path_factory.mktemp("base"))
    assert done.code == 0, done.err
    return done


def shown(folder: Path) -> dict[str, Any]:
    """Return all that a run tells, apart from ids, times and machine."""
    manifest = json.loads((folder / "manifest.json").read_text())
    facts = {name: manifest["lake"][name] for name in ("tables", "dropped_rows")}
    return {**contents_apart_from_ids(folder), "lake": facts, "spec": manifest["spec"]}


# --- Nothing of it is seen -----------------------------------------------------------------------


def deleted(table: pd.DataFrame, day: str) -> pd.DataFrame:
    return table[table["date"] < day].copy()


_STOOD = ("A02", "A03", "A06")


def made_up(table: pd.DataFrame, day: str) -> pd.DataFrame:
    """Return a table with other values, fewer and impossible rows, a new asset from a day on."""
    later = (table["date"] >= day).to_numpy()
    key = pd.util.hash_pandas_object(table[["asset_id", "date"]], index=False).to_numpy()
    # one factor for an asset and day, so that duplicate rows that agreed still do
    factor = np.exp(3.0 * (key / 2.0**64 - 0.5))
    for value in set(VALUES) & set(table.columns):
        table.loc[later, value] = table.loc[later, value].to_numpy() * factor[later]
        table.loc[later & (key % 11 == 0), value] = np.nan
    kept = table[~(later & (key % 7 == 0))]
    # A02 is delisted by then in some tables; supplies are known of others
    there = kept[kept["date"] >= day]
    listed = there[there["asset_id"] == next(x for x in _STOOD if (there["asset_id"] == x).any())]
    return pd.concat([kept, listed.assign(asset_id="NEW1")], ignore_index=True)


@pytest.mark.parametrize("change", [deleted, made_up])
def test_nothing_of_the_hold_out_is_in_any_file(
    change: Callable[[pd.DataFrame, str], pd.DataFrame],
    lake: Path,
    specs: list[dict[str, Any]],
    base: Done,
    tmp_path: Path,
) -> None:
    changed = rewritten(lake, tmp_path / "lake", lambda table: change(table, HOLDOUT))
    assets = pd.read_parquet(changed / "dim_asset.parquet")
    new = assets.tail(1).assign(asset_id="NEW1")
    pd.concat([assets, new]).to_parquet(changed / "dim_asset.parquet", index=False)
    # the same lake without a hold-out, to see that the change is one
    plain = spec_of("open", {})
    done = run_experiments([*specs, plain], changed, tmp_path)
    assert done.code == 0, done.err
    for spec in specs:
        name = spec["experiment_id"]
        expected, actual = shown(base.folder(name)), shown(done.folder(name))
        assert expected.keys() == actual.keys()
        for file in expected:
            assert actual[file] == expected[file], f"{name}: {file}"
        assert {row["last_date"] < HOLDOUT for row in actual["lake"]["tables"]} == {True}
    assert shown(base.folder("open")) != shown(done.folder("open"))
    assert json.loads((done.folder("open") / "manifest.json").read_text())["lake"]["tables"]


def test_what_follows_a_gap_is_not_known_in_it(
    lake: Path, others: list[dict[str, Any]], base: Done, tmp_path: Path
) -> None:
    spec = others[-1]
    changed = rewritten(lake, tmp_path / "lake", lambda table: deleted(table, IN_ETH_GAP))
    done = run_experiments([spec], changed, tmp_path)
    assert done.code == 0, done.err
    name = spec["experiment_id"]
    assert shown(done.folder(name)) == shown(base.folder(name))


def test_hidden_days_are_not_in_the_window(specs: list[dict[str, Any]], base: Done) -> None:
    for spec in specs:
        folder = base.folder(spec["experiment_id"])
        entry = json.loads((folder / "catalog_entry.json").read_text())
        assert (entry["holdout_start"], entry["is_look"]) == (HOLDOUT, False)
        # BTC has no price on the last two days before the hold-out, and nobody knows of more
        ends = spec["window"]["end"] or "2024-05-07"
        assert entry["last_date"] == ends
        for file in folder.glob("*.parquet"):
            table = pd.read_parquet(file)
            assert "date" not in table or str(table["date"].max())[:10] <= ends


def test_a_hold_out_after_the_lake_changes_nothing(base: Done) -> None:
    expected, actual = (contents(base.folder(name)) for name in ("open", "held_late"))
    for name in expected:
        if name.endswith(".parquet"):
            assert actual[name] == expected[name], name
    warnings = json.loads(actual["metrics.json"])["warnings"]
    assert any("The hold-out begins on 2031-01-01, but" in warning for warning in warnings)


def test_last_day() -> None:
    day = date(2024, 5, 1)
    assert last_day(None, None, look=False) is None
    assert last_day(day, date(2024, 5, 1), look=False) == date(2024, 4, 30)
    assert last_day(day, date(2024, 5, 2), look=False) == day
    assert last_day(day, date(2024, 1, 2), look=True) == day


# --- A look ------------------------------------------------------------------------------------


def write(place: Path, spec: dict[str, Any], file: str) -> str:
    place.mkdir(parents=True, exist_ok=True)
    (place / file).write_text(yaml.safe_dump(spec, sort_keys=False))
    return str(place / file)


def family_spec(**evaluation: Any) -> dict[str, Any]:
    given = tiny_spec({"experiment_id": "grid"})
    return merged(given, {"evaluation": {"holdout_start": HOLDOUT, **evaluation}})


def record_of(done: Done) -> dict[str, Any]:
    (file,) = (done.runs / ".sweeps").glob("*.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def ledger_of(done: Done) -> list[dict[str, Any]]:
    file = done.runs / looks.LEDGER
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture(scope="module")
def swept(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("looks")
    grid = {"target.short_leg.n": [3, 4, 0], "backtest.costs.slippage_bps": [5.0]}
    file = write(place, {**family_spec(), "sweep": {"grid": grid}}, "sweep.yaml")
    done = msm("sweep", file, "--lake", str(lake), place=place)
    assert (record_of(done)["n_trials"], record_of(done)["n_looks"]) == (3, 0), done.err
    return done


@pytest.fixture(scope="module")
def looked(lake: Path, swept: Done) -> Done:
    place = swept.runs.parent
    file = write(place, family_spec(), "chosen.yaml")
    done = msm("run", file, "--look", "last check", "--lake", str(lake), place=place)
    assert done.code == 0, done.err
    return done


def test_a_look_is_recorded_and_shown(looked: Done) -> None:
    (entry,) = ledger_of(looked)
    assert entry["reason"] == "last check"
    assert (entry["family"], entry["holdout_start"], entry["previous"]) == ("grid", HOLDOUT, "")
    folder = looked.runs / entry["run_id"]
    assert json.loads((folder / "catalog_entry.json").read_text())["last_date"] > HOLDOUT
    text = " ".join(looked.out.split())
    assert "Look 1 of the family grid is recorded" in text
    assert f"Hold-out from {HOLDOUT} on: opened on {entry['looked_at'][:10]}" in text
    assert "Not untouched" not in text


def test_a_look_shows_what_it_looked_at(lake: Path, base: Done, tmp_path: Path) -> None:
    """Before the hold-out it says what the run without the look says; in it, its days alone."""
    file = write(tmp_path, look_spec(), "look.yaml")
    done = msm("run", file, "--look", "why not", "--lake", str(lake), place=tmp_path)
    assert done.code == 0, done.err
    folder, hidden = done.folder("held_look"), base.folder("held_look")
    assert not (hidden / layout.LOOK).exists()
    look = json.loads((folder / layout.LOOK).read_text())
    evaluation = json.loads((hidden / layout.REGIME_EVALUATION).read_text())
    metrics = json.loads((hidden / layout.METRICS).read_text())
    assert look["before"]["edges"] == evaluation["edges"]
    assert look["before"]["regime_statistics"] == evaluation["regime_statistics"]
    for part in ("headline", "controls", "sharpe_tests"):
        assert look["before"][part] == metrics[part]

    # by hand: test days, and decision days whose target has ended, from the first hidden one on
    returns = pd.read_parquet(folder / layout.RETURNS)
    returns = returns[pd.to_datetime(returns["date"]) >= LOOKED_FROM]
    net, found = returns[returns["is_test_day"]]["r_net"], look["holdout"]["headline"]["net"]
    assert found["n_days"] == len(net) > 5
    assert found["sharpe"] is None
    assert found["ratios_missing_because"] == "fewer than 60 test days"
    assert found["hit_rate"] is not None
    assert found["total_return"] == pytest.approx((1 + net).prod() - 1, rel=1e-9)
    counted = pd.DataFrame(look["holdout"]["regime_statistics"])
    for horizon, n in counted.groupby("horizon_days")["n"].sum().items():
        assert n == max(len(returns) - horizon, 0)

    assert "Before the hold-out, and in it" in done.out
    assert "In the hold-out: " in done.out
    with duckdb.connect(done.warehouse, read_only=True) as con:
        rows = con.sql("select sample, n_test_days from look_metrics order by sample").fetchall()
        edges = con.sql("select distinct sample from look_edges order by 1").fetchall()
    assert rows[2] == ("holdout", len(net))
    assert [row[:1] for row in rows] == edges == [("all",), ("before",), ("holdout",)]


def test_a_look_is_a_trial_of_the_sweeps_of_its_family(looked: Done) -> None:
    record = record_of(looked)
    assert (record["n_trials"], record["n_looks"]) == (4, 1)
    shown_again = msm("sweep", "show", "grid", place=looked.runs.parent)
    assert "4 trials (1 of them a look at the hold-out)" in " ".join(shown_again.out.split())
    with duckdb.connect(looked.warehouse, read_only=True) as con:
        assert con.sql("select n_trials, n_looks from sweeps").fetchall() == [(4, 1)]
        rows = con.sql("select family, run_id, reason, holdout_start from looks").fetchall()
        looking = con.sql("select run_id from catalog where is_look").fetchall()
    (entry,) = ledger_of(looked)
    assert rows == [("grid", entry["run_id"], "last check", date.fromisoformat(HOLDOUT))]
    assert looking == [(entry["run_id"],)]
    listed = msm("list", place=looked.runs.parent)
    assert listed.out.split().count("look") == 1


def test_a_second_look_at_the_same_run_is_none(lake: Path, looked: Done) -> None:
    place = looked.runs.parent
    words = ("run", str(place / "chosen.yaml"), "--lake", str(lake), "--look", "again")
    again = msm(*words, place=place)
    assert again.code == 0, again.err
    text = " ".join(again.out.split())
    assert "was looked at before" in text
    assert "(reason: last check): no new look. That reason stands" in text
    assert len(ledger_of(again)) == 1


@pytest.fixture
def damaged(looked: Done, tmp_path: Path) -> Done:
    """A copy of the runs whose ledger somebody took away."""
    shutil.copytree(looked.runs, tmp_path / "runs")
    shutil.copytree(looked.warehouse.parent, tmp_path / "warehouse")
    for name in (looks.LEDGER, looks.HEAD):
        (tmp_path / "runs" / name).unlink()
    return Done(0, "", "", tmp_path / "runs", tmp_path / "warehouse" / "msm.duckdb")


def test_a_look_stays_a_trial_when_the_ledger_is_gone(damaged: Done) -> None:
    sweep_statistics.count_looks(damaged.runs)
    record = record_of(damaged)
    assert (record["n_trials"], record["n_looks"]) == (4, 1)
    again: dict[str, Any] = {
        "name": "grid",
        "specs": [run_of(x) for x in record["members"]],
        "rejected": [],
        "trials": [],
        "sources": {},
        "n_duplicates": 0,
        "started_at": datetime.now(UTC),
    }
    (looking,) = looks.looked(damaged.runs)
    for _ in range(2):
        anew = sweep_statistics.write_record(damaged.runs, **again)
        assert anew["n_looks"] == 1, "by the run's folder"
        (damaged.runs / ".sweeps" / f"{anew['sweep_id']}.json").unlink()
    kept = sweep_statistics.write_record(damaged.runs, **again)
    shutil.rmtree(damaged.runs / looking)
    assert looks.looked(damaged.runs) == {}
    sweep_statistics.count_looks(damaged.runs)
    assert sweep_statistics.write_record(damaged.runs, **again)["n_looks"] == kept["n_looks"]
    assert any("counted 1 look" in sentence for sentence in sweep_records.alarms(damaged.runs))


@pytest.mark.parametrize(
    "words", [("sweep", "show", "grid"), ("list",), ("catalog", "rebuild"), ("show", "grid")]
)
def test_a_look_that_the_ledger_lacks_is_reported(words: tuple[str, ...], damaged: Done) -> None:
    (looking,) = looks.looked(damaged.runs)
    given = (words[0], looking) if words[0] == "show" else words
    done = msm(*given, place=damaged.runs.parent)
    assert done.code == 0, done.err
    text = " ".join((done.out + done.err).split())
    assert text.count("the ledger of looks has no entry of it") == 1
    assert f"!! {looking} looked at the hold-out" in text


def test_a_look_without_an_entry_fails(lake: Path, looked: Done) -> None:
    place = looked.runs.parent
    open_spec = merged(family_spec(look=True), {"target": {"short_leg": {"n": 5}}})
    file = write(place, open_spec, "by_hand.yaml")
    before = sorted(folder.name for folder in looked.runs.iterdir())
    done = msm("run", file, "--lake", str(lake), place=place)
    assert done.code == 1
    assert "no look at it is recorded" in done.err
    assert "remedy:" in done.err
    assert "--look" in done.err
    rendered = msm("vars", file, "--lake", str(lake), place=place)
    assert rendered.code == 0, rendered.err
    words = ("build", "--exclude-resource-type", "unit_test", "--vars", rendered.out)
    by_hand = dbt(*words, place=place, MSM_LAKE=str(lake))
    assert by_hand.code != 0
    assert "no look at it is recorded" in by_hand.out
    assert sorted(folder.name for folder in looked.runs.iterdir()) == before
    with duckdb.connect(place / "target" / "scratch.duckdb", read_only=True) as con:
        (last,) = con.sql("select max(date) from scores").fetchall()
    assert str(last[0]) < HOLDOUT, "not even scores of hidden days are computed"


@pytest.mark.parametrize(
    ("command", "changes", "words", "part"),
    [
        ("sweep", {"look": True}, (), "a sweep never looks"),
        ("run", {}, ("--look", " "), "needs a reason"),
        ("run", {"holdout_start": None}, ("--look", "why"), "no hold-out to look at"),
        ("run", {}, ("--look", "why", "--end", "2024-05-01"), "nothing to look at"),
        ("run", {}, ("--look", "why", "--robust"), "a robustness panel never looks"),
        ("run", {"holdout_start": None, "look": True}, (), "no hold-out to look at"),
    ],
)
def test_bad_calls(
    command: str,
    changes: dict[str, Any],
    words: tuple[str, ...],
    part: str,
    lake: Path,
    tmp_path: Path,
) -> None:
    file = write(tmp_path, family_spec(**changes), "x.yaml")
    done = msm(command, file, "--lake", str(lake), *words, place=tmp_path)
    assert done.code == 1
    assert part in done.err
    assert "remedy:" in done.err
    assert ledger_of(done) == []


def test_a_damaged_ledger_is_reported_loudly(looked: Done, tmp_path: Path) -> None:
    from msm_py.report.run_report import run_report

    (entry,) = ledger_of(looked)
    run = tmp_path / entry["run_id"]
    run.symlink_to(looked.runs / entry["run_id"])
    (tmp_path / looks.LEDGER).write_text(json.dumps({**entry, "reason": "x"}) + "\n")
    (tmp_path / looks.HEAD).write_bytes((looked.runs / looks.HEAD).read_bytes())
    out = io.StringIO()
    Console(file=out, width=100).print(run_report(run))
    assert "!! The ledger of looks" in out.getvalue()
