"""A search of your own: a network, a data set and a study in one file. Workers get its text.

python -m tune_jobs run examples/my_study.py:my_study --workers 2
"""

from __future__ import annotations

from pathlib import Path

from sklearn.datasets import load_digits

from eml_models import (
    DatasetSpec,
    ModelFamily,
    Option,
    OptionKind,
    PlanBuilder,
    RawDataset,
    Recipe,
    register_dataset,
    register_model,
)
from tune_jobs import Asha, Choice, Float, Integer, Space, Study


def read_odd_or_even(folder: Path, download: bool) -> RawDataset:
    """Images of digits, labelled odd or even. Your own reader would use `folder` (``--data-dir``)."""
    images, labels = load_digits(return_X_y=True)
    images, labels = images.reshape(-1, 1, 8, 8).astype("float32"), labels % 2
    return RawDataset(
        train_images=images[:1400],
        train_labels=labels[:1400],
        test_images=images[1400:],
        test_labels=labels[1400:],
    )


def draw_residual_cnn(net: PlanBuilder, *, width: int) -> None:
    """A stem and one residual block. The module and its MACs both come from this drawing."""
    net.conv_bn_act("stem", width)
    with net.residual("block", project=True, activation="relu"):
        net.conv_bn_act("first", 2 * width, stride=2)
        net.conv_bn_act("second", 2 * width, activation=None)
    net.classifier()


WIDTH = Option(name="width", kind=OptionKind.INTEGER, default=8, low=1, high=64, doc="Channels of the stem.")

register_dataset(
    DatasetSpec(
        name="odd_or_even",
        input_shape=(1, 8, 8),
        num_classes=2,
        read=read_odd_or_even,
        num_train=1_400,
        num_test=397,
        class_names=("even", "odd"),
    )
)
register_model(ModelFamily(name="residual_cnn", draw=draw_residual_cnn, options=(WIDTH,)))


def my_study() -> Study:
    """Width, rate and optimizer. A parameter that is no field of the recipe is an option of the model."""
    return Study(
        name="odd-or-even",
        space=Space(
            Integer("width", 4, 24),
            Float("learning_rate", 1e-3, 1.0, log=True),
            Choice("optimizer", ("sgd_momentum", "adamw")),
        ),
        recipe=Recipe(
            model="residual_cnn", dataset="odd_or_even", learning_rate=0.1, epochs=9, batch_size=64
        ),
        trials=12,
        asha=Asha(min_epochs=1, reduction_factor=3),
    )
