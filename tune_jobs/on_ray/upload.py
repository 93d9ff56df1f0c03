"""What a job takes with it: the files of its working folder, without environments, stores, data and secrets.

Ray packs the folder itself; here is said what it leaves out, and a folder that is too large is refused before
anything is sent, with what is large in it. Which files are left out beyond our own list (.gitignore,
.rayignore, Ray's own list) is asked of Ray's packing code, so that both count the same.

Environments and stores are known by what is in them, whatever they are called and wherever they lie; a
secret is known by its usual names alone.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
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
    ".env*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".git-credentials",
    ".boto",
    ".s3cfg",
    ".passwd-s3fs",
    "kaggle.json",
    "application_default_credentials.json",
    "**/.docker/config.json",
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".huggingface",
    ".ray",
)
"""Patterns as in a .gitignore. Data sets are read from the nodes, stores are shared; secrets belong to the
nodes."""

STORE_SIGN = "studies"
"""A folder with this one in it that holds `study_slug=` folders is a trial store."""

ENVIRONMENT_SIGNS = ("pyvenv.cfg", "conda-meta")
"""A folder with one of these in it is an environment of Python."""

SPECIAL = frozenset("\\*?[]")
"""Characters that mean something in a pattern."""

NUM_SHOWN = 5


def choose_left_out(folder: Path, *paths: str | None) -> list[str]:
    """Patterns of what is not uploaded from `folder`: the usual, stores and environments in it, and `paths`.

    Neither are pipes and devices, of which Ray would read for ever, and links to a folder that they are in,
    which it would follow in circles.

    Raises:
        InvalidValueError: a part of the folder cannot be read.
    """
    inside: set[str] = set()

    def is_found(path: Path) -> bool:
        found = path != folder and (
            _is_store(path) or _is_environment(path) or _is_special(path) or _leads_back(path, folder)
        )
        if found:
            inside.add(str(path.relative_to(folder)))
        return found

    _travel(folder, [*LEFT_OUT], lambda path: None, is_found)
    for path in paths:
        if path and "://" not in path:
            for clean in (os.path.abspath, os.path.realpath):
                top, absolute = Path(clean(folder)), Path(clean(folder / path))
                if absolute != top and absolute.is_relative_to(top):
                    inside.add(str(absolute.relative_to(top)))
    return [*LEFT_OUT, *(pattern_of(name) for name in sorted(inside))]


def pattern_of(path: str) -> str:
    """The pattern that one path of the folder fits and no other.

    Blanks at its end stand in brackets: Ray strips a pattern before it looks for a backslash.
    """
    text = "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in path)
    kept = text.rstrip()
    return f"/{kept}" + "".join(f"[{blank}]" for blank in text[len(kept) :])


def check_upload(
    folder: Path, left_out: list[str], *, needed: Sequence[str] = (), most: int = GCS_STORAGE_MAX_SIZE
) -> int:
    """The bytes that would be uploaded, before packing.

    Args:
        needed: files of the folder that the job reads.

    Raises:
        InvalidValueError: they are more than Ray takes (names the largest folders and files), one of them
            cannot be read, or one that is needed is not among them.
    """
    sizes = measure(folder, left_out)
    if missing := [path for path in needed if path not in sizes]:
        raise InvalidValueError(
            f"the job would not find {missing[0]!r}: it is left out of the upload, by .gitignore or"
            " .rayignore, or as data, stores, environments and secrets always are; move it"
        )
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
    """The files that would be uploaded, by their path in the folder, with their bytes.

    Raises:
        InvalidValueError: one of them cannot be read, or has a name that Ray cannot pack.
    """
    sizes: dict[str, int] = {}
    closed: list[OSError] = []
    unnamed: list[str] = []

    def note(path: Path) -> None:
        if not _is_utf8(path.name):
            unnamed.append(str(path.relative_to(folder)))
        if path.is_file():
            sizes[str(path.relative_to(folder))] = path.stat().st_size
            try:
                path.open("rb").close()
            except OSError as error:
                closed.append(error)

    _travel(folder, left_out, note)
    if closed:
        raise _unreadable(closed[0]) from closed[0]
    if unnamed:
        raise InvalidValueError(
            f"the name of {unnamed[0]!r} in the working folder is no UTF-8, and Ray packs no other: rename"
            " it, or move it out of the folder"
        )
    return sizes


def _travel(
    folder: Path,
    left_out: list[str],
    handle: Callable[[Path], None],
    *left_out_too: Callable[[Path], bool],
) -> None:
    """Show every path that Ray would pack to `handle`."""
    patterns = [*ray_constants.get_runtime_env_default_excludes(), *left_out]
    heeds = os.environ.get(ray_constants.RAY_RUNTIME_ENV_IGNORE_GITIGNORE, "0") != "1"  # as Ray asks it
    excludes = [_get_excludes(folder, patterns), *left_out_too]
    try:
        _dir_travel(folder, excludes, handle, include_gitignore=heeds)
    except OSError as error:
        raise _unreadable(error) from error
    except (ValueError, IndexError) as error:  # of reading them, and of their patterns
        raise InvalidValueError(
            f"a .gitignore or .rayignore of the working folder cannot be understood: {error}. They are read"
            " as UTF-8, with patterns as git takes them"
        ) from error


def _unreadable(error: OSError) -> InvalidValueError:
    return InvalidValueError(
        f"{str(error.filename)!r} of the working folder cannot be read: {error.strerror}. Ray would not pack"
        " it: make it readable, move it out of the folder, or name another folder with --working-dir"
    )


def _is_store(folder: Path) -> bool:
    studies = folder / STORE_SIGN
    return studies.is_dir() and any(studies.glob("study_slug=*"))


def _is_environment(folder: Path) -> bool:
    return folder.is_dir() and any((folder / sign).exists() for sign in ENVIRONMENT_SIGNS)


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _leads_back(path: Path, folder: Path) -> bool:
    """Whether this is a link to a folder that it is in, as it was come to."""
    if not (path.is_symlink() and path.is_dir()):
        return False
    target = Path(os.path.realpath(path))
    above = path.parents[: len(path.parents) - len(folder.parents)]
    return any(Path(os.path.realpath(outer)).is_relative_to(target) for outer in above)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / (1 << 20):,.1f} MiB"
