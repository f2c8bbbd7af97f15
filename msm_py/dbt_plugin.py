"""What dbt-duckdb loads into the connection of every invocation: limits and SQL functions."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb.func import PythonUDFType
from duckdb.sqltypes import DOUBLE
from scipy import special


def _doubles(column: pa.Array | pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def normal_cdf(x: pa.Array) -> pa.Array:
    """Return the standard normal distribution function of ``x``; NULL stays NULL."""
    return pa.array(special.ndtr(_doubles(x)), from_pandas=True)


def student_t_two_sided_p(t: pa.Array, degrees_of_freedom: pa.Array) -> pa.Array:
    """Return the two-sided Student p-value of ``t``; NULL stays NULL."""
    df = _doubles(degrees_of_freedom)
    return pa.array(2.0 * special.stdtr(df, -np.abs(_doubles(t))), from_pandas=True)


_STARTED_AT = datetime.now(UTC)


def invocation_started_at() -> datetime:
    """Return when the invocation opened its database, UTC."""
    return _STARTED_AT


class Plugin(BasePlugin):
    """Registers the SQL functions and reads MSM_SCRATCH, MSM_THREADS and MSM_MEMORY_LIMIT.

    They are read here and not in profiles.yml, because dbt parses the whole project again when a
    profile has changed, and the scratch database is another one in every invocation.
    """

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Set database, threads and memory limit from the environment, where given there.

        The database's file must be called scratch.duckdb, the name by which dbt knows it.
        """
        creds.path = os.environ.get("MSM_SCRATCH", creds.path)
        for option in ("threads", "memory_limit"):
            value = os.environ.get(f"MSM_{option.upper()}")
            if value:
                config[option] = value

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Register the distribution functions that DuckDB lacks."""
        global _STARTED_AT
        _STARTED_AT = datetime.now(UTC)
        for function, arguments in ((normal_cdf, 1), (student_t_two_sided_p, 2)):
            conn.create_function(
                function.__name__,
                cast("Callable[..., Any]", function),
                [DOUBLE] * arguments,
                DOUBLE,
                type=PythonUDFType.ARROW,
            )
