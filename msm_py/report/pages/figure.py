"""Figures of pages: what Plotly draws, in words too, and the colours that all pages share.

A figure is data for the script of the page: no chart is drawn in Python, and nothing here imports a
plotting library. Colours that begin with ``$`` are those of the page (``$ink``, ``$muted``,
``$grid``, ``$paper``), which differ between light and dark; the others were chosen to be told apart
on both and with any kind of colour vision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np

from msm_py.report.pages.texts import state_name

INK, MUTED, GRID, PAPER = "$ink", "$muted", "$grid", "$paper"
GOOD: Final = "#1a9a86"
BAD: Final = "#c2417c"
STATE_COLOURS: Final[Mapping[str, str]] = {
    "STRONG_RISK_ON_ALTS": "#b35806",
    "WEAK_RISK_ON_ALTS": "#e99a35",
    "RISK_ON_ALTS": "#e08214",
    "BALANCED": "#9aa3ad",
    "WEAK_RISK_ON_MAJORS": "#5aa9dd",
    "RISK_ON_MAJORS": "#3b8ac4",
    "STRONG_RISK_ON_MAJORS": "#1f5fa8",
}
SERIES: Final = (  # Okabe and Ito's, in an order in which neighbours differ in lightness too
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#b8a200"),
    *("#7f7f7f", "#a05a2c"),
)
BAD_TO_GOOD: Final = ((0, BAD), (0.5, PAPER), (1, GOOD))


@dataclass(frozen=True)
class Switch:
    """A button beside a figure, pressed or not.

    Parameters
    ----------
    label
        What it says.
    pressed, released
        What changes in the layout, as Plotly's relayout takes it.
    """

    label: str
    pressed: Mapping[str, Any]
    released: Mapping[str, Any]


@dataclass(frozen=True)
class DataTable:
    """The numbers of a figure, for who reads rather than looks.

    Parameters
    ----------
    head
        Names of the columns; the first one names the row.
    rows
        Texts.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    """One figure of a page.

    Parameters
    ----------
    name
        Its id in the page.
    title
        What it shows.
    summary
        The same in words, with the numbers that matter: for screen readers, and below the title.
    data, layout
        Plotly's traces and layout.
    height
        Pixels.
    switches
        Buttons.
    table
        The numbers behind it, where they are few.
    key
        What colours of the background mean: name and colour.
    """

    name: str
    title: str
    summary: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any] = field(default_factory=dict)
    height: int = 340
    switches: Sequence[Switch] = ()
    table: DataTable | None = None
    key: Sequence[tuple[str, str]] = ()

    @property
    def spec(self) -> dict[str, Any]:
        """What the script of the page draws."""
        return {"data": list(self.data), "layout": {"height": self.height, **self.layout}}


def rounded(values: Iterable[float | None], digits: int = 4) -> list[float | None]:
    """Return numbers with so many digits that count; None where one is missing or not finite.

    Examples
    --------
    >>> rounded([0.123456, 1234567.0, None, float("nan"), 2.0])
    [0.1235, 1235000.0, None, None, 2]
    """
    found: list[float | None] = []
    for value in values:
        if value is None or not np.isfinite(value):
            found.append(None)
            continue
        short = float(f"{value:.{digits}g}")
        found.append(int(short) if short == int(short) and abs(short) < 1e6 else short)
    return found


def daily(first: date) -> dict[str, Any]:
    """Return the horizontal places of a trace with a value for every day, from a day on."""
    return {"x0": first.isoformat(), "dx": 86_400_000}


def state_strip(first: date, states: Sequence[str | None], shown: Sequence[str]) -> dict[str, Any]:
    """Return a trace that tints a figure's background by state, on its second vertical axis.

    Parameters
    ----------
    first
        The first day.
    states
        The state of every day from then on.
    shown
        The states, from ALTS to MAJORS.
    """
    place = {name: number for number, name in enumerate(shown)}
    number = max(len(shown), 1)
    scale = [
        (edge / number, STATE_COLOURS[name])
        for place_, name in enumerate(shown)
        for edge in (place_, place_ + 1)
    ]
    return {
        "type": "heatmap",
        **daily(first),
        "z": [[place.get(state) if state is not None else None for state in states]],
        "y": [0.5],
        "yaxis": "y2",
        "zmin": -0.5,
        "zmax": number - 0.5,
        "colorscale": scale,
        "showscale": False,
        "opacity": 0.22,
        "hoverinfo": "skip",
    }


def state_key(regimes: Iterable[str]) -> list[tuple[str, str]]:
    """Return what the colours of states mean."""
    return [(state_name(regime), STATE_COLOURS[regime]) for regime in regimes]


STRIP_AXIS: Final = {
    "range": [0, 1],
    "visible": False,
    "fixedrange": True,
    "domain": [0, 1],
}
"""The second vertical axis, of a tinted background, which lies below the first (`OVER_STRIP`)."""
OVER_STRIP: Final = {"overlaying": "y2", "tickmode": "auto"}
