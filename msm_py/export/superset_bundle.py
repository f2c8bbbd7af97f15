"""A dashboard for Apache Superset 6.1, as the bundle that its "Import dashboards" takes.

Datasets are views of the warehouse, charts and layout are declared below. Ids are made of names, so
that an import takes the place of an earlier one; those of charts of what they show, since Superset
leaves charts as they are that it has already. The connection reads the warehouse file and never
writes it. Nothing of Superset is needed to write a bundle, and no server is spoken to.
"""

from __future__ import annotations

import json
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from msm_py.errors import MsmError
from msm_py.store import scratch
from msm_py.store.declarations import Table
from msm_py.store.warehouse_views import VIEWS

DATABASE: Final = "MSM"
SLUG: Final = "msm"
FOLDER: Final = "msm_superset"
WIDTH: Final = 12  # columns of a row of a dashboard
OWN: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "market-state-monitor")
WRITTEN: Final = "2026-01-01T00:00:00+00:00"  # the same bundle is the same bytes
PERCENT: Final = "+.2%"
PLAIN: Final = ".2f"


@dataclass(frozen=True)
class Chart:
    """A chart of the dashboard.

    Parameters
    ----------
    title
        What stands above it.
    view
        The view that it shows.
    kind
        Superset's name of the kind of chart.
    says
        What Superset wants to know for that kind.
    width
        Columns of `WIDTH`.
    of_one
        Whether it shows one run, the one of the dashboard's filter.
    """

    title: str
    view: str
    kind: str
    says: Mapping[str, Any]
    width: int
    of_one: bool = False


STATE: Final = {  # in their order, from ALTS to MAJORS
    "expressionType": "SQL",
    "label": "state",
    "sqlExpression": "state_order || ' ' || lower(replace(regime, 'RISK_ON_', ''))",
}


def _metric(sql: str, label: str) -> dict[str, Any]:
    return {
        "expressionType": "SQL",
        "sqlExpression": sql,
        "label": label,
        "optionName": f"metric_{uuid.uuid5(OWN, sql + label).hex[:12]}",
        "hasCustomLabel": True,
    }


def _number(sql: str, label: str, form: str) -> dict[str, Any]:
    return {
        "metric": _metric(sql, label),
        "subheader": label,
        "y_axis_format": form,
        "header_font_size": 0.4,
        "subheader_font_size": 0.125,
    }


def _rows(columns: Sequence[str], forms: Mapping[str, str], **more: Any) -> dict[str, Any]:
    return {
        "query_mode": "raw",
        "all_columns": list(columns),
        "row_limit": 1000,
        "server_page_length": 10,
        "table_timestamp_format": "%Y-%m-%d",
        "show_cell_bars": False,
        "include_search": True,
        "column_config": {
            **{key: {"columnWidth": 260} for key in ("title", "run_id")},
            **{name: {"d3NumberFormat": form} for name, form in forms.items()},
        },
        **more,
    }


def _line(sql: str, label: str, form: str) -> dict[str, Any]:
    return {
        "x_axis": "date",
        "time_grain_sqla": None,
        "metrics": [_metric(sql, label)],
        "groupby": ["run_id"],
        "y_axis_format": form,
        "truncateYAxis": True,  # lines need no zero
        "y_axis_bounds": [None, None],
        "x_axis_time_format": "%Y-%m-%d",
        "row_limit": 100_000,
        "truncate_metric": True,
        "show_legend": True,
        "legendType": "scroll",
        "rich_tooltip": True,
        "sort_series_type": "name",
    }


def _bars(
    x: str | Mapping[str, str], sql: str, label: str, form: str, **more: Any
) -> dict[str, Any]:
    return {
        "x_axis": x,
        "xAxisForceCategorical": True,
        "metrics": [_metric(sql, label)],
        "groupby": [],
        "y_axis_format": form,
        "row_limit": 1000,
        "truncate_metric": True,
        "show_legend": True,
        "rich_tooltip": True,
        **more,
    }


