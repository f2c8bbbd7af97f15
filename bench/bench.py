"""How long the main jobs take, how much memory they need, and how both grow: `make bench`.

Every job is a process of its own, in a folder of its own. The tables are printed and written into
docs/performance.md, each between its own markers, so that one section can be measured again:

    python bench/bench.py                           # all of it, about ten minutes
    python bench/bench.py --only sweeps nodes       # two sections, the others stay as they are
    python bench/bench.py --lake DIR                # your lake instead of the sample lake

Numbers of one section are comparable with each other; those of two machines, or of a busy one, are
not: compare ratios. Nothing here is a test, and no test measures time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import vendor_files
import yaml
from arch.bootstrap import CircularBlockBootstrap
from big_lake import START, write_big_lake
from many_runs import copies_of

from msm_py.experiment.ids import resolve
from msm_py.experiment.load import load_experiments
from msm_py.lake.sample import write_sample_lake
from msm_py.stats import sums
from msm_py.stats.blocks import BlockPlan
from msm_py.stats.bootstrap import BootstrapSettings, bootstrap_test, replicates
from msm_py.stats.inference import edges
from msm_py.stats.sample import Sample
from msm_py.store.origin import code_fingerprint

ROOT = Path(__file__).resolve().parents[1]
BASELINE = ROOT / "experiments" / "msm" / "msm_v1_baseline.yaml"
PAGE = ROOT / "docs" / "performance.md"
WINDOW = ("2023-07-01", "2025-12-31")
DAYS = 3_650  # of a generated lake
TURNS = 3
SHIPPED = ROOT / "experiments" / "msm"
OTHER_STATES = SHIPPED / "msm_v1_three_states.yaml"
OTHER_BASKET = SHIPPED / "msm_v1_mcap_basket.yaml"
OTHER_FEATURES = SHIPPED / "msm_v1_funding_only.yaml"
FEW_AND_MANY = (20, 20_000)  # runs of a runs folder
PUBLISH = [
    "-c",
    "from msm_py import settings; from msm_py.store import warehouse; "
    "warehouse.publish(settings.runs_dir(), settings.warehouse_path())",
]
PLAIN_SWEEP = [
    "-c",
    "import sys, duckdb; con = duckdb.connect(); script, warehouse, number = sys.argv[1:]; "
    "con.execute(f\"attach '{warehouse}' as warehouse (read_only)\"); "
    "con.execute(f'set variable n_variants = {number}'); "
    "print(con.execute(open(script).read()).fetchall())",
    str(ROOT / "bench" / "plain_sweep.sql"),
]
Table = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Cost:
    """What a job took: seconds by the clock, seconds of CPU, megabytes of its largest process."""

    wall: float
    cpu: float
    peak_mb: float

    def __str__(self) -> str:
        """Return the three figures as cells of a table."""
        return f"{self.wall:.1f} | {self.cpu:.1f} | {self.peak_mb:,.0f}"


COST = ("seconds", "CPU seconds", "peak MB")


class Bench:
    """The jobs, each measured once however many sections show it.

    Parameters
    ----------
    place
        A folder for everything that is written.
    lake
        The lake of the sections on variants; None for the sample lake.
    """

    def __init__(self, place: Path, lake: Path | None) -> None:
        self.place = place
        self.given = lake
        self.costs: dict[str, Cost] = {}

    @cached_property
    def lake(self) -> Path:
        """The lake of the sections on variants."""
        return self.given or write_sample_lake(self.place / "lake")

    @cache  # noqa: B019  # one instance, as long as the process
    def big_lake(self, n_assets: int) -> tuple[Path, int, float]:
        """Return a generated lake, its rows and the seconds it took to write."""
        begin = time.perf_counter()
        path = self.place / f"lake-{n_assets}"
        rows = write_big_lake(path, n_assets=n_assets, n_days=DAYS)
        return path, rows, time.perf_counter() - begin

    def msm(self, name: str, words: Sequence[str], *, again: bool = False) -> Cost:
        """Return what an `msm` command takes, in the folder ``name``."""
        if name not in self.costs or again:
            self.costs[name] = self.measure(name, ["-m", "msm_py.cli", *words])
        return self.costs[name]

    def measure(self, name: str, words: Sequence[str], *, with_cache: bool = False) -> Cost:
        """Run Python in a child with a folder of its own; without a cache unless it is wanted."""
        folder = self.place / name
        folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "MSM_RUNS": str(folder / "runs"),
            "MSM_WAREHOUSE": str(folder / "warehouse" / "msm.duckdb"),
            "MSM_TARGET": str(self.place / "target"),  # dbt parses the project once
            "MSM_CACHE": str(folder / "cache") if with_cache else "",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),  # for the oracle
        }
        begin = time.perf_counter()
        with (folder / "out.txt").open("w") as out:
            child = subprocess.Popen([sys.executable, *words], env=environment, stdout=out)
            _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"{name} failed: {' '.join(words)}")
        megabytes = used.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
        cost = Cost(time.perf_counter() - begin, used.ru_utime + used.ru_stime, megabytes)
        print(f"  {name:32} {cost.wall:7.1f} s {cost.cpu:7.1f} s CPU {cost.peak_mb:7.0f} MB")
        return cost

    def run(self, name: str, lake: Path, start: str, end: str, *more: str, **options: Any) -> Cost:
        """Return what one run of the baseline takes."""
        words = ["run", str(BASELINE), "--lake", str(lake), "--start", start, "--end", end, *more]
        return self.msm(name, words, **options)

    @cache  # noqa: B019  # one instance, as long as the process
    def random_sweep(self, number: int) -> Cost:
        """Return what a sweep of so many random variants takes."""
        return self.sweep(f"sweep-{number}", random_variants(number))

    def sweep(self, name: str, sweep: dict[str, Any]) -> Cost:
        """Return what a sweep of the baseline takes; nothing is in the cache when it begins."""
        words = ["-m", "msm_py.cli", "sweep", str(self.sweep_file(name, sweep))]
        return self.measure(name, [*words, "--lake", str(self.lake)], with_cache=True)

    def sweep_file(self, name: str, sweep: dict[str, Any]) -> Path:
        """Write the baseline with a `sweep:` block."""
        spec = yaml.safe_load(BASELINE.read_text())
        window = {"start": WINDOW[0], "end": WINDOW[1]}
        spec |= {"experiment_id": name.replace("-", "_"), "window": window, "sweep": sweep}
        file = self.place / f"{name}.yaml"
        file.write_text(yaml.safe_dump(spec, sort_keys=False, default_flow_style=False))
        return file


def random_variants(number: int, *, thresholds: bool = True) -> dict[str, Any]:
    """Return a `sweep:` block of variants that differ in weights, and thresholds if wanted."""
    features = yaml.safe_load(BASELINE.read_text())["features"]
    ranges = {f"features.{x['id']}.weight": {"uniform": [-0.3, 0.3]} for x in features}
    if thresholds:
        ranges["state_mapping.thresholds.high"] = {"uniform": [0.3, 0.7]}
    return {"random": {"n": number, "seed": 1, "ranges": ranges}}


def runs(bench: Bench) -> Iterator[str]:
    """Yield what a single run takes."""
    first = bench.run("one-run", bench.lake, *WINDOW)
    second = bench.run("one-run", bench.lake, *WINDOW, "--force", again=True)
    yield f"One experiment, {WINDOW[0]} to {WINDOW[1]}, on {_name(bench)}."
    yield table(
        ("one `msm run`", *COST, "target"),
        [
            ("the first one: dbt parses the project", first, ""),
            ("every later one", second, "10 s"),
        ],
    )


def reuse(bench: Bench) -> Iterator[str]:
    """Yield what a second question on the same lake takes, of what the first one takes.

    The jobs take turns, since a machine is not as fast in one minute as in the next; of each the
    one that took least CPU counts.
    """
    bench.run("one-run", bench.lake, *WINDOW)  # so that dbt has parsed the project
    costs: dict[str, list[Cost]] = {}
    window = ["--lake", str(bench.lake), "--start", WINDOW[0], "--end", WINDOW[1]]
    run = ["-m", "msm_py.cli", "run"]
    spec = bench.place / "oracle.json"
    (baseline,) = load_experiments([BASELINE], start=WINDOW[0], end=WINDOW[1])
    spec.write_text(json.dumps(resolve(baseline)))
    for turn in range(TURNS):
        name = f"second-{turn}"
        jobs: list[tuple[str, list[str], str, bool]] = [
            ("first, no cache", [*run, str(BASELINE), *window], f"{name}-none", False),
            ("first, filling the cache", [*run, str(BASELINE), *window], name, True),
            ("second, other states", [*run, str(OTHER_STATES), *window], name, True),
            ("second, another basket", [*run, str(OTHER_BASKET), *window], name, True),
            ("second, other features", [*run, str(OTHER_FEATURES), *window], name, True),
            (
                "plain pandas (`tests/support/oracle`)",
                ["-m", "support.oracle", str(bench.lake), str(spec), str(bench.place / name)],
                f"{name}-oracle",
                False,
            ),
        ]
        for job, words, folder, with_cache in jobs:
            costs.setdefault(job, []).append(bench.measure(folder, words, with_cache=with_cache))
    least = {job: min(found, key=lambda cost: cost.cpu) for job, found in costs.items()}
    base = least["first, no cache"]
    yield (
        f"`msm run` with its page, {WINDOW[0]} to {WINDOW[1]}, on {_name(bench)}: each in a runs "
        "folder of its own, on a lake that was never seen there, or after the first one. Ratios "
        f"are of the first one without a cache; of {TURNS} turns the one of least CPU."
    )
    yield table(
        ("one `msm run`", "of its CPU", "of its seconds", *COST),
        [
            (job, f"{cost.cpu / base.cpu:.2f}", f"{cost.wall / base.wall:.2f}", cost)
            for job, cost in least.items()
        ],
    )


def sweeps(bench: Bench) -> Iterator[str]:
    """Yield what sweeps take, and how it grows with the variants."""
    costs = {n: bench.random_sweep(n) for n in (1, 10, 100, 300, 1000)}
    grid = {
        "universe.min_mcap_usd": [20e6, 50e6, 100e6, 200e6, 300e6],
        "target.short_leg.n": [*range(8, 38, 3)],
    }
    baskets = bench.sweep("baskets", {"grid": grid, **random_variants(20, thresholds=False)})
    yield (
        "Random variants of the baseline (weights and a threshold), 999 studentised replicates, 4 "
        f"horizons, run folders and warehouse included, one command, on {_name(bench)}, the cache "
        "empty when it begins."
    )
    one, plain = costs[1], costs[1000]
    yield table(
        ("variants", "times the seconds of 1", "times the CPU", *COST, "CPU ms a variant more"),
        [
            (
                f"{n:,}",
                f"{cost.wall / one.wall:.2f}",
                f"{cost.cpu / one.cpu:.2f}",
                cost,
                f"{1000 * (cost.cpu - one.cpu) / (n - 1):.0f}" if n > 1 else "",
            )
            for n, cost in costs.items()
        ],
    )
    warehouse = bench.place / "sweep-1000" / "warehouse" / "msm.duckdb"
    others = {
        "5 universes x 10 short legs x 20 weights": baskets,
        "as plain SQL (`bench/plain_sweep.sql`), which does far less": bench.measure(
            "plain-sweep", [*PLAIN_SWEEP, str(warehouse), "1000"]
        ),
    }
    yield table(
        ("1,000 variants", "times the seconds of 1,000 above", "times the CPU", *COST),
        [
            (name, f"{cost.wall / plain.wall:.3f}", f"{cost.cpu / plain.cpu:.3f}", cost)
            for name, cost in others.items()
        ],
    )


def ten_thousand(bench: Bench) -> Iterator[str]:
    """Yield what ten thousand variants take, of what a thousand do; only when asked for."""
    few, many = (bench.random_sweep(n) for n in (1_000, 10_000))
    yield (
        f"10,000 such variants, one command: {many.wall / few.wall:.1f} times as long as 1,000 of "
        f"them in the same hour, {many.cpu / few.cpu:.1f} times the CPU, and "
        f"{many.peak_mb:,.0f} MB of memory for the largest process ({few.peak_mb:,.0f} MB)."
    )
    yield table(("variants", *COST), [("1,000", few), ("10,000", many)])


def big(bench: Bench) -> Iterator[str]:
    """Yield what a lake of 5,000 assets and 10 years takes."""
    lake, rows, seconds = bench.big_lake(5_000)
    yield (
        f"A generated lake of 5,000 assets and 10 years (`bench/big_lake.py`): {rows / 1e6:.0f} "
        f"million rows, written in {seconds:.0f} s. The baseline on it, one `msm run`; then the "
        "same with a universe that takes every asset with a market cap, a few thousand a day "
        "instead of a few hundred."
    )
    everything = yaml.safe_load(BASELINE.read_text())
    everything |= {"experiment_id": "every_asset", "universe": {"min_mcap_usd": 0}}
    everything["target"]["short_leg"]["min_volume_usd"] = 0
    file = bench.place / "every_asset.yaml"
    file.write_text(yaml.safe_dump(everything, sort_keys=False))
    begin, end = _last_years(2.5)
    words = ["run", str(file), "--lake", str(lake), "--start", begin, "--end", end]
    bench.run("one-run", bench.lake, *WINDOW)  # so that dbt has parsed the project
    one = bench.run("later", bench.lake, *WINDOW)
    costs = {
        "10 years": bench.run("assets-5000", lake, *_last_years(10)),
        "2.5 years": bench.run("assets-5000-years-2.5", lake, begin, end),
        "2.5 years, every asset": bench.msm("every-asset", words),
        f"one run on {_name(bench)}": one,
    }
    yield table(
        ("window", "times the seconds of the last row", "times the CPU", *COST),
        [
            (name, f"{cost.wall / one.wall:.2f}", f"{cost.cpu / one.cpu:.2f}", cost)
            for name, cost in costs.items()
        ],
    )


def growth(bench: Bench) -> Iterator[str]:
    """Yield how a run grows with the days of its window and the assets of its lake."""
    lake, _, _ = bench.big_lake(1_000)
    years = {n: bench.run(f"assets-1000-years-{n}", lake, *_last_years(n)) for n in (1, 2.5, 5, 10)}
    yield "Years of the window, on a generated lake of 1,000 assets and 10 years."
    yield table(
        ("years", "times the seconds of 1", *COST),
        [(n, f"{cost.wall / years[1].wall:.2f}", cost) for n, cost in years.items()],
    )
    yield "Assets of a generated lake of 10 years, the window 10 years too."
    costs = {1_000: years[10]}
    for n in (250, 2_500, 5_000):
        costs[n] = bench.run(f"assets-{n}", bench.big_lake(n)[0], *_last_years(10))
    least = costs[250].wall
    yield table(
        ("assets", "million rows", "times the seconds of 250", *COST),
        [
            (f"{n:,}", f"{bench.big_lake(n)[1] / 1e6:.1f}", f"{cost.wall / least:.2f}", cost)
            for n, cost in sorted(costs.items())
        ],
    )


def nodes(bench: Bench) -> Iterator[str]:
    """Yield where the time of a sweep of 1,000 variants goes, and that of the big lake."""
    lake, _, _ = bench.big_lake(5_000)
    start, end = _last_years(10)
    window = ["--start", start, "--end", end]
    file = bench.sweep_file("nodes-1000", random_variants(1000))
    for what, name, words in (
        ("1,000 variants", "nodes-sweep", [str(file), "--lake", str(bench.lake)]),
        ("5,000 assets, 10 years", "nodes-big", [str(BASELINE), "--lake", str(lake), *window]),
    ):
        given = bench.place / f"{name}.json"
        subprocess.run(
            [sys.executable, "-m", "msm_py.cli", "vars", *words, "--out", str(given)],
            check=True,
            capture_output=True,
        )
        job = [str(ROOT / "bench" / "node_times.py"), str(given), words[words.index("--lake") + 1]]
        cost = bench.measure(name, job)
        spent = json.loads((bench.place / name / "out.txt").read_text())
        spent.sort(key=lambda node: -node["cpu"])
        rest = spent[12:]
        took = f"{cost.wall:.0f} s, {cost.cpu:.0f} CPU seconds"
        yield f"{what}, one node at a time: {took}. Nodes of the dbt graph:"
        yield table(
            ("node", "seconds", "CPU seconds", "share of the CPU"),
            [
                (name, f"{wall:.1f}", f"{cpu:.1f}", f"{100 * cpu / cost.cpu:.0f}%")
                for name, wall, cpu in [
                    *((node["name"], node["wall"], node["cpu"]) for node in spent[:12]),
                    (
                        f"{len(rest)} other nodes",
                        sum(node["wall"] for node in rest),
                        sum(node["cpu"] for node in rest),
                    ),
                    (
                        "Python's imports, dbt's parsing",
                        cost.wall - sum(node["wall"] for node in spent),
                        cost.cpu - sum(node["cpu"] for node in spent),
                    ),
                ]
            ],
        )


def bootstrap(bench: Bench) -> Iterator[str]:
    """Yield the bootstrap of the edges against arch's, in one process."""
    del bench  # needs no lake
    sums._spent = np.inf  # as in a sweep: compiled
    plain, arch_plain, tested, difference = _plain_bootstrap()
    inference, arch_edges = _inference_of_a_run()
    yield (
        "The plain block bootstrap: 10,000 replicates of the edges of 5 regimes at 5 horizons, "
        "1,500 days, circular blocks of 60. arch draws the days and evaluates the edges with "
        "matrix products. Each draws blocks of its own; the standard deviations of its replicates "
        f"and ours differ by {100 * difference:.1f}% at most. Below it the default inference."
    )
    yield table(
        ("", "seconds", "arch takes"),
        [
            ("`replicates`: all edges", f"{plain:.3f}", f"{arch_plain / plain:.0f} times as long"),
            (
                "`bootstrap_test`: with intervals and p-values",
                f"{tested:.3f}",
                f"{arch_plain / tested:.0f} times as long, for the replicates alone",
            ),
            (
                "`edges`: 999 studentised replicates, shift test and cosines of one run and "
                "horizon, 914 days",
                f"{inference:.4f}",
                f"{arch_edges / inference:.0f} times as long, for 999 plain replicates alone",
            ),
        ],
    )


