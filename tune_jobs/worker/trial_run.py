"""The object that a training function of the user gets beside its params: to report, to save and to load.

`own_attempt` makes a `TrialRun` for each attempt and takes the reports. Any thread of the function may
report, save and load: a report waits until the report before is acknowledged, and takes along what any thread
has saved until then. A child process may not: its memory is a copy, whose reports nobody would take.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

from eml_models.errors import InvalidValueError
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.saving import iter_resumable
from tune_jobs.session.report_checks import EPOCH
from tune_jobs.worker import saved_folder, saved_state
from tune_jobs.worker.plain_metrics import Plain, plain_metrics, python_value
from tune_jobs.worker.saved_state import SavedState

LOG = logging.getLogger("tune_jobs.worker")

WAY_OUT = (
    "Give a child process the values that it needs, such as run.seed; let it send its results back through a"
    " queue or a pipe, and report them in the training function"
)


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

    **Order.** The reports are counted here, from 1. What `save` took is written with the next report, and
    belongs to that report of this attempt. `load` returns it once that report is acknowledged, which means
    recorded in the store. After a kill, `load` returns what was saved with the last acknowledged report that
    has a state, whichever attempt that report is of; a state whose own report was not acknowledged is never
    returned, although a later attempt may have reported the same epoch.

    **Numbers.** After `load`, counting continues behind the report of the loaded state. So a function that
    saves with each report continues behind its last acknowledged report. If it saves less often, it reports
    the epochs after its last save again; of each epoch the first acknowledged report counts. A function that
    does not load begins again at 1.

    **Threads and processes.** Any thread of the function's process may use it. In a child process each
    method raises, and it cannot be pickled: send results back through a queue or a pipe, and report them in
    the function.

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
    _acknowledged: Mapping[int, int] = field(default_factory=dict, repr=False)
    _send: Callable[[Mapping[str, Plain], int], None] = field(default=lambda metrics, epoch: None, repr=False)
    _last: int = 0
    _resumed_from: int = 0
    _before_s: float = 0.0
    _staged: dict[str, Any] = field(default_factory=dict, repr=False)
    _save_began: float = 0.0
    _saved: SavedState | None = field(default=None, repr=False)
    _scratch: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)
    _problems: list[str] = field(default_factory=list)
    _reporting: Lock = field(default_factory=Lock, repr=False)
    _staging: Lock = field(default_factory=Lock, repr=False)
    _pid: int = field(default_factory=os.getpid, repr=False)

    @property
    def scratch(self) -> Path:
        """A folder for files of this attempt. It is removed when the attempt ends.

        The path then leads nowhere, also for a process that runs on. What shall stay goes through `save` or
        `save_folder`, or into a folder of your own.

        A child process may use it too, if the function has asked for it before.
        """
        if self._scratch is None:
            self._require_own_process("run.scratch")
            self._scratch = tempfile.TemporaryDirectory(prefix="tune-jobs-", ignore_cleanup_errors=True)
        return Path(self._scratch.name)

    def report(self, metrics: object, *, epoch: int | None = None) -> None:
        """Report metrics, and wait until they are recorded and it is decided whether the trial continues.

        Args:
            metrics: a mapping or a dataclass; its values are numbers (of Python, NumPy or torch), truth
                values and texts. Its `epoch`, if it has one, is the number of the report.
            epoch: the number of the report, above the last: a whole number of Python, NumPy or torch, or a
                float such as 1.0. None for the next. If it is given, an `epoch` among the metrics is a metric
                like any other.

        Raises:
            TrialStopped: the trial has ended; return, or let it pass. In a thread of the function's own it
                ends that thread alone, so the function must notice that.
            InvalidValueError: `metrics` is nothing of the above, `epoch` is not above the last, or this is a
                child process.
        """
        self._require_own_process("run.report")
        with self._reporting:
            values, number = self._counted(metrics, epoch)
            self._send(values, number)

    def save(self, state: Any) -> None:
        """Keep a state: tensors and plain values, as in ``{"model": net.state_dict(), "epoch": 3}``.

        It is copied now, and written with the next report of any thread, or with the end of the trial if none
        follows. So call it before the report of its epoch: behind it, the state would belong to the next. A
        later call before that report takes its place. The last state of each of the best trials stays in the
        store (`RunSettings.keep_checkpoints`).

        Raises:
            InvalidValueError: the state holds anything else, or this is a child process.
        """
        self._require_own_process("run.save")
        began = time.perf_counter()
        self._stage("state", saved_state.copied(state), began)

    def save_folder(self, path: str | os.PathLike[str]) -> None:
        """Keep the files of a folder as they are now, for what a library writes itself; see `save`.

        Folders and files are kept, empty ones too, and links that stay inside the folder. A state and a
        folder may be saved with different reports; `load` and `load_folder` then return the last of each.

        Raises:
            InvalidValueError: there is no such folder; it holds a link that leads outside, a pipe, a socket
                or a device, or a file that cannot be read; it changes while it is read; or this is a child
                process.
        """
        self._require_own_process("run.save_folder")
        began = time.perf_counter()
        self._stage("folder", saved_folder.packed(path), began)

    def load(self) -> Any:
        """What `save` took for the last acknowledged report of the trial that has a state; None without any.

        Call it before the first report, so that the reports are counted from there. A function that returns
        early by a rule of its own looks at that rule first: a kill may have come before its end was recorded.

        Raises:
            InvalidValueError: this is a child process.
        """
        self._require_own_process("run.load")
        found = self._find()
        return None if found is None else saved_state.copied(found.state)

    def load_folder(self) -> Path | None:
        """A copy of what `save_folder` took, in `scratch`; None without any. See `load`."""
        self._require_own_process("run.load_folder")
        found = self._find()
        if found is None or found.folder is None:
            return None
        target = Path(tempfile.mkdtemp(prefix="loaded-", dir=self.scratch))
        saved_folder.unpack(found.folder, target)
        return target

    def __reduce__(self) -> NoReturn:
        """Refuses to be pickled, which is how a run would get into another process.

        Raises:
            InvalidValueError: always.
        """
        raise InvalidValueError(
            "run cannot be sent to another process, got a call that pickles it: only the process of the"
            f" training function may report, save and load. {WAY_OUT}"
        )

    def _require_own_process(self, call: str) -> None:
        if os.getpid() != self._pid:
            raise InvalidValueError(
                f"{call} is for the process of the training function (process {self._pid}), got a call in its"
                f" child process {os.getpid()}. {WAY_OUT}"
            )

    def _stage(self, name: str, content: Any, began: float) -> None:
        with self._staging:
            self._staged[name] = content
            self._save_began = began

    def _take_staged(self) -> dict[str, Any]:
        """What was saved since the last report; a save of another thread comes before or after it whole."""
        with self._staging:
            staged, self._staged = self._staged, {}
        return staged

    def _close(self) -> None:
        if self._scratch is None:
            return
        try:
            self._scratch.cleanup()  # files that a process of the function still writes stay
        except RecursionError:  # of folders within folders, deeper than Python can remove them
            LOG.warning("%s is too deep to be removed, and stays", self._scratch.name)

    def _counted(self, metrics: object, epoch: Any) -> tuple[dict[str, Plain], int]:
        values = plain_metrics(metrics)
        given = values.pop(EPOCH, None) if epoch is None else epoch
        if given is None:
            return values, self._last + 1
        stated = _whole(given)
        last, epochs = self._last, self.epochs
        most = (
            epochs if last < epochs else math.inf
        )  # a report after the end is left out, whatever its number
        if stated is None or not last < stated <= most:
            raise InvalidValueError(
                f"the epoch of a report must be a whole number above the last ({last}) and at most {epochs},"
                f" got {given!r}; leave it out, and the reports are counted"
            )
        return values, stated

    def _find(self) -> SavedState | None:
        """The state of the last acknowledged report that has one."""
        if self._saved is not None and self._saved.report <= self._last:
            return self._saved
        for found in self._iter_saved():
            if found.report <= self._acknowledged.get(found.attempt, 0):
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


def _whole(value: Any) -> int | None:
    """A whole number of Python, NumPy or torch, or a float that is one; None for anything else."""
    value = python_value(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
