"""How often do the tests of edges err, and what do they find? A simulation study of section 8.

Regimes and returns are simulated, so that the truth is known, and go through the library's own
functions: how often each test rejects where there is nothing (size), how often intervals cover the
truth, and how often a planted edge is found (power). Results of each cell of the study are one line
of ``target/calibration.jsonl``: what is there already for this code is not computed again, so it
may be stopped and started at will. Then docs/calibration.md and its images are written, from the
template beside this script.

    python bench/calibrate.py            # about ten minutes on one core; `make calibrate`
    python bench/calibrate.py --simulations 100 --output /tmp/docs --results /tmp/cells.jsonl
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import math
import multiprocessing
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sample_null import STYLE
from scipy import signal, stats

from msm_py.engine import state_machine
from msm_py.engine.state_machine import StateRules, run_state_machine
from msm_py.regimes import REGIMES_OF
from msm_py.settings import project_dir
from msm_py.stats import bootstrap, ewc, inference, rotation
from msm_py.stats.blocks import BlockPlan
from msm_py.stats.bootstrap import BootstrapSettings, bootstrap_test, replicates
from msm_py.stats.inference import EVIDENCE, TESTABLE_SPELLS, Edges, edges
from msm_py.stats.sample import Sample

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Row = dict[str, str]

# --- simulators -----------------------------------------------------------------------------------

HORIZONS: Final = (1, 5, 10, 20)
LEVELS: Final = (0.01, 0.05, 0.10)
DAYS: Final = (500, 900, 1500)
SHORT: Final = (120, 165, 200, 250)
TRAILING: Final = 20  # days of a state that is made of past returns
Z_WINDOW: Final = 60
VOLATILITY: Final = 0.02  # of a day
CHUNK: Final = 100  # runs that share random blocks
CLASSIC: Final = BootstrapSettings(method="percentile", block_size=10, n_boot=300)


@dataclass(frozen=True)
class Cell:
    """One setting of the study.

    Parameters
    ----------
    study
        Which tables it is for.
    n
        Days in the window.
    returns
        ``normal``, ``student``, ``garch``, ``slow mean``, ``regime volatility`` or ``regime t3``.
    persistence
        First autocorrelation of the score behind five regimes; ignored if `spells` is given.
    spells, share
        If `spells` is above 0 there are two regimes, and regime 1 has so many stays and so large a
        share of the days.
    edge
        Mean daily return on the day after a day of regime 1, minus the overall mean.
    drift
        Added to every daily return.
    ratio
        Volatility of the last regime over that of the first, for ``regime volatility`` and
        ``regime t3``.
    made_of
        What the score behind five regimes is made of, if it is made of these very returns:
        ``trailing return``, ``dominance`` or ``volatility``.
    """

    study: str
    n: int
    returns: str
    persistence: float = 0.95
    spells: int = 0
    share: float = 0.0
    edge: float = 0.0
    drift: float = 0.0
    ratio: float = 4.0
    made_of: str = ""

    @property
    def key(self) -> str:
        """All of the setting, as text."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def n_regimes(self) -> int:
        """Five of the state machine, or in and out."""
        return 2 if self.spells else 5


def simulate(cell: Cell, runs: int, rng: np.random.Generator) -> tuple[Floats, Ints, Ints]:
    """Return daily returns, regimes and spell ids, each of shape (runs, n)."""
    if cell.made_of:
        returns, score = made_of_prices(rng, cell, runs)
        regime = of_machine(score)
        return returns, regime, spell_ids(regime)
    if cell.spells:
        regime = stays(rng, runs, cell.n, n_inside=round(cell.n * cell.share), spells=cell.spells)
    else:
        regime = machine_regimes(rng, runs, cell.n, cell.persistence)
    returns = noise(rng, cell.returns, regime, ratio=cell.ratio) + expected_return(cell, regime)
    return returns, regime, spell_ids(regime)


def machine_regimes(rng: np.random.Generator, runs: int, n: int, persistence: float) -> Ints:
    """Return the states of the baseline's rules on a stationary AR(1) score of variance 1."""
    shock = rng.standard_normal((runs, n))
    shock[:, 1:] *= math.sqrt(1.0 - persistence**2)
    return of_machine(signal.lfilter([1.0], [1.0, -persistence], shock, axis=1))


def made_of_prices(rng: np.random.Generator, cell: Cell, runs: int) -> tuple[Floats, Floats]:
    """Return returns that nothing is to be known about, and a score made of the past ones.

    ``trailing return``: the sum of the last 20, in standard deviations. ``dominance``: minus the
    z-score over 60 days of BTC's share of the market, which is one half at first and falls when
    alts gain. ``volatility``: the z-score over 60 days of the standard deviation of the last 20. So
    the first two are on the MAJORS side when alts have gained: states that bet on a reversal.
    """
    before = TRAILING + Z_WINDOW
    shape = (runs, cell.n + before)
    returns = noise(rng, cell.returns, np.zeros(shape, dtype=np.int64), ratio=1.0)
    if cell.made_of == "trailing return":
        last = sliding_window_view(returns, TRAILING, axis=1).sum(axis=-1)
        score = last / (VOLATILITY * math.sqrt(TRAILING))
    elif cell.made_of == "dominance":
        alts = np.cumprod(1.0 + returns, axis=1)
        score = -z_scores(np.divide(1.0, 1.0 + alts, dtype=np.float64))
    else:
        score = z_scores(np.asarray(sliding_window_view(returns, TRAILING, axis=1).std(axis=-1)))
    return returns[:, before:], score[:, -cell.n :]


def z_scores(x: Floats) -> Floats:
    """Return each day's distance from the mean of its last 60 days, in standard deviations."""
    window = sliding_window_view(x, Z_WINDOW, axis=1)
    z: Floats = (window[..., -1] - window.mean(axis=-1)) / window.std(axis=-1, ddof=1)
    return z


def of_machine(score: Floats) -> Ints:
    """Return the states of the baseline's rules."""
    runs = len(score)
    rules = StateRules(
        cuts=np.tile([-1.5, -0.5, 0.5, 1.5], (runs, 1)),
        low_band=np.full(runs, -0.3),
        high_band=np.full(runs, 0.3),
        min_duration_days=np.full(runs, 3),
        requires_stronger_signal=np.ones(runs, dtype=np.bool_),
    )
    return run_state_machine(score, np.zeros(runs, dtype=np.int64), rules)[0]


def stays(rng: np.random.Generator, runs: int, n: int, *, n_inside: int, spells: int) -> Ints:
    """Return regime 1 inside and 0 outside of stays, all arrangements being equally likely.

    That is a two-state Markov chain, given how many days it is inside and in how many stays.
    """
    inside = parts(rng, runs, n_inside, spells)
    # first and last stretch outside may be empty
    outside = parts(rng, runs, n - n_inside + 2, spells + 1)
    outside[:, [0, -1]] -= 1
    length = np.zeros((runs, 2 * spells + 1), dtype=np.int64)
    length[:, 0::2], length[:, 1::2] = outside, inside
    label = np.tile(np.arange(2 * spells + 1) % 2, runs)
    return np.repeat(label, length.ravel()).reshape(runs, n)


