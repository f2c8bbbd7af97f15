"""The schema of an experiment: what a YAML may say, the defaults, and the rules.

The models are plain declarations; every field is described once, here, and the JSON Schema that
editors use is generated from it (``make schema``). They touch no file:
which features exist comes in through the validation context. Lists that mean a set (features,
majors, horizons, ...) are kept sorted, so that equal meaning is equal data.
"""

from __future__ import annotations

import math
from datetime import date, timedelta
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    field_serializer,
    model_validator,
)

from msm_py.experiment.values import (
    LONGEST_DAYS,
    MOST_ASSETS,
    MOST_FEATURES,
    MOST_HORIZONS,
    MOST_MAJORS,
    AssetId,
    BasisPoints,
    Days,
    DaysFromZero,
    Multiple,
    NotNegative,
    NotPositive,
    Number,
    Positive,
    PositiveUsd,
    Seed,
    Share,
    Usd,
    Weekday,
    bounded,
    known_feature,
    read_block_size,
    sorted_unique,
)
from msm_py.lake.contract import LEAST_MARKETCAP_USD, LEAST_VOLUME_USD
from msm_py.regimes import REGIMES_OF
from msm_py.stats.blocks import Kind
from msm_py.stats.bootstrap import BootstrapSettings, Method, can_draw
from msm_py.text import did_you_mean
from msm_py.values import Date, Text, read_integer, read_number, read_text, rule

DEFAULT_POSITION_SCALE: dict[int, dict[str, float]] = {
    5: {"WEAK_RISK_ON_MAJORS": 0.6, "STRONG_RISK_ON_MAJORS": 1.0},
    3: {"RISK_ON_MAJORS": 1.0},
}
DEFAULT_STRONG_CUT = 1.5
FEATURES_WITH_PARAMS = ("funding_skew", "funding_heating")
WEIGHT_TOLERANCE = 1e-9
MOST_VARIANTS = 100_000
LONGEST_MEDIAN_DAYS: Final = 365
MOST_HISTORY_DAYS: Final = 3_650
MOST_EXCHANGES: Final = 100
MOST_WINSORIZED: Final = 0.25
"""Half of the window keeps its values."""
RUINOUS_WEIGHT: Final = 2.0
"""Gross weight of a leg, times net asset value, at which a move of 50% in a day takes all."""


class Section(BaseModel):
    """A map of the YAML: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def _fill(self, **values: object) -> None:
        """Set defaults that depend on other fields, while validating and never later."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


