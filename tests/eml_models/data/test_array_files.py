"""Files of arrays: the rules of their layouts, labels and values, and files that are damaged or hostile."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eml_models.data import file_content
from eml_models.data.array_files import read_array_file
from eml_models.errors import DatasetMissingError, InvalidValueError

RANDOM = np.random.RandomState(0)


def pixels(*shape: int) -> Any:
    return RANDOM.randint(0, 256, shape).astype(np.uint8)


GOOD: dict[str, Any] = {
    "x_train": pixels(20, 8, 8, 3),
    "y_train": np.arange(20) % 2,
    "x_test": pixels(6, 8, 8, 3),
    "y_test": np.arange(6) % 2,
}


def saved(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "set.npz"
    arrays = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((20, 8, 8, 3), None, (3, 8, 8)),
        ((20, 3, 8, 8), None, (3, 8, 8)),
        ((20, 8, 9), None, (1, 8, 9)),
        ((20, 8, 9, 1), None, (1, 8, 9)),
        ((20, 3, 8, 3), "NHWC", (3, 3, 8)),
        ((20, 3, 8, 3), "NCHW", (3, 8, 3)),
        ((20, 7, 8, 9), "NCHW", (7, 8, 9)),
    ],
)
def test_layout_is_found_or_read(
    tmp_path: Path, shape: tuple[int, ...], layout: str | None, expected: tuple[int, ...]
) -> None:
    images = pixels(*shape)
    found = read_array_file(saved(tmp_path, x_train=images, x_test=images[:6], layout=layout))
    assert found.raw.train_images.shape == (20, *expected)
    assert found.raw.train_images.dtype == np.uint8
    assert (found.num_classes, found.class_names, found.notes) == (2, (), ())
    if shape[-1] == 3 and layout is None:
        assert np.array_equal(found.raw.train_images[4, 1], images[4, :, :, 1])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_keep_their_values(tmp_path: Path, dtype: str) -> None:
    images = (pixels(20, 8, 8) / 255 - 0.5).astype(dtype)
    raw = read_array_file(saved(tmp_path, x_train=images, x_test=images[:6])).raw
    assert raw.train_images.dtype == np.float32
    assert np.array_equal(raw.train_images[:, 0], images.astype(np.float32))


def test_labels_of_any_whole_type_and_a_column_are_read(tmp_path: Path) -> None:
    found = read_array_file(saved(tmp_path, y_train=GOOD["y_train"].astype(np.uint64)[:, None]))
    assert found.raw.train_labels.tolist() == GOOD["y_train"].tolist()


def test_number_of_classes_follows_from_the_names(tmp_path: Path) -> None:
    found = read_array_file(saved(tmp_path, class_names=np.array(["cat", "dog", "hare"])))
    assert (found.num_classes, found.class_names) == (3, ("cat", "dog", "hare"))


def test_set_without_test_images_is_split_and_says_so(tmp_path: Path) -> None:
    path = saved(tmp_path, x_test=None, y_test=None)
    found, again = read_array_file(path), read_array_file(path)
    assert (len(found.raw.train_labels), found.raw.test_labels.tolist()) == (16, [1, 0, 0, 1])
    assert np.array_equal(found.raw.test_images, again.raw.test_images)
    assert found.notes == (
        f"data set {path} has no test images: a fixed fifth of each class is held out for testing, 4 of 20"
        " images, the same in every run",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": None}, "has no y_train, got x_test, x_train, y_test; write it by numpy.savez"),
        ({"y_test": None}, "has no y_test, got"),
        (
            {"x_train": pixels(20, 3, 8, 3)},
            r"shape \(20, 3, 8, 3\), and both axis 1 and axis 3 .* layout='NCHW'",
        ),
        ({"x_train": pixels(20, 7, 8, 9)}, "neither axis 1 nor axis 3 .*layout='NCHW'"),
        ({"layout": "CHW"}, "layout must be NCHW or NHWC, got 'CHW'"),
        ({"x_train": pixels(20, 8)}, r"got shape \(20, 8\)"),
        ({"x_train": pixels(0, 8, 8)}, r"must be at least one image, .*got shape \(0, 8, 8\)"),
        (
            {"x_train": GOOD["x_train"].astype(int)},
            r"must be bytes \(uint8\) or floats, got int64; convert it",
        ),
        ({"x_test": pixels(6, 9, 9, 3)}, r"of \(3, 8, 8\), as x_train, got \(3, 9, 9\)"),
        ({"x_test": GOOD["x_test"] / 255}, "x_train is uint8 and x_test is float64; give both the same"),
        (
            {"x_train": GOOD["x_train"] / 255, "x_test": GOOD["x_test"].astype(float)},
            "x_train has values up to 1 and x_test up to 25[0-9]; scale both alike",
        ),
        ({"x_train": np.full((20, 8, 8), np.nan)}, "x_train must be finite"),
        ({"x_train": np.full((20, 8, 8), -1e300)}, r"must fit 32-bit floats, got values up to 1e\+300"),
        ({"y_train": np.arange(19) % 2}, "y_train must have 20 labels, one for each image, got 19"),
        ({"y_train": np.arange(20) % 2.0}, r"got float64 of shape \(20,\); convert whole floats by"),
        (
            {"y_train": np.array(["cat", "dog"] * 10)},
            r"got <U3 of shape \(20,\); number the classes from 0, as numpy.unique\(labels, return_inverse",
        ),
        ({"y_train": np.eye(2)[GOOD["y_train"]]}, r"take y_train.argmax\(1\)"),
        ({"y_train": GOOD["y_train"] == 1}, "must be .N,. whole numbers, got bool"),
        ({"y_train": GOOD["y_train"] + 1}, "every label from 0 to 2, got none with 0; number the classes"),
        (
            {"y_train": GOOD["y_train"] - 1},
            r"y_train must be in \[0, 1\) by the labels of y_train, got -1 to 0",
        ),
        ({"y_train": np.full(20, 2**64 - 1, np.uint64)}, "y_test must|got none with 0"),
        ({"y_train": np.zeros(20, int), "y_test": np.zeros(6, int)}, "at least 2 classes"),
        ({"y_test": GOOD["y_test"] + 5}, r"y_test must be in \[0, 2\) by the labels of y_train, got 5 to 6"),
        ({"class_names": np.array(["cat"])}, "at least 2 different names of classes, got cat"),
        ({"class_names": np.array(["cat", "cat"])}, "at least 2 different"),
        ({"class_names": np.array([1, 2])}, "class_names must be a text for each class, got int64"),
        ({"class_names": np.array(["a", "b"], object)}, "Python objects, which only running code could read"),
        ({"x_train": np.array([{}], object)}, "x_train must hold numbers or texts, got Python objects"),
        (
            {"x_test": None, "y_test": None, "x_train": pixels(4, 8, 8), "y_train": np.arange(4) % 2},
            "too few",
        ),
    ],
)
def test_wrong_array_is_refused_with_the_file_and_a_way_out(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = saved(tmp_path, **changes)
    with pytest.raises(InvalidValueError, match=message) as caught:
        read_array_file(path)
    assert str(path) in str(caught.value)


def test_problems_are_shown_together(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"2 problems\n  - x_test.*\n  - y_train"):
        read_array_file(saved(tmp_path, x_test=pixels(6, 9, 9, 3), y_train=np.arange(19) % 2))


def npy(shape: str) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy("(1000000, 1000, 1000)") + b"xx", "x_train says that it has shape .* more than the file holds"),
        (b"no array at all", "no undamaged .npz file of arrays"),
        (b"", "no undamaged .npz file of arrays"),
    ],
)
def test_member_that_is_no_array_is_refused_before_memory_is_taken(
    tmp_path: Path, member: bytes, message: str
) -> None:
    path = tmp_path / "hostile.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", member)
    with pytest.raises(InvalidValueError, match=message):
        read_array_file(path)


def test_file_that_would_fill_memory_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", bytes(3_000_000))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(file_content, "max_bytes", lambda: 2_000_000)
    with pytest.raises(
        InvalidValueError, match=r"would take 0\.0 GB in memory.* take fewer or smaller images"
    ):
        read_array_file(path)


@pytest.mark.parametrize("cut", [0, 10, 400, -30])
def test_cut_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidValueError, match=r"no undamaged .npz file of arrays"):
        read_array_file(path)


def test_changed_byte_is_noticed_by_the_checksum(tmp_path: Path) -> None:
    path = saved(tmp_path)
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidValueError, match=r"no undamaged .npz file of arrays: Bad CRC-32"):
        read_array_file(path)


def test_single_array_is_no_npz(tmp_path: Path) -> None:
    with (tmp_path / "one.npy").open("wb") as file:
        np.save(file, GOOD["x_train"])
    with pytest.raises(InvalidValueError, match=r"no undamaged .npz file of arrays"):
        read_array_file(tmp_path / "one.npy")


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissingError, match=r"none.npz is missing"):
        read_array_file(tmp_path / "none.npz")
    with pytest.raises(InvalidValueError, match=r"is a folder, and arrays: takes a file; .* folder:"):
        read_array_file(tmp_path)
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(DatasetMissingError, match="is no regular file"):
        read_array_file(tmp_path / "pipe.npz")


def test_no_pickle_is_ever_loaded(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    content = io.BytesIO()
    np.save(content, np.array([Bad()], object), allow_pickle=True)
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", content.getvalue())
    with pytest.raises(InvalidValueError, match="Python objects"):
        read_array_file(path)
    assert not (tmp_path / "ran").exists()
