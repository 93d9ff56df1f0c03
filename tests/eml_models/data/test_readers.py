"""Archives in the official formats: read, damaged, and of another number of images.

Small ones are made here and read by torchvision's own classes, as data sets of their own, since the shipped
ones have their numbers of images. For CIFAR-10 the MD5 sums that its class expects are replaced by those of
the files made here, so that its check runs. CIFAR-10's true sums are therefore not tested.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_archives import Bytes, random_bytes, write_idx, write_mnist
from torchvision import datasets as torchvision_datasets

from eml_models.data.datasets import (
    SHIPPED,
    read_dataset,
    register_dataset,
    require_dataset,
)
from eml_models.data.loading import load_dataset
from eml_models.errors import DatasetMissingError, InvalidValueError


def small(name: str, *, num_train: int = 30, num_test: int = 10) -> str:
    """A data set of its own in the format of a shipped one, with fewer images; its name."""
    spec = replace(SHIPPED[name], name=f"small_{name}", num_train=num_train, num_test=num_test)
    return register_dataset(spec).name


def write_cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Bytes]:
    """Seven pickles as Python 2 and old NumPy wrote them, with the sums that torchvision's class expects."""
    base = folder / "cifar-10-batches-py"
    base.mkdir(parents=True)
    arrays = {f"data_batch_{i}": random_bytes(i, 20, 3 * 32 * 32) for i in range(1, 6)}
    arrays["test_batch"] = random_bytes(6, 20, 3 * 32 * 32)
    sums = {}
    for name, data in arrays.items():
        sums[name] = write_pickle(base / name, {"data": data, "labels": [i % 10 for i in range(20)]})
    meta_sum = write_pickle(base / "batches.meta", {"label_names": list("abcdefghij")})
    cifar10 = torchvision_datasets.CIFAR10
    monkeypatch.setattr(cifar10, "train_list", [[name, sums[name]] for name, _ in cifar10.train_list])
    monkeypatch.setattr(cifar10, "test_list", [[name, sums[name]] for name, _ in cifar10.test_list])
    monkeypatch.setattr(cifar10, "meta", {**cifar10.meta, "md5": meta_sum})
    return arrays


