"""Loads data sets as tensors on the training device, and makes their fixed validation split.

`eml_models.data.datasets` knows the sets and reads them; the training loop and notebooks call this module.
The test images are loaded too, but only `eml_models.training.final_evaluation` uses them.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eml_models.data.datasets import DatasetSpec, data_folder, get_dataset_spec, read_dataset
from eml_models.data.datasets import data_fingerprint as fingerprint_of
from eml_models.data.facts import DataFacts
from eml_models.data.splits import SPLIT_SEED, in_equal_shares, split_indices
from eml_models.errors import InvalidValueError, raise_if_any

MAX_CACHED = 2
"""Data sets kept per process. A reused worker trains on a single set; the second place makes a change between
two sets free."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """A data set on a device. All callers share its tensors, so do not write into them.

    On a CPU the images and labels share the memory of the arrays from `read_dataset`. Other processes may
    read that memory too.

    Attributes:
        spec: what was read.
        train_images_NCHW, test_images_NCHW: as stored, uint8 or float32.
        train_labels, test_labels: (N,) int64.
        mean, std: of each channel over all training images, (C,) float32; a constant channel has std 1.
        value_range: the smallest and the largest value of the training images.
        fingerprint: see `eml_models.data.datasets.data_fingerprint`.
    """

    spec: DatasetSpec
    train_images_NCHW: torch.Tensor
    train_labels: torch.Tensor
    test_images_NCHW: torch.Tensor
    test_labels: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    value_range: tuple[float, float]
    fingerprint: str

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self.train_labels.device

    @property
    def facts(self) -> DataFacts:
        """The facts that a network trained on this set needs for its use."""
        return DataFacts(
            input_shape=self.spec.input_shape,
            value_range=self.value_range,
            mean=tuple(self.mean.tolist()),
            std=tuple(self.std.tolist()),
            num_classes=self.spec.num_classes,
            class_names=self.spec.class_names,
            fingerprint=self.fingerprint,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Positions of training images, int64 on the data set's device; `train` is in random order."""

    train: torch.Tensor
    validation: torch.Tensor


_cache: OrderedDict[tuple[DatasetSpec, Path, torch.device], Dataset] = OrderedDict()


def load_dataset(
    name: str,
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    device: str | torch.device = "cpu",
) -> Dataset:
    """The data set on `device`. It is loaded once per process; the last `MAX_CACHED` sets are kept.

    Args:
        name: a name of `known_datasets`, or ``arrays:FILE.npz`` or ``folder:DIR``.
        data_dir: folder of the data sets; None is ``data`` in the working folder.
        download: download the set if it is missing.

    Raises:
        DatasetMissingError: the set is missing, damaged, or cannot be downloaded.
        InvalidValueError: an unknown name, a device that does not exist, or a reader that breaks a rule.
    """
    device = resolve_device(device)
    key = (get_dataset_spec(name, data_dir=data_dir), data_folder(data_dir), device)
    if key not in _cache:
        loaded = _load(key[0], key[1], download=download, device=device)
        while len(_cache) >= MAX_CACHED:
            _cache.popitem(last=False)
        _cache[key] = loaded
    _cache.move_to_end(key)
    return _cache[key]


def split(dataset: Dataset, validation_fraction: float, seed: int = SPLIT_SEED) -> Split:
    """Hold out a share of the training images, equal for all classes; the same images for the same seed.

    Args:
        validation_fraction: in (0, 1).
        seed: fixed by default, so that all trials of all studies are compared on the same images.

    Raises:
        InvalidValueError: one of the parts would be empty.
    """
    kept, held_out = split_indices(dataset.train_labels.cpu().numpy(), validation_fraction, seed)
    if len(kept) == 0 or len(held_out) == 0:
        raise InvalidValueError(
            f"validation_fraction {validation_fraction} splits {len(dataset.train_labels)} images into"
            f" {len(kept)} for training and {len(held_out)} for validation; each part needs at least one"
            " image, so choose another fraction"
        )
    return Split(
        train=torch.from_numpy(kept).to(dataset.device),
        validation=torch.from_numpy(held_out).to(dataset.device),
    )


def take_part(dataset: Dataset, positions: torch.Tensor, count: int | None) -> torch.Tensor:
    """At most `count` of the positions of training images, with the same share of each class; None is all.

    A larger part contains every smaller part of the same positions (`in_equal_shares`).

    Args:
        positions: int64, in random order, as in `Split.train`.
    """
    if count is None:
        return positions
    ordered = in_equal_shares(positions.cpu().numpy(), dataset.train_labels.cpu().numpy())
    return torch.from_numpy(ordered[:count]).to(positions.device)


def resolve_device(device: str | torch.device) -> torch.device:
    """The device with its index, so that ``cuda`` and ``cuda:0`` are equal.

    Raises:
        InvalidValueError: the device is neither a CPU nor CUDA, or this machine does not have it.
    """
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise InvalidValueError(f"device must be cpu, cuda or cuda:N, got {device!r}") from error
    problems = []
    if resolved.type not in ("cpu", "cuda"):
        problems.append(f"device must be cpu, cuda or cuda:N, got {str(device)!r}")
    elif resolved.type == "cuda":
        count = torch.cuda.device_count()
        if (resolved.index or 0) >= count:
            problems.append(f"this machine has no {str(device)!r}: torch sees {count} CUDA devices; use cpu")
    raise_if_any("device", problems)
    if resolved.type == "cuda" and resolved.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return resolved


def _load(spec: DatasetSpec, folder: Path, *, download: bool, device: torch.device) -> Dataset:
    raw = read_dataset(spec.name, data_dir=folder, download=download)
    train_images = _as_tensor(raw.train_images)
    mean, std = _channel_statistics(train_images)
    return Dataset(
        spec=spec,
        train_images_NCHW=train_images.to(device),
        train_labels=_as_tensor(raw.train_labels).to(device),
        test_images_NCHW=_as_tensor(raw.test_images).to(device),
        test_labels=_as_tensor(raw.test_labels).to(device),
        mean=mean.to(device),
        std=std.to(device),
        value_range=(float(train_images.min()), float(train_images.max())),
        fingerprint=fingerprint_of(spec.name, data_dir=folder) or "",
    )


def _as_tensor(array: Any) -> torch.Tensor:
    """A tensor that shares the array's memory."""
    if array.flags.writeable:
        return torch.from_numpy(array)
    with warnings.catch_warnings():
        # torch has no read-only tensors and warns about read-only arrays; no code writes into a `Dataset`
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


def _channel_statistics(images_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel over all pixels of all images, summed in float64."""
    means, stds = [], []
    for channel in images_NCHW.unbind(1):
        if channel.dtype == torch.uint8:  # from counts of the 256 values: exact, and no copy as floats
            weights = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
            values = torch.arange(256, dtype=torch.float64)
            mean = (weights * values).sum()
            std = (weights * (values - mean) ** 2).sum().sqrt()
        else:
            mean, std = channel.double().mean(), channel.double().std(correction=0)
        means.append(mean)
        stds.append(torch.ones_like(std) if channel.min() == channel.max() else std)
    return torch.stack(means).float(), torch.stack(stds).float()
