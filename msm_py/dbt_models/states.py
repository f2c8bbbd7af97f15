"""From scores to states: the rows of the dbt model ``states``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from msm_py._typing import Floats
from msm_py.dbt_models import typed_rows
from msm_py.dbt_models.search_windows import SearchWindow
from msm_py.engine.panel import Panel, day_numbers, floats, nullable, z_matrix
from msm_py.engine.state_machine import (
    StateRules,
    gate,
    rotate,
    run_state_machine,
    smooth,
    unbounded,
    weighted_scores,
)
from msm_py.regimes import CUTS, REGIMES_OF

RULES = (
    "run_id",
    "feature_set_id",
    "min_coverage",
    "ema_span_days",
    "gate_max_abs_return",
    "n_regimes",
    *CUTS,
    "low_band",
    "high_band",
    "min_duration_days",
    "requires_stronger_signal",
    "placebo_rotation_days",
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


def states(
    runs: pa.Table,
    run_windows: pa.Table,
    scores: pa.Table,
    search_windows: pa.Table,
    z_lists: pa.Table,
) -> pa.Table:
    """Return one row per run and decision day: score, state in force after it, its age and spell.

    Parameters
    ----------
    runs, run_windows, scores
        The dbt models of these names. Runs with an error are left out.
    search_windows, z_lists
        The dbt models of these names: parameters that runs with a search chose for their test
        windows, and the z-scores that these weigh anew. The machine goes on from the state that it
        is in.

    Returns
    -------
    Columns of ``SCHEMA``, ordered by run and date. ``score`` is the final one (smoothed and gated),
    NULL on a day without coverage; ``spell`` numbers the stays from 1. The row dated t depends on
    scores dated <= t only, except in placebos, whose states are rotated in time.
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

    cuts = np.column_stack([floats(runs[cut]) for cut in CUTS])
    if search_windows.num_rows:
        cuts = np.repeat(cuts[:, None], panel.n_days, axis=1)
        _apply_chosen(search_windows, z_lists, runs, panel, raw_score, cuts)
    score = gate(
        smooth(raw_score, floats(runs["ema_span_days"])),
        panel.matrix(scores["gate_btc_return"]),
        floats(runs["gate_max_abs_return"]),
        cuts[..., 2],
    )
    first_day = np.argmax(~np.isnan(score), axis=1)
    state, age = run_state_machine(
        score,
        first_day,
        StateRules(
            cuts=unbounded(cuts),
            low_band=floats(runs["low_band"]),
            high_band=floats(runs["high_band"]),
            min_duration_days=floats(runs["min_duration_days"]).astype(np.int64),
            requires_stronger_signal=floats(runs["requires_stronger_signal"]).astype(bool),
        ),
    )

    state, age = rotate(
        state,
        age,
        first_day,
        (~np.isnan(coverage)).sum(axis=1),
        floats(runs["placebo_rotation_days"]).astype(np.int64),
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


def _apply_chosen(
    search_windows: pa.Table,
    z_lists: pa.Table,
    runs: pa.Table,
    panel: Panel,
    raw_score: Floats,
    cuts: Floats,
) -> None:
    """Put the chosen weights and cuts in force on the days of their test windows."""
    row_of = {run_id: row for row, run_id in enumerate(panel.keys)}
    set_of = dict(zip(runs["run_id"].to_pylist(), runs["feature_set_id"].to_pylist(), strict=True))
    first = day_numbers(search_windows["first_date"]) - panel.first_day
    end = day_numbers(search_windows["last_date"]) - panel.first_day + 1
    z_scores: dict[str, Floats] = {}
    for place, window in enumerate(typed_rows.from_table(search_windows, SearchWindow)):
        feature_set_id, row = set_of[window.run_id], row_of[window.run_id]
        if feature_set_id not in z_scores:
            lists = z_lists.filter(pc.equal(z_lists["feature_set_id"], feature_set_id))
            z_scores[feature_set_id] = z_matrix(lists, panel.first_day, panel.n_days)
        days = slice(first[place], end[place])
        chosen = weighted_scores(z_scores[feature_set_id][days], np.array([window.weights]))[0]
        covered = ~np.isnan(raw_score[row, days])
        raw_score[row, days] = np.where(covered, chosen, np.nan)
        cuts[row, days] = [np.nan if cut is None else cut for cut in window.cuts]
