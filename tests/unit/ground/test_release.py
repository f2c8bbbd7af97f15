"""What a release says in more than one place is the same everywhere."""

from __future__ import annotations

import re
from importlib import metadata

import yaml

import msm_py
from msm_py.settings import project_dir


def test_one_version() -> None:
    def stated(file: str) -> str:
        return str(yaml.safe_load((project_dir() / file).read_text(encoding="utf-8"))["version"])

    assert stated("dbt_project.yml") == msm_py.__version__
    assert stated("CITATION.cff") == msm_py.__version__


def test_the_lock_files_hold_hashes_of_every_version() -> None:
    for name in (
        "requirements.lock",
        "requirements-ray.lock",
        "requirements-slow.lock",
        "requirements-docs.lock",
    ):
        pins = re.split(r"\n(?=\S)", (project_dir() / name).read_text(encoding="utf-8"))
        assert all("--hash=sha256:" in pin for pin in pins if not pin.startswith("#"))


def test_the_package_says_ranges() -> None:
    """Exact pins are the lock's: whoever installs MSM beside other packages needs room."""
    required = metadata.requires("msm") or []
    assert not [line for line in required if "==" in line.split(";")[0]]
