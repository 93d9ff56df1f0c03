"""Decoded folders of images, kept in the folder of the data sets: ``DATA_DIR/decoded/FINGERPRINT-KEY.npz``.

`KEY` is a hash of the image files (`image_folders.ImageFolder.key`), so that a changed file is decoded anew,
and `FINGERPRINT` that of the arrays, so that a study finds them without the folder. A kept file is a file of
arrays as `array_files` reads it. A damaged one is written anew. All of them may be removed at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from eml_models.data.array_files import read_array_file
from eml_models.data.file_content import FileContent
from eml_models.data.folder_lock import one_at_a_time
from eml_models.data.image_folders import ImageFolder
from eml_models.data.raw_data import fingerprint
from eml_models.errors import DatasetMissingError, InvalidValueError
from eml_models.whole_files import write_whole_by

LOG = logging.getLogger("eml_models.data")

DECODED = "decoded"
"""The folder in that of the data sets."""

LOCK = "decoding"


def decode_once(images: ImageFolder, data_dir: Path) -> tuple[FileContent, Path | None]:
    """The content of a folder of images, decoded only if no other call has done it; the file that keeps it.

    The file is None if the folder of the data sets cannot be written; a warning says so.

    Raises:
        DatasetMissingError: an image cannot be read.
        InvalidValueError: see `ImageFolder.read`; or the files changed meanwhile.
    """
    with _lock(data_dir / DECODED) as writable:
        key = images.key()
        for path in sorted((data_dir / DECODED).glob(f"*-{key}.npz")):
            if (kept := read_kept(path)) is not None:
                return replace(kept, notes=tuple(images.iter_notes(kept.raw))), path
        content = images.read()
        if images.key() != key:
            raise InvalidValueError(f"the files of {images.path} changed while they were read; try again")
        return content, (_keep(content, data_dir / DECODED, key) if writable else None)


def find_decoded(identity: str, data_dir: Path) -> FileContent | None:
    """The kept arrays with this fingerprint; None if there are none."""
    for path in sorted((data_dir / DECODED).glob(f"{identity}-*.npz")):
        if (kept := read_kept(path)) is not None:
            return kept
    return None


def read_kept(path: Path) -> FileContent | None:
    """The content of a kept file; None if it is damaged or gone."""
    try:
        content = read_array_file(path)
    except (InvalidValueError, DatasetMissingError) as error:
        LOG.warning("decoded images are not used: %s", error)
        return None
    return content if fingerprint(content.raw) == path.name.partition("-")[0] else None


def _keep(content: FileContent, folder: Path, key: str) -> Path | None:
    import numpy as np

    raw, path = content.raw, folder / f"{fingerprint(content.raw)}-{key}.npz"
    try:
        write_whole_by(
            path,
            lambda file: np.savez(
                file,
                x_train=raw.train_images,
                y_train=raw.train_labels,
                x_test=raw.test_images,
                y_test=raw.test_labels,
                class_names=np.asarray(content.class_names),
                layout=np.asarray("NCHW"),
            ),
        )
    except OSError as error:
        _warn(folder, error)
        return None
    return path


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """One process at a time decodes; yields whether the folder can be written."""
    lock = one_at_a_time(folder, LOCK)
    try:
        lock.__enter__()
    except OSError as error:
        _warn(folder, error)
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):
            lock.__exit__(None, None, None)


def _warn(folder: Path, error: OSError) -> None:
    LOG.warning(
        "decoded images cannot be kept in %s, so each process decodes them again: %s; name a folder that can"
        " be written with --data-dir (data_dir=...)",
        folder,
        error.strerror or error,
    )
