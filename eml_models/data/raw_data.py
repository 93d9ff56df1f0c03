"""A data set as arrays, before it is put on a device: its form, its checks and its fingerprint.

Readers return this form, and `eml_models.data.datasets` checks it and passes it on. NumPy only, imported at
the first use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eml_models.data.splits import split_indices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawDataset:
    """A data set as stored: NumPy arrays, or values that NumPy converts, such as tensors on the CPU.

    Attributes:
        train_images, test_images: (N, C, H, W), or (N, H, W) with one channel; bytes or floats, any scale.
        train_labels, test_labels: (N,) whole numbers in [0, num_classes).
    """

    train_images: Any
    train_labels: Any
    test_images: Any
    test_labels: Any


def hold_out_test(images: Any, labels: Any, fraction: float) -> RawDataset:
    """Images without a test set, split: a fixed share of each class becomes the test set, both in order.

    Args:
        fraction: the share, in (0, 1). The test set is empty if there are too few images.
    """
    train, test = split_indices(labels, fraction)
    train.sort()
    return RawDataset(
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
    )


def as_arrays(raw: RawDataset) -> RawDataset:
    """The same data as contiguous arrays: images NCHW as uint8 or float32, labels as int64."""
    return RawDataset(
        train_images=_as_images(raw.train_images),
        train_labels=_as_labels(raw.train_labels),
        test_images=_as_images(raw.test_images),
        test_labels=_as_labels(raw.test_labels),
    )


def find_problems(raw: RawDataset, input_shape: tuple[int, int, int], num_classes: int) -> list[str]:
    """The problems of a data set, in words; empty if there are none. Takes the result of `as_arrays`."""
    train = _iter_problems("train", raw.train_images, raw.train_labels, input_shape, num_classes)
    test = _iter_problems("test", raw.test_images, raw.test_labels, input_shape, num_classes)
    return [*train, *test]


def fingerprint(raw: RawDataset) -> str:
    """BLAKE2b of types, shapes and all values, 32 hex digits. Takes the result of `as_arrays`."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (raw.train_images, raw.train_labels, raw.test_images, raw.test_labels):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(memoryview(array.reshape(-1)).cast("B"))
    return digest.hexdigest()


def _as_images(values: Any) -> Any:
    import numpy as np

    images = np.asarray(values)
    images = images[:, None] if images.ndim == 3 else images
    return np.ascontiguousarray(images, dtype=np.uint8 if images.dtype == np.uint8 else np.float32)


def _as_labels(values: Any) -> Any:
    import numpy as np

    labels = np.asarray(values)
    return np.ascontiguousarray(labels, dtype=np.int64 if labels.dtype.kind in "iu" else None)


def _iter_problems(
    part: str, images: Any, labels: Any, input_shape: tuple[int, int, int], num_classes: int
) -> Iterator[str]:
    import numpy as np

    if len(images) == 0 or images.shape[1:] != input_shape:
        expected = ", ".join(map(str, input_shape))
        yield f"{part}_images must have shape (N, {expected}) with N at least 1, got {images.shape}"
    if images.dtype != np.uint8 and not np.isfinite(images).all():
        yield f"{part}_images must be finite, got NaN or infinity"
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        yield f"{part}_labels must be {len(images)} whole numbers, got {labels.dtype} of shape {labels.shape}"
    elif len(labels) and not (labels.min() >= 0 and labels.max() < num_classes):
        yield f"{part}_labels must be in [0, {num_classes}), got {labels.min()} to {labels.max()}"
