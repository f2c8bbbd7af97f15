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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.rule import Rule

from msm_py import artifacts, lake_record, looks
from msm_py.errors import MsmError
from msm_py.lake_record import Findings
from msm_py.terminal import Table, Text
from msm_py.warehouse import flat_params, warehouse_path

Row = Mapping[str, Any]

MISSING: Final = "—"
SIGNIFICANCE: Final = 0.05
PROSE_WIDTH: Final = 100
STANDARD_HORIZON: Final = 5  # days; what a list shows of a run is the horizon nearest to it
DIFFERENT_DAYS_SHOWN: Final = 5
SUMMARY_EDGES: Final = ("edge_best", "edge_worst", "spread")
NAMES: Final = ("experiment_id", "title", "description")

FILES: Final[Mapping[str, str]] = {
    artifacts.MANIFEST: "experiment, lake, code, versions, times",
    artifacts.METRICS: "strategy, controls, stability, coverage, warnings",
    artifacts.WALK_FORWARD: "parameters chosen before each test window",
    artifacts.REGIME_EVALUATION: "forward returns by state, edges",
    artifacts.REGIME_METRICS: "strategy by state",
    artifacts.REGIME_TIMESERIES: "score and state, day by day",
    artifacts.RETURNS: "returns, costs, equity, day by day",
    artifacts.BASKET: "short baskets",
    artifacts.FEATURES: "features and z-scores",
    artifacts.CATALOG_ENTRY: "the run's row of the catalog",
}


@dataclass(frozen=True)
class Metric:
    """How a strategy metric is shown.

    Parameters
    ----------
    label, key
        What it is called here and in metrics.json.
    digits
        Decimals shown.
    unit
        ``%`` (the value is a decimal fraction), ``d`` for days, else empty.
    of_net
        Whether it belongs to the net series alone.
    """

    label: str
    key: str
    digits: int = 1
    unit: str = "%"
    of_net: bool = False

    def show(self, value: float | None) -> str:
        """Return the value with its unit."""
        return figure(value, self.digits, self.unit)

    def difference(self, a: float | None, b: float | None) -> str:
        """Return b minus a; between percentages in percentage points."""
        if a is None or b is None:
            return MISSING
        text = figure(b - a, self.digits, self.unit, sign=True)
        return text.replace("%", " pp")


METRICS: Final = (
    Metric("total return", "total_return"),
    Metric("CAGR", "cagr"),
    Metric("volatility", "volatility"),
    Metric("Sharpe", "sharpe", 2, ""),
    Metric("Sortino", "sortino", 2, ""),
    Metric("max drawdown", "max_drawdown"),
    Metric("  its length", "max_drawdown_days", 0, "d"),
    Metric("Calmar", "calmar", 2, ""),
    Metric("hit rate", "hit_rate"),
    Metric("PSR, P(Sharpe > 0)", "probabilistic_sharpe"),
    Metric("turnover a day", "avg_turnover"),
    Metric("costs a year", "cost_drag", 2, of_net=True),
    Metric("funding paid a year", "funding_drag", 2, of_net=True),
    Metric("gross exposure", "avg_gross_exposure"),
    Metric("invested days", "n_invested_days", 0, "d"),
)
STABILITY: Final = (
    Metric("decision days", "n_days", 0, "d"),
    Metric("switches a year", "switches_per_year", 1, ""),
    Metric("average stay", "avg_regime_duration_days", 1, "d"),
)


def figure(value: float | None, digits: int, unit: str = "", *, sign: bool = False) -> str:
    """Return a number as people write it: a dash when missing, never a minus before nothing.

    Parameters
    ----------
    value
        The number; a decimal fraction when the unit is ``%``.
    digits
        Decimals shown.
    unit
        What follows the number: ``%``, ``d`` (days) or nothing.
    sign
        Whether a plus is written.

    Examples
    --------
    >>> figure(-0.01234, 1, "%"), figure(-0.00001, 1, "%"), figure(0.5, 2, sign=True)
    ('-1.2%', '0.0%', '+0.50')
    >>> figure(None, 2)
    '—'
    """
    if value is None:
        return MISSING
    shown = round(value * 100 if unit == "%" else value, digits)
    if shown == 0:
        return f"{0:.{digits}f}{unit}"
    return f"{shown:{'+' if sign else ''},.{digits}f}{unit}"


def p_text(p: float | None) -> str:
    """Return a p-value with three decimals.

    Examples
    --------
    >>> p_text(0.0421), p_text(0.00001), p_text(None)
    ('0.042', '<.001', '—')
    """
    if p is None:
        return MISSING
    return "<.001" if p < 0.0005 else f"{p:.3f}"


