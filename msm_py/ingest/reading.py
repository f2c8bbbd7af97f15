"""Vendors' files to observations: what a file says, in UTC and in the measures of MSM.

Nothing is unpacked to disk and nothing is guessed: a unit is what the mapping says, a stamp is what
its size says, and what cannot be read stops the ingest with the file, the value and a remedy.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq

from msm_py.errors import MsmError
from msm_py.ingest.measures import Fields
from msm_py.ingest.spec import Mapping_, Read, Source
from msm_py.ingest.vintages import OBSERVATION, SAME
from msm_py.lake.check_items import sql_text
from msm_py.text import listed

INCOMING: Final = "incoming"
UNFINISHED: Final = "unfinished"
"""Table of how many bars were left out since they were not over."""
HASH: Final = "file hash"
NAME: Final = "file name"
ROW: Final = "row number"
ANSWER: Final = "id of the answer"
"""Columns that are added to those of a file."""
WIDE: Final = ("asset", "value")
"""Columns of a table whose columns were assets."""
MOST_BYTES: Final = 4 * 2**30
MOST_TIMES: Final = 300
"""A file that unpacks to more, in all or over its packed size, is taken for a bomb."""
BATCH_BYTES: Final = 64 * 2**20
_FORMATS: Final = {
    ".parquet": "parquet",
    ".feather": "feather",
    ".arrow": "feather",
    ".json": "json",
}
FIRST_DAY: Final = "2009-01-01"
LAST_DAY: Final = "2100-01-01"
_SCALES: Final = ((1e17, 1e-3), (1e14, 1.0), (1e11, 1e3), (1e8, 1e6))  # ns, us, ms, s to us


def create_incoming(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table that files are read into."""
    columns = ", ".join(f"{name} {kind}" for name, kind in OBSERVATION.items())
    con.execute(f"create or replace table {INCOMING} ({columns})")
    con.execute(
        f"create or replace table {UNFINISHED} (source varchar, table_name varchar, "
        "vendor_id varchar, stamp timestamp)"
    )


def read_files(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    files: Sequence[tuple[Path, str]],
    now: datetime | None = None,
) -> Iterator[int]:
    """Read files of a source into `INCOMING`, yielding how many are done after each batch.

    Parameters
    ----------
    con
        A connection with `create_incoming`.
    source
        The source.
    files
        Paths and SHA-256 of their content.
    now
        UTC. Bars that are not over by then are left out, and written to `UNFINISHED`.

    Raises
    ------
    MsmError
        A file cannot be read as its mapping says, or holds a stamp or a number that cannot be.
    """
    now = datetime.now(UTC) if now is None else now
    batch: list[pa.Table] = []
    size = 0
    for done, (path, digest) in enumerate(files, start=1):
        table = _rows(path, source.mapping)
        table = _wanted_columns(table, path, source.mapping)
        n = table.num_rows
        table = table.append_column(HASH, pa.repeat(digest, n))
        table = table.append_column(NAME, pa.repeat(str(path), n))
        table = table.append_column(ROW, pa.array(range(1, n + 1), pa.int64()))
        if batch and table.schema != batch[0].schema:
            _observe(con, source, batch, now)
            batch, size = [], 0
        batch.append(table)
        size += table.nbytes
        if size > BATCH_BYTES or done == len(files):
            _observe(con, source, batch, now)
            batch, size = [], 0
            yield done


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- From bytes to rows of text ------------------------------------------------------------------


