"""What checks of the data tell in words, and the declarations behind them."""

from __future__ import annotations

import csv
import re
from typing import Any

from support.pipeline import ROOT

from msm_py._typing import Row
from msm_py.dbt_models import quality
from msm_py.lake import check
from msm_py.store import layout

with (ROOT / "seeds" / "quality_checks.csv").open(newline="") as seed:
    CHECKS = {row["check_name"]: row for row in csv.DictReader(seed)}
DAY = {"first_day": "2026-01-28", "last_day": "2026-01-28", "n_days": 1}


def finding(check_name: str, subject: str, place: int = 1, n: int = 1, **more: Any) -> Row:
    row = {"severity": CHECKS[check_name]["severity"], "limit_value": 0.0, "detail": None}
    named = {"check_name": check_name, "subject": subject, "place": place, "n_findings": n}
    return {**row, **named, **DAY, "value": 1.0, **more}


def test_all_checks_are_there_the_most_severe_first() -> None:
    found = quality.quality(CHECKS.values(), [])
    told = found["checks"]
    assert set(told) == set(CHECKS)
    severities = [x["severity"] for x in told.values()]
    assert severities == sorted(severities, key=quality.SEVERITIES.index)
    assert {(x["n_findings"], x["brief"], x["text"]) for x in told.values()} == {(0, None, None)}
    assert found["findings"] == []


def test_a_check_tells_its_worst_findings_and_what_they_mean() -> None:
    rows = [finding("price_spike", f"A{n}", n, 120, value=float(n)) for n in range(1, 8)]
    rows.append(finding("feature_gap", "oi_risk", n_days=3, last_day="2026-01-30", value=3.0))
    found = quality.quality(CHECKS.values(), rows)
    told = found["checks"]
    spike = told["price_spike"]
    first = "Prices jump: A1 +100% on 2026-01-28, A2 +200% on 2026-01-28"
    assert spike["n_findings"] == 120
    assert spike["brief"] == f"{first} and 118 more"
    assert spike["text"].startswith(f"{first}, A3")
    assert spike["text"].endswith(f"and 115 more. {CHECKS['price_spike']['meaning']}.")
    assert told["feature_gap"]["brief"] == (
        "Features are missing: oi_risk 3 days from 2026-01-28 to 2026-01-30"
    )
    assert quality.texts(found, "warn") == [told["feature_gap"]["text"], spike["text"]]
    assert quality.texts(found, "error") == quality.texts(found, "info") == []
    assert [x["subject"] for x in found["findings"]][:2] == ["oi_risk", "A1"]
    assert {tuple(x) for x in found["findings"]} == {layout.QUALITY_COLUMNS}


def test_every_unit_has_words() -> None:
    shown = {
        "return": "A -84% on 2026-01-28",
        "rate": "A -84.0% on 2026-01-28",
        "ratio": "A -0.84x on 2026-01-28",
        "z": "A -0.8 on 2026-01-28",
        "days": "A on 2026-01-28",
        "share": "A 3 of 9 on 2026-01-28",
        "assets": "A 3 of 9 on 2026-01-28",
    }
    assert {row["unit"] for row in CHECKS.values()} == set(shown)
    for unit, words in shown.items():
        detail = "3 of 9" if unit in ("share", "assets") else None
        row = finding("no_alts", "A", value=-0.84, detail=detail)
        assert quality.finding_in_words(row, unit) == words


def test_limits_that_the_check_of_a_lake_has_too_are_the_same() -> None:
    for name in ("alts_jump", "asset_jump"):
        assert float(CHECKS[name]["limit_value"]) == check._BREADTH_SHARE
    limits = (ROOT / "macros" / "spike_limit.sql").read_text()
    assert f"{{'up': {check._JUMP_UP:g}, 'down': {check._JUMP_DOWN:g}}}" in limits
    model = (ROOT / "models" / "evaluation" / "quality_days.sql").read_text()
    assert f"greatest({check._BREADTH_ASSETS}, " in model


def test_every_check_is_in_the_model_and_no_other() -> None:
    model = (ROOT / "models" / "evaluation" / "quality_days.sql").read_text()
    assert set(re.findall(r"'(\w+)' as check_name", model)) == set(CHECKS)
