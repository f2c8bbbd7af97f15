"""Sweeps: from the ``sweep:`` block of a file to a family of experiments.

The variants are all points of ``grid``, each with every row of ``zip``, each with every draw of
``random``; a part that is left out counts as one that changes nothing. Every grid point sees the
same draws, so points can be compared draw by draw. A path changes that one value of the file, and
defaults that depend on others are filled in afterwards, as if someone had written the variant.

A variant's experiment_id and title come from the values at the swept paths alone, as they are
after validation. Adding a value, or a draw, leaves the others' names and run ids as they are.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from os.path import commonprefix
from pathlib import Path
from typing import Any

from msm_py.errors import MsmError
from msm_py.experiment import (
    Resolved,
    canonical_json,
    resolve,
    short_hash,
    validated,
    with_window,
)
from msm_py.experiment_errors import RETIRED, places, shown
from msm_py.experiment_schema import (
    MOST_VARIANTS,
    Experiment,
    RandomDraws,
    Range,
    Sweep,
    SweepFile,
)
from msm_py.experiment_values import did_you_mean
from msm_py.experiment_yaml import read_yaml_map
from msm_py.registry import feature_registry

__all__ = ["Expansion", "Rejected", "collect", "expand"]

Values = dict[str, Any]
NAMES = ("experiment_id", "title", "description")
LONGEST_ID = 200 - len("_") - 10
DIGITS = 6


@dataclass(frozen=True)
class Rejected:
    """A variant that is no valid experiment: a trial that failed by validation.

    Attributes
    ----------
    title
        What differs, as in the title of a valid variant; or the file.
    error
        The reason, in one line.
    """

    title: str
    error: str


@dataclass(frozen=True)
class Expansion:
    """The experiments of a sweep.

    Attributes
    ----------
    base_id
        The experiment_id of the file; for several files the words that their ids begin with.
    variants
        Valid experiments in the order of the file: the grid's first path varies slowest, then the
        rows of the zip, then the draws. No two ask the same question.
    rejected
        What failed by validation, in order.
    n_duplicates
        Number of variants dropped because they equal an earlier one but for id, title and
        description.
    """

    base_id: str
    variants: tuple[Experiment, ...]
    rejected: tuple[Rejected, ...]
    n_duplicates: int


def expand(
    source: str | Path | Mapping[str, Any],
    *,
    start: date | str | None = None,
    end: date | str | None = None,
) -> Expansion:
    """Expand one file, or what stands in it, to its variants.

    Parameters
    ----------
    source
        A YAML file, or the map that it holds. Without ``sweep:`` it is its own single variant.
    start, end
        Replace ``window.start`` and ``window.end`` of all variants, as the command line does.

    Returns
    -------
    Expansion
        What is wrong with a single variant is in ``rejected``.

    Raises
    ------
    MsmError
        Anything wrong with the experiment that the file describes without its block, or with the
        block: an unknown path, a path given twice or inside another one, more than
        100,000 variants, a swept window beside ``start`` or ``end``.

    Examples
    --------
    >>> raw = {"experiment_id": "a", "features": [{"id": "momentum", "weight": 1}]}
    >>> raw["sweep"] = {"grid": {"target.short_leg.n": [10, 20.0, 20, 0]}}
    >>> sweep = expand(raw)
    >>> [(x.experiment_id, x.title) for x in sweep.variants]
    [('a_c9c31ac52f', 'short_leg.n 10'), ('a_c3f8b97e0f', 'short_leg.n 20')]
    >>> sweep.rejected
    (Rejected(title='short_leg.n 0', error='n must be at least 1 (target.short_leg.n: 0)'),)
    >>> sweep.n_duplicates
    1
    """
    if isinstance(source, Mapping):
        return _expand(dict(source), "", start, end)
    return _expand(read_yaml_map(Path(source)), f"{source}: ", start, end)


def collect(
    paths: Sequence[str | Path],
    *,
    start: date | str | None = None,
    end: date | str | None = None,
) -> Expansion:
    """Expand several files, plain experiments and sweeps alike, to one family.

    Parameters
    ----------
    paths
        YAML files. Duplicates across files are dropped: the first one keeps its name.
    start, end
        As in `expand`.

    Returns
    -------
    Expansion
        Among several files, a plain experiment that is not valid is ``rejected``, titled by its
        path; a single file raises, because there is nothing else to run.

    Raises
    ------
    MsmError
        As `expand`; no files; or two files give one experiment_id to different specs.
    """
    if not paths:
        raise MsmError("there are no experiment files", remedy="name files, or check the pattern")
    parts: list[tuple[str, Expansion]] = []
    for path in paths:
        raw = read_yaml_map(Path(path))
        try:
            part = _expand(raw, f"{path}: ", start, end)
        except MsmError as error:
            if "sweep" in raw or len(paths) == 1:
                raise
            part = Expansion("", (), (Rejected(str(path), _one_line(error, f"{path}: ")),), 0)
        parts.append((str(path), part))
    named = [(path, variant) for path, part in parts for variant in part.variants]
    variants = _without_duplicates(variant for _, variant in named)
    _check_ids((path, variant) for path, variant in named if variant in variants)
    return Expansion(
        base_id=_common_id([part.base_id for _, part in parts if part.base_id]),
        variants=tuple(variants),
        rejected=tuple(one for _, part in parts for one in part.rejected),
        n_duplicates=sum(part.n_duplicates for _, part in parts) + len(named) - len(variants),
    )
