"""Refused networks in words: counts by limit, the nearest miss, and the way out.

Refuses nothing itself. Called where no network passed: by `together` before a search, by the session during
it.
"""

from __future__ import annotations

from collections import Counter

from eml_models.wording import count_of
from tune_jobs.errors import RunFailedError
from tune_jobs.feasible.limits import broken_limits
from tune_jobs.feasible.own_cost import OwnCost, TrialCost
from tune_jobs.study.method import Limits


class Refusals:
    """A tally of refused networks.

    Attributes:
        num_refused: the number of networks that were added.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_limit: Counter[str] = Counter()
        self._nearest: tuple[float, TrialCost] | None = None
        self.num_refused = 0

    def add(self, cost: TrialCost) -> None:
        """Count a network that breaks at least one limit."""
        broken = broken_limits(self._limits, cost)
        self.num_refused += 1
        self._by_limit.update(b.limit for b in broken)
        excess = sum(b.excess for b in broken)
        if self._nearest is None or excess < self._nearest[0]:
            self._nearest = excess, cost

    def describe(self) -> str:
        """The number of networks that each limit refused, the nearest miss, and the limits to move.

        Needs at least one refused network.
        """
        assert self._nearest is not None
        cost = self._nearest[1]
        counts = [
            f"{count:,} by {limit} {self._limits.bound(limit):,}"
            for limit, count in self._by_limit.most_common()
        ]
        several = " (some by several)" if self._by_limit.total() > self.num_refused else ""
        moves = [
            f"{'raise' if limit.startswith('max') else 'lower'} --{limit.replace('_', '-')}"
            for limit in self._by_limit
        ]
        if isinstance(cost, OwnCost):
            nearest = ", ".join(f"{name} {value:,}" for name, value in sorted(cost.values.items()))
            return (
                f"{', '.join(counts)}{several}; the nearest miss has {nearest}; widen the limits or the space"
            )
        return (
            f"{', '.join(counts)}{several}; the nearest miss has {count_of(cost.macs, 'MAC')} and"
            f" {count_of(cost.parameters, 'parameter')}; {', '.join(moves)}, or widen the space"
        )


def all_too_slow(count: int, last_reason: str) -> RunFailedError:
    """The error that ends a search after `count` networks in a row that were too slow."""
    return RunFailedError(
        f"{count} networks in a row were too slow (the last: {last_reason}); raise --max-latency-ms, or"
        " lower --max-macs"
    )
