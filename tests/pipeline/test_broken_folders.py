"""Broken run folders through the whole command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from support.lakes import tiny_lake
from support.made_up_runs import (
    ALL_FILES,
    catalog,
    everything,
    names,
    published,
    write_made_up_run,
)
from support.pipeline import msm, run_experiments
from support.specs import spec_of

from msm_py.errors import MsmError
from msm_py.store import layout
from msm_py.store.run_list import existing_runs


def test_bad_folders_stop_nobody(tmp_path: Path) -> None:
    """The new run is complete, shown and published; what was left out is told."""
    lake = tiny_lake(tmp_path / "lake", seed=12)
    runs = tmp_path / "runs"
    assert write_made_up_run(runs, "broken-0000000001")
    (runs / "broken-0000000001" / layout.METRICS).write_text("{")
    for name in ("lost+found", "@eaDir", "my notes", "empty"):
        (runs / name).mkdir()
    (runs / "my notes" / "todo.txt").write_text("sell everything")
    done = run_experiments([spec_of("new", {})], lake, tmp_path)
    assert done.code == 0, done.err
    assert "strategy, net" in done.out
    told = re.sub(r"\s+", " ", done.err)
    for part in ("broken-0000000001: metrics.json: no JSON", "lost+found: no run folder", "@eaDir"):
        assert part in told
    assert "delete" not in told
    assert "Traceback" not in told
    assert names(done.folder("new")) == sorted([*ALL_FILES, layout.REPORT])
    assert (runs / "my notes" / "todo.txt").read_text() == "sell everything"
    listed = msm("list", place=tmp_path)
    assert listed.code == 0
    assert "1 run" in listed.out
    assert "lost+found" in listed.err
    for words, code in (((), 0), (("--strict",), 1)):
        rebuilt = msm("catalog", "rebuild", *words, place=tmp_path)
        assert rebuilt.code == code
        assert "broken-0000000001" in rebuilt.err

    folder = done.folder("new")
    shutil.copytree(folder, folder.with_name(f"{folder.name} (copy)"))
    shutil.rmtree(runs / "broken-0000000001")
    again = msm("list", place=tmp_path)
    assert "(copy): it holds the run new-" in again.err
    assert "broken-0000000001" not in again.err
    assert "1 run" in again.out


def test_a_broken_run_is_shown_as_such_and_force_mends_it(tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=12)
    done = run_experiments([spec_of("new", {})], lake, tmp_path)
    folder = done.folder("new")
    (folder / layout.METRICS).write_text("{")
    (folder / "my notes.txt").write_text("keep me")
    for ask in (["show", "new"], ["run", str(tmp_path / "new.yaml"), "--lake", str(lake)]):
        shown = msm(*ask, place=tmp_path)
        assert shown.code == 1
        assert "a run folder is broken" in shown.err
        assert "with --force, or move its folder out of the runs folder" in re.sub(
            r"\s+", " ", shown.err
        )
    forced = msm("run", str(tmp_path / "new.yaml"), "--lake", str(lake), "--force", place=tmp_path)
    assert forced.code == 0, forced.err
    assert names(folder) == sorted([*ALL_FILES, layout.REPORT, "my notes.txt"])
    assert catalog(done.warehouse) != []


def test_an_edited_run_is_no_complete_one(tmp_path: Path) -> None:
    """Its numbers are nobody's: they are not shown, and no sweep is judged by them."""
    lake = tiny_lake(tmp_path / "lake", seed=12)
    spec = {**spec_of("lags", {}), "sweep": {"grid": {"backtest.rebalance_frequency_days": [1, 7]}}}
    file = tmp_path / "lags.yaml"
    file.write_text(yaml.safe_dump(spec))
    sweep = ("sweep", str(file), "--lake", str(lake))
    assert msm(*sweep, place=tmp_path).code == 0
    sound, edited = (tmp_path / "runs" / x for x in existing_runs(tmp_path / "runs"))
    returns = pq.read_table(edited / layout.RETURNS)
    better = pc.add(returns["r_net"], 0.01)
    returns = returns.set_column(returns.column_names.index("r_net"), "r_net", better)
    pq.write_table(returns, edited / layout.RETURNS)

    again = msm(*sweep, place=tmp_path)
    assert again.code == 1
    assert "0 computed, 1 were there already, 1 failed" in again.out
    assert "a run folder is broken" in re.sub(r"\s+", " ", again.out + again.err)
    database = tmp_path / "warehouse" / "msm.duckdb"
    assert published(database, "select n_runs, n_failed from sweeps") == [(1, 1)]
    assert published(database, "select run_id from sweep_statistics") == [(sound.name,)]
    # one question is in the catalog, the other one counts as tried
    assert published(database, "select run_id, n_family from catalog") == [(sound.name, 2)]

    alone = tmp_path / "alone.yaml"
    manifest = json.loads((edited / layout.MANIFEST).read_bytes())
    alone.write_text(yaml.safe_dump(manifest["spec"]))
    run = msm("run", str(alone), "--lake", str(lake), place=tmp_path)
    assert run.code == 1
    assert "strategy, net" not in run.out
    assert "returns.parquet: changed since the run wrote it" in re.sub(r"\s+", " ", run.err)


def test_force_deletes_no_other_run(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name in ("a-0000000001", "b-0000000002"):
        assert write_made_up_run(runs, name)
    (runs / "a-0000000001").rename(runs / "c-0000000003")
    (runs / "b-0000000002").rename(runs / "a-0000000001")
    before = everything(runs / "a-0000000001")
    with pytest.raises(MsmError, match="another run lies in the place of this one") as caught:
        write_made_up_run(runs, "a-0000000001", replace=True)
    assert "it holds the run b-0000000002" in str(caught.value)
    assert everything(runs / "a-0000000001") == before
    assert names(runs) == ["a-0000000001", "c-0000000003"]
