"""The file that people and BI tools open: every run of a runs folder, as flat tables.

The warehouse is derived from the run folders and can be made again from them at any time. It is
built beside its place and put there with one rename, so a reader sees the old file or the new one,
never half of one, and an open reader blocks nobody. Listing, building and replacing happen under a
lock, so two publishers cannot drop each other's runs.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from filelock import FileLock

from msm_py import artifacts, looks, robustness_record
from msm_py.errors import MsmError
from msm_py.sweep_record import read_records

# A file in DuckDB 2.0's own format cannot be opened by any 1.x client; this one can, by all.
STORAGE_VERSION: Final = "v1.0.0"

PERFORMANCE: Final = {
    f"{basis}_{name}": kind
    for basis in ("net", "gross")
    for name, kind in {
        "total_return": "double",
        "cagr": "double",
        "volatility": "double",
        "sharpe": "double",
        "sortino": "double",
        "max_drawdown": "double",
        "max_drawdown_days": "integer",
        "calmar": "double",
        "hit_rate": "double",
        "skewness": "double",
        "kurtosis": "double",
        "probabilistic_sharpe": "double",
    }.items()
}

# every column that a reader finds; models/catalog/catalog.yml describes those of the catalog
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "catalog": {
        "run_id": "varchar",
        "title": "varchar",
        "experiment_id": "varchar",
        "category_path": "varchar",
        "created_at": "timestamp",
        "status": "varchar",
        "error": "varchar",
        "features": "varchar",
        "n_features": "integer",
        "zscore_window_days": "integer",
        "n_regimes": "integer",
        "thresholds": "varchar",
        "low_band": "double",
        "high_band": "double",
        "min_duration_days": "integer",
        "ema_span_days": "integer",
        "long_leg": "varchar",
        "short_n": "integer",
        "short_weighting": "varchar",
        "min_mcap_usd": "double",
        "min_volume_usd": "double",
        "rebalance": "varchar",
        "execution_lag_days": "integer",
        "taker_fee_bps": "double",
        "slippage_bps": "double",
        "capital_usd": "double",
        "walk_forward": "boolean",
        "evaluation_sample": "varchar",
        "search_objective": "varchar",
        "n_candidates": "integer",
        "is_placebo": "boolean",
        "holdout_start": "date",
        "is_look": "boolean",
        "first_date": "date",
        "last_date": "date",
        "n_days": "integer",
        "n_test_days": "integer",
        **PERFORMANCE,
        "n_invested_days": "integer",
        "avg_gross_exposure": "double",
        "avg_turnover": "double",
        "cost_drag": "double",
        "funding_drag": "double",
        "ungated_net_cagr": "double",
        "ungated_net_sharpe": "double",
        "btc_cagr": "double",
        "btc_sharpe": "double",
        "total_switches": "integer",
        "switches_per_year": "double",
        "avg_regime_duration_days": "double",
        "regime_distribution": "varchar",
        "feature_coverage": "double",
        "min_feature_coverage": "double",
        "n_uncovered_days": "integer",
        "n_fallback_days": "integer",
        "alts_oi_coverage": "double",
        "majors_oi_coverage": "double",
        "funding_coverage": "double",
        "impact_coverage": "double",
        "n_forced_exits": "integer",
        "n_warnings": "integer",
        "bootstrap_method": "varchar",
        "n_boot": "integer",
        "block_size": "varchar",
        "seed": "bigint",
        "lake_name": "varchar",
        "lake_fingerprint": "varchar",
        "code_fingerprint": "varchar",
        "git_commit": "varchar",
        "git_dirty": "boolean",
        "duration_seconds": "double",
    },
    "run_params": {
        "run_id": "varchar",
        "param": "varchar",
        "value": "varchar",
        "value_number": "double",
    },
    "regime_statistics": {
        "run_id": "varchar",
        "horizon_days": "integer",
        "regime": "varchar",
        "n": "integer",
        "n_spells": "integer",
        "mean": "double",
        "median": "double",
        "std": "double",
        "hit_rate": "double",
        "t_stat": "double",
        "p_value": "double",
    },
    "edges": {
        "run_id": "varchar",
        "horizon_days": "integer",
        "edge": "varchar",
        "estimate": "double",
        "trade_edge": "double",
        "se": "double",
        "ci_low": "double",
        "ci_high": "double",
        "p_value": "double",
        "p_shift": "double",
        "p_nw": "double",
        "p_max_t": "double",
        "n_spells": "integer",
        "evidence": "varchar",
        "n_boot": "integer",
        "block_days": "integer",
        "n_redrawn": "integer",
    },
    "regime_metrics": {
        "run_id": "varchar",
        "regime": "varchar",
        "position_scale": "double",
        "n_days": "integer",
        "total_gross": "double",
        "total_net": "double",
        "mean_net_annualised": "double",
        "volatility_net": "double",
        "hit_rate_net": "double",
    },
    "stability": {
        "run_id": "varchar",
        "n_days": "integer",
        "n_spells": "integer",
        "total_switches": "integer",
        "switches_per_year": "double",
        "avg_regime_duration_days": "double",
    },
    "regime_distribution": {
        "run_id": "varchar",
        "regime": "varchar",
        "n_days": "integer",
        "n_spells": "integer",
        "pct": "double",
    },
    "regime_transitions": {
        "run_id": "varchar",
        "from_regime": "varchar",
        "to_regime": "varchar",
        "n_days": "integer",
        "pct": "double",
    },
    "chosen_parameters": {
        "run_id": "varchar",
        "window_number": "integer",
        "first_date": "date",
        "last_date": "date",
        "scored_from": "date",
        "scored_until": "date",
        "candidate": "integer",
        "objective_value": "double",
        "is_test_window": "boolean",
        "test_net_sharpe": "double",
        "parameter": "varchar",
        "value": "double",
    },
    "run_warnings": {"run_id": "varchar", "warning": "varchar"},
    "daily": {
        "run_id": "varchar",
        "date": "date",
        "score": "double",
        "feature_coverage": "double",
        "regime": "varchar",
        "regime_age_days": "integer",
        "r_alts": "double",
        "r_majors": "double",
        "r_btc": "double",
        "y": "double",
        "position_scale": "double",
        "gross_exposure": "double",
        "r_gross": "double",
        "turnover": "double",
        "cost": "double",
        "funding": "double",
        "r_net": "double",
        "equity_gross": "double",
        "equity_net": "double",
        "drawdown_net": "double",
        "is_test_day": "boolean",
    },
    "run_panels": {"run_id": "varchar", "basket_panel": "varchar", "feature_panel": "varchar"},
    "baskets": {
        "basket_panel": "varchar",
        "date": "date",
        "asset_id": "varchar",
        "rank": "integer",
        "marketcap_usd": "double",
        "weight": "double",
    },
    "features": {
        "feature_panel": "varchar",
        "date": "date",
        "feature_id": "varchar",
        "raw_value": "double",
        "z_score": "double",
    },
}

# these are small, and made again from the sweeps' records whenever one of them changed
SWEEP_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "sweeps": {
        "sweep_id": "varchar",
        "name": "varchar",
        "started_at": "timestamp",
        "finished_at": "timestamp",
        "seconds": "double",
        "n_trials": "integer",
        "n_looks": "integer",
        "n_duplicates": "integer",
        "n_failed": "integer",
        "n_rejected": "integer",
        "n_runs": "integer",
        "n_common_days": "integer",
        "pbo": "double",
        "degradation_slope": "double",
        "probability_of_loss": "double",
        "spa_p_lower": "double",
        "spa_p_consistent": "double",
        "spa_p_upper": "double",
        "record_hash": "varchar",
    },
    "sweep_trials": {
        "sweep_id": "varchar",
        "experiment_id": "varchar",
        "run_id": "varchar",
        "title": "varchar",
        "status": "varchar",
        "error": "varchar",
        "started_at": "timestamp",
        "seconds": "double",
    },
    "sweep_statistics": {
        "sweep_id": "varchar",
        "run_id": "varchar",
        "net_sharpe": "double",
        "deflated_sharpe": "double",
        "is_superior": "boolean",
        "p_leader": "double",
        "is_tied_with_leader": "boolean",
    },
    "sweep_edges": {
        "sweep_id": "varchar",
        "run_id": "varchar",
        "horizon_days": "integer",
        "edge": "varchar",
        "trade_edge": "double",
        "p_value": "double",
        "p_benjamini_hochberg": "double",
        "p_holm": "double",
    },
}

# as those of sweeps, made again from their records
ROBUSTNESS_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "robustness": {
        "run_id": "varchar",
        "check_name": "varchar",
        "setting": "varchar",
        "status": "varchar",
        "note": "varchar",
        "neighbour_run_id": "varchar",
        "n_test_days": "integer",
        "net_sharpe": "double",
        "net_sharpe_change": "double",
        "net_cagr": "double",
        "avg_turnover": "double",
        "spread_horizon_days": "integer",
        "spread_trade_edge": "double",
        "spread_p_value": "double",
        "spread_p_shift": "double",
        "spread_evidence": "varchar",
        "sign_flips": "boolean",
        "edge_sign_flips": "boolean",
    },
    "robustness_summary": {
        "run_id": "varchar",
        "title": "varchar",
        "verdict": "varchar",
        "net_sharpe": "double",
        "n_neighbours": "integer",
        "n_skipped": "integer",
        "n_failed": "integer",
        "n_flips": "integer",
        "n_edge_flips": "integer",
        "worst_check": "varchar",
        "worst_setting": "varchar",
        "worst_net_sharpe": "double",
        "n_placebos": "integer",
        "placebo_percentile": "double",
        "placebo_p": "double",
        "record_hash": "varchar",
    },
}

# the ledger of looks, a row per entry
LOOK_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "looks": {
        "looked_at": "timestamp",
        "family": "varchar",
        "experiment_id": "varchar",
        "run_id": "varchar",
        "holdout_start": "date",
        "reason": "varchar",
        "record_hash": "varchar",
    },
}

ALL_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    **TABLES,
    **SWEEP_TABLES,
    **ROBUSTNESS_TABLES,
    **LOOK_TABLES,
}

VIEWS: Final[Mapping[str, str]] = {
    # By deflated Sharpe ratio; a run of several sweeps counts with the one that asks most of it.
    # Runs of no sweep come after those of sweeps: nobody knows of how many tries they are the best.
    "v_leaderboard": """
        select
            row_number() over (
                order by
                    family.deflated_sharpe desc nulls last,
                    catalog.net_probabilistic_sharpe desc nulls last,
                    catalog.net_sharpe desc nulls last,
                    catalog.run_id
            ) as place,
            catalog.run_id, catalog.title, catalog.lake_name,
            family.deflated_sharpe, family.sweep_id,
            family.is_tied_with_leader, family.is_superior,
            catalog.net_sharpe, catalog.net_probabilistic_sharpe,
            catalog.net_cagr, catalog.net_max_drawdown, catalog.net_calmar,
            catalog.ungated_net_sharpe, catalog.btc_sharpe, catalog.switches_per_year,
            spread.horizon_days as spread_horizon_days,
            spread.trade_edge as spread_trade_edge, spread.p_value as spread_p_value,
            spread.p_shift as spread_p_shift, spread.evidence as spread_evidence,
            catalog.n_test_days, catalog.n_warnings, catalog.first_date, catalog.last_date,
            catalog.holdout_start, catalog.is_look,
            catalog.created_at
        from catalog
        left join (
            select * from edges
            where edge = 'spread'
            qualify row_number() over (
                partition by run_id order by abs(horizon_days - 5), horizon_days
            ) = 1
        ) as spread on catalog.run_id = spread.run_id
        left join (
            select * from sweep_statistics
            qualify row_number() over (
                partition by run_id order by deflated_sharpe nulls last, sweep_id
            ) = 1
        ) as family on catalog.run_id = family.run_id
        where catalog.is_placebo is not true
    """,
    "v_latest_state": """
        select
            daily.run_id, catalog.title, daily.date, daily.regime, daily.regime_age_days,
            daily.score, daily.feature_coverage
        from daily
        inner join catalog
            on daily.run_id = catalog.run_id and daily.date = catalog.last_date
        where catalog.is_placebo is not true
    """,
}


def warehouse_path() -> Path:
    """Return the warehouse file: MSM_WAREHOUSE, or ``warehouse/msm.duckdb``."""
    return Path(os.environ.get("MSM_WAREHOUSE", "warehouse/msm.duckdb"))


def check_warehouse(path: Path) -> None:
    """See that a warehouse can be put at ``path``.

    Raises
    ------
    MsmError
        When the path is a folder or its folder cannot be written to.
    """
    if path.is_dir():
        raise MsmError(
            "the warehouse is a file, but a folder stands at its path",
            where=str(path),
            received="a folder",
            remedy="give a file name such as warehouse/msm.duckdb with --warehouse FILE",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise MsmError(
            "the warehouse's folder cannot be written to",
            where=str(path.parent),
            received=error.strerror or str(error),
            remedy="give a file in a folder that you may write to with --warehouse FILE",
        ) from None


def publish(runs: Path, path: Path, *, anew: bool = False) -> dict[str, int]:
    """Bring the warehouse up to date with a runs folder.

    What is new is added, what is gone from the folder is dropped, the rest is taken over as it is.

    Parameters
    ----------
    runs
        The runs folder.
    path
        The warehouse file; the same tables are written beside it as Parquet.
    anew
        Take nothing over from the warehouse that is there.

    Returns
    -------
    dict
        Rows of every table.

    Raises
    ------
    MsmError
        When the warehouse cannot be written, or a run folder is broken.
    """
    check_warehouse(path)
    try:
        return _publish(runs, path, anew=anew)
    except (OSError, duckdb.IOException) as error:
        raise MsmError(
            "the warehouse could not be written; it stays as it was",
            where=str(path),
            received=getattr(error, "strerror", None) or str(error),
            remedy="free space on the disk, then run `dbt build` or any `msm run` again",
        ) from None


def _publish(runs: Path, path: Path, *, anew: bool) -> dict[str, int]:
    with (
        FileLock(f"{path}.lock"),
        tempfile.TemporaryDirectory(prefix=".publish-", dir=path.parent) as scratch,
    ):
        artifacts.remove_leftovers(runs)
        present = artifacts.existing_runs(runs)
        found = (
            *read_records(runs),
            *robustness_record.read_records(runs),
            *map(asdict, looks.read(runs).looks),
        )
        records = {_hash(record): record for record in found}
        published = None if anew else _published(path)
        if published != (set(present), set(records)):
            fresh = Path(scratch) / path.name
            if published is not None:
                shutil.copyfile(path, fresh)
            _update(fresh, runs, present, records)
            for table in ALL_TABLES:
                os.replace(Path(scratch) / f"{table}.parquet", path.parent / f"{table}.parquet")
            os.replace(fresh, path)
        with duckdb.connect(path, read_only=True) as con:
            return {
                table: int(con.execute(f"select count(*) from {table}").fetchall()[0][0])
                for table in ALL_TABLES
            }


def _hash(record: Mapping[str, Any]) -> str:
    text = json.dumps(record, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _published(path: Path) -> tuple[set[str], set[str]] | None:
    """Return the runs and the records that a warehouse holds; None when it must be made anew.

    The warehouse is derived data: one that cannot be read is made again from the run folders.
    """
    if not path.exists():
        return None
    try:
        with duckdb.connect(path, read_only=True) as con:
            found = con.execute(
                "select table_name, column_name from information_schema.columns "
                "where table_name not like 'v\\_%' escape '\\'"
            ).fetchall()
            wanted = {(table, name) for table, names in ALL_TABLES.items() for name in names}
            if set(found) != wanted:
                return None
            return (
                {row[0] for row in con.execute("select run_id from catalog").fetchall()},
                {
                    row[0]
                    for table in ("sweeps", "robustness_summary", "looks")
                    for row in con.execute(f"select record_hash from {table}").fetchall()
                },
            )
    except duckdb.Error:
        return None


def _update(
    file: Path, runs: Path, present: list[str], records: Mapping[str, Mapping[str, Any]]
) -> None:
    with duckdb.connect(file, config={"storage_compatibility_version": STORAGE_VERSION}) as con:
        for table, columns in ALL_TABLES.items():
            declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            con.execute(f"create table if not exists {table} ({declared})")
        known = {row[0] for row in con.execute("select run_id from catalog").fetchall()}
        _drop(con, known - set(present))
        _add(con, runs, [run_id for run_id in present if run_id not in known])
        of_sweeps = {key: record for key, record in records.items() if "sweep_id" in record}
        of_looks = {key: record for key, record in records.items() if "looked_at" in record}
        others = records.keys() - of_sweeps.keys() - of_looks.keys()
        _set_sweeps(con, of_sweeps)
        _set_robustness(con, {key: records[key] for key in others})
        con.execute("delete from looks")
        if of_looks:
            rows = [{**record, "record_hash": key} for key, record in of_looks.items()]
            _insert(con, "looks", pa.Table.from_pylist(_complete(rows, "looks")))
        for view, query in VIEWS.items():
            con.execute(f"create or replace view {view} as {query}")
        for table in ALL_TABLES:
            target = str(file.parent / f"{table}.parquet").replace("'", "''")
            con.execute(f"copy {table} to '{target}' (format parquet)")
        con.execute("checkpoint")


def _drop(con: duckdb.DuckDBPyConnection, gone: set[str]) -> None:
    if not gone:
        return
    for table, columns in TABLES.items():
        if "run_id" in columns:
            con.execute(f"delete from {table} where list_contains(?, run_id)", [sorted(gone)])
    for table, panel in (("baskets", "basket_panel"), ("features", "feature_panel")):
        con.execute(f"delete from {table} where {panel} not in (select {panel} from run_panels)")


def _add(con: duckdb.DuckDBPyConnection, runs: Path, new: list[str]) -> None:
    """Insert the rows of new runs, a statement per table."""
    con.execute("begin")
    try:
        _insert_runs(con, runs, new)
        con.execute("commit")
    except _BROKEN:
        con.execute("rollback")
        for run_id in new:  # which one is it?
            con.execute("begin")
            try:
                _insert_runs(con, runs, [run_id])
            except _BROKEN as error:
                raise MsmError(
                    "a run folder is broken; the warehouse stays as it was",
                    where=str(runs / run_id),
                    received=f"{type(error).__name__}: {error}",
                    remedy="delete this folder and run the experiment again",
                ) from None
            finally:
                con.execute("rollback")
        raise


# what reading a folder that somebody damaged can end in
_BROKEN: Final = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    pa.ArrowException,
    duckdb.Error,
)


def _insert_runs(con: duckdb.DuckDBPyConnection, runs: Path, new: list[str]) -> None:
    rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    frames: dict[str, list[pa.Table]] = defaultdict(list)
    known_panels = {
        panel: {
            row[0] for row in con.execute(f"select distinct {panel} from run_panels").fetchall()
        }
        for panel in ("basket_panel", "feature_panel")
    }
    for run_id in new:
        folder = runs / run_id
        for table, row in run_rows(folder):
            rows[table].append({"run_id": run_id, **row})
        frames["daily"].append(_daily(folder, run_id))
        panels = rows["run_panels"][-1]
        for panel, table, name in (
            ("basket_panel", "baskets", artifacts.BASKET),
            ("feature_panel", "features", artifacts.FEATURES),
        ):
            if panels[panel] not in known_panels[panel]:
                known_panels[panel].add(panels[panel])
                frames[table].append(_labelled(folder / name, panel, panels[panel]))
    for table, records in rows.items():
        _insert(con, table, pa.Table.from_pylist(_complete(records, table)))
    for table, parts in frames.items():
        _insert(con, table, pa.concat_tables(parts))


def _set_sweeps(con: duckdb.DuckDBPyConnection, records: Mapping[str, Mapping[str, Any]]) -> None:
    rows: dict[str, list[Mapping[str, Any]]] = {table: [] for table in SWEEP_TABLES}
    for record_hash, record in records.items():
        sweep_id = record["sweep_id"]
        statuses = [trial["status"] for trial in record["trials"]]
        rows["sweeps"].append(
            {
                **record,
                **record["overall"],
                "n_failed": statuses.count("failed"),
                "n_rejected": statuses.count("rejected"),
                "record_hash": record_hash,
            }
        )
        for table, part in (
            ("sweep_trials", "trials"),
            ("sweep_statistics", "runs"),
            ("sweep_edges", "edges"),
        ):
            rows[table].extend({"sweep_id": sweep_id, **row} for row in record[part])
    _set(con, rows)


def _set_robustness(
    con: duckdb.DuckDBPyConnection, records: Mapping[str, Mapping[str, Any]]
) -> None:
    rows: dict[str, list[Mapping[str, Any]]] = {table: [] for table in ROBUSTNESS_TABLES}
    for record_hash, record in sorted(records.items(), key=lambda item: str(item[1]["run_id"])):
        named = {"run_id": record["run_id"], "title": record["title"]}
        rows["robustness"].extend({**named, **row} for row in record["rows"])
        rows["robustness_summary"].append(
            {**named, **record["summary"], "record_hash": record_hash}
        )
    _set(con, rows)


def _set(con: duckdb.DuckDBPyConnection, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Put these rows, and no others, into tables."""
    for table, found in rows.items():
        con.execute(f"delete from {table}")
        if found:
            _insert(con, table, pa.Table.from_pylist(_complete(found, table)))


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    con.register("incoming", rows)
    names = ", ".join(f'"{name}"' for name in ALL_TABLES[table])
    try:
        con.execute(f"insert into {table} ({names}) select {names} from incoming")
    finally:
        con.unregister("incoming")


