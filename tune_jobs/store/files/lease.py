"""A lock in a bucket: a lease that its holder renews, with "create if absent" as the only primitive.

``KEY-000001``, ``KEY-000002``, ... are generations. Each is created only if it is absent, and the highest
existing generation holds the lock. Its holder rewrites ``KEY-NNNNNN.beat`` from a thread. Another process may
take the next generation in three cases: the holder released the lock; the holder was a process of the same
machine and has ended; or the beat has not changed for a whole lease by the taker's own clock. No two clocks
are compared.

Two processes never hold the lock at once, even if others list, create, release, tidy or die in between:

* A generation is removed only by the holder of a higher one, so the highest ever made always exists.
  Releasing overwrites it with a mark and removes nothing: numbers never start again.
* A taker lists, then creates. In between, the same number may have been taken, released and tidied, which
  "if absent" does not exclude. So the taker lists again. If there is a higher number, it holds nothing. If
  there is none, no process had made this number before, and the holder of the number below was dead.
* A dead holder stays dead. A holder that released the lock writes no more, nor does a process that has
  ended. A holder is certain for four fifths of a lease, counted from before the request of its last beat.
  Then it refuses to write, and a beat that arrives later does not make it certain again. A taker counts from
  after it first saw a beat until before the request that returned the same beat.

A process that dies between two steps leaves a generation, which ends by the same three cases. Lower
generations mean nothing, and the next taker removes them. Taking a free lock costs five or six requests
(list, read, create, list, and remove the generation below and its beat), releasing it one.

No lease can exclude that a request, sent while its holder was certain, arrives later. `objects` checks the
lease again after each answer, so it acknowledges nothing that a successor may have missed. Called by
`objects`.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.errors import StoreError, StoreLockedError
from tune_jobs.store.files.holders import Hold, describe_holder
from tune_jobs.store.files.processes import describe_process, is_gone, is_here
from tune_jobs.study.instants import utc_now
from tune_jobs.study.json_fields import parse_object

LEASE_S = 30.0
BEATS = 6
"""The number of beats in the seconds of a lease."""
CERTAIN = 0.8
"""The part of a lease for which its holder is certain that no other process took it."""
POLL_S = 0.1
BEAT = ".beat"
RELEASED = "released"
"""The key that is true in a lock's file after its holder released it."""


