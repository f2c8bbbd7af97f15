"""The study of bench/calibrate.py: its simulators, its tallies, and a study in small."""

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import calibrate as c
import numpy as np
import pytest
from scipy import stats

from msm_py._typing import Floats
from msm_py.stats.bootstrap import BootstrapSettings
from msm_py.stats.inference import edges

Cell, Tally = c.Cell, c.Tally


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- simulators -----------------------------------------------------------------------------------
def test_stays_have_the_days_and_spells_asked_for() -> None:
    regime = c.stays(rng(), 300, 50, n_inside=12, spells=4)
    starts = (np.diff(regime, axis=1, prepend=0) == 1).sum(axis=1)
    assert set(regime.sum(axis=1)) == {12}
    assert set(starts) == {4}


def test_all_arrangements_of_stays_are_equally_likely() -> None:
    regime = c.stays(rng(), 6000, 6, n_inside=3, spells=2)
    seen, number = np.unique(regime, axis=0, return_counts=True)
    possible = [
        x
        for x in itertools.product((0, 1), repeat=6)
        if sum(x) == 3 and (np.diff(x, prepend=0) == 1).sum() == 2
    ]
    assert {tuple(x) for x in seen.tolist()} == set(possible)
    expected = 6000 / len(possible)
    assert np.abs(number - expected).max() < 4 * math.sqrt(expected)


def test_regimes_of_the_machine_stay_longer_with_a_more_persistent_score() -> None:
    lengths = []
    for persistence in (0.8, 0.95, 0.99):
        regime = c.machine_regimes(rng(), 200, 400, persistence)
        assert set(np.unique(regime)) == {0, 1, 2, 3, 4}
        lengths.append(400 / (c.spell_ids(regime)[:, -1] + 1).mean())
    assert lengths[1] > 2 * lengths[0]
    assert lengths[2] > 2 * lengths[1]


def test_the_score_behind_the_machine_is_stationary_with_variance_one() -> None:
    # without hysteresis a share of Phi(-1.5) = 6.7% would be in each STRONG state; on every day
    regime = c.machine_regimes(rng(), 20_000, 60, 0.95)
    first = (regime[:, 0] == 4).mean()  # the first state is the raw one
    assert first == pytest.approx(stats.norm.sf(1.5), abs=4 * math.sqrt(0.067 * 0.933 / 20_000))
    later = [(regime[:, day] == 4).mean() for day in (30, 59)]
    assert later[0] == pytest.approx(later[1], abs=0.01)


@pytest.mark.parametrize("kind", list(c.NULLS))
def test_nothing_is_to_be_known_about_returns(kind: str) -> None:
    regime = c.machine_regimes(rng(1), 400, 300, 0.9)
    r = c.noise(rng(2), kind, regime, ratio=4.0)[:, 1:]
    before = regime[:, :-1]
    for state in range(5):
        after = r[before == state]
        assert abs(after.mean()) < 4 * after.std() / math.sqrt(after.size)
    lagged = r[:, 1:] * r[:, :-1]
    assert abs(lagged.mean()) < 4 * lagged.std() / math.sqrt(lagged.size)
    if kind == "regime volatility":
        spread = r[before == 4].std() / r[before == 0].std()
        assert spread == pytest.approx(4.0, rel=0.03)
        assert r[before == 2].std() == pytest.approx(c.VOLATILITY, rel=0.03)
    else:
        assert r.std() == pytest.approx(c.VOLATILITY, rel=0.03)


@pytest.mark.parametrize("what", list(c.MADE_OF))
def test_states_made_of_prices_know_the_past_and_not_the_future(what: str) -> None:
    cell = Cell("test", 300, "garch", made_of=what)
    returns, regime, spell = c.simulate(cell, 300, rng(5))
    assert returns.shape == regime.shape == spell.shape == (300, 300)
    past = returns[:, :-1].cumsum(axis=1)
    past = past[:, 10:] - past[:, :-10]  # of the ten days to the state's
    before, after, state = past, returns[:, 11:], regime[:, 10:-1]
    gained = before[state >= 3].mean() - before[state <= 1].mean()
    assert (gained > c.VOLATILITY) == (what != "volatility")
    calm, wild = (np.abs(before[state == r]).mean() for r in (0, 4))
    assert (wild > 1.2 * calm) == (what == "volatility")
    for r in range(5):
        next_day = after[state == r]
        assert abs(next_day.mean()) < 4 * next_day.std() / math.sqrt(next_day.size)


