"""Names of folders and files in a store: keys relative to the store. Touches no disk.

::

    studies/study_slug=s-NAME/definition-1.parquet
    {starts,reports,trials,events}/study_slug=s-NAME/<writer>-<batch>.parquet   published, never changed
    latencies/device_slug=d-DEVICE/<instant>-<run>.parquet                      whole when it appears
    _wal/s-NAME/<writer>-<batch>.jsonl       acknowledged, not yet published
    _wal/s-NAME/lock                         held by the study's living writer
    _wal/damaged/s-NAME/...                  damaged files that a repair set aside
    _tmp/s-NAME/...                          unfinished files, and the files of a probe of the store
    _tmp/latencies/...                       unfinished files of latencies
    _old/s-NAME/...                          files that the last compaction replaced

`<writer>` begins with the first `seq` that the writer may give, so files sort in the order of their rows.

The store knows its own files by the patterns of their names. Any other file between them (a conflicted copy
of a synchronising program, a copied folder) is foreign: it is named, never read, and never removed.
"""

from __future__ import annotations

import re
import secrets
import zlib
from datetime import UTC, datetime

from tune_jobs.study.naming import NAME_PATTERN

STUDIES = "studies"
LATENCIES = "latencies"
WAL = "_wal"
SCRATCH = "_tmp"
OLD = "_old"
CREATION_LOCK = f"{WAL}/creation.lock"
SLUG = "study_slug=s-"
DEVICE_SLUG = "device_slug=d-"
SEGMENT_SUFFIX = ".parquet"
JOURNAL_SUFFIX = ".jsonl"
LOCK = "lock"
"""The only file of a journal folder that is not a journal."""
NO_ROWS = "0000000000-no-rows"
"""The segment without rows that each table of a new study gets: polars and DuckDB fail on an empty folder."""
COMPACTED = "0000000000-compacted-"
"""How the names of compacted segments begin."""
_BATCH = re.compile(r"[0-9]{10,}-[0-9a-f]{8}-[0-9]{6,}")
_COMPACTED = re.compile(rf"({COMPACTED}[0-9a-f]{{8}})-[0-9]{{4,}}")
_DEFINITION = re.compile(r"definition-[1-9][0-9]*")
_LATENCIES = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]+")
_TEMPORARY = re.compile(r".+\.[0-9a-f]{12}|probe-[0-9a-f]{32}-.+")
"""Names of unfinished files, and of the files by which driver and workers check that they share a store."""
_OLD_TABLE = re.compile(r"(starts|reports|trials|events)-([0-9a-f]{12})-[0-9a-f]{8}")
_DEVICE = re.compile(r"[A-Za-z0-9_.:-]+")


def table_folder(table: str, study: str) -> str:
    """The folder of a table's published files of one study."""
    return f"{table}/{SLUG}{study}"


def study_of_folder(name: str) -> str | None:
    """The study that a folder under a table belongs to; None for a foreign folder."""
    study = name.removeprefix(SLUG)
    return study if name.startswith(SLUG) and NAME_PATTERN.fullmatch(study) else None


def device_of_folder(name: str) -> str | None:
    """The device that a folder of `latencies` belongs to; None for a foreign folder."""
    device = name.removeprefix(DEVICE_SLUG)
    return device if name.startswith(DEVICE_SLUG) and _DEVICE.fullmatch(device) else None


def is_batch(name: str) -> bool:
    """Whether a writer gives a batch that name."""
    return _BATCH.fullmatch(name) is not None


def is_published(name: str) -> bool:
    """Whether a table's file, without its suffix, has a name that this store gives."""
    return name == NO_ROWS or is_batch(name) or _COMPACTED.fullmatch(name) is not None


def is_definition(name: str) -> bool:
    """Whether a file of `studies`, without its suffix, has a name that this store gives."""
    return _DEFINITION.fullmatch(name) is not None


def is_latencies(name: str) -> bool:
    """Whether a file of `latencies`, without its suffix, has a name that this store gives."""
    return _LATENCIES.fullmatch(name) is not None


def is_aside(name: str) -> bool:
    """Whether a file of `_tmp` or `_old` has a name that this store gives."""
    stem = name.removesuffix(SEGMENT_SUFFIX)
    return _TEMPORARY.fullmatch(name) is not None or (stem != name and is_published(stem))


def compaction_of(name: str) -> str | None:
    """The part of a name that all files of one compaction of a table share; None for another file."""
    match = _COMPACTED.fullmatch(name)
    return match[1] if match else None


def segment_key(table: str, study: str, batch: str) -> str:
    """The file of one batch in one table."""
    return f"{table_folder(table, study)}/{batch}{SEGMENT_SUFFIX}"


def definition_key(study: str, version: int = 1) -> str:
    """The file that defines a study."""
    return segment_key(STUDIES, study, f"definition-{version}")


def latency_key(device: str, measured_at: datetime, run: str) -> str:
    """The file of one run's latencies; files sort in the order of their instants."""
    return f"{LATENCIES}/{DEVICE_SLUG}{device}/{measured_at:%Y%m%dT%H%M%S}-{run}{SEGMENT_SUFFIX}"


def journal_folder(study: str) -> str:
    """The folder of the journals and the lock of one study."""
    return f"{WAL}/s-{study}"


def journal_key(study: str, batch: str) -> str:
    """The journal of one batch."""
    return f"{journal_folder(study)}/{batch}{JOURNAL_SUFFIX}"


def lock_key(study: str) -> str:
    """The file that a study's living writer locks."""
    return f"{journal_folder(study)}/{LOCK}"


def scratch_folder(study: str) -> str:
    """The folder of a study's unfinished files."""
    return f"{SCRATCH}/s-{study}"


def old_folder(study: str) -> str:
    """The folder of the files that a compaction replaced; they stay until the study is written again."""
    return f"{OLD}/s-{study}"


def old_key(table: str, study: str, at: datetime) -> str:
    """The folder to which one compaction moves a table's old folder; names of a table sort by instant."""
    return f"{old_folder(study)}/{table}-{round(at.timestamp() * 1000):012x}-{secrets.token_hex(4)}"


def replaced_table(name: str) -> str | None:
    """The table whose folder a compaction moved aside under that name; None for a foreign folder."""
    match = _OLD_TABLE.fullmatch(name)
    return match[1] if match else None


def replaced_at(name: str) -> datetime:
    """The instant at which the folder of that name was moved aside; for an impossible one, the last instant
    of the calendar."""
    try:
        return datetime.fromtimestamp(int(name.split("-")[1], 16) / 1000, UTC)
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def damaged_key(study: str, key: str, data: bytes) -> str:
    """The file in which a repair keeps a damaged file of these bytes, in a folder that no reader lists."""
    folder, _, name = key.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    table = folder.partition("/")[0].removeprefix("_")
    return f"{WAL}/damaged/s-{study}/{table}-{stem}-{zlib.crc32(data):08x}{dot}{suffix}"


def new_writer(first_seq: int) -> str:
    """A unique name for a writer."""
    return f"{first_seq:010d}-{secrets.token_hex(4)}"


def compacted_name(ticket: str, index: int) -> str:
    """The name of a compacted file, from 0; it sorts before every batch, as its rows do."""
    return f"{COMPACTED}{ticket}-{index:04d}"


def batch_name(writer: str, number: int) -> str:
    """The name of a writer's batch, from 1."""
    return f"{writer}-{number:06d}"
