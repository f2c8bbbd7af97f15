"""Hostile lakes: the result of the same lake written the plain way, or one clear message.

Files that are refused are told in tests/unit/lake/test_hostile_lakes.py and
tests/unit/experiment/test_hostile_files.py; here is what needs a run.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from support.hostile_text import clean
from support.lakes import tiny_lake, tiny_spec
from support.pipeline import Done, contents_apart_from_ids, facts, msm, run_experiments
from support.specs import spec_of

# A02 and A03 are left alone: they are tied on some days, and ties go by name
NAMES = {
    "A04": "A04'); drop table runs; --",
    "A05": "../../A05",
    "A06": "=HYPERLINK(A06)",
    "A07": "\x1b[31mA07\u202e[/red]",
    "A08": '牛 "A08"\n<script>{{ var("x") }}',
}
TITLE = "=1+1'); drop table runs; -- ../../x \x1b[31m\x07[/red] <b>牛</b>"
EXCLUDED = "A05"
N_DUPLICATES = 1_000_000
N_PASSING = 10_000
BAD_CLOSES = [1e308, float("inf"), float("-inf"), float("nan"), 1e15, -1e308, 1.0]
WITH_ASSETS = ("basket.parquet", "attribution.parquet", "eligibility.parquet")


def _renamed(table: pa.Table) -> pa.Table:
    place = table.column_names.index("asset_id")
    names = [NAMES.get(name, name) for name in table["asset_id"].to_pylist()]
    return table.set_column(place, "asset_id", pa.array(names))


def _passing(lake: Path) -> None:
    """Write assets that are there for a day, too small to be held, most of impossible prices."""
    names = [f"{list(NAMES.values())[k % len(NAMES)]}\0{k}" for k in range(N_PASSING)]
    days = [date(2024, 1, 1) + timedelta(days=k % 160) for k in range(N_PASSING)]
    for table, column in (("price", "close"), ("marketcap", "marketcap"), ("volume", "volume")):
        values = [
            BAD_CLOSES[k % len(BAD_CLOSES)] if table == "price" else 1.0 for k in range(N_PASSING)
        ]
        rows = pa.table({"asset_id": names, "date": days, column: values})
        file = lake / f"fact_{table}" / "passing.parquet"
        file.parent.mkdir(exist_ok=True)
        pq.write_table(rows, file)


def _dates_as(table: pa.Table, kind: pa.DataType) -> pa.Table:
    return table.set_column(
        table.column_names.index("date"), "date", table["date"].cast(pa.timestamp("s")).cast(kind)
    )


def odd_lake(plain: Path, place: Path) -> Path:
    """Write a lake again: other names of assets, schemas that differ by file, links, duplicates."""
    lake = Path(shutil.copytree(plain, place / "elsewhere" / "odd"))
    for file in lake.rglob("*.parquet"):
        pq.write_table(_renamed(pq.read_table(file)), file)
    for name in ("fact_price", "fact_marketcap"):
        whole = pq.read_table(lake / f"{name}.parquet")
        (lake / f"{name}.parquet").unlink()
        (lake / name).mkdir()
        third = len(whole) // 3
        first, second, last = (
            whole.slice(0, third),
            whole.slice(third, third),
            whole.slice(2 * third),
        )
        nested = pa.array([{"close": [{"date": k}]} for k in range(third)])
        encoded = second["asset_id"].dictionary_encode()
        second = _dates_as(second, pa.timestamp("us")).set_column(0, "asset_id", encoded)
        second = second.append_column('x"; drop table runs; --', nested)
        parts = {
            "days": first,
            "microseconds": second,
            "nanoseconds": _dates_as(last, pa.timestamp("ns")),
            "nothing": whole.slice(0, 0),
            "links/milliseconds": _dates_as(last.slice(0, 0), pa.timestamp("ms")),
        }
        for part, table in parts.items():
            file = lake / name / f"{part}.parquet"
            file.parent.mkdir(exist_ok=True)
            pq.write_table(table, file)
    price = pq.read_table(lake / "fact_price" / "days.parquet")
    usable = np.isfinite(price["close"].to_pandas()) & (price["close"].to_pandas() > 0)
    one = price.slice(int(np.flatnonzero(usable)[0]), 1)
    many = pa.concat_tables([one] * 1000).combine_chunks()
    pq.write_table(
        pa.concat_tables([many] * (N_DUPLICATES // 1000)), lake / "fact_price" / "many.parquet"
    )
    _passing(lake)
    moved = place / "moved.parquet"
    (lake / "fact_funding.parquet").rename(moved)
    (lake / "fact_funding.parquet").symlink_to(moved)
    link = place / "odd"
    link.symlink_to(lake)
    return link


def _specs(excluded: str, title: str) -> list[dict[str, object]]:
    return [
        spec_of("everything", {"title": title}),
        spec_of("without", {"universe": {"exclude_assets": [excluded]}}),
    ]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("plain")
    done = run_experiments(_specs(EXCLUDED, "plain"), tiny_lake(place / "lake", seed=6), place)
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="module")
def odd(plain: Done, tmp_path_factory: pytest.TempPathFactory) -> Done:
    place = tmp_path_factory.mktemp("odd")
    lake = odd_lake(plain.runs.parent / "lake", place)
    before = facts(place / "elsewhere")
    done = run_experiments(_specs(NAMES[EXCLUDED], TITLE), lake, place)
    assert done.code == 0, done.err
    assert facts(place / "elsewhere") == before
    return done


def _assets(folder: Path, file: str) -> pd.DataFrame:
    """Return rows by asset under the plain names, without those of assets that passed by."""
    rows = pd.read_parquet(folder / file).drop(columns="run_id", errors="ignore")
    back = {odd: name for name, odd in NAMES.items()}
    rows = rows[~rows["asset_id"].str.contains("\0")].replace({"asset_id": back})
    return rows.sort_values(list(rows.columns[:4])).reset_index(drop=True)


def _metrics(folder: Path) -> dict[str, object]:
    found = json.loads((folder / "metrics.json").read_text())
    return {key: value for key, value in found.items() if key not in ("run_id", "title")}


@pytest.mark.parametrize("experiment", ["everything", "without"])
def test_odd_is_as_plain(experiment: str, plain: Done, odd: Done) -> None:
    """Schemas, links, names, a million duplicates, 10,000 assets of a day: the same numbers."""
    expected, found = (done.folder(experiment) for done in (plain, odd))
    bytes_of = [contents_apart_from_ids(folder) for folder in (expected, found)]
    by_asset = {name for name in bytes_of[0] if name in WITH_ASSETS}
    others = set(bytes_of[0]) - {*by_asset, "metrics.json", "catalog_entry.json"}
    assert {name for name in others if bytes_of[0][name] != bytes_of[1][name]} == set()
    assert _metrics(found) == _metrics(expected)
    for name in by_asset:
        pd.testing.assert_frame_equal(_assets(found, name), _assets(expected, name))


def _dropped(done: Done) -> dict[str, int]:
    manifest = json.loads((done.folder("everything") / "manifest.json").read_text())
    rows = manifest["lake"]["dropped_rows"]
    return {x["reason"]: x["n_rows"] for x in rows if x["table_name"] == "fact_price"}


def test_what_is_dropped_is_counted(plain: Done, odd: Done) -> None:
    before, after = _dropped(plain), _dropped(odd)
    more = {reason: after[reason] - before.get(reason, 0) for reason in after}
    each = {value: len(range(k, N_PASSING, len(BAD_CLOSES))) for k, value in enumerate(BAD_CLOSES)}
    nan = next(n for value, n in each.items() if np.isnan(value))
    assert more == {
        "duplicate": N_DUPLICATES,
        "infinite": each[float("inf")] + each[float("-inf")],
        "missing value": 0,
        "not a number": nan,
        "not positive": 0,
        "out of range": each[1e308] + each[1e15] + each[-1e308],
    }


def test_names_are_shown_and_kept_as_they_are(odd: Done) -> None:
    """In lists for people and programs, in pages and in the warehouse."""
    place = odd.runs.parent
    said = [msm(*words, place=place) for words in (("show", "everything", "--full"), ("list",))]
    assert [one.code for one in said] == [0, 0]
    assert all(clean(text) for one in (odd, *said) for text in (one.out, one.err))
    listed = msm("list", "--csv", place=place)
    assert [row["title"] for row in csv.DictReader(io.StringIO(listed.out))].count(f"'{TITLE}") == 1
    page = (odd.folder("everything") / "report.html").read_text()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "<script>{{" not in page
    with duckdb.connect(str(odd.warehouse), read_only=True) as con:
        titles = con.execute("select title from catalog").fetchall()
        held = con.execute("select distinct asset_id from baskets").fetchall()
    assert (TITLE,) in titles
    names = {str(name) for (name,) in held}
    assert len(names & set(NAMES.values())) >= 4, names
    assert not any("\0" in name for name in names)


def test_the_check_of_the_odd_lake(plain: Done, odd: Done) -> None:
    """It names nobody's escape sequences, and finds as much as in the plain lake."""
    lakes = [done.runs.parent / name for done, name in ((plain, "lake"), (odd, "odd"))]
    said = [msm("lake", "check", str(lake), "--all", place=odd.runs.parent) for lake in lakes]
    assert said[0].code == said[1].code
    assert clean(said[1].out)
    assert f"duplicates: {N_DUPLICATES + 6:,} surplus rows that agree" in said[1].out


