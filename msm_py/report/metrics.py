"""How strategy metrics are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msm_py.report.figures import MISSING, figure


@dataclass(frozen=True)
class Metric:
    """How a strategy metric is shown.

    Parameters
    ----------
    label, key
        What it is called here and in metrics.json.
    digits
        Decimals shown.
    unit
        ``%`` (the value is a decimal fraction), ``d`` for days, else empty.
    of_net
        Whether it belongs to the net series alone.
    """

    label: str
    key: str
    digits: int = 1
    unit: str = "%"
    of_net: bool = False

    def show(self, value: float | None) -> str:
        """Return the value with its unit."""
        return figure(value, self.digits, self.unit)

    def difference(self, a: float | None, b: float | None) -> str:
        """Return b minus a; between percentages in percentage points."""
        if a is None or b is None:
            return MISSING
        text = figure(b - a, self.digits, self.unit, sign=True)
        return text.replace("%", " pp")


METRICS: Final = (
    Metric("total return", "total_return"),
    Metric("CAGR", "cagr"),
    Metric("volatility", "volatility"),
    Metric("Sharpe", "sharpe", 2, ""),
    Metric("Sortino", "sortino", 2, ""),
    Metric("max drawdown", "max_drawdown"),
    Metric("  its length", "max_drawdown_days", 0, "d"),
    Metric("Calmar", "calmar", 2, ""),
    Metric("hit rate", "hit_rate"),
    Metric("PSR, P(Sharpe > 0)", "probabilistic_sharpe"),
    Metric("turnover a day", "avg_turnover"),
    Metric("costs a year", "cost_drag", 2, of_net=True),
    Metric("funding paid a year", "funding_drag", 2, of_net=True),
    Metric("gross exposure", "avg_gross_exposure"),
    Metric("invested days", "n_invested_days", 0, "d"),
)
STABILITY: Final = (
    Metric("decision days", "n_days", 0, "d"),
    Metric("switches a year", "switches_per_year", 1, ""),
    Metric("average stay", "avg_regime_duration_days", 1, "d"),
)
