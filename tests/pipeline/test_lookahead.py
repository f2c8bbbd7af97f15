"""check-lookahead: clean on what is shipped; five planted ways of knowing the future are named."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from support.lakes import tiny_lake
from support.pipeline import ROOT, Done, msm, msm_process
from support.specs import spec_of

GAP = [date(2024, 3, 28), date(2024, 3, 29), date(2024, 3, 30)]
OF_PROJECT = ("models", "macros", "seeds", "msm_py", "tests/dbt", "dbt_project.yml", "profiles.yml")
# what is planted: model, the text that stands there, and what replaces it
LEAKS = {
    "next day's close": (
        "features/momentum",
        "alts.momentum_alt_7d - majors.momentum_majors_7d as momentum,",
        "lead(alts.momentum_alt_7d - majors.momentum_majors_7d) over (\n"
        "            partition by universe_days.universe_id order by universe_days.date\n"
        "        ) as momentum,",
    ),
    "centred window": (
        "features/liquidity",
        "{{ trailing('median', 'alt_volume_usd', 7, by_day) }} as liquidity",
        "median(alt_volume_usd) over (\n"
        "            {{ by_day }} rows between 3 preceding and 3 following\n"
        "        ) as liquidity",
    ),
    "full-sample z-score": (
        "features/z_scores",
        "rows between definitions.days_before preceding and current row",
        "rows between unbounded preceding and unbounded following",
    ),
    "survivors only": (
        "market/alts",
        "where reason = 'eligible'",
        "where reason = 'eligible' and asset_id in (\n"
        "        select asset_id from {{ ref('asset_days') }}\n"
        "        where close is not null\n"
        "            and date = (select max(date) from {{ ref('asset_days') }})\n"
        "    )",
    ),
    "tomorrow's market cap": (
        "legs/baskets",
        "        ranked_size_usd\n    from {{ ref('alts') }}",
        "        lead(ranked_size_usd) over (\n"
        "            partition by universe_id, asset_id order by date\n"
        "        ) as ranked_size_usd\n    from {{ ref('alts') }}",
    ),
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose BTC has no close on the day in the middle of the decision days and around it."""
    path = tiny_lake(tmp_path_factory.mktemp("lakes") / "lake", seed=3)
    prices = pd.read_parquet(path / "fact_price.parquet")
    gone = (prices["asset_id"] == "BTC") & prices["date"].isin(GAP)
    prices[~gone].to_parquet(path / "fact_price.parquet", index=False)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    place = tmp_path_factory.mktemp("specs")
    specs: list[dict[str, Any]] = [
        spec_of("plain", {}),
        spec_of("lagged", {"backtest": {"execution_lag_days": 2}}),
    ]
    found = []
    for spec in specs:
        file = place / f"{spec['experiment_id']}.yaml"
        file.write_text(yaml.safe_dump(spec))
        found.append(str(file))
    return found


def check(files: list[str], lake: Path, place: Path, *words: str, **env: str) -> Done:
    call = msm_process if env else msm
    return call("check-lookahead", *files, "--lake", str(lake), *words, place=place, **env)


def test_nothing_that_is_shipped_looks_ahead(files: list[str], lake: Path, tmp_path: Path) -> None:
    done = check(files, lake, tmp_path, "--dates", "2", "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert all(row["is_equal"] for row in rows)
    assert {row["with_noise"] for row in rows} == {False, True}
    # a lake that is cut at a day without a BTC close has no such day
    assert {row["last_day"] for row in rows} == {"2024-03-31", "2024-06-06"}
    compared = {row["table"]: row["n_rows"] for row in rows}
    for table in ("features", "z_scores", "scores", "states", "baskets", "positions"):
        assert compared[table] > 0
    assert {"daily_returns", "forward_returns", "attribution_days"} <= compared.keys()
    assert not (tmp_path / "runs").exists()  # nothing is written


def project_with(leak: str, place: Path) -> Path:
    """Return a copy of the project that knows the future in one place."""
    project = place / "project"
    for name in OF_PROJECT:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, project / name)
    model, there, planted = LEAKS[leak]
    file = project / "models" / f"{model}.sql"
    text = file.read_text()
    assert text.count(there) == 1
    text = text.replace(there, planted)
    file.write_text(text.replace("n_values = zscore_window_days", "n_values >= zscore_window_days"))
    return project


@pytest.mark.parametrize(
    "leak",
    [
        pytest.param(leak, marks=[] if leak == "tomorrow's market cap" else pytest.mark.slow)
        for leak in LEAKS
    ],
)
def test_a_planted_leak_is_named(leak: str, files: list[str], lake: Path, tmp_path: Path) -> None:
    project = project_with(leak, tmp_path)
    done = check(files[:1], lake, tmp_path, "--dates", "2", MSM_PROJECT_DIR=str(project))
    assert done.code == 1, done.out
    model = LEAKS[leak][0].rpartition("/")[2]
    assert f"first in the graph: {model}" in " ".join(done.out.split())
