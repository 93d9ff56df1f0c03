"""A store in a bucket, on a real S3 protocol server: what waits, who holds the lock, what others read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow.dataset as pads
import pytest
from patience import patience_s, wait_until
from store_testing import NEVER, event, open_writer, report, start, trial, whole_trial

from tune_jobs.errors import StoreError, StoreLockedError
from tune_jobs.store.files.lease import Lease
from tune_jobs.store.files.objects import CACHE_VARIABLE, ObjectFiles
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.compact import compact_into, compact_study

HELPERS = Path(__file__).parents[2] / "helpers"


def kill_writer(url: str) -> int:
    """A writer in a process of its own that is killed; its last acknowledged `seq`."""
    done = subprocess.run(
        [sys.executable, str(HELPERS / "store_killed_s3.py"), url],
        env={**os.environ, "PYTHONPATH": f"{HELPERS}{os.pathsep}{HELPERS.parents[1]}"},
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
    )
    assert done.returncode == -9, done.stderr
    return int(done.stdout)


def parts(url: str) -> list[str]:
    files = ObjectFiles(url)
    found: list[str] = files._fs.find(files._path("_wal/s-s"))  # the objects as they are
    return sorted(name.rpartition(".jsonl.")[2] for name in found if ".jsonl." in name)


def test_rows_that_bind_are_put_at_once_and_others_wait(s3_store: str) -> None:
    with open_writer(s3_store, policy=NEVER) as writer:
        writer.append(start(0))
        assert parts(s3_store) == ["000000"]
        writer.append(report(0, 1))
        writer.append(report(0, 2))
        assert parts(s3_store) == ["000000"]
        assert len(TrialStore(s3_store).rows("s")) == 3
        writer.append(trial(0))
        assert parts(s3_store) == ["000000", "000001"]
        assert [row.seq for row in TrialStore(s3_store).rows("s")] == [1, 2, 3, 4]
    assert parts(s3_store) == []
    assert len(TrialStore(s3_store).reports()) == 2


class PatientClock:
    """Stands for the module `time`, and counts the seconds that somebody slept."""

    slept_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        time.sleep(seconds)


def test_killed_driver_loses_nothing_and_its_lock_is_free_at_once(
    s3_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, clock = kill_writer(s3_store), PatientClock()
    monkeypatch.setattr("tune_jobs.store.files.lease.time", clock)
    with open_writer(s3_store) as writer:
        assert clock.slept_s < 1.0  # nobody waited for a lease to end
        assert [row.seq for row in writer.rows] == list(range(1, last + 1))
        writer.append(trial(0))
    assert [row.seq for row in TrialStore(s3_store).rows("s")] == list(range(1, last + 2))


def test_lost_machine_loses_only_what_waited_and_its_rest_is_void(
    s3_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_writer(s3_store)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv(CACHE_VARIABLE, str(tmp_path / "other machine"))
        with open_writer(s3_store) as writer:
            assert [row.seq for row in writer.rows] == [1]
            writer.append(report(0, 1))
            writer.append(trial(0))
    with open_writer(s3_store) as writer:
        assert [row.seq for row in writer.rows] == [1, 2, 3]
    assert TrialStore(s3_store).problems == ()


def test_second_writer_is_refused_and_told_who_holds_the_study(s3_store: str) -> None:
    with open_writer(s3_store), pytest.raises(StoreLockedError, match=f"by process {os.getpid()} on"):
        open_writer(s3_store)
    open_writer(s3_store).close()


LEASE_S = 60.0
"""Long enough that a busy machine does not keep a holder from renewing it."""


class HurryingClock:
    """Stands for the module `time`; while it hurries, a sleep takes ten seconds of its time at once."""

    hurries, ahead_s = False, 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def sleep(self, seconds: float) -> None:
        if self.hurries:
            self.ahead_s += 10.0
        else:
            time.sleep(seconds)


def a_lease(url: str, **changes: Any) -> Lease:
    files = ObjectFiles(url)
    options = {"subject": "study 's'", "holder": {"host": "h"}, "wait_s": 0.0, "lease_s": LEASE_S, **changes}
    return Lease(files._fs, files._path("lock"), **options)


class ElsewhereLease(Lease):
    """Of a process on another machine, which may fall silent."""

    silent = False

    def _renew(self) -> None:
        while not self._ended.wait(0.05):
            if not self.silent:
                super()._renew_once()


def test_a_silent_holder_elsewhere_loses_its_lease_and_stops_writing(
    s3_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, files = HurryingClock(), ObjectFiles(s3_store)
    monkeypatch.setattr("tune_jobs.store.files.lease.time", clock)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("tune_jobs.store.files.processes._machine", lambda: "elsewhere")
        holder = ElsewhereLease(
            files._fs,
            files._path("lock"),
            subject="study 's'",
            holder={"host": "far", "since": "noon"},
            wait_s=0.0,
            lease_s=LEASE_S,
        )
    with pytest.raises(StoreLockedError, match="on far since"):
        a_lease(s3_store)  # its beat moves
    holder.check()
    holder.silent = clock.hurries = True
    began = clock.monotonic()
    taken = a_lease(s3_store)
    assert clock.monotonic() - began > LEASE_S
    clock.hurries = False
    with pytest.raises(StoreError, match="the lock of study 's' is lost"):
        holder.check()
    taken.check()
    holder.release()
    taken.check()
    with pytest.raises(StoreLockedError):
        a_lease(s3_store)  # what the old holder released was not the new one's
    taken.release()
    a_lease(s3_store).release()


def test_a_holder_that_sees_a_successor_stops(s3_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_jobs.store.files.lease.BEATS", 600)
    files = ObjectFiles(s3_store)
    holder = a_lease(s3_store)
    files._fs.pipe_file(files._path("lock-000002"), b'{"nonce": "another"}')
    with pytest.raises(StoreError, match="another writer took it"):  # it takes a beat or two
        wait_until(holder.check, "it goes on", period_s=0.05)


def test_other_programs_read_the_bucket(s3_store: str) -> None:
    with open_writer(s3_store) as writer:
        writer.append_many([event(), *whole_trial(0)])
    files = fsspec.filesystem("s3", use_listings_cache=False)
    assert pads.dataset(f"{s3_store[5:]}/reports", filesystem=files).to_table().num_rows == 3
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        rows = connection.sql(f"select number, state from read_parquet('{s3_store}/trials/*/*.parquet')")
        assert rows.fetchall() == [(0, "completed")]


def test_compaction_is_refused_in_place_and_written_elsewhere(s3_store: str, tmp_path: Path) -> None:
    with open_writer(s3_store) as writer:
        writer.append_many(whole_trial(0))
    with pytest.raises(StoreError, match="Write a compacted copy with --output STORE"):
        compact_study(s3_store, "s")
    compact_into(s3_store, "s", tmp_path)
    assert TrialStore(tmp_path).rows("s") == TrialStore(s3_store).rows("s")
    compact_into(tmp_path, "s", f"{s3_store}-copy")
    assert TrialStore(f"{s3_store}-copy").rows("s") == TrialStore(s3_store).rows("s")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nosuch://bucket/store", "name a folder, s3://... or gs://..."),
        ("gs://bucket/store", "pip install 'gcsfs'"),
        ("s3://no-such-bucket/store", "Make the bucket, or name another with --store"),
    ],
)
def test_bad_urls_say_what_to_do(s3_server: str, url: str, told: str) -> None:
    with pytest.raises(StoreError, match=told):
        open_writer(url)


def test_missing_store_in_a_bucket_is_said(s3_store: str) -> None:
    with pytest.raises(StoreError, match=f"there is no store at '{s3_store}': nothing is there"):
        TrialStore(s3_store)
