"""``msm status``: the state of a day is that of a run, nothing later counts, nothing is written."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from support.lakes import rewritten, tiny_lake
from support.pipeline import Done, msm, msm_process, run_experiments
from support.specs import ODD_SPECS, spec_of

from msm_py.regimes import CUTS, REGIMES_OF

NAMES = ("plain", "impact", "long_leg", "min_coverage")
CUT = pd.Timestamp("2024-05-10")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of 160 days, and experiments whose runs are there."""
    place = tmp_path_factory.mktemp("status")
    lake = tiny_lake(place / "lake", seed=9)
    specs = [spec_of(name, ODD_SPECS.get(name, {})) for name in NAMES]
    done = run_experiments(specs, lake, place)
    assert done.code == 0, done.err
    return place


def asked(place: Path, *options: str, lake: str = "lake") -> Done:
    files = [str(place / f"{name}.yaml") for name in NAMES]
    return msm("status", *files, "--lake", str(place / lake), *options, place=place)


@cache  # an invocation takes seconds
def of(place: Path, *options: str, lake: str = "lake") -> dict[str, Any]:
    found = json.loads(asked(place, "--json", *options, lake=lake).out)
    return {one["experiment_id"]: one for one in found["experiments"]}


def last_day(folder: Path) -> Any:
    return pd.read_parquet(folder / "regime_timeseries.parquet").iloc[-1]


@pytest.mark.parametrize("name", NAMES)
def test_the_state_is_that_of_a_run(place: Path, name: str) -> None:
    (folder,) = (place / "runs").glob(f"{name}-*")
    one, day = of(place, "--asof", "2024-06-08")[name], last_day(folder)
    assert one["day"] == str(day["date"])[:10]
    assert (one["regime"], one["score"]) == (day["regime"], day["score"])
    assert one["age_days"] == day["regime_age_days"]
    features = pd.read_parquet(folder / "features.parquet")
    features = features[features["date"] == day["date"]].set_index("feature_id")["z_score"]
    found = {x["feature_id"]: x["z_score"] for x in one["features"]}
    assert found == {k: (None if pd.isna(v) else v) for k, v in features.items()}
    basket = pd.read_parquet(folder / "basket.parquet")
    if str(basket["date"].max())[:10] == one["day"]:
        last = basket[basket["date"] == basket["date"].max()]
        assert [x["asset_id"] for x in one["basket"]] == list(last.sort_values("rank")["asset_id"])
    returns = pd.read_parquet(folder / "returns.parquet").iloc[-1]
    turnover = sum(abs(x["trade"]) for x in one["trades"])
    assert turnover == pytest.approx(returns["turnover"], abs=1e-12)
    assert one["worth"]["run_id"] == folder.name


def test_nothing_later_counts(place: Path) -> None:
    """What the lake says later changes nothing: the lake that ends on the day gives the same."""
    cut = place / "cut"
    if not cut.exists():
        rewritten(place / "lake", cut, lambda table: table[table["date"] <= CUT])
    day = f"{CUT:%Y-%m-%d}"
    assert of(place, "--asof", day) == of(place, "--asof", day, lake="cut")


def test_switches_stand_at_cuts_and_their_bands(place: Path) -> None:
    """Away from BALANCED at the cut, back to it beyond the cut by the band."""
    for name, one in of(place, "--asof", f"{CUT:%Y-%m-%d}").items():
        mapping = spec_of(name, ODD_SPECS.get(name, {}))["state_mapping"]
        cuts = [mapping["thresholds"][cut] for cut in CUTS]
        order = REGIMES_OF[5].index(one["regime"])
        assert {x["regime"] for x in one["switches"]} <= set(REGIMES_OF[5]) - {one["regime"]}
        for switch in one["switches"]:
            there = REGIMES_OF[5].index(switch["regime"])
            assert switch["distance"] == pytest.approx(switch["score"] - one["score"])
            cut = cuts[max(order, there) - 1 if there > order else min(order, there)]
            away = (there > order) == (max(order, there) > 2) and (order - 2) * (there - 2) >= 0
            if away and abs(there - 2) > abs(order - 2):
                assert switch["score"] == pytest.approx(cut), "a step away from BALANCED"


def test_old_tables_and_no_decision_have_exit_codes(place: Path) -> None:
    fresh = asked(place, "--asof", "2024-06-08", "--max-age", "40")
    assert fresh.code == 0, fresh.out
    old = asked(place, "--asof", "2024-06-20")
    assert old.code == 3
    assert "days old, of" in old.out
    early = asked(place, "--asof", "2024-01-05")
    assert early.code == 4
    assert "no decision" in early.out
    wrong = asked(place, "--asof", "tomorrow")
    assert wrong.code == 1
    assert "this is no day" in wrong.err


