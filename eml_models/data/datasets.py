"""The data sets by name: their shapes, their files, and how to register your own. Imports no torch.

All code that turns a name into shapes or arrays calls this module; `eml_models.data.loading` turns the arrays
into tensors on a device. Files of your own need no code (`eml_models.data.file_sets`). For any other data
set, write a function that returns arrays, and register it::

    from eml_models.data.datasets import DatasetSpec, RawDataset, register_dataset

    def read_mine(folder: Path, download: bool) -> RawDataset:
        arrays = np.load(folder / "mine.npz")
        return RawDataset(train_images=arrays["x"], train_labels=arrays["y"], test_images=...)

    register_dataset(DatasetSpec(name="mine", input_shape=(3, 32, 32), num_classes=4, read=read_mine))
"""

from __future__ import annotations

from pathlib import Path

from eml_models.data.file_names import WORDS, split_word, word_of_path
from eml_models.data.file_sets import file_set_of, open_file_set, require_file_set, words_of_files_at
from eml_models.data.folder_lock import one_at_a_time
from eml_models.data.places import (
    DEFAULT_DATA_DIR,
    count_idx,
    data_folder,
    describe_misplaced,
    missing_files,
)
from eml_models.data.raw_data import RawDataset, as_arrays, find_problems, fingerprint
from eml_models.data.readers import read_cifar10, read_digits, read_fashion_mnist, read_mnist
from eml_models.data.spec import DatasetSpec
from eml_models.errors import (
    DatasetMissingError,
    EmlError,
    InvalidValueError,
    UnknownNameError,
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
    "data_folder",
    "get_dataset_spec",
    "known_datasets",
    "provide_dataset",
    "read_dataset",
    "register_dataset",
    "require_dataset",
    "unregister_dataset",
]

WAY_OUT = "name its folder with --data-dir (data_dir=...), or fetch it with --download (download=True)"


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
            value_bytes=1,
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
            value_bytes=1,
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
            value_bytes=1,
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
            value_bytes=1,
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

unregister_dataset = _datasets.unregister
custom_datasets = _datasets.custom

_fingerprints: dict[tuple[DatasetSpec, Path], str] = {}
"""Fingerprints of the sets that this process has read: a few bytes each, so that no set is read again for its
fingerprint."""

_provided: dict[tuple[DatasetSpec, Path], RawDataset] = {}
"""The arrays that callers gave to `provide_dataset` in this process."""


def register_dataset(spec: DatasetSpec) -> DatasetSpec:
    """Add a data set to this process and to the workers of its runs; returns it.

    A set registered earlier under the same name is replaced, so that a notebook's cell can run twice.

    Raises:
        InvalidValueError: a shipped set has this name.
    """
    return _datasets.register(spec)


def known_datasets() -> tuple[str, ...]:
    """The names of all data sets, the shipped ones first."""
    return _datasets.names()


def get_dataset_spec(name: str, *, data_dir: str | Path | None = None) -> DatasetSpec:
    """The data set of that name, or of a user's files.

    Args:
        name: a name of `known_datasets`; that of a set of files; or ``arrays:FILE.npz`` or ``folder:DIR``,
            whose files are then read.
        data_dir: folder of the data sets, where decoded images are kept; None is ``data`` in the working
            folder.

    Raises:
        UnknownNameError: there is none; the message lists the known names.
        DatasetMissingError: the files are missing.
        InvalidValueError: the files break a rule, or the name is a path without ``arrays:`` or ``folder:``.
    """
    if split_word(name) is not None:
        return open_file_set(name, data_dir=data_dir)
    found = file_set_of(name)
    if found is not None:
        return found
    if name not in known_datasets():
        if (word := word_of_path(name)) is not None:
            raise InvalidValueError(
                f"a data set is a name, {WORDS[0]} or {WORDS[1]}, got {name!r}; write {word}"
            )
        raise UnknownNameError("data set", name, (*words_of_files_at(name), *known_datasets(), *WORDS))
    return _datasets.get(name)


def require_dataset(name: str, *, data_dir: str | Path | None = None, download: bool = False) -> None:
    """Make sure that a data set's files are there, and download them if asked. Does not read the images.

    Raises:
        DatasetMissingError: files are missing, or their headers give another number of images. The message
            names the folder, other places where the files were found, and the options that help.
    """
    spec, folder = get_dataset_spec(name, data_dir=data_dir), data_folder(data_dir)
    if download and missing_files(spec.files, folder):
        with one_at_a_time(folder, name):
            if missing_files(spec.files, folder):  # another process may have fetched it meanwhile
                _read(spec, folder, download=True)
    missing = missing_files(spec.files, folder)
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        way_out = describe_misplaced(spec.files, folder) or WAY_OUT
        raise DatasetMissingError(f"data set {name!r} is not in {folder}: there is no {shown}; {way_out}")
    require_file_set(spec, folder)
    _check_headers(spec, folder)


def read_dataset(name: str, *, data_dir: str | Path | None = None, download: bool = False) -> RawDataset:
    """The arrays of a data set, checked: images NCHW as uint8 or float32, labels int64.

    Arrays given to `provide_dataset` are returned unchanged and may be read-only; no files are needed then.

    Raises:
        DatasetMissingError: its files are missing, damaged, of another set, or cannot be downloaded.
        InvalidValueError: a user's reader returned arrays that do not fit its `DatasetSpec`.
    """
    spec, folder = get_dataset_spec(name, data_dir=data_dir), data_folder(data_dir)
    if (spec, folder) in _provided:
        return _provided[spec, folder]
    require_dataset(spec.name, data_dir=data_dir, download=download)
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
    spec, folder = get_dataset_spec(name, data_dir=data_dir), data_folder(data_dir)
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
    key = get_dataset_spec(name, data_dir=data_dir), data_folder(data_dir)
    if key not in _fingerprints and not only_if_loaded:
        read_dataset(key[0].name, data_dir=data_dir)
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
