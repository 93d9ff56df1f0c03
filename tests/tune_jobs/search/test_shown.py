"""What a sampler is shown of a long history: the best, the newest, those in hand; the same each time."""

from __future__ import annotations

import math
import random

import pytest
from session_testing import Clock, MemoryLog, Metrics, a_study, play_attempt
from two_objectives import played_front, two_objectives

from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.search.records import NUM_BEST
from tune_jobs.search.sampler import Tpe
from tune_jobs.search.shown import shown_trials
from tune_jobs.session.attempt import Attempt
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.rows import State


def noisy(attempt: Attempt, epoch: int) -> Metrics:
    quality = 1 - abs(math.log10(attempt.recipe.learning_rate) + 1) / 4
    noise = random.Random(attempt.number * 100 + epoch).uniform(0.0, 0.05)
    return {"epoch": epoch, "val_accuracy": min(1.0, quality * epoch / (epoch + 1) + noise)}


@pytest.fixture(scope="module")
def played() -> tuple[Study, MemoryLog, History]:
    """120 trials at random, two more in hand."""
    study = a_study(sampler="random", trials=200)
    log = MemoryLog()
    session = Session(study, log, clock=Clock())
    for _ in range(120):
        attempt = session.next_attempt()
        assert attempt is not None
        play_attempt(session, attempt, noisy)
    held = session.next_attempt(), session.next_attempt()
    assert None not in held
    return study, log, session.history


@pytest.mark.parametrize("most", [60, 80, 121])
def test_the_best_the_newest_and_those_in_hand_are_shown(
    played: tuple[Study, MemoryLog, History], most: int
) -> None:
    _, _, history = played
    shown = {record.number for record in shown_trials(history, most=most)}
    assert len(shown) == most
    completed = [r for r in history.trials.values() if r.state is State.COMPLETED]
    best = sorted(completed, key=lambda r: (-(r.objective or 0), r.number))[:NUM_BEST]
    stopped = [r for r in history.trials.values() if r.state is State.STOPPED]
    best += sorted(stopped, key=lambda r: (-r.last_epoch, -(r.objective or 0), r.number))[:NUM_BEST]
    assert {record.number for record in best} <= shown
    assert {120, 121} <= shown
    window = most - len({r.number for r in best} | {120, 121})
    assert set(range(122 - window, 122)) <= shown


def test_shown_follows_from_the_rows(played: tuple[Study, MemoryLog, History]) -> None:
    study, log, history = played
    again = History.from_rows(study, log.rows)
    assert shown_trials(again, most=50) == shown_trials(history, most=50)
    assert shown_trials(again) == [again.trials[number] for number in range(122)]


def test_below_the_bound_proposals_are_those_without_it(played: tuple[Study, MemoryLog, History]) -> None:
    study, _, history = played
    exact, bounded = Tpe(study, most=10**9), Tpe(study, most=122)
    assert [exact.propose(history, n) for n in (122, 123)] == [
        bounded.propose(history, n) for n in (122, 123)
    ]
    assert exact.propose(history, 124) != Tpe(study, most=60).propose(history, 124)


def test_analysis_sees_every_trial(played: tuple[Study, MemoryLog, History]) -> None:
    study, _, history = played
    assert len(as_optuna_study(study, history).trials) == 122


def test_a_long_history_shows_the_front() -> None:
    study = two_objectives().with_changes(trials=120)
    _, session = played_front(study)
    shown = {record.number for record in shown_trials(session.history, most=60)}
    assert len(shown) == 60
    assert {record.number for record in session.history.front} <= shown
    assert Tpe(study, most=60).propose(session.history, 500)["width"]
