"""Run folders and the warehouse made of them: wholly or not at all, and never wrong quietly."""

from __future__ import annotations

import ast
import errno
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lakes import tiny_lake, tiny_spec
from pipeline import ROOT, msm, run_experiments
from test_oracle import spec_of

from msm_py.errors import MsmError
from msm_py.runner import robustness_panel
from msm_py.store import (
    formats,
    layout,
    record_files,
    robustness_records,
    run_folder,
    run_list,
    scratch,
    sweep_records,
    warehouse,
    warehouse_tables,
)
from msm_py.store.origin import (
    NOT_NUMERIC,
    NUMERIC_FILES,
    NUMERIC_FOLDERS,
    SQL_FOLDERS,
    code_fingerprint,
)
from msm_py.store.shared_files import PanelFiles, RowsByKey

DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(4)]


# --- A made-up run -------------------------------------------------------------------------------


def doubles(names: tuple[str, ...], value: float = 0.5) -> dict[str, list[float]]:
    return {name: [value] * len(DAYS) for name in names}


def panel_rows(key: str = "p", weight: float = 1.0) -> tuple[RowsByKey, RowsByKey]:
    """Return baskets and features of one panel."""
    baskets = {
        "panel_id": [key] * len(DAYS),
        "date": DAYS,
        "asset_id": ["AAA"] * len(DAYS),
        "rank": pa.array([1] * len(DAYS), pa.int32()),
        **doubles(("marketcap_usd", "weight"), weight),
    }
    features = {
        "panel_id": [key] * len(DAYS),
        "date": DAYS,
        "feature_id": ["momentum"] * len(DAYS),
        **doubles(("raw_value", "z_score"), weight),
    }
    return tuple(
        RowsByKey(pa.table(columns), "panel_id", ["date"]) for columns in (baskets, features)
    )


def panel_files(scratch: Path, *, weight: float = 1.0) -> dict[str, tuple[PanelFiles, str]]:
    scratch.mkdir(parents=True, exist_ok=True)
    baskets, features = panel_rows(weight=weight)
    return {
        layout.BASKET: (PanelFiles("b", baskets, layout.BASKET_COLUMNS, scratch), "p"),
        layout.FEATURES: (PanelFiles("f", features, layout.FEATURES_COLUMNS, scratch), "p"),
    }


def run_files(
    run_id: str, panels: dict[str, tuple[PanelFiles, str]], sharpe: float = 1.0
) -> dict[str, Any]:
    """Return what stands in the other files of a small run."""
    timeseries = {
        "date": DAYS,
        **doubles(("score", "feature_coverage")),
        "regime": ["BALANCED"] * len(DAYS),
        "regime_age_days": pa.array(range(len(DAYS)), pa.int32()),
    }
    returns = {
        "date": DAYS,
        **doubles(layout.RETURNS_COLUMNS[1:-1]),
        "is_test_day": [True] * len(DAYS),
    }
    stability = {"n_days": 4, "n_spells": 1, "total_switches": 0, "switches_per_year": 0.0}
    shares = {"regime": "BALANCED", "n_days": 4, "n_spells": 1, "pct": 100.0}
    return {
        layout.MANIFEST: {
            "run_id": run_id,
            "spec": tiny_spec(),
            "finished_at": "2024-05-01T12:00:00.000+00:00",
            "git_commit": None,
            "git_dirty": None,
            "duration_seconds": 1.5,
        },
        layout.METRICS: {
            "stability": {
                **stability,
                "avg_regime_duration_days": 4.0,
                "regime_distribution": [shares],
                "regime_transitions": [],
            },
            "warnings": ["Made up."],
        },
        layout.REGIME_EVALUATION: {
            "regime_statistics": [{"horizon_days": 1, "regime": "BALANCED", "n": 4}],
            "edges": [{"horizon_days": 1, "edge": "spread", "estimate": None}],
        },
        layout.REGIME_METRICS: "regime,position_scale,n_days,total_net\nBALANCED,0.0,4,\n",
        layout.REGIME_TIMESERIES: pa.table(timeseries),
        layout.RETURNS: pa.table(returns),
        layout.CATALOG_ENTRY: {
            "title": "Made up",
            "net_sharpe": sharpe,
            "n_days": 4,
            "first_date": DAYS[0],
            "last_date": DAYS[-1],
            "basket_panel": panels[layout.BASKET][0].content_id("p"),
            "feature_panel": panels[layout.FEATURES][0].content_id("p"),
        },
    }


