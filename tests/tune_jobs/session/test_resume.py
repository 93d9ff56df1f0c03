"""How a run continues a study: the same table after a kill at any row, and nothing trained twice."""

from __future__ import annotations

import json
import math
import statistics

import pytest
from session_testing import (
    WORKER,
    Clock,
    MemoryLog,
    a_session,
    a_study,
    play,
    play_attempt,
    rising,
    session_of,
    table,
)
from two_objectives import played_front, two_objectives, wide_is_better

from tune_jobs.analysis.audit import audit
from tune_jobs.inputs.warm_start import choose_source_trials
from tune_jobs.search.history import History
from tune_jobs.session.attempt import SessionSettings
from tune_jobs.session.resume import iter_missed_ends, new_inputs
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.events import Enqueued, SessionEnd, WarmStarted
from tune_jobs.study.method import LatencyMode, Limits
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import Decision, EventKind, EventRow, Failure, State
from tune_jobs.testing.rows import NOON, history_of, report_row, start_row, trial_row


def fail_all(session: Session, failure: Failure) -> None:
    while (attempt := session.next_attempt()) is not None:
        session.record_failure(attempt.number, failure, "ValueError: no\nat line 1", worker=WORKER)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_session_cut_off_after_any_row_ends_with_the_same_table(sampler: str) -> None:
    whole = MemoryLog()
    play(session_of(whole, sampler=sampler))
    for cut in range(0, len(whole.rows), 3):
        log = MemoryLog(whole.rows[:cut])
        play(session_of(log, sampler=sampler))
        assert table(log) == table(whole), f"cut after row {cut}"


def test_second_attempt_of_a_decided_rung_hears_the_same_decision() -> None:
    log = MemoryLog()
    play(session_of(log))
    decided = next(r for r in log.reports if r.decision is Decision.CONTINUE)
    cut = MemoryLog([row for row in log.rows if row.seq <= decided.seq])
    play(session_of(cut))
    again = [r for r in cut.reports if (r.number, r.epoch) == (decided.number, decided.epoch)]
    assert [r.attempt for r in again] == [1, 2]
    assert again[1].decision_reason == decided.decision_reason


def test_trial_whose_last_report_was_decided_is_ended_by_the_next_session() -> None:
    log = MemoryLog()
    play(session_of(log))
    deciding = next(r for r in log.reports if r.decision is Decision.STOP)
    cut = MemoryLog([row for row in log.rows if row.seq <= deciding.seq])
    session_of(cut)
    assert [(t.number, t.state) for t in cut.trials if t.number == deciding.number] == [
        (deciding.number, State.STOPPED)
    ]


def test_extending_a_study_adds_trials_and_repeats_none() -> None:
    log = MemoryLog()
    play(session_of(log, trials=5))
    play(session_of(log, trials=9))
    assert [row.number for row in log.starts] == list(range(9))
    extended, at_once = table(log), MemoryLog()
    play(session_of(at_once, trials=9))
    assert extended == table(at_once)


def test_finished_study_writes_nothing() -> None:
    log = MemoryLog()
    play(session_of(log))
    before = len(log.rows)
    assert session_of(log).finished
    assert len(log.rows) == before


def test_a_lost_driver_costs_no_attempt() -> None:
    log = MemoryLog()
    for epoch in (1, 2, 3, 4):
        session = session_of(log, trials=1, asha=None)
        attempt = session.next_attempt()
        assert attempt is not None
        assert session.record_report(attempt.number, rising(attempt, epoch), WORKER) is Decision.CONTINUE
    session.record_failure(0, Failure.CRASHED, "ValueError: no", worker=WORKER)
    fail_all(session, Failure.CRASHED)
    assert [row.attempt for row in log.starts] == [1, 2, 3, 4, 5, 6]
    (trial,) = log.trials
    assert (trial.state, trial.reason) == (State.FAILED, "attempt 6 crashed: ValueError: no")


