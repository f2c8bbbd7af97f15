"""Figures of a leaderboard: luck, and what the settings that differ make of the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.special import log_ndtr

from msm_py._typing import Floats, Ints
from msm_py.report.figures import count_of
from msm_py.report.pages.board_data import Board
from msm_py.report.pages.figure import (
    BAD_TO_GOOD,
    GOOD,
    GRID,
    INK,
    MUTED,
    PAPER,
    SERIES,
    DataTable,
    Figure,
    rounded,
)
from msm_py.report.pages.texts import number, percent, plain
from msm_py.report.varying import short_names
from msm_py.stats.sharpe import ANNUALIZATION_DAYS, expected_maximum_sharpe

MOST_VALUES: Final = 8  # of a setting: beyond, numbers are put into classes of equal size
N_CLASSES: Final = 6
MOST_SETTINGS: Final = 9  # with axes of their own
PAIRED: Final = 3  # settings that matter most, each with each other


class Measured(NamedTuple):
    """A number by which runs are compared: its column, name, decimals and unit."""

    column: str
    label: str
    digits: int
    unit: str = ""
    more_is_better: bool = True

    def text(self, value: float) -> str:
        """Return a value as it is shown."""
        known = float(value) if np.isfinite(value) else None
        return percent(known, self.digits) if self.unit else number(known, self.digits)


NET_SHARPE: Final = Measured("net_sharpe", "Net Sharpe", 2)
MEASURED: Final = (
    NET_SHARPE,
    Measured("deflated_sharpe", "Deflated Sharpe", 2),
    Measured("spread_trade_edge", "Trade edge", 2, "%"),
    Measured("net_cagr", "Net CAGR", 1, "%"),
    Measured("net_max_drawdown", "Deepest drawdown", 1, "%"),
    Measured("switches_per_year", "Switches a year", 1, more_is_better=False),
)


@dataclass(frozen=True)
class Setting:
    """A setting in which runs differ, its values in order.

    Parameters
    ----------
    name
        As much of the dotted key as tells it apart.
    labels
        The values, or classes of values, in order.
    place
        Which of them every run has; shape (runs,).
    height
        Where every run lies between the first value (0) and the last (1); shape (runs,).
    ticks
        Labels of an axis by their heights.
    """

    name: str
    labels: Sequence[str]
    place: Ints
    height: Floats
    ticks: Mapping[float, str]

    @classmethod
    def of_labels(cls, name: str, labels: Sequence[str], place: Ints) -> Setting:
        """Return a setting whose values are evenly spaced."""
        spaced = np.linspace(0, 1, len(labels)) if len(labels) > 1 else np.array([0.5])
        return cls(
            name, labels, place, spaced[place], dict(zip(spaced.tolist(), labels, strict=True))
        )

    def means(self, values: Floats) -> Floats:
        """Return the mean of the known values of the runs of each label; shape (labels,)."""
        return _means(self.place, values, len(self.labels))


def settings(board: Board) -> list[Setting]:
    """Return the settings that differ, those first that tell net Sharpe ratios apart best."""
    names = short_names(list(board.differing))
    found = [_setting(names[key], texts) for key, texts in board.differing.items()]
    sharpe = board.numbers(NET_SHARPE.column)
    return sorted(found, key=lambda setting: -_explained(setting, sharpe))


def _setting(name: str, texts: Sequence[str]) -> Setting:
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        labels = sorted(set(texts))
        return Setting.of_labels(name, labels, np.array([labels.index(text) for text in texts]))
    distinct = np.unique(values)
    if len(distinct) <= MOST_VALUES:
        labels = [f"{x:g}" for x in distinct]
        return Setting.of_labels(name, labels, np.searchsorted(distinct, values))
    cuts = np.unique(np.quantile(values, np.arange(1, N_CLASSES) / N_CLASSES))
    used, place = np.unique(np.searchsorted(cuts, values, side="left"), return_inverse=True)
    members = [values[place == number] for number in range(len(used))]
    low, high = distinct[0], distinct[-1]
    return Setting(
        name,
        [f"{x.min():.2g} to {x.max():.2g}" for x in members],
        place,
        (values - low) / (high - low),
        {0.0: f"{low:.2g}", 1.0: f"{high:.2g}"},
    )


def _explained(setting: Setting, values: Floats) -> float:
    """Return the share of the variance that the means of labels explain; 0 to 1."""
    known = np.isfinite(values)
    if known.sum() < 2 or np.ptp(values[known]) == 0:
        return 0.0
    fitted = setting.means(values)[setting.place[known]]
    return float(np.var(fitted) / np.var(values[known]))


def _means(groups: Ints, values: Floats, n: int) -> Floats:
    known = np.isfinite(values)
    sums = np.bincount(groups[known], values[known], minlength=n)
    counts = np.bincount(groups[known], minlength=n)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / counts, dtype=np.float64)


@dataclass(frozen=True)
class Luck:
    """Sharpe ratios of tries at the same days, and what luck alone would give.

    Parameters
    ----------
    sharpe
        Annual ratios on the days that the runs share, without missing ones; shape (runs,).
    n_trials
        How many were tried.
    n_days
        Test days that the runs share.
    """

    sharpe: Floats
    n_trials: int
    n_days: int

    @property
    def spread(self) -> float:
        """The standard deviation of the ratios (n - 1), which deflating takes for that of luck."""
        return float(np.std(self.sharpe, ddof=1))

    @property
    def deviation(self) -> float:
        """The standard deviation of a try without skill.

        That of the variants, but no less than the error of one annual ratio over so many days:
        variants that are much alike are close to each other, and all of them as uncertain as one.
        """
        return max(self.spread, float(np.sqrt(ANNUALIZATION_DAYS / self.n_days)))

    @property
    def expected_best(self) -> float:
        """The highest ratio that so many tries without skill are expected to show."""
        return float(expected_maximum_sharpe(self.deviation**2, self.n_trials))

    def best_density(self, x: Floats) -> Floats:
        """Return the density of the best of so many independent normal tries around 0."""
        z = x / self.deviation
        log_density = -0.5 * z * z - 0.5 * np.log(2 * np.pi) - np.log(self.deviation)
        others = (self.n_trials - 1) * log_ndtr(z)
        return np.asarray(np.exp(np.log(self.n_trials) + log_density + others))

    def one_density(self, x: Floats) -> Floats:
        """Return the density of one normal try around 0."""
        z = x / self.deviation
        return np.asarray(np.exp(-0.5 * z * z) / (self.deviation * np.sqrt(2 * np.pi)))


def luck_of(board: Board) -> Luck | None:
    """Return the ratios of a sweep and what luck would give; None of fewer than three."""
    if board.record is None:
        return None
    ratios = [row["common_sharpe"] for row in board.record["runs"]]
    known = np.array([x for x in ratios if x is not None], dtype=np.float64)
    n_days = board.record["overall"]["n_common_days"]
    if len(known) < 3 or n_days < 2:
        return None
    return Luck(known, board.record["n_trials"], n_days)


def luck(board: Board) -> Figure | None:
    """Return the distribution of the Sharpe ratios, beside what luck alone would give."""
    found = luck_of(board)
    if found is None:
        return None
    best = float(found.sharpe.max())
    spread = 4 * found.deviation
    low = min(float(found.sharpe.min()), -spread)
    high = max(best + spread / 8, found.expected_best + spread)
    counts, edges = np.histogram(found.sharpe, bins=np.linspace(low, high, 41))
    width = float(edges[1] - edges[0])
    share = counts / (counts.sum() * width)
    middles = (edges[1:] + edges[:-1]) / 2
    x = np.linspace(low, high, 161)
    line = {"type": "scatter", "mode": "lines", "x": rounded(x, 3), "hoverinfo": "skip"}
    tall = max(
        float(share.max()), float(found.best_density(x).max()), float(found.one_density(x).max())
    )
    return Figure(
        "luck",
        "The variants' Sharpe ratios, and what luck alone would give",
        f"Bars: {count_of(len(found.sharpe), 'variant')} on the test days that they share, "
        f"{number(float(found.sharpe.min()))} to {number(best)}. Lines: one try without skill, and "
        f"the best of {found.n_trials:,} independent ones, {number(found.expected_best)} on "
        f"average. A try without skill is taken to have a standard deviation of "
        f"{number(found.deviation)}: that of the variants among each other "
        f"({number(found.spread)}), and no less than the error of one annual ratio over "
        f"{found.n_days:,} days. The best variant (dashed) "
        + (
            "is beyond that average"
            if best > found.expected_best
            else "does not reach that average: picking the best of chance does as well"
        )
        + "; variants that are much alike count as fewer tries.",
        [
            {
                **{"type": "bar", "name": "variants", "x": rounded(middles, 3)},
                **{"y": rounded(share, 4), "width": width, "marker": {"color": SERIES[4]}},
                **{"customdata": counts.tolist()},
                "hovertemplate": "%{customdata} around %{x:.2f}<extra></extra>",
            },
            {
                **line,
                **{"name": "one try at nothing", "y": rounded(found.one_density(x), 4)},
                "line": {"color": MUTED, "width": 1.5, "dash": "dot"},
            },
            {
                **line,
                **{"name": f"best of {found.n_trials:,}", "y": rounded(found.best_density(x), 4)},
                **{"line": {"color": SERIES[5], "width": 2}, "fill": "tozeroy"},
                "fillcolor": "rgba(213,94,0,0.15)",
            },
        ],
        {
            "xaxis": {"title": {"text": "annual net Sharpe ratio"}, "zeroline": True},
            "yaxis": {"showticklabels": False, "range": [0, tall * 1.1]},
            "shapes": [
                {
                    **{"type": "line", "x0": best, "x1": best, "yref": "paper", "y0": 0, "y1": 1},
                    "line": {"color": INK, "width": 1.5, "dash": "dash"},
                }
            ],
            "bargap": 0.05,
            "hovermode": "closest",
            "margin": {"b": 44},
        },
        height=330,
    )


def sharpe_ratios(board: Board) -> Figure | None:
    """Return the distribution of net Sharpe ratios over different windows and lakes."""
    known = board.numbers(NET_SHARPE.column)
    known = known[np.isfinite(known)]
    if len(known) < 3:
        return None
    counts, edges = np.histogram(known, bins=min(40, max(8, len(known) // 3)))
    return Figure(
        "ratios",
        "Net Sharpe ratios",
        f"Of {count_of(len(known), 'run')}: {number(float(known.min()))} to "
        f"{number(float(known.max()))}, half of them above {number(float(np.median(known)))}. Luck "
        "gives other ratios in other windows: see the deflated ones.",
        [
            {
                **{"type": "bar", "x": rounded((edges[1:] + edges[:-1]) / 2, 3)},
                **{"y": counts.tolist(), "marker": {"color": SERIES[4]}},
                "hovertemplate": "%{y} around %{x:.2f}<extra></extra>",
            }
        ],
        {"bargap": 0.05, "hovermode": "closest", "xaxis": {}, "yaxis": {}},
        height=260,
    )


def by_value(board: Board, found: Sequence[Setting]) -> Figure | None:
    """Return means of every number by value of every setting."""
    shown = found[:MOST_SETTINGS]
    known = [x for x in MEASURED if np.isfinite(board.numbers(x.column)).any()]
    if not shown or not known:
        return None
    labels, columns = [], []
    for setting in shown:
        labels += [plain(f"{setting.name} = {label}") for label in setting.labels]
    for measured in known:
        values = board.numbers(measured.column)
        columns.append(np.concatenate([setting.means(values) for setting in shown]))
    means = np.column_stack(columns)
    texts = [
        [measured.text(value) for measured, value in zip(known, row, strict=True)] for row in means
    ]
    # what reads the same is shaded the same
    differs = [len(set(column)) > 1 for column in zip(*texts, strict=True)]
    is_shaded = [x.more_is_better and y for x, y in zip(known, differs, strict=True)]
    shades = np.where(is_shaded, _standardised(means), 0.0)
    return Figure(
        "by_value",
        "Settings by number",
        "Means over all runs with a value; colours compare within a column. "
        + _range_of(shown[0], board.numbers(NET_SHARPE.column))
        + _together(board),
        [
            {
                **{"type": "heatmap", "x": [x.label for x in known], "y": labels},
                **{"z": [rounded(row, 3) for row in shades], "text": texts},
                **{"texttemplate": "%{text}", "colorscale": BAD_TO_GOOD, "showscale": False},
                **{"zmin": -2, "zmax": 2, "xgap": 2, "ygap": 1},
                "hovertemplate": "%{y}<br>%{x}: %{text}<extra></extra>",
            }
        ],
        {
            "yaxis": {"autorange": "reversed", "type": "category", "dtick": 1, "showgrid": False},
            "xaxis": {"side": "top", "showgrid": False, "fixedrange": True},
            "hovermode": "closest",
            "margin": {"t": 40},
        },
        height=24 * len(labels) + 90,
        table=DataTable(
            ["setting", *(x.label for x in known)],
            [[label, *row] for label, row in zip(labels, texts, strict=True)],
        ),
    )


def _range_of(setting: Setting, values: Floats) -> str:
    """Say how far the means of a setting's values reach."""
    means = setting.means(values)
    if not np.isfinite(means).any():
        return "No run has a net Sharpe ratio"
    low, high = int(np.nanargmin(means)), int(np.nanargmax(means))
    return (
        f"{setting.name} tells net Sharpe ratios apart best: from {NET_SHARPE.text(means[low])} at "
        f"{setting.labels[low]} to {NET_SHARPE.text(means[high])} at {setting.labels[high]}"
    )


