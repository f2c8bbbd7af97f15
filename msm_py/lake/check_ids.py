"""One asset under more ids than one: aliases that name nothing, and those that nobody declared.

- Multiples: a thousand coins quoted as one (1000SHIB, 1MBABYDOGE, kPEPE, SHIB1000) beside the coin.
- Renames: one id ends where another begins, at the same price, or two have the same price for days.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from msm_py.lake.check_items import FACTS, Item, Tables, listed, sql_text
from msm_py.lake.files import read_parquet

_TABLE: Final = "fact_price"
_SHOWN: Final = 10
_REMEDY_LINES: Final = 60
_LETTERS: Final = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9}
_NEAR: Final = 0.05  # log of the price ratio over the multiple, in the median
_RENAME_DAYS: Final = 3  # from the last close of one id to the first of the next
_RENAME_MOVE: Final = 0.05  # log of the price ratio over such a gap, and at the ends of one overlap
_RENAME_CAP: Final = 0.2  # the same of market caps, where both have one
_SAME_PRICE: Final = 0.01  # median log of the price ratio on days that have both
_SAME_DAYS: Final = 5
_STILL: Final = 0.003  # median absolute log change of a day
_AFTER_START: Final = 30  # days: what begins with the lake has no beginning


def declared(check: Tables, name: str) -> list[Item]:
    """Name the aliases of lake.yaml whose id no table has."""
    aliases = check.lake.settings.aliases
    if name != _TABLE or not aliases:
        return []
    there = set()
    for table in check.lake.tables.values():
        there |= {
            row[0]
            for row in check.rows(f"select distinct asset_id from {read_parquet(table.files)}")
        }
    unknown = sorted({alias.id for alias in aliases} - there)
    n = len({alias.id for alias in aliases})
    if not unknown:
        return [Item(name, "aliases", "ok", f"{n:,} ids stand for other assets, all are there")]
    return [
        Item(
            name,
            "aliases",
            "warn",
            f"{len(unknown):,} of the {n:,} ids that lake.yaml names are in no table: "
            f"{listed(unknown, _SHOWN)}",
            "ids are case-sensitive: mend or remove these aliases",
        )
    ]


@dataclass(frozen=True)
class Found:
    """An alias that lake.yaml may need.

    Parameters
    ----------
    id, asset_id, multiple, until
        What it would say.
    why
        What speaks for it.
    """

    id: str
    asset_id: str
    why: str
    multiple: float = 1.0
    until: date | None = None

    @property
    def line(self) -> str:
        """Return its line of lake.yaml."""
        parts = [f"id: {_yaml(self.id)}", f"asset_id: {_yaml(self.asset_id)}"]
        if self.multiple != 1:
            parts.append(f"multiple: {self.multiple:.0f}")
        if self.until is not None:
            parts.append(f"until: {self.until}")
        return f"  - {{{', '.join(parts)}}}"


def undeclared(check: Tables, name: str) -> list[Item]:
    """Find ids that look like another asset's, with the lines that would say so."""
    if name != _TABLE:
        return []
    items = []
    for check_name, found, what, note in (
        (
            "multiples",
            multiples(check),
            "look like many coins of an asset that is there under its own id",
            "if they are, lake.yaml needs",
        ),
        (
            "renames",
            renames(check),
            "look like an asset that goes on under another id",
            "if they do (look each one up), lake.yaml needs the lines below; where both are there, "
            "drop or exclude the old id from then on too, or the asset is held twice",
        ),
    ):
        if not found:
            items.append(Item(name, check_name, "ok", "none that nobody declared"))
            continue
        lines = [one.line for one in found[:_REMEDY_LINES]]
        more = len(found) - len(lines)
        items.append(
            Item(
                name,
                check_name,
                "warn",
                f"{len(found):,} ids {what}: "
                + listed((f"{x.id} of {x.asset_id} ({x.why})" for x in found), _SHOWN),
                "\n".join([note, "aliases:", *lines])
                + (f"\nand {more:,} more, which the next check names" if more else ""),
            )
        )
    return items


def multiples(check: Tables) -> list[Found]:
    """Return ids that are a multiple and the id of an asset with a price.

    Where both have prices the ratio decides; an id of funding or open interest alone goes by its
    name.
    """
    priced = {row[0] for row in check.rows("select distinct asset_id from closes")}
    ids = priced | {
        row[0]
        for table in FACTS
        for row in check.rows(f"select distinct asset_id from {table} where asset_id is not null")
    }
    found = []
    for id_ in sorted(ids):
        for multiple, asset in as_multiple(id_):
            if asset not in priced:
                continue
            if id_ not in priced:
                found.append(Found(id_, asset, "by its name, no price", multiple))
                break
            n, ratio = check.one(
                "select count(*), median(a.value / b.value) "
                "from closes as a inner join closes as b using (date) "
                f"where a.asset_id = {sql_text(id_)} and b.asset_id = {sql_text(asset)}"
            )
            if n and abs(ratio / multiple - 1) < _NEAR:
                found.append(Found(id_, asset, f"price {ratio:,.4g}x on {n:,} days", multiple))
                break
    return found


