"""The reasons why a path of a working folder is not sent with a job, whatever links lead to it.

A path through links has several names: its own, and a name after each link. The same rules apply to all of
them, so that a link `notes.txt -> .env` is as secret as its target. A second hard link leaves no such trace
and is not recognised.

Ray's own code reads `.gitignore` and `.rayignore`, so that they mean here what they mean to Ray. A
`.dockerignore` is not read: a job may need files that an image leaves out.

`tune_jobs.on_ray.jobs.upload` calls this.
"""

from __future__ import annotations

import ntpath
import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from tune_jobs.on_ray.jobs.secret_names import is_secret
from tune_jobs.on_ray.private import match_file, match_patterns, obeys_gitignore, usual_excludes

USUAL = (
    ".venv",
    "venv",
    ".git",
    "__pycache__",
    "*.egg-info",
    ".*_cache",
    ".hypothesis",
    "/trials",
    "/data",
)
"""Patterns as in a .gitignore. Nodes read data sets from their own disks, and stores are shared."""

STORE_SIGN = "studies"
"""A folder is a store if it holds a folder of this name with `study_slug=` folders in it."""

ENVIRONMENT_SIGNS = ("pyvenv.cfg", "conda-meta")
"""A folder is a Python environment if it holds a file or folder of one of these names."""

ROOT = "."
MOST_LINKS = 40
"""The number of links that Linux follows in one path."""

_Match = Callable[[Path], bool]


class Why(StrEnum):
    """The reason why a path is not sent, in the words that the user reads after "left out"."""

    SECRET = "as secrets, by their names"
    OUTSIDE = "as links that lead out of the folder"
    NOWHERE = "as links that lead to nothing"
    CIRCLE = "as links to a folder above them"
    SPECIAL = "as pipes, sockets and devices"
    NO_NAME = "for a name that Ray does not unpack (with a backslash, or with a letter and a colon first)"
    NAMED = "as the data or the store that an option names"
    SIGN = "as stores and environments, by their contents"
    RAYIGNORE = "by .rayignore"
    GITIGNORE = "by .gitignore"
    USUAL = "as usual (environments, caches, history, /data and /trials)"

    @property
    def way_out(self) -> str:
        """The advice for a user whose job needs the path."""
        return {
            Why.SECRET: "rename it if it is not a secret",
            Why.OUTSIDE: "name that link with --follow-link",
            Why.RAYIGNORE: "take it out of that file",
            Why.GITIGNORE: "take it out of that file",
            Why.NO_NAME: "rename it",
        }.get(self, "move it")


class Rules:
    """The rules for the paths of one folder; each path is examined once.

    Args:
        folder: a path without links in it.
        named: further paths to leave out, with their reasons.
    """

    def __init__(self, folder: Path, named: Mapping[str, Why]) -> None:
        self._folder = folder
        self._named = named
        self._usual: _Match = match_patterns(folder, [*usual_excludes(), *USUAL])
        self._obeys_git = obeys_gitignore()
        self._known: dict[str, Why | None] = {}
        self._ignores: dict[str, list[tuple[Why, _Match]]] = {}

    def why(self, name: str) -> Why | None:
        """The reason why a path is left out, itself or with a folder above it; None if it is sent."""
        if name not in self._known:
            above = None if name == ROOT else self.why(os.path.dirname(name) or ROOT)
            self._known[name] = above or self._why_itself(name)
        return self._known[name]

    def _why_itself(self, name: str) -> Why | None:
        path = self._folder / name
        if name == ROOT:
            return self._why_ignored(name)
        if is_secret(name, is_folder=os.path.isdir(path)):
            return Why.SECRET
        if name in self._named:
            return self._named[name]
        if self._usual(path):
            return Why.USUAL
        if _is_store(path) or _is_environment(path):
            return Why.SIGN
        if path.exists() and not path.is_file() and not path.is_dir():
            return Why.SPECIAL
        if "\\" in name or ntpath.splitdrive(name)[0]:
            return Why.NO_NAME
        return self._why_ignored(name)

    def _why_ignored(self, name: str) -> Why | None:
        path = self._folder / name
        above = name
        while True:
            for why, match in self._ignores_of(above):
                if match(path):
                    return why
            if above == ROOT:
                return None
            above = os.path.dirname(above) or ROOT

    def _ignores_of(self, name: str) -> list[tuple[Why, _Match]]:
        if name not in self._ignores:
            files = {
                ".rayignore": Why.RAYIGNORE,
                **({".gitignore": Why.GITIGNORE} if self._obeys_git else {}),
            }
            read = {why: match_file(self._folder / name, file) for file, why in files.items()}
            self._ignores[name] = [(why, match) for why, match in read.items() if match is not None]
        return self._ignores[name]


def names_on_the_way(path: Path) -> list[Path]:
    """The absolute names of a path, one after each link that it leads through."""
    names: list[Path] = []
    real, todo = Path(path.anchor), [*reversed(path.parts[1:])]
    while todo and len(names) < MOST_LINKS:
        part = todo.pop()
        if part in ("", os.curdir):
            continue
        if part == os.pardir:
            real = real.parent
            continue
        here = real / part
        if not os.path.islink(here):  # also where a folder may not be entered
            real = here
            continue
        target = os.readlink(here)
        if os.path.isabs(target):
            real = Path(os.sep)
        todo += reversed(target.split(os.sep))
        names.append(Path(os.path.normpath(os.path.join(real, *reversed(todo)))))
    return names


def leads_back(path: Path, folder: Path) -> bool:
    """Whether this path is a link to a folder above it, up to the given folder."""
    if not (path.is_symlink() and path.is_dir()):
        return False
    target = Path(os.path.realpath(path))
    above = path.parents[: len(path.parents) - len(folder.parents)]
    return any(Path(os.path.realpath(outer)).is_relative_to(target) for outer in above)


def _is_store(folder: Path) -> bool:
    studies = folder / STORE_SIGN
    return studies.is_dir() and any(studies.glob("study_slug=*"))


def _is_environment(folder: Path) -> bool:
    return folder.is_dir() and any((folder / sign).exists() for sign in ENVIRONMENT_SIGNS)
