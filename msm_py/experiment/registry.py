"""The feature registry: which features exist, and what each of them needs from the lake."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from msm_py.errors import MsmError
from msm_py.settings import project_dir

COLUMNS = ("feature_id", "feature_group", "needs", "unit", "description")


@dataclass(frozen=True)
class RegisteredFeature:
    """One row of ``seeds/feature_registry.csv``.

    Attributes
    ----------
    feature_id
        The name an experiment uses.
    feature_group
        The model that computes it.
    needs
        The optional lake tables it cannot do without (``funding``, ``open_interest``).
    unit
        The unit of the raw value.
    description
        What the raw value is.
    """

    feature_id: str
    feature_group: str
    needs: tuple[str, ...]
    unit: str
    description: str


def read_registry(path: Path) -> dict[str, RegisteredFeature]:
    """Read a feature registry, in the order of its rows.

    Parameters
    ----------
    path
        A CSV file with the columns of `COLUMNS`; ``needs`` separates tables by ``;``.

    Returns
    -------
    dict
        The features by id.

    Raises
    ------
    MsmError
        The file is missing, lacks a column, or names a feature twice.
    """
    remedy = "restore seeds/feature_registry.csv from the repository"
    if not path.is_file():
        raise MsmError("the feature registry is missing", where=str(path), remedy=remedy)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        rows = list(reader)
    if missing:
        raise MsmError(
            f"the feature registry lacks the column {missing[0]}",
            where=str(path),
            received=", ".join(reader.fieldnames or ()),
            remedy=f"its columns are {', '.join(COLUMNS)}",
        )
    features: dict[str, RegisteredFeature] = {}
    for row in rows:
        feature_id = row["feature_id"]
        if feature_id in features:
            raise MsmError(
                "the feature registry names a feature twice",
                where=str(path),
                received=feature_id,
                remedy="keep one row per feature",
            )
        needs = tuple(table for table in (row["needs"] or "").split(";") if table)
        features[feature_id] = RegisteredFeature(
            feature_id, row["feature_group"], needs, row["unit"], row["description"]
        )
    return features


@lru_cache(maxsize=8)
def _read_once(path: Path) -> dict[str, RegisteredFeature]:
    return read_registry(path)


def feature_registry() -> dict[str, RegisteredFeature]:
    """Return the project's feature registry (read once per process).

    Examples
    --------
    >>> feature_registry()["oi_risk"].needs
    ('open_interest',)
    """
    return dict(_read_once(project_dir() / "seeds" / "feature_registry.csv"))
