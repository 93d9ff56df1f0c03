"""Reads a data set from a file of arrays, ``.npz``: ``x_train, y_train[, x_test, y_test]``. Runs no code.

The rules, which `read_array_file` checks and its messages repeat:

* Images are (N, C, H, W), (N, H, W, C) or, for grey images, (N, H, W); bytes, or floats of any range. Floats
  stay as they are, because networks standardise them by the mean and standard deviation of the training set.
* The axis of channels is that with 1, 3 or 4 values: behind N, or the last. If both may be it, or none, an
  array ``layout`` with the text ``NCHW`` or ``NHWC`` decides.
* Labels are whole numbers from 0, (N,) or (N, 1). An array ``class_names`` with a text for each class is
  optional; without it there are as many classes as the largest training label and 1, and each has an image.
* Without ``x_test`` a fixed fifth of each class is for testing.

Arrays of other names are not read. Called by `file_sets`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

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

X_TRAIN, Y_TRAIN, X_TEST, Y_TEST = "x_train", "y_train", "x_test", "y_test"
CLASS_NAMES, LAYOUT = "class_names", "layout"
KNOWN = (X_TRAIN, Y_TRAIN, X_TEST, Y_TEST, CLASS_NAMES, LAYOUT)
IMAGES, LABELS = {X_TRAIN: Y_TRAIN, X_TEST: Y_TEST}, {Y_TRAIN: X_TRAIN, Y_TEST: X_TEST}
LAYOUTS = ("NCHW", "NHWC")

CHANNELS = (1, 3, 4)
"""The numbers of values by which the axis of channels is recognised."""

MAX_SCALE = 10
"""Test images of floats may have values up to this many times those of the training images."""

HOW = 'numpy.savez("FILE.npz", x_train=..., y_train=...), with x_test and y_test if there are any'
SUFFIX = ".npy"


def read_array_file(path: Path) -> FileContent:
    """The content of an ``.npz`` file.

    Raises:
        DatasetMissingError: there is no such file, or it cannot be read.
        InvalidValueError: it is no such file, is damaged or too large, or breaks a rule of this module.
    """
    arrays = _read_members(path)
    subject = f"data set {path}"
    missing = [name for name in (X_TRAIN, Y_TRAIN) if name not in arrays]
    missing += [
        other
        for name, other in ((X_TEST, Y_TEST), (Y_TEST, X_TEST))
        if name in arrays and other not in arrays
    ]
    if missing:
        raise InvalidValueError(
            f"{subject} has no {' and no '.join(missing)}, got {shortened(sorted(arrays), 6) or 'no array'};"
            f" write it by {HOW}"
        )
    layout = _layout_of(arrays.get(LAYOUT), subject)
    images = {name: _as_images(arrays[name], name, layout, subject) for name in IMAGES if name in arrays}
    labels = {name: _as_labels(arrays[name], name, subject) for name in LABELS if name in arrays}
    names = _class_names(arrays.get(CLASS_NAMES), subject)
    count = len(names) or int(labels[Y_TRAIN].max(initial=0)) + 1
    problems = [*_image_problems(images), *_label_problems(images, labels, count, named=bool(names))]
    raise_if_any(subject, problems)
    notes: tuple[str, ...] = ()
    if X_TEST in images:
        raw = RawDataset(
            train_images=images[X_TRAIN],
            train_labels=labels[Y_TRAIN],
            test_images=images[X_TEST],
            test_labels=labels[Y_TEST],
        )
    else:
        raw = with_test_part(images[X_TRAIN], labels[Y_TRAIN], subject)
        notes = (split_note(raw, subject),)
    return FileContent(raw=as_arrays(raw), class_names=names, num_classes=count, notes=notes)


def _read_members(path: Path) -> Mapping[str, Any]:
    """The arrays of known names, without pickle and only if memory can hold them; None for the others."""
    if path.is_dir():
        raise InvalidValueError(f"{path} is a folder, and arrays: takes a file; for images use folder:{path}")
    if not path.is_file():
        what = "no regular file" if path.exists() else "missing"
        raise DatasetMissingError(f"file {path} is {what}; name a file of arrays, arrays:FILE.npz")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(SUFFIX): info for info in archive.infolist()}
            wanted = {name: info for name, info in members.items() if name in KNOWN}
            require_fitting(f"file {path}", sum(info.file_size for info in wanted.values()))
            found = dict.fromkeys(members)
            for name, info in wanted.items():
                with archive.open(info) as member:
                    _check_header(member, f"file {path}: {name}", info.file_size)
                with archive.open(info) as member:
                    found[name] = _read_array(member)
            return found
    except InvalidValueError as error:
        raise InvalidValueError(
            f"file {path}: {error}" if str(path) not in str(error) else str(error)
        ) from error
    except OSError as error:
        raise DatasetMissingError(
            f"file {path} cannot be read: {error.strerror or error}; make it readable, or name another"
        ) from error
    except (
        zipfile.BadZipFile,  # no archive, or a wrong checksum
        zlib.error,
        EOFError,
        ValueError,  # of NumPy, for a member that is no array
        NotImplementedError,  # of zipfile, for a compression that it does not know
        RuntimeError,  # of zipfile, for a password
        MemoryError,
    ) as error:
        raise InvalidValueError(
            f"file {path} is no undamaged .npz file of arrays: {error or type(error).__name__}; write it by"
            f" {HOW}"
        ) from error


def _check_header(member: IO[bytes], name: str, size: int) -> None:
    """Refuse an array before it is read: of Python objects, or larger than its file says."""
    from math import prod

    from numpy.lib import format as npy

    version = npy.read_magic(member)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise InvalidValueError(f"{name} has fields, version {version}; write a plain array of numbers")
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise InvalidValueError(
            f"{name} must hold numbers or texts, got Python objects, which only running code could read;"
            " convert it, for texts by .astype(str)"
        )
    if prod(shape) * dtype.itemsize > size:
        raise InvalidValueError(f"{name} says that it has shape {shape}, more than the file holds")


def _read_array(member: IO[bytes]) -> Any:
    from numpy.lib import format as npy

    return npy.read_array(member, allow_pickle=False)


def _layout_of(array: Any, subject: str) -> str | None:
    if array is None:
        return None
    text = str(array)
    if text not in LAYOUTS:
        raise InvalidValueError(f"{subject}: layout must be {' or '.join(LAYOUTS)}, got {text[:40]!r}")
    return text


def _as_images(array: Any, name: str, layout: str | None, subject: str) -> Any:
    """The images as (N, C, H, W), a view.

    Raises:
        InvalidValueError: the array holds no images, or does not say which axis has the channels.
    """
    import numpy as np

    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise InvalidValueError(
            f"{subject}: {name} must be bytes (uint8) or floats, got {array.dtype}; convert it, such as"
            f" {name}.astype('uint8') for values from 0 to 255"
        )
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise InvalidValueError(
            f"{subject}: {name} must be at least one image, (N, C, H, W), (N, H, W, C) or (N, H, W), got"
            f" shape {array.shape}"
        )
    if array.ndim == 3:
        return array[:, None]
    if layout is None:
        layout = _guessed_layout(array.shape, name, subject)
    return array if layout == LAYOUTS[0] else array.transpose(0, 3, 1, 2)


def _guessed_layout(shape: tuple[int, ...], name: str, subject: str) -> str:
    fitting = [layout for layout, axis in zip(LAYOUTS, (1, 3), strict=True) if shape[axis] in CHANNELS]
    if len(fitting) != 1:
        which = "both axis 1 and axis 3 may be" if fitting else "neither axis 1 nor axis 3 is recognised as"
        raise InvalidValueError(
            f"{subject}: {name} has shape {shape}, and {which} the channels (1, 3 or 4 values); add"
            f" layout='NCHW' or layout='NHWC' to the file, as numpy.savez(..., layout='NCHW')"
        )
    return fitting[0]


def _as_labels(array: Any, name: str, subject: str) -> Any:
    """The labels as (N,) int64.

    Raises:
        InvalidValueError: they are no whole numbers, or more than one for an image.
    """
    import numpy as np

    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    way_out = ""
    if array.ndim == 2:
        way_out = f"; for a column for each class, take {name}.argmax(1)"
    elif array.dtype.kind == "f":
        way_out = f"; convert whole floats by {name}.astype('int64')"
    elif array.dtype.kind in "US":
        way_out = (
            "; number the classes from 0, as numpy.unique(labels, return_inverse=True) does, and save its"
            " texts as class_names"
        )
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidValueError(
            f"{subject}: {name} must be (N,) whole numbers, got {array.dtype} of shape {array.shape}{way_out}"
        )
    if array.dtype == np.uint64:  # a larger one would become negative
        array = np.minimum(array, np.uint64(np.iinfo(np.int64).max))
    return array.astype(np.int64)


def _class_names(array: Any, subject: str) -> tuple[str, ...]:
    if array is None:
        return ()
    if array.dtype.kind != "U" or array.ndim != 1:
        raise InvalidValueError(
            f"{subject}: class_names must be a text for each class, got {array.dtype} of shape {array.shape};"
            " write class_names=numpy.array(['cat', 'dog'])"
        )
    names = tuple(map(str, array))
    require_class_names(names, subject)
    return names


def _image_problems(images: Mapping[str, Any]) -> list[str]:
    """Differences of the training and the test images, and values that are no numbers."""
    import numpy as np

    problems = []
    for name, array in images.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            problems.append(f"{name} must be finite, got NaN or infinity")
        elif array.dtype == np.float64 and _largest(array) > float(np.finfo(np.float32).max):
            problems.append(f"{name} must fit 32-bit floats, got values up to {_largest(array):.3g}")
    if problems or X_TEST not in images:
        return problems
    train, test = images[X_TRAIN], images[X_TEST]
    if train.shape[1:] != test.shape[1:]:
        problems.append(
            f"x_test must have images (C, H, W) of {train.shape[1:]}, as x_train, got {test.shape[1:]}"
        )
    elif (train.dtype == np.uint8) != (test.dtype == np.uint8):
        problems.append(f"x_train is {train.dtype} and x_test is {test.dtype}; give both the same values")
    elif train.dtype.kind == "f" and _largest(test) > MAX_SCALE * _largest(train):
        problems.append(
            f"x_train has values up to {_largest(train):g} and x_test up to {_largest(test):g}; scale both"
            " alike"
        )
    return problems


def _largest(array: Any) -> float:
    """The largest size of a value."""
    return float(max(array.max(), -array.min()))


def _label_problems(
    images: Mapping[str, Any], labels: Mapping[str, Any], count: int, *, named: bool
) -> list[str]:
    """Labels that are missing or out of range, and classes without an image."""
    import numpy as np

    problems = []
    for name, values in labels.items():
        num_images = len(images[LABELS[name]])
        if len(values) != num_images:
            problems.append(
                f"{name} must have {num_images:,} labels, one for each image, got {len(values):,}"
            )
        elif values.min() < 0 or values.max() >= count:
            source = "class_names" if named else "the labels of y_train"
            problems.append(
                f"{name} must be in [0, {count}) by {source}, got {values.min():,} to {values.max():,}"
            )
    if problems or named:
        return problems
    known = np.unique(labels[Y_TRAIN])
    if count < 2:
        problems.append("y_train must have at least 2 classes, got the label 0 alone")
    elif len(known) < count:
        absent = next(label for label in range(count) if label not in set(known.tolist()))
        problems.append(
            f"y_train must have every label from 0 to {count - 1:,}, got none with {absent}; number the"
            " classes from 0 without a gap, or add class_names"
        )
    return problems
