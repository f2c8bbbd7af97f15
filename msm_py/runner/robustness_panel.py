"""The robustness panel as work: neighbours and placebos of a run, computed and judged."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from msm_py._typing import Row
from msm_py.errors import Interrupted, MsmError
from msm_py.experiment import neighbours
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import from_resolved
from msm_py.experiment.neighbours import PLACEBO, Neighbour
from msm_py.runner import batches
from msm_py.runner.invocation import NodeFinished
from msm_py.settings import Places
from msm_py.stats.sharpe import sign_flips
from msm_py.store import (
    edge_rows,
    layout,
    record_files,
    robustness_records,
    run_folder,
    run_list,
    scratch,
    standard_spread,
    warehouse,
)
from msm_py.store.robustness_records import neighbours_folder, record_file

# below this many placebos the smallest p that there can be is above SIGNIFICANCE
FEWEST_PLACEBOS: Final = 19
SIGNIFICANCE: Final = 0.05
ROBUST: Final = "robust"
NOT_ROBUST: Final = "not robust"
NOTHING: Final = "nothing to be robust about"
INCOMPLETE: Final = "incomplete"


def judge(own: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the neighbours and placebos of a run say of it.

    Parameters
    ----------
    own
        The run's ``net_sharpe`` and ``spread_trade_edge``; None where missing.
    rows
        The neighbours: check_name, setting, status (``complete``, ``failed``, ``itself``,
        ``skipped``), net_sharpe, sign_flips, edge_sign_flips. A complete run without a Sharpe ratio
        held nothing: a placebo counts as 0 then, a neighbour has no sign to flip.

    Returns
    -------
    dict
        ``n_neighbours``, ``n_skipped``, ``n_failed`` (placebos among them), ``n_flips`` of the sign
        of net Sharpe and ``n_edge_flips`` of that of the spread's trade edge, ``n_empty`` that held
        nothing, the worst neighbour of those that have a Sharpe ratio (``worst_check``,
        ``worst_setting``, ``worst_net_sharpe``; None when none has), ``n_placebos``, the share of
        them that the run is above (``placebo_percentile``), ``placebo_p`` = (1 + #{placebo >= run})
        / (1 + #placebos), one-sided, and the ``verdict``.

        ``robust``: the Sharpe ratio is above 0, it and the spread keep their signs with every
        neighbour, and ``placebo_p`` is at most 5%. ``nothing to be robust about``: it is not above
        0. ``incomplete``: nothing speaks against the run, but neighbours failed or held nothing,
        or there are too few placebos. Else ``not robust``.

    Notes
    -----
    The placebo test is a circular-shift test of the net Sharpe ratio: of timing in return or in
    volatility. Simulated size at 5% (915 days, a lookback of 252, persistent states that tell
    nothing): 4.6%, with fat tails or a drift of 0.1 standard deviations a day 6%. Being invested on
    calm days raises the ratio of a long-short that drifts, and counts as timing: with states that
    halve volatility it is 8% without drift, 16% and 44% with drifts of 0.03 and 0.1.
    Whether the edge itself is real is the question of the spread's p_edge.
    """
    near = [row for row in rows if row["check_name"] != PLACEBO and row["status"] == "complete"]
    placebos = [row for row in rows if row["check_name"] == PLACEBO and row["status"] == "complete"]
    n_failed = sum(row["status"] == "failed" for row in rows)
    sharpe = own["net_sharpe"]
    held = [row for row in near if row["net_sharpe"] is not None]
    worst = min(held, key=lambda row: row["net_sharpe"], default=None)
    found: dict[str, Any] = {
        "net_sharpe": sharpe,
        "n_neighbours": len(near),
        "n_skipped": sum(row["status"] == "skipped" for row in rows),
        "n_failed": n_failed,
        "n_empty": len(near) - len(held),
        "n_flips": sum(bool(row["sign_flips"]) for row in held),
        "n_edge_flips": sum(bool(row["edge_sign_flips"]) for row in near),
        "worst_check": worst and worst["check_name"],
        "worst_setting": worst and worst["setting"],
        "worst_net_sharpe": worst and worst["net_sharpe"],
        "n_placebos": len(placebos),
        "placebo_percentile": None,
        "placebo_p": None,
    }
    if placebos and sharpe is not None:
        at_least = sum((row["net_sharpe"] or 0.0) >= sharpe for row in placebos)
        found["placebo_percentile"] = (len(placebos) - at_least) / len(placebos)
        found["placebo_p"] = (1 + at_least) / (1 + len(placebos))
    return {**found, "verdict": _verdict(found)}


