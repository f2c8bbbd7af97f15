"""Strategy metrics, forward returns, edges and stability."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from support.oracle.features import std
from support.oracle.lake import NAN, Float


def drawdowns(equity: Float) -> Float:
    peak = np.maximum.accumulate(np.concatenate([[1.0], equity]))[1:]
    return equity / peak - 1


def drawdown_lengths(equity: Float) -> dict[str, int]:
    """Days of the deepest drawdown (to recovery or end, and to trough), and of the longest."""
    path = np.concatenate([[1.0], equity])
    peak = np.maximum.accumulate(path)
    depth = path / peak - 1
    trough = int(np.argmin(depth))
    top = int(np.flatnonzero(path[: trough + 1] == peak[trough])[-1])
    recovered = np.flatnonzero(path[trough:] >= peak[trough])
    end = trough + int(recovered[0]) if len(recovered) else len(path) - 1
    longest = run_length = 0
    for below in depth < 0:
        run_length = run_length + 1 if below else 0
        longest = max(longest, run_length)
    return {
        "max_drawdown_days": end - top if depth[trough] < 0 else 0,
        "max_drawdown_peak_to_trough_days": trough - top if depth[trough] < 0 else 0,
        "longest_underwater_days": longest,
    }


def number(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None


def strategy_metrics(returns: pd.DataFrame, column: str) -> dict[str, float | int | None]:
    days = returns[returns["is_test_day"]]
    r, n = days[column].to_numpy(), len(days)
    out: dict[str, float | int | None] = {"n_days": n}
    if n == 0:
        return out
    equity = np.cumprod(np.maximum(1 + r, 0))
    depth = drawdowns(equity)
    sigma = r.std(ddof=1) if n > 1 and np.ptp(r) > 0 else NAN
    downside = np.sqrt(np.mean(np.minimum(r, 0) ** 2))
    cagr = equity[-1] ** (365 / n) - 1
    moment = {p: np.mean((r - r.mean()) ** p) for p in (2, 3, 4)}
    varies = sigma > 0
    skewness = moment[3] / moment[2] ** 1.5 if varies else NAN
    kurtosis = moment[4] / moment[2] ** 2 if varies else NAN
    daily = r.mean() / sigma if varies else NAN
    spread = 1 - skewness * daily + (kurtosis - 1) / 4 * daily**2
    psr = float(stats.norm.cdf(daily * np.sqrt(n - 1) / np.sqrt(spread))) if spread > 0 else NAN
    invested = days["held_gross_weight"].to_numpy() > 0
    ruined = bool(returns["is_ruined"].any())
    reason = None
    if ruined:
        reason = "ruined"
    elif n < 60:
        reason = "fewer than 60 test days"
    elif invested.sum() < 30:
        reason = "fewer than 30 invested days"
    if ruined and column == "r_net":
        equity = np.concatenate([equity[:-1], [0.0]])
        cagr = -1.0
        depth = np.concatenate([depth[:-1], [-1.0]])
    out |= {
        "total_return": number(equity[-1] - 1),
        "cagr": number(cagr),
        "volatility": number(r.std(ddof=1) * np.sqrt(365)) if n > 1 else None,
        "sharpe": number(daily * np.sqrt(365)),
        "sortino": number(r.mean() / downside * np.sqrt(365)) if downside > 0 else None,
        "max_drawdown": number(depth.min()),
        "calmar": number(cagr / -depth.min()) if depth.min() < 0 else None,
        "hit_rate": number(np.mean(r[invested] > 0)) if invested.any() else None,
        "invested_days": int(invested.sum()),
        "skewness": number(skewness),
        "kurtosis": number(kurtosis),
        "avg_turnover": number(days["turnover"].mean()),
        "cost_drag_per_year": number(days["cost"].mean() * 365),
        "funding_drag_per_year": number(days["funding"].mean() * 365),
        "avg_gross_exposure": number(days["held_gross_weight"].mean()),
        "psr": number(psr),
    }
    if reason is not None:
        for name in ("volatility", "sharpe", "sortino", "calmar", "psr"):
            out[name] = None
        if not ruined:
            out["cagr"] = None
    out["ratios_missing_because"] = reason  # type: ignore[assignment]
    return out | drawdown_lengths(np.cumprod(np.maximum(1 + r, 0)))


def forward_targets(
    returns: pd.DataFrame,
    regimes: Sequence[str],
    horizons: Sequence[int],
    lag: int,
    benchmark: str = "btc",
) -> pd.DataFrame:
    """One row per horizon and decision day whose t + lag + h lies inside the window (D30)."""
    against = {"btc": "r_btc", "long_leg": "r_majors"}[benchmark]
    alts, btc = 1 + returns["r_alts"].to_numpy(), 1 + returns[against].to_numpy()
    spell = np.cumsum([k > 0 and regimes[k] != regimes[k - 1] for k in range(len(regimes))])
    rows = [
        {
            "horizon_days": h,
            "date": returns["date"].iloc[k],
            "regime": regimes[k],
            "spell": int(spell[k]),
            "y": np.prod(alts[k + lag + 1 : k + lag + h + 1])
            - np.prod(btc[k + lag + 1 : k + lag + h + 1]),
        }
        for h in horizons
        for k in range(len(returns) - lag - h)
    ]
    return pd.DataFrame(rows, columns=["horizon_days", "date", "regime", "spell", "y"])


def regime_statistics(targets: pd.DataFrame, states: Sequence[str]) -> pd.DataFrame:
    rows = []
    for horizon, days in targets.dropna(subset="y").groupby("horizon_days"):
        for regime in states:
            chosen = days[days["regime"] == regime]
            y, n = chosen["y"].to_numpy(), len(chosen)
            if n == 0:
                continue
            sigma = float(std(y)) if n > 1 else NAN
            t_stat = y.mean() / (sigma / np.sqrt(n)) if sigma > 0 else NAN
            rows.append(
                {
                    "horizon_days": horizon,
                    "regime": regime,
                    "n": n,
                    "n_spells": chosen["spell"].nunique(),
                    "mean": y.mean(),
                    "median": np.median(y),
                    "std": sigma,
                    "hit_rate": np.mean(y > 0),
                    "t_stat": t_stat,
                    "p_value": 2 * stats.t.sf(abs(t_stat), n - 1) if sigma > 0 else NAN,
                }
            )
    columns = "horizon_days regime n n_spells mean median std hit_rate t_stat p_value".split()
    return pd.DataFrame(rows, columns=columns)


def graded(n_spells: int, n: int, block_days: int) -> str:
    if n_spells < 3 or n < 8 * block_days:
        return "none"
    if n_spells < 5:
        return "shift only"
    return "low" if n_spells < 10 or n < 10 * block_days else "normal"


def ewc_p(estimate: float, psi: Float, horizon_days: int) -> float:
    """Cosines one by one, as the paper has them; NaN where psi is nothing but rounding."""
    n = len(psi)
    number = max(2, int(np.floor(min(0.4 * n ** (2 / 3), n / (2 * horizon_days)))))
    if n <= number or np.abs(psi).max() < 1e-13:
        return NAN
    day = np.arange(n) + 0.5
    parts = [
        np.sqrt(2 / n) * np.sum(psi * np.cos(np.pi * j * day / n)) for j in range(1, number + 1)
    ]
    t = estimate / np.sqrt(np.mean(np.square(parts)) / n)
    return float(2 * stats.t.sf(abs(t), number))


def edges(targets: pd.DataFrame, states: Sequence[str], block_size: Any = "auto") -> pd.DataFrame:
    """Edges, what they are of, their evidence and p_ewc: all but bootstrap and rotations."""
    rows: list[dict[str, Any]] = []
    for horizon, days in targets.dropna(subset="y").groupby("horizon_days"):
        y, n = days["y"].to_numpy(), len(days)
        length = max(20, 3 * horizon) if block_size in ("auto", None) else int(block_size)
        length = min(max(length, horizon), n)
        inside = {s: (days["regime"] == s).to_numpy() for s in states}
        present = [s for s in states if inside[s].any()]
        spells = {s: days.loc[inside[s], "spell"].nunique() for s in present}
        often = [s for s in present if spells[s] >= 5]

        def edge(
            name: str,
            regime: str | None,
            against: str | None = None,
            *,
            y: Float = y,
            n: int = n,
            length: int = length,
            inside: dict[str, Any] = inside,
            spells: dict[str, int] = spells,
            horizon: Any = horizon,
        ) -> dict[str, Any]:
            estimate, n_spells, p_ewc = NAN, 0, NAN
            if regime is not None:
                other = y if against is None else y[inside[against]]
                estimate = y[inside[regime]].mean() - other.mean()
                n_spells = min(spells[x] for x in (regime, against) if x is not None)
                less = 1.0 if against is None else inside[against] / inside[against].mean()
                psi = (inside[regime] / inside[regime].mean() - less) * (y - y.mean())
                if graded(n_spells, n, length) in ("low", "normal"):
                    p_ewc = ewc_p(estimate, psi - psi.mean(), horizon)
            return {
                "horizon_days": horizon,
                "edge": name,
                "regime": regime,
                "against_regime": against,
                "estimate": estimate,
                "trade_edge": -estimate,
                "p_ewc": p_ewc,
                "n_spells": n_spells,
                "evidence": graded(n_spells, n, length),
            }

        found = [edge(state, state) for state in present]
        found.append(edge("edge_best", often[-1] if often else None))
        found.append(edge("edge_worst", often[0] if often else None))
        found.append(edge("spread", *((often[-1], often[0]) if len(often) > 1 else (None, None))))
        if len(present) == len(often) == 2:  # one hypothesis
            found = [{**row, "p_ewc": found[-1]["p_ewc"]} for row in found]
        rows.extend(found)
    columns = "horizon_days edge regime against_regime estimate trade_edge p_ewc n_spells evidence"
    return pd.DataFrame(rows, columns=columns.split())


def stability(
    regimes: Sequence[str], states: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    n = len(regimes)
    pairs = list(itertools.pairwise(regimes))
    switches = sum(a != b for a, b in pairs)
    summary = pd.DataFrame(
        [
            {
                "n_days": n,
                "total_switches": switches,
                "switches_per_year": switches / (n / 365),
                "avg_regime_duration_days": n / (switches + 1),
            }
        ]
    )
    distribution = pd.DataFrame(
        [{"regime": s, "pct": 100 * sum(r == s for r in regimes) / n} for s in states]
    )
    transitions = pd.DataFrame(
        [
            {
                "from_regime": a,
                "to_regime": b,
                "n": pairs.count((a, b)),
                "probability": pairs.count((a, b)) / sum(x == a for x, _ in pairs),
            }
            for a in states
            for b in states
            if (a, b) in pairs
        ],
        columns=["from_regime", "to_regime", "n", "probability"],
    )
    return summary, distribution, transitions
