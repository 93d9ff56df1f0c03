"""Plays a search in this process: real training, a number of epochs to spend, rows in memory, no Ray.

What the benchmarks of searches share. Training is on one thread, so that two searches run beside each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from tune_jobs.analysis.intervals import estimate
from tune_jobs.study.definition import Study
from tune_jobs.testing.in_process import run_in_process
from tune_jobs.testing.memory_log import MemoryLog


def spend(study: Study, epochs: int, *, data_dir: str | None = None) -> MemoryLog:
    """Search until this many epochs are trained; the trial that holds the last one is left unfinished."""
    import torch

    torch.set_num_threads(1)
    return run_in_process(
        study.with_changes(trials=1_000_000), max_epochs=epochs, device="cpu", data_dir=data_dir
    )


def interval(values: Sequence[float]) -> str:
    """The mean and its 95 % interval (Student's t; of differences it is the paired one)."""
    found = estimate(values)
    ends = "" if found.low is None else f" [{found.low:+.4f}, {found.high:+.4f}]"
    return f"{found.mean:+.4f}{ends}"