def test_hard_returns() -> None:
    regime = c.stays(rng(), 400, 400, n_inside=40, spells=4)
    wild = c.noise(rng(2), "regime t3", regime, ratio=5.0)[:, 1:]
    spread = np.median(np.abs(wild[regime[:, :-1] == 1])) / np.median(
        np.abs(wild[regime[:, :-1] == 0])
    )
    assert spread == pytest.approx(5.0, rel=0.1)
    slow = c.noise(rng(2), "slow mean", regime, ratio=1.0)
    assert slow.std() == pytest.approx(c.VOLATILITY, rel=0.03)
    month = slow.reshape(400, 20, 20).sum(axis=2)  # of an independent one: 20 times the variance
    assert month.var() > 1.3 * 20 * c.VOLATILITY**2


def test_fat_tails_are_fat_and_garch_clusters() -> None:
    regime = np.zeros((400, 500), dtype=np.int64)
    r = {kind: c.noise(rng(3), kind, regime, ratio=1.0) for kind in ("normal", "student", "garch")}
    assert abs(stats.kurtosis(r["normal"], axis=None)) < 0.05
    assert stats.kurtosis(r["student"], axis=None) > 2.0

    def clustering(x: Floats) -> Any:
        square = x**2 - (x**2).mean()
        return (square[:, 10:] * square[:, :-10]).mean() / square.var()

    assert abs(clustering(r["student"])) < 0.02
    # of GARCH(1, 1): rho_1 (alpha + beta)^9, with rho_1 = alpha (1 - ab - b^2) / (1 - 2ab - b^2)
    assert clustering(r["garch"]) == pytest.approx(0.25 * 0.98**9, abs=0.06)


def test_forward_returns_compound() -> None:
    y = c.forward_return(np.array([[9.0, 0.1, -0.5, 1.0]]), 2)
    np.testing.assert_allclose(y, [[1.1 * 0.5 - 1, 0.5 * 2.0 - 1]])


def test_the_planted_edge_is_the_edge() -> None:
    cell = Cell("test", 400, "normal", spells=8, share=0.2, edge=1e-6)
    truth = c.true_edges(cell, rng())
    assert truth[1] == pytest.approx(1e-6, rel=2e-3)
    # an edge this small adds up over days: by how much likelier the regime is h days after itself
    regime = c.stays(rng(9), 4000, 400, n_inside=80, spells=8)
    inside = regime[:, :-5] == 1
    excess = sum(
        regime[:, k : 395 + k][inside].mean() - regime[:, k : 395 + k].mean() for k in range(5)
    )
    assert truth[5] == pytest.approx(1e-6 * excess / 0.8, rel=0.01)
    plain = Cell("test", 400, "normal")
    assert c.true_edges(plain, rng()) == dict.fromkeys(c.HORIZONS, 0.0)


# --- tests of edges -------------------------------------------------------------------------------
def example(runs: int = 5, n: int = 300, h: int = 5) -> tuple[Any, ...]:
    returns, regime, spell = c.simulate(Cell("test", n, "garch", persistence=0.9), runs, rng(4))
    return c.forward_return(returns, h), regime[:, :-h], spell[:, :-h]


def test_the_classic_and_the_default_are_those_of_the_library() -> None:
    y, regime, spell = example()
    found = c.outcome(y, regime, spell, 5, 5, 7)
    for name, settings in (
        ("default", BootstrapSettings(seed=7)),
        ("classic", dataclasses.replace(c.CLASSIC, seed=7)),
    ):
        e = edges(y, regime, spell, horizon_days=5, n_regimes=5, bootstrap=settings)
        columns = [0, 1, 2, 3, 4, 7]
        np.testing.assert_array_equal(found.p[name], e.p_value[:, columns])
        np.testing.assert_array_equal(found.interval[name][0], e.ci_low[:, columns])
        np.testing.assert_array_equal(found.interval[name][1], e.ci_high[:, columns])
    assert np.isfinite(found.p["classic"]).sum() > 10


