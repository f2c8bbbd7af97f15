"""How sure one may be of runs' net Sharpe ratios: the rows of the dbt model ``sharpe_tests``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from msm_py._typing import Bools, Floats
from msm_py.dbt_models import typed_rows
from msm_py.engine.panel import Panel, day_numbers, nullable
from msm_py.stats.blocks import BlockPlan
from msm_py.stats.sharpe_difference import (
    NOT_TESTED,
    ResampledSharpe,
    block_plan,
    sharpe_test,
)


@dataclass(frozen=True)
class RunSample:
    """A run on the days of one sample; has_ratio: whether its net Sharpe ratio is shown there."""

    run_id: str
    sample: str
    first_date: date
    last_date: date
    control_id: str
    bootstrap_enabled: bool
    n_boot: int
    seed: int
    has_ratio: bool | None
    control_has_ratio: bool | None


RUN_COLUMNS: Final = typed_rows.names(RunSample)
RETURN_COLUMNS: Final = ("strategy_id", "date", "r_net", "r_btc")
FIGURES: Final = ("net_sharpe_ci_low", "net_sharpe_ci_high", "p_ungated", "p_btc")
SCHEMA: Final = pa.schema(
    {"run_id": pa.string(), "sample": pa.string(), **dict.fromkeys(FIGURES, pa.float64())}
)


def sharpe_test_rows(runs: pa.Table, daily_returns: pa.Table) -> pa.Table:
    """Return a row per run and sample: interval of its net Sharpe ratio, p of two differences.

    Parameters
    ----------
    runs
        Rows of `RunSample`, one for every run that has returns and sample of its days.
    daily_returns
        ``RETURN_COLUMNS`` of the test days of these runs and of their controls.

    Returns
    -------
    Columns of ``SCHEMA``, ordered by run and sample. Figures are missing with the bootstrap off,
    without the ratios that they are of and wherever `sharpe_test` has none; the difference to BTC
    is of the days on which BTC has a return.
    """
    if runs.num_rows == 0 or daily_returns.num_rows == 0:
        return SCHEMA.empty_table()
    runs = runs.sort_by([("run_id", "ascending"), ("sample", "ascending")])
    rows = typed_rows.from_table(runs, RunSample)
    keys = tuple(sorted({key for row in rows for key in (row.run_id, row.control_id)}))
    # runs that failed have returns too
    daily_returns = daily_returns.filter(
        pc.is_in(daily_returns["strategy_id"], value_set=pa.array(keys))
    )
    panel = Panel.of(daily_returns, keys, "strategy_id")
    place = {key: row for row, key in enumerate(keys)}
    net, btc = (panel.matrix(daily_returns[name]) for name in ("r_net", "r_btc"))
    shared = _Shared()
    found = []
    for row, first, last in zip(
        rows,
        day_numbers(runs["first_date"]) - panel.first_day,
        day_numbers(runs["last_date"]) - panel.first_day,
        strict=True,
    ):
        own, control = place[row.run_id], place[row.control_id]
        tests = (NOT_TESTED,) * 3
        days = ~np.isnan(net[own])
        days[: max(first, 0)] = False
        days[max(last + 1, 0) :] = False
        if row.bootstrap_enabled and row.has_ratio:
            draws = (row.n_boot, row.seed)
            paired = days & ~np.isnan(btc[own])
            ratio = shared.resampled(net[own], days, draws)
            on_btc = ratio if (paired == days).all() else shared.resampled(net[own], paired, draws)
            tests = (
                sharpe_test(ratio),
                sharpe_test(ratio, shared.kept(row.control_id, net[control], days, draws))
                if row.control_has_ratio
                else NOT_TESTED,
                sharpe_test(on_btc, shared.kept("BTC", btc[own], paired, draws)),
            )
        interval, ungated, market = tests
        found.append((interval.ci_low, interval.ci_high, ungated.p, market.p))
    columns = dict(zip(FIGURES, map(nullable, np.array(found).T), strict=True))
    run_ids, samples = [row.run_id for row in rows], [row.sample for row in rows]
    return pa.table({"run_id": run_ids, "sample": samples, **columns}, schema=SCHEMA)


Draws = tuple[int, int]  # replicates and seed


class _Shared:
    """What runs share: the blocks of equally many days, and the ratios of controls and of BTC."""

    def __init__(self) -> None:
        self._plans: dict[tuple[int, Draws], BlockPlan] = {}
        self._kept: dict[tuple[str, bytes, Draws], ResampledSharpe] = {}

    def resampled(self, returns: Floats, days: Bools, draws: Draws) -> ResampledSharpe:
        """Return the ratio of some days with its replicates."""
        n = int(days.sum())
        if (n, draws) not in self._plans:
            self._plans[n, draws] = block_plan(n=n, n_boot=draws[0], seed=draws[1])
        return ResampledSharpe(returns[days], self._plans[n, draws])

    def kept(self, name: str, returns: Floats, days: Bools, draws: Draws) -> ResampledSharpe:
        """Return the same, computed once for all runs that need it."""
        key = (name, days.tobytes(), draws)
        if key not in self._kept:
            self._kept[key] = self.resampled(returns, days, draws)
        return self._kept[key]
