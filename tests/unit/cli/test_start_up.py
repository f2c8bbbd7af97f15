"""What a command imports before it is asked to do anything."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("duckdb", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "dbt", "yaml")


def imported(words: str) -> set[str]:
    script = (
        "import sys\n"
        f"sys.argv = ['msm', *{words.split()!r}]\n"
        "from msm_py.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print('imported:', *[x for x in {HEAVY!r} if x in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("imported:")[2].split())


def test_help_needs_none_of_the_heavy_libraries() -> None:
    assert imported("--help") == set()
    # typer looks whether an option is of a type of pydantic
    assert imported("list --help") <= {"pydantic"}
