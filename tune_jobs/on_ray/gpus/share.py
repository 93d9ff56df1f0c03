"""Shares of a GPU: the share of each trial at first, and the larger share of a trial that ran out of memory.

Ray only counts fractions; it does not keep a trial from taking the whole device. So each worker's process
keeps torch within its share, less the memory of a CUDA context beside torch's own
(`tune_jobs.on_ray.worker.gpu_limit`). If a trial needs more, the attempt fails with its peak in the row, and
the next attempt gets twice the share. So does an attempt that a fault of a GPU under an MPS server has ended:
the server does not say which of its processes caused the fault, and with larger shares there are fewer of
them, until the trial at fault is alone. The rows say which attempts these were, so a resumed study continues
with the same shares. `tune_jobs.on_ray.tuning` and `tune_jobs.on_ray.bridge` call this.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from eml_models.training.device_load import StepLoad
from tune_jobs.on_ray.worker.gpu_limit import CONTEXT_BYTES
from tune_jobs.study.rows import TRIED_WITH_MORE, EventRow, Failure, Row

HEADROOM = 1.25
"""Memory of a trial under `auto`, as a multiple of the measured peak, for fragmentation and other blocks."""

FILLED = 1.2
"""Work for a GPU under `auto`, as a multiple of a busy GPU, if memory allows and the pace of several trials
was not measured. Processes take turns on a GPU, so more trials than keep it busy only slow each other down. A
fifth more covers the gaps between epochs."""

GAIN = 1.15
"""The least pace of a number of trials, as a multiple of the pace of every smaller number. Less is not worth
it: windows of a second differ by some percent, every trial ends later, each process starts and reads the data
for itself, and a fault of the card ends more trials."""

NEARLY_LINEAR = 1.8
"""The pace of four trials as a multiple of that of two, from which even more trials are faster: by a law of
equal gains, a card of which four use so little gains about as much from twice as many."""

MEASURED = 4
BEYOND = 8
"""The number of trials, if memory allows, where four are nearly twice as fast as two. It was not measured, so
it is only one doubling away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPart:
    """The part of a GPU, or the GPUs, of a trial.

    Attributes:
        gpus: a fraction of a GPU, or a whole number of GPUs; 0 for none.
        beside_bytes: bytes of the part that torch may not have: what a trial's process takes beside torch's
            allocator, and the part's share of the memory that other processes hold.
    """

    gpus: float
    beside_bytes: int = CONTEXT_BYTES


NO_PACES: Mapping[int, float] = MappingProxyType({})


def choose_part(load: StepLoad, images_per_s: Mapping[int, float] = NO_PACES) -> GpuPart:
    """The part of a GPU for each trial, 1/n, from the load and the pace of the largest candidate.

    n is the number of trials that are fastest together, and no more than memory allows. Where that was not
    measured, it is no more than keep the GPU busy. A replayed graph keeps it busy alone, so its `busy` is
    near 1. Memory that other processes hold is nobody's part: each part leaves out an equal amount of it.

    Args:
        images_per_s: of 1, 2, ... trials together, by their number; empty if that was not measured.
    """
    wanted = fastest_together(images_per_s) if images_per_s else math.ceil(FILLED / load.busy)
    trials = max(1, min(trials_in_memory(load), wanted))
    return GpuPart(gpus=1 / trials, beside_bytes=load.beside_bytes + load.others_bytes // trials)


def trials_in_memory(load: StepLoad) -> int:
    """How many trials with this load a GPU has memory for; may be 0."""
    free = max(0, load.total_bytes - load.others_bytes)
    return int(free / (load.peak_bytes * HEADROOM + load.beside_bytes))


def fastest_together(images_per_s: Mapping[int, float]) -> int:
    """The largest of these numbers of trials that is faster than every smaller one by `GAIN`.

    `BEYOND` where four are the most that was measured, and nearly twice as fast as two.
    """
    fastest, highest = 1, 0.0
    for count, pace in sorted(images_per_s.items()):
        if pace >= GAIN * highest:
            fastest = count
        highest = max(highest, pace)
    half = images_per_s.get(MEASURED // 2)
    if fastest == MEASURED and half is not None and images_per_s[MEASURED] >= NEARLY_LINEAR * half:
        return BEYOND
    return fastest


class Shares:
    """The share of each trial's next attempt.

    Args:
        first: GPUs of every trial's first attempt.
        rows: all rows of the study.
    """

    def __init__(self, first: float, rows: Iterable[Row] = ()) -> None:
        self._first = first
        self._doubled: Counter[int] = Counter()
        for row in rows:
            if isinstance(row, EventRow) and row.number is not None and row.failure is not None:
                self.note(row.number, row.failure)

    def of(self, number: int) -> float:
        """GPUs of a trial's next attempt: doubled after each failure of its share, up to a whole GPU."""
        share = self._first * 2 ** self._doubled[number]
        return self._first if self._first >= 1 else min(1.0, share)

    def note(self, number: int, failure: Failure) -> None:
        """Remember whether a trial's share failed it; if so, its next attempt gets a larger share."""
        self._doubled[number] += failure in TRIED_WITH_MORE
