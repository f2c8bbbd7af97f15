"""What a person reads in the terminal about runs, as rich renderables.

Everything is read from run folders and the warehouse file; nothing is computed anew but differences
and words. Layouts follow the width they are given and fit 80 columns. A colour never stands alone:
the sign, a star or a word says the same. Green and red mean good and bad for the trade, and only
where the evidence is ``normal`` and the 95% confidence interval excludes 0.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.constrain import Constrain

from msm_py._typing import Row
from msm_py.regimes import ALL, BEFORE, HOLDOUT
from msm_py.report.figures import (
    MISSING,
    STARRED,
    count_of,
    edge_digits,
    figure,
    joined,
    p_text,
    points,
    short_state,
    side_colour,
    starred_p,
    states_of,
    trade_edge_text,
)
from msm_py.report.lake_report import lake_findings
from msm_py.report.layout import (
    PROSE_WIDTH,
    Fitted,
    fact_table,
    new_table,
    number_columns,
    prose,
    section,
)
from msm_py.report.metrics import METRICS
from msm_py.report.terminal import Table, Text
from msm_py.report.verdict import sample_verdict, short_horizons, verdict
from msm_py.settings import runs_dir, warehouse_path
from msm_py.stats.inference import BLOCKS_FROM, TESTABLE_SPELLS
from msm_py.store import lake_records, layout, looks
from msm_py.store.edge_rows import SUMMARY_EDGES, two_states
from msm_py.store.families import EDGES, Family
from msm_py.store.run import Run, checks_of
from msm_py.store.warehouse import family_of
from msm_py.text import relative_path

FILES: Final[Mapping[str, str]] = {
    layout.MANIFEST: "experiment, lake, code, versions, times",
    layout.METRICS: "strategy, controls, stability, coverage, warnings",
    layout.WALK_FORWARD: "parameters chosen before each test window",
    layout.REGIME_EVALUATION: "forward returns by state, edges",
    layout.LOOK: "before the hold-out, and in it",
    layout.REGIME_METRICS: "strategy by state",
    layout.REGIME_TIMESERIES: "score and state, day by day",
    layout.RETURNS: "returns, costs, equity, day by day",
    layout.ATTRIBUTION: "what each asset earned and cost",
    layout.STATE_PATHS: "what followed the entry into each state",
    layout.QUALITY: "what checks of the data found",
    layout.BASKET: "short baskets",
    layout.FEATURES: "features and z-scores",
    layout.CATALOG_ENTRY: "the run's row of the catalog",
}


def run_report(folder: Path, *, warehouse: Path | None = None) -> RenderableType:
    """Return all that is told of a run: what it found, how sure one may be, where its files are.

    Parameters
    ----------
    folder
        The run's folder.
    warehouse
        The warehouse file, which knows the run's family; by default the one in use.

    Returns
    -------
    RenderableType
        Title, states, forward returns by state, strategy beside its controls, a verdict in words,
        coverage and warnings, files. Rates are shown in percent, a missing number as a dash.

    Raises
    ------
    MsmError
        The folder is missing or is not a complete run.
    """
    run = Run.read(folder)
    warehouse = warehouse or warehouse_path()
    found = lake_records.kept(folder.parent, run.manifest["lake"]["fingerprint"])
    family = family_of(folder.parent, warehouse, run.run_id)
    return Group(
        *lake_findings(found),
        *tell_doubts(run),
        *_header(run, family),
        *seen_looks(run),
        *_search(run),
        *section("States", Fitted(lambda width: _distribution(run, width))),
        *section("Forward returns by state", *_forward_returns(run)),
        *section(
            "Strategy, on test days",
            _strategy_table(run),
            *why_missing(run),
            Text(),
            prose(STRATEGY_NOTE, "dim"),
        ),
        *look_samples(run),
        *section("Verdict", prose(verdict(run, family))),
        *section("Coverage and warnings", *_coverage(run)),
        *section("Files", *_files(run, warehouse)),
    )


STRATEGY_NOTE: Final = (
    "Ungated is the same long-short, always on; BTC is held outright, at full exposure. PSR allows "
    "for skewness and fat tails, not for the number of runs tried: see the verdict."
)


def tell_doubts(run: Run) -> Iterator[RenderableType]:
    """Yield what stands above the result."""
    doubts = doubts_of(run)
    for doubt in doubts:
        yield prose(f"!! {doubt}", "bold red")
    if doubts:
        yield Text()


def _bad_prices(suspect: Row) -> str:
    """Return how much of Y and of the gross result comes from returns that may be bad prices."""
    parts = [
        f"{figure(suspect[f'y_share_of_{kind}'], 0, '%')} of Y and "
        f"{figure(suspect.get(f'gross_share_of_{kind}'), 0, '%')} of gross P&L come from {words}"
        for kind, words in (
            ("spikes", "days beyond +200% and -70%"),
            ("risers", "members that came in after a day above 100%"),
        )
        if suspect.get(f"y_share_of_{kind}") is not None
    ]
    return "; ".join(parts) or "not known"


def doubts_of(run: Run) -> Sequence[str]:
    """Return what stands above the result; nothing in a run of an older version."""
    doubts: Sequence[str] = run.metrics.get("doubts", ())
    return doubts


def _header(run: Run, family: Family | None) -> Iterator[RenderableType]:
    window, stability = run.metrics["window"], run.metrics["stability"]
    backtest = run.spec["backtest"]
    tests = f"{window['n_test_days']} of them test days"
    if backtest["walk_forward"]:
        tests += f" (after a lookback of {backtest['lookback_window_days']})"
    yield from placebo_note(run)
    yield Text(run.metrics["title"], style="bold")
    yield Text(run.run_id, style="cyan", overflow="fold")
    yield Text()
    yield fact_table(
        ("window", f"{window['first_date']} to {window['last_date']}"),
        ("days", f"{count_of(window['n_days'], 'decision day')}, {tests}"),
        (
            "states",
            f"{figure(stability['switches_per_year'], 1)} switches a year, average stay "
            f"{figure(stability['avg_regime_duration_days'], 1)} days",
        ),
        ("family", _family(run, family)),
        ("made", _origin(run)),
    )


def placebo_note(run: Run) -> Iterator[RenderableType]:
    """Say of a placebo that it is one."""
    rotation = run.spec["state_mapping"].get("placebo_rotation_days", 0)
    if rotation:
        yield prose(
            f"PLACEBO: its states are rotated by {count_of(rotation, 'day')} in time. It knows the "
            "future and is no result; it is there for comparison only.",
            "bold white on red",
        )


def _family(run: Run, family: Family | None) -> str:
    if run.spec["state_mapping"].get("placebo_rotation_days", 0):
        return "none, it is no trial"
    if family is None:
        return "unknown: the warehouse was not made of this runs folder with this version"
    if family.n_family == 1:
        return "the only question tried on these days"
    smallest = min(family.p_family.values(), default=None)
    return (
        f"one of {family.n_family} questions tried on these days: deflated Sharpe ratio "
        f"{figure(family.deflated_sharpe, 2)}, smallest adjusted p {p_text(smallest)}"
    )


def seen_looks(run: Run) -> Iterator[RenderableType]:
    """Yield what the ledger of looks says of a run with a hold-out."""
    seen = looks.seen(run.folder.parent, run.manifest, run.metrics["window"]["last_date"])
    if seen.holdout is None and not seen.notes and not seen.alarms:
        return
    yield from section("Hold-out")
    if seen.holdout is not None:
        yield prose(f"Hold-out {seen.holdout}.", "bold")
    for alarm in seen.alarms:
        yield prose(f"!! {alarm}", "bold red")
    for note in seen.notes:
        yield prose(note)


def _search(run: Run) -> Iterator[RenderableType]:
    """Say what a walk-forward search chose before each test window, and how that went."""
    file = run.folder / layout.WALK_FORWARD
    if not file.exists():
        return
    search = json.loads(file.read_bytes())
    table = new_table(roomy=True)
    number_columns(table, "#", "test days", "candidate", "in sample", "net Sharpe")
    for row in search["windows"]:
        table.add_row(
            str(row["window_number"]),
            f"{row['first_date']} to {row['last_date']}" + ("" if row["is_test_window"] else " *"),
            MISSING if row["candidate"] is None else str(row["candidate"]),
            figure(row["objective_value"], 3 if search["objective"] == "majors_edge" else 2),
            figure(row["test_net_sharpe"], 2),
        )
    goal = search["objective"]
    if search["horizon_days"] is not None:
        goal += f" at {count_of(search['horizon_days'], 'day')}"
    yield from section(
        f"Walk-forward search: {search['n_candidates']} candidates, {goal}",
        table,
        Text(),
        fact_table(*_candidates(run, search["windows"])),
        Text(),
        prose(
            "In sample: the best candidate's objective on the lookback, flattered by having been "
            "the best of many. Net Sharpe: what the strategy then made in the window, out of "
            "sample. All numbers below are of test days only, except those on states. "
            "*: too short to count.",
            "dim",
        ),
    )


def _candidates(run: Run, windows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Yield every candidate that was chosen, with those of its parameters that were searched."""
    searched = run.spec["backtest"]["grid_search"]
    chosen = {row["candidate"]: row["parameters"] for row in windows if row["candidate"]}
    for candidate in sorted(chosen):
        shown = []
        for path, value in chosen[candidate].items():
            name = path.removesuffix(".weight").rpartition(".")[2]
            if name in searched["thresholds"] or (path.endswith(".weight") and searched["weights"]):
                shown.append(f"{name} {value:.2f}")
        yield f"candidate {candidate}", ", ".join(shown)


