"""A lease has one holder, in whatever order takers, holders and those that die send their requests."""

from __future__ import annotations

import json
import random
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from store_testing import Crash

from tune_jobs.errors import StoreError, StoreLockedError
from tune_jobs.store.files.lease import Lease, read_lease
from tune_jobs.store.files.objects import ObjectFiles
from tune_jobs.store.files.processes import describe_process

LEASE_S = 60.0
REQUESTS = ("ls", "cat_file", "pipe_file", "rm_file")


class Requests:
    """A file system that calls somebody before each request, and after it; keeps what was asked."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs
        self.asked: list[str] = []
        self.before: Callable[[str], object] = lambda name: None
        self.after: Callable[[str], object] = lambda name: None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._fs, name)
        if name not in REQUESTS:
            return method

        def request(path: str, *args: Any, **options: Any) -> Any:
            said = options.get("mode", name)
            self.before(said)
            self.asked.append(said)
            answer = method(path, *args, **options)
            self.after(said)
            return answer

        return request


class Clock:
    """Stands for the module `time`; each sleep and each call of `pass_s` takes no time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.during_sleep: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.during_sleep()

    def pass_s(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("tune_jobs.store.files.lease.time", made)
    return made


@pytest.fixture
def path() -> str:
    return f"/bucket/{secrets.token_hex(4)}/lock"


@pytest.fixture
def taken() -> Iterator[Callable[..., Lease]]:
    """Takes leases that end with the test."""
    leases: list[Lease] = []

    def take(path: str, fs: Any = None, **options: Any) -> Lease:
        known = {"subject": "study 's'", "holder": {"host": "h"}, "wait_s": 0.0, "lease_s": LEASE_S}
        leases.append(Lease(fs or Requests(MemoryFileSystem()), path, **{**known, **options}))
        return leases[-1]

    yield take
    for lease in leases:
        lease._ended.set()


def once(does: Callable[[], object], at: str) -> Callable[[str], None]:
    """Calls something at the first request of a kind."""
    waiting = [does]

    def call(name: str) -> None:
        if name == at and waiting:
            waiting.pop()()

    return call


class Actor(threading.Thread):
    """Somebody who takes a lease, works and releases it again and again, one request at a time."""

    def __init__(self, play: Play, name: str, turns: int) -> None:
        super().__init__(name=name, daemon=True)
        self._play, self._turns = play, turns
        self._may_go, self._waits = threading.Semaphore(0), threading.Semaphore(0)
        self.ended = self.dies = False

    def step(self) -> None:
        """Let it send a request, and wait until it wants to send the next or has ended."""
        self._may_go.release()
        self._waits.acquire()

    def begin(self) -> None:
        self.start()
        self._waits.acquire()

    def run(self) -> None:
        fs = Requests(MemoryFileSystem())
        fs.before = self._pause
        try:
            for _ in range(self._turns):
                with suppress(StoreLockedError):
                    self._hold_once(fs)
        except Crash:
            self._play.dead.add(self.name)
        finally:
            self.ended = True
            self._waits.release()

    def _hold_once(self, fs: Requests) -> None:
        lease = Lease(
            fs, self._play.path, subject="s", holder={"host": self.name}, wait_s=0.0, lease_s=LEASE_S
        )
        try:
            self._play.holders.append(self.name)
            self._play.most = max(self._play.most, len(self._play.holders))
            try:
                self._pause("work")
                lease.check()
            finally:
                self._play.holders.remove(self.name)
            lease.release()
        finally:
            lease._ended.set()

    def _pause(self, name: str) -> None:
        self._waits.release()
        self._may_go.acquire()
        if self.dies:
            raise Crash


class Play:
    """Actors around one lease, in an order that follows from a seed; `dead` names those that died."""

    def __init__(self, path: str, seed: int, dead: set[object]) -> None:
        self.path, self.dead = path, dead
        self.holders: list[str] = []
        self.most = 0
        self._chance = random.Random(seed)

    def run(self) -> None:
        actors = [Actor(self, name, turns=4) for name in "abc"]
        speeds = {actor.name: 10.0 ** self._chance.uniform(-2, 0) for actor in actors}
        for actor in actors:
            actor.begin()
        while living := [actor for actor in actors if not actor.ended]:
            (actor,) = self._chance.choices(living, [speeds[actor.name] for actor in living])
            actor.dies = self._chance.random() < 0.02
            actor.step()


def test_no_two_hold_it_in_any_order_of_their_requests(
    monkeypatch: pytest.MonkeyPatch, path: str, taken: Callable[..., Lease]
) -> None:
    monkeypatch.setattr("tune_jobs.store.files.lease.POLL_S", 0.0)
    dead: set[object] = set()
    monkeypatch.setattr("tune_jobs.store.files.lease.is_gone", lambda holder: holder["host"] in dead)
    monkeypatch.setattr("tune_jobs.store.files.lease.is_here", lambda holder: holder["host"] not in dead)
    num_held = 0
    for seed in range(300):
        dead.clear()
        play = Play(f"{path}/{seed}/lock", seed, dead)
        play.run()
        assert play.most <= 1, f"two held it with seed {seed}"
        num_held += play.most
        dead |= set("abc")
        taken(play.path)
        left = MemoryFileSystem().ls(f"{path}/{seed}", detail=False)
        assert len(left) == 1, left  # what the dead left is tidied
    assert num_held > 290


def test_a_generation_that_was_taken_and_tidied_since_it_was_listed_is_not_taken_again(
    path: str, taken: Callable[..., Lease]
) -> None:
    taken(path).release()
    later: list[Lease] = []

    def meanwhile() -> None:
        taken(path).release()
        later.append(taken(path))

    slow = Requests(MemoryFileSystem())
    slow.before = once(meanwhile, at="create")
    with pytest.raises(StoreLockedError):
        taken(path, slow)
    later[0].check()
    assert MemoryFileSystem().ls(path.rpartition("/")[0], detail=False) == [f"{path}-000003"]


def test_a_slow_taker_leaves_a_holder_alone_whose_beat_moved(
    clock: Clock, path: str, taken: Callable[..., Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("tune_jobs.store.files.processes._machine", lambda: "elsewhere")
        holder = taken(path)

    def sleep_long() -> None:
        clock.pass_s(LEASE_S / 2)
        holder._renew_once()
        clock.pass_s(2 * LEASE_S)

    clock.during_sleep = sleep_long
    with pytest.raises(StoreLockedError):
        taken(path)


def test_a_beat_that_comes_too_late_makes_nobody_certain_again(
    clock: Clock, path: str, taken: Callable[..., Lease]
) -> None:
    holder = taken(path)
    clock.pass_s(0.7 * LEASE_S)
    holder._renew_once()
    clock.pass_s(0.7 * LEASE_S)
    holder.check()
    holder._fs.after = once(lambda: clock.pass_s(0.3 * LEASE_S), at="pipe_file")
    holder._renew_once()
    with pytest.raises(StoreError, match="could not be renewed in time"):
        holder.check()


def test_a_taker_that_is_held_up_after_taking_is_not_certain(
    clock: Clock, path: str, taken: Callable[..., Lease]
) -> None:
    slow = Requests(MemoryFileSystem())
    slow.after = once(lambda: clock.pass_s(LEASE_S), at="create")
    holder = taken(path, slow)
    with pytest.raises(StoreError, match="could not be renewed in time"):
        holder.check()


def test_taking_counts_although_its_answer_was_lost_and_the_client_asked_again(
    path: str, taken: Callable[..., Lease]
) -> None:
    def refuse() -> None:
        raise FileExistsError(path)

    asked_twice = Requests(MemoryFileSystem())
    asked_twice.after = once(refuse, at="create")
    taken(path, asked_twice).check()


@pytest.mark.parametrize("left", ["a dead holder's lock", "a beat alone"])
def test_what_the_earlier_version_left_is_taken(left: str, path: str, taken: Callable[..., Lease]) -> None:
    fs = MemoryFileSystem()
    holder = {"host": "h", **describe_process(), "process_started": "1", "nonce": "0"}
    if left != "a beat alone":
        fs.pipe_file(f"{path}-000007", json.dumps(holder).encode())
    fs.pipe_file(f"{path}-000007.beat", b"0123")
    for _ in range(9):
        taken(path).release()
    holder_now = taken(path)
    holder_now.check()
    assert [name for name in fs.ls(path.rpartition("/")[0], detail=False) if name < f"{path}-000008"] == []


def test_requests_are_few(path: str, taken: Callable[..., Lease]) -> None:
    taken(path).release()
    first = Requests(MemoryFileSystem())
    lease = taken(path, first)
    assert first.asked == ["ls", "cat_file", "create", "ls", "rm_file"]
    first.asked.clear()
    lease._renew_once()
    assert first.asked == ["ls", "cat_file", "pipe_file"]
    first.asked.clear()
    lease.release()
    assert first.asked == ["pipe_file"]
    taken(path, first)
    assert first.asked[-2:] == ["rm_file", "rm_file"]  # its beat went too


def test_releasing_without_the_bucket_raises_nothing(path: str, taken: Callable[..., Lease]) -> None:
    class AwayError(Exception):
        """Of a client whose errors are no `OSError`."""

    def away(name: str) -> None:
        raise AwayError(name)

    lease = taken(path)
    lease._fs.before = away
    lease.release()
    assert lease._fs.asked[-1] != "pipe_file"


def test_a_write_that_outlasted_the_lease_is_not_acknowledged(clock: Clock) -> None:
    files = ObjectFiles(f"memory://bucket/{secrets.token_hex(4)}")
    lock = files.lock("lock", subject="study 's'", holder={"host": "h"})
    files.put("quick", b"x", scratch="")
    requests = Requests(files._fs)
    requests.after = once(lambda: clock.pass_s(LEASE_S), at="pipe_file")
    files._fs = requests
    with pytest.raises(StoreError, match="is lost"):
        files.put("slow", b"x", scratch="")
    lock.release()


def test_time_counts_while_the_machine_sleeps(
    clock: Clock, path: str, taken: Callable[..., Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept_s = 0.0
    monkeypatch.setattr(clock, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(clock, "clock_gettime", lambda which: clock.now + slept_s, raising=False)
    holder = taken(path)
    holder.check()
    slept_s = 2 * LEASE_S
    with pytest.raises(StoreError, match="could not be renewed in time"):
        holder.check()


@pytest.mark.parametrize(("silent_s", "lives"), [(0, True), (LEASE_S, True), (LEASE_S + 1, False)])
def test_a_holder_elsewhere_lives_for_a_lease_after_its_last_beat(
    path: str,
    taken: Callable[..., Lease],
    monkeypatch: pytest.MonkeyPatch,
    silent_s: float,
    lives: bool,
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("tune_jobs.store.files.processes._machine", lambda: "elsewhere")
        lease = taken(path)
    lease._renew_once()
    beat_at = MemoryFileSystem().modified(f"{path}-000001.beat")
    monkeypatch.setattr("tune_jobs.store.files.lease.utc_now", lambda: beat_at + timedelta(seconds=silent_s))
    hold = read_lease(MemoryFileSystem(), path, lease_s=LEASE_S)
    assert hold is not None
    assert (hold.lives, hold.holder["host"]) == (lives, "h")
    lease.release()
    assert read_lease(MemoryFileSystem(), path, lease_s=LEASE_S) is None


def test_looking_at_a_lease_only_reads(path: str, taken: Callable[..., Lease]) -> None:
    assert read_lease(MemoryFileSystem(), path) is None
    lease = taken(path)
    requests = Requests(MemoryFileSystem())
    hold = read_lease(requests, path)
    assert hold is not None
    assert hold.lives
    assert set(requests.asked) == {"ls", "cat_file"}
    lease.check()
