"""The experiments of an invocation as typed rows: the dbt models ``lake`` and ``runs``."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from msm_py.errors import MsmError
from msm_py.experiment import ids, load
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.schema import Experiment, GridSearch, last_day
from msm_py.experiment.values import WEEKDAYS
from msm_py.lake.contract import TABLES
from msm_py.lake.opening import Lake, fingerprint
from msm_py.regimes import REGIMES_OF
from msm_py.text import did_you_mean
from msm_py.yaml_file import read_back

VARIABLES: Final = ("experiments", "experiments_file")

LAKE_SCHEMA: Final = pa.schema(
    {
        "name": pa.string(),
        "fingerprint": pa.string(),
        "max_stale_days": pa.int32(),
        "funding_units": pa.list_(
            pa.struct(
                {
                    "exchange": pa.string(),
                    "from_date": pa.date32(),
                    "until_date": pa.date32(),
                    "units_per_one": pa.float64(),
                    "interval_hours": pa.float64(),
                }
            )
        ),
        "tables": pa.list_(pa.struct({"table_name": pa.string(), "n_rows": pa.int64()})),
    }
)

RANGE: Final = pa.struct({"name": pa.string(), "least": pa.float64(), "most": pa.float64()})

RUNS_SCHEMA: Final = pa.schema(
    {
        "run_id": pa.string(),
        "experiment_id": pa.string(),
        "title": pa.string(),
        "category_path": pa.string(),
        "spec_json": pa.string(),
        "window_start": pa.date32(),
        "window_end": pa.date32(),
        "hidden_from": pa.date32(),
        "is_unrecorded_look": pa.bool_(),
        "look_from": pa.date32(),
        "universe_id": pa.string(),
        "basket_id": pa.string(),
        "long_weights_id": pa.string(),
        "feature_set_id": pa.string(),
        "majors": pa.list_(pa.string()),
        "exclude_assets": pa.list_(pa.string()),
        "min_mcap_usd": pa.float64(),
        "min_volume_usd": pa.float64(),
        "rank_median_days": pa.int32(),
        "max_abs_return_1d": pa.float64(),
        "features": pa.list_(
            pa.struct(
                {
                    "feature_set_id": pa.string(),
                    "feature_id": pa.string(),
                    "feature_key": pa.string(),
                    "weight": pa.float64(),
                    "weighting": pa.string(),
                    "min_oi_coverage": pa.float64(),
                }
            )
        ),
        "feature_weights": pa.list_(pa.float64()),
        "feature_abs_weights": pa.list_(pa.float64()),
        "zscore_window_days": pa.int32(),
        "min_coverage": pa.float64(),
        "allow_missing_features": pa.bool_(),
        "long_weights": pa.list_(pa.struct({"asset_id": pa.string(), "weight": pa.float64()})),
        "short_n": pa.int32(),
        "short_weighting": pa.string(),
        "benchmark": pa.string(),
        "horizons_days": pa.list_(pa.int32()),
        "n_regimes": pa.int32(),
        "regimes": pa.list_(
            pa.struct(
                {
                    "regime": pa.string(),
                    "regime_order": pa.int32(),
                    "position_scale": pa.float64(),
                }
            )
        ),
        "strong_low": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "strong_high": pa.float64(),
        "low_band": pa.float64(),
        "high_band": pa.float64(),
        "min_duration_days": pa.int32(),
        "requires_stronger_signal": pa.bool_(),
        "placebo_rotation_days": pa.int32(),
        "ema_span_days": pa.float64(),
        "gate_btc_return_days": pa.int32(),
        "gate_max_abs_return": pa.float64(),
        "walk_forward": pa.bool_(),
        "lookback_window_days": pa.int32(),
        "test_window_days": pa.int32(),
        "min_test_days": pa.int32(),
        "grid_search": pa.struct(
            {
                "n_candidates": pa.int32(),
                "seed": pa.int64(),
                "objective": pa.string(),
                "horizon_days": pa.int32(),
                "weights": pa.list_(RANGE),
                "thresholds": pa.list_(RANGE),
            }
        ),
        "with_regime_eval": pa.bool_(),
        "rebalance_frequency_days": pa.int32(),
        "rebalance_weekday": pa.int32(),
        "gross_long": pa.float64(),
        "gross_short": pa.float64(),
        "taker_fee_bps": pa.float64(),
        "slippage_bps": pa.float64(),
        "funding_enabled": pa.bool_(),
        "execution_lag_days": pa.int32(),
        "capital_usd": pa.float64(),
        "impact_coefficient": pa.float64(),
        "max_participation": pa.float64(),
        "bootstrap_enabled": pa.bool_(),
        "bootstrap_method": pa.string(),
        "bootstrap_kind": pa.string(),
        "bootstrap_block_size": pa.int32(),
        "n_boot": pa.int32(),
        "seed": pa.int64(),
    }
)


@dataclass(frozen=True)
class Given:
    """The experiments of an invocation.

    Parameters
    ----------
    experiments
        In the order in which they were given.
    expected_run_ids
        By experiment_id, the run ids that stood beside them, if any did: what `msm vars` worked out
        for the lake and the code that it saw.
    """

    experiments: tuple[Experiment, ...]
    expected_run_ids: Mapping[str, str]


def given_experiments(variables: str) -> Given:
    """Return the experiments that dbt's variables carry, validated.

    Parameters
    ----------
    variables
        All variables of the invocation as YAML text: ``experiments``, a list, and
        ``experiments_file``, the path of a JSON file with such a list. It may name environment
        variables ($NAME): dbt parses the project again when a variable has changed, so a constant
        one that points elsewhere saves seconds.

    Raises
    ------
    MsmError
        When a variable is unknown, both are given, the file cannot be read, or as
        `msm_py.experiment.load.experiments_from_vars`.
    """
    by_name = read_back(variables)
    for name in by_name:
        if name not in VARIABLES:
            close = did_you_mean(str(name), VARIABLES)
            raise MsmError(
                "unknown variable",
                where="--vars",
                received=str(name),
                remedy=(f"did you mean {close}? " if close else "")
                + f"the variables are {' and '.join(VARIABLES)}",
            )
    given, file = (by_name.get(name) for name in VARIABLES)
    where = "experiments"
    if file:
        if given:
            raise MsmError(
                "both variables for experiments are given",
                where="--vars",
                received="experiments and experiments_file",
                remedy="give one of them",
            )
        if not isinstance(file, str):
            raise MsmError(
                "experiments_file is not a path",
                where="--vars",
                received=file,
                remedy="write it with `msm vars EXPERIMENT.yaml --out FILE`, and give FILE",
            )
        where = os.path.expandvars(file)
        given = load.read_experiments_file(where)
    expected = {}
    if isinstance(given, list):
        expected = {
            str(item.get("experiment_id")): str(item["run_id"])
            for item in given
            if isinstance(item, dict) and "run_id" in item
        }
        given = [
            {key: value for key, value in item.items() if key != "run_id"}
            if isinstance(item, dict)
            else item
            for item in given
        ]
    return Given(tuple(load.experiments_from_vars(given, where=where)), expected)


def lake_table(lake: Lake | None) -> pa.Table:
    """Return the one row of the model ``lake``; none without a lake."""
    if lake is None:
        return LAKE_SCHEMA.empty_table()
    row = {
        "name": lake.settings.name,
        "fingerprint": fingerprint(lake),
        "max_stale_days": lake.settings.max_stale_days,
        "funding_units": [
            {
                "exchange": unit.exchange,
                "from_date": unit.from_date,
                "until_date": unit.until_date,
                "units_per_one": unit.units_per_one,
                "interval_hours": unit.interval_hours,
            }
            for unit in lake.settings.funding_units
        ],
        "tables": [
            {
                "table_name": name,
                "n_rows": lake.tables[name].n_rows if name in lake.tables else 0,
            }
            for name in TABLES
        ],
    }
    return pa.Table.from_pylist([row], schema=LAKE_SCHEMA)


def runs_table(
    given: Given,
    lake_fingerprint: str,
    code_fingerprint: str,
    recorded_looks: Collection[str] = (),
) -> pa.Table:
    """Return one typed row per run, ordered by run_id.

    Parameters
    ----------
    given
        The experiments.
    lake_fingerprint, code_fingerprint
        What the run ids hash besides the experiment.
    recorded_looks
        Run ids that may see their hold-out. Any other one that would look sees nothing of it and
        is marked.

    Raises
    ------
    MsmError
        When a run id was expected that this lake and this code do not give.
    """
    rows = [
        _row(ResolvedRun.of(experiment, lake_fingerprint, code_fingerprint), recorded_looks)
        for experiment in given.experiments
    ]
    rows.sort(key=lambda row: str(row["run_id"]))
    for row in rows:
        expected = given.expected_run_ids.get(row["experiment_id"], row["run_id"])
        if expected != row["run_id"]:
            raise MsmError(
                "the experiment was rendered for another lake or other code",
                where=f"run_id of {row['experiment_id']}",
                received=f"{expected}, while this lake and this code give {row['run_id']}",
                remedy="render it again with `msm vars`, with MSM_LAKE set to the same lake",
            )
    return pa.Table.from_pylist(rows, schema=RUNS_SCHEMA).cast(RUNS_SCHEMA)


def _row(run: ResolvedRun, recorded_looks: Collection[str]) -> dict[str, Any]:
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
    assert position_scale is not None  # validation fills it in
    zscore_window_days = experiment.feature_params.zscore_window_days
    universe_id = ids.universe_id(experiment)
    features = sorted(experiment.features, key=ids.feature_key)
    feature_keys = [ids.feature_key(feature) for feature in features]
    feature_set_id = f"{universe_id}-{zscore_window_days}-{'+'.join(feature_keys)}"
    long_weights = sorted(target.long_leg.weights.items())
    weekday = backtest.rebalance_weekday
    block_size = bootstrap.block_size
    return {
        "run_id": run.run_id,
        "experiment_id": experiment.experiment_id,
        "title": experiment.title,
        "category_path": experiment.category_path,
        "spec_json": ids.canonical_json(ids.resolve(experiment)),
        "window_start": experiment.window.start,
        "window_end": last_day(experiment.window.end, evaluation.holdout_start, look=may_look),
        "hidden_from": None if may_look else evaluation.holdout_start,
        "is_unrecorded_look": evaluation.look and not may_look,
        "look_from": evaluation.holdout_start if may_look else None,
        "universe_id": universe_id,
        "basket_id": ids.basket_id(experiment),
        "long_weights_id": json.dumps(long_weights),
        "feature_set_id": feature_set_id,
        "majors": universe.majors,
        "exclude_assets": universe.exclude_assets,
        "min_mcap_usd": universe.min_mcap_usd,
        "min_volume_usd": target.short_leg.min_volume_usd,
        "rank_median_days": target.short_leg.rank_median_days,
        "max_abs_return_1d": universe.max_abs_return_1d,
        "features": [
            {
                "feature_set_id": feature_set_id,
                "feature_id": feature.id,
                "feature_key": key,
                "weight": feature.weight,
                "weighting": feature.params and feature.params.weighting,
                "min_oi_coverage": feature.params and feature.params.min_oi_coverage,
            }
            for feature, key in zip(features, feature_keys, strict=True)
        ],
        "feature_weights": [feature.weight for feature in features],
        "feature_abs_weights": [abs(feature.weight) for feature in features],
        "zscore_window_days": zscore_window_days,
        "min_coverage": experiment.feature_params.min_coverage,
        "allow_missing_features": experiment.allow_missing_features,
        "long_weights": [{"asset_id": asset, "weight": weight} for asset, weight in long_weights],
        "short_n": target.short_leg.n,
        "short_weighting": target.short_leg.weighting,
        "benchmark": target.benchmark,
        "horizons_days": target.horizons_days,
        "n_regimes": mapping.n_regimes,
        "regimes": [
            {
                "regime": regime,
                "regime_order": order,
                "position_scale": position_scale.get(regime, 0.0),
            }
            for order, regime in enumerate(REGIMES_OF[mapping.n_regimes])
        ],
        "strong_low": mapping.thresholds.strong_low,
        "low": mapping.thresholds.low,
        "high": mapping.thresholds.high,
        "strong_high": mapping.thresholds.strong_high,
        "low_band": mapping.hysteresis.low_band,
        "high_band": mapping.hysteresis.high_band,
        "min_duration_days": mapping.persistence.min_duration_days,
        "requires_stronger_signal": mapping.persistence.requires_stronger_signal,
        "placebo_rotation_days": mapping.placebo_rotation_days,
        "ema_span_days": mapping.smoothing.ema_span_days,
        "gate_btc_return_days": gate and gate.btc_return_days,
        "gate_max_abs_return": gate and gate.max_abs_return,
        "walk_forward": backtest.walk_forward,
        "lookback_window_days": backtest.lookback_window_days,
        "test_window_days": backtest.test_window_days,
        "min_test_days": backtest.min_test_days,
        "grid_search": _search(backtest.grid_search, target.horizons_days[0]),
        "with_regime_eval": backtest.with_regime_eval,
        "rebalance_frequency_days": backtest.rebalance_frequency_days,
        "rebalance_weekday": None if weekday is None else WEEKDAYS.index(weekday) + 1,
        "gross_long": backtest.gross.long,
        "gross_short": backtest.gross.short,
        "taker_fee_bps": backtest.costs.taker_fee_bps,
        "slippage_bps": backtest.costs.slippage_bps,
        "funding_enabled": backtest.costs.funding_enabled,
        "execution_lag_days": backtest.execution_lag_days,
        "capital_usd": backtest.capital_usd,
        "impact_coefficient": backtest.impact_coefficient,
        "max_participation": backtest.max_participation,
        "bootstrap_enabled": bootstrap.enabled,
        "bootstrap_method": bootstrap.method,
        "bootstrap_kind": bootstrap.kind,
        "bootstrap_block_size": None if block_size == "auto" else block_size,
        "n_boot": bootstrap.n_boot,
        "seed": bootstrap.seed,
    }


def _search(search: GridSearch | None, shortest_horizon: int) -> dict[str, Any] | None:
    if search is None:
        return None
    return {
        "n_candidates": search.n_candidates,
        "seed": search.seed,
        "objective": search.objective,
        "horizon_days": search.horizon_days or shortest_horizon,
        "weights": _ranges(search.weights.items()),
        "thresholds": _ranges(search.thresholds.items()),
    }


def _ranges(ranges: Iterable[tuple[str, tuple[float, ...]]]) -> list[dict[str, Any]]:
    return [{"name": name, "least": least, "most": most} for name, (least, most) in ranges]
