"""The entries of one kind by their names: those that the package ships, and those registered in this process.

Workers are separate processes: a driver ships to them what is registered. Called by `datasets` and
`registry`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from eml_models.errors import InvalidValueError, UnknownNameError


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class NamedEntries(Generic[T]):
    """The entries of one kind.

    Args:
        kind: what messages call an entry, such as ``data set``.
    """

    def __init__(self, kind: str, shipped: Iterable[T]) -> None:
        self._kind = kind
        self.shipped = {entry.name: entry for entry in shipped}
        self._custom: dict[str, T] = {}

    def register(self, entry: T) -> T:
        """Make an entry known in this process.

        The same name again replaces the earlier entry, as when a notebook's cell is run twice.

        Raises:
            InvalidValueError: the name is that of a shipped entry.
        """
        if entry.name in self.shipped:
            raise InvalidValueError(
                f"{self._kind} {entry.name!r} is shipped and cannot be replaced; choose another name"
            )
        self._custom[entry.name] = entry
        return entry

    def unregister(self, name: str) -> None:
        """Forget an entry that was registered, for instance at the end of a test.

        Raises:
            UnknownNameError: no such entry was registered.
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
            UnknownNameError: there is none; lists those that there are.
        """
        entry = self.shipped.get(name) or self._custom.get(name)
        if entry is None:
            raise UnknownNameError(self._kind, name, self.names())
        return entry
