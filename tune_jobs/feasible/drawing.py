"""Points of a space, drawn uniformly and without a sampler: the same points for the same study.

They show what a space holds before a search begins. No trial is proposed from them; `tune_jobs.search` does
that. Called by `together` and `largest`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from eml_models import seeds
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter, Params, Value


def iter_drawn(study: Study, count: int, *, role: str) -> Iterator[Params]:
    """Draw `count` points of the study's space.

    Args:
        role: the use of the points, for instance ``"limits"``; each role has a seed of its own.
    """
    generator = random.Random(seeds.derive(study.seed, -1, role))
    for _ in range(count):
        params: Params = {}
        for parameter in study.space.parameters:
            if parameter.when is None or parameter.when.holds(params):
                params[parameter.name] = _draw(parameter, generator)
        yield params


def _draw(parameter: Parameter, generator: random.Random) -> Value:
    """A value of the parameter: each value of a grid is equally likely, unless the scale is logarithmic."""
    if isinstance(parameter, Constant | Choice):
        return generator.choice(parameter.grid())
    if parameter.log:
        return _draw_log(parameter, generator)
    if isinstance(parameter, Integer):
        return generator.randrange(
            parameter.low, parameter.high + 1, parameter.step
        )  # may be too long for len
    grid = parameter.grid()
    return generator.uniform(parameter.low, parameter.high) if grid is None else generator.choice(grid)


def _draw_log(parameter: Float | Integer, generator: random.Random) -> Value:
    """A value on a logarithmic scale; a whole number stands for all numbers that round to it."""
    half = 0.5 if isinstance(parameter, Integer) else 0.0
    drawn = math.exp(generator.uniform(math.log(parameter.low - half), math.log(parameter.high + half)))
    within = min(max(drawn, parameter.low), parameter.high)
    return round(within) if isinstance(parameter, Integer) else within