def _origin(run: Run) -> str:
    manifest = run.manifest
    lake = manifest["lake"]
    made = datetime.fromisoformat(manifest["finished_at"])
    return (
        f"{made:%Y-%m-%d %H:%M} UTC from lake {lake['name']} ({lake['fingerprint'][:8]}), "
        f"code {manifest['code_fingerprint'][:8]}, seed {manifest['seed']}"
    )


def _distribution(run: Run, width: int) -> RenderableType:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    number_columns(table, "", "", "")
    size = max(10, min(40, width - 50))
    for row in run.distribution:
        eighths = round(row["pct"] / 100 * size * 8)
        full, rest = divmod(eighths, 8)
        bar = "█" * full + " ▏▎▍▌▋▊▉"[rest].strip()
        table.add_row(
            Text(row["regime"]),
            Text(bar.ljust(size), style=side_colour(row["regime"])),
            figure(row["pct"] / 100, 1, "%"),
            count_of(row["n_days"], "day"),
            count_of(row["n_spells"], "spell"),
        )
    return table


Y_AND_EDGE: Final = (
    "Y is the return of the alts minus that of {benchmark} from the decision day on. ",
    ("Negative Y and edge are good for the trade", "bold"),
    " (long majors, short alts); trade edge = -edge, ",
    ("plus is good", "bold"),
    ". An edge is the state's mean Y minus the mean of all days; the hit rate is the share of days "
    "with Y above 0. The CI is the edge's. In percent.",
)


