"""Which asset a vendor's id stands for, and when: the file of ids of a spec."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from msm_py.errors import MsmError
from msm_py.ingest.spec import Spec
from msm_py.lake.check_ids import as_multiple
from msm_py.text import listed

ID_COLUMNS: Final = ("scheme", "vendor_id", "from", "to", "asset_id", "multiple")
_SHOWN: Final = 20
_PAIR: Final = re.compile(
    r"([A-Za-z0-9]+?)[-_/]?(?:USDT|USDC|FDUSD|BUSD|USD)(?:[-_.:][A-Z0-9_.]*)?"
)


def create_ids(con: duckdb.DuckDBPyConnection, spec: Spec) -> None:
    """Make the table ``ids`` of a spec's file; empty without one.

    Raises
    ------
    MsmError
        The file cannot be read, or gives one id to two assets on one day.
    """
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


def unknown_ids(
    spec: Spec, unknown: Sequence[tuple[str, str, str, str]], *, every: bool
) -> MsmError:
    """Return the error of ids that stand for no asset, with the lines that are missing.

    Parameters
    ----------
    spec
        The spec.
    unknown
        Scheme, id, first and last day.
    every
        Give all lines, not the first ones only.
    """
    shown = unknown if every else unknown[:_SHOWN]
    lines = "\n".join(proposed_line(scheme, vendor_id) for scheme, vendor_id, *_ in shown)
    more = f"\n... and {len(unknown) - len(shown):,} more: --dry-run gives all lines"
    scheme, vendor_id, first, last = unknown[0]
    return MsmError(
        f"{len(unknown):,} ids of vendors stand for no asset",
        where=str(spec.ids or f"{spec.path}: ids"),
        received=f"{vendor_id} of {scheme}, {first} to {last}"
        + (f", and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""),
        remedy="add lines, each with its asset_id (and the multiple of 1000X); what stands there "
        "is a proposal from a symbol, and symbols are not unique: look at each\n"
        f"{','.join(ID_COLUMNS)}\n{lines}{more * (len(shown) < len(unknown))}",
    )


def proposed_line(scheme: str, vendor_id: str) -> str:
    """Return a line of ids, with an asset where the id is a pair of an exchange or a symbol.

    Examples
    --------
    >>> proposed_line("coingecko_symbol", "btc"), proposed_line("hyperliquid", "kPEPE")
    ('coingecko_symbol,btc,,,BTC,', 'hyperliquid,kPEPE,,,PEPE,1000')
    >>> proposed_line("binance_um", "1000SHIBUSDT"), proposed_line("okx", "BTC-USDT-SWAP")
    ('binance_um,1000SHIBUSDT,,,SHIB,1000', 'okx,BTC-USDT-SWAP,,,BTC,')
    >>> proposed_line("coingecko", "avalanche-2")
    'coingecko,avalanche-2,,,,'
    """
    asset, multiple = "", ""
    if pair := _PAIR.fullmatch(vendor_id):
        asset = pair[1]
    elif scheme.endswith("_symbol"):
        asset = vendor_id.upper()
    elif re.fullmatch(r"k?[A-Z0-9]+", vendor_id):
        asset = vendor_id
    if asset:
        for times, single in as_multiple(asset)[:1]:
            asset, multiple = single, f"{times:.0f}"
    return f"{scheme},{vendor_id},,,{asset},{multiple}"
