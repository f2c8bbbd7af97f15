"""From legs, z-scores and forward returns to chosen parameters: the dbt model `search_windows`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from msm_py._typing import Floats, Ints
from msm_py.dbt_models import typed_rows
from msm_py.dbt_models.run_row import Cuts, Range, RunRow, Search
from msm_py.dbt_models.strategies import Strategy
from msm_py.engine.panel import day_numbers, floats, z_matrix
from msm_py.engine.state_machine import (
    StateRules,
    gate,
    run_state_machine,
    smooth,
    unbounded,
    weighted_scores,
)
from msm_py.engine.strategy_returns import Leg, net_returns
from msm_py.engine.walk_forward import (
    Candidates,
    Window,
    best_candidate,
    draw_candidates,
    majors_edge,
    spread_t,
    windows,
)
from msm_py.stats.bootstrap import BootstrapSettings
from msm_py.stats.sharpe import net_sharpe

DAY_0: Final = date(1970, 1, 1)


@dataclass(frozen=True)
class SearchWindow:
    """What a run with a search chose for one test window."""

    run_id: str
    window_number: int
    first_date: date
    last_date: date
    scored_from: date
    scored_until: date
    candidate: int | None
    objective_value: float | None
    weights: tuple[float, ...]
    strong_low: float | None
    low: float | None
    high: float | None
    strong_high: float | None

    @property
    def cuts(self) -> Cuts:
        """The cuts between the states, as `msm_py.regimes.CUTS` names them."""
        return self.strong_low, self.low, self.high, self.strong_high


@dataclass(frozen=True)
class RunWindow:
    """The decision days of a run without an error."""

    run_id: str
    first_date: date
    n_days: int


SCHEMA: Final = typed_rows.schema(SearchWindow)


@dataclass(frozen=True)
class Days:
    """The decision days of a run as matrix columns."""

    first: int
    n: int

    def column(self, table: pa.Table, name: str, missing: float = np.nan) -> Floats:
        """Return a column of a table with one row per date, by day of the run."""
        day = day_numbers(table["date"]) - self.first
        inside = (day >= 0) & (day < self.n)
        out = np.full(self.n, missing)
        out[day[inside]] = np.nan_to_num(floats(table[name])[inside], nan=missing)
        return out


def search_windows(models: Mapping[str, pa.Table]) -> pa.Table:
    """Return one row per run with a search and test window: what was chosen on its lookback.

    Parameters
    ----------
    models
        By name: runs, run_windows, strategies, run_regimes, scores, z_lists, rebalances, leg_days,
        leg_weights, leg_funding, impact_inputs and forward_returns, at least the rows that runs
        with a search need.

    Returns
    -------
    Columns of ``SCHEMA``, ordered by run and window. A row depends on rows dated before its
    first_date only. ``candidate`` counts from 1; it is NULL where no candidate's objective is
    defined, and the parameters are the experiment's own.
    """
    run_windows = models["run_windows"]
    run_windows = run_windows.filter(pc.is_null(run_windows["error"]))
    sound = {x.run_id: x for x in typed_rows.from_table(run_windows, RunWindow)}
    strategies = {x.strategy_id: x for x in typed_rows.from_table(models["strategies"], Strategy)}
    rows: list[SearchWindow] = []
    legs: dict[_LegKey, Leg] = {}
    made: dict[RunRow, list[SearchWindow]] = {}
    runs = typed_rows.from_table(models["runs"], RunRow)
    for run in sorted(runs, key=lambda run: run.run_id):
        if run.grid_search is None or run.run_id not in sound:
            continue
        question = _searched(run)
        if question not in made:
            window, strategy = sound[run.run_id], strategies[run.run_id]
            search = _Search(models, run, run.grid_search, window, strategy, legs)
            made[question] = search.chosen()
        rows.extend(replace(row, run_id=run.run_id) for row in made[question])
    return typed_rows.to_table(rows, SearchWindow)


def _searched(run: RunRow) -> RunRow:
    """Return a run without what a search never sees: its placebos share the search."""
    return replace(
        run,
        run_id="",
        experiment_id="",
        title="",
        spec_json="",
        placebo_rotation_days=0,
        bootstrap_enabled=False,
        with_regime_eval=False,
    )


# leg, gross, capital, coefficient of impact, most participation
_LegKey = tuple[str, float, float | None, float, float]


class _Search:
    """The search of one run."""

    def __init__(
        self,
        models: Mapping[str, pa.Table],
        run: RunRow,
        search: Search,
        window: RunWindow,
        strategy: Strategy,
        legs: dict[_LegKey, Leg],
    ) -> None:
        self._models = models
        self._run = run
        self._strategy = strategy
        self._legs = legs
        self._days = Days(_day(window.first_date), window.n_days)
        self._spec = search
        self._own_cuts = np.array([np.nan if cut is None else cut for cut in run.cuts])
        self._candidates = draw_candidates(
            n_candidates=self._spec.n_candidates,
            seed=self._spec.seed,
            features=[feature.feature_id for feature in run.features],
            weights=np.array(run.feature_weights),
            cuts=self._own_cuts,
            weight_ranges=_ranges(search.weights),
            cut_ranges=_ranges(search.thresholds),
        )

    def chosen(self) -> list[SearchWindow]:
        """Return the rows of the run's test windows."""
        run, spec = self._run, self._spec
        regime, spell = self._states(self._candidates)
        if spec.objective == "net_sharpe":
            traded = self._net_returns(regime)
        else:
            y = self._forward_returns(spec.horizon_days)
        rows = []
        for number, window in enumerate(
            windows(
                self._days.n,
                lookback_days=run.lookback_window_days,
                test_days=run.test_window_days,
                purged_days=max(run.horizons_days) + run.execution_lag_days,
            ),
            start=1,
        ):
            if spec.objective == "net_sharpe":
                values = net_sharpe(traded[:, window.scored])
                # of a candidate that was ruined there is nothing to choose
                values[(traded[:, : window.scored_until] <= -1).any(axis=1)] = np.nan
            else:
                scored = (y[window.scored], regime[:, window.scored], spell[:, window.scored])
                n_regimes = run.n_regimes
                if spec.objective == "majors_edge":
                    values = majors_edge(*scored, n_regimes=n_regimes)
                else:
                    values = spread_t(*scored, n_regimes=n_regimes, block_days=self._block_days)
            rows.append(self._row(number, window, values))
        return rows

    def _row(self, number: int, window: Window, values: Floats) -> SearchWindow:
        best = best_candidate(values)
        weights = np.array(self._run.feature_weights)
        cuts = self._own_cuts
        if best is not None:
            weights, cuts = self._candidates.weights[best], self._candidates.cuts[best]
        strong_low, low, high, strong_high = (None if np.isnan(x) else float(x) for x in cuts)
        return SearchWindow(
            run_id=self._run.run_id,
            window_number=number,
            first_date=self._date(window.first),
            last_date=self._date(window.end - 1),
            scored_from=self._date(window.scored_from),
            scored_until=self._date(window.scored_until - 1),
            candidate=None if best is None else best + 1,
            objective_value=None if best is None else float(values[best]),
            weights=tuple(weights.tolist()),
            strong_low=strong_low,
            low=low,
            high=high,
            strong_high=strong_high,
        )

    def _date(self, day: int) -> date:
        return DAY_0 + timedelta(days=self._days.first + day)

    # --- what candidates would have been and done

    def _block_days(self, n_pairs: int) -> int:
        settings = BootstrapSettings(block_size=self._run.bootstrap_block_size)
        return settings.block_days(horizon_days=self._spec.horizon_days, n=n_pairs)

    def _states(self, candidates: Candidates) -> tuple[Ints, Ints]:
        """Return regime (0, the most ALTS, to n_regimes - 1) and spell by candidate and day."""
        run, n = self._run, len(candidates.weights)

        def repeated(value: Any) -> NDArray[Any]:
            return np.full(n, np.nan if value is None else value)

        scored = _rows(self._models["scores"], "run_id", run.run_id)
        covered = self._days.column(scored, "feature_coverage") > run.min_coverage
        raw = weighted_scores(self._z_values(), candidates.weights)
        raw[:, ~covered] = np.nan
        btc_return = self._days.column(scored, "gate_btc_return")
        score = gate(
            smooth(raw, repeated(run.ema_span_days)),
            np.broadcast_to(btc_return, raw.shape),
            repeated(run.gate_max_abs_return),
            candidates.cuts[:, 2],
        )
        state, age = run_state_machine(
            score,
            np.zeros(n, dtype=np.int64),
            StateRules(
                cuts=unbounded(candidates.cuts),
                low_band=repeated(run.low_band),
                high_band=repeated(run.high_band),
                min_duration_days=repeated(run.min_duration_days).astype(np.int64),
                requires_stronger_signal=repeated(run.requires_stronger_signal).astype(bool),
            ),
        )
        return state - (1 if run.n_regimes == 3 else 0), np.cumsum(age == 0, axis=1)

    def _z_values(self) -> Floats:
        lists = _rows(self._models["z_lists"], "feature_set_id", self._run.feature_set_id)
        return z_matrix(lists, self._days.first, self._days.n)

    def _forward_returns(self, horizon_days: int) -> Floats:
        found = _rows(self._models["forward_returns"], "target_id", self._strategy.target_id)
        found = found.filter(pc.equal(found["horizon_days"], horizon_days))
        return self._days.column(found, "forward_return")

    def _net_returns(self, regime: Ints) -> Floats:
        run = self._run
        scale_of = np.zeros(run.n_regimes)
        for item in run.regimes:
            scale_of[item.regime_order] = item.position_scale
        lag = run.execution_lag_days
        scale = np.zeros(regime.shape)
        scale[:, lag:] = scale_of[regime][:, : self._days.n - lag]
        leg_days = _rows(self._models["leg_days"], "leg_id", self._strategy.short_leg_id)
        scale[:, np.isnan(self._days.column(leg_days, "value_after"))] = 0.0
        rebalances = _rows(self._models["rebalances"], "schedule_id", self._strategy.schedule_id)
        trade_day = day_numbers(rebalances["trade_date"]) - self._days.first
        is_rebalance_day = np.isin(np.arange(self._days.n), trade_day)
        return net_returns(
            scale,
            is_rebalance_day,
            self._leg(self._strategy.long_leg_id, run.gross_long),
            self._leg(self._strategy.short_leg_id, run.gross_short),
            cost_bps=run.taker_fee_bps + run.slippage_bps,
            funding_enabled=run.funding_enabled,
        )

    def _leg(self, leg_id: str, gross: float) -> Leg:
        run = self._run
        impact = (run.capital_usd, run.impact_coefficient, run.max_participation)
        key = (leg_id, gross, *impact)
        if key not in self._legs:
            self._legs[key] = self._new_leg(leg_id, gross)
        return self._legs[key]

    def _new_leg(self, leg_id: str, gross: float) -> Leg:
        days, run = self._days, self._run
        leg_days = _rows(self._models["leg_days"], "leg_id", leg_id)
        weights = _rows(self._models["leg_weights"], "leg_id", leg_id)
        funding = _rows(self._models["leg_funding"], "leg_id", leg_id)
        assets = tuple(sorted(set(weights["asset_id"].to_pylist())))
        before = _by_asset(weights, "weight_before", days, assets)
        impact, most_impact = np.zeros_like(before), np.zeros_like(before)
        if run.capital_usd is not None:
            inputs, limit = self._models["impact_inputs"], run.max_abs_return_1d
            of_limit = inputs["max_abs_return_1d"]
            inputs = inputs.filter(
                pc.is_null(of_limit) if limit is None else pc.equal(of_limit, limit)
            )
            sigma = _by_asset(inputs, "sigma_20d", days, assets)
            volume = _by_asset(inputs, "adv_20d_usd", days, assets)
            known = (sigma > 0) & (volume > 0)
            impact[known] = (
                run.impact_coefficient * sigma[known] * np.sqrt(run.capital_usd / volume[known])
            )
            most_impact[known] = (
                run.impact_coefficient * sigma[known] * np.sqrt(run.max_participation)
            )
        return Leg(
            gross=gross,
            leg_return=days.column(leg_days, "leg_return", missing=0.0),
            weight_before=before,
            weight_after=_by_asset(weights, "weight_after", days, assets),
            funding_rate=days.column(funding, "funding_rate", missing=0.0),
            impact=impact,
            most_impact=most_impact,
        )


def _by_asset(table: pa.Table, name: str, days: Days, assets: tuple[str, ...]) -> Floats:
    """Return a column of a table with a row per date and asset as (days, assets), 0 if missing."""
    table = table.filter(pc.is_in(table["asset_id"], value_set=pa.array(assets, pa.string())))
    day = day_numbers(table["date"]) - days.first
    inside = (day >= 0) & (day < days.n)
    asset = pc.index_in(table["asset_id"], value_set=pa.array(assets, pa.string())).to_numpy()
    out = np.zeros((days.n, len(assets)))
    out[day[inside], asset[inside]] = np.nan_to_num(floats(table[name])[inside])
    return out


def _rows(table: pa.Table, key: str, value: str) -> pa.Table:
    return table.filter(pc.equal(table[key], value))


def _ranges(ranges: tuple[Range, ...]) -> dict[str, tuple[float, float]]:
    return {one.name: (one.least, one.most) for one in ranges}


def _day(day: date) -> int:
    return (day - DAY_0).days
