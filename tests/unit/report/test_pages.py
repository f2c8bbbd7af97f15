"""Pages and figures, on made-up rows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from msm_py.errors import MsmError
from msm_py.report.pages import charts_attribution, charts_checks, figure, page, texts
from msm_py.report.pages.figure import DataTable, Figure
from msm_py.report.pages.sheet_data import SheetData
from msm_py.report.terminal import visible

HOSTILE = "<b>A</b>&\"'</script>\u2028"


def part(leg: str | None, asset: str | None, regime: str | None, **amounts: float) -> Any:
    zero = dict.fromkeys(("gross", "turnover", "fees", "slippage", "impact", "funding"), 0.0)
    row = {**zero, **amounts}
    paid = row["fees"] + row["slippage"] + row["impact"] + row["funding"]
    row.setdefault("net", row["gross"] - paid)
    return {"leg": leg, "asset_id": asset, "regime": regime, "n_days": 2, **row}


PARTS = [
    part("long", "BTC", "BALANCED", gross=0.25, fees=0.125),
    part("short", HOSTILE, "BALANCED", gross=-0.5, funding=0.25),
    part("short", HOSTILE, "RISK_ON_MAJORS", gross=0.125),
    part("short", "GOOD", "RISK_ON_MAJORS", gross=1.0),
    part("short", "GOOD", None, fees=0.5),
]


def sheet(**content: Any) -> SheetData:
    regimes = ("RISK_ON_ALTS", "BALANCED", "RISK_ON_MAJORS")
    return cast(SheetData, SimpleNamespace(regimes=regimes, **content))


def test_by_asset_names_the_best_and_the_worst_and_what_is_left_without_them() -> None:
    found = charts_attribution.by_asset(sheet(attribution=PARTS))
    assert found is not None
    (bars,) = found.data
    # GOOD 1 - 0.5, BTC 0.125, the other -0.75 + 0.125
    assert bars["y"] == ["GOOD", "BTC", texts.plain(HOSTILE)]
    assert bars["x"] == [0.5, 0.125, -0.625]
    assert "<" not in bars["y"][2]
    assert f"the best is GOOD (+50.0%), the worst {HOSTILE} (-62.5%)" in found.summary
    assert "Without the best asset -50.0% are left, without the worst +62.5%." in found.summary
    assert found.table is not None
    assert found.table.rows[0] == ("GOOD", "4", "+100.00%", "+50.00%", *["0.00%"] * 3, "+50.00%")


def test_many_assets_are_cut_in_the_middle() -> None:
    rows = [part("short", f"A{n:02}", "BALANCED", gross=n / 100) for n in range(40)]
    found = charts_attribution.by_asset(sheet(attribution=rows))
    assert found is not None
    assert found.data[0]["y"][:2] == ["A39", "A38"]
    assert found.data[0]["y"][-1] == "A00"
    assert len(found.data[0]["y"]) == 2 * charts_attribution.MOST_ASSETS
    assert "The 10 assets in between are not drawn." in found.summary


def test_from_gross_to_net_step_by_step() -> None:
    ruin = part(None, None, "BALANCED", net=0.25)
    found = charts_attribution.by_part(sheet(attribution=[*PARTS, ruin]))
    assert found is not None
    (bars,) = found.data
    assert bars["x"] == [
        *("long leg, gross", "short leg, gross", "fees", "funding", "beyond ruin", "net"),
    ]
    assert bars["y"] == [0.25, 0.625, 0.625, 0.25, 0.25, 0.25]
    # each step begins where the one before ended: 0.25, 0.875, 0.25, 0, 0.25
    assert bars["base"] == [0, 0.25, 0.25, 0, 0, 0]


def test_by_state_and_leg() -> None:
    found = charts_attribution.by_state(sheet(attribution=PARTS))
    assert found is not None
    long, short = found.data
    assert long["x"] == short["x"] == ["Balanced", "Majors"]
    assert (long["y"], short["y"]) == ([0.125, None], [-0.75, 1.125])


def test_nothing_held_has_no_attribution() -> None:
    empty = sheet(attribution=[])
    assert charts_attribution.by_asset(empty) is None
    assert charts_attribution.by_part(empty) is None
    assert charts_attribution.by_state(empty) is None


def test_baskets_keep_the_newest_day() -> None:
    days = [date(2024, 1, 1 + n) for n in range(3)]
    baskets = {
        "date": [days[0], days[0], days[1], days[2]],
        "rank": [1, 2, 1, 1],
        "asset_id": ["A", HOSTILE, "A", "B"],
        "weight": [0.5, 0.5, 1.0, 1.0],
        "marketcap_usd": [2e9, 1e9, 2e9, 3.21e9],
    }
    found = charts_attribution.baskets(sheet(baskets=baskets))
    assert found is not None
    (map_,) = found.data
    assert map_["x"] == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert map_["y"] == ["A", texts.plain(HOSTILE), "B"]
    assert map_["z"] == [[0.5, 1, None], [0.5, None, None], [None, None, 1]]
    now = charts_attribution.basket_now(sheet(baskets=baskets))
    assert now.rows == [("1", "B", "100.00%", "3,210")]
    assert charts_attribution.baskets(sheet(baskets={name: [] for name in baskets})) is None


def test_checks_of_a_panel() -> None:
    def row(check: str, sharpe: float | None, *, flips: bool = False) -> dict[str, Any]:
        return {"check_name": check, "setting": "x", "net_sharpe": sharpe, "sign_flips": flips}

    placebos = [row("placebo", n / 10) for n in range(5)]
    summary = {"net_sharpe": 1.5, "placebo_percentile": 1.0, "placebo_p": 0.1667}
    record = {
        "rows": [row("costs", -0.5, flips=True), row("lag", 1.25), row("lag", None), *placebos],
        "summary": summary,
    }
    near = charts_checks.neighbours(record)
    assert near is not None
    assert near.data[0]["x"] == [-0.5, 1.25]
    assert near.data[0]["marker"]["color"] == [figure.BAD, figure.GOOD]
    among = charts_checks.placebos(record)
    assert among is not None
    assert sum(among.data[0]["y"]) == 5
    assert "above 100% of them; one-sided p 0.167" in among.summary
    nothing = {**record, "summary": {"net_sharpe": None}}
    assert charts_checks.neighbours(nothing) is None
    assert charts_checks.placebos(nothing) is None


def test_a_strip_of_states_leaves_out_what_is_missing() -> None:
    strip = figure.state_strip(date(2024, 1, 1), ["b", None, "a"], ["a", "b"][:0])
    assert strip["z"] == [[None, None, None]]
    strip = figure.state_strip(
        date(2024, 1, 1),
        ["RISK_ON_MAJORS", None, "BALANCED"],
        ["RISK_ON_ALTS", "BALANCED", "RISK_ON_MAJORS"],
    )
    assert strip["z"] == [[2, None, 1]]
    assert [colour for _, colour in strip["colorscale"]][::2] == [
        figure.STATE_COLOURS[x] for x in ("RISK_ON_ALTS", "BALANCED", "RISK_ON_MAJORS")
    ]


def test_all_colours_of_states_are_known() -> None:
    from msm_py.regimes import REGIMES_OF

    assert {name for names in REGIMES_OF.values() for name in names} == figure.STATE_COLOURS.keys()


def test_parts_of_a_page_escape_what_they_show(tmp_path: Path) -> None:
    drawn = Figure(
        "one",
        HOSTILE,
        HOSTILE,
        [{"x": [HOSTILE]}],
        switches=[figure.Switch(HOSTILE, {"a": HOSTILE}, {})],
        table=DataTable((HOSTILE,), [(HOSTILE,)]),
        key=[(HOSTILE, "#123456")],
    )
    template = page.environment().from_string(
        '{% import "parts.html" as parts %}{{ parts.figure(fig) }}'
    )
    text = template.render(fig=drawn)
    assert "<b>" not in text
    assert text.count("</script>") == 1
    script = re.search(r'<script type="application/json" id="one-spec">(.*)</script>', text)
    assert script is not None
    assert "\u2028" not in script[1]
    assert json.loads(script[1])["data"] == [{"x": [visible(HOSTILE)]}]


def test_a_page_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MsmError, match="a page could not be written"):
        page.write_page(tmp_path / "file" / "x.html", "base.html", runs=tmp_path)
    assert sorted(x.name for x in tmp_path.iterdir()) == [".pages", "file"]


def test_a_shared_script_that_was_cut_off_is_written_anew(tmp_path: Path) -> None:
    folder = page.shared_folder(tmp_path)
    scripts = {file.name: file.read_bytes() for file in folder.iterdir()}
    next(folder.iterdir()).write_bytes(b"")
    page.shared_folder(tmp_path)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == scripts


def test_commands_start_without_what_pages_need() -> None:
    code = (
        "import sys, msm_py.cli.app; "
        "print([x for x in ('jinja2', 'webbrowser') if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_texts_of_a_page_stand_where_they_were_written(tmp_path: Path) -> None:
    title = "abc \u202edef"
    shown = (
        page.environment()
        .from_string("{{ title }} {{ data | data }}")
        .render(title=title, data={"x": [title]})
    )
    assert shown == 'abc \ufffddef {"x":["abc \\ufffddef"]}'
    (tmp_path / ".pages").write_text("a file", encoding="utf-8")
    with pytest.raises(MsmError, match="move it away"):
        page.write_page(tmp_path / "page.html", "base.html", runs=tmp_path)
