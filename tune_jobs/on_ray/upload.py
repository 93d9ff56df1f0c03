"""What a job takes with it: the files of its working folder, without environments, stores and data.

Ray packs the folder itself; here is said what it leaves out, and a folder that is too large is refused before
anything is sent, with what is large in it. Which files are left out beyond our own list (.gitignore,
.rayignore, Ray's own list) is asked of Ray's packing code, so that both count the same.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from ray._private import ray_constants
from ray._private.runtime_env.packaging import GCS_STORAGE_MAX_SIZE, _dir_travel, _get_excludes

from eml_models.errors import InvalidValueError

LEFT_OUT = (
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
"""Patterns as in a .gitignore. Data sets are read from the nodes, stores are shared."""

STORE_SIGN = "studies"
"""A folder with this one in it that holds `study_slug=` folders is a trial store."""

NUM_SHOWN = 5


def choose_left_out(folder: Path, *paths: str | None) -> list[str]:
    """Patterns of what is not uploaded from `folder`: the usual, its stores, and `paths` that lie in it."""
    inside = [store.name for store in folder.iterdir() if _is_store(store)]
    for path in paths:
        if path and "://" not in path:
            absolute = (folder / path).absolute()
            if absolute != folder and absolute.is_relative_to(folder):
                inside.append(str(absolute.relative_to(folder)))
    return [*LEFT_OUT, *(f"/{name}" for name in sorted({*inside}))]


def check_size(folder: Path, left_out: list[str], *, most: int = GCS_STORAGE_MAX_SIZE) -> int:
    """The bytes that would be uploaded, before packing.

    Raises:
        InvalidValueError: they are more than Ray takes; names the largest folders and files.
    """
    sizes = measure(folder, left_out)
    total = sum(sizes.values())
    if total >= most:
        tops: Counter[str] = Counter()
        for path, size in sizes.items():
            tops[path.partition(os.sep)[0]] += size
        large = ", ".join(f"{name} ({_mib(size)})" for name, size in tops.most_common(NUM_SHOWN))
        raise InvalidValueError(
            f"the working folder {folder} has {_mib(total)} to upload, and Ray takes less than {_mib(most)}."
            f" Largest: {large}. List what the job does not need in .rayignore or .gitignore, or name a"
            " smaller folder with --working-dir"
        )
    return total


def measure(folder: Path, left_out: list[str]) -> dict[str, int]:
    """The files that would be uploaded, by their path in the folder, with their bytes."""
    sizes: dict[str, int] = {}

    def note(path: Path) -> None:
        if path.is_file():
            sizes[str(path.relative_to(folder))] = path.stat().st_size

    patterns = [*ray_constants.get_runtime_env_default_excludes(), *left_out]
    _dir_travel(folder, [_get_excludes(folder, patterns)], note, include_gitignore=True)
    return sizes


def _is_store(folder: Path) -> bool:
    studies = folder / STORE_SIGN
    return studies.is_dir() and any(studies.glob("study_slug=*"))


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / (1 << 20):,.1f} MiB"
