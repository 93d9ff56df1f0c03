"""Fills a file system of its own with a study, makes it larger, and goes on; run by `test_store_full_disk`.

Mounts a tmpfs over the folder that it is given, so it runs in a mount namespace of its own.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path

from store_testing import open_writer, whole_trial

from tune_jobs.errors import StoreError
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.reader import TrialStore

BATCH = PublishPolicy(trials=8, reports=10**9, seconds=1e9)


def main(folder: Path) -> None:
    mount(folder, "size=400k")
    acknowledged = fill(folder / "store")
    assert acknowledged > 100, acknowledged
    assert [row.seq for row in TrialStore(folder / "store").rows("s")][:acknowledged] == [
        *range(1, acknowledged + 1)
    ]
    mount(folder, "remount,size=20m")
    with open_writer(folder / "store", policy=BATCH) as writer:
        writer.append_many(whole_trial(10**6))
    seqs = [row.seq for row in TrialStore(folder / "store").rows("s")]
    assert seqs == [*range(1, len(seqs) + 1)]
    assert len(seqs) >= acknowledged + 5
    print(f"{acknowledged} rows before the disk was full, {len(seqs)} in the end")


def mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


def fill(store: Path) -> int:
    """Append until the disk is full, also over a writer that gave up; the last acknowledged `seq`."""
    last, failures = 0, 0
    numbers = count()
    while failures < 3:
        try:
            with open_writer(store, policy=BATCH) as writer:
                while True:
                    for row in whole_trial(next(numbers)):
                        last = writer.append(row).seq
        except StoreError as error:
            if "free some space and run the same command again" not in str(error):
                raise
            failures += 1
    return last


if __name__ == "__main__":
    main(Path(sys.argv[1]))
