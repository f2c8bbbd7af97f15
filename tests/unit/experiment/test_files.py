"""Files of experiments: what is read, and the one message for each mistake."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from msm_py.errors import MsmError
from msm_py.experiment.load import (
    load_experiment,
    load_experiments,
)
from msm_py.yaml_file import parse_yaml

HEAD = "experiment_id: a\nfeatures: [{id: momentum, weight: 1}]\n"

BAD_FILES = {
    # case: (text, what, where after the path, received, remedy)
    "unclosed bracket": (
        "experiment_id: a\nfeatures: [{id: momentum\nwindow: {}\n",
        "the YAML is broken",
        ", line 3, column 7",
        "flow mapping",
        "brackets",
    ),
    "tab": ("a:\n\tb: 1\n", "the YAML is broken", ", line 2, column 1", "token", "never tabs"),
    "python object": (
        "a: !!python/object/apply:os.getcwd []\n",
        "a value has a tag",
        ", line 1, column 4",
        "!!python/object/apply:os.getcwd",
        "remove it",
    ),
    "duplicate key": (
        HEAD + "window: {start: 2024-01-01}\nwindow: {}\n",
        "a key is given twice",
        ", line 4, column 1",
        "window",
        "keep one",
    ),
    "nested duplicate key": (
        HEAD + "universe:\n  majors: [BTC]\n  majors: [BTC]\n",
        "a key is given twice",
        ", line 5, column 3",
        "majors",
        "keep one",
    ),
    "empty": ("", "the file is empty", "", "", "msm_v1_baseline.yaml"),
    "comments only": ("# nothing\n", "the file is empty", "", "", "msm_v1_baseline.yaml"),
    "list": ("- a\n- b\n", "the file must hold a map of keys", "", "a list", "left margin"),
    "text": ("hello\n", "the file must hold a map of keys", "", "a single value", "left margin"),
    "documents": (
        HEAD + "---\n" + HEAD,
        "the file holds several YAML documents",
        ", line 3, column 1",
        "---",
        "per file",
    ),
    "nested 3,000 deep": (
        HEAD + "window: " + "{a: " * 3_000,
        "the values are nested too deeply",
        ", line 3, column 205",
        "more than 50 levels",
        "brackets",
    ),
    "nested 100,000 deep": (
        "[" * 100_000,
        "the values are nested too deeply",
        ", line 1, column 51",
        "more than 50 levels",
        "brackets",
    ),
    "nested by aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 60)),
        "the values are nested too deeply",
        ", line 50, column 12",
        "more than 50 levels",
        "brackets",
    ),
    "an alias to itself": (
        "a: &a [*a]\n",
        "an alias stands inside what it repeats",
        ", line 1, column 8",
        "*a",
        "write the value out",
    ),
    "a billion laughs": (
        "a0: &a0 [x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)),
        "there are too many values",
        ", line 7, column 15",
        "more than 300,000, counting what aliases (*name) repeat",
        "shorten",
    ),
    "too large": (
        HEAD + "description: " + "x" * 5_000_000,
        "the file is too large",
        "",
        "more than 5,000,000 bytes",
        "right file",
    ),
    "octal": (
        HEAD + "target: {short_leg: {n: 020}}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 25",
        "020",
        "write 20 (16 if octal is meant), or put it in quotes",
    ),
    "octal of YAML 1.2": (
        HEAD + "target: {short_leg: {n: 0o20}}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 25",
        "0o20",
        "write 16, or",
    ),
    "leading zero": (
        HEAD + "universe: {exclude_assets: [08]}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 29",
        "08",
        "write 8, or put it in quotes",
    ),
    "binary number": (
        HEAD + "target: {short_leg: {n: 0b11}}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 25",
        "0b11",
        "write 3, or",
    ),
    "sexagesimal": (
        HEAD + "target: {short_leg: {n: 1:30}}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 25",
        "1:30",
        "write 90, or",
    ),
    "sexagesimal with a fraction": (
        HEAD + "universe: {min_mcap_usd: -1:30.5}\n",
        "a number is written in a form that YAML readers disagree about",
        ", line 3, column 26",
        "-1:30.5",
        "write -90.5, or",
    ),
    "thousands of digits": (
        HEAD + "universe: {min_mcap_usd: " + "9" * 5_000 + "}\n",
        "a number has too many digits",
        ", line 3, column 26",
        "5,000 of them",
        "50_000_000",
    ),
    "thousands of hexadecimal digits": (
        HEAD + "target: {short_leg: {n: 0x" + "f" * 5_000 + "}}\n",
        "a number has too many digits",
        ", line 3, column 25",
        "5,002 of them",
        "50_000_000",
    ),
    "no digit": (
        HEAD + "target: {short_leg: {n: 0x_}}\n",
        "a number that cannot be read",
        "",
        "invalid literal",
        "50_000_000",
    ),
    "binary": ("a: \x00\n", "the YAML is broken", "", "", "check"),
    "impossible day": (
        HEAD + "window: {start: 2023-02-30}\n",
        "start is not a date",
        ": window.start",
        "2023-02-30",
        "YYYY-MM-DD",
    ),
    "text for a number": (
        HEAD + "target: {short_leg: {n: many}}\n",
        "n is not a finite number",
        ": target.short_leg.n",
        "many",
        "write a number",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_has_one_clear_message(case: str, tmp_path: Path) -> None:
    text, what, where, received, remedy = BAD_FILES[case]
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MsmError) as caught:
        load_experiment(path)
    error = caught.value
    assert what in error.what
    assert str(error.where).startswith(f"{path}{where}")
    assert received in str(error.received or "")
    assert remedy in (error.remedy or "")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"title: a\nname: \xff\xfe\x80\n")
    with pytest.raises(MsmError, match="the file is not UTF-8 text") as caught:
        load_experiment(path)
    assert caught.value.where == f"{path}, line 2"
    path.write_bytes(HEAD.encode("utf-16"))
    with pytest.raises(MsmError, match="the file is not UTF-8 text"):
        load_experiment(path)
    path.write_bytes(HEAD.encode("utf-8-sig"))
    assert load_experiment(path).experiment_id == "a"


def test_forms_in_quotes_are_text_and_text_is_not_misread(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + "universe: {exclude_assets: ['020', '1:30', 0xBTC, 09:30, 1INCH]}\n")
    found = load_experiment(path).universe.exclude_assets
    assert found == ("020", "09:30", "0xBTC", "1:30", "1INCH")


def test_a_merged_map_that_is_merged_again_holds_no_key_twice() -> None:
    text = "l: [&b {<<: &a {x: 1}, x: 2}]\nc: {<<: *b}\n"
    assert parse_yaml(text, "x.yaml") == {"l": [{"x": 2}], "c": {"x": 2}}


def test_a_device_is_not_read_for_ever() -> None:
    with pytest.raises(MsmError, match="the file is too large"):
        load_experiment("/dev/zero")


def test_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(HEAD)
    with pytest.raises(MsmError) as caught:
        load_experiment(tmp_path / "reel.yaml")
    assert caught.value.what == "no such experiment file"
    assert caught.value.where == str(tmp_path / "reel.yaml")
    assert "holds real.yaml" in str(caught.value.remedy)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MsmError, match="not a folder"):
        load_experiment(tmp_path)


def test_dates_of_the_command_line_replace_the_window(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + "window: {start: 2020-01-01, end: 2022-01-01}\n")
    window = load_experiment(path, start="2021-01-01", end=dt.date(2023, 1, 1)).window
    assert (window.start, window.end) == (dt.date(2021, 1, 1), dt.date(2023, 1, 1))
    assert load_experiment(path, start="2021-01-01").window.end == dt.date(2022, 1, 1)
    with pytest.raises(MsmError) as caught:
        load_experiment(path, start="yesterday")
    assert caught.value.where == "--start"
    assert caught.value.received == "yesterday"


def test_several_files(tmp_path: Path) -> None:
    one, same, other = (tmp_path / f"{name}.yaml" for name in ("one", "same", "other"))
    one.write_text(HEAD + "target: {short_leg: {n: 20}}\n")
    same.write_text(HEAD + "target: {short_leg: {n: 2e1}}\n")
    other.write_text(HEAD + "target: {short_leg: {n: 21}}\n")
    assert len(load_experiments([one, same])) == 1
    with pytest.raises(MsmError) as caught:
        load_experiments([one, same, other])
    assert caught.value.what == "one experiment_id stands for two different experiments"
    assert caught.value.where == f"{one} and {other}"
    assert caught.value.received == "a"
