"""Data sets: the embedded one, a user's own, data that is provided, and the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from dataset_archives import random_bytes
from tiny_data import TINY, read_tiny, tiny
from torchvision import datasets as torchvision_datasets

from eml_models.data import loading
from eml_models.data.datasets import (
    SHIPPED,
    DatasetSpec,
    RawDataset,
    custom_datasets,
    data_fingerprint,
    get_dataset_spec,
    known_datasets,
    provide_dataset,
    read_dataset,
    register_dataset,
    unregister_dataset,
)
from eml_models.data.loading import load_dataset
from eml_models.errors import DatasetMissingError, InvalidValueError, UnknownNameError

Bytes = npt.NDArray[np.uint8]
DIGITS_FINGERPRINT = "c911f9ec02380ec2c329e9b445c2dab1"


class TestDigits:
    def test_images_are_those_of_scikit_learn(self) -> None:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        raw = read_dataset("digits")
        ours = np.concatenate([raw.train_images, raw.test_images])[:, 0]
        labels = np.concatenate([raw.train_labels, raw.test_labels])
        expected = {(image.tobytes(), label) for image, label in zip(bunch.images, bunch.target, strict=True)}
        assert {(i.astype(float).tobytes(), n) for i, n in zip(ours, labels, strict=True)} == expected
        assert (len(raw.train_images), len(raw.test_images)) == (1438, 359)
        assert (get_dataset_spec("digits").num_train, get_dataset_spec("digits").num_test) == (1438, 359)

    def test_split_and_values_are_the_same_on_every_machine(self) -> None:
        assert data_fingerprint("digits") == DIGITS_FINGERPRINT

    def test_test_set_has_its_share_of_each_class(self) -> None:
        raw = read_dataset("digits")
        all_of_class = np.bincount(np.concatenate([raw.train_labels, raw.test_labels]))
        assert np.abs(np.bincount(raw.test_labels) - 0.2 * all_of_class).max() < 1.01

    def test_statistics_are_those_of_the_training_images(self) -> None:
        digits = load_dataset("digits")
        images = digits.train_images_NCHW.double()
        torch.testing.assert_close(digits.mean, images.mean((0, 2, 3)).float())
        torch.testing.assert_close(digits.std, images.std((0, 2, 3), correction=0).float())


class TestOnesOwn:
    def test_is_registered_in_one_line(self) -> None:
        register_dataset(TINY)
        assert known_datasets() == (*SHIPPED, "tiny")
        assert custom_datasets() == (TINY,)
        loaded = load_dataset("tiny")
        assert loaded.train_images_NCHW.shape == (40, 1, 8, 8)
        assert loaded.train_labels.dtype == torch.int64

    def test_may_be_floats_and_tensors(self) -> None:
        images = torch.randn(40, 3, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        images[:, 1] = 2.0

        def read(folder: Path, download: bool) -> RawDataset:
            labels = torch.arange(40) % 2
            return RawDataset(
                train_images=images, train_labels=labels, test_images=images, test_labels=labels
            )

        register_dataset(DatasetSpec(name="floats", input_shape=(3, 9, 7), num_classes=2, read=read))
        loaded = load_dataset("floats")
        assert loaded.train_images_NCHW.dtype == torch.float32
        torch.testing.assert_close(loaded.mean, images.mean((0, 2, 3)).float())
        assert loaded.std[1] == 1.0, "a constant channel is not divided by zero"

    def test_gets_the_folder_and_the_wish_to_download(self, tmp_path: Path) -> None:
        calls = []

        def read(folder: Path, download: bool) -> RawDataset:
            calls.append((folder, download))
            return tiny()

        register_dataset(DatasetSpec(name="tiny", input_shape=(1, 8, 8), num_classes=2, read=read))
        load_dataset("tiny", data_dir=tmp_path, download=True)
        assert calls == [(tmp_path, True)]

    def test_that_raises_is_a_clear_error(self) -> None:
        def read(folder: Path, download: bool) -> RawDataset:
            raise KeyError("images")

        register_dataset(DatasetSpec(name="tiny", input_shape=(1, 8, 8), num_classes=2, read=read))
        with pytest.raises(
            DatasetMissingError, match=r"could not read data set 'tiny' from .*: KeyError: 'images'"
        ):
            load_dataset("tiny")

    def test_that_does_not_fit_its_spec_is_an_error(self) -> None:
        def read(folder: Path, download: bool) -> RawDataset:
            nan = np.full((3, 1, 8, 8), np.nan)
            none = np.zeros((0, 1, 8, 8))
            return RawDataset(train_images=nan, train_labels=[0.5] * 3, test_images=none, test_labels=[0])

        register_dataset(DatasetSpec(name="tiny", input_shape=(1, 8, 8), num_classes=2, read=read))
        with pytest.raises(InvalidValueError) as caught:
            load_dataset("tiny")
        assert str(caught.value).splitlines() == [
            "data set 'tiny': 4 problems",
            "  - train_images must be finite, got NaN or infinity",
            "  - train_labels must be 3 whole numbers, got float64 of shape (3,)",
            "  - test_images must have shape (N, 1, 8, 8) with N at least 1, got (0, 1, 8, 8)",
            "  - test_labels must be 0 whole numbers, got int64 of shape (1,)",
        ]

    @pytest.mark.parametrize("counts", [(40, 10), (40, None), (None, 10), (None, None)])
    def test_that_has_its_numbers_of_images_is_read(self, counts: tuple[int | None, int | None]) -> None:
        register_dataset(replace(TINY, num_train=counts[0], num_test=counts[1]))
        assert len(read_dataset("tiny").train_labels) == 40

    @pytest.mark.parametrize(
        ("counts", "rule"),
        [
            ((41, 10), "has 41 training and 10 test images, got 40 training and 10 test"),
            ((None, 40), "has any number of training and 40 test images, got 40 training and 10 test"),
        ],
    )
    def test_with_another_number_of_images_is_an_error(
        self, counts: tuple[int | None, int | None], rule: str, tmp_path: Path
    ) -> None:
        register_dataset(replace(TINY, num_train=counts[0], num_test=counts[1]))
        message = (
            f"data set 'tiny' {rule}; correct num_train and num_test of its DatasetSpec, or leave them out"
        )
        with pytest.raises(InvalidValueError) as caught:
            read_dataset("tiny")
        assert str(caught.value) == message
        with pytest.raises(InvalidValueError, match="got 40 training"):
            provide_dataset("tiny", tiny(), fingerprint="", data_dir=tmp_path)

    def test_cannot_take_a_shipped_name(self) -> None:
        with pytest.raises(InvalidValueError, match="data set 'digits' is shipped"):
            register_dataset(DatasetSpec(name="digits", input_shape=(1, 8, 8), num_classes=2, read=read_tiny))

    def test_with_a_broken_spec_is_an_error(self) -> None:
        with pytest.raises(InvalidValueError, match="3 problems"):
            # a shape of two is what the test is about
            DatasetSpec(name="a b", input_shape=(8, 8), num_classes=1, read=read_tiny)  # type: ignore[arg-type]

    @pytest.mark.parametrize("names", [("odd",), ("odd", "odd"), ("odd", 2), ("a", "b", "c")])
    def test_with_other_names_than_classes_is_an_error(self, names: tuple[str, ...]) -> None:
        with pytest.raises(InvalidValueError, match="class_names must be 2 different names or none"):
            DatasetSpec(name="a", input_shape=(1, 8, 8), num_classes=2, read=read_tiny, class_names=names)

    def test_unknown_name_is_an_error(self) -> None:
        with pytest.raises(UnknownNameError, match="unknown data set 'minst'; known: mnist"):
            load_dataset("minst")
        with pytest.raises(UnknownNameError, match="unknown registered data set 'digits'"):
            unregister_dataset("digits")


def test_shipped_sets_name_their_classes_in_the_order_of_their_labels() -> None:
    named = {name: SHIPPED[name].class_names for name in SHIPPED}
    assert named["fashion_mnist"] == tuple(torchvision_datasets.FashionMNIST.classes)
    assert [name[0] for name in torchvision_datasets.MNIST.classes] == list(named["mnist"])
    assert named["digits"] == named["mnist"]
    # the order of label_names in batches.meta
    assert " ".join(named["cifar10"]) == "airplane automobile bird cat deer dog frog horse ship truck"


def read_only(raw: RawDataset) -> RawDataset:
    """The same arrays as they come from shared memory."""
    for array in (raw.train_images, raw.train_labels, raw.test_images, raw.test_labels):
        array.flags.writeable = False
    return raw


class TestProvided:
    def test_arrays_are_used_without_files_and_without_a_copy(self, tmp_path: Path) -> None:
        register_dataset(replace(SHIPPED["cifar10"], name="part", num_train=40, num_test=10))
        raw = read_only(RawDataset(
            train_images=random_bytes(1, 40, 3, 32, 32), train_labels=np.arange(40) % 10,
            test_images=random_bytes(2, 10, 3, 32, 32), test_labels=np.arange(10),
        ))  # fmt: skip
        provide_dataset("part", raw, fingerprint="of the reader", data_dir=tmp_path)
        loaded = load_dataset("part", data_dir=tmp_path)
        assert loaded.train_images_NCHW.data_ptr() == raw.train_images.ctypes.data
        assert loaded.test_labels.data_ptr() == raw.test_labels.ctypes.data
        assert loaded.fingerprint == "of the reader"
        assert data_fingerprint("part", data_dir=tmp_path, only_if_loaded=True) == "of the reader"

    def test_other_folders_and_readers_are_read_as_ever(self, tmp_path: Path) -> None:
        register_dataset(TINY)
        provide_dataset("tiny", tiny(20), fingerprint="", data_dir=tmp_path)
        assert len(read_dataset("tiny", data_dir=tmp_path).train_labels) == 20
        assert len(read_dataset("tiny", data_dir=tmp_path / "other").train_labels) == 40
        register_dataset(DatasetSpec(name="tiny", input_shape=(1, 8, 8), num_classes=3, read=read_tiny))
        assert len(read_dataset("tiny", data_dir=tmp_path).train_labels) == 40

    def test_that_does_not_fit_is_an_error(self, tmp_path: Path) -> None:
        register_dataset(TINY)
        with pytest.raises(InvalidValueError, match=r"train_labels must be in \[0, 2\), got 0 to 2"):
            provide_dataset("tiny", tiny(classes=3), fingerprint="", data_dir=tmp_path)
        with pytest.raises(UnknownNameError, match="unknown data set 'tinny'"):
            provide_dataset("tinny", tiny(), fingerprint="", data_dir=tmp_path)
        assert len(read_dataset("tiny", data_dir=tmp_path).train_labels) == 40


class TestCache:
    def test_same_data_is_loaded_once_per_process(self) -> None:
        assert load_dataset("digits") is load_dataset("digits", device=torch.device("cpu"))

    def test_holds_only_the_last_few(self) -> None:
        first = load_dataset("digits")
        for number in range(loading.MAX_CACHED):
            name = f"tiny{number}"
            register_dataset(DatasetSpec(name=name, input_shape=(1, 8, 8), num_classes=2, read=read_tiny))
            load_dataset(name)
        assert load_dataset("digits") is not first

    def test_fingerprint_of_what_was_not_loaded_is_not_computed(self, tmp_path: Path) -> None:
        register_dataset(TINY)
        assert data_fingerprint("tiny", data_dir=tmp_path, only_if_loaded=True) is None
        loaded = load_dataset("tiny", data_dir=tmp_path)
        assert data_fingerprint("tiny", data_dir=tmp_path, only_if_loaded=True) == loaded.fingerprint

    def test_fingerprint_tells_data_apart(self) -> None:
        def read(folder: Path, download: bool) -> RawDataset:
            raw = tiny()
            raw.test_labels[3] ^= 1
            return raw

        register_dataset(TINY)
        register_dataset(DatasetSpec(name="other", input_shape=(1, 8, 8), num_classes=2, read=read))
        assert data_fingerprint("tiny") != data_fingerprint("other")
