"""What dbt-duckdb loads into the connection of every invocation: limits and SQL functions."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError
from duckdb.func import PythonUDFType
from duckdb.sqltypes import DOUBLE
from scipy import special

from msm_py.dbt_models import reuse
from msm_py.errors import MsmError
from msm_py.settings import (
    DATABASE,
    DATABASE_FILE,
    cache_bytes,
    cache_dir,
    duckdb_limits,
    lake_dir,
    project_dir,
)
from msm_py.store.written_places import check_outside_lake, dbt_places


def _doubles(column: pa.Array | pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def normal_cdf(x: pa.Array) -> pa.Array:
    """Return the standard normal distribution function of ``x``; NULL stays NULL."""
    return pa.array(special.ndtr(_doubles(x)), from_pandas=True)


def student_t_two_sided_p(t: pa.Array, degrees_of_freedom: pa.Array) -> pa.Array:
    """Return the two-sided Student p-value of ``t``; NULL stays NULL."""
    df = _doubles(degrees_of_freedom)
    return pa.array(2.0 * special.stdtr(df, -np.abs(_doubles(t))), from_pandas=True)


def student_t_quantile(p: pa.Array, degrees_of_freedom: pa.Array) -> pa.Array:
    """Return the quantile of Student's distribution at ``p``; NULL stays NULL."""
    df = _doubles(degrees_of_freedom)
    return pa.array(special.stdtrit(df, _doubles(p)), from_pandas=True)


_STARTED_AT = datetime.now(UTC)


def invocation_started_at() -> datetime:
    """Return when the invocation opened its database, UTC."""
    return _STARTED_AT


def scratch_path(default: str) -> Path:
    """Return the scratch database: MSM_SCRATCH, or the profile's file in the project's folder.

    Parameters
    ----------
    default
        The path in profiles.yml, relative to the project's folder wherever dbt was called.

    Raises
    ------
    MsmError
        When its name would not be the one by which dbt knows the database.
    """
    given = os.environ.get("MSM_SCRATCH")
    path = Path(given).absolute() if given else project_dir() / default
    if path.stem != DATABASE:
        raise MsmError(
            f"the scratch database must be called {DATABASE_FILE}: dbt knows it by that name",
            where="MSM_SCRATCH",
            received=given,
            remedy=f"give a path such as {path.parent / DATABASE_FILE}",
        )
    return path


def check_scratch(path: Path) -> None:
    """Make the folder of the scratch database and see that no other process has it open.

    Raises
    ------
    MsmError
        When it cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        duckdb.connect(path).close()
    except (OSError, duckdb.Error) as error:
        reason = str(error).splitlines()[0]
        if "lock" in reason:
            raise MsmError(
                "another build has the scratch database open",
                where=str(path),
                received=reason,
                remedy="wait for it, or give this build its own: MSM_SCRATCH=other/"
                f"{DATABASE_FILE} dbt build --target-path other --log-path other",
            ) from None
        raise MsmError(
            "the scratch database cannot be opened",
            where=str(path),
            received=reason,
            remedy="every build makes it anew, so a damaged one may be moved away; or name another "
            "place in MSM_SCRATCH",
        ) from None


class Plugin(BasePlugin):
    """Registers the SQL functions and reads MSM_SCRATCH, MSM_THREADS and MSM_MEMORY_LIMIT.

    They are read here and not in profiles.yml, because dbt parses the whole project again when a
    profile has changed, and the scratch database is another one in every invocation.
    """

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Set the database, and the limits of threads and memory."""
        try:
            path = scratch_path(creds.path)
            # before anything is written where this decides; dbt itself has made its folders by now
            cache = cache_dir()
            places = {} if cache is None else {"the cache (MSM_CACHE)": cache}
            check_outside_lake(lake_dir(), {**places, **dbt_places({DATABASE: path})})
            cache_bytes()
            check_scratch(path)
        except MsmError as error:  # as dbt shows it without a traceback
            raise DbtRuntimeError(str(error)) from None
        creds.path = str(path)
        config |= duckdb_limits()

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Show what the cache has, and register the distribution functions that DuckDB lacks."""
        reuse.show(conn)
        global _STARTED_AT
        _STARTED_AT = datetime.now(UTC)
        for function, arguments in (
            (normal_cdf, 1),
            (student_t_two_sided_p, 2),
            (student_t_quantile, 2),
        ):
            conn.create_function(
                function.__name__,
                cast("Callable[..., Any]", function),
                [DOUBLE] * arguments,
                DOUBLE,
                type=PythonUDFType.ARROW,
            )
