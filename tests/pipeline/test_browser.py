"""Pages in a browser: no error, no request, every figure drawn, hostile texts as text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.lakes import tiny_lake
from support.pipeline import Done, msm, run_experiments
from support.specs import spec_of
from support.sweeps import grid_file, sweep

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
HOSTILE = "<script>document.title = 'taken'</script> {{ 7 * 7 }} <img src=x onerror=alert(1)>"
# what the page became, told by a script that only the test adds
PROBE = """
addEventListener("load", () => setTimeout(async () => {
  await msmPages.drawAll();
  const tell = (what) => {
    const found = document.createElement("pre");
    found.id = "probe";
    found.textContent = JSON.stringify({
      title: document.title, heading: document.querySelector("h1").textContent,
      requests: performance.getEntriesByType("resource").map((entry) => entry.name),
      wide: document.documentElement.scrollWidth - innerWidth,
      ...what,
    });
    document.body.append(found);
  };
ASKED
}, 200));
"""
OF_A_SHEET = """
  const figures = {};
  for (const plot of document.querySelectorAll(".plot")) {
    figures[plot.id] = (plot.data || []).map((trace) => [trace.name || trace.type,
      Array.from(trace.y || []).flat().filter((x) => typeof x === "number").slice(-1)[0] ?? null]);
  }
  const paper = () => getComputedStyle(document.body).backgroundColor;
  const pause = () => new Promise((done) => setTimeout(done, 500));
  const light = paper(), log = document.querySelector("[data-switch]");
  log.click();
  document.querySelector("[data-theme]").click();
  await pause();
  const equity = document.getElementById("equity-plot")._fullLayout;
  const pressed = [log.getAttribute("aria-pressed"), equity.yaxis.type, equity.font.color, light,
    paper()];
  log.click();
  await pause();
  const released = document.getElementById("equity-plot")._fullLayout.yaxis.type;
  tell({
    figures,
    drawn: document.querySelectorAll(".plot[data-drawn] svg.main-svg").length > 0,
    images: document.querySelectorAll("header img, main img").length,
    buttons: [...document.querySelectorAll(".modebar-btn")].map((x) => x.dataset.title),
    pressed, released,
  });
"""
OF_A_BOARD = """
  const rows = () => [...document.querySelectorAll("#board tbody tr")];
  const places = () => rows().filter((row) => !row.hidden).map((row) => +row.cells[0].textContent);
  const heads = [...document.querySelectorAll("#board thead button")];
  const press = (name) => heads.find((head) => head.textContent === name).click();
  const input = document.querySelector("[data-filter]");
  const filter = (text) => {
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    return [places().length, document.querySelector("[data-count]").textContent];
  };
  const column = (name) => {
    const place = [...document.querySelectorAll("#board thead th")].findIndex(
      (cell) => cell.textContent === name);
    return rows().map((row) => parseFloat(row.cells[place].textContent));
  };
  const first = places();
  press("switches");
  const down = column("switches");
  press("switches");
  const up = column("switches");
  const sort = document.querySelector("#board thead [aria-sort]").getAttribute("aria-sort");
  press("place");
  tell({
    first, down, up, sort, again: places(), all: filter(""), low: filter("low=-0.3"),
    both: filter("low=-0.3 high<=0.2"), spaced: filter("low = -0.3 high <= 0.2"),
    other: filter("low != -0.3"), none: filter("nothing"),
    undrawn: document.querySelectorAll(".plot:not([data-drawn])").length,
  });
"""


@dataclass(frozen=True)
class Seen:
    """What a browser made of a page."""

    found: dict[str, Any]
    console: list[str]


def browse(page: Path, asked: str, *, width: int = 1200, place: Path) -> Seen:
    assert CHROMIUM is not None
    text = page.read_text()
    last = re.findall(r"<script defer src=.*?></script>\n", text)[-1]
    shared = last.split('"')[1].rpartition("/")[0]
    probe = page.parent / shared / "probe.js"
    probe.write_text(PROBE.replace("ASKED", asked))
    probed = page.with_name("probed.html")
    ours = f'<script defer src="{shared}/probe.js"></script>'
    probed.write_text(text.replace(last, last + ours))
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *("--v=0", f"--user-data-dir={place}", f"--window-size={width},2000"),
            *("--virtual-time-budget=20000", "--dump-dom", probed.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    probed.unlink()
    probe.unlink()
    match = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match is not None, done.stderr[-3000:]
    shown = match[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return Seen(json.loads(shown), [x for x in done.stderr.splitlines() if "CONSOLE" in x])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("browser")
    lake = tiny_lake(place / "lake", seed=1)
    found = run_experiments([{**spec_of("hostile", {}), "title": HOSTILE}], lake, place)
    assert found.code == 0, found.err
    return found


@pytest.mark.parametrize("width", [1200, 500])
def test_a_tear_sheet(done: Done, tmp_path: Path, width: int) -> None:
    folder = done.folder("hostile")
    seen = browse(folder / "report.html", OF_A_SHEET, width=width, place=tmp_path)
    assert seen.console == []
    assert all(name.startswith("file://") for name in seen.found["requests"])
    assert seen.found["heading"] == HOSTILE
    assert seen.found["title"] == f"{HOSTILE} - MSM"
    assert seen.found["images"] == 0
    assert seen.found["drawn"]
    assert seen.found["wide"] <= 0  # nothing sticks out
    assert not [name for name in seen.found["buttons"] if name and "loud" in name]
    is_on, scale, ink, before, after = seen.found["pressed"]
    assert (is_on, scale, seen.found["released"]) == ("true", "log", "linear")
    assert before != after
    assert ink == "#e6e9ee"  # the figures follow the page into the dark
    figures = seen.found["figures"]
    assert len(figures) > 12
    assert all(figures.values())
    total = json.loads((folder / "metrics.json").read_text())["headline"]["net"]["total_return"]
    net = dict(figures["parts-plot"])["bar"]
    assert net == pytest.approx(abs(total), abs=0.02)  # summed there, compounded here


@pytest.mark.parametrize("width", [1200, 500])
def test_a_leaderboard(tmp_path_factory: pytest.TempPathFactory, width: int) -> None:
    place = tmp_path_factory.mktemp("board")
    lake = tiny_lake(place / "lake", seed=8)
    file = grid_file(place, [-0.2, -0.3], [0.2, 0.3])
    done = sweep(file, lake=lake, place=place)
    assert msm("report", "--sweep", "grid", place=place).code == 0, done.err
    (page,) = done.runs.glob("leaderboard-*.html")
    seen = browse(page, OF_A_BOARD, width=width, place=place)
    assert seen.console == []
    found = seen.found
    assert all(name.startswith("file://") for name in found["requests"])
    assert (found["undrawn"], found["first"], found["again"]) == (0, [1, 2, 3, 4], [1, 2, 3, 4])
    assert found["wide"] <= 0
    assert found["down"] == sorted(found["down"], reverse=True)
    assert found["up"] == sorted(found["down"])
    assert len(set(found["up"])) > 1
    assert found["sort"] == "ascending"
    assert (found["all"], found["low"]) == ([4, ""], [2, "2 of 4"])
    assert (found["both"], found["none"]) == ([1, "1 of 4"], [0, "0 of 4"])
    assert (found["spaced"], found["other"]) == ([1, "1 of 4"], [2, "2 of 4"])
