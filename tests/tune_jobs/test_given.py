"""What a search is given from outside: enqueued points, failed trials again, trials of other studies."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState
from session_testing import WORKER, Clock, MemoryLog, a_study, play, play_attempt, rising, table

from eml_models.errors import InvalidValueError, UnknownNameError
from tune_jobs.attempt import Failure, SessionSettings
from tune_jobs.audit import audit
from tune_jobs.point_files import read_points
from tune_jobs.search.given import MAX_TOLD
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.session import Session
from tune_jobs.space import Choice, Constant, Float, Space, When
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study import Limits, SamplerName, Study
from tune_jobs.trial import EventKind, EventRow, State
from tune_jobs.warm_start import OUTSIDE, Source, choose_told, read_source

POINT = {"learning_rate": 0.25, "optimizer": "adam"}
SPACE = Space(
    Choice("optimizer", ("sgd", "adam")),
    Float("momentum", 0.0, 0.9, when=When("optimizer", ("sgd",))),
    Constant("batch_size", 32),
)


def a_session(log: MemoryLog, study: Study | None = None, **settings: object) -> Session:
    return Session(
        study or a_study(),
        log,
        log.rows[:],
        settings=SessionSettings(**settings),  # type: ignore[arg-type]  # as each test names them
        clock=Clock(),
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
    session.close("finished")
    play(a_session(log, a_study(trials=3)))
    assert params_of(log)[-1] == POINT


def fail_first_three(log: MemoryLog) -> None:
    session = a_session(log, a_study(trials=5))
    for failure in (Failure.RAISED, Failure.OUT_OF_MEMORY, Failure.DIVERGED):
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_failure(attempt.number, failure, "no", worker=WORKER)
    play(session)
    session.close("finished")


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


def test_a_session_without_anything_to_do_writes_nothing() -> None:
    log = MemoryLog()
    play(session := a_session(log))
    session.close("finished")
    before = len(log.rows)
    a_session(log, retry_failed=True).close("finished")
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


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[{"optimizr": "sgd"}]',
            "point 1: optimizr: not in this space; known: optimizer, momentum, batch_size",
        ),
        (
            '[{"optimizer": "adam", "momentum": 0.5}]',
            r"momentum applies only where optimizer is one of \['sgd'\]",
        ),
        ('[{"optimizer": "sgd"}, {"momentum": 7}]', r"point 2: momentum must be in \[0, 0.9\], got 7"),
        ('[{"batch_size": 64}]', "batch_size is fixed at 32, got 64"),
        ("[]", "it holds no points"),
        ("[1]", "a point is an object, got 1"),
        ("{", "is no JSON"),
        ('[{"params": "x"}]', "its params are no JSON"),
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
    told, left_out = choose_told(study, source.rows)
    assert (len(told), left_out) == (16, {})
    log = MemoryLog()
    play(a_session(log, study, origin="played", told=told))
    assert {row.warm_started_from for row in log.starts} == {"played"}
    assert len(log.trials) == 14
    cold = played(study)
    assert mean_distance_from_best(log) < mean_distance_from_best(cold) / 1.5
    assert audit(study, log.rows).differences == ()


def test_told_trials_keep_their_states_and_no_number_of_the_study() -> None:
    source = played(a_study())
    study = a_study(name="second")
    log = MemoryLog()
    a_session(log, study, origin="played", told=choose_told(study, source.rows)[0])
    trials = as_optuna_study(study, History.from_rows(study, log.rows)).trials
    assert all(trial.number < 0 for trial in trials)
    pruned = [trial for trial in trials if trial.state is TrialState.PRUNED]
    assert len(pruned) == sum(row.state is State.STOPPED for row in source.trials)
    assert all(trial.intermediate_values for trial in pruned)


def test_a_warm_start_says_how_many_are_told_and_why_others_are_not() -> None:
    source = played(a_study(trials=6))
    ends = [replace(row, state=State.FAILED, objective=None) for row in source.trials[:2]]
    rows = [*source.starts, *source.reports, *source.trials[2:5], *ends]
    told, left_out = choose_told(a_study(name="second"), rows)
    text = Source(origin="played", trials=tuple(told), left_out=left_out).describe([])
    assert text == (
        "warm start: 3 trials of 'played' told to the sampler; 2 left out, failed or cancelled;"
        " 1 left out, not ended"
    )
    log = MemoryLog()
    a_session(log, a_study(name="second"), origin="played", told=told)
    again = Source(origin="played", trials=tuple(told), left_out={}).describe(log.rows)
    assert again == "warm start: 'played' was told in an earlier run of this study, and only once"


def test_warm_start_is_told_once() -> None:
    source = played(a_study())
    study = a_study(name="second", trials=2)
    told = choose_told(study, source.rows)[0]
    log = MemoryLog()
    play(a_session(log, study, origin="played", told=told))
    play(a_session(log, study.with_changes(trials=4), origin="played", told=told))
    assert sum(isinstance(r, EventRow) and r.kind is EventKind.WARM_STARTED for r in log.rows) == 1


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_warm_started_and_killed_goes_on_the_same(cut: int) -> None:
    source = played(a_study())
    study = a_study(name="second", trials=6, sampler="tpe")
    told = choose_told(study, source.rows)[0]
    whole = MemoryLog()
    play(a_session(whole, study, origin="played", told=told))
    log = MemoryLog(whole.rows[:cut])
    play(a_session(log, study, origin="played", told=told))
    assert table(log) == table(whole)


def test_trials_outside_the_space_are_left_out_and_the_most_telling_are_kept() -> None:
    source = played(a_study(trials=40))
    narrow = a_study(space=Space(Float("learning_rate", 1e-2, 1.0, log=True), Choice("optimizer", ("sgd",))))
    told, left_out = choose_told(narrow, source.rows)
    assert 0 < len(told) < 40
    assert left_out == {OUTSIDE: 40 - len(told)}
    assert all(trial.params["learning_rate"] >= 1e-2 for trial in told)
    many = [row for i in range(20) for row in _renumbered(source, i * 1000)]
    told, left_out = choose_told(a_study(), many)
    assert len(told) == MAX_TOLD
    assert left_out == {f"beyond the {MAX_TOLD} that say most": 20 * 40 - MAX_TOLD}
    best = max(row.objective or 0 for row in source.trials)
    assert sum(trial.end.objective == best for trial in told) == 20


def _renumbered(log: MemoryLog, by: int) -> list[object]:
    return [replace(row, number=row.number + by) for row in log.trials]


def test_sources_that_cannot_help_are_refused(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    with StudyWriter.open(store, a_study(), versions={}) as writer:
        session = Session(a_study(), writer, clock=Clock())
        attempt = session.next_attempt()
        assert attempt is not None
        play_attempt(session, attempt, rising)
    other = a_study(name="other")
    source = read_source(other, "played", store=store)
    assert len(source.trials) == 1
    assert source.describe([]) == "warm start: 1 trial of 'played' told to the sampler"
    assert len(read_source(other, f"{store}::played", store="elsewhere").trials) == 1
    with pytest.raises(InvalidValueError, match="cannot warm-start from itself"):
        read_source(a_study(), "played", store=store)
    with pytest.raises(UnknownNameError, match="unknown study 'playd'"):
        read_source(other, "playd", store=store)
    foreign = a_study(name="other", space=Space(Float("weight_decay", 0.1, 1.0)))
    with pytest.raises(InvalidValueError, match="'played' can be learned from: 1 with params outside this"):
        read_source(foreign, "played", store=store)
