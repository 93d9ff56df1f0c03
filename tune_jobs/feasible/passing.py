"""The share of a space that the limits of a study admit, from points drawn at random.

For people before a run: a small share means that most proposals will be refused. Decides nothing; `limits`
judges each proposal, and `together` refuses limits that admit nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tune_jobs.feasible.drawing import iter_drawn
from tune_jobs.feasible.limits import refusal
from tune_jobs.feasible.own_cost import cost_of_trial, recipe_of_trial
from tune_jobs.study.definition import Study

LATENCY_LIMIT = "max_latency_ms"

NUM_DRAWN = 100
"""Points. The share of these has a standard error of at most 5 per cent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """Points that were drawn from a space, and those of them that the limits admit."""

    drawn: int
    admitted: int


def count_passing(study: Study, *, drawn: int = NUM_DRAWN) -> Passing | None:
    """The number of drawn points that the limits admit; None without a limit that is known before training.

    A limit on latency is left out: a worker measures it.

    Raises:
        InvalidValueError: the cost function of own training fails for a point.
    """
    if not study.limits.bounds().keys() - {LATENCY_LIMIT}:
        return None
    points = iter_drawn(study, drawn, role="passing")
    recipes = (recipe_of_trial(study, params, number) for number, params in enumerate(points))
    costs = (cost_of_trial(study, recipe) for recipe in recipes)
    return Passing(drawn=drawn, admitted=sum(refusal(study, cost) is None for cost in costs))
