"""The errors of tune_jobs: they continue the tree of `eml_models.errors`.

::

    EmlError
    ├── InvalidValueError (eml_models)    usage: exit code 2
    │   ├── UnknownNameError (eml_models)
    │   ├── StudyChangedError             a study of this name has another definition
    │   └── QueryError                    SQL that is wrong, or that may not run here
    └── TuneJobsError                     failure: exit code 1
        ├── StoreError                    the store cannot be read or written
        │   ├── StoreMissingError         there is no store at that place: usage, exit code 2
        │   ├── StoreLockedError          another living writer holds the study
        │   ├── StoreVersionError         the store is of another version than this program writes
        │   └── StoreCorruptError         a file of the store is damaged; names it
        │       ├── SegmentGoneError      it went meanwhile (a compaction, a deletion); reading again helps
        │       └── ForeignSegmentError   its rows are of another study: a copy; it is left out
        ├── JobError                      a cluster's Jobs API did not answer, or refused
        ├── BrokenDeviceError             a process cannot use its GPU any more; it ends, and a trial with it
        └── RunFailedError                the search could not go on

The command line shows the message without a traceback and exits with `exit_code(error)`: 2 where what was
asked for is wrong, so that the same command fails again until it is written otherwise (an unknown option,
value, study, job or store); 1 where it was right and could not be done.
"""

from __future__ import annotations

from eml_models.errors import EmlError, InvalidValueError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class TuneJobsError(EmlError):
    """Something failed although what was asked for was valid."""


class StudyChangedError(InvalidValueError):
    """The store holds a study of this name with another definition."""


class QueryError(InvalidValueError):
    """A query that DuckDB refuses: wrong SQL, or SQL that would leave the read-only views."""


class StoreError(TuneJobsError):
    """The store cannot be read or written (a file, read-only, full)."""


class StoreMissingError(StoreError):
    """No store is at the place that was named, as no study may be of the name that was given."""


class StoreLockedError(StoreError):
    """Another living writer holds this study; the message names it."""


class StoreVersionError(StoreError):
    """A file of the store is whole and of another version; nobody reads, replaces or repairs it here."""

    def __init__(self, path: str, *, found: object, known: int) -> None:
        super().__init__(
            f"{path!r} is of version {found} of the store, this program reads version {known} alone; use the"
            " tune-jobs that wrote it, or name another store with --store"
        )


class StoreCorruptError(StoreError):
    """A file of the store is damaged; the message names the file and what is still readable."""


class SegmentGoneError(StoreCorruptError):
    """A published file went between listing and reading it; a reader looks again."""


class ForeignSegmentError(StoreCorruptError):
    """A file in a table's folder that is whole and does not belong there: it is left out, by writers too."""


class JobError(TuneJobsError):
    """The Jobs API of a cluster did not answer, refused us, or has no such job."""


class BrokenDeviceError(TuneJobsError):
    """No CUDA call of this process works any more; another process can use the GPU."""


class RunFailedError(TuneJobsError):
    """The search ended before its trials did (for instance too many failures in a row)."""


def exit_code(error: EmlError) -> int:
    """What the process returns for an error: 2 for wrong usage, 1 for everything else."""
    return EXIT_USAGE if isinstance(error, InvalidValueError | StoreMissingError) else EXIT_FAILED
