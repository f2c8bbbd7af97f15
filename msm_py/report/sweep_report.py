"""What ``msm sweep`` shows while it works and at its end."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from rich.console import Group, RenderableType

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.report import lake_report
from msm_py.report.figures import MISSING, SIGNIFICANCE, count_of, figure, p_text
from msm_py.report.layout import prose
from msm_py.report.line_list import LineColumn, line_list
from msm_py.report.runs_table import short_ids
from msm_py.report.terminal import Text, visible
from msm_py.report.varying import spec_of, varying
from msm_py.runner.sweep_plan import Plan
from msm_py.runner.sweep_work import SweepEnded
from msm_py.stats.inference import too_few_for
from msm_py.store import lake_records, layout, run_list
from msm_py.store.run import checks_of
from msm_py.store.trial import Trial

BAR: Final = 0.95  # of a deflated Sharpe ratio
LEADERS: Final = 15
DRY_RUN_LINES: Final = 100
MOST_QUALITY_LINES: Final = 4


def plan_table(plan: Plan, limit: int | None = DRY_RUN_LINES) -> RenderableType:
    """Return the variants, a line each, and what the sweep would cost.

    Parameters
    ----------
    plan
        What a sweep consists of.
    limit
        How many variants are shown at most, the first ones and the last; None: all.
    """
    variants = list(plan.variants)
    n_hidden = 0 if limit is None else max(len(variants) - limit, 0)
    if limit is not None and n_hidden:
        variants = [*variants[: limit // 2], *variants[len(variants) - limit + limit // 2 :]]
    there = [
        "is there"
        if run.run_id not in plan.waiting
        else "to compute again"
        if run.run_id in plan.there
        else "to compute"
        for run in variants
    ]
    parts: list[RenderableType] = []
    if variants:
        table = line_list(
            [
                LineColumn("id", short_ids([x.run_id for x in variants]), "left", is_needed=True),
                *varying([x.as_variable() for x in variants], [x.title for x in variants]),
                LineColumn("status", there, "left"),
            ]
        )
        parts += [table, Text()]
    for trial in plan.rejected[: limit or None]:
        reason = f"{trial.title}: {' '.join((trial.error or '').split())}"
        parts.append(Text.assemble(("rejected ", "red"), reason))
    note = (
        f"{count_of(len(plan.variants), 'variant')}, {len(plan.waiting)} to compute in "
        f"{count_of(plan.n_batches, 'invocation')}; {len(plan.rejected)} rejected, "
        f"{count_of(plan.n_duplicates, 'duplicate')} dropped. "
    )
    if n_hidden:
        note += f"{n_hidden} variants in the middle are not shown (--all shows them). "
    if plan.waiting:
        note += (
            f"Very roughly {plan.cpu_seconds:.0f} CPU seconds, {plan.seconds:.0f} s with "
            f"{count_of(plan.jobs, 'job')} on an idle machine; long windows, many replicates and "
            "many baskets take longer."
        )
    return Group(*parts, prose(note))


def command_lines(commands: Sequence[Sequence[str]]) -> str:
    """Return commands as a shell reads them, a line each.

    Raises
    ------
    MsmError
        When a word cannot stand in a line as it is.
    """
    for word in (word for words in commands for word in words):
        if "\n" in word or visible(word) != word:
            raise MsmError(
                "a command is one line in which everything is seen, and this would not be",
                where="--print-commands",
                received=word,
                remedy="give the file or folder another name",
            )
    return "\n".join(map(shlex.join, commands))


def trial_line(trial: Trial, k: int, n: int, runs: Path) -> Text:
    """Return what became of a variant, the ``k``-th of ``n``, in a line."""
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
        entry = json.loads((folder / layout.CATALOG_ENTRY).read_bytes())
    except run_list.BROKEN as error:
        fault = f"{layout.CATALOG_ENTRY}: {run_list.fault_of(error)}"
        return f"its folder is broken, {fault}; with --force it is computed again"

    def shown(name: str, form: str) -> str:
        return "—" if entry[name] is None else format(entry[name], form)

    reason = entry.get("ratios_missing_because")  # a run of an older version has none
    return (
        f"net Sharpe {shown('net_sharpe', '.2f')}, CAGR {shown('net_cagr', '+.1%')}, "
        f"drawdown {shown('net_max_drawdown', '.1%')}" + (f" ({reason})" if reason else "")
    )


def quality_lines(folders: Sequence[Path]) -> Iterator[RenderableType]:
    """Yield what checks of the data warn of in several runs, a line each, the most frequent first.

    Runs that cannot be read are passed over: others tell of them.
    """
    found: Counter[str] = Counter()
    for folder in folders:
        with suppress(MsmError, *run_list.BROKEN):
            checks = checks_of(folder)
            found.update(x["brief"] for x in checks if x["severity"] != "info" and x["brief"])
    for brief, n_runs in found.most_common(MOST_QUALITY_LINES):
        of = "" if len(folders) == 1 else f" ({n_runs} of {len(folders)} runs)"
        yield Text.assemble(("! ", "yellow"), f"{brief}{of}")
    if len(found) > MOST_QUALITY_LINES:
        more = count_of(len(found) - MOST_QUALITY_LINES, "other finding")
        yield Text(f"  and {more}: the table run_quality has all of them.")


def summary(ended: SweepEnded, runs: Path) -> RenderableType:
    """Return the end of a sweep: its leaderboard, how many variants came to what, failures."""
    counts, record = ended.counts, ended.record
    lines = [
        f"{counts['complete']} computed, {counts['existing']} were there already, "
        f"{counts['failed']} failed, {counts['rejected']} rejected"
        + (f", {ended.n_left} not begun (--fail-fast)" if ended.n_left else "")
        + f"; {ended.seconds:.1f} s."
    ]
    for trial in (*ended.trials, *ended.rejected):
        if trial.status in ("failed", "rejected"):
            reason = " ".join((trial.error or "").split())
            lines.append(f"  {trial.experiment_id}: {reason}")
    lines.append(f"Next: msm sweep show {record['sweep_id']}")
    lines.append(f"Page: msm report --sweep {record['sweep_id']} --open")
    board = [leaderboard(record, runs), Text()] if record["runs"] else []
    about_lake = lake_report.lake_line(ended.findings)
    folders = [runs / row["run_id"] for row in record["runs"]]
    told = (*quality_lines(folders), *(Text(line) for line in lines))
    return Group(*about_lake, *board, *told)


def lake_line(runs: Path, record: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield a line on what the lake check found about the lake of a sweep's runs."""
    for row in record["runs"]:
        with suppress(OSError, ValueError, KeyError):  # deleted, or damaged: the next one tells
            entry = json.loads((runs / row["run_id"] / layout.CATALOG_ENTRY).read_bytes())
            yield from lake_report.lake_line(lake_records.kept(runs, entry["lake_fingerprint"]))
            return


