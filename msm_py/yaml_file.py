"""Reading YAML the way people write it, with an error for what PyYAML lets pass in silence.

Every YAML file that MSM reads comes through here (experiments, sweeps, ``lake.yaml``), so one set
of rules holds for all of them: encoding, size, nesting, duplicate keys, numbers that readers of
YAML disagree about, and impossible dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from msm_py.errors import MsmError

MOST_BYTES: Final = 5_000_000
MOST_LEVELS: Final = 50
MOST_VALUES: Final = 300_000
MOST_DIGITS: Final = 100

# The C parser is about eight times faster; both build the same objects.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Mark = Any  # PyYAML's or libyaml's
_INT: Final = "tag:yaml.org,2002:int"
_FLOAT: Final = "tag:yaml.org,2002:float"
_STR: Final = "tag:yaml.org,2002:str"


class _Loader(_Base):  # type: ignore[misc]  # the base is chosen at run time
    """A safe loader that leaves impossible dates as text."""

    def construct_timestamp(self, node: yaml.ScalarNode) -> object:
        try:
            return super().construct_yaml_timestamp(node)
        except (ValueError, OverflowError):  # 2023-02-30: whoever wants a date says where it stands
            return node.value


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_timestamp)


# --- In ------------------------------------------------------------------------------------------


def read_yaml(path: Path) -> object:
    """Read a YAML file that holds one document.

    Parameters
    ----------
    path
        The file: UTF-8, with or without a byte order mark.

    Returns
    -------
    object
        What PyYAML's safe loader builds, except that an impossible date stays text; None for a
        file without content.

    Raises
    ------
    MsmError
        A file that cannot be read, is larger than ``MOST_BYTES`` or no UTF-8; or as `parse_yaml`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise MsmError(
            "the file cannot be read",
            where=str(path),
            received=str(error.strerror),
            remedy="check the path and its permissions",
        ) from None
    if len(content) > MOST_BYTES:
        raise MsmError(
            "the file is too large",
            where=str(path),
            received=f"more than {MOST_BYTES:,} bytes",
            remedy="check that it is the right file, or shorten its lists",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MsmError(
            "the file is not UTF-8 text",
            where=f"{path}, line {line}",
            received=f"the byte 0x{content[error.start]:02x}",
            remedy="save it as UTF-8",
        ) from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> object:
    """Parse the text of a YAML file.

    Parameters
    ----------
    text
        One document.
    where
        What it is called in messages.

    Returns
    -------
    object
        As `read_yaml`.

    Raises
    ------
    MsmError
        Broken YAML, a key given twice, several documents, a tag, a number that readers of YAML
        disagree about (all with line and column), more than ``MOST_LEVELS`` levels, or more than
        ``MOST_VALUES`` values.

    Examples
    --------
    >>> parse_yaml("{n: 20, until: 2024-02-30}", "x.yaml")
    {'n': 20, 'until': '2024-02-30'}
    >>> parse_yaml("n: 020", "x.yaml")
    Traceback (most recent call last):
        ...
    msm_py.errors.MsmError: a number is written in a form that YAML readers disagree about
      where:    x.yaml, line 1, column 4
      received: 020
      remedy:   write 20 (16 if octal is meant), or put it in quotes if text is meant
    """
    try:
        _check_shape(text, where)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            for node in _nodes(root):
                _check_keys(node, where)
                _check_number(node, where)
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise _broken(error, where) from None
    except ValueError as error:  # no digit after 0x
        raise MsmError(
            "the YAML holds a number that cannot be read",
            where=where,
            received=str(error),
            remedy="write numbers such as 0.5, 2e8 or 50_000_000",
        ) from None


def read_back(text: str) -> Any:
    """Return what a dumper of YAML or JSON wrote: it knows what it means, and is not checked."""
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def check_given(data: object, where: str) -> None:
    """Refuse data that is nested too deeply, with all that it repeats too large, or no text.

    Parameters
    ----------
    data
        What came from elsewhere than a file that `read_yaml` read: JSON, or dbt's variables.
    where
        What it is called in messages.

    Raises
    ------
    MsmError
        More than ``MOST_LEVELS`` levels, as of something that holds itself, or ``MOST_VALUES``
        values; or half a character, which JSON can say and no file can hold.
    """
    n_values = 0
    todo = [(data, 0)]
    while todo:
        node, level = todo.pop()
        n_values += 1
        _check_bounds(level, n_values + len(todo), where)
        if isinstance(node, dict):
            _check_characters("".join(key for key in node if isinstance(key, str)), where)
            todo.extend((value, level + 1) for value in node.values())
        elif isinstance(node, str):
            _check_characters(node, where)
        elif isinstance(node, list | tuple):
            todo.extend((value, level + 1) for value in node)


# --- What is refused -----------------------------------------------------------------------------


def _check_shape(text: str, where: str) -> None:
    """Refuse, before anything is built, what could not be built in reasonable time and space.

    Aliases count with all that they stand for: a few lines of aliases of aliases mean billions of
    values.
    """
    anchored: dict[str | None, tuple[int, int]] = {}  # values and levels of what has an anchor
    opened: list[tuple[str | None, int]] = []  # anchor, and values before it
    tallest: list[int] = [0]  # levels below each open collection
    n_values = n_documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.DocumentStartEvent):
            n_documents += 1
            if n_documents > 1:
                raise MsmError(
                    "the file holds several YAML documents",
                    where=_at(where, event.start_mark),
                    received="---",
                    remedy="write one document per file",
                )
        elif isinstance(event, yaml.CollectionStartEvent):
            anchored.pop(event.anchor, None)
            opened.append((event.anchor, n_values))
            tallest.append(0)
            n_values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            levels = tallest.pop() + 1
            tallest[-1] = max(tallest[-1], levels)
            anchored[anchor] = n_values - before, levels
        elif isinstance(event, yaml.ScalarEvent):
            n_values += 1
            anchored[event.anchor] = 1, 0
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchored and event.anchor in [name for name, _ in opened]:
                raise MsmError(
                    "an alias stands inside what it repeats",
                    where=_at(where, event.start_mark),
                    received=f"*{event.anchor}",
                    remedy="write the value out",
                )
            more, levels = anchored.get(event.anchor, (0, 0))
            n_values += max(more, 1)
            tallest[-1] = max(tallest[-1], levels)
        _check_tag(event, where)
        _check_bounds(len(opened) + tallest[-1], n_values, where, event.start_mark)


