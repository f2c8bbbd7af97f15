"""Who made and who lost it: assets' parts sum to returns; paths after entries, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.lakes import tiny_lake
from support.pipeline import in_project
from support.specs import ODD_SPECS, spec_of

from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import from_resolved
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.regimes import REGIMES_OF
from msm_py.runner import invocation
from msm_py.settings import Places
from msm_py.store.origin import code_fingerprint

TOLERANCE = 1e-12
ALWAYS = {"position_scale": dict.fromkeys(REGIMES_OF[5], 1.0)}
SPECS: dict[str, dict[str, Any]] = {
    "weekly_lag": ODD_SPECS["weekly_lag"],
    "impact": ODD_SPECS["impact"],
    "exits": {  # every seventh day only, all alts: who loses its price meanwhile is sold
        "target": {"short_leg": {"n": 8, "weighting": "mcap"}},
        "backtest": {**ALWAYS, "rebalance_frequency_days": 7, "capital_usd": 1e8},
    },
    "ruined": {
        "allow_extreme": True,
        "target": {"short_leg": {"n": 2}},
        "backtest": {**ALWAYS, "walk_forward": False, "gross": {"long": 0.5, "short": 50.0}},
    },
}


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    place = tmp_path_factory.mktemp("attribution")
    lake = tiny_lake(place / "lake", seed=1)
    made_of = fingerprint(open_lake(lake)), code_fingerprint()
    runs = [
        ResolvedRun.of(from_resolved(spec_of(name, changes)), *made_of)
        for name, changes in SPECS.items()
    ]
    places = Places(lake, place / "runs", place / "wh" / "msm.duckdb")
    models = ["attribution", "state_paths", "coverage"]
    with (
        in_project(place),
        invocation.built(runs, places, models) as database,
        duckdb.connect(database, read_only=True) as found,
    ):
        yield found


DAYS = """
    select
        daily.strategy_id, daily.date,
        daily.r_gross, daily.cost, daily.funding, daily.turnover, daily.r_net,
        coalesce(sum(parts.gross), 0) as part_gross,
        coalesce(sum(parts.fees + parts.slippage + parts.impact), 0) as part_cost,
        coalesce(sum(parts.funding), 0) as part_funding,
        coalesce(sum(parts.turnover), 0) as part_turnover,
        coalesce(sum(
            parts.gross - parts.fees - parts.slippage - parts.impact - parts.funding
            + parts.beyond_ruin
        ), 0) as part_net
    from daily_returns as daily
    left join attribution_days as parts
        on daily.strategy_id = parts.run_id and daily.date = parts.date
    where daily.is_run and starts_with(daily.strategy_id, ?)
    group by all
