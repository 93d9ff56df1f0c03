"""Differences of two definitions of a study, in lines for people.

A pure function of plain data. The store calls it and refuses to continue a study whose definition changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eml_models.data.file_names import FileSetName


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """The differences of two definitions, in lines ``path: was OLD, is now NEW``; empty if they are equal."""
    return list(_iter_differences("", old, new))


def _iter_differences(path: str, old: object, new: object) -> Iterable[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _iter_differences(f"{path}.{key}" if path else str(key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and all(_is_named(x) for x in [*old, *new]):
        yield from _iter_differences(path, {x["name"]: x for x in old}, {x["name"]: x for x in new})
    elif old != new and not is_same_file_set(old, new):
        yield f"{path}: was {_shown(old)}, is now {_shown(new)}"


def is_same_file_set(old: object, new: object) -> bool:
    """Whether both are names of one data set of files, whose files may have moved."""
    names = [FileSetName.parse(name) if isinstance(name, str) else None for name in (old, new)]
    first, second = names
    return first is not None and second is not None and first.identity == second.identity


def _shown(value: object) -> str:
    named = FileSetName.parse(value) if isinstance(value, str) else None
    return repr(value) if named is None else named.describe()


def _is_named(item: object) -> bool:
    return isinstance(item, Mapping) and "name" in item