def _standardised(means: Floats) -> Floats:
    """Return columns less their mean, over their deviation; 0 where nothing differs."""
    with np.errstate(invalid="ignore"):
        known = np.isfinite(means)
        centred = means - np.nanmean(np.where(known, means, np.nan), axis=0)
        deviation = np.nanstd(np.where(known, means, np.nan), axis=0)
    return np.asarray(centred / np.where(deviation > 1e-12, deviation, np.inf))


def _together(board: Board) -> str:
    names = short_names([*board.differing, *(x for xs in board.moving_along.values() for x in xs)])
    said = [
        f"{names[key]} moves with {', '.join(names[x] for x in others)}"
        for key, others in board.moving_along.items()
    ]
    return f". {'; '.join(said)}." if said else "."


def pairs(board: Board, found: Sequence[Setting]) -> list[Figure]:
    """Return for pairs of the settings that matter most the mean net Sharpe ratio."""
    values = board.numbers(NET_SHARPE.column)
    shown = [setting for setting in found[:PAIRED] if len(setting.labels) > 1]
    drawn = []
    for place, (one, other) in enumerate(combinations(shown, 2), 1):
        n_rows, n_columns = len(one.labels), len(other.labels)
        cell = one.place * n_columns + other.place
        means = _means(cell, values, n_rows * n_columns).reshape(n_rows, n_columns)
        counts = np.bincount(cell, minlength=n_rows * n_columns).reshape(n_rows, n_columns)
        if not np.isfinite(means).any():
            continue
        row, column = divmod(int(np.nanargmax(means)), n_columns)
        largest = float(np.nanmax(np.abs(means))) or 1.0
        drawn.append(
            Figure(
                f"pair_{place}",
                f"Net Sharpe ratio by {one.name} and {other.name}",
                f"Means over the rest; highest {NET_SHARPE.text(means[row, column])} at "
                f"{one.labels[row]} and {other.labels[column]}. An edge worth having is a plateau, "
                "not a peak.",
                [
                    {
                        **{"type": "heatmap", "x": _shown(other), "y": _shown(one)},
                        **{"z": [rounded(line, 3) for line in means], "xgap": 2, "ygap": 2},
                        **{"colorscale": BAD_TO_GOOD, "zmin": -largest, "zmax": largest},
                        **{"showscale": False, "customdata": counts.tolist()},
                        **{"texttemplate": "%{z:.2f}"},
                        "hovertemplate": "%{y}, %{x}: %{z:.2f}, %{customdata} runs<extra></extra>",
                    }
                ],
                {
                    "xaxis": {"type": "category", "title": {"text": plain(other.name)}},
                    "yaxis": {"type": "category", "title": {"text": plain(one.name)}},
                    "hovermode": "closest",
                    "margin": {"b": 48},
                },
                height=300,
            )
        )
    return drawn


