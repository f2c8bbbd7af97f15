"""The warehouse made of run folders: complete, and never wrong quietly."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.made_up_runs import (
    ALL_FILES,
    DAYS,
    assert_sound,
    catalog,
    contents_as_rebuilt,
    everything,
    everything_published,
    full_disk,
    publish,
    published,
    write_made_up_run,
)

from msm_py.errors import MsmError
from msm_py.store import (
    folder_rows,
    layout,
    parquet_tables,
    run_folder,
    warehouse,
)


def test_publish_adds_what_is_new_and_drops_what_is_gone(place: Path) -> None:
    file = place / "wh" / "msm.duckdb"
    assert_sound(place, [("a-0000000001", 1.0), ("b-0000000002", 2.0)])
    counts = publish(place)
    assert counts["daily"] == 8
    assert counts["baskets"] == counts["features"] == 4, "a panel that runs share is there once"

    assert write_made_up_run(place / "runs", "c-0000000003", sharpe=3.0, weight=0.25)
    counts = publish(place)
    assert_sound(place, [("a-0000000001", 1.0), ("b-0000000002", 2.0), ("c-0000000003", 3.0)])
    assert (counts["daily"], counts["baskets"], counts["features"]) == (12, 8, 8)
    assert [row[:4] for row in published(file, "select * from v_leaderboard order by 1")] == [
        (1, "c-0000000003", "c", "Made up"),
        (2, "b-0000000002", "b", "Made up"),
        (3, "a-0000000001", "a", "Made up"),
    ]

    shutil.rmtree(place / "runs" / "c-0000000003")
    shutil.rmtree(place / "runs" / "a-0000000001")
    counts = publish(place)
    assert_sound(place, [("b-0000000002", 2.0)])
    assert (counts["daily"], counts["baskets"], counts["features"]) == (4, 4, 4)
    assert published(file, "select distinct weight from baskets") == [(1.0,)]


def test_publish_without_news_leaves_the_file_alone(place: Path) -> None:
    before = {entry: entry.stat().st_mtime_ns for entry in (place / "wh").glob("[!.]*[!k]")}
    publish(place)
    assert {entry: entry.stat().st_mtime_ns for entry in before} == before


def test_a_run_that_was_replaced_is_published_anew(place: Path) -> None:
    file = place / "wh" / "msm.duckdb"
    shutil.rmtree(place / "runs" / "a-0000000001")
    assert write_made_up_run(place / "runs", "a-0000000001", sharpe=7.0)
    counts = publish(place)
    assert_sound(place, [("a-0000000001", 7.0), ("b-0000000002", 2.0)])
    assert (counts["daily"], counts["run_warnings"], counts["baskets"]) == (8, 2, 4)
    assert published(file, "select count(distinct files_digest) from run_panels") == [(2,)]


def test_publish_of_no_runs_is_an_empty_warehouse(tmp_path: Path) -> None:
    counts = warehouse.publish(tmp_path / "no runs", tmp_path / "wh" / "msm.duckdb")
    assert set(counts.values()) == {0}
    assert_sound(tmp_path, [])


def test_hidden_folders_are_not_published(place: Path) -> None:
    (place / "runs" / ".c-3-unfinished").mkdir()
    publish(place)
    assert_sound(place, [("a-0000000001", 1.0), ("b-0000000002", 2.0)])


def _earlier_version(file: Path) -> None:
    with duckdb.connect(file) as con:
        con.execute("alter table catalog drop column seed")


def _later_version(file: Path) -> None:
    with duckdb.connect(file) as con:
        con.execute("create table from_the_future (sweep_id varchar)")


def _nothing_of_ours(file: Path) -> None:
    file.unlink()
    with duckdb.connect(file) as con:
        con.execute("create table t (x integer)")


UNUSABLE: dict[str, Callable[[Path], Any]] = {
    "garbage": lambda file: file.write_bytes(b"not a database" * 1000),
    "cut short": lambda file: os.truncate(file, 5000),
    "empty": lambda file: os.truncate(file, 0),
    "earlier version": _earlier_version,
    "later version": _later_version,
    "somebody else's": _nothing_of_ours,
    "gone": Path.unlink,
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_warehouse_that_cannot_be_built_on_is_made_again(what: str, place: Path) -> None:
    UNUSABLE[what](place / "wh" / "msm.duckdb")
    publish(place)
    assert_sound(place, [("a-0000000001", 1.0), ("b-0000000002", 2.0)])


def _json_edit(name: str, edit: Callable[[Any], Any]) -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(edit(content)))

    return change


def _parquet_edit(name: str, edit: Callable[[pa.Table], pa.Table]) -> Callable[[Path], Any]:
    return lambda folder: pq.write_table(edit(pq.read_table(folder / name)), folder / name)


def _text_edit(name: str, text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(text)


def _without(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).unlink()


BROKEN: dict[str, Callable[[Path], Any]] = {
    **{f"no {name}": _without(name) for name in ALL_FILES},
    "an empty folder": lambda folder: list(map(Path.unlink, folder.iterdir())),
    "half a JSON file": _text_edit(layout.METRICS, '{"stability": {'),
    "a list for a map": _text_edit(layout.CATALOG_ENTRY, "[]"),
    "a key missing": _json_edit(layout.MANIFEST, lambda x: {"spec": x["spec"]}),
    "text for a number": _json_edit(layout.CATALOG_ENTRY, lambda x: {**x, "n_days": "many"}),
    "a Parquet file cut short": lambda folder: os.truncate(folder / layout.RETURNS, 300),
    "a column missing": _parquet_edit(layout.RETURNS, lambda x: x.drop_columns(["r_net"])),
    "a column of text": _parquet_edit(
        layout.RETURNS,
        lambda x: x.set_column(
            x.column_names.index("r_net"), "r_net", pa.array(["?"] * x.num_rows)
        ),
    ),
    "days missing": _parquet_edit(layout.RETURNS, lambda x: x.slice(1)),
    "a panel column missing": _parquet_edit(layout.BASKET, lambda x: x.drop_columns(["weight"])),
    "text in the CSV": _text_edit(
        layout.REGIME_METRICS, "regime,position_scale,n_days\nBALANCED,none,4\n"
    ),
}


QUICK = ("no manifest.json", "text for a number", "a Parquet file cut short", "days missing")


@pytest.mark.parametrize(
    "what",
    [pytest.param(x, marks=() if x in QUICK else (pytest.mark.slow,)) for x in BROKEN],
)
def test_a_broken_run_folder_is_left_out_and_named(what: str, place: Path) -> None:
    runs, broken = place / "runs", place / "runs" / "c-0000000003"
    assert write_made_up_run(runs, "c-0000000003", weight=0.25)
    assert write_made_up_run(runs, "d-0000000004")
    BROKEN[what](broken)
    sound = [("a-0000000001", 1.0), ("b-0000000002", 2.0), ("d-0000000004", 1.0)]
    for _ in range(2):
        assert publish(place)["baskets"] == len(DAYS)
        assert_sound(place, sound)
        (told,) = warehouse.alarms(runs, place / "wh" / "msm.duckdb")
        assert told.count("c-0000000003: ") == 1
        assert re.search(r"c-0000000003: [a-z_]+\.(json|csv|parquet)( or \S+)?: \S", told), told
        assert (
            "run the experiment again with --force, or move its folder out of the runs folder"
            in told
        )
        assert "delete" not in told
    assert everything_published(place) == contents_as_rebuilt(place)
    assert write_made_up_run(runs, "c-0000000003", weight=0.25, replace=True)
    publish(place)
    assert_sound(place, sorted([*sound, ("c-0000000003", 1.0)]))
    assert warehouse.alarms(runs, place / "wh" / "msm.duckdb") == []


def test_damage_after_publishing_is_seen_at_the_next_publish(place: Path) -> None:
    file = place / "runs" / "b-0000000002" / layout.RETURNS
    file.write_bytes(file.read_bytes()[:200])  # the manifest is as it was
    publish(place)
    assert_sound(place, [("a-0000000001", 1.0)])
    (told,) = warehouse.alarms(place / "runs", place / "wh" / "msm.duckdb")
    assert "b-0000000002: returns.parquet: " in told
    assert everything_published(place) == contents_as_rebuilt(place)


def test_copies_and_renamed_runs_are_named_before_foreign_folders(place: Path) -> None:
    for foreign in ("@eaDir", "Archive", "lost+found", "notes", "old", "x"):
        (place / "runs" / foreign).mkdir()
    shutil.copytree(place / "runs" / "b-0000000002", place / "runs" / "z (copy)")
    publish(place)
    (told,) = warehouse.alarms(place / "runs", place / "wh" / "msm.duckdb")
    assert "z (copy): it holds the run b-0000000002; @eaDir: " in told
    assert told.endswith("and 2 more.")


def test_of_many_new_runs_only_the_broken_ones_are_left_out(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for i in range(13):
        assert write_made_up_run(runs, f"x-{i:010}")
    for i, what in ((3, "text for a number"), (7, "half a JSON file"), (11, "a column of text")):
        BROKEN[what](runs / f"x-{i:010}")
    assert publish(tmp_path)["catalog"] == 10
    (told,) = warehouse.alarms(runs, tmp_path / "wh" / "msm.duckdb")
    assert told.count(" 0x") == 0
    assert [f"x-{i:010}: " in told for i in (2, 3, 7, 11)] == [False, True, True, True]


def test_a_clock_that_was_moved_backwards_hides_nothing(place: Path) -> None:
    runs = place / "runs"
    assert write_made_up_run(runs, "a-0000000001", sharpe=2.0, replace=True, day=2)
    assert write_made_up_run(runs, "c-0000000003", day=1)
    for entry in (*(runs / "a-0000000001").iterdir(), *(runs / "c-0000000003").iterdir()):
        os.utime(entry, (1_000_000_000, 1_000_000_000))
    publish(place)
    assert catalog(place / "wh" / "msm.duckdb")[0] == ("a-0000000001", 2.0)
    assert everything_published(place) == contents_as_rebuilt(place)


@pytest.mark.parametrize("step", ["copy", "replace"])
def test_a_full_disk_while_publishing_is_reported_and_the_warehouse_stays(
    step: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_made_up_run(place / "runs", "c-0000000003")
    before = everything(place / "wh")
    with monkeypatch.context() as patched:
        if step == "copy":
            patched.setattr(shutil, "copyfile", full_disk)
        else:
            patched.setattr(os, "replace", full_disk)
        with pytest.raises(MsmError, match="No space left on device"):
            publish(place)
    assert everything(place / "wh") == before
    publish(place)
    assert [run_id for run_id, _ in catalog(place / "wh" / "msm.duckdb")] == [
        "a-0000000001",
        "b-0000000002",
        "c-0000000003",
    ]


def _swapped(folder: Path) -> None:
    other = folder.with_name("b-0000000002")
    shutil.copyfile(other / layout.CATALOG_ENTRY, folder / layout.CATALOG_ENTRY)


def _edited(folder: Path) -> None:
    text = (folder / layout.CATALOG_ENTRY).read_text()
    assert "1.0" in text
    (folder / layout.CATALOG_ENTRY).write_text(text.replace("1.0", "9.0"))


@pytest.mark.parametrize("damage", [_swapped, _edited], ids=["swapped", "edited"])
def test_a_file_that_the_run_did_not_write_is_a_problem(
    damage: Callable[[Path], None], place: Path
) -> None:
    """The numbers can be read, and are not those of the run."""
    folder = place / "runs" / "a-0000000001"
    damage(folder)
    publish(place)
    assert_sound(place, [("b-0000000002", 2.0)])
    file = place / "wh" / "msm.duckdb"
    reason = f"{layout.CATALOG_ENTRY}: changed since the run wrote it"
    query = "select folder, reason, is_broken from run_problems"
    assert published(file, query) == [("a-0000000001", reason, True)]
    changed = int((folder / layout.CATALOG_ENTRY).stat().st_mtime)
    assert published(file, "select epoch(since)::bigint from run_problems") == [(changed,)]
    assert everything_published(place) == contents_as_rebuilt(place)
    shutil.rmtree(folder)
    publish(place)
    assert published(file, query) == []


def test_strangers_in_a_runs_folder_are_problems_and_stay(place: Path) -> None:
    (place / "runs" / "notes").mkdir()
    (place / "runs" / "notes" / "todo.txt").write_text("keep")
    publish(place)
    file = place / "wh" / "msm.duckdb"
    query = "select folder, reason, is_broken from run_problems"
    assert published(file, query) == [("notes", "no run folder", False)]
    assert (place / "runs" / "notes" / "todo.txt").read_text() == "keep"
    assert_sound(place, [("a-0000000001", 1.0), ("b-0000000002", 2.0)])


@pytest.mark.parametrize("value", ["[]", "{}", "1e30", str(10**30), "[" * 200 + "]" * 200])
def test_numbers_and_shapes_that_no_run_has_are_problems(value: str, place: Path) -> None:
    """Even where the hashes agree with them."""
    folder = place / "runs" / "a-0000000001"
    entry = json.loads((folder / layout.CATALOG_ENTRY).read_bytes())
    entry["n_days"] = json.loads(value)
    (folder / layout.CATALOG_ENTRY).write_text(json.dumps(entry))
    manifest = json.loads((folder / layout.MANIFEST).read_bytes())
    del manifest["files"]
    (folder / layout.MANIFEST).write_text(json.dumps(manifest))
    publish(place)
    assert_sound(place, [("b-0000000002", 2.0)])
    (problem,) = published(place / "wh" / "msm.duckdb", "select folder from run_problems")
    assert problem == ("a-0000000001",)


@pytest.mark.parametrize("name", [layout.CATALOG_ENTRY, layout.STATE_PATHS, layout.RETURNS])
def test_a_pipe_for_a_file_is_not_waited_for(name: str, place: Path) -> None:
    folder = place / "runs" / "a-0000000001"
    (folder / name).unlink()
    os.mkfifo(folder / name)
    publish(place)
    assert_sound(place, [("b-0000000002", 2.0)])
    assert "no plain file" in str(run_folder.fault_in(folder))


@pytest.mark.parametrize(
    ("module", "moment"), [(folder_rows, "read_runs"), (warehouse, "_update")], ids=["read", "kept"]
)
def test_a_run_deleted_while_it_is_published_is_absent(
    module: ModuleType, moment: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_made_up_run(place / "runs", "c-0000000003", sharpe=3.0, weight=0.25)
    original = getattr(module, moment)

    def too_late(*given: Any, **named: Any) -> Any:
        shutil.rmtree(place / "runs" / "c-0000000003")
        return original(*given, **named)

    monkeypatch.setattr(module, moment, too_late)
    publish(place)
    monkeypatch.undo()
    assert_sound(place, [("a-0000000001", 1.0), ("b-0000000002", 2.0)])
    assert published(place / "wh" / "msm.duckdb", "select * from run_problems") == []


# --- Many runs -----------------------------------------------------------------------------------


def parts_of(place: Path, table: str) -> dict[str, list[str]]:
    """Return the run ids in each part of a table."""
    return {
        file.stem: sorted(pq.read_table(file)["run_id"].unique().to_pylist())
        for file in sorted((place / "wh" / "msm" / table).iterdir())
    }


def test_parquet_of_many_runs_lies_in_parts_and_those_that_change_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part holds two runs here; each one has a panel of its own."""
    monkeypatch.setattr(parquet_tables, "RUNS_A_PART", 2)
    monkeypatch.setattr(warehouse, "RUNS_AT_ONCE", 2)
    ids = [f"{name}-{number:010}" for number, name in enumerate("abcde")]
    for number, run_id in enumerate(ids):
        write_made_up_run(tmp_path / "runs", run_id, sharpe=number, weight=number / 10)
    publish(tmp_path)
    assert_sound(tmp_path, [(run_id, float(number)) for number, run_id in enumerate(ids)])
    in_parts = {"00001": ids[:2], "00002": ids[2:4], "00003": ids[4:]}
    assert parts_of(tmp_path, "daily") == in_parts
    daily = tmp_path / "wh" / "msm" / "daily"
    written = {file.name: file.stat().st_mtime_ns for file in daily.iterdir()}

    write_made_up_run(tmp_path / "runs", "a-00000000f0", day=9)  # newer than the first one
    publish(tmp_path)
    assert parts_of(tmp_path, "daily") == {**in_parts, "00003": ["a-00000000f0", *ids[4:]]}
    assert (daily / "00002.parquet").stat().st_mtime_ns == written["00002.parquet"]
    latest = pq.read_table(daily / "00001.parquet", filters=[("run_id", "=", ids[0])])
    assert latest["is_latest"].unique().to_pylist() == [False]

    for run_id in ids[2:4]:
        shutil.rmtree(tmp_path / "runs" / run_id)
    publish(tmp_path)
    assert sorted(parts_of(tmp_path, "edges")) == ["00001", "00003"]
    assert {file.name for file in (tmp_path / "wh" / "msm" / "features").iterdir()} == {
        f"{part:05}.parquet" for part in (1, 3)
    }
    kept, rebuilt = everything_published(tmp_path), contents_as_rebuilt(tmp_path)
    kept.pop("run_panels"), rebuilt.pop("run_panels")  # a rebuild fills the gap of parts
    assert kept == rebuilt


def test_who_waits_for_another_publisher_says_for_whom(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(warehouse, "SECONDS_IN_SILENCE", 0.2)
    script = (
        "import sys, time; from pathlib import Path; from msm_py.store import scratch; "
        "from filelock import FileLock\n"
        "file = Path(sys.argv[1])\n"
        "with FileLock(f'{file}.lock'), scratch.folder(file.parent):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    file = place / "wh" / "msm.duckdb"
    words = [sys.executable, "-c", script, str(file)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(publish, place)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1)
            other.communicate()
            assert waiting.result(timeout=60)["catalog"] == 2
    told = capsys.readouterr().err
    assert f"Waiting for another process that publishes {file}: process {other.pid} on " in told
