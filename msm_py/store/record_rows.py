"""What the records hidden in a runs folder bring into the warehouse."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from msm_py._typing import Row
from msm_py.lake.check_items import ABSENT
from msm_py.store import (
    lake_records,
    looks,
    null_market_records,
    robustness_records,
    run_list,
    sweep_records,
)
from msm_py.store.folder_rows import Content
from msm_py.store.lake_records import Findings

Rows = Iterable[tuple[str, Row]]


@dataclass(frozen=True)
class Record:
    """A record that lies hidden in a runs folder.

    Parameters
    ----------
    name
        Its file, seen from the runs folder.
    hash
        Of its content.
    rows
        Its rows with their tables, made when they are asked for.
    lake
        Fingerprint of the lake that it is about: it counts if a run is of that lake.
    """

    name: str
    hash: str
    rows: Rows
    lake: str | None = None


def _sweeps(runs: Path) -> Iterator[Record]:
    for record in sweep_records.read_records(runs):
        name = f"{sweep_records.FOLDER}/{record['sweep_id']}.json"
        yield Record(name, _hash(record), _sweep_rows(record))


def _sweep_rows(record: Row) -> Iterator[tuple[str, Row]]:
    statuses = [trial["status"] for trial in record["trials"]]
    counts = {"n_failed": statuses.count("failed"), "n_rejected": statuses.count("rejected")}
    yield "sweeps", {**record, **record["overall"], **counts}
    for table, part in (
        ("sweep_trials", "trials"),
        ("sweep_statistics", "runs"),
        ("sweep_edges", "edges"),
    ):
        for row in record[part]:
            yield table, {"sweep_id": record["sweep_id"], **row}


def _panels(runs: Path) -> Iterator[Record]:
    for record in robustness_records.read_records(runs):
        name = f"{robustness_records.FOLDER}/{record['run_id']}.json"
        yield Record(name, _hash(record), _panel_rows(record))


def _panel_rows(record: Row) -> Iterator[tuple[str, Row]]:
    named = {"run_id": record["run_id"], "title": record["title"]}
    yield "robustness_summary", {**named, **record["summary"]}
    for row in record["rows"]:
        yield "robustness", {**named, **row}


def _null_markets(runs: Path) -> Iterator[Record]:
    for record in null_market_records.read_records(runs):
        name = f"{null_market_records.FOLDER}/{record['run_id']}.json"
        yield Record(name, _hash(record), _null_market_rows(record))


def _null_market_rows(record: Row) -> Iterator[tuple[str, Row]]:
    run_id = record["run_id"]
    n_failed = sum(market["status"] == "failed" for market in record["markets"])
    for row in record["summary"]:
        yield "null_market_summary", {"run_id": run_id, "n_failed": n_failed, **row}
    for market in record["markets"]:
        for row in market["figures"]:
            yield "null_markets", {"run_id": run_id, "number": market["number"], **row}


def _looks(runs: Path) -> Iterator[Record]:
    for look in looks.read(runs).looks:
        digest = _hash(asdict(look))
        yield Record(f"{looks.LEDGER} {digest}", digest, [("looks", asdict(look))])


def _lakes(runs: Path) -> Iterator[Record]:
    for fingerprint, found in lake_records.all_kept(runs):
        name = f"{lake_records.FOLDER}/{fingerprint}.json"
        digest = _hash({"fingerprint": fingerprint, **asdict(found)})
        yield Record(name, digest, _lake_rows(fingerprint, found), fingerprint)


def _lake_rows(fingerprint: str, found: Findings) -> Iterator[tuple[str, Row]]:
    named = {"lake_fingerprint": fingerprint}
    counts = {"n_failures": len(found.failures), "n_warnings": found.n_warnings}
    yield "lakes", {**named, "path": found.path, **counts}
    for item in found.items:
        if item.verdict != "ok" and item.detail != ABSENT:
            words = {"lake_table": item.table, "check_name": item.check}
            yield "lake_findings", {**named, **words, **asdict(item)}


# What lies hidden in a runs folder: how its records are read, by the table whose rows hold the hash
# of their record.
KINDS: Final[Mapping[str, Callable[[Path], Iterator[Record]]]] = {
    "sweeps": _sweeps,
    "robustness_summary": _panels,
    "null_market_summary": _null_markets,
    "looks": _looks,
    "lakes": _lakes,
}


def read_records(records: Iterable[Record]) -> tuple[dict[str, Content], dict[str, str]]:
    """Return the content of records that have all they need, and what is wrong with the others."""
    read, faults = {}, {}
    for record in records:
        rows: dict[str, list[Row]] = defaultdict(list)
        try:
            for table, row in record.rows:
                rows[table].append({**row, "record_hash": record.hash})
            read[record.name] = Content(rows)
        except run_list.BROKEN as error:
            faults[record.name] = run_list.fault_of(error)
    return read, faults


def _hash(record: Row) -> str:
    text = json.dumps(record, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
