"""Studies that are really trained in this process, without Ray, into a store with their weights."""

from __future__ import annotations

from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.saving import Saving
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.rows import Decision


def train_into(store: str, study: Study, *, period_s: float = 1e6, stop_after: int | None = None) -> None:
    """Train what a study's session hands out, as a worker and its driver do.

    Args:
        period_s: seconds between saved states; the last state of a trial is always saved.
        stop_after: number of reports after which it gives up, as a kill does; None for the end of the study.
    """
    num_reports = 0
    with StudyWriter.open(store, study, versions={}) as writer:
        session = Session(study, writer, writer.rows)
        while (attempt := session.next_attempt()) is not None:
            saving = Saving(
                checkpoints=Checkpoints.of(store, study.name),
                number=attempt.number,
                attempt=attempt.attempt,
                epochs=attempt.recipe.epochs,
                period_s=period_s,
            )
            training = saving.begin(study.fit, attempt.recipe, device="cpu", data_dir=None)
            for report in training:
                saving.before_report(training, report)
                metrics = {name: getattr(report, name) for name in dir(report) if not name.startswith("_")}
                decision = session.record_report(attempt.number, metrics, WorkerInfo(device="cpu: x"))
                num_reports += 1
                if num_reports == stop_after:
                    return
                if decision is Decision.STOP:
                    break
                saving.after_report(training)
