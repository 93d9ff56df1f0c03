"""A session played in one process: an in-memory log and a worker that reports scripted curves. No Ray, no
disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from eml_models.training.recipe import Recipe
from tune_jobs.session.attempt import Attempt, SessionSettings, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Asha, Study
from tune_jobs.study.rows import Decision, ReportRow, Row, StartRow, TrialRow
from tune_jobs.study.space import Choice, Float, Space

WORKER = WorkerInfo(node="10.0.0.1", hostname="host", pid=7, device="cpu: x", torch_version="2")
Metrics = dict[str, object]
Curve = Callable[[Attempt, int], Metrics]


@dataclass
class MemoryLog:
    """A row log that numbers rows as a store's writer does."""

    rows: list[Row] = field(default_factory=list)

    def append_many(self, rows: Sequence[Row]) -> list[Row]:
        seq = self.rows[-1].seq if self.rows else 0
        stored = [replace(row, seq=seq + i) for i, row in enumerate(rows, start=1)]
        self.rows += stored
        return stored

    def of(self, kind: type) -> list[Row]:
        return [row for row in self.rows if isinstance(row, kind)]

    @property
    def trials(self) -> list[TrialRow]:
        return [row for row in self.rows if isinstance(row, TrialRow)]

    @property
    def reports(self) -> list[ReportRow]:
        return [row for row in self.rows if isinstance(row, ReportRow)]

    @property
    def starts(self) -> list[StartRow]:
        return [row for row in self.rows if isinstance(row, StartRow)]


class Clock:
    """A second passes at each look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


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
    """A session that goes on from the log's rows."""
    return Session(
        study or a_study(),
        log,
        log.rows[:],
        settings=SessionSettings(**settings),  # type: ignore[arg-type]  # as each test names them
        clock=Clock(),
    )


def rising(attempt: Attempt, epoch: int) -> Metrics:
    """A curve that depends on the learning rate alone and keeps the trials' order."""
    quality = 1 - abs(attempt.recipe.learning_rate - 0.1)
    return {"epoch": epoch, "val_accuracy": quality * epoch / (epoch + 1), "train_loss": 1.0 / epoch,
    "epoch_s": 1.0, "elapsed_s": float(epoch)}  # fmt: skip


def play(session: Session, curve: Curve = rising) -> None:
    """One worker that trains what the session hands out until there is nothing left."""
    while (attempt := session.next_attempt()) is not None:
        play_attempt(session, attempt, curve)


def play_attempt(session: Session, attempt: Attempt, curve: Curve = rising) -> None:
    for epoch in range(1, attempt.recipe.epochs + 1):
        if session.record_report(attempt.number, curve(attempt, epoch), WORKER) is Decision.STOP:
            return


def table(log: MemoryLog) -> list[tuple[object, ...]]:
    """What two runs of a study must agree on."""
    rows = [(t.number, t.params, t.state, t.epochs, t.objective, t.reason) for t in log.trials]
    return sorted(rows, key=lambda row: int(str(row[0])))