def test_crashes_are_counted_across_drivers() -> None:
    log = MemoryLog()
    for _ in range(3):
        session = session_of(log, trials=1, asha=None)
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_failure(attempt.number, Failure.HUNG, "silent", worker=WORKER)
    assert [row.state for row in log.trials] == [State.FAILED]
    assert session.history.trials == History.from_rows(a_study(), log.rows).trials


def measured() -> Study:
    """Latency is an objective, and limited to a millisecond."""
    objectives = (Objective(), Objective(metric="latency_ms"))
    limits = Limits(max_latency_ms=1.0)
    return a_study(latency=LatencyMode(), objectives=objectives, limits=limits, trials=1, asha=None)


def test_noise_of_a_later_measurement_undoes_nothing_that_was_trained() -> None:
    log = MemoryLog()
    for latency_ms, epochs in ((0.99, range(1, 9)), (1.01, range(9, 10))):
        session = Session(measured(), log, log.rows[:], clock=Clock())
        attempt = session.next_attempt()
        assert attempt is not None
        assert session.record_latency(attempt.number, latency_ms, WORKER) is Decision.CONTINUE
        for epoch in epochs:
            session.record_report(attempt.number, rising(attempt, epoch), WORKER)
    (trial,) = log.trials
    assert (trial.state, trial.epochs, trial.latency_ms) == (State.COMPLETED, 9, 0.99)
    assert {row.latency_ms for row in log.reports} == {0.99}
    assert session.history.trials[0].point == (trial.objective, 0.99)


def test_a_trial_that_has_not_reported_is_measured_anew() -> None:
    log = MemoryLog()
    for latency_ms, decision in ((0.99, Decision.CONTINUE), (1.01, Decision.STOP)):
        session = Session(measured(), log, log.rows[:], clock=Clock())
        attempt = session.next_attempt()
        assert attempt is not None
        assert session.record_latency(attempt.number, latency_ms, WORKER) is decision
    (trial,) = log.trials
    assert (trial.state, trial.latency_ms) == (State.INFEASIBLE, 1.01)


