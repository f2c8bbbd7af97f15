"""The cache in whole invocations: the same bytes with and without it, by msm and by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.lakes import merged, tiny_lake, tiny_spec
from support.pipeline import ROOT, Done, contents, dbt, in_project, msm, own_caches, run_experiments

from msm_py.experiment import ids
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import load_experiments
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import invocation
from msm_py.runner.invocation import what_models_read
from msm_py.settings import Places
from msm_py.store import cache
from msm_py.store.origin import code_fingerprint

# the same legs, asked of in every other way
OTHER_QUESTION = {
    "experiment_id": "tiny",
    "title": "Other",
    "description": "The same legs",
    "state_mapping": {
        "n_regimes": 3,
        "thresholds": {"strong_low": None, "low": -0.3, "high": 0.3, "strong_high": None},
        "hysteresis": {"low_band": -0.2, "high_band": 0.05},
        "persistence": {"min_duration_days": 2, "requires_stronger_signal": False},
        "smoothing": {"ema_span_days": 3},
        "high_vol_gate": {"btc_return_days": 5, "max_abs_return": 0.05},
    },
    "backtest": {
        "gross": {"long": 0.4, "short": 0.6},
        "position_scale": {"RISK_ON_MAJORS": 0.9, "BALANCED": 0.2},
        "costs": {"taker_fee_bps": 7.0, "slippage_bps": 1.0, "funding_enabled": False},
        "capital_usd": 1e7,
        "impact_coefficient": 0.8,
        "max_participation": 0.5,
    },
    "evaluation": {"bootstrap": {"n_boot": 49, "seed": 7, "block_size": 15}},
}


def outcomes(done: Done) -> int:
    """Return how many files of the cache a place has."""
    return len(list((done.runs.parent / "target" / "cache").glob("*.duckdb")))


@pytest.fixture(scope="module", autouse=True)
def caches_of_their_own() -> Iterator[None]:
    """What is in a cache, and what is left of it, is looked at here."""
    with own_caches():
        yield


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lake(tmp_path_factory.mktemp("cache") / "lake")


@pytest.fixture(scope="module")
def filled(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run that filled the cache of its place."""
    done = run_experiments([tiny_spec()], lake, tmp_path_factory.mktemp("filled"))
    assert done.code == 0, done.err
    assert outcomes(done) == len(cache.STAGES)
    return done


def test_another_question_of_the_same_legs_takes_all_of_it(
    lake: Path, filled: Done, tmp_path: Path
) -> None:
    """All keys that are said to decide nothing of legs are changed: the bytes are those without."""
    named = {
        f"{section}.{name}".lstrip(".")
        for section, names in ids.NOT_OF_LEGS.items()
        for name in names
    }
    for dotted in named - {"experiment_id", "category_path"}:
        place: Any = OTHER_QUESTION
        for part in dotted.split("."):
            place = place[part]
    spec = merged(tiny_spec(), OTHER_QUESTION)
    kept = {"MSM_CACHE": str(filled.runs.parent / "target" / "cache")}
    with_cache = run_experiments([spec], lake, tmp_path / "with", **kept)
    without = run_experiments([spec], lake, tmp_path / "without", MSM_CACHE="")
    assert with_cache.code == without.code == 0, with_cache.err + without.err
    assert outcomes(filled) == len(cache.STAGES)  # nothing was added: all was there
    assert contents(with_cache.folder("tiny")) == contents(without.folder("tiny"))
    # no step of it was gone through
    assert "computing features and z-scores" in without.out
    assert "computing features and z-scores" not in with_cache.out
    assert "cleaning the lake" not in with_cache.out


def test_another_universe_takes_the_lake_alone(lake: Path, filled: Done, tmp_path: Path) -> None:
    spec = merged(tiny_spec(), {"universe": {"exclude_assets": ["AAA"]}})
    kept = {"MSM_CACHE": str(filled.runs.parent / "target" / "cache")}
    before = outcomes(filled)
    with_cache = run_experiments([spec], lake, tmp_path / "with", **kept)
    without = run_experiments([spec], lake, tmp_path / "without", MSM_CACHE="")
    assert with_cache.code == without.code == 0, with_cache.err + without.err
    assert contents(with_cache.folder("tiny")) == contents(without.folder("tiny"))
    assert outcomes(filled) == before + 3
    assert "cleaning the lake" not in with_cache.out
    assert "computing features and z-scores" in with_cache.out


