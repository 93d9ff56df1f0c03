"""Names that differ by the case of letters only, which SQL takes for one name.

Pure functions. A space may not hold two of them; a store may, in different studies, and then the views of
`query` call each by a name of its own. Called by `space`, `store` and `point_files`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from string import ascii_lowercase, ascii_uppercase

LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
"""The folding of DuckDB, for which É and é differ."""


def fold(name: str) -> str:
    """The name as SQL compares it."""
    return name.translate(LOWER)


def alike(names: Iterable[str]) -> list[list[str]]:
    """The groups of different names that SQL takes for one, each sorted."""
    groups = defaultdict(set)
    for name in names:
        groups[fold(name)].add(name)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def spelled(name: str) -> str:
    """A name that says where its capitals are: ``w_caps0``, ``W_caps1``, ``maxLR_caps4_5``.

    It follows from the name alone, so that a query means the same whatever other studies the store gets.
    """
    capitals = [str(place) for place, letter in enumerate(name, start=1) if letter in ascii_uppercase]
    return f"{name}_caps{'_'.join(capitals) or '0'}"