def test_an_end_that_a_kill_prevented_has_the_latency_too() -> None:
    whole = MemoryLog()
    session = Session(measured(), whole, clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_latency(attempt.number, 0.5, WORKER)
    play_attempt(session, attempt)
    log = MemoryLog([row for row in whole.rows if row.seq <= whole.reports[-1].seq])
    Session(measured(), log, log.rows[:], clock=Clock())
    assert [row.latency_ms for row in log.trials] == [row.latency_ms for row in whole.trials] == [0.5]


@pytest.mark.parametrize("cut", [5, 17, 40])
def test_a_search_by_two_objectives_that_is_cut_ends_with_the_same_table_and_passes_its_audit(
    cut: int,
) -> None:
    whole, _ = played_front(two_objectives())
    log = MemoryLog(whole.rows[:cut])
    again = Session(two_objectives(), log, log.rows[:], clock=Clock())
    play(again, wide_is_better)
    assert table(log) == table(whole)
    assert audit(two_objectives(), log.rows).differences == ()


def played(study: Study) -> MemoryLog:
    log = MemoryLog()
    play(Session(study, log, clock=Clock()))
    return log


def mean_distance_from_best(log: MemoryLog) -> float:
    """In decades, of the first eight rates from 0.1, where the curves are best."""
    rates = [json.loads(row.params)["learning_rate"] for row in log.starts[:8]]
    return statistics.mean(abs(math.log10(rate / 0.1)) for rate in rates)


def test_warm_started_study_learns_from_the_other_and_says_so() -> None:
    source = played(a_study(trials=16))
    study = a_study(name="second", seed=5, trials=14)
    given, left_out = choose_source_trials(study, source.rows)
    assert (len(given), left_out) == (16, {})
    log = MemoryLog()
    play(a_session(log, study, origin="played", source_trials=given))
    assert {row.warm_started_from for row in log.starts} == {"played"}
    assert len(log.trials) == 14
    cold = played(study)
    assert mean_distance_from_best(log) < mean_distance_from_best(cold) / 1.5
    assert audit(study, log.rows).differences == ()


def test_warm_start_is_learned_once() -> None:
    source = played(a_study())
    study = a_study(name="second", trials=2)
    given = choose_source_trials(study, source.rows)[0]
    log = MemoryLog()
    play(a_session(log, study, origin="played", source_trials=given))
    play(a_session(log, study.with_changes(trials=4), origin="played", source_trials=given))
    assert sum(isinstance(r, EventRow) and r.kind is EventKind.WARM_STARTED for r in log.rows) == 1


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_warm_started_study_that_is_killed_ends_with_the_same_table(cut: int) -> None:
    source = played(a_study())
    study = a_study(name="second", trials=6, sampler="tpe")
    given = choose_source_trials(study, source.rows)[0]
    whole = MemoryLog()
    play(a_session(whole, study, origin="played", source_trials=given))
    log = MemoryLog(whole.rows[:cut])
    play(a_session(log, study, origin="played", source_trials=given))
    assert table(log) == table(whole)


def test_a_session_without_anything_to_do_writes_nothing() -> None:
    log = MemoryLog()
    play(session := a_session(log))
    session.close(SessionEnd.FINISHED)
    before = len(log.rows)
    a_session(log, retry_failed=True).close(SessionEnd.FINISHED)
    assert len(log.rows) == before


def test_a_second_session_does_not_lengthen_the_first() -> None:
    """What a kill prevented is written by the session that finds it, after its own beginning."""
    whole = MemoryLog()
    play(a_session(whole))
    first_end = next(i for i, row in enumerate(whole.rows) if row in whole.trials)
    log = MemoryLog(whole.rows[:first_end])
    a_session(log)
    added = log.rows[first_end:]
    assert isinstance(added[0], EventRow)
    assert added[0].kind is EventKind.SESSION_STARTED
    assert added[1] in log.trials


def test_a_run_adds_points_and_origins_once() -> None:
    study, points = a_study(), [{"learning_rate": 0.5, "optimizer": "sgd"}]
    settings = SessionSettings(points=points, origin="other")
    added = new_inputs(study, History(study), settings)
    assert [type(detail) for detail in added] == [Enqueued, WarmStarted]
    log = MemoryLog()
    a_session(log, study, points=points, origin="other")
    assert new_inputs(study, History.from_rows(study, log.rows), settings) == []


def test_only_failed_trials_that_did_not_diverge_are_tried_again() -> None:
    study = a_study()
    rows = [start_row(n, {"optimizer": "sgd"}, study=study.name) for n in range(4)]
    ends = [
        trial_row(0, State.FAILED, study=study.name),
        trial_row(1, State.FAILED, study=study.name, failure=Failure.DIVERGED),
        trial_row(2, State.COMPLETED, study=study.name),
    ]
    (added,) = new_inputs(study, history_of(study, *rows, *ends), SessionSettings(retry_failed=True))
    assert isinstance(added, Enqueued)
    assert [(point.retry_of, point.first) for point in added.points] == [(0, True)]


def test_missed_ends_are_those_of_decided_and_of_complete_trials() -> None:
    study = a_study()
    params = {"learning_rate": 0.1, "optimizer": "sgd"}
    stop = {"decision": Decision.STOP, "decision_reason": "last of 3", "history_seq": 0}
    rows = [
        *(start_row(n, params, study=study.name) for n in range(4)),
        report_row(1, 1, 0.5, study=study.name),
        report_row(2, 1, 0.5, study=study.name, **stop),
        report_row(3, 9, 0.5, study=study.name),
    ]
    missed = list(iter_missed_ends(study, history_of(study, *rows), now=NOON))
    assert [(end.live.attempt.number, end.ending.state, end.ending.reason) for end in missed] == [
        (2, State.STOPPED, "last of 3"),
        (3, State.COMPLETED, "ran all 9 epochs"),
    ]
