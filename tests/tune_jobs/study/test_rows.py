"""What a trial's rows must say of a failure, and what its kinds are called."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.study.rows import METRICS_OF_REPORTS, EventKind, EventRow, Failure, ReportRow, State, TrialRow

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def ended(state: State, failure: Failure | None) -> TrialRow:
    return TrialRow(
        study="s", trial_id="s/0", number=0, attempt=1, state=state, reason="because a test says so",
        failure=failure, params="{}", seed=0, ended_at=NOON,
    )  # fmt: skip


def event(kind: EventKind, failure: Failure | None) -> EventRow:
    return EventRow(study="s", kind=kind, session="x", failure=failure, happened_at=NOON)


@pytest.mark.parametrize("failure", Failure)
def test_a_failure_has_a_name_for_queries_and_words_for_sentences(failure: Failure) -> None:
    assert failure.isidentifier()
    assert "_" not in failure.words


@pytest.mark.parametrize("state", State)
def test_a_trial_has_a_failure_where_it_failed_and_nowhere_else(state: State) -> None:
    right, wrong = (Failure.HUNG, None) if state is State.FAILED else (None, Failure.HUNG)
    assert ended(state, right).failure is right
    with pytest.raises(InvalidValueError, match=f"failure if its state is failed, .* with state {state}"):
        ended(state, wrong)


@pytest.mark.parametrize("kind", EventKind)
def test_only_an_attempt_that_ended_has_a_failure(kind: EventKind) -> None:
    if kind is EventKind.ATTEMPT_ENDED:
        assert event(kind, Failure.HUNG).failure is Failure.HUNG
        return
    with pytest.raises(InvalidValueError, match="only an attempt that ended has a failure, got hung"):
        event(kind, Failure.HUNG)


def test_a_metric_that_a_report_lacks_is_none_also_if_a_column_has_its_name() -> None:
    report = ReportRow(
        study="s",
        trial_id="s/7",
        number=7,
        attempt=2,
        epoch=3,
        val_loss=0.5,
        metrics='{"attempt":0.25,"note":"ok"}',
        reported_at=NOON,
    )
    names = ("number", "attempt", "epoch", "note", "val_loss", "val_accuracy", "unknown")
    assert [report.value(name) for name in names] == [None, 0.25, None, None, 0.5, None, None]
    assert {f.name for f in fields(ReportRow)} > METRICS_OF_REPORTS
