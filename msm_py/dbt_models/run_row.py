"""One row per run: the columns of the dbt model ``runs``, and where an experiment says them.

What SQL reads of an experiment is declared here, once: name, type and description of a column are
a field of `RunRow`, and `run_row` gives its value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from msm_py.dbt_models.typed_rows import Int64
from msm_py.experiment import ids
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.schema import GridSearch, last_day
from msm_py.experiment.values import WEEKDAYS
from msm_py.regimes import REGIMES_OF
from msm_py.stats.blocks import Kind
from msm_py.stats.bootstrap import Method

Cuts = tuple[float | None, float | None, float | None, float | None]


@dataclass(frozen=True)
class RunFeature:
    """One feature of a run's score."""

    feature_set_id: Annotated[
        str,
        "Universe, features and what holds for all of them; runs that differ in weights share it.",
    ]
    feature_id: Annotated[str, "The feature's name in the registry."]
    feature_key: Annotated[str, "feature_id and, for funding features, how it is parametrised."]
    z_key: Annotated[str, "feature_key and how z-scores are made of it."]
    weight: Annotated[float, "Weight in the score, with the user's sign."]
    winsorize: Annotated[
        float | None,
        "Share of the window, at each end, whose values count as the quantile there; missing: "
        "values count as they are.",
    ]
    weighting: Annotated[
        str | None,
        "Funding features: how assets are averaged (oi, mcap, equal or median); else missing.",
    ]
    min_oi_coverage: Annotated[
        float | None,
        "Funding features: days whose oi_coverage is below it are missing; else missing.",
    ]


@dataclass(frozen=True)
class RunRegime:
    """One state that a run can be in."""

    regime: Annotated[str, "The state."]
    regime_order: Annotated[int, "Place of the state, 0 being the most ALTS one."]
    position_scale: Annotated[float, "Scale of the position in this state, 0 (flat) to 1."]


@dataclass(frozen=True)
class LongWeight:
    """One asset of the long leg."""

    asset_id: str
    weight: float


@dataclass(frozen=True)
class Range:
    """What a parameter is drawn from, evenly."""

    name: str
    least: float
    most: float


@dataclass(frozen=True)
class Search:
    """What candidates are drawn from, and by what the best one is chosen."""

    n_candidates: int
    seed: Int64
    objective: str
    horizon_days: int
    weights: tuple[Range, ...]
    thresholds: tuple[Range, ...]


@dataclass(frozen=True, kw_only=True)
class Universe:
    """The columns of a run's universe, which are those of the dbt model ``universes`` too."""

    universe_id: Annotated[
        str,
        "Hash of what decides which assets are alts: runs with the same universe share it.",
    ]
    majors: Annotated[tuple[str, ...], "Assets of the majors side."]
    exclude_assets: Annotated[tuple[str, ...], "Assets that the experiment excludes from alts."]
    rank_by: Annotated[str, "What the size of an asset is: marketcap or volume_30d."]
    min_mcap_usd: Annotated[
        float, "Least market cap of an alt on the day, USD; not asked for with volume_30d."
    ]
    min_volume_usd: Annotated[float, "Least 24-hour volume of an alt on the day, USD."]
    rank_median_days: Annotated[
        int,
        "Days over whose median market cap alts are admitted and ranked.",
    ]
    min_history_days: Annotated[
        int, "Least days from the first price to the day, both counted, of an alt; 0: any."
    ]
    listed_on: Annotated[
        tuple[str, ...], "Exchanges, on one of which an alt has an open perpetual; empty: any."
    ]
    max_abs_return_1d: Annotated[
        float | None,
        "Limit of returns beyond which a close is a bad price, decimal fraction; missing: none.",
    ]


