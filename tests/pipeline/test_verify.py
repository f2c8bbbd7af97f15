"""verify and diff: runs made again byte for byte, what was touched, and where two runs part."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.lakes import tiny_lake
from support.made_up_runs import ALL_FILES, everything
from support.pipeline import Done, msm, run_experiments
from support.specs import spec_of

from msm_py.experiment.ids import run_id_of
from msm_py.report import comparison
from msm_py.runner import verification
from msm_py.store import formats, layout
from msm_py.store.parting import Parting

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


@contextmanager
def changed_manifest(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the manifest of a run, and write what becomes of it."""
    file = folder / layout.MANIFEST
    manifest = json.loads(file.read_bytes())
    yield manifest
    file.write_text(json.dumps(manifest))


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
        ("no manifest", "no run that can be read: manifest.json: it is not of the shape in which"),
        ("cut manifest", "no run that can be read: manifest.json: no JSON"),
        ("lost manifest", "no run that can be read: manifest.json: No such file"),
        ("renamed", "plain-1111111111: no run that can be read: it holds the run plain-"),
        ("another spec", "manifest.json: its spec, lake and code are those of plain-"),
        ("another lake", "manifest.json: its spec, lake and code are those of plain-"),
        ("no hashes", "manifest.json: it has no hashes of the run's files, which the code"),
        ("odd hashes", "manifest.json: it is not of the shape in which runs write it"),
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
        case "cut manifest":
            file = folder / layout.MANIFEST
            file.write_bytes(file.read_bytes()[:-500])
        case "lost manifest":
            (folder / layout.MANIFEST).unlink()
        case "renamed":
            folder.rename(folder.with_name("plain-1111111111"))
        case "another spec":
            with changed_manifest(folder) as manifest:
                manifest["spec"]["features"][0]["weight"] = 0.28
        case "another lake":
            with changed_manifest(folder) as manifest:
                manifest["lake"]["fingerprint"] = "0" * 64
        case "no hashes":
            with changed_manifest(folder) as manifest:
                del manifest["files"]
        case "odd hashes":
            with changed_manifest(folder) as manifest:
                manifest["files"] = "none"
    found = verify(copied, copied / "none", "--all", "--quick")
    assert found.code == 1
    assert told in found.out
    assert "3 of 4 runs sound." in found.out


def test_a_page_is_no_part_of_a_run(copied: Path) -> None:
    (folder,) = (copied / "runs").glob("plain-*")
    (folder / layout.REPORT).write_text("another page")
    assert verify(copied, copied / "none", "plain", "--quick").code == 0


def test_a_run_without_hashes_is_of_an_older_version(copied: Path) -> None:
    (folder,) = (copied / "runs").glob("plain-*")
    with changed_manifest(folder) as manifest:
        del manifest["files"]
        manifest["code_fingerprint"] = "0" * 64
        questions = (manifest["spec"], manifest["lake"]["fingerprint"], "0" * 64)
        manifest["run_id"] = run_id_of(*questions)
    folder.rename(folder.with_name(manifest["run_id"]))
    found = verify(copied, copied / "none", manifest["run_id"], "--quick")
    assert found.code == 0
    assert "no hashes" in found.out
    assert "of 1 nobody knows whether files were touched" in found.out


def test_what_else_lies_there_is_no_run_and_no_fault(copied: Path) -> None:
    (copied / "runs" / "notes").mkdir()
    found = verify(copied, copied / "none", "--all", "--quick")
    assert found.code == 0
    assert "4 of 4 runs sound.\nNo run: notes (no run folder)" in found.out


def test_a_folder_without_runs_is_not_sound(tmp_path: Path) -> None:
    found = verify(tmp_path, tmp_path / "none", "--all", "--quick")
    assert found.code == 1
    assert "there is no run to verify" in found.err


def test_a_manifest_that_says_other_things_of_the_lake_is_named(copied: Path, done: Done) -> None:
    (folder,) = (copied / "runs").glob("plain-*")
    with changed_manifest(folder) as manifest:
        manifest["seed"] = 5
        manifest["lake"]["name"] = "paid_vendor"
        manifest["lake"]["dropped_rows"] = []
        manifest["git_dirty"] = None  # of the making, as times are
        manifest["finished_at"] = "2020-01-01T00:00:00"
    found = verify(copied, done.runs.parent / "lake", "plain")
    assert found.code == 1
    said = sorted(x.strip() for x in found.out.splitlines() if "manifest.json: " in x)
    assert len(said) == 3
    assert re.fullmatch(r"manifest.json: lake.dropped_rows has \d+ entries, had 0", said[0])
    assert said[1] == "manifest.json: lake.name is 'tiny_1', was 'paid_vendor'"
    assert said[2].startswith("manifest.json: seed is ")


def test_where_files_differ_is_told_of_every_kind(copied: Path, tmp_path: Path) -> None:
    (folder,) = (copied / "runs").glob("plain-*")
    again = tmp_path / "again" / folder.name
    shutil.copytree(folder, again)
    for name, column, row in (
        (layout.REGIME_TIMESERIES, "score", 3),
        (layout.BASKET, "weight", 2),
        (layout.ATTRIBUTION, "n_days", 1),
    ):
        table = formats.read_parquet(again / name)
        values = table[column].to_pylist()
        values[row] += 1
        place = table.column_names.index(column)
        changed = pa.array(values, table.schema.field(column).type)
        (again / name).unlink()
        formats.write_parquet(table.set_column(place, column, changed), again / name)
    of_lake = formats.read_parquet(folder / layout.ELIGIBILITY)
    (again / layout.ELIGIBILITY).unlink()
    formats.write_parquet(of_lake.slice(0, of_lake.num_rows - 1), again / layout.ELIGIBILITY)
    said = {text.partition(": ")[0]: text for text in verification.differences(folder, again)}
    day = r"\d{4}-\d\d-\d\d"
    for name, told in (
        (layout.REGIME_TIMESERIES, rf"{day}: score is \S+, was \S+"),
        (layout.BASKET, rf"{day} \S+: weight is \S+, was \S+"),
        (layout.ATTRIBUTION, r"row 2 \(long, BTC, \w+\): n_days is \d+, was \d+"),
        (layout.ELIGIBILITY, rf"it has {of_lake.num_rows - 1} rows, had {of_lake.num_rows}"),
    ):
        assert re.fullmatch(rf"{name}: {told}", said.pop(name))
    assert said == {}


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
        found = re.search(r"r_net: (\S+) in A, (\S+) in B", told["returns"])
        assert found is not None
        assert found[1] != found[2]  # as shown


def test_values_that_part_are_shown_with_the_digits_in_which_they_do() -> None:
    parting = Parting("t", "r_net", date(2023, 7, 7), {}, -0.00061234561, -0.00061234562)
    told = ("2023-07-07", "r_net: -0.00061234561 in A, -0.00061234562 in B")
    assert comparison._when(parting) == told
