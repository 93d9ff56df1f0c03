"""Reads a data set from a folder of images: a folder for each class, with or without ``train`` and ``test``.

::

    DIR/cat/1.png                DIR/train/cat/1.png
    DIR/dog/2.jpg                DIR/train/dog/2.jpg
                                 DIR/test/cat/3.png

The rules, which `read_image_folder` checks and its messages repeat:

* The names of the folders are those of the classes, labelled in the order of the names. ``test`` has the
  same classes; without it a fixed fifth of each class is for testing.
* All images have one size; none is scaled or cut. A photograph's note of how to turn it is obeyed. If all
  images are grey they have one channel, else three. A transparent pixel has no colour and is refused.
* Links are followed. Names that begin with a dot are passed over, and files whose names do not end like an
  image's, which a note counts.

Pillow decodes, and knows the size of an image before that. torchvision.io, the alternative, reads neither BMP
nor TIFF nor that note. It is faster for small JPEG files and slower for large ones (20 against 99 us of 32
pixels, 717 against 267 us of 224 pixels; one thread, 2,000 and 200 images, Pillow 13.0.0, torchvision
0.29.1), which matters little because `decoded_images` keeps the result. Called by `file_sets`.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eml_models.data.file_content import (
    FileContent,
    require_class_names,
    require_fitting,
    shortened,
    split_note,
    with_test_part,
)
from eml_models.data.raw_data import RawDataset, as_arrays
from eml_models.errors import DatasetMissingError, InvalidValueError, raise_if_any
from eml_models.wording import count_of

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Pillow's formats that are read. Others are not: some start other programs."""

SUFFIXES = frozenset(
    (
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
    )
)
TRAIN, TEST = "train", "test"

GREY_MODES = frozenset(("1", "L"))
COLOUR_MODES = frozenset(("RGB", "P", "CMYK", "YCbCr", "RGBA", "LA", "PA"))

ORIENTATION, FIRST_TURNED = 0x0112, 5
"""The tag of a photograph that says how to turn it; from this value on, width and height change places."""

DECODING = "1"
"""Changes when the same files are decoded to other arrays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """The files of a folder of images.

    Attributes:
        classes: their names, in the order of the labels.
        train, test: each file with its label; `test` is empty without a folder for it.
        num_others: how many files are not images by their names.
    """

    path: Path
    classes: tuple[str, ...]
    train: tuple[tuple[Path, int], ...]
    test: tuple[tuple[Path, int], ...]
    num_others: int = 0

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, those of `train` first."""
        return tuple(path for path, _ in (*self.train, *self.test))

    def key(self) -> str:
        """A hash of the files' names and contents and of what decodes them: 32 hex digits.

        Raises:
            DatasetMissingError: a file cannot be read.
        """
        digest = self._digest()
        for file in self.files:
            _add(digest, file, self.path, _content_of(file))
        return str(digest.hexdigest())

    def read(self) -> FileContent:
        """Decode all images.

        Raises:
            DatasetMissingError: a file cannot be read.
            InvalidValueError: a file is no undamaged image, or the images have several sizes.
        """
        import numpy as np

        size, grey = self._common_form()
        channels = 1 if grey else 3
        subject = f"data set {self.path}"
        require_fitting(subject, len(self.files) * channels * size[0] * size[1])
        images = np.empty((len(self.files), channels, size[1], size[0]), np.uint8)
        problems = []
        for index, file in enumerate(self.files):
            try:
                images[index] = _decode(_content_of(file), grey=grey)
            except DatasetMissingError:
                raise
            except Exception as error:  # of any type: a decoder may raise anything for a damaged file
                problems.append(f"{file}: {_reason(error)}")
        _raise_for_files(subject, "cannot be decoded", problems)
        labels = np.asarray([label for _, label in (*self.train, *self.test)], np.int64)
        count = len(self.train)
        if self.test:
            raw = RawDataset(
                train_images=images[:count],
                train_labels=labels[:count],
                test_images=images[count:],
                test_labels=labels[count:],
            )
        else:
            raw = with_test_part(images, labels, subject)
        return FileContent(
            raw=as_arrays(raw),
            class_names=self.classes,
            num_classes=len(self.classes),
            notes=tuple(self.iter_notes(raw)),
        )

    def iter_notes(self, raw: RawDataset) -> Iterator[str]:
        """What was decided for these arrays, in sentences."""
        subject = f"data set {self.path}"
        if self.num_others:
            yield f"{subject}: {self.num_others:,} files are passed over, no images by their names"
        if not self.test:
            yield split_note(raw, subject)

    def _digest(self) -> Any:
        from PIL import __version__, features

        decoder = f"{DECODING} {__version__} {features.version('jpg')}"
        return hashlib.blake2b(decoder.encode(), digest_size=16)

    def _common_form(self) -> tuple[tuple[int, int], bool]:
        """The size (width, height) of all images, and whether all are grey; reads their headers alone."""
        forms, problems = [], []
        for file in self.files:
            try:
                forms.append((file, *_form_of(file)))
            except DatasetMissingError:
                raise
            except Exception as error:  # of any type: a decoder may raise anything for a damaged file
                problems.append(f"{file}: {_reason(error)}")
        subject = f"data set {self.path}"
        _raise_for_files(subject, "cannot be used", problems)
        counts = Counter(size for _, size, _ in forms)
        if len(counts) > 1:
            first = {size: file for file, size, _ in reversed(forms)}
            shown = [
                f"{w} x {h} ({count_of(n, 'image')}, such as {first[w, h]})"
                for (w, h), n in counts.most_common()
            ]
            raise InvalidValueError(
                f"{subject} must have images of one size, got {len(counts)} sizes: {shortened(shown)}; scale"
                " or cut them first, as in Image.open(file).convert('RGB').resize((64, 64)).save(file) with"
                " Pillow on a copy"
            )
        return next(iter(counts)), all(mode in GREY_MODES for _, _, mode in forms)


