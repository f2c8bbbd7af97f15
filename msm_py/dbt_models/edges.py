"""From states and forward returns to edges: the rows of the dbt model ``edges``."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from msm_py.dbt_models import typed_rows
from msm_py.dbt_models.run_row import RunRow
from msm_py.engine.panel import Panel, day_numbers, floats, nullable
from msm_py.regimes import ALL, REGIMES_OF
from msm_py.stats.bootstrap import BootstrapSettings
from msm_py.stats.inference import Edges, edge_names, edges


@dataclass(frozen=True)
class RunTarget:
    """What a run is judged by over one horizon, on the days of one sample."""

    run_id: str
    sample: str
    horizon_days: int
    target_id: str
    first_date: date
    last_paired_date: date


TARGET_COLUMNS: Final = typed_rows.names(RunTarget)
# a target must have ended within the sample
LAST_PAIRED: Final = "last_date - (execution_lag_days + horizon_days) as last_paired_date"
FLOATS: Final = (
    "estimate",
    "trade_edge",
    "se",
    "ci_low",
    "ci_high",
    "p_edge",
    "p_value",
    "p_shift",
    "p_ewc",
    "p_max_t",
)
COUNTS: Final = ("n_spells", "n_boot", "block_days", "n_redrawn")
SCHEMA: Final = pa.schema(
    {
        "run_id": pa.string(),
        "sample": pa.string(),
        "horizon_days": pa.int32(),
        "edge": pa.string(),
        "edge_order": pa.int32(),
        "regime": pa.string(),
        "against_regime": pa.string(),
        **dict.fromkeys(FLOATS, pa.float64()),
        "evidence": pa.string(),
        **dict.fromkeys(COUNTS, pa.int32()),
    }
)

# what runs must share to be tested together: pairs, horizon, regimes and the settings of the test
TestedTogether = tuple[int, int, int, BootstrapSettings]
# run, sample, on which days there is a pair, Y
Member = tuple[str, str, NDArray[np.bool_], NDArray[np.float64]]


def edge_rows(
    runs: pa.Table, run_targets: pa.Table, states: pa.Table, forward_returns: pa.Table
) -> pa.Table:
    """Return one row per run, sample, horizon and edge.

    Parameters
    ----------
    runs
        The model of that name.
    run_targets
        ``TARGET_COLUMNS``, a row for every run that is evaluated, sample and horizon.
    states, forward_returns
        The models of these names (states: run_id, date, regime_order, spell).

    Returns
    -------
    Columns of ``SCHEMA``, ordered by run, sample, horizon and edge.
    """
    if run_targets.num_rows == 0 or states.num_rows == 0:
        return SCHEMA.empty_table()
    asked = {run.run_id: run for run in typed_rows.from_table(runs, RunRow)}
    run_ids = tuple(sorted(set(run_targets["run_id"].to_pylist())))
    states = states.filter(pc.is_in(states["run_id"], value_set=pa.array(run_ids)))
    state_panel = Panel.of(states, run_ids, "run_id")
    regime = state_panel.matrix(states["regime_order"])
    spell = state_panel.matrix(states["spell"])
    row_of = {run_id: row for row, run_id in enumerate(run_ids)}
    targets = _targets(forward_returns, state_panel)

    groups: dict[TestedTogether, list[Member]] = defaultdict(list)
    ordered = run_targets.sort_by([("run_id", "ascending"), ("sample", "ascending")])
    for target, first, last in zip(
        typed_rows.from_table(ordered, RunTarget),
        day_numbers(ordered["first_date"]) - state_panel.first_day,
        day_numbers(ordered["last_paired_date"]) - state_panel.first_day,
        strict=True,
    ):
        run, horizon = asked[target.run_id], target.horizon_days
        y = targets[target.target_id, horizon]
        paired = ~np.isnan(y) & ~np.isnan(regime[row_of[run.run_id]])
        paired[: max(first, 0)] = False
        paired[max(last + 1, 0) :] = False
        if not paired.any() and target.sample != ALL:
            continue  # a hold-out shorter than the horizon
        group = (int(paired.sum()), horizon, run.n_regimes, _bootstrap(run))
        groups[group].append((run.run_id, target.sample, paired, y))

    tables = []
    for (n_pairs, horizon, n_regimes, bootstrap), members in groups.items():
        rows = [row_of[run_id] for run_id, _, _, _ in members]
        shape = (len(members), n_pairs)
        result = edges(
            np.concatenate([y[paired] for _, _, paired, y in members]).reshape(shape),
            _pairs(regime, rows, members).reshape(shape),
            _pairs(spell, rows, members).reshape(shape),
            horizon_days=horizon,
            n_regimes=n_regimes,
            bootstrap=bootstrap,
        )
        tables.append(_table(members, horizon, n_regimes, result))
    return pa.concat_tables(tables).sort_by(
        [(name, "ascending") for name in ("run_id", "sample", "horizon_days", "edge_order")]
    )


def _pairs(
    matrix: NDArray[np.float64],
    rows: list[int],
    members: list[Member],
) -> NDArray[np.int64]:
    taken = [matrix[row, paired] for row, (_, _, paired, _) in zip(rows, members, strict=True)]
    return np.concatenate(taken).astype(np.int64)


def _targets(forward_returns: pa.Table, panel: Panel) -> dict[tuple[str, int], NDArray[np.float64]]:
    """Return Y on the days of the states' panel, by target and horizon; NaN where missing."""
    legs = tuple(sorted(set(forward_returns["target_id"].to_pylist())))
    horizons = sorted(set(forward_returns["horizon_days"].to_pylist()))
    days = forward_returns["date"].cast(pa.date32()).cast(pa.int32()).to_numpy() - panel.first_day
    leg = np.searchsorted(np.array(legs), np.array(forward_returns["target_id"].to_pylist()))
    horizon = np.searchsorted(horizons, forward_returns["horizon_days"].to_numpy())
    judged = (days >= 0) & (days < panel.n_days)
    y = np.full((len(legs), len(horizons), panel.n_days), np.nan)
    y[leg[judged], horizon[judged], days[judged]] = floats(forward_returns["forward_return"])[
        judged
    ]
    return {(a, h): y[i, j] for i, a in enumerate(legs) for j, h in enumerate(horizons)}


