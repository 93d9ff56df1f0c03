"""How a run ended: whether all of it failed."""

from __future__ import annotations

from typing import Any

import pytest
from session_testing import WORKER, a_session, a_study, play_attempt

from tune_jobs.session.outcome import RunOutcome
from tune_jobs.session.state_machine import Session
from tune_jobs.study.rows import Failure
from tune_jobs.testing.memory_log import MemoryLog


def run(log: MemoryLog, ends: str, *, trials: int) -> RunOutcome:
    """A run whose trials complete (c) or fail (f), as the letters say."""
    study = a_study(asha=None, trials=trials)
    session = Session(study, log, log.rows[:])
    begun, already_complete = session.progress(), session.finished
    for end in ends:
        attempt = session.next_attempt()
        assert attempt is not None
        if end == "c":
            play_attempt(session, attempt)
        else:
            session.record_failure(attempt.number, Failure.RAISED, "ValueError: no", worker=WORKER)
    how: dict[str, Any] = {"already_complete": already_complete}
    return RunOutcome(study=study, store="trials", progress=session.progress(), begun=begun, **how)


@pytest.mark.parametrize(
    ("runs", "all_failed"),
    [
        (["ff"], True),
        (["fc"], False),
        (["cc"], False),
        ([""], False),
        (["cc", "ff"], True),  # the second run has no result
        (["ff", "cf"], False),
        (["ff", "f"], True),
        (["ff", None], True),  # a study that was complete before counts with all its runs
        (["fc", None], False),
    ],
)
def test_run_is_all_failed_if_nothing_of_it_ended_otherwise(runs: list[str | None], all_failed: bool) -> None:
    log, trials = MemoryLog(), 0
    for ends in runs:
        trials += len(ends or "")
        outcome = run(log, ends or "", trials=trials or 2)
    assert outcome.already_complete is (runs[-1] is None)
    assert outcome.all_failed is all_failed


def test_refused_proposals_are_no_failures() -> None:
    log = MemoryLog()
    progress = a_session(log).progress()
    assert not RunOutcome(study=a_study(), store="trials", progress=progress).all_failed
