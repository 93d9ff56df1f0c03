"""Entries by their names: shipped ones stay, registered ones come, are replaced, and go."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.named import NamedEntries


@dataclass(frozen=True)
class Tree:
    name: str
    height: int = 1


def trees() -> NamedEntries[Tree]:
    return NamedEntries("tree", (Tree("oak"), Tree("fir")))


def test_registered_entries_come_after_the_shipped_ones_and_are_replaced_by_their_name() -> None:
    entries = trees()
    assert entries.register(Tree("ash")) == Tree("ash")
    entries.register(Tree("ash", 2))
    assert (entries.names(), entries.custom()) == (("oak", "fir", "ash"), (Tree("ash", 2),))
    assert [entries.get(name).height for name in entries.names()] == [1, 1, 2]
    entries.unregister("ash")
    assert (entries.names(), entries.custom()) == (("oak", "fir"), ())


def test_shipped_entry_is_neither_replaced_nor_forgotten() -> None:
    entries = trees()
    with pytest.raises(InvalidValueError, match="tree 'oak' is shipped and cannot be replaced"):
        entries.register(Tree("oak", 9))
    with pytest.raises(UnknownNameError, match="unknown registered tree 'oak'"):
        entries.unregister("oak")
    with pytest.raises(UnknownNameError, match="unknown tree 'elm'"):
        entries.get("elm")
