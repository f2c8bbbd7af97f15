"""Reading YAML the way people write it, with an error for what PyYAML lets pass in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from msm_py.errors import MsmError

# The C parser is about eight times faster; both build the same objects.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # the base is chosen at run time
    """A safe loader that refuses duplicate keys and leaves impossible dates as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            name = (key.tag, key.value)
            if name in seen:
                raise _DuplicateKeyError(key.value, key.start_mark)
            seen.add(name)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping

    def construct_timestamp(self, node: yaml.ScalarNode) -> object:
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError:  # 2023-02-30: the schema says where it stands
            return node.value


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_timestamp)


class _DuplicateKeyError(Exception):
    def __init__(self, key: str, mark: yaml.Mark) -> None:
        self.key = key
        self.mark = mark
        super().__init__(key)


def read_yaml_map(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one map.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        The map, as PyYAML's safe loader builds it (no value is converted yet).

    Raises
    ------
    MsmError
        No such file, unreadable, broken YAML (with line and column), a key given twice, several
        documents, an empty file, or something else than a map.
    """
    try:
        data = yaml.load(path.read_bytes(), Loader=_Loader)
    except OSError as error:
        raise _unreadable(path, error) from None
    except _DuplicateKeyError as error:
        raise MsmError(
            "a key is given twice",
            where=_at(path, error.mark),
            received=error.key,
            remedy="keep one of them",
        ) from None
    except yaml.YAMLError as error:
        raise _broken(path, error) from None
    except (ValueError, RecursionError) as error:
        raise MsmError("the YAML is broken", where=str(path), received=str(error)) from None
    if data is None:
        raise MsmError(
            "the file is empty",
            where=str(path),
            remedy="start from experiments/msm/msm_v1_baseline.yaml",
        )
    if not isinstance(data, dict):
        shape = "a list" if isinstance(data, list) else "a single value"
        raise MsmError(
            "the file must hold a map of keys",
            where=str(path),
            received=shape,
            remedy="write `experiment_id: ...` and the other keys at the left margin",
        )
    return data


def _at(path: Path, mark: yaml.Mark | None) -> str:
    return str(path) if mark is None else f"{path}, line {mark.line + 1}, column {mark.column + 1}"


def _unreadable(path: Path, error: OSError) -> MsmError:
    if not path.exists():
        folder = path.parent
        found = sorted(item.name for item in folder.glob("*.y*ml")) if folder.is_dir() else []
        listing = f"; {folder} holds {', '.join(found)}" if found else ""
        return MsmError(
            "no such experiment file", where=str(path), remedy=f"check the path{listing}"
        )
    if path.is_dir():
        return MsmError(
            "an experiment file is expected, not a folder",
            where=str(path),
            remedy=f"name files, such as {path}/*.yaml",
        )
    return MsmError(
        "the experiment file cannot be read",
        where=str(path),
        received=str(error.strerror),
        remedy="check its permissions",
    )


def _broken(path: Path, error: yaml.YAMLError) -> MsmError:
    mark = getattr(error, "problem_mark", None)
    context = str(getattr(error, "context", None) or "")
    if "expected a single document" in context:
        return MsmError(
            "the file holds several YAML documents",
            where=_at(path, mark),
            received="---",
            remedy="write one experiment per file",
        )
    problem = str(getattr(error, "problem", None) or error)
    return MsmError(
        "the YAML is broken",
        where=_at(path, mark),
        received=f"{problem} ({context})" if context else problem,
        remedy="check indentation, colons, brackets and quotes at that line and the one above; "
        "YAML is indented by spaces, never tabs",
    )
