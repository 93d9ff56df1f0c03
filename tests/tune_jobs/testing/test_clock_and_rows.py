"""The plain values of the rows that tests are made of."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tune_jobs.study.rows import EventKind, Failure, Row, State
from tune_jobs.testing.clock import SteppingClock
from tune_jobs.testing.memory_log import MemoryLog
from tune_jobs.testing.rows import NOON, event_row, report_row, start_row, trial_row


def test_clock_steps_forward_and_backward() -> None:
    forward, backward = SteppingClock(NOON), SteppingClock(NOON, step_s=-60)
    assert [forward(), forward()] == [NOON + timedelta(seconds=n) for n in (1, 2)]
    assert backward() == NOON - timedelta(minutes=1)


def test_log_numbers_rows_and_sorts_them_by_kind() -> None:
    log = MemoryLog()
    rows: list[Row] = [start_row(0), report_row(0, 1, 0.5), trial_row(0), event_row(EventKind.SESSION_ENDED)]
    assert [row.seq for row in log.append_many(rows[:1]) + log.append_many(rows[1:])] == [1, 2, 3, 4]
    assert [len(kind) for kind in (log.starts, log.reports, log.trials)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("state", "attempt", "failure"),
    [(State.COMPLETED, 1, None), (State.INFEASIBLE, 0, None), (State.FAILED, 1, Failure.RAISED)],
)
def test_trial_has_what_its_state_needs(state: State, attempt: int, failure: Failure | None) -> None:
    row = trial_row(3, state)
    assert (row.trial_id, row.attempt, row.failure) == ("s/3", attempt, failure)
