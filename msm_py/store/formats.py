"""How files are written: Parquet, JSON and CSV, the same bytes for the same content."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msm_py._typing import Row

# small files: snappy without dictionaries is four times as fast as anything that packs better
PARQUET_OPTIONS: Final = {"compression": "snappy", "use_dictionary": False, "version": "2.6"}


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table, the same bytes for the same rows."""
    # in memory first: a call per file, not several per column, and no look-up of a file system
    content = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks().replace_schema_metadata(None), content, **PARQUET_OPTIONS)
    path.write_bytes(content.getvalue())


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the table in a small Parquet file; pq.read_table takes three times as long."""
    file = pq.ParquetFile(pa.BufferReader(path.read_bytes()))
    return file.read(columns, use_threads=False)


def write_json(value: object, path: Path) -> None:
    """Write JSON with sorted keys, a line per key and per row; NaN and infinity are refused."""
    path.write_text(json_text(value) + "\n")


def json_text(value: object, indent: str = "") -> str:
    """Return JSON that reads like a table: maps a line per key, lists of maps a line per row.

    Examples
    --------
    >>> print(json_text({"b": [{"n": 1}, {"n": 2}], "a": {"x": None}}))
    {
      "a": {
        "x": null
      },
      "b": [
        {"n": 1},
        {"n": 2}
      ]
    }
    """
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        lines = [f"{_compact(key)}: {json_text(value[key], deeper)}" for key in sorted(value)]
        return "{\n" + ",\n".join(deeper + line for line in lines) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(deeper + _compact(row) for row in value) + f"\n{indent}]"
    return _compact(value)


def csv_text(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """Return rows as CSV; a missing value is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def clean(value: Any) -> Any:
    """Return a value as JSON may hold it: a number that is not finite is missing."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def without(row: Row, *names: str) -> dict[str, Any]:
    """Return a row without some of its columns."""
    return {key: clean(value) for key, value in row.items() if key not in names}


def without_nan(table: pa.Table) -> pa.Table:
    """Return a table in which numbers that are not finite are missing."""
    for position, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            column = table.column(position)
            finite = pc.is_finite(column)
            if not pc.all(finite, min_count=0).as_py():
                table = table.set_column(position, field, pc.if_else(finite, column, None))
    return table


def _iso(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"cannot write {value!r} as JSON")


# made once: json.dumps makes one for every call with options
_compact: Final = json.JSONEncoder(sort_keys=True, allow_nan=False, default=_iso).encode
