"""Observations to daily rows of the lake: ids, days, completeness, priorities.

- A bar belongs to the day that it starts in. A day is there when its bars add up to 24 hours.
- A print of funding belongs to the day in (00:00, 24:00] and a day is there when the intervals of
  its prints add up to 24 hours: by column or mapping, else the spacing to the print before.
- A sample of a level (price, market cap, volume of 24 hours, open interest) stands for the end of
  the day at the midnight that it is nearest to, at most an hour away; the nearest one counts.
- What is left out is counted, never filled in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import duckdb

from msm_py.errors import MsmError
from msm_py.ingest import ids
from msm_py.ingest.measures import MEASURES, TABLES
from msm_py.ingest.reading import UNFINISHED
from msm_py.ingest.spec import Source, Spec
from msm_py.lake.check_items import sql_text
from msm_py.text import listed


@dataclass(frozen=True)
class Note:
    """What was left out of a source's table, or made of something else.

    Parameters
    ----------
    source, table
        Whose.
    reason
        Why, in words.
    n
        How many asset-days.
    example
        One of them.
    """

    source: str
    table: str
    reason: str
    n: int
    example: str


def daily_rows(
    con: duckdb.DuckDBPyConnection, spec: Spec, observations: str, *, every_unknown: bool = False
) -> list[Note]:
    """Make ``incoming_<table>`` of the lake's tables from observations.

    Parameters
    ----------
    con
        A connection; the tables are made in it.
    spec
        The spec.
    observations
        A table or view of observations, one per key.
    every_unknown
        Name all ids that stand for no asset, not the first ones only.

    Returns
    -------
    list of Note
        What was left out.

    Raises
    ------
    MsmError
        When an id is unknown.
    """
    ids.create_ids(con, spec)
    _name_assets(con, spec, observations, every_unknown=every_unknown)
    _check_one_id_a_day(con, spec)
    con.execute(_BARS)
    con.execute(_LEVELS)
    con.execute(_PRINTS)
    notes = [
        Note(*row)
        for query in (_PARTIAL_BARS, _FAR_SAMPLES, _PARTIAL_FUNDING, _BASE_VOLUMES)
        for row in con.execute(query).fetchall()
    ]
    for table in TABLES:
        _choose(con, spec, table)
    return notes


def days_of(source: Source) -> str:
    """Return SQL that is true for observations of days of which a source is used."""
    means = "'bar_start'" if source.mapping.time.means == "bar_start" else "'other'"
    bounds = [
        f"date {sign} date '{day}'"
        for sign, day in ((">=", source.first_day), ("<=", source.last_day))
        if day is not None
    ]
    day = _DAY.replace("means", means)
    return " and ".join(bound.replace("date", f"({day})", 1) for bound in bounds) or "true"


def unfinished_bars(con: duckdb.DuckDBPyConnection) -> list[Note]:
    """Return what was left out of the files that were just read since it was not over."""
    rows = con.execute(
        f"""
        select source, table_name, 'a bar that was not over when its file was read', count(*),
            min(vendor_id || ' ' || stamp)
        from {UNFINISHED} group by 1, 2 order by 1, 2
        """
    ).fetchall()
    return [Note(*row) for row in rows]


def _name_assets(
    con: duckdb.DuckDBPyConnection, spec: Spec, observations: str, *, every_unknown: bool
) -> None:
    """Make ``named``: observations with asset ids, prices and supplies in single coins."""
    con.execute("create or replace table sources (source varchar, scheme varchar, means varchar)")
    con.executemany(
        "insert into sources values (?, ?, ?)",
        [(x.id, x.mapping.asset.scheme, x.mapping.time.means) for x in spec.sources.values()],
    )
    con.execute(
        f"""
        create or replace table named as
        select
            observations.* exclude (value),
            sources.scheme,
            sources.means,
            case when sources.scheme = 'own' then coalesce(ids.asset_id, observations.vendor_id)
                else ids.asset_id end as asset_id,
            case
                when measure = 'close' then value / coalesce(multiple, 1)
                when measure in ('circulating_supply', 'volume_base', 'open_interest_base')
                    then value * coalesce(multiple, 1)
                else value
            end as value
        from {observations} as observations
        inner join sources using (source)
        left join ids
            on sources.scheme = ids.scheme and observations.vendor_id = ids.vendor_id
            and {_DAY} between coalesce(first, date '0001-01-01')
                and coalesce(until, date '9999-12-31')
        """
    )
    unknown = con.execute(
        """
        select scheme, vendor_id, min(stamp)::date::varchar, max(stamp)::date::varchar
        from named where asset_id is null group by 1, 2 order by 1, 2
        """
    ).fetchall()
    if unknown:
        raise ids.unknown_ids(spec, unknown, every=every_unknown)


def _check_one_id_a_day(con: duckdb.DuckDBPyConnection, spec: Spec) -> None:
    """Two ids of a source may not stand for one asset on one day, since one only can count."""
    row = con.execute(
        f"""
        select source, asset_id, date::varchar, ids from (
            select source, asset_id, {_DAY} as date, measure, exchange, instrument_id,
                list_sort(list(distinct vendor_id)) as ids
            from named
            group by all
        )
        where len(ids) > 1 order by all limit 1
        """
    ).fetchone()
    if row is not None:
        source, asset, day, ids = row
        raise MsmError(
            "two ids of a source stand for one asset on one day",
            where=str(spec.ids or spec.path),
            received=f"{listed(ids)} of {source} are {asset} on {day}",
            remedy="give one of them other days (from, to) or no line in the file of ids; or read "
            "them as two sources, with a priority",
        )


# a bar belongs to the day that it starts in; an instant, and a bar that is marked by its end, to
# the day in (00:00, 24:00]
_DAY: Final = (
    "case when means = 'bar_start' then cast(stamp as date) "
    "else cast(stamp - interval 1 second as date) end"
)
_BARS: Final = f"""
    create or replace table bars as
    with each_bar as (
        select named.*, {_DAY} as date
        from named
        where means <> 'instant' and measure <> 'funding_rate'
    ),
    -- base volumes are worth their close, bar by bar
    worth as (
        select volumes.* replace ('volume_usd' as measure, volumes.value * closes.value as value)
        from each_bar as volumes inner join each_bar as closes
            on volumes.source = closes.source and volumes.vendor_id = closes.vendor_id
            and volumes.stamp = closes.stamp and closes.measure = 'close'
        where volumes.measure = 'volume_base'
    ),
    every_bar as (
        select * from each_bar where measure not in ('volume_base')
        union all
        select * from worth
    )
    select
        source, measure, asset_id, exchange, instrument_id, date,
        count(*) as n,
        sum(span_hours) as hours,
        case when measure = 'volume_usd' then sum(value) else arg_max(value, stamp) end as value
    from every_bar
    group by source, measure, asset_id, exchange, instrument_id, date
