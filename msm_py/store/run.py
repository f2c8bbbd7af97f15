"""What the files of a run folder say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.regimes import BEFORE, HOLDOUT
from msm_py.store import edge_rows, formats, layout, run_list
from msm_py.text import relative_path


@dataclass(frozen=True)
class Run:
    """What the files of a run folder say.

    Parameters
    ----------
    folder
        Where they are.
    manifest, metrics
        The files of these names.
    statistics, edges
        The two lists of regime_evaluation.json; empty when the run was not evaluated.
    """

    folder: Path
    manifest: Row
    metrics: Row
    statistics: Sequence[Row]
    edges: Sequence[Row]

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read a run folder."""
        if not folder.is_dir():
            raise MsmError(
                "there is no such run",
                where=relative_path(folder.parent),
                received=folder.name,
                remedy="`msm list` shows the runs there are",
            )
        with _telling_of(folder):
            manifest, metrics, evaluation = (
                json.loads((folder / name).read_bytes())
                for name in (layout.MANIFEST, layout.METRICS, layout.REGIME_EVALUATION)
            )
            for name, part in (
                (layout.MANIFEST, manifest),
                (layout.METRICS, metrics),
                (layout.REGIME_EVALUATION, evaluation),
            ):
                if not isinstance(part, dict):
                    raise ValueError(f"{name} holds no map")
            return cls(
                folder,
                manifest,
                metrics,
                evaluation["regime_statistics"],
                edge_rows.read(evaluation["edges"]),
            )

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.metrics["run_id"])

    @property
    def spec(self) -> Row:
        """The resolved experiment, as its manifest has it."""
        # a mapping, not the model: the run may be of an older version, with other keys
        spec: Row = self.manifest["spec"]
        return spec

    @property
    def distribution(self) -> Sequence[Row]:
        """Days and stays of every state, from most ALTS to most MAJORS."""
        rows: Sequence[Row] = self.metrics["stability"]["regime_distribution"]
        return rows

    @property
    def present(self) -> list[str]:
        """The states that occur, from most ALTS to most MAJORS."""
        return [row["regime"] for row in self.distribution if row["n_days"]]

    @property
    def horizons(self) -> list[int]:
        """The horizons evaluated, in days."""
        return sorted({row["horizon_days"] for row in self.edges})

    def samples(self) -> dict[str, Run]:
        """Return what the days before the hold-out say and those of it, each alone, of a look.

        Samples without a test day have no figures and are left out; a run that does not look, or
        is of an older version, has none.
        """
        file = self.folder / layout.LOOK
        if not file.exists():
            return {}
        found = {}
        with _telling_of(file):
            look = json.loads(file.read_bytes())
            for name in (BEFORE, HOLDOUT):
                sample = look[name]
                if "headline" in sample:
                    own = {key: sample[key] for key in ("headline", "controls", "sharpe_tests")}
                    found[name] = replace(
                        self,
                        metrics={**self.metrics, **own},
                        statistics=sample["regime_statistics"],
                        edges=sample["edges"],
                    )
        return found

    def series(self, name: str) -> Row:
        """Return the metrics of a series; empty when the run has none of that name."""
        found: Row | None = {**self.metrics["headline"], **self.metrics["controls"]}.get(name)
        return found or {}

    def edges_named(self, name: str) -> list[Row]:
        """Return an edge at every horizon."""
        return sorted(
            (row for row in self.edges if row["edge"] == name),
            key=lambda row: int(row["horizon_days"]),
        )

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return what a Parquet file of the folder holds, or some columns of it."""
        file = self.folder / name
        with _telling_of(file):
            return formats.read_parquet(file, columns)

    def states(self) -> dict[Any, str]:
        """Return the state of every day."""
        table = self.table(layout.REGIME_TIMESERIES, ["date", "regime"])
        return dict(zip(*table.to_pydict().values(), strict=True))


@contextmanager
def _telling_of(place: Path) -> Iterator[None]:
    """Say in one message that a run folder, or a file of one, cannot be read."""
    try:
        yield
    except run_list.BROKEN as error:
        raise MsmError(
            "a run folder is broken",
            where=relative_path(place),
            received=run_list.fault_of(error),
            remedy=run_list.MEND_RUN,
        ) from None


def checks_of(folder: Path) -> list[Row]:
    """Return what checks of the data tell of a run; none of an older version."""
    file = folder / layout.QUALITY
    if not file.exists():
        return []
    with _telling_of(file):
        checks = json.loads(file.read_bytes())["checks"]
        names = ("severity", "brief", "text")
        return [{name: checks[check][name] for name in names} for check in sorted(checks)]
