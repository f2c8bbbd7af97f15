"""What stands in the files of a run folder, from the rows of the models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from msm_py._typing import Row
from msm_py.dbt_models import quality
from msm_py.dbt_models.run_row import RunRow
from msm_py.dbt_models.strategies import Strategy
from msm_py.experiment.plausibility import doubtful_settings, unreached_cuts
from msm_py.experiment.schema import Backtest, Experiment
from msm_py.regimes import ALL, BEFORE, CUTS, HOLDOUT
from msm_py.stats.sharpe import net_sharpe, sign_flips
from msm_py.store import catalog_columns, formats, layout, origin, run_folder
from msm_py.store.formats import without, without_nan
from msm_py.store.origin import Provenance
from msm_py.store.shared_files import PanelFiles, RowsByKey

ONE_DAY: Final = timedelta(days=1)
WHY_MISSING: Final = "ratios_missing_because"
PERFORMANCE: Final = (
    *("n_days", "n_invested_days"),
    *catalog_columns.PERFORMANCE,
    WHY_MISSING,
)
TRADING: Final = ("avg_gross_exposure", "avg_turnover", "cost_drag", "funding_drag")


@dataclass(frozen=True)
class Judged:
    """What the days of one sample say of runs; every field is the model of that name."""

    regime_statistics: RowsByKey
    edges: RowsByKey
    strategy_metrics: RowsByKey
    sharpe_tests: RowsByKey

    def evaluation(self, run_id: str) -> dict[str, Any]:
        """Return the forward returns of a run by state, and its edges."""
        statistics = sorted(
            self.regime_statistics.rows(run_id),
            key=lambda row: (row["horizon_days"], row["regime_order"]),
        )
        return {
            "regime_statistics": [
                without(row, "run_id", "sample", "regime_order") for row in statistics
            ],
            "edges": [
                without(row, "run_id", "sample", "edge_order") for row in self.edges.rows(run_id)
            ],
        }

    def performance(self, run_id: str, control_id: str) -> dict[str, Any]:
        """Return a run's strategy metrics, those of its controls, and the tests between them."""
        own = _by_series(self.strategy_metrics.rows(run_id))
        control = _by_series(self.strategy_metrics.rows(control_id))
        return {
            "headline": {
                series: {name: own[series][name] for name in (*PERFORMANCE, *TRADING)}
                for series in ("net", "gross")
            },
            "controls": {
                "ungated_net": {name: control["net"][name] for name in (*PERFORMANCE, *TRADING)},
                "ungated_gross": {
                    name: control["gross"][name] for name in (*PERFORMANCE, *TRADING)
                },
                "btc": {name: control["btc"][name] for name in PERFORMANCE}
                if "btc" in control
                else None,
            },
            "sharpe_tests": without(self.sharpe_tests.rows(run_id)[0], "run_id", "sample"),
        }


@dataclass(frozen=True)
class RunTables:
    """The rows of an invocation's runs that go into run folders, by run or by what runs share.

    Every field is the model of that name, see there for grain and units; `judged` holds those that
    have rows by sample, `control_returns` are the daily_returns of controls, `quality_checks` are
    the same for all runs.
    """

    states: RowsByKey
    daily_returns: RowsByKey
    control_returns: RowsByKey
    judged: Mapping[str, Judged]
    regime_metrics: RowsByKey
    regime_distribution: RowsByKey
    regime_transitions: RowsByKey
    stability: RowsByKey
    coverage: RowsByKey
    suspect_gains: RowsByKey
    attribution: RowsByKey
    state_paths: RowsByKey
    quality_checks: Sequence[Row]
    quality_findings: RowsByKey
    search_windows: RowsByKey


