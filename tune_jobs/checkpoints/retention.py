"""Removes checkpoints that a study no longer needs; those of living trials and of the best trials stay.

The choice is a function of the history. The driver calls `Retention.tidy` now and then, and so the next
driver removes the files of a dead one. An unneeded file only takes room, so an error of the store is a
warning, and removal is tried again later. Foreign files stay.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Iterable

from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.search.history import History
from tune_jobs.search.pareto import standings
from tune_jobs.search.records import TrialRecord
from tune_jobs.store.files.real_folders import Removal
from tune_jobs.study.rows import State

LOG = logging.getLogger("tune_jobs.checkpoints.files")

AGAIN_AFTER_S = 30.0
"""Seconds between a failed try and the next, since each try may take seconds."""


def best_numbers(history: History, count: int) -> list[int]:
    """The numbers of the best completed trials, best first; on ties the earlier trial comes first.

    With several objectives they are spread over the front (`search.pareto.standings`).
    """
    if len(history.study.objectives) > 1:
        return _first_of_front(history, count)
    sign = history.study.objective.direction.sign

    def key(record: TrialRecord) -> tuple[float, int]:
        assert record.objective is not None
        return sign * record.objective, record.number

    scored = (r for r in history.trials.values() if r.state is State.COMPLETED and r.objective is not None)
    return [record.number for record in heapq.nsmallest(count, scored, key=key)]


def _first_of_front(history: History, count: int) -> list[int]:
    points = [record.point for record in history.front if record.point is not None]
    places = standings(points, history.study.objectives)
    ranked = sorted(zip(places, (record.number for record in history.front), strict=True))
    return [number for _, number in ranked[:count]]


class Retention:
    """Removes the checkpoints that a study no longer needs.

    Args:
        keep: the number of best trials whose final weights are kept.
        max_bytes: the most bytes of all files of the study. Beyond it, the weights of the worst of the best
            trials are removed too. Files of living trials count, and stay. None for no limit.
    """

    def __init__(self, checkpoints: Checkpoints, *, keep: int, max_bytes: int | None = None) -> None:
        self._checkpoints, self._keep, self._max_bytes = checkpoints, keep, max_bytes
        self._num_ended = -1
        self._again_at = 0.0
        self._reported: set[str] = set()

    def tidy(self, history: History, *, last: bool = False) -> None:
        """Remove the files of trials that ended and are not among the best.

        Args:
            last: whether this is the last try, which is then not postponed after a failure.
        """
        num_ended = sum(history.counts.values())
        if num_ended == self._num_ended or (not last and time.monotonic() < self._again_at):
            return
        try:
            failed = self._tidy(history).failed
        except OSError as error:
            failed = (str(error),)
        if not failed:
            self._num_ended = num_ended
            return
        self._again_at = time.monotonic() + AGAIN_AFTER_S
        for problem in failed:
            if problem not in self._reported:
                self._reported.add(problem)
                LOG.warning("unneeded checkpoints were not removed yet: %s", problem)

    def _tidy(self, history: History) -> Removal:
        best = best_numbers(history, self._keep)
        living = {record.number for record in history.unfinished()}
        kept = {*best, *living}
        done = self._checkpoints.remove(n for n in self._checkpoints.numbers() if n not in kept)
        for number in best:
            done += self._checkpoints.remove_living(number)
        if self._max_bytes is not None:
            done += self._shrink(best, living, self._max_bytes)
        return done

    def _shrink(self, best: list[int], living: Iterable[int], max_bytes: int) -> Removal:
        """Remove the files of the worst of the best trials, so that the others fit in `max_bytes`."""
        done = Removal()
        size = sum(map(self._checkpoints.num_bytes, living))
        for number in best:
            size += self._checkpoints.num_bytes(number)
            if size > max_bytes:
                done += self._checkpoints.remove([number])
        return done
