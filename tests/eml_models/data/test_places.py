"""Files of a data set in another place: the message names it, and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_archives import write_mnist

from eml_models.data.datasets import (
    require_dataset,
)
from eml_models.errors import DatasetMissingError


def message_of(folder: Path, name: str = "mnist") -> str:
    with pytest.raises(DatasetMissingError) as caught:
        require_dataset(name, data_dir=folder)
    return str(caught.value)


class TestMisplaced:
    def test_one_level_up_or_down_is_named(self, tmp_path: Path) -> None:
        root = tmp_path / "somewhere" / "data"
        write_mnist(root, "MNIST")
        for named in (root / "MNIST", root / "MNIST" / "raw", root.parent, root / "other"):
            named.mkdir(exist_ok=True)
            text = message_of(named)
            assert text.startswith(
                f"data set 'mnist' is not in {named}: there is no MNIST/raw/train-images-idx3-ubyte"
            )
            assert f"the files are in {root}: name that folder, --data-dir {root}" in text

    def test_without_the_folders_that_should_hold_them(self, tmp_path: Path) -> None:
        write_mnist(tmp_path, "MNIST")
        (tmp_path / "MNIST").rename(tmp_path / "digits")
        text = message_of(tmp_path / "digits")
        assert f"the files are in {tmp_path / 'digits' / 'raw'} and belong in" in text
        assert f"{tmp_path / 'digits' / 'MNIST' / 'raw'}: move them there" in text
        flat = tmp_path / "flat"
        (tmp_path / "digits" / "raw").rename(flat)
        assert (
            f"the files are in {flat} and belong in {flat / 'MNIST' / 'raw'}: move them there"
            in message_of(flat)
        )

    @pytest.mark.parametrize("kept", ["MNIST", "raw", "."])
    @pytest.mark.parametrize("suffix", ["", ".gz"])
    def test_without_any_of_the_folders_packed_or_not(self, tmp_path: Path, kept: str, suffix: str) -> None:
        write_mnist(tmp_path / "made", "MNIST")
        found, belongs = tmp_path / "data" / kept, tmp_path / "data" / "MNIST" / "raw"
        found.mkdir(parents=True)
        for file in (tmp_path / "made" / "MNIST" / "raw").iterdir():
            file.rename(found / f"{file.name}{suffix}")
        how = f"packed in {found}" if suffix else f"in {found}"
        text = message_of(tmp_path / "data")
        assert f"the files are {how} and belong in {belongs}: move them there" in text
        assert (f"gunzip --keep {belongs / 'train-images-idx3-ubyte.gz'}" in text) == bool(suffix)

    def test_packed(self, tmp_path: Path) -> None:
        write_mnist(tmp_path, "MNIST")
        raw = tmp_path / "MNIST" / "raw"
        for file in list(raw.iterdir()):
            file.rename(f"{file}.gz")
        assert f"the files there are packed: unpack each, for instance gunzip --keep {raw}" in message_of(
            tmp_path
        )
        (tmp_path / "cifar-10-python.tar.gz").touch()
        text = message_of(tmp_path, "cifar10")
        assert f"tar --extract --file {tmp_path / 'cifar-10-python.tar.gz'} --directory {tmp_path}" in text

    def test_found_nowhere_the_options_are_named(self, tmp_path: Path) -> None:
        for folder in (tmp_path, tmp_path / "not there"):
            assert message_of(folder).endswith(
                "name its folder with --data-dir (data_dir=...), or fetch it with --download (download=True)"
            )