@dataclass(frozen=True, kw_only=True)
class RunRow(Universe):
    """One run, that is one experiment on a lake with a code."""

    run_id: Annotated[
        str,
        "The run: experiment_id and ten hex digits of its definition, the lake and the code.",
    ]
    experiment_id: Annotated[str, "The experiment's own name."]
    title: Annotated[str, "One line that says what the experiment is."]
    category_path: Annotated[str, "Group of experiments; msm so far."]
    spec_json: Annotated[
        str,
        "The resolved experiment, every default filled in, as canonical JSON.",
    ]
    window_start: Annotated[
        date | None,
        "First day to decide on, as given; missing: as early as the lake allows.",
    ]
    window_end: Annotated[
        date | None,
        "Last day to decide on, as given, at the latest the day before the hold-out; "
        "missing: the lake's last day.",
    ]
    hidden_from: Annotated[
        date | None,
        "First day of the hold-out, when the run must not see it: no row dated on this "
        "day or later enters anything of the run. Missing: nothing is hidden.",
    ]
    is_unrecorded_look: Annotated[
        bool,
        "Whether the experiment wants its hold-out open although the ledger of looks has "
        "no entry of this run: then the run fails.",
    ]
    look_from: Annotated[
        date | None,
        "First day of the hold-out that the run looks at; missing: it looks at none.",
    ]
    basket_id: Annotated[str, "Hash of universe, size and weighting of the short basket."]
    long_weights_id: Annotated[str, "The long leg's weights as text."]
    feature_set_id: Annotated[
        str,
        "Universe, features and what holds for all of them; runs that differ in weights share it.",
    ]
    features: Annotated[
        tuple[RunFeature, ...],
        "The features with weight and parameters, ordered by feature_key.",
    ]
    feature_weights: Annotated[tuple[float, ...], "Their weights, in the same order."]
    feature_abs_weights: Annotated[
        tuple[float, ...],
        "Absolute values of the weights, in the same order.",
    ]
    zscore_window_days: Annotated[int, "Days of the trailing window of z-scores."]
    z_clip: Annotated[float | None, "Largest distance of a z-score from 0; missing: no limit."]
    min_coverage: Annotated[
        float,
        "A day decides only when its feature_coverage is above this share.",
    ]
    allow_missing_features: Annotated[
        bool,
        "Whether the run goes on without the tables that a feature needs.",
    ]
    long_weights: Annotated[
        tuple[LongWeight, ...], "The long leg: assets and weights that sum to 1."
    ]
    short_n: Annotated[int, "Members of the short basket, at most."]
    short_weighting: Annotated[str, "equal or mcap."]
    benchmark: Annotated[str, "What Y measures the alts against, btc or long_leg."]
    horizons_days: Annotated[tuple[int, ...], "Forward horizons, days."]
    n_regimes: Annotated[int, "Number of states, 5 or 3."]
    regimes: Annotated[
        tuple[RunRegime, ...],
        "The states from the ALTS to the MAJORS side, with their position scale.",
    ]
    strong_low: Annotated[
        float | None,
        "Cut below which the state is STRONG_RISK_ON_ALTS; missing with 3 states.",
    ]
    low: Annotated[float, "Cut below which the state is on the ALTS side."]
    high: Annotated[float, "Cut above which the state is on the MAJORS side."]
    strong_high: Annotated[
        float | None,
        "Cut above which the state is STRONG_RISK_ON_MAJORS; missing with 3 states.",
    ]
    low_band: Annotated[
        float,
        "Hysteresis (negative): how far below a cut the score must be to leave a MAJORS state.",
    ]
    high_band: Annotated[
        float,
        "Hysteresis: how far above a cut the score must be to leave an ALTS state.",
    ]
    min_duration_days: Annotated[int, "Age in days below which a state is harder to leave."]
    requires_stronger_signal: Annotated[
        bool,
        "Young states: true takes 1.5 times the band, false forbids any switch.",
    ]
    placebo_rotation_days: Annotated[
        int,
        "Days by which the states of a placebo are rotated in time; 0 for a run proper.",
    ]
    ema_span_days: Annotated[
        float | None,
        "Span of the score's exponential moving average; missing: none.",
    ]
    gate_btc_return_days: Annotated[
        int | None,
        "High-volatility gate: days of the BTC return; missing: no gate.",
    ]
    gate_max_abs_return: Annotated[
        float | None,
        "High-volatility gate: largest absolute BTC return that leaves the score alone; missing: "
        "no gate.",
    ]
    walk_forward: Annotated[bool, "Whether strategy metrics count test windows only."]
    lookback_window_days: Annotated[int, "Days before the first test window."]
    test_window_days: Annotated[int, "Days of a test window."]
    min_test_days: Annotated[int, "Fewest days for which a last, shorter test window counts."]
    grid_search: Annotated[
        Search | None, "The search for parameters before each test window; missing: none."
    ]
    with_regime_eval: Annotated[bool, "Whether states are evaluated against forward returns."]
    rebalance_frequency_days: Annotated[
        int | None,
        "Days between rebalances; missing when a weekday is given.",
    ]
    rebalance_weekday: Annotated[
        int | None,
        "Weekday of rebalances, 1 (Monday) to 7; missing when a frequency is given.",
    ]
    gross_long: Annotated[
        float,
        "Gross weight of the long leg at scale 1, share of net asset value.",
    ]
    gross_short: Annotated[
        float,
        "Gross weight of the short leg at scale 1, share of net asset value.",
    ]
    taker_fee_bps: Annotated[float, "Fee per trade, basis points of what is traded."]
    slippage_bps: Annotated[float, "Slippage per trade, basis points of what is traded."]
    funding_enabled: Annotated[bool, "Whether funding is charged."]
    execution_lag_days: Annotated[int, "Days from the decision to the close at which it is traded."]
    capital_usd: Annotated[float | None, "Capital for market impact, USD; missing: no impact."]
    impact_coefficient: Annotated[float, "Coefficient of the square-root law."]
    max_participation: Annotated[
        float,
        "Share of an asset's 20-day average volume up to which impact grows.",
    ]
    bootstrap_enabled: Annotated[bool, "Whether edges are tested."]
    bootstrap_method: Annotated[Method, "studentized or percentile."]
    bootstrap_kind: Annotated[Kind, "circular, moving or stationary."]
    bootstrap_block_size: Annotated[
        int | None,
        "Block length, days; missing: auto, the larger of 20 and 3 horizons.",
    ]
    n_boot: Annotated[int, "Bootstrap replicates."]
    seed: Annotated[Int64, "Seed of all random draws."]

    @property
    def cuts(self) -> Cuts:
        """The cuts between the states, as `msm_py.regimes.CUTS` names them."""
        return self.strong_low, self.low, self.high, self.strong_high


