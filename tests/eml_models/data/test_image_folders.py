"""Folders of images: their layouts, what is decoded, and images that cannot be a part of a set."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eml_models.data import file_content
from eml_models.data.image_folders import find_images
from eml_models.errors import DatasetMissingError, InvalidValueError


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (6, 8)) -> Image.Image:
    values = np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    return Image.fromarray(values).convert(mode)


def put(path: Path, image: Image.Image, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def flowers(root: Path, *, parts: tuple[str, ...] = ("",), mode: str = "RGB", count: int = 5) -> Path:
    """A folder of two classes."""
    for part in parts:
        for label, name in enumerate(("rose", "aster")):
            for index in range(count):
                put(root / part / name / f"{index}.png", picture(10 * label + index, mode))
    return root


@pytest.mark.parametrize(
    ("parts", "sizes"), [(("",), (8, 2)), (("train",), (8, 2)), (("train", "test"), (10, 10))]
)
def test_folder_for_each_class_is_read_in_the_order_of_names(
    tmp_path: Path, parts: tuple[str, ...], sizes: tuple[int, int]
) -> None:
    found = find_images(flowers(tmp_path, parts=parts)).read()
    assert found.class_names == ("aster", "rose")
    assert (len(found.raw.train_labels), len(found.raw.test_labels)) == sizes
    assert found.raw.train_images.shape[1:] == (3, 8, 6)
    assert bool(found.notes) == ("test" not in parts)
    if parts == ("train", "test"):
        assert np.array_equal(found.raw.train_images[5].transpose(1, 2, 0), np.asarray(picture(0)))
        assert found.raw.train_labels.tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize(
    ("mode", "suffix", "channels"),
    [
        ("L", "png", 1),
        ("1", "png", 1),
        ("RGB", "bmp", 3),
        ("P", "gif", 3),
        ("CMYK", "tif", 3),
        ("L", "jpg", 1),
    ],
)
def test_modes_become_one_channel_or_three(tmp_path: Path, mode: str, suffix: str, channels: int) -> None:
    for name in ("a", "b"):
        for index in range(3):
            put(tmp_path / name / f"{index}.{suffix}", picture(index, mode))
    assert find_images(tmp_path).read().raw.train_images.shape[1] == channels


def test_single_colour_image_makes_all_three_channels(tmp_path: Path) -> None:
    flowers(tmp_path, mode="L")
    put(tmp_path / "rose" / "9.png", picture(9))
    assert find_images(tmp_path).read().raw.train_images.shape[1:] == (3, 8, 6)


def test_photograph_is_turned_as_it_asks(tmp_path: Path) -> None:
    upright = picture(1)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    for name in ("a", "b"):
        for index in range(3):
            put(tmp_path / name / f"{index}.png", upright.rotate(90, expand=True), exif=exif)
    images = find_images(tmp_path).read().raw.train_images
    assert np.array_equal(images[0].transpose(1, 2, 0), np.asarray(upright))


def test_hidden_and_other_files_are_passed_over_and_counted(tmp_path: Path) -> None:
    flowers(tmp_path, parts=("train", "test"))
    for name in (
        ".DS_Store",
        "train/.hidden",
        "train/rose/.x.png",
        "train/rose/notes.txt",
        "train/labels.csv",
    ):
        (tmp_path / name).write_text("no image")
    found = find_images(tmp_path).read()
    assert len(found.raw.train_labels) == 10
    assert found.notes == (f"data set {tmp_path}: 2 files are passed over, no images by their names",)


def test_links_to_images_and_folders_are_followed(tmp_path: Path) -> None:
    flowers(tmp_path / "real")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "rose").symlink_to(tmp_path / "real" / "rose")
    (linked / "aster").mkdir()
    for file in (tmp_path / "real" / "aster").iterdir():
        (linked / "aster" / file.name).symlink_to(file)
    found, real = find_images(linked), find_images(tmp_path / "real")
    assert found.key() == real.key()
    assert np.array_equal(found.read().raw.train_images, real.read().raw.train_images)


def test_key_knows_names_and_contents(tmp_path: Path) -> None:
    folder = flowers(tmp_path)
    keys = [find_images(folder).key()]
    (folder / "rose" / "0.png").rename(folder / "rose" / "9.png")
    keys.append(find_images(folder).key())
    put(folder / "rose" / "9.png", picture(99))
    keys.append(find_images(folder).key())
    assert len(set(keys)) == 3
    assert keys[-1] == find_images(folder).key()


def transparent() -> Image.Image:
    image = picture(1, "RGBA")
    image.putpixel((2, 2), (9, 9, 9, 0))
    return image


def bomb() -> bytes:
    """A PNG of a few bytes whose header says 100,000 x 100,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("image", "suffix", "message"),
    [
        (
            picture(1, size=(7, 8)),
            "png",
            r"one size, got 2 sizes: 6 x 8 \(10 images.*7 x 8 \(1 image, such as",
        ),
        (Image.fromarray(np.ones((8, 6), np.uint16)), "png", "its values are I"),
        (picture(1, "F"), "tif", "its values are F, and 8 bits for each channel are read"),
        (transparent(), "png", "it has transparent pixels; put it on a background first"),
        (b"no image", "png", r"no undamaged image \(PNG, JPEG"),
        (b"", "jpg", "no undamaged image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "png", "no undamaged image"),
        (bomb(), "png", "exceeds limit|decompression bomb"),
    ],
)
def test_image_that_does_not_fit_is_named(
    tmp_path: Path, image: Image.Image | bytes, suffix: str, message: str
) -> None:
    path = flowers(tmp_path) / "rose" / f"odd.{suffix}"
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        put(path, image)
    with pytest.raises(InvalidValueError, match=message) as caught:
        find_images(tmp_path).read()
    assert str(path) in str(caught.value)


