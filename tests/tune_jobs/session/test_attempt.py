"""Attempts: the values that a worker gets, and the state that its messages give to an attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from eml_models.training.recipe import Recipe
from tune_jobs.feasible.cost import count_cost
from tune_jobs.session.attempt import Attempt, LiveAttempt, WorkerInfo

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RECIPE = Recipe(learning_rate=0.1, epochs=3)


def live_attempt() -> LiveAttempt:
    attempt = Attempt(trial_id="s/0", number=0, attempt=1, recipe=RECIPE)
    return LiveAttempt(attempt=attempt, cost=count_cost(RECIPE), handed_out_at=NOON)


def test_the_text_of_a_recipe_leads_back_to_it() -> None:
    assert Recipe.from_json(live_attempt().attempt.recipe_text) == RECIPE


def test_a_later_message_keeps_the_values_that_it_leaves_out() -> None:
    live = live_attempt()
    live.learn(WorkerInfo(node="10.0.0.1", device="cpu", imports_s=2.0))
    live.learn(WorkerInfo(device="cuda: x", data_s=3.0))
    assert live.worker == WorkerInfo(node="10.0.0.1", device="cuda: x", imports_s=2.0, data_s=3.0)


def test_an_attempt_is_held_from_the_instant_at_which_a_worker_got_it() -> None:
    live = live_attempt()
    assert (live.waited_s, live.held_s(NOON + timedelta(hours=1))) == (0.0, 0.0)
    live.held_since = NOON + timedelta(seconds=40)
    assert (live.waited_s, live.held_s(NOON + timedelta(seconds=100))) == (40.0, 60.0)


def test_a_clock_that_stepped_back_gives_no_negative_wait() -> None:
    live = live_attempt()
    live.held_since = NOON - timedelta(seconds=40)
    assert live.waited_s == 0.0
