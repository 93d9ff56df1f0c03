"""The words and the names of data sets that are a user's files. Pure: reads no file.

A word says where files lie: ``arrays:FILE.npz`` or ``folder:DIR``. A name says what they hold, and goes into
recipes and stores: ``flowers@FINGERPRINT.3x32x32.5`` is a set of 5 classes of such images. Only the part from
``@`` on identifies it. The part before it is for people, so that a set may move or get another file name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ARRAYS, FOLDER = "arrays", "folder"
KINDS = (ARRAYS, FOLDER)
WORDS = ("arrays:FILE.npz", "folder:DIR")
"""The forms of a word, for messages."""

MAX_SHORT_NAME = 40
UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
IDENTITY = r"@([0-9a-f]{32})\.([1-9][0-9]{0,8})x([1-9][0-9]{0,8})x([1-9][0-9]{0,8})\.([1-9][0-9]{0,8})"
NAME = re.compile(rf"([A-Za-z0-9_-]{{0,{MAX_SHORT_NAME}}}){IDENTITY}")
IN_JSON = re.compile(rf'"[A-Za-z0-9_-]{{0,{MAX_SHORT_NAME}}}({IDENTITY})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSetName:
    """The name of a set of files, in its parts.

    Attributes:
        short: for people.
        fingerprint: see `eml_models.data.raw_data.fingerprint`.
        input_shape: (channels, height, width) of an image.
    """

    short: str
    fingerprint: str
    input_shape: tuple[int, int, int]
    num_classes: int

    @classmethod
    def parse(cls, text: str) -> FileSetName | None:
        """The parts of a name; None if the text is the name of another set."""
        found = NAME.fullmatch(text)
        if found is None:
            return None
        channels, height, width, classes = map(int, found.groups()[2:])
        return cls(
            short=found[1],
            fingerprint=found[2],
            input_shape=(channels, height, width),
            num_classes=classes,
        )

    @property
    def identity(self) -> str:
        """The part of the name that identifies the set."""
        shape = "x".join(map(str, self.input_shape))
        return f"@{self.fingerprint}.{shape}.{self.num_classes}"

    def __str__(self) -> str:
        return self.short + self.identity

    def describe(self) -> str:
        """The set in words: its short name, its fingerprint, its shapes."""
        shape = " x ".join(map(str, self.input_shape))
        return (
            f"data set {self.short!r} with fingerprint {self.fingerprint} (images {shape}, {self.num_classes}"
            " classes)"
        )


def split_word(text: str) -> tuple[str, str] | None:
    """The kind and the path of ``arrays:PATH`` or ``folder:PATH``; None for any other text."""
    kind, colon, path = text.partition(":")
    return (kind, path) if colon and kind in KINDS else None


def word_of_path(text: str) -> str | None:
    """The word that a path without its kind stands for, by its form alone; None if the text is no path."""
    if ":" in text:
        return None
    if text.endswith(".npz"):
        return f"{ARRAYS}:{text}"
    return f"{FOLDER}:{text}" if "/" in text else None


def short_name_of(path: Path) -> str:
    """A short name for the set in a file or folder, from the name of that."""
    stem = path.name.removesuffix(".npz")
    return UNFIT.sub("_", stem)[:MAX_SHORT_NAME].strip("_") or "data"


def without_short_names(json_text: str) -> str:
    """A JSON text in which each name of a set of files is its identity alone."""
    return IN_JSON.sub(r'"\1"', json_text)


def label(name: str) -> str:
    """A name of any data set for people: that of files is its short name and the first digits of its
    fingerprint."""
    found = FileSetName.parse(name)
    return name if found is None else f"{found.short or 'data'}@{found.fingerprint[:8]}"
