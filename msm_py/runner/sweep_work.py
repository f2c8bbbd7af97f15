"""A sweep as work: its shard computed and recorded, the warehouse published once at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msm_py.errors import Interrupted
from msm_py.runner import batches, sweep_statistics
from msm_py.runner.executors import workers
from msm_py.runner.invocation import NodeFinished
from msm_py.runner.sweep_plan import Options, ResolvedSweep, is_waiting, rejected_here
from msm_py.settings import Places, target_root
from msm_py.store import lake_records, run_folder, scratch, warehouse
from msm_py.store.lake_records import Findings
from msm_py.store.trial import Trial


@dataclass(frozen=True)
class SweepBegun:
    """A sweep, or a shard of it, is begun: so many variants, so many of them to compute."""

    sweep_id: str
    shard: tuple[int, int]
    n_variants: int
    n_waiting: int
    rejected: tuple[Trial, ...]
    runs: Path


@dataclass(frozen=True)
class TrialEnded:
    """It is known what became of a variant, the ``place``-th of those of this call."""

    trial: Trial
    place: int
    counts: Mapping[str, int]
    seconds: float


@dataclass(frozen=True)
class SweepStopped:
    """A sweep was interrupted; what is complete is recorded next."""

    counts: Mapping[str, int]
    n_left: int
    force: bool


@dataclass(frozen=True)
class SweepEnded:
    """A sweep, or a shard of it, is done, recorded and published.

    Parameters
    ----------
    record
        The record of the sweep, all shards together.
    trials, rejected
        What became of variants in this call.
    n_left
        Variants that were not begun (fail_fast).
    seconds
        Since the beginning.
    findings
        What the lake check found.
    """

    record: Mapping[str, Any]
    trials: tuple[Trial, ...]
    rejected: tuple[Trial, ...]
    n_left: int
    seconds: float
    findings: Findings

    @property
    def counts(self) -> dict[str, int]:
        """Return how many variants have which status."""
        return batches.counts([*self.trials, *self.rejected])

    @property
    def n_failed(self) -> int:
        """Return how many variants failed or were rejected."""
        return self.counts["failed"] + self.counts["rejected"]


SweepEvent = SweepBegun | TrialEnded | SweepStopped | NodeFinished


def carry_out(
    resolved: ResolvedSweep, places: Places, options: Options, tell: Callable[[SweepEvent], object]
) -> SweepEnded:
    """Carry a sweep out, telling of every variant, and publish once at the end.

    Raises
    ------
    Interrupted
        After Ctrl-C, when what is complete has been recorded and published.
    """
    scratch.remove_leftovers(target_root())
    run_folder.check_runs_dir(places.runs)
    warehouse.check_warehouse(places.warehouse)
    findings = lake_records.look_over(places.runs, places.lake, resolved.lake_fingerprint)
    started_at, clock = datetime.now(UTC), time.monotonic()
    mine = batches.shard(resolved.specs, *options.shard)
    rejected = rejected_here(resolved, options)
    n_waiting = sum(is_waiting(spec, places) for spec in mine)
    by = workers(
        options.jobs_for(n_waiting),
        lake=places.lake,
        on_ray=options.on_ray,
        ray_address=options.ray_address,
    )
    tell(SweepBegun(resolved.sweep_id, options.shard, len(mine), n_waiting, rejected, places.runs))
    trials: list[Trial] = []
    work = batches.run_sweep(
        mine,
        places,
        batch_size=options.batch_size,
        jobs=by.jobs,
        fail_fast=options.fail_fast,
        open_executor=by.open_executor,
        progress=tell,
    )
    try:
        with closing(work):  # closed before anything else, so that no worker goes on
            for trial in work:
                trials.append(trial)
                seconds = time.monotonic() - clock
                tell(TrialEnded(trial, len(trials), batches.counts(trials), seconds))
    except (KeyboardInterrupt, Interrupted):
        tell(SweepStopped(batches.counts(trials), len(mine) - len(trials), places.force))
        raise Interrupted from None
    finally:  # what is complete is kept and recorded, whatever stopped the sweep
        try:
            record = sweep_statistics.write_record(
                places.runs,
                name=resolved.name,
                specs=resolved.specs,
                rejected=resolved.rejected,
                trials=trials,
                sources={file.name: file.read_text(errors="replace") for file in resolved.files},
                n_duplicates=resolved.n_duplicates,
                started_at=started_at,
            )
        finally:
            warehouse.publish(places.runs, places.warehouse)
    return SweepEnded(
        record=record,
        trials=tuple(trials),
        rejected=rejected,
        n_left=len(mine) - len(trials),
        seconds=time.monotonic() - clock,
        findings=findings,
    )
