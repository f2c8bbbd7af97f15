"""The examples of docs/examples, on a warehouse as users have it."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from support.lakes import tiny_lake
from support.pipeline import ROOT, Done, run_experiments
from support.specs import spec_of

pytestmark = pytest.mark.slow
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("examples")
    lake = tiny_lake(place / "lake", seed=1)
    dear = {"backtest": {"costs": {"taker_fee_bps": 50}}}
    found = run_experiments([spec_of("one", {}), spec_of("dear", dear)], lake, place)
    assert found.code == 0, found.err
    return found


def leaders(done: Done) -> list[Any]:
    with duckdb.connect(done.warehouse, read_only=True) as con:
        return con.sql("select run_id, net_sharpe from v_leaderboard order by place").fetchall()


def test_the_notebook(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    monkeypatch.setenv("MSM_WAREHOUSE", str(done.warehouse))
    notebook = nbformat.read(EXAMPLES / "explore.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # none is committed
    nbclient.NotebookClient(notebook, timeout=120).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output["data"] for cell in outputs for output in cell if "data" in output]
    assert sum("image/png" in data for data in shown) == 2
    board = next(data["text/plain"] for data in shown if "deflated_sharpe" in data["text/plain"])
    for run_id, sharpe in leaders(done):
        assert run_id in board
        assert f"{sharpe:.4f}"[:-1] in board
    assert len([data for data in shown if "text/html" in data]) == 5


def test_the_streamlit_app(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    testing = pytest.importorskip("streamlit.testing.v1", reason="streamlit is not installed")
    monkeypatch.setenv("MSM_WAREHOUSE", str(done.warehouse))
    app = testing.AppTest.from_file(str(EXAMPLES / "streamlit_app.py"), default_timeout=60).run()
    assert not app.exception
    (first, sharpe), (second, other) = leaders(done)
    assert app.dataframe[0].value["run_id"].tolist() == [first, second]
    assert app.metric[2].value == f"{sharpe:.2f}"
    app.selectbox[0].select(second).run()
    assert not app.exception
    assert app.metric[2].value == f"{other:.2f}"


def test_examples_are_short() -> None:
    lines = (EXAMPLES / "streamlit_app.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 45
