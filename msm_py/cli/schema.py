"""What `make schema` writes: the files, and parts of files, that are made from declarations.

With ``--check`` nothing is written: files that differ are named, and the exit code is 1.
"""

from __future__ import annotations

import ast
import csv
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from msm_py.cli.measured import speed_table
from msm_py.dbt_models import rows_text
from msm_py.dbt_models.run_row import RunFeature, RunRegime, RunRow, Universe
from msm_py.dbt_models.runs import LakeRow
from msm_py.errors import MsmError
from msm_py.experiment.json_schema import json_schema_text
from msm_py.experiment.registry import feature_registry
from msm_py.ingest.spec import Asset, Read, SourceSpec, SpecFile, Time, built_in
from msm_py.lake import contract_text
from msm_py.markup import markdown_table
from msm_py.pull.datasets import DATASETS
from msm_py.settings import project_dir
from msm_py.store import catalog_columns, declared_text
from msm_py.store.warehouse_tables import ALL_TABLES, CATALOG
from msm_py.store.warehouse_views import VIEWS
from msm_py.text import listed

PACKAGE: Final = Path(__file__).parent.parent
BEGIN: Final = "written by `make schema`"
END: Final = "end of what is written"


def part(text: str, name: str, content: str) -> str:
    r"""Return a text with the part of a name replaced: what is between its two marks.

    Parameters
    ----------
    text
        Markdown, YAML or SQL. A comment on a line of its own says ``written by `make schema`:
        NAME``, another one ``end of what is written: NAME``.
    name
        Which part.
    content
        Whole lines.

    Examples
    --------
    >>> text = "a: 1\n# written by `make schema`: x\nb: 2\n# end of what is written: x\n"
    >>> print(part(text, "x", "c: 3\n"), end="")
    a: 1
    # written by `make schema`: x
    c: 3
    # end of what is written: x
    """
    lines = text.splitlines(keepends=True)
    said = [line.rstrip(" \n->#}") for line in lines]
    first, last = (_place(said, f"{mark}: {name}") for mark in (BEGIN, END))
    return "".join([*lines[: first + 1], content, *lines[last:]])


def _place(lines: Sequence[str], words: str) -> int:
    found = [place for place, line in enumerate(lines) if line.endswith(words)]
    if len(found) != 1:
        raise LookupError(f"{len(found) or 'no'} lines that end with {words!r}")
    return found[0]


def _bi(text: str) -> str:
    tables = {**ALL_TABLES, **VIEWS}
    groups = {
        CATALOG.name: {
            group: [column.name for column in columns]
            for group, columns in catalog_columns.GROUPS.items()
        }
    }
    text = part(text, "tables", f"\n{declared_text.markdown_overview(tables)}\n")
    return part(text, "columns", f"\n{declared_text.markdown_tables(tables, groups)}\n")


def _lake(text: str) -> str:
    text = part(text, "tables", f"\n{contract_text.markdown_tables()}\n")
    return part(text, "reasons", f"\n{contract_text.markdown_reasons()}\n")


def _dbt_columns(kind: type) -> Callable[[str], str]:
    return lambda text: part(text, "columns", rows_text.dbt_columns(kind, "      "))


def _wings() -> str:
    """Return the table of what stands in msm_py, from the lines of imports and first sentences."""
    lines = tomllib.loads((project_dir() / "pyproject.toml").read_text())
    wings, *_ = lines["tool"]["importlinter"]["contracts"]
    return markdown_table(
        ("`msm_py/`", "holds"),
        (
            (f"`{name}`", _first_sentence(name))
            for line in wings["layers"]
            for name in line.split(" | ")
        ),
    )


def _first_sentence(module: str) -> str:
    place = PACKAGE / module
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text()))
    assert text is not None  # ruff sees to that
    return text.splitlines()[0]


def _features() -> str:
    return markdown_table(
        ("id", "raw value", "unit"),
        ((f"`{x.feature_id}`", x.description, x.unit) for x in feature_registry().values()),
    )


def _quality_checks() -> str:
    """Return the table of what every run checks of its data."""
    with (project_dir() / "seeds" / "quality_checks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return markdown_table(
        ("check", "severity", "limit", "finds", "what it means"),
        (
            (
                f"`{x['check_name']}`",
                x["severity"],
                x["limit_value"],
                x["description"],
                x["meaning"],
            )
            for x in rows
        ),
    )


def _methodology(text: str) -> str:
    text = part(text, "features", f"\n{_features()}\n")
    return part(text, "checks", f"\n{_quality_checks()}\n")


