"""The record of a sweep, written when it, or a shard of it, ends: statistics across its runs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.experiment.ids import ResolvedRun
from msm_py.stats.adjusted_p_values import benjamini_hochberg, holm
from msm_py.stats.inference import smallest_p_edge
from msm_py.stats.overfitting import probability_of_backtest_overfitting
from msm_py.stats.sharpe import deflated_sharpe_ratio, effective_trials, resolved_std
from msm_py.stats.sharpe_difference import ResampledSharpe, block_plan, sharpe_test
from msm_py.stats.superior_ability import hansen_spa, romano_wolf_stepm
from msm_py.store import edge_rows, formats, layout, looks, record_files, run_folder, run_list
from msm_py.store.sweep_records import FOLDER, REMEDY, SHAPE, n_looks_of, read_records, sweep_id
from msm_py.store.trial import Trial

ANNUALIZATION_DAYS: Final = 365
BLOCK_DAYS: Final = 20
N_BOOT: Final = 999
SEED: Final = 42
# below this many common days cross-validation and bootstrap across runs say nothing
FEWEST_DAYS: Final = 100
TIED_ABOVE_P: Final = 0.05


def write_record(
    runs: Path,
    *,
    name: str,
    specs: Sequence[ResolvedRun],
    rejected: Sequence[Trial],
    trials: Iterable[Trial],
    sources: Mapping[str, str],
    n_duplicates: int,
    started_at: datetime,
) -> dict[str, Any]:
    """Write, or bring up to date, the record of a sweep.

    Parameters
    ----------
    runs
        The runs folder.
    name
        Of the sweep.
    specs
        All variants, those of other shards as well.
    rejected, trials
        What became of variants: rejected by validation, and in this call.
    sources
        Text of the files that the sweep came from, by name.
    n_duplicates
        Variants dropped because they ask the same question as another one.
    started_at
        When this call began, UTC.

    Returns
    -------
    The record.
    """
    members = sorted(spec.run_id for spec in specs)
    identity = sweep_id(name, members, [trial.experiment_id for trial in rejected])
    file = runs / FOLDER / f"{identity}.json"
    with record_files.locked(file):
        # a damaged record is rebuilt from what is there
        try:
            before = record_files.read(file, SHAPE, REMEDY) if file.exists() else {}
        except MsmError:
            before = {}
        known = {trial["experiment_id"]: trial for trial in before.get("trials", [])}
        for trial in (*rejected, *trials):
            # that a run is there already is no news of how it came about
            if trial.status != "existing" or trial.experiment_id not in known:
                known[trial.experiment_id] = trial.as_dict()
        finished = datetime.now(UTC)
        n_looks = max(n_looks_of(looks.looked(runs), name, members), before.get("n_looks", 0))
        n_trials = len(specs) + len(rejected) + n_looks
        record = {
            "sweep_id": identity,
            "name": name,
            "sources": dict(sources),
            "n_trials": n_trials,
            "n_looks": n_looks,
            "n_duplicates": n_duplicates,
            "started_at": before.get("started_at", started_at.isoformat(timespec="seconds")),
            "finished_at": finished.isoformat(timespec="seconds"),
            "seconds": before.get("seconds", 0.0) + (finished - started_at).total_seconds(),
            "members": members,
            "trials": [known[experiment_id] for experiment_id in sorted(known)],
            **statistics(runs, members, n_trials),
        }
        record_files.replace(file, record)
    return record


def count_looks(runs: Path) -> None:
    """Bring the records of sweeps up to date with the looks: each is one more trial, for good."""
    looked = looks.looked(runs)
    for found in read_records(runs):
        file = runs / FOLDER / f"{found['sweep_id']}.json"
        with record_files.locked(file):
            record = record_files.read(file, SHAPE, REMEDY)
            known = record.get("n_looks", 0)
            n_looks = n_looks_of(looked, record["name"], record["members"])
            if n_looks > known:
                n_trials = record["n_trials"] - known + n_looks
                counts = {"n_trials": n_trials, "n_looks": n_looks}
                again = statistics(runs, record["members"], n_trials)
                record_files.replace(file, record | counts | again)


def statistics(runs: Path, members: Sequence[str], n_trials: int) -> dict[str, Any]:
    """Return the statistics across the complete runs of a sweep (docs/methodology.md, 10).

    Parameters
    ----------
    runs
        The runs folder.
    members
        Run ids of the variants.
    n_trials
        How many were tried: those that failed or were rejected as well, and looks at a hold-out.

    Returns
    -------
    ``overall`` (one row for the sweep), ``runs`` (one row per complete run: deflated Sharpe ratio,
    by all trials and by what they are worth, the first run that has the same net returns, whether
    StepM finds it better than doing nothing, p of its difference to the leader) and ``edges`` (one
    row per tested edge, with adjusted p-values). All that compares runs is computed on the test
    days that all of them share, so ``common_sharpe`` (annual) on these as well; it and the deflated
    Sharpe ratio are None with less than two such days. ``net_sharpe`` is the run's on its own test
    days.
    """
    found = [_read_member(runs / run_id) for run_id in sorted(members)]
    read = [member for member in found if member is not None]
    present = [member.run_id for member in read]
    edges = _adjusted_edges(read)
    days, returns = _common_returns(read)
    daily, skewness, kurtosis = _moments(returns)
    # who was ruined, or hardly ever traded, has no ratio anywhere
    daily[[member.net_sharpe is None for member in read]] = np.nan

    def deflated_as_one_of(number: float, among: NDArray[np.float64]) -> NDArray[np.float64]:
        known = among[np.isfinite(among)]
        variance = float(np.var(known, ddof=1)) if len(known) > 1 else np.nan
        return deflated_sharpe_ratio(daily, days, skewness, kurtosis, variance, number)

    deflated = deflated_as_one_of(n_trials, daily)
    first = _first_alike(returns)
    distinct = np.unique(first)
    # what left no returns, or shares no days, is related to nothing
    n_worth = effective_trials(returns[distinct]) if days > 1 else len(read)
    n_effective = n_worth + n_trials - len(read)
    deflated_effective = deflated_as_one_of(n_effective, daily[distinct])
    overall: dict[str, Any] = dict.fromkeys(
        (
            "pbo",
            "degradation_slope",
            "probability_of_loss",
            "spa_p_lower",
            "spa_p_consistent",
            "spa_p_upper",
        )
    )
    superior = np.full(len(present), np.nan)
    p_leader = np.full(len(present), np.nan)
    if len(present) > 1 and days >= FEWEST_DAYS:
        overfitting = probability_of_backtest_overfitting(returns.T)
        spa = hansen_spa(returns.T, block_days=BLOCK_DAYS, seed=SEED)
        overall |= {
            "pbo": overfitting.pbo,
            "degradation_slope": overfitting.degradation_slope,
            "probability_of_loss": overfitting.probability_of_loss,
            "spa_p_lower": spa.p_lower,
            "spa_p_consistent": spa.p_consistent,
            "spa_p_upper": spa.p_upper,
        }
        superior = romano_wolf_stepm(returns.T, block_days=BLOCK_DAYS, seed=SEED).astype(float)
        p_leader = _p_against_leader(returns, deflated)
    rows = [
        {
            "run_id": run_id,
            "net_sharpe": read[i].net_sharpe,
            "common_sharpe": _missing(daily[i] * np.sqrt(ANNUALIZATION_DAYS)),
            "deflated_sharpe": _missing(deflated[i]),
            "deflated_sharpe_effective": _missing(deflated_effective[i]),
            "same_returns_as": present[first[i]],
            "is_superior": None if np.isnan(superior[i]) else bool(superior[i]),
            "p_leader": _missing(p_leader[i]),
            "is_tied_with_leader": (
                None if np.isnan(p_leader[i]) else bool(p_leader[i] > TIED_ABOVE_P)
            ),
        }
        for i, run_id in enumerate(present)
    ]
    return {
        "overall": {
            "n_runs": len(present),
            "n_common_days": days,
            "n_distinct": len(distinct) if days > 1 else None,
            "n_effective_trials": n_effective if days > 1 else None,
            "smallest_p": min((x.smallest_p for x in read if x.smallest_p), default=None),
            **{name: _missing(value) for name, value in overall.items()},
        },
        "runs": rows,
        "edges": edges,
    }


@dataclass(frozen=True)
class _Member:
    """What the statistics of a sweep take from one of its runs."""

    run_id: str
    net_sharpe: float | None
    edges: Sequence[Mapping[str, Any]]
    smallest_p: float | None
    days: NDArray[np.int32]
    returns: NDArray[np.float64]


def _read_member(folder: Path) -> _Member | None:
    """Read a run; None when it is not there or broken (reported where runs are published)."""
    if run_folder.fault_of_run(folder):
        return None
    try:
        table = formats.read_parquet(folder / layout.RETURNS, ["date", "r_net", "is_test_day"])
        table = table.filter(pc.and_(table["is_test_day"], pc.is_valid(table["r_net"])))
        evaluation = _json(folder / layout.REGIME_EVALUATION)
        entry = _json(folder / layout.CATALOG_ENTRY)
        edges = edge_rows.hypotheses(edge_rows.read(evaluation["edges"]))
        return _Member(
            folder.name,
            entry["net_sharpe"],
            edges,
            _smallest_p(edges, evaluation["regime_statistics"], entry["n_boot"]),
            table["date"].cast("int32").to_numpy(),
            table["r_net"].to_numpy(),
        )
    except run_list.BROKEN:
        return None


def _smallest_p(edges: Sequence[Row], statistics: Sequence[Row], n_boot: int) -> float | None:
    """Return the smallest p_edge that a tested edge of a run could have had."""
    n_pairs: dict[int, int] = defaultdict(int)
    for row in statistics:
        n_pairs[row["horizon_days"]] += row["n"]
    possible = [
        smallest_p_edge(n_boot=n_boot, n_pairs=n_pairs[horizon], horizon_days=horizon)
        for horizon in {edge["horizon_days"] for edge in edges}
    ]
    return min(possible, default=None)


def _common_returns(read: Sequence[_Member]) -> tuple[int, NDArray[np.float64]]:
    """Return how many test days all runs share, and net returns on them, shape (runs, days)."""
    series = [(member.days, member.returns) for member in read]
    if not series:
        return 0, np.empty((0, 0))
    common = series[0][0]
    for days, _ in series[1:]:
        if len(days) != len(common) or (days != common).any():
            common = np.intersect1d(common, days)
    taken = [values[np.isin(days, common)] for days, values in series]
    return len(common), np.ascontiguousarray(np.stack(taken))


def _moments(
    returns: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return Sharpe ratio per day, skewness and raw kurtosis of runs, as in their own metrics.

    Parameters
    ----------
    returns
        Daily net returns, shape (runs, days).

    Returns
    -------
    Three vectors (runs,); NaN with less than two days and for a run whose return never changes. The
    Sharpe ratio divides by the deviation with n - 1, the shapes by that with n.
    """
    n_runs, n_days = returns.shape
    if n_days < 2:
        missing = np.full(n_runs, np.nan)
        return missing, missing, missing
    mean = returns.mean(axis=1, keepdims=True)
    deviation = resolved_std(returns, ddof=0)
    sharpe = mean[:, 0] / (deviation * np.sqrt(n_days / (n_days - 1)))
    z = (returns - mean) / deviation[:, None]
    return sharpe, (z**3).mean(axis=1), (z**4).mean(axis=1)


