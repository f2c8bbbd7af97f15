"""What ``msm sweep`` shows while it works and at its end."""

from __future__ import annotations

import glob
import json
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from msm_py import artifacts, experiment, sweep, sweep_record, warehouse
from msm_py.code_fingerprint import code_fingerprint
from msm_py.errors import Interrupted, MsmError
from msm_py.invocation import Places
from msm_py.lake import fingerprint, open_lake
from msm_py.sweep import Spec, Trial
from msm_py.sweep_spec import collect

# seconds, measured on two cores: what one invocation costs, and what one variant adds
SECONDS_AN_INVOCATION = 6.0
SECONDS_A_VARIANT = 0.03


@dataclass(frozen=True)
class Options:
    """How a sweep is carried out; see `msm sweep --help`."""

    batch_size: int
    jobs: int | None
    shard: tuple[int, int]
    resume: bool
    fail_fast: bool
    on_ray: bool = False
    ray_address: str | None = None


@dataclass(frozen=True)
class Family:
    """The variants of a sweep.

    Parameters
    ----------
    name
        The experiment_id that they come from.
    specs
        Resolved variants with their run ids.
    rejected
        Variants that validation rejected.
    n_duplicates
        Variants dropped because they ask what another one asks.
    files, lake, start, end
        Where they come from.
    """

    name: str
    specs: tuple[Spec, ...]
    rejected: tuple[Trial, ...]
    n_duplicates: int
    files: tuple[Path, ...]
    lake: Path
    start: date | str | None
    end: date | str | None

    @classmethod
    def of(
        cls,
        files: Sequence[Path],
        pattern: str | None,
        lake: Path,
        start: str | None,
        end: str | None,
    ) -> Family:
        """Expand files, and those that a glob pattern finds, against a lake.

        Raises
        ------
        MsmError
            When nothing is given or found, or as `msm_py.sweep_spec.collect`.
        """
        found = [*files, *(Path(name) for name in sorted(glob.glob(pattern or "")))]
        if not found:
            raise MsmError(
                "there is nothing to sweep",
                where="msm sweep",
                received="no file" if pattern is None else f"no file for --glob {pattern}",
                remedy='give files, or --glob "experiments/msm/*.yaml"',
            )
        expansion = collect(found, start=start, end=end)
        data, code = fingerprint(open_lake(lake)), code_fingerprint()
        specs = [experiment.resolve(variant) for variant in expansion.variants]
        return cls(
            name=expansion.base_id,
            specs=tuple({"run_id": experiment.run_id(x, data, code), **x} for x in specs),
            rejected=tuple(
                Trial(None, f"rejected: {bad.title}", bad.title, "rejected", error=bad.error)
                for bad in expansion.rejected
            ),
            n_duplicates=expansion.n_duplicates,
            files=tuple(found),
            lake=lake,
            start=start,
            end=end,
        )

    @property
    def sweep_id(self) -> str:
        """Return the id of the sweep."""
        return sweep_record.sweep_id(
            self.name, self.specs, [trial.experiment_id for trial in self.rejected]
        )


@dataclass(frozen=True)
class Summary:
    """The end of a sweep: what to show, and how many variants failed."""

    renderable: RenderableType
    n_failed: int


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


