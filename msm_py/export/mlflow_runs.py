"""Runs as runs of MLflow: parameters, metrics, tags and files, once for each run id.

MLflow is an extra (``msm[mlflow]``: its client alone, which talks to a tracking server or writes a
folder) and is imported when it is needed. It would tell its makers of its use; that is switched off
here. Nothing but the tracking server is asked or told anything.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from msm_py._typing import Row
from msm_py.errors import MsmError
from msm_py.store import layout, run_list
from msm_py.store.catalog_columns import FAMILY, GROUPS, ORIGIN, WHAT
from msm_py.store.flat_params import flat_params

RUN_ID_TAG: Final = "msm.run_id"
FILES: Final = (
    layout.MANIFEST,
    layout.METRICS,
    layout.REGIME_EVALUATION,
    layout.CATALOG_ENTRY,
    layout.REPORT,
)
MOST_KEY: Final = 250  # characters, MLflow's limits
MOST_VALUE: Final = 6000
MOST_AT_ONCE: Final = 100
_STATED: Final = frozenset(
    column.name for name in ("what", "knobs", "origin") for column in GROUPS[name]
)
_TAGS: Final = tuple(
    column.name for column in (*WHAT, *ORIGIN, *FAMILY) if column.type in ("varchar", "timestamp")
)
_SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # a folder is written where somebody asks for one
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a server that is not there is said to be so at once
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Parameters
    ----------
    run_id
        The run of MSM.
    status
        ``new``, ``updated`` (metrics that hang on other runs changed), ``there`` or ``failed``.
    reason
        Why it failed.
    """

    run_id: str
    status: str
    reason: str | None = None


def export(
    rows: Iterable[Row],
    runs: Path,
    *,
    tracking_uri: str,
    name: str = "msm",
    with_files: bool = True,
) -> Iterator[Outcome]:
    """Write runs to MLflow, each once: a run that is there gets the metrics that have changed.

    Parameters
    ----------
    rows
        Rows of the catalog, with the columns of the spread (``spread_...``).
    runs
        The runs folder.
    tracking_uri
        Of the server (``http://...``), or of a folder.
    name
        Of MLflow's experiment, made if there is none.
    with_files
        Whether manifest, metrics, evaluation and tear sheet become artifacts.

    Yields
    ------
    What became of each run. One that fails leaves nothing, and the others go on.

    Raises
    ------
    MsmError
        When MLflow is not installed or the server cannot be used.
    """
    client, failures = _client(tracking_uri)
    with _told(tracking_uri, failures):
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        there = _known(client, experiment)
    caught: tuple[type[Exception], ...] = (*run_list.BROKEN, *failures)
    for row in rows:
        run_id = str(row["run_id"])
        try:
            before = there.get(run_id)
            if before is not None and before.info.status == "FINISHED":
                yield Outcome(run_id, _update(client, before, row))
                continue
            if before is not None:  # somebody stopped in its midst
                client.delete_run(before.info.run_id)
            _create(client, experiment, runs / run_id, row, with_files=with_files)
            yield Outcome(run_id, "new")
        except caught as error:
            yield Outcome(run_id, "failed", run_list.fault_of(error))


def params_of(spec: Row) -> dict[str, str]:
    """Return the settings of a resolved experiment by dotted key, as MLflow takes them.

    Examples
    --------
    >>> params_of({"target": {"n": 20}, "window": {"end": None}, "notes": "x" * 7000})["target.n"]
    '20'
    """
    return {
        _key(row["param"]): _short(row["value"])
        for row in flat_params(spec)
        if row["value"] is not None
    }


def metrics_of(row: Row) -> dict[str, float]:
    """Return the numbers of a row of the catalog; what is missing is left out, never 0.

    Examples
    --------
    >>> metrics_of({"net_sharpe": 1.5, "net_cagr": None, "short_n": 20, "spread_trade_edge": 0.01})
    {'net_sharpe': 1.5, 'spread_trade_edge': 0.01}
    """
    return {
        key: float(value)
        for key, value in row.items()
        if key not in _STATED and isinstance(value, int | float) and not isinstance(value, bool)
    }