def parts(rng: np.random.Generator, runs: int, total: int, number: int) -> Ints:
    """Return `number` positive whole numbers that sum to `total`, all ways equally likely."""
    places = np.argsort(rng.random((runs, total - 1)), axis=1)[:, : number - 1]
    cuts = np.sort(places, axis=1) + 1
    return np.diff(cuts, axis=1, prepend=0, append=total)


def noise(rng: np.random.Generator, kind: str, regime: Ints, *, ratio: float) -> Floats:
    """Return daily returns with expectation 0 given the past: nothing is to be known about them."""
    runs, n = regime.shape
    if kind == "student":
        return VOLATILITY * math.sqrt(3 / 5) * rng.standard_t(5, (runs, n))
    if kind == "slow mean":  # of a fifth of the volatility; it knows nothing of the regimes
        z = rng.standard_normal((2, runs, n))
        z[1, :, 1:] *= math.sqrt(1.0 - 0.98**2)
        slow = signal.lfilter([1.0], [1.0, -0.98], z[1], axis=1)
        return np.asarray(VOLATILITY * (z[0] + 0.2 * slow) / math.sqrt(1.04))
    if kind == "regime t3":
        t = rng.standard_t(3, (runs, n)) / math.sqrt(3)
        t[:, 1:] *= (ratio ** np.linspace(-0.5, 0.5, int(regime.max()) + 1))[regime[:, :-1]]
        return VOLATILITY * t
    z = rng.standard_normal((runs, n if kind != "garch" else n + 250))
    if kind == "garch":
        return VOLATILITY * garch(z, alpha=0.08, beta=0.9)[:, -n:]
    if kind == "regime volatility":
        scale = ratio ** np.linspace(-0.5, 0.5, int(regime.max()) + 1)
        z[:, 1:] *= scale[regime[:, :-1]]
    return VOLATILITY * z


def garch(z: Floats, *, alpha: float, beta: float) -> Floats:
    """Return GARCH(1,1) of variance 1 with the innovations z, along the last axis."""
    x = np.empty_like(z)
    variance = np.ones(len(z))
    for day in range(z.shape[1]):
        x[:, day] = np.sqrt(variance) * z[:, day]
        variance = 1.0 - alpha - beta + alpha * x[:, day] ** 2 + beta * variance
    return x


def expected_return(cell: Cell, regime: Ints) -> Floats:
    """Return each day's expected return, given the regime of the day before."""
    expected = np.full(regime.shape, cell.drift)
    if cell.edge:
        expected[:, 1:] += cell.edge / (1.0 - cell.share) * (regime[:, :-1] == 1)
    return expected


def forward_return(returns: Floats, horizon_days: int) -> Floats:
    """Return the compounded return from t to t + h, shape (runs, n - h)."""
    level = np.cumprod(1.0 + returns, axis=1)
    return level[:, horizon_days:] / level[:, :-horizon_days] - 1.0


def spell_ids(regime: Ints) -> Ints:
    """Return the number of the stay that each day belongs to."""
    return np.cumsum(np.diff(regime, axis=1, prepend=regime[:, :1]) != 0, axis=1)


def true_edges(cell: Cell, rng: np.random.Generator, *, runs: int = 4000) -> dict[int, float]:
    """Return the edge of regime 1 in the population, by horizon; 0 where none is planted.

    Noise has expectation 0 given past and regimes, so without noise the expectation is the same and
    the few thousand regime paths used leave little error.
    """
    if not cell.edge:
        return dict.fromkeys(HORIZONS, 0.0)
    regime = stays(rng, runs, cell.n, n_inside=round(cell.n * cell.share), spells=cell.spells)
    found = {}
    for h in HORIZONS:
        y = forward_return(expected_return(cell, regime), h)
        found[h] = float(y[regime[:, :-h] == 1].mean() - y.mean())
    return found