def _verdict(found: Row) -> str:
    if (found["net_sharpe"] or 0.0) <= 0:
        return NOTHING
    enough = found["n_placebos"] >= FEWEST_PLACEBOS
    if found["n_flips"] or found["n_edge_flips"]:
        return NOT_ROBUST
    if enough and found["placebo_p"] > SIGNIFICANCE:
        return NOT_ROBUST
    known = enough and not found["n_failed"] and not found["n_empty"]
    return ROBUST if known else INCOMPLETE


def write_record(
    runs: Path,
    run_id: str,
    found: Sequence[Neighbour],
    run_ids: Sequence[str | None],
    errors: Mapping[str, str],
) -> dict[str, Any]:
    """Write the panel of a run, atomically.

    Parameters
    ----------
    runs
        The runs folder.
    run_id
        The run.
    found, run_ids
        Its neighbours, and the run id of each that was to be run.
    errors
        Why some of them failed, by run id.

    Returns
    -------
    The panel: ``run_id``, ``title``, ``rows`` (one per setting and placebo) and ``summary``.
    """
    own = _result(runs / run_id)
    rows = [
        _row(runs, run_id, own, neighbour, other, errors)
        for neighbour, other in zip(found, run_ids, strict=True)
    ]
    record = {
        "run_id": run_id,
        "title": json.loads((runs / run_id / layout.CATALOG_ENTRY).read_bytes())["title"],
        "rows": rows,
        "summary": {**own, **judge(own, rows)},
    }
    record_files.replace(record_file(runs, run_id), record)
    return record


def _row(
    runs: Path,
    run_id: str,
    own: Mapping[str, Any],
    neighbour: Neighbour,
    other: str | None,
    errors: Mapping[str, str],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "check_name": neighbour.check,
        "setting": neighbour.setting,
        "status": "skipped",
        "note": neighbour.note,
        "neighbour_run_id": run_id if neighbour.is_itself else other,
        **dict.fromkeys((*own, "net_sharpe_change", "sign_flips", "edge_sign_flips")),
    }
    if neighbour.is_itself:
        return {**row, **own, "status": "itself", "net_sharpe_change": _change(own, own)}
    if other is None:
        return row
    try:
        result = _result(neighbours_folder(runs) / other)
    except FileNotFoundError:
        return {**row, "status": "failed", "note": errors.get(other, "it was not computed")}
    except run_list.BROKEN as error:
        fault = f"its folder is broken: {run_list.fault_of(error)}"
        return {**row, "status": "failed", "note": f"{fault}; with --force it is computed again"}
    return {
        **row,
        **result,
        "status": "complete",
        "net_sharpe_change": _change(own, result),
        "sign_flips": sign_flips(own["net_sharpe"], result["net_sharpe"]),
        "edge_sign_flips": sign_flips(_spread(own), _spread(result)),
    }


def _spread(result: Mapping[str, Any]) -> float | None:
    """Return the spread's trade edge, unless there is too little to go by."""
    edge: float | None = result["spread_trade_edge"]
    return None if result["spread_evidence"] == "none" else edge


