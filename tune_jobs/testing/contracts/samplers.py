"""What every sampler must do, whatever its method (`tune_jobs.search.sampler.Sampler`)."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eml_models.training.recipe import Recipe
from tune_jobs.search.history import History
from tune_jobs.search.sampler import Sampler, build_sampler
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha, Limits, SamplerName
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Params, When
from tune_jobs.study.rows import Failure, Row, StartRow, State, TrialRow, as_json_text
from tune_jobs.study.space import Space
from tune_jobs.testing.rows import report_row, start_row, trial_row

EPOCHS = 4
NUM_PROPOSALS = 24
OUTCOMES = (State.COMPLETED, State.STOPPED, State.FAILED, State.INFEASIBLE, None)
WEIGHTS = (4, 5, 2, 2, 1)
"""How often a trial ends in each state; None stays unfinished."""


class MadeUpRun:
    """Rows of a made-up run: up to `workers` trials at a time, whose rows come in any order."""

    def __init__(self, study: Study, sampler: Sampler, *, seed: int, workers: int) -> None:
        self.study, self.sampler, self._workers = study, sampler, workers
        self._random = random.Random(seed)
        self.history = History(study)
        self.rows: list[Row] = []
        self._live: dict[int, Iterator[Row]] = {}
        while self.history.next_number < NUM_PROPOSALS or self._live:
            self._advance()

    def _advance(self) -> None:
        if self.history.next_number < NUM_PROPOSALS and len(self._live) < self._workers:
            self._propose()
        if self._live:
            number = self._random.choice(sorted(self._live))
            row = next(self._live[number], None)
            if row is None:
                del self._live[number]
            else:
                self._add(row)

    def _propose(self) -> None:
        number, known = self.history.next_number, self.history.seq
        params = self.sampler.propose(self.history, number)
        assert params is not None
        (outcome,) = self._random.choices(OUTCOMES, WEIGHTS)
        if outcome is State.INFEASIBLE:
            self._add(trial_row(number, outcome, params, macs=150, history_seq=known))
        else:
            self._add(start_row(number, params, history_seq=known))
            self._live[number] = self._iter_life(number, params, outcome)

    def _iter_life(self, number: int, params: Params, outcome: State | None) -> Iterator[Row]:
        epochs = EPOCHS if outcome is State.COMPLETED else self._random.randrange(EPOCHS)
        value = None
        for attempt in range(1, 1 + self._random.choice((1, 1, 2))):
            if attempt > 1:
                yield start_row(number, params, attempt=attempt, history_seq=self.history.seq)
            for epoch in range(1, epochs + 1):
                value = self._random.randrange(10) / 10
                yield report_row(number, epoch, value, attempt=attempt)
        if outcome is State.FAILED:
            failure = self._random.choice((Failure.DIVERGED, Failure.RAISED))
            yield trial_row(number, outcome, params, macs=80, failure=failure)
        elif outcome is not None:
            yield trial_row(number, outcome, params, macs=80, objective=value)

    def _add(self, row: Row) -> None:
        row = replace(row, seq=len(self.rows) + 1)
        self.rows.append(row)
        self.history.apply(row)


class SamplerContract:
    """The tests; a derived class says which sampler.

    Attributes:
        method: the method that the study of the tests names.
        needs_grid: whether the sampler needs a space without continuous parameters.
    """

    method = SamplerName.TPE
    needs_grid = False

    def build(self, study: Study) -> Sampler:
        """The sampler under test, for this study."""
        return build_sampler(study)

    def study(self, *, seed: int = 3, space: Space | None = None) -> Study:
        """A study with a parameter of every kind."""
        rate = (
            Float("learning_rate", 0.1, 0.5, step=0.1)
            if self.needs_grid
            else Float("learning_rate", 1e-4, 1.0, log=True)
        )
        whole = Space(
            Choice("optimizer", ("sgd", "sgd_momentum", "adam")),
            rate,
            Float("momentum", 0.5, 0.75, step=0.25, when=When("optimizer", ("sgd_momentum",))),
            Integer("width", 1, 3),
            Choice("only", (True,)),
            Constant("fixed", (1, 2)),
        )
        return Study(
            name="s",
            space=space or whole,
            recipe=Recipe(learning_rate=0.1, epochs=EPOCHS),
            sampler=self.method,
            limits=Limits(max_macs=100),
            asha=Asha(),
            seed=seed,
        )

    def run(self, seed: int = 0, workers: int = 3) -> MadeUpRun:
        """A run of 24 proposals under way."""
        study = self.study()
        return MadeUpRun(study, self.build(study), seed=seed, workers=workers)

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(seed=st.integers(0, 2**32), workers=st.integers(2, 4))
    def test_proposals_follow_from_the_rows_alone(self, seed: int, workers: int) -> None:
        run = self.run(seed, workers)
        checked = 0
        for row in run.rows:
            if not isinstance(row, StartRow | TrialRow) or row.attempt > 1 or row.history_seq is None:
                continue
            replayed = History.at(run.study, run.rows, row.history_seq)
            proposed = self.build(run.study).propose(replayed, row.number)
            assert proposed is not None
            assert as_json_text(proposed) == row.params, f"trial {row.number}"
            checked += 1
        assert checked == NUM_PROPOSALS

    def test_proposals_are_valid_complete_and_survive_json(self) -> None:
        run = self.run()
        space = run.study.space
        for number in range(NUM_PROPOSALS, NUM_PROPOSALS + 8):
            params = run.sampler.propose(run.history, number)
            assert params is not None
            assert params == space.validated(params)
            assert list(params) == [parameter.name for parameter in space.active(params)]
            assert space.validated(json.loads(as_json_text(params))) == params

    def test_proposals_do_not_depend_on_earlier_questions(self) -> None:
        run = self.run()
        first = run.sampler.propose(run.history, NUM_PROPOSALS)
        for number in (40, 3, 25):
            run.sampler.propose(run.history, number)
        self.build(run.study).propose(History(run.study), NUM_PROPOSALS)
        run.sampler.propose(History(run.study), 0)
        assert run.sampler.propose(run.history, NUM_PROPOSALS) == first

    def test_proposing_leaves_history_and_global_state_alone(self) -> None:
        run = self.run()
        before = (run.history.seq, dict(run.history.trials), run.history.next_number)
        random_state, numpy_state = random.getstate(), str(np.random.get_state(legacy=False))
        level, handlers = logging.getLogger().level, list(logging.getLogger().handlers)
        run.sampler.propose(run.history, NUM_PROPOSALS)
        assert (run.history.seq, run.history.trials, run.history.next_number) == before
        assert random.getstate() == random_state
        assert str(np.random.get_state(legacy=False)) == numpy_state
        assert (logging.getLogger().level, logging.getLogger().handlers) == (level, handlers)

    def test_returned_params_may_be_changed(self) -> None:
        run = self.run()
        params = run.sampler.propose(run.history, NUM_PROPOSALS)
        assert params is not None
        expected = dict(params)
        params["width"] = 99
        assert run.sampler.propose(run.history, NUM_PROPOSALS) == expected

    def test_proposals_of_an_empty_history_differ_by_number(self) -> None:
        study = self.study()
        sampler, empty = self.build(study), History(study)
        proposals = [as_json_text(sampler.propose(empty, number) or {}) for number in range(10)]
        assert len(set(proposals)) > 5

    def test_a_space_of_constants_has_one_proposal(self) -> None:
        study = self.study(space=Space(Constant("a", 1), Choice("b", ("x",))))
        assert self.build(study).propose(History(study), 0) == {"a": 1, "b": "x"}

    def test_end_reason_says_why_there_is_no_proposal(self) -> None:
        study = self.study()
        sampler, empty = self.build(study), History(study)
        for number in (0, 10**4):
            assert (sampler.propose(empty, number) is None) == (sampler.end_reason(number) is not None)

    def test_a_seed_changes_what_is_drawn(self) -> None:
        drawn = []
        for seed in (0, 1):
            study = self.study(seed=seed)
            drawn.append(self.build(study).propose(History(study), 0))
        assert drawn[0] != drawn[1]
