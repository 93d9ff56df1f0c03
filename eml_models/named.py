"""A table of named entries of one kind: those of the package, and those registered in this process.

Workers are separate processes, so a driver sends them its registered entries. Called by
`eml_models.data.datasets` and `eml_models.networks.registry`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from eml_models.errors import InvalidValueError, UnknownNameError


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class NamedEntries(Generic[T]):
    """A table of entries of one kind, by name.

    Args:
        kind: the word for an entry in messages, such as ``data set``.
        shipped: the entries of the package; they cannot be replaced.
    """

    def __init__(self, kind: str, shipped: Iterable[T]) -> None:
        self._kind = kind
        self.shipped = {entry.name: entry for entry in shipped}
        self._custom: dict[str, T] = {}

    def register(self, entry: T) -> T:
        """Add an entry to this process.

        An earlier registered entry of the same name is replaced, so that a notebook's cell can run twice.

        Raises:
            InvalidValueError: a shipped entry has this name.
        """
        if entry.name in self.shipped:
            raise InvalidValueError(
                f"{self._kind} {entry.name!r} is shipped and cannot be replaced; choose another name"
            )
        self._custom[entry.name] = entry
        return entry

    def unregister(self, name: str) -> None:
        """Remove a registered entry, for instance at the end of a test.

        Raises:
            UnknownNameError: no entry of this name was registered.
        """
        if name not in self._custom:
            raise UnknownNameError(f"registered {self._kind}", name, self._custom)
        del self._custom[name]

    def names(self) -> tuple[str, ...]:
        """The names of all entries, the shipped ones first."""
        return (*self.shipped, *self._custom)

    def custom(self) -> tuple[T, ...]:
        """The entries registered beyond the shipped ones."""
        return tuple(self._custom.values())

    def get(self, name: str) -> T:
        """The entry of that name.

        Raises:
            UnknownNameError: there is none; the message lists the known names.
        """
        entry = self.shipped.get(name) or self._custom.get(name)
        if entry is None:
            raise UnknownNameError(self._kind, name, self.names())
        return entry
