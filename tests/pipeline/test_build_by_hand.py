"""dbt by hand: where its own database lies, two builds at once, unit tests of models."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.lakes import tiny_lake, tiny_spec
from support.pipeline import ROOT, command, dbt, run_experiments

from msm_py.dbt_models.plugin import check_scratch, scratch_path
from msm_py.errors import MsmError

HOLD = """
import duckdb, sys, time
held = duckdb.connect(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""


def test_it_lies_in_the_project_wherever_dbt_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MSM_SCRATCH", raising=False)
    monkeypatch.chdir(tmp_path)
    assert scratch_path("target/scratch.duckdb") == ROOT / "target" / "scratch.duckdb"
    monkeypatch.setenv("MSM_SCRATCH", "mine/scratch.duckdb")
    assert scratch_path("target/scratch.duckdb") == tmp_path / "mine" / "scratch.duckdb"


def test_its_folder_is_made(tmp_path: Path) -> None:
    check_scratch(tmp_path / "not" / "yet" / "scratch.duckdb")
    assert (tmp_path / "not" / "yet").is_dir()


def test_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSM_SCRATCH", "/tmp/other.duckdb")
    with pytest.raises(MsmError, match=r"must be called scratch\.duckdb"):
        scratch_path("target/scratch.duckdb")


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "scratch.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(MsmError, match="cannot be opened"):
        check_scratch(tmp_path / "scratch.duckdb")


def test_a_second_build_learns_how_to_have_its_own(tmp_path: Path) -> None:
    path = tmp_path / "target" / "scratch.duckdb"
    check_scratch(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        done = dbt("build", "--vars", "{}", place=tmp_path)
        holder.kill()
    assert done.code != 0
    assert "another build has the scratch database open" in done.out
    assert "MSM_SCRATCH=other/scratch.duckdb" in done.out
    assert "Traceback" not in done.out + done.err


def test_dbt_from_another_folder(tmp_path: Path) -> None:
    """With --project-dir and --profiles-dir; relative paths are those of the caller."""
    lake = tiny_lake(tmp_path / "here" / "lake")
    by_msm = run_experiments([tiny_spec()], lake, tmp_path / "msm")
    assert by_msm.code == 0, by_msm.err
    dbt_program = str(Path(sys.executable).parent / "dbt")
    here = tmp_path / "here"
    rendered = command(
        [sys.executable, "-m", "msm_py.cli", "vars", str(tmp_path / "msm" / "tiny.yaml")],
        tmp_path,
        MSM_LAKE=str(lake),
    )
    words = [dbt_program, "build", "--exclude-resource-type", "unit_test"]
    words += ["--project-dir", str(ROOT), "--profiles-dir", str(ROOT), "--vars", rendered.out]
    words += ["--target-path", str(here / "t"), "--log-path", str(here / "t")]
    done = command(
        words,
        here,
        cwd=here,
        MSM_LAKE="lake",
        MSM_RUNS="runs",
        MSM_WAREHOUSE="wh/msm.duckdb",
        MSM_SCRATCH="t/scratch.duckdb",
    )
    assert done.code == 0, done.out
    assert [f.name for f in (here / "runs").glob("tiny-*")] == [by_msm.folder("tiny").name]


def test_a_plain_build_passes_the_unit_tests_of_the_models(tmp_path: Path) -> None:
    """Without experiments or a lake: catalog and warehouse, and every table computed by hand."""
    done = dbt("build", place=tmp_path, MSM_LAKE=str(tmp_path / "nothing"))
    assert done.code == 0, done.out[-3000:]
    assert "ERROR=0" in done.out
    assert re.search(r"[1-9]\d* unit tests", done.out)
