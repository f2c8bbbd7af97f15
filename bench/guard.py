"""Warn when a small fixed job takes more CPU than it did: `.ci/run` asks when all tests pass.

    python bench/guard.py             # compare with what is recorded; fails for no slowness
    python bench/guard.py --record    # record what it takes now

Machines differ, so the job is measured in units of a loop that is run beside it, before and after:
CPU seconds of one `msm run` on the sample lake over those of the loop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "bench" / "guard.json"
BASELINE = ROOT / "experiments" / "msm" / "msm_v1_baseline.yaml"
BOUND = 1.3
LOOP = (
    "import numpy as np\n"
    "total = sum(i * i % 7 for i in range(6_000_000))\n"
    "x = np.random.default_rng(1).random(4_000_000)\n"
    "for _ in range(4): np.sort(x); np.fft.rfft(x)\n"
)


def cpu_seconds(words: list[str], environment: dict[str, str]) -> float:
    """Return the CPU seconds of a Python process and its children."""
    child = subprocess.Popen(
        [sys.executable, *words], env=environment, stdout=subprocess.DEVNULL, cwd=ROOT
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, words)
    return used.ru_utime + used.ru_stime


def ratio() -> float:
    """Return CPU seconds of a second run on the sample lake, in those of the loop."""
    with tempfile.TemporaryDirectory(prefix="msm-guard-") as scratch:
        place = Path(scratch)
        environment = {
            **os.environ,
            **{"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            "MSM_RUNS": str(place / "runs"),
            "MSM_WAREHOUSE": str(place / "warehouse" / "msm.duckdb"),
            "MSM_TARGET": str(place / "target"),
            "MSM_CACHE": "",
        }
        msm = ["-m", "msm_py.cli"]
        cpu_seconds([*msm, "lake", "sample", str(place / "lake")], environment)
        run = [*msm, "run", str(BASELINE), "--lake", str(place / "lake"), "--force", "--no-report"]
        cpu_seconds(run, environment)  # dbt parses the project
        before = cpu_seconds(["-c", LOOP], environment)
        job = cpu_seconds(run, environment)
        return job / ((before + cpu_seconds(["-c", LOOP], environment)) / 2)


def main() -> None:
    """Record the ratio, or compare it with the one that is recorded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--record", action="store_true", help="record what it takes now")
    found = ratio()
    if parser.parse_args().record:
        RECORD.write_text(json.dumps({"cpu_of_loop": round(found, 2)}) + "\n")
        print(f"recorded: one run takes {found:.2f} loops")
        return
    recorded = json.loads(RECORD.read_text())["cpu_of_loop"]
    print(f"one run takes {found:.2f} loops, {found / recorded:.2f} of what is recorded")
    if found > BOUND * recorded:
        print(
            f"::warning::one run takes {found / recorded:.2f} times the CPU that is recorded in "
            f"{RECORD.relative_to(ROOT)}; if that is wanted, record it again with --record"
        )


if __name__ == "__main__":
    main()