def _complete(records: Iterable[Mapping[str, Any]], table: str) -> list[dict[str, Any]]:
    return [{name: record.get(name) for name in ALL_TABLES[table]} for record in records]


def run_rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a run folder's JSON and CSV files as (table, row without run_id)."""
    manifest = _json(folder / artifacts.MANIFEST)
    entry = _json(folder / artifacts.CATALOG_ENTRY)
    metrics = _json(folder / artifacts.METRICS)
    evaluation = _json(folder / artifacts.REGIME_EVALUATION)
    yield (
        "catalog",
        {
            **entry,
            "created_at": manifest["finished_at"],
            "git_commit": manifest["git_commit"],
            "git_dirty": manifest["git_dirty"],
            "duration_seconds": manifest["duration_seconds"],
        },
    )
    yield (
        "run_panels",
        {
            "basket_panel": entry["basket_panel"],
            "feature_panel": entry["feature_panel"],
        },
    )
    yield "stability", metrics["stability"]
    for table, records in (
        ("regime_statistics", evaluation["regime_statistics"]),
        ("edges", evaluation["edges"]),
        ("regime_distribution", metrics["stability"]["regime_distribution"]),
        ("regime_transitions", metrics["stability"]["regime_transitions"]),
        ("run_warnings", [{"warning": text} for text in metrics["warnings"]]),
        ("run_params", list(flat_params(manifest["spec"]))),
    ):
        for record in records:
            yield table, record
    if (folder / artifacts.WALK_FORWARD).exists():
        for window in _json(folder / artifacts.WALK_FORWARD)["windows"]:
            for parameter, value in window.pop("parameters").items():
                yield "chosen_parameters", {**window, "parameter": parameter, "value": value}
    with (folder / artifacts.REGIME_METRICS).open(newline="") as file:
        for record in csv.DictReader(file):
            yield "regime_metrics", {name: value or None for name, value in record.items()}