def test_a_broken_experiment_leaves_the_others_theirs(place: Path, tmp_path: Path) -> None:
    broken, later = tmp_path / "broken.yaml", tmp_path / "later.yaml"
    broken.write_text("experiment_id: [\n", encoding="utf-8")
    spec = {**spec_of("later", {}), "window": {"start": "2030-01-01", "end": None}}
    later.write_text(yaml.safe_dump(spec), encoding="utf-8")
    lake = ("--lake", str(place / "lake"), "--asof", "2024-06-08")
    twin = tmp_path / "twin.yaml"
    twin.write_text(yaml.safe_dump({**spec_of("plain", {}), "title": "Other"}), encoding="utf-8")
    files = [str(place / "plain.yaml"), str(broken), str(later), str(twin)]
    done = msm("status", *files, *lake, "--json", place=place)
    assert done.code == 4
    found = {one["experiment_id"]: one for one in json.loads(done.out)["experiments"]}
    assert found["plain"] == of(place, "--asof", "2024-06-08")["plain"]
    assert "broken.yaml" in found["broken"]["error"]
    assert "2030-01-01" in found["later"]["error"]
    assert "one experiment_id stands for two" in found["twin"]["error"]
    nothing = msm("status", str(broken), str(broken), *lake, place=place)
    assert nothing.code == 4
    assert "broken: no decision: the YAML is broken" in nothing.out
    alone = msm("status", str(later), *lake, place=place)
    assert alone.code == 4
    assert "no decision" in alone.out
    alone = msm("status", str(broken), *lake, place=place)
    assert alone.code == 1
    assert "broken.yaml" in alone.err


def test_one_experiment_is_a_screen_and_nothing_is_written(place: Path) -> None:
    def files() -> dict[Path, int]:
        found = (x for folder in ("lake", "runs", "warehouse") for x in (place / folder).rglob("*"))
        return {file: file.stat().st_mtime_ns for file in found if file.is_file()}

    before = files()
    file = str(place / "impact.yaml")
    words = ("status", file, "--lake", str(place / "lake"), "--asof", "2024-06-08")
    done = msm_process(*words, place=place, COLUMNS="80")
    assert files() == before
    assert "at the close of" in done.out
    assert "contribution" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_page_for_the_wall(place: Path) -> None:
    page = place / "status.html"
    done = asked(place, "--asof", "2024-06-08", "--html", str(page))
    assert done.code == 0, done.err
    text = page.read_text()
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")
    for name in NAMES:
        assert name in text
    assert text.count("<polyline") >= len(NAMES)
    inside = asked(place, "--html", str(place / "lake" / "x.html"))
    assert inside.code == 1
    assert not (place / "lake" / "x.html").exists()


def test_a_change_of_state_is_sent_once_a_day(place: Path) -> None:
    """With a stand-in for apprise that writes down what it is given."""
    stand_in = place / "stand_in"
    stand_in.mkdir()
    (stand_in / "apprise.py").write_text(
        "class Apprise:\n"
        "    def add(self, url): return url.startswith('json://')\n"
        "    def notify(self, title, body):\n"
        f"        open({str(stand_in / 'sent')!r}, 'a').write(body)\n"
        "        return True\n"
    )
    states = pd.read_parquet(next((place / "runs").glob("plain-*")) / "regime_timeseries.parquet")
    changed = states["regime"] != states["regime"].shift()
    day = str(states["date"][changed].iloc[-1])[:10]
    same = str(states["date"][~changed].iloc[-1])[:10]
    words = ("status", str(place / "plain.yaml"), "--lake", str(place / "lake"), "--asof")
    for asof in (same, day):
        sent = (*words, asof, "--notify", "json://x")
        done = msm_process(*sent, place=place, PYTHONPATH=str(stand_in))
        assert done.code == 0, done.err
    assert (stand_in / "sent").read_text().count("since") == 1
    assert day in (stand_in / "sent").read_text()
    wrong = msm_process(
        *(*words, same, "--notify", "secret://pw"), place=place, PYTHONPATH=str(stand_in)
    )
    assert wrong.code == 1
    assert "does not know this kind of address" in wrong.err
    assert "pw" not in wrong.err + wrong.out
    without = msm(*words, same, "--notify", "json://x", place=place)
    assert 'pip install --editable ".[notify]"' in without.err


def test_a_window_that_ended_and_a_hold_out_play_no_part(place: Path) -> None:
    spec = yaml.safe_load((place / "plain.yaml").read_text())
    spec["window"] = {**spec["window"], "end": "2024-04-01"}
    spec["evaluation"] = {**spec.get("evaluation", {}), "holdout_start": "2024-03-20"}
    spec["experiment_id"] = "ended"
    (place / "ended.yaml").write_text(yaml.safe_dump(spec))
    words = ("status", str(place / "ended.yaml"), "--lake", str(place / "lake"), "--json")
    (one,) = json.loads(msm(*words, "--asof", "2024-06-08", place=place).out)["experiments"]
    plain = of(place, "--asof", "2024-06-08")["plain"]
    assert (one["day"], one["regime"], one["score"]) == (
        plain["day"],
        plain["regime"],
        plain["score"],
    )
