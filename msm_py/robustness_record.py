"""The robustness panels of a runs folder: where neighbours lie, and what they came to.

Everything is hidden in the runs folder: the neighbours are run folders in a runs folder of their
own, so that they are in no catalog and no leaderboard and are no trials, and every panel is one
JSON file beside it. A panel holds no times: made again from the same runs it has the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msm_py import artifacts, hidden_records
from msm_py.robustness import Neighbour, judge, sign_flips

FOLDER: Final = ".robustness"
SHAPE: Final = {"run_id": str, "title": str, "rows": list, "summary": dict}
REMEDY: Final = "`msm run EXPERIMENT --robust` makes it again"
STANDARD_HORIZON: Final = 5  # days; as in lists of runs, the spread is that of the nearest horizon


def neighbours_folder(runs: Path) -> Path:
    """Return the runs folder of the neighbours of a runs folder."""
    return runs / FOLDER / "runs"


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
        "title": json.loads((runs / run_id / artifacts.CATALOG_ENTRY).read_bytes())["title"],
        "rows": rows,
        "summary": {**own, **judge(own, rows)},
    }
    hidden_records.replace(_file(runs, run_id), record)
    return record


def read_record(runs: Path, run_id: str) -> dict[str, Any] | None:
    """Return the panel of a run; None when it has none.

    Raises
    ------
    MsmError
        When its file is damaged.
    """
    file = _file(runs, run_id)
    return hidden_records.read(file, SHAPE, REMEDY) if file.exists() else None


def read_records(runs: Path) -> list[dict[str, Any]]:
    """Return the panels of the runs that are there, by run id, without damaged ones."""
    return _read_all(runs)[0]


def alarms(runs: Path) -> list[str]:
    """Say which panels are damaged, a sentence each."""
    return _read_all(runs)[1]


def _read_all(runs: Path) -> tuple[list[dict[str, Any]], list[str]]:
    present = [file for file in files(runs) if (runs / file.stem).is_dir()]
    return hidden_records.read_all(present, SHAPE, REMEDY)


def files(runs: Path) -> list[Path]:
    """Return the files of all panels in a runs folder: those that are called as a run."""
    found = hidden_records.files(runs / FOLDER)
    return [file for file in found if artifacts.RUN_ID.fullmatch(file.stem)]


def _file(runs: Path, run_id: str) -> Path:
    return runs / FOLDER / f"{run_id}.json"


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
    except artifacts.BROKEN as error:
        fault = f"its folder is broken: {artifacts.fault_of(error)}"
        return {**row, "status": "failed", "note": f"{fault}; with --force it is made again"}
    return {
        **row,
        **result,
        "status": "complete",
        "net_sharpe_change": _change(own, result),
        "sign_flips": sign_flips(own["net_sharpe"], result["net_sharpe"]),
        "edge_sign_flips": sign_flips(_spread(own), _spread(result)),
    }


def _spread(result: Mapping[str, Any]) -> float | None:
    """Return the spread's trade edge, unless one of its states was hardly ever seen."""
    edge: float | None = result["spread_trade_edge"]
    return None if result["spread_evidence"] == "none" else edge


def _change(own: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    before, after = own["net_sharpe"], other["net_sharpe"]
    return None if before is None or after is None else after - before


def _result(folder: Path) -> dict[str, Any]:
    """Return what the panel shows of a run folder."""
    entry = json.loads((folder / artifacts.CATALOG_ENTRY).read_bytes())
    evaluation = json.loads((folder / artifacts.REGIME_EVALUATION).read_bytes())
    spread: dict[str, Any] = min(
        (edge for edge in evaluation["edges"] if edge["edge"] == "spread"),
        key=lambda edge: (abs(edge["horizon_days"] - STANDARD_HORIZON), edge["horizon_days"]),
        default={},
    )
    return {
        **{name: entry[name] for name in ("n_test_days", "net_sharpe", "net_cagr", "avg_turnover")},
        "spread_horizon_days": spread.get("horizon_days"),
        "spread_trade_edge": spread.get("trade_edge"),
        "spread_p_value": spread.get("p_value"),
        "spread_p_shift": spread.get("p_shift"),
        "spread_evidence": spread.get("evidence"),
    }