# --- tests, as (runs, edges) arrays ---------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What was found in some runs; arrays of shape (runs, edges): the states and, last, the spread.

    Attributes
    ----------
    p
        By test, NaN where it gives none.
    interval
        Low and high by method; infinite where it has no end, NaN where there is none.
    estimate
        Estimates of edges, NaN where undefined.
    evidence
        Grades.
    """

    p: dict[str, Floats]
    interval: dict[str, tuple[Floats, Floats]]
    estimate: Floats
    evidence: NDArray[np.str_]


def outcome(
    y: Floats, regime: Ints, spell: Ints, horizon_days: int, n_regimes: int, seed: int
) -> Outcome:
    """Apply all tests to the pairs of some runs."""
    default = BootstrapSettings(seed=seed)
    found = edges(
        y, regime, spell, horizon_days=horizon_days, n_regimes=n_regimes, bootstrap=default
    )
    columns = [*range(n_regimes), n_regimes + 2]  # without the repeated edge_best and edge_worst
    e = Edges(**{name: getattr(found, name)[:, columns] for name in Edges.__slots__})
    graded = ~np.isnan(e.p_ewc)
    often = e.n_spells[:, :-1] >= TESTABLE_SPELLS
    parts = [
        _classic(y[rows], regime[rows], often[rows], e.se[rows], graded[rows], horizon_days, seed)
        for rows in (slice(first, first + 4) for first in range(0, len(y), 4))
    ]
    classic = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    p = {
        "p_edge": e.p_edge,
        "default": e.p_value,
        "classic": classic["p"],
        "shift": e.p_shift,
        "EWC": e.p_ewc,
        "t-test": plain_t_test(y, regime, n_regimes),
        "uncentred": classic["uncentred"],
        "unstudentised shift": unstudentised_shift(y, regime, often, max(10, horizon_days)),
    }
    for name in ("t-test", "unstudentised shift"):
        p[name] = np.where(graded, p[name], np.nan)
    infinite = graded & np.isnan(e.ci_low)
    return Outcome(
        p={**p, "max-T": e.p_max_t},
        interval={
            "default": (
                np.where(infinite, -np.inf, e.ci_low),
                np.where(infinite, np.inf, e.ci_high),
            ),
            "classic": (classic["low"], classic["high"]),
        },
        estimate=e.estimate,
        evidence=e.evidence,
    )


def _classic(
    y: Floats,
    regime: Ints,
    often: Bools,
    se: Floats,
    wanted: Bools,
    horizon_days: int,
    seed: int,
) -> dict[str, Floats]:
    """Return what the percentile bootstrap says, and the p that is no test: not centred."""
    n = y.shape[1]
    days = CLASSIC.block_days(horizon_days=horizon_days, n=n)
    plan = BlockPlan(n=n, block_days=days, kind=CLASSIC.kind, n_boot=CLASSIC.n_boot, seed=seed)
    sample = Sample.of(y, regime, often.shape[1], testable=often)
    drawn = bootstrap_test(sample, se, wanted, plan, studentized=False)
    if often.shape[1] == 2:  # one hypothesis
        spread, own = drawn.p_value[:, -1:], drawn.p_value[:, :-1]
        drawn.p_value[:, :-1] = np.where(wanted[:, -1:], spread, own)
    every = replicates(sample, plan, 0, studentized=False)
    size = np.abs(sample.estimate)[..., None]
    far = every.valid & (np.abs(sample.estimate[..., None] + every.deviation) >= size)
    uncentred = (1.0 + far.sum(axis=-1)) / (1.0 + every.valid.sum(axis=-1))
    return {
        "p": drawn.p_value,
        "low": drawn.ci_low,
        "high": drawn.ci_high,
        "uncentred": np.where(wanted, uncentred, np.nan),
    }


def plain_t_test(y: Floats, regime: Ints, n_regimes: int) -> Floats:
    """Return Student's p of "the mean of Y in the regime is zero", as in regime_statistics.

    The spread has none: NaN.
    """
    p = np.full((len(y), n_regimes + 1), np.nan)
    for r in range(n_regimes):
        inside = regime == r
        n = inside.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (y * inside).sum(axis=1) / n
            square = ((y - mean[:, None]) ** 2 * inside).sum(axis=1) / (n - 1)
            p[:, r] = 2.0 * stats.t.sf(np.abs(mean) / np.sqrt(square / n), n - 1)
    return p


def unstudentised_shift(y: Floats, regime: Ints, often: Bools, shortest: int) -> Floats:
    """Return the circular-shift p of edges that are not divided by a standard error.

    The spread is of the outermost states that are there `often`, shape (runs, n_regimes).
    """
    n, n_regimes = y.shape[1], often.shape[1]
    member = (regime[:, None, :] == np.arange(n_regimes)[:, None]).astype(np.float64)
    spectrum = np.fft.rfft(member) * np.fft.rfft(y - y.mean(axis=1, keepdims=True))[:, None].conj()
    count = member.sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.fft.irfft(spectrum, n) / count[..., None]
    runs = np.arange(len(y))
    best = n_regimes - 1 - np.argmax(often[:, ::-1], axis=1)
    spread = mean[runs, best] - mean[runs, np.argmax(often, axis=1)]
    edge = np.abs(np.concatenate([mean, spread[:, None]], axis=1))
    rotated = edge[..., shortest : n - shortest + 1]
    far = (rotated >= edge[..., :1] * (1.0 - 1e-9)).sum(axis=-1)
    return np.where(np.isnan(edge[..., 0]), np.nan, (1.0 + far) / (1.0 + rotated.shape[-1]))


# --- tallies --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tally:
    """Hits among trials of independent runs; the trials of one run may depend on each other.

    Tallies of different runs add up.
    """

    runs: int
    hits: int
    trials: int
    hits_squared: int
    hits_trials: int
    trials_squared: int

    @classmethod
    def of(cls, hit: Bools, trial: Bools) -> Tally:
        """Count hits among trials, both of shape (runs, trials of a run)."""
        h, t = (hit & trial).sum(axis=1), trial.sum(axis=1)
        sums = (h.sum(), t.sum(), (h * h).sum(), (h * t).sum(), (t * t).sum())
        return cls(len(hit), *(int(x) for x in sums))

    def __add__(self, other: Tally) -> Tally:
        """Add tallies of other runs."""
        return Tally(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, ...]:
        """All sums, in the order of the fields."""
        return tuple(asdict(self).values())

    @property
    def rate(self) -> float:
        """Hits per trial; NaN without any."""
        return self.hits / self.trials if self.trials else math.nan

    @property
    def error(self) -> float:
        """Monte Carlo standard error of the rate, runs (not trials) being independent."""
        if not self.trials:
            return math.nan
        r = self.rate
        square = self.hits_squared - 2.0 * r * self.hits_trials + r * r * self.trials_squared
        return math.sqrt(max(square, 0.0)) / self.trials


Key = tuple[int, str, str, str, float]
"""Horizon, what is counted, by whom, of which edges, level."""


def size_tallies(found: Outcome, h: int) -> Iterator[tuple[Key, Tally]]:
    """Yield counts of rejections, of coverage of zero and of what could be tested."""
    kinds = {"edge": slice(None), "state": slice(None, -1), "spread": slice(-1, None)}
    present = ~np.isnan(found.estimate)
    for test, p in found.p.items():
        given = ~np.isnan(p)
        for level in LEVELS:
            reject = p <= level
            if test == "max-T":
                continue
            for kind, at in kinds.items():
                yield (h, "size", test, kind, level), Tally.of(reject[:, at], given[:, at])
        for kind, at in {**kinds, "most MAJORS": slice(-2, -1)}.items():
            for side, sign in (("good", -1.0), ("bad", 1.0)):  # of Y, hence of the trade
                hit = (p <= 0.05) & (sign * found.estimate > 0)
                yield (h, side, test, kind, 0.05), Tally.of(hit[:, at], given[:, at])
        for r in range(p.shape[1] - 1):
            at = slice(r, r + 1)
            yield (h, "size", test, f"state {r}", 0.05), Tally.of(p[:, at] <= 0.05, given[:, at])
        for grade in EVIDENCE:
            trial = given & (found.evidence == grade)
            yield (h, "grade", test, grade, 0.05), Tally.of(p <= 0.05, trial)
    for test in ("p_edge", "default", "shift", "max-T"):
        p = found.p[test][:, :-1]
        reject = np.any(p <= 0.05, axis=1, keepdims=True)
        given = np.any(~np.isnan(p), axis=1, keepdims=True)
        yield (h, "any state", test, "state", 0.05), Tally.of(reject, given)
    for method, (low, high) in found.interval.items():
        covers = (low <= 0.0) & (high >= 0.0)
        yield (h, "coverage", method, "edge", 0.95), Tally.of(covers, ~np.isnan(low))
    for kind, at in kinds.items():
        for test in ("p_edge", "shift"):
            given = ~np.isnan(found.p[test])
            yield (h, "gradeable", test, kind, 0.0), Tally.of(given[:, at], present[:, at])


def power_tallies(found: Outcome, h: int, truth: float) -> Iterator[tuple[Key, Tally]]:
    """Yield counts of rejections in the right direction and of coverage, for regime 1."""
    estimate, sign = found.estimate[:, 1:2], 1.0 if truth >= 0 else -1.0
    for test, p in found.p.items():
        at = p[:, 1:2]
        given = ~np.isnan(at)
        found_it = (at <= 0.05) & (sign * estimate > 0)
        yield (h, "found", test, "state", 0.05), Tally.of(found_it, given)
        yield (h, "rejected", test, "state", 0.05), Tally.of(at <= 0.05, given)
    for method, (low, high) in found.interval.items():
        low, high = low[:, 1:2], high[:, 1:2]
        covers = (low <= truth) & (truth <= high)
        yield (h, "coverage", method, "state", 0.95), Tally.of(covers, ~np.isnan(low))
    given = ~np.isnan(found.p["p_edge"][:, 1:2])
    yield (h, "gradeable", "p_edge", "state", 0.0), Tally.of(given, given | True)


def run_cell(cell: Cell, simulations: int, seed: int) -> dict[Key, Tally]:
    """Simulate a cell in chunks that each have their own random numbers and blocks."""
    total: dict[Key, Tally] = {}
    stream = (seed, zlib.crc32(cell.key.encode()))
    truth = true_edges(cell, np.random.default_rng((*stream, 0)))
    for chunk in range(-(-simulations // CHUNK)):
        runs = min(CHUNK, simulations - chunk * CHUNK)
        rng = np.random.default_rng((*stream, 1 + chunk))
        returns, regime, spell = simulate(cell, runs, rng)
        for h in HORIZONS:
            pairs = forward_return(returns, h), regime[:, :-h], spell[:, :-h]
            found = outcome(*pairs, h, cell.n_regimes, int(rng.integers(2**31)))
            rows = power_tallies(found, h, truth[h]) if cell.spells else size_tallies(found, h)
            for key, tally in rows:
                total[key] = total[key] + tally if key in total else tally
    return total


# --- the study (what follows does not change any result) ------------------------------------------

NULLS: Final = {
    "normal": "normal",
    "student": "fat tails",
    "garch": "GARCH",
    "regime volatility": "volatility by regime",
}
HARD_RETURNS: Final = {"slow mean": "slow mean", "regime t3": "rare, volatile, fat tails"}
SIZE: Final = [Cell("size", n, returns) for returns in NULLS for n in DAYS]
WHY: Final = [
    *(Cell("why", 900, "garch", persistence=x) for x in (0.8, 0.9, 0.98, 0.99)),
    *(Cell("why", 900, "regime volatility", ratio=x) for x in (2.0, 8.0)),
    Cell("why", 900, "student", drift=-0.001),
]
SPELLS: Final = [
    Cell("spells", 900, returns, spells=spells, share=0.1, edge=edge)
    for returns in ("normal", "student")
    for spells in (3, 5, 9, 18, 45)
    for edge in (0.0, 0.003)
]
TWO: Final = [
    Cell("two", n, "regime volatility", spells=round(n * share / 12), share=share, ratio=3.0)
    for n in (900, 1500)
    for share in (0.1, 0.3)
]
POWER: Final = [
    Cell("power", n, "normal", spells=round(n * share / 10), share=share, edge=edge)
    for share in (0.1, 0.25)
    for edge in (0.001, 0.003, 0.005)
    for n in DAYS
]
MADE_OF: Final = ("trailing return", "dominance", "volatility")
MADE: Final = [
    *(
        Cell("made", n, "student", made_of=what)
        for what in ("trailing return", "dominance")
        for n in DAYS
    ),
    *(Cell("made", 900, "garch", made_of=what) for what in ("trailing return", "dominance")),
    *(Cell("made", n, "garch", made_of="volatility") for n in DAYS),
]
HARD: Final = [
    *(
        Cell("hard", n, "regime t3", spells=round(n * 0.1 / 12), share=0.1, ratio=5.0)
        for n in (900, 1500)
    ),
    *(Cell("hard", n, "slow mean") for n in (500, 900)),
    Cell("hard", 900, "garch", spells=8, share=0.1),
]
FEW: Final = [Cell("few", n, "student", persistence=0.8) for n in SHORT]
CELLS: Final = [*SIZE, *MADE, *HARD, *FEW, *WHY, *TWO, *SPELLS, *POWER]

Results = dict[Cell, dict[Key, Tally]]


def code() -> str:
    """Return what results depend on beside cell, simulations and seed."""
    used = (bootstrap, ewc, inference, rotation, state_machine)
    text = Path(__file__).read_text().partition("\n# --- simulators")[2]
    text = text.partition("\n# --- the study")[0]
    text += "".join(inspect.getsource(module) for module in used)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def collect(
    cells: Sequence[Cell], stored: Path, *, simulations: int, seed: int, jobs: int = 1
) -> Results:
    """Return the tallies of all cells, computing and storing those that are not there yet.

    Cells of `WHY`, `TWO`, `SPELLS` and `POWER` get half as many simulations: they explain, and need
    less precision.
    """
    halved = {*WHY, *TWO, *SPELLS, *POWER}
    number = {c: -(-simulations // 2) if c in halved else simulations for c in cells}
    now = code()
    names = {c: [now, seed, number[c], c.key] for c in cells}
    found: Results = {}
    known = {json.dumps(line[0]): line[1] for line in _lines(stored)}
    for cell, name in names.items():
        if (rows := known.get(json.dumps(name))) is not None:
            found[cell] = _tallies(rows)
    missing = [c for c in cells if c not in found]
    stored.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    work = [(c, number[c], seed) for c in missing]
    with _pool(jobs) as pool:
        for done, (cell, result) in enumerate(pool.imap_unordered(_run, work), start=1):
            rows = [[*key, *tally.values()] for key, tally in result.items()]
            with stored.open("a") as file:
                file.write(json.dumps([names[cell], rows]) + "\n")
            found[cell] = _tallies(rows)
            seconds = time.monotonic() - started
            print(f"{done} of {len(missing)} cells, {seconds:.0f} s", flush=True)
    return {cell: found[cell] for cell in cells}


def _pool(jobs: int) -> Any:
    return multiprocessing.get_context("spawn").Pool(jobs) if jobs > 1 else _Here()


class _Here:
    """What a pool of one process would be: this one."""

    imap_unordered = map

    def __enter__(self) -> _Here:
        return self

    def __exit__(self, *args: object) -> None:
        pass


def _run(work: tuple[Cell, int, int]) -> tuple[Cell, dict[Key, Tally]]:
    return work[0], run_cell(*work)


def _lines(stored: Path) -> Iterator[Any]:
    """Yield stored lines; one that was cut when the process was stopped is passed over."""
    for line in stored.read_text().splitlines() if stored.exists() else []:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def _tallies(rows: Iterable[Sequence[Any]]) -> dict[Key, Tally]:
    return {(r[0], r[1], r[2], r[3], r[4]): Tally(*r[5:]) for r in rows}


# --- the document ---------------------------------------------------------------------------------

TEMPLATE: Final = Path(__file__).with_name("calibration_text.md")
DOC: Final = Path("docs/calibration.md")
TESTS: Final = ("p_edge", "default", "shift", "EWC", "classic")
OFFERED: Final = TESTS[:-1]
DRAWN: Final = ("p_edge", "default", "shift", "classic")
COVERAGE: Final = "default, coverage"
EVERY_TEST: Final = (*TESTS, "t-test", "unstudentised shift", "uncentred")
PLAIN: Final = [cell for cell in SIZE if cell.returns != "regime volatility"]
BY_REGIME: Final = [cell for cell in SIZE if cell.returns == "regime volatility"]


@dataclass(frozen=True)
class Quoted:
    """Figures in percent, by horizon, that the methodology quotes, and where they are measured."""

    what: str
    percent: dict[int, float]
    cells: Sequence[Cell]
    key: tuple[str, str, str, float]
    near: Sequence[Cell] = ()


def _is_quoted_power(cell: Cell) -> bool:
    """Return whether this is the setting whose power is quoted, in stays of ten days."""
    setting = (cell.n, cell.share, cell.edge, cell.spells, cell.returns)
    return setting == (900, 0.1, 0.003, 9, "normal")


QUOTED: Final = (
    Quoted(
        "default, size",
        dict(zip(HORIZONS, (4.0, 5.3, 5.7, 5.0), strict=True)),
        PLAIN,
        ("size", "default", "edge", 0.05),
        [*(c for c in WHY if c.returns == "garch"), *(c for c in SPELLS if not c.edge)],
    ),
    Quoted(
        "default, size, volatility by regime",
        dict(zip(HORIZONS, (4.8, 5.4, 5.9, 6.4), strict=True)),
        BY_REGIME,
        ("size", "default", "edge", 0.05),
        [*(c for c in WHY if c.returns == "regime volatility"), *TWO],
    ),
    Quoted(
        "classic, size",
        dict(zip(HORIZONS, (5.6, 8.9, 12.3, 12.7), strict=True)),
        SIZE,
        ("size", "classic", "edge", 0.05),
        [*WHY, *TWO, *(c for c in SPELLS if not c.edge)],
    ),
    Quoted(
        "plain t-test, size",
        {5: 35.0, 20: 59.0},
        PLAIN,
        ("size", "t-test", "state", 0.05),
        [cell for cell in WHY if not cell.drift],
    ),
    Quoted(
        "unstudentised shift, size in the most volatile state",
        {1: 25.0},
        BY_REGIME,
        ("size", "unstudentised shift", "state 4", 0.05),
        [cell for cell in WHY if cell.returns == "regime volatility"],
    ),
    Quoted(
        "default, power",
        {1: 100 / 3, 20: 100 / 9},
        [c for c in (*POWER, *SPELLS) if _is_quoted_power(c)],
        ("found", "default", "state", 0.05),
        [cell for cell in SPELLS if cell.edge and cell.spells > 3],
    ),
)


def pooled(
    results: Results, cells: Iterable[Cell], h: int, key: tuple[str, str, str, float]
) -> Tally:
    """Return one tally of a key over cells, whose runs are independent of each other."""
    total = Tally(0, 0, 0, 0, 0, 0)
    for cell in cells:
        total += results[cell].get((h, *key), Tally(0, 0, 0, 0, 0, 0))
    return total


def percent(tally: Tally) -> str:
    """Return a rate and its standard error, in percent."""
    return f"{100 * tally.rate:.1f} ± {100 * tally.error:.1f}" if tally.trials else "-"


def by_horizon(results: Results, cells: Sequence[Cell], key: tuple[str, str, str, float]) -> Row:
    """Return one cell of a table for each horizon."""
    return {f"h = {h}": percent(pooled(results, cells, h, key)) for h in HORIZONS}


def size_rows(results: Results, groups: dict[str, Sequence[Cell]], name: str) -> Iterator[Row]:
    """Yield rejections at 5% of edges by group of cells, test and horizon."""
    for group, cells in groups.items():
        for test in (*TESTS, "t-test"):
            found = by_horizon(results, cells, ("size", test, "edge", 0.05))
            yield {name: group, "test": test, **found}


def quoted_rows(results: Results) -> Iterator[Row]:
    """Yield quoted figures beside those found."""
    for quoted in QUOTED:
        for h, value in quoted.percent.items():
            found = pooled(results, quoted.cells, h, quoted.key)
            single = [
                pooled(results, [cell], h, _key_in(cell, quoted.key))
                for cell in (*quoted.cells, *quoted.near)
            ]
            rates = [100 * tally.rate for tally in single if tally.trials]
            yield {
                "figure": quoted.what,
                "h": f"{h}",
                "quoted": f"{value:.1f}",
                "found": percent(found),
                "lowest and highest setting": _span(rates),
                "verdict": verdict(value, found, rates),
            }
    yield from coverage_quoted_rows(results)


def coverage_quoted_rows(results: Results) -> Iterator[Row]:
    """Yield the quoted range of coverage, 94 to 97%, beside what is found without an edge."""
    key = ("coverage", "default", "edge", 0.95)
    for h in HORIZONS:
        found = pooled(results, SIZE, h, key)
        single = [pooled(results, [cell], h, key) for cell in (*SIZE, *WHY)]
        rates = [100 * tally.rate for tally in single if tally.trials]
        low, high = (round(100 * found.rate + 200 * x * found.error, 1) for x in (-1, 1))
        yield {
            "figure": COVERAGE,
            "h": f"{h}",
            "quoted": "94 to 97",
            "found": percent(found),
            "lowest and highest setting": _span(rates),
            "verdict": "within error" if high >= 94 and low <= 97 else "**not reproduced**",
        }


def _span(rates: Sequence[float]) -> str:
    return f"{min(rates):.1f} to {max(rates):.1f}" if rates else "-"


def _key_in(cell: Cell, key: tuple[str, str, str, float]) -> tuple[str, str, str, float]:
    """Return the key of rejections in a cell: with two regimes their one edge is what is tested."""
    return ("rejected", key[1], "state", key[3]) if key[0] == "size" and cell.spells else key


def verdict(value: float, found: Tally, rates: Sequence[float]) -> str:
    """Return whether a quoted figure, in percent, is within two standard errors of the one found.

    Else whether it lies between the lowest and the highest setting of the study.
    """
    if not rates:
        return "-"
    if abs(value - 100 * found.rate) <= 200 * found.error:
        return "within error"
    if min(rates) <= value <= max(rates):
        return "differs; between settings"
    return "**not reproduced**"


def level_rows(results: Results) -> Iterator[Row]:
    """Yield rejections at 1% and 10%, all nulls and lengths."""
    for level in (0.01, 0.10):
        for test in TESTS:
            found = by_horizon(results, SIZE, ("size", test, "edge", level))
            yield {"level": f"{100 * level:.0f}%", "test": test, **found}


def kind_rows(results: Results) -> Iterator[Row]:
    """Yield rejections at 5% of states and of the spread."""
    for kind in ("state", "spread"):
        for test in TESTS:
            yield {
                "edge": kind,
                "test": test,
                **by_horizon(results, SIZE, ("size", test, kind, 0.05)),
            }


def grade_rows(results: Results) -> Iterator[Row]:
    """Yield rejections at 5% by evidence."""
    for grade in ("shift only", "low", "normal"):
        for test in TESTS:
            key = ("grade", test, grade, 0.05)
            number = sum(pooled(results, SIZE, h, key).trials for h in HORIZONS)
            if number:
                yield {
                    "evidence": grade,
                    "test": test,
                    "p-values": f"{number:,}",
                    **by_horizon(results, SIZE, key),
                }


def gradeable_rows(results: Results) -> Iterator[Row]:
    """Yield how many of the present edges have a p."""
    for n in DAYS:
        for kind in ("state", "spread"):
            cells = [cell for cell in SIZE if cell.n == n]
            row = {"days": f"{n}", "edge": kind}
            for test, label in (("p_edge", "p_edge"), ("shift", "p_shift")):
                for h in (1, 20):
                    found = pooled(results, cells, h, ("gradeable", test, kind, 0.0))
                    row[f"{label}, h = {h}"] = f"{100 * found.rate:.0f}%"
            present = pooled(results, cells, 1, ("gradeable", "p_edge", kind, 0.0))
            yield {**row, "present, per run": f"{present.trials / present.runs:.2f}"}


def picked_rows(results: Results) -> Iterator[Row]:
    """Yield how often any state is rejected at 5%."""
    names = {"p_edge": "any p_edge", "shift": "any p_shift", "max-T": "any p_max_t"}
    for label, cells in (("all four", SIZE), *_by_returns().items()):
        for test, name in names.items():
            found = by_horizon(results, cells, ("any state", test, "state", 0.05))
            yield {"returns": label, "p up to 5%": name, **found}


def coverage_rows(results: Results) -> Iterator[Row]:
    """Yield coverage of 95% intervals, without and with an edge."""
    groups = {
        "no edge, returns alike in all states": (PLAIN, "edge"),
        "no edge, volatility by regime": (BY_REGIME, "edge"),
    }
    for edge in (0.001, 0.003, 0.005):
        cells = [cell for cell in POWER if cell.edge == edge]
        groups[f"edge of {100 * edge:.1f}% a day"] = (cells, "state")
    for spells in (5, 9, 18, 45):
        cells = [cell for cell in SPELLS if cell.edge and cell.spells == spells]
        groups[f"edge of 0.3% a day, {spells} spells, n = 900"] = (cells, "state")
    for label, (cells, kind) in groups.items():
        for method in ("default", "classic"):
            found = by_horizon(results, cells, ("coverage", method, kind, 0.95))
            yield {"truth": label, "method": method, **found}


def power_rows(results: Results) -> Iterator[Row]:
    """Yield how often a planted edge is found, stays of ten days."""
    for cell in POWER:
        row = {
            "edge a day": f"{100 * cell.edge:.1f}%",
            "share": f"{100 * cell.share:.0f}%",
            "days": f"{cell.n}",
            "spells": f"{cell.spells}",
        }
        row |= {f"h = {h}": _three(results, cell, h, "found") for h in HORIZONS}
        yield {**row, "with p": _with_p(results, cell)}


def spells_rows(results: Results) -> Iterator[Row]:
    """Yield size and power by number of spells, 90 days of 900 in the regime."""
    for cell in sorted(SPELLS, key=lambda c: (c.edge, c.returns)):
        what = "found" if cell.edge else "rejected"
        yield {
            "edge a day": f"{100 * cell.edge:.1f}%",
            "returns": NULLS[cell.returns],
            "spells": f"{cell.spells}",
            **{f"h = {h}": _three(results, cell, h, what) for h in HORIZONS},
            "with p": _with_p(results, cell),
        }


def every_test_rows(results: Results) -> Iterator[Row]:
    """Yield by all tests how often 0.3% a day is found, nine spells in 900 days."""
    for cell in SPELLS:
        if cell.edge and cell.spells == 9:
            for test in (*TESTS, "t-test"):
                found = by_horizon(results, [cell], ("found", test, "state", 0.05))
                yield {"returns": NULLS[cell.returns], "test": test, **found}


def _three(results: Results, cell: Cell, h: int, what: str) -> str:
    found = [pooled(results, [cell], h, (what, test, "state", 0.05)) for test in OFFERED]
    return ", ".join(f"{100 * tally.rate:.0f}" if tally.trials else "-" for tally in found)


def _with_p(results: Results, cell: Cell) -> str:
    """Return in how many windows the default gives a p, at the shortest and the longest horizon."""
    key = ("gradeable", "p_edge", "state", 0.0)
    rates = [pooled(results, [cell], h, key).rate for h in (HORIZONS[0], HORIZONS[-1])]
    return " to ".join(f"{100 * rate:.0f}%" for rate in rates)


def why_rows(results: Results) -> Iterator[Row]:
    """Yield sizes at 5% by persistence of the score (GARCH returns, n = 900)."""
    base = next(cell for cell in SIZE if cell.n == 900 and cell.returns == "garch")
    cells = sorted(
        [base, *(c for c in WHY if c.returns == "garch")], key=lambda cell: cell.persistence
    )
    for cell in cells:
        days, spells = stay_days(cell)
        for test in (*TESTS, "t-test"):
            kind = "state" if test == "t-test" else "edge"
            yield {
                "persistence": f"{cell.persistence:g}",
                "mean stay, days": f"{days:.1f}",
                "spells": f"{spells:.0f}",
                "test": test,
                **by_horizon(results, [cell], ("size", test, kind, 0.05)),
            }


def stay_days(cell: Cell) -> tuple[float, float]:
    """Return mean length and mean number of stays of a window."""
    _, _, spell = simulate(cell, 400, np.random.default_rng(zlib.crc32(cell.key.encode())))
    number = float((spell[:, -1] + 1).mean())
    return cell.n / number, number


def ratio_rows(results: Results) -> Iterator[Row]:
    """Yield sizes at 5% of states by ratio of volatilities (n = 900), most volatile state last."""
    base = next(cell for cell in BY_REGIME if cell.n == 900)
    cells = sorted(
        [base, *(c for c in WHY if c.returns == base.returns)], key=lambda cell: cell.ratio
    )
    for cell in cells:
        for test in ("p_edge", "default", "shift", "unstudentised shift"):
            for kind in ("edge", "state 4"):
                yield {
                    "ratio": f"{cell.ratio:g}",
                    "test": test,
                    "edges": "all" if kind == "edge" else "most volatile state",
                    **by_horizon(results, [cell], ("size", test, kind, 0.05)),
                }


def two_rows(results: Results) -> Iterator[Row]:
    """Yield sizes at 5% with two regimes of which one is three times as volatile."""
    for cell in TWO:
        for test in TESTS:
            yield {
                "days": f"{cell.n}",
                "share": f"{100 * cell.share:.0f}%",
                "spells": f"{cell.spells}",
                "test": test,
                **by_horizon(results, [cell], ("rejected", test, "state", 0.05)),
            }


def state_rows(results: Results) -> Iterator[Row]:
    """Yield sizes at 5% of the default by state, all lengths."""
    names = REGIMES_OF[5]
    for label, cells in (("alike in all states", PLAIN), ("volatility by regime", BY_REGIME)):
        for r, name in enumerate(names):
            found = by_horizon(results, cells, ("size", "default", f"state {r}", 0.05))
            yield {"returns": label, "state": name, **found}


def drift_rows(results: Results) -> Iterator[Row]:
    """Yield sizes at 5% without and with a drift (fat tails, n = 900)."""
    base = next(cell for cell in SIZE if cell.n == 900 and cell.returns == "student")
    for cell in (base, *(c for c in WHY if c.drift)):
        for test in ("default", "t-test"):
            found = by_horizon(results, [cell], ("size", test, "state", 0.05))
            yield {"drift a day": f"{100 * cell.drift:.1f}%", "test": test, **found}


def believe_rows(results: Results) -> Iterator[Row]:
    """Yield, by where states and returns come from, the sizes of the tests that runs show.

    Lowest and highest of settings and horizons, in percent.
    """
    for where, cells in {
        "states that persist, returns of four kinds": SIZE,
        "a rare state": [cell for cell in SPELLS if not cell.edge and cell.spells > 3],
        "a state that is rare and volatile": [*TWO, *(c for c in HARD if c.spells)],
        "slow means": [cell for cell in HARD if cell.returns == "slow mean"],
        "8 to 12 blocks": [cell for cell in FEW if cell.n >= 160],
        "state made of the volatility": [c for c in MADE if c.made_of == "volatility"],
        "state made of past returns": [c for c in MADE if c.made_of == "trailing return"],
        "state made of dominance": [c for c in MADE if c.made_of == "dominance"],
    }.items():
        row = {"where": where}
        for test in OFFERED:
            key = ("size", test, "edge", 0.05)
            found = [pooled(results, [c], h, _key_in(c, key)) for c in cells for h in HORIZONS]
            row[test] = _span([100 * tally.rate for tally in found if tally.trials])
        yield row


def made_rows(results: Results) -> Iterator[Row]:
    """Yield sizes at 5% where the state is made of the returns that it is tested on."""
    for cell in sorted(MADE, key=lambda c: (c.made_of, c.returns, c.n)):
        for test in OFFERED:
            yield {
                "made of": cell.made_of,
                "returns": NULLS[cell.returns],
                "days": f"{cell.n}",
                "test": test,
                **by_horizon(results, [cell], ("size", test, "edge", 0.05)),
            }


def direction_rows(results: Results) -> Iterator[Row]:
    """Yield how often an edge is found that is good, and one that is bad for the trade."""
    groups = {
        "nothing (four kinds of returns)": SIZE,
        **{what: [c for c in MADE if c.made_of == what] for what in MADE_OF},
    }
    for what, cells in groups.items():
        for kind in ("spread", "most MAJORS"):
            for test in ("default", "p_edge"):
                for side in ("good", "bad"):
                    yield {
                        "made of": what,
                        "edge": kind,
                        "test": test,
                        "for the trade": side,
                        **by_horizon(results, cells, (side, test, kind, 0.05)),
                    }


def hard_rows(results: Results) -> Iterator[Row]:
    """Yield sizes at 5% in the hard nulls."""
    for cell in HARD:
        for test in OFFERED:
            key = _key_in(cell, ("size", test, "edge", 0.05))
            yield {
                "returns": HARD_RETURNS.get(cell.returns, "GARCH, rare"),
                "days": f"{cell.n}",
                "spells": f"{cell.spells or '-'}",
                "test": test,
                **by_horizon(results, [cell], key),
            }


def few_rows(results: Results) -> Iterator[Row]:
    """Yield sizes at 5% in short windows, and how many of the present edges have a p_edge."""
    for cell in FEW:
        for test in OFFERED:
            with_p = pooled(results, [cell], 1, ("gradeable", "p_edge", "state", 0.0))
            yield {
                "days": f"{cell.n}",
                "blocks at h = 1": f"{(cell.n - 1) / 20:.1f}",
                "with p_edge": f"{100 * with_p.rate:.0f}%",
                "test": test,
                **{
                    f"h = {h}": percent(pooled(results, [cell], h, ("size", test, "edge", 0.05)))
                    for h in HORIZONS[:2]
                },
            }


def p_edge_words(results: Results) -> Row:
    """Return lowest and highest size of p_edge of single null settings and horizons, in percent.

    And how many there are, and are below 3% and above 6.5% by more than two standard errors.
    """
    cells = [c for c in CELLS if c.edge == 0.0 and not (c.spells and c.spells < 5)]
    key = ("size", "p_edge", "edge", 0.05)
    found = [pooled(results, [c], h, _key_in(c, key)) for c in cells for h in HORIZONS]
    found = sorted((tally for tally in found if tally.trials), key=lambda tally: tally.rate)
    return {
        "p_edge_lowest": percent(found[0]),
        "p_edge_highest": percent(found[-1]),
        "p_edge_sizes": f"{len(found)}",
        "p_edge_low": f"{sum(tally.rate + 2 * tally.error < 0.03 for tally in found)}",
        "p_edge_high": f"{sum(tally.rate - 2 * tally.error > 0.065 for tally in found)}",
    }


def power_costs(results: Results) -> tuple[str, str]:
    """Return how many points of power p_edge costs against p_value alone: at most, on average."""
    lost = []
    for cell in [c for c in CELLS if c.edge]:
        for h in HORIZONS:
            before, after = (
                pooled(results, [cell], h, ("found", test, "state", 0.05))
                for test in ("default", "p_edge")
            )
            if before.trials:
                lost.append(100 * (before.rate - after.rate))
    return f"{max(lost):.1f}", f"{sum(lost) / len(lost):.1f}"


def headline_rows(results: Results) -> Iterator[Row]:
    """Yield rejections at 5% by test, all nulls and lengths."""
    for test in EVERY_TEST:
        kind = "state" if test == "t-test" else "edge"
        yield {"test": test, **by_horizon(results, SIZE, ("size", test, kind, 0.05))}


def _by_returns() -> dict[str, Sequence[Cell]]:
    return {label: [cell for cell in SIZE if cell.returns == name] for name, label in NULLS.items()}


# --- images ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """One panel of an image: a line per series, a point per horizon."""

    title: str
    series: dict[str, list[Tally]]


# Mid-tones that are legible on white and on black, and marks that differ without colour.
COLOURS: Final = ("#3b82d6", "#d9822b", "#2f9e6e", "#a06cd5")
SIDE: Final = (168, 110)
PITCH: Final = (206, 164)
CORNER: Final = (44, 82)


def image(title: str, note: str, panels: Sequence[Sequence[Panel]], axis: Sequence[float]) -> str:
    """Return panels in rows as SVG; whiskers are two Monte Carlo standard errors.

    `axis` is the vertical one: its start, its middle tick, which is dashed, and its end, as rates.
    """
    names = list(panels[0][0].series)
    width = CORNER[0] + PITCH[0] * max(len(row) for row in panels)
    height = CORNER[1] + PITCH[1] * len(panels) - 24
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{title}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="20">{title}</text>',
        f'<text class="small" x="8" y="37">{note}</text>',
    ]
    for k, name in enumerate(names):
        x = 12 + 150 * k
        out.append(_mark(k, x, 52))
        out.append(f'<text x="{x + 10}" y="56">{name}</text>')
    for i, row in enumerate(panels):
        for j, panel in enumerate(row):
            x, y = CORNER[0] + PITCH[0] * j, CORNER[1] + PITCH[1] * i
            out += _drawn(panel, x, y, axis)
    return "\n".join([*out, "</svg>"]) + "\n"


def _drawn(panel: Panel, x: float, y: float, axis: Sequence[float]) -> Iterator[str]:
    """Yield the elements of a panel whose upper left corner is (x, y)."""
    wide, high = SIDE

    def level(value: float) -> float:
        return y + high * (1.0 - min(max((value - axis[0]) / (axis[-1] - axis[0]), 0.0), 1.0))

    yield f'<text x="{x + wide / 2:g}" y="{y - 5:g}" text-anchor="middle">{panel.title}</text>'
    for value, style in zip(axis, ("line", "even", ""), strict=True):
        at = level(value)
        if style:
            yield f'<line class="{style}" x1="{x}" x2="{x + wide}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield (
            f'<text class="small" x="{x - 4}" y="{at + 3:.1f}" text-anchor="end">'
            f"{100 * value:g}%</text>"
        )
    for i, h in enumerate(HORIZONS):
        yield (
            f'<text class="small" x="{x + wide * (i + 0.5) / len(HORIZONS):g}" '
            f'y="{y + high + 13}" text-anchor="middle">h = {h}</text>'
        )
    for k, tallies in enumerate(panel.series.values()):
        offset = 7 * (k - (len(panel.series) - 1) / 2)
        points = [
            (x + wide * (i + 0.5) / len(HORIZONS) + offset, tally)
            for i, tally in enumerate(tallies)
            if tally.trials
        ]
        path = " ".join(f"{px:.1f},{level(tally.rate):.1f}" for px, tally in points)
        yield f'<polyline points="{path}" fill="none" stroke="{COLOURS[k]}" stroke-opacity="0.5"/>'
        for px, tally in points:
            low, up = level(tally.rate - 2 * tally.error), level(tally.rate + 2 * tally.error)
            yield (
                f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{low:.1f}" y2="{up:.1f}" '
                f'stroke="{COLOURS[k]}"/>'
            )
            yield _mark(k, px, level(tally.rate))


def _mark(k: int, x: float, y: float) -> str:
    """Return the mark of series k: circle, square, triangle or diamond."""
    if k == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLOURS[k]}"/>'
    corners = {
        1: ((-3, -3), (3, -3), (3, 3), (-3, 3)),
        2: ((0, -4), (4, 3), (-4, 3)),
        3: ((0, -4), (4, 0), (0, 4), (-4, 0)),
    }[k]
    path = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{path}" fill="{COLOURS[k]}"/>'


def images(results: Results) -> dict[str, str]:
    """Return the images by file name."""

    def line(cells: Sequence[Cell], key: tuple[str, str, str, float]) -> list[Tally]:
        return [pooled(results, cells, h, key) for h in HORIZONS]

    size = [
        Panel(
            label,
            {test: line(cells, ("size", test, "edge", 0.05)) for test in DRAWN},
        )
        for label, cells in _by_returns().items()
    ]
    power = [
        [
            Panel(
                f"{n} days, {100 * share:.0f}% in the regime",
                {
                    f"{100 * edge:.1f}% a day": line(
                        [c for c in POWER if (c.n, c.share, c.edge) == (n, share, edge)],
                        ("found", "p_edge", "state", 0.05),
                    )
                    for edge in (0.001, 0.003, 0.005)
                },
            )
            for n in DAYS
        ]
        for share in (0.1, 0.25)
    ]
    cover = [
        Panel(
            label,
            {
                method: line(cells, ("coverage", method, kind, 0.95))
                for method in ("default", "classic")
            },
        )
        for label, cells, kind in (
            ("no edge", PLAIN, "edge"),
            ("volatility by regime", BY_REGIME, "edge"),
            ("edge of 0.3% a day", [c for c in POWER if c.edge == 0.003], "state"),
        )
    ]
    whiskers = "Whiskers: two Monte Carlo standard errors."
    return {
        "calibration-size.svg": image(
            "Nothing to find: how often p is up to 5%",
            f"Dashed: 5%. {whiskers}",
            [size],
            (0.0, 0.05, 0.15),
        ),
        "calibration-coverage.svg": image(
            "How often a 95% interval holds the truth",
            f"Dashed: 95%; the axis starts at 80%. {whiskers}",
            [cover],
            (0.8, 0.95, 1.0),
        ),
        "calibration-power.svg": image(
            "A planted edge: how often p_edge finds it",
            f"Volatility 2% a day, stays of ten days. {whiskers}",
            power,
            (0.0, 0.5, 1.0),
        ),
    }


# --- from results to files ------------------------------------------------------------------------


def write_document(results: Results, folder: Path, *, simulations: int) -> None:
    """Write docs/calibration.md from its template, and its images."""
    tables = {
        "headline": headline_rows(results),
        "quoted": quoted_rows(results),
        "by_returns": size_rows(results, _by_returns(), "returns"),
        "by_days": size_rows(
            results, {f"{n}": [c for c in SIZE if c.n == n] for n in DAYS}, "days"
        ),
        "levels": level_rows(results),
        "kinds": kind_rows(results),
        "grades": grade_rows(results),
        "gradeable": gradeable_rows(results),
        "picked": picked_rows(results),
        "coverage": coverage_rows(results),
        "power": power_rows(results),
        "spells": spells_rows(results),
        "every_test": every_test_rows(results),
        "persistence": why_rows(results),
        "ratio": ratio_rows(results),
        "drift": drift_rows(results),
        "two": two_rows(results),
        "states": state_rows(results),
        "believe": believe_rows(results),
        "made": made_rows(results),
        "directions": direction_rows(results),
        "hard": hard_rows(results),
        "few": few_rows(results),
    }
    words = {name: markdown(rows) for name, rows in tables.items()}
    for test in (*TESTS, "t-test"):
        kind = "state" if test == "t-test" else "edge"
        key = ("size", test, kind, 0.05)
        words[f"{test.lower().replace('-', '_')}_size"] = in_words(results, key)
    for method in ("default", "classic"):
        words[f"{method}_coverage"] = in_words(results, ("coverage", method, "edge", 0.95))
    words |= p_edge_words(results)
    words["largest_cost"], words["mean_cost"] = power_costs(results)
    words["max_t"] = in_words(results, ("any state", "max-T", "state", 0.05))
    verdicts = [row["verdict"] for row in quoted_rows(results) if row["figure"] != COVERAGE]
    for word, start in (("within", "within"), ("differs", "differs"), ("missed", "**")):
        words[word] = f"{sum(text.startswith(start) for text in verdicts)}"
    words["figures"] = f"{len(verdicts)}"
    words["simulations"] = f"{simulations:,}"
    words["half"] = f"{-(-simulations // 2):,}"
    images_folder = folder / DOC.parent / "images"
    images_folder.mkdir(parents=True, exist_ok=True)
    (folder / DOC).write_text(Template(TEMPLATE.read_text()).substitute(words))
    for name, text in images(results).items():
        (images_folder / name).write_text(text)


def markdown(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table, columns that start with a number to the right."""
    table = list(rows)
    first = table[0]
    lines = [
        list(first),
        ["--:" if cell[0].isdigit() or cell[0] == "-" else "---" for cell in first.values()],
        *(list(row.values()) for row in table),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def in_words(results: Results, key: tuple[str, str, str, float]) -> str:
    """Return a rate over all cells of size by horizon, as words."""
    rates = [f"{100 * pooled(results, SIZE, h, key).rate:.1f}" for h in HORIZONS]
    return f"{', '.join(rates[:-1])} and {rates[-1]}%"


def main() -> None:
    """Compute what is missing, then write document and images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=500, help="windows per setting")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes; they change no number")
    parser.add_argument("--output", type=Path, default=project_dir(), help="where docs/ is written")
    parser.add_argument(
        "--results", type=Path, default=project_dir() / "target" / "calibration.jsonl"
    )
    given = parser.parse_args()
    results = collect(
        CELLS, given.results, simulations=given.simulations, seed=given.seed, jobs=given.jobs
    )
    write_document(results, given.output, simulations=given.simulations)


if __name__ == "__main__":
    main()
