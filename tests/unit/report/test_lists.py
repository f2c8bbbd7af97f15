"""Lists: a line a row at any width, what varies, what is chosen, and forms for programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType
from support.hostile_text import HOSTILE
from support.run_content import catalog_row, edge, make_warehouse

from msm_py.errors import MsmError
from msm_py.report.formats import csv_text, json_text
from msm_py.report.line_list import LineColumn, fitted, line_list, shortened
from msm_py.report.runs_table import Choice, choose, runs_table, short_ids
from msm_py.report.varying import varying

LONG, NEW = "msm_v1_rather_long_experiment-0000000000", "newer-1111111111"


def shown(renderable: RenderableType, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, markup=False).print(renderable)
    return file.getvalue().splitlines()


def runs(**changes: Any) -> list[dict[str, Any]]:
    return [
        catalog_row(
            LONG,
            "2026-01-01 00:00:00",
            n_family=1_234,
            deflated_sharpe=0.41,
            is_latest=True,
            **changes,
        ),
        catalog_row(NEW, "2026-01-02 00:00:00", net_sharpe=None, is_latest=True),
        catalog_row("newer-2222222222", "2025-01-02 00:00:00", is_latest=False, net_sharpe=5.0),
        catalog_row("hoax-3333333333", "2026-01-03 00:00:00", is_latest=True, is_placebo=True),
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    edges = [
        {"run_id": NEW, **edge("spread", 0.02, horizon_days=20)},
        {"run_id": NEW, **edge("spread", -0.0321, p_edge=0.012)},
    ]
    return make_warehouse(tmp_path / "msm.duckdb", runs(), edges)


def ids(file: Path, **choice: Any) -> list[str]:
    return [row["run_id"] for row in choose(file, Choice(**choice)).rows]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_run_is_a_line_at_any_width(file: Path, width: int) -> None:
    lines = shown(runs_table(choose(file, Choice()), Choice(), file), width)
    assert all(cell_len(line) <= width for line in lines)
    head = next(place for place, line in enumerate(lines) if set(line.strip()) == {"─"})
    newer, older, after = lines[head + 1 : head + 4]
    assert not after.strip()
    for expected in ("newer", "111111", "—", "+3.21%", "0.012*"):
        assert expected in newer
    assert older.startswith("msm_v1")
    assert "0.41" in older
    text = " ".join(" ".join(lines).split())
    assert "2 runs, newest first" in text
    assert "1 more that newer runs have replaced (--all shows them)" in text
    assert "CAGR -2.8%" in text, "what is the same in all rows is said once"


def test_what_is_listed_can_be_chosen(file: Path) -> None:
    assert ids(file) == [NEW, LONG]
    assert ids(file, with_older=True) == ["hoax-3333333333", NEW, LONG, "newer-2222222222"]
    assert ids(file, limit=1) == [NEW]
    assert ids(file, experiment="msm_*") == [LONG]
    assert ids(file, experiment="newer") == [NEW]
    assert ids(file, sort="net_sharpe", with_older=True)[0] == "newer-2222222222"
    assert ids(file, sort="+spread_p_edge") == [NEW, LONG]
    limited = shown(runs_table(choose(file, Choice(limit=1)), Choice(limit=1), file), 100)
    assert "1 of 2 runs, newest first (--top N shows more)" in " ".join(limited)
    nothing = Choice(experiment="nobody")
    assert "No run of nobody in" in shown(runs_table(choose(file, nothing), nothing, file), 200)[0]


def test_a_sweep_is_shown_with_the_runs_that_it_has(tmp_path: Path) -> None:
    file = make_warehouse(
        tmp_path / "msm.duckdb",
        runs(),
        [],
        sweeps=[{"sweep_id": "s-1"}, {"sweep_id": "t-1"}],
        sweep_trials=[
            {"sweep_id": "s-1", "run_id": run_id} for run_id in ("newer-2222222222", NEW)
        ],
    )
    assert ids(file, sweep="s") == [NEW, "newer-2222222222"], "though one was run again since"
    for given, what in (("x", "there is no such sweep"), ("", "several sweeps begin")):
        with pytest.raises(MsmError, match=what) as caught:
            choose(file, Choice(sweep=given))
        assert "s-1" in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("sort", "remedy"), [("net_shrape", "did you mean net_sharpe?"), ("§", "docs/bi.md lists")]
)
def test_a_column_that_is_not_there_cannot_be_sorted_by(file: Path, sort: str, remedy: str) -> None:
    with pytest.raises(MsmError, match="there is no such column") as caught:
        choose(file, Choice(sort=sort))
    assert remedy in str(caught.value.remedy)


def test_programs_get_every_column(file: Path) -> None:
    rows = choose(file, Choice()).rows
    read = json.loads(json_text(rows))
    assert [row["run_id"] for row in read] == [NEW, LONG]
    assert read[0]["spread_trade_edge"] == 0.0321
    assert read[0]["net_sharpe"] is None
    table = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert [row["run_id"] for row in table] == [NEW, LONG]
    assert table[0]["net_sharpe"] == ""
    assert table[0].keys() == read[0].keys()
    assert json.loads(json_text([])) == []


def test_list_without_runs_says_how_to_make_one(tmp_path: Path) -> None:
    file = make_warehouse(tmp_path / "msm.duckdb", [], [])
    assert "No runs yet" in shown(runs_table(choose(file, Choice()), Choice(), file), 200)[0]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: None, "there is no warehouse yet"),
        (lambda path: path.mkdir(), "the warehouse is a folder"),
        (lambda path: path.write_text("no database" * 999), "the warehouse cannot be read"),
    ],
)
def test_list_without_a_warehouse_is_an_error_with_a_remedy(
    tmp_path: Path, make: Any, what: str
) -> None:
    make(tmp_path / "msm.duckdb")
    with pytest.raises(MsmError, match=what) as error:
        choose(tmp_path / "msm.duckdb", Choice())
    assert error.value.remedy


# --- Lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", range(1, 30))
def test_a_cut_text_is_as_wide_as_there_is_room(width: int) -> None:
    for text in ("a" * 40, "牛" * 20, "🐂" * 20, "e\u0301" * 30, HOSTILE, "ab"):
        assert cell_len(shortened(text, width)) <= max(width, 0)


def test_columns_that_matter_less_give_way() -> None:
    columns = [
        LineColumn("name", ["a_rather_long_name", "b"], "left", least=8),
        LineColumn("Sharpe", ["1.00", "2.00"]),
        LineColumn("title", ["something to say", "more"], "left", least=6),
        LineColumn("n", ["1", "2"]),
    ]
    assert fitted(columns, 100) == [18, 6, 16, 1]
    assert fitted(columns, 30) == [11, 6, 6, 1]
    assert fitted(columns, 17) == [9, 6, 0, 0]
    assert fitted(columns, 5) == [5, 0, 0, 0]


def test_what_all_rows_share_is_said_below() -> None:
    columns = [LineColumn("name", ["a", "b"], "left"), LineColumn("max_days", ["5", "5"])]
    assert shown(line_list(columns), 40)[-1].strip() == "The same in all: max days 5."
    head, days, _, row = shown(line_list([LineColumn("max_days", ["5"])]), 40)
    assert [head.strip(), days.strip()] == ["max", "days"]
    assert row.strip() == "5", "of a single row everything is shown"


def test_ids_are_as_long_as_it_takes() -> None:
    assert short_ids(["a-0123456789", "b-abcdef0123"]) == ["012345", "abcdef"]
    assert short_ids(["a-0123456789", "b-0123456780"]) == ["0123456789", "0123456780"]


def test_experiments_are_told_apart_by_the_keys_that_differ() -> None:
    specs: list[dict[str, Any] | None] = [
        {"experiment_id": name, "low": low, "same": 1, "features": [{"id": "m", "weight": weight}]}
        for name, low, weight in (("s_0123456789", 1, 0.5), ("s_abcdef0123", None, 0.25))
    ]
    columns = varying(specs, ["A", "B"])
    assert [(column.head, column.cells) for column in columns] == [
        ("low", ["1", "—"]),
        ("weight", ["0.5", "0.25"]),
    ]
    assert [column.head for column in varying([specs[0], None], ["A", "B"])] == ["title"]
    many = [{"experiment_id": "a", **{f"k{i}": x for i in range(13)}} for x in range(2)]
    others = [{"experiment_id": name, "k": name} for name in "ab"]
    for told in (many, others):
        assert [column.head for column in varying(told, ["A", "B"])] == ["title"]
