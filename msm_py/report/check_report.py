"""What ``msm check`` shows of an experiment before it is run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType

from msm_py._typing import Row
from msm_py.experiment.ids import ResolvedRun, resolve
from msm_py.experiment.load import from_resolved
from msm_py.report.figures import MISSING, count_of, figure, short_state
from msm_py.report.layout import fact_table, new_table, number_columns, prose, section
from msm_py.report.terminal import Text
from msm_py.runner.experiment_check import Met
from msm_py.store.flat_params import flat_params

LOW_COVERAGE: Final = 0.9
NAMES: Final = ("experiment_id", "title", "description")


def check_report(
    run: ResolvedRun, met: Met | None, doubts: Sequence[str], *, whole_spec: bool
) -> RenderableType:
    """Return what is known of an experiment before it is run.

    Parameters
    ----------
    run
        The experiment.
    met
        What it meets on a lake; None without one.
    doubts
        What is likely meant otherwise.
    whole_spec
        Whether every key is shown, not only what differs from the defaults.
    """
    parts: list[RenderableType] = [
        Text(run.title, style="bold"),
        Text(run.experiment.experiment_id, style="cyan"),
        Text(),
        *(_warning(sentence) for sentence in doubts),
        *section("Experiment", *_spec(run, whole=whole_spec)),
    ]
    if met is not None and met.error is None:
        parts += [
            *section("Window", _window(met)),
            *section("Eligible alts and basket", _assets(met, run)),
            *section("Coverage of features", *_coverage(met)),
            *section("Scores and cuts", *_scores(met, run)),
            *section("Trading, a year", *_trading(met, run)),
        ]
    elif met is not None:
        parts += [*section("On the lake", Text(str(met.error), style="red"))]
    return Group(*parts)


def _warning(sentence: str) -> RenderableType:
    return prose(f"!! {sentence}", "yellow")


def _spec(run: ResolvedRun, *, whole: bool) -> Iterator[RenderableType]:
    own = _flat(resolve(run.experiment))
    features = [{"id": x.id, "weight": x.weight} for x in run.experiment.features]
    plain = _flat(resolve(from_resolved({"experiment_id": "plain", "features": features})))
    shown = {
        key: value
        for key, value in own.items()
        if whole
        or (value != plain.get(key, MISSING) and key not in NAMES)
        or (key.startswith("features.") and key.endswith(".weight"))
    }
    yield fact_table(*shown.items())
    if not whole:
        n_more = len(own) - len(shown)
        yield prose(f"{n_more} keys are left to their defaults (--all shows them).", "dim")


def _flat(spec: Row) -> dict[str, str]:
    return {
        row["param"]: MISSING if row["value"] is None else str(row["value"])
        for row in flat_params(json.loads(json.dumps(spec, default=str)))
    }


def _window(met: Met) -> RenderableType:
    assert met.first_date is not None  # else there is an error
    assert met.last_date is not None
    days = (met.last_date - met.first_date).days + 1
    return Text(f"{met.first_date} to {met.last_date}, {count_of(days, 'decision day')}")


def _assets(met: Met, run: ResolvedRun) -> RenderableType:
    table = new_table()
    number_columns(
        table,
        "year",
        "days",
        "fewest\neligible",
        "median\neligible",
        "fewest in\nbasket",
        f"median\n(of {run.experiment.target.short_leg.n})",
    )
    wanted = run.experiment.target.short_leg.n
    for row in met.assets:
        few = "yellow" if (row["fewest_eligible"] or 0) < wanted else ""
        table.add_row(
            str(row["year"]),
            figure(row["n_days"], 0),
            Text(figure(row["fewest_eligible"], 0), style=few),
            figure(row["median_eligible"], 0),
            figure(row["fewest_members"], 0),
            figure(row["median_members"], 0),
        )
    return table


def _coverage(met: Met) -> Iterator[RenderableType]:
    years = sorted({row["year"] for row in met.coverage})
    table = new_table(roomy=True)
    table.add_column("share of days with a z-score", no_wrap=True)
    number_columns(table, *map(str, years))
    shares = {(row["feature_id"], row["year"]): row["share"] for row in met.coverage}
    for feature in dict.fromkeys(row["feature_id"] for row in met.coverage):
        own = [shares.get((feature, year)) for year in years]
        cells = [
            Text(
                figure(x, 0, "%"),
                style="yellow" if x is not None and x < LOW_COVERAGE else "",
            )
            for x in own
        ]
        table.add_row(feature, *cells)
    yield table
    yield prose("A missing z-score counts 0 in the score.", "dim")


def _scores(met: Met, run: ResolvedRun) -> Iterator[RenderableType]:
    if met.scores is None:
        yield prose("No day has a score.", "yellow")
        return
    lowest, low, middle, high, highest = (figure(x, 2) for x in met.scores)
    yield prose(
        f"Scores go from {lowest} to {highest}; half of the days lie below {middle}, 98% of them "
        f"between {low} and {high}."
    )
    table = new_table(roomy=True)
    table.add_column("state", no_wrap=True)
    number_columns(table, "by the cuts alone", "in force")
    for row in met.states:
        cells = [figure(row.get("by_cuts"), 1, "%"), figure(row["share"], 1, "%")]
        style = "yellow" if not row["share"] else ""
        table.add_row(Text(short_state(row["regime"]), style=style), *cells)
    yield table
    if run.experiment.backtest.grid_search is not None:
        yield prose("The cuts are chosen anew before each test window.", "dim")


def _trading(met: Met, run: ResolvedRun) -> Iterator[RenderableType]:
    costs = run.experiment.backtest.costs
    table = new_table(roomy=True)
    table.add_column("", no_wrap=True)
    number_columns(table, "turnover", "costs", "funding paid", "gross exposure")
    for row in met.trading:
        table.add_row(
            "the strategy" if row["is_run"] else "held all the time",
            f"{figure(row['turnover'], 1)} x",
            figure(row["cost"], 2, "%"),
            figure(row["funding"], 2, "%"),
            figure(row["gross_exposure"], 1, "%"),
        )
    yield table
    impact = (
        "market impact included"
        if run.experiment.backtest.capital_usd is not None
        else "without market impact (no capital_usd)"
    )
    yield prose(
        f"Shares of net asset value over the whole window, at {costs.taker_fee_bps:g} + "
        f"{costs.slippage_bps:g} basis points a trade, {impact}.",
        "dim",
    )