def _bootstrap(run: RunRow) -> BootstrapSettings:
    return BootstrapSettings(
        enabled=run.bootstrap_enabled,
        method=run.bootstrap_method,
        kind=run.bootstrap_kind,
        block_size=run.bootstrap_block_size,
        n_boot=run.n_boot,
        seed=run.seed,
    )


def _table(members: list[Member], horizon: int, n_regimes: int, result: Edges) -> pa.Table:
    regimes = REGIMES_OF[n_regimes]
    names = edge_names(regimes)
    # the place -1, which is none, is the last one
    regime_names = pa.array([*regimes, None])
    n_rows = len(members) * len(names)
    run_ids, samples, _, _ = zip(*members, strict=True)
    each = np.repeat(np.arange(len(members)), len(names))
    columns = {
        "run_id": pa.array(run_ids).take(each),
        "sample": pa.array(samples).take(each),
        "horizon_days": pa.array(np.full(n_rows, horizon, dtype=np.int32)),
        "edge": pa.array(list(names) * len(members)),
        "edge_order": pa.array(np.tile(np.arange(len(names), dtype=np.int32), len(members))),
        "regime": regime_names.take(result.regime.ravel() % (n_regimes + 1)),
        "against_regime": regime_names.take(result.against.ravel() % (n_regimes + 1)),
        **{name: nullable(getattr(result, name).ravel()) for name in FLOATS},
        "evidence": pa.array(result.evidence.ravel().tolist(), type=pa.string()),
        **{name: pa.array(getattr(result, name).ravel().astype(np.int32)) for name in COUNTS},
    }
    return pa.table(columns, schema=SCHEMA)