def _forward_returns(run: Run) -> Iterator[RenderableType]:
    if not run.edges:
        yield prose("Not evaluated (backtest.with_regime_eval: false).", "dim")
        return
    against = run.spec["target"].get("benchmark", "btc")  # a run of an older version has none
    benchmark = {"btc": "BTC", "long_leg": "the long leg"}[against]
    first, more = Y_AND_EDGE[0], Y_AND_EDGE[1:]
    yield Constrain(Text.assemble(first.format(benchmark=benchmark), *more), PROSE_WIDTH)
    yield Text()
    yield Fitted(lambda width: _edge_table(run, width))
    yield Text()
    yield prose(_edge_note(run), "dim")


def _edge_table(run: Run, width: int) -> RenderableType:
    named, all_tests = width >= 100, width >= 116
    table = new_table()
    table.add_column("state", no_wrap=True)
    number_columns(table, *(("n", "spells") if named else ("n/\nspells",)))
    interval = ("95%\nlow", "CI\nhigh")
    hit = "hit\nrate" if named else "\nhit"
    number_columns(table, "mean\nY", hit, "\nedge", *interval, "trade\nedge")
    table.add_column("p_edge" if named else "p\nedge", no_wrap=True)
    tests = ("p_shift", "p_max_t", "p_ewc") if all_tests else ("p_shift",)
    number_columns(table, *(test if named else test.replace("_", "\n") for test in tests))
    table.add_column("evidence", no_wrap=True)
    for horizon in run.horizons:
        edges = [row for row in run.edges if row["horizon_days"] == horizon]
        states = {row["regime"]: row for row in run.statistics if row["horizon_days"] == horizon}
        digits = edge_digits(edges, states.values())
        table.add_section()
        table.add_row(Text(count_of(horizon, "day"), style="bold"))
        for edge in edges:
            state = states.get(edge["edge"])
            if state is not None and not state["n"]:
                continue
            n, spells = "" if state is None else str(state["n"]), str(edge["n_spells"])
            table.add_row(
                Text(edge["edge"] if named else short_state(edge["edge"])),
                *((n, spells) if named else (f"{n}/{spells}",)),
                *_all_figures(edge, state, digits),
                trade_edge_text(edge, digits),
                starred_p(edge),
                # a run of an older version has other tests
                *(p_text(edge.get(test)) for test in tests),
                edge["evidence"],
            )
    return table


