"""The holder of a lock as data, in words, and as a hold that others look at."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime

import pytest

from tune_jobs.store.files.holders import RUN, UPKEEP, Hold, describe_holder, this_holder
from tune_jobs.store.provenance import JOB_CONFIG

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_this_process_is_named_with_its_host_and_instant() -> None:
    said = describe_holder(this_holder(RUN, NOON))
    assert said == f"process {os.getpid()} on {socket.gethostname()} since 2026-01-02T12:00:00+00:00"


def test_a_job_is_named_by_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"metadata": {"job_submission_id": "a-study-1a2b3c"}}
    monkeypatch.setenv(JOB_CONFIG, json.dumps(config))
    assert " (job a-study-1a2b3c) since " in describe_holder(this_holder(RUN))


@pytest.mark.parametrize("lacking", ["pid", "host", "since"])
def test_a_holder_that_lacks_a_field_is_another_process(lacking: str) -> None:
    holder = {name: value for name, value in this_holder(RUN).items() if name != lacking}
    assert describe_holder(holder) == "another process"


def test_a_hold_says_whether_a_living_run_has_it() -> None:
    hold = Hold.of(this_holder(RUN, NOON))
    assert (hold.lives, hold.is_run, hold.describe()) == (True, True, describe_holder(hold.holder))
    assert not Hold.of(this_holder(UPKEEP)).is_run
    assert Hold.of({**hold.holder, "process_started": "1"}).lives is False
    assert (Hold.of({}).lives, Hold.of({}).is_run) == (None, False)