def as_multiple(id_: str) -> list[tuple[float, str]]:
    """Return what an id can be a multiple of.

    Examples
    --------
    >>> as_multiple("1000SHIB"), as_multiple("1MBABYDOGE")
    ([(1000.0, 'SHIB')], [(1000000.0, 'BABYDOGE')])
    >>> as_multiple("kPEPE"), as_multiple("SHIB1000"), as_multiple("1INCH")
    ([(1000.0, 'PEPE')], [(1000.0, 'SHIB')], [])
    """
    found = []
    if match := re.fullmatch(r"(100+)(\D.*)", id_):
        found.append((float(match[1]), match[2]))
    if match := re.fullmatch(r"1([KMB])(.+)", id_):
        found.append((_LETTERS[match[1]], match[2]))
    if match := re.fullmatch(r"k([A-Z].*)", id_):
        found.append((_LETTERS["k"], match[1]))
    if match := re.fullmatch(r"(.*\D)(1000+)", id_):
        found.append((float(match[2]), match[1]))
    return found


def renames(check: Tables) -> list[Found]:
    """Return ids whose asset goes on under another one, by price and, where known, market cap."""
    # in steps, each a table: joined at once, pairs of assets by days would fill the disk
    for name, query in (
        (
            "lives",
            """
            select asset_id, min(date) as first, max(date) as last,
                arg_min(value, date) as first_close, arg_max(value, date) as last_close
            from closes group by asset_id
            """,
        ),
        (
            "ended",
            f"from lives where last < date '{check.last_btc}' - {check.stale} "
            "and asset_id <> 'BTC'",
        ),
        ("begun", f"from lives where first > date '{check.first_btc}' + {_AFTER_START}"),
        # the old id lives on for a while: few have the same price on two days
        (
            "alike_first",
            f"""
            select old.asset_id as old, old.last, old.last_close, new.asset_id as new, new.first
            from begun as new
            inner join (select * from closes semi join ended using (asset_id)) as a
                on a.date = new.first
            inner join ended as old on a.asset_id = old.asset_id
            where new.last > old.last and new.first > old.first
                and abs(ln(new.first_close / a.value)) < {_RENAME_MOVE}
            """,
        ),
        (
            "alike",
            f"""
            select old, new, alike_first.first
            from alike_first
            inner join closes as b on b.asset_id = new and b.date = last
            where abs(ln(b.value / last_close)) < {_RENAME_MOVE}
            """,
        ),
        (
            "pairs",
            f"""
            select ended.asset_id as old, begun.asset_id as new, ended.last as until, begun.first,
                ln(begun.first_close / ended.last_close) as move, null::double as apart, 0 as n_both
            from ended inner join begun
                on begun.first > ended.last and begun.first <= ended.last + {_RENAME_DAYS}
            where abs(move) < {_RENAME_MOVE}
            union all
            select old, new, any_value(first) - 1, any_value(first), null,
                median(abs(ln(b.value / a.value))) as distance, count(*)
            from alike
            inner join closes as a on a.asset_id = old
            inner join closes as b on b.asset_id = new and b.date = a.date
            group by old, new
            having distance < {_SAME_PRICE} and count(*) >= {_SAME_DAYS}
                -- two that hold a peg have one price too
                and median(abs(ln(b.value / b.before))) > {_STILL}
            """,
        ),
    ):
        check.con.execute(f"create or replace temp table {name} as {query}")
    rows = check.rows(
        f"""
        select old, new, until, first, move, apart, n_both,
            -- an id that could be several others is likely none of them
            count(*) over (partition by old), count(*) over (partition by new)
        from pairs
        left join caps as a on a.asset_id = old and a.date = until
        left join caps as b on b.asset_id = new and b.date = first
        where a.value is null or b.value is null or abs(ln(b.value / a.value)) < {_RENAME_CAP}
        order by until, old
        """
    )
    return [
        Found(
            old,
            new,
            f"ends {until}, the other begins {first} at {move:+.1%}"
            if apart is None
            else f"from {first} on both are there, {apart:.2%} apart on {n_both:,} days",
            until=None if apart is None else first - timedelta(days=1),
        )
        for old, new, until, first, move, apart, n_both, n_old, n_new in rows
        if n_old == 1 and n_new == 1
    ]


def _yaml(word: str) -> str:
    """Return an id as it can stand in a flow map of YAML."""
    return word if re.fullmatch(r"[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*", word) else json.dumps(word)
