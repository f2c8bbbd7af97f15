"""The warehouse stays true whatever is done to the run folders, and to the warehouse itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from support.made_up_runs import (
    assert_sound,
    catalog,
    contents_as_rebuilt,
    everything_published,
    publish,
    published,
    write_made_up_run,
)
from support.pipeline import ROOT

from msm_py.errors import MsmError
from msm_py.runner import sweep_statistics
from msm_py.store import (
    layout,
    record_files,
    run_folder,
    sweep_records,
    warehouse,
    warehouse_tables,
)

A, B, C, D = "a-0000000001", "b-0000000002", "c-0000000003", "d-0000000004"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A runs folder with two runs of the same panels, and its warehouse."""
    for run_id, sharpe in ((A, 1.0), (B, 2.0)):
        assert write_made_up_run(tmp_path / "runs", run_id, sharpe=sharpe)
    publish(tmp_path)
    return tmp_path


# --- Copies, renames, deletions ------------------------------------------------------------------


def copied(place: Path, name: str, target: str, *, with_times: bool) -> None:
    copy = shutil.copy2 if with_times else shutil.copyfile
    shutil.copytree(place / "runs" / name, place / "runs" / target, copy_function=copy)


@pytest.mark.parametrize("with_times", [True, False])
def test_a_copy_is_in_the_catalog_under_no_name(with_times: bool, place: Path) -> None:
    runs, file = place / "runs", place / "wh" / "msm.duckdb"
    copied(place, A, f"{A} (copy)", with_times=with_times)
    copied(place, f"{A} (copy)", "a-00000000ff", with_times=with_times)
    publish(place)
    assert_sound(place, [(A, 1.0), (B, 2.0)])
    (told,) = warehouse.alarms(runs, file)
    assert f"{A} (copy): it holds the run {A}; a-00000000ff: it holds the run {A}." in told
    assert "--force" not in told
    shutil.rmtree(runs / A)
    publish(place)
    assert_sound(place, [(B, 2.0)])
    (runs / "a-00000000ff").rename(runs / A)
    publish(place)
    assert_sound(place, [(A, 1.0), (B, 2.0)])
    shutil.rmtree(runs / f"{A} (copy)")
    publish(place)
    assert_sound(place, [(A, 1.0), (B, 2.0)])
    assert warehouse.alarms(runs, file) == []


RUNS = (A, B, C)
PLACES = (*RUNS, f"{A} (copy)", "old", D)


@settings(max_examples=2, stateful_step_count=8, deadline=None)
class Shuffled(RuleBasedStateMachine):
    """Whatever is done to the folders: what was brought up to date is what is rebuilt."""

    @initialize(equal_times=st.booleans())
    def begin(self, equal_times: bool) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="msm-test-"))
        self.names = set(RUNS)
        for i, name in enumerate(RUNS):
            weight = 1.0 if i < 2 else 0.25
            assert write_made_up_run(self.place / "runs", name, sharpe=i, weight=weight)
            if equal_times:
                os.utime(self.place / "runs" / name / layout.MANIFEST, (1e9, 1e9))
        publish(self.place)

    def _one_and_free(self, data: st.DataObject) -> tuple[str, str] | None:
        free = sorted(set(PLACES) - self.names)
        if not self.names or not free:
            return None
        return data.draw(st.sampled_from(sorted(self.names))), data.draw(st.sampled_from(free))

    @rule(data=st.data(), with_times=st.booleans())
    def copy(self, data: st.DataObject, with_times: bool) -> None:
        if chosen := self._one_and_free(data):
            copied(self.place, *chosen, with_times=with_times)
            self.names.add(chosen[1])

    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        if chosen := self._one_and_free(data):
            (self.place / "runs" / chosen[0]).rename(self.place / "runs" / chosen[1])
            self.names = self.names - {chosen[0]} | {chosen[1]}

    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        if len(self.names) > 1:
            one, other = data.draw(st.permutations(sorted(self.names)))[:2]
            runs = self.place / "runs"
            (runs / one).rename(runs / ".swap")
            (runs / other).rename(runs / one)
            (runs / ".swap").rename(runs / other)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if self.names:
            name = data.draw(st.sampled_from(sorted(self.names)))
            shutil.rmtree(self.place / "runs" / name)
            self.names.discard(name)

    @rule()
    def publish(self) -> None:
        publish(self.place)
        assert everything_published(self.place) == contents_as_rebuilt(self.place)
        runs = self.place / "runs"
        held = {
            name: json.loads((runs / name / layout.MANIFEST).read_text())["run_id"]
            for name in self.names
        }
        sound = sorted(name for name, run_id in held.items() if run_id == name)
        expected = [(name, float(RUNS.index(name))) for name in sound]
        assert catalog(self.place / "wh" / "msm.duckdb") == expected

    def teardown(self) -> None:
        if hasattr(self, "place"):
            self.publish()
            shutil.rmtree(self.place)


