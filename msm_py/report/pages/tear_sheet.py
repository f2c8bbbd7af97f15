"""The tear sheet of a run: one page that says what it found, how far to trust it, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from msm_py import __version__
from msm_py._typing import Row
from msm_py.experiment.neighbours import PLACEBO
from msm_py.regimes import BEFORE, HOLDOUT
from msm_py.report import robustness_report
from msm_py.report.figures import count_of, excludes_zero, joined, p_text
from msm_py.report.pages import charts_attribution, charts_checks, charts_returns, charts_states
from msm_py.report.pages.figure import DataTable, Figure
from msm_py.report.pages.page import write_page
from msm_py.report.pages.sheet_data import SheetData
from msm_py.report.pages.texts import number, p_value, percent
from msm_py.report.verdict import short_verdict
from msm_py.store import layout, standard_spread


class Tile(NamedTuple):
    """A number of the first screen: what it is, the number, what to know of it, good or bad."""

    label: str
    value: str
    note: str
    tone: str = ""


class Section(NamedTuple):
    """A part of the page: its id and head, rows of one or two figures side by side."""

    name: str
    title: str
    rows: list[list[Figure]]


def write_tear_sheet(folder: Path, *, warehouse: Path) -> Path:
    """Write the tear sheet of a run into its folder and return the file.

    Parameters
    ----------
    folder
        The run's folder, in its runs folder.
    warehouse
        The warehouse file, which knows the run's family.

    Raises
    ------
    MsmError
        When the run cannot be read or the page not be written.
    """
    sheet = SheetData.read(folder, warehouse)
    file = folder / layout.REPORT
    write_page(file, "tear_sheet.html", runs=folder.parent, **content(sheet))
    return file


def content(sheet: SheetData) -> dict[str, Any]:
    """Return what the template shows."""
    run = sheet.run
    rotated = run.spec["state_mapping"].get("placebo_rotation_days", 0)
    return {
        "run_id": run.run_id,
        "heading": run.metrics["title"],
        "description": run.spec.get("description"),
        "question": question(run.spec),
        "verdict": short_verdict(run, sheet.family),
        "placebo_days": rotated,
        "doubts": run.metrics.get("doubts", []),
        "alarms": sheet.seen.alarms,
        "tiles": list(tiles(sheet)),
        "trust": list(trust(sheet)),
        "warnings": run.metrics["warnings"],
        "sections": [x for x in sections(sheet) if x.rows],
        "calendar": charts_returns.calendar(sheet),
        "months": charts_returns.MONTHS,
        "basket_now": charts_attribution.basket_now(sheet),
        "basket_day": max(sheet.baskets["date"], default=None),
        "windows": windows(sheet),
        "samples": samples(sheet),
        "checks": checks(sheet),
        "robustness": robustness(sheet),
        "robustness_verdict": sheet.robustness and robustness_report.verdict(sheet.robustness),
        "null_markets": null_markets(sheet),
        "spec_text": json.dumps(run.spec, indent=2),
        "manifest_text": json.dumps(
            {key: value for key, value in run.manifest.items() if key != "spec"}, indent=2
        ),
        "version": __version__,
        "made": run.manifest["finished_at"][:16].replace("T", " "),
    }


def question(spec: Row) -> str:
    """Return what an experiment asks, in a sentence."""
    target, mapping = spec["target"], spec["state_mapping"]
    short, long = target["short_leg"], target["long_leg"]["weights"]
    majors = joined(
        name if weight == 1 else f"{weight:.0%} {name}" for name, weight in long.items()
    )
    against = "BTC" if target.get("benchmark", "btc") == "btc" else "the long leg"
    days = joined(target["horizons_days"])
    plural = "" if len(spec["features"]) == 1 else "s"
    return (
        f"Do {mapping['n_regimes']} market states, made of {len(spec['features'])} "
        f"feature{plural}, tell when the {short['n']} largest alts will lag {against} over the "
        f"next {days} days, and what would being long {majors} and short these alts in some of the "
        "states have earned?"
    )


def tiles(sheet: SheetData) -> Iterator[Tile]:
    """Yield the numbers of the first screen."""
    spread = standard_spread.of_edges(sheet.run.edges)
    if spread.get("trade_edge") is not None:
        low, high = (None if spread[x] is None else -spread[x] for x in ("ci_high", "ci_low"))
        yield Tile(
            f"Trade edge of the spread, {count_of(spread['horizon_days'], 'day')}",
            percent(spread["trade_edge"], 2),
            f"95% CI {percent(low, 2)} to {percent(high, 2)}, p {p_value(spread['p_edge'])}, "
            f"evidence {spread['evidence']}",
            _tone(spread["trade_edge"]) if excludes_zero(spread) else "",
        )
    net, gross = sheet.trading("net"), sheet.trading("gross")
    tests = sheet.run.metrics.get("sharpe_tests", {})
    yield Tile(
        "Net Sharpe ratio",
        number(net.get("sharpe")),
        f"95% CI {number(tests.get('net_sharpe_ci_low'))} to "
        f"{number(tests.get('net_sharpe_ci_high'))}",
        _tone(net.get("sharpe")) if (tests.get("net_sharpe_ci_low") or 0) > 0 else "",
    )
    yield Tile("Net CAGR", percent(net.get("cagr")), f"before costs {percent(gross.get('cagr'))}")
    yield Tile(
        "Deepest drawdown",
        percent(net.get("max_drawdown")),
        f"{count_of(net.get('max_drawdown_days'), 'day')} long",
    )
    ungated, btc = sheet.trading("ungated_net"), sheet.trading("btc")
    yield Tile(
        "Ungated control",
        number(ungated.get("sharpe")),
        f"Sharpe; CAGR {percent(ungated.get('cagr'))}; p of the difference "
        f"{p_text(tests.get('p_ungated'))}",
    )
    yield Tile(
        "BTC",
        number(btc.get("sharpe")),
        f"Sharpe; CAGR {percent(btc.get('cagr'))}; p of the difference "
        f"{p_text(tests.get('p_btc'))}",
    )


def _tone(value: float | None) -> str:
    return "" if not value else "good" if value > 0 else "bad"


def trust(sheet: SheetData) -> Iterator[tuple[str, str, str]]:
    """Yield what says how far to trust the numbers: name, words, tone."""
    run, metrics = sheet.run, sheet.run.metrics
    window, stability, coverage = (metrics[x] for x in ("window", "stability", "coverage"))
    yield "Window", f"{window['first_date']} to {window['last_date']}", ""
    tests = window["n_test_days"]
    yield "Days", f"{count_of(window['n_days'], 'decision day')}, {tests:,} of them test days", ""
    spells = [row for row in run.distribution if row["n_days"]]
    fewest = min((row["n_spells"] for row in spells), default=0)
    yield (
        "Spells",
        f"{stability['n_spells']:,} in {count_of(len(spells), 'state')}, at least {fewest} in each",
        "warn" if fewest < 5 else "",
    )
    spread = standard_spread.of_edges(run.edges)
    evidence = spread.get("evidence", "none: not evaluated")
    yield "Evidence", f"{evidence} (spread)", "" if evidence == "normal" else "warn"
    yield (
        "Coverage",
        f"features {percent(coverage['feature_coverage'], 0, sign=False)}, at least "
        f"{percent(coverage['min_feature_coverage'], 0, sign=False)}; funding rates "
        f"{percent(coverage['funding_coverage'], 0, sign=False)}",
        "warn" if coverage["min_feature_coverage"] < 1 else "",
    )
    fallback = coverage["n_fallback_days"]
    yield "Fallback days", f"{fallback} (funding without weights)", "warn" if fallback else ""
    yield "Trials", *_trials(sheet)
    for sweep in sheet.sweeps:
        own = next(row for row in sweep["runs"] if row["run_id"] == run.run_id)
        yield (
            "Sweep",
            f"one of {len(sweep['trials']):,} variants of {sweep['name']}; deflated Sharpe ratio "
            f"{number(own['deflated_sharpe'])}",
            "" if (own["deflated_sharpe"] or 0) >= 0.95 else "warn",
        )
    yield "Hold-out", sheet.seen.holdout or "none", "" if not sheet.seen.alarms else "bad"
    for note in sheet.seen.notes:
        yield "", note, ""
    if sheet.robustness is None:
        yield "Robustness", "not checked (msm run ... --robust)", "warn"
    else:
        found = sheet.robustness["summary"]["verdict"]
        yield "Robustness", found, "good" if found == "robust" else "bad"
    warned = len(metrics["warnings"])
    yield (
        "Warnings",
        f"{warned or 'none'}" + (", below" if warned else ""),
        "warn" if warned else "",
    )


def _trials(sheet: SheetData) -> tuple[str, str]:
    family = sheet.family
    if family is None:
        return "nobody has counted them (msm catalog rebuild does)", "warn"
    deflated = f"deflated Sharpe ratio {number(family.deflated_sharpe)}"
    if family.n_family == 1:
        return f"the only question tried on these days; {deflated}", ""
    weak = family.deflated_sharpe is None or family.deflated_sharpe < 0.95
    return f"one of {family.n_family:,} questions tried on these days; {deflated}", (
        "warn" if weak else "good"
    )


def sections(sheet: SheetData) -> Iterator[Section]:
    """Yield the figures in the order of the page."""
    returns, states, parts = charts_returns, charts_states, charts_attribution

    def rows(*wanted: list[Figure | None]) -> list[list[Figure]]:
        found = [[figure for figure in row if figure is not None] for row in wanted]
        return [row for row in found if row]

    yield Section("returns", "What it earned", rows([returns.equity(sheet)]))
    yield Section(
        "edge", "What a state is worth", rows([states.edges(sheet)], [states.paths(sheet)])
    )
    yield Section(
        "states",
        "Score and states",
        rows(
            [states.score(sheet)],
            [states.contributions(sheet)],
            [states.distribution(sheet), states.durations(sheet)],
            [states.transitions(sheet), states.correlation(sheet)],
        ),
    )
    yield Section(
        "attribution",
        "Who made it and who lost it",
        rows([parts.by_part(sheet), parts.by_state(sheet)], [parts.by_asset(sheet)]),
    )
    yield Section(
        "trading",
        "Trading",
        rows([returns.trading(sheet)], [returns.rolling_sharpe(sheet)]),
    )
    yield Section("basket", "Short basket", rows([parts.baskets(sheet)]))


def checks(sheet: SheetData) -> list[Figure]:
    """Return the figures of the robustness panel; none without one."""
    if sheet.robustness is None:
        return []
    found = (charts_checks.placebos(sheet.robustness), charts_checks.neighbours(sheet.robustness))
    return [figure for figure in found if figure is not None]


def samples(sheet: SheetData) -> DataTable | None:
    """Return what days before the hold-out and those of it say, of a run that looked; else None."""
    found = sheet.run.samples()
    if not found:
        return None
    rows = []
    for name, run in found.items():
        net, tests = run.series("net"), run.metrics["sharpe_tests"]
        spread = standard_spread.of_edges(run.edges)
        rows.append(
            (
                {BEFORE: "before the hold-out", HOLDOUT: "in the hold-out"}[name],
                f"{net['n_days']:,}",
                number(net["sharpe"]),
                f"{number(tests['net_sharpe_ci_low'])} to {number(tests['net_sharpe_ci_high'])}",
                percent(net["cagr"]),
                percent(spread.get("trade_edge"), 2),
                p_value(spread.get("p_edge")),
                spread.get("evidence", "—"),
            )
        )
    return DataTable(
        (
            *("days", "test days", "net Sharpe", "95% CI", "net CAGR", "spread's trade edge"),
            *("p", "evidence"),
        ),
        rows,
    )


def windows(sheet: SheetData) -> DataTable | None:
    """Return what a walk-forward search chose before each test window; None without a search."""
    search = sheet.walk_forward
    if search is None:
        return None
    names = list(search["windows"][0]["parameters"]) if search["windows"] else []
    return DataTable(
        [
            *("window", "test days", "in sample", "net Sharpe, out of sample", "candidate"),
            *(name.removesuffix(".weight").rpartition(".")[2] for name in names),
        ],
        [
            [
                f"{row['window_number']}" + ("" if row["is_test_window"] else " (too short)"),
                f"{row['first_date']} to {row['last_date']}",
                number(row["objective_value"], 3),
                number(row["test_net_sharpe"]),
                "—" if row["candidate"] is None else str(row["candidate"]),
                *(number(row["parameters"][name], 3) for name in names),
            ]
            for row in search["windows"]
        ],
    )


def robustness(sheet: SheetData) -> DataTable | None:
    """Return what became of the result in each neighbour; None without a robustness panel."""
    if sheet.robustness is None:
        return None
    return DataTable(
        (
            "what differs",
            "how",
            "status",
            "net Sharpe",
            "change",
            "net CAGR",
            "spread's edge",
            "flips",
        ),
        [
            (
                row["check_name"],
                row["setting"],
                row["status"],
                number(row["net_sharpe"]),
                number(row["net_sharpe_change"], sign=True),
                percent(row["net_cagr"]),
                percent(row["spread_trade_edge"], 2),
                ", ".join(
                    name
                    for name, flips in (
                        ("Sharpe", row["sign_flips"]),
                        ("edge", row["edge_sign_flips"]),
                    )
                    if flips
                )
                or "—",
            )
            for row in sheet.robustness["rows"]
            if row["check_name"] != PLACEBO
        ],
    )


NULL_NAMES: Final = {
    "spread": "trade edge of the spread",
    "edge_best": "trade edge of the best state",
    "net_sharpe": "net Sharpe ratio",
    "net_sharpe_over_ungated": "net Sharpe ratio above the ungated control's",
}


def null_markets(sheet: SheetData) -> DataTable | None:
    """Return how the run ranks among null markets; None where there are none."""
    if sheet.null_markets is None:
        return None
    return DataTable(
        ("figure", "the run", "null markets: mean", "95% quantile", "markets", "p"),
        [
            (
                NULL_NAMES.get(row["statistic"], row["statistic"])
                + (f", {count_of(row['horizon_days'], 'day')}" if row["horizon_days"] else ""),
                *(
                    number(row[x], 4 if row["horizon_days"] else 2)
                    for x in ("value", "null_mean", "null_q95")
                ),
                str(row["n_markets"]),
                p_value(row["p_value"]),
            )
            for row in sheet.null_markets["summary"]
        ],
    )
