"""Which places of a cluster a run knows to be open, so that a trial may begin in each of them at once.

Ray Tune takes any number of trials that wait for a worker, and a trial proposed early knows fewer results. So
one is proposed for each open place, all at once, and beyond them a single one that hopes for room. Where only
one trial waits at a time, places are filled one after the other, each a process's start later. And as Tune
hands the worker of an ended trial to one that waits, if there is no new one, and ends the process that was
starting for it, trials shorter than such a start would hardly run side by side; and a process ended so early
costs more than its start: of the placement groups that are removed within 2 ms of being asked for, Ray 2.60
keeps the CPUs of one in fifty for good.
"""

from __future__ import annotations

from collections.abc import Callable


class Openings:
    """The open places and the trials that wait for a worker.

    Args:
        count_free: says how many trials could begin now in what nobody holds. Asked for only while no trial
            waits: what waits may hold its place already, or not yet.
    """

    def __init__(self, count_free: Callable[[], int]) -> None:
        self._count_free = count_free
        self._free = 0
        self._waiting: set[int] = set()
        self._hoping: int | None = None

    def may_begin(self) -> bool:
        """Whether another trial may be proposed now, as far as places go."""
        if not self._waiting and not self._free:
            self._free = self._count_free()
        return self._free > 0 or not self._waiting

    def begin(self, number: int) -> None:
        """A trial waits for its worker from now on."""
        if self._free:
            self._free -= 1
        else:
            self._hoping = number
        self._waiting.add(number)

    def take_start(self, number: int) -> None:
        """The trial has its worker."""
        self._forget(number)

    def take_end(self, number: int, *, worker_lives: bool) -> None:
        """The trial has ended; a worker that lives goes to the trial that hopes, else its place is open."""
        self._forget(number)
        if worker_lives:
            if self._hoping is None:
                self._free += 1
            self._hoping = None

    def _forget(self, number: int) -> None:
        self._waiting.discard(number)
        if self._hoping == number:
            self._hoping = None
