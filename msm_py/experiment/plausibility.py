"""Settings that are allowed, and yet likely meant otherwise: a unit mistaken, a cut out of reach.

Each doubt is a sentence with the likely meaning. It stands above the result of a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msm_py.experiment.schema import RUINOUS_WEIGHT, Experiment
from msm_py.lake.contract import LEAST_MARKETCAP_USD

LARGE_MULTIPLE: Final = 5.0
"""Gross weight or position scale above which a percentage is likely meant."""
SMALLEST_COST_BPS: Final = 0.1
"""Cost above 0 and below this many basis points that is likely a fraction or a percentage."""
SMALLEST_FRACTION_BPS: Final = 0.01
"""Below this it is likely a fraction."""
LARGEST_COST_BPS: Final = 300.0
LARGEST_GATE: Final = 1.0
"""Return of BTC above which the high-volatility gate never acts: a percentage is likely meant."""
LARGEST_LIMIT: Final = 20.0
SMALLEST_LIMIT: Final = 0.2
SMALLEST_PARTICIPATION: Final = 0.001
"""Share of a day's volume below which trades have no impact to speak of."""
FAR_CUT: Final = 2.0
"""A strong cut so many times further from 0 than any score is not meant on the scale of scores."""


def doubtful_settings(experiment: Experiment) -> list[str]:
    """Return what is likely meant otherwise in an experiment, a sentence each.

    Examples
    --------
    >>> x = {"experiment_id": "a", "features": [{"id": "momentum", "weight": 1}]}
    >>> gate = {"state_mapping": {"high_vol_gate": {"max_abs_return": 15}}}
    >>> doubtful_settings(Experiment.model_validate(x))
    []
    >>> print(*doubtful_settings(Experiment.model_validate(x | gate)))
    state_mapping.high_vol_gate.max_abs_return is 15, a move of BTC by 1,500%, so the gate never \
acts: a decimal fraction is asked for. If 15% is meant, write 0.15.
    """
    return [
        *_sizes(experiment),
        *_multiples(experiment),
        *_costs(experiment),
        *_participation(experiment),
        *_returns(experiment),
    ]


def _sizes(experiment: Experiment) -> Iterator[str]:
    universe = experiment.universe
    if universe.rank_by == "volume_30d":
        unused = ""
        if universe.min_mcap_usd != LEAST_MARKETCAP_USD:
            unused = f" universe.min_mcap_usd ({universe.min_mcap_usd:,.0f}) is not asked for."
        yield (
            "Assets are sized by the median of their last 30 volumes in place of market caps "
            "(universe.rank_by: volume_30d): baskets, btc_dominance and the alt index are other "
            f"ones than by market cap.{unused}"
        )


def _multiples(experiment: Experiment) -> Iterator[str]:
    backtest = experiment.backtest
    multiples = {f"gross.{leg}": getattr(backtest.gross, leg) for leg in ("long", "short")}
    multiples |= {f"position_scale.{k}": v for k, v in (backtest.position_scale or {}).items()}
    for name, value in multiples.items():
        if value > LARGE_MULTIPLE:
            yield (
                f"backtest.{name} is {value:g}, a multiple, {value:g} times what 1 would be. If "
                f"{value:g}% is meant, write {value / 100:g}."
            )
    scale = max((backtest.position_scale or {}).values(), default=0.0)
    for leg, move in (("long", "fall"), ("short", "rise")):
        weight = getattr(backtest.gross, leg) * scale
        if weight >= RUINOUS_WEIGHT:
            yield (
                f"The {leg} leg weighs up to {weight:g} times net asset value (allow_extreme): a "
                f"{move} of {1 / weight:.2g} times its value in a day is ruin."
            )


def _costs(experiment: Experiment) -> Iterator[str]:
    for name in ("taker_fee_bps", "slippage_bps"):
        value = getattr(experiment.backtest.costs, name)
        if 0 < value < SMALLEST_COST_BPS:
            unit, factor = (
                ("a fraction", 10_000) if value < SMALLEST_FRACTION_BPS else ("a percentage", 100)
            )
            yield (
                f"backtest.costs.{name} is {value:g} basis points, next to nothing. If {unit} is "
                f"meant, write {value * factor:g}."
            )
        elif value > LARGEST_COST_BPS:
            yield (
                f"backtest.costs.{name} is {value:g} basis points, {value / 100:g}% of every "
                f"trade. A basis point is 0.01%: if {value / 100:g} basis points are meant, write "
                f"{value / 100:g}."
            )


def _participation(experiment: Experiment) -> Iterator[str]:
    value = experiment.backtest.max_participation
    if value > 1:
        yield (
            f"backtest.max_participation is {value:g}, a trade of {value:g} times what the whole "
            f"market trades in a day: a decimal fraction is asked for. If {value:g}% is meant, "
            f"write {value / 100:g}."
        )
    elif value < SMALLEST_PARTICIPATION:
        yield (
            f"backtest.max_participation is {value:g}: impact stops growing at that share of a "
            "day's volume, where there is hardly any, and trades above it are told of. A tenth of "
            "the volume is 0.1."
        )


def _returns(experiment: Experiment) -> Iterator[str]:
    gate, limit = experiment.state_mapping.high_vol_gate, experiment.universe.max_abs_return_1d
    if gate is not None and gate.max_abs_return > LARGEST_GATE:
        value = gate.max_abs_return
        yield (
            f"state_mapping.high_vol_gate.max_abs_return is {value:g}, a move of BTC by "
            f"{value:,.0%}, so the gate never acts: a decimal fraction is asked for. If {value:g}% "
            f"is meant, write {value / 100:g}."
        )
    if limit is not None and limit >= LARGEST_LIMIT:
        yield (
            f"universe.max_abs_return_1d is {limit:g}, a return of {limit:,.0%} in a day: a "
            f"decimal fraction is asked for. If {limit:g}% is meant, write {limit / 100:g}."
        )
    if limit is not None and limit < SMALLEST_LIMIT:
        yield (
            f"universe.max_abs_return_1d is {limit:g}: returns of alts beyond {limit:.0%} are "
            "ordinary days, and all of them are taken out. Bad prices lie beyond 1 or 2."
        )


def unreached_cuts(cuts: Mapping[str, float | None], lowest: float, highest: float) -> list[str]:
    """Return which cuts no score reaches, so far off that another scale is likely meant.

    Parameters
    ----------
    cuts
        By name (strong_low, low, high, strong_high); None where there is no such cut.
    lowest, highest
        Of the scores of the decision days.

    Returns
    -------
    list of str
        A sentence, or nothing. ``low`` and ``high`` are named when no score is beyond them, the
        strong ones when they lie twice as far out as any score.

    Examples
    --------
    >>> cuts = {"strong_low": -1.5, "low": -0.5, "high": 0.5, "strong_high": 1.5}
    >>> unreached_cuts(cuts, -0.9, 1.2), len(unreached_cuts(cuts, -0.9, 0.4))
    ([], 1)
    """
    furthest = max(abs(lowest), abs(highest))
    found = [
        name
        for name, cut in cuts.items()
        if cut is not None
        and (cut >= highest if name.endswith("high") else cut <= lowest)
        and (not name.startswith("strong_") or abs(cut) >= FAR_CUT * furthest)
    ]
    if not found:
        return []
    named = ", ".join(f"{name} {cuts[name]:g}" for name in found)
    return [
        f"No score of the window reaches {named}: scores go from {lowest:.2f} to {highest:.2f}, so "
        "states beyond never occur. Scores are weighted sums of z-scores: with weights that sum to "
        "1 in absolute value, cuts between 0.3 and 1.5 are usual."
    ]
