"""Two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Group, RenderableType

from msm_py._typing import Row
from msm_py.report.figures import (
    MISSING,
    STARRED,
    count_of,
    figure,
    short_state,
    side_of,
    starred_p,
    told_apart,
    trade_edge_text,
)
from msm_py.report.layout import Fitted, new_table, number_columns, pair_table, prose, section
from msm_py.report.metrics import METRICS, STABILITY
from msm_py.report.terminal import Text
from msm_py.settings import warehouse_path
from msm_py.store import layout
from msm_py.store.families import Family
from msm_py.store.flat_params import flat_params
from msm_py.store.parting import Parting, day_key, partings_of
from msm_py.store.run import Run
from msm_py.store.warehouse import family_of

DIFFERENT_DAYS_SHOWN: Final = 5
NAMES: Final = ("experiment_id", "title", "description")
PARTS: Final = (
    ("features", layout.FEATURES, ("date", "feature_id", "raw_value", "z_score")),
    ("scores", layout.REGIME_TIMESERIES, ("date", "score")),
    ("states", layout.REGIME_TIMESERIES, ("date", "regime")),
    ("baskets", layout.BASKET, ("date", "asset_id", "weight")),
    ("returns", layout.RETURNS, ("date", "r_gross", "r_net")),
)
"""What may part, its file and columns, in the order in which one follows from the other."""


def comparison(a: Path, b: Path, *, warehouse: Path | None = None) -> RenderableType:
    """Return what differs between two runs: question, data and code, results, and from when on.

    Parameters
    ----------
    a, b
        The folders of two runs. Differences are b minus a.
    warehouse
        The warehouse file, which knows the runs' families; by default the one in use.

    Raises
    ------
    MsmError
        A folder is missing or is not a complete run.
    """
    left, right = Run.read(a), Run.read(b)
    file = warehouse or warehouse_path()
    families = [family_of(folder.parent, file, folder.name) for folder in (a, b)]
    return Group(
        *_named("A", left),
        *_named("B", right),
        *section("Experiment", *_spec_differences(left, right)),
        *section("Data and code", *_fingerprints(left, right)),
        *section("Results, net, on test days", *_metric_differences(left, right, families)),
        *section("Trade edges", *_edge_differences(left, right)),
        *section("States", *_state_differences(left, right)),
        *section("First days that part", *_first_partings(left, right)),
    )


def _named(letter: str, run: Run) -> Iterator[RenderableType]:
    placebo = run.spec["state_mapping"].get("placebo_rotation_days", 0)
    yield Text.assemble(
        (f"{letter}  ", "bold"),
        (run.run_id, "cyan"),
        ("  PLACEBO: knows the future" if placebo else "", "bold red"),
        overflow="fold",
    )
    yield Text(f"   {run.metrics['title']}")


def _spec_differences(a: Run, b: Run) -> Iterator[RenderableType]:
    left, right = _params(a), _params(b)
    keys = [key for key in {**left, **right} if left.get(key, "") != right.get(key, "")]
    if not keys:
        yield prose("The same but for its name." if a.spec != b.spec else "The same.")
        return
    yield pair_table(
        *((key, left.get(key, "not there"), right.get(key, "not there")) for key in keys),
        head="key",
    )


def _params(run: Run) -> dict[str, str]:
    return {
        row["param"]: MISSING if row["value"] is None else row["value"]
        for row in flat_params(run.spec)
        if row["param"] not in NAMES
    }


def _fingerprints(a: Run, b: Run) -> Iterator[RenderableType]:
    def facts(run: Run) -> dict[str, str]:
        lake, commit = run.manifest["lake"], run.manifest["git_commit"] or MISSING
        return {
            "lake": f"{lake['name']} {lake['fingerprint'][:12]}",
            "code": str(run.manifest["code_fingerprint"])[:12],
            "git": commit[:12] + (" and changes" if run.manifest["git_dirty"] else ""),
            **run.manifest["versions"],
        }

    other = [
        what
        for what, is_other in (
            ("lake", a.manifest["lake"]["fingerprint"] != b.manifest["lake"]["fingerprint"]),
            ("code", a.manifest["code_fingerprint"] != b.manifest["code_fingerprint"]),
        )
        if is_other
    ]
    if other:
        yield Text.assemble(
            (f"Not comparable: other {' and other '.join(other)}. ", "bold yellow"),
            "What differs below need not come from the experiment.",
        )
    else:
        yield prose("Comparable: the same lake, the same code.")
    left, right = facts(a), facts(b)
    different = [name for name in {**left, **right} if left.get(name) != right.get(name)]
    if different:
        yield pair_table(
            *((name, left.get(name, MISSING), right.get(name, MISSING)) for name in different),
            head="",
        )


def _metric_differences(
    a: Run, b: Run, families: Sequence[Family | None]
) -> Iterator[RenderableType]:
    windows = [
        tuple(run.metrics["window"][key] for key in ("first_date", "last_date")) for run in (a, b)
    ]
    if windows[0] != windows[1]:
        yield prose(
            f"Other windows: A {windows[0][0]} to {windows[0][1]}, "
            f"B {windows[1][0]} to {windows[1][1]}."
        )
    table = new_table(roomy=True)
    table.add_column("", no_wrap=True)
    number_columns(table, "A", "B", "B - A")
    for metrics, values in (
        (METRICS, [run.series("net") for run in (a, b)]),
        (STABILITY, [run.metrics["stability"] for run in (a, b)]),
    ):
        for metric in metrics:
            left, right = (value.get(metric.key) for value in values)
            table.add_row(
                metric.label, metric.show(left), metric.show(right), metric.difference(left, right)
            )
        table.add_section()
    deflated = [None if family is None else family.deflated_sharpe for family in families]
    tried = [None if family is None else family.n_family for family in families]
    table.add_row("deflated Sharpe", *(figure(x, 2) for x in deflated), _less(*deflated))
    table.add_row("as one of so many tried", *(figure(x, 0) for x in tried))
    yield table


def _less(left: float | None, right: float | None) -> str:
    return figure(None if left is None or right is None else right - left, 2, sign=True)


def _edge_differences(a: Run, b: Run) -> Iterator[RenderableType]:
    edges = [{(row["horizon_days"], row["edge"]): row for row in run.edges} for run in (a, b)]
    names = [{row["edge"] for row in run.edges} for run in (a, b)]
    shared = names[0] & names[1] or names[0] | names[1]  # 3 and 5 states have few in common
    keys = sorted(
        (
            key
            for key in {**edges[0], **edges[1]}
            if key[1] in shared and any(of.get(key, {}).get("estimate") is not None for of in edges)
        ),
        key=lambda key: int(key[0]),
    )
    if not keys:
        yield prose("Neither run has edges.", "dim")
        return
    yield prose("In percent; plus is good for the trade.")
    yield Fitted(lambda width: _edge_pairs(edges, keys, named=width >= 100))
    yield prose(f"{STARRED}.", "dim")


def _edge_pairs(
    edges: Sequence[Mapping[tuple[int, str], Row]],
    keys: Sequence[tuple[int, str]],
    *,
    named: bool,
) -> RenderableType:
    table = new_table(roomy=named)
    table.add_column("state", no_wrap=True)
    for letter in ("A", "B"):
        number_columns(table, letter)
        table.add_column("p_edge", no_wrap=True)
        table.add_column("evidence", no_wrap=True)
    number_columns(table, "B - A")
    last_horizon = None
    for horizon, edge in keys:
        if horizon != last_horizon:
            table.add_section()
            table.add_row(Text(count_of(horizon, "day"), style="bold"))
            last_horizon = horizon
        cells: list[str | Text] = []
        values = []
        for of in edges:
            row = of.get((horizon, edge))
            values.append(None if row is None else row["trade_edge"])
            if row is None:
                cells += [MISSING] * 3
            else:
                cells += [trade_edge_text(row), starred_p(row), row["evidence"]]
        change = _less(*(None if value is None else 100 * value for value in values))
        table.add_row(edge if named else short_state(edge), *cells, change)
    return table


def _state_differences(a: Run, b: Run) -> Iterator[RenderableType]:
    left, right = a.states(), b.states()
    common = sorted(left.keys() & right.keys())
    if not common:
        yield prose("The runs have no day in common.")
        return
    by_side = len(a.distribution) != len(b.distribution)
    compared = side_of if by_side else str
    different = [day for day in common if compared(left[day]) != compared(right[day])]
    text = f"The states are the same on all of {count_of(len(common), 'common day')}"
    if different:
        share = figure(len(different) / len(common), 1, "%")
        text = (
            f"The states differ on {len(different):,} of {count_of(len(common), 'common day')} "
            f"({share})"
        )
    if by_side:
        text += " (as ALTS, BALANCED or MAJORS: the runs do not have the same number of states)"
    yield prose(text + ".")
    if different:
        shown = different[:DIFFERENT_DAYS_SHOWN]
        yield pair_table(
            *((str(day), left[day], right[day]) for day in shown),
            head="date" if len(shown) == len(different) else "first of them",
        )


def _first_partings(a: Run, b: Run) -> Iterator[RenderableType]:
    """Yield from which common day on features, scores, states, baskets and returns differ."""
    rows = []
    for what, file, columns in PARTS:
        left, right = (
            _of_common_days(run, other, file, columns) for run, other in ((a, b), (b, a))
        )
        found = list(partings_of(file, left, right, day_key(left)))
        first = min(found, key=lambda x: (x.day, x.column is not None), default=None)
        rows.append((what, *_when(first)))
    table = new_table(roomy=True)
    for head in ("", "from", ""):
        table.add_column(head, no_wrap=head != "")
    for row in rows:
        table.add_row(*row)
    yield table


def _of_common_days(run: Run, other: Run, file: str, columns: Sequence[str]) -> pa.Table:
    table = run.table(file)
    days = pc.is_in(table["date"], value_set=other.table(file)["date"].combine_chunks())
    return table.filter(days).select(list(columns))


def _when(first: Parting | None) -> tuple[str, str]:
    """Return the day, and what parts then."""
    if first is None:
        return "never", "the same to the last bit"
    of = " ".join(str(value) for value in first.key.values())
    if first.column is None:
        return str(first.day), f"{of} only in {'A' if first.left else 'B'}".strip()
    left, right = told_apart(first.left, first.right, MISSING)
    return str(first.day), f"{of} {first.column}: {left} in A, {right} in B".strip()
