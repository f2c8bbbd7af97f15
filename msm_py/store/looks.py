"""Looks at a locked hold-out: who opened it, when, why, and how often a family of runs has.

``evaluation.holdout_start`` hides all days from that one on. `msm run --look "REASON"` opens them,
and writes a line into a ledger in the runs folder before anything is computed. Lines are only ever
appended. Each one carries the SHA-256 of the line before it, and a file beside the ledger that of
the last one: a line that was changed or taken away is noticed, and said in every report. This keeps
honest people honest; whoever forges both files is not stopped.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.schema import Experiment
from msm_py.store import layout, run_list, scratch

LEDGER: Final = ".looks.jsonl"
HEAD: Final = ".looks.head"
NOTHING_BEFORE: Final = ""
LONGEST_FAMILY: Final = 189  # what a sweep keeps of its experiment_id in those of its variants


@dataclass(frozen=True)
class Look:
    """One entry of the ledger.

    Parameters
    ----------
    looked_at
        When, UTC, ISO with offset.
    run_id, experiment_id
        Which run opened the hold-out.
    family
        See `family_of`.
    holdout_start
        First hidden day, ISO.
    reason
        Why, in the words of whoever looked.
    """

    looked_at: str
    run_id: str
    experiment_id: str
    family: str
    holdout_start: str
    reason: str

    @property
    def when_and_why(self) -> str:
        """Return when and why, for a sentence."""
        return f"{self.looked_at[:10]} (reason: {self.reason})"

    def gives(self, reason: str) -> bool:
        """Return whether this is its reason, however it is spaced."""
        return self.reason == _spaced(reason)


@dataclass(frozen=True)
class Ledger:
    """All looks of a runs folder, oldest first.

    Parameters
    ----------
    looks
        One per run that looked.
    fault
        What is wrong with the file; None when nothing is.
    """

    looks: tuple[Look, ...] = ()
    fault: str | None = None

    def of_run(self, run_id: str) -> Look | None:
        """Return the look of a run, None when it has none."""
        return next((look for look in self.looks if look.run_id == run_id), None)

    def lacks(self, run: ResolvedRun) -> bool:
        """Return whether a run looks without an entry."""
        return run.experiment.evaluation.look and self.of_run(run.run_id) is None

    def of_families(self, families: Iterable[str]) -> list[Look]:
        """Return the looks of families."""
        wanted = set(families)
        return [look for look in self.looks if look.family in wanted]


def family_of(experiment_id: str) -> str:
    """Return the family of an experiment: all variants of one file are one family.

    Examples
    --------
    >>> family_of("msm_v1_grid_a68ee01b99"), family_of("msm_v1_baseline")
    ('msm_v1_grid', 'msm_v1_baseline')
    """
    return re.sub(r"_[0-9a-f]{10}$", "", experiment_id)[:LONGEST_FAMILY]


def family_of_run(run_id: str) -> str:
    """Return the family of a run.

    Examples
    --------
    >>> family_of_run("msm_v1_grid_a68ee01b99-0123456789")
    'msm_v1_grid'
    """
    return family_of(run_id.rpartition("-")[0])


# --- The ledger ----------------------------------------------------------------------------------


def read(runs: Path) -> Ledger:
    """Read the ledger of a runs folder and see whether it is whole; none yet is an empty one."""
    fault = None
    try:
        content = (runs / LEDGER).read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        content, fault = b"", f"it cannot be read ({error.strerror})"
    lines = content.splitlines()
    found: dict[str, Look] = {}
    previous = NOTHING_BEFORE
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            look = Look(**{name: str(entry[name]) for name in Look.__annotations__})
            date.fromisoformat(look.holdout_start)
            datetime.fromisoformat(look.looked_at)
        except (ValueError, KeyError, TypeError):
            fault = fault or f"line {number} cannot be read"
        else:
            found.setdefault(look.run_id, look)
            if entry.get("previous") != previous:
                fault = fault or f"a line before line {number} was changed or taken away"
        previous = _digest(line)
    return Ledger(tuple(found.values()), fault or _fault_of_end(runs, lines))


def record(runs: Path, looking: Sequence[ResolvedRun], reason: str) -> list[Look]:
    """Write looks into the ledger before they are taken, and return those that are new.

    A run that is in the ledger is not written again: seeing it once more tells nothing new.

    Parameters
    ----------
    runs
        The runs folder; it exists.
    looking
        Which runs look; all have a hold-out.
    reason
        Why.

    Raises
    ------
    MsmError
        When there is no reason, or the ledger cannot be written to.
    """
    reason = _spaced(reason)
    try:
        reason.encode()
    except UnicodeEncodeError:  # bytes of the command line that are no UTF-8: no record holds them
        raise MsmError(
            "the reason of a look is no text",
            where="--look",
            received=ascii(reason),
            remedy="write it in UTF-8",
        ) from None
    if not reason:
        raise MsmError(
            "a look at the hold-out needs a reason",
            where="--look",
            received="an empty text",
            remedy='say why it is time, such as --look "last check before paper trading"',
        )
    try:
        with FileLock(runs / f"{LEDGER}.lock"):
            known = read(runs)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            new = [
                Look(
                    looked_at=now,
                    run_id=run.run_id,
                    experiment_id=run.experiment.experiment_id,
                    family=family_of(run.experiment.experiment_id),
                    holdout_start=str(run.experiment.evaluation.holdout_start),
                    reason=reason,
                )
                for run in looking
                if known.of_run(run.run_id) is None
            ]
            for look in new:
                _append(runs, look)
            return new
    except OSError as error:
        raise MsmError(
            "the look cannot be recorded, so it is not taken",
            where=str(runs / LEDGER),
            received=error.strerror or str(error),
            remedy="give a runs folder that you may write to with --runs DIR (or MSM_RUNS)",
        ) from None


def _spaced(reason: str) -> str:
    return " ".join(reason.split())


def _append(runs: Path, look: Look) -> None:
    file = runs / LEDGER
    before = file.read_bytes() if file.exists() else b""
    lines = before.splitlines()
    entry = {**asdict(look), "previous": _digest(lines[-1]) if lines else NOTHING_BEFORE}
    line = json.dumps(entry).encode()
    # a line that a crash left unfinished must not swallow this one
    start = b"\n" if before and not before.endswith(b"\n") else b""
    with scratch.folder(runs) as own:
        (own / HEAD).write_text(f"{len(lines) + 1} {_digest(line)}\n")
        place = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            entered = start + line + b"\n"
            if os.write(place, entered) < len(entered):  # the rest found no room
                os.ftruncate(place, len(before))
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(place)
        finally:
            os.close(place)
        os.replace(own / HEAD, runs / HEAD)


def _fault_of_end(runs: Path, lines: Sequence[bytes]) -> str | None:
    """Say whether lines are missing at the end, or the last one was changed."""
    try:
        count, _, digest = (runs / HEAD).read_text().strip().partition(" ")
        n_lines = int(count)
    except FileNotFoundError:
        n_lines, digest = 0, NOTHING_BEFORE
    except ValueError:
        return f"{HEAD} cannot be read"
    # a process that was killed between the two files leaves one line more
    if not n_lines <= len(lines) <= n_lines + 1:
        return f"it has {len(lines)} lines, {HEAD} says {n_lines}"
    if n_lines and _digest(lines[n_lines - 1]) != digest:
        return "its last line was changed"
    return None


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def looked(runs: Path) -> dict[str, str]:
    """Return the family of every run that looked, by run id: as the ledger or its folder says.

    Taking a line out of the ledger does not undo a look whose run is still there.
    """
    return {look.run_id: look.family for look in read(runs).looks} | _looking_folders(runs)


def alarms(runs: Path, published: Mapping[str, bool] | None = None) -> list[str]:
    """Say what is wrong with the ledger of looks, a sentence each; nothing when it is whole.

    Parameters
    ----------
    runs
        The runs folder.
    published
        Whether runs looked, of those that the catalog has: their folders are not opened.
    """
    return _alarms(runs, read(runs), _looking_folders(runs, published))


def _alarms(runs: Path, ledger: Ledger, looking: Iterable[str]) -> list[str]:
    told = []
    if ledger.fault is not None:
        told.append(
            f"The ledger of looks, {runs / LEDGER}, is damaged: {ledger.fault}. What it says of "
            "looks can no longer be relied on."
        )
    missing = sorted(set(looking) - {look.run_id for look in ledger.looks})
    if missing:
        told.append(
            f"{_some(missing)} looked at the hold-out, but the ledger of looks has no entry of "
            f"{'it' if len(missing) == 1 else 'them'}: entries were taken away, or the runs come "
            "from another runs folder. Sweeps count these looks all the same."
        )
    return told


def _looking_folders(runs: Path, published: Mapping[str, bool] | None = None) -> dict[str, str]:
    """Return the family of every run folder that says of itself that it is a look, by run id."""
    published = published or {}
    found = {run_id: family_of_run(run_id) for run_id, is_look in published.items() if is_look}
    for run_id in run_list.run_names(runs):
        if run_id in published:
            continue
        try:
            content = (runs / run_id / layout.CATALOG_ENTRY).read_bytes()
            # there may be thousands of runs, and few of them look
            if _SAYS_LOOK.search(content):
                entry = json.loads(content)
                if run_list.is_run(runs / run_id):
                    found[run_id] = family_of(str(entry["experiment_id"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a broken folder is reported where runs are published
    return found


_SAYS_LOOK: Final = re.compile(rb'"is_look"\s*:\s*true')


def _some(run_ids: Sequence[str]) -> str:
    """Name a few of many."""
    more = f" and {len(run_ids) - 3} more" if len(run_ids) > 3 else ""
    return ", ".join(run_ids[:3]) + more


# --- What may look -------------------------------------------------------------------------------


def opened(experiment: Experiment) -> Experiment:
    """Return an experiment with its hold-out open.

    Raises
    ------
    MsmError
        When there is nothing to look at.
    """
    start, end = experiment.evaluation.holdout_start, experiment.window.end
    if start is None:
        raise MsmError(
            "there is no hold-out to look at",
            where=f"evaluation.holdout_start of {experiment.experiment_id}",
            received="null",
            remedy="give the day from which on data is hidden, or run it without --look",
        )
    if end is not None and end < start:
        raise MsmError(
            "the window ends before the hold-out begins: there is nothing to look at",
            where=f"window.end of {experiment.experiment_id}",
            received=f"{end}, hold-out from {start}",
            remedy="give a later window.end (or --end), or run it without --look",
        )
    evaluation = experiment.evaluation.model_copy(update={"look": True})
    return experiment.model_copy(update={"evaluation": evaluation})


def refuse(given: Iterable[ResolvedRun], what: str) -> None:
    """See that no experiment looks where many are run at once, such as in "a sweep".

    Raises
    ------
    MsmError
        When one does.
    """
    for run in given:
        if run.experiment.evaluation.look:
            raise MsmError(
                f"{what} never looks at the hold-out",
                where=f"evaluation.look of {run.experiment.experiment_id}",
                received="true",
                remedy="do it with look: false, choose one experiment, and open the hold-out for "
                'that one with `msm run EXPERIMENT --look "REASON"`',
            )


# --- What a reader of a run must know ------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What the looks of a family mean for a run, in words.

    Parameters
    ----------
    holdout
        The run's hold-out: since when, hidden or opened; None when it has none.
    notes
        What else there is to know, a sentence each.
    alarms
        What should not be.
    """

    holdout: str | None
    notes: tuple[str, ...]
    alarms: tuple[str, ...]


