"""The reports of a training function of the user, one after the other, and its saves between them.

A generator trains whenever the next report is asked for. Any other function runs in a thread of its own,
which waits in each ``run.report`` until the next report is asked for. So for both kinds a report that was
taken is acknowledged when the next is asked for, and closing the iterator ends the function.

A state is written before its report is sent, with the numbers of that report and of its attempt. It counts
only if the driver has acknowledged that report of that attempt: no kill between the two makes a later attempt
skip or repeat an epoch. The last report of a trial is sent after its function has ended, because the trial
ends with it; so a function may save or tidy up behind its last report.

A child process that the function forks may come back to here, by an error or a return. It has a copy of the
whole worker, but it is not that worker: it ends.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import time
import traceback
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.study.own_training import OwnRecipe, Train
from tune_jobs.worker.plain_metrics import Plain
from tune_jobs.worker.save_order import ADVICE, SaveOrder
from tune_jobs.worker.saved_state import SavedState
from tune_jobs.worker.trial_run import WAY_OUT, OwnReport, TrialRun, TrialStopped

LOG = logging.getLogger("tune_jobs.worker")

STOPPING_S = 30.0
"""Seconds for which the end of a stopped function is waited for."""

CHECKPOINT, WEIGHTS = "checkpoint to resume from", "state after the last report"

Counted = tuple[Mapping[str, Plain], int]


class OwnAttempt:
    """An attempt of own training.

    Attributes:
        resumed_from: the report whose state `TrialRun.load` returned; 0 if it returned none.
        passed_over: why newer checkpoints were not used; None if there were none.
        unsaved: what could not be written since the last report, with the reason.
        advice: a sentence for the author of the function, with the newest report; None for nothing to say.
    """

    def __init__(
        self,
        train: Train,
        recipe: OwnRecipe,
        *,
        number: int,
        attempt: int = 1,
        acknowledged: Mapping[int, int] | None = None,
        device: str = "cpu",
        data_dir: str | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._train, self._recipe, self._checkpoints, self._attempt = train, recipe, checkpoints, attempt
        self.unsaved: dict[str, str] = {}
        self.advice: str | None = None
        self._said: tuple[int, str | None] = (0, None)
        self.run = TrialRun(
            device=device,
            seed=recipe.seed,
            number=number,
            epochs=recipe.epochs,
            data_dir=data_dir,
            _checkpoints=checkpoints,
            _attempt=attempt,
            _recipe=recipe.to_json(),
            _acknowledged=acknowledged or {},
        )

    @property
    def resumed_from(self) -> int:
        return self.run._resumed_from

    @property
    def passed_over(self) -> str | None:
        return "; ".join(self.run._problems).encode(errors="replace").decode() or None  # it becomes JSON

    @property
    def saved(self) -> SavedState | None:
        """What the function saved last, with its report; None if it saved nothing."""
        return self.run._saved

    def take_unsaved(self) -> dict[str, str]:
        """Return `unsaved` and clear it."""
        taken, self.unsaved = self.unsaved, {}
        return taken

    def with_resumed(self, worker: WorkerInfo) -> WorkerInfo:
        """The worker of the next message, with what `load` found unless an earlier message said so."""
        found = (self.resumed_from, self.passed_over)
        said, self._said = self._said, found
        return worker if found == said else replace(worker, resumed_from_epoch=found[0], passed_over=found[1])

    def iter_reports(self) -> Generator[OwnReport]:
        """Train; a report is acknowledged when the next one is asked for.

        Raises:
            InvalidValueError: the function reports or saves something that a store cannot hold.
        """
        run, reports = self.run, _iter_counted(self._train, self.run, dict(self._recipe.params))
        try:
            began, elapsed_s, order = time.perf_counter(), 0.0, SaveOrder()
            for metrics, epoch in reports:
                epoch_s = time.perf_counter() - began
                saved_after_s = run._save_began - began if run._staged else None
                self.advice = ADVICE if order.hear(epoch_s, saved_after_s) else None
                elapsed_s = (elapsed_s or run._before_s) + epoch_s
                report = OwnReport(epoch=epoch, metrics=metrics, epoch_s=epoch_s, elapsed_s=elapsed_s)
                if epoch >= run.epochs:
                    self._finish(reports, report)
                    yield report
                    return
                self._write(report)
                yield report
                run._last = epoch
                began = time.perf_counter()
            self._write_final(run._last, elapsed_s)
        finally:
            reports.close()
            run._close()

    def _finish(self, reports: Generator[Counted], last: OwnReport) -> None:
        """Let the function end before the last report is sent, and keep its last state."""
        self.run._last = last.epoch
        if next(reports, None) is not None:
            LOG.warning(
                "trial %d reports after epoch %d, with which it is complete; train run.epochs epochs",
                self.run.number,
                last.epoch,
            )
            reports.close()
        self._write_final(last.epoch, last.elapsed_s)

    def _write(self, report: OwnReport) -> None:
        if self.run._staged:
            self._keep(report.epoch, report.elapsed_s, final=False)

    def _write_final(self, epoch: int, elapsed_s: float) -> None:
        if self.run._staged or self.run._saved is not None:
            self._keep(epoch, elapsed_s, final=True)

    def _keep(self, epoch: int, elapsed_s: float, *, final: bool) -> None:
        run = self.run
        owner: dict[str, str | int] = {"attempt": self._attempt}
        if self._checkpoints is not None:
            owner = self._checkpoints.owner(run.number, self._attempt, self._recipe.to_json())
        before = run._saved  # a state and a folder may be saved at different reports
        kept = {"state": before.state, "folder": before.folder} if before is not None else {}
        staged = run._take_staged()
        run._saved = SavedState(report=epoch, elapsed_s=elapsed_s, owner=owner, **{**kept, **staged})
        if self._checkpoints is None:
            return
        try:
            self._checkpoints.write(run.number, self._attempt, run._saved.content(), final=final)
        except OSError as error:  # a full disk costs the checkpoint, not the trial
            self.unsaved[WEIGHTS if final else CHECKPOINT] = str(error)


def _iter_counted(train: Train, run: TrialRun, params: dict[str, Any]) -> Generator[Counted]:
    """The reports of a training function with their numbers."""
    return _iter_generator(train, run, params) if _is_generator(train) else _iter_thread(train, run, params)


def _is_generator(train: Train) -> bool:
    inner = train.func if isinstance(train, partial) else train
    return inspect.isgeneratorfunction(inner) or inspect.isgeneratorfunction(type(inner).__call__)


def _iter_generator(train: Train, run: TrialRun, params: dict[str, Any]) -> Generator[Counted]:
    run._send = lambda metrics, epoch: _refuse_both()
    reports = train(params, run)
    try:
        while (metrics := _next(reports, run)) is not _END:
            yield run._counted(metrics, None)
    finally:
        _close_generator(reports, run)


_END = object()


def _next(reports: Iterator[object], run: TrialRun) -> object:
    """What a generator yields next; `_END` if it has ended, also by `TrialStopped`."""
    try:
        found = next(reports)
    except (StopIteration, TrialStopped):
        _end_child(run)
        return _END
    except BaseException as error:  # of any type: it is the user's code
        _end_child(run, error)
        raise _as_failure(error)  # noqa: B904 - mostly the same error
    _end_child(run, _ReportOfChild())
    return found


def _as_failure(error: BaseException) -> BaseException:
    """An error of a training function as an error that fails its trial alone: the search continues."""
    if isinstance(error, SystemExit):
        return RuntimeError(
            f"the training function called sys.exit({error.code!r}); return, or raise an error"
        )
    if isinstance(error, Exception | KeyboardInterrupt):  # Ctrl-C is of the run, and not of the trial
        return error
    return RuntimeError(f"the training function raised {error!r}, which is no Exception; raise an Exception")


class _ReportOfChild(Exception):
    """A forked child process has yielded a report."""

    def __str__(self) -> str:
        return f"a child process of the training function yielded a report. {WAY_OUT}"


def _end_child(run: TrialRun, error: BaseException | None = None) -> None:
    """End this process at once if it is a child process that the training function forked."""
    if os.getpid() == run._pid:
        return
    code: object = 0 if error is None else 1
    if isinstance(error, SystemExit):
        code = error.code or 0
    elif error is not None:
        traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _refuse_both() -> None:
    raise InvalidValueError("a generator yields its reports; it does not call run.report")


def _close_generator(reports: Any, run: TrialRun) -> None:
    """Close a generator. Its trial has ended, so an error of its clean-up, or another yield, is a warning."""
    try:
        reports.close()
    except BaseException as error:  # of any type: it is the user's code
        _end_child(run, error)
        if isinstance(error, KeyboardInterrupt):
            raise
        LOG.warning("trial %d has ended, and its training function then raised: %r", run.number, error)


class _Ended(Exception):
    """The function has returned."""


def _iter_thread(train: Train, run: TrialRun, params: dict[str, Any]) -> Generator[Counted]:
    """The reports of a function that calls ``run.report`` or returns metrics, run in its own thread."""
    reports: SimpleQueue[Counted | BaseException] = SimpleQueue()
    acknowledged: SimpleQueue[bool] = SimpleQueue()
    stopped = given_up = False

    def send(metrics: Mapping[str, Plain], epoch: int) -> None:
        if given_up:
            SimpleQueue[None]().get()  # waits for ever, so that it takes no time from later trials
        if not stopped:
            reports.put((metrics, epoch))
        if stopped or not acknowledged.get():
            raise TrialStopped(f"trial {run.number} has ended")

    def call() -> None:
        error: BaseException = _Ended()
        try:
            made = train(params, run)
            if isinstance(made, Iterator):
                for metrics in made:
                    run.report(metrics)
            elif made is not None:
                run.report(made)
        except TrialStopped:
            pass
        except BaseException as found:  # raised again where the reports are taken
            error = found
        _end_child(run, None if isinstance(error, _Ended) else error)
        reports.put(_as_failure(error))

    run._send = send
    thread = Thread(target=call, name=f"training of trial {run.number}", daemon=True)
    thread.start()
    try:
        while True:
            found = reports.get()
            if isinstance(found, _Ended):
                return
            if isinstance(found, BaseException):
                raise found
            yield found
            acknowledged.put(True)
    finally:
        stopped = True
        acknowledged.put(False)
        thread.join(STOPPING_S)
        if thread.is_alive():
            given_up = True
            LOG.warning(
                "trial %d has ended, and its training function still runs after %g s: it catches"
                " TrialStopped, or trains on without a report; its next report will halt it",
                run.number,
                STOPPING_S,
            )
