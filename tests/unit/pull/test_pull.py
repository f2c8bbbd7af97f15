"""Pulling from vendors on loopback, as a user does: files, manifest, exit codes, and no keys."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from support.pipeline import ROOT, Done, command, msm, msm_process
from support.recordings import Asked, Recordings, Reply, recordings

from msm_py.errors import MsmError
from msm_py.pull.answers import Refused
from msm_py.pull.datasets import DATASETS
from msm_py.pull.requests import requests_of
from msm_py.pull.spec import Source, read_spec
from msm_py.pull.work import pull

stamina = pytest.importorskip("stamina", reason="the extra pull is not installed")
from msm_py.pull import client  # noqa: E402  (needs the extra)

SECRET = "sk-0123456789abcdef"
HOURLY = 1_704_067_200_000  # 2024-01-01 00:00 UTC
FUNDING = {"dataset": "binance_rest.fundingRate", "from": "2024-01-01", "to": "2024-02-09"}
GLASS = {
    "dataset": "coinglass.open_interest",
    "from": "2024-01-01",
    "to": "2024-01-31",
    "key_env": "GLASS_KEY",
}


@pytest.fixture(autouse=True)
def _no_pauses_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with stamina.set_testing(True, attempts=client.ATTEMPTS):
        yield


@pytest.fixture
def vendor() -> Iterator[Recordings]:
    with recordings() as vendor:
        yield vendor


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw"


def spec_file(tmp_path: Path, vendor: Recordings | None, *sources: dict[str, Any]) -> Path:
    """A spec whose sources are pulled from the vendor on loopback, fast."""
    general: dict[str, Any] = {"id": "a", "symbols": ["BTC"], "requests_per_minute": 60_000}
    if vendor is not None:
        general["base_url"] = vendor.url
    file = tmp_path / "pull.yaml"
    file.write_text(yaml.safe_dump({"sources": [{**general, **source} for source in sources]}))
    return file


def pulled(tmp_path: Path, vendor: Recordings, *sources: dict[str, Any], **env: str) -> Done:
    file = spec_file(tmp_path, vendor, *sources)
    return msm("lake", "pull", str(file), "--raw", str(tmp_path / "raw"), place=tmp_path, **env)


def manifest(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(x.name for x in folder.iterdir())


def zipped(text: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("x.csv", text)
    return content.getvalue()


class Archives:
    """An archive server: zip files with their sums."""

    def __init__(self, *names: str) -> None:
        self.files = {name: zipped(name) for name in names}

    def __call__(self, asked: Asked) -> Reply:
        name = asked.path.rsplit("/", 1)[-1]
        file = self.files.get(name.removesuffix(".CHECKSUM"))
        if file is None:
            return Reply(b"<Error/>", 404, {"Content-Type": "application/xml"})
        digest = hashlib.sha256(file).hexdigest()
        if name.endswith(".CHECKSUM"):
            return Reply(f"{digest}  {name}\n".encode())
        return Reply(file, headers={"Content-Type": "application/zip"})


# --- What is written -----------------------------------------------------------------------------


def test_each_range_of_days_is_a_file_of_what_the_vendor_said(
    tmp_path: Path, vendor: Recordings, raw: Path
) -> None:
    body = b'[ {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingTime": 1704067200003} ]'
    vendor.replies(Reply(body))
    done = pulled(tmp_path, vendor, {**FUNDING, "symbols": ["BTCUSDT"]})
    assert done.code == 0, done.err
    # ranges of 41 days (of 24 prints) since 1970: one ends on the 8th of February
    first, second = names(raw / "a" / "BTCUSDT")
    assert first == "fundingRate_BTCUSDT_2024-01-01_2024-02-08.json"
    assert second == "fundingRate_BTCUSDT_2024-02-09_2024-02-09.json"
    assert (raw / "a" / "BTCUSDT" / first).read_bytes() == body
    assert [asked.path for asked in vendor.asked] == ["/fapi/v1/fundingRate"] * 2
    asked = vendor.asked[1].query
    start = int(dt.datetime(2024, 2, 9, tzinfo=dt.UTC).timestamp()) * 1000
    assert int(asked["startTime"]) == start
    # the print of 24:00 is the last one of the day
    assert int(asked["endTime"]) == start + 86_400_000 + 59_999
    entry = manifest(raw / "a")[0]
    assert entry["sha256"] == hashlib.sha256(body).hexdigest()
    assert (entry["status"], entry["size"], entry["rows"]) == (200, len(body), 1)


def test_what_is_final_is_not_asked_again(tmp_path: Path, vendor: Recordings, raw: Path) -> None:
    vendor.replies(Reply([[1]]))
    assert pulled(tmp_path, vendor, FUNDING).code == 0
    n_asked = len(vendor.asked)
    done = pulled(tmp_path, vendor, FUNDING)
    assert (done.code, len(vendor.asked)) == (0, n_asked)
    next((raw / "a" / "BTC").iterdir()).write_bytes(b"cut")  # damaged: its size is another one
    assert pulled(tmp_path, vendor, FUNDING).code == 0
    assert len(vendor.asked) == n_asked + 1


def test_the_running_range_is_asked_again_as_days_go_by(
    tmp_path: Path, vendor: Recordings, raw: Path
) -> None:
    vendor.replies(Reply([[1]]))
    spec = read_spec(spec_file(tmp_path, vendor, {**FUNDING, "to": None}))

    def at(when: str) -> int:
        before = len(vendor.asked)
        pull(spec, raw, now=lambda: dt.datetime.fromisoformat(when).replace(tzinfo=dt.UTC))
        return len(vendor.asked) - before

    assert at("2024-01-11 00:30") == 1  # the last rows of the 10th may still come
    assert at("2024-01-11 06:00") == 1
    assert at("2024-01-11 18:00") == 0
    assert at("2024-01-12 06:00") == 1
    # one file, called as the whole range; then it is over, and final
    assert names(raw / "a" / "BTC") == ["fundingRate_BTC_2024-01-01_2024-02-08.json"]
    assert at("2024-02-10 06:00") == 2
    assert at("2024-02-10 07:00") == 0


def test_archives_come_by_month_and_the_running_month_by_day(
    tmp_path: Path, vendor: Recordings, raw: Path
) -> None:
    vendor.answering = Archives(
        *("BTC-1d-2024-01.zip", "BTC-1d-2024-02-28.zip"),
        *("BTC-1d-2024-02-29.zip", "BTC-1d-2024-03-01.zip"),
    )
    source = {"dataset": "binance_vision.um_klines", "from": "2023-12-01"}
    spec = read_spec(spec_file(tmp_path, vendor, source))
    (done,) = pull(spec, raw, now=lambda: dt.datetime(2024, 3, 3, 8, tzinfo=dt.UTC))
    assert vendor.asked[0].path == ("/data/futures/um/monthly/klines/BTC/1d/BTC-1d-2023-12.zip")
    assert names(raw / "a" / "BTC") == [
        *("BTC-1d-2024-01.zip", "BTC-1d-2024-02-28.zip"),
        *("BTC-1d-2024-02-29.zip", "BTC-1d-2024-03-01.zip"),
    ]
    # December (too old to be asked for by day), 27 days of February, the 2nd of March
    assert len(done.absent) == 1 + 27 + 1
    assert not done.missing
    n_asked = len(vendor.asked)
    (done,) = pull(spec, raw, now=lambda: dt.datetime(2024, 3, 3, 9, tzinfo=dt.UTC))
    # what may still come is asked for again; what has been absent for long is not
    assert len(vendor.asked) - n_asked == 1 + 27 + 1
    assert done.n_there == 4


def test_a_snapshot_is_a_file_per_day_of_asking(
    tmp_path: Path, vendor: Recordings, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.replies(Reply({"prices": [[HOURLY, 1.0]], "market_caps": [], "total_volumes": []}))
    source = {
        "dataset": "coingecko.market_chart",
        "symbols": ["bitcoin"],
        "from": "2024-01-01",
        "key_env": "GECKO",
    }
    file = spec_file(tmp_path, vendor, source)
    monkeypatch.setenv("GECKO", SECRET)
    for day in (10, 10, 11):
        time = dt.datetime(2024, 1, day, 9, tzinfo=dt.UTC)
        pull(read_spec(file), raw, now=partial(lambda x: x, time))
    assert names(raw / "a" / "bitcoin") == [
        "market_chart_bitcoin_2024-01-10.json",
        "market_chart_bitcoin_2024-01-11.json",
    ]
    assert [asked.query["days"] for asked in vendor.asked] == ["9", "10"]
    assert vendor.asked[0].headers["x-cg-demo-api-key"] == SECRET
    assert vendor.asked[0].path == "/api/v3/coins/bitcoin/market_chart"


ANSWERS = {
    "binance": [[1]],
    "bybit": {"retCode": 0, "result": {"list": [[1]]}},
    "okx": {"code": "0", "data": [[1]]},
    "coingecko": {"prices": [[1, 2]]},
    "coinglass": {"code": "0", "data": [[1]]},
    "hyperliquid": [{"coin": "BTC"}],
}


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_is_asked_and_kept(
    dataset: str,
    tmp_path: Path,
    vendor: Recordings,
    raw: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = DATASETS[dataset]

    def answering(asked: Asked) -> Reply:
        if data.shape == "archives":
            return Archives(asked.path.rsplit("/", 1)[-1].removesuffix(".CHECKSUM"))(asked)
        return Reply(ANSWERS[dataset.split("_")[0].split(".")[0]])

    vendor.answering = answering
    source: dict[str, Any] = {"dataset": dataset, "from": "2024-01-01"}
    if data.vendor.needs_key:
        source["key_env"] = "KEY"
    spec = read_spec(spec_file(tmp_path, vendor, source))
    monkeypatch.setenv("KEY", SECRET)
    (done,) = pull(spec, raw, now=lambda: dt.datetime(2024, 2, 5, 9, tzinfo=dt.UTC))
    assert not [x for x in done.missing if "keeps" not in x.reason]
    assert done.n_pulled >= 1
    for asked in vendor.asked:
        assert "{" not in asked.path + str(list(asked.query.values()))
        if asked.body is not None:  # numbers are numbers
            inner = asked.body.get("req", asked.body)
            assert isinstance(inner["startTime"], int)
            assert inner["coin"] == "BTC"


# --- What goes wrong on the way ------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Reply({"code": -1003}, 429, {"Retry-After": "1"}),
        Reply(b"", 418, {"Retry-After": "2"}),
        Reply(b"oops", 500),
        Reply(b"", 503),
        Reply([[1], [2], [3], [4]], cut=True),
        Reply(b"<html>maintenance</html>", headers={"Content-Type": "text/html; charset=utf-8"}),
        Reply(b"<html>", headers={"Content-Type": "application/json"}),
        Reply(b'[{"a": 1', headers={"Content-Type": "application/json"}),
        Reply(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00", headers={"Content-Encoding": "gzip"}),
        Reply(b"no gzip", headers={"Content-Encoding": "gzip"}),
    ],
    ids=lambda reply: f"{reply.status} {bytes(str(reply.body), 'ascii')[:12]!r}",
)
def test_what_passes_is_tried_again(
    fault: Reply, tmp_path: Path, vendor: Recordings, raw: Path
) -> None:
    vendor.replies(fault, fault, Reply([[1]]))
    done = pulled(tmp_path, vendor, {**FUNDING, "to": "2024-01-09"})
    assert done.code == 0, done.err
    assert len(vendor.asked) == 3
    (file,) = (raw / "a" / "BTC").iterdir()
    assert json.loads(file.read_bytes()) == [[1]]


def test_what_does_not_pass_is_missing_and_the_rest_is_there(
    tmp_path: Path, vendor: Recordings, raw: Path
) -> None:
    def answering(asked: Asked) -> Reply:
        return Reply([[1]]) if asked.query["symbol"] == "ETH" else Reply(b"", 502)

    vendor.answering = answering
    done = pulled(tmp_path, vendor, {**FUNDING, "to": "2024-01-09", "symbols": ["BTC", "ETH"]})
    assert done.code == 1
    assert "a: BTC/fundingRate_BTC_2024-01-01_2024-01-09.json: 502" in done.err
    assert "6 times" in done.err
    assert "not everything could be pulled" in done.err
    assert names(raw / "a") == [".lock", "ETH", "manifest.jsonl"]
    vendor.replies(Reply([[1]]))
    assert (
        pulled(tmp_path, vendor, {**FUNDING, "to": "2024-01-09", "symbols": ["BTC", "ETH"]}).code
        == 0
    )


def test_a_vendor_that_is_down_is_left_alone(tmp_path: Path, vendor: Recordings) -> None:
    vendor.replies(Reply(b"", 500))
    source = {**FUNDING, "to": "2024-01-09", "symbols": list("ABCDEFGH")}
    done = pulled(tmp_path, vendor, source)
    assert done.code == 1
    assert len(vendor.asked) == 3 * client.ATTEMPTS
    assert "5 more files" in done.err


def test_a_long_ban_ends_the_source_at_once(tmp_path: Path, vendor: Recordings) -> None:
    vendor.replies(Reply(b"", 418, {"Retry-After": "7200"}))
    done = pulled(tmp_path, vendor, {**FUNDING, "symbols": ["BTC", "ETH"]})
    assert done.code == 1
    assert len(vendor.asked) == 1
    assert "come back in 2:00:00" in done.err
    assert "3 more files" in done.err


def test_how_long_to_wait_is_the_vendors_word() -> None:
    assert client._seconds("12") == 12
    assert client._seconds("soon") is None
    assert client._seconds(None) is None
    assert client._seconds("Mon, 01 Jan 2024 00:00:00 GMT") == 0


def test_an_answer_that_says_no_is_missing_in_the_vendors_words(
    tmp_path: Path, vendor: Recordings
) -> None:
    vendor.replies(Reply({"code": -1121, "msg": "Invalid symbol."}, 400))
    done = pulled(tmp_path, vendor, {**FUNDING, "to": "2024-01-09"})
    assert done.code == 1
    assert len(vendor.asked) == 1
    assert "Invalid symbol." in done.err
    vendor.replies(Reply({"retCode": 10001, "retMsg": "no such market"}))
    done = pulled(tmp_path, vendor, {**FUNDING, "dataset": "bybit.funding", "to": "2024-01-02"})
    assert "retCode 10001: no such market" in done.err


def test_a_busy_answer_within_200_is_tried_again(tmp_path: Path, vendor: Recordings) -> None:
    fine = Reply({"retCode": 0, "result": {"list": [[1]]}})
    vendor.replies(Reply({"retCode": 10006, "retMsg": "Too many visits!"}), fine)
    source = {"dataset": "bybit.funding", "from": "2024-01-01", "to": "2024-01-01"}
    assert pulled(tmp_path, vendor, source).code == 0
    assert len(vendor.asked) == 2


def test_a_full_answer_may_have_been_cut(tmp_path: Path, vendor: Recordings, raw: Path) -> None:
    vendor.replies(Reply([[1]] * 1000))
    done = pulled(tmp_path, vendor, {**FUNDING, "to": "2024-01-09"})
    assert done.code == 1
    assert "1000 rows, as many as fit" in done.err
    assert not list(raw.rglob("*.json"))


def test_an_endless_answer_is_not_read_to_its_end(
    tmp_path: Path, vendor: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MOST_BYTES", 1000)
    vendor.replies(Reply([1] * 999))
    done = pulled(tmp_path, vendor, {**FUNDING, "to": "2024-01-09"})
    assert "the answer has more than 1,000 bytes" in done.err


def test_a_symbol_without_a_row_is_likely_misspelled(tmp_path: Path, vendor: Recordings) -> None:
    vendor.replies(Reply([]))
    done = pulled(tmp_path, vendor, {**FUNDING, "symbols": ["BCT"]})
    assert done.code == 1
    assert "a: BCT: the vendor has nothing of it on these days" in done.err


def test_an_archive_must_be_what_its_checksum_says(
    tmp_path: Path, vendor: Recordings, raw: Path
) -> None:
    archives = Archives("BTC-fundingRate-2024-01.zip")
    damaged = [Reply(zipped("cut")[:-9]), Reply(zipped("another"))]

    def answering(asked: Asked) -> Reply:
        if damaged and not asked.path.endswith(".CHECKSUM"):
            return damaged.pop(0)
        return archives(asked)

    vendor.answering = answering
    source = {
        "dataset": "binance_vision.fundingRate",
        "from": "2024-01-01",
        "to": "2024-01-31",
    }
    assert pulled(tmp_path, vendor, source).code == 0
    file = raw / "a" / "BTC" / "BTC-fundingRate-2024-01.zip"
    assert file.read_bytes() == archives.files[file.name]


def test_what_the_vendor_no_longer_keeps_is_missing(
    tmp_path: Path, vendor: Recordings, raw: Path
) -> None:
    vendor.replies(Reply([[1]]))
    source = {"dataset": "binance_rest.openInterestHist", "from": "2023-01-01"}
    spec = read_spec(spec_file(tmp_path, vendor, source))
    (done,) = pull(spec, raw, now=lambda: dt.datetime(2024, 2, 5, 9, tzinfo=dt.UTC))
    (missing,) = done.missing
    assert missing.what == "BTC from 2023-01-01 to 2024-01-07"
    assert missing.reason == "the vendor keeps 30 days; write from: 2024-01-08 or leave it out"
    spec = read_spec(spec_file(tmp_path, vendor, {"dataset": "binance_rest.openInterestHist"}))
    (done,) = pull(spec, raw, now=lambda: dt.datetime(2024, 2, 5, 10, tzinfo=dt.UTC))
    assert not done.missing
    assert done.n_there == len(names(raw / "a" / "BTC"))


def test_a_killed_pull_goes_on_where_it_was(tmp_path: Path, vendor: Recordings, raw: Path) -> None:
    vendor.replies(Reply([[1]]))
    assert pulled(tmp_path, vendor, FUNDING).code == 0
    file = raw / "a" / "manifest.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])  # killed while the line of the second file was written
    (raw / "a" / "BTC" / ".x.json.part").write_bytes(b"half")
    n_asked = len(vendor.asked)
    assert pulled(tmp_path, vendor, FUNDING).code == 0
    assert len(vendor.asked) == n_asked + 1
    assert len(manifest(raw / "a")) == 2
    assert not list(raw.rglob("*.part"))


def test_a_process_killed_while_it_waits_leaves_whole_files(
    tmp_path: Path, vendor: Recordings, raw: Path
) -> None:
    waits, ended = threading.Event(), threading.Event()

    def answering(asked: Asked) -> Reply:
        if len(vendor.asked) == 2:
            waits.set()
            ended.wait(10)
        return Reply([[1]])

    vendor.answering = answering
    words = ["-m", "msm_py.cli", "lake", "pull", str(spec_file(tmp_path, vendor, FUNDING))]
    with subprocess.Popen([sys.executable, *words, "--raw", str(raw)]) as process:
        assert waits.wait(30)
        process.kill()
    ended.set()
    assert names(raw / "a" / "BTC") == ["fundingRate_BTC_2024-01-01_2024-02-08.json"]
    assert pulled(tmp_path, vendor, FUNDING).code == 0
    assert len(vendor.asked) == 3
    assert [entry["status"] for entry in manifest(raw / "a")] == [200, 200]


def test_a_folder_that_cannot_be_written_to_is_one_message(
    tmp_path: Path, vendor: Recordings, raw: Path
) -> None:
    raw.write_text("a file")
    done = pulled(tmp_path, vendor, FUNDING)
    assert done.code == 1
    assert "an answer cannot be written" in done.err
    assert str(raw) in done.err


def test_one_process_at_a_time(tmp_path: Path, vendor: Recordings, raw: Path) -> None:
    (raw / "a").mkdir(parents=True)
    with FileLock(raw / "a" / ".lock"):
        done = msm_process(
            *("lake", "pull", str(spec_file(tmp_path, vendor, FUNDING)), "--raw", str(raw)),
            place=tmp_path,
        )
    assert done.code == 1
    assert "another process is pulling into this folder" in done.err


# --- Keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"code": "0", "data": [[1]]}),
        Reply({"code": "40001", "msg": f"bad key {SECRET}"}),
        Reply(f"you sent {SECRET}".encode(), 401),
        Reply(f"you sent {SECRET}".encode(), 500),
        Reply(b"", 302, {"Location": f"http://127.0.0.1:9/?k={SECRET}"}),
        Reply({"code": "0", "data": [[SECRET]]}),
        Reply({"code": "0", "data": [[1]] * 9}, cut=True),
        Reply(b"", 200, {"Content-Type": f"text/html; {SECRET}"}),
    ],
    ids=range(8),
)
def test_a_key_is_in_no_file_and_no_message(
    reply: Reply, tmp_path: Path, vendor: Recordings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    vendor.replies(reply)
    done = pulled(tmp_path, vendor, GLASS, GLASS_KEY=SECRET)
    assert vendor.asked[0].headers["CG-API-KEY"] == SECRET
    assert done.code == (0 if reply.body == {"code": "0", "data": [[1]]} else 1)
    assert SECRET not in done.out + done.err + caplog.text
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(written) >= 2
    assert not [file for file in written if SECRET.encode() in file.read_bytes()]


def test_no_traceback_shows_a_key(vendor: Recordings) -> None:
    source = Source.model_validate({**GLASS, "id": "a", "symbols": ["BTC"], "base_url": vendor.url})
    vendor.replies(Reply(f"you sent {SECRET}".encode(), 401))
    with client.Client(source, SECRET, client.Pace(), lambda _: None) as asking:
        assert SECRET not in repr(asking)
        request = next(requests_of(source, dt.date(2024, 3, 1)))
        with pytest.raises(Refused) as caught:
            asking.ask(request)
    assert SECRET not in str(caught.getrepr(chain=True))


def test_a_redirect_is_not_followed(tmp_path: Path, vendor: Recordings) -> None:
    with recordings() as other:
        vendor.replies(Reply(b"", 307, {"Location": f"{other.url}/x"}))
        done = pulled(tmp_path, vendor, GLASS, GLASS_KEY=SECRET)
        assert done.code == 1
        assert not other.asked
    assert "it leads to" in done.err
    assert "make it the base_url" in done.err


def test_a_key_must_be_in_the_environment(tmp_path: Path, vendor: Recordings, raw: Path) -> None:
    done = pulled(tmp_path, vendor, GLASS, GLASS_KEY="")
    assert done.code == 1
    assert "received: GLASS_KEY" in done.err
    done = pulled(tmp_path, vendor, GLASS, GLASS_KEY="bäd key")
    assert "bäd" not in done.err
    assert "cannot be sent" in done.err
    assert not raw.exists()
    assert not vendor.asked


# --- The file that says what to pull -------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dataset": "binance_rest.fundingrate"}, "did you mean binance_rest.fundingRate?"),
        ({"symbols": ["../../etc"]}, "cannot be the name of a file"),
        ({"symbols": [".hidden"]}, "cannot be the name of a file"),
        ({"symbols": ["BTC", "BTC"]}, "a symbol is named twice"),
        ({"id": "a/b"}, "cannot be the name of a file"),
        ({"interval": "1d"}, "has no such interval"),
        ({"from": None}, "add the first day"),
        ({"from": "2024-03-01"}, "the days end before they start"),
        ({"base_url": "ftp://x"}, "is no address"),
        ({"base_url": "http://x:port"}, "is no address"),
        ({"requests_per_minute": 0}, "requests_per_minute has a wrong value"),
        ({"symbol": ["BTC"]}, "did you mean symbols?"),
        ({"key_env": "KEY"}, "takes no key"),
        ({**GLASS, "key_env": None}, "needs a key"),
        ({**GLASS, "base_url": "http://example.com"}, "would be sent unencrypted"),
    ],
)
def test_a_mistake_in_the_file_is_one_message(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    file = spec_file(tmp_path, None, {**FUNDING, **change})
    with pytest.raises(MsmError) as caught:
        read_spec(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"key_env": SECRET},
        {"key_env": 123456789},
        {"api_key": SECRET},
        {"base_url": f"https://user:{SECRET}@example.com"},
        {"base_url": f"ftp://user:{SECRET}@example.com"},
        {"base_url": f"https://example.com/?key={SECRET}"},
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(
    change: dict[str, Any], tmp_path: Path
) -> None:
    file = spec_file(tmp_path, None, {**GLASS, **change})
    with pytest.raises(MsmError) as caught:
        read_spec(file)
    assert SECRET not in str(caught.value)
    assert "123456789" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "x", "sources: []", "sources: {}", "a: 1"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "pull.yaml"
    file.write_text(text)
    with pytest.raises(MsmError):
        read_spec(file)


def test_the_file_in_the_docs_is_read(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(sources:.*?)```", (ROOT / "docs/pull.md").read_text(), re.S)
    file = tmp_path / "pull.yaml"
    file.write_text(text)
    assert [x.id for x in read_spec(file).sources] == [
        *("binance_funding", "binance_perpetuals", "coinglass_oi"),
    ]


def test_two_sources_need_two_folders(tmp_path: Path) -> None:
    file = spec_file(tmp_path, None, FUNDING, {**FUNDING, "id": "A"})
    with pytest.raises(MsmError, match="two sources have one id"):
        read_spec(file)


def test_days_that_are_not_over_are_refused_before_anything_is_asked(
    tmp_path: Path, vendor: Recordings, raw: Path
) -> None:
    done = pulled(tmp_path, vendor, {**FUNDING, "from": "2190-01-01", "to": "2190-02-01"})
    assert done.code == 1
    assert "no day of those that are wanted is over" in done.err
    assert not raw.exists()


# --- The rest ------------------------------------------------------------------------------------


def test_no_answer_of_any_dataset_can_be_full() -> None:
    for name, data in DATASETS.items():
        for interval in (data.intervals or [None]) if data.shape == "windows" else ():
            n_days = data.days_per_request(interval)
            rows_per_day = {"1d": 1, "8h": 3, "4h": 6, "1h": 24, None: 24}[interval]
            assert n_days * rows_per_day + 1 < data.most_rows, name
            assert n_days >= 1


def test_requests_are_spread_evenly() -> None:
    slept: list[float] = []
    clock = iter([0.0, 0.1, 5.0, 5.0])
    pace = client.Pace(lambda: next(clock), slept.append)
    for host in ("a", "a", "b", "a"):
        pace.wait(host, 60)
    assert slept == [pytest.approx(0.9)]


def test_nothing_is_pulled_into_a_lake(tmp_path: Path, vendor: Recordings) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / "fact_price.parquet").touch()
    file = spec_file(tmp_path, vendor, FUNDING)
    done = msm("lake", "pull", str(file), "--raw", str(lake / "raw"), place=tmp_path)
    assert done.code == 1
    assert "nothing is ever written into a lake" in done.err


def test_without_the_extra_the_remedy_is_named(
    tmp_path: Path, vendor: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "msm_py.pull.client")
    monkeypatch.setitem(sys.modules, "httpx", None)
    done = pulled(tmp_path, vendor, FUNDING)
    assert done.code == 1
    assert 'pip install --editable ".[pull]"' in done.err


def test_the_command_line_starts_without_the_extras(tmp_path: Path) -> None:
    code = "import sys, msm_py.cli.app; print({'httpx', 'stamina', 'fsspec'} & set(sys.modules))"
    done = command([sys.executable, "-c", code], tmp_path)
    assert (done.code, done.out) == (0, "set()\n")