def write_run_folder(
    run: RunRow,
    strategy: Strategy,
    tables: RunTables,
    panels: Mapping[str, PanelFiles],
    provenance: Provenance,
    own: Path,
    *,
    replace: bool = False,
) -> bool:
    """Write the folder of one run.

    Parameters
    ----------
    run, strategy
        The run's rows of the models ``runs`` and ``strategies``.
    tables
        What stands in the files.
    panels
        What runs share, as `layout.PANELS` has it.
    provenance
        What all runs of the invocation share.
    own
        A scratch folder in the runs folder.
    replace
        Whether a run that is there gives way.

    Returns
    -------
    bool
        Whether it was written; False when it was there already.
    """
    run_id = run.run_id
    if (own.parent / run_id).is_dir() and not replace:
        return False
    panel_ids = {
        "basket_panel": strategy.short_leg_id,
        "feature_panel": strategy.feature_panel_id,
        "eligibility_panel": strategy.eligibility_panel_id,
    }
    found = quality.quality(
        tables.quality_checks, tables.quality_findings.rows(strategy.feature_panel_id)
    )
    metrics = run_metrics(run, strategy, tables, found)
    regime_rows = [
        without(row, "run_id", "regime_order") for row in tables.regime_metrics.rows(run_id)
    ]
    files = {
        layout.MANIFEST: origin.manifest(
            provenance,
            run_id=run_id,
            spec_json=run.spec_json,
            seed=run.seed,
            hidden_from=run.hidden_from,
        ),
        layout.METRICS: metrics,
        layout.REGIME_EVALUATION: {
            "sign": layout.SIGN_NOTE,
            **tables.judged[ALL].evaluation(run_id),
        },
        layout.REGIME_METRICS: formats.csv_text(
            regime_rows, [name for name in _columns(tables.regime_metrics) if name not in _HIDDEN]
        ),
        layout.REGIME_TIMESERIES: tables.states[run_id].select(list(layout.TIMESERIES_COLUMNS)),
        layout.RETURNS: tables.daily_returns[run_id]
        .append_column("r_ungated", tables.control_returns[strategy.control_id]["r_net"])
        .select(list(layout.RETURNS_COLUMNS)),
        layout.ATTRIBUTION: tables.attribution[run_id].select(list(layout.ATTRIBUTION_COLUMNS)),
        layout.STATE_PATHS: tables.state_paths[run_id].select(list(layout.STATE_PATHS_COLUMNS)),
        layout.QUALITY: found,
        layout.CATALOG_ENTRY: {
            **catalog_entry(run, metrics, provenance),
            **{name: panels[name].content_id(panel_id) for name, panel_id in panel_ids.items()},
        },
    }
    if run.grid_search is not None:
        files[layout.WALK_FORWARD] = walk_forward(run, tables)
    if run.look_from is not None:
        files[layout.LOOK] = look(run, strategy, tables)
    shared = {file: (panels[name], panel_ids[name]) for name, (_, file) in layout.PANELS.items()}
    return run_folder.write_run(run_id, own, files, shared, replace=replace)


def walk_forward(run: RunRow, tables: RunTables) -> dict[str, Any]:
    """Return what stands in walk_forward.json: the parameters chosen for every test window."""
    search = run.grid_search
    assert search is not None  # it has windows
    ids = [feature.feature_id for feature in run.features]
    daily = tables.daily_returns[run.run_id]
    first_day, r_net = daily["date"][0].as_py(), daily["r_net"].to_numpy()
    counts = daily["is_test_day"].to_pylist()

    def traded(row: Row) -> dict[str, Any]:
        days = slice((row["first_date"] - first_day).days, (row["last_date"] - first_day).days + 1)
        sharpe = float(net_sharpe(r_net[None, days])[0]) if days.stop - days.start > 1 else math.nan
        return {"is_test_window": counts[days.start], "test_net_sharpe": formats.clean(sharpe)}

    return {
        "objective": search.objective,
        "horizon_days": None if search.objective == "net_sharpe" else search.horizon_days,
        "n_candidates": search.n_candidates,
        "windows": [
            {
                **without(row, "run_id", "weights", *CUTS),
                **traded(row),
                "parameters": {
                    **{f"features.{x}.weight": w for x, w in zip(ids, row["weights"], strict=True)},
                    **{
                        f"state_mapping.thresholds.{cut}": row[cut]
                        for cut in CUTS
                        if row[cut] is not None
                    },
                },
            }
            for row in tables.search_windows.rows(run.run_id)
        ],
    }