# Plus is good for the trade in every one of them. Runs are told apart by id: titles may be alike.
ROWS: Final[Sequence[Sequence[Chart]]] = (
    (
        Chart(
            "Runs in the leaderboard",
            "v_leaderboard",
            "big_number_total",
            _number("count(*)", "newest run of each experiment", ",d"),
            4,
        ),
        Chart(
            "Best deflated Sharpe ratio",
            "v_leaderboard",
            "big_number_total",
            _number("max(deflated_sharpe)", "0.95 is the usual bar", ".3f"),
            4,
        ),
        Chart(
            "Best trade edge of a spread",
            "v_leaderboard",
            "big_number_total",
            _number("max(spread_trade_edge)", "evidence and p beside it, below", PERCENT),
            4,
        ),
    ),
    (
        Chart(
            "Leaderboard",
            "v_leaderboard",
            "table",
            _rows(
                (
                    *("place", "title", "deflated_sharpe", "net_sharpe", "net_sharpe_ci_low"),
                    *("net_sharpe_ci_high", "net_cagr", "net_max_drawdown", "spread_trade_edge"),
                    *("spread_p_edge", "spread_evidence", "n_family", "n_warnings", "run_id"),
                ),
                {
                    **dict.fromkeys(("deflated_sharpe", "spread_p_edge"), ".3f"),
                    **dict.fromkeys(
                        ("net_sharpe", "net_sharpe_ci_low", "net_sharpe_ci_high"), PLAIN
                    ),
                    **dict.fromkeys(("net_cagr", "net_max_drawdown"), ".1%"),
                    "spread_trade_edge": PERCENT,
                },
                order_by_cols=['["place", true]'],
            ),
            12,
        ),
    ),
    (
        Chart(
            "State at the last close of each run",
            "v_latest_state",
            "table",
            _rows(
                ("run_id", "date", "regime", "regime_age_days", "score", "feature_coverage"),
                {"score": "+.2f", "feature_coverage": ".0%"},
            ),
            7,
        ),
        Chart(
            "Net Sharpe ratios",
            "v_leaderboard",
            "histogram_v2",
            {"column": "net_sharpe", "groupby": [], "bins": 12, "row_limit": 10_000},
            5,
        ),
    ),
    (
        Chart(
            "Equity, net",
            "v_equity",
            "echarts_timeseries_line",
            _line("max(equity_net)", "equity", ".2f"),
            12,
        ),
    ),
    (
        Chart(
            "Drawdown, net",
            "v_equity",
            "echarts_timeseries_line",
            _line("min(drawdown_net)", "drawdown", ".1%"),
            12,
        ),
    ),
    (
        Chart(
            "Trade edge by state",
            "v_state_returns",
            "echarts_timeseries_bar",
            _bars(
                STATE,
                "avg(trade_edge)",
                "trade edge",
                PERCENT,
                groupby=["run_id"],
                x_axis_sort="state",
                x_axis_sort_asc=True,
            ),
            7,
        ),
        Chart(
            "Share of days by state",
            "v_state_returns",
            "echarts_timeseries_bar",
            _bars("run_id", "sum(pct) / 100", "days", ".0%", groupby=[STATE], stack="Stack"),
            5,
        ),
    ),
    (
        Chart(
            "Net returns by month",
            "v_monthly_returns",
            "pivot_table_v2",
            {
                "groupbyRows": ["month"],
                "groupbyColumns": ["run_id"],
                "metrics": [_metric("sum(net_return)", "net")],
                "metricsLayout": "COLUMNS",
                "aggregateFunction": "Sum",
                "time_grain_sqla": "P1M",
                "temporal_columns_lookup": {"month": True},
                "date_format": "%Y-%m",
                "valueFormat": "+.1%",
                "rowOrder": "key_z_to_a",
                "row_limit": 10_000,
            },
            12,
        ),
    ),
    (
        Chart(
            "Who made it and who lost it: net by asset",
            "v_attribution",
            "echarts_timeseries_bar",
            _bars("asset_id", "sum(net)", "net", "+.1%", groupby=["leg"]),
            8,
            of_one=True,
        ),
        Chart(
            "The short basket now",
            "v_basket_now",
            "table",
            _rows(
                ("rank", "asset_id", "weight", "marketcap_usd", "date", "regime"),
                {"weight": ".1%", "marketcap_usd": ".3s"},
                order_by_cols=['["rank", true]'],
            ),
            4,
            of_one=True,
        ),
    ),
)
HEIGHTS: Final = {"big_number_total": 22, "table": 56}
HEIGHT: Final = 50


