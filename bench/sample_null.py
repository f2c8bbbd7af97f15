"""Are p-values unremarkable on lakes without an edge? Two hundred of them through the pipeline.

Each lake of its own seed is written with the planted effect switched off and goes through the whole
pipeline, as `msm run` does, with the experiments of `EXPERIMENTS` at once. A few lakes with the
planted effect go the same way, for contrast. The results of each lake are one line of
``target/sample_null.jsonl``: what is there already for this code is not computed again, so it may
be stopped and started at will. Then the tables of docs/sample-null.md and its images are written.

    python bench/sample_null.py            # about 25 minutes on one core; `make sample-null`
    python bench/sample_null.py --lakes 20 --planted 5

Values are those of ``regime_evaluation.json`` in run folders; nothing is tested here a second time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from msm_py.experiment import ids, load
from msm_py.experiment.schema import Experiment
from msm_py.lake import sample
from msm_py.lake.opening import fingerprint, open_lake
from msm_py.runner import invocation
from msm_py.settings import Places, project_dir
from msm_py.store.origin import code_fingerprint

Record = dict[str, Any]
Row = dict[str, str]

EXPERIMENTS: Final = ("msm_v1_baseline", "msm_v1_three_states", "msm_v1_funding_only")
"""Baseline; the same score in 3 states, whose spread is well supported; one without any price."""

EDGE_KEYS: Final = (
    "horizon_days",
    "edge",
    "estimate",
    "se",
    "p_edge",
    "p_value",
    "p_shift",
    "p_ewc",
    "p_max_t",
    "n_spells",
    "evidence",
)
STATISTICS_KEYS: Final = ("horizon_days", "regime", "n", "mean")
TESTS: Final = {
    "p_edge": "p_edge",
    "p_value": "bootstrap",
    "p_shift": "circular shift",
    "p_ewc": "cosines",
}
HORIZONS: Final = (1, 5, 10, 20)
LEVEL: Final = 0.05
BINS: Final = 10
DOC: Final = "docs/sample-null.md"
SIDES: Final = ("RISK_ON_MAJORS", "RISK_ON_ALTS")
SUMS: Final = ["n_majors", "sum_majors", "n_alts", "sum_alts"]
ONE_PER_LAKE: Final = (
    ("msm_v1_three_states", "spread"),
    ("msm_v1_funding_only", "BALANCED"),
)
BEGIN: Final = "<!-- written by bench/sample_null.py: begin -->"
END: Final = "<!-- written by bench/sample_null.py: end -->"


def evaluate(seed: int, *, planted: bool) -> Record:
    """Return the edges and regime statistics of all experiments on the sample lake of a seed."""
    experiments = _experiments()
    with tempfile.TemporaryDirectory(prefix="sample-null-") as scratch:
        here = Path(scratch)
        lake = sample.write_sample_lake(here / "lake", seed=seed, planted_edge=planted)
        data, code = fingerprint(open_lake(lake)), code_fingerprint()
        runs = [ids.ResolvedRun.of(experiment, data, code) for experiment in experiments]
        invocation.build(
            runs,
            Places(lake=lake, runs=here / "runs", warehouse=here / "warehouse.duckdb"),
        )
        found = {}
        for run in runs:
            folder = here / "runs" / run.run_id
            evaluation = json.loads((folder / "regime_evaluation.json").read_text())
            found[run.experiment.experiment_id] = {
                "edges": [[row[key] for key in EDGE_KEYS] for row in evaluation["edges"]],
                "statistics": [
                    [row[key] for key in STATISTICS_KEYS] for row in evaluation["regime_statistics"]
                ],
            }
    return {"code": _code(), "seed": seed, "planted": planted, "experiments": found}


def _experiments() -> list[Experiment]:
    files = [project_dir() / "experiments" / "msm" / f"{name}.yaml" for name in EXPERIMENTS]
    return load.load_experiments(files)


def _code() -> str:
    """Return what results depend on beside the seed: code, sample lake, experiments."""
    source = Path(sample.__file__).read_text()
    specs = [ids.resolve(experiment) for experiment in _experiments()]
    text = code_fingerprint() + source + json.dumps(specs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def collect(results: Path, *, lakes: int, planted: int) -> list[Record]:
    """Return the records of all lakes, computing and storing those that are not there yet."""
    code = _code()
    known = {(r["planted"], r["seed"]): r for r in _stored(results) if r["code"] == code}
    wanted = [(False, seed) for seed in range(1, lakes + 1)]
    wanted += [(True, seed) for seed in range(1, planted + 1)]
    missing = [key for key in wanted if key not in known]
    results.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    for done, (is_planted, seed) in enumerate(missing, start=1):
        known[is_planted, seed] = evaluate(seed, planted=is_planted)
        with results.open("a") as file:
            file.write(json.dumps(known[is_planted, seed]) + "\n")
        print(f"{done} of {len(missing)} lakes, {time.monotonic() - started:.0f} s", flush=True)
    return [known[key] for key in wanted]


def _stored(results: Path) -> Iterable[Record]:
    """Yield stored records; a line that was cut when the process was stopped is passed over."""
    for line in results.read_text().splitlines() if results.exists() else []:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def edges_of(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row per lake, experiment, horizon and edge that is there.

    Columns: planted, seed, experiment, `EDGE_KEYS`, and kind: ``state`` or ``spread``. Left out
    are edge_best and edge_worst, which repeat a state.
    """
    rows = [
        (record["planted"], record["seed"], name, *row)
        for record in records
        for name, found in record["experiments"].items()
        for row in found["edges"]
    ]
    frame = pd.DataFrame(rows, columns=["planted", "seed", "experiment", *EDGE_KEYS])
    frame = frame[frame["estimate"].notna() & ~frame["edge"].isin(["edge_best", "edge_worst"])]
    frame["kind"] = np.where(frame["edge"] == "spread", "spread", "state")
    return frame