def look(run: RunRow, strategy: Strategy, tables: RunTables) -> dict[str, Any]:
    """Return what stands in look.json: what days before the hold-out and in it say, each alone."""
    run_id, control_id = run.run_id, strategy.control_id
    assert run.look_from is not None  # it looks
    return {
        "sign": layout.SIGN_NOTE,
        "holdout_start": run.look_from.isoformat(),
        **{
            sample: {
                **judged.evaluation(run_id),
                # no test day of the sample: no metrics
                **(
                    judged.performance(run_id, control_id)
                    if judged.strategy_metrics.rows(run_id)
                    else {}
                ),
            }
            for sample, judged in tables.judged.items()
            if sample != ALL
        },
    }


def run_metrics(
    run: RunRow, strategy: Strategy, tables: RunTables, found: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what stands in metrics.json: headline, controls, stability, coverage, warnings.

    Parameters
    ----------
    run, strategy, tables
        As `write_run_folder` has them.
    found
        What stands in quality.json: its errors are doubts, its warnings warnings.
    """
    run_id = run.run_id
    performance = tables.judged[ALL].performance(run_id, strategy.control_id)
    net = performance["headline"]["net"]
    stability = without(tables.stability.rows(run_id)[0], "run_id")
    coverage = without(tables.coverage.rows(run_id)[0], "run_id")
    suspect = without(tables.suspect_gains.rows(run_id)[0], "run_id")
    doubts = [
        *doubts_of(run, coverage, suspect, tables.states[run_id]["score"]),
        *quality.texts(found, "error"),
    ]
    distribution = sorted(
        tables.regime_distribution.rows(run_id), key=lambda row: row["regime_order"]
    )
    return {
        "run_id": run_id,
        "experiment_id": run.experiment_id,
        "title": run.title,
        "sign": layout.SIGN_NOTE,
        "window": {
            "first_date": strategy.first_date.isoformat(),
            "last_date": strategy.last_date.isoformat(),
            "n_days": stability["n_days"],
            "n_test_days": net["n_days"],
        },
        **performance,
        "stability": {
            **stability,
            "regime_distribution": [without(row, "run_id", "regime_order") for row in distribution],
            "regime_transitions": [
                without(row, "run_id") for row in tables.regime_transitions.rows(run_id)
            ],
        },
        "coverage": coverage,
        "suspect_gains": suspect,
        "doubts": doubts,
        "warnings": [
            *doubts,
            *quality.texts(found, "warn"),
            *warnings_of(run, strategy, coverage, net),
        ],
    }


def doubts_of(run: RunRow, coverage: Row, suspect: Row, score: pa.ChunkedArray) -> list[str]:
    """Return what a reader must know before looking at any number, a sentence each.

    Parameters
    ----------
    run, coverage, suspect
        The run's rows of the models `runs`, `coverage` and `suspect_gains`.
    score
        Of its decision days, missing on those without coverage.

    Returns
    -------
    list of str
        That it was ruined, that a sum hangs on what may be bad prices, and settings that are likely
        meant otherwise. They stand above the result, and among the warnings.
    """
    found = []
    if coverage["ruined_on"] is not None:
        found.append(
            f"Ruin: on {coverage['ruined_on']} the strategy lost all it had. It is flat from that "
            "close on: ratios are missing, and CAGR is -100%."
        )
    found += _hangs_on_bad_prices(suspect)
    found += doubtful_settings(_experiment(run.spec_json))
    scores = [x for x in score.to_pylist() if x is not None]
    if scores and run.grid_search is None:
        found += unreached_cuts(dict(zip(CUTS, run.cuts, strict=True)), min(scores), max(scores))
    return found


def _hangs_on_bad_prices(suspect: Row) -> list[str]:
    """Say of which sum the sign is another one without spikes, risers or both."""
    found = []
    for basis, name in (("y", "Y"), ("gross", "r_gross")):
        total = suspect[f"{basis}_total"]
        for kind, what in (
            ("spikes", "days that move an asset by more than +200% or -70%"),
            ("risers", "members that entered the basket after a day above +100%"),
            ("both", "these days and members"),
        ):
            part = suspect[f"{basis}_of_{kind}"]
            if total is not None and sign_flips(total, total - part):
                found.append(
                    f"The sign of the sum of daily {name} hangs on {what}: {total:+.3f} with them, "
                    f"{total - part:+.3f} without. Look whether these prices are right; "
                    "universe.max_abs_return_1d and target.short_leg.rank_median_days guard "
                    "against wrong ones."
                )
                break
    return found


def warnings_of(run: RunRow, strategy: Strategy, coverage: Row, net: Row | None) -> list[str]:
    """Return what a reader of the numbers must know, a sentence each.

    Parameters
    ----------
    run, strategy, coverage
        The run's rows of the models `runs`, `strategies` and `coverage`.
    net
        Its metrics of net returns; None when it has no test days.
    """
    found = []
    if net is not None and (net[WHY_MISSING] or "").startswith("fewer"):
        found.append(
            f"Annualised figures are missing: {net[WHY_MISSING]} ({net['n_days']} test days, "
            f"{net['n_invested_days']} of them invested)."
        )
    if coverage["control_ruined_on"] is not None:
        found.append(
            f"The ungated control is ruined on {coverage['control_ruined_on']}: it has no ratios "
            "to compare with."
        )
    first, last = strategy.first_date, strategy.last_date
    if run.window_start is not None and run.window_start < first:
        found.append(
            f"The window starts on {run.window_start}, but the first day with enough data to "
            f"decide on is {first}."
        )
    if run.hidden_from is not None and run.window_end == run.hidden_from - ONE_DAY > last:
        found.append(
            f"The hold-out begins on {run.hidden_from}, but the last BTC close before it is of "
            f"{last}."
        )
    elif run.window_end is not None and run.window_end > last:
        found.append(f"The window ends on {run.window_end}, but the lake ends on {last}.")
    if coverage["derived_marketcap_share"]:
        found.append(
            f"For {coverage['derived_marketcap_share']:.1%} of the days of alts the market cap is "
            "close times supply (fact_supply), because fact_marketcap has none."
        )
    if coverage["n_uncovered_days"]:
        found.append(
            f"{coverage['n_uncovered_days']} days had no feature coverage: the state was carried "
            "and nothing was traded."
        )
    if coverage["n_short_baskets"]:
        found.append(
            f"{coverage['n_short_baskets']} of {coverage['n_rebalances']} baskets have fewer than "
            f"{run.short_n} members (smallest {coverage['min_basket_size']})."
        )
    if coverage["n_empty_baskets"]:
        found.append(f"{coverage['n_empty_baskets']} baskets are empty: the strategy was flat.")
    if coverage["n_forced_exits"]:
        found.append(
            f"Forced exits: {coverage['n_forced_exits']}. The price of a holding ended, it left at "
            "the last one known."
        )
    if not coverage["n_invested_days"]:
        found.append(
            "The strategy never held a position: "
            + (
                "no state it was in has a scale above 0."
                if run.gross_long or run.gross_short
                else "backtest.gross is 0 for both legs."
            )
        )
    if coverage["n_over_capacity"]:
        found.append(
            f"{coverage['n_over_capacity']} trades are above {run.max_participation:.0%} of the "
            "asset's 20-day average volume: their impact is charged as if they were not. The "
            f"capital is {run.capital_usd:,.0f} USD, the trades bear about "
            f"{coverage['capacity_usd']:,.0f}."
        )
    if coverage["n_removed_days"]:
        found.append(
            f"On {coverage['n_removed_days']} asset-days a return beyond "
            f"{run.max_abs_return_1d:.0%} was taken for a bad price, and the close is missing "
            "(universe.max_abs_return_1d)."
        )
    # both are missing for a run that never held or traded anything
    funded, impacted = coverage["funding_coverage"], coverage["impact_coverage"]
    if run.funding_enabled and funded is not None and funded < 0.95:
        found.append(
            f"Funding rates cover {funded:.1%} of the gross weight held; a missing rate counts 0."
        )
    if impacted is not None and impacted < 1:
        found.append(
            f"For {1 - impacted:.2%} of the turnover impact could not be estimated; it is charged "
            "without."
        )
    return found


def catalog_entry(
    run: RunRow, metrics: Mapping[str, Any], provenance: Provenance
) -> dict[str, Any]:
    """Return the flat row of a run in the catalog, less what the manifest knows."""
    experiment = _experiment(run.spec_json)
    target, mapping = experiment.target, experiment.state_mapping
    backtest, evaluation = experiment.backtest, experiment.evaluation
    net, gross = metrics["headline"]["net"], metrics["headline"]["gross"]
    controls = metrics["controls"]
    cuts = (getattr(mapping.thresholds, cut) for cut in CUTS)
    distribution = metrics["stability"]["regime_distribution"]
    weekday = backtest.rebalance_weekday
    every = backtest.rebalance_frequency_days
    search, holdout_start = backtest.grid_search, evaluation.holdout_start
    coverage = metrics["coverage"]
    return {
        "run_id": run.run_id,
        "title": run.title,
        "experiment_id": run.experiment_id,
        "category_path": run.category_path,
        "status": "complete",
        "error": None,
        "features": ", ".join(f"{x.id} {x.weight:g}" for x in experiment.features),
        "n_features": len(experiment.features),
        "zscore_window_days": experiment.feature_params.zscore_window_days,
        "n_regimes": mapping.n_regimes,
        "thresholds": " / ".join(f"{cut:g}" for cut in cuts if cut is not None),
        "low_band": mapping.hysteresis.low_band,
        "high_band": mapping.hysteresis.high_band,
        "min_duration_days": mapping.persistence.min_duration_days,
        "ema_span_days": mapping.smoothing.ema_span_days,
        "benchmark": target.benchmark,
        "long_leg": ", ".join(f"{k} {v:g}" for k, v in target.long_leg.weights.items()),
        "short_n": target.short_leg.n,
        "short_weighting": target.short_leg.weighting,
        "min_mcap_usd": experiment.universe.min_mcap_usd,
        "min_volume_usd": target.short_leg.min_volume_usd,
        "rank_median_days": target.short_leg.rank_median_days,
        "max_abs_return_1d": experiment.universe.max_abs_return_1d,
        "rank_by": experiment.universe.rank_by,
        "rebalance": weekday or ("daily" if every == 1 else f"every {every} days"),
        "execution_lag_days": backtest.execution_lag_days,
        "taker_fee_bps": backtest.costs.taker_fee_bps,
        "slippage_bps": backtest.costs.slippage_bps,
        "capital_usd": backtest.capital_usd,
        "max_participation": backtest.max_participation,
        "walk_forward": backtest.walk_forward,
        "evaluation_sample": _sample(backtest),
        "search_objective": search and search.objective,
        "n_candidates": search and search.n_candidates,
        "is_placebo": mapping.placebo_rotation_days != 0,
        "holdout_start": holdout_start and holdout_start.isoformat(),
        "is_look": evaluation.look,
        "first_date": metrics["window"]["first_date"],
        "last_date": metrics["window"]["last_date"],
        "n_days": metrics["window"]["n_days"],
        "n_test_days": metrics["window"]["n_test_days"],
        **{f"net_{name}": net[name] for name in catalog_columns.PERFORMANCE},
        **{f"gross_{name}": gross[name] for name in catalog_columns.PERFORMANCE},
        WHY_MISSING: net[WHY_MISSING],
        "n_invested_days": net["n_invested_days"],
        **{name: net[name] for name in TRADING},
        "ungated_net_cagr": controls["ungated_net"]["cagr"],
        "ungated_net_sharpe": controls["ungated_net"]["sharpe"],
        "btc_cagr": controls["btc"]["cagr"] if controls["btc"] else None,
        "btc_sharpe": controls["btc"]["sharpe"] if controls["btc"] else None,
        **metrics["sharpe_tests"],
        "total_switches": metrics["stability"]["total_switches"],
        "switches_per_year": metrics["stability"]["switches_per_year"],
        "avg_regime_duration_days": metrics["stability"]["avg_regime_duration_days"],
        "regime_distribution": ", ".join(f"{x['regime']} {x['pct']:.1f}%" for x in distribution),
        **{name: coverage[name] for name in COVERAGE},
        **{name: metrics["suspect_gains"][name] for name in SUSPECT_SHARES},
        "n_warnings": len(metrics["warnings"]),
        "bootstrap_method": evaluation.bootstrap.method,
        "n_boot": evaluation.bootstrap.n_boot,
        "block_size": str(evaluation.bootstrap.block_size),
        "seed": evaluation.bootstrap.seed,
        "lake_name": provenance.lake_name,
        "lake_fingerprint": provenance.lake_fingerprint,
        "code_fingerprint": provenance.code_fingerprint,
    }


@lru_cache(maxsize=1)  # asked for twice, of one run after the other
def _experiment(spec_json: str) -> Experiment:
    # `runs` wrote it in this invocation, so the schema reads it
    return Experiment.model_validate_json(spec_json)


def _sample(backtest: Backtest) -> str:
    """Return which days the strategy metrics are of, and what their parameters had seen."""
    if not backtest.walk_forward:
        return "all_days"
    return "test_days" if backtest.grid_search is None else "out_of_sample"


COVERAGE: Final = (
    "feature_coverage",
    "min_feature_coverage",
    "n_uncovered_days",
    "n_fallback_days",
    "alts_oi_coverage",
    "majors_oi_coverage",
    "funding_coverage",
    "impact_coverage",
    "n_over_capacity",
    "capacity_usd",
    "n_forced_exits",
    "n_removed_days",
)
SUSPECT_SHARES: Final = (
    "y_share_of_spikes",
    "y_share_of_risers",
    "gross_share_of_spikes",
    "gross_share_of_risers",
)
_HIDDEN: Final = ("run_id", "regime_order")


def _by_series(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    return {row["series"]: without(row) for row in rows}


def _columns(rows: RowsByKey) -> list[str]:
    names: list[str] = rows["no such run"].column_names
    return names


def run_tables(models: Mapping[str, pa.Table]) -> RunTables:
    """Return the rows of models, ready to be taken run by run."""
    return RunTables(
        states=RowsByKey(without_nan(models["states"]), "run_id", ["date"]),
        daily_returns=RowsByKey(without_nan(models["daily_returns"]), "strategy_id", ["date"]),
        control_returns=RowsByKey(without_nan(models["control_returns"]), "strategy_id", ["date"]),
        judged={sample: _judged(models, sample) for sample in (ALL, BEFORE, HOLDOUT)},
        regime_metrics=RowsByKey(models["regime_metrics"], "run_id", ["regime_order"]),
        regime_distribution=RowsByKey(models["regime_distribution"], "run_id", ["regime_order"]),
        regime_transitions=RowsByKey(
            models["regime_transitions"], "run_id", ["from_regime", "to_regime"]
        ),
        stability=RowsByKey(models["stability"], "run_id"),
        coverage=RowsByKey(models["coverage"], "run_id"),
        suspect_gains=RowsByKey(models["suspect_gains"], "run_id"),
        attribution=RowsByKey(
            without_nan(models["attribution"]), "run_id", ["leg", "asset_id", "regime"]
        ),
        state_paths=RowsByKey(
            without_nan(models["state_paths"]), "run_id", ["regime_order", "day_number"]
        ),
        quality_checks=models["quality_checks"].to_pylist(),
        quality_findings=RowsByKey(
            without_nan(models["quality_findings"]), "feature_panel_id", ["check_name", "place"]
        ),
        search_windows=RowsByKey(models["search_windows"], "run_id", ["window_number"]),
    )


def _judged(models: Mapping[str, pa.Table], sample: str) -> Judged:
    def rows(model: str, key: str, *order: str) -> RowsByKey:
        table = models[model]
        return RowsByKey(table.filter(pc.equal(table["sample"], sample)), key, order)

    return Judged(
        regime_statistics=rows("regime_statistics", "run_id", "horizon_days"),
        edges=rows("edges", "run_id", "horizon_days", "edge_order"),
        strategy_metrics=rows("strategy_metrics", "strategy_id", "series"),
        sharpe_tests=rows("sharpe_tests", "run_id"),
    )
