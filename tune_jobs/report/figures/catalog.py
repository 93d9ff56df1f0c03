"""The figures by name, in the order of a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from eml_models.errors import UnknownNameError
from tune_jobs.report.figures.candidates import finalists
from tune_jobs.report.figures.costs import latency
from tune_jobs.report.figures.curves import curves
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.front import front
from tune_jobs.report.figures.heat_map import heat_map
from tune_jobs.report.figures.history import history
from tune_jobs.report.figures.importance import importance
from tune_jobs.report.figures.parallel import parallel
from tune_jobs.report.figures.rungs import rungs
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.figures.slices import slices
from tune_jobs.report.figures.spending import ledger
from tune_jobs.report.figures.timeline import timeline
from tune_jobs.report.figures.volume import volume
from tune_jobs.report.figures.waterfall import waterfall

Draws = Callable[[Seen], Figure | Undrawn]
"""Makes a figure of a study, or says why there is none."""

FIGURES: Mapping[str, Draws] = MappingProxyType(
    {
        "finalists": finalists,
        "history": history,
        "curves": curves,
        "heat_map": heat_map,
        "front": front,
        "slices": slices,
        "parallel": parallel,
        "rungs": rungs,
        "importance": importance,
        "timeline": timeline,
        "ledger": ledger,
        "latency": latency,
        "waterfall": waterfall,
        "hypervolume": volume,
    }
)
"""The figures by name, in the order of a page."""


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