def commands(family: Family, places: Places, options: Options) -> Iterator[str]:
    """Yield one command for each batch; together they are the sweep, in any order, anywhere."""
    count = max(1, -(-len(family.specs) // options.batch_size))
    words = ["msm", "sweep", *(str(file.absolute()) for file in family.files)]
    for name, value in (
        ("--lake", places.lake),
        ("--runs", places.runs),
        ("--warehouse", places.warehouse),
        ("--start", family.start),
        ("--end", family.end),
        ("--batch-size", options.batch_size),
    ):
        if value is not None:
            words += [name, str(value)]
    for index in range(1, count + 1):
        yield shlex.join([*words, "--shard", f"{index}/{count}"])


def plan(family: Family, places: Places, options: Options) -> RenderableType:
    """Return the table of variants and what the sweep would cost."""
    table = Table("variant", "title", "status", box=None, pad_edge=False)
    mine = sweep.shard(family.specs, *options.shard)
    for spec in mine:
        there = (places.runs / spec["run_id"]).is_dir()
        table.add_row(spec["run_id"], escape(spec["title"]), "is there" if there else "to compute")
    for trial in family.rejected:
        table.add_row("", escape(trial.title), f"[red]rejected:[/] {escape(trial.error or '')}")
    waiting = sum(not (places.runs / spec["run_id"]).is_dir() for spec in mine)
    n_batches = -(-waiting // options.batch_size)
    seconds = SECONDS_AN_INVOCATION * n_batches + SECONDS_A_VARIANT * waiting
    jobs = options.jobs or 1
    note = (
        f"{len(mine)} variants, {waiting} to compute in {n_batches} invocations; "
        f"{len(family.rejected)} rejected, {family.n_duplicates} duplicates dropped. "
        f"About {seconds / jobs:.0f} s with {jobs} jobs (a rough estimate)."
    )
    return Group(table, Text(), Text(note))


def run(family: Family, places: Places, options: Options, console: Console) -> Summary:
    """Carry a sweep out, telling of every variant, and publish once at the end."""
    artifacts.check_runs_dir(places.runs)
    warehouse.check_warehouse(places.warehouse)
    started_at, clock = datetime.now(UTC), time.monotonic()
    mine = sweep.shard(family.specs, *options.shard)
    jobs, open_executor = _workers(options, places)
    if not options.resume:
        for spec in mine:
            artifacts.remove_run(places.runs, spec["run_id"])
    console.print(
        f"Sweep {family.sweep_id}: {len(mine)} variants"
        + (f" (shard {options.shard[0]}/{options.shard[1]})" if options.shard[1] > 1 else "")
        + (f", {len(family.rejected)} rejected by validation" if family.rejected else ""),
        soft_wrap=True,
    )
    for trial in family.rejected:
        console.print(f"[red]rejected[/] {escape(trial.title)}: {escape(trial.error or '')}")
    trials: list[Trial] = []
    try:
        with _display(console, len(mine)) as display:
            task = display.add_task("", total=len(mine), failed=0, speed="")
            for trial in sweep.run_sweep(
                mine,
                places,
                batch_size=options.batch_size,
                jobs=jobs,
                fail_fast=options.fail_fast,
                open_executor=open_executor,
            ):
                trials.append(trial)
                console.print(_line(trial, len(trials), len(mine), places.runs), soft_wrap=True)
                display.update(
                    task,
                    completed=len(trials),
                    failed=sum(x.status == "failed" for x in trials),
                    speed=f"{len(trials) / (time.monotonic() - clock):.1f} a second",
                )
    except KeyboardInterrupt:
        raise Interrupted from None
    finally:  # what is complete is kept and recorded, whatever stopped the sweep
        record = sweep_record.write_record(
            places.runs,
            name=family.name,
            specs=family.specs,
            rejected=family.rejected,
            trials=trials,
            sources={file.name: file.read_text() for file in family.files},
            n_duplicates=family.n_duplicates,
            started_at=started_at,
        )
        warehouse.publish(places.runs, places.warehouse)
    return _summary(record, trials, family, time.monotonic() - clock)


def _workers(options: Options, places: Places) -> tuple[int, Callable[[int], Executor] | None]:
    """Return how many batches go at a time, and what computes them (None: processes of ours)."""
    if not options.on_ray:
        return options.jobs or 1, None
    from msm_py.ray_executor import RayExecutor

    cluster = RayExecutor(options.ray_address, options.jobs, lake=places.lake)
    return cluster.slots, lambda _: cluster


def _display(console: Console, total: int) -> Progress:
    return Progress(
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[failed]} failed"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal or total == 0,
    )


def _line(trial: Trial, k: int, n: int, runs: Path) -> str:
    start = (trial.started_at or "")[11:19]
    seconds = "" if trial.seconds is None else f"{trial.seconds:.2f} s"
    if trial.status == "failed":
        reason = (trial.error or "").split("\n")[0]
        outcome = f"[red]failed:[/] {escape(reason)}"
    else:
        outcome = ("is there already, " if trial.status == "existing" else "") + headline(
            runs / str(trial.run_id)
        )
    parts = [f"\\[{k}/{n}] {trial.experiment_id}", escape(trial.title), start, seconds, outcome]
    return ", ".join(part for part in parts if part)


def headline(folder: Path) -> str:
    """Return a run in a few words."""
    entry = json.loads((folder / artifacts.CATALOG_ENTRY).read_bytes())

    def shown(name: str, form: str) -> str:
        return "—" if entry[name] is None else format(entry[name], form)

    return (
        f"net Sharpe {shown('net_sharpe', '.2f')}, CAGR {shown('net_cagr', '+.1%')}, "
        f"drawdown {shown('net_max_drawdown', '.1%')}"
    )


def _summary(
    record: dict[str, Any], trials: Sequence[Trial], family: Family, seconds: float
) -> Summary:
    counts = sweep.counts([*trials, *family.rejected])
    n_failed = counts["failed"] + counts["rejected"]
    lines = [
        f"{counts['complete']} computed, {counts['existing']} were there already, "
        f"{counts['failed']} failed, {counts['rejected']} rejected; {seconds:.1f} s."
    ]
    for trial in (*trials, *family.rejected):
        if trial.status in ("failed", "rejected"):
            reason = " ".join((trial.error or "").split())
            lines.append(f"  {trial.experiment_id}: {reason}")
    lines.append(f"Next: msm sweep show {record['sweep_id']}")
    return Summary(Group(leaderboard(record), Text(), *(Text(line) for line in lines)), n_failed)


def leaderboard(record: dict[str, Any], limit: int = 15) -> RenderableType:
    """Return a sweep's best runs by deflated Sharpe ratio, and what is known of the family."""
    titles = {trial["run_id"]: trial["title"] for trial in record["trials"]}
    ranked = sorted(
        record["runs"],
        key=lambda row: (
            row["deflated_sharpe"] is None,
            -(row["deflated_sharpe"] or 0.0),
            row["run_id"],
        ),
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in (
        ("place", "right"),
        ("run", "left"),
        ("title", "left"),
        ("net Sharpe", "right"),
        ("deflated", "right"),
        ("tied with leader", "left"),
        ("StepM", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # one of rich's words
    for place, row in enumerate(ranked[:limit], start=1):
        table.add_row(
            str(place),
            row["run_id"],
            escape(titles.get(row["run_id"]) or ""),
            _figure(row["net_sharpe"], ".2f"),
            _figure(row["deflated_sharpe"], ".3f"),
            _yes(row["is_tied_with_leader"]),
            _yes(row["is_superior"]),
        )
    overall = record["overall"]
    note = (
        f"{record['n_trials']} trials{_looks(record)}, {overall['n_runs']} complete runs, "
        f"{overall['n_common_days']} common test days. "
        f"Probability of backtest overfitting {_figure(overall['pbo'], '.0%')}; "
        f"SPA p {_figure(overall['spa_p_consistent'], '.3f')} (that none of them beats staying "
        "out). Deflated: the probability that the true Sharpe ratio is above what the best of so "
        "many tries at nothing would show; 0.95 is the usual bar. Tied: no different from the "
        "leader at 5%."
    )
    rest = len(ranked) - limit
    return Group(
        Text(f"{record['sweep_id']}", style="bold"),
        table,
        *([Text(f"and {rest} more")] if rest > 0 else []),
        Text(),
        Text(note),
    )


def _looks(record: dict[str, Any]) -> str:
    n_looks = record.get("n_looks", 0)
    if not n_looks:
        return ""
    return f" ({n_looks} of them {'a look' if n_looks == 1 else 'looks'} at the hold-out)"


def _figure(value: float | None, form: str) -> str:
    return "—" if value is None else format(value, form)


def _yes(value: bool | None) -> str:
    return "—" if value is None else ("yes" if value else "no")
