"""Errors of tune_jobs. They continue the tree of `eml_models.errors`.

::

    EmlError
    ├── InvalidValueError (eml_models)    usage: exit code 2
    │   ├── UnknownNameError (eml_models)
    │   ├── StudyChangedError             a study of this name has another definition
    │   ├── CostFunctionError             a cost function raised, or returned no numbers by name
    │   └── QueryError                    SQL that is wrong, or that may not run here
    └── TuneJobsError                     failure: exit code 1
        ├── StoreError                    the store cannot be read or written
        │   ├── StoreMissingError         there is no store at that place: usage, exit code 2
        │   ├── StoreLockedError          another living writer holds the study
        │   ├── StoreVersionError         the store has another version than this program reads
        │   └── StoreCorruptError         a file of the store is damaged; names it
        │       ├── SegmentGoneError      it was removed (a compaction, a deletion); reading again helps
        │       └── ForeignSegmentError   all its rows are of other studies: a copy; left out
        ├── JobError                      the Jobs API of a cluster did not answer, or refused
        ├── BrokenDeviceError             a process cannot use its GPU any more; it ends, with its attempt
        ├── RayLostError                  Ray died during the run
        ├── UndrawableError               the library of figures cannot draw a picture
        ├── NoBestTrialError              no trial of the study has completed, so none is the best
        └── RunFailedError                the search could not continue

The command line shows the message without a traceback and exits with `exit_code(error)`. The code is 2 where
the command is wrong and fails until it is written differently (an unknown option, value, study, job or
store). It is 1 where the command is right and could not be carried out.
"""

from __future__ import annotations

from typing import ClassVar

from eml_models.errors import EmlError, InvalidValueError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class TuneJobsError(EmlError):
    """A valid request failed."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message, which says the way out, as the command line does."""
        return [f"{type(self).__name__}: {self}"]


class StudyChangedError(InvalidValueError):
    """The store holds a study of this name with another definition."""


class CostFunctionError(InvalidValueError):
    """The cost function of own training raised an error, or returned anything but numbers by name."""


class QueryError(InvalidValueError):
    """A query that DuckDB refuses: wrong SQL, or SQL that would leave the read-only views."""


class StoreError(TuneJobsError):
    """The store cannot be read or written (a file, read-only, full)."""


class StoreMissingError(StoreError):
    """There is no store at the given place."""


class StoreLockedError(StoreError):
    """Another living writer holds this study; the message names it."""


class StoreVersionError(StoreError):
    """A file of the store is whole and has another version; this program does not read or change it."""

    def __init__(self, path: str, *, found: object, known: int) -> None:
        super().__init__(
            f"{path!r} has version {found} of the store's format; this program reads version {known} alone."
            " Use the tune-jobs that wrote it, or name another store with --store"
        )


class StoreCorruptError(StoreError):
    """A file of the store is damaged; the message names the file and what is still readable."""


class SegmentGoneError(StoreCorruptError):
    """A published file was removed after it was listed and before it was read; the reader lists again."""


class ForeignSegmentError(StoreCorruptError):
    """A file that is whole holds rows of other studies alone, for instance a copy; it is left out."""


class JobError(TuneJobsError):
    """The Jobs API of a cluster did not answer, refused the request, or has no such job."""


class BrokenDeviceError(TuneJobsError):
    """No CUDA call of this process works any more; another process can use the GPU."""

    SHARED: ClassVar = " (its GPU is shared through an MPS server, which ends all processes on it)"
    """Words in the message if a fault may be another process's; Ray hands the driver only the message."""


class RayLostError(TuneJobsError):
    """Ray died during the run; the store has every row that was written before."""


class UndrawableError(TuneJobsError):
    """The library of figures cannot draw a picture, such as one of numbers too small for an axis."""


class NoBestTrialError(TuneJobsError):
    """No trial of the study has completed with a value; the message says what its trials did."""


class RunFailedError(TuneJobsError):
    """The search could not continue, for instance after too many failures in a row."""


def exit_code(error: EmlError) -> int:
    """The exit code of the process for an error: 2 for wrong usage, 1 for everything else."""
    return EXIT_USAGE if isinstance(error, InvalidValueError | StoreMissingError) else EXIT_FAILED