def _shown(setting: Setting) -> list[str]:
    return [plain(label) for label in setting.labels]


def parallel(board: Board, found: Sequence[Setting]) -> Figure | None:
    """Return every run as a line across the settings that differ and two of its numbers."""
    shown = sorted(found[:MOST_SETTINGS], key=lambda setting: setting.name)
    if len(shown) < 2 or len(board.rows) < 3:
        return None
    sharpe = board.numbers(NET_SHARPE.column)
    axes = [*(x.height for x in shown), _scaled(sharpe)]
    notes = [
        {
            **{"x": place, "y": height, "text": plain(label), "showarrow": False},
            **{"font": {"size": 10, "color": INK}, "bgcolor": PAPER, "opacity": 0.85},
        }
        for place, setting in enumerate(shown)
        for height, label in setting.ticks.items()
    ]
    known = sharpe[np.isfinite(sharpe)]
    ends = ((0, known.min()), (1, known.max())) if len(known) else ()
    notes += [
        {
            **{"x": len(shown), "y": height, "text": NET_SHARPE.text(value), "showarrow": False},
            **{"xanchor": "left", "font": {"size": 10, "color": INK}},
        }
        for height, value in ends
    ]
    best = set(board.best)
    rest = [place for place in range(len(board.rows)) if place not in best]
    median = np.median(known) if len(known) else np.nan
    groups = (
        ("below the median", [x for x in rest if not sharpe[x] >= median], MUTED, 0.7, 0.35),
        ("above it", [x for x in rest if sharpe[x] >= median], SERIES[4], 0.8, 0.45),
        ("the ten best", sorted(best), GOOD, 2.0, 1.0),
    )
    return Figure(
        "parallel",
        "Every run across the settings",
        "A line is a run; its last axis is the net Sharpe ratio. Where the best ones (thick) go "
        "through the same values, these matter; where they spread, chance may have picked.",
        [
            {
                **{"type": "scatter", "mode": "lines", "name": name, "opacity": opacity},
                **{"line": {"color": colour, "width": width}, "connectgaps": False},
                **_lines(axes, members),
                "text": _labels(board, members, len(axes)),
                "hovertemplate": "%{text}<extra></extra>",
            }
            for name, members, colour, width, opacity in groups
            if members
        ],
        {
            "xaxis": {
                "tickvals": list(range(len(axes))),
                "ticktext": [*(plain(x.name) for x in shown), NET_SHARPE.label],
                "gridcolor": GRID,
                "fixedrange": True,
                "range": [-0.25, len(axes) - 0.6],
            },
            "yaxis": {"visible": False, "range": [-0.06, 1.06], "fixedrange": True},
            "annotations": notes,
            "hovermode": "closest",
        },
        height=380,
    )


