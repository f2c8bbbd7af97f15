"""What the lake check found is kept by the lake's fingerprint and stands on top of every report."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console, Group
from support.lakes import merged, tiny_lake, tiny_spec
from support.pipeline import Done, dbt, msm, run_experiments

from msm_py.errors import Interrupted, MsmError
from msm_py.lake import check as lake_check
from msm_py.lake.check import LakeReport, check_lake
from msm_py.lake.check_items import ABSENT, Item
from msm_py.lake.opening import Lake, fingerprint, open_lake
from msm_py.report import lake_report
from msm_py.store import lake_records
from msm_py.store.lake_records import Findings, kept, look_over

FAILING = Item("fact_price", "asset ids", "fail", "btc [/red] beside BTC", "give it one id")
WARNING = Item("fact_price", "jumps", "warn", "some")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lake(tmp_path_factory.mktemp("sound") / "lake")


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The lakes that are checked from now on."""
    made: list[Path] = []

    def counted(lake: Lake, spill: Path) -> LakeReport:
        made.append(lake.path)
        return check_lake(lake, spill)

    monkeypatch.setattr(lake_records, "check_lake", counted)
    return made


def shown(found: Findings) -> str:
    out = io.StringIO()
    console = Console(file=out, width=100)
    console.print(Group(*lake_report.lake_findings(found)))
    console.print(Group(*lake_report.lake_line(found)))
    return out.getvalue()


# --- The record ----------------------------------------------------------------------------------


def test_a_lake_is_checked_once(lake: Path, tmp_path: Path, checks: list[Path]) -> None:
    data = fingerprint(open_lake(lake))
    assert kept(tmp_path, data) == Findings()
    first = look_over(tmp_path, lake, data)
    assert first.items == check_lake(open_lake(lake)).items
    assert look_over(tmp_path, lake, data) == first == kept(tmp_path, data)
    assert checks == [lake]
    assert [file.name for file in (tmp_path / ".lakes").iterdir()] == [f"{data}.json"]


def test_another_version_of_the_check_makes_it_anew(
    lake: Path, tmp_path: Path, checks: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fingerprint(open_lake(lake))
    before = look_over(tmp_path, lake, data)
    monkeypatch.setattr(lake_records, "check_version", lambda: "another")
    assert look_over(tmp_path, lake, data).items == before.items
    assert kept(tmp_path, data).version == "another"
    assert len(checks) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"verdict": "ok"', '"verdict": "splendid"'),
        lambda text: text.replace('"check": "rows"', '"check": 7'),
        lambda text: text.replace('"remedy"', '"cure"'),
        lambda text: text.replace('"items": [{', '"items": [7, {'),
        lambda text: text.replace('"fingerprint": "', '"fingerprint": "0'),
    ],
)
def test_a_damaged_record_is_made_anew(
    lake: Path, tmp_path: Path, damage: Callable[[str], str]
) -> None:
    data = fingerprint(open_lake(lake))
    found = look_over(tmp_path, lake, data)
    (file,) = (tmp_path / ".lakes").iterdir()
    whole = file.read_text()
    assert damage(whole) != whole
    file.write_text(damage(whole))
    assert kept(tmp_path, data) == Findings()
    assert look_over(tmp_path, lake, data) == found
    assert file.read_text() == whole


def test_a_record_that_cannot_be_written_stops_nothing(lake: Path, tmp_path: Path) -> None:
    (tmp_path / ".lakes").write_text("in the way")
    assert look_over(tmp_path, lake, fingerprint(open_lake(lake))).items
    assert (tmp_path / ".lakes").read_text() == "in the way"


def test_a_lake_that_changes_meanwhile_leaves_no_record(lake: Path, tmp_path: Path) -> None:
    assert look_over(tmp_path, lake, "f" * 64).items
    assert not (tmp_path / ".lakes").exists()


