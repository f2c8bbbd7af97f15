"""What ``msm sweep`` shows while it works and at its end."""

from __future__ import annotations

import glob
import json
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from msm_py import artifacts, experiment, lake_record, report, sweep, sweep_record, warehouse
from msm_py.code_fingerprint import code_fingerprint
from msm_py.errors import Interrupted, MsmError
from msm_py.invocation import Places
from msm_py.lake import fingerprint, open_lake
from msm_py.lake_record import Findings
from msm_py.sweep import Spec, Trial
from msm_py.sweep_spec import collect
from msm_py.terminal import Table, Text, visible

# CPU seconds (docs/scale.md): what the first batch costs, each other one of a process, a worker
# process, a variant, and a candidate of its walk-forward search
SECONDS_A_FIRST_BATCH = 10.0
SECONDS_A_BATCH = 7.6
SECONDS_A_WORKER = 4.5
SECONDS_A_VARIANT = 0.04
SECONDS_A_CANDIDATE = 0.006

# as wide as a line may get where no terminal cuts or folds it
WIDE = 1000


@dataclass(frozen=True)
class Options:
    """How a sweep is carried out; see `msm sweep --help`."""

    batch_size: int
    jobs: int | None
    shard: tuple[int, int]
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
    lake_fingerprint
        Of the lake's content.
    """

    name: str
    specs: tuple[Spec, ...]
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
    ) -> Family:
        """Expand files, and those that a glob pattern finds, against a lake.

        Raises
        ------
        MsmError
            When nothing is given or found, or as `msm_py.sweep_spec.collect`.
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
            lake_fingerprint=data,
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


def refuse_placebos(specs: Sequence[Spec]) -> None:
    """See that no variant is a placebo: it knows the future, and a sweep compares its variants.

    Raises
    ------
    MsmError
        When one is.
    """
    for spec in specs:
        if days := spec["state_mapping"]["placebo_rotation_days"]:
            raise MsmError(
                "a sweep never holds placebos: their states know the future, and would stand among "
                "runs that do not",
                where=f"state_mapping.placebo_rotation_days of {spec['experiment_id']}",
                received=days,
                remedy="leave it out; `msm run EXPERIMENT --robust` makes placebos of its own",
            )