def write_bundle(file: Path, warehouse: Path) -> None:
    """Write a bundle, wholly or not at all.

    Parameters
    ----------
    file
        Where to: a zip file.
    warehouse
        The warehouse file, as the machine that Superset runs on sees it.

    Raises
    ------
    MsmError
        When it cannot be written, or Superset could not be told of the warehouse's path.
    """
    files = list(_files(warehouse))
    try:
        with (
            scratch.file_for(file, file.parent) as unfinished,
            zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as bundle,
        ):
            for name, content in files:
                entry = zipfile.ZipInfo(f"{FOLDER}/{name}", (2026, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                bundle.writestr(entry, yaml.safe_dump(content, sort_keys=False))
    except OSError as error:
        raise MsmError(
            "the bundle could not be written",
            where=str(file),
            received=error.strerror or str(error),
            remedy="give a place that you may write to",
        ) from None


def uri(warehouse: Path) -> str:
    """Return the connection: read only, or Superset would lock the file for everybody else.

    SQLAlchemy takes a path as it stands, up to a question mark.

    Raises
    ------
    MsmError
        When the path has a question mark.

    Examples
    --------
    >>> uri(Path("/my data/msm.duckdb"))
    'duckdb:////my data/msm.duckdb?access_mode=READ_ONLY'
    """
    path = str(warehouse.absolute())
    if "?" in path:
        raise MsmError(
            "Superset cannot be told of a path with a question mark",
            where="--warehouse",
            received=path,
            remedy="give the warehouse, or its folder, another name",
        )
    return f"duckdb:///{path}?access_mode=READ_ONLY"


def _files(warehouse: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "metadata.yaml", {"version": "1.0.0", "type": "Dashboard", "timestamp": WRITTEN}
    yield (
        f"databases/{DATABASE}.yaml",
        {
            "database_name": DATABASE,
            "sqlalchemy_uri": uri(warehouse),
            "cache_timeout": 0,
            "expose_in_sqllab": True,
            "allow_run_async": False,
            "allow_ctas": False,
            "allow_cvas": False,
            "allow_dml": False,
            "extra": {"allows_virtual_table_explore": True},
            "uuid": _id("database", DATABASE),
            "version": "1.0.0",
        },
    )
    charts = [chart for row in ROWS for chart in row]
    for view in dict.fromkeys(chart.view for chart in charts):
        yield f"datasets/{DATABASE}/{view}.yaml", _dataset(VIEWS[view])
    for number, chart in enumerate(charts, 1):
        yield f"charts/{number:02d}_{chart.view}.yaml", _chart(chart)
    yield f"dashboards/{SLUG}.yaml", _dashboard(charts)


def _id(kind: str, name: str) -> str:
    return str(uuid.uuid5(OWN, f"{kind}/{name}"))


def _dataset(view: Table) -> dict[str, Any]:
    times = [column.name for column in view if column.type in ("date", "timestamp")]
    return {
        "table_name": view.name,
        "main_dttm_col": times[0] if times else None,
        "description": view.description,
        "schema": "main",
        "cache_timeout": 0,
        "columns": [
            {
                "column_name": column.name,
                "type": column.type.upper(),
                "is_dttm": column.name in times,
                "is_active": True,
                "groupby": True,
                "filterable": True,
                "description": column.description,
            }
            for column in view
        ],
        "metrics": [{"metric_name": "count", "expression": "count(*)", "verbose_name": "rows"}],
        "uuid": _id("dataset", view.name),
        "version": "1.0.0",
        "database_uuid": _id("database", DATABASE),
    }


def _chart_id(chart: Chart) -> str:
    return _id("chart", f"{chart.title}/{chart.kind}/{json.dumps(chart.says)}")


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "slice_name": chart.title,
        "description": VIEWS[chart.view].row,
        "viz_type": chart.kind,
        "params": {"viz_type": chart.kind, "adhoc_filters": [], **chart.says},
        "cache_timeout": 0,
        "uuid": _chart_id(chart),
        "version": "1.0.0",
        "dataset_uuid": _id("dataset", chart.view),
    }


def _dashboard(charts: Sequence[Chart]) -> dict[str, Any]:
    numbers = {chart.title: number for number, chart in enumerate(charts, 1)}
    return {
        "dashboard_title": "Market State Monitor",
        "description": "Plus is good for the trade: long majors, short alts.",
        "slug": SLUG,
        "uuid": _id("dashboard", SLUG),
        "published": True,
        "position": _position(numbers),
        "metadata": {
            "refresh_frequency": 0,
            "cross_filters_enabled": True,
            "native_filter_configuration": [
                _filter("Runs", "v_leaderboard", multiple=True, left_out=[]),
                _filter(
                    "One run, for assets and basket",
                    "v_leaderboard",
                    multiple=False,
                    left_out=[numbers[chart.title] for chart in charts if not chart.of_one],
                ),
            ],
        },
        "version": "1.0.0",
    }


def _filter(name: str, view: str, *, multiple: bool, left_out: Sequence[int]) -> dict[str, Any]:
    return {
        "id": f"NATIVE_FILTER-{uuid.uuid5(OWN, name).hex[:12]}",
        "name": name,
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "targets": [{"column": {"name": "run_id"}, "datasetUuid": _id("dataset", view)}],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": list(left_out)},
        "cascadeParentIds": [],
        "requiredFirst": not multiple,  # charts wait for its first value
        "defaultDataMask": {"extraFormData": {}, "filterState": {}},
        "controlValues": {
            "multiSelect": multiple,
            "enableEmptyFilter": not multiple,
            "defaultToFirstItem": not multiple,
            "searchAllOptions": False,
            "inverseSelection": False,
        },
    }


def _position(numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return the layout: rows of charts, as wide as they say."""
    found: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": [], "parents": ["ROOT_ID"]},
        "HEADER_ID": {
            "type": "HEADER",
            "id": "HEADER_ID",
            "meta": {"text": "Market State Monitor"},
        },
    }
    for place, row in enumerate(ROWS):
        row_id = f"ROW-{place}"
        parents = ["ROOT_ID", "GRID_ID"]
        children = [f"CHART-{numbers[chart.title]}" for chart in row]
        found["GRID_ID"]["children"].append(row_id)
        found[row_id] = {
            "type": "ROW",
            "id": row_id,
            "children": children,
            "parents": parents,
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for child, chart in zip(children, row, strict=True):
            found[child] = {
                "type": "CHART",
                "id": child,
                "children": [],
                "parents": [*parents, row_id],
                "meta": {
                    "chartId": numbers[chart.title],
                    "uuid": _chart_id(chart),
                    "sliceName": chart.title,
                    "width": chart.width,
                    "height": HEIGHTS.get(chart.kind, HEIGHT),
                },
            }
    return found
