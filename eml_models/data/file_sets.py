"""Data sets that are a user's own files: ``arrays:FILE.npz`` and ``folder:DIR``, without a line of code.

`open_file_set` reads the files once, checks them, and gives their set a name of its fingerprint
(`file_names`). A recipe has that name, so that it says which data it needs and not where they lie. This
process then knows the place. Another process gets it with `register_file_set`, finds decoded images in the
folder of the data sets, or asks for the place.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from eml_models.data.array_files import read_array_file
from eml_models.data.decoded_images import decode_once, find_decoded, read_kept
from eml_models.data.file_content import FileContent, require_validation_part
from eml_models.data.file_names import ARRAYS, FOLDER, WORDS, FileSetName, short_name_of, split_word
from eml_models.data.image_folders import find_images
from eml_models.data.places import data_folder
from eml_models.data.raw_data import RawDataset, fingerprint
from eml_models.data.spec import DatasetSpec
from eml_models.errors import DatasetMissingError, InvalidValueError

LOG = logging.getLogger("eml_models.data")

WHERE = f"say where its files lie: --dataset {WORDS[0]} or {WORDS[1]} (in Python: load_dataset({WORDS[0]!r}))"

_known: dict[str, DatasetSpec] = {}
"""The sets whose place this process knows, by the identity of their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReader:
    """Reads a set of files at a place; the reader of its `DatasetSpec`.

    Attributes:
        path: the file or folder, absolute.
        decoded: the file that keeps its decoded images; None without any.
    """

    kind: str
    path: str
    name: str
    decoded: str | None = None

    def __call__(self, folder: Path, download: bool) -> RawDataset:
        """The arrays.

        Raises:
            DatasetMissingError: the files are gone, or hold other data than the name says.
            InvalidValueError: the files break a rule.
        """
        named = FileSetName.parse(self.name)
        assert named is not None
        if self.decoded is not None and (kept := read_kept(Path(self.decoded))) is not None:
            return kept.raw
        content, _ = _read(self.kind, Path(self.path), folder)
        found = fingerprint(content.raw)
        if found != named.fingerprint:
            raise DatasetMissingError(
                f"{self.path} has changed: this needs {named.describe()}, and the files have fingerprint"
                f" {found} now; put the first files back, or begin a study of its own with the new ones"
            )
        return content.raw

    def require(self) -> None:
        """Make sure that the files are there. Does not read them.

        Raises:
            DatasetMissingError: they are not.
        """
        if not any(Path(path).exists() for path in (self.path, self.decoded) if path is not None):
            raise DatasetMissingError(f"data set {self.name!r}: {self.path} is missing; {WHERE}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceUnknown:
    """The reader of a set of files of which this process knows the name alone: looks for decoded images."""

    name: str

    def __call__(self, folder: Path, download: bool) -> RawDataset:
        """The arrays.

        Raises:
            DatasetMissingError: the folder of the data sets has no such decoded images.
        """
        named = FileSetName.parse(self.name)
        assert named is not None
        content = find_decoded(named.fingerprint, folder)
        if content is None:
            raise DatasetMissingError(
                f"{named.describe()} is known here by its name alone, and {folder} has no decoded images of"
                f" it; {WHERE}"
            )
        return content.raw


def open_file_set(word: str, *, data_dir: str | Path | None = None) -> DatasetSpec:
    """Read the files that a word names, and remember their place in this process.

    Args:
        word: ``arrays:FILE.npz`` or ``folder:DIR``.
        data_dir: the folder of the data sets, where decoded images are kept.

    Raises:
        DatasetMissingError: the files are missing or cannot be read.
        InvalidValueError: they break a rule, see `array_files` and `image_folders`.
    """
    kind, _, path_text = word.partition(":")
    if split_word(word) is None or not path_text:
        raise InvalidValueError(f"a set of files must be {' or '.join(WORDS)}, got {word!r}")
    path = Path(path_text).expanduser().absolute()
    content, decoded = _read(kind, path, data_folder(data_dir))
    require_validation_part(content.raw, f"data set {path}")
    for note in content.notes:
        LOG.warning("%s", note)
    spec = _spec_of(content, kind, path, decoded)
    return register_file_set(spec)


def words_of_files_at(path_text: str) -> list[str]:
    """The word for a folder or a file of arrays at a path; empty if neither is there."""
    path = Path(path_text)
    if path.is_dir():
        return [f"{FOLDER}:{path_text}"]
    return [f"{ARRAYS}:{path_text}"] if path.suffix == ".npz" and path.is_file() else []


def register_file_set(spec: DatasetSpec) -> DatasetSpec:
    """Remember a set of files that another process opened, or that this process has opened elsewhere.

    Args:
        spec: a result of `open_file_set`.
    """
    named = FileSetName.parse(spec.name)
    assert named is not None
    _known[named.identity] = spec
    return spec


def file_set_of(name: str) -> DatasetSpec | None:
    """The set of files with this name, whatever its short name is; None if the name is that of another set.

    Shapes and classes are in the name. Reading its images needs its place.
    """
    named = FileSetName.parse(name)
    if named is None:
        return None
    return _known.get(named.identity) or DatasetSpec(
        name=name,
        input_shape=named.input_shape,
        num_classes=named.num_classes,
        read=PlaceUnknown(name=name),
        source="files of a user",
    )


def require_file_set(spec: DatasetSpec, folder: Path) -> None:
    """Make sure that a set of files can be read here; sets of other kinds pass.

    Args:
        folder: of the data sets.

    Raises:
        DatasetMissingError: its files are missing, or their place is not known.
    """
    if isinstance(spec.read, FileReader):
        spec.read.require()
    elif isinstance(spec.read, PlaceUnknown):
        spec.read(folder, False)


def known_file_sets() -> tuple[DatasetSpec, ...]:
    """The sets of files whose place this process knows."""
    return tuple(_known.values())


def forget_file_sets() -> None:
    """Forget all places, for instance at the end of a test."""
    _known.clear()


def _read(kind: str, path: Path, data_dir: Path) -> tuple[FileContent, Path | None]:
    if kind == FOLDER:
        return decode_once(find_images(path), data_dir)
    return read_array_file(path), None


def _spec_of(content: FileContent, kind: str, path: Path, decoded: Path | None) -> DatasetSpec:
    raw = content.raw
    name = FileSetName(
        short=short_name_of(path),
        fingerprint=fingerprint(raw),
        input_shape=tuple(raw.train_images.shape[1:]),
        num_classes=content.num_classes,
    )
    reader = FileReader(
        kind=kind, path=str(path), name=str(name), decoded=None if decoded is None else str(decoded)
    )
    return DatasetSpec(
        name=str(name),
        input_shape=name.input_shape,
        num_classes=content.num_classes,
        read=reader,
        num_train=len(raw.train_labels),
        num_test=len(raw.test_labels),
        class_names=content.class_names,
        source=f"{kind} of a user",
        value_bytes=raw.train_images.dtype.itemsize,
    )