def test_what_is_damaged_is_computed_again(lake: Path, filled: Done, tmp_path: Path) -> None:
    kept = filled.runs.parent / "target" / "cache"
    own = tmp_path / "cache"
    own.mkdir()
    for file in kept.glob("*.duckdb"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 255
        (own / file.name).write_bytes(content)
    done = run_experiments([tiny_spec()], lake, tmp_path, MSM_CACHE=str(own))
    assert done.code == 0, done.err
    assert "cleaning the lake" in done.out
    assert contents(done.folder("tiny")) == contents(filled.folder("tiny"))
    sound = [
        file
        for file in own.glob("*.duckdb")
        if hashlib.sha256(file.read_bytes()).hexdigest() == file.stem.rpartition("-")[2]
    ]
    assert len(sound) == len(cache.STAGES)  # what this run needs; the others nobody looked at


def test_a_cache_that_cannot_be_written_is_told_and_fails_nothing(
    lake: Path, filled: Done, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    done = run_experiments([tiny_spec()], lake, tmp_path, MSM_CACHE=str(tmp_path / "file"))
    assert done.code == 0, done.err
    assert "is not kept in the cache" in done.err
    assert contents(done.folder("tiny")) == contents(filled.folder("tiny"))
    done = run_experiments([tiny_spec()], lake, tmp_path / "small", MSM_CACHE_GB="0.000001")
    assert "larger than the cache may be" in done.err
    assert outcomes(done) == 0
    done = run_experiments([tiny_spec()], lake, tmp_path / "wrong", MSM_CACHE_GB="lots")
    assert done.code == 1
    assert "MSM_CACHE_GB" in done.err
    assert "Traceback" not in done.err


def test_no_cache_and_the_cache_in_the_lake(lake: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_spec()))
    words = ("run", str(file), "--lake", str(lake), "--no-report")
    done = msm(*words, "--no-cache", place=tmp_path)
    assert done.code == 0, done.err
    assert outcomes(done) == 0
    done = msm(*words, "--force", place=tmp_path, MSM_CACHE=str(lake / "cache"))
    assert done.code == 1
    assert "nothing is ever written into a lake" in done.err
    assert not (lake / "cache").exists()
    done = msm("status", str(file), "--lake", str(lake), place=tmp_path, MSM_CACHE=str(lake / "c"))
    assert "nothing is ever written into a lake" in done.err


def test_it_is_shown_and_cleared(filled: Done, tmp_path: Path) -> None:
    own = {"MSM_CACHE": str(tmp_path / "cache")}
    (tmp_path / "cache").mkdir()
    for file in (filled.runs.parent / "target" / "cache").glob("*.duckdb"):
        (tmp_path / "cache" / file.name).write_bytes(file.read_bytes())
    n_files = len(list((tmp_path / "cache").iterdir()))
    shown = msm("cache", "show", place=tmp_path, **own)
    assert f"{n_files} files" in shown.out
    assert "market" in shown.out
    assert f"Removed {n_files} files" in msm("cache", "clear", place=tmp_path, **own).out
    assert not list((tmp_path / "cache").iterdir())
    assert "0 files" in msm("cache", "show", place=tmp_path, **own).out
    assert "there is no cache" in msm("cache", "show", place=tmp_path, MSM_CACHE="").err


def test_status_and_check_say_the_same_with_it(lake: Path, filled: Done, tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_spec()))
    own = {"MSM_CACHE": str(filled.runs.parent / "target" / "cache")}
    for words in (("status", str(file), "--json"), ("check", str(file))):
        with_cache = msm(*words, "--lake", str(lake), place=tmp_path, **own)
        without = msm(*words, "--lake", str(lake), "--no-cache", place=tmp_path)
        assert (with_cache.code, with_cache.out) == (without.code, without.out)


