"""From vendors' files to a readable result in two commands, and what a store promises."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import yaml
from support.pipeline import ROOT, environment, msm
from support.vendor_files import ASSETS, FIRST, write_vendor_files

from msm_py.ingest import vintages


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk with files of 32 assets, and a store made of them."""
    desk = tmp_path_factory.mktemp("desk")
    write_vendor_files(desk, 600)
    done = ingested(desk)
    assert done.code == 0, done.err + done.out
    return desk


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A desk with files of four assets over two years, and no store yet."""
    write_vendor_files(tmp_path, 500, assets=ASSETS[:4])
    return tmp_path


def ingested(desk: Path, *options: str) -> Any:
    return msm(
        *("lake", "ingest", str(desk / "spec.yaml"), "--store", str(desk / "store"), *options),
        place=desk / "place",
    )


def rows_of(lake: Path, table: str) -> list[tuple[Any, ...]]:
    files = str(lake / table / "*.parquet")
    return duckdb.execute("select * from read_parquet(?) order by all", [files]).fetchall()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "provenance.json"
    }


def test_from_vendors_files_to_a_result_in_two_commands(full: Path) -> None:
    """Ingest was the first; the baseline needs every table."""
    lake = str(full / "store" / "lake")
    baseline = str(ROOT / "experiments" / "msm" / "msm_v1_baseline.yaml")
    done = msm("run", baseline, "--lake", lake, place=full / "place")
    assert done.code == 0, done.err
    folder = done.folder("msm_v1_baseline")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["lake"]["name"] == "invented"
    features = pd.read_parquet(folder / "features.parquet")
    last = features[features["date"] == features["date"].max()]
    assert last["z_score"].notna().all(), "every feature has what it needs"


def test_the_lake_holds_what_the_vendors_said(full: Path) -> None:
    lake = full / "store" / "lake"
    closes = pd.read_parquet(lake / "fact_price")
    assert set(closes["asset_id"]) == set(ASSETS)
    assert closes.groupby("asset_id").size().eq(600).all()
    assert set(closes["source"]) == {"klines"}, "the best source has every day"
    caps = pd.read_parquet(lake / "fact_marketcap")
    both = closes.merge(caps, on=["asset_id", "date"])
    ratio = both["marketcap"] / both["close"]
    assert ratio[both["asset_id"] == "BTC"].round(3).eq(2e7).all()
    rates = pd.read_parquet(lake / "fact_funding")
    raw = pd.read_csv(full / "raw" / "funding" / "ETHUSDT-fundingRate-all.csv")
    first = rates[(rates["asset_id"] == "ETH") & (rates["date"] == FIRST)]
    assert first["funding_rate_1d_sum"].item() == pytest.approx(
        raw["last_funding_rate"][:3].sum(), rel=1e-12
    )
    assert (rates["funding_rate"] * 3).sub(rates["funding_rate_1d_sum"]).abs().max() < 1e-15
    assert first["instrument_id"].item() == "ETHUSDT"
    provenance = json.loads((lake / "provenance.json").read_text())
    assert provenance["tables"]["fact_price"]["rows_by_source"] == {"klines": 600 * 32}


def test_a_repeated_ingest_changes_nothing(small: Path) -> None:
    assert ingested(small).code == 0
    before = {file: file.stat().st_mtime_ns for file in (small / "store").rglob("*.parquet")}
    again = ingested(small)
    assert "Nothing new" in again.out
    assert {f: f.stat().st_mtime_ns for f in (small / "store").rglob("*.parquet")} == before


def append_day(desk: Path, day: int) -> None:
    """Let the vendors tell of one more day, and forget the others."""
    whole = desk / f"whole-{day}"
    whole.mkdir()
    write_vendor_files(whole, day + 1, assets=ASSETS[:4])
    for folder in ("caps", "funding"):
        for file in (whole / "raw" / folder).iterdir():
            head, *lines = file.read_text().splitlines()
            kept = lines[-1:] if folder == "caps" else lines[-3:]
            (desk / "raw" / folder / file.name).write_text("\n".join([head, *kept]) + "\n")
    for file in (whole / "raw" / "interest").iterdir():
        samples = json.loads(file.read_text())
        (desk / "raw" / "interest" / file.name).write_text(json.dumps(samples[-1:]))
    for asset in ASSETS[:4]:
        shutil.rmtree(desk / "raw" / "klines" / asset)
        (desk / "raw" / "klines" / asset).mkdir()
        last = FIRST + timedelta(days=day)
        name = f"{asset}USDT-1d-{last:%Y-%m}"
        with zipfile.ZipFile(whole / "raw" / "klines" / asset / f"{name}.zip") as archive:
            line = archive.read(f"{name}.csv").decode().splitlines()[-1]
        (desk / "raw" / "klines" / asset / f"{name}-{last:%d}.csv").write_text(line + "\n")
    spec = (desk / "spec.yaml").read_text().replace("klines/**/*.zip", "klines/**/*.*")
    (desk / "spec.yaml").write_text(spec)


def test_a_day_more_gives_what_all_days_at_once_give(small: Path, tmp_path: Path) -> None:
    """Vendors forget: files of the last day alone. Years before are links; bytes are the same."""
    assert ingested(small).code == 0
    first = (small / "store" / "lake").resolve()
    append_day(small, 500)
    done = ingested(small)
    assert done.code == 0, done.err + done.out
    second = (small / "store" / "lake").resolve()
    assert second != first
    assert (second / "fact_price" / "2023.parquet").samefile(first / "fact_price" / "2023.parquet")
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    write_vendor_files(fresh, 501, assets=ASSETS[:4])
    assert ingested(fresh).code == 0
    assert tree((fresh / "store" / "lake").resolve()) == tree(second)


def test_the_lake_of_a_past_day_can_be_made_again(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = vintages.next_known_at
    for day in (1, 5):
        now = pd.Timestamp(f"2026-03-0{day}T12:00:00Z").to_pydatetime()
        monkeypatch.setattr(
            vintages, "next_known_at", lambda known, _=None, day=now: real(known, day)
        )
        if day == 5:
            append_day(small, 500)
        assert ingested(small).code == 0
    first, second = sorted(
        (x for x in (small / "store" / "lakes").iterdir()), key=lambda x: x.stat().st_ctime
    )
    before = tree(first)
    shutil.rmtree(first)
    done = ingested(small, "--as-of", "2026-03-04")
    assert done.code == 0, done.err
    assert tree(first) == before
    assert (small / "store" / "lake").resolve() == second, "what is published stays"
    nothing = ingested(small, "--as-of", "2026-02-01")
    assert "nothing was known on that day" in nothing.err


def test_a_dry_run_writes_nothing_and_says_which_ids_are_missing(small: Path) -> None:
    lines = (small / "ids.csv").read_text().splitlines()
    (small / "ids.csv").write_text("\n".join(x for x in lines if "coingecko_symbol,btc" not in x))
    done = ingested(small, "--dry-run")
    assert done.code == 1
    assert "1 ids of vendors stand for no asset" in done.err
    assert "coingecko_symbol,btc,,,BTC," in done.err
    (small / "ids.csv").write_text("\n".join(lines))
    done = ingested(small, "--dry-run")
    assert done.code == 0, done.err
    assert "nothing was written" in done.out
    assert not (small / "store" / "vintages").exists()
    assert not (small / "store" / "lake").exists()


def zipped(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)


def truncated(path: Path) -> None:
    zipped(path, "x.csv", random.Random(1).randbytes(5000))
    path.write_bytes(path.read_bytes()[:2000])


HOSTILE = {
    "truncated zip": (truncated, "it cannot be unpacked"),
    "web page": (
        lambda path: zipped(path, "x.csv", b"<!DOCTYPE html><html>busy</html>"),
        "it is a web page",
    ),
    "a zip bomb": (lambda path: zipped(path, "x.csv", b"0" * 20_000_000), "a bomb"),
    "a way out": (lambda path: zipped(path, "../../x.csv", b"1,2"), "a member leads out"),
    "mixed schemas": (lambda path: zipped(path, "x.csv", b"1,2,3\n"), "have 3 columns and not 12"),
    "a spreadsheet": (
        lambda path: zipped(path, "x.csv", b"1.70407E+12" + b",1" * 11 + b"\n"),
        "a spreadsheet has rounded the stamps",
    ),
    "1970": (
        lambda path: zipped(path, "x.csv", b"123456789" + b",1" * 11 + b"\n"),
        "a stamp lies in 1973",
    ),
    "no number": (
        lambda path: zipped(path, "x.csv", b"1704067200000,1,1,1,n/a" + b",1" * 7 + b"\n"),
        "close holds something else than a number",
    ),
    "empty": (lambda path: zipped(path, "x.csv", b""), "it is empty"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_named_and_the_published_lake_stays(
    full: Path, tmp_path: Path, name: str
) -> None:
    desk = tmp_path / "desk"
    shutil.copytree(full, desk, symlinks=True)
    lake = (desk / "store" / "lake").resolve()
    before = tree(desk / "store")
    make, says = HOSTILE[name]
    bad = desk / "raw" / "klines" / "BTC" / "BTCUSDT-1d-2030-01.zip"
    make(bad)
    done = ingested(desk)
    assert done.code == 1
    assert says in done.err
    assert str(bad) in done.err
    assert done.err.count("error:") == 1
    assert "Traceback" not in done.err
    assert (desk / "store" / "lake").resolve() == lake
    assert tree(desk / "store") == before


def test_a_lake_that_fails_its_check_is_not_published(small: Path) -> None:
    assert ingested(small).code == 0
    lake = (small / "store" / "lake").resolve()
    ids = (
        (small / "ids.csv")
        .read_text()
        .replace("coingecko_symbol,btc,,,BTC", "coingecko_symbol,btc,,,bitcoin")
    )
    (small / "ids.csv").write_text(ids)
    done = ingested(small)
    assert done.code == 1
    assert "the check of the new lake fails: it is not published" in done.err
    assert "rename bitcoin to BTC" in " ".join(done.out.split())
    assert (small / "store" / "lake").resolve() == lake


def test_ids_that_changed_make_all_days_anew(small: Path) -> None:
    assert ingested(small).code == 0
    ids = (small / "ids.csv").read_text().replace(",COIN01,", ",RENAMED,")
    (small / "ids.csv").write_text(ids)
    done = ingested(small)
    assert done.code == 0, done.err
    assets = set(pd.read_parquet(small / "store" / "lake" / "fact_price")["asset_id"])
    assert assets == {"BTC", "ETH", "COIN00", "RENAMED"}


@pytest.mark.parametrize("n_kills", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_at_any_moment_the_lake_is_the_old_or_the_new_one(small: Path, n_kills: int) -> None:
    assert ingested(small).code == 0
    lake = (small / "store" / "lake").resolve()
    old = tree(lake)
    append_day(small, 500)
    words = [
        *(sys.executable, "-m", "msm_py.cli", "lake", "ingest", str(small / "spec.yaml")),
        *("--store", str(small / "store")),
    ]
    rng = random.Random(3)
    for _ in range(n_kills):
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=environment(small / "place"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(0.3, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        standing = (small / "store" / "lake").resolve()
        assert (standing == lake and tree(standing) == old) or standing != lake
    done = ingested(small)
    assert done.code == 0, done.err
    assert len(rows_of(small / "store" / "lake", "fact_price")) == 4 * 501
    left = [x.name for x in (small / "store").iterdir() if x.name.startswith(".msm")]
    assert left == []


def test_a_folder_of_something_else_is_no_store(small: Path) -> None:
    (small / "store").mkdir()
    (small / "store" / "notes.txt").write_text("mine")
    done = ingested(small)
    assert done.code == 1
    assert "the folder holds something else than a store" in done.err


def test_vendors_are_listed_and_shown(tmp_path: Path) -> None:
    listed = msm("lake", "vendors", place=tmp_path)
    assert "binance_vision.fundingRate  Monthly archives of funding" in listed.out
    shown = msm("lake", "vendors", "--show", "coingecko.export", place=tmp_path)
    assert yaml.safe_load(shown.out)["time"]["means"] == "instant"
    wrong = msm("lake", "vendors", "--show", "coingecko.exports", place=tmp_path)
    assert "did you mean coingecko.export?" in wrong.err
