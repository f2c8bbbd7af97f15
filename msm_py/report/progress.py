"""What commands show while they work: the events of `msm_py.runner`, in words."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner
from rich.status import Status

from msm_py.report.figures import count_of
from msm_py.report.sweep_report import trial_line
from msm_py.report.terminal import Text
from msm_py.runner.experiment_work import (
    Computing,
    IsThere,
    LedgerDamaged,
    LookedBefore,
    LookRecorded,
    RunEvent,
    WarehouseDisturbed,
)
from msm_py.runner.invocation import NodeFinished
from msm_py.runner.null_markets import (
    MarketEnded,
    MarketEvent,
    MarketsBegun,
    MarketsEnded,
    MarketsStopped,
)
from msm_py.runner.robustness_panel import PanelBegun, PanelEnded
from msm_py.runner.sweep_work import SweepBegun, SweepEvent, SweepStopped, TrialEnded

# what a folder of models does, in the words of someone who waits for it
STEPS: Final = {
    "inputs": "reading the experiments and the lake",
    "staging": "cleaning the lake",
    "market": "building the market panel",
    "features": "computing features and z-scores",
    "scores": "scoring",
    "legs": "choosing baskets, holding legs",
    "states": "running the state machine",
    "portfolio": "trading, charging costs",
    "evaluation": "testing the edges",
    "artifacts": "writing run folders",
    "catalog": "publishing catalog and warehouse",
}
NAMED_BY: Final = {"evaluation": "edges", "artifacts": "run_artifacts"}
"""The model that a folder's step begins with; others of it are built along the way."""


class _Display:
    """What moves on a terminal while something works, gone when that ends, however it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._moving: Live | Progress | Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _start(self, moving: Live | Progress | Status) -> None:
        if self._console.is_terminal:
            self._moving = moving
            moving.start()

    def _stop(self) -> None:
        if self._moving is not None:
            self._moving.stop()
            self._moving = None

    def _say(self, text: RenderableType) -> None:
        self._console.print(text, soft_wrap=True)


class _Steps:
    """The steps of invocations as lines, for outputs that are no terminals: each once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def line(self, node: NodeFinished) -> str | None:
        """Return the line of a step that begins; None of one that goes on."""
        if node.n_done == 1:  # of the next invocation
            self._seen.clear()
        is_early = node.name != NAMED_BY.get(node.folder, node.name)
        if node.folder not in STEPS or node.folder in self._seen or is_early:
            return None
        self._seen.add(node.folder)
        return f"  {node.seconds:5.1f} s  {STEPS[node.folder]}"


def _step_text(node: NodeFinished) -> str:
    """Return what an invocation does, how far it is, and how long the rest takes at its pace."""
    step = STEPS.get(node.folder, "checking")
    text = f"{step}, {node.n_done} of {node.n_nodes} done, {node.seconds:.0f} s"
    if 2 * node.n_done > node.n_nodes:  # before, the pace says little
        left = node.seconds * (node.n_nodes - node.n_done) / node.n_done
        text += f", about {left:.0f} s left"
    return text


class RunDisplay(_Display):
    """Shows the steps of ``msm run``: a line each, on a terminal one that changes.

    Parameters
    ----------
    console
        Where to show them.
    alarm
        Shows what is wrong: a label, and what it is.
    verbose
        Leave the steps to dbt's own log.
    """

    def __init__(
        self, console: Console, alarm: Callable[[str, str], object], *, verbose: bool = False
    ) -> None:
        super().__init__(console)
        self._alarm = alarm
        self._verbose = verbose
        self._spinner = Spinner("line")
        self._what = ""
        self._steps = _Steps()

    def tell(self, event: RunEvent) -> None:
        """Show an event."""
        match event:
            case LookRecorded(family, number, start):
                self._say(
                    f"Look {number} of the family {family} is recorded: hold-out from {start} on."
                )
            case LookedBefore(run_id, when_and_why, is_same_reason):
                rest = "" if is_same_reason else " That reason stands, the new one is not recorded."
                self._say(f"{run_id} was looked at before, on {when_and_why}: no new look.{rest}")
            case LedgerDamaged(file, fault):
                self._alarm(
                    f"The ledger of looks, {file}, is damaged:",
                    f"{fault}. What it says of earlier looks cannot be relied on.",
                )
            case IsThere(run_id):
                self._say(
                    f"{run_id} is there already: same question, data and code. "
                    "(--force computes it again.)"
                )
            case WarehouseDisturbed(sentence):
                self._alarm("!!", sentence)
            case Computing(n_experiments, title):
                self._begin(title if n_experiments == 1 else f"{n_experiments} experiments")
            case NodeFinished():
                self._step(event)

    def _begin(self, what: str) -> None:
        if self._verbose:
            return
        self._what = what
        if not self._console.is_terminal:
            self._say(f"Running {what}")
        self._spinner.update(text=Text(f"{what}: starting dbt"))
        self._start(
            Live(self._spinner, console=self._console, transient=True, refresh_per_second=10)
        )

    def _step(self, node: NodeFinished) -> None:
        if self._console.is_terminal:
            self._spinner.update(text=Text(f"{self._what}: {_step_text(node)}"))
        elif (line := self._steps.line(node)) is not None:
            self._say(line)


