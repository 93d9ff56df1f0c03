"""Decides when a store is looked at and read again: a single reading, whatever the number of viewers.

A look is cheap. It happens when a viewer asks, at most every `look_s` seconds. If the stamp has changed, the
rows are read in the worker's thread, while viewers keep the earlier reading. Readings and figures take at
most a part of a core (`PACE`), and without viewers nothing is read. If a store cannot be read, the reason is
kept beside the last reading, and the store is tried again at each look. If a reading left files out, it is
done again from time to time, since what cannot be read now may be readable later.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, TypeVar

from eml_models.errors import EmlError
from tune_jobs.errors import TuneJobsError
from tune_jobs.report.board.moment import Moment, Part
from tune_jobs.report.board.sources import Source

Subject = TypeVar("Subject")
T = TypeVar("T")

PACE = 5.0
"""After a reading and figures that took s seconds, the next reading begins `PACE` x s seconds after the last
began. So a board takes at most a fifth of a core for them."""

NUM_LOOKING = 4
"""Threads for what is short: looks at stores, ends of logs."""

WAIT_S = 2.0
"""Seconds for which an answer waits for a look; a bucket may take longer."""

WANTED_S = 60.0
"""Seconds for which a source counts as watched after a viewer asked. A page in view asks every 2 s, and every
30 s while no answer comes."""

AGAIN_S = 20.0
"""Least seconds between two readings of the same files, if the first left some of them out."""

logger = logging.getLogger(__name__)


class Worker:
    """The threads of a board: one for readings and figures, some for what is short.

    They are its own, since a thread that waits for a bucket must not hold up the end of the program.
    """

    def __init__(self) -> None:
        self._long = ThreadPoolExecutor(1, thread_name_prefix="board-worker")
        self._short = ThreadPoolExecutor(NUM_LOOKING, thread_name_prefix="board-looks")
        self._running: set[Future[Any]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a thread is at work."""
        return any(not future.done() for future in tuple(self._running))

    async def work(self, job: Callable[[], T]) -> T:
        """The result of a long job; jobs are done one after the other."""
        return await self._run(self._long, job)

    async def look(self, job: Callable[[], T]) -> T:
        """The result of a short job."""
        return await self._run(self._short, job)

    def close(self) -> None:
        """Begin no further job."""
        for pool in (self._long, self._short):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, pool: ThreadPoolExecutor, job: Callable[[], T]) -> T:
        future = pool.submit(job)
        self._running.add(future)
        future.add_done_callback(self._running.discard)  # a cancelled waiter does not end the thread
        return await asyncio.wrap_future(future)


class Watched(Generic[Subject]):
    """A source with its newest reading.

    Attributes:
        moment: the newest reading; None before the first.
        problem: why the store could not be read at the last try; None if it could.
    """

    def __init__(
        self,
        source: Source,
        worker: Worker,
        *,
        pace: float = PACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self.moment: Moment[Subject] | None = None
        self.problem: EmlError | None = None
        self._worker, self._pace, self._clock = worker, pace, clock
        self._begin, self._count = os.urandom(4).hex(), 0
        self._asked_at = self._looked_at = self._read_at = -float("inf")
        self._spent_s = 0.0
        self._is_stale = True
        self._looking: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def version(self) -> str:
        """A text that changes with each reading and each problem; no other board has it.

        It ends with ``-0`` before the first."""
        return f"{self._begin}-{self._count}"

    @property
    def is_wanted(self) -> bool:
        """Whether a page that shows something is open: its rows must stay in memory, else each question of
        the page would read them anew."""
        is_asked = self._clock() - self._asked_at < WANTED_S
        return is_asked and (self.moment is not None or self.problem is None)

    async def look(self, *, wait_s: float | None = None) -> None:
        """Look whether there is something new, if the last look is old enough, and begin to read it.

        Waits for no reading.

        Args:
            wait_s: seconds to wait for the look, which continues; None for its end.
        """
        self._asked_at = self._clock()
        if self._looking is None and self._clock() - self._looked_at >= self.source.look_s:
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=wait_s)

    async def newest(self) -> Moment[Subject]:
        """The newest reading; if there is none yet, the first as soon as there is one.

        Raises:
            EmlError: nothing could be read yet.
        """
        await self.look(wait_s=None if self.moment is None else WAIT_S)
        if self.moment is None and self._reading is not None:
            await asyncio.wait({self._reading})
        if self.moment is None:
            raise self.problem or TuneJobsError("nothing was read yet; load the page again")
        return self.moment

    async def part(self, name: str) -> Part:
        """A part of the newest reading.

        Raises:
            UnknownNameError: there is no such part.
            EmlError: nothing could be read yet.
        """
        moment = await self.newest()
        made = moment.parts.get(name)
        return made if made is not None else await self._worker.work(partial(self._make, name))

    def _make(self, name: str) -> Part:
        """The part, of the reading that is the newest when the worker comes to it."""
        assert self.moment is not None
        return self._timed(partial(self.moment.part, name))

    async def _look(self) -> None:
        try:
            stamp = await self._worker.look(self.source.stamp)
        except Exception as error:  # also a fault of ours: the page shows it, and the board stays
            self._fail(error)
            return
        finally:
            self._looked_at, self._looking = self._clock(), None
        wait_s = self._pace * self._spent_s
        if self.moment is not None and stamp == self.moment.stamp and not self._is_stale:
            if not self.moment.problems:
                return
            wait_s = max(wait_s, AGAIN_S)
        if self._reading is None and self._clock() >= self._read_at + wait_s:
            self._reading = asyncio.create_task(self._read(stamp))

    async def _read(self, stamp: Any) -> None:
        self._read_at, self._spent_s = self._clock(), 0.0
        read = partial(self.source.read, stamp, self.moment)
        try:
            moment = await self._worker.work(partial(self._timed, read))
        except Exception as error:  # as above
            self._fail(error)
        else:
            self.moment, self.problem, self._is_stale = moment, None, False
            self._count += 1
        finally:
            self._reading = None

    def _timed(self, job: Callable[[], T]) -> T:
        began = self._clock()
        try:
            return job()
        finally:
            self._spent_s += self._clock() - began

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, EmlError):
            logger.warning("the board met a fault", exc_info=error)
            error = TuneJobsError(f"the board met a fault: {type(error).__name__}: {error}")
        self.source.forget()
        self._is_stale = True
        if str(error) != str(self.problem):
            self.problem = error
            self._count += 1