class Lease:
    """A held lock; creating the object takes the lock.

    Raises:
        StoreLockedError: another living process still holds it after `wait_s` seconds.
    """

    def __init__(
        self,
        fs: Any,
        path: str,
        *,
        subject: str,
        holder: Mapping[str, object],
        wait_s: float,
        lease_s: float = LEASE_S,
    ) -> None:
        self._fs, self._path, self._subject, self._lease_s = fs, path, subject, lease_s
        self._nonce = secrets.token_hex(8)
        self._files = LeaseFiles(fs=fs, path=path)
        self._lost: str | None = None
        self._ended = threading.Event()
        self._holder = {**holder, **describe_process(), "nonce": self._nonce}
        self._generation, self._renewed_at = self._acquire(_now() + wait_s)
        self._thread = threading.Thread(target=self._renew, name="tune-jobs-lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise an error unless this process certainly still holds the lock.

        Raises:
            StoreError: it does not hold it, or cannot be certain.
        """
        if self._ended.is_set():
            return
        if not self._is_certain():
            self._lost = self._lost or "it could not be renewed in time"
        if self._lost is not None:
            raise StoreError(
                f"the lock of {self._subject} is lost ({self._lost}), so this writer stops; every"
                " acknowledged row is safe: run the same command again"
            )

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join(timeout=self._lease_s)
        if self._lost is None:
            data = json.dumps({**self._holder, RELEASED: True}).encode()
            with suppress(Exception):  # a bucket may raise any error; the lease then ends by itself
                self._fs.pipe_file(self._files.lock_path(self._generation), data)

    def _acquire(self, deadline: float) -> tuple[int, float]:
        """The generation that this process took, and an instant before it did."""
        seen: tuple[int, bytes | None] | None = None
        seen_at = 0.0
        while True:
            asked_at = _now()
            newest = _newest(self._files.generations())
            holder = self._files.read_holder(newest) if newest else {RELEASED: True}
            if holder is None:  # tidied since it was listed, so there is a newer one
                time.sleep(POLL_S)
                continue
            now = (newest, None if _is_dead(holder) else self._files.read(self._files.beat_path(newest)))
            silent = seen == now and asked_at - seen_at > self._lease_s
            if _is_dead(holder) or silent:
                began = _now()
                if self._create(newest + 1):
                    return newest + 1, began
                continue
            alive = is_here(holder) or (seen is not None and seen != now)
            if alive and _now() >= deadline:
                raise StoreLockedError(
                    f"{self._subject} is being written by {describe_holder(holder)} (lock: {self._path}). A"
                    " study has one living writer: wait for it or end it, or write under another name with"
                    " --name"
                )
            if seen != now:
                seen, seen_at = now, _now()
            time.sleep(POLL_S)

    def _create(self, generation: int) -> bool:
        """Try to take a generation; returns whether this process holds it now."""
        data = json.dumps(self._holder).encode()
        try:
            self._fs.pipe_file(self._files.lock_path(generation), data, mode="create")
        except FileExistsError:
            if not self._is_mine(generation):  # if it is, the answer was lost and the client sent it again
                return False
        found = self._files.generations()
        if _newest(found) != generation:
            self._remove(self._files.lock_path(generation))
            return False
        for path, number in found.items():
            if number < generation:
                self._remove(path)
        return True

    def _remove(self, path: str) -> None:
        with suppress(Exception):  # a bucket may raise any error; this is only tidying
            self._fs.rm_file(path)

    def _renew(self) -> None:
        while not self._ended.wait(self._lease_s / BEATS) and self._lost is None:
            self._renew_once()

    def _renew_once(self) -> None:
        began = _now()
        try:
            if _newest(self._files.generations()) != self._generation or not self._is_mine(self._generation):
                self._lost = "another writer took it"
                return
            self._fs.pipe_file(self._files.beat_path(self._generation), secrets.token_hex(8).encode())
        except Exception:  # a bucket may raise any error; a beat is missed, and `check` counts the seconds
            return
        if self._is_certain():  # else another process may have found the lock silent before this beat
            self._renewed_at = began

    def _is_certain(self) -> bool:
        return _now() - self._renewed_at <= CERTAIN * self._lease_s

    def _is_mine(self, generation: int) -> bool:
        return (self._files.read_holder(generation) or {}).get("nonce") == self._nonce


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFiles:
    """The generations of a lock and their beats, as they stand in the bucket."""

    fs: Any
    path: str

    def generations(self) -> dict[str, int]:
        """The paths of all locks and beats, each with its generation."""
        folder, _, name = self.path.rpartition("/")
        try:
            paths = self.fs.ls(folder, detail=False, refresh=True)
        except FileNotFoundError:
            return {}
        ends = {path: path.rpartition("/")[2].removeprefix(f"{name}-").removesuffix(BEAT) for path in paths}
        return {path: int(end) for path, end in ends.items() if end.isdigit()}

    def read_holder(self, generation: int) -> Mapping[str, Any] | None:
        """Who made a generation; None if it is not there (any more)."""
        data = self.read(self.lock_path(generation))
        if data is None:
            return None
        try:
            return parse_object(data)
        except InvalidValueError:
            return {}

    def read(self, path: str) -> bytes | None:
        try:
            return bytes(self.fs.cat_file(path))
        except FileNotFoundError:
            return None

    def beat_at(self, generation: int) -> datetime | None:
        """The instant of a holder's last sign of life, by the bucket's clock; None if that is not known."""
        for path in (self.beat_path(generation), self.lock_path(generation)):
            with suppress(FileNotFoundError, NotImplementedError):
                found: datetime = self.fs.modified(path)
                return found if found.tzinfo else found.replace(tzinfo=UTC)
        return None

    def lock_path(self, generation: int) -> str:
        return f"{self.path}-{generation:06d}"

    def beat_path(self, generation: int) -> str:
        return f"{self.lock_path(generation)}{BEAT}"


def read_lease(fs: Any, path: str, *, lease_s: float = LEASE_S) -> Hold | None:
    """Who holds a lock, without taking it; None if it is free.

    A holder on another machine counts as living if its last beat is at most a lease old. That compares the
    bucket's clock with this machine's, so it serves only to tell people, and no taker relies on it.
    """
    files = LeaseFiles(fs=fs, path=path)
    while newest := _newest(files.generations()):
        holder = files.read_holder(newest)
        if holder is None:  # tidied since it was listed, so there is a newer one
            continue
        if holder.get(RELEASED):
            return None
        beat_at = None if is_here(holder) or is_gone(holder) else files.beat_at(newest)
        if beat_at is None:
            return Hold.of(holder)
        return Hold(holder=holder, lives=(utc_now() - beat_at).total_seconds() <= lease_s)
    return None


def _now() -> float:
    """Seconds that only grow; they include the time in which the machine sleeps, if the system counts it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _newest(found: Mapping[str, int]) -> int:
    """The highest generation; 0 if there is none."""
    return max((number for path, number in found.items() if not path.endswith(BEAT)), default=0)


def _is_dead(holder: Mapping[str, object]) -> bool:
    """Whether a holder released its lock, or was a process of this machine and has ended."""
    return bool(holder.get(RELEASED)) or is_gone(holder)