def _all_figures(edge: Row, state: Row | None, digits: int) -> Iterator[str]:
    """Yield mean Y and hit rate of a state, none of a spread, and the edge with its interval."""
    yield "" if state is None else points(state["mean"], digits)
    yield "" if state is None else points(state["hit_rate"], 0)
    for key in ("estimate", "ci_low", "ci_high"):
        yield points(edge[key], digits)


def _edge_note(run: Run) -> str:
    bootstrap = run.spec["evaluation"]["bootstrap"]
    absent = [row["regime"] for row in run.distribution if not row["n_days"]]
    best, worst = (states_of(run.edges_named(name)) for name in SUMMARY_EDGES[:2])
    notes = [
        f"edge_best is the most MAJORS state with at least {TESTABLE_SPELLS} spells{best}, "
        f"edge_worst the most ALTS one{worst}, spread = best - worst."
    ]
    if bootstrap["enabled"]:
        blocks = {row["horizon_days"]: row["block_days"] for row in run.edges}
        notes.append(
            f"Inference: {bootstrap['method']} {bootstrap['kind']} block bootstrap, "
            f"{bootstrap['n_boot']} replicates, blocks of {joined(blocks.values())} days "
            "(p_value), and a circular-shift test (p_shift); p_edge is the larger of the two. "
            f"{STARRED}."
        )
    if two_states(run.edges):
        notes.append(
            "With two states both edges and the spread are one hypothesis, whose p is the spread's."
        )
    notes.append(
        "Evidence by spells: below 3 none, 3 to 4 shift only (no p_edge, no CI), 5 to 9 low, from "
        f"10 on normal; below {BLOCKS_FROM[0]} blocks of days none, below {BLOCKS_FROM[1]} at most "
        "low."
    )
    notes += short_horizons(run)
    if absent:
        notes.append(f"Never seen: {', '.join(absent)}.")
    return " ".join(notes)


def _strategy_table(run: Run) -> RenderableType:
    table = new_table(roomy=True)
    table.add_column("", no_wrap=True)
    number_columns(table, "strategy\nnet", "\ngross", "ungated\nnet", "\ngross", "BTC\n")
    series = [run.series(name) for name in ("net", "gross", "ungated_net", "ungated_gross", "btc")]
    is_gross = (False, True, False, True, False)
    for metric in METRICS:
        table.add_row(
            metric.label,
            *(
                # BTC is not traded and gross is before costs: nothing is missing there
                ""
                if (metric.of_net and gross) or (values and metric.key not in values)
                else metric.show(values.get(metric.key))
                for values, gross in zip(series, is_gross, strict=True)
            ),
        )
    return table


