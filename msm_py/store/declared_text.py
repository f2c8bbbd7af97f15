"""What is made from the declaration of tables: SQL, the contract for dbt, tables for readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msm_py.markup import markdown_table, prose, yaml_text
from msm_py.store.declarations import Column, Table


def create_table(table: Table) -> str:
    """Return the SQL that makes a table where there is none.

    Examples
    --------
    >>> from msm_py.store.declarations import Column
    >>> create_table(Table("t", "One row per n.", (Column("n", "integer", "A number."),)))
    'create table if not exists t ("n" integer)'
    """
    columns = ", ".join(f'"{column.name}" {column.type}' for column in table)
    return f"create table if not exists {table.name} ({columns})"


def create_view(view: Table) -> str:
    """Return the SQL that makes a view, or makes it anew."""
    return f"create or replace view {view.name} as {view.query}"


def comments(table: Table) -> Iterator[str]:
    r"""Yield the SQL that puts descriptions and units into the file, where BI tools show them.

    Examples
    --------
    >>> from msm_py.store.declarations import Column
    >>> *_, last = comments(Table("t", "One row.", (Column("x", "double", "It's x.", "USD"),)))
    >>> last
    'comment on column t."x" is \'It\'\'s x. Unit: USD.\''
    """
    kind = "table" if table.query is None else "view"
    yield f"comment on {kind} {table.name} is {_literal(table.description)}"
    for column in table:
        yield f'comment on column {table.name}."{column.name}" is {_literal(column.text)}'


def dbt_columns(table: Table, indent: str) -> str:
    """Return description and columns of a model as dbt's YAML, each with the type of its contract.

    Parameters
    ----------
    table
        What the model holds.
    indent
        What stands before each line.
    """
    lines = [*yaml_text("description", table.description, ""), "columns:"]
    for column in table:
        lines += [
            f"  - name: {column.name}",
            f"    data_type: {column.type}",
            *yaml_text("description", column.text, "    "),
        ]
    return "".join(f"{indent}{line}\n" for line in lines)


def dbt_described(columns: Iterable[Column], indent: str) -> str:
    """Return columns of a model without a contract as dbt's YAML, each line after an indent."""
    lines = []
    for column in columns:
        lines += [f"- name: {column.name}", *yaml_text("description", column.text, "  ")]
    return "".join(f"{indent}{line}\n" for line in lines)


def dbt_source(tables: Mapping[str, Table]) -> str:
    """Return the tables and views of the warehouse as a source of dbt, for its documentation."""
    lines = [
        "# written by `make schema`: all of it",
        "version: 2",
        "",
        "sources:",
        "  - name: warehouse",
        "    schema: main",
        *yaml_text("description", _SOURCE, "    "),
        "    tables:",
    ]
    for table in tables.values():
        lines += [f"      - name: {table.name}"]
        lines += [*yaml_text("description", table.description, "        "), "        columns:"]
        for column in table:
            lines.append(f"          - name: {column.name}")
            lines += yaml_text("description", column.text, "            ")
    return "".join(f"{line}\n" for line in lines)


_SOURCE: Final = (
    "What people and BI tools read: every table and view of the warehouse file (MSM_WAREHOUSE), as "
    "the model `warehouse` publishes it. No model reads it; it is described here so that one page "
    "describes all. docs/bi.md has queries."
)


def markdown_overview(tables: Mapping[str, Table]) -> str:
    """Return the table of tables: what a row of each is."""
    return markdown_table(
        ("table", "holds"),
        ((f"[`{name}`](#{name})", table.row) for name, table in tables.items()),
    )


def markdown_tables(
    tables: Mapping[str, Table], groups: Mapping[str, Mapping[str, Iterable[str]]] | None = None
) -> str:
    """Return a section for each table, with a table of its columns.

    Parameters
    ----------
    tables
        The tables by name.
    groups
        By table, columns that stand together, by what they are about; others stand in one table.
    """
    return "\n".join(
        f"### {name}\n\n{prose(table.description)}\n\n"
        f"{_columns(table, (groups or {}).get(name, {}))}"
        for name, table in tables.items()
    )


def _columns(table: Table, groups: Mapping[str, Iterable[str]]) -> str:
    if not groups:
        return _column_table(table, table.names)
    return "\n".join(
        f"{table.name}: {group}\n\n{_column_table(table, names)}" for group, names in groups.items()
    )


def _column_table(table: Table, names: Iterable[str]) -> str:
    return markdown_table(
        ("column", "type", "unit", "description"),
        (
            (f"`{column.name}`", column.type, column.unit or "", column.description + column.news)
            for column in map(table.__getitem__, names)
        ),
    )


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return f"'{quoted}'"
