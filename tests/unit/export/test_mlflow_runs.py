"""What MLflow gets of a run, with a client that keeps what it is given."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from support.made_up_runs import publish, write_made_up_run

from msm_py.errors import MsmError
from msm_py.export import mlflow_runs
from msm_py.report.runs_table import Choice, choose

RUNS = ("a-0123456789", "b-0123456789", "c-0123456789")


class RefusedError(Exception):
    """What MLflow raises."""


class Page(list[Any]):
    """Some of what a search finds."""

    token: str | None = None


@dataclass
class Store:
    """A tracking server in memory.

    Parameters
    ----------
    runs
        What was created and not deleted, by MLflow's id.
    refused
        The name of a file that it does not take.
    """

    runs: dict[str, SimpleNamespace] = field(default_factory=dict)
    refused: str | None = None
    is_there: bool = True

    def client(self, tracking_uri: str) -> Store:
        if not self.is_there:
            raise RefusedError(f"{tracking_uri} is not there\nmore")
        return self

    def get_experiment_by_name(self, _: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return f"id of {name}"

    def search_runs(self, _: list[str], max_results: int, page_token: str | None) -> Page:
        found = list(self.runs.values())[0 if page_token is None else int(page_token) :]
        page = Page(found[:2])
        place = (0 if page_token is None else int(page_token)) + 2
        page.token = str(place) if place < len(self.runs) and max_results else None
        return page

    def create_run(self, _: str, run_name: str, start_time: int, tags: dict[str, str]) -> Any:
        assert start_time > 0
        key = f"{run_name}/{len(self.runs)}"
        self.runs[key] = SimpleNamespace(
            info=SimpleNamespace(run_id=key, status="RUNNING"),
            data=SimpleNamespace(tags=tags, metrics={}, params={}, files=[]),
        )
        return self.runs[key]

    def log_batch(self, key: str, metrics: Any = (), params: Any = ()) -> None:
        assert len(metrics) + len(params) <= 100
        self.runs[key].data.metrics.update((m[0], m[1]) for m in metrics)
        self.runs[key].data.params.update(params)

    def log_artifact(self, key: str, file: str) -> None:
        name = Path(file).name
        if self.refused == f"{key.partition('/')[0]}/{name}":
            raise RefusedError("no room\nand more lines")
        self.runs[key].data.files.append(name)

    def set_terminated(self, key: str, end_time: int) -> None:
        assert end_time > 0
        self.runs[key].info.status = "FINISHED"

    def delete_run(self, key: str) -> None:
        del self.runs[key]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    found = Store()
    parts: dict[str, dict[str, Any]] = {
        "mlflow": {"MlflowClient": found.client},
        "mlflow.exceptions": {"MlflowException": RefusedError},
        "mlflow.entities": {"Metric": lambda *x: x, "Param": lambda *x: x},
    }
    for name, content in parts.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("runs")
    for number, run_id in enumerate(RUNS):
        write_made_up_run(made / "runs", run_id, sharpe=float(number))
    publish(made)
    return made


def export(place: Path, **options: Any) -> list[tuple[str, str, str | None]]:
    rows = choose(place / "wh" / "msm.duckdb", Choice(limit=None)).rows
    rows = sorted(rows, key=lambda row: str(row["run_id"]))
    done = mlflow_runs.export(rows, place / "runs", tracking_uri="x", **options)
    return [(x.run_id, x.status, x.reason) for x in done]


def statuses(place: Path) -> list[str]:
    return [status for _, status, _ in export(place)]


def test_a_run_is_there_once(place: Path, store: Store) -> None:
    assert statuses(place) == ["new"] * 3
    assert statuses(place) == ["there"] * 3
    assert [run.data.tags["msm.run_id"] for run in store.runs.values()] == list(RUNS)
    last = list(store.runs.values())[2].data
    assert last.metrics["net_sharpe"] == 2.0
    assert None not in last.metrics.values()
    assert not {"short_n", "seed", "run_id"} & last.metrics.keys()
    assert last.files == [
        "manifest.json",
        "metrics.json",
        "regime_evaluation.json",
        "catalog_entry.json",
    ]


def test_what_changed_is_brought_up_to_date(place: Path, store: Store) -> None:
    export(place)
    next(iter(store.runs.values())).data.metrics["net_sharpe"] = 9.0
    assert statuses(place) == ["updated", "there", "there"]
    assert next(iter(store.runs.values())).data.metrics["net_sharpe"] == 0.0


def test_a_run_that_fails_leaves_nothing_and_the_others_go_on(place: Path, store: Store) -> None:
    store.refused = f"{RUNS[1]}/metrics.json"
    assert export(place)[1] == (RUNS[1], "failed", "no room")
    assert [run.data.tags["msm.run_id"] for run in store.runs.values()] == [RUNS[0], RUNS[2]]
    store.refused = None
    assert statuses(place) == ["there", "new", "there"]


def test_what_somebody_stopped_in_its_midst_is_made_anew(place: Path, store: Store) -> None:
    export(place)
    half = next(iter(store.runs.values()))
    half.info.status = "RUNNING"
    assert statuses(place) == ["new", "there", "there"]
    assert half not in store.runs.values()
    assert len(store.runs) == 3


def test_files_may_stay_behind(place: Path, store: Store) -> None:
    export(place, with_files=False)
    assert [run.data.files for run in store.runs.values()] == [[], [], []]


def test_a_server_that_is_not_there(place: Path, store: Store) -> None:
    store.is_there = False
    with pytest.raises(MsmError, match="MLflow cannot be used") as told:
        export(place)
    assert "x is not there" in str(told.value)
    assert "more" not in str(told.value)


def test_without_mlflow(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MsmError, match=r"\.\[mlflow\]"):
        export(place)


def test_long_texts_are_cut() -> None:
    found = mlflow_runs.params_of({"notes": "x" * 7000, "a:b": 1, "none": None})
    assert found == {"notes": "x" * 5999 + "…", "a_b": "1"}
    assert mlflow_runs.tags_of({"title": "x" * 7000})["msm.title"].endswith("x…")
