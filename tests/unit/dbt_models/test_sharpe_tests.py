"""Which days and runs the tests of Sharpe ratios are of."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from msm_py._typing import Floats
from msm_py.dbt_models.sharpe_tests import FIGURES, sharpe_test_rows
from msm_py.stats.sharpe_difference import ResampledSharpe, block_plan, sharpe_test
from msm_py.store.formats import without

N = 200
FIRST = date(1970, 1, 1) + timedelta(days=20_000)
LAST = FIRST + timedelta(days=N - 1)
RNG = np.random.default_rng(3)
BTC = 0.02 * RNG.standard_normal(N)
NET = {name: 0.5 * BTC + 0.01 * RNG.standard_normal(N) + 0.001 for name in ("a", "b", "ungated-c")}


def daily(name: str, *, net: Floats | None = None) -> pa.Table:
    """Return test days, BTC without a return on the first one."""
    values = NET[name] if net is None else net
    days = pa.array(np.arange(20_000, 20_000 + len(values)), pa.int32()).cast(pa.date32())
    return pa.table(
        {
            "strategy_id": [name] * len(values),
            "date": days,
            "r_net": values,
            "r_btc": [None, *BTC[1 : len(values)]],
        }
    )


def rows(tables: list[pa.Table], *run_ids: str, **changes: Any) -> dict[str, dict[str, Any]]:
    runs = [
        {
            "run_id": run_id,
            "sample": "all",
            "first_date": FIRST,
            "last_date": LAST,
            "control_id": "ungated-c",
            "bootstrap_enabled": True,
            "n_boot": 99,
            "seed": 5,
            "has_ratio": True,
            "control_has_ratio": True,
            **changes,
        }
        for run_id in run_ids
    ]
    found = sharpe_test_rows(pa.Table.from_pylist(runs), pa.concat_tables(tables))
    assert set(found["sample"].to_pylist()) == {runs[0]["sample"]}
    return {row.pop("run_id"): without(row, "sample") for row in found.to_pylist()}


CONTROL = daily("ungated-c")


def test_they_are_of_the_runs_own_days_and_draws() -> None:
    found = rows([daily("a"), CONTROL], "a")["a"]
    plan, short = (block_plan(n=n, n_boot=99, seed=5) for n in (N, N - 1))
    own, control = (ResampledSharpe(NET[name], plan) for name in ("a", "ungated-c"))
    on_btc, btc = (ResampledSharpe(x[1:], short) for x in (NET["a"], BTC))
    interval = sharpe_test(own)
    assert found == {
        "net_sharpe_ci_low": interval.ci_low,
        "net_sharpe_ci_high": interval.ci_high,
        "p_ungated": sharpe_test(own, control).p,
        "p_btc": sharpe_test(on_btc, btc).p,
    }


def test_a_run_has_the_same_bits_alone_and_among_others() -> None:
    alone = [rows([daily(x), CONTROL], x)[x] for x in ("a", "b")]
    together = rows([daily("b"), CONTROL, daily("a")], "b", "a")
    assert list(together) == ["a", "b"]
    assert list(together.values()) == alone


@pytest.mark.parametrize(
    ("changes", "own"),
    [
        ({"bootstrap_enabled": False}, {}),
        ({"has_ratio": False}, {}),
        ({}, {"net": NET["a"][:159]}),
        ({}, {"net": np.zeros(N)}),
    ],
)
def test_what_cannot_be_tested_is_missing(changes: Any, own: Any) -> None:
    control = daily("ungated-c", net=NET["ungated-c"][: len(own.get("net", NET["a"]))])
    found = rows([daily("a", **own), control], "a", **changes)["a"]
    assert found == dict.fromkeys(FIGURES)


def test_a_control_without_a_ratio_is_no_match() -> None:
    found = rows([daily("a"), CONTROL], "a", control_has_ratio=False)["a"]
    assert found["p_ungated"] is None
    assert found["p_btc"] is not None


def test_a_sample_knows_no_other_day() -> None:
    half = {"sample": "holdout", "first_date": FIRST + timedelta(days=20)}
    found = rows([daily("a"), CONTROL], "a", **half)["a"]
    plan = block_plan(n=N - 20, n_boot=99, seed=5)
    own, control, btc = (ResampledSharpe(x[20:], plan) for x in (NET["a"], NET["ungated-c"], BTC))
    assert found["net_sharpe_ci_low"] == sharpe_test(own).ci_low
    assert found["p_ungated"] == sharpe_test(own, control).p
    assert found["p_btc"] == sharpe_test(own, btc).p
    short = {"sample": "before", "last_date": FIRST + timedelta(days=158)}
    assert rows([daily("a"), CONTROL], "a", **short)["a"] == dict.fromkeys(FIGURES)
