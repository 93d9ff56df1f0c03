"""One driver's run of a study: hands out attempts, records what they report, and decides. Knows no Ray.

Each decision follows from the rows of the store, and is in the store before anything acts on it. The Ray side
(`tune_jobs.on_ray`) asks for attempts and passes reports on; `tune_jobs.testing.in_process` does the same in
one process. A session is used from one thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from eml_models.wording import count_of, first_line
from tune_jobs.errors import RunFailedError
from tune_jobs.feasible.limits import too_slow
from tune_jobs.feasible.refusals import all_too_slow
from tune_jobs.search.asha import decide
from tune_jobs.search.history import History
from tune_jobs.search.queue import QueueFirst
from tune_jobs.search.records import TrialRecord
from tune_jobs.session.attempt import (
    Attempt,
    LiveAttempt,
    Progress,
    Provenance,
    SessionSettings,
    WorkerInfo,
)
from tune_jobs.session.own_reports import objective_values, own_report_problem
from tune_jobs.session.proposals import iter_proposals
from tune_jobs.session.report_checks import metrics_problem, number_of
from tune_jobs.session.resume import as_live, iter_missed_ends, new_inputs
from tune_jobs.session.row_builder import Ending, RowBuilder, RowLog, ending
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionEnd, SessionEnded
from tune_jobs.study.instants import utc_now
from tune_jobs.study.objective import LATENCY
from tune_jobs.study.rows import (
    TRIED_AGAIN,
    TRIED_WITH_MORE,
    Decision,
    Failure,
    ReportRow,
    Row,
    State,
    as_json_text,
    trial_id,
)

MAX_TOO_SLOW_IN_A_ROW = 50
"""Networks above the limit on latency, one after the other, after which the run ends. A worker has measured
each of them."""


class Session:
    """One run of a study, from its first row to its last.

    Args:
        study: the study to search.
        log: the log that takes the rows.
        rows: all rows of this study that the store holds, in the order of `seq`.
        settings: the settings of this run.
        provenance: the driver's commit and versions.
        clock: returns the current UTC instant.

    Attributes:
        opened: whether the row of the session's beginning is written; `close` then writes the row of its end.
    """

    def __init__(
        self,
        study: Study,
        log: RowLog,
        rows: Sequence[Row] = (),
        *,
        settings: SessionSettings | None = None,
        provenance: Provenance | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.study = study
        self.settings = settings or SessionSettings()
        self.history = History.from_rows(study, rows)
        self._log, self._clock, self._began_at = log, clock, clock()
        self._build = RowBuilder(study, provenance or Provenance(), clock)
        self._sampler = QueueFirst(study)
        self._live: dict[int, LiveAttempt] = {}
        self._working_since: datetime | None = None
        self._failed_in_a_row = self._too_slow_in_a_row = 0
        self._begin()

    def _begin(self) -> None:
        """Continue from the stored rows: write the ends that a kill prevented, and this run's inputs."""
        self._waiting = deque(record.number for record in self.history.unfinished())
        missed = iter_missed_ends(self.study, self.history, now=self._clock())
        decided = [row for end in missed for row in self._end_rows(end.live, end.reports, end.ending)]
        inputs = new_inputs(self.study, self.history, self.settings)
        given = [self._build.session_event(detail) for detail in inputs]
        self.opened = bool(given or decided) or not self.finished
        if self.opened:
            started = self._build.session_event(self.settings.started)
            self._record(started, *decided, *given)
        self._waiting = deque(record.number for record in self.history.unfinished())
        self._trained_before = self.history.num_trained

    # What to do next.

    @property
    def finished(self) -> bool:
        """Whether no attempt is left to hand out, and none is handed out."""
        return not self._live and not self._waiting and not self._wants_proposal()

    @property
    def end_reason(self) -> str | None:
        """Why there are no more proposals, however many trials the study asks for; None if there are."""
        return self._sampler.end_reason_after(self.history)

    @property
    def limit_reached(self) -> bool:
        """Whether the limit on device time is reached. A run with a higher limit continues the study."""
        limit = self.settings.max_device_s
        return limit is not None and self.device_s >= limit

    @property
    def device_s(self) -> float:
        """Seconds for which workers have held trials, over all sessions, including the trials in hand."""
        now = self._clock()
        live = sum(live.held_s(now) for live in self._live.values())
        cut_short = (r.in_hand_s for r in self.history.in_hand() if r.number not in self._live)
        return live + sum(r.held_s for r in self.history.trials.values()) + sum(cut_short)

    @property
    def live_numbers(self) -> tuple[int, ...]:
        """The numbers of the trials that are handed out: held by a worker, or waiting for a worker."""
        return tuple(self._live)

    @property
    def num_left(self) -> int:
        """How many trials are still to be trained, including the trials in hand."""
        return max(0, self.study.trials - self.history.num_trained)

    def next_attempt(self) -> Attempt | None:
        """The next attempt to train, whose row is in the store; None if there is none to hand out now.

        Interrupted trials come before new proposals.

        Raises:
            RunFailedError: the sampler found no proposal within the limits.
        """
        if self._waiting:
            return self._restart(self.history.trials[self._waiting.popleft()])
        return self._propose() if self._wants_proposal() else None

    def _wants_proposal(self) -> bool:
        taken = self.history.num_trained + len(self._live) + len(self._waiting)
        return taken < self.study.trials and self.end_reason is None

    def _propose(self) -> Attempt | None:
        for proposal in iter_proposals(self.study, self.history, self._sampler):
            if proposal.refusal is None:
                name = trial_id(self.study.name, proposal.number)
                attempt = Attempt(trial_id=name, number=proposal.number, attempt=1, recipe=proposal.recipe)
                live = LiveAttempt(attempt=attempt, cost=proposal.cost, handed_out_at=self._clock())
                return self._hand_out(live, proposal.params, proposal.history_seq)
            self._record(
                self._build.refused(
                    proposal.number,
                    proposal.params,
                    seed=proposal.recipe.seed,
                    cost=proposal.cost,
                    reason=proposal.refusal,
                    history_seq=proposal.history_seq,
                )
            )
        return None

    def _restart(self, record: TrialRecord) -> Attempt:
        """Hand out another attempt of a trial that was interrupted or whose worker crashed."""
        live = as_live(self.study, record, attempt=record.attempts + 1, now=self._clock())
        return self._hand_out(live, as_json_text(record.params), self.history.seq)

    def _hand_out(self, live: LiveAttempt, params: str, history_seq: int) -> Attempt:
        origin = ", ".join(self.history.origins) or None
        self._record(self._build.start(live, params, history_seq=history_seq, origin=origin))
        self._working_since = self._working_since or live.handed_out_at
        self._live[live.attempt.number] = live
        return live.attempt

    # Messages of attempts.

    def take_worker(self, number: int) -> None:
        """Note that the attempt gets its worker now. Without this call it got it when it was handed out."""
        self._live[number].held_since = self._clock()

    def record_begin(self, number: int, worker: WorkerInfo, *, more: bool = False) -> Decision:
        """Record that the worker begins to train: it has the code, the data set and the network.

        Args:
            more: as of `record_report`.
        """
        self._record(*self._began(self._live[number], worker), more=more)
        return Decision.CONTINUE

    def record_report(
        self,
        number: int,
        metrics: Mapping[str, object],
        worker: WorkerInfo,
        *,
        own: Mapping[str, object] | None = None,
        more: bool = False,
    ) -> Decision:
        """Record the report of an epoch and decide; STOP if the trial has ended and its row is in the store.

        Args:
            own: the metrics of own training; `metrics` then has the epoch and the seconds.
            more: whether the attempt's next message is recorded before anything else happens. A report on
                which nothing is decided then becomes durable together with that message.

        Raises:
            RunFailedError: the report failed the trial, and too many trials have failed one after the other.
        """
        live = self._live[number]
        if live.latency_ms is not None:
            metrics = {**metrics, LATENCY: live.latency_ms}
        own = own or {}
        problem = metrics_problem(self.study, live, metrics)
        if problem is None and self.study.train is not None:
            problem = own_report_problem(self.study, live, own)
        if problem is not None:
            self.record_failure(number, *problem, worker=worker)
            return Decision.STOP
        live.last_epoch = int(number_of(metrics["epoch"]) or 0)
        live.elapsed_s = number_of(metrics.get("elapsed_s")) or 0.0
        values = objective_values(self.study, live, {**metrics, **own})
        verdict = decide(self.study, self.history, number, live.last_epoch, values)
        report = self._build.report(live, metrics, verdict, history_seq=self.history.seq, own=own)
        rows: list[Row] = [*self._began(live, worker), report]
        end = ending(live, verdict)
        if end is not None:
            rows += self._end_rows(live, self._with(report), end)
        self._record(*rows, more=more and verdict is None and end is None)
        if end is None:
            return Decision.CONTINUE
        del self._live[number]
        self._failed_in_a_row = 0
        return Decision.STOP

    def record_latency(self, number: int, latency_ms: float, worker: WorkerInfo) -> Decision:
        """Record the latency of an attempt's network; STOP if it is above the limit: the trial is infeasible.

        Once a trial has reported, the latency of its earlier attempt stays: the noise of a second measurement
        must not undo training.

        Raises:
            RunFailedError: too many networks were above the limit one after the other.
        """
        live = self._live[number]
        if live.latency_ms is None:
            live.latency_ms = latency_ms
        reason = too_slow(self.study, live.latency_ms)
        if reason is None:
            self._too_slow_in_a_row = 0
            return Decision.CONTINUE
        end = Ending(state=State.INFEASIBLE, reason=reason)
        self._record(*self._began(live, worker), *self._end_rows(live, (), end))
        del self._live[number]
        self._too_slow_in_a_row += 1
        if self._too_slow_in_a_row >= MAX_TOO_SLOW_IN_A_ROW:
            raise all_too_slow(self._too_slow_in_a_row, reason)
        return Decision.STOP

    def record_end(self, number: int, worker: WorkerInfo) -> None:
        """Record that the training function returned before the recipe's last epoch.

        An attempt that was resumed may return without a report: a kill came between the trial's last report
        and its end.

        Raises:
            RunFailedError: it had not reported, which failed the trial, and too many trials have failed one
                after the other.
        """
        live = self._live[number]
        live.learn(worker)
        if not (live.last_epoch or live.worker.resumed_from_epoch):
            error = (
                "the training function returned before it reported an epoch; it must yield or return metrics,"
                " or call run.report(metrics)"
            )
            self.record_failure(number, Failure.RAISED, error, worker=worker)
            return
        record, epochs = self.history.trials[number], live.attempt.recipe.epochs
        reason = f"the training function returned after epoch {record.last_epoch} of {epochs}"
        reports = record.reports
        self._record(*self._end_rows(live, reports, Ending(state=State.COMPLETED, reason=reason)))
        del self._live[number]
        self._failed_in_a_row = 0

    def record_failure(self, number: int, failure: Failure, error: str, *, worker: WorkerInfo) -> None:
        """Record a failed attempt. Crashes are retried until `max_attempts` attempts of the trial have
        crashed; an attempt that ran out of its GPU share, or ended with a fault of a GPU that it shared, is
        always retried, with a larger share.

        Args:
            failure: the kind of the failure.
            worker: the worker that reported it; an empty `WorkerInfo` where the driver noticed it.
            error: type, message and the last lines of the traceback.

        Raises:
            RunFailedError: too many trials have failed one after the other; divergence does not count.
        """
        live = self._live[number]
        live.peak_memory_bytes = worker.peak_memory_bytes
        rows: list[Row] = [] if worker == WorkerInfo() else self._began(live, worker)
        reason = f"attempt {live.attempt.attempt} {failure.words}: {first_line(error)}"
        num_crashed = self.history.trials[number].num_crashed + 1
        again = failure in TRIED_AGAIN and num_crashed < self.settings.max_attempts
        again = again or failure in TRIED_WITH_MORE
        if again:
            rows.append(self._build.attempt_ended(live, reason, failure))
        else:
            reports = self.history.trials[number].reports
            end = Ending(state=State.FAILED, reason=reason, failure=failure, error=error)
            rows += self._end_rows(live, reports, end)
        self._record(*rows)
        del self._live[number]
        if again:
            self._waiting.append(number)
        elif failure is not Failure.DIVERGED:
            self._count_failure(number, error)

    def _count_failure(self, number: int, error: str) -> None:
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self.settings.max_failed_in_a_row:
            raise RunFailedError(
                f"{count_of(self._failed_in_a_row, 'trial')} failed in a row, the last with this error:"
                f" {first_line(error).rstrip('.')}. `show {self.study.name} {number}` has its traceback. Mend"
                " the cause and run the same command with --retry-failed, or allow more failures with"
                " --max-failed-in-a-row"
            )

    def close(self, how: SessionEnd) -> None:
        """Write how the session ended, and for how long the attempts in hand held their resources."""
        if not self.opened:
            return
        self.opened = False
        seconds = (self._clock() - self._began_at).total_seconds()
        held = [self._build.attempt_interrupted(live) for live in self._live.values() if live.held_since]
        ended = self._build.session_event(SessionEnded(how=how), duration_s=seconds)
        self._record(*held, ended)

    def progress(self) -> Progress:
        """The counts that the progress line and the log show."""
        counts, best, now = self.history.counts, self.history.best, self._clock()
        return Progress(
            target=self.study.trials,
            trained=self.history.num_trained,
            trained_before=self._trained_before,
            completed=counts[State.COMPLETED],
            stopped=counts[State.STOPPED],
            failed=counts[State.FAILED],
            infeasible=counts[State.INFEASIBLE],
            running=sum(live.held_since is not None for live in self._live.values()),
            best=best.objective if best else None,
            best_number=best.number if best else None,
            front=len(self.history.front) if len(self.study.objectives) > 1 else None,
            bests=() if len(self.study.objectives) > 1 else tuple(self.history.bests),
            elapsed_s=(now - self._began_at).total_seconds(),
            working_s=(now - (self._working_since or now)).total_seconds(),
        )

    # Rows.

    def _record(self, *rows: Row, more: bool = False) -> None:
        for row in self._log.append_many(rows, more=more):
            self.history.apply(row)

    def _began(self, live: LiveAttempt, worker: WorkerInfo) -> list[Row]:
        """The event of an attempt's first message; no row for a later message."""
        live.learn(worker)
        if live.began:
            return []
        live.began = True
        live.held_since = live.held_since or live.handed_out_at
        return [self._build.attempt_started(live)]

    def _with(self, report: ReportRow) -> list[ReportRow]:
        """The trial's reports and the new report, unless there is an earlier report of the same epoch."""
        earlier = self.history.trials[report.number].reports
        return list(earlier) if any(r.epoch == report.epoch for r in earlier) else [*earlier, report]

    def _end_rows(self, live: LiveAttempt, reports: Sequence[ReportRow], end: Ending) -> list[Row]:
        record = self.history.trials[live.attempt.number]
        row = self._build.trial(live, record, reports, end, history_seq=self.history.seq)
        return [row, self._build.attempt_ended(live, str(end.state), end.failure)]