def _datasets() -> str:
    return markdown_table(
        ("dataset", "holds", "interval", "days in a file", "kept", "per minute", "key"),
        (
            (
                f"`{name}`",
                data.holds,
                listed(data.intervals),
                data.per_file,
                "" if data.kept_days is None else f"{data.kept_days} days",
                f"{data.vendor.requests_per_minute:.0f}",
                ("needed" if data.vendor.needs_key else "optional")
                if data.vendor.key_header
                else "",
            )
            for name, data in DATASETS.items()
        ),
    )


def _mappings() -> str:
    rows = []
    for name, text in built_in().items():
        mapping = yaml.safe_load(text)
        ids = mapping["asset"]["scheme"]
        rows.append((f"`{name}`", mapping["description"], listed(mapping["tables"]), f"`{ids}`"))
    return markdown_table(("mapping", "files", "fills", "scheme of ids"), rows)


def _keys_of_a_spec() -> str:
    sections: dict[str, type[BaseModel]] = {
        "": SpecFile,
        "sources[].": SourceSpec,
        "sources[].read.": Read,
        "sources[].time.": Time,
        "sources[].asset.": Asset,
    }
    rows = [
        (f"`{prefix}{field.alias or name}`", _default(field), field.description or "")
        for prefix, section in sections.items()
        for name, field in section.model_fields.items()
    ]
    return markdown_table(("key", "default", "meaning"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    return "" if default in (None, [], {}) or isinstance(default, BaseModel) else f"`{default}`"


FILES: Final[Mapping[str, Callable[[str], str]]] = {
    "README.md": lambda text: part(text, "speed", f"\n{speed_table(project_dir())}\n"),
    "experiments/experiment.schema.json": lambda _: json_schema_text(),
    "models/catalog/catalog.yml": lambda text: part(
        text, "catalog", declared_text.dbt_columns(CATALOG, "    ")
    ),
    "models/catalog/_warehouse.yml": lambda _: declared_text.dbt_source({**ALL_TABLES, **VIEWS}),
    "models/inputs/_sources.yml": lambda text: part(
        text, "tables", contract_text.dbt_tables("      ")
    ),
    **dict.fromkeys(
        (
            "models/evaluation/dropped_rows.sql",
            "models/inputs/first_rows.sql",
            "models/inputs/lake_tables.sql",
            "models/inputs/row_counts.sql",
        ),
        lambda text: part(text, "facts", contract_text.jinja_facts()),
    ),
    "models/inputs/lake.yml": _dbt_columns(LakeRow),
    "models/inputs/runs.yml": _dbt_columns(RunRow),
    "models/inputs/run_features.yml": _dbt_columns(RunFeature),
    "models/inputs/run_regimes.yml": _dbt_columns(RunRegime),
    "models/inputs/universes.yml": _dbt_columns(Universe),
    "models/inputs/universes.sql": lambda text: part(
        text, "columns", rows_text.sql_columns(Universe, "        ")
    ),
    "models/evaluation/strategy_metrics.yml": lambda text: part(
        text,
        "metrics",
        declared_text.dbt_described(
            (*catalog_columns.of_returns("", "of the series"), *catalog_columns.TRADING), "      "
        ),
    ),
    "docs/architecture.md": lambda text: part(text, "wings", f"\n{_wings()}\n"),
    "docs/bi.md": _bi,
    "docs/ingest.md": lambda text: part(
        part(text, "mappings", f"\n{_mappings()}\n"),
        "keys of a spec",
        f"\n{_keys_of_a_spec()}\n",
    ),
    "docs/lake.md": _lake,
    "docs/methodology.md": _methodology,
    "docs/pull.md": lambda text: part(text, "datasets", f"\n{_datasets()}\n"),
}
"""How each file is made from what stands in it."""


def drifted(root: Path) -> dict[Path, str]:
    """Return the files that are not as they would be written, with what would be written.

    Raises
    ------
    MsmError
        When a file lacks the mark of a part.
    """
    found = {}
    for name, made in FILES.items():
        file = root / name
        text = file.read_text() if file.exists() else ""
        try:
            wanted = made(text)
        except LookupError as error:
            raise MsmError(
                "a part that is written by `make schema` has lost a mark",
                where=str(file),
                received=str(error),
                remedy="put the comment back, once, as it is in git",
            ) from None
        if wanted != text:
            found[file] = wanted
    return found


def main(words: list[str]) -> int:
    """Write or check all files; return the exit code."""
    try:
        found = drifted(project_dir())
    except MsmError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if words == ["--check"]:
        for file in found:
            sys.stderr.write(f"{file} is not as it is declared: run `make schema`\n")
        return 1 if found else 0
    for file, text in found.items():
        file.write_text(text)
        sys.stdout.write(f"wrote {file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