def run_report(folder: Path, *, warehouse: Path | None = None) -> RenderableType:
    """Return the headline of a run: what it found, how sure one may be, where its files are.

    Parameters
    ----------
    folder
        The run's folder.
    warehouse
        The warehouse file to name; by default the one in use.

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
    found = lake_record.kept(folder.parent, run.manifest["lake"]["fingerprint"])
    return Group(
        *lake_findings(found),
        *_header(run),
        *_holdout(run),
        *_search(run),
        *_section("States", _Fitted(lambda width: _distribution(run, width))),
        *_section("Forward returns by state", *_forward_returns(run)),
        *_section(
            "Strategy, on test days", _strategy_table(run), Text(), _prose(STRATEGY_NOTE, "dim")
        ),
        *_section("Verdict", _prose(verdict(run))),
        *_section("Coverage and warnings", *_coverage(run)),
        *_section("Files", *_files(run, warehouse or warehouse_path())),
    )


STRATEGY_NOTE: Final = (
    "Ungated is the same long-short, always on; BTC is held outright, at full exposure. PSR allows "
    "for skewness and fat tails, not for the number of runs tried."
)


def runs_table(warehouse: Path, *, limit: int | None = None) -> RenderableType:
    """Return the runs of a warehouse, newest first.

    Parameters
    ----------
    warehouse
        The warehouse file; it is only read.
    limit
        How many runs to show at most; all by default.

    Raises
    ------
    MsmError
        There is no warehouse at this path, or it cannot be read.
    """
    rows = _leaderboard(warehouse)
    if not rows:
        return Text(f"No runs yet in {_relative(warehouse)}. {FIRST_RUN}")
    shown = rows if limit is None else rows[:limit]
    counted = _count(len(rows), "run")
    if len(shown) < len(rows):
        counted = f"the newest {len(shown)} of {counted}"
    return Group(
        _Fitted(lambda width: _list_table(shown, width)),
        Text(),
        _prose(
            f"{counted} in {_relative(warehouse)}. Net of costs, on test days. Spread: the trade "
            f"edge between the most MAJORS and the most ALTS state over the horizon in brackets; "
            f"plus is good for the trade. {STARRED}.",
            "dim",
        ),
    )


FIRST_RUN: Final = "Make one with `make run`, or with `msm run EXPERIMENT --lake DIR`."
STARRED: Final = (
    "* says that the 95% CI excludes 0; where the evidence is normal as well, green is good for "
    "the trade and red is bad"
)


def comparison(a: Path, b: Path) -> RenderableType:
    """Return two runs side by side: question, data and code, results, and days they differ on.

    Parameters
    ----------
    a, b
        The folders of two runs. Differences are b minus a.

    Raises
    ------
    MsmError
        A folder is missing or is not a complete run.
    """
    left, right = Run.read(a), Run.read(b)
    return Group(
        *_named("A", left),
        *_named("B", right),
        *_section("Experiment", *_spec_differences(left, right)),
        *_section("Data and code", *_fingerprints(left, right)),
        *_section("Results, net, on test days", *_metric_differences(left, right)),
        *_section("Trade edges", *_edge_differences(left, right)),
        *_section("States", *_state_differences(left, right)),
    )


@dataclass(frozen=True)
class Run:
    """What the files of a run folder say.

    Parameters
    ----------
    folder
        Where they are.
    manifest, metrics
        The files of these names.
    statistics, edges
        The two lists of regime_evaluation.json; empty when the run was not evaluated.
    """

    folder: Path
    manifest: Row
    metrics: Row
    statistics: Sequence[Row]
    edges: Sequence[Row]

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read a run folder."""
        if not folder.is_dir():
            raise MsmError(
                "there is no such run",
                where=_relative(folder.parent),
                received=folder.name,
                remedy="`msm list` shows the runs there are",
            )
        try:
            manifest, metrics, evaluation = (
                json.loads((folder / name).read_bytes())
                for name in (artifacts.MANIFEST, artifacts.METRICS, artifacts.REGIME_EVALUATION)
            )
            return cls(
                folder, manifest, metrics, evaluation["regime_statistics"], evaluation["edges"]
            )
        except (OSError, ValueError, KeyError) as error:
            raise MsmError(
                "a run folder is broken",
                where=_relative(folder),
                received=f"{type(error).__name__}: {error}",
                remedy=artifacts.MEND_RUN,
            ) from None

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.metrics["run_id"])

    @property
    def spec(self) -> Row:
        """The resolved experiment."""
        spec: Row = self.manifest["spec"]
        return spec

    @property
    def distribution(self) -> Sequence[Row]:
        """Days and stays of every state, from most ALTS to most MAJORS."""
        rows: Sequence[Row] = self.metrics["stability"]["regime_distribution"]
        return rows

    @property
    def present(self) -> list[str]:
        """The states that occur, from most ALTS to most MAJORS."""
        return [row["regime"] for row in self.distribution if row["n_days"]]

    @property
    def horizons(self) -> list[int]:
        """The horizons evaluated, in days."""
        return sorted({row["horizon_days"] for row in self.edges})

    def series(self, name: str) -> Row:
        """Return the metrics of a series; empty when the run has none of that name."""
        found: Row | None = {**self.metrics["headline"], **self.metrics["controls"]}.get(name)
        return found or {}

    def edges_named(self, name: str) -> list[Row]:
        """Return an edge at every horizon."""
        return sorted(
            (row for row in self.edges if row["edge"] == name),
            key=lambda row: int(row["horizon_days"]),
        )

    def states(self) -> dict[Any, str]:
        """Return the state of every day."""
        file = self.folder / artifacts.REGIME_TIMESERIES
        try:
            table = pq.read_table(file, columns=["date", "regime"])
        except (OSError, pa.ArrowException) as error:
            raise MsmError(
                "a run folder is broken",
                where=_relative(file),
                received=f"{type(error).__name__}: {error}",
                remedy=artifacts.MEND_RUN,
            ) from None
        return dict(zip(*table.to_pydict().values(), strict=True))


