"""Simulated size and power of null markets, without the graph: ``python bench/null_markets.py``.

A world has a relative return ``y`` (Student's t with 5 degrees, clustered volatility) and an
indicator ``x`` that lasts and follows returns. States are cut from a score that is made of past
returns (``returns``), of the indicator and past returns (``indicator``) or of volatility
(``volatility``). Null worlds draw days of the real one in blocks, with and without what the states
foretell. Prints how often p is at most 5%, one-sided, for edge_best and spread at each horizon.
"""

from __future__ import annotations

import argparse
from typing import Final

import numpy as np

from msm_py._typing import Floats, Ints
from msm_py.lake.null_market import BLOCK_DAYS, foretold_returns

HORIZONS: Final = (1, 5, 20)
WINDOW: Final = 60
BEFORE: Final = 90  # days that only scores see
N_DAYS: Final = 900
SCORES: Final = ("returns", "indicator", "volatility")


def world(rng: np.random.Generator, effect: float) -> tuple[Floats, Floats]:
    """Return relative returns and an indicator of all days; effect is the plant, a day."""
    n = BEFORE + N_DAYS
    shocks, moves = rng.standard_normal((2, n))
    level, x = np.zeros((2, n))
    for day in range(1, n):
        level[day] = 0.97 * level[day - 1] + 0.2 * shocks[day]
    y = 0.02 * np.exp(0.4 * level) * rng.standard_t(5, n) / np.sqrt(5 / 3)
    for day in range(1, n):
        x[day] = 0.93 * x[day - 1] + 0.3 * moves[day] + 0.15 * y[day] / 0.02
        y[day] -= effect * np.tanh(x[max(0, day - 3)])
    return y, x


def scores(y: Floats, x: Floats, kind: str) -> Floats:
    """Return the scores of all days but the first ones, (worlds, days)."""
    levels = _z(np.cumsum(y, axis=1))
    if kind == "returns":
        found = 0.5 * _z(_trailing(y, 7)) + 0.5 * levels
    elif kind == "indicator":
        found = 0.7 * _z(_trailing(x, 7)) + 0.3 * levels
    else:
        found = _z(np.log(_trailing(y * y, 7) + 1e-12))
    return np.asarray(found[:, BEFORE:])


def states(score: Floats) -> Ints:
    """Return 0, 1 or 2, cut at -0.5 and 0.5 and left at -0.2 and 0.2."""
    found = np.ones(score.shape, np.int64)
    now = np.digitize(score[:, 0], [-0.5, 0.5])
    for day, value in enumerate(score.T):
        raw = np.digitize(value, [-0.5, 0.5])
        stays = ((now == 2) & (raw < 2) & (value > 0.2)) | ((now == 0) & (raw > 0) & (value < -0.2))
        now = np.where(stays, now, raw)
        found[:, day] = now
    return found


def trade_edges(y: Floats, state: Ints) -> Floats:
    """Return edge_best and spread at each horizon, (figures, worlds); NaN below 15 days."""
    total = np.cumsum(np.pad(y[:, BEFORE:], ((0, 0), (1, 0))), axis=1)
    found = []
    for horizon in HORIZONS:
        after = total[:, horizon + 1 :] - total[:, 1:-horizon]
        worst, best = (_mean(after, state[:, : after.shape[1]] == x) for x in (0, 2))
        found += [after.mean(axis=1) - best, worst - best]
    return np.array(found)


def p_values(
    rng: np.random.Generator, kind: str, effect: float, n_null: int, *, takes_out: bool
) -> Floats:
    """Return the one-sided p of each figure of one world; NaN where it lacks the figure."""
    y, x = world(rng, effect)
    score = scores(y[None], x[None], kind)
    state = states(score)
    own = trade_edges(y[None], state)[:, 0]
    left = y.copy()
    if takes_out:
        own_days = np.concatenate([[np.nan], y[BEFORE + 1 :]])
        left[BEFORE:] -= foretold_returns(own_days, state[0], score[0], HORIZONS)
    starts = rng.integers(N_DAYS - 1, size=(n_null, -(-y.size // BLOCK_DAYS)))
    steps = (starts[:, :, None] + np.arange(BLOCK_DAYS)).reshape(n_null, -1)[:, : y.size]
    days = BEFORE + 1 + steps % (N_DAYS - 1)
    null = trade_edges(left[days], states(scores(left[days], x[days], kind)))
    p = (1 + (null >= own[:, None]).sum(axis=1)) / (1 + n_null)
    return np.where(np.isfinite(own), p, np.nan)


def _mean(values: Floats, chosen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
    n = chosen.sum(axis=1)
    return np.asarray(np.where(n >= 15, (values * chosen).sum(axis=1) / np.maximum(n, 1), np.nan))


def _trailing(values: Floats, n: int) -> Floats:
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    found = np.zeros(values.shape)
    found[:, n - 1 :] = (total[:, n:] - total[:, :-n]) / n
    return found


def _z(values: Floats) -> Floats:
    mean = _trailing(values, WINDOW)
    variance = _trailing(values * values, WINDOW) - mean * mean
    found = np.zeros(values.shape)
    found[:, WINDOW - 1 :] = ((values - mean) / np.sqrt(np.maximum(variance, 1e-14)))[
        :, WINDOW - 1 :
    ]
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=250)
    parser.add_argument("--null-markets", type=int, default=99)
    parser.add_argument("--effects", type=float, nargs="+", default=[0.0, 0.004])
    given = parser.parse_args()
    heads = [f"{name} {h}" for h in HORIZONS for name in ("best", "spread")]
    print("effect  score       blocks   ", "  ".join(heads))
    for effect in given.effects:
        for kind in SCORES:
            for takes_out in (False, True):
                rng = np.random.default_rng(11)
                found = np.array(
                    [
                        p_values(rng, kind, effect, given.null_markets, takes_out=takes_out)
                        for _ in range(given.draws)
                    ]
                )
                share = 100 * (found <= 0.05).sum(axis=0) / np.isfinite(found).sum(axis=0)
                name = "without" if takes_out else "alone"
                figures = "  ".join(f"{x:{len(y)}.1f}" for x, y in zip(share, heads, strict=True))
                print(f"{effect:<7} {kind:<11} {name:<9}", figures, flush=True)


if __name__ == "__main__":
    main()