def write_pickle(path: Path, content: dict[str, object]) -> str:
    text = pickle.dumps(content, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path.write_bytes(text.replace(b"\x89\x88\x87", b"K\x00K\x01\x87"))  # dtype(..., 0, 1), not (False, True)
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
class TestMnistFormat:
    def test_archive_is_read(self, tmp_path: Path, name: str, folder: str) -> None:
        arrays = write_mnist(tmp_path, folder)
        loaded = load_dataset(small(name), data_dir=tmp_path)
        assert loaded.train_images_NCHW.dtype == torch.uint8
        np.testing.assert_array_equal(loaded.train_images_NCHW[:, 0], arrays["train-images-idx3-ubyte"])
        np.testing.assert_array_equal(loaded.test_images_NCHW[:, 0], arrays["t10k-images-idx3-ubyte"])
        np.testing.assert_array_equal(loaded.train_labels, arrays["train-labels-idx1-ubyte"])
        np.testing.assert_array_equal(loaded.test_labels, arrays["t10k-labels-idx1-ubyte"])

    def test_missing_archive_names_folder_and_option(self, tmp_path: Path, name: str, folder: str) -> None:
        message = f"data set '{name}' is not in {tmp_path}: there is no {folder}/raw/train-images-idx3-ubyte"
        for use in (load_dataset, require_dataset):
            with pytest.raises(DatasetMissingError) as caught:
                use(name, data_dir=tmp_path)  # type: ignore[operator]  # a function of the list above
            assert str(caught.value).startswith(message)
            assert "--download (download=True)" in str(caught.value)
            assert "--data-dir" in str(caught.value)

    def test_torn_file_is_an_error(self, tmp_path: Path, name: str, folder: str) -> None:
        write_mnist(tmp_path, folder)
        path = tmp_path / folder / "raw" / "train-images-idx3-ubyte"
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(
            DatasetMissingError, match=f"data set 'small_{name}' is damaged: .*remove .*raw and fetch"
        ):
            load_dataset(small(name), data_dir=tmp_path)

    def test_archive_of_other_images_is_an_error(self, tmp_path: Path, name: str, folder: str) -> None:
        write_mnist(tmp_path, folder)
        write_idx(tmp_path / folder / "raw" / "t10k-images-idx3-ubyte", random_bytes(0, 10, 27, 28))
        write_idx(tmp_path / folder / "raw" / "train-labels-idx1-ubyte", np.full(30, 10, dtype=np.uint8))
        with pytest.raises(InvalidValueError) as caught:
            load_dataset(small(name), data_dir=tmp_path)
        assert "train_labels must be in [0, 10), got 10 to 10" in str(caught.value)
        assert "test_images must have shape (N, 1, 28, 28) with N at least 1, got (10, 1, 27, 28)" in str(
            caught.value
        )


class TestCifar10:
    def test_archive_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        arrays = write_cifar10(tmp_path, monkeypatch)
        loaded = load_dataset(small("cifar10", num_train=100, num_test=20), data_dir=tmp_path)
        assert loaded.train_images_NCHW.shape == (100, 3, 32, 32)
        expected = arrays["data_batch_2"][3].reshape(3, 32, 32)
        np.testing.assert_array_equal(loaded.train_images_NCHW[23], expected)
        np.testing.assert_array_equal(loaded.test_images_NCHW.flatten(1), arrays["test_batch"])
        assert loaded.train_labels.tolist() == [i % 10 for i in range(20)] * 5
        torch.testing.assert_close(
            loaded.mean, loaded.train_images_NCHW.double().mean((0, 2, 3)).float(), rtol=0, atol=1e-4
        )

    def test_damaged_file_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_cifar10(tmp_path, monkeypatch)
        path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(DatasetMissingError, match=r"data set 'cifar10' is damaged: .*corrupted"):
            load_dataset("cifar10", data_dir=tmp_path)

    def test_missing_file_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_cifar10(tmp_path, monkeypatch)
        (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
        with pytest.raises(DatasetMissingError, match="no cifar-10-batches-py/data_batch_3;"):
            load_dataset("cifar10", data_dir=tmp_path)


class TestDownload:
    def test_is_not_tried_unless_asked_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(self: object) -> None:
            raise AssertionError("nobody asked to download")

        monkeypatch.setattr(torchvision_datasets.FashionMNIST, "download", refuse)
        write_mnist(tmp_path, "FashionMNIST")
        name = small("fashion_mnist")
        load_dataset(name, data_dir=tmp_path)
        load_dataset(name, data_dir=tmp_path, download=True)  # all is there already

    def test_is_done_by_torchvision(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def download(self: torchvision_datasets.MNIST) -> None:
            print("downloading")
            write_mnist(tmp_path, "MNIST")

        monkeypatch.setattr(torchvision_datasets.MNIST, "download", download)
        name = small("mnist")
        require_dataset(name, data_dir=tmp_path, download=True)
        assert len(load_dataset(name, data_dir=tmp_path).train_labels) == 30
        assert capsys.readouterr().out == ""

    def test_that_fails_is_a_clear_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(self: object) -> None:
            raise OSError("no route to host")

        monkeypatch.setattr(torchvision_datasets.MNIST, "download", fail)
        message = f"could not download data set 'mnist' to {tmp_path}: OSError: no route to host"
        with pytest.raises(DatasetMissingError, match=message):
            require_dataset("mnist", data_dir=tmp_path, download=True)


class TestCounts:
    def test_whole_archive_is_read(self, tmp_path: Path) -> None:
        write_mnist(tmp_path, "MNIST", 60_000, 10_000)
        raw = read_dataset("mnist", data_dir=tmp_path)
        assert (len(raw.train_labels), len(raw.test_images)) == (60_000, 10_000)

    @pytest.mark.parametrize("use", [read_dataset, require_dataset])
    @pytest.mark.parametrize(
        ("counts", "got"),
        [
            ((100, 10_000), "got 100 training and 10,000 test; remove"),
            ((60_000, 100), "got 60,000 training and 100 test; remove"),
            (
                (10_000, 10_000),
                "10,000 test; the test files may be in the place of the training",
            ),
        ],
    )
    def test_another_number_of_images_is_refused_with_the_way_out(
        self, tmp_path: Path, counts: tuple[int, int], got: str, use: Callable[..., object]
    ) -> None:
        write_mnist(tmp_path, "MNIST", *counts)
        with pytest.raises(DatasetMissingError) as caught:
            use("mnist", data_dir=tmp_path)
        text = str(caught.value)
        assert text.startswith("data set 'mnist' has 60,000 training and 10,000 test images, ")
        assert got in text
        assert f"remove {tmp_path / 'MNIST' / 'raw'} and fetch it again (--download)" in text
        assert "--train-samples N (max_train_samples=N)" in text
        assert "register_dataset" in text

    def test_of_cifar10_is_looked_at_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_cifar10(tmp_path, monkeypatch)
        text = "data set 'cifar10' has 50,000 training and 10,000 test images, got 100 training and 20 test"
        with pytest.raises(DatasetMissingError, match=text):
            load_dataset("cifar10", data_dir=tmp_path)

    def test_of_shipped_sets_are_those_of_their_papers(self) -> None:
        counts = {name: (spec.num_train, spec.num_test) for name, spec in SHIPPED.items()}
        assert counts == {
            "digits": (1_438, 359),
            "mnist": (60_000, 10_000),
            "fashion_mnist": (60_000, 10_000),
            "cifar10": (50_000, 10_000),
        }


@pytest.mark.slow
def test_genuine_fashion_mnist() -> None:
    """Reads the 70,000 images if TUNE_JOBS_DATA_DIR names a folder that has them."""
    folder = os.environ.get("TUNE_JOBS_DATA_DIR", "data")
    try:
        require_dataset("fashion_mnist", data_dir=folder)
    except DatasetMissingError as error:
        pytest.skip(str(error))
    loaded = load_dataset("fashion_mnist", data_dir=folder)
    assert (len(loaded.train_labels), len(loaded.test_labels)) == (60_000, 10_000)
    assert torch.bincount(loaded.train_labels).tolist() == [6_000] * 10
    assert (loaded.mean / 255).item() == pytest.approx(0.2860, abs=1e-4)
    assert (loaded.std / 255).item() == pytest.approx(0.3530, abs=1e-4)