def test_the_state_is_that_of_the_plain_lake(plain: Done, odd: Done) -> None:
    states = []
    for done, lake in ((plain, "lake"), (odd, "odd")):
        place = done.runs.parent
        words = (str(place / "without.yaml"), "--lake", str(place / lake), "--json")
        (told,) = json.loads(msm("status", *words, place=place).out)["experiments"]
        states.append({key: told[key] for key in ("day", "regime", "score", "features")})
    assert states[0]["score"] is not None
    assert states[0] == states[1]


@pytest.mark.slow
def test_what_an_experiment_meets_is_that_of_the_plain_lake(plain: Done, odd: Done) -> None:
    met = []
    for done, lake in ((plain, "lake"), (odd, "odd")):
        place = done.runs.parent
        words = (str(place / "without.yaml"), "--lake", str(place / lake))
        said = msm("check", *words, place=place)
        assert (said.code, said.err, clean(said.out)) == (0, "", True)
        lines = [" ".join(line.split()) for line in said.out.splitlines()]
        met.append([line for line in lines if "exclude_assets" not in line])
    assert met[0] == met[1]


COMMANDS = (("run",), ("sweep",), ("check",), ("status",), ("lake", "check"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_table_without_columns_ends_every_command(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    lake = tiny_lake(tmp_path / "lake")
    pq.write_table(pa.table({}), lake / "fact_volume" / "empty.parquet")
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(tiny_spec()))
    given = (str(lake),) if command[0] == "lake" else (str(file), "--lake", str(lake))
    said = msm(*command, *given, place=tmp_path)
    assert said.code == 1
    assert said.err.count("error:") == 1
    assert "Traceback" not in said.err
    for part in ("a file of the lake cannot be read", "empty.parquet", "received:", "remedy:"):
        assert part in said.err
    assert not said.warehouse.exists()
    assert not said.runs.exists() or list(said.runs.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "received"),
    [
        (("show", "../../../etc/passwd"), "received: ../../../etc/passwd"),
        (("sweep", "show", "../../x"), "received: ../../x"),
        (("sweep", "show", "\x1b[31m"), "received: �[31m"),
        (("list", "--sort", "title; drop table catalog"), "received: title; drop table catalog"),
        (("list", "--top", "9" * 30), "'--top'"),
        (("check-lookahead", "everything.yaml", "--dates", "9" * 12), "'--dates'"),
        (("status", "without.yaml", "--asof", "99999-01-01"), "received: 99999-01-01"),
        (("run", "\udcff.yaml"), "no such experiment file"),
    ],
    ids=lambda part: " ".join(part[:3]) if isinstance(part, tuple) else "",
)
def test_hostile_words(words: tuple[str, ...], received: str, odd: Done) -> None:
    """Paths, SQL, escape sequences, absurd numbers and bytes that are no text, as arguments."""
    place = odd.runs.parent
    before = sorted(str(entry) for entry in place.rglob("*"))
    files = [
        str(place / word) if word.endswith(".yaml") and len(word) > 6 else word for word in words
    ]
    said = msm(*files, place=place)
    assert said.code in (1, 2)
    assert "Traceback" not in said.err
    assert received in said.err
    assert clean(said.out + said.err)
    assert sorted(str(entry) for entry in place.rglob("*")) == before