def write_made_up_run(
    runs: Path, run_id: str, *, sharpe: float = 1.0, weight: float = 1.0, replace: bool = False
) -> bool:
    panels = panel_files(runs.parent / "scratch" / run_id, weight=weight)
    runs.mkdir(parents=True, exist_ok=True)
    with scratch.folder(runs) as own:
        files = run_files(run_id, panels, sharpe)
        return run_folder.write_run(run_id, own, files, panels, replace=replace)


OWN_FILES = ("msm.duckdb", "msm.duckdb.lock", "msm.duckdb.stamp")
ALL_FILES = sorted(
    (
        layout.MANIFEST,
        layout.METRICS,
        layout.REGIME_EVALUATION,
        layout.REGIME_METRICS,
        layout.REGIME_TIMESERIES,
        layout.RETURNS,
        layout.BASKET,
        layout.FEATURES,
        layout.CATALOG_ENTRY,
    )
)


def names(folder: Path) -> list[str]:
    """Return everything in a folder, hidden or not."""
    return sorted(entry.name for entry in folder.iterdir())


def full_disk(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# --- A run folder, wholly or not at all ----------------------------------------------------------


def test_a_run_has_all_files_and_can_be_read_by_others(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert write_made_up_run(runs, "x-0000000001")
    assert names(runs) == ["x-0000000001"]
    assert names(runs / "x-0000000001") == ALL_FILES
    assert (runs / "x-0000000001").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", [*ALL_FILES, "the rename"])
def test_full_disk_at_any_file_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes = Path.write_bytes

    def fails_at(real: Callable[..., Any], position: int) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            path = Path(args[position])
            if path.name == name and path.parent.name == "x-0000000001":
                write_bytes(path, b"the first bytes")
                full_disk()
            return real(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(Path, "write_bytes", fails_at(write_bytes, 0))
    monkeypatch.setattr(Path, "write_text", fails_at(Path.write_text, 0))
    monkeypatch.setattr(os, "link", fails_at(os.link, 1))
    if name == "the rename":
        monkeypatch.setattr(Path, "rename", full_disk)
    with pytest.raises(MsmError, match="No space left on device") as caught:
        write_made_up_run(tmp_path / "runs", "x-0000000001")
    assert "nothing of it was kept" in str(caught.value)
    assert str(tmp_path / "runs" / "x-0000000001") in str(caught.value)
    assert names(tmp_path / "runs") == []


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(formats, "write_json", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_made_up_run(tmp_path / "runs", "x-0000000001")
    assert names(tmp_path / "runs") == []


def test_nan_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        write_made_up_run(tmp_path / "runs", "x-0000000001", sharpe=float("nan"))
    assert names(tmp_path / "runs") == []


def test_a_run_that_is_there_wins(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert write_made_up_run(runs, "x-0000000001", sharpe=1.0)
    before = (runs / "x-0000000001" / layout.CATALOG_ENTRY).read_bytes()
    assert not write_made_up_run(runs, "x-0000000001", sharpe=2.0)
    assert (runs / "x-0000000001" / layout.CATALOG_ENTRY).read_bytes() == before
    assert names(runs) == ["x-0000000001"]


def test_a_run_is_replaced_when_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    assert write_made_up_run(runs, "x-0000000001", sharpe=1.0)
    before = (runs / "x-0000000001" / layout.CATALOG_ENTRY).read_bytes()
    real = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target.parent == runs and self.parent.name != scratch.ASIDE:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_made_up_run(runs, "x-0000000001", sharpe=2.0, replace=True)
    assert (runs / "x-0000000001" / layout.CATALOG_ENTRY).read_bytes() == before
    assert names(runs) == ["x-0000000001"]
    assert write_made_up_run(runs, "x-0000000001", sharpe=2.0, replace=True)
    assert (runs / "x-0000000001" / layout.CATALOG_ENTRY).read_bytes() != before
    assert names(runs) == ["x-0000000001"]


def test_another_process_that_finishes_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    real = Path.rename

    def late(self: Path, target: Path) -> Path:
        if target.name == "x-0000000001":  # between our check and our rename
            target.mkdir()
            (target / "theirs").write_text("")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", late)
    assert not write_made_up_run(runs, "x-0000000001")
    assert names(runs) == ["x-0000000001"]
    assert names(runs / "x-0000000001") == ["theirs"]


def test_of_many_that_write_the_same_run_one_does(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    panels = [panel_files(tmp_path / f"scratch{i}") for i in range(8)]
    written: list[bool] = []
    start = threading.Barrier(8)

    def write(own: dict[str, tuple[PanelFiles, str]]) -> None:
        files = run_files("x-0000000001", own)
        with scratch.folder(runs) as unfinished:
            start.wait()
            written.append(run_folder.write_run("x-0000000001", unfinished, files, own))

    threads = [threading.Thread(target=write, args=(own,)) for own in panels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == [False] * 7 + [True]
    assert names(runs) == ["x-0000000001"]
    assert names(runs / "x-0000000001") == ALL_FILES


# --- Shared panels -------------------------------------------------------------------------------


def test_runs_share_a_panel_by_hard_link(tmp_path: Path) -> None:
    files, panel = panel_files(tmp_path)[layout.BASKET]
    for name in ("one", "two"):
        files.put(panel, tmp_path / name)
    assert (tmp_path / "one").samefile(tmp_path / "two")
    columns = pq.read_schema(tmp_path / "one").names
    assert columns == list(layout.BASKET_COLUMNS)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_where_links_cannot_be_a_panel_is_copied(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    files, panel = panel_files(tmp_path)[layout.BASKET]
    files.put(panel, tmp_path / "linked")
    monkeypatch.setattr(os, "link", no_link)
    files.put(panel, tmp_path / "copied")
    assert not (tmp_path / "linked").samefile(tmp_path / "copied")
    assert (tmp_path / "linked").read_bytes() == (tmp_path / "copied").read_bytes()


def test_content_id_is_that_of_the_bytes(tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    files, panel = panel_files(tmp_path)[layout.BASKET]
    files.put(panel, tmp_path / "file")
    digest = hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest()
    assert digest.startswith(files.content_id(panel))
    assert len(files.content_id(panel)) == 16
    assert panel_files(same)[layout.BASKET][0].content_id(panel) == files.content_id(panel)
    changed = panel_files(other, weight=0.5)[layout.BASKET][0]
    assert changed.content_id(panel) != files.content_id(panel)


# --- Finding runs --------------------------------------------------------------------------------


BASE_1, BASE_2, WEEKLY = "base-1a00000000", "base-1b00000000", "weekly-2c00000000"


@pytest.fixture
def three_runs(tmp_path: Path) -> Path:
    for name, made in ((BASE_1, "2026-02-01"), (BASE_2, "2026-01-01"), (WEEKLY, "2026-01-01")):
        (tmp_path / name).mkdir()
        manifest = {"run_id": name, "finished_at": f"{made}T00:00:00"}
        (tmp_path / name / layout.MANIFEST).write_text(json.dumps(manifest))
    for name in (".weekly-unfinished", "lost+found", "broken-0000000001"):
        (tmp_path / name).mkdir()
    shutil.copytree(tmp_path / WEEKLY, tmp_path / f"{WEEKLY} (copy)")
    (tmp_path / "notes.txt").write_text("a file is no run")
    return tmp_path


def test_existing_runs_are_called_as_the_run_that_they_hold(three_runs: Path) -> None:
    assert run_list.existing_runs(three_runs) == [BASE_1, BASE_2, WEEKLY]
    assert run_list.existing_runs(three_runs / "nowhere") == []
    assert run_list.list_runs(three_runs).skipped == {
        "lost+found": run_list.NO_RUN,
        "notes.txt": run_list.NO_RUN,
        f"{WEEKLY} (copy)": (f"it holds the run {WEEKLY}", False),
        "broken-0000000001": ("manifest.json: No such file or directory", True),
    }


@pytest.mark.parametrize("content", ["", "[]", "{", '"x"', "[" * 100_000, "\x00", '{"a": 1}'])
def test_a_damaged_manifest_is_a_broken_run(content: str, three_runs: Path) -> None:
    (three_runs / WEEKLY / layout.MANIFEST).write_text(content)
    assert run_list.list_runs(three_runs).skipped[WEEKLY].is_broken
    assert not run_list.is_run(three_runs / WEEKLY)


def test_a_pipe_for_a_manifest_is_not_waited_for(three_runs: Path) -> None:
    (three_runs / WEEKLY / layout.MANIFEST).unlink()
    os.mkfifo(three_runs / WEEKLY / layout.MANIFEST)
    assert run_list.list_runs(three_runs).skipped[WEEKLY] == ("manifest.json: no plain file", True)


def test_find_run(three_runs: Path) -> None:
    assert run_list.find_run(three_runs, BASE_1) == three_runs / BASE_1
    assert run_list.find_run(three_runs, "week") == three_runs / WEEKLY


def test_an_experiment_stands_for_its_newest_run(three_runs: Path) -> None:
    assert run_list.find_run(three_runs, "base") == three_runs / BASE_1


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("bas", ("several runs begin with this id", "bas", f"{BASE_1}, {BASE_2}")),
        ("weekyl-2c00000000", ("there is no such run", f"did you mean {WEEKLY}?")),
        (".weekly", ("there is no such run",)),
        ("zzz", ("there is no such run", "zzz", "`msm list` shows what is there")),
        ("brok", ("no run that can be shown", "No such file", "with --force, or move")),
        (f"{WEEKLY} (", ("no run that can be shown", f"it holds the run {WEEKLY}")),
    ],
)
def test_find_run_says_what_there_is(given: str, parts: tuple[str, ...], three_runs: Path) -> None:
    with pytest.raises(MsmError) as caught:
        run_list.find_run(three_runs, given)
    for part in (*parts, str(three_runs)):
        assert part in str(caught.value)


# --- Code fingerprint ----------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the code, which `code_fingerprint` looks at."""
    for folder in (*SQL_FOLDERS, "msm_py"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copyfile(ROOT / "dbt_project.yml", tmp_path / "dbt_project.yml")
    monkeypatch.setenv("MSM_PROJECT_DIR", str(tmp_path))
    code_fingerprint.cache_clear()
    yield tmp_path
    code_fingerprint.cache_clear()


def fingerprint_now() -> str:
    code_fingerprint.cache_clear()
    return code_fingerprint()


def append(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as opened:
        opened.write(text)


@pytest.mark.parametrize(
    "file",
    [
        "models/features/breadth.sql",
        "models/states/states.py",
        "models/new.sql",
        "macros/exact_sum.sql",
        "seeds/excluded_assets.csv",
        *(f"msm_py/{name}" for name in NUMERIC_FILES),
        *(f"msm_py/{name}/new.py" for name in NUMERIC_FOLDERS),
        "msm_py/stats/bootstrap.py",
    ],
)
def test_what_computes_is_in_the_fingerprint(file: str, project: Path) -> None:
    before = fingerprint_now()
    append(project / file, "\n")
    assert fingerprint_now() != before


@pytest.mark.parametrize(
    "file",
    [
        "README.md",
        "docs/methodology.md",
        "experiments/msm/msm_v1_baseline.yaml",
        "models/features/breadth.yml",
        "models/states/__pycache__/states.cpython-311.pyc",
        "msm_py/cli/run.py",
        "msm_py/report/run_report.py",
        "msm_py/store/warehouse.py",
        *(f"msm_py/{name}" for name in NOT_NUMERIC),
    ],
)
def test_what_does_not_compute_is_not(file: str, project: Path) -> None:
    before = fingerprint_now()
    append(project / file, "# nothing that computes\n")
    assert fingerprint_now() == before


def test_line_ends_do_not_count_but_names_and_versions_do(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint_now()
    for folder in (*SQL_FOLDERS, "msm_py"):
        for file in (x for x in (project / folder).rglob("*") if x.is_file()):
            file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert fingerprint_now() == before
    (project / "macros" / "exact_sum.sql").rename(project / "macros" / "renamed.sql")
    renamed = fingerprint_now()
    assert renamed != before
    monkeypatch.setattr(duckdb, "__version__", "9.9.9")
    assert fingerprint_now() != renamed


# what models import and what decides no number of a run, each with the reason why
NO_NUMBER = {
    "__init__": "holds the version",
    "_typing": "names of types",
    "errors": "messages",
    "settings": "where things are",
    "text": "messages",
    "store.looks": "which runs may see their hold-out; those that may not fail",
    "store.origin": "works the fingerprint out",
    "store.run_list": "which folders are runs",
    "store.scratch": "where a run lies until it is complete",
    "store.warehouse": "made from run folders; made again when its version changes",
    "store.written_places": "which places a run may be written to",
}


def imported_modules(file: Path) -> set[str]:
    """Return the modules of msm_py that a file imports, anywhere in it, by their dotted names."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "msm_py":
            package = str(node.module).split(".")[1:]
            for name in node.names:
                inner = [*package, name.name]
                is_module = (ROOT / "msm_py" / ("/".join(inner) + ".py")).is_file()
                found.add(".".join(inner if is_module else package) or "__init__")
    return found


def test_every_module_that_models_import_is_in_the_fingerprint_or_decides_no_number() -> None:
    waiting = {"dbt_models.plugin"}  # profiles.yml names it
    for model in (ROOT / "models").rglob("*.py"):
        waiting |= imported_modules(model)
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        if module != "store.warehouse":  # what it imports works on run folders that are complete
            file = ROOT / "msm_py" / (module.replace(".", "/") + ".py")
            waiting |= imported_modules(file) - seen
    assert {"engine.state_machine", "stats.bootstrap", "lake.opening"} <= seen, "too few are found"
    counted = {name.removesuffix(".py").replace("/", ".") for name in NUMERIC_FILES}
    counted |= {module for module in seen if module.split(".")[0] in NUMERIC_FOLDERS}
    assert seen - set(NO_NUMBER) - counted == set()


# --- Parameters as rows --------------------------------------------------------------------------


def test_flat_params() -> None:
    spec = {
        "experiment_id": "x",
        "description": None,
        "features": [
            {"id": "momentum", "weight": -1, "params": {}},
            {"id": "funding_skew", "weight": 0.5, "params": {"weighting": "oi"}},
        ],
        "target": {"horizons_days": [1, 5]},
        "walk_forward": True,
    }
    found = list(warehouse.flat_params(spec))
    rows = {row["param"]: (row["value"], row["value_number"]) for row in found}
    assert rows == {
        "experiment_id": ("x", None),
        "description": (None, None),
        "features.momentum.weight": ("-1", -1.0),
        "features.funding_skew.weight": ("0.5", 0.5),
        "features.funding_skew.params.weighting": ("oi", None),
        "target.horizons_days.0": ("1", 1.0),
        "target.horizons_days.1": ("5", 5.0),
        "walk_forward": ("true", None),  # a flag is no number
    }


def test_flat_params_of_a_whole_experiment_are_told_apart() -> None:
    params = [row["param"] for row in warehouse.flat_params(tiny_spec())]
    assert len(params) == len(set(params)) > 60


# --- Publishing ----------------------------------------------------------------------------------

# what DuckDB 1.x can open: the version number in the file's header
V1_STORAGE = 64


def storage_version(file: Path) -> int:
    header = file.read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    return int.from_bytes(header[12:20], "little")


def published(file: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(file, read_only=True) as con:
        return con.execute(query).fetchall()


def catalog(file: Path) -> list[tuple[Any, ...]]:
    return published(file, "select run_id, net_sharpe from catalog order by run_id")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A runs folder with two runs of the same panels, and its warehouse."""
    for run_id, sharpe in (("a-0000000001", 1.0), ("b-0000000002", 2.0)):
        assert write_made_up_run(tmp_path / "runs", run_id, sharpe=sharpe)
    warehouse.publish(tmp_path / "runs", tmp_path / "wh" / "msm.duckdb")
    return tmp_path


def publish(place: Path) -> dict[str, int]:
    return warehouse.publish(place / "runs", place / "wh" / "msm.duckdb")


def everything(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}


def assert_sound(place: Path, expected: list[tuple[Any, ...]]) -> None:
    file = place / "wh" / "msm.duckdb"
    assert catalog(file) == expected
    assert storage_version(file) == V1_STORAGE
    assert names(place / "wh") == sorted(
        [
            *(f"{table}.parquet" for table in warehouse_tables.ALL_TABLES),
            *OWN_FILES,
        ]
    )
    for table in warehouse_tables.ALL_TABLES:
        beside = pq.read_table(place / "wh" / f"{table}.parquet")
        assert published(file, f"select count(*) from {table}") == [(beside.num_rows,)]
        assert beside.column_names == list(warehouse_tables.ALL_TABLES[table])


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
    assert [row[1:3] for row in published(file, "select * from v_leaderboard order by 1")] == [
        ("c-0000000003", "Made up"),
        ("b-0000000002", "Made up"),
        ("a-0000000001", "Made up"),
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
    assert published(file, "select count(distinct manifest_mtime_ns) from run_panels") == [(2,)]


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


# --- Hidden records ------------------------------------------------------------------------------


@pytest.fixture
def recorded(place: Path) -> Path:
    """The same runs with two sweeps and the panel of each run."""
    runs = place / "runs"
    sweep = {"name": "s", "n_trials": 2, "members": [], "trials": [], "runs": [], "edges": []}
    for name in (sweep_records.FOLDER, robustness_records.FOLDER):
        (runs / name).mkdir()
    for sweep_id in ("s-0123456789", "s-abcdefabcd"):
        file = runs / sweep_records.FOLDER / f"{sweep_id}.json"
        record_files.replace(file, {**sweep, "sweep_id": sweep_id, "overall": {"n_runs": 0}})
    for run_id in ("a-0000000001", "b-0000000002"):
        panel = {"run_id": run_id, "title": "x", "rows": [], "summary": {"n_flips": 1}}
        record_files.replace(runs / robustness_records.FOLDER / f"{run_id}.json", panel)
    counts = publish(place)
    assert (counts["sweeps"], counts["robustness_summary"]) == (2, 2)
    assert warehouse.alarms(runs) == []
    return place


def _cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut short": (_cut_short, "no JSON"),
    "empty": (lambda file: os.truncate(file, 0), "no JSON"),
    "binary": (lambda file: file.write_bytes(b"\xff\xfe\x00"), "no JSON"),
    "a list": (lambda file: file.write_text("[]"), "a list where a map belongs"),
    "a key missing": (lambda file: file.write_text("{}"), "is missing"),
    "a folder": (lambda file: [file.unlink(), file.mkdir()], "no plain file"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_record_is_left_out_and_named(what: str, recorded: Path) -> None:
    runs = recorded / "runs"
    broken = (runs / ".sweeps" / "s-0123456789.json", runs / ".robustness" / "a-0000000001.json")
    damage, fault = DAMAGE[what]
    for file in broken:
        damage(file)
    assert write_made_up_run(runs, "c-0000000003", sharpe=3.0)
    counts = publish(recorded)
    assert (counts["catalog"], counts["sweeps"], counts["robustness_summary"]) == (3, 1, 1)
    told = warehouse.alarms(runs)
    assert len(told) == 2
    for file, sentence in zip(broken, told, strict=True):
        assert str(file) in sentence
        assert fault in sentence
    for ask in (
        lambda: sweep_records.find_record(runs, "s-01"),
        lambda: robustness_records.read_record(runs, "a-0000000001"),
    ):
        with pytest.raises(MsmError, match="a record is damaged") as caught:
            ask()
        for part in (fault, "where:", "remedy:   move it elsewhere; "):
            assert part in str(caught.value)
    assert sweep_records.find_record(runs, "s-ab")["n_trials"] == 2


def test_a_record_is_replaced_wholly_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.json"
    record_files.replace(file, {"n": 1})
    assert file.stat().st_mode & 0o777 == 0o644
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        record_files.replace(file, {"n": 2})
    assert names(tmp_path) == ["x.json"]
    assert json.loads(file.read_text()) == {"n": 1}


def test_what_is_judged_of_a_panel_is_in_the_warehouse() -> None:
    neighbour = {"check_name": "costs", "setting": "x2", "status": "complete", "net_sharpe": None}
    judged = robustness_panel.judge({"net_sharpe": 1.0}, [neighbour | {"edge_sign_flips": None}])
    assert judged.keys() <= warehouse_tables.ALL_TABLES["robustness_summary"].keys()
    assert (judged["worst_setting"], judged["worst_net_sharpe"]) == (None, None)


def test_every_table_and_column_is_described() -> None:
    """The catalog's stand in groups, those with net_ and gross_ by the rest of their name."""
    lines = (ROOT / "docs" / "bi.md").read_text().splitlines()
    described = {}
    for line in lines:
        if line.startswith("| `"):
            table, _, columns = line.strip("| ").split(" | ")
            columns = re.sub(r" ?\([^)]*\)", "", columns)
            described[table.strip("`")] = columns.split(", ")
    for table, columns in warehouse_tables.ALL_TABLES.items():
        if table != "catalog":
            assert described[table] == list(columns), table
    assert described["catalog"][0] == f"{len(warehouse_tables.ALL_TABLES['catalog'])} columns"
    start = next(i for i, line in enumerate(lines) if line.startswith("| group | columns"))
    grouped = set()
    for line in lines[start + 2 :]:
        if not line.startswith("| "):
            break
        group, columns = line.strip("| ").split(" | ")
        kinds = ("net_", "gross_") if "gross_" in group else ("",)
        grouped |= {kind + column for kind in kinds for column in columns.split(", ")}
    assert grouped == set(warehouse_tables.ALL_TABLES["catalog"])


# --- A warehouse that cannot be built on ---------------------------------------------------------

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


BROKEN: dict[str, Callable[[Path], Any]] = {
    **{f"no {name}": lambda folder, name=name: (folder / name).unlink() for name in ALL_FILES},
    "an empty folder": lambda folder: [file.unlink() for file in folder.iterdir()],
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


@pytest.mark.parametrize("what", BROKEN)
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
        assert "run the experiment again with --force, or move this folder elsewhere" in told
        assert "delete" not in told
    assert everything_published(place) == contents_as_rebuilt(place)
    assert write_made_up_run(runs, "c-0000000003", weight=0.25, replace=True)
    publish(place)
    assert_sound(place, sorted([*sound, ("c-0000000003", 1.0)]))
    assert warehouse.alarms(runs, place / "wh" / "msm.duckdb") == []


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


def everything_published(place: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of a warehouse, sorted, and those of the Parquet beside it."""
    found = {}
    for table in warehouse_tables.ALL_TABLES:
        rows = published(place / "wh" / "msm.duckdb", f"select * from {table}")
        beside = pq.read_table(place / "wh" / f"{table}.parquet").to_pylist()
        assert sorted(map(repr, rows)) == sorted(repr(tuple(x.values())) for x in beside)
        found[table] = sorted(rows, key=repr)
    return found


def contents_as_rebuilt(place: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return what `everything_published` would after making the warehouse anew, elsewhere."""
    again = place / "again"
    shutil.rmtree(again, ignore_errors=True)
    warehouse.publish(place / "runs", again / "wh" / "msm.duckdb", anew=True)
    return everything_published(again)


@pytest.mark.parametrize("step", ["copy", "replace"])
def test_a_full_disk_while_publishing_is_told_and_the_warehouse_stays(
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
    assert "Strategy" in done.out
    told = re.sub(r"\s+", " ", done.err)
    for part in ("broken-0000000001: metrics.json: no JSON", "lost+found: no run folder", "@eaDir"):
        assert part in told
    assert "delete" not in told
    assert "Traceback" not in told
    assert names(done.folder("new")) == ALL_FILES
    assert (runs / "my notes" / "todo.txt").read_text() == "sell everything"
    listed = msm("list", place=tmp_path)
    assert listed.code == 0
    assert "1 run" in listed.out
    assert "lost+found" in listed.err

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
        assert "with --force, or move this folder elsewhere" in re.sub(r"\s+", " ", shown.err)
    forced = msm("run", str(tmp_path / "new.yaml"), "--lake", str(lake), "--force", place=tmp_path)
    assert forced.code == 0, forced.err
    assert names(folder) == sorted([*ALL_FILES, "my notes.txt"])
    assert catalog(done.warehouse) != []


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
