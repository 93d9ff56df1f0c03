"""A store of another version is refused with both numbers by all that uses it, and loses nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from store_testing import LATENCY, leave_dead, make_study, open_writer, start, trial

from tune_jobs.errors import EXIT_FAILED, StoreVersionError, exit_code
from tune_jobs.store.columns.schema import SCHEMA_VERSION
from tune_jobs.store.format.journal import read_journal
from tune_jobs.store.latencies import append_latencies, prepare_table
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.compact import compact_into, compact_study
from tune_jobs.store.upkeep.repair import plan_repair, repair_study

USES: dict[str, Callable[[Path], object]] = {
    "go on with its study": open_writer,
    "a new study": lambda store: open_writer(store, make_study("other")),
    "its studies": lambda store: TrialStore(store).studies(),
    "its trials": lambda store: TrialStore(store).trials(),
    "its rows": lambda store: TrialStore(store).rows("s"),
    "a query": lambda store: TrialStore(store).sql("select count(*) from trials"),
    "compact": lambda store: compact_study(store, "s"),
    "a compacted copy": lambda store: compact_into(store, "s", store.with_name("copy")),
    "a copy into it": lambda store: compact_into(another(store), "other", store),
    "plan a repair": lambda store: plan_repair(store, "s"),
    "repair": lambda store: repair_study(store, "s"),
    "look before measuring": prepare_table,
    "add latencies": lambda store: append_latencies(store, [LATENCY]),
}


def another(store: Path) -> Path:
    """A store of this version beside it."""
    with open_writer(store.with_name("another"), make_study("other")) as writer:
        writer.append(start(0, study="other"))
    return store.with_name("another")


def mark(store: Path, version: int) -> None:
    """Let every published file say that it is of that version."""
    for path in store.glob("*/*/*.parquet"):
        table = pq.ParquetFile(path).read()
        metadata = {**table.schema.metadata, b"tune_jobs.schema_version": str(version).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), path)


def mark_journal(path: Path, version: int) -> None:
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    rests = [json.dumps({"v": version, "rows": line["rows"]})[1:].encode() + b"\n" for line in lines]
    path.write_bytes(b"".join(b'{"crc32":"%08x",%b' % (zlib.crc32(rest), rest) for rest in rests))


def contents(store: Path) -> dict[Path, bytes]:
    """All that a store holds of rows."""
    return {path: path.read_bytes() for suffix in ("parquet", "jsonl") for path in store.rglob(f"*.{suffix}")}


def check_refused(use: Callable[[Path], object], store: Path, version: int) -> None:
    before = contents(store)
    said = f"has version {version} of the store's format; this program reads version {SCHEMA_VERSION} alone"
    with pytest.raises(StoreVersionError, match=said) as caught:
        use(store)
    assert exit_code(caught.value) == EXIT_FAILED
    assert contents(store) == before


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1])
@pytest.mark.parametrize("use", USES)
def test_store_of_another_version_is_refused_and_stays_as_it_is(
    tmp_path: Path, use: str, version: int
) -> None:
    store = tmp_path / "store"
    with open_writer(store) as writer:
        writer.append_many([start(0), trial(0)])
    mark(store, version)
    check_refused(USES[use], store, version)


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1])
@pytest.mark.parametrize("use", ["go on with its study", "its rows", "compact", "plan a repair", "repair"])
def test_journal_of_another_version_is_refused_and_stays_as_it_is(
    tmp_path: Path, use: str, version: int
) -> None:
    store = tmp_path / "store"
    leave_dead(store, [start(0), trial(0)])
    (journal,) = store.glob("_wal/s-s/*.jsonl")
    mark_journal(journal, SCHEMA_VERSION)
    assert len(read_journal(journal.read_bytes(), "j").rows) == 2
    mark_journal(journal, version)
    check_refused(USES[use], store, version)


@pytest.mark.parametrize("use", ["a new study", "a copy into it", "add latencies"])
def test_store_that_holds_only_latencies_of_another_version_is_refused(tmp_path: Path, use: str) -> None:
    store = tmp_path / "store"
    append_latencies(store, [LATENCY])
    mark(store, SCHEMA_VERSION + 1)
    check_refused(USES[use], store, SCHEMA_VERSION + 1)
