"""The figures by name, in the order of a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from eml_models.errors import UnknownNameError
from tune_jobs.report.figures.curves import curves
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.history import history
from tune_jobs.report.figures.seen import Seen

Draws = Callable[[Seen], Figure | Undrawn]
"""Makes a figure of a study, or says why there is none."""

FIGURES: Mapping[str, Draws] = MappingProxyType(
    {
        "history": history,
        "curves": curves,
    }
)
"""The figures by name, the most useful first."""


def figure_of(seen: Seen, name: str) -> Figure | Undrawn:
    """The figure of this name.

    Raises:
        UnknownNameError: there is no such figure; the message lists them.
    """
    if name not in FIGURES:
        raise UnknownNameError("figure", name, FIGURES)
    return FIGURES[name](seen)


def iter_figures(seen: Seen) -> Iterator[Figure | Undrawn]:
    """All figures of a study."""
    for draw in FIGURES.values():
        yield draw(seen)
