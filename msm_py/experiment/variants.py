"""Sweeps: from the ``sweep:`` block of a file to its variants.

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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from msm_py.errors import MsmError
from msm_py.experiment.ids import canonical_json, resolve, short_hash
from msm_py.experiment.load import validated, with_window
from msm_py.experiment.paths import checked_paths, known_paths, value_at, with_value
from msm_py.experiment.schema import MOST_VARIANTS, Experiment
from msm_py.experiment.sweep_schema import RandomDraws, Range, Sweep, SweepFile
from msm_py.experiment.yaml_file import read_yaml_map
from msm_py.text import shown

Values = dict[str, Any]
NAMES = ("experiment_id", "title", "description")
LONGEST_BASE = 200 - len("_0123456789")
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
    [('a_a68ee01b99', 'short_leg.n 10'), ('a_4c3ae531e4', 'short_leg.n 20')]
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
        Among several files, a plain experiment that is not valid, or a file that is no YAML, is
        ``rejected``, titled by its path; a single one raises, because there is nothing else to run.

    Raises
    ------
    MsmError
        As `expand`; no files; or two files give one experiment_id to different specs.
    """
    if not paths:
        raise MsmError("there are no experiment files", remedy="name files, or check the pattern")
    parts: list[tuple[str, Expansion]] = []
    for path in paths:
        raw: dict[str, Any] = {}
        try:
            raw = read_yaml_map(Path(path))
            part = _expand(raw, f"{path}: ", start, end)
        except MsmError as error:
            if "sweep" in raw or len(paths) == 1 or not Path(path).is_file():
                raise
            part = Expansion("", (), (Rejected(str(path), _one_line(error, f"{path}: ")),), 0)
        parts.append((str(path), part))
    named = [(path, variant) for path, part in parts for variant in part.variants]
    variants = _distinct(named)
    return Expansion(
        base_id=_common_id([part.base_id for _, part in parts if part.base_id]),
        variants=variants,
        rejected=tuple(one for _, part in parts for one in part.rejected),
        n_duplicates=sum(part.n_duplicates for _, part in parts) + len(named) - len(variants),
    )


def _expand(
    raw: dict[str, Any], prefix: str, start: date | str | None, end: date | str | None
) -> Expansion:
    raw, names = with_window(raw, start, end)
    if "sweep" not in raw:
        experiment = validated(Experiment, raw, prefix=prefix, names=names)
        return Expansion(experiment.experiment_id, (experiment,), (), 0)
    file = validated(SweepFile, raw, prefix=prefix, names=names)
    base_id, sweep = file.experiment_id, file.sweep
    raw = {key: value for key, value in raw.items() if key != "sweep"}
    swept = checked_paths(sweep, known_paths(raw), names, prefix)
    valid: list[Experiment] = []
    rejected: dict[str, Rejected] = {}
    everything = _changes(sweep, prefix)
    for changes in everything:
        changed = raw
        for path in swept:
            changed = with_value(changed, path.split("."), changes[path])
        try:
            variant = validated(Experiment, changed, prefix="", names=names)
        except MsmError as error:
            title = _title({path: changes[path] for path in swept})
            rejected.setdefault(title, Rejected(title, _one_line(error)))
            continue
        resolved = resolve(variant)
        values = {path: value_at(resolved, path) for path in swept}
        own_id = f"{base_id[:LONGEST_BASE]}_{short_hash(values)}"
        own_names = {"experiment_id": own_id, "title": _title(values)}
        valid.append(variant.model_copy(update=own_names))
    variants = _distinct((prefix.rstrip(": ") or base_id, variant) for variant in valid)
    n_duplicates = len(everything) - len(variants) - len(rejected)
    return Expansion(base_id, variants, tuple(rejected.values()), n_duplicates)