def test_several_pictures_in_a_file_are_refused(tmp_path: Path) -> None:
    path = flowers(tmp_path) / "rose" / "odd.gif"
    picture(1).save(path, save_all=True, append_images=[picture(2), picture(3)])
    with pytest.raises(InvalidValueError, match=r"odd.gif: it holds 3 images"):
        find_images(tmp_path).read()


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_cut_image_is_named(tmp_path: Path, suffix: str) -> None:
    path = put(flowers(tmp_path) / "rose" / f"cut.{suffix}", picture(1))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(InvalidValueError, match=f"1 of its files .*\n  - .*cut.{suffix}: "):
        find_images(tmp_path).read()


def test_many_damaged_files_are_counted(tmp_path: Path) -> None:
    for index in range(9):
        (flowers(tmp_path) / "rose" / f"bad{index}.png").write_bytes(b"x")
    with pytest.raises(InvalidValueError, match=r"(?s)9 of its files .*and 4 more"):
        find_images(tmp_path).read()


def test_images_that_would_fill_memory_are_refused_undecoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_content, "max_bytes", lambda: 10 * 6 * 8)
    with pytest.raises(InvalidValueError, match=r"would take .* take fewer or smaller images"):
        find_images(flowers(tmp_path)).read()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "a folder of images for each class, at least 2, got 0 folders; write such as"),
        (("a/1.png",), "at least 2, got 1 folder;"),
        (("1.png", "a/1.png", "b/1.png"), "got images such as .*1.png"),
        (("a/1.png", "b/"), "class folder .*b has no image; add images"),
        (("a/1.png", "b/x.txt"), "class folder .*b has no image"),
        (("a/1.png", "b/1.png", "b/more/2.png"), "must hold images alone, got the folder .*more"),
        (("train/a/1.png", "train/b/1.png", "val/a/1.png"), "no other, got also val; our validation"),
        (("test/a/1.png", "test/b/1.png"), "got test without train"),
        (("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"), "got b, c in one of them"),
        (("train/1.png",), "folder .*train must hold a folder of images for each class"),
    ],
)
def test_wrong_folders_are_refused(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    for name in files:
        path = tmp_path / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        elif name.endswith(".png"):
            put(path, picture(1))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("text")
    with pytest.raises(InvalidValueError, match=message):
        find_images(tmp_path)


def test_link_to_nowhere_pipe_and_missing_folder_are_named(tmp_path: Path) -> None:
    flowers(tmp_path)
    (tmp_path / "rose" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(InvalidValueError, match=r"gone.png is a link that leads nowhere; remove it"):
        find_images(tmp_path)
    (tmp_path / "rose" / "gone.png").unlink()
    os.mkfifo(tmp_path / "rose" / "pipe.png")
    with pytest.raises(InvalidValueError, match=r"pipe.png is neither a file nor a folder"):
        find_images(tmp_path)
    with pytest.raises(DatasetMissingError, match="nowhere is missing; name a folder"):
        find_images(tmp_path / "nowhere")


def test_name_of_a_class_is_text(tmp_path: Path) -> None:
    folder = os.fsencode(flowers(tmp_path)) + b"/\xff"
    os.mkdir(folder)
    put(tmp_path / "1.png", picture(1)).rename(os.fsdecode(folder + b"/1.png"))
    with pytest.raises(InvalidValueError, match="must be text in UTF-8"):
        find_images(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file_is_named(tmp_path: Path) -> None:
    path = flowers(tmp_path) / "rose" / "0.png"
    path.chmod(0)
    with pytest.raises(DatasetMissingError, match=r"0.png cannot be read: Permission denied"):
        find_images(tmp_path).read()
