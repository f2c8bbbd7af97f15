"""`msm check` and `msm vars --resolved`: what an experiment would meet, before it is run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from support.lakes import tiny_lake
from support.pipeline import Done, in_project, msm, msm_process, run_experiments
from support.specs import spec_of

from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import from_resolved
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import experiment_check
from msm_py.settings import Places
from msm_py.store.origin import code_fingerprint

SPEC = spec_of("looked_at", {"backtest": {"costs": {"taker_fee_bps": 500.0}}})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("check")
    tiny_lake(place / "lake")
    (place / "one.yaml").write_text(yaml.safe_dump(SPEC))
    return place


@pytest.fixture(scope="module")
def done(place: Path) -> Done:
    return run_experiments([SPEC], lake=place / "lake", place=place / "done")


def test_everything_is_shown_and_nothing_written(place: Path) -> None:
    before = sorted(place.rglob("*.parquet"))
    (called_in := place / "empty").mkdir()
    words = ("check", str(place / "one.yaml"), "--lake", str(place / "lake"))
    said = msm_process(*words, place=place / "look", cwd=called_in)
    assert said.code == 0, said.err
    assert [*called_in.iterdir()] == []
    text = " ".join(said.out.split())
    assert "!! backtest.costs.taker_fee_bps is 500 basis points" in text
    for title in ("Experiment", "Window", "Eligible alts and basket", "Coverage of features"):
        assert title in said.out
    assert "Scores and cuts" in said.out
    assert "Trading, a year" in said.out
    assert sorted(place.rglob("*.parquet")) == before
    assert not said.runs.exists()
    assert not said.warehouse.exists()


def test_what_is_told_is_what_a_run_computes_from(place: Path, done: Done) -> None:
    lake = place / "lake"
    run = ResolvedRun.of(from_resolved(SPEC), fingerprint(open_lake(lake)), code_fingerprint())
    places = Places(lake, place / "no runs", place / "no warehouse")
    with in_project(place / "look"):
        (met,) = experiment_check.check([run], places)
    folder = done.folder("looked_at")
    metrics = json.loads((folder / "metrics.json").read_text())
    days = pd.read_parquet(folder / "regime_timeseries.parquet")
    returns = pd.read_parquet(folder / "returns.parquet")
    assert [str(met.first_date), str(met.last_date)] == [
        metrics["window"][key] for key in ("first_date", "last_date")
    ]
    assert met.scores is not None
    assert met.scores[0] == days["score"].min()
    assert met.scores[-1] == days["score"].max()
    shares = {row["regime"]: row["share"] for row in met.states if row["share"]}
    assert shares == pytest.approx(days["regime"].value_counts(normalize=True).to_dict())
    cuts = run.experiment.state_mapping.thresholds
    above = float((days["score"].dropna() > cuts.high).mean())
    assert sum(row["by_cuts"] for row in met.states[3:]) == pytest.approx(above)
    assert sum(row["by_cuts"] for row in met.states) == pytest.approx(1)
    own, control = met.trading
    assert own["is_run"]
    assert own["cost"] == pytest.approx(365 * returns["cost"].mean())
    assert own["turnover"] == pytest.approx(365 * returns["turnover"].mean())
    assert control["gross_exposure"] > own["gross_exposure"]
    baskets = pd.read_parquet(folder / "basket.parquet").groupby("date").size()
    assert min(row["fewest_members"] for row in met.assets) == baskets.min()
    assert sum(row["n_days"] for row in met.assets) == len(days)
    features = pd.read_parquet(folder / "features.parquet")
    by_feature = features.groupby("feature_id")["z_score"].count() / len(days)
    weights = {row["year"]: row["n_days"] / len(days) for row in met.assets}
    for feature, share in by_feature.items():
        own_share = sum(
            row["share"] * weights[row["year"]]
            for row in met.coverage
            if row["feature_id"] == feature
        )
        assert own_share == pytest.approx(share)


def test_hidden_days_stay_hidden(place: Path) -> None:
    """No table of a check holds a day of the hold-out."""
    lake = place / "lake"
    spec = spec_of("hidden", {"evaluation": {"holdout_start": "2024-03-01"}})
    run = ResolvedRun.of(from_resolved(spec), fingerprint(open_lake(lake)), code_fingerprint())
    with in_project(place / "look"):
        (met,) = experiment_check.check([run], Places(lake, place / "no", place / "nor this"))
    assert str(met.last_date) == "2024-02-29"
    assert met.last_date is not None
    assert met.first_date is not None
    assert sum(row["n_days"] for row in met.assets) == (met.last_date - met.first_date).days + 1


def test_what_would_fail_is_told_with_the_mistakes_of_other_files(place: Path) -> None:
    late = spec_of("late", {"window": {"start": "2031-01-01"}})
    (place / "late.yaml").write_text(yaml.safe_dump(late))
    (place / "wrong.yaml").write_text("experiment_id: a\nfeatures: [momentum]\nfees: 5\n")
    words = ("check", *(str(place / f"{x}.yaml") for x in ("one", "late", "wrong")))
    said = msm(*words, "--lake", str(place / "lake"), place=place / "look")
    assert said.code == 1
    assert "3 things are wrong" in said.err
    for part in ("unknown key fees", "features[0] must be a map", "2031-01-01"):
        assert part in said.err
    assert "Trading, a year" in said.out, "the sound one is shown all the same"


def test_without_a_lake_only_the_files_are_checked(place: Path) -> None:
    sweep = {**SPEC, "sweep": {"grid": {"target.short_leg.n": [3, 0, 4]}}}
    (place / "grid.yaml").write_text(yaml.safe_dump(sweep))
    said = msm("check", str(place / "grid.yaml"), "--no-lake", place=place / "look")
    assert said.code == 1
    assert "a variant is no valid experiment: n must be at least 1" in said.err
    text = " ".join(said.out.split())
    assert "2 variants, of which the first is shown; 1 more are no valid experiments" in text
    assert "Only the files were checked" in text
    assert "Trading" not in said.out


def test_experiments_can_be_looked_at_without_a_lake(place: Path) -> None:
    file = str(place / "one.yaml")
    said = msm("vars", file, "--resolved", "--lake", str(place / "nothing"), place=place / "look")
    assert said.code == 0, said.err
    shown = yaml.safe_load(said.out)
    assert shown["experiment_id"] == "looked_at"
    assert shown["evaluation"]["bootstrap"]["n_boot"] >= 19
    assert "run_id" not in shown, "it cannot be taken for variables of a build"
    assert from_resolved(shown) == from_resolved(SPEC)
