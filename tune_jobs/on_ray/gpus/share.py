"""Shares of a GPU: how much memory each allows, and what a trial that ran out of its share gets next.

Ray's fractions are bookkeeping: nothing keeps a trial from taking the whole device. So each worker's process
holds torch to its share, less what a CUDA context takes beside torch's own memory. A trial that needs more
fails that attempt with its peak in the row, and is tried again with twice the share; which attempts ran out
is read from the rows, so a resumed study goes on with the shares that it had come to.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_jobs.on_ray.worker.gpu_limit import CONTEXT_BYTES
from tune_jobs.study.rows import EventRow, Failure, Row

if TYPE_CHECKING:
    from eml_models.training.step_load import StepLoad

HEADROOM = 1.25
"""What `auto` leaves a trial above the measured peak: fragmentation, and blocks of other sizes."""

FILLED = 1.2
"""How busy `auto` fills a GPU, if memory allows: processes take turns on it, so more trials at once than keep
it busy only slow each other down; a fifth more covers the gaps between epochs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPart:
    """What a trial gets of GPUs.

    Attributes:
        gpus: a fraction of one, or how many; 0 for none.
        beside_bytes: what its process takes of a GPU's memory beside torch's allocator.
    """

    gpus: float
    beside_bytes: int = CONTEXT_BYTES


def choose_part(load: StepLoad) -> GpuPart:
    """The part of a GPU for trials whose largest takes this much: one n-th.

    n is the most that memory allows, and no more than keep the GPU busy.
    """
    needed = load.peak_bytes * HEADROOM + load.beside_bytes
    by_memory, by_time = int(load.total_bytes / needed), math.ceil(FILLED / load.busy)
    return GpuPart(gpus=1 / max(1, min(by_memory, by_time)), beside_bytes=load.beside_bytes)


class Shares:
    """The share of each trial's next attempt.

    Args:
        first: GPUs that every trial starts with.
        rows: all rows of the study.
    """

    def __init__(self, first: float, rows: Iterable[Row] = ()) -> None:
        self._first = first
        self._ran_out: Counter[int] = Counter()
        for row in rows:
            if isinstance(row, EventRow) and row.number is not None and row.failure is not None:
                self.note(row.number, row.failure)

    def of(self, number: int) -> float:
        """GPUs of a trial's next attempt: doubled for each time that it ran out, up to a whole one."""
        share = self._first * 2 ** self._ran_out[number]
        return self._first if self._first >= 1 else min(1.0, share)

    def note(self, number: int, failure: Failure) -> None:
        """Remember a trial that ran out of its share: its next attempt gets a larger one."""
        self._ran_out[number] += failure is Failure.OUT_OF_SHARE
