"""A study run in this process: one worker, no Ray, no store. For tests, benchmarks and a look in a debugger.

The session is the real one, so trials, decisions and rows are those of a run with one worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from eml_models.errors import DivergedError
from tune_jobs.session.attempt import Attempt, WorkerInfo
from tune_jobs.session.report_checks import values_of
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.own_training import OwnRecipe, Train
from tune_jobs.study.rows import Decision, Failure
from tune_jobs.testing.memory_log import MemoryLog
from tune_jobs.worker.own_attempt import OwnAttempt

Metrics = Mapping[str, object]
OWN = "metrics of own training"
"""The key of the metrics of own training, a mapping."""

TrainAttempt = Callable[[Attempt], Iterable[Metrics]]
"""The metrics of each epoch of an attempt, one mapping per epoch."""


def run_in_process(
    study: Study, log: MemoryLog | None = None, *, max_epochs: int | None = None, **options: object
) -> MemoryLog:
    """Train a study by its own training function, until it has its trials; continues what `log` holds.

    An error of the training function is a failed trial, as in a run.

    Args:
        max_epochs: epochs to train over all trials; the trial that holds the last one is left unfinished.
        options: what the training function takes beside the recipe, such as ``device`` and ``data_dir``.

    Raises:
        RunFailedError: too many trials failed one after the other.
    """
    log = MemoryLog() if log is None else log
    session = Session(study, log, log.rows[:])

    def train(attempt: Attempt) -> Iterable[Metrics]:
        for report in study.fit(attempt.recipe, **options):
            yield values_of(report)

    play(session, train if study.train is None else own_reports(study), max_epochs=max_epochs)
    return log


def own_reports(study: Study) -> TrainAttempt:
    """The reports of a study's own training function; nothing is saved."""
    train = study.train
    assert train is not None
    return lambda attempt: _own(train, attempt)


def _own(train: Train, attempt: Attempt) -> Iterable[Metrics]:
    assert isinstance(attempt.recipe, OwnRecipe)
    training = OwnAttempt(train, attempt.recipe, number=attempt.number, attempt=attempt.attempt)
    for report in training.iter_reports():
        seconds = {"epoch": report.epoch, "epoch_s": report.epoch_s, "elapsed_s": report.elapsed_s}
        yield {**seconds, OWN: report.metrics}


def play(
    session: Session, train: TrainAttempt, *, worker: WorkerInfo | None = None, max_epochs: int | None = None
) -> None:
    """Train what a session hands out, one attempt after the other, until nothing is left.

    Raises:
        RunFailedError: too many trials failed one after the other.
    """
    worker = worker or WorkerInfo(device="cpu")
    left = max_epochs
    while left != 0 and (attempt := session.next_attempt()) is not None:
        left = play_attempt(session, attempt, train, worker=worker, max_epochs=left)


def play_attempt(
    session: Session,
    attempt: Attempt,
    train: TrainAttempt,
    *,
    worker: WorkerInfo,
    max_epochs: int | None = None,
) -> int | None:
    """Train one attempt until the session stops it; returns how many of `max_epochs` are left."""
    left, epochs = max_epochs, iter(train(attempt))
    while True:
        try:
            metrics = next(epochs, None)
        except Exception as error:  # whatever training raises is that trial's failure, as on a worker
            kind = Failure.DIVERGED if isinstance(error, DivergedError) else Failure.RAISED
            session.record_failure(attempt.number, kind, f"{type(error).__name__}: {error}", worker=worker)
            return left
        if metrics is None:
            session.record_end(attempt.number, worker)
            return left
        left = None if left is None else left - 1
        own = metrics.get(OWN)
        assert own is None or isinstance(own, Mapping)
        if session.record_report(attempt.number, metrics, worker, own=own) is Decision.STOP or left == 0:
            return left
