"""What is made from the declaration of rows: columns of dbt's YAML and of SQL."""

from __future__ import annotations

from msm_py.dbt_models import typed_rows
from msm_py.markup import yaml_text


def dbt_columns(kind: type, indent: str) -> str:
    """Return the columns of a model as dbt's YAML, each line after an indent."""
    lines = []
    for name, hint in typed_rows.hints(kind).items():
        (text,) = (x for x in hint.__metadata__ if isinstance(x, str))
        lines += [f"- name: {name}", *yaml_text("description", text, "  ")]
    return "".join(f"{indent}{line}\n" for line in lines)


def sql_columns(kind: type, indent: str) -> str:
    """Return the columns of a model as a list in SQL, each line after an indent."""
    return ",\n".join(f"{indent}{name}" for name in typed_rows.names(kind)) + "\n"
