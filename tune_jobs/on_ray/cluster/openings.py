"""Which places of a cluster a run knows to be open, so that a trial may begin in each of them at once.

Ray Tune takes any number of trials that wait for a worker, and a trial proposed early knows fewer results. So
one is proposed for each open place, all at once, and beyond them a single one that hopes for room. Where only
one trial waits at a time, places are filled one after the other, each a process's start later. And as Tune
hands the worker of an ended trial to one that waits, if there is no new one, and ends the process that was
starting for it, trials shorter than such a start would hardly run side by side; and a process ended so early
costs more than its start: of the placement groups that are removed within 2 ms of being asked for, Ray 2.60
keeps the CPUs of a few in a hundred for good (6 of 176 on one machine).

A place that was open may be gone: somebody else took it, its node left, or it was pieces of several devices.
The trial that waits for it would be passed by all that begin later in the workers of trials that end, up to
the end of the study. So after some time it gets such a worker too.

A trial that takes more than the others waits alone, but not for ever: once none of the run's trials is left
to end, what it lacks is somebody else's, and the others go on in the places that are too small for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LOG = logging.getLogger("tune_jobs.room")
PATIENCE_S = 60.0
"""How long a trial waits for its place before it gets an ended trial's worker: more than a process needs to
start, also where many start at once."""


class Openings:
    """The open places and the trials that wait for a worker.

    Args:
        count_free: says how many trials could begin now in what nobody holds. Asked for only while no trial
            waits: what waits may hold its place already, or not yet.
        clock: seconds that only grow.
    """

    def __init__(self, count_free: Callable[[], int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._count_free, self._clock = count_free, clock
        self._free = 0
        self._waiting: dict[int, float] = {}  # from when on each is due to get an ended trial's worker
        self._larger: int | None = None
        self._held: set[int] = set()  # by workers
        self._in_vain: set[int] = set()  # larger ones that nothing of this run makes room for

    @property
    def num_in_vain(self) -> int:
        """Trials that wait in vain: they take nobody's place."""
        return len(self._in_vain)

    def may_begin(self) -> bool:
        """Whether another trial may be proposed now, as far as places go."""
        if self._larger is not None:
            if self._held or self._clock() < self._waiting[self._larger]:
                return False
            LOG.warning(
                "trial %d waits for more of a GPU than is free, and none is left to end; the others go on",
                self._larger,
            )
            self._in_vain.add(self._larger)
            self._larger, self._free = None, 0
        waits = bool(self._waiting.keys() - self._in_vain)
        if not waits and not self._free:
            self._free = self._count_free()
        return self._free > 0 or not waits

    def begin(self, number: int, *, larger: bool = False) -> None:
        """A trial waits for its worker from now on.

        Args:
            larger: whether it takes more than the others. Several of them have to end before it has room, and
                what begins meanwhile would take that from it, so nothing does.
        """
        hopes = not self._free and not larger
        self._waiting[number] = self._clock() + (0.0 if hopes else PATIENCE_S)
        self._free = max(0, self._free - 1)
        if larger:
            self._larger = number

    def take_start(self, number: int) -> None:
        """The trial has its worker."""
        self._forget(number)
        self._held.add(number)

    def take_end(self, number: int, *, worker_lives: bool) -> None:
        """The trial has ended; a worker that lives goes to the trial that is due, else its place is open."""
        self._forget(number)
        self._held.discard(number)
        now = self._clock()
        if self._larger is not None:
            self._waiting[self._larger] = now + PATIENCE_S  # for what this end makes room for
        if worker_lives:
            due = min(self._waiting.keys() - self._in_vain, key=self._waiting.__getitem__, default=None)
            if due is not None and self._waiting[due] <= now:
                self._waiting[due] = now + PATIENCE_S
            else:
                self._free += 1

    def _forget(self, number: int) -> None:
        self._waiting.pop(number, None)
        self._in_vain.discard(number)
        if self._larger == number:
            self._larger = None
            self._free = 0  # it took several of them
