"""A session played in this process by a worker that reports scripted curves. No Ray, no disk."""

from __future__ import annotations

from collections.abc import Callable

from eml_models.training.recipe import Recipe
from tune_jobs.session.attempt import Attempt, Progress, SessionSettings, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionEnd, SessionStarted
from tune_jobs.study.method import Asha
from tune_jobs.study.parameters import Choice, Float
from tune_jobs.study.space import Space
from tune_jobs.testing import in_process
from tune_jobs.testing.clock import SteppingClock
from tune_jobs.testing.memory_log import MemoryLog

WORKER = WorkerInfo(node="10.0.0.1", hostname="host", pid=7, device="cpu: x", torch_version="2")
NOTHING = Progress(
    target=8,
    trained=0,
    trained_before=0,
    completed=0,
    stopped=0,
    failed=0,
    infeasible=0,
    running=0,
    best=None,
    best_number=None,
    elapsed_s=1.0,
    working_s=0.0,
)
"""A second of a run of 8 trials, before the first one."""
Metrics = dict[str, object]
Curve = Callable[[Attempt, int], Metrics]


Clock = SteppingClock
"""A second passes at each look."""


def a_study(**changes: object) -> Study:
    study = Study(
        name="played",
        space=Space(Float("learning_rate", 1e-4, 1.0, log=True), Choice("optimizer", ("sgd", "adam"))),
        recipe=Recipe(learning_rate=0.1, epochs=9),
        trials=16,
        asha=Asha(min_epochs=1, reduction_factor=3),
    )
    return study.with_changes(**changes)


def a_session(log: MemoryLog, study: Study | None = None, **settings: object) -> Session:
    """A session that continues from the log's rows."""
    return Session(
        study or a_study(),
        log,
        log.rows[:],
        settings=SessionSettings(**settings),  # type: ignore[arg-type]  # as each test names them
        clock=Clock(),
    )


def session_of(log: MemoryLog, **changes: object) -> Session:
    """A session of a changed study that continues from the log's rows."""
    return a_session(log, a_study(**changes))


def rising(attempt: Attempt, epoch: int) -> Metrics:
    """A curve that depends on the learning rate alone and keeps the trials' order."""
    quality = 1 - abs(attempt.recipe.learning_rate - 0.1)
    return {"epoch": epoch, "val_accuracy": quality * epoch / (epoch + 1), "train_loss": 1.0 / epoch,
    "epoch_s": 1.0, "elapsed_s": float(epoch)}  # fmt: skip


def play(session: Session, curve: Curve = rising) -> None:
    """One worker that trains what the session hands out until there is nothing left."""
    in_process.play(session, along(curve), worker=WORKER)


def played(cut: int | None = None, **changes: object) -> MemoryLog:
    """The rows of a study; with `cut` its first session was killed after so many rows."""
    log = MemoryLog()
    settings = SessionSettings(started=SessionStarted(workers=1))
    clock = Clock()
    session = Session(a_study(**changes), log, settings=settings, clock=clock)
    play(session)
    if cut is not None:
        log = MemoryLog(log.rows[:cut])
        session = Session(a_study(**changes), log, log.rows[:], settings=settings, clock=clock)
        play(session)
    session.close(SessionEnd.FINISHED)
    return log


def play_attempt(session: Session, attempt: Attempt, curve: Curve = rising) -> None:
    in_process.play_attempt(session, attempt, along(curve), worker=WORKER)


def along(curve: Curve) -> in_process.TrainAttempt:
    """A training that reports the curve, epoch by epoch."""
    return lambda attempt: (curve(attempt, epoch) for epoch in range(1, attempt.recipe.epochs + 1))


def table(log: MemoryLog) -> list[tuple[object, ...]]:
    """What two runs of a study must agree on."""
    rows = [(t.number, t.params, t.state, t.epochs, t.objective, t.reason) for t in log.trials]
    return sorted(rows, key=lambda row: int(str(row[0])))
