"""The object that a training function of the user gets beside its params: to report, to save and to load.

`own_attempt` makes one for each attempt and takes the reports. Any thread of the function may report; it then
waits until the report before is acknowledged. The thread that reports is the one to save.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.saving import iter_resumable
from tune_jobs.session.report_checks import EPOCH, number_of
from tune_jobs.study.json_fields import INT64_MAX, INT64_MIN
from tune_jobs.study.objective import OWN_METRIC
from tune_jobs.worker import saved_state
from tune_jobs.worker.saved_state import SavedState

MAX_TEXT = 1000
"""Characters of a metric that is text; a longer one is cut."""

Plain = float | int | bool | str | None


class TrialStopped(BaseException):
    """Ends a training function whose trial has ended.

    ``run.report`` raises it. Like `GeneratorExit` it is no `Exception`, so that ``except Exception`` in the
    training lets it pass. A function that catches it all the same does no harm: nothing that it reports later
    is recorded.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReport:
    """A report of own training.

    Attributes:
        epoch: its number, from 1.
        metrics: plain values by the user's names.
        epoch_s: seconds of training since the report before; `elapsed_s` is the sum over all reports, with
            those before a resume.
    """

    epoch: int
    metrics: Mapping[str, Plain]
    epoch_s: float
    elapsed_s: float