def flat_params(value: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Yield the leaves of a resolved experiment as rows with their dotted path.

    Examples
    --------
    >>> list(flat_params({"a": {"b": 2}, "c": ["x"]}))[0]
    {'param': 'a.b', 'value': '2', 'value_number': 2.0}
    """
    if isinstance(value, dict):
        if "id" in value:  # a feature: named by its id, not by its place
            path = f"{path.rsplit('.', 1)[0]}.{value['id']}"
            value = {key: part for key, part in value.items() if key != "id"}
        for key, part in value.items():
            yield from flat_params(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from flat_params(part, f"{path}.{place}")
    else:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        as_text = value if isinstance(value, str) else json.dumps(value)
        yield {
            "param": path,
            "value": None if value is None else as_text,
            "value_number": float(value) if is_number else None,
        }


def _daily(folder: Path, run_id: str) -> pa.Table:
    timeseries = artifacts.read_parquet(folder / artifacts.REGIME_TIMESERIES)
    returns = artifacts.read_parquet(folder / artifacts.RETURNS)
    if timeseries["date"] != returns["date"]:
        raise ValueError("regime_timeseries and returns have different days")
    columns = {name: timeseries[name] for name in timeseries.column_names}
    columns |= {name: returns[name] for name in returns.column_names}
    return pa.table({"run_id": _constant(run_id, returns.num_rows), **columns})


def _labelled(file: Path, label: str, value: str) -> pa.Table:
    table = artifacts.read_parquet(file)
    return table.append_column(label, _constant(value, table.num_rows))


def _constant(value: str, length: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), length)


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_bytes())
    return content
