"""Experiments: from a YAML, or from what stands in dbt's ``--vars``, to one validated model."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from msm_py.errors import MsmError, together
from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.messages import translate
from msm_py.experiment.registry import feature_registry
from msm_py.experiment.schema import Experiment
from msm_py.experiment.yaml_file import read_yaml_map
from msm_py.text import shown
from msm_py.yaml_file import check_given

E = TypeVar("E", bound=Experiment)


def load_experiment(
    path: str | Path, *, start: date | str | None = None, end: date | str | None = None
) -> Experiment:
    """Load and validate one experiment file.

    Parameters
    ----------
    path
        A YAML file.
    start, end
        Replace ``window.start`` and ``window.end``, as the command line does.

    Returns
    -------
    Experiment
        With all defaults filled in.

    Raises
    ------
    MsmError
        Anything wrong with the file or what stands in it.
    """
    raw = read_yaml_map(Path(path))
    raw, names = with_window(raw, start, end)
    return validated(Experiment, raw, prefix=f"{path}: ", names=names)


def load_experiments(
    paths: Iterable[str | Path],
    *,
    start: date | str | None = None,
    end: date | str | None = None,
) -> list[Experiment]:
    """Load several files, in order; a spec that is given twice counts once.

    Parameters
    ----------
    paths
        YAML files.
    start, end
        As in `load_experiment`.

    Returns
    -------
    list of Experiment

    Raises
    ------
    MsmError
        All that is wrong with the files; or two give one experiment_id to different specs.
    """
    loaded, errors = [], []
    for path in paths:
        try:
            loaded.append((str(path), load_experiment(path, start=start, end=end)))
        except MsmError as error:
            errors.append(error)
    if errors:
        raise together(errors)
    return distinct(loaded)


def from_resolved(spec: object, *, where: str = "experiment") -> Experiment:
    """Validate a resolved experiment, or one written by hand that leaves defaults out.

    Parameters
    ----------
    spec
        What should be a map with the keys of an experiment.
    where
        What it is called in messages, such as ``experiments[3]``.

    Returns
    -------
    Experiment
        ``from_resolved(ids.resolve(x)) == x``.

    Raises
    ------
    MsmError
        Anything wrong with it; ``where`` says for example ``experiments[3].features[0].id``.

    Examples
    --------
    >>> features = [{"id": "momentum", "weight": "2e-1"}]
    >>> x = from_resolved({"experiment_id": "a", "features": features})
    >>> x.features[0].weight, x.target.short_leg.n
    (0.2, 20)
    """
    check_given(spec, where)
    return validated(Experiment, spec, prefix=f"{where}.")


def experiments_from_vars(value: object, *, where: str = "experiments") -> list[Experiment]:
    """Validate the list of experiments that dbt's ``--vars`` carry.

    Parameters
    ----------
    value
        What stands in the var: a list of maps; None means no experiments.
    where
        What it is called in messages.

    Returns
    -------
    list of Experiment
        In order; identical specs once.

    Raises
    ------
    MsmError
        No list, an item that is no valid experiment, or one experiment_id for different specs.
    """
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise MsmError(
            "the experiments must be a list",
            where=where,
            received="a map" if isinstance(value, dict) else shown(value),
            remedy='write [{"experiment_id": ...}], or let `msm vars EXPERIMENT.yaml` write it',
        )
    names = (f"{where}[{index}]" for index in range(len(value)))
    return distinct(
        (name, from_resolved(item, where=name)) for name, item in zip(names, value, strict=True)
    )


def read_experiments_file(path: str | Path) -> object:
    """Read the JSON file that ``msm vars --out`` writes, without looking at the experiments.

    Parameters
    ----------
    path
        A JSON file: a list of experiments, or a map with the one key ``experiments``.

    Raises
    ------
    MsmError
        No such file, broken JSON, or a key given twice.
    """
    remedy = "write it with `msm vars EXPERIMENT.yaml --out FILE`"
    reason = None
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for
            reason = "it is a folder, a pipe or a device"
        else:
            content = Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:  # a NUL in the name
        reason = str(error)
    if reason is not None:
        raise MsmError(
            "the experiments file cannot be read", where=str(path), received=reason, remedy=remedy
        )
    try:
        data = json.loads(content, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise MsmError(
            "the experiments file is broken JSON",
            where=str(path),
            received=str(error),
            remedy=remedy,
        ) from None
    return data["experiments"] if isinstance(data, dict) and list(data) == ["experiments"] else data


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = Counter(key for key, _ in pairs)
    if len(keys) < len(pairs):
        raise ValueError(f"the key {keys.most_common(1)[0][0]} is given twice")
    return dict(pairs)


def validated(
    model: type[E], raw: object, *, prefix: str, names: Mapping[str, str] | None = None
) -> E:
    """Validate an experiment or a sweep; ``prefix`` and ``names`` as in `translate`.

    Raises
    ------
    MsmError
        The finding that most likely caused the others; a sweep where one experiment is expected.
    """
    if isinstance(raw, dict) and "sweep" in raw and "sweep" not in model.model_fields:
        raise MsmError(
            "this file is a sweep" if prefix.endswith(": ") else "this is a sweep",
            where=f"{prefix}sweep",
            remedy="run it with `msm sweep`",
        )
    try:
        return model.model_validate(raw, context={"feature_ids": list(feature_registry())})
    except ValidationError as error:
        raise translate(error, raw, prefix, names) from None


def with_window(
    raw: dict[str, Any], start: date | str | None, end: date | str | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Lay the dates of the command line over the file's, and say which keys came from there."""
    given = {key: day for key, day in (("start", start), ("end", end)) if day is not None}
    window = raw.get("window", {})
    if not given or not isinstance(window, dict):
        return raw, {}
    names = {f"window.{key}": f"--{key}" for key in given}
    return {**raw, "window": {**window, **given}}, names


def distinct(named: Iterable[tuple[str, Experiment]]) -> list[Experiment]:
    """Return named experiments, each once.

    Raises
    ------
    MsmError
        One experiment_id stands for two different experiments.
    """
    first: dict[str, tuple[str, Experiment]] = {}
    for name, experiment in named:
        known_name, known = first.setdefault(experiment.experiment_id, (name, experiment))
        if known != experiment:
            raise MsmError(
                "one experiment_id stands for two different experiments",
                where=f"{known_name} and {name}",
                received=experiment.experiment_id,
                remedy="give one of them another experiment_id",
            )
    return [experiment for _, experiment in first.values()]


def variables(resolved: Iterable[ResolvedRun]) -> str:
    r"""Return experiments as the text of dbt's ``--vars``, which is JSON and YAML alike.

    All but ASCII is escaped, as YAML takes some of it for line breaks and none of DEL; characters
    above U+FFFF stand for themselves, as YAML knows no pairs of escapes.

    Examples
    --------
    >>> spec = {"experiment_id": "a", "features": [{"id": "momentum", "weight": 1}]}
    >>> run = ResolvedRun("a-0", from_resolved({**spec, "title": "na\u00efve 🚀"}))
    >>> print(variables([run])[:80])
    {"experiments": [{"run_id": "a-0", "experiment_id": "a", "title": "na\u00efve 🚀"
    """
    given = [run.as_variable() for run in resolved]
    text = json.dumps({"experiments": given}, ensure_ascii=False)
    return re.sub("[\x7f-\uffff]", lambda found: f"\\u{ord(found[0]):04x}", text)