def _check_characters(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise MsmError(
            "a text holds half a character",
            where=where,
            received=ascii(text[error.start : error.end]),
            remedy="write the character whole, such as \\ud83d\\ude80",
        ) from None


def _check_tag(event: yaml.Event, where: str) -> None:
    tag = getattr(event, "tag", None)
    if tag not in (None, _STR):
        raise MsmError(
            "a value has a tag",
            where=_at(where, event.start_mark),
            received=str(tag).replace("tag:yaml.org,2002:", "!!"),
            remedy="remove it: plain values say enough, and quotes make text",
        )


def _check_bounds(n_levels: int, n_values: int, where: str, mark: _Mark | None = None) -> None:
    if n_levels > MOST_LEVELS:
        raise MsmError(
            "the values are nested too deeply",
            where=_at(where, mark),
            received=f"more than {MOST_LEVELS} levels",
            remedy="check brackets and indentation: nothing that MSM reads has that many levels",
        )
    if n_values > MOST_VALUES:
        raise MsmError(
            "there are too many values",
            where=_at(where, mark),
            received=f"more than {MOST_VALUES:,}, counting what aliases (*name) repeat",
            remedy="shorten the lists, or write out what is repeated",
        )


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Yield every node once, in the order of the file."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            todo.extend(part for pair in reversed(node.value) for part in reversed(pair))
        elif isinstance(node, yaml.SequenceNode):
            todo.extend(reversed(node.value))


def _check_keys(node: yaml.Node, where: str) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        name = (key.tag, key.value)
        if name in seen:
            raise MsmError(
                "a key is given twice",
                where=_at(where, key.start_mark),
                received=key.value,
                remedy="keep one of them",
            )
        seen.add(name)


# YAML 1.1 (PyYAML) reads 020 as 16, 0b11 as 3 and 1:30 as 90; YAML 1.2 reads 020 as 20, 0o20 as 16
# and the others as text. Hexadecimal numbers are the same in both.
_LEADING_ZERO = re.compile(r"([-+]?)0([0-9_]*[0-9])_*")
_WITH_BASE = re.compile(r"[-+]?0[ob][0-9][0-9_]*")


def _check_number(node: yaml.Node, where: str) -> None:
    if not isinstance(node, yaml.ScalarNode) or node.style not in (None, ""):
        return
    is_number = node.tag in (_INT, _FLOAT)
    if is_number and len(node.value) > MOST_DIGITS:
        raise MsmError(
            "a number has too many digits",
            where=_at(where, node.start_mark),
            received=f"{len(node.value):,} of them",
            remedy="write numbers such as 0.5, 2e8 or 50_000_000",
        )
    meant = _meant_by(node.value, is_number=is_number)
    if meant is not None:
        raise MsmError(
            "a number is written in a form that YAML readers disagree about",
            where=_at(where, node.start_mark),
            received=node.value,
            remedy=f"write {meant}, or put it in quotes if text is meant",
        )


def _meant_by(text: str, *, is_number: bool) -> str | None:
    """Return how to write a number that YAML readers disagree about; None for all other text."""
    zero = _LEADING_ZERO.fullmatch(text)
    if zero:
        decimal = int((zero[1] + zero[2]).replace("_", ""))
        octal = _integer(text, 8)
        return (
            f"{decimal}" if octal in (None, decimal) else f"{decimal} ({octal} if octal is meant)"
        )
    if _WITH_BASE.fullmatch(text):
        number = _integer(text, 0)
        return None if number is None else str(number)
    if is_number and ":" in text:
        sign = -1 if text.startswith("-") else 1
        total = 0.0
        for part in text.lstrip("+-").replace("_", "").split(":"):
            total = total * 60 + float(part)
        return f"{sign * total:.15g}"
    return None


def _integer(text: str, base: int) -> int | None:
    try:
        return int(text.replace("_", ""), base)
    except ValueError:
        return None


def _broken(error: yaml.YAMLError, where: str) -> MsmError:
    mark = getattr(error, "problem_mark", None)
    context = str(getattr(error, "context", None) or "")
    problem = str(getattr(error, "problem", None) or error)
    return MsmError(
        "the YAML is broken",
        where=_at(where, mark),
        received=f"{problem} ({context})" if context else problem,
        remedy="check indentation, colons, brackets and quotes at that line and the one above; "
        "YAML is indented by spaces, never tabs",
    )


def _at(where: str, mark: _Mark | None) -> str:
    return where if mark is None else f"{where}, line {mark.line + 1}, column {mark.column + 1}"
