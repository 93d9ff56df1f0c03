"""Which checkpoints a study keeps: those of its best and living trials, within a limit of bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from bucket_testing import bucket_away, moody_url
from session_testing import Clock, MemoryLog, a_study, play

from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe
from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.checkpoints.retention import Retention, best_numbers
from tune_jobs.session.state_machine import Session
from tune_jobs.study.rows import State

RECIPE = Recipe(learning_rate=0.05, epochs=3, max_train_samples=128)
IDENTITY = Identity(fingerprint="f0", created_at="2026-11-24T12:00:00+00:00")


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(store=str(tmp_path), study="study", identity=IDENTITY)


def test_tidying_without_the_bucket_is_put_off(caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog()
    session = Session(a_study(), log)
    play(session)
    checkpoints = Checkpoints(store=moody_url(), study="study", identity=IDENTITY)
    training = fit(RECIPE)
    next(iter(training))
    for number in range(session.study.trials):
        checkpoints.save(number, 1, training.snapshot(), recipe=RECIPE.to_json(), final=True)
    retention = Retention(checkpoints, keep=2)
    with bucket_away():
        retention.tidy(session.history)
    assert "were not removed yet: could not list" in caplog.text
    retention.tidy(session.history)  # at once again is too early
    assert len(checkpoints.numbers()) == session.study.trials
    retention.tidy(session.history, last=True)
    assert checkpoints.numbers() == sorted(best_numbers(session.history, 2))


def test_only_the_best_and_the_living_keep_files(checkpoints: Checkpoints) -> None:
    log = MemoryLog()
    session = Session(a_study(), log)
    play(session)
    living = Session(a_study(trials=17), log, log.rows[:])
    attempt = living.next_attempt()
    assert attempt is not None
    for number in range(17):
        checkpoints.folder(number).mkdir(parents=True)
        (checkpoints.folder(number) / "attempt-1.pt").touch()
        (checkpoints.folder(number) / "final-1.pt").touch()
    Retention(checkpoints, keep=2).tidy(living.history)
    completed = [row for row in log.trials if row.state is State.COMPLETED]
    best = sorted(completed, key=lambda row: (-(row.objective or 0), row.number))[:2]
    assert best_numbers(living.history, 2) == [row.number for row in best]
    assert checkpoints.numbers() == sorted([*(row.number for row in best), 16])
    assert (checkpoints.folder(16) / "attempt-1.pt").exists()
    assert [path.name for path in checkpoints.folder(best[0].number).iterdir()] == ["final-1.pt"]


def test_size_limit_takes_the_worst_of_the_best_and_no_living_trial(checkpoints: Checkpoints) -> None:
    log = MemoryLog()
    study = a_study(asha=None, trials=4)
    play(Session(study, log, clock=Clock()))
    living = Session(study.with_changes(trials=5), log, log.rows[:], clock=Clock())
    living.next_attempt()
    for number in range(5):
        checkpoints.folder(number).mkdir(parents=True)
        (checkpoints.folder(number) / ("final-1.pt" if number < 4 else "attempt-1.pt")).write_bytes(
            bytes(100)
        )
    best = best_numbers(living.history, 4)
    Retention(checkpoints, keep=4, max_bytes=350).tidy(living.history)
    assert checkpoints.numbers() == sorted([*best[:2], 4])
    Retention(checkpoints, keep=4, max_bytes=0).tidy(living.history)
    assert checkpoints.numbers() == [4]