def tags_of(row: Row) -> dict[str, str]:
    """Return what names a run and where it comes from.

    Examples
    --------
    >>> tags_of({"run_id": "a-0123456789", "lake_name": "sample", "git_commit": None})
    {'msm.run_id': 'a-0123456789', 'msm.lake_name': 'sample'}
    """
    named = [*_TAGS, "spread_evidence", "first_date", "last_date", "is_placebo", "is_look"]
    return {f"msm.{key}": _short(_text(row[key])) for key in named if row.get(key) is not None}


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _key(key: str) -> str:
    return re.sub(r"[^\w\-. /]", "_", key)[:MOST_KEY]


def _short(value: str) -> str:
    return value if len(value) <= MOST_VALUE else value[: MOST_VALUE - 1] + "…"


def _client(tracking_uri: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """Return MLflow's client, and what it raises."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise MsmError(
            "nothing can be exported without MLflow",
            where="msm export mlflow",
            remedy='pip install --editable ".[mlflow]"',
        ) from None
    with _told(tracking_uri, (MlflowException,)):
        return mlflow.MlflowClient(tracking_uri=tracking_uri), (MlflowException,)


@contextmanager
def _told(tracking_uri: str, failures: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except failures as error:
        raise MsmError(
            "MLflow cannot be used",
            where="--tracking-uri",
            received=f"{tracking_uri}: {str(error).splitlines()[0]}",
            remedy="give the address of a running server (mlflow server), such as "
            "http://127.0.0.1:5000, or a folder",
        ) from None


def _known(client: Any, experiment: str) -> dict[str, Any]:
    """Return what an experiment of MLflow holds of ours, by our run ids."""
    found: dict[str, Any] = {}
    token = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        for run in page:
            if RUN_ID_TAG in run.data.tags:
                found[run.data.tags[RUN_ID_TAG]] = run
        token = page.token
        if not token:
            return found


def _create(client: Any, experiment: str, folder: Path, row: Row, *, with_files: bool) -> None:
    manifest: Row = json.loads((folder / layout.MANIFEST).read_bytes())
    ended = datetime.fromisoformat(manifest["finished_at"]).timestamp()
    start, end = (int(1000 * x) for x in (ended - manifest["duration_seconds"], ended))
    made = client.create_run(
        experiment, run_name=folder.name, start_time=start, tags=tags_of(row)
    ).info.run_id
    try:
        _log(client, made, metrics_of(row), params_of(manifest["spec"]), at=end)
        for name in FILES if with_files else ():
            if (folder / name).is_file():
                client.log_artifact(made, str(folder / name))
        client.set_terminated(made, end_time=end)
    except BaseException:
        with suppress(Exception):  # the fault before it is the one to tell
            client.delete_run(made)
        raise


def _update(client: Any, before: Any, row: Row) -> str:
    """Bring the metrics of a run up to date: its family grows with what else is tried."""
    known: Mapping[str, float] = before.data.metrics
    changed = {key: value for key, value in metrics_of(row).items() if known.get(key) != value}
    if not changed:
        return "there"
    _log(client, before.info.run_id, changed, {}, at=int(datetime.now(UTC).timestamp() * 1000))
    return "updated"


def _log(
    client: Any, made: str, metrics: Mapping[str, float], params: Mapping[str, str], *, at: int
) -> None:
    from mlflow.entities import Metric, Param

    for part in _parts([Param(key, value) for key, value in params.items()]):
        client.log_batch(made, params=part)
    for part in _parts([Metric(key, value, at, 0) for key, value in metrics.items()]):
        client.log_batch(made, metrics=part)


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), MOST_AT_ONCE):
        yield items[start : start + MOST_AT_ONCE]