def _distinct(named: Iterable[tuple[str, Experiment]]) -> tuple[Experiment, ...]:
    """Keep the first experiment of each question; ids of different questions must differ."""
    first: dict[str, Experiment] = {}
    owners: dict[str, str] = {}
    for owner, experiment in named:
        resolved = resolve(experiment)
        question = canonical_json({key: resolved[key] for key in resolved if key not in NAMES})
        if question in first:
            continue
        own_id = experiment.experiment_id
        if own_id in owners:
            raise MsmError(
                "one experiment_id stands for two different experiments",
                where=f"{owners[own_id]} and {owner}",
                received=own_id,
                remedy="give one of them another experiment_id",
            )
        owners[own_id], first[question] = owner, experiment
    return tuple(first.values())


def _common_id(ids: Sequence[str]) -> str:
    """Return the words that all ids begin with: msm_v1 for msm_v1_baseline and msm_v1_btc."""
    words = zip(*(one.split("_") for one in ids), strict=False)
    same = itertools.takewhile(lambda column: len(set(column)) == 1, words)
    return "_".join(column[0] for column in same) or "experiments"


def _changes(sweep: Sweep, prefix: str) -> list[Values]:
    """Return what each variant changes: dotted path -> value."""
    axes = [[{path: value} for value in values] for path, values in sweep.grid.items()]
    if sweep.zip:
        rows = zip(*sweep.zip.values(), strict=True)
        axes.append([dict(zip(sweep.zip, row, strict=True)) for row in rows])
    if sweep.random:
        axes.append(_draws(sweep.random))
    sizes = [len(axis) for axis in axes]
    if math.prod(sizes) > MOST_VARIANTS:
        raise MsmError(
            f"the sweep has more than {MOST_VARIANTS:,} variants",
            where=f"{prefix}sweep",
            received=" x ".join(map(str, sizes)),
            remedy="shorten the grid, or draw from it: random with {choice: [...]}",
        )
    return [
        dict(itertools.chain(*(c.items() for c in point))) for point in itertools.product(*axes)
    ]


def _draws(spec: RandomDraws) -> list[Values]:
    # A stream per path: a larger n, or another path, leaves what was drawn before as it is.
    # Python promises Random.random() to be the same in all versions, numpy's Generator does not.
    streams = {path: random.Random(f"{spec.seed} {path}") for path in spec.ranges}
    return [
        {path: _value_at(how, streams[path].random()) for path, how in spec.ranges.items()}
        for _ in range(spec.n)
    ]


def _value_at(how: Range, share: float) -> Any:
    """Return the value at a share in [0, 1) of the way through a range."""
    if how.choice is not None:
        return how.choice[int(share * len(how.choice))]
    if how.integer is not None:
        low, high = how.integer
        return low + int(share * (high - low + 1))
    if how.uniform is not None:
        least, most = how.uniform
        value, scale = least + share * (most - least), most - least
    else:
        assert how.log_uniform is not None  # the schema wants one of the four
        least, most = how.log_uniform
        value = scale = least * (most / least) ** share
    # Rounded, so that a title shows the very value and no libm's last bit makes another id.
    return min(max(round(value, DIGITS - 1 - math.floor(math.log10(scale))), least), most)


def _title(values: Values) -> str:
    """Return what differs, for people.

    >>> _title({"state_mapping.thresholds.low": -0.4, "state_mapping.thresholds.high": 0.4})
    'thresholds.low -0.4, high 0.4'
    """
    parts, above = [], [""]
    for path, value in values.items():
        *parents, name = path.split(".")
        if path.startswith("features."):
            name = path.removeprefix("features.").removesuffix(".weight")
        elif parents and parents != above:
            name = f"{parents[-1]}.{name}"
        above = parents
        number = isinstance(value, int | float) and not isinstance(value, bool)
        text = f"{value:.12g}" if number else shown(value).replace('"', "")
        parts.append(f"{name} {text}")
    return ", ".join(parts)


def _one_line(error: MsmError, prefix: str = "") -> str:
    where = (error.where or "").removeprefix(prefix)
    received = "" if error.received is None else f": {error.received}"
    return " ".join(f"{error.what} ({where}{received})".split())