"""
_LEVELS: Final = """
    create or replace table levels as
    with near as (
        select
            named.*,
            date_trunc('day', stamp + interval 12 hour) as midnight,
            abs(epoch(stamp) - epoch(date_trunc('day', stamp + interval 12 hour))) as seconds
        from named
        where means = 'instant' and measure <> 'funding_rate'
    )
    select
        source,
        case when measure = 'volume_base' then 'volume_usd' else measure end as measure,
        asset_id, exchange, instrument_id,
        cast(midnight as date) - 1 as date,
        min(seconds) as seconds,
        arg_min(value, (seconds, stamp)) as value
    from near
    where measure <> 'volume_base'
    group by all
"""
_PRINTS: Final = f"""
    create or replace table prints as
    with spaced as (
        select
            named.*,
            (epoch(stamp) - epoch(lag(stamp) over by_stamp)) / 3600 as spacing
        from named
        where measure = 'funding_rate'
        window by_stamp as (
            partition by source, vendor_id, exchange, instrument_id order by stamp
        )
    ),
    dated as (
        select
            spaced.*,
            {_DAY} as date,
            coalesce(span_hours, case when spacing <= 24 then round(spacing, 4) end) as hours
        from spaced
    )
    select
        source, asset_id, exchange, instrument_id, date,
        count(*) as n,
        sum(hours) as hours,
        count(*) filter (hours is null) as n_without_interval,
        sum(value) as day_sum
    from dated
    group by source, asset_id, exchange, instrument_id, date
