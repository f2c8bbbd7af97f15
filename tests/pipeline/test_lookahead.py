"""check-lookahead: clean on what is shipped; planted ways of knowing the future are named."""

from __future__ import annotations

import io
import json
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import yaml
from rich.console import Console
from support.lakes import tiny_lake
from support.pipeline import ROOT, Done, in_project, msm, msm_process
from support.specs import spec_of

from msm_py.report import lookahead_report
from msm_py.runner import dated_tables, invocation, lookahead
from msm_py.runner.dated_tables import NO_DAY
from msm_py.store.parting import Parting, partings_of

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


# a user's own models, that all know something of later days, or look as if they did
OWN = {
    "sized_returns": (  # sized by what the whole window said
        "select r.strategy_id, r.date,\n"
        "    r.r_net * (select avg(e.estimate) from {{ ref('edges') }} as e) as sized_return\n"
        "from {{ ref('daily_returns') }} as r"
    ),
    "hourly": (  # its date is a time
        "select strategy_id, cast(date as timestamp) as date,\n"
        "    lead(r_net) over (partition by strategy_id order by date) as tomorrow\n"
        "from {{ ref('daily_returns') }}"
    ),
    "monthly": (  # its day is called otherwise, as its .yml says
        "select strategy_id, date as bought_on,\n"
        "    lead(r_net) over (partition by strategy_id order by date) as tomorrow\n"
        "from {{ ref('daily_returns') }}"
    ),
    "undated": "select strategy_id, avg(r_net) as mean from {{ ref('daily_returns') }} group by 1",
    "called": (  # an id, which hangs on the lake, under other names
        "select strategy_id as strategy, 'of ' || strategy_id as text, date\n"
        "from {{ ref('daily_returns') }}"
    ),
    "rounded": (  # by less than 1e-12 of itself
        "select universe_id, date, btc_close * (1 + 1e-15 * (select count(*) from "
        "{{ ref('universe_days') }})) as close\n"
        "from {{ ref('universe_days') }}"
    ),
}
OWN_YML = """
models:
  - name: monthly
    config: {meta: {day: bought_on}}
"""
# the basket of tomorrow, bought on days of a rebalance alone
TOMORROWS_BASKET = (
    "rebalances.decision_date = baskets.date",
    "rebalances.decision_date + 1 = baskets.date",
)


def check(files: list[str], lake: Path, place: Path, *words: str, **env: str) -> Done:
    call = msm_process if env else msm
    return call("check-lookahead", *files, "--lake", str(lake), *words, place=place, **env)


def test_nothing_that_is_shipped_looks_ahead(files: list[str], lake: Path, tmp_path: Path) -> None:
    done = check(files, lake, tmp_path, "--dates", "2", "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    left_out = {row["table"]: row["not_compared"] for row in rows if row["not_compared"]}
    assert left_out == dict.fromkeys(dated_tables.WITHOUT_A_DAY, dated_tables.NO_DAY)
    rows = [row for row in rows if row["not_compared"] is None]
    assert all(row["is_equal"] for row in rows)
    assert {row["with_noise"] for row in rows} == {False, True}
    # a lake that is cut at a day without a BTC close has no such day
    assert {row["last_day"] for row in rows} == {"2024-03-31", "2024-06-06"}
    compared = {row["table"]: row["n_rows"] for row in rows}
    for table in ("features", "z_scores", "scores", "states", "baskets", "positions"):
        assert compared[table] > 0
    assert {"daily_returns", "forward_returns", "attribution_days"} <= compared.keys()
    assert min(compared[table] for table in ("leg_holdings", "rebalances")) > 0
    assert not (tmp_path / "runs").exists()  # nothing is written


def copied_project(place: Path) -> Path:
    project = place / "project"
    for name in OF_PROJECT:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, project / name)
    return project


def project_with(leak: str, place: Path) -> Path:
    """Return a copy of the project that knows the future in one place."""
    project = copied_project(place)
    model, there, planted = LEAKS[leak]
    file = project / "models" / f"{model}.sql"
    text = file.read_text()
    assert text.count(there) == 1
    text = text.replace(there, planted)
    file.write_text(text.replace("n_values = zscore_window_days", "n_values >= zscore_window_days"))
    return project


@pytest.mark.slow
@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_named(leak: str, files: list[str], lake: Path, tmp_path: Path) -> None:
    project = project_with(leak, tmp_path)
    done = check(files[:1], lake, tmp_path, "--dates", "2", MSM_PROJECT_DIR=str(project))
    assert done.code == 1, done.out
    model = LEAKS[leak][0].rpartition("/")[2]
    assert f"first in the graph: {model}" in " ".join(done.out.split())


