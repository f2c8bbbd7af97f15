"""What noise is told when it is tried sixty times, and what an edge is told that is there."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from support.pipeline import ROOT, Done, msm
from support.random_experiments import write_random_experiments

from msm_py.report.verdict import verdict
from msm_py.store import warehouse
from msm_py.store.families import EDGES, Family
from msm_py.store.run import Run

SHOWN = "The states show"
N_TRIES = 60


def openings(done: Done) -> dict[str, str]:
    """Return what the verdict says of every run, with its family."""
    return {
        folder.name: verdict(
            Run.read(folder), warehouse.family_of(done.runs, done.warehouse, folder.name)
        )
        for folder in sorted(done.runs.glob("*-*"))
    }


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("sixty")
    made = msm(
        "lake", "sample", str(place / "lake"), "--no-planted-edge", "--seed", "7", place=place
    )
    assert made.code == 0, made.err
    files = write_random_experiments(place / "tries", N_TRIES, seed=7)
    done = msm("run", *map(str, files), "--lake", str(place / "lake"), place=place)
    assert done.code == 0, done.err
    return done


@pytest.mark.slow
def test_none_of_sixty_tries_at_noise_is_told_to_show_an_edge(sixty: Done) -> None:
    said = openings(sixty)
    assert len(said) == N_TRIES
    assert not [name for name, text in said.items() if text.startswith(SHOWN)]
    # were each the only one, at least one would be: the number of tries is what counts
    alone = Family(1, None, {(h, edge): 0.0 for h in (1, 5, 10, 20) for edge in EDGES})
    told = [name for name in said if verdict(Run.read(sixty.runs / name), alone).startswith(SHOWN)]
    assert told
    for name in told:
        assert f"being one of {N_TRIES} questions tried on these days" in said[name]
    with duckdb.connect(sixty.warehouse, read_only=True) as con:
        assert con.sql("select distinct n_family from catalog").fetchall() == [(N_TRIES,)]
        best = con.sql("select deflated_sharpe from v_leaderboard where place = 1").fetchall()
        beats = con.sql(
            "select count(*) from catalog where p_ungated <= 0.05 "
            "and net_sharpe > ungated_net_sharpe"
        ).fetchall()
    assert best[0][0] < 0.95
    assert beats[0][0] <= 0.05 * N_TRIES


@pytest.mark.slow
def test_a_planted_edge_is_shown_at_every_horizon_to_whoever_tries_once(tmp_path: Path) -> None:
    lake = str(tmp_path / "lake")
    assert msm("lake", "sample", lake, place=tmp_path).code == 0
    file = str(ROOT / "experiments" / "msm" / "msm_v1_baseline.yaml")
    window = ("--start", "2023-07-01", "--end", "2025-12-31")
    done = msm("run", file, "--lake", lake, *window, "--full", place=tmp_path)
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    assert "The states show an edge in favour of the trade." in text
    assert "the only question tried on these days" in text
    with duckdb.connect(done.warehouse, read_only=True) as con:
        p = con.sql("select horizon_days, max(p_family) from family_edges group by all").fetchall()
    assert {days for days, _ in p} == {1, 5, 10, 20}
    assert max(smallest for _, smallest in p) <= 0.05