def excludes_zero(edge: Row) -> bool:
    """Return whether the test speaks against an edge of 0: by its interval and by its p-value.

    The two are duals for the studentised bootstrap; for the percentile one they may disagree.
    """
    if edge["p_value"] is None or edge["ci_low"] is None:
        return False
    outside = edge["ci_low"] > 0 or edge["ci_high"] < 0
    return bool(outside and edge["p_value"] <= SIGNIFICANCE)


# ------------------------------------------------------------------------------ the run's report


class _Fitted:
    """A renderable that is made for the width it is given."""

    def __init__(self, make: Callable[[int], RenderableType]) -> None:
        self._make = make

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._make(options.max_width)


def _section(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    yield Text()
    yield Rule(Text(title, style="bold"), align="left", style="dim")
    yield from parts


def _prose(text: str, style: str = "") -> Constrain:
    return Constrain(Text(text, style=style), PROSE_WIDTH)


def _table(*, roomy: bool = False) -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if roomy else 0),
        header_style="dim",
    )


def _numbers(table: Table, *headers: str) -> None:
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True, vertical="top")


def _header(run: Run) -> Iterator[RenderableType]:
    window, stability = run.metrics["window"], run.metrics["stability"]
    backtest = run.spec["backtest"]
    tests = f"{window['n_test_days']} of them test days"
    if backtest["walk_forward"]:
        tests += f" (after a lookback of {backtest['lookback_window_days']})"
    rotation = run.spec["state_mapping"].get("placebo_rotation_days", 0)
    if rotation:
        yield _prose(
            f"PLACEBO: its states are rotated by {_count(rotation, 'day')} in time. It knows the "
            "future and is no result; it is there for comparison only.",
            "bold white on red",
        )
    yield Text(run.metrics["title"], style="bold")
    yield Text(run.run_id, style="cyan", overflow="fold")
    yield Text()
    yield _facts(
        ("window", f"{window['first_date']} to {window['last_date']}"),
        ("days", f"{_count(window['n_days'], 'decision day')}, {tests}"),
        (
            "states",
            f"{figure(stability['switches_per_year'], 1)} switches a year, average stay "
            f"{figure(stability['avg_regime_duration_days'], 1)} days",
        ),
        ("made", _origin(run)),
    )


def lake_findings(found: Findings) -> Iterator[RenderableType]:
    """Yield what the lake check fails, with its remedies, and how much it warns of."""
    if found.failures:
        yield _prose(
            f"The check of the lake fails ({_count(len(found.failures), 'item')}): mend the lake "
            "before you believe a number.",
            "bold white on red",
        )
        for item in found.failures:
            text = Text.assemble((f"!! {item.table}, {item.check}: ", "bold red"), item.detail)
            if item.remedy:
                text.append(f"\n-> {item.remedy}", style="italic")
            yield Constrain(text, PROSE_WIDTH)
    if found.n_warnings:
        yield _prose(
            f"The check of the lake warns ({_count(found.n_warnings, 'item')}): "
            f"{_check_command(found)}",
            "dim",
        )
    if found.failures or found.n_warnings:
        yield Text()


def lake_line(found: Findings) -> Iterator[RenderableType]:
    """Yield a line on what the lake check found, for what is told of many runs."""
    if found.failures:
        failing = ", ".join(f"{item.table} {item.check}" for item in found.failures)
        yield Text(
            f"!! The check of the lake fails ({failing}): {_check_command(found)}", style="bold red"
        )
    elif found.n_warnings:
        yield Text(
            f"The check of the lake warns ({_count(found.n_warnings, 'item')}): "
            f"{_check_command(found)}",
            style="dim",
        )


def _check_command(found: Findings) -> str:
    return f"msm lake check {shlex.quote(found.path)}"


def _holdout(run: Run) -> Iterator[RenderableType]:
    seen = looks.seen(run.folder.parent, run.manifest, run.metrics["window"]["last_date"])
    if seen.holdout is None and not seen.notes and not seen.alarms:
        return
    yield from _section("Hold-out")
    if seen.holdout is not None:
        yield _prose(f"Hold-out {seen.holdout}.", "bold")
    for alarm in seen.alarms:
        yield _prose(f"!! {alarm}", "bold red")
    for note in seen.notes:
        yield _prose(note)


