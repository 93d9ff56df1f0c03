"""Ray Tune's hooks, answered by a session: the searcher hands out attempts, the scheduler takes reports.

The only state here is which Tune trial carries which attempt, its share, and whether it has a worker. A Tune
trial is one attempt, so a retry is a new Tune trial. Tune calls everything from the thread in which it runs.
An error in a hook is kept, and ends the run in order: Tune would turn it into text inside another error.
`tune_jobs.on_ray.tuning` gives the hooks to Tune.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ray.tune import Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tune_jobs.on_ray.cluster.deaths import describe_death, is_shared_fault
from tune_jobs.on_ray.cluster.openings import Openings
from tune_jobs.on_ray.cluster.room import Room
from tune_jobs.on_ray.failures_on_ray import FailuresOnRay
from tune_jobs.on_ray.gpus.share import Shares
from tune_jobs.on_ray.leaving import Turns
from tune_jobs.on_ray.worker.trainable import MESSAGE
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import (
    AttemptFailed,
    EpochReported,
    Message,
    TrainingBegan,
    from_json,
)
from tune_jobs.session.silence import SilenceWatch
from tune_jobs.session.state_machine import Session
from tune_jobs.session.taking import MessageTaker
from tune_jobs.study.rows import Decision, Failure

T = TypeVar("T")


class DriverOnly:
    """Pickles to None: Tune saves its hooks for a later resume, and here a run is resumed from the store."""

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


class Bridge:
    """The state that the three hooks share.

    Attributes:
        error: the first error of the session; `tune_jobs.on_ray.tuning` raises it after Tune has ended.
        interrupted: becomes true after a signal (`ended`); the run ends in order.
    """

    def __init__(
        self,
        session: Session,
        room: Room,
        shares: Shares,
        *,
        ended: Callable[[], bool],
        trial_timeout_s: float | None = None,
        turns: Turns | None = None,
        failures: FailuresOnRay | None = None,
        watch: SilenceWatch | None = None,
    ) -> None:
        self.session, self.trial_timeout_s = session, trial_timeout_s
        self._room, self._shares, self._ended = room, shares, ended
        self._turns = turns or Turns()
        self._openings = Openings(room.count_free)
        self._taker = MessageTaker(session)
        self._failures = failures or FailuresOnRay()
        self._watch = watch or SilenceWatch()
        self.error: Exception | None = None
        self.interrupted = False
        self._numbers: dict[str, int] = {}
        self._gpus: dict[str, float] = {}
        self._training: set[int] = set()
        self._heard_at: dict[str, float] = {}  # the start of its worker, then its newest message

    @property
    def ending(self) -> bool:
        return self.interrupted or self.error is not None or self.session.limit_reached

    def check_signals(self) -> None:
        self.interrupted = self.interrupted or self._ended()

    def suggest(self, tune_id: str) -> dict[str, Any] | str | None:
        """The config of the next attempt, `Searcher.FINISHED`, or None for not now.

        As long as there is no trial, Tune does nothing but call this repeatedly, for ten minutes.
        """
        self.check_signals()
        if self.ending or self.session.finished:
            return Searcher.FINISHED
        workers = self._guarded(
            lambda: self._room.workers(
                self.session.num_left, training=len(self._training.intersection(self.session.live_numbers))
            )
        )
        if workers is None:
            return Searcher.FINISHED
        if self._openings.is_settled and len(self.session.live_numbers) >= workers:
            return None  # without counting what is free, which asks Ray
        may_begin = self._openings.may_begin()
        if len(self.session.live_numbers) - self._openings.num_stuck >= workers or not may_begin:
            return None
        self._room.withdraw_demands()
        attempt = self.in_turn(self.session.next_attempt)
        if attempt is None:
            return Searcher.FINISHED if self.ending or self.session.finished else None
        self._numbers[tune_id] = attempt.number
        self._gpus[tune_id] = self._shares.of(attempt.number)
        self._training.discard(attempt.number)
        self._openings.begin(attempt.number, larger=self._gpus[tune_id] > self._room.share.gpus)
        return {
            "trial_id": attempt.trial_id,
            "number": attempt.number,
            "attempt": attempt.attempt,
            "recipe": attempt.recipe_text,
            "acknowledged": list(attempt.acknowledged.items()),  # Tune joins the keys of dictionaries
            "gpus": self._gpus[tune_id],
        }

    def take_start(self, tune_id: str) -> None:
        """Note that the attempt has its worker."""
        number, self._heard_at[tune_id] = self._numbers[tune_id], time.monotonic()
        self._training.add(number)
        self._openings.take_start(number)
        self.in_turn(lambda: self.session.take_worker(number))

    def take_message(self, tune_id: str, result: Mapping[str, Any]) -> Decision:
        """Pass a worker's messages to the session; STOP if the trial ends with them."""
        number, self._heard_at[tune_id] = self._numbers[tune_id], time.monotonic()
        decision = self.in_turn(lambda: self._take(number, tune_id, result)) or Decision.STOP
        if decision is Decision.STOP:
            self._openings.take_end(number, worker_lives=True)
            self._failures.say_end(self.session.history.trials[number])
            self._watch.end(number)
        return decision

    def take_crash(self, tune_id: str, error: str) -> None:
        """Record that the attempt's worker died, with its node or alone, or ended itself after a silence.

        A signal to every process of a service ends the workers too: then the attempt is unfinished.
        """
        self.check_signals()
        number = self._numbers.get(tune_id)
        if number is None or number not in self.session.live_numbers:
            return
        self._openings.take_end(number, worker_lives=False)
        self._watch.end(number)
        if self.interrupted:
            return
        failure, limit_s = Failure.CRASHED, self.trial_timeout_s
        silent_s = time.monotonic() - self._heard_at.get(tune_id, float("inf"))
        if limit_s is not None and silent_s >= limit_s:
            failure = Failure.HUNG
            error = f"there was no report for {limit_s:g} s, so the worker ended itself\n{error}"
        elif self._gpus[tune_id] < 1 and is_shared_fault(error):
            failure = Failure.SHARED_FAULT
            self._shares.note(number, failure)
        self.in_turn(lambda: self._record_crash(number, failure, error))

    def _record_crash(self, number: int, failure: Failure, error: str) -> None:
        record = self.session.history.trials[number]
        self._failures.complete(record)
        self.session.record_failure(number, failure, error, worker=WorkerInfo())
        record = self.session.history.trials[number]
        if record.end is None:
            self._failures.say_retry(record, failure, error)
        else:
            self._failures.say_end(record)

    def iter_silences(self) -> Iterator[str]:
        """A sentence for each trial that says nothing for many times its usual epoch, once per silence."""
        for silence in self._watch.iter_new(time.monotonic()):
            yield silence.describe(timeout_s=self.trial_timeout_s)

    def _take(self, number: int, tune_id: str, result: Mapping[str, Any]) -> Decision:
        messages = [from_json(text) for text in result[MESSAGE].split("\n")]
        for num_left, message in zip(reversed(range(len(messages))), messages, strict=True):
            worker = replace(message.worker, pid=result.get("pid"), gpus=self._gpus[tune_id])
            decision = self._dispatch(number, message, worker, more=num_left > 0)
            if decision is Decision.STOP:
                break
        return decision

    def _dispatch(self, number: int, message: Message, worker: WorkerInfo, *, more: bool) -> Decision:
        if isinstance(message, TrainingBegan):
            self._watch.begin(number, time.monotonic(), place=self._place_of(number, worker))
        if isinstance(message, AttemptFailed):
            self._shares.note(number, message.failure)
        decision = self._taker.take(number, message, worker, more=more)
        if isinstance(message, EpochReported):
            self._watch.hear(number, time.monotonic(), epoch=self._last_epoch(number))
        return decision

    def _last_epoch(self, number: int) -> int:
        return self.session.history.trials[number].last_epoch

    def _place_of(self, number: int, worker: WorkerInfo) -> str:
        """The process of a worker, and the command that shows its output, in words."""
        process = f"process {worker.pid} on {worker.hostname or worker.node}"
        command = f"show {self.session.study.name} {number} --log"
        return f"Its worker is {process}, and `{command}` prints its output"

    def in_turn(self, action: Callable[[], T]) -> T | None:
        """The result of an action that may write rows; None if it fails, or if this thread was left."""

        def act() -> T:
            with self._turns.turn():
                return action()

        return self._guarded(act)

    def _guarded(self, action: Callable[[], T]) -> T | None:
        try:
            return action()
        except Exception as error:  # kept whole and raised later, because Tune would reduce it to text
            self.error = self.error or error
            return None


class StudySearcher(DriverOnly, Searcher):
    """Tune's searcher: asks the session for attempts."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def suggest(self, trial_id: str) -> Any:
        return self._bridge.suggest(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Does nothing: the scheduler gets every end first."""

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: the store holds the whole state."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing: the store holds the whole state."""


class StudyScheduler(DriverOnly, FIFOScheduler):
    """Tune's scheduler: passes every report to the session and returns the session's decision."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray ships no types for it
        self._bridge = bridge

    @property
    def supports_buffered_results(self) -> bool:
        """False: the session decides on each report before the next."""
        return False

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Names no trial, so that Tune begins each trial of the searcher in a worker of its own.

        Tune's own schedulers name a trial. It would get the worker of the next trial that ends, and Tune
        would kill the process that was starting for it.
        """

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision = self._bridge.take_message(trial.trial_id, result)
        return TrialScheduler.STOP if decision is Decision.STOP else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._bridge.take_crash(trial.trial_id, describe_death(trial))


class StudyStopper(DriverOnly, Stopper):
    """Ends the whole Tune run when the session failed or the user interrupted."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._bridge.ending