def look_samples(run: Run) -> Iterator[RenderableType]:
    """Show what a look saw: the days before the hold-out and those of it, each alone."""
    samples = run.samples()
    if HOLDOUT not in samples:
        return
    table = new_table(roomy=True)
    table.add_column("", no_wrap=True)
    named = {**samples, ALL: run}
    number_columns(table, *named)
    for metric in METRICS:
        table.add_row(
            metric.label, *(metric.show(x.series("net").get(metric.key)) for x in named.values())
        )
    edges = new_table(roomy=True)
    edges.add_column("trade\nedge", no_wrap=True)
    for name in named:
        number_columns(edges, f"\n{name}")
        edges.add_column("p\nevidence", no_wrap=True)
    for horizon in run.horizons:
        edges.add_section()
        edges.add_row(Text(count_of(horizon, "day"), style="bold"))
        for edge in EDGES:
            cells: list[str | Text] = []
            for x in named.values():
                of = [row for row in x.edges_named(edge) if row["horizon_days"] == horizon]
                cells += (
                    [trade_edge_text(of[0]), starred_p(of[0]).append(f"\n{of[0]['evidence']}")]
                    if of
                    else [MISSING] * 2
                )
            edges.add_row(edge, *cells)
    yield from section(
        "Before the hold-out, and in it",
        prose(
            "Each alone: a decision counts where its forward return has ended too. All is what "
            "everything above and the verdict below is of.",
            "dim",
        ),
        Text(),
        table,
        Text(),
        *((edges, Text()) if run.edges else ()),
        *(
            prose(f"{words}: {sample_verdict(samples[name])}")
            for name, words in ((BEFORE, "Before the hold-out"), (HOLDOUT, "In the hold-out"))
            if name in samples
        ),
    )


def why_missing(run: Run) -> Iterator[RenderableType]:
    """Say why annualised figures are missing, of the strategy and its controls."""
    for name, whose in (("net", "strategy"), ("ungated_net", "ungated"), ("btc", "BTC")):
        if reason := run.series(name).get("ratios_missing_because"):
            yield prose(f"{whose}: annualised figures are missing, {reason}.", "yellow")


def _coverage(run: Run) -> Iterator[RenderableType]:
    coverage = run.metrics["coverage"]

    def share(name: str) -> str:
        return figure(coverage.get(name), 1, "%")

    impact = f"estimated for {share('impact_coverage')} of the turnover"
    if run.spec["backtest"]["capital_usd"] is None:
        impact = "not charged"
    if coverage.get("capacity_usd") is not None:
        impact += f"; capacity {coverage['capacity_usd']:,.0f} USD (95% of trades up to 10% of ADV)"
    yield fact_table(
        (
            "features",
            f"{share('feature_coverage')} of the weight, lowest day "
            f"{share('min_feature_coverage')}, {count_of(coverage['n_uncovered_days'], 'day')} "
            "without any",
        ),
        (
            "funding",
            f"rates for {share('funding_coverage')} of the gross weight held; open interest for "
            f"{share('alts_oi_coverage')} of alts and {share('majors_oi_coverage')} of majors, "
            f"{count_of(coverage['n_fallback_days'], 'fallback day')}",
        ),
        (
            "baskets",
            f"{count_of(coverage['n_rebalances'], 'rebalance')}, smallest of "
            f"{count_of(coverage['min_basket_size'], 'asset')}, "
            f"{count_of(coverage['n_forced_exits'], 'forced exit')}",
        ),
        ("bad prices", _bad_prices(run.metrics.get("suspect_gains", {}))),
        ("impact", impact),
    )
    warnings = [x for x in run.metrics["warnings"] if x not in doubts_of(run)]
    yield Text(f"{count_of(len(warnings), 'warning')}{':' if warnings else '.'}")
    for warning in warnings:
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row(Text("!", style="yellow"), prose(warning))
        yield line
    for check in checks_of(run.folder):
        if check["severity"] == "info" and check["text"]:
            yield prose(f"Also: {check['text']}", "dim")


def _files(run: Run, warehouse: Path) -> Iterator[RenderableType]:
    yield Text(f"{relative_path(run.folder)}{os.sep}", overflow="fold")
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, what in FILES.items():
        if (run.folder / name).exists():
            table.add_row(Text(f"  {name}"), Text(what, style="dim"))
    yield table
    yield Text()
    here = run.folder.parent
    runs = "" if here.resolve() == runs_dir().resolve() else f" --runs {shlex.quote(str(here))}"
    yield fact_table(
        ("all runs", f"{relative_path(warehouse)}, or `msm list`"),
        ("this one again", f"msm show {run.run_id}{runs}"),
        ("beside another", f"msm diff {run.run_id} OTHER_RUN{runs}"),
        ("BI, notebooks", f"docs/bi.md says how to open {warehouse.name} (read-only)"),
    )
