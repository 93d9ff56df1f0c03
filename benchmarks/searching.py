"""Plays a search in this process: real training, a number of epochs to spend, rows in memory, no Ray.

What the benchmarks of searches share. Training is on one thread, so that two searches run beside each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tune_jobs.analysis.intervals import estimate
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.rows import Decision, Row, TrialRow


class MemoryLog:
    """Numbers rows as a store's writer does, and keeps them in memory."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def append_many(self, rows: Any) -> list[Row]:
        stored = [replace(row, seq=len(self.rows) + i) for i, row in enumerate(rows, start=1)]
        self.rows += stored
        return stored

    @property
    def ends(self) -> list[TrialRow]:
        return [row for row in self.rows if isinstance(row, TrialRow)]


def spend(study: Study, epochs: int, *, data_dir: str | None = None) -> MemoryLog:
    """Search until so many epochs are trained; the trial that is under way then is left unfinished."""
    import torch

    from eml_models import fit

    torch.set_num_threads(1)
    log = MemoryLog()
    session = Session(study.with_changes(trials=1_000_000), log)
    spent = 0
    while spent < epochs and (attempt := session.next_attempt()) is not None:
        for report in fit(attempt.recipe, device="cpu", data_dir=data_dir):
            spent += 1
            metrics = {name: getattr(report, name) for name in report.__slots__}
            decision = session.record_report(attempt.number, metrics, WorkerInfo())
            if decision is Decision.STOP or spent >= epochs:
                break
    return log


def interval(values: Sequence[float]) -> str:
    """The mean and its 95 % interval (Student's t; of differences it is the paired one)."""
    found = estimate(values)
    ends = "" if found.low is None else f" [{found.low:+.4f}, {found.high:+.4f}]"
    return f"{found.mean:+.4f}{ends}"
