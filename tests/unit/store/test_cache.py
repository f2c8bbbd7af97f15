"""The cache: what its keys depend on, and that nothing in it has to be trusted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.lakes import run_of, tiny_lake

from msm_py.lake.opening import fingerprint, open_lake
from msm_py.settings import DATABASE_FILE
from msm_py.store import cache, origin

LAKE, MARKET, FEATURES, LEGS = cache.STAGES
LARGE = 10**9


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    """A scratch database in which every model of the stages has one row, its name."""
    monkeypatch.setenv("MSM_TARGET", str(tmp_path / "target"))
    with duckdb.connect(tmp_path / DATABASE_FILE) as con:
        for stage in cache.STAGES:
            for model in stage.models():
                con.execute(f"create table {model} as select '{model}' as name")
        yield con


def changed(lake: str = "l", code: str = "c", **changes: Any) -> set[str]:
    """Return the stages whose keys change with what is asked, of what lake and by what code."""
    before = cache.keys([run_of("a-0000000000")], "l", "c", [])
    after = cache.keys([run_of("a-0000000000", **changes)], lake, code, [])
    return {stage for stage in before if before[stage] != after[stage]}


def test_keys_follow_what_each_stage_depends_on() -> None:
    everything = {"lake", "market", "features", "legs"}
    assert changed(lake="other") == everything
    assert changed(code="other") == everything
    assert changed(universe={"min_mcap_usd": 2e9}) == everything - {"lake"}
    assert changed(feature_params={"zscore_window_days": 30}) == {"features", "legs"}
    assert changed(target={"short_leg": {"n": 3}}) == {"legs"}
    assert changed(window={"start": "2024-02-01"}) == {"legs"}
    assert changed(backtest={"execution_lag_days": 2}) == {"legs"}
    # where the edge of a state is asked, another horizon is another forward return
    assert changed(target={"horizons_days": [2]}) == {"legs"}
    assert changed(experiment_id="other", title="Other") == set()
    assert changed(state_mapping={"n_regimes": 3}) == set()
    assert changed(backtest={"costs": {"taker_fee_bps": 1}}) == set()
    assert changed(evaluation={"bootstrap": {"n_boot": 99}}) == set()


def test_a_look_that_is_recorded_sees_other_days() -> None:
    run = run_of("tiny-0000000000", evaluation={"holdout_start": "2024-06-01", "look": True})
    before = cache.keys([run], "l", "c", [])
    after = cache.keys([run], "l", "c", [run.run_id])
    assert {stage for stage in before if before[stage] != after[stage]} == {"legs"}


def test_the_order_and_number_of_runs_do_not_matter_and_none_keeps_nothing() -> None:
    a, b = run_of("a-0000000000"), run_of("b-0000000000", universe={"min_mcap_usd": 2e9})
    assert cache.keys([a, b], "l", "c", []) == cache.keys([b, a, a], "l", "c", [])
    assert cache.keys([a], "l", "c", []) != cache.keys([a, b], "l", "c", [])
    assert cache.keys([], "l", "c", []) == {}


def test_what_is_kept_is_shown_as_the_models(
    scratch: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    for stage in cache.STAGES:
        assert cache.keep(scratch, folder, stage, "0" * 10, LARGE) is not None
    found = cache.find(folder, {stage.name: "0" * 10 for stage in cache.STAGES})
    assert len(found) == len(cache.STAGES)
    own = tmp_path / "own"
    own.mkdir()
    held = cache.held(found, own)
    assert len(cache.clear(folder)) == len(cache.STAGES)
    assert not list(folder.iterdir())
    with duckdb.connect(own / DATABASE_FILE) as con:
        con.execute("create table stg_prices as select 'of another build' as name")
        cache.attach(con, held)
        for stage in cache.STAGES:
            for model in stage.models():
                assert con.execute(f"select name from {model}").fetchall() == [(model,)]
        assert cache.shown(con).keys() == {x for stage in cache.STAGES for x in stage.models()}
    with duckdb.connect(own / DATABASE_FILE, read_only=True) as con:
        cache.attach_again(con)
        assert con.execute("select name from z_scores").fetchall() == [("z_scores",)]
    with duckdb.connect(own / DATABASE_FILE) as con:
        cache.attach(con, {})
        assert not cache.shown(con)


def test_what_was_not_built_or_comes_from_the_cache_is_not_kept(
    scratch: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    file = cache.keep(scratch, folder, LEGS, "0" * 10, LARGE)
    assert file is not None
    cache.attach(scratch, {"legs": file})
    scratch.execute("drop table z_scores")
    for stage in (LEGS, FEATURES):
        with pytest.raises(ValueError, match="was not built"):
            cache.keep(scratch, folder, stage, "1" * 10, LARGE)
    assert len(list(folder.iterdir())) == 1


def test_what_is_of_another_lake_or_code_is_told(
    scratch: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tiny_lake(tmp_path / "here")
    scratch.execute("create or replace table lake as select ? as fingerprint", ["of another"])
    assert not cache.is_of(scratch, here)
    scratch.execute("update lake set fingerprint = ?", [fingerprint(open_lake(here))])
    assert cache.is_of(scratch, here)
    origin.code_fingerprint()
    monkeypatch.setattr(origin, "SQL_FOLDERS", ())  # as if the code had changed meanwhile
    assert not cache.is_of(scratch, here)


def test_a_file_of_another_user_is_found(
    scratch: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = cache.keep(scratch, tmp_path / "cache", LAKE, "0" * 10, LARGE)

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refused)
    assert cache.find(tmp_path / "cache", {"lake": "0" * 10}) == {"lake": file}


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "another key"])
def test_what_is_damaged_is_not_found_and_goes(
    scratch: duckdb.DuckDBPyConnection, tmp_path: Path, harm: str
) -> None:
    folder, key = tmp_path / "cache", "0" * 10
    file = cache.keep(scratch, folder, LEGS, key, LARGE)
    assert file is not None
    content = file.read_bytes()
    file.unlink()
    if harm == "another key":
        file.with_name(file.name.replace(key, "1" * 10)).write_bytes(content)
        assert cache.find(folder, {"legs": key}) == {}
        return
    middle = len(content) // 2
    other = bytes([content[middle] ^ 1])
    file.write_bytes(
        {
            "cut": content[:middle],
            "changed": content[:middle] + other + content[middle + 1 :],
            "empty": b"",
        }[harm]
    )
    assert cache.find(folder, {"legs": key}) == {}
    assert not file.exists()


def test_nothing_half_written_is_left_and_others_files_stay(
    scratch: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"

    def refused(_: object) -> str:
        raise OSError("full")

    with monkeypatch.context() as patch:
        patch.setattr(cache, "_digest", refused)
        with pytest.raises(OSError, match="full"):
            cache.keep(scratch, folder, FEATURES, "0" * 10, LARGE)
    assert not list(folder.iterdir())
    (folder / "notes.txt").write_text("mine")
    assert cache.keep(scratch, folder, LEGS, "0" * 10, LARGE) is not None
    assert [entry.stage for entry in cache.clear(folder)] == ["legs"]
    assert [file.name for file in folder.iterdir()] == ["notes.txt"]


def test_the_least_recently_used_go_when_it_is_full(
    scratch: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    files = []
    for age, number in enumerate("012"):
        file = cache.keep(scratch, folder, LEGS, number * 10, LARGE)
        assert file is not None
        os.utime(file, (1e9 + age, 1e9 + age))
        files.append(file)
    size = files[0].stat().st_size
    assert cache.find(folder, {"legs": "0" * 10})  # used last now
    assert cache.keep(scratch, folder, LEGS, "3" * 10, int(3.5 * size)) is not None
    assert [file.exists() for file in files] == [True, False, True]
    assert cache.keep(scratch, folder, LEGS, "4" * 10, size // 2) is None
    assert len(cache.entries(folder)) == 3
