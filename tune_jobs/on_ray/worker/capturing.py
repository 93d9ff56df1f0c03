"""Copies what an attempt prints from the log files of its worker's process to the store.

Ray sends file descriptors 1 and 2 of a worker to two files of its own. So these files hold all that the
process prints: `print`, warnings, `logging`, C code, subprocesses, the traceback of a hung process. Nothing
is put in between, so Ray's logs stay as they are, and no print ever waits for this module. An attempt's part
of a file begins at the size that the file has when the attempt begins. Only a subprocess that outlives its
attempt can print into the next.

Within one copy the lines of stdout stand before those of stderr, since two files do not show the order. A
copy is made at a report and once a second, if something was printed. Copies take at most a twentieth of the
time: after a slow copy (a bucket) the next waits. The end of an attempt is always copied. Only a process that
is killed leaves lines behind, in Ray's files: beside these, a note says where the attempt's part begins, and
`copy_rest` makes the last copy from there.

`tune_jobs.on_ray.worker.trainable` and `tune_jobs.on_ray.failures_on_ray` call this.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.checkpoints.bounded_log import HEAD_BYTES, TAIL_BYTES, BoundedLog
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.study.json_fields import parse_object

NOTE = "attempt-of-{pid}.json"
"""The note beside Ray's logs that says which attempt a process trains, and where its output begins."""

PERIOD_S = 1.0
"""Seconds between two looks at the files while training says nothing."""

MAX_SHARE = 1 / 20
"""The largest share of the time that copying may take."""

CHUNK_BYTES = 1 << 20


class Capture:
    """The copying of one attempt's output.

    Args:
        places: the files that the process prints into, each with the size at which the attempt began.
        write: writes the whole text of the log; may raise `OSError`.
    """

    def __init__(self, places: Mapping[Path, int], write: Callable[[str], object]) -> None:
        self._places, self._write = dict(places), write
        self._log = BoundedLog()
        self._num_written = 0
        self._next_at = 0.0
        self._lock = threading.Lock()
        self._ended = False
        self._problem: str | None = None

    def copy(self, *, now: bool = False) -> None:
        """Copy what was printed since the last copy.

        Args:
            now: whether to copy at once, however long the last copy took.
        """
        if not self._lock.acquire(blocking=now):
            return  # the other thread is copying
        try:
            if not self._ended and (now or time.perf_counter() >= self._next_at):
                self._copy()
        finally:
            self._lock.release()

    def end(self) -> None:
        """Make the last copy; what is printed later belongs to no attempt, or to the next."""
        _flush()
        self.copy(now=True)
        with self._lock:
            self._ended = True

    def take_problem(self) -> str | None:
        """Why the log could not be written since the last call; None if it could."""
        problem, self._problem = self._problem, None
        return problem

    def _copy(self) -> None:
        began = time.perf_counter()
        for file, place in self._places.items():
            with suppress(OSError):  # a node may remove old logs of Ray; there is nothing to copy then
                self._places[file] = _read_on(file, place, self._log)
        if self._log.num_bytes == self._num_written:
            return
        try:
            self._write(self._log.text())
            self._num_written = self._log.num_bytes
        except OSError as error:  # a full disk costs the log, not the trial; the next copy tries again
            self._problem = str(error)
        ended = time.perf_counter()
        self._next_at = ended + (ended - began) / MAX_SHARE


@contextmanager
def captured(logs: Logs, number: int, attempt: int, *, files: Sequence[Path]) -> Iterator[Capture]:
    """A context in which all that this process prints goes to the log of an attempt too."""
    _flush()
    places = {file: _size(file) for file in files}
    _leave_note(logs, number, attempt, places)
    capture = Capture(places, lambda text: logs.write(number, attempt, text))
    living = _living()
    living.append(capture)
    try:
        yield capture
    finally:
        living.remove(capture)
        capture.end()


def copy_rest(logs: Logs, number: int, attempt: int, *, folder: Path) -> None:
    """Make the last copy of an attempt whose process died, if its files are in this folder of Ray's logs."""
    owner = [logs.store, logs.study, number, attempt]
    for path in folder.glob(NOTE.format(pid="*")):
        try:
            note = parse_object(path.read_bytes())
        except (OSError, InvalidValueError):  # of a process that has just ended, or is writing its note
            continue
        if note.get("owner") == owner:
            places = {folder / name: place for name, place in note["places"].items()}
            Capture(places, lambda text: logs.write(number, attempt, text)).end()


def _leave_note(logs: Logs, number: int, attempt: int, places: Mapping[Path, int]) -> None:
    note = {
        "owner": [logs.store, logs.study, number, attempt],
        "places": {file.name: place for file, place in places.items()},
    }
    for folder in {file.parent for file in places}:
        with suppress(OSError):
            _overwrite(folder / NOTE.format(pid=os.getpid()), json.dumps(note).encode())


def _overwrite(path: Path, data: bytes) -> None:
    """Give a file new content in its place; ext4 waits 5 ms for the disk if a file is emptied first."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(handle, data, 0)
        os.ftruncate(handle, len(data))
    finally:
        os.close(handle)


@cache
def _living() -> list[Capture]:
    """The captures of this process that have not ended. The first call starts the thread that copies them.

    One thread serves all attempts, because a thread for each would cost a short trial a millisecond.
    """
    living: list[Capture] = []
    threading.Thread(target=_copy_now_and_then, args=(living,), name="logs", daemon=True).start()
    return living


def _copy_now_and_then(living: list[Capture]) -> None:
    while True:
        time.sleep(PERIOD_S)
        for capture in tuple(living):
            capture.copy()


def _read_on(file: Path, place: int, log: BoundedLog) -> int:
    """Add a file's bytes from a place on to a log; returns the new place.

    A file that has become shorter was rotated by Ray, and is read from its beginning.
    """
    size = _size(file)
    if size == place:
        return place
    place = place if place < size else 0
    with file.open("rb") as handle:
        if size - place > HEAD_BYTES + 2 * TAIL_BYTES:
            log.add(_read(handle, place, HEAD_BYTES))
            log.skip(size - place - HEAD_BYTES - TAIL_BYTES)
            place = size - TAIL_BYTES
        while place < size and (data := _read(handle, place, min(CHUNK_BYTES, size - place))):
            log.add(data)
            place += len(data)
    return place


def _read(handle: Any, place: int, count: int) -> bytes:
    handle.seek(place)
    return bytes(handle.read(count))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _flush() -> None:
    """Empty the buffers of this process, of Python and of the C library."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # whatever training code has put in the place of a stream
            stream.flush()
    if _C_STDOUT is not None:
        _C_LIBRARY.fflush(_C_STDOUT)


def _c_stdout() -> Any:
    for name in ("stdout", "__stdoutp"):  # the name on Linux, and on macOS
        with suppress(ValueError):
            return ctypes.c_void_p.in_dll(_C_LIBRARY, name)
    return None


_C_LIBRARY = ctypes.CDLL(None)
_C_STDOUT = _c_stdout()
