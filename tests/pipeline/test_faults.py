"""What the world does: processes killed and interrupted, disks full, files replaced meanwhile."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.kills import (
    COMMAND,
    PUBLISH,
    TEMPORARY,
    Blow,
    assert_no_half_run,
    n_changes,
    places,
    strays,
    strike,
)
from support.lakes import tiny_lake
from support.made_up_runs import (
    contents_as_rebuilt,
    everything_published,
    names,
    publish,
    published,
    write_made_up_run,
)
from support.pipeline import Done, contents, in_project, msm, own_caches
from support.specs import ODD_SPECS, spec_of

from msm_py.dbt_models import run_artifacts

N_CHANGES = "n_changes"
STOPPED = "stopped; complete runs are kept, nothing half-written is left"
# how many are killed in every test, and how many when slow tests run too
N_KILLS = {"publish": (7, 60), "run": (2, 20), "sweep": (1, 12), "sweep in workers": (0, 10)}
N_STOPS = 6


def kills(what: str) -> list[Any]:
    few, many = N_KILLS[what]
    return [pytest.param(i, marks=() if i < few else pytest.mark.slow) for i in range(many)]


@pytest.fixture(scope="module", autouse=True)
def caches_of_their_own() -> Iterator[None]:
    """What is in a cache, and what is left of it, is looked at here."""
    with own_caches():
        yield


def test_there_are_enough_kills() -> None:
    few, many = zip(*N_KILLS.values(), strict=True)
    assert sum(few) >= 10
    assert sum(many) >= 100


def a_point(name: str, n: int, number: int = signal.SIGKILL) -> Blow:
    """Return when a process is struck, of ``n`` changes that it makes: the same for the name."""
    chance = random.Random(name)
    delay = chance.choice([0.0, 0.0, chance.uniform(0.0, 0.3)])
    return Blow(chance.randint(1, n), delay, number)


def struck(script: str, words: list[str], place: Path, blow: Blow) -> str:
    """Strike a process and return its errors; one that was quicker than the blow is struck again.

    Then the blow comes earlier.
    """
    before = place.with_name("before")
    shutil.copytree(place, before)
    code, err = strike(script, words, place, blow)
    while code == 0 and blow.at:
        shutil.rmtree(place)
        shutil.copytree(before, place)
        blow = replace(blow, at=blow.at * 2 // 3, delay=0.0)
        code, err = strike(script, words, place, blow)
    assert code == (-blow.number if blow.number == signal.SIGKILL else 130), (blow, err)
    return err


def assert_whole(place: Path) -> None:
    """See that a warehouse that is there can be read, and that its tables are of one publish."""
    file = place / "wh" / "msm.duckdb"
    if file.exists():
        query = "select count(*), (select count(distinct run_id) from daily) from catalog"
        ((n_runs, n_with_days),) = published(file, query)
        assert n_runs == n_with_days


def assert_repaired(place: Path, expected: Mapping[str, Any] | None = None) -> None:
    """See that the command after a blow left the catalog as if nothing had happened."""
    assert_no_half_run(place / "runs")
    assert everything_published(place) == (expected or contents_as_rebuilt(place))
    assert strays(place) == []


# --- Publishing ----------------------------------------------------------------------------------


def to_publish(place: Path) -> Path:
    """Make a place in which there is something to add, to replace and to drop."""
    for i in range(4):
        assert write_made_up_run(place / "runs", f"a-{i:010}")
    publish(place)
    assert write_made_up_run(place / "runs", "a-0000000001", sharpe=2.0, replace=True)
    shutil.rmtree(place / "runs" / "a-0000000002")
    for i in (5, 6):
        assert write_made_up_run(place / "runs", f"a-{i:010}", weight=0.25)
    return place


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_publish(tmp_path_factory.mktemp("waiting") / "place")


@pytest.fixture(scope="module")
def rebuilt(waiting: Path) -> Mapping[str, Any]:
    return contents_as_rebuilt(waiting)


@pytest.fixture(scope="module")
def n_of_a_publish(waiting: Path) -> int:
    place = waiting.with_name("counted")
    shutil.copytree(waiting, place)
    return n_changes(PUBLISH, [str(place)], place)


@pytest.mark.parametrize("kill", kills("publish"))
def test_a_killed_publish(
    kill: int,
    n_of_a_publish: int,
    waiting: Path,
    rebuilt: Mapping[str, Any],
    tmp_path: Path,
) -> None:
    place = tmp_path / "place"
    shutil.copytree(waiting, place)
    struck(PUBLISH, [str(place)], place, a_point(f"publish {kill}", n_of_a_publish))
    assert_no_half_run(place / "runs")
    assert_whole(place)
    publish(place)
    assert_repaired(place, rebuilt)


@pytest.mark.parametrize(
    ("name", "stop"),
    [
        pytest.param(name, i, marks=() if (name, i) == ("SIGTERM", 0) else pytest.mark.slow)
        for name in ("SIGINT", "SIGTERM", "SIGHUP")
        for i in range(N_STOPS)
    ],
)
def test_a_stopped_rebuild(
    name: str,
    stop: int,
    n_of_a_publish: int,
    waiting: Path,
    rebuilt: Mapping[str, Any],
    tmp_path: Path,
) -> None:
    place = tmp_path / "place"
    shutil.copytree(waiting, place)
    blow = a_point(f"rebuild {name} {stop}", n_of_a_publish, signal.Signals[name])
    err = struck(COMMAND, ["catalog", "rebuild"], place, blow)
    assert STOPPED in err
    assert "Traceback" not in err
    assert strays(place) == []
    assert_whole(place)
    publish(place)
    assert_repaired(place, rebuilt)


# --- Runs and sweeps -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lake(tmp_path_factory.mktemp("lakes") / "lake", seed=12)


def words_of(what: str, place: Path, lake: Path) -> list[str]:
    """Return the words of a command, the files that it needs written."""
    files = []
    for name in ("one", "two") if what.startswith("sweep") else ("one",):
        file = place / f"{name}.yaml"
        spec = spec_of(name, ODD_SPECS["plain" if name == "one" else "three_states"])
        file.write_text(yaml.safe_dump(spec, sort_keys=False))
        files.append(str(file))
    options = {"sweep": ["--batch-size", "1"], "sweep in workers": ["--jobs", "2"]}
    return [what.split()[0], *files, "--lake", str(lake), *options.get(what, [])]


def done(words: list[str], place: Path) -> Done:
    ended = msm(*words, place=place, **places(place))
    assert ended.code == 0, ended.err
    return ended


@pytest.fixture(scope="module")
def undisturbed(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of an undisturbed sweep, what dbt parsed, and how often it changes something."""
    place = tmp_path_factory.mktemp("undisturbed")
    with in_project(place):
        n = n_changes(COMMAND, words_of("sweep", place, lake), place)
    assert strays(place) == []
    (place / N_CHANGES).write_text(str(n))
    return place


