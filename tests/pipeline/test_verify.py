"""verify and diff: runs made again byte for byte, what was touched, and where two runs part."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from support.lakes import tiny_lake
from support.made_up_runs import ALL_FILES, everything
from support.pipeline import Done, msm, run_experiments
from support.specs import spec_of

from msm_py.store import formats, layout

SEARCH = {
    "backtest": {
        "test_window_days": 45,
        "grid_search": {"objective": "net_sharpe", "thresholds": {"high": [0.2, 0.5]}},
    },
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("verified")
    lake = tiny_lake(place / "lake", seed=1)
    specs = [
        spec_of("plain", {}),
        spec_of("searched", SEARCH),
        spec_of("dearer", {"backtest": {"costs": {"taker_fee_bps": 9}}}),
        spec_of("higher", {"state_mapping": {"thresholds": {"high": 0.9, "strong_high": 1.9}}}),
    ]
    found = run_experiments(specs, lake, place)
    assert found.code == 0, found.err
    return found


@pytest.fixture
def copied(done: Done, tmp_path: Path) -> Path:
    """A copy of the runs folder, to be damaged."""
    shutil.copytree(done.runs, tmp_path / "runs")
    return tmp_path


def verify(place: Path, lake: Path, *words: str) -> Done:
    return msm("verify", *words, "--lake", str(lake), place=place)


def test_the_manifest_knows_every_file(done: Done) -> None:
    folder = done.folder("plain")
    kept = json.loads((folder / layout.MANIFEST).read_bytes())["files"]
    assert sorted([*kept, layout.MANIFEST]) == ALL_FILES


def test_runs_made_again_are_the_same(done: Done) -> None:
    before = everything(done.runs)
    again = verify(done.runs.parent, done.runs.parent / "lake", "--all")
    assert again.code == 0, again.out
    assert again.out.count(": the same, made again") == 4
    assert "4 of 4 runs sound." in again.out
    assert everything(done.runs) == before  # nothing is written


def test_the_lake_may_lie_elsewhere_and_another_one_is_said(done: Done, tmp_path: Path) -> None:
    other = tiny_lake(tmp_path / "other", seed=2)
    again = verify(done.runs.parent, other, "plain")
    assert again.code == 1
    assert "another lake: " in again.out
    assert "returns.parquet: 2024-" in again.out
    assert "0 of 1 run sound; 1 on another lake or with other code." in again.out


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("edited", "regime_metrics.csv: changed since the run wrote it"),
        ("missing", "basket.parquet: missing"),
        ("truncated", "returns.parquet: changed since the run wrote it"),
        ("swapped", "features.parquet: changed since the run wrote it"),
        ("stray", "notes.txt: no file of the run"),
        ("no manifest", "manifest.json: "),
    ],
)
def test_what_was_touched_is_named(copied: Path, damage: str, told: str) -> None:
    (folder,) = (copied / "runs").glob("plain-*")
    match damage:
        case "edited":
            file = folder / layout.REGIME_METRICS
            file.write_text(file.read_text().replace("0.", "1.", 1))
        case "missing":
            (folder / layout.BASKET).unlink()
        case "truncated":
            file = folder / layout.RETURNS
            file.write_bytes(file.read_bytes()[:-100])
        case "swapped":  # a sound file, of another run
            table = pa.table({"date": pa.array([], pa.date32())})
            (folder / layout.FEATURES).unlink()
            formats.write_parquet(table, folder / layout.FEATURES)
        case "stray":
            (folder / "notes.txt").write_text("mine")
        case "no manifest":
            (folder / layout.MANIFEST).write_text("[]")
    found = verify(copied, copied / "none", "--all", "--quick")
    if damage == "no manifest":  # it is no run any more
        assert "3 of 3 runs sound." in found.out
        return
    assert found.code == 1
    assert told in found.out
    assert "3 of 4 runs sound." in found.out


def test_a_page_is_no_part_of_a_run(copied: Path) -> None:
    (folder,) = (copied / "runs").glob("plain-*")
    (folder / layout.REPORT).write_text("another page")
    assert verify(copied, copied / "none", "plain", "--quick").code == 0


def test_a_run_without_hashes_is_of_an_older_version(copied: Path) -> None:
    (folder,) = (copied / "runs").glob("plain-*")
    file = folder / layout.MANIFEST
    manifest = json.loads(file.read_bytes())
    del manifest["files"]
    file.write_text(json.dumps(manifest))
    found = verify(copied, copied / "none", "plain", "--quick")
    assert found.code == 0
    assert "no hashes" in found.out
    assert "of 1 nobody knows whether files were touched" in found.out


def test_one_must_say_which(done: Done) -> None:
    for words in ((), ("plain", "--all")):
        found = verify(done.runs.parent, done.runs.parent / "lake", *words)
        assert found.code == 1
        assert "say which runs are verified" in found.err


@pytest.mark.parametrize(
    ("other", "parts"),
    [
        ("dearer", {"features": False, "scores": False, "states": False, "returns": True}),
        ("higher", {"features": False, "scores": False, "states": True}),
        ("plain", dict.fromkeys(("features", "scores", "states", "baskets", "returns"), False)),
    ],
)
def test_where_two_runs_part(done: Done, other: str, parts: dict[str, bool]) -> None:
    shown = msm("diff", "plain", other, place=done.runs.parent)
    assert shown.code == 0, shown.err
    lines = shown.out.split("First days that part")[1].splitlines()
    told = {line.split()[0]: line for line in lines if line.strip() and line[0].isalpha()}
    for what, is_other in parts.items():
        assert ("never" not in told[what]) == is_other, told[what]
    if other == "dearer":
        assert "r_net" in told["returns"]
