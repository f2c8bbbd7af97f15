"""Wall time, CPU time and peak memory of the main jobs; run it with `make bench`.

Every job is a process of its own, in a folder of its own, on one lake (``--lake``, else the sample
lake). Numbers of one call are comparable with each other; those of two machines, or of a busy one,
are not: compare ratios.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from arch.bootstrap import CircularBlockBootstrap

from msm_py.inference import BootstrapSettings, edges
from msm_py.sample_lake import write_sample_lake

ROOT = Path(__file__).resolve().parents[1]
BASELINE = ROOT / "experiments" / "msm" / "msm_v1_baseline.yaml"
WINDOW = ("--start", "2023-07-01", "--end", "2025-12-31")


def main() -> None:
    """Measure and print one line per job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, help="a lake; the sample lake if left out")
    parser.add_argument("--variants", type=int, nargs="*", default=[1, 100, 1000])
    given = parser.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        lake = given.lake.absolute() if given.lake else write_sample_lake(place / "lake")
        measure("a run, dbt parses the project", place / "first", run_words(lake))
        measure("a run, parsed before", place / "first", [*run_words(lake), "--force"])
        for number in given.variants:
            file = sweep_file(place, number)
            words = ["sweep", str(file), "--lake", str(lake), "--batch-size", str(number)]
            measure(f"sweep of {number} variants", place / f"sweep-{number}", words)
    bootstrap_against_arch()


def run_words(lake: Path) -> list[str]:
    """Return the words of a single run."""
    return ["run", str(BASELINE), "--lake", str(lake), *WINDOW]


def sweep_file(place: Path, number: int) -> Path:
    """Write a sweep of variants of the baseline that differ in weights and thresholds."""
    spec = yaml.safe_load(BASELINE.read_text())
    spec |= {"experiment_id": f"bench_{number}", "window": {"start": WINDOW[1], "end": WINDOW[3]}}
    ranges = {f"features.{x['id']}.weight": {"uniform": [-0.3, 0.3]} for x in spec["features"]}
    ranges["state_mapping.thresholds.high"] = {"uniform": [0.3, 0.7]}
    spec["sweep"] = {"random": {"n": number, "seed": 1, "ranges": ranges}}
    file = place / f"bench_{number}.yaml"
    file.write_text(yaml.safe_dump(spec, sort_keys=False, default_flow_style=False))
    return file


def measure(what: str, place: Path, words: list[str]) -> None:
    """Run `msm` in a child of its own and print what it took."""
    place.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "MSM_RUNS": str(place / "runs"),
        "MSM_WAREHOUSE": str(place / "warehouse" / "msm.duckdb"),
        "MSM_TARGET": str(place / "target"),
    }
    begin = time.perf_counter()
    child = os.fork()
    if child == 0:
        code = subprocess.run(
            [sys.executable, "-m", "msm_py.cli", *words],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=False,
        ).returncode
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall, cpu = time.perf_counter() - begin, used.ru_utime + used.ru_stime
        megabytes = used.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
        print(f"{what:32} {wall:7.1f} s wall {cpu:7.1f} s CPU {megabytes:7.0f} MB", flush=True)
        os._exit(code)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{what} failed")


def bootstrap_against_arch(n: int = 914, replicates: int = 999) -> None:
    """Time one run and horizon of the inference, and arch's bootstrap of the edges alone."""
    generator = np.random.default_rng(1)
    day = np.arange(n)
    regime, y = day // 9 % 5, generator.normal(0.0, 0.03, n)

    def all_edges(index_y: np.ndarray, index_r: np.ndarray) -> np.ndarray:
        means = [index_y[index_r == r].mean() if (index_r == r).any() else np.nan for r in range(5)]
        return np.array(means) - index_y.mean()

    begin = time.perf_counter()
    CircularBlockBootstrap(20, y, regime, seed=1).apply(all_edges, replicates)
    theirs = time.perf_counter() - begin
    settings = BootstrapSettings(n_boot=replicates)
    shape = (20, n)
    begin = time.perf_counter()
    edges(
        np.broadcast_to(y, shape),
        np.broadcast_to(regime, shape),
        np.broadcast_to(day // 9, shape),
        horizon_days=5,
        n_regimes=5,
        bootstrap=settings,
    )
    ours = (time.perf_counter() - begin) / shape[0]
    print(
        f"inference of a run and horizon: {1000 * ours:.1f} ms for studentised bootstrap, shift "
        f"test and Newey-West; arch {1000 * theirs:.0f} ms for the plain bootstrap alone, "
        f"{theirs / ours:.0f} times as long"
    )


if __name__ == "__main__":
    main()
