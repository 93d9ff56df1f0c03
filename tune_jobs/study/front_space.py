"""Space of a search for a front: where a cost is an objective, small shares of the limit on MACs count too.

A pure function. `Study.with_changes` applies it as objectives change, and shipped fronts are made so. A study
that names its objectives itself keeps the bounds of its own space.
"""

from __future__ import annotations

from collections.abc import Sequence

from tune_jobs.study.bindings import MACS_SHARE
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Float
from tune_jobs.study.space import Space

SPREAD_SHARE = 0.05
"""The least share of a limit to search where the cost itself is an objective."""


def spread_share(space: Space, objectives: Sequence[Objective]) -> Space:
    """The space; where a cost is an objective, `macs_share` starts at `SPREAD_SHARE`, on a logarithmic scale.

    A front needs networks of every cost, and large shares alone lead to networks near the limit.
    """
    if not any(objective.is_cost for objective in objectives):
        return space
    return Space(
        *(
            Float(p.name, SPREAD_SHARE, p.high, log=True, when=p.when)
            if isinstance(p, Float) and p.name == MACS_SHARE and SPREAD_SHARE < p.low < p.high
            else p
            for p in space.parameters
        )
    )


def least_share(space: Space) -> float | None:
    """The least share that a space searches; None where it searches none."""
    return next((p.low for p in space.parameters if isinstance(p, Float) and p.name == MACS_SHARE), None)