def listing(records: Sequence[Mapping[str, Any]], runs: Path) -> RenderableType:
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
    newest = sorted(records, key=lambda record: str(record["started_at"]), reverse=True)
    best = [next((row["run_id"] for row in _ranked(record)), MISSING) for record in newest]
    table = line_list(
        [
            LineColumn("sweep", [x["sweep_id"] for x in newest], "left", least=16, is_needed=True),
            LineColumn("trials", [str(x["n_trials"]) for x in newest], is_needed=True),
            LineColumn("runs", [str(x["overall"]["n_runs"]) for x in newest], is_needed=True),
            LineColumn("started", [x["started_at"][:16].replace("T", " ") for x in newest], "left"),
            LineColumn("best by deflated Sharpe", best, "left", least=16),
        ]
    )
    return Group(table, Text(), Text("`msm sweep show SWEEP_ID` shows one of them."))


def _ranked(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return sorted(
        record["runs"],
        key=lambda row: (
            row["deflated_sharpe"] is None,
            -(row["deflated_sharpe"] or 0.0),
            row["run_id"],
        ),
    )


def leaderboard(
    record: Mapping[str, Any], runs: Path, limit: int | None = LEADERS
) -> RenderableType:
    """Return a sweep's best runs by deflated Sharpe ratio, and what is known of the sweep.

    Parameters
    ----------
    record
        The sweep's record.
    runs
        The runs folder, to tell what differs between the runs.
    limit
        How many lines at most; None: all.
    """
    ranked = _ranked(record)
    if not ranked:
        return Text(f"{record['sweep_id']}: {record['n_trials']} trials, no complete run")
    distinct = _folded(ranked)
    shown = distinct if limit is None else distinct[:limit]
    rows = [row for row, _ in shown]
    titles = {trial["run_id"]: trial["title"] for trial in record["trials"]}
    table = line_list(
        [
            LineColumn("", [str(place) for place in range(1, len(rows) + 1)], is_needed=True),
            LineColumn("id", short_ids([x["run_id"] for x in rows]), "left", is_needed=True),
            LineColumn("Sharpe", [figure(x["net_sharpe"], 2) for x in rows], is_needed=True),
            LineColumn("deflated", [p_text(x["deflated_sharpe"]) for x in rows], is_needed=True),
            *varying(
                [spec_of(runs / x["run_id"]) for x in rows],
                [titles.get(x["run_id"]) or "" for x in rows],
            ),
            LineColumn("alike", [f"+{n - 1}" if n > 1 else "" for _, n in shown]),
            LineColumn("tied", [_yes(x["is_tied_with_leader"]) for x in rows], "left"),
            LineColumn("StepM", [_yes(x["is_superior"]) for x in rows], "left"),
        ]
    )
    overall = record["overall"]
    note = (
        f"{record['n_trials']} trials{_looks(record)}, {overall['n_runs']} complete runs, "
        f"{overall['n_common_days']} common test days. "
        f"Probability of backtest overfitting {figure(overall['pbo'], 0, '%')}; "
        f"SPA p {p_text(overall['spa_p_consistent'])} (that none of them beats staying "
        "out). Deflated: the probability that the true Sharpe ratio is above what the best of so "
        "many tries at nothing would show; 0.95 is the usual bar. Alike: further runs with the "
        "same net returns. Tied: no different from the leader at 5%." + _own_days(record)
    )
    rest = len(distinct) - len(shown)
    return Group(
        Text(f"{record['sweep_id']}", style="bold"),
        table,
        *([Text(f"and {rest} more (--top N, --all)")] if rest > 0 else []),
        Text(),
        prose(note),
        Text(),
        prose(conclusion(record), "bold"),
    )


def ranked_rows(record: Mapping[str, Any]) -> list[Row]:
    """Return every run of a sweep, best first, with its place and title."""
    trials = {trial["run_id"]: trial for trial in record["trials"]}
    return [
        {
            "place": place,
            **{
                name: trials.get(row["run_id"], {}).get(name) for name in ("experiment_id", "title")
            },
            **row,
        }
        for place, row in enumerate(_ranked(record), start=1)
    ]


def _folded(ranked: Sequence[Row]) -> list[tuple[Row, int]]:
    """Return the first of all runs with the same net returns, in order, and how many they are."""
    alike: dict[str, list[Row]] = {}
    for row in ranked:
        alike.setdefault(row.get("same_returns_as", row["run_id"]), []).append(row)
    return [(rows[0], len(rows)) for rows in alike.values()]


def conclusion(record: Mapping[str, Any]) -> str:
    """Return what a sweep comes to, in two sentences: its best run, and its edges."""
    return f"{_on_the_best(record)} {_on_edges(record)}"


def _on_the_best(record: Mapping[str, Any]) -> str:
    overall, best = record["overall"], _ranked(record)[0]
    tried = count_of(record["n_trials"], "trial")
    if overall.get("n_distinct") is not None:
        tried += (
            f" ({overall['n_distinct']} distinct, worth about "
            f"{overall['n_effective_trials']:.1f} independent ones)"
        )
    deflated, effective = best["deflated_sharpe"], best.get("deflated_sharpe_effective")
    if deflated is None:
        return f"None of {tried} has a deflated Sharpe ratio: none is shown to be more than luck."
    ratio = f"its deflated Sharpe ratio is {deflated:.2f} counting every trial"
    if effective is not None:
        ratio += f" and {effective:.2f} counting what they are worth"
    if deflated >= BAR and best.get("is_superior") is False:
        return (
            f"The best of {tried}, {best['run_id']}, is in doubt: {ratio} ({BAR} is the bar), but "
            "StepM does not find it better than staying out."
        )
    if deflated >= BAR:
        return f"The best of {tried}, {best['run_id']}, stands: {ratio} ({BAR} is the bar)."
    return (
        f"None of {tried} can be told from luck: the best is {best['run_id']}, and {ratio} "
        f"({BAR} is the bar)."
    )


def _on_edges(record: Mapping[str, Any]) -> str:
    edges, smallest = record["edges"], record["overall"].get("smallest_p")
    if not edges:
        return "No edge could be tested."
    by_rate, by_any = (
        sum(edge[key] <= SIGNIFICANCE for edge in edges)
        for key in ("p_benjamini_hochberg", "p_holm")
    )
    said = (
        f"Of {count_of(len(edges), 'tested edge')} {by_rate or 'none'} "
        f"{'stands' if by_rate == 1 else 'stand'} at 5% adjusted for all of them by Benjamini and "
        f"Hochberg, {by_any or 'none'} by Holm"
    )
    if smallest is not None and too_few_for(len(edges), smallest):
        said += (
            f", and alone none could: {len(edges):,} tests times {smallest:.4g}, the smallest p "
            "that n_boot and windows of this length allow, is above 5%"
        )
    return f"{said}."


def _own_days(record: Mapping[str, Any]) -> str:
    """Say what it means when runs have test days that others lack."""
    n_common = record["overall"]["n_common_days"]
    if n_common < 2:
        return f" No deflated Sharpe ratios: the runs share {count_of(n_common, 'test day')}."
    shown = [(row["net_sharpe"], row.get("common_sharpe")) for row in record["runs"]]
    if all(None in pair or math.isclose(*pair, abs_tol=1e-9) for pair in shown):
        return ""
    return (
        " Net Sharpe is over each run's own test days; order, deflated ratios and ties are over "
        f"the {n_common} common ones."
    )


def _looks(record: Mapping[str, Any]) -> str:
    n_looks = record.get("n_looks", 0)
    if not n_looks:
        return ""
    return f" ({n_looks} of them {'a look' if n_looks == 1 else 'looks'} at the hold-out)"


def _yes(value: bool | None) -> str:
    return MISSING if value is None else ("yes" if value else "no")
