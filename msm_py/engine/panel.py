"""From rows (run, date, values), as dbt has them, to matrices (runs, days), as NumPy wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from msm_py._typing import Floats, Ints


@dataclass(frozen=True)
class Panel:
    """Where each row of a table lies in a matrix of runs and consecutive calendar days.

    Parameters
    ----------
    keys
        What a row of the matrix stands for (run ids), in the order of the matrix.
    first_day
        Day number (days since 1970-01-01) of the matrix's first column.
    n_days
        Number of columns.
    row, column
        Position of each row of the table in the matrix.
    """

    keys: tuple[str, ...]
    first_day: int
    n_days: int
    row: Ints
    column: Ints

    @classmethod
    def of(cls, table: pa.Table, keys: tuple[str, ...], key_column: str) -> Panel:
        """Return the positions of the rows of a table with a date column and at least one row."""
        row = pc.index_in(table[key_column], value_set=pa.array(keys, type=pa.string()))
        day = day_numbers(table["date"])
        first = int(day.min())
        return cls(
            keys=keys,
            first_day=first,
            n_days=int(day.max()) - first + 1,
            row=np.asarray(row.to_numpy(zero_copy_only=False), dtype=np.int64),
            column=day - first,
        )

    def matrix(self, column: pa.ChunkedArray) -> Floats:
        """Return a column of numbers as a matrix, NaN where there is no row or NULL."""
        out = np.full((len(self.keys), self.n_days), np.nan)
        out[self.row, self.column] = floats(column)
        return out

    def dates(self, columns: Ints) -> pa.Array:
        """Return the dates of matrix columns."""
        return pa.array((columns + self.first_day).astype(np.int32)).cast(pa.date32())


def day_numbers(column: pa.ChunkedArray) -> Ints:
    """Return dates as days since 1970-01-01."""
    days = column.cast(pa.date32()).cast(pa.int32()).to_numpy()
    return np.asarray(days, dtype=np.int64)


def floats(column: pa.ChunkedArray) -> Floats:
    """Return a column as floats, NaN for NULL."""
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def nullable(values: NDArray[Any]) -> pa.Array:
    """Return floats as an Arrow array with NULL for NaN."""
    return pa.array(values, from_pandas=True)


def z_matrix(lists: pa.Table, first_day: int, n_days: int) -> Floats:
    """Return z-scores of a set of features, shape (days, features); 0 where one is missing.

    Parameters
    ----------
    lists
        Rows of the dbt model ``z_lists`` of one set, at least one.
    first_day, n_days
        Day number (days since 1970-01-01) of the first row, and number of rows.
    """
    day = day_numbers(lists["date"]) - first_day
    inside = (day >= 0) & (day < n_days)
    values = floats(lists["z_values"].combine_chunks().flatten()).reshape(lists.num_rows, -1)
    out = np.zeros((n_days, values.shape[1]))
    out[day[inside]] = values[inside]
    return out
