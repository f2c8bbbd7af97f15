"""Runs in MLflow as it is: in a folder, and on a server of one's own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lakes import tiny_lake
from support.pipeline import ROOT, Done, msm, run_experiments
from support.specs import spec_of

pytestmark = pytest.mark.slow
mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
SERVER = ROOT / ".venv-mlflow" / "bin" / "mlflow"
WAIT_SECONDS = 90


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("exported")
    lake = tiny_lake(place / "lake", seed=1)
    found = run_experiments(
        [spec_of("one", {}), spec_of("other", {"backtest": {"costs": {"taker_fee_bps": 7}}})],
        lake,
        place,
    )
    assert found.code == 0, found.err
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not SERVER.exists():
        pytest.skip("there is no .venv-mlflow: `make test-all` makes it")
    place = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            *(str(SERVER), "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--workers", "1"),
            *("--artifacts-destination", str(place / "artifacts")),
        ],
        cwd=place,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(WAIT_SECONDS):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(1)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(params=["folder", "server"])
def tracking_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "mlruns")
    found: str = request.getfixturevalue("server")
    return found


def test_runs_are_there_once(done: Done, tracking_uri: str) -> None:
    words = ("export", "mlflow", "--all", "--tracking-uri", tracking_uri)
    first = msm(*words, place=done.runs.parent)
    assert first.code == 0, first.err
    assert "2 runs to msm" in first.out
    assert ": 2 new, 0 brought up to date, 0 there already, 0 failed." in first.out
    again = msm(*words, place=done.runs.parent)
    assert ": 0 new, 0 brought up to date, 2 there already, 0 failed." in again.out
    client = mlflow.MlflowClient(tracking_uri=tracking_uri)
    experiment = client.get_experiment_by_name("msm").experiment_id
    found = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert sorted(found) == sorted(x.name for x in done.runs.iterdir() if "-" in x.name)
    run = found[done.folder("other").name]
    assert run.info.status == "FINISHED"
    assert run.data.params["features.momentum.weight"]
    assert run.data.metrics["net_sharpe"]
    assert run.data.tags["msm.experiment_id"] == "other"
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"manifest.json", "metrics.json", "report.html"} <= files
