"""A study of own training that several workers play in this process, while a seed kills them and the driver.

The store, the session, the attempts and their files are the real ones. A killed worker is never asked for
anything again; a killed driver leaves its writer as it is, and the next driver opens the store.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from store_testing import MortalFiles

from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.session.attempt import Attempt, SessionSettings, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.rows import Decision, Failure
from tune_jobs.testing.clock import SteppingClock
from tune_jobs.worker.own_attempt import OwnAttempt
from tune_jobs.worker.trial_run import OwnReport


class Moment(StrEnum):
    """Moments at which a process is killed."""

    BEFORE_SAVE = "a worker, before its state is written"
    IN_SAVE = "a worker, with a half copy beside its files"
    TORN_SAVE = "a worker, with a torn file in place"
    BEFORE_RECORD = "a worker, after the save and before its report is recorded"
    AFTER_RECORD = "a worker, after its report is recorded and before its next step"
    DRIVER_BEFORE_RECORD = "the driver, with a report that it has not recorded"
    DRIVER_AFTER_RECORD = "the driver, after it recorded a report and before the worker knows"


OF_DRIVERS = (Moment.DRIVER_BEFORE_RECORD, Moment.DRIVER_AFTER_RECORD)
KILLED, OUTLIVES = 0.7, 0.5
"""The shares of attempts that a kill ends, and of workers that take a step after their driver was killed."""


class Killed(BaseException):
    """Stands for the death of a process: nothing may handle it."""


@dataclass(slots=True, kw_only=True)
class Fate:
    """When a process is killed: at the first such moment after so many steps of a worker."""

    moment: Moment | None
    steps: int

    def is_now(self, moment: Moment) -> bool:
        return moment is self.moment and self.steps <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MortalCheckpoints(Checkpoints):
    """Checkpoints whose process may be killed in a write."""

    fate: Fate

    def write(self, number: int, attempt: int, content: memoryview, *, final: bool = False) -> None:
        half = content[: len(content) // 2]
        if self.fate.is_now(Moment.BEFORE_SAVE):
            raise Killed
        if self.fate.is_now(Moment.IN_SAVE):
            folder = self.folder(number)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f".attempt-{attempt}.pt.{attempt:032x}.tmp").write_bytes(half)
            raise Killed
        torn = self.fate.is_now(Moment.TORN_SAVE)
        Checkpoints.write(self, number, attempt, half if torn else content, final=final)
        if torn:
            raise Killed


@dataclass(slots=True, kw_only=True)
class Worker:
    """A worker with its attempt."""

    attempt: Attempt
    training: OwnAttempt
    reports: Generator[OwnReport]
    fate: Fate


@dataclass(slots=True, kw_only=True)
class Cluster:
    """Workers and drivers of one study, one driver after the other until the study has its trials.

    Attributes:
        kills: how many processes were killed, by moment.
        outlived: how many workers took a step after their driver was killed.
        loaded: for the first report of each later attempt of a trial: the last acknowledged report as the
            attempt began, and the report whose state it loaded.
    """

    store: Path
    study: Study
    workers: int
    seed: int
    kills: Counter[Moment] = field(default_factory=Counter)
    outlived: int = 0
    loaded: list[tuple[int, int]] = field(default_factory=list)
    _orphans: list[Worker] = field(default_factory=list)
    _random: random.Random = field(init=False)

    def run(self) -> None:
        self._random = random.Random(self.seed)
        while not self._drive():
            """The driver was killed; here comes the next."""
        for orphan in self._orphans:
            orphan.reports.close()

    def _drive(self) -> bool:
        """One driver; True if the study has its trials."""
        files = MortalFiles(self.store)
        policy = PublishPolicy(trials=3, reports=10**9, seconds=1e9)
        writer = StudyWriter.open(files, self.study, versions={"tune-jobs": "0"}, policy=policy)
        settings = SessionSettings(max_attempts=10**6)
        session = Session(self.study, writer, list(writer.rows), settings=settings, clock=SteppingClock())
        live: dict[int, Worker] = {}
        try:
            self._play(session, live)
        except Killed:
            files.die()
            self._leave(list(live.values()))
            return False
        session.close(SessionEnd.FINISHED)
        writer.close()
        return True

    def _play(self, session: Session, live: dict[int, Worker]) -> None:
        checkpoints = Checkpoints.of(str(self.store), self.study.name)
        while True:
            while len(live) < self.workers and (attempt := session.next_attempt()) is not None:
                session.take_worker(attempt.number)
                session.record_begin(attempt.number, WorkerInfo(device="cpu"))
                live[attempt.number] = self._begin(attempt, checkpoints)
            if not live:
                return
            self._step_orphan()
            worker = live.pop(self._random.choice(sorted(live)))
            if self._step(session, worker):
                live[worker.attempt.number] = worker
            else:
                worker.reports.close()

    def _begin(self, attempt: Attempt, known: Checkpoints) -> Worker:
        train, recipe = self.study.train, attempt.recipe
        assert train is not None
        assert isinstance(recipe, OwnRecipe)
        rarest = min(Moment, key=lambda moment: (self.kills[moment], self._random.random()))
        fate = Fate(
            moment=rarest if self._random.random() < KILLED else None, steps=self._random.randint(1, 3)
        )
        checkpoints = MortalCheckpoints(
            store=known.store, study=known.study, identity=known.identity, fate=fate
        )
        training = OwnAttempt(
            train,
            recipe,
            number=attempt.number,
            attempt=attempt.attempt,
            acknowledged=attempt.acknowledged,
            checkpoints=checkpoints,
        )
        return Worker(attempt=attempt, training=training, reports=training.iter_reports(), fate=fate)

    def _step(self, session: Session, worker: Worker) -> bool:
        """Train until the next report and record it; False if the attempt is over."""
        number, fate = worker.attempt.number, worker.fate
        fate.steps -= 1
        try:
            report = next(worker.reports, None)
        except Killed:
            return self._note_kill(session, number, fate)
        if fate.is_now(Moment.BEFORE_RECORD):
            return self._note_kill(session, number, fate)
        self._kill_driver_at(Moment.DRIVER_BEFORE_RECORD, worker)
        info = worker.training.with_resumed(WorkerInfo())
        if report is None:
            session.record_end(number, info)
            return False
        if worker.attempt.attempt > 1 and report.epoch == worker.training.resumed_from + 1:
            last = max(worker.attempt.acknowledged.values(), default=0)
            self.loaded.append((last, worker.training.resumed_from))
        metrics = {"epoch": report.epoch, "epoch_s": report.epoch_s, "elapsed_s": report.elapsed_s}
        if session.record_report(number, metrics, info, own=report.metrics) is Decision.STOP:
            return False
        self._kill_driver_at(Moment.DRIVER_AFTER_RECORD, worker)
        return not fate.is_now(Moment.AFTER_RECORD) or self._note_kill(session, number, fate)

    def _note_kill(self, session: Session, number: int, fate: Fate) -> bool:
        assert fate.moment is not None
        self.kills[fate.moment] += 1
        session.record_failure(number, Failure.CRASHED, "killed", worker=WorkerInfo())
        return False

    def _kill_driver_at(self, moment: Moment, worker: Worker) -> None:
        if worker.fate.is_now(moment):
            self.kills[moment] += 1
            worker.reports.close()
            raise Killed

    def _leave(self, workers: list[Worker]) -> None:
        """End workers whose driver was killed; some live for another step, for their reports are recorded."""
        for worker in workers:
            worker.fate.moment = None
            if self._random.random() < OUTLIVES:
                self._orphans.append(worker)
            else:
                worker.reports.close()

    def _step_orphan(self) -> None:
        """Let a worker without a driver train until its next report, which nobody records."""
        if self._orphans and self._random.random() < OUTLIVES:
            orphan = self._orphans.pop(self._random.randrange(len(self._orphans)))
            next(orphan.reports, None)
            orphan.reports.close()
            self.outlived += 1
