"""What is said of refused networks: counts by limit, the nearest miss, the way out."""

from __future__ import annotations

import pytest

from tune_jobs.feasible.cost import NetworkCost
from tune_jobs.feasible.refusals import Refusals
from tune_jobs.study.method import Limits


def a_cost(macs: int, parameters: int) -> NetworkCost:
    return NetworkCost(macs=macs, parameters=parameters, activations=1, traffic_bytes=1)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        (
            [(300, 10), (210, 10), (90, 10)],
            "2 by max_macs 200, 1 by min_macs 100; the nearest miss has 210 MACs and 10 parameters;"
            " raise --max-macs, lower --min-macs, or widen the space",
        ),
        (
            [(300, 90), (80, 60), (150, 51)],
            "3 by max_parameters 50, 1 by max_macs 200, 1 by min_macs 100 (some by several); the"
            " nearest miss has 150 MACs and 51 parameters; raise --max-macs, raise --max-parameters, lower"
            " --min-macs, or widen the space",
        ),
        ([(1, 1)], "1 by min_macs 100; the nearest miss has 1 MAC and 1 parameter; lower --min-macs, or"),
    ],
)
def test_refusals_are_counted_by_limit_with_the_nearest_and_the_way_out(
    costs: list[tuple[int, int]], message: str
) -> None:
    refusals = Refusals(Limits(max_macs=200, min_macs=100, max_parameters=50))
    for cost in costs:
        refusals.add(a_cost(*cost))
    assert refusals.num_refused == len(costs)
    assert refusals.describe().startswith(message)
