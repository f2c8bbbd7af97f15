"""What a tear sheet is made of: a run's files, and what the runs folder knows of it besides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from msm_py._typing import Floats, Row
from msm_py.regimes import REGIMES_OF
from msm_py.store import (
    formats,
    layout,
    looks,
    null_market_records,
    robustness_records,
    run_folder,
    sweep_records,
)
from msm_py.store.families import Family
from msm_py.store.looks import Seen
from msm_py.store.run import Run
from msm_py.store.warehouse import family_of


@dataclass(frozen=True)
class SheetData:
    """A run, ready to be looked at; days are those of its decision days, one after the other.

    Parameters
    ----------
    run
        Its JSON files.
    family
        What all that was tried on its days makes of it; None when nobody has counted.
    days
        ``regime_timeseries`` and ``returns`` side by side, by column.
    features, baskets
        The panels of these names, by column.
    attribution, paths
        Rows of the files of these names; empty in runs of older versions, the former also where its
        amounts are too large to be summed.
    walk_forward
        What was chosen before each test window; None without a search.
    robustness, null_markets
        The records of these names; None where there is none.
    sweeps
        The records of sweeps that it is a variant of.
    seen
        What is known of its hold-out.
    """

    run: Run
    family: Family | None
    days: Mapping[str, Sequence[Any]]
    features: Mapping[str, Sequence[Any]]
    baskets: Mapping[str, Sequence[Any]]
    attribution: Sequence[Row]
    paths: Sequence[Row]
    walk_forward: Row | None
    robustness: Row | None
    null_markets: Row | None
    sweeps: Sequence[Row]
    seen: Seen

    @classmethod
    def read(cls, folder: Path, warehouse: Path) -> SheetData:
        """Read all there is to know of a run.

        Raises
        ------
        MsmError
            When the folder is missing or a file of it cannot be read.
        """
        run, runs = Run.read(folder), folder.parent
        run_folder.check_whole(folder)

        def columns(name: str) -> dict[str, list[Any]]:
            table: pa.Table = run.table(name)
            found: dict[str, list[Any]] = formats.without_nan(table).to_pydict()
            return found

        def rows(name: str) -> list[Row]:
            found: list[Row] = run.table(name).to_pylist() if (folder / name).exists() else []
            return found

        parts = rows(layout.ATTRIBUTION)
        search = folder / layout.WALK_FORWARD
        return cls(
            run,
            family_of(runs, warehouse, run.run_id),
            {**columns(layout.REGIME_TIMESERIES), **columns(layout.RETURNS)},
            columns(layout.FEATURES),
            columns(layout.BASKET),
            [] if any(row["net"] is None for row in parts) else parts,
            rows(layout.STATE_PATHS),
            json.loads(search.read_bytes()) if search.exists() else None,
            robustness_records.read_record(runs, run.run_id),
            null_market_records.read_record(runs, run.run_id),
            [
                sweep
                for sweep in sweep_records.read_records(runs)
                if any(row["run_id"] == run.run_id for row in sweep["runs"])
            ],
            looks.seen(runs, run.manifest, run.metrics["window"]["last_date"]),
        )

    @cached_property
    def first(self) -> date:
        """The first decision day."""
        day: date = self.days["date"][0]
        return day

    @cached_property
    def first_test_day(self) -> date | None:
        """The first day that strategy metrics count."""
        tests = self.days["is_test_day"]
        return self.first + timedelta(days=tests.index(True)) if True in tests else None

    @cached_property
    def regimes(self) -> Sequence[str]:
        """The states that there can be, from ALTS to MAJORS."""
        return REGIMES_OF[self.run.spec["state_mapping"]["n_regimes"]]

    @cached_property
    def present(self) -> Sequence[str]:
        """The states that occur, from ALTS to MAJORS."""
        return [regime for regime in self.regimes if regime in self.days["regime"]]

    def series(self, name: str) -> Floats:
        """Return a column of days, NaN where missing; shape (days,). All NaN when there is none."""
        values = self.days.get(name) or [None] * len(self.days["date"])
        return np.array([np.nan if x is None else x for x in values], dtype=np.float64)

    @cached_property
    def tests(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether strategy metrics count a day; shape (days,)."""
        return np.array(self.days["is_test_day"], dtype=bool)

    @cached_property
    def z_scores(self) -> dict[str, Floats]:
        """The z-score of every feature, in the experiment's order; shape (days,), NaN missing."""
        place = {day: number for number, day in enumerate(self.days["date"])}
        found = {
            feature["id"]: np.full(len(place), np.nan) for feature in self.run.spec["features"]
        }
        for day, feature, z in zip(
            *(self.features[name] for name in ("date", "feature_id", "z_score")), strict=True
        ):
            if day in place and feature in found and z is not None:
                found[feature][place[day]] = z
        return found

    @cached_property
    def weights(self) -> dict[str, Floats]:
        """The weight of every feature on every day, as it was chosen; shape (days,)."""
        days = len(self.days["date"])
        found = {
            feature["id"]: np.full(days, float(feature["weight"]))
            for feature in self.run.spec["features"]
        }
        for window in (self.walk_forward or {"windows": []})["windows"]:
            first, last = (
                (date.fromisoformat(window[end]) - self.first).days
                for end in ("first_date", "last_date")
            )
            for name, weights in found.items():
                chosen = window["parameters"].get(f"features.{name}.weight")
                if chosen is not None:
                    weights[first : last + 1] = chosen
        return found

    def trading(self, name: str) -> Row:
        """Return the metrics of a series: net, gross, ungated_net, btc, ...; empty without it."""
        return self.run.series(name)
