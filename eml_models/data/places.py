"""Looks for the files of a data set, and describes the way out if they are in another place. Reads no images.

`eml_models.data.datasets` calls this module before it reads anything, and puts the answer into its errors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from pathlib import Path

DEFAULT_DATA_DIR = "data"
"""The folder of the data sets if the caller names none; relative to the working folder."""

PACKED = ".gz"
ARCHIVES = {"cifar-10-batches-py": "cifar-10-python.tar.gz"}
"""The file name of the official download of each folder."""

MAX_LOOKED_AT = 200
"""Most folders that are looked at. A data folder has few neighbours; a home folder may have
thousands."""

IDX_COUNT = struct.Struct(">4xI")
"""The header of MNIST's format: four bytes of type and rank, then the number of items, big-endian."""


def data_folder(data_dir: str | Path | None) -> Path:
    """The absolute path of the folder of the data sets."""
    return Path(DEFAULT_DATA_DIR if data_dir is None else data_dir).expanduser().absolute()


def missing_files(files: Sequence[str], folder: Path) -> list[str]:
    """The missing ones among `files`, which are relative to `folder`."""
    return [file for file in files if not (folder / file).is_file()]


def describe_misplaced(files: Sequence[str], folder: Path) -> str | None:
    """The place of misplaced files and the way out, in words; None if they are not near `folder`.

    Looks in the two folders above and in those directly inside, for packed files (``.gz``, or the official
    archive), and for files, packed or not, that lack some of their parent folders.

    Args:
        files: relative to a data folder, such as ``MNIST/raw/train-images-idx3-ubyte``.
    """
    for root in islice(_near(folder), MAX_LOOKED_AT):
        if not missing_files(files, root):
            return f"the files are in {root}: name that folder, --data-dir {root}"
    missing = missing_files(files, folder)
    if all((folder / f"{file}{PACKED}").is_file() for file in missing):
        packed = folder / f"{missing[0]}{PACKED}"
        return f"the files there are packed: unpack each, for instance gunzip --keep {packed}"
    archive = folder / ARCHIVES.get(Path(files[0]).parts[0], "")
    if archive.is_file():
        return f"the files there are packed: tar --extract --file {archive} --directory {folder}"
    return _describe_without_folders(files, folder)


def count_idx(path: Path) -> int | None:
    """The number of items in the header of a file of MNIST's format; None if the file is too short."""
    with path.open("rb") as file:
        header = file.read(IDX_COUNT.size)
    return IDX_COUNT.unpack(header)[0] if len(header) == IDX_COUNT.size else None


def _near(folder: Path) -> Iterator[Path]:
    """The folders that the user may have meant: the two above `folder`, and those in it."""
    yield from list(folder.parents)[:2]
    try:
        yield from (child for child in sorted(folder.iterdir()) if child.is_dir())
    except OSError:  # the folder does not exist or is not readable
        return


def _describe_without_folders(files: Sequence[str], folder: Path) -> str | None:
    """The same for files in or below `folder` that lack some of their parent folders."""
    belongs = (folder / files[0]).parent
    for kept in _fewer(Path(files[0]).parts[:-1]):
        found = folder.joinpath(*kept)
        names = [Path(file).name for file in files]
        if not missing_files(names, found):
            return f"the files are in {found} and belong in {belongs}: move them there"
        if not missing_files([f"{name}{PACKED}" for name in names], found):
            packed = found / f"{names[0]}{PACKED}"
            return (
                f"the files are packed in {found} and belong in {belongs}: move them there and unpack each,"
                f" for instance gunzip --keep {belongs / packed.name}"
            )
    return None


def _fewer(folders: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The nested folders with one or more left out; the longest remainders come first."""
    for number in reversed(range(len(folders))):
        yield from combinations(folders, number)
