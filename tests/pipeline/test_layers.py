"""One direction, no way back: models by folder, modules by wing, and no private name in between."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.pipeline import ROOT

LAYERS = (
    "inputs",
    "staging",
    "market",
    "features",
    "scores",
    "legs",
    "states",
    "portfolio",
    "evaluation",
    "artifacts",
    "catalog",
)


def test_models_read_only_models_to_their_left() -> None:
    files = [file for file in ROOT.glob("models/*/*") if file.suffix in (".sql", ".py")]
    layer = {file.stem: LAYERS.index(file.parent.name) for file in files}
    assert len(layer) > 50
    backwards = [
        f"{file.stem} reads {name}"
        for file in files
        for name in re.findall(r"ref\(['\"](\w+)['\"]\)", file.read_text())
        if layer.get(name, -1) > layer[file.stem]
    ]
    assert backwards == []


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("store/formats.py", "from msm_py.report import layout"),
        ("runner/batches.py", "from msm_py.dbt_models import runs"),
        ("dbt_models/runs.py", "from msm_py.runner import batches"),
        ("lake/files.py", "def late() -> None:\n    from msm_py.experiment import ids"),
        ("store/run.py", "import rich"),
    ],
)
def test_an_import_against_the_direction_fails_the_lint(
    tmp_path: Path, module: str, line: str
) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "msm_py", tmp_path / "msm_py")
    with (tmp_path / "msm_py" / module).open("a") as file:
        file.write(f"\n\n{line}\n")
    said = lint_imports(tmp_path)
    assert said.returncode == 1, said.stdout + said.stderr
    assert " BROKEN" in said.stdout
    assert f"msm_py.{module.split('/')[0]}" in said.stdout


def test_the_direction_is_kept() -> None:
    said = lint_imports(ROOT)
    assert said.returncode == 0, said.stdout + said.stderr


def test_no_module_takes_a_private_name_of_another() -> None:
    taken = [
        f"{file.relative_to(ROOT)}: {name.name} of {node.module}"
        for file in sorted(ROOT.glob("msm_py/**/*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("msm_py")
        for name in node.names
        if re.match(r"_[^_]", name.name)
    ]
    assert taken == []
