"""Observations to daily rows of the lake: ids, days, completeness, priorities.

- A bar belongs to the day that it starts in. A day is there when its bars add up to 24 hours.
- A print of funding belongs to the day in (00:00, 24:00] and a day is there when the intervals of
  its prints add up to 24 hours: by column or mapping, else the spacing to the print before.
- A sample of a level (price, market cap, volume of 24 hours, open interest) stands for the end of
  the day at the midnight that it is nearest to, at most an hour away; the nearest one counts.
- What is left out is counted, never filled in.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from msm_py.errors import MsmError
from msm_py.ingest.measures import MEASURES, TABLES
from msm_py.ingest.spec import Spec
from msm_py.lake.check_items import sql_text
from msm_py.text import listed

ID_COLUMNS: Final = ("scheme", "vendor_id", "from", "to", "asset_id", "multiple")
_SHOWN_IDS: Final = 20


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


def daily_rows(con: duckdb.DuckDBPyConnection, spec: Spec, observations: str) -> list[Note]:
    """Make ``incoming_<table>`` of the lake's tables from observations.

    Parameters
    ----------
    con
        A connection; the tables are made in it.
    spec
        The spec.
    observations
        A table or view of observations, one per key.

    Returns
    -------
    list of Note
        What was left out.

    Raises
    ------
    MsmError
        When an id is unknown.
    """
    _read_ids(con, spec)
    _name_assets(con, spec, observations)
    means = {source.id: source.mapping.time.means for source in spec.sources.values()}
    con.execute("create or replace table source_means (source varchar, means varchar)")
    con.executemany("insert into source_means values (?, ?)", list(means.items()))
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


def _read_ids(con: duckdb.DuckDBPyConnection, spec: Spec) -> None:
    con.execute(
        "create or replace table ids (scheme varchar, vendor_id varchar, first date, until date, "
        "asset_id varchar, multiple double)"
    )
    if spec.ids is None:
        return
    rows = []
    with spec.ids.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        header = reader.fieldnames or ()
        if missing := [x for x in ("scheme", "vendor_id", "asset_id") if x not in header]:
            raise MsmError(
                "the file of ids lacks columns",
                where=str(spec.ids),
                received=listed(header),
                remedy=f"its first line is {','.join(ID_COLUMNS)} ({listed(missing)} missing)",
            )
        for number, row in enumerate(reader, start=2):
            rows.append(_id_row(spec.ids, number, row))
    if rows:
        con.executemany("insert into ids values (?, ?, ?, ?, ?, ?)", rows)
    twice = con.execute(
        """
        select a.scheme, a.vendor_id from ids as a inner join ids as b
            on a.scheme = b.scheme and a.vendor_id = b.vendor_id and a.rowid < b.rowid
            and coalesce(a.first, date '0001-01-01') <= coalesce(b.until, date '9999-12-31')
            and coalesce(b.first, date '0001-01-01') <= coalesce(a.until, date '9999-12-31')
        limit 1
        """
    ).fetchone()
    if twice is not None:
        raise MsmError(
            "an id stands for two assets on one day",
            where=str(spec.ids),
            received=", ".join(twice),
            remedy="give each row its days (from, to; both inclusive)",
        )


def _id_row(file: Path, number: int, row: dict[str, str | None]) -> tuple[object, ...]:
    def text(name: str) -> str | None:
        return (row.get(name) or "").strip() or None

    try:
        first, until = (
            None if (day := text(x)) is None else date.fromisoformat(day) for x in ("from", "to")
        )
        multiple = float(text("multiple") or 1)
        if not multiple > 0 or not all(text(x) for x in ("scheme", "vendor_id", "asset_id")):
            raise ValueError("scheme, vendor_id and asset_id are needed, and a multiple above 0")
    except ValueError as error:
        raise MsmError(
            "a row of ids cannot be read",
            where=f"{file}, line {number}",
            received=str(error),
            remedy=f"write {','.join(ID_COLUMNS)}; days as YYYY-MM-DD or empty",
        ) from None
    return text("scheme"), text("vendor_id"), first, until, text("asset_id"), multiple


def _name_assets(con: duckdb.DuckDBPyConnection, spec: Spec, observations: str) -> None:
    """Make ``named``: observations with asset ids, prices and supplies in single coins."""
    con.execute("create or replace table schemes (source varchar, scheme varchar)")
    con.executemany(
        "insert into schemes values (?, ?)",
        [(source.id, source.mapping.asset.scheme) for source in spec.sources.values()],
    )
    con.execute(
        f"""
        create or replace table named as
        select
            observations.* exclude (value),
            schemes.scheme,
            case when schemes.scheme = 'own' then coalesce(ids.asset_id, observations.vendor_id)
                else ids.asset_id end as asset_id,
            case
                when measure = 'close' then value / coalesce(multiple, 1)
                when measure in ('circulating_supply', 'volume_base', 'open_interest_base')
                    then value * coalesce(multiple, 1)
                else value
            end as value
        from {observations} as observations
        inner join schemes using (source)
        left join ids
            on schemes.scheme = ids.scheme and observations.vendor_id = ids.vendor_id
            and cast(stamp - interval 1 second as date)
                between coalesce(first, date '0001-01-01') and coalesce(until, date '9999-12-31')
        """
    )
    unknown = con.execute(
        """
        select scheme, vendor_id, min(stamp)::date::varchar, max(stamp)::date::varchar
        from named where asset_id is null group by 1, 2 order by 1, 2
        """
    ).fetchall()
    if unknown:
        lines = "\n".join(
            f"{scheme},{vendor_id},,,," for scheme, vendor_id, *_ in unknown[:_SHOWN_IDS]
        )
        more = f"\n... and {len(unknown) - _SHOWN_IDS:,} more" * (len(unknown) > _SHOWN_IDS)
        scheme, vendor_id, first, last = unknown[0]
        raise MsmError(
            f"{len(unknown):,} ids of vendors stand for no asset",
            where=str(spec.ids or f"{spec.path}: ids"),
            received=f"{vendor_id} of {scheme}, {first} to {last}"
            + (f", and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""),
            remedy=f"add lines, with the asset_id (and the multiple of 1000X) filled in:\n"
            f"{','.join(ID_COLUMNS)}\n{lines}{more}",
        )


_BAR_MEASURES: Final = ("close", "volume_usd", "volume_base", "marketcap", "circulating_supply")
_LEVEL_MEASURES: Final = (
    *_BAR_MEASURES,
    "open_interest_usd",
    "open_interest_base",
)
# a bar's day; of bars that are marked by their end, the day that the end closes
_BAR_DAY: Final = (
    "case when means = 'bar_end' then cast(stamp - interval 1 second as date) "
    "else cast(stamp as date) end"
)
_BARS: Final = f"""
    create or replace table bars as
    with each_bar as (
        select named.*, {_BAR_DAY} as date
        from named inner join source_means using (source)
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
        from named inner join source_means using (source)
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
_PRINTS: Final = """
    create or replace table prints as
    with spaced as (
        select
            named.*,
            cast(stamp - interval 1 second as date) as print_day,
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
            case when means = 'instant' then print_day else cast(stamp as date) end as date,
            coalesce(span_hours, case when spacing <= 24 then round(spacing, 4) end) as hours
        from spaced inner join source_means using (source)
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
