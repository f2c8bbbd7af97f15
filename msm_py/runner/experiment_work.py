"""Experiments as work: rendered, their looks recorded, computed and published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from msm_py.errors import MsmError
from msm_py.experiment import load, neighbours
from msm_py.experiment.ids import ResolvedRun, resolve
from msm_py.experiment.variants import collect
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import invocation, sweep_statistics
from msm_py.runner.invocation import NodeFinished
from msm_py.runner.sweep_plan import ResolvedSweep
from msm_py.settings import Places, target_root
from msm_py.store import lake_records, looks, run_folder, scratch, warehouse
from msm_py.store.lake_records import Findings
from msm_py.store.origin import code_fingerprint


@dataclass(frozen=True)
class LookRecorded:
    """A look at the hold-out is in the ledger, the ``number``-th of its family."""

    family: str
    number: int
    holdout_start: str


@dataclass(frozen=True)
class LookedBefore:
    """A run looked before; ``when_and_why`` says when and why, and that reason stands."""

    run_id: str
    when_and_why: str
    is_same_reason: bool


@dataclass(frozen=True)
class LedgerDamaged:
    """The ledger of looks cannot be relied on."""

    file: Path
    fault: str


@dataclass(frozen=True)
class IsThere:
    """A run is there already and not computed again."""

    run_id: str


@dataclass(frozen=True)
class WarehouseDisturbed:
    """The warehouse is not as it was left; ``sentence`` says what becomes of it."""

    sentence: str


@dataclass(frozen=True)
class Computing:
    """So many experiments are about to be computed; the title of the first."""

    n_experiments: int
    title: str


RunEvent = (
    LookRecorded
    | LookedBefore
    | LedgerDamaged
    | IsThere
    | WarehouseDisturbed
    | Computing
    | NodeFinished
)


@dataclass(frozen=True)
class RunsEnded:
    """Experiments are done and published.

    Parameters
    ----------
    folders
        The folders of those that are complete, in the order they were given.
    errors
        Why others failed.
    findings
        What the lake check found.
    """

    folders: tuple[Path, ...]
    errors: tuple[str, ...]
    findings: Findings


@dataclass(frozen=True)
class Rendered:
    """Resolved experiments with their run ids on a lake, and its fingerprint."""

    specs: tuple[ResolvedRun, ...]
    lake_fingerprint: str


def render(
    files: Sequence[Path], lake: Path, start: str | None, end: str | None, *, look: bool
) -> Rendered:
    """Return experiments as they would be run on a lake; with ``look`` the hold-out is open."""
    found = load.load_experiments(files, start=start, end=end)
    data, code = fingerprint(open_lake(lake)), code_fingerprint()
    if look:
        found = [looks.opened(x) for x in found]
    return Rendered(tuple(ResolvedRun.of(x, data, code) for x in found), data)


def refuse_panels(specs: Sequence[ResolvedRun]) -> None:
    """See that a robustness panel may be made of every experiment.

    Raises
    ------
    MsmError
        When one looks at its hold-out, or is a placebo.
    """
    looks.refuse(specs, "a robustness panel")
    for spec in specs:
        neighbours.check_no_placebo(spec.experiment)


def refuse_null_markets(specs: Sequence[ResolvedRun]) -> None:
    """See that no experiment is a placebo: its states know the future, in a null market too.

    Raises
    ------
    MsmError
        When one is.
    """
    for spec in specs:
        neighbours.check_no_placebo(spec.experiment, "null markets")


def resolved_yaml(files: Sequence[Path], start: str | None, end: str | None) -> str:
    """Return experiments and variants with every key, a YAML document each.

    Raises
    ------
    MsmError
        All that is wrong with them.
    """
    found = collect(files, start=start, end=end)
    documents = [
        yaml.safe_dump(resolve(x), sort_keys=False, allow_unicode=True) for x in found.variants
    ]
    return "---\n".join(documents).rstrip("\n")


def variables(
    files: Sequence[Path], lake: Path, start: str | None, end: str | None
) -> tuple[str, int]:
    """Return experiments and variants as variables of a ``dbt build``, and how many there are.

    Raises
    ------
    MsmError
        When a variant is no valid experiment.
    """
    resolved = ResolvedSweep.of(files, None, lake, start, end)
    if resolved.rejected:
        raise MsmError(
            f"{len(resolved.rejected)} variants are no valid experiments",
            where=resolved.rejected[0].title,
            received=resolved.rejected[0].error,
            remedy="mend them, or let `msm sweep` run the others and record these as failed",
        )
    return load.variables(resolved.specs) + "\n", len(resolved.specs)


def carry_out(
    rendered: Rendered,
    places: Places,
    tell: Callable[[RunEvent], object],
    *,
    look: str | None = None,
    verbose: bool = False,
) -> RunsEnded:
    """Record looks, compute what is not there yet, and publish.

    Parameters
    ----------
    rendered
        The experiments, from `render`.
    places
        Where to read and write, and whether what is there is computed again.
    tell
        Told what goes on.
    look
        The reason of the looks; None when the hold-out stays closed.
    verbose
        Show dbt's own log on the terminal, in place of its nodes.
    """
    scratch.remove_leftovers(target_root())
    run_folder.check_runs_dir(places.runs)
    warehouse.check_warehouse(places.warehouse)
    findings = lake_records.look_over(places.runs, places.lake, rendered.lake_fingerprint)
    if look is not None:
        _record_looks(rendered.specs, places.runs, look, tell)
    ledger = looks.read(places.runs)
    waiting = [
        spec
        for spec in rendered.specs
        # a look that nobody recorded is never shown: as a run it fails
        if places.force or not (places.runs / spec.run_id).is_dir() or ledger.lacks(spec)
    ]
    failed: dict[str, str] = {}
    for spec in rendered.specs:
        if spec not in waiting:
            folder = places.runs / spec.run_id
            if fault := run_folder.fault_of_run(folder):
                failed[spec.run_id] = str(run_folder.broken(folder, fault))
            else:
                tell(IsThere(spec.run_id))
    if (sentence := warehouse.disturbance(places.warehouse)) is not None:
        tell(WarehouseDisturbed(sentence))
    if waiting:
        tell(Computing(len(waiting), waiting[0].title))
        progress = None if verbose else tell
        outcomes = invocation.build(waiting, places, progress=progress, verbose=verbose)
        failed |= {x.run_id: x.error or "the run failed" for x in outcomes if x.status == "failed"}
    else:
        warehouse.publish(places.runs, places.warehouse)
    return RunsEnded(
        folders=tuple(places.runs / x.run_id for x in rendered.specs if x.run_id not in failed),
        errors=tuple(failed.values()),
        findings=findings,
    )


def _record_looks(
    specs: Sequence[ResolvedRun], runs: Path, reason: str, tell: Callable[[RunEvent], object]
) -> None:
    """Record looks before they are taken; sweeps count them from now on."""
    new = {look.run_id for look in looks.record(runs, specs, reason)}
    ledger = looks.read(runs)
    for spec in specs:
        own = ledger.of_run(spec.run_id)
        if own is None:
            continue
        if own.run_id in new:
            number = len(ledger.of_families([own.family]))
            tell(LookRecorded(own.family, number, own.holdout_start))
        else:
            tell(LookedBefore(own.run_id, own.when_and_why, own.gives(reason)))
    if ledger.fault is not None:
        tell(LedgerDamaged(runs / looks.LEDGER, ledger.fault))
    if new:
        sweep_statistics.count_looks(runs)