def commands(family: Family, places: Places, options: Options) -> list[str]:
    """Return one command for each batch; together they are the sweep, in any order, anywhere.

    Raises
    ------
    MsmError
        When an option contradicts this, or a path cannot stand in a line as it is.
    """
    for name, given in (("--shard", options.shard != (1, 1)), ("--executor ray", options.on_ray)):
        if given:
            raise MsmError(
                "there is a command for each batch of the whole sweep, for a scheduler to run",
                where="--print-commands",
                received=name,
                remedy=f"leave out one of {name} and --print-commands",
            )
    count = max(1, -(-len(family.specs) // options.batch_size))
    words = [*_program(), "sweep", *(str(file.absolute()) for file in family.files)]
    for name, value in (
        ("--lake", places.lake),
        ("--runs", places.runs),
        ("--warehouse", places.warehouse),
        ("--start", family.start),
        ("--end", family.end),
        ("--batch-size", options.batch_size),
        ("--jobs", options.jobs),
    ):
        if value is not None:
            words += [name, str(value)]
    words += ["--force"] if places.force else []
    words += ["--fail-fast"] if options.fail_fast else []
    for word in words:
        if "\n" in word or visible(word) != word:
            raise MsmError(
                "a command is one line in which everything is seen, and this would not be",
                where="--print-commands",
                received=word,
                remedy="give the file or folder another name",
            )
    return [shlex.join([*words, "--shard", f"{i}/{count}"]) for i in range(1, count + 1)]


def _program() -> list[str]:
    """Return what starts this program where no PATH leads to it, such as over ssh."""
    program = Path(sys.argv[0]).resolve()
    if program.is_file() and os.access(program, os.X_OK) and program.suffix != ".py":
        return [str(program)]
    return [sys.executable, "-m", "msm_py.cli"]


def plan(family: Family, places: Places, options: Options) -> RenderableType:
    """Return the table of variants and what the sweep would cost."""
    table = _table(("run", "left"), ("status", "left"), ("title", "left"))
    mine = sweep.shard(family.specs, *options.shard)
    waiting = [spec for spec in mine if _is_waiting(spec, places)]
    for spec in mine:
        there = (places.runs / spec["run_id"]).is_dir()
        again = "to compute again" if there else "to compute"
        status = again if _is_waiting(spec, places) else "is there"
        table.add_row(spec["run_id"], status, spec["title"])
    rejected = _rejected(family, options)
    for trial in rejected:
        table.add_row("", Text("rejected", style="red"), f"{trial.title}: {trial.error or ''}")
    jobs = options.jobs or 1
    size = sweep.even_size(len(waiting), options.batch_size, jobs)
    n_batches = -(-len(waiting) // size)
    note = (
        f"{_count(len(mine), 'variant')}, {len(waiting)} to compute in "
        f"{_count(n_batches, 'invocation')}; {len(rejected)} rejected, "
        f"{_count(family.n_duplicates, 'duplicate')} dropped. "
    )
    if waiting:
        seconds = cpu_seconds(waiting, n_batches, jobs)
        at_a_time = min(jobs, n_batches, os.cpu_count() or 1)
        note += (
            f"Very roughly {seconds:.0f} CPU seconds, {seconds / at_a_time:.0f} s with "
            f"{_count(jobs, 'job')} on an idle machine; long windows, many replicates and many "
            "baskets take longer."
        )
    return Group(table, Text(), Text(note))


def cpu_seconds(waiting: Sequence[Spec], n_batches: int, jobs: int) -> float:
    """Return roughly what so many batches cost, spread over so many workers (docs/scale.md)."""
    n_workers = min(jobs, n_batches)
    searches = [spec["backtest"]["grid_search"] for spec in waiting]
    n_candidates: int = sum(search["n_candidates"] for search in searches if search is not None)
    return (
        n_workers * (SECONDS_A_FIRST_BATCH + (SECONDS_A_WORKER if jobs > 1 else 0.0))
        + (n_batches - n_workers) * SECONDS_A_BATCH
        + len(waiting) * SECONDS_A_VARIANT
        + n_candidates * SECONDS_A_CANDIDATE
    )


def _is_waiting(spec: Spec, places: Places) -> bool:
    return places.force or not (places.runs / spec["run_id"]).is_dir()


def _rejected(family: Family, options: Options) -> tuple[Trial, ...]:
    """Return the rejected variants that this shard tells of: they are the first one's."""
    return family.rejected if options.shard[0] == 1 else ()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _table(*columns: tuple[str, str]) -> Table:
    """Return an empty table whose columns are shown whole, but for the last one, a title."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in columns[:-1]:
        overflow = "ignore" if justify == "left" else "ellipsis"  # what is ignored is not justified
        table.add_column(name, justify=justify, no_wrap=True, overflow=overflow)  # type: ignore[arg-type]  # rich's words
    table.add_column(columns[-1][0], min_width=10)
    return table


def show(renderable: RenderableType, console: Console) -> None:
    """Print a table with whole ids: a file or a pipe has no width, a narrow terminal folds."""
    if not console.is_terminal:
        console.width = WIDE
    console.print(renderable, crop=False)


def run(family: Family, places: Places, options: Options, console: Console) -> Summary:
    """Carry a sweep out, telling of every variant, and publish once at the end."""
    artifacts.check_runs_dir(places.runs)
    warehouse.check_warehouse(places.warehouse)
    found = lake_record.look_over(places.runs, places.lake, family.lake_fingerprint)
    started_at, clock = datetime.now(UTC), time.monotonic()
    mine = sweep.shard(family.specs, *options.shard)
    jobs, open_executor = _workers(options, places)
    rejected = _rejected(family, options)
    n_waiting = sum(_is_waiting(spec, places) for spec in mine)
    console.print(
        f"Sweep {family.sweep_id}: {_count(len(mine), 'variant')}"
        + (f" (shard {options.shard[0]}/{options.shard[1]})" if options.shard[1] > 1 else "")
        + (f", {len(rejected)} rejected by validation" if rejected else ""),
        soft_wrap=True,
    )
    for trial in rejected:
        console.print(
            Text.assemble(("rejected", "red"), f" {trial.title}: {trial.error or ''}"),
            soft_wrap=True,
        )
    trials: list[Trial] = []
    work = sweep.run_sweep(
        mine,
        places,
        batch_size=options.batch_size,
        jobs=jobs,
        fail_fast=options.fail_fast,
        open_executor=open_executor,
    )
    try:
        # closed before anything else, so that no worker goes on
        with _display(console, n_waiting) as display, closing(work):
            task = display.add_task("", total=n_waiting, failed=0, speed="")
            for trial in work:
                trials.append(trial)
                console.print(_line(trial, len(trials), len(mine), places.runs), soft_wrap=True)
                done = sweep.counts(trials)
                n_done = done["complete"] + done["failed"]
                display.update(
                    task,
                    completed=n_done,
                    failed=done["failed"],
                    speed=_speed(n_done, n_waiting - n_done, time.monotonic() - clock),
                )
    except (KeyboardInterrupt, Interrupted):
        done = sweep.counts(trials)
        console.print(
            f"{done['complete']} computed, {done['existing']} were there already, "
            f"{done['failed']} failed, {len(mine) - len(trials)} not done. "
            + (
                "The same command begins again, without --force it goes on."
                if places.force
                else "The same command goes on."
            ),
            soft_wrap=True,
        )
        raise Interrupted from None
    finally:  # what is complete is kept and recorded, whatever stopped the sweep
        record = sweep_record.write_record(
            places.runs,
            name=family.name,
            specs=family.specs,
            rejected=family.rejected,
            trials=trials,
            sources={file.name: file.read_text(errors="replace") for file in family.files},
            n_duplicates=family.n_duplicates,
            started_at=started_at,
        )
        warehouse.publish(places.runs, places.warehouse)
    n_left = len(mine) - len(trials)
    return _summary(record, trials, rejected, n_left, time.monotonic() - clock, found)


def _speed(n_done: int, n_left: int, seconds: float) -> str:
    """Return how fast runs are computed, and how long the others take at that rate."""
    if not n_done:
        return ""
    left = round(n_left * seconds / n_done)
    return f"{n_done / seconds:.1f} a second, {left // 60}:{left % 60:02} left"


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
        TextColumn("{task.fields[speed]}", markup=False),
        TextColumn("{task.fields[failed]} failed", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal or total == 0,
    )


def _line(trial: Trial, k: int, n: int, runs: Path) -> Text:
    start = (trial.started_at or "")[11:19]
    seconds = "" if trial.seconds is None else f"{trial.seconds:.2f} s"
    outcome = Text()
    if trial.status == "failed":
        reason = (trial.error or "").split("\n")[0]
        outcome.append("failed:", "red").append(f" {reason}")
    else:
        outcome.append("is there already, " if trial.status == "existing" else "")
        outcome.append(headline(runs / str(trial.run_id)))
    parts = [f"[{k}/{n}] {trial.experiment_id}", trial.title, start, seconds]
    return Text("".join(f"{part}, " for part in parts if part)).append(outcome)


def headline(folder: Path) -> str:
    """Return a run in a few words."""
    try:
        entry = json.loads((folder / artifacts.CATALOG_ENTRY).read_bytes())
    except artifacts.BROKEN as error:
        fault = f"{artifacts.CATALOG_ENTRY}: {artifacts.fault_of(error)}"
        return f"its folder is broken, {fault}; with --force it is made again"

    def shown(name: str, form: str) -> str:
        return "—" if entry[name] is None else format(entry[name], form)

    return (
        f"net Sharpe {shown('net_sharpe', '.2f')}, CAGR {shown('net_cagr', '+.1%')}, "
        f"drawdown {shown('net_max_drawdown', '.1%')}"
    )


def _summary(
    record: dict[str, Any],
    trials: Sequence[Trial],
    rejected: Sequence[Trial],
    n_left: int,
    seconds: float,
    found: Findings,
) -> Summary:
    counts = sweep.counts([*trials, *rejected])
    n_failed = counts["failed"] + counts["rejected"]
    lines = [
        f"{counts['complete']} computed, {counts['existing']} were there already, "
        f"{counts['failed']} failed, {counts['rejected']} rejected"
        + (f", {n_left} not begun (--fail-fast)" if n_left else "")
        + f"; {seconds:.1f} s."
    ]
    for trial in (*trials, *rejected):
        if trial.status in ("failed", "rejected"):
            reason = " ".join((trial.error or "").split())
            lines.append(f"  {trial.experiment_id}: {reason}")
    lines.append(f"Next: msm sweep show {record['sweep_id']}")
    board = [leaderboard(record), Text()] if record["runs"] else []
    about_lake = report.lake_line(found)
    return Summary(Group(*about_lake, *board, *(Text(line) for line in lines)), n_failed)


def lake_line(runs: Path, record: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield a line on what the lake check found about the lake of a sweep's runs."""
    for row in record["runs"]:
        with suppress(OSError, ValueError, KeyError):  # deleted, or damaged: the next one tells
            entry = json.loads((runs / row["run_id"] / artifacts.CATALOG_ENTRY).read_bytes())
            yield from report.lake_line(lake_record.kept(runs, entry["lake_fingerprint"]))
            return


def listing(records: Sequence[dict[str, Any]], runs: Path) -> RenderableType:
    """Return the table of sweeps, newest first.

    Raises
    ------
    MsmError
        When there are none.
    """
    if not records:
        raise MsmError(
            "there is no sweep yet",
            where=str(runs),
            remedy="run `msm sweep FILE` first, or give its runs folder with --runs DIR",
        )
    table = _table(
        ("sweep", "left"),
        ("started", "left"),
        ("trials", "right"),
        ("runs", "right"),
        ("best run by deflated Sharpe", "left"),
    )
    for record in sorted(records, key=lambda record: str(record["started_at"]), reverse=True):
        table.add_row(
            record["sweep_id"],
            record["started_at"][:16].replace("T", " "),
            str(record["n_trials"]),
            str(record["overall"]["n_runs"]),
            next((row["run_id"] for row in _ranked(record)), "—"),
        )
    return Group(table, Text(), Text("`msm sweep show SWEEP_ID` shows one of them."))


def _ranked(record: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(
        record["runs"],
        key=lambda row: (
            row["deflated_sharpe"] is None,
            -(row["deflated_sharpe"] or 0.0),
            row["run_id"],
        ),
    )


def leaderboard(record: dict[str, Any], limit: int = 15) -> RenderableType:
    """Return a sweep's best runs by deflated Sharpe ratio, and what is known of the family."""
    titles = {trial["run_id"]: trial["title"] for trial in record["trials"]}
    ranked = _ranked(record)
    if not ranked:
        return Text(f"{record['sweep_id']}: {record['n_trials']} trials, no complete run")
    table = _table(
        ("", "right"),
        ("\nrun", "left"),
        ("net\nSharpe", "right"),
        ("\ndeflated", "right"),
        ("\ntied", "left"),
        ("\nStepM", "left"),
        ("\ntitle", "left"),
    )
    for place, row in enumerate(ranked[:limit], start=1):
        table.add_row(
            str(place),
            row["run_id"],
            _figure(row["net_sharpe"], ".2f"),
            _probability(row["deflated_sharpe"]),
            _yes(row["is_tied_with_leader"]),
            _yes(row["is_superior"]),
            titles.get(row["run_id"]) or "",
        )
    overall = record["overall"]
    note = (
        f"{record['n_trials']} trials{_looks(record)}, {overall['n_runs']} complete runs, "
        f"{overall['n_common_days']} common test days. "
        f"Probability of backtest overfitting {_figure(overall['pbo'], '.0%')}; "
        f"SPA p {_probability(overall['spa_p_consistent'])} (that none of them beats staying "
        "out). Deflated: the probability that the true Sharpe ratio is above what the best of so "
        "many tries at nothing would show; 0.95 is the usual bar. Tied: no different from the "
        "leader at 5%." + _own_days(record)
    )
    rest = len(ranked) - limit
    return Group(
        Text(f"{record['sweep_id']}", style="bold"),
        table,
        *([Text(f"and {rest} more")] if rest > 0 else []),
        Text(),
        Text(note),
    )


def _own_days(record: dict[str, Any]) -> str:
    """Say what it means when runs have test days that others lack."""
    n_common = record["overall"]["n_common_days"]
    if n_common < 2:
        return f" No deflated Sharpe ratios: the runs share {_count(n_common, 'test day')}."
    shown = [(row["net_sharpe"], row.get("common_sharpe")) for row in record["runs"]]
    if all(None in pair or math.isclose(*pair, abs_tol=1e-9) for pair in shown):
        return ""
    return (
        " Net Sharpe is over each run's own test days; order, deflated ratios and ties are over "
        f"the {n_common} common ones."
    )


def _looks(record: dict[str, Any]) -> str:
    n_looks = record.get("n_looks", 0)
    if not n_looks:
        return ""
    return f" ({n_looks} of them {'a look' if n_looks == 1 else 'looks'} at the hold-out)"


def _figure(value: float | None, form: str) -> str:
    return "—" if value is None else format(value, form)


def _probability(value: float | None) -> str:
    return "<.001" if value is not None and value < 0.001 else _figure(value, ".3f")


def _yes(value: bool | None) -> str:
    return "—" if value is None else ("yes" if value else "no")