class Window(Section):
    """The days on which decisions, positions and evaluation happen."""

    start: Date | None = Field(
        default=None, description="First decision day, YYYY-MM-DD; null: as early as the lake has."
    )
    end: Date | None = Field(
        default=None, description="Last decision day, YYYY-MM-DD; null: as late as the lake has."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start is not None and self.end is not None and self.start > self.end:
            raise rule(
                "the window starts after it ends",
                key="start",
                received=f"start {self.start}, end {self.end}",
                remedy="give a start on or before the end",
            )
        return self


class Universe(Section):
    """Which assets are looked at."""

    majors: Annotated[
        tuple[AssetId, ...], Field(max_length=MOST_MAJORS), AfterValidator(sorted_unique)
    ] = Field(default=("BTC", "ETH"), description="Asset ids of the majors; BTC is always one.")
    exclude_assets: Annotated[
        tuple[AssetId, ...], Field(max_length=MOST_ASSETS), AfterValidator(sorted_unique)
    ] = Field(
        default=(),
        description="Asset ids that are never alts, besides stable, wrapped and exchange tokens.",
    )
    rank_by: Literal["marketcap", "volume_30d"] = Field(
        default="marketcap",
        description="What the size of an asset is, by which alts are ranked and totals weighted: "
        "its market cap, or the median volume of its last 30 days, for lakes without market caps.",
    )
    min_mcap_usd: Usd = Field(
        default=LEAST_MARKETCAP_USD, description="Least market cap of an alt, in USD."
    )
    min_history_days: Annotated[
        int, Field(ge=0, le=MOST_HISTORY_DAYS), BeforeValidator(read_integer)
    ] = Field(
        default=0,
        description="Least age of an alt: days from its first price in the lake to the day, both "
        "counted; 0: any.",
    )
    listed_on: Annotated[
        tuple[Text, ...], Field(max_length=MOST_EXCHANGES), AfterValidator(sorted_unique)
    ] = Field(
        default=(),
        description="Exchanges, as dim_listing names them: an alt has an open perpetual on one of "
        "them at the close of the day. Empty: not asked for.",
    )
    max_abs_return_1d: Positive | None = Field(
        default=None,
        description="A day on which an asset's return is further from 0 than this has no close and "
        "no return of it: a bad price. A decimal fraction, 2 is 200%; null: no limit.",
    )

    @model_validator(mode="after")
    def _majors(self) -> Self:
        if "BTC" not in self.majors:
            raise rule(
                "BTC is not among the majors",
                key="majors",
                received=list(self.majors),
                remedy="add BTC: alts are measured against it",
            )
        both = sorted(set(self.majors) & set(self.exclude_assets))
        if both:
            raise rule(
                "a major is excluded",
                key="exclude_assets",
                received=both[0],
                remedy="remove it from exclude_assets or from majors; majors are never alts",
            )
        return self


class FundingParams(Section):
    """How the funding rates of a group of assets become one number."""

    weighting: Literal["oi", "mcap", "equal", "median"] = Field(
        default="oi",
        description="Average by open interest, by market cap, equally, or take the median.",
    )
    min_oi_coverage: Annotated[float, Field(ge=0, le=1), BeforeValidator(read_number)] = Field(
        default=0.0,
        description="Days whose share of funding assets with open interest is below are missing.",
    )


class Feature(Section):
    """One feature of the score."""

    id: Annotated[Text, AfterValidator(known_feature)] = Field(
        description="A feature id of seeds/feature_registry.csv."
    )
    weight: Number = Field(
        description="Weight of its z-score; the sign is yours, a high score is the MAJORS side."
    )
    params: FundingParams | None = Field(
        default=None, description="Parameters, for funding_skew and funding_heating only."
    )
    winsorize: (
        Annotated[float, Field(gt=0, le=MOST_WINSORIZED), BeforeValidator(read_number)] | None
    ) = Field(
        default=None,
        description="Share of the z-score window, at each end, whose values count as the quantile "
        "there: 0.05 is 5% below and 5% above; null: values count as they are.",
    )

    @model_validator(mode="before")
    @classmethod
    def _params_where_allowed(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        feature_id, params = data.get("id"), data.get("params")
        if isinstance(feature_id, str):
            feature_id = feature_id.strip()
        if feature_id in FEATURES_WITH_PARAMS:
            return {**data, "params": {} if params is None else params}
        if isinstance(feature_id, str) and params:
            raise rule(
                f"{feature_id} takes no params",
                key="params",
                received=params,
                remedy=f"remove it; params belong to {' and '.join(FEATURES_WITH_PARAMS)}",
            )
        return {**data, "params": None} if params == {} else data

    @field_serializer("params")
    def _params_as_map(self, params: FundingParams | None) -> dict[str, Any]:
        return {} if params is None else params.model_dump()


def _unique_features(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    seen: set[str] = set()
    for index, feature in enumerate(features):
        if feature.id in seen:
            raise rule(
                "a feature is listed twice",
                key=f"[{index}].id",
                received=feature.id,
                remedy="keep one entry per feature and add their weights",
            )
        seen.add(feature.id)
    if not any(feature.weight for feature in features):
        raise rule(
            "no feature has a weight other than 0",
            received={feature.id: feature.weight for feature in features},
            remedy="give at least one feature a weight",
        )
    return tuple(sorted(features, key=lambda feature: feature.id))


class FeatureParams(Section):
    """What holds for all features."""

    zscore_window_days: Annotated[
        int, Field(ge=2, le=LONGEST_DAYS), BeforeValidator(read_integer)
    ] = Field(default=60, description="Days of the trailing z-score window, today included.")
    z_clip: Positive | None = Field(
        default=None,
        description="A z-score further from 0 than this counts as this far; null: no limit.",
    )
    min_coverage: Share = Field(
        default=0.0,
        description="The first decision day has a feature coverage above this share of |weight|.",
    )


class LongLeg(Section):
    """The long leg: fixed weights on majors."""

    weights: Annotated[dict[AssetId, Positive], Field(max_length=MOST_MAJORS)] = Field(
        default={"BTC": 1.0}, description="Weight per asset id: majors only, summing to 1."
    )

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = math.fsum(self.weights.values())
        if abs(total - 1) > WEIGHT_TOLERANCE:
            raise rule(
                "the weights of the long leg do not sum to 1",
                key="weights",
                received=f"{self.weights}, sum {total:.10g}",
                remedy="scale them so that they sum to 1; gross.long sets how much is invested",
            )
        self._fill(weights=dict(sorted(self.weights.items())))
        return self


class ShortLeg(Section):
    """The short leg: a basket of the largest alts."""

    n: Annotated[int, Field(ge=1, le=MOST_ASSETS), BeforeValidator(read_integer)] = Field(
        default=20, description="Number of alts in the basket, by market cap."
    )
    weighting: Literal["equal", "mcap"] = Field(
        default="equal", description="Weight of the members at a rebalance."
    )
    min_volume_usd: Usd = Field(
        default=LEAST_VOLUME_USD,
        description="Least 24 h volume of an alt, in USD (universe and basket).",
    )
    rank_median_days: Annotated[
        int, Field(ge=1, le=LONGEST_MEDIAN_DAYS), BeforeValidator(read_integer)
    ] = Field(
        default=1,
        description="Alts are admitted and ranked by the median of their market cap over so many "
        "days, all present; 1: by that of the day.",
    )


class Target(Section):
    """What is traded and over which horizons it is judged."""

    long_leg: LongLeg = Field(default=LongLeg(), description="The long leg.")
    short_leg: ShortLeg = Field(default=ShortLeg(), description="The short leg.")
    benchmark: Literal["btc", "long_leg"] = Field(
        default="btc", description="What Y measures the alts against: BTC, or the long leg."
    )
    horizons_days: Annotated[
        tuple[Days, ...],
        Field(min_length=1, max_length=MOST_HORIZONS),
        AfterValidator(sorted_unique),
    ] = Field(default=(1, 5, 10, 20), description="Horizons of the forward returns, in days.")


class Thresholds(Section):
    """The cuts between the states, on the score."""

    strong_low: Number | None = Field(
        default=None, description="Cut to STRONG_RISK_ON_ALTS; -1.5 with 5 regimes, none with 3."
    )
    low: Number = Field(default=-0.5, description="Cut between BALANCED and the ALTS side.")
    high: Number = Field(default=0.5, description="Cut between BALANCED and the MAJORS side.")
    strong_high: Number | None = Field(
        default=None, description="Cut to STRONG_RISK_ON_MAJORS; 1.5 with 5 regimes, none with 3."
    )


class Hysteresis(Section):
    """How far the score must pass a cut on the way back to BALANCED."""

    low_band: NotPositive = Field(
        default=-0.3, description="Added to the cut when leaving a MAJORS state; 0 or negative."
    )
    high_band: NotNegative = Field(
        default=0.3, description="Added to the cut when leaving an ALTS state; 0 or positive."
    )


class Persistence(Section):
    """How young states are protected."""

    min_duration_days: DaysFromZero = Field(
        default=3, description="A state is young while its age in days is below this."
    )
    requires_stronger_signal: StrictBool = Field(
        default=True,
        description="True: bands count 1.5 times while young. False: no switch at all while young.",
    )


class Smoothing(Section):
    """Smoothing of the score."""

    ema_span_days: Days | None = Field(
        default=None, description="Span of an EMA of the score, alpha = 2 / (span + 1); null: none."
    )


class HighVolGate(Section):
    """Caps the score after large BTC moves; off unless given."""

    btc_return_days: Days = Field(default=7, description="Days of the BTC return looked at.")
    max_abs_return: Positive = Field(
        default=0.15, description="Above this absolute return the score is capped at `high`."
    )


class StateMapping(Section):
    """From the score to the state."""

    n_regimes: Annotated[Literal[3, 5], BeforeValidator(read_integer)] = Field(
        default=5, description="Number of states, 5 or 3."
    )
    thresholds: Thresholds = Field(default=Thresholds(), description="Cuts between the states.")
    hysteresis: Hysteresis = Field(default=Hysteresis(), description="Bands around the cuts.")
    persistence: Persistence = Field(default=Persistence(), description="Minimum duration.")
    smoothing: Smoothing = Field(default=Smoothing(), description="Smoothing of the score.")
    high_vol_gate: HighVolGate | None = Field(
        default=None, description="High-volatility gate; null: off."
    )
    placebo_rotation_days: DaysFromZero = Field(
        default=0,
        description="A placebo unless 0: the states of the decision days are rotated by this many "
        "days before they are traded and judged. It knows the future: for comparison only.",
    )

    @model_validator(mode="after")
    def _thresholds(self) -> Self:
        cuts = self.thresholds
        if self.n_regimes == 3:
            for name in ("strong_low", "strong_high"):
                if getattr(cuts, name) is not None:
                    raise rule(
                        f"{name} is given, but 3 regimes have no strong states",
                        key=f"thresholds.{name}",
                        received=getattr(cuts, name),
                        remedy=f"remove {name}, or use n_regimes: 5",
                    )
            names = ["low", "high"]
        else:
            low, high = cuts.strong_low, cuts.strong_high
            cuts = cuts.model_copy(
                update={
                    "strong_low": -DEFAULT_STRONG_CUT if low is None else low,
                    "strong_high": DEFAULT_STRONG_CUT if high is None else high,
                }
            )
            self._fill(thresholds=cuts)
            names = ["strong_low", "low", "high", "strong_high"]
        values = [getattr(cuts, name) for name in names]
        if any(left >= right for left, right in pairwise(values)):
            raise rule(
                "the thresholds are not in order",
                key="thresholds",
                received=", ".join(f"{n} {v}" for n, v in zip(names, values, strict=True)),
                remedy=f"they must satisfy {' < '.join(names)}; one left out has its default",
            )
        return self


class Gross(Section):
    """Gross exposure of each leg at a position scale of 1."""

    long: Multiple = Field(default=0.5, description="Gross weight of the long leg.")
    short: Multiple = Field(default=0.5, description="Gross weight of the short leg.")


class Costs(Section):
    """Costs of trading and holding."""

    taker_fee_bps: BasisPoints = Field(default=5.0, description="Fee, basis points of trade.")
    slippage_bps: BasisPoints = Field(default=5.0, description="Slippage, basis points of trade.")
    funding_enabled: StrictBool = Field(
        default=True, description="Whether positions pay and receive funding."
    )


H = TypeVar("H", int, float)
PAIR: dict[str, Any] = {"minItems": 2, "maxItems": 2}


def ordered_pair(pair: tuple[H, ...]) -> tuple[H, ...]:
    """Return a pair of thresholds, the first below the second."""
    if len(pair) != 2 or not pair[0] < pair[1]:
        raise rule(
            "{name} must be two numbers, the smaller one first",
            remedy="write them as a list, such as [1, 2]",
        )
    return pair


def _ranges(ranges: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    return dict(sorted(ranges.items()))


ThresholdName = Literal["strong_low", "low", "high", "strong_high"]
CandidateRange = Annotated[tuple[Number, ...], AfterValidator(ordered_pair)]


class GridSearch(Section):
    """Parameters chosen anew before each test window, on its lookback only."""

    n_candidates: Annotated[int, Field(ge=2, le=100_000), BeforeValidator(read_integer)] = Field(
        default=50, description="Number of candidates, the same ones before each test window."
    )
    seed: Seed = Field(default=42, description="Seed of the candidates.")
    objective: Literal["net_sharpe", "majors_edge", "spread_t"] = Field(
        default="net_sharpe",
        description="What the best candidate has most of: Sharpe ratio of net returns, minus "
        "edge_best, or minus the t of the spread.",
    )
    horizon_days: Days | None = Field(
        default=None,
        description="Horizon of majors_edge and spread_t, one of target.horizons_days; the "
        "shortest unless given.",
    )
    weights: Annotated[dict[Text, CandidateRange], AfterValidator(_ranges)] = Field(
        default={},
        description="Map feature id: [least, most] weight, drawn evenly; a feature not named has "
        "its own weight. All are then scaled to a sum of absolute weights of 1.",
    )
    thresholds: Annotated[dict[ThresholdName, CandidateRange], AfterValidator(_ranges)] = Field(
        default={}, description="Map threshold: [least, most], drawn evenly."
    )

    @model_validator(mode="after")
    def _searches_something(self) -> Self:
        if not (self.weights or self.thresholds):
            raise rule(
                "the search has nothing to search",
                remedy="give ranges: weights: {momentum: [0, 1]} or thresholds: {high: [0.3, 0.7]}",
            )
        return self


class Backtest(Section):
    """How the states are traded and which days count."""

    walk_forward: StrictBool = Field(
        default=True, description="True: metrics count test windows only. False: every day counts."
    )
    lookback_window_days: Days = Field(
        default=252, description="Days before the first test window."
    )
    test_window_days: Days = Field(default=63, description="Days of one test window.")
    min_test_days: Days = Field(
        default=20, description="Least days at which a last, shorter test window counts."
    )
    grid_search: GridSearch | None = Field(
        default=None,
        description="Choose weights and thresholds before each test window; null: they are fixed.",
    )
    with_regime_eval: StrictBool = Field(
        default=True, description="Whether forward returns are evaluated by regime."
    )
    rebalance_frequency_days: Days | None = Field(
        default=None,
        description="Days between rebalances; 1 unless given. Excludes rebalance_weekday.",
    )
    rebalance_weekday: Weekday | None = Field(
        default=None,
        description="Rebalance on this weekday instead. Excludes rebalance_frequency_days.",
    )
    gross: Gross = Field(default=Gross(), description="Gross exposure of the legs.")
    position_scale: dict[Text, Multiple] | None = Field(
        default=None,
        description="Share of the gross held in each state; a given map replaces the whole default "
        "(WEAK_RISK_ON_MAJORS 0.6, STRONG_RISK_ON_MAJORS 1; RISK_ON_MAJORS 1 with 3 regimes), "
        "states not listed are 0.",
    )
    costs: Costs = Field(default=Costs(), description="Costs.")
    execution_lag_days: DaysFromZero = Field(
        default=0, description="Days between a decision's close and the close it is traded at."
    )
    capital_usd: PositiveUsd | None = Field(
        default=None, description="Capital for market impact, in USD; null: no impact."
    )
    impact_coefficient: NotNegative = Field(
        default=1.0, description="Coefficient of the square-root impact law."
    )
    max_participation: Positive = Field(
        default=0.25,
        description="Share of an asset's 20-day average volume up to which impact grows; a trade "
        "above it is charged as one of that share, and counted.",
    )

    @model_validator(mode="after")
    def _one_rebalance_rule(self) -> Self:
        if self.rebalance_weekday is None:
            self._fill(rebalance_frequency_days=self.rebalance_frequency_days or 1)
        elif self.rebalance_frequency_days is not None:
            raise rule(
                "rebalance_weekday and rebalance_frequency_days exclude each other",
                key="rebalance_weekday",
                received=f"rebalance_weekday {self.rebalance_weekday}, "
                f"rebalance_frequency_days {self.rebalance_frequency_days}",
                remedy="keep one of the two",
            )
        return self


BOOTSTRAP: Final = BootstrapSettings()


class Bootstrap(Section):
    """Inference on the edges."""

    enabled: StrictBool = Field(
        default=BOOTSTRAP.enabled, description="Whether edges are bootstrapped."
    )
    method: Method = Field(
        default=BOOTSTRAP.method, description="Studentised (default) or the classic percentile one."
    )
    kind: Kind = Field(
        default=BOOTSTRAP.kind,
        description="Kind of blocks; the studentised method has circular ones.",
    )
    block_size: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=1)], BeforeValidator(read_block_size)
    ] = Field(default="auto", description="Days per block; auto: max(20, 3 x horizon).")
    n_boot: Annotated[int, Field(ge=19, le=1_000_000), BeforeValidator(read_integer)] = Field(
        default=BOOTSTRAP.n_boot, description="Replicates; from 19 on a p-value can reach 5%."
    )
    seed: Seed = Field(default=BOOTSTRAP.seed, description="Seed of the random numbers.")

    @model_validator(mode="after")
    def _kind_of_the_method(self) -> Self:
        if not can_draw(self.method, self.kind):
            raise rule(
                "the studentized bootstrap has circular blocks only",
                key="kind",
                received=self.kind,
                remedy="remove kind, or use method: percentile",
            )
        return self


class Evaluation(Section):
    """How the states are judged."""

    bootstrap: Bootstrap = Field(default=Bootstrap(), description="The bootstrap.")
    holdout_start: Date | None = Field(
        default=None,
        description="Hides everything from this day on: the window ends the day before, unless "
        "`msm run --look` opens it.",
    )
    look: StrictBool = Field(
        default=False,
        description="Whether the hold-out is open; `msm run --look` sets it and records the look.",
    )


def last_day(end: date | None, holdout_start: date | None, *, look: bool) -> date | None:
    """Return the last day of a window: the hold-out is hidden unless it is looked at.

    Examples
    --------
    >>> last_day(None, date(2025, 1, 1), look=False)
    datetime.date(2024, 12, 31)
    """
    if holdout_start is None or look:
        return end
    shown = holdout_start - timedelta(days=1)
    return shown if end is None else min(shown, end)


class Experiment(Section):
    """An experiment: one question asked of one lake."""

    experiment_id: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=200), BeforeValidator(read_text)
    ] = Field(description="Name of the experiment: lower-case letters, digits and underscores.")
    title: Text | None = Field(
        default=None, description="A line for people; the experiment_id unless given."
    )
    description: Text | None = Field(default=None, description="What is asked, and why.")
    category_path: Literal["msm"] = Field(
        default="msm", description="Group of experiments; only `msm` exists."
    )
    window: Window = Field(default=Window(), description="The days looked at.")
    universe: Universe = Field(default=Universe(), description="The assets looked at.")
    features: Annotated[
        tuple[Feature, ...],
        Field(min_length=1, max_length=MOST_FEATURES),
        BeforeValidator(bounded),
        AfterValidator(_unique_features),
    ] = Field(description="The features of the score and their weights.")
    feature_params: FeatureParams = Field(
        default=FeatureParams(), description="What holds for all features."
    )
    target: Target = Field(default=Target(), description="What is traded, over which horizons.")
    state_mapping: StateMapping = Field(
        default=StateMapping(), description="From the score to the state."
    )
    backtest: Backtest = Field(default=Backtest(), description="How the states are traded.")
    evaluation: Evaluation = Field(default=Evaluation(), description="How the states are judged.")
    allow_missing_features: StrictBool = Field(
        default=False,
        description="Run although the lake lacks a table that a feature needs; it is then missing.",
    )
    allow_extreme: StrictBool = Field(
        default=False,
        description="Run although a move of 50% against a leg, or the cost of the entry, takes "
        "everything.",
    )

    @model_validator(mode="after")
    def _across_sections(self) -> Self:
        self._check_long_leg()
        self._check_sizes()
        self._check_holdout()
        self._check_window()
        self._check_grid_search()
        self._fill_position_scale()
        if not self.allow_extreme:
            self._check_ruin()
        if self.title is None:
            self._fill(title=self.experiment_id)
        return self

    def _check_long_leg(self) -> None:
        for asset in self.target.long_leg.weights:
            if asset not in self.universe.majors:
                raise rule(
                    "the long leg holds an asset that is no major",
                    key=f"target.long_leg.weights.{asset}",
                    received=asset,
                    remedy="add it to universe.majors, or hold only majors "
                    f"({', '.join(self.universe.majors)})",
                )

    def _check_sizes(self) -> None:
        """See that nothing asks for market caps where assets are ranked by volume."""
        if self.universe.rank_by == "marketcap":
            return
        leg = self.target.short_leg
        asking: dict[str, tuple[object, object, str]] = {
            "target.short_leg.weighting": (leg.weighting, "mcap", "equal"),
            "target.short_leg.rank_median_days": (leg.rank_median_days != 1, True, "1"),
        }
        asking |= {
            f"features.{x.id}.params.weighting": (x.params.weighting, "mcap", "oi or equal")
            for x in self.features
            if x.params is not None
        }
        for key, (given, wanted, instead) in asking.items():
            if given == wanted:
                raise rule(
                    f"{key.rpartition('.')[2]} asks for market caps, and assets are ranked by "
                    "volume",
                    key=key,
                    received="rank_by volume_30d",
                    remedy=f"write {instead}, or universe.rank_by: marketcap",
                )

    def _check_holdout(self) -> None:
        holdout, start = self.evaluation.holdout_start, self.window.start
        if holdout is None:
            if self.evaluation.look:
                raise rule(
                    "there is no hold-out to look at",
                    key="evaluation.look",
                    received=True,
                    remedy="give evaluation.holdout_start, or remove look",
                )
        elif start is not None and holdout <= start:
            raise rule(
                "the hold-out hides the whole window",
                key="evaluation.holdout_start",
                received=f"{holdout}, while the window starts on {start}",
                remedy="give a later holdout_start",
            )

    def _check_grid_search(self) -> None:
        search, where = self.backtest.grid_search, "backtest.grid_search"
        if search is None:
            return
        if not self.backtest.walk_forward:
            raise rule(
                "a search needs test windows",
                key=where,
                received="walk_forward false",
                remedy="set backtest.walk_forward: true, or remove grid_search",
            )
        ids = [feature.id for feature in self.features]
        for name in search.weights:
            if name not in ids:
                close = did_you_mean(name, ids)
                raise rule(
                    "the search weighs a feature that the experiment does not have",
                    key=f"{where}.weights.{name}",
                    received=name,
                    remedy=(f"did you mean {close}? " if close else "")
                    + f"the features are {', '.join(ids)}",
                )
        horizons = self.target.horizons_days
        if search.horizon_days is not None and search.horizon_days not in horizons:
            raise rule(
                "the search's horizon is not among the experiment's",
                key=f"{where}.horizon_days",
                received=search.horizon_days,
                remedy=f"give one of target.horizons_days: {', '.join(map(str, horizons))}",
            )
        purged = horizons[-1] + self.backtest.execution_lag_days
        if self.backtest.lookback_window_days <= purged + 1:
            raise rule(
                "the purge leaves nothing of the lookback to score candidates on",
                key="backtest.lookback_window_days",
                received=f"{self.backtest.lookback_window_days} days, of which {purged} are purged",
                remedy="give a longer lookback, or shorter horizons",
            )
        self._check_threshold_ranges(search)

    def _check_threshold_ranges(self, search: GridSearch) -> None:
        """Every draw must be in order, whatever the others are."""
        given = self.state_mapping.thresholds.model_dump()
        ranges = {
            name: search.thresholds.get(name, (cut, cut))  # type: ignore[call-overload]
            for name, cut in given.items()
            if cut is not None
        }
        for name in search.thresholds:
            if name not in ranges:
                raise rule(
                    f"{name} is searched, but 3 regimes have no strong states",
                    key=f"backtest.grid_search.thresholds.{name}",
                    received=list(search.thresholds[name]),
                    remedy=f"remove {name}, or use n_regimes: 5",
                )
        for (lower, below), (upper, above) in pairwise(ranges.items()):
            if below[-1] >= above[0]:
                raise rule(
                    "the ranges of the thresholds overlap",
                    key="backtest.grid_search.thresholds",
                    received=f"{lower} up to {below[-1]}, {upper} from {above[0]}",
                    remedy=f"keep {lower} below {upper} in every draw; one without a range has "
                    "the experiment's value",
                )

    def _check_window(self) -> None:
        start, end = (
            self.window.start,
            last_day(self.window.end, self.evaluation.holdout_start, look=self.evaluation.look),
        )
        if not self.backtest.walk_forward or start is None or end is None:
            return
        days = (end - start).days + 1
        needed = self.backtest.lookback_window_days + self.backtest.min_test_days
        if days < needed:
            raise rule(
                "the window is too short for walk-forward",
                key="window",
                received=f"{start} to {end}, {days} days",
                remedy=f"give at least {needed} days (backtest.lookback_window_days "
                f"{self.backtest.lookback_window_days} + backtest.min_test_days "
                f"{self.backtest.min_test_days}), or backtest.walk_forward: false",
            )

    def _check_ruin(self) -> None:
        """Refuse what is ruined by construction: known from the settings, whatever the lake."""
        backtest = self.backtest
        scale = max((backtest.position_scale or {}).values(), default=0.0)
        for leg, move in (("long", "fall"), ("short", "rise")):
            weight = getattr(backtest.gross, leg) * scale
            if weight >= RUINOUS_WEIGHT:
                raise rule(
                    f"the {leg} leg is so large that one day can take everything",
                    key=f"backtest.gross.{leg}",
                    received=f"gross.{leg} {getattr(backtest.gross, leg):g} x position_scale "
                    f"{scale:g} = {weight:g} times net asset value: a {move} of {1 / weight:.2g} "
                    "in a day is ruin",
                    remedy="weights are multiples of net asset value, 0.5 is 50%; give less than "
                    f"{RUINOUS_WEIGHT:g} in all, or set allow_extreme: true",
                )
        costs = backtest.costs
        cost_bps = costs.taker_fee_bps + costs.slippage_bps
        entry = (backtest.gross.long + backtest.gross.short) * scale * cost_bps / 10_000
        if entry >= 1:
            raise rule(
                "the cost of the entry takes everything",
                key="backtest.costs",
                received=f"{cost_bps:g} basis points of a trade of "
                f"{(backtest.gross.long + backtest.gross.short) * scale:g} times net asset value",
                remedy="a basis point is 0.01%; give lower costs, or set allow_extreme: true",
            )

    def _fill_position_scale(self) -> None:
        n_regimes = self.state_mapping.n_regimes
        states, given = REGIMES_OF[n_regimes], self.backtest.position_scale
        # one map may serve experiments with three states and with five, as the default does
        serves_both = any(state in states for state in given or ())
        known = (
            {state for names in REGIMES_OF.values() for state in names} if serves_both else states
        )
        for state in given or ():
            if state not in known:
                close = did_you_mean(state, states)
                raise rule(
                    f"no such state with {n_regimes} regimes",
                    key=f"backtest.position_scale.{state}",
                    received=state,
                    remedy=(f"did you mean {close}? " if close else "")
                    + f"the states are {', '.join(states)}",
                )
        scale = DEFAULT_POSITION_SCALE[n_regimes] if given is None else given
        # A copy, because the default sections are shared between experiments.
        filled = {"position_scale": {state: scale.get(state, 0.0) for state in states}}
        self._fill(backtest=self.backtest.model_copy(update=filled))
