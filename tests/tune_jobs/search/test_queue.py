"""Enqueued points and failed trials that are tried again come before the proposals of the sampler."""

from __future__ import annotations

import json

import pytest
from session_testing import WORKER, MemoryLog, a_session, a_study, play, table

from tune_jobs.analysis.audit import audit
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.method import Limits, SamplerName
from tune_jobs.study.parameters import Choice, Float
from tune_jobs.study.rows import Failure, State
from tune_jobs.study.space import Space

POINT = {"learning_rate": 0.25, "optimizer": "adam"}


def params_of(log: MemoryLog) -> list[dict[str, object]]:
    return [json.loads(row.params) for row in log.starts]


def test_enqueued_points_are_tried_first_and_once() -> None:
    log = MemoryLog()
    points = [POINT, {"learning_rate": 0.5, "optimizer": "sgd"}]
    play(a_session(log, a_study(trials=4), points=points))
    assert params_of(log)[:2] == points
    play(a_session(log, a_study(trials=8), points=points))
    assert [params for params in params_of(log) if params in points] == points
    assert audit(a_study(), log.rows).differences == ()


def test_what_a_point_leaves_out_is_drawn() -> None:
    log = MemoryLog()
    play(a_session(log, a_study(trials=13), points=[{"learning_rate": 0.25}, {"optimizer": "adam"}]))
    first, second = params_of(log)[:2]
    assert first["learning_rate"] == 0.25
    assert first["optimizer"] in ("sgd", "adam")
    assert second["optimizer"] == "adam"
    assert audit(a_study(), log.rows).differences == ()


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_what_a_point_leaves_out_is_drawn_for_no_other_trial(sampler: str) -> None:
    study = a_study(
        space=Space(*a_study().space.parameters, Float("weight_decay", 1e-6, 1e-2, log=True)),
        sampler=sampler,
        trials=8,
    )
    log = MemoryLog()
    play(a_session(log, study, points=[{"weight_decay": value} for value in (1e-3, 1e-4, 1e-5)]))
    assert [params["weight_decay"] for params in params_of(log)[:3]] == [1e-3, 1e-4, 1e-5]
    assert len({params["learning_rate"] for params in params_of(log)}) == 8
    assert audit(study, log.rows).differences == ()


def test_a_grid_keeps_all_its_points_behind_the_queue() -> None:
    space = Space(Choice("learning_rate", (0.1, 0.2)), Choice("optimizer", ("sgd", "adam")))
    study = a_study(space=space, sampler=SamplerName.GRID, trials=5)
    log = MemoryLog()
    play(a_session(log, study, points=[{"learning_rate": 0.2, "optimizer": "sgd"}]))
    assert len(params_of(log)) == 5
    assert len({json.dumps(params) for params in params_of(log)}) == 4


def test_a_point_beyond_a_limit_is_refused_like_any_proposal() -> None:
    study = a_study(limits=Limits(max_macs=1000), trials=2)
    log = MemoryLog()
    session = a_session(log, study, points=[POINT])
    with pytest.raises(Exception, match="refused"):
        play(session)
    assert json.loads(log.trials[0].params) == POINT
    assert {row.state for row in log.trials} == {State.INFEASIBLE}


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_queue_that_is_killed_ends_with_the_same_table(cut: int) -> None:
    points = [POINT, {"learning_rate": 0.3}, {"learning_rate": 0.01, "optimizer": "sgd"}]
    whole = MemoryLog()
    play(a_session(whole, a_study(trials=6), points=points))
    log = MemoryLog(whole.rows[:cut])
    play(a_session(log, a_study(trials=6), points=points))
    assert table(log) == table(whole)


def test_points_wait_where_the_study_has_its_trials() -> None:
    log = MemoryLog()
    play(a_session(log, a_study(trials=2)))
    session = a_session(log, a_study(trials=2), points=[POINT])
    assert session.finished
    session.close(SessionEnd.FINISHED)
    play(a_session(log, a_study(trials=3)))
    assert params_of(log)[-1] == POINT


def fail_first_three(log: MemoryLog) -> None:
    session = a_session(log, a_study(trials=5))
    for failure in (Failure.RAISED, Failure.OUT_OF_MEMORY, Failure.DIVERGED):
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_failure(attempt.number, failure, "no", worker=WORKER)
    play(session)
    session.close(SessionEnd.FINISHED)


def test_failed_trials_are_tried_again_as_new_ones_that_take_their_place() -> None:
    log = MemoryLog()
    fail_first_three(log)
    session = a_session(log, a_study(trials=5), retry_failed=True)
    assert not session.finished
    play(session)
    assert len(log.trials) == 7
    assert params_of(log)[5:] == params_of(log)[:2]
    assert [row.state for row in log.trials[:3]] == [State.FAILED] * 3
    assert a_session(log, a_study(trials=5), retry_failed=True).finished
    assert audit(a_study(), log.rows).differences == ()


def waiting_point_and_failed_trial(log: MemoryLog) -> None:
    """Three trials, the first of which failed, and a point that waits because there is no place for it."""
    session = a_session(log, a_study(trials=3))
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_failure(attempt.number, Failure.RAISED, "no", worker=WORKER)
    play(session)
    a_session(log, a_study(trials=3), points=[POINT]).close(SessionEnd.FINISHED)


def test_a_retry_takes_the_place_that_it_freed_before_points_that_wait() -> None:
    log = MemoryLog()
    waiting_point_and_failed_trial(log)
    play(a_session(log, a_study(trials=3), retry_failed=True))
    assert params_of(log)[3:] == params_of(log)[:1]
    session = a_session(log, a_study(trials=3), retry_failed=True)
    assert session.finished
    assert [point.params for point in session.history.enqueued] == [POINT]
    play(a_session(log, a_study(trials=4)))
    assert params_of(log)[4:] == [POINT]
    assert audit(a_study(), log.rows).differences == ()


def test_retries_keep_their_order_before_points_of_the_same_run() -> None:
    log = MemoryLog()
    fail_first_three(log)
    play(a_session(log, a_study(trials=6), points=[POINT], retry_failed=True))
    assert params_of(log)[5:] == [*params_of(log)[:2], POINT]


@pytest.mark.parametrize("cut", range(1, 9))
def test_retries_that_are_killed_end_with_the_same_table(cut: int) -> None:
    before = MemoryLog()
    waiting_point_and_failed_trial(before)
    whole = MemoryLog(before.rows[:])
    play(a_session(whole, a_study(trials=4), retry_failed=True))
    log = MemoryLog(whole.rows[: len(before.rows) + cut])
    play(a_session(log, a_study(trials=4), retry_failed=True))
    assert table(log) == table(whole)
