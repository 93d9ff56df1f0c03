"""A simulated search: the real sampler, the real ASHA rule and the real history, with curves that are given.

Only time and training are made up, so a search of hundreds of trials takes seconds. `simulate` is
deterministic in its arguments.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tune_jobs.search.asha import decide
from tune_jobs.search.history import History
from tune_jobs.search.sampler import Sampler, build_sampler
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import Decision, Failure, Row, State
from tune_jobs.testing.rows import report_row, start_row, trial_row

Curve = Callable[[Params, int, int], float | None]
"""(params, number, epoch) -> the first objective after that epoch; None where training diverges."""


@dataclass(slots=True)
class Simulated:
    """A history and the rows that made it."""

    history: History
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Acknowledge a row."""
        row = replace(row, seq=len(self.rows) + 1)
        self.rows.append(row)
        self.history.apply(row)


def simulate(
    study: Study,
    curve: Curve,
    *,
    workers: int = 2,
    seconds: Callable[[Params, int], float] = lambda params, number: 1.0,
    refused: Callable[[Params, int], int | None] = lambda params, number: None,
    sampler: Sampler | None = None,
) -> Simulated:
    """Run a study to its end.

    Args:
        curve: the value that each epoch reports.
        workers: trials at a time.
        seconds: how long an epoch of a trial takes; it decides in which order reports arrive.
        refused: the MACs of a proposal that a limit refuses, or None for a proposal that is trained.
        sampler: proposes in the place of the study's own.
    """
    log, sampler = Simulated(History(study)), sampler or build_sampler(study)
    queue: list[tuple[float, int, int]] = []
    now = 0.0
    while True:
        while len(queue) < workers and log.history.num_trained + len(queue) < study.trials:
            number = _hand_out(study, log, sampler, refused)
            if number is None:
                break
            params = log.history.trials[number].params
            heapq.heappush(queue, (now + seconds(params, number), number, 1))
        if not queue:
            return log
        now, number, epoch = heapq.heappop(queue)
        params = log.history.trials[number].params
        if _train(study, log, curve, number, epoch):
            heapq.heappush(queue, (now + seconds(params, number), number, epoch + 1))


def _hand_out(
    study: Study, log: Simulated, sampler: Sampler, refused: Callable[[Params, int], int | None]
) -> int | None:
    """The number of the next trial that is trained; None where the sampler has no proposal."""
    while True:
        number, known = log.history.next_number, log.history.seq
        params = sampler.propose(log.history, number)
        if params is None:
            return None
        macs = refused(params, number)
        if macs is None:
            log.add(start_row(number, params, study=study.name, history_seq=known))
            return number
        log.add(trial_row(number, State.INFEASIBLE, params, study=study.name, macs=macs, history_seq=known))


def _train(study: Study, log: Simulated, curve: Curve, number: int, epoch: int) -> bool:
    """Train one epoch of a trial; True if the trial continues."""
    params = log.history.trials[number].params
    value = curve(params, number, epoch)
    if value is None:
        log.add(trial_row(number, State.FAILED, params, study=study.name, failure=Failure.DIVERGED))
        return False
    metric = study.objective.metric
    verdict = decide(study, log.history, number, epoch, {metric: value})
    decision, reason = (verdict.decision, verdict.reason) if verdict else (None, None)
    row = report_row(number, epoch, study=study.name, decision=decision, decision_reason=reason)
    log.add(replace(row, **{metric: value}))  # type: ignore[arg-type]  # a metric that a report has
    if decision is Decision.STOP:
        state, why = State.STOPPED, {"reason": reason or ""}
    elif epoch >= study.max_epochs:
        state, why = State.COMPLETED, {}
    else:
        return True
    log.add(trial_row(number, state, params, study=study.name, objective=value, **why))
    return False
