"""Logs of one study: what each attempt of its trials printed, as text files beside the checkpoints.

Under ``STORE/logs/STUDY/NUMBER/`` each attempt that printed anything has one file, ``attempt-N.log``, of at
most 256 KiB and a line (`bounded_log`). So a worker that outlives its driver cannot overwrite the log of a
newer attempt. The worker writes it while the attempt runs, whole each time, so that a reader never sees half
of it and a killed worker leaves what it wrote last.

A log stays as long as the rows of its study, however the attempt ended: only `delete` removes it. It removes
files with these names alone, and their unfinished copies, in real folders. Checkpoints have another fate
(`retention`), so logs lie in a folder of their own. Called by the workers, the driver, the board, and
the commands `show` and `delete`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tune_jobs.checkpoints.bounded_log import last_lines
from tune_jobs.checkpoints.places import LocalPlace, place_of
from tune_jobs.store.files.bucket_blobs import BucketPlace
from tune_jobs.store.files.real_folders import Removal

FOLDER = "logs"
_NAME = r"attempt-(?P<attempt>[1-9][0-9]*)\.log"
FILE_PATTERN = re.compile(_NAME)
HALF_PATTERN = re.compile(rf"\.{_NAME}\.[0-9a-f]{{32}}\.tmp")
"""Names of the unfinished files that a killed process leaves (`eml_models.whole_files`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """The logs of one study.

    Attributes:
        store: the store's folder or URL, as every machine of the cluster sees it.
        study: the study's name.
    """

    store: str
    study: str

    def write(self, number: int, attempt: int, text: str) -> None:
        """Write the log of an attempt, in the place of its earlier text.

        Raises:
            OSError: it could not be written; the earlier text is unchanged.
        """
        self._place.write(str(number), _name_of(attempt), text.encode(errors="replace"))

    def read(self, number: int, attempt: int) -> str | None:
        """The log of an attempt; None if it printed nothing.

        Raises:
            OSError: the store cannot be read.
        """
        try:
            return self._place.read(str(number), _name_of(attempt)).decode(errors="replace")
        except FileNotFoundError:
            return None

    def tail(self, number: int, attempt: int, *, num_lines: int) -> Sequence[str]:
        """The last lines of an attempt's log; none if it printed nothing or the store cannot be read."""
        try:
            return last_lines(self.read(number, attempt) or "", num_lines)
        except OSError:  # a log only explains: it must not end what asks for it
            return []

    def end(self, number: int, attempt: int, *, most: int) -> bytes | None:
        """The last bytes of an attempt's log, at most `most`; None if it has none. No link is followed.

        Raises:
            OSError: the store cannot be read.
        """
        try:
            return self._place.read_end(str(number), _name_of(attempt), most)
        except FileNotFoundError:
            return None

    def attempts(self, number: int) -> list[int]:
        """The attempts of a trial that have a log, ascending.

        Raises:
            OSError: the store cannot be read.
        """
        return list(self.sizes(number))

    def sizes(self, number: int) -> dict[int, int]:
        """The attempts of a trial that have a log, ascending, each with the bytes of its log.

        Raises:
            OSError: the store cannot be read.
        """
        found = (
            (FILE_PATTERN.fullmatch(name), size) for name, size in self._place.sizes(str(number)).items()
        )
        return dict(sorted((int(match["attempt"]), size) for match, size in found if match))

    def describe(self, number: int, attempt: int) -> str:
        """The path or URL of an attempt's log, for messages."""
        return self._place.describe(str(number), _name_of(attempt))

    def remove_all(self) -> Removal:
        """Remove the logs of all trials; the result names the foreign files.

        Raises:
            OSError: the store cannot be reached, or a link is in the way.
        """
        place = self._place
        done = sum((place.remove(folder, _is_own) for folder in place.folders()), Removal())
        return done + place.remove_if_empty()

    @property
    def _place(self) -> LocalPlace | BucketPlace:
        return place_of(self.store, f"{FOLDER}/{self.study}")


def _name_of(attempt: int) -> str:
    return f"attempt-{attempt}.log"


def _is_own(name: str) -> bool:
    return bool(FILE_PATTERN.fullmatch(name) or HALF_PATTERN.fullmatch(name))