def _plain_bootstrap(
    n: int = 1_500, horizons: int = 5, n_regimes: int = 5, days: int = 60, number: int = 10_000
) -> tuple[float, float, float, float]:
    """Return seconds of our replicates, of arch's, of our test, and how far spreads differ."""
    generator = np.random.default_rng(1)
    regime = np.arange(n) // 11 % n_regimes
    y = generator.normal(0.0, 0.03, (horizons, n))
    shared = np.broadcast_to(regime, y.shape)

    def plan() -> BlockPlan:
        return BlockPlan(n=n, block_days=days, kind="circular", n_boot=number, seed=1)

    def replicate() -> Any:
        sample = Sample.of(y, shared, n_regimes)
        return replicates(sample, plan(), 0, studentized=False)

    def test() -> Any:
        sample = Sample.of(y, shared, n_regimes)
        se = np.ones_like(sample.estimate)  # what percentile intervals do not use
        wanted = np.isfinite(sample.estimate)
        return bootstrap_test(sample, se, wanted, plan(), studentized=False)

    def edges_of(member: np.ndarray, values: np.ndarray) -> np.ndarray:
        means = member.T @ values / member.sum(axis=0)[:, None]
        return np.asarray(means - values.mean(axis=0)).ravel()

    member = np.eye(n_regimes)[regime]
    drawn: list[Any] = []
    ours = best_of(3, lambda: drawn.append(replicate()))
    with np.errstate(divide="ignore", invalid="ignore"):
        theirs = best_of(
            1,
            lambda: drawn.append(
                CircularBlockBootstrap(days, member, y.T, seed=1).apply(edges_of, number)
            ),
        )
    spread_ours = drawn[0].deviation[:, :n_regimes].std(axis=-1).T.ravel()
    spread_theirs = drawn[-1].std(axis=0)
    difference = np.abs(spread_ours / spread_theirs - 1.0).max()
    return ours, theirs, best_of(3, test), float(difference)


