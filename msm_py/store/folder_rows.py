"""What a run folder brings into the warehouse: its rows by table, read and held against hashes."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from msm_py._typing import Row
from msm_py.regimes import ALL, BEFORE, HOLDOUT, STATE_ORDER
from msm_py.store import (
    catalog_columns,
    families,
    formats,
    layout,
    run_file_columns,
    run_folder,
    run_list,
    shared_files,
)
from msm_py.store.declarations import FIRST_VERSION, Column
from msm_py.store.flat_params import flat_params
from msm_py.store.warehouse_tables import ALL_TABLES


@dataclass(frozen=True)
class Content:
    """What a run folder or a record brings into the warehouse.

    Parameters
    ----------
    rows
        Rows by table.
    named
        What names the run in every table of runs: run_id, experiment_id and title.
    frames
        Tables of a run that are files of its folder, by name, as they lie there: `together` makes
        rows of the warehouse of those of many runs at once.
    panels
        Shared panels of a run by table: name of the column, id of the panel, its file.
    """

    rows: Mapping[str, Sequence[Row]]
    named: Row = field(default_factory=dict)
    frames: Mapping[str, pa.Table] = field(default_factory=dict)
    panels: Mapping[str, tuple[str, str, Path]] = field(default_factory=dict)


def read_runs(runs: Path, run_ids: Iterable[str]) -> tuple[dict[str, Content], dict[str, str]]:
    """Return the content of run folders that are whole, and what is wrong with the others."""
    read, faults = {}, {}
    whole: dict[run_folder.FileFacts, str] = {}
    for run_id in run_ids:
        try:
            read[run_id] = _read_run(runs / run_id, whole)
        except FileFault as fault:
            faults[run_id] = str(fault)
    return read, faults


def _read_run(folder: Path, whole: dict[run_folder.FileFacts, str]) -> Content:
    found: list[tuple[str, Row]] = []
    for table, of_table in run_rows(folder):
        if not isinstance(of_table, dict):
            raise FileFault(f"{FILES[table]}: a {type(of_table).__name__} where a map belongs")
        found.append((table, of_table))
    catalog, panel_ids = (dict(found)[table] for table in ("catalog", "run_panels"))
    named = {"run_id": folder.name, **{name: catalog[name] for name in ("experiment_id", "title")}}
    rows: dict[str, list[Row]] = defaultdict(list)
    for table, row in found:
        rows[table].append({**row, **named, "state_order": _state_order(row.get("regime"))})
    panels = {}
    for panel, (table, name) in layout.PANELS.items():
        if panel_ids[panel] is None:
            continue  # of an older version
        content_id = str(panel_ids[panel])
        with reading(folder / name) as file:
            _check_panel(file, content_id, whole)
        panels[table] = (panel, content_id, file)
    frames = {"daily": _daily(folder)}
    for table, name in (("attribution", layout.ATTRIBUTION), ("state_paths", layout.STATE_PATHS)):
        if (folder / name).exists() or name in _kept(folder):  # not in runs of older versions
            with reading(folder / name) as file:
                frames[table] = _whole(formats.read_parquet(file), _OF_FILE[table])
    # last: what cannot be read at all has said so in its own words by now
    if fault := run_folder.fault_in(folder, whole):
        raise FileFault(fault)
    return Content(rows, named, frames, panels)


def _check_panel(file: Path, content_id: str, whole: dict[run_folder.FileFacts, str]) -> None:
    """See that a panel's file is whole: of runs that share one by hard link, once."""
    found = run_folder.hash_of(file, whole)[: shared_files.CONTENT_ID_DIGITS]
    if found != content_id:
        raise ValueError(f"its content is {found} and not {content_id}")


class FileFault(Exception):
    """A file of a run folder cannot be used."""


@contextmanager
def reading(file: Path) -> Iterator[Path]:
    """Name the file in whatever goes wrong while it is read."""
    try:
        if file.exists() and not file.is_file():
            raise ValueError("no plain file")
        yield file
    except run_list.BROKEN as error:
        raise FileFault(f"{file.name}: {run_list.fault_of(error)}") from None