def sides_of(records: Sequence[Record]) -> pd.DataFrame:
    """Return days and sum of Y in MAJORS states and in ALTS states, per lake and horizon.

    Columns: experiment, horizon_days, seed, n_majors, sum_majors, n_alts, sum_alts.
    """
    rows = []
    for record in records:
        for name, found in record["experiments"].items():
            total = {(h, side, x): 0.0 for h in HORIZONS for side in SIDES for x in ("n", "sum")}
            for horizon, regime, n, mean in found["statistics"]:
                for side in SIDES:
                    if regime.endswith(side) and n:
                        total[horizon, side, "n"] += n
                        total[horizon, side, "sum"] += n * mean
            rows += [
                (
                    name,
                    h,
                    record["seed"],
                    *(total[h, side, x] for side in SIDES for x in ("n", "sum")),
                )
                for h in HORIZONS
            ]
    return pd.DataFrame(rows, columns=["experiment", "horizon_days", "seed", *SUMS])


def share(hit: pd.Series, seed: pd.Series) -> tuple[float, float]:
    """Return the share of hits and its standard error, lakes (not edges) being independent."""
    rate = float(hit.mean())
    by_lake = (hit - rate).groupby(seed).sum()
    return rate, float(np.sqrt((by_lake**2).sum())) / len(hit)


def rejection_rows(edges: pd.DataFrame) -> Iterator[Row]:
    """Yield how often each test rejects at 5%: edges of evidence normal."""
    for (name, kind, horizon), group in _supported(edges, ["experiment", "kind", "horizon_days"]):
        rates = {test: share(group[test] <= LEVEL, group["seed"]) for test in TESTS}
        yield {
            "experiment": _short(name),
            "edge": kind,
            "h": f"{horizon}",
            "lakes": f"{group['seed'].nunique()}",
            "p-values": f"{len(group)}",
            **{TESTS[test]: f"{100 * r:.1f} ± {100 * se:.1f}" for test, (r, se) in rates.items()},
        }


def uniformity_rows(edges: pd.DataFrame) -> Iterator[Row]:
    """Yield Kolmogorov-Smirnov p-values, for edges of which each lake has one."""
    for (name, edge, horizon), group in _supported(edges, ["experiment", "edge", "horizon_days"]):
        if (name, edge) in ONE_PER_LAKE:
            yield {
                "experiment": _short(name),
                "edge": edge,
                "h": f"{horizon}",
                **{
                    label: f"{stats.kstest(group[test], 'uniform').pvalue:.2f}"
                    for test, label in TESTS.items()
                },
            }


def picked_rows(edges: pd.DataFrame) -> Iterator[Row]:
    """Yield how often a lake has any state that the shift test rejects, plain and by max-T."""
    states = edges[edges["kind"] == "state"]
    for (name, horizon), group in _supported(states, ["experiment", "horizon_days"]):
        least = group.groupby("seed")[["p_shift", "p_max_t"]].min() <= LEVEL
        error = np.sqrt(least.mean() * (1 - least.mean()) / len(least))
        yield {
            "experiment": _short(name),
            "h": f"{horizon}",
            "lakes": f"{len(least)}",
            **{
                f"any {test} <= 5%": f"{100 * least[test].mean():.1f} ± {100 * error[test]:.1f}"
                for test in least
            },
        }


