"""Sweeps as a user carries them out, and what they wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import yaml
from support.lakes import tiny_spec
from support.pipeline import Done, contents, msm

LOW, HIGH = "state_mapping.thresholds.low", "state_mapping.thresholds.high"


def grid_file(place: Path, lows: list[float], highs: list[float]) -> Path:
    """Write a sweep over two thresholds; a low of -0.9 lies below strong_low and is rejected."""
    spec = tiny_spec()
    spec["experiment_id"] = "grid"
    for section, key in (("thresholds", "strong_low"), ("thresholds", "strong_high")):
        spec["state_mapping"][section][key] = -0.8 if key == "strong_low" else 0.8
    spec["sweep"] = {"grid": {LOW: lows, HIGH: highs}}
    place.mkdir(parents=True, exist_ok=True)
    file = place / "grid.yaml"
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    return file


def no_overlap_file(place: Path) -> Path:
    """Write an experiment that is valid and fails in its data."""
    spec = {**tiny_spec(), "experiment_id": "grid_no_overlap"}
    spec["window"] = {"start": "2031-01-01", "end": None}
    file = place / "no_overlap.yaml"
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    return file


def sweep(*files: Path, lake: Path, place: Path, options: tuple[str, ...] = ()) -> Done:
    return msm("sweep", *map(str, files), "--lake", str(lake), *options, place=place)


def folders(done: Done) -> dict[str, dict[str, bytes]]:
    """Return what every run folder holds, manifests apart."""
    return {
        folder.name: contents(folder)
        for folder in sorted(done.runs.iterdir())
        if not folder.name.startswith(".")
    }


def catalog(done: Done) -> list[tuple[Any, ...]]:
    """Return the catalog without what tells one making from another."""
    with duckdb.connect(done.warehouse, read_only=True) as con:
        return con.sql(
            "select * exclude (created_at, duration_seconds) from catalog order by run_id"
        ).fetchall()