def _inference_of_a_run(n: int = 914, number: int = 999) -> tuple[float, float]:
    """Return seconds of the default inference of a run and horizon, and of arch's bootstrap."""
    day = np.arange(n)
    regime, y = day // 9 % 5, np.random.default_rng(1).normal(0.0, 0.03, n)
    shape = (20, n)
    ours = best_of(
        9,
        lambda: edges(
            np.broadcast_to(y, shape),
            np.broadcast_to(regime, shape),
            np.broadcast_to(day // 9, shape),
            horizon_days=5,
            n_regimes=5,
            bootstrap=BootstrapSettings(n_boot=number),
        ),
    )

    def edges_of(member: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.asarray(member.T @ values / member.sum(axis=0) - values.mean())

    theirs = best_of(
        3,
        lambda: CircularBlockBootstrap(20, np.eye(5)[regime], y, seed=1).apply(edges_of, number),
    )
    return ours / shape[0], theirs


def ingest(bench: Bench) -> Iterator[str]:
    """Yield what making a lake of many files takes, and of one more."""
    place = bench.place / "vendors"
    n_rows = vendor_files.write_files(place / "raw", 5_000, 400)
    (place / "spec.yaml").write_text(
        "sources: [{id: own, mapping: plain.long, files: raw/*.csv}]\n"
    )
    words = ["lake", "ingest", str(place / "spec.yaml"), "--store", str(place / "store")]
    plain = ["-c", vendor_files.PANDAS, str(place / "raw"), str(place / "plain")]
    reference = bench.measure("ingest in plain pandas", plain)
    first = bench.msm("ingest, first", words)
    n_day = vendor_files.write_day(place / "raw", 2_000, 400)
    day = bench.msm("ingest, a day more", words)
    check = bench.msm("check of the lake", ["lake", "check", str(place / "store" / "lake")])
    yield (
        f"`msm lake ingest` of {n_rows:,} rows of prices, market caps and volumes in 5,000 CSV "
        f"files, then of one more file with a day of {n_day:,} assets. Plain pandas reads the "
        "files and writes three tables: no checks, no vintages."
    )
    rows = [
        (name, cost, f"{cost.wall / reference.wall:.2f}")
        for name, cost in (
            ("plain pandas, all files", reference),
            ("all files", first),
            ("a file more", day),
            ("of which `msm lake check` alone", check),
        )
    ]
    yield table(("what", *COST, "of plain pandas"), rows)


def many(bench: Bench) -> Iterator[str]:
    """Yield what publishing, listing and showing take beside few runs and beside many."""
    bench.run("one", bench.lake, *WINDOW, "--no-report")
    (run,) = (x for x in (bench.place / "one" / "runs").iterdir() if x.name[0] != ".")
    costs: dict[str, list[Cost]] = {}
    for n in FEW_AND_MANY:
        runs = bench.place / f"beside-{n}" / "runs"
        copies_of(run, runs, range(n))
        shown = min(x.name for x in runs.glob("copied_*"))
        for what, n_more, words in (
            ("the first publishing", 0, PUBLISH),
            ("publishing 1 more", 1, PUBLISH),
            ("publishing 20 more", 20, PUBLISH),
            ("`msm list`", 0, ["-m", "msm_py.cli", "list"]),
            ("`msm show RUN_ID`", 0, ["-m", "msm_py.cli", "show", shown]),
        ):
            begin = 10 * FEW_AND_MANY[-1] + n_more  # numbers that no copy has yet
            copies_of(run, runs, range(begin, begin + n_more))
            costs.setdefault(what, []).append(bench.measure(runs.parent.name, words))
    yield (
        f"Runs of {_name(bench)}, copied under ids of their own into a runs folder; imports are "
        f"part of every figure. The last column compares CPU seconds beside {FEW_AND_MANY[1]:,} "
        f"runs with those beside {FEW_AND_MANY[0]}."
    )
    yield table(
        ("what", *(f"{name}, {n:,} runs" for n in FEW_AND_MANY for name in COST), "ratio"),
        [(what, *found, f"{found[1].cpu / found[0].cpu:.1f}") for what, found in costs.items()],
    )


def best_of(times: int, job: Callable[[], Any]) -> float:
    """Return the seconds of the fastest of some calls."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def _last_years(years: float) -> tuple[str, str]:
    """Return the last years of a generated lake."""
    end = np.datetime64(START) + DAYS - 1
    return str(end - round(365 * years) + 1), str(end)


def _name(bench: Bench) -> str:
    """Return what to call the lake of the sections on variants."""
    if bench.given is None:
        return "the sample lake"
    from msm_py.lake.opening import open_lake

    lake = open_lake(bench.given)
    rows = sum(given.n_rows for given in lake.tables.values())
    return f"a lake of {rows:,} rows"


def machine() -> str:
    """Return what was measured on what, when."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    packages = ("duckdb", "dbt-core", "numpy", "scipy", "pyarrow", "arch")
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, code {code_fingerprint()[:8]}, on {_processor()}, "
        f"{os.cpu_count()} cores, {memory:.0f} GB of memory, {platform.system()} "
        f"{platform.release()}; load {os.getloadavg()[0]:.1f} before. Python "
        f"{platform.python_version()}, {', '.join(f'{p} {version(p)}' for p in packages)}."
    )


def _processor() -> str:
    with Path("/proc/cpuinfo").open() if Path("/proc/cpuinfo").exists() else open(os.devnull) as f:
        found = re.search(r"model name\s*:\s*(.*)", f.read())
    return found.group(1) if found else platform.processor() or platform.machine()


def table(head: Sequence[str], rows: Table) -> str:
    """Return a Markdown table; a cost is three cells."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def write(page: Path, section: str, text: str) -> None:
    """Put a section's text between its markers on the page."""
    begin, end = f"<!-- bench: {section} -->", f"<!-- end: {section} -->"
    before = page.read_text()
    if begin not in before or end not in before:
        sys.exit(f"{page} lacks the markers {begin} and {end}")
    head, tail = before.split(begin)[0], before.split(end)[1]
    page.write_text(f"{head}{begin}\n{text}\n{end}{tail}")


SECTIONS: dict[str, Callable[[Bench], Iterator[str]]] = {
    "runs": runs,
    "reuse": reuse,
    "sweeps": sweeps,
    "ten_thousand": ten_thousand,
    "big": big,
    "growth": growth,
    "nodes": nodes,
    "bootstrap": bootstrap,
    "ingest": ingest,
    "many": many,
}
WHEN_ASKED = ("ten_thousand",)
"""Sections that take as long as all others together."""


def main() -> None:
    """Measure what is asked for, print it and write it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lake", type=Path, help="a lake; the sample lake if left out")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="these sections only")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the tables go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="msm-bench-") as scratch:
        bench = Bench(Path(scratch), given.lake.absolute() if given.lake else None)
        for section in given.only or [name for name in SECTIONS if name not in WHEN_ASKED]:
            print(f"{section}:", flush=True)
            on = machine()
            text = "\n\n".join([*SECTIONS[section](bench), f"Measured {on}"])
            print(f"\n{text}\n", flush=True)
            write(given.page, section, text)


if __name__ == "__main__":
    main()
