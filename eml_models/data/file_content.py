"""What a user's files hold, once they are read and checked, and the rules that arrays and folders share.

`array_files` and `image_folders` make this value; `file_sets` makes a data set of it. NumPy, imported at the
first use.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eml_models.data.raw_data import RawDataset, hold_out_test
from eml_models.errors import InvalidValueError

TEST_FRACTION = 0.2
"""The share of the images that becomes the test set of a set without any."""

MIN_TRAIN = 5
"""The fewest training images: recipes hold a fifth of them out for validation, unless they say otherwise."""

FALLBACK_BYTES = 16 << 30
"""The limit on a machine that does not say how much memory it has."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileContent:
    """The arrays of a set of files.

    Attributes:
        raw: as `eml_models.data.raw_data.as_arrays` makes them.
        class_names: in the order of the labels; empty if the classes have no names.
        num_classes: the number of names, or the largest label and 1.
        notes: what the reader decided by itself, in sentences.
    """

    raw: RawDataset
    class_names: tuple[str, ...] = ()
    num_classes: int
    notes: tuple[str, ...] = ()


def max_bytes() -> int:
    """The most bytes of images that are read: half of this machine's memory, since they are copied once."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):  # not on this system
        return FALLBACK_BYTES


def require_fitting(subject: str, size: int) -> None:
    """Refuse images that this machine cannot hold.

    Args:
        size: bytes of the images in memory.

    Raises:
        InvalidValueError: they take more than `max_bytes`.
    """
    if size > max_bytes():
        raise InvalidValueError(
            f"{subject} would take {size / 1e9:,.1f} GB in memory, and at most {max_bytes() / 1e9:,.1f} GB"
            " are read here (half of this machine's memory); take fewer or smaller images"
        )


def with_test_part(images: Any, labels: Any, subject: str) -> RawDataset:
    """A set without test images, split: a fixed fifth of each class is for testing (`split_note`).

    Raises:
        InvalidValueError: there are too few images for two parts.
    """
    raw = hold_out_test(images, labels, TEST_FRACTION)
    if len(raw.test_labels) == 0:
        raise InvalidValueError(
            f"{subject} has no test images and {len(labels)} others, too few to hold a fifth of them out; add"
            " images"
        )
    return raw


def require_validation_part(raw: RawDataset, subject: str) -> None:
    """Refuse training images of which a recipe could hold none out for validation.

    Raises:
        InvalidValueError: they are fewer than `MIN_TRAIN`.
    """
    if len(raw.train_labels) < MIN_TRAIN:
        raise InvalidValueError(
            f"{subject} must have at least {MIN_TRAIN} training images, so that a fifth of them can be held"
            f" out for validation, got {len(raw.train_labels)}; add images"
        )


def split_note(raw: RawDataset, subject: str) -> str:
    """A sentence that says how `with_test_part` made this set."""
    num_test = len(raw.test_labels)
    return (
        f"{subject} has no test images: a fixed fifth of each class is held out for testing, {num_test:,} of"
        f" {len(raw.train_labels) + num_test:,} images, the same in every run"
    )


def require_class_names(names: Sequence[str], subject: str) -> None:
    """Refuse names that are equal, fewer than two, or no valid text.

    Raises:
        InvalidValueError: they are so.
    """
    if len(set(names)) < max(len(names), 2):
        raise InvalidValueError(
            f"{subject} must have at least 2 different names of classes, got"
            f" {shortened(list(names)) or 'none'}"
        )
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise InvalidValueError(
                f"{subject}: the name of a class must be text in UTF-8, got {name!r}; rename it"
            ) from error


def shortened(names: list[str], count: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - count:,} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