"""


@pytest.mark.parametrize("name", SPECS)
def test_parts_sum_to_every_day(con: duckdb.DuckDBPyConnection, name: str) -> None:
    days = con.execute(DAYS, [name]).df()
    assert len(days) > 100
    scale = max(1.0, days["r_gross"].abs().max())
    for whole, part in (
        ("r_gross", "part_gross"),
        ("cost", "part_cost"),
        ("funding", "part_funding"),
        ("turnover", "part_turnover"),
        ("r_net", "part_net"),
    ):
        assert (days[whole] - days[part]).abs().max() < TOLERANCE * scale, whole
    assert days["r_net"].abs().max() > 1e-4


def test_the_odd_things_are_there(con: duckdb.DuckDBPyConnection) -> None:
    exits = con.execute(
        "select n_forced_exits from coverage where starts_with(run_id, 'exits')"
    ).fetchall()
    assert exits[0][0] > 0
    totals = con.execute(
        "select split_part(run_id, '-', 1), sum(impact), sum(abs(funding)), sum(fees) "
        "from attribution group by 1"
    ).fetchall()
    by_name = {name: (impact, funding, fees) for name, impact, funding, fees in totals}
    assert by_name["impact"][0] > 0
    assert by_name["impact"][1] == 0  # its funding is switched off
    assert by_name["exits"][0] > 0
    assert by_name["weekly_lag"][1] > 0
    assert by_name["weekly_lag"][2] > 0


def test_who_leaves_by_force_pays_for_it_and_earns_nothing_on_that_day(
    con: duckdb.DuckDBPyConnection,
) -> None:
    gone = con.execute(
        """
        with exits as (
            select distinct leg_id, asset_id, exit_date as date
            from leg_values
            where exit_date is not null
        )
        select parts.kind, parts.gross, parts.turnover, parts.fees
        from exits
        inner join strategies
            on exits.leg_id = strategies.short_leg_id and starts_with(strategy_id, 'exits')
        inner join attribution_days as parts
            on
                strategies.strategy_id = parts.run_id
                and exits.asset_id = parts.asset_id
                and exits.date = parts.date
        """
    ).df()
    held, traded = (gone[gone["kind"] == kind] for kind in ("held", "traded"))
    assert len(held)
    assert (held["gross"] == 0).all()
    assert (traded["turnover"] > 0).all()
    assert (traded["fees"] > 0).all()


def test_a_ruin_costs_no_more_than_there_was(con: duckdb.DuckDBPyConnection) -> None:
    ((day, beyond),) = con.execute(
        "select date, beyond_ruin from attribution_days where kind = 'ruin'"
    ).fetchall()
    ((ruined_on, missing),) = con.execute(
        """
        select ruined_on, r_net - (r_gross - cost - funding) from daily_returns
        where is_run and date = ruined_on
        """
    ).fetchall()
    assert (day, beyond) == (ruined_on, missing)
    assert beyond > 0
    assert con.execute(
        "select count(*) from attribution_days where starts_with(run_id, 'ruined') and date > ?",
        [ruined_on],
    ).fetchall() == [(0,)]


def test_states_sum_to_what_the_strategy_earned_in_them(con: duckdb.DuckDBPyConnection) -> None:
    found = con.execute(
        """
        select run_id, regime, sum(net) as net, sum(gross) as gross
        from attribution where regime is not null group by all
        """
    ).df()
    expected = con.execute(
        """
        select
            strategy_id as run_id, held_regime as regime,
            sum(r_net) as net, sum(r_gross) as gross
        from daily_returns where is_run and is_test_day and held_regime is not null group by all
        """
    ).df()
    both = found.merge(expected, on=["run_id", "regime"])
    assert len(both) == len(found) > 10
    scale = both["gross_y"].abs().clip(lower=1)
    assert ((both["net_x"] - both["net_y"]).abs() / scale).max() < TOLERANCE
    assert ((both["gross_x"] - both["gross_y"]).abs() / scale).max() < TOLERANCE


def test_paths_after_entries(con: duckdb.DuckDBPyConnection) -> None:
    """A lag of one day: what is decided on the day of entry is traded, and earns, a day later."""
    states = con.execute(
        "select date, regime from states where starts_with(run_id, 'weekly_lag') order by date"
    ).df()
    daily = con.execute(
        """
        select date, r_alts, r_btc from daily_returns
        where is_run and starts_with(strategy_id, 'weekly_lag') order by date
        """
    ).df()
    entered = states["regime"] != states["regime"].shift()
    paths: dict[tuple[str, int], list[float]] = {}
    for start in np.flatnonzero(entered):
        regime = states["regime"][start]
        for day in range(21):
            days = daily.iloc[start + 2 : start + 2 + day]
            if len(days) < day or days[["r_alts", "r_btc"]].isna().to_numpy().any():
                break
            trade = np.prod(1 + days["r_btc"]) - np.prod(1 + days["r_alts"])
            paths.setdefault((regime, day), []).append(float(trade))
    found = con.execute(
        "select regime, day_number, n_entries, mean, ci_low, ci_high from state_paths "
        "where starts_with(run_id, 'weekly_lag')"
    ).df()
    longest = int(found["day_number"].max())
    assert len(found) == sum(day <= longest for _, day in paths)
    for row in found.itertuples():
        values = np.array(paths[row.regime, row.day_number])
        assert row.n_entries == len(values)
        assert row.mean == pytest.approx(values.mean(), abs=1e-13)
        if len(values) < 3 or row.day_number == 0:
            assert pd.isna(row.ci_low)
        else:
            low, high = stats.t.interval(
                0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values)
            )
            assert (row.ci_low, row.ci_high) == pytest.approx((low, high), abs=1e-12)