class PanelDisplay(_Display):
    """Shows that robustness panels are computed, step by step."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._status = Status(Text("computing"), console=console, spinner="line")
        self._steps = _Steps()

    def tell(self, event: PanelBegun | PanelEnded | NodeFinished) -> None:
        """Show an event."""
        match event:
            case PanelBegun(run_id, n_neighbours, n_placebos, n_waiting):
                self._say(
                    f"Robustness of {run_id}: {n_neighbours} neighbours and {n_placebos} placebos, "
                    f"{n_waiting or 'none'} to compute"
                )
                if n_waiting:
                    self._start(self._status)
            case NodeFinished():
                if self._console.is_terminal:
                    self._status.update(Text(_step_text(event)))
                elif (line := self._steps.line(event)) is not None:
                    self._say(line)
            case PanelEnded():
                self._stop()


class _BarDisplay(_Display):
    """Shows on a terminal how much of something is done."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bar = Progress(
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            TextColumn("{task.fields[failed]} failed", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )

    def _begin_bar(self, n_waiting: int) -> None:
        if n_waiting:
            self._bar.add_task("", total=n_waiting, failed=0, speed="")
            self._start(self._bar)

    def _advance(self, n_done: int, n_failed: int, n_waiting: int, seconds: float) -> None:
        speed = _speed(n_done, n_waiting - n_done, seconds)
        for task in self._bar.task_ids:
            self._bar.update(task, completed=n_done, failed=n_failed, speed=speed)


class NullMarketDisplay(_BarDisplay):
    """Shows how many null markets are to compute and, on a terminal, a bar."""

    def tell(self, event: MarketEvent) -> None:
        """Show an event."""
        match event:
            case MarketsBegun(run_id, n_markets, n_waiting, seconds):
                cost = f", about {seconds:,.0f} seconds" if n_waiting else ""
                self._say(
                    f"Null markets of {run_id}: {n_markets}, {n_waiting or 'none'} to compute{cost}"
                )
                self._begin_bar(n_waiting)
            case MarketEnded(n_done, n_failed, n_waiting, seconds):
                self._advance(n_done, n_failed, n_waiting, seconds)
            case MarketsStopped(n_done, n_waiting):
                self._stop()
                self._say(
                    f"{n_done} of {count_of(n_waiting, 'null market')} are kept. "
                    "The same command goes on."
                )
            case MarketsEnded():
                self._stop()
                for task in self._bar.task_ids:
                    self._bar.remove_task(task)


class SweepDisplay(_BarDisplay):
    """Shows a line for every variant of a sweep, and on a terminal a bar below them."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._begun: SweepBegun | None = None
        self._steps = _Steps()

    def tell(self, event: SweepEvent) -> None:
        """Show an event."""
        match event:
            case SweepBegun():
                self._begin(event)
            case TrialEnded():
                self._end(event)
            case NodeFinished():
                self._step(event)
            case SweepStopped(counts, n_left, force):
                self._stop()
                self._say(
                    f"{counts['complete']} computed, {counts['existing']} were there already, "
                    f"{counts['failed']} failed, {n_left} not done. "
                    + (
                        "The same command begins again, without --force it goes on."
                        if force
                        else "The same command goes on."
                    )
                )

    def _begin(self, begun: SweepBegun) -> None:
        self._begun = begun
        index, count = begun.shard
        rejected = begun.rejected
        self._say(
            f"Sweep {begun.sweep_id}: {count_of(begun.n_variants, 'variant')}"
            + (f" (shard {index}/{count})" if count > 1 else "")
            + (f", {len(rejected)} rejected by validation" if rejected else "")
        )
        for trial in rejected:
            text = f" {trial.title}: {trial.error or ''}"
            self._say(Text.assemble(("rejected", "red"), text))
        self._begin_bar(begun.n_waiting)

    def _step(self, node: NodeFinished) -> None:
        """Show what the batch at hand is doing."""
        if not self._console.is_terminal:
            if (line := self._steps.line(node)) is not None:
                self._say(line)
            return
        for task in self._bar.task_ids:
            self._bar.update(task, description=_step_text(node))

    def _end(self, ended: TrialEnded) -> None:
        assert self._begun is not None
        begun = self._begun
        self._say(trial_line(ended.trial, ended.place, begun.n_variants, begun.runs))
        n_done = ended.counts["complete"] + ended.counts["failed"]
        self._advance(n_done, ended.counts["failed"], begun.n_waiting, ended.seconds)
        if ended.place == begun.n_variants:  # what comes now is recorded and published
            self._stop()


def _speed(n_done: int, n_left: int, seconds: float) -> str:
    """Return how fast runs are computed, and how long the others take at that rate."""
    if not n_done:
        return ""
    left = round(n_left * seconds / n_done)
    return f"{n_done / seconds:.1f} a second, {left // 60}:{left % 60:02} left"