def evidence_rows(edges: pd.DataFrame) -> Iterator[Row]:
    """Yield how well edges are supported, over all lakes and horizons."""
    for (name, kind), group in _groups(edges, ["experiment", "kind"]):
        each = len(group) / edges["horizon_days"].nunique() / edges["seed"].nunique()
        yield {
            "experiment": _short(name),
            "edge": kind,
            "present, per lake": f"{each:.2f}",
            **{
                grade: f"{100 * (group['evidence'] == grade).mean():.0f}%"
                for grade in ("normal", "low", "shift only", "none")
            },
        }


def tilt_rows(sides: pd.DataFrame) -> Iterator[Row]:
    """Yield the contrast of MAJORS and ALTS days, averaged over lakes and pooled, in bp.

    With nothing to be known about Y, the sum of Y - E(Y) over the days of a state has expectation
    zero whatever the state looks at, as long as it looks back. Pooling the days of all lakes uses
    those sums; the average over lakes of what each run reports divides them by numbers of days that
    depend on the path of prices, and that has a bias. Their difference is that bias, and since
    both share nearly all of their noise it is measured well. Standard errors: jackknife over lakes.
    """
    for (name, horizon), group in _groups(sides, ["experiment", "horizon_days"]):
        both = group[(group["n_majors"] > 0) & (group["n_alts"] > 0)][SUMS]
        each, m = 1e4 * _contrast(both), len(both)
        total = both.sum()
        average, pooled = float(each.mean()), 1e4 * float(_contrast(total.to_frame().T).iloc[0])
        average_without = (each.sum() - each) / (m - 1)
        pooled_without = 1e4 * _contrast(total - both)
        found = {
            "average over lakes": (average, average_without),
            "pooled over lakes": (pooled, pooled_without),
            "bias": (average - pooled, average_without - pooled_without),
        }
        yield {
            "experiment": _short(name),
            "h": f"{horizon}",
            **{
                label: f"{value:+.1f} ± {np.sqrt((m - 1) * without.var(ddof=0)):.1f}"
                for label, (value, without) in found.items()
            },
            "sd of one lake": f"{each.std():.0f}",
            "bias / sd": f"{(average - pooled) / each.std():+.2f}",
        }


def _contrast(sides: pd.DataFrame) -> pd.Series:
    return sides["sum_majors"] / sides["n_majors"] - sides["sum_alts"] / sides["n_alts"]


def spread_rows(edges: pd.DataFrame) -> Iterator[Row]:
    """Yield mean and sd of t = estimate / se of spreads, and rejections by direction."""
    spreads = edges[edges["kind"] == "spread"]
    for (name, horizon), group in _supported(spreads, ["experiment", "horizon_days"]):
        t = group["estimate"] / group["se"]
        row = {
            "experiment": _short(name),
            "h": f"{horizon}",
            "mean t": f"{t.mean():+.2f} ± {t.std() / np.sqrt(len(t)):.2f}",
            "sd of t": f"{t.std():.2f}",
            "spread > 0": f"{100 * (t > 0).mean():.0f}%",
        }
        for label, sign in (("< 0", -1.0), ("> 0", 1.0)):
            rate, error = share((group["p_value"] <= LEVEL) & (sign * t > 0), group["seed"])
            row[f"p_value <= 5%, spread {label}"] = f"{100 * rate:.1f} ± {100 * error:.1f}"
        yield row


def planted_rows(edges: pd.DataFrame) -> Iterator[Row]:
    """Yield in how many lakes the planted edge is found in its direction, by horizon.

    A cell has: right direction, and of these p <= 5% of each test.
    """
    shown = edges[edges["edge"].str.contains("RISK_ON|spread")]
    for (name, edge), group in _supported(shown, ["experiment", "edge"]):
        sign = 1.0 if edge.endswith("ALTS") else -1.0
        cells = {}
        wrong = 0
        for horizon, at in group.groupby("horizon_days"):
            right = sign * at["estimate"] > 0
            found = [f"{(right & (at[test] <= LEVEL)).sum()}" for test in TESTS]
            cells[f"h = {horizon}"] = f"{right.sum()}/{len(at)}: {', '.join(found)}"
            wrong += (~right & (at[list(TESTS)] <= LEVEL).any(axis=1)).sum()
        yield {
            "experiment": _short(name),
            "edge": edge,
            "lakes": f"{group['seed'].nunique()}",
            **cells,
            "wrong direction, any p <= 5%": f"{wrong}",
        }