def _change(own: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    before, after = own["net_sharpe"], other["net_sharpe"]
    return None if before is None or after is None else after - before


def _result(folder: Path) -> dict[str, Any]:
    """Return what the panel shows of a run folder."""
    entry = json.loads((folder / layout.CATALOG_ENTRY).read_bytes())
    evaluation = json.loads((folder / layout.REGIME_EVALUATION).read_bytes())
    spread = standard_spread.of_edges(edge_rows.read(evaluation["edges"]))
    return {
        **{name: entry[name] for name in ("n_test_days", "net_sharpe", "net_cagr", "avg_turnover")},
        "spread_horizon_days": spread.get("horizon_days"),
        "spread_trade_edge": spread.get("trade_edge"),
        "spread_p_edge": spread.get("p_edge"),
        "spread_p_value": spread.get("p_value"),
        "spread_p_shift": spread.get("p_shift"),
        "spread_evidence": spread.get("evidence"),
    }


@dataclass(frozen=True)
class PanelBegun:
    """The panel of a run is begun: how many there are, and how many of them to compute."""

    run_id: str
    n_neighbours: int
    n_placebos: int
    n_waiting: int


@dataclass(frozen=True)
class PanelEnded:
    """The panel of a run is written."""

    run_id: str


def compute(
    run_id: str, places: Places, tell: Callable[[PanelBegun | NodeFinished], object], *, force: bool
) -> dict[str, Any]:
    """Compute what is not there yet of the neighbours of a run, and write its panel.

    Parameters
    ----------
    run_id
        A complete run.
    places
        Where it is.
    tell
        Told what there is to do, once that is known, and of every finished node.
    force
        Whether neighbours that are there are computed again.

    Returns
    -------
    The panel, as `msm_py.runner.robustness_panel.write_record`.
    """
    folder = places.runs / run_id
    manifest = json.loads((folder / layout.MANIFEST).read_bytes())
    window = json.loads((folder / layout.METRICS).read_bytes())["window"]
    found = neighbours.neighbours(
        # a run of this code, as its id says, so the schema reads it
        from_resolved(manifest["spec"], where=f"spec of {run_id}"),
        first_date=date.fromisoformat(window["first_date"]),
        n_days=window["n_days"],
    )
    fingerprints = (manifest["lake"]["fingerprint"], manifest["code_fingerprint"])
    specs = [
        None
        if neighbour.experiment is None
        else ResolvedRun.of(neighbour.experiment, *fingerprints)
        for neighbour in found
    ]
    hidden = Places(
        lake=places.lake,
        runs=robustness_records.neighbours_folder(places.runs),
        warehouse=places.warehouse,
        force=force,
        cache=places.cache,
    )
    run_folder.check_runs_dir(hidden.runs)
    wanted = [spec for spec in specs if spec is not None]
    drop_leftovers(places.runs, [spec.run_id for spec in wanted])
    n_waiting = sum(force or not (hidden.runs / spec.run_id).is_dir() for spec in wanted)
    n_placebos = sum(neighbour.check == PLACEBO for neighbour in found)
    tell(PanelBegun(run_id, len(wanted) - n_placebos, n_placebos, n_waiting))
    errors: dict[str, str] = {}
    try:
        size = max(1, len(wanted))
        for trial in batches.run_sweep(wanted, hidden, batch_size=size, progress=tell):
            if trial.status == "failed":
                errors[str(trial.run_id)] = trial.error or "no message"
    except KeyboardInterrupt:
        raise Interrupted from None
    run_ids = [None if spec is None else spec.run_id for spec in specs]
    return write_record(places.runs, run_id, found, run_ids, errors)


def compute_panels(
    run_ids: Sequence[str],
    places: Places,
    tell: Callable[[PanelBegun | PanelEnded | NodeFinished], object],
    *,
    force: bool,
) -> list[dict[str, Any]]:
    """Compute the panels of runs one after the other, and publish them; see `compute`."""
    panels = []
    for run_id in run_ids:
        panels.append(compute(run_id, places, tell, force=force))
        tell(PanelEnded(run_id))
    warehouse.publish(places.runs, places.warehouse)
    return panels


def drop_leftovers(runs: Path, wanted: Collection[str]) -> None:
    """Delete panels whose run is gone, and neighbours that no panel names any more.

    Neighbours that are younger than a day stay: another process may be at work on their panel. So
    those that are wanted now are made young.

    Parameters
    ----------
    runs
        The runs folder.
    wanted
        Run ids of the neighbours that a panel is about to be made of.
    """
    hidden = robustness_records.neighbours_folder(runs)
    with FileLock(f"{hidden}.lock"):
        for run_id in wanted:
            with suppress(OSError):  # it is not there yet, or someone else's
                os.utime(hidden / run_id)
        named: set[str] = set()
        for file in robustness_records.files(runs):
            if not (runs / file.stem).is_dir():
                file.unlink(missing_ok=True)
                continue
            try:
                record = robustness_records.read_record(runs, file.stem)
            except MsmError:  # it is damaged, and nobody knows which neighbours it names
                return
            named.update(row["neighbour_run_id"] for row in (record or {"rows": []})["rows"])
        with scratch.folder(hidden) as own:
            for run_id in set(run_list.existing_runs(hidden)) - named:
                with suppress(OSError):  # gone meanwhile, or someone else's
                    if time.time() - (hidden / run_id).stat().st_mtime > scratch.SECONDS_A_DAY:
                        (hidden / run_id).rename(own / run_id)


def failure(record: Row) -> MsmError | None:
    """Return the error that ends a command whose neighbours did not all complete."""
    failed = [row for row in record["rows"] if row["status"] == "failed"]
    if not failed:
        return None
    first = failed[0]
    return MsmError(
        f"{len(failed)} of the neighbours failed",
        where=f"robustness of {record['run_id']}",
        received=f"{first['check_name']} {first['setting']}: {first['note'].splitlines()[0]}",
        remedy="mend the cause and run again with --robust: what is complete is kept",
    )
