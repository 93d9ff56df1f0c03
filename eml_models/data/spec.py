"""What is known of a data set before it is read: its name, its shapes and its reader. A value without data.

`datasets` has a table of them, and `file_sets` makes one for each set of a user's files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eml_models.data.file_names import FileSetName
from eml_models.data.raw_data import RawDataset
from eml_models.errors import raise_if_any


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """One data set.

    Attributes:
        name: its name in recipes and on the command line.
        input_shape: (channels, height, width) of an image.
        num_classes: number of classes.
        read: ``read(folder, download)`` returns the arrays; any exception from it becomes a
            `DatasetMissingError`.
        files: the files that the folder must hold, relative to it; empty if the reader checks by itself.
        num_train, num_test: the number of images; a set with another number is refused. Known before the set
            is read; None if the number is open.
        class_names: in the order of the labels; empty if the classes have no names. Exported networks carry
            them.
        source: the origin of the data.
        value_bytes: bytes of a stored value, at most; for the memory that a set takes.
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
    value_bytes: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_shape", tuple(self.input_shape))
        object.__setattr__(self, "class_names", tuple(self.class_names))
        named = self.name.isidentifier() or FileSetName.parse(self.name) is not None
        problems = [] if named else [f"name must be an identifier, got {self.name!r}"]
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            problems.append(f"input_shape must be (channels, height, width), got {self.input_shape}")
        if self.num_classes < 2:
            problems.append(f"num_classes must be at least 2, got {self.num_classes}")
        names = self.class_names
        if names and (len(set(names)) != self.num_classes or not all(isinstance(n, str) for n in names)):
            problems.append(f"class_names must be {self.num_classes} different names or none, got {names}")
        raise_if_any("data set", problems)
