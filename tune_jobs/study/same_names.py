"""Names that differ by the case of letters only, which SQL takes for one name.

Pure functions. A space may not hold two such names. The studies of a store together may; the views of `query`
then give each a different name. Called by `space`, by the SQL of the store, and by
`tune_jobs.inputs.point_files`.
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

    It follows from the name alone, so a query keeps its meaning when other studies join the store.
    """
    capitals = [str(place) for place, letter in enumerate(name, start=1) if letter in ascii_uppercase]
    return f"{name}_caps{'_'.join(capitals) or '0'}"
