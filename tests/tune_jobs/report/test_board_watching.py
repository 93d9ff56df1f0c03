"""When a store is looked at and read: once for all viewers, at a pace, and again after a fault."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import pytest

from eml_models.errors import UnknownNameError
from tune_jobs.errors import StoreError, TuneJobsError
from tune_jobs.report.board.moment import Moment
from tune_jobs.report.board.watching import AGAIN_S, WANTED_S, Watched, Worker


class Played:
    """A source whose stamp and faults a test sets; each reading takes seconds of a clock."""

    look_s = 2.0

    def __init__(self, *, read_s: float = 0.0) -> None:
        self.now, self.read_s = 100.0, read_s
        self.at: Hashable = 1
        self.problems: tuple[str, ...] = ()
        self.fault: Exception | None = None
        self.num_looks = self.num_reads = self.num_made = self.num_forgotten = 0
        self.may_read = threading.Event()
        self.may_read.set()

    def clock(self) -> float:
        return self.now

    def stamp(self) -> Hashable:
        self.num_looks += 1
        if self.fault is not None:
            raise self.fault
        return self.at

    def read(self, stamp: Hashable, earlier: Moment[Any] | None) -> Moment[Any]:
        self.may_read.wait(60)
        self.num_reads += 1
        self.now += self.read_s
        builders = {"a": lambda: self._make(stamp)}
        return Moment(stamp=stamp, subject=None, status=str(stamp), builders=builders, problems=self.problems)

    def forget(self) -> None:
        self.num_forgotten += 1

    def _make(self, stamp: Hashable) -> str:
        self.num_made += 1
        return f"<p>{stamp}</p>"


def watch(source: Played, talk: Callable[[Watched[None]], Awaitable[None]]) -> None:
    async def run() -> None:
        worker = Worker()
        try:
            await talk(Watched(source, worker, clock=source.clock))
        finally:
            worker.close()

    asyncio.run(run())


async def settled(watched: Watched[None]) -> None:
    """Look, and wait for the reading that the look begins."""
    await watched.look()
    while watched._reading is not None:
        await asyncio.sleep(0.001)


def test_many_viewers_share_a_look_a_reading_and_a_part() -> None:
    source = Played()

    async def talk(watched: Watched[None]) -> None:
        parts = await asyncio.gather(*(watched.part("a") for _ in range(20)))
        assert {part.text for part in parts} == {"<p>1</p>"}

    watch(source, talk)
    assert (source.num_looks, source.num_reads, source.num_made) == (1, 1, 1)


def test_nothing_is_read_while_the_store_rests_and_looks_are_rare() -> None:
    source = Played()

    async def talk(watched: Watched[None]) -> None:
        await watched.newest()
        version = watched.version
        for _ in range(10):
            source.now += 1.0
            await settled(watched)
        assert watched.version == version

    watch(source, talk)
    assert (source.num_looks, source.num_reads) == (6, 1)


def test_change_is_read_and_viewers_keep_the_earlier_reading_meanwhile() -> None:
    source = Played()

    async def talk(watched: Watched[None]) -> None:
        first = await watched.part("a")
        version = watched.version
        source.at = 2
        source.now += 3.0
        source.may_read.clear()
        await watched.look()
        assert (await watched.newest()).status == "1"
        assert await watched.part("a") == first
        source.may_read.set()
        await settled(watched)
        assert watched.version != version
        assert (await watched.part("a")).text == "<p>2</p>"

    watch(source, talk)


def test_readings_take_at_most_a_fifth_of_a_core() -> None:
    source = Played(read_s=10.0)
    reads: list[float] = []

    async def talk(watched: Watched[None]) -> None:
        for _ in range(100):
            source.at = source.now
            source.now += 2.0
            before = source.num_reads
            await settled(watched)
            if source.num_reads > before:
                reads.append(source.now - 10.0)

    watch(source, talk)
    gaps = [later - earlier for earlier, later in itertools.pairwise(reads)]
    assert len(gaps) >= 3
    assert all(50.0 <= gap <= 54.0 for gap in gaps)


def test_fault_is_kept_beside_the_reading_and_goes_when_the_store_returns() -> None:
    source = Played()

    async def talk(watched: Watched[None]) -> None:
        await watched.newest()
        versions = [watched.version]
        source.fault = StoreError("the disk is away")
        for _ in range(3):
            source.now += 3.0
            await settled(watched)
        assert str(watched.problem) == "the disk is away"
        assert (await watched.newest()).status == "1"
        versions.append(watched.version)
        source.fault = None
        source.now += 3.0
        await settled(watched)
        assert watched.problem is None
        versions.append(watched.version)
        assert len(set(versions)) == 3

    watch(source, talk)
    assert source.num_forgotten == 3


def test_fault_before_the_first_reading_is_raised() -> None:
    source = Played()
    source.fault = StoreError("the disk is away")

    async def talk(watched: Watched[None]) -> None:
        with pytest.raises(StoreError, match="the disk is away"):
            await watched.part("a")
        source.fault = None
        source.now += 3.0
        assert (await watched.part("a")).text == "<p>1</p>"

    watch(source, talk)


def test_fault_of_the_program_is_shown_in_words_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    source = Played()
    source.fault = ZeroDivisionError("no")

    async def talk(watched: Watched[None]) -> None:
        with pytest.raises(TuneJobsError, match="the board met a fault: ZeroDivisionError: no"):
            await watched.newest()

    watch(source, talk)
    assert "the board met a fault" in caplog.text


def test_reading_that_left_files_out_is_done_again_though_no_file_changes() -> None:
    source = Played()
    source.problems, source.look_s = ("a file cannot be read",), 0.5

    async def talk(watched: Watched[None]) -> None:
        await settled(watched)
        for after_s, num_reads in ((AGAIN_S - 1, 1), (1, 2), (AGAIN_S - 1, 2)):
            source.now += after_s
            await settled(watched)
            assert source.num_reads == num_reads
        source.now, source.problems = source.now + 1, ()
        await settled(watched)
        source.now += 10 * AGAIN_S
        await settled(watched)
        assert source.num_reads == 3

    watch(source, talk)


def test_source_is_wanted_while_pages_ask_and_something_is_shown() -> None:
    source = Played()

    async def talk(watched: Watched[None]) -> None:
        assert not watched.is_wanted
        await settled(watched)
        source.now += WANTED_S - 1
        assert watched.is_wanted
        source.now += 1
        assert not watched.is_wanted
        source.fault = StoreError("away")
        await settled(watched)
        assert watched.is_wanted  # what was read before is still shown
        watched.moment = None
        assert not watched.is_wanted

    watch(source, talk)


def test_unknown_part_is_refused() -> None:
    async def talk(watched: Watched[None]) -> None:
        with pytest.raises(UnknownNameError, match="unknown part 'b'; known: a"):
            await watched.part("b")

    watch(Played(), talk)


def test_worker_is_busy_while_a_thread_reads() -> None:
    async def run() -> None:
        worker, may_end = Worker(), threading.Event()
        job = asyncio.create_task(worker.work(lambda: may_end.wait(60)))
        while not worker.is_busy:
            await asyncio.sleep(0.001)
        worker.close()
        assert worker.is_busy
        may_end.set()
        assert await job
        assert not worker.is_busy

    asyncio.run(run())


def test_worker_is_busy_also_when_who_waits_for_it_was_cancelled() -> None:
    async def run() -> None:
        worker, may_end = Worker(), threading.Event()
        job = asyncio.create_task(worker.work(lambda: may_end.wait(60)))
        while not worker._long._work_queue.empty() or not worker.is_busy:
            await asyncio.sleep(0.001)
        job.cancel()
        await asyncio.wait({job})
        worker.close()
        assert worker.is_busy
        may_end.set()
        while worker.is_busy:
            await asyncio.sleep(0.001)

    asyncio.run(run())
