"""Sharpe ratios by hand."""

from typing import Any

from scipy.stats import kurtosis, skew

from msm_py._typing import Floats
from msm_py.stats.sharpe import (
    deflated_sharpe_ratio,
)


def sharpe(returns: Floats) -> Any:
    return returns.mean(axis=0) / returns.std(axis=0, ddof=1)


def best_deflated(returns: Floats) -> tuple[Floats, int]:
    """Deflated Sharpe ratio of every trial, and which trial is best."""
    ratio = sharpe(returns)
    deflated = deflated_sharpe_ratio(
        ratio,
        len(returns),
        skew(returns),
        kurtosis(returns, fisher=False),
        ratio.var(ddof=1),
        returns.shape[1],
    )
    return deflated, int(deflated.argmax())