def markdown(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table, numbers to the right."""
    table = list(rows)
    names = list(table[0])
    text = {"experiment", "edge"}
    lines = [names, ["---" if name in text else "--:" for name in names]]
    lines += [list(row.values()) for row in table]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _supported(edges: pd.DataFrame, by: list[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield groups of the edges of evidence normal that at least half of the lakes have."""
    lakes = edges["seed"].nunique()
    for key, group in _groups(_normal(edges), by):
        if 2 * group["seed"].nunique() >= lakes:
            yield key, group


def _groups(frame: pd.DataFrame, by: list[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield groups in the order of the experiments, then of first appearance."""
    yield from frame.groupby(by, sort=False)


def _normal(edges: pd.DataFrame) -> pd.DataFrame:
    return edges[edges["evidence"] == "normal"]


def _short(experiment_id: str) -> str:
    return experiment_id.removeprefix("msm_v1_")


@dataclass(frozen=True)
class Figure:
    """One image: histograms by test (rows) and horizon (columns)."""

    file: str
    what: str
    experiment: str
    kind: str


FIGURES: Final = (
    Figure("sample_null_spread.svg", "the spread of three states", "msm_v1_three_states", "spread"),
    Figure("sample_null_states.svg", "the states of the baseline", "msm_v1_baseline", "state"),
    Figure(
        "sample_null_funding_only.svg", "the states of funding only", "msm_v1_funding_only", "state"
    ),
)
LEGEND: Final = (
    "Share of p-values in each tenth; orange: p up to 5%. Dashed line: what chance alone gives; "
    "band: plus or minus two standard errors."
)

# Mid-tones that are legible on white and on black, for viewers that ignore the colour scheme.
STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #6e7781 }
  .title { font-size: 14px; font-weight: 600 }
  .small { font-size: 10px }
  .bar { fill: #3b82d6 }
  .low { fill: #d9822b }
  .band { fill: #8b949e; fill-opacity: 0.25 }
  .line { stroke: #6e7781; stroke-width: 1 }
  .even { stroke: #6e7781; stroke-width: 1; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9da7b3 }
    .bar { fill: #5b9ee6 }
    .line, .even { stroke: #9da7b3 }
  }
"""
PANEL: Final = (150, 86)
STEP: Final = (176, 126)
ORIGIN: Final = (126, 74)


def image(figure: Figure, edges: pd.DataFrame) -> str:
    """Return a figure as SVG: shares of p-values in ten bins, and of those up to 5%.

    The dashed line is what uniform p-values give, the grey band plus or minus two Monte Carlo
    standard errors about it, lakes being independent.
    """
    chosen = edges[(edges["experiment"] == figure.experiment) & (edges["kind"] == figure.kind)]
    chosen = _normal(chosen)
    panels = [
        [_Panel.of(chosen[chosen["horizon_days"] == horizon], test) for horizon in HORIZONS]
        for test in TESTS
    ]
    top = max(max(*panel.shares, 1 / BINS + panel.band) for row in panels for panel in row)
    title = f"No edge planted: p-values of {figure.what}"
    width = ORIGIN[0] + STEP[0] * len(HORIZONS)
    height = ORIGIN[1] + STEP[1] * len(TESTS) + 4
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{title}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="20">{title}</text>',
        f'<text class="small" x="8" y="38">{LEGEND}</text>',
    ]
    for column, horizon in enumerate(HORIZONS):
        x = ORIGIN[0] + STEP[0] * column + PANEL[0] / 2
        days = "1 day ahead" if horizon == 1 else f"{horizon} days ahead"
        parts.append(f'<text x="{x:g}" y="62" text-anchor="middle">{days}</text>')
    for row, (name, line) in enumerate(zip(TESTS.values(), panels, strict=True)):
        y = ORIGIN[1] + STEP[1] * row
        parts.append(f'<text x="8" y="{y + PANEL[1] / 2 + 4:g}">{name}</text>')
        for column, panel in enumerate(line):
            parts += panel.drawn(ORIGIN[0] + STEP[0] * column, y, top)
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Panel:
    """One histogram."""

    shares: list[float]
    band: float
    rejected: float
    n: int

    @classmethod
    def of(cls, edges: pd.DataFrame, test: str) -> _Panel:
        at = np.ceil((edges[test] * BINS).round(9)) - 1  # p = 0.1 is in the first bin
        found = [share(at == k, edges["seed"]) for k in range(BINS)]
        error = float(np.sqrt(np.mean([se**2 for _, se in found])))
        return cls(
            shares=[rate for rate, _ in found],
            band=2.0 * error,
            rejected=float((edges[test] <= LEVEL).mean()),
            n=len(edges),
        )

    def drawn(self, x: float, y: float, top: float) -> Iterator[str]:
        """Yield the elements of the panel whose upper left corner is (x, y)."""
        width, height = PANEL
        bar = width / BINS

        def level(value: float) -> float:
            return y + height * (1.0 - value / top)

        high, low = min(1 / BINS + self.band, top), max(1 / BINS - self.band, 0.0)
        yield (
            f'<rect class="band" x="{x:g}" y="{level(high):.1f}" width="{width}" '
            f'height="{level(low) - level(high):.1f}"/>'
        )
        for k, value in enumerate(self.shares):
            yield (
                f'<rect class="bar" x="{x + bar * k + 1:g}" y="{level(value):.1f}" '
                f'width="{bar - 2:g}" height="{y + height - level(value):.1f}"/>'
            )
        # p <= 5% lies within the first bar: its share, in another colour
        yield (
            f'<rect class="low" x="{x + 1:g}" y="{level(self.rejected):.1f}" '
            f'width="{bar - 2:g}" height="{y + height - level(self.rejected):.1f}"/>'
        )
        even = level(1 / BINS)
        yield f'<line class="even" x1="{x:g}" x2="{x + width:g}" y1="{even:.1f}" y2="{even:.1f}"/>'
        base = y + height
        yield f'<line class="line" x1="{x:g}" x2="{x + width:g}" y1="{base:g}" y2="{base:g}"/>'
        for value in (0.0, 0.5, 1.0):
            yield (
                f'<text class="small" x="{x + width * value:g}" y="{base + 12:g}" '
                f'text-anchor="middle">{value:g}</text>'
            )
        if x == ORIGIN[0]:
            yield (
                f'<text class="small" x="{x - 4:g}" y="{even + 3:.1f}" text-anchor="end">10%</text>'
            )
        yield (
            f'<text class="small" x="{x + width / 2:g}" y="{base + 25:g}" text-anchor="middle">'
            f"{100 * self.rejected:.1f}% of {self.n} at 5%</text>"
        )


def write_document(records: Sequence[Record], folder: Path) -> None:
    """Write the images, and the tables between their marks in the document."""
    edges = edges_of(records)
    null = edges[~edges["planted"]]
    tables = {
        "Rejections at 5%": (
            "Percent of p-values up to 5%, ± one standard error. *state*: every state that is "
            "present; *spread*: the most MAJORS state minus the most ALTS state.",
            rejection_rows(null),
        ),
        "Uniform?": (
            "p-values of Kolmogorov-Smirnov tests, for edges of which a lake has exactly one.",
            uniformity_rows(null),
        ),
        "Picked after looking": (
            "Percent of lakes in which the shift test rejects at least one state.",
            picked_rows(null),
        ),
        "Evidence": ("How well the edges that are present are supported.", evidence_rows(null)),
        "Direction": (
            "t = estimate / se of the spread, and percent of lakes with p_value up to 5% by sign.",
            spread_rows(null),
        ),
        "The tilt": (
            "Mean Y on days of MAJORS states minus mean Y on days of ALTS states, basis points.",
            tilt_rows(sides_of([record for record in records if not record["planted"]])),
        ),
        "With the edge planted": (
            "Lakes in the right direction / lakes, and how many of the former have p up to 5%: "
            f"{', '.join(TESTS.values())}.",
            planted_rows(edges[edges["planted"]]),
        ),
    }
    text = "\n\n".join(
        f"### {title}\n\n{note}\n\n{markdown(rows)}" for title, (note, rows) in tables.items()
    )
    document = folder / DOC
    before, _, rest = document.read_text().partition(BEGIN)
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
    images = document.parent / "images"
    images.mkdir(exist_ok=True)
    for figure in FIGURES:
        (images / figure.file).write_text(image(figure, null))


def main() -> None:
    """Compute what is missing, then write tables and images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lakes", type=int, default=200, help="lakes without an edge")
    parser.add_argument("--planted", type=int, default=20, help="lakes with the planted edge")
    parser.add_argument(
        "--results", type=Path, default=project_dir() / "target" / "sample_null.jsonl"
    )
    given = parser.parse_args()
    records = collect(given.results, lakes=given.lakes, planted=given.planted)
    write_document(records, project_dir())


if __name__ == "__main__":
    main()
