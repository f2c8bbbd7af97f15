"""What a run shows, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msm_py._typing import Row
from msm_py.report.figures import (
    SIGNIFICANCE,
    at_horizon,
    count_of,
    excludes_zero,
    figure,
    joined,
    p_text,
    states_of,
    trade_interval,
)
from msm_py.stats.bootstrap import BootstrapSettings
from msm_py.stats.inference import BLOCKS_FROM, fewest_days
from msm_py.store.edge_rows import hypotheses, two_states
from msm_py.store.families import Family
from msm_py.store.run import Run


def verdict(run: Run, family: Family | None) -> str:
    """Return what the numbers of a run say, and do not say, in a paragraph.

    Trade edges and their intervals are signed for the trade here: plus is good. Without a family
    nobody knows of how many tries the run is one, and so it shows nothing.
    """
    return " ".join([*_edge_verdict(run, family), *_strategy_verdict(run, family)])


def short_verdict(run: Run, family: Family | None) -> str:
    """Return the two sentences of the verdict that matter most: on the edge, on what was earned."""
    return " ".join(
        next(sentences)
        for sentences in (_edge_verdict(run, family), _strategy_verdict(run, family))
    )


def edge_verdict(run: Run, family: Family | None) -> str:
    """Return the sentence of the verdict that is on the edge."""
    return next(_edge_verdict(run, family))


def sample_verdict(run: Run) -> str:
    """Return what the days before a hold-out, or those of it, say by themselves.

    In figures alone: whether an edge is shown is for the verdict to say, which knows how many
    questions were tried.
    """
    spread, best = run.edges_named("spread"), run.edges_named("edge_best")
    tested = [edge for edge in (*spread, *best) if edge["p_edge"] is not None]
    found = sum(map(excludes_zero, tested))
    said = []
    if tested:
        said.append(
            f"Of {count_of(len(tested), 'test')} of spread and best state {found or 'none'} "
            f"{'finds' if found == 1 else 'find'} an edge at 5%."
        )
    elif spread:
        said.append("No edge could be tested.")
    if spread:
        said.append(_test_sentence("The spread", spread))
    return " ".join([*said, *_earned(run)])


def _edge_verdict(run: Run, family: Family | None) -> Iterator[str]:
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
    one = two_states(run.edges)  # there the best state asks what the spread asks
    asked = [*spread, *(edge for edge in best if edge["horizon_days"] not in one)]
    found = [edge for edge in asked if excludes_zero(edge)]
    tested = [edge for edge in asked if edge["p_edge"] is not None]
    yield _finding(found, tested, family)
    yield _test_sentence(f"The spread{states_of(spread)}", spread)
    yield _test_sentence(f"The best state{states_of(best)}", best)
    yield from short_horizons(run)
    yield from _looks(run)
    if run.spec["evaluation"]["bootstrap"]["method"] == "percentile":
        yield (
            "The percentile bootstrap excludes 0 too easily when horizons are long: trust the "
            "studentized one."
        )


def short_horizons(run: Run) -> Iterator[str]:
    """Say for which horizons the window is too short, and how long it would have to be."""
    settings = run.spec["evaluation"]["bootstrap"]
    size = settings["block_size"]
    bootstrap = BootstrapSettings(block_size=size if isinstance(size, int) else None)
    lag = run.spec["backtest"]["execution_lag_days"]
    for horizon in run.horizons:
        n = sum(row["n"] for row in run.statistics if row["horizon_days"] == horizon)
        days = bootstrap.block_days(horizon_days=horizon)
        if n < BLOCKS_FROM[0] * days:
            needed = fewest_days(horizon_days=horizon, block_days=days, lag_days=lag)
            yield (
                f"At {count_of(horizon, 'day')} nothing can be tested: the {count_of(n, 'day')} "
                f"with a forward return are {n / days:.1f} blocks of {count_of(days, 'day')}, and "
                f"it takes {BLOCKS_FROM[0]}, a window of {count_of(needed, 'counted day')}."
            )


def _finding(found: Sequence[Row], tested: Sequence[Row], family: Family | None) -> str:
    if not tested:
        return "No edge could be tested: too few spells, or too short a window."
    if not found:
        return "No edge is shown, which is not to say that there is none."
    doubts = [_doubts(edge, len(tested), family) for edge in found]
    standing = [edge for edge, against in zip(found, doubts, strict=True) if not against]
    if standing:
        return f"The states show {_direction(standing)}."
    fewest = min(doubts, key=len)
    return f"The states hint at {_direction(found)}, not more: it is in doubt for {joined(fewest)}."


def _direction(edges: Sequence[Row]) -> str:
    signs = {edge["trade_edge"] > 0 for edge in edges}
    if len(signs) == 2:
        return "edges of both signs"
    return "an edge " + ("in favour of" if signs == {True} else "against") + " the trade"


def _doubts(edge: Row, n_tested: int, family: Family | None) -> list[str]:
    """Return what speaks against believing an edge that its tests find."""
    at = (edge["horizon_days"], edge["edge"])
    p_family = None if family is None else family.p_family.get(at)
    allowed = n_tested * edge["p_edge"]  # Bonferroni: strict, as the tests are related
    return [
        reason
        for reason, holds in (
            (
                f"thin evidence ({edge['evidence']}, {count_of(edge['n_spells'], 'spell')})",
                edge["evidence"] != "normal",
            ),
            (
                f"being one of {n_tested} tests of spread and best state "
                f"(p_edge {p_text(edge['p_edge'])} x {n_tested} = {figure(min(allowed, 1), 2)})",
                allowed > SIGNIFICANCE,
            ),
            (
                "the number of questions tried, which nobody has counted (`msm catalog rebuild` "
                "does)"
                if family is None
                else f"{_tries(family)} (p {p_text(edge['p_edge'])} becomes {p_text(p_family)})",
                p_family is None or p_family > SIGNIFICANCE,
            ),
        )
        if holds
    ]


def _test_sentence(subject: str, edges: Sequence[Row]) -> str:
    tested = [edge for edge in edges if edge["p_edge"] is not None]
    if not tested:
        most = max(edges, key=lambda edge: int(edge["n_spells"]))
        return (
            f"{subject} cannot be tested ({count_of(most['n_spells'], 'spell')}, evidence "
            f"{most['evidence']})."
        )
    found = [edge for edge in tested if excludes_zero(edge)]
    if found:
        each = "; ".join(f"{at_horizon(edge)} {trade_interval(edge)}" for edge in found)
        rest = len(tested) - len(found)
        tail = f", but not at the other {count_of(rest, 'horizon')}" if rest else ""
        return f"{subject} has a trade edge other than 0 at 5%: {each}{tail}."
    least = min(tested, key=lambda edge: float(edge["p_edge"]))
    which = "any horizon" if len(tested) == len(edges) else "any horizon that can be tested"
    return (
        f"{subject} has no trade edge that can be told from 0 at 5%, at {which}; the smallest "
        f"p_edge is {at_horizon(least)}: {trade_interval(least)}."
    )


def _looks(run: Run) -> Iterator[str]:
    looks = hypotheses(run.edges)
    if looks:
        found = sum(excludes_zero(edge) for edge in looks)
        yield (
            f"Of {count_of(len(looks), 'test')} looked at (states and spread, all horizons), "
            f"{found or 'none'} {'finds' if found == 1 else 'find'} an edge at 5%; luck alone "
            f"finds about {len(looks) * SIGNIFICANCE:.1f}."
        )
    picked = [edge for edge in run.edges if edge["p_max_t"] is not None]
    if picked:
        least = min(picked, key=lambda edge: float(edge["p_max_t"]))
        yield (
            f"If you pick a state after looking, read p_max_t, which allows for that (not for the "
            f"choice of a horizon): the smallest is {p_text(least['p_max_t'])} "
            f"({least.get('regime') or least['edge']} {at_horizon(least)})."
        )


def _strategy_verdict(run: Run, family: Family | None) -> Iterator[str]:
    net, gross = run.series("net"), run.series("gross")
    yield from _earned(run)
    if not net.get("n_invested_days") or net.get("ratios_missing_because") == "ruined":
        return
    if (net["cagr"] or 0) <= 0 < (gross["cagr"] or 0):
        yield f"Before costs it made {figure(gross['cagr'], 1, '%', sign=True)} a year."
    if net["probabilistic_sharpe"] is not None:
        yield (
            f"The probability that the strategy's true Sharpe ratio is above 0 is "
            f"{figure(net['probabilistic_sharpe'], 0, '%')} (PSR){_deflated(family)}."
        )


def _earned(run: Run) -> Iterator[str]:
    """Yield what strategy and controls made, and whether they can be told apart."""
    net, ungated, btc = (run.series(name) for name in ("net", "ungated_net", "btc"))
    tests = run.metrics.get("sharpe_tests", {})  # a run of an older version has none
    if not net.get("n_invested_days"):
        yield "The strategy held nothing on test days."
        return
    if net.get("ratios_missing_because") == "ruined":
        yield "The strategy was ruined: it lost all it had."
        return
    yield (
        f"Net of costs and funding the strategy made {_made(net, tests)}, "
        f"the same long-short without gating {_made(ungated)}, BTC {_made(btc)}."
    )
    yield from _difference("gating", "the ungated control", net, ungated, tests.get("p_ungated"))
    yield from _difference("the strategy", "BTC", net, btc, tests.get("p_btc"))


def _tries(family: Family) -> str:
    if family.n_family == 1:
        return "all tests of the run taken together"
    return f"being one of {family.n_family} questions tried on these days"


def _deflated(family: Family | None) -> str:
    """Say what is left of it when all that was tried counts."""
    if family is None:
        return ", and less if this is the best of many runs"
    if family.n_family == 1:
        return "; no other question was tried on these days"
    return (
        f", that it is above what the best of {family.n_family} tries reaches by luck "
        f"{figure(family.deflated_sharpe, 0, '%')} (deflated; 95% is the usual bar)"
    )


def _made(series: Row, tests: Row | None = None) -> str:
    low, high = ((tests or {}).get(f"net_sharpe_ci_{end}") for end in ("low", "high"))
    interval = "" if low is None else f", 95% CI {figure(low, 2)} to {figure(high, 2)}"
    return (
        f"{figure(series.get('cagr'), 1, '%', sign=True)} a year "
        f"(Sharpe {figure(series.get('sharpe'), 2)}{interval})"
    )


def _difference(what: str, other: str, net: Row, control: Row, p: float | None) -> Iterator[str]:
    """Say whether a Sharpe ratio differs from that of a control; nothing without either."""
    own, its = net.get("sharpe"), control.get("sharpe")
    if own is None or its is None:
        return
    if p is None:
        yield f"Whether {what} beats {other} by Sharpe ratio could not be tested."
    elif p > SIGNIFICANCE:
        yield (
            f"No difference between {what} and {other} can be shown by Sharpe ratio "
            f"(p {p_text(p)})."
        )
    else:
        verb = "beats" if own > its else "is worse than"
        yield f"Net of costs, {what} {verb} {other} by Sharpe ratio (p {p_text(p)})."
