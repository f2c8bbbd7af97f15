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
from support.pipeline import Done, run_experiments
from support.specs import spec_of

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
  const found = document.createElement("pre");
  found.id = "probe";
  found.textContent = JSON.stringify({
    title: document.title, heading: document.querySelector("h1").textContent, figures,
    drawn: document.querySelectorAll(".plot[data-drawn] svg.main-svg").length > 0,
    requests: performance.getEntriesByType("resource").map((entry) => entry.name),
    images: document.querySelectorAll("header img, main img").length,
    buttons: [...document.querySelectorAll(".modebar-btn")].map((x) => x.dataset.title),
    pressed, released,
    wide: document.documentElement.scrollWidth - innerWidth,
  });
  document.body.append(found);
}, 200));
"""


@dataclass(frozen=True)
class Seen:
    """What a browser made of a page."""

    found: dict[str, Any]
    console: list[str]


def browse(page: Path, *, width: int = 1200, place: Path) -> Seen:
    assert CHROMIUM is not None
    probe = page.parent.parent / ".pages" / "probe.js"
    probe.write_text(PROBE)
    probed = page.with_name("probed.html")
    text = page.read_text()
    last = re.findall(r"<script defer src=.*?></script>\n", text)[-1]
    probed.write_text(text.replace(last, last + '<script defer src="../.pages/probe.js"></script>'))
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
    seen = browse(folder / "report.html", width=width, place=tmp_path)
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
