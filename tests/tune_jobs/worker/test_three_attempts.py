"""A state belongs to the report of its attempt: what a third attempt loads after kills of the first two.

Each of the two is killed before or while its state is written, or before or after its report is recorded. The
function is not deterministic: what it saves names its attempt, so a state of another attempt shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from own_kills import Fate, Killed, Moment, MortalCheckpoints

from tune_jobs import Float, Maximize, Space, Study
from tune_jobs.checkpoints.files import Identity
from tune_jobs.session.attempt import Attempt, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.rows import Failure, ReportRow
from tune_jobs.testing.clock import SteppingClock
from tune_jobs.testing.memory_log import MemoryLog
from tune_jobs.worker.own_attempt import OwnAttempt
from tune_jobs.worker.trial_run import TrialRun

KILLS = (Moment.BEFORE_SAVE, Moment.TORN_SAVE, Moment.BEFORE_RECORD, Moment.AFTER_RECORD)
"""The moments after the recorded reports at which an attempt is killed."""


class Driver(StrEnum):
    """What becomes of the driver as an attempt is killed."""

    LIVES = "it notices the crash"
    DIES = "it is killed too, and the next driver continues"


class Trial:
    """A trial of a session, whose attempts are killed; what each report had saved is noted."""

    def __init__(self, store: Path, saves: dict[int, set[int]], *, loads: set[int]) -> None:
        self._saves, self._loads, self.log = saves, loads, MemoryLog()
        self.loaded: list[Any] = []
        self._study = Study(
            name="own", space=Space(Float("lr", 0.1, 1.0)), train=self._train, epochs=20,
            objectives=(Maximize("iou"),), trials=1, asha=None,
        )  # fmt: skip
        self._store = str(store)
        self._number_of_attempt = 0
        self._session = self._new_session()

    def _new_session(self) -> Session:
        return Session(self._study, self.log, self.log.rows[:], clock=SteppingClock())

    def _train(self, params: dict[str, Any], run: TrialRun) -> Iterator[dict[str, float]]:
        attempt, epoch = self._number_of_attempt, 0
        if attempt in self._loads:
            self.loaded.append(run.load())
            epoch = self.loaded[-1][1] if self.loaded[-1] else 0
        while True:
            epoch += 1
            if epoch in self._saves[attempt]:
                run.save((attempt, epoch))
            yield {"iou": float(attempt)}

    def play(self, num_reports: int, kill: Moment, driver: Driver) -> None:
        """An attempt that has this number of recorded reports, and is then killed."""
        attempt = self._session.next_attempt()
        assert attempt is not None
        self._number_of_attempt = attempt.attempt
        fate = Fate(moment=None, steps=0)
        reports = self._begin(attempt, fate).iter_reports()
        for _ in range(num_reports):
            report = next(reports)
            self._session.record_report(
                0, {"epoch": report.epoch}, WorkerInfo(device="cpu"), own=report.metrics
            )
        fate.moment = kill
        if kill is not Moment.AFTER_RECORD:
            with suppress(Killed):
                next(reports)
        if driver is Driver.DIES:
            self._session = self._new_session()
        else:
            self._session.record_failure(0, Failure.CRASHED, "killed", worker=WorkerInfo())
        reports.close()

    def _begin(self, attempt: Attempt, fate: Fate) -> OwnAttempt:
        assert isinstance(attempt.recipe, OwnRecipe)
        return OwnAttempt(
            self._train,
            attempt.recipe,
            number=0,
            attempt=attempt.attempt,
            acknowledged=attempt.acknowledged,
            checkpoints=MortalCheckpoints(
                store=self._store,
                study="own",
                identity=Identity(fingerprint="f", created_at="2026-01-01"),
                fate=fate,
            ),
        )

    def last_saved(self) -> tuple[int, int] | None:
        """What was saved with the last recorded report, in the order of recording, that has a state."""
        keys = [(row.attempt, row.epoch) for row in self.log.rows if isinstance(row, ReportRow)]
        saved = [key for key in keys if key[1] in self._saves[key[0]]]
        return saved[-1] if saved else None


EVERY, NEVER, RARELY = set(range(1, 99)), set[int](), {2, 4, 6}
CASES = (
    (EVERY, EVERY, 1, 1, Driver.LIVES),
    (EVERY, NEVER, 3, 4, Driver.DIES),
    (RARELY, RARELY, 3, 1, Driver.LIVES),
    (RARELY, NEVER, 3, 4, Driver.LIVES),
)
"""When the first and the second attempt save, how many recorded reports each has, and the driver."""


@pytest.mark.parametrize(("first", "second"), list(product(KILLS, KILLS)))
def test_third_attempt_loads_what_the_last_recorded_report_saved(
    tmp_path: Path, first: Moment, second: Moment
) -> None:
    for index, (case, second_loads) in enumerate(product(CASES, (True, False))):
        saves_1, saves_2, num_1, num_2, driver = case
        loads = {1, 2, 3} if second_loads else {1, 3}
        trial = Trial(tmp_path / str(index), {1: saves_1, 2: saves_2, 3: EVERY}, loads=loads)
        trial.play(num_1, first, driver)
        expected = [None, *([trial.last_saved()] if second_loads else [])]
        trial.play(num_2, second, driver)
        expected.append(trial.last_saved())
        trial.play(1, Moment.AFTER_RECORD, driver)
        assert trial.loaded == expected, (case, second_loads)


def test_state_that_was_written_and_not_recorded_stays_unused_when_a_later_attempt_reports_its_epoch(
    tmp_path: Path,
) -> None:
    """The first attempt writes the state of report 4 and dies; the second records its own report 4."""
    trial = Trial(tmp_path, {1: EVERY, 2: NEVER, 3: EVERY}, loads={1, 2, 3})
    trial.play(3, Moment.BEFORE_RECORD, Driver.DIES)
    trial.play(2, Moment.AFTER_RECORD, Driver.DIES)
    trial.play(1, Moment.AFTER_RECORD, Driver.DIES)
    assert trial.loaded == [None, (1, 3), (1, 3)]
