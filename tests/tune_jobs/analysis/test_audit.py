"""Audits compute proposals and decisions again, and find each row that differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from session_testing import WORKER, Clock, MemoryLog, a_study, played

from tune_jobs.analysis.audit import audit
from tune_jobs.session.state_machine import Session
from tune_jobs.study.method import LatencyMode, Limits
from tune_jobs.study.rows import Decision, ReportRow, Row, StartRow, State


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("cut", [None, 7, 20, 41])
def test_rows_of_a_session_pass_their_audit(sampler: str, cut: int | None) -> None:
    log = played(cut, sampler=sampler)
    result = audit(a_study(sampler=sampler), log.rows)
    assert result.differences == ()
    assert result.num_proposals == len(log.trials) == 16
    assert result.num_decisions == sum(report.decision is not None for report in log.reports) > 10


def test_a_trial_counts_as_one_proposal_however_many_attempts_it_took() -> None:
    study = a_study(limits=Limits(max_latency_ms=1.0), latency=LatencyMode(), trials=1)
    log = MemoryLog()
    for latency_ms in (0.5, 0.5, 2.0):
        session = Session(study, log, log.rows[:], clock=Clock())
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_latency(attempt.number, latency_ms, WORKER)
    assert [row.attempt for row in log.starts] == [1, 2, 3]
    assert [row.state for row in log.trials] == [State.INFEASIBLE]
    assert audit(study, log.rows).num_proposals == 1


def other_params(row: Row) -> Row | None:
    if isinstance(row, StartRow) and row.number == 12:
        return replace(row, params='{"learning_rate":0.5,"optimizer":"sgd"}')
    return None


def other_decision(row: Row) -> Row | None:
    if isinstance(row, ReportRow) and row.decision is Decision.STOP and row.epoch == 1:
        return replace(row, decision=Decision.CONTINUE)
    return None


@pytest.mark.parametrize("change", [other_params, other_decision])
def test_changed_row_is_found(change: Callable[[Row], Row | None]) -> None:
    rows = played().rows
    index, changed = next((i, new) for i, row in enumerate(rows) if (new := change(row)) is not None)
    result = audit(a_study(), [*rows[:index], changed, *rows[index + 1 :]])
    assert result.differences
    assert result.differences[0].startswith(f"row {changed.seq}: trial ")
