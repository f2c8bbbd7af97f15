"""Nothing is written into the lake."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.lakes import tiny_lake
from support.pipeline import ROOT, command, facts, msm

from msm_py.errors import MsmError
from msm_py.store.written_places import check_outside_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tiny_lake(tmp_path_factory.mktemp("lakes") / "lake", seed=12)
    before = facts(path)
    yield path
    assert facts(path) == before, "the lake was written to"


def test_a_place_is_in_the_lake_by_whatever_way(lake: Path, tmp_path: Path) -> None:
    link, data = tmp_path / "link", tmp_path / "data"
    link.symlink_to(lake / "fact_volume")
    (data / "b").mkdir(parents=True)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "fact_price").symlink_to(data)
    for of, place in (
        (lake, lake),
        (lake, lake / "new" / "runs"),
        (lake, lake / ".." / "lake" / "x"),
        (lake, link / "x"),
        (mine, data / "b" / "new"),  # the lake's own table lies there
    ):
        with pytest.raises(MsmError, match="nothing is ever written into a lake") as caught:
            check_outside_lake(of, {"the runs folder": place})
        for part in ("the runs folder", str(place), str(of)):
            assert part in str(caught.value)
    for of, place in ((lake, lake.parent), (lake, lake.with_name("lake2")), (mine, tmp_path)):
        check_outside_lake(of, {"the runs folder": place})


@pytest.mark.parametrize("variable", ["MSM_TARGET", "MSM_RUNS", "MSM_WAREHOUSE", "TMPDIR"])
def test_no_command_writes_into_the_lake(variable: str, lake: Path, tmp_path: Path) -> None:
    inside = lake / "fact_volume" if variable == "TMPDIR" else lake / "new" / "x.duckdb"
    experiment = str(ROOT / "experiments" / "msm" / "msm_v1_baseline.yaml")
    (tmp_path / "runs").mkdir()
    before = facts(lake)
    for words in (["run", experiment], ["sweep", experiment], ["catalog", "rebuild"]):
        if words[0] == "catalog" and variable == "MSM_RUNS":
            inside = lake / "fact_volume"
        done = msm(*words, place=tmp_path, **{"MSM_LAKE": str(lake), variable: str(inside)})
        assert done.code == 1, done.err
        for part in ("nothing is ever written into a lake", variable, str(inside)):
            assert part in done.err
        assert "Traceback" not in done.err
        assert facts(lake) == before
    out = lake / "new" / "vars.json"
    done = msm("vars", experiment, "--out", str(out), place=tmp_path, MSM_LAKE=str(lake))
    assert done.code == 1
    assert "--out" in done.err
    assert facts(lake) == before


def test_what_looks_like_a_lake_is_not_written_into_though_nobody_named_it(
    lake: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    before = facts(lake)
    for words in (
        ["catalog", "rebuild", "--warehouse", str(lake / "w.duckdb")],
        ["catalog", "rebuild", "--warehouse", str(lake / "deep" / "er" / "w.duckdb")],
        ["lake", "sample", str(lake / "sub")],
    ):
        done = msm(*words, place=tmp_path, MSM_LAKE=str(tmp_path / "another"))
        assert done.code == 1, words
        assert "nothing is ever written into a lake" in done.err
        assert facts(lake) == before


@pytest.mark.parametrize(
    "what",
    [
        *("--target-path", "MSM_SCRATCH"),
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("--log-path", "MSM_TARGET")),
    ],
)
def test_dbt_by_hand_that_writes_into_the_lake_is_an_error(what: str, tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=12)
    folder = lake / "inside"
    folder.mkdir()
    options = {"--target-path": tmp_path / "target", "--log-path": tmp_path / "logs"}
    env = {"MSM_SCRATCH": tmp_path / "target" / "scratch.duckdb"}
    if what.startswith("--"):
        options[what] = folder
    else:
        env[what] = folder / "scratch.duckdb" if what == "MSM_SCRATCH" else folder
    (tmp_path / "target").mkdir()
    variables: dict[str, Any] = {name: str(path) for name, path in env.items()}
    done = command(
        [
            *(str(Path(sys.executable).parent / "dbt"), "build", "--select", "+runs"),
            *("--profiles-dir", str(ROOT)),
            *(str(word) for option in options.items() for word in option),
        ],
        tmp_path,
        MSM_LAKE=str(lake),
        **variables,
    )
    assert done.code != 0
    assert "nothing is ever written into a lake" in done.out
    assert what in done.out
