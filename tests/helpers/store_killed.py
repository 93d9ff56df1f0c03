"""The process that the kill tests kill; a module of its own, so that it starts quickly."""

from __future__ import annotations

from multiprocessing.connection import Connection

from store_testing import make_study, open_writer, whole_trial

from tune_jobs.store.batches import PublishPolicy

BATCH = PublishPolicy(trials=3, reports=10**9, seconds=1e9)


def write_until_killed(store: str, study: str, pipe: Connection) -> None:
    """Append one row after the other, and say so after each acknowledgement."""
    with open_writer(store, make_study(study), policy=BATCH) as writer:
        number = 10**6 * len(writer.rows)
        while True:
            number += 1
            for row in whole_trial(number, study):
                pipe.send(writer.append(row).seq)
