"""The requests that a source means: which question, and the file that its answer goes into."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from msm_py.errors import MsmError
from msm_py.pull.spec import Source

_EPOCH: Final = dt.date(1970, 1, 1)
_DAY: Final = dt.timedelta(days=1)
_DAY_MS: Final = 86_400_000
_A_MINUTE_MS: Final = 60_000
ARCHIVES_ARE_LATE: Final = dt.timedelta(days=45)
"""How long after its end the archive of a month may come; what is absent then stays absent."""


@dataclass(frozen=True)
class Request:
    """A question to a vendor.

    Parameters
    ----------
    symbol
        Of which asset.
    file
        Where the answer goes, relative to the folder of the source.
    url
        The whole address. No key is ever part of it.
    body
        What is posted; None for a GET.
    start
        First day that it asks for.
    end
        When the period that it asks for is over, UTC.
    instead
        What to ask where an archive is not there (yet): its days.
    """

    symbol: str
    file: str
    url: str
    start: dt.date
    end: dt.datetime
    body: dict[str, Any] | None = None
    instead: tuple[Request, ...] = ()


def requests_of(source: Source, today: dt.date) -> Iterator[Request]:
    """Yield the requests of a source, symbol by symbol, in the order of time.

    Days are asked for up to yesterday. Ranges of days have the same borders whenever they are
    asked for, so that a file that is complete stays what it is.

    Parameters
    ----------
    source
        What to pull.
    today
        The running day, UTC.

    Raises
    ------
    MsmError
        Not one day of those that are wanted is over.
    """
    last = min(source.to_date or today - _DAY, today - _DAY)
    first = source.from_date or oldest_kept(source, today)
    if first > last:
        raise MsmError(
            "no day of those that are wanted is over",
            where=f"source {source.id}, from",
            received=str(first),
            remedy=f"days are pulled when they are over, until {last} for now",
        )
    for symbol in source.symbols:
        match source.data.shape:
            case "windows":
                yield from _windows(source, symbol, first, last)
            case "snapshot":
                yield _snapshot(source, symbol, first, today)
            case "archives":
                yield from _archives(source, symbol, first, last, today)


def oldest_kept(source: Source, today: dt.date) -> dt.date:
    """Return the first day that the vendor surely has, at the start of a range of days."""
    kept = source.data.kept_days
    if kept is None:
        return dt.date.min
    n_days = source.data.days_per_request(source.bar)
    oldest = (today - _EPOCH).days - kept + 1
    return _EPOCH + dt.timedelta(days=-(-oldest // n_days) * n_days)


def _windows(source: Source, symbol: str, first: dt.date, last: dt.date) -> Iterator[Request]:
    data = source.data
    n_days = data.days_per_request(source.bar)
    start = first
    while start <= last:
        block_end = _EPOCH + dt.timedelta(days=((start - _EPOCH).days // n_days + 1) * n_days - 1)
        named_end = min(block_end, source.to_date or block_end)
        asked_end = min(block_end, last)
        start_ms = (start - _EPOCH).days * _DAY_MS
        last_ms = ((asked_end - _EPOCH).days + 1) * _DAY_MS - 1
        if data.is_instant:  # what is stamped 24:00, a little late, belongs to the day, too
            last_ms += _A_MINUTE_MS
        values = {
            **_names(source, symbol),
            "first": start.isoformat(),
            "last": named_end.isoformat(),
            "start_ms": start_ms,
            "last_ms": last_ms,
            "before_ms": start_ms - 1,
            "after_ms": last_ms + 1,
        }
        yield _request(source, symbol, values, start, _midnight_after(asked_end))
        start = block_end + _DAY


def _snapshot(source: Source, symbol: str, first: dt.date, today: dt.date) -> Request:
    values = {
        **_names(source, symbol),
        "last": today.isoformat(),
        "days": (today - first).days,
    }
    return _request(source, symbol, values, first, _midnight_after(today - _DAY))


def _archives(
    source: Source, symbol: str, first: dt.date, last: dt.date, today: dt.date
) -> Iterator[Request]:
    monthly, daily = source.data.monthly, source.data.daily
    day = first
    while day <= last:
        after = (day.replace(day=1) + 32 * _DAY).replace(day=1)
        days = tuple(
            _archive(source, symbol, daily, (day + n * _DAY).isoformat(), day + n * _DAY)
            for n in range((min(last, after - _DAY) - day).days + 1 if daily else 0)
        )
        if monthly is None or after > today:
            yield from days
        else:
            period = day.isoformat()[:7]
            instead = days if today - after < ARCHIVES_ARE_LATE else ()
            yield _archive(source, symbol, monthly, period, after - _DAY, instead)
        day = after


def _archive(
    source: Source,
    symbol: str,
    place: str | None,
    period: str,
    last: dt.date,
    instead: tuple[Request, ...] = (),
) -> Request:
    assert place is not None
    names = {**_names(source, symbol), "period": period}
    name = source.data.file.format(**names)
    path = place.format(**_quoted(names), file=quote(name))
    return Request(
        symbol,
        f"{symbol}/{name}",
        source.address + path,
        dt.date.fromisoformat(f"{period}-01"[:10]),
        _midnight_after(last),
        instead=instead,
    )


def _request(
    source: Source, symbol: str, values: dict[str, Any], start: dt.date, end: dt.datetime
) -> Request:
    data = source.data
    url = source.address + data.path.format(**_quoted(values))
    if data.query:
        url += "?" + urlencode(_filled(dict(data.query), values))
    body = None if data.body is None else _filled(dict(data.body), values)
    return Request(symbol, f"{symbol}/{data.file.format(**values)}", url, start, end, body)


def _names(source: Source, symbol: str) -> dict[str, Any]:
    interval = source.bar
    return {
        "symbol": symbol,
        "interval": "" if interval is None else source.data.intervals[interval],
    }


def _quoted(values: dict[str, Any]) -> dict[str, str]:
    return {name: quote(str(value), safe="") for name, value in values.items()}


def _filled(template: Any, values: dict[str, Any]) -> Any:
    """Return a template with its values; one that is a value and nothing else keeps its type."""
    if isinstance(template, dict):
        return {key: _filled(value, values) for key, value in template.items()}
    alone = values.get(template.strip("{}")) if template.startswith("{") else None
    return template.format(**values) if alone is None else alone


def _midnight_after(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day + _DAY, dt.time(), dt.UTC)
