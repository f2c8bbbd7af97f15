"""What a sweep consists of: its variants, options, shards, commands and cost."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from msm_py import machine
from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.variants import collect
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import batches
from msm_py.settings import Places
from msm_py.store import sweep_records
from msm_py.store.origin import code_fingerprint
from msm_py.store.trial import Trial

# CPU seconds (docs/scale.md): what the first batch costs, each other one of a process, a worker
# process, a variant, and a candidate of its walk-forward search
SECONDS_A_FIRST_BATCH = 10.0
SECONDS_A_BATCH = 7.6
SECONDS_A_WORKER = 4.5
SECONDS_A_VARIANT = 0.04
SECONDS_A_CANDIDATE = 0.006


@dataclass(frozen=True)
class Options:
    """How a sweep is carried out; see `msm sweep --help`."""

    batch_size: int
    jobs: int | None
    shard: tuple[int, int]
    fail_fast: bool
    on_ray: bool = False
    ray_address: str | None = None

    def jobs_for(self, n_waiting: int) -> int | None:
        """Return how many batches go at a time; None: as many as a cluster has cores."""
        if self.jobs is not None or self.on_ray:
            return self.jobs
        return batches.usual_jobs(n_waiting)


@dataclass(frozen=True)
class ResolvedSweep:
    """The variants of a sweep.

    Parameters
    ----------
    name
        The experiment_id that they come from.
    specs
        Valid variants.
    rejected
        Variants that validation rejected.
    n_duplicates
        Variants dropped because they ask what another one asks.
    files, lake, start, end
        Where they come from.
    lake_fingerprint
        Of the lake's content.
    """

    name: str
    specs: tuple[ResolvedRun, ...]
    rejected: tuple[Trial, ...]
    n_duplicates: int
    files: tuple[Path, ...]
    lake: Path
    start: date | str | None
    end: date | str | None
    lake_fingerprint: str

    @classmethod
    def of(
        cls,
        files: Sequence[Path],
        pattern: str | None,
        lake: Path,
        start: str | None,
        end: str | None,
    ) -> ResolvedSweep:
        """Expand files, and those that a glob pattern finds, against a lake.

        Raises
        ------
        MsmError
            When nothing is given or found, or as `msm_py.experiment.variants.collect`.
        """
        named = [*files, *(Path(name) for name in sorted(glob.glob(pattern or "")))]
        found = list({file.resolve(): file for file in reversed(named)}.values())[::-1]
        if not found:
            raise MsmError(
                "there is nothing to sweep",
                where="msm sweep",
                received="no file" if pattern is None else f"no file for --glob {pattern}",
                remedy='give files, or --glob "experiments/msm/*.yaml"',
            )
        expansion = collect(found, start=start, end=end)
        data, code = fingerprint(open_lake(lake)), code_fingerprint()
        return cls(
            name=expansion.base_id,
            specs=tuple(ResolvedRun.of(x, data, code) for x in expansion.variants),
            rejected=tuple(
                Trial(None, f"rejected: {bad.title}", bad.title, "rejected", error=bad.error)
                for bad in expansion.rejected
            ),
            n_duplicates=expansion.n_duplicates,
            files=tuple(found),
            lake=lake,
            start=start,
            end=end,
            lake_fingerprint=data,
        )

    @property
    def sweep_id(self) -> str:
        """Return the id of the sweep."""
        return sweep_records.sweep_id(
            self.name,
            [spec.run_id for spec in self.specs],
            [trial.experiment_id for trial in self.rejected],
        )


def parse_shard(text: str | None) -> tuple[int, int]:
    """Return i and n of ``i/n``; 1 and 1 for none.

    Examples
    --------
    >>> parse_shard("3/8")
    (3, 8)
    """
    if text is None:
        return 1, 1
    try:
        index, count = (int(part) for part in text.split("/"))
        if 1 <= index <= count:
            return index, count
    except ValueError:
        pass
    raise MsmError(
        "a shard is written i/n, with i from 1 to n",
        where="--shard",
        received=text,
        remedy="for the third of eight parts: --shard 3/8",
    )


@dataclass(frozen=True)
class Plan:
    """What a sweep would do.

    Parameters
    ----------
    variants
        The resolved variants of this shard, in order.
    there, waiting
        Run ids of those that are there, and of those that would be computed.
    rejected
        Variants that validation rejected.
    n_duplicates, n_batches, jobs
        Variants dropped, invocations of dbt, and how many of them go at a time.
    cpu_seconds, seconds
        Very roughly, what it costs, and how long it takes on an idle machine.
    """

    variants: tuple[ResolvedRun, ...]
    there: frozenset[str]
    waiting: frozenset[str]
    rejected: tuple[Trial, ...]
    n_duplicates: int
    n_batches: int
    jobs: int
    cpu_seconds: float
    seconds: float


def plan(resolved: ResolvedSweep, places: Places, options: Options) -> Plan:
    """Return what a sweep would do, and roughly what it would cost."""
    mine = batches.shard(resolved.specs, *options.shard)
    waiting = [spec for spec in mine if is_waiting(spec, places)]
    jobs = options.jobs_for(len(waiting)) or 1
    n_batches = -(-len(waiting) // batches.even_size(len(waiting), options.batch_size, jobs))
    seconds = cpu_seconds(waiting, n_batches, jobs)
    return Plan(
        variants=tuple(mine),
        there=frozenset(x.run_id for x in mine if (places.runs / x.run_id).is_dir()),
        waiting=frozenset(spec.run_id for spec in waiting),
        rejected=rejected_here(resolved, options),
        n_duplicates=resolved.n_duplicates,
        n_batches=n_batches,
        jobs=jobs,
        cpu_seconds=seconds,
        seconds=seconds / max(1, min(jobs, n_batches, machine.n_cores())),
    )


def refuse_placebos(specs: Sequence[ResolvedRun]) -> None:
    """See that no variant is a placebo: it knows the future, and a sweep compares its variants.

    Raises
    ------
    MsmError
        When one is.
    """
    for spec in specs:
        if days := spec.experiment.state_mapping.placebo_rotation_days:
            raise MsmError(
                "a sweep never holds placebos: their states know the future, and would stand among "
                "runs that do not",
                where=f"state_mapping.placebo_rotation_days of {spec.experiment.experiment_id}",
                received=days,
                remedy="leave it out; `msm run EXPERIMENT --robust` makes placebos of its own",
            )


def commands(resolved: ResolvedSweep, places: Places, options: Options) -> list[list[str]]:
    """Return the words of a command for each batch; together they are the sweep, in any order.

    Raises
    ------
    MsmError
        When an option contradicts this.
    """
    for name, given in (("--shard", options.shard != (1, 1)), ("--executor ray", options.on_ray)):
        if given:
            raise MsmError(
                "there is a command for each batch of the whole sweep, for a scheduler to run",
                where="--print-commands",
                received=name,
                remedy=f"leave out one of {name} and --print-commands",
            )
    count = max(1, -(-len(resolved.specs) // options.batch_size))
    words = [*_program(), "sweep", *(str(file.absolute()) for file in resolved.files)]
    for name, value in (
        ("--lake", places.lake),
        ("--runs", places.runs),
        ("--warehouse", places.warehouse),
        ("--start", resolved.start),
        ("--end", resolved.end),
        ("--batch-size", options.batch_size),
        ("--jobs", options.jobs or 1),  # the scheduler says how many of them go at a time
    ):
        if value is not None:
            words += [name, str(value)]
    words += ["--force"] if places.force else []
    words += ["--fail-fast"] if options.fail_fast else []
    words += ["--no-cache"] if places.cache is None else []
    return [[*words, "--shard", f"{i}/{count}"] for i in range(1, count + 1)]


def _program() -> list[str]:
    """Return what starts this program where no PATH leads to it, such as over ssh."""
    program = Path(sys.argv[0]).resolve()
    if program.is_file() and os.access(program, os.X_OK) and program.suffix != ".py":
        return [str(program)]
    return [sys.executable, "-m", "msm_py.cli"]


def cpu_seconds(waiting: Sequence[ResolvedRun], n_batches: int, jobs: int) -> float:
    """Return roughly what so many batches cost, spread over so many workers (docs/scale.md)."""
    n_workers = min(jobs, n_batches)
    searches = [spec.experiment.backtest.grid_search for spec in waiting]
    n_candidates = sum(search.n_candidates for search in searches if search is not None)
    return (
        n_workers * (SECONDS_A_FIRST_BATCH + (SECONDS_A_WORKER if jobs > 1 else 0.0))
        + (n_batches - n_workers) * SECONDS_A_BATCH
        + len(waiting) * SECONDS_A_VARIANT
        + n_candidates * SECONDS_A_CANDIDATE
    )


def is_waiting(spec: ResolvedRun, places: Places) -> bool:
    """Return whether a run is to be computed: it is not there, or all are computed again."""
    return places.force or not (places.runs / spec.run_id).is_dir()


def rejected_here(resolved: ResolvedSweep, options: Options) -> tuple[Trial, ...]:
    """Return the rejected variants that this shard reports: the first one reports them all."""
    return resolved.rejected if options.shard[0] == 1 else ()
