"""Limits of a study taken together: whether any network is within all of them.

Two limits can exclude each other although the space can meet each on its own: the minimum of MACs may need
more parameters than are allowed. Plans show it, so no worker is needed. Called by `tune_jobs.feasible.reach`,
which judges each limit on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from eml_models.errors import InvalidValueError
from eml_models.wording import count_of
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.drawing import iter_drawn
from tune_jobs.feasible.limits import refusal
from tune_jobs.feasible.macs_share import resolve_recipe
from tune_jobs.feasible.refusals import Refusals
from tune_jobs.study.bindings import MACS_SHARE, RECIPE_FIELDS
from tune_jobs.study.candidate import CANDIDATE
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Parameter
from tune_jobs.study.space import Space

NETWORK_LIMITS = ("max_macs", "min_macs", "max_parameters")

MOST_NETWORKS = 2000
"""A space of at most this many networks is looked at whole, in about a second."""

NUM_DRAWN = 100
"""Networks drawn from a larger space. If 1 network in 25 is within the limits, all drawn ones miss them in 1
of 59 cases."""


def check_together(study: Study) -> list[str]:
    """A note if none of many networks drawn at random is within all limits.

    Raises:
        InvalidValueError: the space has few networks, and every one is refused.
    """
    if sum(getattr(study.limits, name) is not None for name in NETWORK_LIMITS) < 2:
        return []
    shaping = study.with_changes(space=Space(*_shaping(study.space)))
    finite = all(parameter.grid() is not None for parameter in shaping.space.parameters)
    points = list(islice(shaping.space.iter_grid(), MOST_NETWORKS + 1)) if finite else []
    is_whole = finite and len(points) <= MOST_NETWORKS
    refusals = Refusals(study.limits)
    for params in points if is_whole else iter_drawn(shaping, NUM_DRAWN, role="limits"):
        cost = count_cost(resolve_recipe(shaping, params, 0))
        if refusal(study, cost) is None:
            return []
        refusals.add(cost)
    if is_whole:
        raise InvalidValueError(
            f"no network of study {study.name!r} is within all of its limits; its"
            f" {count_of(refusals.num_refused, 'network')} were refused: {refusals.describe()}"
        )
    return [
        f"none of {refusals.num_refused:,} networks drawn at random is within the limits; they were"
        f" refused: {refusals.describe()}"
    ]


def _shaping(space: Space) -> Iterator[Parameter]:
    """The parameters that shape a network, and the parameters that decide which of these apply."""
    parents = {p.when.parameter for p in space.parameters if p.when is not None}
    for parameter in space.parameters:
        name = parameter.name
        if name in {"model", "dataset", MACS_SHARE, CANDIDATE} | parents or name not in RECIPE_FIELDS:
            yield parameter
