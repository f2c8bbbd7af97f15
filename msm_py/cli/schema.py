"""What `make schema` writes: the files, and parts of files, that are made from declarations.

With ``--check`` nothing is written: files that differ are named, and the exit code is 1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msm_py.errors import MsmError
from msm_py.experiment.json_schema import json_schema_text
from msm_py.lake import contract_text
from msm_py.settings import project_dir
from msm_py.store import catalog_columns, declared_text
from msm_py.store.warehouse_tables import ALL_TABLES, CATALOG, VIEWS

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


FILES: Final[Mapping[str, Callable[[str], str]]] = {
    "experiments/experiment.schema.json": lambda _: json_schema_text(),
    "models/catalog/catalog.yml": lambda text: part(
        text, "catalog", declared_text.dbt_columns(CATALOG, "    ")
    ),
    "models/inputs/_sources.yml": lambda text: part(
        text, "tables", contract_text.dbt_tables("      ")
    ),
    **dict.fromkeys(
        ("models/staging/dropped_rows.sql", "models/inputs/lake_tables.sql"),
        lambda text: part(text, "facts", contract_text.jinja_facts()),
    ),
    "docs/bi.md": _bi,
    "docs/lake.md": _lake,
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
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