TestShuffled = Shuffled.TestCase


def test_statistics_of_a_sweep_are_those_of_its_sound_runs(place: Path) -> None:
    runs = place / "runs"
    for run_id, sharpe in ((C, 3.0), (D, 4.0)):
        assert write_made_up_run(runs, run_id, sharpe=sharpe)
    for run_id in (A, B, C, D):
        file = runs / run_id / layout.REGIME_EVALUATION
        edge = {"horizon_days": 1, "edge": "spread", "estimate": -0.1, "trade_edge": 0.1}
        edges = [{**edge, "p_edge": 0.5}]
        file.write_text(json.dumps({"regime_statistics": [], "edges": edges}))
        manifest = json.loads((runs / run_id / layout.MANIFEST).read_bytes())
        kept = {**manifest, "files": run_folder.hashes_of(runs / run_id)}
        (runs / run_id / layout.MANIFEST).write_text(json.dumps(kept))
    members = [A, B, C, D, "e-0000000005"]
    sound = sweep_statistics.statistics(runs, members, 5)
    assert [row["run_id"] for row in sound["runs"]] == [A, B, C, D]
    (runs / C / layout.RETURNS).write_bytes(b"PAR1")
    (runs / D / layout.MANIFEST).write_text("{")
    copied(place, A, "e-0000000005", with_times=True)
    found = sweep_statistics.statistics(runs, members, 5)
    assert [row["run_id"] for row in found["runs"]] == [A, B]
    assert [row["run_id"] for row in found["edges"]] == [A, B]
    assert found["overall"]["n_runs"] == 2


def test_a_copied_record_is_no_second_sweep(place: Path) -> None:
    runs = place / "runs"
    sweep = {"name": "s", "n_trials": 2, "members": [], "trials": [], "runs": [], "edges": []}
    (runs / sweep_records.FOLDER).mkdir()
    for name, overall in (("s-0123456789", 0), ("s-0123456789 (copy)", 1)):
        record = {**sweep, "sweep_id": "s-0123456789", "overall": {"n_runs": overall}}
        record_files.replace(runs / sweep_records.FOLDER / f"{name}.json", record)
    record = {**sweep, "sweep_id": "s-abcdefabcd", "overall": {}, "trials": [{"title": "x"}]}
    record_files.replace(runs / sweep_records.FOLDER / "s-abcdefabcd.json", record)
    assert publish(place)["sweeps"] == 1
    told = " ".join(warehouse.alarms(runs, place / "wh" / "msm.duckdb"))
    assert "(copy).json: it is the record of s-0123456789. Remedy: move it elsewhere" in told
    assert ".sweeps/s-abcdefabcd.json: status is missing" in told


# --- What other programs did ---------------------------------------------------------------------


def _run_sql(*statements: str) -> Callable[[Path], Any]:
    def change(file: Path) -> None:
        with duckdb.connect(file) as con:
            for sql in statements:
                con.execute(sql)

    return change


def _died_writing(file: Path) -> None:
    """Leave changes beside the file, as a tool does that is killed before it writes them there."""
    script = (
        "import duckdb, os, sys; con = duckdb.connect(sys.argv[1]); "
        "con.execute(\"set wal_autocheckpoint = '1TB'\"); "
        "con.execute('update catalog set net_sharpe = 99'); con.execute('drop table edges'); "
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(file)], check=False)
    assert file.with_name(f"{file.name}.wal").stat().st_size


def _other_parquet(file: Path) -> None:
    pq.write_table(pa.table({"run_id": ["x"]}), file.with_name("msm") / "catalog.parquet")


DISTURBED: dict[str, Callable[[Path], Any]] = {
    "a value changed": _run_sql("update catalog set net_sharpe = 99", "checkpoint"),
    "a table dropped": _run_sql("drop table edges"),
    "a table added": _run_sql("create table mine as select 42 as x"),
    "a view changed": _run_sql("create or replace view v_leaderboard as select 1 as place"),
    "a tool died": _died_writing,
    "no Parquet": lambda file: (file.with_name("msm") / "daily" / "00001.parquet").unlink(),
    "other Parquet": _other_parquet,
    "no stamp": lambda file: warehouse.stamp_file(file).unlink(),
    "a stamp of something else": lambda file: warehouse.stamp_file(file).write_text("[]"),
}


