"""What a search is given from outside: enqueued points, and failed trials again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from session_testing import WORKER, MemoryLog, a_session, a_study, play, table

from eml_models.errors import InvalidValueError
from tune_jobs.analysis.audit import audit
from tune_jobs.inputs.point_files import read_points
from tune_jobs.search.given import check_point
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.method import Limits, SamplerName
from tune_jobs.study.rows import EventKind, EventRow, Failure, State
from tune_jobs.study.space import Choice, Constant, Float, Space, When

POINT = {"learning_rate": 0.25, "optimizer": "adam"}
SPACE = Space(
    Choice("optimizer", ("sgd", "adam")),
    Float("momentum", 0.0, 0.9, when=When("optimizer", ("sgd",))),
    Choice("nesterov", (True, False), when=When("momentum", (0.5, 0.9))),
    Constant("batch_size", 32),
)


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
def test_killed_and_continued_the_queue_goes_on(cut: int) -> None:
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
def test_killed_while_retrying_it_goes_on_the_same(cut: int) -> None:
    before = MemoryLog()
    waiting_point_and_failed_trial(before)
    whole = MemoryLog(before.rows[:])
    play(a_session(whole, a_study(trials=4), retry_failed=True))
    log = MemoryLog(whole.rows[: len(before.rows) + cut])
    play(a_session(log, a_study(trials=4), retry_failed=True))
    assert table(log) == table(whole)


def test_a_session_without_anything_to_do_writes_nothing() -> None:
    log = MemoryLog()
    play(session := a_session(log))
    session.close(SessionEnd.FINISHED)
    before = len(log.rows)
    a_session(log, retry_failed=True).close(SessionEnd.FINISHED)
    assert len(log.rows) == before


def test_a_second_session_does_not_lengthen_the_first(tmp_path: Path) -> None:
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


# Files of points.


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.json", '[{"optimizer": "sgd", "momentum": 0.5}, {"optimizer": "adam"}]'),
        ("lines.jsonl", '{"optimizer": "sgd", "momentum": 0.5}\n{"optimizer": "adam"}\n'),
        (
            "rows.json",
            '[{"params": "{\\"optimizer\\":\\"sgd\\",\\"momentum\\":0.5}"}, {"optimizer": "adam"}]',
        ),
        ("table.csv", "optimizer,momentum\nsgd,0.5\nadam,\n"),
        ("columns.csv", "param_optimizer,param_momentum\nsgd,0.5\nadam,\n"),
    ],
)
def test_points_are_read_from_json_and_csv(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    points = read_points(str(tmp_path / name), SPACE)
    assert points == [{"optimizer": "sgd", "momentum": 0.5}, {"optimizer": "adam"}]


def test_a_point_holds_what_its_parameters_depend_on(tmp_path: Path) -> None:
    (tmp_path / "points.json").write_text('[{"momentum": 0.7}, {"nesterov": true, "momentum": 0.5}]')
    assert read_points(str(tmp_path / "points.json"), SPACE) == [
        {"optimizer": "sgd", "momentum": 0.7},
        {"optimizer": "sgd", "momentum": 0.5, "nesterov": True},
    ]
    fixed = SPACE.fixed({"optimizer": "sgd"})
    assert check_point(fixed, {"momentum": 0.7}) == {"momentum": 0.7}
    with pytest.raises(InvalidValueError, match=r"only where optimizer is one of \['sgd'\], got 'adam'"):
        check_point(SPACE.fixed({"optimizer": "adam"}), {"momentum": 0.7})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[{"optimizr": "sgd"}]',
            "point 1: optimizr: not in this space; known: optimizer, momentum, nesterov, batch_size",
        ),
        (
            '[{"optimizer": "adam", "momentum": 0.5}]',
            r"momentum applies only where optimizer is one of \['sgd'\]",
        ),
        ('[{"optimizer": "sgd"}, {"momentum": 7}]', r"point 2: momentum must be in \[0, 0.9\], got 7"),
        ('[{"batch_size": 64}]', "batch_size is fixed at 32, got 64"),
        (
            '[{"nesterov": true}]',
            r"nesterov applies only where momentum is one of \[0.5, 0.9\]; give momentum",
        ),
        ("[]", "it holds no points"),
        ("[1]", "a point is an object, got 1"),
        ("{", "is no JSON"),
        ('[{"params": "x"}]', "its params must be a JSON object"),
    ],
)
def test_bad_points_are_all_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "points.json").write_text(text)
    with pytest.raises(InvalidValueError, match=problem):
        read_points(str(tmp_path / "points.json"), SPACE)


def test_missing_file_of_points_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"nowhere\.json"):
        read_points(str(tmp_path / "nowhere.json"), SPACE)


# Warm start.