def run_rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a run folder's JSON and CSV files as (table, row without run_id)."""
    with reading(folder / layout.MANIFEST) as file:
        manifest = _json(file)
        origin = {
            "created_at": manifest["finished_at"],
            "git_commit": manifest["git_commit"],
            "git_dirty": manifest["git_dirty"],
            "duration_seconds": manifest["duration_seconds"],
        }
        spec = manifest["spec"]
        if not isinstance(manifest.get("files", {}), dict):
            raise TypeError("its files are no map")
        asked = {
            "experiment_id": spec["experiment_id"],
            "title": spec["title"],
            "window_start": spec["window"]["start"],
            "window_end": spec["window"]["end"],
            "question": families.question_of(spec),
        }
        for row in flat_params(manifest["spec"]):
            yield "run_params", row
    with reading(folder / layout.CATALOG_ENTRY) as file:
        entry = _json(file)
        yield "catalog", asked | entry | origin
        panels = {name: entry.get(name) for name in layout.PANELS}
        yield "run_panels", panels | {"files_digest": run_list.files_digest(folder)}
    with reading(folder / layout.METRICS) as file:
        metrics = _json(file)
        stability = metrics["stability"]
        yield "stability", stability
        for table in ("regime_distribution", "regime_transitions"):
            for row in stability[table]:
                yield table, row
        doubts = metrics.get("doubts", ())
        for text in metrics["warnings"]:
            yield "run_warnings", {"warning": text, "is_doubt": text in doubts}
    with reading(folder / layout.REGIME_EVALUATION) as file:
        evaluation = _json(file)
        for table in ("regime_statistics", "edges"):
            for row in evaluation[table]:
                yield table, row
    kept = manifest.get("files", ())  # what is gone and should be there is missed when it is read
    if (folder / layout.LOOK).exists() or layout.LOOK in kept:
        with reading(folder / layout.LOOK) as file:
            look = _json(file)
            samples = {ALL: {**evaluation, **metrics}, BEFORE: look[BEFORE], HOLDOUT: look[HOLDOUT]}
            for name, sample in samples.items():
                for row in sample["edges"]:
                    yield "look_edges", {"sample": name, **row}
                if "headline" in sample:
                    yield "look_metrics", {"sample": name, **look_metrics(sample)}
    if (folder / layout.WALK_FORWARD).exists() or layout.WALK_FORWARD in kept:
        with reading(folder / layout.WALK_FORWARD) as file:
            for window in _json(file)["windows"]:
                for parameter, value in window.pop("parameters").items():
                    yield "chosen_parameters", {**window, "parameter": parameter, "value": value}
    if (folder / layout.QUALITY).exists() or layout.QUALITY in kept:
        with reading(folder / layout.QUALITY) as file:
            for row in _json(file)["findings"]:
                yield "run_quality", row
    with reading(folder / layout.REGIME_METRICS) as file, file.open(newline="") as text_file:
        for record in csv.DictReader(text_file):
            yield "regime_metrics", {name: value or None for name, value in record.items()}


def look_metrics(sample: Row) -> dict[str, Any]:
    """Return the flat row of a sample's figures, as the catalog calls them."""
    net, controls = sample["headline"]["net"], sample["controls"]
    btc = controls["btc"] or {}
    return {
        "n_test_days": net["n_days"],
        "n_invested_days": net["n_invested_days"],
        **{f"net_{name}": net[name] for name in catalog_columns.PERFORMANCE},
        "ungated_net_cagr": controls["ungated_net"]["cagr"],
        "ungated_net_sharpe": controls["ungated_net"]["sharpe"],
        "btc_cagr": btc.get("cagr"),
        "btc_sharpe": btc.get("sharpe"),
        **sample["sharpe_tests"],
    }


