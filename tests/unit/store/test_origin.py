"""What changes the code fingerprint, and what does not."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from support.pipeline import ROOT

from msm_py.store.origin import (
    NOT_NUMERIC,
    NUMERIC_FILES,
    NUMERIC_FOLDERS,
    SQL_FOLDERS,
    code_fingerprint,
)


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
    "store.cache": "keeps tables as they are, under keys of all that they depend on",
    "store.catalog_columns": "descriptions; the names count by themselves (COLUMNS)",
    "store.declarations": "what descriptions are declared with",
    "store.run_file_columns": "descriptions; the names count by themselves (COLUMNS)",
    "store.looks": "which runs may see their hold-out; those that may not fail",
    "store.origin": "works the fingerprint out",
    "store.run_list": "which folders are runs",
    "store.scratch": "where a run lies until it is complete",
    "store.warehouse": "made from run folders; rebuilt when its version changes",
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