def test_the_t_test_is_that_of_scipy() -> None:
    y, regime, _ = example()
    p = c.plain_t_test(y, regime, 5)
    for run, r in itertools.product(range(len(y)), range(5)):
        inside = y[run, regime[run] == r]
        assert p[run, r] == pytest.approx(stats.ttest_1samp(inside, 0.0).pvalue, rel=1e-9)
    assert np.isnan(p[:, 5]).all()


def test_the_unstudentised_shift_is_a_loop_over_rotations() -> None:
    y, regime, _ = example(runs=2, n=120)
    present = (regime[:, None, :] == np.arange(5)[:, None]).any(axis=2)
    p = c.unstudentised_shift(y, regime, present, 10)
    n = y.shape[1]
    for run in range(2):
        best, worst = regime[run].max(), regime[run].min()

        def statistics(k: int, run: int = run, best: int = best, worst: int = worst) -> list[float]:
            turned = np.roll(regime[run], -k)
            mean = {r: y[run][turned == r].mean() - y[run].mean() for r in np.unique(turned)}
            return [abs(mean.get(r, np.nan)) for r in range(5)] + [abs(mean[best] - mean[worst])]

        rotated = np.array([statistics(k) for k in range(10, n - 10 + 1)])
        least = np.array(statistics(0)) * (1 - 1e-9)
        expected = (1 + (rotated >= least).sum(axis=0)) / (1 + len(rotated))
        np.testing.assert_allclose(p[run], np.where(np.isnan(least), np.nan, expected))


# --- tallies --------------------------------------------------------------------------------------
def test_a_tally_counts_hits_among_trials_only() -> None:
    hit = np.array([[True, True, False], [True, False, False]])
    trial = np.array([[True, False, True], [True, True, False]])
    tally = Tally.of(hit, trial)
    assert (tally.runs, tally.hits, tally.trials) == (2, 2, 4)
    assert tally.rate == 0.5
    assert math.isnan(Tally.of(hit, trial & False).rate)
    assert math.isnan(Tally.of(hit, trial & False).error)


def test_the_error_of_a_tally_knows_that_trials_of_a_run_hang_together() -> None:
    one = rng().random((2000, 1)) < 0.3
    alone = Tally.of(one, np.ones_like(one))
    assert alone.error == pytest.approx(math.sqrt(alone.rate * (1 - alone.rate) / 2000))
    same = np.tile(one, 6)
    assert Tally.of(same, np.ones_like(same)).error == pytest.approx(alone.error)
    apart = rng(2).random((2000, 6)) < 0.3
    assert Tally.of(apart, np.ones_like(apart)).error == pytest.approx(
        alone.error / 6**0.5, rel=0.1
    )


def test_tallies_add_up() -> None:
    hit, trial = rng().random((30, 4)) < 0.4, rng(2).random((30, 4)) < 0.7
    assert Tally.of(hit[:11], trial[:11]) + Tally.of(hit[11:], trial[11:]) == Tally.of(hit, trial)


def outcome_of(p: Any, estimate: Any, low: float = -1.0, high: float = 1.0) -> Any:
    shape = np.shape(p)
    return c.Outcome(
        p=dict.fromkeys((*c.EVERY_TEST, "max-T"), np.asarray(p)),
        interval={"default": (np.full(shape, low), np.full(shape, high))},
        estimate=np.asarray(estimate),
        evidence=np.full(shape, "normal"),
    )


def test_missing_p_values_are_no_trials() -> None:
    found = outcome_of([[0.01, np.nan, 0.2]], [[0.1, 0.1, np.nan]])
    tallies = dict(c.size_tallies(found, 5))
    assert tallies[5, "size", "default", "edge", 0.05].rate == 0.5
    assert tallies[5, "size", "default", "state", 0.05].rate == 1.0
    assert tallies[5, "size", "default", "spread", 0.05].rate == 0.0
    assert tallies[5, "gradeable", "p_edge", "state", 0.0].rate == 0.5
    # of Y: a positive edge is bad for the trade
    assert tallies[5, "bad", "p_edge", "state", 0.05].rate == 1.0
    assert tallies[5, "good", "p_edge", "state", 0.05].rate == 0.0
    assert tallies[5, "bad", "p_edge", "most MAJORS", 0.05].trials == 0
    assert tallies[5, "any state", "max-T", "state", 0.05].rate == 1.0
    assert tallies[5, "grade", "shift", "normal", 0.05].trials == 2
    assert tallies[5, "grade", "shift", "low", 0.05].trials == 0