def run_row(run: ResolvedRun, recorded_looks: Collection[str] = ()) -> RunRow:
    """Return the row of a run.

    Parameters
    ----------
    run
        The run.
    recorded_looks
        Run ids that may see their hold-out.
    """
    experiment = run.experiment
    universe = experiment.universe
    target = experiment.target
    mapping = experiment.state_mapping
    backtest = experiment.backtest
    evaluation = experiment.evaluation
    may_look = evaluation.look and run.run_id in recorded_looks
    bootstrap = evaluation.bootstrap
    gate = mapping.high_vol_gate
    position_scale = backtest.position_scale
    # validation fills both in
    assert position_scale is not None
    assert experiment.title is not None
    feature_set_id = ids.feature_set_id(experiment)
    features = sorted(experiment.features, key=ids.feature_key)
    weekday = backtest.rebalance_weekday
    block_size = bootstrap.block_size
    return RunRow(
        run_id=run.run_id,
        experiment_id=experiment.experiment_id,
        title=experiment.title,
        category_path=experiment.category_path,
        spec_json=ids.canonical_json(ids.resolve(experiment)),
        window_start=experiment.window.start,
        window_end=last_day(experiment.window.end, evaluation.holdout_start, look=may_look),
        hidden_from=None if may_look else evaluation.holdout_start,
        is_unrecorded_look=evaluation.look and not may_look,
        look_from=evaluation.holdout_start if may_look else None,
        universe_id=ids.universe_id(experiment),
        basket_id=ids.basket_id(experiment),
        long_weights_id=ids.long_weights_id(experiment),
        feature_set_id=feature_set_id,
        majors=universe.majors,
        exclude_assets=universe.exclude_assets,
        min_mcap_usd=universe.min_mcap_usd,
        min_volume_usd=target.short_leg.min_volume_usd,
        rank_median_days=target.short_leg.rank_median_days,
        min_history_days=universe.min_history_days,
        listed_on=universe.listed_on,
        max_abs_return_1d=universe.max_abs_return_1d,
        rank_by=universe.rank_by,
        features=tuple(
            RunFeature(
                feature_set_id=feature_set_id,
                feature_id=feature.id,
                feature_key=ids.feature_key(feature),
                z_key=ids.z_key(feature, experiment.feature_params),
                winsorize=feature.winsorize,
                weight=feature.weight,
                weighting=None if feature.params is None else feature.params.weighting,
                min_oi_coverage=None if feature.params is None else feature.params.min_oi_coverage,
            )
            for feature in features
        ),
        feature_weights=tuple(feature.weight for feature in features),
        feature_abs_weights=tuple(abs(feature.weight) for feature in features),
        zscore_window_days=experiment.feature_params.zscore_window_days,
        z_clip=experiment.feature_params.z_clip,
        min_coverage=experiment.feature_params.min_coverage,
        allow_missing_features=experiment.allow_missing_features,
        long_weights=tuple(LongWeight(*item) for item in sorted(target.long_leg.weights.items())),
        short_n=target.short_leg.n,
        short_weighting=target.short_leg.weighting,
        benchmark=target.benchmark,
        horizons_days=target.horizons_days,
        n_regimes=mapping.n_regimes,
        regimes=tuple(
            RunRegime(
                regime=regime,
                regime_order=order,
                position_scale=position_scale.get(regime, 0.0),
            )
            for order, regime in enumerate(REGIMES_OF[mapping.n_regimes])
        ),
        strong_low=mapping.thresholds.strong_low,
        low=mapping.thresholds.low,
        high=mapping.thresholds.high,
        strong_high=mapping.thresholds.strong_high,
        low_band=mapping.hysteresis.low_band,
        high_band=mapping.hysteresis.high_band,
        min_duration_days=mapping.persistence.min_duration_days,
        requires_stronger_signal=mapping.persistence.requires_stronger_signal,
        placebo_rotation_days=mapping.placebo_rotation_days,
        ema_span_days=mapping.smoothing.ema_span_days,
        gate_btc_return_days=None if gate is None else gate.btc_return_days,
        gate_max_abs_return=None if gate is None else gate.max_abs_return,
        walk_forward=backtest.walk_forward,
        lookback_window_days=backtest.lookback_window_days,
        test_window_days=backtest.test_window_days,
        min_test_days=backtest.min_test_days,
        grid_search=_search(backtest.grid_search, target.horizons_days[0]),
        with_regime_eval=backtest.with_regime_eval,
        rebalance_frequency_days=backtest.rebalance_frequency_days,
        rebalance_weekday=None if weekday is None else WEEKDAYS.index(weekday) + 1,
        gross_long=backtest.gross.long,
        gross_short=backtest.gross.short,
        taker_fee_bps=backtest.costs.taker_fee_bps,
        slippage_bps=backtest.costs.slippage_bps,
        funding_enabled=backtest.costs.funding_enabled,
        execution_lag_days=backtest.execution_lag_days,
        capital_usd=backtest.capital_usd,
        impact_coefficient=backtest.impact_coefficient,
        max_participation=backtest.max_participation,
        bootstrap_enabled=bootstrap.enabled,
        bootstrap_method=bootstrap.method,
        bootstrap_kind=bootstrap.kind,
        bootstrap_block_size=None if block_size == "auto" else block_size,
        n_boot=bootstrap.n_boot,
        seed=bootstrap.seed,
    )


def _search(search: GridSearch | None, shortest_horizon: int) -> Search | None:
    if search is None:
        return None
    return Search(
        n_candidates=search.n_candidates,
        seed=search.seed,
        objective=search.objective,
        horizon_days=search.horizon_days or shortest_horizon,
        weights=_ranges(search.weights.items()),
        thresholds=_ranges(search.thresholds.items()),
    )


def _ranges(ranges: Iterable[tuple[str, tuple[float, ...]]]) -> tuple[Range, ...]:
    return tuple(Range(name, least, most) for name, (least, most) in ranges)