@pytest.mark.parametrize("with_news", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", DISTURBED)
def test_what_another_program_wrote_is_gone_with_the_next_publish(
    what: str, with_news: bool, place: Path
) -> None:
    file = place / "wh" / "msm.duckdb"
    assert warehouse.disturbance(file) is None
    DISTURBED[what](file)
    told = warehouse.disturbance(file)
    assert told is not None
    assert "msm.duckdb" in told
    sound = [(A, 1.0), (B, 2.0)]
    if with_news:
        assert write_made_up_run(place / "runs", C, sharpe=3.0)
        sound.append((C, 3.0))
    publish(place)
    assert_sound(place, sound)
    assert everything_published(place) == contents_as_rebuilt(place)
    assert "run_id" in published(file, "describe v_leaderboard")[1]
    assert "mine" not in {row[0] for row in published(file, "show tables")}
    assert warehouse.disturbance(file) is None


def test_what_a_dead_tool_left_is_not_in_a_warehouse_made_anew(place: Path) -> None:
    file = place / "wh" / "msm.duckdb"
    _died_writing(file)
    file.unlink()  # what people try
    warehouse.publish(place / "runs", file, anew=True)
    assert_sound(place, [(A, 1.0), (B, 2.0)])


def test_a_warehouse_of_another_version_is_made_anew_without_a_word(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place / "wh" / "msm.duckdb"
    monkeypatch.setattr(warehouse, "LAYOUT", "another")
    assert warehouse.disturbance(file) is None
    before = file.stat().st_mtime_ns
    publish(place)
    assert file.stat().st_mtime_ns != before
    assert_sound(place, [(A, 1.0), (B, 2.0)])


def test_two_warehouses_in_one_folder_have_tables_of_their_own(place: Path) -> None:
    assert write_made_up_run(place / "others", C, sharpe=3.0)
    warehouse.publish(place / "others", place / "wh" / "other.duckdb")
    warehouse.publish(place / "others", place / "wh" / "no_suffix")
    for folder, n in (("msm", 2), ("other", 1), ("no_suffix-tables", 1)):
        assert len(pq.read_table(place / "wh" / folder / "catalog.parquet")) == n
    with pytest.raises(MsmError, match="another warehouse has its tables in the same folder"):
        warehouse.publish(place / "others", place / "wh" / "msm.db")


def test_tables_of_older_versions_are_removed_unless_somebody_changed_them(place: Path) -> None:
    """They lay beside the file, where two warehouses overwrote each other's."""
    file = place / "wh" / "msm.duckdb"
    stamp = json.loads(warehouse.stamp_file(file).read_text())
    for name in ("catalog.parquet", "edges.parquet"):
        old = file.with_name(name)
        old.write_text("old")
        stamp["files"][name] = [old.stat().st_size, old.stat().st_mtime_ns]
    file.with_name("edges.parquet").write_text("changed")
    warehouse.stamp_file(file).write_text(json.dumps(stamp))
    publish(place)
    assert not file.with_name("catalog.parquet").exists()
    assert file.with_name("edges.parquet").read_text() == "changed"


# --- Names of folders ----------------------------------------------------------------------------

ODD_FOLDERS = ("wh[1]", "it's", "a;b -- c", "größe ✓", "100%", "x=1/title=2", "a*b", '"q"')


@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_a_warehouse_folder_may_have_any_name(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "wh1" / "msm").mkdir(parents=True)
    (place / "wh1" / "msm" / "catalog.parquet").write_text("the file that a glob would find")
    monkeypatch.chdir(place)
    macro = (ROOT / "macros" / "published_file.sql").read_text()
    call = "{{ published_file('catalog.parquet') }}"
    for given in (place / name / "msm.duckdb", Path(name) / "msm.duckdb"):
        assert warehouse.publish(place / "runs", given)["catalog"] == 2
        assert warehouse.publish(place / "runs", given, anew=True)["catalog"] == 2
        template = jinja2.Environment().from_string(
            macro + call, globals={"env_var": lambda *_, given=given: str(given)}
        )
        query = f"select * from read_parquet({template.render()}, hive_partitioning = false)"
        with duckdb.connect() as con:
            found = con.execute(query)
            assert [column[0] for column in found.description] == warehouse_tables.ALL_TABLES[
                "catalog"
            ].names
            assert len(found.fetchall()) == 2


@pytest.mark.parametrize(
    ("given", "what"), [("~/wh/msm.duckdb", "begins with a ~"), ("w?/x.duckdb", "question mark")]
)
def test_a_path_that_duckdb_takes_for_something_else_is_refused(
    given: str, what: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(MsmError, match=what):
        warehouse.publish(place / "runs", Path(given))
    assert not Path(Path(given).parts[0]).exists()