def _scaled(values: Floats) -> Floats:
    known = values[np.isfinite(values)]
    if not len(known) or np.ptp(known) == 0:
        return np.where(np.isfinite(values), 0.5, np.nan)
    return np.asarray((values - known.min()) / np.ptp(known))


def _lines(axes: Sequence[Floats], members: Sequence[int]) -> dict[str, Any]:
    """Return the places of lines, one after the other with a gap between them."""
    heights = np.stack([axis[members] for axis in axes], axis=1)
    gap = np.full((len(members), 1), np.nan)
    return {
        "x": [*range(len(axes)), None] * len(members),
        "y": rounded(np.hstack([heights, gap]).ravel(), 3),
    }


def _labels(board: Board, members: Sequence[int], n_axes: int) -> list[str]:
    found: list[str] = []
    for place in members:
        row = board.rows[place]
        text = f"{place + 1}. {row['run_id'].rpartition('-')[2]}, {number(row['net_sharpe'])}"
        found += [text] * n_axes + [""]
    return found


def differences(board: Board) -> DataTable | None:
    """Return what differs between the ten best: a row for each setting, a column for each run."""
    chosen = [board.params[place] for place in board.best]
    if len(chosen) < 2:
        return None
    keys = [
        key
        for key in [*board.differing, *(x for xs in board.moving_along.values() for x in xs)]
        if len({params.get(key) for params in chosen}) > 1
    ]
    names = short_names(keys)
    return DataTable(
        ["setting", *(f"{place + 1}." for place in board.best)],
        [[names[key], *(params.get(key, "") for params in chosen)] for key in keys],
    )
