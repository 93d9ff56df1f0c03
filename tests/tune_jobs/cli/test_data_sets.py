"""Data sets on the command line: a part of one, files of another one, and folders that are near."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from cli_testing import Cli

RAW = Path("MNIST") / "raw"


def put_mnist(folder: Path, num_train: int, num_test: int) -> None:
    """Files of MNIST's format as far as their headers: who counts reads no further."""
    (folder / RAW).mkdir(parents=True)
    for half, count in (("train", num_train), ("t10k", num_test)):
        header = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28)
        (folder / RAW / f"{half}-images-idx3-ubyte").write_bytes(header)
        (folder / RAW / f"{half}-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, count))


@pytest.mark.parametrize(
    ("counts", "got"),
    [((100, 10_000), "got 100 training and 10,000 test"), ((10_000, 10_000), "test files may be in")],
)
def test_mnist_of_another_size_is_refused_before_anything_starts(
    cli: Cli, folder: Path, counts: tuple[int, int], got: str
) -> None:
    put_mnist(folder / "data", *counts)
    code, out, err = cli("run", "mnist-recipes")
    assert (code, out) == (1, "")
    assert "data set 'mnist' has 60,000 training and 10,000 test images" in err
    assert got in err
    assert "--train-samples N" in err
    assert "Traceback" not in err
    assert cli("run", "mnist-recipes", "--scale", "smoke")[0] == 1  # and no other set is taken in its place
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_folder_one_level_off_is_named(cli: Cli, folder: Path) -> None:
    put_mnist(folder / "data", 60_000, 10_000)
    code, _, err = cli("run", "mnist-recipes", "--data-dir", "data/MNIST")
    assert code == 1
    assert f"the files are in {folder / 'data'}: name that folder, --data-dir {folder / 'data'}" in err


def test_part_of_a_set_is_known_to_the_definition(cli: Cli) -> None:
    shown = {}
    for words in ((), ("--train-samples", "500"), ("--train-samples", "600")):
        code, out, _ = cli("run", "digits-recipes", "--dry-run", "--format", "json", *words)
        assert code == 0
        shown[words] = json.loads(out)
    assert len({dry["fingerprint"] for dry in shown.values()}) == 3
    part = shown["--train-samples", "500"]
    assert part["definition"]["recipe"]["max_train_samples"] == 500
    assert "small_cnn on digits (500 training images)" in part["summary"]
    as_json = ("--dry-run", "--format", "json")
    _, out, err = cli("run", "lab-mnist", "--scale", "smoke", "--train-samples", "70", *as_json)
    assert json.loads(out)["definition"]["recipe"]["max_train_samples"] == 70
    assert "max_train_samples" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--train-samples", "1152"),
            "must be at most 1,151, got 1,152: 'digits' has 1,438 training images",
        ),
        (("--train-samples", "0"), "max_train_samples must be a whole number at least 1 or None, got 0"),
        (("--train-samples", "some"), "'some' is not a valid integer"),
    ],
)
def test_part_that_there_is_not_is_refused(cli: Cli, words: tuple[str, ...], message: str) -> None:
    code, _, err = cli("run", "digits-recipes", *words)
    assert code == 2
    assert message in err
    assert cli("run", "digits-recipes", "--train-samples", "1151", "--dry-run")[0] == 0
