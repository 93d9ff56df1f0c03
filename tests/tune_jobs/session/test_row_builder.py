"""Rows of a session: how a trial ends, its best epoch, and the columns of refused and trained trials."""

from __future__ import annotations

import json

import pytest
from session_testing import WORKER, Clock, a_study

from tune_jobs.feasible.cost import count_cost
from tune_jobs.search.asha import Verdict
from tune_jobs.search.records import TrialRecord
from tune_jobs.session.attempt import Attempt, LiveAttempt, Provenance, WorkerInfo
from tune_jobs.session.row_builder import Ending, RowBuilder, best_epoch, ending
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import Decision, EventKind, Failure, State
from tune_jobs.testing.rows import NOON, report_row

STUDY = a_study()
COST = count_cost(STUDY.recipe)
PROVENANCE = Provenance(git_commit="abc", ray_version="2.60")


def builder() -> RowBuilder:
    return RowBuilder(STUDY, PROVENANCE, Clock())


def live_attempt(**state: object) -> LiveAttempt:
    attempt = Attempt(trial_id="played/4", number=4, attempt=2, recipe=STUDY.recipe)
    return LiveAttempt(attempt=attempt, cost=COST, handed_out_at=NOON, worker=WORKER, **state)  # type: ignore[arg-type]  # as each test names it


@pytest.mark.parametrize(
    ("epoch", "decision", "expected"),
    [
        (3, None, None),
        (3, Decision.CONTINUE, None),
        (3, Decision.STOP, Ending(state=State.STOPPED, reason="3rd of 3")),
        (9, None, Ending(state=State.COMPLETED, reason="ran all 9 epochs")),
        (9, Decision.STOP, Ending(state=State.STOPPED, reason="3rd of 3")),
    ],
)
def test_a_trial_ends_by_its_rung_or_with_its_last_epoch(
    epoch: int, decision: Decision | None, expected: Ending | None
) -> None:
    verdict = Verdict(decision, "3rd of 3") if decision else None
    assert ending(live_attempt(last_epoch=epoch), verdict) == expected


@pytest.mark.parametrize(
    ("metric", "values", "expected"),
    [
        ("val_accuracy", (0.5, 0.9, 0.9, 0.1), 2),
        ("val_loss", (0.5, 0.9, 0.1, 0.1), 3),
        ("val_accuracy", (None, 0.5), 2),
        ("val_accuracy", (None,), None),
        ("val_accuracy", (), None),
    ],
)
def test_the_best_epoch_is_the_earliest_with_the_best_value(
    metric: str, values: tuple[float | None, ...], expected: int | None
) -> None:
    reports = [report_row(0, epoch, **{metric: value}) for epoch, value in enumerate(values, start=1)]
    assert best_epoch(STUDY.with_changes(objectives=(Objective(metric=metric),)), reports) == expected


def test_a_refused_proposal_has_its_cost_and_no_seconds() -> None:
    row = builder().refused(7, "{}", seed=5, cost=COST, reason="above a limit", history_seq=3)
    assert (row.state, row.reason, row.attempt, row.history_seq) == (State.INFEASIBLE, "above a limit", 0, 3)
    assert (row.macs, row.seed, row.git_commit) == (COST.macs, 5, "abc")
    assert (row.train_s, row.device_s, row.epochs, row.objective) == (0, 0, 0, None)


@pytest.mark.parametrize("failure", [None, Failure.RAISED])
def test_a_failed_trial_has_no_objective_and_keeps_its_error(failure: Failure | None) -> None:
    reports = [report_row(4, 1, 0.75), report_row(4, 2, 0.5)]
    record = TrialRecord(number=4, trial_id="played/4", params={"a": 1}, first_started_at=NOON, held_s=10.0)
    state = State.FAILED if failure else State.COMPLETED
    end = Ending(state=state, reason="because", failure=failure, error="ValueError: no" if failure else None)
    row = builder().trial(live_attempt(last_epoch=2), record, reports, end, history_seq=3)
    assert (row.objective, row.error) == ((None, "ValueError: no") if failure else (0.5, None))
    assert json.loads(row.objectives) == ({} if failure else {"val_accuracy": 0.5})
    assert (row.epochs, row.best_epoch, row.device_s, row.device) == (2, 1, 10.0, WORKER.device)
    assert json.loads(row.params) == {"a": 1}


def test_the_end_of_an_attempt_says_how_its_steps_were_executed() -> None:
    rows, live = builder(), live_attempt()
    live.learn(WorkerInfo(execution="graph"))
    live.learn(WorkerInfo(execution="eager", eager_because="a step waits"))
    for event in (rows.attempt_interrupted(live), rows.attempt_ended(live, "completed")):
        detail = json.loads(event.detail or "{}")
        assert (detail["execution"], detail["eager_because"]) == ("eager", "a step waits")


def test_events_of_an_attempt_name_it_and_its_worker() -> None:
    rows = builder()
    events = [
        rows.attempt_started(live_attempt()),
        rows.attempt_interrupted(live_attempt()),
        rows.attempt_ended(live_attempt(), "attempt 2 crashed: no", Failure.CRASHED),
    ]
    assert [event.kind for event in events] == [
        EventKind.ATTEMPT_STARTED,
        EventKind.ATTEMPT_INTERRUPTED,
        EventKind.ATTEMPT_ENDED,
    ]
    assert {(e.number, e.attempt, e.node, e.pid) for e in events} == {(4, 2, WORKER.node, WORKER.pid)}
    assert [event.failure for event in events] == [None, None, Failure.CRASHED]
    assert len({event.session for event in events}) == 1
