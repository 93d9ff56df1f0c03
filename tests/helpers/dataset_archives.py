"""Writes small archives in MNIST's official format, for tests of data sets."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


def random_bytes(seed: int, *shape: int) -> Bytes:
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def write_idx(path: Path, array: Bytes) -> None:
    """MNIST's official format: two zeros, the type (8 is bytes), the rank, the sizes, the values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def write_mnist(folder: Path, name: str, num_train: int = 30, num_test: int = 10) -> dict[str, Bytes]:
    arrays = {}
    for part, count in (("train", num_train), ("t10k", num_test)):
        arrays[f"{part}-images-idx3-ubyte"] = random_bytes(count, count, 28, 28)
        arrays[f"{part}-labels-idx1-ubyte"] = (np.arange(count) % 10).astype(np.uint8)
    for file, array in arrays.items():
        write_idx(folder / name / "raw" / file, array)
    return arrays