def test_an_edge_in_the_wrong_direction_is_not_found() -> None:
    found = outcome_of([[0.5, 0.01, 0.5]] * 2, [[0.0, 0.02, 0.0], [0.0, -0.02, 0.0]], low=0.03)
    up = dict(c.power_tallies(found, 1, 0.05))
    assert up[1, "found", "default", "state", 0.05].rate == 0.5
    assert up[1, "rejected", "default", "state", 0.05].rate == 1.0
    assert up[1, "coverage", "default", "state", 0.95].rate == 1.0
    assert dict(c.power_tallies(found, 1, 0.01))[1, "coverage", "default", "state", 0.95].rate == 0


@pytest.mark.parametrize(
    ("value", "rates", "expected"),
    [
        (5.0, [5.9, 6.1], "within error"),
        (3.0, [2.9, 6.1], "differs; between settings"),
        (3.0, [3.1, 6.1], "**not reproduced**"),
    ],
)
def test_verdicts(value: Any, rates: Any, expected: str) -> None:
    found = Tally(1000, 60, 1000, 60, 60, 1000)  # 6.0 +- 0.75
    assert c.verdict(value, found, rates) == expected


# --- a study in small -----------------------------------------------------------------------------
NULL = Cell("test", 520, "student", persistence=0.9)
PLANTED = Cell("test", 500, "normal", spells=30, share=0.3, edge=0.05)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    stored = tmp_path_factory.mktemp("calibration") / "cells.jsonl"
    return c.collect([NULL, PLANTED], stored, simulations=24, seed=3), stored


def test_a_huge_edge_is_found_by_all_and_covered(small: Any) -> None:
    tallies = small[0][PLANTED]
    assert tallies[1, "found", "default", "state", 0.05].runs == 24
    for test in c.TESTS:
        assert tallies[1, "found", test, "state", 0.05].rate == 1.0
    assert tallies[1, "coverage", "default", "state", 0.95].rate > 0.6


def test_nothing_is_found_where_there_is_nothing_but_by_the_t_test(small: Any) -> None:
    tallies = small[0][NULL]
    assert tallies[20, "size", "default", "edge", 0.05].rate < 0.25
    assert tallies[20, "size", "t-test", "state", 0.05].rate > 0.25
    assert tallies[1, "size", "default", "state", 0.05].trials > 12


def test_what_is_stored_is_not_computed_again(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    results, stored = small
    monkeypatch.setattr(c, "run_cell", lambda *_: pytest.fail("computed again"))
    with stored.open("a") as file:
        file.write('[["cut off')
    assert c.collect([NULL, PLANTED], stored, simulations=24, seed=3) == results


def test_processes_change_no_number(small: Any, tmp_path: Path) -> None:
    results = c.collect([NULL, PLANTED], tmp_path / "cells.jsonl", simulations=24, seed=3, jobs=2)
    assert results == small[0]


def test_another_seed_gives_other_numbers(small: Any) -> None:
    assert c.run_cell(NULL, 12, 4) != small[0][NULL]


def test_the_document_has_every_table_and_image(small: Any, tmp_path: Path) -> None:
    results = {cell: small[0][PLANTED if cell.spells else NULL] for cell in c.CELLS}
    c.write_document(results, tmp_path, simulations=24)
    text = (tmp_path / "docs/calibration.md").read_text()
    assert "$" not in text
    for rows in (c.headline_rows, c.quoted_rows, c.power_rows, c.coverage_rows, c.picked_rows):
        assert c.markdown(rows(results)) in text
    found = results[c.SIZE[0]][5, "size", "default", "edge", 0.05]
    pooled = c.pooled(results, c.SIZE, 5, ("size", "default", "edge", 0.05))
    assert (pooled.hits, pooled.trials) == (12 * found.hits, 12 * found.trials)
    for name in c.images(results):
        assert f"(images/{name})" in text
        image = ElementTree.parse(tmp_path / "docs/images" / name).getroot()
        assert image.tag.endswith("svg")
    for name in ("calibration-size.svg", "calibration-power.svg"):
        assert (tmp_path / "docs/images" / name).read_text().count("<circle") >= 16
