"""The share of a space's networks that the limits of a study admit, from networks drawn at random.

For people before a run: a small share means that most proposals will be refused. Decides nothing; `limits`
judges each proposal, and `together` refuses limits that admit nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.drawing import iter_drawn
from tune_jobs.feasible.limits import refusal
from tune_jobs.feasible.macs_share import resolve_recipe
from tune_jobs.feasible.together import NETWORK_LIMITS
from tune_jobs.study.definition import Study

NUM_DRAWN = 100
"""Points. The share of these has a standard error of at most 5 per cent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """Points that were drawn from a space, and those of them that the limits admit."""

    drawn: int
    admitted: int


def count_passing(study: Study, *, drawn: int = NUM_DRAWN) -> Passing | None:
    """The number of drawn points whose networks the limits admit; None without a limit that plans can judge.

    A limit on latency is left out: a worker measures it.
    """
    if all(getattr(study.limits, name) is None for name in NETWORK_LIMITS):
        return None
    points = iter_drawn(study, drawn, role="passing")
    costs = (count_cost(resolve_recipe(study, params, number)) for number, params in enumerate(points))
    return Passing(drawn=drawn, admitted=sum(refusal(study, cost) is None for cost in costs))