def test_dbt_by_hand_takes_it_and_fills_it(lake: Path, filled: Done, tmp_path: Path) -> None:
    given = {**tiny_spec(), "experiment_id": "tiny"}
    variables = json.dumps({"experiments": [given]})
    words = ("build", "--vars", variables, "--exclude", "tag:project")
    env = {"MSM_LAKE": str(lake)}
    first = dbt(*words, place=tmp_path, **env)
    assert first.code == 0, first.out
    assert outcomes(first) == len(cache.STAGES)
    assert "OK created sql table model main.asset_days" in first.out
    second = dbt(*words, place=tmp_path, MSM_FORCE="1", **env)
    assert second.code == 0, second.out
    n_models = sum(len(stage.models()) for stage in cache.STAGES)
    n_views = 2  # asset_eligibility and asset_marketcaps are made anew
    assert second.out.count("KEPT") == n_models - n_views
    assert contents(second.folder("tiny")) == contents(filled.folder("tiny"))
    # what was built can be tested and asked without saying again what it was built for
    tested = dbt("test", "--select", "asset_days", "baskets", place=tmp_path, **env)
    assert tested.code == 0, tested.out
    # of part of a build nobody knows when the rest was made, and of what
    before = outcomes(first)
    assert msm("cache", "clear", place=tmp_path).code == 0
    part = dbt(*words[:3], "--select", "kept_tables", place=tmp_path, **env)
    assert part.code == 0, part.out
    assert before
    assert outcomes(part) == 0
    # another lake shows nothing of this one
    none = dbt("build", "--vars", "{}", "--exclude", "tag:project", place=tmp_path, **env)
    assert none.code == 0, none.out
    assert "KEPT" not in none.out


def test_what_workers_share_is_filled_in_before_they_begin(lake: Path, tmp_path: Path) -> None:
    spec = merged(tiny_spec(), {"sweep": {"grid": {"state_mapping.thresholds.high": [0.2, 0.3]}}})
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(spec))
    words = ("sweep", str(file), "--lake", str(lake), "--batch-size", "1")
    with_cache = msm(*words, "--jobs", "2", place=tmp_path / "with")
    without = msm(*words, "--no-cache", place=tmp_path / "without")
    assert with_cache.code == without.code == 0, with_cache.err + without.err
    assert outcomes(with_cache) == len(cache.STAGES)  # nobody computed anything of it twice
    runs = sorted(folder.name for folder in without.runs.glob("tiny*"))
    assert len(runs) == 2
    for run in runs:
        assert contents(with_cache.runs / run) == contents(without.runs / run)


def test_nothing_is_filled_in_of_a_lake_that_changed_meanwhile(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_spec()))
    data, code = fingerprint(open_lake(lake)), code_fingerprint()
    runs = [ResolvedRun.of(x, data, code) for x in load_experiments([file])]
    places = Places(lake, tmp_path / "runs", tmp_path / "msm.duckdb", cache=tmp_path / "cache")
    keys = iter(["before", "before", "after"])  # when it looks, when it begins and at its end
    monkeypatch.setattr(
        invocation, "_keys", lambda *_: dict.fromkeys((s.name for s in cache.STAGES), next(keys))
    )
    with in_project(tmp_path):
        invocation.fill_cache(runs, places)
    assert next(keys, None) is None
    assert not list(tmp_path.glob("cache/*.duckdb"))


def test_no_table_of_a_stage_depends_on_more_than_its_key(tmp_path: Path) -> None:
    """What a stage reads besides stages is what keys are made for; runs come in nowhere else."""
    with in_project(tmp_path):
        read = what_models_read()
    kept = {stage.name: set(stage.models()) for stage in cache.STAGES}
    outside = {
        stage: {parent for model in models for parent in read[model]} - set().union(*kept.values())
        for stage, models in kept.items()
    }
    assert outside == {
        "lake": {"experiments"},  # whether there is one
        "market": {"universes"},
        "features": {"run_features"},
        "legs": {"run_horizons", "run_windows", "runs", "strategies"},
    }
    assert all(model in read for models in kept.values() for model in models)
    # all of them are built, and tested, when the last model before keeping is
    before, waiting = set(), {"run_artifacts"}
    while waiting:
        model = waiting.pop()
        before.add(model)
        waiting |= read[model] - before
    assert set().union(*kept.values()) <= before


@pytest.mark.slow
def test_the_shipped_experiments_have_the_same_bytes_with_and_without(tmp_path: Path) -> None:
    sample = tmp_path / "lake"
    assert msm("lake", "sample", str(sample), place=tmp_path).code == 0
    files = sorted(str(file) for file in (ROOT / "experiments" / "msm").glob("msm_*.yaml"))
    words = ("--lake", str(sample), "--no-report")
    without = msm("run", *files, *words, "--no-cache", place=tmp_path / "without")
    assert without.code == 0, without.err
    for file in files:  # one after the other, each takes what those before it have kept
        done = msm("run", file, *words, place=tmp_path / "with")
        assert done.code == 0, done.err
    for folder in without.runs.glob("msm_*"):
        assert contents(tmp_path / "with" / "runs" / folder.name) == contents(folder)
