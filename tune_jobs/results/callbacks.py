"""Callbacks of a run: a user's own code that hears of each report and each trial, in the driver.

A callback hears of what the store has already; it decides nothing, and what it raises ends nothing.
`tune_jobs.results.running` takes callbacks; `to_tensorboard` and `to_mlflow` are two.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from eml_models.errors import InvalidValueError
from eml_models.wording import cut, first_line
from tune_jobs.results.of_study import result_of
from tune_jobs.results.one_trial import Kept, TrialResult
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionStarted, detail_of
from tune_jobs.study.field_kinds import Scalar
from tune_jobs.study.json_fields import metrics_from_json, params_from_json
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import (
    METRICS_OF_REPORTS,
    Decision,
    EventKind,
    EventRow,
    ReportRow,
    Row,
    StartRow,
    TrialRow,
)

if TYPE_CHECKING:  # for readers of the protocol
    from tune_jobs.results.of_study import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a trial said after an epoch.

    Attributes:
        number: that of the trial.
        epoch: counted from 1.
        params: the values of the space, by name.
        metrics: by name, without those that the trial did not report. Of own training these are its own
            metrics and its costs.
        decision: that of the rung, if the epoch is one.
    """

    number: int
    epoch: int
    params: Params
    metrics: Mapping[str, Scalar]
    decision: Decision | None = None


class Callback(Protocol):
    """A user's own code in a run. A class may derive from it, or have some of its methods.

    All calls are made in the driver, one after the other, from a thread of the run, and the run waits for
    each. What a method raises is shown once, and the run continues.
    """

    def on_start(self, study: Study) -> None:
        """The run begins. A study that is complete already begins no run, so nothing is called."""

    def on_report(self, report: Report) -> None:
        """A trial has reported an epoch, and the store has the report."""

    def on_trial_end(self, trial: TrialResult) -> None:
        """A trial has ended, in any state; a trial that a limit refused ends without a report."""

    def on_end(self, results: Results) -> None:
        """The run has ended, also if it failed or was interrupted. Trials without an end are unfinished.

        If the store cannot be read then, the results hold the rows of this run alone.
        """


METHODS = ("on_start", "on_report", "on_trial_end", "on_end")


def check_callbacks(callbacks: Sequence[object]) -> None:
    """Refuse what cannot be called.

    Raises:
        InvalidValueError: there is no list, or one of them is a class or has no method of `Callback`.
    """
    if not isinstance(callbacks, list | tuple):
        raise InvalidValueError(f"callbacks must be a list, got {cut(callbacks)}; write callbacks=[...]")
    for callback in callbacks:
        if isinstance(callback, type):
            raise InvalidValueError(
                f"a callback is an object, got the class {callback.__name__}; write {callback.__name__}(...)"
            )
        if not any(callable(getattr(callback, name, None)) for name in METHODS):
            raise InvalidValueError(
                f"a callback has at least one of the methods {', '.join(METHODS)}, got {cut(callback)}"
            )


class Caller:
    """Calls the callbacks of one run, as the run's rows say.

    Args:
        say: shows a sentence to the user.

    Attributes:
        began: whether the run has begun.
        rows: what the run has written.
    """

    def __init__(
        self, study: Study, callbacks: Sequence[object], *, store: str, say: Callable[[str], object]
    ) -> None:
        self._study, self._callbacks, self._store, self._say = study, callbacks, store, say
        self.began = False
        self.rows: list[Row] = []
        self._starts: dict[int, list[StartRow]] = {}
        self._said: set[tuple[int, str]] = set()

    def hear(self, rows: Sequence[Row]) -> None:
        """Take rows that are in the store."""
        self.rows += rows
        for row in rows:
            if isinstance(row, EventRow) and row.kind is EventKind.SESSION_STARTED:
                assert isinstance(detail_of(row), SessionStarted)
                self.began = True
                self._call("on_start", self._study)
            elif isinstance(row, StartRow):
                self._starts.setdefault(row.number, []).append(row)
            elif isinstance(row, ReportRow):
                self._call("on_report", self._report(row))
            elif isinstance(row, TrialRow):
                self._call("on_trial_end", self._result(row))

    def end(self, results: Results) -> None:
        """The run has ended."""
        self._call("on_end", results)

    def _report(self, row: ReportRow) -> Report:
        starts = self._starts.get(row.number)
        return Report(
            number=row.number,
            epoch=row.epoch,
            params=params_from_json(starts[-1].params) if starts else {},
            metrics=metrics_of(row, is_own=self._study.train is not None),
            decision=row.decision,
        )

    def _result(self, row: TrialRow) -> TrialResult:
        rows = self._starts.pop(row.number, [])
        is_own = self._study.train is not None
        kept = Kept(store=self._store, study=self._study.name, rows=rows, is_own=is_own)
        return result_of(row, self._study.objectives, names=self._study.space.names, kept=kept)

    def _call(self, method: str, value: object) -> None:
        for index, callback in enumerate(self._callbacks):
            try:
                function = getattr(callback, method, None)
                if function is not None:
                    function(value)
            except Exception as error:  # a user's own code may raise anything, and the run continues
                if (index, method) not in self._said:
                    self._said.add((index, method))
                    self._say(_complaint(callback, method, error))


def metrics_of(row: ReportRow, *, is_own: bool) -> dict[str, Scalar]:
    """The metrics of a report that have a value, by name."""
    if is_own:
        found = metrics_from_json(row.metrics)
    else:
        found = {name: getattr(row, name) for name in sorted(METRICS_OF_REPORTS)}
    return {name: value for name, value in found.items() if value is not None}


def as_numbers(metrics: Mapping[str, Scalar]) -> dict[str, float]:
    """The metrics that can be drawn; a truth value counts as 0 or 1."""
    return {name: float(value) for name, value in metrics.items() if isinstance(value, bool | int | float)}


def _complaint(callback: object, method: str, error: Exception) -> str:
    frame = _frame_of(callback, method, traceback.extract_tb(error.__traceback__))
    after = (
        "Nothing of the run is lost"
        if method == "on_end"
        else ("The run continues; further errors of this method are not shown")
    )
    return (
        f"{type(callback).__name__}.{method} raised {type(error).__name__}: {first_line(error)}"
        f" ({Path(frame.filename).name}:{frame.lineno}). {after}"
    )


def _frame_of(
    callback: object, method: str, frames: Sequence[traceback.FrameSummary]
) -> traceback.FrameSummary:
    """The last frame in the file of the callback, where its user can look; else the last of all."""
    code = getattr(getattr(type(callback), method, None), "__code__", None)
    own = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    return own[-1] if own else frames[-1]