def seen(runs: Path, manifest: Mapping[str, Any], last_date: str) -> Seen:
    """Say how far a run's days are untouched.

    Parameters
    ----------
    runs
        The runs folder.
    manifest
        The run's manifest.
    last_date
        The run's last decision day, ISO.
    """
    ledger = read(runs)
    # a mapping, not the model: the run may be of an older version, with other keys
    run_id, spec = manifest["run_id"], manifest["spec"]
    start = spec["evaluation"].get("holdout_start")
    is_look = bool(spec["evaluation"].get("look"))
    family = family_of(spec["experiment_id"])
    own = ledger.of_run(run_id)
    looks = ledger.of_families([family])

    notes = []
    # a look at days from an earlier one on is one at these days as well
    same = [look for look in looks if start is not None and look.holdout_start <= start]
    later = [look for look in looks if look not in same]
    if start is not None and (same or not later):
        notes.append(
            f"The family {family} has {_looked(len(same))} at days from this one on"
            + (f", {_last(same, start)}." if same else ".")
        )
    for other in sorted({look.holdout_start for look in later}):
        some = [look for look in later if look.holdout_start == other]
        notes.append(
            f"The family {family} has {_looked(len(some))} at days from {other} on"
            + ("" if start is None else ", which are among these")
            + f", {_last(some, other)}."
        )
    made = datetime.fromisoformat(manifest["finished_at"])
    earlier = [
        look
        for look in looks
        if look.run_id != run_id
        and look.holdout_start <= last_date
        and datetime.fromisoformat(look.looked_at) < made
    ]
    if earlier:
        first = min(earlier, key=lambda look: look.holdout_start)
        notes.append(
            f"Not untouched: before this run was made, on {first.looked_at[:10]}, its family had "
            f"looked at days from {first.holdout_start} on, and they are in this run's window."
        )
    if start is not None:
        reaching = _reaching(runs, family, start)
        if reaching:
            notes.append(
                f"{len(reaching)} other run{'s' if len(reaching) > 1 else ''} of this family "
                f"reached days from {start} on without a look, with another hold-out or none: "
                f"{', '.join(reaching[:3])}{', ...' if len(reaching) > 3 else ''}."
            )
    holdout = None
    if start is not None:
        state = "hidden"
        if is_look:
            state = "opened" + (
                f" on {own.when_and_why}" if own else ", without an entry in the ledger"
            )
        holdout = f"from {start} on: {state}"
    looking = [*_looking_folders(runs), *([run_id] if is_look else [])]
    return Seen(holdout, tuple(notes), tuple(_alarms(runs, ledger, looking)))


def _reaching(runs: Path, family: str, start: str) -> list[str]:
    """Return the runs of a family that saw days from ``start`` on and are no looks."""
    found = []
    for folder in sorted(runs.glob(f"{family}*")):
        if family_of_run(folder.name) != family or not run_list.is_run(folder):
            continue
        try:
            entry = json.loads((folder / layout.CATALOG_ENTRY).read_bytes())
            if not entry.get("is_look") and str(entry.get("last_date") or "") >= start:
                found.append(folder.name)
        except run_list.BROKEN:  # reported where runs are published
            continue
    return found


def _last(looks: Sequence[Look], start: str) -> str:
    """Say which look was the last one, and from when on if that is not ``start``."""
    last = looks[-1]
    since = "" if last.holdout_start == start else f" at days from {last.holdout_start} on"
    return f"last on {last.when_and_why}{since}"


def _looked(number: int) -> str:
    known = {0: "never looked", 1: "looked once", 2: "looked twice"}
    return known.get(number, f"looked {number} times")
