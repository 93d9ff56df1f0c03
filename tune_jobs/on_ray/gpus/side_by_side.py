"""Measures a step on a GPU: its load in one process, then the pace of one, two and four processes together.

Each process does what a trial's process does: it has a context of its own, captures its steps and plays them.
The first measures the load of a step. Then as many more start as the card's memory has room for. Once all
are ready, they train steps in windows of a second. How busy one process keeps a card says little about how
many are fastest: a graph keeps it busy alone, and may leave most of its cores idle.

Where a process ends or is late, there are no paces, and `share` chooses without them. The work between steps,
such as the augmentation of a block, is not part of the steps. This process takes no memory of the card.
`card_program` and, on a cluster, `measure` call it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Protocol

from eml_models.training.device_load import Pace, StepLoad
from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.gpus.share import trials_in_memory
from tune_jobs.on_ray.gpus.step_process import StepProcess
from tune_jobs.on_ray.gpus.step_program import GO, STOP, StepRequest

TOGETHER = (1, 2, 4)
"""Numbers of processes whose pace is measured. The last is lowered to what memory holds."""

WINDOW_S = 1.0
WARM_UP_SHARE = 0.25
"""A window before the others, as a share of one: a card that was idle raises its clock first."""

READY_FACTOR = 3.0
"""The other processes may take this multiple of the time that the first took to start and to measure: they
start at the same time, and share the cores of the host."""

LEAST_READY_S = 30.0
ANSWER_S = 10.0
"""Seconds after a window in which the device may still have queued steps to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLoad:
    """A step's load, and the pace of several trainings on one card.

    Attributes:
        load: of one training.
        images_per_s: by the number of trainings, the images per second of all of them together; empty if
            that was not measured.
        not_together_because: the reason for that.
    """

    load: StepLoad
    images_per_s: dict[int, float] = field(default_factory=dict)
    not_together_because: str | None = None

    def fields(self) -> dict[str, Any]:
        """The values in types of JSON."""
        return asdict(self)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> CardLoad:
        """The values of these `fields`, whose keys may have become text in JSON."""
        paces = {int(count): pace for count, pace in fields["images_per_s"].items()}
        return cls(**{**fields, "load": StepLoad(**fields["load"]), "images_per_s": paces})


class Stepper(Protocol):
    """A process that trains steps, see `StepProcess`."""

    def say(self, line: str) -> None: ...

    def answer(self, limit_s: float) -> dict[str, Any]: ...

    def __enter__(self) -> Stepper: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...


Start = Callable[[StepRequest, bool], Stepper]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a measurement in seconds.

    Attributes:
        whole_s: of all of it.
        window_s: the duration of a window.
        least_ready_s: the least time that the other processes have to get ready, if `whole_s` allows it.
        answer_s: after a window, until a process must have answered.
    """

    whole_s: float
    window_s: float = WINDOW_S
    least_ready_s: float = LEAST_READY_S
    answer_s: float = ANSWER_S

    def ready_s(self, first_s: float) -> float:
        """The time for the other processes to get ready, after the first took `first_s`.

        May be negative. Leaves time for all windows with the latest of answers.
        """
        windows_s = (len(TOGETHER) + WARM_UP_SHARE) * self.window_s + (len(TOGETHER) + 1) * self.answer_s
        return min(max(self.least_ready_s, READY_FACTOR * first_s), self.whole_s - first_s - windows_s)


def start_process(request: StepRequest, measures: bool) -> Stepper:
    """Start a real process."""
    return StepProcess(request, measures=measures)


def measure_card(request: StepRequest, limits: Limits, *, start: Start = start_process) -> CardLoad:
    """Measure a step of the request in one process, and its pace in several at the same time.

    Args:
        start: starts a process, which is to measure its load or not.

    Raises:
        TuneJobsError: the first process could not measure the load; the message is the reason alone.
    """
    began = time.monotonic()
    with ExitStack() as running:
        first = running.enter_context(start(request, True))
        load = StepLoad(**first.answer(limits.whole_s)["load"])
        most = min(max(TOGETHER), trials_in_memory(load))
        if most < 2:
            return CardLoad(load=load, not_together_because="memory holds one trial")
        try:
            ready_s = limits.ready_s(time.monotonic() - began)
            if ready_s <= 0:
                raise TuneJobsError("the time limit of a trial leaves no time for it")
            others = [running.enter_context(start(request, False)) for _ in range(most - 1)]
            _wait_until_ready(others, ready_s)
            return CardLoad(load=load, images_per_s=_measure_paces([first, *others], limits))
        except TuneJobsError as error:
            return CardLoad(load=load, not_together_because=str(error))


def _wait_until_ready(steppers: Sequence[Stepper], limit_s: float) -> None:
    give_up_at = time.monotonic() + limit_s
    for number, stepper in enumerate(steppers, start=2):
        try:
            stepper.answer(give_up_at - time.monotonic())
        except TuneJobsError as error:
            raise TuneJobsError(
                f"process {number} of {len(steppers) + 1} did not get ready, in {limit_s:.3g} s: {error}"
            ) from error


def _measure_paces(steppers: Sequence[Stepper], limits: Limits) -> dict[int, float]:
    """The images per second of all together, by the number of processes."""
    _measure_pace(steppers, limits, WARM_UP_SHARE * limits.window_s)
    counts = sorted({min(count, len(steppers)) for count in TOGETHER})
    return {count: _measure_pace(steppers[:count], limits, limits.window_s) for count in counts}


def _measure_pace(steppers: Sequence[Stepper], limits: Limits, window_s: float) -> float:
    """The images per second of these processes in a window."""
    for stepper in steppers:
        stepper.say(GO)
    time.sleep(window_s)
    for stepper in steppers:
        stepper.say(STOP)
    give_up_at = time.monotonic() + limits.answer_s
    images_per_s = 0.0
    for number, stepper in enumerate(steppers, start=1):
        try:
            pace = Pace(**stepper.answer(give_up_at - time.monotonic())["pace"])
        except TuneJobsError as error:
            raise TuneJobsError(
                f"process {number} of {len(steppers)} side by side failed: {error}"
            ) from error
        images_per_s += pace.images / pace.seconds
    return images_per_s
