"""Where the files of a data set lie, and what to say when they lie elsewhere. Reads no images.

`eml_models.data.datasets` asks before it reads anything, and puts what is found into its errors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from pathlib import Path

PACKED = ".gz"
ARCHIVES = {"cifar-10-batches-py": "cifar-10-python.tar.gz"}
"""What the official download of a folder is called."""

MAX_LOOKED_AT = 200
"""Folders beside and below; a data folder has a few, and somebody's home may have thousands."""

IDX_COUNT = struct.Struct(">4xI")
"""The header of MNIST's format: four bytes of type and rank, then how many items there are, big-endian."""


def missing_files(files: Sequence[str], folder: Path) -> list[str]:
    """Those of `files`, relative to `folder`, that are not there."""
    return [file for file in files if not (folder / file).is_file()]


def describe_misplaced(files: Sequence[str], folder: Path) -> str | None:
    """Where the files of a data set lie instead, and what to do; None if they are not found near `folder`.

    Looks one level up and down, for the files packed (``.gz``, or the official archive), and for the
    files without some of the folders that should hold them, packed or not.

    Args:
        files: relative to the folder that should be named, ``MNIST/raw/train-images-idx3-ubyte``.
    """
    for root in islice(_near(folder), MAX_LOOKED_AT):
        if not missing_files(files, root):
            return f"they lie in {root}: name that folder, --data-dir {root}"
    missing = missing_files(files, folder)
    if all((folder / f"{file}{PACKED}").is_file() for file in missing):
        packed = folder / f"{missing[0]}{PACKED}"
        return f"they lie there packed: unpack each, for instance gunzip --keep {packed}"
    archive = folder / ARCHIVES.get(Path(files[0]).parts[0], "")
    if archive.is_file():
        return f"they lie there packed: tar --extract --file {archive} --directory {folder}"
    return _describe_without_folders(files, folder)


def count_idx(path: Path) -> int | None:
    """How many items a file of MNIST's format says that it holds; None if it is too short to say."""
    with path.open("rb") as file:
        header = file.read(IDX_COUNT.size)
    return IDX_COUNT.unpack(header)[0] if len(header) == IDX_COUNT.size else None


def _near(folder: Path) -> Iterator[Path]:
    """The folders that may be meant: those around `folder`, and those in it."""
    yield from list(folder.parents)[:2]
    try:
        yield from (child for child in sorted(folder.iterdir()) if child.is_dir())
    except OSError:  # there is no such folder, or it may not be read
        return


def _describe_without_folders(files: Sequence[str], folder: Path) -> str | None:
    """Files that lie in or below `folder`, but without some of the folders in which they belong."""
    belongs = (folder / files[0]).parent
    for kept in _fewer(Path(files[0]).parts[:-1]):
        found = folder.joinpath(*kept)
        names = [Path(file).name for file in files]
        if not missing_files(names, found):
            return f"they lie in {found} and belong into {belongs}: move them there"
        if not missing_files([f"{name}{PACKED}" for name in names], found):
            packed = found / f"{names[0]}{PACKED}"
            return (
                f"they lie packed in {found} and belong into {belongs}: move them there and unpack each,"
                f" for instance gunzip --keep {belongs / packed.name}"
            )
    return None


def _fewer(folders: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """What is left of nested folders where some are missing, those with the most first."""
    for number in reversed(range(len(folders))):
        yield from combinations(folders, number)