def find_images(path: Path) -> ImageFolder:
    """The images of a folder and their classes, by names alone; reads no image.

    Raises:
        DatasetMissingError: there is no such folder, or it cannot be read.
        InvalidValueError: its folders are not those of a data set.
    """
    if not path.is_dir():
        what = "no folder" if path.exists() else "missing"
        raise DatasetMissingError(f"folder {path} is {what}; name a folder with a folder for each class")
    folders, files = _list(path)
    names = {folder.name for folder in folders}
    if not names & {TRAIN, TEST}:
        return _gather(path, _find_part(path, folders, files), None)
    others = sorted(names - {TRAIN, TEST})
    if others or TRAIN not in names:
        got = f"also {shortened(others)}" if others else f"{TEST} without {TRAIN}"
        raise InvalidValueError(
            f"data set {path} with a folder {TRAIN} may have a folder {TEST} and no other, got {got}; our"
            f" validation images are a part of {TRAIN}, so put held-out images into {TEST} or elsewhere"
        )
    train = _find_part(path / TRAIN, *_list(path / TRAIN))
    test = _find_part(path / TEST, *_list(path / TEST)) if TEST in names else None
    return _gather(path, train, test)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The files of each class below a folder."""

    classes: dict[str, list[Path]] = field(default_factory=dict)
    num_others: int = 0


def _find_part(path: Path, folders: list[Path], files: list[Path]) -> _Part:
    images = [file for file in files if _is_image(file)]
    if images or len(folders) < 2:
        got = f"images such as {images[0]}" if images else count_of(len(folders), "folder")
        raise InvalidValueError(
            f"folder {path} must hold a folder of images for each class, at least 2, got {got}; write such as"
            f" {path}/cat/1.png and {path}/dog/2.png"
        )
    classes, problems, num_others = {}, [], len(files)
    for folder in folders:
        inner, found = _list(folder)
        classes[folder.name] = [file for file in found if _is_image(file)]
        num_others += len(found) - len(classes[folder.name])
        if inner:
            problems.append(f"class folder {folder} must hold images alone, got the folder {inner[0]}")
        elif not classes[folder.name]:
            problems.append(
                f"class folder {folder} has no image; add images ({', '.join(sorted(SUFFIXES))}) or remove it"
            )
    raise_if_any(f"data set {path}", problems[:10])
    return _Part(classes=classes, num_others=num_others)


def _gather(path: Path, train: _Part, test: _Part | None) -> ImageFolder:
    classes = tuple(sorted(train.classes))
    require_class_names(classes, f"data set {path}")
    if test is not None and set(test.classes) != set(classes):
        only = sorted(set(test.classes) ^ set(classes))
        raise InvalidValueError(
            f"data set {path}: {TRAIN} and {TEST} must have the same classes, got {shortened(only)} in one of"
            " them alone"
        )
    label = {name: index for index, name in enumerate(classes)}
    parts = [
        tuple((file, label[name]) for name in classes for file in part.classes[name]) if part else ()
        for part in (train, test)
    ]
    num_others = train.num_others + (test.num_others if test else 0)
    return ImageFolder(path=path, classes=classes, train=parts[0], test=parts[1], num_others=num_others)


def _list(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the files in a folder, in the order of their names.

    Raises:
        DatasetMissingError: it cannot be read.
        InvalidValueError: it holds a link that leads nowhere, or something that is no file and no folder.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted((e for e in found if not e.name.startswith(".")), key=lambda entry: entry.name)
            folders = [Path(entry) for entry in entries if entry.is_dir()]
            files = [Path(entry) for entry in entries if entry.is_file()]
            others = [entry for entry in entries if not entry.is_dir() and not entry.is_file()]
    except OSError as error:
        raise _unreadable(folder, error) from error
    if others:
        path = others[0].path
        what = "is a link that leads nowhere" if os.path.islink(path) else "is neither a file nor a folder"
        raise InvalidValueError(f"{path} {what}; remove it from the data set")
    return folders, files


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES


def _content_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(path: Path, error: OSError) -> DatasetMissingError:
    return DatasetMissingError(f"{path} cannot be read: {error.strerror or error}; make it readable")


def _form_of(file: Path) -> tuple[tuple[int, int], str]:
    """The size of an image as people see it, and its mode."""
    try:
        with file.open("rb") as stream, _opened(stream) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise InvalidValueError(f"it holds {image.n_frames} images; save each as a file of its own")
            if image.mode not in GREY_MODES | COLOUR_MODES:
                raise InvalidValueError(
                    f"its values are {image.mode}, and 8 bits for each channel are read; convert it, or use"
                    " arrays:FILE.npz with floats"
                )
            width, height = image.size
            turned = image.getexif().get(ORIENTATION, 1) >= FIRST_TURNED
            return ((height, width) if turned else (width, height)), image.mode
    except PermissionError as error:
        raise _unreadable(file, error) from error


def _decode(content: bytes, *, grey: bool) -> Any:
    """An image as (C, H, W) uint8."""
    import numpy as np
    from PIL import ImageOps

    with _opened(io.BytesIO(content)) as image:
        turned = ImageOps.exif_transpose(image)
        if turned.has_transparency_data and turned.convert("RGBA").getchannel("A").getextrema()[0] != 255:
            raise InvalidValueError("it has transparent pixels; put it on a background first")
        if grey:
            return np.asarray(turned.convert("L"))[None]
        return np.asarray(turned.convert("RGB")).transpose(2, 0, 1)


def _opened(stream: Any) -> Any:
    from PIL import Image

    with (
        warnings.catch_warnings()
    ):  # Pillow warns of images that are very large, and refuses still larger ones
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(stream, formats=FORMATS)


def _add(digest: Any, file: Path, root: Path, content: bytes) -> None:
    for part in (os.fsencode(file.relative_to(root)), content):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)


def _reason(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    if "cannot identify image file" in text:
        return f"no undamaged image ({', '.join(FORMATS)})"
    return text or type(error).__name__


def _raise_for_files(subject: str, what: str, problems: list[str]) -> None:
    if problems:
        raise InvalidValueError(
            f"{subject}: {len(problems):,} of its files {what}; mend or remove them:\n  - "
            + "\n  - ".join(_few(problems))
        )


def _few(problems: list[str], count: int = 5) -> Iterator[str]:
    yield from problems[:count]
    if len(problems) > count:
        yield f"and {len(problems) - count:,} more"
