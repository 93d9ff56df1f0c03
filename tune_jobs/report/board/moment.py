"""One reading of a store as the parts of a page; each part is made when it is first asked for, and kept.

A part is a text of HTML with a tag of its content, so a browser that has it is not sent it again. Knows no
server. Made by `sources`, held by `watching`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from eml_models.errors import UnknownNameError

Subject = TypeVar("Subject")

Builders = Mapping[str, Callable[[], str]]
"""Makes each part of a page, by its name."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a page.

    Attributes:
        text: HTML.
        tag: of the text; equal texts have equal tags.
    """

    text: str
    tag: str

    @classmethod
    def of(cls, text: str) -> Part:
        return cls(text, hashlib.blake2b(text.encode(), digest_size=12).hexdigest())


@dataclass(kw_only=True, eq=False)
class Moment(Generic[Subject]):
    """One reading.

    Attributes:
        stamp: of the store just before it was read.
        subject: what was read.
        status: a line for people: how the run is, and of which instant the rows are.
        builders: of the parts.
        problems: damaged and foreign files that were left out, in words.
        parts: that were made already.
    """

    stamp: Hashable
    subject: Subject
    status: str
    builders: Builders
    problems: Sequence[str] = ()
    parts: dict[str, Part] = field(default_factory=dict)

    def part(self, name: str) -> Part:
        """The part of this name.

        Raises:
            UnknownNameError: there is no such part.
        """
        if name not in self.parts:
            if name not in self.builders:
                raise UnknownNameError("part", name, self.builders)
            self.parts[name] = Part.of(self.builders[name]())
        return self.parts[name]
