"""Studies on real colour images, for a GPU: CIFAR-10 as JPEG, decoded beforehand into one file of arrays.

``jpeg_arrays.npz`` in the data folder holds x_train and x_test (N, 32, 32, 3) uint8, y_train and y_test. A
number from these images is none of CIFAR-10: each was compressed once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eml_models import DatasetSpec, RawDataset, Recipe, register_dataset
from tune_jobs import Float, Space, Study
from tune_jobs.inputs.shipped import lab_macs_30m

NAME = "cifar10_jpeg75"
FILE = "cifar10_jpeg75_arrays.npz"


def read(folder: Path, download: bool) -> RawDataset:
    arrays = np.load(Path(folder) / FILE)
    train, test = (np.ascontiguousarray(arrays[name].transpose(0, 3, 1, 2)) for name in ("x_train", "x_test"))
    return RawDataset(
        train_images=train,
        train_labels=arrays["y_train"].astype("int64"),
        test_images=test,
        test_labels=arrays["y_test"].astype("int64"),
    )


register_dataset(
    DatasetSpec(
        name=NAME, input_shape=(3, 32, 32), num_classes=10, read=read, num_train=50_000, num_test=10_000
    )
)


def macs30() -> Study:
    """Networks under 30 M MACs, as shipped except for the images."""
    study = lab_macs_30m()
    return study.with_changes(name="macs30", recipe=study.recipe.with_changes(dataset=NAME))


def resnet() -> Study:
    """One ResNet-18 of one epoch, whose recipe the finalists train for longer."""
    recipe = Recipe(
        model="resnet18",
        dataset=NAME,
        optimizer="nesterov",
        learning_rate=0.2,
        weight_decay=5e-4,
        schedule="linear",
        warmup_fraction=0.2,
        epochs=1,
        batch_size=500,
        precision="bf16",
        augmentation="crop_flip",
        cutout=0.4,
    )
    return Study(
        name="resnet", space=Space(Float("learning_rate", 0.19, 0.21)), trials=1, asha=None, recipe=recipe
    )
