"""What is made from the lake contract: sources and lists for dbt, the tables of docs/lake.md."""

from __future__ import annotations

from typing import Final

from msm_py.lake.contract import DUPLICATE, REASONS, TABLES, LakeColumn, TableSpec
from msm_py.markup import markdown_table, yaml_text

UNUSABLE: Final = "Why the row never reaches a number; missing for all others."


def dbt_tables(indent: str) -> str:
    """Return the tables of the source `lake` as dbt's YAML, each line after an indent."""
    lines = []
    for name, spec in TABLES.items():
        lines += [f"- name: {name}", *yaml_text("description", spec.description, "  ")]
        lines.append("  columns:")
        for column, text in (*((x.name, x.text) for x in spec.declared), ("unusable", UNUSABLE)):
            lines += [f"    - name: {column}", *yaml_text("description", text, "      ")]
    return "".join(f"{indent}{line}\n" for line in lines)


def jinja_facts() -> str:
    """Return the Jinja that sets `facts`: the models that stage the tables with a number."""
    lines = [f"    '{name}': '{spec.staged}',\n" for name, spec in TABLES.items() if spec.value]
    return "".join(["{%- set facts = {\n", *lines, "} %}\n"])


def markdown_tables() -> str:
    """Return the table of tables: columns, key, and what is lost without each."""
    return markdown_table(
        ("table", "required columns", "optional columns", "key", "without it"),
        (
            (
                f"`{name}`",
                _required(spec),
                ", ".join(_named(x) for x in _optional(spec) if x.name not in spec.one_of),
                ", ".join(spec.key),
                _without(spec),
            )
            for name, spec in TABLES.items()
        ),
    )


def markdown_reasons() -> str:
    """Return the table of the reasons why a row is dropped."""
    duplicate = "a second row of one key with the same value: one of them is kept"
    return markdown_table(
        ("reason", "rule"),
        [*((f"`{x.name}`", x.description) for x in REASONS), (f"`{DUPLICATE}`", duplicate)],
    )


def _required(spec: TableSpec) -> str:
    """Return the columns that files must have; of some tables one of several is enough."""
    required = [_named(column) for column in spec.declared if column.required]
    one_of = [_named(column) for column in spec.declared if column.name in spec.one_of]
    if one_of:
        required.append(f"at least one of {' and '.join(one_of)}")
    return ", ".join(required)


def _optional(spec: TableSpec) -> list[LakeColumn]:
    return [column for column in spec.declared if not column.required]


def _without(spec: TableSpec) -> str:
    if not spec.required:
        return spec.without
    return "required"


def _named(column: LakeColumn) -> str:
    return f"`{column.name}`" + ("" if column.unit is None else f" ({column.unit})")