@dataclass(kw_only=True)
class TrialRun:
    """One attempt of a trial, for its training function.

    The number of each report is counted here, from 1. What `save` took is written with the next report, and
    `load` returns it once that report is acknowledged: after a kill, a function that saves with each report
    continues behind its last acknowledged report. If it saves less often, it continues behind the report of
    its last save, and reports the epochs after it again; of each epoch the first report counts.

    Attributes:
        device: ``cpu`` or ``cuda``; which GPUs, and how many, CUDA itself shows.
        seed: of this trial alone; the same in every attempt. Nothing is seeded by it before.
        number: of the trial in its study.
        epochs: the report with which the trial is complete.
        data_dir: the folder of data sets that the run was given; None if none was given.
    """

    device: str
    seed: int
    number: int
    epochs: int
    data_dir: str | None = None
    _checkpoints: Checkpoints | None = field(default=None, repr=False)
    _attempt: int = 1
    _recipe: str = ""
    _acknowledged: int = 0
    _send: Callable[[Mapping[str, Plain], int], None] = field(default=lambda metrics, epoch: None, repr=False)
    _last: int = 0
    _resumed_from: int = 0
    _before_s: float = 0.0
    _staged: dict[str, Any] = field(default_factory=dict, repr=False)
    _saved: SavedState | None = field(default=None, repr=False)
    _scratch: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)
    _problems: list[str] = field(default_factory=list)
    _reporting: Lock = field(default_factory=Lock, repr=False)

    @property
    def scratch(self) -> Path:
        """A folder for files of this attempt; it is removed when the attempt ends."""
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="tune-jobs-", ignore_cleanup_errors=True)
        return Path(self._scratch.name)

    def report(self, metrics: object, *, epoch: int | None = None) -> None:
        """Report metrics, and wait until they are recorded and it is decided whether the trial continues.

        Args:
            metrics: a mapping or a dataclass; its values are numbers (of Python, NumPy or torch), truth
                values and texts. Its `epoch`, if it has one, is the number of the report.
            epoch: the number of the report, above the last; None for the next.

        Raises:
            TrialStopped: the trial has ended; return, or let it pass. In a thread of the function's own it
                ends that thread alone, so the function must notice that.
            InvalidValueError: `metrics` is nothing of the above, or `epoch` is not above the last.
        """
        with self._reporting:
            values, number = self._counted(metrics, epoch)
            self._send(values, number)

    def save(self, state: Any) -> None:
        """Keep a state: tensors and plain values, as in ``{"model": net.state_dict(), "epoch": 3}``.

        It is copied now, and written with the next report, or with the end of the trial if none follows. The
        last state of each of the best trials stays in the store (`RunSettings.keep_checkpoints`).

        Raises:
            InvalidValueError: the state holds anything else.
        """
        self._staged["state"] = saved_state.copied(state)

    def save_folder(self, path: str | os.PathLike[str]) -> None:
        """Keep the files of a folder as they are now, for what a library writes itself; see `save`.

        Raises:
            InvalidValueError: there is no such folder.
        """
        self._staged["folder"] = saved_state.packed(path)

    def load(self) -> Any:
        """What `save` took for the trial's last acknowledged report that has a state; None without any.

        Call it before the first report, so that the reports are counted from there. A function that returns
        early by a rule of its own looks at that rule first: a kill may have come before its end was recorded.
        """
        found = self._find()
        return None if found is None else saved_state.copied(found.state)

    def load_folder(self) -> Path | None:
        """A copy of what `save_folder` took, in `scratch`; None without any. See `load`."""
        found = self._find()
        if found is None or found.folder is None:
            return None
        target = Path(tempfile.mkdtemp(prefix="loaded-", dir=self.scratch))
        saved_state.unpack(found.folder, target)
        return target

    def _close(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()  # files that a process of the function still writes stay

    def _counted(self, metrics: object, epoch: int | None) -> tuple[dict[str, Plain], int]:
        values = plain_metrics(metrics)
        stated = values.pop(EPOCH, None) if epoch is None else epoch
        if stated is None:
            return values, self._last + 1
        if isinstance(stated, float) and stated.is_integer():
            stated = int(stated)
        last, epochs = self._last, self.epochs
        if (
            not isinstance(stated, int)
            or isinstance(stated, bool)
            or not last < stated <= max(epochs, last + 1)
        ):
            raise InvalidValueError(
                f"the epoch of a report must be a whole number above the last ({last}) and at most {epochs},"
                f" got {stated!r}; leave it out, and the reports are counted"
            )
        return values, stated

    def _find(self) -> SavedState | None:
        """The newest state that an acknowledged report belongs to."""
        if self._saved is not None and self._saved.report <= self._last:
            return self._saved
        for found in self._iter_saved():
            if found.report <= self._acknowledged:
                if not self._last:
                    self._last = self._resumed_from = found.report
                    self._before_s = found.elapsed_s
                self._saved = found  # the trial's last state, if the function saves no other
                return found
        return None

    def _iter_saved(self) -> Iterator[SavedState]:
        if self._checkpoints is None or self._attempt == 1:
            return
        self._problems.clear()
        for path in iter_resumable(
            self._checkpoints,
            self.number,
            self._attempt,
            self._recipe,
            self._problems,
            read_owner=saved_state.owner_of_state,
        ):
            yield saved_state.read_state(path)


def plain_metrics(metrics: object) -> dict[str, Plain]:
    """The metrics of a report as plain values by name.

    Raises:
        InvalidValueError: they are no mapping and no dataclass, or a name or a value is nothing that a store
            can hold.
    """
    if dataclasses.is_dataclass(metrics) and not isinstance(metrics, type):
        metrics = {f.name: getattr(metrics, f.name) for f in dataclasses.fields(metrics)}
    if not isinstance(metrics, Mapping):
        raise InvalidValueError(
            f'a report is a mapping or a dataclass of metrics, such as {{"iou": 0.7}}, got {_short(metrics)}'
        )
    return {_name_of(name): _plain(str(name), value) for name, value in metrics.items()}


def _name_of(name: object) -> str:
    if not isinstance(name, str) or not OWN_METRIC.fullmatch(name):
        raise InvalidValueError(
            "the name of a metric has 1 to 100 characters, without quotes, backslashes, asterisks and"
            f" control characters, got {_short(name)}"
        )
    return name


def _plain(name: str, value: Any) -> Plain:
    """A value of Python, NumPy or torch as a plain one; a whole number beyond every float is infinite."""
    if hasattr(value, "item") and _num_values(value) == 1:
        value = value.item()
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if INT64_MIN <= value <= INT64_MAX else number_of(value)
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else f"{value[: MAX_TEXT - 3]}..."
    raise InvalidValueError(
        f"metric {name} must be a number, a truth value or text, got {_short(value)}; report a mean, or one"
        " metric for each value"
    )


def _num_values(value: Any) -> int:
    """How many numbers a NumPy or torch value holds."""
    count = getattr(value, "numel", None)
    return int(count() if callable(count) else getattr(value, "size", 1))


def _short(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:60] + '...'}"
