"""A tiny data set of noise: 40 training images of 8 x 8 pixels in two classes, and 10 test images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_archives import random_bytes

from eml_models.data.datasets import DatasetSpec, RawDataset


def tiny(num_train: int = 40, *, classes: int = 2) -> RawDataset:
    return RawDataset(
        train_images=random_bytes(1, num_train, 8, 8),
        train_labels=np.arange(num_train) % classes,
        test_images=random_bytes(2, 10, 8, 8),
        test_labels=np.arange(10) % classes,
    )


def read_tiny(folder: Path, download: bool) -> RawDataset:
    return tiny()


TINY = DatasetSpec(name="tiny", input_shape=(1, 8, 8), num_classes=2, read=read_tiny)
