"""Measures the share of training steps in which the device computes, on the device's own clock.

A few steps are timed on the device: their own time. All other steps are timed together, with the device's
waits for the host. The ratio is the share. The host waits for nothing because of it. The operators of an
eager step reach the device one by one, and even the launch of a graph takes a while, so the device is held
back until a timed step is queued as a whole. This costs the time of some steps, once a training.

Validation is left out. The work between steps, such as the augmentation of a block, counts as idle. Where
other processes take turns on the device, the time of a step includes their turns, so the share is an upper
bound there. It is also one for a step that itself waits for the device. `device_steps` uses it on CUDA.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

SKIPPED = 3
"""Steps before those that are timed, and again before the window: the host is then ahead of the device."""

SAMPLES = 3
LEAST_WINDOW = 8
"""The fewest steps whose duration as a whole is used."""

CLOCK_HZ = 2e9
"""At least the clock rate of a card; `torch.cuda._sleep` waits for a number of its cycles."""

HELD_BACK = 3.0
"""The device is held back for this multiple of a step's duration, so that the whole step is queued first."""

LONGEST_HOLD_S = 0.25


class DeviceClock(Protocol):
    """The clock of a device. `CudaClock` is that of a card."""

    def mark(self) -> Any:
        """A mark at the instant at which the device has done all work that was queued so far."""
        ...

    def seconds(self, start: Any, end: Any) -> float:
        """Seconds between two marks, both of which the device has passed."""
        ...

    def hold_back(self, seconds: float) -> None:
        """Let the device begin later work only after these seconds; the host does not wait."""
        ...


class CudaClock:
    """The clock of a card: events on the present stream."""

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        return float(start.elapsed_time(end)) / 1e3

    def hold_back(self, seconds: float) -> None:
        torch.cuda._sleep(int(seconds * CLOCK_HZ))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """The time of a training step.

    Attributes:
        step_s: seconds from step to step, a mean.
        busy: the share of them in which the device computes the step, in [0, 1].
    """

    step_s: float
    busy: float


class StepMeter:
    """Measures the steps of one training; a clock that fails ends the measuring, and not the training.

    Args:
        clock: None for a device whose steps are not measured.
    """

    def __init__(self, clock: DeviceClock | None) -> None:
        self._clock = clock
        self._restart(None)

    def _restart(self, way: str | None) -> None:
        """Forget everything, because the steps from here on are executed in another way."""
        self._way, self._host_s, self._own_s = way, 0.0, 0.0
        self._device_s, self._wall_s, self._num_steps = 0.0, 0.0, 0
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Forget the marks of an epoch that did not end."""
        self._samples_left = 0 if self._own_s else SAMPLES
        self._place, self._window_at = 0, SKIPPED + (self._samples_left and SAMPLES + SKIPPED)
        self._samples: list[tuple[Any, Any]] = []
        self._start = self._end = None

    def take(self, step: Callable[[], object], *, way: str | None) -> None:
        """Do a step, and time some of them.

        Args:
            way: how the step is executed; None as long as that is not settled.
        """
        if way != self._way:
            self._restart(way)
        if self._clock is None or way is None:
            step()
            return
        if self._samples_left and self._place >= SKIPPED:
            self._samples_left -= 1
            self._sample(step)
        else:
            if self._place == self._window_at:
                self._start = self._mark()
            began = time.perf_counter()
            step()
            self._host_s = time.perf_counter() - began
        self._place += 1

    def end_epoch(self) -> None:
        """Mark the end of the epoch's last step, before the host waits for it."""
        if self._place - self._window_at >= LEAST_WINDOW:
            self._end = self._mark()

    def read(self) -> None:
        """Read the marks of an epoch whose steps the device has done."""
        clock, start, end = self._clock, self._start, self._end
        num_steps = self._place - self._window_at
        if clock is not None and start is not None and end is not None:
            with self._softly():
                if self._samples:
                    self._own_s = statistics.median(clock.seconds(*pair) for pair in self._samples)
                self._wall_s += clock.seconds(start, end)
                self._device_s += self._own_s * num_steps
                self._num_steps += num_steps
        self.begin_epoch()

    @property
    def times(self) -> StepTimes | None:
        """The times of the measured steps; None before there are any."""
        if not self._num_steps or self._wall_s <= 0:
            return None
        busy = min(1.0, self._device_s / self._wall_s)
        return StepTimes(step_s=self._wall_s / self._num_steps, busy=busy)

    def _sample(self, step: Callable[[], object]) -> None:
        with self._softly():
            if self._clock is not None:
                self._clock.hold_back(min(LONGEST_HOLD_S, HELD_BACK * self._host_s))
        start = self._mark()
        step()
        self._samples.append((start, self._mark()))

    def _mark(self) -> Any:
        with self._softly():
            return None if self._clock is None else self._clock.mark()
        return None

    @contextmanager
    def _softly(self) -> Iterator[None]:
        """Measure no more where the clock fails."""
        try:
            yield
        except RuntimeError:  # torch's type for what a driver or a card refuses
            self._clock = None
