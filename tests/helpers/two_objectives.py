"""A study with two objectives, played in this process: wide networks have more accuracy and more MACs."""

from __future__ import annotations

import math

from session_testing import Clock, MemoryLog, Metrics, a_study, play

from eml_models.training.recipe import Recipe
from tune_jobs.session.attempt import Attempt, SessionSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionEnd, SessionStarted
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Float, Integer
from tune_jobs.study.space import Space


def two_objectives(**changes: object) -> Study:
    """Accuracy against MACs."""
    space = Space(Integer("width", 1, 32), Float("learning_rate", 1e-3, 1.0, log=True))
    study = a_study(
        space=space,
        recipe=Recipe(learning_rate=0.1, epochs=9, dataset="digits"),
        objectives=(Objective(), Objective(metric="macs")),
        trials=24,
    )
    return study.with_changes(**changes)


def wide_is_better(attempt: Attempt, epoch: int) -> Metrics:
    width = attempt.recipe.model_options["width"]
    off = abs(math.log10(attempt.recipe.learning_rate) + 1)
    accuracy = (1 - 1 / (1 + width)) * (1 - 0.2 * off) * epoch / (epoch + 1)
    return {"epoch": epoch, "val_accuracy": accuracy, "epoch_s": 1.0, "elapsed_s": float(epoch)}


def played_front(study: Study) -> tuple[MemoryLog, Session]:
    log = MemoryLog()
    session = Session(study, log, settings=SessionSettings(started=SessionStarted(workers=1)), clock=Clock())
    play(session, wide_is_better)
    session.close(SessionEnd.FINISHED)
    return log, session
