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
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_jobs.on_ray.worker.gpu_limit import CONTEXT_BYTES
from tune_jobs.study.rows import TRIED_WITH_MORE, EventRow, Failure, Row

if TYPE_CHECKING:
    from eml_models.training.step_load import StepLoad

HEADROOM = 1.25
"""Memory of a trial under `auto`, as a multiple of the measured peak, for fragmentation and other blocks."""

FILLED = 1.2
"""Work for a GPU under `auto`, as a multiple of a busy GPU, if memory allows. Processes take turns on a GPU,
so more trials than keep it busy only slow each other down. A fifth more covers the gaps between epochs."""


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


def choose_part(load: StepLoad) -> GpuPart:
    """The part of a GPU for each trial, 1/n, from the load of the largest candidate.

    n is the largest number of trials that memory allows, but no more than keep the GPU busy. A replayed graph
    keeps it busy alone, so its `busy` is near 1. Memory that other processes hold is nobody's part: each part
    leaves out an equal amount of it.
    """
    needed = load.peak_bytes * HEADROOM + load.beside_bytes
    free = max(0, load.total_bytes - load.others_bytes)
    by_memory, by_time = int(free / needed), math.ceil(FILLED / load.busy)
    trials = max(1, min(by_memory, by_time))
    return GpuPart(gpus=1 / trials, beside_bytes=load.beside_bytes + load.others_bytes // trials)


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
