"""How a run continues a study after an earlier run ended or was killed: pure functions of the stored rows.

Called by `state_machine` when a session begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tune_jobs.feasible.own_cost import costed, recipe_of_trial
from tune_jobs.search.asha import Verdict
from tune_jobs.search.given import as_event
from tune_jobs.search.history import History
from tune_jobs.search.records import TrialRecord
from tune_jobs.session.attempt import Attempt, LiveAttempt, SessionSettings
from tune_jobs.session.row_builder import Ending, ending
from tune_jobs.study.definition import Study
from tune_jobs.study.events import Enqueued, Point, WarmStarted
from tune_jobs.study.rows import ReportRow, State


def new_inputs(study: Study, history: History, settings: SessionSettings) -> list[Enqueued | WarmStarted]:
    """The points and trials that the settings of a run add to a study, without those of earlier runs."""
    added: list[Enqueued | WarmStarted] = []
    points = [Point(params=params) for params in settings.points if not history.knows_point(params)]
    if settings.retry_failed:
        points += [
            Point(params=record.params, retry_of=record.number, first=True)
            for record in history.trials.values()
            if record.state is State.FAILED and not record.diverged and record.number not in history.retried
        ]
    if points:
        added.append(Enqueued(points=tuple(points)))
    if settings.origin is not None and settings.origin not in history.origins:
        added.append(as_event(settings.origin, settings.source_trials, metric=study.objective.metric))
    return added


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedEnd:
    """The end of a trial that follows from its last report, and whose row a kill prevented."""

    live: LiveAttempt
    reports: Sequence[ReportRow]
    ending: Ending


def iter_missed_ends(study: Study, history: History, *, now: datetime) -> Iterator[MissedEnd]:
    """The ends that follow from the rows and have no row yet, by trial number."""
    for record in history.unfinished():
        if not record.reports:
            continue
        live = as_live(study, record, attempt=record.attempts, now=now)
        last = record.reports[-1]
        live.last_epoch, live.elapsed_s = last.epoch, last.elapsed_s or 0.0
        verdict = Verdict(last.decision, last.decision_reason or "") if last.decision else None
        if (end := ending(live, verdict)) is not None:
            yield MissedEnd(live=live, reports=record.reports, ending=end)


def as_live(study: Study, record: TrialRecord, *, attempt: int, now: datetime) -> LiveAttempt:
    """A new attempt of a trial that has rows.

    It keeps the latency that the trial's reports hold, and the costs of own training that its start holds:
    the function that computed them may have changed since.
    """
    recipe, cost = costed(study, recipe_of_trial(study, record.params, record.number), stored=record.costs)
    return LiveAttempt(
        attempt=Attempt(
            trial_id=record.trial_id,
            number=record.number,
            attempt=attempt,
            recipe=recipe,
            acknowledged=record.acknowledged,
        ),
        cost=cost,
        handed_out_at=now,
        latency_ms=record.reports[0].latency_ms if record.reports else None,
    )
