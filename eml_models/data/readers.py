"""Reads the shipped data sets from disk into NumPy arrays: one function for each format.

`eml_models.data.datasets` names these functions in its table and checks their results. NumPy, torch and
torchvision are imported at the first read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from eml_models.data.raw_data import RawDataset, hold_out_test
from eml_models.errors import DatasetMissingError

DIGITS_FILE = "datasets/data/digits.csv.gz"
DIGITS_TEST_FRACTION = 0.2


def read_digits(folder: Path, download: bool) -> RawDataset:
    """The 1,797 images of ``sklearn.datasets.load_digits``, values 0 to 16; a fixed fifth is for testing.

    scikit-learn bundles them as a text file. Reading it takes 20 ms; importing scikit-learn takes 1 s and
    100 MB. The set has no official test images, because it is itself the test part of a set of UCI. We
    therefore use our own split.

    Raises:
        DatasetMissingError: scikit-learn is not installed.
    """
    import numpy as np

    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise DatasetMissingError(
            "data set 'digits' comes with scikit-learn, which is not installed; pip install scikit-learn"
        )
    table = np.loadtxt(
        Path(package.submodule_search_locations[0], DIGITS_FILE), delimiter=",", dtype=np.uint8
    )
    images, labels = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64)
    return hold_out_test(images, labels, DIGITS_TEST_FRACTION)


def read_mnist(folder: Path, download: bool) -> RawDataset:
    """MNIST, read with torchvision from ``folder/MNIST/raw``."""
    return _read_with_torchvision("MNIST", folder, download)


def read_fashion_mnist(folder: Path, download: bool) -> RawDataset:
    """Fashion-MNIST, read with torchvision from ``folder/FashionMNIST/raw``."""
    return _read_with_torchvision("FashionMNIST", folder, download)


def read_cifar10(folder: Path, download: bool) -> RawDataset:
    """CIFAR-10, read with torchvision from ``folder/cifar-10-batches-py``; checks the files' MD5 sums."""
    return _read_with_torchvision("CIFAR10", folder, download)


def _read_with_torchvision(class_name: str, folder: Path, download: bool) -> RawDataset:
    import numpy as np
    from torchvision import datasets

    with contextlib.redirect_stdout(sys.stderr):  # a download prints messages, and stdout is for data
        parts = [
            getattr(datasets, class_name)(root=str(folder), train=train, download=download)
            for train in (True, False)
        ]
    train, test = ((np.asarray(part.data), np.asarray(part.targets, dtype=np.int64)) for part in parts)
    return RawDataset(
        train_images=_as_nchw(train[0]),
        train_labels=train[1],
        test_images=_as_nchw(test[0]),
        test_labels=test[1],
    )


def _as_nchw(images: Any) -> Any:
    """The images as (N, C, H, W). torchvision keeps MNIST as (N, H, W) and CIFAR-10 as (N, H, W, C)."""
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
