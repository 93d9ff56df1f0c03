"""What every sampler must do, whatever its method. A new `SamplerName` is tested without a word here."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eml_models.training.recipe import Recipe
from tune_jobs.search.history import History
from tune_jobs.search.sampler import build_sampler
from tune_jobs.study.definition import Asha, Limits, SamplerName, Study
from tune_jobs.study.rows import Failure, ReportRow, Row, StartRow, State, TrialRow, as_json_text, trial_id
from tune_jobs.study.space import Choice, Constant, Float, Integer, Params, Space, When

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
EPOCHS = 4
OUTCOMES = (State.COMPLETED, State.STOPPED, State.FAILED, State.INFEASIBLE, None)
WEIGHTS = (4, 5, 2, 2, 1)
"""How often a trial ends in each state; None stays unfinished."""


def make_study(sampler: SamplerName, **changes: Any) -> Study:
    space = Space(
        Choice("optimizer", ("sgd", "sgd_momentum", "adam")),
        Float("learning_rate", 0.1, 0.5, step=0.1)
        if sampler is SamplerName.GRID
        else Float("learning_rate", 1e-4, 1.0, log=True),
        Float("momentum", 0.5, 0.75, step=0.25, when=When("optimizer", ("sgd_momentum",))),
        Integer("width", 1, 3),
        Choice("only", (True,)),
        Constant("fixed", (1, 2)),
    )
    recipe = Recipe(learning_rate=0.1, epochs=EPOCHS)
    defaults: dict[str, Any] = {"limits": Limits(max_macs=100), "asha": Asha(), "seed": 3}
    return Study(name="s", space=space, recipe=recipe, sampler=sampler, **{**defaults, **changes})


def start(number: int, params: Params, history_seq: int, attempt: int = 1) -> StartRow:
    return StartRow(
        study="s",
        trial_id=trial_id("s", number),
        number=number,
        attempt=attempt,
        history_seq=history_seq,
        params=as_json_text(params),
        recipe="{}",
        seed=0,
        started_at=NOON,
    )


def end(
    number: int,
    params: Params,
    state: State,
    reason: str,
    objective: float | None,
    failure: Failure | None = None,
) -> TrialRow:
    return TrialRow(
        study="s",
        trial_id=trial_id("s", number),
        number=number,
        attempt=0 if state is State.INFEASIBLE else 1,
        state=state,
        reason=reason,
        failure=failure,
        objective=objective,
        macs=150 if state is State.INFEASIBLE else 80,
        params=as_json_text(params),
        seed=0,
        ended_at=NOON,
    )


def report(number: int, epoch: int, value: float, attempt: int) -> ReportRow:
    return ReportRow(
        study="s",
        trial_id=trial_id("s", number),
        number=number,
        attempt=attempt,
        epoch=epoch,
        val_accuracy=value,
        reported_at=NOON,
    )


class Driver:
    """Rows of a made-up run: up to `workers` trials at a time, whose rows come in any order."""

    def __init__(self, study: Study, rng: random.Random, workers: int) -> None:
        self.study, self.rng, self.workers = study, rng, workers
        self.sampler, self.history = build_sampler(study), History(study)
        self.rows: list[Row] = []
        self.live: dict[int, Iterator[Row]] = {}

    def run(self, num_proposals: int) -> None:
        while self.history.next_number < num_proposals or self.live:
            if self.history.next_number < num_proposals and len(self.live) < self.workers:
                self.propose()
            if self.live:
                number = self.rng.choice(sorted(self.live))
                row = next(self.live[number], None)
                if row is None:
                    del self.live[number]
                else:
                    self.add(row)

    def propose(self) -> None:
        number, known = self.history.next_number, self.history.seq
        params = self.sampler.propose(self.history, number)
        assert params is not None
        (outcome,) = self.rng.choices(OUTCOMES, WEIGHTS)
        if outcome is State.INFEASIBLE:
            row = end(number, params, outcome, "too many MACs", None)
            self.add(replace(row, history_seq=known))
        else:
            self.add(start(number, params, known))
            self.live[number] = self.life(number, params, outcome)

    def life(self, number: int, params: Params, outcome: State | None) -> Iterator[Row]:
        epochs = EPOCHS if outcome is State.COMPLETED else self.rng.randrange(EPOCHS)
        value = None
        for attempt in range(1, 1 + self.rng.choice((1, 1, 2))):
            if attempt > 1:
                yield start(number, params, self.history.seq, attempt)
            for epoch in range(1, epochs + 1):
                value = self.rng.randrange(10) / 10
                yield report(number, epoch, value, attempt)
        if outcome is not None:
            kind = self.rng.choice((Failure.DIVERGED, Failure.RAISED))
            failure = kind if outcome is State.FAILED else None
            yield end(number, params, outcome, "ended", None if failure else value, failure)

    def add(self, row: Row) -> None:
        row = replace(row, seq=len(self.rows) + 1)
        self.rows.append(row)
        self.history.apply(row)


def run(sampler: SamplerName, seed: int = 0, workers: int = 3, num_proposals: int = 24) -> Driver:
    driver = Driver(make_study(sampler), random.Random(seed), workers)
    driver.run(num_proposals)
    return driver


@pytest.fixture(params=list(SamplerName))
def name(request: pytest.FixtureRequest) -> SamplerName:
    return SamplerName(request.param)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), workers=st.integers(2, 4))
def test_proposals_follow_from_the_rows_alone(name: SamplerName, seed: int, workers: int) -> None:
    driver = run(name, seed, workers)
    proposals = [row for row in driver.rows if not isinstance(row, ReportRow) and row.attempt < 2]
    checked = 0
    for row in proposals:
        if not isinstance(row, StartRow | TrialRow) or row.history_seq is None:
            continue
        replayed = History.at(driver.study, driver.rows, row.history_seq)
        proposed = build_sampler(driver.study).propose(replayed, row.number)
        assert proposed is not None
        assert as_json_text(proposed) == row.params, f"trial {row.number}"
        checked += 1
    assert checked == 24


def test_proposals_are_valid_complete_and_survive_json(name: SamplerName) -> None:
    driver = run(name)
    space = driver.study.space
    for number in range(24, 32):
        params = driver.sampler.propose(driver.history, number)
        assert params is not None
        assert params == space.validated(params)
        assert list(params) == [parameter.name for parameter in space.active(params)]
        assert space.validated(json.loads(as_json_text(params))) == params


def test_proposals_do_not_depend_on_earlier_questions(name: SamplerName) -> None:
    driver = run(name)
    first = driver.sampler.propose(driver.history, 24)
    for number in (40, 3, 25):
        driver.sampler.propose(driver.history, number)
    build_sampler(driver.study).propose(History(driver.study), 24)
    driver.sampler.propose(History(driver.study), 0)
    assert driver.sampler.propose(driver.history, 24) == first


def test_proposing_leaves_history_and_global_state_alone(name: SamplerName) -> None:
    driver = run(name)
    before = (driver.history.seq, dict(driver.history.trials), driver.history.next_number)
    random_state, numpy_state = random.getstate(), str(np.random.get_state(legacy=False))
    level, handlers = logging.getLogger().level, list(logging.getLogger().handlers)
    driver.sampler.propose(driver.history, 24)
    assert (driver.history.seq, driver.history.trials, driver.history.next_number) == before
    assert random.getstate() == random_state
    assert str(np.random.get_state(legacy=False)) == numpy_state
    assert (logging.getLogger().level, logging.getLogger().handlers) == (level, handlers)


def test_returned_params_may_be_changed(name: SamplerName) -> None:
    driver = run(name)
    params = driver.sampler.propose(driver.history, 24)
    assert params is not None
    expected = dict(params)
    params["width"] = 99
    assert driver.sampler.propose(driver.history, 24) == expected


def test_proposals_of_an_empty_history_differ_by_number(name: SamplerName) -> None:
    study = make_study(name)
    sampler, empty = build_sampler(study), History(study)
    proposals = [as_json_text(sampler.propose(empty, number) or {}) for number in range(10)]
    assert len(set(proposals)) > 5


def test_a_space_of_constants_has_one_proposal(name: SamplerName) -> None:
    study = make_study(name).with_changes(space=Space(Constant("a", 1), Choice("b", ("x",))))
    assert build_sampler(study).propose(History(study), 0) == {"a": 1, "b": "x"}


def test_end_reason_says_why_there_is_no_proposal(name: SamplerName) -> None:
    study = make_study(name)
    sampler, empty = build_sampler(study), History(study)
    for number in (0, 10**4):
        assert (sampler.propose(empty, number) is None) == (sampler.end_reason(number) is not None)


def test_a_seed_changes_what_is_drawn(name: SamplerName) -> None:
    drawn = []
    for seed in (0, 1):
        study = make_study(name, seed=seed)
        drawn.append(build_sampler(study).propose(History(study), 0))
    assert drawn[0] != drawn[1]
