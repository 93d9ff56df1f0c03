"""The work before a run and its time: bounds for each order of values, and what the store changes."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from session_testing import MemoryLog, Metrics, a_session, a_study, play, play_attempt

from tune_jobs import Maximize
from tune_jobs.search.history import History
from tune_jobs.session.attempt import Attempt, SessionSettings, WorkerInfo
from tune_jobs.session.forecast import Pace, Work, estimate_time, work_before
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha, SamplerName
from tune_jobs.study.parameters import Choice, Float, Integer
from tune_jobs.study.rows import Failure
from tune_jobs.study.space import Space


def before(study: Study, log: MemoryLog | None = None, **settings: object) -> Work:
    history = History.from_rows(study, log.rows if log else ())
    return work_before(study, history, SessionSettings(**settings))  # type: ignore[arg-type]  # of each test


def test_a_new_study_has_bounds_that_its_rungs_give() -> None:
    work = before(a_study())  # 16 trials of 9 epochs, rungs at 1 and 3
    assert (work.trials, work.unfinished, work.given) == (16, 0, 0)
    assert work.least_epochs == 15 * 1 + 9
    assert work.most_epochs == 16 * 9
    assert work.likely_epochs == round(16 * (1 + 2 / 3 + 6 / 9))
    assert work.surely == 9


def test_without_rungs_every_trial_runs_to_its_end() -> None:
    work = before(a_study(asha=None))
    assert (work.least_epochs, work.most_epochs, work.likely_epochs) == (144, 144, None)
    searched = Space(Float("learning_rate", 0.1, 1.0), Choice("epochs", (2, 5)))
    work = before(a_study(asha=None, space=searched))
    assert (work.least_epochs, work.most_epochs) == (32, 80)
    work = before(a_study(space=searched, asha=Asha(min_epochs=3)))
    assert (work.least_epochs, work.most_epochs) == (32, 80)  # a trial of 2 epochs meets no rung


@pytest.mark.parametrize("order", ["rising", "falling", "random", "equal"])
@pytest.mark.parametrize("asha", [None, Asha(), Asha(min_epochs=2, reduction_factor=2)])
def test_no_order_of_values_leaves_the_bounds(order: str, asha: Asha | None) -> None:
    study, log, draw = a_study(asha=asha), MemoryLog(), random.Random(3)

    def curve(attempt: Attempt, epoch: int) -> Metrics:
        values = {"rising": attempt.number, "falling": -attempt.number, "equal": 0}
        value = values.get(order, draw.random())
        return {"epoch": epoch, "val_accuracy": float(value), "elapsed_s": 1.0}

    work = before(study)
    play(a_session(log, study), curve)
    trained = sum(trial.epochs for trial in log.trials)
    assert work.least_epochs <= trained <= work.most_epochs
    if order == "falling":
        assert trained == work.least_epochs
    if order == "rising":
        assert trained == work.most_epochs


def test_what_the_store_holds_is_left_out() -> None:
    study, log = a_study(), MemoryLog()
    session = a_session(log, study)
    for _ in range(5):
        attempt = session.next_attempt()
        assert attempt is not None
        play_attempt(session, attempt)
    begun = session.next_attempt()
    assert begun is not None
    work = before(study, log)
    assert (work.trials, work.unfinished) == (11, 1)
    assert work.least_epochs == 11  # rungs have values, so every trial may stop at the first
    assert work.surely == 0
    play(a_session(log, study))
    assert before(study, log).trials == 0
    assert before(study.with_changes(trials=20), log).trials == 4


def test_failed_trials_that_are_tried_again_and_points_count() -> None:
    study, log = a_study(), MemoryLog()
    session = a_session(log, study, max_failed_in_a_row=9)
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_failure(attempt.number, Failure.RAISED, "no", worker=WorkerInfo())
    assert before(study, log).trials == 15
    again = before(study, log, retry_failed=True)
    assert (again.trials, again.given) == (16, 1)
    point = {"learning_rate": 0.5, "optimizer": "sgd"}
    assert before(study, log, points=[point]).given == 1


def test_a_grid_has_no_more_trials_than_points() -> None:
    space = Space(Choice("optimizer", ("sgd", "adam")), Integer("repeat", 1, 2))
    study = a_study(space=space, sampler=SamplerName.GRID, asha=None, trials=10)
    assert before(study).trials == 4
    log = MemoryLog()
    session = a_session(log, study)
    attempt = session.next_attempt()
    assert attempt is not None
    assert before(study, log).trials == 4  # it is begun
    play_attempt(session, attempt)
    assert before(study, log).trials == 3


WORK = Work(
    trials=10,
    unfinished=0,
    given=0,
    least_epochs=18,
    most_epochs=90,
    likely_epochs=30,
    longest=9,
    surely=9,
)
PACE = Pace(epoch_s=2.0, count=5, source="this study")


def test_time_is_shared_by_workers_but_a_trial_is_not() -> None:
    alone = estimate_time(WORK, PACE, workers=1)
    assert (alone.least_s, alone.likely_s, alone.most_s) == (36, 60, 180)
    assert estimate_time(WORK, PACE, workers=None) == replace(alone, workers=None)
    pair = estimate_time(WORK, PACE, workers=2)
    assert (pair.least_s, pair.likely_s, pair.most_s) == (18, 30, 90)
    many = estimate_time(WORK, PACE, workers=100)  # no more workers than trials, and a trial takes 18 s
    assert (many.least_s, many.likely_s, many.most_s) == (18, 18, 18)


def test_own_training_binds_no_param_to_its_epochs() -> None:
    space = Space(Choice("epochs", (1, 2)), Float("rate", 0.1, 1.0))
    study = Study(
        name="own", space=space, train=lambda params, run: {}, epochs=9, trials=4, asha=None,
        objectives=(Maximize("iou"),),
    )  # fmt: skip
    assert (before(study).least_epochs, before(study).most_epochs) == (36, 36)
