"""What can be pulled: which vendors have what, and how each of them is asked.

`DATASETS` is the only place where they are listed; the table of docs/pull.md follows it. Templates
such as ``{symbol}`` are filled for each request:

========================== ====================================================================
``symbol``                 as the vendor writes it
``interval``               as the vendor writes it
``start_ms``, ``last_ms``  first and last millisecond that is wanted
``before_ms``, ``after_ms``  the milliseconds before and after those
``first``, ``last``        first and last day of the file
``period``                 month or day of an archive, such as 2024-01
``days``                   how many days back from now
========================== ====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

MOST_DAYS: Final = 366
"""Days that one request asks for, at most."""

Shape = Literal["windows", "snapshot", "archives"]


@dataclass(frozen=True)
class Vendor:
    """How a vendor speaks.

    Parameters
    ----------
    requests_per_minute
        What is asked of it, at most, unless the spec says otherwise.
    key_header
        The header that carries a key; None for a vendor that takes none.
    needs_key
        Whether nothing is answered without one.
    code, fine, busy
        The field of an answer that says how it went, what it holds when all is well, and what it
        holds when one is to come back later. No code: there is no such field.
    message
        The field that says what is wrong.
    """

    requests_per_minute: float
    key_header: str | None = None
    needs_key: bool = False
    code: str | None = None
    fine: str = ""
    busy: frozenset[str] = frozenset()
    message: str = "msg"


@dataclass(frozen=True)
class Dataset:
    """What is asked, and what the files are called.

    Parameters
    ----------
    vendor
        Whom.
    base_url
        Scheme and host, unless the spec says otherwise.
    path
        The rest of the address: a template.
    file
        A template; files are put into a folder per symbol.
    shape
        ``windows``: a range of days per request. ``snapshot``: everything until now, a file per
        day of asking. ``archives``: ready-made zip files, with checksums.
    query, body
        What is sent along: templates. With a body the request is a POST.
    intervals
        Lengths of bars, as MSM calls them, and as the vendor does; the first one is the default.
        None: the data has no such choice.
    is_instant
        Whether a row is an instant, so that the one at 24:00 belongs to a day, too.
    most_rows
        Rows of an answer, at most: a full one may have been cut.
    rows
        The keys that lead to the list of rows.
    kept_days
        How long the vendor keeps it; None for as long as there is a market.
    monthly, daily
        Where the archives of a whole month and of a day are; None where there are none.
    holds
        What it is, for the docs.
    """

    vendor: Vendor
    base_url: str
    holds: str
    file: str
    path: str = ""
    shape: Shape = "windows"
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    intervals: Mapping[str, str] = field(default_factory=dict)
    is_instant: bool = False
    most_rows: int = 0
    rows: tuple[str, ...] = ()
    kept_days: int | None = None
    monthly: str | None = None
    daily: str | None = None

    @property
    def per_file(self) -> str:
        """Return how much one file holds, for the docs."""
        if self.shape == "snapshot":
            return "all days until the day of asking"
        if self.shape == "archives":
            of = ((self.monthly, "a month"), (self.daily, "a day"))
            return " or ".join(text for place, text in of if place is not None)
        days = [self.days_per_request(name) for name in self.intervals or [None]]
        return ", ".join(dict.fromkeys(f"{n} days" if n > 1 else "a day" for n in days))

    def days_per_request(self, interval: str | None) -> int:
        """Return how many days a request asks for, so that no answer is full.

        Data without a choice of intervals is taken for hourly, as the most frequent funding is.
        """
        rows_per_day = 24 / hours(interval or "1h")
        most = MOST_DAYS if self.kept_days is None else self.kept_days // 6
        # one row more than the days hold, at 24:00, and still one less than a full answer
        return max(1, min(most, int((self.most_rows - 2) / rows_per_day)))


def hours(interval: str) -> float:
    """Return the length of an interval.

    Examples
    --------
    >>> hours("5m") * 60, hours("4h"), hours("1d")
    (5.0, 4.0, 24.0)
    """
    return float(interval[:-1]) * {"m": 1 / 60, "h": 1.0, "d": 24.0}[interval[-1]]


_ARCHIVES = Vendor(requests_per_minute=300)
_BINANCE = Vendor(requests_per_minute=90)
_BYBIT = Vendor(
    requests_per_minute=120, code="retCode", fine="0", busy=frozenset({"10006"}), message="retMsg"
)
_OKX = Vendor(requests_per_minute=120, code="code", fine="0", busy=frozenset({"50011", "50061"}))
_COINGECKO = Vendor(requests_per_minute=25, key_header="x-cg-demo-api-key")
_COINGECKO_PRO = Vendor(requests_per_minute=250, key_header="x-cg-pro-api-key", needs_key=True)
_COINGLASS = Vendor(
    requests_per_minute=25,
    key_header="CG-API-KEY",
    needs_key=True,
    code="code",
    fine="0",
    busy=frozenset({"429"}),
)
_HYPERLIQUID = Vendor(requests_per_minute=25)

_BARS: Final = {"1d": "1d", "4h": "4h", "1h": "1h"}
_BINANCE_RANGE: Final = {
    "symbol": "{symbol}",
    "startTime": "{start_ms}",
    "endTime": "{last_ms}",
}


def _archive_klines(market: str, holds: str) -> Dataset:
    def place(period: str) -> str:
        return f"/data/{market}/{period}/klines/{{symbol}}/{{interval}}/{{file}}"

    return Dataset(
        _ARCHIVES,
        "https://data.binance.vision",
        holds,
        file="{symbol}-{interval}-{period}.zip",
        shape="archives",
        intervals=_BARS,
        monthly=place("monthly"),
        daily=place("daily"),
    )


def _archive(name: str, holds: str, period: str) -> Dataset:
    place = f"/data/futures/um/{period}/{name}/{{symbol}}/{{file}}"
    return Dataset(
        _ARCHIVES,
        "https://data.binance.vision",
        holds,
        file=f"{{symbol}}-{name}-{{period}}.zip",
        shape="archives",
        monthly=place if period == "monthly" else None,
        daily=place if period == "daily" else None,
    )


def _binance_klines(base_url: str, path: str, most_rows: int, holds: str) -> Dataset:
    return Dataset(
        _BINANCE,
        base_url,
        holds,
        path=path,
        query={**_BINANCE_RANGE, "interval": "{interval}", "limit": str(most_rows)},
        file="klines_{interval}_{symbol}_{first}_{last}.json",
        intervals=_BARS,
        most_rows=most_rows,
    )


def _bybit_klines(category: str, holds: str) -> Dataset:
    return Dataset(
        _BYBIT,
        "https://api.bybit.com",
        holds,
        path="/v5/market/kline",
        query={
            "category": category,
            "symbol": "{symbol}",
            "interval": "{interval}",
            "start": "{start_ms}",
            "end": "{last_ms}",
            "limit": "1000",
        },
        file="bybit_v5_kline_{interval}_{symbol}_{first}_{last}.json",
        intervals={"1d": "D", "4h": "240", "1h": "60"},
        most_rows=1000,
        rows=("result", "list"),
    )


def _coingecko(vendor: Vendor, base_url: str, holds: str) -> Dataset:
    return Dataset(
        vendor,
        base_url,
        holds,
        path="/api/v3/coins/{symbol}/market_chart",
        query={"vs_currency": "usd", "days": "{days}", "interval": "daily"},
        file="market_chart_{symbol}_{last}.json",
        shape="snapshot",
        is_instant=True,
        rows=("prices",),
    )


def _coinglass(path: str, file: str, intervals: Mapping[str, str], holds: str) -> Dataset:
    return Dataset(
        _COINGLASS,
        "https://open-api-v4.coinglass.com",
        holds,
        path=path,
        query={
            "symbol": "{symbol}",
            "interval": "{interval}",
            "start_time": "{start_ms}",
            "end_time": "{last_ms}",
            "limit": "1000",
        },
        file=f"{file}_{{symbol}}_{{interval}}_{{first}}_{{last}}.json",
        intervals=intervals,
        most_rows=1000,
        rows=("data",),
    )


DATASETS: Final[Mapping[str, Dataset]] = {
    "binance_vision.spot_klines": _archive_klines("spot", "spot bars, archives"),
    "binance_vision.um_klines": _archive_klines("futures/um", "bars of USD perpetuals, archives"),
    "binance_vision.fundingRate": _archive("fundingRate", "funding prints, archives", "monthly"),
    "binance_vision.metrics": _archive("metrics", "open interest every 5 minutes", "daily"),
    "binance_rest.spot_klines": _binance_klines(
        "https://api.binance.com", "/api/v3/klines", 1000, "spot bars"
    ),
    "binance_rest.um_klines": _binance_klines(
        "https://fapi.binance.com", "/fapi/v1/klines", 1500, "bars of USD perpetuals"
    ),
    "binance_rest.fundingRate": Dataset(
        _BINANCE,
        "https://fapi.binance.com",
        "funding prints",
        path="/fapi/v1/fundingRate",
        query={**_BINANCE_RANGE, "limit": "1000"},
        file="fundingRate_{symbol}_{first}_{last}.json",
        is_instant=True,
        most_rows=1000,
    ),
    "binance_rest.openInterestHist": Dataset(
        _BINANCE,
        "https://fapi.binance.com",
        "open interest",
        path="/futures/data/openInterestHist",
        query={**_BINANCE_RANGE, "period": "{interval}", "limit": "500"},
        file="openInterestHist_{interval}_{symbol}_{first}_{last}.json",
        intervals={"1d": "1d", "4h": "4h", "1h": "1h"},
        is_instant=True,
        most_rows=500,
        kept_days=30,
    ),
    "bybit.spot_klines": _bybit_klines("spot", "spot bars"),
    "bybit.linear_klines": _bybit_klines("linear", "bars of USDT and USDC perpetuals"),
    "bybit.funding": Dataset(
        _BYBIT,
        "https://api.bybit.com",
        "funding prints",
        path="/v5/market/funding/history",
        query={
            "category": "linear",
            "symbol": "{symbol}",
            "startTime": "{start_ms}",
            "endTime": "{last_ms}",
            "limit": "200",
        },
        file="bybit_v5_funding_history_{symbol}_{first}_{last}.json",
        is_instant=True,
        most_rows=200,
        rows=("result", "list"),
    ),
    "bybit.open_interest": Dataset(
        _BYBIT,
        "https://api.bybit.com",
        "open interest",
        path="/v5/market/open-interest",
        query={
            "category": "linear",
            "symbol": "{symbol}",
            "intervalTime": "{interval}",
            "startTime": "{start_ms}",
            "endTime": "{last_ms}",
            "limit": "200",
        },
        file="bybit_v5_open_interest_{interval}_{symbol}_{first}_{last}.json",
        intervals={"1d": "1d", "4h": "4h", "1h": "1h"},
        is_instant=True,
        most_rows=200,
        rows=("result", "list"),
    ),
    "okx.klines": Dataset(
        _OKX,
        "https://www.okx.com",
        "bars of spot (BTC-USDT) and of perpetuals (BTC-USDT-SWAP)",
        path="/api/v5/market/history-candles",
        query={
            "instId": "{symbol}",
            "bar": "{interval}",
            "before": "{before_ms}",
            "after": "{after_ms}",
            "limit": "100",
        },
        file="okx_candles_{interval}_{symbol}_{first}_{last}.json",
        intervals={"1d": "1Dutc", "4h": "4H", "1h": "1H"},  # OKX's own day is Hong Kong's
        most_rows=100,
        rows=("data",),
    ),
    "okx.funding": Dataset(
        _OKX,
        "https://www.okx.com",
        "funding prints",
        path="/api/v5/public/funding-rate-history",
        query={
            "instId": "{symbol}",
            "before": "{before_ms}",
            "after": "{after_ms}",
            "limit": "100",
        },
        file="okx_funding_rate_history_{symbol}_{first}_{last}.json",
        is_instant=True,
        most_rows=100,
        rows=("data",),
        kept_days=90,
    ),
    "okx.open_interest": Dataset(
        _OKX,
        "https://www.okx.com",
        "open interest",
        path="/api/v5/rubik/stat/contracts/open-interest-history",
        query={
            "instId": "{symbol}",
            "period": "{interval}",
            "begin": "{start_ms}",
            "end": "{last_ms}",
            "limit": "100",
        },
        file="okx_open_interest_history_{interval}_{symbol}_{first}_{last}.json",
        intervals={"1d": "1Dutc", "4h": "4H", "1h": "1H"},
        is_instant=True,
        most_rows=100,
        rows=("data",),
    ),
    "coingecko.market_chart": _coingecko(
        _COINGECKO,
        "https://api.coingecko.com",
        "price, market cap, volume; without a paid plan of the last 365 days",
    ),
    "coingecko_pro.market_chart": _coingecko(
        _COINGECKO_PRO, "https://pro-api.coingecko.com", "the same, of all days"
    ),
    "coinglass.funding_rate": _coinglass(
        "/api/futures/funding-rate/oi-weight-history",
        "funding_rate_oi_weight_history",
        {"8h": "8h", "1d": "1d", "4h": "4h", "1h": "1h"},
        "funding of all venues, weighted by open interest, in percent",
    ),
    "coinglass.open_interest": _coinglass(
        "/api/futures/open-interest/aggregated-history",
        "open_interest_aggregated_history",
        {"1d": "1d", "8h": "8h", "4h": "4h", "1h": "1h"},
        "open interest of all venues in USD",
    ),
    "hyperliquid.funding": Dataset(
        _HYPERLIQUID,
        "https://api.hyperliquid.xyz",
        "hourly funding prints",
        path="/info",
        body={
            "type": "fundingHistory",
            "coin": "{symbol}",
            "startTime": "{start_ms}",
            "endTime": "{last_ms}",
        },
        file="fundingHistory_{symbol}_{first}_{last}.json",
        is_instant=True,
        most_rows=500,
    ),
    "hyperliquid.klines": Dataset(
        _HYPERLIQUID,
        "https://api.hyperliquid.xyz",
        "bars of perpetuals",
        path="/info",
        body={
            "type": "candleSnapshot",
            "req": {
                "coin": "{symbol}",
                "interval": "{interval}",
                "startTime": "{start_ms}",
                "endTime": "{last_ms}",
            },
        },
        file="candleSnapshot_{interval}_{symbol}_{first}_{last}.json",
        intervals=_BARS,
        most_rows=5000,
    ),
}
