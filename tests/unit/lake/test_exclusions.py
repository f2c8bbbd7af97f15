"""A lake's exclude.csv: read strictly, and part of the lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from msm_py.errors import MsmError
from msm_py.lake.exclusions import project_list, read_exclusions


@pytest.mark.parametrize(
    "text", ["asset_id,reason\nA,gold\n\nB, a \n", "\ufeffasset_id,reason\r\nA,gold\r\nB,a"]
)
def test_assets_and_reasons_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "exclude.csv").write_bytes(text.encode())
    assert read_exclusions(tmp_path) == {"A": "gold", "B": "a"}


def test_without_a_file_nothing_is_excluded(tmp_path: Path) -> None:
    assert read_exclusions(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "has other columns"),
        (b"asset;reason\nA;b", "has other columns"),
        (b"asset_id,reason\nA", "lacks an asset or a reason in line 2"),
        (b"asset_id,reason\nA,", "lacks an asset or a reason in line 2"),
        (b"asset_id,reason\nA,b,c", "lacks an asset or a reason in line 2"),
        (b"asset_id,reason\nA,b\nA,c", "names an asset twice, in line 3"),
        (b"asset_id,reason\nA,\xff", "is not UTF-8"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "exclude.csv").write_bytes(content)
    with pytest.raises(MsmError, match=f"exclude.csv {what}") as caught:
        read_exclusions(tmp_path)
    assert caught.value.where == str(tmp_path / "exclude.csv")


def test_the_project_knows_gold_funds_and_stocks() -> None:
    known = project_list()
    assert known["PAXG"] == known["XAUT"] == "commodity"
    assert known["BUIDL"] == "tokenised fund"
    assert known["TSLAX"] == "tokenised stock"
    assert not {"BTC", "ETH", "SOL", "INF", "META"} & known.keys()