def test_a_lake_that_cannot_be_checked_is_reported(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(lake: Lake, spill: Path) -> LakeReport:
        raise MsmError("the lake cannot be checked", received="a bad page", remedy="mend it")

    monkeypatch.setattr(lake_records, "check_lake", fails)
    (item,) = look_over(tmp_path, lake, fingerprint(open_lake(lake))).items
    assert (item.verdict, item.detail, item.remedy) == (
        "fail",
        "the lake cannot be checked: a bad page",
        "mend it",
    )
    assert not (tmp_path / ".lakes").exists()


def test_ctrl_c_within_a_check_is_an_interruption(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def takes_long(check: lake_check._Check, name: str) -> list[Item]:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        check.rows("select count(*) from range(10_000_000_000_000) as days(day) where day % 7 = 3")
        return []

    monkeypatch.setattr(lake_check, "_STEPS", (takes_long,))
    # with more threads DuckDB may look for a signal only when the query is done
    monkeypatch.setenv("MSM_THREADS", "1")
    # what a shell starts in the background ignores Ctrl-C
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted):
            check_lake(open_lake(lake))
    finally:
        signal.signal(signal.SIGINT, before)


# --- What is shown -------------------------------------------------------------------------------


def test_failures_are_shown_whole_and_warnings_counted() -> None:
    text = shown(Findings("/a lake", "v", (FAILING, WARNING, WARNING)))
    assert "The check of the lake fails (1 item)" in text
    assert "!! fact_price, asset ids: btc [/red] beside BTC\n-> give it one id" in text
    assert "The check of the lake warns (2 items): msm lake check '/a lake'" in text
    assert "!! The check of the lake fails (fact_price asset ids): msm lake check '/a lake'" in text


def test_warnings_that_change_numbers_are_shown_whole() -> None:
    peg = Item("fact_price", "pegs", "warn", "USDX (USD, 0.1%)", "exclude it")
    absent = Item("dim_asset", "rows", "warn", ABSENT)
    text = shown(Findings("/lake", "v", (peg, WARNING, absent)))
    assert "! fact_price, pegs: USDX (USD, 0.1%)\n-> exclude it" in text
    assert "warns (2 items)" in text, "a table that need not be there is no warning"


def test_a_sound_lake_takes_no_room() -> None:
    assert shown(Findings("/lake", "v", (Item("fact_price", "rows", "ok", "3"),))).strip() == ""
    assert shown(Findings()).strip() == ""


# --- Runs and sweeps -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bad_lake(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose market caps have lower-case ids: without a word no run has alts."""
    folder = tmp_path_factory.mktemp("bad") / "lake"
    shutil.copytree(lake, folder)
    for file in folder.rglob("*.parquet"):
        if "fact_marketcap" in str(file.relative_to(folder)):
            caps = pd.read_parquet(file)
            caps["asset_id"] = caps["asset_id"].str.lower()
            caps.to_parquet(file, index=False)
    return folder


@pytest.fixture(scope="module")
def done(bad_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    return run_experiments([tiny_spec()], bad_lake, tmp_path_factory.mktemp("run"))


def first_lines(text: str) -> str:
    return text[: text.index("on test days")]


def test_a_run_goes_on_and_says_it_first(done: Done, bad_lake: Path) -> None:
    assert done.code == 0, done.err
    told = first_lines(done.out)
    assert "The check of the lake fails (3 items)" in told
    assert "!! fact_price, asset ids: one asset under more than one id: A01 (" in told
    assert "beside a01 (fact_marketcap)" in " ".join(told.split())
    assert "-> ids are case-sensitive" in told
    assert f"msmlakecheck{bad_lake}" in "".join(told.split()), "however it is wrapped"
    assert told.index("The check of the lake fails") < told.index("\nTiny")
    (file,) = (done.runs / ".lakes").iterdir()
    manifest = json.loads((done.folder("tiny") / "manifest.json").read_text())
    assert file.stem == manifest["lake"]["fingerprint"]


def test_show_says_it_too(done: Done) -> None:
    again = msm("show", "tiny", place=done.runs.parent)
    assert "The check of the lake fails (3 items)" in first_lines(again.out)


def test_a_sweep_says_it_in_a_line(done: Done, bad_lake: Path, tmp_path: Path) -> None:
    spec = merged(tiny_spec(), {"experiment_id": "grid"})
    spec["sweep"] = {"grid": {"target.short_leg.n": [3, 4]}}
    file = tmp_path / "grid.yaml"
    file.write_text(yaml.safe_dump(spec))
    swept = msm("sweep", str(file), "--lake", str(bad_lake), place=tmp_path)
    assert swept.code == 0, swept.err
    line = (
        "!! The check of the lake fails (fact_price asset ids, fact_price what runs have, "
        f"fact_marketcap majors): msm lake check {bad_lake}"
    )
    assert "".join(line.split()) in "".join(swept.out.split()), "however it is wrapped"
    (record,) = (tmp_path / "runs" / ".sweeps").glob("*.json")
    again = msm("sweep", "show", record.stem, place=tmp_path).out
    assert "".join(line.split()) in "".join(again.split())


def test_when_no_run_completes_the_lake_is_reported(bad_lake: Path, tmp_path: Path) -> None:
    outside = merged(tiny_spec(), {"window": {"start": "2030-01-01", "end": "2030-12-31"}})
    failed = run_experiments([outside], bad_lake, tmp_path)
    assert failed.code == 1
    assert "The window lies outside the lake" in failed.err
    assert "The check of the lake fails" in failed.out
    assert "beside a01 (fact_marketcap)" in " ".join(failed.out.split())


@pytest.mark.slow
def test_dbt_by_hand_makes_no_record(lake: Path, tmp_path: Path) -> None:
    given = {"experiments": [tiny_spec()]}
    words = ("build", "--exclude-resource-type", "unit_test", "--vars", json.dumps(given))
    by_hand = dbt(*words, place=tmp_path, MSM_LAKE=str(lake))
    assert by_hand.code == 0, by_hand.out
    assert not (tmp_path / "runs" / ".lakes").exists()
    assert "The check of the lake" not in msm("show", "tiny", place=tmp_path).out
    look_over(tmp_path / "runs", lake, fingerprint(open_lake(lake)))
    assert "The check of the lake warns" in msm("show", "tiny", place=tmp_path).out