def _first_alike(returns: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each run the first one whose net returns are the same to the last bit."""
    if returns.shape[1] < 2:
        return np.arange(len(returns))
    first: dict[bytes, int] = {}
    return np.array(
        [first.setdefault(x.tobytes(), i) for i, x in enumerate(returns + 0.0)], dtype=np.int64
    )


def _p_against_leader(
    returns: NDArray[np.float64], deflated: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the two-sided p of "the Sharpe ratio is the leader's"; 1 for the leader itself."""
    if np.isnan(deflated).all():
        return np.full(len(returns), np.nan)
    plan = block_plan(n=returns.shape[1], n_boot=N_BOOT, seed=SEED)
    leader = ResampledSharpe(returns[np.nanargmax(deflated)], plan)
    return np.array([sharpe_test(leader, ResampledSharpe(x, plan)).p for x in returns])


def _adjusted_edges(read: Sequence[_Member]) -> list[dict[str, Any]]:
    """Return the tested edges of states and spreads with p-values adjusted over all of them."""
    rows = [{"run_id": member.run_id, **edge} for member in read for edge in member.edges]
    p = np.array([row["p_edge"] for row in rows], dtype=np.float64)
    adjusted = zip(rows, benjamini_hochberg(p), holm(p), strict=True)
    return [
        {
            "run_id": row["run_id"],
            "horizon_days": row["horizon_days"],
            "edge": row["edge"],
            "trade_edge": row["trade_edge"],
            "p_edge": row["p_edge"],
            "p_benjamini_hochberg": float(p_bh),
            "p_holm": float(p_holm),
        }
        for row, p_bh, p_holm in adjusted
    ]


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_bytes())
    return content


def _missing(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