"""
_TABLE_OF: Final = (
    "case measure " + " ".join(f"when '{x}' then '{t}'" for x, t in MEASURES.items()) + " end"
)
_PARTIAL_BARS: Final = f"""
    select source, {_TABLE_OF}, 'a day whose bars do not add up to 24 hours', count(*),
        min(asset_id || ' ' || date)
    from bars where hours is distinct from 24 group by 1, 2 order by 1, 2
"""
_FAR_SAMPLES: Final = f"""
    select source, {_TABLE_OF}, 'no sample within an hour of the end of the day', count(*),
        min(asset_id || ' ' || date)
    from levels where seconds > 3600 group by 1, 2 order by 1, 2
"""
_PARTIAL_FUNDING: Final = """
    select source, 'fact_funding', 'a day whose funding intervals do not add up to 24 hours',
        count(*), min(asset_id || ' ' || date)
    from prints where n_without_interval > 0 or abs(coalesce(hours, 0) - 24) > 0.02
    group by 1, 2 order by 1, 2
"""
_BASE_VOLUMES: Final = """
    select source, 'fact_volume', 'made of base volume times close', count(distinct (asset_id,
        cast(stamp as date))), min(asset_id || ' ' || cast(stamp as date))
    from named where measure = 'volume_base' group by 1 order by 1
"""
_DAYS: Final = """
    select source, measure, asset_id, exchange, instrument_id, date, value
    from bars where hours = 24
    union all
    select source, measure, asset_id, exchange, instrument_id, date, value
    from levels where seconds <= 3600
"""


def _choose(con: duckdb.DuckDBPyConnection, spec: Spec, table: str) -> None:
    """Make a table of the lake: of each asset and day the best source that has it."""
    order = {source: place for place, source in enumerate(spec.order(table))}
    if not order:
        return
    rank = (
        "case source "
        + " ".join(f"when {sql_text(source)} then {place}" for source, place in order.items())
        + " end"
    )
    if table == "fact_funding":
        rows = """
            select source, asset_id, date, exchange, instrument_id,
                day_sum as funding_rate_1d_sum, day_sum / 3 as funding_rate,
                cast(8 as double) as interval_hours
            from prints where n_without_interval = 0 and abs(hours - 24) <= 0.02
        """
    elif table == "fact_open_interest":
        rows = f"""
            select days.source, days.asset_id, days.date, days.exchange, days.instrument_id,
                case days.measure when 'open_interest_base' then days.value * closes.value
                    else days.value end as open_interest_usd
            from ({_DAYS}) as days
            left join (
                select asset_id, date, min(value) as value from ({_DAYS})
                where measure = 'close' group by all
            ) as closes on days.asset_id = closes.asset_id and days.date = closes.date
            where days.measure in ('open_interest_usd', 'open_interest_base')
        """
    else:
        fill = TABLES[table]
        measures = ", ".join(map(sql_text, {*fill.measures.values()} - {"volume_base"}))
        rows = f"""
            select source, asset_id, date, value as {fill.value}
            from ({_DAYS}) where measure in ({measures})
        """
    con.execute(
        f"""
        create or replace table incoming_{table} as
        select * from ({rows})
        where asset_id is not null and {rank} is not null
        qualify {rank} = min({rank}) over (partition by asset_id, date)
        """
    )