def _search(run: Run) -> Iterator[RenderableType]:
    """Say what a walk-forward search chose before each test window, and how that went."""
    file = run.folder / artifacts.WALK_FORWARD
    if not file.exists():
        return
    search = json.loads(file.read_bytes())
    table = _table(roomy=True)
    _numbers(table, "#", "test days", "candidate", "in sample", "net Sharpe")
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
        goal += f" at {_count(search['horizon_days'], 'day')}"
    yield from _section(
        f"Walk-forward search: {search['n_candidates']} candidates, {goal}",
        table,
        Text(),
        _facts(*_candidates(run, search["windows"])),
        Text(),
        _prose(
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


def _facts(*facts: tuple[str, str]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in facts:
        table.add_row(Text(name), Text(fact))
    return table


def _distribution(run: Run, width: int) -> RenderableType:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    _numbers(table, "", "", "")
    size = max(10, min(40, width - 50))
    for row in run.distribution:
        eighths = round(row["pct"] / 100 * size * 8)
        full, rest = divmod(eighths, 8)
        bar = "█" * full + " ▏▎▍▌▋▊▉"[rest].strip()
        table.add_row(
            Text(row["regime"]),
            Text(bar.ljust(size), style=_side_colour(row["regime"])),
            figure(row["pct"] / 100, 1, "%"),
            _count(row["n_days"], "day"),
            _count(row["n_spells"], "spell"),
        )
    return table


def _side(regime: str) -> str:
    return regime.rsplit("_", 1)[-1]


def _side_colour(regime: str) -> str:
    return {"ALTS": "magenta", "MAJORS": "cyan"}.get(_side(regime), "bright_black")


def _short(regime: str) -> str:
    """Return a state's name for narrow columns: ``weak majors`` for WEAK_RISK_ON_MAJORS."""
    if regime in SUMMARY_EDGES:
        return regime
    return regime.replace("RISK_ON_", "").replace("_", " ").lower()


def _forward_returns(run: Run) -> Iterator[RenderableType]:
    if not run.edges:
        yield _prose("Not evaluated (backtest.with_regime_eval: false).", "dim")
        return
    yield Constrain(
        Text.assemble(
            "Y is the return of the alts minus BTC's from the decision day on. ",
            ("Negative Y and edge are good for the trade", "bold"),
            " (long majors, short alts); trade edge = -edge, ",
            ("plus is good", "bold"),
            ". An edge is the state's mean Y minus the mean of all days. In percent.",
        ),
        PROSE_WIDTH,
    )
    yield Text()
    yield _Fitted(lambda width: _edge_table(run, width))
    yield Text()
    yield _prose(_edge_note(run), "dim")


def _edge_table(run: Run, width: int) -> RenderableType:
    named, all_tests = width >= 100, width >= 116
    table = _table()
    table.add_column("state", no_wrap=True)
    _numbers(table, *(("n", "spells") if named else ("n/\nspells",)))
    _numbers(
        table,
        "mean\nY",
        "hit\nrate" if named else "\nhit",
        "\nedge",
        "95%\nlow",
        "CI\nhigh",
        "trade\nedge",
    )
    table.add_column("p", no_wrap=True)
    _numbers(table, "p_shift" if named else "p\nshift")
    _numbers(table, *(("p_max_t", "p_nw") if all_tests else ()))
    table.add_column("evidence", no_wrap=True)
    for horizon in run.horizons:
        edges = [row for row in run.edges if row["horizon_days"] == horizon]
        states = {row["regime"]: row for row in run.statistics if row["horizon_days"] == horizon}
        digits = _digits(edges, states.values())
        table.add_section()
        table.add_row(Text(_count(horizon, "day"), style="bold"))
        for edge in edges:
            state = states.get(edge["edge"])
            if state is not None and not state["n"]:
                continue
            n, spells = "" if state is None else str(state["n"]), str(edge["n_spells"])
            table.add_row(
                Text(edge["edge"] if named else _short(edge["edge"])),
                *((n, spells) if named else (f"{n}/{spells}",)),
                *("", "")
                if state is None
                else (
                    _points(state["mean"], digits),
                    _points(state["hit_rate"], 0),
                ),
                *(_points(edge[key], digits) for key in ("estimate", "ci_low", "ci_high")),
                _trade_edge(edge, digits),
                _p(edge),
                p_text(edge["p_shift"]),
                *(p_text(edge[key]) for key in ("p_max_t", "p_nw") if all_tests),
                edge["evidence"],
            )
    return table


def _digits(edges: Iterable[Row], states: Iterable[Row] = ()) -> int:
    """Return the decimals of a horizon's percentages: fewer when one of them is long."""
    found = [edge[key] for edge in edges for key in ("estimate", "ci_low", "ci_high")]
    found += [state["mean"] for state in states]
    return 2 if all(abs(value) < 0.1 for value in found if value is not None) else 1


def _points(value: float | None, digits: int) -> str:
    """Return a fraction in percent for a column whose head says so."""
    return figure(None if value is None else value * 100, digits)


def _trade_edge(edge: Row, digits: int = 2, unit: str = "") -> Text:
    """Return what the trade gains, in percent."""
    shown = figure(edge["trade_edge"], digits, "%", sign=True)
    return Text(shown if unit else shown.rstrip("%"), style=_edge_style(edge))


def _p(edge: Row) -> Text:
    """Return the p-value, with a star when the interval excludes 0."""
    return Text(p_text(edge["p_value"]) + "*" * excludes_zero(edge), style=_edge_style(edge))


def _edge_style(edge: Row) -> str:
    if not excludes_zero(edge) or edge["evidence"] != "normal":
        return ""
    return "green" if edge["trade_edge"] > 0 else "red"


def _edge_note(run: Run) -> str:
    bootstrap = run.spec["evaluation"]["bootstrap"]
    absent = [row["regime"] for row in run.distribution if not row["n_days"]]
    notes = [
        f"edge_best is the most MAJORS state present ({run.present[-1]}), edge_worst the most ALTS "
        f"one ({run.present[0]}), spread = best - worst."
    ]
    if bootstrap["enabled"]:
        blocks = {row["horizon_days"]: row["block_days"] for row in run.edges}
        notes.append(
            f"Inference: {bootstrap['method']} {bootstrap['kind']} block bootstrap, "
            f"{bootstrap['n_boot']} replicates, blocks of {_joined(blocks.values())} days, beside "
            f"a circular-shift test (p_shift). {STARRED}."
        )
    notes.append(
        "Evidence by spells: below 3 none, 3 to 4 shift only (no p, no CI), 5 to 9 low, from 10 on "
        "normal."
    )
    if absent:
        notes.append(f"Never seen: {', '.join(absent)}.")
    return " ".join(notes)


def _strategy_table(run: Run) -> RenderableType:
    table = _table(roomy=True)
    table.add_column("", no_wrap=True)
    _numbers(table, "strategy\nnet", "\ngross", "ungated\nnet", "\ngross", "BTC\n")
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


def _coverage(run: Run) -> Iterator[RenderableType]:
    coverage = run.metrics["coverage"]

    def share(name: str) -> str:
        return figure(coverage.get(name), 1, "%")

    impact = f"estimated for {share('impact_coverage')} of the turnover"
    yield _facts(
        (
            "features",
            f"{share('feature_coverage')} of the weight, lowest day "
            f"{share('min_feature_coverage')}, {_count(coverage['n_uncovered_days'], 'day')} "
            "without any",
        ),
        (
            "funding",
            f"rates for {share('funding_coverage')} of the gross weight held; open interest for "
            f"{share('alts_oi_coverage')} of alts and {share('majors_oi_coverage')} of majors, "
            f"{_count(coverage['n_fallback_days'], 'fallback day')}",
        ),
        (
            "baskets",
            f"{_count(coverage['n_rebalances'], 'rebalance')}, smallest of "
            f"{_count(coverage['min_basket_size'], 'asset')}, "
            f"{_count(coverage['n_forced_exits'], 'forced exit')}",
        ),
        ("impact", "not charged" if run.spec["backtest"]["capital_usd"] is None else impact),
    )
    warnings = run.metrics["warnings"]
    yield Text(f"{_count(len(warnings), 'warning')}{':' if warnings else '.'}")
    for warning in warnings:
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row(Text("!", style="yellow"), _prose(warning))
        yield line


def _files(run: Run, warehouse: Path) -> Iterator[RenderableType]:
    yield Text(f"{_relative(run.folder)}{os.sep}", overflow="fold")
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, what in FILES.items():
        if (run.folder / name).exists():
            table.add_row(Text(f"  {name}"), Text(what, style="dim"))
    yield table
    yield Text()
    yield _facts(
        ("all runs", f"{_relative(warehouse)}, or `msm list`"),
        ("this one again", f"msm show {run.run_id}"),
        ("beside another", f"msm compare {run.run_id} OTHER_RUN"),
        ("BI, notebooks", f"docs/bi.md says how to open {warehouse.name} (read-only)"),
    )


# ------------------------------------------------------------------------------------ the verdict


def verdict(run: Run) -> str:
    """Return what the numbers of a run say, and do not say, in a paragraph.

    Trade edges and their intervals are signed for the trade here: plus is good.
    """
    return " ".join([*_edge_verdict(run), *_strategy_verdict(run)])


def _edge_verdict(run: Run) -> Iterator[str]:
    if not run.edges:
        yield "The states were not held against forward returns: nothing is known of an edge."
        return
    if len(run.present) < 2:
        yield (
            f"The score never left {run.present[0]}: with one state there is nothing to compare, "
            "so no edge."
        )
        return
    if not run.spec["evaluation"]["bootstrap"]["enabled"]:
        yield "The bootstrap was off: edges are estimates, and chance is not ruled out for any."
        return
    spread, best = run.edges_named("spread"), run.edges_named("edge_best")
    found = [edge for edge in (*spread, *best) if excludes_zero(edge)]
    tested = [edge for edge in (*spread, *best) if edge["p_value"] is not None]
    yield _finding(found, tested)
    yield _test_sentence(f"The spread ({run.present[-1]} against {run.present[0]})", spread)
    yield _test_sentence(f"The best state ({run.present[-1]})", best)
    yield from _looks(run)
    if run.spec["evaluation"]["bootstrap"]["method"] == "percentile":
        yield (
            "The percentile bootstrap excludes 0 too easily when horizons are long: trust the "
            "studentized one."
        )


def _finding(found: Sequence[Row], tested: Sequence[Row]) -> str:
    if not tested:
        return "No edge could be tested: too few spells."
    if not found:
        return "No edge is shown, which is not to say that there is none."
    signs = {edge["trade_edge"] > 0 for edge in found}
    if len(signs) == 2:
        direction = "edges of both signs"
    else:
        direction = "an edge " + ("in favour of" if signs == {True} else "against") + " the trade"
    doubts = [_doubts(edge, len(tested)) for edge in found]
    if not all(doubts):
        return f"The states show {direction}."
    fewest = min(doubts, key=len)
    return f"The states hint at {direction}, not more: it is in doubt for {_joined(fewest)}."


def _doubts(edge: Row, n_tested: int) -> list[str]:
    """Return what speaks against believing an edge whose interval excludes 0."""
    allowed = n_tested * edge["p_value"]  # Bonferroni: strict, as the tests are related
    return [
        reason
        for reason, holds in (
            (f"few spells ({edge['n_spells']})", edge["evidence"] != "normal"),
            (
                f"the shift test (p_shift {p_text(edge['p_shift'])})",
                edge["p_shift"] is None or edge["p_shift"] > SIGNIFICANCE,
            ),
            (
                f"being one of {n_tested} tests of spread and best state "
                f"(p {p_text(edge['p_value'])} x {n_tested} = {figure(min(allowed, 1), 2)})",
                allowed > SIGNIFICANCE,
            ),
        )
        if holds
    ]


def _test_sentence(subject: str, edges: Sequence[Row]) -> str:
    tested = [edge for edge in edges if edge["p_value"] is not None]
    if not tested:
        most = max(edges, key=lambda edge: int(edge["n_spells"]))
        return (
            f"{subject} cannot be tested ({_count(most['n_spells'], 'spell')}, evidence "
            f"{most['evidence']})."
        )
    found = [edge for edge in tested if excludes_zero(edge)]
    if found:
        each = "; ".join(f"{_at(edge)} {_interval(edge)}" for edge in found)
        rest = len(tested) - len(found)
        tail = f", but includes it at the other {_count(rest, 'horizon')}" if rest else ""
        return f"{subject} has a trade edge whose 95% CI excludes 0: {each}{tail}."
    least = min(tested, key=lambda edge: float(edge["p_value"]))
    every = "every horizon" if len(tested) == len(edges) else "every horizon that can be tested"
    return (
        f"{subject} has a trade edge whose 95% CI includes 0 at {every}; the smallest p is "
        f"{_at(least)}: {_interval(least)}."
    )


def _at(edge: Row) -> str:
    return f"at {_count(edge['horizon_days'], 'day')}"


def _interval(edge: Row) -> str:
    digits = _digits([edge])
    return (
        f"{figure(edge['trade_edge'], digits, '%', sign=True)} "
        f"(CI {figure(-edge['ci_high'], digits, '%', sign=True)} to "
        f"{figure(-edge['ci_low'], digits, '%', sign=True)}, p {p_text(edge['p_value'])}, "
        f"p_shift {p_text(edge['p_shift'])}, evidence {edge['evidence']})"
    )


def _looks(run: Run) -> Iterator[str]:
    # edge_best and edge_worst are states seen before: they are no looks of their own
    looks = [
        edge
        for edge in run.edges
        if edge["edge"] not in SUMMARY_EDGES[:2] and edge["p_value"] is not None
    ]
    if looks:
        found = sum(excludes_zero(edge) for edge in looks)
        yield (
            f"Of {_count(len(looks), 'interval')} looked at (states and spread, all horizons), "
            f"{found or 'none'} {'excludes' if found == 1 else 'exclude'} 0; luck alone brings "
            f"about {len(looks) * SIGNIFICANCE:.1f}."
        )
    picked = [edge for edge in run.edges if edge["p_max_t"] is not None]
    if picked:
        least = min(picked, key=lambda edge: float(edge["p_max_t"]))
        yield (
            f"If you pick a state after looking, read p_max_t, which allows for that (not for the "
            f"choice of a horizon): the smallest is {p_text(least['p_max_t'])} "
            f"({_state_of(run, least)} {_at(least)})."
        )


def _state_of(run: Run, edge: Row) -> str:
    return {"edge_best": run.present[-1], "edge_worst": run.present[0]}.get(
        edge["edge"], str(edge["edge"])
    )


def _strategy_verdict(run: Run) -> Iterator[str]:
    net, gross, ungated = run.series("net"), run.series("gross"), run.series("ungated_net")
    if not net.get("n_invested_days"):
        yield "The strategy held nothing on test days."
        return
    yield (
        f"Net of costs and funding the strategy made {_made(net)}, "
        f"the same long-short without gating {_made(ungated)}, BTC {_made(run.series('btc'))}."
    )
    if gated := _gating(net, ungated):
        yield gated
    if (net["cagr"] or 0) <= 0 < (gross["cagr"] or 0):
        yield f"Before costs it made {figure(gross['cagr'], 1, '%', sign=True)} a year."
    if net["probabilistic_sharpe"] is not None:
        yield (
            f"The probability that the strategy's true Sharpe ratio is above 0 is "
            f"{figure(net['probabilistic_sharpe'], 0, '%')} (PSR), and less if this is the best of "
            "many runs."
        )


def _made(series: Row) -> str:
    return (
        f"{figure(series.get('cagr'), 1, '%', sign=True)} a year "
        f"(Sharpe {figure(series.get('sharpe'), 2)})"
    )


def _gating(net: Row, ungated: Row) -> str | None:
    """Return whether gating paid, by return and by return for risk; None when it is unknown."""
    better = {
        name: net[key] > ungated[key]
        for name, key in (("Sharpe ratio", "sharpe"), ("CAGR", "cagr"))
        if net.get(key) is not None and ungated.get(key) is not None
    }
    if not better:
        return None
    won = [name for name, is_better in better.items() if is_better]
    lost = [name for name in better if name not in won]
    if won and lost:
        return f"Net of costs, gating beat the ungated control by {won[0]} but not by {lost[0]}."
    if won:
        return f"Net of costs, gating beat the ungated control, by {' and by '.join(won)}."
    return f"Net of costs, gating did not beat the ungated control by {' or by '.join(lost)}."


# --------------------------------------------------------------------------------- the list of runs


LEADERBOARD: Final = """
    select
        run_id, title, first_date, last_date, net_sharpe, net_cagr, net_max_drawdown, n_warnings,
        edges.horizon_days, edges.trade_edge, edges.ci_low, edges.ci_high, edges.p_value,
        edges.evidence, is_placebo, is_look
    from catalog
    left join (
        select * from edges
        where edge = 'spread'
        qualify row_number() over (
            partition by run_id order by abs(horizon_days - $horizon), horizon_days
        ) = 1
    ) as edges using (run_id)
    order by catalog.created_at desc, run_id
"""


def _leaderboard(warehouse: Path) -> list[Row]:
    if not warehouse.is_file():
        raise MsmError(
            "there is no warehouse yet" if not warehouse.exists() else "the warehouse is a folder",
            where=_relative(warehouse),
            remedy=f"{FIRST_RUN} Or name another warehouse with --warehouse FILE.",
        )
    try:
        with duckdb.connect(warehouse, read_only=True) as con:
            found = con.execute(LEADERBOARD, {"horizon": STANDARD_HORIZON})
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error as error:
        raise MsmError(
            "the warehouse cannot be read",
            where=_relative(warehouse),
            received=str(error).splitlines()[0],
            remedy="`dbt build` without experiments makes it again from the run folders",
        ) from None


def _list_table(rows: Sequence[Row], width: int) -> RenderableType:
    wide = width >= 116
    table = _table(roomy=wide)
    table.add_column("run", overflow="fold")
    _numbers(table, *(("window",) if wide else ()))
    _numbers(table, "Sharpe", *(("CAGR", "max DD") if wide else ("CAGR\nmax DD",)))
    _numbers(table, "spread\n(days)")
    table.add_column("p\nevidence", no_wrap=True)
    _numbers(table, "warn")
    for row in rows:
        window = (str(row["first_date"]), str(row["last_date"]))
        name = Text.assemble((row["run_id"], "cyan"), "\n", row["title"])
        if row["is_look"]:
            name.append("\nlooked at its hold-out", style="yellow")
        if row["is_placebo"]:
            name.append("\nPLACEBO: knows the future", style="bold red")
        if not wide:
            name.append(f"\n{window[0]} to {window[1]}", style="dim")
        performance = [figure(row[key], 1, "%") for key in ("net_cagr", "net_max_drawdown")]
        spread = Text(MISSING)
        if row["trade_edge"] is not None:
            spread = _trade_edge(row, 2, "%").append(f"\n({row['horizon_days']})", style="dim")
        table.add_row(
            name,
            *(("\n".join(window),) if wide else ()),
            figure(row["net_sharpe"], 2),
            *(performance if wide else ("\n".join(performance),)),
            spread,
            _p(row).append(f"\n{row['evidence'] or ''}", style="default"),
            str(row["n_warnings"]),
        )
        table.add_section()
    return table


# ---------------------------------------------------------------------------------- the comparison


def _named(letter: str, run: Run) -> Iterator[RenderableType]:
    placebo = run.spec["state_mapping"].get("placebo_rotation_days", 0)
    yield Text.assemble(
        (f"{letter}  ", "bold"),
        (run.run_id, "cyan"),
        ("  PLACEBO: knows the future" if placebo else "", "bold red"),
        overflow="fold",
    )
    yield Text(f"   {run.metrics['title']}")


def _pairs(*rows: tuple[str, str, str], head: str) -> Table:
    table = _table(roomy=True)
    table.add_column(head, overflow="fold")
    table.add_column("A", overflow="fold")
    table.add_column("B", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _spec_differences(a: Run, b: Run) -> Iterator[RenderableType]:
    left, right = _params(a), _params(b)
    keys = [key for key in {**left, **right} if left.get(key, "") != right.get(key, "")]
    if not keys:
        yield _prose("The same but for its name." if a.spec != b.spec else "The same.")
        return
    yield _pairs(
        *((key, left.get(key, "not there"), right.get(key, "not there")) for key in keys),
        head="key",
    )


def _params(run: Run) -> dict[str, str]:
    return {
        row["param"]: MISSING if row["value"] is None else row["value"]
        for row in flat_params(run.spec)
        if row["param"] not in NAMES
    }


def _fingerprints(a: Run, b: Run) -> Iterator[RenderableType]:
    def facts(run: Run) -> dict[str, str]:
        lake, commit = run.manifest["lake"], run.manifest["git_commit"] or MISSING
        return {
            "lake": f"{lake['name']} {lake['fingerprint'][:12]}",
            "code": str(run.manifest["code_fingerprint"])[:12],
            "git": commit[:12] + (" and changes" if run.manifest["git_dirty"] else ""),
            **run.manifest["versions"],
        }

    other = [
        what
        for what, is_other in (
            ("lake", a.manifest["lake"]["fingerprint"] != b.manifest["lake"]["fingerprint"]),
            ("code", a.manifest["code_fingerprint"] != b.manifest["code_fingerprint"]),
        )
        if is_other
    ]
    if other:
        yield Text.assemble(
            (f"Not comparable: other {' and other '.join(other)}. ", "bold yellow"),
            "What differs below need not come from the experiment.",
        )
    else:
        yield _prose("Comparable: the same lake, the same code.")
    left, right = facts(a), facts(b)
    different = [name for name in {**left, **right} if left.get(name) != right.get(name)]
    if different:
        yield _pairs(
            *((name, left.get(name, MISSING), right.get(name, MISSING)) for name in different),
            head="",
        )


def _metric_differences(a: Run, b: Run) -> Iterator[RenderableType]:
    windows = [
        tuple(run.metrics["window"][key] for key in ("first_date", "last_date")) for run in (a, b)
    ]
    if windows[0] != windows[1]:
        yield _prose(
            f"Other windows: A {windows[0][0]} to {windows[0][1]}, "
            f"B {windows[1][0]} to {windows[1][1]}."
        )
    table = _table(roomy=True)
    table.add_column("", no_wrap=True)
    _numbers(table, "A", "B", "B - A")
    for metrics, values in (
        (METRICS, [run.series("net") for run in (a, b)]),
        (STABILITY, [run.metrics["stability"] for run in (a, b)]),
    ):
        for metric in metrics:
            left, right = (value.get(metric.key) for value in values)
            table.add_row(
                metric.label, metric.show(left), metric.show(right), metric.difference(left, right)
            )
        table.add_section()
    yield table


def _edge_differences(a: Run, b: Run) -> Iterator[RenderableType]:
    edges = [{(row["horizon_days"], row["edge"]): row for row in run.edges} for run in (a, b)]
    names = [{row["edge"] for row in run.edges} for run in (a, b)]
    shared = names[0] & names[1] or names[0] | names[1]  # 3 and 5 states have few in common
    keys = sorted(
        (
            key
            for key in {**edges[0], **edges[1]}
            if key[1] in shared and any(of.get(key, {}).get("estimate") is not None for of in edges)
        ),
        key=lambda key: int(key[0]),
    )
    if not keys:
        yield _prose("Neither run has edges.", "dim")
        return
    yield _prose("In percent; plus is good for the trade.")
    yield _Fitted(lambda width: _edge_pairs(edges, keys, named=width >= 100))
    yield _prose(f"{STARRED}.", "dim")


def _edge_pairs(
    edges: Sequence[Mapping[tuple[int, str], Row]],
    keys: Sequence[tuple[int, str]],
    *,
    named: bool,
) -> RenderableType:
    table = _table(roomy=named)
    table.add_column("state", no_wrap=True)
    for letter in ("A", "B"):
        _numbers(table, letter)
        table.add_column("p", no_wrap=True)
        table.add_column("evidence", no_wrap=True)
    _numbers(table, "B - A")
    last_horizon = None
    for horizon, edge in keys:
        if horizon != last_horizon:
            table.add_section()
            table.add_row(Text(_count(horizon, "day"), style="bold"))
            last_horizon = horizon
        cells: list[str | Text] = []
        values = []
        for of in edges:
            row = of.get((horizon, edge))
            values.append(None if row is None else row["trade_edge"])
            if row is None:
                cells += [MISSING] * 3
            else:
                cells += [_trade_edge(row), _p(row), row["evidence"]]
        left, right = values
        change = None if left is None or right is None else 100 * (right - left)
        table.add_row(edge if named else _short(edge), *cells, figure(change, 2, sign=True))
    return table


def _state_differences(a: Run, b: Run) -> Iterator[RenderableType]:
    left, right = a.states(), b.states()
    common = sorted(left.keys() & right.keys())
    if not common:
        yield _prose("The runs have no day in common.")
        return
    by_side = len(a.distribution) != len(b.distribution)
    compared = _side if by_side else str
    different = [day for day in common if compared(left[day]) != compared(right[day])]
    text = f"The states are the same on all of {_count(len(common), 'common day')}"
    if different:
        share = figure(len(different) / len(common), 1, "%")
        text = (
            f"The states differ on {len(different):,} of {_count(len(common), 'common day')} "
            f"({share})"
        )
    if by_side:
        text += " (as ALTS, BALANCED or MAJORS: the runs do not have the same number of states)"
    yield _prose(text + ".")
    if different:
        shown = different[:DIFFERENT_DAYS_SHOWN]
        yield _pairs(
            *((str(day), left[day], right[day]) for day in shown),
            head="date" if len(shown) == len(different) else "first of them",
        )


# ------------------------------------------------------------------------------------------- words


def _relative(path: Path) -> str:
    """Return a path as seen from the working directory."""
    return os.path.relpath(path)


def _count(number: int | None, noun: str) -> str:
    """Return a number of things; a dash when it is missing.

    Examples
    --------
    >>> _count(1, "day"), _count(1200, "day")
    ('1 day', '1,200 days')
    """
    shown = MISSING if number is None else f"{number:,}"
    return f"{shown} {noun}{'' if number == 1 else 's'}"


def _joined(values: Iterable[object]) -> str:
    """Return distinct values as a list in words, in their order."""
    *rest, last = dict.fromkeys(str(value) for value in values)
    return f"{', '.join(rest)} and {last}" if rest else last
