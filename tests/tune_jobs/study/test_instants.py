"""The current instant: aware, in UTC, and between two readings of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tune_jobs.study.instants import utc_now


def test_instant_is_aware_and_now() -> None:
    before = datetime.now(UTC)
    instant = utc_now()
    assert before <= instant <= datetime.now(UTC)
    assert instant.utcoffset() == timedelta(0)