@pytest.fixture
def place(undisturbed: Path, tmp_path: Path) -> Path:
    """A place in which dbt need not parse, and nothing else was done."""
    shutil.copytree(undisturbed / "target", tmp_path / "place" / "target")
    return tmp_path / "place"


@pytest.fixture(scope="module")
def n_of(undisturbed: Path) -> dict[str, int]:
    """How often an undisturbed command changes something; a run does about half of a sweep."""
    n = int((undisturbed / N_CHANGES).read_text())
    return {"run": n // 2, "sweep": n}


def assert_goes_on(number: int, what: str, place: Path, lake: Path, undisturbed: Path) -> None:
    """See that the next command after a blow tidies up: another one, or the same, which completes.

    Every other time it is the same.
    """
    assert_no_half_run(place / "runs")
    assert_whole(place)
    if number % 2 == 0:
        assert msm("list", place=place, **places(place)).code in (0, 1)  # there may be no run yet
        if (place / "wh" / "msm.duckdb").exists():
            assert_repaired(place)
        return
    done(words_of(what, place, lake), place)
    assert_repaired(place)
    for name in ("one", "two") if what.startswith("sweep") else ("one",):
        ((mine,), (other,)) = ((x / "runs").glob(f"{name}-*") for x in (place, undisturbed))
        assert contents(mine) == contents(other)


@pytest.mark.parametrize("kill", kills("run"))
def test_a_killed_run(
    kill: int, n_of: dict[str, int], lake: Path, undisturbed: Path, place: Path
) -> None:
    blow = a_point(f"run {kill}", n_of["run"])
    struck(COMMAND, words_of("run", place, lake), place, blow)
    assert_goes_on(kill, "run", place, lake, undisturbed)


@pytest.mark.parametrize("kill", kills("sweep"))
def test_a_killed_sweep(
    kill: int, n_of: dict[str, int], lake: Path, undisturbed: Path, place: Path
) -> None:
    blow = a_point(f"sweep {kill}", n_of["sweep"])
    struck(COMMAND, words_of("sweep", place, lake), place, blow)
    assert_goes_on(kill, "sweep", place, lake, undisturbed)


@pytest.mark.parametrize("kill", kills("sweep in workers"))
def test_a_killed_sweep_and_its_workers(
    kill: int, lake: Path, undisturbed: Path, place: Path
) -> None:
    """The workers are killed too, or left alone: then they notice, and clean up."""
    chance = random.Random(f"sweep in workers {kill}")
    blow = Blow(1, chance.uniform(0.1, 8.0), whom=chance.choice(["itself", "group"]))
    struck(COMMAND, words_of("sweep in workers", place, lake), place, blow)
    assert_goes_on(kill, "sweep in workers", place, lake, undisturbed)


@pytest.mark.parametrize(
    ("name", "stop"),
    [
        pytest.param(name, i, marks=() if (name, i) == ("SIGHUP", 0) else pytest.mark.slow)
        for name in ("SIGINT", "SIGTERM", "SIGHUP")
        for i in range(N_STOPS)
    ],
)
def test_a_stopped_run(
    name: str, stop: int, n_of: dict[str, int], lake: Path, undisturbed: Path, place: Path
) -> None:
    what = "sweep" if stop % 3 == 2 else "run"
    blow = a_point(f"{name} {stop}", n_of[what], signal.Signals[name])
    err = struck(COMMAND, words_of(what, place, lake), place, blow)
    assert STOPPED in err
    assert "Traceback" not in err
    assert_goes_on(stop, what, place, lake, undisturbed)


# --- The lake ------------------------------------------------------------------------------------


def test_a_lake_file_that_is_replaced_during_the_run_is_noticed(
    undisturbed: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tiny_lake(place / "lake", seed=12)
    other = tiny_lake(place / "other", seed=13)
    table = next(x.relative_to(own) for x in sorted(own.rglob("*.parquet")) if "price" in str(x))
    write = run_artifacts.write_run_folders

    def replaced_first(*given: Any, **named: Any) -> Any:
        os.replace(other / table, own / table)
        return write(*given, **named)

    monkeypatch.setattr(run_artifacts, "write_run_folders", replaced_first)
    (place / TEMPORARY).mkdir()
    ended = msm(*words_of("run", place, own), place=place, **places(place))
    assert ended.code == 1
    assert "the lake changed while it was read; no run was written" in ended.err
    assert "Traceback" not in ended.err
    assert [x for x in names(place / "runs") if not x.startswith(".")] == []
    assert strays(place) == []