def _rows(path: Path, mapping: Mapping_) -> pa.Table:
    """Return the rows of a file; texts, or numbers where the file has them."""
    try:
        tables = [_parsed(name, content, mapping) for name, content in _contents(path)]
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _unreadable(path, f"it cannot be unpacked: {error}") from None
    except (pa.ArrowException, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _unreadable(path, str(error).splitlines()[0]) from None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of what a file holds, unpacked in memory."""
    packed = path.stat().st_size
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            if not members:
                raise ValueError("an empty archive")
            for member in members:
                parts = Path(member.filename.replace("\\", "/")).parts
                if ".." in parts or member.filename.startswith("/"):
                    raise ValueError(f"a member leads out of the archive: {member.filename}")
                _check_size(member.file_size, packed)
                with archive.open(member) as stream:
                    yield member.filename, _limited(stream, packed)
    elif path.suffix.lower() == ".gz":
        with gzip.open(path) as stream:
            yield path.stem, _limited(stream, packed)
    else:
        _check_size(packed, packed)
        yield path.name, path.read_bytes()


def _limited(stream: Any, packed: int) -> bytes:
    limit = min(MOST_BYTES, max(MOST_TIMES * packed, 2**20))
    content: bytes = stream.read(limit + 1)
    _check_size(len(content), packed)
    return content


def _check_size(size: int, packed: int) -> None:
    if size > MOST_BYTES or size > max(MOST_TIMES * packed, 2**20):
        raise ValueError(f"it unpacks to {size:,} bytes or more from {packed:,}: a bomb")


def _parsed(name: str, content: bytes, mapping: Mapping_) -> pa.Table:
    table = _table_of(name, content, mapping)
    if mapping.asset.place != "columns":
        return table
    stamp = mapping.time.column
    if stamp not in table.column_names:
        raise ValueError(f"it has no column {stamp}: the columns are {listed(table.column_names)}")
    asset, value = WIDE
    return pa.concat_tables(
        pa.table(
            {stamp: table[stamp], asset: pa.repeat(name, table.num_rows), value: table[name]}
        ).cast(pa.schema([(stamp, pa.string()), (asset, pa.string()), (value, pa.string())]))
        for name in table.column_names
        if name != stamp
    )


def _table_of(name: str, content: bytes, mapping: Mapping_) -> pa.Table:
    read = mapping.read
    form = read.format or _FORMATS.get(Path(name).suffix.lower(), "csv")
    if not content.strip():
        raise ValueError("it is empty")
    if form == "parquet":
        return _as_text(pq.read_table(io.BytesIO(content)))
    if form == "feather":
        return _as_text(pyarrow.feather.read_table(io.BytesIO(content)))
    start = content.lstrip()[:200].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError("it is a web page, such as an error of the vendor, and no data")
    if form == "csv":
        return _of_csv(content, read)
    answer = json.loads(content)
    table = _of_json(answer, read)
    if mapping.asset.place == "answer":
        asset = _at(answer, str(mapping.asset.path))
        table = table.append_column(ANSWER, pa.repeat(_text(asset) or "", table.num_rows))
    return table


def _of_csv(content: bytes, read: Read) -> pa.Table:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError("it is UTF-16; save it as UTF-8")
    text = content.removeprefix(b"\xef\xbb\xbf")
    lines = text.split(b"\n", read.skip + 1)
    if len(lines) <= read.skip:
        raise ValueError(f"it has no line after the first {read.skip}")
    first = lines[read.skip].decode().rstrip("\r")
    n_columns = len(next(_csv_row(first, read.delimiter)))
    names = read.columns or next(_csv_row(first, read.delimiter))
    if read.columns is not None and len(names) != n_columns:
        raise ValueError(f"its rows have {n_columns} columns and not {len(names)}")
    # vendors began to write a header one day: a line without any digit is one
    has_header = read.columns is None or not any(x.isdigit() for x in first)
    if len(set(names)) < len(names):
        raise ValueError(f"two of its columns have one name: {listed(names)}")
    return pyarrow.csv.read_csv(
        io.BytesIO(text),
        read_options=pyarrow.csv.ReadOptions(skip_rows=read.skip + has_header, column_names=names),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=read.delimiter, newlines_in_values=b'"' in text
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _csv_row(line: str, delimiter: str) -> Iterator[list[str]]:
    import csv

    return csv.reader([line], delimiter=delimiter)


def _of_json(value: Any, read: Read) -> pa.Table:
    if read.records:
        value = _at(value, read.records)
    if read.arrays == "parallel":
        if not isinstance(value, dict):
            raise ValueError("its lists stand in no map")
        by_stamp: dict[Any, dict[str, Any]] = {}
        for name, pairs in value.items():
            for stamp, number in pairs:
                by_stamp.setdefault(stamp, {"stamp": stamp})[name] = number
        value = list(by_stamp.values())
    if not isinstance(value, list) or not value:
        raise ValueError(f"it holds no rows; its keys are {_keys(value)}")
    if read.arrays == "rows" or isinstance(value[0], list):
        names = read.columns or []
        if any(not isinstance(row, list) or len(row) < len(names) for row in value):
            raise ValueError(f"its rows are not arrays of {len(names)} values or more")
        value = [dict(zip(names, row, strict=False)) for row in value]
    if any(not isinstance(row, dict) for row in value):
        raise ValueError("its rows are neither maps nor arrays")
    names = list(dict.fromkeys(name for row in value for name in row))
    return pa.table(
        {name: pa.array([_text(row.get(name)) for row in value], pa.string()) for name in names}
    )


def _at(value: Any, path: str) -> Any:
    """Return what a dotted path leads to."""
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            raise ValueError(f"it has no {path}: the keys are {_keys(value)}")
        value = value[part]
    return value


def _keys(value: Any) -> str:
    return listed(value) if isinstance(value, dict) else type(value).__name__


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float) else json.dumps(value)


def _as_text(table: pa.Table) -> pa.Table:
    """Return a typed table as the SQL takes it: stamps as numbers of microseconds, else text."""
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
        elif pa.types.is_floating(column.type):
            values = [None if x is None else repr(x) for x in column.to_pylist()]
            columns[name] = pa.array(values, pa.string())
            continue
        columns[name] = column.cast(pa.string())
    return pa.table(columns)


def _wanted_columns(table: pa.Table, path: Path, mapping: Mapping_) -> pa.Table:
    """Return the columns that a mapping reads, under names that nothing else has."""
    wanted = {mapping.time.column}
    wanted |= {x.column for x in mapping.fields().values()}
    wanted |= {x.interval for x in mapping.fields().values() if isinstance(x.interval, str)}
    wanted |= set(mapping.rows)
    if mapping.asset.place == "columns":
        wanted.add(WIDE[0])
    if mapping.asset.column is not None:
        wanted.add(mapping.asset.column)
    for of_rows in (mapping.exchange, mapping.instrument):
        if isinstance(of_rows, str) and of_rows.startswith("="):
            wanted.add(of_rows[1:])
    span = mapping.time.span_hours
    if isinstance(span, str) and span != AUTO:
        wanted.add(span)
    there = set(table.column_names)
    if missing := sorted(wanted - there - set(mapping.optional)):
        raise MsmError(
            f"a file lacks {'a column' if len(missing) == 1 else 'columns'} of its mapping",
            where=str(path),
            received=f"the columns {listed(table.column_names)}",
            remedy=f"the mapping reads {listed(missing)}: give the file another source, or the "
            "source another mapping (read.skip, read.delimiter, read.columns)",
        )
    absent = pa.nulls(table.num_rows, pa.string())
    columns = {_named(x): table[x] if x in there else absent for x in sorted(wanted)}
    if ANSWER in there:
        columns[ANSWER] = table[ANSWER]
    return pa.table(columns)


def _named(column: str) -> str:
    """Return the name of a file's column in SQL, which takes T for t.

    Examples
    --------
    >>> _named("t"), _named("T")
    ('of file: t', 'of file: ^t')
    """
    return "of file: " + "".join(f"^{x.lower()}" if x.isupper() else x for x in column)


def _unreadable(path: Path, received: str) -> MsmError:
    return MsmError(
        "a vendor's file cannot be read",
        where=str(path),
        received=received,
        remedy="fetch it again, take it out of the source's files, or mend its mapping",
    )


# --- From rows to observations -------------------------------------------------------------------


def _observe(
    con: duckdb.DuckDBPyConnection, source: Source, batch: Sequence[pa.Table], now: datetime
) -> None:
    """Add the observations of rows to `INCOMING`."""
    mapping = source.mapping
    con.register("raw_rows", pa.concat_tables(batch))
    con.execute(
        f"""
        create or replace temp table stamped as
        with stamps as (
            select
                raw_rows.*,
                {_stamp(mapping.time.column, mapping)} as "utc stamp",
                {_vendor_id(mapping)} as "vendor id",
                {_exchange(mapping)} as "its exchange",
                {_instrument(mapping)} as "its instrument"
            from raw_rows
            where {_wanted(mapping)}
        ),
        spaced as (select stamps.*, {_gap(mapping)} as gap from stamps)
        select spaced.* exclude (gap), {_span(mapping)} as "hours" from spaced
        """
    )
    con.unregister("raw_rows")
    _check_stamps(con, mapping)
    _check_ids(con, mapping)
    for fields in mapping.fields().values():
        _check_numbers(con, fields, mapping)
    _check_spans(con, mapping)
    is_over = "true"
    if mapping.time.means != "instant":
        is_over = f"({_is_over(mapping, now)})"
    for table, fields in mapping.fields().items():
        value = _number(fields.column, mapping, fields.missing)
        _check_contradictions(con, fields, mapping)
        hours, times = '"hours"', "1"
        if fields.interval is not None:
            interval = _interval(fields.interval, mapping)
            if mapping.time.means == "instant":
                hours = interval
            else:  # a bar's rate is for an interval, of which the bar holds several
                times = f'"hours" / {interval}'
        con.execute(
            f"""
            create or replace temp table observed as
            select
                {sql_text(source.id)} as source, {sql_text(fields.measure)} as measure,
                "vendor id", "its exchange", "its instrument",
                date_trunc('minute', "utc stamp" + interval 30 second) as stamp,
                {hours} as hours,
                {value} / {fields.divisor!r} * ({times}) as value,
                "{HASH}",
                {is_over} as is_over
            from stamped
            where "utc stamp" is not null and {value} is not null
            -- of samples within one minute the last one counts
            qualify row_number() over (
                partition by "{HASH}", "vendor id", "its exchange", "its instrument", stamp
                order by "utc stamp" desc, "{ROW}" desc
            ) = 1
            """
        )
        con.execute(
            f"insert into {INCOMING} select * exclude (is_over) from observed where is_over"
        )
        con.execute(
            f'insert into {UNFINISHED} select source, {sql_text(table)}, "vendor id", stamp '
            "from observed where not is_over"
        )
        con.execute("drop table observed")
    con.execute("drop table stamped")


def _quoted(column: str) -> str:
    return '"' + _named(column).replace('"', '""') + '"'


def _present(column: str, mapping: Mapping_, more_missing: Sequence[str] = ()) -> str:
    """Return SQL of a text, NULL where the mapping calls it missing."""
    missing = ", ".join(map(sql_text, (*mapping.missing, *more_missing))) or "''"
    text = f"trim({_quoted(column)})"
    return f"case when {text} not in ({missing}) then {text} end"


def _wanted(mapping: Mapping_) -> str:
    """Return SQL of the rows that a mapping reads."""
    return (
        " and ".join(
            f"trim({_quoted(column)}) in ({', '.join(map(sql_text, texts)) or 'null'})"
            for column, texts in mapping.rows.items()
        )
        or "true"
    )


def _is_over(mapping: Mapping_, now: datetime) -> str:
    """Return SQL of whether a bar was over when its file was read."""
    end = '"utc stamp"'
    if mapping.time.means == "bar_start":
        end = '"utc stamp" + to_minutes(cast(round("hours" * 60) as bigint))'
    is_past = f"{end} <= timestamp '{now.astimezone(UTC).replace(tzinfo=None).isoformat(' ')}'"
    if mapping.time.newest == "over":
        return is_past
    newest = f'max("utc stamp") over (partition by "{HASH}", "vendor id")'
    return f'{is_past} and "utc stamp" < {newest}'


def _number(column: str, mapping: Mapping_, more_missing: Sequence[str] = ()) -> str:
    every = (*mapping.missing, *more_missing)
    missing = [one for one in every if re.fullmatch(r"-?[0-9.]+", one)]
    number = f"try_cast({_present(column, mapping, more_missing)} as double)"
    for one in missing:  # 0 is 0.0 and 0.00
        number = f"nullif({number}, {float(one)!r})"
    return number


def _stamp(column: str, mapping: Mapping_) -> str:
    """Return SQL of a stamp in UTC; NULL where it cannot be read."""
    text, time = _present(column, mapping), mapping.time
    number = f"try_cast({text} as double)"
    if time.unit == "auto":
        cases = " ".join(
            f"when abs({number}) >= {least!r} then cast(round({number} * {factor!r}) as bigint)"
            for least, factor in _SCALES
        )
        of_number = f"make_timestamp(case {cases} end)"
    else:
        of_number = f"make_timestamp(cast(round({number} * {_UNIT_TO_US[time.unit]!r}) as bigint))"
    aware = f"try_cast(regexp_replace({text}, ' UTC$', 'Z') as timestamptz) at time zone 'UTC'"
    eight = f"try_strptime({text}, '%Y%m%d')"  # 20240101
    plain = f"coalesce({eight}, try_cast({text} as timestamp))"
    has_zone = f"regexp_matches({text}, '{_ZONE}')"
    in_utc = "null" if time.zone is None else _in_utc(plain, time.zone)
    of_text = f"case when {has_zone} then {aware} else {in_utc} end"
    is_number = f"{number} is not null and not regexp_matches({text}, '^[12][0-9]{{7}}$')"
    return f"case when {is_number} then {of_number} else {of_text} end"


def _in_utc(stamp: str, zone: str) -> str:
    """Return SQL of a stamp of a zone in UTC."""
    found = re.fullmatch(r"([+-])([0-9]{2}):([0-9]{2})", zone)
    if found is None:
        return f"timezone('UTC', timezone({sql_text(zone)}, {stamp}))"
    sign, hours, minutes = found.groups()
    return f"{stamp} - interval ({int(sign + '1') * (60 * int(hours) + int(minutes))}) minute"


def _vendor_id(mapping: Mapping_) -> str:
    asset = mapping.asset
    name = f"regexp_extract(\"{NAME}\", '[^/]*$')"
    folder = f"regexp_extract(\"{NAME}\", '([^/]*)/[^/]*$', 1)"
    match asset.place:
        case "constant":
            return sql_text(str(asset.value))
        case "column":
            return _present(str(asset.column), mapping)
        case "columns":
            return _quoted(WIDE[0])
        case "answer":
            return f"nullif(\"{ANSWER}\", '')"
        case "folder" if asset.pattern is None:
            return folder
    place = name if asset.place == "filename" else folder
    return f"nullif(regexp_extract({place}, {sql_text(str(asset.pattern))}, 1), '')"


def _exchange(mapping: Mapping_) -> str:
    if mapping.exchange is None:
        return "cast(null as varchar)"
    if mapping.exchange.startswith("="):
        return _present(mapping.exchange[1:], mapping)
    return sql_text(mapping.exchange)


def _instrument(mapping: Mapping_) -> str:
    if isinstance(mapping.instrument, str):
        return _present(mapping.instrument.removeprefix("="), mapping)
    return _vendor_id(mapping) if mapping.instrument else "cast(null as varchar)"


def _gap(mapping: Mapping_) -> str:
    """Return SQL of the hours since the stamp before, where bars are as long as the least of it."""
    if mapping.time.span_hours != AUTO:
        return "cast(null as double)"
    before = f"""lag("utc stamp") over (
        partition by "{HASH}", "vendor id" order by "utc stamp"
    )"""
    return f'nullif(epoch("utc stamp" - {before}) / 3600, 0)'


def _span(mapping: Mapping_) -> str:
    """Return SQL of the hours that a row is about; NULL for an instant."""
    span = mapping.time.span_hours
    if span is None:
        return "cast(null as double)"
    if isinstance(span, float | int):
        return repr(float(span))
    if span != AUTO:
        end = _stamp(span, mapping)
        # the end is the last millisecond of the bar, or the start of the next one
        return f'round(epoch({end} - "utc stamp") / 60) / 60'
    name = f"regexp_extract(\"{NAME}\", '[^/]*$')"
    part = f"regexp_extract({name}, '[-_]([0-9]+)([mhd])[-_.]', ['n', 'unit'])"
    hours = " ".join(f"when '{unit}' then {n!r}" for unit, n in _UNITS.items())
    spacing = f'min(gap) over (partition by "{HASH}", "vendor id")'
    return f"coalesce(try_cast({part}.n as double) * case {part}.unit {hours} end, {spacing})"


AUTO: Final = "auto"
_UNITS: Final[Mapping[str, float]] = {"m": 1 / 60, "h": 1.0, "d": 24.0}
_UNIT_TO_US: Final[Mapping[str, float]] = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
_ZONE: Final = "( UTC|Z|:[0-9]{2}[.0-9]*[+-][0-9]{2}(:?[0-9]{2})?)$"


def _interval(interval: str | float, mapping: Mapping_) -> str:
    if isinstance(interval, str):
        return f"try_cast({_present(interval, mapping)} as double)"
    return repr(float(interval))


def _check_stamps(con: duckdb.DuckDBPyConnection, mapping: Mapping_) -> None:
    column = mapping.time.column
    text = _present(column, mapping)
    row = con.execute(
        f"""
        select "{NAME}", "{ROW}", {_quoted(column)}, "utc stamp"
        from stamped
        where ({text} is not null and "utc stamp" is null)
            or "utc stamp" not between timestamp '{FIRST_DAY}' and timestamp '{LAST_DAY}'
            or regexp_matches({text}, '^[0-9.]+[eE][+]?[0-9]+$')
        limit 1
        """
    ).fetchone()
    if row is None:
        return
    name, number, received, stamp = row
    if re.fullmatch(r"[0-9.]+[eE][+]?[0-9]+", str(received)):
        what = "a spreadsheet has rounded the stamps of a file"
        remedy = "fetch the file again, and do not save it from a spreadsheet"
    elif stamp is not None:
        what, remedy = (
            f"a stamp lies in {stamp.year}",
            "mend the row, or the mapping: is it a stamp, and in the column that is meant?",
        )
    else:
        what = "a stamp cannot be read"
        remedy = (
            "say time.zone where texts have no zone of their own (UTC, +03:00); days are written "
            "YYYY-MM-DD; numbers are seconds or finer since 1970"
        )
    raise MsmError(what, where=f"{name}, row {number}, {column}", received=received, remedy=remedy)


def _check_ids(con: duckdb.DuckDBPyConnection, mapping: Mapping_) -> None:
    row = con.execute(
        f'select "{NAME}", "{ROW}" from stamped '
        'where "vendor id" is null and "utc stamp" is not null limit 1'
    ).fetchone()
    if row is not None:
        where, remedy = f"{row[0]}, row {row[1]}", "mend the row"
        if mapping.asset.pattern is not None:
            where, remedy = row[0], f"mend asset.pattern, {mapping.asset.pattern}, or the name"
        raise MsmError("a row says nothing of its asset", where=where, remedy=remedy)


def _check_spans(con: duckdb.DuckDBPyConnection, mapping: Mapping_) -> None:
    if mapping.time.means == "instant":
        return
    row = con.execute(
        f"""
        select "{NAME}", "hours" from stamped
        where "utc stamp" is not null and ("hours" is null or not ("hours" > 0)) limit 1
        """
    ).fetchone()
    if row is not None:
        raise MsmError(
            "the length of a file's bars is not known",
            where=row[0],
            received="nothing says it" if row[1] is None else f"{row[1]} hours",
            remedy="say time.span_hours: hours, the column of a bar's end, or auto (as the file's "
            "name has it: -1h-, _1d.)",
        )


def _check_contradictions(
    con: duckdb.DuckDBPyConnection, fields: Fields, mapping: Mapping_
) -> None:
    """Two rows of a file about one id and moment say one thing, or the id stands for two."""
    number = _number(fields.column, mapping, fields.missing)
    row = con.execute(
        f"""
        select any_value("{NAME}"), "vendor id", "utc stamp", min({number}), max({number})
        from stamped
        where "utc stamp" is not null
        group by "{HASH}", "vendor id", "its exchange", "its instrument", "utc stamp"
        having count(*) > 1 and max({number}) - min({number})
            > {SAME} * greatest(abs(max({number})), abs(min({number})))
        order by 1, 2, 3
        limit 1
        """
    ).fetchone()
    if row is not None:
        name, vendor_id, stamp, least, most = row
        raise MsmError(
            "two rows of a file contradict each other",
            where=f"{name}, {vendor_id} at {stamp}",
            received=f"{fields.column} {least} and {most}",
            remedy="symbols are not unique: take the asset from a column that is, or read only "
            "the rows that are meant (rows: {COLUMN: [TEXT]}); else mend the file",
        )


def _check_numbers(con: duckdb.DuckDBPyConnection, fields: Fields, mapping: Mapping_) -> None:
    column = fields.column
    text = _present(column, mapping, fields.missing)
    row = con.execute(
        f"""
        select "{NAME}", "{ROW}", {_quoted(column)} from stamped
        where {text} is not null and (
            try_cast({text} as double) is null or not isfinite(try_cast({text} as double))
        )
        limit 1
        """
    ).fetchone()
    if row is not None:
        raise MsmError(
            f"{column} holds something else than a number",
            where=f"{row[0]}, row {row[1]}, {column}",
            received=row[2],
            remedy="mend the row, or name the text under `missing` of the source if it says that "
            "there is no value",
        )
