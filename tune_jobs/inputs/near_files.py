"""The file or module that a mistyped name may mean.

Reads the names in folders, and opens no file. Called by the modules of this wing that read files and code.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from eml_models.errors import did_you_mean, sort_by_nearness


def nearest_file(name: str) -> str:
    """Words that ask for the path nearest to `name`; no words if `name` exists or no path is near it.

    Each part of the path may be mistyped.
    """
    try:
        place = Path(name).expanduser()
        found = Path(place.anchor)
        for part in place.relative_to(found).parts:
            found = found / (part if (found / part).exists() else _nearest(part, os.listdir(found)))
    except (OSError, ValueError, RuntimeError, LookupError):  # not readable, a zero byte, an empty folder
        return ""
    return "" if found == place else did_you_mean(name, [str(found)])


def nearest_module(name: str, folders: Sequence[str]) -> str:
    """Words that ask for the module nearest to `name`, in `folders` or among those that Python finds."""
    places, found = [*folders, *sys.path], list[str]()
    try:
        for part in name.split("."):
            known = {*_modules(places)}
            found.append(part if part in known else _nearest(part, sorted(known)))
            places = [os.path.join(place, found[-1]) for place in places]
    except LookupError:
        return ""
    return did_you_mean(name, [".".join(found)])


def _modules(places: Iterable[str]) -> Iterable[str]:
    """The modules and packages in folders; a folder of modules is a package without more."""
    for place in places:
        yield from (module.name for module in pkgutil.iter_modules([place]))
        yield from (
            path.parent.name for path in Path(place).glob("*/*.py") if path.parent.name.isidentifier()
        )


def _nearest(part: str, known: Sequence[str]) -> str:
    """The name nearest to a part of a path.

    Raises:
        LookupError: there is none.
    """
    return sort_by_nearness(part, known)[0]
