"""Plays the steps of a training as graphs: each size of a batch is captured once, and then replayed.

A graph repeats the kernels of the captured step on the same memory, so everything that changes from step to
step must be on the device (`eml_models.training.device_steps`). The first steps of each size are eager; they
are steps of the training like all others. Their operators are recorded: a step whose operators change, or
which waits for the device, stays eager, and so does a step whose capture fails.

Steps of two sizes share the memory of one pool. A size that is new while graphs exist is trained without
them, so that a training never needs the memory of two steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Protocol

import torch

from eml_models.errors import describe_cause
from eml_models.training.execution import GRAPH, Execution
from eml_models.training.operator_record import OperatorRecord, difference

WARM_UP = 3
"""Eager steps of each size before its capture. They make the optimizer's state and load the kernels; the last
two are recorded and compared."""

PATIENCE = 32
"""Eager steps after which a size does not wait any longer for the warm-up of the other."""

STEPS_BEFORE_REPLAYS = 2 * WARM_UP + 2
"""After this number of steps, of two sizes in turn, all steps are replayed."""

Replay = Callable[[], object]


class Capturer(Protocol):
    """Captures work of a device as a graph. `eml_models.training.cuda_capture` does so on CUDA."""

    device_type: str

    def working(self) -> AbstractContextManager[None]:
        """A context for all work of a training that captures, from its first step."""
        ...

    def capture(self, work: Callable[[], None]) -> Replay:
        """Capture the work without doing it; returns the function that does it, as often as it is called.

        Raises:
            Exception: of any type; nothing was done on the device, and the generators are as they were.
        """
        ...

    def release(self) -> None:
        """Free the memory of graphs that were dropped."""
        ...


class StepGraphs:
    """The steps of a training, eager or as graphs.

    Args:
        work: a step of a batch of that size; it draws no value from Python's state that changes.
        forget: drops what a step that ended in its middle has left in Python.
        sizes: of all batches.
        eager_because: the reason if there is to be no graph.

    Attributes:
        eager_because: why the steps are not replayed; None if they are, or may be after some steps.
        have_played: whether steps were replayed, and none had to become eager again.
    """

    def __init__(
        self,
        work: Callable[[int], None],
        forget: Callable[[], None],
        *,
        sizes: Collection[int],
        capturer: Capturer,
        eager_because: str | None = None,
    ) -> None:
        self._work, self._forget = work, forget
        self._sizes, self._capturer = frozenset(sizes), capturer
        self.eager_because = eager_because
        self.have_played = False
        self._seen: Counter[int] = Counter()
        self._records: dict[int, OperatorRecord] = {}
        self._graphs: dict[int, Replay] = {}

    def advance(self, size: int) -> None:
        """Do one step of a batch of that size."""
        if size not in self._graphs and self._is_due(size):
            self._capture(size)
        if size in self._graphs:
            self._graphs[size]()
        else:
            self._advance_eagerly(size)

    def way(self, size: int) -> str | None:
        """How the next step of that size is executed; None while it is one of those before the graphs."""
        if size in self._graphs:
            return GRAPH
        is_settled = self.eager_because is not None and self._seen[size] >= WARM_UP
        return Execution.EAGER.value if is_settled else None

    def drop(self) -> None:
        """Free the graphs; the next steps are eager and are captured again."""
        self._release()
        self._seen.clear()
        self._records.clear()

    def _is_due(self, size: int) -> bool:
        if self.eager_because is not None or self._seen[size] < WARM_UP:
            return False
        return self._seen[size] >= PATIENCE or all(self._seen[other] >= WARM_UP for other in self._sizes)

    def _advance_eagerly(self, size: int) -> None:
        self._release()
        self._seen[size] += 1
        if self.eager_because is None and torch.is_anomaly_enabled():
            self._stay_eager("torch's anomaly detection is on")  # it waits for each result
        if self.eager_because is not None or not WARM_UP - 1 <= self._seen[size] <= WARM_UP:
            self._work(size)
            return
        with OperatorRecord(self._capturer.device_type) as record:
            self._work(size)
        self._check(size, record)

    def _check(self, size: int, record: OperatorRecord) -> None:
        """Note whether a step waits for the device, or differs from the step of this size before it."""
        before = self._records.pop(size, None)
        if record.waiting is not None:
            self._stay_eager(f"a step waits for the device ({record.waiting})")
        elif before is None:
            self._records[size] = record
        elif (changed := difference(before, record)) is not None:
            self._stay_eager(f"a step differs from the step before it ({changed})")

    def _capture(self, size: int) -> None:
        try:
            with torch.random.fork_rng(devices=[]):
                self._graphs[size] = self._capturer.capture(lambda: self._work(size))
            self.have_played = True
        except Exception as error:  # of any type: the network's code runs in it
            self._forget()
            self._stay_eager(f"the capture of a step failed: {describe_cause(error)}")

    def _stay_eager(self, reason: str) -> None:
        self.eager_because, self.have_played = reason, False
        self._records.clear()
        self._release()

    def _release(self) -> None:
        if self._graphs:
            self._graphs.clear()
            self._capturer.release()
