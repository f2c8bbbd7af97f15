"""Fetching a lake from S3, as a mock on loopback speaks it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.lakes import tiny_lake
from support.pipeline import msm

from msm_py.errors import MsmError
from msm_py.pull.lake_copy import RECORD, fetch_lake

s3fs = pytest.importorskip("s3fs", reason="the extra s3 is not installed")
moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # warnings of mock and client are theirs
]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket of a server of one's own."""
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    storage = s3fs.S3FileSystem()
    storage.mkdir("bucket")
    yield storage
    storage.rm("bucket", recursive=True)  # the mock's memory is the process's
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def far(tmp_path: Path) -> Path:
    return tiny_lake(tmp_path / "far")


def put(bucket: Any, far: Path) -> None:
    for file in far.rglob("*"):
        if file.is_file():
            name = f"bucket/lakes/a/{file.relative_to(far).as_posix()}"
            bucket.pipe_file(name, file.read_bytes())


def contents(lake: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(lake): path.read_bytes()
        for path in lake.rglob("*")
        if path.is_file() and path.name != RECORD
    }


def test_a_lake_comes_from_a_bucket(bucket: Any, far: Path, tmp_path: Path) -> None:
    put(bucket, far)
    here = tmp_path / "here"
    done = msm("lake", "fetch", "s3://bucket/lakes/a", str(here), place=tmp_path)
    assert done.code == 0, done.err
    assert "0 by size alone" in done.out  # each has an ETag
    assert contents(here / "lake") == contents(far)
    fetched = fetch_lake("s3://bucket/lakes/a", here)
    assert (fetched.is_new, fetched.n_copied) == (False, 0)


def test_one_file_in_parts_has_no_md5(bucket: Any, far: Path, tmp_path: Path) -> None:
    put(bucket, far)
    name = "bucket/lakes/a/fact_price.parquet"
    content = (far / "fact_price.parquet").read_bytes()
    bucket.rm_file(name)
    upload = bucket.call_s3("create_multipart_upload", Bucket="bucket", Key=name[7:])
    part = bucket.call_s3(
        "upload_part",
        Bucket="bucket",
        Key=name[7:],
        UploadId=upload["UploadId"],
        PartNumber=1,
        Body=content,
    )
    bucket.call_s3(
        "complete_multipart_upload",
        Bucket="bucket",
        Key=name[7:],
        UploadId=upload["UploadId"],
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    fetched = fetch_lake("s3://bucket/lakes/a", tmp_path / "here")
    assert fetched.n_sized == 1
    copy = (fetched.lake / "fact_price.parquet").read_bytes()
    assert hashlib.sha256(copy).digest() == hashlib.sha256(content).digest()


def test_a_copy_that_differs_from_its_etag_is_refused(
    bucket: Any, far: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, far)
    here = tmp_path / "here"
    old = fetch_lake("s3://bucket/lakes/a", here).lake
    bucket.pipe_file("bucket/lakes/a/lake.yaml", b"name: another")
    get_file = bucket.get_file

    def damaged(path: str, place: str) -> None:
        get_file(path, place)
        content = bytearray(Path(place).read_bytes())
        content[-1] ^= 1
        Path(place).write_bytes(content)

    monkeypatch.setattr(bucket, "get_file", damaged)  # the one that fsspec keeps for all
    with pytest.raises(MsmError, match=r"lake.yaml\n  received: MD5 .* instead of"):
        fetch_lake("s3://bucket/lakes/a", here)
    assert (here / "lake").resolve() == old.resolve()


@pytest.mark.parametrize("url", ["s3://bucket/nothing", "s3://no-such-bucket/lake"])
def test_an_address_without_a_lake_is_one_message(url: str, bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(MsmError) as caught:
        fetch_lake(url, tmp_path / "here")
    assert url in str(caught.value)
    assert not (tmp_path / "here" / "lake").exists()
