"""The data sets by name: their shapes, their files, and how to register your own. Imports no torch.

All code that turns a name into shapes or arrays calls this module; `eml_models.data.loading` turns the arrays
into tensors on a device. For a data set of your own, write a function that returns arrays, and register it::

    from eml_models.data.datasets import DatasetSpec, RawDataset, register_dataset

    def read_mine(folder: Path, download: bool) -> RawDataset:
        arrays = np.load(folder / "mine.npz")
        return RawDataset(train_images=arrays["x"], train_labels=arrays["y"], test_images=...)

    register_dataset(DatasetSpec(name="mine", input_shape=(3, 32, 32), num_classes=4, read=read_mine))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eml_models.data.folder_lock import one_at_a_time
from eml_models.data.places import count_idx, describe_misplaced, missing_files
from eml_models.data.raw_data import RawDataset, as_arrays, find_problems, fingerprint
from eml_models.data.readers import read_cifar10, read_digits, read_fashion_mnist, read_mnist
from eml_models.errors import (
    DatasetMissingError,
    EmlError,
    InvalidValueError,
    raise_if_any,
)
from eml_models.named import NamedEntries

__all__ = [
    "DEFAULT_DATA_DIR",
    "SHIPPED",
    "DatasetSpec",
    "RawDataset",
    "custom_datasets",
    "data_fingerprint",
    "get_dataset_spec",
    "known_datasets",
    "provide_dataset",
    "read_dataset",
    "register_dataset",
    "require_dataset",
    "unregister_dataset",
]

DEFAULT_DATA_DIR = "data"
"""The folder of the data sets if the caller names none; relative to the working folder."""

WAY_OUT = "name its folder with --data-dir (data_dir=...), or fetch it with --download (download=True)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """One data set.

    Attributes:
        name: its name in recipes and on the command line.
        input_shape: (channels, height, width) of an image.
        read: ``read(folder, download)`` returns the arrays; any exception from it becomes a
            `DatasetMissingError`.
        files: the files that the folder must hold, relative to it; empty if the reader checks by itself.
        num_train, num_test: the number of images; a set with another number is refused. Known before the set
            is read; None if the number is open.
        class_names: in the order of the labels; empty if the classes have no names. Exported networks carry
            them.
        source: the origin of the data.
    """

    name: str
    input_shape: tuple[int, int, int]
    num_classes: int
    read: Callable[[Path, bool], RawDataset]
    files: tuple[str, ...] = ()
    num_train: int | None = None
    num_test: int | None = None
    class_names: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_shape", tuple(self.input_shape))
        object.__setattr__(self, "class_names", tuple(self.class_names))
        problems = [] if self.name.isidentifier() else [f"name must be an identifier, got {self.name!r}"]
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            problems.append(f"input_shape must be (channels, height, width), got {self.input_shape}")
        if self.num_classes < 2:
            problems.append(f"num_classes must be at least 2, got {self.num_classes}")
        names = self.class_names
        if names and (len(set(names)) != self.num_classes or not all(isinstance(n, str) for n in names)):
            problems.append(f"class_names must be {self.num_classes} different names or none, got {names}")
        raise_if_any("data set", problems)


def _idx_files(folder: str) -> tuple[str, ...]:
    parts = ("images-idx3-ubyte", "labels-idx1-ubyte")
    return tuple(f"{folder}/raw/{half}-{part}" for half in ("train", "t10k") for part in parts)


DIGIT_NAMES = tuple("0123456789")
IDX_IMAGES = "-images-idx3-ubyte"

CIFAR10_FILES = tuple(
    f"cifar-10-batches-py/{name}"
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
)

_datasets = NamedEntries(
    "data set",
    (
        DatasetSpec(
            name="digits",
            input_shape=(1, 8, 8),
            num_classes=10,
            read=read_digits,
            num_train=1_438,
            num_test=359,
            class_names=DIGIT_NAMES,
            source="UCI optical recognition of handwritten digits, as bundled with scikit-learn",
        ),
        DatasetSpec(
            name="mnist",
            input_shape=(1, 28, 28),
            num_classes=10,
            read=read_mnist,
            files=_idx_files("MNIST"),
            num_train=60_000,
            num_test=10_000,
            class_names=DIGIT_NAMES,
            source="LeCun et al. 1998, Proceedings of the IEEE 86(11)",
        ),
        DatasetSpec(
            name="fashion_mnist",
            input_shape=(1, 28, 28),
            num_classes=10,
            read=read_fashion_mnist,
            files=_idx_files("FashionMNIST"),
            num_train=60_000,
            num_test=10_000,
            class_names=(
                *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
                *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
            ),
            source="arXiv 1708.07747",
        ),
        DatasetSpec(
            name="cifar10",
            input_shape=(3, 32, 32),
            num_classes=10,
            read=read_cifar10,
            files=CIFAR10_FILES,
            num_train=50_000,
            num_test=10_000,
            class_names=(
                *("airplane", "automobile", "bird", "cat", "deer"),
                *("dog", "frog", "horse", "ship", "truck"),
            ),
            source="Krizhevsky 2009, Learning multiple layers of features from tiny images",
        ),
    ),
)
SHIPPED = _datasets.shipped
"""The data sets that come with the package."""

register_dataset = _datasets.register
unregister_dataset = _datasets.unregister
known_datasets = _datasets.names
custom_datasets = _datasets.custom
get_dataset_spec = _datasets.get

_fingerprints: dict[tuple[DatasetSpec, Path], str] = {}
"""Fingerprints of the sets that this process has read: a few bytes each, so that no set is read again for its
fingerprint."""

_provided: dict[tuple[DatasetSpec, Path], RawDataset] = {}
"""The arrays that callers gave to `provide_dataset` in this process."""


def data_folder(data_dir: str | Path | None) -> Path:
    """The absolute path of the folder of the data sets."""
    return Path(DEFAULT_DATA_DIR if data_dir is None else data_dir).expanduser().absolute()


def require_dataset(name: str, *, data_dir: str | Path | None = None, download: bool = False) -> None:
    """Make sure that a data set's files are there, and download them if asked. Does not read the images.

    Raises:
        DatasetMissingError: files are missing, or their headers give another number of images. The message
            names the folder, other places where the files were found, and the options that help.
    """
    spec, folder = get_dataset_spec(name), data_folder(data_dir)
    if download and missing_files(spec.files, folder):
        with one_at_a_time(folder, name):
            if missing_files(spec.files, folder):  # another process may have fetched it meanwhile
                _read(spec, folder, download=True)
    missing = missing_files(spec.files, folder)
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        way_out = describe_misplaced(spec.files, folder) or WAY_OUT
        raise DatasetMissingError(f"data set {name!r} is not in {folder}: there is no {shown}; {way_out}")
    _check_headers(spec, folder)


def read_dataset(name: str, *, data_dir: str | Path | None = None, download: bool = False) -> RawDataset:
    """The arrays of a data set, checked: images NCHW as uint8 or float32, labels int64.

    Arrays given to `provide_dataset` are returned unchanged and may be read-only; no files are needed then.

    Raises:
        DatasetMissingError: its files are missing, damaged, of another set, or cannot be downloaded.
        InvalidValueError: a user's reader returned arrays that do not fit its `DatasetSpec`.
    """
    spec, folder = get_dataset_spec(name), data_folder(data_dir)
    if (spec, folder) in _provided:
        return _provided[spec, folder]
    require_dataset(name, data_dir=data_dir, download=download)
    raw = as_arrays(_read(spec, folder, download=download and not spec.files))
    _check(spec, raw, folder)
    _fingerprints[spec, folder] = fingerprint(raw)
    return raw


def provide_dataset(
    name: str, raw: RawDataset, *, fingerprint: str, data_dir: str | Path | None = None
) -> None:
    """Give this process a data set that another process has read, in place of the files in the folder.

    For processes that share memory. The arrays may be read-only and are not copied. They are kept until the
    process ends or receives other arrays for the same set and folder. A caller that loaded the set before
    keeps its arrays.

    Args:
        raw: the result of `read_dataset` in the other process; checked in the same way.
        fingerprint: the result of `data_fingerprint` in the other process; not computed again.

    Raises:
        UnknownNameError: this process knows no such data set.
        InvalidValueError: the arrays do not fit the data set.
    """
    spec, folder = get_dataset_spec(name), data_folder(data_dir)
    given = as_arrays(raw)
    _check(spec, given, folder)
    _provided[spec, folder], _fingerprints[spec, folder] = given, fingerprint


def data_fingerprint(
    name: str, *, data_dir: str | Path | None = None, only_if_loaded: bool = False
) -> str | None:
    """A BLAKE2b hash of all images and labels, 32 hex digits: equal for equal data on every machine.

    Args:
        only_if_loaded: return None if this process has not read the data set yet, and do not read it now.
    """
    key = get_dataset_spec(name), data_folder(data_dir)
    if key not in _fingerprints and not only_if_loaded:
        read_dataset(name, data_dir=data_dir)
    return _fingerprints.get(key)


def _check(spec: DatasetSpec, raw: RawDataset, folder: Path) -> None:
    """Refuse arrays whose shapes, values or numbers of images do not fit the data set."""
    raise_if_any(f"data set {spec.name!r}", find_problems(raw, spec.input_shape, spec.num_classes))
    _check_counts(spec, (len(raw.train_labels), len(raw.test_labels)), folder)


def _check_headers(spec: DatasetSpec, folder: Path) -> None:
    """Refuse files of MNIST's format whose headers give another number of images."""
    images = [folder / file for file in spec.files if file.endswith(IDX_IMAGES)]
    if len(images) == 2:  # the training images and the test images
        _check_counts(spec, (count_idx(images[0]), count_idx(images[1])), folder)


