"""A lock in a bucket: a lease that its holder renews, with "create if absent" as the only primitive.

``KEY-000001``, ``KEY-000002``, ... are generations; each is created only if it is absent, and the highest one
that is there holds. Its holder writes ``KEY-NNNNNN.beat`` again and again from a thread. Whoever wants the
lock takes the next generation if the holder was on this machine and its process is gone, or if the beat has
not changed for a whole lease, by the taker's own clock (no clocks are compared). A holder whose last beat is
older than four fifths of the lease, or that sees a higher generation, refuses to write: it may be suspended,
cut off or slow, but it never writes beside its successor.

Called by `objects`. Time is taken from the monotonic clock.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tune_jobs.errors import StoreError, StoreLockedError

LEASE_S = 30.0
BEATS = 6
"""Beats in a lease."""
POLL_S = 0.1


class Lease:
    """A held lock; it takes one when it is made.

    Raises:
        StoreLockedError: somebody else holds it after `wait_s`, and is alive.
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
        self._lost: str | None = None
        self._ended = threading.Event()
        self._holder = {**holder, **describe_process(), "nonce": self._nonce}
        self._generation = self._acquire(time.monotonic() + wait_s)
        self._renewed_at = time.monotonic()
        self._thread = threading.Thread(target=self._renew, name="tune-jobs-lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise unless this process still holds the lock for certain.

        Raises:
            StoreError: it does not, or cannot know.
        """
        if self._ended.is_set():
            return
        if time.monotonic() - self._renewed_at > 0.8 * self._lease_s:
            self._lost = self._lost or "it could not be renewed in time"
        if self._lost is not None:
            raise StoreError(
                f"the lock of {self._subject} is lost ({self._lost}), so this writer stops; every"
                " acknowledged row is safe: run the same command again"
            )

    def release(self) -> None:
        """Give it up; twice is fine."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join(timeout=self._lease_s)
        if self._lost is None:
            for path in (self._beat_path(self._generation), self._lock_path(self._generation)):
                with suppress(OSError):  # the lease ends by itself
                    self._fs.rm_file(path)

    def _acquire(self, deadline: float) -> int:
        seen: tuple[int, object] | None = None
        seen_at = time.monotonic()
        while True:
            newest = max(self._generations(), default=0)
            beat = self._read(self._beat_path(newest)) if newest else None
            holder = self._read(self._lock_path(newest)) if newest else None
            if holder is None or is_gone(holder) or time.monotonic() - seen_at > self._lease_s:
                if self._create(newest + 1):
                    return newest + 1
                continue
            now = (newest, beat)
            alive = is_here(holder) or (seen is not None and seen != now)
            if alive and time.monotonic() >= deadline:
                raise StoreLockedError(
                    f"{self._subject} is being written by {describe_holder(holder)} (lock: {self._path}). A"
                    " study has one living writer: wait for it or end it, or write under another name with"
                    " --name"
                )
            if seen != now:
                seen, seen_at = now, time.monotonic()
            time.sleep(POLL_S)

    def _create(self, generation: int) -> bool:
        data = json.dumps(self._holder).encode()
        try:
            self._fs.pipe_file(self._lock_path(generation), data, mode="create")
        except FileExistsError:
            return False
        self._fs.pipe_file(self._beat_path(generation), secrets.token_hex(8).encode())
        for older in self._generations():
            if older < generation:
                for path in (self._beat_path(older), self._lock_path(older)):
                    with suppress(OSError):  # only tidying; the highest generation holds
                        self._fs.rm_file(path)
        return True

    def _renew(self) -> None:
        while not self._ended.wait(self._lease_s / BEATS) and self._lost is None:
            self._renew_once()

    def _renew_once(self) -> None:
        began = time.monotonic()
        try:
            if max(self._generations(), default=0) != self._generation or not self._is_mine():
                self._lost = "another writer took it"
                return
            self._fs.pipe_file(self._beat_path(self._generation), secrets.token_hex(8).encode())
        except Exception:  # whatever the bucket raises is a beat missed; `check` says when it is too late
            return
        self._renewed_at = began

    def _is_mine(self) -> bool:
        return (self._read(self._lock_path(self._generation)) or {}).get("nonce") == self._nonce

    def _generations(self) -> list[int]:
        folder, _, name = self._path.rpartition("/")
        try:
            paths = self._fs.ls(folder, detail=False, refresh=True)
        except FileNotFoundError:
            return []
        ends = (path.rpartition("/")[2].removeprefix(f"{name}-") for path in paths)
        return [int(end) for end in ends if end.isdigit()]

    def _read(self, path: str) -> Any:
        try:
            data = self._fs.cat_file(path)
        except FileNotFoundError:
            return None
        try:
            return json.loads(data)
        except ValueError:
            return data

    def _lock_path(self, generation: int) -> str:
        return f"{self._path}-{generation:06d}"

    def _beat_path(self, generation: int) -> str:
        return f"{self._lock_path(generation)}.beat"


def describe_process() -> dict[str, object]:
    """Which process this is, on which machine; enough to tell later whether it lives."""
    return {"machine": _machine(), "pid": os.getpid(), "process_started": _started(os.getpid())}


def is_here(holder: Mapping[str, object]) -> bool:
    """Whether a holder is a living process of this machine."""
    return holder.get("machine") == _machine() and not is_gone(holder)


def is_gone(holder: Mapping[str, object]) -> bool:
    """Whether a holder was a process of this machine and is no more; False if that cannot be told."""
    if holder.get("machine") != _machine():
        return False
    pid = holder.get("pid")
    return not isinstance(pid, int) or _started(pid) != holder.get("process_started")


def describe_holder(holder: Mapping[str, object]) -> str:
    """Who holds a lock, in words."""
    job = f" (job {holder['job']})" if holder.get("job") else ""
    return f"process {holder.get('pid')} on {holder.get('host')}{job} since {holder.get('since')}"


def _machine() -> str:
    """This machine since it was started, and its table of processes (containers have their own)."""
    boot, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts += [boot.read_text().strip(), os.readlink(processes)]
    return "|".join(parts)


def _started(pid: int) -> str | None:
    """When a process started, in the kernel's own count; None if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except OSError:
            return "alive"
        return "alive"
    return None if fields[0] in "ZX" else fields[19]
