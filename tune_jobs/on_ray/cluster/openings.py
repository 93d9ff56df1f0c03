"""The open slots of a cluster: how many trials may be proposed now.

Ray Tune accepts any number of trials that wait for a worker. But a trial that is proposed early is proposed
with fewer results. So one trial is proposed per open slot, all at once, plus a single trial that waits for
room. Two things would go wrong with one waiting trial at a time:

* The slots would fill one after the other, each later by the start of a process.
* Tune gives the worker of an ended trial to a waiting trial, and kills the process that was starting for it.
  If trials are shorter than such a start, they would run one after the other. The kill also costs CPUs: of
  the placement groups that are removed within 2 ms of their request, Ray 2.60 keeps the CPUs of a few in a
  hundred for good (6 of 176 on one machine).

An open slot may vanish: another program takes it, its node leaves, or it was parts of several devices. Later
trials would overtake the trial that waits for this slot, because they get the workers of trials that end. So
after `PATIENCE_S` the waiting trial gets such a worker too.

A trial with a larger share waits alone, but not for ever. Once no trial of the run holds a worker, another
program must hold the missing part. The other trials then continue in the slots that are too small for it.

`tune_jobs.on_ray.bridge` calls this. Knows neither Ray nor the session.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LOG = logging.getLogger("tune_jobs.room")
PATIENCE_S = 60.0
"""Seconds that a trial waits for its slot before it gets an ended trial's worker: more than a process needs
to start, even where many start at once."""


class Openings:
    """The open slots and the trials that wait for a worker.

    Args:
        count_free: counts the trials that could begin now in free resources. Called only while no trial
            waits, because a waiting trial may or may not hold its slot already.
        clock: seconds that only grow.
    """

    def __init__(self, count_free: Callable[[], int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._count_free, self._clock = count_free, clock
        self._free = 0
        self._waiting: dict[int, float] = {}  # the instant at which each may get an ended trial's worker
        self._larger: int | None = None
        self._training: set[int] = set()  # trials that hold a worker
        self._stuck: set[int] = set()  # trials with a larger share that no trial of this run makes room for

    @property
    def num_stuck(self) -> int:
        """Trials that no trial of this run can make room for. They do not count as running."""
        return len(self._stuck)

    @property
    def is_settled(self) -> bool:
        """Whether no trial with a larger share waits or is stuck."""
        return self._larger is None and not self._stuck

    def may_begin(self) -> bool:
        """Whether the slots allow another proposal now."""
        if self._larger is not None:
            if self._training or self._clock() < self._waiting[self._larger]:
                return False
            LOG.warning(
                "trial %d waits for more of a GPU than is free, and no trial of this run is left whose end"
                " could free it; the other trials continue",
                self._larger,
            )
            self._stuck.add(self._larger)
            self._larger, self._free = None, 0
        waits = bool(self._waiting.keys() - self._stuck)
        if not waits and not self._free:
            self._free = self._count_free()
        return self._free > 0 or not waits

    def begin(self, number: int, *, larger: bool = False) -> None:
        """Note that a trial waits for its worker from now on.

        Args:
            larger: whether it takes more than the others. Then several trials must end before it has room. No
                other trial begins until then, because it would take that room.
        """
        has_slot = bool(self._free) or larger
        self._waiting[number] = self._clock() + (PATIENCE_S if has_slot else 0.0)
        self._free = max(0, self._free - 1)
        if larger:
            self._larger = number

    def take_start(self, number: int) -> None:
        """Note that the trial has its worker."""
        self._forget(number)
        self._training.add(number)

    def take_end(self, number: int, *, worker_lives: bool) -> None:
        """Note that the trial has ended. A living worker goes to the trial that is due, else a slot opens."""
        self._forget(number)
        self._training.discard(number)
        now = self._clock()
        if self._larger is not None:
            self._waiting[self._larger] = now + PATIENCE_S  # this end may have made room for it
        if worker_lives:
            due = min(self._waiting.keys() - self._stuck, key=self._waiting.__getitem__, default=None)
            if due is not None and self._waiting[due] <= now:
                self._waiting[due] = now + PATIENCE_S
            else:
                self._free += 1

    def _forget(self, number: int) -> None:
        self._waiting.pop(number, None)
        self._stuck.discard(number)
        if self._larger == number:
            self._larger = None
            self._free = 0  # it took several slots