def _check_counts(spec: DatasetSpec, got: tuple[int | None, int | None], folder: Path) -> None:
    """Refuse another number of training or test images, where both the rule and the number are known."""
    expected = (spec.num_train, spec.num_test)
    if all(n is None or m is None or n == m for n, m in zip(expected, got, strict=True)):
        return
    rule = f"data set {spec.name!r} has {_in_words(expected)} images, got {_in_words(got)}"
    if not spec.files:
        raise InvalidValueError(
            f"{rule}; correct num_train and num_test of its DatasetSpec, or leave them out"
        )
    if got[0] is not None and got[0] == spec.num_test:
        rule += "; the test files may be in the place of the training files"
    raise DatasetMissingError(
        f"{rule}; remove {folder / Path(spec.files[0]).parent} and fetch it again (--download). To train on"
        " a part of it, use --train-samples N (max_train_samples=N); for other images, register a data set of"
        " your own (register_dataset)"
    )


def _in_words(counts: tuple[int | None, int | None]) -> str:
    train, test = ("any number of" if count is None else f"{count:,}" for count in counts)
    return f"{train} training and {test} test"


def _read(spec: DatasetSpec, folder: Path, *, download: bool) -> RawDataset:
    try:
        return spec.read(folder, download)
    except EmlError:
        raise
    except Exception as error:  # for damaged files or a failed download a reader may raise anything
        cause = f"{type(error).__name__}: {error}"
        if download:
            message = f"could not download data set {spec.name!r} to {folder}: {cause}; {WAY_OUT}"
        elif spec.files:
            where = folder / Path(spec.files[0]).parent
            message = (
                f"data set {spec.name!r} is damaged: {cause}; remove {where} and fetch it again (--download)"
            )
        else:
            message = f"could not read data set {spec.name!r} from {folder}: {cause}"
        raise DatasetMissingError(message) from error
