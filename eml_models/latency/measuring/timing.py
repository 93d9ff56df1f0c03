"""Measures one network in one mode: warmed up, synchronised, with n, median, quartiles and all conditions.

`measure_latency` is for one measurement; comparing several, let `campaign` interleave them. On a CPU
torch.utils.benchmark times calls, with one thread by the processor time that they took: what others made the
process wait on a shared machine is not the network's. On CUDA events do, each call from an empty queue, so
that a call's time holds its launches, as a user waits for it. Not a profiler: it says how long, not where.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from eml_models.errors import BatchTooLargeError, InvalidValueError, describe_cause
from eml_models.latency.measuring.conditions import Conditions, read_conditions
from eml_models.latency.measuring.modes import PLAIN, Mode
from eml_models.latency.measuring.preparing import Prepared
from eml_models.training.device_errors import is_out_of_memory

NOISY = 0.1
"""A spread above this share of the median is said: differences of that size mean nothing."""

WARM_UP_S = 0.2
WARM_UP_CALLS = 2
LEAST_CALLS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Milliseconds of one call over a batch, and what they depend on.

    Attributes:
        mode: how the network ran.
        batch_size: images of a call.
        median_ms, q1_ms, q3_ms: median and quartiles of a call.
        conditions: device, threads and versions.
        n: calls that were timed.
        requested_batch_size: what was asked for; larger than `batch_size` where memory did not suffice.
        notes: what a reader must know, in words, such as a halved batch; noise is in `noise`.
    """

    mode: Mode
    batch_size: int
    requested_batch_size: int
    n: int
    median_ms: float
    q1_ms: float
    q3_ms: float
    conditions: Conditions
    notes: tuple[str, ...] = ()

    @property
    def spread(self) -> float:
        """The distance of the quartiles as a share of the median."""
        return (self.q3_ms - self.q1_ms) / self.median_ms

    @property
    def noise(self) -> str | None:
        """That the quartiles are wide, in words; None where they are not."""
        if self.spread <= NOISY:
            return None
        return f"noisy: the quartiles are {self.spread:.0%} of the median apart"


def measure_latency(
    model: nn.Module, images: torch.Tensor, mode: Mode = PLAIN, *, device: str = "cpu", seconds: float = 1.0
) -> Measurement:
    """The time of one forward pass in eval mode, without gradients; the model is left as found.

    Args:
        images: (N, C, H, W); where N does not fit into memory it is halved until it does.
        seconds: to spend on timed calls, at least.

    Raises:
        UnsupportedModeError: the device does not have the mode, or the model cannot be compiled.
        InvalidValueError: there is no such device, not even one image fits into its memory, or the model
            cannot run on such images.
    """
    from eml_models.latency.measuring.conditions import require_device

    place = require_device(device)
    prepared = Prepared(model, mode, place)
    with explaining_images(images):
        call, num_images, notes = fit_into_memory(
            lambda n: _forward(prepared, images[:n]), images.shape[0], settings=prepared.settings
        )
    with prepared.settings():
        warm_up(call, place)
        times = time_calls(call, place, seconds=seconds)
    return summarise(
        times,
        mode=mode,
        batch_size=num_images,
        requested_batch_size=images.shape[0],
        conditions=read_conditions(place),
        notes=notes,
    )


def fit_into_memory(
    build: Callable[[int], Callable[[], object]],
    batch_size: int,
    *,
    settings: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[Callable[[], object], int, tuple[str, ...]]:
    """A call that has run once, over the largest of ``batch_size``, its half, its quarter, ... that fits.

    Args:
        build: makes the call for a batch size.
        settings: in which it is to run.

    Returns:
        The call, its batch size, and a note if that is not the batch size that was asked for.

    Raises:
        BatchTooLargeError: not even one image fits.
    """
    num_images = batch_size
    call: Callable[[], object] | None = None
    while True:
        try:
            call = build(num_images)
            with settings():
                call()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if num_images == 1:
                raise BatchTooLargeError(
                    f"not even a batch of one image fits into memory: {error}"
                ) from error
            num_images //= 2
            call = None  # else the batch that is too large lives on while its half is tried
            continue
        if num_images == batch_size:
            return call, num_images, ()
        return call, num_images, (f"a batch of {batch_size} does not fit into memory: {num_images}",)


@contextmanager
def explaining_images(images: torch.Tensor) -> Iterator[None]:
    """What a model says of images that are not its own, as an error that names them.

    Raises:
        InvalidValueError: it cannot run on them.
    """
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise InvalidValueError(
            f"the model cannot run on images {tuple(images.shape)}: {describe_cause(error)}"
        ) from error


def warm_up(call: Callable[[], object], device: torch.device) -> None:
    """Run until caches, clocks and cuDNN's search have settled: at least two calls and 0.2 s."""
    began, calls = time.perf_counter(), 0
    while calls < WARM_UP_CALLS or time.perf_counter() - began < WARM_UP_S:
        call()
        calls += 1
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_calls(
    call: Callable[[], object], device: torch.device, *, seconds: float, least: int = LEAST_CALLS
) -> list[float]:
    """Seconds of single calls, for at least `seconds` and `least` of them."""
    return (_time_on_cuda if device.type == "cuda" else _time_on_cpu)(call, device, seconds, least)


def summarise(
    times: Sequence[float], *, notes: Sequence[str] = (), **known: Any
) -> Measurement:  # the fields of a measurement that are known beforehand
    """Seconds of calls as a measurement."""
    low, middle, high = quartiles(times)
    return Measurement(
        n=len(times),
        median_ms=middle * 1e3,
        q1_ms=low * 1e3,
        q3_ms=high * 1e3,
        notes=tuple(notes),
        **known,
    )


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The first quartile, the median and the third."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _forward(prepared: Prepared, images: torch.Tensor) -> Callable[[], object]:
    placed = prepared.place(images)
    return lambda: prepared.run(placed)


def _time_on_cpu(call: Callable[[], object], device: torch.device, seconds: float, least: int) -> list[float]:
    from torch.utils.benchmark import Timer  # loads torch's C++ tools, and warns where CUDA's are half there

    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    timer = Timer("call()", timer=clock, globals={"call": call}, num_threads=torch.get_num_threads())
    times: list[float] = []
    began = clock()
    while len(times) < least or clock() - began < seconds:
        left = seconds - (clock() - began)
        if left > 0:
            times += timer.blocked_autorange(min_run_time=left).times
        else:  # slow ones: of two calls a block would use one up to find out its size
            start = clock()
            call()
            times.append(clock() - start)
    return times


def _time_on_cuda(
    call: Callable[[], object], device: torch.device, seconds: float, least: int
) -> list[float]:
    times: list[float] = []
    began = time.perf_counter()
    with torch.cuda.device(device):
        while len(times) < least or time.perf_counter() - began < seconds:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize(device)
            start.record()
            call()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) / 1e3)
    return times