# where the rows of a table come from, to name it when they do not fit
FILES: Final = {
    "catalog": layout.CATALOG_ENTRY,
    "run_panels": layout.CATALOG_ENTRY,
    "run_params": layout.MANIFEST,
    **dict.fromkeys(
        ("stability", "regime_distribution", "regime_transitions", "run_warnings"),
        layout.METRICS,
    ),
    **dict.fromkeys(("regime_statistics", "edges"), layout.REGIME_EVALUATION),
    "chosen_parameters": layout.WALK_FORWARD,
    **dict.fromkeys(("look_edges", "look_metrics"), layout.LOOK),
    "run_quality": layout.QUALITY,
    "regime_metrics": layout.REGIME_METRICS,
    "daily": f"{layout.RETURNS} or {layout.REGIME_TIMESERIES}",
    "attribution": layout.ATTRIBUTION,
    "state_paths": layout.STATE_PATHS,
    **{table: file for table, file in layout.PANELS.values()},
}


def _kept(folder: Path) -> Collection[str]:
    """Return the files that a run wrote, as its manifest has them; none of an older version."""
    with reading(folder / layout.MANIFEST) as file:
        kept: Collection[str] = _json(file).get("files", ())
        return kept


def _whole(table: pa.Table, columns: Collection[str]) -> pa.Table:
    """Return a table that has these columns."""
    if lacking := set(columns).difference(table.schema.names):
        raise KeyError(min(lacking))
    return table


def _of_first_version(columns: Sequence[Column]) -> frozenset[str]:
    return frozenset(column.name for column in columns if column.since == FIRST_VERSION)


_TIMESERIES: Final = _of_first_version(run_file_columns.TIMESERIES)
_RETURNS: Final = _of_first_version(run_file_columns.RETURNS)
_OF_FILE: Final = {
    "attribution": frozenset(layout.ATTRIBUTION_COLUMNS),
    "state_paths": frozenset(layout.STATE_PATHS_COLUMNS),
}


def _daily(folder: Path) -> pa.Table:
    with reading(folder / layout.REGIME_TIMESERIES) as file:
        timeseries = _whole(formats.read_parquet(file), _TIMESERIES)
        days = timeseries["date"]
    with reading(folder / layout.RETURNS) as file:
        returns = _whole(formats.read_parquet(file), _RETURNS)
        if days != returns["date"]:
            raise ValueError(f"its days are not those of {layout.REGIME_TIMESERIES}")
    columns = dict(zip(timeseries.schema.names, timeseries.columns, strict=True))
    return pa.table(columns | dict(zip(returns.schema.names, returns.columns, strict=True)))


def together(table: str, parts: Sequence[tuple[Row, pa.Table]]) -> pa.Table:
    """Return rows of many runs as a table of the warehouse.

    Parameters
    ----------
    table
        Its name.
    parts
        What names a run (the columns of that name in the warehouse), and its rows as they lie in
        its folder; a column that older versions did not write is missing there.

    Returns
    -------
    The columns of the warehouse's table, with the run and the places of states.
    """
    lengths = [part.num_rows for _, part in parts]
    whole = pa.concat_tables([part for _, part in parts], promote_options="default")
    columns = dict(zip(whole.schema.names, whole.columns, strict=True))
    of_run = pa.array(np.repeat(np.arange(len(parts), dtype=np.int32), lengths))
    for name in parts[0][0]:
        values = pa.array([named[name] for named, _ in parts], pa.string())
        columns[name] = pa.DictionaryArray.from_arrays(of_run, values)
    for place, regime in (("state_order", "regime"), ("held_state_order", "held_regime")):
        if regime in columns:
            columns[place] = _state_orders(columns[regime])
    return pa.table(
        {
            column.name: columns[column.name]
            if column.name in columns
            else pa.nulls(whole.num_rows)
            for column in ALL_TABLES[table].columns
        }
    )


def _state_orders(regimes: pa.ChunkedArray) -> pa.ChunkedArray:
    return _ORDERS.take(pc.index_in(regimes, _REGIMES))


_REGIMES: Final = pa.array(STATE_ORDER)
_ORDERS: Final = pa.array(STATE_ORDER.values(), pa.int32())


def _state_order(regime: object) -> int | None:
    return STATE_ORDER.get(regime) if isinstance(regime, str) else None


def labelled(file: Path, label: str, value: str) -> pa.Table:
    """Return the rows of a panel's file with a column that holds the panel's id."""
    table = formats.read_parquet(file)
    return table.append_column(label, pa.repeat(pa.scalar(value), table.num_rows))


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_bytes())
    return content
