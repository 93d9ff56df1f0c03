"""The rows that `tune_jobs.testing.rows` makes: each has the values that its state needs."""

from __future__ import annotations

import pytest

from tune_jobs.study.rows import Failure, State
from tune_jobs.testing.rows import trial_row


@pytest.mark.parametrize(
    ("state", "attempt", "failure"),
    [(State.COMPLETED, 1, None), (State.INFEASIBLE, 0, None), (State.FAILED, 1, Failure.RAISED)],
)
def test_trial_has_what_its_state_needs(state: State, attempt: int, failure: Failure | None) -> None:
    row = trial_row(3, state)
    assert (row.trial_id, row.attempt, row.failure) == ("s/3", attempt, failure)