def test_models_of_ones_own_are_compared_whatever_they_read_and_go_by(
    lake: Path, tmp_path: Path
) -> None:
    """One build has them all, with a leak in MSM's own that acts on rebalance days alone."""
    project = copied_project(tmp_path)
    for name, sql in OWN.items():
        (project / "models" / "portfolio" / f"{name}.sql").write_text(sql)
    (project / "models" / "portfolio" / "own.yml").write_text(OWN_YML)
    file = project / "models" / "legs" / "leg_holdings.sql"
    text = file.read_text()
    there, planted = TOMORROWS_BASKET
    assert text.count(there) == 1
    file.write_text(text.replace(there, planted))
    spec = spec_of("seldom", {"backtest": {"rebalance_frequency_days": 30}})
    (tmp_path / "seldom.yaml").write_text(yaml.safe_dump(spec))
    (empty := tmp_path / "empty").mkdir()
    words = ("check-lookahead", str(tmp_path / "seldom.yaml"), "--lake", str(lake))
    env = {"MSM_PROJECT_DIR": str(project), "cwd": empty}
    done = msm_process(*words, "--dates", "1", "--json", place=tmp_path, **env)
    assert done.code == 1, done.err
    assert [*empty.iterdir()] == []  # nothing is written
    rows = json.loads(done.out)
    (day,) = {row["last_day"] for row in rows}
    assert day == "2024-05-19"  # of a rebalance, the last but one is 2024-06-06
    parted = {(x["table"], x["column"]): x["is_rounding"] for x in rows if x["is_equal"] is False}
    first = next(table for (table, _), is_rounding in parted.items() if not is_rounding)
    assert first == "leg_holdings"
    expected = {
        ("sized_returns", "sized_return"): False,
        ("hourly", "tomorrow"): False,
        ("monthly", "tomorrow"): False,
        ("rounded", "close"): True,
    }
    assert {place: parted[place] for place in parted if place[0] in OWN} == expected
    reasons = {row["table"]: row["not_compared"] for row in rows if row["not_compared"]}
    assert reasons["undated"] == "it has no column date"
    assert "edges" not in {row["table"] for row in rows if row["not_compared"] != NO_DAY}


def test_models_that_come_last_are_those_behind_the_edges(tmp_path: Path) -> None:
    with in_project(tmp_path):
        read = invocation.what_models_read()
    behind = {"edges", "sharpe_tests", "run_artifacts"}
    while more := {name for name, of in read.items() if of & behind} - behind:
        behind |= more
    assert behind == dated_tables.END_MODELS
    assert lookahead.models_left_out(read) == sorted(behind)
    assert read.keys() >= dated_tables.WITHOUT_A_DAY


def partings(left: dict[str, Any], right: dict[str, Any]) -> list[Parting]:
    return list(partings_of("t", pa.table(left), pa.table(right), ["date"]))


def test_rounding_is_told_from_other_numbers() -> None:
    dates = [date(2024, 1, day) for day in range(1, 5)]
    x = [1.0, 2.0, 3e9, 1e-9]
    close = [1.0 + 2e-16, 2.0 - 4e-16, 3e9 * (1 + 2e-13), 1e-9 + 1e-17]
    (found,) = partings({"date": dates, "x": x}, {"date": dates, "x": close})
    assert (found.day.day, found.is_rounding) == (1, True)
    (found,) = partings({"date": dates, "x": x}, {"date": dates, "x": [*close[:3], 1.1e-9]})
    assert (found.day.day, found.is_rounding) == (4, False)  # though others come before it
    for value in (None, float("inf"), float("nan")):
        (found,) = partings({"date": dates, "x": x}, {"date": dates, "x": [*x[:3], value]})
        assert not found.is_rounding
    lists = [[1.0, None], [2.0], [], [1.0]]
    for other, is_rounding in (
        ([1.0 + 2e-16, None], True),
        ([1.0 + 1e-9, None], False),
        ([1.0 + 2e-16, 0.5], False),
        ([1.0 + 2e-16], False),
    ):
        columns = ({"date": dates, "x": lists}, {"date": dates, "x": [other, *lists[1:]]})
        (found,) = partings(*columns)
        assert found.is_rounding == is_rounding


def test_the_table_shows_date_asset_and_both_values_at_80_columns() -> None:
    day = date(2024, 3, 5)
    key = {"leg_id": "8c7dd922ad47494fc02c388e12c00eac", "asset_id": "A0000012"}
    parted = [
        Parting("leg_contributions", "weight_contribution", day, key, 0.1234567891, 0.1234567892),
        Parting("leg_weights", "weight_after", day, key, None, -0.25),
        Parting("z_lists", "z_scores", day, {}, [0.5, None], [0.5, -1.25]),
        Parting("momentum", "raw_value", day, key, 0.5, 0.5 + 1.1e-16, is_rounding=True),
    ]
    names = dict.fromkeys((x.table for x in parted), 9)
    columns = {x.table: [x.column or ""] for x in parted}
    left_out = {"own": "it has no column date", "edges": NO_DAY}
    found = [lookahead.Compared(day, False, names, columns, parted, left_out)]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(lookahead_report.report(found))
    lines = console.export_text(clear=False).splitlines()
    shown = {line.split()[0]: line for line in lines if "2024-03-05" in line}
    assert max(map(len, lines)) <= 80
    for word in ("A0000012", "0.1234567891", "0.1234567892"):
        assert word in next(line for name, line in shown.items() if name.startswith("leg_co"))
    assert re.search(r"A0000012 +NULL +-0.25", next(x for x in lines if "leg_w" in x))
    assert re.search(r"— +NULL +-1.25", next(x for x in lines if "z_lists" in x))
    text = " ".join(console.export_text().split())
    assert "first in the graph: leg_contributions" in text
    assert "1 model differs by rounding alone, first in the graph: momentum" in text
    assert "Not compared: own (it has no column date)." in text
    assert "edges" not in text
    assert re.search(r"A0000012 +0.5 +1.1e-16", next(x for x in lines if "momentum  " in x))
