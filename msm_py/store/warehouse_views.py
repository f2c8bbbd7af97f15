"""Every view that a reader of the warehouse finds: one line for each of the usual questions.

Of each there are two: of the newest run of every experiment, window asked for and lake's name, and,
with ``_all`` at the end of its name, of every run. Both leave placebos out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from msm_py.store import run_file_columns, standard_spread
from msm_py.store.catalog_columns import OF_VALUE, RUN, SHARE
from msm_py.store.declarations import Column, Table, by_name
from msm_py.store.warehouse_tables import (
    BASKETS,
    CATALOG,
    DAILY,
    DEFLATED_SHARPE,
    EVIDENCE,
    HORIZON,
    IS_SUPERIOR,
    IS_TIED,
    P_EDGE,
    P_SHIFT,
    P_VALUE,
    REGIME,
    REGIME_DISTRIBUTION,
    REGIME_METRICS,
    STATE_ORDER,
    SWEEP_ID,
    TRADE_EDGE,
    of_spread,
)

_LEADERBOARD: Final = (
    Column("place", "bigint", "Place in the list, from 1."),
    *RUN,
    *map(CATALOG.__getitem__, ("lake_name", "n_family", "deflated_sharpe", "p_family")),
    *(SWEEP_ID, DEFLATED_SHARPE.called("sweep_deflated_sharpe"), IS_TIED, IS_SUPERIOR),
    *map(
        CATALOG.__getitem__,
        (
            *("net_sharpe", "net_sharpe_ci_low", "net_sharpe_ci_high"),
            *("net_probabilistic_sharpe", "net_cagr", "net_max_drawdown", "net_calmar"),
            *("ungated_net_sharpe", "p_ungated", "btc_sharpe", "p_btc", "switches_per_year"),
        ),
    ),
    *map(of_spread, (HORIZON, TRADE_EDGE, P_EDGE, P_VALUE, P_SHIFT, EVIDENCE)),
    *map(
        CATALOG.__getitem__,
        (
            *("n_test_days", "n_warnings", "first_date", "last_date"),
            *("holdout_start", "is_look", "created_at"),
        ),
    ),
)
_LATEST_STATE: Final = (
    *RUN,
    *map(
        DAILY.__getitem__,
        ("date", "regime", "state_order", "regime_age_days", "score", "feature_coverage"),
    ),
)


def _leaderboard_sql(runs: str) -> str:
    """Return the query of a leaderboard among the rows of the catalog that are in question."""
    return f"""
        select
            row_number() over (
                order by
                    catalog.deflated_sharpe desc nulls last,
                    catalog.net_probabilistic_sharpe desc nulls last,
                    catalog.net_sharpe desc nulls last,
                    catalog.run_id
            ) as place,
            catalog.run_id, catalog.experiment_id, catalog.title, catalog.is_latest,
            catalog.lake_name, catalog.n_family, catalog.deflated_sharpe, catalog.p_family,
            of_sweep.sweep_id, of_sweep.deflated_sharpe as sweep_deflated_sharpe,
            of_sweep.is_tied_with_leader, of_sweep.is_superior,
            catalog.net_sharpe, catalog.net_sharpe_ci_low, catalog.net_sharpe_ci_high,
            catalog.net_probabilistic_sharpe,
            catalog.net_cagr, catalog.net_max_drawdown, catalog.net_calmar,
            catalog.ungated_net_sharpe, catalog.p_ungated, catalog.btc_sharpe, catalog.p_btc,
            catalog.switches_per_year,
            spread.horizon_days as spread_horizon_days,
            spread.trade_edge as spread_trade_edge, spread.p_edge as spread_p_edge,
            spread.p_value as spread_p_value, spread.p_shift as spread_p_shift,
            spread.evidence as spread_evidence,
            catalog.n_test_days, catalog.n_warnings, catalog.first_date, catalog.last_date,
            catalog.holdout_start, catalog.is_look,
            catalog.created_at
        from catalog
        left join ({standard_spread.SQL}) as spread on catalog.run_id = spread.run_id
        left join (
            select * from sweep_statistics
            qualify row_number() over (
                partition by run_id order by deflated_sharpe nulls last, sweep_id
            ) = 1
        ) as of_sweep on catalog.run_id = of_sweep.run_id
        where catalog.is_placebo is not true{runs}
    """


def _latest_state_sql(runs: str) -> str:
    """Return the query of the last decision day of the runs of the catalog that are in question."""
    return f"""
        select
            catalog.run_id, catalog.experiment_id, catalog.title, catalog.is_latest,
            daily.date, daily.regime, daily.state_order, daily.regime_age_days, daily.score,
            daily.feature_coverage
        from daily
        inner join catalog
            on daily.run_id = catalog.run_id and daily.date = catalog.last_date
        where catalog.is_placebo is not true{runs}
    """


_BEST_FIRST: Final = (
    "best first, without placebos: by the deflated Sharpe ratio within its family, which allows "
    "for all that was tried on the same days. A run of several sweeps is shown with the one that "
    "asks most of it. The spread is the one whose horizon is nearest to "
    f"{standard_spread.HORIZON_DAYS} days."
)
V_LEADERBOARD: Final = Table(
    "v_leaderboard",
    f"One row per experiment, window asked for and lake's name, its newest run: {_BEST_FIRST}",
    _LEADERBOARD,
    query=_leaderboard_sql(" and catalog.is_latest"),
)
V_LEADERBOARD_ALL: Final = Table(
    "v_leaderboard_all",
    f"One row per run, older ones too, {_BEST_FIRST}",
    _LEADERBOARD,
    query=_leaderboard_sql(""),
)
V_LATEST_STATE: Final = Table(
    "v_latest_state",
    "One row per experiment, without placebos: the last decision day of its newest run, of those "
    "that reach furthest.",
    _LATEST_STATE,
    query=_latest_state_sql(
        """
        qualify row_number() over (
            partition by catalog.experiment_id
            order by catalog.last_date desc, catalog.created_at desc, catalog.run_id
        ) = 1"""
    ),
)
V_LATEST_STATE_ALL: Final = Table(
    "v_latest_state_all",
    "One row per run, without placebos: its last decision day.",
    _LATEST_STATE,
    query=_latest_state_sql(""),
)

NEWEST: Final = "of the newest run of every experiment, window asked for and lake's name"
_NAMED: Final = "catalog.run_id, catalog.experiment_id, catalog.title, catalog.is_latest"


def _both(
    name: str, row: str, rest: str, columns: tuple[Column, ...], query: str
) -> tuple[Table, Table]:
    """Return a view of the newest runs and the one of all.

    Parameters
    ----------
    name
        Of the first one.
    row
        What a row is, to go on with "of the newest run ..." or "of every run".
    rest
        What else one must know.
    columns
        Of both.
    query
        With RUNS where the condition on the runs of the catalog stands.
    """
    placebo = "catalog.is_placebo is not true"
    new = tuple(column if column in RUN else replace(column, since="0.3.0") for column in columns)
    return (
        Table(
            name,
            f"{row} {NEWEST}. {rest}",
            new,
            query.replace("RUNS", f"{placebo} and catalog.is_latest"),
        ),
        Table(f"{name}_all", f"{row} of every run. {rest}", new, query.replace("RUNS", placebo)),
    )


_EQUITY: Final = _both(
    "v_equity",
    "One row per decision day",
    "What 1 became on all decision days, those before the first test day too.",
    (
        *RUN,
        *map(DAILY.__getitem__, ("date", "regime", "state_order", "is_test_day")),
        *map(DAILY.__getitem__, ("equity_net", "equity_gross")),
        Column(
            "equity_ungated",
            "double",
            "1 compounded with r_ungated; missing in runs of older versions.",
            unit="multiple of the start",
        ),
        Column("equity_btc", "double", "1 held in BTC.", unit="multiple of the start"),
        DAILY["drawdown_net"],
    ),
    f"""
        select
            {_NAMED},
            daily.date, daily.regime, daily.state_order, daily.is_test_day,
            daily.equity_net, daily.equity_gross,
            case
                when count(daily.r_ungated) over by_day = 0 then null
                when min(daily.r_ungated) over by_day <= -1 then 0
                else exp(sum(
                    case when daily.r_ungated > -1 then ln(1 + daily.r_ungated) end
                ) over by_day)
            end as equity_ungated,
            case
                when min(daily.r_btc) over by_day <= -1 then 0
                else exp(coalesce(sum(
                    case when daily.r_btc > -1 then ln(1 + daily.r_btc) end
                ) over by_day, 0))
            end as equity_btc,
            daily.drawdown_net
        from daily
        inner join catalog on daily.run_id = catalog.run_id
        where RUNS
        window by_day as (
            partition by daily.run_id order by daily.date
            rows between unbounded preceding and current row
        )
    """,
)
_MONTHLY: Final = _both(
    "v_monthly_returns",
    "One row per calendar month",
    "Compounded over its test days.",
    (
        *RUN,
        Column("month", "date", "First day of the month."),
        Column("n_days", "bigint", "Test days in the month.", unit="days"),
        Column("net_return", "double", "Return after cost and funding.", unit=OF_VALUE),
        Column("gross_return", "double", "Return before them.", unit=OF_VALUE),
        Column(
            "ungated_return",
            "double",
            "Net return of the control; missing in runs of older versions.",
            unit=OF_VALUE,
        ),
        Column("btc_return", "double", "Return of BTC.", unit=SHARE),
    ),
    f"""
        select
            {_NAMED},
            cast(date_trunc('month', daily.date) as date) as month,
            count(*) as n_days,
            product(1 + daily.r_net) - 1 as net_return,
            product(1 + daily.r_gross) - 1 as gross_return,
            product(1 + daily.r_ungated) - 1 as ungated_return,
            product(1 + daily.r_btc) - 1 as btc_return
        from daily
        inner join catalog on daily.run_id = catalog.run_id
        where daily.is_test_day and RUNS
        group by all
    """,
)
_STATE_RETURNS: Final = _both(
    "v_state_returns",
    "One row per state",
    "How often it was there, what followed it, and what the strategy earned in it. Edges are those "
    f"of the horizon nearest to {standard_spread.HORIZON_DAYS} days.",
    (
        *RUN,
        REGIME,
        STATE_ORDER,
        *map(REGIME_DISTRIBUTION.__getitem__, ("n_days", "pct", "n_spells")),
        HORIZON,
        TRADE_EDGE,
        Column(
            "trade_ci_low", "double", "Lower end of the 95% interval of trade_edge.", unit=SHARE
        ),
        Column("trade_ci_high", "double", "Upper end of it.", unit=SHARE),
        P_EDGE,
        EVIDENCE,
        REGIME_METRICS["position_scale"],
        REGIME_METRICS["n_days"].called("n_held_days"),
        *map(
            REGIME_METRICS.__getitem__,
            ("total_gross", "total_net", "mean_net_annualised", "hit_rate_net"),
        ),
    ),
    f"""
        select
            {_NAMED},
            shares.regime, shares.state_order, shares.n_days, shares.pct, shares.n_spells,
            edges.horizon_days, edges.trade_edge,
            -edges.ci_high as trade_ci_low, -edges.ci_low as trade_ci_high,
            edges.p_edge, edges.evidence,
            earned.position_scale, earned.n_days as n_held_days,
            earned.total_gross, earned.total_net, earned.mean_net_annualised, earned.hit_rate_net
        from regime_distribution as shares
        inner join catalog on shares.run_id = catalog.run_id
        left join regime_metrics as earned
            on shares.run_id = earned.run_id and shares.regime = earned.regime
        left join ({standard_spread.SQL}) as spread on shares.run_id = spread.run_id
        left join edges
            on
                shares.run_id = edges.run_id
                and shares.regime = edges.edge
                and spread.horizon_days = edges.horizon_days
        where RUNS
    """,
)
_BASKET_NOW: Final = _both(
    "v_basket_now",
    "One row per member of the short basket decided last,",
    "Whether it is held is for the state to say: position_scale.",
    (
        *RUN,
        *map(BASKETS.__getitem__, (column.name for column in run_file_columns.BASKET)),
        Column("regime", "varchar", "State on the last decision day."),
        Column("position_scale", "double", "Scale of the position in that state.", unit="0 to 1"),
    ),
    f"""
        select
            {_NAMED},
            baskets.date, baskets.asset_id, baskets.rank, baskets.marketcap_usd, baskets.weight,
            daily.regime, regime_metrics.position_scale
        from catalog
        inner join run_panels on catalog.run_id = run_panels.run_id
        inner join (
            select basket_panel, max(date) as date from baskets group by basket_panel
        ) as newest on run_panels.basket_panel = newest.basket_panel
        inner join baskets
            on newest.basket_panel = baskets.basket_panel and newest.date = baskets.date
        left join daily on catalog.run_id = daily.run_id and catalog.last_date = daily.date
        left join regime_metrics
            on daily.run_id = regime_metrics.run_id and daily.regime = regime_metrics.regime
        where RUNS
    """,
)
_ATTRIBUTION: Final = _both(
    "v_attribution",
    "One row per leg and asset",
    "What it earned and cost over all states, on test days; the table attribution has it by state.",
    (
        *RUN,
        *(column for column in run_file_columns.ATTRIBUTION if column.name != "regime"),
        Column("place", "bigint", "Place by net, 1 being who made most."),
    ),
    f"""
        select
            {_NAMED},
            attributed.* exclude (run_id),
            row_number() over (
                partition by catalog.run_id
                order by attributed.net desc, attributed.leg, attributed.asset_id
            ) as place
        from (
            select
                run_id, leg, asset_id,
                cast(sum(n_days) as integer) as n_days, sum(gross) as gross,
                sum(turnover) as turnover, sum(fees) as fees, sum(slippage) as slippage,
                sum(impact) as impact, sum(funding) as funding, sum(net) as net
            from attribution
            group by run_id, leg, asset_id
        ) as attributed
        inner join catalog on attributed.run_id = catalog.run_id
        where RUNS
    """,
)
VIEWS: Final[Mapping[str, Table]] = by_name(
    *(V_LEADERBOARD, V_LEADERBOARD_ALL, V_LATEST_STATE, V_LATEST_STATE_ALL),
    *_EQUITY,
    *_MONTHLY,
    *_STATE_RETURNS,
    *_BASKET_NOW,
    *_ATTRIBUTION,
)
