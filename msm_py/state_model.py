"""From scores to states: the rows of the dbt model ``states``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from msm_py.panel import Floats, Panel, floats, nullable
from msm_py.states import REGIMES_OF, StateRules, gate, run_state_machine, smooth

RULES = (
    "run_id",
    "min_coverage",
    "ema_span_days",
    "gate_max_abs_return",
    "n_regimes",
    "strong_low",
    "low",
    "high",
    "strong_high",
    "low_band",
    "high_band",
    "min_duration_days",
    "requires_stronger_signal",
)
SCHEMA = pa.schema(
    {
        "run_id": pa.string(),
        "date": pa.date32(),
        "score": pa.float64(),
        "feature_coverage": pa.float64(),
        "regime": pa.string(),
        "regime_order": pa.int32(),
        "regime_age_days": pa.int32(),
        "spell": pa.int32(),
    }
)


def states(runs: pa.Table, run_windows: pa.Table, scores: pa.Table) -> pa.Table:
    """Return one row per run and decision day: score, state in force after it, its age and spell.

    Parameters
    ----------
    runs, run_windows, scores
        The dbt models of these names. Runs with an error are left out.

    Returns
    -------
    Columns of ``SCHEMA``, ordered by run and date. ``score`` is the final one (smoothed and gated),
    NULL on a day without coverage; ``spell`` numbers the stays from 1. The row dated t depends on
    scores dated <= t only.
    """
    sound = run_windows.filter(pc.is_null(run_windows["error"])).select(["run_id", "first_date"])
    runs = runs.select(list(RULES)).join(sound, "run_id", join_type="inner").sort_by("run_id")
    scores = scores.join(sound, "run_id", join_type="inner")
    scores = scores.filter(pc.greater_equal(scores["date"], scores["first_date"]))
    if scores.num_rows == 0:
        return SCHEMA.empty_table()

    panel = Panel.of(scores, tuple(runs["run_id"].to_pylist()), "run_id")
    coverage = panel.matrix(scores["feature_coverage"])
    raw_score = panel.matrix(scores["raw_score"])
    raw_score[~(coverage > floats(runs["min_coverage"])[:, None])] = np.nan

    cuts = np.column_stack(
        [floats(runs[cut]) for cut in ("strong_low", "low", "high", "strong_high")]
    )
    score = gate(
        smooth(raw_score, floats(runs["ema_span_days"])),
        panel.matrix(scores["gate_btc_return"]),
        floats(runs["gate_max_abs_return"]),
        cuts[:, 2],
    )
    state, age = run_state_machine(
        score,
        np.argmax(~np.isnan(score), axis=1),
        StateRules(
            cuts=_unbounded_outer_cuts(cuts),
            low_band=floats(runs["low_band"]),
            high_band=floats(runs["high_band"]),
            min_duration_days=floats(runs["min_duration_days"]).astype(np.int64),
            requires_stronger_signal=floats(runs["requires_stronger_signal"]).astype(bool),
        ),
    )

    spell = np.cumsum(age == 0, axis=1)
    row, column = np.nonzero(~np.isnan(coverage))
    n_regimes = floats(runs["n_regimes"]).astype(np.int64)
    order = state - np.where(n_regimes == 3, 1, 0)[:, None]
    names = np.full((len(panel.keys), 5), "", dtype=object)
    for run, n in enumerate(n_regimes):
        names[run, :n] = REGIMES_OF[int(n)]
    return pa.table(
        [
            pa.array(panel.keys).take(pa.array(row)),
            panel.dates(column),
            nullable(score[row, column]),
            nullable(coverage[row, column]),
            pa.array(names[row, order[row, column]], type=pa.string()),
            pa.array(order[row, column].astype(np.int32)),
            pa.array(age[row, column].astype(np.int32)),
            pa.array(spell[row, column].astype(np.int32)),
        ],
        schema=SCHEMA,
    )


def _unbounded_outer_cuts(cuts: Floats) -> Floats:
    """Return the cuts with infinite outer ones for runs with three states, which have none."""
    bounds = np.array([-np.inf, 0.0, 0.0, np.inf])
    return np.where(np.isnan(cuts), bounds, cuts)
